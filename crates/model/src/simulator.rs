//! Patients, one at a time.

use std::ops::Range;

use crate::forest::{Ending, Forest, Setting, Workspace};
use crate::patient::{Course, Exclusion, Patient, PatientIndex};
use crate::person::{Person, cholesky};
use crate::random::Stream;
use crate::scenario::Scenario;
use crate::therapy::{ARMS_A_PASS, Courses, Therapies};
use crate::trace::TraceEvent;

/// Simulates patients of a scenario. One per thread; making one is cheap.
///
/// A patient is a function of scenario, seed and index alone, and the patient's course in an arm
/// does not depend on the other arms (section 8, promises 1 and 2).
#[derive(Debug, Clone)]
pub struct Simulator {
    setting: Setting,
    passes: Vec<(Range<usize>, Therapies)>,
    stream: Stream,
    work: Workspace,
    drugs: Courses,
    patient: Patient,
}

impl Simulator {
    /// Prepares a scenario with a run's seed.
    ///
    /// # Panics
    /// If the correlation matrix is not positive definite, or there is no arm.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        assert!(!scenario.arms.is_empty(), "a scenario has at least one arm");
        let factor = cholesky(&scenario.population.correlation)
            .expect("the correlation matrix is positive definite");
        let arms = scenario.arms.len();
        let passes = (0..arms)
            .step_by(ARMS_A_PASS)
            .map(|first| first..arms.min(first + ARMS_A_PASS))
            .map(|range| (range.clone(), Therapies::new(scenario, range)))
            .collect();
        Self {
            drugs: Courses::new(scenario),
            setting: Setting::new(scenario.clone(), &factor),
            passes,
            stream: Stream::new(seed),
            work: Workspace::default(),
            patient: Patient {
                index: PatientIndex(0),
                covariates: crate::patient::Covariates::default(),
                tumour: crate::patient::Tumour::default(),
                exclusion: None,
                courses: Vec::with_capacity(arms),
                other_death_days: f64::INFINITY,
                dropout_days: f64::INFINITY,
                cancer_lag_days: f64::INFINITY,
            },
        }
    }

    /// Simulates one patient in every arm.
    pub fn simulate(&mut self, index: PatientIndex) -> &Patient {
        let person = self.screen(index);
        if self.patient.exclusion.is_none() {
            for pass in 0..self.passes.len() {
                self.patient.exclusion = self.live(&person, pass);
                if self.patient.exclusion.is_some() {
                    self.patient.courses.clear();
                    break;
                }
            }
        }
        &self.patient
    }

    /// Simulates one patient and tells what happened in the pass that holds an arm. Returns the
    /// arms of that pass, to which the bits of the events refer.
    pub fn trace(&mut self, index: PatientIndex, arm: usize) -> (Range<usize>, Vec<TraceEvent>) {
        let person = self.screen(index);
        let mut events = Vec::new();
        let (arms, therapies) = &self.passes[arm / ARMS_A_PASS];
        if self.patient.exclusion.is_none() {
            Forest::new(
                &self.setting,
                therapies,
                &mut self.stream,
                &mut self.work,
                &mut self.drugs,
                person,
            )
            .traced(&mut events)
            .run();
        }
        (arms.clone(), events)
    }

    /// Draws the patient and applies the criteria that need no simulation.
    fn screen(&mut self, index: PatientIndex) -> Person {
        let scenario = &self.setting.scenario;
        let person = Person::draw(scenario, &self.setting.factor, &mut self.stream, index);
        let patient = &mut self.patient;
        patient.index = index;
        patient.covariates = person.covariates;
        patient.tumour = crate::patient::Tumour::default();
        patient.exclusion = person.excluded(&scenario.eligibility);
        patient.courses.clear();
        patient.other_death_days = person.other_death_days;
        patient.dropout_days = person.dropout_days;
        patient.cancer_lag_days = person.cancer_lag_days;
        person
    }

    /// Lives a pass and appends its courses, or says why the patient is not enrolled.
    fn live(&mut self, person: &Person, pass: usize) -> Option<Exclusion> {
        self.try_to_live(person, pass, true)
            .or_else(|Misjudged| self.try_to_live(person, pass, false))
            .expect("only haste misjudges a patient")
    }

    /// The same, unless the patient was misjudged in a hurry.
    fn try_to_live(
        &mut self,
        person: &Person,
        pass: usize,
        in_a_hurry: bool,
    ) -> Result<Option<Exclusion>, Misjudged> {
        let (range, therapies) = &self.passes[pass];
        let mut forest = Forest::new(
            &self.setting,
            therapies,
            &mut self.stream,
            &mut self.work,
            &mut self.drugs,
            *person,
        );
        forest.may_hurry = in_a_hurry;
        match forest.run() {
            Ending::Misjudged => Err(Misjudged),
            Ending::Excluded(reason) => Ok(Some(reason)),
            Ending::Followed => {
                take_courses(&forest, therapies.len(), &mut self.patient);
                Ok(None)
            }
            Ending::Overgrown => {
                // Together the arms outgrew the limit; alone, each is followed until it does,
                // so that no arm's course depends on the others.
                for arm in range.clone() {
                    let alone = Therapies::new(&self.setting.scenario, arm..arm + 1);
                    let mut forest = Forest::new(
                        &self.setting,
                        &alone,
                        &mut self.stream,
                        &mut self.work,
                        &mut self.drugs,
                        *person,
                    );
                    if let Ending::Excluded(reason) = forest.run() {
                        return Ok(Some(reason));
                    }
                    take_courses(&forest, 1, &mut self.patient);
                }
                Ok(None)
            }
        }
    }
}

