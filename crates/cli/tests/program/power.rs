//! Virtual trials, from the command line to what is printed.

use std::fs;

use serde_json::Value;

use crate::bench::Bench;

const PLAN: &str = "--patients-per-arm 50,100 --looks 0.6 --trials 60";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn threads_and_shards_change_nothing_and_the_file_says_the_same() {
    let bench = Bench::new();
    fs::write(
        bench.path("blocks.toml"),
        "base = \"breast\"\nname = \"blocks\"\n\
         run = { patients = 6000, seed = 11, block_patients = 1000 }\n",
    )
    .expect("room for a trial file");
    let one = bench.ok(&format!("power blocks.toml {PLAN} --threads 1 --json"));
    let found = json(&one.stdout);
    assert_eq!(found["blocks"], 6);
    assert_eq!(found["virtual_trials"], 60);
    assert_eq!(found["rows"].as_array().map(Vec::len), Some(2 * 12));
    let null = &found["rows"][0];
    assert_eq!(null["is_null"], true);
    assert!(null["rejection"].as_f64().is_some_and(|share| share < 0.25));
    let other = bench.ok(&format!(
        "power blocks.toml {PLAN} --threads 2 --shard-patients 1000 --out other.h5 --json"
    ));
    assert_eq!(other.stdout, one.stdout);
    let again = bench.ok(&format!("power blocks.toml {PLAN} --json"));
    assert_eq!(again.stdout, one.stdout);
    assert_eq!(bench.ok("power blocks-power.h5 --json").stdout, one.stdout);
    let text = bench.ok("power blocks-power.h5 --arm radiotherapy").stdout;
    assert!(
        text.contains("control (null)") && text.contains("radiotherapy"),
        "{text}"
    );
    assert!(!text.contains("siltuximab"), "{text}");
    // The tally is there too.
    bench.ok("compare blocks-power.h5");
    bench.ok("verify blocks-power.h5 --fraction 1");
}

#[test]
fn what_cannot_be_planned_is_told() {
    let bench = Bench::new();
    bench.ok("run small.toml --out plain.h5");
    bench.fails("power plain.h5", 5, &["its run drew no trials"]);
    bench.fails(
        "power plain.h5 --looks 0.5",
        2,
        &["to plan others, give a trial file"],
    );
    bench.fails(
        "power small.toml --follow-up-months 300",
        2,
        &["last longer than patients are followed", "follow_up_months"],
    );
    bench.fails("power small.toml --spending often", 2, &["obrien-fleming"]);
    bench.fails(
        "power small.toml --arm penicillin",
        2,
        &["no arm `penicillin`"],
    );
    fs::write(
        bench.path("few.toml"),
        "base = \"breast\"\nrun = { patients = 400, block_patients = 400 }\n\
         eligibility.nodes = { min = 4 }\nvirtual_trials.patients_per_arm = [150]\n",
    )
    .expect("room for a trial file");
    bench.fails(
        "run few.toml",
        2,
        &["block 0 enrolled", "needs 300", "raise run.block_patients"],
    );
}
