//! What `predictions.R` finds, found here.

use std::collections::BTreeSet;

use reseed_stats::curve::cumulative_incidence;
use reseed_stats::validation::{
    Cohort, Concordance, Followed, FollowedHazard, PairWeights, brier_score, calibration,
    concordance, integrated_brier_score, risk_table,
};
use reseed_stats::{Estimate, ExitKind};

use super::estimates::Found;

const COMPETING_HAZARD: f64 = 0.01;
const HORIZON: f64 = 50.5;

struct Patient {
    time: f64,
    status: usize,
    hazard: f64,
}

fn read(text: &str) -> Vec<Patient> {
    let lines = text.lines().skip(1);
    let patient = |line: &str| {
        let values: Vec<f64> = line
            .split(',')
            .map(|v| v.parse().expect("a number"))
            .collect();
        Patient {
            time: values[0],
            status: if values[1] > 1.0 {
                2
            } else {
                usize::from(values[1] > 0.0)
            },
            hazard: values[2],
        }
    };
    lines.map(patient).collect()
}

pub(crate) fn of_predictions(text: &str) -> Found {
    let patients = read(text);
    let mut found = Found::new();
    let hazards: Vec<f64> = patients.iter().map(|patient| patient.hazard).collect();
    let classes: Vec<f64> = hazards.iter().map(|h| h.ln().round_ties_even()).collect();
    let alone = cohort(&patients, ExitKind::Censored);
    let competing = cohort(&patients, ExitKind::Competing);

    for (kind, risks) in [("hazard", &hazards), ("class", &classes)] {
        for (name, weights) in [
            ("harrell", PairWeights::Equal),
            ("uno", PairWeights::InverseFollowing),
        ] {
            let of = concordance(&alone, risks, weights, HORIZON);
            let mut values = value_and_error(of.value);
            values.push(of.tied);
            found.insert(format!("alone.{kind}.{name}"), values);
        }
    }
    let of = |weights| concordance(&competing, &hazards, weights, HORIZON);
    let harrell: Concordance = of(PairWeights::Equal);
    found.insert("competing.harrell".into(), value_and_error(harrell.value));
    let uno = value_and_error(of(PairWeights::InverseFollowing).value);
    let distinct: BTreeSet<u64> = patients
        .iter()
        .map(|patient| patient.time.to_bits())
        .collect();
    if distinct.len() == patients.len() {
        found.insert("competing.uno.pec".into(), vec![uno[0]]);
    }
    found.insert("competing.uno".into(), uno);

    put_scores(&mut found, "alone", &alone, |patient, time| {
        1.0 - (-hazards[patient] * time).exp()
    });
    put_scores(&mut found, "competing", &competing, |patient, time| {
        let both = hazards[patient] + COMPETING_HAZARD;
        hazards[patient] / both * (1.0 - (-both * time).exp())
    });
    put_calibration(&mut found, &patients);
    found
}

fn cohort(patients: &[Patient], other: ExitKind) -> Cohort {
    let exits = [ExitKind::Censored, ExitKind::Event, other];
    let followed = patients.iter().map(|patient| Followed {
        time: patient.time,
        exit: exits[patient.status],
    });
    Cohort::new(followed.collect())
}

fn put_scores(found: &mut Found, name: &str, cohort: &Cohort, risk: impl Fn(usize, f64) -> f64) {
    let times: Vec<f64> = (1..=10)
        .map(|step| HORIZON * f64::from(step) / 10.0)
        .collect();
    let incidence = cumulative_incidence(&risk_table(cohort.patients()), 0);
    let null = |time: f64| incidence.at(time).value;
    let mut put = |suffix: &str, values: Vec<f64>| found.insert(format!("{name}.{suffix}"), values);
    let scores = times
        .iter()
        .map(|time| brier_score(cohort, *time, |patient| risk(patient, *time)));
    put("brier", scores.collect());
    let scores = times
        .iter()
        .map(|time| brier_score(cohort, *time, |_| null(*time)));
    put("brier.null", scores.collect());
    let integrated = integrated_brier_score(cohort, &times, |patient, at| risk(patient, times[at]));
    put("brier.integrated", vec![integrated]);
    let integrated = integrated_brier_score(cohort, &times, |_, at| null(times[at]));
    put("brier.integrated.null", vec![integrated]);
}

fn put_calibration(found: &mut Found, patients: &[Patient]) {
    let hazards = patients.iter().map(|patient| FollowedHazard {
        followed: patient.hazard * patient.time.min(HORIZON),
        horizon: patient.hazard * HORIZON,
        event: patient.status == 1 && patient.time <= HORIZON,
    });
    let fit = calibration(&hazards.collect::<Vec<_>>());
    let (lower, upper) = fit.ratio_interval;
    let mut put = |name: &str, values| found.insert(format!("calibration.{name}"), values);
    put(
        "ratio",
        vec![fit.observed as f64, fit.expected, fit.ratio, lower, upper],
    );
    put("intercept", value_and_error(fit.intercept));
    put("slope", value_and_error(fit.slope));
}

fn value_and_error(estimate: Estimate) -> Vec<f64> {
    vec![estimate.value, estimate.standard_error]
}
