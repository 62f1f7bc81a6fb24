//! From a course to what a trial records (section 4).

use crate::patient::{Course, Origin, Patient};
use crate::scenario::FollowUp;

/// First event of a patient in an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstEvent {
    /// Local recurrence.
    Local,
    /// Distant recurrence.
    Distant,
    /// Death of other causes.
    OtherDeath,
    /// None while followed.
    Censored,
}

/// How a patient leaves the risk set of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// The endpoint's event.
    Event,
    /// An event after which the endpoint cannot happen.
    Competing,
    /// End of observation.
    Censored,
}

/// What a trial records of a patient in an arm; times in days from resection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// First event and its time.
    pub first: (FirstEvent, f64),
    /// Origin of a recorded local recurrence.
    pub local_origin: Option<Origin>,
    /// Local recurrence; distant recurrence and death compete.
    pub local: (Leaving, f64),
    /// Distant recurrence, also after a local one; death of other causes competes.
    pub distant: (Leaving, f64),
    /// Any recurrence or death.
    pub recurrence_free: (Leaving, f64),
    /// Death of any cause.
    pub death: (Leaving, f64),
    /// Whether that death, if it is seen, is the cancer's.
    pub is_cancer_death: bool,
}

/// What is recorded of a course.
///
/// With visits, a recurrence is recorded at the first visit on or after it, or at the cancer
/// death if that comes before. A local recurrence found together with a distant one counts as
/// distant, as cohorts count simultaneous relapse.
pub fn observe(follow_up: &FollowUp, patient: &Patient, course: &Course) -> Observed {
    let cancer_death = course.distant_days + patient.cancer_lag_days;
    let distant = recorded(follow_up, course.distant_days).min(cancer_death);
    let local = recorded(follow_up, course.local_days).min(cancer_death);
    let local = if local < distant {
        local
    } else {
        f64::INFINITY
    };
    let other = patient.other_death_days;
    let end = follow_up
        .horizon_days
        .min(patient.dropout_days)
        .min(course.frozen_days);
    let local_leaving = leave(local, distant.min(other), end);
    let first = if local <= distant.min(other).min(end) {
        (FirstEvent::Local, local)
    } else if distant <= other.min(end) {
        (FirstEvent::Distant, distant)
    } else if other <= end {
        (FirstEvent::OtherDeath, other)
    } else {
        (FirstEvent::Censored, end)
    };
    Observed {
        first,
        local_origin: course
            .local_origin
            .filter(|_| local_leaving.0 == Leaving::Event),
        local: local_leaving,
        distant: leave(distant, other, end),
        recurrence_free: leave(local.min(distant).min(other), f64::INFINITY, end),
        death: leave(cancer_death.min(other), f64::INFINITY, end),
        is_cancer_death: cancer_death <= other,
    }
}

/// The earliest of an event, a competing one and the end of observation; ties in that order.
fn leave(event: f64, competing: f64, end: f64) -> (Leaving, f64) {
    if event <= competing.min(end) {
        (Leaving::Event, event)
    } else if competing <= end {
        (Leaving::Competing, competing)
    } else {
        (Leaving::Censored, end)
    }
}

/// First visit on or after a day; the day itself without a schedule.
fn recorded(follow_up: &FollowUp, day: f64) -> f64 {
    if follow_up.visits_days.is_empty() {
        return day;
    }
    let next = follow_up.visits_days.partition_point(|visit| *visit < day);
    follow_up
        .visits_days
        .get(next)
        .copied()
        .unwrap_or(f64::INFINITY)
}
