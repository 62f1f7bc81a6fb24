//! From what is wanted and what is there to the shards that are missing.

use std::ops::Range;

use thiserror::Error;

/// Most shards of one plan. The ledger keeps about 75 bytes for each (`benches/ledger.rs`).
pub const SHARDS_MAX: u64 = 1 << 20;

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Two committed ranges share patients: their sum would count them twice.
    #[error(
        "committed ranges {}..{} and {}..{} overlap, so their sum would count patients twice; \
         remove one of the two parts",
        .0.start, .0.end, .1.start, .1.end
    )]
    Overlap(Range<u64>, Range<u64>),
    /// A committed range reaches beyond the target.
    #[error(
        "committed range {}..{} lies outside the wanted patients {}..{}; \
         ask for at least {} patients or remove the part",
        .committed.start, .committed.end, .target.start, .target.end, .committed.end
    )]
    Outside {
        /// The range found in the store.
        committed: Range<u64>,
        /// The range wanted.
        target: Range<u64>,
    },
    /// The shard size is zero.
    #[error("a shard cannot have 0 patients; use at least 1")]
    EmptyShard,
    /// More shards than [`SHARDS_MAX`].
    #[error("{shards} shards are more than the limit of {SHARDS_MAX}; use larger shards")]
    TooMany {
        /// Shards that the plan would have.
        shards: u64,
    },
}

/// A shard at the beginning of a run is this many times smaller, so that results come soon.
const LEAD_IN_DIVISOR: u64 = 16;

/// Where shards begin and end. The result of a run does not depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Patients of a shard; edges are multiples of it, counted from the target's first patient.
    pub shard_patients: u64,
    /// Patients at the beginning of the target that come in shards of a sixteenth of the size,
    /// rounded down; 0 for none.
    pub lead_in_patients: u64,
    /// Patients that must not be cut: every edge but the boundaries is a multiple of so many,
    /// counted from the target's first patient. Sizes are rounded up to it.
    pub block_patients: u64,
    /// Patients at which a shard begins in any case, because a stopping rule looks at those
    /// before. Those outside the target mean nothing.
    pub boundaries: Vec<u64>,
}

impl Cut {
    /// Shards of one size.
    pub fn even(shard_patients: u64) -> Self {
        Self {
            shard_patients,
            lead_in_patients: 0,
            block_patients: 1,
            boundaries: Vec::new(),
        }
    }
}

/// Cuts the part of `target` that `committed` does not cover into shards, in index order. Edges
/// lie on a grid that does not depend on what is committed: a run that goes on after some of its
/// shards were committed has the very others.
///
/// # Errors
/// [`PlanError`] if committed ranges overlap or leave the target, or the shard size makes no
/// sense.
pub fn plan(
    target: &Range<u64>,
    committed: &[Range<u64>],
    cut: &Cut,
) -> Result<Vec<Range<u64>>, PlanError> {
    if cut.shard_patients == 0 || cut.block_patients == 0 {
        return Err(PlanError::EmptyShard);
    }
    let gaps = gaps(target, committed)?;
    let grid = Grid::new(target, cut);
    let shards = gaps
        .iter()
        .fold(0u64, |sum, gap| sum.saturating_add(grid.shards(gap)));
    if shards > SHARDS_MAX {
        return Err(PlanError::TooMany { shards });
    }
    Ok(gaps.into_iter().flat_map(|gap| grid.cut(gap)).collect())
}

/// What `committed` leaves of `target`, in index order.
fn gaps(target: &Range<u64>, committed: &[Range<u64>]) -> Result<Vec<Range<u64>>, PlanError> {
    let mut sorted: Vec<&Range<u64>> = committed.iter().filter(|r| !r.is_empty()).collect();
    sorted.sort_by_key(|range| range.start);
    for pair in sorted.windows(2) {
        if pair[1].start < pair[0].end {
            return Err(PlanError::Overlap(pair[0].clone(), pair[1].clone()));
        }
    }
    let mut gaps = Vec::new();
    let mut at = target.start;
    for range in sorted {
        if range.start < target.start || range.end > target.end {
            return Err(PlanError::Outside {
                committed: range.clone(),
                target: target.clone(),
            });
        }
        if at < range.start {
            gaps.push(at..range.start);
        }
        at = range.end;
    }
    if at < target.end {
        gaps.push(at..target.end);
    }
    Ok(gaps)
}

/// The edges of a target, wherever there are gaps.
struct Grid {
    start: u64,
    fine: u64,
    /// Offset of the last fine edge; the multiples of `coarse` beyond it are edges.
    fine_until: u64,
    coarse: u64,
    /// Boundaries that are not on the grid, in order.
    others: Vec<u64>,
}

impl Grid {
    fn new(target: &Range<u64>, cut: &Cut) -> Self {
        let whole = |patients: u64| {
            let rounded = patients.checked_next_multiple_of(cut.block_patients);
            rounded.unwrap_or(u64::MAX)
        };
        let fine = whole((cut.shard_patients / LEAD_IN_DIVISOR).max(1));
        let mut grid = Self {
            start: target.start,
            fine,
            fine_until: cut.lead_in_patients / fine * fine,
            coarse: whole(cut.shard_patients),
            others: Vec::new(),
        };
        let mut others = cut.boundaries.clone();
        others.retain(|at| {
            target.start < *at && *at < target.end && grid.regular_after(at - 1) != *at
        });
        others.sort_unstable();
        others.dedup();
        grid.others = others;
        grid
    }

