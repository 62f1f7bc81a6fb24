//! What people and programs read: results on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::args::Cli;
use crate::exit::Failure;

/// How much to say on stderr.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chatter {
    quiet: bool,
    pub(crate) progress: bool,
}

impl Chatter {
    /// Says nothing, shows nothing.
    pub(crate) const SILENT: Self = Self {
        quiet: true,
        progress: false,
    };

    pub(crate) fn new(cli: &Cli) -> Self {
        Self {
            quiet: cli.quiet,
            progress: !cli.quiet && !cli.no_progress,
        }
    }

    /// Tells people something that is neither a result nor an error.
    pub(crate) fn say(self, text: &str) {
        if !self.quiet {
            tell(text);
        }
    }
}

/// Says something on stderr. Lines of processes that share a terminal stay whole, because each is
/// one write.
pub(crate) fn tell(text: &str) {
    // If nobody listens, there is nobody to tell that either.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Prints a result. A reader that has seen enough (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::system(
            "write to",
            "standard output".as_ref(),
        )(error)),
        _ => Ok(()),
    }
}

/// Prints a result of several lines.
pub(crate) fn print_lines(lines: &[String]) -> Result<(), Failure> {
    print(&(lines.join("\n") + "\n"))
}

/// Prints a result as JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::Internal(format!("cannot write JSON: {error}")))?;
    print(&format!("{text}\n"))
}

/// Prints a failure on stderr.
pub(crate) fn report(failure: &Failure) {
    match failure {
        // These diagnostics have their own form, with the offending lines.
        Failure::Trial(error) => tell(&error.render(io::stderr().is_terminal())),
        Failure::Interrupted(text) => tell(text),
        other => tell(&format!("error: {other}")),
    }
}

/// A number with its thousands grouped.
pub(crate) fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}
