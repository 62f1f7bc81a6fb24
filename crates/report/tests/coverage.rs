//! How often the intervals of a comparison cover the truth, and how often its tests reject it: all
//! of them, by the names they have in JSON, over trials of coupled arms by seed.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_report::{CompareInput, Comparison, compare};
use reseed_stats::{
    Accumulator, ArmRecord, Cause, ENDPOINTS, Endpoint, Exit, ExitKind, Shape, Tally,
};
use serde_json::Value;

const TRIALS: usize = 2000;
const PATIENTS: usize = 800;
const NOMINAL: std::ops::RangeInclusive<f64> = 0.935..=0.965;

/// Months of follow-up, each a bin.
const BINS: usize = 60;
const FOLLOW_UP: f64 = BINS as f64;
const MONTH_DAYS: f64 = 30.4375;

/// Hazards per month in the control.
const EVENT: f64 = 0.008;
const COMPETING: f64 = 0.004;
/// Patients whose event in an arm is another draw, not that of the control later on.
const REDRAWN: f64 = 0.2;
/// Shares of the origins of recurrences: residual foci; cells shed by primary, distant, scar.
const ORIGIN_SHARES: [f64; 4] = [0.5, 0.25, 0.15, 0.1];

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

fn exponential(random: &mut ChaCha8Rng, hazard: f64) -> f64 {
    -core_math::log(uniform(random)) / hazard
}

/// Times of the event and of what competes with it.
type Life = (f64, f64);

/// Hazards of the event are proportional: an arm divides its times by the ratio.
fn proportional(random: &mut ChaCha8Rng, ratios: &[f64]) -> Vec<Life> {
    let competing = exponential(random, COMPETING);
    let event = exponential(random, EVENT);
    let of_arm = |ratio: &f64| {
        let redrawn = uniform(random) < REDRAWN;
        let event = if redrawn {
            exponential(random, EVENT)
        } else {
            event
        };
        (event / ratio, competing)
    };
    let mut lives = vec![(event, competing)];
    lives.extend(ratios.iter().map(of_arm));
    lives
}

/// Subdistribution hazards of the event are proportional, as in Fine and Gray's own simulation:
/// F = 1 − (1 − p·(1 − e^(−t/s)))^ratio, and what competes takes the others.
fn subproportional(random: &mut ChaCha8Rng, ratios: &[f64]) -> Vec<Life> {
    const SHARE: f64 = 0.5;
    const SCALE: f64 = 30.0;
    let competing = exponential(random, 0.02);
    let place = uniform(random);
    let mut of_arm = |ratio: f64| {
        let redrawn = ratio < 1.0 && uniform(random) < REDRAWN;
        let place = if redrawn { uniform(random) } else { place };
        let ever = 1.0 - core_math::pow(1.0 - SHARE, ratio);
        if place > ever {
            return (f64::INFINITY, competing);
        }
        let baseline = 1.0 - core_math::pow(1.0 - place, 1.0 / ratio);
        (
            -SCALE * core_math::log(1.0 - baseline / SHARE),
            f64::INFINITY,
        )
    };
    std::iter::once(1.0)
        .chain(ratios.iter().copied())
        .map(&mut of_arm)
        .collect()
}

fn bin(time: f64) -> usize {
    (0..BINS)
        .position(|bin| time <= (bin + 1) as f64)
        .unwrap_or(BINS)
}

fn record((event, competing): Life, origin: u8) -> ArmRecord {
    let (kind, time, first) = if event.min(competing) > FOLLOW_UP {
        (ExitKind::Censored, FOLLOW_UP, Cause::Censored)
    } else if event < competing && origin == 0 {
        (ExitKind::Event, event, Cause::LocalResidual)
    } else if event < competing {
        (ExitKind::Event, event, Cause::LocalReseeded)
    } else {
        (ExitKind::Competing, competing, Cause::OtherDeath)
    };
    let bin = u16::try_from(bin(time)).unwrap();
    ArmRecord {
        first: (first, bin),
        exits: [Exit {
            kind,
            bin,
            ticks: 0,
        }; ENDPOINTS],
        origin: (kind == ExitKind::Event).then_some(origin),
    }
}

fn origin(random: &mut ChaCha8Rng) -> u8 {
    let place = uniform(random);
    let mut below = 0.0;
    let beyond = ORIGIN_SHARES.iter().take_while(|share| {
        below += **share;
        below < place
    });
    u8::try_from(beyond.count()).unwrap()
}

