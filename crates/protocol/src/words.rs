//! How a report's numbers are told to people: the same on a terminal and on the web page.

use std::fmt;

use crate::status::{Counts, Estimate, LeaseReport, Phase, StatusReport};

const MINUTE_SECONDS: u64 = 60;
const HOUR_SECONDS: u64 = 60 * MINUTE_SECONDS;
const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;

/// A number with its thousands grouped: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number that is not negative, rounded, with its thousands grouped.
pub fn rounded(number: f64) -> String {
    grouped(whole(number))
}

/// The nearest whole number; 0 for what is negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// How much of a whole, rounded down, so that only what is complete has 100 %: `59.2 %`.
pub fn percent(part: u64, whole: u64) -> String {
    let per_mille = u128::from(part) * 1000 / u128::from(whole.max(1));
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

/// A time in its two largest units: `7 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`.
pub fn duration(seconds: f64) -> String {
    let seconds = whole(seconds);
    let (large, small) = match seconds {
        0..MINUTE_SECONDS => return format!("{seconds} s"),
        MINUTE_SECONDS..HOUR_SECONDS => ((MINUTE_SECONDS, "min"), (1, "s")),
        HOUR_SECONDS..DAY_SECONDS => ((HOUR_SECONDS, "h"), (MINUTE_SECONDS, "min")),
        _ => ((DAY_SECONDS, "d"), (HOUR_SECONDS, "h")),
    };
    let rest = seconds % large.0 / small.0;
    let whole = format!("{} {}", grouped(seconds / large.0), large.1);
    if rest == 0 {
        return whole;
    }
    format!("{whole} {rest} {}", small.1)
}

/// A difference in percentage points: `-2.354`.
pub fn points(difference: f64) -> String {
    format!("{difference:+.3}")
}

/// `1 worker`, `2 workers`: a count with its noun, which has a plural in s.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Merging => "writing the result",
            Self::Finished => "finished",
            Self::Failed => "failed",
        })
    }
}

impl Phase {
    /// Whether nothing will change any more.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Finished | Self::Failed)
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.numbers())
    }
}

impl Estimate {
    /// The estimate without what it is of.
    pub fn numbers(&self) -> String {
        format!(
            "{} points (95 % interval {} to {})",
            points(self.difference),
            points(self.lower),
            points(self.upper)
        )
    }
}

impl Counts {
    /// What there is to count, with names.
    pub fn named(&self) -> [(&'static str, u64); 12] {
        [
            ("shards open", self.shards_open),
            ("shards leased", self.shards_leased),
            ("shards committed", self.shards_committed),
            ("audits open", self.audits_open),
            ("audits passed", self.audits_passed),
            ("audits skipped", self.audits_skipped),
            ("leases lost", self.leases_lost),
            ("leases handed back", self.leases_released),
            ("leases given twice", self.leases_repeated),
            ("failures", self.failures),
            ("parts delivered twice", self.duplicates),
            ("parts refused", self.parts_refused),
        ]
    }
}

impl StatusReport {
    /// The time that is left, if anybody can tell and it matters still.
    pub fn time_left(&self) -> Option<String> {
        let running = self.phase == Phase::Running;
        self.seconds_left.filter(|_| running).map(duration)
    }

    /// How many workers are not listed, if there are any.
    pub fn more_workers(&self) -> Option<String> {
        let more = u64::from(self.workers_unlisted);
        (more > 0).then(|| format!("and {}", counted(more, "more worker")))
    }

    /// Why nothing is computed, as long as that may be a surprise.
    pub fn idle_reason(&self) -> Option<&str> {
        let running = self.phase == Phase::Running;
        self.idle.as_deref().filter(|_| running)
    }
}

impl LeaseReport {
    /// Its first and last patient.
    pub fn patients(&self) -> String {
        let last = self.range.end.saturating_sub(1);
        format!("{} to {}", grouped(self.range.start), grouped(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (123_456, "123,456"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(rounded(1234.5), "1,235");
        assert_eq!(rounded(f64::NAN), "0");
        assert_eq!(counted(1, "worker"), "1 worker");
        assert_eq!(counted(2_000, "worker"), "2,000 workers");
    }

    #[test]
    fn only_a_whole_has_a_hundred_per_cent() {
        assert_eq!(percent(0, 0), "0.0 %");
        assert_eq!(percent(592, 1000), "59.2 %");
        assert_eq!(percent(999_999, 1_000_000), "99.9 %");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0 %");
    }

    #[test]
    fn times_have_their_two_largest_units() {
        for (seconds, text) in [
            (-1.0, "0 s"),
            (f64::NAN, "0 s"),
            (59.4, "59 s"),
            (59.5, "1 min"),
            (200.0, "3 min 20 s"),
            (7_500.0, "2 h 5 min"),
            (356_400.0, "4 d 3 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        assert!(duration(f64::INFINITY).ends_with("d 7 h"));
    }

    #[test]
    fn an_estimate_has_its_sign_and_its_interval() {
        let estimate = Estimate {
            label: "recurrence, a against b".into(),
            difference: -2.3541,
            lower: -2.375,
            upper: 0.5,
        };
        assert_eq!(
            estimate.to_string(),
            "recurrence, a against b: -2.354 points (95 % interval -2.375 to +0.500)"
        );
    }
}
