//! Validations as text.

use std::fmt::Write as _;

use reseed_stats::distribution::CRITICAL_95;

use super::{
    ClosestPoint, ValidatedCohort, ValidatedGroup, ValidatedTarget, ValidatedTargets,
    ValidatedTime, Validation,
};
use crate::figures::Table;
use crate::text::{
    NOTHING, endpoint_in_words, first_line, fixed, grouped, laid_out, lay_out, range, years,
};

/// What the measures of predictions for patients mean.
pub(super) const NOTES: &str = "\
predicted      cumulative incidence in percent that the virtual patients of each
               patient's stratum have, the mean over the patients
observed       cumulative incidence in percent (Aalen–Johansen)
C              share of comparable pairs of patients in which the one with the higher
               prediction has the event first; ties are half; 0.5 is chance. Harrell's
               counts all pairs alike, Uno's so that it does not depend on how long
               patients were followed
Brier          mean squared error, and averaged from 0 to the time; scaled: 1 is perfect,
               0 is no better than the cohort's own incidence for everybody
O/E            observed events over those expected while patients were followed
slope          1 if risks differ as predicted, below 1 if they differ less
intercept      logarithm of O/E at the mean prediction, beside the slope
";

const NOTE_OF_TARGETS: &str = "\
inside         whether the model's value lies in the cohort's 95 % interval
";

const NOTE_OF_PEAKS: &str = "\
peak           when the hazard is highest, smoothed by Epanechnikov's kernel over 0.75 years
               to either side, at the start by a boundary kernel
";

const NOTE_OF_POINTS: &str = "\
median, 95 %   over the points of the uncertain parameters, without the chance of each
               point's patients, which is noise's share of the variance over the points
";

/// A measure's name and what it is by a time.
type Measure = (&'static str, fn(&ValidatedTime) -> String);

/// Only of use with points.
const MEASURES_OF_POINTS: [Measure; 2] = [
    ("  median over points", |time| {
        fixed(time.predicted_median, 100.0, 1)
    }),
    ("  95 % of points", |time| {
        range(time.predicted_lower, time.predicted_upper, 100.0, 1)
    }),
];

const MEASURES: [Measure; 15] = [
    ("predicted", |time| fixed(time.predicted, 100.0, 1)),
    ("observed", |time| fixed(time.observed, 100.0, 1)),
    ("  95 % CI", |time| {
        range(time.observed_lower, time.observed_upper, 100.0, 1)
    }),
    ("observed/predicted", |time| {
        fixed(time.observed_to_predicted, 1.0, 2)
    }),
    ("  95 % CI", |time| {
        let (lower, upper) = (
            time.observed_to_predicted_lower,
            time.observed_to_predicted_upper,
        );
        range(lower, upper, 1.0, 2)
    }),
    ("Harrell's C (SE)", |time| {
        with_error(time.harrell, time.harrell_standard_error)
    }),
    ("Uno's C (SE)", |time| {
        with_error(time.uno, time.uno_standard_error)
    }),
    ("tied pairs, %", |time| fixed(time.tied, 100.0, 1)),
    ("Brier", |time| fixed(time.brier, 1.0, 4)),
    ("Brier, scaled", |time| fixed(time.brier_scaled, 1.0, 3)),
    ("integrated Brier", |time| {
        fixed(time.integrated_brier, 1.0, 4)
    }),
    ("integrated Brier, scaled", |time| {
        fixed(time.integrated_brier_scaled, 1.0, 3)
    }),
    ("O/E (95 % CI)", |time| {
        let (lower, upper) = (
            time.observed_to_expected_lower,
            time.observed_to_expected_upper,
        );
        let interval = range(lower, upper, 1.0, 2);
        format!("{} ({interval})", fixed(time.observed_to_expected, 1.0, 2))
    }),
    ("slope (95 % CI)", |time| {
        with_interval(time.slope, time.slope_standard_error)
    }),
    ("intercept (95 % CI)", |time| {
        with_interval(time.intercept, time.intercept_standard_error)
    }),
];

fn with_error(value: Option<f64>, error: Option<f64>) -> String {
    if value.is_none() {
        return NOTHING.to_owned();
    }
    format!("{} ({})", fixed(value, 1.0, 3), fixed(error, 1.0, 3))
}

fn with_interval(value: Option<f64>, error: Option<f64>) -> String {
    let (Some(value), Some(error)) = (value, error) else {
        return NOTHING.to_owned();
    };
    let distance = CRITICAL_95 * error;
    let interval = range(Some(value - distance), Some(value + distance), 1.0, 2);
    format!("{} ({interval})", fixed(Some(value), 1.0, 2))
}

impl Validation {
    /// Tables for people.
    pub fn to_text(&self) -> String {
        let mut text = first_line(&self.trial, &self.title);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<10} {}", "seed", self.seed);
        let _ = writeln!(text, "{:<10} {}", "digest", self.digest);
        let _ = writeln!(text, "{:<10} {}", "arm", self.arm);
        if let Some(points) = self.points {
            let _ = writeln!(text, "{:<10} {}", "points", grouped(points));
        }
        if let Some(cohort) = &self.cohort {
            text.push_str(&cohort.to_text());
        }
        if let Some(targets) = &self.targets {
            text.push_str(&targets.to_text());
        }
        text
    }
}

