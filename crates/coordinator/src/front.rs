//! The front of a run with a precision: how far its patients are committed without a gap, and
//! whether they are enough.
//!
//! Shards are committed in any order, but the rule of a precision looks at the first patients in
//! the order of their indices. The [`Front`] turns the one into the other. It does no input or
//! output: it names the committed range to add next, takes its tally, judges every look it
//! reaches, and says where the run ends. It never holds a tally but the sum, so a driver reads a
//! part when its turn comes.

use std::collections::BTreeMap;
use std::ops::Range;

use reseed_stats::{Tally, TallyError};
use reseed_trial::{Trial, looks};
use thiserror::Error;

/// What the patients so far say about the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// More patients are needed to tell.
    Open,
    /// Precise enough: the run consists of the patients before this index.
    Precise(u64),
    /// All patients were judged, and are not precise enough.
    Imprecise,
}

/// A committed range that hides the patients before a look among others.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "committed range {}..{} reaches across patient {look}, before which the run is judged; finish \
     the run it was made for, which has no precision or another size, or remove the part",
    .committed.start, .committed.end
)]
pub struct AcrossLook {
    /// The range found in the store.
    pub committed: Range<u64>,
    /// The look, as the index of the first patient that does not count.
    pub look: u64,
}

/// The first patients of a run, committed without a gap.
#[derive(Debug, Clone)]
pub struct Front {
    trial: Trial,
    /// Indices before which the run is judged, increasing; the last is its end.
    looks: Vec<u64>,
    /// Committed ranges that are not added yet: end by start.
    waiting: BTreeMap<u64, u64>,
    /// The patients before this one are added.
    at: u64,
    tally: Tally,
    judgement: Judgement,
}

impl Front {
    /// The front of a run of at most these patients, none of them committed, with the precision
    /// of the trial.
    pub fn new(trial: &Trial, patients: &Range<u64>) -> Self {
        Self {
            looks: looks(patients.end - patients.start)
                .map(|look| patients.start + look)
                .collect(),
            waiting: BTreeMap::new(),
            at: patients.start,
            tally: Tally::empty(trial.shape()),
            judgement: Judgement::Open,
            trial: trial.clone(),
        }
    }

    /// Indices at which a shard must begin, so that the patients before can be judged.
    pub fn looks(&self) -> &[u64] {
        &self.looks
    }

    /// Notes that a range of patients is committed. Ranges do not overlap; said again, a range
    /// counts once.
    ///
    /// # Errors
    /// [`AcrossLook`] if the range was not cut at the [looks](Self::looks).
    pub fn commit(&mut self, range: &Range<u64>) -> Result<(), AcrossLook> {
        let inside = self.looks.partition_point(|look| *look <= range.start);
        if let Some(look) = self.looks.get(inside)
            && *look < range.end
        {
            return Err(AcrossLook {
                committed: range.clone(),
                look: *look,
            });
        }
        self.waiting.insert(range.start, range.end);
        Ok(())
    }

    /// The committed range whose tally is to be added next; `None` as long as its patients are
    /// not committed, and when the judgement is passed.
    pub fn next(&self) -> Option<Range<u64>> {
        let end = self.waiting.get(&self.at)?;
        (self.judgement == Judgement::Open).then_some(self.at..*end)
    }

    /// Adds the tally of the [next](Self::next) range, and judges the patients so far if that
    /// reaches a look.
    ///
    /// # Errors
    /// [`TallyError`] if it is no tally of this trial.
    ///
    /// # Panics
    /// If there is no next range, or the tally is not of so many patients.
    pub fn add(&mut self, tally: &Tally) -> Result<Judgement, TallyError> {
        let range = self.next().expect("only called for the next range");
        assert_eq!(
            tally.screened(),
            range.end - range.start,
            "a tally of the next range, {range:?}"
        );
        self.tally.merge(tally)?;
        self.waiting.remove(&range.start);
        self.at = range.end;
        if self.looks.binary_search(&self.at).is_ok() {
            self.judgement = self.judge();
        }
        Ok(self.judgement)
    }

    fn judge(&self) -> Judgement {
        if self.trial.precise_enough(&self.tally) {
            Judgement::Precise(self.at)
        } else if self.looks.last() == Some(&self.at) {
            Judgement::Imprecise
        } else {
            Judgement::Open
        }
    }

    /// What the patients so far say.
    pub fn judgement(&self) -> Judgement {
        self.judgement
    }

    /// Tally of the patients that were added.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}
