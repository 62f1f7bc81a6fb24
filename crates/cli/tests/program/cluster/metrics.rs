//! What Prometheus reads.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::process::{Process, coordinator, get, until};
use super::strangers::{Mallory, versions};
use crate::bench::Bench;

#[test]
fn metrics_tell_what_a_run_did() {
    let bench = Bench::new();
    let (running, url) = coordinator(&bench, "--lease-seconds 300 --audit 0");
    // The coordinator waits a little for a worker that does not leave.
    let mut idle = Mallory::new(&url);
    idle.register(versions()).expect("the right version");
    let worker = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    let mut text = String::new();
    // The time of a commit is noted last, when the shard is known already.
    until("the last shard", || {
        text = get(&url, "/metrics");
        text.lines()
            .any(|line| line == "reseed_call_duration_seconds_count{call=\"Commit\"} 50")
    });
    for line in [
        "# TYPE reseed_shards gauge",
        "reseed_shards{state=\"open\"} 0",
        "reseed_shards{state=\"leased\"} 0",
        "# TYPE reseed_digest_checks counter",
        "reseed_digest_checks_total{result=\"failed\"} 0",
        "reseed_digest_checks_open 0",
        "# TYPE reseed_retries counter",
        "reseed_retries_total{cause=\"lost\"} 0",
        "reseed_retries_total{cause=\"failure\"} 0",
        "reseed_duplicates_total 0",
        "reseed_patients 6000",
        "reseed_patients_committed 6000",
        "reseed_leases 0",
        "reseed_oldest_lease_age_seconds 0.0",
        "reseed_connections_turned_away_total 0",
        "reseed_failed_handshakes_total 0",
        "reseed_call_duration_seconds_count{call=\"Register\"} 2",
        "reseed_shards{state=\"committed\"} 50",
        "# EOF",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
    running.ends(0);
    worker.ends(0);
    let served = samples(&text);
    for file in ["grafana-dashboard.json", "alerts.yaml", "alerts_test.yaml"] {
        let unknown: Vec<_> = metrics_in(&root().join("deploy/monitoring").join(file))
            .into_iter()
            .filter(|name| !served.contains(name))
            .collect();
        assert!(
            unknown.is_empty(),
            "{file}: no coordinator serves {unknown:?}"
        );
    }
    let explained = metrics_in(&root().join("docs/operations.md"));
    let families: BTreeSet<String> = served.iter().map(|name| family(name)).collect();
    assert_eq!(
        explained, families,
        "what the guide has, and what is served"
    );
}

/// Names of the metrics in an answer.
fn samples(answer: &str) -> BTreeSet<String> {
    let lines = answer.lines().filter(|line| line.starts_with("reseed_"));
    lines.filter_map(|line| words(line).next()).collect()
}

/// Names of the metrics that a file speaks of.
fn metrics_in(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).expect("a file of the project");
    let names: BTreeSet<String> = words(&text)
        .filter(|word| word.starts_with("reseed_"))
        .collect();
    assert!(!names.is_empty(), "{} has no metrics", path.display());
    names
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let ends = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
    text.split(ends).map(str::to_owned)
}

/// What a metric is called by people: the three parts of a histogram have one name.
fn family(sample: &str) -> String {
    let parts = ["_bucket", "_sum", "_count"];
    let histogram = parts.iter().find_map(|part| sample.strip_suffix(part));
    histogram.unwrap_or(sample).to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
