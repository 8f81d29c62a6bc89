//! The authorization code grant at the token endpoint (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
//!
//! Every binding of the code is compared before it is spent, so that a stranger who holds it takes nothing from its
//! owner. A replay that proves everything revokes what came of the code (OAuth 2.1: otherwise it would be a lever).

use crate::access::{Act, Hold, may_act};
use crate::account::subject;
use crate::app::App;
use crate::audit::{self, Event, Origin};
use crate::client::{Client, matches};
use crate::ctx::Ctx;
use crate::error::{Code, Error, Protocol, Result};
use crate::grant::{self, Bound, Terms};
use crate::http::Params;
use crate::issue::{Mint, Subject};
use crate::oidc::token::respond;
use crate::seal::same;
use actix_web::HttpResponse;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{GrantId, GrantType, Micros, authorization_code as code};
use sha2::{Digest, Sha256};
use std::sync::Arc;

fn refused(because: &str) -> Error {
    Protocol::new(Code::InvalidGrant, "the code is not valid").because(because).into()
}

pub async fn redeem(app: &App, ctx: &Ctx, client: &Arc<Client>, form: &Params) -> Result<HttpResponse> {
    let text = form.need("code", "code is missing")?;
    let verifier = form.get("code_verifier");
    if verifier.is_some_and(|v| !verifier_is_plain(v)) {
        return Err(Error::protocol(Code::InvalidRequest, "code_verifier must be 43 to 128 unreserved characters"));
    }
    let row = grant::find_code(app.db().read(), ctx.tenant.id, text).await?.ok_or_else(|| refused("no such code"))?;
    check(&row, (ctx, client), form, verifier)?;
    if row.spent_at.is_some() {
        return replayed(app, ctx, row).await;
    }
    if row.expires_at <= app.store.now() {
        return Err(refused("expired"));
    }
    let mint = Mint::prepare(app, ctx, client, &row.scopes).await?;
    let id = GrantId::new();
    let bound = Bound::from(&row);
    let (inner, client2, row2, bound2, store) =
        (ctx.clone(), client.clone(), row.clone(), bound.clone(), app.store.clone());
    let written = app
        .db()
        .write(async move |tx| {
            let (ctx, now) = (&inner, store.now());
            if !grant::spend_code(tx, &row2, id, now).await? {
                return Ok(None);
            }
            let act = Act {
                tenant: &ctx.tenant,
                client: Some((&client2, row2.created_at)),
                user: Some(bound2.user),
                session: Some(bound2.session),
                since: row2.created_at,
                now,
                hold: Hold::Row,
            };
            let user = match may_act(tx, act).await? {
                Ok(allowed) => allowed.user.ok_or_else(|| Error::internal("a person without a row"))?,
                Err(denied) => return Err(refused(denied.as_str())),
            };
            let sub = subject::of(tx, &user, client2.sector().as_deref(), now).await?;
            let refresh = grant::put_grant(tx, &ctx.tenant, id, &bound2, terms(&client2, &bound2, now)).await?;
            Ok(Some((sub, refresh, now)))
        })
        .await?;
    let Some((sub, refresh, now)) = written else {
        // Another was first in this very moment, or the time ran out between the look and the write.
        let row = grant::find_code(app.db().read(), ctx.tenant.id, text).await?.ok_or_else(|| refused("gone"))?;
        return replayed(app, ctx, row).await;
    };
    let subject = Subject { sub: &sub, grant: Some(id), bound: &bound, scopes: &bound.scopes, now };
    respond(app, ctx, client, (&mint, &subject, refresh)).await
}

fn terms(client: &Client, bound: &Bound, now: Micros) -> Terms {
    // With OpenID Connect a refresh token needs offline_access (Core section 11); plain OAuth has no such scope.
    let offline = bound.scopes.has("offline_access");
    let refresh = client.may(GrantType::RefreshToken) && (offline || !bound.scopes.has("openid"));
    Terms {
        now,
        refresh,
        offline,
        refresh_idle: client.settings.refresh_idle,
        refresh_max: client.settings.refresh_max,
        access_token: client.settings.access_token,
    }
}

fn check(row: &code::Model, (ctx, client): (&Ctx, &Client), form: &Params, verifier: Option<&str>) -> Result<()> {
    if row.client != client.key() {
        return Err(refused("of another client"));
    }
    if row.issuer != *ctx.issuer {
        return Err(refused("of another issuer"));
    }
    // RFC 6749 section 4.1.3: the very URI of the authorization request; where that left it out, none or the registered one.
    let fits = match (form.get("redirect_uri"), row.redirect_uri.as_str()) {
        (sent, "") => sent.is_none_or(|uri| matches(&client.redirect_uris, uri).is_some()),
        (sent, wanted) => sent == Some(wanted),
    };
    if !fits {
        return Err(refused("another redirect_uri"));
    }
    match (&row.code_challenge, verifier) {
        (Some(challenge), Some(verifier)) => {
            // RFC 7636 section 4.6
            let made = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
            if same(made.as_bytes(), challenge.as_bytes()) { Ok(()) } else { Err(refused("another code_verifier")) }
        }
        (Some(_), None) => Err(refused("no code_verifier")),
        // RFC 9700 section 2.1.1: a verifier without a challenge is a downgrade.
        (None, Some(_)) => Err(refused("a code_verifier that no challenge belongs to")),
        (None, None) => Ok(()),
    }
}

/// RFC 7636 section 4.1
fn verifier_is_plain(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// Somebody who can prove everything redeems a code again: what came of it is revoked (RFC 6749 section 4.1.2).
async fn replayed(app: &App, ctx: &Ctx, row: code::Model) -> Result<HttpResponse> {
    let (inner, store) = (ctx.clone(), app.store.clone());
    app.db()
        .write(async move |tx| {
            let revoked = match row.grant_id {
                Some(grant) => grant::revoke(tx, inner.tenant.id, grant, store.now()).await?,
                None => false,
            };
            if revoked {
                let event =
                    Event::failure(audit::kind::CODE_REUSE).on(row.user_id).client(row.client).because("replayed");
                audit::record(tx, &Origin::from(&inner), event).await?;
            }
            Ok(())
        })
        .await?;
    Err(refused("used before"))
}
