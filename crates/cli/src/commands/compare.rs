//! `reseed compare`: therapies against the control.

use std::io;

use reseed_report::{
    CompareError, CompareInput, Comparison, column_names, compare as compare_arms,
};
use reseed_results::{ResultFile, read_result};
use reseed_stats::Endpoint;

use crate::args::{ALL_COLUMNS, Compare, Compared};
use crate::exit::Failure;
use crate::identity;
use crate::output::{print, print_json};
use crate::source;

/// Width of the table where there is no terminal, columns.
const WIDTH: u16 = 160;

pub(crate) fn compare(args: &Compare) -> Result<(), Failure> {
    let file = read_result(&args.what.file)?;
    let comparison = comparison(&args.what, &file, args.hazards)?;
    if args.json {
        return print_json(&comparison);
    }
    let columns: Vec<&str> = if args.columns.iter().any(|name| name == ALL_COLUMNS) {
        column_names().collect()
    } else {
        args.columns.iter().map(String::as_str).collect()
    };
    print(&comparison.to_text(width(), &columns))
}

/// What the arguments ask of a result.
pub(crate) fn comparison(
    what: &Compared,
    file: &ResultFile,
    hazards: bool,
) -> Result<Comparison, Failure> {
    let trial = identity::described(file)?;
    compare_arms(&CompareInput {
        trial: &trial.name,
        title: &trial.title,
        seed: file.identity.seed,
        digest: &file.digest.to_string(),
        tally: &file.tally,
        arms: &file.layout.arms,
        strata: &file.layout.strata,
        exclusions: &file.layout.exclusions,
        edges_days: &file.layout.edges_days,
        times_days: &source::compared_days(&what.years, &trial),
        endpoints: &endpoints(what),
        by_stratum: what.by_stratum,
        hazards,
    })
    .map_err(|error| match error {
        CompareError::Time { .. } => Failure::Usage(error.to_string()),
        CompareError::Labels { .. } => Failure::File(error.to_string()),
    })
}

/// The endpoints asked for.
pub(crate) fn endpoints(what: &Compared) -> Vec<Endpoint> {
    let named = |endpoint: &Endpoint| what.endpoint.iter().any(|name| name == endpoint.name());
    let wanted = |endpoint: &Endpoint| what.endpoint.is_empty() || named(endpoint);
    Endpoint::ALL.into_iter().filter(wanted).collect()
}

fn width() -> u16 {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(WIDTH, |size| size.ws_col.max(40))
}
