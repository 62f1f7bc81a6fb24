//! Whether the evidence is about the patients, the therapies and the parameters of the run.

use reseed_stats::quantile;

use super::settings::{Held, Settings};
use super::validation::patients_command;
use super::{
    Calibration, CredibilityCheck, CredibilitySection, CredibilityTable, Evidence, Verdict,
};
use crate::calibrated::{CalibratedParameter, short};
use crate::figures::Table;
use crate::text::{NOTHING, grouped, number};

pub(super) fn section(evidence: &Evidence<'_>) -> CredibilitySection {
    let strata = strata(evidence);
    let calibrated = evidence.input.calibration.as_ref();
    let parameters = calibrated.map(|calibration| parameters(evidence, calibration));
    let others = evidence.calibrated_settings.as_ref();
    let others = others.map(|settings| others_that_differ(evidence, settings));
    let mut section = CredibilitySection::new(
        "applicability",
        "Applicability",
        "Whether the evidence is about what the model is used for.",
        vec![
            therapies(evidence),
            population(evidence, strata.as_deref()),
            within_posterior(evidence, parameters.as_deref()),
            same_model(evidence, others.as_deref()),
        ],
    );
    section.tables.extend(strata.as_deref().map(strata_table));
    section
        .tables
        .extend(parameters.as_deref().map(parameter_table));
    let others = others.filter(|differing| !differing.is_empty());
    section
        .tables
        .extend(others.map(|rows| others_table(&rows)));
    section
}

/// Which arms nobody has been observed in, as far as the evidence goes.
fn therapies(evidence: &Evidence<'_>) -> CredibilityCheck {
    let observed = evidence.input.validation.map(|validation| &*validation.arm);
    let arms = evidence.input.layout.arms.iter().map(String::as_str);
    let unobserved: Vec<&str> = arms.filter(|arm| observed != Some(*arm)).collect();
    let found = match observed {
        None => "No arm was set beside patients, so all of them are extrapolation.".to_owned(),
        Some(arm) if unobserved.is_empty() => {
            format!("The trial's one arm, {arm}, was set beside patients.")
        }
        Some(arm) => format!(
            "Only the arm {arm} was set beside patients. Extrapolated: {}. Their effects follow from \
             the model's mechanisms and the drugs' assumed actions.",
            unobserved.join(", ")
        ),
    };
    CredibilityCheck {
        asked: "Have patients under the compared therapies been observed?".to_owned(),
        verdict: Verdict::known(unobserved.is_empty().then_some(true)),
        rule:
            "Met if patients or published incidences of every arm were given; what is in no cohort \
               is extrapolation."
                .to_owned(),
        found,
        command: evidence.command("validate", "--patients COHORT.csv --arm ARM"),
    }
}

/// A stratum with the patients that the run and the cohort have in it.
struct Stratum<'a> {
    label: &'a str,
    run: u64,
    cohort: u64,
}

/// Patients of the run and of the cohort by stratum; none without a cohort.
fn strata<'a>(evidence: &Evidence<'a>) -> Option<Vec<Stratum<'a>>> {
    let cohort = evidence.input.validation?.patients_by_stratum()?;
    let labels = &evidence.input.layout.strata;
    let both = labels.iter().zip(evidence.input.tally.enrolled());
    let strata = both.map(|(label, run)| {
        let own = cohort.iter().find(|(of_cohort, _)| of_cohort == label);
        Stratum {
            label,
            run: *run,
            cohort: own.map_or(0, |(_, patients)| *patients),
        }
    });
    Some(strata.collect())
}

