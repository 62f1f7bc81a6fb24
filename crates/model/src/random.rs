//! Random numbers keyed by seed, patient and purpose (section 8, promise 4).
//!
//! ChaCha with eight rounds is a counter-based generator. The seed is its key, the patient its
//! stream, and the purpose (with the colony, by its path from the root) a position in the
//! stream. Samplers that use a varying number of words are safe because every purpose starts at
//! a position of its own.

use std::sync::LazyLock;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::math;
use crate::patient::PatientIndex;

/// Position of a purpose in a patient's stream.
///
/// Keys are hashes of paths. Each names a run of 256 ChaCha blocks, 2,048 words; a purpose that
/// draws more runs on into positions that no other purpose of the patient is likely to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Key(u64);

impl Key {
    /// The patient's own draws.
    pub(crate) const PATIENT: Self = Self(0);

    /// Key of a named purpose of the patient.
    pub(crate) const fn named(name: &str) -> Self {
        // FNV-1a, then mixed: names are few and short.
        let bytes = name.as_bytes();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        Self(mix(hash))
    }

    /// Key of the child with this number within a purpose.
    pub(crate) const fn child(self, ordinal: u64) -> Self {
        Self(mix(self
            .0
            .wrapping_add(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(mix(ordinal.wrapping_add(1)))))
    }
}

/// Finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection that spreads every bit.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The random numbers of one patient at a time.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    generator: ChaCha8Rng,
    tables: &'static Ziggurats,
}

impl Stream {
    /// Streams of a run's patients.
    pub(crate) fn new(seed: u64) -> Self {
        Self::of_kind(*b"reseed patient stream v1", seed)
    }

    /// Streams of a run's seed that have nothing in common with those of another kind.
    fn of_kind(kind: [u8; 24], seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..].copy_from_slice(&kind);
        Self {
            generator: ChaCha8Rng::from_seed(key),
            tables: &ZIGGURATS,
        }
    }

    /// Turns to a patient, at [`Key::PATIENT`].
    pub(crate) fn open_patient(&mut self, patient: PatientIndex) {
        // Position first: with an empty buffer, setting the stream makes no words in vain.
        self.open(Key::PATIENT);
        self.generator.set_stream(patient.0);
    }

    /// Turns to a purpose of the patient of another stream, of the same run.
    pub(crate) fn open_beside(&mut self, other: &Self, key: Key) {
        self.open(key);
        self.generator.set_stream(other.generator.get_stream());
    }

    /// Turns to a purpose of the current patient.
    pub(crate) fn open(&mut self, key: Key) {
        #[cfg(feature = "count")]
        math::count::stream();
        let block = key.0 & !0xff;
        self.generator.set_word_pos(u128::from(block) << 4);
    }

    #[inline]
    fn word(&mut self) -> u64 {
        #[cfg(feature = "count")]
        math::count::word();
        self.generator.next_u64()
    }

    /// Uniform on [0, 1), a multiple of 2⁻⁵³.
    #[inline]
    pub(crate) fn uniform(&mut self) -> f64 {
        unit(self.word())
    }

    /// Exponential with mean one; positive or zero.
    #[inline]
    pub(crate) fn exponential(&mut self) -> f64 {
        let word = self.word();
        let layer = (word & 0xff) as usize;
        let x = unit(word) * self.tables.exponential.x[layer];
        if x < self.tables.exponential.x[layer + 1] {
            return x;
        }
        self.exponential_rare(layer, x)
    }

    #[cold]
    fn exponential_rare(&mut self, mut layer: usize, mut x: f64) -> f64 {
        let mut offset = 0.0;
        loop {
            let table = &self.tables.exponential;
            if layer == 0 {
                // The tail of an exponential is an exponential: start again beyond the base.
                offset += table.x[1];
            } else {
                let (low, high) = (table.f[layer], table.f[layer + 1]);
                let u = self.uniform();
                if low + (high - low) * u < math::exp(-x) {
                    return offset + x;
                }
            }
            let word = self.word();
            layer = (word & 0xff) as usize;
            x = unit(word) * self.tables.exponential.x[layer];
            if x < self.tables.exponential.x[layer + 1] {
                return offset + x;
            }
        }
    }

    /// Standard normal.
    #[inline]
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let word = self.word();
            let layer = (word & 0xff) as usize;
            let u = 2.0 * unit(word) - 1.0;
            let x = u * self.tables.normal.x[layer];
            if x.abs() < self.tables.normal.x[layer + 1] {
                return x;
            }
            if let Some(x) = self.normal_rare(layer, x) {
                return x;
            }
        }
    }

    #[cold]
    fn normal_rare(&mut self, layer: usize, x: f64) -> Option<f64> {
        let table = &self.tables.normal;
        if layer == 0 {
            // Marsaglia's tail method beyond the base.
            let base = table.x[1];
            loop {
                let beyond = self.exponential() / base;
                if 2.0 * self.exponential() > beyond * beyond {
                    return Some(if x < 0.0 {
                        -base - beyond
                    } else {
                        base + beyond
                    });
                }
            }
        }
        let (low, high) = (table.f[layer], table.f[layer + 1]);
        let u = self.uniform();
        (low + (high - low) * u < math::exp(-0.5 * x * x)).then_some(x)
    }

    /// Poisson by transformed rejection with squeeze (Hörmann, Insurance: Mathematics and Economics
    /// 1993;12:39, algorithm PTRS), for means of at least ten.
    pub(crate) fn poisson(&mut self, mean: f64) -> u32 {
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let v_r = 0.9277 - 3.6224 / (b - 2.0);
        let ln_mean = math::ln(mean);
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= v_r {
                return to_count(k);
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let left = math::ln(v * inverse_alpha / (a / (us * us) + b));
            if left <= k * ln_mean - mean - ln_factorial(k) {
                return to_count(k);
            }
        }
    }
}

