//! Valid parts, and how bytes turn them into others.

use std::fs;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::OnceLock;

use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, File, Group, H5Type, Location};
use reseed_results::{Attempt, HistogramAxis, INDEX_COLUMN, Layout, Part, RunIdentity, write_part};
use reseed_stats::{
    Accumulator, ArmRecord, Cause, ENDPOINTS, Exit, ExitKind, RecordColumn, RecordValues, Shape,
};

/// Length of the trailer that the file format describes.
const SEAL_LEN: usize = 16 + 8 + 32;

/// Puts a fresh seal behind the data of a file, as anybody can who knows the format.
pub(super) fn seal(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.extend(b"reseed seal 1\r\n\x1a");
    bytes.extend((data.len() as u64).to_le_bytes());
    bytes.extend(blake3::hash(data).as_bytes());
    bytes
}

/// Replaces bytes of a valid part: after the number of the part, each change is a place (three
/// bytes), a count and so many bytes. A count of 255 cuts the file there.
pub(super) fn patched(changes: &[u8]) -> Vec<u8> {
    let mut changes = Bytes(changes);
    let mut file = valid(changes.next()).to_vec();
    while !changes.0.is_empty() && !file.is_empty() {
        let place = [changes.next(), changes.next(), changes.next()];
        let at = place
            .iter()
            .fold(0, |at, byte| at << 8 | usize::from(*byte))
            % file.len();
        match changes.next() {
            255 => file.truncate(at),
            count => {
                for byte in file[at..].iter_mut().take(usize::from(count % 16) + 1) {
                    *byte = changes.next();
                }
            }
        }
    }
    file
}

/// Changes a valid part with the HDF5 library, at a path it may use.
///
/// # Errors
/// What the library refused.
pub(super) fn changed(path: &Path, changes: &[u8]) -> hdf5::Result<Vec<u8>> {
    let mut changes = Bytes(changes);
    fs::write(path, valid(changes.next())).expect("the file is written");
    let file = File::open_rw(path)?;
    while !changes.0.is_empty() {
        // A change that cannot be made, as to an object that is gone, leaves the others.
        let _ = change(&file, &mut changes);
    }
    file.close()?;
    Ok(fs::read(path).expect("the file that was closed"))
}

/// Objects of a part, by path; those of a table of patients only where there is one.
const OBJECTS: &[&str] = &[
    "trial",
    "arms",
    "strata",
    "exclusions",
    "time",
    "time/edges_days",
    "histograms",
    "histograms/size",
    "histograms/seeds",
    "tally",
    "tally/screened",
    "tally/excluded",
    "tally/enrolled",
    "tally/first_event",
    "tally/event",
    "tally/competing",
    "tally/censored",
    "tally/paired",
    "tally/delayed",
    "tally/delay",
    "tally/joint",
    "tally/origin",
    "tally/ticks",
    "tally/tumour",
    "tally/tumour/size",
    "tally/tumour/size/patients",
    "tally/tumour/seeds/patients",
    "patients",
    "patients/index",
    "patients/nodes",
    "patients/positive",
    "patients/distant_days",
];

/// Attributes of a part, of the file itself or of its objects.
const ATTRIBUTES: &[&str] = &[
    "format",
    "format_version",
    "engine_version",
    "model_version",
    "trial_fingerprint",
    "seed",
    "digest",
    "patients_screened",
    "range",
    "worker",
    "attempt",
    "seconds",
    "control",
    "radiotherapy",
    "order",
    "units",
    "long_name",
];

/// Lengths of axes that mean something to a reader: small ones, limits, and those that no memory
/// holds.
const LENGTHS: &[usize] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    255,
    1 << 16,
    (1 << 16) + 1,
    1 << 24,
    1 << 40,
    1 << 62,
];

/// Numbers that mean something to a reader.
const NUMBERS: &[u64] = &[
    0,
    1,
    2,
    3,
    40,
    u32::MAX as u64,
    1 << 53,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX,
];

/// Texts that mean something to a reader.
const WORDS: &[&str] = &[
    "",
    "size",
    "seeds",
    "index",
    "nodes",
    "arm",
    "reseed-part",
    "reseed-result",
];

/// Values that are created are at most this many.
const VALUES_MAX: usize = 1 << 12;

