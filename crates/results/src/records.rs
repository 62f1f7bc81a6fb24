//! The tables of patients and of blocks: one dataset per column, chunked and compressed, written and read by
//! pieces so that memory does not grow with the number of patients.

use std::ops::Range;
use std::path::Path;

use hdf5::{Dataset, File, Group, H5Type};
use ndarray::{Array1, Array2, ArrayView2, s};
use reseed_stats::{RecordColumn, RecordValues, Tally};

use crate::digest::{ColumnHead, DigestWriter, ValueKind};
use crate::hdf::{DEFLATE_LEVEL, Fault, ensure, open, open_dataset, open_group, write_texts};
use crate::layout::{AXIS_MAX, LIST_MAX, Layout};
use crate::scales::Scales;
use crate::sections::Format;
use crate::texts::TextForm;

/// A table of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// A row per enrolled patient.
    Patients,
    /// A row per block of patients.
    Blocks,
}

impl Table {
    pub(crate) const ALL: [Self; 2] = [Self::Patients, Self::Blocks];

    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Patients => "patients",
            Self::Blocks => "blocks",
        }
    }

    /// Checks the number of a part's rows. Reading would otherwise take as long as the number of
    /// rows that a file claims to have. Every enrolled patient has a row, unless there is no
    /// table; a block has a patient at least.
    pub(crate) fn check_rows(self, is_empty: bool, rows: u64, tally: &Tally) -> Result<(), Fault> {
        let enrolled: u64 = tally.enrolled().iter().sum();
        match self {
            Self::Patients => ensure(is_empty || rows == enrolled, || {
                format!("records of {rows} patients, of whom {enrolled} were enrolled")
            }),
            Self::Blocks => ensure(rows <= tally.screened(), || {
                format!("{rows} blocks of {} patients", tally.screened())
            }),
        }
    }

    /// Checks how many values a row of a column has.
    fn check_width(self, head: &ColumnHead, layout: &Layout) -> Result<(), Fault> {
        match self {
            Self::Patients => ensure(head.width == 1 || head.width == layout.shape.arms, || {
                format!(
                    "column {} has {} values per patient; 1 or one per arm are possible",
                    head.name, head.width
                )
            }),
            Self::Blocks => ensure((1..=AXIS_MAX).contains(&head.width), || {
                format!(
                    "column {} has {} values per block; 1 to {AXIS_MAX} are possible",
                    head.name, head.width
                )
            }),
        }
    }
}

/// Name of the column that says which patient or block a row is; it labels the rows of all others.
pub const INDEX_COLUMN: &str = "index";
/// Name of the labels of the other axis of columns with a value per arm.
const ARM: &str = "arm";
/// Most values that are read into memory at once (1 GiB).
const VALUES_MAX: u64 = 1 << 27;
/// Values per chunk, and per piece that is read or written at once.
const CHUNK_VALUES: usize = 1 << 16;

/// Checks that columns form a table and returns its number of rows.
pub(crate) fn check(table: Table, columns: &[RecordColumn], layout: &Layout) -> Result<u64, Fault> {
    let heads: Vec<ColumnHead> = columns.iter().map(ColumnHead::of).collect();
    check_heads(table, &heads, layout)?;
    let rows = columns.first().and_then(RecordColumn::rows);
    for column in columns {
        ensure(column.rows().is_some() && column.rows() == rows, || {
            format!(
                "column {} has another number of rows than the first",
                column.name
            )
        })?;
    }
    Ok(rows.unwrap_or(0) as u64)
}

