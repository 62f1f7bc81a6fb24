//! Calibrations, from the command line to the files that they leave.

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, signal};

/// Two parameters: one that the cohort's rates fix, one of which they say nothing.
const PRIORS: &str = concat!(
    "name = \"small-priors\"\narms_only = [\"control\"]\n",
    include_str!("../../../engine/benches/trial.toml"),
    "block_patients = 400\n[strata]\nnodes = [0]\n[uncertainty]\ndesign = \"sobol\"\n\
     points = 80\nhalf_years = 10\n[uncertainty.priors]\n\
     local_treatment.residual_foci = { min = 0.05, max = 1.0, log = true }\n\
     homing.mmp1_ceiling = { min = 0.3, max = 0.8 }\n"
);

/// What patients have in whom residual foci are 0.3 on average, about.
const RATES: &str = "stratum,from_years,until_years,person_years,local\n\
     nodes 0,0,1,1000,40\nnodes 0,1,3,1600,90\nnodes 0,3,5,1300,40\n";

const COMMAND: &str = "calibrate priors.toml --targets rates.csv --out found --waves 2 --draws 400";

fn bench() -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("priors.toml"), PRIORS).expect("room for a trial file");
    fs::write(bench.path("rates.csv"), RATES).expect("room for a table");
    bench
}

fn parameter<'a>(found: &'a Value, key: &str) -> &'a Value {
    let parameters = found["parameters"].as_array().expect("parameters");
    let own = parameters.iter().find(|parameter| parameter["key"] == key);
    own.expect("the parameter")
}

#[test]
fn what_the_cohort_says_is_found_and_nothing_else_whatever_the_threads() {
    let bench = bench();
    let one = bench.ok(&format!("{COMMAND} --threads 1 --recoveries 20 --json"));
    let found = one.json();
    let fixed = parameter(&found, "local_treatment.residual_foci");
    assert_eq!(fixed["standing"], "fixed", "{found}");
    assert!(
        fixed["lower"].as_f64() < Some(0.35) && fixed["upper"].as_f64() > Some(0.2),
        "{fixed}"
    );
    assert_eq!(
        parameter(&found, "homing.mmp1_ceiling")["standing"],
        "untouched",
        "{found}"
    );
    assert_eq!(found["waves"].as_array().map(Vec::len), Some(2));
    assert_eq!(found["recovery"][0]["cohorts"], 20);
    // Again, from nothing, on other threads; and from what is there.
    let folder = bench.path("found");
    fs::rename(&folder, bench.path("first")).expect("a folder");
    let two = bench.ok(&format!("{COMMAND} --threads 2 --recoveries 20 --json"));
    assert_eq!(two.stdout, one.stdout);
    let third = bench.ok(&format!("{COMMAND} --recoveries 20 --json"));
    assert_eq!(third.stdout, one.stdout);
    for name in ["posterior.toml", "best.toml", "wave-2.toml"] {
        let files = [folder.join(name), bench.path("first").join(name)];
        let [one, two] = files.map(|path| fs::read(path).expect("a file"));
        assert_eq!(one, two, "{name}");
    }
    // What was found can be run.
    bench.ok("run found/best.toml --patients 500 --out best.h5");
    bench.ok("run found/posterior.toml --patients 800 --out posterior.h5");
    let text = bench.ok(COMMAND).stdout;
    assert!(
        text.contains("untouched") && text.contains("local, nodes 0"),
        "{text}"
    );
}

#[test]
fn a_wave_may_be_computed_elsewhere() {
    let bench = bench();
    let plan = format!("{COMMAND} --plan");
    bench.fails(
        &plan,
        3,
        &[
            "wave-1.toml waits for its result",
            "give this command again",
        ],
    );
    bench.ok("run found/wave-1.toml --out found/wave-1.h5");
    bench.fails(&plan, 3, &["wave-2.toml waits for its result"]);
    bench.ok("run found/wave-2.toml --out found/wave-2.h5");
    let elsewhere = bench.ok(&plan).stdout;
    fs::remove_dir_all(bench.path("found")).expect("a folder");
    assert_eq!(bench.ok(COMMAND).stdout, elsewhere);
}

#[test]
fn it_can_be_stopped_while_it_does_not_simulate() {
    let bench = bench();
    let line = "calibrate priors.toml --targets rates.csv --out found --waves 1 --draws 65536";
    let mut child = bench.start_until(line, "found/wave-1.h5");
    signal(&child, "TERM");
    assert_eq!(child.wait().expect("it ended").code(), Some(3));
    assert!(!bench.path("found/posterior.h5").exists());
}

#[test]
fn what_cannot_be_calibrated_is_told() {
    let bench = bench();
    let with = |targets: &str| format!("calibrate priors.toml --out x {targets}");
    bench.fails(&with(""), 2, &["nothing to agree with", "--targets"]);
    bench.fails(&with("--targets none.csv"), 4, &["none.csv"]);
    fs::write(
        bench.path("wrong.csv"),
        RATES.replace("nodes 0,1", "nodes 9,1"),
    )
    .expect("room");
    let says = [
        "wrong.csv, line 3",
        "no patients \"nodes 9\"",
        "nodes 0; nodes 1+",
    ];
    bench.fails(&with("--targets wrong.csv"), 5, &says);
    bench.fails(
        "calibrate small.toml --targets rates.csv --out x",
        2,
        &["no uncertain parameters", "[uncertainty]"],
    );
    let choices = PRIORS.replace("{ min = 0.3, max = 0.8 }", "{ choices = [0.3, 0.8] }");
    fs::write(bench.path("choices.toml"), choices).expect("room");
    bench.fails(
        "calibrate choices.toml --targets rates.csv --out x",
        2,
        &["homing.mmp1_ceiling has a list of values", "each by itself"],
    );
}

#[test]
fn draws_that_do_not_fit_together_are_refused() {
    let bench = bench();
    let draws = PRIORS
        .replace("{ min = 0.3, max = 0.8 }", "{ draws = [0.3, 0.8] }")
        .replace(
            "{ min = 0.05, max = 1.0, log = true }",
            "{ draws = [0.1, 0.2, 0.3] }",
        );
    fs::write(bench.path("draws.toml"), &draws).expect("room");
    bench.fails(
        "trial check draws.toml",
        2,
        &[
            "lists of draws differ in length",
            "one has 2 values, another 3",
        ],
    );
    let morris = draws
        .replace("0.2, 0.3]", "0.2]")
        .replace("sobol", "morris");
    fs::write(bench.path("draws.toml"), &morris).expect("room");
    bench.fails(
        "trial check draws.toml",
        2,
        &["draws need a design that samples"],
    );
    let fits = morris.replace("morris", "sobol");
    fs::write(bench.path("draws.toml"), &fits).expect("room");
    bench.ok("run draws.toml --patients 1600 --out draws.h5");
    bench.ok("verify draws.h5 --fraction 1");
}
