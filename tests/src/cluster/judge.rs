//! What must hold in every simulated cluster, at every moment.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use reseed_protocol::messages::Receipt;
use reseed_protocol::status::StatusReport;
use reseed_protocol::wire;
use reseed_results::Folder;

use super::coordinator::{Acknowledged, Coordinator};
use super::disk::Disk;
use super::log::Log;
use super::material::{Material, is_part};
use super::scenario::Theme;

/// Watches a cluster.
#[derive(Debug)]
pub(super) struct Judge {
    material: Rc<Material>,
    log: Rc<Log>,
    theme: Theme,
    /// Digests of the parts that workers were told are in the store for good.
    acknowledged: BTreeMap<(u64, u64), [u8; 32]>,
    /// Parts whose files changed on the disk by themselves.
    decayed: BTreeSet<(u64, u64)>,
}

impl Judge {
    pub(super) fn new(material: Rc<Material>, log: Rc<Log>, theme: Theme) -> Self {
        Self {
            material,
            log,
            theme,
            acknowledged: BTreeMap::new(),
            decayed: BTreeSet::new(),
        }
    }

    /// A committed part's file changed on the disk. That is found when the file is read, at the next
    /// opening or the merge, and not before.
    pub(super) fn note_decay(&mut self, name: &str) {
        if let Some(range) = range_of(name) {
            self.log.say(format_args!("the part of {range:?} decays"));
            self.decayed.insert((range.start, range.end));
        }
    }

    pub(super) fn has_seen_decay(&self) -> bool {
        !self.decayed.is_empty()
    }

    /// Whether a merge may fail like this.
    pub(super) fn excuses(&self, problem: &str) -> bool {
        // One who was displaced may find that the other one has set the part aside.
        let found = problem.contains("is damaged") || problem.contains("no such file");
        self.has_seen_decay() && found
    }

    /// A worker is about to be told that its part is in the store for good: a power cut at this
    /// very moment must leave it there.
    pub(super) fn acknowledge(&mut self, part: &Acknowledged, is_latest: bool, disk: &Disk) {
        let header = &part.header;
        let (range, digest) = (&header.range, header.digest);
        self.log
            .say(format_args!("acknowledged {range:?} as {:?}", part.receipt));
        let lasting = disk.lasting(&part_name(range));
        let found = lasting.and_then(|bytes| self.material.digest_in(bytes));
        let has_decayed = self.decayed.contains(&(range.start, range.end));
        if found != Some(digest) && !(has_decayed && part.receipt == Receipt::Discarded) {
            self.log.accuse(format_args!(
                "{range:?} is acknowledged as {:?}, and a power cut would lose it",
                part.receipt
            ));
        }
        if part.receipt == Receipt::Committed && !is_latest {
            self.log.accuse(format_args!(
                "{range:?} is committed by a coordinator whose store was taken over"
            ));
        }
        self.check_digest(range, digest);
        let before = self.acknowledged.insert((range.start, range.end), digest);
        if before.is_some_and(|before| before != digest) {
            self.log
                .accuse(format_args!("{range:?} is committed with two contents"));
        }
        self.check_ranges(disk);
    }

    /// A coordinator has opened the store: all that was ever acknowledged must be there.
    pub(super) fn check_opened(&mut self, coordinator: &Coordinator, disk: &Disk) {
        let books = coordinator.service.books();
        let mut committed = BTreeMap::new();
        for info in books.store().committed() {
            self.check_digest(&info.range, info.digest.0);
            committed.insert((info.range.start, info.range.end), info.digest.0);
        }
        let decayed = &self.decayed;
        self.acknowledged
            .retain(|key, _| committed.contains_key(key) || !decayed.contains(key));
        for ((start, end), digest) in &self.acknowledged {
            if committed.get(&(*start, *end)) != Some(digest) {
                self.log.accuse(format_args!(
                    "{start}..{end} was acknowledged, and the next coordinator does not have it"
                ));
            }
        }
        self.check_ranges(disk);
    }

    /// The ledger knows of every part in the store, and of no other.
    pub(super) fn check_books(&self, coordinator: &Coordinator) {
        if let Some((stored, known)) = coordinator.patients()
            && stored != known
        {
            self.log.accuse(format_args!(
                "{stored} patients are in the store, and the ledger knows of {known}"
            ));
        }
    }

    /// Whoever watches can read every report, and its numbers fit together.
    pub(super) fn check_report(&self, report: &StatusReport) {
        let counts = (report.patients_committed, report.patients);
        let travelled = StatusReport::try_from(wire::StatusReport::from(report.clone()));
        if travelled.as_ref() != Ok(report) || counts.0 > counts.1 {
            self.log
                .accuse(format_args!("a report makes no sense: {report:?}"));
        }
    }

    /// The parts that a coordinator is about to merge add up to the result of one run.
    pub(super) fn check_result(
        &self,
        coordinator: &Coordinator,
        merges: bool,
    ) -> Result<bool, String> {
        let paths = coordinator.service.books().part_paths();
        let mut tally = None;
        let mut contents = Vec::new();
        for path in paths {
            let name = path.strip_prefix("store").expect("a path of the store");
            let name = name.to_str().expect("a name in ASCII");
            let (identity, layout) = (&self.material.identity, &self.material.layout);
            let part = coordinator
                .folder
                .read_part(name, identity, layout)
                .map_err(|error| error.to_string())?;
            let tally = tally
                .get_or_insert_with(|| reseed_stats::Tally::empty(self.material.trial.shape()));
            tally
                .merge(&part.tally)
                .map_err(|error| error.to_string())?;
            if merges {
                contents.push(
                    coordinator
                        .folder
                        .bytes(name)
                        .map_err(|error| error.to_string())?,
                );
            }
        }
        let tally = tally.ok_or("there are no parts")?;
        let digest = self.material.digest_of(&tally);
        if merges {
            let merged = self.material.merge(&contents);
            let merged = merged.map_err(|error| error.to_string())?;
            if merged != digest {
                return Err(format!("the parts give {digest}, their merge {merged}"));
            }
        }
        Ok(digest == self.material.golden)
    }

    fn check_digest(&self, range: &Range<u64>, digest: [u8; 32]) {
        if self.theme != Theme::FaultyMachine && digest != self.material.right_digest(range) {
            self.log.accuse(format_args!(
                "the part of {range:?} in the store is not what the engine computes"
            ));
        }
    }

    /// No patient is in the store twice.
    fn check_ranges(&self, disk: &Disk) {
        let parts = disk.seen_in("parts");
        let counted = parts.iter().filter(|(name, _)| is_part(name));
        let ranges = counted.filter_map(|(_, bytes)| self.material.range_in(bytes));
        let mut ranges: Vec<Range<u64>> = ranges.collect();
        ranges.sort_by_key(|range| range.start);
        let mut end = 0;
        for range in ranges {
            if range.start < end {
                self.log.accuse(format_args!(
                    "patients from {} on are committed twice",
                    range.start
                ));
            }
            end = range.end;
        }
    }
}

fn part_name(range: &Range<u64>) -> String {
    format!("parts/{:020}-{:020}.h5", range.start, range.end)
}

/// The patients that the name of a committed part tells; none for a part that was set aside.
fn range_of(name: &str) -> Option<Range<u64>> {
    let ends = name.strip_prefix("parts/")?.strip_suffix(".h5")?;
    let (start, end) = ends.split_once('-')?;
    Some(start.parse().ok()?..end.parse().ok()?)
}
