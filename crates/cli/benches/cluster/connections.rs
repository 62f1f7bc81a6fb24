//! One coordinator process and a thousand connections, each of which behaves like a worker that
//! has its parts ready: it asks for a shard and delivers the part of it, over the network.
//!
//! First as fast as the coordinator takes them, then at half of that pace, which is how a cluster
//! looks that leaves the coordinator room.

use std::collections::BTreeMap;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use reseed_engine::Engine;
use reseed_protocol::channel::{AuthorizedChannel, Connect};
use reseed_protocol::wire::coordinator_client::CoordinatorClient;
use reseed_protocol::wire::deliver_request::Content;
use reseed_protocol::{CHUNK_BYTES, PROTOCOL_REVISION, wire};
use reseed_results::{Attempt, Layout, Part, RunIdentity, write_part};
use reseed_trial::Trial;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_stream::Stream;

use crate::print;
use crate::processes::Process;

/// How much is asked of a coordinator.
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) parts: u64,
    pub(crate) part_patients: u64,
}

pub(crate) fn measure(load: &Load) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ready = Arc::new(prepare(folder.path(), load)?);
    let bytes: u64 = ready.values().map(|part| part.file_bytes).sum();
    print(
        "size of a part",
        "kB",
        &[bytes as f64 / ready.len() as f64 / 1e3],
        None,
    );
    let full = deliver_all(folder.path(), load, &ready, None)?;
    let connections = load.connections;
    let title = |what: &str| format!("{connections} connections: {what}");
    print(
        &title("until all have registered"),
        "s",
        &[full.registered],
        None,
    );
    print(
        &title("parts committed"),
        "1/s",
        &[full.commits_per_second],
        None,
    );
    print(
        &title("processor time of the coordinator for a commit"),
        "ms",
        &[full.processor_ms],
        None,
    );
    print(
        &title("processors that the coordinator keeps busy"),
        "1",
        &[full.processors],
        None,
    );
    print_latencies(&title("at full load: lease"), &full.leases);
    print_latencies(&title("at full load: delivery"), &full.deliveries);
    print(
        &title("memory before they come"),
        "MB",
        &[full.memory_before_mb],
        None,
    );
    print(
        &title("memory when all are there"),
        "MB",
        &[full.memory_with_mb],
        None,
    );
    print(&title("most memory"), "MB", &[full.memory_most_mb], None);
    let half = deliver_all(
        folder.path(),
        load,
        &ready,
        Some(full.commits_per_second / 2.0),
    )?;
    print(
        &title("parts committed at half of the pace"),
        "1/s",
        &[half.commits_per_second],
        None,
    );
    print_latencies(&title("at half of the pace: lease"), &half.leases);
    print_latencies(&title("at half of the pace: delivery"), &half.deliveries);
    Ok(())
}

fn print_latencies(what: &str, latencies: &[f64]) {
    let mut sorted = latencies.to_vec();
    sorted.sort_by(f64::total_cmp);
    for (name, share) in [("median", 0.5), ("99 %", 0.99)] {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let at = ((sorted.len() - 1) as f64 * share).round() as usize;
        print(&format!("{what}, {name}"), "ms", &[sorted[at] * 1e3], None);
    }
}

/// A part that lies ready.
struct Ready {
    path: PathBuf,
    digest: [u8; 32],
    file_bytes: u64,
}

/// Parts by their first patient.
type Parts = BTreeMap<u64, Ready>;

/// Computes the parts of all shards.
fn prepare(folder: &Path, load: &Load) -> anyhow::Result<Parts> {
    let trial = Trial::preset("breast").context("there is such a preset")?;
    let identity = RunIdentity::of(&trial, trial.seed, env!("CARGO_PKG_VERSION"));
    let layout = Layout::of(&trial);
    let mut engine = Engine::new(&trial, trial.seed);
    let mut parts = BTreeMap::new();
    for number in 0..load.parts {
        let start = number * load.part_patients;
        let range = start..start + load.part_patients;
        let output = engine.simulate(range, &AtomicBool::new(false), &AtomicU64::new(0))?;
        let part = Part {
            range: output.range,
            tally: output.tally,
            records: output.records,
            blocks: output.blocks,
            attempt: Attempt::default(),
        };
        let path = folder.join(format!("{start}.h5"));
        let info = write_part(&path, &identity, &layout, &part)?;
        let ready = Ready {
            digest: info.digest.0,
            file_bytes: fs::metadata(&path)?.len(),
            path,
        };
        parts.insert(start, ready);
    }
    Ok(parts)
}

