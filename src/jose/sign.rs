//! Making tokens. A signer is built once per key and shared; rebuilding one per token costs 4 to 17 times as much.

use super::thumbprint;
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::SigningAlg;
use josekit::jwk::Jwk;
use josekit::jws::{self, JwsSigner};
use serde::Serialize;
use serde_json::json;

/// The types whose header is encoded in advance.
const USUAL: [&str; 4] = ["JWT", "at+jwt", "logout+jwt", "token-introspection+jwt"];

/// The private half of a key, ready to sign. Send and Sync; has no Debug.
pub struct Signer {
    pub alg: SigningAlg,
    pub kid: String,
    inner: Box<dyn JwsSigner>,
    /// Encoded headers of the usual types, each with its dot.
    heads: [String; USUAL.len()],
}

impl Signer {
    /// From the private JWK that [`super::generate`] made. Its `alg`, if it has one, must be `alg`.
    pub fn new(alg: SigningAlg, private_jwk: &str) -> Result<Self> {
        // The cause may hold parts of the key, so it is not told (KM-07).
        let refused = || Error::internal("a private key cannot be loaded");
        let jwk = Jwk::from_bytes(private_jwk).map_err(|_| refused())?;
        let inner = load(alg, &jwk).ok_or_else(refused)?;
        let kid = match jwk.key_id() {
            Some(kid) => kid.to_owned(),
            None => thumbprint(jwk.as_ref()).ok_or_else(refused)?,
        };
        let heads = USUAL.map(|typ| head(alg, &kid, typ));
        Ok(Self { alg, kid, inner, heads })
    }

    /// A compact JWS (RFC 7515 section 3.1) with the header `alg`, `kid`, `typ`. `typ` is the media type without
    /// `application/` (RFC 7515 section 4.1.9), and never absent (RFC 8725 section 3.11).
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String> {
        let payload = serde_json::to_vec(claims).map_err(Error::internal)?;
        let made;
        let head = match USUAL.iter().position(|usual| *usual == typ) {
            Some(at) => &self.heads[at],
            None => {
                made = head(self.alg, &self.kid, typ);
                &made
            }
        };
        // A signature of RSA 4096 takes 683 characters.
        let mut token = String::with_capacity(head.len() + payload.len() * 4 / 3 + 700);
        token.push_str(head);
        URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
        let signature = self.inner.sign(token.as_bytes()).map_err(|_| Error::internal("signing failed"))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }
}

/// The same with HS256 and a client's secret as the key (OpenID Connect Core section 10.1); it has no key id.
///
/// # Errors
/// When signing fails.
pub fn sign_with_secret(secret: &str, typ: &str, claims: &impl Serialize) -> Result<String> {
    let refused = |_| Error::internal("signing with a secret failed");
    let signer = jws::HS256.signer_from_bytes(secret.as_bytes()).map_err(refused)?;
    let payload = serde_json::to_vec(claims).map_err(Error::internal)?;
    let mut token = URL_SAFE_NO_PAD.encode(json!({ "alg": "HS256", "typ": typ }).to_string()) + ".";
    URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
    let signature = signer.sign(token.as_bytes()).map_err(refused)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
    Ok(token)
}

fn head(alg: SigningAlg, kid: &str, typ: &str) -> String {
    let header = json!({ "alg": alg.as_str(), "kid": kid, "typ": typ });
    URL_SAFE_NO_PAD.encode(header.to_string()) + "."
}

fn load(alg: SigningAlg, jwk: &Jwk) -> Option<Box<dyn JwsSigner>> {
    fn boxed<S: JwsSigner + 'static>(loaded: std::result::Result<S, josekit::JoseError>) -> Option<Box<dyn JwsSigner>> {
        loaded.ok().map(|s| Box::new(s) as Box<dyn JwsSigner>)
    }
    match alg {
        SigningAlg::Rs256 => boxed(jws::RS256.signer_from_jwk(jwk)),
        SigningAlg::Rs384 => boxed(jws::RS384.signer_from_jwk(jwk)),
        SigningAlg::Rs512 => boxed(jws::RS512.signer_from_jwk(jwk)),
        SigningAlg::Ps256 => boxed(jws::PS256.signer_from_jwk(jwk)),
        SigningAlg::Ps384 => boxed(jws::PS384.signer_from_jwk(jwk)),
        SigningAlg::Ps512 => boxed(jws::PS512.signer_from_jwk(jwk)),
        SigningAlg::Es256 => boxed(jws::ES256.signer_from_jwk(jwk)),
        SigningAlg::Es384 => boxed(jws::ES384.signer_from_jwk(jwk)),
        SigningAlg::Es512 => boxed(jws::ES512.signer_from_jwk(jwk)),
        // josekit would take Ed448 as well; Keyward's EdDSA is Ed25519.
        SigningAlg::EdDsa if jwk.curve() == Some("Ed25519") => boxed(jws::EdDSA.signer_from_jwk(jwk)),
        SigningAlg::EdDsa => None,
    }
}
