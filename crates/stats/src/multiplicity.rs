//! Many comparisons at once.

use crate::distribution::normal_upper_quantile;

/// P-values adjusted by Holm's step-down procedure (Scand J Statist 1979;6:65), in the order
/// given: rejecting those at most α keeps the probability of any false rejection at α, whatever
/// the dependence. Values that are `NaN` stay so and do not count.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len())
        .filter(|index| !p_values[*index].is_nan())
        .collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = p_values.to_vec();
    let mut largest: f64 = 0.0;
    for (position, index) in order.iter().enumerate() {
        let still_there = (order.len() - position) as f64;
        largest = largest.max((p_values[*index] * still_there).min(1.0));
        adjusted[*index] = largest;
    }
    adjusted
}

/// The normal quantile with which all of `comparisons` two-sided intervals cover at once with
/// this confidence, whatever their dependence (Bonferroni).
pub fn bonferroni_critical(confidence: f64, comparisons: usize) -> f64 {
    normal_upper_quantile((1.0 - confidence) / (2.0 * comparisons as f64))
}

/// The same for estimates that are jointly normal with any correlation (Šidák, J Am Stat Assoc
/// 1967;62:626), which is a little less. It stands for the quantile of the maximum over the arms'
/// own correlation: tallies pair every arm with the control, not the arms with each other.
pub fn sidak_critical(confidence: f64, comparisons: usize) -> f64 {
    let all = core_math::log(confidence) / comparisons as f64;
    normal_upper_quantile(-core_math::expm1(all) / 2.0)
}