fn check_heads(table: Table, heads: &[ColumnHead], layout: &Layout) -> Result<(), Fault> {
    let mut names: Vec<&str> = heads.iter().map(|head| head.name.as_str()).collect();
    names.sort_unstable();
    ensure(names.windows(2).all(|pair| pair[0] != pair[1]), || {
        "two columns have the same name".into()
    })?;
    ensure(heads.len() <= LIST_MAX, || {
        format!("{} columns; at most {LIST_MAX} are possible", heads.len())
    })?;
    for head in heads {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        ensure(
            !head.name.is_empty() && head.name.chars().all(plain) && head.name != ARM,
            || format!("{:?} cannot name a column", head.name),
        )?;
        table.check_width(head, layout)?;
    }
    let index = heads.iter().find(|head| head.name == INDEX_COLUMN);
    ensure(
        heads.is_empty()
            || index.is_some_and(|head| head.width == 1 && head.kind == ValueKind::U64),
        || format!("a table needs a column {INDEX_COLUMN} with one u64 per row"),
    )
}

/// A table of a file that is being written; all its rows are there, still empty.
pub(crate) struct TableWriter {
    table: Table,
    columns: Vec<(ColumnHead, Dataset)>,
}

impl TableWriter {
    /// Creates the table. Without columns there is none.
    pub(crate) fn create(
        file: &File,
        format: Format,
        table: Table,
        heads: &[ColumnHead],
        rows: u64,
        layout: &Layout,
    ) -> Result<Self, Fault> {
        check_heads(table, heads, layout)?;
        let texts = format.texts();
        let mut columns = Vec::with_capacity(heads.len());
        if heads.is_empty() {
            return Ok(Self { table, columns });
        }
        let rows = usize::try_from(rows).map_err(|_| format!("{rows} rows are too many"))?;
        let group = file.create_group(table.group())?;
        let names: Vec<&str> = heads.iter().map(|head| head.name.as_str()).collect();
        texts.write_list_attribute(&group, "order", &names)?;
        for head in heads {
            let dataset = match head.kind {
                ValueKind::U64 => create_column::<u64>(&group, head, rows),
                ValueKind::U32 => create_column::<u32>(&group, head, rows),
                ValueKind::U8 => create_column::<u8>(&group, head, rows),
                ValueKind::F64 => create_column::<f64>(&group, head, rows),
            }?;
            texts.describe(&dataset, &head.unit, &head.description)?;
            columns.push((head.clone(), dataset));
        }
        let writer = Self { table, columns };
        // The second axes of a block's columns have no common labels.
        if format == Format::Result && table == Table::Patients {
            writer.label(&group, layout)?;
        }
        Ok(writer)
    }

    fn label(&self, group: &Group, layout: &Layout) -> Result<(), Fault> {
        let mut scales = Scales::new(group);
        scales.add(INDEX_COLUMN, group.dataset(INDEX_COLUMN)?)?;
        scales.add(ARM, write_texts(group, ARM, &layout.arms)?)?;
        for (head, dataset) in &self.columns {
            let axes = [INDEX_COLUMN, ARM];
            if head.name != INDEX_COLUMN {
                scales.attach(dataset, &head.name, &axes[..dataset.ndim()])?;
            }
        }
        scales.finish()
    }

    /// Writes whole columns from memory.
    pub(crate) fn write(&self, columns: &[RecordColumn]) -> Result<(), Fault> {
        for ((_, dataset), column) in self.columns.iter().zip(columns) {
            write_rows(dataset, 0, column.width, &column.values)?;
        }
        Ok(())
    }

    /// Copies rows of another file's table to the rows from `to` on, piece by piece.
    pub(crate) fn copy(&self, to: u64, from: &Path, rows: Range<u64>) -> Result<(), Fault> {
        let piece = |fault: Fault| Fault::Other(fault.reading(from));
        let reader = checked_table(from, self.table).map_err(piece)?;
        for ((head, dataset), (_, source)) in self.columns.iter().zip(&reader.columns) {
            let step = CHUNK_VALUES.div_ceil(head.width) as u64;
            let mut start = rows.start;
            while start < rows.end {
                let end = rows.end.min(start + step);
                let values = read_rows(source, head, start..end).map_err(piece)?;
                write_rows(dataset, to + (start - rows.start), head.width, &values)?;
                start = end;
            }
        }
        Ok(())
    }
}

/// The table of a file whose seal and format have been checked.
fn checked_table(path: &Path, table: Table) -> Result<TableReader, Fault> {
    let file = open(path)?;
    let format = Format::of(&file).ok_or_else(|| "it has no format".to_owned())?;
    TableReader::open(&file, format, table)
}

