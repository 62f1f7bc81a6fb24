//! Which arm is the best, over points at which everything uncertain takes other values.

use crate::distribution::CRITICAL_95;
use crate::estimate::Estimate;
use crate::sample::{clustered_mean, quantile, ranks};

/// Differences of an outcome from the control at every point, the lower the better.
#[derive(Debug, Clone, Copy)]
pub struct Differences<'a> {
    /// Differences, arms of a point together.
    pub values: &'a [f64],
    /// Their standard errors.
    pub standard_errors: &'a [f64],
    /// Arms of a point.
    pub arms: usize,
    /// Points in a row that belong together, such as a trajectory; one if all are independent.
    pub cluster: usize,
}

/// Arms ranked against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// The arms, in the order given.
    pub arms: Vec<RankedArm>,
    /// Points that were used.
    pub points: usize,
    /// Share of the points at which no arm is clearly the best: another is within noise.
    pub undecided: f64,
}

/// How one arm ranks among others over the points. Standard errors are those of an average over
/// the points drawn; the patients' noise is part of the points' scatter.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedArm {
    /// Position of the arm.
    pub arm: usize,
    /// Probability of being the best; arms that are equal share it.
    pub best: Estimate,
    /// The same, if at every point that noise leaves undecided another arm were the best, and if
    /// this arm were wherever it may be.
    pub best_bounds: (f64, f64),
    /// Mean rank, from 1; equal arms share the mean of theirs.
    pub rank: Estimate,
    /// Probability of each rank, from the first; equal arms share their ranks' probabilities.
    pub rank_shares: Vec<f64>,
    /// Mean shortfall behind the best arm of each point. Noise makes it too large, as the best of
    /// several noisy values looks better than it is.
    pub loss: Estimate,
    /// Mean difference from the control.
    pub difference: Estimate,
    /// From its 5th to its 95th percentile over the points.
    pub difference_range: (f64, f64),
}

impl Differences<'_> {
    fn value(&self, point: usize, arm: usize) -> f64 {
        self.values[point * self.arms + arm]
    }

    /// Whether one arm is better than another by more than noise: by 1.96 standard errors of a
    /// difference of independent values. Arms treat the same patients, so that their values go up
    /// and down together and the error is less; this errs on the side of doubt.
    fn is_clearly_better(&self, point: usize, arm: usize, other: usize) -> bool {
        let error = |arm: usize| self.standard_errors[point * self.arms + arm];
        let noise = (error(arm) * error(arm) + error(other) * error(other)).sqrt();
        self.value(point, other) - self.value(point, arm) > CRITICAL_95 * noise
    }
}

/// Ranks some arms on some points (both by position, points increasing). Points that lack an
/// estimate of one of the arms are left out.
pub fn rank(differences: Differences<'_>, arms: &[usize], points: &[usize]) -> Ranking {
    let is_known = |point: &usize| {
        arms.iter()
            .all(|arm| differences.value(*point, *arm).is_finite())
    };
    let points: Vec<usize> = points.iter().copied().filter(is_known).collect();
    let standings: Vec<Standing> = points
        .iter()
        .map(|point| Standing::of(differences, arms, *point))
        .collect();
    let share = |count: usize| count as f64 / points.len() as f64;
    let decided = standings.iter().filter(|s| s.clearly_best.contains(&true));
    Ranking {
        undecided: 1.0 - share(decided.count()),
        points: points.len(),
        arms: (0..arms.len())
            .map(|at| {
                let mean = |of: &dyn Fn(&Standing) -> f64| {
                    let clusters = points.iter().map(|point| point / differences.cluster);
                    clustered_mean(&clusters.zip(standings.iter().map(of)).collect::<Vec<_>>())
                };
                let count = |of: &dyn Fn(&Standing) -> bool| {
                    share(standings.iter().filter(|standing| of(standing)).count())
                };
                let mut values: Vec<f64> = standings.iter().map(|s| s.values[at]).collect();
                values.sort_by(f64::total_cmp);
                let range = (!values.is_empty())
                    .then(|| (quantile(&values, 0.05), quantile(&values, 0.95)));
                RankedArm {
                    arm: arms[at],
                    best: mean(&|s| s.share_of_rank(at, 1)),
                    best_bounds: (
                        count(&|s| s.clearly_best[at]),
                        count(&|s| !s.clearly_beaten[at]),
                    ),
                    rank: mean(&|s| s.ranks[at]),
                    rank_shares: (1..=arms.len())
                        .map(|rank| mean(&|s| s.share_of_rank(at, rank)).value)
                        .collect(),
                    loss: mean(&|s| s.values[at] - s.lowest()),
                    difference: mean(&|s| s.values[at]),
                    difference_range: range.unwrap_or((f64::NAN, f64::NAN)),
                }
            })
            .collect(),
    }
}

/// How arms stand at one point.
struct Standing {
    values: Vec<f64>,
    ranks: Vec<f64>,
    clearly_best: Vec<bool>,
    clearly_beaten: Vec<bool>,
}

impl Standing {
    fn of(differences: Differences<'_>, arms: &[usize], point: usize) -> Self {
        let values: Vec<f64> = arms
            .iter()
            .map(|arm| differences.value(point, *arm))
            .collect();
        let better = |arm: usize, other: usize| differences.is_clearly_better(point, arm, other);
        let beats_others = |arm: &usize| {
            arms.iter()
                .all(|other| other == arm || better(*arm, *other))
        };
        let is_beaten = |arm: &usize| arms.iter().any(|other| better(*other, *arm));
        Self {
            ranks: ranks(&values),
            clearly_best: arms.iter().map(beats_others).collect(),
            clearly_beaten: arms.iter().map(is_beaten).collect(),
            values,
        }
    }

    fn lowest(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// An arm's share in a rank: one, or less where equal arms occupy several ranks together.
    fn share_of_rank(&self, at: usize, rank: usize) -> f64 {
        let value = self.values[at];
        let before = self.values.iter().filter(|other| **other < value).count();
        let through = self.values.iter().filter(|other| **other <= value).count();
        if (before + 1..=through).contains(&rank) {
            1.0 / (through - before) as f64
        } else {
            0.0
        }
    }
}
