//! What `reseed credibility` puts together, for a trial small enough to count by hand.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use reseed_report::rank::{End, Influence, InfluenceRow, Interval, RankRow, RankTable};
use reseed_report::{
    Acceptance, Calibrated, CalibratedParameter, Calibration, Cohort, Context, Credibility,
    CredibilityCheck, CredibilityInput, Group, Level, Outcome, Patients, Predicted,
    PrimaryComparison, Ranked, Ranking, Recomputed, RecoveredParameter, SOURCE_TESTS,
    ValidateInput, Validation, Verdict, credibility, validate,
};
use reseed_results::{Layout, RunIdentity};
use reseed_stats::{
    Accumulator, ArmRecord, Cause, ENDPOINTS, Endpoint, Exit, ExitKind, Shape, Tally,
};

const EDGES_DAYS: [f64; 5] = [0.0, 456.5625, 913.125, 1369.6875, 1826.25];

const TRIAL: &str = "name = \"small\"\n[population]\nsize_median_mm = 20.0\n[homing]\n\
     scar_capture = 1.0\ninteraction = \"or\"\n[local_treatment]\nkind = \"surgery\"\n\
     [arms.\"a|b\"]\ndrugs = [\"a\", \"b\"]\n";

/// The same with another median size and a prior.
const CALIBRATED: &str = "name = \"priors\"\n[population]\nsize_median_mm = 22.0\n[homing]\n\
     scar_capture = 0.5\ninteraction = \"or\"\n[local_treatment]\nkind = \"surgery\"\n\
     [uncertainty.priors.homing]\nscar_capture = { min = 0.1, max = 3.0 }\n";

/// Reasons of exclusion.
const REASONS: [&str; 2] = ["metastatic", "saturated"];
const STRATA: [&str; 2] = ["nodes 0", "nodes 1+"];

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A patient with a local recurrence in a bin, or well.
fn record(bin: Option<u16>) -> ArmRecord {
    let exit = |kind, bin| Exit {
        kind,
        bin,
        ticks: 0,
    };
    let stays = exit(ExitKind::Censored, 3);
    let mut exits = [stays; ENDPOINTS];
    let Some(bin) = bin else {
        return ArmRecord {
            first: (Cause::Censored, 3),
            exits,
            origin: None,
        };
    };
    exits[Endpoint::Local as usize] = exit(ExitKind::Event, bin);
    exits[Endpoint::Distant as usize] = exit(ExitKind::Competing, bin);
    exits[Endpoint::Rfs as usize] = exit(ExitKind::Event, bin);
    ArmRecord {
        first: (Cause::LocalReseeded, bin),
        exits,
        origin: Some(2),
    }
}

/// Of 600 node-negative patients 60 recur, of 400 node-positive ones 160; the arm spares half.
/// Three are metastatic, one is saturated.
fn tally() -> Tally {
    let mut accumulator = Accumulator::new(Shape {
        strata: 2,
        arms: 2,
        control: 0,
        bins: 4,
        reasons: 2,
        histograms: Vec::new(),
    });
    for (stratum, patients, recur) in [(0, 600_u16, 60), (1, 400, 160)] {
        for patient in 0..patients {
            let bin = (patient < recur).then_some(patient % 4);
            let in_arm = bin.filter(|_| patient >= recur / 2);
            accumulator.enrol(stratum, &[], &record(bin), [(1, record(in_arm))]);
        }
    }
    for reason in [0, 0, 0, 1] {
        accumulator.exclude(reason);
    }
    accumulator.finish()
}

/// What a document is made from.
struct Bench {
    tally: Tally,
    layout: Layout,
    identity: RunIdentity,
    recomputed: Recomputed,
    context: Option<Context>,
    validation: Option<Validation>,
    calibrated: Option<Calibrated>,
    ranked: Option<Ranked>,
}

impl Bench {
    fn new() -> Self {
        let tally = tally();
        Self {
            layout: Layout {
                shape: tally.shape().clone(),
                arms: owned(&["control", "a|b"]),
                radiotherapy: vec![false, true],
                strata: owned(&STRATA),
                exclusions: owned(&REASONS),
                edges_days: EDGES_DAYS.to_vec(),
                histograms: Vec::new(),
            },
            identity: RunIdentity {
                trial_toml: TRIAL.to_owned(),
                fingerprint: [7; 32],
                seed: 5,
                engine_version: "0.1.0".to_owned(),
                model_version: "1".to_owned(),
            },
            recomputed: Recomputed::Agrees {
                shards: 1,
                of_shards: 3,
                patients: 400,
                fraction: 0.1,
            },
            context: None,
            validation: None,
            calibrated: None,
            ranked: None,
            tally,
        }
    }

