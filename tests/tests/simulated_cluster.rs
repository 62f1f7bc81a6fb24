//! Clusters simulated by seed: whatever breaks, the result is that of one run, or the run ends
//! with an error that says why. `cargo bench -p reseed-tests --bench simulated_cluster` runs many
//! more seeds.

use std::collections::BTreeSet;

use reseed_tests::cluster::{Bug, Counts, Ending, Fault, Report, Simulation, Theme};

/// Seeds of one test.
const SEEDS: u64 = 400;
/// A mistake must be found within so many seeds.
const SEEDS_PER_BUG: u64 = 100;

/// Fails with what to run to see what happened.
fn assert_ended(reports: &[Report]) {
    let failures: Vec<String> = reports
        .iter()
        .filter_map(|report| {
            let violation = report.ending.as_ref().err()?;
            Some(format!(
                "{violation}\n  cargo bench -p reseed-tests --bench simulated_cluster -- --seed {} \
                 --trace",
                report.seed
            ))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_cluster_ends_with_the_result_of_one_run_or_an_error_that_says_why() {
    let simulation = Simulation::new();
    let reports: Vec<Report> = (0..SEEDS).map(|seed| simulation.run(seed)).collect();
    assert_ended(&reports);
    let mut faults = Counts::default();
    for report in &reports {
        faults.merge(&report.faults);
        let expected = match report.theme {
            Theme::Ordinary | Theme::Precise => Ending::Golden,
            Theme::FailingShard => Ending::ShardFails,
            Theme::FaultyMachine => Ending::Conflict,
        };
        let sound = report.faults.of(Fault::WrongPartComputed) == 0;
        let golden = report.theme == Theme::FaultyMachine && sound;
        let ending = if golden { Ending::Golden } else { expected };
        assert_eq!(report.ending, Ok(ending), "seed {}", report.seed);
    }
    // A fault that never strikes shows nothing.
    for fault in Fault::ALL {
        let count = faults.of(fault);
        assert!(count >= 5, "{}: only {count} times", fault.what());
    }
}

#[test]
fn a_seed_replays_to_the_last_line() {
    let (simulation, other) = (Simulation::new(), Simulation::new());
    let mut seen = BTreeSet::new();
    for seed in 0..12 {
        let first = simulation.run(seed);
        let again = other.replay(seed);
        assert_eq!(first.trace_digest, again.trace_digest, "seed {seed}");
        assert!(first.trace.is_empty() && again.trace.len() > 100);
        assert!(seen.insert(first.trace_digest.0), "seed {seed} is another");
    }
}

/// What the simulation says of the first seed in which it finds a mistake.
fn found(simulation: &Simulation, bug: Bug) -> String {
    (0..SEEDS_PER_BUG)
        .find_map(|seed| simulation.run_with(seed, bug).ending.err())
        .unwrap_or_else(|| panic!("{bug:?} is not found in {SEEDS_PER_BUG} seeds"))
}

#[test]
fn mistakes_that_are_built_in_are_found() {
    let simulation = Simulation::new();
    for bug in Bug::ALL {
        let expected = match bug {
            Bug::SyncDoesNothing | Bug::NamesAreNotSynced | Bug::AcknowledgesEarly => {
                "a power cut would lose it"
            }
            Bug::CommitsTwice => "are committed twice",
            Bug::FenceAlwaysPasses => "by a coordinator whose store was taken over",
            Bug::WorkerForgetsEarly => "which nobody has",
            Bug::NothingIsAudited => "the result is not that of one run",
        };
        let violation = found(&simulation, bug);
        assert!(violation.contains(expected), "{bug:?}: {violation}");
    }
}