/// See [`Ending::Misjudged`].
#[derive(Debug, Clone, Copy)]
struct Misjudged;

fn take_courses(forest: &Forest<'_>, arms: usize, patient: &mut Patient) {
    patient.covariates = forest.person.covariates;
    patient.tumour = forest.tumour;
    for arm in 0..arms {
        let local = forest.local_recurrence(arm);
        patient.courses.push(Course {
            local_days: local.map_or(f64::INFINITY, |(days, _)| days),
            local_origin: local.map(|(_, origin)| origin),
            distant_days: forest.distant_recurrence(arm).unwrap_or(f64::INFINITY),
            frozen_days: forest.frozen,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tumours of a few hundred cells, in which a self-seed more brings diagnosis forward by much.
    fn small_tumours() -> Scenario {
        let mut scenario = crate::common::breast();
        scenario.population.size_median_mm = 0.1;
        scenario.population.size_min_mm = 0.05;
        scenario.growth.plateau_cells = 1e6;
        scenario.growth.establishment = 0.5;
        scenario.population.shedding_median_per_day = 1e-2;
        scenario.shedding.home_probability = 1e-2;
        scenario.growth.cxcl1_boost = 4.0;
        scenario.growth.colony_sigma = 0.6;
        scenario.colonies_max = 300;
        scenario.shedding.distant_probability = 3e-3;
        scenario.shedding.lung_filter = 1.0;
        scenario.detection.distant_cells = 300.0;
        scenario.detection.scar_cells = 300.0;
        scenario
    }

    #[test]
    fn haste_changes_nothing() {
        let mut simulator = Simulator::new(&small_tumours(), 1);
        let mut misjudged = 0;
        for index in 0..20_000 {
            let person = simulator.screen(PatientIndex(index));
            let hasty = simulator.try_to_live(&person, 0, true);
            let courses = std::mem::take(&mut simulator.patient.courses);
            let thorough = simulator.try_to_live(&person, 0, false);
            match (hasty, thorough) {
                (Ok(hasty), Ok(thorough)) => {
                    assert_eq!(hasty, thorough, "patient {index}");
                    assert_eq!(courses, simulator.patient.courses, "patient {index}");
                }
                (Err(Misjudged), Ok(_)) => misjudged += 1,
                (_, Err(Misjudged)) => panic!("patient {index} misjudged without haste"),
            }
            simulator.patient.courses.clear();
        }
        assert!(misjudged > 10, "{misjudged} misjudged: a path not tested");
    }
}
