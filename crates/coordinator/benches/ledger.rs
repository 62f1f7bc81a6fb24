//! Measures the ledger alone: how many leases it grants and commits a second with thousands of
//! workers, and what it keeps in memory.
//!
//! The workers behave as real ones do, without computing anything: two threads and two leases
//! ahead of them, a part every five seconds, a heartbeat every ten that renews all leases, and a
//! look at the verdict before each delivery. Time is simulated; what is measured is processor time
//! of one thread, that of the simulated workers included. Everything runs in turn within each
//! round. Memory is what the kernel calls resident, each size in a process of its own.

#![expect(
    clippy::cast_possible_truncation,
    reason = "workers and leases are few, and machines have 64 bits"
)]

use std::env;
use std::error::Error;
use std::fs;
use std::ops::Range;
use std::process::Command;

use clap::Parser;
use reseed_coordinator::{
    Attempt, Digest, Effect, Event, Ledger, Millis, Phase, Progress, Rules, Verdict, WorkerId,
};
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::Serialize;

/// Leases that a worker holds: two being computed, two ahead.
const HELD: usize = 4;
/// Of the leases held, how many may be done next.
const THREADS: u64 = 2;
/// Between two parts of a worker; its two threads take ten seconds for a shard each.
const TURN_MS: u64 = 5_000;
/// Turns between two heartbeats.
const HEARTBEAT: u64 = 2;
/// Of so many workers one is slow, and another one falls silent now and then.
const ODD_ONE_IN: u64 = 100;
/// How many turns a slow worker takes for one.
const SLOWNESS: u64 = 20;
/// How many turns a silent worker misses, longer than its leases last, and how often.
const SILENCE: u64 = 12;
const SILENT_EVERY: u64 = 50;

#[derive(Debug, Parser)]
#[command(about = "Measures the ledger")]
struct Options {
    /// Shards of a run
    #[arg(long, default_value_t = 1_000_000)]
    shards: u64,

    /// Workers
    #[arg(long, default_value_t = 10_000)]
    workers: u64,

    /// Repeats of everything that is timed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Only run once and print the bytes that the ledger keeps at most
    #[arg(long, hide = true)]
    memory: bool,

    /// Given by `cargo bench`; without it, as under `cargo test`, sizes are small
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if options.memory {
        println!("{}", memory(options.shards, options.workers)?);
        return Ok(());
    }
    let (shards, workers, rounds) = if options.bench {
        (options.shards, options.workers, options.rounds)
    } else {
        (8_000, 80, 1)
    };
    let mut rows = speed_rows(shards, workers, rounds);
    rows.extend(memory_rows(shards, workers)?);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print_table(&rows);
    }
    Ok(())
}

/// A worker, as far as the ledger can tell.
#[derive(Debug, Clone)]
struct Worker {
    id: u64,
    turns: u64,
    held: Vec<(Attempt, Range<u64>)>,
}

/// How the workers behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manners {
    Regular,
    /// One in a hundred is slow, and one in a hundred falls silent.
    Odd,
}

impl Manners {
    fn slow(self, worker: u64) -> bool {
        self == Self::Odd && worker % ODD_ONE_IN == 1
    }

    fn silent(self, worker: u64, turn: u64) -> bool {
        self == Self::Odd && worker % ODD_ONE_IN == 2 && turn % SILENT_EVERY < SILENCE
    }
}

/// Workers around a ledger.
struct Cluster {
    workers: Vec<Worker>,
    /// Workers in the order of their turns, which is not that of their numbers.
    order: Vec<usize>,
    manners: Manners,
}

