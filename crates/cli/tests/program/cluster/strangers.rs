//! Workers that ought not to be there: of another version, or hostile. They are refused, and the
//! run does not suffer.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use reseed_protocol::channel::{AuthorizedChannel, Connect};
use reseed_protocol::messages::{
    Ask, Failed, Held, Machine, PartHeader, Pulse, PulseAnswer, Receipt, Registration, Release,
    Session, Versions,
};
use reseed_protocol::wire::coordinator_client::CoordinatorClient;
use reseed_protocol::wire::deliver_request::Content;
use reseed_protocol::{CHUNK_BYTES, Kind, PART_BYTES_MAX, PROTOCOL_REVISION, Refusal, Retry, wire};
use reseed_trial::MODEL_VERSION;
use tokio::runtime::{Builder, Runtime};

use super::process::{Process, coordinator, part_files, status, until, wait_for_parts};
use super::proxy::{Proxy, replace};
use crate::bench::{Bench, count_parts};

/// Enough for the runs of these tests not to end before they are meant to.
const MANY: &str = "--patients 12000";

const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A client that says whatever it likes.
pub(super) struct Mallory {
    runtime: Runtime,
    client: CoordinatorClient<AuthorizedChannel>,
}

const SESSION: Session = Session(*b"mallory's secret");

impl Mallory {
    pub(super) fn new(url: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a thread");
        let connect = Connect {
            url: url.to_owned(),
            ..Connect::default()
        };
        let target = connect.check().expect("a good URL");
        let channel = runtime.block_on(target.connect());
        let client = CoordinatorClient::new(channel.expect("a coordinator"));
        Self { runtime, client }
    }

    pub(super) fn register(&mut self, versions: Versions) -> Result<(), Refusal> {
        let registration = Registration {
            session: SESSION,
            name: "mallory".into(),
            versions,
            machine: Machine::default(),
            holding: Vec::new(),
        };
        let call = self
            .client
            .register(wire::RegisterRequest::from(registration));
        self.runtime.block_on(call)?;
        Ok(())
    }

    /// Gets a lease of its own; returns its number.
    fn lease(&mut self) -> u64 {
        let ask = Ask {
            session: SESSION,
            wanted: 1,
        };
        let call = self.client.lease(wire::LeaseRequest::from(ask));
        let answer = self.runtime.block_on(call).expect("an answer");
        answer.into_inner().leases[0].attempt
    }

    fn pulse(&mut self, attempts: Range<u64>) -> PulseAnswer {
        let held = |attempt| Held {
            attempt,
            patients_done: 1,
        };
        let pulse = Pulse {
            session: SESSION,
            held: attempts.map(held).collect(),
        };
        let call = self.client.heartbeat(wire::HeartbeatRequest::from(pulse));
        let answer = self.runtime.block_on(call).expect("an answer");
        answer.into_inner().try_into().expect("a good one")
    }

    fn release(&mut self, attempts: Range<u64>) {
        let release = Release {
            session: SESSION,
            attempts: attempts.collect(),
        };
        let call = self.client.release(wire::ReleaseRequest::from(release));
        self.runtime.block_on(call).expect("an answer");
    }

    fn fail(&mut self, attempt: u64) {
        let failed = Failed {
            session: SESSION,
            attempt,
            retryable: false,
            error: "it cannot be done".into(),
        };
        let call = self.client.fail(wire::FailRequest::from(failed));
        self.runtime.block_on(call).expect("an answer");
    }

    fn deliver(&mut self, header: &PartHeader, bytes: &[u8]) -> Result<Receipt, Refusal> {
        let header = Content::Header(header.clone().into());
        let chunks = bytes.chunks(CHUNK_BYTES);
        let chunks = chunks.map(|chunk| Content::Chunk(chunk.to_vec()));
        self.say([header].into_iter().chain(chunks).collect())
    }

    fn say(&mut self, contents: Vec<Content>) -> Result<Receipt, Refusal> {
        let messages = contents.into_iter().map(|content| wire::DeliverRequest {
            content: Some(content),
        });
        let call = self.client.deliver(tokio_stream::iter(messages));
        self.runtime.block_on(call)?.into_inner().try_into()
    }
}

pub(super) fn versions() -> Versions {
    Versions {
        protocol_revision: PROTOCOL_REVISION,
        engine: ENGINE_VERSION.into(),
        model: MODEL_VERSION.into(),
    }
}

