//! Rankings as text.

use std::fmt::Write as _;

use super::{Influence, InfluenceRow, Interval, RankRow, RankTable, Ranked};
use crate::text::{
    NOTHING, endpoint_in_words, first_line, fixed, grouped, lay_out, number, range, years,
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
            let _ = writeln!(text, "\n{}\n{}", heading(all), ranks(all));
            if !by_switch.is_empty() {
                let table = by_alternative(all, by_switch);
                let _ = writeln!(text, "\n{}, best by switch\n{table}", all.group);
            }
        }
        for influence in &self.influences {
            let outcome = if influence.arm == self.control {
                format!("What the incidence in {} depends on", influence.arm)
            } else {
                format!("What the difference by {} depends on", influence.arm)
            };
            let mean = fixed(influence.mean, 100.0, 2);
            let table = influence.table();
            let _ = writeln!(text, "\n{outcome} (mean {mean} points)\n{table}");
        }
        let of_measure = match self.influences.first().map(|influence| influence.measure) {
            Some("sobol_index") => NOTE_OF_INDICES,
            Some("elementary_effect") => NOTE_OF_EFFECTS,
            _ => NOTE_OF_CORRELATIONS,
        };
        let _ = write!(text, "\n{NOTES}{of_measure}");
        text
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

fn ranks(table: &RankTable) -> String {
    let header = [
        "best",
        "SE",
        "at least",
        "at most",
        "rank",
        "behind",
        "difference",
        "5 to 95 %",
    ];
    let cells = |row: &RankRow| {
        let cells = vec![
            percent(row.best),
            percent(row.best_standard_error),
            percent(row.best_least),
            percent(row.best_most),
            fixed(row.rank, 1.0, 2),
            fixed(row.loss, 100.0, 2),
            fixed(row.difference, 100.0, 2),
            range(row.difference_p5, row.difference_p95, 100.0, 2),
        ];
        (row.arm.clone(), cells)
    };
    let header = header.map(str::to_owned).into();
    lay_out("arm", header, table.rows.iter().map(cells)).trim_fmt()
}

/// Probabilities of being the best, a column for each alternative; arms in the order of `all`.
fn by_alternative(all: &RankTable, tables: &[RankTable]) -> String {
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
        (row.arm.clone(), tables.iter().map(best).collect())
    });
    lay_out("arm", header.collect(), rows).trim_fmt()
}

fn percent(share: Option<f64>) -> String {
    fixed(share, 100.0, 1)
}

impl Influence {
    fn table(&self) -> String {
        if self.rows.is_empty() {
            return "too few points to tell".to_owned();
        }
        let header: &[&str] = match self.measure {
            "sobol_index" => &["total", "95 % CI", "first", "95 % CI"],
            "elementary_effect" => &["size", "95 % CI", "of noise", "mean", "95 % CI", "spread"],
            _ => &["correlation", "95 % CI", "low", "high"],
        };
        let header = header.iter().map(|title| (*title).to_owned()).collect();
        let rows = self.rows.iter().take(SHOWN);
        let rows = rows.map(|row| (row.factor.clone(), self.cells(row)));
        lay_out("parameter", header, rows).trim_fmt()
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
