//! What the program says of itself, and the same result on processors that lack what this one has.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bench::{Bench, RESEED};

/// What a program says about itself, by name.
fn details(printed: &str) -> BTreeMap<&str, &str> {
    let lines = printed.lines().skip(1);
    lines
        .map(|line| line.split_once(": ").expect("a name and a value"))
        .collect()
}

/// The commit that is checked out.
fn head() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "HEAD"]);
    let output = git.output().ok()?;
    let text = String::from_utf8(output.stdout).expect("a commit is ASCII");
    output.status.success().then(|| text.trim().to_owned())
}

#[test]
fn a_program_tells_what_it_is_built_from_and_for() {
    let bench = Bench::new();
    let short = bench.ok("--version").stdout;
    let long = bench.ok("--version --verbose").stdout;
    assert_eq!(
        long.lines().next(),
        Some(short.trim_end()),
        "the first line"
    );
    let details = details(&long);
    let commit = details["commit"].trim_end_matches("-dirty");
    // Sources may come without git, or to a machine that has none.
    if let Some(head) = head() {
        assert_eq!(commit, head);
    }
    for name in ["model version", "file format", "protocol revision"] {
        assert!(details[name].parse::<u32>().is_ok(), "{name} in\n{long}");
    }
    assert_eq!(
        details["HDF5"].split('.').count(),
        3,
        "{} is no version",
        details["HDF5"]
    );
    for name in ["features", "target", "target CPU"] {
        assert!(!details[name].is_empty(), "{name} in\n{long}");
    }
    let found: Vec<&str> = details["CPU features found"].split(' ').collect();
    let mut used = details["CPU features used"].split(' ');
    assert!(used.all(|name| found.contains(&name)), "{long}");
    assert_eq!(bench.ok("-V").stdout, short);
    bench.fails("--verbose", 2, &["--version"]);
    bench.fails("--quiet", 2, &["a command is needed"]);
}

#[test]
fn every_command_has_a_manual_page() {
    let bench = Bench::new();
    bench.ok("man pages");
    let pages = fs::read_dir(bench.path("pages")).expect("a folder").count();
    assert!(pages > 20, "{pages} pages");
    for (page, says) in [
        ("reseed.1", "Exit codes"),
        ("reseed-run.1", "Replace an existing result"),
        ("reseed-trial-check.1", "Check a trial file"),
    ] {
        let text = fs::read_to_string(bench.path("pages").join(page)).expect("a page");
        assert!(text.starts_with(".ie") && text.contains(says), "{page}");
    }
    bench.fails(
        "man small.toml",
        4,
        &["cannot write manual pages to small.toml"],
    );
}

#[test]
fn the_examples_are_right() {
    let bench = Bench::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let mut files = 0;
    for entry in fs::read_dir(examples).expect("a folder") {
        let path = entry.expect("an entry").path();
        bench.ok(&format!("trial check {}", path.display()));
        files += 1;
    }
    assert!(files >= 3, "{files} examples");
}

/// A program that is built for every x86-64 processor uses wide and fused instructions where there
/// are, and gives the same bits without them.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_processor_without_wide_and_fused_instructions_gives_the_same_bits() {
    let bench = Bench::new();
    let run = "run small.toml --patients 500 --threads 1 --out";
    bench.ok(&format!("{run} native.h5"));
    for (processor, lacks) in [
        ("qemu64", ["ssse3", "avx2", "fma"].as_slice()),
        ("Nehalem", ["avx", "avx2", "fma"].as_slice()),
    ] {
        let emulated = |line: &str| {
            let output = bench
                .program("qemu-x86_64")
                .args(["-cpu", processor, RESEED])
                .args(line.split(' '))
                .output();
            let output = output.expect(
                "there is no qemu-x86_64: run the tests with `deploy/with-tools --tests`, or \
                 install qemu-user",
            );
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line} on {processor}: {error}");
            String::from_utf8(output.stdout).expect("text")
        };
        let says = emulated("--version --verbose");
        let found: Vec<&str> = details(&says)["CPU features found"].split(' ').collect();
        assert!(!lacks.iter().any(|name| found.contains(name)), "{says}");
        emulated(&format!("{run} {processor}.h5"));
        assert_eq!(
            bench.digest(&format!("{processor}.h5")),
            bench.digest("native.h5"),
            "{processor}"
        );
    }
}

/// The release archive, where one is named: `RESEED_ARCHIVE=FILE.tar.gz`. Unpacked into a clean
/// folder, it runs a small trial and gives the bits of the program under test.
#[test]
#[ignore = "needs an archive made by deploy/release, named by RESEED_ARCHIVE"]
fn an_archive_has_all_that_is_needed() {
    let archive = std::env::var("RESEED_ARCHIVE").expect("RESEED_ARCHIVE names an archive");
    let bench = Bench::new();
    let unpacked = Command::new("tar")
        .args(["--extract", "--gzip", "--strip-components=1", "--file"])
        .arg(&archive)
        .current_dir(bench.path(""))
        .status();
    assert!(unpacked.expect("tar runs").success());
    for file in [
        "share/man/man1/reseed-run.1",
        "share/bash-completion/completions/reseed",
        "share/zsh/site-functions/_reseed",
        "share/fish/vendor_completions.d/reseed.fish",
        "share/reseed/presets/breast.toml",
        "share/reseed/examples/filter.toml",
        "share/doc/reseed/README.md",
        "share/doc/reseed/CHANGELOG.md",
        "share/doc/reseed/LICENSE-MIT",
        "share/doc/reseed/LICENSE-APACHE",
        "share/doc/reseed/THIRD-PARTY-LICENSES.txt",
        "share/doc/reseed/reseed.cdx.json",
    ] {
        let size = fs::metadata(bench.path(file)).map(|file| file.len());
        assert!(size.is_ok_and(|bytes| bytes > 0), "{file}");
    }
    let output = bench
        .program(&bench.path("bin/reseed").display().to_string())
        .env_clear()
        .args(["run", "share/reseed/examples/filter.toml"])
        .args(["--patients", "2000", "--out", "archive.h5"])
        .output()
        .expect("the archive's program starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    bench.ok("run share/reseed/examples/filter.toml --patients 2000 --out here.h5");
    assert_eq!(bench.digest("archive.h5"), bench.digest("here.h5"));
}