/// One change to a file.
fn change(file: &File, bytes: &mut Bytes<'_>) -> hdf5::Result<()> {
    let path = bytes.pick(OBJECTS);
    match bytes.next() % 8 {
        0 => set_cells(&file.dataset(path)?, bytes),
        1 => {
            file.unlink(path)?;
            create_dataset(file, path, bytes)
        }
        2 => set_attribute(file, bytes),
        3 => match file.group(path) {
            Ok(group) => set_attribute(&group, bytes),
            Err(_) => set_attribute(&*file.dataset(path)?, bytes),
        },
        4 => file.unlink(path),
        5 => {
            file.unlink(path)?;
            file.link_hard(bytes.pick(OBJECTS), path)
        }
        6 => {
            file.unlink(path)?;
            file.link_soft(bytes.pick(OBJECTS), path)
        }
        _ => {
            file.unlink(path)?;
            file.create_group(path).map(drop)
        }
    }
}

/// Changes a value of a dataset, where it is.
fn set_cells(dataset: &Dataset, bytes: &mut Bytes<'_>) -> hdf5::Result<()> {
    if dataset.size() > VALUES_MAX {
        return Ok(());
    }
    let descriptor = dataset.dtype()?.to_descriptor()?;
    if descriptor == u64::type_descriptor() {
        set_cell::<u64>(dataset, bytes)
    } else if descriptor == u32::type_descriptor() {
        set_cell::<u32>(dataset, bytes)
    } else if descriptor == u8::type_descriptor() {
        set_cell::<u8>(dataset, bytes)
    } else if descriptor == f64::type_descriptor() {
        set_cell::<f64>(dataset, bytes)
    } else {
        set_cell::<VarLenUnicode>(dataset, bytes)
    }
}

fn set_cell<T: FromBytes>(dataset: &Dataset, bytes: &mut Bytes<'_>) -> hdf5::Result<()> {
    let mut values: Vec<T> = dataset.read_raw()?;
    for _ in 0..=bytes.next() % 4 {
        let at = usize::from(bytes.next());
        if let Some(slot) = values.get_mut(at) {
            *slot = T::take(bytes);
        }
    }
    dataset.write_raw(&values)
}

/// Creates a dataset of any type and shape. Large ones are chunked and hold nothing.
fn create_dataset(group: &Group, name: &str, bytes: &mut Bytes<'_>) -> hdf5::Result<()> {
    match bytes.next() % 8 {
        0 => create::<u64>(group, name, bytes),
        1 => create::<u32>(group, name, bytes),
        2 => create::<u8>(group, name, bytes),
        3 => create::<f64>(group, name, bytes),
        4 => create::<VarLenUnicode>(group, name, bytes),
        5 => group
            .new_dataset_builder()
            .with_data(&text(bytes))
            .create(name)
            .map(drop),
        6 => create::<i64>(group, name, bytes),
        _ => create::<f32>(group, name, bytes),
    }
}

fn create<T: FromBytes>(group: &Group, name: &str, bytes: &mut Bytes<'_>) -> hdf5::Result<()> {
    let shape = bytes.shape();
    let Some(size) = size(&shape) else {
        return Ok(());
    };
    let builder = group.new_dataset::<T>();
    if size <= VALUES_MAX {
        let dataset = builder.shape(shape).create(name)?;
        return dataset.write_raw(&values::<T>(size, bytes));
    }
    let chunk: Vec<usize> = shape
        .iter()
        .map(|axis| bytes.pick(LENGTHS).clamp(1, (*axis).max(1)))
        .collect();
    let builder = if bytes.next().is_multiple_of(2) {
        builder.deflate(1)
    } else {
        builder
    };
    builder.chunk(chunk).shape(shape).create(name).map(drop)
}

/// Replaces or removes an attribute.
fn set_attribute(at: &Location, bytes: &mut Bytes<'_>) -> hdf5::Result<()> {
    let name = bytes.pick(ATTRIBUTES);
    let kind = bytes.next() % 8;
    if at.attr(name).is_ok() {
        at.delete_attr(name)?;
    }
    match kind {
        0 => create_attribute::<u64>(at, name, bytes),
        1 => create_attribute::<u32>(at, name, bytes),
        2 => create_attribute::<u8>(at, name, bytes),
        3 => create_attribute::<f64>(at, name, bytes),
        4 => create_attribute::<VarLenUnicode>(at, name, bytes),
        5 => at
            .new_attr_builder()
            .with_data(&text(bytes))
            .create(name)
            .map(drop),
        6 => create_attribute::<i64>(at, name, bytes),
        _ => Ok(()),
    }
}

