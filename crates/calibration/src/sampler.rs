//! Sequential Monte Carlo: particles that go from one distribution to another through those in
//! between (Del Moral, Doucet and Jasra, J R Stat Soc B 2006;68:411).
//!
//! The likelihood is let in by a power that rises from 0 to 1, each time so far that half of the
//! particles remain effective. Then particles are resampled, and moved by a random walk whose steps
//! have the particles' own covariance, until where they were no longer tells where they are.

use crate::linear::Cholesky;
use crate::random::Stream;

/// Share of the particles that remain effective from one power to the next.
const EFFECTIVE_SHARE: f64 = 0.5;

/// Halvings of the search for the next power.
const HALVINGS: usize = 50;

/// Length of steps that suits many dimensions, times their square root (Roberts, Gelman and Gilks
/// 1997), and the bounds of what acceptance may make of it.
const STEP_LENGTH: f64 = 2.38;
const ACCEPTANCE_WANTED: f64 = 0.25;

/// Moves of every particle between two looks at how far they have come.
const MOVES: u32 = 10;

/// The walk ends when the scores' correlation with where they were, on average over the axes, is below
/// this, or after so many looks.
const CORRELATION_MAX: f64 = 0.2;
const LOOKS_MAX: usize = 30;

/// Stages at most: each gains, or the likelihood is not a number anywhere.
const STAGES_MAX: usize = 400;

/// Logarithms at a point, each up to a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogDensities {
    /// Of the density to start from.
    pub base: f64,
    /// Of the likelihood.
    pub likelihood: f64,
}

/// The logarithms at any point.
pub type Model<'a> = dyn Fn(&[f64]) -> LogDensities + Sync + 'a;

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Power at which to stop: 1 for the posterior, less for what is only implausible there.
    pub power: f64,
    /// Seed of all randomness.
    pub seed: u64,
    /// Which of several samples of a seed this is.
    pub stream: u8,
    /// Threads to use; the result does not depend on them.
    pub threads: usize,
}

/// A sample, every particle as likely.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// The particles.
    pub points: Vec<Vec<f64>>,
    /// Logarithm of the likelihood at each.
    pub log_likelihoods: Vec<f64>,
}

/// A sample of independent standard normal scores, the prior.
pub fn prior_sample(dimensions: usize, particles: usize, seed: u64) -> Vec<Vec<f64>> {
    (0..particles as u64)
        .map(|particle| Stream::new(seed, 0, particle).normals(dimensions))
        .collect()
}

/// Logarithm of the prior density of scores, up to a constant.
pub fn prior_log_density(point: &[f64]) -> f64 {
    -0.5 * point.iter().map(|score| score * score).sum::<f64>()
}

/// A particle on its way.
#[derive(Debug, Clone)]
struct Particle {
    point: Vec<f64>,
    log: LogDensities,
    stream: Stream,
    moved: u32,
}

/// Takes a sample of a base density to one of that density times the likelihood.
///
/// # Panics
/// If there are no particles.
pub fn sample(start: &[Vec<f64>], model: &Model<'_>, sampling: Sampling) -> Sample {
    let mut particles: Vec<Particle> = (start.iter().zip(0..))
        .map(|(point, place)| Particle {
            point: point.clone(),
            log: model(point),
            stream: Stream::new(sampling.seed, sampling.stream, place),
            moved: 0,
        })
        .collect();
    let mut resampling = Stream::new(sampling.seed, sampling.stream, u64::MAX);
    let (mut power, mut step_length) = (0.0, STEP_LENGTH);
    for _ in 0..STAGES_MAX {
        if power >= sampling.power {
            break;
        }
        let next = next_power(&particles, power, sampling.power);
        resample(&mut particles, next - power, resampling.uniform());
        power = next;
        let before: Vec<Vec<f64>> = particles.iter().map(|p| p.point.clone()).collect();
        for _ in 0..LOOKS_MAX {
            let walk = Walk {
                steps: covariance_factor(&particles),
                length: step_length / (start[0].len() as f64).sqrt(),
                power,
                model,
            };
            let acceptance = walk.all(&mut particles, sampling.threads);
            step_length *= core_math::exp(2.0 * (acceptance - ACCEPTANCE_WANTED)).clamp(0.5, 1.5);
            if correlation(&before, &particles) < CORRELATION_MAX {
                break;
            }
        }
    }
    Sample {
        log_likelihoods: particles.iter().map(|p| p.log.likelihood).collect(),
        points: particles.into_iter().map(|p| p.point).collect(),
    }
}

