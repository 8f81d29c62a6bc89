//! Token revocation (RFC 7009).

use super::bearer;
use super::client_auth::authenticate;
use crate::audit::{self, Event, Origin};
use crate::ctx::Ctx;
use crate::error::Result;
use crate::grant;
use crate::http::answer::no_store;
use crate::http::door::origin_of;
use crate::http::{App, Form};
use crate::jose::Expect;
use actix_web::{HttpRequest, HttpResponse};

/// `POST /oauth2/revoke`: a refresh token takes its grant with it, an access token goes alone. A token that is unknown
/// or somebody else's changes nothing and is answered alike (RFC 7009 section 2.2).
///
/// # Errors
/// `invalid_client`, `invalid_request`; 503 when it could not be written: never 200 for what was not done.
pub async fn revoke(app: App, ctx: Ctx, req: HttpRequest, form: Form) -> Result<HttpResponse> {
    let form = form.0;
    let client = authenticate(&app, &ctx, (&req, &form)).await?;
    origin_of(&req, &client.row.allowed_origins.0);
    let text = form.need("token", "token is missing")?;
    let (tenant, store, origin) = (ctx.tenant.id, app.store.clone(), Origin::from(&ctx));
    if let Some(token) = grant::present(&ctx.tenant, text) {
        let row = grant::find_grant(app.db().read(), tenant, token.grant).await?;
        if let Some(row) = row.filter(|r| r.client == client.key()) {
            app.db()
                .write(async move |tx| {
                    if grant::revoke(tx, tenant, row.id, store.now()).await? {
                        let event = Event::success(audit::kind::TOKEN_REVOKE).on(row.user_id).client(row.client);
                        audit::record(tx, &origin, event).await?;
                    }
                    Ok(())
                })
                .await?;
        }
    } else if let Ok(token) = bearer::read(&app, &ctx, text, Expect::MAX_CHARS).await? {
        let own = token.text("client_id") == Some(client.id());
        if let (true, Some(jti), Some(expires)) = (own, token.text("jti").map(str::to_owned), token.expires) {
            let key = client.key();
            app.db()
                .write(async move |tx| {
                    if grant::revoke_token(tx, tenant, &jti, expires).await? {
                        audit::record(tx, &origin, Event::success(audit::kind::TOKEN_REVOKE).client(key)).await?;
                    }
                    Ok(())
                })
                .await?;
        }
    }
    let mut response = HttpResponse::Ok();
    no_store(&mut response);
    Ok(response.finish())
}
