//! Arms against the control, as numbers. [`Comparison`] serialises to the public JSON of
//! `reseed compare --json`: field names are stable, probabilities are fractions, and what cannot
//! be estimated or is infinite is `null`.

use reseed_stats::coupled::JointExits;
use reseed_stats::distribution::CRITICAL_95;
use reseed_stats::estimate::reseeded_share;
use reseed_stats::hazard::interval_hazards;
use reseed_stats::multiplicity::{holm, sidak_critical};
use reseed_stats::share::{counterfactual_shares, origin_shares};
use reseed_stats::{
    CoupledTest, Endpoint, Estimate, HazardRatio, ORIGINS, PairedCurves, RiskTable, Share, Tally,
    Weights,
};
use serde::Serialize;
use thiserror::Error;

use crate::{YEAR_DAYS, finite};

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
    /// Whether to estimate hazards year by year too.
    pub hazards: bool,
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
    /// If asked for, a row per stratum, endpoint, arm and year, in this order of nesting.
    pub hazards: Vec<YearlyHazard>,
}

/// Patients not enrolled for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excluded {
    /// The reason.
    pub reason: String,
    /// How many.
    pub patients: u64,
}

/// One arm by one time: follow-up is taken to end then, in every estimate. What compares with the
/// control is `null` in the control's rows. Intervals are for 95 % confidence.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
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
    /// Lower end of its interval (log-log); `null` without events.
    pub cumulative_incidence_lower: Option<f64>,
    /// Upper end of the same.
    pub cumulative_incidence_upper: Option<f64>,
    /// Probability of neither the event nor one that competes with it (Kaplan–Meier): of being
    /// alive without any recurrence for `local` and `rfs`, alive without a distant one for
    /// `distant`, alive for `death`.
    pub survival: Option<f64>,
    /// Its standard error (Greenwood).
    pub survival_standard_error: Option<f64>,
    /// Lower end of its interval (log-log).
    pub survival_lower: Option<f64>,
    /// Upper end of the same.
    pub survival_upper: Option<f64>,
    /// Restricted mean time lost to the event, in days of the time looked at. For `rfs` and
    /// `death` the rest is the restricted mean survival time.
    pub days_lost: Option<f64>,
    /// Its standard error.
    pub days_lost_standard_error: Option<f64>,
    /// Lower end of its interval.
    pub days_lost_lower: Option<f64>,
    /// Upper end of the same.
    pub days_lost_upper: Option<f64>,
    /// Share of the local recurrences founded by circulating cells; `null` for other endpoints.
    pub reseeded_share: Option<f64>,
    /// Its standard error.
    pub reseeded_share_standard_error: Option<f64>,
    /// Lower end of its interval (Wilson).
    pub reseeded_share_lower: Option<f64>,
    /// Upper end of the same.
    pub reseeded_share_upper: Option<f64>,
    /// Share of the local recurrences whose founder the primary tumour shed.
    pub primary_share: Option<f64>,
    /// Lower end of its interval (Wilson).
    pub primary_share_lower: Option<f64>,
    /// Upper end of the same.
    pub primary_share_upper: Option<f64>,
    /// Share of the local recurrences whose founder a distant colony shed.
    pub distant_share: Option<f64>,
    /// Lower end of its interval (Wilson).
    pub distant_share_lower: Option<f64>,
    /// Upper end of the same.
    pub distant_share_upper: Option<f64>,
    /// Share of the local recurrences whose founder another colony of the scar shed.
    pub scar_share: Option<f64>,
    /// Lower end of its interval (Wilson).
    pub scar_share_lower: Option<f64>,
    /// Upper end of the same.
    pub scar_share_upper: Option<f64>,
    /// Cumulative incidence minus the control's.
    pub risk_difference: Option<f64>,
    /// Its standard error, from pairs.
    pub risk_difference_standard_error: Option<f64>,
    /// Lower end of its 95 % confidence interval.
    pub risk_difference_lower: Option<f64>,
    /// Upper end of its 95 % confidence interval.
    pub risk_difference_upper: Option<f64>,
    /// Lower end of an interval so wide that those of all arms hold at once with 95 % confidence
    /// (Šidák).
    pub risk_difference_simultaneous_lower: Option<f64>,
    /// Upper end of the same.
    pub risk_difference_simultaneous_upper: Option<f64>,
    /// Two-sided p-value of the risk difference, by the score test of paired proportions.
    pub p_value: Option<f64>,
    /// The same adjusted for the number of arms (Holm).
    pub holm_p_value: Option<f64>,
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
    /// Days lost to the event minus the control's, on the same patients.
    pub days_lost_difference: Option<f64>,
    /// Its standard error, from pairs.
    pub days_lost_difference_standard_error: Option<f64>,
    /// Lower end of its interval.
    pub days_lost_difference_lower: Option<f64>,
    /// Upper end of the same.
    pub days_lost_difference_upper: Option<f64>,
    /// Cox's ratio of the event's hazards over the control's, with Efron's ties; its interval, like
    /// those of the tests, takes both lives of a patient for one, and is `null` within strata, of
    /// which a result does not have the joint exits.
    pub hazard_ratio: Option<f64>,
    /// Lower end of its interval.
    pub hazard_ratio_lower: Option<f64>,
    /// Upper end of the same.
    pub hazard_ratio_upper: Option<f64>,
    /// Fine and Gray's ratio of subdistribution hazards; `null` where nothing competes.
    pub subdistribution_hazard_ratio: Option<f64>,
    /// Lower end of its interval.
    pub subdistribution_hazard_ratio_lower: Option<f64>,
    /// Upper end of the same.
    pub subdistribution_hazard_ratio_upper: Option<f64>,
    /// P-value of the log-rank test of the event's hazards.
    pub log_rank_p_value: Option<f64>,
    /// The same with weights of Fleming and Harrington (0, 1), to which late events matter most.
    pub late_log_rank_p_value: Option<f64>,
    /// P-value of Gray's test of the cumulative incidences; `null` where nothing competes.
    pub gray_p_value: Option<f64>,
    /// Share of the patients with the event in the control and not in this arm; like the next,
    /// `null` if some were not followed.
    pub benefit_share: Option<f64>,
    /// Lower end of its interval (Wilson).
    pub benefit_share_lower: Option<f64>,
    /// Upper end of the same.
    pub benefit_share_upper: Option<f64>,
    /// Share of the patients with the event in this arm and not in the control.
    pub harm_share: Option<f64>,
    /// Lower end of its interval (Wilson).
    pub harm_share_lower: Option<f64>,
    /// Upper end of the same.
    pub harm_share_upper: Option<f64>,
    /// Patients whose event of the control comes in a later bin in this arm, or not by this time;
    /// `null` if some were not followed.
    pub patients_delayed: Option<u64>,
    /// Mean days from their event in the control to that in this arm, or to this time.
    pub delay_days: Option<f64>,
    /// Its standard error.
    pub delay_days_standard_error: Option<f64>,
    /// Lower end of its interval.
    pub delay_days_lower: Option<f64>,
    /// Upper end of the same.
    pub delay_days_upper: Option<f64>,
    /// Patients with the event in the control only.
    pub patients_control_only: Option<u64>,
    /// Patients with the event in this arm only.
    pub patients_arm_only: Option<u64>,
    /// How many times more patients an unpaired comparison would need; `null` also if no patient
    /// fares differently.
    pub variance_reduction: Option<f64>,
}

