//! From waves of simulated points to the posterior, and whether to believe it.

use crate::emulator::Emulator;
use crate::linear::square;
use crate::random::Stream;
use crate::sampler::{
    LogDensities, Sample, Sampling, effective_size, prior_log_density, prior_sample, sample,
    systematic,
};
use crate::targets::{Seen, Target};

/// Powers of the likelihood under which the points of the second wave, the third and all later ones
/// are drawn. At first they spread twice as wide as the posterior, so that what surfaces get wrong is
/// found out; then less, because surfaces of degree two are the truer the less they span.
const PLAUSIBLE_POWERS: [f64; 3] = [0.25, 0.25, 0.5];

/// Particles at least that a wave's points are chosen from: fewer have no covariance to walk by.
const PLAUSIBLE_PARTICLES_MIN: usize = 100;

/// Independent samples that make a posterior, so that they can be compared.
const SAMPLES: usize = 4;

/// Particles of the posterior of an invented cohort at most: they tell a rank to a fiftieth.
const RECOVERY_PARTICLES_MAX: usize = 400;

/// Purposes of random streams.
const PLAUSIBLE: u8 = 1;
const POSTERIOR: u8 = 2;
const CHOOSING: u8 = 3;
const INVENTING: u8 = 4;
const RECOVERING: u8 = 5;
const SHUFFLING: u8 = 6;

/// Points that the engine has tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Wave {
    /// Scores of every point.
    pub points: Vec<Vec<f64>>,
    /// Events and exposure of every target at every point, by target.
    pub counts: Vec<Vec<(f64, f64)>>,
}

/// How to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Particles of a sample.
    pub particles: usize,
    /// Seed of all randomness.
    pub seed: u64,
    /// Threads; results do not depend on them.
    pub threads: usize,
}

impl Settings {
    fn sampling(self, stream: u8, power: f64, seed: u64) -> Sampling {
        Sampling {
            power,
            seed,
            stream,
            threads: self.threads,
        }
    }
}

/// Surfaces of the last half of the waves: the first ones lie where the posterior is not.
///
/// # Panics
/// If there are no waves.
pub fn emulate(waves: &[Wave], threads: usize) -> Emulator {
    let used = &waves[waves.len() / 2..];
    let points: Vec<Vec<f64>> = used.iter().flat_map(|wave| wave.points.clone()).collect();
    let counts: Vec<Vec<(f64, f64)>> = (0..used[0].counts.len())
        .map(|target| {
            (used.iter())
                .flat_map(|wave| wave.counts[target].clone())
                .collect()
        })
        .collect();
    Emulator::fit(&points, &counts, threads)
}

/// Points of the wave after so many waves.
pub fn plausible(
    emulator: &Emulator,
    targets: &[Target],
    dimensions: usize,
    waves: usize,
    number: usize,
    settings: Settings,
) -> Vec<Vec<f64>> {
    let place = waves.saturating_sub(1).min(PLAUSIBLE_POWERS.len() - 1);
    let wide = settings.sampling(PLAUSIBLE, PLAUSIBLE_POWERS[place], settings.seed);
    let particles = number.max(PLAUSIBLE_PARTICLES_MIN);
    let found = from_prior(emulator, targets, dimensions, particles, wide);
    chosen(&found.points, number, settings.seed)
}

/// The posterior: several samples, independent of each other, one after the other.
pub fn posterior(
    emulator: &Emulator,
    targets: &[Target],
    dimensions: usize,
    settings: Settings,
) -> Sample {
    let mut all = Sample::default();
    let particles = settings.particles.div_ceil(SAMPLES);
    for number in 0..SAMPLES as u64 {
        let whole = settings.sampling(POSTERIOR, 1.0, settings.seed.wrapping_add(number));
        let one = from_prior(emulator, targets, dimensions, particles, whole);
        all.points.extend(one.points);
        all.log_likelihoods.extend(one.log_likelihoods);
    }
    all
}

/// The same draws in a random order, so that the first of them are as good a sample as any.
pub fn shuffled(sample: &Sample, seed: u64) -> Sample {
    let mut luck = Stream::new(seed, SHUFFLING, 0);
    let mut order: Vec<(f64, usize)> = (0..sample.points.len())
        .map(|at| (luck.uniform(), at))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let places = || order.iter().map(|(_, at)| *at);
    Sample {
        points: places().map(|at| sample.points[at].clone()).collect(),
        log_likelihoods: places().map(|at| sample.log_likelihoods[at]).collect(),
    }
}

/// Number of independent draws whose means would vary as much as those of the samples that
/// [`posterior`] puts together, on average over the parameters.
pub fn effective_draws(points: &[Vec<f64>]) -> f64 {
    let whole = marginals(points);
    let parts: Vec<Vec<Marginal>> = points
        .chunks(points.len().div_ceil(SAMPLES))
        .map(marginals)
        .collect();
    let ratios = whole.iter().enumerate().map(|(axis, whole)| {
        let squares = (parts.iter()).map(|part| square(part[axis].mean - whole.mean));
        squares.sum::<f64>() / (SAMPLES - 1) as f64 / square(whole.sd)
    });
    (SAMPLES * whole.len()) as f64 / ratios.sum::<f64>()
}

