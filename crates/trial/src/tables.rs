//! The field table of a trial file, without drugs and arms.

use reseed_model::scenario::{
    Death, Detection, Dormancy, Eligibility, FollowUp, Growth, Homing, Interaction, Ligand,
    LocalTreatment, LocalTreatmentKind, Population, Range, Scenario, Shedding, SizeMeasure, TRAITS,
    Trait,
};
use reseed_stats::Endpoint;
use reseed_stats::group_sequential::Spending;

use crate::field::{Bounds, Field, Kind, OtherUnit, above, optional, quantity, required, within};
use crate::precision::PRECISION_MAX_POINTS;
use crate::strata::Strata;
use crate::trial::{DAYS_PER_MONTH, DAYS_PER_YEAR, Primary, Trial};
use crate::uncertainty::Uncertainty;
use crate::virtual_trials::VirtualTrials;

/// A trial in the making: the trial, and choices that are not yet in the model's form.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) trial: Trial,
    size_measure: usize,
    breslow_aspect: f64,
    precision: f64,
    block_patients: u64,
    interaction: usize,
    local_treatment: usize,
    ctc: usize,
    colonies_max: u64,
    virtual_trials: VirtualTrials,
    virtual_spending: usize,
    virtual_endpoint: usize,
}

const SIZE_MEASURES: [&str; 2] = ["diameter", "breslow"];
const INTERACTIONS: [&str; 3] = ["additive", "and", "or"];
const LOCAL_TREATMENTS: [&str; 2] = ["surgery", "radiotherapy"];
const CTC: [&str; 3] = ["any", "positive", "negative"];
const SPENDING: [&str; 3] = [
    Spending::ALL[0].name(),
    Spending::ALL[1].name(),
    Spending::ALL[2].name(),
];

/// The first is the endpoint of the primary comparison, whatever that is.
const VIRTUAL_ENDPOINTS: [&str; 1 + Endpoint::ALL.len()] = [
    "primary",
    Endpoint::ALL[0].name(),
    Endpoint::ALL[1].name(),
    Endpoint::ALL[2].name(),
    Endpoint::ALL[3].name(),
];

/// Largest number of patients of a trial.
pub(crate) const PATIENTS_MAX: u64 = 100_000_000_000;

/// Fewest and most patients of a block. A row of results for less would be noise, and a block is
/// computed by one thread without a break.
pub(crate) const BLOCK_PATIENTS_MIN: u64 = 100;
const BLOCK_PATIENTS_MAX: u64 = 100_000_000;

/// Patients of a block that virtual trials are drawn from, if the file does not say.
const POOL_PATIENTS: u64 = 20_000;
/// Patients of a block where parameters are uncertain, if the file does not say.
const POINT_PATIENTS: u64 = 4000;

/// Most cut points of one stratification.
const CUTS_MAX: usize = 64;

/// Most visits, and most times of comparison.
pub(crate) const VISITS_MAX: usize = 1200;
const COMPARE_MAX: usize = 240;

/// Most sizes and looks of virtual trials, largest of them, and most of a block.
const SIZES_MAX: usize = 32;
const LOOKS_MAX: usize = 16;
const PATIENTS_PER_ARM_MAX: f64 = 1e6;
pub(crate) const TRIALS_PER_BLOCK_MAX: u64 = 1 << 20;

/// Longest follow-up, a hundred years.
pub(crate) const HORIZON_DAYS_MAX: f64 = 100.0 * DAYS_PER_YEAR;

pub(crate) fn years(value: f64) -> f64 {
    value * DAYS_PER_YEAR
}

pub(crate) fn months(value: f64) -> f64 {
    value * DAYS_PER_MONTH
}

pub(crate) fn inverse(value: f64) -> f64 {
    1.0 / value
}

const fn other(key: &'static str, unit: &'static str, convert: fn(f64) -> f64) -> OtherUnit {
    OtherUnit { key, unit, convert }
}

const FRACTION: Bounds = within(0.0, 1.0);
const SIGMA: Bounds = within(0.0, 4.0);
const CELLS: Bounds = above(0.0, 1e15);
const LEVEL: Bounds = within(0.0, 1e6);

/// A number of the scenario.
macro_rules! number {
    ($unit:expr, $bounds:expr, $($at:ident).+) => {
        Kind::Number(quantity($unit, $bounds), |draft: &mut Draft| {
            &mut draft.trial.scenario.$($at).+
        })
    };
    ($unit:expr, $bounds:expr, $($at:ident).+, $others:expr) => {
        Kind::Number(
            quantity($unit, $bounds).or($others),
            |draft: &mut Draft| &mut draft.trial.scenario.$($at).+,
        )
    };
}

