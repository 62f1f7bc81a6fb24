//! A Slurm cluster of the test's own.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::lab::{Lab, wait_for};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/launch/slurm/lab");
const NODES: &str = "3";
const CPUS_PER_NODE: &str = "2";
const UP_TIME_MAX: Duration = Duration::from_mins(1);

/// The cluster is there for as long as this is.
pub(crate) struct Cluster {
    pub(crate) lab: Lab,
    folder: TempDir,
}

impl Cluster {
    pub(crate) fn up() -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let inside = inside(&folder);
        let lab = Lab::up(
            fs::canonicalize(SCRIPT).expect("a script"),
            &inside,
            &[inside.as_os_str(), NODES.as_ref(), CPUS_PER_NODE.as_ref()],
            format!("SLURM_CONF={}", inside.join("slurm.conf").display()),
            UP_TIME_MAX,
        );
        Self { lab, folder }
    }

    /// Stops the worker of a node, which stays there, so that the run does not end meanwhile.
    pub(crate) fn pause(&self, node: u32) {
        self.lab.shell(&format!(
            "pkill --ns $(cat {}/run/node{node}) --nslist net --signal STOP --full 'reseed work'",
            inside(&self.folder).display()
        ));
    }

    /// Waits until every node would take a job.
    pub(crate) fn whole(&self) {
        let idle = || {
            let idle = "sinfo --noheader --partition=main --states=idle --format=%D";
            self.lab.shell(idle).trim() == NODES
        };
        wait_for("all nodes are idle", Duration::from_mins(2), idle);
    }
}

fn inside(folder: &TempDir) -> PathBuf {
    folder.path().join("lab")
}
