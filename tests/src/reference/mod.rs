//! Reference implementations: slow, plain, and each by another method than the engine's.

pub mod branching;
pub mod first_generation;
pub mod gillespie;
pub mod ode;
pub mod patient;
pub mod time_stepped;

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator of every reference: not the engine's, on purpose.
pub type Generator = Xoshiro256PlusPlus;

/// A generator with a fixed seed, so that the tests always see the same numbers.
pub fn generator(seed: u64) -> Generator {
    Generator::seed_from_u64(seed)
}
