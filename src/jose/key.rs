//! New key pairs, and the name of a key.

use super::{Curve, Kind, LEAST_RSA_BITS, MOST_RSA_BITS};
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::SigningAlg;
use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcKey};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A new key, as it is published and as it is sealed.
pub struct KeyPair {
    /// The RFC 7638 thumbprint (KM-08).
    pub kid: String,
    /// For the JWKS: with `kid`, `use` and `alg`.
    pub public: Value,
    /// The private JWK as JSON; wiped when dropped, and nowhere else than sealed (KM-01).
    pub private: Zeroizing<String>,
}

/// A new key pair for one algorithm. `rsa_bits` counts for RSA alone, from 2048 to 8192; takes 160 ms and more there,
/// so it belongs on a thread that nobody waits for.
pub fn generate(alg: SigningAlg, rsa_bits: u32) -> Result<KeyPair> {
    let (public, private) = match Kind::of(alg) {
        Kind::Rsa => rsa(rsa_bits)?,
        Kind::Ec(curve) => ec(curve).map_err(Error::internal)?,
        Kind::Ed25519 => ed25519().map_err(Error::internal)?,
    };
    let mut public: Map<String, Value> =
        public.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let kid = thumbprint(&public).ok_or_else(|| Error::internal("a key without a thumbprint"))?;
    for (name, value) in [("use", "sig"), ("alg", alg.as_str()), ("kid", &kid)] {
        public.insert(name.to_owned(), value.into());
    }
    let public = Value::Object(public);
    // Written once into memory of its own, so that growing leaves no copies. All values are base64url.
    let mut text = Zeroizing::new(String::with_capacity(8192));
    text.push_str(public.to_string().trim_end_matches('}'));
    for (name, value) in &private {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":\"");
        text.push_str(value);
        text.push('"');
    }
    text.push('}');
    Ok(KeyPair { kid, public, private: text })
}

type Members = (Vec<(&'static str, String)>, Vec<(&'static str, Zeroizing<String>)>);

fn rsa(bits: u32) -> Result<Members> {
    if !(LEAST_RSA_BITS..=MOST_RSA_BITS).contains(&(bits as usize)) || !bits.is_multiple_of(8) {
        return Err(Error::internal("RSA keys have 2048 to 8192 bits"));
    }
    // OpenSSL's exponent here is 65537.
    let key = Rsa::generate(bits).map_err(Error::internal)?;
    let public = vec![("kty", "RSA".to_owned()), ("n", encode(&key.n().to_vec())), ("e", encode(&key.e().to_vec()))];
    let part = |value: Option<&BigNumRef>| match value {
        Some(value) => Ok(secret(&Zeroizing::new(value.to_vec()))),
        None => Err(Error::internal("an RSA key without its primes")),
    };
    // RFC 7518 section 6.3.2.
    let private = vec![
        ("d", part(Some(key.d()))?),
        ("p", part(key.p())?),
        ("q", part(key.q())?),
        ("dp", part(key.dmp1())?),
        ("dq", part(key.dmq1())?),
        ("qi", part(key.iqmp())?),
    ];
    Ok((public, private))
}

fn ec(curve: Curve) -> Result<Members, openssl::error::ErrorStack> {
    let group = EcGroup::from_curve_name(curve.nid())?;
    let key = EcKey::generate(&group)?;
    let (mut x, mut y, mut context) = (BigNum::new()?, BigNum::new()?, BigNumContext::new()?);
    key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context)?;
    // RFC 7518 section 6.2.1.2: coordinates keep their leading zeros.
    let len = curve.len() as i32;
    let public = vec![
        ("kty", "EC".to_owned()),
        ("crv", curve.name().to_owned()),
        ("x", encode(&x.to_vec_padded(len)?)),
        ("y", encode(&y.to_vec_padded(len)?)),
    ];
    let d = Zeroizing::new(key.private_key().to_vec_padded(len)?);
    Ok((public, vec![("d", secret(&d))]))
}

fn ed25519() -> Result<Members, openssl::error::ErrorStack> {
    let key = PKey::generate_ed25519()?;
    // RFC 8037 section 2.
    let public = vec![("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", encode(&key.raw_public_key()?))];
    let d = Zeroizing::new(key.raw_private_key()?);
    Ok((public, vec![("d", secret(&d))]))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn secret(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(encode(bytes))
}

/// The SHA-256 thumbprint of a JWK (RFC 7638 section 3), also of a private one; None for a key type that we do not know.
pub fn thumbprint(jwk: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let kty = text("kty")?;
    // The required members, in the order of their names.
    let names: &[&str] = match kty {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    let mut canonical = String::from("{");
    for (at, name) in names.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        canonical += &format!("{comma}\"{name}\":{}", Value::from(text(name)?));
    }
    canonical.push('}');
    Some(encode(&Sha256::digest(canonical)))
}
