//! Power of virtual trials, as numbers. [`Power`] serialises to the public JSON of `reseed power
//! --json`: field names are stable, probabilities are fractions, and what cannot be estimated is
//! `null`.

mod text;

use reseed_stats::power::{BlockTrials, PowerEstimate, schoenfeld_power};
use reseed_stats::virtual_trial::Design;
use reseed_stats::{Endpoint, Estimate};
use serde::Serialize;

use crate::{YEAR_DAYS, finite};

/// Days in a month, on average.
const MONTH_DAYS: f64 = YEAR_DAYS / 12.0;

/// The virtual trials of a run and what is needed to label them.
#[derive(Debug, Clone, Copy)]
pub struct PowerInput<'a> {
    /// Name of the trial.
    pub trial: &'a str,
    /// One line about it; may be empty.
    pub title: &'a str,
    /// Seed of the run.
    pub seed: u64,
    /// Digest of the result, in hexadecimal.
    pub digest: &'a str,
    /// Names of the arms, by position.
    pub arms: &'a [String],
    /// Position of the control.
    pub control: usize,
    /// Positions of the arms to report, besides the control.
    pub chosen: &'a [usize],
    /// What is tested.
    pub endpoint: Endpoint,
    /// The plan of the trials.
    pub design: &'a Design,
    /// What they found, block by block.
    pub blocks: &'a [BlockTrials],
    /// Whether every block lives under parameters of its own.
    pub uncertain_parameters: bool,
}

/// What parallel-group trials of some sizes would find, for every arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Power {
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
    /// What is tested: `local`, `distant`, `rfs` or `death`.
    pub endpoint: &'static str,
    /// Blocks of patients that trials were drawn from.
    pub blocks: usize,
    /// Trials of each arm and size.
    pub virtual_trials: u64,
    /// Whether power is averaged over uncertain parameters, which makes it assurance.
    pub assurance: bool,
    /// Two-sided level of a trial's tests.
    pub alpha: f64,
    /// How the level is spent over the looks.
    pub spending: &'static str,
    /// Looks as fractions of the trial, the last 1.
    pub looks: Vec<f64>,
    /// Whether looks come with planned numbers of events, not by the calendar.
    pub event_driven: bool,
    /// Treated patients for each control.
    pub allocation: f64,
    /// From the opening of accrual to its end.
    pub accrual_months: f64,
    /// From then to the end.
    pub follow_up_months: f64,
    /// One row per size and arm, in this order of nesting. The control comes first, against
    /// itself: its `rejection` is the type I error.
    pub rows: Vec<PowerRow>,
}

/// Trials of one size with one arm as the treatment. Intervals are for 95 % confidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PowerRow {
    /// Name of the arm that is the treatment.
    pub arm: String,
    /// Whether it is the control itself, so that the null hypothesis is true.
    pub is_null: bool,
    /// Patients of the control group.
    pub control_patients: usize,
    /// Patients of the treated group.
    pub treated_patients: usize,
    /// Events that the trial is planned for; `null` if it ends by the calendar.
    pub planned_events: Option<u64>,
    /// Share of the trials that reject for benefit.
    pub power: Option<f64>,
    /// Its standard error, with regard to what trials of a block share.
    pub power_standard_error: Option<f64>,
    /// Lower end of its interval.
    pub power_lower: Option<f64>,
    /// Upper end of its interval.
    pub power_upper: Option<f64>,
    /// Share of the trials that reject for benefit or harm.
    pub rejection: Option<f64>,
    /// Lower end of its interval.
    pub rejection_lower: Option<f64>,
    /// Upper end of its interval.
    pub rejection_upper: Option<f64>,
    /// Share that has rejected, for benefit or harm, by each look.
    pub rejection_by_look: Vec<Option<f64>>,
    /// Power of one analysis at the planned end.
    pub fixed_power: Option<f64>,
    /// Share that would reject for benefit or harm in that analysis.
    pub fixed_rejection: Option<f64>,
    /// That power by Schoenfeld's formula, from the mean hazard ratio and events at the planned end.
    pub schoenfeld_power: Option<f64>,
    /// Geometric mean of the hazard ratios at the planned end, treated over control.
    pub hazard_ratio: Option<f64>,
    /// Lower end of its interval.
    pub hazard_ratio_lower: Option<f64>,
    /// Upper end of its interval.
    pub hazard_ratio_upper: Option<f64>,
    /// Geometric mean of the hazard ratios reported when trials stop.
    pub reported_hazard_ratio: Option<f64>,
    /// Mean number of events at the planned end.
    pub end_events: Option<f64>,
    /// Mean number of events when trials stop.
    pub events: Option<f64>,
    /// Mean number of patients enrolled when trials stop.
    pub patients: Option<f64>,
    /// Standard error of that mean; `null` of a single block.
    pub patients_standard_error: Option<f64>,
    /// Mean duration until trials stop, from the opening of accrual.
    pub months: Option<f64>,
    /// Standard error of that mean; `null` of a single block.
    pub months_standard_error: Option<f64>,
}

