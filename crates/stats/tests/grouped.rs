//! What bins cost: estimates from binned times approach those from the times themselves at the
//! rate that `risk` states.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use reseed_stats::curve::{
    Quantity, cumulative_incidence, estimate, kaplan_meier, survival_quantile,
};
use reseed_stats::distribution::CRITICAL_95;
use reseed_stats::hazard::{interval_hazards, smooth_hazard};
use reseed_stats::rank::{gray, log_rank};
use reseed_stats::ratio::{cox, fine_gray};
use reseed_stats::{RiskTable, Ties, Weights};

const PATIENTS: u32 = 200_000;

/// The horizon of the areas, of which all bins' widths are parts.
const HORIZON: f64 = 48.0;

const FOLLOW_UP: f64 = 96.0;

type Exit = (f64, Option<usize>);

/// Two groups of evenly spread patients: the points of a lattice become times of an event, of a
/// competing event and of dropping out, so that chance does not hide what bins do.
fn groups(with_drop_out: bool) -> [Vec<Exit>; 2] {
    // Powers of the root of x⁴ = x + 1, which spread points in a cube evenly (Roberts).
    const STEPS: [f64; 3] = [0.8191725133961645, 0.6710436067037893, 0.5497004779019703];
    let exponential = |uniform: f64, hazard: f64| -core_math::log(1.0 - uniform) / hazard;
    [0.02, 0.012].map(|hazard| {
        let exit = |number: u32| {
            let point = STEPS.map(|step| (0.5 + step * f64::from(number)).fract());
            // The hazard of the event rises in proportion to time.
            let event = exponential(point[0], hazard / 24.0).sqrt();
            let competing = exponential(point[1], 0.008);
            let left = if with_drop_out {
                exponential(point[2], 0.012)
            } else {
                FOLLOW_UP
            };
            let end = left.min(FOLLOW_UP);
            if event.min(competing) > end {
                (end, None)
            } else if event < competing {
                (event, Some(0))
            } else {
                (competing, Some(1))
            }
        };
        (0..PATIENTS).map(exit).collect()
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of bins are small and whole"
)]
fn binned(exits: &[Exit], width: f64) -> RiskTable {
    let bins = (FOLLOW_UP / width) as usize;
    let edges: Vec<f64> = (0..=bins).map(|edge| edge as f64 * width).collect();
    let mut events = [vec![0; bins], vec![0; bins]];
    let mut censored = vec![0; bins];
    for (time, cause) in exits {
        // A bin holds its upper edge.
        let bin = (time / width).ceil().max(1.0) as usize - 1;
        match cause {
            Some(cause) => events[*cause][bin] += 1,
            None => censored[bin] += 1,
        }
    }
    RiskTable::from_bins(&edges, exits.len() as u64, &events, &censored)
}

fn estimates(groups: &[RiskTable; 2]) -> Vec<(&'static str, f64)> {
    let one = &groups[0];
    let area = |quantity| estimate(one, quantity).value;
    let horizon = HORIZON;
    let strata = [groups.to_vec()];
    let median = survival_quantile(&kaplan_meier(one), 0.5, CRITICAL_95).time;
    vec![
        ("survival", kaplan_meier(one).at(HORIZON).value),
        (
            "survival error",
            kaplan_meier(one).at(HORIZON).standard_error,
        ),
        ("incidence", cumulative_incidence(one, 0).at(HORIZON).value),
        ("mean survival", area(Quantity::MeanSurvival { horizon })),
        ("mean lost", area(Quantity::MeanLost { cause: 0, horizon })),
        (
            "mean survival error",
            estimate(one, Quantity::MeanSurvival { horizon }).standard_error,
        ),
        ("median", median),
        (
            "hazard",
            interval_hazards(one, 0, &[0.0, HORIZON])[0].rate.value,
        ),
        (
            "smooth",
            smooth_hazard(one, 0, 16.0, HORIZON, &[24.0])[0].rate.value,
        ),
        ("log-rank", log_rank(&strata, Weights::EQUAL).statistic),
        (
            "late log-rank",
            log_rank(
                &strata,
                Weights {
                    rho: 0.0,
                    gamma: 1.0,
                },
            )
            .statistic,
        ),
        ("gray", gray(&strata, 0, 0.0).statistic),
        (
            "efron",
            cox(std::slice::from_ref(groups), Ties::Efron)
                .log_ratio
                .value,
        ),
        (
            "breslow",
            cox(std::slice::from_ref(groups), Ties::Breslow)
                .log_ratio
                .value,
        ),
        ("fine-gray", fine_gray(groups, 0).log_ratio.value),
        (
            "fine-gray error",
            fine_gray(groups, 0).log_ratio.standard_error,
        ),
    ]
}

const WIDTHS: [f64; 4] = [8.0, 4.0, 2.0, 1.0];

/// Relative errors of an estimate at all widths.
type Errors = [f64; WIDTHS.len()];

fn exact(groups: &[Vec<Exit>; 2]) -> Vec<(&'static str, f64)> {
    let single = |exits: &Vec<Exit>| RiskTable::from_patients(2, exits.iter().copied());
    estimates(&groups.each_ref().map(single))
}

/// Errors by name, without and with drop-out, found once for all tests.
static ERRORS: LazyLock<[BTreeMap<&str, Errors>; 2]> =
    LazyLock::new(|| [false, true].map(errors_of));

fn errors(with_drop_out: bool) -> &'static BTreeMap<&'static str, Errors> {
    &ERRORS[usize::from(with_drop_out)]
}

fn errors_of(with_drop_out: bool) -> BTreeMap<&'static str, Errors> {
    let groups = groups(with_drop_out);
    let exact = exact(&groups);
    let grouped =
        WIDTHS.map(|width| estimates(&groups.each_ref().map(|exits| binned(exits, width))));
    let relative = |(position, (name, exact)): (usize, &(&'static str, f64))| {
        let error = |grouped: &Vec<(&str, f64)>| grouped[position].1 / exact - 1.0;
        (*name, grouped.each_ref().map(error))
    };
    exact.iter().enumerate().map(relative).collect()
}

/// Bins half as wide leave half of the error.
fn assert_first_order(name: &str, errors: Errors) {
    for pair in errors.windows(2) {
        let ratio = pair[0] / pair[1];
        assert!((1.7..2.6).contains(&ratio), "{name}: {errors:?}");
    }
    assert!(errors[3].abs() < 0.05, "{name}: {errors:?}");
}

/// The error stays below `factor` times the width squared.
fn assert_second_order(name: &str, errors: Errors, factor: f64) {
    for (error, width) in errors.iter().zip(WIDTHS) {
        assert!(error.abs() < factor * width * width, "{name}: {errors:?}");
    }
}

#[test]
fn without_drop_out_curves_are_exact_and_areas_are_of_second_order() {
    let errors = errors(false);
    for name in ["survival", "survival error", "incidence"] {
        assert!(
            errors[name].iter().all(|error| error.abs() < 1e-12),
            "{name}"
        );
    }
    for name in [
        "mean survival",
        "mean lost",
        "mean survival error",
        "hazard",
    ] {
        assert_second_order(name, errors[name], 8e-5);
    }
    for name in [
        "smooth",
        "log-rank",
        "late log-rank",
        "gray",
        "breslow",
        "fine-gray",
        "fine-gray error",
    ] {
        assert_first_order(name, errors[name]);
    }
}

#[test]
fn with_drop_out_errors_are_of_first_order() {
    let mut errors = errors(true).clone();
    errors.retain(|name, _| !["median", "efron"].contains(name));
    assert_eq!(errors.len(), 14);
    for (name, errors) in errors {
        assert_first_order(name, errors);
    }
}

/// Efron's sums run through the risk sets as if the events of a bin came one by one.
#[test]
fn the_ratio_with_efrons_ties_is_of_second_order() {
    for with_drop_out in [false, true] {
        assert_second_order("efron", errors(with_drop_out)["efron"], 3.5e-4);
    }
}

/// The median is the middle of a bin: half a width away at most, and what survival is off.
#[test]
fn the_median_is_known_to_the_bin() {
    let exact = exact(&groups(true));
    let median = exact.iter().find(|(name, _)| *name == "median").unwrap().1;
    for (error, width) in errors(true)["median"].iter().zip(WIDTHS) {
        assert!((error * median).abs() <= 0.6 * width, "{error}");
    }
}
