//! Runs that were never simulated, for tests of files.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use reseed_results::{Attempt, HistogramAxis, Layout, Part, RunIdentity, Store};
use reseed_stats::{
    Accumulator, ArmRecord, Cause, ENDPOINTS, Exit, ExitKind, RecordColumn, RecordValues, Shape,
    Tally,
};

pub(crate) fn identity() -> RunIdentity {
    RunIdentity {
        trial_toml: "name = \"made up\"\n# µ, ≤ and other letters\n".into(),
        fingerprint: std::array::from_fn(|at| u8::try_from(at).unwrap() * 7),
        seed: 42,
        engine_version: "0.1.0".into(),
        model_version: "1".into(),
    }
}

pub(crate) fn layout(strata: usize, arms: usize, bins: usize) -> Layout {
    let labels = |what: &str, count| (0..count).map(|at| format!("{what} {at}")).collect();
    Layout {
        shape: Shape {
            strata,
            arms,
            control: arms - 1,
            bins,
            reasons: 3,
            histograms: vec![("size".into(), 4), ("seeds".into(), 2)],
        },
        arms: labels("arm", arms),
        radiotherapy: (0..arms).map(|arm| arm % 2 == 0).collect(),
        strata: labels("stratum", strata),
        exclusions: labels("reason", 3),
        edges_days: (0..=bins).map(|bin| bin as f64 * 30.4375).collect(),
        histograms: vec![
            HistogramAxis {
                unit: "mm".into(),
                edges: vec![0.0, 1.0, 10.0, 20.0, f64::INFINITY],
            },
            HistogramAxis {
                unit: "1".into(),
                edges: vec![0.0, 1.0, 1e6],
            },
        ],
    }
}

/// A small generator (`SplitMix64`, Steele, Lea and Flood 2014): any numbers will do here.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap() % limit
    }
}

/// The patient's course is a function of its index, as in a real run.
pub(crate) fn part(layout: &Layout, range: Range<u64>, records: bool) -> Part {
    let mut accumulator = Accumulator::new(layout.shape.clone());
    let mut enrolled = Vec::new();
    for index in range.clone() {
        let mut numbers = Numbers(index.wrapping_mul(977));
        if numbers.below(5) == 0 {
            accumulator.exclude(numbers.below(layout.shape.reasons));
            continue;
        }
        let base = record(&mut numbers, layout);
        let mut others: Vec<(usize, ArmRecord)> = Vec::new();
        for arm in 0..layout.shape.arms {
            let differs = arm != layout.shape.control && numbers.below(3) == 0;
            let other = record(&mut numbers, layout);
            if differs {
                others.push((arm, other));
            }
        }
        let bins: Vec<usize> = layout
            .shape
            .histograms
            .iter()
            .map(|(_, bins)| numbers.below(*bins))
            .collect();
        accumulator.enrol(numbers.below(layout.shape.strata), &bins, &base, others);
        enrolled.push(index);
    }
    Part {
        tally: accumulator.finish(),
        records: if records {
            columns(layout, &enrolled)
        } else {
            Vec::new()
        },
        blocks: if records { blocks(&range) } else { Vec::new() },
        attempt: Attempt {
            worker: format!("worker {}", range.start % 3),
            number: 1,
            seconds: range.start as f64 / 8.0,
        },
        range,
    }
}

fn record(numbers: &mut Numbers, layout: &Layout) -> ArmRecord {
    let bin = |numbers: &mut Numbers| u16::try_from(numbers.below(layout.shape.bins)).unwrap();
    let kinds = [ExitKind::Event, ExitKind::Competing, ExitKind::Censored];
    let exits: [Exit; ENDPOINTS] = std::array::from_fn(|_| {
        let bin = bin(numbers);
        Exit {
            kind: kinds[numbers.below(3)],
            bin,
            ticks: u64::from(bin) * 1000 + numbers.below(1000) as u64,
        }
    });
    let local = exits[0].kind == ExitKind::Event;
    ArmRecord {
        first: (Cause::ALL[numbers.below(5)], bin(numbers)),
        exits,
        origin: local.then(|| u8::try_from(numbers.below(4)).unwrap()),
    }
}

