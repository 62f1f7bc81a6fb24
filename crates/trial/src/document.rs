//! The text of a trial file as a tree that remembers where everything stands, and the laying of
//! a file over its base.

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Problems, Source, Span};

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    Integer(i128),
    /// A float; infinite also where a number of the text exceeds every type.
    Float(f64),
    Flag(bool),
    Datetime,
    List(Vec<Node>),
    Table(Table),
}

/// A table in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// A key of a table.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

impl Node {
    /// What the value is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a string",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Flag(_) => "true or false",
            Value::Datetime => "a date or time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Table {
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub(crate) fn table(&self, key: &str) -> Option<&Table> {
        self.get(key).and_then(Node::as_table)
    }

    /// The value below a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        let (last, parents) = path.split_last()?;
        let mut table = self;
        for key in parents {
            table = table.table(key)?;
        }
        table.get(last)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }
}

/// Reads a text. Problems are noted; `None` if it is not TOML, apart from keys given twice.
pub(crate) fn parse(source: Source, text: &str, problems: &mut Problems) -> Option<Table> {
    let mut is_broken = false;
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().unwrap_or(0..0);
        let span = Span {
            source,
            start: at.start,
            end: at.end,
        };
        let message = error.message().trim();
        if message.contains("duplicate key") {
            problems.add(
                span,
                "duplicate key",
                "this key was already given in the same table",
                "keep one of the two".to_owned(),
            );
        } else {
            is_broken = true;
            let reason = message
                .lines()
                .next()
                .unwrap_or("not valid TOML")
                .to_owned();
            problems.add(span, "the file is not valid TOML", reason, None);
        }
    }
    (!is_broken).then(|| table(source, document.into_inner()))
}

fn table(source: Source, from: DeTable<'_>) -> Table {
    let mut entries: Vec<Entry> = from
        .into_iter()
        .map(|(key, value)| {
            let at = key.span();
            Entry {
                key_span: Span {
                    source,
                    start: at.start,
                    end: at.end,
                },
                key: key.into_inner().into_owned(),
                node: node(source, value),
            }
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    Table { entries }
}

fn node(source: Source, from: toml::Spanned<DeValue<'_>>) -> Node {
    let at = from.span();
    let value = match from.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
            .map_or(Value::Float(f64::INFINITY), Value::Integer),
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(list) => {
            Value::List(list.into_iter().map(|item| node(source, item)).collect())
        }
        DeValue::Table(inner) => Value::Table(table(source, inner)),
    };
    Node {
        span: Span {
            source,
            start: at.start,
            end: at.end,
        },
        value,
    }
}

/// Lays a file over its base: tables merge key by key, everything else is replaced. `rivals`
/// are groups of keys that say the same thing in different ways, such as a time in days or
/// years: giving one replaces any other of its group.
pub(crate) fn overlay(base: &mut Table, file: Table, rivals: &[Vec<&'static str>]) {
    for entry in &file.entries {
        let is_rival = |key: &str| {
            key != entry.key
                && rivals
                    .iter()
                    .any(|group| group.contains(&key) && group.contains(&entry.key.as_str()))
        };
        base.entries
            .retain(|inherited| !is_rival(&inherited.key) || file.entry(&inherited.key).is_some());
    }
    let inherited_len = base.entries.len();
    for entry in file.entries {
        let inherited = base.entries[..inherited_len]
            .iter_mut()
            .find(|inherited| inherited.key == entry.key);
        match inherited {
            Some(inherited) => overlay_entry(inherited, entry, rivals),
            None => base.entries.push(entry),
        }
    }
}

fn overlay_entry(inherited: &mut Entry, entry: Entry, rivals: &[Vec<&'static str>]) {
    inherited.key_span = entry.key_span;
    if let Value::Table(below) = &mut inherited.node.value
        && let Value::Table(above) = &entry.node.value
        && same_kind(below, above)
    {
        inherited.node.span = entry.node.span;
        if let Value::Table(above) = entry.node.value {
            overlay(below, above, rivals);
        }
    } else {
        inherited.node = entry.node;
    }
}

/// A table that names another `kind` than the inherited one, such as a direct drug in place of
/// a dosed one, shares no keys with it and replaces it. The local treatment's kinds share all.
fn same_kind(below: &Table, above: &Table) -> bool {
    match (kind_of(below), kind_of(above)) {
        (Some(below), Some(above)) => below == above || !REPLACING_KINDS.contains(&above),
        _ => true,
    }
}

/// Kinds whose tables are replaced, not merged, when the kind changes.
const REPLACING_KINDS: [&str; 10] = [
    "direct",
    "dosed",
    "bolus",
    "infusion",
    "absorption",
    "log-normal",
    "normal",
    "uniform",
    "choice",
    "draws",
];

/// Keys that only one kind of prior has.
const PRIOR_KEYS: [(&str, &str); 8] = [
    ("median", "log-normal"),
    ("factor", "log-normal"),
    ("mean", "normal"),
    ("sd", "normal"),
    ("min", "uniform"),
    ("max", "uniform"),
    ("choices", "choice"),
    ("draws", "draws"),
];

fn kind_of(table: &Table) -> Option<&str> {
    let prior = || {
        PRIOR_KEYS
            .iter()
            .find(|(key, _)| table.get(key).is_some())
            .map(|(_, kind)| *kind)
    };
    table.get("kind").and_then(Node::as_text).or_else(prior)
}
