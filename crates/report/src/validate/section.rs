//! Predictions for patients as a section of a report.

use super::Validation;
use super::text::{GROUP_COLUMNS, NOTES, group_cells, heading};
use crate::figures::{Figure, Table};
use crate::text::endpoint_in_words;

/// What a report says of predictions for patients.
#[derive(Debug)]
pub(crate) struct Validated {
    /// What was predicted.
    pub(crate) endpoint: &'static str,
    /// Who the patients are.
    pub(crate) about: String,
    /// Measures by time, then groups of patients.
    pub(crate) tables: Vec<Titled>,
    /// What the measures mean.
    pub(crate) notes: &'static str,
    pub(crate) figures: Vec<Figure>,
}

/// A table with its heading.
#[derive(Debug)]
pub(crate) struct Titled {
    pub(crate) title: String,
    pub(crate) table: Table,
}

impl Validation {
    /// The section, if patients were followed.
    pub(crate) fn cohort_section(&self) -> Option<Validated> {
        let cohort = self.cohort.as_ref()?;
        let endpoint = endpoint_in_words(cohort.endpoint);
        let mut tables = vec![Titled {
            title: format!("{endpoint}, predicted and observed"),
            table: cohort.measures(),
        }];
        tables.extend(cohort.tables().map(|groups| Titled {
            title: heading(endpoint, &groups[0]),
            table: table(GROUP_COLUMNS, groups.iter().map(group_cells)),
        }));
        Some(Validated {
            endpoint,
            about: cohort.about(),
            tables,
            notes: NOTES,
            figures: self.cohort_figures(),
        })
    }
}

fn table(
    columns: impl IntoIterator<Item = impl Into<String>>,
    rows: impl Iterator<Item = (String, Vec<String>)>,
) -> Table {
    let named = |(name, cells): (String, Vec<String>)| [vec![name], cells].concat();
    Table {
        columns: std::iter::once(String::new())
            .chain(columns.into_iter().map(Into::into))
            .collect(),
        rows: rows.map(named).collect(),
    }
}
