//! Survival and cumulative incidence of one group, over time and as areas.
//!
//! **Curves.** With q the share of those at risk at a time who have no event, survival is the
//! product of q (Kaplan and Meier, J Am Stat Assoc 1958;53:457), and the cumulative incidence of
//! a cause gains survival times the share p who have that event (Aalen and Johansen, Scand J
//! Statist 1978;5:141). Variances follow by the delta method from one multinomial per time:
//! Greenwood's for survival, for incidences that of Gaynor et al., J Am Stat Assoc 1993;88:400.
//! Both are the infinitesimal jackknife, which R's `survival::survfit` reports for them; R's
//! `cmprsk::cuminc` reports another variance, of Aalen's kind, which differs in the order of 1/n.
//!
//! **Areas.** Restricted mean survival time is the area below survival until a horizon,
//! restricted mean time lost to a cause the area below its incidence (Royston and Parmar, Stat
//! Med 2011;30:2409; Andersen, Stat Med 2013;32:5278).
//!
//! **Influence.** All of these are smooth functions of the shares p and q, so each patient's
//! influence on them is known, and with it the exact variance of a difference between two arms in
//! which the same patients live ([`paired_difference`]).
//!
//! Beyond the last time a curve stays as it was. Whatever cannot be estimated is `NaN`.

use crate::estimate::Estimate;
use crate::influence::Influence;
use crate::risk::{RiskTable, Row};
use crate::tally::ExitKind;

/// Slack for equality with a level: curves are products of many factors.
const LEVEL_TOLERANCE: f64 = 1e-9;

/// A step function with its standard error.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Value before the first time.
    pub start: Estimate,
    /// Times of the steps, in ascending order.
    pub times: Vec<f64>,
    /// Values from each time on.
    pub values: Vec<Estimate>,
}

impl Curve {
    /// The value at a time.
    pub fn at(&self, time: f64) -> Estimate {
        match self.times.partition_point(|step| *step <= time) {
            0 => self.start,
            steps => self.values[steps - 1],
        }
    }
}

/// Probability of no event of any cause (Kaplan–Meier), with Greenwood's standard error.
pub fn kaplan_meier(table: &RiskTable) -> Curve {
    let states = states(table, |row| row.all_events());
    curve(table, 1.0, states.iter().map(State::free))
}

/// Cumulative incidence of a cause in the presence of the others (Aalen–Johansen).
pub fn cumulative_incidence(table: &RiskTable, cause: usize) -> Curve {
    let states = states(table, |row| row.events[cause]);
    curve(table, 0.0, states.iter().map(State::incidence))
}

fn curve(table: &RiskTable, start: f64, values: impl Iterator<Item = Estimate>) -> Curve {
    let start = if table.patients() > 0 {
        Estimate::new(start, 0.0)
    } else {
        Estimate::UNKNOWN
    };
    Curve {
        start,
        times: table.times().to_vec(),
        values: values.collect(),
    }
}

/// A time with its interval; `NaN` for what the follow-up does not reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The estimate.
    pub time: f64,
    /// Its interval.
    pub interval: (f64, f64),
}

/// The first time at which survival has fallen to `level` (0.5 for the median), with the times at
/// which the limits of the log-log interval have: Brookmeyer and Crowley, Biometrics 1982;38:29.
/// Where a curve stays at the level, the middle of its stay. `critical` is the normal quantile of
/// the interval, [`crate::distribution::CRITICAL_95`] for 95 %.
pub fn survival_quantile(survival: &Curve, level: f64, critical: f64) -> Quantile {
    let crossing = |value: fn(&Estimate, f64) -> f64| {
        let values = survival
            .values
            .iter()
            .map(|estimate| value(estimate, critical));
        first_crossing(&survival.times, &values.collect::<Vec<_>>(), level)
    };
    Quantile {
        time: crossing(|estimate, _| estimate.value),
        interval: (
            crossing(|estimate, critical| estimate.log_log_interval(critical).0),
            crossing(|estimate, critical| estimate.log_log_interval(critical).1),
        ),
    }
}

fn first_crossing(times: &[f64], values: &[f64], level: f64) -> f64 {
    let below = |limit: f64| values.iter().position(|value| *value < limit);
    let Some(reached) = below(level + LEVEL_TOLERANCE) else {
        return f64::NAN;
    };
    match below(level - LEVEL_TOLERANCE) {
        Some(left) if left > reached => f64::midpoint(times[reached], times[left]),
        _ => times[reached],
    }
}

/// What is estimated from one group; times and areas in the unit of the risk table's times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// Probability of no event until a time.
    Survival {
        /// The time.
        time: f64,
    },
    /// Probability of an event of a cause until a time.
    Incidence {
        /// The cause.
        cause: usize,
        /// The time.
        time: f64,
    },
    /// Restricted mean survival time: the mean time without an event until a horizon.
    MeanSurvival {
        /// The horizon.
        horizon: f64,
    },
    /// Restricted mean time lost: the mean time after an event of a cause until a horizon.
    MeanLost {
        /// The cause.
        cause: usize,
        /// The horizon.
        horizon: f64,
    },
}

