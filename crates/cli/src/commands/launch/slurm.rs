//! `reseed launch slurm`: a trial as a job of Slurm, or as a coordinator here and an array of workers.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::Ordering;

use clap::Parser;
use reseed_trial::Trial;

use super::{look_until, make_keys};
use crate::args::{self, Cli, LaunchSlurm};
use crate::authority;
use crate::commands::coordinate;
use crate::exit::Failure;
use crate::gaps::Summary;
use crate::output::{Chatter, print, print_lines};
use crate::whole::{Readers, write};
use crate::{access, gaps, signals, source};

/// One job: coordinator and workers.
const TRIAL_SCRIPT: (&str, &str) = (
    "trial.sbatch",
    include_str!("../../../../../deploy/slurm/trial.sbatch"),
);
/// Workers only.
const WORKERS_SCRIPT: (&str, &str) = (
    "workers.sbatch",
    include_str!("../../../../../deploy/slurm/workers.sbatch"),
);
/// Where in a store what is launched is kept.
const FOLDER: &str = "launch";
const TRIAL_FILE: &str = "trial.toml";
/// By which the scripts know the program.
const PROGRAM_VARIABLE: &str = "RESEED";
/// For how long the keys of a coordinator here are good.
const KEYS_DAYS: u16 = 30;
/// How often looking may fail in a row. A controller that is restarted answers again within that.
const LOOKS_FAILED_MAX: u32 = 30;

pub(crate) fn slurm(args: &LaunchSlurm, chatter: Chatter) -> Result<(), Failure> {
    let trial = source::chosen(&args.chosen)?;
    source::check_points(&trial, &(0..trial.patients))?;
    let launch = Launch::new(args, trial)?;
    if args.dry_run {
        return launch.show();
    }
    launch.prepare()?;
    let job = launch.submit()?;
    if args.elastic {
        chatter.say(&format!("workers: array {job} of {} tasks", args.nodes));
        return launch.coordinate(&job, chatter);
    }
    print(&format!("{job}\n"))?;
    let store = launch.store.display();
    chatter.say(&format!(
        "job {job}: {} on {} {}; progress: reseed status --store {store}; log: {}; result: {}",
        launch.trial.name,
        args.nodes,
        if args.nodes == 1 { "node" } else { "nodes" },
        launch.log(&job).display(),
        access::result_file(&launch.store).display(),
    ));
    if args.wait {
        launch.wait(&job, chatter)?;
    }
    Ok(())
}

/// What is submitted, and where it is kept.
struct Launch<'a> {
    args: &'a LaunchSlurm,
    trial: Trial,
    store: PathBuf,
    script: (&'static str, &'static str),
    program: PathBuf,
}

