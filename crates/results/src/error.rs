//! What can go wrong with files, told so that a reader knows what to do.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use reseed_stats::TallyError;
use thiserror::Error;

use crate::digest::Digest;
use crate::sections::FORMAT_VERSION;

/// Why a file or a store cannot be read or written.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// The system refused an operation on a file.
    #[error("cannot {action} {}: {source}; {}", path.display(), advice(source))]
    Io {
        /// What was attempted, such as `write`.
        action: &'static str,
        /// File or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The HDF5 library refused an operation without naming a reason of the system.
    #[error("cannot {action} {}: {problem}", path.display())]
    Hdf5 {
        /// What was attempted.
        action: &'static str,
        /// File.
        path: PathBuf,
        /// The library's message.
        problem: String,
    },
    /// Not a file of this program, or not of the expected kind.
    #[error("{} is not a {expected}: {problem}", path.display())]
    Kind {
        /// File.
        path: PathBuf,
        /// Kind that was asked for.
        expected: &'static str,
        /// What it is instead.
        problem: String,
    },
    /// Written by a newer version.
    #[error(
        "{} has format version {found}, but this program reads versions up to {newest}; use a newer reseed",
        path.display()
    )]
    Newer {
        /// File.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// Newest version this program reads.
        newest: u32,
    },
    /// Written by an older version.
    #[error(
        "{} has format version {found}, which lacks counts that this program needs (it reads version {FORMAT_VERSION}); \
         compute it again, or read it with the reseed that wrote it",
        path.display()
    )]
    Older {
        /// File.
        path: PathBuf,
        /// Version in the file.
        found: u32,
    },
    /// Cut, changed or contradicting itself.
    #[error("{} is damaged: {problem}; restore it from a copy or compute it again", path.display())]
    Damaged {
        /// File.
        path: PathBuf,
        /// What does not hold.
        problem: String,
    },
    /// Contents that cannot be written because they contradict themselves.
    #[error("contents do not fit together: {0}")]
    Contents(String),
    /// Files of different runs.
    #[error("{} does not belong to this run: {problem}", path.display())]
    Foreign {
        /// File.
        path: PathBuf,
        /// What differs.
        problem: String,
    },
    /// The same patients twice.
    #[error(
        "patients {} to {} are in {} and in {}; each patient may count only once",
        range.start,
        range.end - 1,
        first.display(),
        second.display()
    )]
    Overlap {
        /// Patients in both.
        range: Range<u64>,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Two computations of the same patients disagree.
    #[error(transparent)]
    Conflict(Box<Conflict>),
    /// Another process uses the store.
    #[error(
        "{} is in use by another reseed process; wait for it, stop it, or choose another folder",
        dir.display()
    )]
    Locked {
        /// The store.
        dir: PathBuf,
    },
    /// Another process has opened the store since.
    #[error(
        "{} was taken over by another reseed process ({by}), so this one commits nothing more; \
         stop one of the two",
        dir.display()
    )]
    Fenced {
        /// The store.
        dir: PathBuf,
        /// What the other says of itself.
        by: String,
    },
    /// Tallies that do not add up.
    #[error("tallies of {} do not merge: {source}", path.display())]
    Tally {
        /// File.
        path: PathBuf,
        /// Which sum.
        source: TallyError,
    },
}

/// Two computations of the same patients that disagree: memory or disk is faulty, or the engine
/// is not deterministic.
#[derive(Debug, Error)]
#[error(
    "two computations of patients {} to {} disagree: {committed} in {} (by {committed_worker}) and {offered} (by {offered_worker}); a machine is faulty or the engine is not deterministic: compute the shard again on a third machine",
    range.start,
    range.end - 1,
    path.display()
)]
pub struct Conflict {
    /// Patients, by index.
    pub range: Range<u64>,
    /// The committed part.
    pub path: PathBuf,
    /// Its digest.
    pub committed: Digest,
    /// Who computed it.
    pub committed_worker: String,
    /// Digest of the second computation.
    pub offered: Digest,
    /// Who computed that.
    pub offered_worker: String,
}

impl ResultsError {
    /// Wraps an error of the system, for use with `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// Turns an error of the library into the system's error behind it, if there is one.
    pub(crate) fn hdf5(action: &'static str, path: &Path, error: &hdf5::Error) -> Self {
        match system_error(error) {
            Some(source) => Self::io(action, path)(source),
            None => Self::Hdf5 {
                action,
                path: path.to_path_buf(),
                problem: error.to_string(),
            },
        }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            problem: problem.into(),
        }
    }
}

/// The library keeps the system's error number only in the text of its innermost message.
fn system_error(error: &hdf5::Error) -> Option<io::Error> {
    error.stack()?.iter().find_map(|frame| {
        let (_, rest) = frame.desc().split_once("errno = ")?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        let number: i32 = digits.parse().ok()?;
        (number != 0).then(|| io::Error::from_raw_os_error(number))
    })
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space or choose another place, then run the same command again"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "choose a folder you may write to"
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "check the path",
        io::ErrorKind::FileTooLarge => "choose a file system that takes larger files",
        _ => "nothing was changed",
    }
}
