//! Whatever the input, there is an answer, and soon.

use proptest::prelude::*;
use reseed_trial::{STRATA_MAX, Trial, preset_text};

/// Parses; an error must render, with its places inside the text.
fn survive(text: &str) {
    let Err(error) = Trial::parse("trial.toml", text) else {
        return;
    };
    assert!(!error.diagnostics().is_empty());
    let report = error.render(true);
    assert!(!report.is_empty());
    for problem in error.diagnostics() {
        assert!(problem.line >= 1 && problem.column >= 1);
        if problem.source_name == "trial.toml" {
            assert!(text.get(problem.span.clone()).is_some() || text.len() > 1 << 20);
        }
    }
}

#[track_caller]
fn refused(text: &str, message: &str) {
    let error = Trial::parse("trial.toml", text).expect_err("the trial is refused");
    let found = error
        .diagnostics()
        .iter()
        .any(|problem| problem.message == message);
    assert!(found, "{error}");
}

#[test]
fn a_file_has_a_limit() {
    let filler = "#".repeat(1 << 20);
    refused(
        &format!("base = \"breast\"\n{filler}"),
        "the trial file is too large",
    );
}

#[test]
fn arms_have_a_limit() {
    let arms = |count: usize| -> String {
        let new: Vec<String> = (0..count)
            .map(|arm| format!("arms.a{arm}.drugs = []"))
            .collect();
        format!("base = \"breast\"\n{}", new.join("\n"))
    };
    let trial = Trial::parse("trial.toml", &arms(1012)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(trial.scenario.arms.len(), 1024);
    refused(&arms(1013), "too many arms");
}

#[test]
fn drugs_have_a_limit() {
    let drugs: Vec<String> = (0..1024)
        .map(|drug| format!("drugs.a{drug}.like = \"siltuximab\""))
        .collect();
    refused(
        &format!("base = \"breast\"\n{}", drugs.join("\n")),
        "too many drugs",
    );
}

#[test]
fn drugs_of_an_arm_have_a_limit() {
    let names: Vec<String> = (0..65).map(|drug| format!("d{drug}")).collect();
    refused(
        &format!("base = \"breast\"\narms.new.drugs = {names:?}"),
        "`drugs` is too long",
    );
}

#[test]
fn lists_and_names_have_limits() {
    let many: Vec<u32> = (1..=65).collect();
    refused(
        &format!("base = \"breast\"\nstrata.age_years = {many:?}"),
        "`age_years` is too long",
    );
    let long = "x".repeat(65);
    refused(
        &format!("base = \"breast\"\nname = \"{long}\""),
        &format!("name `{}…` is not a name", "x".repeat(60)),
    );
    refused(
        &format!("base = \"breast\"\ntitle = \"{}\"", "x".repeat(201)),
        "`title` is not usable",
    );
    let visits: Vec<u32> = (1..=1201).collect();
    refused(
        &format!("base = \"breast\"\nfollow_up.visits_days = {visits:?}"),
        "`visits_days` is too long",
    );
    let runs = "{ first_day = 0, every_days = 1, doses = 1, dose_mg = 1 },".repeat(1025);
    refused(
        &format!("base = \"breast\"\ndrugs.siltuximab.schedule = [{runs}]"),
        "the schedule cannot be used",
    );
}

#[test]
fn strata_up_to_the_limit_are_accepted() {
    let ages: Vec<u32> = (1..64).collect();
    let text = format!(
        "base = \"breast\"\n[strata]\nage_years = {ages:?}\nnodes = []\nsize_mm = {ages:?}"
    );
    let trial = Trial::parse("trial.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(trial.strata.len(), STRATA_MAX);
}

#[test]
fn thousands_of_problems_are_counted() {
    let lines: Vec<String> = (0..20_000).map(|key| format!("key{key} = 1")).collect();
    let text = format!("base = \"breast\"\n{}", lines.join("\n"));
    let error = Trial::parse("trial.toml", &text).expect_err("the trial is wrong");
    assert_eq!(error.diagnostics().len(), 30);
    assert!(error.to_string().ends_with("and 19970 more problems"));
}

#[test]
fn deep_and_wide_files_are_answered() {
    survive(&"[".repeat(100_000));
    survive(&format!("x = {}", "[".repeat(100_000)));
    survive(&format!("x = {}{}", "[".repeat(60), "]".repeat(60)));
    survive(&"a.".repeat(200_000));
    survive(&format!("{} = 1", vec!["a"; 60].join(".")));
    survive(&format!(
        "base = \"breast\"\n\"{}\" = 1",
        "k".repeat(900_000)
    ));
    survive(&format!(
        "base = \"breast\"\nhoming.interaction = \"{}\"",
        "k".repeat(900_000)
    ));
    survive("\u{feff}base = \"breast\"");
    survive("base = \"breast\"\n\"\u{202e}\u{1b}[31m\" = 1");
    survive("base = \"breast\"\n[drugs.a]\nlike = \"a\"");
    survive("base = \"breast\"\n[drugs.siltuximab]\nlike = \"siltuximab-perioperative\"");
}

/// One change to the text of a preset.
#[derive(Debug, Clone)]
enum Change {
    Delete(usize, usize),
    Insert(usize, String),
    Swap(usize, usize),
}

fn changes() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
    let snippet = prop_oneof![
        ".{0,12}",
        "[0-9eE.+-]{1,8}",
        prop::sample::select(vec![
            "[",
            "]",
            "{",
            "}",
            "\"",
            "=",
            "\n",
            "nan",
            "inf",
            "-1",
            "1e999",
            "'''",
            "\\u0000",
            "true",
            "0x",
            "[arms.x]\n",
            "[[drugs]]\n",
            "like = \"siltuximab\"\n",
            "remove = true\n",
            "kind = \"direct\"\n",
            "é",
            "\u{0}",
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        (at.clone(), 1..40usize).prop_map(|(at, len)| Change::Delete(at, len)),
        (at.clone(), snippet).prop_map(|(at, text)| Change::Insert(at, text)),
        (at.clone(), at).prop_map(|(a, b)| Change::Swap(a, b)),
    ]
}

fn apply(text: &str, changes: &[Change]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for change in changes {
        let len = chars.len().max(1);
        match change {
            Change::Delete(at, count) => {
                let from = at % len;
                chars.drain(from..(from + count).min(chars.len()));
            }
            Change::Insert(at, text) => {
                let at = at % len;
                chars.splice(at..at, text.chars());
            }
            Change::Swap(a, b) => {
                if !chars.is_empty() {
                    chars.swap(a % len, b % len);
                }
            }
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        survive(&text);
    }

    #[test]
    fn any_bytes_that_are_text_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_damaged_preset_is_answered(changes in prop::collection::vec(changes(), 1..6)) {
        let text = preset_text("breast").expect("the preset exists");
        survive(&apply(text, &changes));
    }

    #[test]
    fn a_damaged_override_is_answered(changes in prop::collection::vec(changes(), 1..6)) {
        let text = "base = \"breast\"\n[drugs.new]\nlike = \"siltuximab\"\nschedule = [{ first_day = 0, \
            every_days = 21, until_day = 90, dose_mg = 3, cycle = { on_days = 3, of_days = 30 } }]\n\
            [arms.new]\ndrugs = [\"new\"]\n[follow_up]\nhorizon_years = 20\n\
            visits = [{ every_months = 6, until_years = 20 }]\n[strata]\nsize_mm = [20, 50]\n";
        survive(&apply(text, &changes));
    }
}
