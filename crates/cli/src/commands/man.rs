//! `reseed man`: manual pages, made of what `--help` says.

use std::fs;

use clap::CommandFactory;

use crate::args::{Cli, Man};
use crate::exit::Failure;

pub(crate) fn man(args: &Man) -> Result<(), Failure> {
    let folder = &args.folder;
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .map_err(Failure::system("write manual pages to", folder))
}
