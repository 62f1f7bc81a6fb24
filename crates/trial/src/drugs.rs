//! Reads drugs: what they do, and when they are given.

use reseed_model::scenario::{
    Action, Amount, Direct, DoseBlock, Dosed, Drug, Effect, GENES, Gene, Peripheral, Route,
};

use crate::diagnostic::{Problems, Span, did_you_mean, quoted, readable};
use crate::document::{Entry, Node, Table, Value, overlay};
use crate::drug_tables::{
    BLANK_EFFECT, BLANK_PERIPHERAL, BLOCK, Block, DIRECT, DOSED, DOSES_MAX, DRUG, DRUG_KINDS,
    EFFECT, PERIPHERAL, ROUTE_KINDS, ROUTES, RouteDraft, blank_direct, blank_dosed,
};
use crate::field::{
    Field, Place, USE_A_LIKE, choice, is_name, known, read, read_all, refuse_name, refuse_unknown,
    wrong_type,
};
use crate::tables::HORIZON_DAYS_MAX;

/// Most drugs that a file may define.
pub(crate) const DRUGS_MAX: usize = 1024;

/// Most regular runs of doses of one drug.
pub(crate) const BLOCKS_MAX: usize = 1024;

/// Longest infusion over interval that still counts as equal, for intervals such as a third of
/// a day.
const ROUNDING: f64 = 1e-9;

/// A drug of the file and its key there.
pub(crate) struct NamedDrug {
    pub(crate) key: String,
    /// What arms know it by; `None` if it could not be read.
    pub(crate) drug: Option<Drug>,
}

impl NamedDrug {
    /// The molecule, or the key of a drug that could not be read.
    pub(crate) fn molecule(&self) -> &str {
        self.drug.as_ref().map_or(&self.key, |drug| &drug.name)
    }
}

/// Reads all drugs of the file, in its order. `delay_days` is the time from diagnosis to
/// resection, if known.
pub(crate) fn drugs(
    root: &Table,
    delay_days: Option<f64>,
    rivals: &[Vec<&'static str>],
    problems: &mut Problems,
) -> Vec<NamedDrug> {
    let Some(node) = root.get("drugs") else {
        return Vec::new();
    };
    let Some(table) = node.as_table() else {
        wrong_type("drugs", "a table of drugs by name", node, problems);
        return Vec::new();
    };
    if table.entries.len() > DRUGS_MAX {
        problems.add(
            node.span,
            "too many drugs",
            format!(
                "{} drugs, at most {DRUGS_MAX} are allowed",
                table.entries.len()
            ),
            None,
        );
        return Vec::new();
    }
    let mut reader = Reader {
        library: table,
        delay_days,
        delay: root.at(&["local_treatment", "delay_days"]),
        rivals,
        faulty: Vec::new(),
    };
    let own = |entry: &'_ Entry| {
        entry
            .node
            .as_table()
            .is_some_and(|own| own.get("like").is_none())
    };
    let mut drugs: Vec<(usize, NamedDrug)> = Vec::new();
    // Drugs that others are like come first, so that their faults are known.
    for is_own in [true, false] {
        for (position, entry) in table.entries.iter().enumerate() {
            if own(entry) == is_own
                && let Some(drug) = reader.entry(entry, problems)
            {
                drugs.push((position, drug));
            }
        }
    }
    drugs.sort_by_key(|(position, _)| *position);
    drugs.into_iter().map(|(_, drug)| drug).collect()
}

/// Whether a table says `remove = true`.
pub(crate) fn removed(table: &Table, problems: &mut Problems) -> bool {
    match table.get("remove") {
        None => false,
        Some(node) => {
            if let Value::Flag(flag) = node.value {
                flag
            } else {
                wrong_type("remove", "true or false", node, problems);
                false
            }
        }
    }
}

/// How doses enter, and where that is given.
type PlacedRoute = (Route, Option<Span>);

