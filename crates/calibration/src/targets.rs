//! What was seen in cohorts, in the form in which the model is compared with it.

use std::ops::Range;

use csv::StringRecord;
use reseed_stats::cells::{CellEvent, CellGroup, CellShape, Cells, HALF_YEAR_DAYS};
use reseed_trial::Trial;
use thiserror::Error;

const HALF_YEARS_PER_YEAR: f64 = 2.0;
const DAYS_PER_YEAR: f64 = HALF_YEAR_DAYS * HALF_YEARS_PER_YEAR;

/// Ends of the times within which rates are taken together, in half-years: fine where hazards
/// change, and coarse where few events are left.
const RATE_ENDS: [usize; 17] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 30, 40, 60, 80];

/// How far from whole half-years a time of a file may be, in half-years.
const TIME_TOLERANCE: f64 = 1e-6;

/// Kinds of events in files of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetEvent {
    /// One kind of the model.
    One(CellEvent),
    /// Local or distant recurrence.
    Recurrence,
}

impl TargetEvent {
    const ALL: [Self; 6] = [
        Self::One(CellEvent::Local),
        Self::One(CellEvent::Distant),
        Self::Recurrence,
        Self::One(CellEvent::DeathWithoutRecurrence),
        Self::One(CellEvent::CancerDeath),
        Self::One(CellEvent::OtherDeath),
    ];

    /// Name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::One(event) => event.name(),
            Self::Recurrence => "recurrence",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// The kinds of the model that it is.
    const fn events(self) -> &'static [CellEvent] {
        match self {
            Self::One(CellEvent::Local) => &[CellEvent::Local],
            Self::One(CellEvent::Distant) => &[CellEvent::Distant],
            Self::One(CellEvent::DeathWithoutRecurrence) => &[CellEvent::DeathWithoutRecurrence],
            Self::One(CellEvent::CancerDeath) => &[CellEvent::CancerDeath],
            Self::One(CellEvent::OtherDeath) => &[CellEvent::OtherDeath],
            Self::Recurrence => &[CellEvent::Local, CellEvent::Distant],
        }
    }
}

/// A quantity of the model that a cohort also has.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Position of the arm.
    pub arm: usize,
    /// The patients, as the file calls them.
    pub stratum: String,
    /// The same as positions of strata.
    strata: Vec<usize>,
    /// What of them.
    pub measure: Measure,
    /// What the cohort had.
    pub seen: Seen,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// Events per year at risk in some half-years, counted from 0.
    Rate(TargetEvent, Range<usize>),
    /// Cumulative incidence by the end of so many half-years; all else that ends the time at risk
    /// competes.
    Incidence(TargetEvent, usize),
    /// Share of the enrolled patients who are of the stratum.
    Share,
}

/// Counts of a cohort.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// Events in a time at risk: Poisson.
    Events {
        /// How many.
        events: f64,
        /// Time at risk.
        person_years: f64,
    },
    /// Patients with the event among so many: binomial.
    Patients {
        /// With the event.
        events: f64,
        /// All.
        patients: f64,
    },
}

impl Seen {
    /// Events and exposure.
    pub fn counts(self) -> (f64, f64) {
        match self {
            Self::Events {
                events,
                person_years,
            } => (events, person_years),
            Self::Patients { events, patients } => (events, patients),
        }
    }
}

/// Why a file has no targets.
#[derive(Debug, Error)]
pub enum TargetsError {
    /// It is no table.
    #[error("cannot read targets {name}: {problem}")]
    Form {
        /// The file.
        name: String,
        /// What is wrong and where.
        problem: csv::Error,
    },
    /// A line cannot be used.
    #[error("targets {name}, line {line}: {problem}")]
    Line {
        /// The file.
        name: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The head lacks something.
    #[error(
        "targets {name} have neither rates nor proportions: rates need the columns stratum, \
         from_years, until_years, person_years and one for each kind of event ({kinds}); \
         proportions need stratum, event, years, value and patients", kinds = kinds()
    )]
    Head {
        /// The file.
        name: String,
    },
}

fn kinds() -> String {
    TargetEvent::ALL.map(TargetEvent::name).join(", ")
}

