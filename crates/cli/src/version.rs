//! `reseed --version`: which program this is, as exactly as it can be told.

use reseed_protocol::PROTOCOL_REVISION;
use reseed_results::{FORMAT_VERSION, hdf5_version};
use reseed_trial::MODEL_VERSION;

use crate::exit::Failure;
use crate::identity::ENGINE_VERSION;
use crate::machine;
use crate::output::print_lines;

/// Prints the version; if `verbose`, with a line for each thing that results, files or speed
/// depend on.
pub(crate) fn version(verbose: bool) -> Result<(), Failure> {
    let mut lines = vec![format!("reseed {ENGINE_VERSION}")];
    if verbose {
        lines.extend(details().map(|(name, value)| format!("{name}: {value}")));
    }
    print_lines(&lines)
}

/// What results, files or speed depend on.
pub(crate) fn details() -> [(&'static str, String); 10] {
    [
        ("commit", env!("RESEED_COMMIT").into()),
        ("model version", MODEL_VERSION.into()),
        ("file format", FORMAT_VERSION.to_string()),
        ("protocol revision", PROTOCOL_REVISION.to_string()),
        ("HDF5", hdf5_version()),
        ("features", listed(&features())),
        ("target", env!("RESEED_TARGET").into()),
        ("target CPU", env!("RESEED_TARGET_CPU").into()),
        ("CPU features found", listed(&machine::cpu_features())),
        ("CPU features used", listed(&machine::cpu_features_used())),
    ]
}

/// Features of this crate that are compiled in.
fn features() -> Vec<String> {
    let all = [("otel", cfg!(feature = "otel"))];
    let built = all.into_iter().filter(|(_, built)| *built);
    built.map(|(name, _)| name.to_owned()).collect()
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".into()
    } else {
        names.join(" ")
    }
}
