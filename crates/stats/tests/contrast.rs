//! Paired contrasts of an arm with the control.
#![expect(
    clippy::float_cmp,
    reason = "zero and infinity are meant exactly where they are expected"
)]

mod common;

use common::{close, populations, record, shape, tally_of, tally_of_pairs};
use proptest::collection::vec;
use proptest::prelude::*;
use reseed_stats::curve::{Quantity, paired_difference};
use reseed_stats::estimate::{contrast, contrasts};
use reseed_stats::share::counterfactual_shares;
use reseed_stats::{
    ArmRecord, Contrast, Endpoint, Estimate, ExitKind, MeanContrast, PairedCurves, Tally,
};

const Z: f64 = 1.959963984540054;

/// Pairs by outcome: event in both, in the control only, in the arm only, in neither.
fn pairs(both: usize, control_only: usize, arm_only: usize, neither: usize) -> Tally {
    let event = record(ExitKind::Event, 0, 0);
    let none = record(ExitKind::Censored, 1, 0);
    let repeat = |pair: (ArmRecord, ArmRecord), times| std::iter::repeat_n(pair, times);
    tally_of_pairs(
        2,
        repeat((event, event), both)
            .chain(repeat((event, none), control_only))
            .chain(repeat((none, event), arm_only))
            .chain(repeat((none, none), neither)),
    )
}

fn check(tally: &Tally) -> Contrast {
    contrast(tally, &[0], 1, Endpoint::Local, 0)
}

fn assert_close(found: (f64, f64), expected: (f64, f64), tolerance: f64) {
    assert!(
        close(found.0, expected.0, tolerance) && close(found.1, expected.1, tolerance),
        "{found:?} is not {expected:?}"
    );
}

/// Airway hyper-responsiveness before and after transplantation (Bentur et al. 2009; Fagerland,
/// Lydersen and Laake, Stat Med 2014;33:2850): 1, 1, 7, 12 pairs, difference −0.286 or 0.286
/// with Tango's 95 % interval 0.026 to 0.517.
#[test]
fn score_interval_of_a_published_example() {
    let found = check(&pairs(1, 1, 7, 12));
    assert_eq!((found.control_only, found.arm_only), (1, 7));
    assert!(close(found.difference.value, 6.0 / 21.0, 1e-12));
    let (lower, upper) = found.difference_interval;
    assert!(
        (lower - 0.026).abs() < 5e-4 && (upper - 0.517).abs() < 5e-4,
        "{lower} {upper}"
    );
    // Arm over control; the ratio before over after is printed as 0.065 to 0.907.
    let (lower, upper) = found.ratio_interval;
    assert!(
        (1.0 / upper - 0.065).abs() < 5e-4 && (1.0 / lower - 0.907).abs() < 5e-4,
        "{lower} {upper}"
    );
    let (lower, upper) = found.difference_interval;
    let mirrored = check(&pairs(1, 7, 1, 12));
    assert_close(mirrored.difference_interval, (-upper, -lower), 1e-12);
}

/// Without censoring the variance follows from the discordant pairs, and with many of them the
/// intervals are those of the delta method, the ratio's on the log scale.
#[test]
fn closed_forms_without_censoring() {
    let found = check(&pairs(3000, 2000, 500, 14500));
    let n = 20000.0;
    let variance = (2500.0 - 2250000.0 / n) / (n * n);
    assert!(close(found.control.value, 0.25, 1e-12));
    assert!(close(found.arm.value, 0.175, 1e-12));
    assert!(close(found.difference.value, -0.075, 1e-12));
    let error = found.difference.standard_error;
    assert!(close(error, f64::sqrt(variance), 1e-12));
    let unpaired = (0.25 * 0.75 + 0.175 * 0.825) / n;
    assert!(close(found.variance_reduction, unpaired / variance, 1e-9));
    let wald = (-0.075 - Z * error, -0.075 + Z * error);
    assert_close(found.difference_interval, wald, 1e-4);
    assert!(close(found.ratio, 0.7, 1e-12));
    let factor = core_math::exp(Z * f64::sqrt(2500.0 / (5000.0 * 3500.0)));
    assert_close(found.ratio_interval, (0.7 / factor, 0.7 * factor), 2e-4);
}

