//! Counts and times for Prometheus.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use reseed_protocol::Kind;
use reseed_protocol::messages::Receipt;

use super::listener::Counters;
use crate::message::{Fatal, Millis, Phase};
use crate::service::Service;

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<CallLabel, Histogram, fn() -> Histogram>,
    parts: Family<PartLabel, Counter>,
    shards: Family<StateLabel, Gauge>,
    audits: Family<ResultLabel, Counter>,
    audits_open: Gauge,
    lost: Family<CauseLabel, Counter>,
    duplicates: Counter,
    patients: Gauge,
    patients_committed: Gauge,
    patients_per_second: Gauge<f64, std::sync::atomic::AtomicU64>,
    workers: Gauge,
    leases: Gauge,
    oldest_lease_seconds: Gauge<f64, std::sync::atomic::AtomicU64>,
    connections: Gauge,
    turned_away: Counter,
    failed_handshakes: Counter,
    doors: Arc<Counters>,
}

/// What is timed: the calls of proto/, and the commit within a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Call {
    Register,
    Lease,
    Heartbeat,
    Deliver,
    Commit,
    Release,
    Fail,
    Leave,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    call: Call,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

/// Notes how long something took, when it is dropped.
pub(crate) struct Timed {
    histogram: Histogram,
    start: Instant,
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.histogram.observe(self.start.elapsed().as_secs_f64());
    }
}

impl Metrics {
    pub(crate) fn new(doors: Arc<Counters>) -> Self {
        // From 50 microseconds to 50 seconds.
        let calls = Family::new_with_constructor(
            (|| Histogram::new(exponential_buckets(50e-6, 4.0, 11))) as fn() -> Histogram,
        );
        let mut metrics = Self {
            registry: Registry::with_prefix("reseed"),
            calls,
            parts: Family::default(),
            shards: Family::default(),
            audits: Family::default(),
            audits_open: Gauge::default(),
            lost: Family::default(),
            duplicates: Counter::default(),
            patients: Gauge::default(),
            patients_committed: Gauge::default(),
            patients_per_second: Gauge::default(),
            workers: Gauge::default(),
            leases: Gauge::default(),
            oldest_lease_seconds: Gauge::default(),
            connections: Gauge::default(),
            turned_away: Counter::default(),
            failed_handshakes: Counter::default(),
            doors,
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register_with_unit(
            "call_duration",
            "Time of a call; commit is the part of a delivery after its last byte",
            Unit::Seconds,
            self.calls.clone(),
        );
        registry.register(
            "parts",
            "Parts delivered, by what became of them",
            self.parts.clone(),
        );
        registry.register("shards", "Shards of the run by state", self.shards.clone());
        registry.register(
            "digest_checks",
            "Shards computed twice (audits), by result; after one that failed the run ends",
            self.audits.clone(),
        );
        registry.register(
            "digest_checks_open",
            "Shards that are to be computed twice and are not yet",
            self.audits_open.clone(),
        );
        registry.register(
            "retries",
            "Leases that came to nothing or were given twice, by cause",
            self.lost.clone(),
        );
        registry.register(
            "duplicates",
            "Shards delivered again with the same result",
            self.duplicates.clone(),
        );
        registry.register("patients", "Patients of the run", self.patients.clone());
        registry.register(
            "patients_committed",
            "Patients in committed shards",
            self.patients_committed.clone(),
        );
        registry.register(
            "patients_per_second",
            "Patients simulated in a second, lately",
            self.patients_per_second.clone(),
        );
        registry.register("workers", "Workers heard of lately", self.workers.clone());
        registry.register("leases", "Leases under way", self.leases.clone());
        registry.register_with_unit(
            "oldest_lease_age",
            "Age of the oldest lease under way, 0 if there is none",
            Unit::Seconds,
            self.oldest_lease_seconds.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "connections_turned_away",
            "Connections closed at once because there were too many",
            self.turned_away.clone(),
        );
        registry.register(
            "failed_handshakes",
            "TLS handshakes that failed or took too long",
            self.failed_handshakes.clone(),
        );
    }

    /// Starts to time something; dropping the answer ends it.
    pub(crate) fn time(&self, call: Call) -> Timed {
        Timed {
            histogram: self.calls.get_or_create(&CallLabel { call }).clone(),
            start: Instant::now(),
        }
    }

    /// Counts a part that was taken.
    pub(crate) fn note_receipt(&self, receipt: Receipt) {
        self.note_part(match receipt {
            Receipt::Committed => "committed",
            Receipt::Discarded => "discarded",
        });
    }

    /// Counts a part that was not taken.
    pub(crate) fn note_refusal(&self, kind: Kind) {
        self.note_part(match kind {
            Kind::Damaged => "damaged",
            Kind::Foreign => "foreign",
            Kind::Store => "store",
            Kind::Conflict => "conflict",
            _ => "other",
        });
    }

    fn note_part(&self, outcome: &'static str) {
        self.parts.get_or_create(&PartLabel { outcome }).inc();
    }

    /// All metrics as Prometheus reads them.
    ///
    /// # Errors
    /// Never in practice: text is written to memory.
    pub(crate) fn text<F: reseed_results::Folder + Clone>(
        &self,
        service: &Service<F>,
        now: Millis,
    ) -> Result<String, std::fmt::Error> {
        self.take_stock(service, now);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn take_stock<F: reseed_results::Folder + Clone>(&self, service: &Service<F>, now: Millis) {
        let desk = service.desk();
        let (counts, progress) = (desk.counts(), desk.progress());
        for (state, number) in [
            ("open", counts.shards_open),
            ("leased", counts.shards_leased),
            ("committed", counts.shards_committed),
        ] {
            set(&self.shards.get_or_create(&StateLabel { state }), number);
        }
        let conflict = matches!(desk.phase(), Phase::Failed(Fatal::Conflict { .. }));
        for (result, number) in [
            ("passed", counts.audits_passed),
            ("skipped", counts.audits_skipped),
            ("failed", u64::from(conflict)),
        ] {
            let counter = self.audits.get_or_create(&ResultLabel { result });
            advance(&counter, number);
        }
        set(&self.audits_open, counts.audits_open);
        for (cause, number) in [
            ("lost", counts.leases_lost),
            ("released", counts.leases_released),
            ("straggler", counts.leases_repeated),
            ("failure", counts.failures),
        ] {
            let counter = self.lost.get_or_create(&CauseLabel { cause });
            advance(&counter, number);
        }
        advance(&self.duplicates, counts.duplicates);
        set(&self.patients, progress.patients);
        set(&self.patients_committed, progress.patients_committed);
        self.patients_per_second.set(desk.patients_per_second());
        set(&self.workers, progress.workers as u64);
        set(&self.leases, progress.leases as u64);
        self.oldest_lease_seconds
            .set(desk.oldest_lease_ms(now) as f64 / 1000.0);
        set(&self.connections, self.doors.open());
        advance(&self.turned_away, self.doors.turned_away());
        advance(&self.failed_handshakes, self.doors.failed_handshakes());
    }
}

/// Takes over what was counted elsewhere, where it only grows.
fn advance(counter: &Counter, number: u64) {
    counter.inner().fetch_max(number, Ordering::Relaxed);
}

fn set(gauge: &Gauge, number: u64) {
    gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
}
