//! `reseed coordinate`: a trial over many workers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reseed_coordinator::serve::{Coordination, Ending, Limits, Listener, Merge};
use reseed_coordinator::{Attempt, AuditKey, OpenError, Rules, Terms};
use reseed_protocol::channel::authority;
use reseed_protocol::status::StatusReport;
use reseed_results::{Layout, ResultFile, ResultsError};
use reseed_trial::Trial;

use crate::args::Coordinate;
use crate::exit::Failure;
use crate::gaps::Summary;
use crate::identity::{self, ENGINE_VERSION};
use crate::output::{Chatter, grouped};
use crate::progress::Meter;
use crate::whole::{self, Readers};
use crate::{access, gaps, machine, precision, shards, signals, source};

/// Files that a coordinator has open at most: parts on their way in, and the store's own.
const FILES_MAX: usize = 512;
/// Between two looks at a flag that a signal sets.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Between two attempts to open a store that another process has open.
const OPEN_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn coordinate(args: &Coordinate, chatter: Chatter) -> Result<(), Failure> {
    let trial = source::chosen(&args.chosen)?;
    source::check_points(&trial, &(0..trial.patients))?;
    let store = access::make_folder(&args.store)?;
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| access::result_file(&args.store));
    if let Some(file) = gaps::existing(&out)? {
        return finished_before(&trial, &out, &file, args.json, chatter);
    }
    let stop = signals::stop_flag()?;
    let coordination = open(args, &terms(args, &trial, &store)?, &stop, chatter)?;
    for warning in &coordination.opening().warnings {
        chatter.say(&format!("warning: {warning}"));
    }
    let merge = Merge {
        out: out.clone(),
        engine_version: ENGINE_VERSION.into(),
        notes: notes(&trial),
    };
    let security = access::server(&args.security)?;
    let address = access::address(&args.listen)?;
    let probes = args.probes.as_deref().map(access::address).transpose()?;
    let resumed = coordination.opening().patients_resumed;
    let grace = Duration::from_secs(args.grace.into());
    let mut meter = Meter::new(chatter.progress, trial.patients, resumed);
    let ending = access::runtime()?.block_on(async {
        let listener = Listener::bind(address, security, limits())?;
        let probes = probes
            .map(|address| Listener::bind_probes(address, limits()))
            .transpose()?;
        let url = url(args, &listener);
        announce(&coordination, &url, &trial, chatter);
        let _address = Address::write(&store, url)?;
        let watch = |report: &StatusReport| show(&mut meter, report);
        Ok::<_, Failure>(
            coordination
                .run(listener, probes, merge, raised(stop.share()), grace, watch)
                .await?,
        )
    })?;
    meter.finish();
    match ending {
        Ending::Stopped => Err(Failure::Interrupted(format!(
            "stopped: what is committed is kept in {}; run the same command again to go on, and \
             the workers come back by themselves",
            store.display()
        ))),
        Ending::Complete { file, report } => {
            if let Some(estimate) = trial.primary_estimate(&file.tally) {
                chatter.say(&estimate.to_string());
            }
            if let Some(outcome) = precision::outcome(&trial, &file.tally) {
                chatter.say(&outcome);
            }
            let simulated = report.patients_committed - report.patients_resumed;
            Summary::of_trial(&trial, &out, &file)
                .simulated(simulated, report.seconds_running)
                .tell("is complete", args.json, chatter)
        }
    }
}

fn terms(args: &Coordinate, trial: &Trial, store: &Path) -> Result<Terms, Failure> {
    let shard_patients = args
        .shard_patients
        .unwrap_or_else(|| shards::cluster_shard_patients(trial));
    let shared = (!args.no_shared_store)
        .then_some(store)
        .and_then(Path::to_str);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both were checked to be small and not negative"
    )]
    let rules = Rules {
        lease_ms: (args.lease_seconds * 1000.0) as u64,
        audits_per_mille: (args.audit * 10.0).round() as u64,
        audit_key: audit_key()?,
        first_attempt: Attempt(1),
        ..Rules::default()
    };
    Ok(Terms {
        target: 0..trial.patients,
        identity: identity::identity(trial, trial.seed),
        layout: Layout::of(trial),
        rules,
        shard_patients,
        lead_in_patients: if args.shard_patients.is_some() {
            0
        } else {
            shards::lead_in_patients(trial.patients, shard_patients)
        },
        shared_path: shared.map(str::to_owned),
        trial: trial.clone(),
    })
}

/// A key of this process alone, so that no worker can tell what will be audited.
fn audit_key() -> Result<AuditKey, Failure> {
    let mut key = AuditKey([0; 32]);
    getrandom::fill(&mut key.0)
        .map_err(|error| Failure::Internal(format!("the system has no random bytes ({error})")))?;
    Ok(key)
}

