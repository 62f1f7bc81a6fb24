//! A run with a precision ends at the same patient, in whatever order its shards come.

use std::ops::Range;

use proptest::prelude::*;
use reseed_coordinator::{AcrossLook, Front, Judgement};
use reseed_stats::{Accumulator, ArmRecord, Cause, ENDPOINTS, Exit, ExitKind, Tally};
use reseed_trial::{Trial, looks};

/// Two arms compared after a month, in one stratum.
fn trial(precision: f64) -> Trial {
    let text = format!(
        "base = \"breast\"\n\
         arms_only = [\"control\", \"siltuximab\"]\n\
         run.precision = {precision:?}\n\
         follow_up.horizon_days = 30.4375\n\
         compare.months = [1]\n\
         compare.primary = {{ arm = \"siltuximab\", endpoint = \"local\", months = 1 }}\n\
         strata.nodes = []"
    );
    Trial::parse("trial.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

fn record(has_event: bool) -> ArmRecord {
    let (cause, kind) = if has_event {
        (Cause::LocalReseeded, ExitKind::Event)
    } else {
        (Cause::Censored, ExitKind::Censored)
    };
    ArmRecord {
        first: (cause, 0),
        exits: [Exit {
            kind,
            bin: 0,
            ticks: 0,
        }; ENDPOINTS],
        origin: has_event.then_some(1),
    }
}

/// Patients of whom one in `rarity` has the event in the control only and one in twice as many
/// in the arm only, spread by multiplication with a large odd number.
fn tally(trial: &Trial, range: Range<u64>, rarity: u64, seed: u64) -> Tally {
    let mut accumulator = Accumulator::new(trial.shape());
    let bins = vec![0; trial.shape().histograms.len()];
    for patient in range {
        let spread = (patient ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (control, arm) = match spread % (2 * rarity) {
            0 | 1 => (true, false),
            2 => (false, true),
            _ => (false, false),
        };
        accumulator.enrol(0, &bins, &record(control), [(1, record(arm))]);
    }
    accumulator.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_and_size_of_shards_change_nothing(
        precision in 0.03..0.12f64, rarity in 10..2000u64, seed in any::<u64>(),
        first in prop_oneof![Just(0), 1..1_000_000u64], patients in 1..40_000u64,
        cuts in prop::collection::vec(0..40_000u64, 0..10),
        order in Just((0..100).collect::<Vec<u64>>()).prop_shuffle(),
    ) {
        let trial = trial(precision);
        let tally = |range: Range<u64>| tally(&trial, range, rarity, seed);
        let target = first..first + patients;
        let expected = looks(patients)
            .map(|look| first + look)
            .find(|look| trial.precise_enough(&tally(first..*look)));
        let mut front = Front::new(&trial, &target);
        let mut edges: Vec<u64> = cuts.iter().map(|cut| first + cut % patients).collect();
        edges.extend(front.looks());
        edges.push(first);
        edges.sort_unstable();
        edges.dedup();
        let mut shards: Vec<Range<u64>> = edges.windows(2).map(|pair| pair[0]..pair[1]).collect();
        shards.sort_by_key(|shard| order[usize::try_from(shard.start % 100).expect("small")]);
        let mut added = first;
        for shard in &shards {
            prop_assert_eq!(front.commit(shard), Ok(()));
            while let Some(next) = front.next() {
                prop_assert_eq!(next.start, added, "in index order");
                prop_assert!(shards.contains(&next), "as it was committed");
                front.add(&tally(next.clone())).expect("the same trial");
                added = next.end;
            }
            prop_assert_eq!(front.commit(shard), Ok(()), "said again");
        }
        prop_assert_eq!(front.next(), None);
        let judgement = expected.map_or(Judgement::Imprecise, Judgement::Precise);
        prop_assert_eq!(front.judgement(), judgement);
        prop_assert_eq!(added, expected.unwrap_or(target.end), "and not a patient more");
        prop_assert_eq!(front.tally(), &tally(first..added));
    }
}

#[test]
fn a_range_across_a_look_is_refused() {
    let mut front = Front::new(&trial(0.1), &(500..20_500));
    assert_eq!(front.looks(), [10_500, 13_000, 15_500, 18_000, 20_500]);
    for (committed, look) in [
        (10_000..10_501, 10_500),
        (500..13_000, 10_500),
        (18_000..20_501, 20_500),
    ] {
        assert_eq!(
            front.commit(&committed),
            Err(AcrossLook {
                committed: committed.clone(),
                look
            })
        );
    }
    assert_eq!(front.commit(&(500..10_500)), Ok(()));
    assert_eq!(front.commit(&(13_000..15_500)), Ok(()));
    assert_eq!(front.next(), Some(500..10_500));
}

#[test]
fn nothing_is_judged_across_a_gap() {
    let trial = trial(9.0);
    let mut front = Front::new(&trial, &(0..12_500));
    let mut add = |range: Range<u64>| {
        front.commit(&range).expect("cut at the looks");
        while let Some(next) = front.next() {
            front
                .add(&tally(&trial, next, 50, 1))
                .expect("the same trial");
        }
        front.judgement()
    };
    assert_eq!(add(5_000..10_000), Judgement::Open);
    assert_eq!(add(10_000..12_500), Judgement::Open);
    assert_eq!(add(0..5_000), Judgement::Precise(10_000));
}

#[test]
#[should_panic(expected = "a tally of the next range")]
fn a_tally_of_other_patients_is_a_fault() {
    let trial = trial(9.0);
    let mut front = Front::new(&trial, &(0..10));
    front.commit(&(0..10)).expect("cut at the looks");
    let _ = front.add(&tally(&trial, 0..9, 5, 1));
}
