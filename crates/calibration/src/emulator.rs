//! Surfaces that stand for the engine: what is expected of every target at any point.
//!
//! The logarithm of a target's rate is a quadratic function of the scores, fitted to the counts of all
//! blocks by penalised Poisson regression. Counts need no correction for noise that way, blocks without an
//! event are no special case, and a surface fitted to a thousand blocks knows a rate better than any of
//! them. What the counts vary beyond Poisson's law is how far the surface is from the engine, and
//! goes into the likelihood.

use crate::linear::{Cholesky, dot, square};
use crate::targets::{Seen, Target};

/// Prior standard deviation of the change of a logarithm of a rate along a score, over the points'
/// own spread.
const SLOPE_SD: f64 = 3.0;

/// The same of its curvature: the one of these under which the counts are most probable. The closer
/// waves get to the posterior, the flatter are the surfaces between their points.
const CURVATURE_SDS: [f64; 4] = [0.03, 0.1, 0.3, 1.0];

/// One of so many targets helps to choose among these.
const CHOOSING_STEP: usize = 8;

/// Steps of Newton's method at most, and the gain of the penalised likelihood that ends them.
const STEPS_MAX: usize = 30;
const GAIN_MIN: f64 = 1e-6;

/// Halvings of a step that would lose.
const HALVINGS_MAX: usize = 12;

/// Bounds of a logarithm of a rate: beyond, a step has gone astray.
const LOG_RATE_MAX: f64 = 30.0;

/// The scores that points are measured from, and their spread.
#[derive(Debug, Clone, PartialEq)]
struct Frame {
    centre: Vec<f64>,
    spread: Vec<f64>,
}

impl Frame {
    fn of(points: &[Vec<f64>]) -> Self {
        let number = points.len() as f64;
        let dimensions = 0..points[0].len();
        let centre: Vec<f64> = (dimensions.clone())
            .map(|axis| points.iter().map(|point| point[axis]).sum::<f64>() / number)
            .collect();
        let spread = dimensions
            .map(|axis| {
                let squares = points
                    .iter()
                    .map(|point| square(point[axis] - centre[axis]));
                (squares.sum::<f64>() / number).sqrt().max(1e-9)
            })
            .collect();
        Self { centre, spread }
    }

    /// One, the scores, their squares less one, and their products.
    fn basis(&self, point: &[f64]) -> Vec<f64> {
        let scores: Vec<f64> = (point.iter().zip(&self.centre).zip(&self.spread))
            .map(|((score, centre), spread)| (score - centre) / spread)
            .collect();
        let mut basis = Vec::with_capacity(terms(scores.len()));
        basis.push(1.0);
        basis.extend(&scores);
        for (axis, score) in scores.iter().enumerate() {
            basis.push((score * score - 1.0) * std::f64::consts::FRAC_1_SQRT_2);
            basis.extend(scores[..axis].iter().map(|other| score * other));
        }
        basis
    }
}

/// Number of terms of a quadratic function.
fn terms(dimensions: usize) -> usize {
    1 + dimensions + dimensions * (dimensions + 1) / 2
}

/// Expectation of one target.
#[derive(Debug, Clone, PartialEq)]
struct Surface {
    coefficients: Vec<f64>,
    /// Variance of the engine's logarithm of the rate about the surface.
    variance: f64,
    /// Of the counts about the surface, over what Poisson's law gives.
    dispersion: f64,
}

/// Surfaces of all targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Emulator {
    frame: Frame,
    surfaces: Vec<Surface>,
}

/// What is expected of a target at a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Logarithm of the rate or of the proportion.
    pub log_rate: f64,
    /// Variance of that: how far the surface may be from the engine.
    pub variance: f64,
}

impl Emulator {
    /// Fits surfaces to points. `counts` has events and exposure of every target at every point, by
    /// target.
    ///
    /// # Panics
    /// If there are no points, or the numbers of points and counts differ.
    pub fn fit(points: &[Vec<f64>], counts: &[Vec<(f64, f64)>], threads: usize) -> Self {
        assert!(counts.iter().all(|counts| counts.len() == points.len()));
        let frame = Frame::of(points);
        let rows: Vec<Vec<f64>> = points.iter().map(|point| frame.basis(point)).collect();
        let dimensions = points[0].len();
        let choosing: Vec<&Vec<(f64, f64)>> = counts.iter().step_by(CHOOSING_STEP).collect();
        let evidences = CURVATURE_SDS.map(|curvature_sd| {
            let of = |counts: &&Vec<(f64, f64)>| {
                Regression::new(&rows, counts, dimensions, curvature_sd)
                    .solve()
                    .log_evidence
            };
            on_threads(&choosing, threads, of).iter().sum::<f64>()
        });
        let best = (evidences.iter().zip(CURVATURE_SDS)).max_by(|a, b| a.0.total_cmp(b.0));
        let (_, curvature_sd) = best.expect("there are several");
        let fit = |counts: &Vec<(f64, f64)>| {
            surface(&Regression::new(&rows, counts, dimensions, curvature_sd))
        };
        let surfaces = on_threads(counts, threads, fit);
        Self { frame, surfaces }
    }

