//! Exact stochastic simulation, for comparison: Gillespie's direct method (J Phys Chem
//! 1977;81:2340), where every birth, death and shedding of every cell is an event.
//!
//! One trajectory here is compared with one patient in one arm of the engine. The model here is
//! a small part of such a patient: three kinds of cells, exponential growth, no therapy. It
//! reaches about 1,450 cells in the scar after 200 days, or 145,000 after 475, where the engine
//! follows dozens of colonies for twenty years, to detection at half a billion cells and more.
//! The time of an exact simulation grows with the cells, so the ratios are far below what an
//! exact simulation of the engine's own patients would cost.

use std::hint::black_box;
use std::ops::Range;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;

/// Founder: a linear birth–death process from one cell.
const FOUNDER_BIRTHS_PER_DAY: f64 = 0.25;
const FOUNDER_DEATHS_PER_DAY: f64 = 0.20;
const FOUNDER_DAYS: f64 = 60.0;

/// Reseeding: what a resection leaves, in nine reactions of circulating, scar and distant cells.
/// `exact_tools.py` gives the same numbers to other programs.
///
/// At the start, a burst of circulating cells and residual ones in the scar.
const START: Cells = Cells {
    scar: 50.0,
    distant: 0.0,
    circulating: 100.0,
};
/// A doubling time of 42 days. Births and deaths are at the slow end of what is plausible: faster
/// turnover at the same growth would only mean more events.
const BIRTHS_PER_DAY: f64 = 0.15;
const DEATHS_PER_DAY: f64 = 0.1333;
const SHED_PER_DAY: f64 = 0.01;
/// A half-life of 17 minutes, as in the preset.
const CLEARED_PER_DAY: f64 = 58.7;
/// One circulating cell in a hundred comes home, and one founds a distant colony.
const HOMING_PER_DAY: f64 = 0.6;
const FOUNDING_PER_DAY: f64 = 0.6;

#[derive(Debug, Clone, Copy)]
struct Cells {
    scar: f64,
    distant: f64,
    circulating: f64,
}

/// Means over trajectories of the reseeding model.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    /// Events of a trajectory.
    pub(crate) events: f64,
    /// Cells in the scar at the end.
    pub(crate) scar: f64,
}

/// Simulates a founder this often.
pub(crate) fn founders(trajectories: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for index in 0..trajectories {
        rng.set_stream(index);
        black_box(founder(&mut rng));
    }
}

/// Simulates the reseeding model once with each of these random streams.
pub(crate) fn reseeding(days: f64, streams: Range<u64>) -> Ends {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut ends = Ends::default();
    let share = 1.0 / (streams.end - streams.start) as f64;
    for stream in streams {
        rng.set_stream(stream);
        let (cells, events) = reseed(days, &mut rng);
        ends.events += share * events as f64;
        ends.scar += share * cells.scar;
    }
    ends
}

/// Cells of a founder's line at the end.
fn founder(rng: &mut ChaCha8Rng) -> f64 {
    let (mut cells, mut days) = (1.0, 0.0);
    let events_per_day = FOUNDER_BIRTHS_PER_DAY + FOUNDER_DEATHS_PER_DAY;
    while cells > 0.0 {
        days += rng.sample::<f64, _>(Exp1) / (events_per_day * cells);
        if days > FOUNDER_DAYS {
            break;
        }
        let birth = rng.random::<f64>() * events_per_day < FOUNDER_BIRTHS_PER_DAY;
        cells += if birth { 1.0 } else { -1.0 };
    }
    cells
}

/// Cells of the reseeding model at the end, and the number of events.
fn reseed(days_max: f64, rng: &mut ChaCha8Rng) -> (Cells, u64) {
    let mut cells = START;
    let (mut days, mut events) = (0.0, 0);
    loop {
        // The most frequent first, so that the choice ends early.
        let rates = [
            BIRTHS_PER_DAY * cells.scar,
            DEATHS_PER_DAY * cells.scar,
            BIRTHS_PER_DAY * cells.distant,
            DEATHS_PER_DAY * cells.distant,
            SHED_PER_DAY * cells.scar,
            SHED_PER_DAY * cells.distant,
            CLEARED_PER_DAY * cells.circulating,
            HOMING_PER_DAY * cells.circulating,
            FOUNDING_PER_DAY * cells.circulating,
        ];
        let total: f64 = rates.iter().sum();
        if total <= 0.0 {
            break;
        }
        days += rng.sample::<f64, _>(Exp1) / total;
        if days > days_max {
            break;
        }
        apply(choose(&rates, total * rng.random::<f64>()), &mut cells);
        events += 1;
    }
    (cells, events)
}

fn choose(rates: &[f64; 9], mut at: f64) -> usize {
    for (reaction, rate) in rates.iter().enumerate() {
        if at < *rate {
            return reaction;
        }
        at -= rate;
    }
    // Only rounding leads here; the last reaction that can happen is the one meant.
    rates.iter().rposition(|rate| *rate > 0.0).unwrap_or(0)
}

fn apply(reaction: usize, cells: &mut Cells) {
    match reaction {
        0 => cells.scar += 1.0,
        1 => cells.scar -= 1.0,
        2 => cells.distant += 1.0,
        3 => cells.distant -= 1.0,
        4 | 5 => cells.circulating += 1.0,
        6 => cells.circulating -= 1.0,
        7 => {
            cells.circulating -= 1.0;
            cells.scar += 1.0;
        }
        _ => {
            cells.circulating -= 1.0;
            cells.distant += 1.0;
        }
    }
}
