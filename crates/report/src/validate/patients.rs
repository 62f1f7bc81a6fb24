//! Patients of a cohort, as a file lists them.

use std::collections::BTreeMap;

use reseed_stats::ExitKind::{self, Censored, Competing, Event};
use reseed_stats::validation::Followed;
use thiserror::Error;

use super::Outcome;

/// What stands in a file where nothing is known.
const UNKNOWN: [&str; 3] = ["", "NA", "."];

/// Line numbers shown of many.
const LINES_SHOWN: usize = 10;

/// What `event` may say, and how the patient leaves by it, for each of [`Outcome::ALL`]; none where
/// it does not tell.
const EVENTS: [(&str, [Option<ExitKind>; 5]); 9] = [
    ("none", [Some(Censored); 5]),
    (
        "local",
        [Some(Event), Some(Competing), Some(Event), Some(Event), None],
    ),
    (
        "distant",
        [Some(Competing), Some(Event), Some(Event), Some(Event), None],
    ),
    ("recurrence", [None, None, Some(Event), Some(Event), None]),
    (
        "death_without_recurrence",
        [
            Some(Competing),
            Some(Competing),
            Some(Competing),
            Some(Event),
            None,
        ],
    ),
    ("recurrence_or_death", [None, None, None, Some(Event), None]),
    ("death", [None, None, None, None, Some(Event)]),
    ("cancer_death", [None, None, None, None, Some(Event)]),
    ("other_death", [None, None, None, None, Some(Event)]),
];

/// Patients who were followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Patients {
    /// What the cohort is called.
    pub name: String,
    /// What they were followed for.
    pub outcome: Outcome,
    pub(super) rows: Vec<Patient>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Patient {
    pub(super) line: u64,
    pub(super) followed: Followed,
    pub(super) stratum: usize,
}

/// The strata of a trial, as a cohort's patients fall into them.
pub struct Predicted<'a> {
    /// Covariates that divide the trial's patients: columns that a cohort's file needs.
    pub covariates: &'a [&'a str],
    /// The stratum of a patient with these values.
    pub stratum: &'a dyn Fn(&[f64]) -> usize,
    /// Labels of the strata.
    pub labels: &'a [String],
    /// Virtual patients in each.
    pub enrolled: &'a [u64],
}

/// Why a file is no cohort of patients.
#[derive(Debug, Error)]
pub enum PatientsError {
    /// A line that cannot be read.
    #[error("cannot read cohort {name}: {problem}; a CSV file with a head is needed")]
    Form {
        /// The cohort.
        name: String,
        /// What is wrong and where.
        problem: csv::Error,
    },
    /// A head that lacks columns.
    #[error(
        "cohort {name}, line {line}: there is no column {}; the columns needed are years, event \
         and, since the trial divides its patients by them, {}; add it, or run a trial whose \
         [strata] have what the cohort knows",
        missing.join(", "),
        if covariates.is_empty() { "no others".to_owned() } else { covariates.join(", ") }
    )]
    Columns {
        /// The cohort.
        name: String,
        /// The line of the head.
        line: u64,
        /// Columns that are not there.
        missing: Vec<String>,
        /// Covariates that are needed.
        covariates: Vec<String>,
    },
    /// A value that is no such number.
    #[error(
        "cohort {name}, line {line}, column {column}: `{value}` is no number from 0 on; write \
         {what}"
    )]
    Number {
        /// The cohort.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        value: String,
        /// What should.
        what: &'static str,
    },
    /// An event that does not tell what is asked.
    #[error(
        "cohort {name}, line {line}, column event: `{event}` {problem}; for the endpoint {endpoint} \
         give {}",
        accepted.join(", ")
    )]
    Event {
        /// The cohort.
        name: String,
        /// The line, from 1.
        line: u64,
        /// What stands there.
        event: String,
        /// Why it cannot be used.
        problem: &'static str,
        /// The endpoint.
        endpoint: &'static str,
        /// What can.
        accepted: Vec<&'static str>,
    },
    /// Patients without covariates.
    #[error(
        "cohort {name}: {columns} missing in {lines}, of {patients} patients; without it there is \
         no stratum and so no prediction: fill it in, or leave these patients out and say so"
    )]
    Missing {
        /// The cohort.
        name: String,
        /// What is missing.
        columns: String,
        /// Where.
        lines: Lines,
        /// Patients in the file.
        patients: usize,
    },
    /// Patients of whom the result has none.
    #[error(
        "cohort {name}: the result has no virtual patients of the stratum `{stratum}`, and so no \
         prediction for {lines}, of {patients} patients; simulate more patients or wider strata, \
         or leave those out who would not be in the trial and say so"
    )]
    Outside {
        /// The cohort.
        name: String,
        /// The stratum of the most of them.
        stratum: String,
        /// Where.
        lines: Lines,
        /// Patients in the file.
        patients: usize,
    },
    /// No patients.
    #[error("cohort {0} has no patients; give a line for each")]
    Empty(String),
}

/// Lines of a file: how many, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines(pub Vec<u64>);

