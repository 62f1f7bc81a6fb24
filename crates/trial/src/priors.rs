//! Reading what a trial file says about uncertainty.

use crate::design::{Design, FACTORS_MAX};
use crate::diagnostic::{Problems, Span, quoted, readable};
use crate::document::{Entry, Node, Table, Value};
use crate::drugs;
use crate::field::{
    Field, Kind, Place, Quantity, USE_A_BASE, above, below, choice, known, number, optional,
    quantity, read_all, refuse_unknown, required, wrong_type,
};
use crate::tables::{Draft, TRIAL};
use crate::uncertainty::{Factor, Prior, UNCERTAIN, Uncertainty};

/// Most points of a design.
pub(crate) const POINTS_MAX: u64 = 1 << 16;

/// Keys of `[uncertainty]`.
pub(crate) static UNCERTAINTY: &[Field<Plan>] = &[
    required(
        "design",
        "how points are spread over the priors",
        Kind::Choice(&Design::NAMES, |plan| &mut plan.design),
    ),
    optional(
        "points",
        "number of points, each a block of patients; makes run.patients, unless the file gives \
         that itself",
        Kind::Count(2, POINTS_MAX, |plan| &mut plan.points),
    ),
    optional(
        "half_years",
        "half-years of follow-up whose events and time at risk every block keeps by stratum, for \
         `reseed calibrate`",
        Kind::Count(1, HALF_YEARS_MAX, |plan| &mut plan.half_years),
    ),
    required(
        "priors",
        "what is believed about parameters: tables and keys as in the file itself, with \
         { median, factor }, { mean, sd }, { min, max }, { min, max, log = true }, { choices } or \
         { draws }",
        Kind::Special,
    ),
];

/// Most half-years of follow-up that blocks keep: the longest that cohorts are followed.
const HALF_YEARS_MAX: u64 = 80;

/// How a prior may be written.
pub(crate) const PRIOR_FORMS: &str =
    "{ median, factor }, { mean, sd }, { min, max }, { choices } or { draws }";

/// Factor within which 95 % of a log-normal quantity are.
pub(crate) const FACTOR: Quantity = quantity("", above(1.0, 1e6));

/// Standard deviation of a normal prior, in the unit of the key.
pub(crate) const SD: Quantity = quantity("", above(0.0, 1e18));

/// Uncertainty in the making.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    design: usize,
    points: u64,
    half_years: u64,
}

impl Plan {
    /// What the file would have said.
    pub(crate) fn of(uncertainty: &Uncertainty) -> Self {
        Self {
            design: Design::NAMES
                .iter()
                .position(|name| *name == uncertainty.design.name())
                .unwrap_or(0),
            points: match uncertainty.design {
                Design::LatinHypercube { points } => points,
                _ => 0,
            },
            half_years: uncertainty.half_years as u64,
        }
    }
}

/// Reads `[uncertainty]`, with the number of points if that is given.
pub(crate) fn uncertainty(
    root: &Table,
    problems: &mut Problems,
) -> Option<(Uncertainty, Option<u64>)> {
    let node = root.get("uncertainty")?;
    let Some(table) = node.as_table() else {
        wrong_type("uncertainty", "a table", node, problems);
        return None;
    };
    let place = Place {
        table,
        span: node.span,
        name: "[uncertainty]",
        advice: "say how to explore the priors, for example design = \"sobol\"",
    };
    let mut plan = Plan::default();
    read_all(UNCERTAINTY, place, &mut plan, problems);
    let factors = factors(table.get("priors")?, problems);
    let points = (plan.points > 0).then_some(plan.points);
    let design = match Design::NAMES[plan.design] {
        "latin-hypercube" => {
            if points.is_none() {
                problems.add(
                    table.get("design").map_or(node.span, |node| node.span),
                    "a Latin hypercube needs its number of points",
                    "each factor's range is cut into so many strata",
                    "for example points = 500".to_owned(),
                );
            }
            Design::LatinHypercube {
                points: plan.points,
            }
        }
        "morris" => Design::Morris,
        "saltelli" => Design::Saltelli,
        _ => Design::Sobol,
    };
    check_draws(place, design, &factors, problems);
    let uncertainty = Uncertainty {
        design,
        factors,
        half_years: usize::try_from(plan.half_years).expect("at most HALF_YEARS_MAX"),
    };
    Some((uncertainty, points))
}

