//! Laws that measures of predictions keep, whatever the patients and the predictions.

use proptest::collection::vec;
use proptest::prelude::*;
use reseed_stats::ExitKind;
use reseed_stats::curve::kaplan_meier;
use reseed_stats::validation::{
    Cohort, Followed, FollowedHazard, PairWeights, brier_score, calibration, concordance,
    integrated_brier_score, risk_groups, risk_table,
};

const BOTH: [PairWeights; 2] = [PairWeights::Equal, PairWeights::InverseFollowing];

/// Patients with risks; few different times and risks, so that there are ties of every kind.
fn patients() -> impl Strategy<Value = Vec<(Followed, f64)>> {
    let exit = prop_oneof![
        Just(ExitKind::Event),
        Just(ExitKind::Competing),
        Just(ExitKind::Censored)
    ];
    let one = (1..25u8, exit, 0..12u8).prop_map(|(time, exit, risk)| {
        let time = f64::from(time);
        (Followed { time, exit }, f64::from(risk) / 12.0)
    });
    vec(one, 2..60)
}

fn cohort(patients: &[(Followed, f64)]) -> (Cohort, Vec<f64>) {
    let (followed, risks) = patients.iter().copied().unzip();
    (Cohort::new(followed), risks)
}

/// By all pairs, one by one.
fn slow_concordance(cohort: &Cohort, risks: &[f64], until: f64) -> (f64, f64) {
    let (mut good, mut all) = (0.0, 0.0);
    for (i, first) in cohort.patients().iter().enumerate() {
        if first.exit != ExitKind::Event || first.time > until {
            continue;
        }
        for (j, other) in cohort.patients().iter().enumerate() {
            let later = match other.exit {
                ExitKind::Event => other.time > first.time,
                ExitKind::Censored => other.time >= first.time,
                ExitKind::Competing => true,
            };
            if i != j && later {
                all += 1.0;
                good += if risks[i] > risks[j] {
                    1.0
                } else if risks[i] < risks[j] {
                    0.0
                } else {
                    0.5
                };
            }
        }
    }
    (good, all)
}

fn same(left: f64, right: f64) -> bool {
    (left.is_nan() && right.is_nan()) || (left - right).abs() < 1e-9
}

proptest! {
    #[test]
    fn concordance_counts_pairs(patients in patients(), until in 1..30u8) {
        let (cohort, risks) = cohort(&patients);
        let until = f64::from(until);
        let (good, all) = slow_concordance(&cohort, &risks, until);
        let found = concordance(&cohort, &risks, PairWeights::Equal, until);
        prop_assert!(same(found.value.value, good / all), "{found:?} is not {good} of {all}");
    }

    #[test]
    fn opposite_risks_have_the_opposite_concordance(patients in patients()) {
        let (cohort, risks) = cohort(&patients);
        let opposite: Vec<f64> = risks.iter().map(|risk| -risk).collect();
        for weights in BOTH {
            let one = concordance(&cohort, &risks, weights, 100.0);
            let other = concordance(&cohort, &opposite, weights, 100.0);
            prop_assert!(same(one.value.value, 1.0 - other.value.value));
            prop_assert!(same(one.value.standard_error, other.value.standard_error));
            prop_assert!(same(one.tied, other.tied));
        }
    }

    #[test]
    fn only_the_order_of_risks_counts(patients in patients()) {
        let (cohort, risks) = cohort(&patients);
        let bent: Vec<f64> = risks.iter().map(|risk| (3.0 * risk).exp() - 7.0).collect();
        for weights in BOTH {
            let one = concordance(&cohort, &risks, weights, 20.0);
            let other = concordance(&cohort, &bent, weights, 20.0);
            prop_assert!(same(one.value.value, other.value.value));
        }
    }

    #[test]
    fn perfect_order_is_1_and_no_order_a_half(patients in patients()) {
        let (cohort, _) = cohort(&patients);
        let perfect: Vec<f64> = cohort.patients().iter().map(|patient| match patient.exit {
            ExitKind::Competing => f64::NEG_INFINITY,
            // At the same time, who is censored goes on longer than who has the event.
            ExitKind::Censored => -patient.time - 0.5,
            ExitKind::Event => -patient.time,
        }).collect();
        for weights in BOTH {
            let found = concordance(&cohort, &perfect, weights, 100.0);
            prop_assert!(found.value.value.is_nan() || same(found.value.value, 1.0), "{found:?}");
            let found = concordance(&cohort, &vec![0.3; perfect.len()], weights, 100.0);
            prop_assert!(found.value.value.is_nan() || same(found.value.value, 0.5));
            prop_assert!(found.value.value.is_nan() || same(found.value.standard_error, 0.0));
        }
    }

    #[test]
    fn the_score_of_the_cohorts_own_incidence_is_its_variance(patients in patients(), time in 1..25u8) {
        let time = f64::from(time);
        // Without competing events the weighted share of events is the incidence itself.
        let followed: Vec<Followed> = patients.iter().map(|(patient, _)| Followed {
            exit: if patient.exit == ExitKind::Competing { ExitKind::Event } else { patient.exit },
            ..*patient
        }).collect();
        let cohort = Cohort::new(followed);
        prop_assume!(time < cohort.last_time());
        let incidence = 1.0 - kaplan_meier(&risk_table(cohort.patients())).at(time).value;
        let score = brier_score(&cohort, time, |_| incidence);
        prop_assert!(same(score, incidence * (1.0 - incidence)), "{score} at {incidence}");
        // Any other risk for everybody scores its squared distance more.
        let other = brier_score(&cohort, time, |_| incidence + 0.125);
        prop_assert!(same(other, score + 0.125 * 0.125));
        let constant = integrated_brier_score(&cohort, &[time], |_, _| incidence);
        prop_assert!(same(constant, 0.5 * score));
    }

    #[test]
    fn groups_divide_the_patients_by_risk(patients in patients(), groups in 1..8usize) {
        let (_, risks) = cohort(&patients);
        let found = risk_groups(&risks, groups);
        let mut all: Vec<usize> = found.iter().flatten().copied().collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..risks.len()).collect::<Vec<_>>());
        for pair in found.windows(2) {
            let highest = pair[0].iter().map(|one| risks[*one]).fold(f64::MIN, f64::max);
            let lowest = pair[1].iter().map(|one| risks[*one]).fold(f64::MAX, f64::min);
            prop_assert!(highest < lowest);
        }
    }
}

