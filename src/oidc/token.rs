//! The token endpoint (RFC 6749 section 3.2): authenticates the client and hands over to the grant.

use super::client_auth::authenticate;
use super::grant::{client_credentials, code, refresh};
use crate::account;
use crate::account::claims::told;
use crate::app::App as Process;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Result};
use crate::http::answer::no_store;
use crate::http::door::origin_of;
use crate::http::{App, Form, Params};
use crate::issue::{Beside, Mint, Subject};
use actix_web::{HttpRequest, HttpResponse};
use entity::{GrantType, Scopes};
use serde::Serialize;
use serde_json::Map;
use zeroize::Zeroizing;

/// `POST /oauth2/token`
///
/// # Errors
/// RFC 6749 section 5.2.
pub async fn token(app: App, ctx: Ctx, req: HttpRequest, form: Form) -> Result<HttpResponse> {
    let form = form.0;
    let client = authenticate(&app, &ctx, (&req, &form)).await?;
    origin_of(&req, &client.row.allowed_origins.0);
    let name = form.need("grant_type", "grant_type is missing")?;
    let Some(kind) = GrantType::parse(name) else {
        return Err(Error::protocol(Code::UnsupportedGrantType, "this grant type is not supported"));
    };
    if kind == GrantType::Implicit || !ctx.tenant.features.grants_by(kind) {
        return Err(Error::protocol(Code::UnsupportedGrantType, "this grant type is not supported"));
    }
    if !client.may(kind) {
        return Err(Error::protocol(Code::UnauthorizedClient, "the client is not registered for this grant type"));
    }
    no_other_resource(&ctx, &form)?;
    match kind {
        GrantType::AuthorizationCode => code::redeem(&app, &ctx, &client, &form).await,
        GrantType::RefreshToken => refresh::refresh(&app, &ctx, &client, &form).await,
        GrantType::ClientCredentials => client_credentials::issue(&app, &ctx, &client, &form).await,
        GrantType::Implicit => {
            Err(Error::protocol(Code::UnsupportedGrantType, "the implicit grant does not use this endpoint"))
        }
    }
}

/// RFC 6749 section 5.1.
#[derive(Serialize)]
pub(super) struct TokenResponse<'a> {
    pub access_token: &'a str,
    pub token_type: &'static str,
    pub expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<&'a str>,
    pub scope: &'a str,
}

impl TokenResponse<'_> {
    pub fn answer(&self) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        no_store(&mut response);
        response.json(self)
    }
}

/// The answer for a person's grant.
///
/// # Errors
/// The database's, and when signing fails.
pub(super) async fn respond(
    app: &Process,
    ctx: &Ctx,
    client: &Client,
    (mint, subject, refresh): (&Mint, &Subject<'_>, Option<Zeroizing<String>>),
) -> Result<HttpResponse> {
    let claims = subject.bound.claims.clone().map(|c| c.within(&client.row.scopes));
    let told = match claims.map(|c| c.id_token).filter(|wishes| !wishes.is_empty()) {
        Some(wishes) => {
            let person = account::by_id(app.db().read(), ctx.tenant.id, subject.bound.user).await?;
            person.map(|p| told(&p, &Scopes::default(), &wishes)).unwrap_or_default()
        }
        None => Map::new(),
    };
    let access = mint.access_token(client, subject)?;
    let beside = Beside { access_token: Some(&access), told, ..Beside::default() };
    let id = mint.id_token(ctx, client, subject, beside)?;
    let response = TokenResponse {
        access_token: &access,
        token_type: "Bearer",
        expires_in: client.settings.access_token.as_secs(),
        refresh_token: refresh.as_ref().map(|r| r.as_str()),
        id_token: id.as_deref(),
        scope: &subject.scopes.to_string(),
    };
    Ok(response.answer())
}

/// RFC 8707 section 2: a resource that is not known is refused rather than ignored.
///
/// # Errors
/// `invalid_target`.
pub fn no_other_resource(ctx: &Ctx, params: &Params) -> Result<()> {
    match params.all("resource").any(|resource| resource != &*ctx.issuer) {
        true => Err(Error::protocol(Code::InvalidTarget, "this resource is not known")),
        false => Ok(()),
    }
}
