//! The file of a calibration: draws of the posterior, and what speaks for and against them.

use std::path::Path;

use hdf5::{File, Group};

use crate::digest::Digest;
use crate::error::ResultsError;
use crate::hdf::{
    Fault, describe, ensure, open, open_dataset, open_group, read_array, read_attribute, read_list,
    read_texts, read_values, write_array, write_attribute, write_texts,
};
use crate::layout::RunIdentity;
use crate::seal;
use crate::texts::TextForm;
use crate::whole;

/// Value of the attribute `format`, and what such a file is called.
const FORMAT: &str = "reseed-posterior";
const DESCRIPTION: &str = "posterior of a reseed calibration";

/// Most parameters that are read, and the longest of all other lists.
const PARAMETERS_MAX: usize = 64;
const LENGTH_MAX: usize = 1 << 16;

const RANKS: &str = "recovery_ranks";

/// What a calibration found.
#[derive(Debug, Clone, PartialEq)]
pub struct PosteriorFile {
    /// The trial with its priors.
    pub identity: RunIdentity,
    /// Keys of the parameters.
    pub parameters: Vec<String>,
    /// Quantiles of the priors at 2.5, 50 and 97.5 %, by parameter.
    pub priors: Vec<[f64; 3]>,
    /// Values in the keys' units, by draw and parameter.
    pub draws: Vec<Vec<f64>>,
    /// Weight of each draw; they add up to one.
    pub weights: Vec<f64>,
    /// Number of independent draws that would say as much of the parameters' means.
    pub effective_draws: f64,
    /// Logarithm of the likelihood of each draw, up to a constant.
    pub log_likelihoods: Vec<f64>,
    /// The single best point, by parameter.
    pub best: Vec<f64>,
    /// Share of the prior's variance that the data removed, by parameter.
    pub contractions: Vec<f64>,
    /// A row per wave of points.
    pub waves: Vec<WaveRow>,
    /// What was compared.
    pub targets: Vec<TargetRow>,
    /// Ranks of known parameters among draws given a cohort that they made, by parameter and
    /// cohort.
    pub recovery_ranks: Vec<Vec<f64>>,
}

/// How a wave went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WaveRow {
    /// Points.
    pub points: f64,
    /// Best logarithm of the likelihood, up to a constant.
    pub best_log_likelihood: f64,
    /// Median variance of counts about their surfaces over that of chance.
    pub dispersion: f64,
    /// Share of the posterior before the wave that remained effective after it; not a number for
    /// the first.
    pub agreement: f64,
}

/// A target beside the posterior.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetRow {
    /// The arm.
    pub arm: String,
    /// The patients.
    pub stratum: String,
    /// What was counted of them: a kind of event, `… incidence` or `share`.
    pub what: String,
    /// From when, years.
    pub from_years: f64,
    /// Until when, years.
    pub until_years: f64,
    /// Events of the cohort.
    pub events: f64,
    /// Time at risk in years, or patients.
    pub exposure: f64,
    /// Quantiles at 2.5, 50 and 97.5 % of the events that the posterior expects.
    pub expected: [f64; 3],
}

/// Writes the file whole.
///
/// # Errors
/// [`ResultsError`] if it cannot be written; an older file of that name is then still there.
pub fn write_posterior(path: &Path, posterior: &PosteriorFile) -> Result<(), ResultsError> {
    let written = whole::write(path, |file| build(file, posterior), read_posterior)?;
    // What is not a number differs from itself, so the draws stand for all.
    if written.draws == posterior.draws {
        Ok(())
    } else {
        Err(ResultsError::damaged(
            path,
            "reading it back gives other draws",
        ))
    }
}

