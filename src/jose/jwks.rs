//! The keys that a client registers or serves.

use super::{Verifier, json};
use serde_json::Value;

/// Bytes of a JWK Set at most, before any of it is read.
const MAX_BYTES: usize = 64 * 1024;
/// Keys in it at most (KJ-14).
const MAX_KEYS: usize = 100;

/// The usable keys of a client's JWK Set (RFC 7517 section 5), as JSON.
///
/// Keys of unknown types, for encryption or for unknown algorithms are passed over, so the list can be empty. A key
/// that is private, symmetric or broken refuses the whole set, at registration and at each fetch, with a constant text.
pub fn parse_client_jwks(json: &str) -> Result<Vec<Verifier>, &'static str> {
    if json.len() > MAX_BYTES {
        return Err("the key set is too large");
    }
    let set = json::object(json.as_bytes()).ok_or("the key set is not a JSON object, or names a member twice")?;
    let Some(Value::Array(keys)) = set.get("keys") else {
        return Err("the key set has no list of keys");
    };
    if keys.len() > MAX_KEYS {
        return Err("the key set has too many keys");
    }
    let mut usable = Vec::with_capacity(keys.len());
    for key in keys {
        usable.extend(Verifier::read(key.as_object().ok_or("a key is not an object")?)?);
    }
    Ok(usable)
}
