//! Which arm is the best over what is not known, as numbers. [`Ranked`] serialises to the public
//! JSON of `reseed rank --json`: field names are stable, probabilities and differences are
//! fractions, and what cannot be estimated is `null`.

mod figures;
mod points;
mod text;

use reseed_stats::ranking::{self, RankedArm};
use reseed_stats::sensitivity::{
    Factor, Outcome, Ranged, SobolIndices, Step, morris_effects, rank_correlations, sobol_indices,
    tornado,
};
use reseed_stats::{Endpoint, Estimate, RecordColumn};
use serde::Serialize;
use thiserror::Error;

use crate::{YEAR_DAYS, finite};
use points::{FactorValues, Points};
pub(crate) use text::by_alternative;

/// What the ends of a number are called.
const LOWEST: &str = "lowest tenth";
const HIGHEST: &str = "highest tenth";

/// The blocks of a run with uncertain parameters, and what is needed to label them.
pub struct RankInput<'a> {
    /// Name of the trial.
    pub trial: &'a str,
    /// One line about it; may be empty.
    pub title: &'a str,
    /// Seed of the run.
    pub seed: u64,
    /// Digest of the result, in hexadecimal.
    pub digest: &'a str,
    /// Names of the arms, by position.
    pub arms: &'a [String],
    /// Position of the control.
    pub control: usize,
    /// Arms that are ranked among themselves: what they are, and their positions; all in the last.
    pub groups: &'a [(String, Vec<usize>)],
    /// Arms whose outcomes are traced to the parameters: of the control its incidence, of others
    /// their difference from it.
    pub traced: &'a [usize],
    /// By what arms are ranked.
    pub endpoint: Endpoint,
    /// The day by which the blocks' outcomes are counted, from resection.
    pub day: f64,
    /// Name of the design.
    pub design: &'a str,
    /// What its points allow.
    pub layout: PointLayout<'a>,
    /// Points in a row of the design that belong together.
    pub cluster: usize,
    /// The uncertain parameters, in the order of the blocks' values.
    pub factors: &'a [RankFactor],
    /// Patients of a block.
    pub block_patients: u64,
    /// The table of blocks.
    pub blocks: &'a [RecordColumn],
}

/// How the points of a design lie, and so how outcomes can be traced to parameters.
#[derive(Clone, Copy)]
pub enum PointLayout<'a> {
    /// A sample of the priors.
    Sample,
    /// Trajectories of elementary effects: the steps of each, by its number.
    Trajectories(&'a dyn Fn(u64) -> Vec<Step>),
    /// Rows of Saltelli's design.
    Rows,
}

/// An uncertain parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct RankFactor {
    /// Its key in a trial file.
    pub key: String,
    /// Of a structural switch the alternatives: their names and the values that stand for them.
    pub alternatives: Vec<(String, f64)>,
}

/// Why arms cannot be ranked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RankError {
    /// There are no blocks with parameters of their own.
    #[error(
        "its run had no uncertain parameters; give a trial with a table [uncertainty], or build on \
         a preset of targets with base = \"breast-targets\""
    )]
    Certain,
    /// A table that does not fit.
    #[error("its table of blocks is damaged: {0}")]
    Damaged(String),
    /// No arm to rank.
    #[error("its trial has no arm but the control; add arms to rank")]
    NoArms,
}

/// How arms rank over the points of a design, and what makes them differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// Name of the trial.
    pub trial: String,
    /// One line about it.
    pub title: String,
    /// Seed of the run.
    pub seed: u64,
    /// Digest of the result, in hexadecimal.
    pub digest: String,
    /// Name of the control arm.
    pub control: String,
    /// What arms are ranked by: `local`, `distant`, `rfs` or `death`, the less the better.
    pub endpoint: &'static str,
    /// By when, days from resection.
    pub time_days: f64,
    /// The same in years of 365.25 days.
    pub time_years: f64,
    /// Name of the design.
    pub design: String,
    /// Points of the design.
    pub points: usize,
    /// Patients screened at each of them.
    pub point_patients: u64,
    /// Uncertain parameters.
    pub factors: usize,
    /// Rankings of each group of arms: over all points, then within each alternative of each
    /// structural switch.
    pub rankings: Vec<RankTable>,
    /// What outcomes depend on: the incidence in the control, then the difference that each single
    /// target makes.
    pub influences: Vec<Influence>,
}

