//! Rank tests and hazard ratios between two arms in which the same patients live.
//!
//! The estimates are those of [`crate::rank`] and [`crate::ratio`], whose variances take the arms
//! for different patients. Here a patient is one case with two lives: what both contribute to an
//! estimate (their influences, or residuals) adds up before it is squared, as in the marginal
//! models of Lee, Wei and Amato (Survival Analysis: State of the Art, 1992, p. 237) and Lin
//! (Stat Med 1994;13:2233). Patients who fare the same in both arms then contribute next to
//! nothing.
//!
//! That needs the numbers of patients by both exits at once. From patients they are exact. A tally
//! has them by kind and part of follow-up ([`Tally::joint`]), and within a part the two exits are
//! taken for independent. Against patients this costs less than half a per cent of the standard error
//! where events are prevented, and up to five where all are delayed (`tests/coupled.rs`).
//!
//! Cause 0 is the event, cause 1 what competes with it. The second arm is compared with the first.

use std::ops::Range;

use crate::curve::{Gradient, survival_after};
use crate::distribution::normal_tail;
use crate::estimate::Estimate;
use crate::influence::Influence;
use crate::rank::Weights;
use crate::ratio::{
    HazardRatio, Ties, cox_residuals, cox_with_information, fine_gray_with_influence,
};
use crate::risk::{RiskTable, Row, walk};
use crate::tally::{Endpoint, ExitKind, Tally};

/// A variance below this is what rounding leaves of none.
const ROUNDING: f64 = 1e-18;

/// A test that two arms do not differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoupledTest {
    /// Weighted events of the second arm less those expected if the arms were equal, with the
    /// paired standard error.
    pub score: Estimate,
    /// Two-sided probability of such a score or a larger one if they are; `NaN` without events.
    pub p_value: f64,
}

impl CoupledTest {
    const UNKNOWN: Self = Self {
        score: Estimate::UNKNOWN,
        p_value: f64::NAN,
    };
}

/// Two arms and who leaves them how.
pub struct Coupled<'a> {
    tables: [RiskTable; 2],
    pairing: Pairing<'a>,
}

enum Pairing<'a> {
    /// A patient's two exits: kind and row of the tables.
    Patients(Vec<[(ExitKind, usize); 2]>),
    Joint(&'a JointExits),
}

/// The joint exits of an endpoint of a tally.
pub struct JointExits {
    tables: [RiskTable; 2],
    parts: Vec<Range<usize>>,
    /// Patients whose exits differ, by cell in the control and in the arm; known of all strata
    /// together.
    joint: Option<Vec<u64>>,
}

impl JointExits {
    /// Of an arm and the control, pooled over `strata`; `edges` are those of the tally's bins. A
    /// tally has the joint exits of all strata together: of fewer, ratios have no standard error,
    /// and tests are unknown.
    pub fn new(
        tally: &Tally,
        strata: &[usize],
        arm: usize,
        endpoint: Endpoint,
        edges: &[f64],
    ) -> Self {
        let table = |arm| RiskTable::of_endpoint(tally, strata, arm, endpoint, edges);
        let all = strata.len() == tally.shape().strata;
        Self {
            tables: [tally.shape().control, arm].map(table),
            parts: tally.shape().parts(),
            joint: all.then(|| tally.joint(arm, endpoint).to_vec()),
        }
    }

    /// The two arms, followed until the end of `bin`.
    pub fn until(&self, bin: usize) -> Coupled<'_> {
        Coupled {
            tables: self
                .tables
                .each_ref()
                .map(|table| table.first_rows(bin + 1)),
            pairing: Pairing::Joint(self),
        }
    }

    /// Sum over patients of the square of what both lives contribute. Those whose exits differ in
    /// kind or part contribute the square of the cells' means and the variances within the cells;
    /// the others leave both arms in the same bin, or nearly.
    fn squares(&self, influences: &[Influence; 2]) -> f64 {
        let Some(joint) = &self.joint else {
            return f64::NAN;
        };
        let cells = ExitKind::ALL.len() * self.parts.len();
        let moments = [0, 1].map(|arm| self.moments(arm, &influences[arm]));
        let mut sum = 0.0;
        for (from, control) in moments[0].iter().enumerate() {
            let row = &joint[from * cells..(from + 1) * cells];
            let mut same = control.patients;
            for (count, arm) in row.iter().zip(&moments[1]).filter(|(count, _)| **count > 0) {
                let both = control.mean + arm.mean;
                sum += *count as f64 * (both * both + control.variance + arm.variance);
                same -= *count as f64;
            }
            if same > 0.0 {
                sum += same * self.square_of_same(from, influences);
            }
        }
        sum
    }

    /// Mean of the square of what both lives contribute over the exits of a cell of the control.
    fn square_of_same(&self, cell: usize, influences: &[Influence; 2]) -> f64 {
        let (mut patients, mut squares) = (0.0, 0.0);
        for (kind, row, count) in self.exits(0, cell) {
            let both = influences[0].of(kind, row) + influences[1].of(kind, row);
            patients += count;
            squares += count * both * both;
        }
        squares / patients
    }

    fn moments(&self, arm: usize, influence: &Influence) -> Vec<Moments> {
        let cells = 0..ExitKind::ALL.len() * self.parts.len();
        let of_cell = |cell| {
            let values = self
                .exits(arm, cell)
                .map(|(kind, row, count)| (influence.of(kind, row), count));
            Moments::of(values)
        };
        cells.map(of_cell).collect()
    }

    /// Kind, bin and number of the exits of a cell.
    fn exits(
        &self,
        arm: usize,
        cell: usize,
    ) -> impl Iterator<Item = (ExitKind, usize, f64)> + Clone {
        let kind = ExitKind::ALL[cell / self.parts.len()];
        let part = self.parts[cell % self.parts.len()].clone();
        let table = &self.tables[arm];
        part.map(move |row| (kind, row, table.exits(kind, row) as f64))
    }
}

