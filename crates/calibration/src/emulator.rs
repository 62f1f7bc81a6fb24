//! Surfaces that stand for the engine: what is expected of every target at any point.
//!
//! The logarithm of a target's rate is a quadratic function of the scores, fitted to the counts of all
//! blocks by penalised Poisson regression. Counts need no correction for noise that way, blocks without an
//! event are no special case, and a surface fitted to a thousand blocks knows a rate better than any of
//! them. What the counts vary beyond Poisson's law is how far the surface is from the engine, and
//! goes into the likelihood.
//!
//! Of the many products of two scores few matter, but to many targets. How large a term's coefficients are
//! is therefore learnt from all targets together (the idea of sparse Bayesian learning: MacKay, Neural
//! Comput 1992;4:415; Tipping, J Mach Learn Res 2001;1:211), and a term that the counts of no target need
//! is left out. A surface of fewer terms has less noise.

use crate::linear::{Cholesky, dot, square};
use crate::targets::{Seen, Target};

/// What is taken, before the counts are looked at, as the standard deviation of the change of a logarithm
/// of a rate along a score, over the points' own spread, and of its curvature.
const SLOPE_SD: f64 = 3.0;
const CURVATURE_SD: f64 = 0.1;

/// Times that the terms' coefficients are fitted and their size is learnt.
const ROUNDS: usize = 4;

/// A term is left out if its coefficients' mean square is not so many standard errors above zero.
const NEEDED_MIN: f64 = 1.0;

/// Steps of the search for that mean square.
const SCORING_STEPS: usize = 10;

/// Precision of the constant: as good as none.
const CONSTANT_PRECISION: f64 = 1e-6;

/// Steps of Newton's method at most, and the gain of the penalised likelihood that ends them.
const STEPS_MAX: usize = 30;
const GAIN_MIN: f64 = 1e-4;

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

    fn rows(&self, terms: &[Term], points: &[Vec<f64>]) -> Vec<Vec<f64>> {
        points.iter().map(|point| self.row(terms, point)).collect()
    }

    /// The terms of the quadratic function at a point.
    fn row(&self, terms: &[Term], point: &[f64]) -> Vec<f64> {
        let scores: Vec<f64> = (point.iter().zip(&self.centre).zip(&self.spread))
            .map(|((score, centre), spread)| (score - centre) / spread)
            .collect();
        terms.iter().map(|term| term.of(&scores)).collect()
    }
}

/// A term of a quadratic function of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term {
    Constant,
    Score(usize),
    /// Less one, over √2: with mean 0 and variance 1 if the score is normal.
    Square(usize),
    Product(usize, usize),
}

impl Term {
    fn all(dimensions: usize) -> Vec<Self> {
        let scores = (0..dimensions).map(Self::Score);
        let curvatures = (0..dimensions).flat_map(|axis| {
            let products = (0..axis).map(move |other| Self::Product(axis, other));
            std::iter::once(Self::Square(axis)).chain(products)
        });
        (std::iter::once(Self::Constant)
            .chain(scores)
            .chain(curvatures))
        .collect()
    }

    fn of(self, scores: &[f64]) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Score(axis) => scores[axis],
            Self::Square(axis) => (square(scores[axis]) - 1.0) * std::f64::consts::FRAC_1_SQRT_2,
            Self::Product(axis, other) => scores[axis] * scores[other],
        }
    }

    /// Precision of its coefficients before the counts are looked at.
    fn first_precision(self) -> f64 {
        match self {
            Self::Constant => CONSTANT_PRECISION,
            Self::Score(_) => 1.0 / square(SLOPE_SD),
            Self::Square(_) | Self::Product(..) => 1.0 / square(CURVATURE_SD),
        }
    }
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
    terms: Vec<Term>,
    surfaces: Vec<Surface>,
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
        let mut terms = Term::all(points[0].len());
        let mut precisions: Vec<f64> = terms.iter().map(|term| term.first_precision()).collect();
        for _ in 0..ROUNDS {
            let rows = frame.rows(&terms, points);
            let fit =
                |counts: &Vec<(f64, f64)>| Regression::new(&rows, counts, &precisions).learnt();
            let learnt = on_threads(counts, threads, fit);
            let sizes: Vec<f64> = (precisions.iter().enumerate())
                .map(|(at, precision)| match terms[at] {
                    Term::Constant => 1.0 / precision,
                    _ => size(learnt.iter().map(|learnt| learnt[at])),
                })
                .collect();
            let kept: Vec<usize> = (0..terms.len()).filter(|at| sizes[*at] > 0.0).collect();
            terms = kept.iter().map(|at| terms[*at]).collect();
            precisions = kept.iter().map(|at| 1.0 / sizes[*at]).collect();
        }
        let rows = frame.rows(&terms, points);
        let fit = |counts: &Vec<(f64, f64)>| surface(&Regression::new(&rows, counts, &precisions));
        let surfaces = on_threads(counts, threads, fit);
        Self {
            frame,
            terms,
            surfaces,
        }
    }

    /// Number of terms of a surface.
    pub fn terms(&self) -> usize {
        self.terms.len()
    }

    /// Logarithms of the rates and proportions that are expected of all targets at a point.
    pub fn log_rates(&self, point: &[f64]) -> Vec<f64> {
        let row = self.frame.row(&self.terms, point);
        (self.surfaces.iter())
            .map(|surface| dot(&surface.coefficients, &row).clamp(-LOG_RATE_MAX, LOG_RATE_MAX))
            .collect()
    }

    /// The rates and proportions themselves.
    pub fn rates(&self, point: &[f64]) -> Vec<f64> {
        (self.log_rates(point).into_iter())
            .map(core_math::exp)
            .collect()
    }

    /// Of every target, the variance of the logarithm of the rate: how far the surface may be from the
    /// engine.
    pub fn variances(&self) -> Vec<f64> {
        (self.surfaces.iter())
            .map(|surface| surface.variance)
            .collect()
    }

    /// Of every target, the variance of counts about the surface over that of Poisson's law: 1 where
    /// nothing but chance keeps the engine from the surface.
    pub fn dispersions(&self) -> Vec<f64> {
        (self.surfaces.iter())
            .map(|surface| surface.dispersion)
            .collect()
    }

    /// The likelihood of what was seen of all targets.
    pub fn likelihood(&self, targets: &[Target]) -> Likelihood {
        let laws = self.surfaces.iter().zip(targets);
        Likelihood {
            laws: laws
                .map(|(surface, target)| Law::of(surface.variance, target.seen))
                .collect(),
        }
    }
}

