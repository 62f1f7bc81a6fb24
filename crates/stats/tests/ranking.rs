//! Ranks of arms over points, by hand and by simulation.

#![expect(clippy::float_cmp, reason = "sums of few simple fractions")]

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_stats::ranking::{Differences, rank};

/// Four arms, the first of them the control.
const VALUES: [f64; 16] = [
    0.0,
    -4.0,
    -1.0,
    -2.0, // clear, but for a tie of nobody
    0.0,
    -3.0,
    -3.0,
    -1.0, // a tie at the top
    0.0,
    -1.0,
    -3.0,
    -2.9, // the best two within noise
    0.0,
    f64::NAN,
    -1.0,
    -1.0, // no estimate of one
];

fn differences(values: &[f64], standard_errors: &[f64], cluster: usize) -> Vec<[f64; 2]> {
    let given = Differences {
        values,
        standard_errors,
        arms: 4,
        cluster,
    };
    let points: Vec<usize> = (0..values.len() / 4).collect();
    let ranking = rank(given, &[1, 2, 3], &points);
    let arms = ranking.arms.iter();
    arms.map(|arm| [arm.best.value, arm.best.standard_error])
        .collect()
}

#[test]
fn ranks_by_hand() {
    let given = Differences {
        values: &VALUES,
        standard_errors: &[0.1; 16],
        arms: 4,
        cluster: 1,
    };
    let found = rank(given, &[1, 2, 3], &[0, 1, 2, 3]);
    assert_eq!(found.points, 3);
    assert!((found.undecided - 2.0 / 3.0).abs() < 1e-12);
    let [first, second, third] = &found.arms[..] else {
        panic!("three arms");
    };
    assert_eq!([first.arm, second.arm, third.arm], [1, 2, 3]);
    // Best at the first point and, with half a share, at the second.
    assert!((first.best.value - 0.5).abs() < 1e-12);
    assert!((second.best.value - 0.5).abs() < 1e-12);
    assert_eq!(third.best.value, 0.0);
    assert_eq!(first.best_bounds, (1.0 / 3.0, 2.0 / 3.0));
    assert_eq!(second.best_bounds, (0.0, 2.0 / 3.0));
    assert_eq!(third.best_bounds, (0.0, 1.0 / 3.0));
    assert!((first.rank.value - (1.0 + 1.5 + 3.0) / 3.0).abs() < 1e-12);
    assert!((second.rank.value - (3.0 + 1.5 + 1.0) / 3.0).abs() < 1e-12);
    assert!((third.rank.value - (2.0 + 3.0 + 2.0) / 3.0).abs() < 1e-12);
    assert!((first.rank_shares[1] - 0.5 / 3.0).abs() < 1e-12);
    assert!((first.rank_shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!((first.loss.value - 2.0 / 3.0).abs() < 1e-12);
    assert!((third.loss.value - (2.0 + 2.0 + 0.1) / 3.0).abs() < 1e-12);
    assert!((first.difference.value + 8.0 / 3.0).abs() < 1e-12);
    let (low, high) = first.difference_range;
    assert!((low + 3.9).abs() < 1e-12 && (high + 1.2).abs() < 1e-12);
}

/// Subsets of arms are ranked among themselves, and on the points asked for.
#[test]
fn others_do_not_matter() {
    let given = Differences {
        values: &VALUES,
        standard_errors: &[0.1; 16],
        arms: 4,
        cluster: 1,
    };
    let found = rank(given, &[2, 3], &[0, 2, 3]);
    assert_eq!(
        found.points, 3,
        "the arm without an estimate is not asked for"
    );
    assert!((found.arms[0].best.value - 0.5).abs() < 1e-12);
    let nothing = rank(given, &[2, 3], &[]);
    assert_eq!(nothing.points, 0);
    assert!(nothing.arms[0].best.value.is_nan() && nothing.undecided.is_nan());
}

/// Points of a cluster may all say the same: then they count as one.
#[test]
fn clusters_count_once() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut points = Vec::new();
    for _ in 0..50 {
        let point: Vec<f64> = (0..4).map(|_| (random.next_u64() >> 40) as f64).collect();
        points.push(point);
    }
    let once: Vec<f64> = points.concat();
    let repeated: Vec<f64> = points
        .iter()
        .flat_map(|point| [&point[..]; 5].concat())
        .collect();
    let errors = [0.0; 1000];
    assert_eq!(
        differences(&repeated, &errors, 5)
            .iter()
            .map(|[value, error]| [value.to_bits(), (1e12 * error).round().to_bits()])
            .collect::<Vec<_>>(),
        differences(&once, &errors[..200], 1)
            .iter()
            .map(|[value, error]| [value.to_bits(), (1e12 * error).round().to_bits()])
            .collect::<Vec<_>>(),
    );
}

/// The standard error of the probability of being the best is that seen between reruns.
#[test]
fn standard_errors_are_those_between_reruns() {
    const RERUNS: usize = 1000;
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let (mut covered, mut squares, mut expected) = (0usize, 0.0, 0.0);
    for _ in 0..RERUNS {
        // Scores of the second arm are uniform on (-1, 0), of the others on (-1/2, 0).
        let scale = [0.0, 0.5, 1.0, 0.5];
        let mut uniform = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let values: Vec<f64> = (0..800).map(|at| -scale[at % 4] * uniform()).collect();
        let [best, error] = differences(&values, &[0.0; 800], 1)[1];
        // Beyond a half it wins for sure; below, in a third of the cases.
        let truth = 0.5 + 0.5 / 3.0;
        covered += usize::from((best - truth).abs() < 1.96 * error);
        squares += (best - truth) * (best - truth);
        expected += error * error;
    }
    let coverage = covered as f64 / RERUNS as f64;
    eprintln!("coverage {coverage}, variance {}", expected / squares);
    assert!((0.935..=0.965).contains(&coverage), "{coverage}");
    assert!((0.9..=1.1).contains(&(expected / squares)));
}
