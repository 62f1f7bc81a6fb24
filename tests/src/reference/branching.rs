//! All generations: given the patient, colonies found one another independently, so the
//! probability that nothing has been detected by a day is a generating functional of a branching
//! process and obeys an integral equation, solved here on a grid of days.
//!
//! Let Φ_k(u) be the probability that a colony of kind k founded on day u, and all that descends
//! from it, is undetected on day t. Its growth deviate z and founder weight W being given, what
//! it founds is an inhomogeneous Poisson process, so
//!
//! Φ_k(u) = E_z,W { 1\[N(t − u) < n_k\] · exp(−∫ from u to t of s·N(v − u)^γ·g_k(v) dv) },
//! g_k(v) = p_distant·(1 − Φ_d(v)) + α_k·φ_k·p_home·ρ·A(v)·(1 − Φ_scar(v)),
//!
//! the last term after resection only, d being the kind of distant colony that k founds. Φ_k(t)
//! is one, so the equation is solved backwards from t.

use reseed_model::scenario::Scenario;

use super::first_generation::{Gompertz, LonePrimary};

/// Patients alike, without dormancy, whose self-seeds are too few and too small by the time of
/// resection to count. Days are counted from resection.
#[derive(Debug)]
pub struct Branching<'a, A> {
    scenario: &'a Scenario,
    primary: LonePrimary<'a>,
    /// A(t)·I(t)·κ(t) after resection.
    capture: A,
    /// Growth rate of colonies founded by homing, over β.
    boosted: f64,
    step_days: f64,
}

/// Probabilities Φ on the days `first`, `first` + `step`, …, t.
#[derive(Debug)]
struct Undetected {
    first: f64,
    step: f64,
    distant: [Vec<f64>; 2],
    scar: Vec<f64>,
    focus: Vec<f64>,
}

/// How a kind of colony grows, and where it is detected.
#[derive(Debug, Clone, Copy)]
struct Kind {
    ratio: f64,
    cells: f64,
}

const NATIVE: usize = 0;
const AGGRESSIVE: usize = 1;

/// Founder weights in ln(π·W): e^(−9) of them are smaller, e^(−34) larger.
const LN_WEIGHTS: (f64, f64) = (-9.0, 3.55);
const WEIGHT_INTERVALS: u32 = 40;

impl<'a, A: Fn(f64) -> f64> Branching<'a, A> {
    /// `capture` is A·I·κ by day after resection, `boosted` the growth of colonies founded by
    /// homing, in units of β.
    ///
    /// # Panics
    /// If colonies may be dormant.
    pub fn new(
        scenario: &'a Scenario,
        size_cells: f64,
        capture: A,
        boosted: f64,
        step_days: f64,
    ) -> Self {
        assert!(scenario.dormancy.probability == 0.0);
        Self {
            scenario,
            primary: LonePrimary::new(scenario, size_cells),
            capture,
            boosted,
            step_days,
        }
    }

    /// P(neither a local nor a distant recurrence by each of `days` | M0).
    pub fn recurrence_free(&self, days: &[f64]) -> Vec<f64> {
        let enrolled = self.undetected_by(-self.scenario.local_treatment.delay_days);
        days.iter()
            .map(|&day| self.undetected_by(day) / enrolled)
            .collect()
    }

    /// P(nothing detected by a day), with everything that founds a first colony: the native
    /// tumour, its burst, and residual foci.
    fn undetected_by(&self, day: f64) -> f64 {
        let Scenario {
            shedding,
            local_treatment,
            ..
        } = self.scenario;
        let undetected = self.solve(day);
        let mixed = |at: f64| self.native_offspring(&undetected, at);
        let after = if day > 0.0 {
            let homing = shedding.aggressive_fraction * shedding.lung_filter;
            let burst = self.primary.burst((0.0, day), |at| {
                shedding.distant_probability * (1.0 - mixed(at))
                    + homing * self.home(at) * (1.0 - undetected.at(&undetected.scar, at))
            });
            let foci = local_treatment.residual_foci;
            burst + foci * (1.0 - undetected.at(&undetected.focus, 0.0))
        } else {
            0.0
        };
        self.primary.average(|age| {
            let before = shedding.distant_probability
                * self.primary.shed(age, day.min(0.0), |at| 1.0 - mixed(at));
            (-before - after).exp()
        })
    }

    /// Φ of a distant colony whose parent is native.
    fn native_offspring(&self, undetected: &Undetected, at: f64) -> f64 {
        let aggressive = self.scenario.shedding.aggressive_fraction;
        aggressive * undetected.at(&undetected.distant[AGGRESSIVE], at)
            + (1.0 - aggressive) * undetected.at(&undetected.distant[NATIVE], at)
    }

