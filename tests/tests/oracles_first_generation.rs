//! Oracles by quadrature and closed form: scenarios in which only the first generation of
//! founders matters, patients alike, many of them, so that an error of a per cent or two shows.

use reseed_model::scenario::{
    Action, Direct, Drug, GENES, Interaction, LocalTreatmentKind, Scenario,
};
use reseed_tests::engine;
use reseed_tests::reference::first_generation::{LonePrimary, Maturation, simpson};
use reseed_tests::reference::patient::sample_mean;
use reseed_tests::scenarios::{arm, quiet, set_size_cells};
use reseed_tests::statistics::{Agreement, Mean, kolmogorov_smirnov};

const SIZE: f64 = 1e7;
const PATIENTS: u64 = 150_000;

/// Number of patients enrolled, and of those with an event by each of `days`.
fn events(
    scenario: &Scenario,
    seed: u64,
    days: &[f64],
    event: impl Fn(&reseed_model::patient::Course) -> f64,
) -> (u64, Vec<Vec<u64>>) {
    let mut enrolled = 0;
    let mut hits = vec![vec![0; days.len()]; scenario.arms.len()];
    engine::for_each(scenario, seed, 0..PATIENTS, |patient| {
        enrolled += u64::from(patient.exclusion.is_none());
        for (arm, course) in patient.courses.iter().enumerate() {
            for (hit, &day) in hits[arm].iter_mut().zip(days) {
                *hit += u64::from(event(course) <= day);
            }
        }
    });
    (enrolled, hits)
}

/// Metastases that are detected when still too small to found anything themselves.
fn metastasising() -> Scenario {
    let mut scenario = quiet();
    scenario.shedding.distant_probability = 3e-7;
    scenario.detection.distant_cells = 1e4;
    scenario.growth.distant_ratio = 0.7;
    scenario
}

fn check_distant(scenario: &Scenario, seed: u64) {
    let days = [40.0, 80.0, 120.0, 200.0, 400.0, 1000.0, 3000.0];
    let maturation = Maturation::new(
        scenario,
        scenario.growth.distant_ratio,
        scenario.detection.distant_cells,
        6_000.0,
    );
    let primary = LonePrimary::new(scenario, SIZE);
    let free = primary.distant_free(&maturation, &days);
    let (enrolled, hits) = events(scenario, seed, &days, |course| course.distant_days);
    let mut agreement = Agreement::default();
    agreement.proportion(
        "enrolled",
        enrolled,
        PATIENTS,
        primary.enrolled(&maturation),
    );
    for ((day, free), &hits) in days.iter().zip(&free).zip(&hits[0]) {
        agreement.proportion(&format!("distant by {day}"), hits, enrolled, 1.0 - free);
    }
    agreement.assert(8);
}

#[test]
fn distant_recurrence_follows_the_first_generation_integral() {
    check_distant(&metastasising(), 41);
}

#[test]
fn distant_recurrence_follows_it_with_spread_dormancy_waking_and_burst() {
    let mut scenario = metastasising();
    scenario.growth.colony_sigma = 0.3;
    scenario.dormancy.probability = 0.6;
    scenario.dormancy.waking_per_day = 0.0015;
    scenario.dormancy.surgery_excess = 4.0;
    scenario.dormancy.surgery_window_days = 60.0;
    scenario.local_treatment.burst_fold = 10.0;
    scenario.local_treatment.burst_days = 5.0;
    check_distant(&scenario, 42);
    // Radiation as the primary treatment: neither burst nor waking.
    scenario.local_treatment.kind = LocalTreatmentKind::Radiotherapy;
    check_distant(&scenario, 43);
}

