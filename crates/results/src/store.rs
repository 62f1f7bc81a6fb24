//! The store: a folder with the committed parts of one run. It is the journal: whoever opens
//! it again goes on from what is there.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use reseed_stats::Tally;

use crate::digest::{Digest, part_digest};
use crate::error::{Conflict, ResultsError};
use crate::folder::{Disk, Folder};
use crate::layout::{Layout, RunIdentity};
use crate::part::{Part, PartFile, PartInfo, write_part};
use crate::whole;

/// Committed parts.
const PARTS: &str = "parts";
/// Parts on their way in, of no use to a successor.
const INCOMING: &str = "incoming";
/// Finished parts that workers on the same file system put there themselves.
const SHARED: &str = "shared";
/// Who opened the store last.
const EPOCH: &str = "epoch";
const EPOCH_NEXT: &str = "epoch.next";
/// Hexadecimal digits that tell one opening of a store from the others.
const MARK_DIGITS: usize = 16;

/// A store, locked for this process until it is dropped.
#[derive(Debug)]
pub struct Store<F = Disk> {
    folder: F,
    identity: RunIdentity,
    layout: Layout,
    /// By first patient. Ranges do not overlap.
    committed: BTreeMap<u64, PartInfo>,
    /// What they add up to.
    tally: Tally,
    warnings: Vec<String>,
    epoch: Epoch,
}

/// Number and text of an opening. A store that finds another text in its file was taken over.
#[derive(Debug)]
struct Epoch {
    number: u64,
    text: String,
}

impl Store<Disk> {
    /// Locks and opens the store in a folder, see [`Self::open_in`].
    ///
    /// # Errors
    /// [`ResultsError::Locked`] if another process has the store open; and as
    /// [`Self::open_in`].
    pub fn open(dir: &Path, identity: &RunIdentity, layout: &Layout) -> Result<Self, ResultsError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let owner = format!(
            "process {} since {} ns",
            std::process::id(),
            since.unwrap_or_default().as_nanos()
        );
        let store = Self::open_in(Disk::lock(dir)?, identity, layout, &owner)?;
        whole::remove_leftovers(&store.folder.path(PARTS), ".");
        Ok(store)
    }

    /// Commits the output for a shard: once this returns, the part survives a crash. A part
    /// with the same range and digest is committed once.
    ///
    /// # Errors
    /// [`ResultsError::Conflict`] if the range is committed with another digest,
    /// [`ResultsError::Overlap`] if another part holds some of the patients, or whatever
    /// [`write_part`] reports.
    pub fn write_part(&mut self, part: &Part) -> Result<PartInfo, ResultsError> {
        let digest = part_digest(
            &self.identity.fingerprint,
            self.identity.seed,
            &part.range,
            &part.tally,
            [&part.records, &part.blocks],
        );
        let path = self.folder.path(&part_name(&part.range));
        if let Some(known) = self.known(&part.range, digest, &path, &part.attempt.worker)? {
            return Ok(known);
        }
        self.fence()?;
        let info = write_part(&path, &self.identity, &self.layout, part)?;
        self.count(info.clone(), &part.tally)?;
        Ok(info)
    }
}

impl<F: Folder> Store<F> {
    /// Opens the store in a folder that the caller has locked, and checks every part in it.
    /// Damaged parts are set aside under another name and reported by [`Self::warnings`];
    /// finished parts that workers left in `shared/` are committed. `owner` is a text
    /// that no other opening of the store has: whoever opened it before can commit no more.
    ///
    /// # Errors
    /// [`ResultsError`] if the store holds parts of another run or of a newer version, if two
    /// parts hold the same patients, or if the system refuses.
    pub fn open_in(
        folder: F,
        identity: &RunIdentity,
        layout: &Layout,
        owner: &str,
    ) -> Result<Self, ResultsError> {
        for subfolder in [PARTS, INCOMING, SHARED] {
            folder
                .make(subfolder)
                .map_err(ResultsError::io("create", &folder.path(subfolder)))?;
        }
        let epoch = Epoch::next(&folder, owner)?;
        let mut store = Self {
            folder,
            identity: identity.clone(),
            layout: layout.clone(),
            committed: BTreeMap::new(),
            tally: Tally::empty(layout.shape.clone()),
            warnings: Vec::new(),
            epoch,
        };
        for name in store.files(PARTS)? {
            store.adopt(&name)?;
        }
        // Whoever put them there may have been killed before their names were sure to last.
        Self::sync_places(&store.folder)?;
        for name in store.files(INCOMING)? {
            store.remove(&name)?;
        }
        for name in store.files(SHARED)? {
            store.adopt_shared(&name)?;
        }
        Ok(store)
    }

    /// Committed parts in the order of their ranges.
    pub fn committed(&self) -> impl ExactSizeIterator<Item = &PartInfo> {
        self.committed.values()
    }

    /// The committed part that starts with this patient.
    pub fn committed_at(&self, start: u64) -> Option<&PartInfo> {
        self.committed.get(&start)
    }

