//! Measures the engine on the trial of the benchmarks, in ratios that hold on noisy machines.
//!
//! Everything that is compared runs in turn within each round, and ratios are taken within a
//! round, so that a machine that slows down slows both sides. Printed are the median, least and
//! greatest of the rounds. Times are processor times of one thread, except where two threads are
//! compared with one. `measure.py` beside this program adds what takes more than one program.

mod exact;
mod floor;
mod timing;

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::{Parser, ValueEnum};
use floor::Operations;
use reseed_engine::Engine;
use reseed_trial::Trial;
use serde::Serialize;
use timing::{Spread, processor_seconds, wall_seconds};

/// Horizons of the exact simulation.
const EXACT_DAYS: f64 = 200.0;
const EXACT_LONG_DAYS: f64 = 475.0;

#[derive(Debug, Parser)]
#[command(about = "Measures the engine on the trial of the benchmarks")]
struct Options {
    /// Patients in each timing
    #[arg(long, default_value_t = 100_000)]
    patients: u64,

    /// Repeats of everything
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,

    /// What to measure
    #[arg(long, value_delimiter = ',', default_values = ["patients", "floor", "exact", "threads"])]
    parts: Vec<Part>,

    /// What the benchmark `operations` printed; without it there is no floor
    #[arg(long, value_name = "JSON", value_parser = parse_operations)]
    operations: Option<Operations>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Given by `cargo bench`; without it, as under `cargo test`, sizes are small
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Patients,
    Floor,
    Exact,
    Threads,
}

fn parse_operations(text: &str) -> Result<Operations, serde_json::Error> {
    serde_json::from_str(text)
}

/// How much is timed at once.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    patients: u64,
    founders: u64,
    reseeding: u64,
    reseeding_long: u64,
    rounds: u64,
}

impl Sizes {
    fn of(options: &Options) -> Self {
        if options.bench {
            Self {
                patients: options.patients,
                founders: 20_000,
                reseeding: 200,
                reseeding_long: 3,
                rounds: options.rounds,
            }
        } else {
            Self {
                patients: 500,
                founders: 100,
                reseeding: 2,
                reseeding_long: 1,
                rounds: 1,
            }
        }
    }
}

/// A line of the table.
#[derive(Debug, Serialize)]
struct Row {
    quantity: String,
    unit: &'static str,
    median: f64,
    min: f64,
    max: f64,
    goal: Option<String>,
    met: Option<bool>,
}

impl Row {
    fn new(quantity: impl Into<String>, unit: &'static str, spread: Spread) -> Self {
        Self {
            quantity: quantity.into(),
            unit,
            median: spread.median,
            min: spread.min,
            max: spread.max,
            goal: None,
            met: None,
        }
    }

    fn at_least(self, goal: f64) -> Self {
        Self {
            goal: Some(format!("≥ {}", number(goal))),
            met: Some(self.median >= goal),
            ..self
        }
    }

    fn at_most(self, goal: f64) -> Self {
        Self {
            goal: Some(format!("≤ {}", number(goal))),
            met: Some(self.median <= goal),
            ..self
        }
    }

    fn below(self, goal: f64) -> Self {
        Self {
            goal: Some(format!("< {}", number(goal))),
            met: Some(self.median < goal),
            ..self
        }
    }
}

/// Processor seconds of one round, each for all its patients or trajectories.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    all_arms: f64,
    one_arm: f64,
    floor: f64,
    founders: f64,
    reseeding: f64,
    reseeding_long: f64,
    ends: exact::Ends,
    ends_long: exact::Ends,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let trial = Trial::parse("trial.toml", include_str!("../trial.toml"))?;
    let sizes = Sizes::of(&options);
    if let Some(operations) = &options.operations
        && operations.patients != sizes.patients
    {
        eprintln!(
            "note: operations were counted on {} patients, timed are {}",
            operations.patients, sizes.patients
        );
    }
    let mut rows = one_thread(&trial, &options, sizes);
    if options.parts.contains(&Part::Threads) {
        rows.extend(two_threads(&trial, sizes));
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print_table(&rows);
    }
    Ok(())
}

/// The trial with nobody treated and nothing to treat with.
fn control_only(trial: &Trial) -> Trial {
    let mut trial = trial.clone();
    let control = trial.scenario.arms.swap_remove(trial.scenario.control);
    assert!(control.drugs.is_empty(), "the control takes no drug");
    trial.scenario.arms = vec![control];
    trial.scenario.control = 0;
    trial.primary.arm = 0;
    trial.scenario.drugs.clear();
    trial.drug_keys.clear();
    trial
}

fn simulate(engine: &mut Engine, patients: std::ops::Range<u64>) {
    engine
        .simulate(patients, &AtomicBool::new(false), &AtomicU64::new(0))
        .expect("nobody asks it to stop");
}

