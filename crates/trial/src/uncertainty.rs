//! Parameters that are not known: their priors, and the points at which a design tries them.

use std::fmt::Write as _;
use std::ops::Range;

use reseed_model::math;
use reseed_model::scenario::Scenario;
use reseed_stats::distribution::{CRITICAL_95, normal_tail, normal_upper_quantile};
use reseed_stats::sensitivity::Step;
use thiserror::Error;

use crate::check;
use crate::design::{self, Design};
use crate::diagnostic::{Problems, readable};
use crate::document::Table;
use crate::field::{Bounds, Field, Kind, Quantity, described, float, string};
use crate::priors::{POINTS_MAX, uncertain_fields};
use crate::tables::{Draft, TRIAL};
use crate::trial::Trial;

/// Tables whose numbers and choices may have priors: the patient model's parameters.
pub(crate) const UNCERTAIN: [&str; 8] = [
    "population",
    "growth",
    "shedding",
    "dormancy",
    "homing",
    "local_treatment",
    "detection",
    "death",
];

/// The weights of attraction, which add up to one (section 5).
const WEIGHTS: [&str; 3] = [
    "homing.base_weight",
    "homing.il6.weight",
    "homing.il8.weight",
];

/// What is uncertain about a trial, and how that is explored: block b of its patients lives under
/// the parameters of point b of the design.
#[derive(Debug, Clone, PartialEq)]
pub struct Uncertainty {
    /// Where the points lie.
    pub design: Design,
    /// What is uncertain, in the order of the trial file's keys.
    pub factors: Vec<Factor>,
    /// Half-years of follow-up whose events and time at risk every block keeps by stratum; 0 if
    /// nothing is calibrated.
    pub half_years: usize,
}

/// An uncertain parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// Its key, such as `homing.scar_capture`.
    pub path: String,
    /// What is believed about it.
    pub prior: Prior,
}

/// What is believed about a parameter. Draws of the unbounded distributions are confined to the
/// parameter's own range by truncation: the distribution given that it is in range.
#[derive(Debug, Clone, PartialEq)]
pub enum Prior {
    /// The logarithm is normal; 95 % are within this factor of the median.
    LogNormal {
        /// The median.
        median: f64,
        /// Above one.
        factor: f64,
    },
    /// Normal.
    Normal {
        /// Mean before truncation.
        mean: f64,
        /// Standard deviation before truncation.
        sd: f64,
    },
    /// Everything in between is as likely.
    Uniform {
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
    },
    /// The logarithm is uniform.
    LogUniform {
        /// The least value, above zero.
        min: f64,
        /// The greatest value.
        max: f64,
    },
    /// One of several values, each as likely: a structural switch. A word is its position among
    /// all words that the key may have.
    Choice(Vec<f64>),
    /// The values at the points, one after the other, and again from the first: those of all
    /// parameters with draws belong together, as a sample of a posterior does.
    Draws(Vec<f64>),
}

/// A point of the design that is no valid trial.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "point {point} of the design is not a valid trial: {problem} ({values}); narrow the priors"
)]
pub struct PointError {
    /// Number of the point, from 0.
    pub point: u64,
    /// What is wrong.
    pub problem: String,
    /// The factors' values there.
    pub values: String,
}

impl Uncertainty {
    /// Values of the factors at a point, each in its key's unit, words as positions among all
    /// that the key may have.
    pub fn point(&self, seed: u64, point: u64) -> Vec<f64> {
        let quantiles = self.design.quantiles(self.factors.len(), seed, point);
        let factors = self.factors.iter().zip(quantiles);
        factors
            .map(|(factor, quantile)| match &factor.prior {
                Prior::Draws(values) => values[place(point, values.len())],
                _ => factor.quantile(quantile),
            })
            .collect()
    }

    /// Points in a row of the design that belong together.
    pub fn cluster(&self) -> usize {
        self.design.cluster(self.factors.len())
    }

    /// What changes from point to point of a trajectory of Morris's design.
    pub fn steps(&self, seed: u64, trajectory: u64) -> Vec<Step> {
        design::steps(seed, self.factors.len(), trajectory)
    }

