//! What the model is asked, what it is used for, and what depends on it.

use reseed_results::Digest;

use super::{CredibilityCheck, CredibilitySection, CredibilityTable, Evidence, Level, Verdict};
use crate::figures::Table;
use crate::text::{fixed, grouped, range, years};

pub(super) fn question(evidence: &Evidence<'_>) -> CredibilitySection {
    let question = evidence.context.question.as_ref();
    let check = said(
        "Which question is the model asked?",
        question.cloned(),
        || {
            format!(
                "No question was given; write `question` into a file for --context. The trial by \
                 itself asks: {}",
                trials_question(evidence)
            )
        },
        evidence.command("compare", &evidence.outcome_options()),
    );
    let mut section = CredibilitySection::new(
        "question_of_interest",
        "Question of interest",
        "The question, decision or concern that the model is to help with.",
        vec![check],
    );
    section.tables.push(answer(evidence));
    section
}

/// What the trial asks if nobody says more.
fn trials_question(evidence: &Evidence<'_>) -> String {
    let arm = &evidence.input.layout.arms[evidence.input.primary.arm];
    let outcome = evidence.outcome();
    if evidence.primary().is_none() {
        return format!("what is the incidence of “{outcome}” under {arm}?");
    }
    format!(
        "does {arm} change the incidence of “{outcome}” against {}, and by how much?",
        evidence.control()
    )
}

/// The model's answer in all arms.
fn answer(evidence: &Evidence<'_>) -> CredibilityTable {
    let mut table = Table::new(&[
        "arm",
        "incidence, percent",
        "standard error",
        "difference, points",
        "95 % CI",
    ]);
    for row in &evidence.comparison.rows {
        table.push([
            row.arm.clone(),
            fixed(row.cumulative_incidence, 100.0, 2),
            fixed(row.cumulative_incidence_standard_error, 100.0, 3),
            fixed(row.risk_difference, 100.0, 2),
            range(
                row.risk_difference_lower,
                row.risk_difference_upper,
                100.0,
                2,
            ),
        ]);
    }
    CredibilityTable::new(
        format!(
            "The model's answer: {}, against {}",
            evidence.outcome(),
            evidence.control()
        ),
        table,
    )
}

pub(super) fn context_of_use(evidence: &Evidence<'_>) -> CredibilitySection {
    let context = &evidence.context;
    let command = evidence.context_command();
    let asks = |what: &str, key: &str| format!("{what} Write `{key}` into a file for --context.");
    let checks = vec![
        said(
            "What does the model do for the answer, and what else is looked at?",
            context.context_of_use.clone(),
            || asks("Not given.", "context_of_use"),
            command.clone(),
        ),
        said(
            "Whom is the answer about?",
            context.population.clone(),
            || {
                asks(
                    "Not given; the virtual patients are those below.",
                    "population",
                )
            },
            command,
        ),
    ];
    let mut section = CredibilitySection::new(
        "context_of_use",
        "Context of use",
        "The role and the scope of the model in the answer.",
        checks,
    );
    section.tables = vec![run(evidence), arms(evidence)];
    for (title, table) in [
        ("Virtual patients", "population"),
        ("Who is enrolled", "eligibility"),
        ("Local treatment", "local_treatment"),
        ("Drugs", "drugs"),
        ("Follow-up", "follow_up"),
    ] {
        let mut settings = Table::new(&["key", "value"]);
        for (key, value) in evidence.settings.of(table) {
            settings.push([key, value]);
        }
        section.tables.push(CredibilityTable::new(title, settings));
    }
    section
}

/// Which run it is.
fn run(evidence: &Evidence<'_>) -> CredibilityTable {
    let input = evidence.input;
    let identity = input.identity;
    let comparison = &evidence.comparison;
    let excluded = comparison.patients_excluded.iter();
    let excluded: Vec<String> = (excluded.filter(|excluded| excluded.patients > 0))
        .map(|excluded| format!("{} {}", excluded.reason, grouped(excluded.patients)))
        .collect();
    let horizon_days = input.layout.edges_days.last().copied().unwrap_or(0.0);
    let mut table = Table::new(&["", "value"]);
    for (name, value) in [
        ("trial", input.trial.to_owned()),
        ("title", input.title.to_owned()),
        ("result file", input.file_name.to_owned()),
        ("digest of the result", input.digest.to_owned()),
        (
            "fingerprint of the trial",
            Digest(identity.fingerprint).to_string(),
        ),
        ("seed", identity.seed.to_string()),
        ("computed by reseed", identity.engine_version.clone()),
        ("patient model", identity.model_version.clone()),
        ("patients screened", grouped(comparison.patients_screened)),
        (
            "patients enrolled, in every arm",
            grouped(comparison.patients_enrolled),
        ),
        (
            "not enrolled",
            if excluded.is_empty() {
                "nobody".to_owned()
            } else {
                excluded.join(", ")
            },
        ),
        ("follow-up", years(horizon_days / crate::YEAR_DAYS)),
        ("primary comparison", primary(evidence)),
    ] {
        table.push([name.to_owned(), value]);
    }
    CredibilityTable::new("The run", table)
}

