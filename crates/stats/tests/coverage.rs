//! How often the paired intervals cover the truth, by simulation.

mod common;

use common::{record, tally_of_pairs};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_stats::estimate::contrast;
use reseed_stats::share::{counterfactual_shares, origin_shares};
use reseed_stats::{ArmRecord, Endpoint, ExitKind, PairedCurves};

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

    /// True mean time lost to the event in the control, in bins; events lie in their middles.
    fn lost(&self) -> f64 {
        let leaving = self.event + self.competing;
        let mut free = 1.0;
        let mut lost = 0.0;
        for bin in 0..BINS {
            lost += free * self.event * ((BINS - bin) as f64 - 0.5);
            free *= 1.0 - leaving;
        }
        lost
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

/// How often intervals cover, and the mean estimated variance of the difference of incidences
/// over the variance seen between trials.
struct Simulated {
    difference: f64,
    ratio: f64,
    mean_lost: f64,
    benefit: f64,
    variance: f64,
}

fn simulate(world: &World, true_control: f64, true_arm: f64) -> Simulated {
    let edges: Vec<f64> = (0..=BINS).map(|edge| edge as f64).collect();
    let mut random = ChaCha8Rng::seed_from_u64(20260101);
    let (mut covered, mut ratio_covered) = (0usize, 0usize);
    let (mut mean_covered, mut benefit_covered) = (0usize, 0usize);
    let (mut estimated, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for _ in 0..TRIALS {
        let patients: Vec<_> = (0..PATIENTS).map(|_| world.pair(&mut random)).collect();
        let tally = tally_of_pairs(BINS, patients);
        let found = contrast(&tally, &[0], 1, Endpoint::Local, BINS - 1);
        covered += usize::from(holds(found.difference_interval, true_arm - true_control));
        ratio_covered += usize::from(holds(found.ratio_interval, true_arm / true_control));
        let curves = PairedCurves::new(&tally, &[0], 1, Endpoint::Local);
        let means = curves.mean(&edges, BINS - 1);
        let gained = world.lost() * (true_arm / true_control - 1.0);
        mean_covered += usize::from(holds(means.difference_interval, gained));
        let shares = counterfactual_shares(&tally, &[0], 1, Endpoint::Local, BINS - 1);
        assert_eq!(shares.complete, world.dropout == 0.0);
        benefit_covered += usize::from(holds(shares.benefit.interval, true_control - true_arm));
        estimated += found.difference.standard_error.powi(2);
        sum += found.difference.value;
        squares += found.difference.value.powi(2);
    }
    let trials = TRIALS as f64;
    let variance = (squares - sum * sum / trials) / (trials - 1.0);
    Simulated {
        difference: covered as f64 / trials,
        ratio: ratio_covered as f64 / trials,
        mean_lost: mean_covered as f64 / trials,
        benefit: benefit_covered as f64 / trials,
        variance: estimated / trials / variance,
    }
}

fn holds(interval: (f64, f64), truth: f64) -> bool {
    interval.0 <= truth && truth <= interval.1
}

fn check(world: &World) {
    let control = world.incidence();
    // A prevented patient may still have the competing event: the arm is a mixture.
    let arm = control * (1.0 - world.prevented);
    let found = simulate(world, control, arm);
    eprintln!(
        "difference {}, ratio {}, mean lost {}, benefit {}, variance {}",
        found.difference, found.ratio, found.mean_lost, found.benefit, found.variance
    );
    let nominal = 0.935..=0.965;
    assert!(nominal.contains(&found.difference), "{}", found.difference);
    assert!(nominal.contains(&found.ratio), "{}", found.ratio);
    assert!(nominal.contains(&found.mean_lost), "{}", found.mean_lost);
    if world.dropout == 0.0 {
        assert!(nominal.contains(&found.benefit), "{}", found.benefit);
    }
    assert!((0.9..=1.1).contains(&found.variance), "{}", found.variance);
}

/// Events come three bins later in the arm, if there is time.
#[test]
fn mean_intervals_cover_where_events_are_delayed() {
    const DELAY: usize = 3;
    const EVENT: f64 = 0.03;
    let edges: Vec<f64> = (0..=BINS).map(|edge| edge as f64).collect();
    let mut random = ChaCha8Rng::seed_from_u64(20260102);
    // What an event in a bin costs, less for as long as it is delayed.
    let (mut truth, mut free) = (0.0, 1.0);
    for bin in 0..BINS {
        let left = (BINS - bin) as f64 - 0.5;
        truth -= free * EVENT * left.min(DELAY as f64);
        free *= 1.0 - EVENT;
    }
    let (mut covered, mut estimated, mut deviations) = (0usize, 0.0, 0.0);
    for _ in 0..TRIALS {
        let patients = (0..PATIENTS).map(|_| {
            let event = (0..BINS).find(|_| uniform(&mut random) < EVENT);
            let stays = record(ExitKind::Censored, BINS - 1, 0);
            let at = |bin: usize| {
                if bin < BINS {
                    record(ExitKind::Event, bin, 0)
                } else {
                    stays
                }
            };
            (
                event.map_or(stays, at),
                event.map_or(stays, |bin| at(bin + DELAY)),
            )
        });
        let tally = tally_of_pairs(BINS, patients.collect::<Vec<_>>());
        let curves = PairedCurves::new(&tally, &[0], 1, Endpoint::Rfs);
        let found = curves.mean(&edges, BINS - 1);
        covered += usize::from(holds(found.difference_interval, truth));
        estimated += found.difference.standard_error.powi(2);
        deviations += (found.difference.value - truth).powi(2);
    }
    let coverage = covered as f64 / TRIALS as f64;
    eprintln!("coverage {coverage}, variance {}", estimated / deviations);
    assert!((0.935..=0.965).contains(&coverage), "{coverage}");
    assert!((0.9..=1.1).contains(&(estimated / deviations)));
}

/// A third of the recurrences are reseeded; of those, a fifth come from the scar.
#[test]
fn shares_of_origins_cover() {
    let mut random = ChaCha8Rng::seed_from_u64(20260103);
    let mut covered = [0usize; 4];
    let truth = [2.0 / 3.0, 1.0 / 6.0, 1.0 / 10.0, 1.0 / 15.0];
    for _ in 0..TRIALS {
        let patients = (0..PATIENTS).map(|_| {
            let place = uniform(&mut random);
            let origins = [2.0 / 3.0, 5.0 / 6.0, 14.0 / 15.0];
            let origin = u8::try_from(origins.iter().filter(|edge| place > **edge).count());
            let event = record(ExitKind::Event, 0, origin.unwrap());
            let event = if uniform(&mut random) < 0.4 {
                event
            } else {
                record(ExitKind::Censored, 1, 0)
            };
            (event, event)
        });
        let tally = tally_of_pairs(2, patients.collect::<Vec<_>>());
        for (position, share) in origin_shares(&tally, &[0], 1, 1).iter().enumerate() {
            covered[position] += usize::from(holds(share.interval, truth[position]));
        }
    }
    let coverage = covered.map(|covered| covered as f64 / TRIALS as f64);
    eprintln!("{coverage:?}");
    assert!(
        coverage.iter().all(|share| (0.935..=0.965).contains(share)),
        "{coverage:?}"
    );
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
