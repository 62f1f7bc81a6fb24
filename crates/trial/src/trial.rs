//! A validated trial and what follows from it alone.

use reseed_model::MODEL_VERSION;
use reseed_model::patient::{EXCLUSIONS, Exclusion};
use reseed_model::scenario::Scenario;
use reseed_stats::cells::CellShape;
use reseed_stats::{Endpoint, Shape};

use crate::canonical;
use crate::diagnostic::TrialError;
use crate::histogram::{HISTOGRAMS, Histogram};
use crate::read;
use crate::strata::Strata;
use crate::uncertainty::Uncertainty;
use crate::virtual_trials::VirtualTrials;

/// Days in a year, on average.
pub const DAYS_PER_YEAR: f64 = 365.25;

/// Days in a month, the width of a time bin.
pub const DAYS_PER_MONTH: f64 = DAYS_PER_YEAR / 12.0;

/// A trial: what to simulate, on how many patients, and how to count and compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Short name, of letters, digits and `_+.-`.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What the patient model computes.
    pub scenario: Scenario,
    /// Key in the trial file of each of the scenario's drugs. A drug's own `name` is its
    /// molecule, which several keys may share.
    pub drug_keys: Vec<String>,
    /// Patients to screen; with a precision, at most.
    pub patients: u64,
    /// Half-width of the primary comparison's 95 % interval, percentage points, below which a
    /// run ends at the next of its [`looks`](crate::looks).
    pub precision: Option<f64>,
    /// Patients of a block, if the trial has blocks: the patients are cut by their indices into
    /// ranges of this length, each of which shares its sampled parameters and its virtual
    /// trials, is computed whole, and leaves a row in the result.
    pub block_patients: Option<u64>,
    /// Parameters that are not known, and the points at which blocks try them; such a trial has
    /// blocks.
    pub uncertainty: Option<Uncertainty>,
    /// Seed of all randomness.
    pub seed: u64,
    /// Whether results keep a record of every enrolled patient.
    pub records: bool,
    /// Classes of patients counted apart.
    pub strata: Strata,
    /// Times at which arms are compared, days from resection, increasing; each is the end of a
    /// time bin.
    pub compare_days: Vec<f64>,
    /// The comparison that matters most.
    pub primary: Primary,
    /// Trials to draw from the patients, if any.
    pub virtual_trials: Option<VirtualTrials>,
}

/// The primary comparison, against the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Primary {
    /// Position of the arm; the control's own if the trial has no other.
    pub arm: usize,
    /// What is compared.
    pub endpoint: Endpoint,
    /// When, days from resection; the end of a time bin.
    pub day: f64,
}

impl Trial {
    /// Reads and checks the text of a trial file. `source_name` is what errors call it.
    ///
    /// # Errors
    /// [`TrialError`] with everything that is wrong.
    pub fn parse(source_name: &str, text: &str) -> Result<Self, TrialError> {
        read::trial(source_name, text)
    }

    /// The complete trial file: every value explicit, in one order and form. It parses back to
    /// an equal trial.
    pub fn canonical_toml(&self) -> String {
        canonical::toml(self, canonical::Style::Plain)
    }

    /// As [`Self::canonical_toml`], with the meaning, unit and range of every key in comments.
    pub fn documented_toml(&self) -> String {
        canonical::toml(self, canonical::Style::Documented)
    }

    /// The canonical file without `patients`, `precision` and `seed`, which make a run and not a
    /// trial: an extended run is of the same trial as one that had its size from the start.
    pub fn identity_toml(&self) -> String {
        canonical::toml(self, canonical::Style::Identity)
    }

    /// Reads what [`Self::identity_toml`] wrote, as a run of this size and seed, without a
    /// precision.
    ///
    /// # Errors
    /// [`TrialError`] with everything that is wrong.
    pub fn parse_identity(
        source_name: &str,
        text: &str,
        patients: u64,
        seed: u64,
    ) -> Result<Self, TrialError> {
        const RUN: &str = "[run]\n";
        let run = format!("{RUN}patients = {patients}\nseed = {seed}\n");
        Self::parse(source_name, &text.replacen(RUN, &run, 1))
    }

    /// Identity of the trial: BLAKE3 of the model version and the canonical file without
    /// `patients`, `precision` and `seed`, which make a run and not a trial.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"reseed trial\0");
        hasher.update(MODEL_VERSION.as_bytes());
        hasher.update(b"\0");
        hasher.update(self.identity_toml().as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// Lengths of the axes of the trial's tallies.
    pub fn shape(&self) -> Shape {
        Shape {
            strata: self.strata.len(),
            arms: self.scenario.arms.len(),
            control: self.scenario.control,
            bins: self.time_edges_days().len() - 1,
            reasons: EXCLUSIONS,
            histograms: HISTOGRAMS
                .iter()
                .map(|histogram| (histogram.name.to_owned(), histogram.bins()))
                .collect(),
        }
    }

    /// Lengths of the axes of the cells that blocks keep for a calibration, if they do.
    pub fn cell_shape(&self) -> Option<CellShape> {
        let half_years = self.uncertainty.as_ref()?.half_years;
        (half_years > 0).then(|| CellShape {
            arms: self.scenario.arms.len(),
            strata: self.strata.len(),
            half_years,
        })
    }

    /// Edges of the time bins, days from resection: monthly from 0, the last at the horizon.
    pub fn time_edges_days(&self) -> Vec<f64> {
        time_edges_days(self.scenario.follow_up.horizon_days)
    }

    /// The time bin that ends on this day, if one does (to a millionth of a day).
    pub fn bin_ending_at(&self, day: f64) -> Option<usize> {
        bin_ending_at(&self.time_edges_days(), day)
    }

    /// The tumour histograms, the same for every trial.
    pub fn histograms(&self) -> &'static [Histogram] {
        &HISTOGRAMS
    }

    /// This number of patients, rounded up to whole blocks if the trial has blocks.
    pub fn whole_blocks(&self, patients: u64) -> u64 {
        let block = self.block_patients.unwrap_or(1);
        patients.checked_next_multiple_of(block).unwrap_or(patients)
    }

    /// Position of an arm by its name.
    pub fn arm(&self, name: &str) -> Option<usize> {
        self.scenario.arms.iter().position(|arm| arm.name == name)
    }
}

/// Names of the reasons of exclusion, in the order of a tally's axis.
pub fn exclusion_names() -> [&'static str; EXCLUSIONS] {
    Exclusion::ALL.map(Exclusion::name)
}

/// Edges of monthly bins up to the horizon.
pub(crate) fn time_edges_days(horizon_days: f64) -> Vec<f64> {
    let mut edges = vec![0.0];
    for month in 1u32.. {
        let edge = f64::from(month) * DAYS_PER_MONTH;
        if edge >= horizon_days {
            break;
        }
        edges.push(edge);
    }
    edges.push(horizon_days);
    edges
}

/// The bin whose upper edge is this day, to a millionth of a day.
pub(crate) fn bin_ending_at(edges_days: &[f64], day: f64) -> Option<usize> {
    let edge = edges_days
        .iter()
        .position(|edge| (edge - day).abs() < 1e-6)?;
    edge.checked_sub(1)
}
