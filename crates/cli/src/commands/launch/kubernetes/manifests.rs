//! The folder of a run: manifests for kustomize, and what fits them to the run.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::exit::Failure;
use crate::whole::{Readers, write};

/// Changes to the manifests that a run may have.
pub(crate) const COMPONENTS: [&str; 4] = ["elastic", "cert-manager", "priority", "kubernetes-1.20"];

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        [$((
            $name,
            include_str!(concat!("../../../../../../deploy/kubernetes/", $name)),
        )),*]
    };
}

/// What is the same for all runs.
const MANIFESTS: [(&str, &str); 16] = embedded![
    "base/kustomization.yaml",
    "base/coordinator.yaml",
    "base/workers.yaml",
    "base/service.yaml",
    "base/network.yaml",
    "base/disruption.yaml",
    "store/kustomization.yaml",
    "store/claim.yaml",
    "reader/kustomization.yaml",
    "reader/pod.yaml",
    "components/elastic/kustomization.yaml",
    "components/elastic/scaling.yaml",
    "components/cert-manager/kustomization.yaml",
    "components/cert-manager/certificates.yaml",
    "components/priority/kustomization.yaml",
    "components/kubernetes-1.20/kustomization.yaml",
];
/// Where in the folder of a run they are.
const MANIFESTS_FOLDER: &str = "manifests";

/// Which fields hold names. kustomize wants it beside whatever refers to it.
const NAMES: (&str, &str) = (
    "names.yaml",
    include_str!("../../../../../../deploy/kubernetes/names.yaml"),
);

const KUSTOMIZATION: &str = "kustomization.yaml";
pub(super) const TRIAL: &str = "trial.toml";
pub(super) const KEYS: &str = "keys";
/// What outlives the run, with a kustomization of its own.
pub(super) const STORE: &str = "store";
/// What copies a result out.
pub(super) const READER: &str = "reader";

/// The trial of a run, as a file of its coordinator.
const CONTENTS: &str = "\
# Names stay when contents change: renewed keys then reach the pods that run.
generatorOptions:
  disableNameSuffixHash: true
configMapGenerator:
  - name: trial
    files: [trial.toml]";

/// Its keys.
const SECRETS: &str = "\
secretGenerator:
  - name: coordinator-keys
    files: [keys/ca.pem, keys/server.pem, keys/server.key]
  - name: worker-keys
    files: [keys/ca.pem, keys/worker.pem, keys/worker.key]";

/// Longest name of a run: Kubernetes makes names of pods from it, of 63 characters at most.
const NAME_LEN_MAX: usize = 40;

/// A run as Kubernetes is to have it.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) image: String,
    pub(super) workers: u32,
    pub(super) cpus: u32,
    pub(super) memory: String,
    pub(super) storage: String,
    pub(super) storage_class: Option<String>,
    pub(super) components: Vec<String>,
}