impl Cluster {
    fn new(workers: u64, manners: Manners) -> Self {
        let mut order: Vec<usize> = (0..workers as usize).collect();
        order.sort_by_key(|worker| (*worker as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let workers = (0..workers).map(|id| Worker {
            id,
            turns: id,
            held: Vec::with_capacity(HELD),
        });
        Self {
            workers: workers.collect(),
            order,
            manners,
        }
    }

    /// Runs a ledger to its end. `watch` is called once for each turn of all workers.
    fn finish(&mut self, ledger: &mut Ledger, mut watch: impl FnMut()) {
        let count = self.workers.len() as u64;
        for sweep in 0.. {
            for place in 0..self.order.len() {
                let now = Millis(TURN_MS * sweep + TURN_MS * place as u64 / count);
                if ledger.next_deadline().is_some_and(|next| next <= now) {
                    let effects = ledger.apply(Event::Tick, now);
                    self.carry_out(effects);
                }
                self.turn(self.order[place], ledger, now);
                if *ledger.phase() != Phase::Running {
                    return;
                }
            }
            watch();
        }
    }

    /// A worker delivers a part, asks for more, and lets itself be heard.
    fn turn(&mut self, at: usize, ledger: &mut Ledger, now: Millis) {
        let worker = &mut self.workers[at];
        let (id, turn) = (WorkerId(worker.id), worker.turns);
        worker.turns += 1;
        if self.manners.silent(worker.id, turn) {
            return;
        }
        let idle = self.manners.slow(worker.id) && !turn.is_multiple_of(SLOWNESS);
        let done = (!worker.held.is_empty() && !idle).then(|| {
            let threads = worker.held.len().min(THREADS as usize);
            worker.held.remove(turn as usize % threads)
        });
        if let Some((attempt, range)) = done {
            let digest = digest(&range);
            assert_ne!(ledger.judge(&range, digest), Verdict::Refuse, "{range:?}");
            let event = Event::Deliver {
                worker: id,
                attempt,
                range,
                digest,
            };
            let effects = ledger.apply(event, now);
            self.carry_out(effects);
        }
        let wanted = HELD - self.workers[at].held.len();
        if wanted > 0 {
            let event = Event::Request {
                worker: id,
                wanted: wanted as u32,
            };
            let effects = ledger.apply(event, now);
            self.carry_out(effects);
        }
        if turn.is_multiple_of(HEARTBEAT) {
            let held = self.workers[at].held.iter();
            let event = Event::Renew {
                worker: id,
                attempts: held.map(|(attempt, _)| *attempt).collect(),
            };
            let effects = ledger.apply(event, now);
            self.carry_out(effects);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Lease(lease) => {
                    let worker = &mut self.workers[lease.worker.0 as usize];
                    worker.held.push((lease.attempt, lease.range));
                }
                // A silent worker hears nothing, and delivers late.
                Effect::Revoke { worker, attempt } => {
                    let worker = &mut self.workers[worker.0 as usize];
                    if !self.manners.silent(worker.id, worker.turns) {
                        worker.held.retain(|(held, _)| *held != attempt);
                    }
                }
                _ => {}
            }
        }
    }
}

fn digest(range: &Range<u64>) -> Digest {
    let mut digest = [7; 32];
    digest[..8].copy_from_slice(&range.start.to_le_bytes());
    Digest(digest)
}

fn ledger(shards: u64, audits_per_mille: u64) -> Ledger {
    let plan = (0..shards).map(|shard| shard * 100..shard * 100 + 100);
    let rules = Rules {
        audits_per_mille,
        ..Rules::default()
    };
    Ledger::new(plan.collect(), rules)
}

/// A whole run; processor seconds for each shard, and how the run went.
fn run(shards: u64, workers: u64, audits_per_mille: u64, manners: Manners) -> (f64, Progress) {
    let mut ledger = ledger(shards, audits_per_mille);
    let mut cluster = Cluster::new(workers, manners);
    let start = clock_gettime(ClockId::ThreadCPUTime);
    cluster.finish(&mut ledger, || {});
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime) - start;
    let progress = ledger.progress();
    assert_eq!(*ledger.phase(), Phase::Finished);
    assert_eq!(progress.shards_committed as u64, shards);
    let seconds = tv_sec as f64 + 1e-9 * tv_nsec as f64;
    (seconds / shards as f64, progress)
}

/// Seconds of a lease and its commit in one round.
struct Round {
    plain: f64,
    tenth: f64,
    audited: f64,
    odd: f64,
}

fn speed_rows(shards: u64, workers: u64, rounds: u64) -> Vec<Row> {
    let mut went = (Progress::default(), Progress::default());
    let rounds: Vec<Round> = (0..rounds)
        .map(|_| {
            let (plain, _) = run(shards, workers, 0, Manners::Regular);
            let (tenth, _) = run(shards / 10, workers / 10, 0, Manners::Regular);
            let (audited, audits) = run(shards, workers, 10, Manners::Regular);
            let (odd, oddities) = run(shards, workers, 10, Manners::Odd);
            went = (audits, oddities);
            Round {
                plain,
                tenth,
                audited,
                odd,
            }
        })
        .collect();
    let row = |quantity: &str, unit, value: &dyn Fn(&Round) -> f64| {
        Row::new(quantity, unit, Spread::of(rounds.iter().map(value)))
    };
    let (audits, odd) = went;
    vec![
        row(
            &format!(
                "lease and commit, {} shards, {} workers",
                number(shards as f64),
                number(workers as f64)
            ),
            "1/s",
            &|round| 1.0 / round.plain,
        )
        .at_least(100_000.0),
        row(
            "time of a pair, over that with a tenth of the shards and workers",
            "ratio",
            &|round| round.plain / round.tenth,
        ),
        row("the same with 1 % audited", "1/s", &|round| {
            1.0 / round.audited
        })
        .at_least(100_000.0),
        Row::count("audits in it", audits.audits_passed),
        row(
            "the same, and of the workers 1 % slow and 1 % falling silent",
            "1/s",
            &|round| 1.0 / round.odd,
        )
        .at_least(100_000.0),
        Row::count("leases lost in it", odd.leases_lost),
        Row::count("stragglers repeated in it", odd.leases_repeated),
        Row::count("parts that came twice in it", odd.duplicates),
    ]
}

/// Resident bytes that a ledger adds to a process, at most, while it runs to its end.
fn memory(shards: u64, workers: u64) -> Result<u64, Box<dyn Error>> {
    let mut cluster = Cluster::new(workers, Manners::Regular);
    let before = resident()?;
    let mut ledger = ledger(shards, 10);
    let mut most = resident()?;
    cluster.finish(&mut ledger, || {
        most = most.max(resident().unwrap_or(u64::MAX));
    });
    Ok(most - before)
}

