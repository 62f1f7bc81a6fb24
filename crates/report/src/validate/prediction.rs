//! What a result predicts for a patient of a stratum.

use reseed_stats::curve::cumulative_incidence;
use reseed_stats::{Endpoint, RiskTable};

use super::Outcome;
use crate::courses::Courses;

/// An outcome of the virtual patients of a stratum over time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prediction {
    /// From 0, one more than there are bins.
    edges: Vec<f64>,
    incidence: Vec<f64>,
    hazard: Vec<f64>,
}

impl Prediction {
    pub(super) fn of(courses: &Courses<'_>, stratum: usize, outcome: Outcome) -> Self {
        let table = match outcome.causes() {
            Some(causes) => courses.first_events(&[stratum], causes),
            None => RiskTable::of_endpoint(
                courses.tally,
                &[stratum],
                courses.arm,
                Endpoint::Death,
                courses.edges_years,
            ),
        };
        let from_nothing = |values: Vec<f64>| std::iter::once(0.0).chain(values).collect();
        let incidence = cumulative_incidence(&table, 0).values;
        Self {
            edges: courses.edges_years.to_vec(),
            incidence: from_nothing(incidence.iter().map(|state| state.value).collect()),
            hazard: from_nothing(cumulative_hazard(&table)),
        }
    }

    /// The probability of the event by a time.
    pub(super) fn risk(&self, time: f64) -> f64 {
        self.between(&self.incidence, time)
    }

    /// The cumulative hazard of the event until a time, while nothing else takes the patient.
    pub(super) fn hazard(&self, time: f64) -> f64 {
        self.between(&self.hazard, time)
    }

    /// Within a bin, events come evenly.
    fn between(&self, values: &[f64], time: f64) -> f64 {
        let last = values.len() - 1;
        let above = self
            .edges
            .partition_point(|edge| *edge < time)
            .clamp(1, last);
        let (from, to) = (self.edges[above - 1], self.edges[above]);
        let share = ((time - from) / (to - from)).clamp(0.0, 1.0);
        values[above - 1] + share * (values[above] - values[above - 1])
    }
}

/// The cumulative hazard at the bins' ends: events over those at risk in the middle of the bin.
fn cumulative_hazard(table: &RiskTable) -> Vec<f64> {
    let mut sum = 0.0;
    let at_ends = table.rows().map(|row| {
        let at_risk = row.at_risk as f64 - 0.5 * row.all_events() as f64;
        if at_risk > 0.0 {
            sum += row.events[0] as f64 / at_risk;
        }
        sum
    });
    at_ends.collect()
}
