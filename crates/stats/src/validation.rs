//! How well predicted risks fit patients who were followed: discrimination, overall error and
//! calibration.
//!
//! A prediction may be good at telling who fares worse ([`concordance()`]) and wrong about how often
//! events come ([`calibration`]), or the reverse; the Brier score ([`brier_score`]) sees both.
//!
//! **Competing events.** A patient whom a competing event took can never have the event. So such
//! patients stay comparable with all who have it later (Wolbers et al., Biostatistics
//! 2014;15:526), and predicted risks are cumulative incidences. Without competing events all of
//! this is as in survival analysis.
//!
//! **Who is not followed.** Those who were censored say nothing about later; those who were
//! followed stand for them, by the inverse of the probability of being followed so far, which
//! [`Cohort`] estimates from all patients alike. This takes censoring for unrelated to risk.

mod brier;
mod calibration;
mod concordance;
mod following;
mod groups;
mod sums;

pub use brier::{brier_score, integrated_brier_score};
pub use calibration::{Calibration, FollowedHazard, calibration};
pub use concordance::{Concordance, PairWeights, concordance};
pub use groups::risk_groups;

use crate::risk::RiskTable;
use crate::tally::ExitKind;
use following::Following;

/// How a patient was followed, as an endpoint sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Followed {
    /// When the patient left.
    pub time: f64,
    /// How.
    pub exit: ExitKind,
}

/// Patients to judge predictions by.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    patients: Vec<Followed>,
    following: Following,
}

impl Cohort {
    /// Patients who were followed.
    ///
    /// # Panics
    /// If a time is negative or not a number.
    pub fn new(patients: Vec<Followed>) -> Self {
        let following = Following::of(&risk_table(&patients));
        Self {
            patients,
            following,
        }
    }

    /// The patients.
    pub fn patients(&self) -> &[Followed] {
        &self.patients
    }

    /// The last time at which anybody was followed.
    pub fn last_time(&self) -> f64 {
        let times = self.patients.iter().map(|patient| patient.time);
        times.fold(0.0, f64::max)
    }
}

/// Who is at risk and who leaves: cause 0 is the event, cause 1 what competes with it.
pub fn risk_table<'a>(patients: impl IntoIterator<Item = &'a Followed>) -> RiskTable {
    let exits = patients.into_iter().map(|patient| {
        let cause = match patient.exit {
            ExitKind::Event => Some(0),
            ExitKind::Competing => Some(1),
            ExitKind::Censored => None,
        };
        (patient.time, cause)
    });
    RiskTable::from_patients(2, exits)
}
