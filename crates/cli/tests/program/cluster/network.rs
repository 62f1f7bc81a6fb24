//! Faults of the network: cut for long, for short, and bytes that change on the way.

use std::process::Command;
use std::sync::{Arc, Mutex};

use super::namespaces::Den;
use super::process::{
    BRIEF, COORDINATE, Process, announced, coordinator, until, wait_for_parts, wait_for_status,
};
use super::proxy::{Proxy, flip_in_parts, hold_from};
use crate::bench::{Bench, Ended, count_parts};

/// Where the coordinator is when two networks are joined.
const ADDRESS: &str = "10.83.0.1";

/// Parts in which a bit changes on the way.
const FLIPS: usize = 3;

/// Enough for the runs of these tests not to end before they are meant to.
const MANY: &str = "--patients 36000";

/// A coordinator, and a way to it that can be cut.
struct Divided<'a> {
    bench: &'a Bench,
    link: Link,
    coordinator: Process,
    /// The coordinator as it is called from its own side.
    url: String,
    /// Credentials.
    access: &'static str,
}

/// What joins a worker to the coordinator.
enum Link {
    /// A cable between two networks of the kernel.
    Cable { here: Den, there: Den },
    /// A process in the middle.
    Proxy(Proxy),
}

impl<'a> Divided<'a> {
    /// Two networks, if the machine can have any.
    fn by_cable(bench: &'a Bench) -> Option<Self> {
        let here = Den::network(bench, "ip link set lo up")?;
        let there = here.neighbour(bench, "ip link set lo up")?;
        here.run(&format!(
            "ip link add here type veth peer name there netns {}
             ip address add {ADDRESS}/24 dev here
             ip link set here up",
            there.id()
        ));
        there.run("ip address add 10.83.0.2/24 dev there; ip link set there up");
        bench.ok(&format!("keys keys --host {ADDRESS}"));
        let access = "--keys keys";
        let line = format!("{COORDINATE} {MANY} {BRIEF} --audit 0 {access} --listen {ADDRESS}:0");
        let (coordinator, url) = announced(Process::spawn(here.reseed(&line)));
        Some(Self {
            bench,
            link: Link::Cable { here, there },
            coordinator,
            url,
            access,
        })
    }

    fn by_proxy(bench: &'a Bench) -> Self {
        let (coordinator, url) = coordinator(bench, &format!("{MANY} {BRIEF} --audit 0"));
        Self {
            bench,
            link: Link::Proxy(Proxy::before(&url, Box::new(|_| {}))),
            coordinator,
            url,
            access: "",
        }
    }

    /// `reseed LINE` on the coordinator's side.
    fn here(&self, line: &str) -> Command {
        let line = format!("{line} --connect {} {}", self.url, self.access);
        match &self.link {
            Link::Cable { here, .. } => here.reseed(&line),
            Link::Proxy(_) => self.bench.command(&line),
        }
    }

    /// `reseed LINE` on the other side.
    fn there(&self, line: &str) -> Command {
        match &self.link {
            Link::Cable { there, .. } => {
                there.reseed(&format!("{line} --connect {} {}", self.url, self.access))
            }
            Link::Proxy(proxy) => self
                .bench
                .command(&format!("{line} --connect {}", proxy.url)),
        }
    }

    /// From now on everything vanishes on the way, and nobody is told.
    fn cut(&self) {
        match &self.link {
            Link::Cable { here, .. } => here.run("ip link set here down"),
            Link::Proxy(proxy) => proxy.cut(),
        }
    }

    fn mend(&self) {
        match &self.link {
            Link::Cable { here, .. } => here.run("ip link set here up"),
            Link::Proxy(proxy) => proxy.mend(),
        }
    }

    /// Waits until a count of `reseed status` is above 0.
    fn counts(&self, what: &str) {
        until(what, || {
            let output = self.here("status --json").output().expect("it starts");
            let ended = Ended::of(output);
            assert_eq!(ended.exit, Some(0), "{}", ended.stderr);
            ended.json()["counts"][what].as_u64() > Some(0)
        });
    }
}

/// How long a way is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Until leases were lost.
    Short,
    /// Until the worker does not believe in its connection any more.
    Long,
}

/// A worker is cut off while another one goes on. It keeps what it finishes, comes back by
/// itself, delivers that, and goes on.
fn a_worker_is_cut_off(mut divided: Divided<'_>, cut: Cut) {
    let golden = divided.bench.golden_of(&format!("pair.toml {MANY}"));
    let store = divided.bench.path("s");
    let mut far = Process::spawn(divided.there("work --threads 1 --spool far"));
    wait_for_parts(&store, 5);
    divided.cut();
    divided.counts("leases_lost");
    let near = Process::spawn(divided.here("work --threads 1 --spool near"));
    wait_for_parts(&store, count_parts(&store) + 20);
    // What is left is for the one that was cut off.
    near.signal("TERM");
    near.ends(3);
    if cut == Cut::Long {
        far.waits_to_say("cannot register");
    }
    assert!(!divided.coordinator.has_ended(), "too late");
    divided.mend();
    // Its shards are with the other one's by now, and its parts are the same.
    divided.counts("duplicates");
    let said = divided.coordinator.ends(0);
    assert!(!said.contains("disagree"), "{said}");
    far.ends(0);
    assert_eq!(divided.bench.digest("s/result.h5"), golden);
}

/// For longer than leases last, and than either side goes on believing in a connection.
#[test]
fn a_worker_in_a_network_that_is_cut_off_comes_back_by_itself() {
    let bench = Bench::new();
    let divided = Divided::by_cable(&bench).unwrap_or_else(|| Divided::by_proxy(&bench));
    a_worker_is_cut_off(divided, Cut::Long);
}

/// Heartbeats and parts arrive after the leases that they are about.
#[test]
fn words_of_a_worker_that_arrive_late_change_nothing() {
    let bench = Bench::new();
    a_worker_is_cut_off(Divided::by_proxy(&bench), Cut::Short);
}

#[test]
fn an_operator_does_not_wait_for_an_answer_for_ever() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "");
    let proxy = Proxy::before(&url, hold_from("swallowed"));
    bench.fails(
        &format!("cancel --connect {} --reason swallowed", proxy.url),
        7,
        &["the coordinator does not answer"],
    );
}

#[test]
fn a_part_that_changes_on_the_way_is_refused_and_sent_again() {
    let bench = Bench::new();
    let golden = bench.golden_of("pair.toml --patients 12000");
    let (coordinator, url) = coordinator(&bench, "--patients 12000 --audit 10");
    let flipped = Arc::new(Mutex::new(0));
    let proxy = Proxy::before(&url, flip_in_parts(FLIPS, Arc::clone(&flipped)));
    let line = format!("work --connect {} --threads 1 --spool far", proxy.url);
    let worker = Process::start(&bench, &line);
    until("changed parts", || {
        *flipped.lock().expect("a number") == FLIPS
    });
    // So that the run is still there to be asked.
    worker.signal("STOP");
    wait_for_status(&bench, &url, "refused parts", |report| {
        report["counts"]["parts_refused"] == FLIPS
    });
    worker.signal("CONT");
    coordinator.ends(0);
    let said = worker.ends(0);
    assert!(said.contains("is damaged"), "{said}");
    assert_eq!(bench.digest("s/result.h5"), golden);
}
