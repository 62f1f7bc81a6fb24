//! Estimates from tallies: cumulative incidences and paired contrasts between arms.
//!
//! **One arm.** Times are known to the bin. Within a bin, events and competing events happen to
//! everybody at risk at its start, and censoring follows. Cumulative incidence and event-free
//! survival are the curves of [`crate::curve`] on the bins; their variances are those of a
//! binomial proportion while nobody is censored.
//!
//! **An arm against the control.** The same patients live in both, so the variance of a
//! difference of incidences is `V_c + V_a − 2·ρ·√(V_c·V_a)`. The correlation ρ is that of the
//! paired indicators "event observed by the bin's end". While nobody is censored before that bin
//! this is exactly the variance of paired proportions, `[n10 + n01 − (n10 − n01)²/n]/n²`, with
//! n10 patients who have the event in the control only and n01 in the arm only. With drop-out it
//! is an approximation: the correlation of what was observed stands for the correlation of the
//! estimators' influence functions, which weight an event by the inverse probability of still
//! being followed. The coverage test in `tests/coverage.rs` bounds what that costs.
//!
//! **Intervals** invert score tests for paired proportions. Unlike estimate ± 1.96 standard
//! errors, and the same on the log scale for ratios, they keep their coverage when few pairs
//! differ and are not empty when none does. With drop-out, their distances from the estimate are
//! stretched by the ratio of the standard errors with and without regard to censoring.
//!
//! Whatever cannot be estimated (nobody enrolled, a ratio of nothing to nothing) is `NaN`.

use std::cmp::Reverse;

use crate::curve::{self, Quantity, State, states};
use crate::distribution::CRITICAL_95;
use crate::risk::{RiskTable, pool};
use crate::tally::{Cause, Endpoint, ORIGINS, Tally};

/// Steps of the search for a score limit: from a width of at most 2 to below 1e-18.
const HALVINGS: u32 = 64;

/// A number with its standard error; both `NaN` if there is nobody to estimate from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl Estimate {
    /// Of what there is nobody to estimate from.
    pub const UNKNOWN: Self = Self {
        value: f64::NAN,
        standard_error: f64::NAN,
    };

    pub(crate) fn new(value: f64, variance: f64) -> Self {
        Self {
            value,
            standard_error: root(variance),
        }
    }

    /// This less another estimate from different patients.
    #[must_use]
    pub fn less_independent(self, other: Self) -> Self {
        Self {
            value: self.value - other.value,
            standard_error: distance(self.standard_error, other.standard_error, 1.0),
        }
    }

    /// Estimate ± `critical` standard errors.
    pub fn plain_interval(self, critical: f64) -> (f64, f64) {
        let distance = critical * self.standard_error;
        (self.value - distance, self.value + distance)
    }

    /// Interval of a positive number on the logarithmic scale; `NaN` for others, which are not
    /// on it.
    pub fn log_interval(self, critical: f64) -> (f64, f64) {
        if self.value <= 0.0 {
            return (f64::NAN, f64::NAN);
        }
        let factor = core_math::exp(critical * self.standard_error / self.value);
        (self.value / factor, self.value * factor)
    }

    /// Interval of a probability on the scale of ln(−ln p), which stays within 0 and 1
    /// (Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, 1980); `NaN`
    /// for 0 and 1, at which the scale has no point.
    pub fn log_log_interval(self, critical: f64) -> (f64, f64) {
        if self.value <= 0.0 || self.value >= 1.0 {
            return (f64::NAN, f64::NAN);
        }
        let log = core_math::log(self.value);
        let distance = critical * self.standard_error / (self.value * log).abs();
        let limit = |power: f64| core_math::exp(log * core_math::exp(power));
        (limit(distance), limit(-distance))
    }
}

