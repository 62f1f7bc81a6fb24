//! Writes a trial as the one trial file that says everything explicitly.

use std::fmt::Write as _;

use reseed_model::scenario::{Action, Amount, Arm, DoseBlock, Dosed, Gene};

use crate::drug_tables::{
    ARM, DIRECT, DOSED, DRUG, DRUG_KINDS, EFFECT, PERIPHERAL, ROUTE_KINDS, ROUTES, RouteDraft,
};
use crate::field::{Field, Special, Writer, declared, float, string};
use crate::priors::{Plan, UNCERTAINTY};
use crate::tables::{Draft, TRIAL};
use crate::trial::Trial;
use crate::uncertainty::Uncertainty;

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Everything.
    Plain,
    /// Everything, with comments on meaning, unit and range.
    Documented,
    /// Everything but the size, precision and seed of a run.
    Identity,
}

/// The whole file.
pub(crate) fn toml(trial: &Trial, style: Style) -> String {
    let primary = format!(
        "{{ arm = {}, endpoint = {}, days = {} }}",
        string(&trial.scenario.arms[trial.primary.arm].name),
        string(trial.primary.endpoint.name()),
        float(trial.primary.day),
    );
    let special = |path: &str| match path {
        "control" => Special::Value(string(&trial.scenario.arms[trial.scenario.control].name)),
        "compare.primary" => Special::Value(primary.clone()),
        "virtual_trials" if trial.virtual_trials.is_none() => Special::Omit,
        "run.patients" | "run.precision" | "run.seed" if style == Style::Identity => Special::Omit,
        _ => Special::AsDeclared,
    };
    let mut writer = Writer {
        out: String::new(),
        documented: style == Style::Documented,
        special: &special,
    };
    writer.table(TRIAL, "", &mut Draft::of(trial));
    let mut out = writer.out;
    if let Some(uncertainty) = &trial.uncertainty {
        write_uncertainty(&mut out, uncertainty, style);
    }
    for (key, drug) in trial.drug_keys.iter().zip(&trial.scenario.drugs) {
        write_drug(&mut out, key, &drug.name, &drug.action, style);
    }
    for arm in &trial.scenario.arms {
        write_arm(&mut out, trial, arm, style);
    }
    out
}

fn write_uncertainty(out: &mut String, uncertainty: &Uncertainty, style: Style) {
    let mut writer = Writer {
        out: std::mem::take(out),
        documented: style == Style::Documented,
        special: &|_| Special::AsDeclared,
    };
    let _ = writeln!(writer.out, "\n[uncertainty]");
    writer.table(UNCERTAINTY, "uncertainty", &mut Plan::of(uncertainty));
    *out = writer.out;
    let _ = writeln!(out, "\n[uncertainty.priors]");
    for factor in &uncertainty.factors {
        if style == Style::Documented {
            let _ = writeln!(out, "# {}", factor.described());
        }
        let _ = writeln!(out, "{} = {}", factor.path, factor.prior_toml());
    }
}

/// A key as TOML wants it.
fn key(name: &str) -> String {
    let is_bare = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_bare {
        name.to_owned()
    } else {
        string(name)
    }
}

fn write_drug(out: &mut String, name: &str, molecule: &str, action: &Action, style: Style) {
    let path = format!("drugs.{}", key(name));
    let kind = match action {
        Action::Direct(_) => DRUG_KINDS[0],
        Action::Dosed(_) => DRUG_KINDS[1],
    };
    let own_kind = format!("{path}.kind");
    let special = |key: &str| {
        if key == own_kind {
            Special::Value(string(kind))
        } else {
            Special::AsDeclared
        }
    };
    let mut writer = Writer {
        out: std::mem::take(out),
        documented: style == Style::Documented,
        special: &special,
    };
    let _ = writeln!(writer.out, "\n[{path}]");
    writer.table(DRUG, &path, &mut molecule.to_owned());
    match action {
        Action::Direct(direct) => writer.table(DIRECT, &path, &mut direct.clone()),
        Action::Dosed(dosed) => {
            writer.table(DOSED, &path, &mut dosed.clone());
            writer.out.push_str(&dosed_tables(&path, dosed));
        }
    }
    *out = writer.out;
}

/// The tables of a dosed drug that are not plain fields.
fn dosed_tables(path: &str, dosed: &Dosed) -> String {
    let mut out = String::from("schedule = [\n");
    for block in &dosed.schedule {
        let _ = writeln!(out, "    {},", inline_block(block));
    }
    out.push_str("]\n");
    let (kind, mut route) = RouteDraft::of(dosed.route);
    let position = ROUTE_KINDS
        .iter()
        .position(|word| *word == kind)
        .unwrap_or(0);
    let mut items = vec![format!("kind = {}", string(kind))];
    items.extend(inline(ROUTES[position], &mut route));
    let _ = writeln!(out, "route = {{ {} }}", items.join(", "));
    if let Some(mut peripheral) = dosed.peripheral {
        let items = inline(PERIPHERAL, &mut peripheral);
        let _ = writeln!(out, "peripheral = {{ {} }}", items.join(", "));
    }
    let _ = writeln!(out, "\n[{path}.effects]");
    for gene in Gene::ALL {
        if let Some(mut effect) = dosed.effects[gene.index()] {
            let items = inline(EFFECT, &mut effect);
            let _ = writeln!(out, "{} = {{ {} }}", gene.symbol(), items.join(", "));
        }
    }
    out
}

/// `key = value` of every field that is given.
fn inline<T>(fields: &[Field<T>], from: &mut T) -> Vec<String> {
    fields
        .iter()
        .filter_map(|field| {
            let value = declared(field, from)?;
            Some(format!("{} = {value}", field.key))
        })
        .collect()
}

fn inline_block(block: &DoseBlock) -> String {
    let amount = match block.amount {
        Amount::Milligrams(amount) => format!("dose_mg = {}", float(amount)),
        Amount::MilligramsPerKilogram(amount) => format!("dose_mg_per_kg = {}", float(amount)),
    };
    format!(
        "{{ first_day = {}, every_days = {}, doses = {}, {amount} }}",
        float(block.first_day),
        float(block.interval_days),
        block.doses,
    )
}

fn write_arm(out: &mut String, trial: &Trial, arm: &Arm, style: Style) {
    let path = format!("arms.{}", key(&arm.name));
    let drugs: Vec<String> = arm
        .drugs
        .iter()
        .map(|drug| string(&trial.drug_keys[*drug]))
        .collect();
    let own_drugs = format!("{path}.drugs");
    let special = |key: &str| {
        if key == own_drugs {
            Special::Value(format!("[{}]", drugs.join(", ")))
        } else {
            Special::AsDeclared
        }
    };
    let mut writer = Writer {
        out: std::mem::take(out),
        documented: style == Style::Documented,
        special: &special,
    };
    let _ = writeln!(writer.out, "\n[{path}]");
    writer.table(ARM, &path, &mut arm.radiotherapy.clone());
    *out = writer.out;
}