/// A share of a whole that is not empty.
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Share of the patients who would have to be in another stratum.
fn difference(strata: &[Stratum<'_>]) -> f64 {
    let run = strata.iter().map(|stratum| stratum.run).sum();
    let cohort = strata.iter().map(|stratum| stratum.cohort).sum();
    let differences = strata
        .iter()
        .map(|stratum| (share(stratum.run, run) - share(stratum.cohort, cohort)).abs());
    0.5 * differences.sum::<f64>()
}

fn population(evidence: &Evidence<'_>, strata: Option<&[Stratum<'_>]>) -> CredibilityCheck {
    let allowed = evidence.context.acceptance.strata_difference;
    // With one stratum for everybody nothing can be told.
    let told = strata.filter(|strata| strata.len() > 1).map(difference);
    let found = match (told, strata) {
        (Some(difference), _) => format!(
            "{} % of the patients would have to be in another stratum.",
            number(100.0 * difference, 1)
        ),
        (None, Some(_)) => "The run's [strata] do not divide the patients.".to_owned(),
        (None, None) => "No patients were given (--patients).".to_owned(),
    };
    CredibilityCheck {
        asked: "Are the virtual patients composed as the cohort?".to_owned(),
        verdict: Verdict::known(told.map(|difference| difference <= allowed)),
        rule: format!(
            "Met if at most {} % of the patients would have to be in another of the run's strata \
             (acceptance.strata_difference).",
            number(100.0 * allowed, 0)
        ),
        found,
        command: patients_command(evidence),
    }
}

fn strata_table(strata: &[Stratum<'_>]) -> CredibilityTable {
    let run = strata.iter().map(|stratum| stratum.run).sum();
    let cohort = strata.iter().map(|stratum| stratum.cohort).sum();
    let percent = |part, whole| number(100.0 * share(part, whole), 1);
    let mut table = Table::new(&[
        "stratum",
        "virtual patients",
        "percent",
        "patients of the cohort",
        "percent",
    ]);
    for stratum in strata {
        table.push([
            stratum.label.to_owned(),
            grouped(stratum.run),
            percent(stratum.run, run),
            grouped(stratum.cohort),
            percent(stratum.cohort, cohort),
        ]);
    }
    CredibilityTable::new("Enrolled patients and the cohort's, by stratum", table)
}

/// A calibrated parameter and what the run has of it.
struct Compared<'a> {
    calibrated: &'a CalibratedParameter,
    held: Option<Held>,
}

impl Compared<'_> {
    /// Whether the run's value, or the median of its draws, is in the posterior's 95 %. A prior in its
    /// place is not what the calibration found.
    fn is_inside(&self) -> bool {
        let value = match &self.held {
            Some(Held::Value(value)) => *value,
            Some(Held::Draws(draws)) => median(draws),
            Some(Held::Prior) | None => return false,
        };
        (self.calibrated.lower..=self.calibrated.upper).contains(&value)
    }

    fn in_words(&self) -> String {
        match &self.held {
            Some(Held::Value(value)) => short(*value),
            Some(Held::Draws(draws)) => format!(
                "{} draws, median {}",
                grouped(draws.len() as u64),
                short(median(draws))
            ),
            Some(Held::Prior) => "a prior".to_owned(),
            None => NOTHING.to_owned(),
        }
    }
}

fn median(draws: &[f64]) -> f64 {
    let mut sorted = draws.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

fn parameters<'a>(evidence: &Evidence<'_>, calibration: &Calibration<'a>) -> Vec<Compared<'a>> {
    let compared = |calibrated: &'a CalibratedParameter| Compared {
        calibrated,
        held: evidence.settings.held(&calibrated.key),
    };
    calibration.found.parameters.iter().map(compared).collect()
}

