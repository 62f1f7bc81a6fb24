//! Transcendental functions with the same bits on every machine.
//!
//! The platform's `exp` and `ln` change with the processor, so the engine uses the correctly
//! rounded functions of CORE-MATH, whose results are fixed by definition (section 8, promise 5).
//! With feature `count`, evaluations are counted for the benchmark's floor.

/// Work counted on this thread since the start, with feature `count`.
#[cfg(feature = "count")]
pub mod count {
    use std::cell::Cell;

    thread_local! {
        static EXP: Cell<u64> = const { Cell::new(0) };
        static LN: Cell<u64> = const { Cell::new(0) };
        static WORDS: Cell<u64> = const { Cell::new(0) };
        static STREAMS: Cell<u64> = const { Cell::new(0) };
    }

    /// Numbers of operations.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Work {
        /// Exponentials.
        pub exp: u64,
        /// Logarithms.
        pub ln: u64,
        /// Random 64-bit words.
        pub words: u64,
        /// Random streams opened.
        pub streams: u64,
    }

    /// The counts of this thread.
    pub fn work() -> Work {
        Work {
            exp: EXP.get(),
            ln: LN.get(),
            words: WORDS.get(),
            streams: STREAMS.get(),
        }
    }

    pub(crate) fn exp() {
        EXP.set(EXP.get() + 1);
    }
    pub(crate) fn ln() {
        LN.set(LN.get() + 1);
    }
    pub(crate) fn word() {
        WORDS.set(WORDS.get() + 1);
    }
    pub(crate) fn stream() {
        STREAMS.set(STREAMS.get() + 1);
    }
}

/// e^x.
#[inline]
pub fn exp(x: f64) -> f64 {
    #[cfg(feature = "count")]
    count::exp();
    core_math::exp(x)
}

/// Natural logarithm.
#[inline]
pub fn ln(x: f64) -> f64 {
    #[cfg(feature = "count")]
    count::ln();
    core_math::log(x)
}

/// ln(1 + x), accurate near zero.
#[inline]
pub fn ln_1p(x: f64) -> f64 {
    #[cfg(feature = "count")]
    count::ln();
    core_math::log1p(x)
}

/// e^x − 1, accurate near zero.
#[inline]
pub fn exp_m1(x: f64) -> f64 {
    #[cfg(feature = "count")]
    count::exp();
    core_math::expm1(x)
}

/// x^y.
#[inline]
pub fn pow(x: f64, y: f64) -> f64 {
    #[cfg(feature = "count")]
    {
        count::exp();
        count::ln();
    }
    core_math::pow(x, y)
}

/// Exponential integral E₁(x) = ∫ₓ^∞ e^(−z)/z dz for x > 0, scaled: returns e^x·E₁(x).
///
/// Rational and polynomial approximations 5.1.53 and 5.1.56 of Abramowitz and Stegun; relative
/// error below 10⁻⁶, far below anything a count of lymph-node deposits can show.
pub fn exponential_integral_scaled(x: f64) -> f64 {
    if x >= 1.0 {
        let numerator = horner(
            x,
            &[0.2677737343, 8.6347608925, 18.0590169730, 8.5733287401, 1.0],
        );
        let denominator = horner(
            x,
            &[
                3.9584969228,
                21.0996530827,
                25.6329561486,
                9.5733223454,
                1.0,
            ],
        );
        numerator / (denominator * x)
    } else {
        let regular = horner(
            x,
            &[
                -0.57721566,
                0.99999193,
                -0.24991055,
                0.05519968,
                -0.00976004,
                0.00107857,
            ],
        );
        (regular - ln(x)) * exp(x)
    }
}

/// Polynomial with the lowest coefficient first.
fn horner(x: f64, coefficients: &[f64]) -> f64 {
    coefficients
        .iter()
        .rev()
        .fold(0.0, |value, coefficient| value * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E₁ by composite Simpson integration of e^(−x·s)/s over s from 1, on u = 1/s.
    fn reference(x: f64) -> f64 {
        let n = 20_000;
        let f = |u: f64| if u == 0.0 { 0.0 } else { (x - x / u).exp() / u };
        let h = 1.0 / f64::from(n);
        (0..n)
            .map(|i| {
                let u = f64::from(i) * h;
                h / 6.0 * (f(u) + 4.0 * f(u + h / 2.0) + f(u + h))
            })
            .sum()
    }

    #[test]
    fn exponential_integral_agrees_with_quadrature() {
        for x in [0.05, 0.3, 0.99, 1.0, 1.5, 4.3, 12.0, 28.0] {
            let (value, expected) = (exponential_integral_scaled(x), reference(x));
            assert!(
                (value / expected - 1.0).abs() < 1e-6,
                "x = {x}: {value} is not {expected}"
            );
        }
    }

    #[test]
    fn functions_are_those_of_the_field() {
        // A transposed or renamed binding would compile: the arguments and results are all f64.
        assert_eq!(exp(1.0), std::f64::consts::E);
        assert_eq!(ln(2.0), std::f64::consts::LN_2);
        assert_eq!(ln_1p(1.0), std::f64::consts::LN_2);
        assert_eq!(exp_m1(1.0), std::f64::consts::E - 1.0);
        assert_eq!(pow(2.0, 10.0), 1024.0);
    }
}
