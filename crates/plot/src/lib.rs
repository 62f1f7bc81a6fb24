//! Scales of plots, for whoever draws one: on a terminal, on a page or into a file.

/// A scale with ticks at round numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Distance of the ticks.
    step: f64,
    /// First tick, in steps.
    first: i64,
    /// Last tick, in steps.
    last: i64,
}

impl Axis {
    /// The scale from the round number below `low` to that above `high` with about `ticks` ticks.
    /// What is not finite, or no distance, gives the scale from 0 to 1.
    pub fn over(low: f64, high: f64, ticks: u32) -> Self {
        let span = high - low;
        if !(span.is_finite() && span > 0.0) {
            return Self::over(0.0, 1.0, ticks);
        }
        let rough = span / f64::from(ticks.max(2) - 1);
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .map(|round| round * power)
            .into_iter()
            .find(|step| *step >= rough * (1.0 - 1e-9))
            .unwrap_or(10.0 * power);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast saturates, and the steps of a scale are few"
        )]
        let steps = |value: f64| value as i64;
        Self {
            step,
            first: steps((low / step + 1e-9).floor()),
            last: steps((high / step - 1e-9).ceil()),
        }
    }

    /// Its beginning.
    pub fn low(&self) -> f64 {
        self.first as f64 * self.step
    }

    /// Its end.
    pub fn high(&self) -> f64 {
        self.last as f64 * self.step
    }

    /// Numbers to write at it, in increasing order.
    pub fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        (self.first..=self.last).map(|tick| tick as f64 * self.step)
    }

    /// How far along a number is: 0 at the beginning, 1 at the end.
    pub fn share(&self, value: f64) -> f64 {
        (value - self.low()) / (self.high() - self.low())
    }

    /// A tick in words, with the digits that tell it from the next; thousands and millions
    /// have their letters, so that labels stay short: `2.5 M`.
    pub fn label(&self, tick: f64) -> String {
        let largest = self.low().abs().max(self.high().abs());
        let (unit, letter) = match largest {
            1e9.. => (1e9, " G"),
            1e6.. => (1e6, " M"),
            1e4.. => (1e3, " k"),
            _ => (1.0, ""),
        };
        if tick == 0.0 {
            return "0".into();
        }
        let step = self.step / unit;
        let decimals = (0..9)
            .find(|decimals| {
                let scaled = step * 10f64.powi(*decimals);
                (scaled - scaled.round()).abs() < 1e-6 * scaled
            })
            .unwrap_or(9);
        format!(
            "{:.*}{letter}",
            decimals.unsigned_abs() as usize,
            tick / unit
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, ticks: u32) -> Vec<String> {
        let axis = Axis::over(low, high, ticks);
        axis.ticks().map(|tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(
            labels(0.0, 1_184_832.0, 6),
            ["0", "0.25 M", "0.50 M", "0.75 M", "1.00 M", "1.25 M"]
        );
        assert_eq!(labels(0.0, 130_000.0, 4), ["0", "50 k", "100 k", "150 k"]);
        assert_eq!(
            labels(0.0, 4_000.0, 5),
            ["0", "1000", "2000", "3000", "4000"]
        );
        assert_eq!(labels(-2.6, 0.0, 4), ["-3", "-2", "-1", "0"]);
        assert_eq!(
            labels(-0.13, 0.04, 5),
            ["-0.15", "-0.10", "-0.05", "0", "0.05"]
        );
    }

    #[test]
    fn every_scale_holds_what_it_is_over_and_not_much_more() {
        for exponent in -8..15 {
            for leading in [1.0, 1.5, 2.0, 3.7, 9.99] {
                let high = leading * 10f64.powi(exponent);
                for low in [0.0, -0.3 * high, -7.0 * high] {
                    let axis = Axis::over(low, high, 6);
                    let slack = 1e-6 * (high - low);
                    assert!(axis.low() <= low + slack && axis.high() >= high - slack);
                    assert!(axis.high() - axis.low() <= 2.0 * (high - low));
                    assert!((2..=8).contains(&axis.ticks().count()), "{axis:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_scale_becomes_one() {
        for (low, high) in [
            (0.0, 0.0),
            (1.0, -1.0),
            (f64::NAN, 1.0),
            (0.0, f64::INFINITY),
        ] {
            let axis = Axis::over(low, high, 3);
            assert!(axis.low().abs() < 1e-12 && (axis.high() - 1.0).abs() < 1e-12);
        }
    }
}
