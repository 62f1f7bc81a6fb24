//! Virtual trials against the estimators, against Schoenfeld's formula and against their own
//! promises.

mod virtual_trials {
    pub(crate) mod chance;
}

use reseed_stats::RiskTable;
use reseed_stats::group_sequential::Spending;
use reseed_stats::power::{BlockTrials, PowerError, PowerEstimate, TrialShape, schoenfeld_power};
use reseed_stats::rank::{Weights, log_rank};
use reseed_stats::ratio::{Ties, cox};
use reseed_stats::virtual_trial::{
    Design, Luck, ObservedTime, Outcome, Pool, Purpose, VirtualTrials,
};
use virtual_trials::chance::{Chance, exponential_patients, pool_of};

/// 2 × 100 and 2 × 200 patients, two years of accrual, three of follow-up.
fn design() -> Design {
    Design {
        control_patients: vec![100, 200],
        block: [1, 1],
        accrual_days: 730.0,
        follow_up_days: 1095.0,
        dropout_per_day: 0.0,
        looks: vec![0.5, 0.75, 1.0],
        events: Vec::new(),
        spending: Spending::OBrienFleming,
        alpha: 0.05,
    }
}

/// All outcomes of some trials, by trial, then arm, then size.
fn run(design: &Design, pool: &Pool, trials: u64, seed: u64) -> Vec<Vec<Outcome>> {
    let mut virtual_trials = VirtualTrials::new(design.clone());
    let mut chance = Chance::new(seed);
    let one = |trial| {
        let mut outcomes = Vec::new();
        chance.turn_to(trial);
        virtual_trials.run(pool, 0, &mut chance, |_, _, outcome| outcomes.push(outcome));
        outcomes
    };
    (0..trials).map(one).collect()
}

fn counted(design: &Design, pool: &Pool, trials: u64, seed: u64) -> BlockTrials {
    let sizes = design.control_patients.len();
    let mut counts = BlockTrials::new(TrialShape::of(design, pool.arms()));
    for outcomes in run(design, pool, trials, seed) {
        counts.add_trial();
        for (cell, outcome) in outcomes.iter().enumerate() {
            counts.count(cell / sizes, cell % sizes, outcome);
        }
    }
    counts
}

/// Draws the pool in its order, treats the first of each pair, and lets patients enter at equal
/// intervals.
struct NoChance;

impl Luck for NoChance {
    fn open(&mut self, _: Purpose) {}

    fn uniform(&mut self) -> f64 {
        0.0
    }

    fn exponential(&mut self) -> f64 {
        1.0
    }
}

/// Every analysis of trials whose patients, groups and entries are known, against the estimators
/// for risk tables; once in continuous time and once with times rounded up to quarters, so that
/// many are the same.
#[test]
fn every_analysis_is_that_of_the_estimators() {
    for days_apart in [None, Some(90.0)] {
        let mut patients = exponential_patients(400, &[0.001, 0.0004, 0.002], 3);
        if let Some(days_apart) = days_apart {
            for observed in patients.iter_mut().flatten() {
                observed.days = (observed.days / days_apart).ceil() * days_apart;
            }
        }
        let design = Design {
            control_patients: vec![150, 200],
            dropout_per_day: 0.001,
            spending: Spending::Unadjusted,
            ..design()
        };
        let mut early = 0;
        let mut trials = VirtualTrials::new(design.clone());
        trials.run(
            &pool_of(&patients),
            0,
            &mut NoChance,
            |arm, size, outcome| {
                let take_part = &patients[..design.patients(size)];
                for analysis in [outcome.stop, outcome.end] {
                    let tables = tables(take_part, arm, analysis.day, &design);
                    let enrolled = tables.iter().map(RiskTable::patients).sum::<u64>();
                    assert_eq!(analysis.enrolled as u64, enrolled);
                    let test = log_rank(&[tables.to_vec()], Weights::EQUAL);
                    assert_close(analysis.z * analysis.z, test.statistic);
                    assert_eq!(analysis.z < 0.0, test.scores[1] > 0.0);
                    let ratio = cox(&[tables], Ties::Efron).log_ratio;
                    assert_close(analysis.log_ratio.value, ratio.value);
                    assert_close(analysis.log_ratio.standard_error, ratio.standard_error);
                }
                early += usize::from(outcome.look < 2);
            },
        );
        assert!(early > 0, "a trial stops early");
    }
}

