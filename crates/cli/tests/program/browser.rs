//! A headless Chromium, driven by the DevTools protocol over pipes.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest time for anything.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A browser with one page, and what has happened there.
pub(crate) struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last_command: u64,
    session: Option<String>,
    /// Messages on the console, exceptions, and refusals by the page's security policy.
    pub(crate) complaints: Vec<String>,
    /// Addresses that were asked for.
    pub(crate) requests: Vec<String>,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// Starts the browser that `deploy/with-tools --tests` names, with an empty page.
    pub(crate) fn start() -> Self {
        let program = env::var("CHROME")
            .ok()
            .filter(|program| !program.is_empty());
        let program = program.expect(
            "there is no browser: run the tests with `deploy/with-tools --tests`, or name the \
             program of Chromium or Chrome in the variable CHROME",
        );
        let profile = tempfile::tempdir().expect("room");
        // It reads commands from descriptor 3 and writes to 4.
        let mut process = Command::new("sh")
            .args([
                "-c",
                "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
                "sh",
            ])
            .arg(&program)
            .args(["--headless", "--remote-debugging-pipe", "--no-sandbox"])
            .args(["--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--no-default-browser-check"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let commands = process.stdin.take().expect("piped");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while output
                .read_until(0, &mut bytes)
                .is_ok_and(|length| length > 0)
            {
                bytes.pop();
                let message = serde_json::from_slice(&bytes).expect("JSON");
                if sender.send(message).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let mut browser = Self {
            process,
            commands,
            messages,
            last_command: 0,
            session: None,
            complaints: Vec::new(),
            requests: Vec::new(),
            _profile: profile,
        };
        let page = browser.command("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = browser.command(
            "Target.attachToTarget",
            &json!({"targetId": page["targetId"], "flatten": true}),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime", "Log", "Network", "Page"] {
            browser.command(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Opens a page.
    pub(crate) fn open(&mut self, url: &str) {
        let opened = self.command("Page.navigate", &json!({"url": url}));
        assert_eq!(opened["errorText"], Value::Null, "{url}");
        self.until("document.readyState === 'complete'");
    }

    /// Value of an expression of JavaScript on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let arguments = json!({"expression": expression, "returnByValue": true});
        let result = self.command("Runtime.evaluate", &arguments);
        let exception = &result["exceptionDetails"];
        assert!(exception.is_null(), "{expression}: {exception}");
        result["result"]["value"].clone()
    }

    /// Text that the reader sees.
    pub(crate) fn text(&mut self) -> String {
        let text = self.value("document.body.innerText");
        text.as_str().expect("text").to_owned()
    }

    /// Waits until an expression is true, and returns its value.
    pub(crate) fn until(&mut self, expression: &str) -> Value {
        let begin = Instant::now();
        loop {
            let value = self.value(expression);
            if !matches!(value, Value::Null | Value::Bool(false)) && value != json!(0) {
                return value;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "never {expression}; the page says\n{}",
                self.text()
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Sends a command of the DevTools protocol and returns its result.
    pub(crate) fn command(&mut self, method: &str, arguments: &Value) -> Value {
        self.last_command += 1;
        let number = self.last_command;
        let mut command = json!({"id": number, "method": method, "params": arguments});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let bytes = command.to_string() + "\0";
        let sent = self.commands.write_all(bytes.as_bytes());
        sent.unwrap_or_else(|error| panic!("the browser has ended ({error}); does $CHROME run?"));
        loop {
            let message = self.next(method);
            if message["id"] == json!(number) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
        }
    }

    fn next(&mut self, awaited: &str) -> Value {
        let message = self.messages.recv_timeout(PATIENCE);
        let message = message.unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => panic!("the browser does not answer {awaited}"),
            RecvTimeoutError::Disconnected => panic!("the browser ended; does $CHROME run?"),
        });
        let details = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded" => {
                self.complaints.push(details.to_string());
            }
            "Network.requestWillBeSent" => {
                let url = details["request"]["url"].as_str().expect("an address");
                self.requests.push(url.to_owned());
            }
            _ => {}
        }
        message
    }
}
