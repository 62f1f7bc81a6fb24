//! What the ledger and its driver say to each other.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

/// A worker, by the number its driver gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u64);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.0)
    }
}

/// Fencing token of a lease; grows with every lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(pub u64);

/// A point in time, milliseconds since an epoch of the driver's choosing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    pub(crate) fn after(self, delay_ms: u64) -> Self {
        Self(self.0.saturating_add(delay_ms))
    }
}

/// Digest of a part's contents.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// What a worker has proved who it is by, such as the SHA-256 of its certificate. Several workers
/// may share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credential(pub [u8; 32]);

/// What decides which shards are audited. Whoever knows it can tell where a wrong part would pass.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuditKey(pub [u8; 32]);

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(..)")
    }
}

/// How the ledger treats its workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// A lease not renewed for so long is given to somebody else, and a worker not heard of
    /// for so long counts as lost, ms.
    pub lease_ms: u64,
    /// Of a thousand shards, how many a second worker recomputes as an audit.
    pub audits_per_mille: u64,
    /// Which ones. The default is known to everybody: whoever audits draws another one.
    pub audit_key: AuditKey,
    /// A lease older than this is late, however long shards take otherwise: an idle worker repeats
    /// its shard, ms.
    pub late_after_ms: u64,
    /// A shard that fails so often fails the run, whatever the errors; an audit that fails so often is
    /// given up.
    pub failures_max: usize,
    /// First attempt number. A restarted driver starts higher than its predecessor ended, so
    /// that tokens from before the restart mean nothing after it.
    pub first_attempt: Attempt,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            lease_ms: 30_000,
            audits_per_mille: 10,
            audit_key: AuditKey([0; 32]),
            late_after_ms: 600_000,
            failures_max: 5,
            first_attempt: Attempt(1),
        }
    }
}

/// Why a shard was leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Nobody else is computing it.
    Compute,
    /// Another worker is late with it; the first of the two to finish commits.
    Repeat,
    /// It is committed, and this worker checks the digest.
    Audit,
}

/// A shard in the hands of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Fencing token.
    pub attempt: Attempt,
    /// Holder.
    pub worker: WorkerId,
    /// Patients to simulate.
    pub range: Range<u64>,
    /// Why.
    pub purpose: Purpose,
    /// When it was given.
    pub since: Millis,
    /// When it ends unless renewed.
    pub deadline: Millis,
    pub(crate) shard: ShardId,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A worker comes for the first time. One that is never said to have come has no credential.
    Join {
        /// Who; a number that no other worker had.
        worker: WorkerId,
        /// What it has shown.
        credential: Option<Credential>,
    },
    /// A worker asks for shards, some of them to have at hand when it is done with others.
    Request {
        /// Who.
        worker: WorkerId,
        /// How many leases it would like. The driver keeps this small; the ledger gives no
        /// worker more than its share of what is open.
        wanted: u32,
    },
    /// A worker meets a restarted coordinator and names what it is still computing, or has
    /// finished and not delivered. Each of these shards that is open is leased to it, and if it
    /// holds one already (it says so twice), that lease is prolonged and given again. For the
    /// others there is no answer: they are somebody else's or committed, and the worker should
    /// drop them.
    Claim {
        /// Who.
        worker: WorkerId,
        /// The shards.
        ranges: Vec<Range<u64>>,
    },
    /// A heartbeat: the worker is alive and still computing these. Leases that it does not
    /// name run out: their grant may never have reached it.
    Renew {
        /// Who.
        worker: WorkerId,
        /// The leases it knows of.
        attempts: Vec<Attempt>,
    },
    /// A part is complete and its contents were checked against its digest.
    Deliver {
        /// Who computed it.
        worker: WorkerId,
        /// Under which lease.
        attempt: Attempt,
        /// The patients in it.
        range: Range<u64>,
        /// Digest of its contents.
        digest: Digest,
    },
    /// A worker hands a shard back uncomputed (shutdown, preemption).
    Release {
        /// Who.
        worker: WorkerId,
        /// Which lease.
        attempt: Attempt,
    },
    /// A worker could not compute a shard.
    Fail {
        /// Who.
        worker: WorkerId,
        /// Which lease.
        attempt: Attempt,
        /// Another attempt may fare better (disk, memory), as opposed to an error of the
        /// computation itself.
        retryable: bool,
        /// The error; equal errors of two attempts mean that the shard is at fault.
        error: String,
    },
    /// A worker is gone.
    Leave {
        /// Who.
        worker: WorkerId,
    },
    /// The patients before `end` are precise enough: the shards at or beyond it are no longer
    /// needed. They leave the counts, their leases are revoked, and the run finishes when those
    /// before `end` are committed. An `end` beyond an earlier one changes nothing.
    Enough {
        /// First patient that is not needed; between two shards.
        end: u64,
    },
    /// Somebody wants no more of a run; one that has ended stays as it is.
    Cancel {
        /// Who or why, in words.
        reason: String,
    },
    /// Time passed.
    Tick,
}