/// Everything that runs on one thread.
fn one_thread(trial: &Trial, options: &Options, sizes: Sizes) -> Vec<Row> {
    let has = |part| options.parts.contains(&part);
    let operations = options.operations.filter(|_| has(Part::Floor));
    if has(Part::Floor) && operations.is_none() {
        eprintln!("note: no floor without --operations; benches/measure.py gives it");
    }
    if !(has(Part::Patients) || has(Part::Exact) || operations.is_some()) {
        return Vec::new();
    }
    let patients = sizes.patients;
    let mut all_arms = Engine::new(trial, trial.seed);
    let mut one_arm = Engine::new(&control_only(trial), trial.seed);
    // The first patients fill caches and tables.
    simulate(&mut all_arms, 0..patients.div_ceil(10));
    simulate(&mut one_arm, 0..patients.div_ceil(10));

    let mut rounds = Vec::new();
    for round in 0..sizes.rounds {
        let mut times = Round {
            all_arms: processor_seconds(|| simulate(&mut all_arms, 0..patients)),
            ..Round::default()
        };
        if has(Part::Patients) {
            times.one_arm = processor_seconds(|| simulate(&mut one_arm, 0..patients));
        }
        if let Some(operations) = &operations {
            times.floor = processor_seconds(|| floor::run(operations, patients));
        }
        if has(Part::Exact) {
            time_exact(&mut times, round, sizes);
        }
        rounds.push(times);
    }

    let mut rows = Vec::new();
    if has(Part::Patients) {
        rows.extend(patient_rows(trial, &rounds, sizes));
    }
    if let Some(operations) = &operations {
        rows.extend(floor_rows(operations, &rounds, sizes));
    }
    if has(Part::Exact) {
        rows.extend(exact_rows(trial, &rounds, sizes));
    }
    rows
}

fn time_exact(times: &mut Round, round: u64, sizes: Sizes) {
    let streams = |count: u64| round * count..(round + 1) * count;
    times.founders = processor_seconds(|| exact::founders(sizes.founders));
    times.reseeding = processor_seconds(|| {
        times.ends = exact::reseeding(EXACT_DAYS, streams(sizes.reseeding));
    });
    times.reseeding_long = processor_seconds(|| {
        times.ends_long = exact::reseeding(EXACT_LONG_DAYS, streams(sizes.reseeding_long));
    });
}

fn spread(rounds: &[Round], value: impl Fn(&Round) -> f64) -> Spread {
    Spread::of(rounds.iter().map(value))
}

fn patient_rows(trial: &Trial, rounds: &[Round], sizes: Sizes) -> [Row; 4] {
    let (patients, arms) = (sizes.patients as f64, trial.scenario.arms.len());
    [
        Row::new(
            format!("patients, {arms} arms"),
            "1/s",
            spread(rounds, |round| patients / round.all_arms),
        )
        .at_least(150_000.0),
        Row::new(
            "patients times arms",
            "1/s",
            spread(rounds, |round| arms as f64 * patients / round.all_arms),
        ),
        Row::new(
            "patients, control alone",
            "1/s",
            spread(rounds, |round| patients / round.one_arm),
        ),
        Row::new(
            format!("time of a patient: {arms} arms over control alone"),
            "ratio",
            spread(rounds, |round| round.all_arms / round.one_arm),
        )
        .at_most(1.5),
    ]
}

fn floor_rows(operations: &Operations, rounds: &[Round], sizes: Sizes) -> Vec<Row> {
    let patients = sizes.patients as f64;
    let counts = [
        ("random words", operations.words),
        ("random streams opened", operations.streams),
        ("exponentials", operations.exp),
        ("logarithms", operations.ln),
    ];
    let mut rows = counts
        .map(|(name, mean)| {
            Row::new(
                format!("{name} of a patient"),
                "mean",
                Spread::of([mean].into_iter()),
            )
        })
        .into_iter()
        .collect::<Vec<_>>();
    rows.push(Row::new(
        "floor: these operations alone",
        "µs/patient",
        spread(rounds, |round| 1e6 * round.floor / patients),
    ));
    rows.push(
        Row::new(
            "time of a patient over the floor",
            "ratio",
            spread(rounds, |round| round.all_arms / round.floor),
        )
        .below(3.0),
    );
    rows
}

