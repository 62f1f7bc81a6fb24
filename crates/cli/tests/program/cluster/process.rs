//! Processes of a cluster, and waiting for what they do.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::bench::{Bench, count_parts, signal};

/// Longest time that a cluster may take for anything.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Many small shards.
pub(crate) const COORDINATE: &str =
    "coordinate pair.toml --store s --shard-patients 120 --no-progress";

/// Leases that run out soon.
pub(crate) const BRIEF: &str = "--lease-seconds 0.5";

/// A process that dies with the test. What it says is read as it comes, so that a talkative one
/// never waits for a reader.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts `reseed LINE`.
    pub(crate) fn start(bench: &Bench, line: &str) -> Self {
        Self::spawn(bench.command(line))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        let reader = thread::spawn(move || {
            for line in stderr.lines() {
                let line = line.expect("UTF-8") + "\n";
                heard.lock().expect("nobody panics with it").push_str(&line);
            }
        });
        Self {
            child,
            said,
            reader: Some(reader),
        }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().expect("nobody panics with it").clone()
    }

    pub(crate) fn waits_to_say(&mut self, text: &str) {
        until(&format!("word of {text:?}"), || {
            // Asked first, so that its last words are heard.
            let is_silent = self.has_ended() && self.has_been_heard();
            let said = self.said();
            let found = said.contains(text);
            assert!(found || !is_silent, "it ended with\n{said}");
            found
        });
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Whether all it said has been read, which takes a moment longer than its end.
    fn has_been_heard(&self) -> bool {
        let reader = self.reader.as_ref();
        reader.is_none_or(JoinHandle::is_finished)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Kills it as a lost machine would.
    pub(crate) fn kill(mut self) {
        assert!(!self.has_ended(), "it ended by itself:\n{}", self.said());
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// Waits for its end and returns its exit code and what it said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let begin = Instant::now();
        while !self.has_ended() {
            let said = self.said();
            assert!(begin.elapsed() < PATIENCE, "it does not end:\n{said}");
            thread::sleep(LOOK_EVERY);
        }
        let status = self.child.wait().expect("it ended");
        let reader = self.reader.take().expect("ended once");
        reader.join().expect("it only reads");
        (status.code(), self.said())
    }

    /// Waits for its end, which must be so.
    pub(crate) fn ends(self, exit: i32) -> String {
        let (code, said) = self.end();
        assert_eq!(code, Some(exit), "{said}");
        said
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Starts a coordinator on any free port of this machine and waits for the URL that it tells
/// workers.
pub(crate) fn coordinator(bench: &Bench, options: &str) -> (Process, String) {
    announced(Process::start(
        bench,
        &format!("{COORDINATE} --listen 127.0.0.1:0 {options}"),
    ))
}

/// Starts a coordinator where another one was.
pub(crate) fn successor(bench: &Bench, url: &str, options: &str) -> Process {
    let address = url.split_once("//").expect("a URL").1;
    announced(Process::start(
        bench,
        &format!("{COORDINATE} --listen {address} {options}"),
    ))
    .0
}

/// Waits until a coordinator serves, and returns its URL.
pub(crate) fn announced(mut process: Process) -> (Process, String) {
    process.waits_to_say("reseed work --connect ");
    let said = process.said();
    let (_, rest) = said
        .split_once("reseed work --connect ")
        .expect("it was there");
    let url = rest.lines().next().expect("a line").to_owned();
    (process, url)
}

/// Waits until so many parts are committed in the store at `store`.
pub(crate) fn wait_for_parts(store: &Path, parts: usize) {
    until(&format!("{parts} parts"), || count_parts(store) >= parts);
}

/// HDF5 files in a folder and below it, those that are being written left out.
pub(crate) fn part_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            found.extend(part_files(&path));
        } else if path.extension().is_some_and(|end| end == "h5") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Changes one bit in the middle of a file.
pub(crate) fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("it can be written");
}

/// What a coordinator answers to an HTTP request, with its head.
pub(crate) fn get(url: &str, path: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("UTF-8");
    answer
}

/// What `reseed status --json` tells.
pub(crate) fn status(bench: &Bench, url: &str) -> serde_json::Value {
    bench.ok(&format!("status --connect {url} --json")).json()
}

/// Waits until the status is as it should be, and returns it.
pub(crate) fn wait_for_status(
    bench: &Bench,
    url: &str,
    what: &str,
    is_so: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let mut report = serde_json::Value::Null;
    until(what, || {
        report = status(bench, url);
        is_so(&report)
    });
    report
}
