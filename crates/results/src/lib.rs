//! The HDF5 files of a run: parts, one per shard, and the result they merge into.
//!
//! `docs/file-format.md` describes both, byte by byte where it matters. Files are written
//! whole and sealed: a reader finds the old file, the new one, or a clear error, and never
//! hands a damaged file to the HDF5 library.

mod digest;
mod error;
mod estimates;
mod folder;
mod hdf;
mod heap;
mod layout;
mod part;
mod posterior;
mod records;
mod result;
mod scales;
mod seal;
mod sections;
mod store;
mod texts;
mod whole;

pub use digest::{Digest, part_digest, result_digest};
pub use error::{Conflict, ResultsError};
pub use folder::{Disk, Folder};
pub use hdf::hdf5_version;
pub use layout::{HistogramAxis, Layout, RunIdentity};
pub use part::{
    Attempt, Part, PartFile, PartInfo, Records, read_blocks, read_part, read_part_of, read_records,
    write_part,
};
pub use posterior::{PosteriorFile, TargetRow, WaveRow, read_posterior, write_posterior};
pub use records::INDEX_COLUMN;
pub use result::{ResultFile, ShardEntry, read_result, write_result};
pub use sections::FORMAT_VERSION;
pub use store::Store;
