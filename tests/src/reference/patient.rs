//! What every reference needs: a patient's constants and the form of an outcome.

use rand::RngExt as _;
use rand_distr::{Distribution as _, Exp1, Poisson, StandardNormal};
use reseed_model::patient::{Covariates, Exclusion, Origin, Tumour};
use reseed_model::scenario::{Scenario, SizeMeasure, TRAITS, Trait, Varying};

use super::Generator;

/// Days in a year, wherever the model states a rate per year.
pub const YEAR_DAYS: f64 = 365.25;

/// One patient in one arm, as a reference sees it.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Covariates; nodes are those of this arm.
    pub covariates: Covariates,
    /// The primary at diagnosis.
    pub tumour: Tumour,
    /// Why not enrolled, if so.
    pub exclusion: Option<Exclusion>,
    /// The course, if enrolled.
    pub course: Option<Course>,
}

/// Recurrences in days from resection, infinite if none while followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    /// Local recurrence.
    pub local_days: f64,
    /// Its origin, if any.
    pub local_origin: Option<Origin>,
    /// Distant recurrence.
    pub distant_days: f64,
}

impl Course {
    /// Without recurrence.
    pub const FREE: Self = Self {
        local_days: f64::INFINITY,
        local_origin: None,
        distant_days: f64::INFINITY,
    };
}

/// A patient's constants (section 3).
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// β of the native primary, per day.
    pub growth_per_day: f64,
    /// s, circulating cells per day per cell^γ.
    pub shedding_per_day: f64,
    /// e6, mean one.
    pub il6: f64,
    /// e8, mean one.
    pub il8: f64,
    /// Age at resection, years.
    pub age_years: f64,
    /// Size at diagnosis, mm.
    pub size_mm: f64,
    /// Size at diagnosis, cells.
    pub size_cells: f64,
    /// Body weight, kg.
    pub weight_kg: f64,
}

impl Person {
    /// Draws a patient. `factor` is the Cholesky factor of the correlation of the traits.
    pub fn draw(
        scenario: &Scenario,
        factor: &[[f64; TRAITS]; TRAITS],
        rng: &mut Generator,
    ) -> Self {
        let population = &scenario.population;
        let independent: [f64; TRAITS] = std::array::from_fn(|_| normal(rng));
        let z = |which: Trait| -> f64 {
            let row = factor[which as usize];
            row.iter().zip(&independent).map(|(f, x)| f * x).sum()
        };
        let mean_one = |sigma: f64, z: f64| (sigma * z - sigma * sigma / 2.0).exp();
        let size_mm = (population.size_median_mm * (population.size_sigma * z(Trait::Size)).exp())
            .clamp(population.size_min_mm, population.size_max_mm);
        Self {
            growth_per_day: population.growth_median_per_day
                * (population.growth_sigma * z(Trait::Growth)).exp(),
            shedding_per_day: population.shedding_median_per_day
                * (population.shedding_sigma * z(Trait::Shedding)).exp(),
            il6: mean_one(population.il6_sigma, z(Trait::Il6)),
            il8: mean_one(population.il8_sigma, z(Trait::Il8)),
            age_years: (population.age_mean_years + population.age_sd_years * z(Trait::Age))
                .clamp(20.0, 95.0),
            size_mm,
            size_cells: cells(population.size_measure, size_mm),
            weight_kg: varying(
                Varying {
                    median: population.weight_median_kg,
                    cv: population.weight_cv,
                },
                rng,
            ),
        }
    }

    /// The covariates that are known before the tumour is simulated.
    pub fn covariates(&self, scenario: &Scenario) -> Covariates {
        Covariates {
            age_years: self.age_years,
            size_mm: self.size_mm,
            growth_per_day: self.growth_per_day,
            shedding_per_day: self.shedding_per_day,
            il6_ng_per_ml: scenario.homing.il6.tumour_ng_per_ml * self.il6,
            il8_ng_per_ml: scenario.homing.il8.tumour_ng_per_ml * self.il8,
            nodes: 0,
            ctc_sample: 0,
        }
    }

    /// Day of death of other causes, from resection (section 4).
    pub fn other_death_days(&self, scenario: &Scenario, rng: &mut Generator) -> f64 {
        let (base, slope) = (
            scenario.death.other_base_per_year,
            scenario.death.other_slope_per_year,
        );
        if base == 0.0 {
            return f64::INFINITY;
        }
        let now = base * (slope * self.age_years).exp();
        let hazard = exponential(rng);
        let years = if slope == 0.0 {
            hazard / now
        } else {
            (1.0 + hazard * slope / now).ln() / slope
        };
        years * YEAR_DAYS
    }
}

/// Cells of a tumour of the given size (section 3).
pub fn cells(measure: SizeMeasure, size_mm: f64) -> f64 {
    let pi = std::f64::consts::PI;
    match measure {
        SizeMeasure::Diameter => pi / 6.0 * size_mm.powi(3) * 1e6,
        SizeMeasure::Breslow { aspect } => pi / 4.0 * aspect.powi(2) * size_mm.powi(3) * 1e6,
    }
}

/// Mean count in a 7.5 mL sample of 5 L of blood (section 3).
pub fn sample_mean(flux_per_day: f64, half_life_days: f64) -> f64 {
    flux_per_day * half_life_days / std::f64::consts::LN_2 * 7.5 / 5000.0
}

/// Lower Cholesky factor of a correlation matrix.
pub fn cholesky(matrix: &[[f64; TRAITS]; TRAITS]) -> [[f64; TRAITS]; TRAITS] {
    let mut factor = [[0.0; TRAITS]; TRAITS];
    for i in 0..TRAITS {
        for j in 0..=i {
            let done: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
            factor[i][j] = if i == j {
                (matrix[i][i] - done).sqrt()
            } else {
                (matrix[i][j] - done) / factor[j][j]
            };
        }
    }
    factor
}

/// A standard normal.
pub fn normal(rng: &mut Generator) -> f64 {
    StandardNormal.sample(rng)
}

/// A standard exponential.
pub fn exponential(rng: &mut Generator) -> f64 {
    Exp1.sample(rng)
}

/// A Poisson count; zero for a mean of zero.
///
/// # Panics
/// If the mean is not a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the means of the references stay far below 2^32"
)]
pub fn poisson(mean: f64, rng: &mut Generator) -> u32 {
    if mean > 0.0 {
        Poisson::new(mean).expect("a positive mean").sample(rng) as u32
    } else {
        0
    }
}

/// Whether an event of the given probability happens.
pub fn happens(probability: f64, rng: &mut Generator) -> bool {
    rng.random::<f64>() < probability
}

/// A log-normal with the given median and coefficient of variation.
pub fn varying(quantity: Varying, rng: &mut Generator) -> f64 {
    let sigma = (1.0 + quantity.cv * quantity.cv).ln().sqrt();
    quantity.median * (sigma * normal(rng)).exp()
}
