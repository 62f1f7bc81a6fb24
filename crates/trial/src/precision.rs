//! Stopping when the primary comparison is precise enough.
//!
//! A run with a precision is judged on its first patients, in the order of their indices, at
//! numbers of patients that do not depend on how the run was computed: the [`looks`]. It ends at
//! the first look that is precise enough, or with the largest number of patients. So who ran
//! what when has no influence on where a run ends, and its result is that of a run of so many
//! patients from the start.
//!
//! The rule looks at the width of the interval and never at the difference, so it does not
//! favour one answer. A width may be small by chance; what stopping at it costs the interval's
//! coverage is measured by the test `stopping_keeps_the_coverage`: next to nothing.

use reseed_stats::Tally;

use crate::trial::Trial;

/// Fewest patients a run with a precision is judged on.
const FIRST_LOOK_PATIENTS: u64 = 10_000;

/// Fewest patients with the event in one of the two arms only, whose number makes the width of
/// the interval. Ten pin the width down to about a sixth of itself. From fewer it is luck; and
/// from none, as where there are no events yet, it says only how many patients there are.
const DISCORDANT_MIN: u64 = 10;

/// Numbers of patients at which a run of at most `patients_max` is judged, increasing: four to
/// each doubling from ten thousand, and `patients_max` itself as the last.
pub fn looks(patients_max: u64) -> impl Iterator<Item = u64> {
    (0..u64::BITS)
        .flat_map(|doublings| [4, 5, 6, 7].map(|quarters| (doublings, quarters)))
        .map(|(doublings, quarters)| {
            let patients = u128::from(FIRST_LOOK_PATIENTS / 4 * quarters) << doublings;
            u64::try_from(patients).unwrap_or(u64::MAX)
        })
        .take_while(move |patients| *patients < patients_max)
        .chain([patients_max])
}

impl Trial {
    /// Whether a tally of the run's first patients meets the trial's precision: the half-width of
    /// the primary comparison's 95 % interval is below it, and at least ten patients have the
    /// event in one of the two arms only. Never without a precision.
    pub fn precise_enough(&self, tally: &Tally) -> bool {
        self.precision
            .zip(self.primary_estimate(tally))
            .is_some_and(|(precision, estimate)| {
                estimate.discordant >= DISCORDANT_MIN && estimate.half_width_points() < precision
            })
    }
}
