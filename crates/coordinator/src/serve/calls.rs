//! gRPC calls: checks who calls, translates, and asks the service.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::middleware::Next;
use reseed_protocol::messages::{
    Ask, Failed, PartHeader, Pulse, Receipt, Registration, Release, Session,
};
use reseed_protocol::wire::coordinator_server::Coordinator;
use reseed_protocol::{Kind, Refusal, trace_context, wire};
use reseed_results::Disk;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use super::auth::{Forbidden, Peer, require_operator, require_worker};
use super::listener::Limits;
use super::metrics::{Call, Metrics};
use super::watching::{Pace, Watching};
use crate::message::{Credential, Millis};
use crate::service::{Announced, Incoming, Service};

/// Parts that are checked and committed at a time, for each processor. HDF5 reads one at a time
/// whatever is asked of it; more would only fill the memory with tallies.
const COMMITS_PER_PROCESSOR: usize = 2;
/// Path of the call whose time depends on what it brings.
const DELIVER: &str = "/reseed.v1.Coordinator/Deliver";
/// Bytes of a part that are held before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// Time since the coordinator started. It only ever goes forward, whatever is done to the clock
/// of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Answers calls.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) service: Arc<Service<Disk>>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    /// Rings whenever a call may have ended the run.
    news: Arc<Notify>,
    limits: Limits,
    deliveries: Semaphore,
    commits: Semaphore,
    watching: Watching,
}

/// The span of a call, within the caller's trace. Who calls and about which shard is recorded
/// once it is known.
macro_rules! call_span {
    ($name:literal, $request:expr) => {{
        let span = info_span!($name, worker = Empty, shard = Empty, attempt = Empty);
        trace_context::adopt(&span, $request.metadata());
        span
    }};
}

type Answered<T> = Result<Response<T>, Status>;

impl Calls {
    pub(crate) fn new(
        service: Arc<Service<Disk>>,
        clock: Clock,
        metrics: Arc<Metrics>,
        news: Arc<Notify>,
        watching: Watching,
        limits: Limits,
    ) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self {
            news,
            service,
            clock,
            metrics,
            limits,
            deliveries: Semaphore::new(limits.deliveries_max),
            commits: Semaphore::new(COMMITS_PER_PROCESSOR * processors),
            watching,
        }
    }

    /// Answers a call that takes microseconds.
    fn answer<W, P, A>(
        &self,
        call: Call,
        request: Request<W>,
        permitted: fn(&Peer) -> Result<(), Forbidden>,
        act: impl FnOnce(&Service<Disk>, P, Millis) -> Result<A, Refusal>,
    ) -> Result<A, Status>
    where
        P: TryFrom<W, Error = Refusal>,
    {
        let _timed = self.metrics.time(call);
        allow(&request, permitted)?;
        let message = P::try_from(request.into_inner())?;
        Ok(act(&self.service, message, self.clock.now())?)
    }

    /// Notes in the present span which worker calls.
    fn record_worker(&self, session: Session) {
        if let Some(worker) = self.service.desk().worker(session) {
            Span::current().record("worker", worker.0);
        }
    }

    /// Does something with files where it keeps nobody waiting.
    async fn with_files<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Service<Disk>, Millis) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let (service, clock) = (Arc::clone(&self.service), self.clock);
        let span = Span::current();
        spawn_blocking(move || span.in_scope(|| act(&service, clock.now())))
            .await
            .map_err(|error| Status::internal(format!("the coordinator failed: {error}")))
    }

    /// Takes a part when there is room for one more at a time.
    async fn deliver_in_turn(
        &self,
        request: Request<Streaming<wire::DeliverRequest>>,
    ) -> Answered<wire::DeliverResponse> {
        let _timed = self.metrics.time(Call::Deliver);
        let own_places = Arc::clone(&allow(&request, require_worker)?.deliveries);
        match self.receive(&own_places, request.into_inner()).await {
            Ok(receipt) => {
                self.metrics.note_receipt(receipt);
                Ok(Response::new(receipt.into()))
            }
            Err(status) => {
                let refusal = Refusal::from(status.clone());
                self.metrics.note_refusal(refusal.kind);
                tracing::warn!(kind = ?refusal.kind, "a part was not taken: {refusal}");
                Err(status)
            }
        }
    }

    async fn receive(
        &self,
        own_places: &Semaphore,
        mut stream: Streaming<wire::DeliverRequest>,
    ) -> Result<Receipt, Status> {
        // Whoever has taken all its own places does not wait for one of all others.
        let _own_turn = self.turn(own_places).await?;
        let _turn = self.turn(&self.deliveries).await?;
        let header = header(self.next(&mut stream).await?)?;
        self.record_worker(header.session);
        let shard = format!("{}..{}", header.range.start, header.range.end);
        let span = Span::current();
        span.record("shard", shard)
            .record("attempt", header.attempt);
        let time_max = self.transfer_time_max(header.file_bytes);
        let announced = self
            .with_files(move |service, now| service.announce(header, now))
            .await??;
        let reception = match announced {
            Announced::Known(receipt) => return Ok(receipt),
            Announced::Wanted(incoming) => Reception {
                service: Arc::clone(&self.service),
                incoming: Some(incoming),
            },
        };
        let reception = timeout(time_max, self.take_bytes(reception, &mut stream))
            .await
            .map_err(|_| too_late("the bytes of a part took too long"))??;
        let _turn_to_commit = self.turn(&self.commits).await?;
        let timed = self.metrics.time(Call::Commit);
        let finish = move |service: &Service<Disk>, now| {
            info_span!("commit").in_scope(|| reception.finish(service, now))
        };
        let finished = self.with_files(finish).await?;
        drop(timed);
        self.news.notify_one();
        Ok(finished?)
    }

    /// Waits for one of these places, which are never all taken for ever: whoever has one has it
    /// for a limited time.
    async fn turn<'a>(&self, places: &'a Semaphore) -> Result<SemaphorePermit<'a>, Status> {
        match timeout(self.limits.turn_time_max, places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(closed)) => Err(Status::internal(closed.to_string())),
            Err(_) => Err(too_late("too many parts are on their way")),
        }
    }

    fn transfer_time_max(&self, bytes: u64) -> Duration {
        let megabytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
        let Limits {
            delivery_time_max,
            megabyte_time_max,
            ..
        } = self.limits;
        delivery_time_max.saturating_add(megabyte_time_max.saturating_mul(megabytes))
    }

    async fn next(
        &self,
        stream: &mut Streaming<wire::DeliverRequest>,
    ) -> Result<Option<wire::DeliverRequest>, Status> {
        timeout(self.limits.delivery_time_max, stream.message())
            .await
            .map_err(|_| too_late("nothing came of a part for too long"))?
    }

    /// Writes what comes after the header.
    async fn take_bytes(
        &self,
        mut reception: Reception,
        stream: &mut Streaming<wire::DeliverRequest>,
    ) -> Result<Reception, Status> {
        let mut buffer = Vec::new();
        while let Some(message) = self.next(stream).await? {
            let Some(wire::deliver_request::Content::Chunk(chunk)) = message.content else {
                return Err(Refusal::new(Kind::Malformed, "a part has one header").into());
            };
            buffer.extend(chunk);
            if buffer.len() >= BUFFER_BYTES {
                reception = self.write(reception, std::mem::take(&mut buffer)).await?;
            }
        }
        self.write(reception, buffer).await
    }

    async fn write(&self, mut reception: Reception, bytes: Vec<u8>) -> Result<Reception, Status> {
        if bytes.is_empty() {
            return Ok(reception);
        }
        let write = move |service: &Service<Disk>, _| {
            let incoming = reception.incoming.as_mut();
            let written = incoming.map_or(Ok(()), |incoming| service.receive(incoming, &bytes));
            written.map(|()| reception)
        };
        Ok(self.with_files(write).await??)
    }
}

