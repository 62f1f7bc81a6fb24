//! For how long an event has happened in one arm only, from the counts of those who differ.
//!
//! With event bins e in one arm and l > e in the other, a patient has been apart at the end of
//! bin h for h − e bins and a half while e ≤ h < l, since an event lies in the middle of its bin,
//! and for l − e from then on. Neither the sum over patients nor that of squares needs the
//! patients: from bin to bin all who differ grow by one, so that with the numbers of those who
//! differ, and of those who no longer do with the sum of their l − e, both follow exactly.

use crate::tally::{Endpoint, Tally};

/// Largest relative difference of widths of bins that are as wide as each other.
const EVEN: f64 = 1e-6;

/// Patients with an earlier event in one of the two arms, by the end of each bin.
pub(crate) struct Apart {
    bins: Vec<Bin>,
}

/// Counts of patients, bins and squared bins.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    /// Patients with the event in the one arm only.
    differing: f64,
    /// Patients whose other event falls in the bin, and the sum of their l − e.
    ended: f64,
    ended_bins: f64,
    /// Patients with a first event so far.
    patients: f64,
    /// Sum of h − e over those who differ.
    waiting: f64,
    /// Sum of l − e over those who no longer do.
    waited: f64,
    /// Sum of squares of both.
    squares: f64,
}

/// Over patients: their number, the sum of the times apart, and that of their squares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeApart {
    pub(crate) patients: f64,
    pub(crate) sum: f64,
    pub(crate) squares: f64,
}

impl Apart {
    /// Those with the first event in the control (`side` 0) or in the arm (1), pooled over
    /// `strata`.
    pub(crate) fn new(
        tally: &Tally,
        strata: &[usize],
        arm: usize,
        endpoint: Endpoint,
        side: usize,
    ) -> Self {
        let mut bins = vec![Bin::default(); tally.shape().bins];
        for stratum in strata {
            let differing = tally.paired(*stratum, arm, endpoint).chunks_exact(2);
            let ended = tally.delayed(*stratum, arm, endpoint).chunks_exact(2);
            let delay = tally.delay(*stratum, arm, endpoint).chunks_exact(2);
            for (((bin, differing), ended), delay) in
                bins.iter_mut().zip(differing).zip(ended).zip(delay)
            {
                bin.differing += differing[side] as f64;
                bin.ended += ended[side] as f64;
                bin.ended_bins += delay[side] as f64;
            }
        }
        let mut before = Bin::default();
        for bin in &mut bins {
            bin.patients = before.patients + bin.differing + bin.ended - before.differing;
            bin.waiting = before.waiting + before.differing - bin.ended_bins;
            bin.waited = before.waited + bin.ended_bins;
            bin.squares = before.squares + 2.0 * before.waiting + before.differing;
            before = *bin;
        }
        Self { bins }
    }

    /// Patients who differ at the end of a bin.
    pub(crate) fn differing(&self, bin: usize) -> f64 {
        self.bins[bin].differing
    }

    /// Times apart by the end of a bin, in the unit of the tally's `edges`. Bins must be equally
    /// wide, but for this last one; otherwise times are `NaN`.
    pub(crate) fn time(&self, edges: &[f64], bin: usize) -> TimeApart {
        let width = edges[1] - edges[0];
        let last = edges[bin + 1] - edges[bin];
        let even = |pair: &[f64]| (pair[1] - pair[0] - width).abs() <= EVEN * width;
        let width = if edges[..=bin].windows(2).all(even) {
            width
        } else {
            f64::NAN
        };
        let here = &self.bins[bin];
        let before = bin
            .checked_sub(1)
            .map_or(0.0, |before| self.bins[before].differing);
        let started = here.differing + here.ended - before;
        let longer = here.differing - started;
        // From the middle of a whole bin to the end of this one, to its middle, and half of it.
        let (to_end, to_middle, half) = (last - width / 2.0, (last - width) / 2.0, last / 2.0);
        TimeApart {
            patients: here.patients,
            sum: width * (here.waiting + here.waited)
                + to_end * longer
                + half * started
                + to_middle * here.ended,
            squares: width * width * here.squares
                + 2.0 * width * (to_end * here.waiting + to_middle * here.ended_bins)
                + to_end * to_end * longer
                + half * half * started
                + to_middle * to_middle * here.ended,
        }
    }
}
