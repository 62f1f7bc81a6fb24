//! Power, type I error and expected size of virtual trials, from the counts of their blocks.
//!
//! Trials come in blocks. Those of a block draw from the same patients and, in a run with
//! uncertain parameters, live under the same parameters; so they are alike, and what counts for
//! precision is how much blocks differ. Estimates are means over blocks, with the standard error
//! between them and Student's quantiles. A run with a single block, or whose blocks all have the
//! same share, has only the binomial error, as if its patients were everybody.
//!
//! With uncertain parameters the mean over blocks is the probability of success whatever the
//! truth may be: assurance (O'Hagan, Stevens and Campbell, Pharm Stat 2005;4:187).

use thiserror::Error;

use crate::distribution::{
    CRITICAL_95, normal_tail, normal_upper_quantile, student_upper_quantile,
};
use crate::estimate::Estimate;
use crate::records::{RecordColumn, RecordValues};
use crate::sample::clustered_mean;
use crate::share::score_interval;
use crate::virtual_trial::{Analysis, Design, Outcome, Verdict};

/// Lengths of the axes of the counts: arm slowest, look fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialShape {
    /// Arms, each as the treatment; the control too, as the null hypothesis.
    pub arms: usize,
    /// Sizes of trials.
    pub sizes: usize,
    /// Looks, the last included.
    pub looks: usize,
}

impl TrialShape {
    /// Of trials of a design with so many arms as the treatment.
    pub fn of(design: &Design, arms: usize) -> Self {
        Self {
            arms,
            sizes: design.control_patients.len(),
            looks: design.looks.len(),
        }
    }
}

/// What the trials of a block add up to.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockTrials {
    shape: TrialShape,
    trials: u64,
    /// By [`BY_LOOK`], each by arm, size and look.
    by_look: [Vec<u64>; BY_LOOK.len()],
    /// By [`COUNTS`], each by arm and size.
    counts: [Vec<u64>; COUNTS.len()],
    /// By [`SUMS`], each by arm and size, added up in the order of the trials.
    sums: [Vec<f64>; SUMS.len()],
}

