//! A result as figures: one page for people, drawings and tables for papers.

mod contrasts;
mod curves;
mod outcomes;
mod provenance;
mod uncertainty;

use reseed_results::ResultFile;
use reseed_stats::{Endpoint, Tally};
use thiserror::Error;

use crate::figures::{self, Figure};
use crate::validate::{Validated, Validation};
use crate::{YEAR_DAYS, compare, text};
pub(crate) use contrasts::{Forest, Key, Measure};
pub(crate) use curves::Panel;
pub(crate) use provenance::Provenance;
pub use uncertainty::{Findings, PowerCurve, PowerPoint, Ranks, Tornado, TornadoBar};

/// Groups of patients times arms that a page has room for. With 12 arms that is 30 groups, which
/// take about 3 MB.
const GROUP_ARMS_MAX: usize = 360;

/// Arms that are shown until a reader chooses.
const ARMS_SHOWN: usize = 5;

/// A result and what its trial says about it.
#[derive(Debug, Clone)]
pub struct ReportInput<'a> {
    /// The result.
    pub file: &'a ResultFile,
    /// Name of the result file, for commands.
    pub file_name: &'a str,
    /// Name of the trial.
    pub trial: &'a str,
    /// One line about it; may be empty.
    pub title: &'a str,
    /// The trial file.
    pub trial_toml: &'a str,
    /// Classes of patients to look at apart.
    pub groups: &'a [Group],
    /// When to compare, days from resection.
    pub times_days: &'a [f64],
    /// The comparison that matters most.
    pub primary: PrimaryComparison,
    /// The control beside what was seen in patients.
    pub validation: &'a Validation,
    /// What was found about parameters and virtual trials.
    pub findings: &'a Findings,
}

/// Patients that belong together: strata of the tally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What groups of this kind tell apart, such as `nodes`; neighbours share a heading.
    pub kind: String,
    /// Label.
    pub label: String,
    /// Positions of the strata.
    pub strata: Vec<usize>,
}

impl Group {
    /// Whether a cohort means these patients; it calls all of them `all`.
    pub(crate) fn is_called(&self, stratum: &str) -> bool {
        self.label == stratum || (self.kind.is_empty() && stratum == "all")
    }
}

/// The comparison that matters most, against the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrimaryComparison {
    /// Position of the arm; the control's own if there is no other.
    pub arm: usize,
    /// What is compared.
    pub endpoint: Endpoint,
    /// When, days from resection.
    pub day: f64,
}

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ReportError {
    /// A time outside follow-up.
    #[error(
        "cannot compare at {years} years: follow-up ends at {horizon_years} years; choose times above 0 \
         and up to that"
    )]
    Time {
        /// The time asked for.
        years: f64,
        /// The end of follow-up.
        horizon_years: f64,
    },
    /// Nobody to report on.
    #[error(
        "none of the {0} patients screened was enrolled, so there is nothing to report; screen more \
         or widen the trial's eligibility"
    )]
    Nobody(u64),
}

/// All figures of a report, and what else its page says.
#[derive(Debug)]
pub struct Report {
    pub(crate) trial: String,
    pub(crate) title: String,
    pub(crate) arms: Vec<String>,
    pub(crate) control: usize,
    pub(crate) shown: Vec<usize>,
    /// All patients first.
    pub(crate) groups: Vec<Group>,
    /// Groups that there is no room for.
    pub(crate) groups_left_out: usize,
    pub(crate) enrolled: u64,
    pub(crate) key: Option<Key>,
    pub(crate) flow: Figure,
    pub(crate) panels: Vec<Panel>,
    pub(crate) times: Vec<String>,
    pub(crate) time_shown: usize,
    /// Where curves are read until a reader chooses.
    pub(crate) reading_years: f64,
    pub(crate) forests: Vec<Forest>,
    pub(crate) benefits: Vec<Forest>,
    /// The arm whose benefits are shown until a reader chooses.
    pub(crate) benefit_shown: usize,
    pub(crate) causes: Vec<Figure>,
    pub(crate) uncertainty: Vec<Figure>,
    pub(crate) power: Option<Figure>,
    /// Name of the cohort whose published quantities stand beside the control's.
    pub(crate) cohort: Option<String>,
    pub(crate) calibration: Vec<Figure>,
    /// Points that bands go over.
    pub(crate) points: Option<u64>,
    pub(crate) validation: Option<Validated>,
    pub(crate) provenance: Provenance,
}

