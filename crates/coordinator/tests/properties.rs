//! Random workers, in random order, at random times: what must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proptest::prelude::*;
use reseed_coordinator::{
    Attempt, AuditKey, Cut, Digest, Effect, Event, Fatal, Lease, Ledger, Millis, Phase, Purpose,
    Rules, Verdict, WorkerId, plan,
};

const LEASE_MS: u64 = 50;

/// One step of a random history. Numbers pick among what exists, modulo its count.
#[derive(Debug, Clone)]
enum Step {
    Request(u64, u32),
    /// A worker claims the shard of any lease ever granted, by whomever.
    Claim(u64, usize),
    /// Delivers any lease ever granted, ended or not.
    Deliver(usize),
    /// The same, with a wrong digest.
    Corrupt(usize),
    Renew(usize),
    Release(usize),
    Fail(usize),
    Leave(u64),
    /// Ends the run where a shard ends.
    Enough(usize),
    Cancel,
    Pass(u64),
}

/// What may happen beside what every run must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Faults {
    None,
    /// Wrong digests.
    Corrupt,
    /// These and cancelling.
    Any,
}

fn step(faults: Faults) -> impl Strategy<Value = Step> {
    let any = || any::<usize>();
    prop_oneof![
        160 => (0u64..4, 0u32..5).prop_map(|(worker, wanted)| Step::Request(worker, wanted)),
        40 => (0u64..4, any()).prop_map(|(worker, at)| Step::Claim(worker, at)),
        100 => any().prop_map(Step::Deliver),
        20 => any().prop_map(move |at| match faults {
            Faults::None => Step::Deliver(at),
            Faults::Corrupt | Faults::Any => Step::Corrupt(at),
        }),
        40 => any().prop_map(Step::Renew),
        20 => any().prop_map(Step::Release),
        20 => any().prop_map(Step::Fail),
        20 => (0u64..4).prop_map(Step::Leave),
        1 => any().prop_map(Step::Enough),
        1 => Just(match faults {
            Faults::None | Faults::Corrupt => Step::Pass(1),
            Faults::Any => Step::Cancel,
        }),
        80 => (1u64..40).prop_map(Step::Pass),
    ]
}

/// Any grid, with its boundaries in any order and beyond the target too.
fn cut() -> impl Strategy<Value = Cut> {
    let boundaries = prop::collection::vec(0u64..1500, 0..20);
    let lead_in = prop_oneof![Just(0), 0u64..200];
    let block = prop_oneof![Just(1), 1u64..20];
    (1u64..50, lead_in, block, boundaries).prop_map(
        |(shard_patients, lead_in_patients, block_patients, boundaries)| Cut {
            shard_patients,
            lead_in_patients,
            block_patients,
            boundaries,
        },
    )
}

/// Which shards an earlier process has committed: often none, sometimes all.
fn committed() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0), 2 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn truth(range: &Range<u64>) -> Digest {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&range.start.to_le_bytes());
    digest[8..16].copy_from_slice(&range.end.to_le_bytes());
    Digest(digest)
}

/// What the ledger did with a part.
fn verdict_of(effects: &[Effect], delivered: &Range<u64>) -> Verdict {
    let verdicts = effects.iter().filter_map(|effect| match effect {
        Effect::Commit { range } => Some((range, Verdict::Commit)),
        Effect::Discard { range } => Some((range, Verdict::Discard)),
        Effect::Refuse { range } => Some((range, Verdict::Refuse)),
        Effect::Fail(Fatal::Conflict {
            range, committed, ..
        }) => Some((range, Verdict::Conflict(committed.0, committed.1))),
        _ => None,
    });
    let verdicts: Vec<_> = verdicts.collect();
    assert_eq!(verdicts.len(), 1, "one answer to a part: {effects:?}");
    assert_eq!(verdicts[0].0, delivered);
    verdicts[0].1
}

/// A driver that carries out effects and checks them.
struct World {
    ledger: Ledger,
    plan: Vec<Range<u64>>,
    resumed: usize,
    /// First patient that is not needed.
    end: u64,
    now: u64,
    granted: Vec<Lease>,
    /// Who committed which digest.
    store: BTreeMap<u64, (Option<WorkerId>, Digest)>,
    /// Leases that the ledger has not ended.
    held: BTreeMap<Attempt, Lease>,
    /// Digests delivered for each shard and not refused.
    delivered: BTreeMap<u64, BTreeSet<[u8; 32]>>,
    failures: u64,
    log: Vec<Effect>,
}

