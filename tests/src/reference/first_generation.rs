//! First-generation limit: when only the primary's founders matter, every probability is a
//! quadrature (section 9 of the model description), computed here without any simulation.

use reseed_model::scenario::{LocalTreatmentKind, Scenario};

/// Gompertz growth in logarithms of cell numbers.
#[derive(Debug, Clone, Copy)]
pub struct Gompertz {
    /// ln K.
    pub ln_plateau: f64,
    /// β, per day.
    pub rate_per_day: f64,
}

impl Gompertz {
    /// ln N at `age` days from ln W.
    pub fn ln_cells(&self, ln_weight: f64, age: f64) -> f64 {
        self.ln_plateau - (self.ln_plateau - ln_weight) * (-self.rate_per_day * age).exp()
    }

    /// Days from ln W to ln N.
    pub fn age(&self, ln_weight: f64, ln_cells: f64) -> f64 {
        ((self.ln_plateau - ln_weight) / (self.ln_plateau - ln_cells)).ln() / self.rate_per_day
    }

    /// ln W of the founder that has reached ln N at `age`.
    pub fn ln_weight(&self, ln_cells: f64, age: f64) -> f64 {
        self.ln_plateau - (self.ln_plateau - ln_cells) * (self.rate_per_day * age).exp()
    }
}

/// Simpson's rule with an even number of intervals.
///
/// # Panics
/// If the number is odd.
pub fn simpson(f: impl Fn(f64) -> f64, (from, to): (f64, f64), intervals: u32) -> f64 {
    assert!(intervals.is_multiple_of(2));
    let width = (to - from) / f64::from(intervals);
    let inner: f64 = (1..intervals)
        .map(|i| {
            let weight = if i % 2 == 1 { 4.0 } else { 2.0 };
            weight * f(from + width * f64::from(i))
        })
        .sum();
    (f(from) + inner + f(to)) * width / 3.0
}

/// Distribution of the time from founding to detection of one kind of colony.
#[derive(Debug, Clone)]
pub struct Maturation {
    /// P(detected within `i` grid steps of waking).
    awake: Vec<f64>,
    grid_days: f64,
    dormant: f64,
    waking_per_day: f64,
    excess: f64,
    window_days: f64,
}

impl Maturation {
    const GRID_DAYS: f64 = 0.5;

    /// Colonies of growth rate β·`ratio` (before spread), detected at `cells`, over `days`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of grid points"
    )]
    pub fn new(scenario: &Scenario, ratio: f64, cells: f64, days: f64) -> Self {
        let growth = &scenario.growth;
        let dormancy = &scenario.dormancy;
        let by_age = |age: f64| {
            let given_spread = |z: f64| {
                let law = Gompertz {
                    ln_plateau: growth.plateau_cells.ln(),
                    rate_per_day: scenario.population.growth_median_per_day
                        * ratio
                        * (growth.colony_sigma * z).exp(),
                };
                // W is exponential with mean 1/π, and a larger W is earlier.
                (-growth.establishment * law.ln_weight(cells.ln(), age).exp()).exp()
            };
            if growth.colony_sigma > 0.0 {
                let density = |z: f64| (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
                simpson(|z| density(z) * given_spread(z), (-8.0, 8.0), 160)
            } else {
                given_spread(0.0)
            }
        };
        let points = (days / Self::GRID_DAYS).ceil() as u32 + 2;
        Self {
            awake: (0..points)
                .map(|i| by_age(f64::from(i) * Self::GRID_DAYS))
                .collect(),
            grid_days: Self::GRID_DAYS,
            dormant: dormancy.probability,
            waking_per_day: dormancy.waking_per_day,
            excess: if scenario.local_treatment.kind == LocalTreatmentKind::Surgery {
                dormancy.surgery_excess
            } else {
                0.0
            },
            window_days: dormancy.surgery_window_days,
        }
    }

    /// P(detected within `age` days of waking).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ages lie on the grid's span"
    )]
    fn awake(&self, age: f64) -> f64 {
        if age <= 0.0 {
            return 0.0;
        }
        let position = age / self.grid_days;
        let index = position as usize;
        let part = position - index as f64;
        self.awake[index] * (1.0 - part) + self.awake[index + 1] * part
    }

    /// Integrated waking hazard from `founded` to `now`, both from resection.
    fn waking(&self, founded: f64, now: f64) -> f64 {
        let woken = now.min(self.window_days) - founded.max(0.0);
        self.waking_per_day * (now - founded + self.excess * woken.max(0.0))
    }

    /// P(detected by `now` | founded at `founded`), both in days from resection.
    pub fn by(&self, founded: f64, now: f64) -> f64 {
        let age = now - founded;
        if age <= 0.0 {
            return 0.0;
        }
        let mut probability = (1.0 - self.dormant) * self.awake(age);
        if self.dormant * self.waking_per_day > 0.0 {
            // Breaks where the hazard jumps keep Simpson's rule accurate.
            let mut breaks = vec![founded, now];
            breaks.extend(
                [0.0, self.window_days]
                    .into_iter()
                    .filter(|&b| b > founded && b < now),
            );
            breaks.sort_by(f64::total_cmp);
            for pair in breaks.windows(2) {
                let inside = f64::midpoint(pair[0], pair[1]);
                let woken = inside > 0.0 && inside < self.window_days;
                let hazard = self.waking_per_day * if woken { 1.0 + self.excess } else { 1.0 };
                let wakes =
                    |at: f64| hazard * (-self.waking(founded, at)).exp() * self.awake(now - at);
                probability += self.dormant * simpson(wakes, (pair[0], pair[1]), 400);
            }
        }
        probability
    }
}

