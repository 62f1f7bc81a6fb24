//! Bootstrap intervals of smooth functions of means.

use crate::sample::quantile;

/// Resamples behind an interval.
pub const RESAMPLES: usize = 1000;

/// An estimate with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranged {
    /// The estimate.
    pub value: f64,
    /// Its interval; `NaN` where half of the resamples allow no estimate.
    pub interval: (f64, f64),
}

/// Rows that are resampled as wholes, and of each the terms whose means the statistics are made
/// of.
pub(super) struct Terms {
    width: usize,
    values: Vec<f64>,
}

impl Terms {
    /// No rows yet, of so many terms each.
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            values: Vec::new(),
        }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = f64>) {
        self.values.extend(row);
        assert!(
            self.values.len().is_multiple_of(self.width),
            "every row has all terms"
        );
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// Means of the terms over all rows.
    pub(super) fn means(&self) -> Vec<f64> {
        self.means_over(0..self.rows())
    }

    /// Means over as many rows as there are, drawn with replacement.
    fn resampled(&self, words: &mut dyn FnMut() -> u64) -> Vec<f64> {
        let rows = self.rows();
        self.means_over((0..rows).map(|_| below(words(), rows)))
    }

    fn means_over(&self, rows: impl Iterator<Item = usize>) -> Vec<f64> {
        let mut sums = vec![0.0; self.width];
        for row in rows {
            let terms = &self.values[row * self.width..(row + 1) * self.width];
            for (sum, term) in sums.iter_mut().zip(terms) {
                *sum += term;
            }
        }
        let rows = self.rows() as f64;
        sums.into_iter().map(|sum| sum / rows).collect()
    }
}

/// A number below `bound` from a random word.
fn below(word: u64, bound: usize) -> usize {
    let product = u128::from(word) * bound as u128;
    usize::try_from(product >> 64).unwrap_or(0)
}

/// Statistics with their percentile intervals (Efron and Tibshirani 1993, chapter 13).
/// `statistics` makes them from the means of the terms; `words` are random.
///
/// Of the percentile, basic, accelerated (BCa) and jackknife intervals, none covers clearly
/// better than the percentiles here; `tests/sensitivity.rs` says how often these do.
pub(super) fn ranged(
    terms: &Terms,
    words: &mut dyn FnMut() -> u64,
    statistics: impl Fn(&[f64]) -> Vec<f64>,
) -> Vec<Ranged> {
    let resampled: Vec<Vec<f64>> = (0..RESAMPLES)
        .map(|_| statistics(&terms.resampled(words)))
        .collect();
    let values = statistics(&terms.means()).into_iter().enumerate();
    values
        .map(|(at, value)| Ranged {
            value,
            interval: interval(resampled.iter().map(|statistics| statistics[at]).collect()),
        })
        .collect()
}

fn interval(mut resampled: Vec<f64>) -> (f64, f64) {
    resampled.retain(|value| value.is_finite());
    if resampled.len() < RESAMPLES / 2 {
        return (f64::NAN, f64::NAN);
    }
    resampled.sort_by(f64::total_cmp);
    (quantile(&resampled, 0.025), quantile(&resampled, 0.975))
}
