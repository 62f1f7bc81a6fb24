//! Arms against the control: who does better, by how much, and for whom.

use reseed_stats::estimate::{Contrast, contrast, cumulative_incidence};
use reseed_stats::{Endpoint, NumberNeededToTreat};

use super::{Data, Group};
use crate::figures::rows::{Look, Mark, Row, RowPlot};
use crate::figures::{Figure, Table, exact, fixed, with_interval};
use crate::text::{endpoint_in_words, grouped};

/// Most rows that a description goes through.
const ROWS_TOLD: usize = 16;

/// A forest plot and when it is shown.
#[derive(Debug)]
pub(crate) struct Forest {
    pub(crate) endpoint: Endpoint,
    pub(crate) measure: Measure,
    /// Position among the report's times.
    pub(crate) time: usize,
    /// The arm, if the plot is of one arm alone.
    pub(crate) arm: Option<usize>,
    pub(crate) figure: Figure,
}

/// How arms are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Difference,
    Ratio,
}

impl Measure {
    pub(crate) const ALL: [Self; 2] = [Self::Difference, Self::Ratio];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Difference => "difference",
            Self::Ratio => "ratio",
        }
    }
}

/// The primary comparison in words.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) label: String,
    pub(crate) difference: String,
    pub(crate) control: String,
    pub(crate) arm: String,
    pub(crate) number_needed_to_treat: String,
}

/// The primary comparison; none if the trial has no other arm than the control.
pub(super) fn key(data: &Data<'_>) -> Option<Key> {
    let primary = data.input.primary;
    if primary.arm == data.control {
        return None;
    }
    let strata = data.everybody();
    let contrast = contrast(
        data.tally,
        strata,
        primary.arm,
        primary.endpoint,
        data.primary_bin,
    );
    let (arm, control) = (&data.arms[primary.arm], &data.arms[data.control]);
    let percent = |value: f64| format!("{} %", fixed(100.0 * value, 2));
    Some(Key {
        label: format!(
            "{} within {}, {arm} against {control}",
            endpoint_in_words(primary.endpoint.name()),
            data.years_text(data.primary_bin)
        ),
        difference: with_interval(
            100.0 * contrast.difference.value,
            scaled(contrast.difference_interval, 100.0),
            2,
        ),
        control: percent(contrast.control.value),
        arm: percent(contrast.arm.value),
        number_needed_to_treat: needed(contrast.number_needed_to_treat),
    })
}

/// The control, the primary arm, and the arms with the fewest events of the primary endpoint, in
/// the order of the arms.
pub(super) fn arms_shown(data: &Data<'_>, most: usize) -> Vec<usize> {
    let primary = data.input.primary;
    let incidence = |arm| {
        let curve = cumulative_incidence(data.tally, data.everybody(), arm, primary.endpoint);
        curve[data.primary_bin].value
    };
    let mut ranked: Vec<(f64, usize)> = (0..data.arms.len())
        .map(|arm| (incidence(arm), arm))
        .collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    ranked.sort_by_key(|(_, arm)| *arm != data.control && *arm != primary.arm);
    let mut shown: Vec<usize> = ranked.into_iter().map(|(_, arm)| arm).take(most).collect();
    shown.sort_unstable();
    shown
}

/// All arms, for every endpoint, measure and time.
pub(super) fn forests(data: &Data<'_>) -> Vec<Forest> {
    if data.arms.len() < 2 {
        return Vec::new();
    }
    let mut forests = Vec::new();
    for endpoint in Endpoint::ALL {
        for (time, bin) in data.bins.iter().enumerate() {
            let lines: Vec<Line> = treated(data)
                .map(|arm| Line {
                    kind: String::new(),
                    label: data.arms[arm].clone(),
                    contrast: contrast(data.tally, data.everybody(), arm, endpoint, *bin),
                    patients: patients(data, &data.groups[0]),
                })
                .collect();
            for measure in Measure::ALL {
                let name = format!(
                    "forest-{}-{}-{}",
                    endpoint.name(),
                    measure.name(),
                    slug(data, *bin)
                );
                let title = format!(
                    "{} within {}",
                    endpoint_in_words(endpoint.name()),
                    data.years_text(*bin)
                );
                forests.push(Forest {
                    endpoint,
                    measure,
                    time,
                    arm: None,
                    figure: figure(data, name, title, measure, &lines),
                });
            }
        }
    }
    forests
}

/// All groups, for every endpoint and arm, at one time.
pub(super) fn benefits(data: &Data<'_>) -> Vec<Forest> {
    if data.groups.len() < 2 {
        return Vec::new();
    }
    let bin = data.shown_bin();
    let mut forests = Vec::new();
    for endpoint in Endpoint::ALL {
        for arm in treated(data) {
            let lines: Vec<Line> = data
                .groups
                .iter()
                .map(|group| Line {
                    kind: group.kind.clone(),
                    label: group.label.clone(),
                    contrast: contrast(data.tally, &group.strata, arm, endpoint, bin),
                    patients: patients(data, group),
                })
                .collect();
            let name = format!("strata-{}-{}", endpoint.name(), data.arms[arm]);
            let title = format!(
                "{} within {}: {} against {}",
                endpoint_in_words(endpoint.name()),
                data.years_text(bin),
                data.arms[arm],
                data.arms[data.control]
            );
            forests.push(Forest {
                endpoint,
                measure: Measure::Difference,
                time: data.time_shown,
                arm: Some(arm),
                figure: figure(data, name, title, Measure::Difference, &lines),
            });
        }
    }
    forests
}

