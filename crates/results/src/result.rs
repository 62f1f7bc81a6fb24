//! Result files: all parts of a run merged, with estimates.

use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5::{File, Group};
use reseed_stats::Tally;

use crate::digest::{Digest, result_digest};
use crate::error::ResultsError;
use crate::estimates::write_estimates;
use crate::hdf::{
    Fault, describe, ensure, open_dataset, open_group, read_array, read_list, read_texts,
    write_array, write_texts,
};
use crate::layout::{Layout, RunIdentity};
use crate::part::{Attempt, open_as, open_sealed, read_open_part};
use crate::records::{Table, TableHead, TableReader, TableWriter};
use crate::sections::{
    Format, read_head, read_layout, read_tally, write_head, write_layout, write_tally,
};
use crate::whole;

/// Most shards a result may have.
const SHARDS_MAX: usize = 1 << 24;

/// A result file that was read and checked. Its records stay in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultFile {
    /// What run it is.
    pub identity: RunIdentity,
    /// Labels of the axes.
    pub layout: Layout,
    /// Tally of all patients.
    pub tally: Tally,
    /// Patients, by index: ordered, apart, and as few ranges as possible.
    pub ranges: Vec<Range<u64>>,
    /// The shards it was merged from, by their ranges, in order.
    pub shards: Vec<ShardEntry>,
    /// Free notes on how it was made, such as the host; not part of the digest.
    pub notes: Vec<(String, String)>,
    /// Digest of the canonical trial, the seed and the tally, see [`result_digest`].
    pub digest: Digest,
    /// In the order of [`Table::ALL`].
    tables: [TableHead; 2],
}

/// A shard of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardEntry {
    /// Patients, by index.
    pub range: Range<u64>,
    /// Digest of the part, see [`crate::part_digest`].
    pub digest: Digest,
    /// Rows of the patient table that are the shard's; those of earlier shards precede them.
    pub rows: u64,
    /// Rows of the table of blocks that are the shard's, likewise.
    pub block_rows: u64,
    /// How it was computed.
    pub attempt: Attempt,
}

impl ShardEntry {
    /// Rows of each table, in the order of [`Table::ALL`].
    fn table_rows(&self) -> [u64; 2] {
        [self.rows, self.block_rows]
    }
}

/// Merges part and result files of one run into a result file, written whole. The sources are
/// checked as when they are read; they may hold any ranges that do not overlap. `engine_version`
/// is that of the program that writes.
///
/// # Errors
/// [`ResultsError`] if a source cannot be read or belongs to another run, if two sources hold
/// the same patients, or if the result cannot be written; an older file of that name is then
/// still there.
pub fn write_result(
    path: &Path,
    sources: &[PathBuf],
    engine_version: &str,
    notes: &[(String, String)],
) -> Result<ResultFile, ResultsError> {
    let merged = Merged::of(sources, engine_version)?;
    let head = &merged.head;
    let digest = result_digest(&head.identity.trial_toml, head.identity.seed, &head.tally);
    let build = |file: &File| {
        write_head(
            file,
            Format::Result,
            &head.identity,
            digest,
            head.tally.screened(),
        )?;
        write_layout(file, Format::Result, &head.layout)?;
        write_tally(file, Format::Result, &head.layout, &head.tally)?;
        write_estimates(file, &head.layout, &head.tally)?;
        write_ranges(file, &merged.ranges())?;
        write_provenance(file, &merged.shards, notes)?;
        merged.write_tables(file)
    };
    let written = whole::write(path, build, read_result)?;
    if written.digest == digest {
        Ok(written)
    } else {
        Err(ResultsError::damaged(
            path,
            format!(
                "reading it back gives digest {}, not {digest}",
                written.digest
            ),
        ))
    }
}

/// Reads a result file and checks everything: seal, format, labels, sums, ranges and digest.
///
/// # Errors
/// [`ResultsError`] if the file cannot be read, is not a result, is newer than this program, or
/// does not hold what it promises.
pub fn read_result(path: &Path) -> Result<ResultFile, ResultsError> {
    read_open_result(&open_as(path, Format::Result)?, path)
}

