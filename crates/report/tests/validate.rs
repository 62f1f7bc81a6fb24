//! What `reseed validate` says of a result small enough to count by hand.

use reseed_report::{
    Cohort, Group, Outcome, Patients, PointCells, Predicted, ValidateInput, Validation, validate,
};
use reseed_stats::cells::{CellCounts, CellEvent, CellShape, HALF_YEAR_DAYS, Risk};
use reseed_stats::{
    Accumulator, ArmRecord, Cause, ENDPOINTS, Exit, ExitKind, Shape, Tally, quantile,
};

const QUARTERS: u16 = 24;
const PATIENTS: u32 = 1000;

/// Recurrences of a stratum's thousand patients at every point.
const AT_POINTS: [u32; 5] = [250, 50, 150, 100, 200];

/// Number of the first of them.
const FIRST_POINT: u64 = 70;

const TARGETS: &str = "stratum,event,quantity,years,value,lower,upper,source\n\
    nodes 0,distant,,5,0.12,0.08,0.14,here\n\
    nodes 0,distant,incidence,2,0.1,0.05,0.15,here\n\
    all,distant,incidence,5,0.3,0.2,0.4,there\n\
    nodes 0,distant,hazard_peak_years,,2.1,1.5,2.5,here\n\
    nodes 0; nodes 1+,recurrence,hazard_peak_years,,3,2.8,3.5,there\n\
    nodes 0,local,hazard_peak_years,,1,0.5,2,nowhere\n\
    nodes 9,distant,incidence,5,0.3,0.2,0.4,nowhere\n";

/// Of whom nothing is seen, or a distant recurrence in a quarter of a year, from 0.
fn record(distant: Option<u16>) -> ArmRecord {
    let exit = |kind, bin| Exit {
        kind,
        bin,
        ticks: 0,
    };
    let stays = exit(ExitKind::Censored, QUARTERS - 1);
    let (first, exits) = match distant {
        Some(bin) => {
            let event = exit(ExitKind::Event, bin);
            let competes = exit(ExitKind::Competing, bin);
            ((Cause::Distant, bin), [competes, event, event, stays])
        }
        None => ((Cause::Censored, QUARTERS - 1), [stays; ENDPOINTS]),
    };
    ArmRecord {
        first,
        exits,
        origin: None,
    }
}

/// In either stratum 1,000 patients. Of those without nodes 50 recur in each of the two quarters from
/// 2 years on, of the others 100 in each of the four.
fn tally() -> Tally {
    let mut accumulator = Accumulator::new(Shape {
        strata: 2,
        arms: 1,
        control: 0,
        bins: usize::from(QUARTERS),
        reasons: 0,
        histograms: Vec::new(),
    });
    for (stratum, quarters, each) in [(0, 8..10, 50), (1, 8..12, 100)] {
        let events = quarters.flat_map(|bin| vec![Some(bin); each]);
        let events: Vec<Option<u16>> = events.collect();
        let well = vec![None; PATIENTS as usize - events.len()];
        for fate in events.into_iter().chain(well) {
            accumulator.enrol(stratum, &[], &record(fate), []);
        }
    }
    accumulator.finish()
}

/// At every point as many recurrences in either stratum, all at the end of the fifth half-year.
fn points() -> Vec<PointCells> {
    let shape = CellShape {
        arms: 1,
        strata: 2,
        half_years: 12,
    };
    let point = |recurrences: u32| {
        let mut counts = CellCounts::new(shape);
        let end = 12.5 * HALF_YEAR_DAYS;
        for (stratum, patient) in
            (0..2).flat_map(|stratum| (0..PATIENTS).map(move |i| (stratum, i)))
        {
            let left = if patient < recurrences {
                (Some(CellEvent::Distant), 5.0 * HALF_YEAR_DAYS)
            } else {
                (None, end)
            };
            counts.add(0, stratum, Risk::Unrecurred, left);
            counts.add(0, stratum, Risk::Alive, (None, end));
        }
        counts.finish()
    };
    let cells = AT_POINTS.into_iter().map(point);
    let numbered = (FIRST_POINT..).zip(cells);
    numbered
        .map(|(number, cells)| PointCells { number, cells })
        .collect()
}

