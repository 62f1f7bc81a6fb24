//! What Prometheus reads.

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
    until("the last shard", || {
        text = get(&url, "/metrics");
        text.lines()
            .any(|line| line == "reseed_shards{state=\"committed\"} 50")
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
        "reseed_call_duration_seconds_count{call=\"Commit\"} 50",
        "# EOF",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
    running.ends(0);
    worker.ends(0);
}