/// Moments of what the patients of a cell contribute.
struct Moments {
    patients: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of(values: impl Iterator<Item = (f64, f64)> + Clone) -> Self {
        let (mut patients, mut sum) = (0.0, 0.0);
        for (value, count) in values.clone() {
            patients += count;
            sum += count * value;
        }
        let mean = if patients > 0.0 { sum / patients } else { 0.0 };
        let squares: f64 = values
            .map(|(value, count)| count * (value - mean) * (value - mean))
            .sum();
        Self {
            patients,
            mean,
            variance: if patients > 0.0 {
                squares / patients
            } else {
                0.0
            },
        }
    }
}

impl Coupled<'_> {
    /// Two arms in which the same patients live: pairs of `(time, cause)` as in
    /// [`RiskTable::from_patients`], with causes 0 and 1.
    ///
    /// # Panics
    /// As [`RiskTable::from_patients`].
    pub fn of_patients(pairs: &[[(f64, Option<usize>); 2]]) -> Self {
        let mut times: Vec<f64> = pairs.iter().flatten().map(|(time, _)| *time).collect();
        times.sort_unstable_by(f64::total_cmp);
        times.dedup();
        let tables = [0, 1].map(|arm| {
            let exits = pairs.iter().map(|pair| pair[arm]);
            RiskTable::at_times(&times, 2, exits)
        });
        let exit = |(time, cause): (f64, Option<usize>)| {
            let kind = match cause {
                Some(0) => ExitKind::Event,
                Some(_) => ExitKind::Competing,
                None => ExitKind::Censored,
            };
            (kind, times.partition_point(|step| *step < time))
        };
        Self {
            tables,
            pairing: Pairing::Patients(pairs.iter().map(|pair| pair.map(exit)).collect()),
        }
    }

    /// The log-rank test of the event's cause, weighted ([`crate::rank::log_rank`]); with the
    /// robust variance of its score.
    pub fn log_rank(&self, weights: Weights) -> CoupledTest {
        if !self.knows_pairs() {
            return CoupledTest::UNKNOWN;
        }
        let mut residuals = [Influence::default(), Influence::default()];
        let (mut survival, mut score, mut drift) = (1.0, 0.0, [0.0; 2]);
        walk(&self.tables, |rows| {
            let at_risk = (rows[0].at_risk + rows[1].at_risk) as f64;
            let events = (rows[0].events[0] + rows[1].events[0]) as f64;
            let (share, hazard) = if events > 0.0 {
                (rows[1].at_risk as f64 / at_risk, events / at_risk)
            } else {
                (0.0, 0.0)
            };
            let weight = weights.at(survival);
            score += weight * (rows[1].events[0] as f64 - events * share);
            for (group, residuals) in residuals.iter_mut().enumerate() {
                let distance = weight * (group as f64 - share);
                drift[group] -= distance * hazard;
                residuals.push(distance + drift[group], drift[group], drift[group]);
            }
            survival *= 1.0 - hazard;
        });
        self.test(score, &residuals)
    }

    /// Gray's test of the event's cumulative incidence ([`crate::rank::gray`], unweighted). The
    /// score compares two integrals of dF/(1 − F) over the risk sets of the subdistribution, which
    /// are smooth in each arm's shares of events; so each patient's influence is known.
    pub fn gray(&self) -> CoupledTest {
        if !self.knows_pairs() {
            return CoupledTest::UNKNOWN;
        }
        let [first, second] = self.tables.each_ref().map(subdistribution);
        let (mut score, mut common) = (0.0, Vec::with_capacity(first.len()));
        for (one, two) in first.iter().zip(&second) {
            let both = one.at_risk + two.at_risk;
            let weight = if both > 0.0 {
                one.at_risk * two.at_risk / both
            } else {
                0.0
            };
            common.push(weight);
            score += weight * (two.hazard() - one.hazard());
        }
        let mut influences = [&first, &second].map(|moments| gray_weights(moments, &common));
        let mut residuals = [Influence::default(), Influence::default()];
        for (arm, weights) in influences.iter_mut().enumerate() {
            let table = &self.tables[arm];
            residuals[arm] = Gradient::of_incidence(table, 0, weights).influence(table);
        }
        residuals[0].scale(-1.0);
        self.test(score, &residuals)
    }

    /// Cox's ratio of the event's hazards ([`crate::ratio::cox`] of its cause, Efron's ties) with
    /// the robust standard error.
    pub fn cox(&self) -> HazardRatio {
        let groups = self.tables.each_ref().map(|table| table.cause_specific(0));
        let (ratio, information) = cox_with_information(std::slice::from_ref(&groups), Ties::Efron);
        self.paired(ratio, |log_ratio| {
            let mut residuals = cox_residuals(&groups, log_ratio);
            for group in &mut residuals {
                group.scale(1.0 / information);
            }
            residuals
        })
    }

    /// Fine and Gray's ratio of the event's subdistribution hazards ([`crate::ratio::fine_gray`])
    /// with the robust standard error.
    pub fn fine_gray(&self) -> HazardRatio {
        let (ratio, influences) = fine_gray_with_influence(&self.tables, 0);
        self.paired(ratio, |_| influences)
    }

    /// The ratio with the paired standard error, which is unknown if nobody fares differently.
    fn paired(
        &self,
        ratio: HazardRatio,
        influences: impl FnOnce(f64) -> [Influence; 2],
    ) -> HazardRatio {
        let log_ratio = ratio.log_ratio.value;
        let mut variance = f64::NAN;
        if log_ratio.is_finite() && self.knows_pairs() {
            variance = self.squares(&influences(log_ratio));
        }
        if variance <= ROUNDING {
            variance = f64::NAN;
        }
        HazardRatio::new(Estimate::new(log_ratio, variance), ratio.score_statistic)
    }

    fn test(&self, score: f64, residuals: &[Influence; 2]) -> CoupledTest {
        let score = Estimate::new(score, self.squares(residuals));
        let events = |table: &RiskTable| table.rows().any(|row| row.events[0] > 0);
        CoupledTest {
            score,
            p_value: if !self.tables.iter().any(events) {
                f64::NAN
            } else if score.value == 0.0 {
                1.0
            } else {
                2.0 * normal_tail(score.value.abs() / score.standard_error)
            },
        }
    }

    fn knows_pairs(&self) -> bool {
        match &self.pairing {
            Pairing::Patients(_) => true,
            Pairing::Joint(exits) => exits.joint.is_some(),
        }
    }

    fn squares(&self, influences: &[Influence; 2]) -> f64 {
        match &self.pairing {
            Pairing::Joint(exits) => exits.squares(influences),
            Pairing::Patients(pairs) => pairs
                .iter()
                .map(|[first, second]| {
                    let both =
                        influences[0].of(first.0, first.1) + influences[1].of(second.0, second.1);
                    both * both
                })
                .sum(),
        }
    }
}

