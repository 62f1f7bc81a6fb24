//! Exit codes, which are public: scripts rely on them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use reseed_coordinator::{Fatal, PlanError};
use reseed_protocol::credentials::CredentialError;
use reseed_results::ResultsError;
use reseed_trial::TrialError;
use thiserror::Error;

/// How the program ends. [`HELP`] tells users the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// The command line or the trial file is wrong.
    Usage = 2,
    /// Stopped before the end; the same command goes on.
    Interrupted = 3,
    /// The system refused something: disk full, no permission, no such file.
    System = 4,
    /// A result file is damaged, of another kind, or of another run.
    File = 5,
    /// Two computations of the same patients differ.
    Mismatch = 6,
    /// The program contradicts itself.
    Internal = 70,
}

/// The table of exit codes for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0   done
  2   wrong command line or trial file
  3   interrupted; run the same command again to go on
  4   the system refused something: disk full, no permission, no such file
  5   a result file is damaged, of another kind, or of another run
  6   verification failed: two computations of the same patients differ
  70  a fault of reseed itself; please report it";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Trial(#[from] TrialError),
    #[error("cannot {action} {}: {source}", path.display())]
    System {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{0}")]
    Interrupted(String),
    #[error(transparent)]
    Results(#[from] ResultsError),
    #[error("{0}")]
    File(String),
    #[error("{0}")]
    Mismatch(String),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("cannot make a certificate ({0})")]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Run(#[from] Fatal),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// Wraps an error of the system, for use with `map_err`.
    pub(crate) fn system(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// The class of the failure.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::System { .. } | Self::Credential(CredentialError::Read { .. }) => Exit::System,
            Self::Usage(_)
            | Self::Trial(_)
            | Self::Credential(_)
            | Self::Plan(PlanError::EmptyShard | PlanError::TooMany { .. }) => Exit::Usage,
            Self::Interrupted(_) | Self::Run(Fatal::Cancelled { .. }) => Exit::Interrupted,
            Self::Results(error) => of_results(error),
            Self::File(_) | Self::Plan(_) => Exit::File,
            Self::Mismatch(_) | Self::Run(Fatal::Conflict { .. }) => Exit::Mismatch,
            Self::Run(_) | Self::Certificate(_) | Self::Internal(_) => Exit::Internal,
        }
    }
}

fn of_results(error: &ResultsError) -> Exit {
    match error {
        ResultsError::Io { .. }
        | ResultsError::Hdf5 { .. }
        | ResultsError::Locked { .. }
        | ResultsError::Fenced { .. } => Exit::System,
        ResultsError::Kind { .. }
        | ResultsError::Newer { .. }
        | ResultsError::Damaged { .. }
        | ResultsError::Foreign { .. }
        | ResultsError::Overlap { .. }
        | ResultsError::Tally { .. } => Exit::File,
        ResultsError::Conflict { .. } => Exit::Mismatch,
        ResultsError::Contents(_) => Exit::Internal,
    }
}
