//! Tests whether groups differ in survival or in the incidence of a cause.
//!
//! Groups are compared within strata: `strata[s][g]` is the risk table of group g in stratum s,
//! and the scores of the strata add up. The groups must be different patients; the arms of a
//! coupled trial are the same ones, for which these tests are too cautious and [`crate::coupled`]
//! has others.

use crate::distribution::chi_squared_tail;
use crate::risk::{RiskTable, Row, walk};

/// What part of a variance rounding may leave of nothing.
const SINGULAR: f64 = 1e-9;

/// A test of equality of groups.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupTest {
    /// By group: weighted events observed less those expected if all groups were equal.
    pub scores: Vec<f64>,
    /// Covariance matrix of the scores, row by row; singular, because the scores depend on each
    /// other.
    pub covariance: Vec<Vec<f64>>,
    /// The quadratic form of scores and inverse covariance, χ² if the groups are equal.
    pub statistic: f64,
    /// Independent scores: one less than the groups that can be compared.
    pub degrees_of_freedom: usize,
    /// Probability of a larger statistic if the groups are equal; `NaN` if nothing can be
    /// compared.
    pub p_value: f64,
}

impl GroupTest {
    fn new(scores: Vec<f64>, covariance: Vec<Vec<f64>>) -> Self {
        let (statistic, degrees_of_freedom) = quadratic_form(&covariance, &scores);
        Self {
            scores,
            covariance,
            statistic,
            degrees_of_freedom,
            p_value: chi_squared_tail(statistic, degrees_of_freedom),
        }
    }
}

/// Weights S^ρ·(1 − S)^γ of events by survival of all groups together just before them (Fleming
/// and Harrington, Counting Processes and Survival Analysis, 1991).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Power of survival: above 0, early events count more.
    pub rho: f64,
    /// Power of its complement: above 0, late events count more.
    pub gamma: f64,
}

impl Weights {
    /// Equal weights: the log-rank test.
    pub const EQUAL: Self = Self {
        rho: 0.0,
        gamma: 0.0,
    };

    pub(crate) fn at(self, survival: f64) -> f64 {
        power(survival, self.rho) * power(1.0 - survival, self.gamma)
    }
}

/// The log-rank test (Mantel, Cancer Chemother Rep 1966;50:163; Peto and Peto, J R Stat Soc A
/// 1972;135:185), weighted, over strata. Events of all causes count; for one cause, give
/// [`RiskTable::cause_specific`]. Each time adds w·(d_g − d·n_g/n) to group g's score and the
/// hypergeometric covariance w²·d·(n − d)/(n − 1)·(n_g/n)·(1\[g = h\] − n_h/n). As
/// `survival::survdiff`.
///
/// # Panics
/// If the groups are not the same in all strata, or differ in their causes.
pub fn log_rank(strata: &[Vec<RiskTable>], weights: Weights) -> GroupTest {
    let groups = strata.first().map_or(0, Vec::len);
    let mut scores = vec![0.0; groups];
    let mut covariance = vec![vec![0.0; groups]; groups];
    for stratum in strata {
        assert_eq!(stratum.len(), groups, "every stratum has every group");
        let mut survival = 1.0;
        walk(stratum, |rows| {
            let at_risk = rows.iter().map(|row| row.at_risk).sum::<u64>() as f64;
            let events = rows.iter().map(Row::all_events).sum::<u64>() as f64;
            if events == 0.0 {
                return;
            }
            let weight = weights.at(survival);
            let spread = if at_risk > 1.0 {
                weight * weight * events * (at_risk - events) / (at_risk - 1.0)
            } else {
                0.0
            };
            let share = |group: usize| rows[group].at_risk as f64 / at_risk;
            for (g, row) in rows.iter().enumerate() {
                scores[g] += weight * (row.all_events() as f64 - events * share(g));
                for (h, cell) in covariance[g].iter_mut().enumerate() {
                    let same = f64::from(u8::from(g == h));
                    *cell += spread * share(g) * (same - share(h));
                }
            }
            survival *= 1.0 - events / at_risk;
        });
    }
    GroupTest::new(scores, covariance)
}

