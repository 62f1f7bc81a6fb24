//! Bodies of the fuzz targets: what must hold for any bytes at all.

mod messages;
mod part;
mod part_files;
mod trial;

pub use messages::messages;
pub use part::{part, sealed};
pub use trial::trial;
