//! Comparisons as text.

use std::fmt::Write as _;

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, Table,
    TableStyle,
};

use crate::compare::{ComparedArm, Comparison};

/// What stands where there is no number.
pub(crate) const NOTHING: &str = "–";

const INFINITE: &str = "∞";

/// Largest number of decimals worth printing.
const DECIMALS_MAX: usize = 6;

const NOTES: &str = "\
Every arm treats the same patients, so differences and ratios (arm against
control) are paired; 95 % CI is their confidence interval.
incidence   cumulative incidence in percent (Aalen–Johansen), with its standard
            error (SE)
difference  in percentage points
NNT         number needed to treat: B patients per event prevented (benefit),
            H per event caused (harm); an interval through ∞ includes no effect
reseeded    share of the local recurrences that circulating cells founded
pairing     how many times more patients an unpaired comparison would need
";

impl Comparison {
    /// A table for people, for a terminal of this many columns. Where it is narrow, intervals go
    /// below their estimates.
    pub fn to_text(&self, width: u16) -> String {
        let mut text = self.header();
        for block in self.rows.chunk_by(same_block) {
            text.push('\n');
            text.push_str(&heading(&block[0]));
            text.push('\n');
            text.push_str(&table(block, width));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(NOTES);
        text
    }

    fn header(&self) -> String {
        let mut text = self.trial.clone();
        if !self.title.is_empty() {
            text = format!("{text}: {}", self.title);
        }
        text.push('\n');
        let mut line = |label: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{label:<10} {value}");
        };
        line("seed", &self.seed.to_string());
        line("digest", &self.digest);
        line("control", &self.control);
        line("screened", &grouped(self.patients_screened));
        line("enrolled", &grouped(self.patients_enrolled));
        let excluded: u64 = self.patients_excluded.iter().map(|e| e.patients).sum();
        let reasons: Vec<String> = self
            .patients_excluded
            .iter()
            .filter(|excluded| excluded.patients > 0)
            .map(|excluded| format!("{} {}", excluded.reason, grouped(excluded.patients)))
            .collect();
        let reasons = if reasons.is_empty() {
            String::new()
        } else {
            format!(" ({})", reasons.join(", "))
        };
        line("excluded", &format!("{}{reasons}", grouped(excluded)));
        text
    }
}

fn same_block(a: &ComparedArm, b: &ComparedArm) -> bool {
    a.stratum == b.stratum
        && a.endpoint == b.endpoint
        && a.time_days.total_cmp(&b.time_days).is_eq()
}

fn heading(row: &ComparedArm) -> String {
    let endpoint = endpoint_in_words(row.endpoint);
    let stratum = row.stratum.as_deref().unwrap_or("all patients");
    format!(
        "{endpoint} within {}, {stratum}, n = {} in each arm",
        years(row.time_years),
        grouped(row.patients)
    )
}

/// An endpoint, by its name in files.
pub(crate) fn endpoint_in_words(name: &str) -> &str {
    match name {
        "local" => "Local recurrence",
        "distant" => "Distant recurrence",
        "rfs" => "Recurrence or death",
        "death" => "Death of any cause",
        other => other,
    }
}

/// Two decimals at most, without trailing zeros.
fn years(years: f64) -> String {
    let text = format!("{years:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} {}", if text == "1" { "year" } else { "years" })
}

fn table(block: &[ComparedArm], width: u16) -> String {
    let digits = Digits::of(block);
    let columns: Vec<Column> = COLUMNS
        .into_iter()
        .filter(|column| column.title != "reseeded" || block[0].endpoint == "local")
        .collect();
    let wide = side_by_side(block, &columns, &digits).trim_fmt();
    if wide
        .lines()
        .all(|line| line.chars().count() <= width.into())
    {
        wide
    } else {
        stacked(block, &columns, &digits, width).trim_fmt()
    }
}

/// An estimate and, for most, how uncertain it is.
struct Column {
    title: &'static str,
    uncertainty: &'static str,
    cells: fn(&ComparedArm, &Digits) -> (String, String),
}

