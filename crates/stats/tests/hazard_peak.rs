//! Whether the error that a hazard's peak is told with is the one that it has, by simulation.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use reseed_stats::RiskTable;
use reseed_stats::hazard::{hazard_peak, interval_hazards};

const COHORTS: u32 = 400;
const PATIENTS: usize = 2000;
const FOLLOWED_YEARS: f64 = 8.0;

/// Rises until two years and falls again.
fn hazard(years: f64) -> f64 {
    if years < 2.0 {
        0.05 + 0.125 * years
    } else {
        (0.3 - 0.1 * (years - 2.0)).max(0.05)
    }
}

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// Of the possible events of a patient, which come at the highest rate, each is one with the share
/// that the hazard is of that.
fn exit(random: &mut ChaCha8Rng) -> (f64, Option<usize>) {
    const HIGHEST: f64 = 0.3;
    let mut years = 0.0;
    loop {
        years -= core_math::log(uniform(random)) / HIGHEST;
        if years > FOLLOWED_YEARS {
            return (FOLLOWED_YEARS, None);
        }
        if uniform(random) < hazard(years) / HIGHEST {
            return (years, Some(0));
        }
    }
}

#[test]
fn a_peaks_standard_error_is_how_much_peaks_vary() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let months: Vec<f64> = (0..=96).map(|month| f64::from(month) / 12.0).collect();
    let half_years: Vec<f64> = (0..=16).map(|half| f64::from(half) / 2.0).collect();
    let (mut sum, mut squares, mut variances, mut apart) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..COHORTS {
        let exits: Vec<_> = (0..PATIENTS).map(|_| exit(&mut random)).collect();
        let table = RiskTable::from_patients(1, exits);
        let [peak, coarse] = [&months, &half_years].map(|edges| {
            hazard_peak(&interval_hazards(&table, 0, edges), 0.75).expect("there are events")
        });
        sum += peak.value;
        squares += peak.value * peak.value;
        variances += peak.standard_error * peak.standard_error;
        apart += (peak.value - coarse.value).abs();
    }
    let cohorts = f64::from(COHORTS);
    let mean = sum / cohorts;
    let found = (squares / cohorts - mean * mean).sqrt();
    let told = (variances / cohorts).sqrt();
    assert!((mean - 2.0).abs() < 0.15, "peaks at {mean} on average");
    assert!(
        (told / found - 1.0).abs() < 0.3,
        "told {told}, found {found}"
    );
    // From half-years, as blocks keep them, the peak is nearly the same.
    assert!(apart / cohorts < 0.15, "{} apart", apart / cohorts);
}
