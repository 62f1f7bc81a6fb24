//! A result against patients who were followed and against published incidences, as numbers.
//! [`Validation`] serialises to the public JSON of `reseed validate --json`: field names are
//! stable, probabilities are fractions, and what cannot be estimated is `null`.

mod figures;
mod patients;
mod points;
mod prediction;
mod section;
mod targets;
mod text;

use reseed_stats::cells::{CellEvent, Cells};
use reseed_stats::curve::{Curve, cumulative_incidence, kaplan_meier, survival_quantile};
use reseed_stats::distribution::CRITICAL_95;
use reseed_stats::validation::{
    self, Cohort as Judged, FollowedHazard, PairWeights, brier_score, calibration, concordance,
    integrated_brier_score, risk_groups, risk_table,
};
use reseed_stats::{Cause, Estimate, ExitKind, RiskTable, Tally};
use serde::Serialize;
use thiserror::Error;

use crate::cohort::Cohort;
use crate::courses::{Courses, LOCAL, RECURRENCE};
use crate::report::Group;
use crate::{YEAR_DAYS, finite};
pub use patients::{Lines, Patients, PatientsError, Predicted};
use points::{PointCurves, Points};
use prediction::Prediction;
pub(crate) use section::Validated;
pub use targets::{ClosestPoint, ValidatedTarget, ValidatedTargets};

/// Groups by predicted risk.
const RISK_GROUPS: usize = 5;

/// What patients are followed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Local recurrence as the first event.
    Local,
    /// Distant recurrence as the first event.
    Distant,
    /// Local or distant recurrence; death without one competes.
    Recurrence,
    /// Recurrence or death, whichever is first.
    Rfs,
    /// Death of any cause.
    Death,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Local,
        Self::Distant,
        Self::Recurrence,
        Self::Rfs,
        Self::Death,
    ];

    /// Name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Distant => "distant",
            Self::Recurrence => "recurrence",
            Self::Rfs => "rfs",
            Self::Death => "death",
        }
    }

    /// The outcome of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// The first events that it is; none for death, which may follow a recurrence.
    pub(crate) const fn causes(self) -> Option<&'static [Cause]> {
        match self {
            Self::Local => Some(LOCAL),
            Self::Distant => Some(&[Cause::Distant]),
            Self::Recurrence => Some(RECURRENCE),
            Self::Rfs => Some(&Cause::EVENTS),
            Self::Death => None,
        }
    }

    /// What it is among the events that blocks keep.
    const fn cell_events(self) -> &'static [CellEvent] {
        match self {
            Self::Local => &[CellEvent::Local],
            Self::Distant => &[CellEvent::Distant],
            Self::Recurrence => &[CellEvent::Local, CellEvent::Distant],
            Self::Rfs => &[
                CellEvent::Local,
                CellEvent::Distant,
                CellEvent::DeathWithoutRecurrence,
            ],
            Self::Death => &[CellEvent::CancerDeath, CellEvent::OtherDeath],
        }
    }
}

/// A result, and what it is set against.
pub struct ValidateInput<'a> {
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
    /// The arm whose courses are predictions.
    pub arm: usize,
    /// Labels of the strata, by position in the tally.
    pub strata: &'a [String],
    /// Edges of the time bins, days from resection.
    pub edges_days: &'a [f64],
    /// Classes of patients that published quantities may be of.
    pub groups: &'a [Group],
    /// Events and time at risk at every point of the uncertain parameters, if they are a sample of
    /// what these may be.
    pub points: Option<&'a [PointCells]>,
    /// When to judge predictions, days from resection.
    pub times_days: &'a [f64],
    /// Patients who were followed.
    pub patients: Option<&'a Patients>,
    /// Published quantities.
    pub targets: Option<&'a Cohort>,
}

/// What a point of the uncertain parameters has.
#[derive(Debug, Clone, PartialEq)]
pub struct PointCells {
    /// Number of the point in the design.
    pub number: u64,
    /// Events and time at risk of its patients.
    pub cells: Cells,
}