#[test]
fn pairs_that_never_differ_still_have_an_interval() {
    let found = check(&pairs(10, 0, 0, 90));
    assert_eq!(
        (found.difference.value, found.difference.standard_error),
        (0.0, 0.0)
    );
    let limit = Z * Z / (100.0 + Z * Z);
    assert_close(found.difference_interval, (-limit, limit), 1e-12);
    // At the lower limit (10·(1 − ratio))² = z²·10·ratio·(1 − ratio), and its inverse above.
    let found_ratio = found.ratio_interval;
    assert!(
        close(found_ratio.0, 10.0 / (10.0 + Z * Z), 1e-9),
        "{found_ratio:?}"
    );
    assert!(
        close(found_ratio.0 * found_ratio.1, 1.0, 1e-9),
        "{found_ratio:?}"
    );
    assert_eq!(found.variance_reduction, f64::INFINITY);
}

/// Events that only come later are the same events by the end, without rounding in between.
#[test]
fn delayed_events_leave_no_difference() {
    let delayed = |bin: usize| {
        (
            record(ExitKind::Event, bin, 0),
            record(ExitKind::Event, bin + 1, 0),
        )
    };
    let stays = record(ExitKind::Censored, 9, 0);
    let patients = (0..70).map(|i| delayed(i % 9)).chain([(stays, stays); 23]);
    let found = contrast(&tally_of_pairs(10, patients), &[0], 1, Endpoint::Local, 9);
    assert_eq!(
        found.difference,
        Estimate {
            value: 0.0,
            standard_error: 0.0
        }
    );
    assert_eq!(
        (found.ratio, found.variance_reduction),
        (1.0, f64::INFINITY)
    );
    assert_eq!(found.number_needed_to_treat.unwrap().value, f64::INFINITY);
}

#[test]
fn an_arm_without_events() {
    let found = check(&pairs(0, 10, 0, 90));
    assert_eq!(found.ratio, 0.0);
    assert_eq!(found.ratio_interval.0, 0.0);
    // The control alone has events: (10·ratio)² = z²·10·ratio at the upper limit.
    let upper = found.ratio_interval.1;
    assert!(close(upper, Z * Z / 10.0, 1e-9), "{upper}");
    assert!(found.difference_interval.1 < 0.0);
}

#[test]
fn a_control_without_events() {
    let found = check(&pairs(0, 0, 10, 90));
    assert_eq!(found.ratio, f64::INFINITY);
    assert_eq!(found.ratio_interval.1, f64::INFINITY);
    assert!(found.ratio_interval.0 > 1.0);
}

#[test]
fn no_events_at_all() {
    let found = check(&pairs(0, 0, 0, 50));
    assert_eq!(found.difference.value, 0.0);
    assert!(found.ratio.is_nan() && found.variance_reduction.is_nan());
    assert!(found.ratio_interval.0.is_nan() && found.ratio_interval.1.is_nan());
    let limit = Z * Z / (50.0 + Z * Z);
    assert_close(found.difference_interval, (-limit, limit), 1e-12);
}

#[test]
fn nobody_at_all() {
    let found = check(&pairs(0, 0, 0, 0));
    for value in [
        found.control.value,
        found.arm.standard_error,
        found.difference.value,
        found.difference.standard_error,
        found.difference_interval.0,
        found.difference_interval.1,
        found.ratio,
        found.ratio_interval.0,
        found.ratio_interval.1,
        found.variance_reduction,
    ] {
        assert!(value.is_nan(), "{found:?}");
    }
    assert_eq!(found.number_needed_to_treat, None);
}

#[test]
fn number_needed_to_treat_is_the_inverse_benefit() {
    let found = check(&pairs(100, 100, 0, 800));
    let number = found.number_needed_to_treat.unwrap();
    assert!(close(number.value, 10.0, 1e-12));
    let (lower, upper) = found.difference_interval;
    assert_close(number.interval, (-1.0 / lower, -1.0 / upper), 1e-12);
    assert!(0.0 < number.interval.0 && number.interval.0 < 10.0 && number.interval.1 > 10.0);
}

