//! The declarative field table: one entry per key says its name, meaning, unit, range and where
//! its value lives. Reading, the canonical form, its documentation and the JSON Schema all come
//! from it, so they cannot disagree.

use std::fmt::Write as _;

use reseed_model::scenario::{Range, Varying};

use crate::diagnostic::{Problems, Span, did_you_mean, quoted, readable};
use crate::document::{Entry, Node, Table, Value};

/// A key of a table whose values end up in a `T`.
pub(crate) struct Field<T: 'static> {
    pub(crate) key: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) presence: Presence,
    pub(crate) kind: Kind<T>,
}

/// Whether a key must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    /// Without it, what the blank `T` holds stands.
    Optional,
}

/// Gives access to a value in a `T`.
pub(crate) type Lens<T, V> = fn(&mut T) -> &mut V;

/// What a key holds.
pub(crate) enum Kind<T: 'static> {
    /// A number; NaN or infinite in the blank `T` means "not given".
    Number(Quantity, Lens<T, f64>),
    /// Increasing numbers.
    Numbers(Quantity, usize, Lens<T, Vec<f64>>),
    /// A log-normal quantity: a number, or `{ median, cv }`.
    Varying(Quantity, Lens<T, Varying>),
    /// `{ min, max }`, each side optional.
    Interval(Quantity, Lens<T, Range>),
    /// A whole number between two limits; below them in the blank `T` means "not given".
    Count(u64, u64, Lens<T, u64>),
    Flag(Lens<T, bool>),
    /// A text of at most so many characters.
    Text(usize, Lens<T, String>),
    /// A name of letters, digits and `_+.-`.
    Name(Lens<T, String>),
    /// One of several words; the value is the position.
    Choice(&'static [&'static str], Lens<T, usize>),
    /// A table.
    Section(&'static [Field<T>]),
    /// Read, written and described elsewhere; here only so that the key is known.
    Special,
}

/// Unit, range and other ways to write a number.
#[derive(Clone, Copy)]
pub(crate) struct Quantity {
    /// Unit; empty for pure numbers.
    pub(crate) unit: &'static str,
    pub(crate) bounds: Bounds,
    pub(crate) others: &'static [OtherUnit],
}

/// A key that gives the same value in another unit.
#[derive(Clone, Copy)]
pub(crate) struct OtherUnit {
    pub(crate) key: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) convert: fn(f64) -> f64,
}

/// The physical range of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Whether `min` itself is outside.
    pub(crate) above_min: bool,
}

/// From `min` to `max`, both included.
pub(crate) const fn within(min: f64, max: f64) -> Bounds {
    Bounds {
        min,
        max,
        above_min: false,
    }
}

/// Above `min`, up to `max`.
pub(crate) const fn above(min: f64, max: f64) -> Bounds {
    Bounds {
        min,
        max,
        above_min: true,
    }
}

/// A number with its unit and range.
pub(crate) const fn quantity(unit: &'static str, bounds: Bounds) -> Quantity {
    Quantity {
        unit,
        bounds,
        others: &[],
    }
}

impl Quantity {
    /// Adds keys that give the value in other units.
    pub(crate) const fn or(self, others: &'static [OtherUnit]) -> Self {
        Self { others, ..self }
    }

    /// The range in words.
    pub(crate) fn range(&self) -> String {
        let unit = if self.unit.is_empty() {
            String::new()
        } else {
            format!(" {}", self.unit)
        };
        let Bounds {
            min,
            max,
            above_min,
        } = self.bounds;
        if above_min {
            format!(
                "above {} and at most {}{unit}",
                readable(min),
                readable(max)
            )
        } else {
            format!("from {} to {}{unit}", readable(min), readable(max))
        }
    }
}

impl Bounds {
    fn contain(&self, value: f64) -> bool {
        let is_high_enough = if self.above_min {
            value > self.min
        } else {
            value >= self.min
        };
        is_high_enough && value <= self.max
    }
}

