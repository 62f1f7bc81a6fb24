//! Calibration: whether as many events come as are expected, and whether risks differ as much as
//! they should.

use crate::distribution::CRITICAL_95;
use crate::estimate::Estimate;

/// Newton's steps, of which a handful are taken, and the change at which they end.
const STEPS: u32 = 50;
const CLOSE: f64 = 1e-12;

/// A patient's predicted cumulative hazard of the event, while competing events are taken for
/// censoring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FollowedHazard {
    /// Until the patient left, or the horizon if that is earlier: the events to expect.
    pub followed: f64,
    /// Until the horizon: how high the patient's risk is, known from the start.
    pub horizon: f64,
    /// Whether the patient left by an event, until the horizon.
    pub event: bool,
}

/// Observed against expected events (Crowson, Atkinson and Therneau, Stat Methods Med Res
/// 2016;25:1692).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Events.
    pub observed: u64,
    /// Events to expect: the sum of the hazards.
    pub expected: f64,
    /// Observed over expected; 1 if as many events come as are predicted.
    pub ratio: f64,
    /// Its 95 % interval, that of Poisson regression with the expected as offset.
    pub ratio_interval: (f64, f64),
    /// By how much the logarithm of the hazard rises with its prediction's: 1 if risks differ
    /// as predicted, less if they differ less. `NaN` if predictions are all alike.
    pub slope: Estimate,
    /// Of the same regression, the logarithm of observed over expected for a patient of the mean
    /// logarithm of the hazard.
    pub intercept: Estimate,
}

/// Calibration by Poisson regression. Each patient's events are expected to be
/// followed·exp(intercept + (slope − 1)·x), where x is the logarithm of the hazard until the
/// horizon, less its mean. The regression must not be on the logarithm of the hazard until the
/// patient left: that depends on the event itself, and its slope would be below 1 even for perfect
/// predictions.
pub fn calibration(patients: &[FollowedHazard]) -> Calibration {
    let observed = patients.iter().filter(|patient| patient.event).count() as u64;
    let expected: f64 = patients.iter().map(|patient| patient.followed).sum();
    let ratio = observed as f64 / expected;
    // The logarithm of a Poisson count has a standard error of one over its root.
    let error = 1.0 / (observed as f64).sqrt();
    let (lower, upper) = Estimate {
        value: ratio,
        standard_error: ratio * error,
    }
    .log_interval(CRITICAL_95);
    let (intercept, slope) = regression(patients);
    Calibration {
        observed,
        expected,
        ratio,
        ratio_interval: (lower, upper),
        slope,
        intercept,
    }
}

/// Intercept and slope, by Newton's method from the ratio and a slope of 1.
fn regression(patients: &[FollowedHazard]) -> (Estimate, Estimate) {
    let logs: Vec<f64> = patients
        .iter()
        .map(|patient| core_math::log(patient.horizon))
        .collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let (mut intercept, mut extra) = (0.0, 0.0);
    for _ in 0..STEPS {
        let mut sums = Sums::default();
        for (patient, log) in patients.iter().zip(&logs) {
            let x = log - mean;
            let expected = patient.followed * core_math::exp(intercept + extra * x);
            sums.add(x, f64::from(u8::from(patient.event)) - expected, expected);
        }
        let (by_intercept, by_slope) = sums.step();
        intercept += by_intercept;
        extra += by_slope;
        if !(by_intercept.is_finite() && by_slope.is_finite()) {
            break;
        }
        if by_intercept.abs() + by_slope.abs() < CLOSE {
            let (intercept_variance, slope_variance) = sums.variances();
            return (
                Estimate::new(intercept, intercept_variance),
                Estimate::new(1.0 + extra, slope_variance),
            );
        }
    }
    (Estimate::UNKNOWN, Estimate::UNKNOWN)
}

/// Derivatives of the likelihood by intercept and slope, and the information.
#[derive(Default)]
struct Sums {
    score: (f64, f64),
    information: (f64, f64, f64),
}

/// What part of the information rounding may leave of nothing.
const SINGULAR: f64 = 1e-12;

impl Sums {
    fn add(&mut self, x: f64, residual: f64, expected: f64) {
        self.score.0 += residual;
        self.score.1 += residual * x;
        self.information.0 += expected;
        self.information.1 += expected * x;
        self.information.2 += expected * x * x;
    }

    /// `NaN` if the two cannot be told apart.
    fn determinant(&self) -> f64 {
        let (first, mixed, second) = self.information;
        let determinant = first * second - mixed * mixed;
        if determinant > SINGULAR * first * first {
            determinant
        } else {
            f64::NAN
        }
    }

    fn step(&self) -> (f64, f64) {
        let (first, mixed, second) = self.information;
        let determinant = self.determinant();
        (
            (second * self.score.0 - mixed * self.score.1) / determinant,
            (first * self.score.1 - mixed * self.score.0) / determinant,
        )
    }

    fn variances(&self) -> (f64, f64) {
        let determinant = self.determinant();
        (
            self.information.2 / determinant,
            self.information.0 / determinant,
        )
    }
}
