//! Validations as figures.

use super::{GroupCurves, ValidatedGroup, Validation};
use crate::figures::Figure;
use crate::figures::agreement::{AgreementPlot, AgreementPoint};
use crate::figures::curves::{Curve, CurvePlot, Point};
use crate::text::{endpoint_in_words, years};
use reseed_stats::distribution::CRITICAL_95;

impl Validation {
    /// By each time the groups' incidences against those predicted; then the curves of all patients
    /// and of each group by predicted risk.
    pub fn figures(&self) -> Vec<Figure> {
        let Some(cohort) = &self.cohort else {
            return Vec::new();
        };
        let outcome = endpoint_in_words(cohort.endpoint);
        let by_risk = cohort
            .groups
            .iter()
            .filter(|group| group.grouping == "risk");
        let by_risk: Vec<&ValidatedGroup> = by_risk.collect();
        let times = by_risk.chunk_by(|a, b| a.time_days.total_cmp(&b.time_days).is_eq());
        let agreements = times.map(|groups| agreement(outcome, groups));
        let curves = self.curves.iter().map(|curves| self.curve(outcome, curves));
        agreements.chain(curves).collect()
    }

    fn curve(&self, outcome: &str, group: &GroupCurves) -> Figure {
        let observed = (group.times.iter().zip(&group.observed).zip(&group.at_risk)).map(
            |((time, observed), at_risk)| {
                let (lower, upper) = observed.log_log_interval(CRITICAL_95);
                Point {
                    x: *time,
                    value: 100.0 * observed.value,
                    interval: (100.0 * lower, 100.0 * upper),
                    at_risk: Some(*at_risk),
                }
            },
        );
        let predicted = group.times.iter().zip(&group.predicted);
        let predicted = predicted.map(|(time, predicted)| Point {
            x: *time,
            value: 100.0 * predicted,
            interval: (f64::NAN, f64::NAN),
            at_risk: None,
        });
        let curve = |label: &str, points| Curve {
            label: label.to_owned(),
            points,
        };
        CurvePlot {
            name: format!("curves-{}", group.label.replace(' ', "-")),
            title: format!("{outcome}, {}", group.label),
            x_label: "years from resection".into(),
            y_label: "cumulative incidence, percent".into(),
            decimals: 1,
            reach: (group.times.last().copied().unwrap_or(0.0), 0.0),
            curves: vec![
                curve("cohort", observed.collect()),
                curve(&format!("model, {}", self.arm), predicted.collect()),
            ],
            reference: 0,
            shown: vec![0, 1],
        }
        .figure()
    }
}

fn agreement(outcome: &str, groups: &[&ValidatedGroup]) -> Figure {
    let time = groups.first().map_or(0.0, |group| group.time_years);
    let time = years(time);
    let percent = |share: Option<f64>| share.map_or(f64::NAN, |share| 100.0 * share);
    let point = |group: &&ValidatedGroup| AgreementPoint {
        label: format!("risk group {}", group.group),
        patients: group.patients,
        predicted: percent(group.predicted),
        observed: percent(group.observed),
        interval: (percent(group.observed_lower), percent(group.observed_upper)),
    };
    AgreementPlot {
        name: format!("calibration-{}", time.replace(' ', "-")),
        title: format!("{outcome} within {time}: predicted and observed"),
        description: format!(
            "Cumulative incidence within {time} in {} groups by predicted risk, with 95 % intervals; \
             on the diagonal as many events come as are predicted.",
            groups.len()
        ),
        unit: "percent".into(),
        points: groups.iter().map(point).collect(),
    }
    .figure()
}
