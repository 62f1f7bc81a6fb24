//! Random patients for the tests of tallies and estimates.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary compiles this module and uses a part of it"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use reseed_stats::{
    Accumulator, ArmRecord, Cause, ENDPOINTS, Endpoint, Exit, ExitKind, ORIGINS, Shape, Tally,
};

/// What happens to a screened patient.
#[derive(Debug, Clone)]
pub enum Screened {
    /// Not enrolled, for this reason.
    Excluded(usize),
    /// Enrolled in every arm.
    Enrolled {
        stratum: usize,
        histogram_bins: Vec<usize>,
        arms: Vec<ArmRecord>,
    },
}

pub fn shape(strata: usize, arms: usize, control: usize, bins: usize) -> Shape {
    Shape {
        strata,
        arms,
        control,
        bins,
        reasons: 2,
        histograms: vec![("nodes".to_owned(), 3), ("diameter".to_owned(), 2)],
    }
}

pub fn shapes() -> impl Strategy<Value = Shape> {
    (1..4usize, 1..5usize, 1..16usize).prop_flat_map(|(strata, arms, bins)| {
        (0..arms).prop_map(move |control| shape(strata, arms, control, bins))
    })
}

fn exits(bins: usize) -> impl Strategy<Value = Exit> {
    let kind = prop_oneof![
        Just(ExitKind::Event),
        Just(ExitKind::Competing),
        Just(ExitKind::Censored)
    ];
    (kind, 0..bins, 0..1u64 << 40).prop_map(|(kind, bin, ticks)| Exit {
        kind,
        bin: u16::try_from(bin).unwrap(),
        ticks,
    })
}

fn records(bins: usize) -> impl Strategy<Value = ArmRecord> {
    (
        prop::sample::select(Cause::ALL.to_vec()),
        0..bins,
        [exits(bins), exits(bins), exits(bins), exits(bins)],
        0..ORIGINS.len(),
    )
        .prop_map(|(cause, bin, exits, origin)| {
            let local = exits[Endpoint::Local as usize].kind == ExitKind::Event;
            ArmRecord {
                first: (cause, u16::try_from(bin).unwrap()),
                exits,
                origin: local.then(|| u8::try_from(origin).unwrap()),
            }
        })
}

/// Half of the arms fare as the control does, as most do in a trial.
fn screened(shape: &Shape) -> impl Strategy<Value = Screened> + use<> {
    let Shape {
        strata,
        arms,
        control,
        bins,
        reasons,
        ..
    } = *shape;
    let histogram_bins: Vec<_> = shape.histograms.iter().map(|(_, bins)| 0..*bins).collect();
    let enrolled = (
        0..strata,
        histogram_bins,
        vec((records(bins), any::<bool>()), arms),
    )
        .prop_map(move |(stratum, histogram_bins, drawn)| {
            let base = drawn[control].0;
            Screened::Enrolled {
                stratum,
                histogram_bins,
                arms: drawn
                    .into_iter()
                    .map(|(own, same)| if same { base } else { own })
                    .collect(),
            }
        });
    prop_oneof![
        1 => (0..reasons).prop_map(Screened::Excluded),
        9 => enrolled,
    ]
}

/// A shape and patients that fit it.
pub fn populations() -> impl Strategy<Value = (Shape, Vec<Screened>)> {
    shapes().prop_flat_map(|shape| {
        let patients = vec(screened(&shape), 0..60);
        (Just(shape), patients)
    })
}

pub fn tally_of(shape: &Shape, patients: &[Screened]) -> Tally {
    let mut accumulator = Accumulator::new(shape.clone());
    for patient in patients {
        match patient {
            Screened::Excluded(reason) => accumulator.exclude(*reason),
            Screened::Enrolled {
                stratum,
                histogram_bins,
                arms,
            } => accumulator.enrol(
                *stratum,
                histogram_bins,
                &arms[shape.control],
                arms.iter().copied().enumerate(),
            ),
        }
    }
    accumulator.finish()
}

/// A patient who leaves every endpoint's risk set in the same way; an event is a distant
/// recurrence or, by its origin, a local one.
pub fn record(kind: ExitKind, bin: usize, origin: u8) -> ArmRecord {
    let bin = u16::try_from(bin).unwrap();
    ArmRecord {
        first: (
            match (kind, origin) {
                (ExitKind::Event, 0) => Cause::LocalResidual,
                (ExitKind::Event, _) => Cause::LocalReseeded,
                (ExitKind::Competing, _) => Cause::OtherDeath,
                (ExitKind::Censored, _) => Cause::Censored,
            },
            bin,
        ),
        exits: [Exit {
            kind,
            bin,
            ticks: 0,
        }; ENDPOINTS],
        origin: (kind == ExitKind::Event).then_some(origin),
    }
}

/// Two arms, the control first, one stratum: a tally of pairs of records.
pub fn tally_of_pairs(
    bins: usize,
    pairs: impl IntoIterator<Item = (ArmRecord, ArmRecord)>,
) -> Tally {
    let mut accumulator = Accumulator::new(shape(1, 2, 0, bins));
    for (control, arm) in pairs {
        accumulator.enrol(0, &[0, 0], &control, [(1, arm)]);
    }
    accumulator.finish()
}

pub fn close(left: f64, right: f64, tolerance: f64) -> bool {
    (left - right).abs() <= tolerance * left.abs().max(right.abs()).max(1.0)
}
