//! A Slurm cluster of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/launch/slurm/lab");
const NODES: &str = "3";
const CPUS_PER_NODE: &str = "2";
const UP_TIME_MAX: Duration = Duration::from_mins(1);

/// The cluster is there for as long as this is.
pub(crate) struct Cluster {
    namespaces: Child,
    /// The first process in them.
    init: u32,
    folder: TempDir,
}

impl Cluster {
    pub(crate) fn up() -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let inside = folder.path().join("lab");
        // If the test is killed, so is the cluster.
        let mut namespaces = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", LAB])
            .arg(&inside)
            .args([NODES, CPUS_PER_NODE])
            .stdout(Stdio::null())
            .spawn()
            .expect("setpriv, of util-linux");
        let begin = Instant::now();
        while !inside.join("up").exists() {
            let ended = namespaces.try_wait().expect("a child");
            assert_eq!(ended, None, "the cluster did not come up");
            assert!(begin.elapsed() < UP_TIME_MAX, "the cluster takes too long");
            thread::sleep(Duration::from_millis(20));
        }
        let id = namespaces.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let init = children.expect("a process").trim().parse();
        Self {
            namespaces,
            init: init.expect("one process is the first in the namespaces"),
            folder,
        }
    }

    /// A command on the login node, in this folder.
    pub(crate) fn command(&self, folder: &Path, program: &str) -> Command {
        let conf = self.lab().join("slurm.conf");
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.init.to_string(), "--all"])
            .args(["env", "--chdir"])
            .arg(folder)
            .arg(format!("SLURM_CONF={}", conf.display()))
            .arg(program);
        command
    }

    /// What a command line on the login node prints; it must succeed.
    pub(crate) fn shell(&self, line: &str) -> String {
        let output = self
            .command("/".as_ref(), "bash")
            .args(["-c", line])
            .output();
        let output = output.expect("nsenter, of util-linux");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Cuts a node off from the others, for as long as the cut lives.
    pub(crate) fn cut(&self, node: u32) -> Cut<'_> {
        self.shell(&format!("ip link set node{node} down"));
        Cut {
            cluster: self,
            node,
        }
    }

    /// Takes the power of a node away, until it is [booted](Self::boot).
    pub(crate) fn lose(&self, node: u32) {
        self.shell(&format!("{LAB} lose {} {node}", self.lab().display()));
    }

    /// Stops the worker of a node, which stays there, so that the run does not end meanwhile.
    pub(crate) fn pause(&self, node: u32) {
        self.shell(&format!(
            "pkill --ns $(cat {}/run/node{node}) --nslist net --signal STOP --full 'reseed work'",
            self.lab().display()
        ));
    }

    pub(crate) fn boot(&self, node: u32) {
        // The node's daemon stays, and would keep our pipe open.
        self.shell(&format!(
            "setsid {LAB} boot {} {node} </dev/null >/dev/null 2>&1",
            self.lab().display()
        ));
        self.whole();
    }

    /// Waits until every node would take a job.
    pub(crate) fn whole(&self) {
        let idle = || {
            let said = self.shell("sinfo --noheader --partition=main --states=idle --format=%D");
            said.trim() == NODES
        };
        wait_for("all nodes are idle", Duration::from_mins(2), idle);
    }

    fn lab(&self) -> PathBuf {
        self.folder.path().join("lab")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Everything inside ends with it.
        let _ = self.namespaces.kill();
        let _ = self.namespaces.wait();
    }
}

pub(crate) struct Cut<'a> {
    cluster: &'a Cluster,
    node: u32,
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        let node = self.node;
        self.cluster.shell(&format!("ip link set node{node} up"));
    }
}

/// Waits until something is so.
pub(crate) fn wait_for(what: &str, time_max: Duration, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(
            begin.elapsed() < time_max,
            "not within {time_max:?}: {what}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}