    fn with_context(mut self, text: &str) -> Self {
        self.context = Some(Context::parse("mine.toml", text).expect("a context"));
        self
    }

    /// With these patients and published incidences.
    fn with_cohorts(mut self, patients: Option<&str>, targets: Option<&str>) -> Self {
        let enrolled = self.tally.enrolled();
        let patients = patients.map(|text| {
            let predicted = Predicted {
                covariates: &["nodes"],
                stratum: &|values| usize::from(values[0] > 0.0),
                labels: &self.layout.strata,
                enrolled,
            };
            Patients::parse("cohort.csv", text, Outcome::Rfs, &predicted).expect("patients")
        });
        let targets = targets.map(|rows| {
            let text = format!("stratum,event,years,value,lower,upper,source\n{rows}");
            Cohort::parse("targets.csv", &text).expect("a cohort")
        });
        let everybody = Group {
            kind: String::new(),
            label: "all patients".to_owned(),
            strata: vec![0, 1],
        };
        let found = validate(&ValidateInput {
            trial: "small",
            title: "",
            seed: 5,
            digest: "00ff",
            tally: &self.tally,
            arms: &self.layout.arms,
            arm: 0,
            strata: &self.layout.strata,
            edges_days: &EDGES_DAYS,
            groups: &[everybody],
            points: None,
            times_days: &[EDGES_DAYS[4]],
            patients: patients.as_ref(),
            targets: targets.as_ref(),
        });
        self.validation = Some(found.expect("times in reach"));
        self
    }

    fn document(&self) -> Credibility {
        credibility(&CredibilityInput {
            trial: "small",
            title: "A trial <to> count",
            file_name: "small.h5",
            identity: &self.identity,
            layout: &self.layout,
            tally: &self.tally,
            digest: "00ff",
            primary: PrimaryComparison {
                arm: 1,
                endpoint: Endpoint::Local,
                day: EDGES_DAYS[4],
            },
            software: &[("reseed", "0.1.0".to_owned()), ("commit", "abc".to_owned())],
            recomputed: &self.recomputed,
            context: self.context.as_ref(),
            validation: self.validation.as_ref(),
            calibration: self.calibrated.as_ref().map(|found| Calibration {
                file_name: "posterior.h5",
                found,
                trial_toml: CALIBRATED,
            }),
            ranking: self.ranked.as_ref().map(|ranked| Ranking {
                file_name: "targets.h5",
                ranked,
            }),
        })
        .expect("a document")
    }

    /// The check that asks this.
    fn check(&self, asks: &str) -> CredibilityCheck {
        let sections = self.document().sections.into_iter();
        let mut checks = sections.flat_map(|section| section.checks);
        let found = checks.find(|check| check.asked.contains(asks));
        found.unwrap_or_else(|| panic!("nothing asks {asks:?}"))
    }

    fn verdict(&self, asks: &str) -> Verdict {
        self.check(asks).verdict
    }
}

