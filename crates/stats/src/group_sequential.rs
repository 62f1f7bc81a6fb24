//! Boundaries of group-sequential tests: how large a statistic must be at each of several looks
//! at growing data, so that all looks together reject a true null hypothesis with probability α.
//!
//! The statistics Z₁, Z₂, … of the looks are taken for standard normal under the null, with
//! correlation √(I_j/I_k) for informations I_j ≤ I_k, as those of a log-rank test are for large
//! groups (Tsiatis, Biometrika 1981;68:311); its information is proportional to the number of
//! events. An alpha-spending function says how much of α may be used by a look (Lan and DeMets,
//! Biometrika 1983;70:659), so that neither the number nor the times of looks need to be planned.
//! The boundaries follow by integrating over those who have not stopped, look after look
//! (Armitage, McPherson and Rowe, J R Stat Soc A 1969;132:235; Jennison and Turnbull, Group
//! Sequential Methods, 2000, chapter 19).
//!
//! Tests are two-sided and symmetric: each side has α/2 to spend, and ends for the other.

use std::f64::consts::{E, PI};

use crate::distribution::{normal_tail, normal_upper_quantile};

/// Beyond this many standard deviations nobody who has not stopped is looked for.
const FARTHEST: f64 = 8.0;

/// Less than this is not worth spending: the look cannot reject.
const LEAST_SPENT: f64 = 1e-15;

/// Longest panel of the quadrature, in standard deviations of the narrowest normal density in it.
const PANEL: f64 = 2.5;

/// Steps of Newton's method, of which a handful are taken.
const STEPS: u32 = 50;

/// Step of a boundary at which the search ends; the error left is about its square.
const CLOSE: f64 = 1e-8;

/// Gauss's eight points on (−1, 1), those above zero, with their weights.
const GAUSS: [(f64, f64); 4] = [
    (0.1834346424956498, 0.362683783378362),
    (0.525532409916329, 0.3137066458778873),
    (0.7966664774136267, 0.2223810344533745),
    (0.9602898564975363, 0.1012285362903763),
];

/// How much of α the looks up to a fraction of the trial may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spending {
    /// Little early, nearly all at the end: 4·(1 − Φ(z_{α/4}/√t)), whose boundaries resemble
    /// O'Brien and Fleming's (Lan and DeMets 1983).
    OBrienFleming,
    /// Evenly: α·ln(1 + (e − 1)·t), whose boundaries resemble Pocock's (the same).
    Pocock,
    /// All of α at every look, as trials do that look without a rule. It rejects too often.
    Unadjusted,
}

impl Spending {
    /// All rules, in the order of their names.
    pub const ALL: [Self; 3] = [Self::OBrienFleming, Self::Pocock, Self::Unadjusted];

    /// Name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OBrienFleming => "obrien-fleming",
            Self::Pocock => "pocock",
            Self::Unadjusted => "none",
        }
    }

    /// What the looks up to this fraction of the trial may use of the two-sided `alpha`.
    pub fn spent(self, alpha: f64, fraction: f64) -> f64 {
        if fraction >= 1.0 {
            return alpha;
        }
        match self {
            Self::OBrienFleming => {
                4.0 * normal_tail(normal_upper_quantile(alpha / 4.0) / fraction.sqrt())
            }
            Self::Pocock => alpha * core_math::log1p((E - 1.0) * fraction),
            Self::Unadjusted => alpha,
        }
    }
}

/// The boundaries of one trial after the other, look by look. A trial whose looks have the
/// informations of the trial before costs nothing.
#[derive(Debug, Clone)]
pub struct Boundaries {
    spending: Spending,
    alpha: f64,
    looks: Vec<Look>,
    /// Looks of the current trial.
    taken: usize,
}

/// A look, and those who have not stopped at it.
#[derive(Debug, Clone)]
struct Look {
    information: f64,
    spent: f64,
    boundary: f64,
    /// Points on (0, boundary) with the density of the statistic there, times the point's weight.
    /// They are placed when the information of the next look is known.
    going_on: Vec<(f64, f64)>,
}

impl Boundaries {
    /// For trials at the two-sided level `alpha`.
    pub fn new(spending: Spending, alpha: f64) -> Self {
        Self {
            spending,
            alpha,
            looks: Vec::new(),
            taken: 0,
        }
    }

    /// Turns to the first look of another trial.
    pub fn start(&mut self) {
        self.taken = 0;
    }

