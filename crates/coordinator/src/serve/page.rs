//! The page for browsers: a report as HTML.
//!
//! The coordinator makes all of it, numbers and plot included, so that a browser without scripts
//! sees the state of the moment, and words are the same as on a terminal. The script only takes
//! over what [`changing`] says anew. Text from workers and trial files is escaped by the
//! templates.

use askama::Template;
use reseed_protocol::status::StatusReport;
use reseed_protocol::words;

use super::plot::Plot;

/// Takes over what is new.
pub(crate) const SCRIPT: ([(&str, &str); 1], &str) = (
    [("content-type", "text/javascript; charset=utf-8")],
    include_str!("../../templates/page.js"),
);

/// How it looks.
pub(crate) const STYLE: ([(&str, &str); 1], &str) = (
    [("content-type", "text/css; charset=utf-8")],
    include_str!("../../templates/style.css"),
);

/// A cell that comes home.
pub(crate) const ICON: ([(&str, &str); 1], &str) = (
    [("content-type", "image/svg+xml")],
    include_str!("../../templates/icon.svg"),
);

/// The page as a browser gets it first.
pub(crate) fn whole(report: &StatusReport) -> askama::Result<String> {
    Whole {
        title: title(report),
        changing: changing(report)?,
    }
    .render()
}

/// The part of it that changes.
pub(crate) fn changing(report: &StatusReport) -> askama::Result<String> {
    Changing {
        title: title(report),
        percent: words::percent(report.patients_committed, report.patients),
        committed: length(report.patients_committed, report.patients),
        done: length(
            report.patients_committed + report.patients_under_way,
            report.patients,
        ),
        plot: Plot::of(&report.history),
        report,
    }
    .render()
}

/// What a browser shows on its tab.
fn title(report: &StatusReport) -> String {
    let state = match report.problem {
        Some(_) => "problem".to_owned(),
        None if report.phase.is_end() => report.phase.to_string(),
        None => words::percent(report.patients_committed, report.patients),
    };
    format!("{state} – {}", report.trial)
}

#[derive(Template)]
#[template(path = "index.html")]
struct Whole {
    title: String,
    /// HTML.
    changing: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Changing<'a> {
    title: String,
    report: &'a StatusReport,
    percent: String,
    /// Length in the bar.
    committed: String,
    /// Length in the bar with what is under way.
    done: String,
    plot: Option<Plot>,
}

/// Length of a part in a bar that is 1000 long.
fn length(part: u64, whole: u64) -> String {
    let share = part as f64 / whole.max(1) as f64;
    format!("{:.1}", 1000.0 * share.min(1.0))
}

/// Words for numbers, of which templates give references.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "templates pass everything by reference"
)]
mod say {
    use reseed_protocol::words;

    pub(super) fn grouped(number: &u64) -> String {
        words::grouped(*number)
    }

    pub(super) fn rounded(number: &f64) -> String {
        words::rounded(*number)
    }

    pub(super) fn duration(seconds: &f64) -> String {
        words::duration(*seconds)
    }
}

#[cfg(test)]
mod tests {
    use reseed_protocol::messages::{Machine, Purpose};
    use reseed_protocol::status::{Counts, Estimate, LeaseReport, Phase, Point, WorkerReport};

    use super::*;

    const HOSTILE: &str = "<script>alert('a' & \"b\")</script><img src=x onerror=alert(1)>";