fn read_open_result(file: &File, path: &Path) -> Result<ResultFile, ResultsError> {
    read_checked(file).map_err(|fault| fault.reading(path))
}

fn read_checked(file: &File) -> Result<ResultFile, Fault> {
    let (identity, digest) = read_head(file, Format::Result)?;
    let layout = read_layout(file, Format::Result)?;
    let tally = read_tally(file, Format::Result, &layout)?;
    let found = result_digest(&identity.trial_toml, identity.seed, &tally);
    ensure(found == digest, || {
        format!("its contents have digest {found}, but it promises {digest}")
    })?;
    let (shards, notes) = read_provenance(file)?;
    let ranges = read_ranges(file)?;
    let whole = shards
        .windows(2)
        .all(|pair| pair[0].range.end <= pair[1].range.start)
        && ranges == normalised(shards.iter().map(|shard| shard.range.clone()))
        && total(&ranges) == tally.screened();
    ensure(whole, || {
        "its shards, ranges and screened patients do not agree".into()
    })?;
    let mut tables = [TableHead::default(), TableHead::default()];
    for (at, table) in Table::ALL.into_iter().enumerate() {
        let table_reader = TableReader::open(file, Format::Result, table)?;
        table_reader.check_rows(&tally)?;
        tables[at] = table_reader.head(&layout)?;
        let rows = shards
            .iter()
            .try_fold(0u64, |sum, shard| sum.checked_add(shard.table_rows()[at]));
        ensure(rows == Some(tables[at].rows), || {
            format!("its shards and its table of {} do not agree", table.group())
        })?;
    }
    Ok(ResultFile {
        identity,
        layout,
        tally,
        ranges,
        shards,
        notes,
        digest,
        tables,
    })
}

/// What all sources must share, and their sum.
struct Head {
    identity: RunIdentity,
    layout: Layout,
    tally: Tally,
    tables: [TableHead; 2],
}

impl From<ResultFile> for Head {
    fn from(file: ResultFile) -> Self {
        Self {
            identity: file.identity,
            layout: file.layout,
            tally: file.tally,
            tables: file.tables,
        }
    }
}

/// A shard and where the rows of its tables are.
struct Located {
    entry: ShardEntry,
    path: PathBuf,
    first_rows: [u64; 2],
}

/// Sources put together; their tables stay where they are.
struct Merged {
    head: Head,
    shards: Vec<Located>,
}

impl Merged {
    fn of(sources: &[PathBuf], engine_version: &str) -> Result<Self, ResultsError> {
        let mut merged: Option<Self> = None;
        for path in sources {
            let source = Self::read(path)?;
            match &mut merged {
                None => merged = Some(source),
                Some(merged) => merged.add(source, path)?,
            }
        }
        let mut merged = merged
            .ok_or_else(|| ResultsError::Contents("a result needs at least one part".into()))?;
        engine_version.clone_into(&mut merged.head.identity.engine_version);
        merged.shards.sort_by_key(|shard| shard.entry.range.start);
        for pair in merged.shards.windows(2) {
            let (first, second) = (&pair[0].entry.range, &pair[1].entry.range);
            if first.end > second.start {
                return Err(ResultsError::Overlap {
                    range: second.start..first.end.min(second.end),
                    first: pair[0].path.clone(),
                    second: pair[1].path.clone(),
                });
            }
        }
        Ok(merged)
    }

    fn read(path: &Path) -> Result<Self, ResultsError> {
        let (file, format) = open_sealed(path)?;
        let (head, entries) = if format == Format::Part {
            let part = read_open_part(&file, path)?;
            let entry = ShardEntry {
                range: part.info.range,
                digest: part.info.digest,
                rows: part.tables[0].rows,
                block_rows: part.tables[1].rows,
                attempt: part.info.attempt,
            };
            let head = Head {
                identity: part.identity,
                layout: part.layout,
                tally: part.tally,
                tables: part.tables,
            };
            (head, vec![entry])
        } else {
            let mut result = read_open_result(&file, path)?;
            let entries = std::mem::take(&mut result.shards);
            (result.into(), entries)
        };
        let mut first_rows = [0; 2];
        let shards = entries
            .into_iter()
            .map(|entry| {
                let located = Located {
                    path: path.to_path_buf(),
                    first_rows,
                    entry,
                };
                for (first, rows) in first_rows.iter_mut().zip(located.entry.table_rows()) {
                    *first += rows;
                }
                located
            })
            .collect();
        Ok(Self { head, shards })
    }