/// Why a result cannot be set against a cohort.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ValidateError {
    /// A time that the trial or the cohort does not reach.
    #[error(
        "cannot judge predictions by {years:.2} years: the cohort was followed for \
         {followed_years:.2} years and the trial for {horizon_years:.2}; choose a time above 0 that \
         both reach"
    )]
    Time {
        /// The time asked for.
        years: f64,
        /// The cohort's longest follow-up.
        followed_years: f64,
        /// The trial's.
        horizon_years: f64,
    },
}

/// A result against cohorts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validation {
    /// Name of the trial.
    pub trial: String,
    /// One line about it.
    pub title: String,
    /// Seed of the run.
    pub seed: u64,
    /// Digest of the result, in hexadecimal.
    pub digest: String,
    /// Name of the arm whose courses are the predictions.
    pub arm: String,
    /// Points of the uncertain parameters that medians and bands go over; `null` if the result has
    /// none.
    pub points: Option<u64>,
    /// Predictions for patients who were followed; `null` if none were given.
    pub cohort: Option<ValidatedCohort>,
    /// Published quantities beside the model's; `null` if none were given.
    pub targets: Option<ValidatedTargets>,
    #[serde(skip)]
    curves: Vec<GroupCurves>,
}

/// Predictions for patients who were followed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidatedCohort {
    /// Name of the file.
    pub name: String,
    /// What patients were followed for: `local`, `distant`, `recurrence`, `rfs` or `death`.
    pub endpoint: &'static str,
    /// Patients.
    pub patients: u64,
    /// Patients with the event.
    pub events: u64,
    /// Patients whom a competing event took.
    pub competing: u64,
    /// Patients who left without either.
    pub censored: u64,
    /// Median follow-up, years: that of censoring, had there been no events.
    pub followed_years_median: Option<f64>,
    /// How good predictions are by each time.
    pub times: Vec<ValidatedTime>,
    /// Groups of patients by each time: by predicted risk, then the trial's strata.
    pub groups: Vec<ValidatedGroup>,
}

/// How good predictions are until a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidatedTime {
    /// Days from resection.
    pub time_days: f64,
    /// The same in years of 365.25 days.
    pub time_years: f64,
    /// Predicted cumulative incidence, the mean over the patients.
    pub predicted: Option<f64>,
    /// Median of the same over the points of the uncertain parameters; `null` if the result has none.
    pub predicted_median: Option<f64>,
    /// Lower end of the central 95 % of the points, less the noise.
    pub predicted_lower: Option<f64>,
    /// Upper end of the same.
    pub predicted_upper: Option<f64>,
    /// Cumulative incidence seen (Aalen–Johansen).
    pub observed: Option<f64>,
    /// Its standard error.
    pub observed_standard_error: Option<f64>,
    /// Lower end of its interval (log-log).
    pub observed_lower: Option<f64>,
    /// Upper end of the same.
    pub observed_upper: Option<f64>,
    /// Observed over predicted incidence.
    pub observed_to_predicted: Option<f64>,
    /// Lower end of its interval, that of the observed.
    pub observed_to_predicted_lower: Option<f64>,
    /// Upper end of the same.
    pub observed_to_predicted_upper: Option<f64>,
    /// Harrell's C: the share of comparable pairs that predictions put in the right order.
    pub harrell: Option<f64>,
    /// Its standard error.
    pub harrell_standard_error: Option<f64>,
    /// Uno's C: the same with pairs weighted by the inverse probability of being followed.
    pub uno: Option<f64>,
    /// Its standard error.
    pub uno_standard_error: Option<f64>,
    /// Share of comparable pairs with equal predictions, which count as half in C.
    pub tied: Option<f64>,
    /// Brier score: mean squared error of the predictions by this time.
    pub brier: Option<f64>,
    /// The same of the cohort's own incidence as everybody's prediction.
    pub brier_null: Option<f64>,
    /// One less the ratio of the two: 1 is perfect, 0 no better than the cohort's incidence.
    pub brier_scaled: Option<f64>,
    /// Brier score, averaged from 0 to this time.
    pub integrated_brier: Option<f64>,
    /// The same of the cohort's own incidence.
    pub integrated_brier_null: Option<f64>,
    /// One less the ratio of the two.
    pub integrated_brier_scaled: Option<f64>,
    /// Events by this time.
    pub events: u64,
    /// Events predicted while patients were followed.
    pub expected_events: Option<f64>,
    /// Events over those predicted.
    pub observed_to_expected: Option<f64>,
    /// Lower end of its interval (Poisson).
    pub observed_to_expected_lower: Option<f64>,
    /// Upper end of the same.
    pub observed_to_expected_upper: Option<f64>,
    /// Calibration slope: 1 if risks differ as predicted, below 1 if they differ less.
    pub slope: Option<f64>,
    /// Its standard error.
    pub slope_standard_error: Option<f64>,
    /// Calibration intercept beside the slope: logarithm of events over those predicted, for a
    /// patient of mean predicted log-hazard.
    pub intercept: Option<f64>,
    /// Its standard error.
    pub intercept_standard_error: Option<f64>,
}

