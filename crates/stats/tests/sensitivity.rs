//! Sensitivity analysis against functions whose indices are known.

#![expect(clippy::float_cmp, reason = "values that nothing has been done to")]

use std::f64::consts::PI;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_stats::distribution::normal_upper_quantile;
use reseed_stats::sensitivity::{
    Factor, Outcome, Ranged, Step, morris_effects, rank_correlations, sobol_indices, tornado,
};

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// Words for resampling, much faster than the generator of the values (SplitMix64).
fn splitmix(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    normal_upper_quantile(uniform(random))
}

/// A function of points of the unit cube, and its indices.
struct Known {
    function: fn(&[f64]) -> f64,
    variance: f64,
    first: Vec<f64>,
    total: Vec<f64>,
}

/// Ishigami and Homma (1990) with a = 7, b = 0.1.
fn ishigami() -> Known {
    let (a, b) = (7.0, 0.1);
    let first_1 = 0.5 * (1.0 + b * PI.powi(4) / 5.0).powi(2);
    let first_2 = a * a / 8.0;
    let both_1_3 = b * b * PI.powi(8) * (1.0 / 18.0 - 1.0 / 50.0);
    let variance = first_1 + first_2 + both_1_3;
    Known {
        function: |point| {
            let x: Vec<f64> = point.iter().map(|u| PI * (2.0 * u - 1.0)).collect();
            x[0].sin() + 7.0 * x[1].sin().powi(2) + 0.1 * x[2].powi(4) * x[0].sin()
        },
        variance,
        first: vec![first_1 / variance, first_2 / variance, 0.0],
        total: vec![
            (first_1 + both_1_3) / variance,
            first_2 / variance,
            both_1_3 / variance,
        ],
    }
}

const G: [f64; 5] = [0.0, 1.0, 4.5, 9.0, 99.0];

/// Sobol's g-function (1993).
fn g_function() -> Known {
    let alone = G.map(|a| 1.0 / (3.0 * (1.0 + a) * (1.0 + a)));
    let variance = alone.iter().map(|alone| 1.0 + alone).product::<f64>() - 1.0;
    let total = alone
        .iter()
        .map(|alone| alone * (variance + 1.0) / (1.0 + alone));
    Known {
        function: |point| {
            let factors = point.iter().zip(G);
            factors
                .map(|(u, a)| ((4.0 * u - 2.0).abs() + a) / (1.0 + a))
                .product()
        },
        variance,
        first: alone.iter().map(|alone| alone / variance).collect(),
        total: total.map(|total| total / variance).collect(),
    }
}

/// Outcomes on Saltelli's design with independent points, with noise of this standard deviation.
fn on_saltelli(known: &Known, rows: usize, noise: f64, random: &mut ChaCha8Rng) -> Vec<f64> {
    let factors = known.first.len();
    let mut values = Vec::new();
    for _ in 0..rows {
        let a: Vec<f64> = (0..factors).map(|_| uniform(random)).collect();
        let b: Vec<f64> = (0..factors).map(|_| uniform(random)).collect();
        values.push((known.function)(&a));
        for factor in 0..factors {
            let mut mixed = a.clone();
            mixed[factor] = b[factor];
            values.push((known.function)(&mixed));
        }
        values.push((known.function)(&b));
    }
    if noise > 0.0 {
        for value in &mut values {
            *value += noise * normal(random);
        }
    }
    values
}

fn holds(interval: (f64, f64), truth: f64) -> bool {
    interval.0 <= truth && truth <= interval.1
}

fn outcome<'a>(values: &'a [f64], standard_errors: &'a [f64]) -> Outcome<'a> {
    Outcome {
        values,
        standard_errors,
    }
}

fn close(found: &[Ranged], truth: &[f64], tolerance: f64) {
    assert_eq!(found.len(), truth.len());
    for (found, truth) in found.iter().zip(truth) {
        assert!(
            (found.value - truth).abs() < tolerance,
            "{found:?}, not {truth}"
        );
    }
}

/// Close, and within the intervals.
fn near(found: &[Ranged], truth: &[f64], tolerance: f64) {
    close(found, truth, tolerance);
    for (found, truth) in found.iter().zip(truth) {
        assert!(holds(found.interval, *truth), "{found:?}, not {truth}");
    }
}

