//! The same result, however it came about.

use std::fs;

use crate::bench::Bench;

#[test]
fn threads_and_shards_change_nothing() {
    let bench = Bench::new();
    let golden = bench.golden();
    for (threads, shard) in [(1, 6000), (2, 1000), (7, 257), (2, 5999), (7, 100)] {
        bench.ok(&format!(
            "run small.toml --threads {threads} --shard-patients {shard} --out other.h5 --force"
        ));
        assert_eq!(
            bench.digest("other.h5"),
            golden,
            "{threads} threads, {shard}"
        );
        fs::remove_file(bench.path("other.h5")).expect("it is there");
    }
}

#[test]
fn the_seed_and_the_number_of_patients_matter() {
    let bench = Bench::new();
    let golden = bench.golden();
    bench.ok("run small.toml --seed 12 --out seed.h5");
    bench.ok("run small.toml --patients 5999 --out fewer.h5");
    assert_ne!(bench.digest("seed.h5"), golden);
    assert_ne!(bench.digest("fewer.h5"), golden);
}

#[test]
fn extending_in_two_steps_equals_one_run() {
    let bench = Bench::new();
    let golden = bench.golden();
    bench.ok("run small.toml --patients 1500 --out a.h5");
    bench.ok("extend a.h5 --patients 4000 --shard-patients 333");
    assert_ne!(bench.digest("a.h5"), golden);
    bench.ok("extend a.h5 --patients 6000");
    assert_eq!(bench.digest("a.h5"), golden);
    let again = bench.ok("extend a.h5 --patients 6000");
    assert!(
        again.stderr.contains("has them already"),
        "{}",
        again.stderr
    );
    bench.fails("extend a.h5 --patients 5000", 2, &["at least 6,000"]);
    assert!(!bench.path("a.h5.parts").exists());
}

#[test]
fn merging_two_ranges_equals_one_run() {
    let bench = Bench::new();
    let golden = bench.golden();
    bench.ok("run small.toml --patients 2500 --out a.h5");
    bench.ok("run small.toml --first-patient 2500 --patients 3500 --out b.h5");
    bench.ok("merge b.h5 a.h5 --out c.h5");
    assert_eq!(bench.digest("c.h5"), golden);
    bench.fails(
        "merge a.h5 c.h5 --out d.h5",
        5,
        &["patients 0 to", "only once"],
    );
    bench.fails("merge a.h5 b.h5 --out c.h5", 5, &["c.h5 exists", "--force"]);
    bench.ok("run small.toml --seed 4 --first-patient 2500 --patients 10 --out other.h5");
    bench.fails("merge a.h5 other.h5 --out d.h5", 5, &["seed"]);
    assert!(!bench.path("d.h5").exists());
}

#[test]
fn the_middle_can_be_filled() {
    let bench = Bench::new();
    let golden = bench.golden();
    bench.ok("run small.toml --first-patient 2000 --patients 1000 --out a.h5");
    bench.ok("extend a.h5 --patients 6000");
    assert_eq!(bench.digest("a.h5"), golden);
}

#[test]
fn records_are_kept_through_extension_and_checked_by_verify() {
    let bench = Bench::new();
    bench.ok("run small.toml --records --patients 900 --out a.h5 --shard-patients 100");
    bench.ok("extend a.h5 --patients 2000");
    bench.ok("run small.toml --records --patients 2000 --out b.h5");
    assert_eq!(bench.digest("a.h5"), bench.digest("b.h5"));
    bench.ok("verify a.h5 --fraction 1");
}

#[test]
fn a_complete_result_is_not_computed_again() {
    let bench = Bench::new();
    bench.ok("run small.toml");
    let before = fs::read(bench.path("small.h5")).expect("the default name");
    let again = bench.ok("run small.toml --json");
    assert!(
        again.stderr.contains("complete already"),
        "{}",
        again.stderr
    );
    assert_eq!(again.json()["patients_simulated"], 0);
    assert_eq!(
        fs::read(bench.path("small.h5")).expect("still there"),
        before
    );
}

#[test]
fn another_result_is_replaced_only_by_force() {
    let bench = Bench::new();
    let golden = bench.golden();
    bench.ok("run small.toml --seed 3");
    let other = bench.digest("small.h5");
    bench.fails("run small.toml", 5, &["seed 3, not 11", "--force"]);
    bench.fails(
        "run small.toml --seed 3 --patients 7",
        5,
        &["0..6000", "extend"],
    );
    bench.fails(
        "run breast --patients 9 --out small.h5",
        5,
        &["result of small"],
    );
    assert_eq!(bench.digest("small.h5"), other);
    bench.ok("run small.toml --force");
    assert_eq!(bench.digest("small.h5"), golden);
}

#[test]
fn verify_chooses_the_same_shards_every_time() {
    let bench = Bench::new();
    bench.ok("run small.toml --shard-patients 200");
    let one = bench
        .ok("verify small.h5 --fraction 0.2 --json --threads 1")
        .json();
    let two = bench
        .ok("verify small.h5 --fraction 0.2 --json --threads 2")
        .json();
    assert_eq!(one, two);
    assert_eq!(one["shards_checked"], 6);
    assert_eq!(one["patients_checked"], 1200);
    let all = bench.ok("verify small.h5 --fraction 1 --json").json();
    assert_eq!(all["patients_checked"], 6000);
}
