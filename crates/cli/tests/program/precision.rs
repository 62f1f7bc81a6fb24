//! A run with a precision ends where it must, whatever happens on the way.

use std::fs;

use crate::bench::{Bench, TRIAL, count_parts};

/// The small trial, at most so many patients; about 0.2 points after 25,000 of them.
const RUN: &str = "run small.toml --patients 60000 --precision 0.2 --out a.h5 --json";
const END: u64 = 25_000;

/// Digest of a run of exactly the patients that are enough.
fn plain(bench: &Bench) -> String {
    bench.ok(&format!("run small.toml --patients {END} --out plain.h5"));
    bench.digest("plain.h5")
}

#[test]
fn threads_and_shards_do_not_change_where_it_ends() {
    let bench = Bench::new();
    let plain = plain(&bench);
    for (threads, shard) in [(1, 60_000), (2, 1700), (7, 2500), (7, 10_001)] {
        let line = format!("{RUN} --force --threads {threads} --shard-patients {shard}");
        let ended = bench.ok(&line);
        assert!(
            ended
                .stderr
                .contains("precise enough after 25,000 patients: ±0.190 points"),
            "{}",
            ended.stderr
        );
        let summary = ended.json();
        assert_eq!(summary["precise"], true);
        assert_eq!(summary["patients_screened"], END);
        assert_eq!(summary["digest"], plain, "{line}");
        if threads == 1 {
            assert_eq!(summary["patients_simulated"], END, "and not one more");
        }
        assert!(!bench.path("a.h5.parts").exists());
        fs::remove_file(bench.path("a.h5")).expect("it is there");
    }
}

#[test]
fn a_killed_run_ends_at_the_same_patient() {
    let bench = Bench::new();
    let plain = plain(&bench);
    for (threads, parts) in [(1, 3), (4, 12), (4, 25), (4, 40)] {
        let line = format!("{RUN} --threads {threads} --shard-patients 500");
        let mut child = bench.start(&line, "a.h5.parts", parts);
        child.kill().expect("it runs");
        child.wait().expect("it ended");
    }
    assert!(count_parts(&bench.path("a.h5.parts")) >= 40);
    let resumed = bench.ok(&format!("{RUN} --threads 2 --shard-patients 4000"));
    assert_eq!(resumed.json()["digest"], plain);
    bench.ok("verify a.h5 --fraction 1");
}

/// All parts of the end, and others beyond it, are there when the program starts.
#[test]
fn parts_beyond_the_end_are_left_out() {
    let bench = Bench::new();
    let plain = plain(&bench);
    let coarse = "run small.toml --patients 60000 --precision 0.1 --out a.h5 --threads 1";
    let line = format!("{coarse} --shard-patients 2500 --records");
    let mut child = bench.start(&line, "a.h5.parts", 13);
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    let resumed = bench.ok(&format!("{RUN} --records"));
    let summary = resumed.json();
    assert_eq!(summary["patients_simulated"], 0, "nothing was missing");
    assert_eq!(summary["patients_screened"], END);
    bench.ok("verify a.h5 --fraction 1");
    assert_ne!(
        summary["digest"], plain,
        "keeping records is part of the trial"
    );
    let line = format!("run small.toml --records --patients {END} --out records.h5");
    bench.ok(&line);
    assert_eq!(summary["digest"], bench.digest("records.h5"));
}

#[test]
fn all_patients_may_not_be_enough() {
    let bench = Bench::new();
    let line = "run small.toml --precision 0.01 --json --out a.h5";
    let ended = bench.ok(line);
    let says = "not precise enough after 6,000 patients: ±0.3";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("points, not 0.01\n"),
        "{}",
        ended.stderr
    );
    let summary = ended.json();
    assert_eq!(summary["precise"], false);
    assert_eq!(summary["digest"], bench.golden());
    let again = bench.ok(line);
    assert!(
        again.stderr.contains("complete already"),
        "{}",
        again.stderr
    );
    assert_eq!(again.json()["precise"], false);
}

