//! Encrypted tokens (RFC 7516, compact form): to a client's key, and to ours.
//!
//! Nothing here proves who wrote a token: what was encrypted is signed inside, and [`super::verify`] believes that.

use super::{MAX_KID, Refusal, Verifier, decode, json, thumbprint};
use crate::error::{Error, Result};
use entity::{ContentEnc, KeyAlg, SigningAlg};
use josekit::jwe::{self, JweDecrypter, JweEncrypter, JweHeader};
use josekit::jwk::Jwk;
use serde_json::{Map, Value};

/// Characters of an encrypted token at most.
const MAX_CHARS: usize = 64 * 1024;

/// A key of somebody else's, to encrypt to.
pub struct Recipient {
    alg: KeyAlg,
    kid: Option<String>,
    inner: Box<dyn JweEncrypter>,
}

impl Recipient {
    /// The first key of a client's JWK Set that this algorithm can encrypt to; `None` when there is none.
    pub fn find(jwks: &Value, alg: KeyAlg) -> Option<Self> {
        let keys = jwks.get("keys")?.as_array()?;
        keys.iter().filter_map(Value::as_object).find_map(|key| Self::of(key, alg))
    }

    fn of(key: &Map<String, Value>, alg: KeyAlg) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let names: &[&str] = match (alg, text("kty")?, text("crv")) {
            (KeyAlg::RsaOaep256, "RSA", _) => &["n", "e"],
            (KeyAlg::EcdhEs | KeyAlg::EcdhEsA256Kw, "EC", Some("P-256" | "P-384" | "P-521")) => &["crv", "x", "y"],
            (KeyAlg::EcdhEs | KeyAlg::EcdhEsA256Kw, "OKP", Some("X25519")) => &["crv", "x"],
            _ => return None,
        };
        if text("use").is_some_and(|u| u != "enc") || text("alg").is_some_and(|a| a != alg.as_str()) {
            return None;
        }
        let mut bare = Map::from_iter([("kty".to_owned(), key.get("kty")?.clone())]);
        for name in names {
            bare.insert((*name).to_owned(), key.get(*name)?.clone());
        }
        // The same proofs as of a key that signs (size, point on the curve); X25519 has nothing to prove.
        if text("crv") != Some("X25519") {
            Verifier::read(&bare).ok()??;
        }
        let jwk = Jwk::from_map(bare).ok()?;
        let inner: Box<dyn JweEncrypter> = match alg {
            KeyAlg::RsaOaep256 => Box::new(jwe::RSA_OAEP_256.encrypter_from_jwk(&jwk).ok()?),
            KeyAlg::EcdhEs => Box::new(jwe::ECDH_ES.encrypter_from_jwk(&jwk).ok()?),
            KeyAlg::EcdhEsA256Kw => Box::new(jwe::ECDH_ES_A256KW.encrypter_from_jwk(&jwk).ok()?),
        };
        let kid = text("kid").filter(|kid| kid.len() <= MAX_KID).map(str::to_owned);
        Some(Self { alg, kid, inner })
    }

    /// A compact JWE (RFC 7516 section 3.1) around a signed token, which `cty` says (RFC 7519 section 5.2).
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn encrypt(&self, enc: ContentEnc, token: &str) -> Result<String> {
        let mut header = JweHeader::new();
        header.set_content_encryption(enc.as_str());
        header.set_content_type("JWT");
        if let Some(kid) = &self.kid {
            header.set_key_id(kid);
        }
        jwe::serialize_compact(token.as_bytes(), &header, &*self.inner)
            .map_err(|_| Error::internal(format!("encrypting with {} failed", self.alg)))
    }
}

/// A key of ours that others encrypt to.
pub struct Decrypter {
    pub alg: KeyAlg,
    pub kid: String,
    inner: Box<dyn JweDecrypter>,
}

impl Decrypter {
    /// From the private JWK that [`super::generate`] made.
    ///
    /// # Errors
    /// When it cannot be loaded; the cause may hold parts of the key, so it is not told.
    pub fn new(alg: KeyAlg, private_jwk: &str) -> Result<Self> {
        let refused = || Error::internal("a private key cannot be loaded");
        let whole: Map<String, Value> = serde_json::from_str(private_jwk).map_err(|_| refused())?;
        let kid = thumbprint(&whole).ok_or_else(refused)?;
        let bare: Map<String, Value> =
            whole.into_iter().filter(|(name, _)| !["use", "alg", "kid"].contains(&name.as_str())).collect();
        let jwk = Jwk::from_map(bare).map_err(|_| refused())?;
        let inner: Box<dyn JweDecrypter> = match alg {
            KeyAlg::RsaOaep256 => Box::new(jwe::RSA_OAEP_256.decrypter_from_jwk(&jwk).map_err(|_| refused())?),
            KeyAlg::EcdhEs => Box::new(jwe::ECDH_ES.decrypter_from_jwk(&jwk).map_err(|_| refused())?),
            KeyAlg::EcdhEsA256Kw => Box::new(jwe::ECDH_ES_A256KW.decrypter_from_jwk(&jwk).map_err(|_| refused())?),
        };
        Ok(Self { alg, kid, inner })
    }
}

/// The algorithm of signatures whose keys have the shape that this one needs.
pub fn key_shape(alg: KeyAlg) -> SigningAlg {
    match alg {
        KeyAlg::RsaOaep256 => SigningAlg::Rs256,
        KeyAlg::EcdhEs | KeyAlg::EcdhEsA256Kw => SigningAlg::Es256,
    }
}

