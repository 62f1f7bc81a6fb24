//! Arms against the control, as numbers. [`Comparison`] serialises to the public JSON of
//! `reseed compare --json`: field names are stable, probabilities are fractions, and what cannot
//! be estimated or is infinite is `null`.

use reseed_stats::estimate::{contrast, cumulative_incidence, reseeded_share};
use reseed_stats::{Contrast, Endpoint, Tally};
use serde::Serialize;
use thiserror::Error;

/// Days in a year.
const YEAR_DAYS: f64 = 365.25;

/// A tally and what is needed to label it.
#[derive(Debug, Clone, Copy)]
pub struct CompareInput<'a> {
    /// Name of the trial.
    pub trial: &'a str,
    /// One line about it; may be empty.
    pub title: &'a str,
    /// Seed of the run.
    pub seed: u64,
    /// Digest of the result, in hexadecimal.
    pub digest: &'a str,
    /// The counts.
    pub tally: &'a Tally,
    /// Names of the arms, by position in the tally.
    pub arms: &'a [String],
    /// Labels of the strata, by position in the tally.
    pub strata: &'a [String],
    /// Reasons of exclusion, by position in the tally.
    pub exclusions: &'a [String],
    /// Edges of the time bins, days from resection: one more than there are bins.
    pub edges_days: &'a [f64],
    /// When to compare, days from resection. Each is moved to the nearest end of a bin; those
    /// that meet there count once.
    pub times_days: &'a [f64],
    /// Which endpoints to compare.
    pub endpoints: &'a [Endpoint],
    /// Whether to compare within each stratum too.
    pub by_stratum: bool,
}

/// Why arms cannot be compared.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CompareError {
    /// A time outside follow-up.
    #[error(
        "cannot compare at day {time_days}: follow-up runs from resection to day {horizon_days}; \
         choose a time in between"
    )]
    Time {
        /// The time asked for.
        time_days: f64,
        /// The end of follow-up.
        horizon_days: f64,
    },
    /// Labels that do not fit the tally.
    #[error("{found} {what} for a tally that needs {expected}; the result's labels are damaged")]
    Labels {
        /// What is labelled.
        what: &'static str,
        /// Labels given.
        found: usize,
        /// Labels needed.
        expected: usize,
    },
}

/// All arms, at all times, for all endpoints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the trial.
    pub trial: String,
    /// One line about it.
    pub title: String,
    /// Seed of the run.
    pub seed: u64,
    /// Digest of the result, in hexadecimal.
    pub digest: String,
    /// Name of the control arm.
    pub control: String,
    /// Patients screened.
    pub patients_screened: u64,
    /// Patients enrolled; all of them in every arm.
    pub patients_enrolled: u64,
    /// Patients not enrolled, by reason; every reason, in the order in which they are applied.
    pub patients_excluded: Vec<Excluded>,
    /// One row per stratum, endpoint, time and arm, in this order of nesting.
    pub rows: Vec<ComparedArm>,
}

/// Patients not enrolled for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excluded {
    /// The reason.
    pub reason: String,
    /// How many.
    pub patients: u64,
}

/// One arm by one time. Fields from `risk_difference` on are `null` in the control's rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedArm {
    /// The stratum; `null` for all patients.
    pub stratum: Option<String>,
    /// The endpoint: `local`, `distant`, `rfs` or `death`.
    pub endpoint: &'static str,
    /// Days from resection.
    pub time_days: f64,
    /// The same in years of 365.25 days.
    pub time_years: f64,
    /// Name of the arm.
    pub arm: String,
    /// Patients in it.
    pub patients: u64,
    /// Cumulative incidence (Aalen–Johansen).
    pub cumulative_incidence: Option<f64>,
    /// Its standard error.
    pub cumulative_incidence_standard_error: Option<f64>,
    /// Share of the local recurrences founded by circulating cells; `null` for other endpoints.
    pub reseeded_share: Option<f64>,
    /// Its standard error.
    pub reseeded_share_standard_error: Option<f64>,
    /// Cumulative incidence minus the control's.
    pub risk_difference: Option<f64>,
    /// Its standard error, from pairs.
    pub risk_difference_standard_error: Option<f64>,
    /// Lower end of its 95 % confidence interval.
    pub risk_difference_lower: Option<f64>,
    /// Upper end of its 95 % confidence interval.
    pub risk_difference_upper: Option<f64>,
    /// Cumulative incidence over the control's.
    pub risk_ratio: Option<f64>,
    /// Lower end of its 95 % confidence interval.
    pub risk_ratio_lower: Option<f64>,
    /// Upper end of its 95 % confidence interval; `null` also if it is infinite, because the
    /// control has no events.
    pub risk_ratio_upper: Option<f64>,
    /// Patients to treat for one event less; negative for one event more; `null` also without a
    /// difference.
    pub number_needed_to_treat: Option<f64>,
    /// More favourable end of its 95 % confidence interval. Where the two ends have opposite
    /// signs the interval runs through infinity, which is no effect.
    pub number_needed_to_treat_best: Option<f64>,
    /// Less favourable end of the same.
    pub number_needed_to_treat_worst: Option<f64>,
    /// Patients with the event in the control only.
    pub patients_control_only: Option<u64>,
    /// Patients with the event in this arm only.
    pub patients_arm_only: Option<u64>,
    /// How many times more patients an unpaired comparison would need; `null` also if no patient
    /// fares differently.
    pub variance_reduction: Option<f64>,
}

