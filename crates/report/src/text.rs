//! Comparisons as text.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, ContentLineStyle, LineStyle, Table, TableStyle};

use crate::compare::{ComparedArm, Comparison, YearlyHazard};
use crate::figures;

/// What stands where there is no number.
pub(crate) const NOTHING: &str = "–";

const INFINITE: &str = "∞";

/// Largest number of decimals worth printing.
const DECIMALS_MAX: usize = 6;

const NOTES: &str = "\
Every arm treats the same patients, so differences and ratios (arm against
control) are paired; 95 % CI is their confidence interval. Follow-up is taken
to end at the time of each table.
";

/// Columns of the text unless others are asked for.
const DEFAULT: [&str; 7] = [
    "incidence",
    "difference",
    "hr",
    "nnt",
    "p",
    "reseeded",
    "pairing",
];

/// Names of the columns that the text may have, in the order in which it has them.
pub fn column_names() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|column| column.name)
}

impl Comparison {
    /// Tables for people, for a terminal of this many columns, with the columns of these names
    /// ([`column_names`]); the most important ones if there are no names. Where the terminal is
    /// narrow, intervals go below their estimates.
    pub fn to_text(&self, width: u16, names: &[&str]) -> String {
        let names = if names.is_empty() { &DEFAULT } else { names };
        let chosen: Vec<&'static Column> = COLUMNS
            .iter()
            .filter(|column| names.contains(&column.name))
            .collect();
        let mut text = self.header();
        for block in self.rows.chunk_by(same_block) {
            text.push('\n');
            text.push_str(&heading(&block[0]));
            text.push('\n');
            text.push_str(&table(block, &chosen, width));
            text.push('\n');
        }
        for block in self.hazards.chunk_by(same_hazards) {
            text.push('\n');
            text.push_str(&yearly(block));
        }
        text.push('\n');
        text.push_str(NOTES);
        for column in chosen {
            text.push_str(&note(column));
        }
        text
    }