    /// What is expected of all targets at a point.
    pub fn expected(&self, point: &[f64]) -> Vec<Expected> {
        let basis = self.frame.basis(point);
        (self.surfaces.iter())
            .map(|surface| Expected {
                log_rate: dot(&surface.coefficients, &basis).clamp(-LOG_RATE_MAX, LOG_RATE_MAX),
                variance: surface.variance,
            })
            .collect()
    }

    /// The rates and proportions that are expected of all targets at a point.
    pub fn rates(&self, point: &[f64]) -> Vec<f64> {
        (self.expected(point).iter())
            .map(|expected| core_math::exp(expected.log_rate))
            .collect()
    }

    /// Of every target, the variance of counts about the surface over that of Poisson's law: 1 where
    /// nothing but chance keeps the engine from the surface.
    pub fn dispersions(&self) -> Vec<f64> {
        (self.surfaces.iter())
            .map(|surface| surface.dispersion)
            .collect()
    }

    /// Logarithm of the likelihood of what was seen, less that of the rates that were seen.
    pub fn log_likelihood(&self, point: &[f64], targets: &[Target]) -> f64 {
        let expected = self.expected(point);
        (expected.iter().zip(targets))
            .map(|(expected, target)| log_likelihood(*expected, target.seen))
            .sum()
    }
}

/// Logarithm of the likelihood of a target, less that of the rate that was seen, so that −2 times it is
/// its deviance. With an uncertain rate Poisson's law becomes the negative binomial law of the same
/// variance, and the binomial law is widened.
pub fn log_likelihood(expected: Expected, seen: Seen) -> f64 {
    let Expected { log_rate, variance } = expected;
    let rate = core_math::exp(log_rate);
    match seen {
        Seen::Events {
            events,
            person_years,
        } => {
            let of = |mean: f64| -> f64 { of_events(events, mean, variance) };
            of(rate * person_years) - of(events)
        }
        Seen::Patients { events, patients } => {
            let of = |share: f64| -> f64 {
                times_log(events, share) + times_log(patients - events, 1.0 - share)
            };
            let seen = (events / patients).clamp(SHARE_MIN, 1.0 - SHARE_MIN);
            let exact = of(rate.min(1.0 - SHARE_MIN)) - of(events / patients);
            exact / (1.0 + variance * patients * seen / (1.0 - seen))
        }
    }
}

/// The least share that is told from none.
const SHARE_MIN: f64 = 1e-9;

/// Logarithm of the probability of a number of events, up to what does not depend on its mean.
fn of_events(events: f64, mean: f64, variance: f64) -> f64 {
    /// Below, the limit of no variance is as good.
    const VARIANCE_MIN: f64 = 1e-9;
    if variance < VARIANCE_MIN {
        times_log(events, mean) - mean
    } else {
        times_log(events, mean) - (events + 1.0 / variance) * core_math::log1p(variance * mean)
    }
}

/// a·ln b, and 0 without a.
fn times_log(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a * core_math::log(b) }
}

/// What a function gives of all items, in their order, computed on so many threads.
fn on_threads<T: Sync, U: Send>(
    items: &[T],
    threads: usize,
    function: impl Fn(&T) -> U + Sync,
) -> Vec<U> {
    let share = items.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = (items.chunks(share))
            .map(|part| scope.spawn(|| part.iter().map(&function).collect::<Vec<U>>()))
            .collect();
        let join = |part: std::thread::ScopedJoinHandle<'_, Vec<U>>| {
            part.join().expect("a fit does not panic")
        };
        parts.into_iter().flat_map(join).collect()
    })
}

fn surface(regression: &Regression<'_>) -> Surface {
    let Solution {
        coefficients,
        information,
        ..
    } = regression.solve();
    let (mut excess, mut squares, mut chi_squared) = (0.0, 0.0, 0.0);
    let (mut uncertainty, mut taken_up, mut used) = (0.0, 0.0, 0.0);
    for (row, (events, exposure)) in regression.rows.iter().zip(regression.counts) {
        if *exposure <= 0.0 {
            continue;
        }
        let log_rate = dot(&coefficients, row).clamp(-LOG_RATE_MAX, LOG_RATE_MAX);
        let mean = exposure * core_math::exp(log_rate);
        let residual = square(events - mean);
        let variance = information.quadratic(row);
        excess += residual - mean;
        squares += mean * mean;
        chi_squared += residual / mean.max(1e-12);
        uncertainty += variance;
        taken_up += mean * variance;
        used += 1.0;
    }
    // Of a moment estimate's noise only the part above zero is kept; coefficients add their own.
    let lack_of_fit = if squares > 0.0 {
        f64::max(excess / squares, 0.0)
    } else {
        1.0
    };
    Surface {
        coefficients,
        variance: lack_of_fit + uncertainty / f64::max(used, 1.0),
        dispersion: chi_squared / f64::max(used - taken_up, 1.0),
    }
}

