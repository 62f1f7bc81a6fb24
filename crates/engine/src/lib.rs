//! From a range of patients to a tally.
//!
//! An [`Engine`] belongs to one thread. What a shard yields depends on the trial, the seed and
//! the range alone, so shards may be computed anywhere, in any order, and more than once.

mod blocks;
mod counting;
mod drawing;
mod pilot;
mod records;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reseed_model::endpoints::{FirstEvent, Leaving, Observed};
use reseed_model::patient::PatientIndex;
use reseed_model::{Simulator, endpoints};
use reseed_stats::cells::{CellCounts, CellEvent, Cells, Risk};
use reseed_stats::records::RecordColumn;
use reseed_stats::{Accumulator, Tally};
use reseed_trial::Trial;
use thiserror::Error;

pub use pilot::patients_per_second;

use blocks::{Blocks, blocks_of};
use counting::Counting;
use drawing::Drawing;
use records::Records;

/// Patients between two looks at the stop flag.
const PATIENTS_PER_LOOK: u64 = 256;

/// Simulates shards of a trial.
#[derive(Debug, Clone)]
pub struct Engine {
    trial: Trial,
    seed: u64,
    counting: Counting,
    simulator: Simulator,
}

/// What a shard yields.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardOutput {
    /// Patient indices screened.
    pub range: Range<u64>,
    /// Their tally.
    pub tally: Tally,
    /// A row per enrolled patient, if the trial keeps records; otherwise no columns.
    pub records: Vec<RecordColumn>,
    /// A row per block, if the trial has blocks; otherwise no columns.
    pub blocks: Vec<RecordColumn>,
}

/// What a simulation looks at and tells while it runs.
#[derive(Clone, Copy)]
struct Watch<'a> {
    stop: &'a AtomicBool,
    progress: &'a AtomicU64,
}

/// Why a shard was not simulated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// Asked to stop.
    #[error("stopped before patient {next}")]
    Stopped {
        /// First patient not simulated.
        next: u64,
    },
    /// A block has fewer patients than its virtual trials draw.
    #[error(
        "block {block} enrolled {enrolled} patients, and its largest virtual trial needs {needed}: \
         raise run.block_patients, or make the trial smaller (virtual_trials.patients_per_arm)"
    )]
    TooFewForTrial {
        /// The block.
        block: u64,
        /// Patients enrolled in it.
        enrolled: usize,
        /// Patients of the largest trial.
        needed: usize,
    },
}

/// What is kept of patients besides the tally.
struct Keepers {
    records: Option<Records>,
    drawing: Option<Drawing>,
    /// Of the block that is being simulated.
    cells: Option<CellCounts>,
}

impl Engine {
    /// Prepares a trial with a run's seed.
    pub fn new(trial: &Trial, seed: u64) -> Self {
        Self {
            counting: Counting::new(trial),
            simulator: Simulator::new(&trial.scenario, seed),
            trial: trial.clone(),
            seed,
        }
    }

    /// Simulates a range of patients on the calling thread: whole blocks, if the trial has
    /// blocks. `progress` counts them as they are done.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] soon after `stop` becomes true, and
    /// [`EngineError::TooFewForTrial`].
    ///
    /// # Panics
    /// If the range cuts a block.
    pub fn simulate(
        &mut self,
        range: Range<u64>,
        stop: &AtomicBool,
        progress: &AtomicU64,
    ) -> Result<ShardOutput, EngineError> {
        let watch = Watch { stop, progress };
        let mut keepers = Keepers {
            records: self.trial.records.then(|| Records::new(&self.trial)),
            drawing: Drawing::new(&self.trial, self.seed),
            cells: None,
        };
        let cell_shape = self.trial.cell_shape();
        let mut cells: Vec<Cells> = Vec::new();
        let (tally, mut blocks) = match self.trial.block_patients {
            None => {
                let tally = self.simulate_together(range.clone(), watch, &mut keepers)?;
                (tally, Vec::new())
            }
            Some(block_patients) => {
                let mut blocks = Blocks::new(&self.trial, self.seed);
                for block in blocks_of(&range, block_patients) {
                    self.turn_to(block);
                    let patients = block * block_patients..(block + 1) * block_patients;
                    let first = patients.start;
                    keepers.cells = cell_shape.map(CellCounts::new);
                    let tally = self.simulate_together(patients, watch, &mut keepers)?;
                    blocks.push(block, &tally);
                    cells.extend(keepers.cells.take().map(CellCounts::finish));
                    if let Some(drawing) = &mut keepers.drawing {
                        drawing.close_block(block, first, stop)?;
                    }
                }
                blocks.finish()
            }
        };
        let Keepers {
            records, drawing, ..
        } = keepers;
        if let Some(shape) = cell_shape {
            blocks.extend(Cells::columns(shape, &cells));
        }
        blocks.extend(drawing.into_iter().flat_map(Drawing::into_columns));
        Ok(ShardOutput {
            range,
            tally,
            records: records.map_or_else(Vec::new, Records::into_columns),
            blocks,
        })
    }

