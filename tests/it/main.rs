//! Tests speak HTTP against the real server, on SQLite, or on the database that `KEYWARD_TEST_DATABASE_URL` names.
//!
//! One file per feature; `support` starts a server per test and plays browser and application.

mod support;

mod authorize;
mod code_flow;
mod refresh;
mod token;
