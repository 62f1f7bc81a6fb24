//! The patient model: tumour self-seeding after local treatment, one patient at a time, under
//! every therapy at once.
//!
//! Pure computation: no files, no clock, no threads. A patient is a function of the scenario,
//! the seed and the screening index, with the same bits on every machine.

// What the tests of the public interface share speaks of the crate by its name.
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod common;
#[cfg(test)]
extern crate self as reseed_model;

mod colony;
mod cumulative;
pub mod endpoints;
mod forest;
pub mod math;
pub mod patient;
mod person;
pub mod pharmacokinetics;
mod random;
pub mod scenario;
mod simulator;
mod therapy;
pub mod trace;

pub use patient::{Patient, PatientIndex};
pub use person::{DAYS_PER_YEAR, cells_at, cholesky};
pub use random::VirtualTrialStream;
pub use simulator::Simulator;

/// Version of the model: results of one version are comparable and reproducible.
pub const MODEL_VERSION: &str = "1";
