//! Tallies count what a naive count of each arm counts, and merge exactly.

mod common;

use std::collections::BTreeMap;

use common::{Screened, populations, record, shape, tally_of, tally_of_pairs};
use proptest::prelude::*;
use reseed_stats::{Cause, Endpoint, Exit, ExitKind, Shape, Table, Tally, TallyError};

/// Counts by table and position along the axes, without any trick.
type Counts = BTreeMap<(String, Vec<usize>), u64>;

/// Kind and part of an exit.
fn cell(shape: &Shape, exit: Exit) -> usize {
    let parts = shape.parts();
    let part = parts
        .iter()
        .position(|bins| bins.contains(&usize::from(exit.bin)));
    exit.kind as usize * parts.len() + part.unwrap()
}

fn naive(shape: &Shape, patients: &[Screened]) -> Counts {
    let mut counts = Counts::new();
    let mut add = |table: &str, at: &[usize], by: u64| {
        if by > 0 {
            *counts.entry((table.to_owned(), at.to_vec())).or_default() += by;
        }
    };
    for patient in patients {
        add("screened", &[0], 1);
        let (stratum, histogram_bins, arms) = match patient {
            Screened::Excluded(reason) => {
                add("excluded", &[*reason], 1);
                continue;
            }
            Screened::Enrolled {
                stratum,
                histogram_bins,
                arms,
            } => (*stratum, histogram_bins, arms),
        };
        add("enrolled", &[stratum], 1);
        for ((name, _), bin) in shape.histograms.iter().zip(histogram_bins) {
            add(&format!("tumour/{name}"), &[stratum, *bin], 1);
        }
        for (arm, record) in arms.iter().enumerate() {
            let (cause, bin) = record.first;
            add(
                "first_event",
                &[stratum, arm, cause as usize, usize::from(bin)],
                1,
            );
            if let Some(origin) = record.origin {
                let bin = record.exits[Endpoint::Local as usize].bin;
                add(
                    "origin",
                    &[stratum, arm, usize::from(origin), usize::from(bin)],
                    1,
                );
            }
            for (endpoint, exit) in record.exits.iter().enumerate() {
                let table = match exit.kind {
                    ExitKind::Event => "event",
                    ExitKind::Competing => "competing",
                    ExitKind::Censored => "censored",
                };
                add(table, &[stratum, arm, endpoint, usize::from(exit.bin)], 1);
                add("ticks", &[stratum, arm, endpoint], exit.ticks);
                let other = arms[shape.control].exits[endpoint];
                let event = |exit: Exit| (exit.kind == ExitKind::Event).then_some(exit.bin);
                if let (Some(first), Some(second)) = (event(other), event(*exit)) {
                    let (bin, side) = (first.max(second), usize::from(second < first));
                    let at = [stratum, arm, endpoint, usize::from(bin), side];
                    add("delayed", &at, u64::from(first != second));
                    add("delay", &at, u64::from(first.abs_diff(second)));
                }
                let (from, to) = (cell(shape, other), cell(shape, *exit));
                if from != to {
                    add("joint", &[arm, endpoint, from, to], 1);
                }
                for bin in 0..shape.bins {
                    let by_now = |kind, at| kind == ExitKind::Event && usize::from(at) <= bin;
                    match (by_now(other.kind, other.bin), by_now(exit.kind, exit.bin)) {
                        (true, false) => add("paired", &[stratum, arm, endpoint, bin, 0], 1),
                        (false, true) => add("paired", &[stratum, arm, endpoint, bin, 1], 1),
                        _ => {}
                    }
                }
            }
        }
    }
    counts
}

