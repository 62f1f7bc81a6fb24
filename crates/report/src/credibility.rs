//! What a review of a model's credibility asks for (ASME V&V 40), from a result and what else there
//! is, as one document. [`Credibility`] serialises to the public JSON of `reseed credibility
//! --json`: field names are stable.
//!
//! Every section has checks. A check says what it asks, by which rule it is decided, what was
//! found, and the command that shows the same.

mod applicability;
mod context;
mod page;
mod purpose;
mod settings;
mod sources;
mod text;
mod uncertainty;
mod validation;
mod verification;

use reseed_results::{Layout, RunIdentity};
use reseed_stats::Tally;
use serde::Serialize;
use thiserror::Error;

use crate::calibrated::Calibrated;
use crate::compare::{CompareError, CompareInput, ComparedArm, Comparison, compare};
use crate::figures::{Figure, Table};
use crate::rank::Ranked;
use crate::report::PrimaryComparison;
use crate::text::{endpoint_in_words, years};
use crate::validate::Validation;
pub use context::{Acceptance, Context, ContextError, Level, ModelRisk};
use settings::Settings;
pub use sources::{SOURCE_TESTS, SourceTest};

/// A result, and all that speaks for or against relying on it.
pub struct CredibilityInput<'a> {
    /// Name of the trial.
    pub trial: &'a str,
    /// One line about it; may be empty.
    pub title: &'a str,
    /// Name of the result file, for commands.
    pub file_name: &'a str,
    /// What run it is.
    pub identity: &'a RunIdentity,
    /// Labels of the axes.
    pub layout: &'a Layout,
    /// The counts.
    pub tally: &'a Tally,
    /// Digest of the result, in hexadecimal.
    pub digest: &'a str,
    /// The comparison that matters most.
    pub primary: PrimaryComparison,
    /// What this program is: names and values.
    pub software: &'a [(&'static str, String)],
    /// What computing part of the run again gave.
    pub recomputed: &'a Recomputed,
    /// What only users can say.
    pub context: Option<&'a Context>,
    /// The result against cohorts.
    pub validation: Option<&'a Validation>,
    /// What a calibration of the parameters found.
    pub calibration: Option<Calibration<'a>>,
    /// How arms rank over what is not known.
    pub ranking: Option<Ranking<'a>>,
}

/// A calibration of parameters.
#[derive(Debug, Clone, Copy)]
pub struct Calibration<'a> {
    /// Name of its file.
    pub file_name: &'a str,
    /// What it found.
    pub found: &'a Calibrated,
    /// The trial that was calibrated (TOML).
    pub trial_toml: &'a str,
}

/// A ranking over what is not known.
#[derive(Debug, Clone, Copy)]
pub struct Ranking<'a> {
    /// Name of the result file.
    pub file_name: &'a str,
    /// How arms rank.
    pub ranked: &'a Ranked,
}

/// What computing some shards of the run again gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Recomputed {
    /// All of them have the digests that the file records.
    Agrees {
        /// Shards computed again.
        shards: usize,
        /// Shards of the run.
        of_shards: usize,
        /// Patients in them.
        patients: u64,
        /// Fraction of the patients that was asked for.
        fraction: f64,
    },
    /// One has not: which.
    Differs(String),
    /// This program cannot compute the run: why.
    Impossible(String),
}

/// Why there is no document.
#[derive(Debug, Error)]
pub enum CredibilityError {
    /// The arms cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// A trial that is no TOML.
    #[error("the trial in {file} cannot be read: {problem}")]
    Trial {
        /// The file that it is in.
        file: String,
        /// What is wrong.
        problem: toml::de::Error,
    },
}