fn treated<'a>(data: &'a Data<'_>) -> impl Iterator<Item = usize> + 'a {
    (0..data.arms.len()).filter(|arm| *arm != data.control)
}

fn patients(data: &Data<'_>, group: &Group) -> u64 {
    let enrolled = data.tally.enrolled();
    group.strata.iter().map(|stratum| enrolled[*stratum]).sum()
}

/// A time in the name of a file.
fn slug(data: &Data<'_>, bin: usize) -> String {
    data.years_text(bin).replace(' ', "-")
}

/// What a row of a forest plot is about.
struct Line {
    kind: String,
    label: String,
    contrast: Contrast,
    patients: u64,
}

impl Line {
    fn mark(&self, measure: Measure) -> Mark {
        let (value, interval) = match measure {
            Measure::Difference => (
                100.0 * self.contrast.difference.value,
                scaled(self.contrast.difference_interval, 100.0),
            ),
            Measure::Ratio => (self.contrast.ratio, self.contrast.ratio_interval),
        };
        Mark {
            look: Look::Square,
            value,
            interval,
            tooltip: format!("{}: {}", self.label, with_interval(value, interval, 2)),
        }
    }

    fn row(&self, measure: Measure) -> Row {
        let mark = self.mark(measure);
        Row {
            label: self.label.clone(),
            text: with_interval(mark.value, mark.interval, 2),
            marks: vec![mark],
        }
    }

    fn cells(&self) -> [String; 7] {
        let Contrast {
            control,
            arm,
            difference,
            difference_interval,
            ratio,
            ratio_interval,
            ..
        } = self.contrast;
        [
            self.label.clone(),
            grouped(self.patients),
            fixed(100.0 * control.value, 2),
            fixed(100.0 * arm.value, 2),
            with_interval(
                100.0 * difference.value,
                scaled(difference_interval, 100.0),
                2,
            ),
            with_interval(ratio, ratio_interval, 3),
            needed(self.contrast.number_needed_to_treat),
        ]
    }

    fn data(&self) -> [String; 11] {
        let Contrast {
            control,
            arm,
            difference,
            difference_interval,
            ratio,
            ratio_interval,
            ..
        } = self.contrast;
        [
            self.label.clone(),
            self.patients.to_string(),
            exact(control.value),
            exact(arm.value),
            exact(difference.value),
            exact(difference.standard_error),
            exact(difference_interval.0),
            exact(difference_interval.1),
            exact(ratio),
            exact(ratio_interval.0),
            exact(ratio_interval.1),
        ]
    }
}

fn figure(
    data: &Data<'_>,
    name: String,
    title: String,
    measure: Measure,
    lines: &[Line],
) -> Figure {
    let mut table = Table::new(&[
        "",
        "patients",
        "control, percent",
        "arm, percent",
        "difference, points (95 % CI)",
        "ratio (95 % CI)",
        "NNT",
    ]);
    let mut numbers = Table::new(&[
        "label",
        "patients",
        "control",
        "arm",
        "difference",
        "difference_standard_error",
        "difference_lower",
        "difference_upper",
        "ratio",
        "ratio_lower",
        "ratio_upper",
    ]);
    let mut rows = Vec::new();
    let mut kind = "";
    for line in lines {
        if line.kind != kind {
            kind = &line.kind;
            rows.push(Row {
                label: kind.to_owned(),
                text: String::new(),
                marks: Vec::new(),
            });
        }
        rows.push(line.row(measure));
        table.push(line.cells());
        numbers.push(line.data());
    }
    let (x_label, neutral) = match measure {
        Measure::Difference => ("difference, percentage points", 0.0),
        Measure::Ratio => ("risk ratio", 1.0),
    };
    RowPlot {
        name,
        description: format!(
            "{title}, against {}. {}",
            data.arms[data.control],
            told(&rows)
        ),
        title,
        x_label: format!("{x_label}; left is fewer events than the control"),
        neutral,
        rows,
        legend: Vec::new(),
        table,
        data: numbers,
    }
    .figure()
}

/// Rows in words, as long as they are few; the table has them anyway.
fn told(rows: &[Row]) -> String {
    let rows = rows.iter().filter(|row| !row.marks.is_empty());
    let told: Vec<String> = rows
        .map(|row| format!("{}: {}", row.label, row.text))
        .collect();
    if told.len() > ROWS_TOLD {
        return format!("{} rows; the table below has their numbers.", told.len());
    }
    told.join("; ")
}

fn scaled(interval: (f64, f64), factor: f64) -> (f64, f64) {
    (factor * interval.0, factor * interval.1)
}

/// Patients to treat for one event less (benefit) or one more (harm).
fn needed(number: Option<NumberNeededToTreat>) -> String {
    match number.map(|number| number.value) {
        Some(value) if value.is_infinite() => "∞".into(),
        Some(value) if value >= 0.0 => format!("B {}", fixed(value, 0)),
        Some(value) => format!("H {}", fixed(-value, 0)),
        None => "–".into(),
    }
}
