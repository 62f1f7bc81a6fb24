//! A short file over a base.

use reseed_model::scenario::{Action, Gene, LocalTreatmentKind, Range, Route};
use reseed_stats::Endpoint;
use reseed_trial::Trial;

#[track_caller]
fn parse(text: &str) -> Trial {
    Trial::parse("trial.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn breast(text: &str) -> Trial {
    parse(&format!("base = \"breast\"\n{text}"))
}

#[test]
fn a_base_alone_is_the_preset() {
    assert_eq!(Some(breast("")), Trial::preset("breast"));
}

#[test]
fn one_key_changes_one_value() {
    let mut expected = Trial::preset("breast").expect("the preset exists");
    expected.scenario.shedding.lung_filter = 1e-4;
    expected.name = "filter".into();
    assert_eq!(
        breast("name = \"filter\"\nshedding.lung_filter = 1e-4"),
        expected
    );
}

#[test]
fn another_unit_replaces_the_inherited_one() {
    let trial = breast(
        "[shedding]\nhalf_life_days = 0.05\n[follow_up]\nhorizon_days = 3652.5\n\
         [dormancy]\nwaking_per_day = 0\n[compare]\nmonths = [6, 12]\nprimary.months = 12",
    );
    assert_eq!(trial.scenario.shedding.half_life_days, 0.05);
    assert_eq!(trial.scenario.follow_up.horizon_days, 3652.5);
    assert_eq!(trial.scenario.dormancy.waking_per_day, 0.0);
    assert_eq!(trial.compare_days, [182.625, 365.25]);
    assert_eq!(trial.primary.day, 365.25);
}

#[test]
fn a_dose_by_weight_replaces_a_fixed_one_and_an_end_a_number_of_doses() {
    let trial = breast(
        "arms_only = [\"control\", \"siltuximab\"]\n\
         [drugs.siltuximab.schedule]\ndose_mg = 800\ndoses = 4\n\
         [drugs.siltuximab.route]\ndays = 0.5",
    );
    let Action::Dosed(dosed) = &trial.scenario.drugs[0].action else {
        panic!("siltuximab is dosed");
    };
    assert_eq!(dosed.schedule[0].doses, 4);
    assert_eq!(dosed.route, Route::Infusion { days: 0.5 });
}

#[test]
fn a_drug_of_another_kind_replaces_the_inherited_one() {
    let trial = breast(
        "arms_only = [\"control\", \"azd5069\"]\n\
         [drugs.azd5069]\nkind = \"direct\"\nfrom_day = -10\nuntil_years = 1\n\
         inhibits = { IL8 = 0.9, CXCL1 = 0.8 }\n\
         [drugs.siltuximab]\nroute = { kind = \"bolus\" }",
    );
    assert_eq!(trial.drug_keys, ["azd5069"]);
    let Action::Direct(direct) = &trial.scenario.drugs[0].action else {
        panic!("it is direct now");
    };
    assert_eq!(direct.inhibition[Gene::Il8.index()], 0.9);
    assert_eq!(direct.inhibition[Gene::Cxcl1.index()], 0.8);
    assert_eq!(direct.inhibition[Gene::Il6.index()], 0.0);
    assert_eq!((direct.from_day, direct.until_day), (-10.0, 365.25));
}

#[test]
fn a_direct_drug_without_an_end_never_ends() {
    let trial = breast(
        "[drugs.wall]\nkind = \"direct\"\nfrom_day = 0\ninhibits = { MMP1 = 1 }\n\
         [arms.wall]\ndrugs = [\"wall\"]",
    );
    let Some(Action::Direct(direct)) = trial.scenario.drugs.last().map(|drug| &drug.action) else {
        panic!("the last drug is the new one");
    };
    assert_eq!(direct.until_day, f64::INFINITY);
    assert_eq!(
        trial.scenario.arms.last().map(|arm| arm.name.as_str()),
        Some("wall")
    );
    assert_eq!(trial, parse(&trial.canonical_toml()));
}

#[test]
fn arms_merge_by_name_and_new_ones_follow() {
    let trial = breast(
        "[arms.siltuximab]\nradiotherapy = true\n[arms.tocilizumab]\nremove = true\n\
         [arms.extra]\ndrugs = [\"navarixin\"]",
    );
    let silt = &trial.scenario.arms[trial.arm("siltuximab").expect("the arm is kept")];
    assert!(silt.radiotherapy);
    assert_eq!(silt.drugs.len(), 1);
    assert_eq!(trial.arm("tocilizumab"), None);
    assert_eq!(trial.arm("extra"), Some(trial.scenario.arms.len() - 1));
    assert!(!trial.drug_keys.iter().any(|key| key == "tocilizumab"));
}

#[test]
fn arms_only_keeps_the_order_of_the_file_and_what_the_arms_need() {
    let trial = breast("arms_only = [\"azd5069\", \"control\"]");
    let names: Vec<&str> = trial
        .scenario
        .arms
        .iter()
        .map(|arm| arm.name.as_str())
        .collect();
    assert_eq!(names, ["control", "azd5069"]);
    assert_eq!(trial.drug_keys, ["azd5069"]);
    assert_eq!(trial.scenario.arms[1].drugs, [0]);
    // The base's primary arm is gone: the first that is not the control takes its place.
    assert_eq!(trial.primary.arm, 1);
    assert_eq!(breast("arms_only = [\"control\"]").primary.arm, 0);
}

#[test]
fn another_control_and_primary_comparison() {
    let trial = breast(
        "control = \"radiotherapy\"\n[compare]\n\
         primary = { arm = \"control\", endpoint = \"rfs\", years = 10 }",
    );
    assert_eq!(trial.scenario.control, 9);
    assert_eq!(trial.primary.arm, 0);
    assert_eq!(trial.primary.endpoint, Endpoint::Rfs);
    assert_eq!(trial.primary.day, 3652.5);
    assert_eq!(trial.shape().control, 9);
}

#[test]
fn a_cycle_becomes_one_run_per_cycle() {
    let trial = breast(
        "arms_only = [\"control\", \"reparixin\"]\n[arms.reparixin]\ndrugs = [\"reparixin\"]",
    );
    let Action::Dosed(dosed) = &trial.scenario.drugs[0].action else {
        panic!("reparixin is dosed");
    };
    assert_eq!(dosed.schedule.len(), 14);
    for (cycle, block) in dosed.schedule.iter().enumerate() {
        assert_eq!(block.first_day, 28.0 * cycle as f64);
        assert_eq!(block.interval_days, 1.0 / 3.0);
        // The 14th cycle starts on day 364 and ends on day 365.
        assert_eq!(block.doses, if cycle == 13 { 3 } else { 63 });
    }
}

#[test]
fn a_schedule_may_be_a_list_of_runs() {
    let trial = breast(
        "arms_only = [\"control\", \"new\"]\n[arms.new]\ndrugs = [\"loaded\"]\n\
         [drugs.loaded]\nlike = \"siltuximab\"\nschedule = [\n\
         { first_day = -20, every_days = 1, doses = 1, dose_mg = 1000 },\n\
         { first_day = 0, every_days = 21, until_years = 1, dose_mg_per_kg = 11 },\n]",
    );
    let Action::Dosed(dosed) = &trial.scenario.drugs[0].action else {
        panic!("siltuximab is dosed");
    };
    assert_eq!(dosed.schedule.len(), 2);
    assert_eq!(trial.scenario.drugs[0].name, "siltuximab");
    assert_eq!(trial.drug_keys, ["loaded"]);
}

#[test]
fn visits_expand_run_after_run() {
    let trial = breast(
        "[follow_up]\nvisits = [{ every_months = 6, until_years = 2 }, { every_months = 12, until_years = 20 }]",
    );
    let visits = &trial.scenario.follow_up.visits_days;
    assert_eq!(visits.len(), 4 + 18);
    assert_eq!(visits[..5], [182.625, 365.25, 547.875, 730.5, 1095.75]);
    assert_eq!(visits.last(), Some(&7305.0));
}

#[test]
fn eligibility_leaves_open_what_is_not_given() {
    let trial =
        breast("[eligibility]\nage_years = { max = 70 }\nnodes = { min = 1 }\nctc = \"positive\"");
    let eligibility = &trial.scenario.eligibility;
    let expected = Range {
        min: f64::NEG_INFINITY,
        max: 70.0,
    };
    assert_eq!(eligibility.age_years, expected);
    assert_eq!(eligibility.nodes.min, 1.0);
    assert_eq!(eligibility.size_mm, Range::ALL);
    assert_eq!(eligibility.ctc_positive, Some(true));
    assert_eq!(trial, parse(&trial.canonical_toml()));
}

#[test]
fn radiotherapy_as_the_local_treatment() {
    let trial =
        breast("[local_treatment]\nkind = \"radiotherapy\"\n[arms.radiotherapy]\nremove = true");
    assert_eq!(
        trial.scenario.local_treatment.kind,
        LocalTreatmentKind::Radiotherapy
    );
    // Changing the kind keeps what is inherited, unlike a drug's.
    assert_eq!(trial.scenario.local_treatment.delay_days, 30.0);
}

#[test]
fn a_million_may_be_written_as_a_power_of_ten_and_a_seed_is_64_bits() {
    let trial = breast("[run]\npatients = 1e7\nseed = 18446744073709551615");
    assert_eq!(trial.patients, 10_000_000);
    assert_eq!(trial.seed, u64::MAX);
    assert_eq!(trial, parse(&trial.canonical_toml()));
}

#[test]
fn weights_need_not_add_up_to_the_last_bit() {
    let trial = breast("[homing]\nbase_weight = 0.1\nil6.weight = 0.7\nil8.weight = 0.2");
    assert_eq!(trial.scenario.homing.il6.weight, 0.7);
}

#[test]
fn two_covariates_make_strata() {
    let trial = breast("[strata]\nsize_mm = [20, 50]\nctc = true");
    assert_eq!(trial.strata.len(), 18);
    assert_eq!(trial.shape().strata, 18);
    assert_eq!(
        trial.strata.labels()[17],
        "size >50 mm, nodes 4+, ctc positive"
    );
}