/// Correlation of particles' scores with what they were, on average over the axes.
fn correlation(before: &[Vec<f64>], after: &[Particle]) -> f64 {
    let number = after.len() as f64;
    let axes = 0..before[0].len();
    let dimensions = axes.len() as f64;
    let of = |axis: usize| {
        let pairs = || (before.iter().zip(after)).map(move |(b, a)| (b[axis], a.point[axis]));
        let sums = pairs().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        let mean = (sums.0 / number, sums.1 / number);
        let (mut products, mut squares) = (0.0, (0.0, 0.0));
        for (b, a) in pairs() {
            let (b, a) = (b - mean.0, a - mean.1);
            products += b * a;
            squares = (squares.0 + b * b, squares.1 + a * a);
        }
        products / (squares.0 * squares.1).sqrt().max(f64::MIN_POSITIVE)
    };
    axes.map(of).sum::<f64>() / dimensions
}

/// Weights of particles when the power rises by so much, the largest 1.
fn weights(particles: &[Particle], rise: f64) -> Vec<f64> {
    let best = (particles.iter())
        .map(|particle| particle.log.likelihood)
        .fold(f64::NEG_INFINITY, f64::max);
    (particles.iter())
        .map(|particle| core_math::exp(rise * (particle.log.likelihood - best)))
        .collect()
}

/// Number of equally weighted values that say as much.
pub fn effective_size(weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
    sum * sum / squares
}

/// The power at which just enough particles remain effective, or the last.
fn next_power(particles: &[Particle], power: f64, last: f64) -> f64 {
    let wanted = EFFECTIVE_SHARE * particles.len() as f64;
    let is_enough = |next: f64| effective_size(&weights(particles, next - power)) >= wanted;
    if is_enough(last) {
        return last;
    }
    let (mut low, mut high) = (power, last);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if is_enough(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Never a step of nothing: then the likelihood of all but one is nil, and that one will do.
    if low > power { low } else { high }
}

/// Draws particles by their weights, systematically: at evenly spaced places of the sum.
fn resample(particles: &mut Vec<Particle>, rise: f64, uniform: f64) {
    let places = systematic(&weights(particles, rise), particles.len(), uniform);
    let drawn: Vec<Particle> = (places.iter().zip(particles.iter()))
        .map(|(place, slot)| Particle {
            stream: slot.stream.clone(),
            ..particles[*place].clone()
        })
        .collect();
    *particles = drawn;
}

/// Positions drawn with these weights at evenly spaced places of their sum.
pub fn systematic(weights: &[f64], number: usize, uniform: f64) -> Vec<usize> {
    let step = weights.iter().sum::<f64>() / number as f64;
    let (mut at, mut sum) = (0, weights[0]);
    (0..number)
        .map(|place| {
            let target = (place as f64 + uniform) * step;
            while sum < target && at + 1 < weights.len() {
                at += 1;
                sum += weights[at];
            }
            at
        })
        .collect()
}

/// A factor of the particles' covariance.
fn covariance_factor(particles: &[Particle]) -> Cholesky {
    let dimensions = particles[0].point.len();
    let number = particles.len() as f64;
    let mean: Vec<f64> = (0..dimensions)
        .map(|axis| particles.iter().map(|p| p.point[axis]).sum::<f64>() / number)
        .collect();
    let mut covariance = vec![0.0; dimensions * dimensions];
    for particle in particles {
        for row in 0..dimensions {
            let deviation = particle.point[row] - mean[row];
            for column in 0..=row {
                covariance[row * dimensions + column] +=
                    deviation * (particle.point[column] - mean[column]) / number;
            }
        }
    }
    // Copies of a few particles may span less than all dimensions.
    for axis in 0..dimensions {
        covariance[axis * dimensions + axis] += 1e-9;
    }
    Cholesky::of(covariance, dimensions).expect("positive definite by what was added")
}

/// A random walk at one power.
struct Walk<'a> {
    steps: Cholesky,
    length: f64,
    power: f64,
    model: &'a Model<'a>,
}

impl Walk<'_> {
    /// Moves all particles, and says what share of the moves was accepted.
    fn all(&self, particles: &mut [Particle], threads: usize) -> f64 {
        let share = particles.len().div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            for part in particles.chunks_mut(share) {
                scope.spawn(move || {
                    for particle in part {
                        particle.moved = 0;
                        for _ in 0..MOVES {
                            self.go(particle);
                        }
                    }
                });
            }
        });
        let moved: f64 = particles
            .iter()
            .map(|particle| f64::from(particle.moved))
            .sum();
        moved / (particles.len() as f64 * f64::from(MOVES))
    }

    /// One step of Metropolis's.
    fn go(&self, particle: &mut Particle) {
        let normals = particle.stream.normals(particle.point.len());
        let uniform = particle.stream.uniform();
        let point: Vec<f64> = (self.steps.times(&normals).iter().zip(&particle.point))
            .map(|(step, from)| from + self.length * step)
            .collect();
        let log = (self.model)(&point);
        let gain =
            log.base - particle.log.base + self.power * (log.likelihood - particle.log.likelihood);
        if core_math::log(uniform) < gain {
            particle.point = point;
            particle.log = log;
            particle.moved += 1;
        }
    }
}