#[test]
fn recurrence_reaches_the_exponential_limit() {
    // With K beyond all bounds everything grows at r, and the integral over founding times is
    // elementary: with y = e^(−r·age at resection) each founder is detected by τ with probability
    // exp(−q·y), q = π·n·e^(−rτ), so that ln P(free) = −(μ·N_R/r)·(1 − e^(−q))/q. It is the
    // formula of Avanzini & Antal (PLoS Comput Biol 2019;15:e1007423) for equal growth rates.
    let rate = 0.05;
    let (size, detection, delay) = (1e4, 1e3, 10.0);
    let mut scenario = quiet();
    scenario.growth.plateau_cells = 1e300;
    scenario.population.growth_median_per_day = rate / (300.0 * std::f64::consts::LN_10);
    scenario.shedding.exponent = 1.0;
    scenario.shedding.distant_probability = 3e-6;
    scenario.detection.distant_cells = detection;
    scenario.local_treatment.delay_days = delay;
    set_size_cells(&mut scenario, size);

    let closed_form = |day: f64| {
        let q = scenario.growth.establishment * detection * (-rate * day).exp();
        let founded = scenario.shedding.distant_probability * size * (rate * delay).exp() / rate;
        (-founded * -(-q).exp_m1() / q).exp()
    };
    let days = [20.0, 60.0, 100.0, 150.0, 250.0];
    let primary = LonePrimary::new(&scenario, size);
    let maturation = Maturation::new(&scenario, 1.0, detection, 2_000.0);
    let quadrature = primary.distant_free(&maturation, &days);
    let (enrolled, hits) = events(&scenario, 44, &days, |course| course.distant_days);
    let mut agreement = Agreement::default();
    for (i, &day) in days.iter().enumerate() {
        // Founders and metastases of 10³ to 10⁴ cells still feel the plateau by 1 %.
        let limit = closed_form(day) / closed_form(-delay);
        let gap = (1.0 - quadrature[i]) / (1.0 - limit) - 1.0;
        assert!(gap.abs() < 0.04, "{gap} at day {day}");
        let label = format!("distant by {day}, limit {:.6}", 1.0 - limit);
        agreement.proportion(&label, hits[0][i], enrolled, 1.0 - quadrature[i]);
    }
    agreement.assert(5);
}

#[test]
fn residual_foci_recur_by_their_closed_form() {
    let mut scenario = quiet();
    scenario.shedding.node_probability = 2e-7;
    scenario.local_treatment.residual_foci = 0.4;
    scenario.local_treatment.residual_foci_per_node = 0.5;
    scenario.growth.colony_sigma = 0.4;
    scenario.dormancy.probability = 0.5;
    scenario.dormancy.waking_per_day = 0.002;
    scenario.dormancy.surgery_excess = 5.0;
    scenario.dormancy.surgery_window_days = 80.0;
    scenario.arms = vec![arm("control", false, &[]), arm("radiotherapy", true, &[])];
    let days = [60.0, 100.0, 150.0, 250.0, 500.0, 1500.0];
    let maturation = Maturation::new(&scenario, 1.0, scenario.detection.scar_cells, 2_000.0);
    let primary = LonePrimary::new(&scenario, SIZE);
    let nodes =
        scenario.shedding.node_probability * primary.average(|age| primary.shed(age, 0.0, |_| 1.0));
    let mut agreement = Agreement::default();

    let mut counted = Mean::default();
    let mut negative = 0;
    engine::for_each(&scenario, 45, 0..PATIENTS, |patient| {
        counted.push(f64::from(patient.covariates.nodes));
        negative += u64::from(patient.covariates.nodes == 0);
    });
    agreement.mean("nodes", &counted, nodes);
    agreement.proportion("node-negative", negative, PATIENTS, (-nodes).exp());

    let (enrolled, hits) = events(&scenario, 45, &days, |course| course.local_days);
    let treatment = &scenario.local_treatment;
    let irradiated =
        treatment.out_of_field + (1.0 - treatment.out_of_field) * treatment.in_field_survival;
    for (index, kept) in [1.0, irradiated].into_iter().enumerate() {
        for (&day, &hits) in days.iter().zip(&hits[index]) {
            // Foci are Poisson given the nodes, and the nodes are Poisson.
            let seen = kept * maturation.by(0.0, day);
            let from_nodes = -(-treatment.residual_foci_per_node * seen).exp_m1();
            let free = (-treatment.residual_foci * seen - nodes * from_nodes).exp();
            let label = format!("arm {index}: local by {day}");
            agreement.proportion(&label, hits, enrolled, 1.0 - free);
        }
    }
    agreement.assert(14);
}

