//! What must hold for any patients.
#![expect(
    clippy::float_cmp,
    reason = "zero and infinity are meant exactly where they are expected"
)]

mod common;

use common::close;
use proptest::collection::vec;
use proptest::prelude::*;
use reseed_stats::curve::{
    Curve, Quantity, cumulative_incidence, estimate, kaplan_meier, paired_difference,
    survival_quantile,
};
use reseed_stats::distribution::{
    CRITICAL_95, chi_squared_tail, normal_tail, normal_upper_quantile,
};
use reseed_stats::hazard::{interval_hazards, smooth_hazard};
use reseed_stats::multiplicity::{bonferroni_critical, holm, sidak_critical};
use reseed_stats::rank::{gray, log_rank};
use reseed_stats::ratio::{cox, fine_gray};
use reseed_stats::{Estimate, GroupTest, HazardRatio, RiskTable, Ties, Weights};

/// A patient: time in whole units, and cause.
type Patient = (u32, Option<usize>);

fn patients() -> impl Strategy<Value = Vec<Patient>> {
    vec((1..30u32, prop::option::of(0..2usize)), 1..60)
}

/// Two groups whose times are all different.
fn without_ties() -> impl Strategy<Value = [Vec<Patient>; 2]> {
    vec((any::<bool>(), prop::option::of(0..2usize)), 2..60).prop_map(|drawn| {
        let timed = drawn.into_iter().zip(1..);
        let (second, first): (Vec<_>, Vec<_>) = timed.partition(|((second, _), _)| *second);
        [first, second].map(|group| {
            let patient = |((_, cause), time): ((bool, _), u32)| (time, cause);
            group.into_iter().map(patient).collect()
        })
    })
}

fn table(patients: &[Patient]) -> RiskTable {
    let exits = patients
        .iter()
        .map(|(time, cause)| (f64::from(*time), *cause));
    RiskTable::from_patients(2, exits)
}

fn same(one: Estimate, other: Estimate) -> bool {
    close(one.value, other.value, 1e-9) && close(one.standard_error, other.standard_error, 1e-7)
}

/// Close, or both the same infinity or unknown.
fn alike(one: f64, other: f64, tolerance: f64) -> bool {
    close(one, other, tolerance) || one.total_cmp(&other).is_eq() || one.is_nan() && other.is_nan()
}

fn inverse(one: &HazardRatio, other: &HazardRatio) -> bool {
    let (one, other) = (one.log_ratio, other.log_ratio);
    alike(one.value, -other.value, 1e-9) && alike(one.standard_error, other.standard_error, 1e-7)
}

fn last(curve: &Curve) -> f64 {
    curve.at(f64::INFINITY).value
}

fn equal_tests(one: &GroupTest, other: &GroupTest) -> bool {
    one.degrees_of_freedom == other.degrees_of_freedom
        && close(one.statistic, other.statistic, 1e-7)
}

