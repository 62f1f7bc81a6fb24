//! One test per transition.
#![expect(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]

use super::*;

const A: WorkerId = WorkerId(1);
const B: WorkerId = WorkerId(2);
const GOOD: Digest = Digest([1; 32]);
const BAD: Digest = Digest([2; 32]);

fn ledger(shards: u64, rules: Rules) -> Ledger {
    Ledger::new((0..shards).map(|i| i * 10..i * 10 + 10).collect(), rules)
}

fn rules() -> Rules {
    Rules {
        lease_ms: 100,
        audits_per_mille: 0,
        audit_key: AuditKey([1; 32]),
        late_after_ms: 1000,
        failures_max: 3,
        first_attempt: Attempt(1),
    }
}

fn audited() -> Rules {
    Rules {
        audits_per_mille: 1000,
        ..rules()
    }
}

/// Asks for a shard that must be there.
fn take(ledger: &mut Ledger, worker: WorkerId, at: u64) -> Lease {
    match ask(ledger, worker, at).as_slice() {
        [.., Effect::Lease(lease)] => lease.clone(),
        other => panic!("no lease but {other:?}"),
    }
}

fn ask(ledger: &mut Ledger, worker: WorkerId, at: u64) -> Vec<Effect> {
    ask_for(ledger, worker, 1, at)
}

fn ask_for(ledger: &mut Ledger, worker: WorkerId, wanted: u32, at: u64) -> Vec<Effect> {
    ledger.apply(Event::Request { worker, wanted }, Millis(at))
}

/// Asks for several shards; those granted.
fn take_many(ledger: &mut Ledger, worker: WorkerId, wanted: u32, at: u64) -> Vec<Lease> {
    let effects = ask_for(ledger, worker, wanted, at);
    let leases = effects.into_iter().map(|effect| match effect {
        Effect::Lease(lease) => lease,
        other => panic!("no lease but {other:?}"),
    });
    leases.collect()
}

fn starts(leases: &[Lease]) -> Vec<u64> {
    leases.iter().map(|lease| lease.range.start).collect()
}

fn give(ledger: &mut Ledger, lease: &Lease, digest: Digest, at: u64) -> Vec<Effect> {
    let event = Event::Deliver {
        worker: lease.worker,
        attempt: lease.attempt,
        range: lease.range.clone(),
        digest,
    };
    ledger.apply(event, Millis(at))
}

fn fail(ledger: &mut Ledger, lease: &Lease, retryable: bool, error: &str) -> Vec<Effect> {
    let event = Event::Fail {
        worker: lease.worker,
        attempt: lease.attempt,
        retryable,
        error: error.into(),
    };
    ledger.apply(event, Millis(0))
}

fn commit(range: Range<u64>) -> Effect {
    Effect::Commit { range }
}

#[test]
fn shards_are_leased_in_order_and_committed() {
    let mut ledger = ledger(2, rules());
    let first = take(&mut ledger, A, 0);
    let second = take(&mut ledger, A, 0);
    assert_eq!((first.range.clone(), second.range.clone()), (0..10, 10..20));
    assert_eq!(first.deadline, Millis(100));
    assert!(first.attempt < second.attempt);
    assert_eq!(ask(&mut ledger, A, 1), [Effect::Wait(Wait::Busy)]);
    assert_eq!(give(&mut ledger, &second, GOOD, 2), [commit(10..20)]);
    assert_eq!(ledger.progress().patients_committed, 10);
    assert_eq!(
        give(&mut ledger, &first, GOOD, 3),
        [commit(0..10), Effect::Finish]
    );
    assert_eq!(*ledger.phase(), Phase::Finished);
    assert_eq!(ask(&mut ledger, A, 4), [Effect::Wait(Wait::Finished)]);
}

#[test]
fn a_worker_gets_several_shards_at_once() {
    let mut ledger = ledger(5, rules());
    let leases = take_many(&mut ledger, A, 3, 0);
    assert_eq!(starts(&leases), [0, 10, 20]);
    assert!(leases.windows(2).all(|two| two[0].attempt < two[1].attempt));
    assert_eq!(starts(&take_many(&mut ledger, A, 3, 0)), [30, 40]);
    assert_eq!(
        ask_for(&mut ledger, A, 3, 0),
        [Effect::Wait(Wait::Busy)],
        "one wait, however many were wanted"
    );
}

#[test]
fn who_wants_nothing_gets_nothing() {
    let mut ledger = ledger(1, rules());
    assert_eq!(ask_for(&mut ledger, A, 0, 0), [Effect::Wait(Wait::Busy)]);
    assert_eq!(ledger.progress().shards_open, 1);
}

#[test]
fn nobody_takes_more_than_an_equal_share_of_what_is_open() {
    let mut ledger = ledger(5, rules());
    for worker in [A, B] {
        ask_for(&mut ledger, worker, 0, 0);
    }
    assert_eq!(starts(&take_many(&mut ledger, A, 9, 0)), [0, 10, 20]);
    assert_eq!(starts(&take_many(&mut ledger, B, 9, 0)), [30]);
    assert_eq!(starts(&take_many(&mut ledger, A, 9, 0)), [40]);
}

