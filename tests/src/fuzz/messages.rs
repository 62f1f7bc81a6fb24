//! Any bytes as a message of the protocol.

use std::fmt::Debug;

use prost::Message;
use reseed_protocol::messages::{
    Answer, Ask, Failed, PartHeader, Pulse, PulseAnswer, Receipt, Registration, Release, Session,
    Welcome,
};
use reseed_protocol::status::StatusReport;
use reseed_protocol::{Kind, Refusal, wire};
use tonic::{Code, Status};

/// Decodes the bytes as the message that the first byte names, and checks it as the program does.
///
/// # Panics
/// If what was accepted does not come back from the wire.
pub fn messages(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 13 {
        0 => message::<wire::RegisterRequest, Registration>(bytes),
        1 => message::<wire::RegisterResponse, Welcome>(bytes),
        2 => message::<wire::LeaseRequest, Ask>(bytes),
        3 => message::<wire::LeaseResponse, Answer>(bytes),
        4 => message::<wire::HeartbeatRequest, Pulse>(bytes),
        5 => message::<wire::HeartbeatResponse, PulseAnswer>(bytes),
        6 => delivery(bytes),
        7 => message::<wire::DeliverResponse, Receipt>(bytes),
        8 => message::<wire::ReleaseRequest, Release>(bytes),
        9 => message::<wire::FailRequest, Failed>(bytes),
        10 => message::<wire::LeaveRequest, Session>(bytes),
        11 => message::<wire::StatusReport, StatusReport>(bytes),
        _ => refusal(bytes),
    }
}

fn message<W, P>(bytes: &[u8])
where
    W: Message + Default + From<P>,
    P: TryFrom<W, Error = Refusal> + Clone + PartialEq + Debug,
{
    if let Ok(wire) = W::decode(bytes) {
        checked::<W, P>(wire);
    }
}

/// A message is refused with a reason, or comes back from the wire as it is.
fn checked<W, P>(wire: W)
where
    W: Message + Default + From<P>,
    P: TryFrom<W, Error = Refusal> + Clone + PartialEq + Debug,
{
    match P::try_from(wire) {
        Ok(plain) => {
            let bytes = W::from(plain.clone()).encode_to_vec();
            let again = W::decode(bytes.as_slice()).expect("a message that was encoded");
            assert_eq!(P::try_from(again), Ok(plain));
        }
        Err(refusal) => {
            assert_eq!(refusal.kind, Kind::Malformed);
            assert!(!refusal.message.is_empty());
        }
    }
}

fn delivery(bytes: &[u8]) {
    use wire::deliver_request::Content;
    if let Ok(request) = wire::DeliverRequest::decode(bytes)
        && let Some(Content::Header(header)) = request.content
    {
        checked::<wire::PartHeader, PartHeader>(header);
    }
}

/// The details of an error status, whatever they are, make an error; one that a coordinator may
/// send comes back from the wire.
fn refusal(bytes: &[u8]) {
    let (code, details) = bytes.split_first().unwrap_or((&0, &[]));
    let status = Status::with_details(Code::from(i32::from(*code)), "", details.to_vec().into());
    let refusal = Refusal::from(status);
    if refusal.kind != Kind::Unreachable {
        assert_eq!(Refusal::from(Status::from(refusal.clone())), refusal);
    }
}
