//! Oracle: superposition of doses against a solver of the compartments' differential equations,
//! and detection times under a drug that slows growth against a solver of the growth equation.

use reseed_model::pharmacokinetics::{Kinetics, Variation};
use reseed_model::scenario::{
    Action, Amount, DoseBlock, Dosed, Drug, Effect, GENES, Gene, Peripheral, Route, Scenario,
    Varying,
};
use reseed_model::trace::{Site, TraceEvent};
use reseed_model::{PatientIndex, Simulator};
use reseed_tests::reference::ode::{DrugInPatient, integrate};
use reseed_tests::scenarios::{arm, quiet};

const WEIGHT_KG: f64 = 81.0;
const TOLERANCE: f64 = 1e-12;

const fn fixed(median: f64) -> Varying {
    Varying { median, cv: 0.0 }
}

fn blocks() -> Vec<DoseBlock> {
    vec![
        DoseBlock {
            first_day: -15.0,
            interval_days: 7.0,
            doses: 5,
            amount: Amount::MilligramsPerKilogram(4.0),
        },
        // Overlaps the first block, off its rhythm.
        DoseBlock {
            first_day: 10.5,
            interval_days: 2.5,
            doses: 9,
            amount: Amount::Milligrams(90.0),
        },
        DoseBlock {
            first_day: 70.0,
            interval_days: 1.0,
            doses: 1,
            amount: Amount::Milligrams(500.0),
        },
    ]
}

fn drug(route: Route, clearance: f64, peripheral: Option<(f64, f64)>) -> Dosed {
    Dosed {
        schedule: blocks(),
        route,
        clearance_l_per_day: fixed(clearance),
        central_l: fixed(3.7),
        peripheral: peripheral.map(|(volume, exchange)| Peripheral {
            volume_l: fixed(volume),
            exchange_l_per_day: fixed(exchange),
        }),
        tissue_fraction: 1.0,
        effects: [None; GENES],
    }
}

/// Compares on days before, between and at doses, in infusions, and long after.
fn check(label: &str, dosed: &Dosed, variation: &Variation) {
    let absorption_per_day = match dosed.route {
        Route::Absorption { rate_per_day, .. } => spread(rate_per_day, variation.absorption),
        Route::Bolus | Route::Infusion { .. } => 0.0,
    };
    let reference = DrugInPatient {
        dosed,
        weight_kg: WEIGHT_KG,
        clearance_l_per_day: spread(dosed.clearance_l_per_day, variation.clearance),
        central_l: spread(dosed.central_l, variation.central),
        peripheral: dosed.peripheral.map(|peripheral| {
            (
                spread(peripheral.volume_l, variation.peripheral),
                spread(peripheral.exchange_l_per_day, variation.exchange),
            )
        }),
        absorption_per_day,
    };
    let days: Vec<f64> = (0..480)
        .map(|i| -16.0 + 0.25 * f64::from(i) + 0.013 * f64::from(i % 5))
        .collect();
    let exact = reference.concentrations(&days, TOLERANCE);
    let kinetics = Kinetics::new(dosed, variation, WEIGHT_KG);
    let peak = exact.iter().copied().fold(0.0, f64::max);
    assert!(peak > 1.0, "{label}: nothing to compare");
    for (&day, &exact) in days.iter().zip(&exact) {
        let found = kinetics.concentration_mg_per_l(day);
        // Traces below a billionth of the peak have lost their digits in the solver.
        let allowed = 1e-6 * exact.max(1e-9 * peak);
        assert!(
            (found - exact).abs() <= allowed,
            "{label}: {found} instead of {exact} mg/L on day {day}"
        );
    }
}

/// Log-normal with the given median and coefficient of variation, at a standard normal.
fn spread(quantity: Varying, z: f64) -> f64 {
    quantity.median * (z * (1.0 + quantity.cv * quantity.cv).ln().sqrt()).exp()
}

#[test]
fn superposition_agrees_with_the_compartments() {
    let routes = [
        ("bolus", Route::Bolus),
        ("infusion", Route::Infusion { days: 0.7 }),
        // As long as the shorter interval: one infusion begins as another ends.
        ("long infusion", Route::Infusion { days: 2.5 }),
        ("absorption", absorption(1.3)),
        ("flip-flop", absorption(0.02)),
    ];
    for (name, route) in routes {
        for (compartments, peripheral) in [(1, None), (2, Some((2.9, 0.6)))] {
            for clearance in [0.3, 4.0] {
                let label = format!("{name}, {compartments} compartments, clearance {clearance}");
                check(
                    &label,
                    &drug(route, clearance, peripheral),
                    &Variation::default(),
                );
            }
        }
    }
}

