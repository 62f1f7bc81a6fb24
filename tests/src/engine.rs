//! The engine, seen as the references are.

use reseed_model::patient::Patient;
use reseed_model::scenario::Scenario;
use reseed_model::{PatientIndex, Simulator};

use crate::reference::patient::{Course, Outcome};
use crate::summary::Summary;

/// Calls `visit` with every patient of a range of screening indices.
pub fn for_each(
    scenario: &Scenario,
    seed: u64,
    indices: std::ops::Range<u64>,
    mut visit: impl FnMut(&Patient),
) {
    let mut simulator = Simulator::new(scenario, seed);
    for index in indices {
        visit(simulator.simulate(PatientIndex(index)));
    }
}

/// One patient in one arm. Nodes are those of the untreated course.
pub fn outcome(patient: &Patient, arm: usize) -> Outcome {
    Outcome {
        covariates: patient.covariates,
        tumour: patient.tumour,
        exclusion: patient.exclusion,
        course: patient.courses.get(arm).map(|course| Course {
            local_days: course.local_days,
            local_origin: course.local_origin,
            distant_days: course.distant_days,
        }),
    }
}

/// A range of patients in one arm.
pub fn summary(
    scenario: &Scenario,
    seed: u64,
    indices: std::ops::Range<u64>,
    arm: usize,
) -> Summary {
    let mut summary = Summary::default();
    for_each(scenario, seed, indices, |patient| {
        summary.push(&outcome(patient, arm));
    });
    summary
}