fn create_attribute<T: FromBytes>(
    at: &Location,
    name: &str,
    bytes: &mut Bytes<'_>,
) -> hdf5::Result<()> {
    let shape = bytes.shape();
    let Some(size) = size(&shape).filter(|size| *size <= VALUES_MAX) else {
        return Ok(());
    };
    let attribute = at.new_attr::<T>().shape(shape).create(name)?;
    attribute.write_raw(&values::<T>(size, bytes))
}

/// Number of values, if a number can say it.
fn size(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1, |size: usize, axis| size.checked_mul(*axis))
}

fn values<T: FromBytes>(size: usize, bytes: &mut Bytes<'_>) -> Vec<T> {
    (0..size).map(|_| T::take(bytes)).collect()
}

/// Bytes that say what to do; zeros follow when they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.next()) % from.len()]
    }

    /// Scalar, or up to five axes.
    fn shape(&mut self) -> Vec<usize> {
        let axes = self.next() % 6;
        (0..axes).map(|_| self.pick(LENGTHS)).collect()
    }
}

/// A value of a dataset or attribute, made of bytes.
trait FromBytes: H5Type {
    fn take(bytes: &mut Bytes<'_>) -> Self;
}

impl FromBytes for u64 {
    fn take(bytes: &mut Bytes<'_>) -> Self {
        match bytes.next() {
            small @ 0..128 => Self::from(small),
            other => NUMBERS[usize::from(other) % NUMBERS.len()],
        }
    }
}

impl FromBytes for u32 {
    fn take(bytes: &mut Bytes<'_>) -> Self {
        Self::from(bytes.next())
    }
}

impl FromBytes for u8 {
    fn take(bytes: &mut Bytes<'_>) -> Self {
        bytes.next()
    }
}

impl FromBytes for i64 {
    fn take(bytes: &mut Bytes<'_>) -> Self {
        Self::from(bytes.next())
    }
}

impl FromBytes for f32 {
    fn take(bytes: &mut Bytes<'_>) -> Self {
        Self::from(bytes.next())
    }
}

impl FromBytes for f64 {
    fn take(bytes: &mut Bytes<'_>) -> Self {
        const RARE: [f64; 6] = [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 0.5];
        match bytes.next() {
            small @ 0..128 => Self::from(small),
            other => RARE[usize::from(other) % RARE.len()],
        }
    }
}

/// A word of the format, or whatever text the bytes are.
impl FromBytes for VarLenUnicode {
    fn take(bytes: &mut Bytes<'_>) -> Self {
        Self::from_str(&word(bytes)).expect("a text without a null character")
    }
}

fn word(bytes: &mut Bytes<'_>) -> String {
    let length = usize::from(bytes.next());
    if let Some(word) = WORDS.get(length) {
        return (*word).to_owned();
    }
    let letters: Vec<u8> = (0..length % 64).map(|_| bytes.next().max(1)).collect();
    String::from_utf8_lossy(&letters).into_owned()
}

/// Texts as parts keep them; the last one may lack its end.
fn text(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let count = bytes.next() % 4;
    let mut text = Vec::new();
    for _ in 0..count {
        text.extend(word(bytes).bytes());
        text.push(0);
    }
    if bytes.next() > 250 {
        text.pop();
    }
    text
}

/// HDF5 data of one of a few valid parts.
fn valid(number: u8) -> &'static [u8] {
    static PARTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let parts = PARTS.get_or_init(|| {
        [
            (1, 1, 1, false),
            (2, 2, 3, true),
            (1, 3, 2, true),
            (3, 2, 1, false),
        ]
        .map(|(strata, arms, bins, records)| write(strata, arms, bins, records))
        .to_vec()
    });
    &parts[usize::from(number) % parts.len()]
}