fn patients() -> Patients {
    let labels = ["nodes 0", "nodes 1+"].map(str::to_owned);
    let predicted = Predicted {
        covariates: &["nodes"],
        stratum: &|values| usize::from(values[0] > 0.0),
        labels: &labels,
        enrolled: &[1000, 1000],
    };
    let mut text = "years,event,nodes\n".to_owned();
    for (years, event, nodes) in [(2.2, "distant", 1), (2.4, "distant", 0), (5.5, "none", 0)] {
        text.push_str(&format!("{years},{event},{nodes}\n").repeat(5));
    }
    Patients::parse("mine.csv", &text, Outcome::Distant, &predicted).expect("patients")
}

fn validated(points: Option<&[PointCells]>, patients: Option<&Patients>) -> Validation {
    let edges_days: Vec<f64> = (0..=QUARTERS).map(|bin| 91.3125 * f64::from(bin)).collect();
    let group = |kind: &str, label: &str, strata: &[usize]| Group {
        kind: kind.into(),
        label: label.into(),
        strata: strata.to_vec(),
    };
    validate(&ValidateInput {
        trial: "small",
        title: "",
        seed: 7,
        digest: "d1",
        tally: &tally(),
        arms: &["control".to_owned()],
        arm: 0,
        strata: &["nodes 0", "nodes 1+"].map(str::to_owned),
        edges_days: &edges_days,
        groups: &[
            group("", "all patients", &[0, 1]),
            group("nodes", "nodes 0", &[0]),
            group("nodes", "nodes 1+", &[1]),
        ],
        points,
        times_days: &[5.0 * 365.25],
        patients,
        targets: Some(&Cohort::parse("targets.csv", TARGETS).expect("targets")),
    })
    .expect("within follow-up")
}

fn close(found: Option<f64>, expected: f64) {
    let found = found.expect("a value");
    assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
}

#[test]
fn peaks_and_incidences_of_a_result_stand_beside_published_ones() {
    let validation = validated(None, None);
    let targets = validation.targets.as_ref().expect("targets");
    let by = |place: usize| &targets.rows[place];
    close(by(0).model, 0.1);
    close(by(1).model, 0.0);
    close(by(2).model, 0.25);
    // Even to both sides of 2.25 years; of all patients together, of about 2.5, moved later by who is
    // not at risk any more.
    close(by(3).model, 2.25);
    assert_eq!(
        (by(3).time_years, by(3).quantity),
        (None, "hazard_peak_years")
    );
    let both = by(4).model.expect("a peak");
    assert!((2.3..2.6).contains(&both), "{both}");
    assert!(by(3).model_lower < Some(2.25) && by(3).model_upper > Some(2.25));
    let inside: Vec<bool> = targets.rows.iter().map(|row| row.inside).collect();
    assert_eq!(inside, [true, false, true, true, false]);
    assert_eq!(targets.compared, 5);
    assert_eq!(
        targets.left_out,
        [
            "local, nodes 0, peak of the hazard",
            "distant, nodes 9, 5 years"
        ]
    );
    assert!(targets.rows.iter().all(|row| row.median.is_none()));
    assert_eq!((validation.points, targets.closest_points.len()), (None, 0));
    insta::assert_snapshot!("text_of_targets", validation.to_text());
}

