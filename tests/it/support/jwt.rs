//! A client's key pair, and assertions made with it: right ones and others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::SigningAlg;
use josekit::jws::JwsSigner;
use keyward::jose::{KeyPair, Signer, generate};
use serde_json::{Value, json};

pub const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub struct Key {
    alg: SigningAlg,
    pair: KeyPair,
}

impl Key {
    pub fn new(alg: SigningAlg) -> Self {
        Self { alg, pair: generate(alg, 2048).unwrap() }
    }

    pub fn kid(&self) -> &str {
        &self.pair.kid
    }

    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.pair.public] })
    }

    /// The claims of an assertion for now, with these instead; `null` leaves one out.
    pub fn claims(&self, issuer: &str, client_id: &str, changes: &[(&str, Value)]) -> Value {
        let now = keyward::clock::Clock::default().now().seconds();
        let jti = uuid::Uuid::new_v4().to_string();
        let mut claims =
            json!({ "iss": client_id, "sub": client_id, "aud": issuer, "iat": now, "exp": now + 60, "jti": jti });
        for (name, value) in changes {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(*name)),
                value => claims[*name] = value.clone(),
            }
        }
        claims
    }

    pub fn sign(&self, typ: &str, claims: &Value) -> String {
        Signer::new(self.alg, &self.pair.private).unwrap().sign(typ, claims).unwrap()
    }

    pub fn assertion(&self, issuer: &str, client_id: &str) -> String {
        self.sign("JWT", &self.claims(issuer, client_id, &[]))
    }

    /// Any header over any claims, with the right signature of an ES256 key, or with these bytes for one.
    pub fn forge(&self, header: &Value, claims: &Value, signature: &[u8]) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let made = match signature {
            [] => self.es256().sign(signed.as_bytes()).unwrap(),
            given => given.to_vec(),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(made))
    }

    pub fn sign_without_kid(&self, claims: &Value) -> String {
        self.forge(&json!({ "alg": "ES256" }), claims, b"")
    }

    fn es256(&self) -> impl JwsSigner {
        let jwk = josekit::jwk::Jwk::from_bytes(self.pair.private.as_bytes()).unwrap();
        josekit::jws::ES256.signer_from_jwk(&jwk).unwrap()
    }
}
