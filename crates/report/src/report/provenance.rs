//! Where a result comes from and how to compute it again.

use std::collections::BTreeMap;
use std::ops::Range;

use reseed_results::{Digest, ResultFile, ShardEntry};

use super::ReportInput;
use crate::text::grouped;

/// What the page says about the run.
#[derive(Debug)]
pub(crate) struct Provenance {
    /// Names and values.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Workers, their shards, patients, repeated attempts and seconds of computing.
    pub(crate) workers: Vec<[String; 5]>,
    /// Notes on how the result was made.
    pub(crate) notes: Vec<(String, String)>,
    /// The trial file.
    pub(crate) trial_toml: String,
    /// Commands that compute it again, and that check it.
    pub(crate) commands: Vec<String>,
}

impl Provenance {
    pub(super) fn of(input: &ReportInput<'_>) -> Self {
        let file = input.file;
        let identity = &file.identity;
        let ranges: Vec<String> = file.ranges.iter().map(range_text).collect();
        Self {
            facts: vec![
                ("digest of the result", file.digest.to_string()),
                (
                    "fingerprint of the trial",
                    Digest(identity.fingerprint).to_string(),
                ),
                ("seed", identity.seed.to_string()),
                ("reseed", identity.engine_version.clone()),
                ("patient model", identity.model_version.clone()),
                ("patients", ranges.join(", ")),
                ("shards", grouped(file.shards.len() as u64)),
            ],
            workers: workers(&file.shards),
            notes: file.notes.clone(),
            trial_toml: input.trial_toml.to_owned(),
            commands: commands(file, input.file_name),
        }
    }
}

/// First and last patient.
fn range_text(range: &Range<u64>) -> String {
    format!("{} to {}", grouped(range.start), grouped(range.end - 1))
}

fn workers(shards: &[ShardEntry]) -> Vec<[String; 5]> {
    let mut workers: BTreeMap<&str, (u64, u64, u64, f64)> = BTreeMap::new();
    for shard in shards {
        let (count, patients, repeated, seconds) =
            workers.entry(&shard.attempt.worker).or_default();
        *count += 1;
        *patients += shard.range.end - shard.range.start;
        *repeated += u64::from(shard.attempt.number > 1);
        *seconds += shard.attempt.seconds;
    }
    let lines = workers
        .into_iter()
        .map(|(worker, (shards, patients, repeated, seconds))| {
            [
                worker.to_owned(),
                grouped(shards),
                grouped(patients),
                grouped(repeated),
                format!("{seconds:.1}"),
            ]
        });
    lines.collect()
}

fn commands(file: &ResultFile, file_name: &str) -> Vec<String> {
    let seed = file.identity.seed;
    let run = |range: &Range<u64>, out: &str| {
        let first = if range.start == 0 {
            String::new()
        } else {
            format!(" --first-patient {}", range.start)
        };
        let patients = range.end - range.start;
        format!("reseed run trial.toml --patients {patients}{first} --seed {seed}{out}")
    };
    let mut commands: Vec<String> = if let [range] = file.ranges.as_slice() {
        vec![run(range, "")]
    } else {
        let numbered = file.ranges.iter().zip(1u32..);
        let runs = numbered.map(|(range, number)| run(range, &format!(" --out {number}.h5")));
        let names: Vec<String> = (1..=file.ranges.len())
            .map(|number| format!("{number}.h5"))
            .collect();
        runs.chain([format!("reseed merge {} --out all.h5", names.join(" "))])
            .collect()
    };
    commands.push(format!("reseed verify {file_name} --fraction 1"));
    commands
}
