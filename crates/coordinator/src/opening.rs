//! From a folder to a service: what is committed, what is missing, and who will be told what.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use reseed_protocol::messages::{RunSpec, SharedFolder, Versions};
use reseed_protocol::{PART_BYTES_MAX, PROTOCOL_REVISION};
use reseed_results::{Folder, Layout, ResultsError, RunIdentity, Store};
use reseed_stats::Tally;
use reseed_trial::Trial;
use thiserror::Error;

use crate::books::{Books, evidence};
use crate::desk::{Desk, Offer};
use crate::front::{AcrossLook, Front};
use crate::ledger::Ledger;
use crate::message::{Attempt, Digest, Rules};
use crate::plan::{Cut, PlanError, plan};
use crate::service::Service;

/// File of the store with the size of shards.
const PLAN: &str = "plan";
/// Attempts of one opening of the store; the next opening starts beyond them.
const ATTEMPTS_PER_EPOCH: u64 = 1 << 32;
/// What a part may take besides its counts and records: names, edges, the structure of the file.
const PART_BASE_BYTES: u64 = 4 << 20;
/// What the row of a block may take: columns by arm, endpoint, size and look.
const BLOCK_ROW_BYTES_MAX: u64 = 1 << 20;
/// What the records of a patient may take for each arm: 64 columns, the most that a file may have.
const RECORD_BYTES_MAX: u64 = 64 * 8;

/// A run to coordinate.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What to simulate.
    pub trial: Trial,
    /// On which patients.
    pub target: Range<u64>,
    /// What files say of the run.
    pub identity: RunIdentity,
    /// Labels of their axes.
    pub layout: Layout,
    /// How to treat workers. The first attempt is chosen when the store is opened.
    pub rules: Rules,
    /// Patients of a shard, unless the store has been cut already.
    pub shard_patients: u64,
    /// Patients at the beginning that come in small shards, likewise.
    pub lead_in_patients: u64,
    /// Path of the store as workers on the same file system see it.
    pub shared_path: Option<String>,
}

/// What was found in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// What was found wrong, and set right.
    pub warnings: Vec<String>,
    /// Patients that are committed.
    pub patients_resumed: u64,
    /// Shards that are missing.
    pub shards: usize,
}

/// Why a run cannot be coordinated.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The shards.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Parts that hide what the precision is judged on.
    #[error(transparent)]
    AcrossLook(#[from] AcrossLook),
    /// Two machines computed different results, and nobody has found out yet which is wrong.
    #[error(
        "the store holds parts that differ from those committed for the same patients in parts/: \
         {} (a machine is faulty or runs other code); find out which one, remove from parts/ \
         whatever it computed, move these files elsewhere, and start again",
        list(.0)
    )]
    Evidence(Vec<PathBuf>),
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

/// Opens the store in a locked folder and sets up a service that goes on from what is there.
/// `owner` is as for [`Store::open_in`].
///
/// # Errors
/// [`OpenError`].
pub fn open<F: Folder + Clone>(
    folder: F,
    terms: Terms,
    owner: &str,
) -> Result<(Service<F>, Opening), OpenError> {
    let store = Store::open_in(folder, &terms.identity, &terms.layout, owner)?;
    // Only now that the store is ours can no predecessor add to it.
    let evidence = evidence(store.folder())?;
    if !evidence.is_empty() {
        return Err(OpenError::Evidence(evidence));
    }
    let mut front = terms
        .trial
        .precision
        .map(|_| Front::new(&terms.trial, &terms.target));
    let committed: Vec<(Range<u64>, Digest)> = store
        .committed()
        .map(|info| (info.range.clone(), Digest(info.digest.0)))
        .collect();
    let shards = shards(&store, &terms, front.as_ref(), &committed)?;
    if let Some(front) = &mut front {
        for (range, _) in &committed {
            front.commit(range)?;
        }
    }
    let longest = shards
        .iter()
        .map(|(range, _)| range.end - range.start)
        .max();
    let offer = offer(&store, &terms, part_bytes_max(&terms, longest.unwrap_or(0)));
    let opening = Opening {
        warnings: store.warnings().to_vec(),
        patients_resumed: committed
            .iter()
            .map(|(range, _)| range.end - range.start)
            .sum(),
        shards: shards.len() - committed.len(),
    };
    let rules = Rules {
        first_attempt: Attempt(store.epoch().saturating_mul(ATTEMPTS_PER_EPOCH)),
        ..terms.rules
    };
    let desk = Desk::new(offer, Ledger::resume(shards, rules));
    let books = Books::open(store, terms.trial, front);
    let service = Service::new(desk, books, terms.identity, terms.layout);
    Ok((service, opening))
}

