//! The coordinator's edge: who may connect, and what they may ask for.

mod auth;
mod calls;
mod listener;
mod metrics;
mod page;
mod pages;
mod plot;
mod run;
mod tls;
mod watching;

pub use auth::{Forbidden, Peer, PeerCertificate, require_operator, require_worker};
pub use listener::{Counters, Limits, ListenError, Listener, ServerSecurity, Transport, serve};
pub use run::{CoordinateError, Coordination, Ending, Merge};
pub use tls::TlsFiles;
