//! The shard ledger: (state, event, now) → (state, effects).
//!
//! A shard is open, leased or committed. A lease carries an [`Attempt`], a number that is never
//! given twice: it fences out what a former holder says about a shard that was leased again.
//! Only statements are fenced, not work: a simulated range is a pure function of trial and
//! seed, so a part that arrives late is as good as any other, and a second part for a committed
//! shard must be equal to the first. If it is not, somebody's computer is wrong, and the run
//! stops.
//!
//! Every operation costs O(log n) in shards and leases: expiry for each lease that ran out, and
//! [`Event::Enough`] and the end of a run for each shard or lease dropped. The
//! tables are ordered, so that the same events give the same effects on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::message::{
    Attempt, Digest, Effect, Event, Fatal, Lease, Millis, Phase, Progress, Purpose, Rules, ShardId,
    Verdict, Wait, WorkerId,
};

#[derive(Debug, Clone)]
struct Shard {
    range: Range<u64>,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// In the queue of open shards, kept from the worker on which it failed last.
    Open { avoid: Option<WorkerId> },
    /// With one worker, or with two near the end.
    Leased(Attempt, Option<Attempt>),
    /// By a worker, or by an earlier process.
    Committed(Option<WorkerId>, Digest),
}

#[derive(Debug, Clone)]
struct Worker {
    deadline: Millis,
    leases: BTreeSet<Attempt>,
}

/// What a deadline ends. Leases come first: a worker's own deadline is never earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Lease(Attempt),
    Worker(WorkerId),
}

/// Shards grouped by the worker that should not get them, so that finding one for a worker
/// means looking at two groups at most.
#[derive(Debug, Clone, Default)]
struct Queue(BTreeMap<Option<WorkerId>, BTreeSet<ShardId>>);

impl Queue {
    /// A queue of shards for anybody.
    fn of(shards: impl Iterator<Item = ShardId>) -> Self {
        let group: BTreeSet<_> = shards.collect();
        let groups = (!group.is_empty()).then_some((None, group));
        Self(BTreeMap::from_iter(groups))
    }

    fn insert(&mut self, avoid: Option<WorkerId>, shard: ShardId) {
        self.0.entry(avoid).or_default().insert(shard);
    }

    fn remove(&mut self, avoid: Option<WorkerId>, shard: ShardId) -> bool {
        let Some(group) = self.0.get_mut(&avoid) else {
            return false;
        };
        let found = group.remove(&shard);
        if group.is_empty() {
            self.0.remove(&avoid);
        }
        found
    }

    /// Drops the shards at or after one; how many.
    fn truncate(&mut self, end: ShardId) -> usize {
        let groups = self.0.values_mut();
        let dropped = groups.map(|group| group.split_off(&end).len()).sum();
        self.0.retain(|_, group| !group.is_empty());
        dropped
    }

    /// Takes the first shard that is not reserved from `worker`. Shards that failed elsewhere
    /// come before untouched ones, so that a faulty trial fails early.
    fn take(&mut self, worker: WorkerId) -> Option<ShardId> {
        let groups = self.0.iter().rev();
        let (avoid, group) = groups
            .into_iter()
            .find(|(avoid, _)| **avoid != Some(worker))?;
        let (avoid, shard) = (*avoid, *group.first()?);
        self.remove(avoid, shard);
        Some(shard)
    }
}

/// The shards of a run, who holds them, and what is committed.
#[derive(Debug, Clone)]
pub struct Ledger {
    rules: Rules,
    shards: Vec<Shard>,
    /// So many of them, from the first, are needed.
    needed: usize,
    phase: Phase,
    open: Queue,
    leases: BTreeMap<Attempt, Lease>,
    /// Compute leases of shards that nobody repeats yet, oldest first.
    alone: BTreeSet<Attempt>,
    workers: BTreeMap<WorkerId, Worker>,
    timers: BTreeSet<(Millis, Timer)>,
    /// Failures of shards that are not committed yet.
    failures: BTreeMap<ShardId, Vec<(WorkerId, String)>>,
    audits: Queue,
    next_attempt: Attempt,
    progress: Progress,
    /// Time that committed shards took from lease to delivery, and their number.
    timed: (u64, u64),
}

