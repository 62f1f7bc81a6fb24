//! Tests of agreement between two samples, or between a sample and an exact law.

use std::fmt::Write as _;

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Running mean and variance (Welford).
#[derive(Debug, Clone, Copy, Default)]
pub struct Mean {
    count: u64,
    average: f64,
    squares: f64,
}

impl Mean {
    /// Adds one observation.
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.average;
        self.average += delta / self.count as f64;
        self.squares += delta * (value - self.average);
    }

    /// Adds the observations of another mean.
    pub fn absorb(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let total = self.count + other.count;
        let delta = other.average - self.average;
        let share = other.count as f64 / total as f64;
        self.squares += other.squares + delta * delta * self.count as f64 * share;
        self.average += delta * share;
        self.count = total;
    }

    /// Number of observations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean.
    pub fn value(&self) -> f64 {
        self.average
    }

    /// Variance of the mean.
    pub fn error_variance(&self) -> f64 {
        self.squares / (self.count as f64 * (self.count as f64 - 1.0))
    }
}

impl FromIterator<f64> for Mean {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut mean = Self::default();
        values.into_iter().for_each(|value| mean.push(value));
        mean
    }
}

/// Standardised difference of two means.
pub fn z_of_means(left: &Mean, right: &Mean) -> f64 {
    standardised(
        left.value() - right.value(),
        left.error_variance() + right.error_variance(),
    )
}

/// Standardised distance of a mean from its exact value.
pub fn z_of_mean(sample: &Mean, exact: f64) -> f64 {
    standardised(sample.value() - exact, sample.error_variance())
}

/// Standardised difference of two proportions, with the pooled variance.
pub fn z_of_proportions(hits: [u64; 2], trials: [u64; 2]) -> f64 {
    let pooled = (hits[0] + hits[1]) as f64 / (trials[0] + trials[1]) as f64;
    standardised(
        hits[0] as f64 / trials[0] as f64 - hits[1] as f64 / trials[1] as f64,
        pooled * (1.0 - pooled) * (1.0 / trials[0] as f64 + 1.0 / trials[1] as f64),
    )
}

/// Standardised distance of a proportion from its exact value.
pub fn z_of_proportion(hits: u64, trials: u64, exact: f64) -> f64 {
    standardised(
        hits as f64 / trials as f64 - exact,
        exact * (1.0 - exact) / trials as f64,
    )
}

fn standardised(difference: f64, variance: f64) -> f64 {
    if difference == 0.0 {
        0.0
    } else {
        difference / variance.sqrt()
    }
}

/// Kolmogorov–Smirnov p value of a sample against a continuous law. Values that are infinite
/// (censored) count as lying beyond every finite one, so `cdf` may stay below 1.
pub fn kolmogorov_smirnov(sample: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let distance = sorted
        .iter()
        .take_while(|value| value.is_finite())
        .enumerate()
        .map(|(rank, &value)| {
            let exact = cdf(value);
            (exact - rank as f64 / count)
                .abs()
                .max(((rank + 1) as f64 / count - exact).abs())
        })
        .fold(0.0, f64::max);
    kolmogorov_tail(distance, count)
}

/// Two-sample Kolmogorov–Smirnov p value; infinite values count as censored beyond every finite
/// one, which only makes the test more cautious.
pub fn kolmogorov_smirnov_two_sample(left: &[f64], right: &[f64]) -> f64 {
    let (mut left, mut right) = (left.to_vec(), right.to_vec());
    left.sort_by(f64::total_cmp);
    right.sort_by(f64::total_cmp);
    let (mut i, mut j, mut distance) = (0, 0, 0.0_f64);
    while i < left.len() && j < right.len() {
        let value = left[i].min(right[j]);
        if value.is_infinite() {
            break;
        }
        while i < left.len() && left[i] <= value {
            i += 1;
        }
        while j < right.len() && right[j] <= value {
            j += 1;
        }
        distance =
            distance.max((i as f64 / left.len() as f64 - j as f64 / right.len() as f64).abs());
    }
    let effective = left.len() as f64 * right.len() as f64 / (left.len() + right.len()) as f64;
    kolmogorov_tail(distance, effective)
}

