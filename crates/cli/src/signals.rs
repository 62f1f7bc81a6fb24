//! Ctrl-C and termination.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::{Exit, Failure};

/// A flag that the first interrupt or termination signal sets. A second Ctrl-C ends the program at
/// once; nothing is lost by that either, since committed parts are on disk. Termination may be asked for
/// any number of times, as schedulers and their scripts do: those who lose patience have SIGKILL.
pub(crate) fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    // The order matters: the shutdown looks at the flag before the signal sets it.
    flag::register_conditional_shutdown(SIGINT, Exit::Interrupted as i32, Arc::clone(&stop))
        .and_then(|_| flag::register(SIGINT, Arc::clone(&stop)))
        .and_then(|_| flag::register(SIGTERM, Arc::clone(&stop)))
        .map_err(|error| Failure::Internal(format!("cannot listen for signals: {error}")))?;
    Ok(stop)
}
