//! Faults of processes: killed, stopped for long, asked to leave.

use std::env;
use std::thread;
use std::time::Duration;

use super::process::{
    BRIEF, Process, coordinator, status, successor, wait_for_parts, wait_for_status,
};
use crate::bench::{Bench, count_parts};

/// Longer than the leases of these tests last.
const LOST: Duration = Duration::from_millis(800);

/// Enough shards of 120 patients for every fault of [`budget`] to come before the end.
const MANY: &str = "--patients 40000";

/// How the coordinators of [`budget`] work.
const OPTIONS: &str = "--patients 40000 --lease-seconds 0.5 --audit 10";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// kill -9, and another worker in its place.
    KillWorker,
    /// kill -9, and a successor.
    KillCoordinator,
    /// SIGSTOP for longer than its leases last.
    StopWorker,
    /// SIGSTOP for as long.
    StopCoordinator,
    /// SIGTERM, and another worker in its place.
    TerminateWorker,
}

use Fault::{KillCoordinator, KillWorker, StopCoordinator, StopWorker, TerminateWorker};

/// Every fault so many times, in an order and at moments drawn from a seed.
const TIMES: usize = 3;
const KINDS: [Fault; 5] = [
    KillWorker,
    KillCoordinator,
    StopWorker,
    StopCoordinator,
    TerminateWorker,
];
const SEED: u64 = 20;
/// Variable of the environment with another seed, to look for trouble.
const SEED_VARIABLE: &str = "FAULTS_SEED";

/// Numbers that look random (SplitMix64; Steele, Lea and Flood 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).expect("small")
    }
}

/// A cluster of one coordinator and two workers, of which the first sees the store and the
/// second does not.
struct Cluster<'a> {
    bench: &'a Bench,
    url: String,
    coordinator: Option<Process>,
    workers: [Process; 2],
}

impl<'a> Cluster<'a> {
    fn start(bench: &'a Bench) -> Self {
        let (coordinator, url) = coordinator(bench, OPTIONS);
        let workers = [0, 1].map(|which| worker(bench, &url, which));
        Self {
            bench,
            url,
            coordinator: Some(coordinator),
            workers,
        }
    }

    fn parts(&self) -> usize {
        count_parts(&self.bench.path("s"))
    }

    /// Waits for so many new parts. The run must not have ended by then.
    fn commits(&mut self, new: usize) {
        wait_for_parts(&self.bench.path("s"), self.parts() + new);
        let coordinator = self.coordinator.as_mut().expect("there is one");
        assert!(!coordinator.has_ended(), "{}", coordinator.said());
        assert!(!self.bench.path("s/result.h5").exists(), "too late");
    }

    /// Does a fault to the coordinator or one of the workers, and waits until the cluster works
    /// again.
    fn suffer(&mut self, fault: Fault, which: usize) {
        match fault {
            KillWorker => self.replace(which).kill(),
            TerminateWorker => {
                self.workers[which].signal("TERM");
                let said = self.replace(which).ends(3);
                assert!(said.contains("told to stop"), "{said}");
            }
            KillCoordinator => {
                self.coordinator.take().expect("there is one").kill();
                let kept = self.parts();
                self.coordinator = Some(successor(self.bench, &self.url, OPTIONS));
                assert!(self.parts() >= kept, "what was committed stays");
            }
            StopWorker => {
                self.workers[which].signal("STOP");
                // The other one rests too, so that the run does not end meanwhile.
                self.commits(1);
                self.workers[1 - which].signal("STOP");
                thread::sleep(LOST);
                self.workers[1 - which].signal("CONT");
                self.commits(2);
                self.workers[which].signal("CONT");
            }
            StopCoordinator => {
                let coordinator = self.coordinator.as_ref().expect("there is one");
                coordinator.signal("STOP");
                thread::sleep(LOST);
                coordinator.signal("CONT");
            }
        }
    }

    /// Puts a new worker in the place of another.
    fn replace(&mut self, which: usize) -> Process {
        let new = worker(self.bench, &self.url, which);
        std::mem::replace(&mut self.workers[which], new)
    }
}

fn worker(bench: &Bench, url: &str, which: usize) -> Process {
    let spool = ["", " --spool far"][which];
    Process::start(bench, &format!("work --connect {url} --threads 1{spool}"))
}

/// All faults of the budget, shuffled.
fn budget(draw: &mut Draw) -> Vec<Fault> {
    let mut faults = KINDS.repeat(TIMES);
    for last in (1..faults.len()).rev() {
        faults.swap(last, draw.below(last + 1));
    }
    faults
}

/// None of the budget may be left over when the run completes.
#[test]
fn a_budget_of_faults_changes_nothing() {
    let bench = Bench::new();
    let golden = bench.golden_of(&format!("pair.toml {MANY}"));
    let seed = env::var(SEED_VARIABLE).map_or(SEED, |seed| seed.parse().expect("a number"));
    println!("{SEED_VARIABLE}={seed}");
    let mut draw = Draw(seed);
    let mut cluster = Cluster::start(&bench);
    let mut spent = 0;
    for fault in budget(&mut draw) {
        cluster.commits(1 + draw.below(4));
        // Anywhere between two commits.
        thread::sleep(Duration::from_micros(500 * draw.below(20) as u64));
        cluster.suffer(fault, draw.below(2));
        spent += 1;
    }
    cluster.commits(1);
    assert_eq!(spent, KINDS.len() * TIMES);
    let Cluster {
        coordinator,
        workers,
        ..
    } = cluster;
    coordinator.expect("there is one").ends(0);
    for worker in workers {
        worker.ends(0);
    }
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn a_worker_that_is_terminated_hands_back_its_shards() {
    let bench = Bench::new();
    let golden = bench.golden_of("pair.toml --patients 12000");
    let (coordinator, url) = coordinator(&bench, "--patients 12000");
    let first = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), 3);
    first.signal("TERM");
    let said = first.ends(3);
    assert!(said.contains("told to stop"), "{said}");
    let counts = &status(&bench, &url)["counts"];
    assert_eq!(counts["shards_leased"], 0, "{counts}");
    assert_eq!(counts["leases_lost"], 0, "{counts}");
    let second = Process::start(&bench, &format!("work --connect {url} --threads 2"));
    coordinator.ends(0);
    second.ends(0);
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn a_worker_that_is_stopped_for_long_loses_its_shards_and_nothing_else() {
    let bench = Bench::new();
    let golden = bench.golden_of("pair.toml --patients 12000");
    let (coordinator, url) = coordinator(&bench, &format!("--patients 12000 {BRIEF}"));
    let sleeper = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), 2);
    sleeper.signal("STOP");
    wait_for_status(&bench, &url, "a lost lease", |report| {
        report["counts"]["leases_lost"].as_u64() >= Some(1)
    });
    let worker = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), count_parts(&bench.path("s")) + 10);
    sleeper.signal("CONT");
    coordinator.ends(0);
    for worker in [sleeper, worker] {
        worker.ends(0);
    }
    assert_eq!(bench.digest("s/result.h5"), golden);
}
