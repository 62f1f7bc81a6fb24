//! The error of every call.

use prost::Message;
use thiserror::Error;
use tonic::{Code, Status};

use crate::wire;

/// Why a call was refused, and what may help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong.
    pub kind: Kind,
    /// Whether to try again.
    pub retry: Retry,
    /// A sentence for people.
    pub message: String,
}

/// What is wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A message that contradicts itself.
    Malformed,
    /// The caller has to register first.
    UnknownSession,
    /// Another version of reseed or of the model.
    Version,
    /// Wrong or missing credentials.
    Denied,
    /// More than a limit allows.
    Limit,
    /// A part that is damaged or contradicts itself.
    Damaged,
    /// A part that belongs to another run or plan.
    Foreign,
    /// The store cannot take a part now.
    Store,
    /// The run has ended.
    Ended,
    /// Two computations of the same patients differ.
    Conflict,
    /// No answer came; nobody knows whether the call arrived. Never sent.
    Unreachable,
    /// No answer came in time, but the connection may be sound. Never sent.
    Late,
}

/// Whether the same call may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// After a while.
    Here,
    /// Not from this worker: another one should do the work.
    Elsewhere,
    /// Not at all.
    Never,
}

impl Kind {
    /// Whether a retry makes sense after a refusal of this kind.
    pub fn retry(self) -> Retry {
        match self {
            Self::UnknownSession | Self::Store | Self::Limit | Self::Unreachable | Self::Late => {
                Retry::Here
            }
            Self::Damaged | Self::Foreign => Retry::Elsewhere,
            Self::Malformed | Self::Version | Self::Denied | Self::Ended | Self::Conflict => {
                Retry::Never
            }
        }
    }

    fn code(self) -> Code {
        match self {
            Self::Malformed => Code::InvalidArgument,
            Self::UnknownSession | Self::Version | Self::Ended => Code::FailedPrecondition,
            Self::Denied => Code::PermissionDenied,
            Self::Limit => Code::ResourceExhausted,
            Self::Damaged | Self::Foreign => Code::DataLoss,
            Self::Store | Self::Unreachable => Code::Unavailable,
            Self::Conflict => Code::Aborted,
            Self::Late => Code::DeadlineExceeded,
        }
    }
}

impl Refusal {
    /// A refusal of a kind, with the retry that suits it.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            retry: kind.retry(),
            message: message.into(),
        }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, message)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let details = wire::Refusal {
            kind: wire_kind(refusal.kind).into(),
            retry: match refusal.retry {
                Retry::Here => wire::refusal::Retry::Here,
                Retry::Elsewhere => wire::refusal::Retry::Elsewhere,
                Retry::Never => wire::refusal::Retry::Never,
            }
            .into(),
            message: refusal.message.clone(),
        };
        Self::with_details(
            refusal.kind.code(),
            refusal.message,
            details.encode_to_vec().into(),
        )
    }
}

impl From<Status> for Refusal {
    /// Reads the details; statuses without any come from the transport or from something that
    /// is no coordinator.
    fn from(status: Status) -> Self {
        let details = wire::Refusal::decode(status.details()).ok();
        let known = details
            .filter(|_| !status.details().is_empty())
            .and_then(|details| Some((plain_kind(details.kind())?, details)));
        match known {
            Some((kind, details)) => Self {
                kind,
                retry: match details.retry() {
                    wire::refusal::Retry::Elsewhere => Retry::Elsewhere,
                    wire::refusal::Retry::Never => Retry::Never,
                    wire::refusal::Retry::Here | wire::refusal::Retry::Unspecified => Retry::Here,
                },
                message: details.message,
            },
            None => Self::new(kind_of_code(status.code()), told(&status)),
        }
    }
}

/// What a status without details means.
fn kind_of_code(code: Code) -> Kind {
    match code {
        Code::Unauthenticated | Code::PermissionDenied => Kind::Denied,
        Code::Unimplemented | Code::InvalidArgument => Kind::Malformed,
        // A deadline that passes on this side is a cancellation to tonic.
        Code::DeadlineExceeded | Code::Cancelled => Kind::Late,
        _ => Kind::Unreachable,
    }
}