/// What speaks for and against relying on a result.
#[derive(Debug, Clone, Serialize)]
pub struct Credibility {
    /// Name of the trial.
    pub trial: String,
    /// One line about it.
    pub title: String,
    /// Seed of the run.
    pub seed: u64,
    /// Digest of the result, in hexadecimal.
    pub digest: String,
    /// Risk of relying on the model: `low`, `medium` or `high`; `null` if it was not stated.
    pub model_risk: Option<Level>,
    /// The eight sections, in the order of the standard.
    pub sections: Vec<CredibilitySection>,
    /// The primary comparison's endpoint in all arms, as of `reseed compare`.
    pub comparison: Comparison,
    /// The result against cohorts, as of `reseed validate`; `null` if none were given.
    pub validation: Option<Validation>,
    /// What the calibration found, as of `reseed calibrate`; `null` if none was given.
    pub calibration: Option<Calibrated>,
    /// How arms rank, as of `reseed rank`; `null` if there is no ranking.
    pub ranking: Option<Ranked>,
}

/// A section of the standard.
#[derive(Debug, Clone, Serialize)]
pub struct CredibilitySection {
    /// Its name, such as `code_verification`.
    pub name: &'static str,
    /// The same for people.
    pub title: &'static str,
    /// What it asks.
    pub asked: &'static str,
    /// The least favourable verdict of its checks.
    pub verdict: Verdict,
    /// What was checked.
    pub checks: Vec<CredibilityCheck>,
    /// What a reader must know beside the checks.
    pub notes: Vec<String>,
    /// The evidence.
    pub tables: Vec<CredibilityTable>,
    #[serde(skip)]
    figures: Vec<Figure>,
}

/// Something that was checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CredibilityCheck {
    /// What it asks.
    pub asked: String,
    /// The answer: `met`, `not_met`, `not_shown`, `stated` or `not_stated`.
    pub verdict: Verdict,
    /// How it is decided.
    pub rule: String,
    /// What was found.
    pub found: String,
    /// The command that shows the same.
    pub command: String,
}

/// Evidence as a table of texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CredibilityTable {
    /// What it shows.
    pub title: String,
    /// Heads of the columns.
    pub columns: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<String>>,
}

impl CredibilityTable {
    fn new(title: impl Into<String>, table: Table) -> Self {
        let Table { columns, rows } = table;
        Self {
            title: title.into(),
            columns,
            rows,
        }
    }
}

/// The answer to a check, from the most favourable to the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Users said so; nothing is checked.
    Stated,
    /// The rule is kept.
    Met,
    /// Only users can say it, and they did not.
    NotStated,
    /// There is nothing that could show it.
    NotShown,
    /// The rule is not kept.
    NotMet,
}

impl Verdict {
    /// The same for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Met => "met",
            Self::NotStated => "not stated",
            Self::NotShown => "not shown",
            Self::NotMet => "not met",
        }
    }

    const fn of(is_met: bool) -> Self {
        if is_met { Self::Met } else { Self::NotMet }
    }

    /// What is known to be met or not; else not shown.
    fn known(is_met: Option<bool>) -> Self {
        is_met.map_or(Self::NotShown, Self::of)
    }
}

impl CredibilitySection {
    fn new(
        name: &'static str,
        title: &'static str,
        asked: &'static str,
        checks: Vec<CredibilityCheck>,
    ) -> Self {
        let verdicts = checks.iter().map(|check| check.verdict);
        Self {
            name,
            title,
            asked,
            verdict: verdicts.max().unwrap_or(Verdict::NotShown),
            checks,
            notes: Vec::new(),
            tables: Vec::new(),
            figures: Vec::new(),
        }
    }
}

