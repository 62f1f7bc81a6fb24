//! The store: a folder with the committed parts of one run. It is the journal: whoever opens
//! it again goes on from what is there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::digest::{Digest, part_digest};
use crate::error::{Conflict, ResultsError};
use crate::layout::{Layout, RunIdentity};
use crate::part::{Part, PartFile, PartInfo, read_part, write_part};
use crate::result::same_run;
use crate::whole;

/// A store, locked for this process until it is dropped.
#[derive(Debug)]
pub struct Store {
    parts_dir: PathBuf,
    identity: RunIdentity,
    layout: Layout,
    committed: Vec<PartInfo>,
    warnings: Vec<String>,
    _lock: File,
}

impl Store {
    /// Opens the store in a folder, which is made if it is not there, and checks every part in
    /// it. Damaged parts are set aside under another name and reported by [`Self::warnings`].
    ///
    /// # Errors
    /// [`ResultsError`] if another process has the store open, if it holds parts of another run
    /// or of a newer version, if two parts hold the same patients, or if the system refuses.
    pub fn open(dir: &Path, identity: &RunIdentity, layout: &Layout) -> Result<Self, ResultsError> {
        let parts_dir = dir.join("parts");
        fs::create_dir_all(&parts_dir).map_err(ResultsError::io("create", &parts_dir))?;
        let mut store = Self {
            _lock: lock(dir)?,
            parts_dir,
            identity: identity.clone(),
            layout: layout.clone(),
            committed: Vec::new(),
            warnings: Vec::new(),
        };
        whole::remove_leftovers(&store.parts_dir, ".");
        for path in store.part_paths()? {
            store.adopt(&path)?;
        }
        store.committed.sort_by_key(|part| part.range.start);
        for pair in store.committed.windows(2) {
            no_overlap(&pair[0], &pair[1].range, &pair[1].path)?;
        }
        Ok(store)
    }

    /// Committed parts in the order of their ranges.
    pub fn committed(&self) -> &[PartInfo] {
        &self.committed
    }

    /// What was found wrong, and set right, when the store was opened.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
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
            &part.records,
        );
        let path = self.part_path(&part.range);
        if let Some(known) = self.known(&part.range, digest, &path, &part.attempt.worker)? {
            return Ok(known);
        }
        let info = write_part(&path, &self.identity, &self.layout, part)?;
        self.insert(info.clone());
        Ok(info)
    }

    /// Commits a part file that a worker has written on the same file system: checks it and
    /// moves it into the store.
    ///
    /// # Errors
    /// As [`Self::write_part`], and [`ResultsError::Foreign`] for a part of another run. The
    /// offered file then stays where it is.
    pub fn commit(&mut self, offered: &Path) -> Result<PartInfo, ResultsError> {
        let PartFile {
            identity,
            layout,
            info,
            ..
        } = read_part(offered)?;
        same_run(&self.identity, &self.layout, &identity, &layout).map_err(|problem| {
            ResultsError::Foreign {
                path: offered.to_path_buf(),
                problem,
            }
        })?;
        if let Some(known) = self.known(&info.range, info.digest, offered, &info.attempt.worker)? {
            fs::remove_file(offered).map_err(ResultsError::io("remove", offered))?;
            return Ok(known);
        }
        let path = self.part_path(&info.range);
        File::open(offered)
            .and_then(|file| file.sync_all())
            .map_err(ResultsError::io("synchronise", offered))?;
        whole::rename(offered, &path)?;
        let info = PartInfo { path, ..info };
        self.insert(info.clone());
        Ok(info)
    }

    /// Reads a committed part again.
    ///
    /// # Errors
    /// As [`read_part`].
    pub fn read_part(&self, part: &PartInfo) -> Result<PartFile, ResultsError> {
        read_part(&part.path)
    }

    fn part_paths(&self) -> Result<Vec<PathBuf>, ResultsError> {
        let fail = |error| ResultsError::io("list", &self.parts_dir)(error);
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.parts_dir).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.extension().is_some_and(|extension| extension == "h5") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn adopt(&mut self, path: &Path) -> Result<(), ResultsError> {
        let part = match read_part(path) {
            Ok(part) => part,
            Err(error @ (ResultsError::Damaged { .. } | ResultsError::Kind { .. })) => {
                return self.set_aside(path, &error.to_string());
            }
            Err(error) => return Err(error),
        };
        same_run(&self.identity, &self.layout, &part.identity, &part.layout).map_err(
            |problem| ResultsError::Foreign {
                path: path.to_path_buf(),
                problem: format!(
                    "{problem}; give this run another folder, or remove the old one if its parts \
                     are no longer needed"
                ),
            },
        )?;
        self.committed.push(part.info);
        Ok(())
    }

    fn set_aside(&mut self, path: &Path, problem: &str) -> Result<(), ResultsError> {
        let aside = path.with_extension("h5.damaged");
        whole::rename(path, &aside)?;
        self.warnings.push(format!(
            "{problem}; it was renamed to {} and its patients are computed again",
            aside.display()
        ));
        Ok(())
    }

    /// The committed part of this range, if its digest is the same.
    fn known(
        &self,
        range: &Range<u64>,
        digest: Digest,
        path: &Path,
        worker: &str,
    ) -> Result<Option<PartInfo>, ResultsError> {
        for part in &self.committed {
            if part.range != *range {
                no_overlap(part, range, path)?;
            } else if part.digest == digest {
                return Ok(Some(part.clone()));
            } else {
                return Err(ResultsError::Conflict(Box::new(Conflict {
                    range: range.clone(),
                    path: part.path.clone(),
                    committed: part.digest,
                    committed_worker: part.attempt.worker.clone(),
                    offered: digest,
                    offered_worker: worker.to_owned(),
                })));
            }
        }
        Ok(None)
    }

    fn insert(&mut self, info: PartInfo) {
        let at = self
            .committed
            .partition_point(|part| part.range.start < info.range.start);
        self.committed.insert(at, info);
    }

    fn part_path(&self, range: &Range<u64>) -> PathBuf {
        // Twenty digits hold every index, so that names sort like ranges.
        let name = format!("{:020}-{:020}.h5", range.start, range.end);
        self.parts_dir.join(name)
    }
}

fn lock(dir: &Path) -> Result<File, ResultsError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(ResultsError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ResultsError::Locked {
            dir: dir.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(ResultsError::io("lock", &path)(error)),
    }
}

fn no_overlap(part: &PartInfo, range: &Range<u64>, path: &Path) -> Result<(), ResultsError> {
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
