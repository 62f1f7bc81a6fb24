//! Validations as text.

use std::fmt::Write as _;

use reseed_stats::distribution::CRITICAL_95;

use super::{ValidatedCohort, ValidatedGroup, ValidatedTargets, ValidatedTime, Validation};
use crate::figures::Table;
use crate::text::{
    NOTHING, endpoint_in_words, first_line, fixed, grouped, laid_out, lay_out, range, years,
};

const NOTES: &str = "\
predicted      cumulative incidence in percent that the virtual patients of each
               patient's stratum have, the mean over the patients
observed       cumulative incidence in percent (Aalen–Johansen)
C              share of comparable pairs of patients in which the one with the higher
               prediction has the event first; ties are half; 0.5 is chance. Harrell's
               counts all pairs alike, Uno's so that it does not depend on how long
               patients were followed
Brier          mean squared error, and averaged from 0 to the time; scaled: 1 is perfect,
               0 is no better than the cohort's own incidence for everybody
O/E            observed events over those expected while patients were followed
slope          1 if risks differ as predicted, below 1 if they differ less
intercept      logarithm of O/E at the mean prediction, beside the slope
";

const NOTE_OF_TARGETS: &str = "\
inside         whether the model's value lies in the cohort's 95 % interval
";

/// A measure's name and what it is by a time.
type Measure = (&'static str, fn(&ValidatedTime) -> String);

const MEASURES: [Measure; 15] = [
    ("predicted", |time| fixed(time.predicted, 100.0, 1)),
    ("observed", |time| fixed(time.observed, 100.0, 1)),
    ("  95 % CI", |time| {
        range(time.observed_lower, time.observed_upper, 100.0, 1)
    }),
    ("observed/predicted", |time| {
        fixed(time.observed_to_predicted, 1.0, 2)
    }),
    ("  95 % CI", |time| {
        let (lower, upper) = (
            time.observed_to_predicted_lower,
            time.observed_to_predicted_upper,
        );
        range(lower, upper, 1.0, 2)
    }),
    ("Harrell's C (SE)", |time| {
        with_error(time.harrell, time.harrell_standard_error)
    }),
    ("Uno's C (SE)", |time| {
        with_error(time.uno, time.uno_standard_error)
    }),
    ("tied pairs, %", |time| fixed(time.tied, 100.0, 1)),
    ("Brier", |time| fixed(time.brier, 1.0, 4)),
    ("Brier, scaled", |time| fixed(time.brier_scaled, 1.0, 3)),
    ("integrated Brier", |time| {
        fixed(time.integrated_brier, 1.0, 4)
    }),
    ("integrated Brier, scaled", |time| {
        fixed(time.integrated_brier_scaled, 1.0, 3)
    }),
    ("O/E (95 % CI)", |time| {
        let (lower, upper) = (
            time.observed_to_expected_lower,
            time.observed_to_expected_upper,
        );
        let interval = range(lower, upper, 1.0, 2);
        format!("{} ({interval})", fixed(time.observed_to_expected, 1.0, 2))
    }),
    ("slope (95 % CI)", |time| {
        with_interval(time.slope, time.slope_standard_error)
    }),
    ("intercept (95 % CI)", |time| {
        with_interval(time.intercept, time.intercept_standard_error)
    }),
];

fn with_error(value: Option<f64>, error: Option<f64>) -> String {
    if value.is_none() {
        return NOTHING.to_owned();
    }
    format!("{} ({})", fixed(value, 1.0, 3), fixed(error, 1.0, 3))
}

fn with_interval(value: Option<f64>, error: Option<f64>) -> String {
    let (Some(value), Some(error)) = (value, error) else {
        return NOTHING.to_owned();
    };
    let distance = CRITICAL_95 * error;
    let interval = range(Some(value - distance), Some(value + distance), 1.0, 2);
    format!("{} ({interval})", fixed(Some(value), 1.0, 2))
}

impl Validation {
    /// Tables for people.
    pub fn to_text(&self) -> String {
        let mut text = first_line(&self.trial, &self.title);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<10} {}", "seed", self.seed);
        let _ = writeln!(text, "{:<10} {}", "digest", self.digest);
        let _ = writeln!(text, "{:<10} {}", "arm", self.arm);
        if let Some(cohort) = &self.cohort {
            text.push_str(&cohort.to_text());
        }
        if let Some(targets) = &self.targets {
            text.push_str(&targets.to_text());
        }
        text
    }
}

