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
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::Range;

use ring::hmac;

use crate::message::{
    Attempt, AuditKey, Credential, Digest, Effect, Event, Fatal, Lease, Millis, Phase, Progress,
    Purpose, Rules, ShardId, Verdict, Wait, WorkerId,
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
    Committed(Option<Author>, Digest),
}

/// Who is behind workers, as far as is known: workers with one credential are one party, a worker
/// without is one by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Party {
    Worker(WorkerId),
    Credential(Credential),
}

/// Who committed a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Author {
    party: Party,
    worker: WorkerId,
}

/// Audits that the same workers may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct AuditGroup {
    author: Author,
    /// On whom the audit failed last.
    failed: Option<WorkerId>,
}

impl AuditGroup {
    /// The groups of a party lie between these two.
    fn bounds(party: Party) -> (Self, Self) {
        let group = |number, failed| Self {
            author: Author {
                party,
                worker: WorkerId(number),
            },
            failed,
        };
        (group(0, None), group(u64::MAX, Some(WorkerId(u64::MAX))))
    }
}

#[derive(Debug, Clone)]
struct Worker {
    party: Party,
    deadline: Millis,
    leases: BTreeSet<Attempt>,
}

/// What a deadline ends. Leases come first: a worker's own deadline is never earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Lease(Attempt),
    Worker(WorkerId),
}

/// Shards grouped by who should not get them, so that finding one for a worker means looking at
/// few groups.
#[derive(Debug, Clone)]
struct Queue<K>(BTreeMap<K, BTreeSet<ShardId>>);

impl<K: Ord + Copy> Queue<K> {
    fn insert(&mut self, key: K, shard: ShardId) {
        self.0.entry(key).or_default().insert(shard);
    }