struct Reader<'a> {
    library: &'a Table,
    delay_days: Option<f64>,
    /// Where `delay_days` is given.
    delay: Option<&'a Node>,
    rivals: &'a [Vec<&'static str>],
    /// Drugs with problems: those that are like them would only repeat them.
    faulty: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    /// Reads a drug, unless it is removed.
    fn entry(&mut self, entry: &'a Entry, problems: &mut Problems) -> Option<NamedDrug> {
        if !is_name(&entry.key) {
            refuse_name("drug", &entry.key, entry.key_span, problems);
            return None;
        }
        let Some(own) = entry.node.as_table() else {
            wrong_type(&entry.key, "a table", &entry.node, problems);
            return None;
        };
        if removed(own, problems) {
            return None;
        }
        let before = problems.len();
        let drug = self.drug(&entry.key, own, entry.node.span, problems);
        if problems.len() > before {
            self.faulty.push(&entry.key);
        }
        Some(NamedDrug {
            key: entry.key.clone(),
            drug,
        })
    }

    fn drug(&self, key: &str, own: &Table, span: Span, problems: &mut Problems) -> Option<Drug> {
        let (table, mut molecule) = match own.get("like") {
            None => (own.clone(), key.to_owned()),
            Some(like) => self.inherit(like, own, problems)?,
        };
        let name = format!("[drugs.{key}]");
        let place = Place {
            table: &table,
            span,
            name: &name,
            advice: USE_A_LIKE,
        };
        read(DRUG, place, &mut molecule, problems);
        let kind = table.get("kind")?;
        let action = match choice("kind", &DRUG_KINDS, kind, problems)? {
            0 => Action::Direct(self.direct(place, problems)),
            _ => Action::Dosed(Box::new(self.dosed(place, problems))),
        };
        Some(Drug {
            name: molecule,
            action,
        })
    }

    /// The keys of another drug under a drug's own, and their common molecule.
    fn inherit(
        &self,
        like: &Node,
        own: &Table,
        problems: &mut Problems,
    ) -> Option<(Table, String)> {
        let Some(name) = like.as_text() else {
            wrong_type("like", "the name of a drug", like, problems);
            return None;
        };
        let Some(model) = self.library.table(name) else {
            problems.add(
                like.span,
                format!("unknown drug {}", quoted(name)),
                "no drug has this name",
                did_you_mean(name, self.library.keys()),
            );
            return None;
        };
        if model.entry("like").is_some() {
            problems.add(
                like.span,
                format!("{} is itself like another drug", quoted(name)),
                "inheritance goes one step only",
                "name the drug that holds the values".to_owned(),
            );
            return None;
        }
        if self.faulty.contains(&name) || list_of_runs_changed(name, model, own, problems) {
            return None;
        }
        let molecule = model
            .get("molecule")
            .and_then(Node::as_text)
            .unwrap_or(name)
            .to_owned();
        let mut merged = model.clone();
        overlay(&mut merged, own.clone(), self.rivals);
        Some((merged, molecule))
    }

    fn direct(&self, place: Place<'_>, problems: &mut Problems) -> Direct {
        let mut direct = blank_direct();
        read(DIRECT, place, &mut direct, problems);
        refuse_foreign(place, DIRECT, DOSED, "dosed", problems);
        self.refuse_early("from_day", direct.from_day, place.table, problems);
        if direct.until_day <= direct.from_day {
            let node = place
                .table
                .get("until_day")
                .or(place.table.get("until_years"));
            problems.add(
                node.map_or(place.span, |node| node.span),
                "the drug ends before it begins",
                format!("must be after from_day, {}", readable(direct.from_day)),
                None,
            );
        }
        if let Some(inhibits) = place.table.get("inhibits")
            && direct.inhibition.iter().all(|share| *share <= 0.0)
            && inhibits.as_table().is_some_and(|table| {
                table
                    .keys()
                    .all(|key| Gene::ALL.iter().any(|gene| gene.symbol() == key))
            })
        {
            problems.add(
                inhibits.span,
                "the drug does nothing",
                "no gene product is inhibited",
                format!("give one of {}, such as IL6 = 0.8", genes()),
            );
        }
        direct
    }

    fn dosed(&self, place: Place<'_>, problems: &mut Problems) -> Dosed {
        let mut dosed = blank_dosed();
        read(DOSED, place, &mut dosed, problems);
        refuse_foreign(place, DOSED, DIRECT, "direct", problems);
        if let Some(node) = place.table.get("route") {
            dosed.route = route(node, place.name, problems).unwrap_or(Route::Bolus);
        }
        if let Some(node) = place.table.get("schedule") {
            let route = (dosed.route, place.table.get("route").map(|node| node.span));
            dosed.schedule = self.schedule(node, route, problems);
        }
        if let Some(node) = place.table.get("peripheral") {
            dosed.peripheral = peripheral(node, problems);
        }
        if let Some(node) = place.table.get("effects") {
            dosed.effects = effects(node, problems);
        }
        dosed
    }

    fn schedule(&self, node: &Node, route: PlacedRoute, problems: &mut Problems) -> Vec<DoseBlock> {
        let mut blocks = Vec::new();
        match &node.value {
            Value::Table(table) => self.run(table, node.span, route, &mut blocks, problems),
            Value::List(items) if items.is_empty() || items.len() > BLOCKS_MAX => problems.add(
                node.span,
                "the schedule cannot be used",
                format!("{} runs of doses, must be 1 to {BLOCKS_MAX}", items.len()),
                None,
            ),
            Value::List(items) => {
                for item in items {
                    match item.as_table() {
                        Some(table) => self.run(table, item.span, route, &mut blocks, problems),
                        None => wrong_type("schedule", "a list of tables", item, problems),
                    }
                }
            }
            _ => wrong_type("schedule", "a table or a list of tables", node, problems),
        }
        if blocks.len() > BLOCKS_MAX {
            problems.add(
                node.span,
                "the schedule is too long",
                format!(
                    "{} runs of doses, at most {BLOCKS_MAX} are allowed",
                    blocks.len()
                ),
                "lengthen the cycle or shorten the treatment".to_owned(),
            );
        }
        blocks
    }

    /// Reads one run of doses, checks it, and adds it as regular blocks.
    fn run(
        &self,
        table: &Table,
        span: Span,
        route: PlacedRoute,
        blocks: &mut Vec<DoseBlock>,
        problems: &mut Problems,
    ) {
        let place = Place {
            table,
            span,
            name: "the schedule",
            advice: USE_A_LIKE,
        };
        let mut block = Block::BLANK;
        read_all(BLOCK, place, &mut block, problems);
        self.refuse_early("first_day", block.first_day, table, problems);
        let Some(amount) = amount(block, span, problems) else {
            return;
        };
        if block.until_day.is_nan() == (block.doses == 0) {
            problems.add(
                span,
                "the schedule must end in one way",
                "needs exactly one of `until_day` and `doses`",
                None,
            );
            return;
        }
        if let (Route::Infusion { days }, Some(route_span)) = route
            && days > block.every_days * (1.0 + ROUNDING)
        {
            problems.add(
                Span::to_blame(&[span, route_span]).unwrap_or(span),
                "an infusion is longer than the interval between doses",
                format!(
                    "{} days every {} days",
                    readable(days),
                    readable(block.every_days)
                ),
                "shorten `route.hours` or lengthen `every_days`".to_owned(),
            );
        }
        expand(block, amount, span, blocks, problems);
    }

    /// Refuses a day before diagnosis: no arm acts before `T_dx` (section 6).
    fn refuse_early(&self, key: &str, day: f64, table: &Table, problems: &mut Problems) {
        let Some(delay_days) = self.delay_days else {
            return;
        };
        let places: Vec<Span> = table
            .get(key)
            .into_iter()
            .chain(self.delay)
            .map(|node| node.span)
            .collect();
        if day < -delay_days
            && let Some(span) = Span::to_blame(&places)
        {
            problems.add(
                span,
                "treatment before diagnosis",
                format!(
                    "resection follows diagnosis by {} days, so day {} is too early",
                    readable(delay_days),
                    readable(day)
                ),
                format!(
                    "start on day {} or later, or lengthen local_treatment.delay_days",
                    readable(-delay_days)
                ),
            );
        }
    }
}

