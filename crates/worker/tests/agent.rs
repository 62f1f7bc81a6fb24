//! What a worker does next.

use std::ops::Range;

use reseed_protocol::messages::{
    Answer, Grant, PulseAnswer, Purpose, Receipt, RunSpec, Wait, Welcome,
};
use reseed_protocol::{Kind, Refusal};
use reseed_worker::{Action, Agent, Call, Event, Outcome, Settings};

fn settings() -> Settings {
    Settings {
        threads: 2,
        ahead: 1,
        grace_ms: 10_000,
        patience_ms: 60_000,
        ends_at: None,
        jitter_seed: 1,
    }
}

fn welcome(grants: Vec<Grant>) -> Event {
    Event::Registered(Welcome {
        worker: 1,
        run: RunSpec {
            trial_toml: String::new(),
            fingerprint: [1; 32],
            seed: 1,
        },
        heartbeat_ms: 1000,
        lease_ms: 3000,
        part_bytes_max: 1 << 20,
        shared: None,
        grants,
    })
}

fn grant(attempt: u64, range: Range<u64>) -> Grant {
    Grant {
        attempt,
        range,
        purpose: Purpose::Compute,
    }
}

fn answered(grants: Vec<Grant>) -> Event {
    Event::Answered(Answer {
        grants,
        wait: None,
        drain: false,
    })
}

fn prepared() -> Event {
    Event::Prepared {
        patients_per_second: 1.0,
    }
}

/// A worker with shards 0..10 and 10..20 on its threads and 20..30 in its queue.
fn busy() -> Agent {
    let mut agent = Agent::new(settings(), 0);
    let holding = Vec::new();
    assert_eq!(agent.handle(Event::Tick, 0), [Action::Register { holding }]);
    agent.handle(welcome(Vec::new()), 1);
    assert_eq!(agent.handle(prepared(), 2), [Action::Ask { wanted: 3 }]);
    let grants = vec![grant(1, 0..10), grant(2, 10..20), grant(3, 20..30)];
    let actions = agent.handle(answered(grants), 3);
    let compute = |range, attempt| Action::Compute { range, attempt };
    assert_eq!(actions, [compute(0..10, 1), compute(10..20, 2)]);
    agent
}

fn computed(range: Range<u64>) -> Event {
    Event::Computed {
        range,
        seconds: 1.0,
    }
}

fn refused(call: Call, kind: Kind) -> Event {
    let refusal = Refusal::new(kind, "because");
    Event::Refused { call, refusal }
}

fn deliver(range: Range<u64>, attempt: u64) -> Action {
    Action::Deliver { range, attempt }
}

#[test]
fn a_finished_shard_is_delivered_and_the_next_begun_at_once() {
    let mut agent = busy();
    let actions = agent.handle(computed(0..10), 10);
    let (range, attempt) = (20..30, 3);
    assert!(
        actions.contains(&Action::Compute { range, attempt }),
        "{actions:?}"
    );
    assert!(actions.contains(&deliver(0..10, 1)), "{actions:?}");
    assert!(actions.contains(&Action::Ask { wanted: 1 }), "{actions:?}");
    let (range, receipt) = (0..10, Receipt::Committed);
    let actions = agent.handle(Event::Taken { range, receipt }, 11);
    assert_eq!(actions, [Action::Discard { range: 0..10 }]);
}

#[test]
fn parts_wait_for_a_lost_coordinator_and_go_to_its_successor() {
    let mut agent = busy();
    agent.handle(computed(0..10), 10);
    agent.handle(
        refused(Call::Deliver { range: 0..10 }, Kind::Unreachable),
        20,
    );
    assert_eq!(agent.parts_in_hand(), 1);
    let later = agent.wakes_at();
    assert!(later > 20);
    let actions = agent.handle(Event::Tick, later);
    let holding = vec![0..10, 10..20, 20..30];
    assert_eq!(actions, [Action::Register { holding }]);
    // The successor has given 10..20 to somebody else meanwhile.
    let actions = agent.handle(welcome(vec![grant(9, 20..30)]), later + 1);
    assert!(
        actions.contains(&Action::Abort { range: 10..20 }),
        "{actions:?}"
    );
    assert!(actions.contains(&deliver(0..10, 0)), "{actions:?}");
}

