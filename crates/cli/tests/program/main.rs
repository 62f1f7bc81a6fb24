//! The program as its users meet it: real processes, files and signals.

mod bench;
mod browser;
mod calibrate;
mod cluster;
mod commands;
mod credibility;
mod exports;
mod interrupts;
mod keys;
mod launch;
mod page;
mod power;
mod precision;
mod rank;
mod report;
mod runs;
mod status;
mod telemetry;
mod validate;
mod version;