/// An arm against the control on the same patients, by the end of a bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// Cumulative incidence in the control.
    pub control: Estimate,
    /// Cumulative incidence in the arm.
    pub arm: Estimate,
    /// Arm minus control, with its paired standard error.
    pub difference: Estimate,
    /// 95 % score interval of the difference (Tango, Stat Med 1998;17:891).
    pub difference_interval: (f64, f64),
    /// Arm over control: infinite if only the arm has events, `NaN` if neither has.
    pub ratio: f64,
    /// 95 % score interval of the ratio (Nam and Blackwelder, Stat Med 2002;21:689); from 0 or to
    /// infinity where the arm or the control has no events, `NaN` if neither has.
    pub ratio_interval: (f64, f64),
    /// Patients to treat for one event less; `None` without patients.
    pub number_needed_to_treat: Option<NumberNeededToTreat>,
    /// Patients with the event in the control only, n10.
    pub control_only: u64,
    /// Patients with the event in the arm only, n01.
    pub arm_only: u64,
    /// Variance of the difference between independent groups of this size over that between
    /// these pairs: how many times more patients an unpaired simulation would need. Infinite if
    /// no pair differs, `NaN` if there are no events either.
    pub variance_reduction: f64,
}

/// Number needed to treat (Altman, BMJ 1998;317:1309): one over the reduction of incidence.
/// Positive numbers count patients per event prevented, negative ones per event caused; infinity
/// is no effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberNeededToTreat {
    /// The estimate.
    pub value: f64,
    /// The 95 % interval runs from the first limit to the second in the direction of less
    /// benefit. Where they have opposite signs it passes through infinity: from benefit, over no
    /// effect, to harm.
    pub interval: (f64, f64),
}

impl NumberNeededToTreat {
    /// From a difference of incidences, arm less control, and its interval; `None` if there is no
    /// difference to speak of (`NaN`).
    pub fn new(difference: f64, interval: (f64, f64)) -> Option<Self> {
        // A negative difference is a benefit; `0.0 -` rather than negation avoids a negative zero.
        let per_event = |difference: f64| 1.0 / (0.0 - difference);
        (!difference.is_nan()).then(|| Self {
            value: per_event(difference),
            interval: (per_event(interval.0), per_event(interval.1)),
        })
    }
}

/// Time lost to an endpoint's event, in an arm and in the control, on the same patients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanContrast {
    /// Restricted mean time lost in the control.
    pub control: Estimate,
    /// Restricted mean time lost in the arm.
    pub arm: Estimate,
    /// Arm minus control. Its standard error is the largest that agrees with the tally: see
    /// [`mean_contrast`].
    pub difference: Estimate,
    /// Its 95 % interval: as many standard errors below and above as that of the difference of
    /// incidences at the horizon, which is not symmetric if few pairs differ.
    pub difference_interval: (f64, f64),
}

/// Cumulative incidence of an endpoint by each bin's end, pooled over `strata`: of local and
/// distant recurrence in the presence of competing events, of the others outright.
pub fn cumulative_incidence(
    tally: &Tally,
    strata: &[usize],
    arm: usize,
    endpoint: Endpoint,
) -> Vec<Estimate> {
    let table = endpoint_by_bin(tally, strata, arm, endpoint);
    let states = states(&table, |row| row.events[0]);
    states.iter().map(State::incidence).collect()
}

/// Cumulative incidence of a cause of first events by each bin's end, pooled over `strata`; the
/// other causes compete.
///
/// # Panics
/// If `cause` is [`Cause::Censored`], which is not an event.
pub fn cause_incidence(tally: &Tally, strata: &[usize], arm: usize, cause: Cause) -> Vec<Estimate> {
    let position = Cause::EVENTS.iter().position(|event| *event == cause);
    let position = position.expect("censoring has no incidence, only events do");
    let edges = bin_numbers(tally);
    let table = RiskTable::of_first_events(tally, strata, arm, &edges);
    let states = states(&table, |row| row.events[position]);
    states.iter().map(State::incidence).collect()
}

