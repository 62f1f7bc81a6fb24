//! Boundaries of group-sequential tests against those of other programs and against chance.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_stats::distribution::normal_upper_quantile;
use reseed_stats::group_sequential::{Boundaries, Spending};

/// Boundaries of looks whose information is spent as it comes.
fn boundaries(spending: Spending, alpha: f64, fractions: &[f64]) -> Vec<f64> {
    let mut boundaries = Boundaries::new(spending, alpha);
    let next = |fraction: &f64| boundaries.next(*fraction, *fraction);
    fractions.iter().map(next).collect()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found_one, expected_one) in found.iter().zip(expected) {
        assert!(
            (found_one - expected_one).abs() < tolerance,
            "{found:?} is not {expected:?}"
        );
    }
}

/// Lan and DeMets's examples as Reboussin, DeMets, Kim and Lan (Control Clin Trials 2000;21:190)
/// and R's `ldbounds` print them.
#[test]
fn five_equal_looks_have_the_published_boundaries() {
    let looks = [0.2, 0.4, 0.6, 0.8, 1.0];
    let obrien_fleming = boundaries(Spending::OBrienFleming, 0.05, &looks);
    assert_close(
        &obrien_fleming,
        &[4.8769, 3.3570, 2.6803, 2.2898, 2.0310],
        5e-5,
    );
    let pocock = boundaries(Spending::Pocock, 0.05, &looks);
    assert_close(&pocock, &[2.4380, 2.4268, 2.4102, 2.3966, 2.3860], 5e-5);
}

/// `getDesignGroupSequential(typeOfDesign, informationRates, alpha, sided = 2, tolerance = 1e-10)`
/// of R's rpact 3.3.4.
#[test]
fn boundaries_are_those_of_rpact() {
    for (spending, alpha, looks, expected) in [
        (
            Spending::OBrienFleming,
            0.05,
            &[0.2, 0.4, 0.6, 0.8, 1.0][..],
            &[
                4.8768849488,
                3.3570119223,
                2.6802800644,
                2.2898167677,
                2.0310320435,
            ][..],
        ),
        (
            Spending::OBrienFleming,
            0.05,
            &[0.5, 0.75, 1.0],
            &[2.9625880427, 2.3590177071, 2.0140836682],
        ),
        (
            Spending::Pocock,
            0.05,
            &[0.2, 0.4, 0.6, 0.8, 1.0],
            &[
                2.4379766881,
                2.4268138582,
                2.4101938403,
                2.3966454007,
                2.3859845721,
            ],
        ),
        (
            Spending::Pocock,
            0.05,
            &[0.5, 0.75, 1.0],
            &[2.1569992183, 2.3124227252, 2.3269315968],
        ),
        (
            Spending::Pocock,
            0.01,
            &[0.5, 0.75, 1.0],
            &[2.7369514150, 2.9140898063, 2.9390756698],
        ),
        (
            Spending::OBrienFleming,
            0.05,
            &[0.33, 0.4, 0.9, 1.0],
            &[3.7306652932, 3.3789463894, 2.0967542743, 2.0542139086],
        ),
    ] {
        assert_close(&boundaries(spending, alpha, looks), expected, 5e-9);
    }
    // Where rpact's grid of points is wide for looks this close, it says 2.3646921571.
    let close_looks = boundaries(Spending::Pocock, 0.05, &[0.1, 0.12, 0.6, 0.99, 1.0]);
    assert_close(
        &close_looks,
        &[
            2.6551100480,
            2.8518355612,
            2.2056653542,
            2.2592924411,
            2.3646921571,
        ],
        1e-5,
    );
}

#[test]
fn what_was_found_for_another_trial_does_not_matter() {
    let mut reused = Boundaries::new(Spending::Pocock, 0.05);
    let trials = [
        ([40.0, 70.0, 90.0], [0.4, 0.7, 1.0]),
        ([40.0, 71.0, 90.0], [0.4, 0.7, 1.0]),
        ([40.0, 71.0, 90.0], [0.4, 0.8, 1.0]),
        ([40.0, 70.0, 90.0], [0.5, 0.8, 1.0]),
        ([40.0, 70.0, 90.0], [0.4, 0.7, 1.0]),
    ];
    for (informations, fractions) in trials {
        reused.start();
        let mut fresh = Boundaries::new(Spending::Pocock, 0.05);
        for (information, fraction) in informations.into_iter().zip(fractions) {
            let found = reused.next(information, fraction);
            assert_eq!(
                found.to_bits(),
                fresh.next(information, fraction).to_bits(),
                "{informations:?}"
            );
        }
    }
}

#[test]
fn what_cannot_be_spent_cannot_reject() {
    let mut boundaries = Boundaries::new(Spending::OBrienFleming, 0.05);
    // Without a further fraction there is nothing to spend, whatever the information.
    let first = boundaries.next(10.0, 0.5);
    assert!(boundaries.next(20.0, 0.5).is_infinite());
    let last = boundaries.next(30.0, 1.0);
    assert!(first > last && last > 1.96, "{first} {last}");
    let without_a_rule = crate::boundaries(Spending::Unadjusted, 0.05, &[0.3, 0.6, 1.0]);
    assert_close(&without_a_rule, &[normal_upper_quantile(0.025); 3], 1e-12);
}

/// Looks at growing sums of normal numbers: all looks so far have rejected with the probability
/// spent, and looks without a rule more often than α.
#[test]
fn sums_of_chance_are_rejected_as_often_as_is_spent() {
    const TRIALS: u32 = 50_000;
    const FRACTIONS: [f64; 4] = [0.25, 0.4, 0.8, 1.0];
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut rejected_by = [[0; FRACTIONS.len()]; 3];
    let bounds = Spending::ALL.map(|spending| boundaries(spending, 0.05, &FRACTIONS));
    for _ in 0..TRIALS {
        let statistics = statistics(&mut random, FRACTIONS);
        for (bounds, rejected_by) in bounds.iter().zip(&mut rejected_by) {
            let mut looks = statistics.iter().zip(bounds);
            if let Some(stop) = looks.position(|(z, boundary)| z.abs() >= *boundary) {
                rejected_by[stop..].iter_mut().for_each(|count| *count += 1);
            }
        }
    }
    for (spending, rejected_by) in Spending::ALL.into_iter().zip(rejected_by) {
        for (look, fraction) in FRACTIONS.into_iter().enumerate() {
            let share = f64::from(rejected_by[look]) / f64::from(TRIALS);
            let spent = spending.spent(0.05, fraction);
            let error = (spent * (1.0 - spent) / f64::from(TRIALS)).sqrt();
            if spending == Spending::Unadjusted {
                let least = [0.05, 0.07, 0.09, 0.12][look];
                assert!(share > least - 4.0 * error, "look {look}: {share}");
            } else {
                assert!(
                    (share - spent).abs() < 4.0 * error,
                    "{spending:?}, look {look}: {share} is not {spent}"
                );
            }
        }
    }
}

/// Statistics of looks at these fractions of the information, if there is no effect.
fn statistics<const LOOKS: usize>(
    random: &mut ChaCha8Rng,
    fractions: [f64; LOOKS],
) -> [f64; LOOKS] {
    let (mut sum, mut before) = (0.0, 0.0);
    fractions.map(|fraction| {
        let uniform = ((random.next_u64() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
        sum += (fraction - before).sqrt() * normal_upper_quantile(uniform);
        before = fraction;
        sum / fraction.sqrt()
    })
}
