//! The calibration against models whose posterior is known, and against one that makes its own
//! cohorts.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use reseed_calibration::emulator::{Emulator, Law};
use reseed_calibration::optimum::optimum;
use reseed_calibration::posterior::{self, Settings, Wave};
use reseed_calibration::sampler::{
    LogDensities, Sampling, prior_log_density, prior_sample, sample,
};
use reseed_calibration::targets::{self, Measure, Seen, Target};
use reseed_stats::cells::{CellCounts, CellEvent, CellShape, HALF_YEAR_DAYS, Risk};
use reseed_stats::recovery::{coverage, uniformity};
use reseed_trial::Trial;

const SETTINGS: Settings = Settings {
    particles: 800,
    seed: 11,
    threads: 2,
};

/// A trial with three classes of nodes whose blocks keep ten years.
fn trial() -> (Trial, CellShape) {
    let text = "base = \"breast\"\narms_only = [\"control\"]\n[uncertainty]\ndesign = \"sobol\"\n\
                points = 2\nhalf_years = 20\n[uncertainty.priors]\n\
                growth.distant_ratio = { min = 1, max = 2 }\n";
    let trial = Trial::parse("test.toml", text).expect("a trial");
    let shape = trial.cell_shape().expect("it keeps cells");
    (trial, shape)
}

fn parsed(text: &str) -> Result<Vec<Target>, String> {
    let (trial, shape) = trial();
    targets::parse("mine.csv", text, &trial, shape).map_err(|error| error.to_string())
}

const RATES: &str = "\
# a cohort
stratum,from_years,until_years,person_years,local,distant
nodes 0,0,0.5,50,1,2
nodes 0,3,3.5,40,0,1
nodes 0,3.5,4,30,2,0
";

#[test]
fn rates_of_neighbouring_half_years_are_taken_together() {
    let targets = parsed(RATES).unwrap();
    assert_eq!(targets.len(), 4);
    let Measure::Rate(event, half_years) = &targets[3].measure else {
        panic!("a rate");
    };
    assert_eq!((event.name(), half_years.clone()), ("distant", 6..8));
    assert_eq!(targets[3].seen.counts(), (1.0, 70.0));
    assert_eq!(targets[2].seen.counts(), (2.0, 70.0));
}

#[test]
fn what_is_wrong_with_targets_is_told_with_its_line() {
    let wrong = |text: &str| parsed(text).expect_err("wrong");
    let text = wrong(&RATES.replace("nodes 0,3,", "nodes 2,3,"));
    assert!(
        text.contains("mine.csv, line 4") && text.contains("no patients \"nodes 2\""),
        "{text}"
    );
    assert!(text.contains("nodes 1-3; nodes 4+"), "{text}");
    let text = wrong(&RATES.replace("40,0,1", "40,-1,1"));
    assert!(text.contains("line 4: local is \"-1\""), "{text}");
    let text = wrong(&RATES.replace("3,3.5,40", "3,3.7,40"));
    assert!(
        text.contains("until_years is not a whole number of half-years"),
        "{text}"
    );
    let text = wrong(&RATES.replace("3.5,4,30", "3.5,11,30"));
    assert!(
        text.contains("after 10 years") && text.contains("half_years to 22"),
        "{text}"
    );
    assert!(wrong("stratum,years\nall,5\n").contains("neither rates nor proportions"));
    let text = wrong("stratum,event,years,value,patients\nall,relapse,5,0.1,100\n");
    assert!(text.contains("line 2: event \"relapse\""), "{text}");
    let text = wrong("stratum,event,years,value,patients,arm\nall,local,5,0.1,100,magic\n");
    assert!(text.contains("no arm \"magic\""), "{text}");
    let head = "stratum,event,quantity,years,value,patients\n";
    let text = wrong(&format!("{head}all,local,hazard_peak_years,,1.25,100\n"));
    assert!(text.contains("has no likelihood here"), "{text}");
}

#[test]
fn quantities_of_the_model_are_those_of_its_patients() {
    let (_, shape) = trial();
    let mut counts = CellCounts::new(shape);
    // Two of ten patients without nodes recur in their first year, one in either half; of five
    // others one does at once.
    let mut add = |stratum, event, days| {
        counts.add(0, stratum, Risk::Unrecurred, (event, days));
        counts.add(0, stratum, Risk::Alive, (None, 4000.0));
    };
    for _ in 0..8 {
        add(0, None, 4000.0);
    }
    add(0, Some(CellEvent::Local), HALF_YEAR_DAYS);
    add(0, Some(CellEvent::Distant), 2.0 * HALF_YEAR_DAYS);
    add(1, Some(CellEvent::Distant), HALF_YEAR_DAYS);
    for _ in 0..4 {
        add(2, None, 4000.0);
    }
    let cells = counts.finish();
    let targets = parsed(
        "stratum,event,years,value,patients\nnodes 0,recurrence,1,0.3,50\nnodes 0,enrolled,0,0.5,90\n\
         nodes 1-3,distant,0.5,0.5,10\n",
    )
    .unwrap();
    let found: Vec<(f64, f64)> = targets
        .iter()
        .map(|target| target.simulated(&cells))
        .collect();
    // One of ten within a half-year of full time at risk, then one of nine.
    let incidence = 1.0 - f64::exp(-0.1) * f64::exp(-1.0 / 9.0);
    assert!((found[0].0 - 10.0 * incidence).abs() < 1e-12, "{found:?}");
    assert_eq!(found[1], (10.0, 15.0));
    assert!((found[2].0 - (1.0 - f64::exp(-1.0))).abs() < 1e-12);
    let rates = parsed(RATES).unwrap();
    assert_eq!(rates[1].simulated(&cells), (0.0, 5.0));
    assert_eq!(rates[0].simulated(&cells), (1.0, 5.0));
}