/// Arms ranked among themselves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankTable {
    /// What the arms are.
    pub group: String,
    /// Key of the switch whose alternative this is about; `null` for all points.
    pub switch: Option<String>,
    /// The alternative.
    pub alternative: Option<String>,
    /// Points that count.
    pub points: usize,
    /// Share of them at which no arm is clearly the best.
    pub undecided: Option<f64>,
    /// The arms, the most probably best first.
    pub rows: Vec<RankRow>,
}

/// One arm among others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankRow {
    /// Name of the arm.
    pub arm: String,
    /// Probability of being the best.
    pub best: Option<f64>,
    /// Its standard error.
    pub best_standard_error: Option<f64>,
    /// The same if noise hid another best arm wherever it may.
    pub best_least: Option<f64>,
    /// The same if noise hid this arm's being the best wherever it may.
    pub best_most: Option<f64>,
    /// Mean rank, from 1.
    pub rank: Option<f64>,
    /// Its standard error.
    pub rank_standard_error: Option<f64>,
    /// Probability of each rank, from the first.
    pub rank_probabilities: Vec<Option<f64>>,
    /// Mean difference from the best arm of each point.
    pub loss: Option<f64>,
    /// Its standard error.
    pub loss_standard_error: Option<f64>,
    /// Mean difference from the control.
    pub difference: Option<f64>,
    /// Its standard error.
    pub difference_standard_error: Option<f64>,
    /// Its 5th percentile over the points.
    pub difference_p5: Option<f64>,
    /// Its 95th percentile over the points.
    pub difference_p95: Option<f64>,
}

/// What an outcome depends on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Influence {
    /// The arm: of the control the incidence is meant, of others the difference from it.
    pub arm: String,
    /// Mean of the outcome over the points.
    pub mean: Option<f64>,
    /// What the measures are: `rank_correlation`, `sobol_index` or `elementary_effect`.
    pub measure: &'static str,
    /// The parameters, the most influential first.
    pub rows: Vec<InfluenceRow>,
}

/// A parameter's influence on an outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InfluenceRow {
    /// Its key.
    pub factor: String,
    /// By which parameters are ordered: the partial rank correlation, the total index, or the
    /// mean size of the elementary effects.
    pub influence: Interval,
    /// Of Sobol indices, the first-order index; of elementary effects, their mean.
    pub alone: Option<Interval>,
    /// Of elementary effects, their spread.
    pub spread: Option<Interval>,
    /// Of elementary effects, the size that noise alone would show.
    pub noise_floor: Option<f64>,
    /// Mean outcomes at the ends: where the parameter is lowest and highest, or by alternative.
    pub ends: Vec<End>,
}

impl InfluenceRow {
    fn is_number(&self) -> bool {
        self.ends.iter().any(|end| end.points == LOWEST)
    }

    /// Where a number is lowest and highest; of a choice the alternatives with the least and the
    /// greatest mean.
    fn extremes(&self) -> [Option<&End>; 2] {
        if self.is_number() {
            return [self.ends.first(), self.ends.last()];
        }
        let known = || self.ends.iter().filter_map(|end| Some((end.mean?, end)));
        let least = known().min_by(|a, b| a.0.total_cmp(&b.0));
        let greatest = known().max_by(|a, b| a.0.total_cmp(&b.0));
        [least, greatest].map(|found| found.map(|(_, end)| end))
    }
}

/// A number with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The number.
    pub value: Option<f64>,
    /// Lower end.
    pub lower: Option<f64>,
    /// Upper end.
    pub upper: Option<f64>,
}

