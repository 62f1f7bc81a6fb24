//! What parameters and the size of a trial change: sensitivities, ranks and power.

use crate::figures::curves::{Curve, CurvePlot, Drawn, Point};
use crate::figures::heat_map::HeatMap;
use crate::figures::rows::{Look, Mark, Row, RowPlot};
use crate::figures::{Figure, Table, exact, fixed, with_interval};

/// Findings that a result has only if its trial says so: with distributions of its parameters,
/// or with virtual trials.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// How outcomes depend on parameters.
    pub tornadoes: Vec<Tornado>,
    /// How arms rank.
    pub ranks: Vec<Ranks>,
    /// Power of virtual trials, by arm.
    pub power: Vec<PowerCurve>,
}

/// How one outcome depends on every parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Tornado {
    /// Identifies it among others: letters, digits and `_+.-`.
    pub name: String,
    /// The outcome, such as `difference of A`.
    pub outcome: String,
    /// Its unit.
    pub unit: String,
    /// Its mean over all points.
    pub mean: f64,
    /// What the index of a bar is, such as `total Sobol index`.
    pub index: String,
    /// The parameters.
    pub bars: Vec<TornadoBar>,
}

/// How the outcome depends on a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct TornadoBar {
    /// The parameter.
    pub factor: String,
    /// Mean outcome where the parameter is low.
    pub low: f64,
    /// Mean outcome where it is high.
    pub high: f64,
    /// How much it matters.
    pub index: f64,
    /// 95 % interval of the index.
    pub interval: (f64, f64),
}

/// How often each arm has each rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// Identifies it among others: letters, digits and `_+.-`.
    pub name: String,
    /// What is ranked, and over which points.
    pub title: String,
    /// Arms, and the share of the points at which they have each rank, the best first.
    pub arms: Vec<(String, Vec<f64>)>,
}

/// Power of virtual trials of an arm against the control.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerCurve {
    /// The arm; the control's own curve is the type I error.
    pub arm: String,
    /// Sizes, in increasing order.
    pub points: Vec<PowerPoint>,
}

/// Power of virtual trials of a size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerPoint {
    /// Patients in the control group.
    pub patients: u64,
    /// Share of the trials that find a benefit.
    pub power: f64,
    /// Its 95 % interval.
    pub interval: (f64, f64),
}

impl Findings {
    /// What outcomes depend on, and how arms rank.
    pub(super) fn uncertainty(&self) -> Vec<Figure> {
        let tornadoes = self.tornadoes.iter().map(Tornado::figure);
        tornadoes
            .chain(self.ranks.iter().map(Ranks::figure))
            .collect()
    }
}

impl Tornado {
    /// The parameters that change the outcome most come first.
    fn figure(&self) -> Figure {
        let mut bars: Vec<&TornadoBar> = self.bars.iter().collect();
        bars.sort_by(|a, b| (b.high - b.low).abs().total_cmp(&(a.high - a.low).abs()));
        let mut table = Table::new(&["parameter", "where low", "where high", &self.index]);
        let mut data = Table::new(&[
            "factor",
            "low",
            "high",
            "index",
            "index_lower",
            "index_upper",
        ]);
        for bar in &bars {
            let index = with_interval(bar.index, bar.interval, 2);
            table.push([
                bar.factor.clone(),
                fixed(bar.low, 3),
                fixed(bar.high, 3),
                index,
            ]);
            let numbers = [bar.low, bar.high, bar.index, bar.interval.0, bar.interval.1].map(exact);
            let [low, high, index, lower, upper] = numbers;
            data.push([bar.factor.clone(), low, high, index, lower, upper]);
        }
        RowPlot {
            name: format!("tornado-{}", self.name),
            title: format!("What the {} depends on", self.outcome),
            description: format!(
                "Mean {} where each parameter is low and where it is high; the line is the mean of all points. \
                 At the right: {}, with its 95 % interval.",
                self.outcome, self.index
            ),
            x_label: format!("{}, {}", self.outcome, self.unit),
            neutral: self.mean,
            rows: bars.into_iter().map(|bar| self.row(bar)).collect(),
            legend: vec![
                (Look::LowBar, "parameter low".into()),
                (Look::HighBar, "parameter high".into()),
            ],
            table,
            data,
        }
        .figure()
    }

