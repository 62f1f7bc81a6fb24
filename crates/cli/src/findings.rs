//! What the blocks of a result say: which parameters matter, how arms rank, and what virtual
//! trials find.

use std::path::Path;

use reseed_report::{Findings, PowerCurve, PowerPoint, Ranks, Tornado, TornadoBar};
use reseed_results::{ResultFile, read_blocks};
use reseed_stats::power::{BlockTrials, PowerEstimate, TrialShape};
use reseed_stats::ranking::{Differences, rank};
use reseed_stats::sensitivity::{
    Factor, Outcome, Ranged, morris_effects, rank_correlations, sobol_indices, tornado,
};
use reseed_stats::virtual_trial::Design;
use reseed_stats::{Endpoint, RecordColumn, RecordValues};
use reseed_trial::{Design as Points, Trial, Uncertainty};

use crate::exit::Failure;

/// Reads them, as far as the trial has them.
pub(crate) fn findings(path: &Path, file: &ResultFile, trial: &Trial) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    if trial.virtual_trials.is_none() && trial.uncertainty.is_none() {
        return Ok(findings);
    }
    let columns = read_blocks(path)?;
    let damaged = |problem: &str| Failure::File(format!("{}: {problem}", path.display()));
    if let Some(plan) = &trial.virtual_trials {
        findings.power = power(&columns, trial, &plan.design()).map_err(|text| damaged(&text))?;
    }
    if let Some(uncertainty) = &trial.uncertainty {
        let table = Table::of(&columns, trial, uncertainty)
            .ok_or_else(|| damaged("its table of blocks lacks columns of uncertain parameters"))?;
        if trial.primary.arm != trial.scenario.control {
            findings.tornadoes.extend(table.tornado(file.identity.seed));
        }
        findings.ranks.push(table.ranks());
    }
    Ok(findings)
}

/// Power of the virtual trials by arm and size.
fn power(
    columns: &[RecordColumn],
    trial: &Trial,
    design: &Design,
) -> Result<Vec<PowerCurve>, String> {
    let arms = &trial.scenario.arms;
    let shape = TrialShape::of(design, arms.len());
    let blocks = BlockTrials::read(shape, columns).map_err(|error| error.to_string())?;
    let point = |arm: usize, size: usize| {
        let found = PowerEstimate::new(&blocks, arm, size);
        // Of the control against itself every rejection is an error.
        let share = if arm == trial.scenario.control {
            found.rejection
        } else {
            found.benefit
        };
        PowerPoint {
            patients: design.control_patients[size] as u64,
            power: share.estimate.value,
            interval: share.interval,
        }
    };
    let curves = arms.iter().enumerate().map(|(arm, therapy)| PowerCurve {
        arm: therapy.name.clone(),
        points: (0..shape.sizes).map(|size| point(arm, size)).collect(),
    });
    Ok(curves.collect())
}

/// The points of a design and what was found at each, of the primary endpoint.
struct Table<'a> {
    trial: &'a Trial,
    uncertainty: &'a Uncertainty,
    points: usize,
    parameters: &'a [f64],
    /// Differences from the control and their standard errors, by point and arm, in percentage
    /// points.
    differences: Vec<f64>,
    errors: Vec<f64>,
}

impl<'a> Table<'a> {
    fn of(
        columns: &'a [RecordColumn],
        trial: &'a Trial,
        uncertainty: &'a Uncertainty,
    ) -> Option<Self> {
        let factors = uncertainty.factors.len();
        let (arms, endpoints) = (trial.scenario.arms.len(), Endpoint::ALL.len());
        let parameters = numbers(columns, "parameter", factors)?;
        let endpoint = Endpoint::ALL
            .iter()
            .position(|endpoint| *endpoint == trial.primary.endpoint)?;
        let of_endpoint = |name| {
            let values = numbers(columns, name, arms * endpoints)?;
            let own = values.iter().skip(endpoint).step_by(endpoints);
            Some(own.map(|value| 100.0 * value).collect::<Vec<f64>>())
        };
        Some(Self {
            trial,
            uncertainty,
            points: parameters.len() / factors,
            parameters,
            differences: of_endpoint("difference")?,
            errors: of_endpoint("difference_standard_error")?,
        })
    }

