//! Real connections on loopback: who gets in, who does not and is told why, and what happens when
//! certificates change or too many come.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::{Request, StatusCode};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use reseed_coordinator::serve::{
    Counters, Limits, ListenError, Listener, Peer, ServerSecurity, TlsFiles, Transport,
    require_operator, serve,
};
use reseed_protocol::channel::{AuthorizedChannel, Connect, ConnectError};
use reseed_protocol::credentials::{Identity, Role, Token};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn workers_and_operators_come_in_by_their_certificates() {
    let house = House::new();
    let server = house.serve(Limits::default(), None);
    let worker = house.client("worker", Some(Role::Worker));
    let mut channel = server.connect(worker).await.expect("a worker");
    assert_eq!(who(&mut channel).await, "worker: Worker");
    let (status, text) = ask(&mut channel, "POST", "/drain").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(text.contains("needs the role operator"), "{text}");
    assert!(text.contains("gives the role worker"), "{text}");

    let operator = house.client("operator", Some(Role::Operator));
    let mut channel = server.connect(operator).await.expect("an operator");
    assert_eq!(who(&mut channel).await, "operator: Operator");
    assert_eq!(ask(&mut channel, "POST", "/drain").await.0, StatusCode::OK);

    let viewer = house.client("scraper", None);
    let mut channel = server.connect(viewer).await.expect("a viewer");
    assert_eq!(who(&mut channel).await, "scraper: Viewer");
}

#[tokio::test]
async fn certificates_of_others_and_old_ones_are_refused_with_the_reason() {
    let house = House::new();
    let server = house.serve(Limits::default(), None);
    let stranger = House::new();
    let foreign = stranger.client("worker", Some(Role::Worker));
    refused(server.connect(foreign).await, "another CA signed it");
    let old = house.leaf(
        "old",
        ExtendedKeyUsagePurpose::ClientAuth,
        Some(Role::Worker),
        -1,
    );
    refused(server.connect(Some(old)).await, "it has expired");
    let no_client = house.leaf(
        "another-server",
        ExtendedKeyUsagePurpose::ServerAuth,
        None,
        9,
    );
    refused(
        server.connect(Some(no_client)).await,
        "not a client's certificate",
    );
    assert_eq!(server.counters.failed_handshakes(), 3);
}

#[tokio::test]
async fn who_shows_nothing_sees_health_only() {
    let house = House::new();
    let server = house.serve(Limits::default(), None);
    let mut channel = server.connect(None).await.expect("a stranger may knock");
    assert_eq!(ask(&mut channel, "GET", "/healthz").await.0, StatusCode::OK);
    let (status, text) = ask(&mut channel, "GET", "/who").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(
        text.contains("neither a client certificate nor a token"),
        "{text}"
    );
    // What does not exist is nobody's business either.
    let (status, _) = ask(&mut channel, "GET", "/absent").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let call = Request::post("/reseed.v1.Coordinator/Lease")
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::empty())
        .expect("a call");
    let answer = channel.oneshot(call).await.expect("an answer");
    assert_eq!(answer.headers()["grpc-status"], "16");
}

#[tokio::test]
async fn the_token_opens_everything_and_a_wrong_one_nothing() {
    let house = House::new();
    let server = house.serve(Limits::default(), Some(TOKEN));
    let with = |text| Connect {
        token: Some(house.secret("token", text)),
        ..server.call(None)
    };
    let right = with(TOKEN).check().expect("https").connect().await;
    let mut channel = right.expect("the right token");
    assert_eq!(who(&mut channel).await, ": Operator");
    assert_eq!(ask(&mut channel, "POST", "/drain").await.0, StatusCode::OK);
    let wrong = with(&TOKEN.replace('0', "1")).check().expect("https");
    let mut channel = wrong.connect().await.expect("strangers may knock");
    let (status, text) = ask(&mut channel, "GET", "/who").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(text.contains("the token is wrong"), "{text}");
}

