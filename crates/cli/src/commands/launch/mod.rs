//! `reseed launch`: a trial on a cluster that others schedule.

mod kubernetes;
mod slurm;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::args::Keys;
use crate::commands::keys;
use crate::exit::Failure;
use crate::output::Chatter;

pub(crate) use kubernetes::{COMPONENTS, kubernetes};
pub(crate) use slurm::slurm;

/// Between two looks at a run.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Makes keys for a run alone.
fn make_keys(folder: PathBuf, hosts: Vec<String>, days: u16) -> Result<(), Failure> {
    let made = Keys {
        folder,
        host: hosts,
        days,
        worker: Vec::new(),
        json: false,
    };
    keys::keys(&made, Chatter::SILENT)
}

/// Looks at a run until there is an answer. So many looks may fail in a row: what is asked may be
/// restarted meanwhile.
fn look_until<T>(
    failed_max: u32,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let mut failed = 0;
    loop {
        match look() {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => failed = 0,
            Err(failure) if failed == failed_max => return Err(failure),
            Err(_) => failed += 1,
        }
        thread::sleep(LOOK_EVERY);
    }
}
