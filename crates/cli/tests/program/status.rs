//! `reseed status` on a terminal of its own.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vt100::Parser;

use crate::bench::{Bench, Ended, RESEED};
use crate::cluster::process::{Process, coordinator, successor};

const PATIENCE: Duration = Duration::from_mins(1);
const LINES: NonZeroU16 = NonZeroU16::new(30).expect("not 0");
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).expect("not 0");

/// A terminal in which `reseed status` runs, followed by a look at what it has done to the
/// terminal.
struct Terminal {
    script: Child,
    shown: Arc<Mutex<Parser>>,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

impl Terminal {
    fn start(bench: &Bench, environment: &str, line: &str) -> Self {
        let command = format!(
            "stty rows {LINES} cols {COLUMNS}; {environment} {RESEED} {line}; echo \"exit $?\"; \
             stty -a"
        );
        let mut script = bench
            .program("script")
            .args(["-qec", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program script (of util-linux)");
        let mut output = script.stdout.take().expect("piped");
        let shown = Arc::new(Mutex::new(Parser::new(LINES, COLUMNS, 0)));
        let screen = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                screen.lock().expect("no panic").process(&bytes[..length]);
            }
        });
        Self {
            script,
            shown,
            reader: Some(reader),
        }
    }

    fn press(&mut self, keys: &str) {
        let stdin = self.script.stdin.as_mut().expect("piped");
        stdin.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Looks at the screen.
    fn look<T>(&self, look: impl Fn(&vt100::Screen) -> T) -> T {
        look(self.shown.lock().expect("no panic").screen())
    }

    /// Whether there is a character on the screen that has a colour.
    fn is_coloured(&self) -> bool {
        self.look(|screen| {
            let line =
                |line| (0..COLUMNS.get()).filter_map(move |column| screen.cell(line, column));
            let mut cells = (0..LINES.get()).flat_map(line);
            cells.any(|cell| cell.fgcolor() != vt100::Color::Default)
        })
    }

    /// Waits until the screen has this text.
    fn until(&self, text: &str) {
        let begin = Instant::now();
        while !self.look(|screen| screen.contents().contains(text)) {
            assert!(
                begin.elapsed() < PATIENCE,
                "never {text:?}, but\n{}",
                self.look(vt100::Screen::contents)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the program has ended, and checks that the terminal is as it was. Returns
    /// what is on it then.
    fn end(mut self) -> String {
        self.until("icanon");
        self.script.wait().expect("it ended");
        self.reader.take().expect("one").join().expect("no panic");
        assert!(!self.look(vt100::Screen::alternate_screen));
        assert!(!self.look(vt100::Screen::hide_cursor));
        let shown = self.look(vt100::Screen::contents);
        assert!(shown.contains("exit 0"), "{shown}");
        let words: Vec<&str> = shown.split_whitespace().collect();
        for word in ["icanon", "echo", "isig"] {
            assert!(words.contains(&word), "no {word} after it:\n{shown}");
        }
        shown
    }
}

/// Enough for people to see something of the run.
const MANY: &str = "--patients 40000";

#[test]
fn the_screen_is_drawn_and_given_back() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "");
    for keys in ["q", "\u{1b}", "\u{3}", "jkG\u{1b}[B\u{1b}[Aq"] {
        let mut terminal = Terminal::start(&bench, "", &format!("status --connect {url}"));
        terminal.until("no worker is connected");
        assert!(terminal.look(vt100::Screen::alternate_screen));
        assert!(terminal.is_coloured());
        terminal.press(keys);
        terminal.end();
    }
}

#[test]
fn a_terminated_status_gives_the_screen_back() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "");
    let environment = "sh -c 'echo $$ > pid; exec \"$@\"' sh";
    let terminal = Terminal::start(&bench, environment, &format!("status --connect {url}"));
    terminal.until("no worker is connected");
    let pid = std::fs::read_to_string(bench.path("pid")).expect("a number");
    let killed = bench.program("kill").args(["-TERM", pid.trim()]).status();
    assert!(killed.expect("kill").success());
    terminal.end();
}

#[test]
fn the_screen_outlives_the_coordinator_and_ends_with_the_run() {
    let bench = Bench::new();
    let (running, url) = coordinator(&bench, MANY);
    let terminal = Terminal::start(&bench, "NO_COLOR=1", &format!("status --connect {url}"));
    terminal.until("no worker is connected");
    running.kill();
    terminal.until("looking for it");
    let successor = successor(&bench, &url, MANY);
    let _worker = Process::start(
        &bench,
        &format!("work --connect {url} --threads 2 --name ada"),
    );
    terminal.until("ada");
    assert!(!terminal.is_coloured());
    assert_eq!(successor.end().0, Some(0));
    let after = terminal.end();
    assert!(after.contains("pair: "), "{after}");
    assert!(
        after.contains("finished, 40,000 of 40,000 patients committed"),
        "{after}"
    );
}

#[test]
fn a_terminal_that_can_do_nothing_gets_plain_text() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "");
    for (environment, options) in [("TERM=dumb", ""), ("", "--once")] {
        let line = format!("status --connect {url} {options}");
        let terminal = Terminal::start(&bench, environment, &line);
        let shown = terminal.end();
        assert!(shown.contains("nothing is computed: no worker"), "{shown}");
        assert!(
            shown.trim_start().starts_with("pair: "),
            "line by line:\n{shown}"
        );
    }
}

/// A run without workers ends as soon as it is cancelled, wherever its followers are between two
/// reports.
#[test]
fn whoever_follows_a_run_hears_of_its_end() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "");
    let follow = |_| {
        std::thread::sleep(Duration::from_millis(200));
        let mut command = bench.command(&format!("status --connect {url} --follow --json"));
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        child.expect("the program starts")
    };
    let followers: Vec<Child> = (0..5).map(follow).collect();
    std::thread::sleep(Duration::from_millis(500));
    bench.ok(&format!("cancel --connect {url} --reason enough"));
    for follower in followers {
        let ended = Ended::of(follower.wait_with_output().expect("a child"));
        assert_eq!(ended.exit, Some(0), "{}", ended.stderr);
        let last = ended.stdout.lines().last().expect("a report");
        let report: serde_json::Value = serde_json::from_str(last).expect("JSON");
        assert_eq!(report["phase"], "failed", "{report}");
        let problem = report["problem"].as_str().expect("text");
        assert!(problem.contains("enough"), "{problem}");
    }
}