/// A part that a worker has made.
struct Made {
    bytes: Vec<u8>,
    range: Range<u64>,
}

impl Made {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().expect("a name").to_string_lossy();
        let (start, end) = name.split_once('-').expect("a range");
        let index = |digits: &str| digits.parse().expect("a number");
        Self {
            bytes: fs::read(path).expect("it is there"),
            range: index(start)..index(end),
        }
    }

    /// How it is announced, but for its digest.
    fn header(&self) -> PartHeader {
        PartHeader {
            session: SESSION,
            attempt: 0,
            range: self.range.clone(),
            digest: [7; 32],
            file_bytes: self.bytes.len() as u64,
            shared_name: None,
        }
    }
}

/// The last of at least `parts` parts of a run with these options, made and left by a cluster.
fn made(bench: &Bench, options: &str, parts: usize) -> Made {
    let (coordinator, url) = coordinator(bench, options);
    let worker = Process::start(bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), parts);
    coordinator.kill();
    worker.kill();
    let made = Made::read(part_files(&bench.path("s/parts")).last().expect("parts"));
    fs::remove_dir_all(bench.path("s")).expect("nobody uses it");
    made
}

#[test]
fn a_worker_of_another_version_is_refused_and_the_run_goes_on() {
    let bench = Bench::new();
    let golden = bench.golden_of(&format!("pair.toml {MANY}"));
    let (running, url) = coordinator(&bench, MANY);
    let worker = Process::start(&bench, &format!("work --connect {url} --threads 1"));
    wait_for_parts(&bench.path("s"), 3);
    // So that the run is still there when the other one comes.
    worker.signal("STOP");
    // The real program, whose version changes on the way.
    let mut other = ENGINE_VERSION.to_owned();
    other.replace_range(other.len() - 1.., "x");
    let proxy = Proxy::before(&url, replace(ENGINE_VERSION.into(), other.clone()));
    bench.fails(
        &format!("work --connect {}", proxy.url),
        7,
        &[
            &format!("the coordinator is reseed {ENGINE_VERSION}, the worker {other}"),
            "run the same version of reseed on both sides",
        ],
    );
    worker.signal("CONT");
    running.ends(0);
    worker.ends(0);
    assert_eq!(bench.digest("s/result.h5"), golden);
}

#[test]
fn every_version_must_be_the_coordinators() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "");
    let mut mallory = Mallory::new(&url);
    let revision = |protocol_revision| Versions {
        protocol_revision,
        ..versions()
    };
    let engine = Versions {
        engine: "9.9.9".into(),
        ..versions()
    };
    let model = Versions {
        model: "9.9.9".into(),
        ..versions()
    };
    for (wrong, ours, theirs) in [
        (engine, ENGINE_VERSION, "9.9.9"),
        (model, MODEL_VERSION, "9.9.9"),
        (revision(99), &*PROTOCOL_REVISION.to_string(), "99"),
    ] {
        let refusal = mallory.register(wrong).expect_err("another version");
        assert_eq!((refusal.kind, refusal.retry), (Kind::Version, Retry::Never));
        let told = &refusal.message;
        assert!(told.contains(ours) && told.contains(theirs), "{told}");
    }
    mallory.register(versions()).expect("the same version");
}

#[test]
fn a_hostile_worker_wastes_only_its_own_work() {
    let bench = Bench::new();
    let golden = bench.golden_of(&format!("pair.toml {MANY}"));
    let good = made(&bench, MANY, 30);
    let foreign = made(&bench, &format!("{MANY} --seed 5"), 30);
    let (running, url) = coordinator(&bench, &format!("{MANY} --audit 0"));
    let ada = Process::start(
        &bench,
        &format!("work --connect {url} --threads 1 --spool ada"),
    );
    wait_for_parts(&bench.path("s"), 3);
    // Ada holds shards while the other one does its worst.
    ada.signal("STOP");
    wait_for_silence(&bench, &url);
    let mut mallory = Mallory::new(&url);
    mallory.register(versions()).expect("it lies well");
    meddle_with_leases(&bench, &url, &mut mallory);
    let before = count_parts(&bench.path("s"));
    deliver_nonsense(&mut mallory, &good, &foreign);
    deliver_no_part(&mut mallory, &good);
    assert_eq!(count_parts(&bench.path("s")), before);
    assert_eq!(part_files(&bench.path("s/incoming")).len(), 0);
    assert_eq!(status(&bench, &url)["counts"]["parts_refused"], 7);
    ada.signal("CONT");
    running.ends(0);
    ada.ends(0);
    assert_eq!(bench.digest("s/result.h5"), golden);
}

