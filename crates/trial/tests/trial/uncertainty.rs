//! Uncertain parameters: priors, designs, and what follows from both.

use std::f64::consts::PI;

use reseed_model::scenario::Interaction;
use reseed_stats::sensitivity::{Outcome, sobol_indices};
use reseed_trial::{Design, Prior, Trial, Uncertainty};

#[track_caller]
fn parse(text: &str) -> Trial {
    Trial::parse("trial.toml", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A trial with these lines below `[uncertainty.priors]`.
fn with_priors(design: &str, priors: &str) -> Trial {
    parse(&format!(
        "base = \"breast\"\n[uncertainty]\n{design}\n[uncertainty.priors]\n{priors}"
    ))
}

fn uncertainty(trial: &Trial) -> &Uncertainty {
    trial.uncertainty.as_ref().expect("something is uncertain")
}

const PRIORS: &str = "\
homing.scar_capture = { median = 1.0, factor = 3.0 }
shedding.lung_filter = { choices = [1.0, 1e-4] }
homing.interaction = { choices = [\"or\", \"additive\"] }
dormancy.surgery_excess = { min = 0.0, max = 4.0 }
homing.mmp1_ceiling = { mean = 0.9, sd = 0.2 }
shedding.aggressive_fraction = { min = 1e-3, max = 0.5, log = true }";

/// Values of one factor at the first so many points.
fn drawn(uncertainty: &Uncertainty, path: &str, points: u64) -> Vec<f64> {
    let at = uncertainty
        .factors
        .iter()
        .position(|factor| factor.path == path);
    let at = at.expect("the factor is there");
    (0..points)
        .map(|point| uncertainty.point(7, point)[at])
        .collect()
}

/// Which of so many equal parts of 0 to 1 a value lies in.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a value from 0 to 1"
)]
fn cell(parts: u32, value: f64) -> usize {
    (f64::from(parts) * value) as usize
}

#[test]
fn draws_follow_their_priors() {
    let trial = with_priors("design = \"sobol\"", PRIORS);
    let uncertainty = uncertainty(&trial);
    let share = |path: &str, is_in: &dyn Fn(f64) -> bool| {
        let values = drawn(uncertainty, path, 4096);
        values.iter().filter(|value| is_in(**value)).count() as f64 / 4096.0
    };
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 2e-3, "{found}");
    near(share("homing.scar_capture", &|value| value < 1.0), 0.5);
    near(
        share("homing.scar_capture", &|value| value < 1.0 / 3.0),
        0.025,
    );
    near(share("homing.scar_capture", &|value| value > 3.0), 0.025);
    near(share("shedding.lung_filter", &|value| value == 1.0), 0.5);
    near(share("shedding.lung_filter", &|value| value == 1e-4), 0.5);
    near(share("homing.interaction", &|value| value == 2.0), 0.5);
    near(share("homing.interaction", &|value| value == 0.0), 0.5);
    near(share("dormancy.surgery_excess", &|value| value < 1.0), 0.25);
    near(
        share("shedding.aggressive_fraction", &|value| {
            value < 0.5_f64.sqrt() * 1e-3_f64.sqrt()
        }),
        0.5,
    );
    // A normal with mean 0.9 and deviation 0.2, given that it is at most 1: of the 69.1 % of it
    // that are, half a deviation below the mean has 30.9 %.
    near(
        share("homing.mmp1_ceiling", &|value| value < 0.8),
        0.3085 / 0.6915,
    );
    near(share("homing.mmp1_ceiling", &|value| value > 1.0), 0.0);
    assert_eq!(uncertainty.factors[1].path, "shedding.aggressive_fraction");
}

#[test]
fn a_block_lives_under_its_point() {
    let trial = with_priors("design = \"sobol\"", PRIORS);
    let uncertainty = uncertainty(&trial);
    let point = uncertainty.point(3, 5);
    let scenario = trial.scenario_of_block(3, 5);
    let value = |path: &str| {
        let at = uncertainty
            .factors
            .iter()
            .position(|factor| factor.path == path);
        point[at.expect("the factor is there")]
    };
    assert_eq!(scenario.homing.scar_capture, value("homing.scar_capture"));
    assert_eq!(scenario.shedding.lung_filter, value("shedding.lung_filter"));
    let interactions = [Interaction::Additive, Interaction::And, Interaction::Or];
    let at = interactions
        .iter()
        .position(|one| *one == scenario.homing.interaction);
    assert_eq!(at.map(|at| at as f64), Some(value("homing.interaction")));
    // What is certain is as the trial has it.
    assert_eq!(scenario.growth, trial.scenario.growth);
    assert_eq!(scenario.arms, trial.scenario.arms);
    let certain = parse("base = \"breast\"");
    assert_eq!(certain.scenario_of_block(3, 5), certain.scenario);
}

#[test]
fn weights_of_attraction_are_divided_by_their_sum() {
    let trial = with_priors(
        "design = \"sobol\"",
        "homing.il6.weight = { min = 0.1, max = 0.9 }",
    );
    for block in 0..4 {
        let homing = trial.scenario_of_block(1, block).homing;
        let sum = homing.base + homing.il6.weight + homing.il8.weight;
        assert!((sum - 1.0).abs() < 1e-12);
        assert!((homing.il8.weight / homing.base - 0.40 / 0.15).abs() < 1e-12);
        let drawn = uncertainty(&trial).point(1, block)[0];
        assert!((homing.il6.weight / homing.base - drawn / 0.15).abs() < 1e-12);
    }
}

#[test]
fn points_depend_on_seed_and_number_alone() {
    for design in ["sobol", "morris", "saltelli"] {
        let trial = with_priors(&format!("design = \"{design}\""), PRIORS);
        let uncertainty = uncertainty(&trial);
        assert_eq!(uncertainty.point(1, 9), uncertainty.point(1, 9));
        assert_ne!(uncertainty.point(1, 9), uncertainty.point(2, 9));
        assert_ne!(
            uncertainty.point(1, 9),
            uncertainty.point(1, 100_009),
            "{design}"
        );
    }
}

/// The published numbers of runs depend on them.
#[test]
fn points_are_stable() {
    let first = |design: &str| {
        let trial = with_priors(
            design,
            "dormancy.surgery_excess = { min = 0, max = 1 }\nhoming.scar_capture = { min = 0, max = 1 }",
        );
        uncertainty(&trial).point(1, 3)
    };
    let expected = [
        ("sobol", [0.2409084439277649, 0.5600458979606628]),
        ("latin-hypercube", [0.7601266124202406, 0.6525708039217747]),
        ("morris", [0.9375, 0.4375]),
        ("saltelli", [0.16853946447372437, 0.10457199811935425]),
    ];
    for (design, point) in expected {
        let found = first(&format!("design = \"{design}\"\npoints = 10"));
        assert_eq!(found, point, "{design}");
    }
}

fn uniforms(design: &str, number: usize) -> Trial {
    const KEYS: [&str; 6] = [
        "growth.cxcl1_boost",
        "shedding.lung_filter",
        "dormancy.probability",
        "dormancy.surgery_excess",
        "homing.mmp1_ceiling",
        "homing.fscn1_ceiling",
    ];
    let priors = KEYS[..number]
        .iter()
        .map(|key| format!("{key} = {{ min = 0, max = 1 }}\n"));
    with_priors(design, &priors.collect::<String>())
}

/// Every stratum of every factor has one point, in each hypercube and in no simple order.
#[test]
fn latin_hypercubes_use_each_stratum_once() {
    let trial = uniforms("design = \"latin-hypercube\"\npoints = 37", 3);
    let uncertainty = uncertainty(&trial);
    let mut orders = Vec::new();
    for hypercube in 0..3 {
        let points =
            (37 * hypercube..37 * (hypercube + 1)).map(|point| uncertainty.point(1, point));
        let points: Vec<Vec<f64>> = points.collect();
        for factor in 0..3 {
            let strata = points.iter().map(|point| cell(37, point[factor]));
            let order: Vec<usize> = strata.collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..37).collect::<Vec<_>>());
            assert!(!orders.contains(&order));
            orders.push(order);
        }
    }
}

