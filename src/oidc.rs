//! The protocol: OAuth 2.x and OpenID Connect, as applications see it.
//!
//! | endpoint | file | client authentication | PKCE | one-time things |
//! |---|---|---|---|---|
//! | authorize | `authorize.rs` | none: only registered URIs are answered | demanded here | - |
//! | token | `token.rs`, `grant/` | `client_auth.rs` | checked in `grant/code.rs` | code, refresh token, assertion `jti` |
//! | userinfo | `userinfo.rs` | access token (`bearer.rs`) | - | - |
//! | introspect, revoke | `introspect.rs`, `revoke.rs` | `client_auth.rs` | - | assertion `jti` |
//! | register | `register.rs` | initial or registration access token | - | initial access token |
//! | check_session | `check_session.rs` | none: the same for everybody | - | - |
//! | logout | `logout.rs` | none: `id_token_hint` | - | - |
//! | metadata, jwks | `metadata.rs` | none | - | - |

pub mod authorize;
mod bearer;
pub mod check_session;
mod client_auth;
mod grant;
mod hint;
pub mod introspect;
pub mod logout;
pub mod metadata;
pub mod register;
mod request;
pub mod revoke;
pub mod token;
pub mod userinfo;
