//! Other programs read results: h5py, netCDF4, and xarray with both of its HDF5 engines. What
//! they must find is computed here anew, from the tallies.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use reseed_results::{Digest, Layout, ResultFile, write_result};
use reseed_stats::estimate::{cause_incidence, contrast, reseeded_share, survival};
use reseed_stats::{Cause, Contrast, Endpoint, Estimate, RecordValues, Tally};
use serde_json::{Map, Value, json};

use crate::common::{commit, identity, layout, part};

#[test]
fn python_reads_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(3, 4, 24);
    let parts = commit(
        &dir.path().join("store"),
        &layout,
        &[(0, 700), (900, 2000)],
        true,
    );
    let path = dir.path().join("result.h5");
    let file = write_result(&path, &parts, "0.1.0", &[]).unwrap();
    let expected = dir.path().join("expected.json");
    fs::write(&expected, expectation(&file).to_string()).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new("python3")
        .arg(root.join("tests/python/test_result.py"))
        .args([&path, &expected])
        .env("PYTHONPATH", python_path(&root))
        .output()
        .expect("python3");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    // Guards against a run that finds no tests.
    assert!(
        text.contains("Ran 11 tests") && text.trim_end().ends_with("OK"),
        "{text}"
    );
}

/// The folder of tests/python/requirements.txt, and whatever is set.
fn python_path(root: &Path) -> std::ffi::OsString {
    let own = root.join("target/python-tools");
    let set = env::var_os("PYTHONPATH").unwrap_or_default();
    env::join_paths([own].into_iter().chain(env::split_paths(&set))).unwrap()
}

fn expectation(file: &ResultFile) -> Value {
    let ranges = |ranges: &mut dyn Iterator<Item = &std::ops::Range<u64>>| -> Vec<[u64; 2]> {
        ranges.map(|range| [range.start, range.end]).collect()
    };
    json!({
        "attributes": {
            "format": "reseed-result",
            "format_version": 2,
            "engine_version": "0.1.0",
            "model_version": "1",
            "trial_fingerprint": fingerprint(),
            "seed": 42,
            "digest": file.digest.to_string(),
            "patients_screened": 1800,
        },
        "trial": identity().trial_toml,
        "arms": file.layout.arms,
        "control": file.layout.shape.control,
        "strata": file.layout.strata,
        "edges_days": file.layout.edges_days,
        "ranges": ranges(&mut file.ranges.iter()),
        "shards": ranges(&mut file.shards.iter().map(|shard| &shard.range)),
        "tallies": tallies(&file.tally),
        "estimates": estimates(&file.tally, &file.layout),
        "records": records(&file.layout),
    })
}

fn fingerprint() -> String {
    Digest(identity().fingerprint).to_string()
}

fn tallies(tally: &Tally) -> Map<String, Value> {
    let item = |table: reseed_stats::Table<'_>| {
        let (name, axes, shape) = match table.name.as_str() {
            "screened" => (table.name, vec![], vec![]),
            "origin" => {
                let axes = vec!["stratum", "arm", "founder", "bin"];
                (table.name, axes, table.shape)
            }
            name if name.starts_with("tumour/") => {
                (format!("{name}/patients"), table.axes, table.shape)
            }
            _ => (table.name, table.axes, table.shape),
        };
        let item = json!({"axes": axes, "shape": shape, "values": table.values});
        (name, item)
    };
    tally.tables().into_iter().map(item).collect()
}

const EVENTS: [Cause; 4] = [
    Cause::LocalResidual,
    Cause::LocalReseeded,
    Cause::Distant,
    Cause::OtherDeath,
];

