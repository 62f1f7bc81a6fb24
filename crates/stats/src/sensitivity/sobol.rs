//! Sobol indices from Saltelli's design.

use super::Outcome;
use super::bootstrap::{Ranged, Terms, ranged};

/// Shares of an outcome's variance that are due to each factor.
#[derive(Debug, Clone, PartialEq)]
pub struct SobolIndices {
    /// By the factor alone: the share of the variance that would vanish, on average, if it were
    /// known (first order).
    pub first: Vec<Ranged>,
    /// By the factor and its interactions: the share that would remain, on average, if all
    /// others were known.
    pub total: Vec<Ranged>,
    /// Variance of the outcome over the priors, without noise.
    pub variance: f64,
    /// Variance of the noise, on average over the points.
    pub noise: f64,
    /// Rows of the design that were used.
    pub rows: usize,
}

/// Sobol indices of an outcome on Saltelli's design (Comput Phys Commun 2010;181:259).
///
/// The design's points come in rows of k + 2, for k factors: a point A; for each factor A with
/// that factor taken from B; and the point B. A and B are independent. Rows that lack an estimate
/// are left out, as is an unfinished last one. First-order indices are by Saltelli's
/// estimator ([2010], table 2, row b), with outcomes centred; total indices by Jansen's
/// (Comput Phys Commun 1999;117:35).
///
/// Noise of the outcomes has mean products of zero between points, so it leaves the numerator
/// of the first-order index alone. It adds its variance to that of the outcome, and the mean of
/// the two points' noise to Jansen's numerator; both are subtracted. Differences of large noise may leave
/// indices a little below zero or above one.
///
/// Intervals are by bootstrap over rows. With points of a low-discrepancy sequence they are wider than
/// needed, because such rows scatter less than independent ones.
///
/// `None` with fewer than two rows.
///
/// [2010]: https://doi.org/10.1016/j.cpc.2009.09.018
pub fn sobol_indices(
    outcome: Outcome<'_>,
    factors: usize,
    words: &mut dyn FnMut() -> u64,
) -> Option<SobolIndices> {
    let length = factors + 2;
    let starts: Vec<usize> = (0..outcome.points() / length)
        .map(|row| row * length)
        .filter(|start| outcome.is_known(*start..start + length))
        .collect();
    if starts.len() < 2 {
        return None;
    }
    // A common shift changes no index and keeps the sums of squares accurate.
    let ends = starts.iter().flat_map(|start| [*start, start + length - 1]);
    let middle = ends.map(|point| outcome.value(point)).sum::<f64>() / (2 * starts.len()) as f64;
    let mut terms = Terms::new(3 + 3 * factors);
    for start in &starts {
        terms.push(row_terms(outcome, *start, factors, middle));
    }
    let means = terms.means();
    let rows = terms.rows();
    let (variance, noise) = variance_and_noise(&means, rows);
    let both = ranged(&terms, words, |means| indices(means, rows, factors));
    let (first, total) = both.split_at(factors);
    Some(SobolIndices {
        first: first.to_vec(),
        total: total.to_vec(),
        variance,
        noise,
        rows,
    })
}

/// Of a row: the mean outcome of A and B, their mean square, their mean noise; and for each
/// factor, with d the difference that it makes to A: B·d, d, and d² less its noise.
fn row_terms(outcome: Outcome<'_>, start: usize, factors: usize, middle: f64) -> Vec<f64> {
    let at = |point: usize| outcome.value(start + point) - middle;
    let noise = |point: usize| outcome.noise(start + point);
    let (a, b) = (at(0), at(factors + 1));
    let mut terms = vec![
        0.5 * (a + b),
        0.5 * (a * a + b * b),
        0.5 * (noise(0) + noise(factors + 1)),
    ];
    for factor in 1..=factors {
        let difference = at(factor) - a;
        terms.extend([
            b * difference,
            difference,
            difference * difference - noise(0) - noise(factor),
        ]);
    }
    terms
}

fn variance_and_noise(means: &[f64], rows: usize) -> (f64, f64) {
    let points = 2.0 * rows as f64;
    let seen = (means[1] - means[0] * means[0]) * points / (points - 1.0);
    (seen - means[2], means[2])
}

/// First-order indices, then total ones; not numbers where noise leaves no variance to share.
fn indices(means: &[f64], rows: usize, factors: usize) -> Vec<f64> {
    let (variance, _) = variance_and_noise(means, rows);
    if variance <= 0.0 {
        return vec![f64::NAN; 2 * factors];
    }
    let of = |factor: usize| &means[3 + 3 * factor..6 + 3 * factor];
    let first = (0..factors).map(|factor| (of(factor)[0] - means[0] * of(factor)[1]) / variance);
    let total = (0..factors).map(|factor| 0.5 * of(factor)[2] / variance);
    first.chain(total).collect()
}
