//! Rows of intervals against one scale: forest plots, tornadoes, a model beside a cohort.

use reseed_plot::Axis;

use super::canvas::{Anchor, Canvas, Frame, Number, circle, rectangle, width};
use super::{Figure, Table};

const WIDTH: f64 = 560.0;
const ROW: f64 = 20.0;
const TOP: f64 = 10.0;
const BELOW: f64 = 44.0;
const LABEL_MAX: f64 = 230.0;
const GAP: f64 = 12.0;
const LEGEND: f64 = 20.0;

/// Rows with marks.
#[derive(Debug, Clone)]
pub struct RowPlot {
    /// Identifies it.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What it shows, in words.
    pub description: String,
    /// What is along the bottom.
    pub x_label: String,
    /// Where nothing differs.
    pub neutral: f64,
    /// The rows, from the top.
    pub rows: Vec<Row>,
    /// What marks mean: their look and a word; may be empty.
    pub legend: Vec<(Look, String)>,
    /// Its numbers, for people.
    pub table: Table,
    /// Its numbers, for programs.
    pub data: Table,
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is about.
    pub label: String,
    /// The numbers at its right end.
    pub text: String,
    /// What is drawn; a row without marks is a heading.
    pub marks: Vec<Mark>,
}

/// An estimate with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// How it looks.
    pub look: Look,
    /// The estimate.
    pub value: f64,
    /// Its interval, or from where to where a bar goes.
    pub interval: (f64, f64),
    /// What a pointer is told.
    pub tooltip: String,
}

/// How a mark looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A filled square.
    Square,
    /// A hollow circle.
    Circle,
    /// A bar over the interval, in the colour of what is low.
    LowBar,
    /// A bar over the interval, in the colour of what is high.
    HighBar,
    /// A pale bar over the interval, behind other marks.
    Band,
}

impl Look {
    fn class(self) -> &'static str {
        match self {
            Self::Square | Self::Band => "c1",
            Self::Circle => "c0",
            Self::LowBar => "c6",
            Self::HighBar => "c2",
        }
    }
}

impl RowPlot {
    /// Draws it.
    pub fn figure(self) -> Figure {
        Figure {
            canvas: self.draw(),
            file: None,
            name: self.name,
            title: self.title,
            description: self.description,
            table: self.table,
            data: self.data,
        }
    }

    fn draw(&self) -> Canvas {
        let widest = |text: fn(&Row) -> &str| {
            let widths = self.rows.iter().map(|row| width(text(row)));
            widths.fold(0.0, f64::max)
        };
        let labels =
            widest(|row| if row.marks.is_empty() { "" } else { &row.label }).min(LABEL_MAX);
        let legend = if self.legend.is_empty() { 0.0 } else { LEGEND };
        let top = TOP + legend;
        let frame = Frame {
            left: labels + GAP,
            right: WIDTH - widest(|row| &row.text) - GAP,
            top,
            bottom: top + ROW * self.rows.len() as f64,
        };
        let axis = self.axis();
        let mut canvas = Canvas::new(WIDTH, frame.bottom + BELOW);
        self.draw_legend(&mut canvas, &frame);
        canvas.x_axis(&frame, &axis, &self.x_label);
        let neutral = Number(frame.x(&axis, self.neutral));
        canvas.path(
            "neutral",
            &format!("M{neutral} {}V{}", Number(top), Number(frame.bottom)),
        );
        for (row, index) in self.rows.iter().zip(0u32..) {
            let y = top + ROW * (f64::from(index) + 0.5);
            let class = if row.marks.is_empty() {
                "heading"
            } else {
                "name"
            };
            let room = if row.marks.is_empty() { WIDTH } else { labels };
            canvas.label(class, 0.0, y, room, &row.label);
            canvas.text("value", WIDTH, y, Anchor::End, &row.text);
            let (bars, others): (Vec<&Mark>, Vec<&Mark>) =
                row.marks.iter().partition(|mark| mark.look.is_bar());
            for bar in bars {
                bar.draw(&mut canvas, &frame, &axis, y);
            }
            let count = others.len() as f64;
            for (mark, place) in others.into_iter().zip(0u32..) {
                let aside = 6.0 * (f64::from(place) - (count - 1.0) / 2.0);
                mark.draw(&mut canvas, &frame, &axis, y + aside);
            }
        }
        canvas
    }