/// Reports single keys of a schedule that change an inherited list of runs, for it would not be
/// clear which.
fn list_of_runs_changed(name: &str, model: &Table, own: &Table, problems: &mut Problems) -> bool {
    let (Some(inherited), Some(change)) = (model.get("schedule"), own.get("schedule")) else {
        return false;
    };
    let is_complete = change.as_table().is_none_or(|run| {
        let has = |key| run.get(key).is_some();
        (has("every_days") || has("doses_per_day")) && (has("dose_mg") || has("dose_mg_per_kg"))
    });
    if is_complete || inherited.as_table().is_some() {
        return false;
    }
    problems.add(
        Span::to_blame(&[inherited.span, change.span]).unwrap_or(change.span),
        format!(
            "a drug like {} changes single keys of its schedule",
            quoted(name)
        ),
        "this schedule is a list, so it is not clear which run they change",
        "use one run here, or give the other drug a whole schedule, or remove it and its arms"
            .to_owned(),
    );
    true
}

/// Reports keys that belong to the other kind of drug as such, and others as unknown.
fn refuse_foreign<T, U>(
    place: Place<'_>,
    own: &[Field<T>],
    foreign: &[Field<U>],
    foreign_kind: &str,
    problems: &mut Problems,
) {
    let own = [known(DRUG), known(own)].concat();
    let foreign = known(foreign);
    let is_foreign = |key: &str| foreign.contains(&key) && !own.contains(&key);
    let mut rest = place.table.clone();
    rest.entries.retain(|entry| !is_foreign(&entry.key));
    for entry in &place.table.entries {
        if is_foreign(&entry.key) {
            problems.add(
                entry.key_span,
                format!("`{}` does not belong in {}", entry.key, place.name),
                format!("only a {foreign_kind} drug has it"),
                format!("remove it, or set kind = \"{foreign_kind}\""),
            );
        }
    }
    let place = Place {
        table: &rest,
        ..place
    };
    refuse_unknown(place, &own, problems);
}

