//! A result against cohorts, from the command line to what is printed.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::bench::Bench;

const TRIAL: &str = "base = \"breast\"\nname = \"strata\"\narms_only = [\"control\", \"radiotherapy\"]\n\
     compare.primary.arm = \"radiotherapy\"\n[strata]\nnodes = [0, 3]\nsize_mm = [20]\n";

/// A bench with a result whose strata divide its patients.
fn bench() -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("strata.toml"), TRIAL).expect("room for a trial file");
    bench.ok("run strata.toml --patients 6000 --records");
    bench
}

/// Control patients of a result as a cohort would list them: `parameter` names what they are
/// followed for, `event` what that and what competes with it are called, and `followed_years` how
/// long each of them is followed.
fn patients_of(
    bench: &Bench,
    result: &str,
    parameter: &str,
    event: [&str; 2],
    followed_years: fn(u32) -> f64,
) -> String {
    bench.ok(&format!("export {result} --records adtte.csv --force"));
    let text = fs::read_to_string(bench.path("adtte.csv")).expect("records");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader.headers().expect("a head").clone();
    let mut cohort = String::from("size_mm,years,event,nodes\n");
    for (record, number) in reader.records().zip(0u32..) {
        let record = record.expect("a record");
        let cell = |name: &str| {
            let place = head.iter().position(|column| column == name);
            &record[place.unwrap_or_else(|| panic!("{name} is not in {head:?}"))]
        };
        if cell("TRTP") != "control" || cell("PARAMCD") != parameter {
            continue;
        }
        let years = cell("AVAL").parse::<f64>().expect("days") / 365.25;
        let end = followed_years(number);
        let event = match cell("CNSR") {
            _ if years > end => "none",
            "0" => event[0],
            "2" => event[1],
            _ => "none",
        };
        let stratum = cell("STRATUM");
        let size_mm = if stratum.contains("size <=20 mm") {
            12
        } else {
            31
        };
        let nodes = match stratum {
            all if all.contains("nodes 0") => 0,
            all if all.contains("nodes 1-3") => 3,
            _ => 4,
        };
        // Writing to a string cannot fail.
        let _ = writeln!(cohort, "{size_mm},{},{event},{nodes}", years.min(end));
    }
    cohort
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn within(value: f64, lower: &Value, upper: &Value) -> bool {
    (number(lower)..=number(upper)).contains(&value)
}

#[test]
fn a_result_predicts_its_own_patients_exactly() {
    let bench = bench();
    for (endpoint, parameter, event) in [
        ("rfs", "RFS", ["recurrence_or_death", "none"]),
        ("local", "TTLR", ["local", "distant"]),
        ("death", "OS", ["cancer_death", "none"]),
    ] {
        let cohort = patients_of(&bench, "strata.h5", parameter, event, |_| 100.0);
        fs::write(bench.path("own.csv"), cohort).expect("room");
        let line = format!("validate strata.h5 --patients own.csv --endpoint {endpoint} --json");
        let found = bench.ok(&line).json();
        let cohort = &found["cohort"];
        assert_eq!(cohort["endpoint"], endpoint);
        assert_eq!(found["arm"], "control");
        // The trial's times, all of them ends of bins.
        assert_eq!(cohort["times"].as_array().map(Vec::len), Some(3));
        for time in cohort["times"].as_array().expect("times") {
            let (predicted, observed) = (number(&time["predicted"]), number(&time["observed"]));
            assert!((predicted - observed).abs() < 1e-9, "{endpoint}: {time}");
            assert!(
                (number(&time["observed_to_expected"]) - 1.0).abs() < 0.01,
                "{time}"
            );
            assert!((number(&time["slope"]) - 1.0).abs() < 0.02, "{time}");
            assert!(number(&time["brier_scaled"]) > 0.0, "{time}");
        }
        for group in cohort["groups"].as_array().expect("groups") {
            let (predicted, observed) = (number(&group["predicted"]), number(&group["observed"]));
            assert!((predicted - observed).abs() < 1e-9, "{endpoint}: {group}");
        }
    }
}

#[test]
fn other_patients_of_the_same_trial_are_as_predicted() {
    let bench = bench();
    bench.ok("run strata.toml --patients 2000 --seed 2 --records --out other.h5");
    let uneven = |number: u32| 2.0 + f64::from(number * 7919 % 1000) / 100.0;
    let event = ["recurrence_or_death", "none"];
    let cohort = patients_of(&bench, "other.h5", "RFS", event, uneven);
    fs::write(bench.path("other.csv"), cohort).expect("room");
    let line = "validate strata.h5 --patients other.csv --years 5 --figures figures";
    let found = bench.ok(&format!("{line} --json")).json();
    let cohort = &found["cohort"];
    let time = &cohort["times"][0];
    let (lower, upper) = (&time["observed_lower"], &time["observed_upper"]);
    assert!(within(number(&time["predicted"]), lower, upper), "{time}");
    let (lower, upper) = (
        &time["observed_to_expected_lower"],
        &time["observed_to_expected_upper"],
    );
    assert!(within(1.0, lower, upper), "{time}");
    let error = number(&time["slope_standard_error"]);
    assert!((number(&time["slope"]) - 1.0).abs() < 3.0 * error, "{time}");
    assert!(
        number(&time["harrell"]) > 0.6 && number(&time["uno"]) > 0.6,
        "{time}"
    );
    // Six strata are six predictions, and there are at most five groups by risk.
    let count = |grouping: &str| {
        let groups = cohort["groups"].as_array().expect("groups").iter();
        groups.filter(|group| group["grouping"] == grouping).count()
    };
    assert_eq!(count("stratum"), 6);
    assert!((3..=5).contains(&count("risk")), "{cohort}");

    let text = bench.ok(line).stdout;
    for says in [
        "Harrell's C (SE)",
        "groups by predicted risk",
        "Recurrence or death",
    ] {
        assert!(text.contains(says), "{text}");
    }
    let list = fs::read_to_string(bench.path("figures/figures.csv")).expect("a list");
    assert!(
        list.contains("calibration-5-years") && list.contains("curves-all-patients"),
        "{list}"
    );
    let drawing = fs::read_to_string(bench.path("figures/calibration-5-years.svg"));
    assert!(drawing.expect("a drawing").matches("class=\"dot\"").count() >= 3);

    // Curves go as far as the cohort was followed, which is almost 12 years.
    let curves = fs::read_to_string(bench.path("figures/curves-all-patients.svg"));
    assert!(curves.expect("a drawing").contains(">10</text>"));

    // Who gets radiotherapy fares otherwise.
    let other = bench
        .ok(&format!("{line} --arm radiotherapy --json"))
        .json();
    assert_eq!(other["arm"], "radiotherapy");
    assert!(other["cohort"]["times"][0]["predicted"] != time["predicted"]);
}

#[test]
fn targets_are_inside_or_not() {
    let bench = bench();
    let rows = "all,recurrence,5,0.5,0.0,1.0,here\nnodes 4+,local,5,0.9,0.8,0.95,there\n\
                nodes 9+,local,5,0.9,0.8,0.95,there\nall,local,40,0.5,0,1,late\n";
    let text = format!("stratum,event,years,value,lower,upper,source\n{rows}");
    fs::write(bench.path("targets.csv"), text).expect("room");
    let found = bench
        .ok("validate strata.h5 --targets targets.csv --json")
        .json();
    let targets = &found["targets"];
    assert!(found["cohort"].is_null());
    assert_eq!(
        (&targets["compared"], &targets["inside"]),
        (&2.into(), &1.into())
    );
    let left_out = targets["left_out"].as_array().expect("a list");
    assert_eq!(
        left_out,
        &["local, nodes 9+, 5 years", "local, all, 40 years"]
    );
    let text = bench.ok("validate strata.h5 --targets targets.csv").stdout;
    assert!(text.contains("inside 1 of 2 intervals (50 %)"), "{text}");
    assert!(text.contains("not compared"), "{text}");
}

#[test]
fn peaks_of_hazards_are_targets_too() {
    let bench = bench();
    let text = "stratum,event,quantity,years,value,lower,upper,source\n\
                all,recurrence,hazard_peak_years,,1.5,0.0,20.0,here\n\
                nodes 1-3; nodes 4+,distant,hazard_peak_years,,1.5,0.0,20.0,here\n\
                nodes 0,local,incidence,5,0.1,0.0,1.0,here\n";
    fs::write(bench.path("peaks.csv"), text).expect("room");
    let line = "validate strata.h5 --targets peaks.csv --figures figures";
    let found = bench.ok(&format!("{line} --json")).json();
    let rows = found["targets"]["rows"].as_array().expect("rows").clone();
    assert_eq!(found["targets"]["inside"], 3, "{found}");
    for row in &rows[..2] {
        assert!(row["time_years"].is_null(), "{row}");
        let (lower, upper) = (&row["model_lower"], &row["model_upper"]);
        let peak = number(&row["model"]);
        assert!(
            (0.1..6.0).contains(&peak) && within(peak, lower, upper),
            "{row}"
        );
        assert!(row["median"].is_null() && found["points"].is_null());
    }
    let text = bench.ok(line).stdout;
    assert!(text.contains("peak of the hazard, years"), "{text}");
    assert!(text.contains("distant, nodes 1-3; nodes 4+"), "{text}");
    let list = fs::read_to_string(bench.path("figures/figures.csv")).expect("a list");
    assert!(
        list.contains("calibration-peaks") && list.contains("curve-local-nodes-0"),
        "{list}"
    );
}

#[test]
fn over_points_there_are_bands_also_in_the_report() {
    let bench = Bench::new();
    let trial = "base = \"breast\"\nname = \"points\"\narms_only = [\"control\"]\n\
                 [run]\nblock_patients = 300\n[strata]\nnodes = [0]\n[uncertainty]\n\
                 design = \"sobol\"\npoints = 8\nhalf_years = 24\n[uncertainty.priors]\n\
                 local_treatment.residual_foci = { min = 0.05, max = 1.0, log = true }\n";
    fs::write(bench.path("points.toml"), trial).expect("room");
    bench.ok("run points.toml");
    let targets = "stratum,event,years,value,lower,upper,source\n\
                   all,local,5,0.2,0.05,0.4,here\nnodes 0,local,2.25,0.2,0.05,0.4,here\n\
                   nodes 0,local,15,0.2,0.05,0.4,here\n";
    fs::write(bench.path("targets.csv"), targets).expect("room");
    let patients = "years,event,nodes\n1.5,local,0\n6,none,0\n3,distant,2\n7,none,4\n";
    fs::write(bench.path("mine.csv"), patients).expect("room");
    let line = "--patients mine.csv --endpoint local --years 5";
    let found = bench
        .ok(&format!(
            "validate points.h5 --targets targets.csv {line} --json"
        ))
        .json();
    assert_eq!(found["points"], 8);
    let rows = found["targets"]["rows"].as_array().expect("rows");
    for row in &rows[..2] {
        let (lower, upper) = (&row["median_lower"], &row["median_upper"]);
        // Residual foci make local recurrences, and the points differ in them.
        assert!(within(number(&row["median"]), lower, upper), "{row}");
        assert!(within(number(&row["model"]), lower, upper), "{row}");
        assert!(number(upper) - number(lower) > 0.02, "{row}");
        assert!((0.0..1.0).contains(&number(&row["noise_share"])), "{row}");
    }
    // The trial of the point that agrees best, of whose patients alone that is said.
    let closest = found["targets"]["closest_points"]
        .as_array()
        .expect("points");
    assert_eq!(closest.len(), 8);
    let point = closest[0]["point"].as_u64().expect("a number");
    let shown = bench.ok(&format!("trial show points.toml --point {point}"));
    assert!(!shown.stdout.contains("[uncertainty]"), "{}", shown.stdout);
    fs::write(bench.path("closest.toml"), shown.stdout).expect("room");
    let first = format!("--first-patient {} --patients 300", point * 300);
    bench.ok(&format!("run closest.toml {first} --out closest.h5"));
    bench.ok(&format!("run points.toml {first} --out same.h5"));
    let incidences = |file: &str| {
        let line = format!("validate {file} --targets targets.csv --json");
        bench.ok(&line).json()["targets"]["rows"].clone()
    };
    let (there, here) = (incidences("same.h5"), incidences("closest.h5"));
    assert_eq!(there[0]["model"], here[0]["model"]);
    // Half-years are kept for twelve years alone.
    assert!(rows[2]["median"].is_null() && rows[2]["model"].is_number());
    let time = &found["cohort"]["times"][0];
    let (lower, upper) = (&time["predicted_lower"], &time["predicted_upper"]);
    assert!(within(number(&time["predicted"]), lower, upper), "{time}");

    bench.ok(&format!(
        "report points.h5 --cohort targets.csv {line} --figures figures"
    ));
    let page = fs::read_to_string(bench.path("points.html")).expect("a page");
    for says in [
        "<h2 id=\"validation\">Validation</h2>",
        "mine.csv: 4 patients",
        "Harrell&#39;s C (SE)",
        "over 8 points of the uncertain parameters",
        "median and 95 % of 8 points",
    ] {
        assert!(page.contains(says), "no {says}");
    }
    let list = fs::read_to_string(bench.path("figures/figures.csv")).expect("a list");
    for name in [
        "curves-all-patients",
        "curve-local-all",
        "calibration-local",
        "flow",
    ] {
        assert!(list.contains(name), "no {name} in {list}");
    }
    bench.fails("report points.h5 --endpoint local", 2, &["--patients"]);
}

#[test]
fn what_is_wrong_is_told() {
    let bench = bench();
    let fails = |text: &str, options: &str, says: &[&str]| {
        fs::write(bench.path("mine.csv"), text).expect("room");
        let line = format!("validate strata.h5 --patients mine.csv {options}");
        bench.fails(&line, 2, says);
    };
    let head = "years,event,nodes,size_mm\n";
    fails(
        &format!("{head}3,relapse,1,20\n"),
        "",
        &["error: cohort mine.csv, line 2, column event: `relapse` is no event"],
    );
    fails(
        "years,event,nodes\n3,none,1\n",
        "",
        &["there is no column size_mm", "size_mm, nodes"],
    );
    fails(
        &format!("{head}3,none,1,20\n3,none,,20\n4,none,2,NA\n"),
        "",
        &["nodes, size_mm missing in 2 lines (3, 4), of 3 patients"],
    );
    fails(
        &format!("{head}3,none,1,20\n"),
        "--years 4",
        &["by 4.00 years: the cohort was followed for 3.00 years and the trial for 20.00"],
    );
    fails(
        &format!("{head}3,local,1,20\n"),
        "--endpoint death",
        &[
            "`local` does not tell",
            "none, death, cancer_death, other_death",
        ],
    );
    fails(
        &format!("{head}3,none,1,20\n"),
        "--arm nobody",
        &["no arm `nobody`"],
    );
    let peak = "stratum,event,quantity,years,value,lower,upper,source\n\
                all,local,hazard_peak_years,5,1,0.5,2,here\n";
    fs::write(bench.path("peak.csv"), peak).expect("room");
    let says = ["cohort peak.csv, line 2", "nothing in the column years"];
    bench.fails("validate strata.h5 --targets peak.csv", 2, &says);
    bench.fails("validate strata.h5", 2, &["--patients", "--targets"]);
    bench.fails(
        "validate strata.h5 --patients absent.csv",
        4,
        &["absent.csv"],
    );
    bench.fails(
        "validate strata.toml --patients mine.csv",
        5,
        &["strata.toml"],
    );
    fs::create_dir(bench.path("full")).expect("room");
    fs::write(bench.path("full/mine.txt"), "my own").expect("room");
    fails(
        &format!("{head}3,none,1,20\n"),
        "--figures full",
        &["full is not empty", "--force"],
    );
}
