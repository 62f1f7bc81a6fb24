//! Validations as figures.

use reseed_stats::distribution::CRITICAL_95;

use super::targets::TargetCurve;
use super::{
    GroupCurves, TimePoint, ValidatedCohort, ValidatedGroup, ValidatedTarget, ValidatedTargets,
    Validation,
};
use crate::cohort::{CohortEvent, Quantity};
use crate::figures::agreement::{AgreementPlot, AgreementPoint};
use crate::figures::curves::{Curve, CurvePlot, Drawn, Point};
use crate::figures::rows::{Look, Mark, Row, RowPlot};
use crate::figures::{Figure, Table, exact, with_interval};
use crate::text::{endpoint_in_words, years};

impl Validation {
    /// Everything that there is to draw: of patients who were followed, then of published quantities.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = self.cohort_figures();
        figures.extend(self.target_figures());
        figures
    }

    /// By each time the groups' incidences against those predicted; then the curves of all patients
    /// and of each group by predicted risk.
    pub(crate) fn cohort_figures(&self) -> Vec<Figure> {
        let Some(cohort) = &self.cohort else {
            return Vec::new();
        };
        let outcome = endpoint_in_words(cohort.endpoint);
        let by_risk = by_risk(cohort);
        let times = by_risk.chunk_by(|a, b| a.time_days.total_cmp(&b.time_days).is_eq());
        let agreements = times.map(|groups| agreement(outcome, groups));
        let curves = self.curves.iter().map(|curves| self.curve(outcome, curves));
        agreements.chain(curves).collect()
    }

    /// For every kind of event its incidences beside the model's, then the peaks of hazards, then the
    /// curve of every kind of event and stratum.
    pub(crate) fn target_figures(&self) -> Vec<Figure> {
        let Some(targets) = &self.targets else {
            return Vec::new();
        };
        let incidences = CohortEvent::ALL.into_iter().map(|event| {
            let rows = targets.of(|row| row.event == event.name() && row.time_years.is_some());
            let name = format!("calibration-{}", event.name());
            self.beside(&name, event.title(), Scale::PERCENT, &rows)
        });
        let peaks = targets.of(|row| row.quantity == Quantity::HazardPeak.name());
        let title = "Peaks of the hazards of first events";
        let peaks = self.beside("calibration-peaks", title, Scale::YEARS, &peaks);
        let curves = targets.curves.iter().map(|curve| Some(self.seen(curve)));
        let all = incidences.chain([peaks]).chain(curves);
        all.flatten().collect()
    }

    /// What the arm's curves are called.
    fn model(&self) -> String {
        match self.points {
            Some(points) => format!("model, {}: median and 95 % of {points} points", self.arm),
            None => format!("model, {}", self.arm),
        }
    }

    fn curve(&self, outcome: &str, group: &GroupCurves) -> Figure {
        let observed = (group.times.iter().zip(&group.observed).zip(&group.at_risk)).map(
            |((time, observed), at_risk)| Point {
                at_risk: Some(*at_risk),
                ..percent(
                    *time,
                    observed.value,
                    observed.log_log_interval(CRITICAL_95),
                )
            },
        );
        self.cohort_and_model(
            (
                format!("curves-{}", slug(&group.label)),
                format!("{outcome}, {}", group.label),
            ),
            Curve {
                label: "cohort".into(),
                points: observed.collect(),
                drawn: Drawn::Line,
            },
            &group.predicted,
        )
    }

    /// Published incidences on the arm's curve.
    fn seen(&self, curve: &TargetCurve) -> Figure {
        let seen = (curve.seen.iter()).map(|seen| percent(seen.years, seen.value, seen.interval));
        self.cohort_and_model(
            (
                format!("curve-{}-{}", curve.event.name(), slug(&curve.stratum)),
                format!("{}, {}", curve.event.title(), curve.stratum),
            ),
            Curve {
                label: "cohort".into(),
                points: seen.collect(),
                drawn: Drawn::Points,
            },
            &curve.model,
        )
    }

    fn cohort_and_model(
        &self,
        (name, title): (String, String),
        cohort: Curve,
        model: &[TimePoint],
    ) -> Figure {
        let model: Vec<Point> = (model.iter())
            .map(|point| percent(point.years, point.value, point.interval))
            .collect();
        let last = |points: &[Point]| points.last().map_or(0.0, |point| point.x);
        CurvePlot {
            name,
            title,
            x_label: "years from resection".into(),
            y_label: "cumulative incidence, percent".into(),
            decimals: 1,
            reach: (last(&cohort.points).max(last(&model)), 0.0),
            curves: vec![
                cohort,
                Curve {
                    label: self.model(),
                    points: model,
                    drawn: Drawn::Line,
                },
            ],
            reference: 0,
            shown: vec![0, 1],
        }
        .still()
    }

    /// Published quantities of one kind beside the model's; none if there are none.
    fn beside(
        &self,
        name: &str,
        title: &str,
        scale: Scale,
        rows: &[&ValidatedTarget],
    ) -> Option<Figure> {
        if rows.is_empty() {
            return None;
        }
        let mut table = Table::new(&[
            "",
            "years",
            &format!("model, {} (95 % CI)", scale.unit),
            &format!("over points, {} (95 %)", scale.unit),
            &format!("cohort, {} (95 % CI)", scale.unit),
            "inside",
        ]);
        let mut data = Table::new(&DATA);
        for row in rows {
            table.push(row.cells(scale));
            data.push(row.data());
        }
        let inside = rows.iter().filter(|row| row.inside).count();
        let mut legend = vec![
            (Look::Square, format!("model, {}", self.arm)),
            (Look::Circle, "cohort".into()),
        ];
        if self.points.is_some() {
            legend.insert(1, (Look::Band, "95 % of the points".into()));
        }
        let plot = RowPlot {
            name: name.into(),
            title: title.into(),
            description: format!(
                "{inside} of {} values of the model lie inside the cohort's intervals.",
                rows.len()
            ),
            x_label: scale.label.into(),
            neutral: 0.0,
            rows: rows.iter().map(|row| row.row(scale)).collect(),
            legend,
            table,
            data,
        };
        Some(plot.figure())
    }
}