/// A correlation of two traits.
macro_rules! correlation {
    ($key:literal, $a:ident, $b:ident) => {
        optional(
            $key,
            concat!("correlation of ", stringify!($a), " and ", stringify!($b)),
            Kind::Number(quantity("", within(-0.99, 0.99)), |draft: &mut Draft| {
                &mut draft.trial.scenario.population.correlation[Trait::$a as usize]
                    [Trait::$b as usize]
            }),
        )
    };
}

/// One ligand's keys.
macro_rules! ligand {
    ($ligand:ident) => {
        &[
            required(
                "weight",
                "weight in attraction, a6 or a8",
                number!("", FRACTION, homing.$ligand.weight),
            ),
            required(
                "ec50_ng_per_ml",
                "half-effect concentration EC50",
                number!("ng/mL", above(0.0, 1e6), homing.$ligand.ec50_ng_per_ml),
            ),
            required(
                "tumour_ng_per_ml",
                "level in the tumour before resection, L",
                number!("ng/mL", LEVEL, homing.$ligand.tumour_ng_per_ml),
            ),
            required(
                "bed_lasting_ng_per_ml",
                "lasting level in the bed after resection, B",
                number!("ng/mL", LEVEL, homing.$ligand.bed_lasting_ng_per_ml),
            ),
            required(
                "bed_fast_ng_per_ml",
                "fast wound component at resection, P",
                number!("ng/mL", LEVEL, homing.$ligand.bed_fast_ng_per_ml),
            ),
            required(
                "bed_slow_ng_per_ml",
                "slow wound component at resection, Q",
                number!("ng/mL", LEVEL, homing.$ligand.bed_slow_ng_per_ml),
            ),
        ]
    };
}

/// Cut points of a stratification.
macro_rules! cuts {
    ($key:ident, $meaning:literal, $unit:literal, $bounds:expr) => {
        optional(
            stringify!($key),
            $meaning,
            Kind::Numbers(quantity($unit, $bounds), CUTS_MAX, |draft: &mut Draft| {
                &mut draft.trial.strata.$key
            }),
        )
    };
}

/// A criterion of eligibility.
macro_rules! criterion {
    ($key:ident, $meaning:literal, $unit:literal, $bounds:expr) => {
        optional(
            stringify!($key),
            $meaning,
            Kind::Interval(quantity($unit, $bounds), |draft: &mut Draft| {
                &mut draft.trial.scenario.eligibility.$key
            }),
        )
    };
}

/// Every key of a trial file. Drugs, arms and what refers to them are special.
pub(crate) static TRIAL: &[Field<Draft>] = &[
    required(
        "name",
        "short name of the trial",
        Kind::Name(|draft| &mut draft.trial.name),
    ),
    required(
        "title",
        "one line for people",
        Kind::Text(200, |draft| &mut draft.trial.title),
    ),
    optional("base", "preset that this file builds on", Kind::Special),
    optional("control", "arm all others are compared with", Kind::Special),
    optional(
        "arms_only",
        "arms to keep of all that are defined or inherited",
        Kind::Special,
    ),
    required("run", "size and randomness of a run", Kind::Section(RUN)),
    required(
        "population",
        "who the patients are (section 3 of the model description)",
        Kind::Section(POPULATION),
    ),
    required(
        "growth",
        "how colonies grow (section 2)",
        Kind::Section(GROWTH),
    ),
    required(
        "shedding",
        "what colonies shed and where it goes (section 2)",
        Kind::Section(SHEDDING),
    ),
    required(
        "dormancy",
        "sleep and waking of distant and scar colonies (section 2)",
        Kind::Section(DORMANCY),
    ),
    required(
        "homing",
        "what draws and admits circulating cells (section 5)",
        Kind::Section(HOMING),
    ),
    required(
        "local_treatment",
        "how the primary is treated and what that leaves behind (section 4)",
        Kind::Section(LOCAL_TREATMENT),
    ),
    required(
        "detection",
        "sizes at which colonies are clinically detected",
        Kind::Section(DETECTION),
    ),
    required(
        "death",
        "death of other causes and of cancer (section 4)",
        Kind::Section(DEATH),
    ),
    required(
        "follow_up",
        "how long and how patients are watched (section 4)",
        Kind::Section(FOLLOW_UP),
    ),
    optional(
        "eligibility",
        "who is enrolled, besides being free of metastasis at diagnosis (section 3)",
        Kind::Section(ELIGIBILITY),
    ),
    optional(
        "strata",
        "classes of patients counted apart, by cut points; a value at a cut belongs below it",
        Kind::Section(STRATA),
    ),
    required(
        "compare",
        "when and what arms are compared",
        Kind::Section(COMPARE),
    ),
    optional(
        "virtual_trials",
        "parallel-group trials to draw from the enrolled patients of every block; see `reseed power`",
        Kind::Section(VIRTUAL_TRIALS),
    ),
    optional(
        "uncertainty",
        "what is not known about the parameters, and how that is explored",
        Kind::Special,
    ),
    optional("drugs", "drugs by name", Kind::Special),
    required("arms", "arms by name, in order", Kind::Special),
];