/// Resident memory of this process, bytes.
fn resident() -> Result<u64, Box<dyn Error>> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).ok_or("statm has a second field")?;
    Ok(pages.parse::<u64>()? * rustix::param::page_size() as u64)
}

/// What [`memory`] says in a process of its own.
fn memory_alone(shards: u64, workers: u64) -> Result<f64, Box<dyn Error>> {
    let output = Command::new(env::current_exe()?)
        .args(["--memory", "--shards", &shards.to_string()])
        .args(["--workers", &workers.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn memory_rows(shards: u64, workers: u64) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    let mut by_shards = Vec::new();
    for shards in [8, 4, 2, 1].map(|share| shards / share) {
        let bytes = memory_alone(shards, workers)?;
        let quantity = format!("memory, {} shards", number(shards as f64));
        rows.push(Row::single(quantity, "MB", bytes / 1e6));
        by_shards.push((shards as f64, bytes));
    }
    let line = Line::through(&by_shards);
    rows.push(Row::single("memory of a shard (slope)", "bytes", line.slope).at_most(150.0));
    rows.push(Row::single(
        "greatest distance from the line",
        "%",
        100.0 * line.distance(&by_shards),
    ));
    let mut by_workers = Vec::new();
    for workers in [workers / 4, workers / 2, workers, 2 * workers] {
        by_workers.push((workers as f64, memory_alone(shards / 4, workers)?));
    }
    let line = Line::through(&by_workers);
    let quantity = format!("memory of a worker with its {HELD} leases (slope)");
    rows.push(Row::single(quantity, "bytes", line.slope));
    Ok(rows)
}

/// A straight line by least squares.
struct Line {
    intercept: f64,
    slope: f64,
}

impl Line {
    fn through(points: &[(f64, f64)]) -> Self {
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let products = points.iter().map(|point| (point.0 - x) * (point.1 - y));
        let squares = points.iter().map(|point| (point.0 - x) * (point.0 - x));
        let slope = products.sum::<f64>() / squares.sum::<f64>();
        Self {
            intercept: y - slope * x,
            slope,
        }
    }

    /// Greatest distance of a point from the line, relative to the line.
    fn distance(&self, points: &[(f64, f64)]) -> f64 {
        let distances = points.iter().map(|(x, y)| {
            let expected = self.intercept + self.slope * x;
            (y / expected - 1.0).abs()
        });
        distances.fold(0.0, f64::max)
    }
}

/// Median and extremes of what the rounds gave.
#[derive(Debug, Clone, Copy)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// Of at least one value.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        Self {
            median: f64::midpoint(values[last / 2], values[last.div_ceil(2)]),
            min: values[0],
            max: values[last],
        }
    }
}

/// A line of the table.
#[derive(Debug, Serialize)]
struct Row {
    quantity: String,
    unit: &'static str,
    median: f64,
    min: Option<f64>,
    max: Option<f64>,
    goal: Option<String>,
    met: Option<bool>,
}

impl Row {
    fn new(quantity: impl Into<String>, unit: &'static str, spread: Spread) -> Self {
        Self {
            min: Some(spread.min),
            max: Some(spread.max),
            ..Self::single(quantity, unit, spread.median)
        }
    }

    /// What is measured once.
    fn single(quantity: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self {
            quantity: quantity.into(),
            unit,
            median: value,
            min: None,
            max: None,
            goal: None,
            met: None,
        }
    }

    /// What is the same in every round.
    fn count(quantity: &str, count: usize) -> Self {
        Self::single(quantity, "count", count as f64)
    }

    fn at_least(self, goal: f64) -> Self {
        Self {
            goal: Some(format!("≥ {goal}")),
            met: Some(self.median >= goal),
            ..self
        }
    }

    fn at_most(self, goal: f64) -> Self {
        Self {
            goal: Some(format!("≤ {goal}")),
            met: Some(self.median <= goal),
            ..self
        }
    }

    fn verdict(&self) -> String {
        match (&self.goal, self.met) {
            (Some(goal), Some(true)) => format!("{goal}: met"),
            (Some(goal), _) => format!("{goal}: **missed**"),
            (None, _) => String::new(),
        }
    }
}

fn print_table(rows: &[Row]) {
    println!("| quantity | unit | median | least | greatest | goal |");
    println!("|---|---|---:|---:|---:|---|");
    for row in rows {
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            row.quantity,
            row.unit,
            number(row.median),
            row.min.map_or(String::new(), number),
            row.max.map_or(String::new(), number),
            row.verdict()
        );
    }
}

/// Three digits, or all of a large number in groups.
fn number(value: f64) -> String {
    if value.abs() < 1000.0 {
        let decimals = match value.abs() {
            size if size >= 100.0 || value.fract() == 0.0 => 0,
            size if size >= 10.0 => 1,
            size if size >= 1.0 => 2,
            _ => 3,
        };
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}
