//! The manifests against what is published of Kubernetes' versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::lab::RESEED;

const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kubernetes");
/// The first that has all that the manifests use, some in between, and the last.
const VERSIONS: [&str; 4] = ["1.29", "1.31", "1.34", "1.37"];
/// The oldest with a schema, and the last. What older clusters get, newer ones know too.
const OLDER_VERSIONS: [&str; 2] = ["1.25", "1.37"];
/// Components that go together, and the objects that come of them.
const CURRENT: [(&str, usize); 4] = [
    ("", 10),
    ("priority", 10),
    ("elastic priority", 11),
    ("cert-manager elastic", 15),
];

pub(crate) fn current() {
    for (components, objects) in CURRENT {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let file = dry_run(folder.path(), components);
        for version in VERSIONS {
            let said = validated(version, &file);
            assert_eq!(count(&said, "passed for") + of_cert_manager(&said), objects);
        }
    }
}

/// The budget is of an interface that no version with a published schema has.
pub(crate) fn older() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let file = dry_run(folder.path(), "kubernetes-1.20");
    for version in OLDER_VERSIONS {
        let said = validated(version, &file);
        assert_eq!(count(&said, "passed for"), 9, "{said}");
        assert_eq!(count(&said, "policy/v1beta1"), 1, "{said}");
    }
}

/// Those that are applied as they are.
pub(crate) fn shared() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    for (name, objects) in [("base", 6), ("cluster", 2), ("store", 1), ("reader", 1)] {
        let file = folder.path().join(format!("{name}.yaml"));
        let built = run(Command::new("kubectl")
            .arg("kustomize")
            .arg(format!("{MANIFESTS}/{name}")));
        fs::write(&file, built.stdout).expect("room");
        for version in VERSIONS {
            let said = validated(version, &file);
            assert_eq!(count(&said, "passed for"), objects, "{name}: {said}");
        }
    }
}

/// A wrong word must be found, or the others prove nothing.
pub(crate) fn wrong() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let file = dry_run(folder.path(), "");
    let text = fs::read_to_string(&file).expect("it was written");
    for (right, wrong) in [
        (
            "podReplacementPolicy: Failed",
            "podReplacementPolicies: Failed",
        ),
        ("completions: 4", "completions: four"),
        ("clusterIP: None", "clusterIPs: None"),
    ] {
        assert!(text.contains(right), "{right}");
        fs::write(&file, text.replace(right, wrong)).expect("room");
        let output = validate(VERSIONS[0], &file);
        assert!(!output.status.success(), "{wrong} is taken");
    }
}

/// Prints a launch twice: it must be the same, and nothing else may be needed.
fn dry_run(folder: &Path, components: &str) -> PathBuf {
    let print = || {
        let mut command = Command::new(RESEED);
        command.current_dir(folder);
        command.args(["launch", "kubernetes", "breast", "--dry-run"]);
        command.args([
            "--image",
            "registry.example:5000/reseed:1",
            "--namespace",
            "trials",
        ]);
        for component in components.split_whitespace() {
            command.args(["--component", component]);
        }
        run(&mut command).stdout
    };
    let (first, second) = (print(), print());
    assert!(first == second, "what is shown is what is applied");
    let file = folder.join("manifests.yaml");
    fs::write(&file, first).expect("room");
    file
}

fn validated(version: &str, file: &Path) -> String {
    let output = validate(version, file);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{version}: {said}");
    said
}

fn validate(version: &str, file: &Path) -> Output {
    let mut command = Command::new("python3");
    command.args(["-m", "kubernetes_validate", "--strict", "-k", version]);
    command.arg(file).output().expect("python3")
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

/// Kinds of cert-manager, of which there is no schema.
fn of_cert_manager(said: &str) -> usize {
    count(said, "cert-manager.io/v1")
}

fn count(said: &str, words: &str) -> usize {
    said.lines().filter(|line| line.contains(words)).count()
}