/// In every one of its orders a place is as likely to be any stratum.
#[test]
fn strata_are_in_random_order() {
    let trial = uniforms("design = \"latin-hypercube\"\npoints = 10", 1);
    let mut seen = [[0.0; 10]; 10];
    for seed in 0..2000 {
        for (point, seen) in seen.iter_mut().enumerate() {
            let value = uncertainty(&trial).point(seed, point as u64)[0];
            seen[cell(10, value)] += 1.0;
        }
    }
    // χ² with 81 degrees of freedom: 99.9 % are below 126.
    let chi_squared: f64 = seen
        .iter()
        .flatten()
        .map(|seen: &f64| (seen - 200.0).powi(2) / 200.0)
        .sum();
    assert!(chi_squared < 126.0, "{chi_squared}");
}

/// Intervals of length 2⁻ᵏ have the same number of the first 2ᵏ⁺ʲ points, in every dimension and,
/// for two neighbouring dimensions, in every square.
#[test]
fn the_sequence_is_even() {
    let trial = uniforms("design = \"sobol\"", 6);
    for seed in 0..3 {
        let points = (0..256).map(|point| uncertainty(&trial).point(seed, point));
        let points: Vec<Vec<f64>> = points.collect();
        for factor in 0..6 {
            let mut counts = [0; 256];
            for point in &points {
                counts[cell(256, point[factor])] += 1;
            }
            assert_eq!(counts, [1; 256]);
        }
        let mut squares = [0; 256];
        for point in &points {
            squares[cell(16, point[0]) * 16 + cell(16, point[1])] += 1;
        }
        assert_eq!(squares, [1; 256]);
    }
}

