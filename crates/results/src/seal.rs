//! The seal: a trailer behind the HDF5 data that tells whether a single byte has changed.
//!
//! The HDF5 library parses what it is given and was not made for damaged files. So no byte
//! reaches it before the whole file has been checked against its seal here. HDF5 ignores bytes
//! behind the end of its data, so every other program reads a sealed file as usual.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::ResultsError;

/// Starts the trailer; the length of the data (8 bytes, little endian) and their BLAKE3 digest
/// follow.
const MAGIC: [u8; 16] = *b"reseed seal 1\r\n\x1a";
const SEAL_LEN: usize = MAGIC.len() + 8 + 32;
const HDF5_MAGIC: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Appends the seal to a file that ends with its HDF5 data.
pub(crate) fn append(file: &mut File) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = blake3::Hasher::new();
    let length = feed(&mut hasher, file, u64::MAX)?;
    file.write_all(&trailer(length, &hasher.finalize()))
}

/// Checks a file against its seal.
pub(crate) fn check(path: &Path, expected: &'static str) -> Result<(), ResultsError> {
    let fail = |error| ResultsError::io("read", path)(error);
    let mut file = File::open(path).map_err(fail)?;
    let total = file.metadata().map_err(fail)?.len();
    let mut start = Vec::new();
    (&mut file)
        .take(HDF5_MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(fail)?;
    if start != HDF5_MAGIC {
        return Err(ResultsError::Kind {
            path: path.to_path_buf(),
            expected,
            problem: "it does not start like an HDF5 file".into(),
        });
    }
    let length = total.saturating_sub(SEAL_LEN as u64);
    let mut hasher = blake3::Hasher::new();
    file.seek(SeekFrom::Start(0)).map_err(fail)?;
    feed(&mut hasher, &mut file, length).map_err(fail)?;
    let mut found = Vec::new();
    file.read_to_end(&mut found).map_err(fail)?;
    if !found.starts_with(&MAGIC) {
        return Err(ResultsError::damaged(
            path,
            "it has no seal at its end: it was cut, or another program changed it",
        ));
    }
    if found != trailer(length, &hasher.finalize()) {
        return Err(ResultsError::damaged(
            path,
            "its bytes do not match its seal",
        ));
    }
    Ok(())
}

fn trailer(length: u64, digest: &blake3::Hash) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(digest.as_bytes());
    bytes
}

/// Reads up to `limit` bytes into the hasher and returns how many there were.
fn feed(hasher: &mut blake3::Hasher, file: &mut File, limit: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 18];
    let mut source = file.take(limit);
    let mut length = 0;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        length += count as u64;
    }
}
