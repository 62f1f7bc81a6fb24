//! An arm at every point of what is uncertain, from the blocks of a result.

use reseed_stats::Estimate;
use reseed_stats::band::{Band, band};
use reseed_stats::cells::{CellEvent, CellGroup, Cells};
use reseed_stats::hazard::hazard_peak;

use super::TimePoint;
use crate::cohort::{CohortEvent, Quantity};
use crate::courses::PEAK_BANDWIDTH_YEARS;

const HALF_YEARS_PER_YEAR: f64 = 2.0;

/// An arm at every point.
#[derive(Clone, Copy)]
pub(super) struct Points<'a> {
    pub(super) cells: &'a [Cells],
    pub(super) arm: usize,
}

impl<'a> Points<'a> {
    /// The band of a quantity of these strata together.
    pub(super) fn band(
        &self,
        strata: &[usize],
        event: CohortEvent,
        quantity: Quantity,
    ) -> Option<Band> {
        let kinds = event.cell_events();
        match quantity {
            Quantity::Incidence { years } => PointCurves::of(self, strata, kinds).band(years),
            Quantity::HazardPeak => {
                let hazards = self.groups(strata).map(|group| group.hazards(kinds));
                band(hazards.filter_map(|hazards| hazard_peak(&hazards, PEAK_BANDWIDTH_YEARS)))
            }
        }
    }

    fn groups<'b>(&self, strata: &'b [usize]) -> impl Iterator<Item = CellGroup<'b>>
    where
        'a: 'b,
    {
        let Self { cells, arm } = *self;
        cells
            .iter()
            .map(move |cells| CellGroup { cells, arm, strata })
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
        let mixed = |cells| {
            let curve = |stratum: &usize| {
                let group = CellGroup {
                    cells,
                    arm: points.arm,
                    strata: std::slice::from_ref(stratum),
                };
                (shares[*stratum], group.incidences(kinds))
            };
            mean(&own.iter().map(curve).collect::<Vec<_>>())
        };
        Self {
            curves: points.cells.iter().map(mixed).collect(),
        }
    }

    /// The band at a time within the half-years, between whose ends events come evenly.
    pub(super) fn band(&self, years: f64) -> Option<Band> {
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
        band(self.curves.iter().map(at))
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