/// Probability by each bin's end, pooled over `strata`, of neither the endpoint's event nor one
/// that competes with it (Kaplan–Meier, Greenwood). For recurrence-free and overall survival
/// nothing competes, so it is one minus the cumulative incidence.
pub fn survival(tally: &Tally, strata: &[usize], arm: usize, endpoint: Endpoint) -> Vec<Estimate> {
    let table = endpoint_by_bin(tally, strata, arm, endpoint);
    let states = states(&table, |row| row.events[0]);
    states.iter().map(State::free).collect()
}

/// Compares an arm with the control by the end of `bin`, pooled over `strata`.
pub fn contrast(
    tally: &Tally,
    strata: &[usize],
    arm: usize,
    endpoint: Endpoint,
    bin: usize,
) -> Contrast {
    Curves::new(tally, strata, arm, endpoint).contrast(bin)
}

/// Compares an arm with the control by the end of every bin, pooled over `strata`.
pub fn contrasts(tally: &Tally, strata: &[usize], arm: usize, endpoint: Endpoint) -> Vec<Contrast> {
    let curves = Curves::new(tally, strata, arm, endpoint);
    (0..tally.shape().bins)
        .map(|bin| curves.contrast(bin))
        .collect()
}

/// Compares the time lost to an endpoint's event until the end of `bin`, pooled over `strata`.
/// `edges` are those of the tally's bins; times are in their unit.
///
/// A patient's difference is the time during which the event has happened in one arm only. A
/// tally knows how many patients differ by each bin's end, but not how many do so by two bins'
/// ends both, at most the smaller of the two numbers. The variance takes this bound: it is exact
/// if whoever differs still does at the horizon (events are prevented, not delayed), and too
/// large otherwise. The exact variance needs the patients: [`crate::curve::paired_difference`].
/// With drop-out the error is stretched as that of incidences.
pub fn mean_contrast(
    tally: &Tally,
    strata: &[usize],
    arm: usize,
    endpoint: Endpoint,
    edges: &[f64],
    bin: usize,
) -> MeanContrast {
    let curves = Curves::new(tally, strata, arm, endpoint);
    let horizon = edges[bin + 1];
    let lost = |arm| {
        let table = RiskTable::of_endpoint(tally, strata, arm, endpoint, edges);
        curve::estimate(&table, Quantity::MeanLost { cause: 0, horizon })
    };
    let (control, arm) = (lost(tally.shape().control), lost(arm));
    let difference = Estimate {
        value: arm.value - control.value,
        standard_error: curves.mean_difference_error(&edges[..=bin + 1]),
    };
    MeanContrast {
        control,
        arm,
        difference,
        difference_interval: curves.mean_difference_interval(difference, bin, horizon),
    }
}

/// Share of the local recurrences observed by the end of `bin` that circulating cells founded
/// rather than residual foci, pooled over `strata`, with the binomial standard error; `NaN`
/// without local recurrences.
pub fn reseeded_share(tally: &Tally, strata: &[usize], arm: usize, bin: usize) -> Estimate {
    let by_bin_end = |origin| {
        pool(tally, strata, |stratum| tally.origin(stratum, arm, origin))
            .iter()
            .take(bin + 1)
            .sum::<u64>()
    };
    let counts: Vec<u64> = (0..ORIGINS.len()).map(by_bin_end).collect();
    let recurrences = counts.iter().sum::<u64>() as f64;
    // The first origin is the residual focus.
    let share = counts[1..].iter().sum::<u64>() as f64 / recurrences;
    Estimate::new(share, share * (1.0 - share) / recurrences)
}

/// Edges for estimates by bin that need no times.
fn bin_numbers(tally: &Tally) -> Vec<f64> {
    (0..=tally.shape().bins).map(|edge| edge as f64).collect()
}

fn endpoint_by_bin(tally: &Tally, strata: &[usize], arm: usize, endpoint: Endpoint) -> RiskTable {
    RiskTable::of_endpoint(tally, strata, arm, endpoint, &bin_numbers(tally))
}