/// A required key.
pub(crate) const fn required<T>(
    key: &'static str,
    meaning: &'static str,
    kind: Kind<T>,
) -> Field<T> {
    Field {
        key,
        meaning,
        presence: Presence::Required,
        kind,
    }
}

/// A key that may be left out.
pub(crate) const fn optional<T>(
    key: &'static str,
    meaning: &'static str,
    kind: Kind<T>,
) -> Field<T> {
    Field {
        key,
        meaning,
        presence: Presence::Optional,
        kind,
    }
}

impl<T> Field<T> {
    fn others(&self) -> &'static [OtherUnit] {
        match &self.kind {
            Kind::Number(quantity, _) | Kind::Numbers(quantity, _, _) => quantity.others,
            _ => &[],
        }
    }

    /// Every key that may stand for this field.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.key).chain(self.others().iter().map(|other| other.key))
    }
}

/// Groups of keys of which giving one replaces an inherited other.
pub(crate) fn rivals<T>(fields: &[Field<T>], groups: &mut Vec<Vec<&'static str>>) {
    for field in fields {
        if !field.others().is_empty() {
            groups.push(field.keys().collect());
        }
        if let Kind::Section(fields) = &field.kind {
            rivals(fields, groups);
        }
    }
}

/// A table being read: where it stands and what it is called in messages.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'a Table,
    pub(crate) span: Span,
    /// Such as `[homing.il6]`.
    pub(crate) name: &'a str,
    /// What to do about a missing key.
    pub(crate) advice: &'static str,
}

/// Advice on keys that are missing where a base would have them.
pub(crate) const USE_A_BASE: &str =
    "give it, or build on a preset with `base = \"breast\"` as the file's first line";

/// Advice on keys that are missing in a drug.
pub(crate) const USE_A_LIKE: &str =
    "give it, or inherit it from another drug with `like = \"NAME\"`";

/// Reads the fields of a table into `into`; what cannot be read stays as it was.
pub(crate) fn read<T>(
    fields: &[Field<T>],
    place: Place<'_>,
    into: &mut T,
    problems: &mut Problems,
) {
    for field in fields {
        let mut given = field.keys().filter_map(|key| place.table.entry(key));
        let Some(entry) = given.next() else {
            report_missing(field, place, problems);
            continue;
        };
        if let Some(second) = given.next() {
            problems.add(
                second.key_span,
                format!(
                    "`{}` and `{}` say the same thing twice",
                    entry.key, second.key
                ),
                "the value is already given in another unit",
                "keep one of the two".to_owned(),
            );
        }
        let other = field.others().iter().find(|other| other.key == entry.key);
        read_value(field, entry, other, place, into, problems);
    }
}

fn report_missing<T>(field: &Field<T>, place: Place<'_>, problems: &mut Problems) {
    if field.presence == Presence::Optional {
        return;
    }
    let what = if matches!(field.kind, Kind::Section(_)) {
        "table"
    } else {
        "key"
    };
    problems.add(
        place.span,
        format!("{what} `{}` is missing in {}", field.key, place.name),
        format!("needs `{}`: {}", field.key, field.meaning),
        place.advice.to_owned(),
    );
}

