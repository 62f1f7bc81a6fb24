//! The few shapes of HDF5 objects that the files use, written and read with checks.

use std::path::Path;
use std::str::FromStr;

use hdf5::filters::Filter;
use hdf5::plist::dataset_create::Layout as Storage;
use hdf5::types::VarLenUnicode;
use hdf5::{Container, Dataset, Group, H5Type, LinkType, Location};
use ndarray::{Array1, ArrayViewD, IxDyn, s};
use reseed_stats::TallyError;

use crate::error::ResultsError;

/// What can go wrong inside a file, before its path is known.
#[derive(Debug)]
pub(crate) enum Fault {
    Hdf5(hdf5::Error),
    /// A whole error, from a second file that is read at the same time.
    Other(ResultsError),
    Problem(String),
}

impl From<hdf5::Error> for Fault {
    fn from(error: hdf5::Error) -> Self {
        Self::Hdf5(error)
    }
}

impl From<ResultsError> for Fault {
    fn from(error: ResultsError) -> Self {
        Self::Other(error)
    }
}

impl From<TallyError> for Fault {
    fn from(error: TallyError) -> Self {
        Self::Problem(error.to_string())
    }
}

impl From<String> for Fault {
    fn from(problem: String) -> Self {
        Self::Problem(problem)
    }
}

impl Fault {
    pub(crate) fn writing(self, path: &Path) -> ResultsError {
        match self {
            Self::Hdf5(error) => ResultsError::hdf5("write", path, &error),
            Self::Other(error) => error,
            Self::Problem(problem) => ResultsError::Contents(problem),
        }
    }

    pub(crate) fn reading(self, path: &Path) -> ResultsError {
        match self {
            Self::Hdf5(error) => match ResultsError::hdf5("read", path, &error) {
                ResultsError::Hdf5 { problem, .. } => ResultsError::damaged(path, problem),
                other => other,
            },
            Self::Other(error) => error,
            Self::Problem(problem) => ResultsError::damaged(path, problem),
        }
    }
}

/// Fails with a sentence unless the condition holds.
pub(crate) fn ensure(condition: bool, problem: impl FnOnce() -> String) -> Result<(), Fault> {
    if condition {
        Ok(())
    } else {
        Err(Fault::Problem(problem()))
    }
}

/// Largest chunk that is read, bytes; larger ones than are written here.
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// Fewest values that a chunk has on average, unless one has all: HDF5 keeps books about every chunk
/// that it reads.
const CHUNK_VALUES_MIN: usize = 1024;

/// Texts that are read at once.
const TEXTS_AT_ONCE: usize = 256;
/// Longest text of a list on average, bytes, and how much more the list may have.
const TEXT_BYTES_MAX: usize = 256;
const TEXTS_BYTES_MORE: usize = 16 << 20;

/// Version of the HDF5 library in this program.
pub fn hdf5_version() -> String {
    let (major, minor, release) = hdf5::library_version();
    format!("{major}.{minor}.{release}")
}

/// Opens a file for reading. No locks: files are never changed once they have their name, and
/// some network file systems have none.
pub(crate) fn open(path: &Path) -> Result<hdf5::File, Fault> {
    let file = hdf5::File::with_options()
        .with_fapl(|fapl| fapl.file_locking(false))
        .open(path)?;
    check_links(&file)?;
    Ok(file)
}

/// Opens a group for reading.
pub(crate) fn open_group(parent: &Group, name: &str) -> Result<Group, Fault> {
    check_name(name)?;
    let group = parent.group(name)?;
    check_links(&group)?;
    Ok(group)
}