    /// The first edge of the grid proper that lies beyond `at`.
    fn regular_after(&self, at: u64) -> u64 {
        let offset = at - self.start;
        let next = |step: u64| (offset / step).saturating_add(1).saturating_mul(step);
        let fine = next(self.fine);
        let offset = if fine <= self.fine_until {
            fine
        } else {
            next(self.coarse)
        };
        self.start.saturating_add(offset)
    }

    /// The first edge of all that lies beyond `at`.
    fn after(&self, at: u64) -> u64 {
        let regular = self.regular_after(at);
        let others = self.others.partition_point(|other| *other <= at);
        let other = self.others.get(others);
        other.map_or(regular, |other| regular.min(*other))
    }

    /// How many edges lie beyond the target's first patient up to and with `at`.
    fn edges_until(&self, at: u64) -> u64 {
        let offset = at - self.start;
        let fine = offset.min(self.fine_until) / self.fine;
        let coarse = offset.max(self.fine_until) / self.coarse - self.fine_until / self.coarse;
        let others = self.others.partition_point(|other| *other <= at);
        fine.saturating_add(coarse).saturating_add(others as u64)
    }

    /// How many shards a gap is cut into; it has at least one patient.
    fn shards(&self, gap: &Range<u64>) -> u64 {
        self.edges_until(gap.end - 1) - self.edges_until(gap.start) + 1
    }

    fn cut(&self, gap: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let mut start = gap.start;
        std::iter::from_fn(move || {
            let shard = start..self.after(start).min(gap.end);
            start = shard.end;
            (!shard.is_empty()).then_some(shard)
        })
    }
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_store_is_cut_whole() {
        assert_eq!(
            plan(&(0..10), &[], &Cut::even(4)),
            Ok(vec![0..4, 4..8, 8..10])
        );
    }

    #[test]
    fn only_gaps_are_planned_whatever_their_order_in_the_store() {
        let committed = [8..10, 2..5];
        assert_eq!(
            plan(&(0..14), &committed, &Cut::even(3)),
            Ok(vec![0..2, 5..6, 6..8, 10..12, 12..14])
        );
    }

    #[test]
    fn edges_are_counted_from_the_first_patient() {
        assert_eq!(
            plan(&(7..20), &[12..14], &Cut::even(5)),
            Ok(vec![7..12, 14..17, 17..20])
        );
    }

    #[test]
    fn a_run_begins_with_small_shards() {
        let cut = Cut {
            lead_in_patients: 7,
            ..Cut::even(32)
        };
        assert_eq!(
            plan(&(100..170), &[], &cut),
            Ok(vec![
                100..102,
                102..104,
                104..106,
                106..132,
                132..164,
                164..170
            ])
        );
        let cut = Cut {
            lead_in_patients: 3,
            ..Cut::even(5)
        };
        assert_eq!(
            plan(&(0..10), &[], &cut),
            Ok(vec![0..1, 1..2, 2..3, 3..5, 5..10]),
            "no shard is smaller than one patient"
        );
    }

    #[test]
    fn blocks_are_not_cut() {
        let cut = Cut {
            lead_in_patients: 90,
            block_patients: 30,
            ..Cut::even(100)
        };
        assert_eq!(
            plan(&(0..300), &[30..60], &cut),
            Ok(vec![0..30, 60..90, 90..120, 120..240, 240..300])
        );
    }

    #[test]
    fn boundaries_are_edges_whatever_their_order() {
        let cut = Cut {
            boundaries: vec![17, 8, 10, 0, 17, 30, 99],
            ..Cut::even(10)
        };
        assert_eq!(
            plan(&(0..30), &[], &cut),
            Ok(vec![0..8, 8..10, 10..17, 17..20, 20..30])
        );
    }

    #[test]
    fn a_full_store_leaves_nothing() {
        assert_eq!(plan(&(0..10), &[0..10], &Cut::even(4)), Ok(vec![]));
    }

    #[test]
    fn shards_are_counted_before_they_are_cut() {
        for shard_patients in 1..40 {
            for lead_in_patients in [0, 1, 5, 17, 40, 100] {
                let cut = Cut {
                    shard_patients,
                    block_patients: 1,
                    lead_in_patients,
                    boundaries: vec![108, 117, 118, 150],
                };
                let grid = Grid::new(&(100..160), &cut);
                for start in 100..160 {
                    for end in start + 1..=160 {
                        let gap = start..end;
                        let counted = grid.shards(&gap);
                        assert_eq!(counted, grid.cut(gap.clone()).count() as u64, "{gap:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn overlaps_strangers_and_silly_sizes_are_refused() {
        assert_eq!(
            plan(&(0..10), &[0..4, 3..5], &Cut::even(4)),
            Err(PlanError::Overlap(0..4, 3..5))
        );
        assert!(matches!(
            plan(&(0..10), &[8..12], &Cut::even(4)),
            Err(PlanError::Outside { .. })
        ));
        assert_eq!(
            plan(&(0..10), &[], &Cut::even(0)),
            Err(PlanError::EmptyShard)
        );
        assert_eq!(
            plan(&(0..u64::MAX), &[], &Cut::even(1)),
            Err(PlanError::TooMany { shards: u64::MAX })
        );
    }
}