const RUN: &[Field<Draft>] = &[
    required(
        "patients",
        "patients to screen; with a precision, at most",
        Kind::Count(1, PATIENTS_MAX, |draft| &mut draft.trial.patients),
    ),
    optional(
        "precision",
        "end the run once half the width of the primary comparison's 95 % interval is below \
         this; judged after 10000 patients and then four times per doubling",
        Kind::Number(
            quantity("percentage points", above(0.0, PRECISION_MAX_POINTS)),
            |draft| &mut draft.precision,
        ),
    ),
    required(
        "seed",
        "seed of all randomness",
        Kind::Count(0, u64::MAX, |draft| &mut draft.trial.seed),
    ),
    optional(
        "block_patients",
        "patients that make a block, which shares its sampled parameters and its virtual trials; \
         the number of patients is rounded up to whole blocks; by default 20000 with virtual \
         trials, otherwise 4000 with uncertainty",
        Kind::Count(BLOCK_PATIENTS_MIN, BLOCK_PATIENTS_MAX, |draft| {
            &mut draft.block_patients
        }),
    ),
    optional(
        "records",
        "whether results keep a record of every enrolled patient",
        Kind::Flag(|draft| &mut draft.trial.records),
    ),
    optional(
        "colonies_max",
        "colonies beyond which a patient counts as saturated (section 8)",
        Kind::Count(10, 1_000_000, |draft| &mut draft.colonies_max),
    ),
];

const POPULATION: &[Field<Draft>] = &[
    required(
        "size_measure",
        "what size means: a sphere's diameter, or Breslow thickness of a disc",
        Kind::Choice(&SIZE_MEASURES, |draft| &mut draft.size_measure),
    ),
    optional(
        "breslow_aspect",
        "disc diameter over thickness; with size_measure = \"breslow\" only",
        Kind::Number(quantity("", within(1.0, 100.0)), |draft| {
            &mut draft.breslow_aspect
        }),
    ),
    required(
        "size_median_mm",
        "median size at diagnosis",
        number!("mm", above(0.0, 500.0), population.size_median_mm),
    ),
    required(
        "size_sigma",
        "standard deviation of the logarithm of size",
        number!("", SIGMA, population.size_sigma),
    ),
    required(
        "size_min_mm",
        "smaller sizes are set to this",
        number!("mm", above(0.0, 500.0), population.size_min_mm),
    ),
    required(
        "size_max_mm",
        "larger sizes are set to this",
        number!("mm", above(0.0, 500.0), population.size_max_mm),
    ),
    required(
        "growth_median_per_day",
        "median Gompertz growth rate",
        number!("per day", above(0.0, 1.0), population.growth_median_per_day),
    ),
    required(
        "growth_sigma",
        "standard deviation of the logarithm of the growth rate between patients",
        number!("", SIGMA, population.growth_sigma),
    ),
    required(
        "shedding_median_per_day",
        "median shedding, circulating cells per day per cell^exponent",
        number!(
            "per day",
            within(0.0, 1e6),
            population.shedding_median_per_day
        ),
    ),
    required(
        "shedding_sigma",
        "standard deviation of the logarithm of shedding between patients",
        number!("", SIGMA, population.shedding_sigma),
    ),
    required(
        "il6_sigma",
        "standard deviation of the logarithm of IL-6 expression",
        number!("", SIGMA, population.il6_sigma),
    ),
    required(
        "il8_sigma",
        "standard deviation of the logarithm of IL-8 expression",
        number!("", SIGMA, population.il8_sigma),
    ),
    required(
        "age_mean_years",
        "mean age",
        number!("years", within(20.0, 95.0), population.age_mean_years),
    ),
    required(
        "age_sd_years",
        "standard deviation of age",
        number!("years", within(0.0, 50.0), population.age_sd_years),
    ),
    required(
        "weight_median_kg",
        "median body weight",
        number!("kg", within(20.0, 300.0), population.weight_median_kg),
    ),
    required(
        "weight_cv",
        "coefficient of variation of body weight",
        number!("", within(0.0, 1.0), population.weight_cv),
    ),
    optional(
        "correlation",
        "correlations of the traits' logarithms (of age: itself); those not given are 0",
        Kind::Section(CORRELATION),
    ),
];

