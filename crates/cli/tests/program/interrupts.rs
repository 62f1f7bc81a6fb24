//! Stopped at any moment: the old result or the new one is there, and the work goes on.

use std::fs;
use std::io::Read;
use std::process::Command;

use crate::bench::{Bench, Ended, RESEED, count_parts, signal};

/// Many small shards, so that there is something to interrupt.
const RUN: &str = "run small.toml --out a.h5 --threads 2 --shard-patients 120";

#[test]
fn a_killed_run_goes_on_and_gives_the_same_result() {
    let bench = Bench::new();
    let golden = bench.golden();
    for kills in 1..=4 {
        let mut child = bench.start(RUN, "a.h5.parts", kills * 6);
        child.kill().expect("it runs");
        child.wait().expect("it ended");
        assert!(!bench.path("a.h5").exists());
    }
    let kept = count_parts(&bench.path("a.h5.parts"));
    assert!(kept >= 24, "{kept} parts survived");
    // The shards of a resumed run may have another size.
    let ended = bench.ok("run small.toml --out a.h5 --threads 1 --shard-patients 700 --json");
    assert!(
        ended.stderr.contains("patients are there"),
        "{}",
        ended.stderr
    );
    let simulated = ended.json()["patients_simulated"]
        .as_u64()
        .expect("a count");
    assert!(simulated <= 6000 - 120 * kept as u64, "{simulated}");
    assert_eq!(bench.digest("a.h5"), golden);
    assert!(!bench.path("a.h5.parts").exists());
}

#[test]
fn the_first_interrupt_ends_a_run_cleanly() {
    for name in ["INT", "TERM"] {
        let bench = Bench::new();
        let golden = bench.golden();
        let mut child = bench.start(RUN, "a.h5.parts", 5);
        signal(&child, name);
        let mut said = String::new();
        let status = child.wait().expect("it ended");
        let mut stderr = child.stderr.take().expect("piped");
        stderr.read_to_string(&mut said).expect("UTF-8");
        assert_eq!(status.code(), Some(3), "{said}");
        assert!(said.contains("run the same command again"), "{said}");
        let leftovers = fs::read_dir(bench.path("a.h5.parts/parts")).expect("a store");
        for entry in leftovers {
            let entry = entry.expect("a file").file_name();
            assert!(!entry.to_string_lossy().contains("partial"), "{entry:?}");
        }
        bench.ok(RUN);
        assert_eq!(bench.digest("a.h5"), golden);
    }
}

#[test]
fn a_killed_extension_leaves_the_old_result_and_goes_on() {
    let bench = Bench::new();
    let golden = bench.golden();
    bench.ok("run small.toml --patients 1000 --out a.h5");
    let old = bench.digest("a.h5");
    let extend = "extend a.h5 --patients 6000 --shard-patients 60";
    let mut child = bench.start(extend, "a.h5.parts", 7);
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    assert_eq!(bench.digest("a.h5"), old);
    bench.fails("run small.toml --out a.h5", 5, &["0..1000"]);
    let done = bench.ok("run small.toml --out a.h5 --patients 1000");
    assert!(done.stderr.contains("complete already"), "{}", done.stderr);
    assert!(
        count_parts(&bench.path("a.h5.parts")) >= 7,
        "the parts are still of use"
    );
    bench.ok(extend);
    assert_eq!(bench.digest("a.h5"), golden);
}

#[test]
fn parts_left_by_a_crash_after_the_merge_are_removed() {
    let bench = Bench::new();
    let mut child = bench.start(RUN, "a.h5.parts", 3);
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    let copied = Command::new("cp")
        .args(["-r", "a.h5.parts", "kept"])
        .current_dir(bench.path("."))
        .status();
    assert!(copied.expect("cp").success());
    bench.ok(RUN);
    let digest = bench.digest("a.h5");
    fs::rename(bench.path("kept"), bench.path("a.h5.parts")).expect("a rename");
    bench.ok(RUN);
    assert!(!bench.path("a.h5.parts").exists());
    assert_eq!(bench.digest("a.h5"), digest);
}

#[test]
fn two_runs_into_one_file_exclude_each_other() {
    let bench = Bench::new();
    let mut child = bench.start(RUN, "a.h5.parts", 1);
    signal(&child, "STOP");
    bench.fails(RUN, 4, &["in use by another reseed process"]);
    child.kill().expect("it is stopped");
    child.wait().expect("it ended");
}

#[test]
fn the_parts_of_another_run_are_not_mixed_in() {
    let bench = Bench::new();
    let golden = bench.golden();
    let mut child = bench.start(&RUN.replace("run ", "run --seed 5 "), "a.h5.parts", 2);
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    bench.fails(RUN, 5, &["does not belong to this run", "seed"]);
    bench.ok(&format!("{RUN} --force"));
    assert_eq!(bench.digest("a.h5"), golden);
    let mut child = bench.start(&RUN.replace("a.h5", "b.h5"), "b.h5.parts", 30);
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    bench.fails(
        "run small.toml --patients 100 --out b.h5",
        5,
        &["unfinished larger run"],
    );
}

/// A script in a mount namespace of its own, with a small disk at `disk`; `$RESEED` is the
/// program.
fn on_a_small_disk(bench: &Bench, script: &str) -> Ended {
    fs::create_dir_all(bench.path("disk")).expect("a folder");
    let script = format!("set -eu\nmount -t tmpfs -o size=1m small disk\n{script}");
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", &script])
        .current_dir(bench.path("."))
        .env("RESEED", RESEED)
        .output()
        .expect("unshare, of util-linux");
    Ended::of(output)
}

#[test]
fn a_full_disk_keeps_the_old_result_and_the_parts() {
    let bench = Bench::new();
    let golden = bench.golden();
    let ended = on_a_small_disk(
        &bench,
        "$RESEED run small.toml --patients 60 --out disk/a.h5 -q
         $RESEED digest disk/a.h5 > before
         code=0
         $RESEED extend disk/a.h5 --patients 6000 --shard-patients 60 2> said || code=$?
         echo $code > code
         $RESEED digest disk/a.h5 > after
         ls -A disk disk/a.h5.parts/parts > files
         mount -o remount,size=64m disk
         $RESEED extend disk/a.h5 --patients 6000
         cp disk/a.h5 a.h5",
    );
    assert_eq!(ended.exit, Some(0), "{}", ended.stderr);
    let read = |name: &str| fs::read_to_string(bench.path(name)).expect("written by the script");
    assert_eq!(read("code").trim(), "4", "{}", read("said"));
    assert!(read("said").contains("free some space"), "{}", read("said"));
    assert_eq!(read("before"), read("after"));
    assert!(!read("files").contains("partial"), "{}", read("files"));
    assert!(
        ended.stderr.contains("patients are there"),
        "{}",
        ended.stderr
    );
    assert_eq!(bench.digest("a.h5"), golden);
}

#[test]
fn a_read_only_folder_is_told() {
    let bench = Bench::new();
    let ended = on_a_small_disk(
        &bench,
        "mount -o remount,ro disk
         code=0
         $RESEED run small.toml --out disk/a.h5 || code=$?
         exit $code",
    );
    ended.check(
        "run on a read-only disk",
        4,
        &["disk/a.h5.parts", "Read-only"],
    );
}
