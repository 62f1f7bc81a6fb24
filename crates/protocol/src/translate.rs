//! From plain types to the wire's and back. What comes in is checked here and nowhere else.

use std::ops::Range;

use crate::messages::{
    Answer, Ask, ERROR_BYTES_MAX, Failed, Grant, Held, LEASES_MAX, Machine, NAME_BYTES_MAX,
    PartHeader, Pulse, PulseAnswer, Purpose, Receipt, Registration, Release, RunSpec, Session,
    SharedFolder, Versions, Wait, Welcome,
};
use crate::refusal::Refusal;
use crate::status::{Counts, Estimate, LeaseReport, Phase, Point, StatusReport, WorkerReport};
use crate::wire;

/// Longest canonical trial, bytes.
const TRIAL_BYTES_MAX: usize = 2 << 20;
/// Most processor features, and the longest name of one.
const FEATURES_MAX: usize = 64;
/// Most workers, leases or points of a report.
const REPORT_ROWS_MAX: usize = 4096;

type Checked<T> = Result<T, Refusal>;

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Checked<()> {
    if condition {
        Ok(())
    } else {
        Err(Refusal::malformed(message()))
    }
}

fn required<T>(value: Option<T>, what: &str) -> Checked<T> {
    value.ok_or_else(|| Refusal::malformed(format!("{what} is missing")))
}

fn bounded<T>(list: Vec<T>, most: usize, what: &str) -> Checked<Vec<T>> {
    ensure(list.len() <= most, || {
        format!("{} {what} are more than the limit of {most}", list.len())
    })?;
    Ok(list)
}

/// Text for people: short, on one line, without control characters that a terminal would obey.
fn short(text: &str, what: &str) -> Checked<String> {
    ensure(text.len() <= NAME_BYTES_MAX, || {
        format!("{what} is longer than {NAME_BYTES_MAX} bytes")
    })?;
    ensure(!text.chars().any(char::is_control), || {
        format!("{what} has control characters")
    })?;
    Ok(text.to_owned())
}

/// Text of several lines from somebody else: what is too long is cut, and control characters
/// that a terminal would obey go.
pub fn prose(text: &str) -> String {
    let cut = text.floor_char_boundary(ERROR_BYTES_MAX.min(text.len()));
    text[..cut]
        .chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .collect()
}

/// Such a text; none if nothing of it can be shown.
fn prose_if_any(text: &str) -> Option<String> {
    Some(prose(text)).filter(|text| !text.is_empty())
}

fn session(bytes: &[u8]) -> Checked<Session> {
    let bytes = bytes.try_into();
    Ok(Session(bytes.map_err(|_| {
        Refusal::malformed("a session has 16 bytes")
    })?))
}

fn digest(bytes: &[u8]) -> Checked<[u8; 32]> {
    bytes
        .try_into()
        .map_err(|_| Refusal::malformed("a digest has 32 bytes"))
}

fn range(range: Option<wire::PatientRange>) -> Checked<Range<u64>> {
    let range = required(range, "a range of patients")?;
    ensure(range.start < range.end, || {
        format!("patients {}..{} are none", range.start, range.end)
    })?;
    Ok(range.start..range.end)
}

fn wire_range(range: &Range<u64>) -> wire::PatientRange {
    wire::PatientRange {
        start: range.start,
        end: range.end,
    }
}

/// A plain name of a file: nothing that could lead out of its folder.
fn file_name(name: &str) -> Checked<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let good = !name.starts_with('.') && name.len() <= NAME_BYTES_MAX && name.chars().all(plain);
    ensure(good, || format!("{name:?} is no name for a part"))?;
    Ok(name.to_owned())
}

/// What the wire can count; more than that is never held.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Numbers that are shown or compared must be numbers.
fn finite(number: f64, what: &str) -> Checked<f64> {
    ensure(number.is_finite(), || format!("{what} is not finite"))?;
    Ok(number)
}

