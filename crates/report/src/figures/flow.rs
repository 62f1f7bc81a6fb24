//! Who was screened, excluded and enrolled, and what became of them: after the flow diagram of
//! CONSORT 2010 (Schulz et al., BMJ 2010;340:c332), but nobody is randomised here.

use super::canvas::{Anchor, Canvas, Number, rectangle, width};
use super::{Figure, Table};
use crate::text::grouped;

const WIDTH: f64 = 560.0;
const LINE: f64 = 17.0;
const PADDING: f64 = 10.0;
const GAP: f64 = 24.0;
/// Width of the boxes on the main line.
const BOX: f64 = 264.0;
const COUNT_COLUMN: f64 = 74.0;

/// Numbers of patients from screening to the end of follow-up.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Patients screened.
    pub screened: u64,
    /// Patients excluded, by reason; reasons of nobody are left out.
    pub excluded: Vec<(String, u64)>,
    /// Patients enrolled.
    pub enrolled: u64,
    /// Years of follow-up.
    pub years: f64,
    /// By arm: first events until the end of follow-up and patients without any, in the order
    /// of [`OUTCOMES`].
    pub arms: Vec<(String, [u64; OUTCOMES.len()])>,
}

/// What can become of a patient.
pub const OUTCOMES: [&str; 4] = ["local", "distant", "death", "no event"];

impl Flow {
    /// Draws it.
    pub fn figure(&self) -> Figure {
        Figure {
            name: "flow".into(),
            title: "Flow of patients".into(),
            description: self.description(),
            canvas: self.draw(),
            file: None,
            table: self.table(grouped),
            data: self.table(|count| count.to_string()),
        }
    }

    fn excluded_in_all(&self) -> u64 {
        self.excluded.iter().map(|(_, count)| count).sum()
    }

    fn description(&self) -> String {
        format!(
            "{} patients screened, {} excluded, {} enrolled; each of them lives once in each of {} arms.",
            grouped(self.screened),
            grouped(self.excluded_in_all()),
            grouped(self.enrolled),
            self.arms.len()
        )
    }

    fn table(&self, count: fn(u64) -> String) -> Table {
        let mut table = Table::new(&["step", "arm", "outcome", "patients"]);
        let mut push = |step: &str, arm: &str, outcome: &str, patients| {
            table.push([step.into(), arm.into(), outcome.into(), count(patients)]);
        };
        push("screened", "", "", self.screened);
        for (reason, patients) in &self.excluded {
            push("excluded", "", reason, *patients);
        }
        push("enrolled", "", "", self.enrolled);
        for (arm, counts) in &self.arms {
            for (outcome, patients) in OUTCOMES.iter().zip(counts) {
                push("first event", arm, outcome, *patients);
            }
        }
        table
    }

    fn draw(&self) -> Canvas {
        let reasons = self
            .excluded
            .iter()
            .map(|(reason, count)| format!("{}: {}", reason.replace('_', " "), grouped(*count)));
        let mut excluded = vec![format!("Excluded: {}", grouped(self.excluded_in_all()))];
        excluded.extend(reasons);
        let screened = [format!("Screened: {}", grouped(self.screened))];
        let enrolled = [
            format!("Enrolled: {}", grouped(self.enrolled)),
            format!("Each lives once in each of {} arms;", self.arms.len()),
            "nobody is randomised".to_owned(),
        ];
        let aside = height(excluded.len());
        let screened_end = height(1);
        let enrolled_top = screened_end + GAP + aside + GAP;
        let arms_top = enrolled_top + height(enrolled.len()) + GAP;
        let arms_height = height(self.arms.len() + 2);
        let mut canvas = Canvas::new(WIDTH, arms_top + arms_height + 2.0);
        let middle = BOX / 2.0;
        arrow(
            &mut canvas,
            &[(middle, screened_end), (middle, enrolled_top)],
        );
        let turn = screened_end + GAP + aside / 2.0;
        arrow(&mut canvas, &[(middle, turn), (BOX + 30.0, turn)]);
        arrow(&mut canvas, &[(middle, arms_top - GAP), (middle, arms_top)]);
        boxed(&mut canvas, 1.0, 1.0, BOX, &screened);
        let right = BOX + 30.0;
        boxed(
            &mut canvas,
            right,
            screened_end + GAP,
            WIDTH - right - 1.0,
            &excluded,
        );
        boxed(&mut canvas, 1.0, enrolled_top, BOX, &enrolled);
        self.draw_arms(&mut canvas, arms_top, arms_height);
        canvas
    }

    fn draw_arms(&self, canvas: &mut Canvas, top: f64, height: f64) {
        canvas.path("box", &rectangle(1.0, top, WIDTH - 2.0, height));
        let mut y = top + PADDING + LINE / 2.0;
        let title = format!("First events within {} years", self.years);
        canvas.text("strong", PADDING + 1.0, y, Anchor::Start, &title);
        let column =
            |index: usize| WIDTH - PADDING - COUNT_COLUMN * (OUTCOMES.len() - 1 - index) as f64;
        y += LINE;
        for (index, outcome) in OUTCOMES.iter().enumerate() {
            canvas.text("tick", column(index), y, Anchor::End, outcome);
        }
        let room = column(0) - PADDING - width("9,999,999");
        for (arm, counts) in &self.arms {
            y += LINE;
            canvas.label("name", PADDING + 1.0, y, room, arm);
            for (index, count) in counts.iter().enumerate() {
                canvas.text("value", column(index), y, Anchor::End, &grouped(*count));
            }
        }
    }
}

/// Height of a box of so many lines.
fn height(lines: usize) -> f64 {
    2.0 * PADDING + LINE * lines as f64
}

/// A box with lines of text, the first of which is strong.
fn boxed(canvas: &mut Canvas, x: f64, y: f64, width: f64, lines: &[String]) {
    canvas.path("box", &rectangle(x, y, width, height(lines.len())));
    for (line, index) in lines.iter().zip(0u32..) {
        let class = if index == 0 { "strong" } else { "name" };
        let y = y + PADDING + LINE * (f64::from(index) + 0.5);
        canvas.label(class, x + PADDING, y, width - 2.0 * PADDING, line);
    }
}

/// A line with a head at its end, along one of the axes.
fn arrow(canvas: &mut Canvas, points: &[(f64, f64); 2]) {
    let [(x, y), (end_x, end_y)] = points.map(|(x, y)| (Number(x), Number(y)));
    let head = if points[0].1 < points[1].1 {
        "l-4 -7h8z"
    } else {
        "l-7 -4v8z"
    };
    canvas.path("arrow", &format!("M{x} {y}L{end_x} {end_y}"));
    canvas.path("head", &format!("M{end_x} {end_y}{head}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_there() {
        let figure = Flow {
            screened: 1_000_000,
            excluded: vec![("metastatic".into(), 38_000), ("too_old".into(), 2_000)],
            enrolled: 960_000,
            years: 20.0,
            arms: vec![("control".into(), [100_001, 200_002, 300_003, 359_994])],
        }
        .figure();
        let drawing = figure.embedded();
        for text in [
            "Screened: 1,000,000",
            "Excluded: 40,000",
            "too old: 2,000",
            "Enrolled: 960,000",
            "nobody is randomised",
            ">100,001<",
            ">359,994<",
        ] {
            assert!(drawing.contains(text), "no {text} in {drawing}");
        }
        assert!(
            figure
                .csv()
                .contains("first event,control,distant,200002\n")
        );
    }
}