/// All that a contrast needs, for every bin.
struct Curves {
    patients: u64,
    /// By each bin's end.
    control_events: Vec<u64>,
    control: Vec<State>,
    arm: Vec<State>,
    control_only: Vec<u64>,
    arm_only: Vec<u64>,
}

impl Curves {
    fn new(tally: &Tally, strata: &[usize], arm: usize, endpoint: Endpoint) -> Self {
        let control = endpoint_by_bin(tally, strata, tally.shape().control, endpoint);
        let treated = endpoint_by_bin(tally, strata, arm, endpoint);
        let curve = |table: &RiskTable| states(table, |row| row.events[0]);
        let control_events = control.rows().scan(0, |sum, row| {
            *sum += row.events[0];
            Some(*sum)
        });
        let mut control_only = vec![0; tally.shape().bins];
        let mut arm_only = control_only.clone();
        for stratum in strata {
            let sides = tally.paired(*stratum, arm, endpoint).chunks_exact(2);
            for ((n10, n01), side) in control_only.iter_mut().zip(&mut arm_only).zip(sides) {
                *n10 += side[0];
                *n01 += side[1];
            }
        }
        Self {
            patients: control.patients(),
            control_events: control_events.collect(),
            control: curve(&control),
            arm: curve(&treated),
            control_only,
            arm_only,
        }
    }

    fn pairs(&self, bin: usize) -> Pairs {
        Pairs {
            patients: self.patients,
            control_events: self.control_events[bin],
            control_only: self.control_only[bin],
            arm_only: self.arm_only[bin],
        }
    }

    fn difference(&self, bin: usize) -> Estimate {
        let control = self.control[bin].incidence();
        let arm = self.arm[bin].incidence();
        Estimate {
            value: arm.value - control.value,
            standard_error: distance(
                control.standard_error,
                arm.standard_error,
                self.pairs(bin).decorrelation(),
            ),
        }
    }

    /// Bound on the standard error of the area between the two curves until the last edge.
    fn mean_difference_error(&self, edges: &[f64]) -> f64 {
        let bins = edges.len() - 1;
        // An event lies in the middle of its bin: what is known by a bin's end counts from there
        // to the middle of the next bin, or to the horizon.
        let middle = |bin: usize| f64::midpoint(edges[bin], edges[bin + 1]);
        let next = |bin: usize| {
            if bin + 1 < bins {
                middle(bin + 1)
            } else {
                edges[bins]
            }
        };
        let mut differing: Vec<(u64, f64)> = Vec::with_capacity(bins);
        let (mut mean, mut error, mut crude_error) = (0.0, 0.0, 0.0);
        for bin in 0..bins {
            let pairs = self.pairs(bin);
            let width = next(bin) - middle(bin);
            differing.push((pairs.discordant(), width));
            mean += width * pairs.crude_difference();
            crude_error += width * pairs.difference_error();
            error += width * self.difference(bin).standard_error;
        }
        // The sum over pairs of bins of the smaller count: the largest counts first, each with
        // the bins that have as many.
        differing.sort_by_key(|(count, _)| Reverse(*count));
        let (mut square, mut wider) = (0.0, 0.0);
        for (count, width) in differing {
            square += count as f64 * width * (width + 2.0 * wider);
            wider += width;
        }
        let n = self.patients as f64;
        root(square / n - mean * mean) / n.sqrt() * stretch(error, crude_error)
    }

    fn mean_difference_interval(&self, mean: Estimate, bin: usize, horizon: f64) -> (f64, f64) {
        let at_horizon = self.difference(bin);
        let (lower, upper) = difference_interval(at_horizon, &self.pairs(bin));
        let scale = match (at_horizon.standard_error > 0.0, mean.standard_error > 0.0) {
            (true, _) => mean.standard_error / at_horizon.standard_error,
            // Nobody differs at any time.
            (false, false) => horizon,
            // At the horizon nobody differs any more, or everybody does.
            (false, true) => return mean.plain_interval(CRITICAL_95),
        };
        let away = |limit: f64| mean.value + scale * (limit - at_horizon.value);
        (away(lower), away(upper))
    }

