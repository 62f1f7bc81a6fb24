//! `reseed report`: a result as one page and as figures.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use reseed_report::{Cohort, Group, PrimaryComparison, Report, ReportError, ReportInput};
use reseed_results::read_result;
use reseed_trial::{Strata, Trial};

use crate::args;
use crate::commands::validate::{self, Against};
use crate::exit::Failure;
use crate::figures;
use crate::findings::findings;
use crate::identity;
use crate::output::Chatter;
use crate::source;
use crate::whole::{self, Readers};

/// What the beginning of every report has.
const MARK: &str = "<meta name=\"generator\" content=\"reseed report\">";
const MARK_WITHIN_BYTES: u64 = 4096;

pub(crate) fn report(args: &args::Report, chatter: Chatter) -> Result<(), Failure> {
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.file.with_extension("html"));
    if !args.force {
        check_replaceable(&out, MARK)?;
        if let Some(folder) = &args.figures {
            figures::check_folder(folder)?;
        }
    }
    let file = read_result(&args.file)?;
    let trial = identity::described(&file)?;
    let cohort = match &args.cohort {
        Some(path) => Some(validate::read_cohort(path)?),
        None => Cohort::built_in(&trial.name),
    };
    let against = Against {
        arm: trial.scenario.control,
        patients: args.patients.as_deref(),
        endpoint: &args.endpoint,
        targets: cohort.as_ref(),
        years: &args.years,
    };
    let validation = validate::validated(&args.file, &file, &trial, &against)?;
    let file_name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let report = Report::of(&ReportInput {
        file: &file,
        file_name: &file_name,
        trial: &trial.name,
        title: args.title.as_ref().unwrap_or(&trial.title),
        trial_toml: &trial.canonical_toml(),
        groups: &groups(&trial.strata),
        times_days: &source::compared_days(&args.years, &trial),
        primary: primary(&trial),
        validation: &validation,
        findings: &findings(&args.file, &file, &trial)?,
    })
    .map_err(|error| match error {
        ReportError::Time { .. } => Failure::Usage(error.to_string()),
        ReportError::Nobody(_) => Failure::File(error.to_string()),
    })?;
    if let Some(folder) = &args.figures {
        figures::write(folder, report.figures())?;
    }
    let html = report.to_html();
    whole::write(&out, &html, Readers::All)?;
    chatter.say(&format!(
        "{}: {:.1} MB",
        out.display(),
        html.len() as f64 / 1e6
    ));
    Ok(())
}

fn primary(trial: &Trial) -> PrimaryComparison {
    PrimaryComparison {
        arm: trial.primary.arm,
        endpoint: trial.primary.endpoint,
        day: trial.primary.day,
    }
}

/// Classes of every covariate that divides, the others pooled, then every stratum.
pub(crate) fn groups(strata: &Strata) -> Vec<Group> {
    let axes = strata.axes();
    let classes: Vec<Vec<usize>> = (0..strata.len())
        .map(|stratum| strata.classes_of(stratum))
        .collect();
    let mut groups = Vec::new();
    if axes.len() > 1 {
        for (position, axis) in axes.iter().enumerate() {
            let covariate = axis.name.split('_').next().unwrap_or(axis.name);
            groups.extend(axis.classes.iter().enumerate().map(|(class, label)| {
                Group {
                    kind: covariate.into(),
                    label: format!("{covariate} {label}"),
                    strata: (0..classes.len())
                        .filter(|stratum| classes[*stratum][position] == class)
                        .collect(),
                }
            }));
        }
    }
    if let Some(first) = axes.first() {
        let kind = if axes.len() > 1 {
            "strata"
        } else {
            first.name.split('_').next().unwrap_or(first.name)
        };
        let labels = strata.labels().into_iter().enumerate();
        groups.extend(labels.map(|(stratum, label)| Group {
            kind: kind.into(),
            label,
            strata: vec![stratum],
        }));
    }
    groups
}

/// A file may be replaced if its beginning has the mark of what is to be written.
pub(crate) fn check_replaceable(path: &Path, mark: &str) -> Result<(), Failure> {
    let mut beginning = Vec::new();
    match fs::File::open(path) {
        Ok(file) => file.take(MARK_WITHIN_BYTES).read_to_end(&mut beginning),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    }
    .map_err(Failure::system("read", path))?;
    if String::from_utf8_lossy(&beginning).contains(mark) {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{} is there and is no report of this program; choose another name with --out, or replace it \
         with --force",
        path.display()
    )))
}
