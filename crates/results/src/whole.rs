//! Writing files whole: a reader sees the old file or the new one, never anything between.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hdf5::file::FileCloseDegree;

use crate::error::ResultsError;
use crate::hdf::Fault;
use crate::seal;

/// End of the names of files that are being written.
const PARTIAL: &str = ".partial";

/// Writes an HDF5 file whole: to a temporary name beside it, sealed, synchronised to disk,
/// read back by `check`, then renamed. Whatever fails, the old file stays and the temporary
/// one goes.
pub(crate) fn write<T>(
    path: &Path,
    build: impl FnOnce(&hdf5::File) -> Result<(), Fault>,
    check: impl FnOnce(&Path) -> Result<T, ResultsError>,
) -> Result<T, ResultsError> {
    let mut temporary = Temporary::beside(path)?;
    temporary.fill(build)?;
    let io = |action| move |error: io::Error| ResultsError::io(action, path)(error);
    seal::append(&mut temporary.file).map_err(io("write"))?;
    temporary.file.sync_all().map_err(io("write"))?;
    let checked =
        check(&temporary.path).map_err(|error| temporary.refusal().map_or(error, io("write")))?;
    fs::rename(&temporary.path, path).map_err(io("rename the finished"))?;
    temporary.done = true;
    sync_directory(path)?;
    Ok(checked)
}

/// Makes a rename in the directory of `path` last.
fn sync_directory(path: &Path) -> Result<(), ResultsError> {
    let directory = directory(path);
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(ResultsError::io("synchronise", directory))
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A file under a temporary name, removed unless it was renamed.
struct Temporary {
    path: PathBuf,
    /// Holds the lock that tells other processes that the file is being written.
    file: File,
    done: bool,
}

impl Temporary {
    fn beside(target: &Path) -> Result<Self, ResultsError> {
        let name = target
            .file_name()
            .ok_or_else(|| ResultsError::Contents(format!("{} names no file", target.display())))?
            .to_string_lossy();
        let directory = directory(target);
        remove_leftovers(directory, &format!(".{name}."));
        let path = directory.join(format!(".{name}.{}{PARTIAL}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(ResultsError::io("create a file in", directory))?;
        // Where the file system has no locks, leftovers are not told from files in use, and
        // stay.
        let _ = file.try_lock();
        Ok(Self {
            path,
            file,
            done: false,
        })
    }

    fn fill(
        &self,
        build: impl FnOnce(&hdf5::File) -> Result<(), Fault>,
    ) -> Result<(), ResultsError> {
        let fault = |fault: Fault| fault.writing(&self.path);
        let file = hdf5::File::with_options()
            .with_fapl(|fapl| {
                fapl.fclose_degree(FileCloseDegree::Strong)
                    .file_locking(false)
            })
            .with_fcpl(|fcpl| fcpl.obj_track_times(false))
            .create(&self.path)
            .map_err(|error| fault(error.into()))?;
        let built = build(&file).and_then(|()| Ok(file.flush()?));
        let closed = file.close();
        built.map_err(fault)?;
        closed.map_err(|error| fault(error.into()))
    }

    /// What the system says to one more write. HDF5 keeps some values until a dataset is closed, where
    /// nobody hears that a full disk did not take them; the file is then found to be damaged, and
    /// this is why.
    fn refusal(&mut self) -> Option<io::Error> {
        /// More than what a file system may still find room for in its last block.
        const PROBE_BYTES: usize = 1 << 20;
        let written = self.file.seek(SeekFrom::End(0));
        written
            .and_then(|_| self.file.write_all(&vec![0; PROBE_BYTES]))
            .and_then(|()| self.file.sync_all())
            .err()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what killed processes left: temporary files whose lock nobody holds.
pub(crate) fn remove_leftovers(directory: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(prefix) && name.ends_with(PARTIAL) {
            let path = entry.path();
            if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
                let _ = fs::remove_file(path);
            }
        }
    }
}
