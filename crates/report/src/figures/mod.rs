//! Figures: from plain data to a drawing, a table of its numbers and a file for programs. Nothing
//! here estimates or reads anything.

pub mod agreement;
pub(crate) mod canvas;
pub mod causes;
pub mod curves;
pub mod flow;
pub mod heat_map;
pub mod rows;

use canvas::Canvas;

/// A drawing with its numbers.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Identifies it; the stem of its files.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What it shows, in words.
    pub description: String,
    /// Its numbers, for people.
    pub table: Table,
    /// Its numbers, for programs.
    pub data: Table,
    canvas: Canvas,
    file: Option<Canvas>,
}

/// A table of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Heads of the columns.
    pub columns: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn push<const N: usize>(&mut self, row: [String; N]) {
        self.rows.push(row.into());
    }

    /// The table as a CSV file.
    pub(crate) fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for line in std::iter::once(&self.columns).chain(&self.rows) {
            writer
                .write_record(line)
                .expect("rows are as long as the head, and memory is no file");
        }
        let bytes = writer.into_inner().expect("memory has room");
        String::from_utf8(bytes).expect("texts are UTF-8")
    }
}

impl Figure {
    /// The drawing as an element of a page.
    pub fn embedded(&self) -> String {
        let Self {
            name,
            title,
            description,
            ..
        } = self;
        self.canvas.embedded(name, title, description)
    }

    /// The drawing as an SVG file.
    pub fn svg(&self) -> String {
        let canvas = self.file.as_ref().unwrap_or(&self.canvas);
        canvas.file(&self.title, &self.description)
    }

    /// The numbers as a CSV file.
    pub fn csv(&self) -> String {
        self.data.csv()
    }
}

/// Names, titles and descriptions of figures as a CSV file.
pub fn list_csv<'a>(figures: impl IntoIterator<Item = &'a Figure>) -> String {
    let mut list = Table::new(&["name", "title", "description"]);
    for Figure {
        name,
        title,
        description,
        ..
    } in figures
    {
        list.push([name.clone(), title.clone(), description.clone()]);
    }
    list.csv()
}

/// How the lines and bands of one of many look: six colours that the colour-blind tell apart
/// (Okabe and Ito), then the same with broken lines. The reference is drawn in ink.
pub(crate) fn style(index: usize, reference: usize) -> String {
    const COLOURS: usize = 6;
    if index == reference {
        return "c0 d0".into();
    }
    let place = if index > reference { index - 1 } else { index };
    format!("c{} d{}", 1 + place % COLOURS, (place / COLOURS) % 4)
}

/// A number for programs; nothing where there is none.
pub(crate) fn exact(value: f64) -> String {
    if value.is_finite() {
        value.to_string()
    } else {
        String::new()
    }
}

/// A number with so many decimals, a dash where there is none.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if value.is_finite() {
        format!("{value:.decimals$}")
    } else if value == f64::INFINITY {
        "∞".into()
    } else {
        "–".into()
    }
}

/// An estimate and its interval.
pub(crate) fn with_interval(value: f64, interval: (f64, f64), decimals: usize) -> String {
    let (lower, upper) = (fixed(interval.0, decimals), fixed(interval.1, decimals));
    format!("{} ({lower} to {upper})", fixed(value, decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_differ_and_only_the_reference_is_in_ink() {
        let styles: Vec<String> = (0..12).map(|index| style(index, 3)).collect();
        let distinct: std::collections::BTreeSet<&String> = styles.iter().collect();
        assert_eq!(distinct.len(), 12);
        assert_eq!(styles[3], "c0 d0");
        assert_eq!(
            styles
                .iter()
                .filter(|style| style.starts_with("c0"))
                .count(),
            1
        );
    }

    #[test]
    fn what_is_not_known_is_no_number() {
        assert_eq!(exact(f64::NAN), "");
        assert_eq!(exact(0.25), "0.25");
        assert_eq!(
            with_interval(0.5, (f64::NAN, f64::INFINITY), 1),
            "0.5 (– to ∞)"
        );
    }
}
