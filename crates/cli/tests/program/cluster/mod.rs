//! A coordinator and its workers: whatever happens to them, the result is that of `reseed run`.

mod faults;
mod metrics;
mod moving;
mod namespaces;
mod network;
pub(crate) mod process;
mod proxy;
mod store;
mod strangers;

use std::fs;
use std::time::Instant;

use crate::bench::Bench;
use process::{
    COORDINATE, PATIENCE, Process, announced, coordinator, status, until, wait_for_parts,
    wait_for_status,
};

#[test]
fn two_workers_give_the_result_of_one_run() {
    let bench = Bench::new();
    let golden = bench.golden_of("pair.toml");
    let (coordinator, url) = coordinator(&bench, "--audit 10");
    // One sees the store, the other sends its parts over the network.
    let near = Process::start(&bench, &format!("work --connect {url} --threads 2"));
    let far = Process::start(
        &bench,
        &format!("work --connect {url} --threads 1 --spool far"),
    );
    coordinator.ends(0);
    for worker in [near, far] {
        let said = worker.ends(0);
        assert!(said.contains("the run is complete"), "{said}");
    }
    assert_eq!(bench.digest("s/result.h5"), golden);
    let again = bench.ok(&format!("{COORDINATE} --listen 127.0.0.1:0"));
    assert!(
        again.stderr.contains("complete already"),
        "{}",
        again.stderr
    );
}

#[test]
fn two_workers_end_a_run_with_a_precision_where_one_run_ends() {
    let bench = Bench::new();
    let precise = "small.toml --patients 60000 --precision 0.2";
    let golden = bench.golden_of(precise);
    let line = format!("coordinate {precise} --store s --no-progress --listen 127.0.0.1:0");
    let (coordinator, url) = announced(Process::start(&bench, &line));
    let work =
        |threads| Process::start(&bench, &format!("work --connect {url} --threads {threads}"));
    let workers = [work(1), work(2)];
    let said = coordinator.ends(0);
    assert!(said.contains("after 25,000 patients"), "{said}");
    for worker in workers {
        worker.ends(0);
    }
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn a_second_coordinator_on_the_same_store_is_refused() {
    let bench = Bench::new();
    let (_first, _) = coordinator(&bench, "");
    bench.fails(
        &format!("{COORDINATE} --listen 127.0.0.1:0"),
        4,
        &["in use by another reseed process"],
    );
}

#[test]
fn a_cancelled_run_ends_and_goes_on_later() {
    let bench = Bench::new();
    let golden = bench.golden_of("pair.toml --patients 12000");
    let (running, url) = coordinator(&bench, "--patients 12000");
    let worker = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), 3);
    bench.ok(&format!("cancel --connect {url} --reason enough"));
    let said = running.ends(3);
    assert!(said.contains("enough"), "{said}");
    worker.ends(8);
    let (running, url) = coordinator(&bench, "--patients 12000");
    let _worker = Process::start(&bench, &format!("work --connect {url} --threads 2"));
    running.ends(0);
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn status_tells_why_nothing_runs_and_who_works() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "--patients 60000");
    let told = bench.ok(&format!("status --connect {url}")).stdout;
    assert!(told.contains("no worker is connected"), "{told}");
    let worker = Process::start(
        &bench,
        &format!("work --connect {url} --threads 1 --name ada"),
    );
    wait_for_parts(&bench.path("s"), 3);
    // So that the run is still there to be looked at, however fast the machine is.
    worker.signal("STOP");
    // The estimate is worked out every now and then.
    let report = wait_for_status(&bench, &url, "an estimate", |report| {
        report["estimate"]["label"].is_string()
    });
    assert_eq!(report["patients"], 60000);
    assert!(
        report["patients_committed"].as_u64() >= Some(120),
        "{report}"
    );
    assert_eq!(status(&bench, &url)["workers"][0]["name"], "ada");
}

#[test]
fn beyond_loopback_nothing_is_served_in_the_clear() {
    let bench = Bench::new();
    bench.fails(
        &format!("{COORDINATE} --listen 0.0.0.0:0"),
        2,
        &["in the clear"],
    );
    bench.fails("work --connect http://192.0.2.1:7461", 2, &["insecure"]);
}

#[test]
fn with_keys_only_known_workers_are_let_in() {
    let bench = Bench::new();
    let golden = bench.golden_of("pair.toml");
    bench.ok("keys keys");
    bench.ok("keys strangers");
    let (coordinator, url) = coordinator(&bench, "--keys keys");
    assert!(url.starts_with("https://"), "{url}");
    bench.fails(
        &format!("work --connect {url} --keys strangers --patience 1"),
        7,
        &["do not trust"],
    );
    // A worker may not do what operators do.
    let cancel = format!(
        "cancel --connect {url} --ca keys/ca.pem --certificate keys/worker.pem --key keys/worker.key"
    );
    bench.fails(&cancel, 7, &["operator"]);
    let _worker = Process::start(&bench, &format!("work --connect {url} --keys keys"));
    coordinator.ends(0);
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn a_renewed_certificate_is_used_without_a_restart() {
    let bench = Bench::new();
    bench.ok("keys keys");
    bench.ok("keys successor");
    let (_running, url) = coordinator(&bench, "--keys keys");
    let before = format!("status --connect {url} --keys keys --json");
    bench.ok(&before);
    // A server certificate of another CA shows which one is used.
    for file in ["server.key", "server.pem"] {
        let successor = bench.path("successor").join(file);
        fs::copy(successor, bench.path("keys").join(file)).expect("room");
    }
    let after = format!(
        "status --connect {url} --json --ca successor/ca.pem --certificate keys/operator.pem \
         --key keys/operator.key"
    );
    until("the renewed certificate", || {
        bench.reseed(&after).exit == Some(0)
    });
    bench.fails(&before, 7, &["do not trust"]);
}

#[test]
fn a_worker_without_a_coordinator_gives_up_after_its_patience() {
    let bench = Bench::new();
    let began = Instant::now();
    bench.fails(
        "work --connect http://127.0.0.1:9 --patience 1",
        7,
        &["gave up", "without a coordinator"],
    );
    assert!(began.elapsed() < PATIENCE);
}
