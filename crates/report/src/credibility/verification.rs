//! Whether the program computes the model, and whether it computes it exactly enough.

use super::{
    CredibilityCheck, CredibilitySection, CredibilityTable, Evidence, Recomputed, SOURCE_TESTS,
    Verdict,
};
use crate::compare::ComparedArm;
use crate::figures::Table;
use crate::text::{fixed, grouped, number};

/// Reason of exclusion of a patient who outgrew the limit of colonies.
const SATURATED: &str = "saturated";

pub(super) fn code(evidence: &Evidence<'_>) -> CredibilitySection {
    let mut section = CredibilitySection::new(
        "code_verification",
        "Code verification",
        "Whether the program computes the model that is described, and the same everywhere.",
        vec![again(evidence)],
    );
    let mut software = Table::new(&["", "value"]);
    for (name, value) in evidence.input.software {
        software.push([(*name).to_owned(), value.clone()]);
    }
    let mut tests = Table::new(&["test", "what is compared", "command"]);
    for test in &SOURCE_TESTS {
        tests.push([test.name.to_owned(), test.what.to_owned(), test.command()]);
    }
    section.tables = vec![
        CredibilityTable::new("The program that made this document", software),
        CredibilityTable::new(
            "Tests of the source, which this document did not run",
            tests,
        ),
    ];
    section.notes.push(
        "The check above shows that the result is what this program computes. That the program \
         computes the model is shown by the tests of its source: independent implementations \
         (oracles), golden digests, and references of other software. They run in a copy of the \
         source at the commit above; what they ask is in docs/oracles.md."
            .to_owned(),
    );
    section
}

/// Part of the run, computed once more for this document.
fn again(evidence: &Evidence<'_>) -> CredibilityCheck {
    let (verdict, found, fraction) = match evidence.input.recomputed {
        Recomputed::Agrees {
            shards,
            of_shards,
            patients,
            fraction,
        } => (
            Verdict::Met,
            format!(
                "{} of {} patients ({shards} of {of_shards} shards, drawn by lot from the result's \
                 digest) were computed again for this document: every digest agrees.",
                grouped(*patients),
                grouped(evidence.comparison.patients_screened)
            ),
            *fraction,
        ),
        Recomputed::Differs(difference) => (Verdict::NotMet, in_a_sentence(difference), 1.0),
        Recomputed::Impossible(reason) => (Verdict::NotShown, in_a_sentence(reason), 1.0),
    };
    CredibilityCheck {
        asked: "Does computing patients of this run again give the same, bit for bit?".to_owned(),
        verdict,
        rule: "Met if every shard that was computed again has the digest that the result records."
            .to_owned(),
        found,
        command: evidence.command("verify", &format!("--fraction {fraction}")),
    }
}

/// An error's text as a sentence of its own.
fn in_a_sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

pub(super) fn calculation(evidence: &Evidence<'_>) -> CredibilitySection {
    let mut section = CredibilitySection::new(
        "calculation_verification",
        "Calculation verification",
        "How far the numbers are from what the model would give if computed without end.",
        vec![precision(evidence), saturation(evidence)],
    );
    section.tables = vec![errors(evidence), numerics(evidence)];
    section
}

/// Half the width of the primary comparison's interval, percentage points.
fn half_width_points(row: &ComparedArm) -> Option<f64> {
    Some(50.0 * (row.risk_difference_upper? - row.risk_difference_lower?))
}

