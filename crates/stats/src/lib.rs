//! Integer tallies that merge exactly, and the estimators on them.
pub mod estimate;
pub mod records;
pub mod tally;

pub use estimate::{Contrast, Estimate, NumberNeededToTreat};
pub use records::{RecordColumn, RecordValues};
pub use tally::{
    Accumulator, ArmRecord, CAUSES, Cause, ENDPOINTS, Endpoint, Exit, ExitKind, ORIGINS, Shape,
    Table, Tally, TallyError,
};
