//! Tests speak HTTP against the real server, on SQLite, or on the database that `KEYWARD_TEST_DATABASE_URL` names.
//!
//! One file per feature; `support` starts a server per test and plays browser and application.

// Names of tests are sentences with their clause: `a_code_works_once__rfc6749_4_1_2`.
#![allow(non_snake_case)]
// What fails here fails a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

mod architecture;
mod attacks;
mod authorize;
mod cli;
mod code_flow;
mod conformance;
mod cors;
mod crash;
mod defence;
mod gate;
mod hostile;
mod introspect;
mod isolation;
mod licences;
mod logout;
mod metadata;
mod nodes;
mod provider;
mod refresh;
mod revoke;
mod security_list;
mod sign_in;
mod start;
mod token;
mod userinfo;
mod write_door;
