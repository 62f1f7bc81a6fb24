//! Integer tallies that merge exactly, and the estimators on them.
mod apart;
pub mod band;
pub mod cells;
pub mod coupled;
pub mod curve;
pub mod distribution;
pub mod estimate;
pub mod group_sequential;
pub mod hazard;
mod influence;
pub mod multiplicity;
mod pairs;
pub mod power;
pub mod rank;
pub mod ranking;
pub mod ratio;
pub mod records;
pub mod recovery;
pub mod risk;
mod sample;
pub mod sensitivity;
pub mod share;
pub mod tally;
pub mod validation;
pub mod virtual_trial;

pub use coupled::{Coupled, CoupledTest, JointExits};
pub use curve::{Curve, Quantity};
pub use estimate::{Contrast, Delay, Estimate, MeanContrast, NumberNeededToTreat, PairedCurves};
pub use rank::{GroupTest, Weights};
pub use ratio::{HazardRatio, Ties};
pub use records::{RecordColumn, RecordValues};
pub use risk::RiskTable;
pub use sample::quantile;
pub use share::Share;
pub use tally::{
    Accumulator, ArmRecord, CAUSES, Cause, ENDPOINTS, Endpoint, Exit, ExitKind, ORIGINS, Shape,
    Table, Tally, TallyError,
};
