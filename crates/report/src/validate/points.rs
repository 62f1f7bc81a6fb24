//! An arm at every point of what is uncertain, from the blocks of a result.

use reseed_stats::Estimate;
use reseed_stats::band::{Band, band};
use reseed_stats::cells::{CellEvent, CellGroup};
use reseed_stats::hazard::hazard_peak;

use super::{PointCells, TimePoint};
use crate::cohort::{CohortEvent, Quantity};
use crate::courses::PEAK_BANDWIDTH_YEARS;

const HALF_YEARS_PER_YEAR: f64 = 2.0;

/// An arm at every point.
#[derive(Clone, Copy)]
pub(super) struct Points<'a> {
    pub(super) points: &'a [PointCells],
    pub(super) arm: usize,
}

impl<'a> Points<'a> {
    /// A quantity of these strata together at every point; none if half-years end before.
    pub(super) fn values(
        &self,
        strata: &[usize],
        event: CohortEvent,
        quantity: Quantity,
    ) -> Option<Vec<Estimate>> {
        let kinds = event.cell_events();
        match quantity {
            Quantity::Incidence { years } => PointCurves::of(self, strata, kinds).at(years),
            Quantity::HazardPeak => {
                let peak = |group: CellGroup<'_>| {
                    hazard_peak(&group.hazards(kinds), PEAK_BANDWIDTH_YEARS)
                        .unwrap_or(Estimate::UNKNOWN)
                };
                Some(self.groups(strata).map(peak).collect())
            }
        }
    }

    /// Their numbers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.points.iter().map(|point| point.number)
    }

    fn groups<'b>(&self, strata: &'b [usize]) -> impl Iterator<Item = CellGroup<'b>>
    where
        'a: 'b,
    {
        let Self { points, arm } = *self;
        points.iter().map(move |point| CellGroup {
            cells: &point.cells,
            arm,
            strata,
        })
    }
}

/// Cumulative incidences over time at every point.
pub(super) struct PointCurves {
    /// By point: at the start and by the end of every half-year.
    curves: Vec<Vec<Estimate>>,
}

impl PointCurves {
    /// Of the patients of these strata together.
    pub(super) fn of(points: &Points<'_>, strata: &[usize], kinds: &[CellEvent]) -> Self {
        let curves = points.groups(strata).map(|group| group.incidences(kinds));
        Self {
            curves: curves.collect(),
        }
    }

    /// The mean over patients who are of the strata with these shares; unknown at points that lack
    /// patients of one of them.
    pub(super) fn mixed(points: &Points<'_>, shares: &[f64], kinds: &[CellEvent]) -> Self {
        let own: Vec<usize> = (0..shares.len())
            .filter(|stratum| shares[*stratum] > 0.0)
            .collect();
        let mixed = |point: &PointCells| {
            let curve = |stratum: &usize| {
                let group = CellGroup {
                    cells: &point.cells,
                    arm: points.arm,
                    strata: std::slice::from_ref(stratum),
                };
                (shares[*stratum], group.incidences(kinds))
            };
            mean(&own.iter().map(curve).collect::<Vec<_>>())
        };
        Self {
            curves: points.points.iter().map(mixed).collect(),
        }
    }

    /// The band at a time within the half-years.
    pub(super) fn band(&self, years: f64) -> Option<Band> {
        band(self.at(years)?)
    }

    /// Every point's value at a time within the half-years, between whose ends events come evenly.
    fn at(&self, years: f64) -> Option<Vec<Estimate>> {
        let place = years * HALF_YEARS_PER_YEAR;
        let last = self.curves.first()?.len() - 1;
        if !(0.0..=last as f64).contains(&place) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in the list"
        )]
        let below = place as usize;
        let above = (below + 1).min(last);
        let share = place - below as f64;
        let between = |from: f64, to: f64| from + share * (to - from);
        let at = |curve: &Vec<Estimate>| Estimate {
            value: between(curve[below].value, curve[above].value),
            standard_error: between(curve[below].standard_error, curve[above].standard_error),
        };
        Some(self.curves.iter().map(at).collect())
    }

    /// Medians and bands at the start and by the end of every half-year of which they are known.
    pub(super) fn model(&self) -> Vec<TimePoint> {
        let ends = 0..self.curves.first().map_or(0, Vec::len);
        let times = ends.map(|end| end as f64 / HALF_YEARS_PER_YEAR);
        let points = times.filter_map(|years| {
            let band = self.band(years)?;
            Some(TimePoint {
                years,
                value: band.median,
                interval: (band.lower, band.upper),
            })
        });
        points.collect()
    }
}

/// The mean of curves with weights, and its error if they are of different patients.
fn mean(weighted: &[(f64, Vec<Estimate>)]) -> Vec<Estimate> {
    let places = weighted.first().map_or(0, |(_, curve)| curve.len());
    let at = |place: usize| {
        let (mut value, mut variance) = (0.0, 0.0);
        for (weight, curve) in weighted {
            let error = weight * curve[place].standard_error;
            value += weight * curve[place].value;
            variance += error * error;
        }
        Estimate {
            value,
            standard_error: variance.sqrt(),
        }
    };
    (0..places).map(at).collect()
}
