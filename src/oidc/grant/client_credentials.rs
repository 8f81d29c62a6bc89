//! The client credentials grant (RFC 6749 section 4.4): no row is read or written.

use crate::access::{Act, Hold, may_act};
use crate::app::App;
use crate::client::{Client, standard_scopes};
use crate::ctx::Ctx;
use crate::error::{Code, Error, Protocol, Result};
use crate::http::Params;
use crate::issue::Mint;
use crate::oidc::token::TokenResponse;
use actix_web::HttpResponse;
use entity::Scopes;

pub async fn issue(app: &App, ctx: &Ctx, client: &Client, form: &Params) -> Result<HttpResponse> {
    let bad = |says| Error::protocol(Code::InvalidScope, says);
    // What tells about a person is nothing that a client can have for itself.
    let own = Scopes(client.row.scopes.0.difference(&standard_scopes().0).cloned().collect());
    let scopes = match form.get("scope") {
        Some(text) => Scopes::parse(text).ok_or_else(|| bad("scope has characters that are not allowed"))?,
        None => own.clone(),
    };
    if !scopes.within(&own) {
        return Err(bad("the client may not have one of these scopes"));
    }
    let now = app.store.now();
    let act = Act {
        tenant: &ctx.tenant,
        client: Some((client, now)),
        user: None,
        session: None,
        since: now,
        now,
        hold: Hold::Nothing,
    };
    if let Err(denied) = may_act(app.db().read(), act).await? {
        return Err(Protocol::new(Code::UnauthorizedClient, "the client may not act").because(denied.as_str()).into());
    }
    let mint = Mint::prepare(app, ctx, client, &scopes).await?;
    if !ctx.tenant.was_issued() {
        let tenant = ctx.tenant.clone();
        app.db().write(async move |tx| tenant.mark_issued(tx, now).await).await?;
        ctx.tenant.note_issued();
    }
    let response = TokenResponse {
        access_token: &mint.own_token(ctx, client, (&scopes, now))?,
        token_type: "Bearer",
        expires_in: client.settings.access_token.as_secs(),
        refresh_token: None,
        id_token: None,
        scope: &scopes.to_string(),
    };
    Ok(response.answer())
}
