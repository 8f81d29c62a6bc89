//! Keyward: an OpenID Connect and OAuth 2.x identity provider.
//!
//! The map of the house, from the ground up; a module uses only what stands above it in this list.
//!
//! - ground: [`config`], [`error`], [`clock`], [`locale`]
//! - tools: [`seal`], [`hash`], [`jose`], [`db`], [`cache`], [`tenant`], [`ctx`], [`keys`], [`once`], [`limit`], [`audit`], [`queue`], [`page`], [`theme`]

pub mod audit;
pub mod cache;
pub mod clock;
pub mod config;
pub mod ctx;
pub mod db;
pub mod error;
pub mod hash;
pub mod jose;
pub mod limit;
pub mod locale;
pub mod once;
pub mod page;
pub mod queue;
pub mod seal;
pub mod tenant;
pub mod theme;