/// Patients of a group, by a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidatedGroup {
    /// What makes the groups: `risk` (about fifths of predicted risk) or `stratum`.
    pub grouping: &'static str,
    /// Which of them, the lowest risk first; or the stratum's label.
    pub group: String,
    /// Days from resection.
    pub time_days: f64,
    /// The same in years of 365.25 days.
    pub time_years: f64,
    /// Patients in it.
    pub patients: u64,
    /// Predicted cumulative incidence, the mean over the patients.
    pub predicted: Option<f64>,
    /// Cumulative incidence seen (Aalen–Johansen).
    pub observed: Option<f64>,
    /// Its standard error.
    pub observed_standard_error: Option<f64>,
    /// Lower end of its interval (log-log).
    pub observed_lower: Option<f64>,
    /// Upper end of the same.
    pub observed_upper: Option<f64>,
}

/// What was predicted for a group and what was seen, over time.
#[derive(Debug, Clone, PartialEq)]
struct GroupCurves {
    label: String,
    times: Vec<f64>,
    /// By time.
    at_risk: Vec<u64>,
    observed: Vec<Estimate>,
    predicted: Vec<TimePoint>,
}

/// A value at a time, with its interval or band; not finite where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
struct TimePoint {
    years: f64,
    value: f64,
    interval: (f64, f64),
}

/// Sets a result against cohorts.
///
/// # Errors
/// [`ValidateError`] if a time is out of reach.
pub fn validate(input: &ValidateInput<'_>) -> Result<Validation, ValidateError> {
    let edges_years: Vec<f64> = input.edges_days.iter().map(|day| day / YEAR_DAYS).collect();
    let courses = Courses {
        tally: input.tally,
        arm: input.arm,
        edges_years: &edges_years,
    };
    let points = input.points.map(|points| Points {
        points,
        arm: input.arm,
    });
    let mut validation = Validation {
        trial: input.trial.to_owned(),
        title: input.title.to_owned(),
        seed: input.seed,
        digest: input.digest.to_owned(),
        arm: input.arms[input.arm].clone(),
        points: input.points.map(|points| points.len() as u64),
        cohort: None,
        targets: input
            .targets
            .map(|cohort| targets::targets(input, &courses, points, cohort)),
        curves: Vec::new(),
    };
    if let Some(patients) = input.patients {
        let judge = Judge::new(input, &courses, points, patients);
        validation.cohort = Some(judge.cohort(input.times_days)?);
        let last = input.times_days.iter().copied().fold(0.0, f64::max);
        validation.curves = judge.curves(last / YEAR_DAYS);
    }
    Ok(validation)
}

