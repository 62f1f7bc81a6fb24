//! `reseed extend`: simulate more patients into a result.

use reseed_results::read_result;

use crate::args::Extend;
use crate::exit::Failure;
use crate::gaps::{self, Goal, Summary};
use crate::output::{Chatter, grouped};
use crate::{identity, source};

pub(crate) fn extend(args: &Extend, chatter: Chatter) -> Result<(), Failure> {
    let base = read_result(&args.file)?;
    let mut trial = identity::trial_of(&base)?;
    let patients = trial.whole_blocks(args.patients);
    trial.patients = patients;
    source::check_points(&trial, &(0..patients))?;
    let end = base.ranges.last().map_or(0, |range| range.end);
    if end > patients {
        return Err(Failure::Usage(format!(
            "{} holds patients up to index {} already; ask for at least {} patients",
            args.file.display(),
            end - 1,
            grouped(end)
        )));
    }
    let goal = Goal {
        trial: &trial,
        seed: base.identity.seed,
        target: 0..patients,
        out: &args.file,
        base: Some(&base),
        force: false,
    };
    if gaps::covers(&base.ranges, &goal.target) {
        gaps::remove_leftovers(&goal, &base)?;
        let summary = Summary::of_trial(goal.trial, goal.out, &base);
        return summary.tell("has them already", args.json, chatter);
    }
    let (file, summary) = gaps::fill(&goal, &args.work, chatter)?;
    if let Some(estimate) = trial.primary_estimate(&file.tally) {
        chatter.say(&estimate.to_string());
    }
    summary.tell("is extended", args.json, chatter)
}
