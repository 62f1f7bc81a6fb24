//! Curves with bands: survival, incidence, hazards, power. Below them who is still at risk.

use reseed_plot::Axis;
use serde::Serialize;

use super::canvas::{Anchor, Canvas, Frame, Number, circle, path, width};
use super::{Figure, Table, exact, fixed, style, with_interval};
use crate::text::grouped;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 344.0;
const FRAME: Frame = Frame {
    left: 50.0,
    right: WIDTH - 24.0,
    top: 26.0,
    bottom: HEIGHT - 44.0,
};
/// Height of a line of text.
const LINE: f64 = 15.0;
/// How near to a whole number is whole.
const WHOLE: f64 = 1e-6;

/// Curves over one axis.
#[derive(Debug, Clone)]
pub struct CurvePlot {
    /// Identifies it.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What is along the bottom.
    pub x_label: String,
    /// What is along the left, with its unit.
    pub y_label: String,
    /// Decimals that values are told with.
    pub decimals: usize,
    /// The least that both axes reach to: x, y.
    pub reach: (f64, f64),
    /// The curves; all at the same places, if the page's script is to draw them.
    pub curves: Vec<Curve>,
    /// Which of them the others are compared with.
    pub reference: usize,
    /// Which of them are shown until a reader chooses.
    pub shown: Vec<usize>,
}

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Whose it is.
    pub label: String,
    /// Its points, in order.
    pub points: Vec<Point>,
    /// How it is drawn.
    pub drawn: Drawn,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// A line with a band.
    Line,
    /// Each point by itself, with its interval.
    Points,
}

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// The estimate.
    pub value: f64,
    /// Its 95 % interval; not finite where there is none.
    pub interval: (f64, f64),
    /// Patients at risk, if that means something.
    pub at_risk: Option<u64>,
}

impl Point {
    /// The interval as it is drawn: no width where it is not known.
    fn band(&self) -> (f64, f64) {
        let known = |limit: f64| if limit.is_finite() { limit } else { self.value };
        (known(self.interval.0), known(self.interval.1))
    }
}

/// Who is still at risk, at some of the places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtRisk {
    /// Where.
    pub columns: Vec<String>,
    /// By curve: how it looks, its label, and the patients.
    pub rows: Vec<(String, String, Vec<String>)>,
}

impl CurvePlot {
    /// Draws it. In the page all curves are there, each with a class `series-N` by which those that
    /// are not chosen are hidden; the file has those that are shown at first.
    pub fn figure(&self) -> Figure {
        let all: Vec<usize> = (0..self.curves.len()).collect();
        Figure {
            name: self.name.clone(),
            title: self.title.clone(),
            description: self.description(),
            table: self.table(),
            data: self.data(),
            canvas: self.draw(&all, HEIGHT, "series"),
            file: Some(self.draw_file("series")),
        }
    }

    /// Draws what is shown at first, with a legend; in the page too, where nothing is chosen.
    pub fn still(&self) -> Figure {
        Figure {
            canvas: self.draw_file("still"),
            file: None,
            ..self.figure()
        }
    }

    /// Who is at risk below the curves, if it means something.
    pub fn at_risk(&self) -> Option<AtRisk> {
        let columns = self.risk_columns();
        let rows = self.curves.iter().enumerate().map(|(index, curve)| {
            let counts = columns.iter().map(|x| curve.at_risk(*x));
            let counts = counts.map(|count| count.map_or(String::new(), grouped));
            let look = format!("series-{index} {}", style(index, self.reference));
            (look, curve.label.clone(), counts.collect())
        });
        let rows: Vec<_> = rows.collect();
        (!columns.is_empty()).then(|| AtRisk {
            columns: columns.iter().map(f64::to_string).collect(),
            rows,
        })
    }

