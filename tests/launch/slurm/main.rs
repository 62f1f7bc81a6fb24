//! `reseed launch slurm` on a real Slurm: whatever happens to a job, its result is that of `reseed run`.
//!
//! Needs root, without which it says that it is not run, and what `deploy/with-tools --tests` brings.

mod cluster;
#[path = "../lab.rs"]
mod lab;
mod run;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};

use crate::cluster::Cluster;
use crate::lab::{timed, wait_for};
use crate::run::{Golden, Run};

/// All nodes of the cluster.
const ALL: &str = "--nodes 3 --time 30";
/// All but one, so that another can take the place of one that is lost.
const TWO: &str = "--nodes 2 --time 30";

type Test = fn(&Cluster, &Golden);

const TESTS: [(&str, Test); 12] = [
    ("a_job_computes_the_result_of_a_run", whole),
    ("a_killed_worker_is_replaced", worker_killed),
    ("a_node_loses_its_power", node_lost),
    ("a_node_is_cut_off", node_cut_off),
    (
        "the_first_node_is_cut_off_and_both_jobs_run",
        first_node_cut_off,
    ),
    ("a_job_is_preempted", preempted),
    ("a_job_is_requeued", requeued),
    ("a_cancelled_job_goes_on_when_launched_again", cancelled),
    (
        "a_job_longer_than_its_time_goes_on_in_the_queue",
        out_of_time,
    ),
    ("two_jobs_run_at_once", two_at_once),
    ("workers_of_an_array_come_and_go", elastic),
    (
        "workers_of_an_array_outlive_their_time",
        elastic_out_of_time,
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share the cluster.
    arguments.test_threads = Some(1);
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("jobs of Slurm are not tested: a cluster of one's own needs root");
    }
    let cluster = Arc::new(OnceLock::new());
    let golden = Arc::new(Golden::default());
    let trials = TESTS.map(|(name, test)| {
        let (cluster, golden) = (Arc::clone(&cluster), Arc::clone(&golden));
        let run = move || {
            timed(name, || test(cluster.get_or_init(Cluster::up), &golden));
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(!is_root)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.into());
    drop(cluster);
    conclusion.exit_code()
}

fn whole(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden);
    let waiting = run.start(&format!("{ALL} --wait"));
    run.is_under_way();
    for (path, mode) in [("", 0o700), ("keys", 0o700), ("keys/worker.key", 0o600)] {
        let found = fs::metadata(run.store().join(path)).expect("it is there");
        assert_eq!(found.permissions().mode() & 0o777, mode, "{path:?}");
    }
    let status = run.login("status --store breast.store");
    assert!(status.contains("3: node"), "three workers: {status}");
    let said = waiting.ends(0);
    assert!(said.contains(&golden.digest()), "{said}");
    assert!(
        !run.store().join("keys").exists(),
        "keys are for the job alone"
    );
    run.is_golden();
}

fn worker_killed(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden);
    run.launch(ALL);
    run.is_under_way();
    cluster
        .lab
        .shell("pkill --signal KILL --newest --full 'reseed work --store'");
    run.completes();
    assert!(
        run.log().contains("another one takes its place"),
        "{}",
        run.log()
    );
}

/// Slurm starts the job again on the first and the third node.
fn node_lost(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden);
    run.launch(TWO);
    run.is_under_way();
    cluster.lab.lose(2);
    cluster.pause(1);
    run.completes();
    cluster.lab.boot(2);
    cluster.whole();
    assert_eq!(run.restarts(), 1);
    assert!(run.log().contains("are there"), "it goes on: {}", run.log());
}

/// The same while a worker of the first copy is still at work.
fn node_cut_off(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden);
    run.launch(TWO);
    run.is_under_way();
    let cut = cluster.lab.cut(2);
    cluster.pause(1);
    run.completes();
    drop(cut);
    cluster.whole();
    assert_eq!(run.restarts(), 1);
}

