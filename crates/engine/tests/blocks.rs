//! Blocks leave rows, and change nothing else.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64};

use reseed_engine::{Engine, ShardOutput};
use reseed_stats::estimate::contrast;
use reseed_stats::{Endpoint, RecordColumn, RecordValues};
use reseed_trial::Trial;

const BLOCK_PATIENTS: u64 = 500;

fn trial(run: &str) -> Trial {
    let text = format!(
        "base = \"breast\"\nname = \"blocks\"\narms_only = [\"control\", \"all-five\"]\n{run}"
    );
    Trial::parse("test", &text).unwrap()
}

fn simulate(trial: &Trial, range: Range<u64>) -> ShardOutput {
    let (stop, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    let output = Engine::new(trial, 3).simulate(range.clone(), &stop, &progress);
    assert_eq!(progress.into_inner(), range.end - range.start);
    output.unwrap()
}

fn column<'a>(columns: &'a [RecordColumn], name: &str) -> &'a RecordValues {
    let found = columns.iter().find(|column| column.name == name);
    &found.expect(name).values
}

fn floats<'a>(columns: &'a [RecordColumn], name: &str) -> &'a [f64] {
    match column(columns, name) {
        RecordValues::F64(values) => values,
        other => panic!("{name} holds {other:?}"),
    }
}

#[test]
fn a_block_has_the_patients_and_estimates_of_a_run_of_its_own() {
    let (blocked, plain) = (
        trial(&format!("run.block_patients = {BLOCK_PATIENTS}")),
        trial(""),
    );
    let whole = simulate(&blocked, 0..4 * BLOCK_PATIENTS);
    let unblocked = simulate(&plain, 0..4 * BLOCK_PATIENTS);
    assert_eq!(whole.tally, unblocked.tally);
    assert_eq!(unblocked.blocks, []);
    assert_eq!(
        column(&whole.blocks, "index"),
        &RecordValues::U64(vec![0, 1, 2, 3])
    );
    let bin = plain.bin_ending_at(plain.primary.day).unwrap();
    let arm = plain.arm("all-five").unwrap();
    let mut seen = Vec::new();
    for block in 0..4 {
        let start = block * BLOCK_PATIENTS;
        let tally = simulate(&plain, start..start + BLOCK_PATIENTS).tally;
        let expected = contrast(&tally, &[0, 1, 2], arm, Endpoint::Rfs, bin);
        let cell = (usize::try_from(block).unwrap() * 2 + arm) * 4 + Endpoint::Rfs as usize;
        let found = ["incidence", "difference", "difference_standard_error"]
            .map(|name| floats(&whole.blocks, name)[cell].to_bits());
        assert_eq!(
            found,
            [
                expected.arm.value.to_bits(),
                expected.difference.value.to_bits(),
                expected.difference.standard_error.to_bits()
            ]
        );
        seen.push(found);
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "blocks have patients of their own");
}

#[test]
fn shards_of_blocks_put_together_are_the_whole() {
    let trial = trial(&format!("run.block_patients = {BLOCK_PATIENTS}"));
    let whole = simulate(&trial, 0..3 * BLOCK_PATIENTS);
    let mut first = simulate(&trial, 0..BLOCK_PATIENTS);
    let second = simulate(&trial, BLOCK_PATIENTS..3 * BLOCK_PATIENTS);
    first.tally.merge(&second.tally).unwrap();
    assert_eq!(first.tally, whole.tally);
    for name in ["incidence", "difference", "difference_standard_error"] {
        let joined = [floats(&first.blocks, name), floats(&second.blocks, name)].concat();
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&joined), bits(floats(&whole.blocks, name)));
    }
}

#[test]
#[should_panic(expected = "shards are whole blocks")]
fn a_cut_block_is_refused() {
    let trial = trial(&format!("run.block_patients = {BLOCK_PATIENTS}"));
    simulate(&trial, 0..BLOCK_PATIENTS + 1);
}
