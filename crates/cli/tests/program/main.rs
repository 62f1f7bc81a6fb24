//! The program as its users meet it: real processes, files and signals.

mod bench;
mod cluster;
mod commands;
mod interrupts;
mod keys;
mod precision;
mod runs;
