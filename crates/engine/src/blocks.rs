//! The optional row per block of patients.

use std::ops::Range;

use reseed_stats::estimate::{Contrast, contrast};
use reseed_stats::records::{RecordColumn, RecordValues};
use reseed_stats::{Endpoint, Tally};
use reseed_trial::{Trial, Uncertainty};

/// Numbers of the blocks that make up a range.
///
/// # Panics
/// If the range cuts a block.
pub(crate) fn blocks_of(range: &Range<u64>, block_patients: u64) -> Range<u64> {
    assert!(
        range.start.is_multiple_of(block_patients) && range.end.is_multiple_of(block_patients),
        "shards are whole blocks"
    );
    range.start / block_patients..range.end / block_patients
}

/// Rows being filled, and the sum of the blocks' tallies.
pub(crate) struct Blocks {
    /// What is uncertain, if anything is, and the seed of the points.
    uncertainty: Option<Uncertainty>,
    seed: u64,
    parameters: Vec<f64>,
    /// The bin that ends with the day of the primary comparison; the last if the trial names no
    /// day.
    bin: usize,
    tally: Tally,
    index: Vec<u64>,
    enrolled: Vec<u64>,
    estimates: [Vec<f64>; 3],
}

/// Name, meaning and value of an estimate.
type Estimated = (&'static str, &'static str, fn(&Contrast) -> f64);

/// What is estimated of every arm and endpoint.
const ESTIMATES: [Estimated; 3] = [
    (
        "incidence",
        "cumulative incidence by the day of the primary comparison; by arm and endpoint (local, \
         distant, rfs, death), endpoint fastest",
        |contrast| contrast.arm.value,
    ),
    (
        "difference",
        "incidence less that of the control, in the same order",
        |contrast| contrast.difference.value,
    ),
    (
        "difference_standard_error",
        "standard error of the difference, from pairs",
        |contrast| contrast.difference.standard_error,
    ),
];

impl Blocks {
    pub(crate) fn new(trial: &Trial, seed: u64) -> Self {
        Self {
            uncertainty: trial.uncertainty.clone(),
            seed,
            parameters: Vec::new(),
            bin: trial
                .bin_ending_at(trial.primary.day)
                .unwrap_or(trial.shape().bins - 1),
            tally: Tally::empty(trial.shape()),
            index: Vec::new(),
            enrolled: Vec::new(),
            estimates: Default::default(),
        }
    }

    /// Adds a block and its tally.
    ///
    /// # Panics
    /// If a count overflows, which takes more patients than there are indices.
    pub(crate) fn push(&mut self, block: u64, tally: &Tally) {
        self.index.push(block);
        self.enrolled.push(tally.enrolled().iter().sum());
        if let Some(uncertainty) = &self.uncertainty {
            self.parameters.extend(uncertainty.point(self.seed, block));
        }
        let strata: Vec<usize> = (0..tally.shape().strata).collect();
        for arm in 0..tally.shape().arms {
            for endpoint in Endpoint::ALL {
                let contrast = contrast(tally, &strata, arm, endpoint, self.bin);
                for (values, (_, _, value)) in self.estimates.iter_mut().zip(ESTIMATES) {
                    values.push(value(&contrast));
                }
            }
        }
        self.tally.merge(tally).expect("one trial has one shape");
    }

    /// The tally of all blocks, and the table.
    pub(crate) fn finish(self) -> (Tally, Vec<RecordColumn>) {
        let column = |name: &str, description: &str, width, values| RecordColumn {
            name: name.to_owned(),
            unit: "1".to_owned(),
            description: description.to_owned(),
            width,
            values,
        };
        let mut columns = vec![
            column(
                "index",
                "block: the patients from this times the patients of a block on",
                1,
                RecordValues::U64(self.index),
            ),
            column(
                "enrolled",
                "patients enrolled",
                1,
                RecordValues::U64(self.enrolled),
            ),
        ];
        let width = self.tally.shape().arms * Endpoint::ALL.len();
        for ((name, description, _), values) in ESTIMATES.into_iter().zip(self.estimates) {
            columns.push(column(name, description, width, RecordValues::F64(values)));
        }
        if let Some(uncertainty) = &self.uncertainty {
            let paths = uncertainty.factors.iter().map(|factor| &*factor.path);
            let paths = paths.collect::<Vec<_>>().join(", ");
            let description = format!("uncertain parameters, as drawn: {paths}");
            let values = RecordValues::F64(self.parameters);
            columns.push(column(
                "parameter",
                &description,
                uncertainty.factors.len(),
                values,
            ));
        }
        (self.tally, columns)
    }
}