/// The random numbers of a run's virtual trials, one trial at a time: the trial is the stream,
/// and each purpose has a position of its own in it, as in the streams of patients.
#[derive(Debug, Clone)]
pub struct VirtualTrialStream(Stream);

impl VirtualTrialStream {
    /// Streams of a run's seed.
    pub fn new(seed: u64) -> Self {
        Self(Stream::of_kind(*b"reseed virtual trials v1", seed))
    }

    /// Turns to a trial, at its first purpose.
    pub fn open_trial(&mut self, trial: u64) {
        self.open(0);
        self.0.generator.set_stream(trial);
    }

    /// Turns to the purpose with this number of the current trial.
    pub fn open(&mut self, purpose: u64) {
        self.0.open(Key::PATIENT.child(purpose));
    }

    /// Uniform on [0, 1), a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        self.0.uniform()
    }

    /// Exponential with mean one; positive or zero.
    pub fn exponential(&mut self) -> f64 {
        self.0.exponential()
    }
}

/// Above this mean Poisson numbers come by rejection.
pub(crate) const POISSON_INVERSION_MAX: f64 = 30.0;

/// Smallest k with P(Poisson(mean) ≤ k) > u, for means below [`POISSON_INVERSION_MAX`].
pub(crate) fn poisson_quantile(mean: f64, u: f64) -> u32 {
    let mut probability = math::exp(-mean);
    let mut cumulative = probability;
    let mut k = 0;
    // Beyond 200 the cumulative probability is one to the last bit for every mean allowed.
    while u >= cumulative && k < 200 {
        k += 1;
        probability *= mean / f64::from(k);
        cumulative += probability;
    }
    k
}

/// ln √(2π).
const LN_SQRT_TWO_PI: f64 = 0.918_938_533_204_672_8;

/// ln k! by Stirling's series, for k ≥ 0 with small k shifted up.
fn ln_factorial(k: f64) -> f64 {
    let mut n = k + 1.0;
    let mut shift = 1.0;
    while n < 10.0 {
        shift *= n;
        n += 1.0;
    }
    let r = 1.0 / n;
    let r2 = r * r;
    (n - 0.5) * math::ln(n) - n
        + LN_SQRT_TWO_PI
        + r * (1.0 / 12.0 - r2 * (1.0 / 360.0 - r2 * (1.0 / 1260.0)))
        - math::ln(shift)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of u32 first"
)]
fn to_count(k: f64) -> u32 {
    k.clamp(0.0, f64::from(u32::MAX)) as u32
}

/// The top 53 bits as a number in [0, 1). The low eleven stay free to choose a layer.
#[inline]
fn unit(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// Layers of a ziggurat (Marsaglia and Tsang, J Stat Softw 2000;5(8)): right ends and heights.
#[derive(Debug)]
struct Ziggurat {
    x: [f64; 257],
    f: [f64; 257],
}

#[derive(Debug)]
struct Ziggurats {
    exponential: Ziggurat,
    normal: Ziggurat,
}

static ZIGGURATS: LazyLock<Ziggurats> = LazyLock::new(|| Ziggurats {
    exponential: ziggurat(
        7.697_117_470_131_05,
        0.003_949_659_822_581_572,
        |x| math::exp(-x),
        |f| -math::ln(f),
    ),
    normal: ziggurat(
        3.654_152_885_361_009,
        0.004_928_673_233_974_658,
        |x| math::exp(-0.5 * x * x),
        |f| (-2.0 * math::ln(f)).sqrt(),
    ),
});

/// Builds 256 layers of equal area from the base's right end and that area.
fn ziggurat(
    base: f64,
    area: f64,
    density: impl Fn(f64) -> f64,
    inverse: impl Fn(f64) -> f64,
) -> Ziggurat {
    let mut x = [0.0; 257];
    x[0] = area / density(base);
    x[1] = base;
    for layer in 2..256 {
        x[layer] = inverse(area / x[layer - 1] + density(x[layer - 1]));
    }
    x[256] = 0.0;
    let f = x.map(&density);
    Ziggurat { x, f }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_virtual_trial_depends_on_seed_trial_and_purpose_alone() {
        let mut stream = VirtualTrialStream::new(7);
        let mut first = |trial, purpose| {
            stream.open_trial(trial);
            stream.open(purpose);
            (stream.uniform(), stream.exponential())
        };
        let one = first(3, 1);
        let others = [first(3, 0), first(4, 1), first(1, 3)];
        assert!(others.iter().all(|other| *other != one));
        assert_eq!(first(3, 1), one);
        // Whoever changes these numbers changes every result with virtual trials.
        assert_eq!(one, (0.21982850134176746, 4.197129218049068));
        let mut other_seed = VirtualTrialStream::new(8);
        other_seed.open_trial(3);
        other_seed.open(1);
        assert!((other_seed.uniform() - one.0).abs() > 0.0);
    }
}
