//! The rules of ARCHITECTURE.md that a program can check: which crate may use which, and what
//! must not be written anywhere or in the lower floors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every crate of the workspace, and the crates of the workspace that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("reseed-model", &[]),
    ("reseed-stats", &[]),
    ("reseed-plot", &[]),
    ("reseed-trial", &["reseed-model", "reseed-stats"]),
    (
        "reseed-engine",
        &["reseed-model", "reseed-stats", "reseed-trial"],
    ),
    ("reseed-calibration", &["reseed-stats", "reseed-trial"]),
    ("reseed-results", &["reseed-stats", "reseed-trial"]),
    ("reseed-protocol", &["reseed-plot", "reseed-trial"]),
    (
        "reseed-coordinator",
        &[
            "reseed-protocol",
            "reseed-results",
            "reseed-stats",
            "reseed-trial",
        ],
    ),
    (
        "reseed-worker",
        &[
            "reseed-engine",
            "reseed-protocol",
            "reseed-results",
            "reseed-trial",
        ],
    ),
    (
        "reseed-report",
        &["reseed-plot", "reseed-results", "reseed-stats"],
    ),
    (
        "reseed-cli",
        &[
            "reseed-calibration",
            "reseed-coordinator",
            "reseed-engine",
            "reseed-model",
            "reseed-plot",
            "reseed-protocol",
            "reseed-report",
            "reseed-results",
            "reseed-stats",
            "reseed-trial",
            "reseed-worker",
        ],
    ),
];

/// The crate of tests, which may use everything.
const TESTS: &str = "reseed-tests";

/// Libraries of others that the lower crates may use: none of them reads files, clocks or the
/// network. A new one is a decision to be taken here.
const LIBRARIES: &[(&str, &[&str])] = &[
    (
        "reseed-model",
        &["core-math", "multiversion", "rand_chacha", "rand_core"],
    ),
    ("reseed-stats", &["core-math", "thiserror"]),
    ("reseed-plot", &[]),
    (
        "reseed-trial",
        &[
            "annotate-snippets",
            "blake3",
            "serde_json",
            "sobol_burley",
            "strsim",
            "thiserror",
            "toml",
        ],
    ),
    ("reseed-engine", &["thiserror"]),
];

/// HDF5 types stay in one crate.
const HDF5_LIBRARIES: &[&str] = &["hdf5-metno", "hdf5-metno-sys"];

/// Methods whose last bits depend on the platform's mathematics. Clippy watches over the model and
/// the engine by type (their clippy.toml).
const PLATFORM_MATHEMATICS: &[&str] = &[
    ".exp(",
    ".exp2(",
    ".exp_m1(",
    ".ln(",
    ".ln_1p(",
    ".log(",
    ".log2(",
    ".log10(",
    ".powf(",
    ".powi(",
    ".sin(",
    ".cos(",
    ".tan(",
    ".sinh(",
    ".cosh(",
    ".tanh(",
    ".asin(",
    ".acos(",
    ".atan(",
    ".atan2(",
    ".sin_cos(",
    ".cbrt(",
    ".hypot(",
];

/// Ways out of pure computation: files, clocks, threads, the environment, the terminal.
const EFFECTS: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::time",
    "std::thread",
    "std::process",
    "Instant::",
    "SystemTime",
    "print!(",
    "println!(",
];

/// Where the coordinator meets the network; the rest of it is pure.
const EDGE_OF_THE_COORDINATOR: [&str; 3] = ["opening.rs", "serve", "service.rs"];

/// Collections whose order differs from run to run.
const UNORDERED: &[&str] = &["HashMap", "HashSet"];

#[test]
fn crates_use_only_the_floors_below() {
    let packages = packages();
    let known: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let mut found: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    assert!(
        found.remove(TESTS),
        "the crate of tests is in the workspace"
    );
    assert_eq!(found, known, "every crate has its place in MAY_USE");
    for (name, allowed) in MAY_USE {
        for used in used_by(&packages[*name]).filter(|used| used.starts_with("reseed-")) {
            assert!(
                allowed.contains(&used),
                "{name} uses {used}, which it must not know; it may use {allowed:?}"
            );
        }
    }
}

#[test]
fn lower_crates_use_no_library_that_does_more_than_compute() {
    let packages = packages();
    for (name, allowed) in LIBRARIES {
        for used in used_by(&packages[*name]).filter(|used| !used.starts_with("reseed-")) {
            assert!(
                allowed.contains(&used),
                "{name} uses the library {used}; it may use {allowed:?}"
            );
        }
    }
}

#[test]
fn hdf5_stays_in_results() {
    let packages = packages();
    let users: Vec<&str> = packages
        .iter()
        .filter(|(_, package)| used_by(package).any(|used| HDF5_LIBRARIES.contains(&used)))
        .map(|(name, _)| name.as_str())
        .filter(|name| *name != TESTS)
        .collect();
    assert_eq!(users, ["reseed-results"]);
}

