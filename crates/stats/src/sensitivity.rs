//! Which uncertain parameters an outcome depends on: global sensitivity analysis of a design of
//! parameter points, each with an estimate of the outcome.
//!
//! Parameters are called factors, as in the literature. What can be said depends on the design:
//! [`sobol_indices`] need Saltelli's, [`morris_effects`] trajectories that change one factor at a
//! time, and [`rank_correlations`] and [`tornado`] any sample of the priors.
//!
//! Every outcome is itself estimated from a finite number of patients, others at every point. That noise
//! has a known standard error, is independent between points, and is taken out of variances where
//! it would be mistaken for the parameters' doing.

mod bootstrap;
mod morris;
mod sobol;
mod tornado;

pub use bootstrap::{RESAMPLES, Ranged};
pub use morris::{MorrisEffect, Step, morris_effects};
pub use sobol::{SobolIndices, sobol_indices};
pub use tornado::{Factor, rank_correlations, tornado};

/// An outcome at every point of a design, in the design's order.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// Its estimates.
    pub values: &'a [f64],
    /// Their standard errors, from the patients of each point; zero for exact values.
    pub standard_errors: &'a [f64],
}

impl Outcome<'_> {
    /// The value at a point.
    fn value(&self, point: usize) -> f64 {
        self.values[point]
    }

    /// The noise of that value, as a variance.
    fn noise(&self, point: usize) -> f64 {
        self.standard_errors[point] * self.standard_errors[point]
    }

    /// Whether there is an estimate at every one of these points.
    fn is_known(&self, mut points: std::ops::Range<usize>) -> bool {
        points.all(|point| self.value(point).is_finite() && self.noise(point).is_finite())
    }

    /// Points covered, which both lists must agree on.
    fn points(&self) -> usize {
        assert_eq!(
            self.values.len(),
            self.standard_errors.len(),
            "every value has a standard error"
        );
        self.values.len()
    }
}
