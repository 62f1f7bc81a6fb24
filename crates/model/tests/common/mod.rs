//! A breast-like scenario with every kind of arm, for the model's own tests.

use reseed_model::scenario::{
    Action, Amount, Arm, Death, Detection, Direct, Dormancy, DoseBlock, Dosed, Drug, Effect,
    Eligibility, FollowUp, GENES, Gene, Growth, Homing, Interaction, Ligand, LocalTreatment,
    LocalTreatmentKind, Peripheral, Population, Range, Route, Scenario, Shedding, SizeMeasure,
    TRAITS, Trait, Varying,
};

const fn varying(median: f64, cv: f64) -> Varying {
    Varying { median, cv }
}

fn direct(name: &str, genes: &[Gene], inhibition: f64, from_day: f64, until_day: f64) -> Drug {
    let mut array = [0.0; GENES];
    for gene in genes {
        array[gene.index()] = inhibition;
    }
    Drug {
        name: name.into(),
        action: Action::Direct(Direct {
            inhibition: array,
            from_day,
            until_day,
        }),
    }
}

fn dosed(name: &str, genes: &[Gene], ic50: f64, dosed: Dosed) -> Drug {
    let mut effects = [None; GENES];
    for gene in genes {
        effects[gene.index()] = Some(Effect {
            imax: 1.0,
            ic50_mg_per_l: ic50,
            hill: 1.0,
        });
    }
    Drug {
        name: name.into(),
        action: Action::Dosed(Box::new(Dosed { effects, ..dosed })),
    }
}

/// Whether an arm has a drug that inhibits CXCL1.
pub(crate) fn inhibits_cxcl1(scenario: &Scenario, arm: usize) -> bool {
    scenario.arms[arm].drugs.iter().any(|&drug| {
        let gene = Gene::Cxcl1.index();
        match &scenario.drugs[drug].action {
            Action::Direct(direct) => direct.inhibition[gene] > 0.0,
            Action::Dosed(dosed) => dosed.effects[gene].is_some(),
        }
    })
}