/// Gray's test of equal cumulative incidences of a cause (Ann Statist 1988;16:1141), weighted by
/// (1 − F)^ρ, over strata, with the variance of `cmprsk::cuminc`.
///
/// # Panics
/// If the groups are not the same in all strata, or differ in their causes.
pub fn gray(strata: &[Vec<RiskTable>], cause: usize, rho: f64) -> GroupTest {
    let groups = strata.first().map_or(0, Vec::len);
    let mut scores = vec![0.0; groups];
    let mut covariance = vec![vec![0.0; groups]; groups];
    for stratum in strata {
        assert_eq!(stratum.len(), groups, "every stratum has every group");
        let mut gray = Gray::new(groups, rho);
        walk(stratum, |rows| gray.advance(rows, cause));
        for g in 0..groups {
            scores[g] += gray.scores[g];
            for (h, cell) in covariance[g].iter_mut().enumerate() {
                *cell += gray.covariance(g, h);
            }
        }
    }
    GroupTest::new(scores, covariance)
}

/// Gray's test within a stratum as it goes through time.
///
/// A group's risk set for the subdistribution is R = n·(1 − F)/S, its members at risk made up for
/// those whom competing events took; h = n/S. A group's score compares its events with the share
/// of R. Its variance is that of integrals over the groups' two martingales, of events and of
/// competing ones; each integrand has a part that is known at the time and one, the same for the
/// whole past, that is known only at the end. So the sums of products are kept apart
/// (`own`, `mixed`, `shared`) and joined at the end with the coefficients of then (`slopes`).
struct Gray {
    rho: f64,
    /// Cumulative incidence of all groups together.
    incidence: f64,
    /// By group: survival and cumulative incidence.
    survival: Vec<f64>,
    group_incidence: Vec<f64>,
    scores: Vec<f64>,
    slopes: Vec<Vec<f64>>,
    own: Vec<Vec<f64>>,
    mixed: Vec<Vec<f64>>,
    shared: Vec<f64>,
}

impl Gray {
    fn new(groups: usize, rho: f64) -> Self {
        let square = vec![vec![0.0; groups]; groups];
        Self {
            rho,
            incidence: 0.0,
            survival: vec![1.0; groups],
            group_incidence: vec![0.0; groups],
            scores: vec![0.0; groups],
            slopes: square.clone(),
            own: square.clone(),
            mixed: square,
            shared: vec![0.0; groups],
        }
    }

