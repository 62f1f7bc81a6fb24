//! Digests are part of the file format: they must never change unnoticed, and other programs
//! can compute them from its description.

use crate::common::{identity, layout, part};
use reseed_results::{Digest, part_digest, result_digest};
use reseed_stats::{RecordColumn, RecordValues, Tally};

/// A byte string put together as `docs/file-format.md` says.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn tally(&mut self, tally: &Tally) {
        self.number(tally.tables().len() as u64);
        for table in tally.tables() {
            self.text(&table.name);
            self.number(table.shape.len() as u64);
            for length in table.shape {
                self.number(length as u64);
            }
            for value in table.values {
                self.number(*value);
            }
        }
    }

    fn digest(&self) -> Digest {
        Digest(*blake3::hash(&self.0).as_bytes())
    }
}

#[test]
fn a_result_digest_is_as_described() {
    let tally = part(&layout(2, 3, 5), 0..50, false).tally;
    let mut bytes = Bytes::default();
    bytes.text("reseed result digest 2");
    bytes.text(&identity().trial_toml);
    bytes.number(42);
    bytes.tally(&tally);
    let digest = result_digest(&identity().trial_toml, 42, &tally);
    assert_eq!(digest, bytes.digest());
    assert_eq!(
        digest.to_string(),
        "55daa9039b490d215c1b7f008391a62f370bee746c49a060f508e386f46c2608"
    );
    assert_eq!(Digest::from_hex(&digest.to_string()), Some(digest));
}

#[test]
fn a_part_digest_is_as_described() {
    let part = part(&layout(2, 3, 5), 7..50, true);
    let mut bytes = Bytes::default();
    bytes.text("reseed part digest 2");
    bytes.0.extend(identity().fingerprint);
    bytes.number(42);
    bytes.number(7);
    bytes.number(50);
    bytes.tally(&part.tally);
    for table in [&part.records, &part.blocks] {
        add_table(&mut bytes, table);
    }
    let digest = part_digest(
        &identity().fingerprint,
        42,
        &part.range,
        &part.tally,
        [&part.records, &part.blocks],
    );
    assert_eq!(digest, bytes.digest());
    assert_eq!(
        digest.to_string(),
        "cf0d52a1d8d663985a78dc5bfce64b5faacd04e2b45829b6e33834cbeb17d5a1"
    );
}

fn add_table(bytes: &mut Bytes, columns: &[RecordColumn]) {
    bytes.number(columns.len() as u64);
    for column in columns {
        bytes.text(&column.name);
        bytes.text(&column.unit);
        bytes.text(&column.description);
        bytes.text(match column.values {
            RecordValues::U64(_) => "u64",
            RecordValues::U32(_) => "u32",
            RecordValues::U8(_) => "u8",
            RecordValues::F64(_) => "f64",
        });
        bytes.number(column.width as u64);
        bytes.number((column.values.len() / column.width) as u64);
        match &column.values {
            RecordValues::U64(values) => values.iter().for_each(|v| bytes.number(*v)),
            RecordValues::U32(values) => {
                for value in values {
                    bytes.0.extend(value.to_le_bytes());
                }
            }
            RecordValues::U8(values) => bytes.0.extend(values),
            RecordValues::F64(values) => values.iter().for_each(|v| bytes.number(v.to_bits())),
        }
    }
}

#[test]
fn everything_that_counts_changes_a_digest() {
    let layout = layout(2, 3, 5);
    let part = part(&layout, 7..50, true);
    let with = |seed, range, tally: &Tally, tables: [&[RecordColumn]; 2], first| {
        let mut fingerprint = identity().fingerprint;
        fingerprint[0] = first;
        part_digest(&fingerprint, seed, &range, tally, tables)
    };
    let of = |seed, range, tally: &Tally, records: &[RecordColumn], first| {
        with(seed, range, tally, [records, &[]], first)
    };
    let other = crate::common::part(&layout, 8..51, true);
    let mut renamed = part.records.clone();
    renamed[1].name = "other".into();
    let mut changed = part.records.clone();
    let RecordValues::F64(values) = &mut changed[3].values else {
        panic!("times are floating point");
    };
    values[0] = -0.0;
    let mut digests = vec![
        of(1, 7..50, &part.tally, &part.records, 0),
        of(2, 7..50, &part.tally, &part.records, 0),
        of(1, 8..51, &part.tally, &part.records, 0),
        of(1, 7..50, &other.tally, &part.records, 0),
        of(1, 7..50, &part.tally, &[], 0),
        of(1, 7..50, &part.tally, &renamed, 0),
        of(1, 7..50, &part.tally, &changed, 0),
        of(1, 7..50, &part.tally, &part.records, 1),
        with(1, 7..50, &part.tally, [&part.records, &part.blocks], 0),
        with(1, 7..50, &part.tally, [&part.records, &part.records], 0),
        result_digest("trial", 1, &part.tally),
        result_digest("trial", 2, &part.tally),
        result_digest("trials", 1, &part.tally),
        result_digest("trial", 1, &other.tally),
    ];
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 14);
}
