//! gRPC calls of a worker: plain messages out, plain messages or refusals back.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use reseed_protocol::channel::{AuthorizedChannel, Whereabouts};
use reseed_protocol::messages::{
    Answer, Ask, Failed, PartHeader, Pulse, PulseAnswer, Receipt, Registration, Release, Session,
    Welcome,
};
use reseed_protocol::wire::coordinator_client::CoordinatorClient;
use reseed_protocol::{CHUNK_BYTES, Kind, MESSAGE_BYTES_MAX, Refusal, wire};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::spool::Finished;

/// Longest time of a call.
const CALL_TIME_MAX: Duration = Duration::from_secs(20);
/// Longest time of a delivery, and for each megabyte besides. It may have to wait for those of
/// many other workers; that the connection is lost is noticed much earlier, as it is kept alive.
const DELIVERY_TIME_MAX: Duration = Duration::from_mins(10);
const MEGABYTE_TIME_MAX: Duration = Duration::from_secs(4);

/// A connection to a coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    client: CoordinatorClient<AuthorizedChannel>,
}

impl Line {
    /// Connects and introduces the worker.
    pub(crate) async fn register(
        coordinator: &Whereabouts,
        registration: Registration,
    ) -> Result<(Self, Welcome), Refusal> {
        let channel = coordinator.connect().await.map_err(|error| {
            let kind = if coordinator.may_pass(&error) {
                Kind::Unreachable
            } else {
                Kind::Denied
            };
            Refusal::new(kind, error.to_string())
        })?;
        let client = CoordinatorClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let mut line = Self { client };
        let request = timed(wire::RegisterRequest::from(registration));
        let welcome = plain(line.client.register(request).await)?;
        Ok((line, welcome))
    }

    pub(crate) async fn ask(mut self, ask: Ask) -> Result<Answer, Refusal> {
        plain(
            self.client
                .lease(timed(wire::LeaseRequest::from(ask)))
                .await,
        )
    }

    pub(crate) async fn pulse(mut self, pulse: Pulse) -> Result<PulseAnswer, Refusal> {
        let request = timed(wire::HeartbeatRequest::from(pulse));
        plain(self.client.heartbeat(request).await)
    }

    pub(crate) async fn release(mut self, release: Release) -> Result<(), Refusal> {
        let request = timed(wire::ReleaseRequest::from(release));
        self.client.release(request).await?;
        Ok(())
    }

    pub(crate) async fn fail(mut self, failed: Failed) -> Result<(), Refusal> {
        let request = timed(wire::FailRequest::from(failed));
        self.client.fail(request).await?;
        Ok(())
    }

    pub(crate) async fn leave(mut self, session: Session) -> Result<(), Refusal> {
        let request = timed(wire::LeaveRequest::from(session));
        self.client.leave(request).await?;
        Ok(())
    }

    /// Delivers a part: its name in the shared folder, or its bytes.
    pub(crate) async fn deliver(
        mut self,
        header: PartHeader,
        part: Finished,
    ) -> Result<Receipt, Refusal> {
        let megabytes = u32::try_from(header.file_bytes >> 20).unwrap_or(u32::MAX);
        let time = DELIVERY_TIME_MAX + MEGABYTE_TIME_MAX.saturating_mul(megabytes);
        let (sender, messages) = mpsc::channel(4);
        let bytes_follow = header.shared_name.is_none();
        spawn_blocking(move || {
            let header = wire::deliver_request::Content::Header(header.into());
            // If nobody listens any more, the call has ended.
            if send(&sender, header) && bytes_follow {
                send_file(&sender, &part);
            }
        });
        let mut request = Request::new(ReceiverStream::new(messages));
        request.set_timeout(time);
        plain(self.client.deliver(request).await)
    }
}

type Messages = mpsc::Sender<wire::DeliverRequest>;

fn send(sender: &Messages, content: wire::deliver_request::Content) -> bool {
    let message = wire::DeliverRequest {
        content: Some(content),
    };
    sender.blocking_send(message).is_ok()
}

/// Sends a file. If it cannot be read, too few bytes arrive, and the coordinator says so.
fn send_file(sender: &Messages, part: &Finished) {
    let Ok(mut file) = File::open(&part.path) else {
        return;
    };
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        match (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if !send(sender, wire::deliver_request::Content::Chunk(chunk)) {
                    return;
                }
            }
        }
    }
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIME_MAX);
    request
}

fn plain<W, P: TryFrom<W, Error = Refusal>>(
    answer: Result<Response<W>, Status>,
) -> Result<P, Refusal> {
    P::try_from(answer?.into_inner())
}
