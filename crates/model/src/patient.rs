//! What the simulation of one patient yields.

/// Index of a patient in the screening order; names the patient's random streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatientIndex(pub u64);

/// What is known of a patient at resection, whatever the arm.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Covariates {
    /// Age, years.
    pub age_years: f64,
    /// Diameter or Breslow thickness at diagnosis, mm.
    pub size_mm: f64,
    /// Gompertz rate β, per day.
    pub growth_per_day: f64,
    /// Shedding s, circulating cells per day per cell^γ.
    pub shedding_per_day: f64,
    /// IL-6 in the tumour, L6·e6, ng/mL.
    pub il6_ng_per_ml: f64,
    /// IL-8 in the tumour, L8·e8, ng/mL.
    pub il8_ng_per_ml: f64,
    /// Positive lymph nodes at resection.
    pub nodes: u32,
    /// Circulating cells in the 7.5 mL sample at diagnosis.
    pub ctc_sample: u32,
}

/// The primary tumour at diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tumour {
    /// Days from founding to diagnosis.
    pub diagnosis_days: f64,
    /// Fraction of its cells that descend from self-seeding.
    pub self_seeded_fraction: f64,
    /// Colonies in the primary bed that were founded by homing.
    pub self_seeds: u32,
    /// Circulating cells shed per day by all colonies.
    pub ctc_flux_per_day: f64,
}

/// Why a screened patient was not enrolled, in the order in which criteria are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exclusion {
    /// Age outside the trial's range.
    Age,
    /// Size outside the trial's range.
    Size,
    /// IL-6 outside the trial's range.
    Il6,
    /// IL-8 outside the trial's range.
    Il8,
    /// A distant colony was detectable at diagnosis (M1).
    Metastatic,
    /// Status of the circulating-cell sample outside the trial's criterion.
    CtcStatus,
    /// Positive nodes outside the trial's range.
    Nodes,
    /// The forest exceeded its colony limit.
    Saturated,
}

impl Exclusion {
    /// All reasons, in the order in which criteria are applied.
    pub const ALL: [Self; EXCLUSIONS] = [
        Self::Age,
        Self::Size,
        Self::Il6,
        Self::Il8,
        Self::Metastatic,
        Self::CtcStatus,
        Self::Nodes,
        Self::Saturated,
    ];

    /// Name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
            Self::Il6 => "il6",
            Self::Il8 => "il8",
            Self::Metastatic => "metastatic",
            Self::CtcStatus => "ctc_status",
            Self::Nodes => "nodes",
            Self::Saturated => "saturated",
        }
    }
}

/// Number of exclusion reasons.
pub const EXCLUSIONS: usize = 8;

/// Where the founder of a local recurrence came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A residual focus left at resection.
    Residual,
    /// Reseeded by a cell shed at the primary site (perioperative burst).
    Primary,
    /// Reseeded by a cell shed by a distant colony.
    Distant,
    /// Reseeded by a cell shed by a scar colony.
    Scar,
}

/// The course of an enrolled patient in one arm. Times are exact, in days from resection,
/// `f64::INFINITY` where the event did not happen while the patient was followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    /// Local recurrence t_L and its origin.
    pub local_days: f64,
    /// Origin of the local recurrence; `None` without one.
    pub local_origin: Option<Origin>,
    /// Distant recurrence t_D.
    pub distant_days: f64,
    /// End of observation in this arm alone: infinite, unless the arm's own forest outgrew the
    /// colony limit after the dominating course had ended.
    pub frozen_days: f64,
}

/// One screened patient, in every arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Patient {
    /// Screening index.
    pub index: PatientIndex,
    /// What is known whatever the arm; nodes and sample only if the patient got that far.
    pub covariates: Covariates,
    /// The primary at diagnosis, if the patient got that far.
    pub tumour: Tumour,
    /// Why the patient was not enrolled.
    pub exclusion: Option<Exclusion>,
    /// The course in every arm of the scenario; empty if not enrolled.
    pub courses: Vec<Course>,
    /// Death of other causes, days from resection.
    pub other_death_days: f64,
    /// Drop-out, days from resection.
    pub dropout_days: f64,
    /// From distant recurrence to cancer death, days.
    pub cancer_lag_days: f64,
}
