//! Keyward: an OpenID Connect and OAuth 2.x identity provider.
//!
//! The map of the house, from the ground up; a module uses only what stands above it here, and no door uses another
//! (`tests/it/architecture.rs` reads the imports and says so).
//!
//! - ground: [`feature`], [`config`], [`error`], [`clock`], [`locale`]
//! - tools: [`seal`], [`hash`], [`jose`], [`db`], [`cache`], [`settings`], [`store`], [`page`], [`theme`], [`tenant`],
//!   [`ctx`], [`audit`], [`keys`], [`once`], [`limit`], [`queue`],
//!   [`fetch`]
//! - state: [`account`], [`client`], [`access`], [`grant`], [`app`], [`issue`], [`flow`], [`http`]
//! - doors: [`oidc`], [`login`], [`me`], [`jobs`]
//! - the frame: [`routes`], [`serve`], [`cli`]
//!
//! Start reading at [`serve::prepare`] for how a server comes to be, at `http/door.rs` for the way of a request, and at
//! [`flow`] for how somebody signs in.

// Names of tests are sentences with their clause: `a_code_works_once__rfc6749_4_1_2`.
#![cfg_attr(test, allow(non_snake_case))]

pub mod access;
pub mod account;
pub mod app;
pub mod audit;
pub mod cache;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod ctx;
pub mod db;
pub mod error;
pub mod feature;
pub mod fetch;
pub mod flow;
pub mod grant;
pub mod hash;
pub mod http;
pub mod issue;
pub mod jobs;
pub mod jose;
pub mod keys;
pub mod limit;
pub mod locale;
pub mod login;
pub mod me;
pub mod oidc;
pub mod once;
pub mod page;
pub mod queue;
pub mod routes;
pub mod seal;
pub mod serve;
pub mod settings;
pub mod store;
pub mod tenant;
pub mod theme;