impl std::fmt::Display for Lines {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.0.iter().take(LINES_SHOWN).map(u64::to_string);
        let shown = shown.collect::<Vec<_>>().join(", ");
        let rest = if self.0.len() > LINES_SHOWN {
            ", ..."
        } else {
            ""
        };
        match self.0.len() {
            1 => write!(out, "1 line ({shown})"),
            number => write!(out, "{number} lines ({shown}{rest})"),
        }
    }
}

impl Patients {
    /// Reads a CSV file with a head; lines that begin with `#` are comments, and columns that are
    /// not needed are left alone.
    ///
    /// # Errors
    /// [`PatientsError`] for the first line that is wrong, or for all those without a prediction.
    pub fn parse(
        name: &str,
        text: &str,
        outcome: Outcome,
        predicted: &Predicted<'_>,
    ) -> Result<Self, PatientsError> {
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let form = |problem| PatientsError::Form {
            name: name.into(),
            problem,
        };
        let head = reader.headers().map_err(form)?.clone();
        let columns = Columns::of(name, &head, predicted.covariates)?;
        let mut rows = Vec::new();
        let mut missing: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(form)?;
            let cells = Cells {
                name,
                line: record.position().map_or(0, csv::Position::line),
                record: &record,
            };
            let mut values = Vec::with_capacity(columns.covariates.len());
            for (covariate, at) in predicted.covariates.iter().zip(&columns.covariates) {
                if cells.is_unknown(*at) {
                    missing.entry(covariate).or_default().push(cells.line);
                    values.push(0.0);
                } else {
                    values.push(cells.number(*at, covariate, "it in the unit of its name")?);
                }
            }
            rows.push(Patient {
                line: cells.line,
                followed: Followed {
                    time: cells.number(
                        columns.years,
                        "years",
                        "years of follow-up, such as 5.25",
                    )?,
                    exit: cells.exit(columns.event, outcome)?,
                },
                stratum: (predicted.stratum)(&values),
            });
        }
        let patients = Self {
            name: name.into(),
            outcome,
            rows,
        };
        patients.check(missing, predicted)?;
        Ok(patients)
    }

    /// The last time at which any of them was followed, years.
    pub fn followed_years(&self) -> f64 {
        let times = self.rows.iter().map(|row| row.followed.time);
        times.fold(0.0, f64::max)
    }

    /// Whether all of them have a prediction.
    fn check(
        &self,
        missing: BTreeMap<&str, Vec<u64>>,
        predicted: &Predicted<'_>,
    ) -> Result<(), PatientsError> {
        let (name, patients) = (self.name.clone(), self.rows.len());
        if patients == 0 {
            return Err(PatientsError::Empty(name));
        }
        if !missing.is_empty() {
            let columns: Vec<&str> = missing.keys().copied().collect();
            let columns = columns.join(", ");
            let mut lines: Vec<u64> = missing.into_values().flatten().collect();
            lines.sort_unstable();
            lines.dedup();
            return Err(PatientsError::Missing {
                name,
                columns,
                lines: Lines(lines),
                patients,
            });
        }
        let mut outside: BTreeMap<usize, usize> = BTreeMap::new();
        let mut lines = Vec::new();
        for row in &self.rows {
            if predicted.enrolled[row.stratum] == 0 {
                *outside.entry(row.stratum).or_default() += 1;
                lines.push(row.line);
            }
        }
        match outside.into_iter().max_by_key(|(_, number)| *number) {
            None => Ok(()),
            Some((stratum, _)) => Err(PatientsError::Outside {
                name,
                stratum: predicted.labels[stratum].clone(),
                lines: Lines(lines),
                patients,
            }),
        }
    }
}

/// Where the columns are.
struct Columns {
    years: usize,
    event: usize,
    covariates: Vec<usize>,
}

impl Columns {
    fn of(
        name: &str,
        head: &csv::StringRecord,
        covariates: &[&str],
    ) -> Result<Self, PatientsError> {
        let place = |column: &str| head.iter().position(|found| found == column);
        let needed = ["years", "event"].iter().chain(covariates);
        let missing: Vec<String> = needed
            .filter(|column| place(column).is_none())
            .map(|column| (*column).to_owned())
            .collect();
        let (Some(years), Some(event), true) = (place("years"), place("event"), missing.is_empty())
        else {
            return Err(PatientsError::Columns {
                name: name.into(),
                line: head.position().map_or(1, csv::Position::line),
                missing,
                covariates: covariates.iter().map(|&one| one.to_owned()).collect(),
            });
        };
        Ok(Self {
            years,
            event,
            covariates: covariates.iter().filter_map(|one| place(one)).collect(),
        })
    }
}

/// The cells of a line.
struct Cells<'a> {
    name: &'a str,
    line: u64,
    record: &'a csv::StringRecord,
}

