//! Digests of contents: what two computations must agree on, whatever files they wrote.
//!
//! The byte layout is part of the file format and described in `docs/file-format.md`.

use std::fmt;
use std::ops::Range;

use reseed_stats::{RecordColumn, RecordValues, Tally};

use crate::records::Table;

/// A BLAKE3 digest; prints as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text)
            .ok()
            .map(|hash| Self(hash.into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Digest of a result: the canonical trial, the seed and the integer tallies.
pub fn result_digest(canonical_trial: &str, seed: u64, tally: &Tally) -> Digest {
    let mut writer = DigestWriter::new("reseed result digest 2");
    writer.text(canonical_trial);
    writer.number(seed);
    writer.tally(tally);
    writer.finish()
}

/// Digest of a part: the trial's fingerprint, the seed, the range of patients, the integer
/// tallies, and the tables of records and of blocks.
pub fn part_digest(
    fingerprint: &[u8; 32],
    seed: u64,
    range: &Range<u64>,
    tally: &Tally,
    [records, blocks]: [&[RecordColumn]; 2],
) -> Digest {
    let mut writer = DigestWriter::part(fingerprint, seed, range, tally);
    for (table, columns) in [(Table::Patients, records), (Table::Blocks, blocks)] {
        writer.table(table, columns.len());
        for column in columns {
            writer.column(
                &ColumnHead::of(column),
                column.rows().unwrap_or_default() as u64,
            );
            writer.values(&column.values);
        }
    }
    writer.finish()
}

/// A column without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnHead {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) description: String,
    pub(crate) width: usize,
    pub(crate) kind: ValueKind,
}

/// Type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    U64,
    U32,
    U8,
    F64,
}

impl ValueKind {
    pub(crate) fn of(values: &RecordValues) -> Self {
        match values {
            RecordValues::U64(_) => Self::U64,
            RecordValues::U32(_) => Self::U32,
            RecordValues::U8(_) => Self::U8,
            RecordValues::F64(_) => Self::F64,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::U64 => "u64",
            Self::U32 => "u32",
            Self::U8 => "u8",
            Self::F64 => "f64",
        }
    }
}

impl ColumnHead {
    pub(crate) fn of(column: &RecordColumn) -> Self {
        Self {
            name: column.name.clone(),
            unit: column.unit.clone(),
            description: column.description.clone(),
            width: column.width,
            kind: ValueKind::of(&column.values),
        }
    }
}

/// Feeds a digest. Every text is preceded by its length, every list by its number of items, so
/// that different contents never give the same bytes.
pub(crate) struct DigestWriter {
    hasher: blake3::Hasher,
}

impl DigestWriter {
    fn new(domain: &str) -> Self {
        let mut writer = Self {
            hasher: blake3::Hasher::new(),
        };
        writer.text(domain);
        writer
    }

    /// Starts the digest of a part; its tables follow.
    pub(crate) fn part(
        fingerprint: &[u8; 32],
        seed: u64,
        range: &Range<u64>,
        tally: &Tally,
    ) -> Self {
        let mut writer = Self::new("reseed part digest 2");
        writer.hasher.update(fingerprint);
        writer.number(seed);
        writer.number(range.start);
        writer.number(range.end);
        writer.tally(tally);
        writer
    }

    /// Starts a table of so many columns; each of them follows. A part without blocks has
    /// nothing to say of them.
    pub(crate) fn table(&mut self, table: Table, columns: usize) {
        if table == Table::Patients || columns > 0 {
            self.number(columns as u64);
        }
    }

    /// Starts a column of so many rows; its values follow.
    pub(crate) fn column(&mut self, head: &ColumnHead, rows: u64) {
        self.text(&head.name);
        self.text(&head.unit);
        self.text(&head.description);
        self.text(head.kind.name());
        self.number(head.width as u64);
        self.number(rows);
    }

    /// Adds values of a column.
    pub(crate) fn values(&mut self, values: &RecordValues) {
        match values {
            RecordValues::U64(values) => self.numbers(values, u64::to_le_bytes),
            RecordValues::U32(values) => self.numbers(values, u32::to_le_bytes),
            RecordValues::U8(values) => self.numbers(values, u8::to_le_bytes),
            RecordValues::F64(values) => self.numbers(values, |v| v.to_bits().to_le_bytes()),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.hasher.finalize().into())
    }

    fn tally(&mut self, tally: &Tally) {
        let tables = tally.tables();
        self.number(tables.len() as u64);
        for table in tables {
            self.text(&table.name);
            self.number(table.shape.len() as u64);
            for length in table.shape {
                self.number(length as u64);
            }
            self.numbers(table.values, u64::to_le_bytes);
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.hasher.update(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.hasher.update(&number.to_le_bytes());
    }

    fn numbers<T: Copy, const N: usize>(&mut self, values: &[T], bytes: impl Fn(T) -> [u8; N]) {
        let mut buffer = Vec::with_capacity(values.len().min(1 << 13) * N);
        for chunk in values.chunks(1 << 13) {
            buffer.clear();
            buffer.extend(chunk.iter().flat_map(|value| bytes(*value)));
            self.hasher.update(&buffer);
        }
    }
}