#[test]
fn nothing_to_do_is_finished_at_once() {
    assert_eq!(*Ledger::new(vec![], rules()).phase(), Phase::Finished);
}

/// Three shards, the middle one committed before.
fn resumed(rules: Rules) -> Ledger {
    Ledger::resume(
        vec![(0..10, None), (10..20, Some(GOOD)), (20..25, None)],
        rules,
    )
}

#[test]
fn what_an_earlier_process_committed_is_neither_leased_nor_audited() {
    let mut ledger = resumed(audited());
    let progress = ledger.progress();
    assert_eq!((progress.patients, progress.patients_committed), (25, 10));
    assert_eq!((progress.shards_open, progress.shards_committed), (2, 1));
    assert_eq!(progress.shards_resumed, 1);
    ask_for(&mut ledger, B, 0, 0);
    let leases = take_many(&mut ledger, A, 9, 0);
    assert_eq!(starts(&leases), [0]);
    let leases = [leases, take_many(&mut ledger, A, 9, 0)].concat();
    assert_eq!(starts(&leases), [0, 20]);
    for lease in leases {
        give(&mut ledger, &lease, GOOD, 1);
    }
    assert_eq!(ledger.progress().audits_open, 2);
    assert_eq!(ledger.progress().shards_resumed, 1);
}

#[test]
fn a_run_that_was_complete_is_finished_at_once() {
    let ledger = Ledger::resume(vec![(0..10, Some(GOOD))], rules());
    assert_eq!(*ledger.phase(), Phase::Finished);
}

