//! Files that somebody or something has damaged: never a crash, never a wrong answer.

use std::fs;
use std::path::{Path, PathBuf};

use hdf5::types::VarLenUnicode;
use reseed_results::{ResultsError, read_part, read_records, read_result, write_result};
use reseed_stats::Tally;

use crate::common::{Numbers, SEAL, commit, layout, part, seal, tamper};

struct Files {
    dir: tempfile::TempDir,
    part: PathBuf,
    result: PathBuf,
}

fn files() -> Files {
    let dir = tempfile::tempdir().unwrap();
    let parts = commit(dir.path(), &layout(2, 3, 24), &[(0, 300)], true);
    let result = dir.path().join("result.h5");
    write_result(&result, &parts, "1", &[]).unwrap();
    Files {
        part: parts[0].clone(),
        result,
        dir,
    }
}

/// Reads a file as what it was, in every way.
fn read(path: &Path, is_part: bool) -> Result<Tally, ResultsError> {
    read_records(path, None)?;
    if is_part {
        Ok(read_part(path)?.tally)
    } else {
        Ok(read_result(path)?.tally)
    }
}

fn is_refusal(error: &ResultsError) -> bool {
    matches!(
        error,
        ResultsError::Damaged { .. } | ResultsError::Kind { .. }
    )
}

