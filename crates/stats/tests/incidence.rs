//! Cumulative incidence and survival of one arm.

mod common;

use common::{close, populations, record, tally_of, tally_of_pairs};
use proptest::collection::vec;
use proptest::prelude::*;
use reseed_stats::estimate::{cause_incidence, cumulative_incidence, reseeded_share, survival};
use reseed_stats::{Cause, Endpoint, Estimate, ExitKind, Tally};

fn one_arm(bins: usize, patients: &[(ExitKind, usize)]) -> Tally {
    tally_of_pairs(
        bins,
        patients.iter().map(|(kind, bin)| {
            let record = record(*kind, *bin, 1);
            (record, record)
        }),
    )
}

fn check(found: Estimate, value: f64, standard_error: f64, tolerance: f64) {
    assert!(
        close(found.value, value, tolerance)
            && close(found.standard_error, standard_error, tolerance),
        "{found:?} is not {value} ± {standard_error}"
    );
}

/// Weeks in remission under 6-mercaptopurine: Freireich et al., Blood 1963;21:699. Survival and
/// Greenwood errors as printed in textbooks and by R's `survfit`.
#[test]
fn survival_of_the_freireich_trial() {
    const RELAPSED: [usize; 9] = [6, 6, 6, 7, 10, 13, 16, 22, 23];
    const CENSORED: [usize; 12] = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
    let patients: Vec<_> = RELAPSED
        .map(|week| (ExitKind::Event, week))
        .into_iter()
        .chain(CENSORED.map(|week| (ExitKind::Censored, week)))
        .collect();
    let curve = survival(&one_arm(36, &patients), &[0], 0, Endpoint::Rfs);
    for (week, free, error) in [
        (5, 1.0, 0.0),
        (6, 0.857, 0.0764),
        (7, 0.807, 0.0869),
        (10, 0.753, 0.0963),
        (13, 0.690, 0.1068),
        (16, 0.627, 0.1141),
        (22, 0.538, 0.1282),
        (23, 0.448, 0.1346),
        (35, 0.448, 0.1346),
    ] {
        assert!((curve[week].value - free).abs() < 5e-4, "week {week}");
        assert!(
            (curve[week].standard_error - error).abs() < 5e-5,
            "week {week}"
        );
    }
}

/// Five patients by hand: an event among 5; a competing event among 4, then a drop-out; an event
/// among 2. Incidence 1/5, 1/5, 1/5 + 3/5·1/2. With p = 1/5, 1/4, 1/2 leaving, Greenwood's sum
/// is 1/20 + 1/12 + 1/2.
#[test]
fn five_patients_by_hand() {
    let tally = one_arm(
        3,
        &[
            (ExitKind::Event, 0),
            (ExitKind::Competing, 1),
            (ExitKind::Censored, 1),
            (ExitKind::Event, 2),
            (ExitKind::Censored, 2),
        ],
    );
    let incidence = cumulative_incidence(&tally, &[0], 0, Endpoint::Local);
    check(incidence[0], 0.2, (0.2f64 * 0.8 / 5.0).sqrt(), 1e-15);
    check(incidence[1], 0.2, (0.2f64 * 0.8 / 5.0).sqrt(), 1e-15);
    assert!(close(incidence[2].value, 0.5, 1e-15));
    let free = survival(&tally, &[0], 0, Endpoint::Local);
    let greenwood = 1.0 / 20.0 + 1.0 / 12.0 + 1.0 / 2.0;
    check(free[2], 0.3, 0.3 * f64::sqrt(greenwood), 1e-15);
}

/// Incidence and variance without bins: one term per distinct time over single patients, the
/// variance in its closed form as a double sum (Betensky and Schoenfeld, Biometrics 2001;57:282,
/// after Gaynor et al., J Am Stat Assoc 1993;88:400).
fn ungrouped(patients: &[(ExitKind, usize)], until: usize) -> (f64, f64) {
    let mut times: Vec<usize> = patients.iter().map(|(_, time)| *time).collect();
    times.sort_unstable();
    times.dedup();
    times.retain(|time| *time <= until);
    let count = |kind: ExitKind, time: usize| {
        let here = patients.iter().filter(|p| **p == (kind, time));
        here.count() as f64
    };
    let mut steps = Vec::new();
    let (mut free, mut incidence) = (1.0, 0.0);
    for time in times {
        let at_risk = patients.iter().filter(|(_, exit)| *exit >= time).count() as f64;
        let events = count(ExitKind::Event, time);
        let all = events + count(ExitKind::Competing, time);
        incidence += free * events / at_risk;
        steps.push((at_risk, events, all, free, incidence));
        free *= 1.0 - all / at_risk;
    }
    let variance = steps
        .iter()
        .map(|&(n, events, all, before, here)| {
            let later = incidence - here;
            let survivors = if all < n {
                later * later * all / (n * (n - all))
            } else {
                0.0
            };
            survivors + before * before * events * (n - events) / (n * n * n)
                - 2.0 * later * before * events / (n * n)
        })
        .sum::<f64>();
    (incidence, variance.max(0.0).sqrt())
}

fn kinds() -> impl Strategy<Value = ExitKind> {
    prop_oneof![
        Just(ExitKind::Event),
        Just(ExitKind::Competing),
        Just(ExitKind::Censored)
    ]
}