/// A row as the subdistribution sees it.
struct Subdistribution {
    /// Its risk set: those at risk, made up for those whom competing events took.
    at_risk: f64,
    /// Probability of no event before, and its fall.
    free: f64,
    fall: f64,
}

impl Subdistribution {
    fn hazard(&self) -> f64 {
        if self.fall > 0.0 {
            self.fall / self.free
        } else {
            0.0
        }
    }
}

fn subdistribution(table: &RiskTable) -> Vec<Subdistribution> {
    let before = std::iter::once(1.0).chain(survival_after(table));
    let rows = table.rows().zip(before);
    let row = |free: &mut f64, (row, survival): (Row<'_>, f64)| {
        let n = row.at_risk as f64;
        let exists = row.at_risk > 0;
        let here = Subdistribution {
            at_risk: if exists { n * *free / survival } else { 0.0 },
            free: *free,
            fall: if exists {
                survival * row.events[0] as f64 / n
            } else {
                0.0
            },
        };
        *free -= here.fall;
        Some(here)
    };
    rows.scan(1.0, row).collect()
}

/// The derivative of Σ w·ΔF/(1 − F) by each ΔF.
fn gray_weights(moments: &[Subdistribution], common: &[f64]) -> Vec<f64> {
    let mut later = 0.0;
    let mut weights: Vec<f64> = moments
        .iter()
        .zip(common)
        .rev()
        .map(|(here, weight)| {
            if *weight == 0.0 {
                return later;
            }
            let now = weight / here.free;
            let by_fall = now + later;
            later += now * here.hazard();
            by_fall
        })
        .collect();
    weights.reverse();
    weights
}
