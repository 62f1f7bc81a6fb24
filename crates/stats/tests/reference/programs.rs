//! Running R and Python, and the patients as they pass between them and us.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The folder with the scripts.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

/// What an R script prints.
pub(crate) fn r(script: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("Rscript");
    command.arg(folder().join(script)).args(arguments);
    run(command, input)
}

/// What lifelines finds in these patients.
pub(crate) fn lifelines(patients: &str) -> String {
    let own = folder().join("../../../../target/python-tools");
    let set = env::var_os("PYTHONPATH").unwrap_or_default();
    let path = env::join_paths([own].into_iter().chain(env::split_paths(&set))).unwrap();
    let mut command = Command::new("python3");
    command
        .arg(folder().join("reference.py"))
        .env("PYTHONPATH", path);
    run(command, patients)
}

fn run(mut command: Command, input: &str) -> String {
    const HELP: &str = "this test needs R with survival, cmprsk, riskRegression and pec, and Python with lifelines: \
                        run it with deploy/with-tools --tests";
    let spawned = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}; {HELP}"));
    // A script that ends before it has read everything says why on its standard error.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}; {HELP}");
    String::from_utf8(output.stdout).unwrap()
}

/// A patient: time and status, 0 for censoring or the number of a cause, once per life.
pub(crate) struct Record {
    pub(crate) lives: Vec<(f64, usize)>,
    pub(crate) group: usize,
    pub(crate) stratum: usize,
}

pub(crate) struct Records(pub(crate) Vec<Record>);

impl Records {
    pub(crate) fn read(text: &str) -> Self {
        let mut lines = text.lines();
        let paired = lines.next().expect("a header").contains("second_time");
        let records = lines.map(|line| {
            let values: Vec<f64> = line
                .split(',')
                .map(|v| v.parse().expect("a number"))
                .collect();
            let whole = |value: f64| format!("{value}").parse::<usize>().expect("a whole number");
            let lives = values.chunks(2).take(1 + usize::from(paired));
            let last = |index: usize| if paired { 0 } else { whole(values[index]) };
            Record {
                lives: lives.map(|life| (life[0], whole(life[1]))).collect(),
                group: last(2),
                stratum: last(3),
            }
        });
        Self(records.collect())
    }
}
