//! Files that are in order, but not what was asked for.

use std::fs;
use std::path::{Path, PathBuf};

use hdf5::types::VarLenUnicode;
use reseed_results::{
    FORMAT_VERSION, Part, ResultsError, RunIdentity, read_part, read_part_of, read_records,
    read_result, write_part, write_result,
};

use crate::common::{commit, identity, layout, names, part, tamper};

/// A part with another identity or number of arms.
fn write(path: PathBuf, identity: &RunIdentity, arms: usize) -> PathBuf {
    let layout = layout(2, arms, 6);
    write_part(&path, identity, &layout, &part(&layout, 100..150, false)).unwrap();
    path
}

fn problem_of_merging(dir: &Path, other: &RunIdentity, arms: usize) -> String {
    let own = commit(&dir.join("store"), &layout(2, 3, 6), &[(0, 100)], false);
    let sources = [own[0].clone(), write(dir.join("other.h5"), other, arms)];
    let out = dir.join("out.h5");
    let error = write_result(&out, &sources, "1", &[]).unwrap_err();
    assert!(!out.exists());
    assert!(matches!(error, ResultsError::Foreign { .. }), "{error}");
    error.to_string()
}

#[test]
fn other_runs_do_not_merge() {
    let dir = tempfile::tempdir().unwrap();
    let own = identity();
    let other = |change: fn(&mut RunIdentity)| {
        let mut other = own.clone();
        change(&mut other);
        problem_of_merging(dir.path(), &other, 3)
    };
    assert!(other(|run| run.seed = 1).contains("its seed is 1, the run's 42"));
    assert!(other(|run| run.fingerprint[0] = 99).contains("different trials"));
    assert!(other(|run| run.trial_toml.push('#')).contains("different trials"));
    assert!(other(|run| run.model_version = "2".into()).contains("model version 2"));
    assert!(problem_of_merging(dir.path(), &own, 4).contains("other axes"));
    // The program's version makes no difference by itself.
    let newer = RunIdentity {
        engine_version: "7".into(),
        ..own
    };
    let sources = commit(
        &dir.path().join("store"),
        &layout(2, 3, 6),
        &[(0, 100)],
        false,
    );
    let other = write(dir.path().join("other.h5"), &newer, 3);
    write_result(
        &dir.path().join("out.h5"),
        &[sources[0].clone(), other],
        "1",
        &[],
    )
    .unwrap();
}

#[test]
fn records_and_none_do_not_merge() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let with = commit(&dir.path().join("with"), &layout, &[(0, 100)], true);
    let without = commit(&dir.path().join("without"), &layout, &[(100, 200)], false);
    let sources = [with[0].clone(), without[0].clone()];
    let error = write_result(&dir.path().join("out.h5"), &sources, "1", &[]).unwrap_err();
    assert!(error.to_string().contains("other columns"), "{error}");
}

#[test]
fn a_patient_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let one = commit(
        &dir.path().join("one"),
        &layout,
        &[(0, 100), (200, 300)],
        false,
    );
    let two = commit(&dir.path().join("two"), &layout, &[(290, 310)], false);
    let out = dir.path().join("out.h5");
    let sources = [two[0].clone(), one[1].clone(), one[0].clone()];
    let error = write_result(&out, &sources, "1", &[]).unwrap_err();
    let ResultsError::Overlap {
        range,
        first,
        second,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((range, &first, &second), (290..300, &one[1], &two[0]));
    let twice = [one[0].clone(), one[0].clone()];
    let error = write_result(&out, &twice, "1", &[]).unwrap_err();
    assert!(
        error.to_string().contains("patients 0 to 99 are in"),
        "{error}"
    );
    assert!(!out.exists());
}

#[test]
fn nothing_makes_no_result() {
    let dir = tempfile::tempdir().unwrap();
    let error = write_result(&dir.path().join("out.h5"), &[], "1", &[]).unwrap_err();
    assert!(error.to_string().contains("at least one part"), "{error}");
}

/// What every reader says to files of another format version.
fn errors_of_version(version: u32) -> [ResultsError; 4] {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let parts = commit(dir.path(), &layout, &[(0, 100)], true);
    let result = dir.path().join("result.h5");
    write_result(&result, &parts, "1", &[]).unwrap();
    for path in [&parts[0], &result] {
        tamper(path, |file| {
            let attribute = file.attr("format_version").unwrap();
            attribute.write_scalar(&version).unwrap();
        });
    }
    [
        read_part(&parts[0]).unwrap_err(),
        read_records(&parts[0], None).unwrap_err(),
        read_result(&result).unwrap_err(),
        write_result(&dir.path().join("out.h5"), &parts, "1", &[]).unwrap_err(),
    ]
}