impl Cells<'_> {
    fn text(&self, at: usize) -> &str {
        self.record.get(at).unwrap_or("")
    }

    fn is_unknown(&self, at: usize) -> bool {
        UNKNOWN.contains(&self.text(at))
    }

    fn number(&self, at: usize, column: &str, what: &'static str) -> Result<f64, PatientsError> {
        match self.text(at).parse::<f64>() {
            Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
            _ => Err(PatientsError::Number {
                name: self.name.into(),
                line: self.line,
                column: column.into(),
                value: self.text(at).into(),
                what,
            }),
        }
    }

    fn exit(&self, at: usize, outcome: Outcome) -> Result<ExitKind, PatientsError> {
        let text = self.text(at);
        let known = EVENTS.iter().find(|(name, _)| *name == text);
        if let Some(exit) = known.and_then(|(_, exits)| exits[outcome as usize]) {
            return Ok(exit);
        }
        let accepted = EVENTS
            .iter()
            .filter(|(_, exits)| exits[outcome as usize].is_some());
        Err(PatientsError::Event {
            name: self.name.into(),
            line: self.line,
            event: text.into(),
            problem: if known.is_some() {
                "does not tell whether and when that came"
            } else {
                "is no event"
            },
            endpoint: outcome.name(),
            accepted: accepted.map(|(name, _)| *name).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strata of no and of positive nodes, and those of more than 9 of whom there are none.
    fn read(outcome: Outcome, text: &str) -> Result<Patients, PatientsError> {
        let labels = ["nodes 0", "nodes 1-9", "nodes 10+"].map(str::to_owned);
        Patients::parse(
            "mine.csv",
            text,
            outcome,
            &Predicted {
                covariates: &["nodes"],
                stratum: &|values| usize::from(values[0] > 0.0) + usize::from(values[0] > 9.0),
                labels: &labels,
                enrolled: &[10, 10, 0],
            },
        )
    }

    fn wrong(outcome: Outcome, text: &str) -> String {
        read(outcome, text).expect_err("wrong").to_string()
    }

    #[test]
    fn the_same_patients_leave_in_other_ways_by_other_endpoints() {
        let text = "# a comment\nage,event,nodes,years\n50,local,0,1\n60,distant,2,2.5\n\
                    70,death_without_recurrence,3,3\n40,none,1,4\n";
        let exits = |outcome| {
            let patients = read(outcome, text).expect("right");
            let exits = patients.rows.iter().map(|row| row.followed.exit);
            exits.collect::<Vec<_>>()
        };
        assert_eq!(
            exits(Outcome::Local),
            [Event, Competing, Competing, Censored]
        );
        assert_eq!(
            exits(Outcome::Distant),
            [Competing, Event, Competing, Censored]
        );
        assert_eq!(
            exits(Outcome::Recurrence),
            [Event, Event, Competing, Censored]
        );
        assert_eq!(exits(Outcome::Rfs), [Event, Event, Event, Censored]);
        let patients = read(Outcome::Rfs, text).expect("right");
        assert_eq!(patients.rows[1].stratum, 1);
        assert_eq!(patients.rows[1].line, 4);
        assert!((patients.followed_years() - 4.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_to_do() {
        let head = "years,event,nodes\n";
        let text = wrong(Outcome::Rfs, &format!("{head}1,none,0\n-1,none,0\n"));
        assert!(
            text.contains("mine.csv, line 3, column years: `-1` is no number from 0 on; write"),
            "{text}"
        );
        let text = wrong(Outcome::Local, &format!("{head}1,relapse,0\n"));
        assert!(
            text.contains("line 2, column event: `relapse` is no event; for the endpoint local give none, local, distant, death_without_recurrence"),
            "{text}"
        );
        let text = wrong(Outcome::Death, &format!("{head}1,local,0\n"));
        assert!(
            text.contains("`local` does not tell whether and when"),
            "{text}"
        );
        let text = wrong(Outcome::Rfs, "years,event\n1,none\n");
        assert!(text.contains("line 1: there is no column nodes"), "{text}");
        assert!(text.contains("[strata]"), "{text}");
        let text = wrong(Outcome::Rfs, &format!("{head}1,none,many\n"));
        assert!(text.contains("line 2, column nodes: `many`"), "{text}");
        let text = wrong(Outcome::Rfs, &format!("{head}1,none\n"));
        assert!(text.contains("line: 2"), "{text}");
        assert!(wrong(Outcome::Rfs, head).contains("has no patients"));
    }

    #[test]
    fn patients_without_a_prediction_are_counted_and_their_lines_named() {
        let lines = "1,none,NA\n2,rfs,1\n".replace("rfs", "none").repeat(12);
        let text = wrong(
            Outcome::Rfs,
            &format!("years,event,nodes\n{lines}3,none,\n"),
        );
        assert!(
            text.contains(
                "nodes missing in 13 lines (2, 4, 6, 8, 10, 12, 14, 16, 18, 20, ...), of 25 patients"
            ),
            "{text}"
        );
        let text = wrong(Outcome::Rfs, "years,event,nodes\n1,none,12\n2,none,1\n");
        assert!(
            text.contains("no virtual patients of the stratum `nodes 10+`")
                && text.contains("1 line (2)"),
            "{text}"
        );
    }
}
