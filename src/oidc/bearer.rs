//! Access tokens that come back to us: userinfo, introspection, revocation.

use crate::access::{Act, Denied, Hold, may_act};
use crate::account::claims::ClaimsRequest;
use crate::account::{self, Person, subject};
use crate::app::App;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Challenge, Code, Error, Protocol, Result};
use crate::grant::{self, Bound};
use crate::http::Params;
use crate::issue::grant_of;
use crate::jose::{Audience, Expect, Expiry, Refusal, Typ, Verified, verify};
use crate::keys::Expired;
use actix_web::HttpRequest;
use actix_web::http::header;
use entity::{Micros, Scopes, SigningAlg, user};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// An access token that is alive, with what it is about.
pub struct Live {
    pub token: Verified,
    pub client: Arc<Client>,
    pub user: Option<user::Model>,
    pub scopes: Scopes,
    /// Claims that were asked for by name.
    pub claims: Option<ClaimsRequest>,
}

impl Live {
    /// # Errors
    /// The database's.
    pub async fn person(&self, app: &App) -> Result<Option<Person>> {
        match &self.user {
            Some(user) => account::with_identifiers(app.db().read(), user.clone()).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The token of a request: in the header or the form (RFC 6750 sections 2.1 and 2.2), in one place, never in the address.
///
/// # Errors
/// `invalid_request`; a bare challenge when there is none.
pub fn presented(req: &HttpRequest, form: Option<&Params>) -> Result<Zeroizing<String>> {
    match (bearer(req)?, form.and_then(|f| f.owned("access_token")).map(Zeroizing::new)) {
        (Some(_), Some(_)) => Err(bad(Code::InvalidRequest, "the access token is sent twice", Challenge::Bearer)),
        (Some(token), None) | (None, Some(token)) => Ok(token),
        (None, None) => Err(missing("an access token is needed")),
    }
}

fn bad(code: Code, says: &'static str, challenge: Challenge) -> Error {
    let mut protocol = Protocol::new(code, says);
    protocol.challenge = challenge;
    Error::Protocol(protocol)
}

/// No token came, and one is needed: the challenge names no error (RFC 6750 section 3.1).
pub fn missing(says: &'static str) -> Error {
    bad(Code::InvalidToken, says, Challenge::BearerBare)
}

/// The token in the header, if there is one.
///
/// # Errors
/// `invalid_request`.
pub fn bearer(req: &HttpRequest) -> Result<Option<Zeroizing<String>>> {
    if Params::parse(req.query_string())?.raw("access_token").is_some() {
        return Err(bad(Code::InvalidRequest, "the access token must not stand in the address", Challenge::Bearer));
    }
    let mut headers = req.headers().get_all(header::AUTHORIZATION);
    let header = headers.next().map(|h| h.to_str().unwrap_or(""));
    if headers.next().is_some() {
        return Err(bad(Code::InvalidRequest, "two Authorization headers", Challenge::Bearer));
    }
    let in_header = header
        .filter(|h| h.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")))
        .map(|h| Zeroizing::new(h[7..].trim().to_owned()));
    Ok(in_header.filter(|token| !token.is_empty()))
}

/// Verifies the form and signature of an access token of ours (RFC 9068 section 4).
///
/// # Errors
/// The outer one is the database's.
pub async fn read(app: &App, ctx: &Ctx, token: &str, max_chars: usize) -> Result<Result<Verified, Refusal>> {
    let now = app.store.now();
    let keys = app.keys.set(&app.store, &ctx.tenant).await?.verifiers(now, Expired::Refused);
    let own = [&*ctx.issuer];
    Ok(verify(
        token,
        &Expect {
            typ: Typ::Exact("at+jwt"),
            issuers: &own,
            unaddressed: false,
            audience: Audience::OneOf(&own),
            algs: SigningAlg::ALL,
            keys: &keys,
            secrets: &[],
            now,
            late: Duration::ZERO,
            early: Expect::NODES,
            expiry: Expiry::Required,
            max_chars,
        },
    ))
}

/// Whether an access token is alive: signed by us, not expired, not revoked by itself or with its grant, of a subject
/// that may act.
///
/// # Errors
/// The outer one is the database's: what cannot be looked up is not alive (it fails closed).
pub async fn live(app: &App, ctx: &Ctx, token: &str, max_chars: usize) -> Result<Result<Live, &'static str>> {
    let token = match read(app, ctx, token, max_chars).await? {
        Ok(token) => token,
        Err(refusal) => return Ok(Err(refusal.as_str())),
    };
    let conn = app.db().read();
    let (Some(jti), Some(client_id), Some(issued)) = (token.text("jti"), token.text("client_id"), token.issued) else {
        return Ok(Err("incomplete"));
    };
    let Some(client) = app.clients.find(&app.store, &ctx.tenant, client_id).await? else {
        return Ok(Err("the client is gone"));
    };
    let now = app.store.now();
    // A client's own token tells whole seconds, so that one of this very second counts as made at its end; never after now.
    let mut since = Micros(issued.0.saturating_add(999_999)).min(now);
    let mut claims = None;
    let user = match grant_of(jti) {
        Some(id) => {
            let Some(row) = grant::of_token(conn, ctx.tenant.id, (id, jti)).await? else {
                return Ok(Err("revoked, or its grant is gone"));
            };
            if row.client != client.key() {
                return Ok(Err("of another client"));
            }
            // As its refresh tokens: what came of a grant from before is dead, to the microsecond.
            since = row.created_at;
            // What the client lost since does not come back by name.
            claims = Bound::from(&row).claims.map(|c| c.within(&client.row.scopes));
            Some(row.user_id)
        }
        None if grant::is_revoked(conn, ctx.tenant.id, jti).await? => return Ok(Err("revoked")),
        None => None,
    };
    let act = Act {
        tenant: &ctx.tenant,
        client: Some((&client, since)),
        user,
        session: None,
        since,
        now,
        hold: Hold::Nothing,
    };
    let allowed = match may_act(conn, act).await? {
        Ok(allowed) => allowed,
        Err(denied) => return Ok(Err(Denied::as_str(denied))),
    };
    if let Some(user) = &allowed.user
        && subject::known(conn, user, client.sector().as_deref()).await?.as_deref() != token.text("sub")
    {
        return Ok(Err("another subject"));
    }
    let scopes = token.text("scope").and_then(Scopes::parse).unwrap_or_default();
    Ok(Ok(Live { client, user: allowed.user, scopes, claims, token }))
}