    fn remove(&mut self, key: K, shard: ShardId) -> bool {
        let Some(group) = self.0.get_mut(&key) else {
            return false;
        };
        let found = group.remove(&shard);
        if group.is_empty() {
            self.0.remove(&key);
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
}

impl Queue<Option<WorkerId>> {
    /// A queue of shards for anybody.
    fn of(shards: impl Iterator<Item = ShardId>) -> Self {
        let group: BTreeSet<_> = shards.collect();
        let groups = (!group.is_empty()).then_some((None, group));
        Self(BTreeMap::from_iter(groups))
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
    open: Queue<Option<WorkerId>>,
    leases: BTreeMap<Attempt, Lease>,
    /// Compute leases of shards that nobody repeats yet, oldest first.
    alone: BTreeSet<Attempt>,
    workers: BTreeMap<WorkerId, Worker>,
    /// How many of them each party has.
    parties: BTreeMap<Party, usize>,
    /// Of workers that came and have not left, though they may be silent.
    credentials: BTreeMap<WorkerId, Credential>,
    timers: BTreeSet<(Millis, Timer)>,
    /// Failures of shards that are not committed yet.
    failures: BTreeMap<ShardId, Vec<(WorkerId, String)>>,
    /// Audits that nobody is at.
    audits: Queue<AuditGroup>,
    /// Failed attempts at audits that are not settled yet: how many, and on whom the last one.
    audit_failures: BTreeMap<ShardId, (usize, WorkerId)>,
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
            parties: BTreeMap::new(),
            credentials: BTreeMap::new(),
            timers: BTreeSet::new(),
            failures: BTreeMap::new(),
            audits: Queue(BTreeMap::new()),
            audit_failures: BTreeMap::new(),
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
            Event::Join { worker, credential } => {
                self.credentials
                    .extend(credential.map(|shown| (worker, shown)));
                self.hear(worker, now);
            }
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
            Event::Leave { worker } => {
                self.lose_worker(worker);
                self.credentials.remove(&worker);
            }
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
        let party = self.party(worker);
        let entry = self.workers.entry(worker).or_insert_with(|| {
            *self.parties.entry(party).or_default() += 1;
            Worker {
                party,
                deadline,
                leases: BTreeSet::new(),
            }
        });
        self.timers.remove(&(entry.deadline, Timer::Worker(worker)));
        entry.deadline = deadline;
        self.timers.insert((deadline, Timer::Worker(worker)));
        self.progress.workers = self.workers.len();
    }

    fn party(&self, worker: WorkerId) -> Party {
        let shown = self.credentials.get(&worker);
        shown.map_or(Party::Worker(worker), |shown| Party::Credential(*shown))
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
    /// holder, another worker; a committed shard has no compute leases any more, and waits for an
    /// audit only while nobody is at it.
    fn take_second(&mut self, worker: WorkerId, now: Millis) -> Option<(ShardId, Purpose)> {
        if let Some(shard) = self.take_straggler(worker, now) {
            return Some((shard, Purpose::Repeat));
        }
        let shard = self.take_audit(worker)?;
        Some((shard, Purpose::Audit))
    }

    fn take_audit(&mut self, worker: WorkerId) -> Option<ShardId> {
        let party = self.party(worker);
        let (first, last) = AuditGroup::bounds(party);
        let groups = &self.audits.0;
        // Those of its own party are many if all workers share a credential.
        let others = groups
            .range(..first)
            .chain(groups.range((Excluded(last), Unbounded)));
        let own = self
            .is_only_party(party)
            .then(|| groups.range(first..=last));
        let (group, shards) = others
            .chain(own.into_iter().flatten())
            .find(|(group, _)| self.may_take_audit(worker, group))?;
        let (group, shard) = (*group, *shards.first()?);
        self.audits.remove(group, shard);
        Some(shard)
    }

    /// A worker on which an audit failed gets it again only if nobody else could do it.
    fn may_take_audit(&self, worker: WorkerId, group: &AuditGroup) -> bool {
        let author = group.author;
        self.is_independent(worker, author)
            && (group.failed != Some(worker) || self.auditors(author) <= 1)
    }

    /// Whether what a worker computes says something about what the author has computed: it is
    /// another party, or at least another worker while there is no other party.
    fn is_independent(&self, worker: WorkerId, author: Author) -> bool {
        self.party(worker) != author.party
            || (worker != author.worker && self.is_only_party(author.party))
    }

    /// How many workers could audit what the author has computed.
    fn auditors(&self, author: Author) -> usize {
        let all = self.workers.len();
        if self.is_only_party(author.party) {
            all - usize::from(self.workers.contains_key(&author.worker))
        } else {
            all - self.parties.get(&author.party).unwrap_or(&0)
        }
    }

    /// Whether nobody else is there.
    fn is_only_party(&self, party: Party) -> bool {
        self.parties.keys().all(|other| *other == party)
    }

    /// Where an audit waits.
    fn audit_group(&self, shard: ShardId, author: Author) -> AuditGroup {
        let failures = self.audit_failures.get(&shard);
        AuditGroup {
            author,
            failed: failures.map(|(_, last)| *last),
        }
    }

    /// An open shard; one that failed on this worker only if there is no other worker.
    fn take_open(&mut self, worker: WorkerId) -> Option<ShardId> {
        self.open.take(worker).or_else(|| {
            let own = self.open.0.get(&Some(worker))?;
            let shard = *own.first()?;
            (self.workers.len() == 1 && self.open.remove(Some(worker), shard)).then_some(shard)
        })
    }

    /// The shard that others hold the longest, once that is twice the usual time, or too long by
    /// any measure. Passing over the worker's own leases costs no more than it holds.
    fn take_straggler(&self, worker: WorkerId, now: Millis) -> Option<ShardId> {
        let oldest = self
            .alone
            .iter()
            .map(|attempt| &self.leases[attempt])
            .find(|lease| lease.worker != worker)?;
        let (total_ms, shards) = self.timed;
        let age_ms = now.0.saturating_sub(oldest.since.0);
        let is_unusual = shards > 0 && age_ms.saturating_mul(shards) > total_ms.saturating_mul(2);
        let late = is_unusual || age_ms > self.rules.late_after_ms;
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
            State::Committed(by, first) => Verdict::Conflict(by.map(|author| author.worker), first),
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

    /// A second part has the digest of the first: an audit if its worker is independent of the
    /// first one, whatever it was made for.
    fn agree(&mut self, shard: ShardId, second: WorkerId, lease: Option<&Lease>) {
        let under_audit = lease.is_some_and(|lease| lease.purpose == Purpose::Audit);
        let waiting = match self.shards[shard.0].state {
            State::Committed(Some(author), _) if self.is_independent(second, author) => {
                let group = self.audit_group(shard, author);
                self.audits.remove(group, shard)
            }
            _ => false,
        };
        if under_audit || waiting {
            self.audit_failures.remove(&shard);
            self.progress.audits_open -= 1;
            self.progress.audits_passed += 1;
        } else {
            self.progress.duplicates += 1;
        }
    }

    fn commit(&mut self, shard: ShardId, by: (WorkerId, Digest), effects: &mut Vec<Effect>) {
        self.take_back(shard, effects);
        self.failures.remove(&shard);
        let author = Author {
            party: self.party(by.0),
            worker: by.0,
        };
        self.shards[shard.0].state = State::Committed(Some(author), by.1);
        let range = self.shards[shard.0].range.clone();
        self.progress.shards_open -= 1;
        self.progress.shards_committed += 1;
        self.progress.patients_committed += range.end - range.start;
        if draw(self.rules.audit_key, range.start) % 1000 < self.rules.audits_per_mille {
            self.audits.insert(self.audit_group(shard, author), shard);
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
            return self.fail_audit(lease);
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

    /// Leaves an audit to another worker, unless it has failed too often.
    fn fail_audit(&mut self, lease: &Lease) {
        let before = self.audit_failures.get(&lease.shard);
        let failures = before.map_or(0, |(count, _)| *count) + 1;
        if failures < self.rules.failures_max {
            let failed = (failures, lease.worker);
            self.audit_failures.insert(lease.shard, failed);
            return self.put_back(lease, None);
        }
        self.audit_failures.remove(&lease.shard);
        self.progress.audits_open -= 1;
        self.progress.audits_skipped += 1;
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
        self.audit_failures.split_off(&ShardId(needed));
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
        match self.shards[shard.0].state {
            State::Open { .. } => {
                self.shards[shard.0].state = State::Open { avoid };
                self.open.insert(avoid, shard);
            }
            State::Committed(Some(author), _) => {
                self.audits.insert(self.audit_group(shard, author), shard);
            }
            // Nobody audits what an earlier process has committed.
            State::Leased(..) | State::Committed(None, _) => {}
        }
    }

    fn lose_worker(&mut self, worker: WorkerId) {
        let Some(gone) = self.workers.remove(&worker) else {
            return;
        };
        self.timers.remove(&(gone.deadline, Timer::Worker(worker)));
        if let Some(count) = self.parties.get_mut(&gone.party) {
            *count -= 1;
            if *count == 0 {
                self.parties.remove(&gone.party);
            }
        }
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
        if self.workers.len() > 1 {
            return;
        }
        let only = self.workers.keys().next().copied();
        let impossible =
            |group: &AuditGroup| only.is_none_or(|worker| worker == group.author.worker);
        let audits = &mut self.audits.0;
        let skipped = audits.extract_if(.., |group, _| impossible(group));
        let skipped: usize = skipped.map(|(_, shards)| shards.len()).sum();
        self.progress.audits_open -= skipped;
        self.progress.audits_skipped += skipped;
    }
}

/// Draws a number for a shard, the same in every run with this key, that nobody foretells without
/// it (HMAC with SHA-256; RFC 2104), so that audits hit a share of the shards that cannot be
/// avoided.
fn draw(key: AuditKey, first_patient: u64) -> u64 {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
    let tag = hmac::sign(&key, &first_patient.to_le_bytes());
    let start = tag.as_ref().iter().take(8);
    start.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
