//! What a model says where its parameters are uncertain: a band over points.

use crate::estimate::Estimate;
use crate::sample::quantile;

/// A value over points at which the parameters take all that they may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Median over the points.
    pub median: f64,
    /// Lower limit of the central 95 % of the points, less the noise.
    pub lower: f64,
    /// Upper limit of the same.
    pub upper: f64,
    /// Share of the variance over the points that is noise: the chance of each point's patients.
    pub noise: f64,
    /// Points of which the value is known.
    pub points: usize,
}

/// The band of a value over points that are a sample of the parameters, each with the error of its
/// own patients. These errors widen the scatter, so that deviations from the median are scaled down until
/// their variance is what the errors do not explain; where they explain all of it, the band is the
/// median. Points without a value are left out, and errors that are not known taken for those of
/// the other points. `None` of fewer than two points.
pub fn band(points: impl IntoIterator<Item = Estimate>) -> Option<Band> {
    let known = |estimate: &Estimate| estimate.value.is_finite();
    let estimates: Vec<Estimate> = points.into_iter().filter(known).collect();
    if estimates.len() < 2 {
        return None;
    }
    let mut values: Vec<f64> = estimates.iter().map(|estimate| estimate.value).collect();
    values.sort_unstable_by(f64::total_cmp);
    let center = mean(&values);
    let squares = values
        .iter()
        .map(|value| (value - center) * (value - center));
    let variance = squares.sum::<f64>() / (values.len() - 1) as f64;
    let noise = if variance > 0.0 {
        (noise_variance(&estimates) / variance).min(1.0)
    } else {
        0.0
    };
    let median = quantile(&values, 0.5);
    let limit = |share: f64| median + (1.0 - noise).sqrt() * (quantile(&values, share) - median);
    Some(Band {
        median,
        lower: limit(0.025),
        upper: limit(0.975),
        noise,
        points: values.len(),
    })
}

/// Mean variance of the points' own errors, as far as they are known; 0 if none is.
fn noise_variance(estimates: &[Estimate]) -> f64 {
    let errors = estimates.iter().map(|estimate| estimate.standard_error);
    let known: Vec<f64> = errors
        .filter(|error| error.is_finite())
        .map(|error| error * error)
        .collect();
    if known.is_empty() { 0.0 } else { mean(&known) }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::normal_upper_quantile;

    fn points(values: impl Iterator<Item = f64>, standard_error: f64) -> Option<Band> {
        band(values.map(|value| Estimate {
            value,
            standard_error,
        }))
    }

    #[test]
    fn without_noise_a_band_is_the_central_part_of_the_points() {
        let hundred = (0..=100u32).rev().map(f64::from);
        let found = points(hundred, 0.0).expect("many points");
        assert_eq!(
            found,
            Band {
                median: 50.0,
                lower: 2.5,
                upper: 97.5,
                noise: 0.0,
                points: 101,
            }
        );
    }

    #[test]
    fn noise_does_not_widen_a_band() {
        // Values vary by 1 of themselves and by 2 by chance, √5 together.
        let quantiles = (0..2000u32).map(|place| (f64::from(place) + 0.5) / 2000.0);
        let values = quantiles.map(|share| 5.0f64.sqrt() * normal_upper_quantile(share));
        let found = points(values, 2.0).expect("many points");
        assert!((found.noise - 0.8).abs() < 0.01, "{found:?}");
        assert!((found.upper - 1.96).abs() < 0.03 && (found.lower + 1.96).abs() < 0.03);
        // All of the scatter may be chance.
        let even = points([1.0, 2.0, 3.0].into_iter(), 5.0).expect("three points");
        assert_eq!((even.lower, even.upper, even.noise), (2.0, 2.0, 1.0));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let known = |value| Estimate {
            value,
            standard_error: f64::NAN,
        };
        assert_eq!(band([known(1.0), Estimate::UNKNOWN]), None);
        let found = band([known(1.0), Estimate::UNKNOWN, known(2.0)]).expect("two points");
        assert_eq!((found.points, found.noise), (2, 0.0));
    }
}
