//! `reseed validate`: a result against patients who were followed and published incidences.

use std::path::Path;

use reseed_report::{
    Cohort, Group, Outcome, Patients, PointCells, Predicted, ValidateInput, Validation,
    validate as judge,
};
use reseed_results::{ResultFile, read_blocks, read_result};
use reseed_stats::RecordColumn;
use reseed_stats::cells::Cells;
use reseed_trial::{DAYS_PER_YEAR, Design, Trial};

use crate::args::{Cohorts, Validate};
use crate::commands::report;
use crate::exit::Failure;
use crate::output::{print, print_json};
use crate::{figures, identity, source};

/// Longest file of patients, bytes: some millions of them.
const PATIENTS_BYTES_MAX: u64 = 1 << 28;
/// Longest file of published quantities, bytes. Real ones have some thousand.
const TARGETS_BYTES_MAX: u64 = 1 << 20;

pub(crate) fn validate(args: &Validate) -> Result<(), Failure> {
    if let Some(folder) = &args.figures
        && !args.force
    {
        figures::check_folder(folder)?;
    }
    let file = read_result(&args.file)?;
    let trial = identity::described(&file)?;
    let arm = match &args.arm {
        Some(name) => source::arm(&trial, name)?,
        None => trial.scenario.control,
    };
    let validation = validation(&args.cohorts, &args.file, &file, &trial, arm)?;
    if let Some(folder) = &args.figures {
        figures::write(folder, validation.figures().iter())?;
    }
    if args.json {
        print_json(&validation)
    } else {
        print(&validation.to_text())
    }
}

/// Sets an arm of the result in a file against the cohorts of the command line.
pub(crate) fn validation(
    cohorts: &Cohorts,
    path: &Path,
    file: &ResultFile,
    trial: &Trial,
    arm: usize,
) -> Result<Validation, Failure> {
    let targets = cohorts.targets.as_deref().map(read_cohort).transpose()?;
    let against = Against {
        arm,
        patients: cohorts.patients.as_deref(),
        endpoint: &cohorts.endpoint,
        targets: targets.as_ref(),
        years: &cohorts.years,
    };
    validated(path, file, trial, &against)
}

/// What a result is set against, and when.
pub(crate) struct Against<'a> {
    /// The arm whose courses are predictions.
    pub(crate) arm: usize,
    /// File of patients who were followed.
    pub(crate) patients: Option<&'a Path>,
    /// What they were followed for.
    pub(crate) endpoint: &'a str,
    /// Published quantities.
    pub(crate) targets: Option<&'a Cohort>,
    /// When to judge; empty for the times of the trial that the cohort reaches.
    pub(crate) years: &'a [f64],
}

/// Sets the result in a file against cohorts.
pub(crate) fn validated(
    path: &Path,
    file: &ResultFile,
    trial: &Trial,
    against: &Against<'_>,
) -> Result<Validation, Failure> {
    let read = |path| read_patients(path, against.endpoint, trial, file);
    let patients = against.patients.map(read).transpose()?;
    judge(&ValidateInput {
        trial: &trial.name,
        title: &trial.title,
        seed: file.identity.seed,
        digest: &file.digest.to_string(),
        tally: &file.tally,
        arms: &file.layout.arms,
        arm: against.arm,
        strata: &file.layout.strata,
        edges_days: &file.layout.edges_days,
        groups: &groups(trial),
        points: read_points(path, trial)?.as_deref(),
        times_days: &times_days(against.years, trial, file, patients.as_ref()),
        patients: patients.as_ref(),
        targets: against.targets,
    })
    .map_err(|error| Failure::Usage(error.to_string()))
}

/// What every point of the uncertain parameters has, if the run kept it and the points are a sample
/// of what the parameters may be, which trajectories of Morris's are not.
fn read_points(path: &Path, trial: &Trial) -> Result<Option<Vec<PointCells>>, Failure> {
    let design = trial.uncertainty.as_ref().map(|plan| plan.design);
    let Some(shape) = trial
        .cell_shape()
        .filter(|_| design != Some(Design::Morris))
    else {
        return Ok(None);
    };
    let blocks = read_blocks(path)?;
    let damaged = |problem: &str| Failure::File(format!("{}: {problem}", path.display()));
    let cells = Cells::read(shape, &blocks).map_err(|error| damaged(&error.to_string()))?;
    let numbers = RecordColumn::named(&blocks, "index")
        .and_then(|column| column.counts(1))
        .ok_or_else(|| damaged("the blocks have no numbers"))?;
    let points = numbers.iter().zip(cells);
    Ok(Some(
        points
            .map(|(number, cells)| PointCells {
                number: *number,
                cells,
            })
            .collect(),
    ))
}

pub(crate) fn read_cohort(path: &Path) -> Result<Cohort, Failure> {
    let text = source::cohort(path, TARGETS_BYTES_MAX)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Cohort::parse(&name, &text).map_err(|error| Failure::Usage(error.to_string()))
}

fn read_patients(
    path: &Path,
    endpoint: &str,
    trial: &Trial,
    file: &ResultFile,
) -> Result<Patients, Failure> {
    let outcome = Outcome::named(endpoint)
        .ok_or_else(|| Failure::Usage(format!("there is no endpoint `{endpoint}`")))?;
    let text = source::cohort(path, PATIENTS_BYTES_MAX)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let axes = trial.strata.axes();
    let covariates: Vec<&str> = axes.iter().map(|axis| axis.name).collect();
    let predicted = Predicted {
        covariates: &covariates,
        stratum: &|values| trial.strata.at(values),
        labels: &file.layout.strata,
        enrolled: file.tally.enrolled(),
    };
    Patients::parse(&name, &text, outcome, &predicted)
        .map_err(|error| Failure::Usage(error.to_string()))
}

/// All patients, then those classes that a report looks at.
fn groups(trial: &Trial) -> Vec<Group> {
    let all = Group {
        kind: String::new(),
        label: "all patients".into(),
        strata: (0..trial.strata.len()).collect(),
    };
    std::iter::once(all)
        .chain(report::groups(&trial.strata))
        .collect()
}

/// When to judge, days from resection: at what the command line says; otherwise at those times of
/// the trial that the cohort reaches, or at the last that both reach.
fn times_days(
    years: &[f64],
    trial: &Trial,
    file: &ResultFile,
    patients: Option<&Patients>,
) -> Vec<f64> {
    let mut times = source::compared_days(years, trial);
    if let (Some(patients), true) = (patients, years.is_empty()) {
        let followed_days = patients.followed_years() * DAYS_PER_YEAR;
        times.retain(|day| *day <= followed_days);
        if times.is_empty() {
            let horizon_days = file.layout.edges_days.last().copied().unwrap_or(0.0);
            times.push(followed_days.min(horizon_days));
        }
    }
    times
}
