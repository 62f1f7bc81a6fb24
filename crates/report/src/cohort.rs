//! What was seen in patients, to be set beside the control arm.

use serde::Deserialize;
use thiserror::Error;

/// Cohorts that come with the program, by the preset that they belong to.
const BUILT_IN: [(&str, &str); 2] = [
    ("breast", include_str!("../cohorts/breast.csv")),
    ("colorectal", include_str!("../cohorts/colorectal.csv")),
];

/// Columns that a cohort's file needs; others are left alone.
const COLUMNS: &str = "stratum, event, years, value, lower, upper and source";

/// Cumulative incidences in a cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// What it is called.
    pub name: String,
    /// The incidences.
    pub rows: Vec<CohortRow>,
}

/// The cumulative incidence of a kind of first event in patients of a stratum.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CohortRow {
    /// Label of the stratum, as the trial's strata are labelled; `all` for all patients.
    pub stratum: String,
    /// Kind of first event.
    pub event: CohortEvent,
    /// Years from the operation.
    pub years: f64,
    /// The incidence, a fraction.
    pub value: f64,
    /// Lower limit of its 95 % interval.
    pub lower: f64,
    /// Upper limit of its 95 % interval.
    pub upper: f64,
    /// Where it was seen.
    pub source: String,
}

/// Kinds of first event that cohorts tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CohortEvent {
    /// Local recurrence.
    Local,
    /// Distant recurrence.
    Distant,
    /// Local or distant recurrence.
    Recurrence,
    /// Death without a recurrence.
    DeathWithoutRecurrence,
}

impl CohortEvent {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::Local,
        Self::Distant,
        Self::Recurrence,
        Self::DeathWithoutRecurrence,
    ];

    /// Name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Distant => "distant",
            Self::Recurrence => "recurrence",
            Self::DeathWithoutRecurrence => "death_without_recurrence",
        }
    }

    /// Name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Local => "Local recurrence first",
            Self::Distant => "Distant recurrence first",
            Self::Recurrence => "Any recurrence",
            Self::DeathWithoutRecurrence => "Death without recurrence",
        }
    }
}

/// Why a file is no cohort.
#[derive(Debug, Error)]
pub enum CohortError {
    /// A line that cannot be read.
    #[error("cannot read cohort {name}: {problem}; it needs the columns {COLUMNS}")]
    Form {
        /// The cohort.
        name: String,
        /// What is wrong and where.
        problem: csv::Error,
    },
    /// A line that contradicts itself.
    #[error(
        "cohort {name}, line {line}: {value} with limits {lower} and {upper} by {years} years is no \
         cumulative incidence; fractions 0 <= lower <= value <= upper <= 1 and years above 0 are needed"
    )]
    Value {
        /// The cohort.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The incidence.
        value: f64,
        /// Its lower limit.
        lower: f64,
        /// Its upper limit.
        upper: f64,
        /// The time.
        years: f64,
    },
    /// No lines.
    #[error("cohort {0} has no rows; give at least one incidence")]
    Empty(String),
}

impl Cohort {
    /// The cohort that belongs to a preset, for a trial that has the name of the preset or of its
    /// targets.
    ///
    /// # Panics
    /// Never: a test reads all of them.
    pub fn built_in(trial: &str) -> Option<Self> {
        let belongs = |preset: &str| {
            let rest = trial.strip_prefix(preset);
            rest.is_some_and(|rest| rest.is_empty() || rest == "-targets")
        };
        let (name, text) = BUILT_IN.into_iter().find(|(preset, _)| belongs(preset))?;
        Some(Self::parse(name, text).expect("the program's own cohorts are right"))
    }

    /// Reads a CSV file with a head; lines that begin with `#` are comments.
    ///
    /// # Errors
    /// [`CohortError`] for the first line that is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, CohortError> {
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let form = |problem| CohortError::Form {
            name: name.into(),
            problem,
        };
        let head = reader.headers().map_err(form)?.clone();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(form)?;
            let row: CohortRow = record.deserialize(Some(&head)).map_err(form)?;
            let CohortRow {
                value,
                lower,
                upper,
                years,
                ..
            } = row;
            let ordered = 0.0 <= lower && lower <= value && value <= upper && upper <= 1.0;
            if !(ordered && years > 0.0 && years.is_finite()) {
                return Err(CohortError::Value {
                    name: name.into(),
                    line: record.position().map_or(0, csv::Position::line),
                    value,
                    lower,
                    upper,
                    years,
                });
            }
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(CohortError::Empty(name.into()));
        }
        Ok(Self {
            name: name.into(),
            rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "stratum,event,years,value,lower,upper,source\n";

    #[test]
    fn presets_have_their_cohorts() {
        let breast = Cohort::built_in("breast-targets").expect("one");
        assert_eq!((breast.name.as_str(), breast.rows.len()), ("breast", 27));
        assert_eq!(Cohort::built_in("colorectal").expect("one").rows.len(), 8);
        assert_eq!(Cohort::built_in("breasts"), None);
        assert_eq!(Cohort::built_in("melanoma"), None);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = |lines: &str| {
            let error = Cohort::parse("mine.csv", &format!("{HEAD}{lines}"));
            error.expect_err("wrong").to_string()
        };
        let text = wrong("all,local,5,0.1,0.05,0.2,here\nall,local,5,0.3,0.05,0.2,here\n");
        assert!(
            text.contains("mine.csv, line 3: 0.3 with limits 0.05 and 0.2"),
            "{text}"
        );
        let text = wrong("all,relapse,5,0.1,0.05,0.2,here\n");
        assert!(
            text.contains("line: 2") && text.contains("unknown variant `relapse`"),
            "{text}"
        );
        let text = wrong("all,local,five,0.1,0.05,0.2,here\n");
        assert!(
            text.contains("invalid float") && text.contains("needs the columns"),
            "{text}"
        );
        assert!(wrong("all,local,0,0.1,0.05,0.2,here\n").contains("years above 0"));
        assert!(wrong("").contains("has no rows"));
        let text = Cohort::parse("mine.csv", "stratum,years\nall,5\n")
            .expect_err("wrong")
            .to_string();
        assert!(text.contains("missing field"), "{text}");
    }
}
