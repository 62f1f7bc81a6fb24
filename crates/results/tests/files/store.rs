//! The store as a journal.

use std::fs;
use std::ops::Range;

use reseed_results::{
    Disk, Layout, PartInfo, ResultsError, RunIdentity, Store, part_digest, write_part,
};

use crate::common::{commit, identity, layout, names, part, tamper};

#[test]
fn a_store_goes_on_where_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let store_dir = dir.path().join("deep/store");
    commit(&store_dir, &layout, &[(50, 100), (0, 50)], true);
    let mut store = Store::open(&store_dir, &identity(), &layout).unwrap();
    let ranges: Vec<_> = store.committed().map(|info| info.range.clone()).collect();
    assert_eq!(ranges, [0..50, 50..100]);
    assert!(store.warnings().is_empty());
    let info = store.write_part(&part(&layout, 100..120, true)).unwrap();
    assert_eq!(store.read_part(&info).unwrap().info, info);
    assert_eq!(store.committed().len(), 3);
    assert_eq!(
        names(&store_dir.join("parts")),
        [
            "00000000000000000000-00000000000000000050.h5",
            "00000000000000000050-00000000000000000100.h5",
            "00000000000000000100-00000000000000000120.h5",
        ]
    );
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let store = Store::open(dir.path(), &identity(), &layout).unwrap();
    let error = Store::open(dir.path(), &identity(), &layout).unwrap_err();
    assert!(matches!(error, ResultsError::Locked { .. }), "{error}");
    drop(store);
    Store::open(dir.path(), &identity(), &layout).unwrap();
}

#[test]
fn the_same_part_is_committed_once_and_another_is_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let mut store = Store::open(dir.path(), &identity(), &layout).unwrap();
    let good = part(&layout, 0..50, true);
    let info = store.write_part(&good).unwrap();
    let mut again = good.clone();
    again.attempt.worker = "somebody else".into();
    assert_eq!(store.write_part(&again).unwrap(), info);
    assert!(store.committed().eq([&info]));
    // The same number of patients, with other courses.
    again.tally = part(&layout, 1000..1050, false).tally;
    let error = store.write_part(&again).unwrap_err();
    let ResultsError::Conflict(conflict) = &error else {
        panic!("{error}");
    };
    assert_eq!(conflict.committed_worker, "worker 0");
    assert_eq!(conflict.offered_worker, "somebody else");
    let offered = part_digest(
        &identity().fingerprint,
        42,
        &(0..50),
        &again.tally,
        [&again.records, &again.blocks],
    );
    assert_eq!(conflict.offered, offered);
    assert!(error.to_string().contains("worker 0") && error.to_string().contains("somebody else"));
    let error = store.write_part(&part(&layout, 49..60, true)).unwrap_err();
    assert!(matches!(error, ResultsError::Overlap { .. }), "{error}");
}

#[test]
fn damaged_parts_are_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let paths = commit(dir.path(), &layout, &[(0, 50), (50, 100), (100, 150)], true);
    let bytes = fs::read(&paths[1]).unwrap();
    fs::write(&paths[1], &bytes[..bytes.len() / 2]).unwrap();
    let leftover = dir.path().join("parts/.killed.h5.12345.partial");
    fs::write(&leftover, "half a part").unwrap();
    let mut store = Store::open(dir.path(), &identity(), &layout).unwrap();
    let [warning] = store.warnings() else {
        panic!("{:?}", store.warnings());
    };
    assert!(
        warning.contains("is damaged") && warning.contains("computed again"),
        "{warning}"
    );
    let starts: Vec<u64> = store.committed().map(|info| info.range.start).collect();
    assert_eq!(starts, [0, 100]);
    assert!(!leftover.exists());
    store.write_part(&part(&layout, 50..100, true)).unwrap();
    assert_eq!(
        names(&dir.path().join("parts")),
        [
            "00000000000000000000-00000000000000000050.h5",
            "00000000000000000050-00000000000000000100.h5",
            "00000000000000000050-00000000000000000100.h5.damaged",
            "00000000000000000100-00000000000000000150.h5",
        ]
    );
}