/// Opens a dataset for reading, if it is stored as this program stores one: in the file itself,
/// in pieces that fit into memory, compressed by nothing unusual. HDF5 would as well read any
/// other file of the machine that the dataset names, or hold a chunk of gigabytes in memory.
pub(crate) fn open_dataset(group: &Group, name: &str) -> Result<Dataset, Fault> {
    check_name(name)?;
    let dataset = group.dataset(name)?;
    let storage = dataset.dcpl()?;
    ensure(
        storage.get_external()?.is_empty() && storage.get_layout()? != Storage::Virtual,
        || format!("{name} has its values in another file"),
    )?;
    let chunk = storage.get_chunk()?;
    let chunk_bytes = chunk.as_ref().map_or(Some(0), |chunk| {
        let value_bytes = dataset.dtype().ok()?.size();
        chunk
            .iter()
            .try_fold(value_bytes, |bytes, axis| bytes.checked_mul(*axis))
    });
    ensure(
        chunk_bytes.is_some_and(|bytes| bytes <= CHUNK_BYTES_MAX),
        || format!("{name} has chunks of more than {CHUNK_BYTES_MAX} bytes"),
    )?;
    let shape = dataset.shape();
    let count = chunk.into_iter().flatten().zip(&shape);
    let count = count.fold(1, |count: usize, (chunk, axis)| {
        count.saturating_mul(axis.div_ceil(chunk.max(1)))
    });
    ensure(count <= 1 + dataset.size() / CHUNK_VALUES_MIN, || {
        format!("{name} is stored in {count} chunks")
    })?;
    let mut stored_bytes = 0;
    if chunk_bytes != Some(0) {
        dataset.chunks_visit(|chunk| {
            stored_bytes = stored_bytes.max(chunk.size);
            0
        })?;
    }
    // What does not compress takes a little more room than it has values.
    ensure(stored_bytes <= 2 * CHUNK_BYTES_MAX as u64, || {
        format!("{name} has a chunk of {stored_bytes} bytes")
    })?;
    let usual = |filter: &Filter| matches!(filter, Filter::Shuffle | Filter::Deflate(_));
    ensure(storage.get_filters()?.iter().all(usual), || {
        format!("{name} is stored through an unusual filter")
    })?;
    Ok(dataset)
}

/// Checks that nothing in a group is a link to another file, which HDF5 would open.
fn check_links(group: &Group) -> Result<(), Fault> {
    let mut other = None;
    group.iter_visit_default(|name, link| {
        if link.link_type != LinkType::Hard {
            other = Some(name.to_owned());
        }
        Ok(())
    })?;
    ensure(other.is_none(), || {
        format!("{} is a link", other.unwrap_or_default())
    })
}

/// Checks that a name leads nowhere but into its group.
fn check_name(name: &str) -> Result<(), Fault> {
    ensure(!name.contains('/'), || format!("{name:?} names no dataset"))
}

/// A text as HDF5 wants it.
pub(crate) fn text(text: &str) -> Result<VarLenUnicode, Fault> {
    VarLenUnicode::from_str(text)
        .map_err(|_| Fault::Problem(format!("text {text:?} has a null character")))
}

/// A text from HDF5, which does not see to it that its texts are UTF-8.
pub(crate) fn checked_text(text: &VarLenUnicode, name: &str) -> Result<String, Fault> {
    let text = std::str::from_utf8(text.as_bytes());
    Ok(text.map_err(|_| format!("{name} is not UTF-8"))?.to_owned())
}

/// Texts as HDF5 wants them.
pub(crate) fn texts<S: AsRef<str>>(values: &[S]) -> Result<Vec<VarLenUnicode>, Fault> {
    values.iter().map(|value| text(value.as_ref())).collect()
}

/// Writes a text attribute.
pub(crate) fn write_text_attribute(at: &Location, name: &str, value: &str) -> Result<(), Fault> {
    write_attribute(at, name, &text(value)?)
}

/// Writes a scalar attribute.
pub(crate) fn write_attribute<T: H5Type>(
    at: &Location,
    name: &str,
    value: &T,
) -> Result<(), Fault> {
    at.new_attr::<T>().create(name)?.write_scalar(value)?;
    Ok(())
}

/// Writes a list as an attribute.
pub(crate) fn write_list_attribute<T: H5Type>(
    at: &Location,
    name: &str,
    values: &[T],
) -> Result<(), Fault> {
    at.new_attr::<T>()
        .shape([values.len()])
        .create(name)?
        .write_raw(values)?;
    Ok(())
}

/// Writes a list of texts.
pub(crate) fn write_texts<S: AsRef<str>>(
    group: &Group,
    name: &str,
    values: &[S],
) -> Result<Dataset, Fault> {
    write_array(group, name, &[values.len()], &texts(values)?)
}

/// Arrays of at least this many values are stored in compressed chunks.
const COMPRESSED_MIN: usize = 1024;
/// Level of compression: higher ones cost much time for little space.
pub(crate) const DEFLATE_LEVEL: u8 = 4;

/// Writes an array, last axis fastest.
pub(crate) fn write_array<T: H5Type>(
    group: &Group,
    name: &str,
    shape: &[usize],
    values: &[T],
) -> Result<Dataset, Fault> {
    let view = ArrayViewD::from_shape(IxDyn(shape), values)
        .map_err(|error| Fault::Problem(format!("array {name}: {error}")))?;
    let builder = group.new_dataset_builder().obj_track_times(false);
    let builder = if values.len() < COMPRESSED_MIN || shape.is_empty() {
        builder
    } else {
        builder
            .shuffle()
            .deflate(DEFLATE_LEVEL)
            .chunk(chunk_shape(shape))
    };
    Ok(builder.with_data(view).create(name)?)
}