#[test]
fn a_gaussian_posterior_is_sampled_right_whatever_the_threads() {
    // Prior N(0, 1), one observation of the sum of two scores: closed form.
    let (seen, error) = (1.5, 0.5);
    let model = |point: &[f64]| LogDensities {
        base: prior_log_density(point),
        likelihood: -0.5 * ((point[0] + point[1] - seen) / error).powi(2),
    };
    let start = prior_sample(3, 4000, 3);
    let sampling = |threads| Sampling {
        power: 1.0,
        seed: 3,
        stream: 1,
        threads,
    };
    let found = sample(&start, &model, sampling(1));
    assert_eq!(found, sample(&start, &model, sampling(3)));
    let marginals = posterior::marginals(&found.points);
    let gain = seen / (2.0 + error * error);
    let variance = 1.0 - 1.0 / (2.0 + error * error);
    for marginal in &marginals[..2] {
        assert!((marginal.mean - gain).abs() < 0.06, "{marginal:?} {gain}");
        assert!(
            (marginal.sd * marginal.sd - variance).abs() < 0.06,
            "{marginal:?} {variance}"
        );
    }
    assert!(
        (marginals[2].sd - 1.0).abs() < 0.06,
        "nothing was said of it"
    );
    assert!(marginals[2].contraction().abs() < 0.12);
}

#[test]
fn particles_forget_where_they_were_in_many_dimensions() {
    // Twenty scores, each observed with the same error: of particles that start twenty times too wide,
    // a few survive every stage, and their copies must part again.
    let (dimensions, error) = (20, 0.05);
    let model = |point: &[f64]| LogDensities {
        base: prior_log_density(point),
        likelihood: -0.5 * point.iter().map(|z| (z / error).powi(2)).sum::<f64>(),
    };
    let sd = error / error.hypot(1.0);
    let (particles, samples) = (400, 4);
    let mut shift = 0.0;
    for seed in 0..samples {
        let sampling = Sampling {
            power: 1.0,
            seed,
            stream: 1,
            threads: 2,
        };
        let found = sample(&prior_sample(dimensions, particles, seed), &model, sampling);
        for marginal in posterior::marginals(&found.points) {
            // The mean of independent draws has a variance of one over their number.
            shift += (marginal.mean / sd).powi(2) * particles as f64;
        }
    }
    let shift = shift / (dimensions as f64 * samples as f64);
    println!("{shift}");
    assert!((0.6..1.6).contains(&shift), "{shift}");
}

#[test]
fn the_optimum_is_found() {
    let valley = |point: &[f64]| {
        -(point[0] - 1.2).powi(2) - 10.0 * (point[1] - point[0]).powi(2) - point[2].powi(2)
    };
    let best = optimum(&[0.0, 0.0, 0.5], valley, 5);
    for (found, wanted) in best.iter().zip([1.2, 1.2, 0.0]) {
        assert!((found - wanted).abs() < 2e-3, "{best:?}");
    }
}

#[test]
fn a_likelihood_with_an_uncertain_rate_is_wider_and_has_its_limit() {
    let seen = Seen::Events {
        events: 30.0,
        person_years: 100.0,
    };
    let at = |rate: f64, variance: f64| Law::of(variance, seen).log_at(rate.ln());
    assert!(
        at(0.3, 0.0).abs() < 1e-12,
        "nothing is better than what was seen"
    );
    let poisson = 30.0 * (0.2_f64 / 0.3).ln() - (20.0 - 30.0);
    assert!((at(0.2, 0.0) - poisson).abs() < 1e-9);
    assert!((at(0.2, 1e-7) - poisson).abs() < 1e-3);
    assert!(at(0.2, 0.1) > poisson);
}

/// A model with known logarithms of rates: four targets, three parameters of which the third does
/// nothing, and curvature.
fn log_rates(point: &[f64]) -> [f64; 4] {
    let (a, b) = (point[0], point[1]);
    [
        -2.0 + 0.5 * a,
        -1.5 + 0.3 * a - 0.4 * b + 0.1 * a * b,
        -2.5 + 0.6 * b + 0.1 * b * b,
        -1.0 - 0.3 * a,
    ]
}

