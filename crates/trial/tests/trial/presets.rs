//! The embedded trials.

use reseed_model::scenario::{Action, Amount, Dosed, Gene, Route, SizeMeasure, Trait};
use reseed_stats::Endpoint;
use reseed_trial::{Trial, preset_names, preset_text};

fn preset(name: &str) -> Trial {
    Trial::preset(name).expect("the preset exists")
}

fn dosed<'a>(trial: &'a Trial, key: &str) -> &'a Dosed {
    let position = trial.drug_keys.iter().position(|known| known == key);
    match &trial.scenario.drugs[position.expect("an arm uses the drug")].action {
        Action::Dosed(dosed) => dosed,
        Action::Direct(_) => panic!("{key} is dosed"),
    }
}

const DISEASES: [&str; 3] = ["breast", "colorectal", "melanoma"];

#[test]
fn there_are_three_diseases_and_their_targets() {
    let targets = DISEASES.map(|disease| format!("{disease}-targets"));
    let names = DISEASES
        .iter()
        .map(|name| (*name).to_owned())
        .chain(targets);
    assert!(preset_names().eq(names));
    for name in preset_names() {
        assert_eq!(preset(name).name, name);
    }
    assert!(Trial::preset("lung").is_none());
    assert!(preset_text("lung").is_none());
}

#[test]
fn each_disease_has_the_arms_of_the_question() {
    for name in DISEASES {
        let trial = preset(name);
        let arms: Vec<&str> = trial
            .scenario
            .arms
            .iter()
            .map(|arm| arm.name.as_str())
            .collect();
        assert_eq!(
            arms,
            [
                "control",
                "siltuximab",
                "tocilizumab",
                "bms-986253",
                "azd5069",
                "siltuximab+bms-986253",
                "marimastat",
                "np-g2-044",
                "all-five",
                "radiotherapy",
                "perioperative",
                "perioperative-year",
            ]
        );
        assert_eq!(trial.scenario.control, 0);
        assert_eq!(trial.arm("all-five"), Some(8));
        assert_eq!(trial.primary.arm, 5);
        assert_eq!(trial.primary.endpoint, Endpoint::Local);
        assert_eq!(trial.bin_ending_at(trial.primary.day), Some(59));
        assert_eq!(trial.time_edges_days().len(), 241);
        assert_eq!(trial.shape().bins, 240);
    }
}

#[test]
fn all_five_covers_all_five() {
    let trial = preset("breast");
    let arm = &trial.scenario.arms[trial.arm("all-five").expect("the arm exists")];
    for gene in Gene::ALL {
        let is_covered = arm
            .drugs
            .iter()
            .any(|drug| match &trial.scenario.drugs[*drug].action {
                Action::Dosed(dosed) => dosed.effects[gene.index()].is_some(),
                Action::Direct(direct) => direct.inhibition[gene.index()] > 0.0,
            });
        assert!(is_covered, "{}", gene.symbol());
    }
}

#[test]
fn every_number_says_where_it_comes_from() {
    const TAGS: [&str; 5] = ["# [S] ", "# [D] ", "# [K] ", "# [F] ", "# [A] "];
    for name in preset_names() {
        let text = preset_text(name).expect("the preset exists");
        let mut numbers = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((_, value)) = line.split_once(" = ") else {
                continue;
            };
            let value = value.split('#').next().unwrap_or_default().trim();
            let is_number = !value.contains('"') && value.contains(|c: char| c.is_ascii_digit());
            if is_number {
                numbers += 1;
                assert!(
                    TAGS.iter().any(|tag| line.contains(tag)),
                    "{name}: no source in `{line}`"
                );
            }
        }
        let least = if DISEASES.contains(&name) { 150 } else { 35 };
        assert!(numbers > least, "{name}: {numbers} numbers");
    }
}

#[test]
fn numbers_reach_the_scenario_in_its_units() {
    let trial = preset("breast");
    let scenario = &trial.scenario;
    assert_eq!(scenario.population.size_measure, SizeMeasure::Diameter);
    assert_eq!(scenario.population.growth_median_per_day, 1.1e-3);
    let correlation = &scenario.population.correlation;
    assert_eq!(
        correlation[Trait::Size as usize][Trait::Growth as usize],
        0.14
    );
    assert_eq!(
        correlation[Trait::Growth as usize][Trait::Size as usize],
        0.14
    );
    assert_eq!(
        correlation[Trait::Shedding as usize][Trait::Growth as usize],
        0.486
    );
    assert_eq!(correlation[Trait::Il8 as usize][Trait::Il6 as usize], 0.5);
    assert_eq!(correlation[Trait::Age as usize][Trait::Age as usize], 1.0);
    assert_eq!(scenario.shedding.half_life_days, 17.0 / 1440.0);
    assert_eq!(scenario.dormancy.waking_per_day, 1.0 / 12800.0);
    assert_eq!(scenario.follow_up.horizon_days, 7305.0);
    assert_eq!(scenario.colonies_max, 2_000);
    assert_eq!(trial.compare_days, [730.5, 1826.25, 3652.5]);
    assert_eq!(trial.strata.labels(), ["nodes 0", "nodes 1-3", "nodes 4+"]);
    // Weibull: the median after distant recurrence is 1.8 years.
    let median = scenario.death.cancer_scale_days
        * std::f64::consts::LN_2.powf(1.0 / scenario.death.cancer_shape);
    assert!((median / 365.25 - 1.8).abs() < 1e-3);
    let melanoma = preset("melanoma").scenario;
    assert_eq!(
        melanoma.population.size_measure,
        SizeMeasure::Breslow { aspect: 5.0 }
    );
}

