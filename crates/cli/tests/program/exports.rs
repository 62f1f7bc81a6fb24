//! What R and pandas make of exported tables.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::Bench;

const HELP: &str = "this test needs R with survival and Python with pandas: run it with \
                    deploy/with-tools --tests";

/// Survival of the arms at five years as R's survival package finds it in the patients.
const SURVIVAL: &str = r#"
suppressMessages(library(survival))
adtte <- subset(read.csv("adtte.csv"), PARAMCD == "RFS")
stopifnot(all(table(adtte$USUBJID) == length(unique(adtte$TRTP))), adtte$AGE > 0)
fit <- survfit(Surv(AVAL, CNSR == 0) ~ TRTPN, adtte)
cat(sprintf("%.15f", summary(fit, times = 5 * 365.25)$surv), sep = "\n")
"#;

/// Numbers of lines, of subjects and of competing events, and one estimate, as pandas reads them.
const PANDAS: &str = r#"
import pandas
adtte = pandas.read_csv("adtte.csv")
estimates = pandas.read_csv("estimates.csv").set_index(["stratum", "arm", "endpoint", "estimand"])
print(len(adtte), adtte.USUBJID.nunique(), (adtte.CNSR == 2).sum(), sep="\n")
print(repr(float(estimates.loc[("all", "siltuximab", "local", "hazard_ratio"), "upper"])))
"#;

fn run(bench: &Bench, program: &str, flag: &str, script: &str) -> Vec<f64> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python-tools");
    let set = env::var_os("PYTHONPATH").unwrap_or_default();
    let path = env::join_paths([own].into_iter().chain(env::split_paths(&set))).unwrap();
    let output = bench
        .program(program)
        .args([flag, script])
        .env("PYTHONPATH", path)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; {HELP}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}; {HELP}");
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers = text.lines().map(|line| line.trim().parse().expect(line));
    numbers.collect()
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-12
}

#[test]
fn exported_tables_are_what_the_result_says() {
    let bench = Bench::new();
    bench.ok("run small.toml --patients 2000 --records --out a.h5");
    bench.ok("export a.h5 --years 5 --estimates estimates.csv --records adtte.csv");
    let compared = bench.ok("compare a.h5 --years 5 --json").json();
    let rows = compared["rows"].as_array().unwrap();
    let of = |endpoint: &str, field: &str| -> Vec<f64> {
        let rows = rows.iter().filter(|row| row["endpoint"] == endpoint);
        rows.map(|row| row[field].as_f64().unwrap_or(f64::NAN))
            .collect()
    };

    let survival = run(&bench, "Rscript", "-e", SURVIVAL);
    let expected = of("rfs", "survival");
    assert_eq!(survival.len(), expected.len());
    for (found, expected) in survival.iter().zip(&expected) {
        assert!(close(*found, *expected), "{survival:?} is not {expected:?}");
    }

    let found = run(&bench, "python3", "-c", PANDAS);
    let enrolled = compared["patients_enrolled"].as_f64().unwrap();
    let arms = expected.len() as f64;
    assert!(
        close(found[0], 4.0 * arms * enrolled) && close(found[1], enrolled),
        "{found:?}"
    );
    assert!(found[2] > 0.0, "nothing competes: {found:?}");
    let position = rows.iter().position(|row| row["arm"] == "siltuximab");
    let upper = of("local", "hazard_ratio_upper")[position.unwrap()];
    assert!(close(found[3], upper), "{found:?} has not {upper}");
}

#[test]
fn exports_are_whole_or_not_there() {
    let bench = Bench::new();
    bench.ok("run small.toml --patients 200 --out a.h5");
    bench.fails("export a.h5", 2, &["--estimates", "--records"]);
    let said = ["no records", "--records"];
    bench.fails("export a.h5 --records adtte.csv", 2, &said);
    bench.fails("export a.h5 --estimates none/e.csv", 4, &["none"]);
    let csv = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "csv");
    let files = fs::read_dir(bench.path("")).unwrap();
    let left: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    assert!(!left.iter().any(csv), "{left:?}");

    bench.ok("export a.h5 --estimates e.csv --endpoint rfs --years 2");
    let text = fs::read_to_string(bench.path("e.csv")).unwrap();
    let compared = bench
        .ok("compare a.h5 --endpoint rfs --years 2 --json")
        .json();
    let arms = compared["rows"].as_array().map(Vec::len).unwrap();
    assert_eq!(text.matches(",survival,").count(), arms);
    assert!(matches!(compared["hazards"], Value::Array(ref hazards) if hazards.is_empty()));

    let again = "export a.h5 --estimates e.csv";
    bench.fails(again, 2, &["e.csv is there", "--force"]);
    bench.ok(&format!("{again} --force"));
    assert_ne!(fs::read_to_string(bench.path("e.csv")).unwrap(), text);
    let itself = "export a.h5 --estimates ./a.h5 --force";
    bench.fails(itself, 2, &["the result itself"]);
    let device = "export a.h5 --estimates /dev/null --force";
    bench.fails(device, 2, &["no file"]);
    bench.ok("digest a.h5");
}
