//! Tells an application that a session ended (OpenID Connect Back-Channel Logout section 2.5).

use crate::account::{self, session, subject};
use crate::app::App;
use crate::error::{Error, Result};
use crate::issue::{Envelope, session_alias};
use crate::seal::random;
use crate::tenant;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{ClientKey, SessionId, job};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Section 2.4: short.
const LIFE: Duration = Duration::from_secs(120);

#[derive(Deserialize)]
struct Payload {
    client: ClientKey,
    session: SessionId,
}

/// # Errors
/// When it has to be tried again.
pub async fn send(app: &Arc<App>, job: &job::Model) -> Result<()> {
    let payload: Payload = serde_json::from_value(job.payload.0.clone()).map_err(Error::internal)?;
    let tenant = app.tenants.get(&app.store, job.tenant_id).await?;
    // Gone meanwhile, or without an address: nobody is left to be told.
    let Some(client) = app.clients.by_key(&app.store, &tenant, payload.client).await? else { return Ok(()) };
    let Some(uri) = &client.metadata.backchannel_logout_uri else { return Ok(()) };
    let conn = app.db().read();
    let Some(ended) = session::any(conn, tenant.id, payload.session).await? else { return Ok(()) };
    let Some(user) = account::user(conn, tenant.id, ended.user_id).await? else { return Ok(()) };
    let (sector, now) = (client.sector(), app.store.now());
    let sub = app
        .db()
        .write(async move |tx| {
            let (user, sector) = (user.clone(), sector.clone());
            subject::of(tx, &user, sector.as_deref(), now).await
        })
        .await?;
    let token = json!({
        "iss": tenant::primary_issuer(conn, tenant.id).await?,
        "sub": sub,
        "aud": client.id(),
        "iat": now.seconds(),
        "exp": now.plus(LIFE).seconds(),
        "jti": URL_SAFE_NO_PAD.encode(random::<18>()?),
        "events": { EVENT: {} },
        "sid": session_alias(&tenant, payload.session, client.key()),
    });
    let token = Envelope::for_id_token(app, &tenant, &client).await?.seal("logout+jwt", &token)?;
    match app.fetch.post_form(uri, &[("logout_token", &token)]).await {
        Ok(200 | 204) => Ok(()),
        Ok(status) => Err(Error::unavailable(format!("{} answered the logout token with {status}", client.id()))),
        Err(why) => Err(Error::unavailable(format!("{} could not be told of a logout: {why}", client.id()))),
    }
}
