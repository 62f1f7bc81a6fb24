//! Ranking over uncertain parameters, from the command line to what is printed.

use std::fs;

use serde_json::Value;

use crate::bench::Bench;

const SMALL: &str = "base = \"breast-targets\"\nname = \"small-targets\"\n\
     arms_only = [\"control\", \"IL6\", \"MMP1\", \"IL6+MMP1\"]\n\
     compare.primary.arm = \"IL6+MMP1\"\n\
     [run]\nblock_patients = 200\n[uncertainty]\npoints = 60\n";

fn bench() -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("targets.toml"), SMALL).expect("room for a trial file");
    bench
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn threads_and_shards_change_nothing_and_the_file_says_the_same() {
    let bench = bench();
    let one = bench.ok("rank targets.toml --threads 1 --json");
    let found = json(&one.stdout);
    assert_eq!(found["points"], 60);
    assert_eq!(found["point_patients"], 200);
    assert_eq!(found["design"], "sobol");
    let heads = found["rankings"].as_array().expect("rankings").iter();
    let over_all = heads.filter(|table| table["switch"].is_null());
    let groups: Vec<&str> = over_all
        .filter_map(|table| table["group"].as_str())
        .collect();
    assert_eq!(groups, ["Single targets", "Pairs of targets", "All arms"]);
    // A pair is never worse than its parts.
    let all = found["rankings"].as_array().expect("rankings").iter().rev();
    let all = all
        .clone()
        .find(|table| table["switch"].is_null())
        .expect("all arms");
    assert_eq!(all["rows"][0]["arm"], "IL6+MMP1");
    assert_eq!(all["rows"][0]["loss"], 0.0);
    let other =
        bench.ok("rank targets.toml --threads 2 --shard-patients 400 --out other.h5 --json");
    assert_eq!(other.stdout, one.stdout);
    assert_eq!(bench.ok("rank targets.toml --json").stdout, one.stdout);
    assert_eq!(bench.ok("rank small-targets.h5 --json").stdout, one.stdout);
    let text = bench.ok("rank small-targets.h5 --endpoint rfs").stdout;
    assert!(
        text.contains("Recurrence or death within 5 years"),
        "{text}"
    );
    assert!(text.contains("Single targets, best by switch"), "{text}");
    bench.ok("compare small-targets.h5");
    bench.ok("verify small-targets.h5 --fraction 1");
}

#[test]
fn designs_of_the_command_line_have_whole_rows() {
    let bench = bench();
    // 22 factors: a trajectory has 23 points, a row of Saltelli's design 24.
    for (design, points, measure) in [
        ("morris", 46, "elementary_effect"),
        ("saltelli", 48, "sobol_index"),
        ("latin-hypercube", 40, "rank_correlation"),
    ] {
        let found = bench.ok(&format!(
            "rank targets.toml --design {design} --points 40 --patients-per-point 100 --out \
             {design}.h5 --json"
        ));
        let found = json(&found.stdout);
        assert_eq!(found["design"], design);
        assert_eq!(found["points"], points);
        assert_eq!(found["influences"][0]["measure"], measure);
        assert_eq!(
            found["influences"][0]["rows"].as_array().map(Vec::len),
            Some(22)
        );
        bench.ok(&format!("rank {design}.h5"));
    }
}

/// A larger run of an endless design is the smaller one, extended.
#[test]
fn points_may_be_added() {
    let bench = bench();
    bench.ok("rank targets.toml --points 30 --out grown.h5");
    bench.ok("extend grown.h5 --patients 12000");
    bench.ok("rank targets.toml --out whole.h5");
    let [grown, whole] = ["grown", "whole"].map(|name| bench.ok(&format!("rank {name}.h5")).stdout);
    assert_eq!(grown, whole);
}

#[test]
fn a_disease_stands_for_its_targets() {
    let bench = bench();
    let found = bench.ok("rank melanoma --points 3 --patients-per-point 100 --json");
    assert!(
        found.stderr.contains("ranking the preset melanoma-targets"),
        "{}",
        found.stderr
    );
    assert_eq!(json(&found.stdout)["trial"], "melanoma-targets");
    assert!(bench.path("melanoma-targets.h5").exists());
}

#[test]
fn what_cannot_be_ranked_is_told() {
    let bench = bench();
    bench.fails("rank small.toml", 2, &["base = \"breast-targets\""]);
    bench.ok("run small.toml --out plain.h5");
    bench.fails("rank plain.h5", 5, &["its run had no uncertain parameters"]);
    bench.fails(
        "rank plain.h5 --points 5",
        2,
        &["to try others, give a trial file"],
    );
    fs::write(
        bench.path("wide.toml"),
        "base = \"breast\"\n[uncertainty]\ndesign = \"sobol\"\npoints = 2\n\
         [uncertainty.priors]\ndetection.scar_cells = { min = 10, max = 1e6 }\n",
    )
    .expect("room for a trial file");
    bench.fails(
        "run wide.toml --patients 262144000",
        2,
        &[
            "of the design is not a valid trial",
            "detection.scar_cells = ",
            "narrow the priors",
        ],
    );
}

#[test]
fn a_patient_is_replayed_under_the_parameters_of_its_block() {
    let bench = bench();
    bench.ok("run targets.toml --patients 1000 --records --out a.h5");
    bench.ok("export a.h5 --records adtte.csv --endpoint rfs");
    let table = fs::read_to_string(bench.path("adtte.csv")).expect("a table");
    let mut lines = table
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("a head");
    let at = |name: &str| head.iter().position(|column| *column == name).expect(name);
    let (subject, arm, days) = (at("USUBJID"), at("TRTP"), at("AVAL"));
    let control = lines.filter(|line| line[arm] == "control");
    let rows: Vec<Vec<&str>> = control.step_by(60).collect();
    assert!(rows.len() > 10, "{table}");
    for row in rows {
        let (_, index) = row[subject].rsplit_once('-').expect("an index");
        let replayed = bench.ok(&format!("patient a.h5 --index {index} --json"));
        let found = json(&replayed.stdout)["arms"][0]["first_event_day"].clone();
        let recorded: f64 = row[days].parse().expect("a time");
        let difference = found.as_f64().expect("a time") - recorded;
        assert!(difference.abs() < 1e-9, "patient {index}: {found}");
    }
}