    fn header(&self) -> String {
        let mut text = first_line(&self.trial, &self.title);
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

fn same_hazards(a: &YearlyHazard, b: &YearlyHazard) -> bool {
    a.stratum == b.stratum && a.endpoint == b.endpoint
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

/// What a text is about: the name of the trial, and its title if it has one.
pub(crate) fn first_line(trial: &str, title: &str) -> String {
    if title.is_empty() {
        format!("{trial}\n")
    } else {
        format!("{trial}: {title}\n")
    }
}

/// An endpoint, by its name in files.
pub(crate) fn endpoint_in_words(name: &str) -> &str {
    match name {
        "local" => "Local recurrence",
        "distant" => "Distant recurrence",
        "recurrence" => "Any recurrence",
        "rfs" => "Recurrence or death",
        "death" => "Death of any cause",
        other => other,
    }
}

/// `5 years`, `1 year`, `2.5 years`.
pub(crate) fn years(years: f64) -> String {
    let text = decimal(years);
    let unit = if text == "1" { "year" } else { "years" };
    format!("{text} {unit}")
}

/// Two decimals at most, without trailing zeros.
fn decimal(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Two digits that matter, down to what nobody can tell from nothing.
fn p_value(value: Option<f64>) -> String {
    match value {
        None => NOTHING.to_owned(),
        Some(value) if value < 0.0001 => "<0.0001".to_owned(),
        Some(value) if value < 0.001 => number(value, 4),
        Some(value) if value < 0.095 => number(value, 3),
        Some(value) => number(value, 2),
    }
}

/// Hazards of all arms, a line for each year.
fn yearly(block: &[YearlyHazard]) -> String {
    let arms: Vec<&[YearlyHazard]> = block.chunk_by(|a, b| a.arm == b.arm).collect();
    let mut lines = Vec::new();
    for (position, year) in arms[0].iter().enumerate() {
        let per_hundred = |arm: &&[YearlyHazard]| fixed(arm[position].hazard_per_year, 100.0, 3);
        let span = format!("{} to {}", decimal(year.from_years), decimal(year.to_years));
        lines.push((span, arms.iter().map(per_hundred).collect()));
    }
    let names = arms.iter().map(|arm| arm[0].arm.clone()).collect();
    let stratum = block[0].stratum.as_deref().unwrap_or("all patients");
    let endpoint = endpoint_in_words(block[0].endpoint);
    let table = lay_out("years", names, lines.into_iter());
    format!(
        "{endpoint}, events per 100 person-years, {stratum}\n{}\n",
        table.trim_fmt()
    )
}

fn table(block: &[ComparedArm], chosen: &[&'static Column], width: u16) -> String {
    let columns: Vec<Filled> = chosen
        .iter()
        .filter(|column| !column.of_local || block[0].endpoint == "local")
        .map(|column| column.fill(block))
        .collect();
    let wide = side_by_side(block, &columns).trim_fmt();
    if fits(&wide, width) {
        return wide;
    }
    in_pieces(block, &columns, width).join("\n\n")
}

/// Tables of a few columns each with uncertainties below their estimates, as few as the width
/// allows.
fn in_pieces(block: &[ComparedArm], columns: &[Filled], width: u16) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    let mut start = 0;
    for end in 1..=columns.len() {
        let table = stacked(block, &columns[start..end]).trim_fmt();
        if end == start + 1 || fits(&table, width) {
            tables.truncate(tables.len() - usize::from(end > start + 1));
            tables.push(table);
        } else {
            start = end - 1;
            tables.push(stacked(block, &columns[start..end]).trim_fmt());
        }
    }
    tables
}

fn fits(table: &str, width: u16) -> bool {
    let mut lines = table.lines();
    lines.all(|line| line.chars().count() <= width.into())
}

/// An estimate and, for most, how uncertain it is.
struct Column {
    /// On the command line.
    name: &'static str,
    title: &'static str,
    uncertainty: &'static str,
    note: &'static str,
    /// Whether it says something about local recurrences only.
    of_local: bool,
    cells: Cells,
}

/// What stands in the cells of a column.
enum Cells {
    /// A number and its standard error, times this.
    Error(fn(&ComparedArm) -> [Option<f64>; 2], f64),
    /// A number and its limits, times this.
    Limits(fn(&ComparedArm) -> [Option<f64>; 3], f64),
    /// Texts.
    Texts(fn(&ComparedArm) -> [String; 2]),
}

/// A column of a table: the texts of each row.
struct Filled {
    column: &'static Column,
    cells: Vec<[String; 2]>,
}

impl Column {
    const PLAIN: Self = Self {
        name: "",
        title: "",
        uncertainty: "95 % CI",
        note: "",
        of_local: false,
        cells: Cells::Texts(|_| [String::new(), String::new()]),
    };

    /// The texts of a block, with as many decimals as its errors make meaningful.
    fn fill(&'static self, block: &[ComparedArm]) -> Filled {
        let cells = match self.cells {
            Cells::Error(of, scale) => {
                let digits = decimals(block.iter().map(|row| Some(of(row)[1]? * scale)));
                let text = |number| fixed(number, scale, digits);
                block.iter().map(|row| of(row).map(text)).collect()
            }
            Cells::Limits(of, scale) => {
                // A 95 % interval is about four standard errors wide.
                let quarter = |row: &ComparedArm| {
                    let [_, lower, upper] = of(row);
                    Some((upper? - lower?) * scale / 4.0)
                };
                let digits = decimals(block.iter().map(quarter));
                let texts = |row: &ComparedArm| {
                    let [value, lower, upper] = of(row);
                    let infinite = value.is_none() && lower.is_some();
                    let value = if infinite {
                        INFINITE.to_owned()
                    } else {
                        fixed(value, scale, digits)
                    };
                    [value, range(lower, upper, scale, digits)]
                };
                block.iter().map(texts).collect()
            }
            Cells::Texts(of) => block.iter().map(of).collect(),
        };
        Filled {
            column: self,
            cells,
        }
    }
}

/// Percent of a fraction.
const PERCENT: f64 = 100.0;

static COLUMNS: [Column; 21] = [
    Column {
        name: "incidence",
        title: "incidence",
        uncertainty: "SE",
        note: "cumulative incidence in percent (Aalen–Johansen), with its standard error (SE)",
        cells: Cells::Error(
            |row| {
                [
                    row.cumulative_incidence,
                    row.cumulative_incidence_standard_error,
                ]
            },
            PERCENT,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "survival",
        title: "survival",
        note: "percent with neither the event nor one that competes with it (Kaplan–Meier)",
        cells: Cells::Limits(
            |row| [row.survival, row.survival_lower, row.survival_upper],
            PERCENT,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "lost",
        title: "lost",
        note: "restricted mean time lost to the event, days",
        cells: Cells::Limits(
            |row| [row.days_lost, row.days_lost_lower, row.days_lost_upper],
            1.0,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "difference",
        title: "difference",
        note: "in percentage points",
        cells: Cells::Limits(
            |row| {
                [
                    row.risk_difference,
                    row.risk_difference_lower,
                    row.risk_difference_upper,
                ]
            },
            PERCENT,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "simultaneous",
        title: "all arms",
        note: "difference in percentage points; the intervals of all arms hold at once (Šidák)",
        cells: Cells::Limits(
            |row| {
                [
                    row.risk_difference,
                    row.risk_difference_simultaneous_lower,
                    row.risk_difference_simultaneous_upper,
                ]
            },
            PERCENT,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "lost-difference",
        title: "lost, diff.",
        note: "days of restricted mean time lost, arm less control",
        cells: Cells::Limits(
            |row| {
                [
                    row.days_lost_difference,
                    row.days_lost_difference_lower,
                    row.days_lost_difference_upper,
                ]
            },
            1.0,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "ratio",
        title: "ratio",
        note: "of cumulative incidences",
        cells: Cells::Limits(
            |row| [row.risk_ratio, row.risk_ratio_lower, row.risk_ratio_upper],
            1.0,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "hr",
        title: "HR",
        note: "hazard ratio of the event (Cox); within strata without an interval",
        cells: Cells::Limits(
            |row| {
                [
                    row.hazard_ratio,
                    row.hazard_ratio_lower,
                    row.hazard_ratio_upper,
                ]
            },
            1.0,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "shr",
        title: "SHR",
        note: "subdistribution hazard ratio (Fine–Gray), where other events compete",
        cells: Cells::Limits(
            |row| {
                [
                    row.subdistribution_hazard_ratio,
                    row.subdistribution_hazard_ratio_lower,
                    row.subdistribution_hazard_ratio_upper,
                ]
            },
            1.0,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "nnt",
        title: "NNT",
        note: "number needed to treat: B patients per event prevented (benefit), H per event \
               caused (harm); an interval through ∞ includes no effect",
        cells: Cells::Texts(|row| {
            [
                number_needed_to_treat(row),
                number_needed_to_treat_range(row),
            ]
        }),
        ..Column::PLAIN
    },
    Column {
        name: "p",
        title: "p",
        uncertainty: "",
        note: "p-value of the difference, adjusted for the number of arms (Holm)",
        cells: Cells::Texts(|row| [p_value(row.holm_p_value), String::new()]),
        ..Column::PLAIN
    },
    Column {
        name: "log-rank",
        title: "log-rank",
        uncertainty: "",
        note: "p-value of the log-rank test",
        cells: Cells::Texts(|row| [p_value(row.log_rank_p_value), String::new()]),
        ..Column::PLAIN
    },
    Column {
        name: "late-log-rank",
        title: "late",
        uncertainty: "",
        note: "p-value of the log-rank test with weights of Fleming and Harrington (0, 1), for \
               late effects",
        cells: Cells::Texts(|row| [p_value(row.late_log_rank_p_value), String::new()]),
        ..Column::PLAIN
    },
    Column {
        name: "gray",
        title: "Gray",
        uncertainty: "",
        note: "p-value of Gray's test of cumulative incidences, where other events compete",
        cells: Cells::Texts(|row| [p_value(row.gray_p_value), String::new()]),
        ..Column::PLAIN
    },
    Column {
        name: "benefit",
        title: "benefit",
        note: "percent of the patients with the event in the control and not in the arm",
        cells: Cells::Limits(
            |row| {
                [
                    row.benefit_share,
                    row.benefit_share_lower,
                    row.benefit_share_upper,
                ]
            },
            PERCENT,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "delay",
        title: "delay",
        note: "mean days that the event comes later, in patients with it in the control and later \
               or not at all in the arm, of whom days until the time of the table count",
        cells: Cells::Limits(
            |row| [row.delay_days, row.delay_days_lower, row.delay_days_upper],
            1.0,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "reseeded",
        title: "reseeded",
        uncertainty: "",
        note: "share of the local recurrences that circulating cells founded",
        of_local: true,
        cells: Cells::Texts(|row| {
            let percent = |share: f64| format!("{} %", number(PERCENT * share, 1));
            let share = row.reseeded_share.map_or(NOTHING.to_owned(), percent);
            [share, String::new()]
        }),
    },
    Column {
        name: "primary",
        title: "by primary",
        note: "percent of the local recurrences whose founder the primary tumour shed",
        of_local: true,
        cells: Cells::Limits(
            |row| {
                [
                    row.primary_share,
                    row.primary_share_lower,
                    row.primary_share_upper,
                ]
            },
            PERCENT,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "distant",
        title: "by distant",
        note: "percent of the local recurrences whose founder a distant colony shed",
        of_local: true,
        cells: Cells::Limits(
            |row| {
                [
                    row.distant_share,
                    row.distant_share_lower,
                    row.distant_share_upper,
                ]
            },
            PERCENT,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "scar",
        title: "by scar",
        note: "percent of the local recurrences whose founder another colony of the scar shed",
        of_local: true,
        cells: Cells::Limits(
            |row| [row.scar_share, row.scar_share_lower, row.scar_share_upper],
            PERCENT,
        ),
        ..Column::PLAIN
    },
    Column {
        name: "pairing",
        title: "pairing",
        uncertainty: "",
        note: "how many times more patients an unpaired comparison would need",
        cells: Cells::Texts(|row| {
            let times = |times: f64| format!("{}×", number(times, usize::from(times < 9.95)));
            [
                row.variance_reduction.map_or(NOTHING.to_owned(), times),
                String::new(),
            ]
        }),
        ..Column::PLAIN
    },
];

/// What a column means, in lines of a readable length.
fn note(column: &Column) -> String {
    const INDENT: usize = 12;
    const LENGTH: usize = 79;
    let mut text = format!("{:<INDENT$}", column.title);
    let mut length = text.chars().count();
    if length > INDENT {
        text.push_str("  ");
        length += 2;
    }
    let mut first = true;
    for word in column.note.split(' ') {
        let longer = word.chars().count() + usize::from(!first);
        if length + longer > LENGTH {
            let _ = write!(text, "\n{:INDENT$}{word}", "");
            length = INDENT + word.chars().count();
        } else {
            text.push_str(if first { "" } else { " " });
            text.push_str(word);
            length += longer;
        }
        first = false;
    }
    text.push('\n');
    text
}

/// Uncertainties in columns of their own.
fn side_by_side(block: &[ComparedArm], columns: &[Filled]) -> Table {
    let split = |filled: &Filled, [title, uncertainty]: [String; 2]| {
        let second = (!filled.column.uncertainty.is_empty()).then_some(uncertainty);
        [Some(title), second].into_iter().flatten()
    };
    let header = columns.iter().flat_map(|filled| {
        let Column {
            title, uncertainty, ..
        } = filled.column;
        split(filled, [*title, *uncertainty].map(str::to_owned))
    });
    let rows = block.iter().enumerate().map(|(position, row)| {
        let cells = columns
            .iter()
            .flat_map(|filled| split(filled, filled.cells[position].clone()));
        (row.arm.clone(), cells.collect())
    });
    lay_out("arm", header.collect(), rows)
}

/// Uncertainties below their estimates.
fn stacked(block: &[ComparedArm], columns: &[Filled]) -> Table {
    let stack = |first: &str, second: &str| format!("{first}\n{second}").trim_end().to_owned();
    let header = columns
        .iter()
        .map(|filled| stack(filled.column.title, filled.column.uncertainty));
    let rows = block.iter().enumerate().map(|(position, row)| {
        let cells = columns.iter().map(|filled| {
            let [estimate, uncertainty] = &filled.cells[position];
            stack(estimate, uncertainty)
        });
        (row.arm.clone(), cells.collect())
    });
    lay_out("arm", header.collect(), rows)
}

/// Lines with a name in the first column, numbers to the right.
pub(crate) fn lay_out(
    first: &str,
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
        .set_header(line(first.to_owned(), header));
    for (name, cells) in rows {
        table.add_row(line(name, cells));
    }
    let last = table.column_count() - 1;
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index < last { 2 } else { 0 }));
    }
    table
}

/// A table as lines of text, with the names of its rows in the first column.
pub(crate) fn laid_out(table: &figures::Table) -> String {
    let (first, header) = table
        .columns
        .split_first()
        .expect("a table has a column of names");
    let rows = table.rows.iter().filter_map(|row| row.split_first());
    let rows = rows.map(|(name, cells)| (name.clone(), cells.to_vec()));
    lay_out(first, header.to_vec(), rows).trim_fmt()
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
