//! `reseed export`: tables for other programs.

use std::fs::Permissions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reseed_report::{ExportError, TimesToEvents};
use reseed_results::{ResultFile, read_records, read_result};

use crate::args::Export;
use crate::commands::compare::{comparison, endpoints};
use crate::exit::Failure;
use crate::identity;

/// Patients that are read at once.
const PATIENTS_PER_PIECE: u64 = 1 << 16;

pub(crate) fn export(args: &Export) -> Result<(), Failure> {
    let file = read_result(&args.what.file)?;
    if let Some(path) = &args.estimates {
        let comparison = comparison(&args.what, &file, false)?;
        let write = |out: &mut dyn Write| comparison.write_estimates(out);
        write_whole(path, |out| write(out).map_err(refused(path)))?;
    }
    if let Some(path) = &args.records {
        write_whole(path, |out| write_records(args, &file, path, out))?;
    }
    Ok(())
}

fn write_records(
    args: &Export,
    file: &ResultFile,
    path: &Path,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let source = &args.what.file;
    if read_records(source, Some(0..0))?.is_empty() {
        return Err(Failure::Usage(format!(
            "{} has no records of its patients; run the trial again with --records",
            source.display()
        )));
    }
    let trial = identity::described(file)?;
    let endpoints = endpoints(&args.what);
    let (arms, strata) = (&file.layout.arms, &file.layout.strata);
    let table = TimesToEvents::new(out, &trial.name, arms, strata, &endpoints);
    let mut table = table.map_err(refused(path))?;
    let patients: u64 = file.tally.enrolled().iter().sum();
    let mut next = 0;
    while next < patients {
        let end = patients.min(next + PATIENTS_PER_PIECE);
        let records = read_records(source, Some(next..end))?;
        table.add(&records).map_err(refused(path))?;
        next = end;
    }
    table.finish().map_err(refused(path))
}

/// Why a table is not in its file.
fn refused(path: &Path) -> impl Fn(ExportError) -> Failure {
    move |error| match error {
        ExportError::Write(error) => Failure::system("write", path)(io::Error::other(error)),
        ExportError::Column(_) => Failure::File(error.to_string()),
    }
}

/// Writes a file under a temporary name beside it and renames it once all is there.
fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // As readable as any new file; temporary ones are their owner's alone.
    let temporary = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(Failure::system("create a file in", folder))?;
    let mut out = BufWriter::new(temporary.as_file());
    write(&mut out)?;
    out.flush()
        .and_then(|()| temporary.as_file().sync_all())
        .map_err(Failure::system("write", path))?;
    drop(out);
    temporary
        .persist(path)
        .map_err(|error| Failure::system("rename the finished", path)(error.error))?;
    Ok(())
}
