//! The tables and the vocabulary of their columns.
//!
//! One file per table, named as the table. What a column means beyond its type (an id, an instant, a set of scopes, a
//! hash) is a newtype in [`words`]; past the edge of the program no meaning travels as `String`.
//!
//! Every row belongs to a tenant: primary keys are `(tenant_id, id)` and every foreign key carries `tenant_id`, so that
//! no database accepts a reference across tenants. Each table is queried by exactly one module of the server.

pub mod audit_event;
pub mod authorization_code;
pub mod browser_session;
pub mod client;
pub mod client_logo;
pub mod client_secret;
pub mod consent;
pub mod decryption_key;
pub mod deployment;
pub mod flow;
pub mod identifier;
pub mod initial_access_token;
pub mod issuer;
pub mod job;
pub mod link;
pub mod pairwise_subject;
pub mod password;
pub mod revision;
pub mod revoked_token;
pub mod session;
pub mod session_client;
pub mod signing_key;
pub mod spent_jti;
pub mod tenant;
pub mod throttle;
pub mod token_grant;
pub mod user;
pub mod words;

pub use words::*;