/// A column: name, unit and meaning.
type Named = (&'static str, &'static str, &'static str);

const TRIALS: Named = ("trials", "1", "virtual trials of the block");

const BENEFIT: usize = 0;
const HARM: usize = 1;
const BY_LOOK: [Named; 2] = [
    (
        "trials_benefit",
        "1",
        "trials that rejected for benefit, by arm, size and look (fastest)",
    ),
    (
        "trials_harm",
        "1",
        "trials that rejected for harm, by arm, size and look (fastest)",
    ),
];

const END_BENEFIT: usize = 0;
const END_HARM: usize = 1;
const PATIENTS: usize = 2;
const EVENTS: usize = 3;
const RATIOS: usize = 4;
const END_EVENTS: usize = 5;
const END_RATIOS: usize = 6;
const COUNTS: [Named; 7] = [
    (
        "trials_end_benefit",
        "1",
        "trials that reject for benefit in one analysis at their planned end, by arm and size (fastest)",
    ),
    (
        "trials_end_harm",
        "1",
        "trials that reject for harm in one analysis at their planned end, by arm and size (fastest)",
    ),
    (
        "trials_patients",
        "1",
        "patients enrolled when the trials stopped, added up, by arm and size (fastest)",
    ),
    (
        "trials_events",
        "1",
        "events seen when the trials stopped, added up, by arm and size (fastest)",
    ),
    (
        "trials_ratios",
        "1",
        "trials with a finite hazard ratio when they stopped, by arm and size (fastest)",
    ),
    (
        "trials_end_events",
        "1",
        "events seen by the planned end, added up, by arm and size (fastest)",
    ),
    (
        "trials_end_ratios",
        "1",
        "trials with a finite hazard ratio at their planned end, by arm and size (fastest)",
    ),
];

const DAYS: usize = 0;
const LOG_RATIO: usize = 1;
const END_LOG_RATIO: usize = 2;
const SUMS: [Named; 3] = [
    (
        "trials_days",
        "day",
        "days from the opening of accrual to the stop, added up, by arm and size (fastest)",
    ),
    (
        "trials_log_ratio",
        "1",
        "finite logarithms of the hazard ratio at the stop, added up, by arm and size (fastest)",
    ),
    ("trials_end_log_ratio", "1", "the same at the planned end"),
];

/// Why columns are not the counts of virtual trials.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PowerError {
    /// A column is not there.
    #[error("there is no column {0}; the file is damaged or of another version")]
    Missing(&'static str),
    /// A column has other values than it should.
    #[error("column {0} does not hold what it should; the file is damaged or of another version")]
    Unsuited(&'static str),
}

impl BlockTrials {
    /// No trial yet.
    pub fn new(shape: TrialShape) -> Self {
        let cells = shape.arms * shape.sizes;
        Self {
            shape,
            trials: 0,
            by_look: BY_LOOK.map(|_| vec![0; cells * shape.looks]),
            counts: COUNTS.map(|_| vec![0; cells]),
            sums: SUMS.map(|_| vec![0.0; cells]),
        }
    }

    /// Says that one more trial has been drawn; its outcomes are counted by [`Self::count`].
    pub fn add_trial(&mut self) {
        self.trials += 1;
    }

    /// Trials drawn.
    pub fn trials(&self) -> u64 {
        self.trials
    }

    /// Counts a trial's outcome with one arm as the treatment.
    pub fn count(&mut self, arm: usize, size: usize, outcome: &Outcome) {
        let cell = arm * self.shape.sizes + size;
        let at_look = cell * self.shape.looks + outcome.look;
        match outcome.verdict {
            Verdict::Benefit => self.by_look[BENEFIT][at_look] += 1,
            Verdict::Harm => self.by_look[HARM][at_look] += 1,
            Verdict::Neither => {}
        }
        match outcome.end_verdict {
            Verdict::Benefit => self.counts[END_BENEFIT][cell] += 1,
            Verdict::Harm => self.counts[END_HARM][cell] += 1,
            Verdict::Neither => {}
        }
        self.counts[PATIENTS][cell] += outcome.stop.enrolled as u64;
        self.counts[EVENTS][cell] += outcome.stop.events;
        self.counts[END_EVENTS][cell] += outcome.end.events;
        self.sums[DAYS][cell] += outcome.stop.day;
        self.add_ratio(cell, RATIOS, LOG_RATIO, &outcome.stop);
        self.add_ratio(cell, END_RATIOS, END_LOG_RATIO, &outcome.end);
    }

    fn add_ratio(&mut self, cell: usize, count: usize, sum: usize, analysis: &Analysis) {
        if analysis.log_ratio.value.is_finite() {
            self.counts[count][cell] += 1;
            self.sums[sum][cell] += analysis.log_ratio.value;
        }
    }

    /// A row for each block.
    pub fn columns(shape: TrialShape, blocks: &[Self]) -> Vec<RecordColumn> {
        let cells = shape.arms * shape.sizes;
        let trials = blocks.iter().map(|block| block.trials).collect();
        let mut columns = vec![column(&TRIALS, 1, RecordValues::U64(trials))];
        for (place, name) in BY_LOOK.iter().enumerate() {
            let values = blocks.iter().flat_map(|block| block.by_look[place].clone());
            let values = RecordValues::U64(values.collect());
            columns.push(column(name, cells * shape.looks, values));
        }
        for (place, name) in COUNTS.iter().enumerate() {
            let values = blocks.iter().flat_map(|block| block.counts[place].clone());
            columns.push(column(name, cells, RecordValues::U64(values.collect())));
        }
        for (place, name) in SUMS.iter().enumerate() {
            let values = blocks.iter().flat_map(|block| block.sums[place].clone());
            columns.push(column(name, cells, RecordValues::F64(values.collect())));
        }
        columns
    }

    /// The blocks in the rows of a table that has the columns of [`Self::columns`], perhaps among
    /// others.
    ///
    /// # Errors
    /// [`PowerError`] if a column is missing or does not fit the shape.
    pub fn read(shape: TrialShape, columns: &[RecordColumn]) -> Result<Vec<Self>, PowerError> {
        let trials = whole_numbers(columns, &TRIALS, 1)?;
        let cells = shape.arms * shape.sizes;
        let mut blocks = Vec::with_capacity(trials.len());
        for (row, trials) in trials.iter().enumerate() {
            let mut block = Self::new(shape);
            block.trials = *trials;
            for (name, into) in BY_LOOK.iter().zip(&mut block.by_look) {
                let width = cells * shape.looks;
                into.copy_from_slice(part(
                    whole_numbers(columns, name, width)?,
                    row,
                    name,
                    width,
                )?);
            }
            for (name, into) in COUNTS.iter().zip(&mut block.counts) {
                into.copy_from_slice(part(
                    whole_numbers(columns, name, cells)?,
                    row,
                    name,
                    cells,
                )?);
            }
            for (name, into) in SUMS.iter().zip(&mut block.sums) {
                into.copy_from_slice(part(numbers(columns, name, cells)?, row, name, cells)?);
            }
            blocks.push(block);
        }
        Ok(blocks)
    }
}

fn column((name, unit, description): &Named, width: usize, values: RecordValues) -> RecordColumn {
    RecordColumn {
        name: (*name).to_owned(),
        unit: (*unit).to_owned(),
        description: (*description).to_owned(),
        width,
        values,
    }
}

/// Row of a column.
fn part<'a, T>(
    values: &'a [T],
    row: usize,
    name: &Named,
    width: usize,
) -> Result<&'a [T], PowerError> {
    let place = row * width..(row + 1) * width;
    values.get(place).ok_or(PowerError::Unsuited(name.0))
}