    /// The absolute value from which on the statistic of the next look rejects; infinite where
    /// there is nothing to spend. `information` is in any unit, such as events; `fraction` is how
    /// much of the trial is over for the spending function, 1 at the last look.
    ///
    /// # Panics
    /// If the information does not increase from look to look.
    pub fn next(&mut self, information: f64, fraction: f64) -> f64 {
        let spent = self.spending.spent(self.alpha, fraction);
        let place = self.taken;
        self.taken += 1;
        if let Some(look) = self.looks.get(place)
            && look.information.total_cmp(&information).is_eq()
            && look.spent.total_cmp(&spent).is_eq()
        {
            return look.boundary;
        }
        self.looks.truncate(place);
        let boundary = if self.spending == Spending::Unadjusted || place == 0 {
            normal_upper_quantile(spent / 2.0)
        } else {
            self.find(information, spent)
        };
        self.looks.push(Look {
            information,
            spent,
            boundary,
            going_on: Vec::new(),
        });
        boundary
    }

    /// The boundary of a look after the first.
    fn find(&mut self, information: f64, spent: f64) -> f64 {
        let last = self.looks.len() - 1;
        assert!(
            information > self.looks[last].information,
            "information grows from look to look"
        );
        self.looks[last].going_on = self.density_at(last, information);
        let look = &self.looks[last];
        let to_spend = spent - look.spent;
        if to_spend < LEAST_SPENT {
            return f64::INFINITY;
        }
        let step = Step::new(look.information, information);
        // The logarithm of the tail is concave, so Newton's method comes down from above.
        let mut boundary = look.boundary.min(FARTHEST);
        for _ in 0..STEPS {
            let tail = 2.0 * step.tail(&look.going_on, boundary);
            let density = 2.0 * step.density(&look.going_on, boundary);
            let down = core_math::log(to_spend / tail) * tail / density;
            boundary -= down;
            if down.abs() < CLOSE {
                break;
            }
        }
        boundary
    }

    /// Points at which those who go on after a look are kept for the next one.
    fn density_at(&self, place: usize, next_information: f64) -> Vec<(f64, f64)> {
        let look = &self.looks[place];
        let before = place.checked_sub(1).map(|before| &self.looks[before]);
        let from = before.map(|before| Step::new(before.information, look.information));
        let own_width = from.as_ref().map_or(1.0, |step| 1.0 / step.scale);
        let next_width = 1.0 / Step::new(look.information, next_information).slope;
        let end = look.boundary.min(FARTHEST);
        let points = gauss_panels(end, PANEL * own_width.min(next_width));
        let density = |z: f64| match (&from, before) {
            (Some(step), Some(before)) => step.density(&before.going_on, z),
            _ => normal_density(z),
        };
        points.map(|(z, weight)| (z, weight * density(z))).collect()
    }
}

/// From one look to the next: the statistic is normal around a share of what it was. In standard
/// deviations of what is new, z is `scale`·z − `slope`·(z at the look before).
struct Step {
    scale: f64,
    slope: f64,
}

impl Step {
    fn new(information: f64, next: f64) -> Self {
        let new = next - information;
        Self {
            scale: (next / new).sqrt(),
            slope: (information / new).sqrt(),
        }
    }

    /// Density at `z` of those who went on, from both sides of zero.
    fn density(&self, going_on: &[(f64, f64)], z: f64) -> f64 {
        let both = |(before, weight): &(f64, f64)| {
            let (at, shift) = (self.scale * z, self.slope * before);
            weight * (normal_density(at - shift) + normal_density(at + shift))
        };
        self.scale * going_on.iter().map(both).sum::<f64>()
    }

    /// Probability of a statistic above `z` of those who went on, from both sides of zero.
    fn tail(&self, going_on: &[(f64, f64)], z: f64) -> f64 {
        let both = |(before, weight): &(f64, f64)| {
            let (at, shift) = (self.scale * z, self.slope * before);
            weight * (normal_tail(at - shift) + normal_tail(at + shift))
        };
        going_on.iter().map(both).sum()
    }
}

fn normal_density(x: f64) -> f64 {
    core_math::exp(-0.5 * x * x) / (2.0 * PI).sqrt()
}

/// Points and weights of an integral from 0 to `end`, in panels of at most this width.
fn gauss_panels(end: f64, width: f64) -> impl Iterator<Item = (f64, f64)> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number of panels"
    )]
    let panels = (end / width).ceil().max(1.0) as u32;
    let half = end / f64::from(panels) / 2.0;
    (0..panels).flat_map(move |panel| {
        let middle = half * f64::from(2 * panel + 1);
        GAUSS.into_iter().flat_map(move |(point, weight)| {
            [-point, point].map(|point| (middle + half * point, half * weight))
        })
    })
}