/// The HDF5 data of a part with these axes, with or without a table of patients.
fn write(strata: usize, arms: usize, bins: usize, records: bool) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("part.h5");
    let layout = layout(strata, arms, bins);
    write_part(&path, &identity(), &layout, &part(&layout, records)).expect("a valid part");
    let mut bytes = fs::read(&path).expect("the file that was written");
    bytes.truncate(bytes.len() - SEAL_LEN);
    bytes
}

fn identity() -> RunIdentity {
    RunIdentity {
        trial_toml: "name = \"made up\"\n".into(),
        fingerprint: [7; 32],
        seed: 42,
        engine_version: "0.1.0".into(),
        model_version: "1".into(),
    }
}

fn layout(strata: usize, arms: usize, bins: usize) -> Layout {
    let labels = |what: &str, count| (0..count).map(|at| format!("{what} {at}")).collect();
    Layout {
        shape: Shape {
            strata,
            arms,
            control: 0,
            bins,
            reasons: 1,
            histograms: vec![("size".into(), 2), ("seeds".into(), 1)],
        },
        arms: labels("arm", arms),
        radiotherapy: vec![false; arms],
        strata: labels("stratum", strata),
        exclusions: labels("reason", 1),
        edges_days: (0..=bins).map(|bin| bin as f64 * 30.4375).collect(),
        histograms: vec![
            HistogramAxis {
                unit: "mm".into(),
                edges: vec![0.0, 10.0, f64::INFINITY],
            },
            HistogramAxis {
                unit: "1".into(),
                edges: vec![0.0, 1e6],
            },
        ],
    }
}

/// Forty patients, of whom every fourth is excluded.
fn part(layout: &Layout, records: bool) -> Part {
    const PATIENTS: u64 = 40;
    let shape = &layout.shape;
    let mut accumulator = Accumulator::new(shape.clone());
    let mut enrolled = Vec::new();
    for index in 0..PATIENTS {
        if index % 4 == 0 {
            accumulator.exclude(0);
            continue;
        }
        let at = usize::try_from(index).expect("a small number");
        let others = (1..shape.arms).map(|arm| (arm, record(at + arm, shape.bins)));
        let bins = [at % 2, 0];
        accumulator.enrol(at % shape.strata, &bins, &record(at, shape.bins), others);
        enrolled.push(index);
    }
    Part {
        range: 0..PATIENTS,
        tally: accumulator.finish(),
        records: if records {
            columns(&enrolled, shape.arms)
        } else {
            Vec::new()
        },
        blocks: if records { blocks(3) } else { Vec::new() },
        attempt: Attempt {
            worker: "worker".into(),
            number: 1,
            seconds: 0.5,
        },
    }
}

fn blocks(rows: u64) -> Vec<RecordColumn> {
    let column = |name: &str, width, values| RecordColumn {
        name: name.into(),
        unit: "1".into(),
        description: "a column of blocks".into(),
        width,
        values,
    };
    let values = (0..2 * rows).map(|value| value as f64).collect();
    vec![
        column("index", 1, RecordValues::U64((0..rows).collect())),
        column("difference", 2, RecordValues::F64(values)),
    ]
}

fn record(at: usize, bins: usize) -> ArmRecord {
    let bin = u16::try_from(at % bins).expect("a small number");
    let kind = [ExitKind::Event, ExitKind::Competing, ExitKind::Censored][at % 3];
    ArmRecord {
        first: (Cause::ALL[at % 5], bin),
        exits: [Exit {
            kind,
            bin,
            ticks: at as u64,
        }; ENDPOINTS],
        origin: (kind == ExitKind::Event).then_some(0),
    }
}

fn columns(enrolled: &[u64], arms: usize) -> Vec<RecordColumn> {
    let column = |name: &str, width, values| RecordColumn {
        name: name.into(),
        unit: "1".into(),
        description: format!("{name} of the patient"),
        width,
        values,
    };
    let rows = enrolled.len();
    vec![
        column(INDEX_COLUMN, 1, RecordValues::U64(enrolled.to_vec())),
        column("nodes", 1, RecordValues::U32(vec![3; rows])),
        column("positive", 1, RecordValues::U8(vec![1; rows])),
        column(
            "distant_days",
            arms,
            RecordValues::F64(vec![9.5; rows * arms]),
        ),
    ]
}
