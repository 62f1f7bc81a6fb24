//! Elementary effects: a cheap screening of many factors.

use super::Outcome;
use super::bootstrap::{Ranged, Terms, ranged};

/// From one point of a trajectory to the next: the factor that changes, and the change of its
/// quantile, positive or negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The factor.
    pub factor: usize,
    /// Change of the quantile of its prior.
    pub change: f64,
}

/// What a factor does to an outcome, by elementary effects: changes of the outcome over those of
/// the factor's quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MorrisEffect {
    /// Mean of the effects' sizes, μ*: how much the factor matters (Campolongo, Environ Model
    /// Softw 2007;22:1509).
    pub size: Ranged,
    /// Mean of the effects, μ: which way.
    pub mean: Ranged,
    /// Standard deviation of the effects, σ: how much they depend on other factors or are not
    /// linear; without noise, and zero where noise explains them.
    pub spread: Ranged,
    /// The size that noise alone would show of a factor without effect.
    pub noise_floor: f64,
}

/// Elementary effects of every factor (Morris, Technometrics 1991;33:161).
///
/// `steps` has a trajectory's steps per item, as many as there are factors, each changing another;
/// the design's points are those of one trajectory after the other, one more than it has steps.
/// Trajectories that lack an estimate are left out. Noise is subtracted from the squared spread; from
/// a mean of sizes it cannot be, so it is given beside it. Intervals are by bootstrap over
/// trajectories.
///
/// `None` with fewer than two trajectories.
pub fn morris_effects(
    outcome: Outcome<'_>,
    steps: &[Vec<Step>],
    words: &mut dyn FnMut() -> u64,
) -> Option<Vec<MorrisEffect>> {
    let factors = steps.first()?.len();
    let mut terms = Terms::new(4 * factors);
    for (trajectory, steps) in steps.iter().enumerate() {
        let start = trajectory * (factors + 1);
        let points = start..start + factors + 1;
        if points.end <= outcome.points() && outcome.is_known(points) {
            terms.push(trajectory_terms(outcome, start, steps));
        }
    }
    if terms.rows() < 2 {
        return None;
    }
    let (means, rows) = (terms.means(), terms.rows());
    let found = ranged(&terms, words, |means| {
        (0..factors)
            .flat_map(|factor| effect(&means[4 * factor..], rows))
            .collect()
    });
    let effects = found
        .chunks(3)
        .enumerate()
        .map(|(factor, found)| MorrisEffect {
            size: found[0],
            mean: found[1],
            spread: found[2],
            noise_floor: (means[4 * factor + 3] * std::f64::consts::FRAC_2_PI).sqrt(),
        });
    Some(effects.collect())
}

/// Of each factor: its effect's size, the effect, its square and its noise.
fn trajectory_terms(outcome: Outcome<'_>, start: usize, steps: &[Step]) -> Vec<f64> {
    let mut terms = vec![f64::NAN; 4 * steps.len()];
    for (step, Step { factor, change }) in steps.iter().enumerate() {
        let (before, after) = (start + step, start + step + 1);
        let effect = (outcome.value(after) - outcome.value(before)) / change;
        let noise = (outcome.noise(after) + outcome.noise(before)) / (change * change);
        terms[4 * factor..4 * factor + 4].copy_from_slice(&[
            effect.abs(),
            effect,
            effect * effect,
            noise,
        ]);
    }
    terms
}

fn effect(means: &[f64], rows: usize) -> [f64; 3] {
    let rows = rows as f64;
    let variance = (means[2] - means[1] * means[1]) * rows / (rows - 1.0) - means[3];
    [means[0], means[1], variance.max(0.0).sqrt()]
}