/// The hazard of an endpoint's event in one arm in one year after resection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct YearlyHazard {
    /// The stratum; `null` for all patients.
    pub stratum: Option<String>,
    /// The endpoint.
    pub endpoint: &'static str,
    /// Name of the arm.
    pub arm: String,
    /// Start, years from resection.
    pub from_years: f64,
    /// End, years from resection.
    pub to_years: f64,
    /// Events.
    pub events: u64,
    /// Years that all patients together spent at risk.
    pub person_years: f64,
    /// Events per person-year; `null` if nobody was at risk.
    pub hazard_per_year: Option<f64>,
    /// Lower end of its 95 % interval (score, Poisson).
    pub hazard_per_year_lower: Option<f64>,
    /// Upper end of the same.
    pub hazard_per_year_upper: Option<f64>,
}

/// Compares every arm with the control.
///
/// # Errors
/// [`CompareError`] if a time lies outside follow-up or labels do not fit the tally.
pub fn compare(input: &CompareInput<'_>) -> Result<Comparison, CompareError> {
    check_labels(input)?;
    let bins = bins(input)?;
    let shape = input.tally.shape();
    let mut groups = vec![Group {
        label: None,
        strata: (0..shape.strata).collect(),
    }];
    if input.by_stratum {
        let strata = input.strata.iter().enumerate();
        groups.extend(strata.map(|(index, label)| Group {
            label: Some(label),
            strata: vec![index],
        }));
    }
    let mut rows = Vec::new();
    let mut hazards = Vec::new();
    for group in &groups {
        for endpoint in input.endpoints {
            rows.extend(group.compare(input, *endpoint, &bins));
            if input.hazards {
                hazards.extend(group.hazards(input, *endpoint));
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
        hazards,
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
    let bin = |&time_days: &f64| {
        bin_at(input.edges_days, time_days).ok_or(CompareError::Time {
            time_days,
            horizon_days: input.edges_days.last().copied().unwrap_or(0.0),
        })
    };
    let mut bins = input
        .times_days
        .iter()
        .map(bin)
        .collect::<Result<Vec<_>, _>>()?;
    bins.sort_unstable();
    bins.dedup();
    Ok(bins)
}

/// The bin that ends nearest to a time; `None` outside follow-up.
pub(crate) fn bin_at(edges: &[f64], time: f64) -> Option<usize> {
    let ends = &edges[1..];
    let distance = |bin: &usize| (ends[*bin] - time).abs();
    let nearest = (0..ends.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
    // Written so that a time that is not a number is refused too.
    nearest.filter(|_| time > 0.0 && time <= ends[ends.len() - 1])
}

/// Patients that are compared together.
struct Group<'a> {
    label: Option<&'a String>,
    strata: Vec<usize>,
}

impl Group<'_> {
    /// Rows of all arms by the end of each of `bins`.
    fn compare(
        &self,
        input: &CompareInput<'_>,
        endpoint: Endpoint,
        bins: &[usize],
    ) -> Vec<ComparedArm> {
        let arms: Vec<Arm<'_>> = (0..input.arms.len())
            .map(|arm| Arm::new(self, input, endpoint, arm))
            .collect();
        let mut rows = Vec::with_capacity(bins.len() * arms.len());
        for bin in bins {
            let mut block: Vec<ComparedArm> = arms.iter().map(|arm| arm.row(*bin)).collect();
            let p_values = block.iter().map(|row| row.p_value.unwrap_or(f64::NAN));
            let adjusted = holm(&p_values.collect::<Vec<_>>());
            for (row, adjusted) in block.iter_mut().zip(adjusted) {
                row.holm_p_value = finite(adjusted);
            }
            rows.extend(block);
        }
        rows
    }

    fn hazards(&self, input: &CompareInput<'_>, endpoint: Endpoint) -> Vec<YearlyHazard> {
        let edges: Vec<f64> = input.edges_days.iter().map(|day| day / YEAR_DAYS).collect();
        let horizon = edges[edges.len() - 1];
        let whole = (0u32..).map(f64::from).take_while(|year| *year < horizon);
        let years: Vec<f64> = whole.chain([horizon]).collect();
        let of_arm = |(arm, name): (usize, &String)| {
            let table = RiskTable::of_endpoint(input.tally, &self.strata, arm, endpoint, &edges);
            let of_year = |hazard: reseed_stats::hazard::IntervalHazard| YearlyHazard {
                stratum: self.label.cloned(),
                endpoint: endpoint.name(),
                arm: name.clone(),
                from_years: hazard.span.0,
                to_years: hazard.span.1,
                events: hazard.events,
                person_years: hazard.person_time,
                hazard_per_year: finite(hazard.rate.value),
                hazard_per_year_lower: finite(hazard.interval.0),
                hazard_per_year_upper: finite(hazard.interval.1),
            };
            let hazards = interval_hazards(&table, 0, &years).into_iter();
            hazards.map(of_year).collect::<Vec<_>>()
        };
        input.arms.iter().enumerate().flat_map(of_arm).collect()
    }
}

/// An arm of a group, ready to be compared at any time.
struct Arm<'a> {
    group: &'a Group<'a>,
    input: &'a CompareInput<'a>,
    endpoint: Endpoint,
    position: usize,
    curves: PairedCurves,
    /// The arm and the control together; of the control there is nothing to compare.
    joint: Option<JointExits>,
}

impl<'a> Arm<'a> {
    fn new(
        group: &'a Group<'a>,
        input: &'a CompareInput<'a>,
        endpoint: Endpoint,
        arm: usize,
    ) -> Self {
        let CompareInput {
            tally, edges_days, ..
        } = input;
        let strata = &group.strata;
        Self {
            group,
            input,
            endpoint,
            position: arm,
            curves: PairedCurves::new(tally, strata, arm, endpoint),
            joint: (arm != tally.shape().control)
                .then(|| JointExits::new(tally, strata, arm, endpoint, edges_days)),
        }
    }

    fn row(&self, bin: usize) -> ComparedArm {
        let own = self.own(bin);
        match &self.joint {
            Some(joint) => self.against_control(own, joint, bin),
            None => own,
        }
    }

    /// What the arm is by itself.
    fn own(&self, bin: usize) -> ComparedArm {
        let (tally, strata) = (self.input.tally, &self.group.strata);
        let time_days = self.input.edges_days[bin + 1];
        let enrolled = tally.enrolled();
        let incidence = Limited::log_log(self.curves.arm_incidence(bin));
        let survival = Limited::log_log(self.curves.arm_survival(bin));
        let lost = Limited::plain(self.curves.mean(self.input.edges_days, bin).arm);
        let shares = (self.endpoint == Endpoint::Local)
            .then(|| origin_shares(tally, strata, self.position, bin));
        let origin = |position: usize| match shares {
            Some(shares) => Limited::share(shares[position]),
            None => Limited::NONE,
        };
        let reseeded = shares.map_or(Limited::NONE, |shares| Limited {
            error: finite(reseeded_share(tally, strata, self.position, bin).standard_error),
            ..Limited::share(Share::new(
                shares[0].whole - shares[0].part,
                shares[0].whole,
            ))
        });
        let [_, primary, distant, scar]: [Limited; ORIGINS.len()] = [0, 1, 2, 3].map(origin);
        ComparedArm {
            stratum: self.group.label.cloned(),
            endpoint: self.endpoint.name(),
            time_days,
            time_years: time_days / YEAR_DAYS,
            arm: self.input.arms[self.position].clone(),
            patients: strata.iter().map(|stratum| enrolled[*stratum]).sum(),
            cumulative_incidence: incidence.value,
            cumulative_incidence_standard_error: incidence.error,
            cumulative_incidence_lower: incidence.lower,
            cumulative_incidence_upper: incidence.upper,
            survival: survival.value,
            survival_standard_error: survival.error,
            survival_lower: survival.lower,
            survival_upper: survival.upper,
            days_lost: lost.value,
            days_lost_standard_error: lost.error,
            days_lost_lower: lost.lower,
            days_lost_upper: lost.upper,
            reseeded_share: reseeded.value,
            reseeded_share_standard_error: reseeded.error,
            reseeded_share_lower: reseeded.lower,
            reseeded_share_upper: reseeded.upper,
            primary_share: primary.value,
            primary_share_lower: primary.lower,
            primary_share_upper: primary.upper,
            distant_share: distant.value,
            distant_share_lower: distant.lower,
            distant_share_upper: distant.upper,
            scar_share: scar.value,
            scar_share_lower: scar.lower,
            scar_share_upper: scar.upper,
            ..ComparedArm::default()
        }
    }

    /// The row with what the arm is against the control.
    fn against_control(&self, own: ComparedArm, joint: &JointExits, bin: usize) -> ComparedArm {
        let (tally, strata) = (self.input.tally, &self.group.strata);
        let (edges, arms) = (self.input.edges_days, self.input.arms.len());
        let contrast = self.curves.contrast(bin);
        let (lower, upper) = contrast.difference_interval;
        let critical = sidak_critical(0.95, arms - 1);
        let simultaneous = self.curves.difference_interval(bin, critical);
        let number = contrast.number_needed_to_treat;
        let lost = self.curves.mean(edges, bin);
        let lost = Limited::new(lost.difference, lost.difference_interval);
        let delay = self.curves.delay(edges, bin);
        let late = delay.map_or(Limited::NONE, |delay| {
            Limited::new(delay.mean, delay.interval)
        });
        let coupled = joint.until(bin);
        let competing = matches!(self.endpoint, Endpoint::Local | Endpoint::Distant);
        let ratio = Limited::ratio(coupled.cox());
        let subdistribution = if competing {
            Limited::ratio(coupled.fine_gray())
        } else {
            Limited::NONE
        };
        let p_value = |test: CoupledTest| finite(test.p_value);
        let late_weights = Weights {
            rho: 0.0,
            gamma: 1.0,
        };
        let shares = counterfactual_shares(tally, strata, self.position, self.endpoint, bin);
        let [benefit, harm] = [shares.benefit, shares.harm].map(|share| {
            if shares.complete {
                Limited::share(share)
            } else {
                Limited::NONE
            }
        });
        ComparedArm {
            risk_difference: finite(contrast.difference.value),
            risk_difference_standard_error: finite(contrast.difference.standard_error),
            risk_difference_lower: finite(lower),
            risk_difference_upper: finite(upper),
            risk_difference_simultaneous_lower: finite(simultaneous.0),
            risk_difference_simultaneous_upper: finite(simultaneous.1),
            p_value: finite(contrast.p_value),
            risk_ratio: finite(contrast.ratio),
            risk_ratio_lower: finite(contrast.ratio_interval.0),
            risk_ratio_upper: finite(contrast.ratio_interval.1),
            number_needed_to_treat: number.and_then(|number| finite(number.value)),
            number_needed_to_treat_best: number.and_then(|number| finite(number.interval.0)),
            number_needed_to_treat_worst: number.and_then(|number| finite(number.interval.1)),
            days_lost_difference: lost.value,
            days_lost_difference_standard_error: lost.error,
            days_lost_difference_lower: lost.lower,
            days_lost_difference_upper: lost.upper,
            hazard_ratio: ratio.value,
            hazard_ratio_lower: ratio.lower,
            hazard_ratio_upper: ratio.upper,
            subdistribution_hazard_ratio: subdistribution.value,
            subdistribution_hazard_ratio_lower: subdistribution.lower,
            subdistribution_hazard_ratio_upper: subdistribution.upper,
            log_rank_p_value: p_value(coupled.log_rank(Weights::EQUAL)),
            late_log_rank_p_value: p_value(coupled.log_rank(late_weights)),
            gray_p_value: competing.then(|| coupled.gray()).and_then(p_value),
            benefit_share: benefit.value,
            benefit_share_lower: benefit.lower,
            benefit_share_upper: benefit.upper,
            harm_share: harm.value,
            harm_share_lower: harm.lower,
            harm_share_upper: harm.upper,
            patients_delayed: delay.map(|delay| delay.patients),
            delay_days: late.value,
            delay_days_standard_error: late.error,
            delay_days_lower: late.lower,
            delay_days_upper: late.upper,
            patients_control_only: Some(contrast.control_only),
            patients_arm_only: Some(contrast.arm_only),
            variance_reduction: finite(contrast.variance_reduction),
            ..own
        }
    }
}

/// A number with its limits, as far as they are known and finite.
#[derive(Debug, Clone, Copy)]
struct Limited {
    value: Option<f64>,
    error: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
}

impl Limited {
    const NONE: Self = Self {
        value: None,
        error: None,
        lower: None,
        upper: None,
    };

    fn new(estimate: Estimate, (lower, upper): (f64, f64)) -> Self {
        Self {
            value: finite(estimate.value),
            error: finite(estimate.standard_error),
            lower: finite(lower),
            upper: finite(upper),
        }
    }

    fn plain(estimate: Estimate) -> Self {
        Self::new(estimate, estimate.plain_interval(CRITICAL_95))
    }

    fn log_log(probability: Estimate) -> Self {
        Self::new(probability, probability.log_log_interval(CRITICAL_95))
    }

    fn share(share: Share) -> Self {
        if share.whole == 0 {
            return Self::NONE;
        }
        Self {
            value: finite(share.value),
            error: None,
            lower: finite(share.interval.0),
            upper: finite(share.interval.1),
        }
    }

    fn ratio(ratio: HazardRatio) -> Self {
        Self {
            value: finite(ratio.ratio),
            error: None,
            lower: finite(ratio.interval.0),
            upper: finite(ratio.interval.1),
        }
    }
}
