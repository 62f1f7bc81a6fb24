//! Paired proportions: score tests and intervals from pairs that differ.

/// Steps of the search for a score limit: from a width of at most 2 to below 1e-18.
const HALVINGS: u32 = 64;

/// Pairs by whether something has happened in the control and in the arm. All counts together
/// define the four cells; the arm's events are the control's, less n10, plus n01. Counts need not
/// be whole: areas between curves have effective ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pairs {
    pub(crate) patients: f64,
    pub(crate) control_events: f64,
    pub(crate) control_only: f64,
    pub(crate) arm_only: f64,
}

impl Pairs {
    pub(crate) fn both(&self) -> f64 {
        self.control_events - self.control_only
    }

    pub(crate) fn arm_events(&self) -> f64 {
        self.both() + self.arm_only
    }

    pub(crate) fn discordant(&self) -> f64 {
        self.control_only + self.arm_only
    }

    /// One minus the correlation of the two indicators; one if either is constant.
    pub(crate) fn decorrelation(&self) -> f64 {
        if self.discordant() == 0.0 {
            return 0.0;
        }
        let n = self.patients;
        let (control, arm) = (self.control_events, self.arm_events());
        let spread = (control * (n - control)).sqrt() * (arm * (n - arm)).sqrt();
        if spread == 0.0 {
            return 1.0;
        }
        1.0 - (n * self.both() - control * arm) / spread
    }

    pub(crate) fn crude_difference(&self) -> f64 {
        (self.arm_only - self.control_only) / self.patients
    }

    /// Standard error of the crude difference.
    pub(crate) fn difference_error(&self) -> f64 {
        let n = self.patients;
        root(self.discordant() / n - square(self.crude_difference())) / n.sqrt()
    }

    /// Standard error of the logarithm of the crude ratio.
    pub(crate) fn log_ratio_error(&self) -> f64 {
        (self.discordant() / (self.control_events * self.arm_events())).sqrt()
    }

    /// The score statistic of no difference (McNemar, Psychometrika 1947;12:153), standard
    /// normal; 0 if no pair differs.
    pub(crate) fn score(&self) -> f64 {
        if self.discordant() == 0.0 {
            return 0.0;
        }
        (self.arm_only - self.control_only) / self.discordant().sqrt()
    }

    /// Score interval of the crude difference (Tango, Stat Med 1998;17:891).
    pub(crate) fn difference_interval(&self, critical: f64) -> (f64, f64) {
        let crude = self.crude_difference();
        let rejects = |delta| self.rejects_difference(delta, critical);
        (limit(crude, -1.0, rejects), limit(crude, 1.0, rejects))
    }

    /// Whether the score test rejects a true difference `delta`. The nuisance parameter, the
    /// probability of an event in the control only, takes its most likely value given `delta`: the
    /// larger root of 2n·q² + b·q + c.
    fn rejects_difference(&self, delta: f64, critical: f64) -> bool {
        let n = self.patients;
        let (n10, n01) = (self.control_only, self.arm_only);
        let b = (2.0 * n + n10 - n01) * delta - n10 - n01;
        let c = -n10 * delta * (1.0 - delta);
        let q = larger_root(2.0 * n, b, c);
        let variance = n * (2.0 * q + delta * (1.0 - delta));
        square(n01 - n10 - n * delta) > square(critical) * variance
    }

    /// Score interval of the crude ratio (Nam and Blackwelder, Stat Med 2002;21:689); searched on
    /// the scale of ratio/(1 + ratio).
    pub(crate) fn ratio_interval(&self, critical: f64) -> (f64, f64) {
        let (control, arm) = (self.control_events, self.arm_events());
        let ratio = |share: f64| share / (1.0 - share);
        let rejects = |share| self.rejects_ratio(ratio(share), critical);
        let crude = arm / (control + arm);
        let (lower, upper) = (limit(crude, 0.0, rejects), limit(crude, 1.0, rejects));
        (ratio(lower), ratio(upper))
    }

    /// Whether the score test rejects a true ratio. Among the patients with an event in either,
    /// the share with it in the control only takes its most likely value given the ratio: the
    /// larger root of a quadratic; the share in the arm only follows from both.
    fn rejects_ratio(&self, ratio: f64, critical: f64) -> bool {
        let (n11, n10, n01) = (self.both(), self.control_only, self.arm_only);
        let either = n11 + n10 + n01;
        let fewer = 1.0 - ratio;
        let a = (1.0 + ratio) * either;
        let b = -(n10 + n01) - (1.0 + ratio) * fewer * (n10 + n11);
        let control_only = larger_root(a, b, n10 * fewer);
        let arm_only = (control_only - fewer) / ratio;
        let variance = either * ratio * (control_only + arm_only);
        square(n11 + n01 - ratio * (n11 + n10)) > square(critical) * variance
    }
}

/// The last value from `inside` towards `end` that is not rejected.
fn limit(inside: f64, end: f64, rejects: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (inside, end);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(inside, outside);
        if rejects(middle) {
            outside = middle;
        } else {
            inside = middle;
        }
    }
    inside
}

/// The larger root of a·x² + b·x + c, for a > 0, without cancellation.
fn larger_root(a: f64, b: f64, c: f64) -> f64 {
    let spread = root(b * b - 4.0 * a * c);
    if b > 0.0 {
        -2.0 * c / (b + spread)
    } else {
        (spread - b) / (2.0 * a)
    }
}

pub(crate) fn square(x: f64) -> f64 {
    x * x
}

/// Square root of a variance, which rounding may have left a little below zero.
pub(crate) fn root(variance: f64) -> f64 {
    if variance < 0.0 { 0.0 } else { variance.sqrt() }
}

/// Length of the difference of two vectors of the given lengths whose correlation is one minus
/// `decorrelation`; written so that nothing cancels when they are close.
pub(crate) fn distance(a: f64, b: f64, decorrelation: f64) -> f64 {
    root(square(a - b) + 2.0 * decorrelation * a * b)
}