    fn contrast(&self, bin: usize) -> Contrast {
        let control = self.control[bin].incidence();
        let arm = self.arm[bin].incidence();
        let pairs = self.pairs(bin);
        let difference = self.difference(bin);
        let difference_interval = difference_interval(difference, &pairs);
        let unpaired = square(control.standard_error) + square(arm.standard_error);
        Contrast {
            control,
            arm,
            difference,
            difference_interval,
            ratio: arm.value / control.value,
            ratio_interval: ratio_interval(control, arm, &pairs),
            number_needed_to_treat: NumberNeededToTreat::new(difference.value, difference_interval),
            control_only: pairs.control_only,
            arm_only: pairs.arm_only,
            variance_reduction: unpaired / square(difference.standard_error),
        }
    }
}

/// Pairs by whether the event was observed by a bin's end. All counts together define the four
/// cells; the arm's events are the control's, less n10, plus n01.
struct Pairs {
    patients: u64,
    control_events: u64,
    control_only: u64,
    arm_only: u64,
}

impl Pairs {
    fn both(&self) -> u64 {
        self.control_events - self.control_only
    }

    fn arm_events(&self) -> u64 {
        self.both() + self.arm_only
    }

    fn discordant(&self) -> u64 {
        self.control_only + self.arm_only
    }

    /// One minus the correlation of the two indicators; one if either is constant.
    fn decorrelation(&self) -> f64 {
        if self.discordant() == 0 {
            return 0.0;
        }
        let n = self.patients as f64;
        let (control, arm) = (self.control_events as f64, self.arm_events() as f64);
        let spread = (control * (n - control)).sqrt() * (arm * (n - arm)).sqrt();
        if spread == 0.0 {
            return 1.0;
        }
        1.0 - (n * self.both() as f64 - control * arm) / spread
    }

    fn crude_difference(&self) -> f64 {
        (self.arm_only as f64 - self.control_only as f64) / self.patients as f64
    }

    /// Standard error of the crude difference.
    fn difference_error(&self) -> f64 {
        let n = self.patients as f64;
        root(self.discordant() as f64 / n - square(self.crude_difference())) / n.sqrt()
    }

    /// Standard error of the logarithm of the crude ratio.
    fn log_ratio_error(&self) -> f64 {
        let events = self.control_events as f64 * self.arm_events() as f64;
        (self.discordant() as f64 / events).sqrt()
    }

    /// 95 % score interval of the crude difference.
    fn difference_interval(&self) -> (f64, f64) {
        let crude = self.crude_difference();
        let rejects = |delta| self.rejects_difference(delta);
        (limit(crude, -1.0, rejects), limit(crude, 1.0, rejects))
    }

    /// Whether the score test rejects a true difference `delta` at 5 %. The nuisance parameter,
    /// the probability of an event in the control only, takes its most likely value given
    /// `delta`: the larger root of 2n·q² + b·q + c.
    fn rejects_difference(&self, delta: f64) -> bool {
        let n = self.patients as f64;
        let (n10, n01) = (self.control_only as f64, self.arm_only as f64);
        let b = (2.0 * n + n10 - n01) * delta - n10 - n01;
        let c = -n10 * delta * (1.0 - delta);
        let q = larger_root(2.0 * n, b, c);
        let variance = n * (2.0 * q + delta * (1.0 - delta));
        square(n01 - n10 - n * delta) > square(CRITICAL_95) * variance
    }

