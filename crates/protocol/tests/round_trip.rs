//! Plain types survive the wire, and nothing that arrives is taken on trust.

use std::fmt::Debug;
use std::ops::Range;

use proptest::prelude::*;
use prost::Message;
use reseed_protocol::messages::{
    Answer, Ask, Failed, Grant, Held, Machine, PartHeader, Pulse, PulseAnswer, Purpose, Receipt,
    Registration, Release, RunSpec, Session, SharedFolder, Versions, Wait, Welcome,
};
use reseed_protocol::{Kind, Refusal, wire};

/// Sends a message through its bytes.
fn travels<P, W>(plain: P) -> Result<(), TestCaseError>
where
    P: Clone + PartialEq + Debug + TryFrom<W, Error = Refusal>,
    W: Message + Default + From<P>,
{
    let bytes = W::from(plain.clone()).encode_to_vec();
    let back = P::try_from(W::decode(&bytes[..]).expect("what was encoded"));
    prop_assert_eq!(back, Ok(plain));
    Ok(())
}

fn session() -> impl Strategy<Value = Session> {
    any::<[u8; 16]>().prop_map(Session)
}

fn range() -> impl Strategy<Value = Range<u64>> {
    (0..u64::MAX - 1, 1..u64::MAX).prop_map(|(start, length)| {
        let end = start.saturating_add(length);
        start..end
    })
}

fn grant() -> impl Strategy<Value = Grant> {
    const PURPOSES: &[Purpose] = &[Purpose::Compute, Purpose::Repeat, Purpose::Audit];
    (any::<u64>(), range(), prop::sample::select(PURPOSES)).prop_map(|(attempt, range, purpose)| {
        Grant {
            attempt,
            range,
            purpose,
        }
    })
}

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    prop::collection::vec(grant(), 0..5)
}

fn wait() -> impl Strategy<Value = Option<Wait>> {
    prop::option::of(prop_oneof![
        any::<u32>().prop_map(|ms| Wait::Busy {
            retry_ms: ms.into()
        }),
        Just(Wait::Finished),
        "[ -~]{0,40}".prop_map(|problem| Wait::Failed { problem }),
    ])
}

fn machine() -> impl Strategy<Value = Machine> {
    let features = prop::collection::vec("[a-z0-9]{1,8}", 0..5);
    ("[a-z0-9_]{0,9}", features, any::<u32>(), any::<u64>()).prop_map(
        |(architecture, cpu_features, threads, memory_bytes)| Machine {
            architecture,
            cpu_features,
            threads,
            memory_bytes,
        },
    )
}