    /// What the committed parts add up to.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What was found wrong, and set right, when the store was opened.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How often the store was opened, this time included.
    pub fn epoch(&self) -> u64 {
        self.epoch.number
    }

    /// Content of the file `epoch` while the store is this opening's: whoever reads the same
    /// there sees the same folder.
    pub fn epoch_text(&self) -> &str {
        &self.epoch.text
    }

    /// The folder, to put incoming files into.
    pub fn folder(&self) -> &F {
        &self.folder
    }

    /// Tells the files of this opening from those of all others, of which one may still be at it.
    pub fn mark(&self) -> String {
        Digest::of(self.epoch.text.as_bytes()).to_string()[..MARK_DIGITS].to_owned()
    }

    /// Name for a file on its way in; `number` tells it from all others of the opening with this
    /// [mark](Self::mark).
    pub fn incoming_name(mark: &str, number: u64) -> String {
        format!("{INCOMING}/{mark}-{number}.h5")
    }

    /// Name of a file that a worker put into the shared subfolder.
    pub fn shared_name(name: &str) -> String {
        format!("{SHARED}/{name}")
    }

    /// Checks a file in the folder: that it is a whole part of this run.
    ///
    /// # Errors
    /// As [`crate::read_part_of`].
    pub fn check(
        folder: &F,
        name: &str,
        identity: &RunIdentity,
        layout: &Layout,
    ) -> Result<PartFile, ResultsError> {
        folder.read_part(name, identity, layout)
    }

    /// Commits a file of the folder that [`Self::check`] has passed, in the three steps of which
    /// only [`Self::place`] needs the store to itself. Once this returns, the part survives a
    /// crash.
    ///
    /// # Errors
    /// As the three steps.
    pub fn commit(&mut self, name: &str, part: &PartFile) -> Result<PartInfo, ResultsError> {
        Self::sync_file(&self.folder, name)?;
        let info = self.place(name, part)?;
        Self::sync_places(&self.folder)?;
        Ok(info)
    }

    /// Makes the bytes of a file last.
    ///
    /// # Errors
    /// The system's.
    pub fn sync_file(folder: &F, name: &str) -> Result<(), ResultsError> {
        let path = folder.path(name);
        folder
            .sync(name)
            .map_err(ResultsError::io("synchronise", &path))
    }

    /// Moves a file whose bytes last to its place, where it survives a crash after
    /// [`Self::sync_places`]. If the part is committed already, the file is removed.
    ///
    /// # Errors
    /// [`ResultsError::Conflict`] if the range is committed with another digest,
    /// [`ResultsError::Overlap`] if another part holds some of the patients,
    /// [`ResultsError::Fenced`] if another process has taken the store over, or the system's.
    /// The file then stays where it is.
    pub fn place(&mut self, name: &str, part: &PartFile) -> Result<PartInfo, ResultsError> {
        let info = &part.info;
        let from = self.folder.path(name);
        if let Some(known) = self.known(&info.range, info.digest, &from, &info.attempt.worker)? {
            self.remove(name)?;
            return Ok(known);
        }
        self.fence()?;
        let to = part_name(&info.range);
        let path = self.folder.path(&to);
        self.folder
            .rename(name, &to)
            .map_err(ResultsError::io("put a part at", &path))?;
        let info = PartInfo {
            path,
            ..info.clone()
        };
        self.count(info.clone(), &part.tally)?;
        Ok(info)
    }

    /// Makes everything that was [placed](Self::place) survive a crash.
    ///
    /// # Errors
    /// The system's.
    pub fn sync_places(folder: &F) -> Result<(), ResultsError> {
        let path = folder.path(PARTS);
        folder
            .sync_names(PARTS)
            .map_err(ResultsError::io("synchronise", &path))
    }

    /// Reads a committed part again.
    ///
    /// # Errors
    /// As [`crate::read_part_of`].
    pub fn read_part(&self, part: &PartInfo) -> Result<PartFile, ResultsError> {
        let name = part_name(&part.range);
        self.folder.read_part(&name, &self.identity, &self.layout)
    }

    /// Notes a part that is in its place.
    fn count(&mut self, info: PartInfo, tally: &Tally) -> Result<(), ResultsError> {
        let path = &info.path;
        self.tally
            .merge(tally)
            .map_err(|source| ResultsError::Tally {
                path: path.clone(),
                source,
            })?;
        self.committed.insert(info.range.start, info);
        Ok(())
    }

    /// Fails if another process has opened the store since.
    fn fence(&self) -> Result<(), ResultsError> {
        let path = self.folder.path(EPOCH);
        let found = self
            .folder
            .read(EPOCH)
            .map_err(ResultsError::io("read", &path))?;
        if found == self.epoch.text.as_bytes() {
            return Ok(());
        }
        Err(ResultsError::Fenced {
            dir: self.folder.path(""),
            by: String::from_utf8_lossy(&found).trim().into(),
        })
    }