/// A part on its way in, which goes away if nothing comes of it: the call is cancelled, the
/// connection breaks, the part is refused.
struct Reception {
    service: Arc<Service<Disk>>,
    incoming: Option<Incoming>,
}

impl Reception {
    fn finish(self, service: &Service<Disk>, now: Millis) -> Result<Receipt, Refusal> {
        match &self.incoming {
            Some(incoming) => service.finish(incoming, now),
            None => Err(Refusal::new(Kind::Malformed, "there is no part")),
        }
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            self.service.abandon(&incoming);
        }
    }
}

fn allow<T>(
    request: &Request<T>,
    permitted: fn(&Peer) -> Result<(), Forbidden>,
) -> Result<&Peer, Status> {
    let peer = request.extensions().get::<Peer>();
    let peer = peer.ok_or_else(|| Status::unauthenticated("nobody knows who calls"))?;
    permitted(peer)?;
    Ok(peer)
}

/// What tells one owner of workers from another.
fn credential<T>(request: &Request<T>) -> Option<Credential> {
    let peer = request.extensions().get::<Peer>()?;
    Some(peer.certificate.as_ref()?.credential)
}

/// Ends every call that is not answered in time; deliveries see to that themselves, by their size.
pub(crate) async fn in_time(
    State(time_max): State<Duration>,
    request: axum::extract::Request,
    next: Next,
) -> axum::response::Response {
    if request.uri().path() == DELIVER {
        return next.run(request).await;
    }
    match timeout(time_max, next.run(request)).await {
        Ok(response) => response,
        Err(_) => too_late("the call took too long").into_http(),
    }
}

/// The caller may try again, on the same connection.
fn too_late(problem: &str) -> Status {
    Refusal::new(Kind::Limit, format!("{problem}, try again later")).into()
}

fn header(message: Option<wire::DeliverRequest>) -> Result<PartHeader, Status> {
    match message.and_then(|message| message.content) {
        Some(wire::deliver_request::Content::Header(header)) => Ok(header.try_into()?),
        _ => Err(Refusal::new(Kind::Malformed, "a part starts with its header").into()),
    }
}