/// Columns of the numbers of a figure of rows.
const DATA: [&str; 12] = [
    "stratum",
    "event",
    "years",
    "model",
    "model_lower",
    "model_upper",
    "median_lower",
    "median_upper",
    "cohort",
    "cohort_lower",
    "cohort_upper",
    "source",
];

/// How quantities of a kind are told.
#[derive(Clone, Copy)]
struct Scale {
    factor: f64,
    unit: &'static str,
    label: &'static str,
    decimals: usize,
}

impl Scale {
    const PERCENT: Self = Self {
        factor: 100.0,
        unit: "percent",
        label: "cumulative incidence, percent",
        decimals: 1,
    };
    const YEARS: Self = Self {
        factor: 1.0,
        unit: "years",
        label: "years from resection at which the smoothed hazard is highest",
        decimals: 2,
    };

    fn number(self, value: Option<f64>) -> f64 {
        self.factor * value.unwrap_or(f64::NAN)
    }

    fn text(self, value: Option<f64>, lower: Option<f64>, upper: Option<f64>) -> String {
        let interval = (self.number(lower), self.number(upper));
        with_interval(self.number(value), interval, self.decimals)
    }
}

impl ValidatedTargets {
    fn of(&self, is_wanted: impl Fn(&ValidatedTarget) -> bool) -> Vec<&ValidatedTarget> {
        self.rows.iter().filter(|row| is_wanted(row)).collect()
    }
}

impl ValidatedTarget {
    fn model_text(&self, scale: Scale) -> String {
        scale.text(self.model, self.model_lower, self.model_upper)
    }

    fn points_text(&self, scale: Scale) -> String {
        scale.text(self.median, self.median_lower, self.median_upper)
    }

    fn cohort_text(&self, scale: Scale) -> String {
        let [value, lower, upper] =
            [self.observed, self.observed_lower, self.observed_upper].map(Some);
        scale.text(value, lower, upper)
    }