    /// HDF5 files of a subfolder, in the order of their names.
    fn files(&self, subfolder: &str) -> Result<Vec<String>, ResultsError> {
        let names = self
            .folder
            .names(subfolder)
            .map_err(ResultsError::io("list", &self.folder.path(subfolder)))?;
        let mut files: Vec<String> = names
            .into_iter()
            .filter(|name| Path::new(name).extension().is_some_and(|end| end == "h5"))
            .filter(|name| !name.starts_with('.'))
            .map(|name| format!("{subfolder}/{name}"))
            .collect();
        files.sort();
        Ok(files)
    }

    fn adopt(&mut self, name: &str) -> Result<(), ResultsError> {
        let part = match Self::check(&self.folder, name, &self.identity, &self.layout) {
            Ok(part) => part,
            Err(error @ (ResultsError::Damaged { .. } | ResultsError::Kind { .. })) => {
                return self.set_aside(name, &error.to_string());
            }
            Err(ResultsError::Foreign { path, problem }) => {
                return Err(ResultsError::Foreign {
                    path,
                    problem: format!(
                        "{problem}; give this run another folder, or remove the old one if its \
                         parts are no longer needed"
                    ),
                });
            }
            Err(error) => return Err(error),
        };
        self.no_overlap(&part.info.range, &part.info.path)?;
        self.count(part.info, &part.tally)
    }

    /// Commits a finished part that a worker could not announce any more. Whatever is not
    /// clearly one is left alone: its worker may still be there.
    fn adopt_shared(&mut self, name: &str) -> Result<(), ResultsError> {
        let Ok(part) = Self::check(&self.folder, name, &self.identity, &self.layout) else {
            return Ok(());
        };
        if self.no_overlap(&part.info.range, &part.info.path).is_ok() {
            self.commit(name, &part)?;
        }
        Ok(())
    }

    fn set_aside(&mut self, name: &str, problem: &str) -> Result<(), ResultsError> {
        let aside = format!("{name}.damaged");
        let path = self.folder.path(&aside);
        self.folder
            .rename(name, &aside)
            .and_then(|()| self.folder.sync_names(PARTS))
            .map_err(ResultsError::io("rename a damaged part to", &path))?;
        self.warnings.push(format!(
            "{problem}; it was renamed to {} and its patients are computed again",
            path.display()
        ));
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), ResultsError> {
        match self.folder.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ResultsError::io("remove", &self.folder.path(name))(error))
            }
            _ => Ok(()),
        }
    }

    /// The committed part of this range, if its digest is the same.
    fn known(
        &self,
        range: &Range<u64>,
        digest: Digest,
        path: &Path,
        worker: &str,
    ) -> Result<Option<PartInfo>, ResultsError> {
        match self.committed.get(&range.start) {
            Some(part) if part.range == *range => {
                if part.digest == digest {
                    return Ok(Some(part.clone()));
                }
                Err(ResultsError::Conflict(Box::new(Conflict {
                    range: range.clone(),
                    path: part.path.clone(),
                    committed: part.digest,
                    committed_worker: part.attempt.worker.clone(),
                    offered: digest,
                    offered_worker: worker.to_owned(),
                })))
            }
            _ => self.no_overlap(range, path).map(|()| None),
        }
    }

    /// Fails if a committed part has some of these patients. As committed ranges are apart, the
    /// last one that starts before the range's end is the only one that could.
    fn no_overlap(&self, range: &Range<u64>, path: &Path) -> Result<(), ResultsError> {
        let Some((_, part)) = self.committed.range(..range.end).next_back() else {
            return Ok(());
        };
        let both = part.range.start.max(range.start)..part.range.end.min(range.end);
        if both.is_empty() {
            return Ok(());
        }
        Err(ResultsError::Overlap {
            range: both,
            first: part.path.clone(),
            second: path.to_path_buf(),
        })
    }
}

impl Epoch {
    /// Counts this opening, for good.
    fn next(folder: &impl Folder, owner: &str) -> Result<Self, ResultsError> {
        let path = folder.path(EPOCH);
        let before = match folder.read(EPOCH) {
            Ok(bytes) => Self::number(&bytes).ok_or_else(|| {
                ResultsError::damaged(&path, "it does not start with a number; remove it")
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(ResultsError::io("read", &path)(error)),
        };
        let number = before + 1;
        let text = format!("{number} {owner}\n");
        // What a crash left of an earlier try.
        let _ = folder.remove(EPOCH_NEXT);
        folder
            .append(EPOCH_NEXT, text.as_bytes())
            .and_then(|()| folder.sync(EPOCH_NEXT))
            .and_then(|()| folder.rename(EPOCH_NEXT, EPOCH))
            .and_then(|()| folder.sync_names(""))
            .map_err(ResultsError::io("write", &path))?;
        Ok(Self { number, text })
    }

    fn number(bytes: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(bytes).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }
}

fn part_name(range: &Range<u64>) -> String {
    // Twenty digits hold every index, so that names sort like ranges.
    format!("{PARTS}/{:020}-{:020}.h5", range.start, range.end)
}