fn whole_numbers<'a>(
    columns: &'a [RecordColumn],
    name: &Named,
    width: usize,
) -> Result<&'a [u64], PowerError> {
    let values = named(columns, name)?.counts(width);
    values.ok_or(PowerError::Unsuited(name.0))
}

fn numbers<'a>(
    columns: &'a [RecordColumn],
    name: &Named,
    width: usize,
) -> Result<&'a [f64], PowerError> {
    let values = named(columns, name)?.numbers(width);
    values.ok_or(PowerError::Unsuited(name.0))
}

fn named<'a>(columns: &'a [RecordColumn], name: &Named) -> Result<&'a RecordColumn, PowerError> {
    RecordColumn::named(columns, name.0).ok_or(PowerError::Missing(name.0))
}

/// A share of the trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrialShare {
    /// The share with its standard error.
    pub estimate: Estimate,
    /// Its 95 % interval: Wilson's score interval for the number of independent trials that would
    /// have this standard error (Korn and Graubard, Surv Methodol 1998;24:193).
    pub interval: (f64, f64),
}

/// What is known of the trials of one size with one arm as the treatment.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerEstimate {
    /// Blocks of trials.
    pub blocks: usize,
    /// Trials in all.
    pub trials: u64,
    /// Trials that reject for benefit: power.
    pub benefit: TrialShare,
    /// Trials that reject for benefit or harm; the type I error where the control is the treatment.
    pub rejection: TrialShare,
    /// Trials that reject for benefit or harm by each look.
    pub rejection_by_look: Vec<TrialShare>,
    /// Trials that would reject for benefit in one analysis at their planned end.
    pub fixed_benefit: TrialShare,
    /// Trials that would reject for benefit or harm in it.
    pub fixed_rejection: TrialShare,
    /// Patients enrolled when a trial stops.
    pub patients: Estimate,
    /// Days from the opening of accrual until then.
    pub days: Estimate,
    /// Events seen by then.
    pub events: Estimate,
    /// Logarithm of the hazard ratio reported then, which stopping early makes look better.
    pub log_ratio: Estimate,
    /// Events seen by the planned end.
    pub end_events: Estimate,
    /// Logarithm of the hazard ratio at the planned end.
    pub end_log_ratio: Estimate,
}