fn precision(evidence: &Evidence<'_>) -> CredibilityCheck {
    let asked_points = evidence.context.acceptance.precision_points;
    let half_width = evidence.primary().and_then(half_width_points);
    let found = match half_width {
        None if evidence.primary().is_none() => {
            "The trial has no arm but the control, so nothing is compared.".to_owned()
        }
        None => "The difference has no interval: nobody was enrolled.".to_owned(),
        Some(found) => {
            let screened = evidence.comparison.patients_screened as f64;
            let ratio = found / asked_points;
            format!(
                "Half the width is {} percentage points; {} points need about {} patients screened, \
                 and {} were.",
                number(found, 3),
                asked_points,
                rounded(screened * ratio * ratio),
                grouped(evidence.comparison.patients_screened)
            )
        }
    };
    CredibilityCheck {
        asked: "Is the primary comparison precise enough (Monte Carlo error)?".to_owned(),
        verdict: Verdict::known(half_width.map(|found| found <= asked_points)),
        rule: format!(
            "Met if half the width of its 95 % interval is at most {asked_points} percentage points \
             (acceptance.precision_points)."
        ),
        found,
        command: evidence.command("compare", &evidence.outcome_options()),
    }
}

/// Two digits that matter of a number of patients.
fn rounded(patients: f64) -> String {
    let mut unit = 1.0;
    while patients / unit >= 100.0 {
        unit *= 10.0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and patients are not negative"
    )]
    let whole = ((patients / unit).ceil() * unit) as u64;
    grouped(whole)
}

fn saturation(evidence: &Evidence<'_>) -> CredibilityCheck {
    let comparison = &evidence.comparison;
    let allowed = evidence.context.acceptance.saturated_share;
    let mut excluded = comparison.patients_excluded.iter();
    let saturated = excluded.find(|excluded| excluded.reason == SATURATED);
    let saturated = saturated.map_or(0, |excluded| excluded.patients);
    let screened = comparison.patients_screened;
    let share = (screened > 0).then(|| saturated as f64 / screened as f64);
    CredibilityCheck {
        asked: "Are patients left out because their colonies outgrew the limit?".to_owned(),
        verdict: Verdict::known(share.map(|share| share <= allowed)),
        rule: format!(
            "Met if at most {} % of the patients screened are (acceptance.saturated_share).",
            number(100.0 * allowed, 2)
        ),
        found: format!(
            "{} of {} patients ({} %).",
            grouped(saturated),
            grouped(screened),
            fixed(share, 100.0, 3)
        ),
        command: evidence.command("compare", ""),
    }
}

/// Monte Carlo errors in all arms.
fn errors(evidence: &Evidence<'_>) -> CredibilityTable {
    let mut table = Table::new(&[
        "arm",
        "SE of the incidence, points",
        "SE of the difference, points",
        "half-width of its 95 % interval",
    ]);
    for row in &evidence.comparison.rows {
        table.push([
            row.arm.clone(),
            fixed(row.cumulative_incidence_standard_error, 100.0, 4),
            fixed(row.risk_difference_standard_error, 100.0, 4),
            fixed(half_width_points(row), 1.0, 3),
        ]);
    }
    CredibilityTable::new(format!("Monte Carlo errors: {}", evidence.outcome()), table)
}

/// What else numbers can be wrong by.
fn numerics(evidence: &Evidence<'_>) -> CredibilityTable {
    let edges = &evidence.input.layout.edges_days;
    let widths = edges.windows(2).map(|pair| pair[1] - pair[0]);
    let widest = widths.fold(0.0, f64::max);
    let mut table = Table::new(&["source", "size", "shown by"]);
    for [source, size, shown] in [
        [
            "time steps",
            "none: growth in closed form, events one by one at their own times",
            "oracles_time_stepped",
        ],
        [
            "exponentials and logarithms",
            "within two units in the last place, the same on every processor",
            "tests of reseed-model (math)",
        ],
        [
            "integrals of inhibitions by drugs",
            "four-point Gauss–Legendre panels; detection within 0.01 day of the integrated clock",
            "oracles_pharmacokinetics",
        ],
    ] {
        table.push([source, size, shown].map(str::to_owned));
    }
    table.push([
        "time bins".to_owned(),
        format!(
            "events are counted in bins of up to {} days; incidences are read at ends of bins, where \
             that loses nothing unless patients drop out in between",
            number(widest, 1)
        ),
        "estimates against patients' own times (reference)".to_owned(),
    ]);
    CredibilityTable::new("Other numerical errors", table)
}
