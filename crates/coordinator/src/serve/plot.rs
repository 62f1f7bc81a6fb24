//! The plot on the page: the running estimate with its interval against patients, as SVG.

use std::fmt::Write;

use reseed_protocol::plot::Frame;
use reseed_protocol::status::Point;
use reseed_protocol::words;

/// Size of the drawing in its own units, which the browser scales.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
/// Where the plot lies within: room for labels at the left and below.
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 28.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = HEIGHT - 52.0;
/// About how many ticks there are.
const PATIENTS_TICKS: u32 = 5;
const DIFFERENCE_TICKS: u32 = 5;

/// A drawing, in the units of its view box.
#[derive(Debug, PartialEq)]
pub(crate) struct Plot {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    /// Ticks along the patients, from left to right.
    pub(crate) patients: Vec<Tick>,
    /// Ticks of the difference, from below.
    pub(crate) difference: Vec<Tick>,
    /// Height of no difference.
    pub(crate) zero: String,
    /// Path around the intervals.
    pub(crate) band: String,
    /// Path through the estimates.
    pub(crate) line: String,
    /// The last estimate.
    pub(crate) last: (String, String),
    /// The plot in words.
    pub(crate) text: String,
}

/// A number at an axis.
#[derive(Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) at: String,
    pub(crate) label: String,
}

impl Plot {
    /// Draws a history; none without points.
    pub(crate) fn of(history: &[Point]) -> Option<Self> {
        let frame = Frame::of(history, PATIENTS_TICKS, DIFFERENCE_TICKS)?;
        let (first, last) = (history.first()?, history.last()?);
        let across = |patients: f64| LEFT + (RIGHT - LEFT) * frame.patients.share(patients);
        let up = |points: f64| BOTTOM - (BOTTOM - TOP) * frame.difference.share(points);
        let place = |point: &Point, value: f64| {
            let (x, y) = (across(point.patients as f64), up(value));
            format!("{x:.1} {y:.1}")
        };
        let upper = history.iter().map(|point| place(point, point.upper));
        let lower = history.iter().rev().map(|point| place(point, point.lower));
        Some(Self {
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            right: RIGHT,
            top: TOP,
            bottom: BOTTOM,
            patients: ticks(frame.patients.ticks(), across, |tick| {
                frame.patients.label(tick)
            }),
            difference: ticks(frame.difference.ticks(), up, |tick| {
                frame.difference.label(tick)
            }),
            zero: format!("{:.1}", up(0.0)),
            band: path(upper.chain(lower)) + "Z",
            line: path(history.iter().map(|point| place(point, point.difference))),
            last: (
                format!("{:.1}", across(last.patients as f64)),
                format!("{:.1}", up(last.difference)),
            ),
            text: format!(
                "After {} patients the difference was {}, after {} patients it is {}.",
                words::grouped(first.patients),
                interval(first),
                words::grouped(last.patients),
                interval(last)
            ),
        })
    }
}

fn interval(point: &Point) -> String {
    format!(
        "{} points ({} to {})",
        words::points(point.difference),
        words::points(point.lower),
        words::points(point.upper)
    )
}

fn ticks(
    values: impl Iterator<Item = f64>,
    place: impl Fn(f64) -> f64,
    label: impl Fn(f64) -> String,
) -> Vec<Tick> {
    values
        .map(|value| Tick {
            at: format!("{:.1}", place(value)),
            label: label(value),
        })
        .collect()
}

fn path(places: impl Iterator<Item = String>) -> String {
    let mut path = String::new();
    for (index, place) in places.enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        // Writing to memory does not fail.
        let _ = write!(path, "{letter}{place}");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(patients: u64, difference: f64, half: f64) -> Point {
        Point {
            patients,
            difference,
            lower: difference - half,
            upper: difference + half,
        }
    }

    #[test]
    fn the_drawing_has_every_point_at_its_place() {
        let history = [point(50_000, -1.5, 0.5), point(100_000, -2.0, 1.0)];
        let plot = Plot::of(&history).expect("a drawing");
        // From 0 to 100,000 patients, and from -3 points to 0.
        assert_eq!(plot.line, "M378.0 141.0L692.0 183.3");
        assert_eq!(plot.band, "M378.0 98.7L692.0 98.7L692.0 268.0L378.0 183.3Z");
        assert_eq!(plot.zero, "14.0");
        assert_eq!(plot.last, ("692.0".into(), "183.3".into()));
        let labels: Vec<&str> = plot.difference.iter().map(|tick| &*tick.label).collect();
        assert_eq!(labels, ["-3", "-2", "-1", "0"]);
        assert!(
            plot.text
                .contains("after 100,000 patients it is -2.000 points")
        );
    }

    #[test]
    fn one_point_is_a_drawing_and_none_is_none() {
        assert_eq!(Plot::of(&[]), None);
        let plot = Plot::of(&[point(120, 0.0, 0.0)]).expect("a drawing");
        assert!(!format!("{plot:?}").contains("NaN"), "{plot:?}");
    }
}