#[test]
fn over_points_there_are_medians_and_bands_without_noise() {
    let points = points();
    let validation = validated(Some(&points), Some(&patients()));
    let targets = validation.targets.as_ref().expect("targets");
    let row = &targets.rows[0];
    // Everybody is at risk until the end of the half-year in which so many of a thousand recur.
    let share = |events: u32| 1.0 - core_math::exp(-f64::from(events) / f64::from(PATIENTS));
    let mut shares = AT_POINTS.map(share);
    shares.sort_by(f64::total_cmp);
    let mean = shares.iter().sum::<f64>() / 5.0;
    let variance = shares.iter().map(|p| (p - mean) * (p - mean)).sum::<f64>() / 4.0;
    let chance = shares.iter().map(|p| p * (1.0 - p) / 1000.0).sum::<f64>() / 5.0;
    close(row.median, shares[2]);
    close(row.noise_share, chance / variance);
    let kept = (1.0 - chance / variance).sqrt();
    close(
        row.median_lower,
        shares[2] + kept * (quantile(&shares, 0.025) - shares[2]),
    );
    close(
        row.median_upper,
        shares[2] + kept * (quantile(&shares, 0.975) - shares[2]),
    );
    // What is judged is the value of all patients together.
    close(row.model, 0.1);
    // All recur in the half-year from 2 years on.
    close(targets.rows[3].median, 2.25);
    // Patients of a cohort: the same in both strata here, of twice as many patients.
    let time = &validation.cohort.as_ref().expect("patients").times[0];
    close(time.predicted_median, shares[2]);
    let weights = (2.0f64 / 3.0) * (2.0 / 3.0) + (1.0f64 / 3.0) * (1.0 / 3.0);
    let kept = (1.0 - weights * chance / variance).sqrt();
    close(
        time.predicted_upper,
        shares[2] + kept * (quantile(&shares, 0.975) - shares[2]),
    );
    // The first, third and fourth point are inside two intervals, with incidences of 22, 14 and 10 %
    // in each stratum where the cohort has 12 and 30; the third is the nearest.
    let closest: Vec<(u64, usize)> = (targets.closest_points.iter())
        .map(|closest| (closest.point - FIRST_POINT, closest.inside))
        .collect();
    assert_eq!(closest, [(2, 2), (3, 2), (0, 2), (1, 1), (4, 1)]);
    assert_eq!(validation.points, Some(5));
    insta::assert_snapshot!("text_over_points", validation.to_text());
    let json = serde_json::to_string_pretty(&validation).expect("numbers and texts are JSON");
    insta::assert_snapshot!("json_over_points", json);
}

#[test]
fn figures_have_bands_and_what_was_seen() {
    let points = points();
    let validation = validated(Some(&points), Some(&patients()));
    let figures = validation.figures();
    let names: Vec<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
    let expected = [
        "calibration-5-years",
        "curves-all-patients",
        "curves-risk-group-1-of-2",
        "curves-risk-group-2-of-2",
        "calibration-distant",
        "calibration-peaks",
        "curve-distant-nodes-0",
        "curve-distant-all",
    ];
    assert_eq!(names, expected);
    let curve = &figures[6];
    assert!(
        curve.csv().contains("cohort,2,10,5,15,\ncohort,5,12,8,14"),
        "{}",
        curve.csv()
    );
    let drawing = curve.embedded();
    assert_eq!(drawing.matches("class=\"band\"").count(), 1, "{drawing}");
    assert_eq!(drawing.matches("class=\"whisker\"").count(), 2, "{drawing}");
    assert!(drawing.contains("median and 95 % of 5 points"), "{drawing}");
    // The band's limits at five years are those of the row.
    let row = &validation.targets.as_ref().expect("targets").rows[0];
    let line = format!(
        "points\",5,{},{},{},",
        100.0 * row.median.unwrap(),
        100.0 * row.median_lower.unwrap(),
        100.0 * row.median_upper.unwrap()
    );
    assert!(
        curve.csv().contains(&line),
        "{line} is not in {}",
        curve.csv()
    );
    assert!(
        !figures
            .iter()
            .any(|figure| figure.embedded().contains("NaN"))
    );
    let rows = figures[4].embedded();
    assert_eq!(rows.matches("class=\"band\"").count(), 3 + 1, "{rows}");
}
