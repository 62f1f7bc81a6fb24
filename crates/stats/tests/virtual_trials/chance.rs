//! Luck of virtual trials, and patients with exponential times for them.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_stats::virtual_trial::{Luck, ObservedTime, Pool, Purpose};

/// ChaCha, with a trial as its stream and a purpose as a place in it.
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn turn_to(&mut self, trial: u64) {
        self.0.set_stream(trial);
    }
}

impl Luck for Chance {
    fn open(&mut self, purpose: Purpose) {
        self.0.set_word_pos((purpose as u128) << 32);
    }

    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }
}

/// Days of follow-up of a patient without an event.
pub(crate) const HORIZON_DAYS: f64 = 7305.0;

/// Patients with constant hazards of the event, one per day and arm, and the same luck in all.
pub(crate) fn exponential_patients(
    patients: usize,
    hazards: &[f64],
    seed: u64,
) -> Vec<Vec<ObservedTime>> {
    let mut chance = Chance::new(seed);
    let mut patient = || {
        let luck = chance.exponential();
        let observe = |hazard: &f64| ObservedTime {
            days: (luck / hazard).min(HORIZON_DAYS),
            is_event: luck / hazard < HORIZON_DAYS,
        };
        hazards.iter().map(observe).collect()
    };
    (0..patients).map(|_| patient()).collect()
}

pub(crate) fn pool_of(patients: &[Vec<ObservedTime>]) -> Pool {
    let mut pool = Pool::new(patients[0].len());
    for patient in patients {
        pool.push(patient.iter().copied());
    }
    pool
}