fn poisson(words: &mut ChaCha8Rng, mean: f64) -> f64 {
    let (mut count, mut time) = (0.0, 0.0);
    loop {
        let uniform = ((words.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        time -= uniform.ln();
        if time > mean {
            return count;
        }
        count += 1.0;
    }
}

fn simulated(points: Vec<Vec<f64>>, person_years: f64, words: &mut ChaCha8Rng) -> Wave {
    let counts = (0..4)
        .map(|target| {
            let of = |point: &Vec<f64>| {
                let mean = log_rates(point)[target].exp() * person_years;
                (poisson(words, mean), person_years)
            };
            points.iter().map(of).collect()
        })
        .collect();
    Wave { points, counts }
}

/// Four rates that a cohort of so many years at risk had at a point.
fn cohort(point: &[f64], person_years: f64, words: &mut ChaCha8Rng) -> Vec<Target> {
    let targets = parsed(
        "stratum,from_years,until_years,person_years,local,distant\nnodes 0,0,0.5,1,0,0\n\
         nodes 1-3,0,0.5,1,0,0\n",
    )
    .unwrap();
    let rates = log_rates(point);
    let seen = targets.iter().zip(rates).map(|(target, log_rate)| {
        target.seen_as(Seen::Events {
            events: poisson(words, log_rate.exp() * person_years),
            person_years,
        })
    });
    seen.collect()
}

#[test]
fn surfaces_find_the_rates_behind_the_counts() {
    let mut words = ChaCha8Rng::seed_from_u64(1);
    let wave = simulated(prior_sample(3, 600, 8), 400.0, &mut words);
    let emulator = Emulator::fit(&wave.points, &wave.counts, 2);
    for point in [[0.0, 0.0, 0.0], [1.0, -1.0, 0.5], [-0.7, 0.8, -1.0]] {
        for (expected, log_rate) in emulator.log_rates(&point).iter().zip(log_rates(&point)) {
            assert!((expected - log_rate).abs() < 0.06, "{expected} {log_rate}");
        }
    }
    for variance in emulator.variances() {
        assert!(variance < 0.01, "{variance}");
    }
    // Of the ten terms of three scores, those of the third change nothing.
    assert!((5..=8).contains(&emulator.terms()), "{}", emulator.terms());
    for dispersion in emulator.dispersions() {
        assert!((0.8..1.25).contains(&dispersion), "{dispersion}");
    }
}

#[test]
fn what_surfaces_cannot_follow_widens_the_likelihood() {
    let mut words = ChaCha8Rng::seed_from_u64(2);
    let mut wave = simulated(prior_sample(3, 600, 8), 400.0, &mut words);
    for (point, count) in wave.points.iter().zip(&mut wave.counts[0]) {
        // A wave that no quadratic function has.
        count.0 = (count.0 * (1.0 + 0.5 * (6.0 * point[0]).sin())).round();
    }
    let emulator = Emulator::fit(&wave.points, &wave.counts, 2);
    let variances = emulator.variances();
    assert!((0.05..0.25).contains(&variances[0]), "{variances:?}");
    assert!(variances[1] < 0.01, "{variances:?}");
    assert!(emulator.dispersions()[0] > 2.0);
}

#[test]
fn known_parameters_are_found_again_as_often_as_is_promised() {
    let mut words = ChaCha8Rng::seed_from_u64(3);
    let wave = simulated(prior_sample(3, 600, 8), 400.0, &mut words);
    let waves = [wave];
    let emulator = posterior::emulate(&waves, 2);
    let truth = [0.4, -0.3, 0.0];
    let targets = cohort(&truth, 100.0, &mut words);
    let found = posterior::posterior(&emulator, &targets, 3, SETTINGS);
    let marginals = posterior::marginals(&found.points);
    for (marginal, truth) in marginals.iter().zip(truth) {
        let [low, _, high] = marginal.quantiles;
        assert!((low..high).contains(&truth), "{marginal:?} {truth}");
    }
    assert!(marginals[0].contraction() > 0.75 && marginals[2].contraction() < 0.25);
    assert!(posterior::effective_draws(&found.points) > 100.0);
    assert!(posterior::agreement(&found, &targets, &emulator) > 0.999);
    let truths = posterior::chosen(&found.points, 200, 4);
    let truths = simulated(truths, 20_000.0, &mut words);
    let settings = Settings {
        particles: 200,
        ..SETTINGS
    };
    let ranks = posterior::recover(&emulator, &targets, &found, &truths, settings);
    for ranks in &ranks {
        assert!(uniformity(ranks, 10) > 0.01, "{ranks:?}");
        assert!(
            (coverage(ranks, 0.9) - 0.9).abs() < 0.07,
            "{}",
            coverage(ranks, 0.9)
        );
    }
    // A likelihood that claims to know more than the cohort says is found out.
    let overconfident: Vec<Target> = (targets.iter())
        .map(|target| {
            let (events, person_years) = target.seen.counts();
            target.seen_as(Seen::Events {
                events: 6.0 * events,
                person_years: 6.0 * person_years,
            })
        })
        .collect();
    let ranks = posterior::recover(&emulator, &overconfident, &found, &truths, settings);
    assert!(uniformity(&ranks[0], 10) < 0.01, "{:?}", ranks[0]);
}
