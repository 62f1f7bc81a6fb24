//! What coordinators, workers and operators say to each other.
//!
//! [`wire`] is generated from `proto/`. Everything else in reseed sees the plain types of
//! [`messages`] and [`status`], which are checked as they come in: whoever holds one knows that
//! ranges are not empty, digests have their length and texts are short. [`Refusal`] is the
//! error of every call; it survives the wire with its class.
//!
//! [`channel`] connects to a coordinator; [`credentials`] are the certificates, keys and tokens
//! by which both sides know each other.

pub mod channel;
pub mod credentials;
pub mod messages;
mod refusal;
pub mod status;
pub mod trace_context;
mod translate;

pub use refusal::{Kind, Refusal, Retry};
pub use translate::prose;

/// Generated messages, client and server.
#[expect(
    missing_docs,
    clippy::pedantic,
    reason = "generated code; the comments are in proto/"
)]
pub mod wire {
    tonic::include_proto!("reseed.v1");
}

/// Descriptors of the protocol, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Revision of the protocol within its package; both sides must have the same.
pub const PROTOCOL_REVISION: u32 = 1;

/// Largest message on either side, bytes. Chunks of parts are far smaller.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Bytes of a part in one message.
pub const CHUNK_BYTES: usize = 256 << 10;

/// Largest part that a coordinator takes, bytes.
pub const PART_BYTES_MAX: u64 = 8 << 30;