    fn add(&mut self, source: Self, path: &Path) -> Result<(), ResultsError> {
        same_run(
            &self.head.identity,
            &self.head.layout,
            &source.head.identity,
            &source.head.layout,
        )
        .and_then(|()| {
            let columns = |head: &Head| head.tables.clone().map(|table| table.columns);
            if columns(&self.head) == columns(&source.head) {
                Ok(())
            } else {
                Err("its patient records or blocks have other columns".into())
            }
        })
        .map_err(|problem| ResultsError::Foreign {
            path: path.to_path_buf(),
            problem,
        })?;
        self.shards.extend(source.shards);
        self.head
            .tally
            .merge(&source.head.tally)
            .map_err(|source| ResultsError::Tally {
                path: path.to_path_buf(),
                source,
            })
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        normalised(self.shards.iter().map(|shard| shard.entry.range.clone()))
    }

    fn write_tables(&self, file: &File) -> Result<(), Fault> {
        for (at, table) in Table::ALL.into_iter().enumerate() {
            let rows_of = |shard: &Located| shard.entry.table_rows()[at];
            let writer = TableWriter::create(
                file,
                Format::Result,
                table,
                &self.head.tables[at].columns,
                self.shards.iter().map(rows_of).sum(),
                &self.head.layout,
            )?;
            let mut row = 0;
            for shard in &self.shards {
                let (first, rows) = (shard.first_rows[at], rows_of(shard));
                writer.copy(row, &shard.path, first..first + rows)?;
                row += rows;
            }
        }
        Ok(())
    }
}

/// Whether two files belong to the same run and have the same axes; if not, what differs.
pub(crate) fn same_run(
    identity: &RunIdentity,
    layout: &Layout,
    other: &RunIdentity,
    other_layout: &Layout,
) -> Result<(), String> {
    if other.model_version != identity.model_version {
        return Err(format!(
            "it was computed with model version {}, the run with {}",
            other.model_version, identity.model_version
        ));
    }
    if other.fingerprint != identity.fingerprint || other.trial_toml != identity.trial_toml {
        return Err(format!(
            "its trial has fingerprint {}, the run's {}; results of different trials cannot be put together",
            Digest(other.fingerprint),
            Digest(identity.fingerprint)
        ));
    }
    if other.seed != identity.seed {
        return Err(format!(
            "its seed is {}, the run's {}; its patients are others",
            other.seed, identity.seed
        ));
    }
    if other_layout != layout {
        return Err(format!(
            "engine version {} wrote it with other axes than version {}",
            other.engine_version, identity.engine_version
        ));
    }
    Ok(())
}

