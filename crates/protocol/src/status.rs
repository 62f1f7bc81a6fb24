//! Where a run stands: what `reseed status` prints, the web page shows and `--json` gives.

use std::ops::Range;

use serde::Serialize;

use crate::messages::{Machine, Purpose};

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusReport {
    /// Name of the trial.
    pub trial: String,
    /// One line about it.
    pub title: String,
    /// Its fingerprint, in hexadecimal digits.
    pub fingerprint: String,
    /// Seed of the run.
    pub seed: u64,
    /// Version of the coordinator.
    pub engine_version: String,
    /// Version of the patient model.
    pub model_version: String,
    /// Where the run as a whole stands.
    pub phase: Phase,
    /// Why the run failed, or what stands in its way.
    pub problem: Option<String>,
    /// Why nothing is being computed; `None` while something is.
    pub idle: Option<String>,
    /// Patients to simulate.
    pub patients: u64,
    /// Patients in committed shards.
    pub patients_committed: u64,
    /// Of these, committed before this coordinator started.
    pub patients_resumed: u64,
    /// Patients simulated in shards under way.
    pub patients_under_way: u64,
    /// Committed in a second, lately.
    pub patients_per_second: f64,
    /// `None` while nobody can tell.
    pub seconds_left: Option<f64>,
    /// Since this coordinator started.
    pub seconds_running: f64,
    /// Counts of everything.
    pub counts: Counts,
    /// The workers heard of last, in the order of their numbers.
    pub workers: Vec<WorkerReport>,
    /// Workers that are not listed because there are too many.
    pub workers_unlisted: u32,
    /// The leases that are under way for the longest.
    pub slow: Vec<LeaseReport>,
    /// The primary comparison so far.
    pub estimate: Option<Estimate>,
    /// How it came about, oldest first.
    pub history: Vec<Point>,
}

/// Where the run as a whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Shards or audits are left.
    Running,
    /// Every shard is committed; the result is being written.
    Merging,
    /// The result is written.
    Finished,
    /// The run cannot succeed.
    Failed,
}

/// Counts of everything; those of leases and parts since this coordinator started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[expect(
    missing_docs,
    reason = "the names are those of proto/, with its comments"
)]
pub struct Counts {
    pub shards_open: u64,
    pub shards_leased: u64,
    pub shards_committed: u64,
    pub audits_open: u64,
    pub audits_passed: u64,
    pub audits_skipped: u64,
    pub leases_lost: u64,
    pub leases_released: u64,
    pub leases_repeated: u64,
    pub failures: u64,
    pub duplicates: u64,
    pub parts_refused: u64,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerReport {
    /// Its number.
    pub worker: u64,
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub machine: Machine,
    /// Leases it holds.
    pub leases: u32,
    /// Shards it was the first to deliver.
    pub shards_committed: u64,
    /// Patients in them.
    pub patients_committed: u64,
    /// Patients simulated in a second, lately.
    pub patients_per_second: f64,
    /// Since it was last heard of.
    pub seconds_silent: f64,
    /// Asked to leave.
    pub draining: bool,
}

/// A lease that is under way for long.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeaseReport {
    /// Patients, by index.
    pub range: Range<u64>,
    /// Name of the worker.
    pub worker: String,
    /// Why.
    pub purpose: Purpose,
    /// For how long.
    pub seconds: f64,
    /// Patients simulated.
    pub patients_done: u64,
}

/// The primary comparison on the patients so far, percentage points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// What is compared.
    pub label: String,
    /// Arm minus control.
    pub difference: f64,
    /// Lower limit of its 95 % interval.
    pub lower: f64,
    /// Upper limit.
    pub upper: f64,
}

/// The estimate at some time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Patients it is based on.
    pub patients: u64,
    /// Arm minus control, percentage points.
    pub difference: f64,
    /// Lower limit of its 95 % interval.
    pub lower: f64,
    /// Upper limit.
    pub upper: f64,
}
