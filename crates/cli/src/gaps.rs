//! From a goal to a result file: simulate what is missing, keep parts on the way, merge.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use reseed_coordinator::{Cut, PlanError, plan};
use reseed_results::{
    Attempt, Layout, Part, ResultFile, ResultsError, Store, read_result, write_result,
};
use reseed_stats::Tally;
use reseed_trial::Trial;
use serde::Serialize;

use crate::args;
use crate::exit::Failure;
use crate::identity::{self, ENGINE_VERSION};
use crate::output::{Chatter, grouped, print_json};
use crate::progress::{Meter, Rate};
use crate::shards::{self, Computed, Ending, Sink, Work};
use crate::signals;

/// A result file that shall exist.
pub(crate) struct Goal<'a> {
    pub(crate) trial: &'a Trial,
    pub(crate) seed: u64,
    /// Patients of the result.
    pub(crate) target: Range<u64>,
    pub(crate) out: &'a Path,
    /// The file at `out`, if its patients are to be kept.
    pub(crate) base: Option<&'a ResultFile>,
    /// Drop the parts of another run that are in the way.
    pub(crate) force: bool,
}

/// What was done, for `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    file: PathBuf,
    digest: String,
    seed: u64,
    patients_screened: u64,
    patients_enrolled: u64,
    patients_simulated: u64,
    seconds: f64,
}

impl Summary {
    pub(crate) fn of(out: &Path, file: &ResultFile) -> Self {
        Self {
            file: out.to_path_buf(),
            digest: file.digest.to_string(),
            seed: file.identity.seed,
            patients_screened: file.tally.screened(),
            patients_enrolled: file.tally.enrolled().iter().sum(),
            patients_simulated: 0,
            seconds: 0.0,
        }
    }

    pub(crate) fn tell(&self, verb: &str, json: bool, chatter: Chatter) -> Result<(), Failure> {
        chatter.say(&format!(
            "{} {verb}: {} patients screened, {} enrolled{}; digest {}",
            self.file.display(),
            grouped(self.patients_screened),
            grouped(self.patients_enrolled),
            self.speed(),
            self.digest
        ));
        if json { print_json(self) } else { Ok(()) }
    }

    /// Time taken, if there was anything to do.
    fn speed(&self) -> String {
        if self.patients_simulated == 0 {
            return String::new();
        }
        let rate = Rate(self.patients_simulated as f64 / self.seconds);
        format!(", in {:.1} s ({rate})", self.seconds)
    }
}

/// Folder of the parts of an unfinished result.
pub(crate) fn parts_dir(out: &Path) -> PathBuf {
    let mut name = OsString::from(out);
    name.push(".parts");
    PathBuf::from(name)
}

/// Simulates what is missing and writes the result.
pub(crate) fn fill(
    goal: &Goal,
    how: &args::Work,
    chatter: Chatter,
) -> Result<(ResultFile, Summary), Failure> {
    let started = Instant::now();
    let stop = signals::stop_flag()?;
    let work = Work {
        trial: goal.trial,
        seed: goal.seed,
        threads: how.threads(),
        stop: &stop,
    };
    let mut parts = Parts::open(goal)?;
    for warning in parts.store.warnings() {
        chatter.say(&format!("warning: {warning}"));
    }
    let present = parts.present(goal);
    let missing = missing(goal, &present, &work, how.shard_patients)?;
    let simulated: u64 = missing.iter().map(|shard| shard.end - shard.start).sum();
    let already = parts.tally.screened();
    if already > 0 && simulated > 0 {
        chatter.say(&format!(
            "{} patients are there; {} to go",
            grouped(already),
            grouped(simulated)
        ));
    }
    let mut meter = Meter::new(chatter.progress, already + simulated, already);
    let ending = shards::simulate(&work, missing, &mut parts, |done, parts| {
        meter.update(already + done, || {
            let estimate = goal.trial.primary_estimate(&parts.tally);
            estimate.map(|estimate| estimate.to_string())
        });
    });
    meter.finish();
    match ending? {
        Ending::Complete => {}
        Ending::Stopped => return Err(interrupted(goal, &parts)),
    }
    let file = parts.merge(goal, work.threads)?;
    let summary = Summary {
        patients_simulated: simulated,
        seconds: started.elapsed().as_secs_f64(),
        ..Summary::of(goal.out, &file)
    };
    Ok((file, summary))
}

/// The shards that are neither in the base nor in the store.
fn missing(
    goal: &Goal,
    present: &[Range<u64>],
    work: &Work,
    shard_patients: Option<u64>,
) -> Result<Vec<Range<u64>>, Failure> {
    let gaps =
        plan(&goal.target, present, &Cut::even(u64::MAX)).map_err(|error| explain(goal, error))?;
    let Some(first) = gaps.first() else {
        return Ok(Vec::new());
    };
    let patients = gaps.iter().map(|gap| gap.end - gap.start).sum();
    let shard_patients =
        shard_patients.unwrap_or_else(|| shards::shard_patients(work, first.start, patients));
    Ok(plan(&goal.target, present, &Cut::even(shard_patients))?)
}

fn explain(goal: &Goal, error: PlanError) -> Failure {
    match error {
        PlanError::Outside { committed, .. } => Failure::File(format!(
            "{} holds patients {}..{} of an unfinished larger run; finish that one, or remove \
             the folder",
            parts_dir(goal.out).display(),
            committed.start,
            committed.end
        )),
        other => other.into(),
    }
}

