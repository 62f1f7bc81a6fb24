//! Where trials come from: a file, or a preset's name.

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use reseed_trial::{DAYS_PER_YEAR, Trial};

use crate::args::TrialChoice;
use crate::exit::Failure;
use crate::precision;

/// Longest trial file, bytes. Real ones have some thousand.
const TRIAL_BYTES_MAX: u64 = 1 << 20;

/// The names of the presets, for messages.
pub(crate) fn presets() -> String {
    let names: Vec<&str> = reseed_trial::preset_names().collect();
    names.join(", ")
}

/// Reads the trial that `source` names: a preset, else a file. (`./breast` is always a file.)
pub(crate) fn trial(source: &str) -> Result<Trial, Failure> {
    if let Some(preset) = Trial::preset(source) {
        return Ok(preset);
    }
    let text = read(source)?;
    Ok(Trial::parse(source, &text)?)
}

/// Whether this names a result file, and not a trial.
pub(crate) fn is_result(source: &str) -> bool {
    let extension = Path::new(source).extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("h5"))
}

/// Reads the trial that the command line names, and changes what it says to change.
pub(crate) fn chosen(choice: &TrialChoice) -> Result<Trial, Failure> {
    let mut chosen = trial(&choice.trial)?;
    chosen.records |= choice.records;
    chosen.patients = chosen.whole_blocks(choice.patients.unwrap_or(chosen.patients));
    chosen.precision = choice.precision.or(chosen.precision);
    chosen.seed = choice.seed.unwrap_or(chosen.seed);
    precision::check(&chosen)?;
    Ok(chosen)
}

/// Checks the parameters that the blocks of these patients would have.
pub(crate) fn check_points(trial: &Trial, patients: &Range<u64>) -> Result<(), Failure> {
    let Some(block_patients) = trial.block_patients else {
        return Ok(());
    };
    trial
        .check_points(patients.start / block_patients..patients.end / block_patients)
        .map_err(|error| Failure::Usage(error.to_string()))
}

/// Reads a file about a cohort, which is no longer than this.
pub(crate) fn cohort(path: &Path, bytes_max: u64) -> Result<String, Failure> {
    text_of(path, bytes_max, "read cohort", "cohort")
}

/// Reads a context file, which is no longer than this.
pub(crate) fn context(path: &Path, bytes_max: u64) -> Result<String, Failure> {
    text_of(path, bytes_max, "read context", "context")
}

fn text_of(
    path: &Path,
    bytes_max: u64,
    action: &'static str,
    what: &str,
) -> Result<String, Failure> {
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_string(&mut text))
        .map_err(Failure::system(action, path))?;
    if text.len() as u64 > bytes_max {
        return Err(Failure::Usage(format!(
            "{} is longer than {bytes_max} bytes, so it is no {what}",
            path.display()
        )));
    }
    Ok(text)
}

/// Position of an arm that the command line names.
pub(crate) fn arm(trial: &Trial, name: &str) -> Result<usize, Failure> {
    trial.arm(name).ok_or_else(|| {
        Failure::Usage(format!(
            "there is no arm `{name}`; the trial has {}",
            arm_names(trial).join(", ")
        ))
    })
}

pub(crate) fn arm_names(trial: &Trial) -> Vec<&str> {
    let arms = trial.scenario.arms.iter();
    arms.map(|arm| arm.name.as_str()).collect()
}

/// Times at which a command compares arms, days from resection: those that it was given in years,
/// or the trial's.
pub(crate) fn compared_days(years: &[f64], trial: &Trial) -> Vec<f64> {
    if years.is_empty() {
        trial.compare_days.clone()
    } else {
        years.iter().map(|years| years * DAYS_PER_YEAR).collect()
    }
}

/// The trial that a command line has changed, as its own file would be read.
pub(crate) fn checked(trial: &Trial) -> Result<Trial, Failure> {
    Ok(Trial::parse(
        "trial with the options of the command line",
        &trial.canonical_toml(),
    )?)
}

fn read(source: &str) -> Result<String, Failure> {
    let path = Path::new(source);
    let looks_like_a_name = !source.contains(['/', '.']);
    if looks_like_a_name && !path.exists() {
        return Err(Failure::Usage(format!(
            "there is no preset and no file `{source}`; presets are {}",
            presets()
        )));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(TRIAL_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(Failure::system("read trial file", path))?;
    if bytes.len() as u64 > TRIAL_BYTES_MAX {
        return Err(Failure::Usage(format!(
            "{source} is longer than {TRIAL_BYTES_MAX} bytes, so it is no trial file"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        Failure::Usage(format!(
            "{source} is not UTF-8 text (byte {}), so it is no trial file",
            error.utf8_error().valid_up_to()
        ))
    })
}
