//! The JSON Schema of trial files, from the same field table that reads them.

use reseed_model::scenario::Gene;
use reseed_stats::Endpoint;
use serde_json::{Map, Value, json};

use crate::drug_tables::{
    ARM, BLANK_EFFECT, BLANK_PERIPHERAL, BLOCK, Block, DIRECT, DOSED, DRUG, DRUG_KINDS, EFFECT,
    PERIPHERAL, ROUTE_KINDS, ROUTES, RouteDraft, blank_direct, blank_dosed,
};
use crate::drugs::{BLOCKS_MAX, DRUGS_MAX};
use crate::field::{
    Bounds, CV, Field, Kind, NAME_LENGTH_MAX, Presence, Quantity, declared, described,
};
use crate::preset::preset_names;
use crate::priors::{CHOICES_MAX, FACTOR, POINTS_MAX, Plan, SD, UNCERTAINTY, uncertain_fields};
use crate::read::ARMS_MAX;
use crate::tables::{Draft, TRIAL};

/// JSON Schema (draft 2020-12) of a trial file, for editors and other programs. It knows every
/// key, type, unit and range; what must hold between values only [`crate::Trial::parse`] knows.
pub fn json_schema() -> Value {
    let mut schema = table(TRIAL, &mut Draft::blank());
    let top = properties(&mut schema);
    let specials = [
        (
            "base",
            json!({ "enum": preset_names().collect::<Vec<_>>() }),
        ),
        ("control", name()),
        ("arms_only", names()),
        ("uncertainty", uncertainty()),
        ("drugs", by_name(&drug(), DRUGS_MAX)),
        ("arms", by_name(&arm(), ARMS_MAX)),
    ];
    for (key, value) in specials {
        describe_special(top, key, value);
    }
    for (parent, key, value) in [
        ("follow_up", "visits", visits()),
        ("compare", "primary", primary()),
    ] {
        if let Some(table) = top.get_mut(parent) {
            describe_special(properties(table), key, value);
        }
    }
    let mut complete = requirements(TRIAL);
    complete["properties"]["uncertainty"] = requirements(UNCERTAINTY);
    complete["properties"]["drugs"] = json!({ "additionalProperties": complete_drug() });
    schema["if"] = json!({ "not": { "required": ["base"] } });
    schema["then"] = complete;
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("reseed trial");
    schema["description"] = json!(
        "A trial of tumour self-seeding: patients, disease, drugs and arms. A file with `base` \
         overrides a preset key by key; without it, every required key must be given."
    );
    schema
}

/// The properties of a table's schema.
fn properties(table: &mut Value) -> &mut Map<String, Value> {
    match &mut table["properties"] {
        Value::Object(properties) => properties,
        _ => unreachable!("`table` gives every table properties"),
    }
}

/// Replaces what is known of a special key, keeping its description.
fn describe_special(properties: &mut Map<String, Value>, key: &str, mut value: Value) {
    let description = properties[key]["description"].clone();
    value["description"] = description;
    properties.insert(key.to_owned(), value);
}