/// Whether this is five parts, as a JWE is (RFC 7516 section 9).
pub fn is_encrypted(token: &str) -> bool {
    token.bytes().filter(|b| *b == b'.').count() == 4
}

/// Opens a token that was encrypted to one of these keys. Every failure after the header is the same one: nothing tells
/// which step refused (RFC 7516 section 11.5).
pub fn decrypt(token: &str, keys: &[Decrypter]) -> std::result::Result<String, Refusal> {
    if token.len() > MAX_CHARS {
        return Err(Refusal::TooLong);
    }
    if !is_encrypted(token) {
        return Err(Refusal::Form);
    }
    let head = token.split('.').next().and_then(decode).ok_or(Refusal::Form)?;
    let head = json::object(&head).ok_or(Refusal::Header)?;
    if head.contains_key("crit") {
        return Err(Refusal::Critical);
    }
    // What unpacks can grow without bound, and a key that the token brings is not ours (RFC 8725 sections 3.6 and 3.10).
    if ["zip", "jku", "jwk", "x5u", "x5c", "p2c", "p2s"].iter().any(|name| head.contains_key(*name)) {
        return Err(Refusal::Foreign);
    }
    let text = |name: &str| head.get(name).and_then(Value::as_str);
    let alg = text("alg").and_then(KeyAlg::parse).ok_or(Refusal::Algorithm)?;
    text("enc").and_then(ContentEnc::parse).ok_or(Refusal::Algorithm)?;
    let kid = text("kid");
    let meant = |key: &&Decrypter| key.alg == alg && kid.is_none_or(|kid| kid == key.kid);
    for key in keys.iter().filter(meant) {
        if let Ok((content, _)) = jwe::deserialize_compact(token, &*key.inner) {
            return String::from_utf8(content).map_err(|_| Refusal::Form);
        }
    }
    Err(Refusal::Key)
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, generate};
    use super::*;

    #[test]
    fn what_is_encrypted_to_a_key_opens_with_it_alone__rfc7516_5() {
        for alg in KeyAlg::ALL {
            let (ours, other) = (generate(key_shape(*alg), 2048).unwrap(), generate(key_shape(*alg), 2048).unwrap());
            let mut public = ours.public.clone();
            public["use"] = "enc".into();
            public["alg"] = alg.as_str().into();
            let jwks = serde_json::json!({ "keys": [{ "kty": "oct", "k": "AAAA" }, ours.public, public] });
            let to = Recipient::find(&jwks, *alg).unwrap();
            let mine = [Decrypter::new(*alg, &ours.private).unwrap()];
            let others = [Decrypter::new(*alg, &other.private).unwrap()];
            for enc in ContentEnc::ALL {
                let token = to.encrypt(*enc, "a.b.c").unwrap();
                assert_eq!(decrypt(&token, &mine).unwrap(), "a.b.c");
                assert_eq!(decrypt(&token, &others).unwrap_err(), Refusal::Key);
                // Any bit that is changed in any part is noticed.
                for part in 0..5 {
                    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
                    if let Some(first) = parts[part].clone().chars().next() {
                        parts[part].replace_range(0..1, if first == 'A' { "B" } else { "A" });
                        assert!(decrypt(&parts.join("."), &mine).is_err(), "{alg} {enc} part {part}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_header_chooses_neither_key_nor_compression__rfc8725_3_6() {
        let ours = generate(SigningAlg::Es256, 2048).unwrap();
        let keys = [Decrypter::new(KeyAlg::EcdhEs, &ours.private).unwrap()];
        let with = |head: &str| {
            use base64::Engine;
            format!("{}.a.b.c.d", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(head))
        };
        for (head, refusal) in [
            (r#"{"alg":"ECDH-ES","enc":"A256GCM","zip":"DEF"}"#, Refusal::Foreign),
            (r#"{"alg":"ECDH-ES","enc":"A256GCM","jku":"https://e.test"}"#, Refusal::Foreign),
            (r#"{"alg":"ECDH-ES","enc":"A256GCM","crit":["x"]}"#, Refusal::Critical),
            (r#"{"alg":"RSA1_5","enc":"A256GCM"}"#, Refusal::Algorithm),
            (r#"{"alg":"dir","enc":"A256GCM"}"#, Refusal::Algorithm),
            (r#"{"alg":"PBES2-HS256+A128KW","enc":"A256GCM"}"#, Refusal::Algorithm),
            (r#"{"alg":"ECDH-ES","enc":"A128CBC"}"#, Refusal::Algorithm),
            (r#"{"alg":"ECDH-ES","alg":"ECDH-ES","enc":"A256GCM"}"#, Refusal::Header),
            (r#"{"alg":"ECDH-ES","enc":"A256GCM","kid":"another"}"#, Refusal::Key),
        ] {
            assert_eq!(decrypt(&with(head), &keys).unwrap_err(), refusal, "{head}");
        }
        assert_eq!(decrypt("a.b.c", &keys).unwrap_err(), Refusal::Form);
        assert_eq!(decrypt(&"a".repeat(MAX_CHARS + 1), &keys).unwrap_err(), Refusal::TooLong);
        assert!(Kind::of(key_shape(KeyAlg::EcdhEs)) == Kind::of(SigningAlg::Es256));
    }
}