impl ValidatedCohort {
    fn to_text(&self) -> String {
        let competing = if self.competing > 0 {
            format!(", {} with a competing one", grouped(self.competing))
        } else {
            String::new()
        };
        let mut text = format!(
            "{:<10} {}: {} patients, {} with the event{competing}; followed {} (median)\n",
            "cohort",
            self.name,
            grouped(self.patients),
            grouped(self.events),
            self.followed_years_median.map_or(NOTHING.to_owned(), years)
        );
        let endpoint = endpoint_in_words(self.endpoint);
        let _ = writeln!(
            text,
            "\n{endpoint}, predicted and observed\n{}",
            laid_out(&self.measures())
        );
        for groups in self.groups.chunk_by(same_table) {
            let _ = writeln!(
                text,
                "\n{}\n{}",
                heading(endpoint, &groups[0]),
                rows(groups)
            );
        }
        let _ = write!(text, "\n{NOTES}");
        text
    }

    /// Every measure, with a column for each time.
    pub(crate) fn measures(&self) -> Table {
        let times = self.times.iter();
        let header = times.map(|time| format!("within {}", years(time.time_years)));
        let row = |(name, of): &Measure| {
            let cells = self.times.iter().map(of);
            std::iter::once((*name).to_owned()).chain(cells).collect()
        };
        Table {
            columns: std::iter::once(String::new()).chain(header).collect(),
            rows: MEASURES.iter().map(row).collect(),
        }
    }
}

fn same_table(a: &ValidatedGroup, b: &ValidatedGroup) -> bool {
    a.grouping == b.grouping && a.time_days.total_cmp(&b.time_days).is_eq()
}

fn heading(endpoint: &str, group: &ValidatedGroup) -> String {
    let what = if group.grouping == "risk" {
        "groups by predicted risk, the lowest first"
    } else {
        "strata"
    };
    format!("{endpoint} within {}, {what}", years(group.time_years))
}

fn rows(groups: &[ValidatedGroup]) -> String {
    let header = ["patients", "predicted", "observed", "95 % CI"];
    let cells = |group: &ValidatedGroup| {
        let cells = vec![
            grouped(group.patients),
            fixed(group.predicted, 100.0, 1),
            fixed(group.observed, 100.0, 1),
            range(group.observed_lower, group.observed_upper, 100.0, 1),
        ];
        (group.group.clone(), cells)
    };
    let header = header.map(str::to_owned).into();
    lay_out("group", header, groups.iter().map(cells)).trim_fmt()
}

impl ValidatedTargets {
    fn to_text(&self) -> String {
        let header = ["years", "model", "cohort", "95 % CI", "inside"];
        let rows = self.rows.iter().map(|row| {
            let cells = vec![
                row.time_years.to_string(),
                fixed(row.model, 100.0, 1),
                fixed(Some(row.observed), 100.0, 1),
                range(Some(row.observed_lower), Some(row.observed_upper), 100.0, 1),
                if row.inside { "yes" } else { "no" }.to_owned(),
            ];
            (format!("{}, {}", row.event, row.stratum), cells)
        });
        let table = lay_out("first event", header.map(str::to_owned).into(), rows);
        let mut text = format!(
            "\n{}: the model is inside {} of {} intervals ({} %)\n{}\n",
            self.name,
            self.inside,
            self.compared,
            fixed(self.inside_share, 100.0, 0),
            table.trim_fmt()
        );
        if !self.left_out.is_empty() {
            let _ = writeln!(
                text,
                "not compared, because the result has no such stratum or time: {}",
                self.left_out.join("; ")
            );
        }
        let _ = write!(text, "\n{NOTE_OF_TARGETS}");
        text
    }
}