fn read_value<T>(
    field: &Field<T>,
    entry: &Entry,
    other: Option<&OtherUnit>,
    place: Place<'_>,
    into: &mut T,
    problems: &mut Problems,
) {
    let (key, node) = (entry.key.as_str(), &entry.node);
    match &field.kind {
        Kind::Number(quantity, at) => {
            if let Some(value) = number(key, *quantity, other, node, problems) {
                *at(into) = value;
            }
        }
        Kind::Numbers(quantity, len_max, at) => {
            if let Some(values) = numbers(key, *quantity, other, *len_max, node, problems) {
                *at(into) = values;
            }
        }
        Kind::Varying(quantity, at) => {
            if let Some(value) = varying(key, *quantity, node, problems) {
                *at(into) = value;
            }
        }
        Kind::Interval(quantity, at) => {
            if let Some(value) = interval(key, *quantity, node, problems) {
                *at(into) = value;
            }
        }
        Kind::Count(min, max, at) => {
            if let Some(value) = count(key, *min, *max, node, problems) {
                *at(into) = value;
            }
        }
        Kind::Flag(at) => match node.value {
            Value::Flag(flag) => *at(into) = flag,
            _ => wrong_type(key, "true or false", node, problems),
        },
        Kind::Text(len_max, at) => {
            if let Some(value) = text(key, *len_max, node, problems) {
                value.clone_into(at(into));
            }
        }
        Kind::Name(at) => {
            if let Some(value) = name(key, node, problems) {
                value.clone_into(at(into));
            }
        }
        Kind::Choice(options, at) => {
            if let Some(value) = choice(key, options, node, problems) {
                *at(into) = value;
            }
        }
        Kind::Section(fields) => {
            let name = below(place.name, key);
            let advice = place.advice;
            match node.as_table() {
                Some(table) => {
                    let place = Place {
                        table,
                        span: node.span,
                        name: &name,
                        advice,
                    };
                    read_all(fields, place, into, problems);
                }
                None => wrong_type(key, "a table", node, problems),
            }
        }
        Kind::Special => {}
    }
}

/// Name in messages of a table in a table.
pub(crate) fn below(table_name: &str, key: &str) -> String {
    match table_name.strip_suffix(']') {
        Some(parent) => format!("{parent}.{key}]"),
        None => format!("[{key}]"),
    }
}

/// Reads the fields of a table that has no other keys.
pub(crate) fn read_all<T>(
    fields: &[Field<T>],
    place: Place<'_>,
    into: &mut T,
    problems: &mut Problems,
) {
    read(fields, place, into, problems);
    refuse_unknown(place, &known(fields), problems);
}

/// All keys of some fields.
pub(crate) fn known<T>(fields: &[Field<T>]) -> Vec<&'static str> {
    fields.iter().flat_map(Field::keys).collect()
}

/// Reports keys that mean nothing.
pub(crate) fn refuse_unknown(place: Place<'_>, known: &[&'static str], problems: &mut Problems) {
    for entry in &place.table.entries {
        if known.contains(&entry.key.as_str()) {
            continue;
        }
        if problems.is_full() {
            // Searching for what was meant would take long for thousands of keys.
            problems.suppress();
            continue;
        }
        let suggestion = did_you_mean(&entry.key, known.iter().copied())
            .unwrap_or_else(|| format!("known here: {}", known.join(", ")));
        problems.add(
            entry.key_span,
            format!("unknown key {} in {}", quoted(&entry.key), place.name),
            "nothing has this name here",
            suggestion,
        );
    }
}

/// Reports a value of the wrong type.
pub(crate) fn wrong_type(key: &str, expected: &str, node: &Node, problems: &mut Problems) {
    let suggestion = match &node.value {
        Value::Text(text) if text.trim().parse::<f64>().is_ok() => {
            Some("remove the quotes".to_owned())
        }
        Value::Text(text) if text == "true" || text == "false" => {
            Some("remove the quotes".to_owned())
        }
        _ => None,
    };
    problems.add(
        node.span,
        format!("{} must be {expected}", quoted(key)),
        format!("this is {}", node.kind()),
        suggestion,
    );
}

/// A finite number, whatever its range.
fn finite(key: &str, node: &Node, problems: &mut Problems) -> Option<f64> {
    let value = match node.value {
        Value::Integer(integer) => integer as f64,
        Value::Float(float) => float,
        _ => {
            wrong_type(key, "a number", node, problems);
            return None;
        }
    };
    if value.is_finite() {
        // Adding zero turns -0 into 0, so that equal trials have equal canonical files.
        return Some(value + 0.0);
    }
    let reason = if value.is_nan() {
        "this is not a number"
    } else {
        "this is infinite, or too large for any number"
    };
    problems.add(
        node.span,
        format!("{} must be a finite number", quoted(key)),
        reason,
        None,
    );
    None
}