impl Ledger {
    /// A ledger with all shards open.
    ///
    /// # Panics
    /// If the shards are empty ranges, or not in index order without overlap, as [`crate::plan`]
    /// makes them.
    pub fn new(plan: Vec<Range<u64>>, rules: Rules) -> Self {
        Self::of(plan.into_iter().map(|range| (range, None)), rules)
    }

    /// A ledger of a run that goes on: shards with a digest were committed by an earlier
    /// process. They are not audited again.
    ///
    /// # Panics
    /// As [`Ledger::new`].
    pub fn resume(shards: Vec<(Range<u64>, Option<Digest>)>, rules: Rules) -> Self {
        Self::of(shards.into_iter(), rules)
    }

    fn of(shards: impl Iterator<Item = (Range<u64>, Option<Digest>)>, rules: Rules) -> Self {
        let shards: Vec<Shard> = shards
            .map(|(range, committed)| Shard {
                range,
                state: committed.map_or(State::Open { avoid: None }, |digest| {
                    State::Committed(None, digest)
                }),
            })
            .collect();
        assert!(
            shards.iter().all(|shard| !shard.range.is_empty())
                && shards
                    .windows(2)
                    .all(|pair| pair[0].range.end <= pair[1].range.start),
            "shards are in index order and do not overlap"
        );
        let mut progress = Progress::default();
        for Shard { range, state } in &shards {
            let patients = range.end - range.start;
            progress.patients += patients;
            if matches!(state, State::Open { .. }) {
                progress.shards_open += 1;
            } else {
                progress.patients_committed += patients;
                progress.shards_committed += 1;
                progress.shards_resumed += 1;
            }
        }
        let open = Queue::of(shards.iter().enumerate().filter_map(|(at, shard)| {
            matches!(shard.state, State::Open { .. }).then_some(ShardId(at))
        }));
        let mut ledger = Self {
            next_attempt: rules.first_attempt,
            rules,
            needed: shards.len(),
            shards,
            phase: Phase::Running,
            open,
            leases: BTreeMap::new(),
            alone: BTreeSet::new(),
            workers: BTreeMap::new(),
            timers: BTreeSet::new(),
            failures: BTreeMap::new(),
            audits: Queue::default(),
            progress,
            timed: (0, 0),
        };
        if ledger.complete() {
            ledger.phase = Phase::Finished;
        }
        ledger
    }

