//! What the blocks of a result say: which parameters matter, how arms rank, and what virtual
//! trials find.

use std::path::Path;

use reseed_report::{Findings, PowerCurve, PowerPoint};
use reseed_results::{ResultFile, read_blocks};
use reseed_stats::RecordColumn;
use reseed_stats::power::{BlockTrials, PowerEstimate, TrialShape};
use reseed_stats::virtual_trial::Design;
use reseed_trial::Trial;

use crate::commands::rank::ranked;
use crate::exit::Failure;

/// Reads them, as far as the trial has them.
pub(crate) fn findings(path: &Path, file: &ResultFile, trial: &Trial) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    if trial.virtual_trials.is_none() && trial.uncertainty.is_none() {
        return Ok(findings);
    }
    let columns = read_blocks(path)?;
    let damaged = |problem: &str| Failure::File(format!("{}: {problem}", path.display()));
    if let Some(plan) = &trial.virtual_trials {
        findings.power = power(&columns, trial, &plan.design()).map_err(|text| damaged(&text))?;
    }
    let primary = trial.primary;
    if trial.uncertainty.is_some() && primary.arm != trial.scenario.control {
        let traced = [trial.scenario.control, primary.arm];
        let ranked = ranked(&columns, file, trial, primary.endpoint, &traced)
            .map_err(|error| damaged(&error.to_string()))?;
        findings.tornadoes = ranked.tornadoes();
        findings.ranks = ranked.ranks();
    }
    Ok(findings)
}

/// Power of the virtual trials by arm and size.
fn power(
    columns: &[RecordColumn],
    trial: &Trial,
    design: &Design,
) -> Result<Vec<PowerCurve>, String> {
    let arms = &trial.scenario.arms;
    let shape = TrialShape::of(design, arms.len());
    let blocks = BlockTrials::read(shape, columns).map_err(|error| error.to_string())?;
    let point = |arm: usize, size: usize| {
        let found = PowerEstimate::new(&blocks, arm, size);
        // Of the control against itself every rejection is an error.
        let share = if arm == trial.scenario.control {
            found.rejection
        } else {
            found.benefit
        };
        PowerPoint {
            patients: design.control_patients[size] as u64,
            power: share.estimate.value,
            interval: share.interval,
        }
    };
    let curves = arms.iter().enumerate().map(|(arm, therapy)| PowerCurve {
        arm: therapy.name.clone(),
        points: (0..shape.sizes).map(|size| point(arm, size)).collect(),
    });
    Ok(curves.collect())
}
