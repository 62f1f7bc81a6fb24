//! With uncertain parameters every block lives under a point of the design.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64};

use reseed_engine::{Engine, ShardOutput};
use reseed_stats::{RecordColumn, RecordValues};
use reseed_trial::Trial;

const BLOCK_PATIENTS: u64 = 300;
const SEED: u64 = 3;

fn trial(uncertainty: &str) -> Trial {
    let text = format!(
        "base = \"breast\"\nname = \"uncertain\"\narms_only = [\"control\", \"all-five\"]\n\
         run.block_patients = {BLOCK_PATIENTS}\n{uncertainty}"
    );
    Trial::parse("test", &text).unwrap()
}

fn uncertain() -> Trial {
    trial(
        "[uncertainty]\ndesign = \"sobol\"\n[uncertainty.priors]\n\
         homing.scar_capture = { min = 0.05, max = 1.0 }\n\
         homing.interaction = { choices = [\"and\", \"or\"] }\n\
         local_treatment.residual_foci = { min = 0.0, max = 1.0 }\n",
    )
}

fn simulate(trial: &Trial, range: Range<u64>) -> ShardOutput {
    Engine::new(trial, SEED)
        .simulate(range, &AtomicBool::new(false), &AtomicU64::new(0))
        .unwrap()
}

fn column<'a>(columns: &'a [RecordColumn], name: &str) -> &'a RecordColumn {
    columns
        .iter()
        .find(|column| column.name == name)
        .expect(name)
}

/// A block is that of a trial in which its point is certain, whichever blocks come before it.
#[test]
fn a_block_has_its_point_and_lives_under_it() {
    let trial = uncertain();
    let whole = simulate(&trial, 0..4 * BLOCK_PATIENTS);
    let RecordValues::F64(parameters) = &column(&whole.blocks, "parameter").values else {
        panic!("parameters are floats");
    };
    let uncertainty = trial.uncertainty.as_ref().unwrap();
    let mut seen = Vec::new();
    for block in 0..4 {
        let range = block * BLOCK_PATIENTS..(block + 1) * BLOCK_PATIENTS;
        let at = usize::try_from(block).unwrap();
        assert_eq!(
            parameters[3 * at..3 * at + 3],
            uncertainty.point(SEED, block)
        );
        let certain = Trial {
            scenario: trial.scenario_of_block(SEED, block),
            uncertainty: None,
            ..trial.clone()
        };
        let expected = simulate(&certain, range.clone());
        let alone = simulate(&trial, range);
        assert_eq!(alone.tally, expected.tally);
        let RecordValues::F64(incidences) = &column(&whole.blocks, "incidence").values else {
            panic!("incidences are floats");
        };
        let RecordValues::F64(own) = &column(&expected.blocks, "incidence").values else {
            panic!("incidences are floats");
        };
        assert_eq!(incidences[8 * at..8 * at + 8], own[..]);
        seen.push(own.clone());
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "points differ");
}

#[test]
fn the_column_names_its_parameters() {
    let output = simulate(&uncertain(), 0..BLOCK_PATIENTS);
    let column = column(&output.blocks, "parameter");
    assert_eq!(column.width, 3);
    assert_eq!(
        column.description,
        "uncertain parameters, as drawn: homing.interaction, homing.scar_capture, \
         local_treatment.residual_foci"
    );
    let certain = simulate(&trial(""), 0..BLOCK_PATIENTS);
    assert!(
        certain
            .blocks
            .iter()
            .all(|column| column.name != "parameter")
    );
}
