//! A worker that leaves, as its coordinator hears it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reseed_protocol::channel::{Connect, Whereabouts};
use reseed_protocol::messages::{
    Answer, Grant, Machine, PulseAnswer, Purpose, Receipt, RunSpec, Session, Versions, Wait,
    Welcome,
};
use reseed_protocol::wire;
use reseed_protocol::wire::coordinator_server::{Coordinator, CoordinatorServer};
use reseed_trial::Trial;
use reseed_worker::{Config, Outcome, Settings, work};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

const TRIAL: &str = "base = \"breast\"\nname = \"small\"\n";

/// How long the coordinator has to do with a part.
const COMMIT: Duration = Duration::from_millis(400);

/// Has one shard to give, and fails while its part is under way.
#[derive(Debug, Clone)]
struct Failing {
    run: RunSpec,
    heard: Arc<Mutex<Vec<&'static str>>>,
}

impl Failing {
    fn note(&self, what: &'static str) {
        self.heard.lock().expect("nobody panics with it").push(what);
    }

    fn has_heard(&self, what: &'static str) -> bool {
        let heard = self.heard.lock().expect("nobody panics with it");
        heard.contains(&what)
    }
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Coordinator for Failing {
    async fn register(
        &self,
        _: Request<wire::RegisterRequest>,
    ) -> Answered<wire::RegisterResponse> {
        let welcome = Welcome {
            worker: 1,
            run: self.run.clone(),
            heartbeat_ms: 20,
            lease_ms: 60_000,
            part_bytes_max: 1 << 30,
            shared: None,
            grants: Vec::new(),
        };
        Ok(Response::new(welcome.into()))
    }

    async fn lease(&self, _: Request<wire::LeaseRequest>) -> Answered<wire::LeaseResponse> {
        let grant = Grant {
            attempt: 1,
            range: 0..10,
            purpose: Purpose::Compute,
        };
        let is_first = !self.has_heard("leased");
        self.note("leased");
        let answer = Answer {
            grants: is_first.then_some(grant).into_iter().collect(),
            wait: (!is_first).then_some(Wait::Busy { retry_ms: 60_000 }),
            drain: false,
        };
        Ok(Response::new(answer.into()))
    }

    async fn heartbeat(
        &self,
        _: Request<wire::HeartbeatRequest>,
    ) -> Answered<wire::HeartbeatResponse> {
        let problem = "enough".to_owned();
        let answer = PulseAnswer {
            over: self
                .has_heard("delivering")
                .then_some(Wait::Failed { problem }),
            ..PulseAnswer::default()
        };
        Ok(Response::new(answer.into()))
    }

    async fn deliver(
        &self,
        request: Request<Streaming<wire::DeliverRequest>>,
    ) -> Answered<wire::DeliverResponse> {
        let mut stream = request.into_inner();
        self.note("delivering");
        while stream.message().await?.is_some() {}
        tokio::time::sleep(COMMIT).await;
        self.note("delivered");
        Ok(Response::new(Receipt::Committed.into()))
    }

    async fn leave(&self, _: Request<wire::LeaveRequest>) -> Answered<wire::LeaveResponse> {
        self.note("left");
        Ok(Response::new(wire::LeaveResponse {}))
    }

    async fn release(&self, _: Request<wire::ReleaseRequest>) -> Answered<wire::ReleaseResponse> {
        Err(Status::unimplemented("nothing is handed back"))
    }

    async fn fail(&self, _: Request<wire::FailRequest>) -> Answered<wire::FailResponse> {
        Err(Status::unimplemented("nothing fails"))
    }

    type WatchStream = ReceiverStream<Result<wire::StatusReport, Status>>;

    async fn watch(&self, _: Request<wire::WatchRequest>) -> Answered<Self::WatchStream> {
        Err(Status::unimplemented("nobody watches"))
    }

    async fn drain(&self, _: Request<wire::DrainRequest>) -> Answered<wire::DrainResponse> {
        Err(Status::unimplemented("nobody operates"))
    }

    async fn cancel(&self, _: Request<wire::CancelRequest>) -> Answered<wire::CancelResponse> {
        Err(Status::unimplemented("nobody operates"))
    }
}

#[tokio::test]
async fn a_worker_leaves_when_its_deliveries_are_over() {
    let trial = Trial::parse("small.toml", TRIAL).expect("a trial");
    let coordinator = Failing {
        run: RunSpec {
            trial_toml: trial.identity_toml(),
            fingerprint: trial.fingerprint(),
            seed: 1,
        },
        heard: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let server = Server::builder().add_service(CoordinatorServer::new(coordinator.clone()));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let connect = Connect {
        url,
        ..Connect::default()
    };
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let config = Config {
        coordinator: Whereabouts::Known(connect.check().expect("loopback")),
        session: Session([1; 16]),
        name: "ada".into(),
        versions: Versions {
            protocol_revision: reseed_protocol::PROTOCOL_REVISION,
            engine: "0".into(),
            model: "0".into(),
        },
        machine: Machine::default(),
        settings: Settings {
            threads: 1,
            ahead: 0,
            grace_ms: 10_000,
            patience_ms: 10_000,
            ends_at: None,
            jitter_seed: 1,
        },
        spool: dir.path().join("spool"),
        spool_is_temporary: true,
    };
    let (outcome, _) = work(config, std::future::pending()).await.expect("threads");
    assert_eq!(outcome, Outcome::RunFailed("enough".into()));
    let mut heard = coordinator.heard.lock().expect("nobody panics").clone();
    heard.retain(|what| *what != "leased");
    assert_eq!(heard, ["delivering", "delivered", "left"]);
}
