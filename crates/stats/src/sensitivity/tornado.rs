//! What single factors do in a plain sample of the priors.

use super::Outcome;
use super::bootstrap::{Ranged, Terms, ranged};
use crate::estimate::Estimate;
use crate::sample::{clustered_mean, ranks};

/// A factor's values at the points of a sample.
#[derive(Debug, Clone, Copy)]
pub enum Factor<'a> {
    /// Numbers.
    Number(&'a [f64]),
    /// Positions among so many alternatives, which have no order.
    Choice(&'a [usize], usize),
}

impl Factor<'_> {
    /// Columns that stand for it in a regression.
    fn columns(self, points: &[usize]) -> Vec<Vec<f64>> {
        match self {
            Self::Number(values) => {
                vec![ranks(
                    &points
                        .iter()
                        .map(|point| values[*point])
                        .collect::<Vec<_>>(),
                )]
            }
            Self::Choice(chosen, alternatives) => (1..alternatives)
                .map(|choice| {
                    let is_it = |point: &usize| f64::from(u8::from(chosen[*point] == choice));
                    points.iter().map(is_it).collect()
                })
                .collect(),
        }
    }
}

/// Partial rank correlations of an outcome with each factor (Marino, J Theor Biol
/// 2008;254:178): between their ranks, after what all other factors explain linearly is taken out
/// of both. From −1 to 1 for numbers and for a choice of two (positive if the second is higher). A
/// choice of more has no direction: its multiple partial correlation, from 0 to 1.
///
/// Ranks see monotone influence only, and noise of the outcome brings them nearer to zero.
/// Intervals are by bootstrap over points with the ranks kept. `None` with no more points than
/// columns.
pub fn rank_correlations(
    outcome: Outcome<'_>,
    factors: &[Factor<'_>],
    words: &mut dyn FnMut() -> u64,
) -> Option<Vec<Ranged>> {
    let points = known_points(outcome);
    let mut columns = Vec::new();
    let mut groups = Vec::new();
    for factor in factors {
        let own = factor.columns(&points);
        groups.push(columns.len()..columns.len() + own.len());
        columns.extend(own);
    }
    let values: Vec<f64> = points.iter().map(|point| outcome.value(*point)).collect();
    columns.push(ranks(&values));
    if points.len() <= columns.len() + 1 {
        return None;
    }
    for column in &mut columns {
        standardise(column);
    }
    let mut terms = Terms::new(columns.len() * (columns.len() + 3) / 2);
    for point in 0..points.len() {
        let row: Vec<f64> = columns.iter().map(|column| column[point]).collect();
        let products = (0..row.len()).flat_map(|a| row[..=a].iter().map(move |b| (a, *b)));
        let products: Vec<f64> = products.map(|(a, b)| row[a] * b).collect();
        terms.push(row.iter().copied().chain(products));
    }
    Some(ranged(&terms, words, |means| {
        partial_correlations(means, columns.len(), &groups)
    }))
}

/// Means of an outcome over parts of a sample, by factor: for numbers the points with the lowest
/// tenth of its values, then those with the highest; for choices the points of each alternative,
/// in order. These are the ends of a tornado's bars. Standard errors are of the mean, noise
/// included.
pub fn tornado(outcome: Outcome<'_>, factors: &[Factor<'_>]) -> Vec<Vec<Estimate>> {
    let points = known_points(outcome);
    let mean = |points: &[usize]| {
        let values = points.iter().map(|point| (*point, outcome.value(*point)));
        clustered_mean(&values.collect::<Vec<_>>())
    };
    let ends = |factor: &Factor<'_>| match factor {
        Factor::Number(values) => {
            let mut sorted = points.clone();
            sorted.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
            let tenth = sorted.len().div_ceil(10);
            let highest = &sorted[sorted.len() - tenth..];
            vec![mean(&sorted[..tenth]), mean(highest)]
        }
        Factor::Choice(chosen, alternatives) => (0..*alternatives)
            .map(|choice| {
                let with_it = |point: &usize| chosen[*point] == choice;
                mean(&points.iter().copied().filter(with_it).collect::<Vec<_>>())
            })
            .collect(),
    };
    factors.iter().map(ends).collect()
}

fn known_points(outcome: Outcome<'_>) -> Vec<usize> {
    (0..outcome.points())
        .filter(|point| outcome.is_known(*point..point + 1))
        .collect()
}

/// Mean zero and mean square one, so that products are of comparable size.
fn standardise(column: &mut [f64]) {
    let number = column.len() as f64;
    let mean = column.iter().sum::<f64>() / number;
    let squares = column.iter().map(|value| (value - mean) * (value - mean));
    let deviation = (squares.sum::<f64>() / number).sqrt();
    for value in column {
        *value = (*value - mean) / deviation;
    }
}

/// Partial correlations of the last column with each group of the others, from the means of the
/// columns and of their products (the lower triangle, by rows). `NaN` where columns determine
/// each other.
///
/// With P the inverse of the covariances, y the last column and g a group, what g explains of
/// the variance that the others leave is P_yg·P_gg⁻¹·P_gy/P_yy.
fn partial_correlations(
    means: &[f64],
    columns: usize,
    groups: &[std::ops::Range<usize>],
) -> Vec<f64> {
    let product = |a: usize, b: usize| means[columns + a.max(b) * (a.max(b) + 1) / 2 + a.min(b)];
    let covariances: Vec<Vec<f64>> = (0..columns)
        .map(|a| {
            (0..columns)
                .map(|b| product(a, b) - means[a] * means[b])
                .collect()
        })
        .collect();
    let Some(precision) = inverse(&covariances) else {
        return vec![f64::NAN; groups.len()];
    };
    let last = columns - 1;
    let correlation = |group: &std::ops::Range<usize>| {
        let own = precision[group.clone()].iter();
        let own: Vec<Vec<f64>> = own.map(|row| row[group.clone()].to_vec()).collect();
        let Some(own) = inverse(&own) else {
            return f64::NAN;
        };
        let with = &precision[last][group.clone()];
        let explained: f64 = own
            .iter()
            .zip(with)
            .map(|(row, a)| a * row.iter().zip(with).map(|(cell, b)| cell * b).sum::<f64>())
            .sum();
        let size = (explained / precision[last][last]).sqrt();
        if let [single] = with {
            -size.copysign(*single)
        } else {
            size
        }
    };
    groups.iter().map(correlation).collect()
}

/// Inverse of a symmetric, positive definite matrix by Gauss and Jordan; `None` if it is not, to
/// ten digits.
fn inverse(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    let unit = |row: usize| (0..size).map(move |column| f64::from(u8::from(row == column)));
    let mut beside: Vec<Vec<f64>> = matrix
        .iter()
        .enumerate()
        .map(|(row, cells)| cells.iter().copied().chain(unit(row)).collect())
        .collect();
    for pivot in 0..size {
        let on_diagonal = beside[pivot][pivot];
        // Written so that what is not a number is refused too.
        let is_positive = on_diagonal > 1e-10 * matrix[pivot][pivot];
        if !is_positive {
            return None;
        }
        let pivot_row: Vec<f64> = beside[pivot]
            .iter()
            .map(|cell| cell / on_diagonal)
            .collect();
        for (_, row) in beside
            .iter_mut()
            .enumerate()
            .filter(|(row, _)| *row != pivot)
        {
            let factor = row[pivot];
            for (cell, taken) in row.iter_mut().zip(&pivot_row) {
                *cell -= factor * taken;
            }
        }
        beside[pivot] = pivot_row;
    }
    Some(beside.into_iter().map(|row| row[size..].to_vec()).collect())
}
