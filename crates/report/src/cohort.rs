//! What was seen in patients, to be set beside the control arm.

use serde::Deserialize;
use thiserror::Error;

/// Cohorts that come with the program, by the preset that they belong to.
const BUILT_IN: [(&str, &str); 2] = [
    ("breast", include_str!("../cohorts/breast.csv")),
    ("colorectal", include_str!("../cohorts/colorectal.csv")),
];

/// Columns that a cohort's file needs; others are left alone, but for `quantity`.
const COLUMNS: &str = "stratum, event, years, value, lower, upper and source";

/// Between the labels of strata that belong together.
const AND: char = ';';

/// What was seen in a cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// What it is called.
    pub name: String,
    /// The quantities.
    pub rows: Vec<CohortRow>,
}

/// A quantity of a kind of first event in patients of a stratum.
#[derive(Debug, Clone, PartialEq)]
pub struct CohortRow {
    /// Label of the stratum, as the trial's strata are labelled; `all` for all patients, several
    /// with `;` between them for those of any.
    pub stratum: String,
    /// Kind of first event.
    pub event: CohortEvent,
    /// What was seen of it.
    pub quantity: Quantity,
    /// The value: a fraction, or years.
    pub value: f64,
    /// Lower limit of its 95 % interval.
    pub lower: f64,
    /// Upper limit of its 95 % interval.
    pub upper: f64,
    /// Where it was seen.
    pub source: String,
}

/// What a cohort tells about a kind of event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// Cumulative incidence, a fraction.
    Incidence {
        /// Years from the operation.
        years: f64,
    },
    /// When the event's hazard, smoothed with a bandwidth of 0.75 years, is highest: years from
    /// the operation.
    HazardPeak,
}

impl Quantity {
    /// Name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incidence { .. } => QuantityName::Incidence.name(),
            Self::HazardPeak => QuantityName::HazardPeakYears.name(),
        }
    }
}

/// What the column `quantity` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum QuantityName {
    Incidence,
    HazardPeakYears,
}

impl QuantityName {
    const fn name(self) -> &'static str {
        match self {
            Self::Incidence => "incidence",
            Self::HazardPeakYears => "hazard_peak_years",
        }
    }
}

/// A line of a file.
#[derive(Debug, Deserialize)]
struct Line {
    stratum: String,
    event: CohortEvent,
    #[serde(default)]
    quantity: Option<QuantityName>,
    years: Option<f64>,
    value: f64,
    lower: f64,
    upper: f64,
    source: String,
}

impl Line {
    /// The row, unless it contradicts itself.
    fn row(self) -> Result<CohortRow, String> {
        let Self {
            value,
            lower,
            upper,
            years,
            ..
        } = self;
        let is_ordered = 0.0 <= lower && lower <= value && value <= upper && upper.is_finite();
        let limits = format!("{value} with limits {lower} and {upper}");
        let quantity = match self.quantity.unwrap_or(QuantityName::Incidence) {
            QuantityName::Incidence => {
                let years = years.ok_or(
                    "there are no years; a cumulative incidence needs the time by which it is, \
                     years above 0",
                )?;
                if !(is_ordered && upper <= 1.0 && years > 0.0 && years.is_finite()) {
                    return Err(format!(
                        "{limits} by {years} years is no cumulative incidence; fractions \
                         0 <= lower <= value <= upper <= 1 and years above 0 are needed"
                    ));
                }
                Quantity::Incidence { years }
            }
            QuantityName::HazardPeakYears => {
                if !is_ordered || years.is_some() {
                    return Err(format!(
                        "{limits} is no time of a hazard's peak; years with \
                         0 <= lower <= value <= upper are needed, and nothing in the column years"
                    ));
                }
                Quantity::HazardPeak
            }
        };
        Ok(CohortRow {
            stratum: self.stratum,
            event: self.event,
            quantity,
            value,
            lower,
            upper,
            source: self.source,
        })
    }
}

impl CohortRow {
    /// The labels of the strata that it is of.
    pub(crate) fn strata(&self) -> impl Iterator<Item = &str> {
        self.stratum.split(AND).map(str::trim)
    }
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
    #[error("cohort {name}, line {line}: {problem}")]
    Value {
        /// The cohort.
        name: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// No lines.
    #[error("cohort {0} has no rows; give at least one")]
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
            let line: Line = record.deserialize(Some(&head)).map_err(form)?;
            let row = line.row().map_err(|problem| CohortError::Value {
                name: name.into(),
                line: record.position().map_or(0, csv::Position::line),
                problem,
            })?;
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
        assert_eq!((breast.name.as_str(), breast.rows.len()), ("breast", 32));
        assert_eq!(Cohort::built_in("colorectal").expect("one").rows.len(), 9);
        let peaks = |cohort: &Cohort| {
            let rows = cohort.rows.iter();
            let peaks = rows.filter(|row| row.quantity == Quantity::HazardPeak);
            peaks.map(|row| (row.event, row.value)).collect::<Vec<_>>()
        };
        let expected = [
            (CohortEvent::Distant, 1.25),
            (CohortEvent::Recurrence, 1.55),
            (CohortEvent::Distant, 1.5),
            (CohortEvent::Distant, 1.15),
            (CohortEvent::Distant, 1.05),
        ];
        assert_eq!(peaks(&breast), expected);
        let colorectal = Cohort::built_in("colorectal").expect("one");
        let last = colorectal.rows.last().expect("a row");
        assert_eq!(last.quantity, Quantity::HazardPeak);
        assert_eq!(last.strata().collect::<Vec<_>>(), ["nodes 1-4", "nodes 5+"]);
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
        assert!(wrong("all,local,,0.1,0.05,0.2,here\n").contains("years above 0"));
        assert!(wrong("").contains("has no rows"));
        let text = Cohort::parse("mine.csv", "stratum,years\nall,5\n")
            .expect_err("wrong")
            .to_string();
        assert!(text.contains("missing field"), "{text}");
    }

    #[test]
    fn a_peak_has_a_time_as_its_value_and_no_other() {
        let head = "quantity,stratum,event,years,value,lower,upper,source\n";
        let read = |lines: &str| Cohort::parse("mine.csv", &format!("{head}{lines}"));
        let cohort = read(
            "hazard_peak_years,all,distant,,1.25,1.15,1.6,here\n\
             ,all,distant,2,0.1,0.05,0.2,here\nincidence,all,distant,2,0.1,0.05,0.2,here\n",
        )
        .expect("a cohort");
        let years = Quantity::Incidence { years: 2.0 };
        let quantities: Vec<Quantity> = cohort.rows.iter().map(|row| row.quantity).collect();
        assert_eq!(quantities, [Quantity::HazardPeak, years, years]);
        for (line, says) in [
            (
                "hazard_peak_years,all,distant,2,1.25,1.15,1.6,here",
                "nothing in the column years",
            ),
            (
                "hazard_peak_years,all,distant,,1.25,1.3,1.6,here",
                "limits 1.3 and 1.6",
            ),
            (
                "peak,all,distant,,1.25,1.15,1.6,here",
                "unknown variant `peak`",
            ),
        ] {
            let text = read(line).expect_err("wrong").to_string();
            assert!(text.contains(says), "{text}");
        }
    }
}