/// A block begins with every tenth patient.
fn blocks(range: &Range<u64>) -> Vec<RecordColumn> {
    let index: Vec<u64> = range.clone().filter(|patient| patient % 10 == 0).collect();
    let values = index.iter().flat_map(|patient| {
        let value = *patient as f64;
        [value, value.sqrt(), f64::NAN]
    });
    let values = RecordValues::F64(values.collect());
    let column = |name: &str, width, values| RecordColumn {
        name: name.into(),
        unit: "1".into(),
        description: format!("{name} of the block"),
        width,
        values,
    };
    vec![
        column("estimate", 3, values),
        column("index", 1, RecordValues::U64(index)),
    ]
}

fn columns(layout: &Layout, enrolled: &[u64]) -> Vec<RecordColumn> {
    let arms = layout.shape.arms;
    let column = |name: &str, unit: &str, width, values| RecordColumn {
        name: name.into(),
        unit: unit.into(),
        description: format!("{name} of the patient"),
        width,
        values,
    };
    let times = enrolled.iter().flat_map(|index| {
        (0..arms).map(move |arm| match index % 7 {
            0 => f64::INFINITY,
            // Digits that do not compress, so that large parts are large.
            _ => Numbers(index * 64 + arm as u64).below(1 << 31) as f64 / 7.0,
        })
    });
    let small = |index: &u64| u32::try_from(index % 9).unwrap();
    vec![
        column("index", "1", 1, RecordValues::U64(enrolled.to_vec())),
        column(
            "nodes",
            "1",
            1,
            RecordValues::U32(enrolled.iter().map(small).collect()),
        ),
        column(
            "positive",
            "1",
            1,
            RecordValues::U8(
                enrolled
                    .iter()
                    .map(|index| u8::from(index % 4 == 0))
                    .collect(),
            ),
        ),
        column(
            "distant_days",
            "day",
            arms,
            RecordValues::F64(times.collect()),
        ),
    ]
}

pub(crate) fn sum(layout: &Layout, parts: &[Part]) -> Tally {
    let mut tally = Tally::empty(layout.shape.clone());
    for part in parts {
        tally.merge(&part.tally).unwrap();
    }
    tally
}

/// Commits parts of these ranges to a store and returns their files.
pub(crate) fn commit(
    dir: &Path,
    layout: &Layout,
    ranges: &[(u64, u64)],
    records: bool,
) -> Vec<PathBuf> {
    let mut store = Store::open(dir, &identity(), layout).unwrap();
    for (start, end) in ranges {
        store
            .write_part(&part(layout, *start..*end, records))
            .unwrap();
    }
    let committed = store.committed();
    committed.map(|info| info.path.clone()).collect()
}

/// Length of the trailer that the file format describes.
pub(crate) const SEAL: usize = 16 + 8 + 32;

/// Seals bytes anew, as somebody might who means harm. Written from the description of the file
/// format, so that it checks that too.
pub(crate) fn seal(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.extend(b"reseed seal 1\r\n\x1a");
    bytes.extend((data.len() as u64).to_le_bytes());
    bytes.extend(blake3::hash(data).as_bytes());
    bytes
}

/// Opens a file that is not in use. A process that another test starts has a copy of every open
/// file, and of its lock, until its program begins; so what was just closed may be locked for a
/// moment.
fn open_rw(path: &Path) -> hdf5::File {
    let mut tries = 0;
    loop {
        match hdf5::File::open_rw(path) {
            Ok(file) => return file,
            Err(error) => assert!(tries < 500, "{error}"),
        }
        tries += 1;
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Changes a sealed file with the HDF5 library and seals it anew.
pub(crate) fn tamper(path: &Path, change: impl FnOnce(&hdf5::File)) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - SEAL]).unwrap();
    let file = open_rw(path);
    change(&file);
    file.close().unwrap();
    fs::write(path, seal(&fs::read(path).unwrap())).unwrap();
}

/// Names in a folder, hidden ones too.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