#[test]
fn indices_are_those_of_known_functions() {
    for known in [ishigami(), g_function()] {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let values = on_saltelli(&known, 20_000, 0.0, &mut random);
        let exact = vec![0.0; values.len()];
        let factors = known.first.len();
        let mut words = splitmix(1);
        let found = sobol_indices(outcome(&values, &exact), factors, &mut words).unwrap();
        near(&found.first, &known.first, 0.03);
        near(&found.total, &known.total, 0.03);
        assert!((found.variance / known.variance - 1.0).abs() < 0.03);
        assert_eq!((found.noise, found.rows), (0.0, 20_000));
    }
}

/// Noise as large as the outcome's own scatter, known point by point: the estimates stay where
/// they are without it. Taken for exact, total indices of idle factors would be near a half.
#[test]
fn known_noise_is_taken_out() {
    let known = ishigami();
    let noise = known.variance.sqrt();
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let values = on_saltelli(&known, 20_000, noise, &mut random);
    let mut words = splitmix(1);
    let errors = vec![noise; values.len()];
    let found = sobol_indices(outcome(&values, &errors), 3, &mut words).unwrap();
    close(&found.first, &known.first, 0.06);
    close(&found.total, &known.total, 0.06);
    assert!((found.variance / known.variance - 1.0).abs() < 0.05);
    assert!((found.noise - known.variance).abs() < 1e-9);
    let exact = vec![0.0; values.len()];
    let fooled = sobol_indices(outcome(&values, &exact), 3, &mut words).unwrap();
    assert!((fooled.total[1].value - 0.5 * (known.total[1] + 1.0)).abs() < 0.05);
    assert!((fooled.first[1].value - 0.5 * known.first[1]).abs() < 0.05);
}

/// How often the intervals hold the truth: two factors with an interaction, noise of known size,
/// 1,000 reruns with independent rows.
#[test]
fn intervals_of_indices_cover() {
    const RERUNS: usize = 1000;
    let known = Known {
        function: |u| {
            let (a, b) = (2.0 * u[0] - 1.0, 2.0 * u[1] - 1.0);
            a + 2.0 * b + 3.0 * a * b
        },
        variance: 8.0 / 3.0,
        first: vec![1.0 / 8.0, 4.0 / 8.0],
        total: vec![4.0 / 8.0, 7.0 / 8.0],
    };
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut covered = [0usize; 4];
    for _ in 0..RERUNS {
        let values = on_saltelli(&known, 256, 0.5, &mut random);
        let errors = vec![0.5; values.len()];
        let mut words = splitmix(random.next_u64());
        let found = sobol_indices(outcome(&values, &errors), 2, &mut words).unwrap();
        let truths = known.first.iter().chain(&known.total);
        let found = found.first.iter().chain(&found.total);
        for ((covered, found), truth) in covered.iter_mut().zip(found).zip(truths) {
            *covered += usize::from(holds(found.interval, *truth));
        }
    }
    let coverage = covered.map(|covered| covered as f64 / RERUNS as f64);
    eprintln!("{coverage:?}");
    assert!(
        coverage.iter().all(|share| (0.935..=0.965).contains(share)),
        "{coverage:?}"
    );
}

/// Rows without an estimate, and an unfinished last row, are left out.
#[test]
fn incomplete_rows_do_not_count() {
    let known = ishigami();
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut values = on_saltelli(&known, 100, 0.0, &mut random);
    let indices = |values: &[f64]| {
        sobol_indices(
            outcome(values, &vec![0.0; values.len()]),
            3,
            &mut splitmix(1),
        )
    };
    let all = indices(&values).unwrap();
    assert_eq!(indices(&values[..498]), indices(&values[..495]));
    values.splice(0..0, [1.0, 2.0, f64::NAN, 4.0, 5.0]);
    assert_eq!(indices(&values), Some(all));
    assert_eq!(indices(&values[..10]), None, "one row says nothing");
}

