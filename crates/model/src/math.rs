//! Transcendental functions with the same bits on every machine.
//!
//! The platform's `exp` and `ln` change with the processor (section 8, promise 5). The engine's
//! two hot functions are written here in IEEE arithmetic, fused only where it says so, so that
//! the compiler can inline them and every machine gives the same bits: a fused operation is
//! rounded once, whether the processor has it or a library stands in. A program that is built for
//! every x86-64 processor has both functions twice, with fused instructions and without, and takes
//! those that the processor has; the bits are the same. They are within two and a half units in
//! the last place. The rest are the correctly rounded functions of CORE-MATH, which
//! also serve as the reference in the tests. With feature `count`, evaluations are counted for the benchmark's floor.

use multiversion::multiversion;

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

/// Steps per power of two in the tables.
const STEPS: usize = 128;

/// ln 2 / 128 in two parts; the first has enough trailing zeros that its product with any
/// exponent is exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN_2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
const STEP_HIGH: f64 = LN_2_HIGH / STEPS as f64;
const STEP_LOW: f64 = LN_2_LOW / STEPS as f64;

/// Adding this rounds a number far below 2⁵¹ to an integer, left in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// 2^(i/128), as bits from which i/128 of the exponent field is taken, so that adding a whole
/// number of steps to them, shifted into place, gives the power for any i.
static POWERS: [u64; STEPS] = powers();

const fn powers() -> [u64; STEPS] {
    let mut table = [0; STEPS];
    let mut i = 0;
    while i < STEPS {
        let x = i as f64 / STEPS as f64 * std::f64::consts::LN_2;
        table[i] = series_exp(x).to_bits() - ((i as u64) << 45);
        i += 1;
    }
    table
}

/// e^x for 0 ≤ x < 1 by Taylor's series, from the smallest term up.
const fn series_exp(x: f64) -> f64 {
    let mut sum = 1.0;
    let mut n = 24;
    while n > 0 {
        sum = 1.0 + sum * x / n as f64;
        n -= 1;
    }
    sum
}

/// e^x, within one and a half units in the last place; results below the normal range are zero.
#[inline]
pub fn exp(x: f64) -> f64 {
    #[cfg(feature = "count")]
    count::exp();
    // One comparison, which holds for what is not a number, too.
    const LARGEST: f64 = 708.0;
    if x.abs().to_bits() >= LARGEST.to_bits() {
        return exp_rare(x);
    }
    exp_common(x)
}

/// e^x for moderate x.
#[multiversion(targets("x86_64+fma"), dispatcher = "direct")]
fn exp_common(x: f64) -> f64 {
    let shifted = x.mul_add(STEPS as f64 * std::f64::consts::LOG2_E, ROUND);
    let steps = shifted - ROUND;
    let r = steps.mul_add(-STEP_LOW, steps.mul_add(-STEP_HIGH, x));
    // 2^(steps/128) from the table; |r| is at most ln(2)/256, so that the first term left out
    // of the series is below 2^-63.
    let bits = shifted.to_bits();
    #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
    let step = (bits & (STEPS as u64 - 1)) as usize;
    let power = POWERS[step].wrapping_add(bits << 45);
    let r2 = r * r;
    let cubic = r.mul_add(1.0 / 6.0, 0.5);
    let quintic = r.mul_add(1.0 / 120.0, 1.0 / 24.0);
    let series = r2.mul_add(r2.mul_add(quintic, cubic), r);
    let power = f64::from_bits(power);
    power.mul_add(series, power)
}

#[cold]
fn exp_rare(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else if x > 0.0 {
        core_math::exp(x)
    } else {
        0.0
    }
}

/// Centres c of 128 stretches of the numbers between √½ and √2, with 1/c and ln c.
static LOGARITHMS: [(f64, f64, f64); STEPS] = logarithms();

/// The upper half of √½, rounded to a stretch.
const SQRT_HALF_BITS: u64 = 0x3fe6_a000_0000_0000;

const fn logarithms() -> [(f64, f64, f64); STEPS] {
    let mut table = [(0.0, 0.0, 0.0); STEPS];
    let mut i = 0;
    while i < STEPS {
        let bits = SQRT_HALF_BITS + ((i as u64) << 45);
        let low = f64::from_bits(bits);
        let high = f64::from_bits(bits + (1 << 45));
        // One itself is a centre on both sides, so that logarithms near it keep their
        // relative accuracy.
        let centre = if low <= 1.0 && 1.0 <= high {
            1.0
        } else {
            0.5 * (low + high)
        };
        table[i] = (centre, 1.0 / centre, series_ln(centre));
        i += 1;
    }
    table
}

/// ln x near one: 2·artanh((x - 1)/(x + 1)), from the smallest term up.
const fn series_ln(x: f64) -> f64 {
    let s = (x - 1.0) / (x + 1.0);
    let mut sum = 0.0;
    let mut n: i32 = 41;
    while n > 0 {
        sum = 1.0 / n as f64 + s * s * sum;
        n -= 2;
    }
    2.0 * s * sum
}