/// Twelve arms: control, drugs of both kinds, before and after surgery, and radiotherapy.
#[expect(clippy::too_many_lines, reason = "a list of values")]
pub(crate) fn breast() -> Scenario {
    let mut correlation = [[0.0; TRAITS]; TRAITS];
    for (at, row) in correlation.iter_mut().enumerate() {
        row[at] = 1.0;
    }
    let mut correlate = |a: Trait, b: Trait, r: f64| {
        correlation[a as usize][b as usize] = r;
        correlation[b as usize][a as usize] = r;
    };
    correlate(Trait::Growth, Trait::Size, -0.38);
    correlate(Trait::Growth, Trait::Shedding, 0.42);
    correlate(Trait::Il6, Trait::Il8, 0.5);
    let siltuximab = Dosed {
        schedule: vec![DoseBlock {
            first_day: 0.0,
            interval_days: 21.0,
            doses: 18,
            amount: Amount::MilligramsPerKilogram(11.0),
        }],
        route: Route::Infusion { days: 1.0 / 24.0 },
        clearance_l_per_day: varying(0.214, 0.4),
        central_l: varying(3.66, 0.42),
        peripheral: Some(Peripheral {
            volume_l: varying(3.13, 0.0),
            exchange_l_per_day: varying(0.624, 0.0),
        }),
        tissue_fraction: 0.2,
        effects: [None; GENES],
    };
    let antibody = Dosed {
        schedule: vec![DoseBlock {
            first_day: 0.0,
            interval_days: 14.0,
            doses: 26,
            amount: Amount::Milligrams(2400.0),
        }],
        route: Route::Bolus,
        clearance_l_per_day: varying(0.25, 0.35),
        central_l: varying(6.5, 0.0),
        peripheral: None,
        tissue_fraction: 0.2,
        effects: [None; GENES],
    };
    let tablet = Dosed {
        schedule: vec![DoseBlock {
            first_day: 0.0,
            interval_days: 0.5,
            doses: 730,
            amount: Amount::Milligrams(45.0),
        }],
        route: Route::Absorption {
            rate_per_day: varying(24.0, 0.3),
            bioavailability: 1.0,
        },
        clearance_l_per_day: varying(150.0, 0.4),
        central_l: varying(100.0, 0.3),
        peripheral: None,
        tissue_fraction: 1.0,
        effects: [None; GENES],
    };
    let drugs = vec![
        dosed("siltuximab", &[Gene::Il6], 0.005, siltuximab),
        dosed("bms", &[Gene::Il8], 0.5, antibody),
        dosed("azd5069", &[Gene::Il8, Gene::Cxcl1], 0.005, tablet),
        direct("mmp1", &[Gene::Mmp1], 0.9, 0.0, 365.0),
        direct("fscn1", &[Gene::Fscn1], 0.9, 0.0, 365.0),
        direct("five", &Gene::ALL, 0.9, 0.0, 365.0),
        direct("five-around", &Gene::ALL, 0.9, -30.0, 30.0),
        direct("il6-forever", &[Gene::Il6], 1.0, 0.0, f64::INFINITY),
    ];
    let arm = |name: &str, drugs: &[usize], radiotherapy: bool| Arm {
        name: name.into(),
        radiotherapy,
        drugs: drugs.to_vec(),
    };
    Scenario {
        population: Population {
            size_measure: SizeMeasure::Diameter,
            size_median_mm: 21.2,
            size_sigma: 0.675,
            size_min_mm: 1.0,
            size_max_mm: 150.0,
            growth_median_per_day: 8.2e-4,
            growth_sigma: 1.12,
            shedding_median_per_day: 1.6e-3,
            shedding_sigma: 1.5,
            il6_sigma: 0.8,
            il8_sigma: 0.8,
            age_mean_years: 55.0,
            age_sd_years: 13.0,
            weight_median_kg: 70.0,
            weight_cv: 0.2,
            correlation,
        },
        growth: Growth {
            plateau_cells: 3.1e12,
            establishment: 0.28,
            colony_sigma: 0.25,
            distant_ratio: 1.0,
            cxcl1_boost: 0.2,
        },
        shedding: Shedding {
            exponent: 2.0 / 3.0,
            node_probability: 5.8e-7,
            distant_probability: 5.7e-7,
            home_probability: 8.1e-5,
            lung_filter: 0.1,
            aggressive_fraction: 0.3,
            half_life_days: 17.0 / 1440.0,
        },
        dormancy: Dormancy {
            probability: 0.09,
            waking_per_day: 1.0 / 7000.0,
            surgery_excess: 0.5,
            surgery_window_days: 30.0,
        },
        homing: Homing {
            interaction: Interaction::Additive,
            base: 0.15,
            il6: Ligand {
                weight: 0.45,
                ec50_ng_per_ml: 0.5,
                tumour_ng_per_ml: 1.0,
                bed_lasting_ng_per_ml: 0.5,
                bed_fast_ng_per_ml: 10.0,
                bed_slow_ng_per_ml: 2.0,
            },
            il8: Ligand {
                weight: 0.40,
                ec50_ng_per_ml: 20.0,
                tumour_ng_per_ml: 20.0,
                bed_lasting_ng_per_ml: 10.0,
                bed_fast_ng_per_ml: 7.0,
                bed_slow_ng_per_ml: 2.0,
            },
            wound_fast_days: 4.5,
            wound_slow_days: 45.0,
            mmp1_ceiling: 0.6,
            fscn1_ceiling: 0.6,
            scar_capture: 1.0,
            radiotherapy_fold: 1.5,
        },
        local_treatment: LocalTreatment {
            kind: LocalTreatmentKind::Surgery,
            delay_days: 30.0,
            residual_foci: 0.17,
            residual_foci_per_node: 0.09,
            out_of_field: 0.2,
            in_field_survival: 1e-3,
            burst_fold: 5.0,
            burst_days: 1.0,
        },
        detection: Detection {
            scar_cells: 5e8,
            distant_cells: 1e9,
        },
        death: Death {
            other_base_per_year: 1.3e-5,
            other_slope_per_year: 0.095,
            cancer_shape: 0.9,
            cancer_scale_days: 987.0,
        },
        follow_up: FollowUp {
            horizon_days: 7305.0,
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
        drugs,
        arms: vec![
            arm("control", &[], false),
            arm("siltuximab", &[0], false),
            arm("bms", &[1], false),
            arm("azd5069", &[2], false),
            arm("siltuximab+bms", &[0, 1], false),
            arm("mmp1", &[3], false),
            arm("fscn1", &[4], false),
            arm("five", &[5], false),
            arm("five-around", &[6], false),
            arm("il6-forever", &[7], false),
            arm("radiotherapy", &[], true),
            arm("radiotherapy+all", &[0, 1, 2, 5], true),
        ],
        control: 0,
        colonies_max: 10_000,
    }
}