#[test]
fn every_cut_is_noticed() {
    let files = files();
    let damaged = files.dir.path().join("damaged.h5");
    for (path, is_part) in [(&files.part, true), (&files.result, false)] {
        let bytes = fs::read(path).unwrap();
        let near_end = bytes.len() - 2 * SEAL..bytes.len();
        for length in (0..bytes.len()).step_by(997).chain(near_end) {
            fs::write(&damaged, &bytes[..length]).unwrap();
            let error = read(&damaged, is_part).unwrap_err();
            assert!(is_refusal(&error), "{length}: {error}");
        }
        fs::write(&damaged, [&bytes[..], b"\0"].concat()).unwrap();
        assert!(is_refusal(&read(&damaged, is_part).unwrap_err()));
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let files = files();
    let damaged = files.dir.path().join("damaged.h5");
    let mut numbers = Numbers(1);
    for (path, is_part) in [(&files.part, true), (&files.result, false)] {
        let mut bytes = fs::read(path).unwrap();
        let ends = (0..100).chain(bytes.len() - 2 * SEAL..bytes.len());
        let inside: Vec<usize> = (0..300).map(|_| numbers.below(bytes.len())).collect();
        for at in ends.chain(inside) {
            let bit = 1 << numbers.below(8);
            bytes[at] ^= bit;
            fs::write(&damaged, &bytes).unwrap();
            let error = read(&damaged, is_part).unwrap_err();
            assert!(is_refusal(&error), "{at}: {error}");
            bytes[at] ^= bit;
        }
    }
}

/// Whoever damages a file on purpose can seal it again, and then the HDF5 library sees it. It
/// must come through, and what is read must be what was written or an error.
#[test]
fn flipped_bits_under_a_new_seal_do_no_harm() {
    let files = files();
    let damaged = files.dir.path().join("damaged.h5");
    let expected = part(&layout(2, 3, 24), 0..300, false).tally;
    let mut numbers = Numbers(2);
    let mut refused = 0;
    for (path, is_part) in [(&files.part, true), (&files.result, false)] {
        let bytes = fs::read(path).unwrap();
        let mut data = bytes[..bytes.len() - SEAL].to_vec();
        for _ in 0..1500 {
            let (at, bit) = (numbers.below(data.len()), 1 << numbers.below(8));
            data[at] ^= bit;
            fs::write(&damaged, seal(&data)).unwrap();
            match read(&damaged, is_part) {
                Ok(tally) => assert_eq!(tally, expected, "byte {at}"),
                Err(_) => refused += 1,
            }
            data[at] ^= bit;
        }
    }
    assert!(refused > 300, "only {refused} of 3000 flips mattered");
}

#[test]
fn cells_changed_under_a_new_seal_are_noticed() {
    let files = files();
    let original = fs::read(&files.result).unwrap();
    let expect = |problem: &str, change: &dyn Fn(&hdf5::File)| {
        fs::write(&files.result, &original).unwrap();
        tamper(&files.result, change);
        let error = read_result(&files.result).unwrap_err();
        assert!(matches!(error, ResultsError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    };
    let set = |file: &hdf5::File, name: &str, change: fn(&mut Vec<u64>)| {
        let dataset = file.dataset(name).unwrap();
        let mut values = dataset.read_raw::<u64>().unwrap();
        let shape = dataset.shape();
        change(&mut values);
        let view = ndarray::ArrayViewD::from_shape(shape, &values).unwrap();
        dataset.write(view).unwrap();
    };
    expect("enrolled and first events", &|file| {
        set(file, "tally/first_event", |cells| cells[0] += 1);
    });
    expect("have digest", &|file| {
        set(file, "tally/ticks", |cells| cells[0] += 1);
    });
    expect("do not agree", &|file| {
        set(file, "ranges", |cells| cells[1] += 1);
    });
    expect("do not agree", &|file| {
        set(file, "provenance/shards/rows", |cells| cells[0] += 1);
    });
    expect("have digest", &|file| {
        file.attr("seed").unwrap().write_scalar(&1u64).unwrap();
    });
    expect("first_event has shape", &|file| {
        file.unlink("time/edges_days").unwrap();
        let edges = [0.0, 1.0];
        let builder = file.new_dataset_builder().with_data(&edges);
        builder.create("time/edges_days").unwrap();
    });
    expect("is not of type", &|file| {
        file.unlink("tally/enrolled").unwrap();
        let builder = file.new_dataset_builder().with_data(&[1i32, 2]);
        builder.create("tally/enrolled").unwrap();
    });
    expect("has shape", &|file| {
        // Terabytes, but nobody has to hold them.
        file.unlink("tally/enrolled").unwrap();
        let builder = file.new_dataset::<u64>().chunk(1024).shape(1usize << 40);
        builder.create("tally/enrolled").unwrap();
    });
    expect("arms has shape", &|file| {
        file.unlink("arms").unwrap();
        let builder = file.new_dataset::<hdf5::types::VarLenUnicode>();
        builder
            .chunk(1024)
            .shape(1usize << 40)
            .create("arms")
            .unwrap();
    });
    expect("trial", &|file| file.unlink("trial").unwrap());
}

/// Whoever seals a file anew can make HDF5 look elsewhere, or for long, or take much memory.
#[test]
fn a_part_that_asks_for_more_than_it_holds_is_refused() {
    let files = files();
    let original = fs::read(&files.part).unwrap();
    let expect = |problem: &str, change: &dyn Fn(&hdf5::File)| {
        fs::write(&files.part, &original).unwrap();
        tamper(&files.part, change);
        let error = read_part(&files.part).unwrap_err();
        assert!(matches!(error, ResultsError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    };
    let replace = |file: &hdf5::File, name: &str, chunk: usize, rows: usize| {
        let words = file.dataset(name).unwrap();
        let text = |name: &str| words.attr(name).unwrap().read_raw::<u8>();
        let (units, long_name) = (text("units").unwrap(), text("long_name").unwrap());
        file.unlink(name).unwrap();
        let builder = file.new_dataset::<u64>().deflate(9).chunk(chunk);
        let column = builder.shape(rows).create(name).unwrap();
        for (name, value) in [("units", units), ("long_name", long_name)] {
            set_text(&column, name, &value);
        }
    };
    let keep_only_the_index = |file: &hdf5::File| {
        let group = file.group("patients").unwrap();
        group.delete_attr("order").unwrap();
        set_text(&group, "order", b"index\0");
    };
    expect("records of 1152921504606846976 patients", &|file| {
        // They would be read for centuries.
        replace(file, "patients/index", 1024, 1 << 60);
        keep_only_the_index(file);
    });
    expect("index has chunks of more than", &|file| {
        replace(file, "patients/index", 1 << 28, 1 << 28);
    });
    expect("trial is stored in 4096 chunks", &|file| {
        // HDF5 would keep books about every byte.
        file.unlink("trial").unwrap();
        let builder = file.new_dataset::<u8>().chunk(1);
        builder.shape(4096).create("trial").unwrap();
    });
    expect("index is stored through an unusual filter", &|file| {
        file.unlink("patients/index").unwrap();
        let builder = file.new_dataset::<u64>().fletcher32().chunk(8);
        builder.shape(8).create("patients/index").unwrap();
    });
    expect("enrolled has its values in another file", &|file| {
        file.unlink("tally/enrolled").unwrap();
        let builder = file.new_dataset::<u64>().external("elsewhere", 0, 16);
        builder.shape(2).create("tally/enrolled").unwrap();
    });
    expect("enrolled has its values in another file", &|file| {
        file.unlink("tally/enrolled").unwrap();
        let builder = file.new_dataset::<u64>().shape(2);
        let builder = builder.virtual_map("elsewhere.h5", "x", 2, .., 2, ..);
        builder.create("tally/enrolled").unwrap();
    });
    expect("tally is a link", &|file| {
        file.unlink("tally").unwrap();
        file.link_external("elsewhere.h5", "tally", "tally")
            .unwrap();
    });
    expect("names no dataset", &|file| {
        let group = file.group("histograms").unwrap();
        group.delete_attr("order").unwrap();
        set_text(&group, "order", b"/tally/ticks\0");
    });
    expect("worker is not of type", &|file| {
        // HDF5 would allocate what such a text says it needs.
        file.delete_attr("worker").unwrap();
        let text: VarLenUnicode = "ada".parse().unwrap();
        let attribute = file.new_attr::<VarLenUnicode>().create("worker").unwrap();
        attribute.write_scalar(&text).unwrap();
    });
    for (text, problem) in [
        (&b"ada"[..], "worker ends within a text"),
        (b"ada\0eve\0", "worker has 2 texts, not one"),
        (b"", "worker has 0 texts, not one"),
        (b"\xff\0", "worker is not UTF-8"),
    ] {
        expect(problem, &|file| {
            file.delete_attr("worker").unwrap();
            set_text(file, "worker", text);
        });
    }
}

/// Writes the bytes of a text, as parts have them.
fn set_text(at: &hdf5::Location, name: &str, bytes: &[u8]) {
    let attribute = at.new_attr::<u8>().shape([bytes.len()]);
    attribute.create(name).unwrap().write_raw(bytes).unwrap();
}

/// A part has no text that HDF5 would read with as much memory as the text says it needs, and a
/// file that has one is no part before any of its texts is read.
#[test]
fn no_text_of_a_part_has_variable_length() {
    let files = files();
    let bytes = fs::read(&files.part).unwrap();
    assert!(bytes.windows(4).all(|bytes| bytes != b"GCOL"), "no heap");
    let error = read_part(&files.result).unwrap_err().to_string();
    assert!(error.contains("looks like a result"), "{error}");
    tamper(&files.part, |file| {
        file.delete_attr("format").unwrap();
        let text: VarLenUnicode = "reseed-part".parse().unwrap();
        let attribute = file.new_attr::<VarLenUnicode>().create("format").unwrap();
        attribute.write_scalar(&text).unwrap();
    });
    let error = read_part(&files.part).unwrap_err().to_string();
    assert!(error.contains("looks like a result"), "{error}");
}

/// HDF5 itself would go round for ever, or take what a number of the file says.
#[test]
fn heaps_that_would_hold_up_the_library_are_refused() {
    let files = files();
    let bytes = fs::read(&files.result).unwrap();
    let data = &bytes[..bytes.len() - SEAL];
    let heap = data.windows(4).position(|bytes| bytes == b"GCOL").unwrap();
    let expect = |problem: &str, at: usize, change: &[u8]| {
        let mut data = data.to_vec();
        data[at..at + change.len()].copy_from_slice(change);
        fs::write(&files.result, seal(&data)).unwrap();
        let error = read_result(&files.result).unwrap_err();
        assert!(matches!(error, ResultsError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    };
    // The first object becomes a free one of no length.
    let mut endless = [0; 16];
    expect("does not end", heap + 16, &endless);
    endless[0] = 1;
    endless[8..].copy_from_slice(&(1u64 << 40).to_le_bytes());
    expect("is too long", heap + 16, &endless);
    expect("unusual length", 10, &[4]);
}

#[test]
fn a_long_text_that_many_labels_share_is_refused() {
    const LENGTH: u32 = 1_234_567;
    let files = files();
    let long: VarLenUnicode = "x".repeat(LENGTH as usize).parse().unwrap();
    tamper(&files.result, |file| {
        file.unlink("strata").unwrap();
        let builder = file.new_dataset::<VarLenUnicode>().shape(20_000);
        let strata = builder.create("strata").unwrap();
        strata.write_slice(&[long], 0..1).unwrap();
    });
    // Every label refers to the text of the first.
    let bytes = fs::read(&files.result).unwrap();
    let mut data = bytes[..bytes.len() - SEAL].to_vec();
    // An entry is a length and the place of the text.
    let length = LENGTH.to_le_bytes();
    let first = data.windows(4).position(|bytes| bytes == length).unwrap();
    let reference = data[first..first + 16].to_vec();
    for entry in data[first..first + 20_000 * 16].chunks_exact_mut(16) {
        entry.copy_from_slice(&reference);
    }
    fs::write(&files.result, seal(&data)).unwrap();
    let error = read_result(&files.result).unwrap_err().to_string();
    assert!(
        error.contains("the texts of strata are too long"),
        "{error}"
    );
}
