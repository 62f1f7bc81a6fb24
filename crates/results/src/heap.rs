//! A look at the heaps in which HDF5 keeps texts, before the library reads them.
//!
//! A heap is a run of objects, each with its length. The library walks it by these lengths, and
//! for ever if a free one has length 0 (HDF5 2.2.0). Files that are written here have no such
//! object, but whoever can seal a file can make one. Fuzzing found it; see tests/fuzz. Parts have no
//! heaps that are read: see `texts.rs`.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::ResultsError;

/// Starts a heap: signature, version and three zeros. Its length (8 bytes) and objects follow.
const START: [u8; 8] = *b"GCOL\x01\0\0\0";
/// What precedes the objects of a heap, and each object: number (2 bytes), references (2),
/// nothing (4) and length (8).
type Head = [u8; 16];
const HEAD_LEN: u64 = 16;
/// Longest text in a file, bytes: far above any trial.
const OBJECT_BYTES_MAX: u64 = 4 << 20;

/// Checks the heaps of a file.
pub(crate) fn check(path: &Path) -> Result<(), ResultsError> {
    let look = || problem(&mut File::open(path)?);
    match look().map_err(ResultsError::io("read", path))? {
        Some(problem) => Err(ResultsError::damaged(path, problem)),
        None => Ok(()),
    }
}

/// What is wrong with the heaps of HDF5 data, if anything.
fn problem(file: &mut File) -> io::Result<Option<String>> {
    if !has_usual_sizes(file)? {
        return Ok(Some("its numbers have an unusual length".into()));
    }
    // Heaps do not overlap in files that are written here, so that each byte is walked once.
    let mut objects_left = file.metadata()?.len() / HEAD_LEN;
    for start in starts(file)? {
        if let Some(problem) = walk(file, start, &mut objects_left)? {
            return Ok(Some(problem));
        }
    }
    Ok(None)
}

/// Whether offsets and lengths take 8 bytes, by the first bytes of the file. Heaps of other
/// files look different.
fn has_usual_sizes(file: &mut File) -> io::Result<bool> {
    let mut head = [0; 16];
    file.seek(SeekFrom::Start(0))?;
    let is_whole = read_whole(file, &mut head)?;
    let sizes = match head[8] {
        0 | 1 => [head[13], head[14]],
        _ => [head[9], head[10]],
    };
    Ok(is_whole && sizes == [8, 8])
}

/// Where heaps start, or something that looks like it.
fn starts(file: &mut File) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    let mut buffer = vec![0; 1 << 18];
    // Bytes of the buffer that are left from the piece before, and where the buffer starts.
    let (mut kept, mut base) = (0, 0);
    file.seek(SeekFrom::Start(0))?;
    loop {
        let count = match file.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(found),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let filled = kept + count;
        let places = buffer[..filled].windows(START.len()).enumerate();
        found.extend(
            places
                .filter(|(_, window)| *window == START)
                .map(|(at, _)| base + at as u64),
        );
        kept = filled.min(START.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
        base += (filled - kept) as u64;
    }
}

/// Goes from object to object of a heap, as the library does.
fn walk(file: &mut File, start: u64, objects_left: &mut u64) -> io::Result<Option<String>> {
    file.seek(SeekFrom::Start(start))?;
    let mut source = BufReader::new(file);
    let mut head: Head = [0; 16];
    if !read_whole(&mut source, &mut head)? {
        return Ok(None);
    }
    let mut left = number(&head).saturating_sub(HEAD_LEN);
    while left >= HEAD_LEN {
        if !read_whole(&mut source, &mut head)? {
            // The library will notice that the heap is cut.
            return Ok(None);
        }
        let is_free = head[..2] == [0, 0];
        let length = number(&head);
        let step = if is_free {
            length
        } else {
            HEAD_LEN.saturating_add(length.saturating_add(7) & !7)
        };
        if step < HEAD_LEN || *objects_left == 0 {
            return Ok(Some(format!("its heap at byte {start} does not end")));
        }
        if !is_free && length > OBJECT_BYTES_MAX {
            return Ok(Some(format!(
                "a text of its heap at byte {start} is too long"
            )));
        }
        *objects_left -= 1;
        left = left.saturating_sub(step);
        let Ok(skipped) = i64::try_from(step - HEAD_LEN) else {
            return Ok(None);
        };
        source.seek_relative(skipped)?;
    }
    Ok(None)
}

/// The last 8 bytes of a head.
fn number(head: &Head) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|at| head[8 + at]))
}

/// Fills the buffer; tells whether there were enough bytes.
fn read_whole(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match source.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
