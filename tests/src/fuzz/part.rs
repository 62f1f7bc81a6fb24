//! Any bytes as a part file.

use std::fs;
use std::path::Path;

use reseed_results::{PartFile, ResultsError, read_part, read_records, read_result, write_result};

use super::part_files::{changed, patched, seal};

/// Digits of a digest.
const DIGEST_LEN: usize = 64;

/// Makes a part file of the bytes and reads it. The first byte says how the file is made:
///
/// - 0: the rest is the file;
/// - up to 250: a valid part with objects, attributes and values changed, under a fresh seal;
/// - above: as before, and the part goes into a result if it is accepted, which takes long.
///
/// # Panics
/// If a part that was read contradicts itself, or does not merge into a result of the same tally.
pub fn part(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("part.h5");
    if *mode == 0 {
        fs::write(&path, rest).expect("the file is written");
        let _ = read(&path);
    } else if let Ok(bytes) = changed(&path, rest)
        && let Ok(part) = read_sealed(&path, &bytes)
        && *mode > 250
    {
        merge(&part);
    }
}

/// Gives bytes a fresh seal, so that the HDF5 library gets to see them, and reads them as a part
/// file. The first byte says what they are:
///
/// - 0: the rest;
/// - 1: a valid part with some of its bytes replaced.
///
/// The library was not made for such files: what is found here is why it sees only files that an
/// authenticated worker has sealed.
///
/// # Panics
/// If a part that was read contradicts itself.
pub fn sealed(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("part.h5");
    let bytes = if mode % 2 == 0 {
        rest.to_vec()
    } else {
        patched(rest)
    };
    let _ = read_sealed(&path, &bytes);
}

/// Reads HDF5 data under a fresh seal; again, if it only promised another digest than it has.
fn read_sealed(path: &Path, data: &[u8]) -> Result<PartFile, ResultsError> {
    fs::write(path, seal(data)).expect("the file is written");
    let part = read(path);
    let kept = match &part {
        Ok(_) => None,
        Err(error) => keeping_its_promise(data, &error.to_string()),
    };
    let Some(data) = kept else {
        return part;
    };
    // Now nothing is left that only the digest would have refused.
    fs::write(path, seal(&data)).expect("the file is written");
    read(path)
}

/// Reads a part in every way; what is accepted must be in order.
fn read(path: &Path) -> Result<PartFile, ResultsError> {
    let _ = read_records(path, Some(0..1));
    let part = read_part(path).inspect_err(|error| assert!(!error.to_string().is_empty()))?;
    part.layout.check().expect("a checked layout");
    part.tally.check().expect("a checked tally");
    assert_eq!(*part.tally.shape(), part.layout.shape);
    let range = &part.info.range;
    assert_eq!(range.end - range.start, part.tally.screened());
    Ok(part)
}

/// Makes a result of the part alone, if one can be made: it has the same tally.
fn merge(part: &PartFile) {
    let path = &part.info.path;
    let result = path.with_file_name("result.h5");
    if write_result(&result, std::slice::from_ref(path), "1", &[]).is_ok() {
        let merged = read_result(&result).expect("a result that was checked when it was written");
        assert_eq!(merged.tally, part.tally);
    }
}

/// The same data promising the digest that its contents have, if the wrong promise was all that
/// was found.
fn keeping_its_promise(data: &[u8], problem: &str) -> Option<Vec<u8>> {
    let (_, rest) = problem.split_once("its contents have digest ")?;
    let (found, rest) = rest.split_once(", but it promises ")?;
    let promised = rest.get(..DIGEST_LEN)?.as_bytes();
    let at = data
        .windows(DIGEST_LEN)
        .position(|window| window == promised)?;
    let mut data = data.to_vec();
    data[at..at + DIGEST_LEN].copy_from_slice(found.as_bytes());
    Some(data)
}
