//! The running integral of an inhibition over time (section 6).
//!
//! Between kinks an inhibition is smooth. Under equal doses at equal intervals its integral over
//! an interval approaches a limit geometrically, so only the first intervals of a run are worked
//! out; the rest follow from the limit and the ratio.

/// An inhibition, 0 to 1, of one patient.
pub(crate) trait Inhibition {
    /// Day after which it is zero, if it ends after the last kink.
    fn until_day(&self) -> f64;
    /// Fastest rate at which it relaxes after a kink, per day; zero if it is constant.
    fn fastest_per_day(&self) -> f64;
    /// The inhibition as a function of the days since `day`, up to the next kink.
    fn from(&self, day: f64) -> impl Fn(f64) -> f64;
}

/// A run of equal intervals between kinks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    start: f64,
    length: f64,
    count: u32,
}

/// The kinks of an inhibition, the same in every patient.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schedule {
    runs: Vec<Run>,
    first: f64,
    last: f64,
}

impl Schedule {
    /// From sorted kinks, at least one.
    pub(crate) fn new(kinks: &[f64]) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for pair in kinks.windows(2) {
            let length = pair[1] - pair[0];
            match runs.last_mut() {
                Some(run) if (run.length - length).abs() < 1e-9 * length => run.count += 1,
                _ => runs.push(Run {
                    start: pair[0],
                    length,
                    count: 1,
                }),
            }
        }
        Self {
            runs,
            first: kinks[0],
            last: kinks[kinks.len() - 1],
        }
    }
}

/// Integrals of one patient's inhibition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    runs: Vec<RunIntegral>,
    /// Integral up to the last kink, and over all time.
    before_last: f64,
    total: f64,
    until_day: f64,
    fastest_per_day: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct RunIntegral {
    before: f64,
    /// Integral over the first intervals, from none up.
    first: Vec<f64>,
    limit: f64,
    /// Distance of the last of the first intervals from the limit, and the ratio from each
    /// interval's distance to the next.
    distance: f64,
    ratio: f64,
}

/// An estimate of the limit is trusted when it repeats to this share of the interval. Estimates
/// converge twice as fast as the integrals, so over a year the error is far below the 0.01 day
/// asked for.
const LIMIT_TOLERANCE: f64 = 1e-5;

impl Profile {
    pub(crate) fn new(schedule: &Schedule, inhibition: &impl Inhibition) -> Self {
        let fastest_per_day = inhibition.fastest_per_day();
        let mut total = 0.0;
        let mut runs = Vec::with_capacity(schedule.runs.len());
        for run in &schedule.runs {
            let integral = RunIntegral::new(run, total, fastest_per_day, inhibition);
            total = integral.until(run.count);
            runs.push(integral);
        }
        let until_day = inhibition.until_day();
        Self {
            runs,
            before_last: total,
            total: total + integral(schedule.last, until_day, fastest_per_day, inhibition),
            until_day,
            fastest_per_day,
        }
    }

    /// Integral up to a day.
    pub(crate) fn until(&self, schedule: &Schedule, inhibition: &impl Inhibition, day: f64) -> f64 {
        if day <= schedule.first {
            return 0.0;
        }
        if day >= schedule.last.max(self.until_day) {
            return self.total;
        }
        if day >= schedule.last {
            return self.before_last
                + integral(schedule.last, day, self.fastest_per_day, inhibition);
        }
        let at = schedule.runs.partition_point(|run| run.start <= day) - 1;
        let run = &schedule.runs[at];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between zero and the number of intervals"
        )]
        let whole = (((day - run.start) / run.length) as u32).min(run.count - 1);
        let start = run.start + f64::from(whole) * run.length;
        self.runs[at].until(whole) + integral(start, day, self.fastest_per_day, inhibition)
    }
}

impl RunIntegral {
    fn new(run: &Run, before: f64, fastest_per_day: f64, inhibition: &impl Inhibition) -> Self {
        let mut this = Self {
            before,
            first: vec![0.0],
            limit: 0.0,
            distance: 0.0,
            ratio: 0.0,
        };
        let mut last = f64::NAN;
        let mut change = f64::NAN;
        let mut limit = f64::NAN;
        for interval in 0..run.count {
            let start = run.start + f64::from(interval) * run.length;
            let integral = integral(start, start + run.length, fastest_per_day, inhibition);
            this.first.push(this.first[this.first.len() - 1] + integral);
            let next_change = integral - last;
            let ratio = if next_change == 0.0 {
                0.0
            } else {
                next_change / change
            };
            let distance = next_change * ratio / (1.0 - ratio);
            let next_limit = integral + distance;
            let settled = (next_limit - limit).abs() < LIMIT_TOLERANCE * run.length;
            (last, change, limit) = (integral, next_change, next_limit);
            if settled && (0.0..1.0).contains(&ratio) {
                (this.limit, this.distance, this.ratio) = (limit, distance, ratio);
                break;
            }
        }
        this
    }

    /// Integral from long ago over this many of the run's intervals.
    fn until(&self, intervals: u32) -> f64 {
        let known = self.first.len() - 1;
        let intervals = intervals as usize;
        if intervals <= known {
            return self.before + self.first[intervals];
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            reason = "schedules are limited"
        )]
        let further = (intervals - known) as i32;
        let mut power = 1.0;
        if self.ratio > 0.0 {
            power = crate::math::exp(f64::from(further) * crate::math::ln(self.ratio));
        }
        let shortfall = self.distance * self.ratio * (1.0 - power) / (1.0 - self.ratio);
        self.before + self.first[known] + f64::from(further) * self.limit - shortfall
    }
}

/// Integral between two days within one smooth stretch: panels grow geometrically from a
/// fraction of the fastest time.
fn integral(from: f64, to: f64, fastest_per_day: f64, inhibition: &impl Inhibition) -> f64 {
    if to <= from {
        return 0.0;
    }
    let value = inhibition.from(from);
    let total_length = to - from;
    let mut total = 0.0;
    let mut start = 0.0;
    let mut length = if fastest_per_day > 0.0 {
        FIRST_PANEL / fastest_per_day
    } else {
        total_length
    };
    while start < total_length {
        let end = if start + 1.5 * length >= total_length {
            total_length
        } else {
            start + length
        };
        total += gauss_legendre(start, end, &value);
        start = end;
        length *= PANEL_GROWTH;
    }
    total
}

/// First panel, in units of the fastest time, and growth from panel to panel.
const FIRST_PANEL: f64 = 1.5;
const PANEL_GROWTH: f64 = 3.0;

/// Four-point Gauss–Legendre rule.
fn gauss_legendre(from: f64, to: f64, value: &impl Fn(f64) -> f64) -> f64 {
    const NODES: [(f64, f64); 2] = [
        (0.339_981_043_584_856_3, 0.652_145_154_862_546_1),
        (0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
    ];
    let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
    let mut sum = 0.0;
    for (node, weight) in &NODES {
        sum += weight * (value(middle - half * node) + value(middle + half * node));
    }
    half * sum
}
