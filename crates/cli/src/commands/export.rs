//! `reseed export`: tables for other programs.

use std::io::{self, Write};
use std::path::Path;

use reseed_report::{ExportError, TimesToEvents};
use reseed_results::{Records, ResultFile, read_result};

use crate::args::Export;
use crate::commands::compare::{comparison, endpoints};
use crate::exit::Failure;
use crate::identity;
use crate::whole::{self, Readers};

/// Patients that are read at once.
const PATIENTS_PER_PIECE: u64 = 1 << 16;

pub(crate) fn export(args: &Export) -> Result<(), Failure> {
    for path in [&args.estimates, &args.records].into_iter().flatten() {
        check_replaceable(path, args)?;
    }
    let file = read_result(&args.what.file)?;
    if let Some(path) = &args.estimates {
        let comparison = comparison(&args.what, &file, false)?;
        let write = |out: &mut dyn Write| comparison.write_estimates(out);
        whole::write_by(path, Readers::All, |out| write(out).map_err(refused(path)))?;
    }
    if let Some(path) = &args.records {
        whole::write_by(path, Readers::All, |out| {
            write_records(args, &file, path, out)
        })?;
    }
    Ok(())
}

/// Tables are written where nothing is yet, or what may go; never over the result itself.
fn check_replaceable(path: &Path, args: &Export) -> Result<(), Failure> {
    let place = |path: &Path| path.canonicalize().ok();
    let Some(found) = place(path) else {
        return Ok(());
    };
    let problem = if Some(found) == place(&args.what.file) {
        "is the result itself; choose another name"
    } else if args.force {
        return Ok(());
    } else {
        "is there; choose another name, or replace it with --force"
    };
    Err(Failure::Usage(format!("{} {problem}", path.display())))
}

fn write_records(
    args: &Export,
    file: &ResultFile,
    path: &Path,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let source = &args.what.file;
    let records = Records::open(source)?;
    if records.is_empty() {
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
    let patients = records.rows();
    let mut next = 0;
    while next < patients {
        let end = patients.min(next + PATIENTS_PER_PIECE);
        table
            .add(&records.read(next..end)?)
            .map_err(refused(path))?;
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
