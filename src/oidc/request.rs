//! Request objects (OpenID Connect Core section 6, RFC 9101): parameters that the application signed.
//!
//! What is signed wins over what stands beside it (OpenID Connect Core section 6.1). `client_id` and `response_type` must
//! stand beside it too and say the same; no object may name another one.

use crate::app::App;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Protocol, Result};
use crate::feature::Feature;
use crate::http::Params;
use crate::jose::{Audience, Expect, Expiry, Typ, decrypt, is_encrypted, verify};
use entity::{JwsAlg, SigningAlg};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a document at a `request_uri`.
const MOST: usize = 64 * 1024;
/// Clocks may differ by so much.
const LEEWAY: Duration = Duration::from_secs(10);

/// The parameters of a request, with those of its object in their place.
///
/// # Errors
/// `invalid_request_object`, `invalid_request_uri` and their like; to be answered as a page until the redirect URI is proven.
pub async fn merged(app: &App, ctx: &Ctx, client: &Client, params: &Params) -> Result<Params> {
    let signed_only = client.metadata.require_signed_request_object;
    let (object, uri) = match (params.get("request"), params.get("request_uri")) {
        (None, None) if signed_only => {
            return Err(Error::protocol(Code::InvalidRequest, "this client must send a signed request object"));
        }
        (None, None) => return Ok(params.clone()),
        // OpenID Connect Core section 6.1
        (Some(_), Some(_)) => return Err(Error::protocol(Code::InvalidRequest, "request goes without request_uri")),
        (object, uri) => (object, uri),
    };
    if !ctx.tenant.features.has(Feature::RequestObjects) {
        return Err(match uri {
            Some(_) => Error::protocol(Code::RequestUriNotSupported, "request_uri is not supported"),
            None => Error::protocol(Code::RequestNotSupported, "request objects are not supported"),
        });
    }
    let object = match (object, uri) {
        (Some(object), _) => object.to_owned(),
        (None, Some(uri)) => fetched(app, client, uri).await?,
        (None, None) => return Ok(params.clone()),
    };
    let claims = proven(app, ctx, client, object).await?;
    let bad = |says| Error::protocol(Code::InvalidRequestObject, says);
    for name in ["request", "request_uri"] {
        if claims.contains_key(name) {
            // OpenID Connect Core section 6.1
            return Err(bad("a request object names another one"));
        }
    }
    // RFC 9101 section 6.3: said twice, they say the same.
    for name in ["client_id", "response_type"] {
        let inner = claims.get(name).and_then(Value::as_str);
        if inner.is_some_and(|inner| params.get(name).is_some_and(|outer| !same_words(outer, inner))) {
            return Err(bad("the request object contradicts the request"));
        }
    }
    // RFC 9101 section 4: so that an assertion of the client's is no request.
    if claims.get("sub").and_then(Value::as_str) == Some(client.id()) {
        return Err(bad("a client assertion is no request object"));
    }
    let mut all = match signed_only {
        // RFC 9101 section 6.3: then nothing counts but what was signed; the client alone is named outside.
        true => params.only("client_id"),
        false => params.clone(),
    };
    all.remove("request");
    all.remove("request_uri");
    for (name, value) in claims {
        // What the token says of itself is no parameter.
        if ["iss", "aud", "exp", "nbf", "iat", "jti", "sub"].contains(&name.as_str()) {
            continue;
        }
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            // `claims` stands there as it is (section 6.1).
            value @ Value::Object(_) => value.to_string(),
            Value::Null => continue,
            Value::Array(_) => return Err(bad("a parameter of the request object is a list")),
        };
        all.set(&name, text);
    }
    Ok(all)
}

fn same_words(one: &str, other: &str) -> bool {
    let words = |text: &str| {
        let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    words(one) == words(other)
}

/// The document at a registered address (OpenID Connect Core section 6.2): the fragment is its hash or a version, and says
/// nothing that would have to be believed.
async fn fetched(app: &App, client: &Client, uri: &str) -> Result<String> {
    let refused = |because: &str| {
        Error::from(Protocol::new(Code::InvalidRequestUri, "the request_uri cannot be used").because(because))
    };
    let bare = |uri: &str| uri.split('#').next().unwrap_or("").to_owned();
    // Registered beforehand, always: otherwise anyone could send us anywhere.
    if !client.metadata.request_uris.iter().any(|r| r == uri || bare(r) == bare(uri)) {
        return Err(refused("it is not registered"));
    }
    let accept = "application/oauth-authz-req+jwt, application/jwt, text/plain";
    let fetched = app.fetch.get(&bare(uri), accept, MOST).await.map_err(refused)?;
    let text = String::from_utf8(fetched.body).map_err(|_| refused("not text"))?;
    Ok(text.trim().to_owned())
}

async fn proven(app: &App, ctx: &Ctx, client: &Client, object: String) -> Result<serde_json::Map<String, Value>> {
    let refused = |because: &str| {
        Error::from(Protocol::new(Code::InvalidRequestObject, "the request object is not valid").because(because))
    };
    let m = &client.metadata;
    let object = match is_encrypted(&object) {
        true => {
            let set = app.decryption.set(&app.store, &ctx.tenant).await?;
            decrypt(&object, &set.keys).map_err(|r| refused(r.as_str()))?
        }
        false if m.request_object_encryption_alg.is_some() => return Err(refused("it must be encrypted")),
        false => object,
    };
    let now = app.store.now();
    let algs: Vec<SigningAlg> = match m.request_object_signing_alg {
        Some(alg) => alg.signing().into_iter().collect(),
        None => SigningAlg::ALL.to_vec(),
    };
    let kid = crate::jose::kid(&object);
    // Where the secret is the key no document is asked for.
    let (secrets, verifiers) = match m.request_object_signing_alg {
        Some(JwsAlg::Hs256) => (client.shared_secrets(now), Arc::default()),
        _ => {
            let keys = app.clients.documents.keys(&app.fetch, client, kid.as_deref(), now).await.map_err(refused)?;
            (vec![], keys.verifiers)
        }
    };
    let issuers = [client.id()];
    let own = [&*ctx.issuer];
    let expect = Expect {
        // RFC 9101 section 10.8: the type, or none as OpenID Connect has it.
        typ: Typ::PlainOr("oauth-authz-req+jwt"),
        issuers: &issuers,
        unaddressed: true,
        audience: Audience::OneOf(&own),
        algs: &algs,
        keys: &verifiers,
        secrets: &secrets,
        now,
        late: LEEWAY,
        early: LEEWAY,
        expiry: Expiry::IfPresent,
        max_chars: MOST,
    };
    verify(&object, &expect).map(|v| v.claims).map_err(|r| refused(r.as_str()))
}