impl<'a> Launch<'a> {
    fn new(args: &'a LaunchSlurm, trial: Trial) -> Result<Self, Failure> {
        let store = args.store.clone();
        let store = store.unwrap_or_else(|| PathBuf::from(format!("{}.store", trial.name)));
        // Jobs start in folders of their own.
        let store = std::path::absolute(&store).map_err(Failure::system("find", &store))?;
        let program =
            std::env::current_exe().map_err(Failure::system("find", Path::new("this program")))?;
        Ok(Self {
            args,
            trial,
            store,
            script: if args.elastic {
                WORKERS_SCRIPT
            } else {
                TRIAL_SCRIPT
            },
            program,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.store.join(FOLDER).join(name)
    }

    fn log(&self, job: &str) -> PathBuf {
        self.path(&format!("{job}.log"))
    }

    /// Arguments of sbatch.
    fn arguments(&self) -> Vec<String> {
        let args = self.args;
        let text = |path: &Path| path.display().to_string();
        let (size, log) = if args.elastic {
            (["--array".into(), format!("1-{}", args.nodes)], "%A_%a")
        } else {
            (["--nodes".into(), args.nodes.to_string()], "%j")
        };
        let mut all = vec!["--parsable".to_owned()];
        all.extend(size);
        match args.cpus {
            Some(cpus) => all.extend(["--cpus-per-task".into(), cpus.to_string()]),
            None => all.push("--exclusive".into()),
        }
        all.extend(["--time".into(), args.time.clone()]);
        if let Some(partition) = &args.partition {
            all.extend(["--partition".into(), partition.clone()]);
        }
        all.extend(["--output".into(), text(&self.log(log))]);
        // Sites may set that nothing is exported; the script needs the name of the program.
        all.extend(["--export", "ALL"].map(str::to_owned));
        all.extend(args.sbatch.iter().cloned());
        all.push(text(&self.path(self.script.0)));
        all.push(text(&self.store));
        if !args.elastic {
            all.push(text(&self.path(TRIAL_FILE)));
        }
        all
    }

    /// The coordinator of an array's workers, as a command line.
    fn coordinator(&self) -> Vec<String> {
        let text = |path: PathBuf| path.display().to_string();
        let mut words: Vec<String> = ["reseed", "coordinate"].map(str::to_owned).into();
        words.push(text(self.path(TRIAL_FILE)));
        words.extend(["--store".into(), text(self.store.clone())]);
        words.extend(["--keys".into(), text(access::keys_folder(&self.store))]);
        words.extend(["--listen".into(), self.args.listen.clone()]);
        if let Some(host) = &self.args.advertise {
            words.extend(["--advertise".into(), host.clone()]);
        }
        words
    }

    /// Prints the command and the script that it submits.
    fn show(&self) -> Result<(), Failure> {
        let program = quoted(&[self.program.display().to_string()])?;
        let sbatch = [vec!["sbatch".into()], self.arguments()].concat();
        let mut lines = vec![format!("{PROGRAM_VARIABLE}={program} {}", quoted(&sbatch)?)];
        if self.args.elastic {
            lines.push(quoted(&self.coordinator())?);
        }
        lines.push(format!("\n# {}:", self.path(self.script.0).display()));
        lines.push(self.script.1.trim_end().to_owned());
        print_lines(&lines)
    }

    /// Puts into the store what jobs need.
    fn prepare(&self) -> Result<(), Failure> {
        authority::make_folder(&self.store)?;
        authority::make_folder(&self.store.join(FOLDER))?;
        let file = self.path(TRIAL_FILE);
        if file.exists() {
            self.check_same(&source::trial(&file.display().to_string())?)?;
        }
        // With everything explicit, so that nothing that changes elsewhere changes the run.
        write(&file, &self.trial.canonical_toml(), Readers::Owner)?;
        write(&self.path(self.script.0), self.script.1, Readers::Owner)
    }

    /// Fails if the store is that of another run.
    fn check_same(&self, before: &Trial) -> Result<(), Failure> {
        let trial = &self.trial;
        if before.fingerprint() == trial.fingerprint() && before.seed == trial.seed {
            return Ok(());
        }
        Err(Failure::File(format!(
            "{} is the store of another run ({}, seed {}), choose another --store, or remove it \
             if its results are no longer needed",
            self.store.display(),
            before.name,
            before.seed
        )))
    }

    /// Submits the job; returns its number.
    fn submit(&self) -> Result<String, Failure> {
        let mut sbatch = Command::new("sbatch");
        sbatch.args(self.arguments());
        sbatch.env(PROGRAM_VARIABLE, &self.program);
        let answer = answer(&mut sbatch)?;
        // With more than one cluster, its name follows.
        Ok(answer
            .trim()
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned())
    }

    /// Coordinates the workers of an array, and cancels it when nothing is left to do.
    fn coordinate(&self, job: &str, chatter: Chatter) -> Result<(), Failure> {
        let coordinated = self.serve(chatter);
        let cancelled = answer(Command::new("scancel").arg("--quiet").arg(job));
        coordinated.and(cancelled.map(drop))
    }

    fn serve(&self, chatter: Chatter) -> Result<(), Failure> {
        let hosts = self.args.advertise.iter().cloned().collect();
        make_keys(access::keys_folder(&self.store), hosts, KEYS_DAYS)?;
        // Exactly what --dry-run shows.
        match Cli::try_parse_from(self.coordinator()).map(|cli| cli.command) {
            Ok(Some(args::Command::Coordinate(coordinate))) => {
                coordinate::coordinate(&coordinate, chatter)
            }
            other => Err(Failure::Internal(format!("no coordinator: {other:?}"))),
        }
    }

    fn tell_result(&self, chatter: Chatter) -> Result<(), Failure> {
        let path = access::result_file(&self.store);
        let file = gaps::existing(&path)?.ok_or_else(|| {
            Failure::RunFailed(format!("the job has written no {}", path.display()))
        })?;
        Summary::of_trial(&self.trial, &path, &file).tell("is complete", false, chatter)
    }

    /// Waits until the job has left the queue.
    fn wait(&self, job: &str, chatter: Chatter) -> Result<(), Failure> {
        let stop = signals::stop_flag()?;
        let mut told = String::new();
        let state = look_until(LOOKS_FAILED_MAX, || {
            let state = state(job)?;
            if state.text != told {
                chatter.say(&format!("job {job}: {}", state.text));
                told.clone_from(&state.text);
            }
            let is_over = state.ended.is_some() || stop.load(Ordering::Relaxed);
            Ok(is_over.then_some(state))
        })?;
        match state.ended {
            Some(ended) => self.ended(job, ended, &state.text, chatter),
            None => Err(Failure::Interrupted(format!(
                "the job goes on without us; scancel {job} stops it"
            ))),
        }
    }

    fn ended(&self, job: &str, ended: Ended, state: &str, chatter: Chatter) -> Result<(), Failure> {
        let log = self.log(job);
        match ended {
            Ended::Well => self.tell_result(chatter),
            Ended::Early => Err(Failure::Interrupted(format!(
                "job {job} ended early ({state}); the same command goes on from {}",
                self.store.display()
            ))),
            Ended::Badly => Err(Failure::RunFailed(format!(
                "job {job} ended with {state}; {} says why",
                log.display()
            ))),
        }
    }
}

/// A command line for a shell.
fn quoted(words: &[String]) -> Result<String, Failure> {
    shlex::try_join(words.iter().map(String::as_str))
        .map_err(|_| Failure::Usage("an argument has a NUL character in it, remove it".into()))
}

/// What Slurm says of a job.
#[derive(Debug, PartialEq, Eq)]
struct State {
    text: String,
    ended: Option<Ended>,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Well,
    /// Not by a fault of its own: it would go on.
    Early,
    Badly,
}

fn state(job: &str) -> Result<State, Failure> {
    let mut scontrol = Command::new("scontrol");
    let text = answer(scontrol.args(["show", "job", "--oneliner", job]))?;
    Ok(State::read(&text))
}

impl State {
    /// Reads a line of `KEY=VALUE`.
    fn read(line: &str) -> Self {
        let value = |key: &str| {
            let mut words = line.split_whitespace();
            words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        };
        let known = |key| value(key).filter(|text| !matches!(*text, "" | "(null)" | "None"));
        let name = value("JobState").unwrap_or("UNKNOWN");
        let exit_code = value("ExitCode").unwrap_or_default();
        let ended = match name {
            "COMPLETED" => Some(Ended::Well),
            "CANCELLED" | "TIMEOUT" | "PREEMPTED" | "NODE_FAIL" | "DEADLINE" => Some(Ended::Early),
            "FAILED" if exit_code.starts_with("3:") => Some(Ended::Early),
            "FAILED" | "OUT_OF_MEMORY" | "BOOT_FAIL" | "REVOKED" => Some(Ended::Badly),
            _ => None,
        };
        let detail = match name {
            "PENDING" => known("Reason").map(str::to_owned),
            "RUNNING" => known("NodeList").map(|nodes| format!("on {nodes}")),
            "FAILED" => Some(format!("exit code {exit_code}")),
            _ => None,
        };
        let name = name.to_lowercase().replace('_', " ");
        let text = match detail {
            Some(detail) => format!("{name} ({detail})"),
            None => name,
        };
        Self { text, ended }
    }
}

/// What a command of Slurm prints.
fn answer(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().map_err(|error| absent(&name, &error))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    Err(Failure::Broken(format!(
        "{name} failed ({status}): {}",
        String::from_utf8_lossy(&stderr).trim()
    )))
}

fn absent(name: &str, error: &io::Error) -> Failure {
    Failure::Broken(format!(
        "cannot run {name} ({error}), launch from a machine that has the commands of Slurm"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (String, Option<Ended>) {
        let State { text, ended } = State::read(line);
        (text, ended)
    }

    #[test]
    fn states_of_jobs_are_understood() {
        let line = "JobId=7 JobName=reseed JobState=PENDING Reason=Resources Dependency=(null) \
                    NodeList=(null) ExitCode=0:0";
        assert_eq!(read(line), ("pending (Resources)".into(), None));
        let line = "JobId=7 JobState=RUNNING Reason=None NodeList=node[1-3] BatchHost=node1";
        assert_eq!(read(line), ("running (on node[1-3])".into(), None));
        let ended = |state, code| read(&format!("JobId=7 JobState={state} ExitCode={code}")).1;
        assert_eq!(ended("COMPLETED", "0:0"), Some(Ended::Well));
        assert_eq!(ended("COMPLETING", "0:0"), None);
        assert_eq!(ended("REQUEUED", "0:0"), None);
        for state in ["CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"] {
            assert_eq!(ended(state, "0:15"), Some(Ended::Early), "{state}");
        }
        assert_eq!(ended("FAILED", "3:0"), Some(Ended::Early));
        assert_eq!(ended("FAILED", "5:0"), Some(Ended::Badly));
        assert_eq!(ended("OUT_OF_MEMORY", "0:125"), Some(Ended::Badly));
    }

    #[test]
    fn command_lines_can_be_pasted_into_a_shell() {
        let words = ["sbatch", "a b", "--x", "it's"].map(str::to_owned);
        assert_eq!(quoted(&words).expect("no NUL"), "sbatch 'a b' --x \"it's\"");
        assert!(quoted(&["\0".to_owned()]).is_err());
    }
}
