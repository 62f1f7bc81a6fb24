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

pub(crate) fn interval_hazard(span: (f64, f64), events: u64, person_time: f64) -> IntervalHazard {
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

/// Places at which a peak is looked for, per bandwidth.
const PEAK_PLACES_PER_BANDWIDTH: f64 = 15.0;

/// Share of the patients at risk at the start who must be at risk where a peak is looked for; later,
/// what is highest is chance.
const AT_RISK_MIN: f64 = 0.1;

/// When a smoothed hazard is highest, from hazards that are constant within neighbouring spans, the
/// first from 0: the kernel, its boundaries at 0 and at the end of the last span included, is that
/// of [`smooth_hazard`], integrated over each span. The time is the place of the highest value among
/// 15 in a bandwidth, from 0 until fewer than a tenth of those at risk in the first span are at risk.
///
/// The variance is that of the hazard's slope over the square of its curvature, which is measured
/// over half a bandwidth to either side; `NaN` where the hazard is highest at either end.
///
/// `None` without events, and where two bandwidths are longer than all spans together.
///
/// # Panics
/// If the bandwidth is not positive.
pub fn hazard_peak(spans: &[IntervalHazard], bandwidth: f64) -> Option<Estimate> {
    assert!(bandwidth > 0.0, "bandwidth {bandwidth} is not positive");
    let end = spans.last()?.span.1;
    if 2.0 * bandwidth > end || spans.iter().all(|span| span.events == 0) {
        return None;
    }
    let smooth = |time: f64| linear(spans, |span| kernel_mass(time, span, bandwidth, end)).value;
    let last = last_well_known(spans);
    let step = bandwidth / PEAK_PLACES_PER_BANDWIDTH;
    let places = (0u32..).map(|place| f64::from(place) * step);
    let places = places.take_while(|time| *time <= last);
    let (_, time) = places
        .map(|time| (smooth(time), time))
        .reduce(|best, other| if other.0 > best.0 { other } else { best })?;
    let aside = (bandwidth / 2.0).min(time).min(last - time);
    let slope = linear(spans, |span| {
        let mass = |time| kernel_mass(time, span, bandwidth, end);
        (mass(time + aside) - mass(time - aside)) / (2.0 * aside)
    });
    let bend = smooth(time + aside) + smooth(time - aside) - 2.0 * smooth(time);
    let curvature = bend / (aside * aside);
    let error = slope.standard_error / curvature;
    let is_inside = aside > step / 2.0 && curvature < 0.0;
    let variance = if is_inside { error * error } else { f64::NAN };
    Some(Estimate::new(time, variance))
}

/// A sum of hazards with weights by span; who was never at risk has none.
fn linear(spans: &[IntervalHazard], weight: impl Fn((f64, f64)) -> f64) -> Estimate {
    let (mut value, mut variance) = (0.0, 0.0);
    for hazard in spans.iter().filter(|hazard| hazard.person_time > 0.0) {
        let weight = weight(hazard.span);
        let error = weight * hazard.rate.standard_error;
        value += weight * hazard.rate.value;
        variance += error * error;
    }
    Estimate::new(value, variance)
}

/// The end of the last span before the first in which too few are at risk.
fn last_well_known(spans: &[IntervalHazard]) -> f64 {
    let at_risk = |hazard: &IntervalHazard| hazard.person_time / (hazard.span.1 - hazard.span.0);
    let least = AT_RISK_MIN * at_risk(&spans[0]);
    let known = spans.iter().take_while(|hazard| at_risk(hazard) >= least);
    known.last().map_or(0.0, |hazard| hazard.span.1)
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
    let (side, cut) = boundary(time, bandwidth, end);
    boundary_kernel(side * x, cut)
}

/// The weight of a span of time for the hazard at `time`: the kernel's integral over it.
fn kernel_mass(time: f64, span: (f64, f64), bandwidth: f64, end: f64) -> f64 {
    let (side, cut) = boundary(time, bandwidth, end);
    let until = |limit: f64| boundary_kernel_until(side * (time - limit) / bandwidth, cut);
    side * (until(span.0) - until(span.1))
}

/// To which side a kernel is cut off, 1 for the start and −1 for the end, and where.
fn boundary(time: f64, bandwidth: f64, end: f64) -> (f64, f64) {
    if time < bandwidth {
        (1.0, time / bandwidth)
    } else if time > end - bandwidth {
        (-1.0, (end - time) / bandwidth)
    } else {
        (1.0, 1.0)
    }
}

/// Epanechnikov's kernel cut off at `cut` ≤ 1 bandwidths: it lies between −1 and `cut`, its
/// integral is 1 and its mean 0. Uncut it is 3/4·(1 − x²).
fn boundary_kernel(x: f64, cut: f64) -> f64 {
    if !(-1.0..=cut).contains(&x) {
        return 0.0;
    }
    let (scale, slope, level) = boundary_terms(cut);
    scale * (x + 1.0) * (x * slope + level)
}

/// Its integral from −1 to `x`, up to a constant.
fn boundary_kernel_until(x: f64, cut: f64) -> f64 {
    let x = x.clamp(-1.0, cut);
    let (scale, slope, level) = boundary_terms(cut);
    scale * x * (x * (x * slope / 3.0 + f64::midpoint(slope, level)) + level)
}

/// The boundary kernel is scale·(x + 1)·(x·slope + level).
fn boundary_terms(cut: f64) -> (f64, f64, f64) {
    let scale = 12.0 / ((1.0 + cut) * (1.0 + cut) * (1.0 + cut) * (1.0 + cut));
    (scale, 1.0 - 2.0 * cut, 1.5 * cut * cut - cut + 0.5)
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

    /// Hazards of so many patients that chance is small, constant between these edges.
    fn constant(edges: &[f64], rates: &[f64]) -> Vec<IntervalHazard> {
        const AT_RISK: f64 = 1e6;
        let spans = edges.windows(2).map(|edges| (edges[0], edges[1]));
        let hazards = spans.zip(rates).map(|(span, rate)| {
            let person_time = AT_RISK * (span.1 - span.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "some number of events"
            )]
            let events = (rate * person_time) as u64;
            interval_hazard(span, events, person_time)
        });
        hazards.collect()
    }

    #[test]
    fn a_peak_is_where_a_sum_over_fine_steps_has_it() {
        const STEPS_PER_YEAR: u32 = 1000;
        let edges = [0.0, 0.5, 1.0, 1.75, 2.0, 4.0, 7.0, 7.5, 8.0];
        for rates in [
            [0.1, 0.2, 0.3, 0.25, 0.1, 0.05, 0.05, 0.05],
            // Near the start, where the plain kernel loses half of what is there.
            [0.4, 0.32, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
            // And near the end.
            [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.3],
        ] {
            let hazard = |time: f64| rates[edges.partition_point(|edge| *edge <= time) - 1];
            let smooth = |time: f64| -> f64 {
                let places = (0..8 * STEPS_PER_YEAR)
                    .map(|step| (f64::from(step) + 0.5) / f64::from(STEPS_PER_YEAR));
                let weigh = |place| hazard(place) * kernel(time, place, 0.75, 8.0);
                places.map(weigh).sum()
            };
            let times = (0..=160).map(|place| 0.05 * f64::from(place));
            let highest = times.max_by(|a, b| smooth(*a).total_cmp(&smooth(*b)));
            let found = hazard_peak(&constant(&edges, &rates), 0.75).expect("a peak");
            assert!(
                (found.value - highest.unwrap()).abs() < 1e-9,
                "{found:?}, not {highest:?}, of {rates:?}"
            );
        }
        // What is even to both sides is highest in its middle.
        let single = constant(&[0.0, 2.0, 2.5, 6.0], &[0.1, 0.3, 0.1]);
        let found = hazard_peak(&single, 0.75).expect("a peak");
        assert!((found.value - 2.25).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_peak_needs_events_patients_and_time() {
        let edges = [0.0, 1.0, 2.0, 3.0];
        assert_eq!(hazard_peak(&constant(&edges, &[0.0; 3]), 0.75), None);
        assert_eq!(hazard_peak(&constant(&edges[..2], &[0.1]), 0.75), None);
        assert_eq!(hazard_peak(&[], 0.75), None);
        // A hazard that only falls is highest at the start, and who knows how well.
        let falling = constant(&[0.0, 0.25, 0.5, 1.0, 3.0], &[0.3, 0.25, 0.2, 0.1]);
        let falling = hazard_peak(&falling, 0.75).expect("a peak");
        assert!(falling.value == 0.0 && falling.standard_error.is_nan());
        // Late events of few are not looked at.
        let mut few = constant(&edges, &[0.2, 0.3, 0.0]);
        few[2] = interval_hazard((2.0, 3.0), 90_000, 99_000.0);
        let found = hazard_peak(&few, 0.75).expect("a peak");
        assert!(found.value <= 2.0, "{found:?}");
    }
}