#[test]
fn radiation_as_the_primary_treatment_leaves_its_own_foci() {
    let mut scenario = quiet();
    scenario.shedding.node_probability = 2e-7;
    scenario.local_treatment.kind = LocalTreatmentKind::Radiotherapy;
    scenario.local_treatment.residual_foci = 0.4;
    scenario.local_treatment.residual_foci_per_node = 0.5;
    scenario.arms = vec![arm("control", false, &[]), arm("again", true, &[])];
    let days = [80.0, 100.0, 150.0];
    let maturation = Maturation::new(&scenario, 1.0, scenario.detection.scar_cells, 200.0);
    let (enrolled, hits) = events(&scenario, 46, &days, |course| course.local_days);
    let mut agreement = Agreement::default();
    for (index, hits) in hits.iter().enumerate() {
        for (&day, &hits) in days.iter().zip(hits) {
            let free = (-0.4 * maturation.by(0.0, day)).exp();
            agreement.proportion(
                &format!("arm {index}: by {day}"),
                hits,
                enrolled,
                1.0 - free,
            );
        }
    }
    agreement.assert(6);
}

/// A, by hand, from the inhibitions and concentrations of both ligands.
fn attraction(scenario: &Scenario, concentrations: [f64; 2], inhibitions: [f64; 2]) -> f64 {
    let homing = &scenario.homing;
    let response = |ligand: &reseed_model::scenario::Ligand, index: usize| {
        let free = concentrations[index] * (1.0 - inhibitions[index]);
        free / (free + ligand.ec50_ng_per_ml)
    };
    let (x6, x8) = (response(&homing.il6, 0), response(&homing.il8, 1));
    let (a6, a8) = (homing.il6.weight, homing.il8.weight);
    match homing.interaction {
        Interaction::Additive => homing.base + a6 * x6 + a8 * x8,
        Interaction::And => homing.base + (a6 + a8) * (x6 * x8).sqrt(),
        Interaction::Or => homing.base + (a6 + a8) * x6.max(x8),
    }
}

const INTERACTIONS: [Interaction; 3] = [Interaction::Additive, Interaction::And, Interaction::Or];

#[test]
fn self_seeds_number_as_the_integral_of_capture() {
    for (seed, interaction) in (47..).zip(INTERACTIONS) {
        let mut scenario = quiet();
        scenario.homing.interaction = interaction;
        // At this size L = 1e9 capture matters from the start; rare, small, and born late.
        scenario.shedding.home_probability = 4e-7;
        self_seeds_agree(&mut scenario, seed);
    }
}

/// A tumour that is diagnosed near its plateau: the
/// bound on what it sheds is of another form there.
#[test]
fn self_seeds_number_alike_near_the_plateau() {
    let mut scenario = quiet();
    scenario.growth.plateau_cells = 1.2 * SIZE;
    scenario.shedding.home_probability = 1e-7;
    self_seeds_agree(&mut scenario, 51);
}