/// Tail of Kolmogorov's distribution with Stephens' correction for a finite sample.
fn kolmogorov_tail(distance: f64, count: f64) -> f64 {
    let root = count.sqrt();
    let scaled = distance * (root + 0.12 + 0.11 / root);
    if scaled < 0.3 {
        // The tail is 1 to nine digits here, and the series below converges slowly.
        return 1.0;
    }
    let series: f64 = (1..=100)
        .map(|k| {
            let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
            let k = f64::from(k);
            sign * (-2.0 * k * k * scaled * scaled).exp()
        })
        .sum();
    (2.0 * series).clamp(0.0, 1.0)
}

/// Pearson p value of counts against exact probabilities that sum to one. Neighbouring cells are
/// pooled until ten observations are expected in each.
pub fn chi_square(observed: &[u64], probabilities: &[f64]) -> f64 {
    let total: u64 = observed.iter().sum();
    let mut cells: Vec<(f64, f64)> = Vec::new();
    let mut open = (0.0, 0.0);
    for (&count, &probability) in observed.iter().zip(probabilities) {
        open.0 += count as f64;
        open.1 += probability * total as f64;
        if open.1 >= 10.0 {
            cells.push(open);
            open = (0.0, 0.0);
        }
    }
    if let Some(last) = cells.last_mut() {
        last.0 += open.0;
        last.1 += open.1;
    }
    let statistic: f64 = cells
        .iter()
        .map(|(count, expected)| (count - expected).powi(2) / expected)
        .sum();
    chi_square_tail(statistic, cells.len() - 1)
}

/// Pearson p value that two rows of counts come from one law; empty columns are left out.
pub fn chi_square_two_sample(left: &[u64], right: &[u64]) -> f64 {
    let totals = [
        left.iter().sum::<u64>() as f64,
        right.iter().sum::<u64>() as f64,
    ];
    let mut statistic = 0.0;
    let mut columns = 0;
    for (&a, &b) in left.iter().zip(right) {
        let column = (a + b) as f64;
        if column == 0.0 {
            continue;
        }
        columns += 1;
        for (count, total) in [(a, totals[0]), (b, totals[1])] {
            let expected = column * total / (totals[0] + totals[1]);
            statistic += (count as f64 - expected).powi(2) / expected;
        }
    }
    chi_square_tail(statistic, columns - 1)
}

fn chi_square_tail(statistic: f64, freedom: usize) -> f64 {
    let law = ChiSquared::new(freedom as f64).expect("at least two cells are needed");
    law.sf(statistic)
}

/// Collects standardised differences and p values, and fails with all of them in one table.
#[derive(Debug, Default)]
pub struct Agreement {
    table: String,
    failures: usize,
    count: usize,
    largest: f64,
}

impl Agreement {
    /// Largest |z| that still counts as agreement. Of 200 correct statistics one in 700 runs
    /// would exceed it; with fixed seeds it either does or does not.
    pub const Z_MAX: f64 = 4.5;
    /// Smallest p value that still counts as agreement.
    pub const P_MIN: f64 = 1e-4;

    /// Compares two proportions.
    pub fn proportions(&mut self, label: &str, hits: [u64; 2], trials: [u64; 2]) {
        let shares = [0, 1].map(|i| hits[i] as f64 / trials[i] as f64);
        self.z(label, shares, z_of_proportions(hits, trials));
    }

    /// Compares a proportion with its exact value.
    pub fn proportion(&mut self, label: &str, hits: u64, trials: u64, exact: f64) {
        let z = z_of_proportion(hits, trials, exact);
        self.z(label, [hits as f64 / trials as f64, exact], z);
    }

    /// Compares two means.
    pub fn means(&mut self, label: &str, left: &Mean, right: &Mean) {
        self.z(
            label,
            [left.value(), right.value()],
            z_of_means(left, right),
        );
    }

    /// Compares a mean with its exact value.
    pub fn mean(&mut self, label: &str, sample: &Mean, exact: f64) {
        self.z(label, [sample.value(), exact], z_of_mean(sample, exact));
    }

    /// Takes up a p value.
    pub fn p(&mut self, label: &str, p: f64) {
        // Negated so that a p value that is not a number fails.
        let passes = p > Self::P_MIN;
        self.row(passes, &format!("{label:<44} p = {p:.2e}"));
    }

    fn z(&mut self, label: &str, pair: [f64; 2], z: f64) {
        self.largest = self.largest.max(z.abs());
        let passes = z.abs() < Self::Z_MAX;
        let text = format!(
            "{label:<44} {:>13.6} {:>13.6}  z = {z:+.2}",
            pair[0], pair[1]
        );
        self.row(passes, &text);
    }

