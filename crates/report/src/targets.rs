//! Incidences that were seen in patients, beside those of an arm.

use reseed_stats::curve::cumulative_incidence;
use reseed_stats::distribution::CRITICAL_95;
use reseed_stats::{Cause, Estimate, RiskTable, Tally};

use crate::cohort::{CohortEvent, CohortRow};
use crate::figures::rows::{Look, Mark, Row, RowPlot};
use crate::figures::{Figure, Table, exact, fixed, with_interval};
use crate::text;

/// The values of one kind of event beside the model's, in an arm of this name.
pub(crate) fn figure(arm: &str, event: CohortEvent, compared: &[Compared<'_>]) -> Figure {
    let mut table = Table::new(&[
        "",
        "years",
        "model, percent (95 % CI)",
        "cohort, percent (95 % CI)",
        "inside",
    ]);
    let mut numbers = Table::new(&[
        "stratum",
        "years",
        "model",
        "model_lower",
        "model_upper",
        "cohort",
        "cohort_lower",
        "cohort_upper",
        "source",
    ]);
    for compared in compared {
        table.push(compared.cells());
        numbers.push(compared.data());
    }
    let inside = compared.iter().filter(|compared| compared.inside()).count();
    RowPlot {
        name: format!("calibration-{}", event.name()),
        title: event.title().into(),
        description: format!(
            "{inside} of {} values of the model lie inside the cohort's intervals.",
            compared.len()
        ),
        x_label: "cumulative incidence, percent".into(),
        neutral: 0.0,
        rows: compared.iter().map(Compared::row).collect(),
        legend: vec![
            (Look::Square, format!("model, {arm}")),
            (Look::Circle, "cohort".into()),
        ],
        table,
        data: numbers,
    }
    .figure()
}

/// A value of the cohort and the model's.
pub(crate) struct Compared<'a> {
    pub(crate) cohort: &'a CohortRow,
    pub(crate) model: Estimate,
}

impl Compared<'_> {
    pub(crate) fn model_interval(&self) -> (f64, f64) {
        self.model.log_log_interval(CRITICAL_95)
    }

    pub(crate) fn inside(&self) -> bool {
        (self.cohort.lower..=self.cohort.upper).contains(&self.model.value)
    }

    fn row(&self) -> Row {
        let [model, cohort] = [
            (Look::Square, self.model.value, self.model_interval()),
            (
                Look::Circle,
                self.cohort.value,
                (self.cohort.lower, self.cohort.upper),
            ),
        ]
        .map(|(look, value, (lower, upper))| {
            let interval = (100.0 * lower, 100.0 * upper);
            let who = if look == Look::Square {
                "model"
            } else {
                &self.cohort.source
            };
            Mark {
                look,
                value: 100.0 * value,
                interval,
                tooltip: format!("{who}: {}", with_interval(100.0 * value, interval, 1)),
            }
        });
        Row {
            label: format!(
                "{}, {}",
                self.cohort.stratum,
                text::years(self.cohort.years)
            ),
            text: format!(
                "{} | {}",
                fixed(model.value, 1),
                with_interval(cohort.value, cohort.interval, 1)
            ),
            marks: vec![model, cohort],
        }
    }

    fn cells(&self) -> [String; 5] {
        let percent = |value: f64, (lower, upper): (f64, f64)| {
            with_interval(100.0 * value, (100.0 * lower, 100.0 * upper), 2)
        };
        [
            self.cohort.stratum.clone(),
            self.cohort.years.to_string(),
            percent(self.model.value, self.model_interval()),
            percent(self.cohort.value, (self.cohort.lower, self.cohort.upper)),
            if self.inside() { "yes" } else { "no" }.into(),
        ]
    }

    fn data(&self) -> [String; 9] {
        let (lower, upper) = self.model_interval();
        [
            self.cohort.stratum.clone(),
            exact(self.cohort.years),
            exact(self.model.value),
            exact(lower),
            exact(upper),
            exact(self.cohort.value),
            exact(self.cohort.lower),
            exact(self.cohort.upper),
            self.cohort.source.clone(),
        ]
    }
}

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
}

/// The arms of a result over time.
#[derive(Clone, Copy)]
pub(crate) struct Courses<'a> {
    pub(crate) tally: &'a Tally,
    pub(crate) arm: usize,
    pub(crate) edges_years: &'a [f64],
}

impl Courses<'_> {
    /// The incidence of a kind of first event by the end of a bin.
    pub(crate) fn incidence(&self, strata: &[usize], event: CohortEvent, bin: usize) -> Estimate {
        let table = self.first_events(strata, event.causes());
        cumulative_incidence(&table, 0).values[bin]
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
