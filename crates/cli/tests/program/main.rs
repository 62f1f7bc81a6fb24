//! The program as its users meet it: real processes, files and signals.

mod bench;
mod commands;
mod interrupts;
mod keys;
mod runs;
