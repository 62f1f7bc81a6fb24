//! The coordinator's page, as browsers and others see it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::bench::Bench;
use crate::browser::Browser;
use crate::cluster::process::{Process, coordinator, successor};

/// Patients that the page says are committed.
const COMMITTED: &str = "Number(document.querySelector('.figures .main dd').lastChild
    .textContent.split(' of ')[0].replaceAll(',', ''))";
/// Points of the plotted line.
const POINTS: &str = "(document.querySelector('.plot .line')?.getAttribute('d')
    .match(/[ML]/g) ?? []).length";

#[test]
fn a_browser_sees_the_run_go_on_and_end() {
    let bench = Bench::new();
    let (running, url) = coordinator(&bench, "--patients 40000");
    let mut browser = Browser::start();
    browser.open(&url);
    let text = browser.text();
    assert!(text.contains("no worker is connected"), "{text}");
    assert!(text.contains("0 of 40,000"), "{text}");
    assert_eq!(browser.value(POINTS), 0);

    // Whatever the reader has chosen must outlive what changes around it.
    browser.value("window.chosen = document.querySelector('h1').firstChild, 1");
    let worker = Process::start(
        &bench,
        &format!("work --connect {url} --threads 1 --name ada"),
    );
    let points = browser.until(POINTS).as_u64();
    let committed = browser.value(COMMITTED).as_u64();
    assert!(committed > Some(0));
    let text = browser.text();
    for words in [
        "ada",
        "points (95 % interval",
        "against control",
        "patients/s",
    ] {
        assert!(text.contains(words), "no {words} in\n{text}");
    }
    assert!(!text.contains("no worker is connected"), "{text}");
    browser.until(&format!("{COMMITTED} > {}", committed.unwrap_or(0)));
    browser.until(&format!("{POINTS} > {}", points.unwrap_or(0)));
    browser.until("document.querySelector('.plot .line').getBBox().width > 100");
    assert_eq!(browser.value("window.chosen.isConnected"), true);

    let (code, said) = running.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(worker.end().0, Some(0));
    browser.until("document.querySelector('header').dataset.end === 'finished'");
    let text = browser.text();
    assert!(text.contains("40,000 of 40,000"), "{text}");
    assert!(text.contains("The run has ended"), "{text}");
    // Time for it to look for the coordinator, which is gone, if it did not know better.
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!browser.text().contains("has not been reached"), "{text}");
    assert_eq!(browser.complaints, [""; 0]);
    let elsewhere = browser
        .requests
        .iter()
        .find(|asked| !asked.starts_with(&url));
    assert_eq!(elsewhere, None, "{:?}", browser.requests);
    assert!(
        browser
            .requests
            .iter()
            .any(|asked| asked.ends_with("/events"))
    );
}

#[test]
fn a_browser_says_since_when_it_has_lost_the_coordinator_and_finds_its_successor() {
    let bench = Bench::new();
    let (running, url) = coordinator(&bench, "");
    let mut browser = Browser::start();
    browser.open(&url);
    browser.until("document.querySelector('.figures')");
    running.kill();
    browser.until("document.body.innerText.includes('has not been reached since')");
    let _successor = successor(&bench, &url, "");
    browser.until("!document.body.innerText.includes('has not been reached since')");
}

#[test]
fn a_hostile_name_of_a_worker_is_only_text() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "--patients 200000");
    let hostile = "<script>hacked=1</script><img/src=x/onerror=hacked=1>";
    let _worker = Process::start(
        &bench,
        &format!("work --connect {url} --threads 1 --name {hostile}"),
    );
    let mut browser = Browser::start();
    browser.open(&url);
    // Once as the coordinator sends it first, once as the script takes it over.
    browser.until(&format!("document.body.innerText.includes('{hostile}')"));
    browser.open(&url);
    let committed = browser.value(COMMITTED);
    browser.until(&format!("{COMMITTED} > {committed}"));
    let text = browser.text();
    assert!(text.contains(hostile), "{text}");
    assert_eq!(browser.value("typeof hacked"), "undefined");
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn a_browser_comes_in_with_the_token_as_its_password() {
    let bench = Bench::new();
    bench.ok("keys keys");
    let (_running, url) = coordinator(&bench, "--token keys/token");
    let token = fs::read_to_string(bench.path("keys/token")).expect("a token");
    let host = url.trim_start_matches("http://").to_owned();
    let refused = http(&host, "GET / HTTP/1.1", "");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(
        refused.contains("www-authenticate: Basic realm="),
        "{refused}"
    );
    assert!(!refused.contains("<html"), "{refused}");

    let mut browser = Browser::start();
    browser.open(&format!("http://ada:{}@{host}/", token.trim()));
    browser.until("document.querySelector('.figures')");
    let running = "document.querySelectorAll('.figures b')[4].textContent";
    let before = browser.value(running);
    browser.until(&format!("{running} !== {before}"));
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn every_answer_forbids_what_the_page_does_not_need() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "");
    let host = url.trim_start_matches("http://");
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/status.json", "application/json"),
        (
            "/metrics",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ] {
        let answer = http(host, &format!("GET {path} HTTP/1.1"), "");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        for line in [
            &format!("content-type: {kind}"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; \
             connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-store",
        ] {
            let found = head.lines().filter(|found| found == &line).count();
            assert_eq!(found, 1, "{path}: {line}\n{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        assert!(!body.is_empty(), "{path}");
    }
}

/// A page of anybody, open in a browser on the coordinator's machine, must not be able to end
/// the run.
#[test]
fn pages_of_others_can_neither_read_nor_call() {
    let bench = Bench::new();
    let (_running, url) = coordinator(&bench, "");
    let host = url.trim_start_matches("http://");
    let cancel = "POST /reseed.v1.Coordinator/Cancel HTTP/1.1";
    let call = "content-type: text/plain\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0";
    let answer = http(
        host,
        cancel,
        &format!("origin: http://evil.example\r\n{call}"),
    );
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("from a web page"), "{answer}");
    let answer = http(
        "evil.example",
        &format!("GET / HTTP/1.1\r\nx-to: {host}"),
        "",
    );
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let report = bench.ok(&format!("status --connect {url} --json")).json();
    assert_eq!(report["phase"], "running");
    // The same call by a program goes through.
    let answer = http(host, cancel, call);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Asks in plain HTTP/1.1. The host of the request is that of the connection, unless the
/// request says `x-to`.
fn http(host: &str, request: &str, rest: &str) -> String {
    let to = request.split_once("x-to: ").map_or(host, |(_, to)| to);
    let mut stream = TcpStream::connect(to).expect("a coordinator");
    let end = if rest.contains("\r\n\r\n") {
        ""
    } else {
        "\r\n"
    };
    let text = format!("{request}\r\nhost: {host}\r\nconnection: close\r\n{rest}{end}");
    stream.write_all(text.as_bytes()).expect("a connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("UTF-8");
    answer
}