/// As many patients of each kind as in a tenth of the run, if `recur` of the node-negative do.
fn cohort(negative: usize, recur: usize) -> String {
    let mut text = "years,event,nodes\n".to_owned();
    for (nodes, patients, recur) in [(0, negative, recur), (2, 40, 16)] {
        for patient in 0..patients {
            let line = if patient < recur {
                format!("{},recurrence,{nodes}", 1.0 + (patient % 4) as f64)
            } else {
                format!("6,none,{nodes}")
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

fn calibrated(standing: &'static str, range: [f64; 2], recovery: Option<f64>) -> Calibrated {
    let key = "homing.scar_capture".to_owned();
    Calibrated {
        seed: 1,
        draws: 100,
        effective_draws: 90.0,
        parameters: vec![CalibratedParameter {
            key: key.clone(),
            best: 1.0,
            median: 1.1,
            lower: range[0],
            upper: range[1],
            prior_lower: 0.2,
            prior_upper: 2.9,
            contraction: 0.5,
            standing,
        }],
        waves: Vec::new(),
        targets: Vec::new(),
        recovery: recovery.map(|p| {
            vec![RecoveredParameter {
                key,
                cohorts: 200,
                p,
                coverage_90: 0.9,
            }]
        }),
    }
}

/// A ranking of one arm whose difference is in this range, over one parameter.
fn ranked(arm: &str, factor: &str, range: [f64; 2]) -> Ranked {
    let row = RankRow {
        arm: arm.to_owned(),
        best: Some(1.0),
        best_standard_error: Some(0.0),
        best_least: Some(0.9),
        best_most: Some(1.0),
        rank: Some(1.0),
        rank_standard_error: Some(0.0),
        rank_probabilities: vec![Some(1.0)],
        loss: Some(0.0),
        loss_standard_error: Some(0.0),
        difference: Some(-0.05),
        difference_standard_error: Some(0.01),
        difference_p5: Some(range[0]),
        difference_p95: Some(range[1]),
    };
    let table = |alternative: Option<&str>| RankTable {
        group: "All arms".to_owned(),
        switch: alternative.map(|_| "homing.interaction".to_owned()),
        alternative: alternative.map(str::to_owned),
        points: 64,
        undecided: Some(0.1),
        rows: vec![row.clone()],
    };
    let interval = Interval {
        value: Some(0.5),
        lower: Some(0.4),
        upper: Some(0.6),
    };
    let influence = Influence {
        arm: "control".to_owned(),
        mean: Some(0.2),
        measure: "rank_correlation",
        rows: vec![InfluenceRow {
            factor: factor.to_owned(),
            influence: interval,
            alone: None,
            spread: None,
            noise_floor: None,
            ends: vec![End {
                points: "lowest tenth".to_owned(),
                mean: Some(0.1),
                mean_standard_error: None,
            }],
        }],
    };
    Ranked {
        trial: "targets".to_owned(),
        title: String::new(),
        seed: 1,
        digest: "11ee".to_owned(),
        control: "control".to_owned(),
        endpoint: "local",
        time_days: EDGES_DAYS[4],
        time_years: 5.0,
        design: "sobol".to_owned(),
        points: 64,
        point_patients: 1000,
        factors: 1,
        rankings: vec![table(None), table(Some("and")), table(Some("or"))],
        influences: vec![influence],
    }
}

#[test]
fn what_nothing_was_given_for_is_called_so() {
    let bench = Bench::new();
    let document = bench.document();
    let verdicts: Vec<(&str, &str)> = (document.sections.iter())
        .map(|section| (section.name, section.verdict.words()))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("question_of_interest", "not stated"),
            ("context_of_use", "not stated"),
            ("model_risk", "not stated"),
            ("code_verification", "met"),
            ("calculation_verification", "not met"),
            ("validation", "not shown"),
            ("applicability", "not shown"),
            ("uncertainty", "not shown"),
        ]
    );
    for section in &document.sections[5..] {
        for check in &section.checks {
            assert_eq!(check.verdict, Verdict::NotShown, "{check:?}");
        }
    }
    assert_eq!(document.model_risk, None);
    let question = bench.check("Which question");
    assert!(
        question.found.contains(
            "does a|b change the incidence of “Local recurrence within 5 years” against control"
        ),
        "{question:?}"
    );
}

#[test]
fn a_run_that_computes_again_otherwise_is_not_met() {
    let mut bench = Bench::new();
    let asks = "bit for bit";
    assert_eq!(bench.verdict(asks), Verdict::Met);
    assert!(
        bench
            .check(asks)
            .found
            .starts_with("400 of 1,004 patients (1 of 3 shards")
    );
    bench.recomputed = Recomputed::Differs("patients 0..400 do not agree".to_owned());
    assert_eq!(bench.verdict(asks), Verdict::NotMet);
    assert_eq!(bench.check(asks).found, "Patients 0..400 do not agree.");
    bench.recomputed = Recomputed::Impossible("the model is another".to_owned());
    assert_eq!(bench.verdict(asks), Verdict::NotShown);
}

#[test]
fn precision_is_judged_by_what_was_asked() {
    let asks = "Monte Carlo";
    let with = |points: f64| {
        let text = format!("[acceptance]\nprecision_points = {points}\n");
        Bench::new().with_context(&text).check(asks)
    };
    assert_eq!(with(5.0).verdict, Verdict::Met);
    let check = with(0.2);
    assert_eq!(check.verdict, Verdict::NotMet);
    // 110 of 1,000 pairs differ, all one way: half of the width is 1.94 points.
    let told = "0.2 points need about 95,000 patients screened, and 1,004 were";
    assert!(check.found.contains(told), "{}", check.found);
    let alone = |share: f64| {
        let text = format!("[acceptance]\nsaturated_share = {share}\n");
        Bench::new()
            .with_context(&text)
            .verdict("outgrew the limit")
    };
    assert_eq!(alone(0.001), Verdict::Met, "1 of 1,004");
    assert_eq!(alone(0.0009), Verdict::NotMet);
}

#[test]
fn published_incidences_are_counted() {
    let rows = "all,local,5,0.2,0.1,0.3,here\nall,local,2.5,0.5,0.4,0.6,here\n";
    let asks = "those that were published";
    let bench = Bench::new().with_cohorts(None, Some(rows));
    assert_eq!(bench.verdict(asks), Verdict::NotMet);
    assert!(bench.check(asks).found.contains("Inside 1 of 2 intervals"));
    assert_eq!(bench.verdict("(O/E)"), Verdict::NotShown);
    let half = bench.with_context("[acceptance]\ntargets_inside = 0.5\n");
    assert_eq!(half.verdict(asks), Verdict::Met);
}

#[test]
fn cohorts_that_the_model_was_made_from_validate_nothing() {
    let rows = "all,local,5,0.2,0.1,0.3,here\n";
    let bench = || Bench::new().with_cohorts(None, Some(rows));
    let asks = "no part in choosing";
    let with = |text: &str| bench().with_context(text).verdict(asks);
    assert_eq!(bench().verdict(asks), Verdict::NotStated);
    assert_eq!(with("cohorts_independent = true\n"), Verdict::Stated);
    assert_eq!(with("cohorts_independent = false\n"), Verdict::NotMet);
}

#[test]
fn predictions_for_patients_are_judged_by_every_rule() {
    let rules = [
        "(O/E)",
        "(calibration slope)",
        "(Harrell's C)",
        "(Brier)",
        "composed as the cohort",
    ];
    let own = Bench::new().with_cohorts(Some(&cohort(60, 6)), None);
    for asks in rules {
        assert_eq!(own.verdict(asks), Verdict::Met, "{:?}", own.check(asks));
    }
    // Everybody without nodes recurs, and there are more of them.
    let other = Bench::new().with_cohorts(Some(&cohort(200, 200)), None);
    for asks in rules {
        assert_eq!(
            other.verdict(asks),
            Verdict::NotMet,
            "{:?}",
            other.check(asks)
        );
    }
    assert!(!own.document().to_html().is_empty());
    assert_eq!(own.document().to_html().matches("<figure>").count(), 4);
}

#[test]
fn parameters_are_those_of_the_calibration_or_not() {
    let with = |range: [f64; 2]| {
        let mut bench = Bench::new();
        bench.calibrated = Some(calibrated("partly", range, None));
        bench
    };
    let asks = "those that a calibration found";
    assert_eq!(with([0.5, 1.5]).verdict(asks), Verdict::Met);
    let outside = with([1.1, 1.5]);
    assert_eq!(outside.verdict(asks), Verdict::NotMet);
    assert_eq!(outside.check(asks).found, "Outside: homing.scar_capture.");
    // Draws are inside by their median, a prior is not.
    let mut draws = with([0.5, 1.5]);
    let uncertain =
        |prior: &str| format!("{TRIAL}[uncertainty.priors]\nhoming.scar_capture = {prior}\n");
    draws.identity.trial_toml = uncertain("{ draws = [0.1, 1.0, 9.0] }");
    assert_eq!(draws.verdict(asks), Verdict::Met);
    draws.identity.trial_toml = uncertain("{ min = 0.9, max = 1.1 }");
    assert_eq!(draws.verdict(asks), Verdict::NotMet);
    let asks = "rest of the model";
    assert_eq!(
        outside.check(asks).found,
        "Different: population.size_median_mm."
    );
    draws.identity.trial_toml = CALIBRATED.to_owned();
    assert_eq!(draws.verdict(asks), Verdict::Met);
}

#[test]
fn what_is_open_must_be_carried_and_the_answer_hold() {
    let mut bench = Bench::new();
    let [found, carried, holds] = [
        "find known parameters",
        "leave open",
        "Does the answer hold",
    ];
    bench.calibrated = Some(calibrated("untouched", [0.5, 1.5], None));
    assert_eq!(bench.verdict(found), Verdict::NotShown);
    assert_eq!(bench.verdict(carried), Verdict::NotShown);
    bench.ranked = Some(ranked("a|b", "homing.scar_capture", [-0.08, -0.02]));
    assert_eq!(bench.verdict(carried), Verdict::Met);
    assert_eq!(bench.verdict(holds), Verdict::Met);
    bench.ranked = Some(ranked("a|b", "homing.interaction", [-0.08, 0.01]));
    assert_eq!(bench.verdict(carried), Verdict::NotMet);
    assert_eq!(bench.verdict(holds), Verdict::NotMet);
    bench.ranked = Some(ranked("c", "homing.interaction", [-0.08, -0.01]));
    assert_eq!(bench.verdict(holds), Verdict::NotShown);
    assert!(bench.check(holds).found.contains("has no arm a|b"));
    bench.calibrated = Some(calibrated("fixed", [0.5, 1.5], Some(0.06)));
    assert_eq!(bench.verdict(carried), Verdict::Met, "nothing is open");
    bench.ranked = None;
    assert_eq!(bench.verdict(carried), Verdict::Met, "nothing is open");
    assert_eq!(bench.verdict(found), Verdict::Met);
    bench.calibrated = Some(calibrated("fixed", [0.5, 1.5], Some(0.04)));
    assert_eq!(bench.verdict(found), Verdict::NotMet);
}

/// Everything there may be.
fn whole() -> Bench {
    let context = "question = \"Does blocking both help?\"\ncontext_of_use = \"Choosing a target.\"\n\
         population = \"Women after resection.\"\ncohorts_independent = true\n[model_risk]\n\
         influence = \"medium\"\ninfluence_because = \"experiments follow\"\nconsequence = \"high\"\n\
         [acceptance]\nprecision_points = 2.0\n";
    let rows = "all,local,5,0.2,0.1,0.3,here\n";
    let mut bench = Bench::new()
        .with_context(context)
        .with_cohorts(Some(&cohort(60, 6)), Some(rows));
    bench.calibrated = Some(calibrated("partly", [0.5, 1.5], Some(0.4)));
    bench.ranked = Some(ranked("a|b", "homing.scar_capture", [-0.08, -0.02]));
    bench
}

#[test]
fn text_of_a_document() {
    insta::assert_snapshot!(whole().document().to_markdown());
}

#[test]
fn a_page_needs_no_other_and_escapes_what_it_shows() {
    let html = whole().document().to_html();
    assert!(html.contains("<h1>Credibility: A trial &#60;to&#62; count</h1>"));
    assert!(html.contains("<meta name=\"generator\" content=\"reseed credibility\">"));
    for other in ["<link rel=\"stylesheet\"", "<script", "src=", "@import"] {
        assert!(!html.contains(other), "{other}");
    }
    let numbered: Vec<usize> = (1..=8)
        .map(|number| html.matches(&format!("\">{number}. ")).count())
        .collect();
    assert_eq!(numbered, [2; 8], "in the list and as a heading");
}

#[test]
fn numbers_are_in_the_json() {
    let json = serde_json::to_value(whole().document()).expect("JSON");
    assert_eq!(json["model_risk"], "high");
    assert_eq!(json["sections"][3]["verdict"], "met");
    assert_eq!(json["comparison"]["rows"][1]["arm"], "a|b");
    assert_eq!(json["validation"]["targets"]["inside"], 1);
    assert_eq!(json["calibration"]["draws"], 100);
    assert_eq!(json["ranking"]["points"], 64);
}

#[test]
fn the_example_of_the_documents_has_every_key_and_the_defaults() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/credibility/breast.toml");
    let text = fs::read_to_string(example).expect("an example");
    let context = Context::parse("breast.toml", &text).expect("a context");
    assert_eq!(context.acceptance, Acceptance::default());
    let risk = &context.model_risk;
    assert_eq!(risk.risk(), Some(Level::Low));
    assert!(risk.influence_because.is_some() && risk.consequence_because.is_some());
    assert!(context.question.is_some() && context.context_of_use.is_some());
    assert!(context.population.is_some() && context.cohorts_independent.is_some());
}

/// The document's list of tests is that of the source.
#[test]
fn tests_of_the_source_are_all_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let documented = fs::read_to_string(root.join("docs/oracles.md")).expect("a document");
    let of = |package: &str| {
        let tests = SOURCE_TESTS.iter().filter(|test| test.package == package);
        tests.map(|test| test.name).collect::<Vec<_>>()
    };
    let told: BTreeSet<String> = of("reseed-tests").into_iter().map(str::to_owned).collect();
    let files = fs::read_dir(root.join("tests/tests")).expect("a folder");
    let stems = files.filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let oracles: BTreeSet<String> = stems.filter(|stem| stem.starts_with("oracles_")).collect();
    assert_eq!(told, oracles);
    for name in &told {
        assert!(documented.contains(&format!("| `{name}` |")), "{name}");
    }
    for (package, folder) in [("reseed-model", "model"), ("reseed-stats", "stats")] {
        for name in of(package) {
            let file = root.join(format!("crates/{folder}/tests/{name}.rs"));
            assert!(file.is_file(), "{}", file.display());
        }
    }
}
