//! A cluster of one coordinator and one worker with two threads, against `reseed run --threads 2`:
//! the same patients by the clock on the wall, in turn within each round.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::print;
use crate::processes::{Process, reseed};

pub(crate) fn measure(patients: u64, rounds: usize) -> anyhow::Result<()> {
    let mut measured = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        let (run, digest) = run(folder, patients)?;
        let cluster = cluster(folder, patients)?;
        if digest_of(folder, "store/result.h5")? != digest {
            bail!("the cluster's digest is another one");
        }
        let values = [
            run,
            cluster.whole,
            cluster.whole / run,
            cluster.first_commit,
        ];
        for (all, value) in measured.iter_mut().zip(values) {
            all.push(value);
        }
    }
    let [run, cluster, ratio, first_commit] = measured;
    let millions = patients as f64 / 1e6;
    print(
        &format!("`reseed run --threads 2`, {millions} million patients"),
        "s",
        &run,
        None,
    );
    print(
        "cluster of a coordinator and a worker with 2 threads",
        "s",
        &cluster,
        None,
    );
    print(
        "its time over that of the run",
        "ratio",
        &ratio,
        Some(("≤ 1.03", |r| r <= 1.03)),
    );
    print(
        "from the coordinator's start to the first committed shard",
        "s",
        &first_commit,
        Some(("< 2", |seconds| seconds < 2.0)),
    );
    Ok(())
}

/// Time of the run, s, and its digest.
fn run(folder: &Path, patients: u64) -> anyhow::Result<(f64, String)> {
    let begin = Instant::now();
    let line = format!("run breast --patients {patients} --threads 2 --out run.h5 --no-progress");
    Process::start(folder, &line)?.end()?;
    let seconds = begin.elapsed().as_secs_f64();
    Ok((seconds, digest_of(folder, "run.h5")?))
}

struct Times {
    whole: f64,
    first_commit: f64,
}

/// Times from the coordinator's start, s, to the end of all processes and to the first part.
fn cluster(folder: &Path, patients: u64) -> anyhow::Result<Times> {
    let begin = Instant::now();
    let line = format!(
        "coordinate breast --patients {patients} --store store --listen 127.0.0.1:0 --no-progress"
    );
    let (coordinator, url) = Process::coordinator(folder, &line)?;
    let worker = Process::start(folder, &format!("work --connect {url} --threads 2"))?;
    let parts = folder.join("store/parts");
    while fs::read_dir(&parts)?.next().is_none() {
        thread::sleep(Duration::from_millis(2));
    }
    let first_commit = begin.elapsed().as_secs_f64();
    coordinator.end()?;
    worker.end()?;
    let whole = begin.elapsed().as_secs_f64();
    Ok(Times {
        whole,
        first_commit,
    })
}

fn digest_of(folder: &Path, file: &str) -> anyhow::Result<String> {
    let mut command = reseed(folder, &format!("digest {file}"));
    let output = command.stdout(std::process::Stdio::piped()).output()?;
    Ok(String::from_utf8(output.stdout)?)
}