proptest! {
    #[test]
    fn rows_account_for_everybody(patients in patients()) {
        let table = table(&patients);
        let mut at_risk = patients.len() as u64;
        let mut before = 0.0;
        for row in table.rows() {
            prop_assert_eq!(row.at_risk, at_risk);
            prop_assert!(row.time > before);
            at_risk -= row.all_events() + row.censored;
            before = row.time;
        }
        prop_assert_eq!(at_risk, 0);
        let all: u32 = patients.iter().map(|(time, _)| time).sum();
        prop_assert!(close(table.person_time(1e6), f64::from(all), 1e-12));
    }

    #[test]
    fn without_censoring_survival_is_empirical(times in vec(1..30u32, 1..60)) {
        let patients: Vec<Patient> = times.iter().map(|time| (*time, Some(1))).collect();
        let survival = kaplan_meier(&table(&patients));
        for (time, found) in survival.times.iter().zip(&survival.values) {
            let later = times.iter().filter(|own| f64::from(**own) > *time).count();
            prop_assert!(close(found.value, later as f64 / times.len() as f64, 1e-12));
        }
        let horizon = 20.0;
        let mean = times.iter().map(|time| f64::from(*time).min(horizon)).sum::<f64>();
        let found = estimate(&table(&patients), Quantity::MeanSurvival { horizon });
        prop_assert!(close(found.value, mean / times.len() as f64, 1e-12));
    }

    #[test]
    fn incidences_and_survival_share_out_one(patients in patients()) {
        let table = table(&patients);
        let survival = kaplan_meier(&table);
        let incidences = [0, 1].map(|cause| cumulative_incidence(&table, cause));
        for time in 0..32 {
            let time = f64::from(time);
            let sum = survival.at(time).value
                + incidences.iter().map(|curve| curve.at(time).value).sum::<f64>();
            prop_assert!(close(sum, 1.0, 1e-12), "{sum}");
        }
        let area = |quantity| estimate(&table, quantity).value;
        let horizon = 17.5;
        let lost: f64 = (0..2).map(|cause| area(Quantity::MeanLost { cause, horizon })).sum();
        let free = area(Quantity::MeanSurvival { horizon });
        prop_assert!(close(free + lost, horizon, 1e-12));
    }

    /// The gradient gives the curves' own values and variances.
    #[test]
    fn quantities_at_a_time_are_the_curves(patients in patients(), time in 0..32u32) {
        let table = table(&patients);
        let time = f64::from(time);
        let found = estimate(&table, Quantity::Survival { time });
        prop_assert!(same(found, kaplan_meier(&table).at(time)), "{found:?}");
        for cause in 0..2 {
            let found = estimate(&table, Quantity::Incidence { cause, time });
            prop_assert!(same(found, cumulative_incidence(&table, cause).at(time)), "{found:?}");
        }
    }

    /// Beside a life in which nothing happens, a difference is the quantity itself.
    #[test]
    fn a_difference_from_certainty_has_the_variance_of_one_arm(
        patients in patients(), time in 1..30u32
    ) {
        let (time, horizon) = (f64::from(time), f64::from(time));
        let pairs: Vec<_> = patients
            .iter()
            .map(|(exit, cause)| [(1e9, None), (f64::from(*exit), *cause)])
            .collect();
        let table = table(&patients);
        for (quantity, certain) in [
            (Quantity::Survival { time }, 1.0),
            (Quantity::Incidence { cause: 1, time }, 0.0),
            (Quantity::MeanSurvival { horizon }, horizon),
            (Quantity::MeanLost { cause: 0, horizon }, 0.0),
        ] {
            let alone = estimate(&table, quantity);
            let found = paired_difference(2, &pairs, quantity);
            prop_assert!(close(found.value, alone.value - certain, 1e-9));
            prop_assert!(close(found.standard_error, alone.standard_error, 1e-7), "{quantity:?}");
        }
    }

    #[test]
    fn two_equal_lives_do_not_differ(patients in patients()) {
        let twice = |patient: &Patient| [(f64::from(patient.0), patient.1); 2];
        let pairs: Vec<_> = patients.iter().map(twice).collect();
        let found = paired_difference(2, &pairs, Quantity::MeanSurvival { horizon: 12.0 });
        prop_assert_eq!((found.value, found.standard_error), (0.0, 0.0));
    }

    #[test]
    fn the_median_halves_survival(patients in patients()) {
        let survival = kaplan_meier(&table(&patients));
        let median = survival_quantile(&survival, 0.5, CRITICAL_95).time;
        if median.is_nan() {
            prop_assert!(last(&survival) > 0.5);
        } else {
            prop_assert!(survival.at(median).value <= 0.5 + 1e-9);
            prop_assert!(survival.at(median - 0.4).value >= 0.5 - 1e-9);
        }
    }

    #[test]
    fn intervals_hold_their_estimate(patients in patients()) {
        let table = table(&patients);
        for found in kaplan_meier(&table).values {
            let (lower, upper) = found.log_log_interval(CRITICAL_95);
            if found.value > 0.0 && found.value < 1.0 {
                prop_assert!(0.0 <= lower && lower <= found.value && found.value <= upper);
                prop_assert!(upper <= 1.0);
            } else {
                prop_assert!(lower.is_nan() && upper.is_nan());
            }
        }
        for found in interval_hazards(&table, 0, &[0.0, 10.0, 20.0, 40.0]) {
            if found.person_time > 0.0 {
                prop_assert!(found.interval.0 <= found.rate.value);
                prop_assert!(found.rate.value < found.interval.1);
            }
        }
    }

    /// Tests do not depend on which group is called the first.
    #[test]
    fn tests_do_not_depend_on_the_order_of_groups(
        first in patients(), second in patients(), third in patients()
    ) {
        let tables = [table(&first), table(&second), table(&third)];
        let order = |order: [usize; 3]| vec![order.map(|group| tables[group].clone()).to_vec()];
        let (one, other) = (order([0, 1, 2]), order([2, 0, 1]));
        for weights in [Weights::EQUAL, Weights { rho: 1.0, gamma: 0.5 }] {
            let (one, other) = (log_rank(&one, weights), log_rank(&other, weights));
            prop_assert!(equal_tests(&one, &other), "{one:?} {other:?}");
            prop_assert!(close(one.scores.iter().sum(), 0.0, 1e-9));
        }
        let (one, other) = (gray(&one, 0, 0.0), gray(&other, 0, 0.0));
        prop_assert!(equal_tests(&one, &other), "{one:?} {other:?}");
    }

    #[test]
    fn swapped_groups_have_the_inverse_ratio(first in patients(), second in patients()) {
        let tables = [table(&first), table(&second)];
        let swapped = [table(&second), table(&first)];
        for ties in [Ties::Efron, Ties::Breslow] {
            let ratio = |tables: &[RiskTable; 2]| cox(std::slice::from_ref(tables), ties);
            prop_assert!(inverse(&ratio(&tables), &ratio(&swapped)));
        }
        prop_assert!(inverse(&fine_gray(&tables, 1), &fine_gray(&swapped, 1)));
    }

    #[test]
    fn the_score_test_of_a_ratio_is_the_log_rank_test(groups in without_ties()) {
        let tables = groups.map(|group| table(&group));
        let test = log_rank(&[tables.to_vec()], Weights::EQUAL);
        prop_assume!(test.degrees_of_freedom == 1);
        for ties in [Ties::Efron, Ties::Breslow] {
            let ratio = cox(std::slice::from_ref(&tables), ties);
            prop_assert!(close(ratio.score_statistic, test.statistic, 1e-9));
        }
    }

    /// Without competing events and censoring the two ratios are one, Breslow's.
    #[test]
    fn where_nothing_competes_both_ratios_are_one(first in patients(), second in patients()) {
        let alone = |patients: &[Patient]| {
            let exits = patients.iter().map(|(time, cause)| (f64::from(*time), cause.map(|_| 0)));
            RiskTable::from_patients(1, exits)
        };
        let tables = [alone(&first), alone(&second)];
        let cox = cox(std::slice::from_ref(&tables), Ties::Breslow).log_ratio.value;
        let fine_gray = fine_gray(&tables, 0).log_ratio.value;
        prop_assert!(alike(cox, fine_gray, 1e-9));
    }

    /// A stratum twice is twice the information about the same ratio.
    #[test]
    fn strata_add_up(first in patients(), second in patients()) {
        let tables = [table(&first), table(&second)];
        let once = cox(std::slice::from_ref(&tables), Ties::Efron);
        let twice = cox(&[tables.clone(), tables.clone()], Ties::Efron);
        prop_assume!(once.log_ratio.value.is_finite());
        prop_assert!(close(once.log_ratio.value, twice.log_ratio.value, 1e-9));
        let errors = (once.log_ratio.standard_error, twice.log_ratio.standard_error);
        prop_assert!(close(errors.0, errors.1 * 2f64.sqrt(), 1e-7));
        let test = |strata: usize| gray(&vec![tables.to_vec(); strata], 0, 0.0).statistic;
        prop_assert!(close(2.0 * test(1), test(2), 1e-7));
    }

    #[test]
    fn causes_taken_apart_keep_their_patients(patients in patients()) {
        let table = table(&patients);
        let events = |table: &RiskTable| table.rows().map(|row| row.all_events()).sum::<u64>();
        let apart = [0, 1].map(|cause| table.cause_specific(cause));
        prop_assert_eq!(events(&apart[0]) + events(&apart[1]), events(&table.any_cause()));
        for part in &apart {
            let gone: u64 = part.rows().map(|row| row.all_events() + row.censored).sum();
            prop_assert_eq!(gone, patients.len() as u64);
        }
    }

    #[test]
    fn holm_is_between_the_value_and_bonferroni(p_values in vec(0.0..1.0f64, 1..20)) {
        let count = p_values.len() as f64;
        for (adjusted, p_value) in holm(&p_values).iter().zip(&p_values) {
            prop_assert!(p_value <= adjusted && *adjusted <= (p_value * count).min(1.0) + 1e-15);
        }
    }

    #[test]
    fn quantiles_invert_tails(x in -4.0..8.0f64) {
        prop_assert!(close(normal_upper_quantile(normal_tail(x)), x, 1e-10));
    }
}