fn exact_rows(trial: &Trial, rounds: &[Round], sizes: Sizes) -> Vec<Row> {
    let arms = trial.scenario.arms.len() as f64;
    let course = move |round: &Round| round.all_arms / (sizes.patients as f64 * arms);
    let founder = move |round: &Round| round.founders / sizes.founders as f64;
    let short = move |round: &Round| round.reseeding / sizes.reseeding as f64;
    let long = move |round: &Round| round.reseeding_long / sizes.reseeding_long as f64;
    let (scar, events) = mean_ends(rounds, |round| round.ends);
    let (scar_long, events_long) = mean_ends(rounds, |round| round.ends_long);
    vec![
        Row::new(
            "reseed: one patient in one arm",
            "µs",
            spread(rounds, |round| 1e6 * course(round)),
        ),
        Row::new(
            "exact, own code: one founder to day 60",
            "µs",
            spread(rounds, |round| 1e6 * founder(round)),
        ),
        Row::new(
            format!(
                "exact, own code: reseeding to day {EXACT_DAYS} ({} scar cells, {} events)",
                number(scar),
                number(events)
            ),
            "µs",
            spread(rounds, |round| 1e6 * short(round)),
        ),
        Row::new(
            "its time over that of one patient in one arm",
            "ratio",
            spread(rounds, |round| short(round) / course(round)),
        ),
        Row::new(
            format!(
                "exact, own code: reseeding to day {EXACT_LONG_DAYS} ({} scar cells, {} events)",
                number(scar_long),
                number(events_long)
            ),
            "µs",
            spread(rounds, |round| 1e6 * long(round)),
        ),
        Row::new(
            "its time over that of one patient in one arm",
            "ratio",
            spread(rounds, |round| long(round) / course(round)),
        ),
    ]
}

/// Mean cells in the scar at the end, and mean events.
fn mean_ends(rounds: &[Round], ends: impl Fn(&Round) -> exact::Ends) -> (f64, f64) {
    let mean = |value: fn(exact::Ends) -> f64| {
        rounds.iter().map(|round| value(ends(round))).sum::<f64>() / rounds.len() as f64
    };
    (mean(|ends| ends.scar), mean(|ends| ends.events))
}

/// The same shards on one thread and on two, in turn, by the clock on the wall.
fn two_threads(trial: &Trial, sizes: Sizes) -> Vec<Row> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        eprintln!("note: one processor only, so two threads are not measured");
        return Vec::new();
    }
    let mut engines = [(); 2].map(|()| Engine::new(trial, trial.seed));
    let mut rounds = Vec::new();
    for _ in 0..sizes.rounds {
        let one = work_off(&mut engines[..1], sizes.patients);
        let two = work_off(&mut engines, sizes.patients);
        rounds.push((one, two));
    }
    let of = |value: fn(&(Work, Work)) -> f64| Spread::of(rounds.iter().map(value));
    vec![
        Row::new(
            "two threads over one, patients by the clock on the wall",
            "ratio",
            of(|(one, two)| one.wall_seconds / two.wall_seconds),
        )
        .at_least(1.9),
        Row::new(
            "processor time of a patient: two threads over one",
            "ratio",
            of(|(one, two)| two.processor_seconds / one.processor_seconds),
        ),
    ]
}

#[derive(Debug, Clone, Copy)]
struct Work {
    wall_seconds: f64,
    /// Of all threads together.
    processor_seconds: f64,
}

/// Simulates the patients in shards, on a thread for each engine.
fn work_off(engines: &mut [Engine], patients: u64) -> Work {
    let shard = patients.div_ceil(64);
    let next = AtomicU64::new(0);
    let mut processor_seconds = 0.0;
    let wall_seconds = wall_seconds(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = engines
                .iter_mut()
                .map(|engine| scope.spawn(|| work_off_shards(engine, &next, shard, patients)))
                .collect();
            for thread in threads {
                processor_seconds += thread.join().expect("simulating does not panic");
            }
        });
    });
    Work {
        wall_seconds,
        processor_seconds,
    }
}

/// Takes shards until there are none; the processor time it took.
fn work_off_shards(engine: &mut Engine, next: &AtomicU64, shard: u64, patients: u64) -> f64 {
    processor_seconds(|| {
        loop {
            let start = next.fetch_add(shard, Ordering::Relaxed);
            if start >= patients {
                break;
            }
            simulate(engine, start..patients.min(start + shard));
        }
    })
}

fn print_table(rows: &[Row]) {
    println!(
        "{:<75} {:>10} {:>10} {:>10} {:<10} goal",
        "quantity", "median", "min", "max", "unit"
    );
    for row in rows {
        let goal = match (&row.goal, row.met) {
            (Some(goal), Some(true)) => format!("{goal}: met"),
            (Some(goal), _) => format!("{goal}: missed"),
            (None, _) => String::new(),
        };
        println!(
            "{:<75} {:>10} {:>10} {:>10} {:<10} {goal}",
            row.quantity,
            number(row.median),
            number(row.min),
            number(row.max),
            row.unit
        );
    }
}

/// Three significant digits, or all before the point.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
