//! What a calibration found, as numbers. [`Calibrated`] serialises to the public JSON of
//! `reseed calibrate --json`: field names are stable, and what cannot be told is `null`.

use std::fmt::Write as _;

use reseed_results::{PosteriorFile, TargetRow};
use reseed_stats::{quantile, recovery};
use serde::Serialize;

use crate::figures::Table;
use crate::finite;
use crate::text::{fixed, grouped, laid_out, lay_out, number};

/// Share of the prior's variance that the data must remove for a parameter to count as fixed by
/// them, and below which they say nothing of it.
const FIXED_MIN: f64 = 0.9;
const UNTOUCHED_MAX: f64 = 0.3;

/// Bins of equal width over which ranks of known parameters must be even.
const RANK_BINS: usize = 10;

/// Probability of the intervals whose coverage is told.
const COVERED: f64 = 0.9;

const NOTES: &str = "\
best         the single most probable point; median and 95 % of the posterior
contraction  share of the prior's variance that the data removed: fixed by the data (above
             0.9), partly, or left as it was (below 0.3)
expected     events of the cohort's time at risk, median and 95 % of the posterior
";

/// What a calibration found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibrated {
    /// Seed of all randomness.
    pub seed: u64,
    /// Draws of the posterior.
    pub draws: usize,
    /// Number of independent draws that would say as much of the parameters' means.
    pub effective_draws: f64,
    /// What is believed of every parameter.
    pub parameters: Vec<CalibratedParameter>,
    /// How the waves of points went.
    pub waves: Vec<CalibratedWave>,
    /// What was compared.
    pub targets: Vec<CalibratedTarget>,
    /// Whether known parameters are found again, if that was tried.
    pub recovery: Option<Vec<RecoveredParameter>>,
}

/// What is believed of a parameter, in the unit of its key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibratedParameter {
    /// Its key in a trial file.
    pub key: String,
    /// At the most probable point.
    pub best: f64,
    /// Median of the posterior.
    pub median: f64,
    /// Limits of its central 95 %.
    pub lower: f64,
    /// The upper one.
    pub upper: f64,
    /// Limits of the central 95 % of the prior.
    pub prior_lower: f64,
    /// The upper one.
    pub prior_upper: f64,
    /// Share of the prior's variance of scores that the data removed; negative if they added.
    pub contraction: f64,
    /// `fixed`, `partly` or `untouched` by the data.
    pub standing: &'static str,
}

/// How a wave went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibratedWave {
    /// Points.
    pub points: f64,
    /// Best logarithm of the likelihood, up to a constant.
    pub best_log_likelihood: f64,
    /// Median variance of counts about their surfaces over that of chance.
    pub dispersion: f64,
    /// Share of the posterior before the wave that remained effective after it.
    pub agreement: Option<f64>,
}

/// A target beside the posterior.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibratedTarget {
    /// The arm.
    pub arm: String,
    /// The patients.
    pub stratum: String,
    /// What was counted of them.
    pub what: String,
    /// From when, years.
    pub from_years: f64,
    /// Until when, years.
    pub until_years: f64,
    /// Events of the cohort.
    pub events: f64,
    /// Time at risk in years, or patients.
    pub exposure: f64,
    /// Median of the events that the posterior expects.
    pub expected: f64,
    /// Limits of its central 95 %.
    pub expected_lower: f64,
    /// The upper one.
    pub expected_upper: f64,
}

impl CalibratedTarget {
    /// What was counted, of whom and in which arm.
    fn whose(&self) -> [&str; 3] {
        [&self.what, &self.stratum, &self.arm]
    }
}

/// Whether a known parameter is found again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecoveredParameter {
    /// Its key.
    pub key: String,
    /// Invented cohorts.
    pub cohorts: usize,
    /// Probability of ranks at least as uneven by chance.
    pub p: f64,
    /// Share of the known values within the central 90 % of their posteriors.
    pub coverage_90: f64,
}

impl Calibrated {
    /// Says what is in the file of a calibration.
    pub fn of(file: &PosteriorFile) -> Self {
        let waves = file.waves.iter().map(|wave| CalibratedWave {
            points: wave.points,
            best_log_likelihood: wave.best_log_likelihood,
            dispersion: wave.dispersion,
            agreement: finite(wave.agreement),
        });
        Self {
            seed: file.identity.seed,
            draws: file.draws.len(),
            effective_draws: file.effective_draws,
            parameters: (0..file.parameters.len())
                .map(|axis| parameter(file, axis))
                .collect(),
            waves: waves.collect(),
            targets: file.targets.iter().map(target).collect(),
            recovery: (!file.recovery_ranks.is_empty()).then(|| recovered(file)),
        }
    }