#[test]
fn a_worker_gives_up_after_its_patience() {
    let mut agent = Agent::new(settings(), 0);
    let mut now = 0;
    for _ in 0..1000 {
        for action in agent.handle(Event::Tick, now) {
            match action {
                Action::Register { .. } => {
                    agent.handle(refused(Call::Register, Kind::Unreachable), now);
                }
                Action::Exit(outcome) => {
                    assert_eq!(outcome, Outcome::Unreachable("because".into()));
                    assert!((60_000..80_000).contains(&now), "{now}");
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
        now = agent.wakes_at();
    }
    panic!("it never gives up");
}

#[test]
fn a_stop_hands_back_the_queue_and_then_what_takes_too_long() {
    let mut agent = busy();
    let attempts = vec![3];
    assert_eq!(
        agent.handle(Event::Stop, 100),
        [Action::Release { attempts }]
    );
    agent.handle(computed(0..10), 200);
    let (range, receipt) = (0..10, Receipt::Committed);
    agent.handle(Event::Taken { range, receipt }, 201);
    // Two seconds before the grace time is over.
    let actions = agent.handle(Event::Tick, 8_200);
    assert!(
        actions.contains(&Action::Abort { range: 10..20 }),
        "{actions:?}"
    );
    let attempts = vec![2];
    assert!(
        actions.contains(&Action::Release { attempts }),
        "{actions:?}"
    );
    let actions = agent.handle(Event::Aborted { range: 10..20 }, 8_201);
    assert_eq!(actions, [Action::Leave, Action::Exit(Outcome::Left)]);
}

#[test]
fn no_shard_is_begun_that_cannot_be_finished() {
    let ends_at = Some(20_000);
    let settings = Settings {
        ends_at,
        ..settings()
    };
    let mut agent = Agent::new(settings, 0);
    agent.handle(Event::Tick, 0);
    agent.handle(welcome(Vec::new()), 1);
    agent.handle(prepared(), 2);
    // Ten patients take ten seconds, a hundred too long.
    let actions = agent.handle(answered(vec![grant(1, 0..10), grant(2, 10..110)]), 3);
    let attempts = vec![2];
    assert!(
        actions.contains(&Action::Release { attempts }),
        "{actions:?}"
    );
    assert_eq!(agent.shards_in_hand(), 1);
}

#[test]
fn revoked_shards_are_given_up_and_the_end_of_the_run_ends_the_worker() {
    let mut agent = busy();
    let answer = PulseAnswer {
        revoked: vec![2],
        ..PulseAnswer::default()
    };
    let actions = agent.handle(Event::Pulsed(answer), 10);
    assert!(
        actions.contains(&Action::Abort { range: 10..20 }),
        "{actions:?}"
    );
    let answer = PulseAnswer {
        over: Some(Wait::Finished),
        ..PulseAnswer::default()
    };
    agent.handle(Event::Pulsed(answer), 11);
    agent.handle(Event::Aborted { range: 0..10 }, 12);
    let actions = agent.handle(Event::Aborted { range: 10..20 }, 13);
    assert_eq!(actions, [Action::Leave, Action::Exit(Outcome::Finished)]);
}

#[test]
fn a_part_that_arrives_damaged_is_sent_again_but_not_for_ever() {
    let mut agent = busy();
    let mut actions = agent.handle(computed(0..10), 10);
    for now in [20_000, 40_000] {
        assert!(actions.contains(&deliver(0..10, 1)), "{actions:?}");
        agent.handle(refused(Call::Deliver { range: 0..10 }, Kind::Damaged), now);
        actions = agent.handle(Event::Tick, now + 19_000);
    }
    let actions = agent.handle(
        refused(Call::Deliver { range: 0..10 }, Kind::Damaged),
        60_000,
    );
    let failed = Action::Fail {
        attempt: 1,
        retryable: true,
        error: "because".into(),
    };
    assert!(actions.contains(&failed), "{actions:?}");
}

#[test]
fn a_worker_that_cannot_keep_a_part_leaves_when_its_other_threads_have_stopped() {
    let mut agent = busy();
    let problem = "the disk is full".to_owned();
    let range = Some(0..10);
    let actions = agent.handle(Event::Broken { range, problem }, 10);
    let attempts = vec![1, 2, 3];
    assert_eq!(
        actions,
        [
            Action::Abort { range: 10..20 },
            Action::Release { attempts }
        ]
    );
    let actions = agent.handle(Event::Aborted { range: 10..20 }, 11);
    let outcome = Outcome::Broken("the disk is full".into());
    assert_eq!(actions, [Action::Leave, Action::Exit(outcome)]);
}
