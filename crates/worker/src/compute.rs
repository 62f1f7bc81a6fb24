//! Threads that compute.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use reseed_engine::{Engine, EngineError};
use reseed_results::{Attempt, Layout, Part, PartInfo, ResultsError, RunIdentity, write_part};
use reseed_trial::Trial;
use tracing::Span;

use crate::spool::Place;

/// A run, ready to be computed.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) trial: Trial,
    pub(crate) identity: RunIdentity,
    pub(crate) layout: Layout,
}

/// A shard to compute.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) run: Arc<Prepared>,
    pub(crate) range: Range<u64>,
    pub(crate) attempt: u64,
    pub(crate) worker: String,
    pub(crate) place: Place,
    /// Within which it is traced.
    pub(crate) span: Span,
    /// Set from outside to give up.
    pub(crate) stop: Arc<AtomicBool>,
    /// Patients simulated.
    pub(crate) done: Arc<AtomicU64>,
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Computed {
    /// The part is in the spool.
    Part { info: PartInfo, seconds: f64 },
    /// It was given up as asked.
    Aborted(Range<u64>),
    /// The program failed.
    Failed(Range<u64>, String),
    /// The part cannot be written.
    Unkept(Range<u64>, ResultsError),
}

/// Starts threads that take jobs until the sender is dropped, and tell what became of them.
pub(crate) fn start(
    threads: usize,
    tell: impl Fn(Computed) + Clone + Send + 'static,
) -> std::io::Result<mpsc::Sender<Job>> {
    let (jobs, queue) = mpsc::channel::<Job>();
    let queue = Arc::new(Mutex::new(queue));
    for number in 0..threads {
        let (queue, tell) = (Arc::clone(&queue), tell.clone());
        thread::Builder::new()
            .name(format!("compute-{number}"))
            .spawn(move || serve(&queue, &tell))?;
    }
    Ok(jobs)
}

fn serve(queue: &Mutex<mpsc::Receiver<Job>>, tell: &impl Fn(Computed)) {
    let mut engine: Option<(Arc<Prepared>, Engine)> = None;
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else {
            return;
        };
        let fits = engine
            .as_ref()
            .is_some_and(|(run, _)| Arc::ptr_eq(run, &job.run));
        if !fits {
            engine = None;
        }
        let (_, engine_of_run) = engine.get_or_insert_with(|| {
            let engine = Engine::new(&job.run.trial, job.run.identity.seed);
            (Arc::clone(&job.run), engine)
        });
        let computed = catch_unwind(AssertUnwindSafe(|| compute(engine_of_run, &job)));
        let computed = computed.unwrap_or_else(|panic| {
            Computed::Failed(
                job.range.clone(),
                format!("the program failed: {}", told(&*panic)),
            )
        });
        if let Computed::Failed(..) = computed {
            // Nobody knows in what state a panic left it.
            engine = None;
        }
        tell(computed);
    }
}

#[tracing::instrument(parent = &job.span, skip_all)]
fn compute(engine: &mut Engine, job: &Job) -> Computed {
    let start = Instant::now();
    let output = match engine.simulate(job.range.clone(), &job.stop, &job.done) {
        Ok(output) => output,
        Err(EngineError::Stopped { .. }) => return Computed::Aborted(job.range.clone()),
        Err(error @ EngineError::TooFewForTrial { .. }) => {
            return Computed::Failed(job.range.clone(), error.to_string());
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    let part = Part {
        range: output.range,
        tally: output.tally,
        records: output.records,
        blocks: output.blocks,
        attempt: Attempt {
            worker: job.worker.clone(),
            number: u32::try_from(job.attempt & u64::from(u32::MAX)).unwrap_or(u32::MAX),
            seconds,
        },
    };
    let mut failed = None;
    for path in job.place.paths(&job.range) {
        match write_part(&path, &job.run.identity, &job.run.layout, &part) {
            Ok(info) => {
                let seconds = start.elapsed().as_secs_f64();
                return Computed::Part { info, seconds };
            }
            Err(error) => {
                tracing::warn!("{error}");
                failed = Some(error);
            }
        }
    }
    match failed {
        Some(error) => Computed::Unkept(job.range.clone(), error),
        None => Computed::Failed(job.range.clone(), "there is no place for the part".into()),
    }
}

fn told(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
