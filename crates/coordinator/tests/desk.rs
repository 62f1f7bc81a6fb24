//! Workers at the desk.

use std::ops::Range;

use reseed_coordinator::{Desk, Ledger, Millis, Offer, Rules, WorkerId};
use reseed_protocol::messages::{
    Ask, Held, Machine, PartHeader, Pulse, Receipt, Registration, Release, RunSpec, Session,
    Versions, Wait,
};
use reseed_protocol::{Kind, Refusal};

const LEASE_MS: u64 = 1000;

fn versions() -> Versions {
    Versions {
        protocol_revision: 1,
        engine: "0.1.0".into(),
        model: "1".into(),
    }
}

fn desk(shards: u64) -> Desk {
    let rules = Rules {
        lease_ms: LEASE_MS,
        audits_per_mille: 0,
        ..Rules::default()
    };
    let plan = (0..shards).map(|shard| shard * 10..shard * 10 + 10);
    let offer = Offer {
        run: RunSpec {
            trial_toml: String::new(),
            fingerprint: [7; 32],
            seed: 1,
        },
        versions: versions(),
        lease_ms: LEASE_MS,
        part_bytes_max: 1000,
        shared: None,
    };
    Desk::new(offer, Ledger::new(plan.collect(), rules))
}

fn worker(number: u8) -> Registration {
    Registration {
        session: Session([number; 16]),
        name: format!("host-{number}"),
        versions: versions(),
        machine: Machine::default(),
        holding: Vec::new(),
    }
}

fn ask(desk: &mut Desk, number: u8, wanted: u32, now: u64) -> Vec<(u64, Range<u64>)> {
    let session = Session([number; 16]);
    let answer = desk.lease(&Ask { session, wanted }, Millis(now));
    let grants = answer.expect("a known worker").grants.into_iter();
    grants.map(|grant| (grant.attempt, grant.range)).collect()
}

fn header(number: u8, attempt: u64, range: Range<u64>, digest: u8) -> PartHeader {
    PartHeader {
        session: Session([number; 16]),
        attempt,
        range,
        digest: [digest; 32],
        file_bytes: 10,
        shared_name: None,
    }
}

fn deliver(desk: &mut Desk, header: &PartHeader, now: u64) -> Result<Receipt, Refusal> {
    let (courier, _) = desk.announce(header, Millis(now))?;
    desk.delivered(&courier, header, Millis(now))
}

#[test]
fn another_version_is_refused_with_the_reason() {
    let mut desk = desk(1);
    for (change, says) in [
        (
            (|v| v.model = "2".into()) as fn(&mut Versions),
            "model version 1",
        ),
        (|v| v.engine = "0.2.0".into(), "the worker 0.2.0"),
        (|v| v.protocol_revision = 9, "revision 1"),
    ] {
        let mut stranger = worker(1);
        change(&mut stranger.versions);
        let refusal = desk
            .register(stranger, None, Millis(0))
            .expect_err("another version");
        assert_eq!(refusal.kind, Kind::Version);
        assert!(refusal.message.contains(says), "{}", refusal.message);
    }
}

#[test]
fn a_run_is_leased_delivered_and_over() {
    let mut desk = desk(2);
    let welcome = desk
        .register(worker(1), None, Millis(0))
        .expect("the same version");
    assert_eq!(welcome.lease_ms, LEASE_MS);
    let leases = ask(&mut desk, 1, 5, 1);
    assert_eq!(leases.len(), 2);
    for (attempt, range) in leases {
        let receipt = deliver(&mut desk, &header(1, attempt, range.clone(), 1), 2);
        assert_eq!(receipt, Ok(Receipt::Committed));
        // Said again, it changes nothing.
        let receipt = deliver(&mut desk, &header(1, attempt, range, 1), 2);
        assert_eq!(receipt, Ok(Receipt::Discarded));
    }
    assert_eq!(desk.over(), Some(Wait::Finished));
    desk.leave(Session([1; 16]), Millis(3));
    assert!(desk.is_empty_since(Millis(0)));
}

#[test]
fn who_has_not_registered_is_told_to() {
    let mut desk = desk(1);
    let session = Session([1; 16]);
    let refusal = desk
        .lease(&Ask { session, wanted: 1 }, Millis(0))
        .expect_err("a stranger");
    assert_eq!(refusal.kind, Kind::UnknownSession);
    // A worker that was silent for long is a stranger again.
    desk.register(worker(1), None, Millis(0))
        .expect("the same version");
    desk.tick(Millis(LEASE_MS * 100));
    let ask = Ask { session, wanted: 1 };
    assert!(desk.lease(&ask, Millis(LEASE_MS * 100)).is_err());
}

#[test]
fn different_digests_name_both_workers() {
    let mut desk = desk(1);
    desk.register(worker(1), None, Millis(0))
        .expect("the same version");
    desk.register(worker(2), None, Millis(0))
        .expect("the same version");
    let (attempt, range) = ask(&mut desk, 1, 1, 0).remove(0);
    deliver(&mut desk, &header(1, attempt, range.clone(), 1), 1).expect("a good part");
    let refusal = deliver(&mut desk, &header(2, 0, range, 2), 2).expect_err("a conflict");
    assert_eq!(refusal.kind, Kind::Conflict);
    assert!(refusal.message.contains("host-1") && refusal.message.contains("host-2"));
    assert!(matches!(desk.over(), Some(Wait::Failed { .. })));
}

