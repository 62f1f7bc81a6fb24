//! How often intervals about one or two groups of single patients cover the truth, and how often
//! tests reject it, by simulation.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_stats::curve::{
    Quantity, cumulative_incidence, estimate, kaplan_meier, paired_difference, survival_quantile,
};
use reseed_stats::distribution::CRITICAL_95;
use reseed_stats::hazard::{interval_hazards, smooth_hazard};
use reseed_stats::multiplicity::sidak_critical;
use reseed_stats::rank::{gray, log_rank};
use reseed_stats::ratio::{cox, fine_gray};
use reseed_stats::{RiskTable, Ties, Weights};

const TRIALS: usize = 4000;
const PATIENTS: usize = 250;

/// Hazards per month of two causes and of dropping out; follow-up ends for everybody.
const EVENT: f64 = 0.02;
const COMPETING: f64 = 0.01;
const DROP_OUT: f64 = 0.01;
const FOLLOW_UP: f64 = 72.0;

const TIME: f64 = 36.0;

type Exit = (f64, Option<usize>);

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

fn exponential(random: &mut ChaCha8Rng, hazard: f64) -> f64 {
    -core_math::log(uniform(random)) / hazard
}

fn first(event: f64, competing: f64, censoring: f64) -> Exit {
    if censoring < event.min(competing) {
        (censoring, None)
    } else if event < competing {
        (event, Some(0))
    } else {
        (competing, Some(1))
    }
}

fn censoring(random: &mut ChaCha8Rng) -> f64 {
    exponential(random, DROP_OUT).min(FOLLOW_UP)
}

fn exit(random: &mut ChaCha8Rng, event_hazard: f64) -> Exit {
    let event = exponential(random, event_hazard);
    let competing = exponential(random, COMPETING);
    first(event, competing, censoring(random))
}

fn group(random: &mut ChaCha8Rng, event_hazard: f64) -> RiskTable {
    let exits = (0..PATIENTS).map(|_| exit(random, event_hazard));
    RiskTable::from_patients(2, exits)
}

