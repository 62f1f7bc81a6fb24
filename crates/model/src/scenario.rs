//! Everything the patient model needs to know about a trial, as plain validated numbers.
//!
//! Section numbers refer to the model description, version 1. Nothing here is checked: the
//! `trial` crate reads, checks and explains; [`crate::Simulator::new`] assumes what the field
//! documentation states.

/// Number of gene products a therapy may inhibit.
pub const GENES: usize = 5;

/// The five gene products of the question (section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gene {
    /// Interleukin 6, attracts circulating tumour cells.
    Il6,
    /// Interleukin 8, attracts circulating tumour cells.
    Il8,
    /// Matrix metalloproteinase 1, lets them in.
    Mmp1,
    /// Fascin-1, lets them in.
    Fscn1,
    /// Speeds the growth of the tumour they join.
    Cxcl1,
}

impl Gene {
    /// All genes, in the order of every `[_; GENES]` array.
    pub const ALL: [Self; GENES] = [Self::Il6, Self::Il8, Self::Mmp1, Self::Fscn1, Self::Cxcl1];

    /// Position in a `[_; GENES]` array.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Symbol as written in trial files and reports.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Il6 => "IL6",
            Self::Il8 => "IL8",
            Self::Mmp1 => "MMP1",
            Self::Fscn1 => "FSCN1",
            Self::Cxcl1 => "CXCL1",
        }
    }
}

/// A whole trial as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Who the patients are (section 3).
    pub population: Population,
    /// How colonies grow (section 2).
    pub growth: Growth,
    /// What colonies shed and where it goes (section 2).
    pub shedding: Shedding,
    /// Sleep and waking of distant and scar colonies (section 2).
    pub dormancy: Dormancy,
    /// What draws and admits circulating cells (section 5).
    pub homing: Homing,
    /// The local treatment and what it leaves behind (section 4).
    pub local_treatment: LocalTreatment,
    /// Sizes at which colonies are clinically detected.
    pub detection: Detection,
    /// Death of other causes and of cancer (section 4).
    pub death: Death,
    /// How long and how patients are watched (section 4).
    pub follow_up: FollowUp,
    /// Who is enrolled (section 3).
    pub eligibility: Eligibility,
    /// Drugs that arms refer to by position.
    pub drugs: Vec<Drug>,
    /// Arms; at least one. Every arm is simulated on the same patients.
    pub arms: Vec<Arm>,
    /// Position in `arms` of the arm all others are compared with.
    pub control: usize,
    /// A patient whose forest exceeds this many colonies is saturated (section 8, promise 7).
    pub colonies_max: u32,
}

/// Positions in the vector of correlated standard normals (section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trait {
    /// Growth rate.
    Growth,
    /// Size at diagnosis.
    Size,
    /// Shedding rate.
    Shedding,
    /// IL-6 expression.
    Il6,
    /// IL-8 expression.
    Il8,
    /// Age.
    Age,
}

/// Number of correlated traits.
pub const TRAITS: usize = 6;

/// Distribution of patients (section 3).
#[derive(Debug, Clone, PartialEq)]
pub struct Population {
    /// What the size covariate measures.
    pub size_measure: SizeMeasure,
    /// Median size at diagnosis, mm.
    pub size_median_mm: f64,
    /// Standard deviation of the logarithm of size.
    pub size_sigma: f64,
    /// Sizes below this are set to it, mm.
    pub size_min_mm: f64,
    /// Sizes above this are set to it, mm. The cells at this size stay below the plateau.
    pub size_max_mm: f64,
    /// Median Gompertz rate β̃, per day.
    pub growth_median_per_day: f64,
    /// Standard deviation σ_β of its logarithm.
    pub growth_sigma: f64,
    /// Median shedding s̃, circulating cells per day per cell^γ.
    pub shedding_median_per_day: f64,
    /// Standard deviation σ_s of its logarithm.
    pub shedding_sigma: f64,
    /// Standard deviation of the logarithm of IL-6 expression (mean-one log-normal).
    pub il6_sigma: f64,
    /// Standard deviation of the logarithm of IL-8 expression (mean-one log-normal).
    pub il8_sigma: f64,
    /// Mean age at resection, years; clamped to 20–95 after drawing.
    pub age_mean_years: f64,
    /// Standard deviation of age, years.
    pub age_sd_years: f64,
    /// Median body weight, kg (log-normal).
    pub weight_median_kg: f64,
    /// Coefficient of variation of body weight, as a fraction.
    pub weight_cv: f64,
    /// Correlation of the traits in the order of [`Trait`]; symmetric, positive definite.
    pub correlation: [[f64; TRAITS]; TRAITS],
}

