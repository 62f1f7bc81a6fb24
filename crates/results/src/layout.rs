//! Who computed what, and the labels of every axis.

use reseed_stats::{ENDPOINTS, Shape};
use reseed_trial::{MODEL_VERSION, Trial, exclusion_names};

/// What identifies a run. Files of different runs never merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    /// Canonical text of the trial without its number of patients and its seed: those are the
    /// run's, so that an extended run equals one of that size from the start.
    pub trial_toml: String,
    /// The trial's fingerprint, which covers the model's version too.
    pub fingerprint: [u8; 32],
    /// Seed of all random streams.
    pub seed: u64,
    /// Version of the program.
    pub engine_version: String,
    /// Version of the patient model.
    pub model_version: String,
}

impl RunIdentity {
    /// Identity of a run of a trial by a program of this version.
    pub fn of(trial: &Trial, seed: u64, engine_version: &str) -> Self {
        Self {
            trial_toml: trial.identity_toml(),
            fingerprint: trial.fingerprint(),
            seed,
            engine_version: engine_version.into(),
            model_version: MODEL_VERSION.into(),
        }
    }
}

/// Labels of all axes of a tally: everything needed to read one without the trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Lengths of the axes, the control and the names of the tumour histograms.
    pub shape: Shape,
    /// Names of the arms.
    pub arms: Vec<String>,
    /// Whether each arm has radiotherapy.
    pub radiotherapy: Vec<bool>,
    /// Labels of the strata.
    pub strata: Vec<String>,
    /// Names of the reasons of exclusion.
    pub exclusions: Vec<String>,
    /// Edges of the time bins in days from resection; one more than there are bins.
    pub edges_days: Vec<f64>,
    /// Unit and edges of each tumour histogram, in the order of [`Shape::histograms`].
    pub histograms: Vec<HistogramAxis>,
}

/// Axis of a tumour histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramAxis {
    /// Unit of the edges.
    pub unit: String,
    /// Edges of the bins, increasing; one more than there are bins. The first and the last may
    /// be infinite.
    pub edges: Vec<f64>,
}

/// Longest axis a file may have; far above any real trial and far below what exhausts memory.
pub(crate) const AXIS_MAX: usize = 1 << 16;
/// Most tumour histograms or columns of records a file may have; far above any real one.
pub(crate) const LIST_MAX: usize = 64;
/// Most cells a table may have (1 GiB).
const CELLS_MAX: usize = 1 << 27;

impl Layout {
    /// Labels of the axes of a trial's tallies.
    pub fn of(trial: &Trial) -> Self {
        let arms = &trial.scenario.arms;
        Self {
            shape: trial.shape(),
            arms: arms.iter().map(|arm| arm.name.clone()).collect(),
            radiotherapy: arms.iter().map(|arm| arm.radiotherapy).collect(),
            strata: trial.strata.labels(),
            exclusions: exclusion_names().map(str::to_owned).to_vec(),
            edges_days: trial.time_edges_days(),
            histograms: trial
                .histograms()
                .iter()
                .map(|histogram| HistogramAxis {
                    unit: histogram.unit.into(),
                    edges: histogram.edges.to_vec(),
                })
                .collect(),
        }
    }

    /// Checks that labels, edges and axes fit together and that no table is absurdly large.
    ///
    /// # Errors
    /// A sentence that says what does not fit.
    pub fn check(&self) -> Result<(), String> {
        let shape = &self.shape;
        for (what, labels, length) in [
            ("arms", self.arms.len(), shape.arms),
            ("radiotherapy flags", self.radiotherapy.len(), shape.arms),
            ("strata", self.strata.len(), shape.strata),
            ("exclusion reasons", self.exclusions.len(), shape.reasons),
            ("time edges", self.edges_days.len(), shape.bins + 1),
            (
                "histogram axes",
                self.histograms.len(),
                shape.histograms.len(),
            ),
        ] {
            if labels != length {
                return Err(format!("{labels} {what} for an axis of {length}"));
            }
            if !(1..=AXIS_MAX).contains(&length) && what != "histogram axes" {
                return Err(format!("{length} {what}; 1 to {AXIS_MAX} are possible"));
            }
        }
        if shape.histograms.len() > LIST_MAX {
            return Err(format!(
                "{} histograms; at most {LIST_MAX} are possible",
                shape.histograms.len()
            ));
        }
        if shape.control >= shape.arms {
            return Err(format!("control {} of {} arms", shape.control, shape.arms));
        }
        let too_large = |axes: [usize; 4]| {
            axes.iter()
                .try_fold(1usize, |cells, axis| cells.checked_mul(*axis))
                .is_none_or(|cells| cells > CELLS_MAX)
        };
        let exits = shape.exit_cells();
        if too_large([shape.strata, shape.arms, shape.bins, 10])
            || too_large([shape.arms, ENDPOINTS, exits, exits])
        {
            return Err("strata, arms and time bins make too large a table".into());
        }
        check_edges("time", &self.edges_days)?;
        for (axis, (name, bins)) in self.histograms.iter().zip(&shape.histograms) {
            if axis.edges.len() != bins + 1 || *bins == 0 || *bins > AXIS_MAX {
                return Err(format!(
                    "histogram {name} has {} edges for {bins} bins",
                    axis.edges.len()
                ));
            }
            check_edges(name, &axis.edges)?;
        }
        Ok(())
    }
}

fn check_edges(what: &str, edges: &[f64]) -> Result<(), String> {
    if edges.windows(2).all(|pair| pair[0] < pair[1]) {
        Ok(())
    } else {
        Err(format!("edges of {what} do not increase"))
    }
}
