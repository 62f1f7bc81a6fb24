//! `reseed patient`: replay one patient, event by event.

use std::path::Path;

use reseed_model::Simulator;
use reseed_model::endpoints::{FirstEvent, observe};
use reseed_model::patient::{Course, Exclusion, Origin, Patient as Person, PatientIndex};
use reseed_results::read_result;
use reseed_trial::Trial;
use serde::Serialize;

use crate::args::Patient;
use crate::exit::Failure;
use crate::identity;
use crate::output::{print_json, print_lines};
use crate::source;
use crate::timeline::{self, Arms, Moment};

/// Everything about a patient. Times are days from resection; `null` is never.
#[derive(Debug, Serialize)]
struct Story {
    trial: String,
    seed: u64,
    index: u64,
    excluded_for: Option<&'static str>,
    age_years: f64,
    size_mm: f64,
    growth_per_day: f64,
    shedding_per_day: f64,
    il6_ng_per_ml: f64,
    il8_ng_per_ml: f64,
    nodes: u32,
    ctc_sample: u32,
    diagnosis_days_from_founding: f64,
    self_seeded_fraction: f64,
    self_seeds: u32,
    ctc_flux_per_day: f64,
    other_death_day: f64,
    dropout_day: f64,
    cancer_death_after_distant_days: f64,
    arms: Vec<Outcome>,
    timeline: Vec<Moment>,
}

/// A patient in one arm.
#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    local_day: f64,
    local_origin: Option<&'static str>,
    distant_day: f64,
    first_event: &'static str,
    first_event_day: f64,
}

pub(crate) fn patient(args: &Patient) -> Result<(), Failure> {
    let (trial, seed) = trial_and_seed(&args.source)?;
    let only = args
        .arm
        .as_deref()
        .map(|name| source::arm(&trial, name))
        .transpose()?;
    let story = tell(&trial, seed, args.index, only);
    if args.json {
        print_json(&story)
    } else {
        print_lines(&story.lines())
    }
}

fn trial_and_seed(name: &str) -> Result<(Trial, u64), Failure> {
    if source::is_result(name) {
        let file = read_result(Path::new(name))?;
        let trial = identity::trial_of(&file)?;
        return Ok((trial, file.identity.seed));
    }
    let trial = source::trial(name)?;
    let seed = trial.seed;
    Ok((trial, seed))
}

fn tell(trial: &Trial, seed: u64, index: u64, only: Option<usize>) -> Story {
    let mut simulator = Simulator::new(&trial.scenario_of_patient(seed, index), seed);
    let person = simulator.simulate(PatientIndex(index)).clone();
    let names = source::arm_names(trial);
    let shown: Vec<usize> = (0..person.courses.len())
        .filter(|arm| only.is_none_or(|only| only == *arm))
        .collect();
    let last_day = last_day(trial, &person, &shown);
    let mut timeline = recurrences(&person, &shown, &names);
    let mut next = only.unwrap_or(0);
    while next < names.len() {
        let (pass, events) = simulator.trace(PatientIndex(index), next);
        next = only.map_or(pass.end, |_| names.len());
        let arms = Arms::new(&names, pass, only);
        timeline.extend(timeline::moments(&events, &arms, last_day));
    }
    timeline::sort(&mut timeline);
    let arms = shown
        .iter()
        .map(|arm| outcome(trial, &person, *arm))
        .collect();
    Story::new(trial, seed, &person, arms, timeline)
}

/// When the last of these arms is followed no more. Nobody is followed beyond the first distant
/// recurrence.
fn last_day(trial: &Trial, person: &Person, shown: &[usize]) -> f64 {
    if person.exclusion.is_some() {
        return f64::INFINITY;
    }
    let distant = shown.iter().map(|arm| person.courses[*arm].distant_days);
    distant
        .fold(0.0, f64::max)
        .min(person.other_death_days)
        .min(person.dropout_days)
        .min(trial.scenario.follow_up.horizon_days)
}

/// Recurrences, one moment for all arms that have it on the same day.
fn recurrences(person: &Person, shown: &[usize], names: &[&str]) -> Vec<Moment> {
    let mut moments = Vec::new();
    for (kind, day_in) in [
        ("local recurrence", local_day as fn(&Course) -> f64),
        ("distant recurrence", distant_day),
    ] {
        let mut days: Vec<f64> = shown
            .iter()
            .map(|arm| day_in(&person.courses[*arm]))
            .filter(|day| day.is_finite())
            .collect();
        days.sort_by(f64::total_cmp);
        days.dedup();
        for day in days {
            let same = |arm: &&usize| day_in(&person.courses[**arm]).total_cmp(&day).is_eq();
            let arms = shown.iter().filter(same);
            let arms = arms.map(|arm| names[*arm].to_owned()).collect();
            moments.push(timeline::recurrence(day, kind, arms, shown.len()));
        }
    }
    moments
}

