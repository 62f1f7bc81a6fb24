//! Whether known values are found again as often as a posterior promises (simulation-based
//! calibration: Talts and others, arXiv 1804.06788). Ranks are shares of draws below the known
//! value; if posteriors are right, they are uniform from 0 to 1.

use crate::distribution::chi_squared_tail;

/// The probability of ranks at least as uneven by chance: χ² over so many bins of equal width.
pub fn uniformity(ranks: &[f64], bins: usize) -> f64 {
    let mut counts = vec![0.0_f64; bins];
    for rank in ranks {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "ranks are between 0 and 1"
        )]
        let bin = (rank * bins as f64) as usize;
        counts[bin.min(bins - 1)] += 1.0;
    }
    let expected = ranks.len() as f64 / bins as f64;
    let parts = counts
        .iter()
        .map(|count| (count - expected) * (count - expected) / expected);
    chi_squared_tail(parts.sum(), bins - 1)
}

/// The share of known values within the central interval of this probability.
pub fn coverage(ranks: &[f64], probability: f64) -> f64 {
    let margin = 0.5 * (1.0 - probability);
    let within = ranks
        .iter()
        .filter(|rank| (margin..=1.0 - margin).contains(*rank));
    within.count() as f64 / ranks.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_ranks_are_likely_and_others_are_not() {
        let even: Vec<f64> = (0..200).map(|at| (f64::from(at) + 0.5) / 200.0).collect();
        assert!((uniformity(&even, 20) - 1.0).abs() < 1e-12);
        assert!((coverage(&even, 0.9) - 0.9).abs() < 1e-12);
        // A posterior that is too narrow puts what is true at its ends.
        let narrow: Vec<f64> = even
            .iter()
            .map(|rank| {
                if *rank < 0.5 {
                    rank * rank
                } else {
                    1.0 - (1.0 - rank) * (1.0 - rank)
                }
            })
            .collect();
        assert!(uniformity(&narrow, 20) < 0.01);
        assert!(coverage(&narrow, 0.9) < 0.8);
    }
}
