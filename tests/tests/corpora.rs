//! Replays what fuzzing has kept (tests/fuzz): inputs that together reach all that it ever reached,
//! and those that once were findings.

use std::fs;
use std::path::{Path, PathBuf};

use reseed_tests::fuzz;

fn replay(target: &str, body: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let kept = files(&root.join("corpus").join(target));
    assert!(kept.len() > 10, "{target} has only {} inputs", kept.len());
    for path in kept.iter().chain(&files(&root.join("found").join(target))) {
        // Shown if the body panics.
        println!("{}", path.display());
        body(&fs::read(path).expect("an input"));
    }
}

/// Files of a folder; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

#[test]
fn every_kept_trial_file_is_answered() {
    replay("trial", fuzz::trial);
}

#[test]
fn every_kept_part_is_read_or_refused() {
    replay("part", fuzz::part);
}

#[test]
fn every_kept_file_under_a_new_seal_is_read_or_refused() {
    replay("sealed", fuzz::sealed);
}

#[test]
fn every_kept_message_is_checked() {
    replay("messages", fuzz::messages);
}