fn tally(
    random: &mut ChaCha8Rng,
    arms: usize,
    lives: impl Fn(&mut ChaCha8Rng) -> Vec<Life>,
) -> Tally {
    let mut accumulator = Accumulator::new(Shape {
        strata: 1,
        arms,
        control: 0,
        bins: BINS,
        reasons: 1,
        histograms: Vec::new(),
    });
    for _ in 0..PATIENTS {
        let lives = lives(random);
        let origin = origin(random);
        let records: Vec<ArmRecord> = lives.iter().map(|life| record(*life, origin)).collect();
        accumulator.enrol(0, &[], &records[0], records.iter().copied().enumerate());
    }
    accumulator.finish()
}

fn compared(tally: &Tally) -> Comparison {
    let arms: Vec<String> = (0..tally.shape().arms).map(|arm| arm.to_string()).collect();
    let edges: Vec<f64> = (0..=BINS).map(|edge| edge as f64 * MONTH_DAYS).collect();
    compare(&CompareInput {
        trial: "toy",
        title: "",
        seed: 0,
        digest: "",
        tally,
        arms: &arms,
        strata: &["all".to_owned()],
        exclusions: &["none".to_owned()],
        edges_days: &edges,
        times_days: &edges[BINS..],
        endpoints: &[Endpoint::Local],
        by_stratum: false,
        hazards: true,
    })
    .unwrap()
}

/// Incidence of the event, survival without any, and months lost to the event.
fn truths(ratio: f64) -> [f64; 3] {
    let event = EVENT * ratio;
    let all = event + COMPETING;
    let free = core_math::exp(-all * FOLLOW_UP);
    let share = event / all;
    let mean = (1.0 - free) / all;
    [share * (1.0 - free), free, share * (FOLLOW_UP - mean)]
}

/// Benefit, harm and mean days of delay, of so many pairs that chance is nothing, from the pairs.
fn pairs_differ(ratio: f64) -> [f64; 3] {
    const PAIRS: usize = 1_000_000;
    let mut random = ChaCha8Rng::seed_from_u64(20260501);
    let (mut benefit, mut harm, mut delayed, mut delay) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..PAIRS {
        let lives = proportional(&mut random, &[ratio]);
        let event = |(event, competing): Life| (event < competing).then(|| bin(event));
        let [control, arm] = [lives[0], lives[1]].map(|life| event(life).unwrap_or(BINS));
        benefit += f64::from(u8::from(control < BINS && arm == BINS));
        harm += f64::from(u8::from(control == BINS && arm < BINS));
        if control < arm {
            delayed += 1.0;
            let until = if arm < BINS {
                arm as f64
            } else {
                FOLLOW_UP - 0.5
            };
            delay += (until - control as f64) * MONTH_DAYS;
        }
    }
    [benefit / PAIRS as f64, harm / PAIRS as f64, delay / delayed]
}

/// Shares of the trials in which something held, by name.
#[derive(Default)]
struct Counts(BTreeMap<String, usize>);

impl Counts {
    fn add(&mut self, name: &str, holds: bool) {
        *self.0.entry(name.to_owned()).or_default() += usize::from(holds);
    }

    fn assert_within(&self, range: &std::ops::RangeInclusive<f64>) {
        let shares = self
            .0
            .iter()
            .map(|(name, count)| (name, *count as f64 / TRIALS as f64));
        let shares: Vec<_> = shares.collect();
        eprintln!("{shares:?}");
        let outside: Vec<_> = shares
            .iter()
            .filter(|(_, share)| !range.contains(share))
            .collect();
        assert!(outside.is_empty(), "{outside:?}");
    }
}

fn field(row: &Value, name: &str) -> Option<f64> {
    row[name].as_f64()
}

fn holds(row: &Value, name: &str, truth: f64) -> bool {
    let [lower, upper] = ["lower", "upper"].map(|end| field(row, &format!("{name}_{end}")));
    lower.is_some_and(|lower| lower <= truth) && upper.is_none_or(|upper| truth <= upper)
}

