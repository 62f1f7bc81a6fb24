//! Those who watch the run, over gRPC and in browsers: each gets reports at its own pace, and all
//! of them get the last one when the coordinator ends.

use std::sync::Arc;
use std::time::Duration;

use reseed_protocol::status::StatusReport;
use reseed_results::Disk;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;

use super::calls::Clock;
use crate::service::Service;

/// Streams of reports at a time.
const WATCHERS_MAX: usize = 256;
/// Shortest time between two reports of a stream.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Where watchers get their reports.
#[derive(Debug, Clone)]
pub(crate) struct Watching {
    service: Arc<Service<Disk>>,
    clock: Clock,
    places: Arc<Semaphore>,
    end: watch::Receiver<bool>,
}

/// How often to report.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// One report is enough.
    Once,
    /// Again after this time, until the end.
    Every(Duration),
}

/// There is no place for another watcher.
#[derive(Debug, Error)]
#[error("too many are watching (there is room for {WATCHERS_MAX}), come back later")]
pub(crate) struct TooMany;

impl Watching {
    /// `end` becomes true when the last report can be made.
    pub(crate) fn new(
        service: Arc<Service<Disk>>,
        clock: Clock,
        end: watch::Receiver<bool>,
    ) -> Self {
        Self {
            service,
            clock,
            places: Arc::new(Semaphore::new(WATCHERS_MAX)),
            end,
        }
    }

    /// A report at once and then at this pace, each of them in the watcher's form.
    ///
    /// # Errors
    /// If too many are watching.
    pub(crate) fn reports<T: Send + 'static>(
        &self,
        pace: Pace,
        form: impl Fn(StatusReport) -> T + Send + 'static,
    ) -> Result<ReceiverStream<T>, TooMany> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| TooMany)?;
        let mut watching = self.clone();
        let (reports, stream) = mpsc::channel(1);
        tokio::spawn(async move {
            let _place = place;
            let mut over = false;
            while let Some(report) = watching.report().await {
                if reports.send(form(report)).await.is_err() || over {
                    return;
                }
                over = match pace {
                    Pace::Once => return,
                    Pace::Every(interval) => watching.is_over_after(interval).await,
                };
            }
        });
        Ok(ReceiverStream::new(stream))
    }

    /// Where the run stands; none if the coordinator has failed. It may have to wait for a
    /// commit, so it keeps no other task waiting.
    async fn report(&self) -> Option<StatusReport> {
        let (service, clock) = (Arc::clone(&self.service), self.clock);
        spawn_blocking(move || service.report(clock.now()))
            .await
            .ok()
    }

    /// Waits this long, or until the coordinator ends.
    async fn is_over_after(&mut self, interval: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(interval.max(INTERVAL_MIN)) => false,
            // An end that nobody can announce any more is one, too.
            _ = self.end.wait_for(|ended| *ended) => true,
        }
    }
}
