//! Stopping when the primary comparison is precise enough.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_stats::{
    Accumulator, ArmRecord, Cause, ENDPOINTS, Exit, ExitKind, Shape, Tally, TallyError,
};
use reseed_trial::{Trial, looks};

/// Two arms compared after a month, in one stratum.
fn trial(precision: f64) -> Trial {
    let text = format!(
        "base = \"breast\"\n\
         arms_only = [\"control\", \"siltuximab\"]\n\
         run.precision = {precision:?}\n\
         follow_up.horizon_days = 30.4375\n\
         compare.months = [1]\n\
         compare.primary = {{ arm = \"siltuximab\", endpoint = \"local\", months = 1 }}\n\
         strata = {{ size_mm = [], nodes = [], il6_ng_per_ml = [], il8_ng_per_ml = [], \
                    age_years = [], growth_per_day = [], ctc = false }}"
    );
    Trial::parse("trial.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

/// How a patient fares: with the event in both arms, in one of them, or in neither; or not
/// enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Both,
    ControlOnly,
    ArmOnly,
    Neither,
    Excluded,
}

const FATES: [Fate; 5] = [
    Fate::Both,
    Fate::ControlOnly,
    Fate::ArmOnly,
    Fate::Neither,
    Fate::Excluded,
];

fn record(has_event: bool) -> ArmRecord {
    let (cause, kind) = if has_event {
        (Cause::LocalReseeded, ExitKind::Event)
    } else {
        (Cause::Censored, ExitKind::Censored)
    };
    ArmRecord {
        first: (cause, 0),
        exits: [Exit {
            kind,
            bin: 0,
            ticks: 0,
        }; ENDPOINTS],
        origin: has_event.then_some(1),
    }
}

fn one(shape: &Shape, fate: Fate) -> Tally {
    let mut accumulator = Accumulator::new(shape.clone());
    let bins = vec![0; shape.histograms.len()];
    let in_control = matches!(fate, Fate::Both | Fate::ControlOnly);
    let in_arm = matches!(fate, Fate::Both | Fate::ArmOnly);
    match fate {
        Fate::Excluded => accumulator.exclude(0),
        _ => accumulator.enrol(0, &bins, &record(in_control), [(1, record(in_arm))]),
    }
    accumulator.finish()
}

/// Makes tallies from numbers of patients by fate.
struct Cohorts {
    shape: Shape,
    /// Per fate, the tables of one patient by their names.
    patients: [BTreeMap<String, Vec<u64>>; FATES.len()],
}

impl Cohorts {
    fn of(trial: &Trial) -> Self {
        let shape = trial.shape();
        let tables = |fate| {
            let tally = one(&shape, fate);
            let tables = tally.tables().into_iter();
            tables
                .map(|table| (table.name, table.values.to_vec()))
                .collect()
        };
        Self {
            patients: FATES.map(tables),
            shape,
        }
    }

    fn tally(&self, counts: [u64; FATES.len()]) -> Tally {
        let sum = |name: &str, shape: &[usize]| {
            let mut sum = vec![0; shape.iter().product()];
            for (count, patient) in counts.iter().zip(&self.patients) {
                for (cell, one) in sum.iter_mut().zip(&patient[name]) {
                    *cell += count * one;
                }
            }
            Ok::<_, TallyError>(sum)
        };
        Tally::from_tables(self.shape.clone(), sum).expect("a sum of patients")
    }
}

fn add(a: [u64; FATES.len()], b: [u64; FATES.len()]) -> [u64; FATES.len()] {
    std::array::from_fn(|fate| a[fate] + b[fate])
}

#[test]
fn looks_are_four_to_a_doubling() {
    let all = |patients_max| looks(patients_max).collect::<Vec<_>>();
    assert_eq!(
        all(45_000),
        [
            10_000, 12_500, 15_000, 17_500, 20_000, 25_000, 30_000, 35_000, 40_000, 45_000
        ]
    );
    assert_eq!(all(20_000), [10_000, 12_500, 15_000, 17_500, 20_000]);
    assert_eq!(all(7), [7]);
    assert_eq!(looks(100_000_000_000).count(), 94);
}

#[test]
fn without_a_precision_nothing_is_precise_enough() {
    let with = trial(9.0);
    let tally = Cohorts::of(&with).tally([100, 100, 100, 100_000, 0]);
    assert!(with.precise_enough(&tally));
    let without = Trial {
        precision: None,
        ..with
    };
    assert!(!without.precise_enough(&tally));
}

#[test]
fn the_estimate_says_what_it_compares() {
    let trial = trial(1.0);
    let tally = Cohorts::of(&trial).tally([100, 80, 20, 9_800, 50]);
    let estimate = trial.primary_estimate(&tally).expect("an estimate");
    assert_eq!(estimate.patients, 10_000);
    assert_eq!(estimate.discordant, 100);
    assert_eq!(
        estimate.to_string(),
        "local recurrence by 0.08333333333333333 years, siltuximab against control: \
         -0.600 points (95 % interval -0.809 to -0.413)"
    );
    let (low, high) = estimate.interval;
    assert_eq!(estimate.half_width_points(), 50.0 * (high - low));
}

#[test]
fn a_trial_of_the_control_alone_has_no_estimate() {
    let trial = trial(1.0);
    let tally = Cohorts::of(&trial).tally([100, 80, 20, 9_800, 50]);
    let mut alone = trial.clone();
    alone.primary.arm = alone.scenario.control;
    assert_eq!(alone.primary_estimate(&tally), None);
    assert!(!alone.precise_enough(&tally));
}

/// Where a run ends: at the first of its looks that is precise enough, or with everybody.
fn end(trial: &Trial, patients_max: u64, tally_of_first: impl Fn(u64) -> Tally) -> u64 {
    looks(patients_max)
        .find(|look| trial.precise_enough(&tally_of_first(*look)))
        .unwrap_or(patients_max)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn looks_increase_and_end_with_everybody(patients_max in prop_oneof![1..300_000u64, 1..=u64::MAX]) {
        let all: Vec<u64> = looks(patients_max).collect();
        prop_assert!(all.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(all.last(), Some(&patients_max));
        for pair in all.windows(2) {
            prop_assert!(pair[1] - pair[0] <= pair[0] / 4);
        }
        // A larger run is judged at the same numbers of patients before.
        let larger: Vec<u64> = looks(patients_max.saturating_mul(3)).collect();
        prop_assert!(larger.starts_with(&all[..all.len() - 1]));
    }

    #[test]
    fn nobody_and_nothing_are_never_precise(
        precision in 1e-6..10.0f64, both in 0..1_000_000u64, neither in 0..4_000_000_000u64,
        excluded in 0..1_000_000_000u64,
    ) {
        let trial = trial(precision);
        let cohorts = Cohorts::of(&trial);
        for counts in [[0, 0, 0, 0, 0], [0, 0, 0, 0, excluded], [0, 0, 0, neither, excluded],
            [both, 0, 0, neither, excluded]] {
            prop_assert!(!trial.precise_enough(&cohorts.tally(counts)), "{counts:?}");
        }
    }

    /// Whatever parts the patients are computed in, the run ends after as many, and there only
    /// because that look was the first that met the rule.
    #[test]
    fn a_run_ends_where_it_must_however_it_was_cut(
        seed in any::<u64>(), precision in 0.02..1.0f64, rate in 1e-4..0.02f64,
        patients_max in 1..100_000u64, cuts in prop::collection::vec(0..100_000u64, 0..12),
    ) {
        let trial = trial(precision);
        let cohorts = Cohorts::of(&trial);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let fates: Vec<usize> = (0..patients_max)
            .map(|_| {
                let drawn = uniform(&mut random) / rate;
                (1..4).position(|edge| drawn < f64::from(edge)).unwrap_or(3)
            })
            .collect();
        let index = |patients: u64| usize::try_from(patients).expect("an index");
        let count = |from: u64, to: u64| {
            let mut counts = [0; FATES.len()];
            for fate in &fates[index(from)..index(to)] {
                counts[*fate] += 1;
            }
            counts
        };
        let whole = |look| cohorts.tally(count(0, look));
        let mut edges = cuts;
        edges.sort_unstable();
        let in_parts = |look| {
            let inner = edges.iter().copied().filter(|edge| *edge < look);
            let edges: Vec<u64> = std::iter::once(0).chain(inner).chain([look]).collect();
            let mut tally = cohorts.tally([0; FATES.len()]);
            for pair in edges.windows(2).rev() {
                tally.merge(&cohorts.tally(count(pair[0], pair[1]))).expect("the same shape");
            }
            tally
        };
        let found = end(&trial, patients_max, whole);
        prop_assert_eq!(end(&trial, patients_max, in_parts), found);
        for look in looks(patients_max).take_while(|look| *look < found) {
            let estimate = trial.primary_estimate(&whole(look));
            let is_precise = estimate.is_some_and(|estimate| {
                estimate.discordant >= 10 && estimate.half_width_points() < precision
            });
            prop_assert!(!is_precise, "judged {look} patients and went on");
        }
        if found < patients_max {
            let tally = whole(found);
            let estimate = trial.primary_estimate(&tally).expect("an estimate");
            prop_assert!(estimate.discordant >= 10 && estimate.half_width_points() < precision);
        }
    }
}

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// How many of `patients` are hit with this probability: counted from one to the next.
fn binomial(random: &mut ChaCha8Rng, patients: u64, probability: f64) -> u64 {
    let scale = (-probability).ln_1p();
    let mut hit = 0;
    let mut at = 0.0;
    loop {
        at += ((1.0 - uniform(random)).ln() / scale).floor() + 1.0;
        if at > patients as f64 {
            return hit;
        }
        hit += 1;
    }
}

/// Coverage of the intervals with which runs end, by simulation. Every fifth patient is excluded.
fn coverage(control_only: f64, arm_only: f64, precision: f64) -> f64 {
    const RUNS: u32 = 3000;
    const PATIENTS_MAX: u64 = 2_000_000;
    let trial = trial(precision);
    let cohorts = Cohorts::of(&trial);
    let mut random = ChaCha8Rng::seed_from_u64(20260201);
    let mut covered = 0;
    for _ in 0..RUNS {
        let mut counts = [0; FATES.len()];
        let mut patients = 0;
        let tally = looks(PATIENTS_MAX)
            .map(|look| {
                let excluded = (look - patients) / 5;
                let enrolled = look - patients - excluded;
                let in_control = binomial(&mut random, enrolled, control_only);
                let others = enrolled - in_control;
                let in_arm = binomial(&mut random, others, arm_only / (1.0 - control_only));
                counts = add(counts, [0, in_control, in_arm, others - in_arm, excluded]);
                patients = look;
                cohorts.tally(counts)
            })
            .find(|tally| trial.precise_enough(tally))
            .expect("precise enough before the last look");
        let (low, high) = trial
            .primary_estimate(&tally)
            .expect("an estimate")
            .interval;
        covered += u32::from((low..=high).contains(&(arm_only - control_only)));
    }
    f64::from(covered) / f64::from(RUNS)
}

/// A run ends where its interval is narrow, which it may be by chance. From many events to the
/// fewest that are allowed, and with the event in the control only, the interval is still right
/// about as often as it says.
#[test]
fn stopping_keeps_the_coverage() {
    for (control_only, arm_only, precision) in [
        (0.01, 0.002, 0.1),
        (6e-4, 2e-4, 0.02),
        (2e-4, 2e-4, 0.02),
        (4e-4, 0.0, 0.03),
        (1e-4, 0.0, 0.05),
    ] {
        let found = coverage(control_only, arm_only, precision);
        eprintln!("{control_only} and {arm_only}, to {precision} points: {found}");
        assert!((0.935..=0.97).contains(&found), "{found}");
    }
}