impl Report {
    /// Estimates and draws everything.
    ///
    /// # Errors
    /// [`ReportError`] if a time lies outside follow-up or nobody was enrolled.
    pub fn of(input: &ReportInput<'_>) -> Result<Self, ReportError> {
        let data = Data::of(input)?;
        let layout = &input.file.layout;
        let findings = input.findings;
        Ok(Self {
            trial: input.trial.to_owned(),
            title: input.title.to_owned(),
            arms: layout.arms.clone(),
            control: data.control,
            shown: data.shown.clone(),
            enrolled: data.tally.enrolled().iter().sum(),
            key: contrasts::key(&data),
            flow: outcomes::flow(&data),
            panels: curves::panels(&data),
            times: data.bins.iter().map(|bin| data.years_text(*bin)).collect(),
            time_shown: data.time_shown,
            reading_years: data.years(data.shown_bin()),
            forests: contrasts::forests(&data),
            benefits: contrasts::benefits(&data),
            benefit_shown: input.primary.arm,
            causes: outcomes::causes(&data),
            uncertainty: findings.uncertainty(),
            power: uncertainty::power(
                &findings.power,
                &layout.arms[data.control],
                &data
                    .shown
                    .iter()
                    .map(|arm| &layout.arms[*arm])
                    .collect::<Vec<_>>(),
            ),
            cohort: (input.validation.targets.as_ref()).map(|targets| targets.name.clone()),
            calibration: input.validation.target_figures(),
            points: input.validation.points,
            validation: input.validation.cohort_section(),
            provenance: Provenance::of(input),
            groups_left_out: data.groups_left_out,
            groups: data.groups,
        })
    }

    /// Names, titles and descriptions of all figures as a CSV file.
    pub fn list_csv(&self) -> String {
        figures::list_csv(self.figures())
    }

    /// Every figure, each once.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        let panels = self.panels.iter().map(|panel| &panel.figure);
        let forests = self.forests.iter().chain(&self.benefits);
        let validated = self.validation.iter();
        std::iter::once(&self.flow)
            .chain(panels)
            .chain(forests.map(|forest| &forest.figure))
            .chain(&self.causes)
            .chain(&self.uncertainty)
            .chain(&self.power)
            .chain(&self.calibration)
            .chain(validated.flat_map(|validated| &validated.figures))
    }
}

/// What all sections are made from.
struct Data<'a> {
    input: &'a ReportInput<'a>,
    tally: &'a Tally,
    arms: &'a [String],
    control: usize,
    shown: Vec<usize>,
    /// All patients first.
    groups: Vec<Group>,
    groups_left_out: usize,
    edges_years: Vec<f64>,
    /// Bins at whose ends arms are compared, in order.
    bins: Vec<usize>,
    /// Which of them is shown until a reader chooses.
    time_shown: usize,
    /// The bin of the primary comparison.
    primary_bin: usize,
}

impl<'a> Data<'a> {
    fn of(input: &'a ReportInput<'a>) -> Result<Self, ReportError> {
        let layout = &input.file.layout;
        let tally = &input.file.tally;
        if tally.enrolled().iter().sum::<u64>() == 0 {
            return Err(ReportError::Nobody(tally.screened()));
        }
        let edges_years: Vec<f64> = layout
            .edges_days
            .iter()
            .map(|day| day / YEAR_DAYS)
            .collect();
        let primary_bin = bin_at(&edges_years, input.primary.day / YEAR_DAYS)?;
        let times = input
            .times_days
            .iter()
            .map(|day| bin_at(&edges_years, day / YEAR_DAYS));
        let mut bins = times.collect::<Result<Vec<usize>, ReportError>>()?;
        bins.sort_unstable();
        bins.dedup();
        let primary_time = bins.iter().position(|bin| *bin == primary_bin);
        let shape = tally.shape();
        let (groups, groups_left_out) = groups(input.groups, shape.strata, shape.arms);
        let mut data = Self {
            input,
            tally,
            arms: &layout.arms,
            control: shape.control,
            shown: Vec::new(),
            groups,
            groups_left_out,
            edges_years,
            time_shown: primary_time.unwrap_or(bins.len().saturating_sub(1)),
            bins,
            primary_bin,
        };
        data.shown = contrasts::arms_shown(&data, ARMS_SHOWN);
        Ok(data)
    }

    /// Strata of all patients.
    fn everybody(&self) -> &[usize] {
        &self.groups[0].strata
    }

    fn years(&self, bin: usize) -> f64 {
        self.edges_years[bin + 1]
    }

    fn years_text(&self, bin: usize) -> String {
        text::years(self.years(bin))
    }

    fn horizon_years(&self) -> f64 {
        self.edges_years[self.edges_years.len() - 1]
    }

    /// The bin of the time at which sections with one time are drawn.
    fn shown_bin(&self) -> usize {
        self.bins
            .get(self.time_shown)
            .copied()
            .unwrap_or(self.primary_bin)
    }
}

/// The bin that ends nearest to a time within follow-up.
fn bin_at(edges_years: &[f64], years: f64) -> Result<usize, ReportError> {
    compare::bin_at(edges_years, years).ok_or(ReportError::Time {
        years,
        horizon_years: edges_years.last().copied().unwrap_or(0.0),
    })
}

/// All patients, then as many groups as there is room for, and how many are left out.
fn groups(given: &[Group], strata: usize, arms: usize) -> (Vec<Group>, usize) {
    let all = Group {
        kind: String::new(),
        label: "all patients".into(),
        strata: (0..strata).collect(),
    };
    let room = (GROUP_ARMS_MAX / arms).saturating_sub(1).min(given.len());
    let mut groups = vec![all];
    groups.extend(given[..room].iter().cloned());
    (groups, given.len() - room)
}
