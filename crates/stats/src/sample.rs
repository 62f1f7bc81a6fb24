//! Plain statistics of a list of numbers.

use crate::estimate::Estimate;

/// The quantile of sorted values at this probability, between the two nearest of them (type 7 of
/// Hyndman and Fan, Am Stat 1996;50:361).
pub fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability * (sorted.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in the list"
    )]
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

/// The mean of values that are independent between clusters, with its standard error. Each value
/// comes with its cluster; those of a cluster are neighbours. The error is `NaN` with a single cluster, and so
/// is the mean of nothing.
pub(crate) fn clustered_mean(values: &[(usize, f64)]) -> Estimate {
    let number = values.len() as f64;
    let mean = values.iter().map(|(_, value)| value).sum::<f64>() / number;
    let (mut clusters, mut squares) = (0.0, 0.0);
    for cluster in values.chunk_by(|a, b| a.0 == b.0) {
        let deviation: f64 = cluster.iter().map(|(_, value)| value - mean).sum();
        squares += deviation * deviation;
        clusters += 1.0;
    }
    Estimate {
        value: mean,
        standard_error: (clusters / (clusters - 1.0) * squares).sqrt() / number,
    }
}

/// Ranks from 1, of the smallest; equal values share the mean of theirs.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        for at in tied {
            ranks[*at] = before as f64 + 0.5 * (tied.len() + 1) as f64;
        }
        before += tied.len();
    }
    ranks
}