    /// Widths of the columns of [`Self::at_risk`] that put each below its place, percent of the
    /// drawing's: before them, each, and behind them.
    pub fn risk_widths(&self) -> (f64, f64, f64) {
        let columns = self.risk_columns();
        let axis = self.x_axis();
        let [first, second] = [0, 1].map(|at| columns.get(at).map_or(0.0, |x| FRAME.x(&axis, *x)));
        let step = second - first;
        let before = first - step / 2.0;
        let behind = WIDTH - before - step * columns.len() as f64;
        (
            100.0 * before / WIDTH,
            100.0 * step / WIDTH,
            100.0 * behind / WIDTH,
        )
    }

    fn x_axis(&self) -> Axis {
        Axis::over(0.0, self.reach.0, 11)
    }

    fn y_axis(&self) -> Axis {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let values = points.flat_map(|point| [point.value, point.band().1]);
        let known = values.filter(|value| value.is_finite());
        Axis::over(0.0, known.fold(self.reach.1, f64::max), 6)
    }

    /// Whole places at which numbers of this many digits fit side by side.
    fn risk_columns(&self) -> Vec<f64> {
        let places: Vec<&Point> = self.curves.first().map_or(Vec::new(), |curve| {
            let whole = curve.points.iter().filter(|point| is_whole(point.x));
            whole.filter(|point| point.at_risk.is_some()).collect()
        });
        let (Some(first), Some(last)) = (places.first(), places.last()) else {
            return Vec::new();
        };
        let axis = self.x_axis();
        let room = FRAME.x(&axis, last.x) - FRAME.x(&axis, first.x);
        let widest = width(&grouped(first.at_risk.unwrap_or(0)));
        let step = [1, 2, 5, 10, 20, 50].into_iter().find(|step| {
            let columns = (places.len() - 1) / step;
            room >= widest * columns as f64
        });
        let columns = places.iter().step_by(step.unwrap_or(places.len()));
        let columns: Vec<f64> = columns.map(|point| point.x).collect();
        if columns.len() < 2 {
            Vec::new()
        } else {
            columns
        }
    }

    fn draw(&self, drawn: &[usize], height: f64, class: &str) -> Canvas {
        let (x, y) = (self.x_axis(), self.y_axis());
        let mut canvas = Canvas::new(WIDTH, height);
        canvas.x_axis(&FRAME, &x, &self.x_label);
        canvas.text("axis", 0.0, 8.0, Anchor::Start, &self.y_label);
        canvas.open_group("y-axis");
        canvas.y_axis(&FRAME, &y);
        canvas.close_group();
        for &index in drawn {
            let curve = &self.curves[index];
            let look = style(index, self.reference);
            canvas.open_group(&format!("{class}-{index} {look}"));
            match curve.drawn {
                Drawn::Line => curve.draw_line(&mut canvas, &x, &y),
                Drawn::Points => curve.draw_points(&mut canvas, &x, &y, self.decimals),
            }
            canvas.close_group();
        }
        canvas.path("cursor", "");
        canvas
    }

    /// The drawing with a legend and who is at risk.
    fn draw_file(&self, class: &str) -> Canvas {
        let at_risk = self.at_risk();
        let lines_per_curve = if at_risk.is_some() { 2.0 } else { 1.0 };
        let lines = 1.0 + lines_per_curve * self.shown.len() as f64;
        let mut canvas = self.draw(&self.shown, HEIGHT + LINE * lines + 8.0, class);
        let mut y = HEIGHT + 4.0;
        let heading = if at_risk.is_some() {
            "Patients at risk"
        } else {
            ""
        };
        canvas.text("axis", FRAME.left, y, Anchor::Start, heading);
        for &index in &self.shown {
            y += LINE;
            canvas.open_group(&style(index, self.reference));
            match self.curves[index].drawn {
                Drawn::Line => {
                    canvas.path("line", &format!("M{} {}h22", Number(FRAME.left), Number(y)));
                }
                Drawn::Points => canvas.path("dot hollow", &circle(FRAME.left + 11.0, y)),
            }
            canvas.close_group();
            let label = &self.curves[index].label;
            canvas.label("name", FRAME.left + 30.0, y, WIDTH - 100.0, label);
            if let Some(at_risk) = &at_risk {
                y += LINE;
                let counts = self.risk_columns().into_iter().zip(&at_risk.rows[index].2);
                for (place, count) in counts {
                    let x = FRAME.x(&self.x_axis(), place);
                    canvas.text("tick", x, y, Anchor::Middle, count);
                }
            }
        }
        canvas
    }

