//! The table of blocks as points of a design.

use reseed_stats::ranking::Differences;
use reseed_stats::sensitivity::{Factor, Outcome};
use reseed_stats::{ENDPOINTS, RecordColumn};

use super::{RankError, RankFactor, RankInput};

/// Points in the design's order: all of every cluster of which at least one is there. Those that
/// are missing have `NaN` everywhere.
pub(super) struct Points {
    /// Numbers of the clusters, increasing.
    pub(super) clusters: Vec<u64>,
    factors: usize,
    enrolled: Vec<f64>,
    parameters: Vec<f64>,
    /// Of every arm, for the one endpoint.
    incidences: Vec<f64>,
    differences: Vec<f64>,
    standard_errors: Vec<f64>,
}

/// A factor's values at every point.
pub(super) enum FactorValues {
    Number(Vec<f64>),
    /// Positions among so many alternatives.
    Choice(Vec<usize>, usize),
}

impl FactorValues {
    pub(super) fn factor(&self) -> Factor<'_> {
        match self {
            Self::Number(values) => Factor::Number(values),
            Self::Choice(chosen, alternatives) => Factor::Choice(chosen, *alternatives),
        }
    }
}

/// An outcome of one arm at every point.
pub(super) struct Outcomes {
    values: Vec<f64>,
    standard_errors: Vec<f64>,
}

impl Outcomes {
    pub(super) fn outcome(&self) -> Outcome<'_> {
        Outcome {
            values: &self.values,
            standard_errors: &self.standard_errors,
        }
    }

    pub(super) fn mean(&self) -> f64 {
        let known: Vec<f64> = self
            .values
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .collect();
        known.iter().sum::<f64>() / known.len() as f64
    }
}

impl Points {
    pub(super) fn of(input: &RankInput<'_>) -> Result<Self, RankError> {
        if input.factors.is_empty() || input.blocks.is_empty() {
            return Err(RankError::Certain);
        }
        let (arms, factors) = (input.arms.len(), input.factors.len());
        let index = counts(input.blocks, "index")?;
        let enrolled = counts(input.blocks, "enrolled")?;
        let parameters = numbers(input.blocks, "parameter", factors)?;
        let estimates = ["incidence", "difference", "difference_standard_error"]
            .map(|name| numbers(input.blocks, name, arms * ENDPOINTS));
        let [incidences, differences, standard_errors] = estimates;
        if !index.is_sorted_by(|a, b| a < b) {
            return Err(RankError::Damaged("its blocks are not in order".to_owned()));
        }
        let cluster = input.cluster as u64;
        let mut clusters: Vec<u64> = index.iter().map(|block| block / cluster).collect();
        clusters.dedup();
        let places: Vec<Option<usize>> = (clusters.iter())
            .flat_map(|number| (0..cluster).map(move |place| number * cluster + place))
            .map(|block| index.binary_search(&block).ok())
            .collect();
        let of_endpoint = |values: &[f64]| {
            let arms = 0..arms;
            spread(&places, arms.len(), |row, arm| {
                values[(row * arms.len() + arm) * ENDPOINTS + input.endpoint as usize]
            })
        };
        Ok(Self {
            factors,
            enrolled: spread(&places, 1, |row, _| enrolled[row] as f64),
            parameters: spread(&places, factors, |row, factor| {
                parameters[row * factors + factor]
            }),
            incidences: of_endpoint(incidences?),
            differences: of_endpoint(differences?),
            standard_errors: of_endpoint(standard_errors?),
            clusters,
        })
    }

    /// Points, missing ones included.
    pub(super) fn len(&self) -> usize {
        self.enrolled.len()
    }

    /// Points that are there.
    pub(super) fn known(&self) -> usize {
        self.enrolled
            .iter()
            .filter(|count| count.is_finite())
            .count()
    }

    /// Values of all factors.
    pub(super) fn factors(&self, input: &RankInput<'_>) -> Vec<FactorValues> {
        let of = |(at, factor): (usize, &RankFactor)| match factor.alternatives.len() {
            0 => FactorValues::Number(self.parameters(at)),
            alternatives => FactorValues::Choice(self.choices(at, factor), alternatives),
        };
        input.factors.iter().enumerate().map(of).collect()
    }

    /// Values of a parameter.
    fn parameters(&self, factor: usize) -> Vec<f64> {
        (0..self.len())
            .map(|point| self.parameters[point * self.factors + factor])
            .collect()
    }

    /// Positions of a switch among its alternatives; of what is none of them one beyond the last.
    pub(super) fn choices(&self, factor: usize, switch: &RankFactor) -> Vec<usize> {
        let position = |value: f64| {
            let mut alternatives = switch.alternatives.iter();
            alternatives
                .position(|(_, other)| other.to_bits() == value.to_bits())
                .unwrap_or(switch.alternatives.len())
        };
        self.parameters(factor).into_iter().map(position).collect()
    }

    pub(super) fn differences(&self, input: &RankInput<'_>) -> Differences<'_> {
        Differences {
            values: &self.differences,
            standard_errors: &self.standard_errors,
            arms: input.arms.len(),
            cluster: input.cluster,
        }
    }

    /// The control's incidence, with the error of a share of its patients; or an arm's
    /// difference.
    pub(super) fn outcomes(&self, input: &RankInput<'_>, arm: usize) -> Outcomes {
        let of_arm = |values: &[f64]| {
            let points = values.chunks(input.arms.len());
            points.map(|point| point[arm]).collect::<Vec<f64>>()
        };
        if arm != input.control {
            return Outcomes {
                values: of_arm(&self.differences),
                standard_errors: of_arm(&self.standard_errors),
            };
        }
        let values = of_arm(&self.incidences);
        let patients = values.iter().zip(&self.enrolled);
        Outcomes {
            standard_errors: patients
                .map(|(share, patients)| (share * (1.0 - share) / patients).sqrt())
                .collect(),
            values,
        }
    }
}

/// Values at all places, `NaN` where there is none.
fn spread(places: &[Option<usize>], width: usize, value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let point = |place: &Option<usize>| {
        let row = *place;
        let value = &value;
        (0..width).map(move |at| row.map_or(f64::NAN, |row| value(row, at)))
    };
    places.iter().flat_map(point).collect()
}

fn column<'a>(columns: &'a [RecordColumn], name: &str) -> Result<&'a RecordColumn, RankError> {
    RecordColumn::named(columns, name)
        .ok_or_else(|| RankError::Damaged(format!("it has no column {name}")))
}

fn counts<'a>(columns: &'a [RecordColumn], name: &str) -> Result<&'a [u64], RankError> {
    let problem = || RankError::Damaged(format!("{name} is not of whole numbers"));
    column(columns, name)?.counts(1).ok_or_else(problem)
}

fn numbers<'a>(
    columns: &'a [RecordColumn],
    name: &str,
    width: usize,
) -> Result<&'a [f64], RankError> {
    let column = column(columns, name)?;
    column.numbers(width).ok_or_else(|| {
        RankError::Damaged(format!(
            "{name} has {} values in a row, not {width}",
            column.width
        ))
    })
}