/// Pairs in the order of [`Trait`].
pub(crate) const CORRELATION: &[Field<Draft>] = &[
    correlation!("growth_size", Growth, Size),
    correlation!("growth_shedding", Growth, Shedding),
    correlation!("growth_il6", Growth, Il6),
    correlation!("growth_il8", Growth, Il8),
    correlation!("growth_age", Growth, Age),
    correlation!("size_shedding", Size, Shedding),
    correlation!("size_il6", Size, Il6),
    correlation!("size_il8", Size, Il8),
    correlation!("size_age", Size, Age),
    correlation!("shedding_il6", Shedding, Il6),
    correlation!("shedding_il8", Shedding, Il8),
    correlation!("shedding_age", Shedding, Age),
    correlation!("il6_il8", Il6, Il8),
    correlation!("il6_age", Il6, Age),
    correlation!("il8_age", Il8, Age),
];

const GROWTH: &[Field<Draft>] = &[
    required(
        "plateau_cells",
        "plateau K of the Gompertz curve",
        number!("cells", above(1e6, 1e16), growth.plateau_cells),
    ),
    required(
        "establishment",
        "probability that a founder's line survives; its effective first size has mean 1/this",
        number!("", within(1e-6, 1.0), growth.establishment),
    ),
    required(
        "colony_sigma",
        "standard deviation of the logarithm of the growth rate between colonies of a patient",
        number!("", within(0.0, 2.0), growth.colony_sigma),
    ),
    required(
        "distant_ratio",
        "growth rate of distant colonies over that of the primary",
        number!("", above(0.0, 100.0), growth.distant_ratio),
    ),
    required(
        "cxcl1_boost",
        "extra growth of colonies founded by homing, blocked with CXCL1; 0 for none",
        number!("", within(0.0, 10.0), growth.cxcl1_boost),
    ),
];

const SHEDDING: &[Field<Draft>] = &[
    required(
        "exponent",
        "exponent of colony size in shedding",
        number!("", above(0.0, 2.0), shedding.exponent),
    ),
    required(
        "node_probability",
        "probability that a circulating cell becomes a lymph-node deposit",
        number!("", FRACTION, shedding.node_probability),
    ),
    required(
        "distant_probability",
        "probability that a circulating cell founds a distant colony",
        number!("", FRACTION, shedding.distant_probability),
    ),
    required(
        "home_probability",
        "probability that a circulating cell comes home, before all other factors",
        number!("", FRACTION, shedding.home_probability),
    ),
    required(
        "lung_filter",
        "share of cells from the primary bed and scar that pass the lung on their way home",
        number!("", FRACTION, shedding.lung_filter),
    ),
    required(
        "aggressive_fraction",
        "share of the cells of native colonies that can home",
        number!("", FRACTION, shedding.aggressive_fraction),
    ),
    required(
        "half_life_days",
        "half-life of a circulating cell",
        number!(
            "days",
            above(0.0, 30.0),
            shedding.half_life_days,
            &[other("half_life_minutes", "minutes", minutes)]
        ),
    ),
];

fn minutes(value: f64) -> f64 {
    value / 1440.0
}

const DORMANCY: &[Field<Draft>] = &[
    required(
        "probability",
        "probability that a distant or scar colony starts dormant",
        number!("", FRACTION, dormancy.probability),
    ),
    required(
        "waking_per_day",
        "hazard of waking; 0 means never",
        number!(
            "per day",
            within(0.0, 10.0),
            dormancy.waking_per_day,
            &[other("waking_mean_days", "days", inverse)]
        ),
    ),
    required(
        "surgery_excess",
        "excess of the hazard of waking after surgery; 0 for none",
        number!("", within(0.0, 1e4), dormancy.surgery_excess),
    ),
    required(
        "surgery_window_days",
        "days after surgery during which the excess lasts",
        number!("days", within(0.0, 3653.0), dormancy.surgery_window_days),
    ),
];

