//! From a trial file to a checked trial.
//!
//! A trial file is TOML. It is complete, or names a preset as its `base` and overrides it key by
//! key. [`Trial::parse`] reads and checks it and explains what is wrong; the result holds the
//! model's [`Scenario`](reseed_model::scenario::Scenario) and how to count and compare. Nothing
//! here reads files or clocks.

mod canonical;
mod check;
mod design;
mod diagnostic;
mod document;
mod drug_tables;
mod drugs;
mod field;
mod histogram;
mod precision;
mod preset;
mod primary;
mod priors;
mod read;
mod schema;
mod strata;
mod tables;
mod trial;
mod uncertainty;
mod virtual_trials;

pub use design::Design;
pub use diagnostic::{Diagnostic, TrialError};
pub use histogram::Histogram;
pub use precision::{PRECISION_MAX_POINTS, looks};
pub use preset::{preset_names, preset_text};
pub use primary::PrimaryEstimate;
pub use reseed_model::MODEL_VERSION;
pub use schema::json_schema;
pub use strata::{Axis, STRATA_MAX, Strata};
pub use trial::{DAYS_PER_MONTH, DAYS_PER_YEAR, Primary, Trial, exclusion_names};
pub use uncertainty::{Factor, PointError, Prior, Uncertainty};
pub use virtual_trials::VirtualTrials;
