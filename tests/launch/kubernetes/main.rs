//! `reseed launch kubernetes`: its manifests against the published schemas, and its runs on a real
//! Kubernetes, where whatever happens to pods and nodes, the result is that of `reseed run`.
//!
//! Needs what `deploy/with-tools --tests` brings. The cluster needs root and the
//! programs that `tests/launch/kubernetes/build` makes; without them that part is not run, and says so.

mod cluster;
#[path = "../lab.rs"]
mod lab;
mod run;
mod schemas;

use std::fs;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};

use crate::cluster::{Cluster, programs};
use crate::lab::{digest, timed, wait_for};
use crate::run::{Golden, Run, name, node, node_number};

type Test = fn(&Cluster, &Golden);

const WITHOUT_A_CLUSTER: [(&str, fn()); 4] = [
    ("manifests_fit_current_versions", schemas::current),
    ("manifests_fit_older_versions", schemas::older),
    ("shared_manifests_fit_current_versions", schemas::shared),
    ("wrong_manifests_are_found", schemas::wrong),
];

const ON_A_CLUSTER: [(&str, Test); 11] = [
    ("the_server_takes_every_manifest", server_side),
    ("a_run_computes_the_result_of_a_run", whole),
    ("a_workers_pod_is_killed", worker_killed),
    ("the_coordinators_pod_is_deleted", coordinator_deleted),
    ("a_node_is_drained", node_drained),
    ("a_node_is_cut_off", node_cut_off),
    ("the_coordinators_node_loses_its_power", node_lost),
    ("a_store_outlives_its_run", reinstalled),
    (
        "a_worker_with_a_wrong_certificate_is_refused",
        wrong_certificate,
    ),
    ("a_run_that_fails_says_why", failed),
    ("two_runs_live_in_one_namespace", two_at_once),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share the cluster.
    arguments.test_threads = Some(1);
    let mut trials: Vec<Trial> = WITHOUT_A_CLUSTER
        .map(|(name, test)| {
            Trial::test(name, move || {
                timed(name, test);
                Ok(())
            })
        })
        .into();
    let cluster = Arc::new(OnceLock::new());
    let golden = Arc::new(Golden::default());
    match programs() {
        Some(programs) => trials.extend(ON_A_CLUSTER.map(|(name, test)| {
            let (cluster, golden) = (Arc::clone(&cluster), Arc::clone(&golden));
            let programs = programs.clone();
            Trial::test(name, move || {
                let cluster = cluster.get_or_init(|| Cluster::up(&programs));
                timed(name, || test(cluster, &golden));
                Ok(())
            })
        })),
        None => eprintln!(
            "runs on Kubernetes are not tested: there are no programs of a cluster; \
             tests/launch/kubernetes/build makes them, as root, in some fifteen minutes"
        ),
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(cluster);
    conclusion.exit_code()
}

fn server_side(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden, "asked");
    let file = run.path("manifests.yaml");
    fs::write(&file, run.launch("--dry-run")).expect("room");
    let taken = cluster.lab.shell(&format!(
        "kubectl apply --dry-run=server --filename={}",
        file.display()
    ));
    let created = taken.matches("created (server dry run)").count();
    assert_eq!(created, 10, "{taken}");
    assert_eq!(taken.matches("networkpolicy").count(), 2, "{taken}");
    let reader = run.launched().join("reader");
    let reader = reader.display();
    cluster
        .lab
        .shell(&format!("kubectl apply --dry-run=server -k {reader}"));
}

fn whole(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden, "whole");
    let waiting = run.start("--out whole.h5");
    run.is_under_way();
    wait_for("the coordinator is ready", Duration::from_secs(20), || {
        cluster::is_ready(&run.coordinator())
    });
    for worker in run.pods("worker") {
        let said = run.log_of(&worker);
        assert!(
            said.contains(": 1 thread for"),
            "as many as it may use: {said}"
        );
    }
    let said = waiting.ends(0);
    assert!(said.contains(golden.digest()), "{said}");
    assert!(said.contains("patients/s"), "progress is told: {said}");
    assert_eq!(digest(&run.path("whole.h5")), golden.digest());
    run.completes();
    let workers = format!("job {}", run.object("workers"));
    wait_for("the workers end too", Duration::from_mins(1), || {
        cluster.get(&workers)["status"]["succeeded"] == 3
    });
    wait_for("the reader is gone", Duration::from_secs(20), || {
        run.pods("reader").is_empty()
    });
    run.remove();
}

fn worker_killed(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden, "killed");
    run.launch("");
    run.is_under_way();
    let worker = run.pods("worker").remove(0);
    cluster.lab.shell(&format!(
        "kubectl delete pod {} --grace-period=0 --force",
        name(&worker)
    ));
    wait_for(
        "another one takes its place",
        Duration::from_secs(20),
        || run.pods("worker").len() == 3,
    );
    assert!(!run.has_result());
    run.completes();
    run.remove();
}

