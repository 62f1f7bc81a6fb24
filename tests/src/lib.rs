//! Independent oracles of the patient model.
//!
//! Everything under [`reference`](mod@reference) is written from the model description alone, in
//! the most direct way and with the platform's mathematics, so that it shares no idea and no
//! error with the engine. The comparisons are in `tests/tests/oracles_*.rs`.

pub mod cluster;
pub mod engine;
pub mod fuzz;
pub mod reference;
pub mod scenarios;
pub mod statistics;
pub mod summary;
