//! A launched run, and what it must come to.

use std::path::PathBuf;
use std::process::Output;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::lab::{
    RESEED, RUN_TIME_MAX, Waiting, computed, count_parts, digest, result_of, wait_for,
    wait_for_more_parts,
};

/// Patients of a run in whose middle something can be done.
const PATIENTS: u64 = 200_000;
/// Workers for which the nodes have room.
const WORKERS: &str = "3";

/// The digest of `reseed run`.
#[derive(Debug, Default)]
pub(crate) struct Golden(OnceLock<String>);

impl Golden {
    pub(crate) fn digest(&self) -> &str {
        self.0.get_or_init(|| computed(PATIENTS))
    }
}

/// A run with a name and a folder of its own.
pub(crate) struct Run<'a> {
    pub(crate) cluster: &'a Cluster,
    golden: &'a Golden,
    name: &'static str,
    folder: TempDir,
}

impl<'a> Run<'a> {
    pub(crate) fn new(cluster: &'a Cluster, golden: &'a Golden, name: &'static str) -> Self {
        Self {
            cluster,
            golden,
            name,
            folder: tempfile::tempdir().expect("a folder for temporary files"),
        }
    }

    /// Name of one of its objects.
    pub(crate) fn object(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where its keys and manifests are.
    pub(crate) fn launched(&self) -> PathBuf {
        self.path(&format!("{}.kubernetes", self.name))
    }

    fn store(&self) -> PathBuf {
        self.cluster.volume(&self.object("store")).join("run")
    }

    fn arguments(&self, options: &str) -> Vec<String> {
        let line = format!(
            "launch kubernetes breast --name {} --image localhost/reseed:lab --patients {PATIENTS} \
             --component kubernetes-1.20 --component priority {options}",
            self.name
        );
        let workers = if options.contains("--workers") {
            String::new()
        } else {
            format!(" --workers {WORKERS}")
        };
        let line = line + &workers;
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// Launches it and returns when that has ended well.
    pub(crate) fn launch(&self, options: &str) -> String {
        let arguments = self.arguments(options);
        let output = self.reseed(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Starts a launch that waits for the run's end.
    pub(crate) fn start(&self, options: &str) -> Waiting {
        let mut command = self.cluster.lab.command(self.folder.path(), RESEED);
        command.args(self.arguments(options));
        Waiting::start(command)
    }

    /// What a command of an operator comes to.
    pub(crate) fn reseed(&self, arguments: &[&str]) -> Output {
        let mut command = self.cluster.lab.command(self.folder.path(), RESEED);
        command.args(arguments);
        command.output().expect("nsenter, of util-linux")
    }

    /// Waits for some more parts. The run must not be over then.
    pub(crate) fn is_under_way(&self) {
        wait_for_more_parts(&self.store());
        eprintln!("{}: {} parts are committed", self.name, self.parts());
    }

    pub(crate) fn parts(&self) -> usize {
        count_parts(&self.store())
    }

    pub(crate) fn has_result(&self) -> bool {
        result_of(&self.store()).exists()
    }

    /// Waits until the coordinator's Job has ended well, with the right result.
    pub(crate) fn completes(&self) {
        let job = format!("job {}", self.object("coordinator"));
        wait_for("the run completes", RUN_TIME_MAX, || {
            let status = &self.cluster.get(&job)["status"];
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let holding = conditions.filter(|condition| condition["status"] == "True");
            let kinds: Vec<&Value> = holding.map(|condition| &condition["type"]).collect();
            assert!(!kinds.contains(&&"Failed".into()), "{status}");
            kinds.contains(&&"Complete".into())
        });
        assert_eq!(digest(&result_of(&self.store())), self.golden.digest());
    }

    /// Its pods of this kind that are not on their way out, the oldest first.
    pub(crate) fn pods(&self, component: &str) -> Vec<Value> {
        let found = self.cluster.get(&format!(
            "pods --sort-by=.metadata.creationTimestamp --selector=\
             app.kubernetes.io/instance={},app.kubernetes.io/component={component}",
            self.name
        ));
        let pods = found["items"].as_array().expect("pods").clone();
        let stays = |pod: &Value| pod["metadata"]["deletionTimestamp"].is_null();
        pods.into_iter().filter(stays).collect()
    }

    /// The pod of its coordinator.
    pub(crate) fn coordinator(&self) -> Value {
        self.pods("coordinator").pop().expect("a coordinator")
    }

    /// What the last coordinator has said.
    pub(crate) fn log(&self) -> String {
        self.log_of(&self.coordinator())
    }

    pub(crate) fn log_of(&self, pod: &Value) -> String {
        self.cluster
            .lab
            .shell(&format!("kubectl logs {}", name(pod)))
    }

    /// Removes it from the cluster with all that it has there.
    pub(crate) fn remove(&self) {
        let folder = self.launched();
        let folder = folder.display();
        self.cluster
            .lab
            .shell(&format!("kubectl delete -k {folder}"));
        self.cluster
            .lab
            .shell(&format!("kubectl delete -k {folder}/store"));
    }
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("a name")
}

pub(crate) fn node(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().expect("a node")
}

/// Number of the node of a pod.
pub(crate) fn node_number(pod: &Value) -> u32 {
    let number = node(pod).strip_prefix("node").map(str::parse);
    number.expect("a node of the lab").expect("a number")
}
