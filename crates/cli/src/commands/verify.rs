//! `reseed verify`: compute recorded shards again and compare.

use std::collections::BTreeMap;
use std::ops::Range;

use reseed_results::{Digest, ResultFile, ResultsError, ShardEntry, read_result};
use reseed_stats::Tally;
use reseed_trial::Trial;
use serde::Serialize;

use crate::args::Verify;
use crate::exit::Failure;
use crate::identity;
use crate::output::{Chatter, grouped, print_json};
use crate::progress::Meter;
use crate::shards::{self, Computed, Ending, Sink, Work};
use crate::signals;

/// What was checked, for `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    digest: String,
    pub(crate) shards_checked: usize,
    pub(crate) shards: usize,
    pub(crate) patients_checked: u64,
    patients: u64,
}

pub(crate) fn verify(args: &Verify, chatter: Chatter) -> Result<(), Failure> {
    // Reading checks the total digest against the tallies.
    let file = read_result(&args.file).map_err(damage_is_a_mismatch)?;
    let trial = identity::trial_of(&file)?;
    let summary = recompute(&file, &trial, args.fraction, args.work.threads(), chatter)?;
    summary.tell(args.json, chatter)
}

/// Computes shards with at least the fraction of the patients again, and compares.
pub(crate) fn recompute(
    file: &ResultFile,
    trial: &Trial,
    fraction: f64,
    threads: usize,
    chatter: Chatter,
) -> Result<Summary, Failure> {
    let chosen = choose(file, fraction);
    let plan: Vec<Range<u64>> = chosen.iter().map(|shard| shard.range.clone()).collect();
    let patients = plan.iter().map(|range| range.end - range.start).sum();
    let stop = signals::stop_flag()?;
    let work = Work {
        trial,
        seed: file.identity.seed,
        threads,
        stop: &stop,
    };
    let mut check = Check {
        expected: chosen
            .iter()
            .map(|shard| (shard.range.start, shard.digest))
            .collect(),
        tally: Tally::empty(file.tally.shape().clone()),
        agreed: 0,
    };
    let mut meter = Meter::new(chatter.progress, patients, 0);
    let ending = shards::simulate(&work, plan, &mut check, |done, _| {
        meter.update(done, || None);
    });
    meter.finish();
    if ending? == Ending::Stopped {
        return Err(Failure::Interrupted(format!(
            "stopped: {} of {} shards were computed again, and agree",
            check.agreed,
            chosen.len()
        )));
    }
    if chosen.len() == file.shards.len() && check.tally != file.tally {
        return Err(Failure::Mismatch(
            "every shard agrees, but their sum is not the result's tally: the result was put \
             together from other parts; compute it again"
                .into(),
        ));
    }
    Ok(Summary {
        digest: file.digest.to_string(),
        shards_checked: chosen.len(),
        shards: file.shards.len(),
        patients_checked: patients,
        patients: file.tally.screened(),
    })
}

impl Summary {
    fn tell(&self, json: bool, chatter: Chatter) -> Result<(), Failure> {
        chatter.say(&format!(
            "verified: {} of {} patients ({} of {} shards) were computed again and agree, and the \
             digest {} is that of the tallies",
            grouped(self.patients_checked),
            grouped(self.patients),
            self.shards_checked,
            self.shards,
            self.digest
        ));
        if json { print_json(self) } else { Ok(()) }
    }
}

/// A damaged file is the answer to this command's question, not an obstacle to it.
fn damage_is_a_mismatch(error: ResultsError) -> Failure {
    match error {
        ResultsError::Damaged { .. } => Failure::Mismatch(error.to_string()),
        other => other.into(),
    }
}

/// Shards with at least the fraction of the patients, in index order. They are drawn by the
/// result's own digest: always the same, but hard to foresee for whoever made the file.
fn choose(file: &ResultFile, fraction: f64) -> Vec<&ShardEntry> {
    let mut drawn: Vec<(Digest, &ShardEntry)> = file
        .shards
        .iter()
        .map(|shard| (lot(file.digest, shard), shard))
        .collect();
    drawn.sort_by_key(|(lot, _)| *lot);
    let wanted = file.tally.screened() as f64 * fraction;
    let mut patients = 0;
    let mut chosen: Vec<&ShardEntry> = drawn
        .into_iter()
        .map(|(_, shard)| shard)
        .take_while(|shard| {
            let enough = patients as f64 >= wanted;
            patients += shard.range.end - shard.range.start;
            !enough
        })
        .collect();
    chosen.sort_by_key(|shard| shard.range.start);
    chosen
}

fn lot(result: Digest, shard: &ShardEntry) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&result.0);
    hasher.update(&shard.range.start.to_le_bytes());
    Digest(hasher.finalize().into())
}

/// Compares shards with what is recorded.
struct Check {
    expected: BTreeMap<u64, Digest>,
    tally: Tally,
    agreed: usize,
}

impl Sink for Check {
    fn commit(&mut self, shard: Computed) -> Result<Option<u64>, Failure> {
        let range = &shard.output.range;
        let recorded = self.expected[&range.start];
        if recorded != shard.digest {
            return Err(Failure::Mismatch(format!(
                "patients {}..{} do not agree: the file records digest {recorded}, computing them \
                 again gives {}; the result or this machine is faulty, so verify on another one",
                range.start, range.end, shard.digest
            )));
        }
        self.agreed += 1;
        self.tally
            .merge(&shard.output.tally)
            .map_err(|error| Failure::Internal(error.to_string()))?;
        Ok(None)
    }
}
