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

/// From so many degrees of freedom on, Student's distribution is taken for the normal one.
const NEARLY_NORMAL: usize = 1000;

/// The `x` that a variable with Student's distribution exceeds with this probability, at most a
/// half; `NaN` without degrees of freedom. With 1000 of them or more, that of a normal variable,
/// which is a thousandth less.
pub fn student_upper_quantile(probability: f64, degrees_of_freedom: usize) -> f64 {
    if degrees_of_freedom == 0 || !(0.0..=0.5).contains(&probability) {
        return f64::NAN;
    }
    if degrees_of_freedom >= NEARLY_NORMAL {
        return normal_upper_quantile(probability);
    }
    // The quantile is searched as the angle in which the distribution is a finite sum.
    let (mut below, mut above) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let sine = f64::midpoint(below, above);
        if student_tail(sine, degrees_of_freedom) > probability {
            below = sine;
        } else {
            above = sine;
        }
    }
    (degrees_of_freedom as f64).sqrt() * below / (1.0 - below * below).sqrt()
}

/// Probability that a Student variable t exceeds a positive value, from the sine of the angle
/// whose tangent is t/√ν (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and
/// 26.7.4).
fn student_tail(sine: f64, degrees_of_freedom: usize) -> f64 {
    let square = 1.0 - sine * sine;
    let odd = degrees_of_freedom % 2;
    let mut term = if odd == 1 { square.sqrt() } else { 1.0 };
    let mut sum = 0.0;
    for power in (odd..degrees_of_freedom.saturating_sub(1)).step_by(2) {
        sum += term;
        term *= square * (power + 1) as f64 / (power + 2) as f64;
    }
    let within = if odd == 1 {
        (core_math::asin(sine) + sine * sum) * 2.0 / PI
    } else {
        sine * sum
    };
    0.5 * (1.0 - within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_student_are_those_of_r() {
        // qt(0.975, c(1, 2, 3, 4, 7, 15, 100, 999)) and qt(0.9995, 5) of R 4.2.
        for (degrees, probability, expected) in [
            (1, 0.025, 12.70620473617469),
            (2, 0.025, 4.30265272974946),
            (3, 0.025, 3.18244630528371),
            (4, 0.025, 2.77644510519779),
            (7, 0.025, 2.36462425159278),
            (15, 0.025, 2.13144954555978),
            (100, 0.025, 1.98397151852355),
            (999, 0.025, 1.96234146113345),
            (5, 0.0005, 6.86882662588127),
        ] {
            let found = student_upper_quantile(probability, degrees);
            assert!((found / expected - 1.0).abs() < 1e-9, "{degrees}: {found}");
        }
        assert!(student_upper_quantile(0.025, 0).is_nan());
        assert!((student_upper_quantile(0.025, 1000) - CRITICAL_95).abs() < 1e-12);
    }
}
