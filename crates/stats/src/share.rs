//! Shares of patients or of recurrences, with intervals.

use crate::distribution::CRITICAL_95;
use crate::risk::{patients, pool};
use crate::tally::{Endpoint, ExitKind, ORIGINS, Tally};

/// A share of a number of independent cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Cases that count.
    pub part: u64,
    /// All cases.
    pub whole: u64,
    /// Part over whole; `NaN` of nothing.
    pub value: f64,
    /// Its 95 % score interval (Wilson, J Am Stat Assoc 1927;22:209).
    pub interval: (f64, f64),
}

impl Share {
    /// The share of `part` in `whole`.
    pub fn new(part: u64, whole: u64) -> Self {
        let value = part as f64 / whole as f64;
        Self {
            part,
            whole,
            value,
            interval: score_interval(value, whole as f64, CRITICAL_95),
        }
    }
}

/// Wilson's score interval (J Am Stat Assoc 1927;22:209) of a share of so many independent cases.
pub(crate) fn score_interval(value: f64, cases: f64, critical: f64) -> (f64, f64) {
    let square = critical * critical;
    let middle = value + square / (2.0 * cases);
    let distance =
        critical * (value * (1.0 - value) / cases + square / (4.0 * cases * cases)).sqrt();
    let scale = 1.0 + square / cases;
    (
        ((middle - distance) / scale).max(0.0),
        ((middle + distance) / scale).min(1.0),
    )
}

/// Shares of the local recurrences observed by the end of `bin` by origin, in the order of
/// [`ORIGINS`], pooled over `strata`: what is attributable to residual foci and to the sites that
/// shed founders.
pub fn origin_shares(
    tally: &Tally,
    strata: &[usize],
    arm: usize,
    bin: usize,
) -> [Share; ORIGINS.len()] {
    let recurrences: [u64; ORIGINS.len()] = std::array::from_fn(|origin| {
        let by_bin = pool(tally, strata, |stratum| tally.origin(stratum, arm, origin));
        by_bin[..=bin].iter().sum()
    });
    let all = recurrences.iter().sum();
    recurrences.map(|part| Share::new(part, all))
}

/// Patients for whom an arm makes a difference: each lives in both arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CounterfactualShares {
    /// Share with the event in the control by the bin's end and none in the arm.
    pub benefit: Share,
    /// Share with the event in the arm by the bin's end and none in the control.
    pub harm: Share,
    /// Whether everybody was followed to the bin's end or an earlier event in both. If not, the
    /// shares are those of differences that were seen, less than those there are.
    pub complete: bool,
}

/// Shares of patients with counterfactual benefit and harm by the end of `bin`, pooled over
/// `strata`.
pub fn counterfactual_shares(
    tally: &Tally,
    strata: &[usize],
    arm: usize,
    endpoint: Endpoint,
    bin: usize,
) -> CounterfactualShares {
    let everybody = patients(tally, strata);
    let differ = |side: usize| {
        let at_end = |stratum: &usize| tally.paired(*stratum, arm, endpoint)[2 * bin + side];
        Share::new(strata.iter().map(at_end).sum(), everybody)
    };
    let lost = |arm: usize| {
        let by_bin = pool(tally, strata, |stratum| {
            tally.exits(stratum, arm, endpoint, ExitKind::Censored)
        });
        by_bin[..bin].iter().any(|count| *count > 0)
    };
    CounterfactualShares {
        benefit: differ(0),
        harm: differ(1),
        complete: !lost(arm) && !lost(tally.shape().control),
    }
}