#[tokio::test]
async fn clients_do_not_trust_another_cas_server_or_another_name() {
    let house = House::new();
    let server = house.serve(Limits::default(), None);
    let stranger = House::new();
    let misled = Connect {
        ca: Some(stranger.path("ca.pem")),
        ..server.call(None)
    };
    refused(
        misled.check().expect("https").connect().await,
        "do not trust",
    );
    let misnamed = Connect {
        url: server.url.replace("localhost", "127.0.0.1"),
        ..server.call(None)
    };
    refused(
        misnamed.check().expect("https").connect().await,
        "reseed keys --host",
    );
    house.server_certificate(-1);
    let server = house.serve(Limits::default(), None);
    refused(
        server.connect(None).await,
        "renew the coordinator's certificate",
    );
}

#[tokio::test]
async fn files_that_do_not_fit_are_named() {
    let house = House::new();
    let server = house.serve(Limits::default(), None);
    let mut mixed = house.client("worker", Some(Role::Worker)).expect("files");
    mixed.key = house.path("server.key");
    refused(
        server.connect(Some(mixed)).await,
        "two files of one identity",
    );
    let plain = Connect {
        url: server.url.replace("https", "http"),
        ca: None,
        ..server.call(None)
    };
    refused(
        plain.check().expect("loopback").connect().await,
        "does not answer like a coordinator",
    );
}

#[tokio::test]
async fn nothing_is_served_in_the_clear_beyond_loopback_unless_meant() {
    let everywhere: SocketAddr = ([0, 0, 0, 0], 0).into();
    let plain = |insecure, token| ServerSecurity {
        transport: Transport::Plain { insecure },
        token,
    };
    let bind = |address, security| Listener::bind(address, security, Limits::default());
    let token = Token::new(TOKEN).ok();
    for token in [None, token] {
        let error = bind(everywhere, plain(false, token)).expect_err("in the clear");
        assert!(matches!(error, ListenError::Clear { .. }), "{error}");
        assert!(error.to_string().contains("--insecure"), "{error}");
    }
    assert_eq!(
        bind(everywhere, plain(true, None)).expect("meant").scheme(),
        "http"
    );
    let loopback = ([127, 0, 0, 1], 0).into();
    let listener = bind(loopback, plain(false, None)).expect("loopback");
    let busy = bind(listener.address(), plain(false, None)).expect_err("taken");
    assert!(
        busy.to_string().contains("cannot listen on 127.0.0.1"),
        "{busy}"
    );

    let house = House::new();
    let nobody = ServerSecurity {
        transport: Transport::Tls(TlsFiles {
            client_ca: None,
            ..house.files()
        }),
        token: None,
    };
    let error = bind(loopback, nobody).expect_err("closed to everybody");
    assert!(matches!(error, ListenError::Closed), "{error}");
}

