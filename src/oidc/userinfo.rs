//! The userinfo endpoint (OpenID Connect Core section 5.3).

use super::bearer::{live, presented};
use crate::account::claims::told;
use crate::app::App as Process;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Protocol, Result};
use crate::http::answer::no_store;
use crate::http::door::origin_of;
use crate::http::{App, Form, Params};
use crate::issue::Envelope;
use crate::jose::Expect;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;
use std::collections::BTreeMap;

/// `GET /oauth2/userinfo`
///
/// # Errors
/// RFC 6750 section 3.1.
pub async fn get(app: App, ctx: Ctx, req: HttpRequest) -> Result<HttpResponse> {
    answer(&app, &ctx, &req, None).await
}

/// `POST /oauth2/userinfo`, with the token in the header or the form.
///
/// # Errors
/// As [`get`].
pub async fn post(app: App, ctx: Ctx, req: HttpRequest, form: Form) -> Result<HttpResponse> {
    answer(&app, &ctx, &req, Some(&form.0)).await
}

async fn answer(app: &Process, ctx: &Ctx, req: &HttpRequest, form: Option<&Params>) -> Result<HttpResponse> {
    let token = presented(req, form)?;
    let live = match live(app, ctx, &token, Expect::MAX_CHARS).await? {
        Ok(live) => live,
        Err(because) => {
            return Err(Protocol::new(Code::InvalidToken, "the access token is not valid").because(because).into());
        }
    };
    origin_of(req, &live.client.row.allowed_origins.0);
    if !live.scopes.has("openid") {
        return Err(Error::protocol(Code::InsufficientScope, "the access token has no openid scope"));
    }
    let Some(person) = live.person(app).await? else {
        return Err(Error::protocol(Code::InvalidToken, "the access token is about no person"));
    };
    let wishes = live.claims.as_ref().map(|c| &c.userinfo);
    let mut told = told(&person, &live.scopes, wishes.unwrap_or(&BTreeMap::new()));
    told.insert("sub".into(), live.token.claims.get("sub").cloned().unwrap_or_default());
    let mut response = HttpResponse::Ok();
    no_store(&mut response);
    let Some(envelope) = Envelope::for_userinfo(app, &ctx.tenant, &live.client).await? else {
        return Ok(response.json(told));
    };
    // OpenID Connect Core section 5.3.2
    told.insert("iss".into(), Value::String(ctx.issuer.to_string()));
    told.insert("aud".into(), Value::String(live.client.id().to_owned()));
    Ok(response.content_type("application/jwt").body(envelope.seal("JWT", &told)?))
}
