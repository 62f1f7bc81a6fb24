//! The control arm beside what was seen in patients.

use reseed_stats::curve::cumulative_incidence;
use reseed_stats::distribution::CRITICAL_95;
use reseed_stats::{Cause, Estimate, RiskTable};

use super::{Data, Group, bin_at};
use crate::cohort::{CohortEvent, CohortRow};
use crate::figures::rows::{Look, Mark, Row, RowPlot};
use crate::figures::{Figure, Table, exact, fixed, with_interval};
use crate::text;

/// For every kind of event the incidences of the cohort whose stratum and time the trial has, with
/// the model's.
pub(super) fn figures(data: &Data<'_>) -> Vec<Figure> {
    let Some(cohort) = data.input.cohort else {
        return Vec::new();
    };
    let mut figures = Vec::new();
    for event in CohortEvent::ALL {
        let rows = cohort.rows.iter().filter(|row| row.event == event);
        let compared: Vec<Compared<'_>> = rows.filter_map(|row| Compared::of(data, row)).collect();
        if !compared.is_empty() {
            figures.push(figure(data, event, &compared));
        }
    }
    figures
}

fn figure(data: &Data<'_>, event: CohortEvent, compared: &[Compared<'_>]) -> Figure {
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
    let control = &data.arms[data.control];
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
            (Look::Square, format!("model, {control}")),
            (Look::Circle, "cohort".into()),
        ],
        table,
        data: numbers,
    }
    .figure()
}

/// A value of the cohort and the model's.
struct Compared<'a> {
    cohort: &'a CohortRow,
    model: Estimate,
}

impl<'a> Compared<'a> {
    fn of(data: &Data<'_>, cohort: &'a CohortRow) -> Option<Self> {
        let named = |group: &&Group| {
            group.label == cohort.stratum || (group.kind.is_empty() && cohort.stratum == "all")
        };
        let group = data.groups.iter().find(named)?;
        let bin = bin_at(&data.edges_years, cohort.years).ok()?;
        let table = first_events(data, &group.strata, cohort.event);
        let curve = cumulative_incidence(&table, 0);
        Some(Self {
            cohort,
            model: curve.values[bin],
        })
    }

    fn model_interval(&self) -> (f64, f64) {
        self.model.log_log_interval(CRITICAL_95)
    }

    fn inside(&self) -> bool {
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

/// First events of the control: cause 0 is the event, cause 1 all others.
fn first_events(data: &Data<'_>, strata: &[usize], event: CohortEvent) -> RiskTable {
    let causes: &[Cause] = match event {
        CohortEvent::Local => &[Cause::LocalResidual, Cause::LocalReseeded],
        CohortEvent::Distant => &[Cause::Distant],
        CohortEvent::Recurrence => &[Cause::LocalResidual, Cause::LocalReseeded, Cause::Distant],
        CohortEvent::DeathWithoutRecurrence => &[Cause::OtherDeath],
    };
    let others = Cause::EVENTS
        .into_iter()
        .filter(|cause| !causes.contains(cause));
    let others: Vec<Cause> = others.collect();
    let events = [sum(data, strata, causes), sum(data, strata, &others)];
    let censored = sum(data, strata, &[Cause::Censored]);
    let enrolled = data.tally.enrolled();
    let patients = strata.iter().map(|stratum| enrolled[*stratum]).sum();
    RiskTable::from_bins(&data.edges_years, patients, &events, &censored)
}

/// First events of the control of any of these causes, by bin.
fn sum(data: &Data<'_>, strata: &[usize], causes: &[Cause]) -> Vec<u64> {
    let mut sums = vec![0; data.tally.shape().bins];
    for cause in causes {
        for stratum in strata {
            let counts = data.tally.first_event(*stratum, data.control, *cause);
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }
    sums
}
