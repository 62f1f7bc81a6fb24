//! Tables for other programs, as CSV.

use std::io::Write;

use reseed_stats::{Endpoint, RecordColumn, RecordValues};
use thiserror::Error;

use crate::compare::{ComparedArm, Comparison};

/// Why a table was not written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The writer refused.
    #[error("the table cannot be written: {0}")]
    Write(#[from] csv::Error),
    /// Records without a column that is needed.
    #[error("the records have no column {0}, so an older reseed computed them; compute them again")]
    Column(&'static str),
}

/// A quantity's value, limits and standard error; what is unknown is empty.
type Numbers = [Option<f64>; 4];

/// What a line of the estimates may be about, and where a row has it.
type Estimand = (&'static str, fn(&ComparedArm) -> Numbers);

const ESTIMANDS: [Estimand; 23] = [
    ("cumulative_incidence", |row| {
        [
            row.cumulative_incidence,
            row.cumulative_incidence_lower,
            row.cumulative_incidence_upper,
            row.cumulative_incidence_standard_error,
        ]
    }),
    ("survival", |row| {
        [
            row.survival,
            row.survival_lower,
            row.survival_upper,
            row.survival_standard_error,
        ]
    }),
    ("days_lost", |row| {
        [
            row.days_lost,
            row.days_lost_lower,
            row.days_lost_upper,
            row.days_lost_standard_error,
        ]
    }),
    ("reseeded_share", |row| {
        [
            row.reseeded_share,
            row.reseeded_share_lower,
            row.reseeded_share_upper,
            row.reseeded_share_standard_error,
        ]
    }),
    ("primary_share", |row| {
        limits(
            row.primary_share,
            row.primary_share_lower,
            row.primary_share_upper,
        )
    }),
    ("distant_share", |row| {
        limits(
            row.distant_share,
            row.distant_share_lower,
            row.distant_share_upper,
        )
    }),
    ("scar_share", |row| {
        limits(row.scar_share, row.scar_share_lower, row.scar_share_upper)
    }),
    ("risk_difference", |row| {
        [
            row.risk_difference,
            row.risk_difference_lower,
            row.risk_difference_upper,
            row.risk_difference_standard_error,
        ]
    }),
    ("risk_difference_simultaneous", |row| {
        [
            row.risk_difference,
            row.risk_difference_simultaneous_lower,
            row.risk_difference_simultaneous_upper,
            row.risk_difference_standard_error,
        ]
    }),
    ("risk_ratio", |row| {
        limits(row.risk_ratio, row.risk_ratio_lower, row.risk_ratio_upper)
    }),
    ("number_needed_to_treat", |row| {
        limits(
            row.number_needed_to_treat,
            row.number_needed_to_treat_best,
            row.number_needed_to_treat_worst,
        )
    }),
    ("days_lost_difference", |row| {
        [
            row.days_lost_difference,
            row.days_lost_difference_lower,
            row.days_lost_difference_upper,
            row.days_lost_difference_standard_error,
        ]
    }),
    ("hazard_ratio", |row| {
        limits(
            row.hazard_ratio,
            row.hazard_ratio_lower,
            row.hazard_ratio_upper,
        )
    }),
    ("subdistribution_hazard_ratio", |row| {
        limits(
            row.subdistribution_hazard_ratio,
            row.subdistribution_hazard_ratio_lower,
            row.subdistribution_hazard_ratio_upper,
        )
    }),
    ("benefit_share", |row| {
        limits(
            row.benefit_share,
            row.benefit_share_lower,
            row.benefit_share_upper,
        )
    }),
    ("harm_share", |row| {
        limits(row.harm_share, row.harm_share_lower, row.harm_share_upper)
    }),
    ("delay_days", |row| {
        [
            row.delay_days,
            row.delay_days_lower,
            row.delay_days_upper,
            row.delay_days_standard_error,
        ]
    }),
    ("variance_reduction", |row| alone(row.variance_reduction)),
    ("p_value", |row| alone(row.p_value)),
    ("holm_p_value", |row| alone(row.holm_p_value)),
    ("log_rank_p_value", |row| alone(row.log_rank_p_value)),
    ("late_log_rank_p_value", |row| {
        alone(row.late_log_rank_p_value)
    }),
    ("gray_p_value", |row| alone(row.gray_p_value)),
];

fn limits(value: Option<f64>, lower: Option<f64>, upper: Option<f64>) -> Numbers {
    [value, lower, upper, None]
}

fn alone(value: Option<f64>) -> Numbers {
    [value, None, None, None]
}

impl Comparison {
    /// Writes the estimates, a line each: stratum, arm, endpoint, time, what it is, its value, 95 %
    /// limits and standard error. Names and units are those of [`ComparedArm`]; what is not
    /// estimated has no line.
    ///
    /// # Errors
    /// [`ExportError::Write`] if the writer refuses.
    pub fn write_estimates(&self, to: impl Write) -> Result<(), ExportError> {
        let mut table = csv::Writer::from_writer(to);
        table.write_record([
            "stratum",
            "arm",
            "endpoint",
            "time_days",
            "estimand",
            "value",
            "lower",
            "upper",
            "standard_error",
        ])?;
        for row in &self.rows {
            for (name, of) in ESTIMANDS {
                let numbers = of(row);
                if numbers.iter().all(Option::is_none) {
                    continue;
                }
                let stratum = row.stratum.as_deref().unwrap_or("all");
                let time = row.time_days.to_string();
                let what = [stratum, &row.arm, row.endpoint, &time, name].map(str::to_owned);
                let text = |number: Option<f64>| number.map_or(String::new(), |n| n.to_string());
                table.write_record(what.into_iter().chain(numbers.map(text)))?;
            }
        }
        table.flush().map_err(csv::Error::from)?;
        Ok(())
    }
}

/// Writes patients in the form of CDISC's analysis data set for times to events (ADaM Basic Data
/// Structure for Time-to-Event Analyses 1.0): a line per patient, arm and parameter.
///
/// A patient lives in every arm: `TRTP` is the arm of the line, and `USUBJID` the same in all.
/// `CNSR` is 0 for the event, 1 for the end of observation, 2 for an event after which the
/// parameter's cannot happen; `AVAL` is in days from resection.
pub struct TimesToEvents<'a, W: Write> {
    table: csv::Writer<W>,
    /// Name of the trial, names of the arms and labels of the strata.
    study: &'a str,
    arms: &'a [String],
    strata: &'a [String],
    endpoints: &'a [Endpoint],
}

/// A parameter: its code, what it is, its event, and what competes with it.
fn parameter(endpoint: Endpoint) -> [&'static str; 4] {
    match endpoint {
        Endpoint::Local => [
            "TTLR",
            "Time to Local Recurrence (days)",
            "LOCAL RECURRENCE",
            "DISTANT RECURRENCE OR DEATH",
        ],
        Endpoint::Distant => [
            "TTDR",
            "Time to Distant Recurrence (days)",
            "DISTANT RECURRENCE",
            "DEATH WITHOUT DISTANT RECURRENCE",
        ],
        Endpoint::Rfs => [
            "RFS",
            "Recurrence-Free Survival (days)",
            "RECURRENCE OR DEATH",
            "",
        ],
        Endpoint::Death => ["OS", "Overall Survival (days)", "DEATH", ""],
    }
}

impl<'a, W: Write> TimesToEvents<'a, W> {
    /// Starts the table.
    ///
    /// # Errors
    /// [`ExportError::Write`] if the writer refuses.
    pub fn new(
        to: W,
        study: &'a str,
        arms: &'a [String],
        strata: &'a [String],
        endpoints: &'a [Endpoint],
    ) -> Result<Self, ExportError> {
        let mut table = csv::Writer::from_writer(to);
        table.write_record([
            "STUDYID", "USUBJID", "TRTP", "TRTPN", "STRATUM", "AGE", "AGEU", "PARAMCD", "PARAM",
            "AVAL", "CNSR", "EVNTDESC",
        ])?;
        Ok(Self {
            table,
            study,
            arms,
            strata,
            endpoints,
        })
    }

    /// Adds patients: rows of the columns that a run keeps.
    ///
    /// # Errors
    /// [`ExportError`] if a column is missing or the writer refuses.
    pub fn add(&mut self, records: &[RecordColumn]) -> Result<(), ExportError> {
        let one = |name| column(records, name, 1);
        let (index, stratum, age) = (one("index")?, one("stratum")?, one("age")?);
        let per_arm = |name| column(records, name, self.arms.len());
        let mut exits = Vec::with_capacity(self.endpoints.len());
        for endpoint in self.endpoints {
            let [kind, days] = exit_columns(*endpoint);
            exits.push((parameter(*endpoint), per_arm(kind)?, per_arm(days)?));
        }
        for row in 0..index.len() {
            let subject = format!("{}-{}", self.study, number(index, row));
            let stratum = self.strata.get(whole(stratum, row));
            let stratum = stratum.map_or("", String::as_str);
            let age = format!("{:.2}", number(age, row));
            for (arm, name) in self.arms.iter().enumerate() {
                let cell = row * self.arms.len() + arm;
                let position = (arm + 1).to_string();
                for ([code, what, event, competing], kind, days) in &exits {
                    let (censoring, description) = match whole(kind, cell) {
                        0 => ("0", *event),
                        1 => ("2", *competing),
                        _ => ("1", "END OF OBSERVATION"),
                    };
                    let value = number(days, cell).to_string();
                    self.table.write_record([
                        self.study,
                        &subject,
                        name,
                        &position,
                        stratum,
                        &age,
                        "YEARS",
                        code,
                        what,
                        &value,
                        censoring,
                        description,
                    ])?;
                }
            }
        }
        Ok(())
    }

    /// Ends the table.
    ///
    /// # Errors
    /// [`ExportError::Write`] if the writer refuses.
    pub fn finish(mut self) -> Result<(), ExportError> {
        self.table.flush().map_err(csv::Error::from)?;
        Ok(())
    }
}

/// Columns of how a patient leaves an endpoint's risk set, and when.
fn exit_columns(endpoint: Endpoint) -> [&'static str; 2] {
    match endpoint {
        Endpoint::Local => ["local_exit", "local_exit_days"],
        Endpoint::Distant => ["distant_exit", "distant_exit_days"],
        Endpoint::Rfs => ["rfs_exit", "rfs_exit_days"],
        Endpoint::Death => ["death_exit", "death_exit_days"],
    }
}

fn column<'a>(
    records: &'a [RecordColumn],
    name: &'static str,
    width: usize,
) -> Result<&'a RecordValues, ExportError> {
    RecordColumn::named(records, name)
        .filter(|column| column.width == width)
        .map(|column| &column.values)
        .ok_or(ExportError::Column(name))
}

fn number(values: &RecordValues, at: usize) -> f64 {
    match values {
        RecordValues::U64(values) => values[at] as f64,
        RecordValues::U32(values) => f64::from(values[at]),
        RecordValues::U8(values) => f64::from(values[at]),
        RecordValues::F64(values) => values[at],
    }
}

/// A code or position.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "codes and positions are small and whole"
)]
fn whole(values: &RecordValues, at: usize) -> usize {
    number(values, at) as usize
}
