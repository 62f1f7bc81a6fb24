//! Clusters simulated by seed.
//!
//! One thread, one clock and one queue of events hold a whole cluster: the real store, ledger,
//! desk and service of every coordinator, the real agent of every worker, and the bytes that
//! travel between them. What is simulated is what a machine adds: disks that forget, programs
//! that are killed between any two file operations, a network that loses, delays, duplicates and
//! changes, clocks that jump, and people who start a second coordinator.
//!
//! A seed fixes everything, so that a run that goes wrong can be watched again. All through it
//! a judge looks on: what a worker was told is in the store for good is there after
//! every power cut, nothing is committed twice, and in the end there is the very result of a run
//! in one piece, or an error that names what happened.

mod chance;
mod coordinator;
mod disk;
mod faults;
mod judge;
mod log;
mod material;
mod scenario;
mod wire;
mod worker;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use reseed_results::Digest;

pub use faults::{Counts, Fault};
pub use scenario::Theme;

use log::Log;
use material::Material;
use scenario::Scenario;
use world::World;

/// A mistake that is built in to see it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Parts are acknowledged without having been synchronised.
    SyncDoesNothing,
    /// Their names are not.
    NamesAreNotSynced,
    /// Parts are acknowledged first, and committed a little later.
    AcknowledgesEarly,
    /// Parts are put into the store under two names.
    CommitsTwice,
    /// A coordinator whose store was taken over does not notice.
    FenceAlwaysPasses,
    /// A worker throws a part away when it has sent it.
    WorkerForgetsEarly,
    /// Nobody recomputes what a faulty machine has computed.
    NothingIsAudited,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SyncDoesNothing,
        Self::NamesAreNotSynced,
        Self::AcknowledgesEarly,
        Self::CommitsTwice,
        Self::FenceAlwaysPasses,
        Self::WorkerForgetsEarly,
        Self::NothingIsAudited,
    ];
}

/// How a run may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// With the result of a run in one piece.
    Golden,
    /// With the error of a shard that fails everywhere.
    ShardFails,
    /// With the names of two workers that disagree.
    Conflict,
}

/// What became of a seed.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which.
    pub seed: u64,
    /// What it was about.
    pub theme: Theme,
    /// How the run ended, or what must not have happened.
    pub ending: Result<Ending, String>,
    /// The faults that struck.
    pub faults: Counts,
    /// How long it took in its own time, ms.
    pub simulated_ms: u64,
    /// How much happened.
    pub events: u64,
    /// Digest of all lines of the trace.
    pub trace_digest: Digest,
    /// What happened, if it was asked for.
    pub trace: Vec<String>,
}

/// Simulates clusters that compute the same two runs over and over.
#[derive(Debug)]
pub struct Simulation {
    small: Rc<Material>,
    precise: Rc<Material>,
}

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulation {
    /// Computes in one piece what the clusters will compute in shards.
    pub fn new() -> Self {
        Self {
            small: Rc::new(Material::small()),
            precise: Rc::new(Material::precise()),
        }
    }

    /// Lets a cluster live.
    pub fn run(&self, seed: u64) -> Report {
        self.simulate(seed, None, false)
    }

    /// The same, and keeps the trace.
    pub fn replay(&self, seed: u64) -> Report {
        self.simulate(seed, None, true)
    }

    /// Lets a cluster live that has a mistake built in.
    pub fn run_with(&self, seed: u64, bug: Bug) -> Report {
        self.simulate(seed, Some(bug), false)
    }

    fn simulate(&self, seed: u64, bug: Option<Bug>, keeps_trace: bool) -> Report {
        let mut scenario = Scenario::of(seed);
        if bug == Some(Bug::NothingIsAudited) {
            scenario.audits_per_mille = 0;
        }
        let theme = scenario.theme;
        let material = match theme {
            Theme::Precise => &self.precise,
            _ => &self.small,
        };
        let log = Rc::new(Log::new(keeps_trace));
        let world = World::new(seed, scenario, material, &log, bug);
        catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| Report {
            seed,
            theme,
            ending: Err(format!("the program panicked: {}", told(&*panic))),
            faults: log.counts(),
            simulated_ms: 0,
            events: 0,
            trace_digest: log.digest(),
            trace: log.lines(),
        })
    }
}

fn told(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