/// A line of a file with its head.
struct Line<'a> {
    head: &'a StringRecord,
    record: &'a StringRecord,
}

impl<'a> Line<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        let column = self.head.iter().position(|column| column == name)?;
        self.record.get(column).filter(|text| !text.is_empty())
    }

    fn text(&self, name: &str) -> Result<&'a str, String> {
        self.get(name)
            .ok_or_else(|| format!("column {name} is empty; fill it in"))
    }

    fn number(&self, name: &str, max: f64) -> Result<f64, String> {
        let text = self.text(name)?;
        let value: Option<f64> = text.parse().ok();
        value
            .filter(|value| (0.0..=max).contains(value))
            .ok_or_else(|| format!("{name} is {text:?}; a number from 0 to {max} is needed"))
    }

    /// A time in half-years.
    fn half_years(&self, name: &str, max: usize) -> Result<usize, String> {
        let half_years = self.number(name, 1000.0)? * HALF_YEARS_PER_YEAR;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 2000"
        )]
        let whole = half_years.round() as usize;
        if (half_years - whole as f64).abs() > TIME_TOLERANCE {
            return Err(format!(
                "{name} is not a whole number of half-years; the model's events are counted by \
                 half-year"
            ));
        }
        if whole > max {
            return Err(format!(
                "{name} is after {} years, when the run ends; raise uncertainty.half_years to {whole}",
                max as f64 / HALF_YEARS_PER_YEAR
            ));
        }
        Ok(whole)
    }
}

/// Reads targets for a trial whose blocks keep cells. A file has rates or proportions; lines that
/// begin with `#` are comments, and other columns are left alone. Rates of neighbouring half-years are taken
/// together, which loses nothing of a likelihood where hazards are constant over them.
///
/// # Errors
/// [`TargetsError`] for the first line that is wrong.
pub fn parse(
    name: &str,
    text: &str,
    trial: &Trial,
    shape: CellShape,
) -> Result<Vec<Target>, TargetsError> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let form = |problem| TargetsError::Form {
        name: name.to_owned(),
        problem,
    };
    let head = reader.headers().map_err(form)?.clone();
    let has =
        |columns: &[&str]| (columns.iter()).all(|column| head.iter().any(|found| found == *column));
    let events: Vec<TargetEvent> = head.iter().filter_map(TargetEvent::named).collect();
    let is_rates = has(&["stratum", "from_years", "until_years", "person_years"]);
    let is_proportions = has(&["stratum", "event", "years", "value", "patients"]);
    if !(is_rates && !events.is_empty() || is_proportions) {
        return Err(TargetsError::Head {
            name: name.to_owned(),
        });
    }
    let mut targets = Vec::new();
    for record in reader.records() {
        let record = record.map_err(form)?;
        let line = Line {
            head: &head,
            record: &record,
        };
        let added = if is_rates {
            rates(&line, &events, trial, shape, &mut targets)
        } else {
            proportion(&line, trial, shape).map(|target| targets.push(target))
        };
        added.map_err(|problem| TargetsError::Line {
            name: name.to_owned(),
            line: record.position().map_or(0, csv::Position::line),
            problem,
        })?;
    }
    Ok(targets)
}

/// The arm and the strata of a line.
fn who(line: &Line<'_>, trial: &Trial) -> Result<(usize, String, Vec<usize>), String> {
    let arm = match line.get("arm") {
        None => trial.scenario.control,
        Some(name) => (trial.scenario.arms.iter())
            .position(|arm| arm.name == name)
            .ok_or_else(|| format!("the trial has no arm {name:?}"))?,
    };
    let stratum = line.text("stratum")?;
    let strata = trial.strata.matching(stratum);
    if strata.is_empty() {
        return Err(format!(
            "the trial has no patients {stratum:?}; its strata are {}",
            trial.strata.labels().join("; ")
        ));
    }
    Ok((arm, stratum.to_owned(), strata))
}

