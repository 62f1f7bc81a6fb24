//! The run that the simulated clusters compute, and its parts.
//!
//! A part is computed once by the engine, written and read by the code that workers and
//! coordinators use, and then handed out as often as somebody computes or reads it. Files that
//! are no such part are judged by the real reader.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use reseed_coordinator::{Front, Judgement};
use reseed_engine::Engine;
use reseed_results::{
    Attempt, Digest, Layout, Part, PartFile, ResultsError, RunIdentity, read_part_of,
    result_digest, write_part, write_result,
};
use reseed_stats::Tally;
use reseed_trial::Trial;
use tempfile::TempDir;

/// Version that coordinators and workers have.
pub(super) const ENGINE_VERSION: &str = "0.1.0";
/// Bytes at the end of a part that tell it from all others: the digest in its seal.
const SEAL_DIGEST_BYTES: usize = 32;

/// Whose part it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Maker {
    /// A sound machine. Equal contents in different files, as they name their worker.
    Sound(u8),
    /// A machine that computes something else.
    Faulty,
    /// A worker of a run with another seed.
    Stranger,
}

/// A part's file.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) bytes: Rc<Vec<u8>>,
    pub(super) digest: [u8; 32],
    /// What the reader says of it, or why it is another run's.
    read: Result<PartFile, String>,
}

/// A run to compute.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) trial: Trial,
    pub(super) identity: RunIdentity,
    pub(super) layout: Layout,
    pub(super) target: Range<u64>,
    pub(super) shard_patients: u64,
    pub(super) lead_in_patients: u64,
    /// Digest of the result of a run in one piece.
    pub(super) golden: Digest,
    engines: RefCell<[Engine; 2]>,
    folder: TempDir,
    prepared: RefCell<BTreeMap<(u64, u64, Maker), Rc<Prepared>>>,
    by_seal: RefCell<BTreeMap<Vec<u8>, Rc<Prepared>>>,
}

impl Material {
    /// A run of a few hundred patients in small shards.
    pub(super) fn small() -> Self {
        Self::new("", 20..340, 16, 16)
    }

    /// A run that ends as soon as it is precise enough.
    pub(super) fn precise() -> Self {
        Self::new("run.precision = 0.4\n", 0..17_500, 1_000, 0)
    }

