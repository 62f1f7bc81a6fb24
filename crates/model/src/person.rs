//! Who a patient is, before any tumour is simulated (section 3).

use crate::math;
use crate::patient::{Covariates, Exclusion, PatientIndex};
use crate::random::Stream;
use crate::scenario::{Death, Eligibility, Population, Scenario, SizeMeasure, TRAITS, Trait};
use crate::therapy::Milieu;

/// Days per year, for hazards given per year.
pub const DAYS_PER_YEAR: f64 = 365.25;

/// Everything that is drawn for the patient as a whole.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Person {
    pub(crate) covariates: Covariates,
    pub(crate) milieu: Milieu,
    /// Size at diagnosis N_dx, cells.
    pub(crate) diagnosis_cells: f64,
    /// Founder weight of the native primary, in units of its mean.
    pub(crate) founder_weight: f64,
    /// Death of other causes, days from resection.
    pub(crate) other_death_days: f64,
    pub(crate) dropout_days: f64,
    /// From distant recurrence to cancer death, days.
    pub(crate) cancer_lag_days: f64,
    pub(crate) sample_uniform: f64,
    pub(crate) node_uniform: f64,
    pub(crate) residual_uniform: f64,
    pub(crate) native_gap: f64,
    pub(crate) native_home_gap: f64,
    pub(crate) native_late_home_gap: f64,
    pub(crate) native_burst_gap: f64,
}

impl Person {
    /// Draws a patient; `factor` is the Cholesky factor of the trait correlations.
    pub(crate) fn draw(
        scenario: &Scenario,
        factor: &[[f64; TRAITS]; TRAITS],
        stream: &mut Stream,
        index: PatientIndex,
    ) -> Self {
        stream.open_patient(index);
        let traits = correlated(factor, stream);
        let z = |which: Trait| traits[which as usize];
        let population = &scenario.population;
        let size_mm = size_mm(population, z(Trait::Size));
        let milieu = Milieu {
            il6: mean_one(population.il6_sigma, z(Trait::Il6)),
            il8: mean_one(population.il8_sigma, z(Trait::Il8)),
        };
        let age_years =
            (population.age_mean_years + population.age_sd_years * z(Trait::Age)).clamp(20.0, 95.0);
        let growth_per_day = population.growth_median_per_day
            * math::exp(population.growth_sigma * z(Trait::Growth));
        let shedding_per_day = population.shedding_median_per_day
            * math::exp(population.shedding_sigma * z(Trait::Shedding));
        Self {
            covariates: Covariates {
                age_years,
                size_mm,
                growth_per_day,
                shedding_per_day,
                il6_ng_per_ml: scenario.homing.il6.tumour_ng_per_ml * milieu.il6,
                il8_ng_per_ml: scenario.homing.il8.tumour_ng_per_ml * milieu.il8,
                nodes: 0,
                ctc_sample: 0,
            },
            milieu,
            diagnosis_cells: cells_at(population.size_measure, size_mm),
            founder_weight: stream.exponential(),
            other_death_days: other_death_days(&scenario.death, age_years, stream.exponential()),
            dropout_days: days_at_rate(
                scenario.follow_up.dropout_per_year / DAYS_PER_YEAR,
                stream.exponential(),
            ),
            cancer_lag_days: weibull(&scenario.death, stream.exponential()),
            sample_uniform: stream.uniform(),
            node_uniform: stream.uniform(),
            residual_uniform: stream.uniform(),
            native_gap: stream.exponential(),
            native_home_gap: stream.exponential(),
            native_late_home_gap: stream.exponential(),
            native_burst_gap: stream.exponential(),
        }
    }

    /// The first of the trial's criteria that fails among those known without a simulation.
    pub(crate) fn excluded(&self, eligibility: &Eligibility) -> Option<Exclusion> {
        let known = &self.covariates;
        [
            (eligibility.age_years, known.age_years, Exclusion::Age),
            (eligibility.size_mm, known.size_mm, Exclusion::Size),
            (
                eligibility.il6_ng_per_ml,
                known.il6_ng_per_ml,
                Exclusion::Il6,
            ),
            (
                eligibility.il8_ng_per_ml,
                known.il8_ng_per_ml,
                Exclusion::Il8,
            ),
        ]
        .into_iter()
        .find_map(|(range, value, reason)| (!range.contains(value)).then_some(reason))
    }
}

/// Cells of a tumour of this size (section 3).
pub fn cells_at(measure: SizeMeasure, size_mm: f64) -> f64 {
    let cube = size_mm * size_mm * size_mm * 1e6;
    match measure {
        SizeMeasure::Diameter => std::f64::consts::PI / 6.0 * cube,
        SizeMeasure::Breslow { aspect } => std::f64::consts::PI / 4.0 * aspect * aspect * cube,
    }
}

/// Lower triangular factor of a correlation matrix, or `None` if the matrix is not positive
/// definite.
pub fn cholesky(matrix: &[[f64; TRAITS]; TRAITS]) -> Option<[[f64; TRAITS]; TRAITS]> {
    let mut factor = [[0.0; TRAITS]; TRAITS];
    for row in 0..TRAITS {
        for column in 0..=row {
            let mut rest = matrix[row][column];
            for (left, right) in factor[row].iter().zip(&factor[column]).take(column) {
                rest -= left * right;
            }
            if row == column {
                if rest <= 1e-12 {
                    return None;
                }
                factor[row][row] = rest.sqrt();
            } else {
                factor[row][column] = rest / factor[column][column];
            }
        }
    }
    Some(factor)
}

fn correlated(factor: &[[f64; TRAITS]; TRAITS], stream: &mut Stream) -> [f64; TRAITS] {
    let independent: [f64; TRAITS] = std::array::from_fn(|_| stream.normal());
    std::array::from_fn(|row| {
        let mut sum = 0.0;
        for column in 0..=row {
            sum += factor[row][column] * independent[column];
        }
        sum
    })
}

fn size_mm(population: &Population, z: f64) -> f64 {
    (population.size_median_mm * math::exp(population.size_sigma * z))
        .clamp(population.size_min_mm, population.size_max_mm)
}

fn mean_one(sigma: f64, z: f64) -> f64 {
    math::exp(sigma * z - 0.5 * sigma * sigma)
}

/// Gompertz mortality m_a·exp(m_b·age) per year, age growing with time (section 4).
fn other_death_days(death: &Death, age_years: f64, waiting: f64) -> f64 {
    let (base, slope) = (death.other_base_per_year, death.other_slope_per_year);
    let hazard_now = base * math::exp(slope * age_years);
    if hazard_now == 0.0 {
        return f64::INFINITY;
    }
    let years = if slope == 0.0 {
        waiting / hazard_now
    } else {
        math::ln_1p(slope * waiting / hazard_now) / slope
    };
    years * DAYS_PER_YEAR
}

fn weibull(death: &Death, waiting: f64) -> f64 {
    death.cancer_scale_days * math::exp(math::ln(waiting) / death.cancer_shape)
}

/// Time to an event at a constant rate, infinite at rate zero.
pub(crate) fn days_at_rate(per_day: f64, waiting: f64) -> f64 {
    if per_day > 0.0 {
        waiting / per_day
    } else {
        f64::INFINITY
    }
}