fn self_seeds_agree(scenario: &mut Scenario, seed: u64) {
    let interaction = scenario.homing.interaction;
    scenario.shedding.lung_filter = 0.8;
    scenario.homing.il8.tumour_ng_per_ml = 1.0;
    let primary = LonePrimary::new(scenario, SIZE);
    let delay = scenario.local_treatment.delay_days;
    let homing = scenario.shedding.home_probability
        * scenario.shedding.lung_filter
        * scenario.shedding.aggressive_fraction
        * attraction(scenario, [3.0, 1.0], [0.0, 0.0]);
    let mean =
        homing * primary.average(|age| primary.shed(age, -delay, |day| primary.capture(day)));
    let (mut seeds, mut none, mut share, mut positive) = (Mean::default(), 0, Mean::default(), 0);
    engine::for_each(scenario, seed, 0..PATIENTS, |patient| {
        seeds.push(f64::from(patient.tumour.self_seeds));
        none += u64::from(patient.tumour.self_seeds == 0);
        share.push(patient.tumour.self_seeded_fraction);
        positive += u64::from(patient.covariates.ctc_sample > 0);
    });
    let mut agreement = Agreement::default();
    agreement.mean(&format!("{interaction:?}: self-seeds"), &seeds, mean);
    agreement.proportion(
        &format!("{interaction:?}: none"),
        none,
        PATIENTS,
        (-mean).exp(),
    );
    let sampled = sample_mean(primary.flux(-delay), scenario.shedding.half_life_days);
    let exact = -(-sampled).exp_m1();
    agreement.proportion(&format!("{interaction:?}: CTC"), positive, PATIENTS, exact);
    agreement.assert(3);
}

/// Direct drugs that begin and end within the burst.
fn drugs() -> Vec<Drug> {
    let direct = |name: &str, inhibition: [f64; GENES], from_day: f64, until_day: f64| Drug {
        name: name.to_owned(),
        action: Action::Direct(Direct {
            inhibition,
            from_day,
            until_day,
        }),
    };
    vec![
        direct("anti-IL6", [0.9, 0.0, 0.0, 0.0, 0.0], -5.0, 3.0),
        direct(
            "anti-IL6 too",
            [0.5, 0.0, 0.0, 0.0, 0.0],
            1.0,
            f64::INFINITY,
        ),
        direct("anti-IL8", [0.0, 0.8, 0.0, 0.0, 0.0], 2.0, 6.0),
        direct("anti-MMP1", [0.0, 0.0, 0.7, 0.0, 0.0], 0.0, 4.0),
        direct("anti-FSCN1", [0.0, 0.0, 0.0, 1.0, 0.0], 2.0, 30.0),
        direct("anti-CXCL1", [0.0, 0.0, 0.0, 0.0, 0.6], -5.0, f64::INFINITY),
    ]
}

#[test]
fn the_burst_reseeds_the_scar_by_the_wound_and_the_drugs() {
    for (seed, interaction) in (51..).zip(INTERACTIONS) {
        let mut scenario = quiet();
        scenario.drugs = drugs();
        scenario.arms = vec![
            arm("control", false, &[]),
            arm("radiotherapy", true, &[]),
            arm("IL6 twice", false, &[0, 1]),
            arm("IL8", false, &[2]),
            arm("entry", false, &[3, 4]),
            arm("growth", true, &[5, 2]),
        ];
        let homing = &mut scenario.homing;
        homing.interaction = interaction;
        homing.mmp1_ceiling = 0.6;
        homing.fscn1_ceiling = 0.8;
        homing.scar_capture = 0.7;
        homing.radiotherapy_fold = 1.6;
        homing.il6.bed_fast_ng_per_ml = 8.0;
        homing.il8.bed_slow_ng_per_ml = 6.0;
        homing.wound_fast_days = 3.0;
        homing.wound_slow_days = 20.0;
        scenario.growth.cxcl1_boost = 0.5;
        scenario.local_treatment.burst_fold = 20.0;
        scenario.local_treatment.burst_days = 4.0;
        scenario.shedding.home_probability = 1.5e-7;
        scenario.shedding.distant_probability = 0.0;
        scenario.detection.scar_cells = 1e4;
        check_burst(&scenario, seed);
    }
}

