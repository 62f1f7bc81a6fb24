//! Where finished parts lie until they are delivered.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use reseed_protocol::messages::SharedFolder;
use reseed_results::{PartInfo, RunIdentity, read_part};

/// Longest epoch file that is read, bytes.
const EPOCH_BYTES_MAX: u64 = 4096;

/// The finished parts of a worker.
#[derive(Debug)]
pub(crate) struct Spool {
    base: PathBuf,
    /// Goes away with the worker.
    temporary: bool,
    /// Distinguishes this worker's files in a shared folder.
    mark: String,
    run: Option<String>,
    shared: Option<PathBuf>,
    parts: BTreeMap<(u64, u64), Finished>,
}

/// A finished part.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) path: PathBuf,
    pub(crate) digest: [u8; 32],
    /// Its name, if it lies in the folder that the coordinator sees too.
    pub(crate) shared_name: Option<String>,
}

/// Where the parts of a run go.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// First choice: the folder that the coordinator sees too.
    shared: Option<PathBuf>,
    own: PathBuf,
    mark: String,
}

impl Spool {
    /// Takes a folder for parts, which is made if it is not there.
    pub(crate) fn open(base: PathBuf, temporary: bool, mark: String) -> io::Result<Self> {
        fs::create_dir_all(&base)?;
        Ok(Self {
            base,
            temporary,
            mark,
            run: None,
            shared: None,
            parts: BTreeMap::new(),
        })
    }

    /// Chooses where the parts of a run go, and returns the ranges of its parts that are there
    /// already.
    pub(crate) fn enter(
        &mut self,
        identity: &RunIdentity,
        shared: Option<&SharedFolder>,
    ) -> io::Result<Vec<Range<u64>>> {
        let fingerprint = reseed_results::Digest(identity.fingerprint).to_string();
        let run = format!("{}-{}", &fingerprint[..16], identity.seed);
        // A folder of the user's choosing is where its parts should go.
        self.shared = shared.filter(|_| self.temporary).and_then(visible);
        if self.run.as_ref() == Some(&run) {
            return Ok(Vec::new());
        }
        let own = self.base.join(&run);
        fs::create_dir_all(&own)?;
        self.run = Some(run);
        self.parts.clear();
        let mut found = Vec::new();
        for entry in fs::read_dir(&own)? {
            let path = entry?.path();
            if path.extension().is_none_or(|end| end != "h5") {
                continue;
            }
            // What is not a part of this run is left alone.
            if let Ok(part) = read_part(&path)
                && part.identity == *identity
            {
                found.push(part.info.range.clone());
                self.note(&part.info);
            }
        }
        Ok(found)
    }

    /// Where the parts of the present run go.
    pub(crate) fn place(&self) -> Option<Place> {
        Some(Place {
            shared: self.shared.clone(),
            own: self.base.join(self.run.as_ref()?),
            mark: self.mark.clone(),
        })
    }

    /// Notes a finished part.
    pub(crate) fn note(&mut self, info: &PartInfo) {
        let folder = info.path.parent();
        let shared = self
            .shared
            .as_deref()
            .filter(|shared| folder == Some(shared));
        let name = info.path.file_name().and_then(|name| name.to_str());
        let finished = Finished {
            path: info.path.clone(),
            digest: info.digest.0,
            shared_name: shared.and(name).map(str::to_owned),
        };
        self.parts
            .insert((info.range.start, info.range.end), finished);
    }

    /// A finished part.
    pub(crate) fn get(&self, range: &Range<u64>) -> Option<&Finished> {
        self.parts.get(&(range.start, range.end))
    }

    /// Removes a part that nobody needs here any more.
    pub(crate) fn remove(&mut self, range: &Range<u64>) {
        if let Some(part) = self.parts.remove(&(range.start, range.end)) {
            // From a shared folder the coordinator has taken it.
            let _ = fs::remove_file(part.path);
        }
    }

    /// Ends the spool. Parts that were not delivered stay; returns where, if there are any. A
    /// folder of the user's choosing stays too: a successor may be at work in it already.
    pub(crate) fn close(self) -> Option<PathBuf> {
        let left = !self.parts.is_empty();
        if self.temporary {
            if let Some(run) = &self.run {
                // Fails if something is in it, as it should.
                let _ = fs::remove_dir(self.base.join(run));
            }
            let _ = fs::remove_dir(&self.base);
        }
        left.then_some(self.base)
    }
}

impl Place {
    /// Files for a part, in the order of preference.
    pub(crate) fn paths(&self, range: &Range<u64>) -> Vec<PathBuf> {
        let name = format!("{:020}-{:020}", range.start, range.end);
        let shared = self.shared.as_ref();
        let shared = shared.map(|folder| folder.join(format!("{name}-{}.h5", self.mark)));
        let own = self.own.join(format!("{name}.h5"));
        shared.into_iter().chain([own]).collect()
    }
}

/// The folder for parts, if this machine sees what the coordinator sees, and may write there.
fn visible(shared: &SharedFolder) -> Option<PathBuf> {
    let store = Path::new(&shared.path);
    let epoch = store.join("epoch");
    let small = fs::metadata(&epoch).is_ok_and(|file| file.len() <= EPOCH_BYTES_MAX);
    if !small || fs::read_to_string(&epoch).ok()? != shared.marker {
        return None;
    }
    let folder = store.join("shared");
    let writable = fs::metadata(&folder).is_ok_and(|folder| !folder.permissions().readonly());
    writable.then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_ends_takes_no_folder_away_from_its_successor() {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let identity = RunIdentity {
            trial_toml: String::new(),
            fingerprint: [1; 32],
            seed: 1,
            engine_version: String::new(),
            model_version: String::new(),
        };
        let open = |temporary| {
            let base = dir.path().join("spool");
            let mut spool = Spool::open(base, temporary, "mark".into()).expect("room");
            spool.enter(&identity, None).expect("room");
            spool
        };
        let (old, new) = (open(false), open(false));
        let place = new.place().expect("entered");
        assert_eq!(old.close(), None);
        assert!(place.own.exists());
        assert_eq!(open(true).close(), None);
        assert!(!dir.path().join("spool").exists());
    }
}