/// Adds the rates of a line to those of the same patients and time.
fn rates(
    line: &Line<'_>,
    events: &[TargetEvent],
    trial: &Trial,
    shape: CellShape,
    targets: &mut Vec<Target>,
) -> Result<(), String> {
    let (arm, stratum, strata) = who(line, trial)?;
    let from = line.half_years("from_years", shape.half_years)?;
    let until = line.half_years("until_years", shape.half_years)?;
    if from >= until {
        return Err("from_years is not below until_years".to_owned());
    }
    let person_years = line.number("person_years", 1e9)?;
    let end = *(RATE_ENDS.iter().find(|end| **end >= until)).expect("cells end before the last");
    let start = (RATE_ENDS.iter().rev().find(|start| **start <= from)).map_or(0, |start| *start);
    for event in events {
        let found = line.number(event.name(), 1e9)?;
        if found > 0.0 && person_years == 0.0 {
            return Err(format!("{} without time at risk", event.name()));
        }
        let measure = Measure::Rate(*event, start..end.min(shape.half_years));
        let is_same = |target: &&mut Target| {
            target.arm == arm && target.strata == strata && target.measure == measure
        };
        let seen = Seen::Events {
            events: found,
            person_years,
        };
        match targets.iter_mut().find(is_same) {
            Some(target) => target.seen = sum(target.seen, seen),
            None => targets.push(Target {
                arm,
                stratum: stratum.clone(),
                strata: strata.clone(),
                measure,
                seen,
            }),
        }
    }
    Ok(())
}

fn sum(one: Seen, other: Seen) -> Seen {
    let ((events, time), (more_events, more_time)) = (one.counts(), other.counts());
    Seen::Events {
        events: events + more_events,
        person_years: time + more_time,
    }
}

fn proportion(line: &Line<'_>, trial: &Trial, shape: CellShape) -> Result<Target, String> {
    if let Some(quantity) = line.get("quantity").filter(|name| *name != "incidence") {
        return Err(format!(
            "quantity {quantity:?} has no likelihood here; leave the line out: the rates of the \
             same time say more"
        ));
    }
    let (arm, stratum, strata) = who(line, trial)?;
    let measure = match line.text("event")? {
        "enrolled" => Measure::Share,
        name => {
            let event = TargetEvent::named(name)
                .ok_or_else(|| format!("event {name:?} is none of {} and enrolled", kinds()))?;
            Measure::Incidence(event, line.half_years("years", shape.half_years)?)
        }
    };
    let (value, patients) = (line.number("value", 1.0)?, line.number("patients", 1e9)?);
    if patients == 0.0 {
        return Err("patients is 0; nothing was seen".to_owned());
    }
    Ok(Target {
        arm,
        stratum,
        strata,
        measure,
        seen: Seen::Patients {
            events: value * patients,
            patients,
        },
    })
}

impl Target {
    /// The same quantity, of a cohort that had this.
    #[must_use]
    pub fn seen_as(&self, seen: Seen) -> Self {
        Self {
            seen,
            ..self.clone()
        }
    }

    /// What the model's patients of a block had, as events and exposure: years at risk for rates,
    /// patients for the rest.
    pub fn simulated(&self, cells: &Cells) -> (f64, f64) {
        let group = self.group(cells);
        match &self.measure {
            Measure::Rate(event, half_years) => {
                let (mut events, mut days) = (0.0, 0.0);
                for half_year in half_years.clone() {
                    events += group.events(event.events(), half_year);
                    days += group.days(event.events()[0].risk(), half_year);
                }
                (events, days / DAYS_PER_YEAR)
            }
            Measure::Incidence(event, half_years) => {
                let patients = group.patients();
                if patients == 0.0 {
                    return (0.0, 0.0);
                }
                let incidence = group.incidences(event.events())[*half_years].value;
                (incidence * patients, patients)
            }
            Measure::Share => {
                let strata: Vec<usize> = (0..cells.shape().strata).collect();
                let everybody = CellGroup {
                    strata: &strata,
                    ..group
                };
                (group.patients(), everybody.patients())
            }
        }
    }

    fn group<'a>(&'a self, cells: &'a Cells) -> CellGroup<'a> {
        CellGroup {
            cells,
            arm: self.arm,
            strata: &self.strata,
        }
    }
}
