//! Linear kinetics of dosed drugs by superposition of doses, and their effect (section 6).
//!
//! Every route into one or two compartments makes the concentration after a dose a sum of
//! exponentials, and equal doses at equal intervals make it a geometric series. So a
//! concentration costs a few exponentials however many doses came before.

use crate::math;
use crate::scenario::{Amount, DoseBlock, Dosed, Effect, GENES, Route, Varying};

/// Standard normals behind one patient's kinetics of one drug.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Variation {
    /// Clearance.
    pub clearance: f64,
    /// Central volume.
    pub central: f64,
    /// Peripheral volume.
    pub peripheral: f64,
    /// Exchange between compartments.
    pub exchange: f64,
    /// Absorption rate.
    pub absorption: f64,
}

/// A log-normal parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LogNormal {
    median: f64,
    sigma: f64,
}

impl LogNormal {
    /// Of a median and a coefficient of variation: σ = √ln(1 + CV²).
    pub(crate) fn new(varying: Varying) -> Self {
        Self {
            median: varying.median,
            sigma: math::ln_1p(varying.cv * varying.cv).sqrt(),
        }
    }

    /// Value at a standard normal.
    pub(crate) fn at(self, z: f64) -> f64 {
        if self.sigma == 0.0 {
            return self.median;
        }
        self.median * math::exp(self.sigma * z)
    }
}

/// A dosed drug with what follows from it alone.
#[derive(Debug, Clone, PartialEq)]
struct Product {
    clearance_l_per_day: LogNormal,
    central_l: LogNormal,
    /// Volume and exchange of a peripheral compartment.
    peripheral: Option<(LogNormal, LogNormal)>,
    /// Rate of absorption, with bioavailability.
    absorption: Option<(LogNormal, f64)>,
    infusion_days: f64,
    effects: [Option<Effect>; GENES],
    tissue_fraction: f64,
}

impl Product {
    fn new(drug: &Dosed) -> Self {
        Self {
            clearance_l_per_day: LogNormal::new(drug.clearance_l_per_day),
            central_l: LogNormal::new(drug.central_l),
            peripheral: drug.peripheral.as_ref().map(|peripheral| {
                (
                    LogNormal::new(peripheral.volume_l),
                    LogNormal::new(peripheral.exchange_l_per_day),
                )
            }),
            absorption: match drug.route {
                Route::Absorption {
                    rate_per_day,
                    bioavailability,
                } => Some((LogNormal::new(rate_per_day), bioavailability)),
                Route::Bolus | Route::Infusion { .. } => None,
            },
            infusion_days: match drug.route {
                Route::Infusion { days } => days,
                Route::Bolus | Route::Absorption { .. } => 0.0,
            },
            effects: drug.effects,
            tissue_fraction: drug.tissue_fraction,
        }
    }
}

/// One term a·e^(−λt) of the concentration after a dose.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Term {
    /// mg/L per mg.
    coefficient: f64,
    rate_per_day: f64,
}

/// A drug's course in one patient.
#[derive(Debug, Clone, PartialEq)]
pub struct Kinetics {
    product: Product,
    /// At most two compartments and a depot; terms that are not needed are zero.
    terms: [Term; TERMS],
    /// Blocks with their dose in mg.
    blocks: Vec<(DoseBlock, f64)>,
}

/// Most terms of a concentration.
const TERMS: usize = 3;

/// The concentration between two kinks: a constant and decaying terms, mg/L.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Segment {
    constant: f64,
    amplitudes: [f64; TERMS],
    rates_per_day: [f64; TERMS],
}

impl Segment {
    /// Concentration this many days into the segment.
    pub(crate) fn concentration_mg_per_l(&self, days: f64) -> f64 {
        let mut sum = self.constant;
        for (amplitude, rate) in self.amplitudes.iter().zip(&self.rates_per_day) {
            if *amplitude != 0.0 {
                sum += amplitude * math::exp(-rate * days);
            }
        }
        sum.max(0.0)
    }
}

impl Dosed {
    /// Days on which the concentration has a kink, in no order: dose starts and infusion ends.
    pub(crate) fn kinks(&self) -> impl Iterator<Item = f64> {
        let infusion_days = match self.route {
            Route::Infusion { days } => Some(days),
            Route::Bolus | Route::Absorption { .. } => None,
        };
        self.schedule.iter().flat_map(move |block| {
            (0..block.doses).flat_map(move |dose| {
                let day = block.first_day + f64::from(dose) * block.interval_days;
                std::iter::once(day).chain(infusion_days.map(|length| day + length))
            })
        })
    }
}