    /// What the difference of the primary arm depends on; none from too few points.
    fn tornado(&self, seed: u64) -> Option<Tornado> {
        let arms = self.trial.scenario.arms.len();
        let of_arm = |values: &[f64]| -> Vec<f64> {
            let own = values.iter().skip(self.trial.primary.arm).step_by(arms);
            own.copied().collect()
        };
        let (values, standard_errors) = (of_arm(&self.differences), of_arm(&self.errors));
        let outcome = Outcome {
            values: &values,
            standard_errors: &standard_errors,
        };
        let values_of: Vec<FactorValues> = (0..self.uncertainty.factors.len())
            .map(|factor| self.factor(factor))
            .collect();
        let factors: Vec<Factor<'_>> = values_of.iter().map(FactorValues::factor).collect();
        let (index, indices) = self.indices(outcome, &factors, seed)?;
        let known: Vec<f64> = values
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        let ends = tornado(outcome, &factors);
        let named = self.uncertainty.factors.iter().zip(ends).zip(indices);
        let bars = named.map(|((factor, ends), index)| {
            let ends: Vec<f64> = ends.iter().map(|end| end.value).collect();
            let (label, low, high) = match factor.alternatives() {
                Some(names) => extremes(&factor.path, &names, &ends),
                None => (factor.path.clone(), ends[0], ends[1]),
            };
            TornadoBar {
                factor: label,
                low,
                high,
                index: index.value,
                interval: index.interval,
            }
        });
        let arm = &self.trial.scenario.arms[self.trial.primary.arm].name;
        Some(Tornado {
            name: format!("{}-{arm}", self.trial.primary.endpoint.name()),
            outcome: format!("difference of {arm}"),
            unit: "percentage points".into(),
            mean: known.iter().sum::<f64>() / known.len() as f64,
            index: index.into(),
            bars: bars.collect(),
        })
    }

    /// How much each factor matters, by the measure that suits the design.
    fn indices(
        &self,
        outcome: Outcome<'_>,
        factors: &[Factor<'_>],
        seed: u64,
    ) -> Option<(&'static str, Vec<Ranged>)> {
        let mut words = words(seed);
        Some(match self.uncertainty.design {
            Points::Sobol | Points::LatinHypercube { .. } => {
                let correlations = rank_correlations(outcome, factors, &mut words)?;
                ("partial rank correlation", correlations)
            }
            Points::Saltelli => {
                let indices = sobol_indices(outcome, factors.len(), &mut words)?;
                ("total Sobol index", indices.total)
            }
            Points::Morris => {
                let trajectories = self.points / self.uncertainty.cluster();
                let steps = |trajectory| self.uncertainty.steps(seed, trajectory);
                let steps: Vec<_> = (0..trajectories as u64).map(steps).collect();
                let effects = morris_effects(outcome, &steps, &mut words)?;
                let sizes = effects.iter().map(|effect| effect.size);
                ("size of elementary effects", sizes.collect())
            }
        })
    }

    /// How often each treated arm has each rank, over all points.
    fn ranks(&self) -> Ranks {
        let arms = &self.trial.scenario.arms;
        let treated = (0..arms.len()).filter(|arm| *arm != self.trial.scenario.control);
        let differences = Differences {
            values: &self.differences,
            standard_errors: &self.errors,
            arms: arms.len(),
            cluster: self.uncertainty.cluster(),
        };
        let points: Vec<usize> = (0..self.points).collect();
        let ranking = rank(differences, &treated.collect::<Vec<_>>(), &points);
        let mut ranked: Vec<_> = ranking.arms.iter().collect();
        ranked.sort_by(|a, b| a.rank.value.total_cmp(&b.rank.value));
        let rows = ranked.into_iter().map(|arm| {
            let name = arms[arm.arm].name.clone();
            (name, arm.rank_shares.clone())
        });
        Ranks {
            name: self.trial.primary.endpoint.name().into(),
            title: format!("Ranks of the arms over {} points", ranking.points),
            arms: rows.collect(),
        }
    }

    fn factor(&self, factor: usize) -> FactorValues {
        let values = self.parameters.iter().skip(factor);
        let values = values.step_by(self.uncertainty.factors.len()).copied();
        let known = &self.uncertainty.factors[factor];
        match known.alternatives() {
            None => FactorValues::Number(values.collect()),
            Some(names) => {
                let chosen = values.map(|value| known.alternative(value).unwrap_or(names.len()));
                FactorValues::Choice(chosen.collect(), names.len())
            }
        }
    }
}

/// A factor's values at all points.
enum FactorValues {
    Number(Vec<f64>),
    Choice(Vec<usize>, usize),
}

impl FactorValues {
    fn factor(&self) -> Factor<'_> {
        match self {
            Self::Number(values) => Factor::Number(values),
            Self::Choice(chosen, alternatives) => Factor::Choice(chosen, *alternatives),
        }
    }
}

/// A switch's alternatives with the lowest and the highest mean, for its label, and the means.
fn extremes(path: &str, names: &[String], means: &[f64]) -> (String, f64, f64) {
    let order = |a: &usize, b: &usize| means[*a].total_cmp(&means[*b]);
    let low = (0..means.len()).min_by(order).unwrap_or(0);
    let high = (0..means.len()).max_by(order).unwrap_or(0);
    let label = format!("{path}: {} or {}", names[low], names[high]);
    (label, means[low], means[high])
}

/// Values of a column of this width.
fn numbers<'a>(columns: &'a [RecordColumn], name: &str, width: usize) -> Option<&'a [f64]> {
    let column = columns.iter().find(|column| column.name == name)?;
    match &column.values {
        RecordValues::F64(values) if column.width == width => Some(values),
        _ => None,
    }
}

/// Random words for resampling, by the seed of the run.
fn words(seed: u64) -> impl FnMut() -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"reseed report resampling\0");
    hasher.update(&seed.to_le_bytes());
    let mut stream = hasher.finalize_xof();
    move || {
        let mut bytes = [0; 8];
        stream.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
