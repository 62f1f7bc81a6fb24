//! A full disk, a folder that cannot be written, a process killed at any moment: the old file
//! or the new one is there, never anything else.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use reseed_results::{ResultsError, Store, read_result, write_part, write_result};

use crate::common::{Numbers, commit, identity, layout, names, part};

/// Tells a helper test below where to work; without it, it is not run by hand.
const DIR: &str = "RESEED_TEST_DIR";

/// This program again, running only a helper test.
fn helper(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "--ignored", "--nocapture", name])
        .env(DIR, dir);
    command
}

fn helper_dir() -> PathBuf {
    PathBuf::from(env::var_os(DIR).expect("started by another test only"))
}

fn killed_after(mut child: Child, milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How often a writer is killed, and how often at most if it was never in the middle of it.
const KILLS: usize = 40;
const KILLS_MAX: usize = 400;

#[test]
fn a_killed_writer_leaves_the_old_or_the_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 24);
    let small = commit(&dir.path().join("small"), &layout, &[(0, 100)], true);
    commit(
        &dir.path().join("large"),
        &layout,
        &[(0, 100), (100, 20_000)],
        true,
    );
    let result = dir.path().join("out/result.h5");
    fs::create_dir(dir.path().join("out")).unwrap();
    let old = write_result(&result, &small, "1", &[]).unwrap();
    let mut numbers = Numbers(3);
    let mut seen = [0, 0];
    let mut leftovers = 0;
    for kill in 0..KILLS_MAX {
        let enough = seen.iter().all(|count| *count > 0) && leftovers > 0;
        if kill >= KILLS && enough {
            break;
        }
        let child = helper("crash::write_for_ever", dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // On a slow machine later, until some were killed at every stage.
        let longest_ms = 150 * (1 + kill / KILLS);
        killed_after(child, 20 + numbers.below(longest_ms) as u64);
        let found = read_result(&result).unwrap();
        seen[usize::from(found.digest != old.digest)] += 1;
        leftovers += names(&dir.path().join("out")).len() - 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "old and new: {seen:?}");
    assert!(leftovers > 0, "nobody was killed while writing");
    // The next writer removes what the killed ones left.
    write_result(&result, &small, "1", &[]).unwrap();
    assert_eq!(names(&dir.path().join("out")), ["result.h5"]);
}

#[test]
#[ignore = "helper: writes two results in turn until it is killed"]
fn write_for_ever() {
    let dir = helper_dir();
    let sources = |name: &str| -> Vec<PathBuf> {
        let parts = dir.join(name).join("parts");
        names(&parts).iter().map(|name| parts.join(name)).collect()
    };
    let (small, large) = (sources("small"), sources("large"));
    loop {
        for sources in [&large, &small] {
            write_result(&dir.join("out/result.h5"), sources, "1", &[]).unwrap();
        }
    }
}

#[test]
fn a_killed_store_keeps_what_it_committed() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 24);
    let mut committed = 0;
    for round in 0..10u64 {
        let child = helper("crash::commit_for_ever", dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        killed_after(child, 60 + round * 17);
        let store = Store::open(dir.path(), &identity(), &layout).unwrap();
        assert!(store.warnings().is_empty(), "{:?}", store.warnings());
        assert!(store.committed().len() >= committed);
        committed = store.committed().len();
        for (at, info) in store.committed().enumerate() {
            assert_eq!(info.range.start, at as u64 * 100);
        }
    }
    assert!(committed > 5);
}

#[test]
#[ignore = "helper: commits parts until it is killed"]
fn commit_for_ever() {
    let layout = layout(2, 3, 24);
    let mut store = Store::open(&helper_dir(), &identity(), &layout).unwrap();
    let next = store.committed().len() as u64 * 100;
    for start in (next..).step_by(100) {
        store
            .write_part(&part(&layout, start..start + 100, true))
            .unwrap();
    }
}

#[test]
fn a_full_disk_keeps_the_old_result() {
    in_small_file_system("crash::fill_the_disk", "size=1m");
}

