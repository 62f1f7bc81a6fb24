//! Runs the real program in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The program under test.
pub(crate) const RESEED: &str = env!("CARGO_BIN_EXE_reseed");

/// A small trial: the arms of the breast preset, the disease of the benchmarks, so that what is
/// expected does not depend on the preset's numbers, and few patients.
pub(crate) const TRIAL: &str = concat!(
    "name = \"small\"\n",
    include_str!("../../../engine/benches/trial.toml"),
    "patients = 6000\nseed = 11\n"
);

/// The same with two arms, whose parts are written in a third of the time.
const PAIR: &str = concat!(
    "name = \"pair\"\narms_only = [\"control\", \"siltuximab+bms-986253\"]\n",
    include_str!("../../../engine/benches/trial.toml"),
    "patients = 6000\nseed = 11\n"
);

/// A folder with trial files.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        for (name, trial) in [("small.toml", TRIAL), ("pair.toml", PAIR)] {
            fs::write(dir.path().join(name), trial).expect("room for a trial file");
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command of `reseed` in this folder.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = self.program(RESEED);
        command.args(line.split_whitespace());
        command
    }

    /// Another program in this folder.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(self.dir.path());
        command
    }

    /// Runs `reseed LINE`.
    pub(crate) fn reseed(&self, line: &str) -> Ended {
        Ended::of(self.command(line).output().expect("the program starts"))
    }

    /// Runs `reseed LINE`, which must succeed.
    pub(crate) fn ok(&self, line: &str) -> Ended {
        let ended = self.reseed(line);
        assert_eq!(ended.exit, Some(0), "reseed {line}\n{}", ended.stderr);
        ended
    }

    /// Runs `reseed LINE`, which must fail so, and say all of this.
    pub(crate) fn fails(&self, line: &str, exit: i32, says: &[&str]) -> Ended {
        let ended = self.reseed(line);
        ended.check(line, exit, says);
        ended
    }

    pub(crate) fn digest(&self, file: &str) -> String {
        let printed = self.ok(&format!("digest {file}")).stdout;
        let line = printed.trim_end();
        assert!(
            line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit()),
            "{printed:?} is no digest"
        );
        assert_eq!(printed.lines().count(), 1);
        line.to_owned()
    }

    /// Digest of the small trial, computed in one go.
    pub(crate) fn golden(&self) -> String {
        self.golden_of("small.toml")
    }

    /// Digest of a trial, computed in one go with these options.
    pub(crate) fn golden_of(&self, trial: &str) -> String {
        self.ok(&format!("run {trial} --out golden.h5 --threads 1"));
        self.digest("golden.h5")
    }

    /// Starts `reseed LINE` and waits until it has committed at least so many parts.
    pub(crate) fn start(&self, line: &str, store: &str, parts: usize) -> Child {
        let are_there = || count_parts(&self.path(store)) >= parts;
        self.start_and_await(line, &format!("{parts} parts"), are_there)
    }

    /// Starts the program and waits until it has written a file.
    pub(crate) fn start_until(&self, line: &str, file: &str) -> Child {
        self.start_and_await(line, file, || self.path(file).exists())
    }

    fn start_and_await(&self, line: &str, what: &str, is_there: impl Fn() -> bool) -> Child {
        let mut child = self
            .command(line)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let begin = Instant::now();
        while !is_there() {
            let ended = child.try_wait().expect("a child");
            assert_eq!(ended, None, "it ended before there was {what}");
            assert!(begin.elapsed() < Duration::from_mins(1), "no {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
        child
    }
}

/// Parts in the store at `store`.
pub(crate) fn count_parts(store: &Path) -> usize {
    let Ok(entries) = fs::read_dir(store.join("parts")) else {
        return 0;
    };
    let finished = |path: &Path| path.extension().is_some_and(|extension| extension == "h5");
    entries
        .flatten()
        .filter(|entry| finished(&entry.path()))
        .count()
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            exit: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    pub(crate) fn check(&self, line: &str, exit: i32, says: &[&str]) {
        assert_eq!(self.exit, Some(exit), "reseed {line}\n{}", self.stderr);
        for text in says {
            assert!(
                self.stderr.contains(text),
                "reseed {line} does not say {text:?} but\n{}",
                self.stderr
            );
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("JSON on stdout")
    }
}

/// Sends a signal to a process that this test started.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .expect("kill");
    assert!(status.success());
}