/// Below this share of the half-effect concentration a drug is gone.
const NEGLIGIBLE: f64 = 1e-12;

impl Kinetics {
    /// Kinetics of a drug in a patient of this weight.
    pub fn new(drug: &Dosed, variation: &Variation, weight_kg: f64) -> Self {
        let mut kinetics = Self::of_nobody(drug);
        kinetics.turn_to(variation, weight_kg);
        kinetics
    }

    /// A drug's kinetics before there is a patient.
    pub(crate) fn of_nobody(drug: &Dosed) -> Self {
        Self {
            product: Product::new(drug),
            terms: [Term::default(); TERMS],
            blocks: drug.schedule.iter().map(|block| (*block, 0.0)).collect(),
        }
    }

    /// Turns to another patient.
    pub(crate) fn turn_to(&mut self, variation: &Variation, weight_kg: f64) {
        self.terms = self.product.terms(variation);
        for (block, dose_mg) in &mut self.blocks {
            *dose_mg = match block.amount {
                Amount::Milligrams(mg) => mg,
                Amount::MilligramsPerKilogram(mg_per_kg) => mg_per_kg * weight_kg,
            };
        }
    }

    /// The terms that are there.
    fn terms(&self) -> impl Iterator<Item = &Term> {
        self.terms.iter().filter(|term| term.rate_per_day > 0.0)
    }

    /// Plasma concentration, mg/L, on a day from resection.
    pub fn concentration_mg_per_l(&self, day: f64) -> f64 {
        self.segment(day).concentration_mg_per_l(0.0)
    }

    /// The concentration from a day to the next kink.
    pub(crate) fn segment(&self, day: f64) -> Segment {
        let mut segment = Segment::default();
        for (slot, term) in segment.rates_per_day.iter_mut().zip(self.terms()) {
            *slot = term.rate_per_day;
        }
        for (block, dose_mg) in &self.blocks {
            let Some((given, elapsed)) = doses_given(block, day) else {
                continue;
            };
            for (slot, term) in segment.amplitudes.iter_mut().zip(self.terms()) {
                let (amplitude, constant) = self.superpose(block, *term, given, elapsed);
                *slot += dose_mg * term.coefficient * amplitude;
                segment.constant += dose_mg * term.coefficient * constant;
            }
        }
        segment
    }

    /// What a plasma concentration does to one gene.
    pub(crate) fn effect(&self, gene: usize, concentration_mg_per_l: f64) -> f64 {
        self.product.effects[gene].map_or(0.0, |effect| {
            effect.inhibition(concentration_mg_per_l * self.product.tissue_fraction)
        })
    }

    /// Inhibition of every gene on a day from resection.
    pub fn inhibition(&self, day: f64) -> [f64; GENES] {
        let acting = self.concentration_mg_per_l(day) * self.product.tissue_fraction;
        self.product
            .effects
            .map(|effect| effect.map_or(0.0, |effect| effect.inhibition(acting)))
    }

    /// Fastest rate in the concentration, per day: how finely an integral must look.
    pub(crate) fn fastest_per_day(&self) -> f64 {
        self.terms()
            .fold(0.0, |fastest, term| term.rate_per_day.max(fastest))
    }

    /// The term's exponential summed over the doses given, the last `elapsed` days ago: what
    /// decays from now on, and what stays while an infusion runs.
    fn superpose(&self, block: &DoseBlock, term: Term, given: u32, elapsed: f64) -> (f64, f64) {
        let rate = term.rate_per_day;
        let length = self.product.infusion_days;
        let interval = block.interval_days;
        if length == 0.0 {
            let doses = geometric(rate * interval, given);
            return (math::exp(-rate * elapsed) * doses, 0.0);
        }
        // A finished infusion decays from its end; a running one is still filling.
        let whole = -math::exp_m1(-rate * length) / (rate * length);
        if elapsed >= length {
            let decay = math::exp(-rate * (elapsed - length));
            return (whole * decay * geometric(rate * interval, given), 0.0);
        }
        let filling = 1.0 / (rate * length);
        let since_last_end = elapsed + interval - length;
        let finished =
            whole * math::exp(-rate * since_last_end) * geometric(rate * interval, given - 1);
        (finished - filling * math::exp(-rate * elapsed), filling)
    }

