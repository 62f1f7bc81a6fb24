//! From the text of a trial file to a checked trial.

use reseed_model::scenario::Arm;
use reseed_stats::Endpoint;

use crate::check;
use crate::diagnostic::{Problems, Source, Span, TrialError, did_you_mean, quoted, readable};
use crate::document::{self, Entry, Node, Table, Value, overlay};
use crate::drug_tables::{ARM, BLOCK, DIRECT, ROUTES};
use crate::drugs::{self, NamedDrug};
use crate::field::{
    OtherUnit, Place, Quantity, USE_A_BASE, above, choice, is_name, number, quantity, read_all,
    refuse_name, refuse_unknown, rivals, wrong_type,
};
use crate::preset::{preset_names, preset_text};
use crate::priors;
use crate::tables::{Draft, HORIZON_DAYS_MAX, PATIENTS_MAX, TRIAL, VISITS_MAX, months, years};
use crate::trial::{Primary, Trial};

/// Longest trial file, bytes.
pub(crate) const FILE_LENGTH_MAX: usize = 1 << 20;

/// Most arms of a trial.
pub(crate) const ARMS_MAX: usize = 1024;

/// Most drugs of an arm.
const ARM_DRUGS_MAX: usize = 64;

/// What the arm is called that is the control where `control` is not given.
const CONTROL: &str = "control";

/// A duration on the time axis.
const DAY: Quantity = quantity("days", above(0.0, 2.0 * HORIZON_DAYS_MAX));

const YEARS: OtherUnit = OtherUnit {
    key: "years",
    unit: "years",
    convert: years,
};

const MONTHS: OtherUnit = OtherUnit {
    key: "months",
    unit: "months",
    convert: months,
};

/// Reads a trial.
pub(crate) fn trial(source_name: &str, text: &str) -> Result<Trial, TrialError> {
    let mut problems = Problems::default();
    if text.len() > FILE_LENGTH_MAX {
        problems.add(
            START,
            "the trial file is too large",
            format!(
                "{} bytes, at most {FILE_LENGTH_MAX} are allowed",
                text.len()
            ),
            None,
        );
        return Err(refused(problems, (source_name, "")));
    }
    let file = document::parse(Source::File, text, &mut problems);
    let Some(file) = file else {
        return Err(refused(problems, (source_name, text)));
    };
    let Ok(base) = base(&file, &mut problems) else {
        return Err(refused(problems, (source_name, text)));
    };
    let mut bases = Vec::new();
    let trial = assemble(file, base, &mut bases, &mut problems);
    let bases: Vec<(&str, &str)> = (bases.iter())
        .map(|(name, text)| (name.as_str(), *text))
        .collect();
    match problems.into_error((source_name, text), &bases) {
        None => Ok(trial),
        Some(error) => Err(error),
    }
}

const START: Span = Span {
    source: Source::File,
    start: 0,
    end: 0,
};

fn refused(problems: Problems, file: (&str, &str)) -> TrialError {
    problems
        .into_error(file, &[])
        .expect("only called after a problem was noted")
}

/// The preset that the file builds on.
fn base(file: &Table, problems: &mut Problems) -> Result<Option<&'static str>, ()> {
    let Some(node) = file.get("base") else {
        return Ok(None);
    };
    let Some(name) = node.as_text() else {
        wrong_type("base", "the name of a preset", node, problems);
        return Err(());
    };
    let found = preset_names().find(|preset| *preset == name);
    if found.is_none() {
        problems.add(
            node.span,
            format!("unknown preset {}", quoted(name)),
            format!(
                "must be one of: {}",
                preset_names().collect::<Vec<_>>().join(", ")
            ),
            did_you_mean(name, preset_names()),
        );
    }
    found.map(Some).ok_or(())
}

