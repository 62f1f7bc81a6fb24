//! Virtual trials drawn from the patients of a block.

use std::sync::atomic::{AtomicBool, Ordering};

use reseed_model::endpoints::{Leaving, Observed};
use reseed_model::scenario::FollowUp;
use reseed_model::{Patient, VirtualTrialStream, endpoints};
use reseed_stats::Endpoint;
use reseed_stats::power::{BlockTrials, TrialShape};
use reseed_stats::records::RecordColumn;
use reseed_stats::virtual_trial::{Luck, ObservedTime, Pool, Purpose, VirtualTrials};
use reseed_trial::Trial;

use crate::EngineError;

/// Bits of a trial's number that say which it is of its block. So a block's first trials are the
/// same however many there are.
const TRIAL_BITS: u32 = 24;

/// Collects the patients of a block, and draws its trials when the block is complete.
pub(crate) struct Drawing {
    control: usize,
    endpoint: Endpoint,
    trials_per_block: u64,
    shape: TrialShape,
    trials: VirtualTrials,
    pool: Pool,
    stream: Stream,
    rows: Vec<BlockTrials>,
}

impl Drawing {
    /// For a trial that plans virtual trials.
    pub(crate) fn new(trial: &Trial, seed: u64) -> Option<Self> {
        let plan = trial.virtual_trials.as_ref()?;
        let arms = trial.scenario.arms.len();
        let design = plan.design();
        Some(Self {
            control: trial.scenario.control,
            endpoint: trial.virtual_endpoint(),
            trials_per_block: plan.trials_per_block,
            shape: TrialShape::of(&design, arms),
            trials: VirtualTrials::new(design),
            pool: Pool::new(arms),
            stream: Stream(VirtualTrialStream::new(seed)),
            rows: Vec::new(),
        })
    }

    /// Adds a patient of the block.
    pub(crate) fn enrol(&mut self, patient: &Patient, follow_up: &FollowUp) {
        let endpoint = self.endpoint;
        let observe =
            |course| observed_time(&endpoints::observe(follow_up, patient, course), endpoint);
        let control = &patient.courses[self.control];
        let in_control = observe(control);
        // Most patients fare the same in every arm.
        self.pool.push(patient.courses.iter().map(|course| {
            if course == control {
                in_control
            } else {
                observe(course)
            }
        }));
    }

    /// Draws the trials of a block from its patients and forgets them. `first` is the block's
    /// first patient.
    pub(crate) fn close_block(
        &mut self,
        block: u64,
        first: u64,
        stop: &AtomicBool,
    ) -> Result<(), EngineError> {
        let (enrolled, needed) = (self.pool.patients(), self.trials.design().patients_max());
        if enrolled < needed {
            return Err(EngineError::TooFewForTrial {
                block,
                enrolled,
                needed,
            });
        }
        let mut row = BlockTrials::new(self.shape);
        for trial in 0..self.trials_per_block {
            if stop.load(Ordering::Relaxed) {
                return Err(EngineError::Stopped { next: first });
            }
            self.stream.0.open_trial((block << TRIAL_BITS) | trial);
            row.add_trial();
            let count = |arm, size, outcome| row.count(arm, size, &outcome);
            self.trials
                .run(&self.pool, self.control, &mut self.stream, count);
        }
        self.rows.push(row);
        self.pool.clear();
        Ok(())
    }

    /// A row for each block.
    pub(crate) fn into_columns(self) -> Vec<RecordColumn> {
        BlockTrials::columns(self.shape, &self.rows)
    }
}

fn observed_time(observed: &Observed, endpoint: Endpoint) -> ObservedTime {
    let (leaving, days) = match endpoint {
        Endpoint::Local => observed.local,
        Endpoint::Distant => observed.distant,
        Endpoint::Rfs => observed.recurrence_free,
        Endpoint::Death => observed.death,
    };
    ObservedTime {
        days,
        is_event: leaving == Leaving::Event,
    }
}

/// The model's random numbers for virtual trials.
struct Stream(VirtualTrialStream);

impl Luck for Stream {
    fn open(&mut self, purpose: Purpose) {
        self.0.open(purpose as u64);
    }

    fn uniform(&mut self) -> f64 {
        self.0.uniform()
    }

    fn exponential(&mut self) -> f64 {
        self.0.exponential()
    }
}
