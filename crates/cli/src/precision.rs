//! What a run with a precision came to, in words.

use reseed_stats::Tally;
use reseed_trial::Trial;

use crate::exit::Failure;
use crate::output::grouped;

/// Refuses a precision of a comparison that there is not.
pub(crate) fn check(trial: &Trial) -> Result<(), Failure> {
    if trial.precision.is_some() && trial.primary.arm == trial.scenario.control {
        return Err(Failure::Usage(
            "there is no comparison to be precise about (the trial has no arm but the control); \
             add an arm, or leave out --precision"
                .into(),
        ));
    }
    if trial.precision.is_some() && trial.block_patients.is_some() {
        return Err(Failure::Usage(
            "a run with blocks cannot end at a precision (a block has a number of patients of its \
             own); leave out --precision, or run.block_patients in the trial file"
                .into(),
        ));
    }
    Ok(())
}

/// Whether the patients are precise enough, and how precise they are; `None` for a trial without
/// a precision.
pub(crate) fn outcome(trial: &Trial, tally: &Tally) -> Option<String> {
    let wanted = trial.precision?;
    let patients = grouped(tally.screened());
    let Some(estimate) = trial.primary_estimate(tally) else {
        return Some(format!(
            "not precise enough after {patients} patients: nobody is enrolled"
        ));
    };
    let found = points(estimate.half_width_points());
    Some(if trial.precise_enough(tally) {
        format!("precise enough after {patients} patients: ±{found} points")
    } else if estimate.half_width_points() < wanted {
        format!(
            "not precise enough after {patients} patients: ±{found} points, but the arms differ \
             in only {} patients",
            grouped(estimate.discordant)
        )
    } else {
        format!("not precise enough after {patients} patients: ±{found} points, not {wanted}")
    })
}

/// Three significant digits.
fn points(value: f64) -> String {
    let magnitude = value.log10().floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number that is not negative"
    )]
    let decimals = (2.0 - magnitude).clamp(0.0, 12.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_three_digits() {
        for (value, text) in [
            (0.048_12, "0.0481"),
            (1.5, "1.50"),
            (12.34, "12.3"),
            (1e-9, "0.00000000100"),
        ] {
            assert_eq!(points(value), text);
        }
    }
}
