//! The grants: each is only what is unique to it; what they share is in `token.rs` before and `issue.rs` after.

pub mod client_credentials;
pub mod code;
pub mod refresh;