/// The mean outcome over some of the points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct End {
    /// Which points: `lowest tenth`, `highest tenth`, or an alternative.
    pub points: String,
    /// The mean.
    pub mean: Option<f64>,
    /// Its standard error; `null` where points of the design belong together.
    pub mean_standard_error: Option<f64>,
}

/// Ranks arms, and traces outcomes to the parameters. `words` are random, for bootstrap
/// intervals.
///
/// # Errors
/// [`RankError`] if there is nothing to rank, or the table of blocks is not of such a run.
pub fn rank(input: &RankInput<'_>, words: &mut dyn FnMut() -> u64) -> Result<Ranked, RankError> {
    if input.groups.iter().all(|(_, arms)| arms.is_empty()) {
        return Err(RankError::NoArms);
    }
    let points = Points::of(input)?;
    Ok(Ranked {
        trial: input.trial.to_owned(),
        title: input.title.to_owned(),
        seed: input.seed,
        digest: input.digest.to_owned(),
        control: input.arms[input.control].clone(),
        endpoint: input.endpoint.name(),
        time_days: input.day,
        time_years: input.day / YEAR_DAYS,
        design: input.design.to_owned(),
        points: points.known(),
        point_patients: input.block_patients,
        factors: input.factors.len(),
        rankings: (input.groups.iter())
            .flat_map(|(group, arms)| tables(input, &points, group, arms))
            .collect(),
        influences: (input.traced.iter())
            .map(|arm| influence(input, &points, *arm, words))
            .collect(),
    })
}

/// A group's rankings over all points and within each alternative of each switch.
fn tables(input: &RankInput<'_>, points: &Points, group: &str, arms: &[usize]) -> Vec<RankTable> {
    let all: Vec<usize> = (0..points.len()).collect();
    let mut tables = vec![table(input, points, group, arms, &all)];
    for (factor, at) in input.factors.iter().zip(0..) {
        for (alternative, (name, _)) in factor.alternatives.iter().enumerate() {
            let chosen = points.choices(at, factor);
            let own: Vec<usize> = (all.iter().copied())
                .filter(|point| chosen[*point] == alternative)
                .collect();
            tables.push(RankTable {
                switch: Some(factor.key.clone()),
                alternative: Some(name.clone()),
                ..table(input, points, group, arms, &own)
            });
        }
    }
    tables
}

fn table(
    input: &RankInput<'_>,
    points: &Points,
    group: &str,
    arms: &[usize],
    chosen: &[usize],
) -> RankTable {
    let ranking = ranking::rank(points.differences(input), arms, chosen);
    let mut rows: Vec<RankRow> = (ranking.arms.iter())
        .map(|ranked| row(&input.arms[ranked.arm], ranked))
        .collect();
    rows.sort_by(|a, b| {
        let best = |row: &RankRow| row.best.unwrap_or(0.0);
        best(b).total_cmp(&best(a))
    });
    RankTable {
        group: group.to_owned(),
        switch: None,
        alternative: None,
        points: ranking.points,
        undecided: finite(ranking.undecided),
        rows,
    }
}

fn row(arm: &str, ranked: &RankedArm) -> RankRow {
    RankRow {
        arm: arm.to_owned(),
        best: finite(ranked.best.value),
        best_standard_error: finite(ranked.best.standard_error),
        best_least: finite(ranked.best_bounds.0),
        best_most: finite(ranked.best_bounds.1),
        rank: finite(ranked.rank.value),
        rank_standard_error: finite(ranked.rank.standard_error),
        rank_probabilities: ranked.rank_shares.iter().copied().map(finite).collect(),
        loss: finite(ranked.loss.value),
        loss_standard_error: finite(ranked.loss.standard_error),
        difference: finite(ranked.difference.value),
        difference_standard_error: finite(ranked.difference.standard_error),
        difference_p5: finite(ranked.difference_range.0),
        difference_p95: finite(ranked.difference_range.1),
    }
}

