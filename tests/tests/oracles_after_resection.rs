//! Oracle: what colonies shed after resection, all generations, against the integral equation of
//! the branching process. Patients are alike and many, so that a per cent or two shows.
//!
//! What is compared is the time to the first recurrence of either kind: nothing censors it, and
//! every colony counts until it is detected itself.

use reseed_model::scenario::{Action, Direct, Drug, Scenario};
use reseed_tests::engine;
use reseed_tests::reference::branching::Branching;
use reseed_tests::scenarios::{arm, quiet, set_size_cells};
use reseed_tests::statistics::Agreement;

/// Attraction of a bed in which only IL-6 of the fast wound attracts, times ρ.
fn wound(scenario: &Scenario) -> impl Fn(f64) -> f64 {
    let homing = &scenario.homing;
    let fast = homing.il6.bed_fast_ng_per_ml / homing.il6.ec50_ng_per_ml;
    let (lasting, days) = (homing.base, homing.wound_fast_days);
    let (weight, capture) = (homing.il6.weight, homing.scar_capture);
    move |day: f64| {
        let free = fast * (-day / days).exp();
        capture * (lasting + weight * free / (1.0 + free))
    }
}

/// A tumour of this many cells, and a wound whose attraction falls off in weeks.
fn wounded(size_cells: f64) -> Scenario {
    let mut scenario = quiet();
    set_size_cells(&mut scenario, size_cells);
    let homing = &mut scenario.homing;
    homing.base = 0.05;
    homing.il6.weight = 0.95;
    homing.il8.weight = 0.0;
    homing.il6.bed_lasting_ng_per_ml = 0.0;
    homing.il6.bed_fast_ng_per_ml = 1.5;
    homing.wound_fast_days = 10.0;
    homing.scar_capture = 0.8;
    scenario
}

/// One comparison: patients of the engine, and the grid of the integral equation.
struct Comparison<'a> {
    size_cells: f64,
    seed: u64,
    patients: u64,
    days: &'a [f64],
    step_days: f64,
    /// Growth of colonies founded by homing in every arm, over β.
    boosted: &'a [f64],
}

impl Comparison<'_> {
    fn check(&self, scenario: &mut Scenario) {
        let days = self.days;
        // Follow-up ends on the last day, so the engine may leave out what comes too late.
        scenario.follow_up.horizon_days = *days.last().expect("there are days");
        let mut enrolled = 0;
        let mut free = vec![vec![0; days.len()]; self.boosted.len()];
        engine::for_each(scenario, self.seed, 0..self.patients, |patient| {
            enrolled += u64::from(patient.exclusion.is_none());
            for (course, free) in patient.courses.iter().zip(&mut free) {
                let first = course.local_days.min(course.distant_days);
                for (free, &day) in free.iter_mut().zip(days) {
                    *free += u64::from(first > day);
                }
            }
        });
        let mut agreement = Agreement::default();
        for ((arm, &boosted), free) in scenario.arms.iter().zip(self.boosted).zip(&free) {
            let capture = wound(scenario);
            let law = Branching::new(scenario, self.size_cells, capture, boosted, self.step_days);
            for ((&day, &free), exact) in days.iter().zip(free).zip(law.recurrence_free(days)) {
                let label = format!("{}: free by {day}", arm.name);
                agreement.proportion(&label, free, enrolled, exact);
            }
        }
        agreement.assert(days.len() * self.boosted.len());
    }
}

/// Metastases feed the scar: nothing else comes through the lung.
fn metastatic() -> Scenario {
    let mut scenario = wounded(1e7);
    scenario.shedding.lung_filter = 1e-9;
    scenario.shedding.distant_probability = 4e-7;
    scenario.shedding.home_probability = 1e-4;
    scenario.detection.scar_cells = 1e4;
    scenario.detection.distant_cells = 1e9;
    scenario
}

#[test]
fn metastases_seed_the_scar_by_the_integral_equation() {
    let comparison = Comparison {
        size_cells: 1e7,
        seed: 71,
        patients: 600_000,
        days: &[45.0, 50.0, 60.0],
        step_days: 0.5,
        boosted: &[1.0],
    };
    comparison.check(&mut metastatic());
}

#[test]
fn metastases_seed_the_scar_with_many_founders_each() {
    let mut scenario = metastatic();
    scenario.shedding.distant_probability = 1.5e-7;
    scenario.shedding.home_probability = 3e-3;
    let comparison = Comparison {
        size_cells: 1e7,
        seed: 72,
        patients: 300_000,
        days: &[40.0, 45.0],
        step_days: 0.5,
        boosted: &[1.0],
    };
    comparison.check(&mut scenario);
}

#[test]
fn metastases_that_differ_in_growth_seed_the_scar() {
    let mut scenario = metastatic();
    scenario.growth.colony_sigma = 0.5;
    scenario.growth.distant_ratio = 0.8;
    scenario.shedding.home_probability = 2e-4;
    scenario.detection.distant_cells = 3e7;
    let comparison = Comparison {
        size_cells: 1e7,
        seed: 73,
        patients: 400_000,
        days: &[15.0, 25.0, 40.0],
        step_days: 0.5,
        boosted: &[1.0],
    };
    comparison.check(&mut scenario);
}

/// Reseeded colonies grow large unseen, and what they found at a distance is seen early: so the
/// founders shed while a drug holds a colony back count, also after the day on which it would
/// have been detected without the drug.
#[test]
fn reseeded_colonies_held_back_by_a_drug_shed_on() {
    let mut scenario = wounded(1e5);
    let hold = |name: &str, inhibition: f64| Drug {
        name: name.to_owned(),
        action: Action::Direct(Direct {
            inhibition: [0.0, 0.0, 0.0, 0.0, inhibition],
            from_day: -20.0,
            until_day: f64::INFINITY,
        }),
    };
    scenario.drugs = vec![hold("half", 0.5), hold("full", 1.0)];
    scenario.arms = vec![
        arm("control", false, &[]),
        arm("half", false, &[0]),
        arm("full", false, &[1]),
    ];
    scenario.growth.cxcl1_boost = 1.0;
    scenario.growth.distant_ratio = 3.0;
    scenario.shedding.lung_filter = 0.2;
    scenario.shedding.distant_probability = 1e-8;
    scenario.shedding.home_probability = 5e-6;
    scenario.local_treatment.burst_fold = 200.0;
    scenario.local_treatment.burst_days = 4.0;
    scenario.local_treatment.residual_foci = 0.3;
    scenario.detection.scar_cells = 1e8;
    scenario.detection.distant_cells = 1e3;
    let comparison = Comparison {
        size_cells: 1e5,
        seed: 74,
        patients: 100_000,
        days: &[60.0, 75.0, 90.0, 110.0, 130.0],
        step_days: 0.5,
        boosted: &[2.0, 1.5, 1.0],
    };
    comparison.check(&mut scenario);
}
