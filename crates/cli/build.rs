//! Tells the program what it is built from and for, which it prints with `--version --verbose`.
//!
//! Nothing here depends on the time, the folder or the machine: the same commit gives the same
//! program.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the program is made of; a change in any of it makes a commit dirty.
const SOURCES: [&str; 5] = [".cargo", "Cargo.lock", "Cargo.toml", "crates", "proto"];

fn main() {
    let root = Path::new("../..");
    println!("cargo::rustc-env=RESEED_COMMIT={}", commit(root));
    println!("cargo::rustc-env=RESEED_TARGET={}", variable("TARGET"));
    println!("cargo::rustc-env=RESEED_TARGET_CPU={}", target_cpu());
    println!("cargo::rerun-if-changed=build.rs");
}

/// The commit: as the variable `RESEED_COMMIT` says, or the archive that the sources came in, or
/// git.
fn commit(root: &Path) -> String {
    println!("cargo::rerun-if-env-changed=RESEED_COMMIT");
    env::var("RESEED_COMMIT")
        .ok()
        .or_else(commit_of_archive)
        .or_else(|| commit_of_repository(root))
        .unwrap_or_else(|| "unknown".into())
}

/// The commit that `git archive` wrote down (see `.gitattributes`).
fn commit_of_archive() -> Option<String> {
    println!("cargo::rerun-if-changed=commit.txt");
    let text = fs::read_to_string("commit.txt").ok()?;
    let commit = text.trim();
    (!commit.starts_with('$')).then(|| commit.to_owned())
}

/// The commit that is checked out, with `-dirty` if the sources differ from it.
fn commit_of_repository(root: &Path) -> Option<String> {
    // Sources may lie in the repository of something else, whose commits are not theirs.
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    let commit = git(root, &["rev-parse", "HEAD"])?;
    watch(root);
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--"];
    status.extend(SOURCES);
    let clean = git(root, &status)?.is_empty();
    Some(if clean { commit } else { commit + "-dirty" })
}

/// Runs this again after a commit, and after a change of a source.
fn watch(root: &Path) {
    let head = git(root, &["rev-parse", "--symbolic-full-name", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(head.as_deref()) {
        if let Some(path) = git(root, &["rev-parse", "--git-path", name]) {
            let path = root.join(path);
            // Cargo takes a file that is absent for one that has changed.
            if path.exists() {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
    }
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The processor family that the compiler was told to build for.
fn target_cpu() -> String {
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    flags
        .split('\u{1f}')
        .filter_map(|flag| {
            flag.trim_start_matches("-C")
                .trim_start()
                .strip_prefix("target-cpu=")
        })
        .next_back()
        .map_or_else(|| baseline().into(), str::to_owned)
}

/// What the compiler builds for if it is told nothing.
fn baseline() -> &'static str {
    match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86_64" => "x86-64",
        _ => "generic",
    }
}

fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets its variables")
}
