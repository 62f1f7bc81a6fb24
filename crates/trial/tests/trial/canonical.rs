//! The canonical form and the fingerprint.

use proptest::prelude::*;
use reseed_stats::Endpoint;
use reseed_stats::group_sequential::Spending;
use reseed_trial::{Trial, VirtualTrials, preset_names};

#[track_caller]
fn parse(text: &str) -> Trial {
    Trial::parse("trial.toml", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn presets_come_back_from_their_canonical_form() {
    for name in preset_names() {
        let trial = Trial::preset(name).expect("the preset exists");
        let canonical = trial.canonical_toml();
        let again = parse(&canonical);
        assert_eq!(again, trial);
        assert_eq!(again.canonical_toml(), canonical);
        assert_eq!(parse(&trial.documented_toml()), trial);
    }
}

#[test]
fn every_documented_key_says_what_it_means() {
    let trial = Trial::preset("breast").expect("the preset exists");
    let text = trial.documented_toml();
    assert!(text.contains("# plateau K of the Gompertz curve (above 1e6 and at most 1e16 cells)\nplateau_cells = 3.1e12\n"));
    assert!(text.contains("# end of follow-up (from 30 to 36525 days; or `horizon_years` in years)\nhorizon_days = 7305.0\n"));
}

#[test]
fn size_precision_and_seed_of_a_run_are_not_the_trial() {
    let trial = Trial::preset("breast").expect("the preset exists");
    let longer = Trial {
        patients: 7,
        precision: Some(0.05),
        seed: 8,
        ..trial.clone()
    };
    assert_eq!(trial.fingerprint(), longer.fingerprint());
    assert_ne!(trial.canonical_toml(), longer.canonical_toml());
}

#[test]
fn patients_are_rounded_up_to_whole_blocks() {
    let trial = parse("base = \"breast\"\nrun = { patients = 2001, block_patients = 1000 }");
    assert_eq!(trial.block_patients, Some(1000));
    assert_eq!(trial.patients, 3000);
    assert_eq!(trial.whole_blocks(3000), 3000);
    let plain = Trial::preset("breast").expect("the preset exists");
    assert_eq!(plain.whole_blocks(2001), 2001);
}

#[test]
fn everything_else_is_the_trial() {
    let fingerprint = |text: &str| parse(&format!("base = \"breast\"\n{text}")).fingerprint();
    let all = [
        "",
        "title = \"another\"",
        "run.records = true",
        "run.colonies_max = 400",
        "run.block_patients = 1000",
        "run.block_patients = 2000",
        "strata.ctc = true",
        "compare.years = [5]",
        "virtual_trials.patients_per_arm = [10]",
        "virtual_trials.spending = \"pocock\"",
        "shedding.lung_filter = 0.2",
        "arms_only = [\"control\", \"siltuximab+bms-986253\"]",
        "arms.siltuximab.radiotherapy = true",
        "control = \"radiotherapy\"",
        "drugs.siltuximab.effects.IL6.hill = 2",
        "drugs.azd5069.molecule = \"other\"",
        "population.correlation.size_age = 0.1",
    ]
    .map(fingerprint);
    for (position, one) in all.iter().enumerate() {
        assert!(!all[..position].contains(one), "number {position}");
    }
}

#[test]
fn virtual_trials_come_back_from_their_canonical_form() {
    let trial = parse(
        r#"base = "breast"
[virtual_trials]
patients_per_arm = [60, 120]
allocation = 1.5
accrual_years = 1.5
looks = [0.5, 0.75]
events = [30, 60]
spending = "pocock"
endpoint = "rfs"
"#,
    );
    let plan = trial.virtual_trials.clone().expect("the table was given");
    assert_eq!(plan.looks, [0.5, 0.75, 1.0]);
    assert_eq!(trial.virtual_endpoint(), Endpoint::Rfs);
    let design = plan.design();
    assert_eq!(design.block, [2, 3]);
    assert_eq!(design.control_patients, [60, 120]);
    assert_eq!([0, 1].map(|size| design.patients(size)), [150, 300]);
    assert!((design.accrual_days - 1.5 * 365.25).abs() < 1e-9);
    assert_eq!(design.events, [30, 60]);
    assert_eq!(design.spending, Spending::Pocock);
    let canonical = trial.canonical_toml();
    assert_eq!(parse(&canonical), trial);
    assert_eq!(parse(&canonical).canonical_toml(), canonical);
    assert_eq!(parse(&trial.documented_toml()), trial);
    let shorter = Trial {
        patients: 7,
        ..trial.clone()
    };
    assert_eq!(shorter.fingerprint(), trial.fingerprint());
}

#[test]
fn an_empty_table_of_virtual_trials_has_the_defaults() {
    let trial = parse("base = \"breast\"\n[virtual_trials]");
    assert_eq!(trial.virtual_trials, Some(VirtualTrials::default()));
    assert_eq!(trial.block_patients, Some(20_000));
    assert_eq!(trial.virtual_endpoint(), trial.primary.endpoint);
    let without = Trial::preset("breast").expect("the preset exists");
    assert_eq!(without.virtual_trials, None);
    assert!(!without.canonical_toml().contains("virtual_trials"));
    assert_ne!(without.fingerprint(), trial.fingerprint());
}

#[test]
fn an_unused_drug_or_another_way_to_write_is_the_same_trial() {
    let same = [
        "drugs.sarilumab.central_l = 5",
        "[follow_up]\nhorizon_days = 7305",
        "[shedding]\nlung_filter = 1e-1",
        "[growth]\ncxcl1_boost = 0.20",
        "[population.correlation]\nsize_age = -0.0",
    ];
    let fingerprint = Trial::preset("breast")
        .expect("the preset exists")
        .fingerprint();
    for text in same {
        assert_eq!(
            parse(&format!("base = \"breast\"\n{text}")).fingerprint(),
            fingerprint,
            "{text}"
        );
    }
}

/// The fingerprint names stored runs: changing it by accident would orphan them.
#[test]
fn the_canonical_form_is_stable() {
    let trial = parse(
        "base = \"breast\"\narms_only = [\"control\", \"azd5069\", \"perioperative\"]\nstrata.nodes = []",
    );
    let canonical = trial.canonical_toml();
    let (scalars, rest) = canonical
        .split_once("\n[drugs.azd5069]\n")
        .expect("the drug is there");
    assert!(scalars.starts_with(
        "name = \"breast\"\n\
         title = \"Breast cancer: self-seeding after resection, five gene products blocked\"\n\
         control = \"control\"\n\n\
         [run]\npatients = 1000000\nseed = 1\nrecords = false\ncolonies_max = 2000\n\n\
         [population]\nsize_measure = \"diameter\"\nsize_median_mm = 21.6\n"
    ));
    assert_eq!(
        rest,
        "kind = \"dosed\"\n\
         molecule = \"azd5069\"\n\
         clearance_l_per_day = { median = 151.2, cv = 0.0 }\n\
         central_l = { median = 100.0, cv = 0.0 }\n\
         tissue_fraction = 1.0\n\
         schedule = [\n    { first_day = 0.0, every_days = 0.5, doses = 730, dose_mg = 45.0 },\n]\n\
         route = { kind = \"absorption\", rate_per_day = { median = 24.0, cv = 0.0 }, bioavailability = 1.0 }\n\
         \n[drugs.azd5069.effects]\n\
         IL8 = { imax = 1.0, ic50_mg_per_l = 0.013, hill = 1.0 }\n\
         CXCL1 = { imax = 1.0, ic50_mg_per_l = 0.013, hill = 1.0 }\n\
         \n[drugs.siltuximab-perioperative]\n\
         kind = \"dosed\"\n\
         molecule = \"siltuximab\"\n\
         clearance_l_per_day = { median = 0.214, cv = 0.4 }\n\
         central_l = { median = 3.66, cv = 0.42 }\n\
         tissue_fraction = 0.2\n\
         schedule = [\n    { first_day = -14.0, every_days = 21.0, doses = 3, dose_mg_per_kg = 11.0 },\n]\n\
         route = { kind = \"infusion\", days = 0.041666666666666664 }\n\
         peripheral = { volume_l = { median = 3.13, cv = 0.0 }, exchange_l_per_day = { median = 0.624, cv = 0.0 } }\n\
         \n[drugs.siltuximab-perioperative.effects]\n\
         IL6 = { imax = 1.0, ic50_mg_per_l = 0.005, hill = 1.0 }\n\
         \n[drugs.bms-986253-perioperative]\n\
         kind = \"dosed\"\n\
         molecule = \"bms-986253\"\n\
         clearance_l_per_day = { median = 0.25, cv = 0.35 }\n\
         central_l = { median = 6.5, cv = 0.0 }\n\
         tissue_fraction = 0.2\n\
         schedule = [\n    { first_day = -14.0, every_days = 14.0, doses = 4, dose_mg = 2400.0 },\n]\n\
         route = { kind = \"infusion\", days = 0.041666666666666664 }\n\
         \n[drugs.bms-986253-perioperative.effects]\n\
         IL8 = { imax = 1.0, ic50_mg_per_l = 0.5, hill = 1.0 }\n\
         \n[arms.control]\ndrugs = []\nradiotherapy = false\n\
         \n[arms.azd5069]\ndrugs = [\"azd5069\"]\nradiotherapy = false\n\
         \n[arms.perioperative]\n\
         drugs = [\"siltuximab-perioperative\", \"bms-986253-perioperative\"]\nradiotherapy = false\n"
    );
}

/// Lines that change one value, over the range of each kind of key.
fn overrides() -> impl Strategy<Value = String> {
    let fraction = 0.0..=1.0f64;
    let names = "[A-Za-z0-9_+.-]{1,20}";
    prop_oneof![
        fraction.clone().prop_map(|v| format!("shedding.lung_filter = {v:?}")),
        fraction.clone().prop_map(|v| format!("dormancy.probability = {v:e}")),
        (1e-9..0.9f64).prop_map(|v| format!("population.growth_median_per_day = {v:?}")),
        (0.5..1e5f64).prop_map(|v| format!("dormancy.waking_mean_days = {v:?}")),
        (1.0..1e4f64).prop_map(|v| format!("shedding.half_life_minutes = {v:?}")),
        (-0.4..0.4f64).prop_map(|v| format!("population.correlation.size_age = {v:?}")),
        (10.0..99.0f64).prop_map(|v| format!("follow_up.horizon_years = {v:?}")),
        (1..1_000_000u64).prop_map(|v| format!("run.patients = {v}")),
        any::<u64>().prop_map(|v| format!("run.seed = {v}")),
        (1e-9..=10.0f64).prop_map(|v| format!("run.precision = {v:?}")),
        (100..100_000u64).prop_map(|v| format!("run.block_patients = {v}")),
        any::<bool>().prop_map(|v| format!("run.records = {v}")),
        prop_oneof!["additive", "and", "or"].prop_map(|v| format!("homing.interaction = \"{v}\"")),
        names.prop_map(|v| format!("name = \"{v}\"")),
        "[^\"\\\\\\p{Cc}]{1,60}".prop_map(|v| format!("title = \"{v}\"")),
        prop::collection::btree_set(1..500u32, 0..6)
            .prop_map(|v| format!("strata.size_mm = {:?}", Vec::from_iter(v))),
        (0.0..50.0f64, 50.0..120.0f64)
            .prop_map(|(a, b)| format!("eligibility.age_years = {{ min = {a:?}, max = {b:?} }}")),
        (2.0..24.0f64).prop_map(|v| {
            format!("follow_up.visits = [{{ every_months = {v:?}, until_years = 130 }}]")
        }),
        (-30.0..300.0f64).prop_map(|v| format!("drugs.siltuximab.schedule.first_day = {v:?}")),
        (0.5..40.0f64).prop_map(|v| format!("drugs.bms-986253.schedule.every_days = {v:?}")),
        (0.01..3.0f64).prop_map(|v| format!("drugs.azd5069.central_l = {{ median = 9, cv = {v:?} }}")),
        (0.1..30.0f64, 0.0..30.0f64).prop_map(|(on, off)| {
            format!(
                "drugs.marimastat.schedule.cycle = {{ on_days = {on:?}, of_days = {:?} }}",
                on + off
            )
        }),
        (fraction, -30.0..0.0f64, names).prop_map(|(v, from, name)| {
            format!(
                "drugs.\"x{name}\" = {{ kind = \"direct\", from_day = {from:?}, inhibits = {{ IL6 = {v:?}, FSCN1 = 1 }} }}\n\
                 arms.\"x{name}\" = {{ drugs = [\"x{name}\"] }}"
            )
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a valid file says, its canonical form says the same.
    #[test]
    fn trials_come_back_from_their_canonical_form(lines in prop::collection::vec(overrides(), 0..5)) {
        let text = format!("base = \"breast\"\n{}\n", lines.join("\n"));
        // Lines may contradict each other, such as two that give one key: then it is an error.
        if let Ok(trial) = Trial::parse("trial.toml", &text) {
            let canonical = trial.canonical_toml();
            let again = Trial::parse("canonical", &canonical).map_err(|error| {
                TestCaseError::fail(format!("{error}\n{canonical}"))
            })?;
            prop_assert_eq!(&again, &trial);
            prop_assert_eq!(again.canonical_toml(), canonical);
            prop_assert_eq!(again.fingerprint(), trial.fingerprint());
        } else {
            prop_assert!(lines.len() > 1, "one line alone is valid: {}\n{}", text,
                Trial::parse("trial.toml", &text).unwrap_err());
        }
    }
}
