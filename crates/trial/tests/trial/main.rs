//! Trial files from outside: presets, overriding, the canonical form, errors, the schema, and
//! hostile input.

#![expect(
    clippy::float_cmp,
    reason = "numbers are read exactly as they are written"
)]

mod canonical;
mod errors;
mod hostile;
mod identity;
mod overriding;
mod precision;
mod presets;
mod schema;
mod uncertainty;
