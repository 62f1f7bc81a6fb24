//! Faults of disks: full ones, and bits that change at rest.

use std::path::PathBuf;
use std::process::Command;

use super::namespaces::Den;
use super::process::{
    COORDINATE, Process, announced, coordinator, flip_a_bit, get, part_files, status, successor,
    until, wait_for_parts, wait_for_status,
};
use crate::bench::{Bench, RESEED, count_parts};

/// Enough for the runs of these tests not to end before they are meant to.
const MANY: &str = "--patients 12000";

/// A folder that one process cannot write to any more when it is told so.
struct Disk<'a> {
    bench: &'a Bench,
    folder: &'static str,
    /// A file system of its own; without it, the system's limit on the length of files stands in
    /// for the end of the disk.
    den: Option<Den>,
}

impl<'a> Disk<'a> {
    /// A small file system, if the machine can have any.
    fn small(bench: &'a Bench, folder: &'static str) -> Self {
        let script = format!("mkdir {folder}\nmount -t tmpfs -o size=32m small {folder}");
        Self {
            bench,
            folder,
            den: Den::disks(bench, &script),
        }
    }

    fn limited(bench: &'a Bench, folder: &'static str) -> Self {
        Self {
            bench,
            folder,
            den: None,
        }
    }

    /// Starts `reseed LINE` as the process that may run out of space.
    fn start(&self, line: &str) -> Process {
        Process::spawn(if let Some(den) = &self.den {
            den.reseed(line)
        } else {
            let mut command = Command::new("sh");
            // A write beyond the limit shall fail, not kill.
            command
                .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", RESEED])
                .args(line.split_whitespace())
                .current_dir(self.bench.path("."));
            command
        })
    }

    /// From now on there is no space, even if something was removed since.
    fn fill(&self, process: &Process) {
        match &self.den {
            Some(den) => den.run(&format!("cat /dev/zero >> {}/filler || :", self.folder)),
            None => limit(process, "4096:"),
        }
    }

    fn make_room(&self, process: &Process) {
        match &self.den {
            Some(den) => den.run(&format!("rm {}/filler", self.folder)),
            None => limit(process, "unlimited:"),
        }
    }

    /// The folder as the test sees it.
    fn path(&self) -> PathBuf {
        match &self.den {
            Some(den) => den.path(self.folder),
            None => self.bench.path(self.folder),
        }
    }

    /// What the system says when it is full.
    fn complaint(&self) -> &'static str {
        match self.den {
            Some(_) => "No space left on device",
            None => "File too large",
        }
    }
}

/// Limits the length of the files that a process may write, bytes.
fn limit(process: &Process, bytes: &str) {
    let status = Command::new("prlimit")
        .args([
            format!("--pid={}", process.id()),
            format!("--fsize={bytes}"),
        ])
        .status();
    assert!(status.expect("prlimit, of util-linux").success());
}

fn a_store_fills_up(bench: &Bench, disk: &Disk<'_>) {
    let golden = bench.golden_of(&format!("pair.toml {MANY}"));
    let line = format!("{COORDINATE} {MANY} --audit 0 --no-shared-store --listen 127.0.0.1:0");
    let (mut coordinator, url) = announced(disk.start(&line));
    let line = format!("work --connect {url} --threads 1 --spool far");
    let worker = Process::start(bench, &line);
    wait_for_parts(&disk.path(), 5);
    assert!(get(&url, "/readyz").starts_with("HTTP/1.1 200"));
    wait_for_status(bench, &url, "a full store", |report| {
        disk.fill(&coordinator);
        let problem = report["problem"].as_str();
        problem.is_some_and(|problem| problem.contains(disk.complaint()))
    });
    let answer = get(&url, "/readyz");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains(disk.complaint()), "{answer}");
    let committed = count_parts(&disk.path());
    until("parts that are kept", || {
        part_files(&bench.path("far")).len() > 3
    });
    assert_eq!(count_parts(&disk.path()), committed, "it is full");
    disk.make_room(&coordinator);
    wait_for_parts(&disk.path(), committed + 4);
    assert!(!coordinator.has_ended(), "too late");
    assert!(get(&url, "/readyz").starts_with("HTTP/1.1 200"));
    let said = coordinator.ends(0);
    worker.ends(0);
    assert!(said.contains(&golden), "{said}");
}