/// Beyond its length the sequence goes on with another scrambling.
#[test]
fn a_second_sequence_is_another() {
    let trial = uniforms("design = \"sobol\"", 3);
    let uncertainty = uncertainty(&trial);
    let start = 1 << 16;
    let repeated = (0..100)
        .filter(|point| uncertainty.point(1, *point) == uncertainty.point(1, start + point));
    assert_eq!(repeated.count(), 0);
}

#[test]
fn trajectories_change_one_factor_at_a_time() {
    let trial = uniforms("design = \"morris\"", 6);
    let uncertainty = uncertainty(&trial);
    assert_eq!(uncertainty.cluster(), 7);
    let mut firsts = Vec::new();
    for trajectory in 0..40 {
        let steps = uncertainty.steps(1, trajectory);
        let mut changed: Vec<usize> = steps.iter().map(|step| step.factor).collect();
        for (place, step) in steps.iter().enumerate() {
            let number = 7 * trajectory + place as u64;
            let (before, after) = (
                uncertainty.point(1, number),
                uncertainty.point(1, number + 1),
            );
            for factor in 0..6 {
                let change = if factor == step.factor {
                    step.change
                } else {
                    0.0
                };
                assert!((after[factor] - before[factor] - change).abs() < 1e-12);
            }
            assert!(
                before
                    .iter()
                    .chain(&after)
                    .all(|value| *value > 0.0 && *value < 1.0)
            );
        }
        firsts.push(changed[0]);
        changed.sort_unstable();
        assert_eq!(changed, [0, 1, 2, 3, 4, 5]);
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), 6, "orders are random");
}

#[test]
fn saltellis_rows_mix_two_points() {
    let trial = uniforms("design = \"saltelli\"", 3);
    let uncertainty = uncertainty(&trial);
    assert_eq!(uncertainty.cluster(), 5);
    for row in 0..4 {
        let point = |place: u64| uncertainty.point(1, 5 * row + place);
        let (a, b) = (point(0), point(4));
        for factor in 0..3 {
            assert_ne!(a[factor], b[factor]);
            let mixed = point(1 + factor as u64);
            for other in 0..3 {
                let expected = if other == factor { b[other] } else { a[other] };
                assert_eq!(mixed[other], expected);
            }
        }
    }
}

