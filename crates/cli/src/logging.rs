//! Logs on stderr, and traces for an OpenTelemetry collector.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::LogFormat;
use crate::telemetry::{self, Telemetry};

/// Sends everything up to `level` to stderr, and spans to the collector that the environment
/// names. Traces are complete once what is returned has been dropped.
pub(crate) fn start(level: LevelFilter, format: LogFormat) -> Telemetry {
    let log = fmt::layer().with_writer(io::stderr).with_target(false);
    let log = match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => log.json().with_current_span(true).boxed(),
    };
    let (traces, telemetry) = telemetry::start();
    tracing_subscriber::registry()
        .with(log.with_filter(level))
        .with(traces)
        .init();
    telemetry.report();
    telemetry
}