fn counts(tables: &[Table<'_>]) -> Counts {
    let mut counts = Counts::new();
    for table in tables {
        assert_eq!(table.axes.len(), table.shape.len());
        assert_eq!(table.values.len(), table.shape.iter().product::<usize>());
        for (index, value) in table.values.iter().enumerate().filter(|(_, v)| **v > 0) {
            let mut rest = index;
            let mut at: Vec<usize> = table
                .shape
                .iter()
                .rev()
                .map(|len| {
                    let position = rest % len;
                    rest /= len;
                    position
                })
                .collect();
            at.reverse();
            counts.insert((table.name.clone(), at), *value);
        }
    }
    counts
}

fn merged(mut left: Tally, right: &Tally) -> Tally {
    left.merge(right).unwrap();
    left
}

/// Reads a tally back from its own tables, with one cell of one table raised.
fn reread(tally: &Tally, raise: Option<(&str, usize)>) -> Result<Tally, TallyError> {
    let stored: BTreeMap<String, Vec<u64>> = tally
        .tables()
        .into_iter()
        .map(|table| (table.name.clone(), table.values.to_vec()))
        .collect();
    Tally::from_tables(tally.shape().clone(), |name, shape| {
        let mut values = stored[name].clone();
        assert_eq!(values.len(), shape.iter().product());
        if let Some((table, cell)) = raise
            && table == name
        {
            values[cell] += 1;
        }
        Ok(values)
    })
}

proptest! {
    #[test]
    fn accumulator_counts_what_a_naive_count_does((shape, patients) in populations()) {
        let tally = tally_of(&shape, &patients);
        prop_assert_eq!(counts(&tally.tables()), naive(&shape, &patients));
        prop_assert_eq!(tally.check(), Ok(()));
    }

    #[test]
    fn accessors_read_the_tables((shape, patients) in populations()) {
        let tally = tally_of(&shape, &patients);
        let expected = naive(&shape, &patients);
        let count = |table: &str, at: &[usize]| {
            expected.get(&(table.to_owned(), at.to_vec())).copied().unwrap_or(0)
        };
        prop_assert_eq!(tally.screened(), count("screened", &[0]));
        for reason in 0..shape.reasons {
            prop_assert_eq!(tally.excluded()[reason], count("excluded", &[reason]));
        }
        for stratum in 0..shape.strata {
            prop_assert_eq!(tally.enrolled()[stratum], count("enrolled", &[stratum]));
            for (histogram, (name, bins)) in shape.histograms.iter().enumerate() {
                for bin in 0..*bins {
                    prop_assert_eq!(
                        tally.histogram(stratum, histogram)[bin],
                        count(&format!("tumour/{name}"), &[stratum, bin])
                    );
                }
            }
            for arm in 0..shape.arms {
                for bin in 0..shape.bins {
                    for cause in Cause::ALL {
                        prop_assert_eq!(
                            tally.first_event(stratum, arm, cause)[bin],
                            count("first_event", &[stratum, arm, cause as usize, bin])
                        );
                    }
                    for origin in 0..4 {
                        prop_assert_eq!(
                            tally.origin(stratum, arm, origin)[bin],
                            count("origin", &[stratum, arm, origin, bin])
                        );
                    }
                }
                for endpoint in Endpoint::ALL {
                    let at = endpoint as usize;
                    prop_assert_eq!(
                        tally.ticks(stratum, arm, endpoint),
                        count("ticks", &[stratum, arm, at])
                    );
                    for bin in 0..shape.bins {
                        for (name, kind) in [
                            ("event", ExitKind::Event),
                            ("competing", ExitKind::Competing),
                            ("censored", ExitKind::Censored),
                        ] {
                            prop_assert_eq!(
                                tally.exits(stratum, arm, endpoint, kind)[bin],
                                count(name, &[stratum, arm, at, bin])
                            );
                        }
                        for side in 0..2 {
                            for (name, found) in [
                                ("paired", tally.paired(stratum, arm, endpoint)),
                                ("delayed", tally.delayed(stratum, arm, endpoint)),
                                ("delay", tally.delay(stratum, arm, endpoint)),
                            ] {
                                prop_assert_eq!(
                                    found[bin * 2 + side],
                                    count(name, &[stratum, arm, at, bin, side])
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn merging_is_exact_in_any_order(
        (shape, patients) in populations(),
        cuts in (0..=60usize, 0..=60usize),
    ) {
        let (first, second) = (cuts.0.min(cuts.1), cuts.0.max(cuts.1));
        let (first, second) = (first.min(patients.len()), second.min(patients.len()));
        let [a, b, c] = [&patients[..first], &patients[first..second], &patients[second..]]
            .map(|part| tally_of(&shape, part));
        let whole = tally_of(&shape, &patients);
        prop_assert_eq!(&merged(merged(a.clone(), &b), &c), &whole);
        prop_assert_eq!(&merged(a.clone(), &merged(b.clone(), &c)), &whole);
        prop_assert_eq!(merged(a.clone(), &b), merged(b, &a));
        prop_assert_eq!(merged(Tally::empty(shape), &whole), whole);
    }

    #[test]
    fn tables_read_back_as_the_tally((shape, patients) in populations()) {
        let tally = tally_of(&shape, &patients);
        prop_assert_eq!(reread(&tally, None), Ok(tally));
    }

    /// One miscounted patient, wherever, is noticed. Sums of ticks have no counterpart, and delayed
    /// events only limits.
    #[test]
    fn a_raised_cell_is_noticed(
        (shape, patients) in populations(),
        table in any::<prop::sample::Index>(),
        cell in any::<prop::sample::Index>(),
    ) {
        let tally = tally_of(&shape, &patients);
        let unchecked = ["ticks", "delayed", "delay"];
        let tables: Vec<Table<'_>> =
            tally.tables().into_iter().filter(|table| !unchecked.contains(&&*table.name)).collect();
        let table = table.get(&tables);
        let cell = cell.index(table.values.len());
        let reread = reread(&tally, Some((&table.name, cell)));
        prop_assert!(matches!(reread, Err(TallyError::Inconsistent(_))), "{:?}", table);
    }
}

#[test]
fn a_table_of_the_wrong_size_is_refused() {
    let read = |name: &str, shape: &[usize]| {
        let cells: usize = shape.iter().product();
        Ok(vec![0; cells - usize::from(name == "event")])
    };
    let result: Result<Tally, TallyError> = Tally::from_tables(shape(1, 2, 0, 3), read);
    let expected = TallyError::Table {
        name: "event".to_owned(),
        found: 23,
        expected: 24,
    };
    assert_eq!(result, Err(expected));
}

#[test]
fn tallies_of_different_shapes_do_not_merge() {
    let mut tally = Tally::empty(shape(1, 2, 0, 3));
    let result = tally.merge(&Tally::empty(shape(1, 2, 1, 3)));
    assert!(matches!(result, Err(TallyError::Shape(_))), "{result:?}");
}

#[test]
fn a_sum_beyond_64_bits_is_refused_and_changes_nothing() {
    let one = tally_of_pairs(1, {
        let event = record(ExitKind::Event, 0, 0);
        [(event, event)]
    });
    let mut huge = Tally::empty(one.shape().clone());
    // Ticks can be filled to the brim without contradicting the other tables.
    let mut filled = one.clone();
    filled = Tally::from_tables::<TallyError>(filled.shape().clone(), |name, shape| {
        let stored = filled.tables().into_iter().find(|table| table.name == name);
        Ok(if name == "ticks" {
            vec![u64::MAX; shape.iter().product()]
        } else {
            stored.unwrap().values.to_vec()
        })
    })
    .unwrap();
    huge.merge(&filled).unwrap();
    let before = huge.clone();
    assert_eq!(
        huge.merge(&filled),
        Err(TallyError::Overflow("ticks".to_owned()))
    );
    assert_eq!(huge, before);
}

/// Three of ten patients have the event three bins later in the arm.
#[test]
fn impossible_delays_are_refused() {
    let at = |bin| record(ExitKind::Event, bin, 0);
    let pairs = (0..10).map(|patient| (at(1), at(if patient < 3 { 4 } else { 1 })));
    let tally = tally_of_pairs(6, pairs);
    let row = |table: &[u64]| table.iter().step_by(2).copied().collect::<Vec<_>>();
    assert_eq!(row(tally.delayed(0, 1, Endpoint::Rfs)), [0, 0, 0, 0, 3, 0]);
    assert_eq!(row(tally.delay(0, 1, Endpoint::Rfs)), [0, 0, 0, 0, 9, 0]);
    // Of the arm's first endpoint, side `control first`.
    let cell = |bin: usize| (4 * 6 + bin) * 2;
    for (table, bin) in [
        // More than differed before; nobody to be delayed; one bin too long.
        ("delayed", 4),
        ("delayed", 2),
        ("delay", 2),
        ("delay", 4),
    ] {
        let result = reread(&tally, Some((table, cell(bin))));
        assert!(
            matches!(&result, Err(TallyError::Inconsistent(text)) if text.contains("delayed")),
            "{table} {bin}: {result:?}"
        );
    }
}

#[test]
fn parts_cover_follow_up() {
    let parts = |bins| shape(1, 2, 0, bins).parts();
    assert_eq!(parts(1), vec![0..1]);
    assert_eq!(parts(6), vec![0..6]);
    assert_eq!(parts(7), vec![0..6, 6..7]);
    let twenty_years = parts(240);
    assert_eq!(
        (twenty_years.len(), twenty_years[12].clone()),
        (13, 210..240)
    );
    assert_eq!(parts(1200).last(), Some(&(480..1200)));
}