#[tokio::test]
async fn loopback_in_the_clear_is_for_everybody_on_the_machine_until_there_is_a_token() {
    let open = Server::start(plain_on_loopback(None), Limits::default(), PathBuf::new());
    let mut channel = open.connect_plainly(None).await;
    assert_eq!(who(&mut channel).await, ": Operator");
    let raw = raw_request(
        open.address,
        "GET /who HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    )
    .await;
    assert!(raw.starts_with("HTTP/1.1 403"), "{raw}");
    let raw = raw_request(open.address, "GET /who HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(raw.starts_with("HTTP/1.1 200"), "{raw}");

    let house = House::new();
    let closed = Server::start(
        plain_on_loopback(Some(TOKEN)),
        Limits::default(),
        PathBuf::new(),
    );
    let mut channel = closed.connect_plainly(None).await;
    let (status, _) = ask(&mut channel, "GET", "/who").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let mut channel = closed
        .connect_plainly(Some(house.secret("token", TOKEN)))
        .await;
    assert_eq!(who(&mut channel).await, ": Operator");
}

#[tokio::test]
async fn a_new_server_certificate_is_used_while_old_connections_go_on() {
    let house = House::new();
    let server = house.serve(Limits::default(), None);
    let worker = house.client("worker", Some(Role::Worker));
    let mut old = server.connect(worker.clone()).await.expect("a worker");

    // Broken files change nothing.
    fs::write(house.path("server.pem"), "nothing").expect("room");
    tokio::time::sleep(Duration::from_millis(3500)).await;
    server.connect(worker.clone()).await.expect("as before");

    // A server certificate of another CA shows which one is used.
    let successor = House::new();
    for file in ["server.key", "server.pem"] {
        fs::copy(successor.path(file), house.path(file)).expect("room");
    }
    let trusting = Connect {
        ca: Some(successor.path("ca.pem")),
        ..server.call(worker.clone())
    };
    let trusting = trusting.check().expect("https");
    let start = Instant::now();
    let mut new = loop {
        match trusting.connect().await {
            Ok(channel) => break channel,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(who(&mut new).await, "worker: Worker");
    assert_eq!(who(&mut old).await, "worker: Worker");
    refused(server.connect(worker).await, "do not trust");
}

#[tokio::test]
async fn a_channel_that_mends_itself_reads_renewed_certificates() {
    let house = House::new();
    let server = house.serve(Limits::default(), None);
    let address = server.address;
    let worker = house.client("worker", Some(Role::Worker)).expect("files");
    let mut channel = server
        .connect(Some(worker.clone()))
        .await
        .expect("a worker");
    server.stop().await;

    let successor = House::new();
    let renewed = successor
        .client("worker", Some(Role::Worker))
        .expect("files");
    fs::copy(successor.path("ca.pem"), house.path("ca.pem")).expect("room");
    fs::copy(renewed.certificate, worker.certificate).expect("room");
    fs::copy(renewed.key, worker.key).expect("room");
    let _server = Server::start_at(
        address,
        successor.security(None),
        Limits::default(),
        successor.path("ca.pem"),
    );
    let start = Instant::now();
    let answer = loop {
        let request = Request::get("/who")
            .body(tonic::body::Body::empty())
            .expect("a request");
        match (&mut channel).oneshot(request).await {
            Ok(answer) => break answer,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_handshake_that_takes_for_ever_keeps_nobody_out_and_ends() {
    let house = House::new();
    let limits = Limits {
        handshakes_max: 50,
        handshake_time_max: Duration::from_millis(1500),
        ..Limits::default()
    };
    let server = house.serve(limits, None);
    let mut slow = Vec::new();
    for _ in 0..49 {
        let mut stream = TcpStream::connect(server.address).await.expect("room");
        stream.write_all(&[22, 3, 1]).await.expect("a start");
        slow.push(stream);
    }
    let worker = house.client("worker", Some(Role::Worker));
    let start = Instant::now();
    server.connect(worker.clone()).await.expect("a worker");
    assert!(start.elapsed() < Duration::from_millis(1200));
    assert_eq!(server.counters.failed_handshakes(), 0);
    for stream in &mut slow {
        assert_closed(stream).await;
    }
    assert_eq!(server.counters.failed_handshakes(), 49);

    // With all turns taken, the next is closed at once; later there is room again.
    for _ in 0..50 {
        slow.push(TcpStream::connect(server.address).await.expect("room"));
    }
    until(|| server.counters.open() >= 50).await;
    let mut late = TcpStream::connect(server.address).await.expect("room");
    assert_closed(&mut late).await;
    assert!(server.counters.turned_away() > 0);
    until(|| server.counters.open() <= 1).await;
    server.connect(worker).await.expect("room again");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let limits = Limits {
        connections_max: 2,
        ..Limits::default()
    };
    let server = Server::start(plain_on_loopback(None), limits, PathBuf::new());
    let mut first = server.connect_plainly(None).await;
    let second = TcpStream::connect(server.address).await.expect("room");
    until(|| server.counters.open() == 2).await;
    let mut third = TcpStream::connect(server.address).await.expect("room");
    assert_closed(&mut third).await;
    assert_eq!(server.counters.turned_away(), 1);
    assert_eq!(who(&mut first).await, ": Operator");
    drop(second);
    until(|| server.counters.open() == 1).await;
    let mut next = server.connect_plainly(None).await;
    assert_eq!(who(&mut next).await, ": Operator");
}

#[tokio::test]
async fn the_silent_and_the_unknown_have_to_leave_but_the_known_may_stay() {
    let house = House::new();
    let limits = Limits {
        stranger_time_max: Duration::from_secs(1),
        ..Limits::default()
    };
    let server = house.serve(limits, None);
    let worker = house.client("worker", Some(Role::Worker));
    let mut known = server.connect(worker).await.expect("a worker");
    assert_eq!(who(&mut known).await, "worker: Worker");
    let _unknown = server.connect(None).await.expect("a stranger");
    until(|| server.counters.open() == 1).await;
    assert_eq!(who(&mut known).await, "worker: Worker");
    assert_eq!(server.counters.open(), 1, "no new connection was needed");

    let plain = Server::start(plain_on_loopback(None), limits, PathBuf::new());
    let mut silent = TcpStream::connect(plain.address).await.expect("room");
    silent.write_all(b"PRI * HT").await.expect("a start");
    assert_closed(&mut silent).await;
}

#[tokio::test]
async fn calls_end_before_the_server_does_unless_they_take_too_long() {
    let server = Server::start(plain_on_loopback(None), Limits::default(), PathBuf::new());
    let mut busy = server.connect_plainly(None).await;
    let _idle = server.connect_plainly(None).await;
    let _silent = TcpStream::connect(server.address).await.expect("room");
    let call = tokio::spawn(async move { ask(&mut busy, "GET", "/slow").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    server.stop().await;
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(call.await.expect("no panic").0, StatusCode::OK);

    let server = Server::start(plain_on_loopback(None), Limits::default(), PathBuf::new());
    let mut endless = server.connect_plainly(None).await;
    let call = tokio::spawn(async move {
        let request = Request::get("/endless");
        let request = request.body(tonic::body::Body::empty()).expect("a request");
        (&mut endless).oneshot(request).await.map(|_| ())
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    server.stop().await;
    assert!(start.elapsed() >= GRACE, "{:?}", start.elapsed());
    assert!(start.elapsed() < GRACE * 2, "{:?}", start.elapsed());
    call.await.expect("no panic").expect_err("it was cut off");
}

const GRACE: Duration = Duration::from_secs(3);

/// A small CA with its files.
struct House {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl House {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let certificate = params.self_signed(&key).expect("a certificate");
        let house = Self {
            folder: tempfile::tempdir().expect("room"),
            issuer: Issuer::new(params, key),
        };
        fs::write(house.path("ca.pem"), certificate.pem()).expect("room");
        house.server_certificate(9);
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        write_secret(&path, text);
        path
    }

    fn server_certificate(&self, days: i64) {
        self.leaf("server", ExtendedKeyUsagePurpose::ServerAuth, None, days);
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "as clients are given everywhere here"
    )]
    fn client(&self, name: &str, role: Option<Role>) -> Option<Identity> {
        Some(self.leaf(name, ExtendedKeyUsagePurpose::ClientAuth, role, 9))
    }

    /// A certificate for `localhost` that is good for so many days from now.
    fn leaf(
        &self,
        name: &str,
        usage: ExtendedKeyUsagePurpose,
        role: Option<Role>,
        days: i64,
    ) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let uri = role.map(|role| role.uri().try_into().expect("ASCII"));
        params.subject_alt_names.extend(uri.map(SanType::URI));
        let now = OffsetDateTime::now_utc();
        params.not_before = now - time::Duration::days(20);
        params.not_after = now + time::Duration::days(days);
        let certificate = params.signed_by(&key, &self.issuer).expect("a signature");
        let identity = Identity {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        };
        fs::write(&identity.certificate, certificate.pem()).expect("room");
        write_secret(&identity.key, &key.serialize_pem());
        identity
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            identity: Identity {
                certificate: self.path("server.pem"),
                key: self.path("server.key"),
            },
            client_ca: Some(self.path("ca.pem")),
        }
    }

    fn security(&self, token: Option<&str>) -> ServerSecurity {
        ServerSecurity {
            transport: Transport::Tls(self.files()),
            token: token.map(|text| Token::new(text).expect("a token")),
        }
    }

    fn serve(&self, limits: Limits, token: Option<&str>) -> Server {
        Server::start(self.security(token), limits, self.path("ca.pem"))
    }
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).expect("room");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("own file");
}

fn plain_on_loopback(token: Option<&str>) -> ServerSecurity {
    ServerSecurity {
        transport: Transport::Plain { insecure: false },
        token: token.map(|text| Token::new(text).expect("a token")),
    }
}

/// A server in this process.
struct Server {
    address: SocketAddr,
    url: String,
    ca: PathBuf,
    counters: Arc<Counters>,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(security: ServerSecurity, limits: Limits, ca: PathBuf) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), security, limits, ca)
    }

    fn start_at(
        address: SocketAddr,
        security: ServerSecurity,
        limits: Limits,
        ca: PathBuf,
    ) -> Self {
        let listener = Listener::bind(address, security, limits).expect("a free port");
        let address = listener.address();
        let url = format!("{}://localhost:{}", listener.scheme(), address.port());
        let counters = listener.counters();
        let (shutdown, stopped) = oneshot::channel();
        let stop = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, router(), stop, GRACE));
        Self {
            address,
            url,
            ca,
            counters,
            shutdown,
            task,
        }
    }

    fn call(&self, identity: Option<Identity>) -> Connect {
        Connect {
            url: self.url.clone(),
            ca: Some(self.ca.clone()),
            identity,
            ..Connect::default()
        }
    }

    async fn connect(&self, identity: Option<Identity>) -> Result<AuthorizedChannel, ConnectError> {
        self.call(identity).check()?.connect().await
    }

    async fn connect_plainly(&self, token: Option<PathBuf>) -> AuthorizedChannel {
        let connect = Connect {
            url: self.url.clone(),
            token,
            ..Connect::default()
        };
        let target = connect.check().expect("loopback");
        target.connect().await.expect("a server")
    }

    async fn stop(self) {
        self.shutdown.send(()).expect("it runs");
        self.task.await.expect("no panic");
    }
}

fn router() -> Router {
    Router::new()
        .route("/healthz", get(|| async { "well" }))
        .route("/who", get(name))
        .route("/drain", post(drain))
        .route(
            "/slow",
            get(|| tokio::time::sleep(Duration::from_millis(700))),
        )
        .route("/endless", get(std::future::pending::<()>))
}

async fn name(Extension(peer): Extension<Peer>) -> String {
    let name = peer.certificate.as_ref();
    let name = name.map_or("", |certificate| &certificate.common_name);
    format!("{name}: {:?}", peer.role.expect("somebody known"))
}

async fn drain(Extension(peer): Extension<Peer>) -> Response {
    match require_operator(&peer) {
        Ok(()) => "drained".into_response(),
        Err(forbidden) => forbidden.into_response(),
    }
}

async fn ask(channel: &mut AuthorizedChannel, method: &str, path: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(tonic::body::Body::empty()).expect("a request");
    let answer = channel.oneshot(request).await.expect("an answer");
    let status = answer.status();
    let body = to_bytes(Body::new(answer.into_body()), 1 << 16).await;
    let text = String::from_utf8(body.expect("a short body").to_vec()).expect("text");
    (status, text)
}

async fn who(channel: &mut AuthorizedChannel) -> String {
    ask(channel, "GET", "/who").await.1
}

async fn raw_request(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("room");
    stream.write_all(request.as_bytes()).await.expect("room");
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[track_caller]
fn refused(result: Result<AuthorizedChannel, ConnectError>, words: &str) {
    let error = result.expect_err("a refusal").to_string();
    assert!(error.contains(words), "{error}");
}

/// The server has closed the connection, or does soon.
async fn assert_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    // An end or a reset, which one depends on what was still unread.
    let _ = end.expect("the connection ends");
}

async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it takes too long"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
