//! A coordinator's life: serve until the run has ended, merge, let the workers go.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use reseed_protocol::DESCRIPTORS;
use reseed_protocol::status::StatusReport;
use reseed_protocol::wire::coordinator_server::CoordinatorServer;
use reseed_results::{Disk, ResultFile, ResultsError, write_result};
use thiserror::Error;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::calls::{self, Calls, Clock};
use super::listener::{self, Listener};
use super::metrics::Metrics;
use super::pages::{self, Shown};
use super::watching::Watching;
use crate::message::{Fatal, Millis, Phase};
use crate::opening::{OpenError, Opening, Terms, open};
use crate::service::Service;

/// Between two looks at the state of the run.
const TICK: Duration = Duration::from_millis(100);
/// Between two reports to whoever started the coordinator.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// How long workers have, after the end, to hear of it.
const FAREWELL_MAX: Duration = Duration::from_secs(3);
/// How long calls have to end when the coordinator stops.
const GRACE: Duration = Duration::from_millis(500);

/// A run whose store is open.
#[derive(Debug)]
pub struct Coordination {
    service: Arc<Service<Disk>>,
    opening: Opening,
}

/// How it ended without an error.
#[derive(Debug)]
pub enum Ending {
    /// The result is written.
    Complete {
        /// The result.
        file: Box<ResultFile>,
        /// The last report.
        report: Box<StatusReport>,
    },
    /// It was stopped from outside; a successor goes on.
    Stopped,
}

/// Why there is no result.
#[derive(Debug, Error)]
pub enum CoordinateError {
    /// The run failed.
    #[error("{text}")]
    Run {
        /// Why, with the names of workers.
        text: String,
        /// Why.
        fatal: Fatal,
    },
    /// Files cannot be read or written.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The program contradicts itself.
    #[error("{0}")]
    Internal(String),
}

/// Where to put the result and what to say in it.
#[derive(Debug, Clone)]
pub struct Merge {
    /// Result file.
    pub out: PathBuf,
    /// Version of the program.
    pub engine_version: String,
    /// Notes for the provenance.
    pub notes: Vec<(String, String)>,
}

impl Coordination {
    /// Locks and opens a store, and finds out what is missing.
    ///
    /// # Errors
    /// As [`open`], and if another process has the store.
    pub fn open(dir: &Path, terms: Terms, owner: &str) -> Result<Self, OpenError> {
        let (service, opening) = open(Disk::lock(dir)?, terms, owner)?;
        Ok(Self {
            service: Arc::new(service),
            opening,
        })
    }

    /// What was found in the store.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Serves workers until the run has ended or `stop` is there; then merges the parts. Those
    /// who only ask how it is may have a port of their own, `probes`. After `stop` it goes on for
    /// as long as the grace, but not without workers: they may have to stop too, and have something
    /// to deliver. `watch` sees a report now and then.
    ///
    /// # Errors
    /// [`CoordinateError`].
    pub async fn run(
        self,
        listener: Listener,
        probes: Option<Listener>,
        merge: Merge,
        stop: impl Future<Output = ()>,
        grace: Duration,
        mut watch: impl FnMut(&StatusReport),
    ) -> Result<Ending, CoordinateError> {
        let clock = Clock::start();
        let service = self.service;
        let news = Arc::new(Notify::new());
        let doors = (listener, probes);
        let server = Server::start(doors, Arc::clone(&service), clock, Arc::clone(&news));
        let ended = tokio::select! {
            ended = until_ended(&service, clock, &news, &mut watch) => ended,
            // The last part may have come with those who left.
            () = stopped(&service, clock, stop, grace) => {
                Ok(*service.desk().phase() == Phase::Finished)
            }
        };
        let ending = match ended {
            Ok(true) => complete(&service, clock, merge).await,
            Ok(false) => Ok(Ending::Stopped),
            Err(error) => Err(error),
        };
        server.announce_end();
        if !matches!(ending, Ok(Ending::Stopped)) {
            farewell(&service, clock).await;
        }
        server.stop().await;
        ending
    }
}

