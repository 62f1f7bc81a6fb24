//! `reseed completions`: for shells.

use clap::CommandFactory;

use crate::args::{Cli, Completions};
use crate::exit::Failure;
use crate::output::print;

pub(crate) fn completions(args: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "reseed", &mut script);
    print(&String::from_utf8_lossy(&script))
}
