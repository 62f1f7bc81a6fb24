//! Chance by seed.

use std::ops::RangeInclusive;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for. Each has its own, so that one more message does not
/// change which faults strike.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Scenario,
    Faults,
    Network,
    Disks,
    Workers,
}

/// A stream of random numbers.
#[derive(Debug)]
pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(purpose as u64);
        Self(generator)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }

    pub(super) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// A position in, or the length of, something of this length.
    pub(super) fn position(&mut self, length: usize) -> usize {
        self.0.random_range(0..=length)
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    pub(super) fn per_mille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.0.random_range(0..items.len())]
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.0.random()
    }
}