/// Judges the predictions for patients.
struct Judge<'a> {
    patients: &'a Patients,
    cohort: Judged,
    /// What was seen, as everybody's prediction.
    null: Curve,
    /// By stratum.
    predictions: Vec<Prediction>,
    points: Option<Points<'a>>,
    strata: &'a [String],
    edges: &'a [f64],
}

impl<'a> Judge<'a> {
    fn new(
        input: &ValidateInput<'a>,
        courses: &Courses<'a>,
        points: Option<Points<'a>>,
        patients: &'a Patients,
    ) -> Self {
        let followed = patients.rows.iter().map(|row| row.followed);
        let cohort = Judged::new(followed.collect());
        let strata = 0..input.strata.len();
        let prediction = |stratum| Prediction::of(courses, stratum, patients.outcome);
        Self {
            patients,
            null: cumulative_incidence(&risk_table(cohort.patients()), 0),
            cohort,
            predictions: strata.map(prediction).collect(),
            points,
            strata: input.strata,
            edges: courses.edges_years,
        }
    }

    fn cohort(&self, times_days: &[f64]) -> Result<ValidatedCohort, ValidateError> {
        let number = |kind: ExitKind| {
            let exits = self.cohort.patients().iter();
            exits.filter(|followed| followed.exit == kind).count() as u64
        };
        let mut times = Vec::new();
        let mut groups = Vec::new();
        for days in times_days {
            let years = days / YEAR_DAYS;
            self.check(years)?;
            times.push(self.time(years));
            groups.extend(self.groups(years));
        }
        Ok(ValidatedCohort {
            name: self.patients.name.clone(),
            endpoint: self.patients.outcome.name(),
            patients: self.cohort.patients().len() as u64,
            events: number(ExitKind::Event),
            competing: number(ExitKind::Competing),
            censored: number(ExitKind::Censored),
            followed_years_median: finite(self.followed_median()),
            times,
            groups,
        })
    }

    fn check(&self, years: f64) -> Result<(), ValidateError> {
        let followed_years = self.cohort.last_time();
        let horizon_years = self.edges.last().copied().unwrap_or(0.0);
        if years > 0.0 && years <= followed_years && years <= horizon_years {
            return Ok(());
        }
        Err(ValidateError::Time {
            years,
            followed_years,
            horizon_years,
        })
    }

    /// The median time of censoring, had nothing else taken anybody (Schemper and Smith, Control
    /// Clin Trials 1996;17:343).
    fn followed_median(&self) -> f64 {
        let exits = self.cohort.patients().iter().map(|followed| {
            let censored = followed.exit == ExitKind::Censored;
            (followed.time, censored.then_some(0))
        });
        let curve = kaplan_meier(&RiskTable::from_patients(1, exits));
        survival_quantile(&curve, 0.5, CRITICAL_95).time
    }

    fn prediction(&self, patient: usize) -> &Prediction {
        &self.predictions[self.patients.rows[patient].stratum]
    }

    /// Predicted risks of all patients by a time.
    fn risks(&self, years: f64) -> Vec<f64> {
        let by_stratum = self.predictions.iter().map(|one| one.risk(years));
        let by_stratum: Vec<f64> = by_stratum.collect();
        let rows = self.patients.rows.iter();
        rows.map(|row| by_stratum[row.stratum]).collect()
    }

