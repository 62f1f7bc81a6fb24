//! Hazard ratios between two groups of different patients, by regression on the group.
//!
//! In a coupled trial the arms are the same patients; the ratio is then still the right one, but
//! its standard error, which takes them for different ones, is too large: see
//! [`crate::coupled`], which also needs what each patient contributes to the ratio.

use crate::distribution::CRITICAL_95;
use crate::estimate::Estimate;
use crate::influence::Influence;
use crate::risk::{RiskTable, Row, walk};
use crate::tally::ExitKind;

/// Logarithms of ratios beyond this are taken for infinite: the likelihood has no maximum.
const FARTHEST: f64 = 50.0;

/// Steps of Newton's method and bisection together, of which a handful are taken.
const STEPS: u32 = 200;

/// Step of the logarithm of the ratio at which the search ends.
const CLOSE: f64 = 1e-13;

/// A ratio of hazards, second group over first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HazardRatio {
    /// Its logarithm; infinite, without a standard error, if one group has no events while the
    /// other is at risk, `NaN` if nothing can be compared.
    pub log_ratio: Estimate,
    /// The ratio.
    pub ratio: f64,
    /// Its 95 % interval, on the logarithmic scale.
    pub interval: (f64, f64),
    /// The score test of a ratio of 1: χ² with one degree of freedom. For Cox's model without
    /// ties it is the log-rank test.
    pub score_statistic: f64,
}

impl HazardRatio {
    pub(crate) fn new(log_ratio: Estimate, score_statistic: f64) -> Self {
        let (lower, upper) = log_ratio.plain_interval(CRITICAL_95);
        Self {
            log_ratio,
            ratio: core_math::exp(log_ratio.value),
            interval: (core_math::exp(lower), core_math::exp(upper)),
            score_statistic,
        }
    }
}

/// How events at the same time count in Cox's partial likelihood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    /// Every event sees the whole risk set (Breslow, Biometrics 1974;30:89).
    Breslow,
    /// The r-th of d events sees the risk set without r/d of those who have events (Efron, J Am
    /// Stat Assoc 1977;72:557).
    Efron,
}

/// Cox's proportional hazards ratio (J R Stat Soc B 1972;34:187) of the second group over the
/// first, over strata with baselines of their own. Events of all causes count; for one cause,
/// give [`RiskTable::cause_specific`]. As `survival::coxph`.
///
/// # Panics
/// If the groups of a stratum differ in their causes.
pub fn cox(strata: &[[RiskTable; 2]], ties: Ties) -> HazardRatio {
    cox_with_information(strata, ties).0
}

/// Cox's ratio, and the information on its logarithm.
pub(crate) fn cox_with_information(strata: &[[RiskTable; 2]], ties: Ties) -> (HazardRatio, f64) {
    let mut moments = Vec::new();
    for stratum in strata {
        walk(stratum, |rows| {
            let events = [rows[0].all_events(), rows[1].all_events()];
            if events != [0, 0] {
                moments.push(Moment {
                    at_risk: [rows[0].at_risk as f64, rows[1].at_risk as f64],
                    events,
                });
            }
        });
    }
    of_moments(&moments, ties)
}

/// Cox's ratio from the times with events, in any order, and the information on its logarithm.
pub(crate) fn of_moments(moments: &[Moment], ties: Ties) -> (HazardRatio, f64) {
    let score = |log_ratio: f64| {
        let theta = core_math::exp(log_ratio);
        let add = |sum: Score, moment: &Moment| sum.plus(moment.score(theta, ties));
        moments.iter().fold(Score::default(), add)
    };
    let null = score(0.0);
    let (log_ratio, information) = root_of(null, score);
    let ratio = HazardRatio::new(
        Estimate::new(log_ratio, 1.0 / information),
        null.slope * null.slope / null.information,
    );
    (ratio, information)
}

/// What patients of either group contribute to the derivative of Cox's partial likelihood with
/// Efron's ties, by their exits: the score residuals of Lin and Wei (J Am Stat Assoc
/// 1989;84:1074). The tables have one cause and rows at the same times.
pub(crate) fn cox_residuals(groups: &[RiskTable; 2], log_ratio: f64) -> [Influence; 2] {
    let theta = core_math::exp(log_ratio);
    let mut residuals = [Influence::default(), Influence::default()];
    let mut so_far = [0.0; 2];
    walk(groups, |rows| {
        let events = rows[0].all_events() + rows[1].all_events();
        let risk_set = RiskSet {
            at_risk: [rows[0].at_risk as f64, theta * rows[1].at_risk as f64],
            leaving: [
                rows[0].all_events() as f64,
                theta * rows[1].all_events() as f64,
            ],
        };
        // Of an event itself, of being at risk until it, and of being at risk throughout.
        let (mut own, mut part, mut whole) = ([0.0; 2], [0.0; 2], [0.0; 2]);
        for (gone, weight) in turns(events) {
            let share = risk_set.share(gone).slope;
            let hazard = weight / risk_set.size(gone);
            for (group, relative) in [1.0, theta].into_iter().enumerate() {
                let distance = group as f64 - share;
                own[group] += distance * weight / events as f64;
                whole[group] += relative * distance * hazard;
                part[group] += relative * distance * hazard * (1.0 - gone);
            }
        }
        for (group, residuals) in residuals.iter_mut().enumerate() {
            let event = so_far[group] + own[group] - part[group];
            so_far[group] -= whole[group];
            residuals.push(event, so_far[group], so_far[group]);
        }
    });
    residuals
}