/// What was measured while all parts were delivered.
struct Measured {
    registered: f64,
    commits_per_second: f64,
    processor_ms: f64,
    processors: f64,
    leases: Vec<f64>,
    deliveries: Vec<f64>,
    memory_before_mb: f64,
    memory_with_mb: f64,
    memory_most_mb: f64,
}

/// Delivers all parts to a new coordinator, at most so many a second.
fn deliver_all(
    folder: &Path,
    load: &Load,
    ready: &Arc<Parts>,
    pace: Option<f64>,
) -> anyhow::Result<Measured> {
    let store = tempfile::tempdir_in(folder)?;
    let line = format!(
        "coordinate breast --patients {} --shard-patients {} --store {} --no-shared-store \
         --listen 127.0.0.1:0 --no-progress",
        load.parts * load.part_patients,
        load.part_patients,
        store.path().join("s").display()
    );
    let (coordinator, url) = Process::coordinator(folder, &line)?;
    let memory_before_mb = coordinator.memory_mb("VmRSS:")?;
    let runtime = Runtime::new()?;
    let begin = Instant::now();
    let workers = runtime.block_on(register_all(&url, load.connections))?;
    let registered = begin.elapsed().as_secs_f64();
    let memory_with_mb = coordinator.memory_mb("VmRSS:")?;

    let between = pace.map(|pace| Duration::from_secs_f64(load.connections as f64 / pace));
    let processor_before = coordinator.processor_seconds()?;
    let begin = Instant::now();
    let committed = Arc::new(AtomicU64::new(0));
    let watch = watch(coordinator, Arc::clone(&committed), load.parts, begin);
    let (leases, deliveries) = runtime.block_on(work_all(workers, ready, between, &committed))?;
    let seen = watch.join().map_err(|_| anyhow!("watching failed"))??;
    let processor_seconds = seen.processor_seconds - processor_before;
    Ok(Measured {
        registered,
        commits_per_second: load.parts as f64 / seen.seconds,
        processor_ms: processor_seconds / load.parts as f64 * 1e3,
        processors: processor_seconds / seen.seconds,
        leases,
        deliveries,
        memory_before_mb,
        memory_with_mb,
        memory_most_mb: seen.memory_most_mb,
    })
}

/// What a coordinator has used when all parts are committed.
struct Seen {
    seconds: f64,
    processor_seconds: f64,
    memory_most_mb: f64,
}

/// Watches a coordinator until all parts are committed; afterwards it merges them.
fn watch(
    coordinator: Process,
    committed: Arc<AtomicU64>,
    parts: u64,
    begin: Instant,
) -> thread::JoinHandle<anyhow::Result<Seen>> {
    thread::spawn(move || {
        while committed.load(Ordering::Relaxed) < parts {
            thread::sleep(Duration::from_millis(5));
        }
        let seconds = begin.elapsed().as_secs_f64();
        let seen = Seen {
            seconds,
            processor_seconds: coordinator.processor_seconds()?,
            memory_most_mb: coordinator.memory_mb("VmHWM:")?,
        };
        // Merging thousands of parts is not what is measured.
        drop(coordinator);
        Ok(seen)
    })
}

/// One of many workers.
struct Worker {
    client: CoordinatorClient<AuthorizedChannel>,
    session: Vec<u8>,
    number: usize,
}

async fn register_all(url: &str, connections: usize) -> anyhow::Result<Vec<Worker>> {
    let mut joined = JoinSet::new();
    for number in 0..connections {
        joined.spawn(register(url.to_owned(), number));
    }
    joined.join_all().await.into_iter().collect()
}