    /// Random words for an analysis of a run's points, such as resampling.
    pub fn words(seed: u64) -> impl FnMut() -> u64 + use<> {
        let mut words = design::Words::new(seed, "analysis", 0);
        move || words.next()
    }

    /// Puts a point into a trial. If one of the weights of attraction is uncertain, all three are
    /// divided by their sum.
    fn apply(&self, values: &[f64], draft: &mut Draft) {
        for (factor, value) in self.factors.iter().zip(values) {
            match &factor.field().kind {
                Kind::Number(_, at) => *at(draft) = *value,
                Kind::Choice(words, at) => *at(draft) = position(*value, words.len()),
                _ => unreachable!("only numbers and choices have priors"),
            }
        }
        let is_weight = |factor: &Factor| WEIGHTS.contains(&factor.path.as_str());
        if self.factors.iter().any(is_weight) {
            let homing = &mut draft.trial.scenario.homing;
            let sum = homing.base + homing.il6.weight + homing.il8.weight;
            homing.base /= sum;
            homing.il6.weight /= sum;
            homing.il8.weight /= sum;
        }
        draft.settle();
    }

    fn wrong(&self, point: u64, problem: String, values: &[f64]) -> PointError {
        let mut text = String::new();
        for (factor, value) in self.factors.iter().zip(values) {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{} = {}", factor.path, factor.in_words(*value));
        }
        PointError {
            point,
            problem,
            values: text,
        }
    }
}

impl Factor {
    /// How many draws there are, if the prior is a list of them.
    pub(crate) fn draws(&self) -> Option<usize> {
        match &self.prior {
            Prior::Draws(values) => Some(values.len()),
            _ => None,
        }
    }

    /// The value at a quantile strictly between 0 and 1; of draws, which have no order, the one so
    /// far into the list.
    pub fn quantile(&self, quantile: f64) -> f64 {
        match &self.prior {
            Prior::LogNormal { median, factor } => {
                let Bounds { min, max, .. } = self.quantity().bounds;
                let (mean, sd) = (math::ln(*median), math::ln(*factor) / CRITICAL_95);
                let value = |z: f64| math::exp(mean + sd * z);
                let z = |bound: f64| (math::ln(bound.max(0.0)) - mean) / sd;
                value(truncated_normal(quantile, z(min), z(max))).clamp(min, max)
            }
            Prior::Normal { mean, sd } => {
                let Bounds { min, max, .. } = self.quantity().bounds;
                let z = |bound: f64| (bound - mean) / sd;
                (mean + sd * truncated_normal(quantile, z(min), z(max))).clamp(min, max)
            }
            Prior::Uniform { min, max } => min + quantile * (max - min),
            Prior::LogUniform { min, max } => {
                let (low, high) = (math::ln(*min), math::ln(*max));
                math::exp(low + quantile * (high - low)).clamp(*min, *max)
            }
            Prior::Choice(values) | Prior::Draws(values) => {
                values[position(quantile * values.len() as f64, values.len())]
            }
        }
    }

    /// A switch's alternatives, by their names and the values that stand for them, in the order of
    /// the prior; none of a number that may take any value.
    pub fn alternatives(&self) -> Vec<(String, f64)> {
        let Prior::Choice(values) = &self.prior else {
            return Vec::new();
        };
        values
            .iter()
            .map(|value| (self.in_words(*value), *value))
            .collect()
    }

    /// The quantile at which a value lies, the inverse of [`Self::quantile`], of a prior that is a
    /// distribution; none of alternatives and draws.
    pub fn quantile_of(&self, value: f64) -> Option<f64> {
        let truncated = |z: f64, lower: f64, upper: f64| {
            let tails = [lower, z, upper].map(normal_tail);
            (tails[0] - tails[1]) / (tails[0] - tails[2])
        };
        let quantile = match &self.prior {
            Prior::LogNormal { median, factor } => {
                let Bounds { min, max, .. } = self.quantity().bounds;
                let (mean, sd) = (math::ln(*median), math::ln(*factor) / CRITICAL_95);
                let z = |value: f64| (math::ln(value.max(0.0)) - mean) / sd;
                truncated(z(value), z(min), z(max))
            }
            Prior::Normal { mean, sd } => {
                let Bounds { min, max, .. } = self.quantity().bounds;
                let z = |value: f64| (value - mean) / sd;
                truncated(z(value), z(min), z(max))
            }
            Prior::Uniform { min, max } => (value - min) / (max - min),
            Prior::LogUniform { min, max } => {
                let [low, value, high] = [*min, value, *max].map(math::ln);
                (value - low) / (high - low)
            }
            Prior::Choice(_) | Prior::Draws(_) => return None,
        };
        Some(quantile)
    }

