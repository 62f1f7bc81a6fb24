//! What `reseed launch` would submit, where there is nobody to submit it to. Real clusters have tests of
//! their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::bench::{Bench, RESEED};

/// A folder with a program `sbatch` that notes its arguments and answers so.
fn with_sbatch(bench: &Bench, script: &str) -> String {
    let folder = bench.path("bin");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("sbatch");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    format!("{}:/usr/bin:/bin", folder.display())
}

#[test]
fn a_dry_run_prints_what_would_be_submitted_and_does_nothing() {
    let bench = Bench::new();
    let line = "launch slurm small.toml --nodes 4 --time 2:00:00 --partition short --dry-run";
    let printed = bench.ok(&format!("{line} -- --account=oncology")).stdout;
    let store = bench.path("small.store");
    let store = fs::canonicalize(bench.path(".")).map_or(store, |at| at.join("small.store"));
    let store = store.display();
    let command = format!(
        "RESEED={RESEED} sbatch --parsable --nodes 4 --exclusive --time 2:00:00 --partition short \
         --output '{store}/launch/%j.log' --export ALL '--account=oncology' \
         {store}/launch/trial.sbatch {store} {store}/launch/trial.toml"
    );
    assert_eq!(printed.lines().next(), Some(command.as_str()));
    let script = include_str!("../../../../deploy/slurm/trial.sbatch");
    assert!(printed.ends_with(script), "{printed}");
    assert!(!bench.path("small.store").exists());

    let printed = bench
        .ok("launch slurm small.toml --elastic --nodes 9 --cpus 8 --time 60 --advertise login --dry-run")
        .stdout;
    let mut lines = printed.lines();
    let workers = lines.next().expect("a line");
    assert!(
        workers.contains("--array 1-9 --cpus-per-task 8"),
        "{workers}"
    );
    assert!(
        workers.ends_with(&format!("workers.sbatch {store}")),
        "{workers}"
    );
    let coordinator = format!(
        "reseed coordinate {store}/launch/trial.toml --store {store} --keys {store}/keys \
         --listen 0.0.0.0:0 --advertise login"
    );
    assert_eq!(lines.next(), Some(coordinator.as_str()));
}

#[test]
fn a_launch_keeps_the_trial_in_the_store_and_refuses_the_store_of_another_run() {
    let bench = Bench::new();
    let path = with_sbatch(&bench, "echo \"$RESEED $*\" > submitted; echo '77;cluster'");
    let launch = |more: &str| {
        let line = format!("launch slurm small.toml --nodes 2 --time 10 {more}");
        let output = bench.command(&line).env("PATH", &path).output();
        crate::bench::Ended::of(output.expect("the program starts"))
    };
    let launched = launch("");
    launched.check("launch", 0, &["job 77", "reseed status --store"]);
    assert_eq!(launched.stdout, "77\n");
    let submitted = fs::read_to_string(bench.path("submitted")).expect("sbatch was called");
    assert!(submitted.starts_with(RESEED), "{submitted}");
    let mode = |name: &str| {
        let found = fs::metadata(bench.path(name)).expect("it is there");
        found.permissions().mode() & 0o777
    };
    assert_eq!(mode("small.store"), 0o700);
    bench.ok("trial check small.store/launch/trial.toml");
    // More patients of the same run are welcome.
    launch("--patients 9000").check("launch", 0, &[]);
    launch("--seed 5").check("launch", 5, &["the store of another run", "seed 11"]);
}

#[test]
fn problems_with_slurm_are_told() {
    let bench = Bench::new();
    let launch = |path: &str| {
        let mut command = bench.command("launch slurm small.toml --nodes 2 --time 10");
        let output = command.env("PATH", path).output();
        crate::bench::Ended::of(output.expect("the program starts"))
    };
    launch("").check("launch", 4, &["cannot run sbatch", "commands of Slurm"]);
    let path = with_sbatch(
        &bench,
        "echo 'sbatch: error: Batch job submission failed' >&2; exit 1",
    );
    launch(&path).check(
        "launch",
        4,
        &["sbatch failed", "Batch job submission failed"],
    );
    bench.fails(
        "launch slurm absent.toml --nodes 1 --time 1",
        4,
        &["absent.toml"],
    );
}