const HOMING: &[Field<Draft>] = &[
    required(
        "interaction",
        "how IL-6 and IL-8 combine: each adds, both needed, or either suffices",
        Kind::Choice(&INTERACTIONS, |draft| &mut draft.interaction),
    ),
    required(
        "base_weight",
        "attraction without either ligand, a0; the three weights add up to 1",
        number!("", FRACTION, homing.base),
    ),
    required(
        "wound_fast_days",
        "time constant of the fast wound component",
        number!("days", above(0.0, 3653.0), homing.wound_fast_days),
    ),
    required(
        "wound_slow_days",
        "time constant of the slow wound component",
        number!("days", above(0.0, 36525.0), homing.wound_slow_days),
    ),
    required(
        "mmp1_ceiling",
        "largest reduction of infiltration by blocking MMP1",
        number!("", FRACTION, homing.mmp1_ceiling),
    ),
    required(
        "fscn1_ceiling",
        "largest reduction of infiltration by blocking FSCN1",
        number!("", FRACTION, homing.fscn1_ceiling),
    ),
    required(
        "scar_capture",
        "capture by the scar, relative to a tumour at diagnosis",
        number!("", within(0.0, 100.0), homing.scar_capture),
    ),
    required(
        "radiotherapy_fold",
        "factor on capture by an irradiated scar",
        number!("", within(0.0, 100.0), homing.radiotherapy_fold),
    ),
    required("il6", "IL-6 in tumour and bed", Kind::Section(ligand!(il6))),
    required("il8", "IL-8 in tumour and bed", Kind::Section(ligand!(il8))),
];

const LOCAL_TREATMENT: &[Field<Draft>] = &[
    required(
        "kind",
        "surgery, or radiation as the only local treatment",
        Kind::Choice(&LOCAL_TREATMENTS, |draft| &mut draft.local_treatment),
    ),
    required(
        "delay_days",
        "days from diagnosis to the local treatment",
        number!("days", within(0.0, 3653.0), local_treatment.delay_days),
    ),
    required(
        "residual_foci",
        "mean number of foci of disease left behind",
        number!("", within(0.0, 100.0), local_treatment.residual_foci),
    ),
    required(
        "residual_foci_per_node",
        "further foci per positive node; after surgery only",
        number!(
            "",
            within(0.0, 100.0),
            local_treatment.residual_foci_per_node
        ),
    ),
    required(
        "out_of_field",
        "probability that a focus lies outside the radiation field",
        number!("", FRACTION, local_treatment.out_of_field),
    ),
    required(
        "in_field_survival",
        "probability that a focus in the field survives radiotherapy",
        number!("", FRACTION, local_treatment.in_field_survival),
    ),
    required(
        "burst_fold",
        "perioperative burst: multiple of the flux at resection; 0 for none",
        number!("", within(0.0, 1e4), local_treatment.burst_fold),
    ),
    required(
        "burst_days",
        "time constant of the burst",
        number!("days", above(0.0, 365.0), local_treatment.burst_days),
    ),
];

const DETECTION: &[Field<Draft>] = &[
    required(
        "scar_cells",
        "size at which a colony in the scar is detected",
        number!("cells", CELLS, detection.scar_cells),
    ),
    required(
        "distant_cells",
        "size at which a distant colony is detected",
        number!("cells", CELLS, detection.distant_cells),
    ),
];

const DEATH: &[Field<Draft>] = &[
    required(
        "other_base_per_year",
        "death of other causes: hazard extrapolated to age 0; 0 means never",
        number!("per year", within(0.0, 1.0), death.other_base_per_year),
    ),
    required(
        "other_slope_per_year",
        "death of other causes: growth of the hazard's logarithm with age",
        number!("per year", within(0.0, 0.5), death.other_slope_per_year),
    ),
    required(
        "cancer_shape",
        "Weibull shape of the time from distant recurrence to death of cancer",
        number!("", within(0.1, 20.0), death.cancer_shape),
    ),
    required(
        "cancer_scale_days",
        "Weibull scale of the same; the median divided by ln(2)^(1/shape)",
        number!(
            "days",
            above(0.0, 365250.0),
            death.cancer_scale_days,
            &[other("cancer_scale_years", "years", years)]
        ),
    ),
];

const FOLLOW_UP: &[Field<Draft>] = &[
    required(
        "horizon_days",
        "end of follow-up",
        number!(
            "days",
            within(30.0, HORIZON_DAYS_MAX),
            follow_up.horizon_days,
            &[other("horizon_years", "years", years)]
        ),
    ),
    optional(
        "dropout_per_year",
        "hazard of leaving the trial; 0 for none",
        number!("per year", within(0.0, 100.0), follow_up.dropout_per_year),
    ),
    optional(
        "visits_days",
        "visits at which recurrences are seen; empty when they are seen at once",
        Kind::Numbers(
            quantity("days", above(0.0, 2.0 * HORIZON_DAYS_MAX)),
            VISITS_MAX,
            |draft| &mut draft.trial.scenario.follow_up.visits_days,
        ),
    ),
    optional(
        "visits",
        "visits as a list of { every_months, until_years }, each from the end of the one before",
        Kind::Special,
    ),
];

