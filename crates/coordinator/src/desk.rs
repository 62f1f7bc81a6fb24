//! The desk: the ledger and the workers that come to it, without any I/O.
//!
//! Calls come in as checked messages with the time at which they arrived; answers go out. What
//! has to happen to files in between is the [`Service`](crate::Service)'s.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use reseed_protocol::messages::{
    Answer, Ask, Failed, Grant, Machine, PartHeader, Pulse, PulseAnswer, Purpose, Receipt,
    Registration, Release, RunSpec, Session, SharedFolder, Versions, Wait, Welcome,
};
use reseed_protocol::status::{Counts, LeaseReport, Phase as ReportPhase, WorkerReport};
use reseed_protocol::{Kind, Refusal, Retry};

use crate::ledger::Ledger;
use crate::message::{
    Attempt, Credential, Digest, Effect, Event, Fatal, Lease, Millis, Phase, Progress, Verdict,
    WorkerId,
};
use crate::rate::Rate;

/// Most leases of a worker, for each of its threads; what it computes and has at hand, twice over
/// in case an answer was lost.
const LEASES_PER_THREAD_MAX: u32 = 4;
/// The same, at least and at most, whatever it says of its threads.
const LEASES_PER_WORKER: (u32, u32) = (16, 4096);
/// Most workers at a time.
const WORKERS_MAX: usize = 100_000;
/// Workers not heard of for so many lease times are forgotten. They may register again.
const FORGET_AFTER_LEASES: u64 = 20;
/// Between two calls of a worker for which there is nothing to do, ms: at least, and the most
/// that it grows to with the number of workers.
const RETRY_MS_MIN: u64 = 100;
const RETRY_MS_MAX: u64 = 5_000;
/// Most workers in a report.
const WORKERS_LISTED: usize = 200;
/// Most slow leases in a report.
const SLOW_LISTED: usize = 8;

/// What every worker is told.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What to simulate.
    pub run: RunSpec,
    /// What a worker must have.
    pub versions: Versions,
    /// How long a lease lasts without a heartbeat, ms.
    pub lease_ms: u64,
    /// Largest part, bytes.
    pub part_bytes_max: u64,
    /// Where workers on the same file system put parts.
    pub shared: Option<SharedFolder>,
}

/// The ledger and its workers.
#[derive(Debug)]
pub struct Desk {
    offer: Offer,
    ledger: Ledger,
    sessions: BTreeMap<Session, WorkerId>,
    workers: BTreeMap<WorkerId, Worker>,
    /// Workers in the order in which they were last heard of.
    heard: BTreeSet<(Millis, WorkerId)>,
    /// Names of the workers that are there, and of those that left something behind which a
    /// message may be about.
    names: BTreeMap<WorkerId, String>,
    /// How many ever came.
    workers_met: u64,
    drain_all: bool,
    /// Patients in shards under way that are simulated, over all workers.
    under_way: u64,
    rate: Rate,
    parts_refused: u64,
}

/// Who sends a part. It may be gone before the part is in the store, and the part counts all the
/// same.
#[derive(Debug, Clone)]
pub struct Courier {
    worker: WorkerId,
    name: String,
    credential: Option<Credential>,
}

#[derive(Debug)]
struct Worker {
    session: Session,
    machine: Machine,
    credential: Option<Credential>,
    heard: Millis,
    draining: bool,
    /// It reported a failure.
    has_failed: bool,
    shards_committed: u64,
    patients_committed: u64,
    /// Patients simulated, by lease under way.
    under_way: BTreeMap<Attempt, u64>,
    /// Patients simulated in shards that were delivered, for the rate.
    delivered: u64,
    rate: Rate,
}

impl Worker {
    fn note_rate(&mut self, now: Millis) {
        let under_way = self.under_way.values().sum::<u64>();
        self.rate.note(self.delivered + under_way, now);
    }
}

impl Desk {
    /// A desk without workers.
    pub fn new(offer: Offer, ledger: Ledger) -> Self {
        Self {
            offer,
            ledger,
            sessions: BTreeMap::new(),
            workers: BTreeMap::new(),
            heard: BTreeSet::new(),
            names: BTreeMap::new(),
            workers_met: 0,
            drain_all: false,
            under_way: 0,
            rate: Rate::default(),
            parts_refused: 0,
        }
    }

    /// What every worker is told.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Where the run stands.
    pub fn phase(&self) -> &Phase {
        self.ledger.phase()
    }

