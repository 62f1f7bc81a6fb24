//! Our estimates under the names of the reference scripts.

use std::collections::BTreeMap;

use reseed_stats::curve::{
    Quantity, cumulative_incidence, estimate, kaplan_meier, paired_difference, survival_quantile,
};
use reseed_stats::distribution::{
    CRITICAL_95, chi_squared_tail, normal_tail, normal_upper_quantile,
};
use reseed_stats::hazard::{interval_hazards, smooth_hazard};
use reseed_stats::multiplicity::holm;
use reseed_stats::rank::{gray, log_rank};
use reseed_stats::ratio::{cox, fine_gray};
use reseed_stats::share::Share;
use reseed_stats::{Coupled, Estimate, GroupTest, HazardRatio, RiskTable, Ties, Weights};

use super::programs::{Record, Records};

/// Numbers by name.
pub(crate) type Found = BTreeMap<String, Vec<f64>>;

/// What `reference.R` finds in groups.
pub(crate) fn of_groups(records: &Records, grid: &[f64]) -> Found {
    let mut found = Found::from([("grid".to_owned(), grid.to_vec())]);
    let groups = 1 + records.0.iter().map(|r| r.group).max().unwrap();
    let causes = if records.0.iter().any(|r| r.lives[0].1 == 2) {
        2
    } else {
        1
    };
    for group in 0..groups {
        let table = table(records, |r| r.group == group);
        one_group(&mut found, &format!("group{group}"), &table, grid, causes);
    }
    let whole = strata(records, groups, false);
    let divided = strata(records, groups, true);
    let rho = |rho| Weights { rho, gamma: 0.0 };
    put_log_rank(&mut found, "logrank", &log_rank(&whole, rho(0.0)));
    put_log_rank(
        &mut found,
        "logrank.stratified",
        &log_rank(&divided, rho(0.0)),
    );
    put_log_rank(&mut found, "logrank.rho1", &log_rank(&whole, rho(1.0)));
    for cause in 0..causes {
        let name = format!("gray.cause{}", cause + 1);
        let mut put = |suffix: &str, test: &GroupTest| {
            let values = vec![test.statistic, test.degrees_of_freedom as f64, test.p_value];
            found.insert(format!("{name}{suffix}"), values);
        };
        put("", &gray(&whole, cause, 0.0));
        put(".stratified", &gray(&divided, cause, 0.0));
        put(".rho1", &gray(&whole, cause, 1.0));
    }
    for (name, ties) in [("cox.efron", Ties::Efron), ("cox.breslow", Ties::Breslow)] {
        for (suffix, strata) in [("", &whole), (".stratified", &divided)] {
            let ratio = cox(&first_two(strata), ties);
            let mut values = both(ratio.log_ratio);
            values.push(ratio.score_statistic);
            found.insert(format!("{name}{suffix}"), values);
            let HazardRatio {
                ratio, interval, ..
            } = ratio;
            let values = vec![ratio, interval.0, interval.1];
            found.insert(format!("{name}{suffix}.interval"), values);
        }
    }
    for cause in 0..causes {
        let ratio = fine_gray(&first_two(&whole)[0], cause);
        found.insert(
            format!("fine_gray.cause{}", cause + 1),
            both(ratio.log_ratio),
        );
    }
    found
}

fn one_group(found: &mut Found, name: &str, table: &RiskTable, grid: &[f64], causes: usize) {
    let horizon = grid[4];
    let mut put = |suffix: &str, values: Vec<f64>| {
        found.insert(format!("{name}.{suffix}"), values);
    };
    let survival = kaplan_meier(table);
    let at_grid: Vec<Estimate> = grid.iter().map(|time| survival.at(*time)).collect();
    let limits = at_grid.iter().map(|e| e.log_log_interval(CRITICAL_95));
    let (lower, upper) = limits.unzip();
    put("survival", at_grid.iter().map(|e| e.value).collect());
    put(
        "survival.error",
        at_grid.iter().map(|e| e.standard_error).collect(),
    );
    put("survival.lower", lower);
    put("survival.upper", upper);
    let median = survival_quantile(&survival, 0.5, CRITICAL_95);
    put(
        "median",
        vec![median.time, median.interval.0, median.interval.1],
    );
    put(
        "mean",
        both(estimate(table, Quantity::MeanSurvival { horizon })),
    );
    for cause in 0..causes {
        let curve = cumulative_incidence(table, cause);
        let at_grid: Vec<Estimate> = grid.iter().map(|time| curve.at(*time)).collect();
        let name = format!("cause{}", cause + 1);
        let values: Vec<f64> = at_grid.iter().map(|e| e.value).collect();
        if cause == 0 {
            put("cuminc", values.clone());
        }
        put(&format!("{name}.incidence"), values);
        let errors = at_grid.iter().map(|e| e.standard_error).collect();
        put(&format!("{name}.incidence.error"), errors);
        let lost = estimate(table, Quantity::MeanLost { cause, horizon });
        put(&format!("{name}.lost"), both(lost));
    }
    let hazards = interval_hazards(table, 0, &[grid[0], grid[2], grid[4]]);
    for (number, hazard) in hazards.iter().enumerate() {
        let values = vec![hazard.events as f64, hazard.person_time, hazard.rate.value];
        put(&format!("hazard{}", number + 1), values);
    }
    let bandwidth = horizon / 3.0;
    // The right boundary is out of sight of these times.
    let times = [0.0, 0.5, 1.5].map(|widths| widths * bandwidth);
    let smooth = smooth_hazard(table, 0, bandwidth, horizon, &times);
    put(
        "smooth",
        smooth.iter().flat_map(|hazard| both(hazard.rate)).collect(),
    );
}