#[test]
fn a_full_store_is_told_and_the_run_goes_on_when_there_is_room() {
    let bench = Bench::new();
    a_store_fills_up(&bench, &Disk::small(&bench, "s"));
}

#[test]
fn a_store_that_takes_no_more_bytes_is_told_and_the_run_goes_on_when_it_does() {
    let bench = Bench::new();
    a_store_fills_up(&bench, &Disk::limited(&bench, "s"));
}

#[test]
fn a_worker_with_a_full_spool_hands_back_its_shards_and_ends() {
    let bench = Bench::new();
    let golden = bench.golden_of(&format!("pair.toml {MANY}"));
    let (coordinator, url) = coordinator(&bench, &format!("{MANY} --audit 0"));
    let disk = Disk::small(&bench, "far");
    let mut worker = disk.start(&format!("work --connect {url} --threads 1 --spool far"));
    wait_for_parts(&bench.path("s"), 5);
    until("a worker that gives up", || {
        // What it has delivered since makes room.
        disk.fill(&worker);
        worker.has_ended()
    });
    let said = worker.ends(4);
    assert!(said.contains(disk.complaint()), "{said}");
    let report = wait_for_status(&bench, &url, "shards back", |report| {
        report["counts"]["shards_leased"] == 0
    });
    assert_eq!(report["counts"]["leases_lost"], 0, "{report}");
    let other = Process::start(&bench, &format!("work --connect {url} --threads 2"));
    coordinator.ends(0);
    other.ends(0);
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn a_part_that_changed_in_the_store_is_set_aside_and_computed_again() {
    let bench = Bench::new();
    let golden = bench.golden_of("pair.toml");
    let (running, url) = coordinator(&bench, "");
    let worker = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), 5);
    running.kill();
    let part = &part_files(&bench.path("s/parts"))[2];
    flip_a_bit(part);
    let coordinator = successor(&bench, &url, "");
    let said = coordinator.ends(0);
    worker.ends(0);
    assert!(said.contains("computed again"), "{said}");
    assert!(part.with_extension("h5.damaged").exists());
    assert!(part.exists());
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn a_part_that_changes_after_its_commit_never_gets_into_the_result() {
    let bench = Bench::new();
    let golden = bench.golden_of("pair.toml");
    let (running, url) = coordinator(&bench, "");
    let worker = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), 5);
    let part = &part_files(&bench.path("s/parts"))[2];
    flip_a_bit(part);
    let said = running.ends(5);
    let name = part.file_name().expect("a name").to_string_lossy();
    assert!(
        said.contains(&*name) && said.contains("is damaged"),
        "{said}"
    );
    assert!(!bench.path("s/result.h5").exists());
    drop(worker);
    let (coordinator, url) = coordinator(&bench, "");
    let worker = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    coordinator.ends(0);
    worker.ends(0);
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn a_part_that_changed_in_a_spool_is_refused_and_computed_again() {
    let bench = Bench::new();
    let golden = bench.golden_of(&format!("pair.toml {MANY}"));
    let (running, url) = coordinator(&bench, MANY);
    let mut worker = Process::start(
        &bench,
        &format!("work --connect {url} --threads 1 --spool far"),
    );
    wait_for_parts(&bench.path("s"), 5);
    running.kill();
    // One whose commit the worker has not heard of would be known by its digest.
    let committed = |part: &PathBuf| {
        let name = part.file_name().expect("a name");
        bench.path("s/parts").join(name).exists()
    };
    let mut kept = Vec::new();
    until("a part that only the spool has", || {
        kept = part_files(&bench.path("far"));
        kept.retain(|part| !committed(part));
        !kept.is_empty()
    });
    flip_a_bit(&kept[0]);
    let coordinator = successor(&bench, &url, MANY);
    worker.waits_to_say("is damaged");
    // So that the run is still there to be asked.
    worker.signal("STOP");
    let counts = &status(&bench, &url)["counts"];
    assert!(counts["parts_refused"].as_u64() >= Some(1), "{counts}");
    worker.signal("CONT");
    coordinator.ends(0);
    worker.ends(0);
    assert_eq!(bench.digest("s/result.h5"), golden);
}