    /// Counts of shards, leases and audits.
    pub fn progress(&self) -> Progress {
        self.ledger.progress()
    }

    /// Whether all workers have said goodbye or were not heard of since `since`.
    pub fn is_empty_since(&self, since: Millis) -> bool {
        self.heard.last().is_none_or(|(heard, _)| *heard < since)
    }

    /// Takes a worker on, or meets it again. The `credential` is what its connection has shown.
    ///
    /// # Errors
    /// [`Kind::Version`] if it would compute something else, [`Kind::Limit`] if there are too
    /// many.
    pub fn register(
        &mut self,
        from: Registration,
        credential: Option<Credential>,
        now: Millis,
    ) -> Result<Welcome, Refusal> {
        self.same_versions(&from.versions)?;
        let worker = self.take_on(&from, credential, now)?;
        let mut ranges = from.holding;
        ranges.truncate(leases_max(&from.machine) as usize);
        let claim = Event::Claim { worker, ranges };
        let grants = grants(self.ledger.apply(claim, now));
        Ok(Welcome {
            worker: worker.0,
            run: self.offer.run.clone(),
            heartbeat_ms: (self.offer.lease_ms / 3).max(1),
            lease_ms: self.offer.lease_ms,
            part_bytes_max: self.offer.part_bytes_max,
            shared: self.offer.shared.clone(),
            grants,
        })
    }

    /// Gives a worker shards.
    ///
    /// # Errors
    /// [`Kind::UnknownSession`].
    pub fn lease(&mut self, ask: &Ask, now: Millis) -> Result<Answer, Refusal> {
        let worker = self.hear(ask.session, now)?;
        let drain = self.is_draining(worker);
        let mut answer = Answer {
            grants: Vec::new(),
            wait: self.over(),
            drain,
        };
        if drain || answer.wait.is_some() {
            return Ok(answer);
        }
        let wanted = ask.wanted.min(self.leases_left(worker));
        answer.grants = grants(self.ledger.apply(Event::Request { worker, wanted }, now));
        if answer.grants.is_empty() {
            answer.wait = Some(self.over().unwrap_or(Wait::Busy {
                retry_ms: self.retry_ms(),
            }));
        }
        Ok(answer)
    }

    /// Prolongs a worker's leases.
    ///
    /// # Errors
    /// [`Kind::UnknownSession`].
    pub fn pulse(&mut self, pulse: &Pulse, now: Millis) -> Result<PulseAnswer, Refusal> {
        let worker = self.hear(pulse.session, now)?;
        let attempts = pulse.held.iter().map(|held| Attempt(held.attempt));
        let renewal = Event::Renew {
            worker,
            attempts: attempts.collect(),
        };
        let mine = |effect| match effect {
            Effect::Revoke {
                worker: of,
                attempt,
            } if of == worker => Some(attempt),
            _ => None,
        };
        let revoked: BTreeSet<Attempt> =
            (self.ledger.apply(renewal, now).into_iter().filter_map(mine)).collect();
        let held = pulse
            .held
            .iter()
            .map(|held| (Attempt(held.attempt), held.patients_done));
        let under_way = held
            .filter(|(attempt, _)| !revoked.contains(attempt))
            .collect();
        self.note_progress(worker, under_way, now);
        Ok(PulseAnswer {
            revoked: revoked.into_iter().map(|attempt| attempt.0).collect(),
            drain: self.is_draining(worker),
            over: self.over(),
        })
    }

    /// Takes shards back.
    ///
    /// # Errors
    /// [`Kind::UnknownSession`].
    pub fn release(&mut self, release: &Release, now: Millis) -> Result<(), Refusal> {
        let worker = self.hear(release.session, now)?;
        for attempt in &release.attempts {
            let attempt = Attempt(*attempt);
            self.forget_progress(worker, attempt);
            self.ledger.apply(Event::Release { worker, attempt }, now);
        }
        Ok(())
    }

    /// Notes that a shard could not be computed.
    ///
    /// # Errors
    /// [`Kind::UnknownSession`].
    pub fn fail(&mut self, failed: Failed, now: Millis) -> Result<(), Refusal> {
        let worker = self.hear(failed.session, now)?;
        let attempt = Attempt(failed.attempt);
        self.forget_progress(worker, attempt);
        if let Some(known) = self.workers.get_mut(&worker) {
            known.has_failed = true;
        }
        let event = Event::Fail {
            worker,
            attempt,
            retryable: failed.retryable,
            error: failed.error,
        };
        self.ledger.apply(event, now);
        Ok(())
    }