impl PowerEstimate {
    /// From the blocks of a run.
    ///
    /// # Panics
    /// If the arm or size is not in the shape of the blocks.
    pub fn new(blocks: &[BlockTrials], arm: usize, size: usize) -> Self {
        let cell = |block: &BlockTrials| arm * block.shape.sizes + size;
        let rejections = |block: &BlockTrials, verdicts: &[usize], looks: usize| {
            let first = cell(block) * block.shape.looks;
            let by_look = |verdict: &usize| {
                let counts = &block.by_look[*verdict][first..first + looks];
                counts.iter().sum::<u64>()
            };
            verdicts.iter().map(by_look).sum::<u64>()
        };
        let looks = blocks.first().map_or(0, |block| block.shape.looks);
        let until = |look: usize| {
            share(blocks, |block| {
                rejections(block, &[BENEFIT, HARM], look + 1)
            })
        };
        let of_count = |count: usize| {
            mean(blocks, |block| {
                block.counts[count][cell(block)] as f64 / block.trials as f64
            })
        };
        let of_ratio = |sum: usize, count: usize| {
            mean(blocks, |block| {
                block.sums[sum][cell(block)] / block.counts[count][cell(block)] as f64
            })
        };
        Self {
            blocks: blocks.len(),
            trials: blocks.iter().map(|block| block.trials).sum(),
            benefit: share(blocks, |block| rejections(block, &[BENEFIT], looks)),
            rejection: share(blocks, |block| rejections(block, &[BENEFIT, HARM], looks)),
            rejection_by_look: (0..looks).map(until).collect(),
            fixed_benefit: share(blocks, |block| block.counts[END_BENEFIT][cell(block)]),
            fixed_rejection: share(blocks, |block| {
                block.counts[END_BENEFIT][cell(block)] + block.counts[END_HARM][cell(block)]
            }),
            patients: of_count(PATIENTS),
            days: mean(blocks, |block| {
                block.sums[DAYS][cell(block)] / block.trials as f64
            }),
            events: of_count(EVENTS),
            log_ratio: of_ratio(LOG_RATIO, RATIOS),
            end_events: of_count(END_EVENTS),
            end_log_ratio: of_ratio(END_LOG_RATIO, END_RATIOS),
        }
    }

    /// The geometric mean of hazard ratios, from the mean of their logarithms, and its 95 %
    /// interval.
    pub fn ratio(&self, log_ratio: Estimate) -> (f64, (f64, f64)) {
        let (lower, upper) = log_ratio.plain_interval(critical(self.blocks));
        let ratio = core_math::exp;
        (ratio(log_ratio.value), (ratio(lower), ratio(upper)))
    }
}

/// Quantile for a standard error that so many blocks tell; from one, the normal one.
fn critical(blocks: usize) -> f64 {
    if blocks < 2 {
        CRITICAL_95
    } else {
        student_upper_quantile(0.025, blocks - 1)
    }
}

/// Mean of what the blocks say, as far as they say anything, with its standard error between
/// them.
fn mean(blocks: &[BlockTrials], value: impl Fn(&BlockTrials) -> f64) -> Estimate {
    let values: Vec<(usize, f64)> = (blocks.iter().map(value).enumerate())
        .filter(|(_, value)| !value.is_nan())
        .collect();
    clustered_mean(&values)
}

fn share(blocks: &[BlockTrials], part: impl Fn(&BlockTrials) -> u64) -> TrialShare {
    let trials = blocks.iter().map(|block| block.trials).sum::<u64>() as f64;
    let between = mean(blocks, |block| part(block) as f64 / block.trials as f64);
    let value = between.value;
    let spread = value * (1.0 - value);
    // Written so that the error of a single block, which is not a number, is passed over.
    if between.standard_error > 0.0 {
        let independent = spread / (between.standard_error * between.standard_error);
        TrialShare {
            estimate: between,
            interval: score_interval(value, independent, critical(blocks.len())),
        }
    } else {
        TrialShare {
            estimate: Estimate::new(value, spread / trials),
            interval: score_interval(value, trials, CRITICAL_95),
        }
    }
}

/// Probability that a log-rank test at the two-sided level `alpha` rejects for benefit with so
/// many events and this logarithm of a constant hazard ratio (Schoenfeld, Biometrics
/// 1983;39:499). `treated_share` is the share of the patients who are treated.
pub fn schoenfeld_power(log_ratio: f64, events: f64, treated_share: f64, alpha: f64) -> f64 {
    let information = events * treated_share * (1.0 - treated_share);
    normal_tail(normal_upper_quantile(alpha / 2.0) + log_ratio * information.sqrt())
}