fn coordinator_deleted(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden, "deleted");
    run.launch("");
    run.is_under_way();
    cluster
        .lab
        .shell(&format!("kubectl delete pod {}", name(&run.coordinator())));
    run.is_under_way();
    assert!(run.log().contains("are there"), "it goes on: {}", run.log());
    run.completes();
    run.remove();
}

/// The coordinator's node, and with it a worker. The other node is full, so the coordinator takes the
/// place of a worker there.
fn node_drained(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden, "drained");
    run.launch("");
    run.is_under_way();
    let first = run.coordinator();
    let drained = node(&first);
    cluster.lab.shell(&format!(
        "kubectl drain {drained} --ignore-daemonsets --delete-emptydir-data"
    ));
    assert!(!run.has_result(), "too late: the run is complete");
    run.is_under_way();
    assert_ne!(node(&run.coordinator()), drained);
    assert!(run.log().contains("are there"), "it goes on: {}", run.log());
    cluster.lab.shell(&format!("kubectl uncordon {drained}"));
    run.completes();
    run.remove();
    cluster.whole();
}

/// What is on the node goes on, and nobody hears of it.
fn node_cut_off(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden, "cut");
    run.launch("");
    run.is_under_way();
    let home = run.coordinator();
    let workers = run.pods("worker");
    let away = workers.iter().find(|worker| node(worker) != node(&home));
    let away = away.expect("a worker on another node");
    let cut = cluster.lab.cut(node_number(away));
    run.completes();
    let nodes = cluster.get(&format!("node {}", node(away)));
    assert!(!cluster::is_ready(&nodes), "it was cut off until the end");
    drop(cut);
    cluster.whole();
    run.remove();
}

fn node_lost(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden, "lost");
    run.launch("");
    run.is_under_way();
    let first = run.coordinator();
    cluster.lab.lose(node_number(&first));
    // Nobody can tell a node without power from one that is cut off; Kubernetes waits, and an
    // administrator who knows says so by removing the node.
    thread::sleep(Duration::from_secs(15));
    cluster
        .lab
        .shell(&format!("kubectl delete node {}", node(&first)));
    run.is_under_way();
    assert_ne!(node(&run.coordinator()), node(&first));
    assert!(run.log().contains("are there"), "it goes on: {}", run.log());
    run.completes();
    cluster.lab.boot(node_number(&first));
    cluster.whole();
    run.remove();
}

fn reinstalled(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden, "again");
    run.launch("");
    run.is_under_way();
    let parts = run.parts();
    let folder = run.launched();
    cluster
        .lab
        .shell(&format!("kubectl delete -k {}", folder.display()));
    wait_for("its pods are gone", Duration::from_mins(1), || {
        run.pods("coordinator").is_empty()
    });
    assert!(run.parts() >= parts, "the store stays");
    assert!(!run.has_result());
    let said = run.start("--wait").ends(0);
    assert!(said.contains(golden.digest()), "{said}");
    let log = run.log();
    assert!(log.contains("are there"), "it goes on: {log}");
    run.completes();
    run.remove();
}

fn wrong_certificate(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden, "stranger");
    run.launch("--dry-run");
    let (keys, foreign) = (run.launched().join("keys"), run.path("foreign"));
    let made = run.reseed(&["keys", "foreign"]);
    assert!(made.status.success());
    let own = run.path("own");
    fs::create_dir(&own).expect("room");
    for file in ["worker.pem", "worker.key"] {
        fs::copy(keys.join(file), own.join(file)).expect("room");
        fs::copy(foreign.join(file), keys.join(file)).expect("room");
    }
    run.launch("");
    wait_for("workers are refused", Duration::from_mins(1), || {
        let workers = run.pods("worker");
        let mut said = workers
            .iter()
            .filter(|worker| worker["status"]["phase"] != "Pending");
        said.any(|worker| run.log_of(worker).contains("another CA signed it"))
    });
    assert_eq!(run.parts(), 0, "strangers deliver nothing");
    for file in ["worker.pem", "worker.key"] {
        fs::copy(own.join(file), keys.join(file)).expect("room");
    }
    cluster
        .lab
        .shell(&format!("kubectl delete job {}", run.object("workers")));
    run.launch("");
    run.completes();
    run.remove();
}

/// Exit codes come through.
fn failed(cluster: &Cluster, golden: &Golden) {
    let run = Run::new(cluster, golden, "other");
    run.launch("");
    run.is_under_way();
    cluster
        .lab
        .shell(&format!("kubectl delete -k {}", run.launched().display()));
    let said = run.start("--seed 2 --wait").ends(5);
    assert!(said.contains("the coordinator ended with 5"), "{said}");
    run.remove();
}

fn two_at_once(cluster: &Cluster, golden: &Golden) {
    let runs = ["left", "right"].map(|name| Run::new(cluster, golden, name));
    for run in &runs {
        run.launch("--workers 1");
    }
    for run in &runs {
        run.is_under_way();
    }
    for run in &runs {
        run.completes();
        run.remove();
    }
}
