//! The `reseed` program: arguments, files, progress and exit codes around the libraries.

mod access;
mod args;
mod authority;
mod commands;
mod exit;
mod figures;
mod findings;
mod gaps;
mod identity;
mod logging;
mod machine;
mod output;
mod precision;
mod progress;
mod shards;
mod signals;
mod source;
mod telemetry;
mod timeline;
mod version;
mod whole;

use std::panic;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command, Launch};
use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _telemetry = logging::start(cli.log, cli.log_format);
    // A panic is a fault of this program; its message is printed by then.
    let exit = match panic::catch_unwind(|| answer(&cli)) {
        Ok(Ok(())) => Exit::Done,
        Ok(Err(failure)) => {
            output::report(&failure);
            failure.exit()
        }
        Err(_) => Exit::Internal,
    };
    exit.into()
}

fn answer(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        _ if cli.which.version => version::version(cli.which.verbose),
        Some(command) => dispatch(command, output::Chatter::new(cli)),
        None => Cli::command()
            .error(
                ErrorKind::MissingSubcommand,
                "a command is needed, such as `run`",
            )
            .exit(),
    }
}

fn dispatch(command: &Command, chatter: output::Chatter) -> Result<(), Failure> {
    match command {
        Command::Run(args) => commands::run::run(args, chatter),
        Command::Coordinate(args) => commands::coordinate::coordinate(args, chatter),
        Command::Work(args) => commands::work::work(args, chatter),
        Command::Launch(Launch::Slurm(args)) => commands::launch::slurm(args, chatter),
        Command::Launch(Launch::Kubernetes(args)) => commands::launch::kubernetes(args, chatter),
        Command::Status(args) => commands::status::status(args),
        Command::Drain(args) => commands::operate::drain(args, chatter),
        Command::Cancel(args) => commands::operate::cancel(args, chatter),
        Command::Compare(args) => commands::compare::compare(args),
        Command::Power(args) => commands::power::power(args, chatter),
        Command::Rank(args) => commands::rank::rank(args, chatter),
        Command::Calibrate(args) => commands::calibrate::calibrate(args, chatter),
        Command::Report(args) => commands::report::report(args, chatter),
        Command::Validate(args) => commands::validate::validate(args),
        Command::Credibility(args) => commands::credibility::credibility(args, chatter),
        Command::Export(args) => commands::export::export(args),
        Command::Trial(command) => commands::trial::trial(command, chatter),
        Command::Patient(args) => commands::patient::patient(args),
        Command::Verify(args) => commands::verify::verify(args, chatter),
        Command::Extend(args) => commands::extend::extend(args, chatter),
        Command::Merge(args) => commands::merge::merge(args, chatter),
        Command::Digest(args) => commands::digest::digest(args),
        Command::Keys(args) => commands::keys::keys(args, chatter),
        Command::Completions(args) => commands::completions::completions(args),
        Command::Man(args) => commands::man::man(args),
    }
}