fn within_posterior(
    evidence: &Evidence<'_>,
    parameters: Option<&[Compared<'_>]>,
) -> CredibilityCheck {
    let outside = parameters.map(|parameters| {
        let outside = parameters.iter().filter(|one| !one.is_inside());
        outside.map(|one| &*one.calibrated.key).collect::<Vec<_>>()
    });
    let found = match (&outside, parameters) {
        (Some(outside), Some(parameters)) if outside.is_empty() => {
            format!("All {} are.", parameters.len())
        }
        (Some(outside), _) => format!("Outside: {}.", outside.join(", ")),
        (None, _) => "No posterior was given (--posterior).".to_owned(),
    };
    CredibilityCheck {
        asked: "Are the run's parameters those that a calibration found?".to_owned(),
        verdict: Verdict::known(outside.map(|outside| outside.is_empty())),
        rule:
            "Met if every calibrated parameter of the run, or the median of its draws, is within \
               the posterior's central 95 %."
                .to_owned(),
        found,
        command: evidence.posterior_command(),
    }
}

fn parameter_table(parameters: &[Compared<'_>]) -> CredibilityTable {
    let mut table = Table::new(&["parameter", "run", "posterior 95 %", "inside"]);
    for parameter in parameters {
        let CalibratedParameter {
            key, lower, upper, ..
        } = parameter.calibrated;
        table.push([
            key.clone(),
            parameter.in_words(),
            format!("{} to {}", short(*lower), short(*upper)),
            if parameter.is_inside() { "yes" } else { "no" }.to_owned(),
        ]);
    }
    CredibilityTable::new("Calibrated parameters", table)
}

/// Keys of the model that were not calibrated and whose values differ: the key, and the values of the
/// run and of the trial that was calibrated.
fn others_that_differ(evidence: &Evidence<'_>, calibrated: &Settings) -> Vec<[String; 3]> {
    let run = evidence.settings.of_model();
    let other = calibrated.of_model();
    let value = |values: &[(String, String)], key: &str| {
        let own = values.iter().find(|(own, _)| own == key);
        own.map_or(NOTHING.to_owned(), |(_, value)| value.clone())
    };
    let is_calibrated = |key: &str| calibrated.held(key) == Some(Held::Prior);
    let absent = other
        .iter()
        .filter(|(key, _)| run.iter().all(|(own, _)| own != key));
    run.iter()
        .chain(absent)
        .filter(|(key, _)| !is_calibrated(key))
        .map(|(key, _)| [key.clone(), value(&run, key), value(&other, key)])
        .filter(|[_, run, other]| run != other)
        .collect()
}

fn same_model(evidence: &Evidence<'_>, others: Option<&[[String; 3]]>) -> CredibilityCheck {
    let found = match others {
        Some([]) => "It is.".to_owned(),
        Some(differing) => {
            let keys: Vec<&str> = differing.iter().map(|[key, _, _]| key.as_str()).collect();
            format!("Different: {}.", keys.join(", "))
        }
        None => "No posterior was given (--posterior).".to_owned(),
    };
    CredibilityCheck {
        asked: "Is the rest of the model the one that was calibrated?".to_owned(),
        verdict: Verdict::known(others.map(<[[String; 3]]>::is_empty)),
        rule: "Met if no other key of the patient model differs from the trial that was calibrated: \
               its tables population, growth, shedding, dormancy, homing, local_treatment, detection \
               and death."
            .to_owned(),
        found,
        command: evidence.posterior_command(),
    }
}

fn others_table(differing: &[[String; 3]]) -> CredibilityTable {
    let mut table = Table::new(&["key", "run", "calibrated trial"]);
    for row in differing {
        table.push(row.clone());
    }
    CredibilityTable::new("Keys that differ from the trial that was calibrated", table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compositions_differ_by_the_patients_who_would_have_to_move() {
        let stratum = |run, cohort| Stratum {
            label: "",
            run,
            cohort,
        };
        let of = |strata: &[Stratum<'_>]| number(difference(strata), 9);
        assert_eq!(of(&[stratum(60, 6), stratum(40, 4)]), "0.000000000");
        assert_eq!(of(&[stratum(50, 2), stratum(50, 8)]), "0.300000000");
        assert_eq!(of(&[stratum(10, 0), stratum(0, 10)]), "1.000000000");
    }
}
