//! Namespaces of the kernel: a network and disks that only some processes see.
//!
//! They have no names and no files, so nothing of them is left when their processes have ended,
//! and tests do not meet. No rights are needed where users may have namespaces of their own.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::bench::Bench;

/// A process that keeps namespaces of its own. It ends when its standard input does, so also
/// when the test is killed.
pub(crate) struct Den {
    keeper: Child,
    /// What it has of its own besides users, as options name it.
    own: &'static str,
    folder: PathBuf,
}

impl Drop for Den {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

impl Den {
    /// A network of its own, prepared by a script of the shell; `None`, and why on standard
    /// error, if the machine has none to give.
    pub(crate) fn network(bench: &Bench, script: &str) -> Option<Self> {
        Self::keep(bench, unshare_users(), "--net", script)
    }

    /// Another network among the same users.
    pub(crate) fn neighbour(&self, bench: &Bench, script: &str) -> Option<Self> {
        Self::keep(bench, self.enter("unshare"), "--net", script)
    }

    /// Disks of its own, likewise.
    pub(crate) fn disks(bench: &Bench, script: &str) -> Option<Self> {
        Self::keep(bench, unshare_users(), "--mount", script)
    }

    fn keep(bench: &Bench, mut unshare: Command, own: &'static str, script: &str) -> Option<Self> {
        let script = format!("set -e\n{script}\necho ready\nexec cat");
        let keeper = unshare
            .args([own, "sh", "-c", &script])
            .current_dir(bench.path("."))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let keeper = keeper.map_err(|error| tell(&error.to_string())).ok()?;
        let mut den = Self {
            keeper,
            own,
            folder: bench.path(""),
        };
        let mut said = String::new();
        let stdout = den.keeper.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut said).expect("UTF-8");
        if said == "ready\n" {
            return Some(den);
        }
        let stderr = den.keeper.stderr.take().expect("piped");
        let why: Vec<String> = BufReader::new(stderr)
            .lines()
            .map_while(Result::ok)
            .collect();
        tell(&why.join("; "));
        None
    }

    /// A command that runs in here, in the test's folder.
    pub(crate) fn enter(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.keeper.id()))
            .args(["--user", self.own, "--preserve-credentials", "--wd"])
            .arg(program)
            .current_dir(&self.folder);
        command
    }

    /// Runs a script of the shell, which must succeed.
    pub(crate) fn run(&self, script: &str) {
        let output = self.enter("sh").args(["-euc", script]).output();
        let output = output.expect("nsenter, of util-linux");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}");
    }

    /// `reseed LINE` in here.
    pub(crate) fn reseed(&self, line: &str) -> Command {
        let mut command = self.enter(crate::bench::RESEED);
        command.args(line.split_whitespace());
        command
    }

    /// Its process, by which others can find the namespaces.
    pub(crate) fn id(&self) -> u32 {
        self.keeper.id()
    }

    /// A file of the test's folder as it looks from in here.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let seen = self.folder.join(name);
        let seen = seen.strip_prefix("/").expect("absolute");
        Path::new("/proc")
            .join(self.keeper.id().to_string())
            .join("root")
            .join(seen)
    }
}

fn unshare_users() -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user"]);
    unshare
}

/// Says so where the test harness does not keep it to itself.
fn tell(why: &str) {
    // There is nobody left to tell.
    let _ = writeln!(
        io::stderr(),
        "this machine has no namespaces for tests ({why}); what they would show is shown by \
         other means"
    );
}