    /// Tables for people.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n", laid_out(&self.parameter_table()));
        self.add_waves(&mut text);
        self.add_targets(&mut text);
        if let Some(recovery) = &self.recovery {
            add_recovery(&mut text, recovery);
        }
        let _ = write!(text, "\n{NOTES}");
        text
    }

    /// What is believed of every parameter.
    pub(crate) fn parameter_table(&self) -> Table {
        let mut table = Table::new(&[
            "parameter",
            "best",
            "median",
            "95 %",
            "prior 95 %",
            "contraction",
            "",
        ]);
        for parameter in &self.parameters {
            table.push([
                parameter.key.clone(),
                short(parameter.best),
                short(parameter.median),
                format!("{} to {}", short(parameter.lower), short(parameter.upper)),
                format!(
                    "{} to {}",
                    short(parameter.prior_lower),
                    short(parameter.prior_upper)
                ),
                number(parameter.contraction, 2),
                parameter.standing.to_owned(),
            ]);
        }
        table
    }

    fn add_waves(&self, text: &mut String) {
        let header = ["points", "best likelihood", "dispersion", "still holds"];
        let rows = self.waves.iter().zip(1..).map(|(wave, place)| {
            let cells = vec![
                number(wave.points, 0),
                number(wave.best_log_likelihood, 1),
                number(wave.dispersion, 2),
                fixed(wave.agreement, 1.0, 2),
            ];
            (format!("{place}"), cells)
        });
        let table = lay_out("wave", header.map(str::to_owned).into(), rows);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{}", table.trim_fmt());
    }

    /// The targets, those of the same arm, patients and kind taken together. The arm is told if there
    /// are several.
    fn add_targets(&self, text: &mut String) {
        let mut order: Vec<&CalibratedTarget> = self.targets.iter().collect();
        order.sort_by(|a, b| a.whose().cmp(&b.whose()));
        let same = |a: &&CalibratedTarget, b: &&CalibratedTarget| a.whose() == b.whose();
        let has_arms = (self.targets.windows(2)).any(|pair| pair[0].arm != pair[1].arm);
        let rows = order.chunk_by(same).map(|own| {
            let sum = |of: fn(&CalibratedTarget) -> f64| own.iter().map(|one| of(one)).sum::<f64>();
            let (events, expected) = (sum(|one| one.events), sum(|one| one.expected));
            let mut name = format!("{}, {}", own[0].what, own[0].stratum);
            if has_arms {
                let _ = write!(name, ", {}", own[0].arm);
            }
            let ratio = finite(events / expected);
            (
                name,
                vec![number(events, 0), number(expected, 1), fixed(ratio, 1.0, 2)],
            )
        });
        let header = ["events", "expected", "ratio"].map(str::to_owned).into();
        let table = lay_out("cohort", header, rows);
        let _ = writeln!(text, "\n{}", table.trim_fmt());
    }
}

fn parameter(file: &PosteriorFile, axis: usize) -> CalibratedParameter {
    let mut values: Vec<f64> = file.draws.iter().map(|draw| draw[axis]).collect();
    values.sort_by(f64::total_cmp);
    let [prior_lower, _, prior_upper] = file.priors[axis];
    let contraction = file.contractions[axis];
    CalibratedParameter {
        key: file.parameters[axis].clone(),
        best: file.best[axis],
        median: quantile(&values, 0.5),
        lower: quantile(&values, 0.025),
        upper: quantile(&values, 0.975),
        prior_lower,
        prior_upper,
        contraction,
        standing: if contraction > FIXED_MIN {
            "fixed"
        } else if contraction > UNTOUCHED_MAX {
            "partly"
        } else {
            "untouched"
        },
    }
}

fn target(row: &TargetRow) -> CalibratedTarget {
    let [expected_lower, expected, expected_upper] = row.expected;
    CalibratedTarget {
        arm: row.arm.clone(),
        stratum: row.stratum.clone(),
        what: row.what.clone(),
        from_years: row.from_years,
        until_years: row.until_years,
        events: row.events,
        exposure: row.exposure,
        expected,
        expected_lower,
        expected_upper,
    }
}

fn recovered(file: &PosteriorFile) -> Vec<RecoveredParameter> {
    let rows = file.parameters.iter().zip(&file.recovery_ranks);
    rows.map(|(key, ranks)| RecoveredParameter {
        key: key.clone(),
        cohorts: ranks.len(),
        p: recovery::uniformity(ranks, RANK_BINS),
        coverage_90: recovery::coverage(ranks, COVERED),
    })
    .collect()
}

fn add_recovery(text: &mut String, recovery: &[RecoveredParameter]) {
    let cohorts = recovery.first().map_or(0, |row| row.cohorts);
    let rows = recovery.iter().map(|row| {
        let cells = vec![number(row.p, 3), number(100.0 * row.coverage_90, 1)];
        (row.key.clone(), cells)
    });
    let header = ["p of ranks", "within 90 %"].map(str::to_owned).into();
    let table = lay_out("known parameters found again", header, rows);
    let _ = writeln!(
        text,
        "\n{} cohorts invented at draws of the posterior\n{}",
        grouped(cohorts as u64),
        table.trim_fmt()
    );
}

/// A number of any size in few characters.
pub(crate) fn short(value: f64) -> String {
    const DECIMAL: std::ops::Range<f64> = 0.01..10_000.0;
    if value == 0.0 || DECIMAL.contains(&value.abs()) {
        format!("{}", (value * 1e4).round() / 1e4)
    } else {
        format!("{value:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_arms(arms: &[(&str, f64)]) -> String {
        let target = |(arm, events): &(&str, f64)| CalibratedTarget {
            arm: (*arm).to_owned(),
            stratum: "all".into(),
            what: "local".into(),
            from_years: 0.0,
            until_years: 0.5,
            events: *events,
            exposure: 10.0,
            expected: 2.0,
            expected_lower: 1.0,
            expected_upper: 3.0,
        };
        let calibrated = Calibrated {
            seed: 1,
            draws: 1,
            effective_draws: 1.0,
            parameters: Vec::new(),
            waves: Vec::new(),
            targets: arms.iter().map(target).collect(),
            recovery: None,
        };
        let mut text = String::new();
        calibrated.add_targets(&mut text);
        text.lines()
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect()
    }

    #[test]
    fn targets_of_one_arm_are_taken_together_and_those_of_two_told_apart() {
        let one = of_arms(&[("control", 1.0), ("control", 3.0)]);
        assert!(one.contains("local, all       4       4.0   1.00"), "{one}");
        let two = of_arms(&[("control", 1.0), ("radiotherapy", 3.0)]);
        assert!(
            two.contains("local, all, control            1       2.0   0.50"),
            "{two}"
        );
        assert!(
            two.contains("local, all, radiotherapy       3       2.0   1.50"),
            "{two}"
        );
    }
}
