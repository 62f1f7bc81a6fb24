//! What a review of the model asks for, from the command line to the document.

use std::fs;

use serde_json::Value;

use crate::bench::Bench;

const CONTEXT: &str = "question = \"Does blocking both help?\"\n[model_risk]\ninfluence = \"low\"\n\
     consequence = \"high\"\n[acceptance]\nprecision_points = 5.0\n";

/// Targets of which the model lies inside one.
const TARGETS: &str = "stratum,event,years,value,lower,upper,source\n\
     all,recurrence,5,0.5,0.0,1.0,here\nnodes 4+,local,5,0.9,0.8,0.95,there\n";

/// A bench with the result of a small trial of two arms.
fn bench() -> Bench {
    let bench = Bench::new();
    for (name, text) in [("mine.toml", CONTEXT), ("targets.csv", TARGETS)] {
        fs::write(bench.path(name), text).expect("room");
    }
    bench.ok("run pair.toml --patients 3000");
    bench
}

fn verdict<'a>(document: &'a Value, section: &str) -> &'a Value {
    let sections = document["sections"].as_array().expect("sections");
    let own = sections.iter().find(|own| own["name"] == section);
    &own.expect("the section")["verdict"]
}

#[test]
fn a_result_becomes_a_document_in_every_form() {
    let bench = bench();
    let line = "credibility pair.h5 --context mine.toml --targets targets.csv";
    let told = bench.ok(line).stderr;
    assert!(told.contains("Code verification         met"), "{told}");
    let page = fs::read_to_string(bench.path("pair.credibility.html")).expect("a page");
    for says in [
        "Does blocking both help?",
        "Inside 1 of 2 intervals of targets.csv",
        "oracles_cell_by_cell",
        &bench.digest("pair.h5"),
        "reseed verify pair.h5 --fraction 0.0001",
    ] {
        assert!(page.contains(says), "{says}");
    }
    // A document may be made again, and is the same.
    bench.ok(line);
    let again = fs::read_to_string(bench.path("pair.credibility.html")).expect("a page");
    assert_eq!(again, page);

    bench.ok(&format!("{line} --out pair.md"));
    let text = fs::read_to_string(bench.path("pair.md")).expect("a text");
    assert!(text.contains("| 6. Validation | not met |"), "{text}");

    let document = bench.ok(&format!("{line} --json")).json();
    assert_eq!(document["model_risk"], "medium");
    assert_eq!(verdict(&document, "model_risk"), "stated");
    assert_eq!(verdict(&document, "code_verification"), "met");
    assert_eq!(verdict(&document, "calculation_verification"), "met");
    assert_eq!(verdict(&document, "uncertainty"), "not_shown");
    assert_eq!(document["validation"]["targets"]["inside"], 1);
}

#[test]
fn calibration_and_ranking_are_taken_in() {
    let bench = bench();
    let priors = concat!(
        "name = \"few\"\narms_only = [\"control\", \"siltuximab+bms-986253\"]\n",
        include_str!("../../../engine/benches/trial.toml"),
        "block_patients = 400\n[strata]\nnodes = [0]\n[uncertainty]\ndesign = \"sobol\"\n\
         points = 40\nhalf_years = 10\n[uncertainty.priors]\n\
         local_treatment.residual_foci = { min = 0.05, max = 1.0, log = true }\n"
    );
    let rates = "stratum,from_years,until_years,person_years,local\nnodes 0,0,1,1000,40\n\
         nodes 0,1,3,1600,90\n";
    fs::write(bench.path("few.toml"), priors).expect("room");
    fs::write(bench.path("rates.csv"), rates).expect("room");
    bench.ok("calibrate few.toml --targets rates.csv --out found --waves 2 --draws 400");
    bench.ok("run few.toml --patients 16000");
    let line = "credibility found/wave-1.h5 --posterior found/posterior.h5 --json";
    let of_wave = bench.ok(line).json();
    assert_eq!(of_wave["calibration"]["draws"], 400);
    assert_eq!(of_wave["ranking"]["factors"], 1, "the result's own");
    let line = "credibility pair.h5 --posterior found/posterior.h5 --ranking few.h5 --json";
    let document = bench.ok(line).json();
    let checks = document["sections"][6]["checks"]
        .as_array()
        .expect("checks");
    let rest = &checks[3];
    assert_eq!(
        rest["verdict"], "met",
        "only what is calibrated differs: {rest}"
    );
    assert_eq!(document["ranking"]["points"], 40);
    // A ranking needs a run with uncertain parameters.
    bench.fails(
        "credibility pair.h5 --ranking pair.h5 --json",
        5,
        &["pair.h5", "no uncertain parameters"],
    );
}

#[test]
fn what_is_wrong_is_told() {
    let bench = bench();
    let wrong = CONTEXT.replace("influence", "weight");
    fs::write(bench.path("wrong.toml"), wrong).expect("room");
    bench.fails(
        "credibility pair.h5 --context wrong.toml",
        2,
        &["wrong.toml, line 3: unknown field `weight`", "influence"],
    );
    bench.fails(
        "credibility pair.h5 --context absent.toml",
        4,
        &["read context absent.toml"],
    );
    bench.fails(
        "credibility pair.h5 --out pair.pdf",
        2,
        &["pair.pdf", ".html or .md"],
    );
    fs::write(bench.path("pair.md"), "my own notes").expect("room");
    bench.fails(
        "credibility pair.h5 --out pair.md",
        2,
        &["pair.md is there", "--force"],
    );
    let notes = fs::read_to_string(bench.path("pair.md")).expect("a text");
    assert_eq!(notes, "my own notes");
    bench.ok("credibility pair.h5 --out pair.md --force");
}