/// Estimates a quantity with its standard error. For the areas the latter is, by parts, the sum
/// over times of A²·d/(n·(n − d)) for survival, A being the area still to come, and its
/// multinomial counterpart for incidences: R's `print(survfit(..), rmean = horizon)`.
pub fn estimate(table: &RiskTable, quantity: Quantity) -> Estimate {
    if table.patients() == 0 {
        return Estimate::UNKNOWN;
    }
    let gradient = Gradient::of(table, quantity);
    Estimate::new(gradient.value, gradient.variance(table))
}

/// Difference of a quantity, second arm less first, between two arms in which the same patients
/// live, in the same order: pairs of `(time, cause)` as in [`RiskTable::from_patients`].
///
/// The variance is that of the patients' paired influences (the infinitesimal jackknife; Efron,
/// Biometrika 1981;68:589), exact in the sense that it is also right with drop-out: without, for
/// `Survival` and `Incidence`, it is that of paired proportions.
///
/// # Panics
/// As [`RiskTable::from_patients`].
pub fn paired_difference(
    causes: usize,
    pairs: &[[(f64, Option<usize>); 2]],
    quantity: Quantity,
) -> Estimate {
    if pairs.is_empty() {
        return Estimate::UNKNOWN;
    }
    let [first, second] = [0, 1].map(|arm| {
        let exits = pairs.iter().map(|pair| pair[arm]);
        let table = RiskTable::from_patients(causes, exits.clone());
        let gradient = Gradient::of(&table, quantity);
        let influence = gradient.influence(&table);
        let of_patient = |(time, cause): (f64, Option<usize>)| {
            let row = table.times().partition_point(|step| *step < time);
            let kind = match cause {
                None => ExitKind::Censored,
                Some(_) if cause == gradient.cause => ExitKind::Event,
                Some(_) => ExitKind::Competing,
            };
            influence.of(kind, row)
        };
        (gradient.value, exits.map(of_patient).collect::<Vec<_>>())
    });
    let differences = second.1.iter().zip(&first.1).map(|(b, a)| b - a);
    let variance = differences.map(|difference| difference * difference).sum();
    Estimate::new(second.0 - first.0, variance)
}

/// A quantity's value and its derivatives at every time: by the share who have the event that
/// counts, and by the logarithm of the share who have none. The other events' is nothing.
pub(crate) struct Gradient {
    pub(crate) value: f64,
    cause: Option<usize>,
    event: Vec<f64>,
    staying: Vec<f64>,
}

impl Gradient {
    fn of(table: &RiskTable, quantity: Quantity) -> Self {
        match quantity {
            Quantity::Survival { time } => Self::of_survival(table, time),
            Quantity::MeanSurvival { horizon } => Self::of_mean_survival(table, horizon),
            Quantity::Incidence { cause, time } => {
                Self::of_incidence(table, cause, &vec![1.0; reached(table, time)])
            }
            Quantity::MeanLost { cause, horizon } => {
                let times = &table.times()[..reached(table, horizon)];
                let weights: Vec<f64> = times.iter().map(|time| horizon - time).collect();
                Self::of_incidence(table, cause, &weights)
            }
        }
    }

    fn of_survival(table: &RiskTable, time: f64) -> Self {
        let rows = reached(table, time);
        let value = survival_after(table).take(rows).last().unwrap_or(1.0);
        Self {
            value,
            cause: None,
            event: vec![0.0; rows],
            staying: vec![value; rows],
        }
    }

    fn of_mean_survival(table: &RiskTable, horizon: f64) -> Self {
        let rows = reached(table, horizon);
        let mut areas: Vec<f64> = survival_after(table).take(rows).collect();
        let mut later = 0.0;
        let mut next = horizon;
        for (area, time) in areas.iter_mut().zip(&table.times()[..rows]).rev() {
            later += *area * (next - time);
            *area = later;
            next = *time;
        }
        Self {
            value: next + later,
            cause: None,
            event: vec![0.0; rows],
            staying: areas,
        }
    }

    /// An incidence, over as many rows as there are weights, of which every event counts by the
    /// weight of its row.
    pub(crate) fn of_incidence(table: &RiskTable, cause: usize, weights: &[f64]) -> Self {
        let before = std::iter::once(1.0).chain(survival_after(table));
        let event: Vec<f64> = before
            .zip(weights)
            .map(|(free, weight)| free * weight)
            .collect();
        let mut gains: Vec<f64> = table
            .rows()
            .zip(&event)
            .map(|(row, by_share)| by_share * share(row.events[cause], row.at_risk))
            .collect();
        let mut later = 0.0;
        for gain in gains.iter_mut().rev() {
            later += std::mem::replace(gain, later);
        }
        Self {
            value: later,
            cause: Some(cause),
            event,
            staying: gains,
        }
    }

    fn counted(&self, row: Row<'_>) -> u64 {
        self.cause.map_or(0, |cause| row.events[cause])
    }