#[test]
fn a_store_of_another_run_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let paths = commit(dir.path(), &layout, &[(0, 50)], true);
    let other = RunIdentity {
        seed: 43,
        ..identity()
    };
    let error = Store::open(dir.path(), &other, &layout).unwrap_err();
    assert!(matches!(error, ResultsError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("another folder"), "{error}");
    // A part of a newer version is not damaged, and not understood either.
    tamper(&paths[0], |file| {
        file.attr("format_version")
            .unwrap()
            .write_scalar(&3u32)
            .unwrap();
    });
    let error = Store::open(dir.path(), &identity(), &layout).unwrap_err();
    assert!(matches!(error, ResultsError::Newer { .. }), "{error}");
    assert!(paths[0].exists());
}

/// Checks a file in the store's folder and commits it, as a coordinator does.
fn deliver(store: &mut Store, name: &str, layout: &Layout) -> Result<PartInfo, ResultsError> {
    let part = Store::check(store.folder(), name, &identity(), layout)?;
    store.commit(name, &part)
}

#[test]
fn parts_delivered_as_files_are_checked_and_moved() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let mut store = Store::open(dir.path(), &identity(), &layout).unwrap();
    let name = Store::<Disk>::incoming_name(&store.mark(), 7);
    let offered = dir.path().join(&name);
    let good = part(&layout, 0..50, true);
    let written = write_part(&offered, &identity(), &layout, &good).unwrap();
    let info = deliver(&mut store, &name, &layout).unwrap();
    assert_eq!(info.digest, written.digest);
    assert!(!offered.exists() && info.path.exists());
    // Delivered twice, delivered damaged, delivered by the wrong run.
    write_part(&offered, &identity(), &layout, &good).unwrap();
    assert_eq!(deliver(&mut store, &name, &layout).unwrap(), info);
    assert!(!offered.exists());
    fs::write(&offered, "half a part").unwrap();
    deliver(&mut store, &name, &layout).unwrap_err();
    let other = RunIdentity {
        seed: 43,
        ..identity()
    };
    write_part(&offered, &other, &layout, &part(&layout, 50..60, true)).unwrap();
    let error = deliver(&mut store, &name, &layout).unwrap_err();
    assert!(matches!(error, ResultsError::Foreign { .. }), "{error}");
    assert!(offered.exists());
    assert!(store.committed().eq([&info]));
    // What was on its way in is of no use to a successor.
    drop(store);
    let store = Store::open(dir.path(), &identity(), &layout).unwrap();
    assert!(store.committed().eq([&info]) && !offered.exists());
}

#[test]
fn parts_that_a_worker_could_not_announce_are_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    commit(dir.path(), &layout, &[(0, 50)], true);
    let put = |name: &str, range: Range<u64>| {
        let path = dir.path().join(Store::<Disk>::shared_name(name));
        write_part(&path, &identity(), &layout, &part(&layout, range, true)).unwrap();
        path
    };
    let finished = put("a.h5", 50..100);
    let overlapping = put("b.h5", 90..110);
    let torn = dir.path().join("shared/c.h5");
    fs::write(&torn, "half a part").unwrap();
    let store = Store::open(dir.path(), &identity(), &layout).unwrap();
    let ranges: Vec<_> = store.committed().map(|info| info.range.clone()).collect();
    assert_eq!(ranges, [0..50, 50..100]);
    assert!(!finished.exists() && overlapping.exists() && torn.exists());
}

#[test]
fn whoever_lost_the_store_commits_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let mut store = Store::open(dir.path(), &identity(), &layout).unwrap();
    assert_eq!(store.epoch(), 1);
    store.write_part(&part(&layout, 0..50, true)).unwrap();
    // On a file system without locks, a second process comes in.
    fs::write(dir.path().join("epoch"), "2 somebody else\n").unwrap();
    let error = store.write_part(&part(&layout, 50..60, true)).unwrap_err();
    assert!(matches!(error, ResultsError::Fenced { .. }), "{error}");
    assert!(error.to_string().contains("somebody else"), "{error}");
    let name = Store::<Disk>::incoming_name(&store.mark(), 1);
    let offered = dir.path().join(&name);
    write_part(&offered, &identity(), &layout, &part(&layout, 50..60, true)).unwrap();
    let error = deliver(&mut store, &name, &layout).unwrap_err();
    assert!(matches!(error, ResultsError::Fenced { .. }), "{error}");
    assert_eq!(store.committed().len(), 1);
    let mark = store.mark();
    drop(store);
    let store = Store::open(dir.path(), &identity(), &layout).unwrap();
    assert_eq!(store.epoch(), 3);
    // What the first one still receives must not end up in a file of the other one.
    let names = [mark, store.mark()].map(|mark| Store::<Disk>::incoming_name(&mark, 1));
    assert_ne!(names[0], names[1]);
}
