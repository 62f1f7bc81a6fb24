//! `reseed status`: where a run stands.

use std::io::{self, IsTerminal, Write};

use indicatif::HumanDuration;
use reseed_protocol::status::{Phase, StatusReport};
use reseed_protocol::wire;
use serde_json::to_string;

use crate::access;
use crate::args::Status;
use crate::exit::Failure;
use crate::output::{grouped, print};

/// Between two reports, ms.
const INTERVAL_MS: u32 = 1000;
/// Takes the cursor home and clears what is below.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

pub(crate) fn status(args: &Status) -> Result<(), Failure> {
    let live = io::stdout().is_terminal() && !args.once && !args.json;
    let interval_ms = if live || args.follow { INTERVAL_MS } else { 0 };
    access::runtime()?.block_on(async {
        let mut coordinator = access::operator(&args.access).await?;
        let reports = coordinator.watch(wire::WatchRequest { interval_ms }).await;
        let mut reports = reports.map_err(access::refused)?.into_inner();
        while let Some(report) = reports.message().await.map_err(access::refused)? {
            let report = StatusReport::try_from(report)
                .map_err(|refusal| Failure::Unreachable(refusal.to_string()))?;
            show(&report, live, args.json)?;
            if matches!(report.phase, Phase::Finished | Phase::Failed) {
                break;
            }
        }
        Ok(())
    })
}

fn show(report: &StatusReport, live: bool, json: bool) -> Result<(), Failure> {
    if json {
        let line = to_string(report).map_err(|error| Failure::Internal(error.to_string()))?;
        return print(&(line + "\n"));
    }
    if live {
        // A terminal that cannot be cleared shows reports one below the other.
        let _ = io::stdout().write_all(CLEAR.as_bytes());
    }
    print(&text(report))
}

/// A report for people.
fn text(report: &StatusReport) -> String {
    let mut lines = vec![
        format!("{}: {}", report.trial, report.title),
        format!("{}, {}", phase(report.phase), progress(report)),
    ];
    lines.extend(
        report
            .problem
            .iter()
            .map(|problem| format!("problem: {problem}")),
    );
    lines.extend(
        report
            .idle
            .iter()
            .map(|idle| format!("nothing is computed: {idle}")),
    );
    lines.extend(report.estimate.as_ref().map(|estimate| {
        format!(
            "{}: {:+.3} points (95 % interval {:+.3} to {:+.3})",
            estimate.label, estimate.difference, estimate.lower, estimate.upper
        )
    }));
    let counts = &report.counts;
    lines.push(format!(
        "shards: {} open, {} leased, {} committed; audits: {} passed, {} open; leases lost: {}, \
         failures: {}, parts refused: {}",
        counts.shards_open,
        counts.shards_leased,
        counts.shards_committed,
        counts.audits_passed,
        counts.audits_open,
        counts.leases_lost,
        counts.failures,
        counts.parts_refused
    ));
    for worker in &report.workers {
        lines.push(format!(
            "worker {}: {}, {} threads, {} leases, {} shards, {:.0} patients/s, heard {:.0} s ago{}",
            worker.worker,
            worker.name,
            worker.machine.threads,
            worker.leases,
            worker.shards_committed,
            worker.patients_per_second,
            worker.seconds_silent,
            if worker.draining { ", leaving" } else { "" }
        ));
    }
    if report.workers_unlisted > 0 {
        lines.push(format!("and {} more workers", report.workers_unlisted));
    }
    for lease in &report.slow {
        lines.push(format!(
            "shard {}..{}: with {} for {:.0} s, {} patients done",
            lease.range.start,
            lease.range.end,
            lease.worker,
            lease.seconds,
            grouped(lease.patients_done)
        ));
    }
    lines.join("\n") + "\n"
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Running => "running",
        Phase::Merging => "writing the result",
        Phase::Finished => "finished",
        Phase::Failed => "failed",
    }
}

fn progress(report: &StatusReport) -> String {
    let left = report.seconds_left.map_or_else(String::new, |seconds| {
        let left = std::time::Duration::from_secs_f64(seconds.clamp(0.0, 1e9));
        format!(", {} left", HumanDuration(left))
    });
    format!(
        "{} of {} patients committed and {} under way, {:.0} patients/s{left}",
        grouped(report.patients_committed),
        grouped(report.patients),
        grouped(report.patients_under_way),
        report.patients_per_second
    )
}
