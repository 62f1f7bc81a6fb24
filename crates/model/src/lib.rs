//! The patient model.
pub mod patient;
pub mod scenario;
