//! What `reseed compare` prints, for a trial small enough to count by hand.

use reseed_report::{CompareError, CompareInput, Comparison, ExportError, TimesToEvents, compare};
use reseed_stats::{
    Accumulator, ArmRecord, Cause, ENDPOINTS, Endpoint, Exit, ExitKind, RecordColumn, RecordValues,
    Shape, Tally,
};

const EDGES_DAYS: [f64; 5] = [0.0, 456.5625, 913.125, 1369.6875, 1826.25];

/// Arms: none (control), siltuximab, all five genes. Strata: node-negative, node-positive.
fn shape() -> Shape {
    Shape {
        strata: 2,
        arms: 3,
        control: 0,
        bins: 4,
        reasons: 3,
        histograms: Vec::new(),
    }
}

#[derive(Clone, Copy)]
enum Fate {
    Local { bin: u16, origin: u8 },
    Distant { bin: u16 },
    Well,
}

fn record(fate: Fate) -> ArmRecord {
    let exit = |kind, bin| Exit {
        kind,
        bin,
        ticks: 0,
    };
    let stays = exit(ExitKind::Censored, 3);
    let (first, exits, origin) = match fate {
        Fate::Local { bin, origin } => {
            let event = exit(ExitKind::Event, bin);
            let cause = if origin == 0 {
                Cause::LocalResidual
            } else {
                Cause::LocalReseeded
            };
            ((cause, bin), [event, stays, event, stays], Some(origin))
        }
        Fate::Distant { bin } => {
            let event = exit(ExitKind::Event, bin);
            let competes = exit(ExitKind::Competing, bin);
            ((Cause::Distant, bin), [competes, event, event, stays], None)
        }
        Fate::Well => ((Cause::Censored, 3), [stays; ENDPOINTS], None),
    };
    ArmRecord {
        first,
        exits,
        origin,
    }
}

/// Of 1,000 node-negative patients, 80 recur locally under no therapy, 60 of them from
/// circulating cells; siltuximab prevents 20 of these and turns one into a distant recurrence;
/// all five prevent all 60. Nobody is node-positive.
fn trial() -> Tally {
    let mut accumulator = Accumulator::new(shape());
    for patient in 0..1_000 {
        let bin = patient % 4;
        let reseeded = Fate::Local { bin, origin: 2 };
        let [control, one, five] = match patient {
            0..20 => [Fate::Local { bin, origin: 0 }; 3],
            20..40 => [reseeded, Fate::Well, Fate::Well],
            40 => [reseeded, Fate::Distant { bin: 3 }, Fate::Well],
            41..80 => [reseeded, reseeded, Fate::Well],
            80..130 => [Fate::Distant { bin }; 3],
            _ => [Fate::Well; 3],
        };
        accumulator.enrol(
            0,
            &[],
            &record(control),
            [(1, record(one)), (2, record(five))],
        );
    }
    for _ in 0..234 {
        accumulator.exclude(1);
    }
    accumulator.exclude(2);
    accumulator.finish()
}

fn compared(
    tally: &Tally,
    endpoints: &[Endpoint],
    times_days: &[f64],
    by_stratum: bool,
) -> Result<Comparison, CompareError> {
    compared_with_hazards(tally, endpoints, times_days, by_stratum, false)
}

fn compared_with_hazards(
    tally: &Tally,
    endpoints: &[Endpoint],
    times_days: &[f64],
    by_stratum: bool,
    hazards: bool,
) -> Result<Comparison, CompareError> {
    let owned = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    compare(&CompareInput {
        trial: "example",
        title: "A trial to count by hand",
        seed: 7,
        digest: "00ff",
        tally,
        arms: &owned(&["none", "siltuximab", "all_five"]),
        strata: &owned(&["nodes 0", "nodes 1+"]),
        exclusions: &owned(&["age", "metastatic", "saturated"]),
        edges_days: &EDGES_DAYS,
        times_days,
        endpoints,
        by_stratum,
        hazards,
    })
}

#[test]
fn text_of_a_trial() {
    let comparison = compared(&trial(), &Endpoint::ALL, &[913.125, 1826.25], false).unwrap();
    insta::assert_snapshot!(comparison.to_text(160, &[]));
}