    fn quantity(&self) -> &'static Quantity {
        match &self.field().kind {
            Kind::Number(quantity, _) => quantity,
            _ => unreachable!("words have no distribution"),
        }
    }

    fn field(&self) -> &'static Field<Draft> {
        let mut fields = TRIAL;
        let mut found = None;
        for key in self.path.split('.') {
            found = fields.iter().find(|field| field.key == key);
            if let Some(Kind::Section(inner)) = found.map(|field| &field.kind) {
                fields = inner;
            }
        }
        found.expect("factors are made of keys of the field table")
    }

    /// The prior as a trial file has it.
    pub(crate) fn prior_toml(&self) -> String {
        match &self.prior {
            Prior::LogNormal { median, factor } => {
                format!(
                    "{{ median = {}, factor = {} }}",
                    float(*median),
                    float(*factor)
                )
            }
            Prior::Normal { mean, sd } => {
                format!("{{ mean = {}, sd = {} }}", float(*mean), float(*sd))
            }
            Prior::Uniform { min, max } => {
                format!("{{ min = {}, max = {} }}", float(*min), float(*max))
            }
            Prior::LogUniform { min, max } => {
                format!(
                    "{{ min = {}, max = {}, log = true }}",
                    float(*min),
                    float(*max)
                )
            }
            Prior::Choice(values) => {
                let word = |value: &f64| match &self.field().kind {
                    Kind::Choice(words, _) => string(words[position(*value, words.len())]),
                    _ => float(*value),
                };
                let words: Vec<String> = values.iter().map(word).collect();
                format!("{{ choices = [{}] }}", words.join(", "))
            }
            Prior::Draws(values) => {
                let values: Vec<String> = values.iter().map(|value| float(*value)).collect();
                format!("{{ draws = [{}] }}", values.join(", "))
            }
        }
    }

    /// Meaning, unit and range of the parameter in a sentence.
    pub(crate) fn described(&self) -> String {
        described(self.field())
    }

    /// A value for people.
    fn in_words(&self, value: f64) -> String {
        match &self.field().kind {
            Kind::Choice(words, _) => words[position(value, words.len())].to_owned(),
            _ => readable(value),
        }
    }
}

/// Keys of all that may be uncertain, in the order of a trial file.
fn paths() -> Vec<String> {
    fn add(fields: &[Field<Draft>], parent: &str, paths: &mut Vec<String>) {
        for field in fields {
            let path = format!("{parent}{}", field.key);
            match &field.kind {
                Kind::Section(inner) => add(inner, &format!("{path}."), paths),
                _ => paths.push(path),
            }
        }
    }
    let mut paths = Vec::new();
    for field in uncertain_fields() {
        add(std::slice::from_ref(field), "", &mut paths);
    }
    paths
}

/// Which of so many draws a point takes.
fn place(point: u64, draws: usize) -> usize {
    usize::try_from(point % draws as u64).expect("below the number of draws")
}

/// A whole number below `bound` that a float holds.
fn position(value: f64, bound: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and bounded next"
    )]
    let position = value as usize;
    position.min(bound - 1)
}

/// Quantile of a standard normal variable given that it lies between two bounds.
fn truncated_normal(quantile: f64, lower: f64, upper: f64) -> f64 {
    let (above_lower, above_upper) = (normal_tail(lower), normal_tail(upper));
    normal_upper_quantile(above_lower + quantile * (above_upper - above_lower))
}

