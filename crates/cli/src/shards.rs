//! Coordinator and worker in one process: the ledger, the engine on threads, and a sink for
//! what they compute.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use reseed_coordinator::{
    Attempt, Digest, Effect, Event, Lease, Ledger, Millis, Phase, Rules, SHARDS_MAX, WorkerId,
};
use reseed_engine::{Engine, EngineError, ShardOutput};
use reseed_results::part_digest;
use reseed_trial::Trial;

use crate::exit::Failure;

/// What a shard should take, seconds: long enough to make its part's cost small, short enough
/// to lose little when the run is stopped.
const SHARD_SECONDS: f64 = 3.0;
/// The same, at least, in runs so short that the end would otherwise find threads idle. A part
/// costs some hundredths of a second.
const SHARD_SECONDS_MIN: f64 = 0.5;
/// Shards a thread should have, at least, if they are not too short.
const SHARDS_PER_THREAD: f64 = 8.0;
/// Patients of a shard with records, each of whom takes a kilobyte of a worker's memory.
const RECORDS_SHARD_PATIENTS_MAX: u64 = 100_000;
/// What a shard of a cluster should take, seconds; and how many there should be, at least, as
/// long as they do not become too short.
const CLUSTER_SHARD_SECONDS: f64 = 10.0;
const CLUSTER_SHARDS: f64 = 256.0;
/// How long the pilot measures.
const PILOT: Duration = Duration::from_millis(100);
/// Between two looks at the progress.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// The process is one worker; its threads hold one lease each.
const SELF: WorkerId = WorkerId(0);

/// What is simulated, and on how many threads.
pub(crate) struct Work<'a> {
    pub(crate) trial: &'a Trial,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    /// Set from outside to stop early; also set when something fails, and when there are patients
    /// enough.
    pub(crate) stop: &'a AtomicBool,
}

/// A computed shard.
pub(crate) struct Computed {
    pub(crate) output: ShardOutput,
    pub(crate) digest: reseed_results::Digest,
    pub(crate) attempt: Attempt,
    pub(crate) seconds: f64,
}

/// What takes computed shards. Calls come one at a time.
pub(crate) trait Sink: Send {
    /// Takes a shard that the ledger has accepted. Once the patients before some index are
    /// committed and enough, it returns that index.
    fn commit(&mut self, shard: Computed) -> Result<Option<u64>, Failure>;
}

/// How a simulation ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every shard that is needed is committed.
    Complete,
    /// It was stopped from outside.
    Stopped,
}

/// Simulates every shard of the plan into the sink. `watch` sees the number of patients
/// simulated so far and the sink a few times per second.
pub(crate) fn simulate<S: Sink>(
    work: &Work,
    plan: Vec<Range<u64>>,
    sink: &mut S,
    mut watch: impl FnMut(u64, &S),
) -> Result<Ending, Failure> {
    let threads = work.threads.min(plan.len());
    let desk = Desk {
        work,
        fingerprint: work.trial.fingerprint(),
        done: AtomicU64::new(0),
        start: Instant::now(),
        state: Mutex::new(State {
            ledger: Ledger::new(plan, rules()),
            sink,
            busy: threads,
            failure: None,
        }),
        changed: Condvar::new(),
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| desk.serve());
        }
        desk.watch(&mut watch);
    });
    let state = desk
        .state
        .into_inner()
        .map_err(|_| Failure::Internal("a thread ended in the middle of a commit".into()))?;
    match (state.failure, state.ledger.phase()) {
        (Some(failure), _) => Err(failure),
        (None, Phase::Finished) => Ok(Ending::Complete),
        (None, Phase::Failed(fatal)) => Err(fatal.clone().into()),
        (None, Phase::Running) => Ok(Ending::Stopped),
    }
}

/// One process cannot lose itself, nor audit itself: leases last, and audits are off.
fn rules() -> Rules {
    Rules {
        lease_ms: u64::MAX,
        audits_per_mille: 0,
        ..Rules::default()
    }
}

/// What the threads share.
struct Desk<'a, S> {
    work: &'a Work<'a>,
    fingerprint: [u8; 32],
    done: AtomicU64,
    start: Instant,
    state: Mutex<State<'a, S>>,
    /// Told when a thread ends.
    changed: Condvar,
}

struct State<'a, S> {
    ledger: Ledger,
    sink: &'a mut S,
    /// Threads at work.
    busy: usize,
    failure: Option<Failure>,
}

/// Tells the desk that a thread has ended, however it ended.
struct Leaving<'a, 'b, S>(&'a Desk<'b, S>);

impl<S> Drop for Leaving<'_, '_, S> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.work.stop.store(true, Ordering::Relaxed);
        }
        self.0.lock().busy -= 1;
        self.0.changed.notify_all();
    }
}

