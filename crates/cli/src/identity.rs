//! What a result file must say about its run, from a trial and back.

use reseed_model::MODEL_VERSION;
use reseed_model::patient::{EXCLUSIONS, Exclusion};
use reseed_results::{HistogramAxis, Layout, ResultFile, RunIdentity};
use reseed_trial::{Trial, TrialError};

use crate::exit::Failure;

/// Version of this program, in every file it writes.
pub(crate) const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Names of the reasons of exclusion, in the order of [`Exclusion`].
const EXCLUSION_NAMES: [&str; EXCLUSIONS] = [
    "age",
    "size",
    "il6",
    "il8",
    "metastatic",
    "ctc_status",
    "nodes",
    "saturated",
];

/// Name of a reason of exclusion, as in result files.
pub(crate) fn exclusion_name(reason: Exclusion) -> &'static str {
    EXCLUSION_NAMES[reason as usize]
}

/// Identity of a run of the trial.
pub(crate) fn identity(trial: &Trial, seed: u64) -> RunIdentity {
    RunIdentity {
        trial_toml: without_run(&trial.canonical_toml()),
        fingerprint: trial.fingerprint(),
        seed,
        engine_version: ENGINE_VERSION.into(),
        model_version: MODEL_VERSION.into(),
    }
}

/// Whether two identities are of the same run, whatever program wrote the files.
pub(crate) fn same_run(one: &RunIdentity, other: &RunIdentity) -> bool {
    one.fingerprint == other.fingerprint && one.seed == other.seed
}

/// Labels of the axes of the trial's tallies.
pub(crate) fn layout(trial: &Trial) -> Layout {
    let arms = &trial.scenario.arms;
    Layout {
        shape: trial.shape(),
        arms: arms.iter().map(|arm| arm.name.clone()).collect(),
        radiotherapy: arms.iter().map(|arm| arm.radiotherapy).collect(),
        strata: trial.strata.labels(),
        exclusions: EXCLUSION_NAMES.map(String::from).to_vec(),
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

/// The trial of a result, if this program computes the same results for it.
pub(crate) fn trial_of(file: &ResultFile) -> Result<Trial, Failure> {
    let RunIdentity {
        fingerprint,
        model_version,
        engine_version,
        ..
    } = &file.identity;
    if model_version != MODEL_VERSION {
        return Err(Failure::File(format!(
            "the result was computed with model version {model_version}, but this program has \
             {MODEL_VERSION}, which gives other numbers; use reseed {engine_version}"
        )));
    }
    let trial = described(file)?;
    if trial.fingerprint() != *fingerprint {
        return Err(Failure::File(
            "the trial in the result file does not have the fingerprint that the file states, so \
             another version of reseed wrote it; use that version"
                .into(),
        ));
    }
    Ok(trial)
}

/// The trial of a result, to describe what is in it.
pub(crate) fn described(file: &ResultFile) -> Result<Trial, Failure> {
    let RunIdentity {
        trial_toml, seed, ..
    } = &file.identity;
    read(trial_toml, *seed, file.tally.screened()).map_err(|error| {
        Failure::File(format!(
            "this version of reseed cannot read the trial in the result file:\n{error}"
        ))
    })
}

/// Reads the trial text of a result.
fn read(trial_toml: &str, seed: u64, patients: u64) -> Result<Trial, TrialError> {
    let run = format!("{RUN}patients = {patients}\nseed = {seed}\n");
    Trial::parse(
        "trial in the result file",
        &trial_toml.replacen(RUN, &run, 1),
    )
}

/// Head of the table with the size and seed of a run.
const RUN: &str = "[run]\n";

/// A canonical trial text without the size and seed of a run. They are not the trial's, and an
/// extended result has the digest of one that had its size from the start.
fn without_run(canonical: &str) -> String {
    let (before, run) = canonical.split_once(RUN).unwrap_or((canonical, ""));
    let kept = run
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("patients = ") && !line.starts_with("seed = "));
    [before, RUN].into_iter().chain(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_survives_its_result() {
        for name in reseed_trial::preset_names() {
            let mut trial = Trial::preset(name).expect("a preset");
            let text = identity(&trial, 5).trial_toml;
            (trial.patients, trial.seed) = (77, 5);
            assert_eq!(
                identity(&trial, 5).trial_toml,
                text,
                "size and seed are left out"
            );
            assert_eq!(read(&text, 5, 77), Ok(trial));
        }
    }
}