/// Counts by name how often something holds.
struct Shares(Vec<(&'static str, usize)>);

impl Shares {
    /// Repeats a trial that says by name what held.
    fn of(trial: impl Fn(&mut ChaCha8Rng) -> Vec<(&'static str, bool)>) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(20260401);
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        for _ in 0..TRIALS {
            for (position, (name, holds)) in trial(&mut random).into_iter().enumerate() {
                if counts.len() == position {
                    counts.push((name, 0));
                }
                counts[position].1 += usize::from(holds);
            }
        }
        Self(counts)
    }

    fn assert_within(&self, range: std::ops::RangeInclusive<f64>) {
        let share = |count: usize| count as f64 / TRIALS as f64;
        let all: Vec<_> = self
            .0
            .iter()
            .map(|(name, count)| (*name, share(*count)))
            .collect();
        eprintln!("{all:?}");
        let outside: Vec<_> = all
            .iter()
            .filter(|(_, share)| !range.contains(share))
            .collect();
        assert!(outside.is_empty(), "{outside:?}");
    }
}

fn holds(interval: (f64, f64), truth: f64) -> bool {
    interval.0 <= truth && truth <= interval.1
}

/// Truths of one group: survival, incidence of the event, and their areas.
fn truths(event: f64, competing: f64, time: f64) -> [f64; 4] {
    let all = event + competing;
    let free = core_math::exp(-all * time);
    let mean = (1.0 - free) / all;
    let share = event / all;
    [free, share * (1.0 - free), mean, share * (time - mean)]
}

#[test]
fn intervals_about_one_group_cover() {
    let [free, incidence, mean, lost] = truths(EVENT, COMPETING, TIME);
    let median = -core_math::log(0.5) / (EVENT + COMPETING);
    let shares = Shares::of(|random| {
        let table = group(random, EVENT);
        let survival = kaplan_meier(&table);
        let plain = |quantity| estimate(&table, quantity).plain_interval(CRITICAL_95);
        let smooth = |time| smooth_hazard(&table, 0, 18.0, FOLLOW_UP, &[time])[0].interval;
        let hazards = interval_hazards(&table, 0, &[0.0, 12.0, TIME]);
        vec![
            (
                "survival",
                holds(survival.at(TIME).log_log_interval(CRITICAL_95), free),
            ),
            (
                "incidence",
                holds(
                    cumulative_incidence(&table, 0)
                        .at(TIME)
                        .log_log_interval(CRITICAL_95),
                    incidence,
                ),
            ),
            (
                "mean survival",
                holds(plain(Quantity::MeanSurvival { horizon: TIME }), mean),
            ),
            (
                "mean lost",
                holds(
                    plain(Quantity::MeanLost {
                        cause: 0,
                        horizon: TIME,
                    }),
                    lost,
                ),
            ),
            (
                "median",
                holds(
                    survival_quantile(&survival, 0.5, CRITICAL_95).interval,
                    median,
                ),
            ),
            ("first hazard", holds(hazards[0].interval, EVENT)),
            ("second hazard", holds(hazards[1].interval, EVENT)),
            ("smooth hazard", holds(smooth(30.0), EVENT)),
            ("smooth hazard at the start", holds(smooth(6.0), EVENT)),
        ]
    });
    shares.assert_within(0.935..=0.965);
}

/// Groups whose event's hazards, or subdistribution hazards, have a ratio.
const RATIO: f64 = 0.7;

/// A patient of Fine and Gray's own simulation: F = 1 − (1 − p·(1 − e^(−t/20)))^ratio.
fn subdistribution_exit(random: &mut ChaCha8Rng, ratio: f64) -> Exit {
    const SHARE: f64 = 0.6;
    const SCALE: f64 = 20.0;
    let ever = 1.0 - core_math::pow(1.0 - SHARE, ratio);
    let place = uniform(random);
    let censoring = censoring(random);
    if place > ever {
        return first(f64::INFINITY, exponential(random, 0.03), censoring);
    }
    let baseline = 1.0 - core_math::pow(1.0 - place, 1.0 / ratio);
    let event = -SCALE * core_math::log(1.0 - baseline / SHARE);
    first(event, f64::INFINITY, censoring)
}

#[test]
fn intervals_about_two_groups_cover() {
    let (of_first, of_second) = (
        truths(EVENT, COMPETING, TIME),
        truths(EVENT * RATIO, COMPETING, TIME),
    );
    let shares = Shares::of(|random| {
        let groups = [group(random, EVENT), group(random, EVENT * RATIO)];
        let difference = |quantity| {
            let [first, second] = groups.each_ref().map(|table| estimate(table, quantity));
            second.less_independent(first).plain_interval(CRITICAL_95)
        };
        let specific = groups.each_ref().map(|table| table.cause_specific(0));
        let ratio = cox(std::slice::from_ref(&specific), Ties::Efron);
        let subdistribution = [1.0, RATIO].map(|ratio| {
            let exits = (0..PATIENTS).map(|_| subdistribution_exit(random, ratio));
            RiskTable::from_patients(2, exits)
        });
        vec![
            ("cox", holds(ratio.interval, RATIO)),
            (
                "fine-gray",
                holds(fine_gray(&subdistribution, 0).interval, RATIO),
            ),
            (
                "difference of survival",
                holds(
                    difference(Quantity::Survival { time: TIME }),
                    of_second[0] - of_first[0],
                ),
            ),
            (
                "difference of means",
                holds(
                    difference(Quantity::MeanSurvival { horizon: TIME }),
                    of_second[2] - of_first[2],
                ),
            ),
        ]
    });
    shares.assert_within(0.935..=0.965);
}

#[test]
fn tests_reject_equal_groups_as_often_as_they_say() {
    let shares = Shares::of(|random| {
        let strata: Vec<Vec<RiskTable>> = [EVENT, 2.0 * EVENT]
            .map(|hazard| (0..3).map(|_| group(random, hazard)).collect())
            .to_vec();
        let log_rank = |rho, gamma| log_rank(&strata, Weights { rho, gamma }).p_value < 0.05;
        vec![
            ("log-rank", log_rank(0.0, 0.0)),
            ("early log-rank", log_rank(1.0, 0.0)),
            ("late log-rank", log_rank(0.0, 1.0)),
            ("gray", gray(&strata, 0, 0.0).p_value < 0.05),
        ]
    });
    shares.assert_within(0.035..=0.065);
}

/// Patients live twice: the second time the event is prevented with probability 0.3, or later.
#[test]
fn intervals_about_differences_of_pairs_cover() {
    const PREVENTED: f64 = 0.3;
    const DELAY: f64 = 1.25;
    let (control, delayed) = (
        truths(EVENT, COMPETING, TIME),
        truths(EVENT / DELAY, COMPETING, TIME),
    );
    let without = truths(0.0, COMPETING, TIME);
    let truth = |index: usize| {
        PREVENTED * without[index] + (1.0 - PREVENTED) * delayed[index] - control[index]
    };
    let shares = Shares::of(|random| {
        let pairs: Vec<[Exit; 2]> = (0..PATIENTS)
            .map(|_| {
                let event = exponential(random, EVENT);
                let prevented = uniform(random) < PREVENTED;
                let later = if prevented {
                    f64::INFINITY
                } else {
                    DELAY * event
                };
                let (competing, censoring) = (exponential(random, COMPETING), censoring(random));
                [event, later].map(|event| first(event, competing, censoring))
            })
            .collect();
        let covers = |quantity, index: usize| {
            let found = paired_difference(2, &pairs, quantity);
            holds(found.plain_interval(CRITICAL_95), truth(index))
        };
        let (time, horizon, cause) = (TIME, TIME, 0);
        vec![
            ("survival", covers(Quantity::Survival { time }, 0)),
            ("incidence", covers(Quantity::Incidence { cause, time }, 1)),
            (
                "mean survival",
                covers(Quantity::MeanSurvival { horizon }, 2),
            ),
            (
                "mean lost",
                covers(Quantity::MeanLost { cause, horizon }, 3),
            ),
        ]
    });
    shares.assert_within(0.935..=0.965);
}

/// Twelve independent groups: all intervals at once cover as often as each alone would.
#[test]
fn simultaneous_intervals_cover_together() {
    const GROUPS: usize = 12;
    let free = truths(EVENT, COMPETING, TIME)[0];
    let critical = sidak_critical(0.95, GROUPS);
    let shares = Shares::of(|random| {
        let covers = (0..GROUPS).all(|_| {
            let found = kaplan_meier(&group(random, EVENT)).at(TIME);
            holds(found.log_log_interval(critical), free)
        });
        vec![("all at once", covers)]
    });
    shares.assert_within(0.935..=0.965);
}
