//! Stacked bars: what became of all patients, arm by arm.

use reseed_plot::Axis;

use super::canvas::{Anchor, Canvas, Frame, rectangle, width};
use super::{Figure, Table, exact, fixed};

const WIDTH: f64 = 560.0;
const ROW: f64 = 22.0;
const BAR: f64 = 16.0;
const LEGEND_LINE: f64 = 18.0;
const LABEL_MAX: f64 = 180.0;
const BELOW: f64 = 44.0;
/// Parts narrower than this have no number in them.
const NUMBER_WIDTH: f64 = 28.0;

/// Bars of parts that add up to a hundred percent.
#[derive(Debug, Clone)]
pub struct StackPlot {
    /// Identifies it.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What it shows, in words.
    pub description: String,
    /// What the parts are, from the left.
    pub parts: Vec<String>,
    /// Label of every bar and its parts, percent.
    pub bars: Vec<(String, Vec<f64>)>,
}

impl StackPlot {
    /// Draws it.
    pub fn figure(self) -> Figure {
        Figure {
            canvas: self.draw(),
            file: None,
            table: self.table(|value| fixed(value, 2)),
            data: self.table(exact),
            name: self.name,
            title: self.title,
            description: self.description,
        }
    }

    fn table(&self, cell: fn(f64) -> String) -> Table {
        let parts = self.parts.iter().map(|part| format!("{part}, percent"));
        let columns = std::iter::once("arm".to_owned()).chain(parts);
        let row = |(label, values): &(String, Vec<f64>)| {
            let cells = values.iter().map(|value| cell(*value));
            std::iter::once(label.clone()).chain(cells).collect()
        };
        Table {
            columns: columns.collect(),
            rows: self.bars.iter().map(row).collect(),
        }
    }

    fn draw(&self) -> Canvas {
        let labels = self.bars.iter().map(|(label, _)| width(label));
        let left = labels.fold(0.0, f64::max).min(LABEL_MAX) + 12.0;
        let legend = self.legend_places();
        let lines = legend.last().map_or(0.0, |(_, y)| *y);
        let top = lines + LEGEND_LINE;
        let frame = Frame {
            left,
            right: WIDTH - 14.0,
            top,
            bottom: top + ROW * self.bars.len() as f64,
        };
        let axis = Axis::over(0.0, 100.0, 6);
        let mut canvas = Canvas::new(WIDTH, frame.bottom + BELOW);
        for ((index, part), (x, y)) in self.parts.iter().enumerate().zip(legend) {
            canvas.path(
                &format!("part p{index}"),
                &rectangle(x, y - 5.0, 10.0, 10.0),
            );
            canvas.text("name", x + 15.0, y, Anchor::Start, part);
        }
        canvas.x_axis(&frame, &axis, "percent of patients");
        for ((label, values), row) in self.bars.iter().zip(0u32..) {
            let middle = top + ROW * (f64::from(row) + 0.5);
            canvas.label("name", 0.0, middle, left - 12.0, label);
            let mut begin = 0.0;
            for (index, value) in values.iter().enumerate() {
                let (x, end) = (frame.x(&axis, begin), frame.x(&axis, begin + value));
                let bar = rectangle(x, middle - BAR / 2.0, end - x, BAR);
                let tooltip = format!("{label}, {}: {} %", self.parts[index], fixed(*value, 2));
                canvas.mark(&format!("part p{index}"), &bar, &tooltip);
                if end - x >= NUMBER_WIDTH {
                    let class = format!("inside q{index}");
                    canvas.text(
                        &class,
                        f64::midpoint(x, end),
                        middle,
                        Anchor::Middle,
                        &fixed(*value, 1),
                    );
                }
                begin += value;
            }
        }
        canvas
    }

    /// Where each part's name stands: in lines, from the left.
    fn legend_places(&self) -> Vec<(f64, f64)> {
        let (mut x, mut y) = (0.0, LEGEND_LINE / 2.0);
        let place = |part: &String| {
            let room = width(part) + 34.0;
            if x + room > WIDTH {
                (x, y) = (0.0, y + LEGEND_LINE);
            }
            let place = (x, y);
            x += room;
            place
        };
        self.parts.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_side_by_side_and_fill_the_bar() {
        let figure = StackPlot {
            name: "causes".into(),
            title: "Causes".into(),
            description: String::new(),
            parts: ["local", "distant", "none"].map(str::to_owned).into(),
            bars: vec![("control".into(), vec![10.0, 30.0, 60.0])],
        }
        .figure();
        let drawing = figure.embedded();
        // From 58.2 (seven letters and a gap) to 546.
        for bar in [
            "M58.2 30h48.8v16h-48.8z",
            "M107 30h146.3v16h-146.3z",
            "M253.3 30h292.7v16h-292.7z",
        ] {
            assert!(drawing.contains(bar), "no {bar} in {drawing}");
        }
        assert_eq!(drawing.matches("class=\"inside").count(), 3);
        assert!(
            figure.csv().ends_with("control,10,30,60\n"),
            "{}",
            figure.csv()
        );
    }
}
