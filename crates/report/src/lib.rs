//! What a result says, for people and for programs.
mod calibrated;
pub mod cohort;
pub mod compare;
mod courses;
pub mod credibility;
mod export;
pub mod figures;
mod page;
pub mod power;
pub mod rank;
mod report;
mod text;
pub mod validate;

/// Days in a year.
const YEAR_DAYS: f64 = 365.25;

/// A number for JSON, which has none that is infinite or unknown.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

pub use calibrated::{
    Calibrated, CalibratedParameter, CalibratedTarget, CalibratedWave, RecoveredParameter,
};
pub use cohort::{Cohort, CohortError};
pub use compare::{
    CompareError, CompareInput, ComparedArm, Comparison, Excluded, YearlyHazard, compare,
};
pub use credibility::{
    Acceptance, Calibration, Context, ContextError, Credibility, CredibilityCheck,
    CredibilityError, CredibilityInput, CredibilitySection, CredibilityTable, Level, ModelRisk,
    Ranking, Recomputed, SOURCE_TESTS, SourceTest, Verdict, credibility,
};
pub use export::{ExportError, TimesToEvents};
pub use power::{Power, PowerInput, PowerRow, power};
pub use rank::{PointLayout, RankError, RankFactor, RankInput, Ranked, rank};
pub use report::{
    Findings, Group, PowerCurve, PowerPoint, PrimaryComparison, Ranks, Report, ReportError,
    ReportInput, Tornado, TornadoBar,
};
pub use text::column_names;
pub use validate::{
    Outcome, Patients, PatientsError, PointCells, Predicted, ValidateError, ValidateInput,
    Validation, validate,
};