proptest! {
    #[test]
    fn each_time_its_own_bin_is_the_ungrouped_estimator(
        patients in vec((kinds(), 0..12usize), 1..80)
    ) {
        let curve = cumulative_incidence(&one_arm(12, &patients), &[0], 0, Endpoint::Distant);
        for (bin, found) in curve.iter().enumerate() {
            let (value, error) = ungrouped(&patients, bin);
            prop_assert!(close(found.value, value, 1e-12));
            prop_assert!(close(found.standard_error, error, 1e-7), "{found:?} {error}");
        }
    }

    #[test]
    fn without_censoring_it_is_a_binomial_proportion(
        patients in vec((prop_oneof![Just(ExitKind::Event), Just(ExitKind::Competing)], 0..6usize), 1..80)
    ) {
        let curve = cumulative_incidence(&one_arm(6, &patients), &[0], 0, Endpoint::Local);
        let n = patients.len() as f64;
        for (bin, found) in curve.iter().enumerate() {
            let events =
                patients.iter().filter(|(kind, at)| *kind == ExitKind::Event && *at <= bin);
            let share = events.count() as f64 / n;
            prop_assert!(close(found.value, share, 1e-12));
            prop_assert!(close(
                found.standard_error.powi(2),
                share * (1.0 - share) / n,
                1e-12
            ));
        }
    }

    #[test]
    fn causes_and_freedom_from_them_share_out_one((shape, patients) in populations()) {
        let tally = tally_of(&shape, &patients);
        let strata: Vec<usize> = (0..shape.strata).collect();
        prop_assume!(tally.enrolled().iter().sum::<u64>() > 0);
        for arm in 0..shape.arms {
            let curves: Vec<Vec<Estimate>> = Cause::ALL
                .into_iter()
                .filter(|cause| *cause != Cause::Censored)
                .map(|cause| cause_incidence(&tally, &strata, arm, cause))
                .collect();
            let mut free = 1.0;
            let mut at_risk = tally.enrolled().iter().sum::<u64>() as f64;
            for bin in 0..shape.bins {
                let leaving = |cause| {
                    let by_stratum = |stratum: &usize| tally.first_event(*stratum, arm, cause)[bin];
                    strata.iter().map(by_stratum).sum::<u64>() as f64
                };
                let events: f64 = Cause::ALL[..4].iter().map(|cause| leaving(*cause)).sum();
                if at_risk > 0.0 {
                    free *= 1.0 - events / at_risk;
                }
                at_risk -= events + leaving(Cause::Censored);
                let incidences: f64 = curves.iter().map(|curve| curve[bin].value).sum();
                prop_assert!(close(incidences + free, 1.0, 1e-12));
            }
        }
    }

    #[test]
    fn curves_are_monotone_probabilities((shape, patients) in populations()) {
        let tally = tally_of(&shape, &patients);
        let strata: Vec<usize> = (0..shape.strata).collect();
        prop_assume!(tally.enrolled().iter().sum::<u64>() > 0);
        for arm in 0..shape.arms {
            for endpoint in Endpoint::ALL {
                let incidence = cumulative_incidence(&tally, &strata, arm, endpoint);
                let free = survival(&tally, &strata, arm, endpoint);
                for (one, other) in incidence.iter().zip(&free) {
                    prop_assert!((-1e-12..=1.0 + 1e-12).contains(&one.value));
                    prop_assert!((-1e-12..=1.0 + 1e-12).contains(&other.value));
                    prop_assert!(one.value + other.value <= 1.0 + 1e-12);
                    prop_assert!((0.0..=0.5 + 1e-12).contains(&one.standard_error));
                    prop_assert!((0.0..=0.5 + 1e-12).contains(&other.standard_error));
                }
                prop_assert!(incidence.is_sorted_by(|a, b| a.value <= b.value));
                prop_assert!(free.is_sorted_by(|a, b| a.value >= b.value));
            }
        }
    }
}

#[test]
fn where_nothing_competes_survival_is_the_complement() {
    let patients = [
        (ExitKind::Event, 0),
        (ExitKind::Censored, 0),
        (ExitKind::Event, 1),
        (ExitKind::Censored, 2),
    ];
    let tally = one_arm(3, &patients);
    let incidence = cumulative_incidence(&tally, &[0], 1, Endpoint::Death);
    for (event, free) in incidence
        .iter()
        .zip(survival(&tally, &[0], 1, Endpoint::Death))
    {
        check(free, 1.0 - event.value, event.standard_error, 1e-15);
    }
}

#[test]
fn share_of_reseeded_recurrences() {
    let origins = [0, 0, 0, 1, 2, 2, 3, 1];
    let pairs = origins.iter().enumerate().map(|(i, origin)| {
        let record = record(ExitKind::Event, i, *origin);
        (record, record)
    });
    let tally = tally_of_pairs(8, pairs);
    check(reseeded_share(&tally, &[0], 0, 2), 0.0, 0.0, 0.0);
    check(
        reseeded_share(&tally, &[0], 0, 7),
        5.0 / 8.0,
        (5.0 * 3.0 / 512.0f64).sqrt(),
        1e-15,
    );
}

#[test]
fn nobody_has_no_incidence() {
    let tally = one_arm(2, &[]);
    let unknown = |estimate: Estimate| estimate.value.is_nan() && estimate.standard_error.is_nan();
    let mut curves = cumulative_incidence(&tally, &[0], 0, Endpoint::Local);
    curves.extend(survival(&tally, &[0], 0, Endpoint::Death));
    curves.extend(cause_incidence(&tally, &[0], 0, Cause::Distant));
    curves.push(reseeded_share(&tally, &[0], 0, 1));
    assert_eq!(curves.len(), 7);
    assert!(curves.into_iter().all(unknown));
}

#[test]
#[should_panic(expected = "censoring has no incidence")]
fn censoring_is_not_a_cause() {
    cause_incidence(&one_arm(1, &[]), &[0], 0, Cause::Censored);
}