/// All die on the same day in both groups: nothing to compare.
#[test]
fn what_cannot_be_compared_is_unknown() {
    let together = table(&[(3, Some(0)), (3, Some(0))]);
    let test = log_rank(&[vec![together.clone(), together.clone()]], Weights::EQUAL);
    assert_eq!(test.degrees_of_freedom, 0);
    assert!(test.p_value.is_nan());
    let nobody = table(&[]);
    let test = gray(&[vec![together.clone(), nobody.clone()]], 0, 0.0);
    assert!(test.p_value.is_nan());
    let ratio = cox(&[[together.clone(), nobody.clone()]], Ties::Efron);
    assert!(ratio.ratio.is_nan() && ratio.interval.0.is_nan());
    let found = estimate(&nobody, Quantity::MeanSurvival { horizon: 1.0 });
    assert!(found.value.is_nan() && found.standard_error.is_nan());
    assert!(kaplan_meier(&nobody).at(1.0).value.is_nan());
    let median = survival_quantile(&kaplan_meier(&nobody), 0.5, CRITICAL_95);
    assert!(median.time.is_nan() && median.interval.1.is_nan());
    let difference = paired_difference(1, &[], Quantity::Survival { time: 1.0 });
    assert!(difference.value.is_nan());
    assert!(
        interval_hazards(&nobody, 0, &[0.0, 1.0])[0]
            .rate
            .value
            .is_nan()
    );
    assert!(holm(&[f64::NAN, 0.02])[0].is_nan() && close(holm(&[f64::NAN, 0.02])[1], 0.02, 1e-15));
    assert!(chi_squared_tail(1.0, 0).is_nan() && normal_upper_quantile(1.5).is_nan());
}

