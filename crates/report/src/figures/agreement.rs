//! What was seen against what was predicted: a point for each group, and a line on which all of
//! them would lie.

use reseed_plot::Axis;

use super::canvas::{Anchor, Canvas, Frame, Number, rectangle};
use super::{Figure, Table, exact, with_interval};

const SIZE: f64 = 400.0;
const FRAME: Frame = Frame {
    left: 50.0,
    right: SIZE - 24.0,
    top: 26.0,
    bottom: SIZE - 48.0,
};
const TICKS: u32 = 6;
/// Half of the width of the bars at the ends of an interval.
const BAR: f64 = 4.0;

/// Groups of patients.
#[derive(Debug, Clone)]
pub struct AgreementPlot {
    /// Identifies it.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What it shows, in words.
    pub description: String,
    /// What is predicted and seen, with its unit.
    pub unit: String,
    /// The groups.
    pub points: Vec<AgreementPoint>,
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct AgreementPoint {
    /// Which it is.
    pub label: String,
    /// Patients.
    pub patients: u64,
    /// What is predicted for them.
    pub predicted: f64,
    /// What was seen.
    pub observed: f64,
    /// Its 95 % interval; not finite where there is none.
    pub interval: (f64, f64),
}

impl AgreementPlot {
    /// Draws it.
    pub fn figure(self) -> Figure {
        Figure {
            canvas: self.draw(),
            file: None,
            table: self.table(),
            data: self.data(),
            name: self.name,
            title: self.title,
            description: self.description,
        }
    }

    fn axis(&self) -> Axis {
        let points = self.points.iter();
        let values = points.flat_map(|point| [point.predicted, point.observed, point.interval.1]);
        let known = values.filter(|value| value.is_finite());
        Axis::over(0.0, known.fold(0.0, f64::max), TICKS)
    }

    fn draw(&self) -> Canvas {
        let axis = self.axis();
        let mut canvas = Canvas::new(SIZE, SIZE);
        canvas.x_axis(&FRAME, &axis, &format!("predicted, {}", self.unit));
        let label = format!("observed, {}", self.unit);
        canvas.text("axis", 0.0, 8.0, Anchor::Start, &label);
        canvas.y_axis(&FRAME, &axis);
        let diagonal = format!(
            "M{} {}L{} {}",
            Number(FRAME.left),
            Number(FRAME.bottom),
            Number(FRAME.right),
            Number(FRAME.top)
        );
        canvas.path("neutral", &diagonal);
        canvas.open_group("c1");
        for point in &self.points {
            point.draw(&mut canvas, &axis);
        }
        canvas.close_group();
        canvas
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["", "patients", "predicted", "observed (95 % CI)"]);
        for point in &self.points {
            table.push([
                point.label.clone(),
                point.patients.to_string(),
                super::fixed(point.predicted, 1),
                with_interval(point.observed, point.interval, 1),
            ]);
        }
        table
    }

    fn data(&self) -> Table {
        let columns = [
            "group",
            "patients",
            "predicted",
            "observed",
            "lower",
            "upper",
        ];
        let mut table = Table::new(&columns);
        for point in &self.points {
            table.push([
                point.label.clone(),
                point.patients.to_string(),
                exact(point.predicted),
                exact(point.observed),
                exact(point.interval.0),
                exact(point.interval.1),
            ]);
        }
        table
    }
}

impl AgreementPoint {
    fn draw(&self, canvas: &mut Canvas, axis: &Axis) {
        if !(self.predicted.is_finite() && self.observed.is_finite()) {
            return;
        }
        let (x, y) = (FRAME.x(axis, self.predicted), FRAME.y(axis, self.observed));
        let (lower, upper) = self.interval;
        if lower.is_finite() && upper.is_finite() {
            let ends = [FRAME.y(axis, lower), FRAME.y(axis, upper)];
            let bars = ends
                .map(|end| format!("M{} {}h{}", Number(x - BAR), Number(end), Number(2.0 * BAR)));
            let line = format!("M{} {}V{}", Number(x), Number(ends[0]), Number(ends[1]));
            canvas.path("whisker", &(line + &bars.concat()));
        }
        let tooltip = format!(
            "{}: predicted {}, observed {}",
            self.label,
            super::fixed(self.predicted, 1),
            with_interval(self.observed, self.interval, 1)
        );
        canvas.mark("dot", &rectangle(x - 3.5, y - 3.5, 7.0, 7.0), &tooltip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_as_predicted_lies_on_the_diagonal() {
        let point = |predicted, observed, interval| AgreementPoint {
            label: "fifth 1".into(),
            patients: 100,
            predicted,
            observed,
            interval,
        };
        let figure = AgreementPlot {
            name: "calibration".into(),
            title: "Calibration".into(),
            description: String::new(),
            unit: "percent".into(),
            points: vec![
                point(50.0, 50.0, (40.0, 100.0)),
                point(0.0, f64::NAN, (f64::NAN, f64::NAN)),
            ],
        }
        .figure();
        let drawing = figure.embedded();
        // The middle of the frame, which goes from 50 to 376 and from 352 to 26.
        assert!(
            drawing.contains("class=\"dot\" d=\"M209.5 185.5h7"),
            "{drawing}"
        );
        assert!(
            drawing.contains("d=\"M213 221.6V26M209 221.6h8M209 26h8\""),
            "{drawing}"
        );
        assert!(!drawing.contains("NaN"), "{drawing}");
        assert_eq!(figure.csv().lines().count(), 3);
    }
}
