//! `reseed status`: where a run stands.

mod live;
mod screen;
mod text;

use std::env;
use std::io::{self, IsTerminal};

use reseed_protocol::channel::AuthorizedChannel;
use reseed_protocol::status::StatusReport;
use reseed_protocol::wire;
use reseed_protocol::wire::coordinator_client::CoordinatorClient;
use serde_json::to_string;
use tonic::Streaming;

use crate::access;
use crate::args::Status;
use crate::exit::Failure;
use crate::output::print;

/// Between two reports, ms.
const INTERVAL_MS: u32 = 1000;

pub(crate) fn status(args: &Status) -> Result<(), Failure> {
    let plain = args.once || args.json || args.follow;
    if !plain && is_screen() {
        return live::show(&args.access);
    }
    let interval_ms = if args.follow { INTERVAL_MS } else { 0 };
    access::runtime()?.block_on(async {
        let mut coordinator = access::operator(&args.access).await?;
        let mut reports = watch(&mut coordinator, interval_ms).await?;
        while let Some(report) = next(&mut reports).await? {
            show(&report, args.json)?;
            if report.phase.is_end() {
                break;
            }
        }
        Ok(())
    })
}

/// Whether there is a terminal that can do more than show line after line.
fn is_screen() -> bool {
    let dumb = env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb");
    io::stdout().is_terminal() && !dumb
}

fn show(report: &StatusReport, json: bool) -> Result<(), Failure> {
    if json {
        let line = to_string(report).map_err(|error| Failure::Internal(error.to_string()))?;
        return print(&(line + "\n"));
    }
    print(&text::text(report))
}

type Client = CoordinatorClient<AuthorizedChannel>;

/// Asks for reports: one each interval, or just one if it is 0.
async fn watch(
    coordinator: &mut Client,
    interval_ms: u32,
) -> Result<Streaming<wire::StatusReport>, Failure> {
    let reports = coordinator.watch(wire::WatchRequest { interval_ms });
    Ok(access::answered(reports).await?.into_inner())
}

async fn next(
    reports: &mut Streaming<wire::StatusReport>,
) -> Result<Option<StatusReport>, Failure> {
    let report = access::answered(reports.message()).await?;
    let report = report.map(StatusReport::try_from).transpose();
    report.map_err(|refusal| Failure::Unreachable(refusal.to_string()))
}
