//! Rankings as text.

use std::fmt::Write as _;

use super::{Influence, InfluenceRow, Interval, RankTable, Ranked};
use crate::figures::Table;
use crate::text::{
    NOTHING, endpoint_in_words, first_line, fixed, grouped, laid_out, number, range, years,
};

/// Parameters shown of each outcome.
const SHOWN: usize = 6;

const NOTES: &str = "\
best        percent of the points at which the arm is the best, with the standard
            error (SE) of an average over the points; \"at least\" and \"at most\" leave
            the points at which patients are too few to tell to another arm, or to this
rank        mean rank, 1 is the best; equal arms share their ranks
behind      mean difference from the best arm of each point; noise makes it larger
difference  from the control, percentage points: mean over the points, and from the
            5th to the 95th percentile
";

const NOTE_OF_CORRELATIONS: &str = "\
correlation partial rank correlation of parameter and outcome, from -1 to 1; of a choice
            of more than two without sign
low, high   mean outcome in the tenth of the points where the parameter is lowest, and
            highest; of a choice the least and the greatest mean of an alternative
";

const NOTE_OF_INDICES: &str = "\
total       share of the outcome's variance that remains if all other parameters are known
first       share that vanishes if this one is known; both without the patients' noise
";

const NOTE_OF_EFFECTS: &str = "\
size        mean size of the change of the outcome, percentage points, over that of the
            parameter's quantile; noise alone would show the size beside it
mean, spread  mean and standard deviation of the changes; the latter without noise
";

impl Ranked {
    /// Tables for people.
    pub fn to_text(&self) -> String {
        let mut text = self.header();
        let groups = self.rankings.chunk_by(|a, b| a.group == b.group);
        for tables in groups {
            let (all, by_switch) = (&tables[0], &tables[1..]);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n{}\n{}", heading(all), laid_out(&all.table()));
            if !by_switch.is_empty() {
                let table = laid_out(&by_alternative(all, by_switch));
                let _ = writeln!(text, "\n{}, best by switch\n{table}", all.group);
            }
        }
        for influence in &self.influences {
            let heading = self.influence_heading(influence);
            let table = match influence.rows.len() {
                0 => "too few points to tell".to_owned(),
                _ => laid_out(&influence.table()),
            };
            let _ = writeln!(text, "\n{heading}\n{table}");
        }
        let of_measure = match self.influences.first().map(|influence| influence.measure) {
            Some("sobol_index") => NOTE_OF_INDICES,
            Some("elementary_effect") => NOTE_OF_EFFECTS,
            _ => NOTE_OF_CORRELATIONS,
        };
        let _ = write!(text, "\n{NOTES}{of_measure}");
        text
    }

    /// What an outcome's influences are about.
    pub(crate) fn influence_heading(&self, influence: &Influence) -> String {
        let outcome = if influence.arm == self.control {
            format!("What the incidence in {} depends on", influence.arm)
        } else {
            format!("What the difference by {} depends on", influence.arm)
        };
        let mean = fixed(influence.mean, 100.0, 2);
        format!("{outcome} (mean {mean} points)")
    }

    fn header(&self) -> String {
        let mut text = first_line(&self.trial, &self.title);
        let mut line = |label: &str, value: &str| {
            let _ = writeln!(text, "{label:<10} {value}");
        };
        line("seed", &self.seed.to_string());
        line("digest", &self.digest);
        line("control", &self.control);
        let endpoint = endpoint_in_words(self.endpoint);
        let time = years(self.time_years);
        line("outcome", &format!("{endpoint} within {time}"));
        let design = format!(
            "{} points of {} uncertain parameters ({}), {} patients at each",
            grouped(self.points as u64),
            self.factors,
            self.design,
            grouped(self.point_patients)
        );
        line("points", &design);
        text
    }
}

fn heading(table: &RankTable) -> String {
    format!(
        "{}: {} points, of which {} % are undecided",
        table.group,
        grouped(table.points as u64),
        fixed(table.undecided, 100.0, 0)
    )
}

impl RankTable {
    /// The arms, the most probably best first.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(&[
            "arm",
            "best",
            "SE",
            "at least",
            "at most",
            "rank",
            "behind",
            "difference",
            "5 to 95 %",
        ]);
        for row in &self.rows {
            table.push([
                row.arm.clone(),
                percent(row.best),
                percent(row.best_standard_error),
                percent(row.best_least),
                percent(row.best_most),
                fixed(row.rank, 1.0, 2),
                fixed(row.loss, 100.0, 2),
                fixed(row.difference, 100.0, 2),
                range(row.difference_p5, row.difference_p95, 100.0, 2),
            ]);
        }
        table
    }
}

/// Probabilities of being the best, a column for each alternative; arms in the order of `all`.
pub(crate) fn by_alternative(all: &RankTable, tables: &[RankTable]) -> Table {
    let header = tables.iter().map(|table| {
        let switch = table.switch.as_deref().unwrap_or_default();
        let switch = switch.rsplit('.').next().unwrap_or_default();
        let alternative = table.alternative.as_deref().unwrap_or_default();
        format!("{switch}\n{alternative}")
    });
    let rows = all.rows.iter().map(|row| {
        let best = |table: &RankTable| {
            let own = table.rows.iter().find(|other| other.arm == row.arm);
            percent(own.and_then(|own| own.best))
        };
        let cells = tables.iter().map(best);
        std::iter::once(row.arm.clone()).chain(cells).collect()
    });
    Table {
        columns: std::iter::once("arm".to_owned()).chain(header).collect(),
        rows: rows.collect(),
    }
}

fn percent(share: Option<f64>) -> String {
    fixed(share, 100.0, 1)
}

impl Influence {
    /// The parameters that matter most.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(match self.measure {
            "sobol_index" => &["parameter", "total", "95 % CI", "first", "95 % CI"],
            "elementary_effect" => &[
                "parameter",
                "size",
                "95 % CI",
                "of noise",
                "mean",
                "95 % CI",
                "spread",
            ],
            _ => &["parameter", "correlation", "95 % CI", "low", "high"],
        });
        let rows = self.rows.iter().take(SHOWN);
        let line = |row: &InfluenceRow| [vec![row.factor.clone()], self.cells(row)].concat();
        table.rows = rows.map(line).collect();
        table
    }

    fn cells(&self, row: &InfluenceRow) -> Vec<String> {
        let with = |found: Interval, scale: f64| {
            [
                fixed(found.value, scale, 2),
                range(found.lower, found.upper, scale, 2),
            ]
        };
        let alone = row.alone.unwrap_or(row.influence);
        match self.measure {
            "sobol_index" => [with(row.influence, 1.0), with(alone, 1.0)].concat(),
            "elementary_effect" => {
                let mut cells = with(row.influence, 100.0).to_vec();
                cells.push(fixed(row.noise_floor, 100.0, 2));
                cells.extend(with(alone, 100.0));
                cells.push(fixed(row.spread.and_then(|spread| spread.value), 100.0, 2));
                cells
            }
            _ => {
                let mut cells = with(row.influence, 1.0).to_vec();
                cells.extend(ends(row));
                cells
            }
        }
    }
}

/// Mean outcomes at the ends; of a choice with their alternatives.
fn ends(row: &InfluenceRow) -> [String; 2] {
    row.extremes().map(|end| {
        let Some((mean, end)) = end.and_then(|end| Some((end.mean?, end))) else {
            return NOTHING.to_owned();
        };
        let mean = number(100.0 * mean, 2);
        if row.is_number() {
            mean
        } else {
            format!("{mean} ({})", end.points)
        }
    })
}