fn primary(evidence: &Evidence<'_>) -> String {
    let outcome = evidence.outcome();
    match evidence.primary() {
        Some(row) => format!("{outcome}, {} against {}", row.arm, evidence.control()),
        None => format!("{outcome} in {}", evidence.control()),
    }
}

fn arms(evidence: &Evidence<'_>) -> CredibilityTable {
    let layout = evidence.input.layout;
    let mut table = Table::new(&["arm", "drugs", "radiotherapy"]);
    for (arm, radiotherapy) in layout.arms.iter().zip(&layout.radiotherapy) {
        let drugs = evidence.settings.drugs(arm);
        table.push([
            arm.clone(),
            if drugs.is_empty() {
                "none".to_owned()
            } else {
                drugs.join(", ")
            },
            if *radiotherapy { "yes" } else { "no" }.to_owned(),
        ]);
    }
    CredibilityTable::new(
        format!("Arms; the control is {}", evidence.control()),
        table,
    )
}

pub(super) fn model_risk(evidence: &Evidence<'_>) -> CredibilitySection {
    let stated = &evidence.context.model_risk;
    let side = |level: Option<Level>, because: Option<&String>| {
        let level = level?.name();
        Some(because.map_or(level.to_owned(), |because| format!("{level}: {because}")))
    };
    let command = evidence.context_command();
    let asks = |key: &str| {
        format!(
            "Not stated; write `model_risk.{key}` (low, medium or high) into a file for --context."
        )
    };
    let checks = vec![
        said(
            "How much weight has the model among all that the decision rests on (influence)?",
            side(stated.influence, stated.influence_because.as_ref()),
            || asks("influence"),
            command.clone(),
        ),
        said(
            "How bad would a wrong decision be (consequence)?",
            side(stated.consequence, stated.consequence_because.as_ref()),
            || asks("consequence"),
            command.clone(),
        ),
        said(
            "What is the risk of relying on the model?",
            stated.risk().map(|risk| risk.name().to_owned()),
            || "Not stated: it needs influence and consequence.".to_owned(),
            command,
        ),
    ];
    let mut section = CredibilitySection::new(
        "model_risk",
        "Model risk",
        "Influence of the model times consequence of a wrong decision.",
        checks,
    );
    section
        .tables
        .push(matrix(stated.influence.zip(stated.consequence)));
    section.notes.push(
        "The standard asks for more evidence where the risk is higher and leaves it to its users how \
         much. The rules below are the same whatever the risk: whether they suffice for it is for \
         whoever reviews this to judge, and [acceptance] of the context file changes them."
            .to_owned(),
    );
    section
}

/// The risks by influence and consequence, with the one that was stated in brackets.
fn matrix(stated: Option<(Level, Level)>) -> CredibilityTable {
    let mut table = Table::new(&[
        "influence",
        "consequence low",
        "consequence medium",
        "consequence high",
    ]);
    for influence in Level::ALL {
        let [low, medium, high] = Level::ALL.map(|consequence| {
            let risk = Level::risk(influence, consequence).name();
            if stated == Some((influence, consequence)) {
                format!("[{risk}]")
            } else {
                risk.to_owned()
            }
        });
        table.push([influence.name().to_owned(), low, medium, high]);
    }
    let title = "Risk by influence and consequence; what was stated is in brackets";
    CredibilityTable::new(title, table)
}

/// A check that only users can answer.
fn said(
    asked: &str,
    answer: Option<String>,
    otherwise: impl FnOnce() -> String,
    command: String,
) -> CredibilityCheck {
    let verdict = if answer.is_some() {
        Verdict::Stated
    } else {
        Verdict::NotStated
    };
    CredibilityCheck {
        asked: asked.to_owned(),
        verdict,
        rule: "Stated if the context file says it; it is not judged.".to_owned(),
        found: answer.unwrap_or_else(otherwise),
        command,
    }
}
