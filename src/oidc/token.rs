//! The token endpoint (RFC 6749 section 3.2): authenticates the client and hands over to the grant.

use super::client_auth::authenticate;
use super::grant::{client_credentials, code, refresh};
use crate::ctx::Ctx;
use crate::error::{Code, Error, Result};
use crate::http::door::origin_of;
use crate::http::{App, Form, Params};
use actix_web::{HttpRequest, HttpResponse};
use entity::GrantType;

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
    if !client.may(kind) {
        return Err(Error::protocol(Code::UnauthorizedClient, "the client is not registered for this grant type"));
    }
    no_other_resource(&ctx, &form)?;
    match kind {
        GrantType::AuthorizationCode => code::redeem(&app, &ctx, &client, &form).await,
        GrantType::RefreshToken => refresh::refresh(&app, &ctx, &client, &form).await,
        GrantType::ClientCredentials => client_credentials::issue(&app, &ctx, &client, &form).await,
    }
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