/// A shard, and its digest if it is committed.
type Planned = (Range<u64>, Option<Digest>);

/// All shards of the run in order, those that are committed with their digests.
fn shards<F: Folder>(
    store: &Store<F>,
    terms: &Terms,
    front: Option<&Front>,
    committed: &[(Range<u64>, Digest)],
) -> Result<Vec<Planned>, OpenError> {
    let mut cut = cut_of(store.folder(), terms)?;
    cut.block_patients = terms.trial.block_patients.unwrap_or(1);
    cut.boundaries = front.map_or_else(Vec::new, |front| front.looks().to_vec());
    let ranges: Vec<Range<u64>> = committed.iter().map(|(range, _)| range.clone()).collect();
    let missing = plan(&terms.target, &ranges, &cut)?;
    let missing = missing.into_iter().map(|range| (range, None));
    let present = committed
        .iter()
        .map(|(range, digest)| (range.clone(), Some(*digest)));
    let mut shards: Vec<_> = missing.chain(present).collect();
    shards.sort_by_key(|(range, _)| range.start);
    Ok(shards)
}

/// How the store is cut. A successor cuts like its predecessor, so that what workers have
/// computed meanwhile still fits.
fn cut_of(folder: &impl Folder, terms: &Terms) -> Result<Cut, ResultsError> {
    let path = folder.path(PLAN);
    let found = match folder.read(PLAN) {
        Ok(bytes) => parse(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(ResultsError::io("read", &path)(error)),
    };
    let (shard_patients, lead_in_patients) = if let Some(found) = found {
        found
    } else {
        let chosen = (terms.shard_patients, terms.lead_in_patients);
        write_plan(folder, chosen).map_err(ResultsError::io("write", &path))?;
        chosen
    };
    Ok(Cut {
        lead_in_patients,
        ..Cut::even(shard_patients)
    })
}

/// A file that a crash cut short is as good as none: nobody has computed by it.
fn parse(bytes: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let (shard_patients, lead_in_patients) = text.split_once(' ')?;
    let plan = (shard_patients.parse().ok()?, lead_in_patients.parse().ok()?);
    (plan.0 > 0).then_some(plan)
}

fn write_plan(folder: &impl Folder, plan: (u64, u64)) -> io::Result<()> {
    if let Err(error) = folder.remove(PLAN)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    folder.append(PLAN, format!("{} {}\n", plan.0, plan.1).as_bytes())?;
    folder.sync(PLAN)?;
    folder.sync_names("")
}

/// Far more than a part of so many patients takes, and far less than what fills a disk: its
/// counts twice, text and structure, and records of all columns that a file may have.
fn part_bytes_max(terms: &Terms, patients: u64) -> u64 {
    let tally = Tally::empty(terms.trial.shape());
    let counts: usize = tally.tables().iter().map(|table| table.values.len()).sum();
    let text = terms.identity.trial_toml.len() as u64;
    let blocks = match terms.trial.block_patients {
        Some(block_patients) => (patients / block_patients).saturating_mul(BLOCK_ROW_BYTES_MAX),
        None => 0,
    };
    let records = if terms.trial.records {
        let rows = patients.saturating_mul(terms.trial.shape().arms as u64);
        rows.saturating_mul(RECORD_BYTES_MAX)
    } else {
        0
    };
    let sum = PART_BASE_BYTES + text + 2 * 8 * counts as u64;
    sum.saturating_add(records)
        .saturating_add(blocks)
        .min(PART_BYTES_MAX)
}

fn offer<F: Folder>(store: &Store<F>, terms: &Terms, part_bytes_max: u64) -> Offer {
    let identity = &terms.identity;
    Offer {
        run: RunSpec {
            trial_toml: identity.trial_toml.clone(),
            fingerprint: identity.fingerprint,
            seed: identity.seed,
        },
        versions: Versions {
            protocol_revision: PROTOCOL_REVISION,
            engine: identity.engine_version.clone(),
            model: identity.model_version.clone(),
        },
        lease_ms: terms.rules.lease_ms,
        part_bytes_max,
        shared: terms.shared_path.clone().map(|path| SharedFolder {
            path,
            marker: store.epoch_text().to_owned(),
        }),
    }
}