fn check_burst(scenario: &Scenario, seed: u64) {
    // Reseeded colonies are small when detected, so scar colonies reseed nothing that counts;
    // the few self-seeds of the primary are too small at resection to shed.
    let days = [45.0, 55.0, 70.0, 200.0];
    let homing = &scenario.homing;
    let (enrolled, hits) = events(scenario, seed, &days, |course| course.local_days);
    let primary = LonePrimary::new(scenario, SIZE);
    let mut agreement = Agreement::default();
    for (index, arm) in scenario.arms.iter().enumerate() {
        // Direct drugs: what is free of each gene product on a day.
        let inhibited = |gene: usize, day: f64| {
            1.0 - arm
                .drugs
                .iter()
                .map(|&drug| match &scenario.drugs[drug].action {
                    Action::Direct(direct) if day >= direct.from_day && day < direct.until_day => {
                        1.0 - direct.inhibition[gene]
                    }
                    _ => 1.0,
                })
                .product::<f64>()
        };
        // Growth is inhibited for ever or never, so the boosted rate is constant.
        let boost = 1.0 + scenario.growth.cxcl1_boost * (1.0 - inhibited(4, 0.0));
        let maturation = Maturation::new(scenario, boost, scenario.detection.scar_cells, 300.0);
        let capture = if arm.radiotherapy {
            homing.radiotherapy_fold
        } else {
            1.0
        };
        let factor = scenario.shedding.home_probability
            * scenario.shedding.aggressive_fraction
            * scenario.shedding.lung_filter
            * homing.scar_capture
            * capture;
        for (&day, &hits) in days.iter().zip(&hits[index]) {
            let breaks = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 30.0, day];
            let mean: f64 = breaks
                .windows(2)
                .map(|pair| {
                    let inside = f64::midpoint(pair[0], pair[1]);
                    let [e6, e8, mmp1, fscn1] = [0, 1, 2, 3].map(|gene| inhibited(gene, inside));
                    primary.burst((pair[0], pair[1]), |at| {
                        let c6 = 1.0 + 8.0 * (-at / 3.0).exp();
                        let c8 = 1.0 + 6.0 * (-at / 20.0).exp();
                        attraction(scenario, [c6, c8], [e6, e8])
                            * (1.0 - homing.mmp1_ceiling * mmp1)
                            * (1.0 - homing.fscn1_ceiling * fscn1)
                            * maturation.by(at, day)
                    })
                })
                .sum();
            let exact = -(-factor * mean).exp_m1();
            let label = format!("{:?}, {}: by {day}", homing.interaction, arm.name);
            agreement.proportion(&label, hits, enrolled, exact);
        }
    }
    agreement.assert(24);
}

#[test]
fn deaths_and_drop_out_follow_their_hazards() {
    let mut scenario = quiet();
    scenario.population.age_mean_years = 60.0;
    scenario.death.other_base_per_year = 2e-4;
    scenario.death.other_slope_per_year = 0.08;
    scenario.follow_up.dropout_per_year = 0.05;
    let (mut other, mut dropout, mut lag) = (Vec::new(), Vec::new(), Vec::new());
    engine::for_each(&scenario, 57, 0..40_000, |patient| {
        other.push(patient.other_death_days);
        dropout.push(patient.dropout_days);
        lag.push(patient.cancer_lag_days);
    });
    let by_other = |day: f64| {
        let hazard = |years: f64| 2e-4 * (0.08 * (60.0 + years)).exp();
        1.0 - (-simpson(hazard, (0.0, day / 365.25), 20)).exp()
    };
    let by_lag = |day: f64| 1.0 - (-(day / 900.0).powf(0.9)).exp();
    let mut agreement = Agreement::default();
    agreement.p("other death", kolmogorov_smirnov(&other, by_other));
    let p = kolmogorov_smirnov(&dropout, |day| 1.0 - (-0.05 * day / 365.25).exp());
    agreement.p("drop-out", p);
    agreement.p(
        "cancer death after distant recurrence",
        kolmogorov_smirnov(&lag, by_lag),
    );
    agreement.assert(3);
}