/// What the trials of all blocks say.
pub fn power(input: &PowerInput<'_>) -> Power {
    let design = input.design;
    let [control, treated] = design.block;
    let arms: Vec<usize> = std::iter::once(input.control)
        .chain(
            input
                .chosen
                .iter()
                .copied()
                .filter(|arm| *arm != input.control),
        )
        .collect();
    let sizes = 0..design.control_patients.len();
    Power {
        trial: input.trial.to_owned(),
        title: input.title.to_owned(),
        seed: input.seed,
        digest: input.digest.to_owned(),
        control: input.arms[input.control].clone(),
        endpoint: input.endpoint.name(),
        blocks: input.blocks.len(),
        virtual_trials: input.blocks.iter().map(BlockTrials::trials).sum(),
        assurance: input.uncertain_parameters,
        alpha: design.alpha,
        spending: design.spending.name(),
        looks: design.looks.clone(),
        event_driven: !design.events.is_empty(),
        allocation: treated as f64 / control as f64,
        accrual_months: design.accrual_days / MONTH_DAYS,
        follow_up_months: design.follow_up_days / MONTH_DAYS,
        rows: sizes
            .flat_map(|size| arms.iter().map(move |arm| row(input, *arm, size)))
            .collect(),
    }
}

fn row(input: &PowerInput<'_>, arm: usize, size: usize) -> PowerRow {
    let design = input.design;
    let found = PowerEstimate::new(input.blocks, arm, size);
    let control_patients = design.control_patients[size];
    let (ratio, (lower, upper)) = found.ratio(found.end_log_ratio);
    let months = Estimate {
        value: found.days.value / MONTH_DAYS,
        standard_error: found.days.standard_error / MONTH_DAYS,
    };
    PowerRow {
        arm: input.arms[arm].clone(),
        is_null: arm == input.control,
        control_patients,
        treated_patients: design.patients(size) - control_patients,
        planned_events: design.events.get(size).copied(),
        power: finite(found.benefit.estimate.value),
        power_standard_error: finite(found.benefit.estimate.standard_error),
        power_lower: finite(found.benefit.interval.0),
        power_upper: finite(found.benefit.interval.1),
        rejection: finite(found.rejection.estimate.value),
        rejection_lower: finite(found.rejection.interval.0),
        rejection_upper: finite(found.rejection.interval.1),
        rejection_by_look: (found.rejection_by_look.iter())
            .map(|share| finite(share.estimate.value))
            .collect(),
        fixed_power: finite(found.fixed_benefit.estimate.value),
        fixed_rejection: finite(found.fixed_rejection.estimate.value),
        schoenfeld_power: finite(schoenfeld_power(
            found.end_log_ratio.value,
            found.end_events.value,
            design.treated_share(),
            design.alpha,
        )),
        hazard_ratio: finite(ratio),
        hazard_ratio_lower: finite(lower),
        hazard_ratio_upper: finite(upper),
        reported_hazard_ratio: finite(found.ratio(found.log_ratio).0),
        end_events: finite(found.end_events.value),
        events: finite(found.events.value),
        patients: finite(found.patients.value),
        patients_standard_error: finite(found.patients.standard_error),
        months: finite(months.value),
        months_standard_error: finite(months.standard_error),
    }
}
