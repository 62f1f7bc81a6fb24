//! Part files: the output for one shard.

use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5::File;
use reseed_stats::{RecordColumn, Tally};

use crate::digest::{ColumnHead, Digest, DigestWriter, part_digest};
use crate::error::ResultsError;
use crate::hdf::{
    Fault, ensure, open, read_attribute, read_list_attribute, write_attribute, write_list_attribute,
};
use crate::layout::{Layout, RunIdentity};
use crate::records::{self, Table, TableHead, TableReader, TableWriter};
use crate::result::same_run;
use crate::sections::{
    FORMAT_VERSION, Format, read_head, read_layout, read_tally, write_head, write_layout,
    write_tally,
};
use crate::{heap, seal, whole};

/// The output for a shard.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Patients, by index.
    pub range: Range<u64>,
    /// Their tally.
    pub tally: Tally,
    /// Their records: columns of the same number of rows, one of them [`INDEX_COLUMN`];
    /// empty if the trial asks for none.
    ///
    /// [`INDEX_COLUMN`]: crate::INDEX_COLUMN
    pub records: Vec<RecordColumn>,
    /// A row per block, likewise; empty if the trial has no blocks.
    pub blocks: Vec<RecordColumn>,
    /// How it was computed.
    pub attempt: Attempt,
}

impl Part {
    fn tables(&self) -> [(Table, &[RecordColumn]); 2] {
        [
            (Table::Patients, &self.records),
            (Table::Blocks, &self.blocks),
        ]
    }
}

/// How a shard was computed; for the reader, not part of any digest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attempt {
    /// Who computed it.
    pub worker: String,
    /// Which attempt it was, from 1.
    pub number: u32,
    /// How long it took.
    pub seconds: f64,
}

/// A committed part.
#[derive(Debug, Clone, PartialEq)]
pub struct PartInfo {
    /// Patients, by index.
    pub range: Range<u64>,
    /// Digest of its contents, see [`part_digest`].
    pub digest: Digest,
    /// Where it is.
    pub path: PathBuf,
    /// How it was computed.
    pub attempt: Attempt,
}

/// A part file that was read and checked. Its records stay in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct PartFile {
    /// What run it belongs to.
    pub identity: RunIdentity,
    /// Labels of the axes.
    pub layout: Layout,
    /// Tally of its patients.
    pub tally: Tally,
    /// Its place in the run.
    pub info: PartInfo,
    /// In the order of [`Table::ALL`].
    pub(crate) tables: [TableHead; 2],
}

/// Writes a part file whole, reads it back and checks it.
///
/// # Errors
/// [`ResultsError`] if the contents do not fit together or the file cannot be written; an older
/// file of that name is then still there.
pub fn write_part(
    path: &Path,
    identity: &RunIdentity,
    layout: &Layout,
    part: &Part,
) -> Result<PartInfo, ResultsError> {
    let digest = part_digest(
        &identity.fingerprint,
        identity.seed,
        &part.range,
        &part.tally,
        [&part.records, &part.blocks],
    );
    let texts = Format::Part.texts();
    let build = |file: &File| {
        layout.check()?;
        check_range(&part.range, &part.tally)?;
        part.tally.check()?;
        write_head(file, Format::Part, identity, digest, part.tally.screened())?;
        write_list_attribute(file, "range", &[part.range.start, part.range.end])?;
        texts.write_attribute(file, "worker", &part.attempt.worker)?;
        write_attribute(file, "attempt", &part.attempt.number)?;
        write_attribute(file, "seconds", &part.attempt.seconds)?;
        write_layout(file, Format::Part, layout)?;
        write_tally(file, Format::Part, layout, &part.tally)?;
        for (table, columns) in part.tables() {
            let rows = records::check(table, columns, layout)?;
            table.check_rows(columns.is_empty(), rows, &part.tally)?;
            let heads: Vec<ColumnHead> = columns.iter().map(ColumnHead::of).collect();
            TableWriter::create(file, Format::Part, table, &heads, rows, layout)?.write(columns)?;
        }
        Ok(())
    };
    let written = whole::write(path, build, read_part)?;
    if written.info.digest != digest {
        return Err(ResultsError::damaged(
            path,
            format!(
                "reading it back gives digest {}, not {digest}",
                written.info.digest
            ),
        ));
    }
    Ok(PartInfo {
        path: path.to_path_buf(),
        ..written.info
    })
}

