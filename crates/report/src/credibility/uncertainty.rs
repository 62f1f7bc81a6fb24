//! What is not known, and whether the answer holds in spite of it.

use super::{CredibilityCheck, CredibilitySection, CredibilityTable, Evidence, Verdict};
use crate::calibrated::{Calibrated, RecoveredParameter};
use crate::rank::{RankTable, Ranked, by_alternative};
use crate::text::{endpoint_in_words, fixed, grouped, number, range, years};

/// Probability by which known parameters may all be found again as unevenly by chance alone.
const RECOVERY_P: f64 = 0.05;

/// Standing of a parameter that the data fix.
const FIXED: &str = "fixed";

pub(super) fn section(evidence: &Evidence<'_>) -> CredibilitySection {
    let calibrated = evidence
        .input
        .calibration
        .map(|calibration| calibration.found);
    let ranked = evidence.input.ranking.map(|ranking| ranking.ranked);
    let mut section = CredibilitySection::new(
        "uncertainty",
        "Uncertainty",
        "What is not known, how much of the answer depends on it, and whether the answer holds.",
        vec![
            recovery(calibrated),
            carried(evidence, calibrated, ranked),
            holds(evidence, ranked),
        ],
    );
    section.tables.extend(calibrated.map(|calibrated| {
        CredibilityTable::new(
            "Parameters after calibration: contraction is the share of the prior's variance that the \
             data removed",
            calibrated.parameter_table(),
        )
    }));
    section
        .tables
        .extend(ranked.map_or(Vec::new(), ranking_tables));
    section
}

/// Whether a calibration finds what it should.
fn recovery(calibrated: Option<&Calibrated>) -> CredibilityCheck {
    let rows = calibrated.map(|calibrated| calibrated.recovery.as_deref());
    let found = match rows {
        None => "No posterior was given (--posterior).".to_owned(),
        Some(None) => "Not tried; calibrate with --recoveries.".to_owned(),
        Some(Some(rows)) => recovered(rows),
    };
    let rows = rows.flatten().filter(|rows| !rows.is_empty());
    CredibilityCheck {
        asked: "Does the calibration find known parameters again?".to_owned(),
        verdict: Verdict::known(rows.map(|rows| rows.iter().all(|row| is_even(row, rows.len())))),
        rule: format!(
            "Met if for no parameter the ranks of known values are more uneven than chance makes \
             them ({RECOVERY_P} over the number of parameters)."
        ),
        found,
        command: "reseed calibrate TRIAL.toml --targets RATES.csv --out FOLDER --recoveries 200"
            .to_owned(),
    }
}

fn is_even(row: &RecoveredParameter, parameters: usize) -> bool {
    row.p >= RECOVERY_P / parameters as f64
}

fn recovered(rows: &[RecoveredParameter]) -> String {
    let least = rows.iter().map(|row| row.p).fold(1.0, f64::min);
    let cohorts = rows.first().map_or(0, |row| row.cohorts);
    format!(
        "{} invented cohorts; the smallest p of {} parameters is {}.",
        grouped(cohorts as u64),
        rows.len(),
        number(least, 3)
    )
}

/// Parameters that the data do not fix.
fn left_open(calibrated: &Calibrated) -> Vec<&str> {
    let parameters = calibrated.parameters.iter();
    let open = parameters.filter(|parameter| parameter.standing != FIXED);
    open.map(|parameter| parameter.key.as_str()).collect()
}

/// Those of them that the ranking does not vary; not known without one.
fn forgotten<'a>(open: &[&'a str], ranked: Option<&Ranked>) -> Option<Vec<&'a str>> {
    if open.is_empty() {
        return Some(Vec::new());
    }
    let influences = ranked?.influences.iter();
    let varied: Vec<&str> = influences
        .flat_map(|influence| &influence.rows)
        .map(|row| row.factor.as_str())
        .collect();
    let forgotten = open.iter().copied().filter(|key| !varied.contains(key));
    Some(forgotten.collect())
}

