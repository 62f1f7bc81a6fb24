//! Integer tallies that merge exactly, and the estimators on them.
pub mod curve;
pub mod distribution;
pub mod estimate;
pub mod hazard;
pub mod multiplicity;
pub mod rank;
pub mod ratio;
pub mod records;
pub mod risk;
pub mod share;
pub mod tally;

pub use curve::{Curve, Quantity};
pub use estimate::{Contrast, Estimate, MeanContrast, NumberNeededToTreat};
pub use rank::{GroupTest, Weights};
pub use ratio::{HazardRatio, Ties};
pub use records::{RecordColumn, RecordValues};
pub use risk::RiskTable;
pub use share::Share;
pub use tally::{
    Accumulator, ArmRecord, CAUSES, Cause, ENDPOINTS, Endpoint, Exit, ExitKind, ORIGINS, Shape,
    Table, Tally, TallyError,
};
