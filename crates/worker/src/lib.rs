//! The worker: takes shards from a coordinator, simulates them, and delivers their parts.
//!
//! [`Agent`] decides what to do next and does nothing itself. [`work`] carries out its
//! decisions: calls run on the async runtime, computations on threads of their own, so that
//! heartbeats never wait for a patient.

mod agent;
mod backoff;
mod calls;
mod compute;
mod drive;
mod spool;

pub use agent::{Action, Agent, Call, Event, Millis, Outcome, Settings};
pub use drive::{Config, work};
