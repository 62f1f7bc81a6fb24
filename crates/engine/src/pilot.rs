//! How fast a trial is simulated here.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use reseed_trial::Trial;

use crate::Engine;

/// Patients of the first batch, if no block is larger; each is twice the one before.
const BATCH_PATIENTS: u64 = 64;

/// Patients that one thread simulates in a second, from a try of about this long on the first
/// of `patients`, whose results are thrown away.
pub fn patients_per_second(
    trial: &Trial,
    seed: u64,
    patients: &Range<u64>,
    time: Duration,
    stop: &AtomicBool,
) -> f64 {
    let mut engine = Engine::new(trial, seed);
    let ignored = AtomicU64::new(0);
    let (mut next, mut batch) = (patients.start, trial.whole_blocks(BATCH_PATIENTS));
    let start = Instant::now();
    while start.elapsed() < time && next < patients.end {
        let end = patients.end.min(next.saturating_add(batch));
        if engine.simulate(next..end, stop, &ignored).is_err() {
            break;
        }
        next = end;
        batch *= 2;
    }
    (next - patients.start) as f64 / start.elapsed().as_secs_f64().max(1e-6)
}