    fn row(&self, scale: Scale) -> Row {
        let mark = |look, value, (lower, upper), tooltip| Mark {
            look,
            value: scale.number(value),
            interval: (scale.number(lower), scale.number(upper)),
            tooltip,
        };
        let mut marks = vec![
            mark(
                Look::Square,
                self.model,
                (self.model_lower, self.model_upper),
                format!("model: {}", self.model_text(scale)),
            ),
            mark(
                Look::Circle,
                Some(self.observed),
                (Some(self.observed_lower), Some(self.observed_upper)),
                format!("{}: {}", self.source, self.cohort_text(scale)),
            ),
        ];
        if self.median.is_some() {
            let band = mark(
                Look::Band,
                self.median,
                (self.median_lower, self.median_upper),
                format!("over points: {}", self.points_text(scale)),
            );
            marks.insert(0, band);
        }
        let label = match self.time_years {
            Some(time) => format!("{}, {}", self.stratum, years(time)),
            None => format!("{}, {}", self.event, self.stratum),
        };
        Row {
            label,
            text: format!(
                "{} | {}",
                crate::figures::fixed(scale.number(self.model), scale.decimals),
                self.cohort_text(scale)
            ),
            marks,
        }
    }

    fn cells(&self, scale: Scale) -> [String; 6] {
        let label = if self.time_years.is_some() {
            self.stratum.clone()
        } else {
            format!("{}, {}", self.event, self.stratum)
        };
        let over_points = if self.median.is_some() {
            self.points_text(scale)
        } else {
            "–".into()
        };
        [
            label,
            self.time_years.map_or("–".into(), |time| time.to_string()),
            self.model_text(scale),
            over_points,
            self.cohort_text(scale),
            if self.inside { "yes" } else { "no" }.into(),
        ]
    }

    fn data(&self) -> [String; 12] {
        let number = |value: Option<f64>| exact(value.unwrap_or(f64::NAN));
        [
            self.stratum.clone(),
            self.event.into(),
            number(self.time_years),
            number(self.model),
            number(self.model_lower),
            number(self.model_upper),
            number(self.median_lower),
            number(self.median_upper),
            exact(self.observed),
            exact(self.observed_lower),
            exact(self.observed_upper),
            self.source.clone(),
        ]
    }
}

/// A point in percent, without who is at risk.
fn percent(x: f64, value: f64, (lower, upper): (f64, f64)) -> Point {
    Point {
        x,
        value: 100.0 * value,
        interval: (100.0 * lower, 100.0 * upper),
        at_risk: None,
    }
}

/// A label as a part of a file's name.
fn slug(label: &str) -> String {
    let words = label.replace("<=", "up to ").replace('>', "above ");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    let parts = words
        .split(|c| !is_plain(c))
        .filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

fn by_risk(cohort: &ValidatedCohort) -> Vec<&ValidatedGroup> {
    let groups = cohort.groups.iter();
    groups.filter(|group| group.grouping == "risk").collect()
}

fn agreement(outcome: &str, groups: &[&ValidatedGroup]) -> Figure {
    let time = groups.first().map_or(0.0, |group| group.time_years);
    let time = years(time);
    let percent = |share: Option<f64>| share.map_or(f64::NAN, |share| 100.0 * share);
    let point = |group: &&ValidatedGroup| AgreementPoint {
        label: format!("risk group {}", group.group),
        patients: group.patients,
        predicted: percent(group.predicted),
        observed: percent(group.observed),
        interval: (percent(group.observed_lower), percent(group.observed_upper)),
    };
    AgreementPlot {
        name: format!("calibration-{}", time.replace(' ', "-")),
        title: format!("{outcome} within {time}: predicted and observed"),
        description: format!(
            "Cumulative incidence within {time} in {} groups by predicted risk, with 95 % intervals; \
             on the diagonal as many events come as are predicted.",
            groups.len()
        ),
        unit: "percent".into(),
        points: groups.iter().map(point).collect(),
    }
    .figure()
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn names_of_files_tell_strata_apart() {
        assert_eq!(slug("size <=20 mm, nodes 4+"), "size-up-to-20-mm-nodes-4+");
        assert_eq!(slug("size >20-50 mm"), "size-above-20-50-mm");
        assert_eq!(slug("nodes 1-4; nodes 5+"), "nodes-1-4-nodes-5+");
    }
}