    fn row(&mut self, passes: bool, text: &str) {
        self.count += 1;
        self.failures += usize::from(!passes);
        let mark = if passes { ' ' } else { '*' };
        writeln!(self.table, "{mark} {text}").expect("writing to a string cannot fail");
    }

    /// Fails, with the whole table, if any row disagreed or fewer than `rows` were taken up.
    ///
    /// # Panics
    /// If so.
    pub fn assert(&self, rows: usize) {
        println!("{}largest |z| {:.2}", self.table, self.largest);
        assert!(
            self.count >= rows,
            "only {} of {rows} statistics",
            self.count
        );
        assert!(
            self.failures == 0,
            "{} of {} statistics disagree (marked *):\n{}",
            self.failures,
            self.count,
            self.table
        );
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;
    use crate::reference::generator;

    fn uniforms(seed: u64, count: usize) -> Vec<f64> {
        let mut rng = generator(seed);
        (0..count).map(|_| rng.random::<f64>()).collect()
    }

    #[test]
    fn means_of_parts_make_the_mean_of_the_whole() {
        let values = uniforms(6, 1_000);
        let whole: Mean = values.iter().copied().collect();
        let mut parts: Mean = values[..300].iter().copied().collect();
        parts.absorb(&values[300..].iter().copied().collect());
        assert_eq!(parts.count(), whole.count());
        assert!((parts.value() - whole.value()).abs() < 1e-12);
        assert!((parts.error_variance() / whole.error_variance() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn kolmogorov_tail_matches_published_quantiles() {
        // Large-sample critical values (Smirnov 1948): 1.3581 at 5 %, 1.6276 at 1 %.
        for (scaled, p) in [(1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)] {
            let found = kolmogorov_tail(scaled / 1e6, 1e12);
            assert!((found / p - 1.0).abs() < 2e-3, "{found} against {p}");
        }
    }

    #[test]
    fn kolmogorov_smirnov_accepts_its_law_and_refuses_a_near_one() {
        let sample = uniforms(1, 20_000);
        assert!(kolmogorov_smirnov(&sample, |x| x) > 1e-3);
        assert!(kolmogorov_smirnov(&sample, |x| x.powf(1.08)) < 1e-4);
        let other = uniforms(2, 30_000);
        assert!(kolmogorov_smirnov_two_sample(&sample, &other) > 1e-3);
        let bent: Vec<f64> = other.iter().map(|x| x.powf(1.08)).collect();
        assert!(kolmogorov_smirnov_two_sample(&sample, &bent) < 1e-4);
    }

    #[test]
    fn censored_values_keep_their_share() {
        let censored = |values: &[f64], limit: f64| -> Vec<f64> {
            let censor = |&x: &f64| if x > limit { f64::INFINITY } else { x };
            values.iter().map(censor).collect()
        };
        let (left, right) = (uniforms(3, 20_000), uniforms(4, 20_000));
        let same = kolmogorov_smirnov_two_sample(&censored(&left, 0.5), &censored(&right, 0.5));
        let fewer = kolmogorov_smirnov_two_sample(&censored(&left, 0.5), &censored(&right, 0.45));
        assert!(same > 1e-3 && fewer < 1e-4, "{same} {fewer}");
    }

    #[test]
    fn chi_square_matches_published_quantile() {
        // 95 % quantile with one degree of freedom is 3.841.
        let p = chi_square_tail(3.841, 1);
        assert!((p - 0.05).abs() < 1e-4);
        assert!(chi_square(&[5_000, 5_000], &[0.5, 0.5]) > 0.99);
        assert!(chi_square(&[5_300, 4_700], &[0.5, 0.5]) < 1e-4);
        assert!(chi_square_two_sample(&[500, 500], &[1_000, 1_000]) > 0.99);
        assert!(chi_square_two_sample(&[550, 450, 0], &[900, 1_100, 0]) < 1e-2);
    }

    #[test]
    #[should_panic(expected = "statistics disagree")]
    fn agreement_fails_on_a_distant_mean() {
        let mut agreement = Agreement::default();
        let sample: Mean = uniforms(5, 10_000).into_iter().collect();
        agreement.mean("mean of a uniform", &sample, 0.5);
        agreement.mean("a wrong one", &sample, 0.53);
        agreement.assert(2);
    }
}