/// Derivative of a log-likelihood by the logarithm of the ratio, and minus the second.
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    slope: f64,
    information: f64,
}

impl Score {
    fn plus(self, other: Self) -> Self {
        Self {
            slope: self.slope + other.slope,
            information: self.information + other.information,
        }
    }

    fn times(self, factor: f64) -> Self {
        Self {
            slope: self.slope * factor,
            information: self.information * factor,
        }
    }
}

/// A time with events in two groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Patients at risk just before.
    pub(crate) at_risk: [f64; 2],
    pub(crate) events: [u64; 2],
}

impl Moment {
    fn score(&self, theta: f64, ties: Ties) -> Score {
        let events = self.events[0] + self.events[1];
        let risk_set = RiskSet {
            at_risk: [self.at_risk[0], theta * self.at_risk[1]],
            leaving: [self.events[0] as f64, theta * self.events[1] as f64],
        };
        let expected = match ties {
            Ties::Breslow => risk_set.share(0.0).times(events as f64),
            Ties::Efron if events < MANY || risk_set.shrinks_fast() => risk_set.in_turn(events),
            Ties::Efron => risk_set.in_turn_by_integral(events),
        };
        Score {
            slope: self.events[1] as f64 - expected.slope,
            information: expected.information,
        }
    }
}

/// From so many events at a time on, Efron's sum over them is taken by an integral.
const MANY: u64 = 256;

/// Gauss's five points between −1 and 1, and their weights.
const POINTS: [(f64, f64); 5] = [
    (-0.906179845938664, 0.23692688505618908),
    (-0.5384693101056831, 0.47862867049936647),
    (0.0, 0.5688888888888889),
    (0.5384693101056831, 0.47862867049936647),
    (0.906179845938664, 0.23692688505618908),
];

/// The part of the events gone before each event, and its weight in a sum over them; of many
/// events, points and weights that give the same sum but for terms of the order of 1 over their
/// number.
fn turns(events: u64) -> Vec<(f64, f64)> {
    let n = events as f64;
    if events < MANY {
        return (0..events).map(|turn| (turn as f64 / n, 1.0)).collect();
    }
    let inner = POINTS.map(|(point, weight)| (f64::midpoint(1.0, point), 0.5 * n * weight));
    let ends = [(0.0, 0.5), (1.0, -0.5)];
    inner.into_iter().chain(ends).collect()
}

/// The weights of two groups at a time, and how much of them have events.
struct RiskSet {
    at_risk: [f64; 2],
    leaving: [f64; 2],
}

impl RiskSet {
    /// The second group's share, as a slope, when a part of the events have left; and the
    /// variance of its indicator.
    fn share(&self, gone: f64) -> Score {
        let [first, second] = [0, 1].map(|g: usize| self.at_risk[g] - gone * self.leaving[g]);
        let share = second / (first + second);
        Score {
            slope: share,
            information: share * (1.0 - share),
        }
    }

    /// The weight of both groups.
    fn size(&self, gone: f64) -> f64 {
        let [first, second] = [0, 1].map(|g: usize| self.at_risk[g] - gone * self.leaving[g]);
        first + second
    }

    /// Derivatives of [`Self::share`] by what has gone.
    fn share_change(&self, gone: f64) -> Score {
        let [first, second] = [0, 1].map(|g: usize| self.at_risk[g] - gone * self.leaving[g]);
        let both = first + second;
        let change = (self.leaving[0] * second - self.leaving[1] * first) / (both * both);
        Score {
            slope: change,
            information: change * (1.0 - 2.0 * second / both),
        }
    }

    fn shrinks_fast(&self) -> bool {
        16.0 * (self.leaving[0] + self.leaving[1]) > self.at_risk[0] + self.at_risk[1]
    }

    /// The sum over the events, each of which sees those before it gone.
    fn in_turn(&self, events: u64) -> Score {
        let turns = (0..events).map(|turn| turn as f64 / events as f64);
        turns.fold(Score::default(), |sum, gone| sum.plus(self.share(gone)))
    }