/// What the size covariate measures and how it becomes a number of cells at 10⁶ per mm³.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SizeMeasure {
    /// Diameter D of a sphere: N = (π/6)·D³·10⁶.
    Diameter,
    /// Breslow thickness T of a disc of the given aspect a: N = (π/4)·a²·T³·10⁶.
    Breslow {
        /// Disc diameter over thickness.
        aspect: f64,
    },
}

/// Gompertz growth (section 2).
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    /// Plateau K, cells.
    pub plateau_cells: f64,
    /// Establishment probability π of a founder; its effective initial size has mean 1/π.
    pub establishment: f64,
    /// Standard deviation σ_c of the logarithm of the growth rate between colonies of a patient.
    pub colony_sigma: f64,
    /// Growth rate of distant colonies over that of the primary, m_distant.
    pub distant_ratio: f64,
    /// Boost η_CXCL1 of the growth of colonies founded by homing.
    pub cxcl1_boost: f64,
}

/// Shedding and the fate of a circulating cell (section 2).
#[derive(Debug, Clone, PartialEq)]
pub struct Shedding {
    /// Exponent γ of colony size.
    pub exponent: f64,
    /// Probability of a lymph-node deposit.
    pub node_probability: f64,
    /// Probability of founding a distant colony.
    pub distant_probability: f64,
    /// Probability p_home of coming home, before all other factors.
    pub home_probability: f64,
    /// Lung filter φ for cells shed in the primary bed or the scar.
    pub lung_filter: f64,
    /// Fraction f_agg of cells of native colonies that can home.
    pub aggressive_fraction: f64,
    /// Half-life of a circulating cell, days.
    pub half_life_days: f64,
}

/// Dormancy (section 2).
#[derive(Debug, Clone, PartialEq)]
pub struct Dormancy {
    /// Probability that a distant or scar colony starts dormant.
    pub probability: f64,
    /// Hazard of waking h_w, per day; zero means never.
    pub waking_per_day: f64,
    /// Excess hazard factor κ_w after surgery: the hazard is h_w·(1 + κ_w); zero switches it off.
    pub surgery_excess: f64,
    /// Days w after surgery during which the excess lasts.
    pub surgery_window_days: f64,
}

/// How IL-6 and IL-8 combine in attraction (section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interaction {
    /// A = a0 + a6·x6 + a8·x8.
    Additive,
    /// A = a0 + (a6 + a8)·sqrt(x6·x8).
    And,
    /// A = a0 + (a6 + a8)·max(x6, x8).
    Or,
}

/// Attraction, infiltration and capture (section 5).
#[derive(Debug, Clone, PartialEq)]
pub struct Homing {
    /// How the ligands combine.
    pub interaction: Interaction,
    /// Attraction without either ligand, a0; `a0 + a6 + a8 = 1`.
    pub base: f64,
    /// IL-6.
    pub il6: Ligand,
    /// IL-8.
    pub il8: Ligand,
    /// Time constant of the fast wound component, days.
    pub wound_fast_days: f64,
    /// Time constant of the slow wound component, days.
    pub wound_slow_days: f64,
    /// Largest reduction of infiltration by blocking MMP1, h_MMP1.
    pub mmp1_ceiling: f64,
    /// Largest reduction of infiltration by blocking FSCN1, h_FSCN1.
    pub fscn1_ceiling: f64,
    /// Capture ρ_scar by the scar, relative to a tumour at diagnosis.
    pub scar_capture: f64,
    /// Factor rt_fold on capture by an irradiated scar.
    pub radiotherapy_fold: f64,
}

