//! The best point: CMA-ES (Hansen 2016) on the posterior density.

use cmaes::{CMAESOptions, DVector};

/// Evaluations of the density at most.
const EVALUATIONS_MAX: usize = 200_000;

/// Spread of the first points about the start, scores.
const FIRST_STEP: f64 = 0.3;

/// Scores are rounded to this, which is far below what matters and far above where processors may
/// differ in the optimiser's matrices.
const ROUNDING: f64 = 1e-4;

/// The point of the largest density, from a start nearby.
///
/// # Panics
/// If the start has no dimensions.
pub fn optimum(start: &[f64], log_density: impl Fn(&[f64]) -> f64, seed: u64) -> Vec<f64> {
    let loss = |point: &DVector<f64>| -log_density(point.as_slice());
    let mut search = CMAESOptions::new(start.to_vec(), FIRST_STEP)
        .seed(seed)
        .max_function_evals(EVALUATIONS_MAX)
        .build(loss)
        .expect("the start has dimensions, and the options are right");
    let found = search.run();
    let best = found
        .overall_best
        .map_or_else(|| start.to_vec(), |best| best.point.as_slice().to_vec());
    best.into_iter()
        .map(|score| (score / ROUNDING).round() * ROUNDING)
        .collect()
}
