//! Running kubectl, and understanding what it says.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::exit::Failure;

const KUBECTL: &str = "kubectl";

/// The first kustomize with all that the manifests use.
const KUSTOMIZE_MAJOR_MIN: u32 = 5;

/// The cluster and the namespace that commands are for.
#[derive(Debug, Clone)]
pub(super) struct Kubectl {
    options: Vec<String>,
}

impl Kubectl {
    /// Checks that there is a kubectl that can read the manifests.
    pub(super) fn new(context: Option<&str>, namespace: Option<&str>) -> Result<Self, Failure> {
        let options = [("--context", context), ("--namespace", namespace)];
        let options = options
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let kubectl = Self {
            options: options.collect(),
        };
        let said = kubectl.output(&["version", "--client", "--output=json"])?;
        let version: Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
        check_version(&version)?;
        Ok(kubectl)
    }

    /// What the folder's kustomization comes to.
    pub(super) fn kustomize(&self, folder: &Path) -> Result<String, Failure> {
        let said = self.output(&["kustomize", &folder.display().to_string()])?;
        let text = succeeded(&said).map_err(|problem| {
            Failure::Usage(format!(
                "kustomize does not take {} ({problem}), mend it, or launch with another --folder",
                folder.display()
            ))
        })?;
        Ok(text)
    }

    /// Applies the folder's kustomization.
    pub(super) fn apply(&self, folder: &Path) -> Result<(), Failure> {
        let folder = folder.display();
        let said = self.output(&["apply", &format!("--kustomize={folder}")])?;
        succeeded(&said).map(drop).map_err(|problem| {
            if problem.contains("field is immutable") {
                return Failure::Usage(format!(
                    "the run is on the cluster with other settings, which Jobs cannot change; \
                     remove it with `kubectl delete -k {folder}`, which keeps its store, and \
                     launch again ({problem})"
                ));
            }
            Failure::Unreachable(format!(
                "the cluster does not take {folder} ({problem}), see whether `kubectl auth can-i \
                 create jobs` works, and mend what it says"
            ))
        })
    }

    /// Removes what the folder's kustomization has, and does not wait until it is gone.
    pub(super) fn delete(&self, folder: &Path) -> Result<(), Failure> {
        let folder = format!("--kustomize={}", folder.display());
        self.text(&["delete", "--ignore-not-found", "--wait=false", &folder])
            .map(drop)
    }

    /// What a command prints as JSON.
    pub(super) fn json(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let text = self.text(&[arguments, &["--output=json"]].concat())?;
        serde_json::from_str(&text).map_err(|error| {
            Failure::Unreachable(format!("{KUBECTL} prints what is no JSON ({error})"))
        })
    }

    /// What a command prints.
    pub(super) fn text(&self, arguments: &[&str]) -> Result<String, Failure> {
        succeeded(&self.output(arguments)?).map_err(|problem| unreachable(&problem))
    }

    /// Writes what a command prints into a file.
    pub(super) fn save(&self, arguments: &[&str], file: File) -> Result<(), Failure> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::from(file));
        succeeded(&command.output().map_err(|error| absent(&error))?)
            .map(drop)
            .map_err(|problem| unreachable(&problem))
    }

    fn output(&self, arguments: &[&str]) -> Result<Output, Failure> {
        self.command(arguments)
            .output()
            .map_err(|error| absent(&error))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(KUBECTL);
        command.args(&self.options).args(arguments);
        command.stdin(Stdio::null());
        command
    }
}

fn check_version(version: &Value) -> Result<(), Failure> {
    let kustomize = version["kustomizeVersion"].as_str().unwrap_or_default();
    let major = kustomize.trim_start_matches('v').split('.').next();
    if major
        .and_then(|major| major.parse().ok())
        .is_some_and(|major: u32| major >= KUSTOMIZE_MAJOR_MIN)
    {
        return Ok(());
    }
    let found = version["clientVersion"]["gitVersion"].as_str();
    Err(Failure::Broken(format!(
        "{KUBECTL} {} is too old for the manifests (they need kustomize {KUSTOMIZE_MAJOR_MIN}), \
         install 1.27 or later; it works with older clusters too",
        found.unwrap_or("on the path")
    )))
}

/// What a command has printed, or why it failed.
fn succeeded(said: &Output) -> Result<String, String> {
    if said.status.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    let problem = String::from_utf8_lossy(&said.stderr);
    let lines: Vec<&str> = problem
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    Err(lines.join("; "))
}

fn unreachable(problem: &str) -> Failure {
    Failure::Unreachable(format!(
        "the cluster does not do what it is asked ({problem}), see whether `kubectl cluster-info` \
         works"
    ))
}

fn absent(error: &io::Error) -> Failure {
    Failure::Broken(format!(
        "cannot run {KUBECTL} ({error}), install it, version 1.27 or later, and put it on the path"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn old_programs_are_refused() {
        let new = json!({"clientVersion": {"gitVersion": "v1.32.3"}, "kustomizeVersion": "v5.5.0"});
        check_version(&new).expect("new enough");
        for old in [
            json!({"clientVersion": {"gitVersion": "v1.26.0"}, "kustomizeVersion": "v4.5.7"}),
            json!({"clientVersion": {"gitVersion": "v1.20.2"}}),
            Value::Null,
        ] {
            let refused = check_version(&old).expect_err("too old").to_string();
            assert!(refused.contains("install 1.27 or later"), "{refused}");
        }
    }
}
