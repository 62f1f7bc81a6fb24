//! What a result says, for people and for programs.
pub mod compare;
pub mod power;
mod text;

pub use compare::{CompareError, CompareInput, ComparedArm, Comparison, Excluded, compare};
pub use power::{Power, PowerInput, PowerRow, power};