    fn row(&self, bar: &TornadoBar) -> Row {
        let mark = |look, value: f64, when: &str| Mark {
            look,
            value,
            interval: (self.mean, value),
            tooltip: format!("{} {when}: {}", bar.factor, fixed(value, 3)),
        };
        Row {
            label: bar.factor.clone(),
            text: with_interval(bar.index, bar.interval, 2),
            marks: vec![
                mark(Look::LowBar, bar.low, "low"),
                mark(Look::HighBar, bar.high, "high"),
            ],
        }
    }
}

impl Ranks {
    fn figure(&self) -> Figure {
        HeatMap {
            name: format!("ranks-{}", self.name),
            title: self.title.clone(),
            description:
                "How often each arm has each rank, percent of the points; rank 1 is the best."
                    .into(),
            rows: self.arms.clone(),
        }
        .figure()
    }
}

/// Power against size of the arms that are shown at first; the tables have all. None without
/// virtual trials.
pub(super) fn power(curves: &[PowerCurve], control: &str, shown: &[&String]) -> Option<Figure> {
    let sizes = curves.iter().flat_map(|curve| &curve.points);
    let largest = sizes.map(|point| point.patients).max()?;
    let plot = CurvePlot {
        name: "power".into(),
        title: "Power against size".into(),
        x_label: "patients in the control group".into(),
        y_label: "trials that find a benefit, percent".into(),
        decimals: 1,
        reach: (largest as f64, 100.0),
        reference: curves
            .iter()
            .position(|curve| curve.arm == control)
            .unwrap_or(curves.len()),
        shown: (0..curves.len())
            .filter(|curve| shown.contains(&&curves[*curve].arm))
            .collect(),
        curves: curves.iter().map(PowerCurve::curve).collect(),
    };
    Some(plot.still())
}

impl PowerCurve {
    fn curve(&self) -> Curve {
        let points = self.points.iter().map(|point| Point {
            x: point.patients as f64,
            value: 100.0 * point.power,
            interval: (100.0 * point.interval.0, 100.0 * point.interval.1),
            at_risk: None,
        });
        Curve {
            label: self.arm.clone(),
            points: points.collect(),
            drawn: Drawn::Line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tornado_has_what_matters_most_on_top() {
        let bar = |factor: &str, low, high| TornadoBar {
            factor: factor.into(),
            low,
            high,
            index: 0.5,
            interval: (0.4, 0.6),
        };
        let figure = Tornado {
            name: "local".into(),
            outcome: "difference".into(),
            unit: "points".into(),
            mean: -2.0,
            index: "total index".into(),
            bars: vec![bar("little", -1.9, -2.1), bar("much", -4.0, 0.0)],
        }
        .figure();
        assert!(
            figure
                .csv()
                .starts_with("factor,low,high,index,index_lower,index_upper\nmuch,-4,0,")
        );
        let drawing = figure.embedded();
        assert_eq!(drawing.matches("class=\"bar\"").count(), 4);
        assert!(
            drawing.find(">much<") < drawing.find(">little<"),
            "{drawing}"
        );
        assert!(
            drawing.contains("<title>much low: -4.000</title>"),
            "{drawing}"
        );
    }

    #[test]
    fn power_is_drawn_against_size_with_the_control_in_ink() {
        let curve = |arm: &str, power: f64| PowerCurve {
            arm: arm.into(),
            points: [100, 400]
                .map(|patients| PowerPoint {
                    patients,
                    power,
                    interval: (power - 0.02, power + 0.02),
                })
                .into(),
        };
        let curves = [curve("a", 0.8), curve("control", 0.025)];
        let [a, control] = ["a", "control"].map(str::to_owned);
        let figure = power(&curves, &control, &[&a, &control]).expect("there are trials");
        let drawing = figure.embedded();
        // From 0 to 400 patients, a quarter and all of the width.
        assert!(
            drawing.contains("class=\"line\" d=\"M171.5 80.8L536 80.8\""),
            "{drawing}"
        );
        assert!(
            drawing.contains("c0 d0\">") && drawing.contains(">control<"),
            "{drawing}"
        );
        // A reader's choice of arms is about other figures.
        assert!(!drawing.contains("series-"), "{drawing}");
        assert_eq!(figure.table.rows.len(), 4);
        let file = power(&curves, &control, &[&control]).expect("there are trials");
        assert_eq!(file.svg().matches("class=\"band\"").count(), 1);
        assert!(power(&[], &control, &[]).is_none());
    }
}
