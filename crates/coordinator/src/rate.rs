//! How fast something grows, lately.

use std::collections::VecDeque;

use crate::message::Millis;

/// How far back to look, ms.
const WINDOW_MS: u64 = 30_000;
/// Between two samples, ms.
const SAMPLE_EVERY_MS: u64 = 1_000;

/// A growing count, sampled now and then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Millis, u64)>,
}

impl Rate {
    /// Notes how large the count is now. Counts that fall (a lost shard) only lower the rate.
    pub(crate) fn note(&mut self, count: u64, now: Millis) {
        if let Some((at, _)) = self.samples.back()
            && now.0.saturating_sub(at.0) < SAMPLE_EVERY_MS
        {
            return;
        }
        self.samples.push_back((now, count));
        while let Some((at, _)) = self.samples.get(1)
            && now.0.saturating_sub(at.0) >= WINDOW_MS
        {
            self.samples.pop_front();
        }
    }

    /// Growth in a second over the samples; 0 before there are two.
    pub(crate) fn per_second(&self) -> f64 {
        let (Some((from, before)), Some((to, after))) = (self.samples.front(), self.samples.back())
        else {
            return 0.0;
        };
        let ms = to.0.saturating_sub(from.0);
        if ms == 0 {
            return 0.0;
        }
        after.saturating_sub(*before) as f64 * 1000.0 / ms as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_growth_is_measured_over_the_window() {
        let mut rate = Rate::default();
        assert!(rate.per_second().abs() < f64::EPSILON);
        for second in 0..100u64 {
            rate.note(second * 50, Millis(second * 1000));
        }
        assert!((rate.per_second() - 50.0).abs() < 1e-9);
        assert!(rate.samples.len() <= 32);
    }

    #[test]
    fn what_was_lost_does_not_make_a_negative_rate() {
        let mut rate = Rate::default();
        rate.note(100, Millis(0));
        rate.note(20, Millis(2000));
        assert!(rate.per_second().abs() < f64::EPSILON);
    }
}