impl From<Registration> for wire::RegisterRequest {
    fn from(plain: Registration) -> Self {
        Self {
            session: plain.session.0.to_vec(),
            name: plain.name,
            protocol_revision: plain.versions.protocol_revision,
            engine_version: plain.versions.engine,
            model_version: plain.versions.model,
            machine: Some(plain.machine.into()),
            holding: plain.holding.iter().map(wire_range).collect(),
        }
    }
}

impl TryFrom<wire::RegisterRequest> for Registration {
    type Error = Refusal;

    fn try_from(wire: wire::RegisterRequest) -> Checked<Self> {
        let holding = bounded(wire.holding, LEASES_MAX, "ranges")?;
        Ok(Self {
            session: session(&wire.session)?,
            name: short(&wire.name, "the worker's name")?,
            versions: Versions {
                protocol_revision: wire.protocol_revision,
                engine: short(&wire.engine_version, "the engine's version")?,
                model: short(&wire.model_version, "the model's version")?,
            },
            machine: required(wire.machine, "the machine")?.try_into()?,
            holding: holding
                .into_iter()
                .map(|held| range(Some(held)))
                .collect::<Checked<_>>()?,
        })
    }
}

impl From<Machine> for wire::Machine {
    fn from(plain: Machine) -> Self {
        Self {
            architecture: plain.architecture,
            cpu_features: plain.cpu_features,
            threads: plain.threads,
            memory_bytes: plain.memory_bytes,
        }
    }
}

impl TryFrom<wire::Machine> for Machine {
    type Error = Refusal;

    fn try_from(wire: wire::Machine) -> Checked<Self> {
        let features = bounded(wire.cpu_features, FEATURES_MAX, "processor features")?;
        Ok(Self {
            architecture: short(&wire.architecture, "the architecture")?,
            cpu_features: features
                .iter()
                .map(|feature| short(feature, "a processor feature"))
                .collect::<Checked<_>>()?,
            threads: wire.threads,
            memory_bytes: wire.memory_bytes,
        })
    }
}