fn local_day(course: &Course) -> f64 {
    course.local_days
}

fn distant_day(course: &Course) -> f64 {
    course.distant_days
}

fn outcome(trial: &Trial, person: &Person, arm: usize) -> Outcome {
    let course = &person.courses[arm];
    let (first, first_event_day) = observe(&trial.scenario.follow_up, person, course).first;
    Outcome {
        name: trial.scenario.arms[arm].name.clone(),
        local_day: course.local_days,
        local_origin: course.local_origin.map(|origin| match origin {
            Origin::Residual => "residual focus",
            Origin::Primary => "reseeded from the primary",
            Origin::Distant => "reseeded from a distant site",
            Origin::Scar => "reseeded from the scar",
        }),
        distant_day: course.distant_days,
        first_event: match first {
            FirstEvent::Local => "local recurrence",
            FirstEvent::Distant => "distant recurrence",
            FirstEvent::OtherDeath => "death of other causes",
            FirstEvent::Censored => "none (censored)",
        },
        first_event_day,
    }
}

impl Story {
    fn new(
        trial: &Trial,
        seed: u64,
        person: &Person,
        arms: Vec<Outcome>,
        timeline: Vec<Moment>,
    ) -> Self {
        let covariates = &person.covariates;
        let tumour = &person.tumour;
        Self {
            trial: trial.name.clone(),
            seed,
            index: person.index.0,
            excluded_for: person.exclusion.map(Exclusion::name),
            age_years: covariates.age_years,
            size_mm: covariates.size_mm,
            growth_per_day: covariates.growth_per_day,
            shedding_per_day: covariates.shedding_per_day,
            il6_ng_per_ml: covariates.il6_ng_per_ml,
            il8_ng_per_ml: covariates.il8_ng_per_ml,
            nodes: covariates.nodes,
            ctc_sample: covariates.ctc_sample,
            diagnosis_days_from_founding: tumour.diagnosis_days,
            self_seeded_fraction: tumour.self_seeded_fraction,
            self_seeds: tumour.self_seeds,
            ctc_flux_per_day: tumour.ctc_flux_per_day,
            other_death_day: person.other_death_days,
            dropout_day: person.dropout_days,
            cancer_death_after_distant_days: person.cancer_lag_days,
            arms,
            timeline,
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "patient {} of {}, seed {}",
                self.index, self.trial, self.seed
            ),
            format!(
                "  {:.0} years old; tumour {:.1} mm, {} positive nodes, {} circulating cells in \
                 the sample",
                self.age_years, self.size_mm, self.nodes, self.ctc_sample
            ),
            format!(
                "  growth {:.5} per day; IL-6 {:.2}, IL-8 {:.2} ng/mL",
                self.growth_per_day, self.il6_ng_per_ml, self.il8_ng_per_ml
            ),
        ];
        if let Some(reason) = self.excluded_for {
            lines.push(format!("  not enrolled: {reason}"));
        } else {
            lines.push(format!(
                "  diagnosed {:.0} days after its founding; {} self-seeds make up {:.2} % of it",
                self.diagnosis_days_from_founding,
                self.self_seeds,
                100.0 * self.self_seeded_fraction,
            ));
            lines.push(String::new());
            lines.extend(self.outcomes());
        }
        if !self.timeline.is_empty() {
            lines.extend([String::new(), "day from resection".into()]);
            lines.extend(timeline::lines(&self.timeline));
        }
        lines
    }

    fn outcomes(&self) -> Vec<String> {
        let names = self.arms.iter().map(|arm| arm.name.chars().count());
        let width = names.max().unwrap_or_default().max("arm".len());
        let head = format!(
            "{:<width$}  {:>9}  {:>9}  first event recorded",
            "arm", "local", "distant"
        );
        let rows = self.arms.iter().map(|arm| {
            let origin = arm.local_origin.map(|origin| format!("; local: {origin}"));
            format!(
                "{:<width$}  {:>9}  {:>9}  {}, day {:.1}{}",
                arm.name,
                day(arm.local_day),
                day(arm.distant_day),
                arm.first_event,
                arm.first_event_day,
                origin.unwrap_or_default(),
            )
        });
        std::iter::once(head).chain(rows).collect()
    }
}

fn day(day: f64) -> String {
    if day.is_finite() {
        format!("{day:.1}")
    } else {
        "-".into()
    }
}
