//! Per-patient records as plain columns, so that the engine that fills them and the files that
//! keep them need not know each other.

/// One column of the patient table.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordColumn {
    /// Name, unique in the table; also the name in files.
    pub name: String,
    /// Unit, such as `mm` or `day`; `1` for counts and fractions.
    pub unit: String,
    /// What the column holds, in one sentence.
    pub description: String,
    /// Values per patient: one, or one per arm.
    pub width: usize,
    /// Values, patient by patient (`rows * width` of them).
    pub values: RecordValues,
}

impl RecordColumn {
    /// The column of this name.
    pub fn named<'a>(columns: &'a [Self], name: &str) -> Option<&'a Self> {
        columns.iter().find(|column| column.name == name)
    }

    /// The values, if they are counts of 64 bits, so many to a row.
    pub fn counts(&self, width: usize) -> Option<&[u64]> {
        match &self.values {
            RecordValues::U64(values) if self.width == width => Some(values),
            _ => None,
        }
    }

    /// The values, if they are floating point, so many to a row.
    pub fn numbers(&self, width: usize) -> Option<&[f64]> {
        match &self.values {
            RecordValues::F64(values) if self.width == width => Some(values),
            _ => None,
        }
    }

    /// Number of patients, if the values fill whole rows.
    pub fn rows(&self) -> Option<usize> {
        let len = self.values.len();
        (self.width > 0 && len.is_multiple_of(self.width)).then(|| len / self.width)
    }
}

/// Values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordValues {
    /// Unsigned, 64 bits.
    U64(Vec<u64>),
    /// Unsigned, 32 bits.
    U32(Vec<u32>),
    /// Unsigned, 8 bits; also codes and yes (1) or no (0).
    U8(Vec<u8>),
    /// Floating point, 64 bits.
    F64(Vec<f64>),
}

impl RecordValues {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::U64(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::U8(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