/// Draws belong together, point by point, so all parameters need as many; and they are a sample,
/// so the design must be one too.
fn check_draws(place: Place<'_>, design: Design, factors: &[Factor], problems: &mut Problems) {
    let lengths: Vec<usize> = factors.iter().filter_map(Factor::draws).collect();
    let Some(first) = lengths.first() else {
        return;
    };
    let span = |key| place.table.get(key).map_or(place.span, |node| node.span);
    if let Some(other) = lengths.iter().find(|length| *length != first) {
        problems.add(
            span("priors"),
            "lists of draws differ in length",
            format!("one has {first} values, another {other}; a point takes one of each"),
            "give every parameter with draws as many".to_owned(),
        );
    }
    if matches!(design, Design::Morris | Design::Saltelli) {
        problems.add(
            span("design"),
            "draws need a design that samples",
            format!(
                "the points of `{}` change one parameter at a time",
                design.name()
            ),
            "use `sobol` or `latin-hypercube`".to_owned(),
        );
    }
}

/// The fields of the tables that may have priors.
pub(crate) fn uncertain_fields() -> impl Iterator<Item = &'static Field<Draft>> {
    TRIAL.iter().filter(|field| UNCERTAIN.contains(&field.key))
}

fn factors(node: &Node, problems: &mut Problems) -> Vec<Factor> {
    let Some(table) = node.as_table() else {
        wrong_type("priors", "a table of priors by key", node, problems);
        return Vec::new();
    };
    let place = Place {
        table,
        span: node.span,
        name: "[uncertainty.priors]",
        advice: USE_A_BASE,
    };
    let problems_before = problems.len();
    refuse_unknown(place, &UNCERTAIN, problems);
    let mut factors = Vec::new();
    for field in uncertain_fields() {
        read_field(field, place, "", &mut factors, problems);
    }
    if factors.is_empty() && problems.len() == problems_before {
        problems.add(
            node.span,
            "nothing is uncertain",
            "there is no prior",
            "give one, for example homing.scar_capture = { min = 0.05, max = 1 }".to_owned(),
        );
    }
    if factors.len() > FACTORS_MAX {
        problems.add(
            node.span,
            "too many priors",
            format!("{}, at most {FACTORS_MAX} are allowed", factors.len()),
            "leave out those that matter least; design = \"morris\" shows which".to_owned(),
        );
    }
    factors
}

/// Reads the priors of a field, and of those below it.
fn read_field(
    field: &'static Field<Draft>,
    place: Place<'_>,
    parent: &str,
    factors: &mut Vec<Factor>,
    problems: &mut Problems,
) {
    refuse_other_units(field, place, problems);
    let Some(entry) = place.table.entry(field.key) else {
        return;
    };
    let path = if parent.is_empty() {
        field.key.to_owned()
    } else {
        format!("{parent}.{}", field.key)
    };
    let Some(table) = entry.node.as_table() else {
        wrong_type(
            field.key,
            &format!("a table such as {PRIOR_FORMS}"),
            &entry.node,
            problems,
        );
        return;
    };
    let name = below(place.name, field.key);
    let place = Place {
        table,
        span: entry.node.span,
        name: &name,
        advice: USE_A_BASE,
    };
    if let Kind::Section(fields) = &field.kind {
        refuse_unknown(place, &known(fields), problems);
        for field in *fields {
            read_field(field, place, &path, factors, problems);
        }
    } else if !drugs::removed(table, problems)
        && let Some(prior) = prior(field, entry, place, problems)
    {
        factors.push(Factor { path, prior });
    }
}

/// Priors are about the value itself, not about another way to write it.
fn refuse_other_units(field: &Field<Draft>, place: Place<'_>, problems: &mut Problems) {
    for key in field.keys().skip(1) {
        if let Some(entry) = place.table.entry(key) {
            problems.add(
                entry.key_span,
                format!("{} cannot have a prior", quoted(key)),
                format!("priors are in the unit of `{}`", field.key),
                format!("give the prior of `{}`", field.key),
            );
        }
    }
}

fn prior(
    field: &Field<Draft>,
    entry: &Entry,
    place: Place<'_>,
    problems: &mut Problems,
) -> Option<Prior> {
    let is_given = |key| place.table.get(key).is_some();
    let quantity = match &field.kind {
        Kind::Number(quantity, _) => *quantity,
        Kind::Choice(words, _) => {
            refuse_unknown(place, &["choices"], problems);
            let each = |node: &Node, problems: &mut Problems| {
                choice(field.key, words, node, problems).map(|position| position as f64)
            };
            return choices(place, each, problems);
        }
        _ => unreachable!("the uncertain tables hold numbers, choices and tables"),
    };
    let mut value = |key: &'static str, quantity: Quantity| {
        let node = need(place, key, problems)?;
        number(key, quantity, None, node, problems)
    };
    if is_given("choices") {
        refuse_unknown(place, &["choices"], problems);
        let each = |node: &Node, problems: &mut Problems| {
            number(field.key, quantity, None, node, problems)
        };
        return choices(place, each, problems);
    }
    if is_given("draws") {
        refuse_unknown(place, &["draws"], problems);
        let each = |node: &Node, problems: &mut Problems| {
            number(field.key, quantity, None, node, problems)
        };
        return draws(place, each, problems);
    }
    if is_given("median") || is_given("factor") {
        let (median, factor) = (value("median", quantity), value("factor", FACTOR));
        refuse_unknown(place, &["median", "factor"], problems);
        let (median, factor) = (median?, factor?);
        return above_zero("median", median, place, problems)
            .then_some(Prior::LogNormal { median, factor });
    }
    if is_given("mean") || is_given("sd") {
        let (mean, sd) = (value("mean", quantity), value("sd", SD));
        refuse_unknown(place, &["mean", "sd"], problems);
        return Some(Prior::Normal {
            mean: mean?,
            sd: sd?,
        });
    }
    if is_given("min") || is_given("max") {
        let (min, max) = (value("min", quantity), value("max", quantity));
        refuse_unknown(place, &["min", "max", "log"], problems);
        return range(min?, max?, place, problems);
    }
    problems.add(
        entry.node.span,
        format!("{} is not a prior", quoted(field.key)),
        "nothing here says what is believed",
        format!("write {PRIOR_FORMS}"),
    );
    None
}

