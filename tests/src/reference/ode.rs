//! Ordinary differential equations: an adaptive solver, and the two that the model has.

use reseed_model::scenario::{Dosed, Route};

/// Integrates `slope` from `from` to `to` with the Dormand–Prince pair of orders 5 and 4 and
/// returns the state. Steps adapt so that the local error of every component stays below
/// `tolerance` times the largest component seen plus `tolerance` times its own size.
pub fn integrate<const N: usize>(
    slope: impl Fn(f64, &[f64; N]) -> [f64; N],
    (from, to): (f64, f64),
    start: [f64; N],
    tolerance: f64,
) -> [f64; N] {
    let mut state = start;
    let mut time = from;
    let mut step = (to - from) / 64.0;
    while to - time > 1e-12 * to.abs().max(1.0) {
        step = step.min(to - time);
        let (next, error) = dormand_prince(&slope, time, &state, step);
        let scale = next
            .iter()
            .chain(&state)
            .fold(1e-300_f64, |largest, x| largest.max(x.abs()));
        let ratio = error.iter().fold(0.0_f64, |worst, e| worst.max(e.abs())) / (tolerance * scale);
        if ratio <= 1.0 {
            time += step;
            state = next;
        }
        step *= (0.9 * ratio.max(1e-10).powf(-0.2)).clamp(0.2, 5.0);
    }
    state
}

fn dormand_prince<const N: usize>(
    slope: &impl Fn(f64, &[f64; N]) -> [f64; N],
    time: f64,
    state: &[f64; N],
    step: f64,
) -> ([f64; N], [f64; N]) {
    const NODES: [f64; 6] = [0.2, 0.3, 0.8, 8.0 / 9.0, 1.0, 1.0];
    const WEIGHTS: [[f64; 6]; 6] = [
        [0.2, 0.0, 0.0, 0.0, 0.0, 0.0],
        [3.0 / 40.0, 9.0 / 40.0, 0.0, 0.0, 0.0, 0.0],
        [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0, 0.0, 0.0, 0.0],
        [
            19372.0 / 6561.0,
            -25360.0 / 2187.0,
            64448.0 / 6561.0,
            -212.0 / 729.0,
            0.0,
            0.0,
        ],
        [
            9017.0 / 3168.0,
            -355.0 / 33.0,
            46732.0 / 5247.0,
            49.0 / 176.0,
            -5103.0 / 18656.0,
            0.0,
        ],
        [
            35.0 / 384.0,
            0.0,
            500.0 / 1113.0,
            125.0 / 192.0,
            -2187.0 / 6784.0,
            11.0 / 84.0,
        ],
    ];
    const ERROR: [f64; 7] = [
        71.0 / 57600.0,
        0.0,
        -71.0 / 16695.0,
        71.0 / 1920.0,
        -17253.0 / 339200.0,
        22.0 / 525.0,
        -1.0 / 40.0,
    ];
    let mut slopes = [[0.0; N]; 7];
    slopes[0] = slope(time, state);
    let mut next = *state;
    for (stage, weights) in WEIGHTS.iter().enumerate() {
        next = std::array::from_fn(|i| {
            let moved: f64 = weights
                .iter()
                .zip(&slopes)
                .map(|(weight, k)| weight * k[i])
                .sum();
            state[i] + step * moved
        });
        slopes[stage + 1] = slope(time + NODES[stage] * step, &next);
    }
    let error = std::array::from_fn(|i| {
        step * ERROR
            .iter()
            .zip(&slopes)
            .map(|(weight, k)| weight * k[i])
            .sum::<f64>()
    });
    (next, error)
}

/// A drug in one patient, with every parameter given.
#[derive(Debug, Clone)]
pub struct DrugInPatient<'a> {
    /// The drug: schedule and route; its medians are not used.
    pub dosed: &'a Dosed,
    /// Body weight, kg.
    pub weight_kg: f64,
    /// Clearance, L/day.
    pub clearance_l_per_day: f64,
    /// Central volume, L.
    pub central_l: f64,
    /// Peripheral volume, L, and exchange, L/day.
    pub peripheral: Option<(f64, f64)>,
    /// Absorption rate, per day.
    pub absorption_per_day: f64,
}

