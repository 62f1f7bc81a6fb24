//! The courses of an arm's patients, in the terms of cohorts.

use reseed_stats::cells::CellEvent;
use reseed_stats::curve::cumulative_incidence;
use reseed_stats::hazard::{hazard_peak, interval_hazards};
use reseed_stats::{Cause, Estimate, RiskTable, Tally};

use crate::cohort::CohortEvent;

/// Bandwidth with which cohorts' hazards were smoothed whose peaks are compared, years.
pub(crate) const PEAK_BANDWIDTH_YEARS: f64 = 0.75;

/// Local recurrences of either origin.
pub(crate) const LOCAL: &[Cause] = &[Cause::LocalResidual, Cause::LocalReseeded];
/// Recurrences of any kind.
pub(crate) const RECURRENCE: &[Cause] =
    &[Cause::LocalResidual, Cause::LocalReseeded, Cause::Distant];

impl CohortEvent {
    /// What it is among a tally's causes.
    pub(crate) const fn causes(self) -> &'static [Cause] {
        match self {
            Self::Local => LOCAL,
            Self::Distant => &[Cause::Distant],
            Self::Recurrence => RECURRENCE,
            Self::DeathWithoutRecurrence => &[Cause::OtherDeath],
        }
    }

    /// The same among what blocks keep.
    pub(crate) const fn cell_events(self) -> &'static [CellEvent] {
        match self {
            Self::Local => &[CellEvent::Local],
            Self::Distant => &[CellEvent::Distant],
            Self::Recurrence => &[CellEvent::Local, CellEvent::Distant],
            Self::DeathWithoutRecurrence => &[CellEvent::DeathWithoutRecurrence],
        }
    }
}

/// The arms of a result over time.
#[derive(Clone, Copy)]
pub(crate) struct Courses<'a> {
    pub(crate) tally: &'a Tally,
    pub(crate) arm: usize,
    pub(crate) edges_years: &'a [f64],
}

impl Courses<'_> {
    /// Incidences of a kind of first event by the ends of all bins.
    pub(crate) fn incidences(&self, strata: &[usize], event: CohortEvent) -> Vec<Estimate> {
        let table = self.first_events(strata, event.causes());
        cumulative_incidence(&table, 0).values
    }

    /// When the smoothed hazard of a kind of first event is highest, if that can be told.
    pub(crate) fn hazard_peak(&self, strata: &[usize], event: CohortEvent) -> Option<Estimate> {
        let table = self.first_events(strata, event.causes());
        let hazards = interval_hazards(&table, 0, self.edges_years);
        hazard_peak(&hazards, PEAK_BANDWIDTH_YEARS)
    }

    /// First events: cause 0 is any of these, cause 1 all others.
    pub(crate) fn first_events(&self, strata: &[usize], causes: &[Cause]) -> RiskTable {
        let others = Cause::EVENTS
            .into_iter()
            .filter(|cause| !causes.contains(cause));
        let others: Vec<Cause> = others.collect();
        let events = [self.sum(strata, causes), self.sum(strata, &others)];
        let censored = self.sum(strata, &[Cause::Censored]);
        let enrolled = self.tally.enrolled();
        let patients = strata.iter().map(|stratum| enrolled[*stratum]).sum();
        RiskTable::from_bins(self.edges_years, patients, &events, &censored)
    }

    /// First events of any of these causes, by bin.
    fn sum(&self, strata: &[usize], causes: &[Cause]) -> Vec<u64> {
        let mut sums = vec![0; self.tally.shape().bins];
        for cause in causes {
            for stratum in strata {
                let counts = self.tally.first_event(*stratum, self.arm, *cause);
                for (sum, count) in sums.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
        }
        sums
    }
}
