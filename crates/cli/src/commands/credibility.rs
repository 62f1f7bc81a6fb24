//! `reseed credibility`: what a review of a model's credibility asks for, as one document.

use std::path::{Path, PathBuf};

use reseed_report::{
    Calibrated, Calibration, Context, Credibility, CredibilityInput, PrimaryComparison, Ranked,
    Ranking, Recomputed, Validation, credibility as put_together,
};
use reseed_results::{ResultFile, read_posterior, read_result};
use reseed_trial::Trial;

use crate::args;
use crate::commands::{rank, report, validate, verify};
use crate::exit::Failure;
use crate::output::{Chatter, print_json};
use crate::whole::{self, Readers};
use crate::{identity, source, version};

/// Longest context file, bytes. Real ones have some thousand.
const CONTEXT_BYTES_MAX: u64 = 1 << 20;

/// What the beginning of every document of a form has.
const HTML_MARK: &str = "<meta name=\"generator\" content=\"reseed credibility\">";
const MARKDOWN_MARK: &str = "<!-- reseed credibility -->";

/// Form of the document.
#[derive(Debug, Clone, Copy)]
enum Form {
    Html,
    Markdown,
}

pub(crate) fn credibility(args: &args::Credibility, chatter: Chatter) -> Result<(), Failure> {
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.file.with_extension("credibility.html"));
    let form = Form::of(&out)?;
    if !args.force && !args.json {
        report::check_replaceable(&out, form.mark())?;
    }
    let document = document(args, chatter)?;
    if args.json {
        return print_json(&document);
    }
    let text = match form {
        Form::Html => document.to_html(),
        Form::Markdown => document.to_markdown(),
    };
    whole::write(&out, &text, Readers::All)?;
    for section in &document.sections {
        chatter.say(&format!(
            "{:<25} {}",
            section.title,
            section.verdict.words()
        ));
    }
    chatter.say(&format!(
        "{}: {:.0} kB",
        out.display(),
        text.len() as f64 / 1e3
    ));
    Ok(())
}

impl Form {
    fn of(out: &Path) -> Result<Self, Failure> {
        let extension = out.extension().unwrap_or_default();
        if extension.eq_ignore_ascii_case("html") {
            Ok(Self::Html)
        } else if extension.eq_ignore_ascii_case("md") {
            Ok(Self::Markdown)
        } else {
            Err(Failure::Usage(format!(
                "{} is neither HTML nor Markdown by its name; choose one that ends in .html or .md",
                out.display()
            )))
        }
    }

    const fn mark(self) -> &'static str {
        match self {
            Self::Html => HTML_MARK,
            Self::Markdown => MARKDOWN_MARK,
        }
    }
}

/// Reads the evidence, computes a part of the run again, and puts all of it together.
fn document(args: &args::Credibility, chatter: Chatter) -> Result<Credibility, Failure> {
    let context = args.context.as_deref().map(read_context).transpose()?;
    let file = read_result(&args.file)?;
    let trial = identity::described(&file)?;
    let validation = validation(args, &trial, &file)?;
    let posterior = args.posterior.as_deref().map(read_posterior).transpose()?;
    let calibrated = posterior.as_ref().map(Calibrated::of);
    let calibration = posterior.iter().zip(&calibrated).next();
    let posterior_name = args.posterior.as_deref().map(name_of);
    let ranking = ranking(args, &trial)?;
    let ranking_name = ranking.as_ref().map(|(path, _)| name_of(path));
    put_together(&CredibilityInput {
        trial: &trial.name,
        title: &trial.title,
        file_name: &name_of(&args.file),
        identity: &file.identity,
        layout: &file.layout,
        tally: &file.tally,
        digest: &file.digest.to_string(),
        primary: PrimaryComparison {
            arm: trial.primary.arm,
            endpoint: trial.primary.endpoint,
            day: trial.primary.day,
        },
        software: &software(),
        recomputed: &recomputed(args, &file, chatter)?,
        context: context.as_ref(),
        validation: validation.as_ref(),
        calibration: calibration.map(|(posterior, found)| Calibration {
            file_name: posterior_name.as_deref().unwrap_or_default(),
            found,
            trial_toml: &posterior.identity.trial_toml,
        }),
        ranking: ranking.as_ref().map(|(_, ranked)| Ranking {
            file_name: ranking_name.as_deref().unwrap_or_default(),
            ranked,
        }),
    })
    .map_err(|error| Failure::File(error.to_string()))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn software() -> Vec<(&'static str, String)> {
    let version = ("reseed", identity::ENGINE_VERSION.to_owned());
    std::iter::once(version).chain(version::details()).collect()
}

fn read_context(path: &Path) -> Result<Context, Failure> {
    let text = source::context(path, CONTEXT_BYTES_MAX)?;
    Context::parse(&name_of(path), &text).map_err(|error| Failure::Usage(error.to_string()))
}

/// The control against cohorts, if any were given.
fn validation(
    args: &args::Credibility,
    trial: &Trial,
    file: &ResultFile,
) -> Result<Option<Validation>, Failure> {
    let cohorts = &args.cohorts;
    if cohorts.patients.is_none() && cohorts.targets.is_none() {
        return Ok(None);
    }
    validate::validation(cohorts, &args.file, file, trial, trial.scenario.control).map(Some)
}

/// The ranking that was given, or that of the result itself if its parameters were uncertain.
fn ranking(args: &args::Credibility, trial: &Trial) -> Result<Option<(PathBuf, Ranked)>, Failure> {
    let path = match &args.ranking {
        Some(path) => path,
        None if trial.uncertainty.is_some() && trial.scenario.arms.len() > 1 => &args.file,
        None => return Ok(None),
    };
    let file = read_result(path)?;
    let ranked = rank::of_result(
        path,
        &file,
        &identity::described(&file)?,
        trial.primary.endpoint,
    )?;
    Ok(Some((path.clone(), ranked)))
}

/// What computing a part of the run again gives. That it differs is a finding like others.
fn recomputed(
    args: &args::Credibility,
    file: &ResultFile,
    chatter: Chatter,
) -> Result<Recomputed, Failure> {
    let trial = match identity::trial_of(file) {
        Ok(trial) => trial,
        Err(Failure::File(reason)) => return Ok(Recomputed::Impossible(reason)),
        Err(failure) => return Err(failure),
    };
    match verify::recompute(file, &trial, args.fraction, args.work.threads(), chatter) {
        Ok(summary) => Ok(Recomputed::Agrees {
            shards: summary.shards_checked,
            of_shards: summary.shards,
            patients: summary.patients_checked,
            fraction: args.fraction,
        }),
        Err(Failure::Mismatch(difference)) => Ok(Recomputed::Differs(difference)),
        Err(failure) => Err(failure),
    }
}
