//! Ctrl-C and termination.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::{Exit, Failure};

/// What signals do, from the first time that any work looks at them.
static SIGNALS: LazyLock<std::io::Result<Signals>> = LazyLock::new(Signals::listen);

#[derive(Default)]
struct Signals {
    /// Raised by the first signal.
    stop: Arc<AtomicBool>,
    /// Whether a signal ends the program at once, because nobody looks at the flag.
    at_once: Arc<AtomicBool>,
}

impl Signals {
    /// The order matters: shutdowns look at the flags before the signal raises one.
    fn listen() -> std::io::Result<Self> {
        let signals = Self::default();
        let exit = Exit::Interrupted as i32;
        flag::register_conditional_shutdown(SIGINT, exit, Arc::clone(&signals.stop))?;
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, exit, Arc::clone(&signals.at_once))?;
            flag::register(signal, Arc::clone(&signals.stop))?;
        }
        Ok(signals)
    }
}

/// A flag that the first interrupt or termination signal raises. A second Ctrl-C ends the program at
/// once; nothing is lost by that either, since committed parts are on disk. Termination may be asked for
/// any number of times, as schedulers and their scripts do: those who lose patience have SIGKILL.
///
/// While nobody holds the flag, any signal ends the program.
pub(crate) struct StopFlag(&'static Signals);

impl StopFlag {
    /// The flag, for somebody who looks at it on their own.
    pub(crate) fn share(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0.stop)
    }
}

impl Deref for StopFlag {
    type Target = AtomicBool;

    fn deref(&self) -> &AtomicBool {
        &self.0.stop
    }
}

impl Drop for StopFlag {
    fn drop(&mut self) {
        self.0.at_once.store(true, Ordering::Relaxed);
    }
}

/// Whether the flag was raised.
pub(crate) fn is_stopped() -> bool {
    let signals = SIGNALS.as_ref();
    signals.is_ok_and(|signals| signals.stop.load(Ordering::Relaxed))
}

/// Listens to signals for as long as the flag is held.
pub(crate) fn stop_flag() -> Result<StopFlag, Failure> {
    let signals = SIGNALS
        .as_ref()
        .map_err(|error| Failure::Internal(format!("cannot listen for signals: {error}")))?;
    signals.at_once.store(false, Ordering::Relaxed);
    Ok(StopFlag(signals))
}
