//! Token introspection (RFC 7662), for clients that can keep a secret.
//!
//! A token is told about to the client that it was issued to, and to clients whose registered scopes have
//! [`INSPECTOR`]: resource servers that serve several clients. To everybody else it is not active.

use super::bearer::live;
use super::client_auth::authenticate;
use crate::access::{Act, Hold, may_act};
use crate::account::subject;
use crate::app::App as Process;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Result};
use crate::grant;
use crate::http::answer::no_store;
use crate::http::{App, Form};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

/// The scope that lets a resource server ask about tokens of other clients.
pub const INSPECTOR: &str = "introspection";
/// Characters of a token that is asked about.
const MAX_CHARS: usize = 4 * 1024;

/// `POST /oauth2/introspect`
///
/// # Errors
/// `invalid_client`, `invalid_request`. A token that is not alive is no error (RFC 7662 section 2.2).
pub async fn introspect(app: App, ctx: Ctx, req: HttpRequest, form: Form) -> Result<HttpResponse> {
    let form = form.0;
    let caller = authenticate(&app, &ctx, (&req, &form)).await?;
    if caller.public() {
        // RFC 7662 section 2.1: otherwise anyone could try tokens out.
        return Err(Error::protocol(Code::UnauthorizedClient, "public clients may not introspect"));
    }
    let token = form.need("token", "token is missing")?;
    let told = match grant::present(&ctx.tenant, token) {
        Some(presented) => refresh_token(&app, &ctx, &caller, presented).await?,
        None => access_token(&app, &ctx, &caller, token).await?,
    };
    let mut response = HttpResponse::Ok();
    no_store(&mut response);
    Ok(response.json(told.unwrap_or_else(|| json!({ "active": false }))))
}

fn may_know(caller: &Client, owner: &Client) -> bool {
    caller.key() == owner.key() || caller.row.scopes.has(INSPECTOR)
}

async fn access_token(app: &Process, ctx: &Ctx, caller: &Client, token: &str) -> Result<Option<Value>> {
    let Ok(live) = live(app, ctx, token, MAX_CHARS).await? else { return Ok(None) };
    if !may_know(caller, &live.client) {
        return Ok(None);
    }
    let mut told = live.token.claims;
    told.insert("active".into(), true.into());
    told.insert("token_type".into(), "Bearer".into());
    Ok(Some(Value::Object(told)))
}

async fn refresh_token(app: &Process, ctx: &Ctx, caller: &Client, token: grant::Presented) -> Result<Option<Value>> {
    let conn = app.db().read();
    let now = app.store.now();
    let Some(row) = grant::find_grant(conn, ctx.tenant.id, token.grant).await? else { return Ok(None) };
    let dead = row.revoked_at.is_some()
        || row.expires_at <= now
        || row.idle_expires_at <= now
        || row.refresh_number != token.number;
    let Some(owner) = app.clients.by_key(&app.store, &ctx.tenant, row.client).await? else { return Ok(None) };
    if dead || !may_know(caller, &owner) || row.issuer != *ctx.issuer {
        return Ok(None);
    }
    let act = Act {
        tenant: &ctx.tenant,
        client: Some((&owner, row.created_at)),
        user: Some(row.user_id),
        session: None,
        since: row.created_at,
        now,
        hold: Hold::Nothing,
    };
    let Ok(allowed) = may_act(conn, act).await? else { return Ok(None) };
    let Some(user) = allowed.user else { return Ok(None) };
    // As the tokens of this grant name the person (OpenID Connect Core section 8.1).
    let Some(sub) = subject::known(conn, &user, owner.sector().as_deref()).await? else { return Ok(None) };
    Ok(Some(json!({
        "active": true,
        "client_id": owner.id(),
        "sub": sub,
        "scope": row.scopes.to_string(),
        "iss": row.issuer,
        "iat": row.created_at.seconds(),
        "exp": row.idle_expires_at.min(row.expires_at).seconds(),
    })))
}
