//! Measures clusters of real processes on this machine, as a table.
//!
//! `cargo bench --package reseed-cli --bench cluster` compares a cluster of one coordinator and one
//! worker with `reseed run`, and loads a coordinator with a thousand connections.

mod against_run;
mod connections;
mod processes;

use std::fs;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(about = "Measures clusters of real processes on this machine")]
struct Options {
    /// Patients of the run that a cluster and `reseed run` are compared on
    #[arg(long, default_value_t = 10_000_000)]
    patients: u64,

    /// Repeats of that comparison; 0 leaves it out
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Connections to one coordinator; 0 leaves them out
    #[arg(long, default_value_t = 1000)]
    connections: usize,

    /// Parts that they deliver together
    #[arg(long, default_value_t = 6000)]
    parts: u64,

    /// Patients of each of these parts
    #[arg(long, default_value_t = 500)]
    part_patients: u64,

    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "load average {}",
        load.split(' ').next().unwrap_or("unknown")
    );
    println!();
    println!("| quantity | unit | median | least | greatest | goal |");
    println!("|---|---|---:|---:|---:|---|");
    if options.rounds > 0 {
        against_run::measure(options.patients, options.rounds)?;
    }
    if options.connections > 0 {
        let load = connections::Load {
            connections: options.connections,
            parts: options.parts,
            part_patients: options.part_patients,
        };
        connections::measure(&load)?;
    }
    Ok(())
}

/// A goal in words, and whether a median meets it.
type Goal = (&'static str, fn(f64) -> bool);

/// Prints a line of the table: median, least and greatest of some values.
fn print(quantity: &str, unit: &str, values: &[f64], goal: Option<Goal>) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let ends = if sorted.len() > 1 {
        [sorted[0], sorted[sorted.len() - 1]].map(number)
    } else {
        [String::new(), String::new()]
    };
    let goal = goal.map_or_else(String::new, |(goal, is_met)| {
        format!("{goal}: {}", if is_met(median) { "met" } else { "missed" })
    });
    let [least, greatest] = ends;
    println!(
        "| {quantity} | {unit} | {} | {least} | {greatest} | {goal} |",
        number(median)
    );
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
