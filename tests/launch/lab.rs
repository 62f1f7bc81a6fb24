//! What the tests on real clusters share: a cluster in namespaces of this machine, and runs on it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const RESEED: &str = env!("CARGO_BIN_EXE_reseed");
/// Parts by which a run is under way.
const PARTS: usize = 3;
pub(crate) const RUN_TIME_MAX: Duration = Duration::from_mins(6);

/// A cluster that a script `lab` has brought up in namespaces. It is there for as long as this is.
pub(crate) struct Lab {
    namespaces: Child,
    /// The first process in them.
    init: u32,
    script: PathBuf,
    folder: PathBuf,
    /// The variable by which commands find the cluster.
    setting: String,
}

impl Lab {
    /// Brings it up in a folder, which the script makes.
    pub(crate) fn up(
        script: PathBuf,
        folder: &Path,
        arguments: &[&OsStr],
        setting: String,
        time_max: Duration,
    ) -> Self {
        // If the test is killed, so is the cluster.
        let mut namespaces = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&script)
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("setpriv, of util-linux");
        let begin = Instant::now();
        while !folder.join("up").exists() {
            let ended = namespaces.try_wait().expect("a child");
            assert_eq!(ended, None, "the cluster did not come up");
            assert!(begin.elapsed() < time_max, "the cluster takes too long");
            thread::sleep(Duration::from_millis(20));
        }
        let id = namespaces.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let init = children.expect("a process").trim().parse();
        Self {
            namespaces,
            init: init.expect("one process is the first in the namespaces"),
            script,
            folder: folder.to_path_buf(),
            setting,
        }
    }

    /// A command of somebody at the cluster, in this folder.
    pub(crate) fn command(&self, folder: &Path, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.init.to_string(), "--all"])
            .args(["env", "--chdir"])
            .arg(folder)
            .args([&self.setting, program]);
        command
    }

    /// What a command line prints; it must succeed.
    pub(crate) fn shell(&self, line: &str) -> String {
        let mut command = self.command("/".as_ref(), "bash");
        let output = command.args(["-c", line]).output();
        let output = output.expect("nsenter, of util-linux");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Cuts a node off from the others, for as long as the cut lives.
    pub(crate) fn cut(&self, node: u32) -> Cut<'_> {
        self.shell(&format!("ip link set node{node} down"));
        Cut { lab: self, node }
    }

    /// Takes the power of a node away, until it is [booted](Self::boot).
    pub(crate) fn lose(&self, node: u32) {
        self.does("lose", node);
    }

    pub(crate) fn boot(&self, node: u32) {
        self.does("boot", node);
    }

    fn does(&self, what: &str, node: u32) {
        // A node's daemons stay, and would keep our pipe open.
        self.shell(&format!(
            "setsid {} {what} {} {node} </dev/null >/dev/null 2>&1",
            self.script.display(),
            self.folder.display()
        ));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Everything inside ends with it.
        let _ = self.namespaces.kill();
        let _ = self.namespaces.wait();
    }
}

pub(crate) struct Cut<'a> {
    lab: &'a Lab,
    node: u32,
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        let node = self.node;
        self.lab.shell(&format!("ip link set node{node} up"));
    }
}

/// The digest of `reseed run` with so many patients.
pub(crate) fn computed(patients: u64) -> String {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let out = folder.path().join("golden.h5");
    let ran = Command::new(RESEED)
        .args(["run", "breast", "--quiet", "--patients"])
        .arg(patients.to_string())
        .arg("--out")
        .arg(&out)
        .status();
    assert!(ran.expect("the program starts").success());
    digest(&out)
}

pub(crate) fn digest(file: &Path) -> String {
    let printed = Command::new(RESEED).arg("digest").arg(file).output();
    let printed = printed.expect("the program starts").stdout;
    String::from_utf8(printed).expect("UTF-8").trim().to_owned()
}

/// Parts in a store.
pub(crate) fn count_parts(store: &Path) -> usize {
    let Ok(entries) = fs::read_dir(store.join("parts")) else {
        return 0;
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter(|name| name.as_encoded_bytes().ends_with(b".h5"))
        .count()
}

pub(crate) fn result_of(store: &Path) -> PathBuf {
    store.join("result.h5")
}

/// Waits for some more parts in a store. The run must not be over then.
pub(crate) fn wait_for_more_parts(store: &Path) {
    let parts = count_parts(store);
    wait_for("more parts", RUN_TIME_MAX, || {
        count_parts(store) >= parts + PARTS
    });
    let is_over = result_of(store).exists();
    assert!(!is_over, "too late: the run is complete");
}

/// A command that waits for the end of a run.
pub(crate) struct Waiting(Child);

impl Waiting {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        Self(command.spawn().expect("nsenter, of util-linux"))
    }

    /// What it has said when it ends so.
    pub(crate) fn ends(self, exit: i32) -> String {
        let output = self.0.wait_with_output().expect("a child");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(exit), "{said}");
        said
    }
}

/// Waits until something is so.
pub(crate) fn wait_for(what: &str, time_max: Duration, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(
            begin.elapsed() < time_max,
            "not within {time_max:?}: {what}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// Does a test and prints how long it took.
pub(crate) fn timed(name: &str, test: impl FnOnce()) {
    let begin = Instant::now();
    test();
    eprintln!("{name}: {:.1} s", begin.elapsed().as_secs_f64());
}
