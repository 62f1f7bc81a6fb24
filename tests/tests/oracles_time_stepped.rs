//! Oracle: the whole model in small time steps, each arm by itself.
//!
//! The most important one: every rule of sections 2 to 6 acts in some arm, and the two sides
//! share nothing but the description. Each arm of the engine is run alone here; that it is the
//! same among others is the business of the coupling oracle.

use reseed_model::scenario::{
    Action, Arm, Interaction, LocalTreatmentKind, Range, Scenario, SizeMeasure,
};
use reseed_tests::engine;
use reseed_tests::reference::generator;
use reseed_tests::reference::time_stepped::TimeStepped;
use reseed_tests::scenarios::{arm, eventful};
use reseed_tests::statistics::Agreement;
use reseed_tests::summary::Summary;

const DAYS: [f64; 4] = [60.0, 150.0, 400.0, 1500.0];

/// Simulates one arm by both means; the engine takes patients that no other arm takes, so that
/// the arms of a scenario can be pooled.
fn both(scenario: &Scenario, arm: usize, patients: [u64; 2], seed: u64) -> [Summary; 2] {
    let mut alone = scenario.clone();
    alone.arms = vec![scenario.arms[arm].clone()];
    alone.control = 0;
    let first = arm as u64 * patients[0];
    let found = engine::summary(&alone, seed, first..first + patients[0], 0);
    let steps = TimeStepped::new(scenario, &scenario.arms[arm], 1.0);
    let mut rng = generator(1_000 * seed + arm as u64);
    let reference = (0..patients[1]).map(|_| steps.simulate(&mut rng)).collect();
    [found, reference]
}

/// Compares every arm by itself, and all together where an error of a few per cent would show.
fn compare(scenario: &Scenario, patients: [u64; 2], seed: u64) {
    let mut agreement = Agreement::default();
    let mut pooled = [Summary::default(), Summary::default()];
    let mut untreated_before = pooled.clone();
    for (index, arm) in scenario.arms.iter().enumerate() {
        let pair = both(scenario, index, patients, seed);
        let [found, reference] = &pair;
        found.compare_courses(reference, &arm.name, &DAYS, &mut agreement);
        for (whole, part) in pooled.iter_mut().zip(&pair) {
            whole.absorb(part);
        }
        if !acts_before_resection(scenario, arm) {
            for (whole, part) in untreated_before.iter_mut().zip(&pair) {
                whole.absorb(part);
            }
        }
    }
    let [found, reference] = &pooled;
    found.compare_traits(reference, "all arms", &mut agreement);
    found.compare_seeded_share(reference, "all arms", &mut agreement);
    found.compare_courses(reference, "all arms", &DAYS, &mut agreement);
    // The engine reports the nodes of the untreated course, the reference those of its arm.
    let [found, reference] = &untreated_before;
    found.compare_tumours(reference, "before resection", &mut agreement);
    agreement.assert(60);
}

fn acts_before_resection(scenario: &Scenario, arm: &Arm) -> bool {
    arm.drugs
        .iter()
        .any(|&drug| match &scenario.drugs[drug].action {
            Action::Direct(direct) => direct.from_day < 0.0,
            Action::Dosed(dosed) => dosed.schedule.iter().any(|block| block.first_day < 0.0),
        })
}

#[test]
fn engine_agrees_with_time_steps_in_every_arm() {
    compare(&eventful(), [16_000, 8_000], 31);
}

/// No drug acts before resection here, so nodes are the same in all arms and can be a criterion.
#[test]
fn engine_agrees_with_time_steps_on_irradiated_selected_patients() {
    let mut scenario = eventful();
    scenario.homing.interaction = Interaction::And;
    scenario.local_treatment.kind = LocalTreatmentKind::Radiotherapy;
    scenario.local_treatment.residual_foci = 0.6;
    scenario.population.size_measure = SizeMeasure::Breslow { aspect: 4.0 };
    scenario.population.size_median_mm = 0.4;
    scenario.population.size_min_mm = 0.3;
    scenario.population.size_max_mm = 0.6;
    let eligibility = &mut scenario.eligibility;
    eligibility.age_years = Range {
        min: 45.0,
        max: 80.0,
    };
    eligibility.size_mm = Range {
        min: 0.32,
        max: f64::INFINITY,
    };
    eligibility.il6_ng_per_ml = Range {
        min: 1.0,
        max: f64::INFINITY,
    };
    eligibility.il8_ng_per_ml = Range {
        min: f64::NEG_INFINITY,
        max: 30.0,
    };
    eligibility.nodes = Range {
        min: f64::NEG_INFINITY,
        max: 3.0,
    };
    eligibility.ctc_positive = Some(false);
    scenario.arms = vec![
        arm("irradiated", false, &[]),
        arm("irradiated, IL6", true, &[0]),
    ];
    compare(&scenario, [40_000, 20_000], 32);
}

#[test]
fn engine_agrees_with_time_steps_when_metastases_feed_the_scar() {
    let mut scenario = eventful();
    scenario.homing.interaction = Interaction::Or;
    scenario.shedding.lung_filter = 1.0;
    scenario.shedding.home_probability = 2e-5;
    scenario.shedding.distant_probability = 1e-6;
    scenario.shedding.aggressive_fraction = 0.15;
    scenario.growth.colony_sigma = 0.6;
    scenario.detection.scar_cells = 5e5;
    scenario.detection.distant_cells = 1e7;
    scenario.dormancy.surgery_excess = 0.0;
    scenario.local_treatment.burst_fold = 0.0;
    scenario.local_treatment.delay_days = 40.0;
    scenario.arms = vec![
        arm("surgery", false, &[]),
        arm("radiotherapy, entry", true, &[2]),
        arm("IL8 and CXCL1", false, &[1, 3]),
    ];
    compare(&scenario, [20_000, 10_000], 33);
}