#[tonic::async_trait]
impl Coordinator for Calls {
    async fn register(
        &self,
        request: Request<wire::RegisterRequest>,
    ) -> Answered<wire::RegisterResponse> {
        let _span = call_span!("register", request).entered();
        let name = request.get_ref().name.clone();
        let credential = credential(&request);
        let answer = self.answer(
            Call::Register,
            request,
            require_worker,
            |service, registration: Registration, now| {
                service.register(registration, credential, now)
            },
        );
        match &answer {
            Ok(welcome) => {
                Span::current().record("worker", welcome.worker);
                tracing::info!(name, "a worker registered");
            }
            Err(status) => tracing::warn!(name, "a worker was refused: {}", status.message()),
        }
        Ok(Response::new(answer?.into()))
    }

    async fn lease(&self, request: Request<wire::LeaseRequest>) -> Answered<wire::LeaseResponse> {
        let _span = call_span!("lease", request).entered();
        let answer = self.answer(
            Call::Lease,
            request,
            require_worker,
            |service, ask: Ask, now| {
                self.record_worker(ask.session);
                service.lease(&ask, now)
            },
        )?;
        for grant in &answer.grants {
            tracing::debug!(
                attempt = grant.attempt,
                shard = %format_args!("{}..{}", grant.range.start, grant.range.end),
                purpose = ?grant.purpose,
                "leased a shard"
            );
        }
        Ok(Response::new(answer.into()))
    }

    async fn heartbeat(
        &self,
        request: Request<wire::HeartbeatRequest>,
    ) -> Answered<wire::HeartbeatResponse> {
        let answer = self.answer(
            Call::Heartbeat,
            request,
            require_worker,
            |service, pulse: Pulse, now| service.pulse(&pulse, now),
        )?;
        Ok(Response::new(answer.into()))
    }

    async fn deliver(
        &self,
        request: Request<Streaming<wire::DeliverRequest>>,
    ) -> Answered<wire::DeliverResponse> {
        let span = call_span!("deliver", request);
        self.deliver_in_turn(request).instrument(span).await
    }

    async fn release(
        &self,
        request: Request<wire::ReleaseRequest>,
    ) -> Answered<wire::ReleaseResponse> {
        let _span = call_span!("release", request).entered();
        self.answer(
            Call::Release,
            request,
            require_worker,
            |service, release: Release, now| {
                self.record_worker(release.session);
                service.release(&release, now)
            },
        )?;
        Ok(Response::new(wire::ReleaseResponse {}))
    }

    async fn fail(&self, request: Request<wire::FailRequest>) -> Answered<wire::FailResponse> {
        let _span = call_span!("fail", request).entered();
        self.answer(
            Call::Fail,
            request,
            require_worker,
            |service, failed: Failed, now| {
                self.record_worker(failed.session);
                Span::current().record("attempt", failed.attempt);
                tracing::warn!("a worker failed: {}", failed.error);
                service.fail(failed, now)
            },
        )?;
        self.news.notify_one();
        Ok(Response::new(wire::FailResponse {}))
    }

    async fn leave(&self, request: Request<wire::LeaveRequest>) -> Answered<wire::LeaveResponse> {
        let _span = call_span!("leave", request).entered();
        self.answer(
            Call::Leave,
            request,
            require_worker,
            |service, session: Session, now| {
                self.record_worker(session);
                service.leave(session, now);
                Ok(())
            },
        )?;
        Ok(Response::new(wire::LeaveResponse {}))
    }

    type WatchStream = ReceiverStream<Result<wire::StatusReport, Status>>;

    async fn watch(&self, request: Request<wire::WatchRequest>) -> Answered<Self::WatchStream> {
        // Whoever was let in may look.
        let role = request
            .extensions()
            .get::<Peer>()
            .and_then(|peer| peer.role);
        let interval_ms = request.into_inner().interval_ms;
        let pace = match interval_ms {
            0 => Pace::Once,
            _ => Pace::Every(Duration::from_millis(interval_ms.into())),
        };
        let reports = self
            .watching
            .reports(role, pace, |report| Ok(report.into()));
        let reports = reports.map_err(|error| Refusal::new(Kind::Limit, error.to_string()))?;
        Ok(Response::new(reports))
    }

    async fn drain(&self, request: Request<wire::DrainRequest>) -> Answered<wire::DrainResponse> {
        allow(&request, require_operator)?;
        let which = request.into_inner().worker;
        let workers = self.service.desk().drain(&which);
        tracing::info!(which, workers, "workers were asked to leave");
        let workers = u32::try_from(workers).unwrap_or(u32::MAX);
        Ok(Response::new(wire::DrainResponse { workers }))
    }

    async fn cancel(
        &self,
        request: Request<wire::CancelRequest>,
    ) -> Answered<wire::CancelResponse> {
        allow(&request, require_operator)?;
        let reason = reseed_protocol::prose(&request.into_inner().reason);
        tracing::info!(reason, "the run is cancelled");
        self.service.desk().cancel(reason, self.clock.now());
        self.news.notify_one();
        Ok(Response::new(wire::CancelResponse {}))
    }
}
