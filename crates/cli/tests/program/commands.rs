//! What the commands say, and how they end.

use std::fs;

use crate::bench::{Bench, Ended, RESEED};

#[test]
fn help_is_there_for_everything_and_documents_exit_codes() {
    let bench = Bench::new();
    let help = bench.ok("--help").stdout;
    for text in [
        "Exit codes:",
        "3   interrupted",
        "70  ",
        "reseed run breast",
    ] {
        assert!(help.contains(text), "{help}");
    }
    for command in [
        "run",
        "compare",
        "power",
        "trial",
        "patient",
        "verify",
        "extend",
        "merge",
        "digest",
        "keys",
        "completions",
    ] {
        assert!(
            help.contains(&format!("  {command}")),
            "{command} is missing in\n{help}"
        );
        let help = bench.ok(&format!("{command} --help")).stdout;
        assert!(help.contains("Usage: reseed"), "{help}");
    }
    assert!(bench.ok("--version").stdout.starts_with("reseed "));
}

#[test]
fn wrong_usage_is_2() {
    let bench = Bench::new();
    bench.fails("", 2, &["Usage"]);
    bench.fails("fly", 2, &["unrecognized subcommand"]);
    bench.fails("run small.toml --patients 0", 2, &["at least 1"]);
    bench.fails("run small.toml --threads 0", 2, &["1..=1024"]);
    bench.fails("verify a.h5 --fraction 2", 2, &["up to 1"]);
    bench.fails(
        "run small.toml --first-patient 18446744073709551615",
        2,
        &["patient indices end"],
    );
    bench.fails(
        "run small.toml --shard-patients 1 --patients 3_000_000",
        2,
        &["larger shards"],
    );
}

#[test]
fn trial_files_are_explained() {
    let bench = Bench::new();
    bench.fails(
        "run brest",
        2,
        &[
            "no preset and no file `brest`",
            "breast, colorectal, melanoma, breast-targets, colorectal-targets, melanoma-targets",
        ],
    );
    bench.fails(
        "run absent.toml",
        4,
        &["cannot read trial file absent.toml"],
    );
    fs::write(
        bench.path("bad.toml"),
        "base = \"breast\"\n[run]\npatiens = 5\n",
    )
    .expect("room");
    bench.fails(
        "trial check bad.toml",
        2,
        &["bad.toml:3:1", "patiens", "did you mean"],
    );
    let problems = bench.reseed("trial check bad.toml --json").json();
    assert_eq!(problems[0]["line"], 3);
    fs::write(bench.path("bytes.toml"), [0xff, 0xfe]).expect("room");
    bench.fails("trial check bytes.toml", 2, &["not UTF-8"]);
    fs::write(bench.path("long.toml"), vec![b' '; 2 << 20]).expect("room");
    bench.fails("trial check long.toml", 2, &["longer than"]);
    bench.ok("trial check small.toml");
    assert_eq!(
        bench.ok("trial check small.toml --json").json(),
        serde_json::json!([])
    );
}

#[test]
fn trials_are_shown_listed_and_described() {
    let bench = Bench::new();
    let shown = bench.ok("trial show small.toml").stdout;
    fs::write(bench.path("shown.toml"), &shown).expect("room");
    assert_eq!(bench.ok("trial show shown.toml").stdout, shown);
    bench.ok("run shown.toml --patients 100 --out a.h5");
    bench.ok("run small.toml --patients 100 --out b.h5");
    assert_eq!(bench.digest("a.h5"), bench.digest("b.h5"));
    assert!(
        bench
            .ok("trial show breast --source")
            .stdout
            .contains("[S]")
    );
    bench.fails("trial show small.toml --source", 2, &["not a preset"]);
    bench.fails(
        "trial show small.toml --point 0",
        2,
        &["no uncertain parameters"],
    );
    let listed = bench.ok("trial presets").stdout;
    assert_eq!(listed.lines().count(), 6, "{listed}");
    let listed = bench.ok("trial presets --json").json();
    assert_eq!(listed[0]["name"], "breast");
    let schema = bench.ok("trial schema").json();
    assert!(schema["properties"]["run"].is_object(), "{schema}");
}

#[test]
fn results_are_json_on_request() {
    let bench = Bench::new();
    let run = bench
        .ok("run small.toml --patients 500 --out a.h5 --json")
        .json();
    assert_eq!(run["patients_screened"], 500);
    assert_eq!(run["digest"], bench.digest("a.h5"));
    let extended = bench.ok("extend a.h5 --patients 700 --json").json();
    assert_eq!(extended["patients_simulated"], 200);
    let compared = bench.ok("compare a.h5 --json").json();
    assert_eq!(compared["digest"], bench.digest("a.h5"));
    let patient = bench.ok("patient a.h5 --index 3 --json").json();
    assert_eq!(patient["index"], 3);
    assert!(patient["timeline"].is_array());
}

