//! Logs, on stderr.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;

use crate::args::LogFormat;

/// Sends everything up to `level` to stderr.
pub(crate) fn start(level: LevelFilter, format: LogFormat) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().with_current_span(true).init(),
    }
}