    fn time(&self, years: f64) -> ValidatedTime {
        let risks = self.risks(years);
        let predicted = mean(risks.iter().copied());
        let observed = self.null.at(years);
        let (lower, upper) = observed.log_log_interval(CRITICAL_95);
        let harrell = concordance(&self.cohort, &risks, PairWeights::Equal, years);
        let uno = concordance(&self.cohort, &risks, PairWeights::InverseFollowing, years);
        let brier = brier_score(&self.cohort, years, |patient| risks[patient]);
        let brier_null = brier_score(&self.cohort, years, |_| observed.value);
        let (integrated, integrated_null) = self.integrated_brier(years);
        let events = self.calibration(years);
        let everybody: Vec<usize> = (0..risks.len()).collect();
        let over_points = self.over_points(&everybody);
        let band = over_points.and_then(|curves| curves.band(years));
        ValidatedTime {
            time_days: years * YEAR_DAYS,
            time_years: years,
            predicted: finite(predicted),
            predicted_median: band.map(|band| band.median),
            predicted_lower: band.map(|band| band.lower),
            predicted_upper: band.map(|band| band.upper),
            observed: finite(observed.value),
            observed_standard_error: finite(observed.standard_error),
            observed_lower: finite(lower),
            observed_upper: finite(upper),
            observed_to_predicted: finite(observed.value / predicted),
            observed_to_predicted_lower: finite(lower / predicted),
            observed_to_predicted_upper: finite(upper / predicted),
            harrell: finite(harrell.value.value),
            harrell_standard_error: finite(harrell.value.standard_error),
            uno: finite(uno.value.value),
            uno_standard_error: finite(uno.value.standard_error),
            tied: finite(harrell.tied),
            brier: finite(brier),
            brier_null: finite(brier_null),
            brier_scaled: finite(1.0 - brier / brier_null),
            integrated_brier: finite(integrated),
            integrated_brier_null: finite(integrated_null),
            integrated_brier_scaled: finite(1.0 - integrated / integrated_null),
            events: events.observed,
            expected_events: finite(events.expected),
            observed_to_expected: finite(events.ratio),
            observed_to_expected_lower: finite(events.ratio_interval.0),
            observed_to_expected_upper: finite(events.ratio_interval.1),
            slope: finite(events.slope.value),
            slope_standard_error: finite(events.slope.standard_error),
            intercept: finite(events.intercept.value),
            intercept_standard_error: finite(events.intercept.standard_error),
        }
    }

    /// Of the predictions, and of the cohort's own incidence; read at the ends of the trial's bins.
    fn integrated_brier(&self, years: f64) -> (f64, f64) {
        let ends = self.edges.iter().copied();
        let mut times: Vec<f64> = ends.filter(|end| *end > 0.0 && *end < years).collect();
        times.push(years);
        let risks: Vec<Vec<f64>> = (self.predictions.iter())
            .map(|prediction| times.iter().map(|time| prediction.risk(*time)).collect())
            .collect();
        let null: Vec<f64> = times.iter().map(|time| self.null.at(*time).value).collect();
        let rows = &self.patients.rows;
        (
            integrated_brier_score(&self.cohort, &times, |patient, at| {
                risks[rows[patient].stratum][at]
            }),
            integrated_brier_score(&self.cohort, &times, |_, at| null[at]),
        )
    }

    fn calibration(&self, years: f64) -> validation::Calibration {
        let patients = self.patients.rows.iter().map(|row| {
            let prediction = &self.predictions[row.stratum];
            FollowedHazard {
                followed: prediction.hazard(row.followed.time.min(years)),
                horizon: prediction.hazard(years),
                event: row.followed.exit == ExitKind::Event && row.followed.time <= years,
            }
        });
        calibration(&patients.collect::<Vec<_>>())
    }

    fn groups(&self, years: f64) -> Vec<ValidatedGroup> {
        let risks = self.risks(years);
        let by_risk = self.by_risk(years).into_iter();
        let by_risk = by_risk.map(|(label, members)| ("risk", label, members));
        let by_stratum = self.strata.iter().enumerate().map(|(stratum, label)| {
            let all = 0..self.patients.rows.len();
            let own = all.filter(|patient| self.patients.rows[*patient].stratum == stratum);
            ("stratum", label.clone(), own.collect::<Vec<_>>())
        });
        let all = by_risk.chain(by_stratum);
        let all = all.filter(|(_, _, members)| !members.is_empty());
        all.map(|(grouping, group, members)| {
            let observed = self.incidence(&members).at(years);
            let (lower, upper) = observed.log_log_interval(CRITICAL_95);
            ValidatedGroup {
                grouping,
                group,
                time_days: years * YEAR_DAYS,
                time_years: years,
                patients: members.len() as u64,
                predicted: finite(mean(members.iter().map(|patient| risks[*patient]))),
                observed: finite(observed.value),
                observed_standard_error: finite(observed.standard_error),
                observed_lower: finite(lower),
                observed_upper: finite(upper),
            }
        })
        .collect()
    }