#[test]
fn number_needed_to_harm_is_negative() {
    let number = check(&pairs(100, 0, 100, 800))
        .number_needed_to_treat
        .unwrap();
    assert!(close(number.value, -10.0, 1e-12));
    assert!(number.interval.0 < -10.0 && -10.0 < number.interval.1 && number.interval.1 < 0.0);
}

#[test]
fn number_needed_to_treat_passes_through_infinity() {
    let number = check(&pairs(100, 12, 10, 878))
        .number_needed_to_treat
        .unwrap();
    assert!(close(number.value, 500.0, 1e-9));
    assert!(0.0 < number.interval.0 && number.interval.0 < 500.0 && number.interval.1 < 0.0);
    let none = check(&pairs(10, 5, 5, 80)).number_needed_to_treat.unwrap();
    assert_eq!(none.value, f64::INFINITY);
    assert!(close(none.interval.0, -none.interval.1, 1e-9));
}

/// Drop-out before the event: half of those without an event by the first bin leave.
#[test]
fn censoring_takes_the_observed_correlation() {
    let exit = |kind, bin| record(kind, bin, 0);
    let (early, late) = (exit(ExitKind::Event, 0), exit(ExitKind::Event, 1));
    let (left, stayed) = (exit(ExitKind::Censored, 0), exit(ExitKind::Censored, 1));
    let repeat = |pair: (ArmRecord, ArmRecord), times| std::iter::repeat_n(pair, times);
    let tally = tally_of_pairs(
        2,
        repeat((early, early), 10)
            .chain(repeat((late, late), 10))
            .chain(repeat((late, stayed), 10))
            .chain(repeat((left, left), 45))
            .chain(repeat((stayed, stayed), 25)),
    );
    let found = contrast(&tally, &[0], 1, Endpoint::Rfs, 1);
    assert!(close(found.control.value, 0.1 + 0.9 * 20.0 / 45.0, 1e-12));
    assert!(close(found.arm.value, 0.1 + 0.9 * 10.0 / 45.0, 1e-12));
    // Observed: 20 events in both, 10 in the control only, 70 in neither.
    let correlation = (100.0 * 20.0 - 30.0 * 20.0) / f64::sqrt(30.0 * 70.0 * 20.0 * 80.0);
    let (control, arm) = (found.control.standard_error, found.arm.standard_error);
    let variance = control * control + arm * arm - 2.0 * correlation * control * arm;
    assert!(close(
        found.difference.standard_error,
        f64::sqrt(variance),
        1e-12
    ));
    // The intervals are those of the same pairs without drop-out, stretched by the errors.
    let crude = check(&pairs(20, 10, 0, 70));
    let stretch = found.difference.standard_error / crude.difference.standard_error;
    assert!(stretch > 1.05, "{stretch}");
    let distances = |contrast: &Contrast| {
        let (lower, upper) = contrast.difference_interval;
        let value = contrast.difference.value;
        (value - lower, upper - value)
    };
    let expected = distances(&crude);
    let expected = (expected.0 * stretch, expected.1 * stretch);
    assert_close(distances(&found), expected, 1e-12);

    let log_error = |contrast: &Contrast| {
        let relative = |e: Estimate| e.standard_error / e.value;
        let (control, arm) = (relative(contrast.control), relative(contrast.arm));
        f64::sqrt(control * control + arm * arm - 2.0 * correlation * control * arm)
    };
    let stretch = log_error(&found) / log_error(&crude);
    assert!((stretch - 1.0).abs() > 0.005, "{stretch}");
    let distances = |contrast: &Contrast| {
        let (lower, upper) = contrast.ratio_interval;
        let ratio = contrast.ratio;
        (core_math::log(ratio / lower), core_math::log(upper / ratio))
    };
    let expected = distances(&crude);
    let expected = (expected.0 * stretch, expected.1 * stretch);
    assert_close(distances(&found), expected, 1e-12);
}

/// Bins in which the event happens in the control and in the arm.
type Events = (Option<usize>, Option<usize>);

const BINS: usize = 8;

