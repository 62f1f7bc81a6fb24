//! Virtual trials of simulated patients: what they depend on, and that they test at their level.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64};

use reseed_engine::{Engine, EngineError, ShardOutput};
use reseed_stats::power::{BlockTrials, PowerEstimate, TrialShape};
use reseed_stats::records::{RecordColumn, RecordValues};
use reseed_trial::Trial;

const SEED: u64 = 11;

fn trial(text: &str) -> Trial {
    let text = format!("base = \"breast\"\nrun.block_patients = 1000\n{text}");
    Trial::parse("trial.toml", &text).expect("a trial")
}

fn small() -> Trial {
    trial(
        r#"arms_only = ["control", "all-five", "radiotherapy"]
compare.primary = { arm = "all-five" }
[virtual_trials]
trials_per_block = 10
patients_per_arm = [50, 100]
looks = [0.6]"#,
    )
}

fn simulate(trial: &Trial, range: Range<u64>) -> Result<ShardOutput, EngineError> {
    let (stop, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    Engine::new(trial, SEED).simulate(range, &stop, &progress)
}

fn blocks(trial: &Trial, range: Range<u64>) -> Vec<RecordColumn> {
    simulate(trial, range).expect("it is not stopped").blocks
}

fn counts(trial: &Trial, range: Range<u64>) -> Vec<BlockTrials> {
    let shape = TrialShape::of(
        &trial.virtual_trials.as_ref().expect("a plan").design(),
        trial.scenario.arms.len(),
    );
    BlockTrials::read(shape, &blocks(trial, range)).expect("the columns are there")
}

#[test]
fn a_block_is_the_same_in_every_shard() {
    let trial = small();
    let together = blocks(&trial, 0..3000);
    let mut apart = Vec::new();
    for block in [2, 0, 1] {
        apart.push((block, counts(&trial, 1000 * block..1000 * (block + 1))));
    }
    apart.sort_by_key(|(block, _)| *block);
    let apart: Vec<BlockTrials> = apart.into_iter().flat_map(|(_, rows)| rows).collect();
    assert_eq!(apart, counts(&trial, 0..3000));
    let index = together.iter().find(|column| column.name == "index");
    let index = index.map(|column| &column.values);
    assert_eq!(index, Some(&RecordValues::U64(vec![0, 1, 2])));
    assert_ne!(apart[0], apart[1]);
}

#[test]
fn other_arms_and_more_sizes_leave_a_trial_as_it_is() {
    let of = |text: &str| {
        let trial = trial(&format!("{text}\nvirtual_trials.trials_per_block = 10"));
        let arm = trial.arm("all-five").expect("the arm");
        let rows = counts(&trial, 0..2000);
        let control = PowerEstimate::new(&rows, trial.scenario.control, 0);
        (control, PowerEstimate::new(&rows, arm, 0))
    };
    let few = of(
        "arms_only = [\"control\", \"all-five\"]\ncompare.primary = { arm = \"all-five\" }\n\
         virtual_trials.patients_per_arm = [60]",
    );
    let many = of("virtual_trials.patients_per_arm = [60, 70, 200]");
    assert_eq!(few, many);
}

#[test]
fn without_virtual_trials_there_are_no_columns_of_them() {
    let columns = blocks(&trial(""), 0..1000);
    assert!(!columns.is_empty());
    assert!(
        columns
            .iter()
            .all(|column| !column.name.starts_with("trials"))
    );
}

#[test]
fn blocks_that_enrol_too_few_are_told() {
    let trial = trial("eligibility.nodes = { min = 4 }\nvirtual_trials.patients_per_arm = [200]");
    let found = simulate(&trial, 0..1000).map(|_| "simulated");
    let error = found.expect_err("hardly anybody is enrolled");
    let EngineError::TooFewForTrial {
        block: 0,
        enrolled,
        needed: 400,
    } = error
    else {
        panic!("{error}");
    };
    assert!(enrolled < 400);
}

/// The control against itself, and a treatment that helps.
#[test]
fn the_null_is_rejected_at_its_level_and_an_effect_more_often() {
    let mut trial = small();
    let plan = trial.virtual_trials.as_mut().expect("a plan");
    plan.trials_per_block = 100;
    let rows = counts(&trial, 0..20_000);
    let null = PowerEstimate::new(&rows, trial.scenario.control, 1);
    assert_eq!((null.blocks, null.trials), (20, 2000));
    let level = null.rejection.estimate;
    assert!(
        (level.value - 0.05).abs() < 4.0 * level.standard_error,
        "{level:?}"
    );
    assert!(level.standard_error < 0.02, "{level:?}");
    let arm = trial.arm("radiotherapy").expect("the arm");
    let treated = PowerEstimate::new(&rows, arm, 1);
    assert!(treated.benefit.interval.0 > 0.06, "{treated:?}");
    assert!(treated.end_log_ratio.value < -0.2, "{treated:?}");
}
