//! `reseed launch`: a trial on a cluster that others schedule.

mod kubernetes;

pub(crate) use kubernetes::{COMPONENTS, kubernetes};
