//! A launched run, and what it must come to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::{Cluster, wait_for};

pub(crate) const RESEED: &str = env!("CARGO_BIN_EXE_reseed");
/// Patients of a run in whose middle something can be done.
const PATIENTS: u64 = 1_200_000;
/// Workers for which the nodes have room.
const WORKERS: &str = "3";
/// Parts by which a run is under way.
const PARTS: usize = 3;
const RUN_TIME_MAX: Duration = Duration::from_mins(6);

/// The digest of `reseed run`.
#[derive(Debug, Default)]
pub(crate) struct Golden(OnceLock<String>);

impl Golden {
    pub(crate) fn digest(&self) -> &str {
        self.0.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder for temporary files");
            let out = folder.path().join("golden.h5");
            let ran = Command::new(RESEED)
                .args(["run", "breast", "--quiet", "--patients"])
                .arg(PATIENTS.to_string())
                .arg("--out")
                .arg(&out)
                .status();
            assert!(ran.expect("the program starts").success());
            digest(&out)
        })
    }
}

pub(crate) fn digest(file: &Path) -> String {
    let printed = Command::new(RESEED).arg("digest").arg(file).output();
    let printed = printed.expect("the program starts").stdout;
    String::from_utf8(printed).expect("UTF-8").trim().to_owned()
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
        let mut command = self.cluster.command(self.folder.path(), RESEED);
        command.args(self.arguments(options));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        Waiting(command.spawn().expect("nsenter, of util-linux"))
    }

    /// What a command of an operator comes to.
    pub(crate) fn reseed(&self, arguments: &[&str]) -> Output {
        let mut command = self.cluster.command(self.folder.path(), RESEED);
        command.args(arguments);
        command.output().expect("nsenter, of util-linux")
    }

    /// Waits for some more parts. The run must not be over then.
    pub(crate) fn is_under_way(&self) {
        let parts = self.parts();
        wait_for("more parts", RUN_TIME_MAX, || self.parts() >= parts + PARTS);
        assert!(!self.has_result(), "too late: the run is complete");
        eprintln!("{}: {} parts are committed", self.name, self.parts());
    }

    pub(crate) fn parts(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.store().join("parts")) else {
            return 0;
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        names
            .filter(|name| name.as_encoded_bytes().ends_with(b".h5"))
            .count()
    }

    pub(crate) fn has_result(&self) -> bool {
        self.store().join("result.h5").exists()
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
        assert_eq!(
            digest(&self.store().join("result.h5")),
            self.golden.digest()
        );
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
        self.cluster.shell(&format!("kubectl logs {}", name(pod)))
    }

    /// Removes it from the cluster with all that it has there.
    pub(crate) fn remove(&self) {
        let folder = self.launched();
        let folder = folder.display();
        self.cluster.shell(&format!("kubectl delete -k {folder}"));
        self.cluster
            .shell(&format!("kubectl delete -k {folder}/store"));
    }
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("a name")
}

pub(crate) fn node(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().expect("a node")
}

/// A command that waits for the end of a run.
pub(crate) struct Waiting(Child);

impl Waiting {
    /// What it has said when it ends so.
    pub(crate) fn ends(self, exit: i32) -> String {
        let output = self.0.wait_with_output().expect("a child");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(exit), "{said}");
        said
    }
}