/// Reads a part file and checks everything: seal, format, labels, sums and digest.
///
/// # Errors
/// [`ResultsError`] if the file cannot be read, is not a part, is newer than this program, or
/// does not hold what it promises.
pub fn read_part(path: &Path) -> Result<PartFile, ResultsError> {
    read_open_part(&open_as(path, Format::Part)?, path)
}

/// As [`read_part`], for a part that must be of this run: another one is refused before its
/// tally is read, so that a stranger's file cannot ask for more memory than the run's own axes do.
///
/// # Errors
/// [`ResultsError::Foreign`] for a part of another run; otherwise as [`read_part`].
pub fn read_part_of(
    path: &Path,
    identity: &RunIdentity,
    layout: &Layout,
) -> Result<PartFile, ResultsError> {
    let is_ours = |other: &RunIdentity, other_layout: &Layout| {
        same_run(identity, layout, other, other_layout).map_err(|problem| {
            Fault::Other(ResultsError::Foreign {
                path: path.to_path_buf(),
                problem,
            })
        })
    };
    read_checked(&open_as(path, Format::Part)?, path, is_ours).map_err(|fault| fault.reading(path))
}

/// Reads a part whose seal and format have been checked.
pub(crate) fn read_open_part(file: &File, path: &Path) -> Result<PartFile, ResultsError> {
    read_checked(file, path, |_, _| Ok(())).map_err(|fault| fault.reading(path))
}

fn read_checked(
    file: &File,
    path: &Path,
    is_wanted: impl FnOnce(&RunIdentity, &Layout) -> Result<(), Fault>,
) -> Result<PartFile, Fault> {
    let (identity, digest) = read_head(file, Format::Part)?;
    let layout = read_layout(file, Format::Part)?;
    is_wanted(&identity, &layout)?;
    let tally = read_tally(file, Format::Part, &layout)?;
    let range: Vec<u64> = read_list_attribute(file, "range", 2)?;
    let range = range[0]..range[1];
    check_range(&range, &tally)?;
    let mut writer = DigestWriter::part(&identity.fingerprint, identity.seed, &range, &tally);
    let mut tables = [TableHead::default(), TableHead::default()];
    for (table, head) in Table::ALL.into_iter().zip(&mut tables) {
        let table = TableReader::open(file, Format::Part, table)?;
        *head = table.head(&layout)?;
        table.check_rows(&tally)?;
        table.digest(&mut writer)?;
    }
    let found = writer.finish();
    ensure(found == digest, || {
        format!("its contents have digest {found}, but it promises {digest}")
    })?;
    let attempt = Attempt {
        worker: Format::Part.texts().read_attribute(file, "worker")?,
        number: read_attribute(file, "attempt")?,
        seconds: read_attribute(file, "seconds")?,
    };
    Ok(PartFile {
        identity,
        layout,
        tally,
        info: PartInfo {
            range,
            digest,
            path: path.to_path_buf(),
            attempt,
        },
        tables,
    })
}

/// Reads the records of a part or result file into memory, rows by position; `None` reads all.
///
/// # Errors
/// [`ResultsError`] as for [`read_part`].
pub fn read_records(
    path: &Path,
    rows: Option<Range<u64>>,
) -> Result<Vec<RecordColumn>, ResultsError> {
    let records = Records::open(path)?;
    records.read(rows.unwrap_or(0..records.rows()))
}

/// The records of a part or result file, which is checked once and read by pieces.
pub struct Records {
    path: PathBuf,
    table: TableReader,
    head: TableHead,
    /// Its datasets are open as long as it is.
    _file: File,
}

