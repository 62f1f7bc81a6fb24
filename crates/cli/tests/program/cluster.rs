//! A coordinator and its workers: whatever happens to them, the result is that of `reseed run`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::bench::{Bench, count_parts, signal};

/// Longest time that a cluster may take for anything.
const PATIENCE: Duration = Duration::from_secs(90);

/// Many small shards, a tenth of them computed twice, and leases that run out soon.
const COORDINATE: &str = "coordinate small.toml --store s --shard-patients 120 --audit 10 --lease-seconds 1 \
     --no-progress";

/// A process that dies with the test.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    pub(crate) fn start(bench: &Bench, line: &str) -> Self {
        let child = bench
            .command(line)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("the program starts"))
    }

    /// Kills it as a lost machine would.
    pub(crate) fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ended");
    }

    /// Waits for its end and returns its exit code and what it said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let begin = Instant::now();
        while self.0.try_wait().expect("a child").is_none() {
            assert!(begin.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let status = self.0.wait().expect("it ended");
        let mut said = String::new();
        if let Some(stderr) = self.0.stderr.take() {
            for line in BufReader::new(stderr).lines() {
                said += &(line.expect("UTF-8") + "\n");
            }
        }
        (status.code(), said)
    }
}

/// Starts a coordinator and waits for the URL that it tells workers.
pub(crate) fn coordinator(bench: &Bench, options: &str) -> (Process, String) {
    let mut process = Process::start(bench, &format!("{COORDINATE} {options}"));
    let stderr = process.0.stderr.take().expect("piped");
    let mut lines = BufReader::new(stderr);
    let mut said = String::new();
    loop {
        let mut line = String::new();
        let length = lines.read_line(&mut line).expect("UTF-8");
        assert!(length > 0, "no URL but\n{said}");
        said += &line;
        if let Some((_, url)) = line.trim_end().split_once("reseed work --connect ") {
            process.0.stderr = Some(lines.into_inner());
            return (process, url.to_owned());
        }
    }
}

fn wait_for_parts(store: &Path, parts: usize) {
    let begin = Instant::now();
    while count_parts(store) < parts {
        assert!(begin.elapsed() < PATIENCE, "no {parts} parts");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn two_workers_give_the_result_of_one_run() {
    let bench = Bench::new();
    let golden = bench.golden();
    let (coordinator, url) = coordinator(&bench, "--listen 127.0.0.1:0");
    // One sees the store, the other sends its parts over the network.
    let near = Process::start(&bench, &format!("work --connect {url} --threads 2"));
    let far = Process::start(
        &bench,
        &format!("work --connect {url} --threads 1 --spool far"),
    );
    let (code, said) = coordinator.end();
    assert_eq!(code, Some(0), "{said}");
    for worker in [near, far] {
        let (code, said) = worker.end();
        assert_eq!(code, Some(0), "{said}");
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

/// Six faults, each after new parts were committed: the coordinator and each worker are killed
/// in turn. None may be left over when the run completes.
#[test]
fn killed_workers_and_coordinators_change_nothing() {
    let bench = Bench::new();
    let golden = bench.golden();
    let (mut running, url) = coordinator(&bench, "--listen 127.0.0.1:0");
    let address = url.trim_start_matches("http://").to_owned();
    let work =
        |spool: &str| Process::start(&bench, &format!("work --connect {url} --threads 1{spool}"));
    let mut workers = [work(""), work(" --spool far")];
    let mut committed = 0;
    for fault in 0..6 {
        wait_for_parts(&bench.path("s"), committed + 2);
        committed = count_parts(&bench.path("s"));
        assert!(committed < 50, "too late for fault {fault}");
        if fault % 2 == 0 {
            running.kill();
            let kept = count_parts(&bench.path("s"));
            running = coordinator(&bench, &format!("--listen {address}")).0;
            assert!(
                count_parts(&bench.path("s")) >= kept,
                "what was committed stays"
            );
        } else {
            let which = fault / 2 % 2;
            let spool = if which == 0 { "" } else { " --spool far" };
            std::mem::replace(&mut workers[which], work(spool)).kill();
        }
    }
    let (code, said) = running.end();
    assert_eq!(code, Some(0), "{said}");
    for worker in workers {
        let (code, said) = worker.end();
        assert_eq!(code, Some(0), "{said}");
    }
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn a_worker_that_is_terminated_hands_back_its_shards() {
    let bench = Bench::new();
    let golden = bench.golden();
    let (coordinator, url) = coordinator(&bench, "--listen 127.0.0.1:0");
    let first = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), 3);
    signal(&first.0, "TERM");
    let (code, said) = first.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("left as asked"), "{said}");
    let second = Process::start(&bench, &format!("work --connect {url} --threads 2"));
    let (code, said) = coordinator.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(second.end().0, Some(0));
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn a_worker_that_is_stopped_for_long_loses_its_shards_and_nothing_else() {
    let bench = Bench::new();
    let golden = bench.golden();
    let (coordinator, url) = coordinator(&bench, "--listen 127.0.0.1:0");
    let sleeper = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), 2);
    signal(&sleeper.0, "STOP");
    let worker = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), 40);
    signal(&sleeper.0, "CONT");
    let (code, said) = coordinator.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(worker.end().0, Some(0));
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn a_second_coordinator_on_the_same_store_is_refused() {
    let bench = Bench::new();
    let (_first, _) = coordinator(&bench, "--listen 127.0.0.1:0");
    bench.fails(
        &format!("{COORDINATE} --listen 127.0.0.1:0"),
        4,
        &["in use by another reseed process"],
    );
}

#[test]
fn a_cancelled_run_ends_and_goes_on_later() {
    let bench = Bench::new();
    let golden = bench.golden();
    let (running, url) = coordinator(&bench, "--listen 127.0.0.1:0");
    let worker = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), 3);
    bench.ok(&format!("cancel --connect {url} --reason enough"));
    let (code, said) = running.end();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("enough"), "{said}");
    let (code, said) = worker.end();
    assert_eq!(code, Some(8), "{said}");
    let (running, url) = coordinator(&bench, "--listen 127.0.0.1:0");
    let _worker = Process::start(&bench, &format!("work --connect {url} --threads 2"));
    assert_eq!(running.end().0, Some(0));
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn status_tells_why_nothing_runs_and_who_works() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "--listen 127.0.0.1:0 --patients 60000");
    let told = bench.ok(&format!("status --connect {url}")).stdout;
    assert!(told.contains("no worker is connected"), "{told}");
    let _worker = Process::start(
        &bench,
        &format!("work --connect {url} --threads 1 --name ada"),
    );
    // The estimate is worked out every now and then.
    let begin = Instant::now();
    let report = loop {
        let report = bench.ok(&format!("status --connect {url} --json")).json();
        if report["estimate"]["label"].is_string() {
            break report;
        }
        assert!(begin.elapsed() < PATIENCE, "no estimate: {report}");
    };
    assert_eq!(report["patients"], 60000);
    assert!(
        report["patients_committed"].as_u64() >= Some(120),
        "{report}"
    );
    assert_eq!(report["workers"][0]["name"], "ada");
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
    let golden = bench.golden();
    bench.ok("keys keys");
    bench.ok("keys strangers");
    let (coordinator, url) = coordinator(&bench, "--listen 127.0.0.1:0 --keys keys");
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
    let (code, said) = coordinator.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(bench.digest("s/result.h5"), golden);
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
    assert!(fs::read_dir(bench.path(".")).is_ok());
}
