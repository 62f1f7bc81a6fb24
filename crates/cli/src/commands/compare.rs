//! `reseed compare`: therapies against the control.

use std::io;

use reseed_report::{CompareError, CompareInput, compare as compare_arms};
use reseed_results::read_result;
use reseed_stats::Endpoint;
use reseed_trial::DAYS_PER_YEAR;

use crate::args::Compare;
use crate::exit::Failure;
use crate::identity;
use crate::output::{print, print_json};

/// Width of the table where there is no terminal, columns.
const WIDTH: u16 = 160;

pub(crate) fn compare(args: &Compare) -> Result<(), Failure> {
    let file = read_result(&args.file)?;
    let trial = identity::described(&file)?;
    let given = args.years.iter().map(|years| years * DAYS_PER_YEAR);
    let times_days: Vec<f64> = if args.years.is_empty() {
        trial.compare_days.clone()
    } else {
        given.collect()
    };
    let endpoints: Vec<Endpoint> = Endpoint::ALL
        .into_iter()
        .filter(|endpoint| wanted(args, *endpoint))
        .collect();
    let comparison = compare_arms(&CompareInput {
        trial: &trial.name,
        title: &trial.title,
        seed: file.identity.seed,
        digest: &file.digest.to_string(),
        tally: &file.tally,
        arms: &file.layout.arms,
        strata: &file.layout.strata,
        exclusions: &file.layout.exclusions,
        edges_days: &file.layout.edges_days,
        times_days: &times_days,
        endpoints: &endpoints,
        by_stratum: args.by_stratum,
    })
    .map_err(|error| match error {
        CompareError::Time { .. } => Failure::Usage(error.to_string()),
        CompareError::Labels { .. } => Failure::File(error.to_string()),
    })?;
    if args.json {
        print_json(&comparison)
    } else {
        print(&comparison.to_text(width()))
    }
}

fn wanted(args: &Compare, endpoint: Endpoint) -> bool {
    args.endpoint.is_empty() || args.endpoint.iter().any(|name| name == endpoint.name())
}

fn width() -> u16 {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(WIDTH, |size| size.ws_col.max(40))
}
