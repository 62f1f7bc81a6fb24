//! How the hazard of an event changes over time.

use crate::distribution::CRITICAL_95;
use crate::estimate::Estimate;
use crate::risk::RiskTable;

/// The hazard of a cause between two times, taken for constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntervalHazard {
    /// Start and end.
    pub span: (f64, f64),
    /// Events after the start and until the end.
    pub events: u64,
    /// Time that all patients together spend at risk.
    pub person_time: f64,
    /// Events per person-time.
    pub rate: Estimate,
    /// Its 95 % score interval for a Poisson count (Rao; Garwood's is longer and covers more than
    /// it says); from 0 without events, `NaN` without person-time.
    pub interval: (f64, f64),
}

/// Hazards of a cause between each edge and the next, in events per unit of the table's times.
pub fn interval_hazards(table: &RiskTable, cause: usize, edges: &[f64]) -> Vec<IntervalHazard> {
    let spans = edges.windows(2).map(|edges| (edges[0], edges[1]));
    spans
        .map(|span| {
            let within = |time: f64| span.0 < time && time <= span.1;
            let rows = table.rows().filter(|row| within(row.time));
            let events: u64 = rows.map(|row| row.events[cause]).sum();
            let person_time = table.person_time(span.1) - table.person_time(span.0);
            interval_hazard(span, events, person_time)
        })
        .collect()
}

fn interval_hazard(span: (f64, f64), events: u64, person_time: f64) -> IntervalHazard {
    let known = person_time > 0.0;
    let person_time_or_unknown = if known { person_time } else { f64::NAN };
    let count = events as f64;
    let middle = count + CRITICAL_95 * CRITICAL_95 / 2.0;
    let distance = CRITICAL_95 * (count + CRITICAL_95 * CRITICAL_95 / 4.0).sqrt();
    IntervalHazard {
        span,
        events,
        person_time,
        rate: Estimate::new(
            count / person_time_or_unknown,
            count / (person_time_or_unknown * person_time_or_unknown),
        ),
        interval: (
            (middle - distance) / person_time_or_unknown,
            (middle + distance) / person_time_or_unknown,
        ),
    }
}

/// The hazard of a cause at a time, smoothed over its neighbourhood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SmoothHazard {
    /// The time.
    pub time: f64,
    /// Events per unit of the table's times.
    pub rate: Estimate,
    /// Its 95 % interval, on the logarithmic scale; it is about the smoothed hazard, from which
    /// the hazard itself may part where it bends within a bandwidth. `NaN` without events near.
    pub interval: (f64, f64),
}

/// Kernel-smoothed hazards of a cause at `times`, between 0 and `end`: the increments d/n of the
/// Nelson–Aalen estimator under Epanechnikov's kernel, with variance from d/n² (Ramlau-Hansen, Ann
/// Statist 1983;11:453). Within a bandwidth of 0 and `end` the kernel is the boundary kernel of
/// Müller and Wang (Biometrics 1994;50:61), which does not lose what lies beyond.
///
/// # Panics
/// If the bandwidth is not positive or more than half of `end`.
pub fn smooth_hazard(
    table: &RiskTable,
    cause: usize,
    bandwidth: f64,
    end: f64,
    times: &[f64],
) -> Vec<SmoothHazard> {
    assert!(
        bandwidth > 0.0 && 2.0 * bandwidth <= end,
        "bandwidth {bandwidth} does not fit twice between 0 and {end}"
    );
    let smooth = |time: f64| {
        let (mut rate, mut variance) = (0.0, 0.0);
        let rows = table
            .rows()
            .filter(|row| row.events[cause] > 0 && row.time <= end);
        for row in rows {
            let weight = kernel(time, row.time, bandwidth, end) / bandwidth;
            let increment = row.events[cause] as f64 / row.at_risk as f64;
            rate += weight * increment;
            variance += weight * weight * increment / row.at_risk as f64;
        }
        let rate = Estimate::new(rate.max(0.0), variance);
        SmoothHazard {
            time,
            rate,
            interval: rate.log_interval(CRITICAL_95),
        }
    };
    times.iter().copied().map(smooth).collect()
}

/// The weight of an event at `event` for the hazard at `time`.
fn kernel(time: f64, event: f64, bandwidth: f64, end: f64) -> f64 {
    let x = (time - event) / bandwidth;
    if time < bandwidth {
        boundary_kernel(x, time / bandwidth)
    } else if time > end - bandwidth {
        boundary_kernel(-x, (end - time) / bandwidth)
    } else {
        boundary_kernel(x, 1.0)
    }
}

/// Epanechnikov's kernel cut off at `cut` ≤ 1 bandwidths: it lies between −1 and `cut`, its
/// integral is 1 and its mean 0. Uncut it is 3/4·(1 − x²).
fn boundary_kernel(x: f64, cut: f64) -> f64 {
    if !(-1.0..=cut).contains(&x) {
        return 0.0;
    }
    let scale = 12.0 / ((1.0 + cut) * (1.0 + cut) * (1.0 + cut) * (1.0 + cut));
    scale * (x + 1.0) * (x * (1.0 - 2.0 * cut) + 1.5 * cut * cut - cut + 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundary_kernels_weigh_one_and_do_not_lean() {
        const STEPS: u32 = 20_000;
        for cut in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let width = (1.0 + cut) / f64::from(STEPS);
            let integral = |weight: fn(f64) -> f64| -> f64 {
                (0..STEPS)
                    .map(|step| -1.0 + (f64::from(step) + 0.5) * width)
                    .map(|x| boundary_kernel(x, cut) * weight(x) * width)
                    .sum()
            };
            let (mass, lean) = (integral(|_| 1.0), integral(|x| x));
            assert!((mass - 1.0).abs() < 1e-7, "mass {mass} at {cut}");
            assert!(lean.abs() < 1e-7, "lean {lean} at {cut}");
        }
        assert!((boundary_kernel(0.5, 1.0) - 0.75 * 0.75).abs() < 1e-15);
    }
}
