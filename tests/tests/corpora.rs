//! Replays what fuzzing has kept (tests/fuzz): inputs that together reach all that it ever reached,
//! and those that once were findings.

use std::fs;
use std::path::Path;

use reseed_tests::fuzz;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        // Shown if the body panics.
        println!("{}", path.display());
        body(&fs::read(&path).expect("an input"));
        count += 1;
    }
    assert!(count > 10, "{target} has only {count} inputs");
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