const COLUMNS: [Column; 6] = [
    Column {
        title: "incidence",
        uncertainty: "SE",
        cells: |row, digits| {
            (
                fixed(row.cumulative_incidence, 100.0, digits.incidence),
                fixed(
                    row.cumulative_incidence_standard_error,
                    100.0,
                    digits.incidence,
                ),
            )
        },
    },
    Column {
        title: "difference",
        uncertainty: "95 % CI",
        cells: |row, digits| {
            (
                fixed(row.risk_difference, 100.0, digits.difference),
                range(
                    row.risk_difference_lower,
                    row.risk_difference_upper,
                    100.0,
                    digits.difference,
                ),
            )
        },
    },
    Column {
        title: "ratio",
        uncertainty: "95 % CI",
        cells: |row, digits| {
            let infinite = row.risk_ratio.is_none() && row.risk_ratio_lower.is_some();
            (
                if infinite {
                    INFINITE.to_owned()
                } else {
                    fixed(row.risk_ratio, 1.0, digits.ratio)
                },
                range(
                    row.risk_ratio_lower,
                    row.risk_ratio_upper,
                    1.0,
                    digits.ratio,
                ),
            )
        },
    },
    Column {
        title: "NNT",
        uncertainty: "95 % CI",
        cells: |row, _| {
            (
                number_needed_to_treat(row),
                number_needed_to_treat_range(row),
            )
        },
    },
    Column {
        title: "reseeded",
        uncertainty: "",
        cells: |row, _| {
            let percent = |share: f64| format!("{} %", number(100.0 * share, 1));
            (
                row.reseeded_share.map_or(NOTHING.to_owned(), percent),
                String::new(),
            )
        },
    },
    Column {
        title: "pairing",
        uncertainty: "",
        cells: |row, _| {
            let times = |times: f64| format!("{}×", number(times, usize::from(times < 9.95)));
            (
                row.variance_reduction.map_or(NOTHING.to_owned(), times),
                String::new(),
            )
        },
    },
];

/// Uncertainties in columns of their own.
fn side_by_side(block: &[ComparedArm], columns: &[Column], digits: &Digits) -> Table {
    let split = |title: String, uncertainty: String, column: &Column| {
        let second = (!column.uncertainty.is_empty()).then_some(uncertainty);
        [Some(title), second].into_iter().flatten()
    };
    let header = columns.iter().flat_map(|column| {
        split(
            column.title.to_owned(),
            column.uncertainty.to_owned(),
            column,
        )
    });
    let rows = block.iter().map(|row| {
        let cells = columns.iter().flat_map(|column| {
            let (estimate, uncertainty) = (column.cells)(row, digits);
            split(estimate, uncertainty, column)
        });
        (row.arm.clone(), cells.collect())
    });
    lay_out(header.collect(), rows)
}

/// Uncertainties below their estimates, no wider than the terminal if that can be.
fn stacked(block: &[ComparedArm], columns: &[Column], digits: &Digits, width: u16) -> Table {
    let stack = |first: &str, second: &str| format!("{first}\n{second}").trim_end().to_owned();
    let header = columns
        .iter()
        .map(|column| stack(column.title, column.uncertainty));
    let rows = block.iter().map(|row| {
        let cells = columns.iter().map(|column| {
            let (estimate, uncertainty) = (column.cells)(row, digits);
            stack(&estimate, &uncertainty)
        });
        (row.arm.clone(), cells.collect())
    });
    let mut table = lay_out(header.collect(), rows);
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width);
    for (index, column) in table.column_iter_mut().enumerate() {
        // Names of arms and the long intervals of numbers needed to treat may wrap.
        if index > 0 && columns[index - 1].title != "NNT" {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// Arms in rows, numbers to the right.
pub(crate) fn lay_out(
    header: Vec<String>,
    rows: impl Iterator<Item = (String, Vec<String>)>,
) -> Table {
    let right = |content: String| Cell::new_owned(content).set_alignment(CellAlignment::Right);
    let line = |name: String, cells: Vec<String>| {
        std::iter::once(Cell::new_owned(name)).chain(cells.into_iter().map(right))
    };
    let mut table = Table::new();
    table
        .load_style(
            TableStyle::new()
                .header_lines(ContentLineStyle::none())
                .header_separator(LineStyle::none().fill('─'))
                .content_lines(ContentLineStyle::none()),
        )
        .set_header(line("arm".to_owned(), header));
    for (name, cells) in rows {
        table.add_row(line(name, cells));
    }
    let last = table.column_count() - 1;
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index < last { 2 } else { 0 }));
    }
    table
}