fn range(min: f64, max: f64, place: Place<'_>, problems: &mut Problems) -> Option<Prior> {
    if min >= max {
        problems.add(
            place.span,
            "the range of a prior is empty",
            format!("min {} is not below max {}", readable(min), readable(max)),
            "what is certain needs no prior".to_owned(),
        );
        return None;
    }
    match place.table.get("log").map(|node| (&node.value, node)) {
        None | Some((Value::Flag(false), _)) => Some(Prior::Uniform { min, max }),
        Some((Value::Flag(true), _)) => {
            above_zero("min", min, place, problems).then_some(Prior::LogUniform { min, max })
        }
        Some((_, node)) => {
            wrong_type("log", "true or false", node, problems);
            None
        }
    }
}

/// The node of a key that a prior of this form must have.
fn need<'a>(place: Place<'a>, key: &str, problems: &mut Problems) -> Option<&'a Node> {
    let node = place.table.get(key);
    if node.is_none() {
        problems.add(
            place.span,
            format!("key `{key}` is missing in {}", place.name),
            "a prior of this form needs both of its keys",
            format!("write {PRIOR_FORMS}"),
        );
    }
    node
}

fn above_zero(key: &str, value: f64, place: Place<'_>, problems: &mut Problems) -> bool {
    if value <= 0.0 {
        problems.add(
            place.table.get(key).map_or(place.span, |node| node.span),
            format!("{} must be above 0 in {}", quoted(key), place.name),
            "this prior is about the logarithm",
            "use { min, max } or { mean, sd }".to_owned(),
        );
    }
    value > 0.0
}

/// Two or more different values.
fn choices(
    place: Place<'_>,
    mut each: impl FnMut(&Node, &mut Problems) -> Option<f64>,
    problems: &mut Problems,
) -> Option<Prior> {
    let node = need(place, "choices", problems)?;
    let Value::List(items) = &node.value else {
        wrong_type("choices", "a list", node, problems);
        return None;
    };
    let mut values: Vec<f64> = Vec::new();
    for item in items {
        let value = each(item, problems)?;
        if values
            .iter()
            .any(|other| other.to_bits() == value.to_bits())
        {
            refuse_choices(item.span, "this one is there already", problems);
            return None;
        }
        values.push(value);
    }
    if values.len() < 2 || values.len() > CHOICES_MAX {
        let reason = format!(
            "{} alternatives, from 2 to {CHOICES_MAX} are allowed",
            items.len()
        );
        refuse_choices(node.span, &reason, problems);
        return None;
    }
    Some(Prior::Choice(values))
}

/// The values of a parameter at the points, one after the other.
fn draws(
    place: Place<'_>,
    mut each: impl FnMut(&Node, &mut Problems) -> Option<f64>,
    problems: &mut Problems,
) -> Option<Prior> {
    let node = need(place, "draws", problems)?;
    let Value::List(items) = &node.value else {
        wrong_type("draws", "a list of numbers", node, problems);
        return None;
    };
    if items.is_empty() || items.len() as u64 > POINTS_MAX {
        problems.add(
            node.span,
            "\"draws\" has the wrong length",
            format!("{} values, from 1 to {POINTS_MAX} are allowed", items.len()),
            None,
        );
        return None;
    }
    let values: Vec<f64> = (items.iter())
        .filter_map(|item| each(item, problems))
        .collect();
    (values.len() == items.len()).then_some(Prior::Draws(values))
}

/// Most alternatives of a choice.
pub(crate) const CHOICES_MAX: usize = 16;

fn refuse_choices(span: Span, reason: &str, problems: &mut Problems) {
    problems.add(
        span,
        "choices must be different, and at least two",
        reason,
        None,
    );
}