/// One attracting ligand (section 5); concentrations in ng/mL.
#[derive(Debug, Clone, PartialEq)]
pub struct Ligand {
    /// Weight in attraction, a6 or a8.
    pub weight: f64,
    /// Half-effect concentration EC50.
    pub ec50_ng_per_ml: f64,
    /// Level in the tumour before resection, L.
    pub tumour_ng_per_ml: f64,
    /// Lasting level in the bed after resection, B.
    pub bed_lasting_ng_per_ml: f64,
    /// Fast wound component at resection, P.
    pub bed_fast_ng_per_ml: f64,
    /// Slow wound component at resection, Q.
    pub bed_slow_ng_per_ml: f64,
}

/// How the primary is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalTreatmentKind {
    /// Removed by surgery.
    Surgery,
    /// Sterilised by radiation; no surgery. The bed is irradiated in every arm, there is no
    /// perioperative burst and no waking by surgery.
    Radiotherapy,
}

/// The local treatment and what it leaves behind (section 4).
#[derive(Debug, Clone, PartialEq)]
pub struct LocalTreatment {
    /// Surgery or radiotherapy.
    pub kind: LocalTreatmentKind,
    /// Days from diagnosis to resection.
    pub delay_days: f64,
    /// Mean residual foci ρ_res (surgery) or ρ_res,RT (radiotherapy), whichever `kind` is.
    pub residual_foci: f64,
    /// Mean residual foci per positive node ρ_node; used after surgery only.
    pub residual_foci_per_node: f64,
    /// Probability f_out that a focus is out of the radiation field.
    pub out_of_field: f64,
    /// Probability SF that an in-field focus survives radiotherapy.
    pub in_field_survival: f64,
    /// Perioperative burst: shed flux at resection is multiplied by M_burst; zero switches it off.
    pub burst_fold: f64,
    /// Time constant τ_burst of the burst, days.
    pub burst_days: f64,
}

/// Sizes at clinical detection, cells; both below the plateau.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Scar colonies, n_det,scar.
    pub scar_cells: f64,
    /// Distant colonies, n_det,distant.
    pub distant_cells: f64,
}

/// Death (section 4).
#[derive(Debug, Clone, PartialEq)]
pub struct Death {
    /// Other causes: hazard m_a·exp(m_b·age) per year; this is m_a. Zero means never.
    pub other_base_per_year: f64,
    /// Other causes: m_b, per year of age; not negative.
    pub other_slope_per_year: f64,
    /// Weibull shape of the time from distant recurrence to cancer death.
    pub cancer_shape: f64,
    /// Weibull scale of the same, days.
    pub cancer_scale_days: f64,
}

/// Observation of enrolled patients (section 4).
#[derive(Debug, Clone, PartialEq)]
pub struct FollowUp {
    /// End of follow-up, days from resection.
    pub horizon_days: f64,
    /// Exponential drop-out hazard, per year; zero for none.
    pub dropout_per_year: f64,
    /// Visit days from resection, increasing, the last at or beyond the horizon; empty when
    /// recurrences are seen at once. A recurrence is recorded at the first visit on or after it.
    pub visits_days: Vec<f64>,
}

/// A closed interval; `f64::NEG_INFINITY` and `f64::INFINITY` leave a side open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Smallest value admitted.
    pub min: f64,
    /// Largest value admitted.
    pub max: f64,
}

impl Range {
    /// Admits every value.
    pub const ALL: Self = Self {
        min: f64::NEG_INFINITY,
        max: f64::INFINITY,
    };

    /// Whether `value` lies in the range.
    pub fn contains(self, value: f64) -> bool {
        value >= self.min && value <= self.max
    }
}