    fn advance(&mut self, rows: &[Row<'_>], cause: usize) {
        let events: u64 = rows.iter().map(|row| row.events[cause]).sum();
        let all_events: u64 = rows.iter().map(Row::all_events).sum();
        if all_events == 0 {
            return;
        }
        let groups = rows.len();
        let before = self.survival.clone();
        let h: Vec<f64> = rows
            .iter()
            .zip(&before)
            .map(|(row, survival)| {
                if row.at_risk > 0 {
                    row.at_risk as f64 / survival
                } else {
                    0.0
                }
            })
            .collect();
        let total: f64 = h.iter().sum();
        let free = 1.0 - self.incidence;
        let weight = power(free, self.rho);
        let risk_sets: Vec<f64> = h
            .iter()
            .zip(&self.group_incidence)
            .map(|(h, incidence)| h * (1.0 - incidence))
            .collect();
        let all_risk_sets: f64 = risk_sets.iter().sum();
        let new_events = events as f64;
        let hazard = new_events / total;

        let kernel = |g: usize, k: usize| {
            let same = f64::from(u8::from(g == k));
            weight * h[g] * (same - h[k] / total)
        };
        for (g, row) in rows.iter().enumerate().filter(|(_, row)| row.at_risk > 0) {
            let n = row.at_risk as f64;
            let own_events = row.events[cause] as f64;
            self.survival[g] *= (n - row.all_events() as f64) / n;
            self.group_incidence[g] += before[g] * own_events / n;
            self.scores[g] += weight * (own_events - new_events * risk_sets[g] / all_risk_sets);
            for k in 0..groups {
                self.slopes[g][k] += kernel(g, k) * hazard / free;
            }
        }
        self.incidence += hazard;
        let free = 1.0 - self.incidence;
        for (k, row) in rows.iter().enumerate().filter(|(_, row)| row.at_risk > 0) {
            let n = row.at_risk as f64;
            let survival = self.survival[k];
            if events > 0 {
                let shift = if survival > 0.0 {
                    1.0 - free / survival
                } else {
                    1.0
                };
                let spread = ties(events, total * before[k]) * before[k] * hazard / n;
                self.gather(k, |g| kernel(g, k), shift, spread);
            }
            let competing = row.all_events() - row.events[cause];
            if competing > 0 && survival > 0.0 {
                let shift = -free / survival;
                let spread =
                    ties(competing, n) * before[k] * before[k] * competing as f64 / (n * n);
                self.gather(k, |_| 0.0, shift, spread);
            }
        }
    }

    /// Adds the products of the integrands known − shift·(slope now − slope at the end) of group
    /// k's martingale, whose variance grows by `spread`.
    fn gather(&mut self, k: usize, known: impl Fn(usize) -> f64, shift: f64, spread: f64) {
        let here: Vec<f64> = self
            .slopes
            .iter()
            .enumerate()
            .map(|(g, slopes)| known(g) - shift * slopes[k])
            .collect();
        self.shared[k] += shift * shift * spread;
        for (g, one) in here.iter().enumerate() {
            self.mixed[g][k] += one * shift * spread;
            for (cell, other) in self.own[g].iter_mut().zip(&here) {
                *cell += one * other * spread;
            }
        }
    }

    fn covariance(&self, g: usize, h: usize) -> f64 {
        let shared = self.shared.iter().enumerate();
        let joined = shared.map(|(k, shared)| {
            let (one, other) = (self.slopes[g][k], self.slopes[h][k]);
            one * other * shared + one * self.mixed[h][k] + other * self.mixed[g][k]
        });
        self.own[g][h] + joined.sum::<f64>()
    }
}

/// The factor by which a variance falls when `events` of `at_risk` happen at once.
fn ties(events: u64, at_risk: f64) -> f64 {
    if events > 1 {
        1.0 - (events as f64 - 1.0) / (at_risk - 1.0)
    } else {
        1.0
    }
}

fn power(base: f64, exponent: f64) -> f64 {
    if exponent == 0.0 {
        1.0
    } else {
        core_math::pow(base, exponent)
    }
}

/// s′·V⁻·s and the rank of the covariance matrix V, by elimination that leaves out directions in
/// which nothing varies.
fn quadratic_form(covariance: &[Vec<f64>], scores: &[f64]) -> (f64, usize) {
    let mut rows: Vec<Vec<f64>> = covariance.to_vec();
    let mut rest = scores.to_vec();
    let (mut form, mut rank) = (0.0, 0);
    for pivot in 0..rest.len() {
        let variance = rows[pivot][pivot];
        if variance <= SINGULAR * covariance[pivot][pivot] {
            continue;
        }
        form += rest[pivot] * rest[pivot] / variance;
        rank += 1;
        let (done, below) = rows.split_at_mut(pivot + 1);
        let top = &done[pivot];
        for (row, index) in below.iter_mut().zip(pivot + 1..) {
            let factor = row[pivot] / variance;
            rest[index] -= factor * rest[pivot];
            for (cell, above) in row.iter_mut().zip(top) {
                *cell -= factor * above;
            }
        }
    }
    (form, rank)
}
