//! Tests of part files, result files and stores. One program, because each would link HDF5.

mod common;
mod crash;
mod damage;
mod digests;
mod python;
mod refusals;
mod round_trip;
mod store;