/// Every column, in as many tables as it takes.
#[test]
fn text_with_all_columns() {
    let comparison = compared(&trial(), &[Endpoint::Local], &[1826.25], false).unwrap();
    let columns: Vec<&str> = reseed_report::column_names().collect();
    let text = comparison.to_text(100, &columns);
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn text_of_hazards() {
    let comparison = compared_with_hazards(&trial(), &[Endpoint::Rfs], &[1826.25], false, true);
    let mut comparison = comparison.unwrap();
    comparison.rows.clear();
    insta::assert_snapshot!(comparison.to_text(100, &[]));
}

#[test]
fn estimates_as_csv() {
    let comparison = compared(&trial(), &[Endpoint::Local], &[1826.25], false).unwrap();
    let mut csv = Vec::new();
    comparison.write_estimates(&mut csv).unwrap();
    insta::assert_snapshot!(String::from_utf8(csv).unwrap());
}

/// One patient of two arms: a local recurrence, then a death without any.
#[test]
fn patients_as_times_to_events() {
    let column = |name: &str, width, values| RecordColumn {
        name: name.to_owned(),
        unit: String::new(),
        description: String::new(),
        width,
        values,
    };
    let records = [
        column("index", 1, RecordValues::U64(vec![41])),
        column("stratum", 1, RecordValues::U32(vec![1])),
        column("age", 1, RecordValues::F64(vec![61.25])),
        column("local_exit", 2, RecordValues::U8(vec![0, 1])),
        column("local_exit_days", 2, RecordValues::F64(vec![100.5, 300.0])),
        column("death_exit", 2, RecordValues::U8(vec![2, 0])),
        column("death_exit_days", 2, RecordValues::F64(vec![730.5, 300.0])),
    ];
    let owned = |names: [&str; 2]| names.map(str::to_owned);
    let (arms, strata) = (owned(["none", "drug"]), owned(["nodes 0", "nodes 1+"]));
    let written = |endpoints: &[Endpoint], records: &[RecordColumn]| {
        let mut csv = Vec::new();
        let mut table = TimesToEvents::new(&mut csv, "trial", &arms, &strata, endpoints)?;
        table.add(records)?;
        table.finish()?;
        Ok::<_, ExportError>(String::from_utf8(csv).unwrap())
    };
    let text = written(&[Endpoint::Local, Endpoint::Death], &records).unwrap();
    insta::assert_snapshot!(text);
    let error = written(&[Endpoint::Rfs], &records).unwrap_err();
    assert!(error.to_string().contains("no column rfs_exit"), "{error}");
}

#[test]
fn text_for_a_narrow_terminal() {
    let comparison = compared(&trial(), &[Endpoint::Local], &[1826.25], false).unwrap();
    let text = comparison.to_text(80, &[]);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

/// A stratum without patients, and an endpoint without events.
#[test]
fn text_by_stratum() {
    let endpoints = [Endpoint::Local, Endpoint::Death];
    let comparison = compared(&trial(), &endpoints, &[1826.25], true).unwrap();
    insta::assert_snapshot!(comparison.to_text(160, &[]));
}

#[test]
fn text_without_patients() {
    let tally = Tally::empty(shape());
    let comparison = compared(&tally, &[Endpoint::Rfs], &[456.5625], false).unwrap();
    insta::assert_snapshot!(comparison.to_text(160, &[]));
}

#[test]
fn json_of_a_trial() {
    let comparison = compared(&trial(), &[Endpoint::Local], &[1826.25], true).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&comparison).unwrap());
}

#[test]
fn counts_by_hand() {
    let comparison = compared(&trial(), &[Endpoint::Local], &[1826.25], false).unwrap();
    assert_eq!(
        (comparison.patients_screened, comparison.patients_enrolled),
        (1_235, 1_000)
    );
    let excluded: Vec<u64> = comparison
        .patients_excluded
        .iter()
        .map(|e| e.patients)
        .collect();
    assert_eq!(excluded, [0, 234, 1]);
    let [control, siltuximab, all_five] = &comparison.rows[..] else {
        panic!("one row per arm");
    };
    let is = |found: Option<f64>, expected: f64| {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}");
    };
    is(control.cumulative_incidence, 0.080);
    is(control.reseeded_share, 0.75);
    assert_eq!(control.risk_difference, None);
    is(siltuximab.risk_difference, -0.021);
    is(siltuximab.number_needed_to_treat, 1.0 / 0.021);
    is(siltuximab.reseeded_share, 39.0 / 59.0);
    assert_eq!(siltuximab.patients_control_only, Some(21));
    assert_eq!(siltuximab.patients_arm_only, Some(0));
    is(all_five.risk_ratio, 0.25);
    is(all_five.reseeded_share, 0.0);
    let paired = (60.0 - 60.0f64.powi(2) / 1000.0) / 1000.0;
    let unpaired = 0.080 * 0.920 + 0.020 * 0.980;
    is(all_five.variance_reduction, unpaired / paired);
}

#[test]
fn times_move_to_the_nearest_bin_end_and_count_once() {
    let times = [1800.0, 365.0, 500.0, 1.0, 1826.25];
    let comparison = compared(&trial(), &[Endpoint::Distant], &times, false).unwrap();
    let days: Vec<f64> = comparison
        .rows
        .iter()
        .step_by(3)
        .map(|row| row.time_days)
        .collect();
    assert_eq!(days, [456.5625, 1826.25]);
}

#[test]
fn times_outside_follow_up_are_refused() {
    for time_days in [0.0, -1.0, 1827.0, f64::NAN] {
        let result = compared(&trial(), &[Endpoint::Local], &[time_days], false);
        let error = result.unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "cannot compare at day {time_days}: follow-up runs from resection to day 1826.25; \
                 choose a time in between"
            )
        );
    }
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let tally = trial();
    let arms = ["none".to_owned()];
    let strata = ["one".to_owned(), "two".to_owned()];
    let exclusions = ["age", "metastatic", "saturated"].map(str::to_owned);
    let result = compare(&CompareInput {
        trial: "",
        title: "",
        seed: 0,
        digest: "",
        tally: &tally,
        arms: &arms,
        strata: &strata,
        exclusions: &exclusions,
        edges_days: &EDGES_DAYS,
        times_days: &[456.5625],
        endpoints: &Endpoint::ALL,
        by_stratum: false,
        hazards: false,
    });
    assert_eq!(
        result,
        Err(CompareError::Labels {
            what: "arm names",
            found: 1,
            expected: 3
        })
    );
}
