//! One port for everything: connections, their encryption and their limits.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use reseed_protocol::credentials::{CredentialError, Token};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::auth::{Clear, Guard, Peer, PeerCertificate};
use super::tls::{self, Followed, TlsFiles};

/// Longest time for the head of an HTTP/1.1 request, from the end of the one before.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// Largest head of an HTTP/1.1 request, bytes.
const HEAD_LEN_MAX: usize = 64 << 10;

/// Largest header list of an HTTP/2 request, bytes.
const HEADERS_LEN_MAX: u32 = 16 << 10;

/// Calls at a time on one connection.
const STREAMS_MAX: u32 = 256;

/// Bytes that a connection may send ahead of those who read them, and each of its calls.
const WINDOW_LEN: u32 = 1 << 20;

/// How long an HTTP/2 connection is quiet before it is asked whether it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long the answer may take.
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(10);

/// Connections that the system keeps while we are busy: all workers may come back at once.
const BACKLOG: u32 = 4096;

/// How long to wait when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who may connect, and how they prove who they are.
#[derive(Debug)]
pub struct ServerSecurity {
    /// Whether connections are encrypted.
    pub transport: Transport,
    /// Whoever presents this token may do everything.
    pub token: Option<Token>,
}

/// How connections are protected.
#[derive(Debug)]
pub enum Transport {
    /// Not at all.
    Plain {
        /// Whether this is meant beyond loopback: in a network that is trusted, or behind a proxy
        /// that encrypts.
        insecure: bool,
    },
    /// With TLS 1.3.
    Tls(TlsFiles),
}

/// How many may come.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; more are closed at once.
    pub connections_max: usize,
    /// TLS handshakes at a time; more are closed at once.
    pub handshakes_max: usize,
    /// Longest time for a TLS handshake.
    pub handshake_time_max: Duration,
    /// How long a connection may stay on which nobody has shown who they are. Probes are done by
    /// then; whoever is silent, slow or curious makes room.
    pub stranger_time_max: Duration,
    /// Longest time of a call until its answer begins, deliveries excepted.
    pub call_time_max: Duration,
    /// Longest silence within a delivery, and longest time of its bytes, for which
    /// [`megabyte_time_max`](Self::megabyte_time_max) comes on top.
    pub delivery_time_max: Duration,
    /// What the bytes of a delivery may take besides, for each MiB announced.
    pub megabyte_time_max: Duration,
    /// How long a delivery may wait for its turn, to be received and to be committed.
    pub turn_time_max: Duration,
    /// Parts that are received at a time; others wait for their turn.
    pub deliveries_max: usize,
    /// How many of them may come over one connection. A worker sends four at a time.
    pub deliveries_per_connection_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 16_384,
            handshakes_max: 2_000,
            handshake_time_max: Duration::from_secs(10),
            stranger_time_max: Duration::from_secs(30),
            call_time_max: Duration::from_secs(20),
            delivery_time_max: Duration::from_secs(30),
            megabyte_time_max: Duration::from_secs(4),
            turn_time_max: Duration::from_mins(1),
            deliveries_max: 256,
            deliveries_per_connection_max: 8,
        }
    }
}

/// What happens at the door, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    open: AtomicU64,
    turned_away: AtomicU64,
    failed_handshakes: AtomicU64,
}

impl Counters {
    /// Connections that are open now, handshakes included.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections that were closed at once because there were too many.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// TLS handshakes that failed or took too long.
    pub fn failed_handshakes(&self) -> u64 {
        self.failed_handshakes.load(Ordering::Relaxed)
    }
}

/// Why nothing is served.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Everybody could read and change what is sent.
    #[error(
        "will not serve {address} in the clear (others on the network could read and change \
         results), give a certificate and key as `reseed keys` makes them, listen on 127.0.0.1, \
         or say --insecure in a network you trust"
    )]
    Clear {
        /// Where it should listen.
        address: SocketAddr,
    },
    /// There would be no way to prove who one is.
    #[error(
        "nobody could prove who they are (there is neither a client CA nor a token), \
         give the ca.pem that signs clients, or a token"
    )]
    Closed,
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The system does not give the address.
    #[error(
        "cannot listen on {address} ({source}), choose an address of this machine and a free port"
    )]
    Bind {
        /// Where it should listen.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// A port that is ready to be served.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Followed>,
    guard: Guard,
    limits: Limits,
    counters: Arc<Counters>,
}