impl World {
    /// The bits of `committed` say which shards an earlier process has committed.
    fn new(patients: u64, shard_patients: u64, audits_per_mille: u64, committed: u64) -> Self {
        let plan = plan(&(0..patients), &[], &Cut::even(shard_patients)).expect("a small plan");
        let rules = Rules {
            lease_ms: LEASE_MS,
            audits_per_mille,
            audit_key: AuditKey([5; 32]),
            late_after_ms: u64::MAX,
            failures_max: usize::MAX,
            first_attempt: Attempt(100),
        };
        let shards = plan.iter().enumerate().map(|(at, range)| {
            let before = committed >> (at % 64) & 1 == 1;
            (range.clone(), before.then(|| truth(range)))
        });
        let shards: Vec<_> = shards.collect();
        let before = shards
            .iter()
            .filter_map(|(range, digest)| Some((range.start, (*digest)?)));
        let store: BTreeMap<_, _> = before
            .map(|(start, digest)| (start, (None, digest)))
            .collect();
        let delivered = store
            .iter()
            .map(|(start, (_, digest))| (*start, BTreeSet::from([digest.0])));
        Self {
            delivered: delivered.collect(),
            resumed: store.len(),
            end: patients,
            store,
            ledger: Ledger::resume(shards, rules),
            plan,
            now: 0,
            granted: Vec::new(),
            held: BTreeMap::new(),
            failures: 0,
            log: Vec::new(),
        }
    }