/// Properties of a table, none of them required.
fn table<T>(fields: &[Field<T>], blank: &mut T) -> Value {
    let mut properties = Map::new();
    for field in fields {
        for (key, value) in property(field, blank) {
            properties.insert(key, value);
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The keys that may stand for a field, with their schemas.
fn property<T>(field: &Field<T>, blank: &mut T) -> Vec<(String, Value)> {
    let mut value = match &field.kind {
        Kind::Number(quantity, _) => number(*quantity),
        Kind::Numbers(quantity, len_max, _) => json!({
            "type": "array",
            "items": number(*quantity),
            "maxItems": len_max,
        }),
        Kind::Varying(quantity, _) => varying(*quantity),
        Kind::Interval(quantity, _) => json!({
            "type": "object",
            "properties": { "min": number(*quantity), "max": number(*quantity) },
            "additionalProperties": false,
        }),
        Kind::Count(min, max, _) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Flag(_) => json!({ "type": "boolean" }),
        Kind::Text(len_max, _) => {
            json!({ "type": "string", "minLength": 1, "maxLength": len_max })
        }
        Kind::Name(_) => name(),
        Kind::Choice(options, _) => json!({ "enum": options }),
        Kind::Section(fields) => table(fields, blank),
        Kind::Special => json!({}),
    };
    value["description"] = json!(described(field));
    if field.presence == Presence::Optional
        && let Some(default) = default(field, blank)
    {
        value["default"] = default;
    }
    let mut properties = vec![(field.key.to_owned(), value)];
    if let Kind::Number(quantity, _) | Kind::Numbers(quantity, _, _) = &field.kind {
        let is_list = matches!(field.kind, Kind::Numbers(..));
        properties.extend(quantity.others.iter().map(|other| {
            let mut value = if is_list {
                json!({ "type": "array", "items": { "type": "number" } })
            } else {
                json!({ "type": "number" })
            };
            value["description"] = json!(format!(
                "{}, in {}; in place of `{}`",
                field.meaning, other.unit, field.key
            ));
            (other.key.to_owned(), value)
        }));
    }
    properties
}

/// What stands for an optional key that is not given, if a plain value does.
fn default<T>(field: &Field<T>, blank: &mut T) -> Option<Value> {
    let canonical = declared(field, blank)?;
    // A blank name means "none given"; it is not a value one could write.
    let is_value = !matches!(field.kind, Kind::Name(_) | Kind::Text(..));
    let value = serde_json::from_str(&canonical).ok()?;
    is_value.then_some(value)
}

fn number(quantity: Quantity) -> Value {
    let Bounds {
        min,
        max,
        above_min,
    } = quantity.bounds;
    let lowest = if above_min {
        "exclusiveMinimum"
    } else {
        "minimum"
    };
    json!({ "type": "number", lowest: min, "maximum": max })
}

fn varying(quantity: Quantity) -> Value {
    json!({
        "anyOf": [
            number(quantity),
            {
                "type": "object",
                "properties": { "median": number(quantity), "cv": number(CV) },
                "additionalProperties": false,
            },
        ],
    })
}

/// What a complete table must have.
fn requirements<T>(fields: &[Field<T>]) -> Value {
    let mut required = Vec::new();
    let mut either = Vec::new();
    let mut properties = Map::new();
    for field in fields {
        let keys: Vec<&str> = field.keys().collect();
        if field.presence == Presence::Required {
            if keys.len() == 1 {
                required.push(field.key);
            } else {
                let each: Vec<Value> = keys
                    .iter()
                    .map(|key| json!({ "required": [key] }))
                    .collect();
                either.push(json!({ "anyOf": each }));
            }
        }
        match &field.kind {
            Kind::Section(fields) => {
                properties.insert(field.key.to_owned(), requirements(fields));
            }
            Kind::Varying(..) => {
                let median = json!({
                    "if": { "type": "object" },
                    "then": { "required": ["median"] },
                });
                properties.insert(field.key.to_owned(), median);
            }
            _ => {}
        }
    }
    let mut value = json!({ "required": required, "properties": properties });
    if !either.is_empty() {
        value["allOf"] = json!(either);
    }
    value
}

fn name() -> Value {
    json!({ "type": "string", "pattern": name_pattern() })
}

fn name_pattern() -> String {
    format!("^[A-Za-z0-9_+.-]{{1,{NAME_LENGTH_MAX}}}$")
}

fn names() -> Value {
    json!({ "type": "array", "items": name(), "uniqueItems": true })
}

/// Tables by name.
fn by_name(item: &Value, most: usize) -> Value {
    json!({
        "type": "object",
        "propertyNames": { "pattern": name_pattern() },
        "additionalProperties": item,
        "maxProperties": most,
    })
}

fn arm() -> Value {
    let mut arm = table(ARM, &mut false);
    arm["properties"]["drugs"] = names();
    arm["properties"]["remove"] = json!({ "type": "boolean" });
    arm
}

/// All keys of both kinds of drug; which kind may have which is in the conditions.
fn drug() -> Value {
    let mut drug = table(DRUG, &mut String::new());
    let direct = table(DIRECT, &mut blank_direct());
    let dosed = table(DOSED, &mut blank_dosed());
    let conditions: Vec<Value> = DRUG_KINDS
        .iter()
        .zip([&direct, &dosed])
        .map(|(kind, own)| {
            let keys: Vec<&String> = [&drug, own]
                .into_iter()
                .filter_map(|table| table["properties"].as_object())
                .flat_map(Map::keys)
                .collect();
            json!({
                "if": { "properties": { "kind": { "const": kind } }, "required": ["kind"] },
                "then": { "propertyNames": { "enum": keys } },
            })
        })
        .collect();
    let properties = properties(&mut drug);
    for table in [direct, dosed] {
        if let Value::Object(more) = table["properties"].clone() {
            properties.extend(more);
        }
    }
    for (key, value) in [
        ("kind", json!({ "enum": DRUG_KINDS })),
        ("like", name()),
        ("remove", json!({ "type": "boolean" })),
        ("schedule", schedule()),
        ("route", route()),
        ("peripheral", table(PERIPHERAL, &mut { BLANK_PERIPHERAL })),
        ("effects", effects()),
    ] {
        describe_special(properties, key, value);
    }
    drug["allOf"] = json!(conditions);
    drug
}

/// A drug that stands alone: not like another, nor removed.
fn complete_drug() -> Value {
    let mut direct = requirements(DIRECT);
    let mut dosed = requirements(DOSED);
    for (kind, drug) in DRUG_KINDS.iter().zip([&mut direct, &mut dosed]) {
        drug["properties"]["kind"] = json!({ "const": kind });
    }
    let parts = properties(&mut dosed);
    parts.insert("schedule".to_owned(), complete_schedule());
    parts.insert("route".to_owned(), complete_route());
    parts.insert("peripheral".to_owned(), requirements(PERIPHERAL));
    parts.insert(
        "effects".to_owned(),
        json!({ "additionalProperties": requirements(EFFECT), "minProperties": 1 }),
    );
    json!({
        "anyOf": [
            { "required": ["like"] },
            { "required": ["remove"], "properties": { "remove": { "const": true } } },
            { "allOf": [{ "required": ["kind"] }, direct] },
            { "allOf": [{ "required": ["kind"] }, dosed] },
        ],
    })
}

/// A run of doses has an amount and an end; a schedule is one run or a list of them.
fn complete_schedule() -> Value {
    let exactly_one = |keys: &[&str]| {
        let each: Vec<Value> = keys
            .iter()
            .map(|key| json!({ "required": [key] }))
            .collect();
        json!({ "oneOf": each })
    };
    let run = json!({
        "allOf": [
            requirements(BLOCK),
            exactly_one(&["dose_mg", "dose_mg_per_kg"]),
            exactly_one(&["doses", "until_day", "until_years"]),
        ],
    });
    json!({
        "if": { "type": "array" },
        "then": { "items": run },
        "else": run,
    })
}

fn complete_route() -> Value {
    let routes: Vec<Value> = ROUTE_KINDS
        .iter()
        .zip(ROUTES)
        .map(|(kind, fields)| {
            let mut route = requirements(fields);
            route["properties"]["kind"] = json!({ "const": kind });
            json!({ "allOf": [{ "required": ["kind"] }, route] })
        })
        .collect();
    json!({ "anyOf": routes })
}

fn schedule() -> Value {
    let run = table(BLOCK, &mut { Block::BLANK });
    json!({
        "anyOf": [
            run,
            { "type": "array", "items": run, "minItems": 1, "maxItems": BLOCKS_MAX },
        ],
    })
}

fn route() -> Value {
    let routes: Vec<Value> = ROUTE_KINDS
        .iter()
        .zip(ROUTES)
        .map(|(kind, fields)| {
            let mut route = table(fields, &mut { RouteDraft::BLANK });
            route["properties"]["kind"] = json!({ "const": kind });
            route
        })
        .collect();
    json!({ "anyOf": routes })
}

fn effects() -> Value {
    let mut properties = Map::new();
    for gene in Gene::ALL {
        properties.insert(
            gene.symbol().to_owned(),
            table(EFFECT, &mut { BLANK_EFFECT }),
        );
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn uncertainty() -> Value {
    let mut value = table(UNCERTAINTY, &mut Plan::default());
    describe_special(properties(&mut value), "priors", priors(uncertain_fields()));
    value
}

/// Priors by key, in tables as those of the keys.
fn priors(fields: impl Iterator<Item = &'static Field<Draft>>) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut value = match &field.kind {
            Kind::Section(inner) => priors(inner.iter()),
            Kind::Number(quantity, _) => number_prior(*quantity),
            Kind::Choice(words, _) => {
                prior(json!({ "choices": choices(&json!({ "enum": words })) }))
            }
            _ => unreachable!("the uncertain tables hold numbers, choices and tables"),
        };
        value["description"] = json!(described(field));
        properties.insert(field.key.to_owned(), value);
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn number_prior(quantity: Quantity) -> Value {
    let value = || number(quantity);
    let said = |mut value: Value, meaning: &str| {
        value["description"] = json!(meaning);
        value
    };
    prior(json!({
        "median": value(),
        "factor": said(number(FACTOR), "95 % of a log-normal are within this factor of the median"),
        "mean": said(value(), "mean of a normal, before it is truncated to the key's range"),
        "sd": said(number(SD), "standard deviation of a normal, likewise"),
        "min": value(),
        "max": value(),
        "log": { "type": "boolean", "description": "whether the logarithm is uniform" },
        "choices": choices(&value()),
        "draws": draws(&value()),
    }))
}

fn prior(mut keys: Value) -> Value {
    keys["remove"] = json!({ "type": "boolean", "description": "true drops an inherited prior" });
    json!({ "type": "object", "properties": keys, "additionalProperties": false })
}

fn choices(item: &Value) -> Value {
    json!({
        "type": "array",
        "items": item,
        "minItems": 2,
        "maxItems": CHOICES_MAX,
        "uniqueItems": true,
        "description": "alternatives, each as likely",
    })
}

fn draws(item: &Value) -> Value {
    json!({
        "type": "array",
        "items": item,
        "minItems": 1,
        "maxItems": POINTS_MAX,
        "description": "values at the points, one after the other; those of all parameters belong \
                        together",
    })
}

fn visits() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "every_months": time("months between visits"),
                "every_days": time("days between visits; in place of `every_months`"),
                "until_years": time("years from resection to the last of these visits"),
                "until_days": time("the same in days; in place of `until_years`"),
            },
            "additionalProperties": false,
        },
    })
}

fn time(description: &str) -> Value {
    json!({ "type": "number", "exclusiveMinimum": 0, "description": description })
}

fn primary() -> Value {
    json!({
        "type": "object",
        "properties": {
            "arm": { "type": "string", "description": "arm compared with the control" },
            "endpoint": {
                "enum": Endpoint::ALL.map(Endpoint::name),
                "description": "what is compared",
            },
            "days": time("time of the comparison, in days"),
            "months": time("time of the comparison, in months"),
            "years": time("time of the comparison, in years"),
        },
        "additionalProperties": false,
    })
}