    /// About fifths by the risk predicted by a time, with their labels.
    fn by_risk(&self, years: f64) -> Vec<(String, Vec<usize>)> {
        let groups = risk_groups(&self.risks(years), RISK_GROUPS);
        let number = groups.len();
        let labelled = groups
            .into_iter()
            .enumerate()
            .map(|(place, members)| (format!("{} of {number}", place + 1), members));
        labelled.collect()
    }

    fn table(&self, members: &[usize]) -> RiskTable {
        let patients = self.cohort.patients();
        risk_table(members.iter().map(|patient| &patients[*patient]))
    }

    /// What was seen in these patients.
    fn incidence(&self, members: &[usize]) -> Curve {
        cumulative_incidence(&self.table(members), 0)
    }

    /// Of all patients, and of each group by the risk predicted by a time.
    fn curves(&self, years: f64) -> Vec<GroupCurves> {
        let everybody = (0..self.patients.rows.len()).collect();
        let mut groups = vec![("all patients".to_owned(), everybody)];
        let by_risk = self.by_risk(years);
        if by_risk.len() > 1 {
            let named = |(label, members)| (format!("risk group {label}"), members);
            groups.extend(by_risk.into_iter().map(named));
        }
        let reached = self.cohort.last_time();
        let times: Vec<f64> = self
            .edges
            .iter()
            .copied()
            .filter(|end| *end <= reached)
            .collect();
        groups
            .into_iter()
            .map(|(label, members)| self.curves_of(label, &members, &times))
            .collect()
    }

    fn curves_of(&self, label: String, members: &[usize], times: &[f64]) -> GroupCurves {
        let incidence = self.incidence(members);
        let at_risk = |time: &f64| {
            let followed = |patient: &&usize| self.cohort.patients()[**patient].time >= *time;
            members.iter().filter(followed).count() as u64
        };
        GroupCurves {
            label,
            at_risk: times.iter().map(at_risk).collect(),
            observed: times.iter().map(|time| incidence.at(*time)).collect(),
            predicted: self.predicted(members, times),
            times: times.to_vec(),
        }
    }

    /// What is predicted for these patients on average: over the points, if there are any, by half-year
    /// until the last time, otherwise at all times.
    fn predicted(&self, members: &[usize], times: &[f64]) -> Vec<TimePoint> {
        if let Some(over_points) = self.over_points(members) {
            let last = times.last().copied().unwrap_or(0.0);
            let mut points = over_points.model();
            points.retain(|point| point.years <= last);
            return points;
        }
        let risk = |time| {
            let risks = members
                .iter()
                .map(|patient| self.prediction(*patient).risk(time));
            TimePoint {
                years: time,
                value: mean(risks),
                interval: (f64::NAN, f64::NAN),
            }
        };
        times.iter().copied().map(risk).collect()
    }

    /// The same at every point of what is uncertain.
    fn over_points(&self, members: &[usize]) -> Option<PointCurves> {
        let points = self.points.as_ref()?;
        let mut shares = vec![0.0; self.strata.len()];
        for patient in members {
            shares[self.patients.rows[*patient].stratum] += 1.0 / members.len() as f64;
        }
        let kinds = self.patients.outcome.cell_events();
        Some(PointCurves::mixed(points, &shares, kinds))
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let number = values.len() as f64;
    values.sum::<f64>() / number
}