/// Control and treated patients as they are known on a day, with [`NoChance`]: the treated come
/// first in each pair and all gaps between entries are equal.
fn tables(patients: &[Vec<ObservedTime>], arm: usize, day: f64, design: &Design) -> [RiskTable; 2] {
    let dropout_days = 1.0 / design.dropout_per_day;
    [0, 1].map(|group| {
        let members = patients
            .iter()
            .enumerate()
            .filter(|(place, _)| place % 2 != group);
        let known = members.filter_map(|(place, patient)| {
            let entry = design.accrual_days * (place + 1) as f64 / (patients.len() + 1) as f64;
            let ObservedTime { days, is_event } = patient[[0, arm][group]];
            let end = dropout_days.min(day - entry);
            (entry < day).then_some((days.min(end), (is_event && days <= end).then_some(0)))
        });
        RiskTable::from_patients(1, known)
    })
}

fn assert_close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
        "{found} is not {expected}"
    );
}

#[test]
fn the_null_is_rejected_as_often_as_is_spent() {
    let pool = pool_of(&exponential_patients(50_000, &[0.0004], 1));
    for (spending, events, trials) in [
        (Spending::OBrienFleming, vec![], 20_000),
        (Spending::OBrienFleming, vec![60], 5000),
        (Spending::Pocock, vec![], 5000),
        (Spending::Pocock, vec![60], 5000),
    ] {
        let design = Design {
            control_patients: vec![100],
            spending,
            events,
            ..design()
        };
        let counts = counted(&design, &pool, trials, 2);
        let estimate = PowerEstimate::new(&[counts], 0, 0);
        assert_eq!(estimate.trials, trials);
        for (look, fraction) in design.looks.iter().enumerate() {
            let found = estimate.rejection_by_look[look].estimate.value;
            let spent = spending.spent(0.05, *fraction);
            let error = (spent * (1.0 - spent) / trials as f64).sqrt();
            // The log-rank statistic of some dozens of events is nearly normal, no more.
            assert!(
                (found - spent).abs() < 3.5 * error + 0.05 * spent,
                "{spending:?}, events {:?}, look {look}: {found} for {spent}",
                design.events
            );
        }
        let [benefit, both] =
            [estimate.benefit, estimate.rejection].map(|share| share.estimate.value);
        assert!((benefit / both - 0.5).abs() < 0.1, "{benefit} of {both}");
    }
}

#[test]
fn looking_without_a_rule_rejects_too_often() {
    let pool = pool_of(&exponential_patients(20_000, &[0.0004], 1));
    let design = Design {
        control_patients: vec![100],
        spending: Spending::Unadjusted,
        ..design()
    };
    let counts = counted(&design, &pool, 4000, 2);
    let found = PowerEstimate::new(&[counts], 0, 0).rejection.estimate.value;
    assert!(found > 0.07, "{found}");
}

