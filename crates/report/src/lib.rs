//! What a result says, for people and for programs.
pub mod compare;
mod text;

pub use compare::{CompareError, CompareInput, ComparedArm, Comparison, Excluded, compare};
