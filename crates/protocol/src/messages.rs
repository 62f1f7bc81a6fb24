//! Calls and answers as the program sees them: checked, and free of the wire's types.

use std::ops::Range;

/// Longest name of a worker, and of a file in the shared folder, bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Longest error text of a worker, bytes; what is longer is cut.
pub const ERROR_BYTES_MAX: usize = 4096;
/// Most leases or ranges of one call.
pub const LEASES_MAX: usize = 1 << 14;

/// Whoever knows a session's bytes can act for its worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session(pub [u8; 16]);

impl std::fmt::Debug for Session {
    /// Secrets do not belong in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(..)")
    }
}

/// A worker introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its secret name.
    pub session: Session,
    /// Its name in reports.
    pub name: String,
    /// Its versions.
    pub versions: Versions,
    /// Where it runs.
    pub machine: Machine,
    /// Shards it is computing or has finished, from before a lost connection.
    pub holding: Vec<Range<u64>>,
}

/// What must be equal on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// Revision of the protocol.
    pub protocol_revision: u32,
    /// Version of reseed.
    pub engine: String,
    /// Version of the patient model.
    pub model: String,
}

/// Where a worker runs, for reports.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Machine {
    /// Family of the processor, such as `x86_64`.
    pub architecture: String,
    /// Vector extensions and the like.
    pub cpu_features: Vec<String>,
    /// Threads that compute.
    pub threads: u32,
    /// Memory, bytes; 0 if unknown.
    pub memory_bytes: u64,
}

/// What a worker needs to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Number of the worker.
    pub worker: u64,
    /// What to simulate.
    pub run: RunSpec,
    /// How often to send a heartbeat, ms.
    pub heartbeat_ms: u64,
    /// How long a lease lasts without, ms.
    pub lease_ms: u64,
    /// Largest part that is taken, bytes.
    pub part_bytes_max: u64,
    /// A folder for parts that both may see.
    pub shared: Option<SharedFolder>,
    /// Leases on shards that the worker said it holds.
    pub grants: Vec<Grant>,
}

/// A run, as a worker needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSpec {
    /// Canonical trial without size and seed.
    pub trial_toml: String,
    /// Its fingerprint.
    pub fingerprint: [u8; 32],
    /// Seed of all randomness.
    pub seed: u64,
}

/// A folder that coordinator and workers on the same file system see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFolder {
    /// Absolute path.
    pub path: String,
    /// Content of the file `epoch` in it.
    pub marker: String,
}

/// A shard to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Fencing token.
    pub attempt: u64,
    /// Patients, by index.
    pub range: Range<u64>,
    /// Why.
    pub purpose: Purpose,
}

/// Why a shard was leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Nobody else is computing it.
    Compute,
    /// Another worker is late with it.
    Repeat,
    /// It is committed, and its digest is checked.
    Audit,
}

/// A worker asks for shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Who.
    pub session: Session,
    /// How many more it could take.
    pub wanted: u32,
}

/// Shards, or the reason why there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Leases.
    pub grants: Vec<Grant>,
    /// Why there are none.
    pub wait: Option<Wait>,
    /// Finish what was leased, and leave.
    pub drain: bool,
}

/// Why a worker gets no shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// All shards are with other workers.
    Busy {
        /// When to ask again, ms.
        retry_ms: u64,
    },
    /// The run is complete.
    Finished,
    /// The run has failed.
    Failed {
        /// Why.
        problem: String,
    },
}

/// A worker is alive and computing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// Who.
    pub session: Session,
    /// Its leases, and how far they are.
    pub held: Vec<Held>,
}

/// How far a worker is with a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which lease.
    pub attempt: u64,
    /// Patients simulated.
    pub patients_done: u64,
}

/// What a worker should know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PulseAnswer {
    /// Leases that ended.
    pub revoked: Vec<u64>,
    /// Finish what was leased, and leave.
    pub drain: bool,
    /// The run is over.
    pub over: Option<Wait>,
}

/// Announces a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHeader {
    /// Who.
    pub session: Session,
    /// Under which lease it was computed.
    pub attempt: u64,
    /// Patients, by index.
    pub range: Range<u64>,
    /// Digest of its contents.
    pub digest: [u8; 32],
    /// Length of the file.
    pub file_bytes: u64,
    /// Its name in the shared folder, if it lies there; otherwise its bytes follow.
    pub shared_name: Option<String>,
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// In the store for good.
    Committed,
    /// Was there already, or is no longer needed.
    Discarded,
}

/// A worker hands shards back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Who.
    pub session: Session,
    /// Which leases.
    pub attempts: Vec<u64>,
}

/// A worker could not compute a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Who.
    pub session: Session,
    /// Which lease.
    pub attempt: u64,
    /// Another attempt may fare better.
    pub retryable: bool,
    /// The error.
    pub error: String,
}