/// The trial's own criteria, on top of no metastasis at diagnosis (section 3).
#[derive(Debug, Clone, PartialEq)]
pub struct Eligibility {
    /// Age, years.
    pub age_years: Range,
    /// Size at diagnosis, mm.
    pub size_mm: Range,
    /// Positive nodes.
    pub nodes: Range,
    /// IL-6 in the tumour, L6·e6, ng/mL.
    pub il6_ng_per_ml: Range,
    /// IL-8 in the tumour, L8·e8, ng/mL.
    pub il8_ng_per_ml: Range,
    /// `Some(true)` admits only patients with a circulating cell in the sample, `Some(false)`
    /// only those without.
    pub ctc_positive: Option<bool>,
}

/// One arm: a set of drugs, plus or minus radiotherapy (section 6).
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Name as in the trial file.
    pub name: String,
    /// Adjuvant radiotherapy of the bed.
    pub radiotherapy: bool,
    /// Positions in [`Scenario::drugs`], without repetition.
    pub drugs: Vec<usize>,
}

/// A drug (section 6). Its name keys its between-patient randomness, so that a patient has the
/// same kinetics in every arm and trial that uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct Drug {
    /// Name as in the trial file.
    pub name: String,
    /// What it does and when.
    pub action: Action,
}

/// How a drug inhibits.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A constant inhibition during a window.
    Direct(Direct),
    /// Through a concentration.
    Dosed(Box<Dosed>),
}

/// Constant inhibition of named genes.
#[derive(Debug, Clone, PartialEq)]
pub struct Direct {
    /// Inhibition per gene, 0 to 1, in the order of [`Gene`].
    pub inhibition: [f64; GENES],
    /// First day, from resection; not before diagnosis.
    pub from_day: f64,
    /// Day it ends, from resection; may be infinite.
    pub until_day: f64,
}

/// A drug given in doses, with linear kinetics and a sigmoid effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Dosed {
    /// Regular runs of doses; none before diagnosis.
    pub schedule: Vec<DoseBlock>,
    /// How a dose enters.
    pub route: Route,
    /// Clearance, L per day (apparent, over bioavailability, if so published).
    pub clearance_l_per_day: Varying,
    /// Central volume, L.
    pub central_l: Varying,
    /// Second compartment, if any.
    pub peripheral: Option<Peripheral>,
    /// Share f_tissue of the plasma concentration that acts in the tissue.
    pub tissue_fraction: f64,
    /// Effect per gene in the order of [`Gene`].
    pub effects: [Option<Effect>; GENES],
}

/// A regular run of equal doses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DoseBlock {
    /// Day of the first dose, from resection.
    pub first_day: f64,
    /// Days between doses; positive.
    pub interval_days: f64,
    /// Number of doses; at least one.
    pub doses: u32,
    /// Amount of each.
    pub amount: Amount,
}

/// Amount of a dose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// mg.
    Milligrams(f64),
    /// mg per kg of body weight.
    MilligramsPerKilogram(f64),
}

/// How a dose enters the central compartment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Route {
    /// At once.
    Bolus,
    /// At a constant rate over this many days; positive and at most the dosing interval.
    Infusion {
        /// Length of an infusion, days.
        days: f64,
    },
    /// First order, from a depot.
    Absorption {
        /// Absorption rate k_a, per day.
        rate_per_day: Varying,
        /// Share absorbed, 0 to 1.
        bioavailability: f64,
    },
}

/// Second compartment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peripheral {
    /// Its volume, L.
    pub volume_l: Varying,
    /// Inter-compartmental clearance Q, L per day.
    pub exchange_l_per_day: Varying,
}

/// A log-normal quantity with between-patient variability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Varying {
    /// Median.
    pub median: f64,
    /// Coefficient of variation, as a fraction; zero for none.
    pub cv: f64,
}

/// E = Imax·(f·C)^h / (IC50^h + (f·C)^h).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// Largest inhibition, 0 to 1.
    pub imax: f64,
    /// Half-effect concentration, mg/L (µg/mL).
    pub ic50_mg_per_l: f64,
    /// Hill exponent h; positive.
    pub hill: f64,
}