#[test]
fn a_part_counts_though_its_worker_left_while_it_was_stored() {
    let mut desk = desk(2);
    desk.register(worker(1), None, Millis(0))
        .expect("the same version");
    let (attempt, range) = ask(&mut desk, 1, 1, 0).remove(0);
    let part = header(1, attempt, range, 1);
    let (courier, _) = desk.announce(&part, Millis(1)).expect("wanted");
    desk.leave(part.session, Millis(2));
    let receipt = desk.delivered(&courier, &part, Millis(3));
    assert_eq!(receipt, Ok(Receipt::Committed));
    let progress = desk.progress();
    assert_eq!((progress.patients_committed, progress.workers), (10, 0));
    assert!(desk.is_empty_since(Millis(0)), "it is gone all the same");
}

#[test]
fn nobody_hoards_shards() {
    let mut desk = desk(100);
    let greedy = Registration {
        holding: (0..100).map(|shard| shard * 10..shard * 10 + 10).collect(),
        ..worker(1)
    };
    let welcome = desk.register(greedy, None, Millis(0)).expect("good");
    assert_eq!(welcome.grants.len(), 16, "of those that it says it has");
    assert_eq!(ask(&mut desk, 1, 100, 0), []);
    let threads = 8;
    let large = Registration {
        machine: Machine {
            threads,
            ..Machine::default()
        },
        ..worker(2)
    };
    desk.register(large, None, Millis(0)).expect("good");
    let asked = (0..9).map(|_| ask(&mut desk, 2, 5, 0).len());
    assert_eq!(asked.sum::<usize>(), 32);
    let part = header(1, welcome.grants[0].attempt, 0..10, 1);
    deliver(&mut desk, &part, 1).expect("wanted");
    assert_eq!(
        ask(&mut desk, 1, 100, 1).len(),
        1,
        "for the one it is done with"
    );
}

#[test]
fn names_are_kept_of_those_who_left_something_behind() {
    let mut desk = desk(2);
    let comes = |desk: &mut Desk, number: u8| {
        let welcome = desk.register(worker(number), None, Millis(0));
        WorkerId(welcome.expect("the same version").worker)
    };
    let idle = comes(&mut desk, 1);
    desk.leave(Session([1; 16]), Millis(0));
    let busy = comes(&mut desk, 1);
    assert_ne!(idle, busy, "a number is never given twice");
    let (attempt, range) = ask(&mut desk, 1, 1, 0).remove(0);
    deliver(&mut desk, &header(1, attempt, range, 1), 1).expect("wanted");
    desk.leave(Session([1; 16]), Millis(2));
    assert_eq!((desk.name(idle), desk.name(busy)), ("unknown", "host-1"));
}

#[test]
fn a_worker_cannot_speak_for_another_nor_upset_the_sums() {
    let mut desk = desk(2);
    desk.register(worker(1), None, Millis(0))
        .expect("the same version");
    desk.register(worker(2), None, Millis(0))
        .expect("the same version");
    let (attempt, _) = ask(&mut desk, 1, 1, 0).remove(0);
    let release = Release {
        session: Session([2; 16]),
        attempts: vec![attempt],
    };
    desk.release(&release, Millis(1)).expect("a known worker");
    assert_eq!(
        desk.progress().shards_leased,
        1,
        "it is not the second worker's to hand back"
    );
    let held = |patients_done| {
        vec![
            Held {
                attempt,
                patients_done
            };
            3
        ]
    };
    for patients_done in [4, u64::MAX] {
        let pulse = Pulse {
            session: Session([1; 16]),
            held: held(patients_done),
        };
        desk.pulse(&pulse, Millis(2)).expect("a known worker");
        assert_eq!(desk.patients_under_way(), patients_done.min(10));
    }
    desk.leave(Session([1; 16]), Millis(3));
    assert_eq!(desk.patients_under_way(), 0);
}

#[test]
fn a_drained_worker_gets_nothing_more() {
    let mut desk = desk(3);
    desk.register(worker(1), None, Millis(0))
        .expect("the same version");
    assert_eq!(desk.drain("nobody"), 0);
    assert_eq!(desk.drain("host-1"), 1);
    let session = Session([1; 16]);
    let answer = desk
        .lease(&Ask { session, wanted: 1 }, Millis(1))
        .expect("a known worker");
    assert!(answer.drain && answer.grants.is_empty());
}

#[test]
fn a_workers_rate_follows_its_deliveries_between_heartbeats() {
    let mut desk = desk(10);
    desk.register(worker(1), None, Millis(0))
        .expect("a known version");
    for second in 1..=5u64 {
        let now = second * 1000 - 1;
        for (attempt, range) in ask(&mut desk, 1, 2, now) {
            let part = header(1, attempt, range, 1);
            deliver(&mut desk, &part, second * 1000).expect("wanted");
        }
    }
    let (reports, _) = desk.worker_reports(Millis(5000));
    // Two shards of ten patients a second; the first part of the last second counts at once.
    let rate = reports[0].patients_per_second;
    assert!((rate - 18.0).abs() < 1e-9, "{rate}");
}