    /// The same by the formula of Euler and Maclaurin up to the first derivative. The next term,
    /// a third derivative over 720·n³, is below 1e-12 for so many events and so slow a change, to
    /// which Gauss's five points are as good as exact.
    fn in_turn_by_integral(&self, events: u64) -> Score {
        let n = events as f64;
        let integral = POINTS.map(|(point, weight)| {
            let gone = f64::midpoint(1.0, point);
            self.share(gone).times(0.5 * n * weight)
        });
        let ends = [
            self.share(0.0).times(0.5),
            self.share(1.0).times(-0.5),
            self.share_change(1.0).times(1.0 / (12.0 * n)),
            self.share_change(0.0).times(-1.0 / (12.0 * n)),
        ];
        let terms = integral.into_iter().chain(ends);
        terms.fold(Score::default(), Score::plus)
    }
}

/// Where a falling slope is zero, and the information there, from the score at 0: Newton's method,
/// kept within a bracket that bisection shrinks whenever it would leave. The first time that it
/// would, the ends of the bracket tell whether there is such a place.
fn root_of(null: Score, score: impl Fn(f64) -> Score) -> (f64, f64) {
    if null.information <= 0.0 {
        return (f64::NAN, f64::NAN);
    }
    let (mut below, mut above) = (-FARTHEST, FARTHEST);
    let (mut at, mut here) = (0.0, null);
    let mut ends_are_known = false;
    for _ in 0..STEPS {
        if here.slope > 0.0 {
            below = at;
        } else {
            above = at;
        }
        let mut next = at + here.slope / here.information;
        if !(next > below && next < above) {
            if !ends_are_known && score(-FARTHEST).slope <= 0.0 {
                return (f64::NEG_INFINITY, f64::NAN);
            }
            if !ends_are_known && score(FARTHEST).slope >= 0.0 {
                return (f64::INFINITY, f64::NAN);
            }
            ends_are_known = true;
            next = f64::midpoint(below, above);
        }
        let step = (next - at).abs();
        at = next;
        if step <= CLOSE * at.abs().max(1.0) {
            break;
        }
        here = score(at);
    }
    (at, here.information)
}

/// Fine and Gray's ratio of subdistribution hazards of a cause (J Am Stat Assoc 1999;94:496) of
/// the second group over the first, with their robust variance. Patients with a competing event
/// stay in the risk set with the probability that they would still be followed, for which the
/// censoring of both groups together is estimated. As `cmprsk::crr`.
///
/// # Panics
/// If the groups differ in their causes.
pub fn fine_gray(groups: &[RiskTable; 2], cause: usize) -> HazardRatio {
    fine_gray_with_influence(groups, cause).0
}

/// Fine and Gray's ratio, and each patient's influence on its logarithm, by the times of both
/// groups.
pub(crate) fn fine_gray_with_influence(
    groups: &[RiskTable; 2],
    cause: usize,
) -> (HazardRatio, [Influence; 2]) {
    let times = Subdistribution::times(groups, cause);
    let score = |log_ratio: f64| {
        let theta = core_math::exp(log_ratio);
        let add = |sum: Score, time: &Subdistribution| sum.plus(time.score(theta));
        times.iter().fold(Score::default(), add)
    };
    let null = score(0.0);
    let (log_ratio, information) = root_of(null, score);
    let mut influences = subdistribution_residuals(&times, core_math::exp(log_ratio));
    let mut variance = 0.0;
    for (group, influence) in influences.iter_mut().enumerate() {
        influence.scale(1.0 / information);
        let of_time = |(row, time): (usize, &Subdistribution)| time.squares(group, influence, row);
        variance += times.iter().enumerate().map(of_time).sum::<f64>();
    }
    let ratio = HazardRatio::new(
        Estimate::new(log_ratio, variance),
        null.slope * null.slope / null.information,
    );
    (ratio, influences)
}

/// A time as Fine and Gray see it; pairs are by group.
struct Subdistribution {
    events: [f64; 2],
    competing: [f64; 2],
    censored: [f64; 2],
    at_risk: [f64; 2],
    /// Probability of not being censored before.
    followed: f64,
    /// Earlier competing events, each over `followed` at its time.
    kept: [f64; 2],
}

impl Subdistribution {
    fn times(groups: &[RiskTable; 2], cause: usize) -> Vec<Self> {
        let mut times = Vec::new();
        let mut followed = 1.0;
        let mut kept = [0.0; 2];
        walk(groups, |rows| {
            if rows[0].at_risk + rows[1].at_risk == 0 {
                return;
            }
            let by_group = |count: fn(&Row<'_>, usize) -> u64| {
                [0, 1].map(|group: usize| count(&rows[group], cause) as f64)
            };
            let time = Self {
                events: by_group(|row, cause| row.events[cause]),
                competing: by_group(|row, cause| row.all_events() - row.events[cause]),
                censored: by_group(|row, _| row.censored),
                at_risk: by_group(|row, _| row.at_risk),
                followed,
                kept,
            };
            for (kept, competing) in kept.iter_mut().zip(time.competing) {
                *kept += competing / followed;
            }
            // All who leave at a time are at risk of censoring then, as in crr.
            let at_risk = time.at_risk[0] + time.at_risk[1];
            followed *= 1.0 - (time.censored[0] + time.censored[1]) / at_risk;
            times.push(time);
        });
        times
    }