#[test]
fn power_is_schoenfelds_under_proportional_hazards() {
    const TRIALS: u64 = 2000;
    let ratios: [f64; 3] = [0.6, 0.75, 1.25];
    let hazards: Vec<f64> = ratios.iter().map(|ratio| 0.0004 * ratio).collect();
    let arms: Vec<f64> = [0.0004].into_iter().chain(hazards).collect();
    let pool = pool_of(&exponential_patients(60_000, &arms, 4));
    for block in [[1, 1], [1, 2]] {
        let design = Design {
            block,
            dropout_per_day: 0.0001,
            ..design()
        };
        let counts = [counted(&design, &pool, TRIALS, 5)];
        for (arm, ratio) in ratios.into_iter().enumerate() {
            for size in 0..2 {
                let found = PowerEstimate::new(&counts, arm + 1, size);
                let events = found.end_events.value;
                let expected = schoenfeld_power(ratio.ln(), events, design.treated_share(), 0.05);
                let power = found.fixed_benefit.estimate;
                let what = format!("{block:?}, ratio {ratio}, {events} events");
                // The formula is for ratios near 1, above all where groups differ in size.
                let off = if block == [1, 1] { 0.02 } else { 0.06 };
                assert!(
                    (power.value - expected).abs() < 3.0 * power.standard_error + off,
                    "{what}: {power:?} is not {expected}"
                );
                let log_ratio = found.end_log_ratio.value;
                assert!((log_ratio - ratio.ln()).abs() < 0.03, "{what}: {log_ratio}");
            }
        }
    }
}

#[test]
fn stopping_early_saves_patients_and_time_and_exaggerates() {
    let pool = pool_of(&exponential_patients(20_000, &[0.001, 0.0005], 6));
    let design = Design {
        spending: Spending::Pocock,
        looks: vec![0.3, 0.6, 1.0],
        ..design()
    };
    let counts = [counted(&design, &pool, 1000, 7)];
    let [null, effective] = [0, 1].map(|arm| PowerEstimate::new(&counts, arm, 1));
    assert!(effective.patients.value < null.patients.value);
    assert!(effective.days.value < 0.6 * null.days.value);
    assert!(effective.log_ratio.value < effective.end_log_ratio.value - 0.05);
    assert!(effective.fixed_benefit.estimate.value >= effective.benefit.estimate.value);
}

#[test]
fn looks_at_events_come_with_the_events() {
    let pool = pool_of(&exponential_patients(20_000, &[0.0004, 0.0003], 8));
    let design = Design {
        events: vec![40, 1000],
        ..design()
    };
    for outcomes in run(&design, &pool, 200, 9) {
        for (cell, outcome) in outcomes.iter().enumerate() {
            let Outcome {
                look, stop, end, ..
            } = outcome;
            if cell % 2 == 0 {
                assert_eq!(stop.events, [20, 30, 40][*look]);
                assert_eq!(end.events, 40);
                assert!(stop.day <= end.day && end.day < design.end_days());
            } else {
                // So many events never come: the first look is the end of the trial.
                assert_eq!((*look, stop), (2, end));
                assert_close(end.day, design.end_days());
            }
        }
    }
}

#[test]
fn a_smaller_trial_is_the_beginning_of_a_larger_one() {
    let pool = pool_of(&exponential_patients(2000, &[0.0004, 0.0003], 10));
    for block in [[1, 1], [2, 3]] {
        let both = Design { block, ..design() };
        let small = Design {
            control_patients: vec![100],
            ..both.clone()
        };
        let alone = run(&small, &pool, 20, 11);
        for (outcomes, alone) in run(&both, &pool, 20, 11).iter().zip(alone) {
            assert_eq!([outcomes[0], outcomes[2]], alone[..]);
        }
    }
}

#[test]
fn a_trial_depends_on_its_number_alone() {
    let pool = pool_of(&exponential_patients(2000, &[0.0004, 0.0003], 12));
    let design = Design {
        events: vec![40, 70],
        ..design()
    };
    let all = run(&design, &pool, 20, 13);
    let mut trials = VirtualTrials::new(design);
    let mut chance = Chance::new(13);
    for trial in [17, 3, 3] {
        chance.turn_to(trial);
        let mut alone = Vec::new();
        trials.run(&pool, 0, &mut chance, |_, _, outcome| alone.push(outcome));
        assert_eq!(alone, all[usize::try_from(trial).unwrap()]);
    }
    assert_ne!(all[3], all[4]);
}