/// How likely what was seen of all targets is, whatever is expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Likelihood {
    laws: Vec<Law>,
}

impl Likelihood {
    /// Logarithm of the likelihood, less that of the rates that were seen.
    pub fn log_at(&self, log_rates: &[f64]) -> f64 {
        let laws = self.laws.iter().zip(log_rates);
        laws.map(|(law, log_rate)| law.log_at(*log_rate)).sum()
    }
}

/// What the counts of one target say of a term's coefficient, without what other targets say: an estimate
/// and its variance.
type Learnt = (f64, f64);

/// Mean square of a term's coefficients, from what the counts of all targets say: the most probable
/// one if coefficients are normal. Zero if it is no larger than chance makes it.
fn size(learnt: impl Iterator<Item = Learnt>) -> f64 {
    let learnt: Vec<Learnt> = learnt.filter(|learnt| learnt.1.is_finite()).collect();
    // Fisher's scoring, of which the first step, from zero, also tests whether there is anything.
    let step = |size: f64| {
        let (mut excess, mut weights) = (0.0, 0.0);
        for (estimate, variance) in &learnt {
            let weight = 1.0 / square(size + variance);
            excess += weight * (square(*estimate) - variance);
            weights += weight;
        }
        (excess / f64::max(weights, f64::MIN_POSITIVE), weights)
    };
    let (mut size, weights) = step(0.0);
    if size * (0.5 * weights).sqrt() < NEEDED_MIN {
        return 0.0;
    }
    for _ in 0..SCORING_STEPS {
        size = step(size).0.max(0.0);
    }
    size
}

/// The probability of what was seen of one target, by the rate that is expected. With an uncertain rate
/// Poisson's law becomes the negative binomial law of the same variance, and the binomial law is widened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Law {
    seen: Seen,
    /// Of the logarithm of the rate.
    variance: f64,
    /// What the logarithm is at the rate that was seen.
    at_seen: f64,
}

/// The least share that is told from none.
const SHARE_MIN: f64 = 1e-9;

/// Below this variance of the logarithm of a rate, the limit of none is as good.
const VARIANCE_MIN: f64 = 1e-9;

impl Law {
    /// The law of what was seen, with a variance of the logarithm of the rate.
    pub fn of(variance: f64, seen: Seen) -> Self {
        let (events, exposure) = seen.counts();
        let law = Self {
            seen,
            variance,
            at_seen: 0.0,
        };
        let at_seen = if events > 0.0 {
            law.log_at(core_math::log(events / exposure))
        } else {
            0.0
        };
        Self { at_seen, ..law }
    }

