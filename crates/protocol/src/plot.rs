//! The frame of the plot that a terminal and the web page draw: the running estimate and its
//! interval against patients.

use reseed_plot::Axis;

use crate::status::Point;

/// Points of fewer patients than this share of the last one's may lie outside of the frame:
/// their intervals would make everything after them a flat line.
const EARLY_SHARE: f64 = 0.02;

/// Where a plot begins and ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Patients, from none to the last point's, rounded up.
    pub patients: Axis,
    /// Percentage points; always with zero, so that the plot does not make little look large.
    pub difference: Axis,
}

impl Frame {
    /// The frame for a history with about so many ticks; `None` for one without points.
    pub fn of(history: &[Point], patients_ticks: u32, difference_ticks: u32) -> Option<Self> {
        let last = history.last()?.patients as f64;
        let shown = history
            .iter()
            .filter(|point| point.patients as f64 >= EARLY_SHARE * last);
        let (low, high) = shown.fold((0.0f64, 0.0f64), |(low, high), point| {
            (low.min(point.lower), high.max(point.upper))
        });
        Some(Self {
            patients: Axis::over(0.0, last.max(1.0), patients_ticks),
            difference: Axis::over(low, high, difference_ticks),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wild_beginning_does_not_flatten_the_plot() {
        let point = |patients, half| Point {
            patients,
            difference: -2.0,
            lower: -2.0 - half,
            upper: -2.0 + half,
        };
        let history = [point(100, 40.0), point(50_000, 0.5), point(100_000, 0.3)];
        let frame = Frame::of(&history, 5, 5).expect("there are points");
        assert!(frame.difference.low() >= -4.0, "{frame:?}");
        assert!(frame.difference.high().abs() < 1e-12, "{frame:?}");
        assert!((frame.patients.high() - 100_000.0).abs() < 1e-6);
        assert_eq!(Frame::of(&[], 5, 5), None);
    }
}
