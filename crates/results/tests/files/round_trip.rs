//! What is written is read again, however it was cut into parts.

use crate::common::{commit, identity, layout, names, part, sum};
use proptest::prelude::*;
use reseed_results::{
    Part, RunIdentity, part_digest, read_blocks, read_part, read_records, read_result,
    result_digest, write_part, write_result,
};
use reseed_stats::{RecordColumn, RecordValues};
use std::path::Path;

/// A list of one range.
fn one(range: std::ops::Range<u64>) -> Vec<std::ops::Range<u64>> {
    std::iter::once(range).collect()
}

#[test]
fn parts_keep_everything() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(3, 4, 24);
    for records in [false, true] {
        let path = dir.path().join(format!("{records}.h5"));
        let part = part(&layout, 100..400, records);
        let info = write_part(&path, &identity(), &layout, &part).unwrap();
        let file = read_part(&path).unwrap();
        assert_eq!(file.identity, identity());
        assert_eq!(file.layout, layout);
        assert_eq!(file.tally, part.tally);
        assert_eq!(file.info, info);
        assert_eq!(file.info.range, 100..400);
        assert_eq!(file.info.attempt, part.attempt);
        let digest = part_digest(
            &identity().fingerprint,
            42,
            &(100..400),
            &part.tally,
            [&part.records, &part.blocks],
        );
        assert_eq!(file.info.digest, digest);
        assert_eq!(read_records(&path, None).unwrap(), part.records);
        check_blocks(&path, &part.blocks);
    }
    assert_eq!(names(dir.path()), ["false.h5", "true.h5"]);
}

/// The blocks' values to the last bit, of what is no number too.
fn check_blocks(path: &Path, blocks: &[RecordColumn]) {
    let bits = |columns: &[RecordColumn]| -> Vec<(String, Vec<u64>)> {
        let bits = |values: &RecordValues| match values {
            RecordValues::F64(values) => values.iter().map(|value| value.to_bits()).collect(),
            RecordValues::U64(values) => values.clone(),
            other => panic!("{other:?} is no column of the example"),
        };
        let named = columns.iter();
        named.map(|c| (c.name.clone(), bits(&c.values))).collect()
    };
    assert_eq!(bits(&read_blocks(path).unwrap()), bits(blocks));
}

#[test]
fn records_of_nobody_and_of_one_arm_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("part.h5");
    let layout = layout(1, 1, 1);
    // Everybody in these ranges is excluded, or nobody.
    for range in [0..1, 1..4] {
        let part = part(&layout, range, true);
        write_part(&path, &identity(), &layout, &part).unwrap();
        assert_eq!(read_records(&path, None).unwrap(), part.records);
    }
}

#[test]
fn a_result_does_not_depend_on_its_parts() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 12);
    let whole = part(&layout, 0..1000, true);
    let cuts: [&[(u64, u64)]; 3] = [
        &[(0, 1000)],
        &[(600, 1000), (0, 1), (1, 600)],
        &[(0, 250), (250, 500), (500, 750), (750, 1000)],
    ];
    for (at, cut) in cuts.into_iter().enumerate() {
        let mut sources = commit(&dir.path().join(at.to_string()), &layout, cut, true);
        sources.reverse();
        let path = dir.path().join("result.h5");
        let notes = [("host".to_owned(), "somewhere".to_owned())];
        let written = write_result(&path, &sources, "9.9.9", &notes).unwrap();
        assert_eq!(written, read_result(&path).unwrap());
        assert_eq!(written.tally, whole.tally);
        assert_eq!(written.layout, layout);
        assert_eq!(written.ranges, one(0..1000));
        assert_eq!(written.shards.len(), cut.len());
        assert_eq!(written.notes, notes);
        assert_eq!(
            written.digest,
            result_digest(&identity().trial_toml, 42, &whole.tally)
        );
        let expected = RunIdentity {
            engine_version: "9.9.9".into(),
            ..identity()
        };
        assert_eq!(written.identity, expected);
        assert_eq!(read_records(&path, None).unwrap(), whole.records);
        check_blocks(&path, &whole.blocks);
        for shard in &written.shards {
            let part = part(&layout, shard.range.clone(), true);
            let digest = part_digest(
                &identity().fingerprint,
                42,
                &shard.range,
                &part.tally,
                [&part.records, &part.blocks],
            );
            assert_eq!(shard.digest, digest);
            assert_eq!(shard.attempt, part.attempt);
        }
    }
}

