//! How often the paired intervals cover the truth, by simulation.

mod common;

use common::{record, tally_of_pairs};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_stats::estimate::contrast;
use reseed_stats::{ArmRecord, Endpoint, ExitKind};

const BINS: usize = 12;
const PATIENTS: usize = 300;
const TRIALS: usize = 3000;

/// Per bin: hazards of the event, of a competing event and of dropping out; and the probability
/// that the arm's treatment prevents the event for good, which leaves the other two.
struct World {
    event: f64,
    competing: f64,
    dropout: f64,
    prevented: f64,
}

impl World {
    /// True cumulative incidence in the control by the last bin.
    fn incidence(&self) -> f64 {
        let leaving = self.event + self.competing;
        let mut free = 1.0;
        let mut incidence = 0.0;
        for _ in 0..BINS {
            incidence += free * self.event;
            free *= 1.0 - leaving;
        }
        incidence
    }

    fn pair(&self, random: &mut ChaCha8Rng) -> (ArmRecord, ArmRecord) {
        let prevented = uniform(random) < self.prevented;
        let (mut control, mut arm) = (None, None);
        for bin in 0..BINS {
            let fate = uniform(random);
            let drops_out = uniform(random) < self.dropout || bin == BINS - 1;
            if fate < self.event {
                control.get_or_insert(record(ExitKind::Event, bin, 0));
                if !prevented {
                    arm.get_or_insert(record(ExitKind::Event, bin, 0));
                }
            } else if fate < self.event + self.competing {
                control.get_or_insert(record(ExitKind::Competing, bin, 0));
                arm.get_or_insert(record(ExitKind::Competing, bin, 0));
            }
            if drops_out {
                control.get_or_insert(record(ExitKind::Censored, bin, 0));
                arm.get_or_insert(record(ExitKind::Censored, bin, 0));
            }
        }
        (control.unwrap(), arm.unwrap())
    }
}

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Coverage of the difference and of the ratio, and the mean estimated variance of the
/// difference over the variance seen between trials.
fn simulate(world: &World, true_control: f64, true_arm: f64) -> (f64, f64, f64) {
    let mut random = ChaCha8Rng::seed_from_u64(20260101);
    let (mut covered, mut ratio_covered) = (0usize, 0usize);
    let (mut estimated, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for _ in 0..TRIALS {
        let patients: Vec<_> = (0..PATIENTS).map(|_| world.pair(&mut random)).collect();
        let tally = tally_of_pairs(BINS, patients);
        let found = contrast(&tally, &[0], 1, Endpoint::Local, BINS - 1);
        let holds = |interval: (f64, f64), truth| interval.0 <= truth && truth <= interval.1;
        covered += usize::from(holds(found.difference_interval, true_arm - true_control));
        ratio_covered += usize::from(holds(found.ratio_interval, true_arm / true_control));
        estimated += found.difference.standard_error.powi(2);
        sum += found.difference.value;
        squares += found.difference.value.powi(2);
    }
    let trials = TRIALS as f64;
    let variance = (squares - sum * sum / trials) / (trials - 1.0);
    (
        covered as f64 / trials,
        ratio_covered as f64 / trials,
        estimated / trials / variance,
    )
}

fn check(world: &World) {
    let control = world.incidence();
    // A prevented patient may still have the competing event: the arm is a mixture.
    let arm = control * (1.0 - world.prevented);
    let (difference, ratio, variance) = simulate(world, control, arm);
    eprintln!("difference {difference}, ratio {ratio}, variance {variance}");
    assert!((0.935..=0.97).contains(&difference), "{difference}");
    assert!((0.935..=0.97).contains(&ratio), "{ratio}");
    assert!((0.9..=1.1).contains(&variance), "{variance}");
}

#[test]
fn paired_intervals_cover_without_censoring() {
    check(&World {
        event: 0.02,
        competing: 0.01,
        dropout: 0.0,
        prevented: 0.3,
    });
}

/// Half of the patients drop out within the time looked at.
#[test]
fn paired_intervals_cover_with_drop_out() {
    check(&World {
        event: 0.02,
        competing: 0.01,
        dropout: 0.06,
        prevented: 0.3,
    });
}

/// Six events are prevented on average.
#[test]
fn paired_intervals_cover_with_few_discordant_pairs() {
    check(&World {
        event: 0.02,
        competing: 0.0,
        dropout: 0.0,
        prevented: 0.1,
    });
}