/// Whether what the data leave open is varied in the ranking.
fn carried(
    evidence: &Evidence<'_>,
    calibrated: Option<&Calibrated>,
    ranked: Option<&Ranked>,
) -> CredibilityCheck {
    let open = calibrated.map(left_open);
    let forgotten = open.as_deref().and_then(|open| forgotten(open, ranked));
    let found = match (&open, &forgotten) {
        (None, _) => "No posterior was given (--posterior).".to_owned(),
        (Some(open), _) if open.is_empty() => "The data fix every parameter.".to_owned(),
        (Some(open), None) => format!(
            "The data leave {} open; there is no ranking over them (--ranking).",
            open.join(", ")
        ),
        (Some(open), Some(forgotten)) if forgotten.is_empty() => {
            format!(
                "The data leave {} open; the ranking varies all.",
                open.join(", ")
            )
        }
        (_, Some(forgotten)) => format!("Open and not varied: {}.", forgotten.join(", ")),
    };
    CredibilityCheck {
        asked: "Is what the data leave open carried into the answer?".to_owned(),
        verdict: Verdict::known(forgotten.map(|forgotten| forgotten.is_empty())),
        rule: "Met if the ranking varies every parameter that the calibration does not call fixed, or \
               there is none."
            .to_owned(),
        found,
        command: format!(
            "reseed rank {} --posterior {}",
            evidence.input.trial,
            evidence.posterior_name()
        ),
    }
}

/// Whether the primary comparison's sign is the same wherever the truth may be.
fn holds(evidence: &Evidence<'_>, ranked: Option<&Ranked>) -> CredibilityCheck {
    let arm = &evidence.input.layout.arms[evidence.input.primary.arm];
    let all = ranked.and_then(over_all_points);
    let row = all.and_then(|table| table.rows.iter().find(|row| row.arm == *arm));
    let ends = row.and_then(|row| row.difference_p5.zip(row.difference_p95));
    let found = match (ranked, all, row) {
        (Some(ranked), _, Some(row)) => format!(
            "{} within {}: the difference by {arm} is {} points on average, {} from the 5th to the \
             95th percentile of {} points; {arm} is the best arm at {} %.",
            endpoint_in_words(ranked.endpoint),
            years(ranked.time_years),
            fixed(row.difference, 100.0, 2),
            range(row.difference_p5, row.difference_p95, 100.0, 2),
            grouped(ranked.points as u64),
            fixed(row.best, 100.0, 0)
        ),
        (Some(_), Some(all), None) => format!(
            "The ranking has no arm {arm}; the best of its arms most often is {}, at {} % of the \
             points.",
            all.rows.first().map_or("none", |row| &row.arm),
            fixed(all.rows.first().and_then(|row| row.best), 100.0, 0)
        ),
        _ => "There is no ranking over what is not known (--ranking).".to_owned(),
    };
    let file = evidence.input.ranking.map(|ranking| ranking.file_name);
    CredibilityCheck {
        asked: "Does the answer hold whatever is not known?".to_owned(),
        verdict: Verdict::known(ends.map(|(low, high)| low > 0.0 || high < 0.0)),
        rule:
            "Met if the primary arm's difference from the control has the same sign from the 5th \
               to the 95th percentile of the points."
                .to_owned(),
        found,
        command: format!(
            "reseed rank {} --endpoint {}",
            file.unwrap_or("RANKING.h5"),
            evidence.input.primary.endpoint.name()
        ),
    }
}

/// All arms over all points.
fn over_all_points(ranked: &Ranked) -> Option<&RankTable> {
    let mut tables = ranked.rankings.iter().rev();
    tables.find(|table| table.switch.is_none())
}

/// Ranks over all points and by structural switch, then what outcomes depend on.
fn ranking_tables(ranked: &Ranked) -> Vec<CredibilityTable> {
    let outcome = format!(
        "{} within {}",
        endpoint_in_words(ranked.endpoint),
        years(ranked.time_years)
    );
    let mut tables = Vec::new();
    if let Some(all) = over_all_points(ranked) {
        tables.push(CredibilityTable::new(
            format!(
                "Arms over {} points of {} uncertain parameters: {outcome}; percent of the points \
                 at which an arm is the best, differences in points",
                grouped(all.points as u64),
                ranked.factors
            ),
            all.table(),
        ));
        let mut by_switch: Vec<RankTable> = ranked.rankings.clone();
        by_switch.retain(|table| table.switch.is_some() && table.group == all.group);
        if !by_switch.is_empty() {
            tables.push(CredibilityTable::new(
                "Percent of the points at which an arm is the best, by structural switch",
                by_alternative(all, &by_switch),
            ));
        }
    }
    for influence in &ranked.influences {
        if !influence.rows.is_empty() {
            let title = format!("{outcome}: {}", ranked.influence_heading(influence));
            tables.push(CredibilityTable::new(title, influence.table()));
        }
    }
    tables
}
