//! Who is this client? One method, the registered one (OpenID Connect Core section 9, RFC 6749 section 2.3, RFC 7523).

use crate::app::App;
use crate::audit::{self, Event, Origin};
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Challenge, Code, Error, Protocol, Result};
use crate::http::params::{Params, decode};
use crate::jose::{Audience, Expect, Expiry, Typ, kid, unproven, verify};
use crate::limit;
use crate::once;
use crate::seal::{Token, sha256_hash_of};
use actix_web::HttpRequest;
use actix_web::http::header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entity::{ClientAuth, Micros, SigningAlg};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// An assertion may live this long, and clocks may differ by so much.
const ASSERTION: Duration = Duration::from_secs(300);
const LEEWAY: Duration = Duration::from_secs(10);
/// RFC 7523 section 2.2
const BEARER_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What was presented.
enum Presented {
    Nothing,
    Secret { method: ClientAuth, secret: Zeroizing<String> },
    Assertion(String),
}

/// # Errors
/// `invalid_client` for whatever is wrong with it; `invalid_request` when it is not even one method; `slow_down` after
/// many failures from one source.
pub async fn authenticate(app: &App, ctx: &Ctx, (req, form): (&HttpRequest, &Params)) -> Result<Arc<Client>> {
    let (client_id, presented, challenge) = read(req, form)?;
    let client = app.clients.find(&app.store, &ctx.tenant, &client_id).await?;
    // What does not exist is counted by its source alone: names that are made up cost no place each.
    let known = client.as_ref().map(|c| c.key());
    let outcome = match client {
        Some(client) if client.active() => prove(app, ctx, &client, presented).await?.map(|()| client),
        Some(_) => Err("the client is disabled"),
        None => Err("no such client"),
    };
    let because = match outcome {
        Ok(client) => return Ok(client),
        Err(because) => because,
    };
    // What is right never waits: secrets have 256 bits, so that counting is against noise, not guessing.
    let name = if known.is_some() { client_id.as_str() } else { "" };
    let key = format!("{}/{name}/{}", ctx.tenant.id, limit::prefix(ctx.ip));
    if let Some(wait) = app.failures.blocked(key.as_bytes(), ctx.now) {
        let mut protocol = Protocol::new(Code::SlowDown, "too many failed attempts").because(because);
        protocol.retry_after = Some(wait);
        return Err(protocol.into());
    }
    let count = app.failures.failed(key.as_bytes(), ctx.now);
    if count == app.failures.limit() {
        // Once per window: a stranger's noise must not become as many writes.
        let (inner, by) = (ctx.clone(), known);
        let event = Event::failure(audit::kind::CLIENT_LOGIN_FAILED).because(because);
        let event = match by {
            Some(client) => event.client(client),
            None => event,
        };
        let event = event.with(serde_json::json!({ "count": count }));
        app.db().write(async move |tx| audit::record(tx, &Origin::from(&inner), event.clone()).await).await?;
    }
    let mut protocol = Protocol::new(Code::InvalidClient, "client authentication failed").because(because);
    protocol.challenge = challenge;
    Err(protocol.into())
}

