//! `reseed merge`: add up results of different patients.

use reseed_results::write_result;

use crate::args::Merge;
use crate::exit::Failure;
use crate::gaps::Summary;
use crate::identity::ENGINE_VERSION;
use crate::output::Chatter;

pub(crate) fn merge(args: &Merge, chatter: Chatter) -> Result<(), Failure> {
    let occupied = args
        .out
        .try_exists()
        .map_err(Failure::system("look at", &args.out))?;
    if occupied && !args.force {
        return Err(Failure::File(format!(
            "{} exists; choose another --out, or replace it with --force",
            args.out.display()
        )));
    }
    let file = write_result(&args.out, &args.files, ENGINE_VERSION, &[])?;
    Summary::of(&args.out, &file).tell("is merged", false, chatter)
}