fn amount(block: Block, span: Span, problems: &mut Problems) -> Option<Amount> {
    match (block.dose_mg.is_nan(), block.dose_mg_per_kg.is_nan()) {
        (false, true) => Some(Amount::Milligrams(block.dose_mg)),
        (true, false) => Some(Amount::MilligramsPerKilogram(block.dose_mg_per_kg)),
        _ => {
            problems.add(
                span,
                "the schedule must give the dose in one way",
                "needs exactly one of `dose_mg` and `dose_mg_per_kg`",
                None,
            );
            None
        }
    }
}

/// Turns a run with an end or cycles into regular blocks.
fn expand(
    run: Block,
    amount: Amount,
    span: Span,
    blocks: &mut Vec<DoseBlock>,
    problems: &mut Problems,
) {
    let mut refuse = |message: &str, reason: String| problems.add(span, message, reason, None);
    let block = |first_day, doses| DoseBlock {
        first_day,
        interval_days: run.every_days,
        doses,
        amount,
    };
    if run.doses > 0 {
        if !run.on_days.is_nan() || !run.of_days.is_nan() {
            refuse(
                "a cycle needs an end",
                "give `until_day` in place of `doses`".to_owned(),
            );
        }
        let doses = u32::try_from(run.doses).unwrap_or(u32::MAX);
        if run.first_day + f64::from(doses - 1) * run.every_days > HORIZON_DAYS_MAX {
            refuse(
                "the schedule is too long",
                format!("the last dose is later than day {HORIZON_DAYS_MAX}"),
            );
        }
        blocks.push(block(run.first_day, doses));
        return;
    }
    if run.until_day <= run.first_day {
        refuse(
            "the schedule has no dose",
            format!(
                "until_day {} is not after first_day {}",
                readable(run.until_day),
                readable(run.first_day)
            ),
        );
        return;
    }
    if run.on_days > run.of_days {
        refuse(
            "the cycle is shorter than its days with doses",
            format!(
                "on_days {} is above of_days {}",
                readable(run.on_days),
                readable(run.of_days)
            ),
        );
        return;
    }
    // Without a cycle, there is one that lasts from the first dose to the end.
    let whole = run.until_day - run.first_day;
    let on_days = if run.on_days.is_nan() {
        whole
    } else {
        run.on_days
    };
    let of_days = if run.of_days.is_nan() {
        whole
    } else {
        run.of_days
    };
    let mut cycle = 0u32;
    loop {
        let start = run.first_day + f64::from(cycle) * of_days;
        // NaN, from a value that was refused, ends the loop too.
        let is_before_end = start < run.until_day - ROUNDING;
        if !is_before_end || blocks.len() > BLOCKS_MAX {
            return;
        }
        let end = (start + on_days).min(run.until_day);
        let Some(doses) = doses_in(end - start, run.every_days) else {
            refuse(
                "the schedule has too many doses",
                format!("at most {DOSES_MAX} regular doses are allowed"),
            );
            return;
        };
        blocks.push(block(start, doses));
        cycle += 1;
    }
}