/// Slurm gives the job to the two other nodes, while what is on the first one goes on.
fn first_node_cut_off(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden);
    run.launch(TWO);
    run.is_under_way();
    let cut = cluster.lab.cut(1);
    cluster.pause(1);
    wait_for("the job is started again", Duration::from_mins(2), || {
        run.restarts() == 1 && run.state() == "RUNNING"
    });
    wait_for("it meets its predecessor", Duration::from_mins(1), || {
        run.log().contains("waiting up to")
    });
    assert!(!run.has_result());
    drop(cut);
    run.completes();
    cluster.whole();
}

fn preempted(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden);
    run.launch(&format!("{ALL} --partition spot"));
    run.is_under_way();
    let begin = Instant::now();
    cluster
        .lab
        .shell("srun --partition main --nodes 3 --exclusive --quiet true");
    let seconds = begin.elapsed().as_secs();
    assert!(seconds < 25, "the job made room after {seconds} s");
    run.completes();
    assert_eq!(run.restarts(), 1);
    assert!(run.log().contains("are there"), "it goes on: {}", run.log());
}

fn requeued(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden);
    run.launch(ALL);
    run.is_under_way();
    cluster
        .lab
        .shell(&format!("scontrol requeue {}", run.job()));
    run.completes();
    assert_eq!(run.restarts(), 1);
    assert!(run.log().contains("are there"), "it goes on: {}", run.log());
}

fn cancelled(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden);
    let waiting = run.start(&format!("{ALL} --wait"));
    run.is_under_way();
    let kept = run.parts();
    cluster.lab.shell(&format!("scancel {}", run.job()));
    let said = waiting.ends(3);
    assert!(said.contains("the same command goes on"), "{said}");
    assert!(!run.has_result());
    assert!(run.parts() >= kept);
    run.launch(ALL);
    run.completes();
    assert!(run.log().contains("are there"), "it goes on: {}", run.log());
}

fn out_of_time(cluster: &Cluster, golden: &Golden) {
    let run = Run::long(cluster, golden);
    run.launch("--nodes 3 --time 1");
    run.completes();
    assert!(run.restarts() >= 1, "a minute is not enough");
    assert!(
        run.log().contains("goes back into the queue"),
        "{}",
        run.log()
    );
}

fn two_at_once(cluster: &Cluster, golden: &Golden) {
    let runs = [Run::new(cluster, golden), Run::new(cluster, golden)];
    for run in &runs {
        run.launch("--nodes 3 --cpus 1 --time 30");
    }
    for run in &runs {
        run.is_under_way();
        assert_eq!(run.state(), "RUNNING");
        let log = run.log();
        assert_eq!(
            log.matches("1 thread for").count(),
            3,
            "no more than its share: {log}"
        );
    }
    for run in &runs {
        run.completes();
    }
}

fn elastic(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden);
    let coordinator = run.start(ELASTIC);
    run.is_under_way();
    cluster.lab.shell(&format!("scancel {}_1", run.job()));
    run.is_under_way();
    let node = cluster
        .lab
        .shell("squeue --noheader --states=running --format=%N");
    let node = node
        .trim()
        .strip_prefix("node")
        .and_then(|n| n.parse().ok());
    let node = node.expect("the other task is on a node");
    cluster.lab.lose(node);
    run.is_under_way();
    let said = coordinator.ends(0);
    assert!(said.contains(&golden.digest()), "{said}");
    run.is_golden();
    cluster.lab.boot(node);
    cluster.whole();
    wait_for("no task is left", Duration::from_secs(30), || {
        cluster.lab.shell("squeue --noheader").is_empty()
    });
}

fn elastic_out_of_time(cluster: &Cluster, golden: &Golden) {
    let run = Run::long(cluster, golden);
    let coordinator = run.start(&ELASTIC.replace("--time 30", "--time 1"));
    run.is_under_way();
    let job = run.job();
    let said = coordinator.ends(0);
    assert!(said.contains(&golden.long_digest()), "{said}");
    run.is_golden();
    let log = run.log_of(&format!("{job}_1"));
    assert!(log.contains("goes back into the queue"), "{log}");
}

const ELASTIC: &str = "--elastic --nodes 2 --cpus 2 --time 30 --advertise 10.78.0.254";
