//! The two distributions that tests and intervals refer to.

use std::f64::consts::{PI, SQRT_2};

/// Two-sided 95 % quantile of the standard normal distribution.
pub const CRITICAL_95: f64 = 1.959963984540054;

/// Steps of the search for a quantile: from a width of 40 to below the last place of any of them.
const HALVINGS: u32 = 64;

/// Beyond this many standard deviations the normal distribution has no mass that 64 bits show.
const FARTHEST: f64 = 40.0;

/// Probability that a standard normal variable exceeds `x`; accurate in the tail.
pub fn normal_tail(x: f64) -> f64 {
    0.5 * core_math::erfc(x / SQRT_2)
}

/// The `x` that a standard normal variable exceeds with this probability; infinite for 0 and 1,
/// `NaN` outside.
pub fn normal_upper_quantile(probability: f64) -> f64 {
    if !(0.0..=1.0).contains(&probability) {
        return f64::NAN;
    }
    if probability > 0.5 {
        return -normal_upper_quantile(1.0 - probability);
    }
    if probability == 0.0 {
        return f64::INFINITY;
    }
    let (mut below, mut above) = (0.0, FARTHEST);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(below, above);
        if normal_tail(middle) > probability {
            below = middle;
        } else {
            above = middle;
        }
    }
    below
}

/// Probability that a χ² variable with this many degrees of freedom exceeds `x`.
///
/// The tail for k + 2 degrees is that for k plus (x/2)^(k/2)·e^(−x/2)/Γ(k/2 + 1), so every tail
/// is a finite sum from that for one degree, a normal tail, or for two, an exponential one.
/// Without degrees of freedom there is nothing to exceed, and the answer is `NaN`.
pub fn chi_squared_tail(x: f64, degrees_of_freedom: usize) -> f64 {
    if degrees_of_freedom == 0 || x.is_nan() {
        return f64::NAN;
    }
    let x = x.max(0.0);
    let decay = core_math::exp(-0.5 * x);
    let odd = degrees_of_freedom % 2 == 1;
    let (mut tail, mut term, mut degrees) = if odd {
        (
            2.0 * normal_tail(x.sqrt()),
            (2.0 * x / PI).sqrt() * decay,
            1,
        )
    } else {
        (decay, 0.5 * x * decay, 2)
    };
    while degrees < degrees_of_freedom {
        tail += term;
        degrees += 2;
        term *= x / degrees as f64;
    }
    tail
}
