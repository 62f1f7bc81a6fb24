//! From what is wanted and what is there to the shards that are missing.

use std::ops::Range;

use thiserror::Error;

/// Most shards of one plan. The ledger keeps about a hundred bytes for each.
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

/// Cuts the part of `target` that `committed` does not cover into shards of at most
/// `shard_patients` patients, in index order. The result of a run does not depend on the cut.
///
/// # Errors
/// [`PlanError`] if committed ranges overlap or leave the target, or the shard size makes no
/// sense.
pub fn plan(
    target: &Range<u64>,
    committed: &[Range<u64>],
    shard_patients: u64,
) -> Result<Vec<Range<u64>>, PlanError> {
    if shard_patients == 0 {
        return Err(PlanError::EmptyShard);
    }
    let gaps = gaps(target, committed)?;
    let shards = gaps.iter().fold(0u64, |sum, gap| {
        sum.saturating_add((gap.end - gap.start).div_ceil(shard_patients))
    });
    if shards > SHARDS_MAX {
        return Err(PlanError::TooMany { shards });
    }
    Ok(gaps
        .into_iter()
        .flat_map(|gap| cut(gap, shard_patients))
        .collect())
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

fn cut(gap: Range<u64>, shard_patients: u64) -> impl Iterator<Item = Range<u64>> {
    let mut start = gap.start;
    std::iter::from_fn(move || {
        let end = start.saturating_add(shard_patients).min(gap.end);
        let shard = start..end;
        start = end;
        (!shard.is_empty()).then_some(shard)
    })
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
        assert_eq!(plan(&(0..10), &[], 4), Ok(vec![0..4, 4..8, 8..10]));
    }

    #[test]
    fn only_gaps_are_planned_whatever_their_order_in_the_store() {
        let committed = [8..10, 2..5];
        assert_eq!(
            plan(&(0..14), &committed, 3),
            Ok(vec![0..2, 5..8, 10..13, 13..14])
        );
    }

    #[test]
    fn a_full_store_leaves_nothing() {
        assert_eq!(plan(&(0..10), &[0..10], 4), Ok(vec![]));
    }

    #[test]
    fn overlaps_strangers_and_silly_sizes_are_refused() {
        assert_eq!(
            plan(&(0..10), &[0..4, 3..5], 4),
            Err(PlanError::Overlap(0..4, 3..5))
        );
        assert!(matches!(
            plan(&(0..10), &[8..12], 4),
            Err(PlanError::Outside { .. })
        ));
        assert_eq!(plan(&(0..10), &[], 0), Err(PlanError::EmptyShard));
        assert_eq!(
            plan(&(0..u64::MAX), &[], 1),
            Err(PlanError::TooMany { shards: u64::MAX })
        );
    }
}