/// What a preset says, laid over what it builds on itself. `bases` gets the name and text of
/// each.
fn inherited(
    preset: &'static str,
    rivals: &[Vec<&'static str>],
    bases: &mut Vec<(String, &'static str)>,
    problems: &mut Problems,
) -> Option<Table> {
    let text = preset_text(preset)?;
    let own = document::parse(Source::Base(bases.len()), text, problems)?;
    bases.push((format!("preset {preset}"), text));
    let Some(next) = base(&own, problems).ok()? else {
        return Some(own);
    };
    let mut root = inherited(next, rivals, bases, problems)?;
    overlay(&mut root, own, rivals);
    Some(root)
}

/// Lays the file over its base and reads the whole.
fn assemble(
    file: Table,
    base: Option<&'static str>,
    bases: &mut Vec<(String, &'static str)>,
    problems: &mut Problems,
) -> Trial {
    let rivals = all_rivals();
    let own = file.clone();
    let root = match base.and_then(|preset| inherited(preset, &rivals, bases, problems)) {
        Some(mut root) => {
            overlay(&mut root, file, &rivals);
            root
        }
        None => file,
    };
    let place = Place {
        table: &root,
        span: START,
        name: "the trial file",
        advice: USE_A_BASE,
    };
    let mut draft = Draft::blank();
    read_all(TRIAL, place, &mut draft, problems);
    visits(&root, &mut draft, problems);
    let delay_days = draft.trial.scenario.local_treatment.delay_days;
    let drugs = drugs::drugs(
        &root,
        Some(delay_days).filter(|days| !days.is_nan()),
        &rivals,
        problems,
    );
    let arms = arms(&root, &drugs, problems);
    place_arms(arms, drugs, &mut draft.trial);
    draft.place_virtual_trials(root.get("virtual_trials").is_some());
    uncertainty(&root, &own, &mut draft, problems);
    draft.settle();
    draft.trial.scenario.control = control(&root, &draft.trial, problems);
    primary(&root, &own, &mut draft.trial, problems);
    check::whole(&root, &draft, problems);
    points(&root, &draft.trial, problems);
    draft.trial
}

/// Reads `[uncertainty]`. The number of its points makes that of the patients, unless the file
/// itself gives the latter.
fn uncertainty(root: &Table, own: &Table, draft: &mut Draft, problems: &mut Problems) {
    let Some((uncertainty, points)) = priors::uncertainty(root, problems) else {
        return;
    };
    draft.explore(uncertainty);
    let Some(points) = points else {
        return;
    };
    if own.at(&["run", "patients"]).is_none() && !draft.screen_points(points) {
        let places = [["uncertainty", "points"], ["run", "block_patients"]];
        let places: Vec<Span> = (places.iter().filter_map(|path| root.at(path)))
            .map(|node| node.span)
            .collect();
        problems.add(
            Span::to_blame(&places).unwrap_or(START),
            "too many patients",
            format!("{points} points are more than {PATIENTS_MAX} patients"),
            "lower points or run.block_patients".to_owned(),
        );
    }
}

/// Every point of the design must be a valid trial.
fn points(root: &Table, trial: &Trial, problems: &mut Problems) {
    if !problems.is_empty() {
        return;
    }
    if let Err(error) = trial.check_points(0..trial.blocks()) {
        problems.add(
            root.at(&["uncertainty", "priors"])
                .map_or(START, |node| node.span),
            format!("point {} of the design is not a valid trial", error.point),
            format!("{} ({})", error.problem, error.values),
            "narrow the priors".to_owned(),
        );
    }
}

/// Groups of keys of which giving one replaces an inherited other.
fn all_rivals() -> Vec<Vec<&'static str>> {
    let mut groups = vec![
        vec!["visits", "visits_days"],
        vec!["doses", "until_day", "until_years"],
        vec!["dose_mg", "dose_mg_per_kg"],
        vec!["years", "months", "days"],
    ];
    rivals(TRIAL, &mut groups);
    rivals(DIRECT, &mut groups);
    rivals(BLOCK, &mut groups);
    for route in ROUTES {
        rivals(route, &mut groups);
    }
    groups
}

/// Expands `follow_up.visits` into days.
fn visits(root: &Table, draft: &mut Draft, problems: &mut Problems) {
    let Some(node) = root.at(&["follow_up", "visits"]) else {
        return;
    };
    if let Some(entry) = root
        .table("follow_up")
        .and_then(|table| table.entry("visits_days"))
    {
        problems.add(
            entry.key_span,
            "`visits` and `visits_days` say the same thing twice",
            "visits are already given by intervals",
            "keep one of the two".to_owned(),
        );
    }
    let Value::List(runs) = &node.value else {
        wrong_type(
            "visits",
            "a list such as [{ every_months = 6, until_years = 5 }]",
            node,
            problems,
        );
        return;
    };
    let mut days = Vec::new();
    let mut from = 0.0;
    for run in runs {
        let Some(until) = visit_run(run, from, &mut days, problems) else {
            return;
        };
        from = until;
    }
    draft.trial.scenario.follow_up.visits_days = days;
}

/// Adds the visits of one run that starts after `from`; returns its end.
fn visit_run(run: &Node, from: f64, days: &mut Vec<f64>, problems: &mut Problems) -> Option<f64> {
    const KEYS: [&str; 4] = ["every_months", "every_days", "until_years", "until_days"];
    let Some(table) = run.as_table() else {
        wrong_type("visits", "a list of tables", run, problems);
        return None;
    };
    let place = Place {
        table,
        span: run.span,
        name: "the visits",
        advice: USE_A_BASE,
    };
    refuse_unknown(place, &KEYS, problems);
    let every = one_of(
        place,
        [("every_months", Some(&MONTHS)), ("every_days", None)],
        problems,
    )?;
    let until = one_of(
        place,
        [("until_years", Some(&YEARS)), ("until_days", None)],
        problems,
    )?;
    let runs = (until - from) / every;
    if runs > VISITS_MAX as f64 || days.len() > VISITS_MAX {
        problems.add(
            run.span,
            "too many visits",
            format!("at most {VISITS_MAX} are allowed"),
            None,
        );
        return None;
    }
    if until <= from {
        problems.add(
            run.span,
            "these visits end before they begin",
            format!(
                "until {} days, but the visits before last until {} days",
                readable(until),
                readable(from)
            ),
            None,
        );
        return None;
    }
    // Counting from the start of the run keeps rounding from adding up.
    let mut last = from;
    for visit in 1u32.. {
        last = from + f64::from(visit) * every;
        if last > until + 1e-6 {
            break;
        }
        days.push(last);
    }
    Some(last - every)
}

/// The value of the one key of two that is given.
fn one_of(
    place: Place<'_>,
    keys: [(&'static str, Option<&OtherUnit>); 2],
    problems: &mut Problems,
) -> Option<f64> {
    let mut given = keys
        .into_iter()
        .filter_map(|(key, other)| place.table.get(key).map(|node| (key, other, node)));
    if let (Some((key, other, node)), None) = (given.next(), given.next()) {
        return number(key, DAY, other, node, problems);
    }
    problems.add(
        place.span,
        format!("{} must say it in one way", place.name),
        format!("needs exactly one of `{}` and `{}`", keys[0].0, keys[1].0),
        None,
    );
    None
}

/// An arm with the positions of its drugs among the file's.
struct NamedArm {
    name: String,
    radiotherapy: bool,
    drugs: Vec<usize>,
}

/// Reads the arms that are kept, in the order of the file.
fn arms(root: &Table, drugs: &[NamedDrug], problems: &mut Problems) -> Vec<NamedArm> {
    let Some(node) = root.get("arms") else {
        return Vec::new();
    };
    let Some(table) = node.as_table() else {
        wrong_type("arms", "a table of arms by name", node, problems);
        return Vec::new();
    };
    let kept = kept_arms(root, table, problems);
    let mut arms = Vec::new();
    for entry in &table.entries {
        if kept
            .as_ref()
            .is_some_and(|kept| !kept.contains(&entry.key.as_str()))
        {
            continue;
        }
        if !is_name(&entry.key) {
            refuse_name("arm", &entry.key, entry.key_span, problems);
            continue;
        }
        let Some(own) = entry.node.as_table() else {
            wrong_type(&entry.key, "a table", &entry.node, problems);
            continue;
        };
        if drugs::removed(own, problems) {
            continue;
        }
        if arms.len() == ARMS_MAX {
            problems.add(
                entry.key_span,
                "too many arms",
                format!("at most {ARMS_MAX} are allowed"),
                None,
            );
            break;
        }
        let library = root.table("drugs");
        arms.push(arm(entry, own, drugs, library, problems));
    }
    if arms.is_empty() && problems.is_empty() {
        let only = root.get("arms_only").map_or(node.span, |only| only.span);
        problems.add(
            Span::to_blame(&[only, node.span]).unwrap_or(only),
            "the trial has no arms",
            "all arms are removed",
            "keep at least the control".to_owned(),
        );
    }
    arms
}

/// The names of `arms_only`.
fn kept_arms<'a>(root: &'a Table, arms: &Table, problems: &mut Problems) -> Option<Vec<&'a str>> {
    let node = root.get("arms_only")?;
    let names = names("arms_only", node, ARMS_MAX, problems)?;
    for (name, span) in &names {
        if arms.entry(name).is_none() {
            problems.add(
                *span,
                format!("unknown arm {}", quoted(name)),
                "no arm has this name",
                did_you_mean(name, arms.keys()),
            );
        }
    }
    Some(names.into_iter().map(|(name, _)| name).collect())
}

/// A list of different names.
fn names<'a>(
    key: &str,
    node: &'a Node,
    len_max: usize,
    problems: &mut Problems,
) -> Option<Vec<(&'a str, Span)>> {
    let Value::List(items) = &node.value else {
        wrong_type(key, "a list of names", node, problems);
        return None;
    };
    if items.len() > len_max {
        problems.add(
            node.span,
            format!("{} is too long", quoted(key)),
            format!("{} names, at most {len_max} are allowed", items.len()),
            None,
        );
        return None;
    }
    let mut names: Vec<(&str, Span)> = Vec::new();
    for item in items {
        let Some(name) = item.as_text() else {
            wrong_type(key, "a list of names", item, problems);
            continue;
        };
        if names.iter().any(|(other, _)| *other == name) {
            problems.add(
                item.span,
                format!("{} is named twice", quoted(name)),
                "already in this list",
                "remove it".to_owned(),
            );
        } else {
            names.push((name, item.span));
        }
    }
    Some(names)
}

/// Reads one arm. `drugs` are those that are kept of the file's `library`.
fn arm(
    entry: &Entry,
    table: &Table,
    drugs: &[NamedDrug],
    library: Option<&Table>,
    problems: &mut Problems,
) -> NamedArm {
    let place_name = format!("[arms.{}]", entry.key);
    let place = Place {
        table,
        span: entry.node.span,
        name: &place_name,
        advice: USE_A_BASE,
    };
    let mut arm = NamedArm {
        name: entry.key.clone(),
        radiotherapy: false,
        drugs: Vec::new(),
    };
    read_all(ARM, place, &mut arm.radiotherapy, problems);
    let given = table
        .get("drugs")
        .and_then(|node| names("drugs", node, ARM_DRUGS_MAX, problems));
    for (drug, span) in given.unwrap_or_default() {
        let Some(position) = drugs.iter().position(|known| known.key == drug) else {
            if let Some(removed) = library.and_then(|library| library.get(drug)) {
                problems.add(
                    Span::to_blame(&[span, removed.span]).unwrap_or(span),
                    format!("{place_name} needs the drug {}", quoted(drug)),
                    "this drug is removed or has no usable name",
                    format!("keep it, or remove the arm too: {place_name} remove = true"),
                );
                continue;
            }
            problems.add(
                span,
                format!("unknown drug {} in {place_name}", quoted(drug)),
                "no drug has this name",
                did_you_mean(drug, drugs.iter().map(|known| known.key.as_str())),
            );
            continue;
        };
        let molecule = drugs[position].molecule();
        if let Some(twin) = arm
            .drugs
            .iter()
            .find(|other| drugs[**other].molecule() == molecule)
        {
            problems.add(
                span,
                format!("{place_name} gives the molecule {} twice", quoted(molecule)),
                format!("{} is the same molecule", quoted(&drugs[*twin].key)),
                "make one drug whose schedule is a list of both runs of doses".to_owned(),
            );
        }
        arm.drugs.push(position);
    }
    arm
}

/// Puts arms, and the drugs that they use, into the trial.
fn place_arms(arms: Vec<NamedArm>, drugs: Vec<NamedDrug>, trial: &mut Trial) {
    let mut used: Vec<usize> = arms.iter().flat_map(|arm| arm.drugs.clone()).collect();
    used.sort_unstable();
    used.dedup();
    trial.scenario.arms = arms
        .into_iter()
        .map(|arm| Arm {
            name: arm.name,
            radiotherapy: arm.radiotherapy,
            drugs: arm
                .drugs
                .into_iter()
                .filter_map(|drug| used.binary_search(&drug).ok())
                .collect(),
        })
        .collect();
    for (position, named) in drugs.into_iter().enumerate() {
        // A drug that could not be read is a problem, and there will be no trial.
        if let Some(drug) = named.drug
            && used.binary_search(&position).is_ok()
        {
            trial.drug_keys.push(named.key);
            trial.scenario.drugs.push(drug);
        }
    }
}

/// Position of the control.
fn control(root: &Table, trial: &Trial, problems: &mut Problems) -> usize {
    let Some(first) = trial.scenario.arms.first() else {
        return 0;
    };
    let node = root.get("control");
    if let Some(node) = node
        && node.as_text().is_none()
    {
        wrong_type("control", "the name of an arm", node, problems);
        return 0;
    }
    let name = node.and_then(Node::as_text).unwrap_or(CONTROL);
    if let Some(position) = trial.arm(name) {
        return position;
    }
    let places: Vec<Span> = node
        .into_iter()
        .chain(root.get("arms_only"))
        .map(|node| node.span)
        .collect();
    let arms = trial.scenario.arms.iter().map(|arm| arm.name.as_str());
    problems.add(
        Span::to_blame(&places).unwrap_or(START),
        "the trial has no control",
        format!("no arm of this trial is called {}", quoted(name)),
        did_you_mean(name, arms)
            .unwrap_or_else(|| format!("keep that arm, or set control = \"{}\"", first.name)),
    );
    0
}

fn position_of_arm(
    key: &str,
    node: &Node,
    trial: &Trial,
    problems: &mut Problems,
) -> Option<usize> {
    let Some(name) = node.as_text() else {
        wrong_type(key, "the name of an arm", node, problems);
        return None;
    };
    let position = trial.arm(name);
    if position.is_none() {
        problems.add(
            node.span,
            format!("unknown arm {}", quoted(name)),
            "no arm of this trial has this name",
            did_you_mean(
                name,
                trial.scenario.arms.iter().map(|arm| arm.name.as_str()),
            ),
        );
    }
    position
}

/// Reads `compare.primary`. What is not given is the first arm that is not the control, local
/// recurrence, and the last time of comparison.
fn primary(root: &Table, own: &Table, trial: &mut Trial, problems: &mut Problems) {
    let control = trial.scenario.control;
    let first = (0..trial.scenario.arms.len()).find(|arm| *arm != control);
    trial.primary = Primary {
        arm: first.unwrap_or(control),
        endpoint: Endpoint::Local,
        day: trial.compare_days.last().copied().unwrap_or(f64::NAN),
    };
    let Some(node) = root.at(&["compare", "primary"]) else {
        return;
    };
    let Some(table) = node.as_table() else {
        wrong_type(
            "primary",
            "a table such as { arm = \"siltuximab\", endpoint = \"local\", years = 5 }",
            node,
            problems,
        );
        return;
    };
    let place = Place {
        table,
        span: node.span,
        name: "the primary comparison",
        advice: USE_A_BASE,
    };
    refuse_unknown(
        place,
        &["arm", "endpoint", "days", "years", "months"],
        problems,
    );
    let is_own = own.at(&["compare", "primary", "arm"]).is_some();
    if let Some(node) = table.get("arm") {
        // A base's primary arm may be one that the file has removed.
        let inherited_and_removed =
            !is_own && node.as_text().is_some_and(|name| trial.arm(name).is_none());
        if !inherited_and_removed && let Some(arm) = position_of_arm("arm", node, trial, problems) {
            trial.primary.arm = arm;
        }
    }
    if let Some(node) = table.get("endpoint")
        && let Some(endpoint) = choice(
            "endpoint",
            &Endpoint::ALL.map(Endpoint::name),
            node,
            problems,
        )
    {
        trial.primary.endpoint = Endpoint::ALL[endpoint];
    }
    for (key, other) in [
        ("days", None),
        ("years", Some(&YEARS)),
        ("months", Some(&MONTHS)),
    ] {
        if let Some(node) = table.get(key)
            && let Some(day) = number(key, DAY, other, node, problems)
        {
            trial.primary.day = day;
        }
    }
}
