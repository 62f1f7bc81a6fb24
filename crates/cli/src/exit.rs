//! Exit codes, which are public: scripts rely on them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use reseed_coordinator::serve::{CoordinateError, ListenError};
use reseed_coordinator::{Fatal, OpenError, PlanError};
use reseed_protocol::channel::ConnectError;
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
    /// The coordinator cannot be reached, or does not have us.
    Unreachable = 7,
    /// The run that was worked for has failed.
    RunFailed = 8,
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
  7   the coordinator cannot be reached, or refuses this worker or operator
  8   the run that this worker worked for has failed; the coordinator says why
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
    #[error("{0}")]
    Unreachable(String),
    #[error("the run has failed: {0}")]
    RunFailed(String),
    #[error(transparent)]
    Connect(Box<ConnectError>),
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A failed run, told with the names of its workers.
    #[error("{text}")]
    Coordinated { text: String, fatal: Box<Fatal> },
    #[error("{0}")]
    Broken(String),
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
            Self::System { .. }
            | Self::Broken(_)
            | Self::Credential(CredentialError::Read { .. })
            | Self::Listen(ListenError::Bind { .. }) => Exit::System,
            Self::Connect(error) if error.is_of_the_caller() => Exit::Usage,
            Self::Listen(_)
            | Self::Usage(_)
            | Self::Trial(_)
            | Self::Credential(_)
            | Self::Plan(PlanError::EmptyShard | PlanError::TooMany { .. }) => Exit::Usage,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Run(fatal) => of_fatal(fatal),
            Self::Coordinated { fatal, .. } => of_fatal(fatal),
            Self::Results(error) => of_results(error),
            Self::File(_) | Self::Plan(_) => Exit::File,
            Self::Mismatch(_) => Exit::Mismatch,
            Self::Unreachable(_) | Self::Connect(_) => Exit::Unreachable,
            Self::RunFailed(_) => Exit::RunFailed,
            Self::Certificate(_) | Self::Internal(_) => Exit::Internal,
        }
    }
}

fn of_fatal(fatal: &Fatal) -> Exit {
    match fatal {
        Fatal::Cancelled { .. } => Exit::Interrupted,
        Fatal::Conflict { .. } => Exit::Mismatch,
        Fatal::Deterministic { .. } | Fatal::TooManyFailures { .. } => Exit::Internal,
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
        | ResultsError::Older { .. }
        | ResultsError::Damaged { .. }
        | ResultsError::Foreign { .. }
        | ResultsError::Overlap { .. }
        | ResultsError::Tally { .. } => Exit::File,
        ResultsError::Conflict { .. } => Exit::Mismatch,
        ResultsError::Contents(_) => Exit::Internal,
    }
}

impl From<CoordinateError> for Failure {
    fn from(error: CoordinateError) -> Self {
        match error {
            CoordinateError::Run { text, fatal } => {
                let fatal = Box::new(fatal);
                Self::Coordinated { text, fatal }
            }
            CoordinateError::Results(error) => error.into(),
            CoordinateError::Internal(text) => Self::Internal(text),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Results(error) => error.into(),
            OpenError::Plan(error) => error.into(),
            OpenError::AcrossLook(error) => Self::File(error.to_string()),
            error @ OpenError::Evidence(_) => Self::Mismatch(error.to_string()),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}