impl Run {
    /// Name of one of its objects.
    pub(super) fn object(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    pub(super) fn has(&self, component: &str) -> bool {
        self.components.iter().any(|chosen| chosen == component)
    }

    /// Writes everything but the keys.
    pub(super) fn write(&self, folder: &Path, trial: &str) -> Result<(), Failure> {
        for (name, text) in MANIFESTS {
            put(&folder.join(MANIFESTS_FOLDER).join(name), text)?;
        }
        put(&folder.join(TRIAL), trial)?;
        let own = [
            (folder.to_path_buf(), self.kustomization()),
            (folder.join(STORE), self.store()),
            (folder.join(READER), self.reader()),
        ];
        for (folder, text) in own {
            put(&folder.join(KUSTOMIZATION), &text)?;
            put(&folder.join(NAMES.0), NAMES.1)?;
        }
        Ok(())
    }

    fn kustomization(&self) -> String {
        let mut lines = self.head("base", "");
        if !self.components.is_empty() {
            lines.push("components:".into());
            let component = |name| format!("  - {MANIFESTS_FOLDER}/components/{name}");
            lines.extend(self.components.iter().map(component));
        }
        lines.extend(self.images());
        lines.push(CONTENTS.into());
        if !self.has("cert-manager") {
            lines.push(SECRETS.into());
        }
        lines.push("patches:".into());
        lines.extend(self.patches());
        text(&lines)
    }

    fn store(&self) -> String {
        let mut lines = self.head("store", "../");
        let mut operations = vec![operation(
            "replace",
            "/spec/resources/requests/storage",
            self.storage.as_str(),
        )];
        if let Some(class) = &self.storage_class {
            operations.push(operation("add", "/spec/storageClassName", class.as_str()));
        }
        lines.push("patches:".into());
        lines.extend(patch("PersistentVolumeClaim", "store", operations));
        text(&lines)
    }

    fn reader(&self) -> String {
        let mut lines = self.head("reader", "../");
        lines.extend(self.images());
        text(&lines)
    }

    /// What every kustomization of the run begins with.
    fn head(&self, manifest: &str, up: &str) -> Vec<String> {
        let name = &self.name;
        let mut lines = vec![
            "apiVersion: kustomize.config.k8s.io/v1beta1".into(),
            "kind: Kustomization".into(),
        ];
        if let Some(namespace) = &self.namespace {
            lines.push(format!("namespace: {namespace}"));
        }
        lines.push(format!(
            "\
namePrefix: {name}-
configurations: [names.yaml]
labels:
  - pairs:
      app.kubernetes.io/instance: {name}
    includeSelectors: true
resources:
  - {up}{MANIFESTS_FOLDER}/{manifest}"
        ));
        lines
    }

    fn images(&self) -> Vec<String> {
        let image = Image::of(&self.image);
        let name = json!(image.name);
        let mut lines = vec![format!("images:\n  - name: reseed\n    newName: {name}")];
        if let Some((key, value)) = image.version {
            lines.push(format!("    {key}: {}", json!(value)));
        }
        lines
    }

    /// How many workers of which size there are.
    fn patches(&self) -> Vec<String> {
        let replace = |path: &str, value| operation("replace", path, value);
        let amount = json!({"cpu": self.cpus.to_string(), "memory": self.memory});
        let container = "/spec/template/spec/containers/0/resources";
        let mut size = vec![
            replace(&format!("{container}/requests"), amount.clone()),
            replace(&format!("{container}/limits"), amount),
        ];
        let mut lines = if self.has("elastic") {
            let most = replace("/spec/maxReplicas", json!(self.workers));
            let autoscaler = patch("HorizontalPodAutoscaler", "workers", vec![most]);
            [patch("Deployment", "workers", size), autoscaler].concat()
        } else {
            size.push(replace("/spec/completions", json!(self.workers)));
            size.push(replace("/spec/parallelism", json!(self.workers)));
            patch("Job", "workers", size)
        };
        let budget = replace("/spec/minAvailable", json!(self.workers / 2));
        lines.extend(patch("PodDisruptionBudget", "workers", vec![budget]));
        if self.has("cert-manager") {
            let host = replace("/spec/dnsNames/0", json!(self.object("coordinator")));
            lines.extend(patch("Certificate", "coordinator-keys", vec![host]));
        }
        lines
    }
}

fn text(lines: &[String]) -> String {
    lines.join("\n") + "\n"
}

/// An operation of a JSON patch.
fn operation(kind: &str, path: &str, value: impl Into<Value>) -> Value {
    json!({"op": kind, "path": path, "value": value.into()})
}

fn patch(kind: &str, name: &str, operations: Vec<Value>) -> Vec<String> {
    let mut lines = vec![
        format!("  - target: {{kind: {kind}, name: {name}}}"),
        "    patch: |-".into(),
    ];
    let operations = operations.into_iter();
    lines.extend(operations.map(|operation| format!("      - {operation}")));
    lines
}

/// An image, in the parts that kustomize wants.
#[derive(Debug, PartialEq, Eq)]
struct Image<'a> {
    name: &'a str,
    version: Option<(&'static str, &'a str)>,
}

