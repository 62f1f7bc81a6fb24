//! What happened to one patient, event by event.

pub use crate::colony::Site;

/// How a colony's founder came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Shed by its parent.
    Shed,
    /// Shed by its parent, and still circulating after the parent's removal.
    Burst,
    /// Left behind at resection.
    Residual,
}

/// An event. Times are days from the founding of the native primary, which is colony 0; sets of
/// arms have a bit for each arm of the pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TraceEvent {
    /// The primary reached its size at diagnosis.
    Diagnosed {
        /// When.
        time: f64,
    },
    /// The local treatment.
    Resected {
        /// When.
        time: f64,
    },
    /// A colony was founded in at least one arm, or in the dominating course alone.
    Founded {
        /// When.
        time: f64,
        /// Its number.
        colony: usize,
        /// The colony that shed its founder.
        parent: usize,
        /// Where it grows.
        site: Site,
        /// How it came.
        source: Source,
        /// Whether it sheds aggressive cells.
        aggressive: bool,
        /// Start of growth; infinite while dormant.
        awake: f64,
        /// Detection without therapy; infinite if dormant or at the primary site.
        detected: f64,
        /// Arms in which the parent exists.
        parent_arms: u64,
        /// Of these, arms in which the parent still shed and the patient was followed.
        shed_in: u64,
        /// Of these, arms in which the founder settled.
        arms: u64,
    },
    /// A founder that settled in no arm.
    NotFounded {
        /// When.
        time: f64,
        /// The colony that shed it.
        parent: usize,
        /// Where it would have grown.
        site: Site,
    },
    /// A dormant colony woke.
    Woke {
        /// When.
        time: f64,
        /// Which.
        colony: usize,
        /// Detection without therapy.
        detected: f64,
    },
}
