//! What was published of cohorts beside an arm's.

use reseed_stats::Estimate;
use reseed_stats::band::{Band, band};
use reseed_stats::distribution::CRITICAL_95;
use serde::Serialize;

use super::points::{PointCurves, Points};
use super::{TimePoint, ValidateInput};
use crate::cohort::{Cohort, CohortEvent, CohortRow, Quantity};
use crate::compare::bin_at;
use crate::courses::Courses;
use crate::report::Group;
use crate::{finite, text};

/// Published quantities beside the model's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidatedTargets {
    /// Name of the file.
    pub name: String,
    /// Quantities that the result has too.
    pub compared: usize,
    /// Those of them in whose interval the model's value lies.
    pub inside: usize,
    /// Their share.
    pub inside_share: Option<f64>,
    /// How well each point of the uncertain parameters agrees by itself, the closest first; empty if
    /// the result has none.
    pub closest_points: Vec<ClosestPoint>,
    /// The quantities.
    pub rows: Vec<ValidatedTarget>,
    /// Quantities that the result does not have: of other strata, beyond its follow-up or without
    /// events.
    pub left_out: Vec<String>,
    #[serde(skip)]
    pub(super) curves: Vec<TargetCurve>,
}

/// How well the patients of a point agree with what was published. The closest is inside the most
/// intervals, and of several the one with the least distance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClosestPoint {
    /// Its number in the design, from 0: `reseed trial show TRIAL --point` gives the trial there.
    pub point: u64,
    /// Intervals in which the point's values lie, of those quantities of which a median is known.
    pub inside: usize,
    /// Root of the mean squared distance from the cohort's values, in halves of their intervals;
    /// `null` if a value is not known.
    pub distance: Option<f64>,
}

/// A quantity that was published, and the model's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidatedTarget {
    /// Whose it is.
    pub stratum: String,
    /// Kind of first event: `local`, `distant`, `recurrence` or `death_without_recurrence`.
    pub event: &'static str,
    /// What of it: `incidence`, the cumulative incidence; or `hazard_peak_years`, the years from
    /// resection at which the smoothed hazard is highest.
    pub quantity: &'static str,
    /// Years from resection by which the incidence is; `null` for a peak.
    pub time_years: Option<f64>,
    /// The model's value.
    pub model: Option<f64>,
    /// Lower end of the interval that the number of virtual patients leaves.
    pub model_lower: Option<f64>,
    /// Upper end of the same.
    pub model_upper: Option<f64>,
    /// Median over the points of the uncertain parameters; `null` if the result has none.
    pub median: Option<f64>,
    /// Lower end of the central 95 % of the points, less the noise.
    pub median_lower: Option<f64>,
    /// Upper end of the same.
    pub median_upper: Option<f64>,
    /// Share of the variance over the points that is noise: the chance of each point's patients.
    pub noise_share: Option<f64>,
    /// The cohort's value.
    pub observed: f64,
    /// Lower end of its interval.
    pub observed_lower: f64,
    /// Upper end of the same.
    pub observed_upper: f64,
    /// Whether the model's value lies in the cohort's interval.
    pub inside: bool,
    /// Where the cohort's was seen.
    pub source: String,
}

/// The incidence of an event in the arm over time, beside the cohort's.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TargetCurve {
    pub(super) event: CohortEvent,
    pub(super) stratum: String,
    pub(super) model: Vec<TimePoint>,
    /// The cohort's, in order of time.
    pub(super) seen: Vec<TimePoint>,
}

/// Sets a cohort's published quantities beside an arm's.
pub(super) fn targets(
    input: &ValidateInput<'_>,
    courses: &Courses<'_>,
    points: Option<Points<'_>>,
    cohort: &Cohort,
) -> ValidatedTargets {
    let model = Model {
        groups: input.groups,
        courses,
        points,
    };
    let (mut rows, mut compared, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let mut agreements = vec![Agreement::default(); points.map_or(0, |points| points.points.len())];
    for row in &cohort.rows {
        match model.target(row) {
            Some((target, values)) => {
                for (agreement, value) in agreements.iter_mut().zip(values) {
                    agreement.count(row, value.value);
                }
                rows.push(target);
                compared.push(row);
            }
            None => left_out.push(described(row)),
        }
    }
    let inside = rows.iter().filter(|row| row.inside).count();
    ValidatedTargets {
        name: cohort.name.clone(),
        compared: rows.len(),
        inside,
        inside_share: finite(inside as f64 / rows.len() as f64),
        closest_points: points.map_or_else(Vec::new, |points| closest(points, agreements)),
        rows,
        left_out,
        curves: model.curves(&compared),
    }
}

/// How well a point agrees with what was published.
#[derive(Debug, Clone, Copy, Default)]
struct Agreement {
    compared: usize,
    inside: usize,
    /// Sum of squared distances, in halves of the intervals; not a number if a value is not known.
    squares: f64,
}

impl Agreement {
    fn count(&mut self, row: &CohortRow, value: f64) {
        let half = if value < row.value {
            row.value - row.lower
        } else {
            row.upper - row.value
        };
        let distance = (value - row.value) / half;
        self.compared += 1;
        self.inside += usize::from((row.lower..=row.upper).contains(&value));
        self.squares += distance * distance;
    }

    fn of_point(self, point: u64) -> ClosestPoint {
        ClosestPoint {
            point,
            inside: self.inside,
            distance: finite((self.squares / self.compared as f64).sqrt()),
        }
    }
}

fn closest(points: Points<'_>, agreements: Vec<Agreement>) -> Vec<ClosestPoint> {
    let numbered = points.numbers().zip(agreements);
    let known = numbered.filter(|(_, agreement)| agreement.compared > 0);
    let mut closest: Vec<ClosestPoint> = known
        .map(|(point, agreement)| agreement.of_point(point))
        .collect();
    let distance = |point: &ClosestPoint| point.distance.unwrap_or(f64::INFINITY);
    closest.sort_by(|a, b| {
        (b.inside.cmp(&a.inside)).then_with(|| distance(a).total_cmp(&distance(b)))
    });
    closest
}

/// An arm, as cohorts see it.
struct Model<'a> {
    groups: &'a [Group],
    courses: &'a Courses<'a>,
    points: Option<Points<'a>>,
}