/// A number in its canonical unit, within range.
pub(crate) fn number(
    key: &str,
    quantity: Quantity,
    other: Option<&OtherUnit>,
    node: &Node,
    problems: &mut Problems,
) -> Option<f64> {
    let written = finite(key, node, problems)?;
    let value = other.map_or(written, |other| (other.convert)(written)) + 0.0;
    if quantity.bounds.contain(value) {
        return Some(value);
    }
    let converted = other.map_or(String::new(), |other| {
        format!(
            "{} {} is {} {}, ",
            readable(written),
            other.unit,
            readable(value),
            quantity.unit
        )
    });
    problems.add(
        node.span,
        format!("{} is out of range", quoted(key)),
        format!("{converted}must be {}", quantity.range()),
        None,
    );
    None
}

fn numbers(
    key: &str,
    quantity: Quantity,
    other: Option<&OtherUnit>,
    len_max: usize,
    node: &Node,
    problems: &mut Problems,
) -> Option<Vec<f64>> {
    let Value::List(items) = &node.value else {
        wrong_type(key, "a list of numbers", node, problems);
        return None;
    };
    if items.len() > len_max {
        problems.add(
            node.span,
            format!("{} is too long", quoted(key)),
            format!("{} values, at most {len_max} are allowed", items.len()),
            None,
        );
        return None;
    }
    let values: Vec<f64> = items
        .iter()
        .filter_map(|item| number(key, quantity, other, item, problems))
        .collect();
    if values.len() < items.len() {
        return None;
    }
    for (pair, item) in values.windows(2).zip(items.iter().skip(1)) {
        if pair[0] >= pair[1] {
            problems.add(
                item.span,
                format!("{} must increase", quoted(key)),
                "not above the value before it",
                "sort the list and remove repetitions".to_owned(),
            );
            return None;
        }
    }
    Some(values)
}

/// Range of a coefficient of variation.
pub(crate) const CV: Quantity = quantity("", within(0.0, 3.0));

fn varying(key: &str, quantity: Quantity, node: &Node, problems: &mut Problems) -> Option<Varying> {
    let Some(table) = node.as_table() else {
        let median = number(key, quantity, None, node, problems)?;
        return Some(Varying { median, cv: 0.0 });
    };
    let place = Place {
        table,
        span: node.span,
        name: key,
        advice: USE_A_BASE,
    };
    refuse_unknown(place, &["median", "cv"], problems);
    let cv = match table.get("cv") {
        Some(cv) => number("cv", CV, None, cv, problems),
        None => Some(0.0),
    };
    let Some(median) = table.get("median") else {
        problems.add(
            node.span,
            format!("{} needs a median", quoted(key)),
            "no `median` here",
            "write a number, or { median = 1.0, cv = 0.3 }".to_owned(),
        );
        return None;
    };
    let median = number("median", quantity, None, median, problems)?;
    Some(Varying { median, cv: cv? })
}

fn interval(key: &str, quantity: Quantity, node: &Node, problems: &mut Problems) -> Option<Range> {
    let Some(table) = node.as_table() else {
        wrong_type(key, "a table such as { min = 1, max = 2 }", node, problems);
        return None;
    };
    let place = Place {
        table,
        span: node.span,
        name: key,
        advice: USE_A_BASE,
    };
    refuse_unknown(place, &["min", "max"], problems);
    let mut side = |name, open| match table.get(name) {
        Some(node) => number(name, quantity, None, node, problems),
        None => Some(open),
    };
    let (min, max) = (side("min", f64::NEG_INFINITY), side("max", f64::INFINITY));
    let (min, max) = (min?, max?);
    if min > max {
        problems.add(
            node.span,
            format!("{} admits nobody", quoted(key)),
            format!("min {min} is above max {max}"),
            "exchange the two".to_owned(),
        );
        return None;
    }
    Some(Range { min, max })
}

