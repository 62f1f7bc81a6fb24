//! The real program, as processes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, bail};

/// The program that is measured.
const RESEED: &str = env!("CARGO_BIN_EXE_reseed");
/// Unit of processor times in /proc on Linux, whatever the kernel's own (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// What precedes the URL that a coordinator tells workers.
const INVITATION: &str = "workers: reseed work --connect ";

/// `reseed LINE`, in a folder.
pub(crate) fn reseed(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(RESEED);
    command
        .current_dir(folder)
        .args(line.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// A process that ends with the measurement.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(folder: &Path, line: &str) -> anyhow::Result<Self> {
        Ok(Self(reseed(folder, line).spawn()?))
    }

    /// Starts a coordinator and waits for the URL that it tells workers.
    pub(crate) fn coordinator(folder: &Path, line: &str) -> anyhow::Result<(Self, String)> {
        let mut process = Self::start(folder, line)?;
        let stderr = process.0.stderr.take().context("stderr is piped")?;
        let mut lines = BufReader::new(stderr).lines();
        for line in lines.by_ref() {
            let line = line?;
            if let Some((_, url)) = line.split_once(INVITATION) {
                let url = url.to_owned();
                // Whoever does not read what a process says stops it when the pipe is full.
                thread::spawn(move || lines.for_each(drop));
                return Ok((process, url));
            }
        }
        bail!("the coordinator ended")
    }

    /// Waits for its end, which must be a success.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        let status = self.0.wait()?;
        if status.success() {
            Ok(())
        } else {
            bail!("a process ended with {status}")
        }
    }

    /// Processor time so far, s.
    pub(crate) fn processor_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // Behind the name, which may have spaces.
        let (_, fields) = stat.rsplit_once(") ").context("a process has a name")?;
        let ticks = |at: usize| {
            fields
                .split(' ')
                .nth(at)
                .and_then(|text| text.parse::<f64>().ok())
        };
        let ticks = ticks(11).zip(ticks(12)).context("a process has times")?;
        Ok((ticks.0 + ticks.1) / TICKS_PER_SECOND)
    }

    /// A line of what the kernel says of its memory, such as `VmRSS`, MB.
    pub(crate) fn memory_mb(&self, line: &str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let found = status.lines().find_map(|found| found.strip_prefix(line));
        let kilobytes = found.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kilobytes.context("a process has memory")? / 1e3)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