/// Names of everything in a row that has an interval.
fn with_intervals(row: &Value) -> BTreeSet<String> {
    let names = row.as_object().unwrap().keys();
    names
        .filter_map(|name| name.strip_suffix("_lower"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn all_intervals_cover() {
    const RATIO: f64 = 0.7;
    let [control, _, lost] = truths(1.0);
    let [incidence, survival, arm_lost] = truths(RATIO);
    let [benefit, harm, delay] = pairs_differ(RATIO);
    let [_, primary, distant, scar] = ORIGIN_SHARES;
    let truth = BTreeMap::from([
        ("cumulative_incidence", incidence),
        ("survival", survival),
        ("days_lost", arm_lost * MONTH_DAYS),
        ("reseeded_share", primary + distant + scar),
        ("primary_share", primary),
        ("distant_share", distant),
        ("scar_share", scar),
        ("risk_difference", incidence - control),
        ("risk_difference_simultaneous", incidence - control),
        ("risk_ratio", incidence / control),
        ("days_lost_difference", (arm_lost - lost) * MONTH_DAYS),
        ("hazard_ratio", RATIO),
        // Not constant here; see below.
        ("subdistribution_hazard_ratio", f64::NAN),
        ("benefit_share", benefit),
        ("harm_share", harm),
        ("delay_days", delay),
    ]);
    let mut random = ChaCha8Rng::seed_from_u64(20260502);
    let mut counts = Counts::default();
    for _ in 0..TRIALS {
        let tally = tally(&mut random, 2, |random| proportional(random, &[RATIO]));
        let comparison = compared(&tally);
        let row = serde_json::to_value(&comparison.rows[1]).unwrap();
        let known: BTreeSet<String> = truth.keys().map(|name| (*name).to_owned()).collect();
        assert_eq!(with_intervals(&row), known);
        for (name, truth) in truth.iter().filter(|(_, truth)| !truth.is_nan()) {
            counts.add(name, holds(&row, name, *truth));
        }
        // With one arm beside the control, intervals that hold at once are those that hold alone.
        let number = 1.0 / (control - incidence);
        let [best, worst] = ["best", "worst"]
            .map(|end| field(&row, &format!("number_needed_to_treat_{end}")).unwrap());
        let covers = best <= number && (number <= worst || worst < 0.0);
        counts.add("number_needed_to_treat", covers);
        // The second year of the arm, whose hazard is constant.
        let second_year = serde_json::to_value(&comparison.hazards[6]).unwrap();
        counts.add(
            "hazard_per_year",
            holds(&second_year, "hazard_per_year", EVENT * RATIO * 12.0),
        );
    }
    counts.assert_within(&NOMINAL);
}

#[test]
fn fine_and_grays_interval_covers() {
    const RATIO: f64 = 0.7;
    let mut random = ChaCha8Rng::seed_from_u64(20260503);
    let mut counts = Counts::default();
    for _ in 0..TRIALS {
        let tally = tally(&mut random, 2, |random| subproportional(random, &[RATIO]));
        let row = serde_json::to_value(&compared(&tally).rows[1]).unwrap();
        let name = "subdistribution_hazard_ratio";
        counts.add(name, holds(&row, name, RATIO));
    }
    counts.assert_within(&NOMINAL);
}

/// Patients of a null trial fare differently, but no arm better.
#[test]
fn tests_reject_equal_arms_as_often_as_they_say() {
    const ARMS: usize = 5;
    let mut random = ChaCha8Rng::seed_from_u64(20260504);
    let (mut each, mut any) = (Counts::default(), Counts::default());
    for _ in 0..TRIALS {
        let tally = tally(&mut random, ARMS, |random| {
            proportional(random, &[1.0; ARMS - 1])
        });
        let rows: Vec<Value> = compared(&tally).rows[1..]
            .iter()
            .map(|row| serde_json::to_value(row).unwrap())
            .collect();
        let rejects = |row: &Value, name: &str| field(row, name).unwrap() < 0.05;
        for name in [
            "p_value",
            "log_rank_p_value",
            "late_log_rank_p_value",
            "gray_p_value",
        ] {
            each.add(name, rejects(&rows[0], name));
        }
        any.add(
            "holm_p_value",
            rows.iter().any(|row| rejects(row, "holm_p_value")),
        );
        let simultaneous = |row: &Value| holds(row, "risk_difference_simultaneous", 0.0);
        any.add(
            "risk_difference_simultaneous",
            !rows.iter().all(simultaneous),
        );
    }
    each.assert_within(&(0.035..=0.065));
    // Arms that share a control depend on each other, so that there is a little to spare.
    any.assert_within(&(0.03..=0.06));
}
