//! Who computes which patients: the shard ledger.
//!
//! A shard is a contiguous range of patient indices, the unit of lease, retry, commit and
//! digest. [`plan`] cuts what the store lacks into shards; the [`Ledger`] hands them out as
//! leases and decides what to do with what comes back. Both are pure: no files, no sockets, no
//! clock and no threads. Whoever drives the ledger passes the time in and carries out the
//! effects, so the same code serves a run in one process, a cluster and a simulation.

mod books;
mod desk;
mod front;
mod ledger;
mod message;
mod opening;
mod plan;
mod rate;
pub mod serve;
mod service;

pub use books::Books;
pub use desk::{Courier, Desk, Offer};
pub use front::{AcrossLook, Front, Judgement};
pub use ledger::Ledger;
pub use message::{
    Attempt, AuditKey, Credential, Digest, Effect, Event, Fatal, Lease, Millis, Phase, Progress,
    Purpose, Rules, Verdict, Wait, WorkerId,
};
pub use opening::{OpenError, Opening, Terms, open};
pub use plan::{Cut, PlanError, SHARDS_MAX, plan};
pub use service::{Announced, Incoming, Service};
