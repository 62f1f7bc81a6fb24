//! `reseed digest`: the identity of a result in one line.

use reseed_results::read_result;

use crate::args::Digest;
use crate::exit::Failure;
use crate::output::print;

pub(crate) fn digest(args: &Digest) -> Result<(), Failure> {
    print(&format!("{}\n", read_result(&args.file)?.digest))
}