    /// Lets a worker go. Nobody is surprised if it has gone already.
    pub fn leave(&mut self, session: Session, now: Millis) {
        if let Some(worker) = self.sessions.get(&session).copied() {
            self.forget(worker, now);
        }
    }

    /// A worker announces a part. Who it is, and what delivering the part would lead to, before
    /// a byte of it is taken.
    ///
    /// # Errors
    /// [`Kind::UnknownSession`], [`Kind::Limit`] if it is too long, [`Kind::Ended`] or
    /// [`Kind::Foreign`] if nobody wants it.
    pub fn announce(
        &mut self,
        header: &PartHeader,
        now: Millis,
    ) -> Result<(Courier, Verdict), Refusal> {
        let worker = self.hear(header.session, now)?;
        let most = self.offer.part_bytes_max;
        if header.file_bytes > most {
            return Err(Refusal {
                kind: Kind::Limit,
                retry: Retry::Never,
                message: format!(
                    "a part of {} bytes is longer than the limit of {most} bytes; use smaller shards",
                    header.file_bytes
                ),
            });
        }
        let verdict = self.judge(&header.range, Digest(header.digest))?;
        let courier = Courier {
            worker,
            name: self.name(worker).to_owned(),
            credential: self.workers.get(&worker).and_then(|known| known.credential),
        };
        Ok((courier, verdict))
    }

    /// What delivering a part would lead to.
    ///
    /// # Errors
    /// [`Kind::Ended`] or [`Kind::Foreign`] if nobody wants it.
    pub fn judge(&self, range: &Range<u64>, digest: Digest) -> Result<Verdict, Refusal> {
        match self.ledger.judge(range, digest) {
            Verdict::Refuse => Err(self.unwanted(range)),
            verdict => Ok(verdict),
        }
    }