fn build(file: &File, posterior: &PosteriorFile) -> Result<(), Fault> {
    let identity = &posterior.identity;
    let texts = TextForm::Native;
    texts.write_attribute(file, "format", FORMAT)?;
    texts.write_attribute(file, "engine_version", &identity.engine_version)?;
    texts.write_attribute(file, "model_version", &identity.model_version)?;
    let fingerprint = Digest(identity.fingerprint).to_string();
    texts.write_attribute(file, "trial_fingerprint", &fingerprint)?;
    write_attribute(file, "seed", &identity.seed)?;
    write_attribute(file, "effective_draws", &posterior.effective_draws)?;
    let trial = texts.write(file, "trial", &identity.trial_toml)?;
    describe(&trial, "", "canonical trial file with the priors (TOML)")?;
    write_draws(file, posterior)?;
    write_waves(&file.create_group("waves")?, &posterior.waves)?;
    write_targets(&file.create_group("targets")?, &posterior.targets)?;
    if let Some(cohorts) = posterior.recovery_ranks.first().map(Vec::len) {
        let shape = [posterior.recovery_ranks.len(), cohorts];
        let ranks = write_array(file, RANKS, &shape, &posterior.recovery_ranks.concat())?;
        let meaning = "share of draws below the known value, by parameter and invented cohort; \
                       uniform if the posterior is right";
        describe(&ranks, "1", meaning)?;
    }
    Ok(())
}

fn write_draws(file: &File, posterior: &PosteriorFile) -> Result<(), Fault> {
    let number = posterior.parameters.len();
    let names = write_texts(file, "parameters", &posterior.parameters)?;
    describe(&names, "", "keys of the parameters in a trial file")?;
    let priors = write_array(file, "priors", &[number, 3], &posterior.priors.concat())?;
    describe(
        &priors,
        "",
        "quantiles of the priors at 2.5, 50 and 97.5 %, by parameter",
    )?;
    let draws = posterior.draws.concat();
    let draws = write_array(file, "draws", &[posterior.draws.len(), number], &draws)?;
    describe(
        &draws,
        "",
        "draws of the posterior in the keys' units, by draw and parameter",
    )?;
    let by_draw = [
        ("weights", "weight of each draw", &posterior.weights),
        (
            "log_likelihoods",
            "logarithm of the likelihood of each draw, up to a constant",
            &posterior.log_likelihoods,
        ),
        (
            "best",
            "the single best point, by parameter",
            &posterior.best,
        ),
        (
            "contractions",
            "share of the prior's variance that the data removed, by parameter",
            &posterior.contractions,
        ),
    ];
    for (name, meaning, values) in by_draw {
        describe(
            &write_array(file, name, &[values.len()], values)?,
            "1",
            meaning,
        )?;
    }
    Ok(())
}

/// Name, meaning and values of a column of a table.
type Column<'a, T> = (&'a str, &'a str, fn(&T) -> f64);
type TextColumn<'a, T> = (&'a str, &'a str, fn(&T) -> &str);