    /// Values of the outcomes at a time, event and staying, and their mean.
    fn outcomes(&self, index: usize, row: Row<'_>) -> (f64, f64, f64) {
        let stay = 1.0 - share(row.all_events(), row.at_risk);
        let staying = if self.staying[index] == 0.0 {
            0.0
        } else {
            self.staying[index] / stay
        };
        let event = self.event[index];
        let mean = event * share(self.counted(row), row.at_risk) + self.staying[index];
        (event, staying, mean)
    }

    /// One multinomial per time.
    fn variance(&self, table: &RiskTable) -> f64 {
        let rows = table.rows().take(self.event.len()).enumerate();
        rows.filter(|(_, row)| row.at_risk > 0)
            .map(|(index, row)| {
                let (event, staying, mean) = self.outcomes(index, row);
                let n = row.at_risk as f64;
                let counted = self.counted(row) as f64;
                let others = row.all_events() as f64 - counted;
                let stay = n - counted - others;
                let deviations = counted * (event - mean) * (event - mean)
                    + stay * (staying - mean) * (staying - mean)
                    + others * mean * mean;
                deviations / (n * n)
            })
            .sum()
    }

    /// Each patient's influence: what the outcomes at all times until the exit differ from their
    /// means by, over those at risk.
    pub(crate) fn influence(&self, table: &RiskTable) -> Influence {
        let mut influence = Influence::default();
        let mut so_far = 0.0;
        for (index, row) in table.rows().take(self.event.len()).enumerate() {
            let (event, staying, mean) = self.outcomes(index, row);
            let part = |outcome: f64| {
                if row.at_risk > 0 {
                    (outcome - mean) / row.at_risk as f64
                } else {
                    0.0
                }
            };
            let (event, competing) = (so_far + part(event), so_far + part(0.0));
            so_far += part(staying);
            influence.push(event, competing, so_far);
        }
        influence
    }
}

/// Survival after every time; where nobody is at risk it stays.
pub(crate) fn survival_after(table: &RiskTable) -> impl Iterator<Item = f64> {
    table.rows().scan(1.0, |free, row| {
        *free *= 1.0 - share(row.all_events(), row.at_risk);
        Some(*free)
    })
}

/// Number of rows until a time.
fn reached(table: &RiskTable, until: f64) -> usize {
    table.times().partition_point(|time| *time <= until)
}

/// A share; nothing of nobody.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Event-free probability and cumulative incidence after a time, with their covariance matrix.
#[derive(Clone, Copy)]
pub(crate) struct State {
    free: f64,
    incidence: f64,
    free_variance: f64,
    covariance: f64,
    incidence_variance: f64,
}

impl State {
    const UNKNOWN: Self = Self {
        free: f64::NAN,
        incidence: f64::NAN,
        free_variance: f64::NAN,
        covariance: f64::NAN,
        incidence_variance: f64::NAN,
    };

    /// The state while nobody has been censored: of `patients`, how many have had the event and
    /// how many none at all. Shares, not products of shares, so that arms with equal counts have
    /// equal incidences to the last bit.
    fn uncensored(patients: u64, events: u64, free: u64) -> Self {
        let n = patients as f64;
        let (incidence, free) = (events as f64 / n, free as f64 / n);
        Self {
            free,
            incidence,
            free_variance: free * (1.0 - free) / n,
            covariance: -free * incidence / n,
            incidence_variance: incidence * (1.0 - incidence) / n,
        }
    }

    pub(crate) fn free(&self) -> Estimate {
        Estimate::new(self.free, self.free_variance)
    }

    pub(crate) fn incidence(&self) -> Estimate {
        Estimate::new(self.incidence, self.incidence_variance)
    }

    /// One time further. With p the share of those at risk who have the event and q the share who
    /// have none at all, the state becomes (S·q, F + S·p), and (q, p) adds the covariance of a
    /// multinomial to what has gathered so far.
    fn advance(&self, at_risk: u64, events: u64, all_events: u64) -> Self {
        let at_risk = at_risk as f64;
        let p = events as f64 / at_risk;
        let leaving = all_events as f64 / at_risk;
        let q = 1.0 - leaving;
        let fresh = self.free * self.free / at_risk;
        Self {
            free: self.free * q,
            incidence: self.incidence + self.free * p,
            free_variance: q * q * self.free_variance + fresh * leaving * q,
            covariance: q * (self.covariance + p * self.free_variance) - fresh * p * q,
            incidence_variance: self.incidence_variance
                + p * (2.0 * self.covariance + p * self.free_variance)
                + fresh * p * (1.0 - p),
        }
    }
}

/// The state after each row; `events` picks those whose incidence is wanted. Once nobody is at
/// risk it stays as it was.
pub(crate) fn states(table: &RiskTable, events: impl Fn(Row<'_>) -> u64) -> Vec<State> {
    let mut events_so_far = 0;
    let mut nobody_censored = true;
    let mut state = State::UNKNOWN;
    table
        .rows()
        .map(|row| {
            let events = events(row);
            events_so_far += events;
            if row.at_risk > 0 {
                let leaving = row.all_events();
                state = if nobody_censored {
                    State::uncensored(table.patients(), events_so_far, row.at_risk - leaving)
                } else {
                    state.advance(row.at_risk, events, leaving)
                };
            }
            nobody_censored &= row.censored == 0;
            state
        })
        .collect()
}
