//! Integer tallies that merge exactly, and the estimators on them.
pub mod tally;

pub use tally::{
    Accumulator, ArmRecord, CAUSES, Cause, ENDPOINTS, Endpoint, Exit, ExitKind, ORIGINS, Shape,
    Table, Tally, TallyError,
};