const ELIGIBILITY: &[Field<Draft>] = &[
    criterion!(age_years, "age", "years", within(0.0, 120.0)),
    criterion!(size_mm, "size at diagnosis", "mm", within(0.0, 1000.0)),
    criterion!(nodes, "positive nodes", "", within(0.0, 1e6)),
    criterion!(
        il6_ng_per_ml,
        "IL-6 in the tumour",
        "ng/mL",
        within(0.0, 1e9)
    ),
    criterion!(
        il8_ng_per_ml,
        "IL-8 in the tumour",
        "ng/mL",
        within(0.0, 1e9)
    ),
    optional(
        "ctc",
        "circulating cells in the sample at diagnosis",
        Kind::Choice(&CTC, |draft| &mut draft.ctc),
    ),
];

const STRATA: &[Field<Draft>] = &[
    cuts!(size_mm, "size at diagnosis", "mm", within(0.0, 500.0)),
    cuts!(
        nodes,
        "positive nodes: [0, 3] makes 0, 1-3, 4+",
        "",
        within(0.0, 1000.0)
    ),
    cuts!(il6_ng_per_ml, "IL-6 in the tumour", "ng/mL", LEVEL),
    cuts!(il8_ng_per_ml, "IL-8 in the tumour", "ng/mL", LEVEL),
    cuts!(age_years, "age", "years", within(0.0, 120.0)),
    cuts!(growth_per_day, "growth rate", "per day", within(0.0, 10.0)),
    optional(
        "ctc",
        "with and without a circulating cell in the sample",
        Kind::Flag(|draft| &mut draft.trial.strata.ctc),
    ),
];

const COMPARE: &[Field<Draft>] = &[
    required(
        "days",
        "times at which arms are compared, at ends of months",
        Kind::Numbers(
            quantity("days", above(0.0, HORIZON_DAYS_MAX)).or(&[
                other("years", "years", years),
                other("months", "months", months),
            ]),
            COMPARE_MAX,
            |draft| &mut draft.trial.compare_days,
        ),
    ),
    optional(
        "primary",
        "the comparison that matters most: { arm, endpoint, years }",
        Kind::Special,
    ),
];

/// A number of virtual trials.
macro_rules! virtual_number {
    ($unit:expr, $bounds:expr, $at:ident, $others:expr) => {
        Kind::Number(quantity($unit, $bounds).or($others), |draft: &mut Draft| {
            &mut draft.virtual_trials.$at
        })
    };
}

/// Numbers of virtual trials.
macro_rules! virtual_numbers {
    ($bounds:expr, $len_max:expr, $at:ident) => {
        Kind::Numbers(quantity("", $bounds), $len_max, |draft: &mut Draft| {
            &mut draft.virtual_trials.$at
        })
    };
}

const VIRTUAL_TRIALS: &[Field<Draft>] = &[
    optional(
        "trials_per_block",
        "trials drawn from the patients of a block",
        Kind::Count(1, TRIALS_PER_BLOCK_MAX, |draft| {
            &mut draft.virtual_trials.trials_per_block
        }),
    ),
    optional(
        "patients_per_arm",
        "patients of the control group, one for each size of trial",
        virtual_numbers!(
            within(2.0, PATIENTS_PER_ARM_MAX),
            SIZES_MAX,
            patients_per_arm
        ),
    ),
    optional(
        "allocation",
        "treated patients for each control, such as 1, 2 or 0.5",
        virtual_number!("", within(0.1, 10.0), allocation, &[]),
    ),
    optional(
        "accrual_months",
        "time from the first to the last entry",
        virtual_number!(
            "months",
            above(0.0, 1200.0),
            accrual_months,
            &[other("accrual_years", "years", in_months)]
        ),
    ),
    optional(
        "follow_up_months",
        "time from the last entry to the end of the trial",
        virtual_number!(
            "months",
            within(0.0, 1200.0),
            follow_up_months,
            &[other("follow_up_years", "years", in_months)]
        ),
    ),
    optional(
        "dropout_per_year",
        "hazard of leaving a virtual trial, besides follow_up.dropout_per_year",
        virtual_number!("per year", within(0.0, 100.0), dropout_per_year, &[]),
    ),
    optional(
        "looks",
        "analyses as fractions of the trial's time, or of its events if they are planned; the \
         last, 1, may be left out",
        virtual_numbers!(above(0.0, 1.0), LOOKS_MAX, looks),
    ),
    optional(
        "events",
        "events of both groups at which trials end, one number for each size; without them they end \
         by the calendar",
        virtual_numbers!(within(1.0, 2.0 * PATIENTS_PER_ARM_MAX), SIZES_MAX, events),
    ),
    optional(
        "spending",
        "alpha-spending function of the looks; none is alpha at every look, which is too much",
        Kind::Choice(&SPENDING, |draft| &mut draft.virtual_spending),
    ),
    optional(
        "alpha",
        "two-sided level of a trial's tests",
        virtual_number!("", within(1e-6, 0.5), alpha, &[]),
    ),
    optional(
        "endpoint",
        "what is tested; competing events censor",
        Kind::Choice(&VIRTUAL_ENDPOINTS, |draft| &mut draft.virtual_endpoint),
    ),
];

