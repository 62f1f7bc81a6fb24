//! A launched run, and what it must come to.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::lab::{
    RESEED, RUN_TIME_MAX, Waiting, computed, count_parts, digest, result_of, wait_for,
    wait_for_more_parts,
};

/// Patients of a run in whose middle something can be done.
const PATIENTS: u64 = 350_000;
/// Patients of a run that takes longer than jobs of a minute have.
const LONG_PATIENTS: u64 = 1_400_000;

/// The digests of `reseed run`.
#[derive(Debug, Default)]
pub(crate) struct Golden {
    digest: OnceLock<String>,
    long_digest: OnceLock<String>,
}

impl Golden {
    pub(crate) fn digest(&self) -> String {
        self.digest.get_or_init(|| computed(PATIENTS)).clone()
    }

    pub(crate) fn long_digest(&self) -> String {
        self.long_digest
            .get_or_init(|| computed(LONG_PATIENTS))
            .clone()
    }
}

/// A run in a folder of its own, which the cluster sees.
pub(crate) struct Run<'a> {
    cluster: &'a Cluster,
    golden: String,
    patients: u64,
    folder: TempDir,
    job: RefCell<String>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(cluster: &'a Cluster, golden: &Golden) -> Self {
        Self::of(cluster, golden.digest(), PATIENTS)
    }

    pub(crate) fn long(cluster: &'a Cluster, golden: &Golden) -> Self {
        Self::of(cluster, golden.long_digest(), LONG_PATIENTS)
    }

    fn of(cluster: &'a Cluster, golden: String, patients: u64) -> Self {
        Self {
            cluster,
            golden,
            patients,
            folder: tempfile::tempdir().expect("a folder for temporary files"),
            job: RefCell::default(),
        }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("breast.store")
    }

    /// Launches it and returns at once.
    pub(crate) fn launch(&self, options: &str) {
        let job = self.login(&format!(
            "launch slurm breast --patients {} {options}",
            self.patients
        ));
        self.job.replace(job.trim().to_owned());
    }

    /// Starts a launch that waits for the run's end.
    pub(crate) fn start(&self, options: &str) -> Waiting {
        let line = format!("launch slurm breast --patients {} {options}", self.patients);
        let mut command = self.cluster.lab.command(self.folder.path(), RESEED);
        command.args(line.split_whitespace());
        Waiting::start(command)
    }

    /// What `reseed LINE` prints on the login node.
    pub(crate) fn login(&self, line: &str) -> String {
        let mut command = self.cluster.lab.command(self.folder.path(), RESEED);
        let output = command.args(line.split_whitespace()).output();
        let output = output.expect("nsenter, of util-linux");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "reseed {line}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Number of the last job of this run; of all that are there if it was started.
    pub(crate) fn job(&self) -> String {
        let known = self.job.borrow().clone();
        if !known.is_empty() {
            return known;
        }
        let jobs = self.cluster.lab.shell("squeue --noheader --format=%A,%F");
        let array = jobs.lines().last().and_then(|line| line.split(',').nth(1));
        array.expect("a job in the queue").to_owned()
    }

    /// Waits for some more parts. The run must not be over then.
    pub(crate) fn is_under_way(&self) {
        wait_for_more_parts(&self.store());
    }

    pub(crate) fn parts(&self) -> usize {
        count_parts(&self.store())
    }

    pub(crate) fn has_result(&self) -> bool {
        result_of(&self.store()).exists()
    }

    /// Waits until the job has ended well, with the right result.
    pub(crate) fn completes(&self) {
        wait_for("the job ends", RUN_TIME_MAX, || {
            match self.state().as_str() {
                "COMPLETED" => true,
                state @ ("FAILED" | "CANCELLED" | "TIMEOUT" | "NODE_FAIL") => {
                    panic!("the job ended with {state}:\n{}", self.log())
                }
                _ => false,
            }
        });
        self.is_golden();
    }

    pub(crate) fn is_golden(&self) {
        assert_eq!(digest(&result_of(&self.store())), self.golden);
    }

    pub(crate) fn state(&self) -> String {
        self.field("JobState")
    }

    /// How often Slurm started it again.
    pub(crate) fn restarts(&self) -> u32 {
        self.field("Restarts").parse().expect("a number")
    }

    fn field(&self, name: &str) -> String {
        let job = self.job();
        let shown = self
            .cluster
            .lab
            .shell(&format!("scontrol show job --oneliner {job}"));
        let mut words = shown.split_whitespace();
        let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value
            .unwrap_or_else(|| panic!("no {name} in {shown}"))
            .to_owned()
    }

    pub(crate) fn log(&self) -> String {
        self.log_of(&self.job())
    }

    pub(crate) fn log_of(&self, job: &str) -> String {
        fs::read_to_string(self.store().join(format!("launch/{job}.log"))).unwrap_or_default()
    }
}

impl Drop for Run<'_> {
    /// A test that failed leaves nothing to the next one.
    fn drop(&mut self) {
        self.cluster.lab.shell("scancel --quiet --user=root");
    }
}