    /// Where the run stands.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Counts for a progress display.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Why nothing is being computed; `None` while something is.
    pub fn why_idle(&self) -> Option<&'static str> {
        let Progress {
            leases,
            shards_open,
            workers,
            ..
        } = self.progress;
        match self.phase {
            Phase::Finished => Some("every shard is committed"),
            Phase::Failed(_) => Some("the run has failed"),
            Phase::Running if leases > 0 => None,
            Phase::Running if workers == 0 => Some("no worker is connected"),
            Phase::Running if shards_open > 0 => {
                Some("no worker has asked for a shard that it may take")
            }
            Phase::Running => Some("only audits are left, and no worker has asked for one"),
        }
    }

    /// The leases that have stood the longest, oldest first; at most `count` of them.
    pub fn slowest(&self, count: usize) -> Vec<&Lease> {
        // Attempts grow with time, so the table is in this order.
        self.leases.values().take(count).collect()
    }

    /// Patients of a lease; 0 if it has ended.
    pub fn patients_of(&self, attempt: Attempt) -> u64 {
        let lease = self.leases.get(&attempt);
        lease.map_or(0, |lease| lease.range.end - lease.range.start)
    }

    /// How many leases a worker holds.
    pub fn held_by(&self, worker: WorkerId) -> usize {
        let known = self.workers.get(&worker);
        known.map_or(0, |worker| worker.leases.len())
    }

    /// When the next lease runs out or worker counts as lost, if nothing happens before: the
    /// time for the next [`Event::Tick`].
    pub fn next_deadline(&self) -> Option<Millis> {
        self.timers.first().map(|(deadline, _)| *deadline)
    }

    /// What [`Event::Deliver`] would answer, from whomever and under whatever lease, without
    /// changing anything: a driver can make a part durable before the ledger counts it. The
    /// verdict holds until the next event.
    pub fn judge(&self, range: &Range<u64>, digest: Digest) -> Verdict {
        self.find(range)
            .map_or(Verdict::Refuse, |shard| self.judge_shard(shard, digest))
    }

    /// Takes one event. An event is judged before the leases that end at `now` are: a renewal
    /// that arrives late counts if nobody noticed the delay.
    ///
    /// # Panics
    /// If [`Event::Enough`] names an end within a shard.
    pub fn apply(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Request { worker, wanted } => {
                self.hear(worker, now);
                self.expire(now, &mut effects);
                self.request(worker, wanted, now, &mut effects);
            }
            Event::Claim { worker, ranges } => {
                self.hear(worker, now);
                self.expire(now, &mut effects);
                for range in ranges {
                    self.claim(worker, &range, now, &mut effects);
                }
            }
            Event::Renew { worker, attempts } => {
                self.hear(worker, now);
                self.renew(worker, attempts, now, &mut effects);
            }
            Event::Deliver {
                worker,
                attempt,
                range,
                digest,
            } => {
                self.hear(worker, now);
                self.deliver((worker, digest), attempt, range, now, &mut effects);
            }
            Event::Release { worker, attempt } => {
                self.hear(worker, now);
                if let Some(lease) = self.end_held(worker, attempt) {
                    self.progress.leases_released += 1;
                    self.put_back(&lease, None);
                }
            }
            Event::Fail {
                worker,
                attempt,
                retryable,
                error,
            } => {
                self.hear(worker, now);
                if let Some(lease) = self.end_held(worker, attempt) {
                    self.fail(&lease, retryable, error, &mut effects);
                }
            }
            Event::Leave { worker } => self.lose_worker(worker),
            Event::Enough { end } => self.enough(end, &mut effects),
            Event::Cancel { reason } => self.cancel(reason, &mut effects),
            Event::Tick => {}
        }
        self.expire(now, &mut effects);
        self.settle(&mut effects);
        effects
    }

    fn complete(&self) -> bool {
        self.progress.shards_committed == self.needed
    }

    /// Notes that a worker is alive.
    fn hear(&mut self, worker: WorkerId, now: Millis) {
        let deadline = now.after(self.rules.lease_ms);
        let entry = self.workers.entry(worker).or_insert_with(|| Worker {
            deadline,
            leases: BTreeSet::new(),
        });
        self.timers.remove(&(entry.deadline, Timer::Worker(worker)));
        entry.deadline = deadline;
        self.timers.insert((deadline, Timer::Worker(worker)));
        self.progress.workers = self.workers.len();
    }

    fn request(&mut self, worker: WorkerId, wanted: u32, now: Millis, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Finished => return effects.push(Effect::Wait(Wait::Finished)),
            Phase::Failed(_) => return effects.push(Effect::Wait(Wait::Failed)),
            Phase::Running => {}
        }
        let before = effects.len();
        for _ in 0..self.share().min(wanted as usize) {
            let Some(shard) = self.take_open(worker) else {
                break;
            };
            effects.push(Effect::Lease(self.grant(
                worker,
                shard,
                Purpose::Compute,
                now,
            )));
        }
        if effects.len() > before {
            return;
        }
        let found = if wanted == 0 {
            None
        } else {
            self.take_second(worker, now)
        };
        effects.push(match found {
            Some((shard, purpose)) => Effect::Lease(self.grant(worker, shard, purpose, now)),
            None => Effect::Wait(Wait::Busy),
        });
    }

    /// Leases a shard to the worker that is at it already, unless it is somebody else's.
    fn claim(
        &mut self,
        worker: WorkerId,
        range: &Range<u64>,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) {
        let running = self.phase == Phase::Running;
        let Some(shard) = self.find(range).filter(|_| running) else {
            return;
        };
        match self.shards[shard.0].state {
            // A shard that is no longer needed is open, but not in the queue.
            State::Open { avoid } if self.open.remove(avoid, shard) => {
                let lease = self.grant(worker, shard, Purpose::Compute, now);
                effects.push(Effect::Lease(lease));
            }
            State::Leased(first, second) => {
                let mut holders = [Some(first), second].into_iter().flatten();
                let own = holders.find(|attempt| self.leases[attempt].worker == worker);
                let lease = own.and_then(|attempt| self.prolong(worker, attempt, now));
                effects.extend(lease.map(|lease| Effect::Lease(lease.clone())));
            }
            State::Open { .. } | State::Committed(..) => {}
        }
    }

    /// Open shards that one worker may take at once: an equal share, so that nobody hoards the
    /// last ones while others idle.
    fn share(&self) -> usize {
        let workers = self.workers.len().max(1);
        self.progress.shards_open.div_ceil(workers).max(1)
    }

    /// A shard to compute a second time: one that another worker is late with, or else an
    /// audit. It is never one that this worker holds or committed: a late shard has a single
    /// holder, another worker; a committed shard has no compute leases any more, waits for an
    /// audit only while nobody is at it, and is reserved from the worker that committed it.
    fn take_second(&mut self, worker: WorkerId, now: Millis) -> Option<(ShardId, Purpose)> {
        if let Some(shard) = self.take_straggler(worker, now) {
            return Some((shard, Purpose::Repeat));
        }
        let shard = self.audits.take(worker)?;
        Some((shard, Purpose::Audit))
    }

    /// An open shard; one that failed on this worker only if there is no other worker.
    fn take_open(&mut self, worker: WorkerId) -> Option<ShardId> {
        self.open.take(worker).or_else(|| {
            let own = self.open.0.get(&Some(worker))?;
            let shard = *own.first()?;
            (self.workers.len() == 1 && self.open.remove(Some(worker), shard)).then_some(shard)
        })
    }

    /// The shard that others hold the longest, once that is twice the usual time. Passing
    /// over the worker's own leases costs no more than it holds.
    fn take_straggler(&self, worker: WorkerId, now: Millis) -> Option<ShardId> {
        let oldest = self
            .alone
            .iter()
            .map(|attempt| &self.leases[attempt])
            .find(|lease| lease.worker != worker)?;
        let (total_ms, shards) = self.timed;
        let age_ms = now.0.saturating_sub(oldest.since.0);
        let late = shards > 0 && age_ms.saturating_mul(shards) > total_ms.saturating_mul(2);
        late.then_some(oldest.shard)
    }

    fn grant(&mut self, worker: WorkerId, shard: ShardId, purpose: Purpose, now: Millis) -> Lease {
        let attempt = self.next_attempt;
        self.next_attempt = Attempt(attempt.0 + 1);
        let lease = Lease {
            attempt,
            worker,
            range: self.shards[shard.0].range.clone(),
            purpose,
            since: now,
            deadline: now.after(self.rules.lease_ms),
            shard,
        };
        let state = &mut self.shards[shard.0].state;
        match (purpose, &*state) {
            (Purpose::Compute, State::Open { .. }) => {
                *state = State::Leased(attempt, None);
                self.alone.insert(attempt);
                self.progress.shards_open -= 1;
                self.progress.shards_leased += 1;
            }
            (Purpose::Repeat, State::Leased(first, None)) => {
                self.alone.remove(first);
                *state = State::Leased(*first, Some(attempt));
                self.progress.leases_repeated += 1;
            }
            (Purpose::Audit, State::Committed(..)) => {}
            (purpose, state) => unreachable!("{purpose:?} of a shard that is {state:?}"),
        }
        self.timers.insert((lease.deadline, Timer::Lease(attempt)));
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.leases.insert(attempt);
        }
        self.leases.insert(attempt, lease.clone());
        self.progress.leases = self.leases.len();
        lease
    }

    fn renew(
        &mut self,
        worker: WorkerId,
        attempts: Vec<Attempt>,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) {
        for attempt in attempts {
            effects.push(match self.prolong(worker, attempt, now) {
                Some(&Lease { deadline, .. }) => Effect::Renewed { attempt, deadline },
                None => Effect::Revoke { worker, attempt },
            });
        }
    }

    /// Sets the deadline of a lease anew if this worker holds it.
    fn prolong(&mut self, worker: WorkerId, attempt: Attempt, now: Millis) -> Option<&Lease> {
        let lease = self.leases.get_mut(&attempt)?;
        if lease.worker != worker {
            return None;
        }
        self.timers.remove(&(lease.deadline, Timer::Lease(attempt)));
        lease.deadline = now.after(self.rules.lease_ms);
        self.timers.insert((lease.deadline, Timer::Lease(attempt)));
        Some(lease)
    }

    fn deliver(
        &mut self,
        by: (WorkerId, Digest),
        attempt: Attempt,
        range: Range<u64>,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) {
        let Some(shard) = self.find(&range) else {
            return effects.push(Effect::Refuse { range });
        };
        match self.judge_shard(shard, by.1) {
            Verdict::Refuse => effects.push(Effect::Refuse { range }),
            Verdict::Conflict(first, digest) => {
                self.end_delivered(shard, by.0, attempt);
                let fatal = Fatal::Conflict {
                    range,
                    committed: (first, digest),
                    delivered: by,
                };
                self.abort(fatal, effects);
            }
            Verdict::Discard => {
                let lease = self.end_delivered(shard, by.0, attempt);
                self.agree(shard, by.0, lease.as_ref());
                effects.push(Effect::Discard { range });
            }
            Verdict::Commit => {
                if let Some(lease) = self.end_delivered(shard, by.0, attempt) {
                    self.timed.0 += now.0.saturating_sub(lease.since.0);
                    self.timed.1 += 1;
                }
                self.commit(shard, by, effects);
            }
        }
    }

    fn judge_shard(&self, shard: ShardId, digest: Digest) -> Verdict {
        if matches!(self.phase, Phase::Failed(_)) {
            return Verdict::Refuse;
        }
        match self.shards[shard.0].state {
            State::Committed(_, first) if first == digest => Verdict::Discard,
            State::Committed(by, first) => Verdict::Conflict(by, first),
            State::Open { .. } | State::Leased(..) if shard.0 >= self.needed => Verdict::Refuse,
            State::Open { .. } | State::Leased(..) => Verdict::Commit,
        }
    }

    fn find(&self, range: &Range<u64>) -> Option<ShardId> {
        let at = self
            .shards
            .binary_search_by_key(&range.start, |shard| shard.range.start)
            .ok()?;
        (self.shards[at].range == *range).then_some(ShardId(at))
    }

    /// A second part has the digest of the first: an audit if its worker is another one,
    /// whatever it was made for.
    fn agree(&mut self, shard: ShardId, second: WorkerId, lease: Option<&Lease>) {
        let under_audit = lease.is_some_and(|lease| lease.purpose == Purpose::Audit);
        let waiting = match self.shards[shard.0].state {
            State::Committed(first, _) if first != Some(second) => self.audits.remove(first, shard),
            _ => false,
        };
        if under_audit || waiting {
            self.progress.audits_open -= 1;
            self.progress.audits_passed += 1;
        } else {
            self.progress.duplicates += 1;
        }
    }

    fn commit(&mut self, shard: ShardId, by: (WorkerId, Digest), effects: &mut Vec<Effect>) {
        self.take_back(shard, effects);
        self.failures.remove(&shard);
        self.shards[shard.0].state = State::Committed(Some(by.0), by.1);
        let range = self.shards[shard.0].range.clone();
        self.progress.shards_open -= 1;
        self.progress.shards_committed += 1;
        self.progress.patients_committed += range.end - range.start;
        if mix(range.start) % 1000 < self.rules.audits_per_mille {
            self.audits.insert(Some(by.0), shard);
            self.progress.audits_open += 1;
        }
        effects.push(Effect::Commit { range });
    }

    /// Ends what leases are left on a shard, and takes it from the queue.
    fn take_back(&mut self, shard: ShardId, effects: &mut Vec<Effect>) {
        if let State::Leased(first, second) = self.shards[shard.0].state {
            for attempt in [Some(first), second].into_iter().flatten() {
                if let Some(Lease { worker, .. }) = self.end(attempt) {
                    effects.push(Effect::Revoke { worker, attempt });
                }
            }
        } else if let State::Open { avoid } = self.shards[shard.0].state {
            self.open.remove(avoid, shard);
        }
    }

    fn fail(&mut self, lease: &Lease, retryable: bool, error: String, effects: &mut Vec<Effect>) {
        self.progress.failures += 1;
        let worker = lease.worker;
        if lease.purpose == Purpose::Audit {
            // The shard itself is committed; whoever cannot check it says nothing about it.
            self.progress.audits_open -= 1;
            self.progress.audits_skipped += 1;
            return;
        }
        self.put_back(lease, Some(worker));
        if self.phase != Phase::Running {
            return;
        }
        let range = lease.range.clone();
        let before = self.failures.entry(lease.shard).or_default();
        let same = before.iter().find(|(_, text)| *text == error);
        if let (false, Some((first, _))) = (retryable, same) {
            let workers = (*first, worker);
            let fatal = Fatal::Deterministic {
                range,
                workers,
                error,
            };
            return self.abort(fatal, effects);
        }
        before.push((worker, error.clone()));
        let failures = before.len();
        if failures >= self.rules.failures_max {
            let fatal = Fatal::TooManyFailures {
                range,
                failures,
                worker,
                error,
            };
            self.abort(fatal, effects);
        }
    }

    /// Drops what lies at or beyond `end`: its leases, its audits, its place in the queue and
    /// in the counts. What of it is committed is remembered, to compare late parts with.
    fn enough(&mut self, end: u64, effects: &mut Vec<Effect>) {
        let needed = self.shards.partition_point(|shard| shard.range.start < end);
        assert!(
            self.shards[..needed]
                .last()
                .is_none_or(|last| last.range.end <= end),
            "a run ends where a shard ends"
        );
        if needed >= self.needed || matches!(self.phase, Phase::Failed(_)) {
            return;
        }
        let dropped = self.leases.values().filter(|lease| lease.shard.0 >= needed);
        let dropped: Vec<_> = dropped.map(|lease| lease.attempt).collect();
        for attempt in dropped {
            if let Some(lease) = self.end(attempt) {
                // An audit under way waits again, and is dropped with those that wait.
                self.put_back(&lease, None);
                let worker = lease.worker;
                effects.push(Effect::Revoke { worker, attempt });
            }
        }
        self.open.truncate(ShardId(needed));
        self.progress.audits_open -= self.audits.truncate(ShardId(needed));
        self.failures.split_off(&ShardId(needed));
        for Shard { range, state } in &self.shards[needed..self.needed] {
            let patients = range.end - range.start;
            self.progress.patients -= patients;
            if let State::Committed(by, _) = state {
                self.progress.patients_committed -= patients;
                self.progress.shards_committed -= 1;
                self.progress.shards_resumed -= usize::from(by.is_none());
            } else {
                self.progress.shards_open -= 1;
            }
        }
        self.needed = needed;
    }

    /// Fails a run that has not ended yet.
    fn cancel(&mut self, reason: String, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Running {
            self.abort(Fatal::Cancelled { reason }, effects);
        }
    }

    /// Ends the run, and with it every lease: nobody's work is wanted any more.
    fn abort(&mut self, fatal: Fatal, effects: &mut Vec<Effect>) {
        self.phase = Phase::Failed(fatal.clone());
        effects.push(Effect::Fail(fatal));
        while let Some((&attempt, _)) = self.leases.first_key_value()
            && let Some(Lease { worker, .. }) = self.end(attempt)
        {
            effects.push(Effect::Revoke { worker, attempt });
        }
    }

    /// Ends the lease under which a shard was delivered, if it stands.
    fn end_delivered(
        &mut self,
        shard: ShardId,
        worker: WorkerId,
        attempt: Attempt,
    ) -> Option<Lease> {
        let lease = self.leases.get(&attempt)?;
        (lease.shard == shard)
            .then(|| self.end_held(worker, attempt))
            .flatten()
    }

    /// Ends a lease if this worker holds it.
    fn end_held(&mut self, worker: WorkerId, attempt: Attempt) -> Option<Lease> {
        self.leases
            .get(&attempt)
            .is_some_and(|lease| lease.worker == worker)
            .then(|| self.end(attempt))
            .flatten()
    }

    /// Ends a lease. Its shard is left to the other holder, or open but not yet in the queue.
    fn end(&mut self, attempt: Attempt) -> Option<Lease> {
        let lease = self.leases.remove(&attempt)?;
        self.progress.leases = self.leases.len();
        self.timers.remove(&(lease.deadline, Timer::Lease(attempt)));
        if let Some(worker) = self.workers.get_mut(&lease.worker) {
            worker.leases.remove(&attempt);
        }
        let state = &mut self.shards[lease.shard.0].state;
        match *state {
            State::Leased(first, Some(second)) => {
                let other = if attempt == first { second } else { first };
                *state = State::Leased(other, None);
                self.alone.insert(other);
            }
            State::Leased(_, None) => {
                self.alone.remove(&attempt);
                *state = State::Open { avoid: None };
                self.progress.shards_leased -= 1;
                self.progress.shards_open += 1;
            }
            State::Open { .. } | State::Committed(..) => {}
        }
        Some(lease)
    }

    /// Queues what an ended lease was for, unless somebody else is at it.
    fn put_back(&mut self, lease: &Lease, avoid: Option<WorkerId>) {
        let shard = lease.shard;
        match &mut self.shards[shard.0].state {
            State::Open { avoid: group } => {
                *group = avoid;
                self.open.insert(avoid, shard);
            }
            State::Leased(..) => {}
            State::Committed(by, _) => self.audits.insert(*by, shard),
        }
    }

    fn lose_worker(&mut self, worker: WorkerId) {
        let Some(gone) = self.workers.remove(&worker) else {
            return;
        };
        self.timers.remove(&(gone.deadline, Timer::Worker(worker)));
        self.progress.workers = self.workers.len();
        for attempt in gone.leases {
            self.lose_lease(attempt);
        }
    }

    fn lose_lease(&mut self, attempt: Attempt) {
        if let Some(lease) = self.end(attempt) {
            self.progress.leases_lost += 1;
            self.put_back(&lease, None);
        }
    }

    fn expire(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        while let Some(&(deadline, timer)) = self.timers.first()
            && deadline <= now
        {
            match timer {
                Timer::Lease(attempt) => {
                    let worker = self.leases[&attempt].worker;
                    effects.push(Effect::Revoke { worker, attempt });
                    self.lose_lease(attempt);
                }
                Timer::Worker(worker) => self.lose_worker(worker),
            }
        }
    }

    /// Finishes the run when nothing is left that anybody alive could do.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Running || !self.complete() {
            return;
        }
        self.skip_audits();
        if self.progress.audits_open == 0 {
            self.phase = Phase::Finished;
            effects.push(Effect::Finish);
        }
    }

    /// Gives up the audits that would need another worker than those alive.
    fn skip_audits(&mut self) {
        let skipped = match self.workers.len() {
            0 => std::mem::take(&mut self.audits).0.into_values().collect(),
            1 => {
                let only = self.workers.first_key_value().map(|(worker, _)| *worker);
                Vec::from_iter(self.audits.0.remove(&only))
            }
            _ => Vec::new(),
        };
        let skipped: usize = skipped.iter().map(BTreeSet::len).sum();
        self.progress.audits_open -= skipped;
        self.progress.audits_skipped += skipped;
    }
}

/// Spreads an index evenly over 64 bits (the finalizer of `SplitMix64`; Steele, Lea and Flood
/// 2014), so that audits hit a pseudo-random share of shards, the same in every run.
fn mix(index: u64) -> u64 {
    let mut z = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
