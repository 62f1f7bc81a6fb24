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

use crate::apart::{Apart, TimeApart};
use crate::curve::{self, Quantity, State, states};
use crate::distribution::{CRITICAL_95, normal_tail};
use crate::pairs::{Pairs, distance, root, square};
use crate::risk::{RiskTable, pool};
use crate::tally::{Cause, Endpoint, ORIGINS, Tally};

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
    /// Two-sided probability of such a difference or a larger one if there were none, by the score
    /// test of paired proportions (McNemar's, for which nobody is censored before).
    pub p_value: f64,
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
    /// Arm minus control, with its paired standard error.
    pub difference: Estimate,
    /// Its 95 % interval: that of a difference of paired proportions of as many effective pairs.
    pub difference_interval: (f64, f64),
}

/// How much later the event happens in the arm, where it does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delay {
    /// Patients with the event in the control by the time looked at who have it in the arm in a
    /// later bin, or not by then.
    pub patients: u64,
    /// Their mean time from the one event to the other, or to the time looked at.
    pub mean: Estimate,
    /// Its 95 % interval.
    pub interval: (f64, f64),
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
    PairedCurves::new(tally, strata, arm, endpoint).contrast(bin)
}

/// Compares an arm with the control by the end of every bin, pooled over `strata`.
pub fn contrasts(tally: &Tally, strata: &[usize], arm: usize, endpoint: Endpoint) -> Vec<Contrast> {
    let curves = PairedCurves::new(tally, strata, arm, endpoint);
    (0..tally.shape().bins)
        .map(|bin| curves.contrast(bin))
        .collect()
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

/// An arm and the control on the same patients, by the end of every bin.
pub struct PairedCurves {
    patients: u64,
    tables: [RiskTable; 2],
    /// By each bin's end.
    control_events: Vec<u64>,
    control: Vec<State>,
    arm: Vec<State>,
    /// Patients with the earlier event in the control and in the arm.
    apart: [Apart; 2],
    /// Sums over bins of the standard errors of the differences, with regard to censoring and
    /// without.
    errors: Vec<[f64; 2]>,
    nobody_censored: Vec<bool>,
}

impl PairedCurves {
    /// The two arms, pooled over `strata`.
    pub fn new(tally: &Tally, strata: &[usize], arm: usize, endpoint: Endpoint) -> Self {
        let tables =
            [tally.shape().control, arm].map(|arm| endpoint_by_bin(tally, strata, arm, endpoint));
        let curve = |table: &RiskTable| states(table, |row| row.events[0]);
        let control_events = tables[0].rows().scan(0, |sum, row| {
            *sum += row.events[0];
            Some(*sum)
        });
        let censored = tables[0].rows().zip(tables[1].rows());
        let censored = censored.scan(true, |nobody, (control, arm)| {
            let so_far = *nobody;
            *nobody &= control.censored + arm.censored == 0;
            Some(so_far)
        });
        let mut curves = Self {
            patients: tables[0].patients(),
            control_events: control_events.collect(),
            control: curve(&tables[0]),
            arm: curve(&tables[1]),
            apart: [0, 1].map(|side| Apart::new(tally, strata, arm, endpoint, side)),
            errors: Vec::new(),
            nobody_censored: censored.collect(),
            tables,
        };
        let errors = (0..tally.shape().bins).scan([0.0; 2], |sums, bin| {
            sums[0] += curves.difference(bin).standard_error;
            sums[1] += curves.pairs(bin).difference_error();
            Some(*sums)
        });
        curves.errors = errors.collect();
        curves
    }

    /// The control and the arm by the end of `bin`.
    pub fn contrast(&self, bin: usize) -> Contrast {
        let control = self.control[bin].incidence();
        let arm = self.arm[bin].incidence();
        let pairs = self.pairs(bin);
        let difference = self.difference(bin);
        let difference_interval = self.difference_interval(bin, CRITICAL_95);
        let unpaired = square(control.standard_error) + square(arm.standard_error);
        let score = pairs.score() / stretch(difference.standard_error, pairs.difference_error());
        Contrast {
            control,
            arm,
            difference,
            difference_interval,
            ratio: arm.value / control.value,
            ratio_interval: ratio_interval(control, arm, &pairs),
            p_value: if self.patients > 0 {
                2.0 * normal_tail(score.abs())
            } else {
                f64::NAN
            },
            number_needed_to_treat: NumberNeededToTreat::new(difference.value, difference_interval),
            control_only: self.count(0, bin),
            arm_only: self.count(1, bin),
            variance_reduction: unpaired / square(difference.standard_error),
        }
    }

    /// Cumulative incidence in the arm by the end of `bin`.
    pub fn arm_incidence(&self, bin: usize) -> Estimate {
        self.arm[bin].incidence()
    }

    /// Probability by the end of `bin` of neither the endpoint's event nor a competing one in the
    /// arm (Kaplan–Meier).
    pub fn arm_survival(&self, bin: usize) -> Estimate {
        self.arm[bin].free()
    }

    /// Score interval of the difference of cumulative incidences by the end of `bin`; for many
    /// arms at once, with a `critical` of [`crate::multiplicity`].
    pub fn difference_interval(&self, bin: usize, critical: f64) -> (f64, f64) {
        let pairs = self.pairs(bin);
        if self.patients == 0 {
            return (f64::NAN, f64::NAN);
        }
        let difference = self.difference(bin);
        let scale = stretch(difference.standard_error, pairs.difference_error());
        let (lower, upper) = around(difference.value, &pairs, scale, critical);
        (lower.max(-1.0), upper.min(1.0))
    }

    /// Compares the time lost to the event until the end of `bin`. `edges` are those of the
    /// tally's bins, equally wide but the last; times are in their unit.
    ///
    /// The variance is that of the patients' own differences. An event is taken for one in the
    /// middle of its bin; since the two events of a patient are seldom in the same bin unless they
    /// are the same, what this costs is of the order of the bin's width squared (1 % of the error
    /// where delays are ten bins long). With drop-out the error is stretched as that of
    /// incidences.
    pub fn mean(&self, edges: &[f64], bin: usize) -> MeanContrast {
        let horizon = edges[bin + 1];
        let [control, arm] = self.tables.each_ref().map(|table| {
            let table = table.placed(edges);
            curve::estimate(&table, Quantity::MeanLost { cause: 0, horizon })
        });
        let [prevented, caused] = self.apart(edges, bin);
        let (sum, squares) = (
            prevented.sum + caused.sum,
            prevented.squares + caused.squares,
        );
        let n = self.patients as f64;
        let crude = (caused.sum - prevented.sum) / n;
        let scale = stretch(self.errors[bin][0], self.errors[bin][1]);
        let difference = Estimate {
            value: arm.value - control.value,
            standard_error: root(squares / n - crude * crude) / n.sqrt() * scale,
        };
        // As many pairs as have these two sums if all differ for equally long.
        let size = if sum > 0.0 { squares / sum } else { horizon };
        let pairs = Pairs {
            patients: n,
            control_events: self.control_events[bin] as f64,
            control_only: prevented.sum / size,
            arm_only: caused.sum / size,
        };
        let (lower, upper) = around(difference.value / size, &pairs, scale, CRITICAL_95);
        let known = self.patients > 0 && !size.is_nan();
        MeanContrast {
            control,
            arm,
            difference,
            difference_interval: if known {
                (lower * size, upper * size)
            } else {
                (f64::NAN, f64::NAN)
            },
        }
    }

    /// How much later the event happens in the arm, until the end of `bin`; `None` if somebody was
    /// lost before, of whom it is not known. `edges` as in [`Self::mean`].
    pub fn delay(&self, edges: &[f64], bin: usize) -> Option<Delay> {
        let TimeApart {
            patients,
            sum,
            squares,
        } = self.apart[0].time(edges, bin);
        let mean = sum / patients;
        let mean = Estimate::new(mean, (squares / patients - mean * mean) / patients);
        self.nobody_censored[bin].then_some(Delay {
            patients: whole(patients),
            mean,
            interval: mean.plain_interval(CRITICAL_95),
        })
    }

    fn apart(&self, edges: &[f64], bin: usize) -> [TimeApart; 2] {
        self.apart.each_ref().map(|side| side.time(edges, bin))
    }

    fn count(&self, side: usize, bin: usize) -> u64 {
        whole(self.apart[side].differing(bin))
    }

    fn pairs(&self, bin: usize) -> Pairs {
        let [control_only, arm_only] = self.apart.each_ref().map(|side| side.differing(bin));
        Pairs {
            patients: self.patients as f64,
            control_events: self.control_events[bin] as f64,
            control_only,
            arm_only,
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
}

/// The count behind a sum of counts.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is a count of patients"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

/// The score interval of a difference, as far from its estimate as from the crude one, stretched.
fn around(difference: f64, pairs: &Pairs, scale: f64, critical: f64) -> (f64, f64) {
    let crude = pairs.crude_difference();
    let (lower, upper) = pairs.difference_interval(critical);
    (
        difference - (crude - lower) * scale,
        difference + (upper - crude) * scale,
    )
}

fn ratio_interval(control: Estimate, arm: Estimate, pairs: &Pairs) -> (f64, f64) {
    let (in_control, in_arm) = (pairs.control_events, pairs.arm_events());
    if in_control == 0.0 && in_arm == 0.0 {
        return (f64::NAN, f64::NAN);
    }
    let (lower, upper) = pairs.ratio_interval(CRITICAL_95);
    if in_control == 0.0 || in_arm == 0.0 {
        return (lower, upper);
    }
    let log_error = distance(
        control.standard_error / control.value,
        arm.standard_error / arm.value,
        pairs.decorrelation(),
    );
    let scale = stretch(log_error, pairs.log_ratio_error());
    let crude = in_arm / in_control;
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
