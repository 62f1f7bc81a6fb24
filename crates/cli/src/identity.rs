//! What a result file must say about its run, from a trial and back.

use reseed_results::{PosteriorFile, ResultFile, RunIdentity};
use reseed_trial::{MODEL_VERSION, Trial};

use crate::exit::Failure;

/// Version of this program, in every file it writes.
pub(crate) const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Identity of a run of the trial.
pub(crate) fn identity(trial: &Trial, seed: u64) -> RunIdentity {
    RunIdentity::of(trial, seed, ENGINE_VERSION)
}

/// Whether two identities are of the same run, whatever program wrote the files.
pub(crate) fn same_run(one: &RunIdentity, other: &RunIdentity) -> bool {
    one.fingerprint == other.fingerprint && one.seed == other.seed
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
    read(
        "trial in the result file",
        &file.identity,
        file.tally.screened(),
    )
}

/// The trial of a calibration.
pub(crate) fn calibrated(file: &PosteriorFile) -> Result<Trial, Failure> {
    read("trial in the file of the calibration", &file.identity, 1)
}

fn read(name: &str, identity: &RunIdentity, patients: u64) -> Result<Trial, Failure> {
    let RunIdentity {
        trial_toml, seed, ..
    } = identity;
    Trial::parse_identity(name, trial_toml, patients, *seed).map_err(|error| {
        Failure::File(format!(
            "this version of reseed cannot read the {name}:\n{error}"
        ))
    })
}
