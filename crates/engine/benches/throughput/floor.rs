//! The floor: the least time in which a patient's operations can be done.

use std::hint::black_box;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reseed_model::math;
use serde::Deserialize;

/// Mean operations of a patient, as the `operations` benchmark counts them.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Operations {
    /// Patients it counted.
    pub(crate) patients: u64,
    /// Exponentials. Those of 1 less than the exponential, and of powers, count as plain ones.
    pub(crate) exp: f64,
    /// Logarithms, likewise.
    pub(crate) ln: f64,
    /// Random words of 64 bits.
    pub(crate) words: f64,
    /// Turns to a position in a random stream.
    pub(crate) streams: f64,
}

/// Draws as many random words from as many positions of `ChaCha8` streams as `patients` need, and
/// evaluates as many exponentials and logarithms: nothing else, and none but the sum waits for
/// another.
/// Functions are called one by one, as the engine must, not on vectors.
pub(crate) fn run(operations: &Operations, patients: u64) {
    let mut generator = ChaCha8Rng::from_seed([7; 32]);
    let mut due = Due::default();
    // Keeps the results wanted at less cost than storing each.
    let (mut mixed, mut sum) = (0, 0.0);
    for patient in 0..patients {
        let (streams, words) = (due.streams(operations), due.words(operations));
        for stream in 0..streams {
            let block = (patient ^ stream).wrapping_mul(0x9e37_79b9_7f4a_7c15) & !0xff;
            generator.set_word_pos(u128::from(block) << 4);
            if stream == 0 {
                generator.set_stream(patient);
            }
            // Shares of the words that differ by one at most.
            for _ in words * stream / streams..words * (stream + 1) / streams {
                mixed ^= generator.next_u64();
            }
        }
        for at in 0..due.exp(operations) {
            sum += math::exp(-0.37 * at as f64);
        }
        for at in 0..due.ln(operations) {
            sum += math::ln(0.013 * (at + 1) as f64);
        }
    }
    black_box((mixed, sum));
}

/// Carries the fractions of mean counts from patient to patient.
#[derive(Debug, Default)]
struct Due {
    carried: [f64; 4],
}

impl Due {
    fn exp(&mut self, operations: &Operations) -> u64 {
        self.whole(0, operations.exp)
    }

    fn ln(&mut self, operations: &Operations) -> u64 {
        self.whole(1, operations.ln)
    }

    fn words(&mut self, operations: &Operations) -> u64 {
        self.whole(2, operations.words)
    }

    fn streams(&mut self, operations: &Operations) -> u64 {
        self.whole(3, operations.streams)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts are small and not negative"
    )]
    fn whole(&mut self, at: usize, mean: f64) -> u64 {
        self.carried[at] += mean;
        let whole = self.carried[at].floor();
        self.carried[at] -= whole;
        whole as u64
    }
}
