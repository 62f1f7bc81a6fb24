//! The probability of being followed.

use crate::risk::RiskTable;

/// Kaplan and Meier's curve of censoring. Who has an event at the time at which another is censored
/// has it before, so only those without events can be censored then.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Following {
    times: Vec<f64>,
    after: Vec<f64>,
}

impl Following {
    pub(crate) fn of(table: &RiskTable) -> Self {
        let mut followed = 1.0;
        let after = table.rows().map(|row| {
            let left = row.at_risk - row.all_events();
            if row.censored > 0 {
                followed *= 1.0 - row.censored as f64 / left as f64;
            }
            followed
        });
        Self {
            after: after.collect(),
            times: table.times().to_vec(),
        }
    }

    /// The probability of being followed until just before a time.
    pub(crate) fn before(&self, time: f64) -> f64 {
        self.value_after(self.times.partition_point(|step| *step < time))
    }

    /// The probability of being followed beyond a time.
    pub(crate) fn beyond(&self, time: f64) -> f64 {
        self.value_after(self.times.partition_point(|step| *step <= time))
    }

    fn value_after(&self, steps: usize) -> f64 {
        steps.checked_sub(1).map_or(1.0, |last| self.after[last])
    }
}