impl ValidatedCohort {
    fn to_text(&self) -> String {
        let mut text = format!("{:<10} {}\n", "cohort", self.about());
        let endpoint = endpoint_in_words(self.endpoint);
        let _ = writeln!(
            text,
            "\n{endpoint}, predicted and observed\n{}",
            laid_out(&self.measures())
        );
        for groups in self.tables() {
            let header = GROUP_COLUMNS.map(str::to_owned).into();
            let table = lay_out("group", header, groups.iter().map(group_cells));
            let heading = heading(endpoint, &groups[0]);
            let _ = writeln!(text, "\n{heading}\n{}", table.trim_fmt());
        }
        let _ = write!(text, "\n{NOTES}");
        text
    }

    /// Who the patients are.
    pub(super) fn about(&self) -> String {
        let competing = if self.competing > 0 {
            format!(", {} with a competing one", grouped(self.competing))
        } else {
            String::new()
        };
        format!(
            "{}: {} patients, {} with the event{competing}; followed {} (median)",
            self.name,
            grouped(self.patients),
            grouped(self.events),
            self.followed_years_median.map_or(NOTHING.to_owned(), years)
        )
    }

    /// Groups that belong in one table.
    pub(super) fn tables(&self) -> impl Iterator<Item = &[ValidatedGroup]> {
        self.groups.chunk_by(same_table)
    }

    /// Every measure, with a column for each time.
    pub(crate) fn measures(&self) -> Table {
        let row = |(name, cells)| std::iter::once(name).chain(cells).collect();
        Table {
            columns: std::iter::once(String::new())
                .chain(self.measured_by())
                .collect(),
            rows: self.measured().map(row).collect(),
        }
    }

    /// The times by which everything is measured.
    fn measured_by(&self) -> Vec<String> {
        let times = self.times.iter();
        times
            .map(|time| format!("within {}", years(time.time_years)))
            .collect()
    }

    /// Names of the measures, and what each is by each time.
    fn measured(&self) -> impl Iterator<Item = (String, Vec<String>)> {
        let has_points = self
            .times
            .iter()
            .any(|time| time.predicted_median.is_some());
        let of_points = if has_points {
            &MEASURES_OF_POINTS[..]
        } else {
            &[]
        };
        let (predicted, others) = MEASURES.split_at(1);
        let all = predicted.iter().chain(of_points).chain(others);
        all.map(|(name, of)| ((*name).to_owned(), self.times.iter().map(of).collect()))
    }
}

fn same_table(a: &ValidatedGroup, b: &ValidatedGroup) -> bool {
    a.grouping == b.grouping && a.time_days.total_cmp(&b.time_days).is_eq()
}