fn in_months(years: f64) -> f64 {
    12.0 * years
}

impl Draft {
    /// Nothing given yet: NaN where a value is required, the default where it is optional.
    pub(crate) fn blank() -> Self {
        Self {
            trial: Trial {
                name: String::new(),
                title: String::new(),
                scenario: blank_scenario(),
                drug_keys: Vec::new(),
                patients: 0,
                precision: None,
                block_patients: None,
                uncertainty: None,
                seed: 0,
                records: false,
                strata: Strata::default(),
                compare_days: Vec::new(),
                primary: Primary {
                    arm: 0,
                    endpoint: Endpoint::Local,
                    day: f64::NAN,
                },
                virtual_trials: None,
            },
            size_measure: 0,
            breslow_aspect: f64::NAN,
            precision: f64::NAN,
            block_patients: 0,
            interaction: 0,
            local_treatment: 0,
            ctc: 0,
            colonies_max: 10_000,
            virtual_trials: VirtualTrials::default(),
            virtual_spending: 0,
            virtual_endpoint: 0,
        }
    }

    /// The draft that a finished trial would come from.
    pub(crate) fn of(trial: &Trial) -> Self {
        let scenario = &trial.scenario;
        let (size_measure, breslow_aspect) = match scenario.population.size_measure {
            SizeMeasure::Diameter => (0, f64::NAN),
            SizeMeasure::Breslow { aspect } => (1, aspect),
        };
        let virtual_trials = trial.virtual_trials.clone().unwrap_or_default();
        Self {
            size_measure,
            breslow_aspect,
            virtual_spending: virtual_trials.spending as usize,
            virtual_endpoint: (virtual_trials.endpoint).map_or(0, |endpoint| 1 + endpoint as usize),
            virtual_trials,
            precision: trial.precision.unwrap_or(f64::NAN),
            block_patients: trial.block_patients.unwrap_or(0),
            interaction: scenario.homing.interaction as usize,
            local_treatment: scenario.local_treatment.kind as usize,
            ctc: match scenario.eligibility.ctc_positive {
                None => 0,
                Some(true) => 1,
                Some(false) => 2,
            },
            colonies_max: u64::from(scenario.colonies_max),
            trial: trial.clone(),
        }
    }

    /// Adds uncertainty, which takes blocks.
    pub(crate) fn explore(&mut self, uncertainty: Uncertainty) {
        self.trial.uncertainty = Some(uncertainty);
        self.need_blocks();
    }

    /// Gives blocks a size where something takes them and the file does not say how large.
    fn need_blocks(&mut self) {
        if self.block_patients > 0 {
            return;
        }
        if self.trial.virtual_trials.is_some() {
            self.block_patients = POOL_PATIENTS;
        } else if self.trial.uncertainty.is_some() {
            self.block_patients = POINT_PATIENTS;
        }
    }

    /// Screens the patients of so many blocks; `false` if they are too many.
    pub(crate) fn screen_points(&mut self, points: u64) -> bool {
        self.trial.patients = points.saturating_mul(self.block_patients);
        self.trial.patients <= PATIENTS_MAX
    }

    /// Puts the choices into the model's form.
    pub(crate) fn settle(&mut self) {
        let scenario = &mut self.trial.scenario;
        scenario.population.size_measure = if self.size_measure == 0 {
            SizeMeasure::Diameter
        } else {
            SizeMeasure::Breslow {
                aspect: self.breslow_aspect,
            }
        };
        scenario.homing.interaction =
            [Interaction::Additive, Interaction::And, Interaction::Or][self.interaction];
        scenario.local_treatment.kind = [
            LocalTreatmentKind::Surgery,
            LocalTreatmentKind::Radiotherapy,
        ][self.local_treatment];
        scenario.eligibility.ctc_positive = [None, Some(true), Some(false)][self.ctc];
        scenario.colonies_max = u32::try_from(self.colonies_max).unwrap_or(u32::MAX);
        for a in 0..TRAITS {
            for b in 0..a {
                scenario.population.correlation[a][b] = scenario.population.correlation[b][a];
            }
        }
        self.trial.precision = Some(self.precision).filter(|points| !points.is_nan());
        self.need_blocks();
        self.trial.block_patients = Some(self.block_patients).filter(|patients| *patients > 0);
        self.trial.patients = self.trial.whole_blocks(self.trial.patients);
    }