impl Listener {
    /// Takes the port; call it within a runtime. Port 0 is any free one.
    ///
    /// # Errors
    /// If that would serve others in the clear without being meant, if nobody could be admitted,
    /// or if the certificate or the address cannot be used.
    pub fn bind(
        address: SocketAddr,
        security: ServerSecurity,
        limits: Limits,
    ) -> Result<Self, ListenError> {
        let is_loopback = address.ip().to_canonical().is_loopback();
        let (clear, files) = match security.transport {
            Transport::Plain { .. } if is_loopback => (Clear::Loopback, None),
            Transport::Plain { insecure: true } => (Clear::Trusted, None),
            Transport::Plain { insecure: false } => return Err(ListenError::Clear { address }),
            Transport::Tls(files) if files.client_ca.is_none() && security.token.is_none() => {
                return Err(ListenError::Closed);
            }
            Transport::Tls(files) => (Clear::Never, Some(files)),
        };
        let tls = files.map(tls::follow).transpose()?;
        Self::take(address, tls, Guard::new(security.token, clear), limits)
    }

    /// Takes a port for those who have no certificates: probes, and monitoring. It serves them in
    /// the clear, and nothing but health and metrics.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub fn bind_probes(address: SocketAddr, limits: Limits) -> Result<Self, ListenError> {
        Self::take(address, None, Guard::new(None, Clear::Probes), limits)
    }

    fn take(
        address: SocketAddr,
        tls: Option<Followed>,
        guard: Guard,
        limits: Limits,
    ) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Bind { address, source };
        let socket = listen(address).map_err(failed)?;
        Ok(Self {
            address: socket.local_addr().map_err(failed)?,
            socket,
            tls,
            guard,
            limits,
            counters: Arc::default(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// What happens at the door from now on.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A successor takes the port while connections of its predecessor are still being forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown` is there, then lets calls end for up to `grace` and cuts the rest off.
///
/// Every request that reaches the router has been admitted and carries its [`Peer`].
pub async fn serve(
    listener: Listener,
    router: Router,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) {
    let (closing, closes) = watch::channel(());
    let socket = listener.socket;
    let door = Door {
        connections: Arc::new(Semaphore::new(listener.limits.connections_max)),
        handshakes: Arc::new(Semaphore::new(listener.limits.handshakes_max)),
        tls: listener.tls,
        house: Arc::new(House {
            router,
            guard: listener.guard,
            protocol: protocol(),
            limits: listener.limits,
            counters: listener.counters,
            complaints: Seldom::default(),
        }),
        closes,
    };
    let mut shutdown = pin!(shutdown);
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = visits.join_next(), if !visits.is_empty() => note(ended),
            arrived = socket.accept() => match arrived {
                Ok((stream, address)) => {
                    if let Some(visit) = door.open(stream, address) {
                        visits.spawn(visit);
                    }
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
    drop((socket, door));
    closing.send_replace(());
    let all_left = async {
        while let Some(ended) = visits.join_next().await {
            note(ended);
        }
    };
    if tokio::time::timeout(grace, all_left).await.is_err() {
        tracing::warn!("{} connections are cut off", visits.len());
        visits.shutdown().await;
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a connection ended by a fault of the program: {error}");
    }
}

/// One connection that cannot be accepted is no reason to stop; having no more file descriptors
/// is a reason to wait.
async fn pause_after(error: &io::Error) {
    let of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !of_one_connection {
        tracing::error!("cannot accept connections ({error}), trying again");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_LEN_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_LEN_MAX)
        .initial_stream_window_size(WINDOW_LEN)
        .initial_connection_window_size(WINDOW_LEN);
    builder
}

/// Where connections come in: counts them and has their handshakes done.
struct Door {
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    tls: Option<Followed>,
    house: Arc<House>,
    closes: watch::Receiver<()>,
}

impl Door {
    /// What becomes of a connection; none if there are too many.
    fn open(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let place = Arc::clone(&self.connections).try_acquire_owned().ok();
        let handshake = match &self.tls {
            None => Some(None),
            Some(config) => Arc::clone(&self.handshakes)
                .try_acquire_owned()
                .ok()
                .map(|turn| Some((TlsAcceptor::from(Arc::clone(&config.borrow())), turn))),
        };
        let (Some(place), Some(handshake)) = (place, handshake) else {
            self.house.turn_away(address);
            return None;
        };
        let house = Arc::clone(&self.house);
        let closes = self.closes.clone();
        Some(async move {
            let _counted = Counted::new(&house.counters.open);
            let _place = place;
            house.receive(stream, address, handshake, closes).await;
        })
    }
}

/// What all connections share.
struct House {
    router: Router,
    guard: Guard,
    protocol: auto::Builder<TokioExecutor>,
    limits: Limits,
    counters: Arc<Counters>,
    complaints: Seldom,
}

type Handshake = (TlsAcceptor, OwnedSemaphorePermit);

impl House {
    async fn receive(
        self: &Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        handshake: Option<Handshake>,
        mut closes: watch::Receiver<()>,
    ) {
        // Without it the connection works too, slower.
        let _ = stream.set_nodelay(true);
        let Some((acceptor, turn)) = handshake else {
            return self.converse(stream, address, None, closes).await;
        };
        let shaking = tokio::time::timeout(self.limits.handshake_time_max, acceptor.accept(stream));
        let shaken = tokio::select! {
            shaken = shaking => shaken,
            _ = closes.changed() => return,
        };
        drop(turn);
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.handshake_failed(address, &error.to_string()),
            Err(_) => return self.handshake_failed(address, "it took too long"),
        };
        let shown = stream.get_ref().1.peer_certificates();
        let certificate = match shown.and_then(<[_]>::first) {
            None => None,
            Some(shown) => match PeerCertificate::of(shown) {
                None => return self.handshake_failed(address, "its certificate is unreadable"),
                read => read.map(Arc::new),
            },
        };
        self.converse(stream, address, certificate, closes).await;
    }

    /// Answers requests until the peer has no more, nobody is there, or the house closes.
    async fn converse<S>(
        self: &Arc<Self>,
        stream: S,
        address: SocketAddr,
        certificate: Option<Arc<PeerCertificate>>,
        mut closes: watch::Receiver<()>,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let visitor = Arc::new(Visitor {
            address,
            certificate,
            known: AtomicBool::new(false),
            deliveries: Arc::new(Semaphore::new(self.limits.deliveries_per_connection_max)),
        });
        let service = {
            let house = Arc::clone(self);
            let visitor = Arc::clone(&visitor);
            service_fn(move |request| Arc::clone(&house).answer(Arc::clone(&visitor), request))
        };
        let io = TokioIo::new(stream);
        let mut connection = pin!(self.protocol.serve_connection(io, service));
        let mut stranger = pin!(tokio::time::sleep(self.limits.stranger_time_max));
        let mut judged = false;
        let mut closing = false;
        loop {
            tokio::select! {
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!(peer = %address, "a connection ended: {error}");
                    }
                    return;
                }
                () = &mut stranger, if !judged => {
                    judged = true;
                    if !visitor.known.load(Ordering::Relaxed) {
                        tracing::debug!(peer = %address, "nobody showed who they are");
                        return;
                    }
                }
                _ = closes.changed(), if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        visitor: Arc<Visitor>,
        mut request: Request<Incoming>,
    ) -> Result<Response, Infallible> {
        let role = match self.guard.admit(visitor.certificate.as_deref(), &request) {
            Ok(role) => role,
            Err(refusal) => {
                tracing::debug!(peer = %visitor.address, path = request.uri().path(), "{refusal}");
                return Ok(self.guard.refuse(refusal, &request));
            }
        };
        if role.is_some() {
            visitor.known.store(true, Ordering::Relaxed);
        }
        request.extensions_mut().insert(Peer {
            address: visitor.address,
            certificate: visitor.certificate.clone(),
            role,
            deliveries: Arc::clone(&visitor.deliveries),
        });
        self.router.clone().oneshot(request.map(Body::new)).await
    }

    fn turn_away(&self, address: SocketAddr) {
        self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
        if self.complaints.may() {
            tracing::warn!(peer = %address, "too many connections; new ones are closed");
        }
    }

    fn handshake_failed(&self, address: SocketAddr, problem: &str) {
        let counter = &self.counters.failed_handshakes;
        counter.fetch_add(1, Ordering::Relaxed);
        if self.complaints.may() {
            tracing::warn!(peer = %address, "a TLS handshake failed: {problem}");
        }
    }
}

/// One connection's peer.
struct Visitor {
    address: SocketAddr,
    certificate: Option<Arc<PeerCertificate>>,
    /// Whether a request was admitted for what it proved.
    known: AtomicBool,
    /// Turns for what this connection delivers.
    deliveries: Arc<Semaphore>,
}

/// Counts something as long as it lives.
struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Once a second at most, so that strangers cannot fill a disk with complaints about them.
#[derive(Default)]
struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    fn may(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1));
        if may {
            *last = Some(Instant::now());
        }
        may
    }
}