/// A whole number between limits.
pub(crate) fn count(
    key: &str,
    min: u64,
    max: u64,
    node: &Node,
    problems: &mut Problems,
) -> Option<u64> {
    let whole = match node.value {
        Value::Integer(integer) => Some(integer),
        // People write a million as 1e6.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number that a float holds exactly"
        )]
        Value::Float(float) if float.fract() == 0.0 && float.abs() < 9e15 => Some(float as i128),
        Value::Float(_) => None,
        _ => {
            wrong_type(key, "a whole number", node, problems);
            return None;
        }
    };
    let value = whole.and_then(|whole| u64::try_from(whole).ok());
    if let Some(value) = value
        && (min..=max).contains(&value)
    {
        return Some(value);
    }
    problems.add(
        node.span,
        format!("{} is out of range", quoted(key)),
        format!("must be a whole number from {min} to {max}"),
        None,
    );
    None
}

fn text<'a>(key: &str, len_max: usize, node: &'a Node, problems: &mut Problems) -> Option<&'a str> {
    let Some(text) = node.as_text() else {
        wrong_type(key, "a string", node, problems);
        return None;
    };
    if text.is_empty() || text.chars().count() > len_max || text.chars().any(char::is_control) {
        problems.add(
            node.span,
            format!("{} is not usable", quoted(key)),
            format!("must be one line of 1 to {len_max} characters"),
            None,
        );
        return None;
    }
    Some(text)
}

/// Longest name of a trial, arm or drug.
pub(crate) const NAME_LENGTH_MAX: usize = 64;

/// Whether this may name a trial, arm or drug.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_LENGTH_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_+.-".contains(&byte))
}

/// Reports a name that cannot be one.
pub(crate) fn refuse_name(what: &str, name: &str, span: Span, problems: &mut Problems) {
    let mut suggestion: String = name
        .chars()
        .take(NAME_LENGTH_MAX)
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_+.-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    if suggestion.is_empty() {
        suggestion.push_str("unnamed");
    }
    problems.add(
        span,
        format!("{what} {} is not a name", quoted(name)),
        format!("must be 1 to {NAME_LENGTH_MAX} of A-Z, a-z, 0-9 and `_+.-`"),
        format!("for example `{suggestion}`"),
    );
}

fn name<'a>(key: &str, node: &'a Node, problems: &mut Problems) -> Option<&'a str> {
    let Some(text) = node.as_text() else {
        wrong_type(key, "a string", node, problems);
        return None;
    };
    if is_name(text) {
        return Some(text);
    }
    refuse_name(key, text, node.span, problems);
    None
}

/// Position of a word among options.
pub(crate) fn choice(
    key: &str,
    options: &[&'static str],
    node: &Node,
    problems: &mut Problems,
) -> Option<usize> {
    let Some(text) = node.as_text() else {
        wrong_type(key, "a string", node, problems);
        return None;
    };
    let position = options.iter().position(|option| *option == text);
    if position.is_none() {
        problems.add(
            node.span,
            format!("{} cannot be {}", quoted(key), quoted(text)),
            format!("must be one of: {}", options.join(", ")),
            did_you_mean(text, options.iter().copied()),
        );
    }
    position
}

/// Writes the fields of a table: first its own keys, then its tables.
pub(crate) struct Writer<'a> {
    pub(crate) out: String,
    /// Whether to say in comments what keys mean.
    pub(crate) documented: bool,
    /// Text of special keys and keys to leave out, by path.
    pub(crate) special: &'a dyn Fn(&str) -> Special,
}

/// What to do with a key.
pub(crate) enum Special {
    /// Write the value as the field table says.
    AsDeclared,
    /// Leave the key out, or the table.
    Omit,
    /// Write this as its value.
    Value(String),
}

