//! The file operations that a store is made of.
//!
//! They are few and named after what they promise, so that the same store code runs on a disk
//! and in a simulation whose disk is full, tears writes and forgets what was not synchronised.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::ResultsError;
use crate::layout::{Layout, RunIdentity};
use crate::part::{PartFile, read_part_of};

/// A folder with files in subfolders. Names are relative, such as `parts/0-9.h5`.
pub trait Folder {
    /// Names of the files in a subfolder, in any order; none if there is no such subfolder.
    ///
    /// # Errors
    /// The system's.
    fn names(&self, subfolder: &str) -> io::Result<Vec<String>>;

    /// Makes a subfolder if it is not there, for good.
    ///
    /// # Errors
    /// The system's.
    fn make(&self, subfolder: &str) -> io::Result<()>;

    /// Reads a small file.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::NotFound`] if there is none.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Length of a file, bytes.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::InvalidInput`] for what is no file of its own, such as a link
    /// or a pipe.
    fn length(&self, name: &str) -> io::Result<u64>;

    /// Appends to a file, which is made if it is not there. A crash may lose any of it.
    ///
    /// # Errors
    /// The system's.
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was appended to a file survive a crash.
    ///
    /// # Errors
    /// The system's.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Renames a file within the folder, replacing what has the new name. A crash may undo it,
    /// unless [`Self::sync_names`] follows.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes the names in a subfolder survive a crash.
    ///
    /// # Errors
    /// The system's.
    fn sync_names(&self, subfolder: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Reads a part of a run and checks everything, see [`read_part_of`].
    ///
    /// # Errors
    /// As [`read_part_of`].
    fn read_part(
        &self,
        name: &str,
        identity: &RunIdentity,
        layout: &Layout,
    ) -> Result<PartFile, ResultsError>;

    /// Where a file is, for messages and for programs that read it.
    fn path(&self, name: &str) -> PathBuf;
}

/// A folder on a disk, locked until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
    lock: Arc<Option<File>>,
}

impl Disk {
    /// Locks a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`ResultsError::Locked`] if another process has it, or the system's.
    pub fn lock(root: &Path) -> Result<Self, ResultsError> {
        fs::create_dir_all(root).map_err(ResultsError::io("create", root))?;
        let path = root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(ResultsError::io("open", &path))?;
        let lock = match file.try_lock() {
            Ok(()) => Some(file),
            Err(TryLockError::WouldBlock) => {
                return Err(ResultsError::Locked {
                    dir: root.to_path_buf(),
                });
            }
            // Some network file systems have no locks. The store's epoch still fences off
            // whoever had the folder before.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => None,
            Err(TryLockError::Error(error)) => return Err(ResultsError::io("lock", &path)(error)),
        };
        Ok(Self {
            root: root.to_path_buf(),
            lock: Arc::new(lock),
        })
    }

    /// Whether the file system could lock the folder.
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }
}

impl Folder for Disk {
    fn names(&self, subfolder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(subfolder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn make(&self, subfolder: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(subfolder))?;
        File::open(&self.root)?.sync_all()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        let found = fs::symlink_metadata(self.path(name))?;
        if found.is_file() {
            Ok(found.len())
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ))
        }
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name))?;
        file.write_all(bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        File::open(self.path(name))?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn sync_names(&self, subfolder: &str) -> io::Result<()> {
        File::open(self.path(subfolder))?.sync_all()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn read_part(
        &self,
        name: &str,
        identity: &RunIdentity,
        layout: &Layout,
    ) -> Result<PartFile, ResultsError> {
        read_part_of(&self.path(name), identity, layout)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}
