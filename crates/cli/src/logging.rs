//! Logs, on stderr.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;

/// Sends everything up to `level` to stderr.
pub(crate) fn start(level: LevelFilter) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
}