fn interrupted(goal: &Goal, parts: &Parts) -> Failure {
    Failure::Interrupted(format!(
        "stopped: {} of {} patients are kept in {}; run the same command again to go on",
        grouped(parts.tally.screened()),
        grouped(goal.target.end - goal.target.start),
        parts_dir(goal.out).display()
    ))
}

/// The store of a goal, and the sum of everything in it and in the base.
struct Parts {
    dir: PathBuf,
    store: Store,
    tally: Tally,
    worker: String,
}

impl Parts {
    fn open(goal: &Goal) -> Result<Self, Failure> {
        let dir = parts_dir(goal.out);
        let store = open_store(goal, &dir)?;
        let mut parts = Self {
            tally: goal.base.map_or_else(
                || Tally::empty(goal.trial.shape()),
                |base| base.tally.clone(),
            ),
            dir,
            store,
            worker: worker(),
        };
        for info in parts.store.committed() {
            if !in_base(goal, &info.range) {
                let part = parts.store.read_part(info)?;
                add(&mut parts.tally, &part.tally, &info.path)?;
            }
        }
        Ok(parts)
    }

    /// Ranges that need not be simulated.
    fn present(&self, goal: &Goal) -> Vec<Range<u64>> {
        let base = goal.base.into_iter().flat_map(|base| base.ranges.clone());
        let parts = self.store.committed().map(|info| info.range.clone());
        base.chain(parts.filter(|range| !in_base(goal, range)))
            .collect()
    }

    /// Writes the result and removes the parts.
    fn merge(self, goal: &Goal, threads: usize) -> Result<ResultFile, Failure> {
        let base = goal.base.map(|_| goal.out.to_path_buf());
        let parts = self.store.committed();
        let sources: Vec<PathBuf> = base
            .into_iter()
            .chain(
                parts
                    .filter(|info| !in_base(goal, &info.range))
                    .map(|info| info.path.clone()),
            )
            .collect();
        let notes = [
            ("merged_by".to_owned(), self.worker),
            ("threads".to_owned(), threads.to_string()),
        ];
        let file = write_result(goal.out, &sources, ENGINE_VERSION, &notes)?;
        drop(self.store);
        fs::remove_dir_all(&self.dir).map_err(Failure::system("remove", &self.dir))?;
        Ok(file)
    }
}

impl Sink for Parts {
    fn commit(&mut self, shard: Computed) -> Result<(), Failure> {
        let part = Part {
            range: shard.output.range,
            tally: shard.output.tally,
            records: shard.output.records,
            attempt: Attempt {
                worker: self.worker.clone(),
                number: u32::try_from(shard.attempt.0).unwrap_or(u32::MAX),
                seconds: shard.seconds,
            },
        };
        let info = self.store.write_part(&part)?;
        tracing::info!(
            start = info.range.start,
            end = info.range.end,
            seconds = shard.seconds,
            digest = %info.digest,
            "committed a part"
        );
        add(&mut self.tally, &part.tally, &info.path)
    }
}

/// Parts that a crash left between the merge and their removal are in the base already.
fn in_base(goal: &Goal, range: &Range<u64>) -> bool {
    goal.base.is_some_and(|base| covers(&base.ranges, range))
}

/// Whether one of the ranges holds all of `range`.
pub(crate) fn covers(ranges: &[Range<u64>], range: &Range<u64>) -> bool {
    ranges
        .iter()
        .any(|whole| whole.start <= range.start && range.end <= whole.end)
}

fn add(tally: &mut Tally, part: &Tally, path: &Path) -> Result<(), Failure> {
    tally.merge(part).map_err(|source| {
        let path = path.to_path_buf();
        ResultsError::Tally { path, source }.into()
    })
}

fn open_store(goal: &Goal, dir: &Path) -> Result<Store, Failure> {
    // The store would make missing parents too, but a missing folder is a typing error.
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Failure::system("create", dir)(error));
        }
        _ => {}
    }
    let identity = identity::identity(goal.trial, goal.seed);
    let layout = Layout::of(goal.trial);
    match Store::open(dir, &identity, &layout) {
        Err(ResultsError::Foreign { .. }) if goal.force => {
            fs::remove_dir_all(dir).map_err(Failure::system("remove", dir))?;
            Ok(Store::open(dir, &identity, &layout)?)
        }
        opened => Ok(opened?),
    }
}

/// Removes parts that a crash left behind although `file` has all their patients.
pub(crate) fn remove_leftovers(goal: &Goal, file: &ResultFile) -> Result<(), Failure> {
    let dir = parts_dir(goal.out);
    if !dir.exists() {
        return Ok(());
    }
    let store = open_store(goal, &dir)?;
    let merged = |range: &Range<u64>| covers(&file.ranges, range);
    if store.committed().all(|info| merged(&info.range)) {
        drop(store);
        fs::remove_dir_all(&dir).map_err(Failure::system("remove", &dir))?;
    }
    Ok(())
}

/// What the provenance calls this process.
fn worker() -> String {
    let host = rustix::system::uname();
    let name = host.nodename().to_string_lossy();
    format!("{name} (process {})", std::process::id())
}

/// The result at `path`, if there is one.
pub(crate) fn existing(path: &Path) -> Result<Option<ResultFile>, Failure> {
    match path.try_exists() {
        Ok(false) => Ok(None),
        Ok(true) => Ok(Some(read_result(path)?)),
        Err(error) => Err(Failure::system("look at", path)(error)),
    }
}