#[test]
#[ignore = "helper: works in a file system of 1 MiB"]
fn fill_the_disk() {
    let dir = helper_dir();
    let layout = layout(2, 3, 24);
    let sources = tempfile::tempdir().unwrap();
    let small = commit(sources.path(), &layout, &[(0, 100)], true);
    let result = dir.join("result.h5");
    let old = write_result(&result, &small, "1", &[]).unwrap();
    // Again and again: a failed write must not keep anything open that fills the disk.
    let open_files = || names(Path::new("/proc/self/fd")).len();
    let open_before = open_files();
    for size in [100_000, 90_000, 200_000, 80_000, 100_000] {
        let part = part(&layout, 0..size, true);
        let error = write_part(&dir.join("part.h5"), &identity(), &layout, &part).unwrap_err();
        check_full(&error);
        assert_eq!(names(&dir), ["result.h5"]);
        assert_eq!(read_result(&result).unwrap(), old);
    }
    let others = sources.path().join("others");
    let large = commit(&others, &layout, &[(0, 100_000)], true);
    check_full(&write_result(&result, &large, "1", &[]).unwrap_err());
    assert_eq!(read_result(&result).unwrap(), old);
    assert_eq!(open_files(), open_before);
    // Just too little room, so that the failure comes as late as it can.
    let mut failures = 0;
    for spare in (0..400).step_by(8) {
        let filler = dir.join("filler");
        let used = fs::read(&result).unwrap().len().next_multiple_of(4096);
        fs::write(&filler, vec![1; (1 << 20) - used - spare * 1024]).unwrap();
        match write_part(
            &dir.join("part.h5"),
            &identity(),
            &layout,
            &part(&layout, 0..5000, true),
        ) {
            Ok(_) => fs::remove_file(dir.join("part.h5")).unwrap(),
            Err(error) => {
                check_full(&error);
                failures += 1;
            }
        }
        fs::remove_file(filler).unwrap();
        assert_eq!(names(&dir), ["result.h5"]);
    }
    assert!((5..45).contains(&failures), "{failures} failures");
    assert_eq!(open_files(), open_before);
    // With room again, everything works again.
    write_part(
        &dir.join("part.h5"),
        &identity(),
        &layout,
        &part(&layout, 0..100, true),
    )
    .unwrap();
}

fn check_full(error: &ResultsError) {
    assert!(matches!(error, ResultsError::Io { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("No space left") && text.contains("free some space"),
        "{text}"
    );
}

#[test]
fn a_read_only_folder_is_explained() {
    in_small_file_system("crash::write_read_only", "ro");
    // A file where a folder should be.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let layout = layout(2, 3, 6);
    let part = part(&layout, 0..50, false);
    let error = write_part(&file.join("part.h5"), &identity(), &layout, &part).unwrap_err();
    assert!(error.to_string().contains("check the path"), "{error}");
    let error = Store::open(&file, &identity(), &layout).unwrap_err();
    assert!(matches!(error, ResultsError::Io { .. }), "{error}");
}

#[test]
#[ignore = "helper: works in a file system that is read-only"]
fn write_read_only() {
    let layout = layout(2, 3, 6);
    let part = part(&layout, 0..50, false);
    let path = helper_dir().join("part.h5");
    let errors = [
        write_part(&path, &identity(), &layout, &part).unwrap_err(),
        Store::open(&helper_dir(), &identity(), &layout).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, ResultsError::Io { .. }), "{error}");
        assert!(
            error.to_string().contains("folder you may write to"),
            "{error}"
        );
    }
}

/// Runs a helper with a file system of its own, which goes when the helper does.
fn in_small_file_system(name: &str, options: &str) {
    let dir = tempfile::tempdir().unwrap();
    let helper = helper(name, dir.path());
    let script = format!("mount -t tmpfs -o {options} tmpfs \"$0\" && exec \"$@\"");
    let inside = || {
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .arg(dir.path())
            .arg(helper.get_program());
        command.args(helper.get_args()).env(DIR, dir.path());
        command
    };
    // Mounting takes a mount namespace and, for a normal user, a user namespace.
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let namespaces: &[&str] = if root {
        &["--mount"]
    } else {
        &["--mount", "--map-root-user"]
    };
    let inside = inside();
    let output = Command::new("unshare")
        .args(namespaces)
        .arg(inside.get_program())
        .args(inside.get_args())
        .env(DIR, dir.path())
        .output()
        .expect("unshare, of util-linux");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "the helper ran"
    );
}