/// The primary alone: nothing homes, and what it founds is too small to found in its turn.
/// Every patient has the median covariates.
#[derive(Debug)]
pub struct LonePrimary<'a> {
    scenario: &'a Scenario,
    law: Gompertz,
    ln_size: f64,
}

impl<'a> LonePrimary<'a> {
    /// A primary of `size_cells` at diagnosis.
    pub fn new(scenario: &'a Scenario, size_cells: f64) -> Self {
        let law = Gompertz {
            ln_plateau: scenario.growth.plateau_cells.ln(),
            rate_per_day: scenario.population.growth_median_per_day,
        };
        Self {
            scenario,
            law,
            ln_size: size_cells.ln(),
        }
    }

    /// ln of its cells at diagnosis.
    pub fn ln_size(&self) -> f64 {
        self.ln_size
    }

    /// P(T_dx ≤ `days`): the law of W seen through the growth curve.
    pub fn diagnosed_by(&self, days: f64) -> f64 {
        let ln_weight = self.law.ln_weight(self.ln_size, days);
        (-self.scenario.growth.establishment * ln_weight.exp()).exp()
    }

    /// s·N^γ, `day` counted from resection and negative.
    pub fn flux(&self, day: f64) -> f64 {
        let age = day + self.scenario.local_treatment.delay_days;
        self.scenario.population.shedding_median_per_day
            * (self.scenario.shedding.exponent * self.law.ln_cells(self.ln_size, age)).exp()
    }

    /// Size relative to the size at diagnosis, at most 1.
    pub fn capture(&self, day: f64) -> f64 {
        let age = day + self.scenario.local_treatment.delay_days;
        (self.law.ln_cells(self.ln_size, age) - self.ln_size)
            .exp()
            .min(1.0)
    }

    /// ∫ flux·`weight` over the primary's life until `until` (days from resection, not positive),
    /// for a native colony that was founded `age` days before diagnosis.
    pub fn shed(&self, age: f64, until: f64, weight: impl Fn(f64) -> f64) -> f64 {
        let delay = self.scenario.local_treatment.delay_days;
        let born = -delay - age;
        let part =
            |from: f64, to: f64| simpson(|day| self.flux(day) * weight(day), (from, to), 400);
        // The capture has a corner at diagnosis.
        if until > -delay {
            part(born, -delay) + part(-delay, until)
        } else {
            part(born, until)
        }
    }

