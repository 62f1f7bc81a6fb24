//! How many virtual trials a second are drawn and analysed, and how many R's `survival` analyses.
//!
//! ```sh
//! deploy/with-tools --tests cargo bench --package reseed-stats --bench virtual_trials
//! ```
//!
//! Both sides get the same trials of 2 × 200 patients and must find the same. Ours includes
//! drawing, randomising and sorting, R's only the analyses. Times are processor times of one
//! thread; everything is timed in turn within each round.

#[path = "../../tests/virtual_trials/chance.rs"]
mod chance;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chance::{Chance, exponential_patients, pool_of};
use reseed_stats::group_sequential::Spending;
use reseed_stats::virtual_trial::{Design, Luck, ObservedTime, Pool, Purpose, VirtualTrials};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 5;

/// Trials that both sides analyse.
const TRIALS_OF_R: usize = 1000;

/// Draws from a large pool.
const DRAWS: u64 = 5000;

const PATIENTS: usize = 400;

/// Hazards a day of control and treatment: about 190 events in a trial.
const HAZARDS: [f64; 2] = [0.0006, 0.0004];

fn design(looks: &[f64]) -> Design {
    Design {
        control_patients: vec![PATIENTS / 2],
        block: [1, 1],
        accrual_days: 730.5,
        follow_up_days: 1096.0,
        dropout_per_day: 0.0,
        looks: looks.to_vec(),
        events: Vec::new(),
        spending: Spending::OBrienFleming,
        alpha: 0.05,
    }
}

/// Takes everybody in order, treats the first of each pair, lets patients enter evenly.
struct InOrder;

impl Luck for InOrder {
    fn open(&mut self, _: Purpose) {}

    fn uniform(&mut self) -> f64 {
        0.0
    }

    fn exponential(&mut self) -> f64 {
        1.0
    }
}

fn main() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let patients: Vec<_> = (0..TRIALS_OF_R)
        .map(|trial| exponential_patients(PATIENTS, &HAZARDS, trial as u64))
        .collect();
    let file = folder.join("virtual_trials.csv");
    fs::write(&file, as_csv(&patients)).expect("room for the trials");
    let pools: Vec<Pool> = patients.iter().map(|patients| pool_of(patients)).collect();
    let large = pool_of(&exponential_patients(20_000, &HAZARDS, 1));

    let mut rows: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let (of_r, found_by_r) = analyse_in_r(&file);
        let (ours, found) = analyse(&pools);
        agree(&found, &found_by_r);
        let rates = [TRIALS_OF_R as f64 / ours, TRIALS_OF_R as f64 / of_r];
        let drawn = 2.0 * DRAWS as f64 / draw(&large);
        for (row, value) in rows
            .iter_mut()
            .zip([rates[0], rates[1], rates[0] / rates[1], drawn])
        {
            row.push(value);
        }
    }
    println!("trials of {PATIENTS} patients; {ROUNDS} rounds: median (least to greatest)");
    for (name, mut values) in [
        "one analysis: reseed, trials a second",
        "one analysis: R survival (survdiff and coxph), trials a second",
        "one analysis: reseed over R",
        "drawn from 20,000 patients, three looks: trials a second",
    ]
    .into_iter()
    .zip(rows)
    {
        values.sort_by(f64::total_cmp);
        println!(
            "{name}: {:.0} ({:.0} to {:.0})",
            values[ROUNDS / 2],
            values[0],
            values[ROUNDS - 1]
        );
    }
}

/// What is known of every patient at the trials' end, for R.
fn as_csv(trials: &[Vec<Vec<ObservedTime>>]) -> String {
    let design = design(&[1.0]);
    let mut text = String::from("trial,time,status,group\n");
    for (trial, patients) in trials.iter().enumerate() {
        for (place, patient) in patients.iter().enumerate() {
            let group = 1 - place % 2;
            let entry = design.accrual_days * (place + 1) as f64 / (PATIENTS + 1) as f64;
            let ObservedTime { days, is_event } = patient[group];
            let end = design.end_days() - entry;
            let status = u8::from(is_event && days <= end);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{trial},{},{status},{group}", days.min(end));
        }
    }
    text
}

/// Processor seconds of R's analyses, and χ² and log ratio of each trial.
fn analyse_in_r(file: &Path) -> (f64, Vec<[f64; 2]>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/virtual_trials/trials.R");
    let output = Command::new("Rscript").arg(script).arg(file).output();
    let output = output.expect("Rscript starts: run this with deploy/with-tools --tests");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "R: {errors}");
    let text = String::from_utf8(output.stdout).expect("numbers");
    let mut lines = text.lines();
    let numbers = |line: &str| -> Vec<f64> {
        let numbers = line.split_whitespace();
        numbers
            .map(|word| word.parse().expect("a number"))
            .collect()
    };
    let seconds = numbers(lines.next().expect("a time"))[0];
    let found = lines.map(|line| {
        let found = numbers(line);
        [found[0], found[1]]
    });
    (seconds, found.collect())
}

/// The same by virtual trials with one look.
fn analyse(pools: &[Pool]) -> (f64, Vec<[f64; 2]>) {
    let mut trials = VirtualTrials::new(design(&[1.0]));
    let mut found = Vec::with_capacity(pools.len());
    let seconds = processor_seconds(|| {
        for pool in pools {
            trials.run(pool, 0, &mut InOrder, |arm, _, outcome| {
                if arm == 1 {
                    let end = outcome.end;
                    found.push([end.z * end.z, end.log_ratio.value]);
                }
            });
        }
    });
    // Each pool gave a trial of the control against itself, too.
    (seconds / 2.0, found)
}

fn agree(found: &[[f64; 2]], found_by_r: &[[f64; 2]]) {
    assert_eq!(found.len(), found_by_r.len());
    for (ours, of_r) in found.iter().flatten().zip(found_by_r.iter().flatten()) {
        assert!(
            (ours - of_r).abs() < 1e-6 * of_r.abs().max(1.0),
            "reseed finds {ours}, R {of_r}"
        );
    }
}

/// Seconds for trials with three looks, of both arms, drawn from many patients.
fn draw(pool: &Pool) -> f64 {
    let mut trials = VirtualTrials::new(design(&[0.5, 0.75, 1.0]));
    let mut chance = Chance::new(1);
    let mut events = 0;
    let seconds = processor_seconds(|| {
        for trial in 0..DRAWS {
            chance.turn_to(trial);
            trials.run(pool, 0, &mut chance, |_, _, outcome| {
                events += outcome.end.events;
            });
        }
    });
    assert!(events > DRAWS, "trials have events");
    seconds
}

fn processor_seconds(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let before = now();
    work();
    now() - before
}
