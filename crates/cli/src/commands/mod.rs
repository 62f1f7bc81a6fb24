//! One module per command.

pub(crate) mod calibrate;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod coordinate;
pub(crate) mod credibility;
pub(crate) mod digest;
pub(crate) mod export;
pub(crate) mod extend;
pub(crate) mod keys;
pub(crate) mod launch;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod operate;
pub(crate) mod patient;
pub(crate) mod power;
pub(crate) mod rank;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod trial;
pub(crate) mod validate;
pub(crate) mod verify;
pub(crate) mod work;
