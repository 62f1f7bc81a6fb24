//! Calls as they travel: bytes there, bytes or a status back, translated by the code that real
//! coordinators and workers use.

use prost::Message;
use reseed_coordinator::{Announced, Incoming, Millis};
use reseed_protocol::messages::{
    Ask, Failed, PartHeader, Pulse, Receipt, Registration, Release, Session,
};
use reseed_protocol::{Kind, Refusal, wire};
use reseed_worker::{Call, Event};
use tonic::{Code, Status};

use super::disk::SimulatedFolder;

/// The service of a simulated coordinator.
pub(super) type Service = reseed_coordinator::Service<SimulatedFolder>;

/// What a worker says.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Register(Registration),
    Ask(Ask),
    Pulse(Pulse),
    Release(Release),
    Fail(Failed),
    Leave(Session),
    /// With the bytes that follow, in pieces.
    Deliver(PartHeader, Vec<Vec<u8>>),
}

/// Which call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Register,
    Ask,
    Pulse,
    Release,
    Fail,
    Leave,
    Deliver,
}

/// What comes back.
pub(super) type Answered = Result<Vec<u8>, (Code, String, Vec<u8>)>;

impl Request {
    pub(super) fn method(&self) -> Method {
        match self {
            Self::Register(_) => Method::Register,
            Self::Ask(_) => Method::Ask,
            Self::Pulse(_) => Method::Pulse,
            Self::Release(_) => Method::Release,
            Self::Fail(_) => Method::Fail,
            Self::Leave(_) => Method::Leave,
            Self::Deliver(..) => Method::Deliver,
        }
    }

    /// The messages that it consists of.
    pub(super) fn encode(self) -> Vec<Vec<u8>> {
        match self {
            Self::Register(plain) => vec![wire::RegisterRequest::from(plain).encode_to_vec()],
            Self::Ask(plain) => vec![wire::LeaseRequest::from(plain).encode_to_vec()],
            Self::Pulse(plain) => vec![wire::HeartbeatRequest::from(plain).encode_to_vec()],
            Self::Release(plain) => vec![wire::ReleaseRequest::from(plain).encode_to_vec()],
            Self::Fail(plain) => vec![wire::FailRequest::from(plain).encode_to_vec()],
            Self::Leave(plain) => vec![wire::LeaveRequest::from(plain).encode_to_vec()],
            Self::Deliver(header, pieces) => {
                use wire::deliver_request::Content;
                let pieces = pieces.into_iter().map(Content::Chunk);
                let contents = std::iter::once(Content::Header(header.into())).chain(pieces);
                let message = |content| wire::DeliverRequest {
                    content: Some(content),
                };
                contents
                    .map(|content| message(content).encode_to_vec())
                    .collect()
            }
        }
    }
}

/// Answers a call that is one message.
pub(super) fn answer(service: &Service, method: Method, bytes: &[u8], now: Millis) -> Answered {
    match method {
        Method::Register => reply::<wire::RegisterRequest, _, wire::RegisterResponse, _>(
            bytes,
            |plain: Registration| service.register(plain, None, now),
        ),
        Method::Ask => {
            reply::<wire::LeaseRequest, _, wire::LeaseResponse, _>(bytes, |plain: Ask| {
                service.lease(&plain, now)
            })
        }
        Method::Pulse => {
            reply::<wire::HeartbeatRequest, _, wire::HeartbeatResponse, _>(bytes, |plain: Pulse| {
                service.pulse(&plain, now)
            })
        }
        Method::Release => quiet_reply::<wire::ReleaseRequest, _>(bytes, |plain: Release| {
            service.release(&plain, now)
        }),
        Method::Fail => {
            quiet_reply::<wire::FailRequest, _>(bytes, |plain: Failed| service.fail(plain, now))
        }
        Method::Leave => quiet_reply::<wire::LeaveRequest, _>(bytes, |session: Session| {
            service.leave(session, now);
            Ok(())
        }),
        Method::Deliver => unreachable!("a delivery is a stream"),
    }
}

