//! A coordinator that is found by its store, wherever it runs.

use std::fs;
use std::time::Duration;

use super::process::{COORDINATE, Process, announced, coordinator, until, wait_for_parts};
use crate::bench::Bench;

/// Enough for the runs of these tests not to end before they are meant to.
const MANY: &str = "--patients 12000";

#[test]
fn workers_find_a_coordinator_by_its_store_again_when_it_has_moved() {
    let bench = Bench::new();
    let golden = bench.golden_of(&format!("pair.toml {MANY}"));
    let mut worker = Process::start(&bench, "work --store s --threads 1 --spool far");
    let (first, url) = coordinator(&bench, MANY);
    wait_for_parts(&bench.path("s"), 3);
    let told = fs::read_to_string(bench.path("s/address")).expect("the address is there");
    assert_eq!(told.trim(), url);
    first.kill();
    // Another port, so another address.
    let (second, moved) = coordinator(&bench, MANY);
    assert_ne!(url, moved);
    worker.waits_to_say("the run is complete");
    worker.ends(0);
    second.ends(0);
    assert_eq!(bench.digest("s/result.h5"), golden);
    assert!(
        !bench.path("s/address").exists(),
        "nobody is there any more"
    );
}

#[test]
fn operators_find_a_coordinator_by_its_store() {
    let bench = Bench::new();
    let (coordinator, _) = coordinator(&bench, MANY);
    let status = bench.ok("status --store s --once");
    assert!(status.stdout.contains("no worker"), "{}", status.stdout);
    bench.ok("cancel --store s");
    coordinator.ends(3);
    bench.fails(
        "status --store s --once",
        7,
        &["cannot find the coordinator", "s/address"],
    );
    bench.fails("status --once", 2, &["--connect <URL>"]);
    bench.fails(
        "status --once --store s --connect http://127.0.0.1:1",
        2,
        &["cannot be used with"],
    );
}

#[test]
fn a_coordinator_waits_for_a_predecessor_to_leave_the_store() {
    let bench = Bench::new();
    let golden = bench.golden_of(&format!("pair.toml {MANY}"));
    let (first, _) = coordinator(&bench, MANY);
    let line = format!("{COORDINATE} {MANY} --listen 127.0.0.1:0");
    bench.fails(&line, 4, &["another reseed process"]);
    let mut second = Process::start(&bench, &format!("{line} --patience 60"));
    second.waits_to_say("waiting up to 60 s");
    first.signal("TERM");
    first.ends(3);
    let (second, _) = announced(second);
    let worker = Process::start(&bench, "work --store s --threads 1");
    worker.ends(0);
    second.ends(0);
    assert_eq!(bench.digest("s/result.h5"), golden);
}

/// A job scheduler tells all processes of a job at once that they have to end.
#[test]
fn a_coordinator_with_grace_takes_what_workers_have_that_stop_with_it() {
    let bench = Bench::new();
    // Hundreds of patients a shard, so that some are under way at any time.
    let line =
        format!("coordinate small.toml {MANY} --store s --no-progress --shard-patients 1500");
    let start = || {
        Process::start(
            &bench,
            &format!("{line} --listen 127.0.0.1:0 --grace 20 --audit 0"),
        )
    };
    let (coordinator, _) = announced(start());
    let worker = Process::start(&bench, "work --store s --threads 1 --spool far");
    wait_for_parts(&bench.path("s"), 1);
    coordinator.signal("TERM");
    worker.signal("TERM");
    // It may tell them more than once.
    coordinator.signal("TERM");
    worker.ends(3);
    let said = coordinator.ends(3);
    assert!(said.contains("run the same command again"), "{said}");
    until("an empty spool", || {
        !bench.path("far").join("parts").exists() || spool_is_empty(&bench)
    });
    // It does not wait for longer than that.
    let (coordinator, _) = announced(start());
    let begin = std::time::Instant::now();
    coordinator.signal("TERM");
    coordinator.ends(3);
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "nobody was there"
    );
}

fn spool_is_empty(bench: &Bench) -> bool {
    super::process::part_files(&bench.path("far")).is_empty()
}