impl Writer<'_> {
    /// Writes `fields` of `from`; `path` is the table's own, empty at the top.
    pub(crate) fn table<T>(&mut self, fields: &[Field<T>], path: &str, from: &mut T) {
        for field in fields {
            let key_path = join(path, field.key);
            let value = match (self.special)(&key_path) {
                Special::AsDeclared => declared(field, from),
                Special::Omit => None,
                Special::Value(value) => Some(value),
            };
            if let Some(value) = value {
                self.document(field);
                let _ = writeln!(self.out, "{} = {value}", field.key);
            }
        }
        for field in fields {
            if let Kind::Section(inner) = &field.kind {
                let key_path = join(path, field.key);
                if matches!((self.special)(&key_path), Special::Omit) {
                    continue;
                }
                self.out.push('\n');
                if self.documented {
                    let _ = writeln!(self.out, "# {}", field.meaning);
                }
                let _ = writeln!(self.out, "[{key_path}]");
                self.table(inner, &key_path, from);
            }
        }
    }

    fn document<T>(&mut self, field: &Field<T>) {
        if self.documented {
            let _ = writeln!(self.out, "# {}", described(field));
        }
    }
}

/// Meaning, unit and range in a sentence.
pub(crate) fn described<T>(field: &Field<T>) -> String {
    let range = match &field.kind {
        Kind::Number(quantity, _)
        | Kind::Numbers(quantity, _, _)
        | Kind::Varying(quantity, _)
        | Kind::Interval(quantity, _) => quantity.range() + &alternatives(quantity),
        Kind::Count(min, max, _) => format!("from {min} to {max}"),
        Kind::Choice(options, _) => options.join(" | "),
        Kind::Flag(_) => "true | false".to_owned(),
        Kind::Text(..) | Kind::Name(_) | Kind::Section(_) | Kind::Special => String::new(),
    };
    if range.is_empty() {
        field.meaning.to_owned()
    } else {
        format!("{} ({range})", field.meaning)
    }
}

/// Other keys for the same value, in words.
fn alternatives(quantity: &Quantity) -> String {
    quantity.others.iter().fold(String::new(), |text, other| {
        text + &format!("; or `{}` in {}", other.key, other.unit)
    })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The canonical text of a field's value; `None` if it is not given or not a plain value.
pub(crate) fn declared<T>(field: &Field<T>, from: &mut T) -> Option<String> {
    match &field.kind {
        Kind::Number(_, at) => {
            let value = *at(from);
            value.is_finite().then(|| float(value))
        }
        Kind::Numbers(_, _, at) => Some(floats(at(from))),
        Kind::Varying(_, at) => {
            let Varying { median, cv } = *at(from);
            Some(format!(
                "{{ median = {}, cv = {} }}",
                float(median),
                float(cv)
            ))
        }
        Kind::Interval(_, at) => {
            let Range { min, max } = *at(from);
            let sides: Vec<String> = [("min", min), ("max", max)]
                .into_iter()
                .filter(|(_, value)| value.is_finite())
                .map(|(name, value)| format!("{name} = {}", float(value)))
                .collect();
            (!sides.is_empty()).then(|| format!("{{ {} }}", sides.join(", ")))
        }
        Kind::Count(min, _, at) => {
            let value = *at(from);
            (value >= *min).then(|| value.to_string())
        }
        Kind::Flag(at) => Some(at(from).to_string()),
        Kind::Text(_, at) | Kind::Name(at) => Some(string(at(from))),
        Kind::Choice(options, at) => Some(string(options[*at(from)])),
        Kind::Section(_) | Kind::Special => None,
    }
}

/// The shortest text that reads back as the same number; with a power of ten where people
/// would write one.
pub(crate) fn float(value: f64) -> String {
    let value = value + 0.0;
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) {
        format!("{value:?}")
    } else {
        format!("{value:e}")
    }
}

fn floats(values: &[f64]) -> String {
    let items: Vec<String> = values.iter().map(|value| float(*value)).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML string.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