/// Edges of bins two units wide, the last only one.
fn edges() -> Vec<f64> {
    let whole = (0..BINS).map(|edge| 2.0 * edge as f64);
    whole.chain([2.0 * BINS as f64 - 1.0]).collect()
}

fn curves_of(events: &[Events]) -> PairedCurves {
    let record = |bin: Option<usize>| match bin {
        Some(bin) => record(ExitKind::Event, bin, 0),
        None => record(ExitKind::Censored, BINS - 1, 0),
    };
    let pairs = events
        .iter()
        .map(|(control, arm)| (record(*control), record(*arm)));
    PairedCurves::new(&tally_of_pairs(BINS, pairs), &[0], 1, Endpoint::Rfs)
}

fn mean_of(events: &[Events], bin: usize) -> MeanContrast {
    curves_of(events).mean(&edges(), bin)
}

/// The same from the patients themselves, with events in the middles of the bins.
fn mean_of_patients(events: &[Events], bin: usize) -> Estimate {
    let edges = edges();
    let exit = |event: Option<usize>| match event {
        Some(event) => (f64::midpoint(edges[event], edges[event + 1]), Some(0)),
        None => (edges[BINS], None),
    };
    let pairs: Vec<_> = events
        .iter()
        .map(|(control, arm)| [exit(*control), exit(*arm)])
        .collect();
    let horizon = edges[bin + 1];
    paired_difference(1, &pairs, Quantity::MeanLost { cause: 0, horizon })
}

#[test]
fn time_lost_without_patients_is_unknown() {
    let found = mean_of(&[], BINS - 1);
    assert!(found.difference.value.is_nan() && found.difference_interval.0.is_nan());
    let delay = curves_of(&[]).delay(&edges(), 0).unwrap();
    assert!(delay.patients == 0 && delay.mean.value.is_nan());
}

/// The interval is that of paired proportions if all who differ do so for equally long.
#[test]
fn time_lost_has_the_interval_of_its_effective_pairs() {
    let events: Vec<Events> = (0..22)
        .map(|patient| match patient {
            0..7 => (Some(2), None),
            7..9 => (None, Some(2)),
            9 => (Some(1), Some(1)),
            _ => (None, None),
        })
        .collect();
    let found = mean_of(&events, 5);
    // From the middle of the third bin to the end of the sixth.
    let time = 7.0;
    let pairs = check(&pairs(1, 7, 2, 12));
    assert!(close(
        found.difference.value,
        time * pairs.difference.value,
        1e-12
    ));
    let (lower, upper) = pairs.difference_interval;
    assert_close(
        found.difference_interval,
        (time * lower, time * upper),
        1e-12,
    );
}

#[test]
fn bins_of_different_widths_have_no_paired_times() {
    let curves = curves_of(&[(Some(0), Some(3)), (Some(1), None)]);
    let mut edges = edges();
    edges[1] = 1.5;
    let found = curves.mean(&edges, 5);
    assert!(found.difference.value < 0.0 && found.difference.standard_error.is_nan());
    assert!(found.difference_interval.0.is_nan() && found.difference_interval.1.is_nan());
    assert!(curves.delay(&edges, 5).unwrap().mean.value.is_nan());
}

/// One event four bins later, one not by the end of the sixth bin, one earlier, one the same.
#[test]
fn delays_count_later_events() {
    let curves = curves_of(&[
        (Some(0), Some(4)),
        (Some(1), None),
        (Some(3), Some(2)),
        (Some(5), Some(5)),
    ]);
    let found = curves.delay(&edges(), 5).unwrap();
    assert_eq!(found.patients, 2);
    assert!(close(found.mean.value, f64::midpoint(8.0, 9.0), 1e-12));
    assert!(close(
        found.mean.standard_error,
        f64::sqrt(0.25 / 2.0),
        1e-12
    ));
    let left = record(ExitKind::Censored, 0, 0);
    let tally = tally_of_pairs(2, [(left, record(ExitKind::Event, 1, 0))]);
    let curves = PairedCurves::new(&tally, &[0], 1, Endpoint::Rfs);
    let at = |bin| curves.delay(&[0.0, 1.0, 2.0], bin);
    assert!(at(0).is_some() && at(1).is_none());
}