/// Design and indices together: the Ishigami function with a = 7, b = 0.1.
#[test]
fn indices_of_the_ishigami_function() {
    const ROWS: u64 = 1 << 14;
    let trial = uniforms("design = \"saltelli\"", 3);
    let uncertainty = uncertainty(&trial);
    let values: Vec<f64> = (0..ROWS * 5)
        .map(|point| {
            let point = uncertainty.point(1, point);
            let x: Vec<f64> = point.iter().map(|u| PI * (2.0 * u - 1.0)).collect();
            x[0].sin() + 7.0 * x[1].sin().powi(2) + 0.1 * x[2].powi(4) * x[0].sin()
        })
        .collect();
    let outcome = Outcome {
        values: &values,
        standard_errors: &vec![0.0; values.len()],
    };
    let mut words = Uncertainty::words(1);
    let found = sobol_indices(outcome, 3, &mut words).expect("there are rows");
    let (alone_1, alone_2) = (0.5 * (1.0 + 0.1 * PI.powi(4) / 5.0).powi(2), 49.0 / 8.0);
    let both_1_3 = 0.01 * PI.powi(8) * (1.0 / 18.0 - 1.0 / 50.0);
    let variance = alone_1 + alone_2 + both_1_3;
    let first = [alone_1, alone_2, 0.0];
    let total = [alone_1 + both_1_3, alone_2, both_1_3];
    let truths = first.into_iter().chain(total);
    for (found, truth) in found.first.iter().chain(&found.total).zip(truths) {
        let truth = truth / variance;
        assert!((found.value - truth).abs() < 1e-2, "{found:?}, not {truth}");
        assert!(
            found.interval.0 <= truth && truth <= found.interval.1,
            "{found:?}, not {truth}"
        );
    }
}

#[test]
fn uncertainty_is_the_trial() {
    let fingerprint = |design: &str, priors: &str| with_priors(design, priors).fingerprint();
    let one = "homing.scar_capture = { min = 0.1, max = 1.0 }";
    let all = [
        fingerprint("design = \"sobol\"", one),
        fingerprint("design = \"morris\"", one),
        fingerprint("design = \"latin-hypercube\"\npoints = 10", one),
        fingerprint("design = \"latin-hypercube\"\npoints = 11", one),
        fingerprint(
            "design = \"sobol\"",
            "homing.scar_capture = { min = 0.2, max = 1.0 }",
        ),
        fingerprint(
            "design = \"sobol\"",
            "homing.scar_capture = { min = 0.1, max = 1.0, log = true }",
        ),
        fingerprint("design = \"sobol\"", PRIORS),
    ];
    for (position, one) in all.iter().enumerate() {
        assert!(!all[..position].contains(one), "number {position}");
    }
    // How many points of an endless design a run has is not the trial; nor is the order of keys.
    let same = fingerprint("design = \"sobol\"\npoints = 77", one);
    assert_eq!(same, all[0]);
    let turned: Vec<&str> = PRIORS.lines().rev().collect();
    assert_eq!(
        fingerprint("design = \"sobol\"", &turned.join("\n")),
        all[6]
    );
}

#[test]
fn it_comes_back_from_its_canonical_form() {
    for design in [
        "design = \"sobol\"\npoints = 64",
        "design = \"latin-hypercube\"\npoints = 64",
        "design = \"morris\"",
        "design = \"saltelli\"",
    ] {
        let mut trial = with_priors(design, PRIORS);
        assert_eq!(parse(&trial.canonical_toml()), trial);
        assert_eq!(parse(&trial.documented_toml()), trial);
        // Even if the command line asked for fewer patients.
        trial.patients = trial.whole_blocks(5000);
        assert_eq!(parse(&trial.canonical_toml()), trial);
        let text = trial.canonical_toml();
        assert_eq!(parse(&text).canonical_toml(), text);
    }
    let text = with_priors("design = \"latin-hypercube\"\npoints = 64", PRIORS).canonical_toml();
    assert!(
        text.contains(
            "\n[uncertainty]\ndesign = \"latin-hypercube\"\npoints = 64\n\n[uncertainty.priors]\n\
         shedding.lung_filter = { choices = [1.0, 1e-4] }\n\
         shedding.aggressive_fraction = { min = 0.001, max = 0.5, log = true }\n\
         dormancy.surgery_excess = { min = 0.0, max = 4.0 }\n\
         homing.interaction = { choices = [\"or\", \"additive\"] }\n\
         homing.mmp1_ceiling = { mean = 0.9, sd = 0.2 }\n\
         homing.scar_capture = { median = 1.0, factor = 3.0 }\n"
        ),
        "{text}"
    );
}