#[test]
fn newer_formats_are_refused() {
    for error in errors_of_version(FORMAT_VERSION + 1) {
        assert!(matches!(error, ResultsError::Newer { .. }), "{error}");
        assert!(error.to_string().contains("use a newer reseed"), "{error}");
    }
}

#[test]
fn older_formats_are_refused() {
    for error in errors_of_version(1) {
        assert!(
            matches!(error, ResultsError::Older { found: 1, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("compute it again"), "{error}");
    }
}

#[test]
fn other_kinds_of_file_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 6);
    let parts = commit(dir.path(), &layout, &[(0, 100)], false);
    let result = dir.path().join("result.h5");
    write_result(&result, &parts, "1", &[]).unwrap();
    let said = |path: &Path| read_result(path).unwrap_err().to_string();
    assert!(said(&parts[0]).contains("is not a result of a reseed run: it looks like a part"));
    let error = read_part(&result).unwrap_err().to_string();
    assert!(error.contains("is not a part of a reseed run: it looks like a result"));
    let text = dir.path().join("text.h5");
    for content in ["", "not HDF5 at all"] {
        fs::write(&text, content).unwrap();
        assert!(said(&text).contains("does not start like an HDF5 file"));
    }
    let other = dir.path().join("other.h5");
    hdf5::File::create(&other).unwrap().close().unwrap();
    assert!(said(&other).contains("no seal"));
    fs::write(&other, crate::common::seal(&fs::read(&other).unwrap())).unwrap();
    assert!(said(&other).contains("it has no attribute format"));
    tamper(&result, |file| {
        let format = file.attr("format").unwrap();
        let other: VarLenUnicode = "reseed-dream".parse().unwrap();
        format.write_scalar(&other).unwrap();
    });
    assert!(said(&result).contains("its format is \"reseed-dream\""));
    let missing = dir.path().join("missing.h5");
    assert!(said(&missing).contains("check the path"));
    assert!(said(dir.path()).contains("cannot read"), "a folder");
}

#[test]
fn contents_that_do_not_fit_are_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("part.h5");
    let layout = layout(2, 3, 6);
    let good = part(&layout, 0..100, true);
    let refuse = |layout: &reseed_results::Layout, part: &Part, expected: &str| {
        let error = write_part(&path, &identity(), layout, part).unwrap_err();
        assert!(matches!(error, ResultsError::Contents(_)), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(names(dir.path()).is_empty());
    };
    let changed = |change: fn(&mut Part)| {
        let mut part = good.clone();
        change(&mut part);
        part
    };
    refuse(
        &layout,
        &changed(|part| part.range = 0..99),
        "100 patients screened",
    );
    refuse(
        &layout,
        &changed(|part| part.records[1].name = "index".into()),
        "same name",
    );
    refuse(
        &layout,
        &changed(|part| part.records[1].name = "arm".into()),
        "cannot name",
    );
    refuse(
        &layout,
        &changed(|part| part.records[1].name = "a/b".into()),
        "cannot name",
    );
    refuse(
        &layout,
        &changed(|part| part.records[1].width = 2),
        "1 or one per arm",
    );
    refuse(
        &layout,
        &changed(|part| part.records[3].width = 1),
        "number of rows",
    );
    refuse(
        &layout,
        &changed(|part| drop(part.records.remove(0))),
        "column index",
    );
    let mut other = layout.clone();
    other.arms.pop();
    refuse(&other, &good, "2 arms for an axis of 3");
    let mut other = layout.clone();
    other.edges_days[2] = 0.0;
    refuse(&other, &good, "edges of time do not increase");
    let mut other = layout.clone();
    other.shape.control = 3;
    refuse(&other, &good, "control 3 of 3 arms");
    let mut other = layout;
    other.strata[0].push('\0');
    refuse(&other, &good, "null character");
}

#[test]
fn a_part_of_another_run_is_refused_before_its_tally_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path().join("part.h5"), &identity(), 3);
    tamper(&path, |file| file.unlink("tally").unwrap());
    let other = RunIdentity {
        seed: 1,
        ..identity()
    };
    let error = read_part_of(&path, &other, &layout(2, 3, 6)).unwrap_err();
    assert!(matches!(error, ResultsError::Foreign { .. }), "{error}");
    let error = read_part_of(&path, &identity(), &layout(2, 4, 6)).unwrap_err();
    assert!(matches!(error, ResultsError::Foreign { .. }), "{error}");
    let error = read_part_of(&path, &identity(), &layout(2, 3, 6)).unwrap_err();
    assert!(matches!(error, ResultsError::Damaged { .. }), "{error}");
}