    /// 95 % score interval of the crude ratio; searched on the scale of ratio/(1 + ratio).
    fn ratio_interval(&self) -> (f64, f64) {
        let (control, arm) = (self.control_events as f64, self.arm_events() as f64);
        let ratio = |share: f64| share / (1.0 - share);
        let rejects = |share| self.rejects_ratio(ratio(share));
        let crude = arm / (control + arm);
        let (lower, upper) = (limit(crude, 0.0, rejects), limit(crude, 1.0, rejects));
        (ratio(lower), ratio(upper))
    }

    /// Whether the score test rejects a true ratio at 5 %. Among the patients with an event in
    /// either, the share with it in the control only takes its most likely value given the
    /// ratio: the larger root of a quadratic; the share in the arm only follows from both.
    fn rejects_ratio(&self, ratio: f64) -> bool {
        let (n11, n10, n01) = (
            self.both() as f64,
            self.control_only as f64,
            self.arm_only as f64,
        );
        let either = n11 + n10 + n01;
        let fewer = 1.0 - ratio;
        let a = (1.0 + ratio) * either;
        let b = -(n10 + n01) - (1.0 + ratio) * fewer * (n10 + n11);
        let control_only = larger_root(a, b, n10 * fewer);
        let arm_only = (control_only - fewer) / ratio;
        let variance = either * ratio * (control_only + arm_only);
        square(n11 + n01 - ratio * (n11 + n10)) > square(CRITICAL_95) * variance
    }
}

/// The last value from `inside` towards `end` that is not rejected.
fn limit(inside: f64, end: f64, rejects: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (inside, end);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(inside, outside);
        if rejects(middle) {
            outside = middle;
        } else {
            inside = middle;
        }
    }
    inside
}

/// The larger root of a·x² + b·x + c, for a > 0, without cancellation.
fn larger_root(a: f64, b: f64, c: f64) -> f64 {
    let spread = root(b * b - 4.0 * a * c);
    if b > 0.0 {
        -2.0 * c / (b + spread)
    } else {
        (spread - b) / (2.0 * a)
    }
}

fn square(x: f64) -> f64 {
    x * x
}

/// Square root of a variance, which rounding may have left a little below zero.
fn root(variance: f64) -> f64 {
    if variance < 0.0 { 0.0 } else { variance.sqrt() }
}

/// Length of the difference of two vectors of the given lengths whose correlation is one minus
/// `decorrelation`; written so that nothing cancels when they are close.
fn distance(a: f64, b: f64, decorrelation: f64) -> f64 {
    root(square(a - b) + 2.0 * decorrelation * a * b)
}

fn difference_interval(difference: Estimate, pairs: &Pairs) -> (f64, f64) {
    if pairs.patients == 0 {
        return (f64::NAN, f64::NAN);
    }
    let crude = pairs.crude_difference();
    let (lower, upper) = pairs.difference_interval();
    let scale = stretch(difference.standard_error, pairs.difference_error());
    (
        (difference.value - (crude - lower) * scale).max(-1.0),
        (difference.value + (upper - crude) * scale).min(1.0),
    )
}

fn ratio_interval(control: Estimate, arm: Estimate, pairs: &Pairs) -> (f64, f64) {
    if pairs.control_events == 0 && pairs.arm_events() == 0 {
        return (f64::NAN, f64::NAN);
    }
    let (lower, upper) = pairs.ratio_interval();
    if pairs.control_events == 0 || pairs.arm_events() == 0 {
        return (lower, upper);
    }
    let crude = pairs.arm_events() as f64 / pairs.control_events as f64;
    let log_error = distance(
        control.standard_error / control.value,
        arm.standard_error / arm.value,
        pairs.decorrelation(),
    );
    let scale = stretch(log_error, pairs.log_ratio_error());
    let scaled = |limit| arm.value / control.value * core_math::pow(limit / crude, scale);
    (scaled(lower), scaled(upper))
}

/// Standard error with regard to censoring over that without; one where either is nothing.
fn stretch(error: f64, crude_error: f64) -> f64 {
    if error > 0.0 && crude_error > 0.0 {
        error / crude_error
    } else {
        1.0
    }
}
