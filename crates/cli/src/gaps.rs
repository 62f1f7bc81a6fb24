//! From a goal to a result file: simulate what is missing, keep parts on the way, merge.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use reseed_coordinator::{AcrossLook, Cut, Front, Judgement, PlanError, plan};
use reseed_results::{
    Attempt, Layout, Part, PartInfo, ResultFile, ResultsError, Store, read_result, write_result,
};
use reseed_stats::{Tally, TallyError};
use reseed_trial::Trial;
use serde::Serialize;

use crate::args;
use crate::exit::Failure;
use crate::identity::{self, ENGINE_VERSION};
use crate::machine;
use crate::output::{Chatter, grouped, print_json};
use crate::progress::{Meter, Rate};
use crate::shards::{self, Computed, Ending, Sink, Work};
use crate::signals;

/// A result file that shall exist.
pub(crate) struct Goal<'a> {
    pub(crate) trial: &'a Trial,
    pub(crate) seed: u64,
    /// Patients of the result; if the trial has a precision, at most.
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
    /// Whether the precision that was asked for is met.
    #[serde(skip_serializing_if = "Option::is_none")]
    precise: Option<bool>,
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
            precise: None,
            seconds: 0.0,
        }
    }

    /// As [`Self::of`], of a trial's result, which may have a precision.
    pub(crate) fn of_trial(trial: &Trial, out: &Path, file: &ResultFile) -> Self {
        Self {
            precise: trial.precision.map(|_| trial.precise_enough(&file.tally)),
            ..Self::of(out, file)
        }
    }

    /// The same, of so many patients simulated in this time.
    pub(crate) fn simulated(self, patients_simulated: u64, seconds: f64) -> Self {
        Self {
            patients_simulated,
            seconds,
            ..self
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
    let missing = match parts.enough() {
        Some(_) => Vec::new(),
        None => missing(goal, &parts, &work, how.shard_patients)?,
    };
    let to_go: u64 = missing.iter().map(|shard| shard.end - shard.start).sum();
    let already = parts.tally.screened();
    if already > 0 && to_go > 0 {
        let at_most = goal.trial.precision.map_or("", |_| "at most ");
        chatter.say(&format!(
            "{} patients are there; {at_most}{} to go",
            grouped(already),
            grouped(to_go)
        ));
    }
    let mut meter = Meter::new(chatter.progress, already + to_go, already);
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
    let simulated = parts.tally.screened() - already;
    let file = parts.merge(goal, work.threads)?;
    let summary = Summary::of_trial(goal.trial, goal.out, &file);
    let seconds = started.elapsed().as_secs_f64();
    Ok((file, summary.simulated(simulated, seconds)))
}

/// The shards that are neither in the base nor in the store.
fn missing(
    goal: &Goal,
    parts: &Parts,
    work: &Work,
    shard_patients: Option<u64>,
) -> Result<Vec<Range<u64>>, Failure> {
    let present = parts.present(goal);
    let gaps =
        plan(&goal.target, &present, &Cut::even(u64::MAX)).map_err(|error| explain(goal, error))?;
    let Some(first) = gaps.first() else {
        return Ok(Vec::new());
    };
    let patients = gaps.iter().map(|gap| gap.end - gap.start).sum();
    let shard_patients =
        shard_patients.unwrap_or_else(|| shards::shard_patients(work, first.start, patients));
    let cut = Cut {
        block_patients: goal.trial.block_patients.unwrap_or(1),
        boundaries: parts.looks().to_vec(),
        ..Cut::even(shard_patients)
    };
    Ok(plan(&goal.target, &present, &cut)?)
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
    /// What the precision looks at, if the trial has one.
    front: Option<Front>,
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
            front: goal
                .trial
                .precision
                .map(|_| Front::new(goal.trial, &goal.target)),
            dir,
            store,
            worker: machine::process(),
        };
        for info in parts.store.committed().cloned().collect::<Vec<_>>() {
            if !in_base(goal, &info.range) {
                let part = parts.store.read_part(&info)?;
                parts.count(&info, &part.tally)?;
            }
        }
        Ok(parts)
    }

    /// Counts a part of the store, whose tally this is: in the sum, and in the front together
    /// with those that have waited for it.
    fn count(&mut self, info: &PartInfo, tally: &Tally) -> Result<(), Failure> {
        add(&mut self.tally, tally, &info.path)?;
        let Some(front) = &mut self.front else {
            return Ok(());
        };
        front
            .commit(&info.range)
            .map_err(|error| cut_otherwise(&self.dir, &error))?;
        while let Some(next) = front.next() {
            if next == info.range {
                front
                    .add(tally)
                    .map_err(|error| unsuited(error, &info.path))?;
            } else {
                let Some(waiting) = self.store.committed_at(next.start) else {
                    break;
                };
                let part = self.store.read_part(waiting)?;
                front
                    .add(&part.tally)
                    .map_err(|error| unsuited(error, &waiting.path))?;
            }
        }
        Ok(())
    }

    /// Where the run may end: the patients before this index are committed and precise enough.
    fn enough(&self) -> Option<u64> {
        match self.front.as_ref()?.judgement() {
            Judgement::Precise(end) => Some(end),
            Judgement::Open | Judgement::Imprecise => None,
        }
    }

    /// Where shards must begin, so that the patients before can be judged.
    fn looks(&self) -> &[u64] {
        self.front.as_ref().map_or(&[], Front::looks)
    }

    /// Ranges that need not be simulated.
    fn present(&self, goal: &Goal) -> Vec<Range<u64>> {
        let base = goal.base.into_iter().flat_map(|base| base.ranges.clone());
        let parts = self.store.committed().map(|info| info.range.clone());
        base.chain(parts.filter(|range| !in_base(goal, range)))
            .collect()
    }

    /// Writes the result, without the parts beyond the patients that are enough, and removes the
    /// parts.
    fn merge(self, goal: &Goal, threads: usize) -> Result<ResultFile, Failure> {
        let end = self.enough().unwrap_or(goal.target.end);
        let base = goal.base.map(|_| goal.out.to_path_buf());
        let parts = self.store.committed();
        let sources: Vec<PathBuf> = base
            .into_iter()
            .chain(
                parts
                    .filter(|info| info.range.start < end && !in_base(goal, &info.range))
                    .map(|info| info.path.clone()),
            )
            .collect();
        let mut notes = vec![
            ("merged_by".to_owned(), self.worker),
            ("threads".to_owned(), threads.to_string()),
        ];
        notes.extend(precision_note(goal.trial));
        let file = write_result(goal.out, &sources, ENGINE_VERSION, &notes)?;
        drop(self.store);
        fs::remove_dir_all(&self.dir).map_err(Failure::system("remove", &self.dir))?;
        Ok(file)
    }
}

