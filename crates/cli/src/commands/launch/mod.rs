//! `reseed launch`: a trial on a cluster that others schedule.

mod slurm;

pub(crate) use slurm::slurm;