/// The first message of a delivery.
pub(super) fn announce(
    service: &Service,
    bytes: &[u8],
    now: Millis,
) -> Result<(PartHeader, Announced), Refusal> {
    let message = decode::<wire::DeliverRequest>(bytes)?;
    let Some(wire::deliver_request::Content::Header(header)) = message.content else {
        return Err(Refusal::new(
            Kind::Malformed,
            "a part starts with its header",
        ));
    };
    let header = PartHeader::try_from(header)?;
    let announced = service.announce(header.clone(), now)?;
    Ok((header, announced))
}

/// Another message of a delivery.
pub(super) fn receive(
    service: &Service,
    incoming: &mut Incoming,
    bytes: &[u8],
) -> Result<(), Refusal> {
    let message = decode::<wire::DeliverRequest>(bytes)?;
    let Some(wire::deliver_request::Content::Chunk(chunk)) = message.content else {
        return Err(Refusal::new(Kind::Malformed, "a part has one header"));
    };
    service.receive(incoming, &chunk)
}

/// The end of a delivery.
pub(super) fn encode_receipt(receipt: Result<Receipt, Refusal>) -> Answered {
    receipt
        .map(|receipt| wire::DeliverResponse::from(receipt).encode_to_vec())
        .map_err(sent)
}

/// Changes a byte of a chunk, or puts another part's bytes in its place.
pub(super) fn change_chunk(message: &mut Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) {
    let decoded = wire::DeliverRequest::decode(message.as_slice());
    if let Ok(wire::DeliverRequest {
        content: Some(wire::deliver_request::Content::Chunk(mut chunk)),
    }) = decoded
    {
        change(&mut chunk);
        let content = Some(wire::deliver_request::Content::Chunk(chunk));
        *message = wire::DeliverRequest { content }.encode_to_vec();
    }
}

/// What an answer tells the agent. Calls that need none tell it nothing.
pub(super) fn event(call: Call, answered: Answered) -> Event {
    let event = match &call {
        Call::Register => plain::<wire::RegisterResponse, _>(answered).map(Event::Registered),
        Call::Ask => plain::<wire::LeaseResponse, _>(answered).map(Event::Answered),
        Call::Pulse => plain::<wire::HeartbeatResponse, _>(answered).map(Event::Pulsed),
        Call::Deliver { range } => {
            plain::<wire::DeliverResponse, _>(answered).map(|receipt| Event::Taken {
                range: range.clone(),
                receipt,
            })
        }
    };
    event.unwrap_or_else(|refusal| Event::Refused { call, refusal })
}

fn reply<W, P, A, T>(bytes: &[u8], act: impl FnOnce(P) -> Result<T, Refusal>) -> Answered
where
    W: Message + Default,
    P: TryFrom<W, Error = Refusal>,
    A: Message + From<T>,
{
    let message = P::try_from(decode::<W>(bytes).map_err(sent)?).map_err(sent)?;
    let answer = act(message).map_err(sent)?;
    Ok(A::from(answer).encode_to_vec())
}

fn quiet_reply<W, P>(bytes: &[u8], act: impl FnOnce(P) -> Result<(), Refusal>) -> Answered
where
    W: Message + Default,
    P: TryFrom<W, Error = Refusal>,
{
    let message = P::try_from(decode::<W>(bytes).map_err(sent)?).map_err(sent)?;
    act(message).map_err(sent)?;
    Ok(Vec::new())
}

fn decode<W: Message + Default>(bytes: &[u8]) -> Result<W, Refusal> {
    W::decode(bytes).map_err(|error| Refusal::new(Kind::Malformed, error.to_string()))
}

fn sent(refusal: Refusal) -> (Code, String, Vec<u8>) {
    let status = Status::from(refusal);
    (
        status.code(),
        status.message().to_owned(),
        status.details().to_vec(),
    )
}

fn plain<W, P>(answered: Answered) -> Result<P, Refusal>
where
    W: Message + Default,
    P: TryFrom<W, Error = Refusal>,
{
    match answered {
        Ok(bytes) => P::try_from(decode::<W>(&bytes)?),
        Err((code, message, details)) => {
            Err(Status::with_details(code, message, details.into()).into())
        }
    }
}
