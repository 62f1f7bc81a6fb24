//! Writing text files whole: there is the old file or the new one, never anything between.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::exit::Failure;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    Owner,
    All,
}

/// Writes a file that must not be there yet.
pub(crate) fn write_new(path: &Path, text: &str, readers: Readers) -> Result<(), Failure> {
    let file = temporary(path, text, readers)?;
    file.persist_noclobber(path)
        .map_err(|failed| Failure::system("create", path)(failed.error))?;
    settle(path)
}

/// Writes a file, in place of the old one if there is one.
pub(crate) fn write(path: &Path, text: &str, readers: Readers) -> Result<(), Failure> {
    let file = temporary(path, text, readers)?;
    file.persist(path)
        .map_err(|failed| Failure::system("replace", path)(failed.error))?;
    settle(path)
}

/// The whole text under a temporary name beside `path`; from the start nobody else can read it
/// who should not.
fn temporary(
    path: &Path,
    text: &str,
    readers: Readers,
) -> Result<tempfile::NamedTempFile, Failure> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let failed = || Failure::system("write", path);
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder_of(path))
        .map_err(failed())?;
    file.write_all(text.as_bytes()).map_err(failed())?;
    file.as_file().sync_all().map_err(failed())?;
    Ok(file)
}

/// Makes a rename last.
fn settle(path: &Path) -> Result<(), Failure> {
    let folder = folder_of(path);
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(Failure::system("write to", folder))
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