/// What the driver must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Grant this lease to the worker that asked or claimed.
    Lease(Lease),
    /// There is no shard at all for the worker that asked.
    Wait(Wait),
    /// A lease was prolonged.
    Renewed {
        /// Which lease.
        attempt: Attempt,
        /// Its new deadline.
        deadline: Millis,
    },
    /// The worker should drop this shard: its lease ended.
    Revoke {
        /// Who.
        worker: WorkerId,
        /// Which lease.
        attempt: Attempt,
    },
    /// Move the delivered part into the store for good, then acknowledge it.
    Commit {
        /// The patients in it.
        range: Range<u64>,
    },
    /// The shard is committed already with the same digest: drop the part and acknowledge it.
    Discard {
        /// The patients in it.
        range: Range<u64>,
    },
    /// The part does not belong to this plan or is no longer needed, or the run has failed:
    /// drop it and say so.
    Refuse {
        /// The patients in it.
        range: Range<u64>,
    },
    /// Every shard that is needed is committed, and every audit settled.
    Finish,
    /// The run cannot succeed.
    Fail(Fatal),
}

/// What delivering a part would lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The shard is not committed: the part would be.
    Commit,
    /// The shard is committed with the same digest.
    Discard,
    /// The shard is committed with another digest: by whom (`None` is an earlier process), and
    /// which. The run would fail.
    Conflict(Option<WorkerId>, Digest),
    /// The part does not belong to this plan or is no longer needed, or the run has failed.
    Refuse,
}

/// Why a worker gets no shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// All shards are with other workers; ask again later.
    Busy,
    /// The run is complete.
    Finished,
    /// The run has failed.
    Failed,
}

/// Why a run cannot succeed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fatal {
    /// Two parts of one shard differ.
    #[error(
        "{} and {} computed different results for patients {}..{} (digests {} and {}); \
         one of the two machines is faulty or runs other code: check them and run again",
        committer(.committed.0), .delivered.0, .range.start, .range.end, .committed.1, .delivered.1
    )]
    Conflict {
        /// The patients.
        range: Range<u64>,
        /// Who committed (`None` is an earlier process), and what.
        committed: (Option<WorkerId>, Digest),
        /// Who delivered later, and what.
        delivered: (WorkerId, Digest),
    },
    /// The same error twice: the shard is at fault, not the worker.
    #[error(
        "patients {}..{} fail in the same way on {} and {}: {error}",
        .range.start, .range.end, .workers.0, .workers.1
    )]
    Deterministic {
        /// The patients.
        range: Range<u64>,
        /// Who reported the error first and last.
        workers: (WorkerId, WorkerId),
        /// The error.
        error: String,
    },
    /// A shard failed in too many different ways.
    #[error(
        "patients {}..{} failed {failures} times, last on {worker}: {error}",
        .range.start, .range.end
    )]
    TooManyFailures {
        /// The patients.
        range: Range<u64>,
        /// How often.
        failures: usize,
        /// Who failed last.
        worker: WorkerId,
        /// With which error.
        error: String,
    },
    /// It was cancelled.
    #[error("the run was cancelled ({reason}); start it again to go on from what is committed")]
    Cancelled {
        /// Who or why, in words.
        reason: String,
    },
}

/// What to call whoever committed a part.
fn committer(worker: Option<WorkerId>) -> String {
    worker.map_or_else(
        || "an earlier process, whose part is in the store,".to_owned(),
        |worker| worker.to_string(),
    )
}

impl Fatal {
    /// The workers that it is about.
    pub fn workers(&self) -> Vec<WorkerId> {
        match self {
            Self::Conflict {
                committed,
                delivered,
                ..
            } => committed.0.into_iter().chain([delivered.0]).collect(),
            Self::Deterministic {
                workers: (first, last),
                ..
            } => vec![*first, *last],
            Self::TooManyFailures { worker, .. } => vec![*worker],
            Self::Cancelled { .. } => Vec::new(),
        }
    }
}

/// Where the run as a whole stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Shards or audits are left.
    Running,
    /// Every shard that is needed is committed, and every audit settled.
    Finished,
    /// The run cannot succeed.
    Failed(Fatal),
}

/// Counts for a progress display, all kept up to date as events arrive. Shards and patients are
/// those that are needed: all of the plan until [`Event::Enough`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Patients in all shards.
    pub patients: u64,
    /// Patients in committed shards.
    pub patients_committed: u64,
    /// Shards that nobody holds.
    pub shards_open: usize,
    /// Shards that somebody is computing for the first time.
    pub shards_leased: usize,
    /// Shards that are committed.
    pub shards_committed: usize,
    /// Those of them that an earlier process had committed.
    pub shards_resumed: usize,
    /// Workers heard of lately.
    pub workers: usize,
    /// Leases that stand, audits and repeats among them.
    pub leases: usize,
    /// Audits that wait for a worker or are under way.
    pub audits_open: usize,
    /// Audits that found the same digest.
    pub audits_passed: usize,
    /// Audits that no second worker was there to do, or that failed too often.
    pub audits_skipped: usize,
    /// Leases that ran out or whose holder left, in all.
    pub leases_lost: usize,
    /// Leases handed back.
    pub leases_released: usize,
    /// Stragglers that an idle worker repeated.
    pub leases_repeated: usize,
    /// Failures reported under a valid lease.
    pub failures: usize,
    /// Parts that were committed already.
    pub duplicates: usize,
}

/// Position of a shard in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ShardId(pub(crate) usize);