async fn register(url: String, number: usize) -> anyhow::Result<Worker> {
    let connect = Connect {
        url,
        ..Connect::default()
    };
    let mut client = CoordinatorClient::new(connect.check()?.connect().await?);
    let mut session = vec![7; 16];
    session[..8].copy_from_slice(&(number as u64).to_le_bytes());
    let request = wire::RegisterRequest {
        session: session.clone(),
        name: format!("worker {number}"),
        protocol_revision: PROTOCOL_REVISION,
        engine_version: env!("CARGO_PKG_VERSION").into(),
        model_version: reseed_trial::MODEL_VERSION.into(),
        machine: Some(wire::Machine {
            architecture: "x86_64".into(),
            threads: 1,
            ..wire::Machine::default()
        }),
        ..wire::RegisterRequest::default()
    };
    client.register(request).await?;
    Ok(Worker {
        client,
        session,
        number,
    })
}

/// Times of leases and deliveries, s.
type Latencies = (Vec<f64>, Vec<f64>);

async fn work_all(
    workers: Vec<Worker>,
    ready: &Arc<Parts>,
    between: Option<Duration>,
    committed: &Arc<AtomicU64>,
) -> anyhow::Result<Latencies> {
    let count = workers.len();
    let mut joined = JoinSet::new();
    for worker in workers {
        // Workers of a paced cluster do not come all at once.
        let after = between.map(|between| between.mul_f64(worker.number as f64 / count as f64));
        let (ready, committed) = (Arc::clone(ready), Arc::clone(committed));
        joined.spawn(async move {
            sleep(after.unwrap_or_default()).await;
            work(worker, &ready, between, &committed).await
        });
    }
    let mut all = (Vec::new(), Vec::new());
    for latencies in joined.join_all().await {
        let (leases, deliveries) = latencies?;
        all.0.extend(leases);
        all.1.extend(deliveries);
    }
    Ok(all)
}

async fn work(
    mut worker: Worker,
    ready: &Parts,
    between: Option<Duration>,
    committed: &AtomicU64,
) -> anyhow::Result<Latencies> {
    let (mut leases, mut deliveries) = (Vec::new(), Vec::new());
    while committed.load(Ordering::Relaxed) < ready.len() as u64 {
        let turn = Instant::now();
        let request = wire::LeaseRequest {
            session: worker.session.clone(),
            wanted: 1,
        };
        // The coordinator ends when all parts are there.
        let Ok(answer) = worker.client.lease(request).await else {
            break;
        };
        leases.push(turn.elapsed().as_secs_f64());
        let Some(lease) = answer.into_inner().leases.into_iter().next() else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let begin = Instant::now();
        let Ok(receipt) = worker
            .client
            .deliver(stream(&worker.session, lease, ready)?)
            .await
        else {
            break;
        };
        deliveries.push(begin.elapsed().as_secs_f64());
        if receipt.into_inner().outcome() == wire::deliver_response::Outcome::Committed {
            committed.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(between) = between {
            sleep(between.saturating_sub(turn.elapsed())).await;
        }
    }
    Ok((leases, deliveries))
}

/// The messages that deliver the part of a leased shard.
fn stream(
    session: &[u8],
    lease: wire::Lease,
    ready: &Parts,
) -> anyhow::Result<impl Stream<Item = wire::DeliverRequest> + Send + 'static> {
    let range = lease.range.context("a lease has a range")?;
    let part = ready.get(&range.start).context("every shard has a part")?;
    let header = wire::PartHeader {
        session: session.to_vec(),
        attempt: lease.attempt,
        range: Some(range),
        digest: part.digest.to_vec(),
        file_bytes: part.file_bytes,
        shared_name: String::new(),
    };
    let bytes = fs::read(&part.path)?;
    let chunks: Vec<Content> = bytes
        .chunks(CHUNK_BYTES)
        .map(|c| Content::Chunk(c.to_vec()))
        .collect();
    let contents = iter::once(Content::Header(header)).chain(chunks);
    Ok(tokio_stream::iter(contents.map(|content| {
        wire::DeliverRequest {
            content: Some(content),
        }
    })))
}