/// Puts the document together.
///
/// # Errors
/// [`CredibilityError`] if the arms cannot be compared, or a trial cannot be read.
pub fn credibility(input: &CredibilityInput<'_>) -> Result<Credibility, CredibilityError> {
    let evidence = Evidence::of(input)?;
    let calibration = input.calibration.map(|calibration| calibration.found);
    Ok(Credibility {
        trial: input.trial.to_owned(),
        title: input.title.to_owned(),
        seed: input.identity.seed,
        digest: input.digest.to_owned(),
        model_risk: evidence.context.model_risk.risk(),
        sections: vec![
            purpose::question(&evidence),
            purpose::context_of_use(&evidence),
            purpose::model_risk(&evidence),
            verification::code(&evidence),
            verification::calculation(&evidence),
            validation::section(&evidence),
            applicability::section(&evidence),
            uncertainty::section(&evidence),
        ],
        comparison: evidence.comparison,
        validation: input.validation.cloned(),
        calibration: calibration.cloned(),
        ranking: input.ranking.map(|ranking| ranking.ranked.clone()),
    })
}

/// What all sections are made from.
struct Evidence<'a> {
    input: &'a CredibilityInput<'a>,
    /// An empty one if none was given.
    context: Context,
    comparison: Comparison,
    settings: Settings,
    /// Of the trial that was calibrated.
    calibrated_settings: Option<Settings>,
}

impl<'a> Evidence<'a> {
    fn of(input: &'a CredibilityInput<'a>) -> Result<Self, CredibilityError> {
        let layout = input.layout;
        let comparison = compare(&CompareInput {
            trial: input.trial,
            title: input.title,
            seed: input.identity.seed,
            digest: input.digest,
            tally: input.tally,
            arms: &layout.arms,
            strata: &layout.strata,
            exclusions: &layout.exclusions,
            edges_days: &layout.edges_days,
            times_days: &[input.primary.day],
            endpoints: &[input.primary.endpoint],
            by_stratum: false,
            hazards: false,
        })?;
        let calibrated = input.calibration.map(|calibration| {
            Settings::parse(calibration.trial_toml).map_err(|problem| CredibilityError::Trial {
                file: calibration.file_name.to_owned(),
                problem,
            })
        });
        Ok(Self {
            input,
            context: input.context.cloned().unwrap_or_default(),
            comparison,
            settings: Settings::parse(&input.identity.trial_toml).map_err(|problem| {
                CredibilityError::Trial {
                    file: input.file_name.to_owned(),
                    problem,
                }
            })?,
            calibrated_settings: calibrated.transpose()?,
        })
    }

    fn control(&self) -> &str {
        &self.comparison.control
    }

    /// The row of the primary comparison; none in a trial of the control alone.
    fn primary(&self) -> Option<&ComparedArm> {
        let arm = &self.input.layout.arms[self.input.primary.arm];
        let mut rows = self.comparison.rows.iter();
        rows.find(|row| row.arm == *arm && row.arm != self.comparison.control)
    }

    /// The endpoint and the time of the primary comparison.
    fn outcome(&self) -> String {
        let endpoint = endpoint_in_words(self.input.primary.endpoint.name());
        format!("{endpoint} within {}", years(self.primary_years()))
    }

    /// The options of a command that shows the primary comparison.
    fn outcome_options(&self) -> String {
        let endpoint = self.input.primary.endpoint.name();
        format!("--endpoint {endpoint} --years {}", self.primary_years())
    }

    fn primary_years(&self) -> f64 {
        self.input.primary.day / crate::YEAR_DAYS
    }

    /// Name of the file of the calibration, or a placeholder.
    fn posterior_name(&self) -> &'a str {
        let calibration = self.input.calibration;
        calibration.map_or("POSTERIOR.h5", |calibration| calibration.file_name)
    }

    /// The command that takes in what only users can say.
    fn context_command(&self) -> String {
        self.command("credibility", "--context CONTEXT.toml")
    }

    /// The command that sets the run beside a calibration.
    fn posterior_command(&self) -> String {
        let options = format!("--posterior {}", self.posterior_name());
        self.command("credibility", &options)
    }

    /// `reseed NAME RESULT` and options.
    fn command(&self, name: &str, options: &str) -> String {
        let line = format!("reseed {name} {} {options}", self.input.file_name);
        line.trim_end().to_owned()
    }
}