    fn apply(&mut self, event: Event) {
        let failed_before = matches!(self.ledger.phase(), Phase::Failed(_));
        let delivered = match &event {
            Event::Deliver {
                worker,
                range,
                digest,
                ..
            } => Some((*worker, range.clone(), *digest)),
            _ => None,
        };
        let refusable = |range: &Range<u64>| {
            failed_before || range.end > self.end && !self.store.contains_key(&range.start)
        };
        let must_refuse = delivered
            .as_ref()
            .is_some_and(|(_, range, _)| refusable(range));
        if let (false, Some((_, range, digest))) = (must_refuse, &delivered) {
            let all = self.delivered.entry(range.start).or_default();
            all.insert(digest.0);
        }
        let ended = self.ended(&event);
        let verdict = delivered
            .as_ref()
            .map(|(_, range, digest)| self.ledger.judge(range, *digest));
        let effects = self.ledger.apply(event, Millis(self.now));
        if let Some((_, range, _)) = &delivered {
            assert_eq!(verdict, Some(verdict_of(&effects, range)), "{effects:?}");
        }
        let refused = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Refuse { .. }));
        assert_eq!(refused, must_refuse, "{effects:?}");
        if !refused {
            self.held.retain(|attempt, _| !ended.contains(attempt));
        }
        for effect in &effects {
            match effect {
                Effect::Lease(lease) => {
                    assert!(self.plan.contains(&lease.range));
                    if let Some(held) = self.held.insert(lease.attempt, lease.clone()) {
                        assert_eq!(
                            (held.worker, held.range),
                            (lease.worker, lease.range.clone())
                        );
                        continue;
                    }
                    assert!(
                        self.granted.iter().all(|old| old.attempt < lease.attempt),
                        "attempt numbers only grow"
                    );
                    self.check_lease(lease);
                    self.granted.push(lease.clone());
                }
                Effect::Revoke { attempt, .. } => {
                    self.held.remove(attempt);
                }
                Effect::Commit { range } => {
                    assert!(!failed_before, "a failed run commits nothing");
                    let (worker, delivered, digest) =
                        delivered.clone().expect("something was delivered");
                    assert_eq!(*range, delivered);
                    assert!(range.end <= self.end, "only what is needed is committed");
                    let before = self.store.insert(range.start, (Some(worker), digest));
                    assert_eq!(before, None, "a shard is committed once");
                }
                Effect::Discard { range } => {
                    let (_, _, digest) = delivered.clone().expect("something was delivered");
                    assert_eq!(self.store[&range.start].1, digest);
                }
                _ => {}
            }
        }
        if matches!(self.ledger.phase(), Phase::Failed(_)) {
            assert!(self.held.is_empty(), "a failed run has no leases");
        }
        self.log.extend(effects);
        self.check();
    }

    /// The leases that their holder ends with an event.
    fn ended(&self, event: &Event) -> Vec<Attempt> {
        let ends = |lease: &Lease| match event {
            Event::Deliver {
                worker,
                attempt,
                range,
                ..
            } => (*worker, *attempt, range) == (lease.worker, lease.attempt, &lease.range),
            Event::Release { worker, attempt }
            | Event::Fail {
                worker, attempt, ..
            } => (*worker, *attempt) == (lease.worker, lease.attempt),
            Event::Leave { worker } => *worker == lease.worker,
            _ => false,
        };
        let ended = self.held.values().filter(|lease| ends(lease));
        ended.map(|lease| lease.attempt).collect()
    }

    /// Nobody gets what it holds or committed itself, and two at most are at a shard.
    fn check_lease(&self, lease: &Lease) {
        let holders: Vec<WorkerId> = self
            .held
            .values()
            .filter(|held| held.range == lease.range && held.attempt != lease.attempt)
            .map(|held| held.worker)
            .collect();
        let by = self
            .store
            .get(&lease.range.start)
            .map(|(worker, _)| *worker);
        match lease.purpose {
            Purpose::Compute => assert_eq!((holders.as_slice(), by), (&[][..], None)),
            Purpose::Repeat => {
                assert_eq!((holders.len(), by), (1, None));
                assert_ne!(holders[0], lease.worker);
            }
            Purpose::Audit => {
                assert_eq!(holders, []);
                let by = by.expect("it is committed");
                assert!(by.is_some(), "what was resumed is not audited");
                assert_ne!(by, Some(lease.worker));
            }
        }
    }

    /// Asks for shards, and checks what is granted.
    fn request(&mut self, worker: WorkerId, wanted: u32) {
        let (granted, logged) = (self.granted.len(), self.log.len());
        self.apply(Event::Request { worker, wanted });
        let leases = &self.granted[granted..];
        let waits = self.log[logged..]
            .iter()
            .filter(|effect| matches!(effect, Effect::Wait(_)))
            .count();
        assert_eq!(waits, usize::from(leases.is_empty()), "a lease or a wait");
        assert!(leases.len() <= wanted as usize);
        assert!(leases.iter().all(|lease| lease.worker == worker));
        let open = leases.iter().filter(|l| l.purpose == Purpose::Compute);
        let open = open.count();
        assert!(
            open == leases.len() || leases.len() == 1,
            "one repeat or audit"
        );
        let after = self.ledger.progress();
        let share = (open + after.shards_open).div_ceil(after.workers);
        assert!(open <= share.max(1), "{open} beside {after:?}");
    }

    /// Claims a shard, and checks the answer.
    fn claim(&mut self, worker: WorkerId, range: &Range<u64>) {
        let logged = self.log.len();
        self.apply(Event::Claim {
            worker,
            ranges: vec![range.clone(), range.clone()],
        });
        let given = self.log[logged..].iter().filter_map(|effect| match effect {
            Effect::Lease(lease) => Some(lease),
            _ => None,
        });
        let given: Vec<_> = given.collect();
        let computing = |lease: &&Lease| lease.range == *range && lease.purpose != Purpose::Audit;
        let own = self
            .held
            .values()
            .filter(computing)
            .find(|lease| lease.worker == worker);
        assert_eq!(given, own.map_or(vec![], |lease| vec![lease; 2]));
        let running = *self.ledger.phase() == Phase::Running;
        if running && range.end <= self.end && !self.store.contains_key(&range.start) {
            assert!(self.held.values().any(|lease| lease.range == *range));
        }
    }

    /// The shards that are needed.
    fn needed(&self) -> &[Range<u64>] {
        let needed = self.plan.partition_point(|range| range.end <= self.end);
        &self.plan[..needed]
    }

    fn enough(&mut self, end: u64) {
        if !matches!(self.ledger.phase(), Phase::Failed(_)) {
            self.end = self.end.min(end);
        }
        self.apply(Event::Enough { end });
    }

    fn check(&self) {
        let progress = self.ledger.progress();
        let needed = self.needed();
        assert_eq!(
            progress.shards_open + progress.shards_leased + progress.shards_committed,
            needed.len()
        );
        let committed = needed
            .iter()
            .filter(|range| self.store.contains_key(&range.start));
        let committed: Vec<_> = committed.cloned().collect();
        assert_eq!(progress.shards_committed, committed.len());
        let resumed = self.store.range(..self.end);
        let resumed = resumed.filter(|(_, (by, _))| by.is_none()).count();
        assert_eq!(progress.shards_resumed, resumed);
        assert_eq!(progress.leases, self.held.len());
        let slowest = self.ledger.slowest(usize::MAX);
        assert!(
            slowest
                .iter()
                .map(|lease| lease.attempt)
                .eq(self.held.keys().copied())
        );
        for worker in (0..12).map(WorkerId) {
            let held = self.held.values().filter(|lease| lease.worker == worker);
            assert_eq!(self.ledger.held_by(worker), held.count());
        }
        let next = self.ledger.next_deadline();
        assert!(
            next.is_none_or(|next| next > Millis(self.now)),
            "all is done that is due"
        );
        let first = slowest.iter().map(|lease| lease.deadline).min();
        assert!(first.is_none_or(|first| next.is_some_and(|next| next <= first)));
        let idle = progress.leases == 0 || *self.ledger.phase() != Phase::Running;
        assert_eq!(self.ledger.why_idle().is_some(), idle);
        let patients = |ranges: &[Range<u64>]| ranges.iter().map(|r| r.end - r.start).sum::<u64>();
        assert_eq!(progress.patients_committed, patients(&committed));
        assert_eq!(progress.patients, patients(needed));
        assert!(
            self.held.values().all(|lease| lease.range.end <= self.end),
            "nobody is at what is not needed"
        );
        let conflict = self.delivered.values().any(|digests| digests.len() > 1);
        match self.ledger.phase() {
            Phase::Failed(Fatal::Cancelled { .. }) => assert!(!conflict),
            phase => assert_eq!(
                conflict,
                matches!(phase, Phase::Failed(_)),
                "two digests for one shard fail the run at once, and nothing else does here"
            ),
        }
        if *self.ledger.phase() == Phase::Finished {
            assert_eq!(progress.shards_committed, needed.len());
            assert_eq!(progress.audits_open, 0);
        }
    }

    fn pick(&self, at: usize) -> Option<Lease> {
        (!self.granted.is_empty()).then(|| self.granted[at % self.granted.len()].clone())
    }

    fn deliver(&mut self, lease: &Lease, digest: Digest) {
        self.apply(Event::Deliver {
            worker: lease.worker,
            attempt: lease.attempt,
            range: lease.range.clone(),
            digest,
        });
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Request(worker, wanted) => self.request(WorkerId(worker), wanted),
            Step::Enough(at) => self.enough(self.plan[at % self.plan.len()].end),
            Step::Cancel => self.apply(Event::Cancel {
                reason: "a test".into(),
            }),
            Step::Leave(worker) => self.apply(Event::Leave {
                worker: WorkerId(worker),
            }),
            Step::Pass(ms) => {
                self.now += ms;
                self.apply(Event::Tick);
            }
            Step::Claim(worker, at) => {
                if let Some(lease) = self.pick(at) {
                    self.claim(WorkerId(worker), &lease.range);
                }
            }
            Step::Deliver(at)
            | Step::Corrupt(at)
            | Step::Renew(at)
            | Step::Release(at)
            | Step::Fail(at) => {
                if let Some(lease) = self.pick(at) {
                    self.step_with(step, &lease);
                }
            }
        }
    }

    fn step_with(&mut self, step: &Step, lease: &Lease) {
        let (worker, attempt) = (lease.worker, lease.attempt);
        match step {
            Step::Deliver(_) => self.deliver(lease, truth(&lease.range)),
            Step::Corrupt(_) => self.deliver(lease, Digest([u8::MAX; 32])),
            Step::Renew(_) => self.apply(Event::Renew {
                worker,
                attempts: vec![attempt],
            }),
            Step::Release(_) => self.apply(Event::Release { worker, attempt }),
            _ => {
                self.failures += 1;
                self.apply(Event::Fail {
                    worker,
                    attempt,
                    retryable: self.failures.is_multiple_of(2),
                    error: format!("failure {}", self.failures),
                });
            }
        }
    }

    /// Two workers that answer every lease, until nothing is left.
    fn calm(&mut self) {
        let limit = 10 * self.plan.len() + 100;
        for round in 0..limit {
            if *self.ledger.phase() != Phase::Running {
                return;
            }
            self.now += 10;
            for worker in [WorkerId(10), WorkerId(11)] {
                let known = self.granted.len();
                self.request(worker, 2);
                let leases = self.granted[known..].to_vec();
                for lease in &leases {
                    self.deliver(lease, truth(&lease.range));
                }
            }
            assert!(round + 1 < limit, "no end: {:?}", self.ledger.progress());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No shard is lost or committed twice, and honest workers finish every run.
    #[test]
    fn every_shard_is_committed_exactly_once(
        patients in 1u64..120,
        shard_patients in 1u64..20,
        audits in prop_oneof![Just(0u64), Just(300), Just(1000)],
        committed in committed(),
        steps in prop::collection::vec(step(Faults::None), 0..200),
    ) {
        let mut world = World::new(patients, shard_patients, audits, committed);
        for step in &steps {
            world.step(step);
        }
        world.calm();
        prop_assert_eq!(world.ledger.phase(), &Phase::Finished);
        for range in world.needed() {
            prop_assert_eq!(world.store[&range.start].1, truth(range));
        }
        let finishes = world.log.iter().filter(|e| **e == Effect::Finish).count();
        prop_assert_eq!(finishes, usize::from(world.resumed < world.plan.len()));
        let progress = world.ledger.progress();
        prop_assert!(progress.workers <= 6);
        if audits == 1000 && world.end == patients {
            prop_assert_eq!(
                progress.audits_passed + progress.audits_skipped + world.resumed,
                world.plan.len()
            );
        }
    }

    /// A wrong part stops the run as soon as it meets a right one, and nothing is overwritten.
    #[test]
    fn conflicting_work_is_never_committed(
        patients in 1u64..60,
        committed in committed(),
        steps in prop::collection::vec(step(Faults::Corrupt), 0..200),
    ) {
        let mut world = World::new(patients, 7, 1000, committed);
        for step in &steps {
            world.step(step);
        }
        world.calm();
        match world.ledger.phase() {
            Phase::Failed(Fatal::Conflict { range, committed, delivered }) => {
                prop_assert_eq!(&world.store[&range.start], committed);
                prop_assert_ne!(committed.1, delivered.1);
            }
            phase => prop_assert_eq!(phase, &Phase::Finished),
        }
    }

    /// The same history gives the same effects.
    #[test]
    fn the_ledger_is_deterministic(
        steps in prop::collection::vec(step(Faults::Any), 0..200),
    ) {
        let [first, second] = [0, 1].map(|_| {
            let mut world = World::new(90, 7, 300, 0);
            for step in &steps {
                world.step(step);
            }
            world.log
        });
        prop_assert_eq!(first, second);
    }

    /// Delivering again changes nothing.
    #[test]
    fn delivery_is_idempotent(
        steps in prop::collection::vec(step(Faults::None), 0..100),
    ) {
        let mut world = World::new(90, 7, 0, 0);
        for step in &steps {
            world.step(step);
        }
        world.calm();
        let store = world.store.clone();
        for lease in world.granted.clone() {
            world.deliver(&lease, truth(&lease.range));
        }
        prop_assert_eq!(world.store, store);
        prop_assert_eq!(world.ledger.phase(), &Phase::Finished);
    }

    /// A plan covers the target exactly, around what is committed.
    #[test]
    fn a_plan_fills_the_gaps_exactly(
        patients in 0u64..300,
        cut in cut(),
        first in 0u64..1000,
        cuts in prop::collection::btree_set(0u64..300, 0..12),
        keep in prop::collection::vec(any::<bool>(), 13),
    ) {
        let edges: BTreeSet<u64> = cuts
            .into_iter()
            .filter(|cut| *cut < patients)
            .chain([0, patients])
            .collect();
        let edges = Vec::from_iter(edges);
        let committed: Vec<Range<u64>> = edges
            .windows(2)
            .zip(&keep)
            .filter(|(_, keep)| **keep)
            .map(|(pair, _)| first + pair[0]..first + pair[1])
            .collect();
        let target = first..first + patients;
        let plan = plan(&target, &committed, &cut).expect("no overlap");
        let longest = cut.shard_patients.next_multiple_of(cut.block_patients);
        prop_assert!(plan.iter().all(|shard| shard.end - shard.start <= longest));
        for boundary in &cut.boundaries {
            prop_assert!(!plan.iter().any(|shard| shard.start < *boundary && *boundary < shard.end));
        }
        let mut all: Vec<u64> = plan.into_iter().chain(committed).flatten().collect();
        all.sort_unstable();
        prop_assert_eq!(all, target.collect::<Vec<_>>());
    }

    /// A run that goes on has exactly the shards that are not committed yet.
    #[test]
    fn planning_again_gives_the_other_shards(
        patients in 0u64..300,
        cut in cut(),
        first in 0u64..1000,
        keep in prop::collection::vec(any::<bool>(), 300),
    ) {
        let target = first..first + patients;
        let whole = plan(&target, &[], &cut).expect("a small plan");
        let (committed, others): (Vec<_>, Vec<_>) = whole
            .into_iter()
            .zip(keep)
            .partition(|(_, committed)| *committed);
        let [committed, others] = [committed, others]
            .map(|kept| kept.into_iter().map(|(shard, _)| shard).collect::<Vec<_>>());
        prop_assert_eq!(plan(&target, &committed, &cut), Ok(others));
    }
}