impl From<Welcome> for wire::RegisterResponse {
    fn from(plain: Welcome) -> Self {
        let (shared_folder, shared_marker) = plain
            .shared
            .map(|shared| (shared.path, shared.marker))
            .unwrap_or_default();
        Self {
            worker: plain.worker,
            trial_toml: plain.run.trial_toml,
            trial_fingerprint: plain.run.fingerprint.to_vec(),
            seed: plain.run.seed,
            heartbeat_ms: narrow(plain.heartbeat_ms),
            lease_ms: narrow(plain.lease_ms),
            part_bytes_max: plain.part_bytes_max,
            shared_folder,
            shared_marker,
            leases: plain.grants.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::RegisterResponse> for Welcome {
    type Error = Refusal;

    fn try_from(wire: wire::RegisterResponse) -> Checked<Self> {
        ensure(wire.trial_toml.len() <= TRIAL_BYTES_MAX, || {
            format!("the trial is longer than {TRIAL_BYTES_MAX} bytes")
        })?;
        ensure(wire.heartbeat_ms > 0 && wire.lease_ms > 0, || {
            "the times of heartbeats and leases are missing".into()
        })?;
        let shared = (!wire.shared_folder.is_empty()).then_some(SharedFolder {
            path: wire.shared_folder,
            marker: wire.shared_marker,
        });
        Ok(Self {
            worker: wire.worker,
            run: RunSpec {
                trial_toml: wire.trial_toml,
                fingerprint: digest(&wire.trial_fingerprint)?,
                seed: wire.seed,
            },
            heartbeat_ms: wire.heartbeat_ms.into(),
            lease_ms: wire.lease_ms.into(),
            part_bytes_max: wire.part_bytes_max,
            shared,
            grants: grants(wire.leases)?,
        })
    }
}

fn grants(leases: Vec<wire::Lease>) -> Checked<Vec<Grant>> {
    bounded(leases, LEASES_MAX, "leases")?
        .into_iter()
        .map(Grant::try_from)
        .collect()
}

impl From<Grant> for wire::Lease {
    fn from(plain: Grant) -> Self {
        Self {
            attempt: plain.attempt,
            range: Some(wire_range(&plain.range)),
            purpose: wire_purpose(plain.purpose).into(),
        }
    }
}

impl TryFrom<wire::Lease> for Grant {
    type Error = Refusal;

    fn try_from(wire: wire::Lease) -> Checked<Self> {
        Ok(Self {
            attempt: wire.attempt,
            range: range(wire.range)?,
            purpose: purpose(wire.purpose())?,
        })
    }
}

fn wire_purpose(purpose: Purpose) -> wire::Purpose {
    match purpose {
        Purpose::Compute => wire::Purpose::Compute,
        Purpose::Repeat => wire::Purpose::Repeat,
        Purpose::Audit => wire::Purpose::Audit,
    }
}

fn purpose(purpose: wire::Purpose) -> Checked<Purpose> {
    match purpose {
        wire::Purpose::Compute => Ok(Purpose::Compute),
        wire::Purpose::Repeat => Ok(Purpose::Repeat),
        wire::Purpose::Audit => Ok(Purpose::Audit),
        wire::Purpose::Unspecified => Err(Refusal::malformed("a lease has an unknown purpose")),
    }
}

impl From<Ask> for wire::LeaseRequest {
    fn from(plain: Ask) -> Self {
        Self {
            session: plain.session.0.to_vec(),
            wanted: plain.wanted,
        }
    }
}

impl TryFrom<wire::LeaseRequest> for Ask {
    type Error = Refusal;

    fn try_from(wire: wire::LeaseRequest) -> Checked<Self> {
        ensure(
            wire.wanted > 0 && wire.wanted as usize <= LEASES_MAX,
            || {
                format!(
                    "{} leases at once; 1 to {LEASES_MAX} are possible",
                    wire.wanted
                )
            },
        )?;
        Ok(Self {
            session: session(&wire.session)?,
            wanted: wire.wanted,
        })
    }
}

impl From<Answer> for wire::LeaseResponse {
    fn from(plain: Answer) -> Self {
        Self {
            leases: plain.grants.into_iter().map(Into::into).collect(),
            wait: plain.wait.map(Into::into),
            drain: plain.drain,
        }
    }
}

impl TryFrom<wire::LeaseResponse> for Answer {
    type Error = Refusal;

    fn try_from(wire: wire::LeaseResponse) -> Checked<Self> {
        Ok(Self {
            grants: grants(wire.leases)?,
            wait: wire.wait.map(Wait::try_from).transpose()?,
            drain: wire.drain,
        })
    }
}

impl From<Wait> for wire::Wait {
    fn from(plain: Wait) -> Self {
        let mut wire = Self::default();
        match plain {
            Wait::Busy { retry_ms } => {
                wire.set_reason(wire::wait::Reason::Busy);
                wire.retry_ms = narrow(retry_ms);
            }
            Wait::Finished => wire.set_reason(wire::wait::Reason::Finished),
            Wait::Failed { problem } => {
                wire.set_reason(wire::wait::Reason::Failed);
                wire.problem = problem;
            }
        }
        wire
    }
}

impl TryFrom<wire::Wait> for Wait {
    type Error = Refusal;

    fn try_from(wire: wire::Wait) -> Checked<Self> {
        match wire.reason() {
            wire::wait::Reason::Busy => Ok(Self::Busy {
                retry_ms: wire.retry_ms.into(),
            }),
            wire::wait::Reason::Finished => Ok(Self::Finished),
            wire::wait::Reason::Failed => Ok(Self::Failed {
                problem: prose(&wire.problem),
            }),
            wire::wait::Reason::Unspecified => Err(Refusal::malformed(
                "an answer has an unknown reason to wait",
            )),
        }
    }
}

impl From<Pulse> for wire::HeartbeatRequest {
    fn from(plain: Pulse) -> Self {
        Self {
            session: plain.session.0.to_vec(),
            held: plain
                .held
                .into_iter()
                .map(|held| wire::Held {
                    attempt: held.attempt,
                    patients_done: held.patients_done,
                })
                .collect(),
        }
    }
}

impl TryFrom<wire::HeartbeatRequest> for Pulse {
    type Error = Refusal;

    fn try_from(wire: wire::HeartbeatRequest) -> Checked<Self> {
        Ok(Self {
            session: session(&wire.session)?,
            held: bounded(wire.held, LEASES_MAX, "leases")?
                .into_iter()
                .map(|held| Held {
                    attempt: held.attempt,
                    patients_done: held.patients_done,
                })
                .collect(),
        })
    }
}

impl From<PulseAnswer> for wire::HeartbeatResponse {
    fn from(plain: PulseAnswer) -> Self {
        Self {
            revoked: plain.revoked,
            drain: plain.drain,
            over: plain.over.map(Into::into),
        }
    }
}

impl TryFrom<wire::HeartbeatResponse> for PulseAnswer {
    type Error = Refusal;

    fn try_from(wire: wire::HeartbeatResponse) -> Checked<Self> {
        Ok(Self {
            revoked: bounded(wire.revoked, LEASES_MAX, "leases")?,
            drain: wire.drain,
            over: wire.over.map(Wait::try_from).transpose()?,
        })
    }
}

impl From<PartHeader> for wire::PartHeader {
    fn from(plain: PartHeader) -> Self {
        Self {
            session: plain.session.0.to_vec(),
            attempt: plain.attempt,
            range: Some(wire_range(&plain.range)),
            digest: plain.digest.to_vec(),
            file_bytes: plain.file_bytes,
            shared_name: plain.shared_name.unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::PartHeader> for PartHeader {
    type Error = Refusal;

    fn try_from(wire: wire::PartHeader) -> Checked<Self> {
        let shared = (!wire.shared_name.is_empty()).then(|| file_name(&wire.shared_name));
        Ok(Self {
            session: session(&wire.session)?,
            attempt: wire.attempt,
            range: range(wire.range)?,
            digest: digest(&wire.digest)?,
            file_bytes: wire.file_bytes,
            shared_name: shared.transpose()?,
        })
    }
}

impl From<Receipt> for wire::DeliverResponse {
    fn from(plain: Receipt) -> Self {
        let mut wire = Self::default();
        wire.set_outcome(match plain {
            Receipt::Committed => wire::deliver_response::Outcome::Committed,
            Receipt::Discarded => wire::deliver_response::Outcome::Discarded,
        });
        wire
    }
}

impl TryFrom<wire::DeliverResponse> for Receipt {
    type Error = Refusal;

    fn try_from(wire: wire::DeliverResponse) -> Checked<Self> {
        match wire.outcome() {
            wire::deliver_response::Outcome::Committed => Ok(Self::Committed),
            wire::deliver_response::Outcome::Discarded => Ok(Self::Discarded),
            wire::deliver_response::Outcome::Unspecified => {
                Err(Refusal::malformed("the fate of a part is unknown"))
            }
        }
    }
}

impl From<Release> for wire::ReleaseRequest {
    fn from(plain: Release) -> Self {
        Self {
            session: plain.session.0.to_vec(),
            attempts: plain.attempts,
        }
    }
}

impl TryFrom<wire::ReleaseRequest> for Release {
    type Error = Refusal;

    fn try_from(wire: wire::ReleaseRequest) -> Checked<Self> {
        Ok(Self {
            session: session(&wire.session)?,
            attempts: bounded(wire.attempts, LEASES_MAX, "leases")?,
        })
    }
}

impl From<Failed> for wire::FailRequest {
    fn from(plain: Failed) -> Self {
        Self {
            session: plain.session.0.to_vec(),
            attempt: plain.attempt,
            retryable: plain.retryable,
            error: prose(&plain.error),
        }
    }
}

impl TryFrom<wire::FailRequest> for Failed {
    type Error = Refusal;

    fn try_from(wire: wire::FailRequest) -> Checked<Self> {
        Ok(Self {
            session: session(&wire.session)?,
            attempt: wire.attempt,
            retryable: wire.retryable,
            error: prose(&wire.error),
        })
    }
}

impl From<Session> for wire::LeaveRequest {
    fn from(plain: Session) -> Self {
        Self {
            session: plain.0.to_vec(),
        }
    }
}

impl TryFrom<wire::LeaveRequest> for Session {
    type Error = Refusal;

    fn try_from(wire: wire::LeaveRequest) -> Checked<Self> {
        session(&wire.session)
    }
}

impl From<StatusReport> for wire::StatusReport {
    fn from(plain: StatusReport) -> Self {
        Self {
            trial: plain.trial,
            title: plain.title,
            trial_fingerprint: plain.fingerprint,
            seed: plain.seed,
            engine_version: plain.engine_version,
            model_version: plain.model_version,
            phase: match plain.phase {
                Phase::Running => wire::status_report::Phase::Running,
                Phase::Merging => wire::status_report::Phase::Merging,
                Phase::Finished => wire::status_report::Phase::Finished,
                Phase::Failed => wire::status_report::Phase::Failed,
            }
            .into(),
            problem: plain.problem.unwrap_or_default(),
            idle: plain.idle.unwrap_or_default(),
            patients: plain.patients,
            patients_committed: plain.patients_committed,
            patients_resumed: plain.patients_resumed,
            patients_under_way: plain.patients_under_way,
            patients_per_second: plain.patients_per_second,
            seconds_left: plain.seconds_left.unwrap_or(-1.0),
            seconds_running: plain.seconds_running,
            counts: Some(plain.counts.into()),
            workers: plain.workers.into_iter().map(Into::into).collect(),
            workers_unlisted: plain.workers_unlisted,
            slow: plain.slow.into_iter().map(Into::into).collect(),
            estimate: plain.estimate.map(|estimate| wire::Estimate {
                label: estimate.label,
                difference: estimate.difference,
                lower: estimate.lower,
                upper: estimate.upper,
            }),
            history: plain
                .history
                .into_iter()
                .map(|point| wire::Point {
                    patients: point.patients,
                    difference: point.difference,
                    lower: point.lower,
                    upper: point.upper,
                })
                .collect(),
        }
    }
}

impl TryFrom<wire::StatusReport> for StatusReport {
    type Error = Refusal;

    fn try_from(wire: wire::StatusReport) -> Checked<Self> {
        let phase = match wire.phase() {
            wire::status_report::Phase::Running => Phase::Running,
            wire::status_report::Phase::Merging => Phase::Merging,
            wire::status_report::Phase::Finished => Phase::Finished,
            wire::status_report::Phase::Failed => Phase::Failed,
            wire::status_report::Phase::Unspecified => {
                return Err(Refusal::malformed("a report has an unknown phase"));
            }
        };
        let seconds_left = finite(wire.seconds_left, "the time left")?;
        Ok(Self {
            trial: short(&wire.trial, "the trial's name")?,
            title: prose(&wire.title),
            fingerprint: short(&wire.trial_fingerprint, "the fingerprint")?,
            seed: wire.seed,
            engine_version: short(&wire.engine_version, "the engine's version")?,
            model_version: short(&wire.model_version, "the model's version")?,
            phase,
            problem: prose_if_any(&wire.problem),
            idle: prose_if_any(&wire.idle),
            patients: wire.patients,
            patients_committed: wire.patients_committed,
            patients_resumed: wire.patients_resumed,
            patients_under_way: wire.patients_under_way,
            patients_per_second: finite(wire.patients_per_second, "the rate")?,
            seconds_left: (seconds_left >= 0.0).then_some(seconds_left),
            seconds_running: finite(wire.seconds_running, "the time")?,
            counts: required(wire.counts, "the counts")?.into(),
            workers: bounded(wire.workers, REPORT_ROWS_MAX, "workers")?
                .into_iter()
                .map(WorkerReport::try_from)
                .collect::<Checked<_>>()?,
            workers_unlisted: wire.workers_unlisted,
            slow: bounded(wire.slow, REPORT_ROWS_MAX, "leases")?
                .into_iter()
                .map(LeaseReport::try_from)
                .collect::<Checked<_>>()?,
            estimate: wire.estimate.map(Estimate::try_from).transpose()?,
            history: bounded(wire.history, REPORT_ROWS_MAX, "points")?
                .into_iter()
                .map(Point::try_from)
                .collect::<Checked<_>>()?,
        })
    }
}

impl From<Counts> for wire::Counts {
    fn from(plain: Counts) -> Self {
        Self {
            shards_open: plain.shards_open,
            shards_leased: plain.shards_leased,
            shards_committed: plain.shards_committed,
            audits_open: plain.audits_open,
            audits_passed: plain.audits_passed,
            audits_skipped: plain.audits_skipped,
            leases_lost: plain.leases_lost,
            leases_released: plain.leases_released,
            leases_repeated: plain.leases_repeated,
            failures: plain.failures,
            duplicates: plain.duplicates,
            parts_refused: plain.parts_refused,
        }
    }
}

impl From<wire::Counts> for Counts {
    fn from(wire: wire::Counts) -> Self {
        Self {
            shards_open: wire.shards_open,
            shards_leased: wire.shards_leased,
            shards_committed: wire.shards_committed,
            audits_open: wire.audits_open,
            audits_passed: wire.audits_passed,
            audits_skipped: wire.audits_skipped,
            leases_lost: wire.leases_lost,
            leases_released: wire.leases_released,
            leases_repeated: wire.leases_repeated,
            failures: wire.failures,
            duplicates: wire.duplicates,
            parts_refused: wire.parts_refused,
        }
    }
}

impl From<WorkerReport> for wire::WorkerReport {
    fn from(plain: WorkerReport) -> Self {
        Self {
            worker: plain.worker,
            name: plain.name,
            machine: Some(plain.machine.into()),
            leases: plain.leases,
            shards_committed: plain.shards_committed,
            patients_committed: plain.patients_committed,
            patients_per_second: plain.patients_per_second,
            seconds_silent: plain.seconds_silent,
            draining: plain.draining,
        }
    }
}

impl TryFrom<wire::WorkerReport> for WorkerReport {
    type Error = Refusal;

    fn try_from(wire: wire::WorkerReport) -> Checked<Self> {
        Ok(Self {
            worker: wire.worker,
            name: short(&wire.name, "a worker's name")?,
            machine: required(wire.machine, "the machine")?.try_into()?,
            leases: wire.leases,
            shards_committed: wire.shards_committed,
            patients_committed: wire.patients_committed,
            patients_per_second: finite(wire.patients_per_second, "a worker's rate")?,
            seconds_silent: finite(wire.seconds_silent, "a worker's silence")?,
            draining: wire.draining,
        })
    }
}

impl From<LeaseReport> for wire::LeaseReport {
    fn from(plain: LeaseReport) -> Self {
        Self {
            range: Some(wire_range(&plain.range)),
            worker: plain.worker,
            purpose: wire_purpose(plain.purpose).into(),
            seconds: plain.seconds,
            patients_done: plain.patients_done,
        }
    }
}

impl TryFrom<wire::LeaseReport> for LeaseReport {
    type Error = Refusal;

    fn try_from(wire: wire::LeaseReport) -> Checked<Self> {
        Ok(Self {
            purpose: purpose(wire.purpose())?,
            range: range(wire.range)?,
            worker: short(&wire.worker, "a worker's name")?,
            seconds: finite(wire.seconds, "the age of a lease")?,
            patients_done: wire.patients_done,
        })
    }
}

impl TryFrom<wire::Estimate> for Estimate {
    type Error = Refusal;

    fn try_from(wire: wire::Estimate) -> Checked<Self> {
        Ok(Self {
            label: prose(&wire.label),
            difference: finite(wire.difference, "the estimate")?,
            lower: finite(wire.lower, "the estimate")?,
            upper: finite(wire.upper, "the estimate")?,
        })
    }
}

impl TryFrom<wire::Point> for Point {
    type Error = Refusal;

    fn try_from(wire: wire::Point) -> Checked<Self> {
        Ok(Self {
            patients: wire.patients,
            difference: finite(wire.difference, "the estimate")?,
            lower: finite(wire.lower, "the estimate")?,
            upper: finite(wire.upper, "the estimate")?,
        })
    }
}