/// A chunk of at most 2^16 values: whole rows of the last axes, as many as fit.
fn chunk_shape(shape: &[usize]) -> Vec<usize> {
    let mut room = 1 << 16;
    let mut chunk = vec![1; shape.len()];
    for (length, axis) in chunk.iter_mut().zip(shape).rev() {
        *length = (*axis).min(room);
        room /= *length;
        if *length < *axis {
            break;
        }
    }
    chunk
}

/// Says what a dataset holds.
pub(crate) fn describe(dataset: &Dataset, units: &str, long_name: &str) -> Result<(), Fault> {
    if !units.is_empty() {
        write_text_attribute(dataset, "units", units)?;
    }
    write_text_attribute(dataset, "long_name", long_name)
}

/// Reads a scalar attribute of exactly this type.
pub(crate) fn read_attribute<T: H5Type>(at: &Location, name: &str) -> Result<T, Fault> {
    let attribute = at.attr(name)?;
    check_type::<T>(&attribute, name)?;
    ensure(attribute.shape().is_empty(), || {
        format!("attribute {name} is not a single value")
    })?;
    Ok(attribute.read_scalar()?)
}

/// Reads a list attribute of exactly this length.
pub(crate) fn read_list_attribute<T: H5Type>(
    at: &Location,
    name: &str,
    length: usize,
) -> Result<Vec<T>, Fault> {
    let attribute = at.attr(name)?;
    check_type::<T>(&attribute, name)?;
    check_shape(&attribute, name, &[length])?;
    Ok(attribute.read_raw()?)
}

/// Reads a list of texts of a group, of at most `most`.
pub(crate) fn read_texts(group: &Group, name: &str, most: usize) -> Result<Vec<String>, Fault> {
    let dataset = open_dataset(group, name)?;
    check_type::<VarLenUnicode>(&dataset, name)?;
    let length = list_length(&dataset, name, most)?;
    let mut texts = Vec::with_capacity(length);
    let mut bytes = 0;
    // Piece by piece, since many entries can be one and the same long text of the file.
    for start in (0..length).step_by(TEXTS_AT_ONCE) {
        let piece = start..length.min(start + TEXTS_AT_ONCE);
        let piece: Array1<VarLenUnicode> = dataset.read_slice_1d(s![piece])?;
        bytes += piece.iter().map(VarLenUnicode::len).sum::<usize>();
        ensure(bytes <= length * TEXT_BYTES_MAX + TEXTS_BYTES_MORE, || {
            format!("the texts of {name} are too long")
        })?;
        for text in &piece {
            texts.push(checked_text(text, name)?);
        }
    }
    Ok(texts)
}

/// Checks that a dataset or attribute is a list of at most `most`, and returns its length.
pub(crate) fn list_length(container: &Container, name: &str, most: usize) -> Result<usize, Fault> {
    let shape = container.shape();
    ensure(shape.len() == 1 && shape[0] <= most, || {
        format!("{name} has shape {shape:?}, expected a list of at most {most}")
    })?;
    Ok(shape[0])
}

/// Reads a list of at most `most` numbers.
pub(crate) fn read_list<T: H5Type>(
    group: &Group,
    name: &str,
    most: usize,
) -> Result<Vec<T>, Fault> {
    let dataset = open_dataset(group, name)?;
    check_type::<T>(&dataset, name)?;
    list_length(&dataset, name, most)?;
    Ok(dataset.read_raw()?)
}

/// Reads an array of exactly this shape. The caller has checked that the shape is sensible.
pub(crate) fn read_array<T: H5Type>(
    group: &Group,
    name: &str,
    shape: &[usize],
) -> Result<Vec<T>, Fault> {
    read_values(&open_dataset(group, name)?, name, shape)
}

/// Reads an open dataset of exactly this shape.
pub(crate) fn read_values<T: H5Type>(
    dataset: &Dataset,
    name: &str,
    shape: &[usize],
) -> Result<Vec<T>, Fault> {
    check_type::<T>(dataset, name)?;
    check_shape(dataset, name, shape)?;
    Ok(dataset.read_raw()?)
}

/// Checks that a dataset or attribute has exactly this element type.
pub(crate) fn check_type<T: H5Type>(container: &Container, name: &str) -> Result<(), Fault> {
    let found = container.dtype()?.to_descriptor()?;
    ensure(found == T::type_descriptor(), || {
        format!("{name} is not of type {}", T::type_descriptor())
    })
}

fn check_shape(container: &Container, name: &str, shape: &[usize]) -> Result<(), Fault> {
    let found = container.shape();
    ensure(found == shape, || {
        format!("{name} has shape {found:?}, expected {shape:?}")
    })
}