pub(super) fn heading(endpoint: &str, group: &ValidatedGroup) -> String {
    let what = if group.grouping == "risk" {
        "groups by predicted risk, the lowest first"
    } else {
        "strata"
    };
    format!("{endpoint} within {}, {what}", years(group.time_years))
}

/// What is told of a group.
pub(super) const GROUP_COLUMNS: [&str; 4] = ["patients", "predicted", "observed", "95 % CI"];

/// A group's label, and what is told of it.
pub(super) fn group_cells(group: &ValidatedGroup) -> (String, Vec<String>) {
    let cells = vec![
        grouped(group.patients),
        fixed(group.predicted, 100.0, 1),
        fixed(group.observed, 100.0, 1),
        range(group.observed_lower, group.observed_upper, 100.0, 1),
    ];
    (group.group.clone(), cells)
}

impl ValidatedTargets {
    fn to_text(&self) -> String {
        let mut text = format!(
            "\n{}: the model is inside {} of {} intervals ({} %)\n",
            self.name,
            self.inside,
            self.compared,
            fixed(self.inside_share, 100.0, 0)
        );
        let (incidences, peaks): (Vec<&ValidatedTarget>, Vec<&ValidatedTarget>) =
            self.rows.iter().partition(|row| row.time_years.is_some());
        let has_points = self.rows.iter().any(|row| row.median.is_some());
        if !incidences.is_empty() {
            let table = table("first event", &incidences, has_points, 100.0, 1);
            let _ = writeln!(text, "{table}");
        }
        if !peaks.is_empty() {
            let heading = "peak of the hazard, years";
            let table = table(heading, &peaks, has_points, 1.0, 2);
            let _ = writeln!(text, "\n{table}");
        }
        if !self.left_out.is_empty() {
            let _ = writeln!(
                text,
                "not compared, because the result has no such stratum, time or events: {}",
                self.left_out.join("; ")
            );
        }
        let _ = write!(text, "\n{NOTE_OF_TARGETS}");
        if !peaks.is_empty() {
            text.push_str(NOTE_OF_PEAKS);
        }
        if has_points {
            text.push_str(NOTE_OF_POINTS);
        }
        if let Some(ClosestPoint { point, inside, .. }) = self.closest_points.first() {
            let compared = self.rows.iter().filter(|row| row.median.is_some()).count();
            let _ = writeln!(
                text,
                "closest        point {point} by itself is inside {inside} of {compared}, the most of all;\n               \
                 its trial is printed by `reseed trial show TRIAL --point {point}`"
            );
        }
        text
    }
}

/// Published quantities of one unit.
fn table(
    first: &str,
    rows: &[&ValidatedTarget],
    has_points: bool,
    scale: f64,
    decimals: usize,
) -> String {
    let has_times = rows.iter().any(|row| row.time_years.is_some());
    let over_points = ["median", "95 %", "noise, %"];
    let columns = (has_times.then_some("years").into_iter())
        .chain(["model"])
        .chain(has_points.then_some(over_points).into_iter().flatten())
        .chain(["cohort", "95 % CI", "inside"]);
    let cells = |row: &&ValidatedTarget| {
        let share = |value| fixed(value, scale, decimals);
        let limits = |lower, upper| range(lower, upper, scale, decimals);
        let time = row.time_years.map(|time| time.to_string());
        let over_points = has_points.then(|| {
            [
                share(row.median),
                limits(row.median_lower, row.median_upper),
                fixed(row.noise_share, 100.0, 0),
            ]
        });
        let cells = (time.into_iter())
            .chain([share(row.model)])
            .chain(over_points.into_iter().flatten())
            .chain([
                share(Some(row.observed)),
                limits(Some(row.observed_lower), Some(row.observed_upper)),
                if row.inside { "yes" } else { "no" }.to_owned(),
            ]);
        (format!("{}, {}", row.event, row.stratum), cells.collect())
    };
    let header = columns.map(str::to_owned).collect();
    lay_out(first, header, rows.iter().map(cells)).trim_fmt()
}