/// Trajectories through the unit cube in random order, up and down by a half.
fn trajectories(factors: usize, number: usize, random: &mut ChaCha8Rng) -> Vec<Vec<Step>> {
    let one = |_| {
        let mut order: Vec<usize> = (0..factors).collect();
        order.sort_by_key(|_| random.next_u64());
        let step = |factor| Step {
            factor,
            change: if random.next_u64() & 1 == 0 {
                0.5
            } else {
                -0.5
            },
        };
        order.into_iter().map(step).collect()
    };
    (0..number).map(one).collect()
}

fn on_trajectories(function: impl Fn(&[f64]) -> f64, steps: &[Vec<Step>]) -> Vec<f64> {
    let mut values = Vec::new();
    for steps in steps {
        let mut point = vec![0.25; steps.len()];
        for step in steps.iter().filter(|step| step.change < 0.0) {
            point[step.factor] = 0.75;
        }
        values.push(function(&point));
        for step in steps {
            point[step.factor] += step.change;
            values.push(function(&point));
        }
    }
    values
}

#[test]
fn elementary_effects_of_a_linear_function_are_its_slopes() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let steps = trajectories(3, 20, &mut random);
    let values = on_trajectories(|x| 2.0 * x[0] - 3.0 * x[1], &steps);
    let exact = vec![0.0; values.len()];
    let mut words = splitmix(1);
    let found = morris_effects(outcome(&values, &exact), &steps, &mut words).unwrap();
    for (effect, slope) in found.iter().zip([2.0, -3.0, 0.0f64]) {
        assert!((effect.size.value - slope.abs()).abs() < 1e-12);
        assert!((effect.mean.value - slope).abs() < 1e-12);
        assert!(effect.spread.value < 1e-6, "{effect:?}");
        assert!((effect.size.interval.1 - slope.abs()).abs() < 1e-12);
        assert_eq!(effect.noise_floor, 0.0);
    }
    assert_eq!(
        morris_effects(outcome(&values[..7], &exact[..7]), &steps, &mut words),
        None,
        "one trajectory says nothing"
    );
}

/// An interaction shows as spread; noise does not, and gives the size of an idle factor.
#[test]
fn elementary_effects_tell_interactions_from_noise() {
    const NOISE: f64 = 0.4;
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let steps = trajectories(3, 4000, &mut random);
    let mut values = on_trajectories(|x| x[0] + 4.0 * x[0] * x[1], &steps);
    for value in &mut values {
        *value += NOISE * normal(&mut random);
    }
    let errors = vec![NOISE; values.len()];
    let mut words = splitmix(1);
    let found = morris_effects(outcome(&values, &errors), &steps, &mut words).unwrap();
    // The other factor is at 1/4 or 3/4, each as likely.
    for (effect, (mean, spread)) in found.iter().zip([(3.0, 1.0), (2.0, 1.0), (0.0, 0.0)]) {
        assert!((effect.mean.value - mean).abs() < 0.06, "{effect:?}");
        assert!((effect.spread.value - spread).abs() < 0.2, "{effect:?}");
        let of_noise = NOISE * (2.0 * 4.0 * 2.0 / PI).sqrt();
        assert!((effect.noise_floor - of_noise).abs() < 1e-12);
    }
    assert!((found[2].size.value / found[2].noise_floor - 1.0).abs() < 0.05);
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |x: &f64| values.iter().filter(|value| *value < x).count();
    values.iter().map(|x| below(x) as f64).collect()
}

/// What is left of `y` after its regression on `x` and a constant.
fn residuals(y: &[f64], x: &[f64]) -> Vec<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (my, mx) = (mean(y), mean(x));
    let both = || y.iter().zip(x);
    let slope = both().map(|(y, x)| (y - my) * (x - mx)).sum::<f64>()
        / x.iter().map(|x| (x - mx) * (x - mx)).sum::<f64>();
    both().map(|(y, x)| y - my - slope * (x - mx)).collect()
}

/// Correlation of what has mean zero.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