/// Ordered ranges with neighbours joined.
fn normalised(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

fn total(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

fn write_ranges(file: &File, ranges: &[Range<u64>]) -> Result<(), Fault> {
    let values: Vec<u64> = ranges
        .iter()
        .flat_map(|range| [range.start, range.end])
        .collect();
    let dataset = write_array(file, "ranges", &[ranges.len(), 2], &values)?;
    describe(
        &dataset,
        "",
        "patients screened: first index, and the index after the last",
    )
}

fn read_ranges(file: &File) -> Result<Vec<Range<u64>>, Fault> {
    let shape = open_dataset(file, "ranges")?.shape();
    ensure(
        shape.len() == 2 && shape[0] <= SHARDS_MAX && shape[1] == 2,
        || format!("ranges have shape {shape:?}"),
    )?;
    let values: Vec<u64> = read_array(file, "ranges", &shape)?;
    let ranges: Vec<Range<u64>> = values.chunks(2).map(|pair| pair[0]..pair[1]).collect();
    ensure(ranges.iter().all(|range| range.start < range.end), || {
        "a range is empty".into()
    })?;
    Ok(ranges)
}

fn write_provenance(
    file: &File,
    shards: &[Located],
    notes: &[(String, String)],
) -> Result<(), Fault> {
    let provenance = file.create_group("provenance")?;
    let group = provenance.create_group("notes")?;
    let (names, values): (Vec<&String>, Vec<&String>) = notes.iter().map(|(n, v)| (n, v)).unzip();
    write_texts(&group, "name", &names)?;
    write_texts(&group, "value", &values)?;
    let group = provenance.create_group("shards")?;
    write_shard_column(&group, "start", "first patient", shards, |s| s.range.start)?;
    write_shard_column(&group, "end", "patient after the last", shards, |s| {
        s.range.end
    })?;
    write_shard_column(&group, "rows", "rows of the patient table", shards, |s| {
        s.rows
    })?;
    write_shard_column(
        &group,
        "block_rows",
        "rows of the table of blocks",
        shards,
        |s| s.block_rows,
    )?;
    write_shard_column(&group, "attempt", "attempt, from 1", shards, |s| {
        s.attempt.number
    })?;
    write_shard_column(&group, "seconds", "time taken, s", shards, |s| {
        s.attempt.seconds
    })?;
    let digests: Vec<String> = shards.iter().map(|s| s.entry.digest.to_string()).collect();
    describe(
        &write_texts(&group, "digest", &digests)?,
        "",
        "digest of the part",
    )?;
    let workers: Vec<&str> = shards
        .iter()
        .map(|s| s.entry.attempt.worker.as_str())
        .collect();
    describe(
        &write_texts(&group, "worker", &workers)?,
        "",
        "who computed it",
    )
}

fn write_shard_column<T: hdf5::H5Type>(
    group: &Group,
    name: &str,
    long_name: &str,
    shards: &[Located],
    value: impl Fn(&ShardEntry) -> T,
) -> Result<(), Fault> {
    let values: Vec<T> = shards.iter().map(|shard| value(&shard.entry)).collect();
    describe(
        &write_array(group, name, &[values.len()], &values)?,
        "",
        long_name,
    )
}

type Provenance = (Vec<ShardEntry>, Vec<(String, String)>);

fn read_provenance(file: &File) -> Result<Provenance, Fault> {
    let provenance = open_group(file, "provenance")?;
    let group = open_group(&provenance, "notes")?;
    let names = read_texts(&group, "name", SHARDS_MAX)?;
    let values = read_texts(&group, "value", SHARDS_MAX)?;
    ensure(names.len() == values.len(), || {
        "its notes have more names than values, or fewer".into()
    })?;
    let notes = names.into_iter().zip(values).collect();
    let group = open_group(&provenance, "shards")?;
    let starts: Vec<u64> = read_list(&group, "start", SHARDS_MAX)?;
    let shape = [starts.len()];
    let ends: Vec<u64> = read_array(&group, "end", &shape)?;
    let rows: Vec<u64> = read_array(&group, "rows", &shape)?;
    // Files of before there were blocks have none.
    let block_rows: Vec<u64> = if group.link_exists("block_rows") {
        read_array(&group, "block_rows", &shape)?
    } else {
        vec![0; starts.len()]
    };
    let numbers: Vec<u32> = read_array(&group, "attempt", &shape)?;
    let seconds: Vec<f64> = read_array(&group, "seconds", &shape)?;
    let digests = read_texts(&group, "digest", SHARDS_MAX)?;
    let workers = read_texts(&group, "worker", SHARDS_MAX)?;
    ensure(
        digests.len() == starts.len() && workers.len() == starts.len(),
        || "the columns of its shards differ in length".into(),
    )?;
    let mut shards = Vec::with_capacity(starts.len());
    for (at, worker) in workers.into_iter().enumerate() {
        let digest = Digest::from_hex(&digests[at])
            .ok_or_else(|| format!("shard {at} has no valid digest"))?;
        ensure(starts[at] < ends[at], || format!("shard {at} is empty"))?;
        shards.push(ShardEntry {
            range: starts[at]..ends[at],
            digest,
            rows: rows[at],
            block_rows: block_rows[at],
            attempt: Attempt {
                worker,
                number: numbers[at],
                seconds: seconds[at],
            },
        });
    }
    Ok((shards, notes))
}