impl<S: Sink> Desk<'_, S> {
    /// A thread's work: shards until there are none or it is time to stop.
    fn serve(&self) {
        let _leaving = Leaving(self);
        let mut engine = Engine::new(self.work.trial, self.work.seed);
        while !self.work.stop.load(Ordering::Relaxed) {
            let Some(lease) = self.lease() else {
                return;
            };
            let start = Instant::now();
            let computed = engine.simulate(lease.range.clone(), self.work.stop, &self.done);
            let told = match computed {
                Ok(output) => self.deliver(&lease, output, start.elapsed().as_secs_f64()),
                Err(EngineError::Stopped { .. }) => self.tell(Event::Release {
                    worker: SELF,
                    attempt: lease.attempt,
                }),
                Err(error @ EngineError::TooFewForTrial { .. }) => {
                    Err(Failure::Usage(error.to_string()))
                }
            };
            if let Err(failure) = told {
                self.fail(failure);
            }
        }
    }

    /// Shows the progress until all threads have ended.
    fn watch(&self, watch: &mut impl FnMut(u64, &S)) {
        let mut state = self.lock();
        while state.busy > 0 {
            watch(self.done.load(Ordering::Relaxed), state.sink);
            let waited = self.changed.wait_timeout(state, WATCH_EVERY);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn lease(&self) -> Option<Lease> {
        let request = Event::Request {
            worker: SELF,
            wanted: 1,
        };
        let effects = self.lock().apply(request, self.now());
        effects.into_iter().find_map(|effect| match effect {
            Effect::Lease(lease) => Some(lease),
            _ => None,
        })
    }

    fn deliver(&self, lease: &Lease, output: ShardOutput, seconds: f64) -> Result<(), Failure> {
        // Hashing here, outside the lock, lets the other threads go on.
        let digest = part_digest(
            &self.fingerprint,
            self.work.seed,
            &output.range,
            &output.tally,
            [&output.records, &output.blocks],
        );
        let event = Event::Deliver {
            worker: SELF,
            attempt: lease.attempt,
            range: output.range.clone(),
            digest: Digest(digest.0),
        };
        let mut state = self.lock();
        for effect in state.apply(event, self.now()) {
            match effect {
                Effect::Commit { .. } => {
                    let enough = state.sink.commit(Computed {
                        output,
                        digest,
                        attempt: lease.attempt,
                        seconds,
                    })?;
                    if let Some(end) = enough {
                        state.apply(Event::Enough { end }, self.now());
                        self.work.stop.store(true, Ordering::Relaxed);
                    }
                    return Ok(());
                }
                Effect::Fail(fatal) => return Err(fatal.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn tell(&self, event: Event) -> Result<(), Failure> {
        let effects = self.lock().apply(event, self.now());
        let fatal = effects.into_iter().find_map(|effect| match effect {
            Effect::Fail(fatal) => Some(fatal),
            _ => None,
        });
        fatal.map_or(Ok(()), |fatal| Err(fatal.into()))
    }

    /// Keeps the first failure and stops everybody.
    fn fail(&self, failure: Failure) {
        self.work.stop.store(true, Ordering::Relaxed);
        self.lock().failure.get_or_insert(failure);
    }
}

impl<'a, S> Desk<'a, S> {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A thread that panicked in a commit has poisoned the lock; the others only need to
    /// count themselves out.
    fn lock(&self) -> MutexGuard<'_, State<'a, S>> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<S> State<'_, S> {
    fn apply(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        self.ledger.apply(event, now)
    }
}

/// Patients in a shard, so that it takes a few seconds on this machine: from a pilot on the
/// first patients, whose results are thrown away. `patients` are those still to simulate.
pub(crate) fn shard_patients(work: &Work, first: u64, patients: u64) -> u64 {
    let range = first..first + patients;
    let rate = reseed_engine::patients_per_second(work.trial, work.seed, &range, PILOT, work.stop);
    size(rate, patients, work.threads)
}

/// Patients in a shard of a cluster, whose size nobody knows: ten seconds of a thread like this
/// machine's, less in short runs.
pub(crate) fn cluster_shard_patients(trial: &Trial) -> u64 {
    let patients = 0..trial.patients;
    let stop = AtomicBool::new(false);
    let rate = reseed_engine::patients_per_second(trial, trial.seed, &patients, PILOT, &stop);
    let seconds = trial.patients as f64 / rate;
    let shard_seconds = (seconds / CLUSTER_SHARDS).clamp(SHARD_SECONDS_MIN, CLUSTER_SHARD_SECONDS);
    let shard_patients = shard_patients_of(rate, shard_seconds, trial.patients);
    if trial.records {
        shard_patients.min(RECORDS_SHARD_PATIENTS_MAX)
    } else {
        shard_patients
    }
}

/// Patients that come in small shards first, so that results are seen soon. Where shards are
/// short anyway there are none.
pub(crate) fn lead_in_patients(patients: u64, shard_patients: u64) -> u64 {
    let shards = patients / shard_patients;
    if shards as f64 > CLUSTER_SHARDS {
        2 * shard_patients
    } else {
        0
    }
}

fn shard_patients_of(patients_per_second: f64, shard_seconds: f64, patients: u64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and the product is not negative"
    )]
    let shard_patients = (patients_per_second * shard_seconds) as u64;
    // A gap may add a short shard of its own, so stay well below the limit.
    shard_patients.max(patients / (SHARDS_MAX / 8)).max(1)
}

fn size(patients_per_second: f64, patients: u64, threads: usize) -> u64 {
    let seconds_per_thread = patients as f64 / patients_per_second / threads as f64;
    let shard_seconds =
        (seconds_per_thread / SHARDS_PER_THREAD).clamp(SHARD_SECONDS_MIN, SHARD_SECONDS);
    shard_patients_of(patients_per_second, shard_seconds, patients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_take_seconds_in_long_runs_and_less_in_short_ones() {
        assert_eq!(size(100_000.0, 10_000_000_000, 2), 300_000);
        assert_eq!(size(100_000.0, 1_000_000, 2), 62_500);
        assert_eq!(size(100_000.0, 1_000, 2), 50_000, "one shard is enough");
    }

    #[test]
    fn no_run_has_too_many_shards() {
        let patients = 10_000_000_000;
        assert!(patients / size(1.0, patients, 64) <= SHARDS_MAX / 4);
        assert_eq!(size(0.0, 1, 1), 1);
    }
}