/// Number of doses at 0, `every`, 2·`every`… before `length`, at least one.
fn doses_in(length_days: f64, every_days: f64) -> Option<u32> {
    let doses = (length_days / every_days - ROUNDING).ceil().max(1.0);
    if doses > DOSES_MAX as f64 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number between 1 and DOSES_MAX"
    )]
    let doses = doses as u32;
    Some(doses)
}

fn route(node: &Node, drug: &str, problems: &mut Problems) -> Option<Route> {
    let Some(table) = node.as_table() else {
        wrong_type(
            "route",
            "a table such as { kind = \"infusion\", hours = 1 }",
            node,
            problems,
        );
        return None;
    };
    let name = format!("the route of {drug}");
    let place = Place {
        table,
        span: node.span,
        name: &name,
        advice: USE_A_LIKE,
    };
    let Some(kind) = table.get("kind") else {
        problems.add(
            node.span,
            format!("{name} needs a kind"),
            format!("no `kind`; it is one of: {}", ROUTE_KINDS.join(", ")),
            None,
        );
        return None;
    };
    let kind = choice("kind", &ROUTE_KINDS, kind, problems)?;
    let mut draft = RouteDraft::BLANK;
    read(ROUTES[kind], place, &mut draft, problems);
    let keys = [vec!["kind"], known(ROUTES[kind])].concat();
    refuse_unknown(place, &keys, problems);
    Some(match kind {
        0 => Route::Bolus,
        1 => Route::Infusion { days: draft.days },
        _ => Route::Absorption {
            rate_per_day: draft.rate_per_day,
            bioavailability: draft.bioavailability,
        },
    })
}

fn peripheral(node: &Node, problems: &mut Problems) -> Option<Peripheral> {
    let Some(table) = node.as_table() else {
        wrong_type("peripheral", "a table", node, problems);
        return None;
    };
    let place = Place {
        table,
        span: node.span,
        name: "the second compartment",
        advice: USE_A_LIKE,
    };
    let mut peripheral = BLANK_PERIPHERAL;
    read_all(PERIPHERAL, place, &mut peripheral, problems);
    Some(peripheral)
}

fn effects(node: &Node, problems: &mut Problems) -> [Option<Effect>; GENES] {
    let mut effects = [None; GENES];
    let Some(table) = node.as_table() else {
        wrong_type("effects", "a table by gene product", node, problems);
        return effects;
    };
    let place = Place {
        table,
        span: node.span,
        name: "the drug's effects",
        advice: USE_A_LIKE,
    };
    refuse_unknown(place, &Gene::ALL.map(Gene::symbol), problems);
    if table.entries.is_empty() {
        problems.add(
            node.span,
            "the drug does nothing",
            "no gene product is inhibited",
            format!("give an effect on one of {}", genes()),
        );
    }
    for gene in Gene::ALL {
        let Some(node) = table.get(gene.symbol()) else {
            continue;
        };
        let Some(table) = node.as_table() else {
            wrong_type(gene.symbol(), "a table", node, problems);
            continue;
        };
        let name = format!("the effect on {}", gene.symbol());
        let place = Place {
            table,
            span: node.span,
            name: &name,
            advice: USE_A_LIKE,
        };
        let mut effect = BLANK_EFFECT;
        read_all(EFFECT, place, &mut effect, problems);
        effects[gene.index()] = Some(effect);
    }
    effects
}

fn genes() -> String {
    Gene::ALL.map(Gene::symbol).join(", ")
}
