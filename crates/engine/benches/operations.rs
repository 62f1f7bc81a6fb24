//! Counts the operations that the engine spends on a patient of the benchmarks' trial and prints the
//! means as JSON, for the floor of the `throughput` benchmark.
//!
//! A program of its own because counting slows what it counts: with feature `count` nothing is
//! timed, and what is timed is built without it.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64};

use clap::Parser;
use reseed_engine::Engine;
use reseed_model::math::count;
use reseed_trial::Trial;

#[derive(Debug, Parser)]
struct Options {
    /// Patients to simulate; those that `throughput` times, if given the same number
    #[arg(long, default_value_t = 100_000)]
    patients: u64,

    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    // Under `cargo test` it is enough that it runs.
    let patients = if options.bench { options.patients } else { 200 };
    let trial = Trial::parse("trial.toml", include_str!("trial.toml"))?;
    let mut engine = Engine::new(&trial, trial.seed);
    let (stop, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    // The first patient also fills tables that the others share.
    engine.simulate(0..1, &stop, &progress)?;
    let before = count::work();
    engine.simulate(0..patients, &stop, &progress)?;
    let after = count::work();
    let mean = |before: u64, after: u64| (after - before) as f64 / patients as f64;
    println!(
        "{}",
        serde_json::json!({
            "patients": patients,
            "exp": mean(before.exp, after.exp),
            "ln": mean(before.ln, after.ln),
            "words": mean(before.words, after.words),
            "streams": mean(before.streams, after.streams),
        })
    );
    Ok(())
}
