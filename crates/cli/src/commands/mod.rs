//! One module per command.

pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod digest;
pub(crate) mod extend;
pub(crate) mod keys;
pub(crate) mod merge;
pub(crate) mod patient;
pub(crate) mod run;
pub(crate) mod trial;
pub(crate) mod verify;
