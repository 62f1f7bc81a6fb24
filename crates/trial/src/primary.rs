//! The primary comparison of a trial, from a tally.

use std::fmt;

use reseed_stats::estimate::contrast;
use reseed_stats::{Endpoint, Tally};

use crate::trial::{DAYS_PER_YEAR, Trial};

/// The primary comparison on some patients: the difference of cumulative incidences, arm minus
/// control. It displays as one line for people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrimaryEstimate<'a> {
    /// Name of the arm.
    pub arm: &'a str,
    /// Name of the control.
    pub control: &'a str,
    /// What is compared.
    pub endpoint: Endpoint,
    /// When, days from resection.
    pub day: f64,
    /// Patients enrolled, each of them in both arms.
    pub patients: u64,
    /// Patients of them with the event in one of the two arms only.
    pub discordant: u64,
    /// The difference, a fraction.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: (f64, f64),
}

impl PrimaryEstimate<'_> {
    /// What is compared, in words.
    pub fn label(&self) -> String {
        format!(
            "{} by {} years, {} against {}",
            in_words(self.endpoint),
            self.day / DAYS_PER_YEAR,
            self.arm,
            self.control
        )
    }

    /// Half the width of the interval, percentage points.
    pub fn half_width_points(&self) -> f64 {
        let (low, high) = self.interval;
        50.0 * (high - low)
    }
}

impl fmt::Display for PrimaryEstimate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.interval;
        write!(
            f,
            "{}: {:+.3} points (95 % interval {:+.3} to {:+.3})",
            self.label(),
            100.0 * self.value,
            100.0 * low,
            100.0 * high,
        )
    }
}

impl Trial {
    /// The primary comparison on the patients of a tally of this trial, strata pooled; `None`
    /// while nobody is enrolled, and for a trial of the control alone.
    pub fn primary_estimate(&self, tally: &Tally) -> Option<PrimaryEstimate<'_>> {
        let primary = &self.primary;
        let control = self.scenario.control;
        let patients = tally.enrolled().iter().sum();
        if primary.arm == control || patients == 0 {
            return None;
        }
        let bin = self.bin_ending_at(primary.day)?;
        let strata: Vec<usize> = (0..tally.shape().strata).collect();
        let contrast = contrast(tally, &strata, primary.arm, primary.endpoint, bin);
        Some(PrimaryEstimate {
            arm: &self.scenario.arms[primary.arm].name,
            control: &self.scenario.arms[control].name,
            endpoint: primary.endpoint,
            day: primary.day,
            patients,
            discordant: contrast.control_only + contrast.arm_only,
            value: contrast.difference.value,
            interval: contrast.difference_interval,
        })
    }
}

fn in_words(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Local => "local recurrence",
        Endpoint::Distant => "distant recurrence",
        Endpoint::Rfs => "recurrence or death",
        Endpoint::Death => "death",
    }
}
