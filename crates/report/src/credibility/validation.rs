//! Whether the model agrees with patients.

use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::ops::RangeBounds as _;

use reseed_stats::distribution::CRITICAL_95;

use super::{CredibilityCheck, CredibilitySection, CredibilityTable, Evidence, Verdict};
use crate::figures::Table;
use crate::text::{fixed, grouped, number, range, years};
use crate::validate::{ValidatedCohort, ValidatedTargets, ValidatedTime, Validation};

pub(super) fn section(evidence: &Evidence<'_>) -> CredibilitySection {
    let validation = evidence.input.validation;
    let targets = validation.and_then(|validation| validation.targets.as_ref());
    let cohort = validation.and_then(|validation| validation.cohort.as_ref());
    let mut checks = vec![published(evidence, targets)];
    checks.extend(followed(evidence, cohort));
    if validation.is_some() {
        checks.push(independence(evidence));
    }
    let mut section = CredibilitySection::new(
        "validation",
        "Validation",
        "Whether the model agrees with patients whom it was not made from.",
        checks,
    );
    if let Some(validation) = validation {
        section.notes.push(format!(
            "All of this is about the arm {}. Values of one curve are correlated: several out of \
             place may be one thing that is wrong.",
            validation.arm
        ));
        section.tables.extend(targets.map(targets_table));
        section.tables.extend(cohort.map(measures_table));
        section.figures = validation.figures();
    }
    section
}

/// Whether the cohorts had no part in the model.
fn independence(evidence: &Evidence<'_>) -> CredibilityCheck {
    let (verdict, found) = match evidence.context.cohorts_independent {
        Some(true) => (Verdict::Stated, "Independent, as the context file states."),
        Some(false) => (
            Verdict::NotMet,
            "Not independent, as the context file states: agreement shows that the parameters fit \
             and not that the model predicts.",
        ),
        None => (
            Verdict::NotStated,
            "Not stated; write `cohorts_independent = true` or `false` into a file for --context. \
             Agreement with data that set parameters is no validation, and the presets' cohorts did \
             (docs/calibration.md).",
        ),
    };
    CredibilityCheck {
        asked: "Had the cohorts no part in choosing the model's parameters?".to_owned(),
        verdict,
        rule:
            "Stated if the context file says that they had none, not met if it says that they had; \
               it is not judged."
                .to_owned(),
        found: found.to_owned(),
        command: evidence.context_command(),
    }
}

fn published(evidence: &Evidence<'_>, targets: Option<&ValidatedTargets>) -> CredibilityCheck {
    let asked_share = evidence.context.acceptance.targets_inside;
    let found = match targets {
        None => "No published incidences were given (--targets).".to_owned(),
        Some(targets) => format!(
            "Inside {} of {} intervals of {} ({} %){}.",
            targets.inside,
            targets.compared,
            targets.name,
            fixed(targets.inside_share, 100.0, 0),
            match targets.left_out.len() {
                0 => String::new(),
                number => format!(
                    "; {number} not compared, because the result has no such patients or time"
                ),
            }
        ),
    };
    let share = targets.and_then(|targets| targets.inside_share);
    let name = targets.map_or("TARGETS.csv", |targets| &targets.name);
    CredibilityCheck {
        asked: "Are the model's incidences those that were published?".to_owned(),
        verdict: Verdict::known(share.map(|share| share >= asked_share)),
        rule: format!(
            "Met if at least {} % of the published 95 % intervals hold the model's value \
             (acceptance.targets_inside).",
            number(100.0 * asked_share, 0)
        ),
        found,
        command: evidence.command("validate", &format!("--targets {name}")),
    }
}

/// A measure of predictions: what it asks, the rule, what is told of a time, and the number that must
/// be within bounds.
struct Measure {
    asked: &'static str,
    rule: String,
    tell: fn(&ValidatedTime) -> String,
    judged: fn(&ValidatedTime) -> Option<f64>,
    bounds: (Bound<f64>, Bound<f64>),
}