/// Traces an arm's outcome to the parameters, as the design allows.
fn influence(
    input: &RankInput<'_>,
    points: &Points,
    arm: usize,
    words: &mut dyn FnMut() -> u64,
) -> Influence {
    let outcomes = points.outcomes(input, arm);
    let values = points.factors(input);
    let factors: Vec<Factor<'_>> = values.iter().map(FactorValues::factor).collect();
    let (measure, found) = traced(input, points, outcomes.outcome(), &factors, words);
    let ends = tornado(outcomes.outcome(), &factors);
    let described = input.factors.iter().zip(ends).zip(found);
    let mut rows: Vec<InfluenceRow> = described
        .map(|((factor, means), traced)| traced.row(factor, ends_of(input, factor, &means)))
        .collect();
    let size = |row: &InfluenceRow| row.influence.value.map_or(-1.0, f64::abs);
    rows.sort_by(|a, b| size(b).total_cmp(&size(a)));
    Influence {
        arm: input.arms[arm].clone(),
        mean: finite(outcomes.mean()),
        measure,
        rows,
    }
}

/// A factor's influence on its way into a row.
struct Traced {
    influence: Ranged,
    alone: Option<Ranged>,
    spread: Option<Ranged>,
    noise_floor: Option<f64>,
}

impl From<Ranged> for Traced {
    fn from(influence: Ranged) -> Self {
        Self {
            influence,
            alone: None,
            spread: None,
            noise_floor: None,
        }
    }
}

impl Traced {
    fn row(self, factor: &RankFactor, ends: Vec<End>) -> InfluenceRow {
        InfluenceRow {
            factor: factor.key.clone(),
            influence: interval(self.influence),
            alone: self.alone.map(interval),
            spread: self.spread.map(interval),
            noise_floor: self.noise_floor,
            ends,
        }
    }
}

/// The measure that the design allows, and each factor's; none from too few points.
fn traced(
    input: &RankInput<'_>,
    points: &Points,
    outcome: Outcome<'_>,
    factors: &[Factor<'_>],
    words: &mut dyn FnMut() -> u64,
) -> (&'static str, Vec<Traced>) {
    match input.layout {
        PointLayout::Sample => {
            let found = rank_correlations(outcome, factors, words).unwrap_or_default();
            (
                "rank_correlation",
                found.into_iter().map(Traced::from).collect(),
            )
        }
        PointLayout::Rows => {
            let found = sobol_indices(outcome, factors.len(), words)
                .map_or_else(Vec::new, |SobolIndices { first, total, .. }| {
                    total.into_iter().zip(first).collect()
                });
            let traced = found.into_iter().map(|(total, first)| Traced {
                alone: Some(first),
                ..total.into()
            });
            ("sobol_index", traced.collect())
        }
        PointLayout::Trajectories(steps) => {
            let steps: Vec<Vec<Step>> = (points.clusters.iter())
                .map(|trajectory| steps(*trajectory))
                .collect();
            let found = morris_effects(outcome, &steps, words).unwrap_or_default();
            let traced = found.into_iter().map(|effect| Traced {
                alone: Some(effect.mean),
                spread: Some(effect.spread),
                noise_floor: finite(effect.noise_floor),
                ..effect.size.into()
            });
            ("elementary_effect", traced.collect())
        }
    }
}

/// Mean outcomes at a factor's ends, with their names. Points that belong together do not scatter
/// independently, so that there the means have no simple standard error.
fn ends_of(input: &RankInput<'_>, factor: &RankFactor, means: &[Estimate]) -> Vec<End> {
    let names: Vec<&str> = if factor.alternatives.is_empty() {
        vec![LOWEST, HIGHEST]
    } else {
        factor
            .alternatives
            .iter()
            .map(|(name, _)| &**name)
            .collect()
    };
    let end = |(name, mean): (&str, &Estimate)| End {
        points: name.to_owned(),
        mean: finite(mean.value),
        mean_standard_error: finite(mean.standard_error).filter(|_| input.cluster == 1),
    };
    names.into_iter().zip(means).map(end).collect()
}

fn interval(found: Ranged) -> Interval {
    Interval {
        value: finite(found.value),
        lower: finite(found.interval.0),
        upper: finite(found.interval.1),
    }
}