#[test]
fn a_group_without_events_has_an_infinite_ratio() {
    let events = table(&[(2, Some(0)), (5, Some(0)), (9, None)]);
    let none = table(&[(4, None), (7, None), (9, None)]);
    let second_over_first = |groups: [&RiskTable; 2]| groups.map(RiskTable::clone);
    let found = cox(&[second_over_first([&none, &events])], Ties::Efron);
    assert_eq!(found.ratio, f64::INFINITY);
    let found = cox(&[second_over_first([&events, &none])], Ties::Breslow);
    assert_eq!(found.ratio, 0.0);
    let found = fine_gray(&second_over_first([&events, &none]), 0);
    assert_eq!(found.ratio, 0.0);
    assert!(found.log_ratio.standard_error.is_nan() && found.score_statistic > 0.0);
}

/// Events at a constant hazard look constant, at the ends too.
#[test]
fn a_constant_hazard_is_seen_as_one() {
    // The n-th of 4000 leaves at the quantile of an exponential time with mean 10.
    let quantile = |n: u32| -10.0 * core_math::log(1.0 - (f64::from(n) + 0.5) / 4000.0);
    let table = RiskTable::from_patients(1, (0..4000).map(|n| (quantile(n), Some(0))));
    let times = [0.0, 1.0, 2.0, 5.0, 8.0, 9.5, 10.0];
    for found in smooth_hazard(&table, 0, 3.0, 10.0, &times) {
        assert!((found.rate.value - 0.1).abs() < 2e-3, "{found:?}");
        assert!(
            found.interval.0 < 0.1 && 0.1 < found.interval.1,
            "{found:?}"
        );
    }
}

