//! Clocks, and numbers that say how far they can be trusted.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Processor time of the calling thread that `work` takes, seconds: what else runs on the
/// machine disturbs it far less than the time on the wall.
pub(crate) fn processor_seconds(work: impl FnOnce()) -> f64 {
    seconds(ClockId::ThreadCPUTime, work)
}

/// Time on the wall that `work` takes, seconds.
pub(crate) fn wall_seconds(work: impl FnOnce()) -> f64 {
    seconds(ClockId::Monotonic, work)
}

fn seconds(clock: ClockId, work: impl FnOnce()) -> f64 {
    let start = clock_gettime(clock);
    work();
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock) - start;
    tv_sec as f64 + 1e-9 * tv_nsec as f64
}

/// Median and extremes of what the rounds gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        Self {
            median: f64::midpoint(values[last / 2], values[last.div_ceil(2)]),
            min: values[0],
            max: values[last],
        }
    }
}
