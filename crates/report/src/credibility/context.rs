//! What only those can say who use a model: what it is asked, what for, how much depends on it, and
//! how close is close enough.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a context file says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The question that the model helps to answer.
    pub question: Option<String>,
    /// What the model does for the answer, and what else is looked at.
    pub context_of_use: Option<String>,
    /// Whom the answer is about.
    pub population: Option<String>,
    /// Whether the cohorts of the validation had no part in choosing the model's parameters.
    pub cohorts_independent: Option<bool>,
    /// How much depends on the model.
    #[serde(default)]
    pub model_risk: ModelRisk,
    /// How close is close enough.
    #[serde(default)]
    pub acceptance: Acceptance,
}

/// What makes the risk of relying on a model.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRisk {
    /// Weight of the model among all that the decision rests on.
    pub influence: Option<Level>,
    /// Why that.
    pub influence_because: Option<String>,
    /// How bad a wrong decision would be.
    pub consequence: Option<Level>,
    /// Why that.
    pub consequence_because: Option<String>,
}

impl ModelRisk {
    /// The risk, if both of its sides are stated.
    pub fn risk(&self) -> Option<Level> {
        Some(Level::risk(self.influence?, self.consequence?))
    }
}

/// A step of three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The lowest.
    Low,
    /// Between the two.
    Medium,
    /// The highest.
    High,
}

impl Level {
    /// All of them, from the lowest.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// Name in files and for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// Risk of relying on a model of this influence on a decision of this consequence: the diagonals
    /// of the matrix, so that neither side weighs more.
    pub const fn risk(influence: Self, consequence: Self) -> Self {
        match influence as usize + consequence as usize {
            0 | 1 => Self::Low,
            2 => Self::Medium,
            _ => Self::High,
        }
    }
}

/// How close is close enough. What a file leaves out has the value of [`Self::default`].
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acceptance {
    /// Largest half-width of the primary comparison's interval, percentage points.
    pub precision_points: f64,
    /// Largest share of the patients screened who outgrow the limit of colonies.
    pub saturated_share: f64,
    /// Least share of published intervals that the model must lie in.
    pub targets_inside: f64,
    /// Lowest and highest ratio of observed to expected events.
    pub observed_to_expected: [f64; 2],
    /// Lowest and highest calibration slope.
    pub slope: [f64; 2],
    /// Largest share of patients who would have to change their stratum for the population to be
    /// composed as the cohort.
    pub strata_difference: f64,
}

impl Default for Acceptance {
    fn default() -> Self {
        Self {
            precision_points: 0.1,
            saturated_share: 0.001,
            targets_inside: 0.8,
            observed_to_expected: [0.8, 1.25],
            slope: [0.8, 1.25],
            strata_difference: 0.1,
        }
    }
}

impl Acceptance {
    /// A criterion that nothing could meet, or everything.
    fn problem(&self) -> Option<&'static str> {
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let range = |[low, high]: [f64; 2]| low > 0.0 && low <= high && high.is_finite();
        if !(self.precision_points > 0.0 && self.precision_points <= 100.0) {
            return Some("precision_points must be above 0 and at most 100");
        }
        let shares = [
            self.saturated_share,
            self.targets_inside,
            self.strata_difference,
        ];
        if !shares.into_iter().all(share) {
            return Some(
                "saturated_share, targets_inside and strata_difference must be from 0 to 1",
            );
        }
        if !(range(self.observed_to_expected) && range(self.slope)) {
            return Some("observed_to_expected and slope must be two numbers above 0 in order");
        }
        None
    }
}

/// Why a file is no context.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContextError {
    /// What is not TOML, or has other keys or values.
    #[error(
        "context {name}, line {line}: {problem}; docs/credibility/breast.toml is an example with \
         every key"
    )]
    Form {
        /// What the file is called.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A criterion out of range.
    #[error("context {name}: {problem} in [acceptance]; leave the key out for the default")]
    Acceptance {
        /// What the file is called.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Context {
    /// Reads a context file (TOML). `name` is what errors call it.
    ///
    /// # Errors
    /// [`ContextError`] with the first thing that is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, ContextError> {
        let context: Self = toml::from_str(text).map_err(|error| ContextError::Form {
            name: name.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            problem: error.message().to_owned(),
        })?;
        match context.acceptance.problem() {
            Some(problem) => Err(ContextError::Acceptance {
                name: name.to_owned(),
                problem,
            }),
            None => Ok(context),
        }
    }
}

fn line_of(text: &str, byte: usize) -> usize {
    let before = text.bytes().take(byte);
    1 + before.filter(|character| *character == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn risk_is_influence_times_consequence() {
        let [low, medium, high] = Level::ALL;
        let matrix =
            Level::ALL.map(|one| Level::ALL.map(|consequence| Level::risk(one, consequence)));
        assert_eq!(
            matrix,
            [
                [low, low, medium],
                [low, medium, high],
                [medium, high, high]
            ]
        );
    }

    #[test]
    fn a_risk_needs_both_sides() {
        let read = |text: &str| {
            let context = Context::parse("mine.toml", text).expect("a context");
            context.model_risk.risk()
        };
        assert_eq!(read(""), None);
        assert_eq!(read("[model_risk]\ninfluence = \"high\"\n"), None);
        let both = "[model_risk]\ninfluence = \"high\"\nconsequence = \"low\"\n";
        assert_eq!(read(both), Some(Level::Medium));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = |text: &str, says: &str| {
            let error = Context::parse("mine.toml", text).expect_err("wrong");
            assert!(error.to_string().contains(says), "{error}");
        };
        let question = "question = \"Does it work?\"\n";
        wrong(
            &format!("{question}answer = \"yes\"\n"),
            "mine.toml, line 2: unknown field `answer`",
        );
        wrong(
            &format!("{question}\n[model_risk]\ninfluence = \"huge\"\n"),
            "line 4: unknown variant `huge`",
        );
        wrong(
            &format!("{question}[acceptance]\nslope = 1.0\n"),
            "line 3: invalid type",
        );
        wrong("question = Does it work?\n", "line 1: ");
        wrong("[acceptance]\ntargets_inside = 80\n", "must be from 0 to 1");
        wrong("[acceptance]\nslope = [1.25, 0.8]\n", "in order");
        wrong("[acceptance]\nprecision_points = 0\n", "above 0");
    }

    #[test]
    fn a_part_of_the_criteria_leaves_the_others() {
        let text = "[acceptance]\ntargets_inside = 0.5\n";
        let context = Context::parse("mine.toml", text).expect("a context");
        assert_eq!(
            context.acceptance,
            Acceptance {
                targets_inside: 0.5,
                ..Acceptance::default()
            }
        );
    }
}
