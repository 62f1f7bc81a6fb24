//! Parallel-group trials to draw from the simulated patients.

use reseed_stats::Endpoint;
use reseed_stats::group_sequential::Spending;
use reseed_stats::virtual_trial::Design;

use crate::trial::{DAYS_PER_MONTH, DAYS_PER_YEAR, Trial};

/// Largest number of patients of one group in a block of randomisation.
pub(crate) const RANDOMISATION_MAX: usize = 10;

/// How far an allocation may be from a ratio of whole numbers, so that 1.333 is 4 to 3.
const ALLOCATION_TOLERANCE: f64 = 0.004;

/// Parallel-group trials that are drawn from the enrolled patients of every block of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualTrials {
    /// Trials drawn from a block.
    pub trials_per_block: u64,
    /// Patients of the control group, for each size of trial, whole numbers, increasing.
    pub patients_per_arm: Vec<f64>,
    /// Treated patients for each control.
    pub allocation: f64,
    /// From the first to the last entry, months.
    pub accrual_months: f64,
    /// From the last entry to the end, months.
    pub follow_up_months: f64,
    /// Hazard of leaving a virtual trial, besides that of the follow-up, per year.
    pub dropout_per_year: f64,
    /// Looks as fractions of the trial, increasing, the last 1.
    pub looks: Vec<f64>,
    /// Events that each size of trial is planned for, whole numbers; none if looks come by the
    /// calendar.
    pub events: Vec<f64>,
    /// How the level is spent over the looks.
    pub spending: Spending,
    /// Two-sided level.
    pub alpha: f64,
    /// What is tested; the endpoint of the primary comparison if not given.
    pub endpoint: Option<Endpoint>,
}

impl Default for VirtualTrials {
    /// What stands where a trial file says nothing.
    fn default() -> Self {
        Self {
            trials_per_block: 100,
            patients_per_arm: vec![100.0, 200.0, 400.0, 800.0],
            allocation: 1.0,
            accrual_months: 24.0,
            follow_up_months: 36.0,
            dropout_per_year: 0.0,
            looks: vec![1.0],
            events: Vec::new(),
            spending: Spending::OBrienFleming,
            alpha: 0.05,
            endpoint: None,
        }
    }
}

impl VirtualTrials {
    /// Patients of control and treatment in the smallest block of randomisation with this
    /// allocation, if there is one of at most ten each.
    pub(crate) fn randomisation(&self) -> Option<[usize; 2]> {
        (1..=RANDOMISATION_MAX).find_map(|control| {
            let treated = self.allocation * control as f64;
            let whole = (1..=RANDOMISATION_MAX)
                .find(|whole| (treated - *whole as f64).abs() <= ALLOCATION_TOLERANCE)?;
            Some([control, whole])
        })
    }

    /// Adds the last look where it is not given.
    pub(crate) fn settle(&mut self) {
        if self.looks.last().is_none_or(|last| *last < 1.0) {
            self.looks.push(1.0);
        }
    }

    /// The plan of the trials.
    ///
    /// # Panics
    /// If the allocation is no ratio of small whole numbers, which a checked trial's is.
    pub fn design(&self) -> Design {
        let randomisation = self.randomisation();
        Design {
            control_patients: self
                .patients_per_arm
                .iter()
                .map(|size| whole(*size))
                .collect(),
            block: randomisation.expect("the allocation was checked"),
            accrual_days: self.accrual_months * DAYS_PER_MONTH,
            follow_up_days: self.follow_up_months * DAYS_PER_MONTH,
            dropout_per_day: self.dropout_per_year / DAYS_PER_YEAR,
            looks: self.looks.clone(),
            events: self
                .events
                .iter()
                .map(|events| whole(*events) as u64)
                .collect(),
            spending: self.spending,
            alpha: self.alpha,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number within the limits of its key"
)]
fn whole(value: f64) -> usize {
    value as usize
}

impl Trial {
    /// The endpoint that virtual trials test.
    pub fn virtual_endpoint(&self) -> Endpoint {
        let own = self.virtual_trials.as_ref().and_then(|own| own.endpoint);
        own.unwrap_or(self.primary.endpoint)
    }
}
