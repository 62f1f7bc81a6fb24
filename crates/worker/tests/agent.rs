//! What a worker does next.

use std::ops::Range;

use reseed_protocol::messages::{
    Answer, Grant, PulseAnswer, Purpose, Receipt, RunSpec, Wait, Welcome,
};
use reseed_protocol::{Kind, Refusal, Retry};
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

/// The part of 0..10 is refused.
fn not_taken(kind: Kind, retry: Retry) -> Event {
    let refusal = Refusal {
        kind,
        retry,
        message: "because".into(),
    };
    let call = Call::Deliver { range: 0..10 };
    Event::Refused { call, refusal }
}

/// The first shard's lease ends with a failure.
fn failed(retryable: bool) -> Action {
    Action::Fail {
        attempt: 1,
        retryable,
        error: "because".into(),
    }
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
    assert_eq!(actions, [Action::Leave, Action::Exit(Outcome::Stopped)]);
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
fn a_part_whose_stream_is_cut_is_sent_again_but_not_for_ever() {
    let mut agent = busy();
    let mut actions = agent.handle(computed(0..10), 10);
    for now in [20_000, 40_000] {
        assert!(actions.contains(&deliver(0..10, 1)), "{actions:?}");
        let actions_now = agent.handle(not_taken(Kind::Damaged, Retry::Here), now);
        assert!(!actions_now.contains(&failed(true)), "{actions_now:?}");
        actions = agent.handle(Event::Tick, now + 19_000);
    }
    let actions = agent.handle(not_taken(Kind::Damaged, Retry::Here), 60_000);
    assert!(actions.contains(&failed(true)), "{actions:?}");
}

#[test]
fn a_part_that_is_not_wanted_from_here_is_left_to_others_at_once() {
    for kind in [Kind::Damaged, Kind::Foreign] {
        let mut agent = busy();
        agent.handle(computed(0..10), 10);
        let actions = agent.handle(not_taken(kind, Retry::Elsewhere), 11);
        let discard = Action::Discard { range: 0..10 };
        assert_eq!(actions, [failed(true), discard]);
        assert_eq!(agent.parts_in_hand(), 0);
    }
}

#[test]
fn a_part_without_a_lease_goes_without_a_word() {
    let mut agent = busy();
    agent.handle(computed(0..10), 10);
    agent.handle(not_taken(Kind::UnknownSession, Retry::Here), 20);
    agent.handle(welcome(Vec::new()), 21);
    let actions = agent.handle(not_taken(Kind::Foreign, Retry::Elsewhere), 22);
    assert_eq!(actions, [Action::Discard { range: 0..10 }]);
}

#[test]
fn a_part_that_the_store_has_no_room_for_is_kept_however_often() {
    let mut agent = busy();
    agent.handle(computed(0..10), 10);
    for now in 1..10 {
        agent.handle(not_taken(Kind::Store, Retry::Here), now * 40_000);
        let actions = agent.handle(Event::Tick, now * 40_000 + 20_000);
        assert!(actions.contains(&deliver(0..10, 1)), "{actions:?}");
    }
}

#[test]
fn a_worker_that_others_are_preferred_to_ends() {
    for call in [Call::Ask, Call::Pulse, Call::Register] {
        let mut agent = Agent::new(settings(), 0);
        agent.handle(Event::Tick, 0);
        let refusal = Refusal {
            kind: Kind::Limit,
            retry: Retry::Elsewhere,
            message: "because".into(),
        };
        let actions = agent.handle(Event::Refused { call, refusal }, 1);
        let outcome = Outcome::Refused("because".into());
        assert_eq!(actions, [Action::Exit(outcome)]);
    }
}

#[test]
fn a_worker_that_cannot_keep_parts_delivers_what_it_has_and_ends() {
    let mut agent = busy();
    agent.handle(computed(0..10), 10);
    // 20..30 is on a thread since.
    let (range, problem) = (10..20, "full".to_owned());
    let actions = agent.handle(Event::Unkept { range, problem }, 11);
    let attempts = vec![2];
    assert_eq!(actions, [Action::Release { attempts }]);
    let (range, problem) = (20..30, "full".to_owned());
    let actions = agent.handle(Event::Unkept { range, problem }, 12);
    let attempts = vec![3];
    assert_eq!(actions, [Action::Release { attempts }]);
    let (range, receipt) = (0..10, Receipt::Committed);
    let actions = agent.handle(Event::Taken { range, receipt }, 13);
    let outcome = Outcome::Broken("full".into());
    let discard = Action::Discard { range: 0..10 };
    assert_eq!(actions, [discard, Action::Leave, Action::Exit(outcome)]);
}

#[test]
fn parts_that_were_refused_are_due_when_one_is_taken() {
    let mut agent = busy();
    agent.handle(computed(0..10), 10);
    agent.handle(computed(10..20), 11);
    for range in [0..10, 10..20] {
        agent.handle(refused(Call::Deliver { range }, Kind::Store), 12);
    }
    let later = agent.wakes_at();
    assert!(later > 12);
    let actions = agent.handle(Event::Tick, 5_000);
    assert!(actions.contains(&deliver(0..10, 1)), "{actions:?}");
    assert!(actions.contains(&deliver(10..20, 2)), "{actions:?}");
    agent.handle(refused(Call::Deliver { range: 10..20 }, Kind::Store), 5_001);
    let (range, receipt) = (0..10, Receipt::Committed);
    let actions = agent.handle(Event::Taken { range, receipt }, 5_002);
    assert!(actions.contains(&deliver(10..20, 2)), "{actions:?}");
}

#[test]
fn a_part_that_is_too_long_for_the_coordinator_is_a_failure() {
    let mut agent = busy();
    agent.handle(computed(0..10), 10);
    let actions = agent.handle(not_taken(Kind::Limit, Retry::Never), 11);
    let discard = Action::Discard { range: 0..10 };
    assert!(
        actions.starts_with(&[failed(false), discard]),
        "{actions:?}"
    );
}

/// A worker with one thread that takes a second for each patient and is lent its machine.
fn lent(ends_at: u64, grace_ms: u64) -> Agent {
    let settings = Settings {
        threads: 1,
        grace_ms,
        ends_at: Some(ends_at),
        ..settings()
    };
    let mut agent = Agent::new(settings, 0);
    agent.handle(Event::Tick, 0);
    agent.handle(welcome(Vec::new()), 0);
    agent.handle(prepared(), 0);
    agent
}

#[test]
fn what_is_left_of_a_shard_counts_when_the_next_is_taken() {
    let mut agent = lent(26_000, 2_000);
    agent.handle(answered(vec![grant(1, 0..10), grant(2, 10..20)]), 0);
    let (range, seconds) = (0..10, 10.0);
    let actions = agent.handle(Event::Computed { range, seconds }, 10_000);
    assert!(actions.contains(&Action::Ask { wanted: 1 }), "{actions:?}");
    // The thread is busy until 20 s, and then there are no ten seconds left.
    let actions = agent.handle(answered(vec![grant(3, 20..30)]), 10_001);
    let attempts = vec![3];
    assert_eq!(actions, [Action::Release { attempts }]);
    assert_eq!(agent.shards_in_hand(), 1);
}

#[test]
fn a_thread_that_is_nearly_free_has_time_for_a_short_shard() {
    let mut agent = lent(26_000, 2_000);
    agent.handle(answered(vec![grant(1, 0..10)]), 0);
    let actions = agent.handle(answered(vec![grant(2, 10..20)]), 9_000);
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::Release { .. })),
        "{actions:?}"
    );
    assert_eq!(agent.shards_in_hand(), 2);
}