    fn new(more: &str, target: Range<u64>, shard_patients: u64, lead_in_patients: u64) -> Self {
        let text = format!(
            "base = \"breast\"\n\
             arms_only = [\"control\", \"siltuximab\"]\n\
             {more}\
             follow_up.horizon_days = 1461\n\
             compare.months = [48]\n\
             compare.primary = {{ arm = \"siltuximab\", endpoint = \"local\", months = 48 }}\n\
             strata.nodes = []"
        );
        let trial = Trial::parse("trial.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        let identity = RunIdentity::of(&trial, trial.seed, ENGINE_VERSION);
        let engines = [trial.seed, trial.seed + 1].map(|seed| Engine::new(&trial, seed));
        let mut material = Self {
            layout: Layout::of(&trial),
            identity,
            target,
            shard_patients,
            lead_in_patients,
            golden: Digest([0; 32]),
            engines: RefCell::new(engines),
            folder: tempfile::tempdir().expect("a folder for parts"),
            prepared: RefCell::default(),
            by_seal: RefCell::default(),
            trial,
        };
        material.golden = material.digest_of(&material.computed_in_one_piece());
        material
    }

    fn computed_in_one_piece(&self) -> Tally {
        if self.trial.precision.is_none() {
            return self.compute(Maker::Sound(0), self.target.clone()).tally;
        }
        let mut front = Front::new(&self.trial, &self.target);
        let mut start = self.target.start;
        for look in front.looks().to_vec() {
            let range = start..look;
            start = look;
            front.commit(&range).expect("a range between two looks");
            let tally = self.compute(Maker::Sound(0), range).tally;
            let judgement = front.add(&tally).expect("a tally of the trial");
            if let Judgement::Precise(end) = judgement {
                assert!(end < self.target.end, "the precision ends the run early");
                return front.tally().clone();
            }
        }
        panic!("the precision is reached");
    }

    /// Digest of the result that a tally makes.
    pub(super) fn digest_of(&self, tally: &Tally) -> Digest {
        result_digest(&self.identity.trial_toml, self.identity.seed, tally)
    }

    /// The part of a shard by some maker.
    pub(super) fn part(&self, range: &Range<u64>, maker: Maker) -> Rc<Prepared> {
        let key = (range.start, range.end, maker);
        if let Some(known) = self.prepared.borrow().get(&key) {
            return Rc::clone(known);
        }
        let fresh = Rc::new(self.prepare(range, maker));
        let seal = fresh.bytes[fresh.bytes.len() - SEAL_DIGEST_BYTES..].to_vec();
        self.by_seal.borrow_mut().insert(seal, Rc::clone(&fresh));
        self.prepared.borrow_mut().insert(key, Rc::clone(&fresh));
        fresh
    }

    /// Digest of a shard's part if it is as it should be.
    pub(super) fn right_digest(&self, range: &Range<u64>) -> [u8; 32] {
        self.part(range, Maker::Sound(0)).digest
    }

    fn prepare(&self, range: &Range<u64>, maker: Maker) -> Prepared {
        let path = self.folder.path().join("part.h5");
        let mut identity = self.identity.clone();
        if maker == Maker::Stranger {
            identity.seed += 1;
        }
        let part = self.compute(maker, range.clone());
        let info = write_part(&path, &identity, &self.layout, &part).expect("a part");
        let read = match read_part_of(&path, &self.identity, &self.layout) {
            Ok(part) => Ok(part),
            Err(ResultsError::Foreign { problem, .. }) if maker == Maker::Stranger => Err(problem),
            Err(error) => panic!("a part of {maker:?} cannot be read: {error}"),
        };
        Prepared {
            bytes: Rc::new(fs::read(&path).expect("the part just written")),
            digest: info.digest.0,
            read,
        }
    }

    fn compute(&self, maker: Maker, range: Range<u64>) -> Part {
        let engine = usize::from(!matches!(maker, Maker::Sound(_)));
        let (stop, progress) = (AtomicBool::new(false), AtomicU64::new(0));
        let output = self.engines.borrow_mut()[engine]
            .simulate(range, &stop, &progress)
            .expect("nobody stops it");
        Part {
            range: output.range,
            tally: output.tally,
            records: output.records,
            blocks: output.blocks,
            attempt: Attempt {
                worker: format!("{maker:?}"),
                number: 1,
                seconds: 1.0,
            },
        }
    }

    /// Reads a part as [`read_part_of`] does.
    pub(super) fn read_part(
        &self,
        bytes: &Rc<Vec<u8>>,
        path: PathBuf,
        identity: &RunIdentity,
        layout: &Layout,
    ) -> Result<PartFile, ResultsError> {
        assert_eq!(
            (identity.fingerprint, identity.seed),
            (self.identity.fingerprint, self.identity.seed),
            "there is one run"
        );
        match self.known(bytes) {
            Some(known) => match &known.read {
                Ok(part) => {
                    let mut part = part.clone();
                    part.info.path = path;
                    Ok(part)
                }
                Err(problem) => Err(ResultsError::Foreign {
                    path,
                    problem: problem.clone(),
                }),
            },
            None => self.read_unknown(bytes, path, identity, layout),
        }
    }

    /// Digest of the contents of a part of this run; none if the file is anything else.
    pub(super) fn digest_in(&self, bytes: &[u8]) -> Option<[u8; 32]> {
        let known = self.known(bytes)?;
        known.read.is_ok().then_some(known.digest)
    }

    /// Patients of a part of this run; none if the file is anything else.
    pub(super) fn range_in(&self, bytes: &[u8]) -> Option<Range<u64>> {
        let known = self.known(bytes)?;
        Some(known.read.as_ref().ok()?.info.range.clone())
    }

    fn known(&self, bytes: &[u8]) -> Option<Rc<Prepared>> {
        let seal = &bytes[bytes.len().checked_sub(SEAL_DIGEST_BYTES)?..];
        let known = self.by_seal.borrow().get(seal).cloned()?;
        (known.bytes.as_slice() == bytes).then_some(known)
    }

    /// What the real reader says of a file.
    fn read_unknown(
        &self,
        bytes: &[u8],
        path: PathBuf,
        identity: &RunIdentity,
        layout: &Layout,
    ) -> Result<PartFile, ResultsError> {
        let real = self.folder.path().join("unknown.h5");
        fs::write(&real, bytes).expect("a file");
        match read_part_of(&real, identity, layout) {
            Err(ResultsError::Damaged { problem, .. }) => {
                Err(ResultsError::Damaged { path, problem })
            }
            Err(ResultsError::Kind {
                expected, problem, ..
            }) => Err(ResultsError::Kind {
                path,
                expected,
                problem,
            }),
            Err(error) => panic!("a file changed by chance is damaged, but: {error}"),
            Ok(part) => panic!("{} is a part that nobody made", part.info.path.display()),
        }
    }

    /// Merges parts as a coordinator does at the end, from real files.
    pub(super) fn merge(&self, parts: &[Rc<Vec<u8>>]) -> Result<Digest, ResultsError> {
        let folder = tempfile::tempdir_in(self.folder.path()).expect("a folder");
        let path = |name: String| -> PathBuf { Path::join(folder.path(), name) };
        let mut sources = Vec::new();
        for (number, bytes) in parts.iter().enumerate() {
            let source = path(format!("{number}.h5"));
            fs::write(&source, bytes.as_slice()).expect("a file");
            sources.push(source);
        }
        let result = write_result(&path("result.h5".into()), &sources, ENGINE_VERSION, &[])?;
        Ok(result.digest)
    }
}

/// Whether a file is called like a part.
pub(super) fn is_part(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "h5")
}
