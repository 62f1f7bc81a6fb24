//! `reseed trial`: check, expand and list trial files.

use reseed_trial::{Diagnostic, json_schema, preset_names, preset_text};
use serde::Serialize;

use crate::args::Trial;
use crate::exit::Failure;
use crate::output::{Chatter, grouped, print, print_json, print_lines};
use crate::source;

pub(crate) fn trial(command: &Trial, chatter: Chatter) -> Result<(), Failure> {
    match command {
        Trial::Check { trial, json } => check(trial, *json, chatter),
        Trial::Show {
            trial,
            source,
            point,
            seed,
        } => match (source, point) {
            (true, _) => show_source(trial),
            (false, Some(point)) => show_point(trial, *point, *seed),
            (false, None) => print(&source::trial(trial)?.documented_toml()),
        },
        Trial::Presets { json } => presets(*json),
        Trial::Schema => print_json(&json_schema()),
    }
}

fn check(trial: &str, json: bool, chatter: Chatter) -> Result<(), Failure> {
    let checked = source::trial(trial);
    if json {
        let problems = match &checked {
            Err(Failure::Trial(error)) => error.diagnostics(),
            _ => &[],
        };
        print_json(&problems.iter().map(Problem::of).collect::<Vec<_>>())?;
    }
    let checked = checked?;
    chatter.say(&format!(
        "{trial} is right: {} arms, {} strata, {} patients",
        checked.scenario.arms.len(),
        checked.strata.len(),
        grouped(checked.patients)
    ));
    Ok(())
}

/// What is wrong in one place, for `--json`.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    message: &'a str,
    reason: &'a str,
    suggestion: Option<&'a str>,
}

impl<'a> Problem<'a> {
    fn of(diagnostic: &'a Diagnostic) -> Self {
        Self {
            file: &diagnostic.source_name,
            line: diagnostic.line,
            column: diagnostic.column,
            message: &diagnostic.message,
            reason: &diagnostic.reason,
            suggestion: diagnostic.suggestion.as_deref(),
        }
    }
}

fn show_point(trial: &str, point: u64, seed: Option<u64>) -> Result<(), Failure> {
    let mut whole = source::trial(trial)?;
    whole.seed = seed.unwrap_or(whole.seed);
    if whole.uncertainty.is_none() {
        return Err(Failure::Usage(format!(
            "{trial} has no uncertain parameters, so it has no points; leave out --point"
        )));
    }
    let mut at_point = whole
        .at_point(point)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    at_point.name = format!("{}-point-{point}", whole.name);
    print(&at_point.documented_toml())
}

fn show_source(trial: &str) -> Result<(), Failure> {
    match preset_text(trial) {
        Some(text) => print(text),
        None => Err(Failure::Usage(format!(
            "{trial} is not a preset, so it has no embedded file; presets are {}",
            source::presets()
        ))),
    }
}

/// A preset, for `--json`.
#[derive(Debug, Serialize)]
struct Preset {
    name: &'static str,
    title: String,
    arms: usize,
    patients: u64,
}

fn presets(json: bool) -> Result<(), Failure> {
    let presets: Vec<Preset> = preset_names()
        .map(|name| {
            source::trial(name).map(|trial| Preset {
                name,
                arms: trial.scenario.arms.len(),
                patients: trial.patients,
                title: trial.title,
            })
        })
        .collect::<Result<_, _>>()?;
    if json {
        return print_json(&presets);
    }
    let widest = presets.iter().map(|preset| preset.name.len()).max();
    let width = widest.unwrap_or(0);
    let lines: Vec<String> = presets
        .iter()
        .map(|preset| {
            let Preset {
                name, title, arms, ..
            } = preset;
            format!("{name:<width$} {title} ({arms} arms)")
        })
        .collect();
    print_lines(&lines)
}
