//! Reads drugs: what they do, and when they are given.

use reseed_model::scenario::{
    Action, Amount, Direct, DoseBlock, Dosed, Drug, Effect, GENES, Gene, Peripheral, Route,
};

use crate::diagnostic::{Problems, Span, did_you_mean, quoted};
use crate::document::{Node, Table, Value, overlay};
use crate::drug_tables::{
    BLANK_EFFECT, BLANK_PERIPHERAL, BLOCK, Block, DIRECT, DOSED, DOSES_MAX, DRUG, DRUG_KINDS,
    EFFECT, PERIPHERAL, ROUTE_KINDS, ROUTES, RouteDraft, blank_direct, blank_dosed,
};
use crate::field::{
    Place, choice, is_name, known, read, refuse_name, refuse_unknown, wrong_type,
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
    pub(crate) drug: Drug,
}

/// Reads all drugs of the file, in its order. `delay_days` is the time from diagnosis to
/// resection, NaN if unknown.
pub(crate) fn drugs(
    root: &Table,
    delay_days: f64,
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
            format!("{} drugs, at most {DRUGS_MAX} are allowed", table.entries.len()),
            None,
        );
        return Vec::new();
    }
    let reader = Reader {
        library: table,
        delay_days,
        rivals,
    };
    let mut drugs = Vec::new();
    for entry in &table.entries {
        if !is_name(&entry.key) {
            refuse_name("drug", &entry.key, entry.key_span, problems);
            continue;
        }
        let Some(own) = entry.node.as_table() else {
            wrong_type(&entry.key, "a table", &entry.node, problems);
            continue;
        };
        if removed(own, problems) {
            continue;
        }
        if let Some(drug) = reader.drug(&entry.key, own, entry.node.span, problems) {
            drugs.push(NamedDrug {
                key: entry.key.clone(),
                drug,
            });
        }
    }
    drugs
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

struct Reader<'a> {
    library: &'a Table,
    delay_days: f64,
    rivals: &'a [Vec<&'static str>],
}

impl Reader<'_> {
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
        refuse_foreign(place, known(DIRECT), known(DOSED), "dosed", problems);
        self.refuse_early("from_day", direct.from_day, place.table, problems);
        if direct.until_day <= direct.from_day {
            let node = place.table.get("until_day").or(place.table.get("until_years"));
            problems.add(
                node.map_or(place.span, |node| node.span),
                "the drug ends before it begins",
                format!("must be after from_day, {}", direct.from_day),
                None,
            );
        }
        if let Some(inhibits) = place.table.get("inhibits")
            && direct.inhibition == [0.0; GENES]
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
        refuse_foreign(place, known(DOSED), known(DIRECT), "direct", problems);
        if let Some(node) = place.table.get("route") {
            dosed.route = route(node, place.name, problems).unwrap_or(Route::Bolus);
        }
        if let Some(node) = place.table.get("schedule") {
            dosed.schedule = self.schedule(node, dosed.route, problems);
        }
        if let Some(node) = place.table.get("peripheral") {
            dosed.peripheral = peripheral(node, problems);
        }
        if let Some(node) = place.table.get("effects") {
            dosed.effects = effects(node, problems);
        }
        dosed
    }

    fn schedule(&self, node: &Node, route: Route, problems: &mut Problems) -> Vec<DoseBlock> {
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
                format!("{} runs of doses, at most {BLOCKS_MAX} are allowed", blocks.len()),
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
        route: Route,
        blocks: &mut Vec<DoseBlock>,
        problems: &mut Problems,
    ) {
        let place = Place {
            table,
            span,
            name: "the schedule",
        };
        let mut block = Block::BLANK;
        read(BLOCK, place, &mut block, problems);
        refuse_unknown(place, known(BLOCK), problems);
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
        if let Route::Infusion { days } = route
            && days > block.every_days * (1.0 + ROUNDING)
        {
            problems.add(
                span,
                "an infusion is longer than the interval between doses",
                format!("{days} days every {} days", block.every_days),
                "shorten `route.hours` or lengthen `every_days`".to_owned(),
            );
        }
        expand(block, amount, span, blocks, problems);
    }

    /// Refuses a day before diagnosis: no arm acts before T_dx (section 6).
    fn refuse_early(&self, key: &str, day: f64, table: &Table, problems: &mut Problems) {
        if day < -self.delay_days
            && let Some(node) = table.get(key)
        {
            problems.add(
                node.span,
                "treatment before diagnosis",
                format!(
                    "resection follows diagnosis by {} days, so the first possible day is {}",
                    self.delay_days, -self.delay_days
                ),
                "start later, or lengthen local_treatment.delay_days".to_owned(),
            );
        }
    }
}

/// Reports keys that belong to the other kind of drug as such, and others as unknown.
fn refuse_foreign(
    place: Place<'_>,
    own: impl Iterator<Item = &'static str> + Clone,
    foreign: impl Iterator<Item = &'static str> + Clone,
    foreign_kind: &str,
    problems: &mut Problems,
) {
    let own = known(DRUG).chain(own);
    let foreign = foreign.filter({
        let own = own.clone();
        move |key| !own.clone().any(|mine| mine == *key)
    });
    for key in foreign.clone() {
        if let Some(entry) = place.table.entry(key) {
            problems.add(
                entry.key_span,
                format!("`{key}` does not belong in {}", place.name),
                format!("only a {foreign_kind} drug has it"),
                format!("remove it, or set kind = \"{foreign_kind}\""),
            );
        }
    }
    let mut rest = place.table.clone();
    rest.entries
        .retain(|entry| !foreign.clone().any(|key| key == entry.key));
    let place = Place {
        table: &rest,
        ..place
    };
    refuse_unknown(place, own, problems);
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
            format!("until_day {} is not after first_day {}", run.until_day, run.first_day),
        );
        return;
    }
    if run.on_days > run.of_days {
        refuse(
            "the cycle is shorter than its days with doses",
            format!("on_days {} is above of_days {}", run.on_days, run.of_days),
        );
        return;
    }
    // Without a cycle, there is one that lasts from the first dose to the end.
    let whole = run.until_day - run.first_day;
    let on_days = if run.on_days.is_nan() { whole } else { run.on_days };
    let of_days = if run.of_days.is_nan() { whole } else { run.of_days };
    let mut cycle = 0u32;
    loop {
        let start = run.first_day + f64::from(cycle) * of_days;
        // NaN, from a value that was refused, ends the loop too.
        if !(start < run.until_day - ROUNDING) || blocks.len() > BLOCKS_MAX {
            return;
        }
        let end = (start + on_days).min(run.until_day);
        match doses_in(end - start, run.every_days) {
            Some(doses) => blocks.push(block(start, doses)),
            None => {
                refuse(
                    "the schedule has too many doses",
                    format!("at most {DOSES_MAX} regular doses are allowed"),
                );
                return;
            }
        }
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
    refuse_unknown(
        place,
        std::iter::once("kind").chain(known(ROUTES[kind])),
        problems,
    );
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
    };
    let mut peripheral = BLANK_PERIPHERAL;
    read(PERIPHERAL, place, &mut peripheral, problems);
    refuse_unknown(place, known(PERIPHERAL), problems);
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
    };
    refuse_unknown(place, Gene::ALL.into_iter().map(Gene::symbol), problems);
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
        };
        let mut effect = BLANK_EFFECT;
        read(EFFECT, place, &mut effect, problems);
        refuse_unknown(place, known(EFFECT), problems);
        effects[gene.index()] = Some(effect);
    }
    effects
}

fn genes() -> String {
    Gene::ALL.map(Gene::symbol).join(", ")
}