#[test]
fn a_worker_with_too_little_time_for_a_shard_says_that_it_would_go_on_elsewhere() {
    let mut agent = lent(26_000, 2_000);
    let actions = agent.handle(answered(vec![grant(1, 0..110)]), 0);
    let attempts = vec![1];
    let handed_back = Action::Release { attempts };
    let stopped = Action::Exit(Outcome::Stopped);
    assert_eq!(actions, [handed_back, Action::Leave, stopped]);
}

#[test]
fn a_worker_stops_before_its_machine_is_taken_away() {
    let mut agent = lent(26_000, 10_000);
    // This one takes longer than anybody could know.
    agent.handle(answered(vec![grant(1, 0..10)]), 0);
    let mut now = 0;
    let mut said = Vec::new();
    while now < 26_000 && said.is_empty() {
        now = agent.wakes_at();
        let actions = agent.handle(Event::Tick, now);
        for action in actions {
            match action {
                Action::Ask { .. } => {
                    let wait = Some(Wait::Busy { retry_ms: 1_000 });
                    let answer = Answer {
                        grants: Vec::new(),
                        wait,
                        drain: false,
                    };
                    agent.handle(Event::Answered(answer), now);
                }
                Action::Pulse { .. } => {
                    agent.handle(Event::Pulsed(PulseAnswer::default()), now);
                }
                other => said.push(other),
            }
        }
    }
    let (range, attempts) = (0..10, vec![1]);
    let handed_back = [Action::Abort { range }, Action::Release { attempts }];
    assert_eq!((now, said), (24_000, handed_back.into()));
    let actions = agent.handle(Event::Aborted { range: 0..10 }, 24_050);
    assert_eq!(actions, [Action::Leave, Action::Exit(Outcome::Stopped)]);
}

#[test]
fn a_deadline_that_passes_does_not_lose_the_link_unless_it_is_a_heartbeats() {
    let mut agent = busy();
    agent.handle(computed(0..10), 10);
    assert_eq!(agent.handle(refused(Call::Ask, Kind::Late), 900), []);
    let actions = agent.handle(not_taken(Kind::Late, Retry::Here), 901);
    assert_eq!(actions, [], "not at once");
    // The heartbeat is in time, too.
    let pulse = |action: &Action| matches!(action, Action::Pulse { .. });
    let actions = agent.handle(Event::Tick, 1_001);
    assert!(actions.iter().any(pulse), "{actions:?}");
    let actions = agent.handle(Event::Tick, 5_000);
    assert!(actions.contains(&deliver(0..10, 1)), "{actions:?}");
    agent.handle(refused(Call::Pulse, Kind::Late), 21_000);
    let actions = agent.handle(Event::Tick, 30_000);
    let register = |action: &Action| matches!(action, Action::Register { .. });
    assert!(actions.iter().any(register), "{actions:?}");
}
