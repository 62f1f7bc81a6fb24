//! R's `survival`, `cmprsk`, `riskRegression` and `pec` and Python's lifelines find the same in the same patients.
//!
//! `reference/` has the scripts, simulated patients, and the golden values that the scripts found
//! (`reference/regenerate`). The records of public cohorts are not kept here: they come from R's
//! package when the test runs. So these tests need R and lifelines: `deploy/with-tools
//! --tests`.

mod reference {
    pub(crate) mod estimates;
    pub(crate) mod predictions;
    pub(crate) mod programs;
}

use std::collections::BTreeMap;
use std::fs;

use reference::estimates::{Found, of_groups, of_pairs, two_groups};
use reference::predictions::of_predictions;
use reference::programs::{Records, folder, lifelines, r};
use serde_json::Value;

/// How far estimates may be from the reference, relative to numbers above 1.
const TOLERANCE: f64 = 1e-9;

const SIMULATED: [&str; 3] = ["continuous", "tied", "paired"];

const PREDICTED: [&str; 2] = ["predicted", "predicted-tied"];

const COHORTS: [&str; 6] = ["colon", "lung", "ovarian", "pbc", "rotterdam", "veteran"];

#[test]
fn simulated_patients_in_continuous_time() {
    check_simulated("continuous");
}

#[test]
fn simulated_patients_with_ties() {
    check_simulated("tied");
}

#[test]
fn simulated_pairs_and_distributions() {
    let records = Records::read(&simulated("paired"));
    let golden = golden("paired");
    compare(
        "paired",
        &of_pairs(&records, &golden["R"]["grid"]),
        &golden["R"],
    );
}

#[test]
fn predictions_for_simulated_patients() {
    for kind in PREDICTED {
        let found = of_predictions(&simulated(kind));
        compare(kind, &found, &golden(kind)["R"]);
    }
}

#[test]
fn public_cohorts() {
    for cohort in COHORTS {
        let records = Records::read(&r("cohorts.R", &[cohort], ""));
        check(cohort, &records, &golden(cohort));
    }
}

#[test]
fn the_simulated_patients_are_what_their_script_makes() {
    for kind in SIMULATED.into_iter().chain(PREDICTED) {
        assert_eq!(r("simulate.R", &[kind], ""), simulated(kind), "{kind}.csv");
    }
}

#[test]
fn r_still_finds_the_golden_values() {
    for (name, patients) in all_patients() {
        let found = parse(&r("reference.R", &[], &patients));
        compare(name, &found, &golden(name)["R"]);
    }
    for kind in PREDICTED {
        let found = parse(&r("predictions.R", &[], &simulated(kind)));
        compare(kind, &found, &golden(kind)["R"]);
    }
}

#[test]
fn lifelines_still_finds_the_golden_values() {
    let mut sets = all_patients();
    sets.retain(|(name, _)| *name != "paired");
    let patients: Vec<&str> = sets.iter().map(|(_, patients)| patients.trim()).collect();
    let found = lifelines(&patients.join("\n\n"));
    let found: Vec<Value> = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found.len(), sets.len());
    for ((name, _), found) in sets.iter().zip(found) {
        compare(name, &parse(&found.to_string()), &golden(name)["lifelines"]);
    }
}

/// Every set of patients by name, as CSV.
fn all_patients() -> Vec<(&'static str, String)> {
    let simulated = SIMULATED.map(|kind| (kind, simulated(kind)));
    let cohorts = COHORTS.map(|cohort| (cohort, r("cohorts.R", &[cohort], "")));
    simulated.into_iter().chain(cohorts).collect()
}

fn check_simulated(kind: &str) {
    check(kind, &Records::read(&simulated(kind)), &golden(kind));
}

fn check(name: &str, records: &Records, golden: &BTreeMap<String, Found>) {
    let grid = &golden["R"]["grid"];
    compare(name, &of_groups(records, grid), &golden["R"]);
    compare(name, &two_groups(records, grid), &golden["lifelines"]);
}

/// Both have the same names and, to the tolerance, the same numbers.
fn compare(what: &str, found: &Found, expected: &Found) {
    let names = |found: &Found| found.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{what}");
    let mut apart = Vec::new();
    for (name, expected) in expected {
        let found = &found[name];
        let equal = found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, expected)| {
                (found.is_nan() && expected.is_nan())
                    || (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
            });
        if !equal {
            apart.push(format!("{what} {name}: {found:?} is not {expected:?}"));
        }
    }
    assert!(apart.is_empty(), "{}", apart.join("\n"));
}

fn simulated(kind: &str) -> String {
    fs::read_to_string(folder().join(format!("simulated/{kind}.csv"))).expect("simulated patients")
}

fn golden(name: &str) -> BTreeMap<String, Found> {
    let path = folder().join(format!("golden/{name}.json"));
    let text = fs::read_to_string(path).expect("golden values");
    let golden: BTreeMap<String, Value> = serde_json::from_str(&text).expect("JSON");
    golden
        .into_iter()
        .map(|(program, found)| (program, parse(&found.to_string())))
        .collect()
}

fn parse(text: &str) -> Found {
    let found: BTreeMap<String, Vec<Option<f64>>> = serde_json::from_str(text).expect("JSON");
    let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
    found
        .into_iter()
        .map(|(name, values)| (name, values.into_iter().map(number).collect()))
        .collect()
}