/// Survival stays at one half from the second of four events to the third.
#[test]
fn a_median_within_a_stay_is_its_middle() {
    let survival = kaplan_meier(&table(&[
        (1, Some(0)),
        (2, Some(0)),
        (4, Some(0)),
        (9, Some(0)),
    ]));
    assert_eq!(survival_quantile(&survival, 0.5, CRITICAL_95).time, 3.0);
    let to_the_end = kaplan_meier(&table(&[(1, Some(0)), (4, None)]));
    assert_eq!(survival_quantile(&to_the_end, 0.5, CRITICAL_95).time, 1.0);
}

#[test]
fn intervals_on_a_logarithmic_scale_are_factors() {
    let found = Estimate {
        value: 2.0,
        standard_error: 0.5,
    }
    .log_interval(2.0);
    let factor = core_math::exp(0.5);
    assert!(close(found.0, 2.0 / factor, 1e-12) && close(found.1, 2.0 * factor, 1e-12));
}

#[test]
fn errors_of_different_patients_add_as_squares() {
    let [one, other] = [(0.5, 0.3), (0.2, 0.4)].map(|(value, standard_error)| Estimate {
        value,
        standard_error,
    });
    let found = one.less_independent(other);
    assert!(close(found.value, 0.3, 1e-12) && close(found.standard_error, 0.5, 1e-12));
}

/// At the limits the count is as many standard deviations of Poisson's law away.
#[test]
fn limits_of_a_hazard_are_those_of_the_score_test() {
    let table = table(&[(2, Some(0)), (3, Some(0)), (5, None), (7, Some(0))]);
    let found = interval_hazards(&table, 0, &[0.0, 10.0])[0];
    assert!(close(found.person_time, 17.0, 1e-12));
    for limit in [found.interval.0, found.interval.1] {
        let expected = limit * found.person_time;
        assert!(close(
            (3.0 - expected).abs(),
            CRITICAL_95 * expected.sqrt(),
            1e-9
        ));
    }
}

/// Two bins of two months: an event leaves in the middle of its bin, a drop-out at its end.
#[test]
fn people_leave_bins_in_the_middle_or_at_the_end() {
    let table = RiskTable::from_bins(&[0.0, 2.0, 4.0], 5, &[[1, 0]], &[1, 3]);
    let times: Vec<(f64, f64)> = table.rows().map(|row| (row.time, row.end)).collect();
    assert_eq!(times, [(1.0, 2.0), (3.0, 4.0)]);
    assert!(close(table.person_time(4.0), 1.0 + 2.0 + 3.0 * 4.0, 1e-12));
    assert!(close(table.person_time(1.5), 1.0 + 4.0 * 1.5, 1e-12));
}

/// One event out of ten at risk: far from it there is none, and so no interval.
#[test]
fn a_smooth_hazard_without_events_near_has_no_interval() {
    let exits = (0..10).map(|n| (f64::from(n) + 10.0, (n == 0).then_some(0)));
    let table = RiskTable::from_patients(1, exits);
    let at = |time| smooth_hazard(&table, 0, 4.0, 20.0, &[time])[0];
    assert_eq!(at(15.0).rate.value, 0.0);
    assert!(at(15.0).interval.0.is_nan() && at(15.0).interval.1.is_nan());
    assert!(close(at(10.0).rate.value, 0.75 / 4.0 / 10.0, 1e-12));
    assert!(at(10.0).interval.0 > 0.0);
}

#[test]
fn simultaneous_intervals_are_wider() {
    let one = bonferroni_critical(0.95, 1);
    assert!(close(one, CRITICAL_95, 1e-12) && close(one, sidak_critical(0.95, 1), 1e-12));
    // Twelve comparisons: 1 − 0.05/24 and (1 + 0.95^(1/12))/2.
    assert!(close(
        normal_tail(bonferroni_critical(0.95, 12)),
        0.05 / 24.0,
        1e-12
    ));
    let root = core_math::pow(0.95, 1.0 / 12.0);
    assert!(close(
        1.0 - 2.0 * normal_tail(sidak_critical(0.95, 12)),
        root,
        1e-12
    ));
    assert!(sidak_critical(0.95, 12) < bonferroni_critical(0.95, 12));
}