    fn axis(&self) -> Axis {
        let marks = self.rows.iter().flat_map(|row| &row.marks);
        let values = marks.flat_map(|mark| [mark.value, mark.interval.0, mark.interval.1]);
        let known = values.filter(|value| value.is_finite());
        let (low, high) = known.fold((self.neutral, self.neutral), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        Axis::over(low, high, 6)
    }

    fn draw_legend(&self, canvas: &mut Canvas, frame: &Frame) {
        let mut x = frame.left + 8.0;
        for (look, word) in &self.legend {
            canvas.open_group(look.class());
            canvas.path(look.shape_class(), &look.shape(x, TOP));
            canvas.close_group();
            canvas.text("name", x + 10.0, TOP, Anchor::Start, word);
            x += width(word) + 34.0;
        }
    }
}

impl Look {
    fn is_bar(self) -> bool {
        matches!(self, Self::LowBar | Self::HighBar | Self::Band)
    }

    fn shape_class(self) -> &'static str {
        match self {
            Self::Circle => "dot hollow",
            Self::Band => "band",
            Self::Square | Self::LowBar | Self::HighBar => "dot",
        }
    }

    fn bar_class(self) -> &'static str {
        if self == Self::Band { "band" } else { "bar" }
    }

    fn shape(self, x: f64, y: f64) -> String {
        if self == Self::Circle {
            circle(x, y)
        } else {
            rectangle(x - 3.5, y - 3.5, 7.0, 7.0)
        }
    }
}

impl Mark {
    fn draw(&self, canvas: &mut Canvas, frame: &Frame, axis: &Axis, y: f64) {
        canvas.open_group(self.look.class());
        let [low, high] = [self.interval.0, self.interval.1].map(|limit| {
            // What is infinite reaches to the edge.
            if limit.is_nan() {
                f64::NAN
            } else {
                frame.x(axis, limit)
            }
        });
        if self.look.is_bar() {
            let bar = rectangle(low.min(high), y - 6.5, (high - low).abs(), 13.0);
            canvas.mark(self.look.bar_class(), &bar, &self.tooltip);
        } else {
            if low.is_finite() && high.is_finite() {
                canvas.path(
                    "whisker",
                    &format!("M{} {}H{}", Number(low), Number(y), Number(high)),
                );
            }
            if self.value.is_finite() {
                let shape = self.look.shape(frame.x(axis, self.value), y);
                canvas.mark(self.look.shape_class(), &shape, &self.tooltip);
            }
        }
        canvas.close_group();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(look: Look, value: f64, interval: (f64, f64)) -> Mark {
        Mark {
            look,
            value,
            interval,
            tooltip: format!("{value}"),
        }
    }

    fn plot(marks: Vec<Mark>) -> String {
        let row = |label: &str, marks| Row {
            label: label.into(),
            text: String::new(),
            marks,
        };
        RowPlot {
            name: "forest".into(),
            title: "Forest".into(),
            description: String::new(),
            x_label: "points".into(),
            neutral: 0.0,
            rows: vec![row("nodes", Vec::new()), row("1-3", marks)],
            legend: Vec::new(),
            table: Table::default(),
            data: Table::default(),
        }
        .figure()
        .embedded()
    }

    #[test]
    fn an_interval_lies_where_the_scale_says() {
        let drawing = plot(vec![mark(Look::Square, -1.0, (-2.0, 0.0))]);
        // The label is three letters wide, the scale from -2 to 0 between 31.8 and 548.
        assert!(
            drawing.contains("class=\"whisker\" d=\"M31.8 40H548\""),
            "{drawing}"
        );
        assert!(
            drawing.contains("class=\"dot\" d=\"M286.4 36.5h7"),
            "{drawing}"
        );
        assert!(
            drawing.contains("class=\"neutral\" d=\"M548 10V50\""),
            "{drawing}"
        );
        assert!(drawing.contains("class=\"heading\""), "{drawing}");
    }

    #[test]
    fn what_is_not_known_is_not_drawn_and_infinity_is_the_edge() {
        let unknown = plot(vec![mark(Look::Square, f64::NAN, (f64::NAN, f64::NAN))]);
        assert!(
            !unknown.contains("whisker") && !unknown.contains("NaN"),
            "{unknown}"
        );
        let endless = plot(vec![mark(Look::Square, 1.0, (0.5, f64::INFINITY))]);
        assert!(endless.contains("H548\""), "{endless}");
        let bar = plot(vec![mark(Look::LowBar, 0.0, (0.0, -4.0))]);
        assert_eq!(bar.matches("class=\"bar\"").count(), 1);
    }
}