impl Sink for Parts {
    fn commit(&mut self, shard: Computed) -> Result<Option<u64>, Failure> {
        let part = Part {
            range: shard.output.range,
            tally: shard.output.tally,
            records: shard.output.records,
            blocks: shard.output.blocks,
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
        self.count(&info, &part.tally)?;
        Ok(self.enough())
    }
}

/// What a result says about the precision that it was made for.
pub(crate) fn precision_note(trial: &Trial) -> Option<(String, String)> {
    let precision = trial.precision?;
    Some(("precision_points".to_owned(), precision.to_string()))
}

fn cut_otherwise(dir: &Path, error: &AcrossLook) -> Failure {
    let AcrossLook { committed, look } = error;
    Failure::File(format!(
        "{} holds patients {}..{} of an unfinished run that is not judged before patient {look} \
         as this one is; finish that one, or remove the folder",
        dir.display(),
        committed.start,
        committed.end
    ))
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
    tally.merge(part).map_err(|source| unsuited(source, path))
}

fn unsuited(source: TallyError, path: &Path) -> Failure {
    let path = path.to_path_buf();
    ResultsError::Tally { path, source }.into()
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

/// The result at `path`, if there is one.
pub(crate) fn existing(path: &Path) -> Result<Option<ResultFile>, Failure> {
    match path.try_exists() {
        Ok(false) => Ok(None),
        Ok(true) => Ok(Some(read_result(path)?)),
        Err(error) => Err(Failure::system("look at", path)(error)),
    }
}