    fn description(&self) -> String {
        let ends = self.shown.iter().filter_map(|index| {
            let curve = &self.curves[*index];
            let last = curve
                .points
                .iter()
                .rev()
                .find(|point| point.value.is_finite())?;
            let value = fixed(last.value, self.decimals);
            Some(format!("{} {value}", curve.label))
        });
        let last = self.curves.first().and_then(|curve| curve.points.last());
        format!(
            "{} against {}. At {}: {}.",
            self.y_label,
            self.x_label,
            last.map_or(0.0, |point| point.x),
            ends.collect::<Vec<_>>().join("; ")
        )
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["", &self.x_label, &self.y_label, "at risk"]);
        for curve in &self.curves {
            let told = |point: &&Point| curve.drawn == Drawn::Points || is_whole(point.x);
            for point in curve.points.iter().filter(told) {
                let at_risk = point.at_risk.map_or("–".into(), grouped);
                table.push([
                    curve.label.clone(),
                    format!("{}", (point.x * 100.0).round() / 100.0),
                    with_interval(point.value, point.interval, self.decimals),
                    at_risk,
                ]);
            }
        }
        table
    }

    fn data(&self) -> Table {
        let mut table = Table::new(&["series", "x", "value", "lower", "upper", "at_risk"]);
        for curve in &self.curves {
            for point in &curve.points {
                table.push([
                    curve.label.clone(),
                    exact(point.x),
                    exact(point.value),
                    exact(point.interval.0),
                    exact(point.interval.1),
                    point
                        .at_risk
                        .map_or(String::new(), |count| count.to_string()),
                ]);
            }
        }
        table
    }
}

impl Curve {
    fn known(&self) -> impl DoubleEndedIterator<Item = &Point> {
        let points = self.points.iter();
        points.filter(|point| point.value.is_finite())
    }

    fn draw_line(&self, canvas: &mut Canvas, x: &Axis, y: &Axis) {
        let place = |point: &Point, value: f64| (FRAME.x(x, point.x), FRAME.y(y, value));
        let upper = self.known().map(|point| place(point, point.band().1));
        let lower = self.known().rev().map(|point| place(point, point.band().0));
        canvas.path("band", &(path(upper.chain(lower)) + "z"));
        canvas.path(
            "line",
            &path(self.known().map(|point| place(point, point.value))),
        );
    }

    fn draw_points(&self, canvas: &mut Canvas, x: &Axis, y: &Axis, decimals: usize) {
        for point in self.known() {
            let (lower, upper) = point.band();
            let (place, ends) = (
                FRAME.x(x, point.x),
                [lower, upper].map(|end| FRAME.y(y, end)),
            );
            let whisker = format!("M{} {}V{}", Number(place), Number(ends[0]), Number(ends[1]));
            canvas.path("whisker", &whisker);
            let tooltip = format!(
                "{}: {}",
                self.label,
                with_interval(point.value, point.interval, decimals)
            );
            canvas.mark(
                "dot hollow",
                &circle(place, FRAME.y(y, point.value)),
                &tooltip,
            );
        }
    }

    /// Patients at risk at a place, if that means something.
    fn at_risk(&self, x: f64) -> Option<u64> {
        let found = self.points.iter().find(|point| (point.x - x).abs() < WHOLE);
        found.and_then(|point| point.at_risk)
    }
}

fn is_whole(x: f64) -> bool {
    (x - x.round()).abs() < WHOLE
}

/// What the page's script needs to draw the same curves of other patients, and to read values.
#[derive(Debug, Serialize)]
pub(crate) struct ScriptData {
    /// Left, right, top and bottom.
    frame: [f64; 4],
    x: [f64; 2],
    /// Places of the points.
    places: Vec<f64>,
    decimals: usize,
    groups: Vec<ScriptGroup>,
}