/// Uniform numbers, the same in every run.
fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        // Knuth's linear congruential generator; its high bits are good enough here.
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
}

/// Patients with hazards of their own, of whom most are followed to their event.
fn followed_by_hazard(number: usize, bend: f64) -> Vec<FollowedHazard> {
    let mut draw = uniform(7);
    let horizon = 3.0;
    (0..number)
        .map(|_| {
            let hazard = (2.0 * draw() - 1.0).exp();
            let time = -draw().ln() / hazard.powf(bend);
            FollowedHazard {
                followed: hazard * time.min(horizon),
                horizon: hazard * horizon,
                event: time <= horizon,
            }
        })
        .collect()
}

#[test]
fn perfect_predictions_have_a_slope_of_1_though_all_have_the_event() {
    let fit = calibration(&followed_by_hazard(40_000, 1.0));
    let off = (fit.slope.value - 1.0) / fit.slope.standard_error;
    assert!(off.abs() < 3.0, "{fit:?}");
    assert!(
        fit.ratio_interval.0 < 1.0 && fit.ratio_interval.1 > 1.0,
        "{fit:?}"
    );
}

#[test]
fn risks_that_differ_half_as_much_as_predicted_have_a_slope_of_a_half() {
    let fit = calibration(&followed_by_hazard(40_000, 0.5));
    let off = (fit.slope.value - 0.5) / fit.slope.standard_error;
    assert!(off.abs() < 3.0, "{fit:?}");
}

#[test]
fn equal_predictions_have_no_slope() {
    let alike = FollowedHazard {
        followed: 0.5,
        horizon: 1.0,
        event: true,
    };
    let fit = calibration(&[alike; 5]);
    assert!(fit.slope.value.is_nan() && fit.intercept.value.is_nan());
    assert!((fit.ratio - 2.0).abs() < 1e-12);
}

/// All pairs of so many patients are too many to be looked at one by one.
#[test]
fn a_hundred_thousand_patients_are_ordered_at_once() {
    let mut draw = uniform(3);
    let (followed, risks): (Vec<Followed>, Vec<f64>) = (0..100_000)
        .map(|_| {
            let risk = draw();
            let (time, end) = (-draw().ln() / risk, 2.0 * draw());
            let exit = if time < end {
                ExitKind::Event
            } else {
                ExitKind::Censored
            };
            (
                Followed {
                    time: time.min(end),
                    exit,
                },
                risk,
            )
        })
        .unzip();
    let cohort = Cohort::new(followed);
    for weights in BOTH {
        let started = std::time::Instant::now();
        let found = concordance(&cohort, &risks, weights, 1.0);
        assert!((0.6..0.8).contains(&found.value.value), "{found:?}");
        assert!(
            started.elapsed().as_secs_f64() < 20.0,
            "{:?}",
            started.elapsed()
        );
    }
}