/// Penalised Poisson regression of counts on rows.
struct Regression<'a> {
    rows: &'a [Vec<f64>],
    counts: &'a [(f64, f64)],
    /// Prior precision of the coefficients.
    penalties: Vec<f64>,
}

/// Where a regression ends.
struct Solution {
    coefficients: Vec<f64>,
    /// Factor of the coefficients' inverse covariance.
    information: Cholesky,
    /// Logarithm of the probability of the counts under the prior of the coefficients, up to what does
    /// not depend on that (Laplace's approximation).
    log_evidence: f64,
}

impl<'a> Regression<'a> {
    fn new(
        rows: &'a [Vec<f64>],
        counts: &'a [(f64, f64)],
        dimensions: usize,
        curvature_sd: f64,
    ) -> Self {
        let mut penalties = vec![1.0 / square(curvature_sd); terms(dimensions)];
        penalties[0] = 1e-6;
        penalties[1..=dimensions].fill(1.0 / square(SLOPE_SD));
        Self {
            rows,
            counts,
            penalties,
        }
    }

    /// Newton's method from the mean rate.
    fn solve(&self) -> Solution {
        let (events, exposure) =
            (self.counts.iter()).fold((0.5, 1e-9), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        let mut coefficients = vec![0.0; self.penalties.len()];
        coefficients[0] = core_math::log(events / exposure).clamp(-LOG_RATE_MAX, LOG_RATE_MAX);
        let mut value = self.value(&coefficients);
        for _ in 0..STEPS_MAX {
            let (gradient, information) = self.slope(&coefficients);
            let step = information.solve(gradient);
            let Some((better, new_value)) = self.best_along(&coefficients, &step, value) else {
                break;
            };
            coefficients = better;
            let gain = new_value - value;
            value = new_value;
            if gain < GAIN_MIN {
                break;
            }
        }
        let (_, information) = self.slope(&coefficients);
        let prior: f64 = (self.penalties.iter())
            .map(|penalty| core_math::log(*penalty))
            .sum();
        Solution {
            log_evidence: value + 0.5 * prior - 0.5 * information.log_determinant(),
            coefficients,
            information,
        }
    }

    /// The first of ever shorter steps that gains.
    fn best_along(&self, from: &[f64], step: &[f64], value: f64) -> Option<(Vec<f64>, f64)> {
        let mut length = 1.0;
        for _ in 0..HALVINGS_MAX {
            let to: Vec<f64> = (from.iter().zip(step))
                .map(|(from, step)| from + length * step)
                .collect();
            let new_value = self.value(&to);
            if new_value > value {
                return Some((to, new_value));
            }
            length *= 0.5;
        }
        None
    }

    /// Penalised log-likelihood.
    fn value(&self, coefficients: &[f64]) -> f64 {
        let fit: f64 = (self.rows.iter().zip(self.counts))
            .map(|(row, (events, exposure))| {
                let log_rate = dot(coefficients, row);
                if log_rate.abs() > LOG_RATE_MAX {
                    return f64::NEG_INFINITY;
                }
                events * log_rate - exposure * core_math::exp(log_rate)
            })
            .sum();
        let penalty: f64 = (coefficients.iter().zip(&self.penalties))
            .map(|(coefficient, penalty)| penalty * coefficient * coefficient)
            .sum();
        fit - 0.5 * penalty
    }

    /// Gradient of the penalised log-likelihood, and a factor of its negative curvature.
    fn slope(&self, coefficients: &[f64]) -> (Vec<f64>, Cholesky) {
        let size = coefficients.len();
        let mut gradient: Vec<f64> = (coefficients.iter().zip(&self.penalties))
            .map(|(coefficient, penalty)| -penalty * coefficient)
            .collect();
        let mut information = vec![0.0; size * size];
        for (at, penalty) in self.penalties.iter().enumerate() {
            information[at * size + at] = *penalty;
        }
        for (row, (events, exposure)) in self.rows.iter().zip(self.counts) {
            let mean = exposure * core_math::exp(dot(coefficients, row));
            for (at, value) in row.iter().enumerate() {
                gradient[at] += (events - mean) * value;
                let weight = mean * value;
                let line = &mut information[at * size..=at * size + at];
                for (entry, other) in line.iter_mut().zip(row) {
                    *entry += weight * other;
                }
            }
        }
        let information = Cholesky::of(information, size);
        (
            gradient,
            information.expect("penalties make it positive definite"),
        )
    }
}