    /// p_home·ρ·A after resection.
    fn home(&self, day: f64) -> f64 {
        self.scenario.shedding.home_probability * (self.capture)(day)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of grid points"
    )]
    fn solve(&self, until: f64) -> Undetected {
        let Scenario {
            growth,
            shedding,
            detection,
            local_treatment,
            ..
        } = self.scenario;
        // Before this the native tumour was less than a cell.
        let law = self.law(1.0, 0.0);
        let oldest = law.age(-9.0, self.primary.ln_size()) + local_treatment.delay_days;
        let step = self.step_days;
        let cells = ((until + oldest) / step).ceil() as usize;
        let first = until - step * cells as f64;
        let day = |i: usize| first + step * i as f64;
        let ones = || vec![1.0; cells + 1];
        let mut undetected = Undetected {
            first,
            step,
            distant: [ones(), ones()],
            scar: ones(),
            focus: ones(),
        };
        let kinds = [
            (growth.distant_ratio, detection.distant_cells),
            (self.boosted, detection.scar_cells),
            (1.0, detection.scar_cells),
        ]
        .map(|(ratio, cells)| Kind { ratio, cells });
        let founders = |able: f64, distant: f64, scar: f64, at: usize| {
            // Homing begins within the grid: half of it counts there.
            let open = if day(at).abs() < 1e-9 {
                0.5
            } else {
                f64::from(u8::from(day(at) > 0.0))
            };
            shedding.distant_probability * (1.0 - distant)
                + if open > 0.0 {
                    open * able * self.home(day(at)) * (1.0 - scar)
                } else {
                    0.0
                }
        };
        // g of native and aggressive distant colonies, of scar colonies and of residual foci.
        let mut rates = [const { Vec::new() }; 4];
        for at in (0..=cells).rev() {
            let age = until - day(at);
            if at < cells {
                let [native, aggressive] =
                    self.mean_undetected(kinds[0], age, [&rates[0], &rates[1]]);
                undetected.distant[NATIVE][at] = native;
                undetected.distant[AGGRESSIVE][at] = aggressive;
                if day(at) > -1e-9 {
                    [undetected.scar[at], _] =
                        self.mean_undetected(kinds[1], age, [&rates[2], &[]]);
                    [undetected.focus[at], _] =
                        self.mean_undetected(kinds[2], age, [&rates[3], &[]]);
                }
            }
            let able = shedding.aggressive_fraction;
            let filter = shedding.lung_filter;
            let [native, aggressive] = [NATIVE, AGGRESSIVE].map(|k| undetected.distant[k][at]);
            let mixed = able * aggressive + (1.0 - able) * native;
            let scar = undetected.scar[at];
            rates[0].push(founders(able, mixed, scar, at));
            rates[1].push(founders(1.0, aggressive, scar, at));
            rates[2].push(founders(filter, aggressive, scar, at));
            rates[3].push(founders(able * filter, mixed, scar, at));
        }
        undetected
    }

    fn law(&self, ratio: f64, z: f64) -> Gompertz {
        Gompertz {
            ln_plateau: self.scenario.growth.plateau_cells.ln(),
            rate_per_day: self.scenario.population.growth_median_per_day
                * ratio
                * (self.scenario.growth.colony_sigma * z).exp(),
        }
    }

    /// Φ of colonies of one growth but two kinds of offspring, at an age on day t, from the
    /// founders' weights g on the days before t: the last is that of the day after founding.
    fn mean_undetected(&self, kind: Kind, age: f64, rates: [&[f64]; 2]) -> [f64; 2] {
        if self.scenario.growth.colony_sigma == 0.0 {
            return self.undetected_at_rate(&self.law(kind.ratio, 0.0), kind.cells, age, rates);
        }
        // The trapezoidal rule is exact but for e^(−2π²/h²) with a Gaussian weight.
        let step = 0.4;
        let mut mean = [0.0; 2];
        for i in -13..=13 {
            let z = step * f64::from(i);
            let weight = step * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let law = self.law(kind.ratio, z);
            let given = self.undetected_at_rate(&law, kind.cells, age, rates);
            mean[0] += weight * given[0];
            mean[1] += weight * given[1];
        }
        mean
    }

    /// The same at one growth rate.
    fn undetected_at_rate(
        &self,
        law: &Gompertz,
        cells: f64,
        age: f64,
        rates: [&[f64]; 2],
    ) -> [f64; 2] {
        let establishment = self.scenario.growth.establishment;
        // A heavier founder has been detected.
        let heaviest = law.ln_weight(cells.ln(), age) + establishment.ln();
        let (least, most) = (LN_WEIGHTS.0, LN_WEIGHTS.1.min(heaviest));
        if most <= least {
            return [-(-heaviest.exp()).exp_m1(); 2];
        }
        let gamma = self.scenario.shedding.exponent;
        let points = rates[0].len();
        // Age on each grid day after founding, the youngest last as in `rates`; what is shed on
        // the day of founding is no more than W^γ and left out.
        let slowing: Vec<f64> = (0..points)
            .map(|i| (-law.rate_per_day * (age - self.step_days * i as f64)).exp())
            .collect();
        let shed_scale = self.scenario.population.shedding_median_per_day * self.step_days;
        let free = |ln_scaled: f64| {
            let deficit = law.ln_plateau - (ln_scaled - establishment.ln());
            let mut means = [0.0; 2];
            for (i, slowing) in slowing.iter().enumerate() {
                let ends = if i == 0 { 0.5 } else { 1.0 };
                let flux = ends * (gamma * (law.ln_plateau - deficit * slowing)).exp();
                for (mean, rates) in means.iter_mut().zip(rates) {
                    *mean += flux * rates.get(i).copied().unwrap_or(0.0);
                }
            }
            means.map(|mean| (-shed_scale * mean).exp())
        };
        let width = (most - least) / f64::from(WEIGHT_INTERVALS);
        let mut sum = free(least).map(|value| value * -(-least.exp()).exp_m1());
        for i in 0..=WEIGHT_INTERVALS {
            let ln_scaled = least + width * f64::from(i);
            let simpson = match i {
                0 | WEIGHT_INTERVALS => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            // Density of ln(π·W).
            let weight = simpson * width / 3.0 * (ln_scaled - ln_scaled.exp()).exp();
            let given = free(ln_scaled);
            sum[0] += weight * given[0];
            sum[1] += weight * given[1];
        }
        sum
    }
}

impl Undetected {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "days lie on the grid's span"
    )]
    fn at(&self, values: &[f64], day: f64) -> f64 {
        let position = ((day - self.first) / self.step).max(0.0);
        let index = (position as usize).min(values.len() - 2);
        let part = position - index as f64;
        values[index] * (1.0 - part) + values[index + 1] * part
    }
}