fn from_prior(
    emulator: &Emulator,
    targets: &[Target],
    dimensions: usize,
    particles: usize,
    sampling: Sampling,
) -> Sample {
    let start = prior_sample(dimensions, particles, sampling.seed);
    let likelihood = emulator.likelihood(targets);
    let model = |point: &[f64]| LogDensities {
        base: prior_log_density(point),
        likelihood: likelihood.log_at(&emulator.log_rates(point)),
    };
    sample(&start, &model, sampling)
}

/// So many of equally likely points, each at most once if there are enough.
pub fn chosen(points: &[Vec<f64>], number: usize, seed: u64) -> Vec<Vec<f64>> {
    let uniform = Stream::new(seed, CHOOSING, 0).uniform();
    let places = systematic(&vec![1.0; points.len()], number, uniform);
    places.into_iter().map(|at| points[at].clone()).collect()
}

/// Share of a posterior sample that remains effective under other surfaces: near 1 when those
/// changed nothing.
pub fn agreement(sample: &Sample, targets: &[Target], other: &Emulator) -> f64 {
    let likelihood = other.likelihood(targets);
    let changes: Vec<f64> = (sample.points.iter().zip(&sample.log_likelihoods))
        .map(|(point, before)| likelihood.log_at(&other.log_rates(point)) - before)
        .collect();
    let most = changes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = (changes.iter())
        .map(|change| core_math::exp(change - most))
        .collect();
    effective_size(&weights) / weights.len() as f64
}

/// Finds known parameters again, by simulation-based calibration at the posterior (Talts and
/// others, arXiv 1804.06788; Säilynoja and others, arXiv 2502.03279): the truths are draws of the
/// posterior, the engine says what a second cohort like the first would have at each, and the posterior of
/// both cohorts must place the truth at any rank alike. The answer is the share of that posterior below
/// the truth, by parameter and truth.
pub fn recover(
    emulator: &Emulator,
    targets: &[Target],
    posterior: &Sample,
    truths: &Wave,
    settings: Settings,
) -> Vec<Vec<f64>> {
    let dimensions = truths.points[0].len();
    let first = emulator.likelihood(targets);
    let mut ranks = vec![Vec::new(); dimensions];
    for (number, truth) in truths.points.iter().enumerate() {
        let invented = second_cohort(targets, truths, number, settings.seed);
        let second = emulator.likelihood(&invented);
        let model = |point: &[f64]| {
            let log_rates = emulator.log_rates(point);
            LogDensities {
                base: prior_log_density(point) + first.log_at(&log_rates),
                likelihood: second.log_at(&log_rates),
            }
        };
        let seed = settings.seed.wrapping_add(number as u64);
        let particles = settings.particles.min(RECOVERY_PARTICLES_MAX);
        let start = chosen(&posterior.points, particles, seed);
        let found = sample(&start, &model, settings.sampling(RECOVERING, 1.0, seed));
        for (axis, ranks) in ranks.iter_mut().enumerate() {
            let below = found
                .points
                .iter()
                .filter(|point| point[axis] < truth[axis]);
            ranks.push((below.count() as f64 + 0.5) / (found.points.len() + 1) as f64);
        }
    }
    ranks
}

/// A cohort of the same size under a truth, by the engine's counts there.
fn second_cohort(targets: &[Target], truths: &Wave, number: usize, seed: u64) -> Vec<Target> {
    let mut luck = Stream::new(seed, INVENTING, number as u64);
    (targets.iter().zip(&truths.counts))
        .map(|(target, counts)| {
            let (events, exposure) = counts[number];
            let rate = if exposure > 0.0 {
                events / exposure
            } else {
                0.0
            };
            let seen = match target.seen {
                Seen::Events { person_years, .. } => Seen::Events {
                    events: luck.poisson(rate * person_years),
                    person_years,
                },
                Seen::Patients { patients, .. } => {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a number of patients"
                    )]
                    let trials = patients.round() as u64;
                    let successes = (0..trials).filter(|_| luck.uniform() < rate).count();
                    Seen::Patients {
                        events: successes as f64,
                        patients,
                    }
                }
            };
            target.seen_as(seen)
        })
        .collect()
}

/// What is believed of a parameter's score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Marginal {
    /// Mean.
    pub mean: f64,
    /// Standard deviation; that of the prior is 1.
    pub sd: f64,
    /// Quantiles at 2.5, 50 and 97.5 %.
    pub quantiles: [f64; 3],
}

impl Marginal {
    /// Share of the prior's variance that the data removed (posterior contraction).
    pub fn contraction(&self) -> f64 {
        1.0 - self.sd * self.sd
    }
}

/// Marginals of equally likely points.
pub fn marginals(points: &[Vec<f64>]) -> Vec<Marginal> {
    let number = points.len() as f64;
    (0..points[0].len())
        .map(|axis| {
            let mut values: Vec<f64> = points.iter().map(|point| point[axis]).collect();
            values.sort_by(f64::total_cmp);
            let mean = values.iter().sum::<f64>() / number;
            let squares: f64 = values.iter().map(|value| square(value - mean)).sum();
            Marginal {
                mean,
                sd: (squares / (number - 1.0)).sqrt(),
                quantiles: [0.025, 0.5, 0.975].map(|p| reseed_stats::quantile(&values, p)),
            }
        })
        .collect()
}
