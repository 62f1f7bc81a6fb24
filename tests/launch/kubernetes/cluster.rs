//! A Kubernetes cluster of the test's own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::lab::{Lab, RESEED, wait_for};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/launch/kubernetes");
const DEFAULT_PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/kubernetes-lab");
/// Names another folder of the programs.
const PROGRAMS_VARIABLE: &str = "RESEED_KUBERNETES_LAB";
/// What an administrator gives a cluster.
const PRIORITIES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../deploy/kubernetes/cluster"
);
const NODES: usize = 2;
const UP_TIME_MAX: Duration = Duration::from_mins(3);

/// The programs of a cluster, if `build` has made them.
pub(crate) fn programs() -> Option<PathBuf> {
    let folder = env::var_os(PROGRAMS_VARIABLE).map_or(DEFAULT_PROGRAMS.into(), PathBuf::from);
    let programs = fs::canonicalize(folder.join("bin")).ok()?;
    programs.join("kube-apiserver").exists().then_some(programs)
}

/// The cluster is there for as long as this is.
pub(crate) struct Cluster {
    /// The first to end: what is left of it then is for the broom.
    pub(crate) lab: Lab,
    _broom: Broom,
    folder: TempDir,
}

/// Removes what a cluster leaves outside its namespaces.
struct Broom(PathBuf);

impl Cluster {
    pub(crate) fn up(programs: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let images = folder.path().join("images");
        let made = Command::new(script("images"))
            .args([RESEED.as_ref(), images.as_path()])
            .status();
        assert!(made.expect("a shell").success(), "images are made");
        let inside = inside(&folder);
        let nodes = NODES.to_string();
        let lab = Lab::up(
            script("lab"),
            &inside,
            &[
                programs.as_os_str(),
                inside.as_os_str(),
                images.as_os_str(),
                nodes.as_ref(),
            ],
            format!("KUBECONFIG={}", inside.join("kubeconfig").display()),
            UP_TIME_MAX,
        );
        lab.shell(&format!("kubectl apply -k {PRIORITIES}"));
        Self {
            lab,
            _broom: Broom(inside),
            folder,
        }
    }

    /// What `kubectl get` tells.
    pub(crate) fn get(&self, what: &str) -> Value {
        let text = self.lab.shell(&format!("kubectl get {what} --output=json"));
        serde_json::from_str(&text).expect("JSON")
    }

    /// Where the cluster keeps a claim's volume.
    pub(crate) fn volume(&self, claim: &str) -> PathBuf {
        inside(&self.folder)
            .join("volumes")
            .join(format!("default-{claim}"))
    }

    /// Waits until every node would take a pod.
    pub(crate) fn whole(&self) {
        wait_for("all nodes are ready", Duration::from_mins(2), || {
            let nodes = self.get("nodes");
            let nodes = nodes["items"].as_array().expect("nodes");
            nodes.iter().filter(|node| is_ready(node)).count() == NODES
        });
    }
}

/// Whether a node or a pod says that it is ready, and nothing keeps pods off the node.
pub(crate) fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    object["spec"]["taints"].is_null()
        && conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

impl Drop for Broom {
    fn drop(&mut self) {
        // If it stays, it is in nobody's way.
        let _ = Command::new(script("lab"))
            .args(["clean".as_ref(), self.0.as_path()])
            .status();
    }
}

fn inside(folder: &TempDir) -> PathBuf {
    folder.path().join("lab")
}

fn script(name: &str) -> PathBuf {
    let path = fs::canonicalize(FOLDER).expect("the folder of this test");
    path.join(name)
}
