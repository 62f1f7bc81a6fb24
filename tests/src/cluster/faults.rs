//! What can go wrong, and how often it did.

use std::collections::BTreeMap;

/// A fault, counted when it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "each says what it is, and Fault::what says it to people"
)]
pub enum Fault {
    CoordinatorKilled,
    CoordinatorKilledInFileOperation,
    CoordinatorStopped,
    CoordinatorFrozen,
    CoordinatorClockJumped,
    CoordinatorDisplaced,
    CoordinatorDisplacedInFileOperation,
    CoordinatorGaveUp,
    CoordinatorsInterleaved,
    CoordinatorCouldNotOpen,
    PowerCut,
    WriteLost,
    WriteTorn,
    WriteZeroed,
    WriteSurvived,
    NameUndone,
    DiskFull,
    SyncFailed,
    PartDecayed,
    PartSetAside,
    WorkerKilled,
    WorkerKilledInFileOperation,
    WorkerPowerCut,
    WorkerStopped,
    WorkerFrozen,
    WorkerClockJumped,
    WorkerTimeEnded,
    WorkerBroken,
    WorkerOfAnotherVersion,
    Partition,
    RequestLost,
    AnswerLost,
    MessageLate,
    MessageDuplicated,
    StreamCut,
    PartChangedOnTheWay,
    PartRefusedAsDamaged,
    PartRefusedAsForeign,
    PartRefusedByStore,
    DrainedByOperator,
    CancelledByOperator,
    LeaseLost,
    ShardRepeated,
    PartDiscarded,
    AuditPassed,
    ShardFailed,
    WrongPartComputed,
    LaterPartsNotNeeded,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 48] = [
        Self::CoordinatorKilled,
        Self::CoordinatorKilledInFileOperation,
        Self::CoordinatorStopped,
        Self::CoordinatorFrozen,
        Self::CoordinatorClockJumped,
        Self::CoordinatorDisplaced,
        Self::CoordinatorDisplacedInFileOperation,
        Self::CoordinatorGaveUp,
        Self::CoordinatorsInterleaved,
        Self::CoordinatorCouldNotOpen,
        Self::PowerCut,
        Self::WriteLost,
        Self::WriteTorn,
        Self::WriteZeroed,
        Self::WriteSurvived,
        Self::NameUndone,
        Self::DiskFull,
        Self::SyncFailed,
        Self::PartDecayed,
        Self::PartSetAside,
        Self::WorkerKilled,
        Self::WorkerKilledInFileOperation,
        Self::WorkerPowerCut,
        Self::WorkerStopped,
        Self::WorkerFrozen,
        Self::WorkerClockJumped,
        Self::WorkerTimeEnded,
        Self::WorkerBroken,
        Self::WorkerOfAnotherVersion,
        Self::Partition,
        Self::RequestLost,
        Self::AnswerLost,
        Self::MessageLate,
        Self::MessageDuplicated,
        Self::StreamCut,
        Self::PartChangedOnTheWay,
        Self::PartRefusedAsDamaged,
        Self::PartRefusedAsForeign,
        Self::PartRefusedByStore,
        Self::DrainedByOperator,
        Self::CancelledByOperator,
        Self::LeaseLost,
        Self::ShardRepeated,
        Self::PartDiscarded,
        Self::AuditPassed,
        Self::ShardFailed,
        Self::WrongPartComputed,
        Self::LaterPartsNotNeeded,
    ];

    /// In words.
    pub fn what(self) -> &'static str {
        match self {
            Self::CoordinatorKilled => "coordinator killed",
            Self::CoordinatorKilledInFileOperation => "coordinator killed in a file operation",
            Self::CoordinatorStopped => "coordinator stopped and started again",
            Self::CoordinatorFrozen => "coordinator frozen for a while",
            Self::CoordinatorClockJumped => "coordinator's clock jumped",
            Self::CoordinatorDisplaced => "second coordinator on the same store",
            Self::CoordinatorDisplacedInFileOperation => "… amid the first one's file operations",
            Self::CoordinatorGaveUp => "… which the first one noticed, and gave up",
            Self::CoordinatorsInterleaved => "file operations of two coordinators interleaved",
            Self::CoordinatorCouldNotOpen => "coordinator could not open the store",
            Self::PowerCut => "power cut at the store",
            Self::WriteLost => "unsynchronised write lost",
            Self::WriteTorn => "… torn",
            Self::WriteZeroed => "… its end read as zeros",
            Self::WriteSurvived => "… survived all the same",
            Self::NameUndone => "unsynchronised change of a name undone",
            Self::DiskFull => "write to a full disk",
            Self::SyncFailed => "synchronisation failed",
            Self::PartDecayed => "part decayed in the store",
            Self::PartSetAside => "damaged part in the store set aside",
            Self::WorkerKilled => "worker killed",
            Self::WorkerKilledInFileOperation => "worker killed in a file operation",
            Self::WorkerPowerCut => "power cut at a worker",
            Self::WorkerStopped => "worker asked to stop",
            Self::WorkerFrozen => "worker frozen for a while",
            Self::WorkerClockJumped => "worker's clock jumped",
            Self::WorkerTimeEnded => "worker's machine taken away on time",
            Self::WorkerBroken => "worker could not keep a part",
            Self::WorkerOfAnotherVersion => "worker of another version",
            Self::Partition => "partition between worker and coordinator",
            Self::RequestLost => "request lost",
            Self::AnswerLost => "answer lost after the effect",
            Self::MessageLate => "message late",
            Self::MessageDuplicated => "message duplicated",
            Self::StreamCut => "delivery cut",
            Self::PartChangedOnTheWay => "part changed on the way",
            Self::PartRefusedAsDamaged => "part refused as damaged",
            Self::PartRefusedAsForeign => "part refused as another run's or not needed",
            Self::PartRefusedByStore => "part refused by the store for now",
            Self::DrainedByOperator => "workers drained",
            Self::CancelledByOperator => "run cancelled",
            Self::LeaseLost => "lease lost",
            Self::ShardRepeated => "straggling shard repeated",
            Self::PartDiscarded => "second part of a shard",
            Self::AuditPassed => "audit passed",
            Self::ShardFailed => "shard failed",
            Self::WrongPartComputed => "faulty machine computed something else",
            Self::LaterPartsNotNeeded => "precision reached before the end",
        }
    }
}

/// How often each fault struck.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts(BTreeMap<Fault, u64>);

impl Counts {
    /// Counts a fault.
    pub fn add(&mut self, fault: Fault, count: u64) {
        if count > 0 {
            *self.0.entry(fault).or_default() += count;
        }
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            self.add(*fault, *count);
        }
    }

    /// How often it struck.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or(0)
    }
}
