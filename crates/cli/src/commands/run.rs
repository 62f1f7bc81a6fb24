//! `reseed run`: simulate a trial into a result file.

use std::ops::Range;
use std::path::{Path, PathBuf};

use reseed_results::ResultFile;
use reseed_trial::{Trial, looks};

use crate::args::{Run, Work};
use crate::exit::Failure;
use crate::gaps::{self, Goal, Summary};
use crate::identity;
use crate::output::Chatter;
use crate::{precision, source};

pub(crate) fn run(args: &Run, chatter: Chatter) -> Result<(), Failure> {
    let trial = source::chosen(&args.chosen)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.h5", trial.name)));
    let goal = Goal {
        seed: trial.seed,
        target: target(&trial, args.first_patient)?,
        trial: &trial,
        out: &out,
        base: None,
        force: args.force,
    };
    if let Some(file) = finished(&goal)? {
        let summary = Summary::of_trial(&trial, &out, &file);
        return summary.tell("is complete already", args.json, chatter);
    }
    let (file, summary) = gaps::fill(&goal, &args.work, chatter)?;
    if let Some(estimate) = trial.primary_estimate(&file.tally) {
        chatter.say(&estimate.to_string());
    }
    if let Some(outcome) = precision::outcome(&trial, &file.tally) {
        chatter.say(&outcome);
    }
    summary.tell("is complete", args.json, chatter)
}

/// The result of a trial, simulated unless it is there already.
pub(crate) fn completed(
    trial: &Trial,
    out: &Path,
    force: bool,
    work: &Work,
    chatter: Chatter,
) -> Result<ResultFile, Failure> {
    let goal = Goal {
        seed: trial.seed,
        target: target(trial, 0)?,
        trial,
        out,
        base: None,
        force,
    };
    let (file, summary) = match finished(&goal)? {
        Some(file) => {
            let summary = Summary::of_trial(trial, out, &file);
            (file, summary)
        }
        None => gaps::fill(&goal, work, chatter)?,
    };
    summary.tell("is complete", false, chatter)?;
    Ok(file)
}

/// The patients of a run that begins with this one.
fn target(trial: &Trial, first: u64) -> Result<Range<u64>, Failure> {
    if trial.whole_blocks(first) != first {
        return Err(Failure::Usage(format!(
            "patient {first} is in the middle of a block; the first patient of the next is {}",
            trial.whole_blocks(first)
        )));
    }
    let end = first
        .checked_add(trial.patients)
        .ok_or_else(|| Failure::Usage("patient indices end at 2^64; use fewer patients".into()))?;
    source::check_points(trial, &(first..end))?;
    Ok(first..end)
}

/// The result that is at the goal's path already, if it is what is wanted. Whatever else is
/// there stands in the way. Parts that are in it already are removed.
fn finished(goal: &Goal) -> Result<Option<ResultFile>, Failure> {
    let found = match gaps::existing(goal.out) {
        Err(Failure::Results(_)) if goal.force => return Ok(None),
        Err(Failure::Results(error)) => return Err(in_the_way(goal.out, &error.to_string())),
        other => other?,
    };
    let Some(file) = found else {
        return Ok(None);
    };
    let same = identity::same_run(&file.identity, &identity::identity(goal.trial, goal.seed));
    match (same, goal.force) {
        (true, _) if is_wanted(goal, &file) => {
            gaps::remove_leftovers(goal, &file)?;
            Ok(Some(file))
        }
        (_, true) => Ok(None),
        (true, false) => Err(other_patients(goal, &file)),
        (false, false) => Err(in_the_way(goal.out, &other_run(goal, &file))),
    }
}

/// Whether a result of this run has the patients that are wanted. Only a result that says that it
/// was made for the precision is known to end at the first look that met it.
fn is_wanted(goal: &Goal, file: &ResultFile) -> bool {
    let Goal { trial, target, .. } = goal;
    let Some(note) = gaps::precision_note(trial) else {
        return file.ranges == [target.clone()];
    };
    let [found] = &file.ranges[..] else {
        return false;
    };
    let ends_right = found.end == target.end
        || looks(trial.patients).any(|look| target.start + look == found.end)
            && trial.precise_enough(&file.tally);
    file.notes.contains(&note) && found.start == target.start && ends_right
}

fn other_run(goal: &Goal, file: &ResultFile) -> String {
    let name = identity::described(file).map_or_else(
        |_| "a trial that this version cannot read".into(),
        |trial| trial.name,
    );
    if file.identity.fingerprint == goal.trial.fingerprint() {
        let seed = file.identity.seed;
        format!("it holds the result of seed {seed}, not {}", goal.seed)
    } else if name == goal.trial.name {
        format!("it holds the result of another version of {name}")
    } else {
        format!("it holds the result of {name}")
    }
}

fn other_patients(goal: &Goal, file: &ResultFile) -> Failure {
    let ranges: Vec<String> = file
        .ranges
        .iter()
        .map(|range| format!("{}..{}", range.start, range.end))
        .collect();
    let ranges = ranges.join(", ");
    let Range { start, end } = goal.target;
    let problem = match goal.trial.precision {
        None => format!(
            "it holds patients {ranges} of this run, not {start}..{end} (`reseed extend` adds \
             patients)"
        ),
        Some(precision) => format!(
            "it holds patients {ranges} of this run, but was not made for a precision of \
             {precision} points within {start}..{end}"
        ),
    };
    in_the_way(goal.out, &problem)
}

fn in_the_way(out: &Path, problem: &str) -> Failure {
    Failure::File(format!(
        "{} is in the way: {problem}; choose another --out, or replace it with --force",
        out.display()
    ))
}