impl DrugInPatient<'_> {
    /// Plasma concentrations at increasing `days`, mg/L. At the instant of a bolus the dose is in.
    ///
    /// # Panics
    /// If the drug has two doses so close that they cannot be told apart.
    pub fn concentrations(&self, days: &[f64], tolerance: f64) -> Vec<f64> {
        let breaks = self.breaks(days);
        let mut state = [0.0; 3];
        let mut found = Vec::with_capacity(days.len());
        let mut next = 0;
        for (index, &at) in breaks.iter().enumerate() {
            let since = index
                .checked_sub(1)
                .map_or(f64::NEG_INFINITY, |i| breaks[i]);
            for (amount, _) in self.doses().filter(|&(_, day)| day > since && day <= at) {
                match self.dosed.route {
                    Route::Bolus => state[1] += amount,
                    Route::Absorption {
                        bioavailability, ..
                    } => state[0] += bioavailability * amount,
                    Route::Infusion { .. } => {}
                }
            }
            while next < days.len() && days[next] <= at {
                found.push(state[1] / self.central_l);
                next += 1;
            }
            if let Some(&until) = breaks.get(index + 1) {
                let infused = self.infused(f64::midpoint(at, until));
                let slope = |_: f64, amounts: &[f64; 3]| self.slope(amounts, infused);
                state = integrate(slope, (at, until), state, tolerance);
            }
        }
        assert_eq!(found.len(), days.len());
        found
    }

    /// Days at which something is read, given or ends.
    fn breaks(&self, days: &[f64]) -> Vec<f64> {
        let mut breaks: Vec<f64> = days.to_vec();
        for (_, day) in self.doses() {
            breaks.push(day);
            if let Route::Infusion { days } = self.dosed.route {
                breaks.push(day + days);
            }
        }
        breaks.sort_by(f64::total_cmp);
        breaks.dedup();
        breaks
    }

    /// Amount, mg, and day of every dose.
    fn doses(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        use reseed_model::scenario::Amount;
        self.dosed.schedule.iter().flat_map(|block| {
            let amount = match block.amount {
                Amount::Milligrams(amount) => amount,
                Amount::MilligramsPerKilogram(amount) => amount * self.weight_kg,
            };
            (0..block.doses).map(move |dose| {
                (
                    amount,
                    block.first_day + block.interval_days * f64::from(dose),
                )
            })
        })
    }

    fn infused(&self, day: f64) -> f64 {
        let Route::Infusion { days } = self.dosed.route else {
            return 0.0;
        };
        self.doses()
            .filter(|&(_, given)| given <= day && day < given + days)
            .map(|(amount, _)| amount / days)
            .sum()
    }

    fn slope(&self, [depot, central, peripheral]: &[f64; 3], infused: f64) -> [f64; 3] {
        let (volume, exchange) = self.peripheral.unwrap_or((1.0, 0.0));
        let outward = exchange * central / self.central_l;
        let inward = exchange * peripheral / volume;
        let absorbed = self.absorption_per_day * depot;
        [
            -absorbed,
            infused + absorbed + inward
                - outward
                - self.clearance_l_per_day * central / self.central_l,
            outward - inward,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solver_follows_decay_and_rotation() {
        let decay = integrate(|_, [x]: &[f64; 1]| [-2.0 * x], (0.0, 5.0), [3.0], 1e-12);
        assert!((decay[0] / (3.0 * (-10.0_f64).exp()) - 1.0).abs() < 1e-6);
        let turned = integrate(
            |_, &[x, y]: &[f64; 2]| [-y, x],
            (0.0, 10.0),
            [1.0, 0.0],
            1e-12,
        );
        assert!((turned[0] - 10.0_f64.cos()).abs() < 1e-9);
        assert!((turned[1] - 10.0_f64.sin()).abs() < 1e-9);
    }

    #[test]
    fn solver_follows_a_forced_equation() {
        // y' = cos t · y, so y = e^(sin t).
        let end = integrate(|t, [y]: &[f64; 1]| [t.cos() * y], (0.0, 7.0), [1.0], 1e-12);
        assert!((end[0] - 7.0_f64.sin().exp()).abs() < 1e-9);
    }
}