/// A table without its values.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct TableHead {
    pub(crate) columns: Vec<ColumnHead>,
    pub(crate) rows: u64,
}

impl TableHead {
    /// Checks that so many rows may be read into memory: a file can claim more than it holds.
    pub(crate) fn check_size(&self, rows: &Range<u64>) -> Result<(), Fault> {
        let rows = rows.end.saturating_sub(rows.start);
        let width: usize = self.columns.iter().map(|column| column.width).sum();
        let values = rows.saturating_mul(width as u64);
        ensure(values <= VALUES_MAX, || {
            format!("{rows} rows of {width} values are too many to read at once")
        })
    }
}

/// A table of a file.
pub(crate) struct TableReader {
    table: Table,
    columns: Vec<(ColumnHead, Dataset)>,
    rows: u64,
}

impl TableReader {
    /// Opens the table; a file without one has no columns and no rows.
    pub(crate) fn open(file: &File, format: Format, table: Table) -> Result<Self, Fault> {
        let texts = format.texts();
        let name = table.group();
        let mut table = Self {
            table,
            columns: Vec::new(),
            rows: 0,
        };
        if !file.link_exists(name) {
            return Ok(table);
        }
        let group = open_group(file, name)?;
        for name in texts.read_list_attribute(&group, "order")? {
            let dataset = open_dataset(&group, &name)?;
            let (head, rows) = read_head(name, &dataset, texts)?;
            ensure(table.columns.is_empty() || rows == table.rows, || {
                format!(
                    "column {} has {rows} rows instead of {}",
                    head.name, table.rows
                )
            })?;
            table.rows = rows;
            table.columns.push((head, dataset));
        }
        Ok(table)
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// See [`Table::check_rows`].
    pub(crate) fn check_rows(&self, tally: &Tally) -> Result<(), Fault> {
        self.table
            .check_rows(self.columns.is_empty(), self.rows, tally)
    }

    /// What the table says of itself, checked.
    pub(crate) fn head(&self, layout: &Layout) -> Result<TableHead, Fault> {
        let columns: Vec<ColumnHead> = self.columns.iter().map(|(head, _)| head.clone()).collect();
        check_heads(self.table, &columns, layout)?;
        Ok(TableHead {
            columns,
            rows: self.rows,
        })
    }

    /// Adds all columns to a part's digest, piece by piece.
    pub(crate) fn digest(&self, digest: &mut DigestWriter) -> Result<(), Fault> {
        digest.table(self.table, self.columns.len());
        for (head, dataset) in &self.columns {
            digest.column(head, self.rows);
            let step = CHUNK_VALUES.div_ceil(head.width) as u64;
            let mut start = 0;
            while start < self.rows {
                let end = self.rows.min(start + step);
                digest.values(&read_rows(dataset, head, start..end)?);
                start = end;
            }
        }
        Ok(())
    }

    /// Reads rows of all columns into memory.
    pub(crate) fn read(&self, rows: Range<u64>) -> Result<Vec<RecordColumn>, Fault> {
        ensure(rows.start <= rows.end && rows.end <= self.rows, || {
            format!("rows {rows:?} of a table with {}", self.rows)
        })?;
        self.columns
            .iter()
            .map(|(head, dataset)| {
                Ok(RecordColumn {
                    name: head.name.clone(),
                    unit: head.unit.clone(),
                    description: head.description.clone(),
                    width: head.width,
                    values: read_rows(dataset, head, rows.clone())?,
                })
            })
            .collect()
    }
}

fn create_column<T: H5Type>(
    group: &Group,
    head: &ColumnHead,
    rows: usize,
) -> Result<Dataset, Fault> {
    let chunk_rows = CHUNK_VALUES.div_ceil(head.width).min(rows);
    let builder = group.new_dataset::<T>().obj_track_times(false);
    let builder = if rows == 0 {
        builder
    } else if head.width == 1 {
        builder.shuffle().deflate(DEFLATE_LEVEL).chunk(chunk_rows)
    } else {
        let chunk = (chunk_rows, head.width);
        builder.shuffle().deflate(DEFLATE_LEVEL).chunk(chunk)
    };
    let name = head.name.as_str();
    Ok(if head.width == 1 {
        builder.shape(rows).create(name)?
    } else {
        builder.shape((rows, head.width)).create(name)?
    })
}

fn read_head(name: String, dataset: &Dataset, texts: TextForm) -> Result<(ColumnHead, u64), Fault> {
    let shape = dataset.shape();
    let (rows, width) = match shape[..] {
        [rows] => (rows, 1),
        [rows, width] if (1..=AXIS_MAX).contains(&width) => (rows, width),
        _ => return Err(Fault::Problem(format!("column {name} has shape {shape:?}"))),
    };
    let found = dataset.dtype()?.to_descriptor()?;
    let kinds = [
        (u64::type_descriptor(), ValueKind::U64),
        (u32::type_descriptor(), ValueKind::U32),
        (u8::type_descriptor(), ValueKind::U8),
        (f64::type_descriptor(), ValueKind::F64),
    ];
    let kind = kinds
        .iter()
        .find(|(descriptor, _)| *descriptor == found)
        .map(|(_, kind)| *kind)
        .ok_or_else(|| Fault::Problem(format!("column {name} has an unknown type")))?;
    let unit = texts.read_attribute(dataset, "units")?;
    let description = texts.read_attribute(dataset, "long_name")?;
    let head = ColumnHead {
        name,
        unit,
        description,
        width,
        kind,
    };
    Ok((head, rows as u64))
}

fn read_rows(
    dataset: &Dataset,
    head: &ColumnHead,
    rows: Range<u64>,
) -> Result<RecordValues, Fault> {
    Ok(match head.kind {
        ValueKind::U64 => RecordValues::U64(read_slice(dataset, &rows)?),
        ValueKind::U32 => RecordValues::U32(read_slice(dataset, &rows)?),
        ValueKind::U8 => RecordValues::U8(read_slice(dataset, &rows)?),
        ValueKind::F64 => RecordValues::F64(read_slice(dataset, &rows)?),
    })
}

fn read_slice<T: H5Type + Clone>(dataset: &Dataset, rows: &Range<u64>) -> Result<Vec<T>, Fault> {
    let rows = position(rows.start)?..position(rows.end)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Ok(if dataset.ndim() == 1 {
        let values: Array1<T> = dataset.read_slice_1d(s![rows])?;
        values.into_raw_vec_and_offset().0
    } else {
        let values: Array2<T> = dataset.read_slice_2d(s![rows, ..])?;
        values.into_raw_vec_and_offset().0
    })
}

fn write_rows(
    dataset: &Dataset,
    start: u64,
    width: usize,
    values: &RecordValues,
) -> Result<(), Fault> {
    let start = position(start)?;
    match values {
        RecordValues::U64(values) => write_slice(dataset, start, width, values),
        RecordValues::U32(values) => write_slice(dataset, start, width, values),
        RecordValues::U8(values) => write_slice(dataset, start, width, values),
        RecordValues::F64(values) => write_slice(dataset, start, width, values),
    }
}

fn write_slice<T: H5Type>(
    dataset: &Dataset,
    start: usize,
    width: usize,
    values: &[T],
) -> Result<(), Fault> {
    let rows = values.len() / width;
    if rows == 0 {
        return Ok(());
    }
    let target = start..start + rows;
    if dataset.ndim() == 1 {
        dataset.write_slice(values, s![target])?;
    } else {
        let view = ArrayView2::from_shape((rows, width), values)
            .map_err(|error| Fault::Problem(error.to_string()))?;
        dataset.write_slice(view, s![target, ..])?;
    }
    Ok(())
}

fn position(row: u64) -> Result<usize, Fault> {
    usize::try_from(row).map_err(|_| Fault::Problem(format!("row {row} is too large")))
}