/// Decimals of a block's columns: as many as the standard errors make meaningful.
struct Digits {
    incidence: usize,
    difference: usize,
    ratio: usize,
}

impl Digits {
    fn of(block: &[ComparedArm]) -> Self {
        let percent = |error: Option<f64>| error.map(|error| 100.0 * error);
        let quarter = |row: &ComparedArm| {
            // A 95 % interval is about four standard errors wide.
            Some((row.risk_ratio_upper? - row.risk_ratio_lower?) / 4.0)
        };
        Self {
            incidence: decimals(
                block
                    .iter()
                    .map(|row| percent(row.cumulative_incidence_standard_error)),
            ),
            difference: decimals(
                block
                    .iter()
                    .map(|row| percent(row.risk_difference_standard_error)),
            ),
            ratio: decimals(block.iter().map(quarter)),
        }
    }
}

/// Enough decimals for the first digit of the smallest error that is not zero, at least one.
fn decimals(errors: impl Iterator<Item = Option<f64>>) -> usize {
    let smallest = errors
        .flatten()
        .filter(|error| *error > 0.0)
        .fold(f64::INFINITY, f64::min);
    let mut decimals = 1;
    let mut unit = 0.1;
    while unit > smallest && decimals < DECIMALS_MAX {
        decimals += 1;
        unit /= 10.0;
    }
    decimals
}

pub(crate) fn fixed(value: Option<f64>, scale: f64, decimals: usize) -> String {
    value.map_or(NOTHING.to_owned(), |value| number(scale * value, decimals))
}

pub(crate) fn range(lower: Option<f64>, upper: Option<f64>, scale: f64, decimals: usize) -> String {
    if lower.is_none() {
        return NOTHING.to_owned();
    }
    let upper = upper.map_or(INFINITE.to_owned(), |upper| number(scale * upper, decimals));
    format!("{} to {upper}", fixed(lower, scale, decimals))
}

/// A fixed number of decimals, and no sign on what rounds to zero.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_owned(),
        _ => text,
    }
}

fn number_needed_to_treat(row: &ComparedArm) -> String {
    match (row.number_needed_to_treat, row.risk_difference) {
        (Some(value), _) => signed_count(value),
        (None, Some(_)) => INFINITE.to_owned(),
        (None, None) => NOTHING.to_owned(),
    }
}

fn number_needed_to_treat_range(row: &ComparedArm) -> String {
    if row.risk_difference.is_none() {
        return NOTHING.to_owned();
    }
    let end = |end: Option<f64>| end.map_or(INFINITE.to_owned(), signed_count);
    let best = row.number_needed_to_treat_best;
    let worst = row.number_needed_to_treat_worst;
    match (best, worst) {
        (Some(from), Some(to)) if from > 0.0 && to < 0.0 => {
            format!("{} to ∞ to {}", end(best), end(worst))
        }
        (Some(_), Some(to)) => format!("{} to {}", end(best), count(to.abs())),
        _ => format!("{} to {}", end(best), end(worst)),
    }
}

/// Patients per event prevented (B) or caused (H).
fn signed_count(value: f64) -> String {
    let side = if value > 0.0 { "B" } else { "H" };
    format!("{side} {}", count(value.abs()))
}

/// Whole numbers from ten on.
fn count(size: f64) -> String {
    if size < 9.95 {
        return format!("{size:.1}");
    }
    separated(&format!("{size:.0}"))
}

pub(crate) fn grouped(count: u64) -> String {
    separated(&count.to_string())
}

/// Commas between groups of three digits.
fn separated(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
