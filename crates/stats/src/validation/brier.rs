//! Overall error: the mean square of what is predicted less what came.

use super::Cohort;
use crate::tally::ExitKind;

/// The Brier score of risks at a time: mean squared distance of each patient's risk of having had
/// the event by then from whether they have, with those who are not followed so long made up for
/// by the others (Graf et al., Stat Med 1999;18:2529; Gerds and Schumacher, Biom J 2006;48:1029). 0
/// is perfect, 0.25 that of 0.5 for everybody. As R's `riskRegression::Score`. Whoever has an event
/// before the time counts by the probability of being followed until just before it, and who goes
/// on by that of being followed beyond the time.
///
/// The score is known up to the cohort's last time.
pub fn brier_score(cohort: &Cohort, time: f64, risk: impl Fn(usize) -> f64) -> f64 {
    let mut sum = 0.0;
    let going_on = 1.0 / cohort.following.beyond(time);
    for (index, patient) in cohort.patients.iter().enumerate() {
        let (happened, weight) = if patient.time > time {
            (0.0, going_on)
        } else {
            match patient.exit {
                ExitKind::Censored => continue,
                ExitKind::Competing => (0.0, 1.0 / cohort.following.before(patient.time)),
                ExitKind::Event => (1.0, 1.0 / cohort.following.before(patient.time)),
            }
        };
        let distance = happened - risk(index);
        sum += weight * distance * distance;
    }
    sum / cohort.patients.len() as f64
}

/// The Brier score, averaged over time from 0, where it is nothing, to the last of `times`, by
/// trapezoids. `risk` is of a patient and by the time at a position of `times`.
pub fn integrated_brier_score(
    cohort: &Cohort,
    times: &[f64],
    risk: impl Fn(usize, usize) -> f64,
) -> f64 {
    let (mut area, mut before, mut score_before) = (0.0, 0.0, 0.0);
    for (at, time) in times.iter().enumerate() {
        let score = brier_score(cohort, *time, |patient| risk(patient, at));
        area += 0.5 * (score + score_before) * (time - before);
        (before, score_before) = (*time, score);
    }
    area / before
}