#[test]
fn arms_are_compared() {
    let bench = Bench::new();
    bench.ok("run small.toml --patients 3000 --out a.h5");
    let text = bench.ok("compare a.h5").stdout;
    for told in ["small", "control", "siltuximab", "3,000", "seed       11"] {
        assert!(text.contains(told), "{told} is missing in\n{text}");
    }
    let rows = |line: &str| {
        let json = bench.ok(&format!("compare a.h5 --json {line}")).json();
        json["rows"].as_array().map_or(0, Vec::len)
    };
    let one = rows("--endpoint local --years 5");
    assert!(one >= 12, "a row for each of {one} arms");
    assert_eq!(rows("--endpoint local,rfs --years 2,5,10"), 6 * one);
    assert!(rows("--endpoint local --years 5 --by-stratum") >= 2 * one);
    bench.fails("compare a.h5 --years 99", 2, &["follow-up"]);
    bench.fails("compare a.h5 --endpoint fun", 2, &["local", "distant"]);
}

#[test]
fn quiet_says_nothing() {
    let bench = Bench::new();
    let ended = bench.ok("run small.toml --patients 100 --quiet");
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
}

#[test]
fn logs_go_to_stderr() {
    let bench = Bench::new();
    let ended = bench.ok("run small.toml --patients 100 --log info");
    assert!(
        ended.stderr.contains("committed a part"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
    bench.fails("run small.toml --log loud", 2, &["loud"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bench = Bench::new();
    let script = format!("{RESEED} trial show breast | head -n 1; exit ${{PIPESTATUS[0]}}");
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(bench.path("."))
        .output();
    let ended = Ended::of(output.expect("bash"));
    ended.check("trial show breast | head", 0, &[]);
    assert_eq!(ended.stderr, "");
}

#[test]
fn completions_know_the_commands() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.ok(&format!("completions {shell}")).stdout;
        assert!(
            script.contains("verify") && script.contains("first-patient"),
            "{shell}"
        );
    }
}

#[test]
fn patients_are_told() {
    let bench = Bench::new();
    bench.ok("run small.toml --patients 50");
    for index in 0..20 {
        let told = bench
            .ok(&format!("patient small.h5 --index {index}"))
            .stdout;
        assert!(
            told.starts_with(&format!("patient {index} of small, seed 11\n")),
            "{told}"
        );
        assert_eq!(
            told,
            bench
                .ok(&format!("patient small.toml --index {index}"))
                .stdout
        );
        let excluded = told.contains("not enrolled");
        assert!(excluded || told.contains("local treatment"), "{told}");
    }
    let one = bench
        .ok("patient small.h5 --index 2 --arm siltuximab --json")
        .json();
    assert_eq!(one["arms"].as_array().map(Vec::len), Some(1));
    bench.fails(
        "patient small.h5 --index 2 --arm placebo",
        2,
        &["no arm `placebo`", "control"],
    );
}

#[test]
fn missing_and_foreign_files_are_told() {
    let bench = Bench::new();
    for command in ["digest", "compare", "verify"] {
        bench.fails(&format!("{command} absent.h5"), 4, &["absent.h5"]);
        bench.fails(&format!("{command} small.toml"), 5, &["small.toml", "HDF5"]);
    }
    bench.fails("run small.toml --out absent/a.h5", 4, &["absent"]);
    bench.fails("run small.toml --out small.toml/a.h5", 4, &["small.toml"]);
}

#[test]
fn a_damaged_result_is_never_used() {
    let bench = Bench::new();
    bench.ok("run small.toml --patients 300 --out a.h5");
    let whole = fs::read(bench.path("a.h5")).expect("a result");
    for at in [9, whole.len() / 3, whole.len() / 2, whole.len() - 5] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(bench.path("a.h5"), &damaged).expect("room");
        bench.fails("digest a.h5", 5, &["a.h5 is damaged"]);
        bench.fails("verify a.h5", 6, &["a.h5 is damaged"]);
        bench.fails("extend a.h5 --patients 400", 5, &["a.h5 is damaged"]);
        bench.fails(
            "run small.toml --patients 300 --out a.h5",
            5,
            &["damaged", "--force"],
        );
    }
    fs::write(bench.path("a.h5"), &whole[..whole.len() / 2]).expect("room");
    bench.fails("compare a.h5", 5, &["a.h5 is damaged"]);
    bench.ok("run small.toml --patients 300 --out a.h5 --force");
    assert_eq!(
        fs::metadata(bench.path("a.h5")).expect("a result").len(),
        whole.len() as u64
    );
}