#[test]
fn intervals_of_the_hazard_ratio_cover_it() {
    const TRIALS: u64 = 4000;
    let ratio: f64 = 0.7;
    let pool = pool_of(&exponential_patients(
        100_000,
        &[0.0005, 0.0005 * ratio],
        14,
    ));
    let design = Design {
        control_patients: vec![150],
        looks: vec![1.0],
        ..design()
    };
    let covered = run(&design, &pool, TRIALS, 15)
        .into_iter()
        .filter(|outcomes| {
            let (lower, upper) = outcomes[1].stop.log_ratio.plain_interval(1.96);
            (lower..upper).contains(&ratio.ln())
        });
    let share = covered.count() as f64 / TRIALS as f64;
    assert!((0.935..0.965).contains(&share), "{share}");
}

/// Blocks with few patients: their trials share patients and so their luck. And blocks of so
/// many that trials are as good as independent.
#[test]
fn intervals_of_power_cover_it() {
    for patients in [Some(400), None] {
        let (covered, by_binomial) = coverage_of_power(patients);
        assert!(
            (0.935..=0.965).contains(&covered),
            "{patients:?}: {covered}"
        );
        let is_shared = patients.is_some();
        assert_eq!(by_binomial < 0.85, is_shared, "{patients:?}: {by_binomial}");
    }
}

/// Shares of runs in which the interval of power, and that of independent trials, covers the
/// truth. Blocks have so many patients, or draw from everybody.
fn coverage_of_power(patients: Option<usize>) -> (f64, f64) {
    const RUNS: u64 = 1000;
    const BLOCKS: u64 = 6;
    const TRIALS: u64 = 50;
    let design = Design {
        control_patients: vec![60],
        looks: vec![1.0],
        ..design()
    };
    let hazards = [0.0006, 0.0003];
    let everybody = pool_of(&exponential_patients(100_000, &hazards, 16));
    let truth = PowerEstimate::new(&[counted(&design, &everybody, 10_000, 17)], 1, 0)
        .benefit
        .estimate
        .value;
    let mut covered = 0;
    let mut by_binomial = 0;
    for run in 0..RUNS {
        let blocks: Vec<BlockTrials> = (0..BLOCKS)
            .map(|block| {
                let seed = 1000 + 100 * run + block;
                let own = patients.map(|n| pool_of(&exponential_patients(n, &hazards, seed)));
                counted(&design, own.as_ref().unwrap_or(&everybody), TRIALS, seed)
            })
            .collect();
        let benefit = PowerEstimate::new(&blocks, 1, 0).benefit;
        let (lower, upper) = benefit.interval;
        covered += u64::from((lower..=upper).contains(&truth));
        let trials = (TRIALS * BLOCKS) as f64;
        let binomial = 1.96 * (truth * (1.0 - truth) / trials).sqrt();
        by_binomial += u64::from((benefit.estimate.value - truth).abs() < binomial);
    }
    let share = |count: u64| count as f64 / RUNS as f64;
    (share(covered), share(by_binomial))
}

#[test]
fn rows_are_read_as_they_were_written() {
    let pool = pool_of(&exponential_patients(1000, &[0.0004, 0.0002], 18));
    let design = design();
    let shape = TrialShape::of(&design, 2);
    let blocks = [10, 11].map(|trials| counted(&design, &pool, trials, trials));
    let columns = BlockTrials::columns(shape, &blocks);
    assert!(columns.iter().all(|column| column.rows() == Some(2)));
    assert_eq!(BlockTrials::read(shape, &columns), Ok(blocks.to_vec()));
    let missing = BlockTrials::read(shape, &columns[..3]);
    assert_eq!(missing, Err(PowerError::Missing("trials_end_benefit")));
    let other = TrialShape { looks: 4, ..shape };
    let unsuited = BlockTrials::read(other, &columns);
    assert_eq!(unsuited, Err(PowerError::Unsuited("trials_benefit")));
}

#[test]
#[should_panic(expected = "400 patients cannot be drawn from 399")]
fn a_pool_must_be_large_enough() {
    run(
        &design(),
        &pool_of(&exponential_patients(399, &[0.001], 20)),
        1,
        21,
    );
}
