//! Oracle: the exact birth–death process of one founder, and the law of the effective initial
//! size W that the model puts in its place (section 2).

use rand::RngExt as _;
use reseed_tests::engine;
use reseed_tests::reference::first_generation::{Gompertz, LonePrimary};
use reseed_tests::reference::generator;
use reseed_tests::reference::gillespie::birth_death;
use reseed_tests::scenarios::quiet;
use reseed_tests::statistics::{Agreement, chi_square, kolmogorov_smirnov};

const BIRTH: f64 = 0.4;
const DEATH: f64 = 0.25;

#[test]
fn birth_death_dies_out_and_grows_as_in_theory() {
    let establishment = 1.0 - DEATH / BIRTH;
    let (short, long) = (12.0, 60.0);
    let mut rng = generator(11);
    let mut agreement = Agreement::default();

    // Given survival until t the size is geometric (Kendall 1948).
    let growth = ((BIRTH - DEATH) * short).exp();
    let beta = BIRTH * (growth - 1.0) / (BIRTH * growth - DEATH);
    let survival = (BIRTH - DEATH) * growth / (BIRTH * growth - DEATH);
    let mut sizes = [0_u64; 121];
    let (mut living, count) = (0, 60_000);
    for _ in 0..count {
        let cells = birth_death(BIRTH, DEATH, short, &mut rng);
        if cells > 0 {
            living += 1;
            sizes[usize::try_from(cells.min(121)).expect("few cells") - 1] += 1;
        }
    }
    let mut law: Vec<f64> = (0..120)
        .map(|extra| (1.0 - beta) * beta.powi(extra))
        .collect();
    law.push(beta.powi(120));
    agreement.proportion("survives the first days", living, count, survival);
    agreement.p("size given survival is geometric", chi_square(&sizes, &law));

    // In the long run: extinction with probability d/b, else W exponential with mean 1/π.
    let mut weights = Vec::new();
    let founders = 4_000;
    for _ in 0..founders {
        let cells = birth_death(BIRTH, DEATH, long, &mut rng);
        if cells > 0 {
            weights.push(cells as f64 * (-(BIRTH - DEATH) * long).exp());
        }
    }
    let lost = founders - weights.len() as u64;
    agreement.proportion("dies out", lost, founders, DEATH / BIRTH);
    let p = kolmogorov_smirnov(&weights, |weight| 1.0 - (-establishment * weight).exp());
    agreement.p("W is exponential", p);
    agreement.assert(4);
}

#[test]
fn engine_diagnoses_by_the_law_of_the_effective_initial_size() {
    let scenario = quiet();
    let primary = LonePrimary::new(&scenario, 1e7);
    let mut days = Vec::new();
    engine::for_each(&scenario, 12, 0..100_000, |patient| {
        days.push(patient.tumour.diagnosis_days);
    });
    let mut agreement = Agreement::default();
    let p = kolmogorov_smirnov(&days, |day| primary.diagnosed_by(day));
    agreement.p("days to diagnosis", p);

    // The test is sharp enough to refuse an establishment probability that is 3 % off.
    let mut wrong = scenario.clone();
    wrong.growth.establishment *= 1.03;
    let primary = LonePrimary::new(&wrong, 1e7);
    assert!(kolmogorov_smirnov(&days, |day| primary.diagnosed_by(day)) < 1e-6);
    agreement.assert(1);
}

#[test]
fn reference_law_of_diagnosis_is_that_of_its_own_growth_curve() {
    // The reference against itself by another way: draw W, grow, compare.
    let scenario = quiet();
    let law = Gompertz {
        ln_plateau: scenario.growth.plateau_cells.ln(),
        rate_per_day: scenario.population.growth_median_per_day,
    };
    let primary = LonePrimary::new(&scenario, 1e7);
    let mut rng = generator(13);
    let days: Vec<f64> = (0..20_000)
        .map(|_| {
            let weight = -rng.random::<f64>().ln() / scenario.growth.establishment;
            law.age(weight.ln(), 1e7_f64.ln())
        })
        .collect();
    assert!(kolmogorov_smirnov(&days, |day| primary.diagnosed_by(day)) > 1e-3);
}