#[test]
fn schedules_become_regular_doses() {
    let trial = preset("breast");
    let siltuximab = dosed(&trial, "siltuximab");
    let block = siltuximab.schedule[0];
    assert_eq!(siltuximab.schedule.len(), 1);
    // Days 0, 21, … 357: none on day 378, which is after day 365.
    assert_eq!(
        (block.first_day, block.interval_days, block.doses),
        (0.0, 21.0, 18)
    );
    assert_eq!(block.amount, Amount::MilligramsPerKilogram(11.0));
    assert_eq!(siltuximab.route, Route::Infusion { days: 1.0 / 24.0 });
    assert_eq!(dosed(&trial, "azd5069").schedule[0].doses, 730);
    let perioperative = dosed(&trial, "siltuximab-perioperative");
    assert_eq!(perioperative.schedule[0].first_day, -14.0);
    assert_eq!(perioperative.schedule[0].doses, 3);
    assert_eq!(
        perioperative.clearance_l_per_day,
        siltuximab.clearance_l_per_day
    );
}

#[test]
fn schedules_of_one_molecule_share_its_name() {
    let trial = preset("breast");
    let molecule = |key: &str| {
        let position = trial.drug_keys.iter().position(|known| known == key);
        &trial.scenario.drugs[position.expect("an arm uses the drug")].name
    };
    assert_eq!(molecule("siltuximab-perioperative"), "siltuximab");
    assert_eq!(molecule("siltuximab-perioperative-year"), "siltuximab");
    assert_eq!(molecule("bms-986253-perioperative"), "bms-986253");
}

/// The library's drugs that no arm uses are there to be used.
#[test]
fn unused_drugs_can_be_used() {
    for drug in ["sarilumab", "reparixin", "navarixin"] {
        let text = format!(
            "base = \"melanoma\"\narms_only = [\"control\", \"new\"]\n[arms.new]\ndrugs = [\"{drug}\"]"
        );
        let trial = Trial::parse("trial.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(trial.drug_keys, [drug]);
    }
}

/// Potencies and kinetics together give the effects that the comments claim.
#[test]
fn troughs_are_as_the_sources_say() {
    let trial = preset("breast");
    let trough = |key: &str, trough_mg_per_l: f64, gene: Gene| {
        let drug = dosed(&trial, key);
        let effect = drug.effects[gene.index()].expect("the drug has this effect");
        let concentration = drug.tissue_fraction * trough_mg_per_l;
        effect.imax * concentration / (effect.ic50_mg_per_l + concentration)
    };
    // AZD5069 and marimastat: one compartment, first-order absorption, steady state.
    let steady = |key: &str| {
        let drug = dosed(&trial, key);
        let Route::Absorption { rate_per_day, .. } = drug.route else {
            panic!("{key} is absorbed");
        };
        let Amount::Milligrams(dose) = drug.schedule[0].amount else {
            panic!("{key} is dosed in mg");
        };
        let (ka, volume) = (rate_per_day.median, drug.central_l.median);
        let ke = drug.clearance_l_per_day.median / volume;
        let interval = drug.schedule[0].interval_days;
        let left = |rate: f64| (-rate * interval).exp() / (1.0 - (-rate * interval).exp());
        dose * ka / (volume * (ka - ke)) * (left(ke) - left(ka))
    };
    let azd5069 = steady("azd5069");
    assert!(trough("azd5069", azd5069, Gene::Cxcl1) > 0.96);
    let marimastat = steady("marimastat");
    assert!((marimastat - 0.0119).abs() < 1e-4, "{marimastat}");
    assert!(trough("bms-986253", 215.0, Gene::Il8) > 0.98);
}

/// Five targets and all their pairs, blocked alike, on the patients of the disease.
#[test]
fn targets_are_blocked_alike() {
    for disease in DISEASES {
        let trial = preset(&format!("{disease}-targets"));
        let arms = &trial.scenario.arms;
        let drugs = |number: usize| arms.iter().filter(|arm| arm.drugs.len() == number).count();
        assert_eq!([drugs(0), drugs(1), drugs(2)], [1, 5, 10]);
        assert_eq!(arms.len(), 16);
        for arm in arms.iter().filter(|arm| !arm.drugs.is_empty()) {
            let genes = Gene::ALL.into_iter().filter(|gene| {
                arm.drugs
                    .iter()
                    .any(|drug| match &trial.scenario.drugs[*drug].action {
                        Action::Direct(direct) => {
                            assert_eq!([direct.from_day, direct.until_day], [0.0, 365.0]);
                            let inhibition = direct.inhibition[gene.index()];
                            assert!(inhibition == 0.0 || inhibition == 0.9);
                            inhibition > 0.0
                        }
                        Action::Dosed(_) => panic!("targets are blocked by direct drugs"),
                    })
            });
            let named: Vec<&str> = genes.map(Gene::symbol).collect();
            assert_eq!(named.join("+"), arm.name);
        }
        assert_eq!(
            trial.scenario.population,
            preset(disease).scenario.population
        );
        assert_eq!(
            trial.block_patients.map(|block| 512 * block),
            Some(trial.patients)
        );
    }
}

/// What the literature argues about, and no more, is a switch.
#[test]
fn targets_have_three_switches() {
    let trial = preset("breast-targets");
    let uncertainty = trial.uncertainty.as_ref().expect("targets have priors");
    let switches: Vec<&str> = (uncertainty.factors.iter())
        .filter(|factor| !factor.alternatives().is_empty())
        .map(|factor| factor.path.as_str())
        .collect();
    assert_eq!(
        switches,
        [
            "shedding.lung_filter",
            "dormancy.surgery_excess",
            "homing.interaction"
        ]
    );
    assert!(uncertainty.factors.len() > 20);
}