/// The task that answers connections.
struct Server {
    ended: watch::Sender<bool>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(
        (listener, probes): (Listener, Option<Listener>),
        service: Arc<Service<Disk>>,
        clock: Clock,
        news: Arc<Notify>,
    ) -> Self {
        let metrics = Arc::new(Metrics::new(listener.counters()));
        let limits = listener.limits();
        let (ended, end) = watch::channel(false);
        let watching = Watching::new(Arc::clone(&service), clock, end);
        let shown = Shown {
            service: Arc::clone(&service),
            clock,
            metrics: Arc::clone(&metrics),
            watching: watching.clone(),
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let (health, asked) = tonic_health::server::health_reporter();
            health.set_serving::<CoordinatorServer<Calls>>().await;
            let healthy = keep_health(health, Arc::clone(&service));
            let calls = Calls::new(service, clock, metrics, news, watching, limits);
            let calls = CoordinatorServer::new(calls)
                .max_decoding_message_size(reseed_protocol::MESSAGE_BYTES_MAX)
                .max_encoding_message_size(reseed_protocol::MESSAGE_BYTES_MAX);
            let mut routes = tonic::service::Routes::new(calls).add_service(asked);
            // For tools such as grpcurl, in both versions that these know.
            match (descriptions().build_v1(), descriptions().build_v1alpha()) {
                (Ok(new), Ok(old)) => routes = routes.add_service(new).add_service(old),
                (Err(error), _) | (_, Err(error)) => {
                    tracing::error!("calls cannot be described: {error}");
                }
            }
            let in_time = from_fn_with_state(limits.call_time_max, calls::in_time);
            let calls = routes.into_axum_router().layer(in_time);
            let router = pages::router(shown).merge(calls);
            let stopped = async {
                // If the sender is gone, so is the coordinator.
                let _ = stopped.await;
            };
            let probed = answer_probes(probes, router.clone());
            tokio::select! {
                () = listener::serve(listener, router, stopped, GRACE) => {}
                () = probed => {}
                () = healthy => {}
            }
        });
        Self { ended, stop, task }
    }

    /// Whoever watches gets the last report.
    fn announce_end(&self) {
        self.ended.send_replace(true);
    }

    async fn stop(self) {
        // It may have ended already.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Answers at the port of the probes, if there is one, as long as this is awaited.
async fn answer_probes(probes: Option<Listener>, router: Router) {
    match probes {
        Some(probes) => listener::serve(probes, router, pending(), GRACE).await,
        None => pending().await,
    }
}

/// Tells probes over gRPC what those over HTTP hear: whether parts can be committed.
async fn keep_health(health: HealthReporter, service: Arc<Service<Disk>>) {
    let mut ticks = tokio::time::interval(TICK);
    let mut told = ServingStatus::Serving;
    loop {
        ticks.tick().await;
        let status = match service.problem() {
            None => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        };
        if status != told {
            told = status;
            for name in ["", <CoordinatorServer<Calls> as NamedService>::NAME] {
                health.set_service_status(name, status).await;
            }
        }
    }
}

fn descriptions() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Lets time pass until nothing is left to do. False if the run was given up.
async fn until_ended(
    service: &Arc<Service<Disk>>,
    clock: Clock,
    news: &Notify,
    watch: &mut impl FnMut(&StatusReport),
) -> Result<bool, CoordinateError> {
    let [mut ticks, mut reports] = [TICK, REPORT_EVERY].map(tokio::time::interval);
    for interval in [&mut ticks, &mut reports] {
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                blocking(service, move |service| service.tick(clock.now())).await?;
            }
            _ = reports.tick() => {
                let report = blocking(service, move |service| service.report(clock.now()));
                watch(&report.await?);
            }
            () = news.notified() => {}
        }
        if let Some(error) = service.take_failure() {
            return Err(error.into());
        }
        let desk = service.desk();
        match desk.phase() {
            Phase::Running => {}
            Phase::Finished => return Ok(true),
            Phase::Failed(fatal) => {
                return Err(CoordinateError::Run {
                    text: desk.describe(fatal),
                    fatal: fatal.clone(),
                });
            }
        }
    }
}

/// Merges the parts into the result.
async fn complete(
    service: &Arc<Service<Disk>>,
    clock: Clock,
    merge: Merge,
) -> Result<Ending, CoordinateError> {
    let file = blocking(service, move |service| {
        let parts = service.books().part_paths();
        tracing::info!(
            parts = parts.len(),
            "every shard is committed; writing the result"
        );
        write_result(&merge.out, &parts, &merge.engine_version, &merge.notes)
    })
    .await??;
    tracing::info!(digest = %file.digest, "the result is written");
    service.set_finished();
    Ok(Ending::Complete {
        file: Box::new(file),
        report: Box::new(service.report(clock.now())),
    })
}

/// Ends when it is time to stop.
async fn stopped(
    service: &Arc<Service<Disk>>,
    clock: Clock,
    stop: impl Future<Output = ()>,
    grace: Duration,
) {
    stop.await;
    everybody_leaves(service, clock, grace).await;
}

/// Waits until every worker that was there lately has heard of the end and left.
async fn farewell(service: &Arc<Service<Disk>>, clock: Clock) {
    // Whoever has not left by then finds nobody, tries for a while, and leaves too.
    everybody_leaves(service, clock, FAREWELL_MAX).await;
}

async fn everybody_leaves(service: &Arc<Service<Disk>>, clock: Clock, time_max: Duration) {
    let since = clock.now();
    let lately = Millis(since.0.saturating_sub(service.desk().offer().lease_ms));
    let everybody_left = async {
        while !service.desk().is_empty_since(lately) {
            tokio::time::sleep(TICK / 4).await;
        }
    };
    let left = tokio::time::timeout(time_max, everybody_left).await;
    tracing::info!(all = left.is_ok(), "workers have left");
}

async fn blocking<T: Send + 'static>(
    service: &Arc<Service<Disk>>,
    act: impl FnOnce(&Service<Disk>) -> T + Send + 'static,
) -> Result<T, CoordinateError> {
    let service = Arc::clone(service);
    spawn_blocking(move || act(&service))
        .await
        .map_err(|error| CoordinateError::Internal(format!("the coordinator failed: {error}")))
}