/// What predictions for patients are judged by.
fn followed(evidence: &Evidence<'_>, cohort: Option<&ValidatedCohort>) -> Vec<CredibilityCheck> {
    let acceptance = evidence.context.acceptance;
    let [events_low, events_high] = acceptance.observed_to_expected;
    let [slope_low, slope_high] = acceptance.slope;
    let measures = [
        Measure {
            asked: "Do as many patients have the event as are predicted (O/E)?",
            rule: format!(
                "Met if observed over expected events are from {events_low} to {events_high} by \
                 every time (acceptance.observed_to_expected)."
            ),
            tell: |time| {
                let (lower, upper) = (
                    time.observed_to_expected_lower,
                    time.observed_to_expected_upper,
                );
                let interval = range(lower, upper, 1.0, 2);
                format!("{} ({interval})", fixed(time.observed_to_expected, 1.0, 2))
            },
            judged: |time| time.observed_to_expected,
            bounds: (Included(events_low), Included(events_high)),
        },
        Measure {
            asked: "Do risks differ as much as predicted (calibration slope)?",
            rule: format!(
                "Met if the slope is from {slope_low} to {slope_high} by every time \
                 (acceptance.slope)."
            ),
            tell: |time| with_error(time.slope, time.slope_standard_error, 2),
            judged: |time| time.slope,
            bounds: (Included(slope_low), Included(slope_high)),
        },
        Measure {
            asked: "Do patients at higher predicted risk fare worse (Harrell's C)?",
            rule:
                "Met if the lower end of C's 95 % interval is above 0.5, which is chance, by every \
                   time."
                    .to_owned(),
            tell: |time| with_error(time.harrell, time.harrell_standard_error, 3),
            judged: |time| Some(time.harrell? - CRITICAL_95 * time.harrell_standard_error?),
            bounds: (Excluded(0.5), Unbounded),
        },
        Measure {
            asked: "Are predictions better than the cohort's own incidence for everybody (Brier)?",
            rule: "Met if the scaled Brier score is above 0 by every time.".to_owned(),
            tell: |time| fixed(time.brier_scaled, 1.0, 3),
            judged: |time| time.brier_scaled,
            bounds: (Excluded(0.0), Unbounded),
        },
    ];
    let command = patients_command(evidence);
    let check = |measure: Measure| measure.check(cohort, command.clone());
    measures.into_iter().map(check).collect()
}

impl Measure {
    fn check(self, cohort: Option<&ValidatedCohort>, command: String) -> CredibilityCheck {
        let times = cohort.map_or(&[][..], |cohort| &cohort.times);
        let told: Vec<String> = times
            .iter()
            .map(|time| format!("{} by {}", (self.tell)(time), years(time.time_years)))
            .collect();
        let found = match cohort {
            None => "No patients were given (--patients).".to_owned(),
            Some(cohort) => format!("{}, in {}.", told.join("; "), cohort.name),
        };
        let all: Option<Vec<f64>> = times.iter().map(self.judged).collect();
        let all = all.filter(|all| !all.is_empty());
        let is_met = |all: Vec<f64>| all.iter().all(|one| self.bounds.contains(one));
        CredibilityCheck {
            asked: self.asked.to_owned(),
            verdict: Verdict::known(all.map(is_met)),
            rule: self.rule,
            found,
            command,
        }
    }
}

fn with_error(value: Option<f64>, error: Option<f64>, decimals: usize) -> String {
    format!(
        "{} (SE {})",
        fixed(value, 1.0, decimals),
        fixed(error, 1.0, decimals)
    )
}

/// The command that judges predictions for the patients that were given.
pub(super) fn patients_command(evidence: &Evidence<'_>) -> String {
    let validation = evidence.input.validation;
    let Some(cohort) = validation.and_then(|validation| validation.cohort.as_ref()) else {
        return evidence.command("validate", "--patients COHORT.csv");
    };
    let times: Vec<String> = (cohort.times.iter())
        .map(|time| time.time_years.to_string())
        .collect();
    evidence.command(
        "validate",
        &format!(
            "--patients {} --endpoint {} --years {}",
            cohort.name,
            cohort.endpoint,
            times.join(",")
        ),
    )
}

fn targets_table(targets: &ValidatedTargets) -> CredibilityTable {
    let mut table = Table::new(&[
        "first event",
        "patients",
        "quantity",
        "model (95 % CI)",
        "cohort (95 % CI)",
        "inside",
        "source",
    ]);
    for row in &targets.rows {
        let (quantity, scale, decimals) = match row.time_years {
            Some(time) => (format!("percent by {}", years(time)), 100.0, 1),
            None => ("peak of the hazard, years".to_owned(), 1.0, 2),
        };
        let with_interval = |value, lower, upper| {
            let interval = range(lower, upper, scale, decimals);
            format!("{} ({interval})", fixed(value, scale, decimals))
        };
        table.push([
            row.event.replace('_', " "),
            row.stratum.clone(),
            quantity,
            with_interval(row.model, row.model_lower, row.model_upper),
            with_interval(
                Some(row.observed),
                Some(row.observed_lower),
                Some(row.observed_upper),
            ),
            if row.inside { "yes" } else { "no" }.to_owned(),
            row.source.clone(),
        ]);
    }
    CredibilityTable::new(format!("Published quantities ({})", targets.name), table)
}

/// Every measure, as `reseed validate` prints it.
fn measures_table(cohort: &ValidatedCohort) -> CredibilityTable {
    let title = format!(
        "Predictions for {} patients of {} ({}), {} of them with the event",
        grouped(cohort.patients),
        cohort.name,
        cohort.endpoint,
        grouped(cohort.events)
    );
    CredibilityTable::new(title, cohort.measures())
}

impl Validation {
    /// What patients were followed for and by whom, in each stratum: labels and patients.
    pub(super) fn patients_by_stratum(&self) -> Option<Vec<(&str, u64)>> {
        let groups = &self.cohort.as_ref()?.groups;
        let first = groups.first()?.time_days;
        let of_first = groups.iter().filter(|group| {
            group.grouping == "stratum" && group.time_days.total_cmp(&first).is_eq()
        });
        Some(
            of_first
                .map(|group| (group.group.as_str(), group.patients))
                .collect(),
        )
    }
}