    fn report() -> StatusReport {
        let point = |patients: u64| Point {
            patients,
            difference: -2.0,
            lower: -2.0 - 60.0 / (patients as f64).sqrt(),
            upper: -2.0 + 60.0 / (patients as f64).sqrt(),
        };
        StatusReport {
            trial: "breast".into(),
            title: "Breast cancer".into(),
            fingerprint: "00ff".into(),
            seed: 7,
            engine_version: "0.1.0".into(),
            model_version: "1".into(),
            phase: Phase::Running,
            problem: None,
            idle: None,
            patients: 2_000_000,
            patients_committed: 1_184_832,
            patients_resumed: 0,
            patients_under_way: 20_000,
            patients_per_second: 111_299.4,
            seconds_left: Some(7.1),
            seconds_running: 200.0,
            counts: Counts::default(),
            workers: vec![WorkerReport {
                worker: 1,
                name: "ada".into(),
                machine: Machine {
                    threads: 2,
                    ..Machine::default()
                },
                leases: 3,
                shards_committed: 17,
                patients_committed: 1_184_832,
                patients_per_second: 111_299.4,
                seconds_silent: 0.3,
                draining: false,
            }],
            workers_unlisted: 0,
            slow: vec![LeaseReport {
                range: 10..20,
                worker: "ada".into(),
                purpose: Purpose::Compute,
                seconds: 65.0,
                patients_done: 4,
            }],
            estimate: Some(Estimate {
                label: "local recurrence by 5 years, a against b".into(),
                difference: -2.354,
                lower: -2.375,
                upper: -2.332,
            }),
            history: (1..=64).map(|index| point(index * 18_513)).collect(),
        }
    }

    #[test]
    fn the_page_says_what_the_report_says() {
        let page = whole(&report()).expect("a page");
        for text in [
            "<title>59.2 % – breast</title>",
            "Breast cancer",
            "1,184,832",
            "2,000,000",
            "111,299",
            "7 s",
            "3 min 20 s",
            "-2.354 points",
            "95 % interval -2.375 to -2.332",
            "ada",
            "1 min 5 s",
            "<path class=\"line\" d=\"M",
        ] {
            assert!(page.contains(text), "no {text} in\n{page}");
        }
        assert!(!page.contains("Problem:"), "{page}");
        assert!(!page.contains("Nothing is computed"), "{page}");
    }

    #[test]
    fn a_problem_and_the_reason_of_idleness_stand_first() {
        let mut report = report();
        report.problem = Some("the disk is full".into());
        report.idle = Some("no worker is connected".into());
        let page = whole(&report).expect("a page");
        assert!(page.contains("<title>problem – breast</title>"), "{page}");
        let [problem, idle, progress] = [
            "the disk is full",
            "no worker is connected",
            "patients committed",
        ]
        .map(|text| page.find(text).unwrap_or_else(|| panic!("no {text}")));
        assert!(problem < progress && idle < progress);
        report.phase = Phase::Merging;
        let page = whole(&report).expect("a page");
        assert!(!page.contains("no worker is connected"), "idle at the end");
    }

    #[test]
    fn whoever_has_done_nothing_yet_sees_a_page_too() {
        let mut report = report();
        report.patients_committed = 0;
        report.patients_under_way = 0;
        report.patients_per_second = 0.0;
        report.seconds_left = None;
        report.estimate = None;
        report.history.clear();
        report.workers.clear();
        report.slow.clear();
        let page = whole(&report).expect("a page");
        assert!(page.contains("0.0 %"), "{page}");
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        report.patients = 0;
        assert!(!whole(&report).expect("a page").contains("NaN"));
    }

    #[test]
    fn text_from_others_stays_text() {
        let mut report = report();
        report.trial = HOSTILE.into();
        report.title = HOSTILE.into();
        report.fingerprint = HOSTILE.into();
        report.engine_version = HOSTILE.into();
        report.model_version = HOSTILE.into();
        report.problem = Some(HOSTILE.into());
        report.idle = Some(HOSTILE.into());
        report.workers[0].name = HOSTILE.into();
        report.workers[0].machine.architecture = HOSTILE.into();
        report.slow[0].worker = HOSTILE.into();
        let estimate = report.estimate.as_mut().expect("one");
        estimate.label = HOSTILE.into();
        let page = whole(&report).expect("a page");
        assert!(page.matches("alert(&#39;a&#39;").count() >= 8, "{page}");
        assert!(!page.contains("<script>"), "{page}");
        assert!(!page.contains("<img"), "{page}");
    }
}