/// A name and how to get its value.
type Of<T> = (&'static str, fn(&T) -> f64);
/// Value of strata, arm, endpoint or cause, and bin.
type Cell<'a> = dyn Fn(&[usize], usize, usize, usize) -> f64 + 'a;

/// All estimates, one number after the other.
fn estimates(tally: &Tally, layout: &Layout) -> Map<String, Value> {
    let shape = &layout.shape;
    let mut strata: Vec<Vec<usize>> = vec![(0..shape.strata).collect()];
    strata.extend((0..shape.strata).map(|stratum| vec![stratum]));
    let each = |middle: usize, value: &Cell| {
        let mut values = Vec::new();
        for group in &strata {
            for arm in 0..shape.arms {
                for at in 0..middle {
                    for bin in 0..shape.bins {
                        values.push(value(group, arm, at, bin));
                    }
                }
            }
        }
        values
    };
    let mut found = Map::new();
    let mut add = |name: &str, axis: Option<(&str, usize)>, values: Vec<f64>| {
        let (mut axes, mut lengths) = (vec!["stratum", "arm"], vec![strata.len(), shape.arms]);
        if let Some((name, length)) = axis {
            axes.push(name);
            lengths.push(length);
        }
        axes.push("time");
        lengths.push(shape.bins);
        let values = numbers(&values);
        let item = json!({"axes": axes, "shape": lengths, "values": values});
        found.insert(name.to_owned(), item);
    };
    let endpoint = Some(("endpoint", 4));
    let of_contrast = |arm_only: bool, field: &dyn Fn(&Contrast) -> f64| {
        each(4, &|group, arm, at, bin| {
            if arm_only && arm == shape.control {
                return f64::NAN;
            }
            field(&contrast(tally, group, arm, Endpoint::ALL[at], bin))
        })
    };
    let both: [Of<Estimate>; 2] = [
        ("", |estimate| estimate.value),
        ("_standard_error", |estimate| estimate.standard_error),
    ];
    for (suffix, of) in both {
        let name = |name: &str| format!("{name}{suffix}");
        let values = of_contrast(false, &|contrast| of(&contrast.arm));
        add(&name("cumulative_incidence"), endpoint, values);
        let values = of_contrast(true, &|contrast| of(&contrast.difference));
        add(&name("difference"), endpoint, values);
        let values = each(4, &|group, arm, at, bin| {
            of(&cause_incidence(tally, group, arm, EVENTS[at])[bin])
        });
        add(&name("cause_incidence"), Some(("cause", 4)), values);
        let survives = |endpoint| {
            each(1, &|group, arm, _, bin| {
                of(&survival(tally, group, arm, endpoint)[bin])
            })
        };
        add(
            &name("recurrence_free_survival"),
            None,
            survives(Endpoint::Rfs),
        );
        add(&name("overall_survival"), None, survives(Endpoint::Death));
        let values = each(1, &|group, arm, _, bin| {
            of(&reseeded_share(tally, group, arm, bin))
        });
        add(&name("reseeded_share"), None, values);
    }
    let limits: [Of<Contrast>; 5] = [
        ("difference_lower", |c| c.difference_interval.0),
        ("difference_upper", |c| c.difference_interval.1),
        ("ratio", |c| c.ratio),
        ("ratio_lower", |c| c.ratio_interval.0),
        ("ratio_upper", |c| c.ratio_interval.1),
    ];
    for (name, field) in limits {
        add(name, endpoint, of_contrast(true, &field));
    }
    found
}

fn records(layout: &Layout) -> Map<String, Value> {
    let parts = [part(layout, 0..700, true), part(layout, 900..2000, true)];
    let [first, second] = parts.map(|part| part.records);
    let floats = |values: &RecordValues| -> Vec<f64> {
        match values {
            RecordValues::U64(values) => values.iter().map(|value| *value as f64).collect(),
            RecordValues::U32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            RecordValues::U8(values) => values.iter().map(|value| f64::from(*value)).collect(),
            RecordValues::F64(values) => values.clone(),
        }
    };
    first
        .iter()
        .zip(&second)
        .map(|(first, second)| {
            let values = [floats(&first.values), floats(&second.values)].concat();
            let rows = values.len() / first.width;
            let shape = if first.width == 1 {
                vec![rows]
            } else {
                vec![rows, first.width]
            };
            let item = json!({"shape": shape, "units": first.unit, "values": numbers(&values)});
            (first.name.clone(), item)
        })
        .collect()
}

/// Numbers for JSON, which has no infinity: as texts where it has to be.
fn numbers(values: &[f64]) -> Vec<Value> {
    values
        .iter()
        .map(|value| {
            if value.is_finite() {
                json!(value)
            } else {
                json!(value.to_string())
            }
        })
        .collect()
}
