//! The refresh token grant (RFC 6749 section 6): rotation with reuse detection and a short grace (RFC 9700 section 4.14.2).

use crate::access::{Act, Hold, may_act};
use crate::account::subject;
use crate::app::App;
use crate::audit::{self, Event, Origin};
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Protocol, Result};
use crate::grant::{self, Bound, Rotated};
use crate::http::Params;
use crate::issue::{Mint, Subject};
use crate::oidc::token::respond;
use actix_web::HttpResponse;
use entity::Scopes;
use std::sync::Arc;

fn refused(because: &str) -> Error {
    Protocol::new(Code::InvalidGrant, "the refresh token is not valid").because(because).into()
}

pub async fn refresh(app: &App, ctx: &Ctx, client: &Arc<Client>, form: &Params) -> Result<HttpResponse> {
    let token = grant::present(&ctx.tenant, form.need("refresh_token", "refresh_token is missing")?)
        .ok_or_else(|| refused("not ours"))?;
    let row = grant::find_grant(app.db().read(), ctx.tenant.id, token.grant)
        .await?
        .ok_or_else(|| refused("no such grant"))?;
    // Another client is refused, and the owner's line is left alone.
    if row.client != client.key() {
        return Err(refused("of another client"));
    }
    if row.issuer != *ctx.issuer {
        return Err(refused("of another issuer"));
    }
    // Granted then and allowed still: what the client lost since does not come back with an old token.
    let allowed = row.scopes.and(&client.row.scopes);
    if row.offline && !allowed.has("offline_access") {
        return Err(refused("offline_access was taken from the client"));
    }
    let scopes = narrowed(form.get("scope"), &allowed)?;
    let mint = Mint::prepare(app, ctx, client, &scopes).await?;
    let (bound, id) = (Bound::from(&row), token.grant);
    let (inner, client2, bound2, store) = (ctx.clone(), client.clone(), bound.clone(), app.store.clone());
    let (since, offline) = (row.created_at, row.offline);
    let written = app
        .db()
        .write(async move |tx| {
            let (ctx, now) = (&inner, store.now());
            let next = match grant::rotate(tx, &ctx.tenant, &client2.settings, &token, now).await? {
                Rotated::Next(next) => next,
                Rotated::Dead => return Err(refused("dead")),
                Rotated::Reused => {
                    if grant::revoke(tx, ctx.tenant.id, token.grant, now).await? {
                        let event = Event::failure(audit::kind::TOKEN_REUSE).on(bound2.user).client(bound2.client);
                        audit::record(tx, &Origin::from(ctx), event.because("refresh_token_reused")).await?;
                    }
                    return Ok(None);
                }
            };
            let act = Act {
                tenant: &ctx.tenant,
                client: Some((&client2, since)),
                user: Some(bound2.user),
                // Without offline access it lives no longer than the session (OpenID Connect Core section 11).
                session: (!offline).then_some(bound2.session),
                since,
                now,
                hold: Hold::Row,
            };
            match may_act(tx, act).await? {
                Ok(allowed) => {
                    let user = allowed.user.ok_or_else(|| Error::internal("a person without a row"))?;
                    let sub = subject::of(tx, &user, client2.sector().as_deref(), now).await?;
                    Ok(Some((sub, next, now)))
                }
                Err(denied) => Err(refused(denied.as_str())),
            }
        })
        .await?;
    let Some((sub, next, now)) = written else { return Err(refused("used before: the grant was revoked")) };
    let subject = Subject { sub: &sub, grant: Some(id), bound: &bound, scopes: &scopes, now };
    respond(app, ctx, client, (&mint, &subject, Some(next))).await
}

/// RFC 6749 section 6: never more than was granted.
fn narrowed(asked: Option<&str>, granted: &Scopes) -> Result<Scopes> {
    let Some(text) = asked else { return Ok(granted.clone()) };
    match Scopes::parse(text).filter(|s| !s.is_empty()) {
        Some(scopes) if scopes.within(granted) => Ok(scopes),
        _ => Err(Error::protocol(Code::InvalidScope, "scope goes beyond what was granted")),
    }
}