impl Trial {
    /// What the patients of a block live under: the trial's scenario, at the block's point of the
    /// design.
    pub fn scenario_of_block(&self, seed: u64, block: u64) -> Scenario {
        let Some(uncertainty) = &self.uncertainty else {
            return self.scenario.clone();
        };
        let mut draft = Draft::of(self);
        uncertainty.apply(&uncertainty.point(seed, block), &mut draft);
        draft.trial.scenario
    }

    /// The trial of a point of the design, without anything uncertain, counts by half-year and blocks.
    ///
    /// # Errors
    /// [`PointError`] if it is not valid.
    pub fn at_point(&self, point: u64) -> Result<Self, PointError> {
        self.check_points(point..point.saturating_add(1))?;
        let mut trial = self.clone();
        trial.scenario = self.scenario_of_block(self.seed, point);
        trial.uncertainty = None;
        trial.block_patients = None;
        Ok(trial)
    }

    /// Takes the disease of a calibrated trial: its patients, growth, shedding and all else that may
    /// have a prior, with draws of its posterior in place of whatever was believed of these parameters.
    /// Other priors stay, and so do arms, follow-up and eligibility. A trial without uncertain parameters gets
    /// them. `draws` has a value for each of the `parameters`, draw by draw.
    pub fn believe(&mut self, calibrated: &Self, parameters: &[String], draws: &[Vec<f64>]) {
        let own = &mut self.scenario;
        let Scenario {
            population,
            growth,
            shedding,
            dormancy,
            homing,
            local_treatment,
            detection,
            death,
            ..
        } = calibrated.scenario.clone();
        (own.population, own.growth, own.shedding) = (population, growth, shedding);
        (own.dormancy, own.homing, own.local_treatment) = (dormancy, homing, local_treatment);
        (own.detection, own.death) = (detection, death);
        let mut factors = self
            .uncertainty
            .take()
            .map_or_else(Vec::new, |uncertainty| uncertainty.factors);
        factors.retain(|factor| !parameters.contains(&factor.path));
        factors.extend(parameters.iter().enumerate().map(|(axis, path)| Factor {
            path: path.clone(),
            prior: Prior::Draws(draws.iter().map(|draw| draw[axis]).collect()),
        }));
        let order = paths();
        factors.sort_by_key(|factor| order.iter().position(|path| *path == factor.path));
        self.uncertainty = Some(Uncertainty {
            design: Design::Sobol,
            factors,
            half_years: 0,
        });
    }

    /// What a patient lives under, by index.
    pub fn scenario_of_patient(&self, seed: u64, index: u64) -> Scenario {
        self.scenario_of_block(seed, index / self.block_patients.unwrap_or(u64::MAX))
    }

    /// Number of the trial's blocks.
    pub fn blocks(&self) -> u64 {
        self.block_patients
            .map_or(0, |block_patients| self.patients.div_ceil(block_patients))
    }

    /// Checks that the points of the design that these blocks take are valid trials, with the
    /// trial's seed; at most the first 65,536 of them, as many as a design may have.
    ///
    /// # Errors
    /// [`PointError`] of the first that is not.
    pub fn check_points(&self, blocks: Range<u64>) -> Result<(), PointError> {
        let Some(uncertainty) = &self.uncertainty else {
            return Ok(());
        };
        let mut draft = Draft::of(self);
        let end = blocks.end.min(blocks.start.saturating_add(POINTS_MAX));
        for point in blocks.start..end {
            let values = uncertainty.point(self.seed, point);
            // Weights that a point leaves alone are as the trial has them, not as the point before.
            draft.trial.scenario.homing = self.scenario.homing.clone();
            uncertainty.apply(&values, &mut draft);
            let mut problems = Problems::default();
            check::whole(&Table::default(), &draft, &mut problems);
            if let Some((message, reason)) = problems.first() {
                let problem = format!("{message}: {reason}");
                return Err(uncertainty.wrong(point, problem, &values));
            }
            if !draft.trial.scenario.homing.base.is_finite() {
                let problem = "the weights of attraction are all zero".to_owned();
                return Err(uncertainty.wrong(point, problem, &values));
            }
        }
        Ok(())
    }
}