    /// Puts the virtual trials into the trial if their table was given.
    pub(crate) fn place_virtual_trials(&mut self, given: bool) {
        let virtual_trials = &mut self.virtual_trials;
        virtual_trials.settle();
        virtual_trials.spending = Spending::ALL[self.virtual_spending];
        let endpoint = self.virtual_endpoint.checked_sub(1);
        virtual_trials.endpoint = endpoint.map(|endpoint| Endpoint::ALL[endpoint]);
        self.trial.virtual_trials = given.then(|| virtual_trials.clone());
    }

    /// Whether size is Breslow thickness, and the aspect of its disc (NaN if not given).
    pub(crate) fn breslow(&self) -> (bool, f64) {
        (self.size_measure == 1, self.breslow_aspect)
    }
}

/// Stands for a value that has not been given.
const UNKNOWN: f64 = f64::NAN;

const BLANK_LIGAND: Ligand = Ligand {
    weight: UNKNOWN,
    ec50_ng_per_ml: UNKNOWN,
    tumour_ng_per_ml: UNKNOWN,
    bed_lasting_ng_per_ml: UNKNOWN,
    bed_fast_ng_per_ml: UNKNOWN,
    bed_slow_ng_per_ml: UNKNOWN,
};

fn blank_population() -> Population {
    let mut correlation = [[0.0; TRAITS]; TRAITS];
    for (position, row) in correlation.iter_mut().enumerate() {
        row[position] = 1.0;
    }
    Population {
        size_measure: SizeMeasure::Diameter,
        size_median_mm: UNKNOWN,
        size_sigma: UNKNOWN,
        size_min_mm: UNKNOWN,
        size_max_mm: UNKNOWN,
        growth_median_per_day: UNKNOWN,
        growth_sigma: UNKNOWN,
        shedding_median_per_day: UNKNOWN,
        shedding_sigma: UNKNOWN,
        il6_sigma: UNKNOWN,
        il8_sigma: UNKNOWN,
        age_mean_years: UNKNOWN,
        age_sd_years: UNKNOWN,
        weight_median_kg: UNKNOWN,
        weight_cv: UNKNOWN,
        correlation,
    }
}

fn blank_scenario() -> Scenario {
    Scenario {
        population: blank_population(),
        growth: Growth {
            plateau_cells: UNKNOWN,
            establishment: UNKNOWN,
            colony_sigma: UNKNOWN,
            distant_ratio: UNKNOWN,
            cxcl1_boost: UNKNOWN,
        },
        shedding: Shedding {
            exponent: UNKNOWN,
            node_probability: UNKNOWN,
            distant_probability: UNKNOWN,
            home_probability: UNKNOWN,
            lung_filter: UNKNOWN,
            aggressive_fraction: UNKNOWN,
            half_life_days: UNKNOWN,
        },
        dormancy: Dormancy {
            probability: UNKNOWN,
            waking_per_day: UNKNOWN,
            surgery_excess: UNKNOWN,
            surgery_window_days: UNKNOWN,
        },
        homing: Homing {
            interaction: Interaction::Additive,
            base: UNKNOWN,
            il6: BLANK_LIGAND,
            il8: BLANK_LIGAND,
            wound_fast_days: UNKNOWN,
            wound_slow_days: UNKNOWN,
            mmp1_ceiling: UNKNOWN,
            fscn1_ceiling: UNKNOWN,
            scar_capture: UNKNOWN,
            radiotherapy_fold: UNKNOWN,
        },
        local_treatment: LocalTreatment {
            kind: LocalTreatmentKind::Surgery,
            delay_days: UNKNOWN,
            residual_foci: UNKNOWN,
            residual_foci_per_node: UNKNOWN,
            out_of_field: UNKNOWN,
            in_field_survival: UNKNOWN,
            burst_fold: UNKNOWN,
            burst_days: UNKNOWN,
        },
        detection: Detection {
            scar_cells: UNKNOWN,
            distant_cells: UNKNOWN,
        },
        death: Death {
            other_base_per_year: UNKNOWN,
            other_slope_per_year: UNKNOWN,
            cancer_shape: UNKNOWN,
            cancer_scale_days: UNKNOWN,
        },
        follow_up: FollowUp {
            horizon_days: UNKNOWN,
            dropout_per_year: 0.0,
            visits_days: Vec::new(),
        },
        eligibility: Eligibility {
            age_years: Range::ALL,
            size_mm: Range::ALL,
            nodes: Range::ALL,
            il6_ng_per_ml: Range::ALL,
            il8_ng_per_ml: Range::ALL,
            ctc_positive: None,
        },
        drugs: Vec::new(),
        arms: Vec::new(),
        control: 0,
        colonies_max: 0,
    }
}