#[test]
fn rank_correlations_are_those_of_residuals() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut column = || (0..300).map(|_| uniform(&mut random)).collect::<Vec<f64>>();
    let (x, noise) = (column(), column());
    // Correlated factors, so that the partial correlation is not the plain one.
    let z: Vec<f64> = x.iter().zip(column()).map(|(x, u)| x + u).collect();
    let y: Vec<f64> = (0..300)
        .map(|at| (3.0 * x[at]).exp() - 5.0 * z[at] + noise[at])
        .collect();
    let exact = vec![0.0; 300];
    let mut words = splitmix(1);
    let factors = [Factor::Number(&x), Factor::Number(&z)];
    let found = rank_correlations(outcome(&y, &exact), &factors, &mut words).unwrap();
    let (y, x, z) = (ranks(&y), ranks(&x), ranks(&z));
    let truth = [
        correlation(&residuals(&y, &z), &residuals(&x, &z)),
        correlation(&residuals(&y, &x), &residuals(&z, &x)),
    ];
    assert!(truth[0] > 0.3 && truth[1] < -0.3, "{truth:?}");
    near(&found, &truth, 1e-9);
}

/// Of a choice alone it is the correlation ratio; of two alternatives it has a sign.
#[test]
fn rank_correlations_of_choices() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let chosen: Vec<usize> = (0..300).map(|at| at % 3).collect();
    // The middle alternative is the highest: positions say nothing.
    let effect = [0.0, 0.6, 0.1];
    let y: Vec<f64> = chosen
        .iter()
        .map(|at| effect[*at] + uniform(&mut random))
        .collect();
    let exact = vec![0.0; 300];
    let mut words = splitmix(1);
    let factors = [Factor::Choice(&chosen, 3)];
    let found = rank_correlations(outcome(&y, &exact), &factors, &mut words).unwrap();
    let ranks = ranks(&y);
    let (mean, mut between) = (149.5, 0.0);
    for alternative in 0..3 {
        let own = ranks
            .iter()
            .zip(&chosen)
            .filter(|(_, at)| **at == alternative);
        let own = own.map(|(rank, _)| rank).sum::<f64>() / 100.0;
        between += 100.0 * (own - mean) * (own - mean);
    }
    let all: f64 = ranks.iter().map(|rank| (rank - mean) * (rank - mean)).sum();
    near(&found, &[(between / all).sqrt()], 1e-9);
    let two: Vec<usize> = chosen.iter().map(|at| usize::from(*at != 1)).collect();
    let factors = [Factor::Choice(&two, 2)];
    let found = rank_correlations(outcome(&y, &exact), &factors, &mut words).unwrap();
    assert!(found[0].value < -0.5, "the second is lower: {found:?}");
    let too_few = rank_correlations(outcome(&y[..4], &exact[..4]), &factors, &mut words);
    assert!(too_few.is_some());
    let too_few = rank_correlations(outcome(&y[..3], &exact[..3]), &factors, &mut words);
    assert_eq!(too_few, None);
}

#[test]
fn a_tornado_has_the_means_of_the_ends() {
    let x: Vec<f64> = (0..40).map(|at| f64::from((at * 7) % 40)).collect();
    let chosen: Vec<usize> = (0..40).map(|at| usize::from(at >= 30)).collect();
    let mut y: Vec<f64> = x.iter().map(|x| 10.0 * x).collect();
    y[0] = f64::NAN;
    let exact = vec![0.0; 40];
    let factors = [Factor::Number(&x), Factor::Choice(&chosen, 2)];
    let found = tornado(outcome(&y, &exact), &factors);
    // The lowest value has no estimate: 1 to 4 are left at that end, and 36 to 39 at the other.
    assert_eq!([found[0][0].value, found[0][1].value], [25.0, 375.0]);
    let error = (500.0 / 3.0 / 4.0f64).sqrt();
    assert!((found[0][0].standard_error - error).abs() < 1e-12);
    let late = y[30..].iter().sum::<f64>() / 10.0;
    assert_eq!(found[1][1].value, late);
}

#[test]
fn a_constant_changes_no_index() {
    let known = g_function();
    let values = on_saltelli(&known, 100, 0.0, &mut ChaCha8Rng::seed_from_u64(9));
    let indices = |shift: f64| {
        let values: Vec<f64> = values.iter().map(|value| value + shift).collect();
        let exact = vec![0.0; values.len()];
        sobol_indices(outcome(&values, &exact), 5, &mut splitmix(1)).unwrap()
    };
    let (near_zero, far) = (indices(0.0), indices(1e8));
    for (a, b) in near_zero.first.iter().zip(&far.first) {
        assert!((a.value - b.value).abs() < 1e-5, "{a:?} {b:?}");
    }
}