    /// Logarithm of the probability at a rate, less that at the rate that was seen, so that −2 times it
    /// is the deviance.
    pub fn log_at(&self, log_rate: f64) -> f64 {
        let log = match self.seen {
            Seen::Events {
                events,
                person_years,
            } => {
                let mean = core_math::exp(log_rate) * person_years;
                let expected = if self.variance < VARIANCE_MIN {
                    mean
                } else {
                    (events + 1.0 / self.variance) * core_math::log1p(self.variance * mean)
                };
                events * log_rate - expected
            }
            Seen::Patients { events, patients } => {
                let share = core_math::exp(log_rate).min(1.0 - SHARE_MIN);
                let exact = times_log(events, share) + times_log(patients - events, 1.0 - share);
                let seen = (events / patients).clamp(SHARE_MIN, 1.0 - SHARE_MIN);
                exact / (1.0 + self.variance * patients * seen / (1.0 - seen))
            }
        };
        log - self.at_seen
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
    precisions: &'a [f64],
}

/// Where a regression ends.
struct Solution {
    coefficients: Vec<f64>,
    /// Factor of the coefficients' inverse covariance.
    information: Cholesky,
}

impl<'a> Regression<'a> {
    fn new(rows: &'a [Vec<f64>], counts: &'a [(f64, f64)], precisions: &'a [f64]) -> Self {
        Self {
            rows,
            counts,
            precisions,
        }
    }

    /// What the counts say of every coefficient by themselves: what the prior added is taken away.
    fn learnt(&self) -> Vec<Learnt> {
        let found = self.solve();
        let variances = found.information.inverse_diagonal();
        (found
            .coefficients
            .iter()
            .zip(variances)
            .zip(self.precisions))
        .map(|((coefficient, variance), precision)| {
            let own = 1.0 / f64::max(1.0 / variance - precision, 0.0);
            (coefficient * own / variance, own)
        })
        .collect()
    }

    /// Newton's method from the mean rate.
    fn solve(&self) -> Solution {
        let (events, exposure) =
            (self.counts.iter()).fold((0.5, 1e-9), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        let mut coefficients = vec![0.0; self.precisions.len()];
        coefficients[0] = core_math::log(events / exposure).clamp(-LOG_RATE_MAX, LOG_RATE_MAX);
        let mut value = self.value(&coefficients);
        let (mut gradient, mut information) = self.slope(&coefficients);
        for _ in 0..STEPS_MAX {
            let step = information.solve(gradient);
            let Some((better, new_value)) = self.best_along(&coefficients, &step, value) else {
                break;
            };
            let gain = new_value - value;
            (coefficients, value) = (better, new_value);
            if gain < GAIN_MIN {
                break;
            }
            (gradient, information) = self.slope(&coefficients);
        }
        Solution {
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
        let penalty: f64 = (coefficients.iter().zip(self.precisions))
            .map(|(coefficient, precision)| precision * coefficient * coefficient)
            .sum();
        fit - 0.5 * penalty
    }

    /// Gradient of the penalised log-likelihood, and a factor of its negative curvature.
    fn slope(&self, coefficients: &[f64]) -> (Vec<f64>, Cholesky) {
        let size = coefficients.len();
        let mut gradient: Vec<f64> = (coefficients.iter().zip(self.precisions))
            .map(|(coefficient, precision)| -precision * coefficient)
            .collect();
        let mut information = vec![0.0; size * size];
        for (at, precision) in self.precisions.iter().enumerate() {
            information[at * size + at] = *precision;
        }
        let means: Vec<f64> = (self.rows.iter().zip(self.counts))
            .map(|(row, (_, exposure))| exposure * core_math::exp(dot(coefficients, row)))
            .collect();
        for ((row, (events, _)), mean) in self.rows.iter().zip(self.counts).zip(&means) {
            for (slope, value) in gradient.iter_mut().zip(row) {
                *slope += (events - mean) * value;
            }
        }
        for (rows, means) in self
            .rows
            .chunks(ROWS_AT_ONCE)
            .zip(means.chunks(ROWS_AT_ONCE))
        {
            add_squares(&mut information, size, rows, means);
        }
        let information = Cholesky::of(information, size);
        (
            gradient,
            information.expect("precisions make it positive definite"),
        )
    }
}

/// Rows that go into a matrix together, so that it is read and written less often.
const ROWS_AT_ONCE: usize = 4;

/// Adds rowᵀ·weight·row of some rows to the lower triangle of a matrix.
fn add_squares(matrix: &mut [f64], size: usize, rows: &[Vec<f64>], weights: &[f64]) {
    if let ([a, b, c, d], &[wa, wb, wc, wd]) = (rows, weights) {
        for at in 0..size {
            let [va, vb, vc, vd] = [wa * a[at], wb * b[at], wc * c[at], wd * d[at]];
            let line = &mut matrix[at * size..=at * size + at];
            for ((((entry, a), b), c), d) in line.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *entry += (va * a + vb * b) + (vc * c + vd * d);
            }
        }
    } else {
        for (row, weight) in rows.iter().zip(weights) {
            for at in 0..size {
                let value = weight * row[at];
                let line = &mut matrix[at * size..=at * size + at];
                for (entry, other) in line.iter_mut().zip(row) {
                    *entry += value * other;
                }
            }
        }
    }
}
