//! Signed tokens: one way to make them, one way to believe them (ST-07).
//!
//! Owns JSON Web Keys and compact JWS (RFC 7515 to RFC 7519, RFC 8037, RFC 8725) on josekit and OpenSSL. Never fetches
//! a key, never lets a token's header choose trust, and knows nothing of tenants: the caller brings the keys, the
//! issuer, the audience and the type that it expects. Start at [`verify()`], [`Signer`] and [`parse_client_jwks`].
//!
//! # Why
//! josekit does the signatures. What comes before them is ours, because josekit's own JWT reader takes duplicate
//! members, checks no type and leaves claims to the caller. Keys are loaded and proven with OpenSSL first (size, point
//! on the curve, small order), and handed to josekit per algorithm when first used: loading a key costs more than a
//! check with it, and a set of 100 keys needs one.

mod encrypt;
mod json;
mod jwks;
mod key;
mod public;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use encrypt::{Decrypter, Recipient, decrypt, is_encrypted, key_shape};
pub use json::object;
pub use jwks::parse_client_jwks;
pub use key::{KeyPair, generate, thumbprint};
pub use public::Verifier;
pub use sign::{Signer, sign_with_secret};
pub use verify::{Audience, Expect, Expiry, Refusal, Typ, Verified, kid, unproven, verify};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{JwsAlg, SigningAlg};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;

/// RSA keys are at least this long (RFC 7518 section 3.3) ...
const LEAST_RSA_BITS: usize = 2048;
/// ... and at most this, so that nobody's key costs us seconds.
const MOST_RSA_BITS: usize = 8192;

/// A key id longer than this is nobody's (KJ-04).
const MAX_KID: usize = 256;

/// What an algorithm needs of its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    Ec(Curve),
    Ed25519,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

impl Kind {
    fn of(alg: SigningAlg) -> Self {
        use SigningAlg::*;
        match alg {
            Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => Kind::Rsa,
            Es256 => Kind::Ec(Curve::P256),
            Es384 => Kind::Ec(Curve::P384),
            Es512 => Kind::Ec(Curve::P521),
            EdDsa => Kind::Ed25519,
        }
    }
}

impl Curve {
    /// RFC 7518 section 6.2.1.1.
    fn name(self) -> &'static str {
        match self {
            Curve::P256 => "P-256",
            Curve::P384 => "P-384",
            Curve::P521 => "P-521",
        }
    }

    fn nid(self) -> Nid {
        match self {
            Curve::P256 => Nid::X9_62_PRIME256V1,
            Curve::P384 => Nid::SECP384R1,
            Curve::P521 => Nid::SECP521R1,
        }
    }

    /// Bytes of a coordinate, and of each half of a signature.
    fn len(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }
}

/// `at_hash`, `c_hash` and `s_hash`: the left half of the value's hash under the ID token's algorithm, as base64url
/// (OpenID Connect Core section 3.1.3.6). Ed25519 hashes with SHA-512 (RFC 8032 section 5.1).
pub fn half_hash(alg: JwsAlg, value: &str) -> Result<String, crate::error::Error> {
    use JwsAlg::*;
    let digest = match alg {
        Rs256 | Ps256 | Es256 | Hs256 => MessageDigest::sha256(),
        Rs384 | Ps384 | Es384 => MessageDigest::sha384(),
        Rs512 | Ps512 | Es512 | EdDsa => MessageDigest::sha512(),
    };
    let hash = openssl::hash::hash(digest, value.as_bytes()).map_err(crate::error::Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2]))
}

/// Canonical base64url: no padding, no white space, no other alphabet, no stray bits at the end (KJ-06).
fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
