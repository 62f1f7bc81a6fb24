//! `reseed rank`: which arm is the best over what is not known.

use std::path::{Path, PathBuf};

use reseed_model::scenario::{Action, Arm, Gene};
use reseed_report::{PointLayout, RankError, RankFactor, RankInput, Ranked, rank as rank_arms};
use reseed_results::{ResultFile, read_blocks, read_posterior, read_result};
use reseed_stats::{Endpoint, RecordColumn};
use reseed_trial::{Design, Factor, Trial, Uncertainty};

use crate::args::Rank;
use crate::commands::run;
use crate::exit::Failure;
use crate::output::{Chatter, print, print_json};
use crate::{identity, source};

/// What the preset of a disease's targets is called beyond the disease.
const TARGETS: &str = "-targets";

pub(crate) fn rank(args: &Rank, chatter: Chatter) -> Result<(), Failure> {
    if source::is_result(&args.source) {
        if args.explores() {
            return Err(Failure::Usage(format!(
                "{} holds points that have been tried; to try others, give a trial file or a \
                 preset",
                args.source
            )));
        }
        let path = PathBuf::from(&args.source);
        return tell(args, &path, &read_result(&path)?);
    }
    let trial = explored(args, chatter)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.h5", trial.name)));
    let file = run::completed(&trial, &out, args.force, &args.work, chatter)?;
    tell(args, &out, &file)
}

/// The trial with the design of the command line.
fn explored(args: &Rank, chatter: Chatter) -> Result<Trial, Failure> {
    let mut trial = source::trial(&args.source)?;
    if trial.uncertainty.is_none()
        && let Some(targets) = Trial::preset(&format!("{}{TARGETS}", args.source))
    {
        chatter.say(&format!(
            "{} has no uncertain parameters: ranking the preset {}",
            args.source, targets.name
        ));
        trial = targets;
    }
    let points = trial.blocks();
    if let Some(path) = &args.posterior {
        let posterior = read_posterior(path)?;
        let calibrated = identity::calibrated(&posterior)?;
        trial.believe(&calibrated, &posterior.parameters, &posterior.draws);
    }
    let Some(uncertainty) = &mut trial.uncertainty else {
        return Err(Failure::Usage(format!(
            "{} has no uncertain parameters, so there is nothing to rank over; give it a table \
             [uncertainty], or build on a preset of targets with base = \"breast-targets\"",
            args.source
        )));
    };
    let points = args.points.unwrap_or(points);
    uncertainty.design = match args.design.as_deref() {
        Some("sobol") => Design::Sobol,
        Some("morris") => Design::Morris,
        Some("saltelli") => Design::Saltelli,
        Some("latin-hypercube") => Design::LatinHypercube { points },
        _ => match uncertainty.design {
            Design::LatinHypercube { .. } => Design::LatinHypercube { points },
            design => design,
        },
    };
    // What belongs together is of use only as a whole.
    let points = points.next_multiple_of(uncertainty.cluster() as u64);
    trial.block_patients = args.patients_per_point.or(trial.block_patients);
    trial.patients = points.saturating_mul(trial.block_patients.unwrap_or(1));
    trial.seed = args.seed.unwrap_or(trial.seed);
    source::checked(&trial)
}

impl Rank {
    /// Whether anything is asked for that takes a simulation.
    fn explores(&self) -> bool {
        self.points.is_some()
            || self.posterior.is_some()
            || self.patients_per_point.is_some()
            || self.seed.is_some()
            || self.design.is_some()
    }
}

fn tell(args: &Rank, path: &Path, file: &ResultFile) -> Result<(), Failure> {
    let trial = identity::described(file)?;
    let endpoint = args.endpoint.as_deref().and_then(Endpoint::named);
    let endpoint = endpoint.unwrap_or(trial.primary.endpoint);
    let ranked = of_result(path, file, &trial, endpoint)?;
    if args.json {
        print_json(&ranked)
    } else {
        print(&ranked.to_text())
    }
}

/// Ranks the arms of a result, and traces the control and the first group of arms.
pub(crate) fn of_result(
    path: &Path,
    file: &ResultFile,
    trial: &Trial,
    endpoint: Endpoint,
) -> Result<Ranked, Failure> {
    let mut traced = vec![trial.scenario.control];
    traced.extend(groups(trial).first().map_or(&[][..], |(_, arms)| arms));
    ranked(&read_blocks(path)?, file, trial, endpoint, &traced)
        .map_err(|error| Failure::File(format!("{}: {error}", path.display())))
}

/// Ranks the arms of a result by its table of blocks, and traces the outcomes of some of them to
/// the parameters.
pub(crate) fn ranked(
    blocks: &[RecordColumn],
    file: &ResultFile,
    trial: &Trial,
    endpoint: Endpoint,
    traced: &[usize],
) -> Result<Ranked, RankError> {
    let uncertainty = trial.uncertainty.as_ref().ok_or(RankError::Certain)?;
    let seed = file.identity.seed;
    let steps = |trajectory| uncertainty.steps(seed, trajectory);
    let factors: Vec<RankFactor> = uncertainty.factors.iter().map(described).collect();
    let input = RankInput {
        trial: &trial.name,
        title: &trial.title,
        seed,
        digest: &file.digest.to_string(),
        arms: &file.layout.arms,
        control: trial.scenario.control,
        groups: &groups(trial),
        traced,
        endpoint,
        day: trial.primary.day,
        design: uncertainty.design.name(),
        layout: match uncertainty.design {
            Design::Sobol | Design::LatinHypercube { .. } => PointLayout::Sample,
            Design::Morris => PointLayout::Trajectories(&steps),
            Design::Saltelli => PointLayout::Rows,
        },
        cluster: uncertainty.cluster(),
        factors: &factors,
        block_patients: trial.block_patients.unwrap_or(0),
        blocks,
    };
    rank_arms(&input, &mut Uncertainty::words(seed))
}

fn described(factor: &Factor) -> RankFactor {
    RankFactor {
        key: factor.path.clone(),
        alternatives: factor.alternatives(),
    }
}

/// The arms by how many gene products they block, and all of them together.
fn groups(trial: &Trial) -> Vec<(String, Vec<usize>)> {
    let arms: Vec<usize> = (0..trial.scenario.arms.len())
        .filter(|arm| *arm != trial.scenario.control)
        .collect();
    let of = |number: usize| {
        let blocks = |arm: &usize| {
            let arm = &trial.scenario.arms[*arm];
            !arm.radiotherapy && targets(trial, arm) == number
        };
        arms.iter().copied().filter(blocks).collect::<Vec<usize>>()
    };
    let mut groups = vec![("Single targets", of(1)), ("Pairs of targets", of(2))];
    groups.retain(|(_, own)| !own.is_empty() && *own != arms);
    groups.push(("All arms", arms));
    let named = |(name, arms): (&str, Vec<usize>)| (name.to_owned(), arms);
    groups.into_iter().map(named).collect()
}

/// How many gene products an arm's drugs block.
fn targets(trial: &Trial, arm: &Arm) -> usize {
    let blocks = |gene: &Gene| {
        arm.drugs
            .iter()
            .any(|drug| match &trial.scenario.drugs[*drug].action {
                Action::Direct(direct) => direct.inhibition[gene.index()] > 0.0,
                Action::Dosed(dosed) => dosed.effects[gene.index()].is_some(),
            })
    };
    Gene::ALL.iter().filter(|gene| blocks(gene)).count()
}
