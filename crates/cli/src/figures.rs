//! Folders of figures.

use std::fs;
use std::io;
use std::path::Path;

use reseed_report::figures::{Figure, list_csv};

use crate::exit::Failure;
use crate::whole::{self, Readers};

/// List of the figures, by which a folder of them is known.
const LIST: &str = "figures.csv";

/// Figures may be put into a folder that is new, empty, or has figures.
pub(crate) fn check_folder(folder: &Path) -> Result<(), Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries.count(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(Failure::system("read folder", folder)(error)),
    };
    if entries == 0 || folder.join(LIST).exists() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{} is not empty and has no figures of this program; choose another folder, or put them there \
         with --force",
        folder.display()
    )))
}

/// Writes every figure as a drawing and as numbers, and a list of them.
pub(crate) fn write<'a>(
    folder: &Path,
    figures: impl Iterator<Item = &'a Figure>,
) -> Result<(), Failure> {
    let figures: Vec<&Figure> = figures.collect();
    fs::create_dir_all(folder).map_err(Failure::system("make folder", folder))?;
    let write = |name: &str, text: &str| whole::write(&folder.join(name), text, Readers::All);
    // First, so that a folder that was left half done may be filled again.
    write(LIST, &list_csv(figures.iter().copied()))?;
    for figure in figures {
        write(&format!("{}.svg", figure.name), &figure.svg())?;
        write(&format!("{}.csv", figure.name), &figure.csv())?;
    }
    Ok(())
}