#[test]
fn a_part_of_an_earlier_process_is_compared_with_what_comes_late() {
    let mut ledger = resumed(audited());
    let range = 10..20;
    let mut late = |digest| {
        let event = Event::Deliver {
            worker: A,
            attempt: Attempt(77),
            range: range.clone(),
            digest,
        };
        ledger.apply(event, Millis(0))
    };
    let discard = Effect::Discard {
        range: range.clone(),
    };
    assert_eq!(late(GOOD), [discard]);
    let effects = late(BAD);
    let [Effect::Fail(fatal)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let text = fatal.to_string();
    assert!(
        text.contains("an earlier process") && text.contains("worker 1"),
        "{text}"
    );
    assert_eq!(ledger.progress().duplicates, 1);
}

fn claim(ledger: &mut Ledger, worker: WorkerId, ranges: &[Range<u64>], at: u64) -> Vec<Effect> {
    let ranges = ranges.to_vec();
    ledger.apply(Event::Claim { worker, ranges }, Millis(at))
}

#[test]
fn a_worker_keeps_what_it_claims_of_the_open_shards() {
    let mut ledger = resumed(rules());
    let effects = claim(&mut ledger, A, &[20..25, 10..20, 0..9], 0);
    let [Effect::Lease(lease)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!((lease.range.clone(), lease.worker), (20..25, A));
    assert_eq!(lease.purpose, Purpose::Compute);
    assert_eq!(claim(&mut ledger, B, &[20..25], 0), [], "it is taken");
    assert_eq!(starts(&take_many(&mut ledger, B, 9, 0)), [0]);
    assert_eq!(ledger.progress().shards_leased, 2);
}

#[test]
fn a_claim_said_twice_gives_the_same_lease_for_longer() {
    let mut ledger = ledger(1, rules());
    let lease = take(&mut ledger, A, 0);
    let longer = Lease {
        deadline: Millis(150),
        ..lease
    };
    assert_eq!(claim(&mut ledger, A, &[0..10], 50), [Effect::Lease(longer)]);
    assert_eq!(ledger.apply(Event::Tick, Millis(149)), []);
    assert_ne!(ledger.apply(Event::Tick, Millis(150)), []);
}

#[test]
fn a_failed_shard_can_be_claimed_by_who_computes_it() {
    let mut ledger = ledger(1, rules());
    ask_for(&mut ledger, B, 0, 0);
    let lease = take(&mut ledger, A, 0);
    fail(&mut ledger, &lease, true, "disk full");
    let effects = claim(&mut ledger, A, &[0..10], 1);
    assert!(matches!(effects[..], [Effect::Lease(_)]));
    assert_eq!(ask(&mut ledger, B, 1), [Effect::Wait(Wait::Busy)]);
}

#[test]
fn nothing_can_be_claimed_of_a_failed_run() {
    let mut ledger = resumed(rules());
    let event = Event::Deliver {
        worker: A,
        attempt: Attempt(1),
        range: 10..20,
        digest: BAD,
    };
    ledger.apply(event, Millis(0));
    assert_eq!(claim(&mut ledger, A, &[0..10], 0), []);
}

#[test]
fn an_unrenewed_lease_goes_to_another_worker() {
    let mut ledger = ledger(1, rules());
    let lost = take(&mut ledger, A, 0);
    assert_eq!(ask(&mut ledger, B, 99), [Effect::Wait(Wait::Busy)]);
    let again = take(&mut ledger, B, 100);
    assert_eq!(again.range, lost.range);
    assert_eq!(again.purpose, Purpose::Compute);
    assert_eq!(ledger.progress().leases_lost, 1);
}

#[test]
fn time_alone_ends_leases_and_forgets_workers() {
    let mut ledger = ledger(1, rules());
    let lease = take(&mut ledger, A, 0);
    assert_eq!(ledger.why_idle(), None);
    assert_eq!(
        ledger.apply(Event::Tick, Millis(100)),
        [Effect::Revoke {
            worker: A,
            attempt: lease.attempt
        }]
    );
    assert_eq!(ledger.progress().workers, 0);
    assert_eq!(ledger.why_idle(), Some("no worker is connected"));
}

#[test]
fn renewal_prolongs_the_named_leases_only() {
    let mut ledger = ledger(2, rules());
    let kept = take(&mut ledger, A, 0);
    let forgotten = take(&mut ledger, A, 0);
    let renewal = Event::Renew {
        worker: A,
        attempts: vec![kept.attempt, Attempt(77)],
    };
    assert_eq!(
        ledger.apply(renewal, Millis(60)),
        [
            Effect::Renewed {
                attempt: kept.attempt,
                deadline: Millis(160)
            },
            Effect::Revoke {
                worker: A,
                attempt: Attempt(77)
            }
        ]
    );
    ledger.apply(Event::Tick, Millis(120));
    assert_eq!(take(&mut ledger, B, 120).range, forgotten.range);
    assert_eq!(ask(&mut ledger, B, 120), [Effect::Wait(Wait::Busy)]);
}

#[test]
fn the_ledger_says_why_nothing_is_computed() {
    let mut ledger = ledger(1, rules());
    assert_eq!(ledger.why_idle(), Some("no worker is connected"));
    ask_for(&mut ledger, A, 0, 0);
    assert_eq!(
        ledger.why_idle(),
        Some("no worker has asked for a shard that it may take")
    );
    let lease = take(&mut ledger, A, 0);
    assert_eq!(ledger.why_idle(), None);
    give(&mut ledger, &lease, GOOD, 1);
    assert_eq!(ledger.why_idle(), Some("every shard is committed"));
    give(&mut ledger, &lease, BAD, 1);
    assert_eq!(ledger.why_idle(), Some("the run has failed"));
}

#[test]
fn the_slowest_leases_come_first() {
    let mut ledger = ledger(3, rules());
    let first = take(&mut ledger, A, 0);
    let second = take(&mut ledger, B, 5);
    let third = take(&mut ledger, A, 6);
    assert_eq!(ledger.slowest(2), [&first, &second]);
    assert_eq!(ledger.slowest(9).len(), 3);
    assert_eq!((ledger.held_by(A), ledger.held_by(B)), (2, 1));
    assert_eq!(ledger.progress().leases, 3);
    give(&mut ledger, &first, GOOD, 7);
    assert_eq!(ledger.slowest(9), [&second, &third]);
    assert_eq!(ledger.held_by(A), 1);
    assert_eq!(ledger.held_by(WorkerId(9)), 0);
    assert_eq!(ledger.progress().leases, 2);
}

#[test]
fn the_ledger_says_when_time_matters_next() {
    let mut ledger = ledger(2, rules());
    assert_eq!(ledger.next_deadline(), None);
    let first = take(&mut ledger, A, 0);
    take(&mut ledger, B, 10);
    assert_eq!(ledger.next_deadline(), Some(first.deadline));
    let renewal = Event::Renew {
        worker: A,
        attempts: vec![first.attempt],
    };
    ledger.apply(renewal, Millis(20));
    assert_eq!(ledger.next_deadline(), Some(Millis(110)));
    assert_eq!(ledger.apply(Event::Tick, Millis(109)), []);
    assert_ne!(ledger.apply(Event::Tick, Millis(110)), []);
    assert_eq!(ledger.next_deadline(), Some(Millis(120)));
}

#[test]
fn a_late_renewal_counts_if_nobody_noticed() {
    let mut ledger = ledger(1, rules());
    let lease = take(&mut ledger, A, 0);
    let renewal = Event::Renew {
        worker: A,
        attempts: vec![lease.attempt],
    };
    let effects = ledger.apply(renewal, Millis(500));
    assert!(matches!(effects[..], [Effect::Renewed { .. }]));
}

#[test]
fn another_worker_cannot_speak_for_a_lease() {
    let mut ledger = ledger(1, rules());
    let lease = take(&mut ledger, A, 0);
    let stolen = Lease {
        worker: B,
        ..lease.clone()
    };
    fail(&mut ledger, &stolen, false, "liar");
    let release = Event::Release {
        worker: B,
        attempt: lease.attempt,
    };
    ledger.apply(release, Millis(1));
    let progress = ledger.progress();
    assert_eq!((progress.failures, progress.leases_released), (0, 0));
    assert_eq!(ask(&mut ledger, B, 2), [Effect::Wait(Wait::Busy)]);
}

#[test]
fn a_part_that_comes_late_is_welcome_and_then_a_duplicate() {
    let mut ledger = ledger(2, rules());
    let late = take(&mut ledger, A, 0);
    let again = take(&mut ledger, B, 100);
    assert_eq!(again.range, late.range);
    assert_eq!(
        give(&mut ledger, &late, GOOD, 110),
        [
            Effect::Revoke {
                worker: B,
                attempt: again.attempt
            },
            commit(0..10)
        ]
    );
    let range = 0..10;
    assert_eq!(
        give(&mut ledger, &again, GOOD, 120),
        [Effect::Discard { range }]
    );
    assert_eq!(ledger.progress().duplicates, 1);
    assert_eq!(ledger.progress().shards_committed, 1);
}

#[test]
fn a_different_digest_stops_the_run_and_names_both_workers() {
    let mut ledger = ledger(2, rules());
    let late = take(&mut ledger, A, 0);
    let again = take(&mut ledger, B, 100);
    give(&mut ledger, &again, GOOD, 110);
    let effects = give(&mut ledger, &late, BAD, 120);
    let [Effect::Fail(fatal)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let text = fatal.to_string();
    assert!(
        text.contains("worker 1") && text.contains("worker 2"),
        "{text}"
    );
    assert!(text.contains("patients 0..10"), "{text}");
    assert_eq!(ask(&mut ledger, A, 121), [Effect::Wait(Wait::Failed)]);
    let range = 10..20;
    let other = Event::Deliver {
        worker: A,
        attempt: Attempt(9),
        range: range.clone(),
        digest: GOOD,
    };
    assert_eq!(ledger.apply(other, Millis(122)), [Effect::Refuse { range }]);
}

#[test]
fn shards_beyond_a_sufficient_end_are_dropped() {
    let mut ledger = ledger(6, rules());
    let leases = take_many(&mut ledger, A, 4, 0);
    for done in [&leases[0], &leases[3]] {
        give(&mut ledger, done, GOOD, 1);
    }
    let attempt = leases[2].attempt;
    assert_eq!(
        ledger.apply(Event::Enough { end: 20 }, Millis(2)),
        [Effect::Revoke { worker: A, attempt }]
    );
    let progress = ledger.progress();
    assert_eq!((progress.patients, progress.patients_committed), (20, 10));
    assert_eq!((progress.shards_open, progress.shards_leased), (0, 1));
    assert_eq!(progress.shards_committed, 1);
    assert_eq!(ask(&mut ledger, B, 2), [Effect::Wait(Wait::Busy)]);
    assert_eq!(claim(&mut ledger, A, &[20..30, 40..50], 2), []);

    let (refuse, discard) = (20..30, 30..40);
    assert_eq!(
        give(&mut ledger, &leases[2], GOOD, 3),
        [Effect::Refuse { range: refuse }]
    );
    assert_eq!(
        give(&mut ledger, &leases[3], GOOD, 3),
        [Effect::Discard { range: discard }]
    );
    assert_eq!(
        give(&mut ledger, &leases[1], GOOD, 4),
        [commit(10..20), Effect::Finish]
    );
}

#[test]
fn a_run_that_has_enough_finishes_at_once_and_counts_no_more() {
    let mut ledger = resumed(audited());
    ask_for(&mut ledger, B, 0, 0);
    let leases = take_many(&mut ledger, A, 9, 0);
    give(&mut ledger, &leases[0], GOOD, 1);
    assert_eq!(take(&mut ledger, A, 1).range, 20..25);
    let audit = take(&mut ledger, B, 1);
    assert_eq!(audit.purpose, Purpose::Audit);
    let enough = |ledger: &mut Ledger, end| ledger.apply(Event::Enough { end }, Millis(1));
    assert!(matches!(
        enough(&mut ledger, 20)[..],
        [Effect::Revoke { worker: A, .. }]
    ));
    assert_eq!(enough(&mut ledger, 25), [], "there is no way back");
    assert_eq!(
        enough(&mut ledger, 0),
        [
            Effect::Revoke {
                worker: B,
                attempt: audit.attempt
            },
            Effect::Finish
        ]
    );
    let progress = ledger.progress();
    assert_eq!((progress.patients, progress.patients_committed), (0, 0));
    assert_eq!((progress.shards_committed, progress.shards_resumed), (0, 0));
    assert_eq!((progress.audits_open, progress.audits_skipped), (0, 0));
}

#[test]
fn late_parts_beyond_a_sufficient_end_are_still_compared() {
    let mut ledger = ledger(2, rules());
    let leases = take_many(&mut ledger, A, 2, 0);
    give(&mut ledger, &leases[1], GOOD, 1);
    ledger.apply(Event::Enough { end: 10 }, Millis(2));
    let effects = give(&mut ledger, &leases[1], BAD, 3);
    assert!(matches!(effects[0], Effect::Fail(Fatal::Conflict { .. })));
}

#[test]
#[should_panic(expected = "a run ends where a shard ends")]
fn a_run_cannot_end_within_a_shard() {
    ledger(2, rules()).apply(Event::Enough { end: 15 }, Millis(0));
}

#[test]
fn a_cancelled_run_fails_with_the_reason() {
    let mut ledger = ledger(2, rules());
    let lease = take(&mut ledger, A, 0);
    let cancel = |reason: &str| Event::Cancel {
        reason: reason.into(),
    };
    let fatal = Fatal::Cancelled {
        reason: "by ada".into(),
    };
    let revoke = Effect::Revoke {
        worker: A,
        attempt: lease.attempt,
    };
    assert_eq!(
        ledger.apply(cancel("by ada"), Millis(1)),
        [Effect::Fail(fatal.clone()), revoke]
    );
    assert!(fatal.to_string().contains("(by ada)"), "{fatal}");
    assert_eq!(ledger.apply(cancel("again"), Millis(2)), []);
    assert_eq!(*ledger.phase(), Phase::Failed(fatal));
    assert_eq!(ask(&mut ledger, A, 3), [Effect::Wait(Wait::Failed)]);
}

#[test]
fn a_finished_run_cannot_be_cancelled() {
    let mut ledger = Ledger::new(vec![], rules());
    let reason = "too late".into();
    assert_eq!(ledger.apply(Event::Cancel { reason }, Millis(1)), []);
    assert_eq!(*ledger.phase(), Phase::Finished);
}

#[test]
fn a_failed_run_ends_every_lease() {
    let mut ledger = ledger(4, audited());
    let late = take(&mut ledger, A, 0);
    let again = take(&mut ledger, B, 100);
    let other = take(&mut ledger, B, 100);
    give(&mut ledger, &again, GOOD, 110);
    let effects = give(&mut ledger, &late, BAD, 120);
    let attempt = other.attempt;
    let revoked = Effect::Revoke { worker: B, attempt };
    assert!(matches!(effects[0], Effect::Fail(_)));
    assert_eq!(&effects[1..], std::slice::from_ref(&revoked));
    let progress = ledger.progress();
    assert_eq!((progress.shards_open, progress.shards_leased), (3, 0));
    let attempts = vec![other.attempt];
    let renewal = Event::Renew {
        worker: B,
        attempts,
    };
    assert_eq!(ledger.apply(renewal, Millis(121)), [revoked]);
}

#[test]
fn a_verdict_foretells_the_answer_and_changes_nothing() {
    let mut ledger = ledger(2, rules());
    let lease = take(&mut ledger, A, 0);
    assert_eq!(ledger.judge(&(0..10), GOOD), Verdict::Commit);
    assert_eq!(ledger.judge(&(0..10), GOOD), Verdict::Commit);
    assert_eq!(ledger.judge(&(0..11), GOOD), Verdict::Refuse);
    assert_eq!(ledger.judge(&(5..10), GOOD), Verdict::Refuse);
    give(&mut ledger, &lease, GOOD, 1);
    assert_eq!(ledger.judge(&(0..10), GOOD), Verdict::Discard);
    assert_eq!(
        ledger.judge(&(0..10), BAD),
        Verdict::Conflict(Some(A), GOOD)
    );
    assert_eq!(ledger.judge(&(10..20), BAD), Verdict::Commit);
    give(&mut ledger, &lease, BAD, 1);
    assert_eq!(ledger.judge(&(10..20), GOOD), Verdict::Refuse);
    assert_eq!(ledger.judge(&(0..10), BAD), Verdict::Refuse);
}

#[test]
fn a_range_of_another_plan_is_refused() {
    let mut ledger = ledger(1, rules());
    let mut lease = take(&mut ledger, A, 0);
    lease.range = 0..5;
    assert_eq!(
        give(&mut ledger, &lease, GOOD, 1),
        [Effect::Refuse { range: 0..5 }]
    );
    assert_eq!(ledger.progress().shards_leased, 1, "the lease still stands");
}

#[test]
fn a_released_shard_goes_to_the_next_who_asks() {
    let mut ledger = ledger(1, rules());
    let lease = take(&mut ledger, A, 0);
    let release = Event::Release {
        worker: A,
        attempt: lease.attempt,
    };
    assert_eq!(ledger.apply(release, Millis(1)), []);
    assert_eq!(take(&mut ledger, A, 1).range, lease.range);
    assert_eq!(ledger.progress().leases_released, 1);
}

#[test]
fn the_shards_of_a_worker_that_left_are_open_again() {
    let mut ledger = ledger(2, rules());
    take(&mut ledger, A, 0);
    take(&mut ledger, A, 0);
    ledger.apply(Event::Leave { worker: A }, Millis(1));
    let progress = ledger.progress();
    assert_eq!((progress.shards_open, progress.workers), (2, 0));
    assert_eq!(take(&mut ledger, B, 1).range, 0..10);
}

#[test]
fn a_failed_shard_is_kept_from_the_worker_while_there_is_another() {
    let mut ledger = ledger(1, rules());
    ask(&mut ledger, B, 0);
    ledger.apply(Event::Leave { worker: B }, Millis(0));
    let lease = take(&mut ledger, A, 0);
    ask(&mut ledger, B, 0);
    fail(&mut ledger, &lease, true, "disk full");
    assert_eq!(ask(&mut ledger, A, 1), [Effect::Wait(Wait::Busy)]);
    assert_eq!(take(&mut ledger, B, 1).range, lease.range);
}

#[test]
fn a_lone_worker_may_try_again() {
    let mut ledger = ledger(1, rules());
    let lease = take(&mut ledger, A, 0);
    fail(&mut ledger, &lease, true, "disk full");
    assert_eq!(take(&mut ledger, A, 1).range, lease.range);
}

#[test]
fn the_same_error_from_two_workers_fails_the_run() {
    let mut ledger = ledger(2, rules());
    let one = take(&mut ledger, A, 0);
    assert_eq!(fail(&mut ledger, &one, false, "patient 7 is odd"), []);
    let two = take(&mut ledger, B, 0);
    assert_eq!(two.range, one.range, "failed shards are tried first");
    assert_eq!(
        fail(&mut ledger, &two, false, "patient 7 is odd"),
        [Effect::Fail(Fatal::Deterministic {
            range: 0..10,
            workers: (A, B),
            error: "patient 7 is odd".into()
        })]
    );
}

#[test]
fn retryable_and_differing_errors_are_tolerated_up_to_the_limit() {
    let mut ledger = ledger(1, rules());
    for error in ["disk full", "disk full"] {
        let lease = take(&mut ledger, A, 0);
        assert_eq!(fail(&mut ledger, &lease, true, error), []);
    }
    let lease = take(&mut ledger, A, 0);
    assert!(matches!(
        fail(&mut ledger, &lease, false, "something else")[..],
        [Effect::Fail(Fatal::TooManyFailures { failures: 3, .. })]
    ));
}

/// Two shards done by `A` in 10 ms each, a third with it since 20 ms.
fn nearly_done() -> (Ledger, Lease) {
    let mut ledger = ledger(3, rules());
    for at in [0, 10] {
        let lease = take(&mut ledger, A, at);
        give(&mut ledger, &lease, GOOD, at + 10);
    }
    let straggler = take(&mut ledger, A, 20);
    (ledger, straggler)
}

#[test]
fn an_idle_worker_repeats_a_straggler_but_not_its_own() {
    let (mut ledger, straggler) = nearly_done();
    assert_eq!(ask(&mut ledger, B, 40), [Effect::Wait(Wait::Busy)]);
    assert_eq!(ask(&mut ledger, A, 41), [Effect::Wait(Wait::Busy)]);
    let repeat = take(&mut ledger, B, 41);
    assert_eq!(repeat.purpose, Purpose::Repeat);
    assert_eq!(repeat.range, straggler.range);
    assert_eq!(
        ask(&mut ledger, WorkerId(3), 90),
        [Effect::Wait(Wait::Busy)],
        "two are enough"
    );
    assert_eq!(
        give(&mut ledger, &repeat, GOOD, 95),
        [
            Effect::Revoke {
                worker: A,
                attempt: straggler.attempt
            },
            commit(20..30),
            Effect::Finish
        ]
    );
}

#[test]
fn a_shard_is_repeated_though_nothing_was_ever_delivered() {
    let mut ledger = ledger(1, rules());
    let lease = take(&mut ledger, A, 0);
    let attempts = || vec![lease.attempt];
    for at in (0..=1000).step_by(50) {
        let renewal = Event::Renew {
            worker: A,
            attempts: attempts(),
        };
        ledger.apply(renewal, Millis(at));
    }
    assert_eq!(ask(&mut ledger, B, 1000), [Effect::Wait(Wait::Busy)]);
    assert_eq!(take(&mut ledger, B, 1001).purpose, Purpose::Repeat);
}

#[test]
fn one_straggler_a_request_and_never_ones_own() {
    let mut ledger = ledger(6, rules());
    for at in [0, 10] {
        let lease = take(&mut ledger, A, at);
        give(&mut ledger, &lease, GOOD, at + 10);
    }
    assert_eq!(starts(&take_many(&mut ledger, A, 2, 20)), [20, 30]);
    assert_eq!(starts(&take_many(&mut ledger, B, 2, 20)), [40]);
    assert_eq!(starts(&take_many(&mut ledger, B, 2, 20)), [50]);
    for (worker, others) in [(B, [20, 30]), (A, [40, 50])] {
        for other in others {
            let repeats = take_many(&mut ledger, worker, 9, 60);
            assert_eq!(starts(&repeats), [other]);
            assert_eq!(repeats[0].purpose, Purpose::Repeat);
        }
        let effects = ask_for(&mut ledger, worker, 9, 60);
        assert_eq!(effects, [Effect::Wait(Wait::Busy)]);
    }
}

#[test]
fn one_audit_a_request_and_never_of_ones_own_part() {
    let mut ledger = ledger(4, audited());
    ask_for(&mut ledger, B, 0, 0);
    for lease in take_many(&mut ledger, A, 2, 0) {
        give(&mut ledger, &lease, GOOD, 1);
    }
    for worker in [B, B] {
        let lease = take(&mut ledger, worker, 1);
        give(&mut ledger, &lease, GOOD, 1);
    }
    for (worker, others) in [(B, [0, 10]), (A, [20, 30])] {
        for other in others {
            let audits = take_many(&mut ledger, worker, 9, 1);
            assert_eq!(starts(&audits), [other]);
            assert_eq!(audits[0].purpose, Purpose::Audit);
        }
        let effects = ask_for(&mut ledger, worker, 9, 1);
        assert_eq!(effects, [Effect::Wait(Wait::Busy)]);
    }
}

#[test]
fn a_repeated_shard_stays_with_the_holder_that_is_left() {
    let (mut ledger, straggler) = nearly_done();
    let repeat = take(&mut ledger, B, 41);
    ledger.apply(Event::Leave { worker: A }, Millis(42));
    let progress = ledger.progress();
    assert_eq!((progress.shards_open, progress.shards_leased), (0, 1));
    let renewal = Event::Renew {
        worker: A,
        attempts: vec![straggler.attempt],
    };
    assert!(matches!(
        ledger.apply(renewal, Millis(43))[..],
        [Effect::Revoke { .. }]
    ));
    assert_eq!(take(&mut ledger, A, 62).purpose, Purpose::Repeat);
    give(&mut ledger, &repeat, GOOD, 63);
    assert_eq!(*ledger.phase(), Phase::Finished);
}

#[test]
fn audits_go_to_another_worker_and_compare_digests() {
    let mut ledger = ledger(1, audited());
    ask(&mut ledger, B, 0);
    ledger.apply(Event::Leave { worker: B }, Millis(0));
    let lease = take(&mut ledger, A, 0);
    ask(&mut ledger, B, 0);
    assert_eq!(give(&mut ledger, &lease, GOOD, 1), [commit(0..10)]);
    let why = ledger.why_idle().expect("nobody has the audit yet");
    assert!(why.starts_with("only audits are left"), "{why}");
    assert_eq!(ask(&mut ledger, A, 2), [Effect::Wait(Wait::Busy)]);
    let audit = take(&mut ledger, B, 2);
    assert_eq!(audit.purpose, Purpose::Audit);
    assert_eq!(ledger.why_idle(), None, "an audit is under way");
    let effects = give(&mut ledger, &audit, GOOD, 3);
    assert_eq!(effects, [Effect::Discard { range: 0..10 }, Effect::Finish]);
    assert_eq!(ledger.progress().audits_passed, 1);
}

#[test]
fn an_audit_that_differs_stops_the_run() {
    let mut ledger = ledger(1, audited());
    let lease = take(&mut ledger, A, 0);
    ask(&mut ledger, B, 0);
    give(&mut ledger, &lease, GOOD, 1);
    let audit = take(&mut ledger, B, 2);
    assert_eq!(
        give(&mut ledger, &audit, BAD, 3),
        [Effect::Fail(Fatal::Conflict {
            range: 0..10,
            committed: (Some(A), GOOD),
            delivered: (B, BAD)
        })]
    );
}

#[test]
fn audits_of_a_lone_worker_are_skipped_and_counted() {
    let mut ledger = ledger(2, audited());
    for _ in 0..2 {
        let lease = take(&mut ledger, A, 0);
        give(&mut ledger, &lease, GOOD, 1);
    }
    assert_eq!(*ledger.phase(), Phase::Finished);
    let progress = ledger.progress();
    assert_eq!((progress.audits_skipped, progress.audits_open), (2, 0));
}

#[test]
fn an_audit_waits_for_the_only_other_worker_until_it_leaves() {
    let mut ledger = ledger(1, audited());
    let lease = take(&mut ledger, A, 0);
    ask(&mut ledger, B, 0);
    give(&mut ledger, &lease, GOOD, 1);
    let audit = take(&mut ledger, B, 2);
    let release = Event::Release {
        worker: B,
        attempt: audit.attempt,
    };
    ledger.apply(release, Millis(3));
    assert_eq!(*ledger.phase(), Phase::Running);
    let effects = ledger.apply(Event::Leave { worker: B }, Millis(4));
    assert_eq!(effects, [Effect::Finish]);
    assert_eq!(ledger.progress().audits_skipped, 1);
}

#[test]
fn a_repeat_by_another_worker_counts_as_the_audit() {
    let mut ledger = ledger(1, audited());
    let lost = take(&mut ledger, A, 0);
    let again = take(&mut ledger, B, 100);
    ask(&mut ledger, A, 100);
    give(&mut ledger, &again, GOOD, 101);
    give(&mut ledger, &lost, GOOD, 102);
    assert_eq!(ledger.progress().audits_passed, 1);
    assert_eq!(*ledger.phase(), Phase::Finished);
}

#[test]
fn about_the_stated_share_is_audited() {
    let shares: Vec<usize> = [0, 10, 500, 1000]
        .into_iter()
        .map(|audits_per_mille| {
            let mut ledger = ledger(
                10_000,
                Rules {
                    audits_per_mille,
                    ..rules()
                },
            );
            for _ in 0..10_000 {
                let lease = take(&mut ledger, A, 0);
                give(&mut ledger, &lease, GOOD, 0);
            }
            ledger.progress().audits_skipped
        })
        .collect();
    assert_eq!((shares[0], shares[3]), (0, 10_000));
    assert!((70..130).contains(&shares[1]), "{}", shares[1]);
    assert!((4_800..5_200).contains(&shares[2]), "{}", shares[2]);
}

#[test]
fn a_part_under_the_lease_of_another_shard_leaves_that_lease_alone() {
    let mut ledger = ledger(2, rules());
    let first = take(&mut ledger, A, 0);
    let second = take(&mut ledger, A, 0);
    let mixed = Lease {
        attempt: first.attempt,
        ..second
    };
    let effects = give(&mut ledger, &mixed, GOOD, 1);
    assert!(effects.contains(&commit(10..20)));
    let renewal = Event::Renew {
        worker: A,
        attempts: vec![first.attempt],
    };
    let effects = ledger.apply(renewal, Millis(2));
    assert!(matches!(effects[..], [Effect::Renewed { .. }]));
}

#[test]
fn a_worker_cannot_audit_itself() {
    let mut ledger = ledger(1, audited());
    let lease = take(&mut ledger, A, 0);
    ask(&mut ledger, B, 0);
    give(&mut ledger, &lease, GOOD, 1);
    give(&mut ledger, &lease, GOOD, 2);
    let progress = ledger.progress();
    assert_eq!((progress.audits_passed, progress.audits_open), (0, 1));
    assert_eq!(*ledger.phase(), Phase::Running);
}

/// One shard that `A` committed, and somebody else to audit it.
fn committed_by_a(ledger: &mut Ledger) {
    let lease = take(ledger, A, 0);
    ask(ledger, B, 0);
    give(ledger, &lease, GOOD, 1);
}

#[test]
fn an_audit_that_fails_goes_to_another_worker_than_the_two() {
    const C: WorkerId = WorkerId(3);
    let mut ledger = ledger(1, audited());
    committed_by_a(&mut ledger);
    ask_for(&mut ledger, C, 0, 1);
    let audit = take(&mut ledger, B, 2);
    assert_eq!(fail(&mut ledger, &audit, false, "odd"), []);
    let progress = ledger.progress();
    assert_eq!((progress.audits_open, progress.audits_skipped), (1, 0));
    for worker in [A, B] {
        assert_eq!(ask(&mut ledger, worker, 3), [Effect::Wait(Wait::Busy)]);
    }
    let again = take(&mut ledger, C, 3);
    assert_eq!(again.purpose, Purpose::Audit);
    let effects = give(&mut ledger, &again, GOOD, 4);
    assert_eq!(effects, [Effect::Discard { range: 0..10 }, Effect::Finish]);
    assert_eq!(ledger.progress().audits_passed, 1);
}

#[test]
fn an_audit_that_fails_too_often_is_given_up() {
    let mut ledger = ledger(1, audited());
    committed_by_a(&mut ledger);
    for _ in 1..rules().failures_max {
        let audit = take(&mut ledger, B, 2);
        assert_eq!(fail(&mut ledger, &audit, false, "odd"), []);
    }
    let audit = take(&mut ledger, B, 2);
    assert_eq!(fail(&mut ledger, &audit, false, "odd"), [Effect::Finish]);
    assert_eq!(ledger.progress().audits_skipped, 1);
}

fn join(ledger: &mut Ledger, worker: WorkerId, credential: u8) {
    let credential = Some(Credential([credential; 32]));
    ledger.apply(Event::Join { worker, credential }, Millis(0));
}

#[test]
fn audits_go_to_another_credential_while_there_is_one() {
    const C: WorkerId = WorkerId(3);
    let mut ledger = ledger(2, audited());
    for (worker, credential) in [(A, 1), (B, 1), (C, 2)] {
        join(&mut ledger, worker, credential);
    }
    let lease = take(&mut ledger, A, 0);
    let other = take(&mut ledger, C, 0);
    give(&mut ledger, &lease, GOOD, 1);
    assert_eq!(
        ask(&mut ledger, B, 1),
        [Effect::Wait(Wait::Busy)],
        "it is of the same party"
    );
    let same = Lease {
        worker: B,
        ..lease.clone()
    };
    give(&mut ledger, &same, GOOD, 1);
    assert_eq!(ledger.progress().audits_passed, 0);
    give(&mut ledger, &other, GOOD, 1);
    let audit = take(&mut ledger, B, 1);
    assert_eq!((audit.purpose, audit.range.start), (Purpose::Audit, 10));
    ledger.apply(Event::Leave { worker: C }, Millis(2));
    let audit = take(&mut ledger, B, 2);
    assert_eq!((audit.purpose, audit.range.start), (Purpose::Audit, 0));
}

#[test]
fn silence_does_not_change_whose_a_worker_is() {
    let mut ledger = ledger(1, audited());
    join(&mut ledger, A, 1);
    join(&mut ledger, B, 1);
    ask_for(&mut ledger, WorkerId(3), 0, 500);
    committed_by_a(&mut ledger);
    assert_eq!(ask(&mut ledger, B, 2), [Effect::Wait(Wait::Busy)]);
    assert_eq!(take(&mut ledger, WorkerId(3), 2).purpose, Purpose::Audit);
}

#[test]
fn another_key_audits_other_shards() {
    let [first, second] = [1, 2].map(|key| {
        let rules = Rules {
            audits_per_mille: 500,
            audit_key: AuditKey([key; 32]),
            ..rules()
        };
        let mut ledger = ledger(64, rules);
        ask_for(&mut ledger, B, 0, 0);
        for _ in 0..64 {
            let lease = take(&mut ledger, A, 0);
            give(&mut ledger, &lease, GOOD, 0);
        }
        let audits = ledger.progress().audits_open;
        let mut audit = || take(&mut ledger, B, 0).range.start;
        (0..audits).map(|_| audit()).collect::<Vec<u64>>()
    });
    assert_ne!(first, second);
}
