//! The command line.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use reseed_stats::Endpoint;
use tracing::level_filters::LevelFilter;

use crate::exit;

/// Simulates clinical trials of tumour self-seeding: the same virtual patients live once under
/// every therapy.
///
/// A trial file (or a preset) says who the patients are, what their tumours do and which
/// therapies are compared. `run` simulates it into an HDF5 file, `compare` prints the therapies
/// against the control. A result depends on the model version, the trial and the seed alone:
/// not on threads, machines or interruptions.
#[derive(Debug, Parser)]
#[command(
    name = "reseed",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_long_help = examples(),
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Log what happens to stderr, down to this level [off, error, warn, info, debug, trace]
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "warn",
        hide_possible_values = true
    )]
    pub(crate) log: LevelFilter,

    /// Say nothing but errors and results
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Show no progress
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

fn examples() -> String {
    format!(
        "\
Examples:
  reseed run breast                                   a million patients into breast.h5
  reseed run breast --patients 10000 --out small.h5   fewer, for a first look
  reseed compare breast.h5                            therapies against the control
  reseed trial show breast > mine.toml                a preset to edit; then: reseed run mine.toml
  reseed patient breast.h5 --index 42                 what happened to one patient, and why
  reseed verify breast.h5 --fraction 1                compute everything again and compare

Results and --json go to stdout, everything else to stderr.

{}",
        exit::HELP
    )
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Run),
    Compare(Compare),
    /// Check, expand and list trial files
    #[command(subcommand)]
    Trial(Trial),
    Patient(Patient),
    Verify(Verify),
    Extend(Extend),
    Merge(Merge),
    Digest(Digest),
    Keys(Keys),
    Completions(Completions),
}

/// Simulate a trial into a result file
///
/// Finished shards are kept beside the result, in FILE.h5.parts, until it is complete. So a run
/// that was stopped (Ctrl-C, a crash, a full disk) goes on where it was when the same command
/// is given again. Neither interruptions nor the number of threads change a bit of the result.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed run breast
  reseed run mine.toml --patients 10000000 --seed 7 --threads 4 --out mine.h5
  reseed run breast --first-patient 1000000 --out second.h5    the second million; see `merge`")]
pub(crate) struct Run {
    /// Trial file, or name of a preset (see `reseed trial presets`)
    pub(crate) trial: String,

    /// Patients to screen [default: the trial's]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) patients: Option<u64>,

    /// Seed of all randomness [default: the trial's]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,

    /// Index of the first patient to screen
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) first_patient: u64,

    /// Keep a record of every enrolled patient
    #[arg(long)]
    pub(crate) records: bool,

    /// Result file [default: the trial's name with .h5]
    #[arg(long, short, value_name = "FILE.h5")]
    pub(crate) out: Option<PathBuf>,

    /// Replace an existing result of another run
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) work: Work,

    /// Print a summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How to compute; changes nothing in the result.
#[derive(Debug, Clone, Args)]
pub(crate) struct Work {
    /// Threads to compute on [default: all cores]
    #[arg(long, short, value_name = "T", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Patients in a shard [default: from a measurement]
    #[arg(long, value_name = "N", hide = true, value_parser = count)]
    pub(crate) shard_patients: Option<u64>,
}

impl Work {
    /// Number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        )
    }
}

/// Compare the therapies of a result with its control
///
/// Every patient lived once under every therapy, so differences are paired: each has a standard
/// error far below that of two separate groups.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed compare breast.h5
  reseed compare breast.h5 --endpoint local --years 1,5,10 --by-stratum
  reseed compare breast.h5 --json | jq '.rows[] | select(.endpoint == \"local\")'")]
pub(crate) struct Compare {
    /// Result file
    pub(crate) file: PathBuf,

    /// Times, years from resection [default: the trial's]
    #[arg(long, value_name = "Y", value_delimiter = ',')]
    pub(crate) years: Vec<f64>,

    /// Endpoints [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = endpoint_parser())]
    pub(crate) endpoint: Vec<String>,