fn read(req: &HttpRequest, form: &Params) -> Result<(String, Presented, Challenge)> {
    let bad = |says| Error::protocol(Code::InvalidRequest, says);
    // RFC 6749 section 2.3.1: never in the URI.
    let query = Params::parse(req.query_string())?;
    if ["client_secret", "client_assertion", "code", "refresh_token", "token"].iter().any(|n| query.raw(n).is_some()) {
        return Err(bad("credentials must not stand in the address"));
    }
    let mut headers = req.headers().get_all(header::AUTHORIZATION);
    let header = headers.next().map(|h| h.to_str().unwrap_or(""));
    if headers.next().is_some() {
        return Err(bad("two Authorization headers"));
    }
    let basic = header
        .filter(|h| h.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic ")))
        .map(|h| h[6..].trim());
    let (secret, assertion) = (form.get("client_secret"), form.get("client_assertion"));
    if [basic.is_some(), secret.is_some(), assertion.is_some()].iter().filter(|b| **b).count() > 1 {
        return Err(bad("more than one client authentication method"));
    }
    let unread = |says, challenge| {
        let mut protocol = Protocol::new(Code::InvalidClient, says);
        protocol.challenge = challenge;
        Error::Protocol(protocol)
    };
    if let Some(basic) = basic {
        let (id, secret) =
            basic_pair(basic).ok_or_else(|| unread("the Authorization header cannot be read", Challenge::Basic))?;
        if form.get("client_id").is_some_and(|f| f != id) {
            return Err(bad("two different client_id"));
        }
        return Ok((id, Presented::Secret { method: ClientAuth::Basic, secret }, Challenge::Basic));
    }
    if let Some(assertion) = assertion {
        if form.get("client_assertion_type") != Some(BEARER_TYPE) {
            return Err(bad("client_assertion_type must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        }
        let subject = unproven(assertion, "sub")
            .map_err(|e| Protocol::new(Code::InvalidClient, "client authentication failed").because(e))?;
        if form.get("client_id").is_some_and(|f| f != subject) {
            return Err(bad("two different client_id"));
        }
        return Ok((subject, Presented::Assertion(assertion.to_owned()), Challenge::None));
    }
    let id = form.get("client_id").ok_or_else(|| unread("no client authentication", Challenge::Basic))?;
    let presented = match secret {
        Some(secret) => Presented::Secret { method: ClientAuth::Post, secret: Zeroizing::new(secret.to_owned()) },
        None => Presented::Nothing,
    };
    Ok((id.to_owned(), presented, Challenge::None))
}

/// Both halves are form-encoded (RFC 6749 section 2.3.1).
fn basic_pair(text: &str) -> Option<(String, Zeroizing<String>)> {
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    let (id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some((decode(id)?, Zeroizing::new(decode(secret)?)))
}

async fn prove(app: &App, ctx: &Ctx, client: &Client, presented: Presented) -> Result<Result<(), &'static str>> {
    let registered = client.row.token_endpoint_auth_method;
    Ok(match presented {
        Presented::Nothing if registered == ClientAuth::None => Ok(()),
        Presented::Nothing => Err("no credentials of a client that has some"),
        Presented::Secret { method, .. } if method != registered => Err("not the registered method"),
        Presented::Secret { secret, .. } => match client.knows(&Token::hash_of(&secret), ctx.now) {
            true => Ok(()),
            false => Err("wrong secret"),
        },
        Presented::Assertion(assertion) => match registered {
            ClientAuth::PrivateKeyJwt | ClientAuth::SecretJwt => {
                return by_assertion(app, ctx, client, &assertion).await;
            }
            _ => Err("not the registered method"),
        },
    })
}

/// RFC 7523 section 3.
async fn by_assertion(app: &App, ctx: &Ctx, client: &Client, assertion: &str) -> Result<Result<(), &'static str>> {
    let now = app.store.now();
    let token_endpoint = ctx.url("/oauth2/token");
    let issuers = [client.id()];
    // The issuer (RFC 10070), or the token endpoint as OpenID Connect Core section 9 has it; nobody else beside them.
    let audience = [&*ctx.issuer, token_endpoint.as_str()];
    let kid = kid(assertion);
    // OpenID Connect Core section 9: the secret as the key of an HMAC, or a key of the client's own; never both.
    let (secrets, verifiers, algs) = match client.row.token_endpoint_auth_method {
        ClientAuth::SecretJwt => (client.shared_secrets(now), Arc::default(), vec![]),
        _ => {
            let algs = match client.metadata.token_endpoint_auth_signing_alg {
                Some(alg) => alg.signing().into_iter().collect(),
                None => SigningAlg::ALL.to_vec(),
            };
            match app.clients.documents.keys(&app.fetch, client, kid.as_deref(), now).await {
                Ok(document) => (vec![], document.verifiers, algs),
                Err(why) => return Ok(Err(why)),
            }
        }
    };
    let expect = Expect {
        typ: Typ::PlainOr("client-authentication+jwt"),
        issuers: &issuers,
        unaddressed: false,
        audience: Audience::Only(&audience),
        algs: &algs,
        keys: &verifiers,
        secrets: &secrets,
        now,
        late: LEEWAY,
        early: LEEWAY,
        expiry: Expiry::Required,
        max_chars: Expect::MAX_CHARS,
    };
    let verified = match verify(assertion, &expect) {
        Ok(verified) => verified,
        Err(refusal) => {
            if kid.is_none() {
                // Its keys may have changed, and nothing told which one was meant.
                app.clients.documents.forget(client, now);
            }
            return Ok(Err(refusal.as_str()));
        }
    };
    if verified.text("sub") != Some(client.id()) {
        return Ok(Err("the assertion's subject is another"));
    }
    let Some(expires) = verified.expires else { return Ok(Err("the assertion never expires")) };
    if now.plus(ASSERTION + LEEWAY) < expires {
        return Ok(Err("the assertion lives too long"));
    }
    let Some(jti) = verified.text("jti").filter(|j| !j.is_empty() && j.len() <= 300) else {
        return Ok(Err("the assertion has no jti"));
    };
    let hash = sha256_hash_of(&[b"client_assertion", client.id().as_bytes(), jti.as_bytes()]);
    let (tenant, until): (_, Micros) = (ctx.tenant.id, expires.plus(LEEWAY * 2));
    // A second use is refused on every node: whoever writes the row first has used it.
    let first = app.db().write(async move |tx| once::spend_jti(tx, tenant, hash.clone(), until).await).await?;
    Ok(if first { Ok(()) } else { Err("the assertion was used before") })
}
