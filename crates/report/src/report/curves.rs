//! Curves over time: survival, incidence and hazards, of all patients and of every group.

use reseed_stats::curve::{Curve as Steps, cumulative_incidence, kaplan_meier};
use reseed_stats::distribution::CRITICAL_95;
use reseed_stats::hazard::smooth_hazard;
use reseed_stats::{Endpoint, RiskTable};

use super::Data;
use crate::figures::Figure;
use crate::figures::curves::{AtRisk, Curve, CurvePlot, Drawn, Point, ScriptData};

/// Bandwidth of smoothed hazards, years; less where follow-up is short.
const BANDWIDTH_YEARS: f64 = 1.0;
/// Points of a smoothed hazard per year.
const HAZARD_POINTS_PER_YEAR: f64 = 4.0;

/// Curves of one kind.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) endpoint: Endpoint,
    pub(crate) figure: Figure,
    pub(crate) note: String,
    pub(crate) at_risk: Option<AtRisk>,
    pub(crate) risk_widths: (f64, f64, f64),
    /// JSON for the page's script.
    pub(crate) script: String,
}

#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    title: &'static str,
    endpoint: Endpoint,
    quantity: Quantity,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Survival,
    Incidence,
    Hazard,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "local",
        title: "Local recurrence",
        endpoint: Endpoint::Local,
        quantity: Quantity::Incidence,
    },
    Kind {
        name: "distant",
        title: "Distant recurrence",
        endpoint: Endpoint::Distant,
        quantity: Quantity::Incidence,
    },
    Kind {
        name: "recurrence-free-survival",
        title: "Recurrence-free survival",
        endpoint: Endpoint::Rfs,
        quantity: Quantity::Survival,
    },
    Kind {
        name: "overall-survival",
        title: "Overall survival",
        endpoint: Endpoint::Death,
        quantity: Quantity::Survival,
    },
    Kind {
        name: "hazard-local",
        title: "Hazard of local recurrence",
        endpoint: Endpoint::Local,
        quantity: Quantity::Hazard,
    },
    Kind {
        name: "hazard-distant",
        title: "Hazard of distant recurrence",
        endpoint: Endpoint::Distant,
        quantity: Quantity::Hazard,
    },
];

/// Draws every kind of curves for all patients, and gives the script those of all groups.
pub(super) fn panels(data: &Data<'_>) -> Vec<Panel> {
    let mut plots = KINDS.map(|_| Vec::new());
    for group in &data.groups {
        for endpoint in Endpoint::ALL {
            let tables: Vec<RiskTable> = (0..data.arms.len())
                .map(|arm| {
                    RiskTable::of_endpoint(
                        data.tally,
                        &group.strata,
                        arm,
                        endpoint,
                        &data.edges_years,
                    )
                })
                .collect();
            for (kind, plots) in KINDS.iter().zip(&mut plots) {
                if kind.endpoint == endpoint {
                    plots.push(plot(data, *kind, &tables));
                }
            }
        }
    }
    let kinds = KINDS.iter().zip(&plots);
    kinds.map(|(kind, plots)| panel(*kind, plots)).collect()
}

fn panel(kind: Kind, plots: &[CurvePlot]) -> Panel {
    let all = &plots[0];
    let script = ScriptData::of(plots).map(|data| {
        let text = serde_json::to_string(&data).expect("numbers and texts are JSON");
        // What might end the script's element is written otherwise.
        text.replace('<', "\\u003c")
    });
    Panel {
        endpoint: kind.endpoint,
        figure: all.figure(),
        note: kind.note().to_owned(),
        at_risk: all.at_risk(),
        risk_widths: all.risk_widths(),
        script: script.unwrap_or_default(),
    }
}

impl Kind {
    fn note(self) -> &'static str {
        match (self.quantity, self.endpoint) {
            (Quantity::Survival, _) => {
                "Kaplan–Meier, known at the end of each month, with 95 % log-log bands of each time."
            }
            (Quantity::Incidence, Endpoint::Local) => {
                "Aalen–Johansen, known at the end of each month, with 95 % log-log bands of each time. \
                 Distant recurrence and death compete."
            }
            (Quantity::Incidence, _) => {
                "Aalen–Johansen, known at the end of each month, with 95 % log-log bands of each time. \
                 Death of other causes competes."
            }
            (Quantity::Hazard, _) => {
                "Events per 100 patient-years at risk, smoothed over a year to either side, with 95 % bands."
            }
        }
    }
}

fn plot(data: &Data<'_>, kind: Kind, tables: &[RiskTable]) -> CurvePlot {
    let (y_label, decimals, reach) = match kind.quantity {
        Quantity::Survival => ("percent", 2, 100.0),
        Quantity::Incidence => ("percent", 2, 0.0),
        Quantity::Hazard => ("events per 100 patient-years", 3, 0.0),
    };
    let curves = data.arms.iter().zip(tables).map(|(arm, table)| Curve {
        label: arm.clone(),
        points: points(data, kind.quantity, table),
        drawn: Drawn::Line,
    });
    CurvePlot {
        name: kind.name.into(),
        title: kind.title.into(),
        x_label: "years from resection".into(),
        y_label: y_label.into(),
        decimals,
        reach: (data.horizon_years(), reach),
        curves: curves.collect(),
        reference: data.control,
        shown: data.shown.clone(),
    }
}

fn points(data: &Data<'_>, quantity: Quantity, table: &RiskTable) -> Vec<Point> {
    match quantity {
        Quantity::Survival => at_ends(data, table, &kaplan_meier(table)),
        Quantity::Incidence => at_ends(data, table, &cumulative_incidence(table, 0)),
        Quantity::Hazard => hazard(data, table),
    }
}

/// A curve at the beginning and at the end of every bin.
fn at_ends(data: &Data<'_>, table: &RiskTable, steps: &Steps) -> Vec<Point> {
    // Censoring at the end of a bin follows after whoever is at risk there is counted.
    let staying = table.rows().map(|row| row.at_risk - row.all_events());
    let at_risk = std::iter::once(table.patients()).chain(staying);
    let values = std::iter::once(&steps.start).chain(&steps.values);
    let rows = data.edges_years.iter().zip(values).zip(at_risk);
    rows.map(|((years, estimate), at_risk)| {
        let (lower, upper) = estimate.log_log_interval(CRITICAL_95);
        Point {
            x: *years,
            value: 100.0 * estimate.value,
            interval: (100.0 * lower, 100.0 * upper),
            at_risk: Some(at_risk),
        }
    })
    .collect()
}

fn hazard(data: &Data<'_>, table: &RiskTable) -> Vec<Point> {
    let end = data.horizon_years();
    let bandwidth = BANDWIDTH_YEARS.min(end / 4.0);
    let places = (0u32..).map(|place| f64::from(place) / HAZARD_POINTS_PER_YEAR);
    let times: Vec<f64> = places.take_while(|years| *years <= end).collect();
    let hazards = smooth_hazard(table, 0, bandwidth, end, &times);
    hazards
        .into_iter()
        .map(|hazard| Point {
            x: hazard.time,
            value: 100.0 * hazard.rate.value,
            interval: (100.0 * hazard.interval.0, 100.0 * hazard.interval.1),
            at_risk: None,
        })
        .collect()
}