    /// Notes that a part was delivered and, if it was wanted, is in the store for good: the
    /// ledger has to learn of it whatever became of its worker meanwhile.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it differs from what is committed, which ends the run;
    /// [`Kind::Ended`] or [`Kind::Foreign`] if nobody wants it.
    pub fn delivered(
        &mut self,
        courier: &Courier,
        header: &PartHeader,
        now: Millis,
    ) -> Result<Receipt, Refusal> {
        let worker = courier.worker;
        let is_gone = self.hear(header.session, now).ok() != Some(worker);
        if is_gone {
            let credential = courier.credential;
            self.ledger.apply(Event::Join { worker, credential }, now);
        }
        let attempt = Attempt(header.attempt);
        let patients = header.range.end - header.range.start;
        self.forget_progress(worker, attempt);
        let event = Event::Deliver {
            worker,
            attempt,
            range: header.range.clone(),
            digest: Digest(header.digest),
        };
        let effects = self.ledger.apply(event, now);
        if is_gone {
            let leaves_something =
                |effect: &Effect| matches!(effect, Effect::Commit { .. } | Effect::Fail(_));
            if effects.iter().any(leaves_something) {
                self.names.insert(worker, courier.name.clone());
            }
            // It came back for this one statement.
            self.ledger.apply(Event::Leave { worker }, now);
        }
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.delivered += patients;
            worker.note_rate(now);
        }
        let mut receipt = None;
        for effect in effects {
            match effect {
                Effect::Commit { range } if range == header.range => {
                    if let Some(worker) = self.workers.get_mut(&worker) {
                        worker.shards_committed += 1;
                        worker.patients_committed += patients;
                    }
                    receipt = Some(Receipt::Committed);
                }
                Effect::Discard { .. } => receipt = Some(Receipt::Discarded),
                _ => {}
            }
        }
        match (receipt, self.ledger.phase()) {
            (Some(receipt), _) => Ok(receipt),
            (None, Phase::Failed(fatal @ Fatal::Conflict { .. })) => {
                Err(Refusal::new(Kind::Conflict, self.describe(fatal)))
            }
            (None, _) => Err(self.unwanted(&header.range)),
        }
    }

    /// The stopping rule was met: patients from `end` on are not needed.
    pub fn enough(&mut self, end: u64, now: Millis) {
        self.ledger.apply(Event::Enough { end }, now);
    }

    /// Ends the run.
    pub fn cancel(&mut self, reason: String, now: Millis) {
        self.ledger.apply(Event::Cancel { reason }, now);
    }

    /// Asks the workers of this name or number, or all for an empty text, to finish what they
    /// compute and leave. Returns how many there are.
    pub fn drain(&mut self, which: &str) -> usize {
        if which.is_empty() {
            self.drain_all = true;
            return self.workers.len();
        }
        let named = |worker: &WorkerId| {
            self.names.get(worker).is_some_and(|name| name == which)
                || worker.0.to_string() == which
        };
        let chosen: Vec<WorkerId> = self.workers.keys().copied().filter(named).collect();
        for worker in &chosen {
            if let Some(worker) = self.workers.get_mut(worker) {
                worker.draining = true;
            }
        }
        chosen.len()
    }

    /// Lets time pass: leases run out, and workers that nobody heard of are forgotten.
    pub fn tick(&mut self, now: Millis) {
        self.ledger.apply(Event::Tick, now);
        let silence_ms = self.offer.lease_ms.saturating_mul(FORGET_AFTER_LEASES);
        while let Some((heard, worker)) = self.heard.first().copied()
            && now.0.saturating_sub(heard.0) > silence_ms
        {
            self.forget(worker, now);
        }
        let done = self.ledger.progress().patients_committed + self.under_way;
        self.rate.note(done, now);
    }

    /// Counts a part that was refused.
    pub fn note_refused_part(&mut self) {
        self.parts_refused += 1;
    }

    /// Why the run has ended, as workers are told.
    pub fn over(&self) -> Option<Wait> {
        match self.ledger.phase() {
            Phase::Running => None,
            Phase::Finished => Some(Wait::Finished),
            Phase::Failed(fatal) => Some(Wait::Failed {
                problem: self.describe(fatal),
            }),
        }
    }

    /// A failure, and who the workers in it are.
    pub fn describe(&self, fatal: &Fatal) -> String {
        let named = |worker: WorkerId| {
            let name = self.names.get(&worker)?;
            Some(format!("{worker} is {name}"))
        };
        let names: Vec<String> = fatal.workers().into_iter().filter_map(named).collect();
        if names.is_empty() {
            return fatal.to_string();
        }
        format!("{fatal} ({})", names.join(", "))
    }

    /// Name of a worker that is there, or has left something behind.
    pub fn name(&self, worker: WorkerId) -> &str {
        self.names.get(&worker).map_or("unknown", String::as_str)
    }

    /// The worker of a session.
    pub fn worker(&self, session: Session) -> Option<WorkerId> {
        self.sessions.get(&session).copied()
    }

    /// Patients simulated in shards under way.
    pub fn patients_under_way(&self) -> u64 {
        self.under_way
    }

    /// Patients that all workers simulate in a second, lately.
    pub fn patients_per_second(&self) -> f64 {
        self.rate.per_second()
    }

    /// Seconds until all is done at the present rate; `None` without one.
    pub fn seconds_left(&self) -> Option<f64> {
        let progress = self.ledger.progress();
        let done = progress.patients_committed + self.under_way;
        let left = progress.patients.saturating_sub(done) as f64;
        let rate = self.patients_per_second();
        (rate > 0.0).then(|| left / rate)
    }

    /// Counts for reports.
    pub fn counts(&self) -> Counts {
        let progress = self.ledger.progress();
        let count = |number: usize| number as u64;
        Counts {
            shards_open: count(progress.shards_open),
            shards_leased: count(progress.shards_leased),
            shards_committed: count(progress.shards_committed),
            audits_open: count(progress.audits_open),
            audits_passed: count(progress.audits_passed),
            audits_skipped: count(progress.audits_skipped),
            leases_lost: count(progress.leases_lost),
            leases_released: count(progress.leases_released),
            leases_repeated: count(progress.leases_repeated),
            failures: count(progress.failures),
            duplicates: count(progress.duplicates),
            parts_refused: self.parts_refused,
        }
    }

    /// Phase for reports. Whoever merges the parts knows better once they are merged.
    pub fn report_phase(&self) -> ReportPhase {
        match self.ledger.phase() {
            Phase::Running => ReportPhase::Running,
            Phase::Finished => ReportPhase::Merging,
            Phase::Failed(_) => ReportPhase::Failed,
        }
    }

    /// Why nothing is being computed; `None` while something is.
    pub fn why_idle(&self) -> Option<String> {
        let reason = self.ledger.why_idle()?;
        if self.drain_all && *self.ledger.phase() == Phase::Running {
            return Some("all workers were asked to leave".into());
        }
        Some(reason.into())
    }

    /// The workers last heard of, in the order of their numbers, and how many others there are.
    pub fn worker_reports(&self, now: Millis) -> (Vec<WorkerReport>, usize) {
        let recent = self.heard.iter().rev().take(WORKERS_LISTED);
        let mut reports: Vec<WorkerReport> =
            recent.map(|(_, id)| self.worker_report(*id, now)).collect();
        reports.sort_by_key(|report| report.worker);
        let unlisted = self.workers.len() - reports.len();
        (reports, unlisted)
    }

    /// The leases that are under way for the longest.
    pub fn slow_leases(&self, now: Millis) -> Vec<LeaseReport> {
        let slowest = self.ledger.slowest(SLOW_LISTED).into_iter();
        slowest.map(|lease| self.lease_report(lease, now)).collect()
    }

    /// Age of the oldest lease, ms; 0 without any.
    pub fn oldest_lease_ms(&self, now: Millis) -> u64 {
        let oldest = self.ledger.slowest(1);
        oldest
            .first()
            .map_or(0, |lease| now.0.saturating_sub(lease.since.0))
    }

    fn worker_report(&self, id: WorkerId, now: Millis) -> WorkerReport {
        let worker = &self.workers[&id];
        WorkerReport {
            worker: id.0,
            name: self.name(id).to_owned(),
            machine: worker.machine.clone(),
            leases: u32::try_from(self.ledger.held_by(id)).unwrap_or(u32::MAX),
            shards_committed: worker.shards_committed,
            patients_committed: worker.patients_committed,
            patients_per_second: worker.rate.per_second(),
            seconds_silent: seconds(now.0.saturating_sub(worker.heard.0)),
            draining: self.is_draining(id),
        }
    }

    fn lease_report(&self, lease: &Lease, now: Millis) -> LeaseReport {
        let worker = self.workers.get(&lease.worker);
        let done = worker.and_then(|worker| worker.under_way.get(&lease.attempt));
        LeaseReport {
            range: lease.range.clone(),
            worker: self.name(lease.worker).to_owned(),
            purpose: plain(lease.purpose),
            seconds: seconds(now.0.saturating_sub(lease.since.0)),
            patients_done: done.copied().unwrap_or(0),
        }
    }

    fn same_versions(&self, theirs: &Versions) -> Result<(), Refusal> {
        let ours = &self.offer.versions;
        let problem = if theirs.model != ours.model {
            format!(
                "this run is of model version {}, the worker has {}, which gives other numbers",
                ours.model, theirs.model
            )
        } else if theirs.engine != ours.engine {
            format!(
                "the coordinator is reseed {}, the worker {}",
                ours.engine, theirs.engine
            )
        } else if theirs.protocol_revision != ours.protocol_revision {
            format!(
                "the coordinator speaks revision {} of the protocol, the worker {}",
                ours.protocol_revision, theirs.protocol_revision
            )
        } else {
            return Ok(());
        };
        let message = format!("{problem}; run the same version of reseed on both sides");
        Err(Refusal::new(Kind::Version, message))
    }

    fn take_on(
        &mut self,
        from: &Registration,
        credential: Option<Credential>,
        now: Millis,
    ) -> Result<WorkerId, Refusal> {
        if self.sessions.contains_key(&from.session) {
            return self.hear(from.session, now);
        }
        if self.workers.len() >= WORKERS_MAX {
            return Err(Refusal::new(
                Kind::Limit,
                format!("there are {WORKERS_MAX} workers, which is the limit; come back later"),
            ));
        }
        self.workers_met += 1;
        let worker = WorkerId(self.workers_met);
        self.sessions.insert(from.session, worker);
        self.names.insert(worker, from.name.clone());
        self.heard.insert((now, worker));
        let mut fresh = Worker {
            session: from.session,
            machine: from.machine.clone(),
            credential,
            heard: now,
            draining: false,
            has_failed: false,
            shards_committed: 0,
            patients_committed: 0,
            under_way: BTreeMap::new(),
            delivered: 0,
            rate: Rate::default(),
        };
        fresh.note_rate(now);
        self.workers.insert(worker, fresh);
        self.ledger.apply(Event::Join { worker, credential }, now);
        Ok(worker)
    }

    /// The worker of a session, of which this is a sign of life.
    fn hear(&mut self, session: Session, now: Millis) -> Result<WorkerId, Refusal> {
        let worker = *self.sessions.get(&session).ok_or_else(|| {
            Refusal::new(
                Kind::UnknownSession,
                "the coordinator does not know this worker (it was restarted, or has not heard of \
                 it for long); register again",
            )
        })?;
        if let Some(known) = self.workers.get_mut(&worker) {
            self.heard.remove(&(known.heard, worker));
            known.heard = now;
            self.heard.insert((now, worker));
        }
        Ok(worker)
    }

    fn forget(&mut self, worker: WorkerId, now: Millis) {
        self.ledger.apply(Event::Leave { worker }, now);
        if let Some(known) = self.workers.remove(&worker) {
            self.heard.remove(&(known.heard, worker));
            self.sessions.remove(&known.session);
            self.under_way -= known.under_way.values().sum::<u64>();
            let is_in_the_failure = match self.ledger.phase() {
                Phase::Failed(fatal) => fatal.workers().contains(&worker),
                _ => false,
            };
            if known.shards_committed == 0 && !known.has_failed && !is_in_the_failure {
                self.names.remove(&worker);
            }
        }
    }

    /// How many more shards a worker may hold.
    fn leases_left(&self, worker: WorkerId) -> u32 {
        let known = self.workers.get(&worker);
        let most = known.map_or(0, |known| leases_max(&known.machine));
        let held = u32::try_from(self.ledger.held_by(worker)).unwrap_or(u32::MAX);
        most.saturating_sub(held)
    }

    fn is_draining(&self, worker: WorkerId) -> bool {
        self.drain_all
            || self
                .workers
                .get(&worker)
                .is_some_and(|worker| worker.draining)
    }

    fn note_progress(&mut self, worker: WorkerId, under_way: BTreeMap<Attempt, u64>, now: Millis) {
        // A hostile number must not upset the sums.
        let most = self.ledger.progress().patients;
        let under_way: BTreeMap<Attempt, u64> = under_way
            .into_iter()
            .map(|(attempt, done)| {
                (
                    attempt,
                    done.min(self.ledger.patients_of(attempt).min(most)),
                )
            })
            .collect();
        if let Some(worker) = self.workers.get_mut(&worker) {
            self.under_way -= worker.under_way.values().sum::<u64>();
            worker.under_way = under_way;
            self.under_way += worker.under_way.values().sum::<u64>();
            worker.note_rate(now);
        }
    }

    fn forget_progress(&mut self, worker: WorkerId, attempt: Attempt) {
        let worker = self.workers.get_mut(&worker);
        if let Some(done) = worker.and_then(|worker| worker.under_way.remove(&attempt)) {
            self.under_way -= done;
        }
    }

    fn unwanted(&self, range: &Range<u64>) -> Refusal {
        match self.over() {
            Some(Wait::Failed { problem }) => {
                Refusal::new(Kind::Ended, format!("the run has failed: {problem}"))
            }
            _ => Refusal::new(
                Kind::Foreign,
                format!(
                    "patients {}..{} are no shard of this run, or no longer needed",
                    range.start, range.end
                ),
            ),
        }
    }

    /// The more workers wait, the less often each of them asks.
    fn retry_ms(&self) -> u64 {
        (RETRY_MS_MIN + self.workers.len() as u64).min(RETRY_MS_MAX)
    }
}

fn leases_max(machine: &Machine) -> u32 {
    let (least, most) = LEASES_PER_WORKER;
    let for_threads = machine.threads.saturating_mul(LEASES_PER_THREAD_MAX);
    for_threads.clamp(least, most)
}

fn grants(effects: Vec<Effect>) -> Vec<Grant> {
    let grant = |effect| match effect {
        Effect::Lease(lease) => Some(Grant {
            attempt: lease.attempt.0,
            range: lease.range,
            purpose: plain(lease.purpose),
        }),
        _ => None,
    };
    effects.into_iter().filter_map(grant).collect()
}

fn plain(purpose: crate::message::Purpose) -> Purpose {
    match purpose {
        crate::message::Purpose::Compute => Purpose::Compute,
        crate::message::Purpose::Repeat => Purpose::Repeat,
        crate::message::Purpose::Audit => Purpose::Audit,
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
