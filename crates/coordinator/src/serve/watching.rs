//! Those who watch the run, over gRPC and in browsers: each gets reports at its own pace, and all
//! of them get the last one when the coordinator ends.

use std::sync::Arc;
use std::time::Duration;

use reseed_protocol::credentials::Role;
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
/// How many of them are kept from viewers, so that those who can do something see what happens.
const KEPT_FROM_VIEWERS: usize = 64;
/// How long a report may lie unread until its watcher loses the place.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// Shortest time between two reports of a stream.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Where watchers get their reports.
#[derive(Debug, Clone)]
pub(crate) struct Watching {
    service: Arc<Service<Disk>>,
    clock: Clock,
    places: Arc<Semaphore>,
    unread_max: Duration,
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
#[error("too many are watching (there is no room for another one), come back later")]
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
            unread_max: UNREAD_MAX,
            end,
        }
    }

    /// A report at once and then at this pace, each of them in the watcher's form.
    ///
    /// # Errors
    /// If too many are watching for one of this role.
    pub(crate) fn reports<T: Send + 'static>(
        &self,
        role: Option<Role>,
        pace: Pace,
        form: impl Fn(StatusReport) -> T + Send + 'static,
    ) -> Result<ReceiverStream<T>, TooMany> {
        let is_viewer = role.is_none_or(|role| role <= Role::Viewer);
        if is_viewer && self.places.available_permits() <= KEPT_FROM_VIEWERS {
            return Err(TooMany);
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| TooMany)?;
        let mut watching = self.clone();
        let (reports, stream) = mpsc::channel(1);
        tokio::spawn(async move {
            let _place = place;
            let mut over = false;
            while let Some(report) = watching.report().await {
                let sent = reports.send_timeout(form(report), watching.unread_max);
                if sent.await.is_err() || over {
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

#[cfg(test)]
mod tests {
    use reseed_results::{Layout, RunIdentity};
    use reseed_trial::Trial;

    use super::*;
    use crate::message::Rules;
    use crate::opening::{Terms, open};

    #[tokio::test]
    async fn who_does_not_read_loses_the_place() {
        let store = tempfile::tempdir().expect("room");
        let trial = Trial::parse("trial.toml", "base = \"breast\"").expect("a trial");
        let terms = Terms {
            target: 0..trial.patients,
            identity: RunIdentity::of(&trial, trial.seed, "0.1.0"),
            layout: Layout::of(&trial),
            rules: Rules::default(),
            shard_patients: trial.patients,
            lead_in_patients: 0,
            shared_path: None,
            trial,
        };
        let folder = Disk::lock(store.path()).expect("a free store");
        let (service, _) = open(folder, terms, "a test").expect("a store");
        let (_end, ended) = watch::channel(false);
        let watching = Watching {
            unread_max: Duration::from_millis(300),
            ..Watching::new(Arc::new(service), Clock::start(), ended)
        };
        let pace = Pace::Every(Duration::ZERO);
        let unread = watching.reports(Some(Role::Viewer), pace, |report| report);
        let unread = unread.expect("a place");
        assert_eq!(watching.places.available_permits(), WATCHERS_MAX - 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(watching.places.available_permits(), WATCHERS_MAX);
        drop(unread);
    }
}