#[test]
fn points_make_the_patients() {
    let patients = |text: &str| {
        let text = format!("base = \"breast-targets\"\n{text}");
        let trial = parse(&text);
        (trial.patients, trial.block_patients)
    };
    let trial = with_priors("design = \"sobol\"\npoints = 9", PRIORS);
    assert_eq!((trial.patients, trial.block_patients), (36_000, Some(4000)));
    assert_eq!(patients(""), (5_120_000, Some(10_000)));
    assert_eq!(
        patients("uncertainty.points = 100"),
        (1_000_000, Some(10_000))
    );
    assert_eq!(patients("run.block_patients = 500"), (256_000, Some(500)));
    // A file that says how many patients it wants gets them.
    assert_eq!(patients("run.patients = 10_001"), (20_000, Some(10_000)));
    assert_eq!(
        patients("run.patients = 10_001\nuncertainty.points = 7"),
        (20_000, Some(10_000))
    );
}

/// A prior replaces one of another form, and takes over keys of its own form.
#[test]
fn priors_may_be_overridden_and_removed() {
    let prior = |text: &str, path: &str| {
        let trial = parse(&format!(
            "base = \"breast-targets\"\n[uncertainty.priors]\n{text}"
        ));
        let factors = &uncertainty(&trial).factors;
        factors
            .iter()
            .find(|factor| factor.path == path)
            .map(|factor| factor.prior.clone())
    };
    let path = "homing.il6.ec50_ng_per_ml";
    assert_eq!(
        prior("homing.il6.ec50_ng_per_ml.factor = 5", path),
        Some(Prior::LogNormal {
            median: 0.5,
            factor: 5.0
        })
    );
    assert_eq!(
        prior("homing.il6.ec50_ng_per_ml = { min = 0.1, max = 2 }", path),
        Some(Prior::Uniform { min: 0.1, max: 2.0 })
    );
    assert_eq!(prior("homing.il6.ec50_ng_per_ml.remove = true", path), None);
    assert_eq!(
        prior(
            "shedding.lung_filter = { mean = 0.1, sd = 0.01 }",
            "shedding.lung_filter"
        ),
        Some(Prior::Normal {
            mean: 0.1,
            sd: 0.01
        })
    );
}

#[test]
fn designs_say_how_points_belong_together() {
    let names = ["sobol", "latin-hypercube", "morris", "saltelli"];
    for (name, cluster) in names.into_iter().zip([1, 1, 7, 8]) {
        let trial = with_priors(&format!("design = \"{name}\"\npoints = 20"), PRIORS);
        assert_eq!(uncertainty(&trial).design.name(), name);
        assert_eq!(uncertainty(&trial).cluster(), cluster);
    }
    assert_eq!(Design::Sobol.cluster(3), 1);
}

#[test]
fn alternatives_have_names() {
    let trial = with_priors("design = \"sobol\"", PRIORS);
    let of = |path: &str| {
        let factors = &uncertainty(&trial).factors;
        let factor = factors.iter().find(|factor| factor.path == path);
        factor.expect("it is there").alternatives()
    };
    let named = |name: &str, value| (name.to_owned(), value);
    assert_eq!(
        of("shedding.lung_filter"),
        [named("1", 1.0), named("0.0001", 1e-4)]
    );
    // Of words the positions among all that the key may have.
    assert_eq!(
        of("homing.interaction"),
        [named("or", 2.0), named("additive", 0.0)]
    );
    assert_eq!(of("homing.scar_capture"), []);
}