impl Model<'_> {
    /// What was published beside the model's, and the latter at every point.
    fn target(&self, row: &CohortRow) -> Option<(ValidatedTarget, Vec<Estimate>)> {
        let strata = self.strata(row)?;
        let (model, (lower, upper)) = self.value(row, &strata)?;
        let points = self.points.as_ref();
        let values = points.and_then(|points| points.values(&strata, row.event, row.quantity));
        let values = values.unwrap_or_default();
        let band = band(values.iter().copied());
        let of_band = |of: fn(Band) -> f64| band.map(of);
        let target = ValidatedTarget {
            stratum: row.stratum.clone(),
            event: row.event.name(),
            quantity: row.quantity.name(),
            time_years: match row.quantity {
                Quantity::Incidence { years } => Some(years),
                Quantity::HazardPeak => None,
            },
            model: finite(model.value),
            model_lower: finite(lower),
            model_upper: finite(upper),
            median: of_band(|band| band.median),
            median_lower: of_band(|band| band.lower),
            median_upper: of_band(|band| band.upper),
            noise_share: of_band(|band| band.noise),
            observed: row.value,
            observed_lower: row.lower,
            observed_upper: row.upper,
            inside: (row.lower..=row.upper).contains(&model.value),
            source: row.source.clone(),
        };
        Some((target, values))
    }

    /// Positions of the strata that a row is of, if the trial tells all of them apart.
    fn strata(&self, row: &CohortRow) -> Option<Vec<usize>> {
        let mut strata = Vec::new();
        for label in row.strata() {
            let group = self.groups.iter().find(|group| group.is_called(label))?;
            strata.extend(&group.strata);
        }
        strata.sort_unstable();
        strata.dedup();
        Some(strata)
    }

    /// The value of all patients together, and its interval.
    fn value(&self, row: &CohortRow, strata: &[usize]) -> Option<(Estimate, (f64, f64))> {
        let (value, interval) = match row.quantity {
            Quantity::Incidence { years } => {
                let bin = bin_at(self.courses.edges_years, years)?;
                let value = self.courses.incidences(strata, row.event)[bin];
                (value, value.log_log_interval(CRITICAL_95))
            }
            Quantity::HazardPeak => {
                let value = self.courses.hazard_peak(strata, row.event)?;
                let (lower, upper) = value.plain_interval(CRITICAL_95);
                // Written so that what is not known stays so.
                (value, (if lower < 0.0 { 0.0 } else { lower }, upper))
            }
        };
        value.value.is_finite().then_some((value, interval))
    }

    /// A curve for each kind of event and stratum of which there are incidences among these rows.
    fn curves(&self, rows: &[&CohortRow]) -> Vec<TargetCurve> {
        let mut curves: Vec<TargetCurve> = Vec::new();
        for row in rows {
            let (Quantity::Incidence { years }, Some(strata)) = (row.quantity, self.strata(row))
            else {
                continue;
            };
            let seen = TimePoint {
                years,
                value: row.value,
                interval: (row.lower, row.upper),
            };
            let is_same = |curve: &&mut TargetCurve| {
                (curve.event, &curve.stratum) == (row.event, &row.stratum)
            };
            match curves.iter_mut().find(is_same) {
                Some(curve) => curve.seen.push(seen),
                None => curves.push(TargetCurve {
                    event: row.event,
                    stratum: row.stratum.clone(),
                    model: self.curve(row.event, &strata),
                    seen: vec![seen],
                }),
            }
        }
        for curve in &mut curves {
            curve.seen.sort_by(|a, b| a.years.total_cmp(&b.years));
        }
        curves
    }

    /// Medians with bands over the points, if there are any; otherwise the value of all patients with
    /// its interval.
    fn curve(&self, event: CohortEvent, strata: &[usize]) -> Vec<TimePoint> {
        if let Some(points) = &self.points {
            return PointCurves::of(points, strata, event.cell_events()).model();
        }
        let values = self.courses.incidences(strata, event);
        let ends = self.courses.edges_years[1..].iter().zip(values);
        let start = TimePoint {
            years: 0.0,
            value: 0.0,
            interval: (0.0, 0.0),
        };
        let at_ends = ends.map(|(years, value)| TimePoint {
            years: *years,
            value: value.value,
            interval: value.log_log_interval(CRITICAL_95),
        });
        std::iter::once(start).chain(at_ends).collect()
    }
}

/// What a quantity is of, in words.
fn described(row: &CohortRow) -> String {
    let what = match row.quantity {
        Quantity::Incidence { years } => text::years(years),
        Quantity::HazardPeak => "peak of the hazard".to_owned(),
    };
    format!("{}, {}, {what}", row.event.name(), row.stratum)
}