#[test]
fn results_extend_and_merge_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(2, 3, 12);
    let path = |name: &str| dir.path().join(name);
    // Two results whose shards interleave, and the part that closes the gap.
    let odd = commit(&path("odd"), &layout, &[(100, 200), (300, 400)], true);
    let even = commit(&path("even"), &layout, &[(0, 100), (200, 250)], true);
    let last = commit(&path("last"), &layout, &[(250, 300)], true);
    let a = write_result(&path("a.h5"), &odd, "1", &[]).unwrap();
    assert_eq!(a.ranges, vec![100..200, 300..400]);
    write_result(&path("b.h5"), &even, "1", &[]).unwrap();
    let sources = [path("b.h5"), last[0].clone(), path("a.h5")];
    let merged = write_result(&path("c.h5"), &sources, "1", &[]).unwrap();
    let whole = part(&layout, 0..400, true);
    assert_eq!(merged.ranges, one(0..400));
    assert_eq!(merged.tally, whole.tally);
    assert_eq!(
        merged.digest,
        result_digest(&identity().trial_toml, 42, &whole.tally)
    );
    let starts: Vec<u64> = merged
        .shards
        .iter()
        .map(|shard| shard.range.start)
        .collect();
    assert_eq!(starts, [0, 100, 200, 250, 300]);
    assert_eq!(read_records(&path("c.h5"), None).unwrap(), whole.records);
    check_blocks(&path("c.h5"), &whole.blocks);
    // A result is extended in place: it is source and target at once.
    let more = commit(&path("more"), &layout, &[(400, 500)], true);
    let sources = [path("c.h5"), more[0].clone()];
    let extended = write_result(&path("c.h5"), &sources, "1", &[]).unwrap();
    assert_eq!(extended.tally, part(&layout, 0..500, false).tally);
    assert_eq!(extended.ranges, one(0..500));
}

#[test]
fn records_longer_than_a_chunk_are_copied_by_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(1, 2, 3);
    let cut = [(0, 90_000), (90_000, 100_000), (100_000, 210_000)];
    let sources = commit(&dir.path().join("store"), &layout, &cut, true);
    let path = dir.path().join("result.h5");
    write_result(&path, &sources, "1", &[]).unwrap();
    let whole = part(&layout, 0..210_000, true);
    assert_eq!(read_records(&path, None).unwrap(), whole.records);
    let few = read_records(&path, Some(70_000..70_003)).unwrap();
    let (RecordValues::U64(all), RecordValues::U64(some)) =
        (&whole.records[0].values, &few[0].values)
    else {
        panic!("the index is a u64");
    };
    assert_eq!(some, &all[70_000..70_003]);
}

/// Parts of random shapes and sizes with random tallies.
fn random_parts() -> impl Strategy<Value = (reseed_results::Layout, Vec<Part>)> {
    let cuts = proptest::collection::vec(1..40u64, 1..5);
    (
        1..4usize,
        1..5usize,
        1..30usize,
        cuts,
        any::<bool>(),
        any::<u32>(),
    )
        .prop_map(|(strata, arms, bins, sizes, records, start)| {
            let layout = layout(strata, arms, bins);
            let mut at = u64::from(start);
            let parts = sizes
                .iter()
                .map(|size| {
                    at += size;
                    part(&layout, at - size..at, records)
                })
                .collect();
            (layout, parts)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_parts_survive_and_merge((layout, parts) in random_parts()) {
        let dir = tempfile::tempdir().unwrap();
        let mut sources = Vec::new();
        for part in &parts {
            let path = dir.path().join(format!("{}.h5", part.range.start));
            let info = write_part(&path, &identity(), &layout, part).unwrap();
            let file = read_part(&path).unwrap();
            prop_assert_eq!(&file.tally, &part.tally);
            prop_assert_eq!(&file.layout, &layout);
            prop_assert_eq!(file.info, info);
            prop_assert_eq!(&read_records(&path, None).unwrap(), &part.records);
            sources.push(path);
        }
        let path = dir.path().join("result.h5");
        let result = write_result(&path, &sources, "1", &[]).unwrap();
        prop_assert_eq!(result.tally, sum(&layout, &parts));
        let (first, last) = (&parts[0].range, &parts[parts.len() - 1].range);
        prop_assert_eq!(result.ranges, one(first.start..last.end));
    }
}