fn put_log_rank(found: &mut Found, name: &str, test: &GroupTest) {
    let values = vec![test.statistic, test.degrees_of_freedom as f64];
    found.insert(name.to_owned(), values);
    found.insert(format!("{name}.scores"), test.scores.clone());
    found.insert(format!("{name}.covariance"), test.covariance.concat());
}

/// What `reference.py` finds in two groups.
pub(crate) fn two_groups(records: &Records, grid: &[f64]) -> Found {
    let mut found = Found::from([("grid".to_owned(), grid.to_vec())]);
    for group in 0..2 {
        let mut own = Found::new();
        let name = format!("group{group}");
        one_group(
            &mut own,
            &name,
            &table(records, |r| r.group == group),
            grid,
            1,
        );
        for suffix in ["survival", "survival.lower", "survival.upper", "mean"] {
            let name = format!("{name}.{suffix}");
            let mut values = own.remove(&name).unwrap();
            if suffix == "mean" {
                values.truncate(1);
            }
            found.insert(name, values);
        }
    }
    let whole = strata(records, 2, false);
    for (rho, gamma) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 2.0)] {
        let test = log_rank(&whole, Weights { rho, gamma });
        let values = vec![test.statistic, test.p_value];
        found.insert(format!("two.logrank.rho{rho}.gamma{gamma}"), values);
    }
    for (name, divided) in [("cox.efron", false), ("cox.efron.stratified", true)] {
        let ratio = cox(&first_two(&strata(records, 2, divided)), Ties::Efron);
        found.insert(name.to_owned(), both(ratio.log_ratio));
    }
    found
}

/// What `reference.R` finds in pairs, and its distributions.
pub(crate) fn of_pairs(records: &Records, grid: &[f64]) -> Found {
    let mut found = Found::from([("grid".to_owned(), grid.to_vec())]);
    let pairs: Vec<_> = records
        .0
        .iter()
        .map(|record| [exit(record, 0), exit(record, 1)])
        .collect();
    let (time, horizon) = (grid[3], grid[4]);
    let mut put = |name: &str, quantity| {
        found.insert(
            format!("difference.{name}"),
            both(paired_difference(2, &pairs, quantity)),
        );
    };
    put("state1", Quantity::Survival { time });
    put("area1", Quantity::MeanSurvival { horizon });
    for cause in 0..2 {
        put(
            &format!("state{}", cause + 2),
            Quantity::Incidence { cause, time },
        );
        put(
            &format!("area{}", cause + 2),
            Quantity::MeanLost { cause, horizon },
        );
    }
    for (suffix, tied) in [("", false), (".tied", true)] {
        let time = |time: f64| if tied { time.ceil() } else { time };
        let pairs: Vec<_> = pairs
            .iter()
            .map(|pair| pair.map(|exit| (time(exit.0), exit.1)))
            .collect();
        let coupled = Coupled::of_patients(&pairs);
        let score = coupled.log_rank(Weights::EQUAL).score;
        let squared = score.value * score.value / (score.standard_error * score.standard_error);
        found.insert(format!("paired.logrank{suffix}"), vec![squared]);
        let ratio = both(coupled.cox().log_ratio);
        found.insert(format!("paired.cox{suffix}"), ratio);
    }
    distributions(&mut found);
    found
}

fn distributions(found: &mut Found) {
    let mut put = |name: &str, values: Vec<f64>| found.insert(name.to_owned(), values);
    let probabilities = [1e-12, 1e-5, 0.005, 0.025, 0.2, 0.5, 0.9, 0.999];
    put(
        "normal_upper_quantile",
        probabilities.map(normal_upper_quantile).to_vec(),
    );
    put(
        "normal_tail",
        [-3.0, -1.0, 0.0, 0.5, 2.0, 5.0, 10.0]
            .map(normal_tail)
            .to_vec(),
    );
    for degrees in [1, 2, 3, 4, 5, 10] {
        let tails = [0.0, 0.1, 1.0, 5.0, 20.0, 100.0].map(|x| chi_squared_tail(x, degrees));
        put(&format!("chi_squared_tail{degrees}"), tails.to_vec());
    }
    put("holm", holm(&[0.01, 0.04, 0.03, 0.005, 0.6, 0.03]));
    for part in [0, 3, 17, 40] {
        let (lower, upper) = Share::new(part, 40).interval;
        put(&format!("share{part}"), vec![lower, upper]);
    }
}

fn both(estimate: Estimate) -> Vec<f64> {
    vec![estimate.value, estimate.standard_error]
}

fn exit(record: &Record, life: usize) -> (f64, Option<usize>) {
    let (time, status) = record.lives[life];
    (time, status.checked_sub(1))
}

fn table(records: &Records, belongs: impl Fn(&Record) -> bool) -> RiskTable {
    let own = records.0.iter().filter(|record| belongs(record));
    RiskTable::from_patients(2, own.map(|record| exit(record, 0)))
}

fn strata(records: &Records, groups: usize, divided: bool) -> Vec<Vec<RiskTable>> {
    let strata = 1 + records.0.iter().map(|r| r.stratum).max().unwrap();
    let own = |stratum: usize, record: &Record| !divided || record.stratum == stratum;
    (0..if divided { strata } else { 1 })
        .map(|stratum| {
            (0..groups)
                .map(|group| table(records, |r| own(stratum, r) && r.group == group))
                .collect()
        })
        .collect()
}

fn first_two(strata: &[Vec<RiskTable>]) -> Vec<[RiskTable; 2]> {
    let pair = |groups: &Vec<RiskTable>| [groups[0].clone(), groups[1].clone()];
    strata.iter().map(pair).collect()
}