/// As many connections as the system allows beside the files of the store.
fn limits() -> Limits {
    let usual = Limits::default();
    let connections_max = usual
        .connections_max
        .min(machine::open_files_max().saturating_sub(FILES_MAX));
    if connections_max < usual.connections_max {
        tracing::warn!(
            connections_max,
            "the system lets this process open few files; raise the limit (ulimit -n) for more \
             workers"
        );
    }
    Limits {
        connections_max,
        ..usual
    }
}

/// A text that no other process has.
fn owner() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    format!(
        "{} since {} ns",
        machine::process(),
        since.unwrap_or_default().as_nanos()
    )
}

fn notes(trial: &Trial) -> Vec<(String, String)> {
    let merged_by = ("merged_by".to_owned(), machine::process());
    [merged_by]
        .into_iter()
        .chain(gaps::precision_note(trial))
        .collect()
}

/// Opens the store, once it is free.
fn open(
    args: &Coordinate,
    terms: &Terms,
    stop: &AtomicBool,
    chatter: Chatter,
) -> Result<Coordination, Failure> {
    let until = Instant::now() + Duration::from_secs(args.patience);
    let mut told = false;
    loop {
        match Coordination::open(&args.store, terms.clone(), &owner()) {
            Err(error @ OpenError::Results(ResultsError::Locked { .. })) => {
                if Instant::now() >= until || stop.load(Ordering::Relaxed) {
                    return Err(error.into());
                }
                if !told {
                    chatter.say(&format!("waiting up to {} s: {error}", args.patience));
                    told = true;
                }
                thread::sleep(OPEN_EVERY);
            }
            opened => return Ok(opened?),
        }
    }
}

/// Where workers find this coordinator.
fn url(args: &Coordinate, listener: &Listener) -> String {
    let address = listener.address();
    let host = args.advertise.clone().unwrap_or_else(|| {
        if address.ip().is_unspecified() {
            machine::host()
        } else {
            address.ip().to_string()
        }
    });
    let authority = authority(&host, address.port());
    format!("{}://{authority}", listener.scheme())
}

/// The address in the store, for as long as somebody answers there.
struct Address {
    file: PathBuf,
    url: String,
}

impl Address {
    fn write(store: &Path, url: String) -> Result<Self, Failure> {
        let file = access::address_file(store);
        whole::write(&file, &format!("{url}\n"), Readers::All)?;
        Ok(Self { file, url })
    }
}

impl Drop for Address {
    /// A successor's address stays.
    fn drop(&mut self) {
        if fs::read_to_string(&self.file).is_ok_and(|text| text.trim() == self.url) {
            // If it stays, whoever reads it finds nobody there and looks again.
            let _ = fs::remove_file(&self.file);
        }
    }
}

fn announce(coordination: &Coordination, url: &str, trial: &Trial, chatter: Chatter) {
    let opening = coordination.opening();
    if opening.patients_resumed > 0 {
        chatter.say(&format!(
            "{} patients are there; {} shards to go",
            grouped(opening.patients_resumed),
            opening.shards
        ));
    }
    chatter.say(&format!(
        "{}: {} patients in {} shards; workers: reseed work --connect {url}",
        trial.name,
        grouped(trial.patients - opening.patients_resumed),
        opening.shards,
    ));
}

fn show(meter: &mut Meter, report: &StatusReport) {
    let done = report.patients_committed + report.patients_under_way;
    meter.update(done, || {
        let obstacle = report.problem.clone().or_else(|| report.idle.clone());
        obstacle.or_else(|| {
            let estimate = report.estimate.as_ref()?;
            Some(format!(
                "{}: {:+.3} points ({:+.3} to {:+.3})",
                estimate.label, estimate.difference, estimate.lower, estimate.upper
            ))
        })
    });
}

/// Ends when a signal has set the flag.
pub(crate) async fn raised(flag: Arc<AtomicBool>) {
    while !flag.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The result is there already: it is this run's, or in the way.
fn finished_before(
    trial: &Trial,
    out: &Path,
    file: &ResultFile,
    json: bool,
    chatter: Chatter,
) -> Result<(), Failure> {
    let wanted = identity::identity(trial, trial.seed);
    let patients = file.tally.screened();
    let whole = 0..trial.patients;
    let complete = file.ranges.len() == 1 && file.ranges.contains(&whole)
        || (trial.precision.is_some() && trial.precise_enough(&file.tally));
    if !identity::same_run(&file.identity, &wanted) || !complete {
        return Err(Failure::File(format!(
            "{} is in the way: it holds {} patients of {}; choose another --store or --out, or \
             remove it",
            out.display(),
            grouped(patients),
            if identity::same_run(&file.identity, &wanted) {
                "this run"
            } else {
                "another run"
            }
        )));
    }
    Summary::of_trial(trial, out, file).tell("is complete already", json, chatter)
}