impl<'a> Image<'a> {
    fn of(text: &'a str) -> Self {
        let (key, split) = match text.split_once('@') {
            Some(split) => ("digest", Some(split)),
            // A colon before the last slash is that of a port.
            None => (
                "newTag",
                text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')),
            ),
        };
        match split {
            Some((name, version)) => Self {
                name,
                version: Some((key, version)),
            },
            None => Self {
                name: text,
                version: None,
            },
        }
    }
}

/// The name of a run, from that of its trial: lower case letters, digits and hyphens.
pub(super) fn name_of(trial: &str) -> String {
    let characters = trial.chars().map(|character| match character {
        'a'..='z' | '0'..='9' => character,
        'A'..='Z' => character.to_ascii_lowercase(),
        _ => '-',
    });
    let name: String = characters.collect();
    let name = name.trim_matches('-');
    let name = name[..name.len().min(NAME_LEN_MAX)].trim_end_matches('-');
    // Names of services begin with a letter.
    if name.starts_with(|first: char| first.is_ascii_lowercase()) {
        name.to_owned()
    } else {
        format!("run-{name}").trim_end_matches('-').to_owned()
    }
}

/// Refuses what Kubernetes would refuse, or what would be no word in a manifest.
pub(super) fn check_name(option: &str, name: &str, len_max: usize) -> Result<(), Failure> {
    let of_good_characters = name
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    if of_good_characters && begins && !name.ends_with('-') && name.len() <= len_max {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{option} {name:?} is no name for Kubernetes, use up to {len_max} lower case letters, \
         digits and hyphens, a letter first"
    )))
}

pub(super) fn check_run_name(name: &str) -> Result<(), Failure> {
    check_name("--name", name, NAME_LEN_MAX)
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let folder: PathBuf = path.parent().unwrap_or(Path::new(".")).into();
    fs::create_dir_all(&folder).map_err(Failure::system("create", &folder))?;
    write(path, text, Readers::Owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(components: &[&str]) -> Run {
        Run {
            name: "breast".into(),
            namespace: Some("trials".into()),
            image: "registry.example:5000/reseed:1.2".into(),
            workers: 7,
            cpus: 8,
            memory: "2Gi".into(),
            storage: "100Gi".into(),
            storage_class: Some("fast".into()),
            components: components.iter().map(|name| (*name).into()).collect(),
        }
    }

    #[test]
    fn the_kustomization_of_a_run_says_what_is_its_own() {
        insta::assert_snapshot!(run(&[]).kustomization());
    }

    #[test]
    fn components_change_what_is_patched() {
        insta::assert_snapshot!(run(&["elastic", "cert-manager"]).kustomization());
    }

    #[test]
    fn the_store_has_its_size_and_class() {
        insta::assert_snapshot!(run(&[]).store());
    }

    #[test]
    fn images_are_split_where_kustomize_splits_them() {
        let version = |text| Image::of(text).version;
        assert_eq!(version("reseed"), None);
        assert_eq!(version("host:5000/reseed"), None);
        assert_eq!(version("host:5000/reseed:1"), Some(("newTag", "1")));
        assert_eq!(version("reseed@sha256:ab"), Some(("digest", "sha256:ab")));
        assert_eq!(Image::of("host:5000/reseed:1").name, "host:5000/reseed");
    }

    #[test]
    fn every_name_of_a_trial_makes_a_name_for_kubernetes() {
        assert_eq!(name_of("breast"), "breast");
        assert_eq!(name_of("Filter_2 (b)"), "filter-2--b");
        assert_eq!(name_of("2nd"), "run-2nd");
        assert_eq!(name_of("ü"), "run");
        for name in ["breast", "Filter_2 (b)", "2nd", "ü", &"x-".repeat(40)] {
            check_run_name(&name_of(name)).expect("a good name");
        }
        for wrong in ["", "-a", "a-", "A", "a.b", "1a", &"a".repeat(41)] {
            check_run_name(wrong).expect_err(wrong);
        }
    }

    /// What is embedded is all that there is.
    #[test]
    fn every_component_is_embedded() {
        for component in COMPONENTS {
            let path = format!("components/{component}/{KUSTOMIZATION}");
            assert!(MANIFESTS.iter().any(|(name, _)| *name == path), "{path}");
        }
    }
}