#[test]
fn points_are_checked_for_the_seed_that_is_used() {
    let mut trial = with_priors(
        "design = \"sobol\"\npoints = 4",
        "detection.scar_cells = { min = 10, max = 1e6 }",
    );
    assert_eq!(trial.check_points(0..trial.blocks()), Ok(()));
    trial.patients = 4000 * 65_536;
    let error = trial
        .check_points(0..trial.blocks())
        .expect_err("one of so many is too small");
    assert!(
        error
            .problem
            .contains("no bigger than what a founder starts as"),
        "{error}"
    );
    assert!(
        error.values.starts_with("detection.scar_cells = "),
        "{error}"
    );
}

#[test]
fn draws_are_taken_together_point_by_point() {
    let text = "homing.scar_capture = { draws = [0.25, 0.5, 0.75] }\n\
                dormancy.probability = { draws = [0.1, 0.2, 0.3] }\n\
                homing.mmp1_ceiling = { min = 0.3, max = 0.8 }";
    let trial = with_priors("design = \"sobol\"\nhalf_years = 12", text);
    assert_eq!(parse(&trial.canonical_toml()), trial);
    let uncertainty = uncertainty(&trial);
    assert_eq!(uncertainty.half_years, 12);
    let captures = drawn(uncertainty, "homing.scar_capture", 7);
    assert_eq!(captures, [0.25, 0.5, 0.75, 0.25, 0.5, 0.75, 0.25]);
    let probabilities = drawn(uncertainty, "dormancy.probability", 4);
    assert_eq!(probabilities, [0.1, 0.2, 0.3, 0.1]);
    let mut others = drawn(uncertainty, "homing.mmp1_ceiling", 6);
    others.sort_by(f64::total_cmp);
    others.dedup();
    assert_eq!(others.len(), 6, "what has no draws follows the design");
    // They replace an inherited prior.
    let trial = parse(
        "base = \"breast-targets\"\n[uncertainty.priors]\nhoming.scar_capture = { draws = [0.5] }",
    );
    assert_eq!(
        drawn(self::uncertainty(&trial), "homing.scar_capture", 2),
        [0.5, 0.5]
    );
}

#[test]
fn quantiles_and_values_are_each_others_inverse() {
    let trial = with_priors("design = \"sobol\"", PRIORS);
    for factor in &uncertainty(&trial).factors {
        for quantile in [1e-6, 0.025, 0.4, 0.5, 0.9, 0.999] {
            match factor.quantile_of(factor.quantile(quantile)) {
                Some(found) => assert!(
                    (found - quantile).abs() < 1e-9,
                    "{} {quantile} {found}",
                    factor.path
                ),
                None => assert!(matches!(factor.prior, Prior::Choice(_)), "{}", factor.path),
            }
        }
    }
}

#[test]
fn a_trial_takes_the_disease_of_a_calibration_and_keeps_its_own_arms() {
    let mut trial = parse("base = \"breast-targets\"\nname = \"mine\"");
    let arms = trial.scenario.arms.clone();
    let calibrated = with_priors(
        "design = \"sobol\"",
        "dormancy.probability = { min = 0, max = 0.5 }\nhoming.scar_capture = { min = 0.1, max = 1 }",
    );
    let calibrated = parse(&format!(
        "{}\n",
        calibrated
            .canonical_toml()
            .replace("exponent = 0.4", "exponent = 0.5")
    ));
    let parameters = ["homing.scar_capture", "dormancy.probability"].map(str::to_owned);
    trial.believe(
        &calibrated,
        &parameters,
        &[vec![0.3, 0.05], vec![0.6, 0.15]],
    );
    assert_eq!(trial.scenario.shedding.exponent, 0.5);
    assert_eq!(trial.scenario.arms, arms);
    let believed = uncertainty(&trial);
    assert_eq!(drawn(believed, "homing.scar_capture", 3), [0.3, 0.6, 0.3]);
    assert_eq!(drawn(believed, "dormancy.probability", 2), [0.05, 0.15]);
    assert_eq!(
        believed.factors.len(),
        23,
        "MMP1's ceiling and others stay uncertain"
    );
    // Its own text gives the same trial.
    assert_eq!(parse(&trial.canonical_toml()), trial);
}
