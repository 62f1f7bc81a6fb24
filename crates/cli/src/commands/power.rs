//! `reseed power`: what parallel-group trials of some sizes would find.

use std::path::{Path, PathBuf};

use reseed_report::{PowerInput, power as power_of};
use reseed_results::{ResultFile, read_blocks, read_result};
use reseed_stats::Endpoint;
use reseed_stats::group_sequential::Spending;
use reseed_stats::power::{BlockTrials, TrialShape};
use reseed_trial::{Trial, VirtualTrials};

use crate::args::{Power, VirtualPlan};
use crate::commands::run;
use crate::exit::Failure;
use crate::output::{Chatter, print, print_json};
use crate::{identity, precision, source};

pub(crate) fn power(args: &Power, chatter: Chatter) -> Result<(), Failure> {
    if source::is_result(&args.source) {
        if args.plan.is_given() || args.patients.is_some() || args.seed.is_some() {
            return Err(Failure::Usage(format!(
                "{} holds trials that have been drawn; to plan others, give a trial file or a \
                 preset",
                args.source
            )));
        }
        let path = PathBuf::from(&args.source);
        let file = read_result(&path)?;
        return tell(args, &path, &file);
    }
    let trial = planned(args)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}-power.h5", trial.name)));
    let file = run::completed(&trial, &out, args.force, &args.work, chatter)?;
    tell(args, &out, &file)
}

/// The trial with the plan of the command line.
fn planned(args: &Power) -> Result<Trial, Failure> {
    let mut trial = source::trial(&args.source)?;
    trial.patients = args.patients.unwrap_or(trial.patients);
    trial.seed = args.seed.unwrap_or(trial.seed);
    let mut plan = trial.virtual_trials.take().unwrap_or_default();
    args.plan.change(&mut plan);
    trial.virtual_trials = Some(plan);
    let mut trial = source::checked(&trial)?;
    if let (Some(trials), Some(block_patients), Some(plan)) =
        (args.trials, trial.block_patients, &mut trial.virtual_trials)
    {
        plan.trials_per_block = trials.div_ceil(trial.patients / block_patients);
        trial = source::checked(&trial)?;
    }
    precision::check(&trial)?;
    Ok(trial)
}

fn tell(args: &Power, path: &Path, file: &ResultFile) -> Result<(), Failure> {
    let trial = identity::described(file)?;
    let columns = read_blocks(path)?;
    let about = |problem: &str| Failure::File(format!("{}: {problem}", path.display()));
    let Some(plan) = &trial.virtual_trials else {
        return Err(about(
            "its run drew no trials; give a trial file with a table [virtual_trials], or a preset",
        ));
    };
    let design = plan.design();
    let shape = TrialShape::of(&design, file.layout.arms.len());
    let blocks = BlockTrials::read(shape, &columns).map_err(|error| about(&error.to_string()))?;
    let found = power_of(&PowerInput {
        trial: &trial.name,
        title: &trial.title,
        seed: file.identity.seed,
        digest: &file.digest.to_string(),
        arms: &file.layout.arms,
        control: trial.scenario.control,
        chosen: &chosen(args, &trial)?,
        endpoint: trial.virtual_endpoint(),
        design: &design,
        blocks: &blocks,
        uncertain_parameters: trial.uncertainty.is_some(),
    });
    if args.json {
        print_json(&found)
    } else {
        print(&found.to_text())
    }
}

/// Positions of the arms that are asked for; all, if none is named.
fn chosen(args: &Power, trial: &Trial) -> Result<Vec<usize>, Failure> {
    if args.arm.is_empty() {
        return Ok((0..trial.scenario.arms.len()).collect());
    }
    let position = |name: &String| source::arm(trial, name);
    args.arm.iter().map(position).collect()
}

impl VirtualPlan {
    fn is_given(&self) -> bool {
        let Self {
            patients_per_arm,
            allocation,
            accrual_months,
            follow_up_months,
            dropout_per_year,
            looks,
            events,
            spending,
            alpha,
            endpoint,
        } = self;
        let lists = [patients_per_arm, looks, events];
        let numbers = [
            allocation,
            accrual_months,
            follow_up_months,
            dropout_per_year,
            alpha,
        ];
        lists.into_iter().any(|list| !list.is_empty())
            || numbers.into_iter().any(Option::is_some)
            || [spending, endpoint].into_iter().any(Option::is_some)
    }

    /// Puts what is given into a plan.
    fn change(&self, plan: &mut VirtualTrials) {
        let lists = [
            (&self.patients_per_arm, &mut plan.patients_per_arm),
            (&self.looks, &mut plan.looks),
            (&self.events, &mut plan.events),
        ];
        for (given, into) in lists {
            if !given.is_empty() {
                into.clone_from(given);
            }
        }
        let numbers = [
            (self.allocation, &mut plan.allocation),
            (self.accrual_months, &mut plan.accrual_months),
            (self.follow_up_months, &mut plan.follow_up_months),
            (self.dropout_per_year, &mut plan.dropout_per_year),
            (self.alpha, &mut plan.alpha),
        ];
        for (given, into) in numbers {
            *into = given.unwrap_or(*into);
        }
        let named = |name: &String| Spending::ALL.into_iter().find(|rule| rule.name() == name);
        plan.spending = self
            .spending
            .as_ref()
            .and_then(named)
            .unwrap_or(plan.spending);
        let endpoint = self.endpoint.as_deref().and_then(Endpoint::named);
        plan.endpoint = endpoint.or(plan.endpoint);
    }
}