    /// The weighted risk set, of the second group alone and of both.
    fn risk_set(&self, theta: f64) -> (f64, f64) {
        let [first, second] =
            [0, 1].map(|group: usize| self.at_risk[group] + self.followed * self.kept[group]);
        (theta * second, first + theta * second)
    }

    fn all_events(&self) -> f64 {
        self.events[0] + self.events[1]
    }

    fn score(&self, theta: f64) -> Score {
        if self.all_events() == 0.0 {
            return Score::default();
        }
        let (second, both) = self.risk_set(theta);
        let share = second / both;
        Score {
            slope: self.events[1] - self.all_events() * share,
            information: self.all_events() * share * (1.0 - share),
        }
    }
}

/// Every patient's share of the score, of which η is what the model and ψ what the estimated
/// censoring contributes (Fine and Gray's section 3), by group and exit.
fn subdistribution_residuals(times: &[Subdistribution], theta: f64) -> [Influence; 2] {
    let relative = [1.0, theta];
    // The hazard's increments times the group's distance from the mean, until each time; and for
    // those who stay in the risk set after a competing event, from after each time on.
    let mut later = [0.0; 2];
    let mut still_to_come = vec![[0.0; 2]; times.len()];
    for (time, slot) in times.iter().zip(&mut still_to_come).rev() {
        *slot = later;
        for (group, sum) in later.iter_mut().enumerate() {
            *sum += time.followed * time.drift(group, theta);
        }
    }
    let mut until_now = [0.0; 2];
    let mut by_censoring = 0.0;
    let mut residuals = [Influence::default(), Influence::default()];
    for (time, still_to_come) in times.iter().zip(&still_to_come) {
        let at_risk = time.at_risk[0] + time.at_risk[1];
        let all_censored = time.censored[0] + time.censored[1];
        let from_now =
            |group: usize| still_to_come[group] + time.followed * time.drift(group, theta);
        let q: f64 = (0..2)
            .map(|group| relative[group] * time.kept[group] * from_now(group))
            .sum();
        by_censoring -= q * all_censored / (at_risk * at_risk);
        for (group, residuals) in residuals.iter_mut().enumerate() {
            until_now[group] += time.drift(group, theta);
            let base = by_censoring - relative[group] * until_now[group];
            let staying = relative[group] * still_to_come[group] / time.followed;
            let event = base + time.distance(group, theta);
            residuals.push(event, base - staying, base + q / at_risk);
        }
    }
    residuals
}

impl Subdistribution {
    /// Sum of squares over the group's patients who leave now.
    fn squares(&self, group: usize, influence: &Influence, row: usize) -> f64 {
        let of = |kind, patients: f64| {
            let value = influence.of(kind, row);
            patients * value * value
        };
        of(ExitKind::Event, self.events[group])
            + of(ExitKind::Competing, self.competing[group])
            + of(ExitKind::Censored, self.censored[group])
    }

    /// The group's indicator less its mean over the risk set.
    fn distance(&self, group: usize, theta: f64) -> f64 {
        let (second, both) = self.risk_set(theta);
        group as f64 - second / both
    }

    /// The distance times the baseline hazard's increment.
    fn drift(&self, group: usize, theta: f64) -> f64 {
        if self.all_events() == 0.0 {
            return 0.0;
        }
        let (_, both) = self.risk_set(theta);
        self.distance(group, theta) * self.all_events() / both
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_over_many_events_is_their_sum() {
        for (events, at_risk, leaving) in [
            (256, [4000.0, 4000.0], [256.0, 0.0]),
            (256, [4000.0, 200.0], [56.0, 200.0]),
            (1000, [20_000.0, 30_000.0], [600.0, 400.0]),
            (30_000, [1e6, 3e5], [1e4, 2e4]),
        ] {
            let risk_set = RiskSet { at_risk, leaving };
            assert!(!risk_set.shrinks_fast());
            let sum = risk_set.in_turn(events);
            let integral = risk_set.in_turn_by_integral(events);
            for (one, other) in [
                (sum.slope, integral.slope),
                (sum.information, integral.information),
            ] {
                assert!((one - other).abs() < 1e-12 * one, "{sum:?} {integral:?}");
            }
        }
    }
}
