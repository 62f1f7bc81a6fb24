//! Ratios and tests between two arms in which the same patients live: against the jackknife over
//! patients, and from a tally against the patients themselves.

mod common;

use common::tally_of_pairs;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_stats::{
    ArmRecord, Cause, Coupled, ENDPOINTS, Endpoint, Exit, ExitKind, JointExits, Weights,
};

/// Months of follow-up, each a bin.
const FOLLOW_UP: f64 = 240.0;
const BINS: usize = 240;

/// Time and cause: 0 for the event, 1 for a competing one, none for censoring.
type Life = (f64, Option<usize>);

const LATE: Weights = Weights {
    rho: 0.0,
    gamma: 1.0,
};

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

fn exponential(random: &mut ChaCha8Rng, hazard: f64) -> f64 {
    -core_math::log(uniform(random)) / hazard
}

fn first(event: f64, competing: f64, censoring: f64) -> Life {
    if censoring < event.min(competing) {
        (censoring, None)
    } else if event < competing {
        (event, Some(0))
    } else {
        (competing, Some(1))
    }
}

/// Hazards per month, and what the arm does to an event: prevents it with this probability, and
/// delays it by this factor otherwise.
struct World {
    event: f64,
    competing: f64,
    drop_out: f64,
    prevented: f64,
    delay: f64,
    /// How far a standard error from a tally may be from that of its patients.
    cost: f64,
}

/// Few recurrences in competition with death, as in the presets; and death itself, of nearly
/// everybody.
const RECURRENCE: World = World {
    event: 0.0015,
    competing: 0.003,
    drop_out: 0.0,
    prevented: 0.3,
    delay: 1.0,
    cost: 0.005,
};
const DEATH: World = World {
    event: 0.006,
    competing: 0.0,
    drop_out: 0.001,
    prevented: 0.05,
    delay: 1.2,
    cost: 0.05,
};

impl World {
    fn pair(&self, random: &mut ChaCha8Rng) -> [Life; 2] {
        let event = exponential(random, self.event);
        let prevented = uniform(random) < self.prevented;
        let later = if prevented {
            f64::INFINITY
        } else {
            event * self.delay
        };
        let competing = exponential(random, self.competing);
        let censoring = exponential(random, self.drop_out).min(FOLLOW_UP);
        [event, later].map(|event| first(event, competing, censoring))
    }

    fn pairs(&self, patients: usize, seed: u64) -> Vec<[Life; 2]> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..patients).map(|_| self.pair(&mut random)).collect()
    }
}

/// Estimates by name: a score or the logarithm of a ratio, with its paired standard error.
fn estimates(coupled: &Coupled<'_>) -> [(&'static str, f64, f64); 5] {
    let of =
        |name, estimate: reseed_stats::Estimate| (name, estimate.value, estimate.standard_error);
    [
        of("log-rank", coupled.log_rank(Weights::EQUAL).score),
        of("late log-rank", coupled.log_rank(LATE).score),
        of("gray", coupled.gray().score),
        of("cox", coupled.cox().log_ratio),
        of("fine-gray", coupled.fine_gray().log_ratio),
    ]
}

/// The jackknife over patients, each with both lives, needs no formula.
#[test]
fn errors_are_those_of_the_jackknife() {
    const PATIENTS: usize = 400;
    for (competing, seed) in [(0.003, 1), (0.0, 2)] {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // Half of the patients have the event at another time in the arm, by the same law: scores
        // have the variance that their tests suppose.
        let pairs: Vec<_> = (0..PATIENTS)
            .map(|_| {
                let event = exponential(&mut random, 0.008);
                let again = exponential(&mut random, 0.008);
                let later = if uniform(&mut random) < 0.5 {
                    again
                } else {
                    event
                };
                let competing = exponential(&mut random, competing);
                let censoring = exponential(&mut random, 0.002).min(FOLLOW_UP);
                [event, later].map(|event| first(event, competing, censoring))
            })
            .collect();
        let whole = estimates(&Coupled::of_patients(&pairs));
        let without: Vec<_> = (0..PATIENTS)
            .map(|left_out| {
                let mut rest = pairs.clone();
                rest.remove(left_out);
                estimates(&Coupled::of_patients(&rest))
            })
            .collect();
        for (position, (name, value, error)) in whole.into_iter().enumerate() {
            let squares: f64 = without
                .iter()
                .map(|found| (found[position].1 - value).powi(2))
                .sum();
            let ratio = error / squares.sqrt();
            eprintln!("{name}: {ratio}");
            assert!((0.97..1.03).contains(&ratio), "{name}: {ratio}");
        }
    }
}