/// Compares every arm with the control.
///
/// # Errors
/// [`CompareError`] if a time lies outside follow-up or labels do not fit the tally.
pub fn compare(input: &CompareInput<'_>) -> Result<Comparison, CompareError> {
    check_labels(input)?;
    let bins = bins(input)?;
    let shape = input.tally.shape();
    let mut groups = vec![(None, (0..shape.strata).collect::<Vec<_>>())];
    if input.by_stratum {
        let strata = input.strata.iter().enumerate();
        groups.extend(strata.map(|(index, label)| (Some(label.clone()), vec![index])));
    }
    let mut rows = Vec::new();
    for (stratum, strata) in &groups {
        for endpoint in input.endpoints {
            for bin in &bins {
                for arm in 0..shape.arms {
                    rows.push(row(input, stratum.as_ref(), strata, *endpoint, *bin, arm));
                }
            }
        }
    }
    let excluded = input.exclusions.iter().zip(input.tally.excluded());
    Ok(Comparison {
        trial: input.trial.to_owned(),
        title: input.title.to_owned(),
        seed: input.seed,
        digest: input.digest.to_owned(),
        control: input.arms[shape.control].clone(),
        patients_screened: input.tally.screened(),
        patients_enrolled: input.tally.enrolled().iter().sum(),
        patients_excluded: excluded
            .map(|(reason, patients)| Excluded {
                reason: reason.clone(),
                patients: *patients,
            })
            .collect(),
        rows,
    })
}

fn check_labels(input: &CompareInput<'_>) -> Result<(), CompareError> {
    let shape = input.tally.shape();
    for (what, found, expected) in [
        ("arm names", input.arms.len(), shape.arms),
        ("stratum labels", input.strata.len(), shape.strata),
        ("exclusion reasons", input.exclusions.len(), shape.reasons),
        ("time edges", input.edges_days.len(), shape.bins + 1),
    ] {
        if found != expected {
            return Err(CompareError::Labels {
                what,
                found,
                expected,
            });
        }
    }
    Ok(())
}

/// Bins that end nearest to the times asked for, in order, each once.
fn bins(input: &CompareInput<'_>) -> Result<Vec<usize>, CompareError> {
    let ends = &input.edges_days[1..];
    let horizon_days = ends.last().copied().unwrap_or(0.0);
    let mut bins = Vec::new();
    for &time_days in input.times_days {
        let distance = |bin: &usize| (ends[*bin] - time_days).abs();
        let nearest = (0..ends.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        // Written so that a time that is not a number is refused too.
        let within = time_days > 0.0 && time_days <= horizon_days;
        bins.push(nearest.filter(|_| within).ok_or(CompareError::Time {
            time_days,
            horizon_days,
        })?);
    }
    bins.sort_unstable();
    bins.dedup();
    Ok(bins)
}

fn row(
    input: &CompareInput<'_>,
    stratum: Option<&String>,
    strata: &[usize],
    endpoint: Endpoint,
    bin: usize,
    arm: usize,
) -> ComparedArm {
    let tally = input.tally;
    let incidence = cumulative_incidence(tally, strata, arm, endpoint)[bin];
    let share = (endpoint == Endpoint::Local).then(|| reseeded_share(tally, strata, arm, bin));
    let contrast =
        (arm != tally.shape().control).then(|| contrast(tally, strata, arm, endpoint, bin));
    let of_contrast = |field: fn(&Contrast) -> f64| contrast.as_ref().map(field).and_then(finite);
    let number = contrast.as_ref().and_then(|c| c.number_needed_to_treat);
    let time_days = input.edges_days[bin + 1];
    ComparedArm {
        stratum: stratum.cloned(),
        endpoint: endpoint.name(),
        time_days,
        time_years: time_days / YEAR_DAYS,
        arm: input.arms[arm].clone(),
        patients: strata
            .iter()
            .map(|stratum| tally.enrolled()[*stratum])
            .sum(),
        cumulative_incidence: finite(incidence.value),
        cumulative_incidence_standard_error: finite(incidence.standard_error),
        reseeded_share: share.and_then(|share| finite(share.value)),
        reseeded_share_standard_error: share.and_then(|share| finite(share.standard_error)),
        risk_difference: of_contrast(|c| c.difference.value),
        risk_difference_standard_error: of_contrast(|c| c.difference.standard_error),
        risk_difference_lower: of_contrast(|c| c.difference_interval.0),
        risk_difference_upper: of_contrast(|c| c.difference_interval.1),
        risk_ratio: of_contrast(|c| c.ratio),
        risk_ratio_lower: of_contrast(|c| c.ratio_interval.0),
        risk_ratio_upper: of_contrast(|c| c.ratio_interval.1),
        number_needed_to_treat: number.and_then(|number| finite(number.value)),
        number_needed_to_treat_best: number.and_then(|number| finite(number.interval.0)),
        number_needed_to_treat_worst: number.and_then(|number| finite(number.interval.1)),
        patients_control_only: contrast.as_ref().map(|c| c.control_only),
        patients_arm_only: contrast.as_ref().map(|c| c.arm_only),
        variance_reduction: of_contrast(|c| c.variance_reduction),
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