#[test]
fn counterfactual_shares_count_pairs() {
    let found = counterfactual_shares(&pairs(1, 7, 2, 12), &[0], 1, Endpoint::Local, 0);
    assert_eq!((found.benefit.part, found.benefit.whole), (7, 22));
    assert_eq!((found.harm.part, found.harm.whole), (2, 22));
    assert!(found.complete);
    let left = record(ExitKind::Censored, 0, 0);
    let tally = tally_of_pairs(2, [(left, record(ExitKind::Event, 1, 0))]);
    let at = |bin| counterfactual_shares(&tally, &[0], 1, Endpoint::Local, bin);
    assert!(at(0).complete && !at(1).complete);
}

proptest! {
    #[test]
    fn intervals_hold_the_estimate((shape, patients) in populations()) {
        let tally = tally_of(&shape, &patients);
        let strata: Vec<usize> = (0..shape.strata).collect();
        prop_assume!(tally.enrolled().iter().sum::<u64>() > 0);
        for arm in 0..shape.arms {
            for endpoint in Endpoint::ALL {
                for found in contrasts(&tally, &strata, arm, endpoint) {
                    let (lower, upper) = found.difference_interval;
                    prop_assert!(lower <= found.difference.value + 1e-12, "{found:?}");
                    prop_assert!(upper >= found.difference.value - 1e-12, "{found:?}");
                    prop_assert!(lower < upper && -1.0 <= lower && upper <= 1.0);
                    prop_assert!(found.difference.standard_error >= 0.0);
                    if found.control.value > 0.0 || found.arm.value > 0.0 {
                        let (lower, upper) = found.ratio_interval;
                        prop_assert!(lower >= 0.0 && lower < upper, "{found:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_control_does_not_differ_from_itself((shape, patients) in populations()) {
        let tally = tally_of(&shape, &patients);
        let strata: Vec<usize> = (0..shape.strata).collect();
        prop_assume!(tally.enrolled().iter().sum::<u64>() > 0);
        for found in contrasts(&tally, &strata, shape.control, Endpoint::Distant) {
            prop_assert_eq!(found.control, found.arm);
            prop_assert_eq!(found.difference.value, 0.0);
            prop_assert_eq!(found.difference.standard_error, 0.0);
        }
    }

    /// Strata pool as if they had never been told apart.
    #[test]
    fn pooled_strata_are_one_stratum((divided, patients) in populations()) {
        let tally = tally_of(&divided, &patients);
        let strata: Vec<usize> = (0..divided.strata).collect();
        let undivided = shape(1, divided.arms, divided.control, divided.bins);
        let together: Vec<_> = patients
            .into_iter()
            .map(|patient| match patient {
                common::Screened::Enrolled { histogram_bins, arms, .. } => {
                    common::Screened::Enrolled { stratum: 0, histogram_bins, arms }
                }
                excluded @ common::Screened::Excluded(_) => excluded,
            })
            .collect();
        let whole = tally_of(&undivided, &together);
        prop_assume!(whole.enrolled()[0] > 0);
        for arm in 0..divided.arms {
            for endpoint in Endpoint::ALL {
                for bin in 0..divided.bins {
                    let pooled = contrast(&tally, &strata, arm, endpoint, bin);
                    let expected = contrast(&whole, &[0], arm, endpoint, bin);
                    prop_assert_eq!(format!("{pooled:?}"), format!("{expected:?}"));
                }
            }
        }
    }

    /// Differences of times have the patients' own error.
    #[test]
    fn time_lost_has_the_error_of_its_patients(
        events in vec((prop::option::of(0..BINS), prop::option::of(0..BINS)), 1..60),
        bin in 0..BINS,
    ) {
        let exact = mean_of_patients(&events, bin);
        let found = mean_of(&events, bin);
        prop_assert!(close(found.difference.value, exact.value, 1e-9));
        prop_assert!(close(found.difference.standard_error, exact.standard_error, 1e-7));
        let (lower, upper) = found.difference_interval;
        prop_assert!(lower < upper && lower <= exact.value + 1e-9 && exact.value <= upper + 1e-9);
    }
}