fn bin(time: f64) -> usize {
    (0..BINS - 1)
        .find(|bin| time <= (bin + 1) as f64)
        .unwrap_or(BINS - 1)
}

fn record((time, cause): Life) -> ArmRecord {
    let bin = u16::try_from(bin(time)).unwrap();
    let (kind, first) = match cause {
        Some(0) => (ExitKind::Event, Cause::LocalResidual),
        Some(_) => (ExitKind::Competing, Cause::OtherDeath),
        None => (ExitKind::Censored, Cause::Censored),
    };
    ArmRecord {
        first: (first, bin),
        exits: [Exit {
            kind,
            bin,
            ticks: 0,
        }; ENDPOINTS],
        origin: (kind == ExitKind::Event).then_some(0),
    }
}

/// The exit as a tally knows it, if follow-up ends after so many bins: events in the middle of
/// their bin, censoring at its end.
fn grouped((time, cause): Life, bins: usize) -> Life {
    let bin = bin(time);
    if bin >= bins {
        return (bins as f64, None);
    }
    let place = if cause.is_some() { 0.5 } else { 1.0 };
    (bin as f64 + place, cause)
}

/// What the parts of follow-up cost: standard errors from a tally over those from its patients.
#[test]
fn parts_cost_little() {
    const PATIENTS: usize = 20_000;
    let edges: Vec<f64> = (0..=BINS).map(|edge| edge as f64).collect();
    for (world, seed) in [(&RECURRENCE, 3), (&DEATH, 4)] {
        let pairs = world.pairs(PATIENTS, seed);
        let records = pairs.iter().map(|pair| (record(pair[0]), record(pair[1])));
        let tally = tally_of_pairs(BINS, records);
        let joint = JointExits::new(&tally, &[0], 1, Endpoint::Local, &edges);
        // At ends of parts, and in the middle of one.
        for bins in [36, 60, 120, 240, 52, 135] {
            let lives: Vec<_> = pairs
                .iter()
                .map(|pair| pair.map(|life| grouped(life, bins)))
                .collect();
            let exact = estimates(&Coupled::of_patients(&lives));
            let found = estimates(&joint.until(bins - 1));
            for ((name, value, error), (_, exact, exact_error)) in found.into_iter().zip(exact) {
                let ratio = error / exact_error;
                eprintln!("{name} by {bins}: {ratio}");
                assert!(
                    (value - exact).abs() <= 1e-6 * exact.abs().max(1.0),
                    "{name}"
                );
                let close = (ratio - 1.0).abs() < world.cost;
                assert!(close, "{name} by {bins}: {ratio}");
            }
        }
    }
}

/// Patients who all fare the same have nothing to test, and a ratio of one that nobody can doubt.
#[test]
fn equal_arms_do_not_differ() {
    let pairs = RECURRENCE
        .pairs(500, 5)
        .into_iter()
        .map(|pair| [pair[0]; 2]);
    let coupled = Coupled::of_patients(&pairs.collect::<Vec<_>>());
    for test in [coupled.log_rank(LATE), coupled.gray()] {
        assert!((test.p_value - 1.0).abs() < 1e-12, "{test:?}");
    }
    for ratio in [coupled.cox(), coupled.fine_gray()] {
        assert!(ratio.log_ratio.value.abs() < 1e-9, "{ratio:?}");
        assert!(ratio.log_ratio.standard_error.is_nan(), "{ratio:?}");
    }
}

#[test]
fn without_events_nothing_is_known() {
    let coupled = Coupled::of_patients(&[[(5.0, None), (5.0, None)]; 9]);
    assert!(coupled.log_rank(Weights::EQUAL).p_value.is_nan());
    assert!(coupled.gray().p_value.is_nan());
    assert!(coupled.cox().interval.0.is_nan());
    assert!(coupled.fine_gray().interval.1.is_nan());
}