fn write_columns<T>(group: &Group, rows: &[T], columns: &[Column<'_, T>]) -> Result<(), Fault> {
    for (name, meaning, value) in columns {
        let values: Vec<f64> = rows.iter().map(value).collect();
        describe(
            &write_array(group, name, &[values.len()], &values)?,
            "1",
            meaning,
        )?;
    }
    Ok(())
}

fn write_waves(group: &Group, waves: &[WaveRow]) -> Result<(), Fault> {
    let columns: [Column<'_, WaveRow>; 4] = [
        ("points", "points of the wave", |wave| wave.points),
        (
            "best_log_likelihood",
            "best logarithm of the likelihood, up to a constant",
            |wave| wave.best_log_likelihood,
        ),
        (
            "dispersion",
            "median variance of counts about their surfaces over that of chance",
            |wave| wave.dispersion,
        ),
        (
            "agreement",
            "share of the posterior before the wave that remained effective after it",
            |wave| wave.agreement,
        ),
    ];
    write_columns(group, waves, &columns)
}

fn write_targets(group: &Group, targets: &[TargetRow]) -> Result<(), Fault> {
    let texts: [TextColumn<'_, TargetRow>; 3] = [
        ("arms", "the arm", |target| &target.arm),
        ("strata", "the patients", |target| &target.stratum),
        (
            "what",
            "what was counted of them: a kind of event, its incidence, or their share",
            |target| &target.what,
        ),
    ];
    for (name, meaning, text) in texts {
        let values: Vec<&str> = targets.iter().map(text).collect();
        describe(&write_texts(group, name, &values)?, "", meaning)?;
    }
    let columns: [Column<'_, TargetRow>; 7] = [
        ("from_years", "from when, years", |target| target.from_years),
        ("until_years", "until when, years", |target| {
            target.until_years
        }),
        ("events", "events of the cohort", |target| target.events),
        ("exposure", "time at risk in years, or patients", |target| {
            target.exposure
        }),
        (
            "expected_low",
            "2.5 % quantile of the expected events",
            |target| target.expected[0],
        ),
        (
            "expected_median",
            "median of the expected events",
            |target| target.expected[1],
        ),
        (
            "expected_high",
            "97.5 % quantile of the expected events",
            |target| target.expected[2],
        ),
    ];
    write_columns(group, targets, &columns)
}

/// Reads a file of a calibration.
///
/// # Errors
/// [`ResultsError`] if it cannot be read or is something else.
pub fn read_posterior(path: &Path) -> Result<PosteriorFile, ResultsError> {
    seal::check(path, DESCRIPTION)?;
    let file = open(path).map_err(|fault| fault.reading(path))?;
    read(&file).map_err(|fault| fault.reading(path))
}

fn read(file: &File) -> Result<PosteriorFile, Fault> {
    let text = |name| TextForm::Native.read_attribute(file, name);
    let format = text("format")?;
    ensure(format == FORMAT, || {
        format!("its format is {format:?}, not {FORMAT:?}")
    })?;
    let fingerprint = text("trial_fingerprint")?;
    let fingerprint = Digest::from_hex(&fingerprint)
        .ok_or_else(|| format!("trial_fingerprint is no digest: {fingerprint:?}"))?;
    let parameters = read_texts(file, "parameters", PARAMETERS_MAX)?;
    let number = parameters.len();
    ensure(number > 0, || "it has no parameters".into())?;
    let weights = read_list(file, "weights", LENGTH_MAX)?;
    let draws: Vec<f64> = read_array(file, "draws", &[weights.len(), number])?;
    let priors: Vec<f64> = read_array(file, "priors", &[number, 3])?;
    let waves = open_group(file, "waves")?;
    let targets = open_group(file, "targets")?;
    Ok(PosteriorFile {
        identity: RunIdentity {
            trial_toml: TextForm::Native.read(file, "trial")?,
            fingerprint: fingerprint.0,
            seed: read_attribute(file, "seed")?,
            engine_version: text("engine_version")?,
            model_version: text("model_version")?,
        },
        effective_draws: read_attribute(file, "effective_draws")?,
        priors: priors
            .chunks_exact(3)
            .map(|prior| [prior[0], prior[1], prior[2]])
            .collect(),
        draws: draws.chunks_exact(number).map(<[f64]>::to_vec).collect(),
        log_likelihoods: read_array(file, "log_likelihoods", &[weights.len()])?,
        best: read_array(file, "best", &[number])?,
        contractions: read_array(file, "contractions", &[number])?,
        waves: read_waves(&waves)?,
        targets: read_targets(&targets)?,
        recovery_ranks: read_ranks(file, number)?,
        parameters,
        weights,
    })
}

fn read_waves(group: &Group) -> Result<Vec<WaveRow>, Fault> {
    let points: Vec<f64> = read_list(group, "points", LENGTH_MAX)?;
    let column = |name| read_array::<f64>(group, name, &[points.len()]);
    let (best, dispersion) = (column("best_log_likelihood")?, column("dispersion")?);
    let agreement = column("agreement")?;
    let rows = (0..points.len()).map(|at| WaveRow {
        points: points[at],
        best_log_likelihood: best[at],
        dispersion: dispersion[at],
        agreement: agreement[at],
    });
    Ok(rows.collect())
}

fn read_targets(group: &Group) -> Result<Vec<TargetRow>, Fault> {
    let strata = read_texts(group, "strata", LENGTH_MAX)?;
    let what = read_texts(group, "what", LENGTH_MAX)?;
    let arms = read_texts(group, "arms", LENGTH_MAX)?;
    let column = |name| read_array::<f64>(group, name, &[strata.len()]);
    let (from, until) = (column("from_years")?, column("until_years")?);
    let (events, exposure) = (column("events")?, column("exposure")?);
    let quantiles = [
        column("expected_low")?,
        column("expected_median")?,
        column("expected_high")?,
    ];
    ensure(
        what.len() == strata.len() && arms.len() == strata.len(),
        || "targets differ in number".into(),
    )?;
    let texts = arms.into_iter().zip(strata).zip(what);
    let rows = texts
        .enumerate()
        .map(|(at, ((arm, stratum), what))| TargetRow {
            arm,
            stratum,
            what,
            from_years: from[at],
            until_years: until[at],
            events: events[at],
            exposure: exposure[at],
            expected: std::array::from_fn(|which| quantiles[which][at]),
        });
    Ok(rows.collect())
}

fn read_ranks(file: &File, parameters: usize) -> Result<Vec<Vec<f64>>, Fault> {
    if !file.link_exists(RANKS) {
        return Ok(Vec::new());
    }
    let dataset = open_dataset(file, RANKS)?;
    let shape = dataset.shape();
    ensure(
        shape.len() == 2 && shape[0] == parameters && (1..=LENGTH_MAX).contains(&shape[1]),
        || format!("{RANKS} has the shape {shape:?}"),
    )?;
    let ranks: Vec<f64> = read_values(&dataset, RANKS, &shape)?;
    Ok(ranks.chunks_exact(shape[1]).map(<[f64]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posterior() -> PosteriorFile {
        PosteriorFile {
            identity: RunIdentity {
                trial_toml: "name = \"small\"".into(),
                fingerprint: [7; 32],
                seed: 5,
                engine_version: "1".into(),
                model_version: "2".into(),
            },
            parameters: vec!["growth.distant_ratio".into(), "dormancy.probability".into()],
            priors: vec![[1.0, 1.75, 2.5], [0.0, 0.3, 0.6]],
            draws: vec![vec![1.0, 0.25], vec![1.5, 0.5], vec![2.0, 0.75]],
            effective_draws: 2.5,
            weights: vec![0.25, 0.25, 0.5],
            log_likelihoods: vec![-3.0, -2.0, -1.0],
            best: vec![1.75, 0.6],
            contractions: vec![0.5, 0.0],
            waves: vec![WaveRow {
                points: 100.0,
                best_log_likelihood: -1.0,
                dispersion: 1.25,
                agreement: 0.75,
            }],
            targets: vec![TargetRow {
                arm: "control".into(),
                stratum: "nodes 0".into(),
                what: "local".into(),
                from_years: 0.0,
                until_years: 0.5,
                events: 3.0,
                exposure: 100.0,
                expected: [1.0, 2.0, 4.0],
            }],
            recovery_ranks: vec![vec![0.1, 0.9], vec![0.5, 0.75]],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("posterior.h5");
        let without_ranks = PosteriorFile {
            recovery_ranks: Vec::new(),
            ..posterior()
        };
        for posterior in [posterior(), without_ranks] {
            write_posterior(&path, &posterior).unwrap();
            assert_eq!(read_posterior(&path).unwrap(), posterior);
        }
    }

    #[test]
    fn another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("posterior.h5");
        std::fs::write(&path, "draws").unwrap();
        assert!(read_posterior(&path).is_err());
        write_posterior(&path, &posterior()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let text = read_posterior(&path).unwrap_err().to_string();
        assert!(text.contains("damaged"), "{text}");
    }
}
