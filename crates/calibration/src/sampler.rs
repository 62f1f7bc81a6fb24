//! Sequential Monte Carlo: particles that go from one distribution to another through those in
//! between (Del Moral, Doucet and Jasra, J R Stat Soc B 2006;68:411).
//!
//! The likelihood is let in by a power that rises from 0 to 1, each time so far that half of the
//! particles remain effective. Then particles are resampled, and moved by a random walk whose steps
//! have the particles' own covariance.

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

/// Stages at most: each gains, or the likelihood is not a number anywhere.
const STAGES_MAX: usize = 400;

/// A logarithm of a density or a likelihood at a point, up to a constant.
pub type LogDensity<'a> = dyn Fn(&[f64]) -> f64 + Sync + 'a;

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Moves of every particle at every stage.
    pub moves: usize,
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
    log_base: f64,
    log_likelihood: f64,
    stream: Stream,
    moved: u32,
}

/// Takes a sample of a base density to one of that density times the likelihood.
///
/// # Panics
/// If there are no particles.
pub fn sample(
    start: &[Vec<f64>],
    log_base: &LogDensity<'_>,
    log_likelihood: &LogDensity<'_>,
    sampling: Sampling,
) -> Sample {
    let mut particles: Vec<Particle> = (start.iter().zip(0..))
        .map(|(point, place)| Particle {
            point: point.clone(),
            log_base: log_base(point),
            log_likelihood: log_likelihood(point),
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
        let walk = Walk {
            steps: covariance_factor(&particles),
            length: step_length / (start[0].len() as f64).sqrt(),
            power,
            log_base,
            log_likelihood,
        };
        walk.all(&mut particles, sampling);
        let moved: u32 = particles.iter().map(|particle| particle.moved).sum();
        let acceptance = f64::from(moved) / (particles.len() * sampling.moves.max(1)) as f64;
        step_length *= core_math::exp(2.0 * (acceptance - ACCEPTANCE_WANTED)).clamp(0.5, 1.5);
    }
    Sample {
        log_likelihoods: (particles.iter())
            .map(|particle| particle.log_likelihood)
            .collect(),
        points: particles.into_iter().map(|p| p.point).collect(),
    }
}

/// Weights of particles when the power rises by so much, the largest 1.
fn weights(particles: &[Particle], rise: f64) -> Vec<f64> {
    let best = (particles.iter())
        .map(|particle| particle.log_likelihood)
        .fold(f64::NEG_INFINITY, f64::max);
    (particles.iter())
        .map(|particle| core_math::exp(rise * (particle.log_likelihood - best)))
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
    log_base: &'a LogDensity<'a>,
    log_likelihood: &'a LogDensity<'a>,
}

impl Walk<'_> {
    fn all(&self, particles: &mut [Particle], sampling: Sampling) {
        let share = particles.len().div_ceil(sampling.threads.max(1)).max(1);
        std::thread::scope(|scope| {
            for part in particles.chunks_mut(share) {
                scope.spawn(move || {
                    for particle in part {
                        particle.moved = 0;
                        for _ in 0..sampling.moves {
                            self.go(particle);
                        }
                    }
                });
            }
        });
    }

    /// One step of Metropolis's.
    fn go(&self, particle: &mut Particle) {
        let normals = particle.stream.normals(particle.point.len());
        let uniform = particle.stream.uniform();
        let point: Vec<f64> = (self.steps.times(&normals).iter().zip(&particle.point))
            .map(|(step, from)| from + self.length * step)
            .collect();
        let (log_base, log_likelihood) = ((self.log_base)(&point), (self.log_likelihood)(&point));
        let gain =
            log_base - particle.log_base + self.power * (log_likelihood - particle.log_likelihood);
        if core_math::log(uniform) < gain {
            particle.point = point;
            particle.log_base = log_base;
            particle.log_likelihood = log_likelihood;
            particle.moved += 1;
        }
    }
}