    /// Takes the parameters that are a block's own.
    fn turn_to(&mut self, block: u64) {
        if self.trial.uncertainty.is_some() {
            let scenario = self.trial.scenario_of_block(self.seed, block);
            self.simulator = Simulator::new(&scenario, self.seed);
        }
    }

    /// Simulates patients into one tally.
    fn simulate_together(
        &mut self,
        range: Range<u64>,
        Watch { stop, progress }: Watch<'_>,
        keepers: &mut Keepers,
    ) -> Result<Tally, EngineError> {
        let mut accumulator = Accumulator::new(self.trial.shape());
        let mut next = range.start;
        while next < range.end {
            if stop.load(Ordering::Relaxed) {
                return Err(EngineError::Stopped { next });
            }
            let until = range.end.min(next + PATIENTS_PER_LOOK);
            for index in next..until {
                self.count(index, &mut accumulator, keepers);
            }
            progress.fetch_add(until - next, Ordering::Relaxed);
            next = until;
        }
        Ok(accumulator.finish())
    }

    fn count(&mut self, index: u64, accumulator: &mut Accumulator, keepers: &mut Keepers) {
        let patient = self.simulator.simulate(PatientIndex(index));
        if let Some(reason) = patient.exclusion {
            accumulator.exclude(reason as usize);
            return;
        }
        let follow_up = &self.trial.scenario.follow_up;
        let control = &patient.courses[self.trial.scenario.control];
        let record = |course| {
            let observed = endpoints::observe(follow_up, patient, course);
            self.counting.arm_record(&observed)
        };
        // Most patients fare the same in every arm.
        let others = (patient.courses.iter().enumerate())
            .filter(|(_, course)| *course != control)
            .map(|(arm, course)| (arm, record(course)));
        let stratum = self.trial.strata.of(&patient.covariates);
        let bins = self.counting.histogram_bins(patient);
        accumulator.enrol(stratum, &bins, &record(control), others);
        if let Some(records) = &mut keepers.records {
            records.push(patient, stratum, follow_up);
        }
        if let Some(drawing) = &mut keepers.drawing {
            drawing.enrol(patient, follow_up);
        }
        if let Some(cells) = &mut keepers.cells {
            for (arm, course) in patient.courses.iter().enumerate() {
                let observed = endpoints::observe(follow_up, patient, course);
                cells.add(arm, stratum, Risk::Unrecurred, first_event(&observed));
                cells.add(arm, stratum, Risk::Alive, death(&observed));
            }
        }
    }
}

/// How a patient ceases to be alive without recurrence.
fn first_event(observed: &Observed) -> (Option<CellEvent>, f64) {
    let (first, days) = observed.first;
    let event = match first {
        FirstEvent::Local => Some(CellEvent::Local),
        FirstEvent::Distant => Some(CellEvent::Distant),
        FirstEvent::OtherDeath => Some(CellEvent::DeathWithoutRecurrence),
        FirstEvent::Censored => None,
    };
    (event, days)
}

/// How a patient ceases to be alive.
fn death(observed: &Observed) -> (Option<CellEvent>, f64) {
    let (leaving, days) = observed.death;
    let event = match (leaving, observed.is_cancer_death) {
        (Leaving::Event, true) => Some(CellEvent::CancerDeath),
        (Leaving::Event, false) => Some(CellEvent::OtherDeath),
        _ => None,
    };
    (event, days)
}