#[test]
fn floors_0_and_1_compute_and_do_nothing_else() {
    refuse(EFFECTS, &sources(&["model", "stats", "trial"]));
}

#[test]
fn the_ledger_is_a_pure_state_machine() {
    let coordinator = root().join("crates/coordinator/src");
    let mut pure = sources(&["coordinator"]);
    pure.retain(|path| {
        let edge = EDGE_OF_THE_COORDINATOR.map(|name| coordinator.join(name));
        !edge.iter().any(|edge| path.starts_with(edge))
    });
    refuse(EFFECTS, &pure);
    refuse(UNORDERED, &pure);
}

#[test]
fn nothing_that_is_computed_depends_on_a_random_order() {
    let computing = ["model", "stats", "trial", "engine", "calibration"];
    refuse(UNORDERED, &sources(&computing));
}

#[test]
fn nothing_that_is_computed_depends_on_the_platforms_mathematics() {
    refuse(
        PLATFORM_MATHEMATICS,
        &sources(&["model", "stats", "trial", "engine", "calibration"]),
    );
}

#[test]
fn nothing_is_left_to_do() {
    // Put together here, so that this file does not break its own rule.
    let marks = ["to", "unimplemen", "dbg"].map(|start| match start {
        "to" => format!("{start}do!("),
        "dbg" => format!("{start}!("),
        _ => format!("{start}ted!("),
    });
    let fixme = format!("FIX{}", "ME");
    let marks: Vec<&str> = marks.iter().chain([&fixme]).map(String::as_str).collect();
    refuse(&marks, &of_kind(&root(), "rs"));
}

/// What `--json` prints is public, so its fields are documented.
#[test]
fn every_field_of_the_json_is_documented() {
    let documented = fs::read_to_string(root().join("docs/json.md")).expect("a document");
    let mut fields = 0;
    for file in sources(&["report"]) {
        let text = fs::read_to_string(&file).expect("a source");
        for public in text.split("Serialize)]\npub struct ").skip(1) {
            let (name, rest) = public.split_once(" {\n").expect("a struct with fields");
            let (body, _) = rest.split_once("\n}").expect("an end");
            for line in body
                .lines()
                .filter_map(|line| line.trim().strip_prefix("pub "))
            {
                let field = line.split(':').next().unwrap_or(line);
                assert!(
                    documented.contains(&format!("| `{field}` |")),
                    "docs/json.md lacks {field} of {name}; docs/regenerate adds it"
                );
                fields += 1;
            }
        }
    }
    assert!(fields > 100, "{fields} fields are found");
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    let paths = ["work", "root", "tmp"].map(|folder| format!("/{folder}/"));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    refuse(&paths, &files(&root()));
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let own = ["crates/results"];
    let manifests = of_kind(&root(), "toml")
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml"))
        .filter(|path| path.parent() != Some(&root()));
    for path in manifests {
        let text = fs::read_to_string(&path).expect("a manifest");
        let shared = text.contains("[lints]\nworkspace = true");
        let exempt = own
            .iter()
            .any(|folder| path.starts_with(root().join(folder)))
            && text.contains("unsafe_code = \"deny\"");
        assert!(shared || exempt, "{} has no lints", path.display());
    }
}

/// Packages of the workspace by name, as cargo describes them.
fn packages() -> BTreeMap<String, Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| (text(&package["name"]).to_owned(), package.clone()))
        .collect()
}

/// What a package is built from; what only its tests need is left out.
fn used_by(package: &Value) -> impl Iterator<Item = &str> {
    let dependencies = package["dependencies"].as_array().expect("dependencies");
    dependencies
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| text(&dependency["name"]))
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Fails if one of the files contains one of the words.
fn refuse(words: &[&str], files: &[PathBuf]) {
    assert!(!files.is_empty(), "there are files to look at");
    let mut found = Vec::new();
    for path in files {
        let bytes = fs::read(path).expect("a readable file");
        let contents = String::from_utf8_lossy(&bytes);
        for (number, line) in contents.lines().enumerate() {
            let hits = words.iter().filter(|word| line.contains(**word));
            found.extend(hits.map(|word| {
                let place = path.strip_prefix(root()).unwrap_or(path);
                format!("{}:{}: {word}", place.display(), number + 1)
            }));
        }
    }
    assert!(found.is_empty(), "not allowed here:\n{}", found.join("\n"));
}

/// Sources of these crates, without their tests folders.
fn sources(crates: &[&str]) -> Vec<PathBuf> {
    crates
        .iter()
        .flat_map(|name| of_kind(&root().join("crates").join(name).join("src"), "rs"))
        .collect()
}

fn of_kind(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = files(folder);
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files
}

/// All files below a folder but what is built or produced.
fn files(folder: &Path) -> Vec<PathBuf> {
    const PRODUCED: &[&str] = &["target", ".git", "__pycache__"];
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if PRODUCED.contains(&name.as_ref()) || name.contains(".h5") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_path_buf()
}