    /// Compare within each stratum too
    #[arg(long)]
    pub(crate) by_stratum: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trial {
    /// Check a trial file; silent and 0 if it is right
    Check {
        /// Trial file, or name of a preset
        trial: String,
        /// Print what is wrong as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a trial with every value explicit, documented, and all it inherits filled in
    Show {
        /// Trial file, or name of a preset
        trial: String,
        /// Print a preset's own file, with the source of every number
        #[arg(long)]
        source: bool,
    },
    /// List the embedded presets
    Presets {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of trial files, for editors
    Schema,
}

/// Replay one patient, event by event
///
/// Shows the colonies that were founded, by whom and in which therapies, when they were
/// detected, and why each therapy lost or kept them.
#[derive(Debug, Args)]
pub(crate) struct Patient {
    /// Result file, trial file, or name of a preset
    pub(crate) source: String,

    /// Index of the patient in the screening order
    #[arg(long, value_name = "N")]
    pub(crate) index: u64,

    /// Show this therapy only
    #[arg(long, value_name = "NAME")]
    pub(crate) arm: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Compute recorded shards again and compare their digests
///
/// The total digest is checked in any case. Which shards are computed again depends on the
/// result alone, so that the same command checks the same shards.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Result file
    pub(crate) file: PathBuf,

    /// Fraction of the patients to compute again; 1 for all
    #[arg(long, value_name = "F", default_value_t = 0.05, value_parser = fraction)]
    pub(crate) fraction: f64,

    #[command(flatten)]
    pub(crate) work: Work,

    /// Print a summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Simulate more patients into a result
///
/// The file is replaced by one with patients 0 to N, equal to a run of N patients from the
/// start. Until then it stays as it is; an interrupted extension goes on like a run.
#[derive(Debug, Args)]
pub(crate) struct Extend {
    /// Result file
    pub(crate) file: PathBuf,

    /// Patients that the result should have
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) patients: u64,

    #[command(flatten)]
    pub(crate) work: Work,

    /// Print a summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Add up results of different patients of the same trial and seed
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  reseed run breast --patients 500000 --out a.h5
  reseed run breast --patients 500000 --first-patient 500000 --out b.h5
  reseed merge a.h5 b.h5 --out breast.h5")]
pub(crate) struct Merge {
    /// Result files
    #[arg(required = true, num_args = 2..)]
    pub(crate) files: Vec<PathBuf>,

    /// Result file to write
    #[arg(long, short, value_name = "FILE.h5")]
    pub(crate) out: PathBuf,

    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

/// Print the digest of a result, one line of hex
///
/// Equal digests mean equal trial, seed and counts.
#[derive(Debug, Args)]
pub(crate) struct Digest {
    /// Result file
    pub(crate) file: PathBuf,
}

/// Make the certificates, keys and token by which a cluster knows its members
///
/// Makes a small certificate authority in a folder and signs a certificate for the coordinator,
/// for workers and for operators. With an authority there already, it signs new certificates by
/// it: the same command renews all of them, with the names they had. A coordinator takes new
/// files without a restart, workers take theirs at their next connection.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed keys keys --host node1.cluster --host 10.0.0.7
  reseed keys keys --worker partition-a --worker partition-b --days 90
  reseed keys keys                                               again: renews them")]
pub(crate) struct Keys {
    /// Folder for the files; made if it is absent
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,

    /// Name or address by which the coordinator is reached, besides this machine's own
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,

    /// Days for which certificates are good
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub(crate) days: u16,

    /// Name of a workers' certificate [default: those that there are, or worker]
    #[arg(long, value_name = "NAME")]
    pub(crate) worker: Vec<String>,

    /// Print what was made as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print shell completions
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  reseed completions bash > ~/.local/share/bash-completion/completions/reseed")]
pub(crate) struct Completions {
    /// For which shell
    pub(crate) shell: Shell,
}

fn endpoint_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(Endpoint::ALL.map(Endpoint::name))
}

/// A positive number of patients; `_` may group digits.
fn count(text: &str) -> Result<u64, String> {
    match text.replace('_', "").parse() {
        Ok(0) => Err("at least 1 is needed".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("a whole number such as 1000000 or 1_000_000 is needed".into()),
    }
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number <= 1.0 => Ok(number),
        _ => Err("a number above 0 and up to 1 is needed".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_are_checked() {
        assert_eq!(count("1_000"), Ok(1000));
        assert!(count("0").is_err() && count("many").is_err() && count("-3").is_err());
        assert_eq!(fraction("1"), Ok(1.0));
        assert!(fraction("0").is_err() && fraction("1.1").is_err() && fraction("nan").is_err());
    }
}
