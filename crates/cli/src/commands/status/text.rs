//! A report line by line.

use reseed_protocol::status::{StatusReport, WorkerReport};
use reseed_protocol::words::{counted, duration, grouped, rounded};

/// A report for people.
pub(crate) fn text(report: &StatusReport) -> String {
    let mut lines = vec![
        format!("{}: {}", report.trial, report.title),
        format!("{}, {}", report.phase, progress(report)),
    ];
    let problem = report.problem.iter();
    lines.extend(problem.map(|problem| format!("problem: {problem}")));
    let idle = report.idle_reason().into_iter();
    lines.extend(idle.map(|idle| format!("nothing is computed: {idle}")));
    lines.extend(report.estimate.as_ref().map(ToString::to_string));
    lines.push(counts(report));
    lines.extend(report.workers.iter().map(worker));
    lines.extend(report.more_workers());
    for lease in &report.slow {
        lines.push(format!(
            "patients {}: with {} for {}, {} simulated",
            lease.patients(),
            lease.worker,
            duration(lease.seconds),
            grouped(lease.patients_done)
        ));
    }
    lines.join("\n") + "\n"
}

/// How far a run is and how fast.
pub(crate) fn progress(report: &StatusReport) -> String {
    let left = report.time_left();
    let left = left.map_or_else(String::new, |left| format!(", {left} left"));
    format!(
        "{} of {} patients committed and {} under way, {} patients/s{left}",
        grouped(report.patients_committed),
        grouped(report.patients),
        grouped(report.patients_under_way),
        rounded(report.patients_per_second)
    )
}

/// Counts of everything that is not 0, and of the shards in any case.
pub(crate) fn counts(report: &StatusReport) -> String {
    let named = report.counts.named().into_iter().enumerate();
    let told = named.filter(|(index, (_, count))| *index < 3 || *count > 0);
    let told: Vec<String> = told
        .map(|(_, (name, count))| format!("{name}: {}", grouped(count)))
        .collect();
    told.join(", ")
}

fn worker(worker: &WorkerReport) -> String {
    format!(
        "worker {}: {}, {}, {}, {}, {} patients/s, heard {} ago{}",
        worker.worker,
        worker.name,
        counted(worker.machine.threads.into(), "thread"),
        counted(worker.leases.into(), "lease"),
        counted(worker.shards_committed, "shard"),
        rounded(worker.patients_per_second),
        duration(worker.seconds_silent),
        if worker.draining { ", leaving" } else { "" }
    )
}
