//! The trial's primary comparison in one line.

use reseed_stats::estimate::contrast;
use reseed_stats::{Endpoint, Tally};
use reseed_trial::{DAYS_PER_YEAR, Trial};

/// The primary comparison on the patients so far; `None` before there is anything to compare.
pub(crate) fn running(trial: &Trial, tally: &Tally) -> Option<String> {
    let primary = &trial.primary;
    let bin = trial.bin_ending_at(primary.day)?;
    if primary.arm == trial.scenario.control || tally.enrolled().iter().all(|n| *n == 0) {
        return None;
    }
    let strata: Vec<usize> = (0..tally.shape().strata).collect();
    let contrast = contrast(tally, &strata, primary.arm, primary.endpoint, bin);
    let (low, high) = contrast.difference_interval;
    Some(format!(
        "{} by {} years, {} against {}: {:+.3} points (95 % interval {:+.3} to {:+.3})",
        name(primary.endpoint),
        primary.day / DAYS_PER_YEAR,
        trial.scenario.arms[primary.arm].name,
        trial.scenario.arms[trial.scenario.control].name,
        100.0 * contrast.difference.value,
        100.0 * low,
        100.0 * high,
    ))
}

fn name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Local => "local recurrence",
        Endpoint::Distant => "distant recurrence",
        Endpoint::Rfs => "recurrence or death",
        Endpoint::Death => "death",
    }
}