#[derive(Debug, Serialize)]
struct ScriptGroup {
    y: [f64; 2],
    /// The axis, drawn.
    axis: String,
    /// By curve: values, and how far the limits lie below and above, in units of the last
    /// decimal, [`encoded`].
    curves: Vec<[String; 3]>,
    /// By curve: who is at risk.
    at_risk: Vec<Vec<String>>,
}

impl ScriptData {
    /// Of plots that differ in their patients alone.
    pub(crate) fn of(plots: &[CurvePlot]) -> Option<Self> {
        let first = plots.first()?;
        let x = first.x_axis();
        let places = first.curves.first()?.points.iter();
        Some(Self {
            frame: [FRAME.left, FRAME.right, FRAME.top, FRAME.bottom],
            x: [x.low(), x.high()],
            places: places.map(|point| (point.x * 1e3).round() / 1e3).collect(),
            decimals: first.decimals,
            groups: plots.iter().map(ScriptGroup::of).collect(),
        })
    }
}

impl ScriptGroup {
    fn of(plot: &CurvePlot) -> Self {
        let y = plot.y_axis();
        let mut axis = Canvas::new(WIDTH, HEIGHT);
        axis.y_axis(&FRAME, &y);
        let unit = (0..plot.decimals).fold(1.0, |unit, _| 10.0 * unit);
        let whole = |value: f64| rounded(unit * value);
        let curves = plot.curves.iter().map(|curve| {
            let points = || curve.points.iter();
            [
                encoded(points().map(|point| whole(point.value))),
                encoded(points().map(|point| whole(point.value) - whole(point.band().0))),
                encoded(points().map(|point| whole(point.band().1) - whole(point.value))),
            ]
        });
        let at_risk = plot.at_risk().map_or(Vec::new(), |at_risk| at_risk.rows);
        Self {
            y: [y.low(), y.high()],
            axis: axis.body().to_owned(),
            curves: curves.collect(),
            at_risk: at_risk.into_iter().map(|(_, _, counts)| counts).collect(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and values are small"
)]
fn rounded(value: f64) -> i64 {
    value.round() as i64
}

/// Whole numbers as text, each less the one before it, five bits to a character: Google's encoded
/// polyline algorithm. Most take one or two characters.
fn encoded(values: impl Iterator<Item = i64>) -> String {
    let mut text = String::new();
    let mut last = 0;
    for value in values {
        let step = value - std::mem::replace(&mut last, value);
        // Twice the step; of a negative one the complement, which is odd.
        let mut rest = ((step << 1) ^ (step >> 63)).cast_unsigned();
        while rest >= 0x20 {
            text.push(letter(0x20 | rest & 0x1f));
            rest >>= 5;
        }
        text.push(letter(rest));
    }
    text
}

/// Six bits as a character.
fn letter(bits: u64) -> char {
    char::from(63 + u8::try_from(bits).expect("six bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> CurvePlot {
        let curve = |label: &str, share: f64| Curve {
            label: label.into(),
            points: (0..=48u32)
                .map(|month| {
                    let value = share * f64::from(month);
                    Point {
                        x: f64::from(month) / 12.0,
                        value,
                        interval: if month == 0 {
                            (f64::NAN, f64::NAN)
                        } else {
                            (0.9 * value, 1.1 * value)
                        },
                        at_risk: Some(1000 - u64::from(month)),
                    }
                })
                .collect(),
            drawn: Drawn::Line,
        };
        CurvePlot {
            name: "local".into(),
            title: "Local recurrence".into(),
            x_label: "years".into(),
            y_label: "percent".into(),
            decimals: 2,
            reach: (4.0, 0.0),
            curves: vec![curve("control", 0.5), curve("a <b>", 0.25)],
            reference: 0,
            shown: vec![0],
        }
    }

    #[test]
    fn every_point_is_drawn_once_and_twice_in_the_band() {
        let figure = plot().figure();
        let page = figure.embedded();
        assert_eq!(page.matches("class=\"line\"").count(), 2);
        let line = page.split("class=\"line\" d=\"").nth(1).expect("a line");
        let line = line.split('"').next().expect("its end");
        assert_eq!(line.matches(['M', 'L']).count(), 49);
        assert!(line.starts_with("M50 300L"), "{line}");
        let band = page.split("class=\"band\" d=\"").nth(1).expect("a band");
        let band = band.split('"').next().expect("its end");
        assert_eq!(band.matches(['M', 'L']).count(), 2 * 49);
        assert!(!page.contains("NaN"), "{page}");
        // The file has what is shown at first, and says whose it is.
        let file = figure.svg();
        assert_eq!(file.matches("class=\"band\"").count(), 1);
        assert!(
            file.contains(">control<") && !file.contains("a &lt;b&gt;"),
            "{file}"
        );
    }

    #[test]
    fn single_points_have_their_intervals_and_no_line() {
        let mut plot = plot();
        plot.curves[0] = Curve {
            points: vec![
                Point {
                    x: 2.5,
                    value: 10.0,
                    interval: (8.0, 12.0),
                    at_risk: None,
                },
                Point {
                    x: 3.0,
                    value: f64::NAN,
                    interval: (f64::NAN, f64::NAN),
                    at_risk: None,
                },
            ],
            drawn: Drawn::Points,
            ..plot.curves[0].clone()
        };
        let figure = plot.still();
        let page = figure.embedded();
        assert_eq!(page.matches("class=\"line\"").count(), 0, "{page}");
        // One in the drawing and one in the legend.
        assert_eq!(page.matches("class=\"dot hollow\"").count(), 2, "{page}");
        assert_eq!(page.matches("class=\"whisker\"").count(), 1, "{page}");
        assert!(
            page.contains("<title>control: 10.00 (8.00 to 12.00)</title>"),
            "{page}"
        );
        assert_eq!(figure.table.rows[0][1], "2.5");
    }

    #[test]
    fn who_is_at_risk_stands_below_whole_years() {
        let plot = plot();
        let at_risk = plot.at_risk().expect("it means something");
        assert_eq!(at_risk.columns, ["0", "1", "2", "3", "4"]);
        assert_eq!(at_risk.rows[1].2, ["1,000", "988", "976", "964", "952"]);
        let (before, each, behind) = plot.risk_widths();
        assert!((before + 5.0 * each + behind - 100.0).abs() < 1e-9);
        // The middle of the first column is the beginning of the axis.
        assert!((before + each / 2.0 - 100.0 * FRAME.left / WIDTH).abs() < 1e-9);
    }

    #[test]
    fn encoded_numbers_are_those_of_the_algorithms_description() {
        // The latitudes and longitudes of its description.
        let latitudes = [3_850_000, 4_070_000, 4_325_200];
        assert_eq!(encoded(latitudes.into_iter()), "_p~iF_ulL_mqN");
        let longitudes = [-12_020_000, -12_095_000, -12_645_300];
        assert_eq!(encoded(longitudes.into_iter()), "~ps|UnnqCvxq`@");
    }

    #[test]
    fn numbers_for_programs_and_for_the_script_are_those_of_the_points() {
        let plot = plot();
        let csv = plot.figure().csv();
        assert_eq!(csv.lines().count(), 1 + 2 * 49);
        assert!(
            csv.contains("\ncontrol,1,6,5.4,6.6000000000000005,988\n"),
            "{csv}"
        );
        let data = ScriptData::of(&[plot]).expect("there are points");
        let [values, below, above] = &data.groups[0].curves[0];
        // From 0 in steps of 50 hundredths, which are 100 after doubling: 4 and 3 times 32.
        assert_eq!(values, &format!("?{}", "cB".repeat(48)));
        assert_eq!(below.len(), 49);
        assert_eq!(below, above);
    }
}
