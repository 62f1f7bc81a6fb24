//! Integer tallies that merge exactly, and the estimators on them.
pub mod curve;
pub mod distribution;
pub mod estimate;
pub mod records;
pub mod risk;
pub mod tally;

pub use curve::{Curve, Quantity};
pub use estimate::{Contrast, Estimate, NumberNeededToTreat};
pub use records::{RecordColumn, RecordValues};
pub use risk::RiskTable;
pub use tally::{
    Accumulator, ArmRecord, CAUSES, Cause, ENDPOINTS, Endpoint, Exit, ExitKind, ORIGINS, Shape,
    Table, Tally, TallyError,
};
