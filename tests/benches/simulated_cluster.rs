//! Simulates clusters by seed and says how they ended (`reseed_tests::cluster`).
//!
//! `cargo bench -p reseed-tests --bench simulated_cluster -- --seeds 10000` runs as many; `--seed N
//! --trace` tells one of them event by event.

use std::collections::BTreeMap;
use std::panic;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use reseed_tests::cluster::{Counts, Ending, Fault, Report, Simulation, Theme};

#[derive(Debug, Parser)]
#[command(about = "Simulates clusters by seed")]
struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,

    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,

    /// Only this one
    #[arg(long)]
    seed: Option<u64>,

    /// Tell what happened in it
    #[arg(long, requires = "seed")]
    trace: bool,

    /// Given by `cargo bench`; without it, as under `cargo test`, few seeds run
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let simulation = Simulation::new();
    if let Some(seed) = options.seed {
        return tell(&simulation.replay(seed), options.trace);
    }
    // A panic is told with its seed.
    panic::set_hook(Box::new(|_| {}));
    let seeds = if options.bench { options.seeds } else { 20 };
    let mut summary = Summary::default();
    let start = Instant::now();
    for seed in options.from..options.from + seeds {
        summary.add(&simulation.run(seed));
    }
    summary.print(start.elapsed().as_secs_f64());
    if summary.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn tell(report: &Report, trace: bool) -> ExitCode {
    if trace {
        for line in &report.trace {
            println!("{line}");
        }
    }
    println!("{:?}, trace {}", report.theme, report.trace_digest);
    match &report.ending {
        Ok(ending) => {
            println!("{ending:?}");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Default)]
struct Summary {
    seeds: u64,
    events: u64,
    simulated_ms: u64,
    endings: BTreeMap<(Theme, Ending), u64>,
    faults: Counts,
    failures: Vec<(u64, String)>,
}

impl Summary {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.events += report.events;
        self.simulated_ms += report.simulated_ms;
        self.faults.merge(&report.faults);
        match &report.ending {
            Ok(ending) => *self.endings.entry((report.theme, *ending)).or_default() += 1,
            Err(violation) => self.failures.push((report.seed, violation.clone())),
        }
    }

    fn print(&self, seconds: f64) {
        println!(
            "{} seeds in {seconds:.1} s: {:.0} seeds/s, {:.2} million events, {:.1} simulated hours",
            self.seeds,
            self.seeds as f64 / seconds,
            self.events as f64 / 1e6,
            self.simulated_ms as f64 / 3.6e6,
        );
        println!("\nhow they ended");
        for ((theme, ending), count) in &self.endings {
            println!("{count:>10}  {theme:?}: {ending:?}");
        }
        println!("\nwhat struck them");
        for fault in Fault::ALL {
            println!("{:>10}  {}", self.faults.of(fault), fault.what());
        }
        println!("\n{} failed", self.failures.len());
        for (seed, violation) in self.failures.iter().take(20) {
            println!(
                "seed {seed}: {violation}\n  cargo bench -p reseed-tests --bench \
                 simulated_cluster -- --seed {seed} --trace"
            );
        }
    }
}
