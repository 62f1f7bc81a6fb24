//! Scenarios in which one part of the model can be seen alone.

use reseed_model::scenario::{
    Action, Amount, Arm, Death, Detection, Direct, Dormancy, DoseBlock, Dosed, Drug, Effect,
    Eligibility, FollowUp, GENES, Growth, Homing, Interaction, Ligand, LocalTreatment,
    LocalTreatmentKind, Peripheral, Population, Range, Route, Scenario, Shedding, SizeMeasure,
    TRAITS, Trait, Varying,
};

/// Every patient alike, a tumour of 10⁷ cells that sheds but founds nothing, no drug, one arm
/// without treatment beyond surgery, ten years of follow-up without death or drop-out. Tests
/// switch on what they are about.
pub fn quiet() -> Scenario {
    let ligand = |weight| Ligand {
        weight,
        ec50_ng_per_ml: 2.0,
        tumour_ng_per_ml: 3.0,
        bed_lasting_ng_per_ml: 1.0,
        bed_fast_ng_per_ml: 0.0,
        bed_slow_ng_per_ml: 0.0,
    };
    let mut scenario = Scenario {
        population: identical_patients(),
        growth: Growth {
            plateau_cells: 1e10,
            establishment: 0.3,
            colony_sigma: 0.0,
            distant_ratio: 1.0,
            cxcl1_boost: 0.0,
        },
        shedding: Shedding {
            exponent: 0.75,
            node_probability: 0.0,
            distant_probability: 0.0,
            home_probability: 0.0,
            lung_filter: 1.0,
            aggressive_fraction: 0.5,
            half_life_days: 0.01,
        },
        dormancy: Dormancy {
            probability: 0.0,
            waking_per_day: 0.0,
            surgery_excess: 0.0,
            surgery_window_days: 0.0,
        },
        homing: Homing {
            interaction: Interaction::Additive,
            base: 0.2,
            il6: ligand(0.5),
            il8: ligand(0.3),
            wound_fast_days: 5.0,
            wound_slow_days: 50.0,
            mmp1_ceiling: 0.0,
            fscn1_ceiling: 0.0,
            scar_capture: 1.0,
            radiotherapy_fold: 1.0,
        },
        local_treatment: LocalTreatment {
            kind: LocalTreatmentKind::Surgery,
            delay_days: 20.0,
            residual_foci: 0.0,
            residual_foci_per_node: 0.0,
            out_of_field: 0.2,
            in_field_survival: 0.1,
            burst_fold: 0.0,
            burst_days: 1.0,
        },
        detection: Detection {
            scar_cells: 1e5,
            distant_cells: 1e5,
        },
        death: Death {
            other_base_per_year: 0.0,
            other_slope_per_year: 0.1,
            cancer_shape: 0.9,
            cancer_scale_days: 900.0,
        },
        follow_up: FollowUp {
            horizon_days: 3652.5,
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
        arms: vec![arm("control", false, &[])],
        control: 0,
        colonies_max: 10_000,
    };
    set_size_cells(&mut scenario, 1e7);
    scenario
}

fn identical_patients() -> Population {
    Population {
        size_measure: SizeMeasure::Diameter,
        size_median_mm: 1.0,
        size_sigma: 0.0,
        size_min_mm: 1e-3,
        size_max_mm: 100.0,
        growth_median_per_day: 0.01,
        growth_sigma: 0.0,
        shedding_median_per_day: 1.0,
        shedding_sigma: 0.0,
        il6_sigma: 0.0,
        il8_sigma: 0.0,
        age_mean_years: 55.0,
        age_sd_years: 0.0,
        weight_median_kg: 70.0,
        weight_cv: 0.0,
        correlation: identity(),
    }
}

/// An arm.
pub fn arm(name: &str, radiotherapy: bool, drugs: &[usize]) -> Arm {
    Arm {
        name: name.to_owned(),
        radiotherapy,
        drugs: drugs.to_vec(),
    }
}

/// Makes the median tumour at diagnosis a sphere of this many cells.
pub fn set_size_cells(scenario: &mut Scenario, cells: f64) {
    scenario.population.size_median_mm = (cells * 6.0 / std::f64::consts::PI / 1e6).cbrt();
}

/// The uncorrelated correlation matrix.
pub fn identity() -> [[f64; TRAITS]; TRAITS] {
    let mut matrix = [[0.0; TRAITS]; TRAITS];
    for (i, row) in matrix.iter_mut().enumerate() {
        row[i] = 1.0;
    }
    matrix
}

/// Four drugs of direct action, one of doses, and eight arms of them, in patients who differ in
/// everything, with correlations: most patients found several colonies and every rule of
/// sections 2 to 6 acts in some arm. Days fall on multiples of half a day.
pub fn eventful() -> Scenario {
    let mut scenario = quiet();
    diverse_patients(&mut scenario);
    let growth = &mut scenario.growth;
    growth.plateau_cells = 1e9;
    growth.colony_sigma = 0.4;
    growth.distant_ratio = 0.9;
    growth.cxcl1_boost = 1.0;
    scenario.shedding = Shedding {
        exponent: 0.7,
        node_probability: 1e-6,
        distant_probability: 2e-6,
        home_probability: 1.2e-4,
        lung_filter: 0.1,
        aggressive_fraction: 0.4,
        half_life_days: 0.02,
    };
    scenario.dormancy = Dormancy {
        probability: 0.3,
        waking_per_day: 0.002,
        surgery_excess: 3.0,
        surgery_window_days: 40.0,
    };
    scenario.homing = eventful_homing();
    scenario.local_treatment = LocalTreatment {
        kind: LocalTreatmentKind::Surgery,
        delay_days: 20.0,
        residual_foci: 0.3,
        residual_foci_per_node: 0.2,
        out_of_field: 0.3,
        in_field_survival: 0.1,
        burst_fold: 2.0,
        burst_days: 4.0,
    };
    scenario.detection = Detection {
        scar_cells: 1e5,
        distant_cells: 2e6,
    };
    scenario.death.other_base_per_year = 1e-3;
    scenario.follow_up.horizon_days = 1500.0;
    scenario.follow_up.dropout_per_year = 0.03;
    scenario.drugs = eventful_drugs();
    scenario.arms = vec![
        arm("control", false, &[]),
        arm("radiotherapy", true, &[]),
        arm("IL6", false, &[0]),
        arm("IL6 and IL8", false, &[0, 1]),
        arm("infiltration", false, &[2]),
        arm("CXCL1", false, &[3]),
        arm("doses", false, &[4]),
        arm("all", true, &[0, 1, 2, 3, 4]),
    ];
    scenario
}

fn diverse_patients(scenario: &mut Scenario) {
    set_size_cells(scenario, 1e6);
    let population = &mut scenario.population;
    population.size_sigma = 0.3;
    population.growth_sigma = 0.3;
    population.shedding_sigma = 0.5;
    population.il6_sigma = 0.8;
    population.il8_sigma = 0.6;
    population.age_mean_years = 60.0;
    population.age_sd_years = 15.0;
    population.weight_cv = 0.2;
    population.growth_median_per_day = 0.005;
    for (one, other, correlation) in [
        (Trait::Growth, Trait::Size, -0.3),
        (Trait::Growth, Trait::Shedding, 0.4),
        (Trait::Il6, Trait::Il8, 0.5),
    ] {
        population.correlation[one as usize][other as usize] = correlation;
        population.correlation[other as usize][one as usize] = correlation;
    }
}

fn eventful_homing() -> Homing {
    Homing {
        interaction: Interaction::Additive,
        base: 0.1,
        il6: Ligand {
            weight: 0.5,
            ec50_ng_per_ml: 2.0,
            tumour_ng_per_ml: 3.0,
            bed_lasting_ng_per_ml: 1.0,
            bed_fast_ng_per_ml: 20.0,
            bed_slow_ng_per_ml: 6.0,
        },
        il8: Ligand {
            weight: 0.4,
            ec50_ng_per_ml: 20.0,
            tumour_ng_per_ml: 15.0,
            bed_lasting_ng_per_ml: 5.0,
            bed_fast_ng_per_ml: 50.0,
            bed_slow_ng_per_ml: 60.0,
        },
        wound_fast_days: 5.0,
        wound_slow_days: 50.0,
        mmp1_ceiling: 0.6,
        fscn1_ceiling: 0.5,
        scar_capture: 0.7,
        radiotherapy_fold: 2.0,
    }
}

fn eventful_drugs() -> Vec<Drug> {
    let direct = |name: &str, inhibition: [f64; GENES], from_day: f64, until_day: f64| Drug {
        name: name.to_owned(),
        action: Action::Direct(Direct {
            inhibition,
            from_day,
            until_day,
        }),
    };
    let varying = |median: f64| Varying { median, cv: 0.4 };
    let effect = |imax: f64, ic50_mg_per_l: f64, hill: f64| {
        Some(Effect {
            imax,
            ic50_mg_per_l,
            hill,
        })
    };
    vec![
        direct("anti-IL6", [0.9, 0.0, 0.0, 0.0, 0.0], 0.0, 400.0),
        direct("anti-IL8", [0.0, 0.8, 0.0, 0.0, 0.0], -10.0, f64::INFINITY),
        direct("anti-entry", [0.0, 0.0, 0.9, 0.8, 0.0], -20.0, 300.0),
        direct("anti-CXCL1", [0.0, 0.0, 0.0, 0.0, 0.9], -15.0, 350.0),
        Drug {
            name: "antibody".to_owned(),
            action: Action::Dosed(Box::new(Dosed {
                schedule: vec![
                    DoseBlock {
                        first_day: -14.0,
                        interval_days: 14.0,
                        doses: 4,
                        amount: Amount::MilligramsPerKilogram(5.0),
                    },
                    DoseBlock {
                        first_day: 60.0,
                        interval_days: 30.0,
                        doses: 6,
                        amount: Amount::Milligrams(300.0),
                    },
                ],
                route: Route::Absorption {
                    rate_per_day: varying(0.3),
                    bioavailability: 0.7,
                },
                clearance_l_per_day: varying(0.4),
                central_l: varying(3.5),
                peripheral: Some(Peripheral {
                    volume_l: varying(3.0),
                    exchange_l_per_day: varying(0.6),
                }),
                tissue_fraction: 0.2,
                effects: [
                    effect(0.9, 2.0, 1.0),
                    effect(0.7, 4.0, 2.0),
                    None,
                    None,
                    effect(0.95, 3.0, 1.5),
                ],
            })),
        },
    ]
}

/// Patients of some hundreds of cells, whose every cell can be followed: exponential growth at
/// first (so large is the plateau), shedding proportional to size, detection at a few hundred
/// cells, and every way of founding.
pub fn cellular() -> Scenario {
    let mut scenario = quiet();
    set_size_cells(&mut scenario, 600.0);
    scenario.growth.plateau_cells = 1e80;
    // One cell's net growth is 0.2 per day.
    scenario.population.growth_median_per_day = 0.2 / scenario.growth.plateau_cells.ln();
    scenario.population.shedding_median_per_day = 6e-3;
    scenario.growth.establishment = 0.5;
    scenario.growth.colony_sigma = 0.2;
    scenario.growth.distant_ratio = 0.8;
    scenario.growth.cxcl1_boost = 0.3;
    scenario.shedding.exponent = 1.0;
    scenario.shedding.node_probability = 0.05;
    scenario.shedding.distant_probability = 0.03;
    scenario.shedding.home_probability = 0.3;
    scenario.shedding.lung_filter = 0.5;
    scenario.shedding.aggressive_fraction = 0.5;
    scenario.dormancy.probability = 0.4;
    scenario.dormancy.waking_per_day = 0.02;
    scenario.dormancy.surgery_excess = 2.0;
    scenario.dormancy.surgery_window_days = 10.0;
    scenario.homing.il6.bed_fast_ng_per_ml = 6.0;
    scenario.homing.il8.bed_slow_ng_per_ml = 4.0;
    scenario.homing.scar_capture = 0.8;
    scenario.local_treatment.delay_days = 3.0;
    scenario.local_treatment.residual_foci = 0.2;
    scenario.local_treatment.residual_foci_per_node = 0.05;
    scenario.local_treatment.burst_fold = 1.0;
    scenario.local_treatment.burst_days = 1.5;
    scenario.detection.scar_cells = 150.0;
    scenario.detection.distant_cells = 500.0;
    scenario.follow_up.horizon_days = 200.0;
    scenario
}