    /// Day from which the drug is gone: its concentration is below 10⁻¹² of every half-effect.
    pub fn until_day(&self) -> f64 {
        let last_day = self.blocks.iter().fold(f64::NEG_INFINITY, |last, (b, _)| {
            last.max(
                b.first_day + f64::from(b.doses - 1) * b.interval_days + self.product.infusion_days,
            )
        });
        let total_mg: f64 = self
            .blocks
            .iter()
            .map(|(b, mg)| mg * f64::from(b.doses))
            .sum();
        let peak: f64 = self.terms().map(|t| t.coefficient.abs()).sum::<f64>() * total_mg;
        let slowest = self
            .terms()
            .fold(f64::INFINITY, |slowest, t| slowest.min(t.rate_per_day));
        let smallest_effect = self
            .product
            .effects
            .iter()
            .flatten()
            .fold(f64::INFINITY, |least, e| least.min(e.ic50_mg_per_l));
        let folds = peak * self.product.tissue_fraction / (NEGLIGIBLE * smallest_effect);
        if folds > 1.0 {
            last_day + math::ln(folds) / slowest
        } else {
            last_day
        }
    }
}

impl Effect {
    /// Inhibition at an acting concentration, mg/L.
    fn inhibition(self, acting_mg_per_l: f64) -> f64 {
        if acting_mg_per_l <= 0.0 {
            return 0.0;
        }
        let ratio = self.ic50_mg_per_l / acting_mg_per_l;
        self.imax / (1.0 + math::pow(ratio, self.hill))
    }
}

/// Number of a block's doses begun by a day, and days since the last of them.
fn doses_given(block: &DoseBlock, day: f64) -> Option<(u32, f64)> {
    let since_first = day - block.first_day;
    if since_first < 0.0 {
        return None;
    }
    let intervals = (since_first / block.interval_days).floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between zero and the number of doses"
    )]
    let before_last = intervals.min(f64::from(block.doses - 1)) as u32;
    // Rounding in the quotient may put the last dose a hair after the day.
    let elapsed = (since_first - f64::from(before_last) * block.interval_days).max(0.0);
    Some((before_last + 1, elapsed))
}

/// After so many e-foldings only rounding separates a geometric series from its limit.
const STEADY: f64 = 40.0;

/// 1 + q + … + q^(n−1) with q = e^(−x).
fn geometric(x: f64, n: u32) -> f64 {
    if n <= 1 {
        return f64::from(n);
    }
    let reached = if x * f64::from(n) > STEADY {
        -1.0
    } else {
        math::exp_m1(-x * f64::from(n))
    };
    reached / math::exp_m1(-x)
}

/// Two rates closer than this, relatively, are moved apart by twice as much: the formulae divide
/// by their difference, and the shift changes a concentration by less than 10⁻⁶.
const RATES_APART: f64 = 1e-7;

impl Product {
    /// Terms of the concentration in the central compartment after 1 mg.
    fn terms(&self, variation: &Variation) -> [Term; TERMS] {
        let clearance = self.clearance_l_per_day.at(variation.clearance);
        let central = self.central_l.at(variation.central);
        let elimination = clearance / central;
        let mut terms = [Term::default(); TERMS];
        if let Some((volume, exchange)) = self.peripheral {
            let volume = volume.at(variation.peripheral);
            let exchange = exchange.at(variation.exchange);
            let (out, back) = (exchange / central, exchange / volume);
            let sum = elimination + out + back;
            let gap = (sum * sum - 4.0 * elimination * back).max(0.0).sqrt();
            let gap = gap.max(RATES_APART * sum);
            let fast = 0.5 * (sum + gap);
            let slow = elimination * back / fast;
            terms[0] = Term {
                coefficient: (fast - back) / (fast - slow) / central,
                rate_per_day: fast,
            };
            terms[1] = Term {
                coefficient: (back - slow) / (fast - slow) / central,
                rate_per_day: slow,
            };
        } else {
            terms[0] = Term {
                coefficient: 1.0 / central,
                rate_per_day: elimination,
            };
        }
        if let Some((rate_per_day, bioavailability)) = self.absorption {
            absorb(
                &mut terms,
                rate_per_day.at(variation.absorption),
                bioavailability,
            );
        }
        terms
    }
}

/// Puts a depot before the compartments.
fn absorb(terms: &mut [Term; TERMS], rate_per_day: f64, bioavailability: f64) {
    let mut absorption = rate_per_day;
    for term in &*terms {
        if (absorption / term.rate_per_day - 1.0).abs() < RATES_APART {
            absorption = term.rate_per_day * (1.0 + 2.0 * RATES_APART);
        }
    }
    let mut depot = 0.0;
    let mut used = 0;
    for term in terms.iter_mut().filter(|term| term.rate_per_day > 0.0) {
        term.coefficient *= bioavailability * absorption / (absorption - term.rate_per_day);
        depot -= term.coefficient;
        used += 1;
    }
    terms[used] = Term {
        coefficient: depot,
        rate_per_day: absorption,
    };
}
