//! Power as text.

use std::fmt::Write as _;

use super::{Power, PowerRow};
use crate::text::{NOTHING, endpoint_in_words, first_line, fixed, grouped, lay_out, number, range};

/// Heights of the points of a curve.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

const NOTES: &str = "\
power       percent of the trials that reject for benefit; of the control against
            itself (null), for benefit or harm: the type I error. The interval has
            regard to what trials drawn from the same patients share
HR          mean hazard ratio (geometric) at the planned end
";

const NOTE_OF_ASSURANCE: &str = "\
assurance   here all power is averaged over the uncertain parameters
";

const NOTES_OF_LOOKS: &str = "\
reported    the same when trials stop, which early stopping makes look better
fixed       power of one analysis at the planned end
";

const NOTES_OF_MEANS: &str = "\
Schoenfeld  power of that analysis by Schoenfeld's formula from the mean hazard
            ratio and events; it takes hazards for proportional
patients, events, months  means when trials stop
";

impl Power {
    /// Tables for people: power against size, and for every size what its trials come to.
    pub fn to_text(&self) -> String {
        let mut text = self.header();
        let sizes: Vec<&[PowerRow]> = self.rows.chunk_by(same_size).collect();
        if sizes.len() > 1 {
            let quantity = if self.assurance { "Assurance" } else { "Power" };
            let curves = curves(&sizes);
            let _ = writeln!(
                text,
                "\n{quantity} against patients of both groups\n{curves}"
            );
        }
        for rows in sizes {
            let _ = writeln!(text, "\n{}\n{}", heading(&rows[0]), self.table(rows));
        }
        let assurance = if self.assurance {
            NOTE_OF_ASSURANCE
        } else {
            ""
        };
        let looks = if self.looks.len() > 1 {
            NOTES_OF_LOOKS
        } else {
            ""
        };
        let _ = write!(text, "\n{NOTES}{assurance}{looks}{NOTES_OF_MEANS}");
        text
    }

    fn header(&self) -> String {
        let mut text = first_line(&self.trial, &self.title);
        let mut line = |label: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{label:<10} {value}");
        };
        line("seed", &self.seed.to_string());
        line("digest", &self.digest);
        line("control", &self.control);
        line("endpoint", endpoint_in_words(self.endpoint));
        line(
            "trials",
            &format!(
                "{} of each arm and size, from {} {} of patients",
                grouped(self.virtual_trials),
                grouped(self.blocks as u64),
                if self.blocks == 1 { "block" } else { "blocks" }
            ),
        );
        line(
            "plan",
            &format!(
                "{} months of accrual and {} of follow-up; two-sided level {}",
                number(self.accrual_months, 0),
                number(self.follow_up_months, 0),
                self.alpha
            ),
        );
        line("looks", &self.looks_in_words());
        text
    }

    fn looks_in_words(&self) -> String {
        let (_, early) = self.looks.split_last().unwrap_or((&1.0, &[]));
        let measure = if self.event_driven {
            "the planned events"
        } else {
            "the time"
        };
        if early.is_empty() {
            return if self.event_driven {
                format!("one, at {measure}")
            } else {
                "one, at the end".to_owned()
            };
        }
        let at: Vec<String> = (early.iter())
            .map(|look| format!("{} %", number(100.0 * look, 0)))
            .collect();
        let rule = match self.spending {
            "none" => "each at the full level, without a rule".to_owned(),
            spending => format!("{spending} alpha spending"),
        };
        format!("at {} and all of {measure}; {rule}", at.join(", "))
    }

    /// What trials of one size come to.
    fn table(&self, rows: &[PowerRow]) -> String {
        let with_looks = self.looks.len() > 1;
        let mut header = vec!["power", "95 % CI"];
        header.extend(with_looks.then_some("fixed"));
        header.extend(["Schoenfeld", "HR", "95 % CI"]);
        header.extend(with_looks.then_some("reported"));
        header.extend(["events", "patients", "months"]);
        let header = header.into_iter().map(str::to_owned).collect();
        let cells = |row: &PowerRow| {
            let (power, interval) = power_of(row);
            let (at_end, formula) = if row.is_null {
                (row.fixed_rejection, None)
            } else {
                (row.fixed_power, row.schoenfeld_power)
            };
            let mut cells = vec![power, interval];
            cells.extend(with_looks.then(|| fixed(at_end, 100.0, 1)));
            cells.extend([
                fixed(formula, 100.0, 1),
                fixed(row.hazard_ratio, 1.0, 3),
                range(row.hazard_ratio_lower, row.hazard_ratio_upper, 1.0, 3),
            ]);
            cells.extend(with_looks.then(|| fixed(row.reported_hazard_ratio, 1.0, 3)));
            cells.extend([
                fixed(row.events, 1.0, 1),
                fixed(row.patients, 1.0, 0),
                fixed(row.months, 1.0, 1),
            ]);
            (name(row), cells)
        };
        lay_out("arm", header, rows.iter().map(cells)).trim_fmt()
    }
}

fn same_size(one: &PowerRow, other: &PowerRow) -> bool {
    one.control_patients == other.control_patients
}

fn size(row: &PowerRow) -> String {
    let groups = [row.control_patients, row.treated_patients].map(|count| grouped(count as u64));
    groups.join(" + ")
}

fn heading(row: &PowerRow) -> String {
    let planned = row.planned_events.map_or_else(String::new, |events| {
        format!(", until {} events", grouped(events))
    });
    format!("{} patients{planned}", size(row))
}

fn name(row: &PowerRow) -> String {
    if row.is_null {
        format!("{} (null)", row.arm)
    } else {
        row.arm.clone()
    }
}

/// Power with its interval, percent; of the control against itself, the type I error.
fn power_of(row: &PowerRow) -> (String, String) {
    let (share, lower, upper) = if row.is_null {
        (row.rejection, row.rejection_lower, row.rejection_upper)
    } else {
        (row.power, row.power_lower, row.power_upper)
    };
    (fixed(share, 100.0, 1), range(lower, upper, 100.0, 1))
}

/// Power of every arm against size, as numbers and as a curve.
fn curves(sizes: &[&[PowerRow]]) -> String {
    let mut header: Vec<String> = sizes.iter().map(|rows| size(&rows[0])).collect();
    header.push(String::new());
    let arms = 0..sizes[0].len();
    let rows = arms.map(|arm| {
        let by_size: Vec<&PowerRow> = sizes.iter().map(|rows| &rows[arm]).collect();
        let mut cells: Vec<String> = by_size.iter().map(|row| power_of(row).0).collect();
        cells.push(by_size.iter().map(|row| point(row)).collect());
        (name(by_size[0]), cells)
    });
    lay_out("arm", header, rows).trim_fmt()
}

/// A point of a curve from 0 to 100 %.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the number of levels"
)]
fn point(row: &PowerRow) -> String {
    let share = if row.is_null {
        row.rejection
    } else {
        row.power
    };
    share.map_or_else(
        || NOTHING.to_owned(),
        |share| {
            let level = (share * LEVELS.len() as f64) as usize;
            LEVELS[level.min(LEVELS.len() - 1)].to_string()
        },
    )
}