fn told(status: &Status) -> String {
    match status.code() {
        Code::Unimplemented => {
            "the server does not know this call (it is no reseed coordinator, or another \
             version); check the URL"
                .into()
        }
        code if status.message().is_empty() => code.description().into(),
        _ => status.message().into(),
    }
}

fn wire_kind(kind: Kind) -> wire::refusal::Kind {
    match kind {
        Kind::Malformed => wire::refusal::Kind::Malformed,
        Kind::UnknownSession => wire::refusal::Kind::UnknownSession,
        Kind::Version => wire::refusal::Kind::Version,
        Kind::Denied => wire::refusal::Kind::Denied,
        Kind::Limit => wire::refusal::Kind::Limit,
        Kind::Damaged => wire::refusal::Kind::Damaged,
        Kind::Foreign => wire::refusal::Kind::Foreign,
        Kind::Store => wire::refusal::Kind::Store,
        Kind::Ended => wire::refusal::Kind::Ended,
        Kind::Conflict => wire::refusal::Kind::Conflict,
        Kind::Unreachable | Kind::Late => wire::refusal::Kind::Unspecified,
    }
}

fn plain_kind(kind: wire::refusal::Kind) -> Option<Kind> {
    Some(match kind {
        wire::refusal::Kind::Unspecified => return None,
        wire::refusal::Kind::Malformed => Kind::Malformed,
        wire::refusal::Kind::UnknownSession => Kind::UnknownSession,
        wire::refusal::Kind::Version => Kind::Version,
        wire::refusal::Kind::Denied => Kind::Denied,
        wire::refusal::Kind::Limit => Kind::Limit,
        wire::refusal::Kind::Damaged => Kind::Damaged,
        wire::refusal::Kind::Foreign => Kind::Foreign,
        wire::refusal::Kind::Store => Kind::Store,
        wire::refusal::Kind::Ended => Kind::Ended,
        wire::refusal::Kind::Conflict => Kind::Conflict,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 10] = [
        Kind::Malformed,
        Kind::UnknownSession,
        Kind::Version,
        Kind::Denied,
        Kind::Limit,
        Kind::Damaged,
        Kind::Foreign,
        Kind::Store,
        Kind::Ended,
        Kind::Conflict,
    ];

    #[test]
    fn refusals_survive_the_wire() {
        for kind in KINDS {
            for retry in [Retry::Here, Retry::Elsewhere, Retry::Never] {
                let refusal = Refusal {
                    kind,
                    retry,
                    message: format!("{kind:?} is told"),
                };
                assert_eq!(Refusal::from(Status::from(refusal.clone())), refusal);
            }
        }
    }

    #[test]
    fn errors_of_the_transport_may_pass() {
        let refusal = Refusal::from(Status::unavailable("connection refused"));
        assert_eq!(
            (refusal.kind, refusal.retry),
            (Kind::Unreachable, Retry::Here)
        );
        assert_eq!(refusal.message, "connection refused");
        let refusal = Refusal::from(Status::unauthenticated("token"));
        assert_eq!((refusal.kind, refusal.retry), (Kind::Denied, Retry::Never));
        let garbage = Status::with_details(Code::Internal, "x", vec![0xff; 9].into());
        assert_eq!(Refusal::from(garbage).kind, Kind::Unreachable);
    }

    #[tokio::test]
    async fn a_deadline_that_passes_is_not_a_lost_connection() {
        // It takes connections and never says a word.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
        let channel = endpoint.expect("a URL").connect_lazy();
        let mut client = wire::coordinator_client::CoordinatorClient::new(channel);
        let mut request = tonic::Request::new(wire::LeaveRequest::default());
        request.set_timeout(std::time::Duration::from_millis(50));
        let status = client.leave(request).await.expect_err("nobody answers");
        assert_eq!(Refusal::from(status).kind, Kind::Late);
        let late = Refusal::new(Kind::Late, "too long");
        assert_eq!(Refusal::from(Status::from(late.clone())), late);
    }
}