fn absorption(rate: f64) -> Route {
    Route::Absorption {
        rate_per_day: fixed(rate),
        bioavailability: 0.8,
    }
}

#[test]
fn superposition_survives_nearly_equal_rates() {
    // One compartment: elimination at 0.3/3.7; the closed form divides by k_a − k.
    let elimination = 0.3 / 3.7;
    for closeness in [0.0, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3, -1e-9, -1e-5] {
        let route = absorption(elimination * (1.0 + closeness));
        check(
            &format!("one, closeness {closeness}"),
            &drug(route, 0.3, None),
            &Variation::default(),
        );
    }
    // Two compartments: both eigenvalues in turn.
    let (outward, inward) = (0.6 / 3.7, 0.6 / 2.9);
    let sum: f64 = elimination + outward + inward;
    let root = (sum * sum - 4.0 * elimination * inward).sqrt();
    for eigenvalue in [f64::midpoint(sum, root), f64::midpoint(sum, -root)] {
        for closeness in [0.0, 1e-12, 1e-9, 1e-6, 1e-3, -1e-9] {
            let route = absorption(eigenvalue * (1.0 + closeness));
            let label = format!("two, eigenvalue {eigenvalue}, closeness {closeness}");
            check(
                &label,
                &drug(route, 0.3, Some((2.9, 0.6))),
                &Variation::default(),
            );
        }
    }
}

#[test]
fn superposition_follows_between_patient_variability() {
    let varied = |median| Varying { median, cv: 0.5 };
    let mut dosed = drug(absorption(0.5), 0.3, Some((2.9, 0.6)));
    dosed.clearance_l_per_day = varied(0.3);
    dosed.central_l = varied(3.7);
    dosed.peripheral = Some(Peripheral {
        volume_l: varied(2.9),
        exchange_l_per_day: varied(0.6),
    });
    dosed.route = Route::Absorption {
        rate_per_day: varied(0.5),
        bioavailability: 0.8,
    };
    let variation = Variation {
        clearance: 0.7,
        central: -1.1,
        peripheral: 0.4,
        exchange: 1.6,
        absorption: -0.8,
    };
    check("varied", &dosed, &variation);
}

/// A dosed blocker of CXCL1 without variability, and boosted colonies that the burst leaves.
fn slowed(route: Route, hill: f64, schedule: Vec<DoseBlock>) -> Scenario {
    let mut scenario = quiet();
    let mut dosed = drug(route, 0.4, Some((2.9, 0.6)));
    dosed.schedule = schedule;
    dosed.tissue_fraction = 0.2;
    dosed.effects[Gene::Cxcl1.index()] = Some(Effect {
        imax: 0.97,
        ic50_mg_per_l: 2.0,
        hill,
    });
    scenario.drugs = vec![Drug {
        name: "blocker".to_owned(),
        action: Action::Dosed(Box::new(dosed)),
    }];
    scenario.arms = vec![arm("control", false, &[]), arm("blocker", false, &[0])];
    scenario.population.weight_median_kg = WEIGHT_KG;
    scenario.growth.cxcl1_boost = 1.5;
    scenario.local_treatment.burst_fold = 20.0;
    scenario.local_treatment.burst_days = 4.0;
    scenario.shedding.home_probability = 1e-7;
    scenario
}

/// Detection of a boosted colony in the treated arm, by integrating its clock: days from
/// resection, given when it began to grow and when it is detected without therapy.
fn slowed_detection(scenario: &Scenario, awake: f64, untreated: f64) -> f64 {
    let Action::Dosed(dosed) = &scenario.drugs[0].action else {
        unreachable!("the drug is dosed")
    };
    let peripheral = dosed.peripheral.expect("two compartments");
    let absorption_per_day = match dosed.route {
        Route::Absorption { rate_per_day, .. } => rate_per_day.median,
        Route::Bolus | Route::Infusion { .. } => 0.0,
    };
    let in_patient = DrugInPatient {
        dosed,
        weight_kg: WEIGHT_KG,
        clearance_l_per_day: dosed.clearance_l_per_day.median,
        central_l: dosed.central_l.median,
        peripheral: Some((
            peripheral.volume_l.median,
            peripheral.exchange_l_per_day.median,
        )),
        absorption_per_day,
    };
    let effect = dosed.effects[Gene::Cxcl1.index()].expect("an effect");
    let boost = scenario.growth.cxcl1_boost;
    // Without therapy the clock runs at 1 + η, so the distance to detection is known.
    let needed = (1.0 + boost) * (untreated - awake);
    // Cells of a grid on which every dose falls, so that the inhibition is smooth in each.
    let width = 0.02;
    let first = (awake / width).floor();
    let cells: Vec<(f64, f64)> = (0..40_000_u32)
        .map(|i| width * (first + f64::from(i)))
        .map(|from| (from.max(awake), from + width))
        .collect();
    let middles: Vec<f64> = cells
        .iter()
        .map(|&(from, to)| f64::midpoint(from, to))
        .collect();
    let mut clock = 0.0;
    let concentrations = in_patient.concentrations(&middles, 1e-8);
    for (&(from, to), concentration) in cells.iter().zip(&concentrations) {
        let raised = (dosed.tissue_fraction * concentration).powf(effect.hill);
        let inhibition = effect.imax * raised / (effect.ic50_mg_per_l.powf(effect.hill) + raised);
        let rate = 1.0 + boost * (1.0 - inhibition);
        if clock + rate * (to - from) >= needed {
            return from + (needed - clock) / rate;
        }
        clock += rate * (to - from);
    }
    unreachable!("colonies are detected within the days computed")
}

