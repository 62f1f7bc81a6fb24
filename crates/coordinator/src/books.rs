//! The books: the store and what its parts add up to.

use std::path::PathBuf;

use reseed_protocol::status::{Estimate, Point};
use reseed_results::{Folder, PartFile, PartInfo, ResultsError, Store};
use reseed_trial::Trial;

use crate::front::{Front, Judgement};

/// Most points of the running estimate that are kept. When there are more, every second one
/// goes, so that they always span the whole run.
const POINTS_MAX: usize = 256;

/// How the names of parts begin that differ from what is committed.
const EVIDENCE: &str = "conflict-";

/// Files of parts that differ from what is committed, in the order of their names.
///
/// # Errors
/// The system's.
pub(crate) fn evidence(folder: &impl Folder) -> Result<Vec<PathBuf>, ResultsError> {
    let names = folder
        .names("")
        .map_err(ResultsError::io("list", &folder.path("")))?;
    let kept = names.iter().filter(|name| name.starts_with(EVIDENCE));
    let mut paths: Vec<PathBuf> = kept.map(|name| folder.path(name)).collect();
    paths.sort();
    Ok(paths)
}

/// The store and the running estimate.
#[derive(Debug)]
pub struct Books<F> {
    store: Store<F>,
    trial: Trial,
    /// Where the run may end early.
    front: Option<Front>,
    estimate: Option<Estimate>,
    history: Vec<Point>,
    /// Patients between two points.
    point_every_patients: u64,
}

impl<F: Folder> Books<F> {
    /// The books of a store. `front` knows the same parts, if the run has a precision.
    pub fn open(store: Store<F>, trial: Trial, front: Option<Front>) -> Self {
        let mut books = Self {
            front,
            estimate: None,
            history: Vec::new(),
            point_every_patients: 1,
            store,
            trial,
        };
        books.sample();
        books
    }

    /// The store.
    pub fn store(&self) -> &Store<F> {
        &self.store
    }

    pub(crate) fn folder(&self) -> &F {
        self.store.folder()
    }

    /// The trial.
    pub fn trial(&self) -> &Trial {
        &self.trial
    }

    /// Files of the committed parts that are needed, in the order of their ranges.
    pub fn part_paths(&self) -> Vec<PathBuf> {
        let end = match self.front.as_ref().map(Front::judgement) {
            Some(Judgement::Precise(end)) => end,
            _ => u64::MAX,
        };
        let needed = self.store.committed().filter(|info| info.range.end <= end);
        needed.map(|info| info.path.clone()).collect()
    }

    /// The primary comparison at the last sample.
    pub fn estimate(&self) -> Option<&Estimate> {
        self.estimate.as_ref()
    }

    /// How the estimate came about, oldest first.
    pub fn history(&self) -> &[Point] {
        &self.history
    }

    /// Puts a checked file of the store's folder in its place, and counts it. It lasts after
    /// [`Store::sync_places`].
    ///
    /// # Errors
    /// As [`Store::place`].
    pub(crate) fn place(&mut self, name: &str, part: &PartFile) -> Result<(), ResultsError> {
        self.store.place(name, part)?;
        if let Some(front) = &mut self.front {
            // A shard never reaches across a look; a part that does is no shard.
            let _ = front.commit(&part.info.range);
        }
        Ok(())
    }

    /// Judges the precision on the patients that are committed without a gap. Returns where
    /// the run ends if it is met.
    ///
    /// # Errors
    /// [`ResultsError`] if a committed part cannot be read any more.
    pub(crate) fn advance(&mut self) -> Result<Option<u64>, ResultsError> {
        let Some(front) = &mut self.front else {
            return Ok(None);
        };
        while let Some(range) = front.next() {
            let Some(info) = self.store.committed_at(range.start) else {
                break;
            };
            let part = self.store.read_part(info)?;
            let path = &part.info.path;
            front
                .add(&part.tally)
                .map_err(|source| ResultsError::Tally {
                    path: path.clone(),
                    source,
                })?;
        }
        Ok(match front.judgement() {
            Judgement::Precise(end) => Some(end),
            _ => None,
        })
    }

    /// Keeps a part that differs from the committed one, for whoever looks into it. Once this
    /// returns, it survives a crash, and nobody goes on with the store before it is gone.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn keep_evidence(&self, name: &str, info: &PartInfo) -> Result<(), ResultsError> {
        let aside = format!(
            "{EVIDENCE}{}-{}-{}.h5",
            info.range.start, info.range.end, info.digest
        );
        self.folder()
            .rename(name, &aside)
            .and_then(|()| self.folder().sync_names(""))
            .map_err(ResultsError::io("keep", &self.folder().path(&aside)))
    }

    /// Works out the running estimate, and remembers it if there is enough news.
    pub(crate) fn sample(&mut self) {
        let patients = self.store.tally().screened();
        let last = self.history.last().map_or(0, |point| point.patients);
        if patients < last.saturating_add(self.point_every_patients) {
            return;
        }
        let Some(primary) = self.trial.primary_estimate(self.store.tally()) else {
            return;
        };
        let [difference, lower, upper] =
            [primary.value, primary.interval.0, primary.interval.1].map(|value| 100.0 * value);
        self.estimate = Some(Estimate {
            label: primary.label(),
            difference,
            lower,
            upper,
        });
        self.history.push(Point {
            patients,
            difference,
            lower,
            upper,
        });
        if self.history.len() > POINTS_MAX {
            let mut keep = false;
            self.history.retain(|_| {
                keep = !keep;
                keep
            });
            self.point_every_patients = patients / (POINTS_MAX as u64 / 2);
        }
    }
}
