//! Calls to a whole coordinator over real connections: each of them ends, whatever the caller
//! does, and none keeps the others waiting.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::body::Body;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reseed_coordinator::serve::{
    Coordination, Limits, Listener, Merge, ServerSecurity, TlsFiles, Transport,
};
use reseed_coordinator::{Rules, Terms};
use reseed_protocol::channel::{AuthorizedChannel, Connect};
use reseed_protocol::credentials::{Identity, Token};
use reseed_protocol::messages::{Machine, PartHeader, Receipt, Registration, Session, Versions};
use reseed_protocol::wire::coordinator_client::CoordinatorClient;
use reseed_protocol::wire::deliver_request::Content;
use reseed_protocol::{Kind, PROTOCOL_REVISION, Refusal, Retry, wire};
use reseed_results::{Layout, RunIdentity};
use reseed_trial::{MODEL_VERSION, Trial};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tower::ServiceExt;

const ENGINE_VERSION: &str = "0.1.0";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const SESSION: Session = Session([7; 16]);

/// Long enough for everything that ends.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_part_that_trickles_in_is_cut_off_and_makes_room() {
    let house = House::open(Limits {
        delivery_time_max: Duration::from_secs(1),
        deliveries_max: 1,
        ..Limits::default()
    });
    let mut slow = house.worker().await;
    let mut other = slow.clone();
    let (drops, trickle) = mpsc::channel(1);
    tokio::spawn(async move {
        while drops.send(vec![0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let start = Instant::now();
    let refusal = in_time(deliver(&mut slow, ReceiverStream::new(trickle))).await;
    let refusal = refusal.expect_err("it takes 50 seconds");
    assert_eq!((refusal.kind, refusal.retry), (Kind::Limit, Retry::Here));
    assert!(refusal.message.contains("took too long"), "{refusal}");
    assert!(start.elapsed() >= Duration::from_secs(1));
    let bytes = tokio_stream::iter([vec![0; 1000]]);
    let refusal = in_time(deliver(&mut other, bytes)).await;
    assert_eq!(refusal.expect_err("no part").kind, Kind::Damaged);
}

#[tokio::test]
async fn one_connection_cannot_take_all_places_for_parts() {
    let house = House::open(Limits {
        deliveries_max: 4,
        deliveries_per_connection_max: 2,
        turn_time_max: Duration::from_secs(2),
        ..Limits::default()
    });
    let greedy = house.worker().await;
    let silent: Vec<_> = (0..6)
        .map(|_| {
            let mut greedy = greedy.clone();
            tokio::spawn(async move { deliver(&mut greedy, tokio_stream::pending()).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Another connection of the same worker: the places are those of connections.
    let mut modest = house.client().await;
    let start = Instant::now();
    let bytes = tokio_stream::iter([vec![0; 1000]]);
    let refusal = in_time(deliver(&mut modest, bytes)).await;
    assert_eq!(refusal.expect_err("no part").kind, Kind::Damaged);
    assert!(start.elapsed() < Duration::from_secs(1));
    // Those who have to wait too long are told so; two go on.
    let mut refused = 0;
    for call in silent {
        if let Ok(ended) = tokio::time::timeout(Duration::from_secs(3), call).await {
            let refusal = ended.expect("no panic").expect_err("no part");
            assert_eq!((refusal.kind, refusal.retry), (Kind::Limit, Retry::Here));
            assert!(refusal.message.contains("too many parts"), "{refusal}");
            refused += 1;
        }
    }
    assert_eq!(refused, 4);
}

#[tokio::test]
async fn a_call_that_never_says_what_it_wants_ends() {
    let house = House::open(Limits {
        call_time_max: Duration::from_millis(500),
        ..Limits::default()
    });
    for call in ["Lease", "Heartbeat", "Drain", "Watch"] {
        let silence = Body::from_stream(tokio_stream::pending::<Result<&[u8], Status>>());
        let request = http::Request::post(format!("/reseed.v1.Coordinator/{call}"))
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::new(silence))
            .expect("a request");
        let answer = in_time(house.channel().await.oneshot(request)).await;
        let answer = answer.expect("an answer");
        let status = Status::from_header_map(answer.headers()).expect("a status");
        assert_eq!(Refusal::from(status).kind, Kind::Limit, "{call}");
    }
}

#[tokio::test]
async fn a_part_is_no_longer_than_one_of_its_run_can_be() {
    let house = House::open(Limits::default());
    let mut worker = house.worker().await;
    let long = PartHeader {
        file_bytes: 1 << 30,
        ..header()
    };
    let refusal = in_time(deliver_as(&mut worker, long, tokio_stream::empty())).await;
    let refusal = refusal.expect_err("too long");
    assert_eq!((refusal.kind, refusal.retry), (Kind::Limit, Retry::Never));
}

#[tokio::test]
async fn probes_hear_when_parts_cannot_be_committed_but_not_where_they_are() {
    let house = House::open(Limits::default());
    let mut worker = house.worker().await;
    assert_eq!(house.health().await, [ServingStatus::Serving; 2]);
    let store = house.store.path().to_string_lossy().into_owned();
    fs::remove_dir_all(house.store.path().join("incoming")).expect("it is empty");
    let bytes = tokio_stream::iter([vec![0; 1000]]);
    let refusal = in_time(deliver(&mut worker, bytes)).await;
    assert_eq!(refusal.expect_err("no folder").kind, Kind::Store);
    in_time(async {
        while house.health().await != [ServingStatus::NotServing; 2] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let known = house.get("/readyz", "").await;
    assert!(
        known.starts_with("HTTP/1.1 503") && known.contains(&store),
        "{known}"
    );

    let house = House::open_with(Limits::default(), Security::Token);
    fs::remove_dir_all(house.store.path().join("incoming")).expect("it is empty");
    let mut worker = house.worker().await;
    let bytes = tokio_stream::iter([vec![0; 1000]]);
    in_time(deliver(&mut worker, bytes))
        .await
        .expect_err("no folder");
    let unknown = house.get("/readyz", "").await;
    assert!(unknown.starts_with("HTTP/1.1 503"), "{unknown}");
    assert!(
        unknown.ends_with("\r\n\r\nparts cannot be committed at present\n"),
        "{unknown}"
    );
}

#[tokio::test]
async fn the_port_for_probes_tells_health_and_metrics_to_anybody_and_nothing_else() {
    let house = House::open_with(Limits::default(), Security::Tls);
    for (path, found) in [
        ("/healthz", "ok\n"),
        ("/readyz", "ready\n"),
        ("/metrics", "# EOF\n"),
    ] {
        let answer = house.probe(path).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.ends_with(found), "{path}: {answer}");
    }
    let url = format!("http://{}", house.probes_address);
    let channel = tonic::transport::Endpoint::from_shared(url).expect("a URL");
    let channel = channel.connect().await.expect("it listens");
    let asked = HealthCheckRequest::default();
    let health = HealthClient::new(channel.clone()).check(asked).await;
    let health = health.expect("an answer").into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);
    for path in ["/", "/status.json", "/events", "/metrics/"] {
        let answer = house.probe(path).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
        assert!(
            answer.contains("health checks and /metrics only"),
            "{answer}"
        );
    }
    let drained = CoordinatorClient::new(channel)
        .drain(wire::DrainRequest::default())
        .await;
    let refused = drained.expect_err("nobody drains here");
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn viewers_leave_places_to_those_who_operate() {
    let house = House::open_with(Limits::default(), Security::Token);
    let password = BASE64_STANDARD.encode(format!("anybody:{TOKEN}"));
    let header = format!("Authorization: Basic {password}\r\n");
    let mut watching = Vec::new();
    loop {
        let (answer, stream) = house.ask("/events", &header).await;
        if !answer.starts_with("HTTP/1.1 200") {
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            break;
        }
        watching.push(stream);
        assert!(watching.len() < 256, "viewers have taken all places");
    }
    assert!(watching.len() > 100, "{} places", watching.len());
    let mut operator = house.client().await;
    let request = wire::WatchRequest { interval_ms: 1000 };
    let reports = operator.watch(request).await.expect("a place");
    let report = in_time(reports.into_inner().message()).await;
    assert!(report.expect("a report").is_some());
}

#[tokio::test]
async fn health_and_reflection_answer_on_the_same_port_with_tls_and_without() {
    for security in [Security::Plain, Security::Tls] {
        let house = House::open_with(Limits::default(), security);
        assert_eq!(house.health().await, [ServingStatus::Serving; 2]);
        let mut health = HealthClient::new(house.channel().await);
        let unknown = health.check(HealthCheckRequest {
            service: "reseed.v1.Nobody".into(),
        });
        let status = in_time(unknown).await.expect_err("nobody");
        assert_eq!(status.code(), tonic::Code::NotFound);

        let question = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut reflection = ServerReflectionClient::new(house.channel().await);
        let asked = reflection.server_reflection_info(tokio_stream::once(question));
        let mut answers = in_time(asked).await.expect("an answer").into_inner();
        let answer = in_time(answers.message()).await.expect("an answer");
        let answer = answer.and_then(|answer| answer.message_response);
        let Some(MessageResponse::ListServicesResponse(listed)) = answer else {
            panic!("{answer:?}");
        };
        let names: Vec<&str> = listed.service.iter().map(|s| s.name.as_str()).collect();
        assert!(names.contains(&"reseed.v1.Coordinator"), "{names:?}");
        assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
    }
}

/// How the coordinator of a test is protected.
#[derive(Clone, Copy)]
enum Security {
    Plain,
    Token,
    Tls,
}

/// The first shard, with a digest that nobody has computed.
fn header() -> PartHeader {
    PartHeader {
        session: SESSION,
        attempt: 0,
        range: 0..100,
        digest: [7; 32],
        file_bytes: 1000,
        shared_name: None,
    }
}

/// Delivers something as the first shard, in these pieces.
async fn deliver(
    client: &mut CoordinatorClient<AuthorizedChannel>,
    pieces: impl Stream<Item = Vec<u8>> + Send + 'static,
) -> Result<Receipt, Refusal> {
    deliver_as(client, header(), pieces).await
}

async fn deliver_as(
    client: &mut CoordinatorClient<AuthorizedChannel>,
    header: PartHeader,
    pieces: impl Stream<Item = Vec<u8>> + Send + 'static,
) -> Result<Receipt, Refusal> {
    let header = tokio_stream::once(Content::Header(header.into()));
    let contents = header.chain(pieces.map(Content::Chunk));
    let messages = contents.map(|content| wire::DeliverRequest {
        content: Some(content),
    });
    client.deliver(messages).await?.into_inner().try_into()
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.expect("it ends")
}

/// A coordinator in this process, with a run that nobody computes.
struct House {
    store: TempDir,
    /// Of the coordinator's certificate and the token.
    keys: TempDir,
    security: Security,
    address: SocketAddr,
    probes_address: SocketAddr,
    url: String,
    _stop: oneshot::Sender<()>,
    _task: JoinHandle<()>,
}

impl House {
    fn open(limits: Limits) -> Self {
        Self::open_with(limits, Security::Plain)
    }

    fn open_with(limits: Limits, security: Security) -> Self {
        let keys = tempfile::tempdir().expect("room");
        let given = ServerSecurity {
            transport: match security {
                Security::Tls => Transport::Tls(certificate(keys.path())),
                _ => Transport::Plain { insecure: false },
            },
            token: match security {
                Security::Plain => None,
                _ => Some(Token::new(TOKEN).expect("a token")),
            },
        };
        write_secret(&keys.path().join("token"), TOKEN);
        let address = ([127, 0, 0, 1], 0).into();
        let listener = Listener::bind(address, given, limits).expect("a free port");
        let probes = Listener::bind_probes(address, limits).expect("a free port");
        let store = tempfile::tempdir().expect("room");
        let (address, probes_address) = (listener.address(), probes.address());
        let url = format!("{}://localhost:{}", listener.scheme(), address.port());
        let coordination = Coordination::open(store.path(), terms(), "a test").expect("a store");
        let merge = Merge {
            out: store.path().join("result.h5"),
            engine_version: ENGINE_VERSION.into(),
            notes: Vec::new(),
        };
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(async {
            let ended = coordination
                .run(
                    listener,
                    Some(probes),
                    merge,
                    stopped,
                    Duration::ZERO,
                    |_| {},
                )
                .await;
            ended.expect("it is stopped");
        });
        Self {
            store,
            keys,
            security,
            address,
            probes_address,
            url,
            _stop: stop,
            _task: task,
        }
    }

    async fn channel(&self) -> AuthorizedChannel {
        let connect = Connect {
            url: self.url.clone(),
            ca: matches!(self.security, Security::Tls).then(|| self.keys.path().join("server.pem")),
            token: (!matches!(self.security, Security::Plain))
                .then(|| self.keys.path().join("token")),
            ..Connect::default()
        };
        let target = connect.check().expect("loopback");
        target.connect().await.expect("a coordinator")
    }

    /// What a probe hears of the whole and of the calls of workers.
    async fn health(&self) -> [ServingStatus; 2] {
        let mut client = HealthClient::new(self.channel().await);
        let mut heard = [ServingStatus::Unknown; 2];
        for (heard, name) in heard.iter_mut().zip(["", "reseed.v1.Coordinator"]) {
            let service = name.to_owned();
            let answer = client.check(HealthCheckRequest { service }).await;
            *heard = answer.expect("an answer").into_inner().status();
        }
        heard
    }

    /// A whole answer of HTTP/1.1, asked with these header lines.
    async fn get(&self, path: &str, headers: &str) -> String {
        let headers = format!("Connection: close\r\n{headers}");
        let (mut answer, mut stream) = self.ask(path, &headers).await;
        let rest = in_time(stream.read_to_string(&mut answer)).await;
        rest.expect("UTF-8");
        answer
    }

    /// As `get`, at the port for probes.
    async fn probe(&self, path: &str) -> String {
        let (mut answer, mut stream) =
            ask(self.probes_address, path, "Connection: close\r\n").await;
        let rest = in_time(stream.read_to_string(&mut answer)).await;
        rest.expect("UTF-8");
        answer
    }

    /// The beginning of an answer, and where the rest comes.
    async fn ask(&self, path: &str, headers: &str) -> (String, TcpStream) {
        ask(self.address, path, headers).await
    }

    async fn client(&self) -> CoordinatorClient<AuthorizedChannel> {
        CoordinatorClient::new(self.channel().await)
    }

    /// A connection of a worker that is registered.
    async fn worker(&self) -> CoordinatorClient<AuthorizedChannel> {
        let registration = Registration {
            session: SESSION,
            name: "ada".into(),
            versions: Versions {
                protocol_revision: PROTOCOL_REVISION,
                engine: ENGINE_VERSION.into(),
                model: MODEL_VERSION.into(),
            },
            machine: Machine::default(),
            holding: Vec::new(),
        };
        let mut client = self.client().await;
        let request = wire::RegisterRequest::from(registration);
        client.register(request).await.expect("a welcome");
        client
    }
}

/// Asks a port; gives the beginning of the answer, and where the rest comes.
async fn ask(address: SocketAddr, path: &str, headers: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(address).await.expect("room");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("room");
    let mut answer = vec![0; 4096];
    let length = in_time(stream.read(&mut answer)).await.expect("an answer");
    answer.truncate(length);
    (String::from_utf8(answer).expect("UTF-8"), stream)
}

/// A certificate for `localhost` that vouches for itself.
fn certificate(folder: &Path) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate");
    let identity = Identity {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
    };
    fs::write(&identity.certificate, made.cert.pem()).expect("room");
    write_secret(&identity.key, &made.signing_key.serialize_pem());
    TlsFiles {
        identity,
        client_ca: None,
    }
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).expect("room");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("own file");
}

/// A thousand patients in ten shards.
fn terms() -> Terms {
    let text = "base = \"breast\"\n\
                arms_only = [\"control\", \"siltuximab\"]\n\
                run.patients = 1000";
    let trial = Trial::parse("trial.toml", text).unwrap_or_else(|error| panic!("{error}"));
    Terms {
        target: 0..trial.patients,
        identity: RunIdentity::of(&trial, trial.seed, ENGINE_VERSION),
        layout: Layout::of(&trial),
        rules: Rules::default(),
        shard_patients: 100,
        lead_in_patients: 0,
        shared_path: None,
        trial,
    }
}