#[test]
fn few_patients_in_whom_arms_differ_are_not_precise() {
    let bench = Bench::new();
    let ended = bench.ok("run small.toml --patients 60 --precision 10 --json");
    assert!(
        ended.stderr.contains("but the arms differ in only"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.json()["precise"], false);
}

#[test]
fn the_trial_file_may_say_it_and_extending_ignores_it() {
    let bench = Bench::new();
    let trial = TRIAL.replace("patients = 6000", "patients = 60000\nprecision = 0.3");
    fs::write(bench.path("precise.toml"), trial).expect("room for a trial file");
    let summary = bench.ok("run precise.toml --out a.h5 --json").json();
    assert_eq!(summary["patients_screened"], 10_000);
    let finer = bench.ok("run precise.toml --precision 0.2 --out b.h5 --json");
    assert_eq!(finer.json()["patients_screened"], END);
    let extended = bench.ok(&format!("extend a.h5 --patients {END} --json"));
    assert_eq!(extended.json()["digest"], finer.json()["digest"]);
    assert!(extended.json()["precise"].is_null(), "nobody asked");
    let shown = bench.ok("trial show precise.toml").stdout;
    assert!(shown.contains("precision = 0.3\n"), "{shown}");
}

#[test]
fn a_run_that_starts_later_is_judged_on_its_own_patients() {
    let bench = Bench::new();
    let line = "run small.toml --first-patient 25000 --patients 40000 --precision 0.3 --json --out";
    let late = bench
        .ok(&format!("{line} a.h5 --shard-patients 777"))
        .json();
    assert_eq!(late["patients_screened"], 12_500);
    bench.ok("run small.toml --first-patient 25000 --patients 12500 --out b.h5");
    assert_eq!(late["digest"], bench.digest("b.h5"));
    let again = bench.ok(&format!("{line} a.h5"));
    assert!(
        again.stderr.contains("complete already"),
        "{}",
        again.stderr
    );
}

#[test]
fn only_a_result_that_was_made_for_the_precision_is_complete() {
    let bench = Bench::new();
    bench.ok(RUN);
    let again = bench.ok(RUN);
    assert!(
        again.stderr.contains("complete already"),
        "{}",
        again.stderr
    );
    assert_eq!(again.json()["precise"], true);
    bench.ok(&RUN.replace("60000", "25000"));
    let larger = bench.ok(&RUN.replace("60000", "99000"));
    assert_eq!(larger.json()["patients_simulated"], 0);
    for other in [RUN.replace("60000", "24000"), RUN.replace("0.2", "0.21")] {
        bench.fails(&other, 5, &["0..25000", "not made for a precision"]);
    }
    bench.ok("run small.toml --patients 25000 --out a.h5");
    bench.ok("run small.toml --patients 60000 --out a.h5 --force");
    bench.fails(RUN, 5, &["0..60000", "not made for a precision"]);
}

#[test]
fn parts_that_were_not_cut_for_it_are_refused() {
    let bench = Bench::new();
    let line = "run small.toml --patients 60000 --out a.h5 --shard-patients 3000 --threads 1";
    let mut child = bench.start(line, "a.h5.parts", 4);
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    bench.fails(
        RUN,
        5,
        &[
            "a.h5.parts holds patients 9000..12000",
            "before patient 10000",
        ],
    );
}

#[test]
fn a_precision_must_make_sense() {
    let bench = Bench::new();
    bench.fails("run small.toml --precision 0", 2, &["above 0 and up to 10"]);
    let alone = "base = \"breast\"\narms_only = [\"control\"]\n";
    fs::write(bench.path("alone.toml"), alone).expect("room for a trial file");
    bench.fails(
        "run alone.toml --precision 1",
        2,
        &["no comparison to be precise about", "leave out --precision"],
    );
    assert!(!bench.path("breast.h5.parts").exists());
}