fn check_quadrature(scenario: &Scenario) {
    let mut simulator = Simulator::new(scenario, 61);
    let mut compared = 0;
    let mut slowest = 0.0_f64;
    for index in (0..).map(PatientIndex).take(2_000) {
        let treated = simulator.simulate(index).courses.get(1).copied();
        let (_, events) = simulator.trace(index, 1);
        let resected = events.iter().find_map(|event| match event {
            TraceEvent::Resected { time } => Some(*time),
            _ => None,
        });
        let mut scars = events.iter().filter_map(|event| match event {
            TraceEvent::Founded {
                site: Site::Scar,
                awake,
                detected,
                ..
            } => Some((*awake, *detected)),
            _ => None,
        });
        // One scar colony alone: the local recurrence is this one's detection.
        let (Some(course), Some(resected), Some((awake, untreated)), None) =
            (treated, resected, scars.next(), scars.next())
        else {
            continue;
        };
        let exact = slowed_detection(scenario, awake - resected, untreated - resected);
        assert!(
            (course.local_days - exact).abs() < 0.01,
            "patient {index:?}: {} instead of {exact}",
            course.local_days
        );
        slowest = slowest.max(exact - (untreated - resected));
        compared += 1;
        if compared == 25 {
            break;
        }
    }
    assert!(
        compared == 25,
        "only {compared} patients with one scar colony"
    );
    assert!(
        slowest > 5.0,
        "the drug slowed nothing by more than {slowest} days"
    );
}

fn every(first_day: f64, interval_days: f64, doses: u32) -> DoseBlock {
    DoseBlock {
        first_day,
        interval_days,
        doses,
        amount: Amount::MilligramsPerKilogram(5.0),
    }
}

#[test]
fn slowed_colonies_are_detected_on_the_day() {
    check_quadrature(&slowed(Route::Bolus, 1.0, vec![every(0.0, 21.0, 4)]));
    // A steep effect switches on and off within hours.
    check_quadrature(&slowed(
        Route::Infusion { days: 0.5 },
        6.0,
        vec![every(-14.0, 14.0, 3), every(45.0, 10.0, 5)],
    ));
    check_quadrature(&slowed(absorption(0.3), 2.0, vec![every(-7.0, 3.5, 30)]));
}

#[test]
fn reference_concentration_after_one_bolus_is_exponential() {
    // The reference against a closed form nobody doubts.
    let dosed = Dosed {
        schedule: vec![DoseBlock {
            first_day: 1.0,
            interval_days: 1.0,
            doses: 1,
            amount: Amount::Milligrams(100.0),
        }],
        ..drug(Route::Bolus, 0.37, None)
    };
    let reference = DrugInPatient {
        dosed: &dosed,
        weight_kg: WEIGHT_KG,
        clearance_l_per_day: 0.37,
        central_l: 3.7,
        peripheral: None,
        absorption_per_day: 0.0,
    };
    let found = reference.concentrations(&[0.5, 1.0, 11.0], TOLERANCE);
    assert!(found[0].abs() < 1e-300 && (found[1] - 100.0 / 3.7).abs() < 1e-12);
    assert!((found[2] / (100.0 / 3.7 * (-1.0_f64).exp()) - 1.0).abs() < 1e-9);
    let halves = integrate(
        |_, [x]: &[f64; 1]| [-0.1 * x],
        (0.0, 10.0),
        [1.0],
        TOLERANCE,
    );
    assert!((halves[0] - (-1.0_f64).exp()).abs() < 1e-9);
}
