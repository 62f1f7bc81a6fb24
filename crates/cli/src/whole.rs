//! Writing text files whole: there is the old file or the new one, never anything between.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
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
    let file = temporary(path, readers, text_of(path, text))?;
    file.persist_noclobber(path)
        .map_err(|failed| Failure::system("create", path)(failed.error))?;
    settle(path)
}

/// Writes a file, in place of the old one if there is one.
pub(crate) fn write(path: &Path, text: &str, readers: Readers) -> Result<(), Failure> {
    write_by(path, readers, text_of(path, text))
}

/// As `write`, piece by piece.
pub(crate) fn write_by(
    path: &Path,
    readers: Readers,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(Failure::Usage(format!(
            "{} is there and is no file; choose another name",
            path.display()
        )));
    }
    let file = temporary(path, readers, write)?;
    file.persist(path)
        .map_err(|failed| Failure::system("replace", path)(failed.error))?;
    settle(path)
}

fn text_of<'a>(
    path: &'a Path,
    text: &'a str,
) -> impl FnOnce(&mut dyn Write) -> Result<(), Failure> + 'a {
    move |out| {
        out.write_all(text.as_bytes())
            .map_err(Failure::system("write", path))
    }
}

/// The whole contents under a temporary name beside `path`; from the start nobody else can read
/// them who should not.
fn temporary(
    path: &Path,
    readers: Readers,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<tempfile::NamedTempFile, Failure> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let failed = || Failure::system("write", path);
    let file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder_of(path))
        .map_err(failed())?;
    let mut out = BufWriter::new(file.as_file());
    write(&mut out)?;
    out.flush().map_err(failed())?;
    drop(out);
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
