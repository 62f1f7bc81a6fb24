//! `reseed drain` and `reseed cancel`: what operators tell a coordinator.

use reseed_protocol::wire;

use crate::access;
use crate::args::{Cancel, Drain};
use crate::exit::Failure;
use crate::output::Chatter;

pub(crate) fn drain(args: &Drain, chatter: Chatter) -> Result<(), Failure> {
    let worker = args.worker.clone().unwrap_or_default();
    let request = wire::DrainRequest { worker };
    let drained = access::runtime()?.block_on(async {
        let mut coordinator = access::operator(&args.access).await?;
        access::answered(coordinator.drain(request)).await
    })?;
    let workers = drained.into_inner().workers;
    match &args.worker {
        Some(name) if workers == 0 => Err(Failure::Usage(format!(
            "there is no worker {name}; `reseed status` lists them"
        ))),
        _ => {
            chatter.say(&match workers {
                1 => "1 worker finishes what it computes and leaves".to_owned(),
                _ => format!("{workers} workers finish what they compute and leave"),
            });
            Ok(())
        }
    }
}

pub(crate) fn cancel(args: &Cancel, chatter: Chatter) -> Result<(), Failure> {
    let reason = args.reason.clone();
    let request = wire::CancelRequest { reason };
    access::runtime()?.block_on(async {
        let mut coordinator = access::operator(&args.access).await?;
        access::answered(coordinator.cancel(request)).await
    })?;
    chatter.say("the run is cancelled; what is committed stays in the coordinator's store");
    Ok(())
}
