//! A Kubernetes cluster of the test's own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::run::RESEED;

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
    namespaces: Child,
    /// The first process in them.
    init: u32,
    folder: TempDir,
}

impl Cluster {
    pub(crate) fn up(programs: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let images = folder.path().join("images");
        let made = Command::new(script("images"))
            .args([RESEED.as_ref(), images.as_path()])
            .status();
        assert!(made.expect("a shell").success(), "images are made");
        let inside = folder.path().join("lab");
        // If the test is killed, so is the cluster.
        let mut namespaces = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(script("lab"))
            .args([programs, &inside, &images])
            .arg(NODES.to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("setpriv, of util-linux");
        let begin = Instant::now();
        while !inside.join("up").exists() {
            let ended = namespaces.try_wait().expect("a child");
            assert_eq!(ended, None, "the cluster did not come up");
            assert!(begin.elapsed() < UP_TIME_MAX, "the cluster takes too long");
            thread::sleep(Duration::from_millis(50));
        }
        let id = namespaces.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let init = children.expect("a process").trim().parse();
        let cluster = Self {
            namespaces,
            init: init.expect("one process is the first in the namespaces"),
            folder,
        };
        cluster.shell(&format!("kubectl apply -k {PRIORITIES}"));
        cluster
    }

    /// A command of an operator of the cluster, in this folder.
    pub(crate) fn command(&self, folder: &Path, program: &str) -> Command {
        let configuration = self.lab().join("kubeconfig");
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.init.to_string(), "--all"])
            .arg("env")
            .arg(format!("--chdir={}", folder.display()))
            .arg(format!("KUBECONFIG={}", configuration.display()))
            .arg(program);
        command
    }

    /// What a command line of an operator prints; it must succeed.
    pub(crate) fn shell(&self, line: &str) -> String {
        let mut command = self.command("/".as_ref(), "bash");
        let output = command.args(["-c", line]).output();
        let output = output.expect("nsenter, of util-linux");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What `kubectl get` tells.
    pub(crate) fn get(&self, what: &str) -> Value {
        let text = self.shell(&format!("kubectl get {what} --output=json"));
        serde_json::from_str(&text).expect("JSON")
    }

    /// Where the cluster keeps a claim's volume.
    pub(crate) fn volume(&self, claim: &str) -> PathBuf {
        self.lab().join("volumes").join(format!("default-{claim}"))
    }

    /// Cuts a node off from the others, for as long as the cut lives.
    pub(crate) fn cut(&self, node: &str) -> Cut<'_> {
        self.shell(&format!("ip link set {node} down"));
        Cut {
            cluster: self,
            node: node.to_owned(),
        }
    }

    /// Takes the power of a node away, until it is [booted](Self::boot).
    pub(crate) fn lose(&self, node: &str) {
        self.lab_does("lose", node);
    }

    pub(crate) fn boot(&self, node: &str) {
        self.lab_does("boot", node);
        self.whole();
    }

    fn lab_does(&self, what: &str, node: &str) {
        // A node's daemons stay, and would keep our pipe open.
        self.shell(&format!(
            "setsid {} {what} {} {} </dev/null >/dev/null 2>&1",
            script("lab"),
            self.lab().display(),
            node.trim_start_matches("node")
        ));
    }

    /// Waits until every node would take a pod.
    pub(crate) fn whole(&self) {
        wait_for("all nodes are ready", Duration::from_mins(2), || {
            let nodes = self.get("nodes");
            let nodes = nodes["items"].as_array().expect("nodes");
            nodes.iter().filter(|node| is_ready(node)).count() == NODES
        });
    }

    fn lab(&self) -> PathBuf {
        self.folder.path().join("lab")
    }
}

/// Whether a node or a pod says that it is ready, and nothing keeps pods off the node.
pub(crate) fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    object["spec"]["taints"].is_null()
        && conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Everything inside ends with it.
        let _ = self.namespaces.kill();
        let _ = self.namespaces.wait();
        let _ = Command::new(script("lab"))
            .args(["clean".as_ref(), self.lab().as_path()])
            .status();
    }
}

pub(crate) struct Cut<'a> {
    cluster: &'a Cluster,
    node: String,
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        let node = &self.node;
        self.cluster.shell(&format!("ip link set {node} up"));
    }
}

fn script(name: &str) -> String {
    let path = fs::canonicalize(FOLDER).expect("the folder of this test");
    path.join(name).display().to_string()
}

/// Waits until something is so.
pub(crate) fn wait_for(what: &str, time_max: Duration, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(
            begin.elapsed() < time_max,
            "not within {time_max:?}: {what}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}