impl Records {
    /// Opens a file and checks its seal and the heads of its columns.
    ///
    /// # Errors
    /// [`ResultsError`] as for [`read_part`].
    pub fn open(path: &Path) -> Result<Self, ResultsError> {
        Self::of(path, Table::Patients)
    }

    fn of(path: &Path, table: Table) -> Result<Self, ResultsError> {
        let (file, format) = open_sealed(path)?;
        let open = || -> Result<(TableReader, TableHead), Fault> {
            let layout = read_layout(&file, format)?;
            let table = TableReader::open(&file, format, table)?;
            let head = table.head(&layout)?;
            Ok((table, head))
        };
        let (table, head) = open().map_err(|fault| fault.reading(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            table,
            head,
            _file: file,
        })
    }

    /// Whether the file keeps none.
    pub fn is_empty(&self) -> bool {
        self.head.columns.is_empty()
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.table.rows()
    }

    /// Reads rows into memory.
    ///
    /// # Errors
    /// [`ResultsError`] if there are no such rows, they are too many to read at once, or the file
    /// cannot be read.
    pub fn read(&self, rows: Range<u64>) -> Result<Vec<RecordColumn>, ResultsError> {
        let read = self.head.check_size(&rows);
        read.and_then(|()| self.table.read(rows))
            .map_err(|fault| fault.reading(&self.path))
    }
}

/// Reads the table of blocks of a part or result file into memory; no columns without blocks.
///
/// # Errors
/// [`ResultsError`] as for [`read_part`].
pub fn read_blocks(path: &Path) -> Result<Vec<RecordColumn>, ResultsError> {
    let blocks = Records::of(path, Table::Blocks)?;
    blocks.read(0..blocks.rows())
}

/// Every patient of the range was screened, and nobody else.
fn check_range(range: &Range<u64>, tally: &Tally) -> Result<(), Fault> {
    ensure(
        range.start < range.end && range.end - range.start == tally.screened(),
        || {
            format!(
                "range {} to {} and {} patients screened",
                range.start,
                range.end,
                tally.screened()
            )
        },
    )
}

/// Opens a part or a result after checking its seal, and tells which of the two it is.
pub(crate) fn open_sealed(path: &Path) -> Result<(File, Format), ResultsError> {
    open_one_of(path, &Format::ALL, "part or result of a reseed run")
}

/// Opens a file of the wanted format after checking its seal.
pub(crate) fn open_as(path: &Path, wanted: Format) -> Result<File, ResultsError> {
    Ok(open_one_of(path, &[wanted], wanted.description())?.0)
}

/// `expected` is what an error calls a file that is none of the wanted.
fn open_one_of(
    path: &Path,
    wanted: &[Format],
    expected: &'static str,
) -> Result<(File, Format), ResultsError> {
    let kind = |problem: String| ResultsError::Kind {
        path: path.to_path_buf(),
        expected,
        problem,
    };
    seal::check(path, expected)?;
    if wanted.contains(&Format::Result) {
        heap::check(path)?;
    }
    let file = open(path).map_err(|fault| fault.reading(path))?;
    let format = Format::of(&file).ok_or_else(|| kind("it has no attribute format".into()))?;
    if !wanted.contains(&format) {
        return Err(kind(format!("it looks like a {}", format.description())));
    }
    let name = format.texts().read_attribute(&file, "format");
    let name = name.map_err(|_| kind("its format cannot be read".into()))?;
    if name != format.name() {
        return Err(kind(format!("its format is {name:?}")));
    }
    let version: u32 =
        read_attribute(&file, "format_version").map_err(|fault| fault.reading(path))?;
    if version > FORMAT_VERSION {
        return Err(ResultsError::Newer {
            path: path.to_path_buf(),
            found: version,
            newest: FORMAT_VERSION,
        });
    }
    if version < FORMAT_VERSION {
        return Err(ResultsError::Older {
            path: path.to_path_buf(),
            found: version,
        });
    }
    Ok((file, format))
}
