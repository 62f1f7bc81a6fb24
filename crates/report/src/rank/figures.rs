//! Rankings as figures of the report.

use super::{End, Influence, InfluenceRow, RankRow, RankTable, Ranked};
use crate::report::{Ranks, Tornado, TornadoBar};

impl Ranked {
    /// What each traced outcome depends on; none from too few points.
    pub fn tornadoes(&self) -> Vec<Tornado> {
        let known = self
            .influences
            .iter()
            .filter(|known| !known.rows.is_empty());
        known.map(|influence| self.tornado(influence)).collect()
    }

    fn tornado(&self, influence: &Influence) -> Tornado {
        let arm = &influence.arm;
        // Effects are changes of the outcome, the other measures pure numbers.
        let (index, scale) = match influence.measure {
            "sobol_index" => ("total Sobol index", 1.0),
            "elementary_effect" => ("size of elementary effects", 100.0),
            _ => ("partial rank correlation", 1.0),
        };
        Tornado {
            name: format!("{}-{arm}", self.endpoint),
            outcome: if *arm == self.control {
                format!("incidence in {arm}")
            } else {
                format!("difference of {arm}")
            },
            unit: "percentage points".to_owned(),
            mean: percent(influence.mean),
            index: index.to_owned(),
            bars: influence.rows.iter().map(|row| bar(row, scale)).collect(),
        }
    }

    /// How often arms have each rank, the best on average first: of every group over all points,
    /// and of the first group where a switch is set one way.
    pub fn ranks(&self) -> Vec<Ranks> {
        let first = self.rankings.first().map(|table| &table.group);
        let shown = (self.rankings.iter())
            .filter(|table| table.switch.is_none() || Some(&table.group) == first)
            .filter(|table| table.rows.len() > 1);
        shown.map(|table| self.ranks_of(table)).collect()
    }

    fn ranks_of(&self, table: &RankTable) -> Ranks {
        let switch = table.switch.as_ref().zip(table.alternative.as_ref());
        let place = switch.map_or_else(String::new, |(key, alternative)| {
            format!(" where {key} is {alternative}")
        });
        let undecided = table.undecided.map_or_else(String::new, |share| {
            format!(
                "; at {:.0} % of them none is clearly the best",
                100.0 * share
            )
        });
        let mut rows: Vec<&RankRow> = table.rows.iter().collect();
        let rank = |row: &RankRow| row.rank.unwrap_or(f64::INFINITY);
        rows.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        let arms = rows.into_iter().map(|row| {
            let shares = row.rank_probabilities.iter();
            let shares = shares.map(|share| share.unwrap_or(f64::NAN)).collect();
            (row.arm.clone(), shares)
        });
        Ranks {
            name: part_of_a_name(&format!("{}-{}{place}", self.endpoint, table.group)),
            title: format!(
                "{}{place}: ranks over {} points{undecided}",
                table.group, table.points
            ),
            arms: arms.collect(),
        }
    }
}

/// A text as part of a file's name.
fn part_of_a_name(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "_+.-".contains(c) {
            c
        } else {
            '-'
        }
    };
    text.to_lowercase().chars().map(plain).collect()
}

fn bar(row: &InfluenceRow, scale: f64) -> TornadoBar {
    let [low, high] = row.extremes();
    let named = |end: Option<&End>| end.map_or("", |end| &end.points).to_owned();
    let mean = |end: Option<&End>| percent(end.and_then(|end| end.mean));
    let known = |value: Option<f64>| value.map_or(f64::NAN, |value| scale * value);
    TornadoBar {
        factor: if row.is_number() {
            row.factor.clone()
        } else {
            format!("{}: {} or {}", row.factor, named(low), named(high))
        },
        low: mean(low),
        high: mean(high),
        index: known(row.influence.value),
        interval: (known(row.influence.lower), known(row.influence.upper)),
    }
}

fn percent(share: Option<f64>) -> f64 {
    share.map_or(f64::NAN, |share| 100.0 * share)
}
