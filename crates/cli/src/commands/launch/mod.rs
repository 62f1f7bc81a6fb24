//! `reseed launch`: a trial on a cluster that others schedule.

mod kubernetes;
mod slurm;

pub(crate) use kubernetes::{COMPONENTS, kubernetes};
pub(crate) use slurm::slurm;