    /// ∫ of the perioperative burst·`weight` between two days from resection, between which the
    /// weight is smooth. Only surgery has one.
    pub fn burst(&self, (from, to): (f64, f64), weight: impl Fn(f64) -> f64) -> f64 {
        let treatment = &self.scenario.local_treatment;
        let end = to.min(40.0 * treatment.burst_days);
        if end <= from || treatment.kind == LocalTreatmentKind::Radiotherapy {
            return 0.0;
        }
        let at_once = self.flux(0.0) * treatment.burst_fold;
        simpson(
            |day| at_once * (-day / treatment.burst_days).exp() * weight(day),
            (from, end),
            400,
        )
    }

    /// Averages `f` over the age of the native colony at diagnosis, that is over its W.
    pub fn average(&self, f: impl Fn(f64) -> f64) -> f64 {
        // Equal steps in P(W ≤ w), at their middles. The age only says where the integral of the
        // flux begins, when there is hardly any, so few steps do.
        let steps = 16;
        (0..steps)
            .map(|i| {
                let probability = (f64::from(i) + 0.5) / f64::from(steps);
                let weight = -(-probability).ln_1p() / self.scenario.growth.establishment;
                f(self.law.age(weight.ln(), self.ln_size))
            })
            .sum::<f64>()
            / f64::from(steps)
    }

    /// Mean number of distant colonies detected by `day` (from resection), given the age.
    pub fn distant_mean(&self, maturation: &Maturation, age: f64, day: f64) -> f64 {
        let found = |at: f64| maturation.by(at, day);
        self.scenario.shedding.distant_probability
            * (self.shed(age, day.min(0.0), found) + self.burst((0.0, day), found))
    }

    /// P(no distant recurrence by each of `days` | none at diagnosis).
    pub fn distant_free(&self, maturation: &Maturation, days: &[f64]) -> Vec<f64> {
        let delay = self.scenario.local_treatment.delay_days;
        let free = |day: f64| self.average(|age| (-self.distant_mean(maturation, age, day)).exp());
        let enrolled = free(-delay);
        days.iter().map(|&day| free(day) / enrolled).collect()
    }

    /// P(enrolled).
    pub fn enrolled(&self, maturation: &Maturation) -> f64 {
        let delay = self.scenario.local_treatment.delay_days;
        self.average(|age| (-self.distant_mean(maturation, age, -delay)).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::{quiet, set_size_cells};

    #[test]
    fn growth_inverts() {
        let law = Gompertz {
            ln_plateau: 23.0,
            rate_per_day: 0.01,
        };
        let age = law.age(1.2, 15.0);
        assert!((law.ln_cells(1.2, age) - 15.0).abs() < 1e-12);
        assert!((law.ln_weight(15.0, age) - 1.2).abs() < 1e-12);
    }

    #[test]
    fn dormancy_alone_is_exponential() {
        // Growth so fast that waking is all that takes time.
        let mut scenario = quiet();
        scenario.population.growth_median_per_day = 5.0;
        scenario.dormancy.probability = 1.0;
        scenario.dormancy.waking_per_day = 0.01;
        let maturation = Maturation::new(&scenario, 1.0, 1e5, 400.0);
        let exact = 1.0 - (-0.01_f64 * 200.0).exp();
        assert!((maturation.by(10.0, 210.0) - exact).abs() < 5e-3);
        scenario.dormancy.surgery_excess = 2.0;
        scenario.dormancy.surgery_window_days = 30.0;
        let maturation = Maturation::new(&scenario, 1.0, 1e5, 400.0);
        let exact = 1.0 - (-0.01_f64 * (200.0 + 60.0)).exp();
        assert!((maturation.by(-50.0, 150.0) - exact).abs() < 5e-3);
    }

    #[test]
    fn exponential_limit_is_reached() {
        // N = N_dx·e^(rt): the integral of the flux is known, and so is the first recurrence.
        let mut scenario = quiet();
        scenario.growth.plateau_cells = 1e250;
        scenario.population.growth_median_per_day = 0.05 / 250.0 / std::f64::consts::LN_10;
        scenario.shedding.exponent = 1.0;
        scenario.local_treatment.delay_days = 0.0;
        set_size_cells(&mut scenario, 1e6);
        let primary = LonePrimary::new(&scenario, 1e6);
        let shed = primary.shed(1000.0, 0.0, |_| 1.0);
        assert!((shed / (1e6 / 0.05) - 1.0).abs() < 0.03, "{shed}");
    }
}