/// Natural logarithm, within two units in the last place; not a number below zero, and minus
/// infinity at zero. Subnormal arguments count as zero.
#[inline]
pub fn ln(x: f64) -> f64 {
    #[cfg(feature = "count")]
    count::ln();
    // Positive, normal and finite, in one comparison.
    const LEAST: u64 = f64::MIN_POSITIVE.to_bits();
    if x.to_bits().wrapping_sub(LEAST) >= f64::INFINITY.to_bits() - LEAST {
        return ln_rare(x);
    }
    ln_common(x)
}

/// The logarithm of a positive, normal number.
#[multiversion(targets("x86_64+fma"), dispatcher = "direct")]
fn ln_common(x: f64) -> f64 {
    // x = 2^exponent · m with m between √½ and √2; ln m = ln c + ln(1 + r).
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let mantissa = shifted & 0x000f_ffff_ffff_ffff;
    #[expect(
        clippy::cast_possible_wrap,
        reason = "the shift keeps the sign on purpose"
    )]
    let exponent = ((shifted as i64) >> 52) as f64;
    let m = f64::from_bits(mantissa + SQRT_HALF_BITS);
    let (centre, inverse, ln_centre) = LOGARITHMS[(mantissa >> 45) as usize];
    let r = (m - centre) * inverse;
    let r2 = r * r;
    let cubic = r.mul_add(1.0 / 3.0, -1.0 / 2.0);
    let quintic = r.mul_add(1.0 / 5.0, -1.0 / 4.0);
    let octic = r2.mul_add(-1.0 / 8.0, r.mul_add(1.0 / 7.0, -1.0 / 6.0));
    let series = (r2 * r2).mul_add(octic, r2.mul_add(quintic, cubic));
    let high = exponent.mul_add(LN_2_HIGH, ln_centre);
    high + (r + r2.mul_add(series, exponent * LN_2_LOW))
}

#[cold]
fn ln_rare(x: f64) -> f64 {
    if x == f64::INFINITY {
        x
    } else if (0.0..f64::MIN_POSITIVE).contains(&x) {
        f64::NEG_INFINITY
    } else {
        f64::NAN
    }
}

/// ln(1 + x), accurate near zero.
#[inline]
pub fn ln_1p(x: f64) -> f64 {
    #[cfg(feature = "count")]
    count::ln();
    if x > 0.5 {
        // Adding one loses nothing that matters here.
        return ln(1.0 + x);
    }
    core_math::log1p(x)
}

/// e^x − 1, accurate near zero.
#[inline]
pub fn exp_m1(x: f64) -> f64 {
    #[cfg(feature = "count")]
    count::exp();
    if x < -0.5 {
        // Taking one away loses nothing that matters here.
        return exp(x) - 1.0;
    }
    core_math::expm1(x)
}

/// x^y; a power of one, which most dose-response curves have, costs nothing.
#[inline]
#[expect(clippy::float_cmp, reason = "one is exact")]
pub fn pow(x: f64, y: f64) -> f64 {
    #[cfg(feature = "count")]
    {
        count::exp();
        count::ln();
    }
    if y == 1.0 { x } else { core_math::pow(x, y) }
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
        let f = |u: f64| if u == 0.0 { 0.0 } else { exp(x - x / u) / u };
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
    #[expect(clippy::float_cmp, reason = "one is the only zero of ln")]
    fn hot_functions_agree_with_correct_rounding() {
        // A multiplicative congruential sequence spreads the arguments; a mantissa error of one
        // part in 2^51 or a coefficient wrong in its last digits fails this.
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 11) as f64 / 9_007_199_254_740_992.0
        };
        let ulps =
            |value: f64, expected: f64| (value - expected).abs() / (expected.abs() * f64::EPSILON);
        let mut worst = (0.0_f64, 0.0_f64);
        for round in 0..1_000_000 {
            let range = [1.0, 40.0, 700.0][round % 3];
            let x = range * (2.0 * uniform() - 1.0);
            worst.0 = worst.0.max(ulps(exp(x), core_math::exp(x)));
            let y = core_math::exp(x);
            let y = if round % 2 == 0 { y } else { 0.5 + uniform() };
            if y != 1.0 {
                worst.1 = worst.1.max(ulps(ln(y), core_math::log(y)));
            }
        }
        assert!(worst.0 <= 1.5 && worst.1 <= 2.5, "{worst:?}");
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "exact values are promised")]
    fn hot_functions_keep_their_ends() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(-800.0), 0.0);
        assert_eq!(exp(f64::INFINITY), f64::INFINITY);
        assert!(exp(f64::NAN).is_nan());
        assert_eq!(exp(-740.0), 0.0);
        assert_eq!(exp(709.5), core_math::exp(709.5));
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert_eq!(ln(f64::INFINITY), f64::INFINITY);
        assert!(ln(-1.0).is_nan() && ln(f64::NAN).is_nan());
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "correctly rounded values are promised")]
    fn bound_functions_are_those_of_the_field() {
        // A transposed or renamed binding would compile: the arguments and results are all f64.
        assert_eq!(ln_1p(0.25), 0.223_143_551_314_209_76);
        assert_eq!(ln_1p(1.0), std::f64::consts::LN_2);
        assert_eq!(exp_m1(-2.0), -0.864_664_716_763_387_3);
        assert_eq!(exp_m1(1.0), 1.718_281_828_459_045_3);
        assert_eq!(pow(2.0, 10.0), 1024.0);
    }
}
