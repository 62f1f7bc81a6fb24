//! Random numbers of the samplers, keyed by seed, purpose and place, so that threads do not matter.

use std::f64::consts::PI;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of a place, such as a particle's, within a purpose.
    pub(crate) fn new(seed: u64, purpose: u8, place: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = purpose;
        key[16..].copy_from_slice(b"reseed calibrate");
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(place);
        Self(generator)
    }

    /// Above 0 and below 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Standard normal numbers (Box and Muller 1958).
    pub(crate) fn normals(&mut self, number: usize) -> Vec<f64> {
        let mut values = Vec::with_capacity(number + 1);
        while values.len() < number {
            let radius = (-2.0 * core_math::log(self.uniform())).sqrt();
            let angle = 2.0 * PI * self.uniform();
            values.push(radius * core_math::cos(angle));
            values.push(radius * core_math::sin(angle));
        }
        values.truncate(number);
        values
    }

    /// A Poisson number: by counting exponential gaps, or, of a large mean, the nearest whole number
    /// to a normal one of the same mean and variance.
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        const COUNTED_MAX: f64 = 500.0;
        if mean > COUNTED_MAX {
            return (mean + mean.sqrt() * self.normals(1)[0]).round().max(0.0);
        }
        let (mut count, mut time) = (-1.0, 0.0);
        while time < mean {
            time -= core_math::log(self.uniform());
            count += 1.0;
        }
        f64::max(count, 0.0)
    }
}