proptest! {
    #[test]
    fn registrations_travel(
        session in session(),
        name in "[ -~]{0,60}",
        (protocol_revision, engine, model) in (any::<u32>(), "[0-9.]{1,9}", "[0-9]{1,3}"),
        machine in machine(),
        holding in prop::collection::vec(range(), 0..5),
    ) {
        let versions = Versions { protocol_revision, engine, model };
        travels::<_, wire::RegisterRequest>(Registration { session, name, versions, machine, holding })?;
    }

    #[test]
    fn welcomes_travel(
        worker in any::<u64>(),
        (trial_toml, fingerprint, seed) in (".{0,200}", any::<[u8; 32]>(), any::<u64>()),
        (heartbeat_ms, lease_ms) in (1..u32::MAX, 1..u32::MAX),
        part_bytes_max in any::<u64>(),
        shared in prop::option::of(("[a-z/]{1,20}", "[a-z0-9]{0,9}")),
        grants in grants(),
    ) {
        travels::<_, wire::RegisterResponse>(Welcome {
            worker,
            run: RunSpec { trial_toml, fingerprint, seed },
            heartbeat_ms: heartbeat_ms.into(),
            lease_ms: lease_ms.into(),
            part_bytes_max,
            shared: shared.map(|(path, marker)| SharedFolder { path, marker }),
            grants,
        })?;
    }

    #[test]
    fn leases_and_heartbeats_travel(
        session in session(),
        wanted in 1u32..16_000,
        grants in grants(),
        (wait, over) in (wait(), wait()),
        drain in any::<bool>(),
        held in prop::collection::vec(any::<(u64, u64)>(), 0..6),
        revoked in prop::collection::vec(any::<u64>(), 0..6),
    ) {
        travels::<_, wire::LeaseRequest>(Ask { session, wanted })?;
        travels::<_, wire::LeaseResponse>(Answer { grants, wait, drain })?;
        let held = held
            .into_iter()
            .map(|(attempt, patients_done)| Held { attempt, patients_done })
            .collect();
        travels::<_, wire::HeartbeatRequest>(Pulse { session, held })?;
        travels::<_, wire::HeartbeatResponse>(PulseAnswer { revoked: revoked.clone(), drain, over })?;
        travels::<_, wire::ReleaseRequest>(Release { session, attempts: revoked })?;
        travels::<_, wire::LeaveRequest>(session)?;
    }

    #[test]
    fn parts_travel(
        session in session(),
        (attempt, file_bytes) in any::<(u64, u64)>(),
        range in range(),
        digest in any::<[u8; 32]>(),
        shared_name in prop::option::of("[a-z0-9][a-z0-9.-]{0,20}"),
        retryable in any::<bool>(),
        error in "[ -~\n]{0,80}",
    ) {
        travels::<_, wire::PartHeader>(PartHeader {
            session, attempt, range, digest, file_bytes, shared_name,
        })?;
        travels::<_, wire::FailRequest>(Failed { session, attempt, retryable, error })?;
        travels::<_, wire::DeliverResponse>(Receipt::Committed)?;
        travels::<_, wire::DeliverResponse>(Receipt::Discarded)?;
    }

    /// Whatever bytes arrive: a checked message or a refusal, never a panic.
    #[test]
    fn bytes_from_anywhere_are_checked(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(wire) = wire::RegisterRequest::decode(&bytes[..])
            && let Ok(plain) = Registration::try_from(wire)
        {
            prop_assert!(plain.holding.iter().all(|range| range.start < range.end));
        }
        if let Ok(wire) = wire::PartHeader::decode(&bytes[..]) {
            let _ = PartHeader::try_from(wire);
        }
    }
}

fn header() -> wire::PartHeader {
    wire::PartHeader {
        session: vec![1; 16],
        attempt: 1,
        range: Some(wire::PatientRange { start: 0, end: 9 }),
        digest: vec![2; 32],
        file_bytes: 100,
        shared_name: "part.h5".into(),
    }
}

/// A change that makes a good header bad.
fn refused(change: impl FnOnce(&mut wire::PartHeader), says: &str) {
    let mut wire = header();
    change(&mut wire);
    let refusal = PartHeader::try_from(wire).expect_err(says);
    assert_eq!(refusal.kind, Kind::Malformed);
    assert!(refusal.message.contains(says), "{}", refusal.message);
}

#[test]
fn what_makes_no_sense_is_refused() {
    PartHeader::try_from(header()).expect("a good header");
    refused(|h| h.session = vec![1; 15], "16 bytes");
    refused(|h| h.range = None, "missing");
    refused(
        |h| h.range = Some(wire::PatientRange { start: 9, end: 9 }),
        "are none",
    );
    refused(|h| h.digest = Vec::new(), "32 bytes");
    for name in ["../x.h5", ".hidden", "a/b", "nul\0", &"x".repeat(201)] {
        refused(|h| h.shared_name = name.into(), "no name for a part");
    }
    let many = vec![wire::PatientRange { start: 0, end: 1 }; 20_000];
    let request = wire::RegisterRequest {
        session: vec![0; 16],
        holding: many,
        ..Default::default()
    };
    let refusal = Registration::try_from(request).expect_err("too many");
    assert!(refusal.message.contains("limit"), "{}", refusal.message);
}

#[test]
fn texts_cannot_command_a_terminal() {
    let request = wire::RegisterRequest {
        session: vec![0; 16],
        name: "\u{1b}[2Jgone".into(),
        machine: Some(wire::Machine::default()),
        ..Default::default()
    };
    let refusal = Registration::try_from(request).expect_err("an escape");
    assert!(refusal.message.contains("control characters"));
    let failed = wire::FailRequest {
        session: vec![0; 16],
        error: "a\u{7}b\nc".repeat(2000),
        ..Default::default()
    };
    let failed = Failed::try_from(failed).expect("a long error is cut");
    assert!(failed.error.starts_with("ab\nc") && failed.error.len() <= 4096);
}
