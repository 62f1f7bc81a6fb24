//! Who took part and what became of them.

use reseed_stats::Cause;
use reseed_stats::estimate::cause_incidence;

use super::Data;
use crate::figures::Figure;
use crate::figures::causes::StackPlot;
use crate::figures::flow::Flow;

/// Names of the parts of a bar: the causes that are events, and none of them.
const PARTS: [&str; 5] = [
    "local, from a residual focus",
    "local, reseeded",
    "distant",
    "death",
    "no event",
];

/// The flow of patients.
pub(super) fn flow(data: &Data<'_>) -> Figure {
    let tally = data.tally;
    let reasons = data.input.file.layout.exclusions.iter().cloned();
    let excluded = reasons.zip(tally.excluded().iter().copied());
    let count = |arm: usize, cause: Cause| -> u64 {
        let strata = data.everybody().iter();
        strata
            .map(|stratum| tally.first_event(*stratum, arm, cause).iter().sum::<u64>())
            .sum()
    };
    let arms = data.arms.iter().enumerate().map(|(arm, name)| {
        let local = count(arm, Cause::LocalResidual) + count(arm, Cause::LocalReseeded);
        let others = [Cause::Distant, Cause::OtherDeath, Cause::Censored];
        let [distant, death, none] = others.map(|cause| count(arm, cause));
        (name.clone(), [local, distant, death, none])
    });
    Flow {
        screened: tally.screened(),
        excluded: excluded.filter(|(_, patients)| *patients > 0).collect(),
        enrolled: tally.enrolled().iter().sum(),
        years: data.horizon_years(),
        arms: arms.collect(),
    }
    .figure()
}

/// First events by their causes: in every arm, and in every class of patients of the control.
pub(super) fn causes(data: &Data<'_>) -> Vec<Figure> {
    let bin = data.shown_bin();
    let within = format!("First events within {}", data.years_text(bin));
    let arms = data.arms.iter().enumerate().map(|(arm, name)| {
        let parts = parts(data, data.everybody(), arm, bin);
        (name.clone(), parts)
    });
    let mut figures = vec![stack(
        "causes",
        format!("{within}, all patients"),
        arms.collect(),
    )];
    if data.groups.len() > 1 {
        let groups = data.groups.iter().map(|group| {
            let parts = parts(data, &group.strata, data.control, bin);
            (group.label.clone(), parts)
        });
        let title = format!("{within}, {}", data.arms[data.control]);
        figures.push(stack("causes-by-stratum", title, groups.collect()));
    }
    figures
}

/// Percent of the patients by the cause of their first event, and of those without one.
fn parts(data: &Data<'_>, strata: &[usize], arm: usize, bin: usize) -> Vec<f64> {
    let incidence = |cause| {
        let curve = cause_incidence(data.tally, strata, arm, cause);
        100.0 * curve[bin].value
    };
    let mut parts: Vec<f64> = Cause::EVENTS.map(incidence).into();
    parts.push(100.0 - parts.iter().sum::<f64>());
    parts
}

fn stack(name: &str, title: String, bars: Vec<(String, Vec<f64>)>) -> Figure {
    let told = bars.iter().map(|(label, parts)| {
        let parts: Vec<String> = parts.iter().map(|part| format!("{part:.1}")).collect();
        format!("{label} {}", parts.join(", "))
    });
    let told: Vec<String> = told.collect();
    StackPlot {
        name: name.into(),
        description: format!(
            "Percent of patients: {}. {}.",
            PARTS.join(", "),
            told.join("; ")
        ),
        title,
        parts: PARTS.map(str::to_owned).into(),
        bars,
    }
    .figure()
}
