//! `reseed work`: compute for a coordinator.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use reseed_protocol::PROTOCOL_REVISION;
use reseed_protocol::messages::{NAME_BYTES_MAX, Session, Versions};
use reseed_trial::MODEL_VERSION;
use reseed_worker::{Config, Outcome, Settings};

use super::coordinate::raised;
use crate::access;
use crate::args::JoinWork;
use crate::exit::Failure;
use crate::identity::ENGINE_VERSION;
use crate::machine;
use crate::output::Chatter;
use crate::signals;

/// Shards held ahead for every so many threads.
const THREADS_PER_SHARD_AHEAD: usize = 4;

pub(crate) fn work(args: &JoinWork, chatter: Chatter) -> Result<(), Failure> {
    let config = config(args)?;
    let stop = signals::stop_flag()?;
    let threads = config.settings.threads;
    chatter.say(&format!(
        "{}: {threads} {} for {}",
        config.name,
        if threads == 1 { "thread" } else { "threads" },
        config.coordinator.name()
    ));
    let spool = config.spool.clone();
    let worked = access::runtime()?.block_on(reseed_worker::work(config, raised(stop.share())));
    let (outcome, left) = worked.map_err(Failure::system("use the spool", &spool))?;
    if let Some(folder) = left {
        chatter.say(&format!(
            "finished parts are left in {}; a worker with --spool {} delivers them",
            folder.display(),
            folder.display()
        ));
    }
    match outcome {
        Outcome::Finished => {
            chatter.say("the run is complete");
            Ok(())
        }
        Outcome::Left => {
            chatter.say("left as an operator asked");
            Ok(())
        }
        Outcome::Stopped => Err(Failure::Interrupted(
            "left before the run is complete (told to stop, or the machine is taken away), start \
             it again to go on"
                .into(),
        )),
        Outcome::RunFailed(problem) => Err(Failure::RunFailed(problem)),
        Outcome::Refused(problem) => Err(Failure::Unreachable(problem)),
        Outcome::Unreachable(problem) => Err(Failure::Unreachable(format!(
            "gave up after {} s without a coordinator: {problem}",
            args.patience
        ))),
        Outcome::Broken(problem) => Err(Failure::Broken(problem)),
    }
}

fn config(args: &JoinWork) -> Result<Config, Failure> {
    let threads = threads(args);
    let mut session = Session([0; 16]);
    getrandom::fill(&mut session.0)
        .map_err(|error| Failure::Internal(format!("the system has no random bytes ({error})")))?;
    let jitter_seed = session
        .0
        .iter()
        .fold(0u64, |seed, byte| seed.rotate_left(8) ^ u64::from(*byte));
    let temporary = || {
        let name = format!("reseed-spool-{}-{jitter_seed:016x}", std::process::id());
        env::temp_dir().join(name)
    };
    Ok(Config {
        coordinator: access::coordinator(&args.access, access::WORKER)?,
        session,
        name: name(args)?,
        versions: Versions {
            protocol_revision: PROTOCOL_REVISION,
            engine: ENGINE_VERSION.into(),
            model: MODEL_VERSION.into(),
        },
        machine: machine::describe(threads),
        settings: Settings {
            threads,
            ahead: threads.div_ceil(THREADS_PER_SHARD_AHEAD),
            grace_ms: args.grace.saturating_mul(1000),
            patience_ms: args.patience.saturating_mul(1000),
            ends_at: seconds_left(args).map(|seconds| seconds.saturating_mul(1000)),
            jitter_seed,
        },
        spool_is_temporary: args.spool.is_none(),
        spool: args.spool.clone().unwrap_or_else(temporary),
    })
}

fn name(args: &JoinWork) -> Result<String, Failure> {
    let name = args.name.clone().unwrap_or_else(machine::process);
    if name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Failure::Usage(format!(
            "--name is too long or has control characters; at most {NAME_BYTES_MAX} bytes are \
             possible"
        )));
    }
    Ok(name)
}

/// Threads that were asked for, or those that the machine or its scheduler gives.
fn threads(args: &JoinWork) -> usize {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    // Without the first, a task is meant to be alone on its node.
    let granted = number("SLURM_CPUS_PER_TASK")
        .or_else(|| number("SLURM_CPUS_ON_NODE"))
        .and_then(|number| usize::try_from(number).ok());
    args.threads.map_or_else(
        || granted.map_or(available, |granted| granted.clamp(1, available)),
        usize::from,
    )
}

/// Seconds until this machine is taken away, if anybody knows.
fn seconds_left(args: &JoinWork) -> Option<u64> {
    args.time_left.or_else(|| {
        let end = number("SLURM_JOB_END_TIME")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Some(end.saturating_sub(now.as_secs()))
    })
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn parsed(line: &str) -> JoinWork {
        match Cli::parse_from(line.split_whitespace()).command {
            Some(Command::Work(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_worker_is_called_after_its_host_and_has_a_session_of_its_own() {
        let args = parsed("reseed work --connect http://127.0.0.1:1 --threads 3 --grace 4");
        let (one, other) = (config(&args).expect("good"), config(&args).expect("good"));
        assert!(one.name.contains("process"));
        assert_ne!(one.session, other.session);
        assert_ne!(one.spool, other.spool);
        assert_eq!((one.settings.threads, one.settings.ahead), (3, 1));
        assert_eq!(one.settings.grace_ms, 4000);
        assert!(one.spool_is_temporary);
    }

    #[test]
    fn the_time_that_is_left_can_be_said() {
        let args = parsed("reseed work --connect http://127.0.0.1:1 --time-left 90");
        let settings = config(&args).expect("good").settings;
        assert_eq!(settings.ends_at, Some(90_000));
    }
}