/// Waits until what a stopped worker had sent before is dealt with.
fn wait_for_silence(bench: &Bench, url: &str) {
    let mut before = serde_json::Value::Null;
    until("silence", || {
        std::thread::sleep(Duration::from_millis(200));
        let counts = status(bench, url)["counts"].clone();
        let is_silent = counts == before && part_files(&bench.path("s/incoming")).is_empty();
        before = counts;
        is_silent
    });
}

/// Says things about leases that are another worker's.
fn meddle_with_leases(bench: &Bench, url: &str, mallory: &mut Mallory) {
    let own = mallory.lease();
    let others = own - 20..own;
    let leased = status(bench, url)["counts"]["shards_leased"].clone();
    assert!(leased.as_u64() >= Some(2), "{leased}: one is Mallory's");
    assert_eq!(
        mallory.pulse(others.clone()).revoked,
        others.clone().collect::<Vec<u64>>()
    );
    mallory.release(others.clone());
    for attempt in others {
        mallory.fail(attempt);
    }
    let counts = &status(bench, url)["counts"];
    assert_eq!(counts["shards_leased"], leased, "{counts}");
    for count in ["leases_lost", "leases_released", "failures"] {
        assert_eq!(counts[count], 0, "{counts}");
    }
}

/// Delivers what is no part of the run, of which seven have to be read to find out.
fn deliver_nonsense(mallory: &mut Mallory, good: &Made, foreign: &Made) {
    let mut refuses = |what: &str, header: PartHeader, bytes: &[u8], kind: Kind| {
        let refusal = mallory.deliver(&header, bytes).expect_err(what);
        assert_eq!(refusal.kind, kind, "{what}: {refusal}");
    };
    let header = || good.header();
    let bytes = &good.bytes;
    refuses(
        "a part of another run",
        PartHeader {
            range: good.range.clone(),
            ..foreign.header()
        },
        &foreign.bytes,
        Kind::Foreign,
    );
    refuses("another digest", header(), bytes, Kind::Damaged);
    let more = [bytes.as_slice(), &[0]].concat();
    refuses("a byte more than announced", header(), &more, Kind::Damaged);
    let less = &bytes[1..];
    refuses("a byte less than announced", header(), less, Kind::Damaged);
    let long = PartHeader {
        file_bytes: PART_BYTES_MAX + 1,
        ..header()
    };
    refuses("more than is taken", long, &[], Kind::Limit);
    let elsewhere = PartHeader {
        range: good.range.start + 120..good.range.end + 120,
        ..header()
    };
    refuses("other patients", elsewhere, bytes, Kind::Damaged);
    let uncut = PartHeader {
        range: 1..7,
        ..header()
    };
    refuses("no shard", uncut, bytes, Kind::Foreign);
    let nothing = vec![0; bytes.len()];
    refuses("no HDF5 file", header(), &nothing, Kind::Damaged);
    let unknown = PartHeader {
        session: Session([0; 16]),
        ..header()
    };
    refuses("a stranger's", unknown, bytes, Kind::UnknownSession);
    for name in ["../parts/x.h5", "/etc/passwd", "."] {
        let shared = PartHeader {
            shared_name: Some(name.into()),
            ..header()
        };
        refuses("a file elsewhere", shared, &[], Kind::Malformed);
    }
    let absent = PartHeader {
        shared_name: Some("absent.h5".into()),
        ..header()
    };
    refuses("a file that is not there", absent, &[], Kind::Damaged);
}

/// Calls that are no deliveries.
fn deliver_no_part(mallory: &mut Mallory, good: &Made) {
    let head = || Content::Header(good.header().into());
    let body = || Content::Chunk(good.bytes.clone());
    for contents in [vec![], vec![body()], vec![head(), body(), head()]] {
        let refusal = mallory.say(contents).expect_err("no part");
        assert_eq!(refusal.kind, Kind::Malformed, "{refusal}");
    }
}
