//! Signing out: sessions end with what hangs on them, and the applications that were signed in to hear of it.

use super::row::close_all;
use crate::account::session::{self, Visitor};
use crate::app::App;
use crate::audit::{self, Event, Origin};
use crate::client;
use crate::ctx::Ctx;
use crate::db::Tx;
use crate::error::Result;
use crate::feature::Feature;
use crate::grant;
use crate::issue::session_alias;
use crate::queue::{self, Work};
use crate::tenant::Tenant;
use entity::{ClientKey, JobKind, Micros, SessionId, UserId};
use serde_json::json;

/// Which accounts of a browser are signed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaver {
    Everybody,
    One(SessionId),
}

/// Who is still signed in in this browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    Nobody,
    Others,
}

/// What came of signing out.
pub struct Left {
    pub leaving: Leaving,
    /// Pages of applications that the browser is to load (OpenID Connect Front-Channel Logout section 2).
    pub frames: Vec<String>,
}

/// Signs accounts out of one browser: their sessions end with everything that hangs on them, and open interactions of
/// that browser are closed.
///
/// # Errors
/// The database's.
pub async fn sign_out(app: &App, ctx: &Ctx, visitor: &Visitor, leaver: Leaver) -> Result<Left> {
    let nobody = Left { leaving: Leaving::Nobody, frames: vec![] };
    let Some(browser) = visitor.browser.clone() else { return Ok(nobody) };
    let (inner, store) = (ctx.clone(), app.store.clone());
    let left = app
        .db()
        .write(async move |tx| {
            let (tenant, now) = (inner.tenant.id, store.now());
            let sessions = session::all_of(tx, tenant, &browser, now).await?;
            let (leaving, staying): (Vec<_>, Vec<_>) =
                sessions.iter().partition(|s| leaver == Leaver::Everybody || leaver == Leaver::One(s.id));
            let mut frames = vec![];
            for row in leaving {
                if let Some(told) = end(tx, &inner.tenant, row.id, now).await? {
                    frames.extend(told.into_iter().map(|(client, uri)| {
                        let sid = session_alias(&inner.tenant, row.id, client);
                        let said = [("iss", &*inner.issuer), ("sid", sid.as_str())];
                        let said = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(said).finish();
                        format!("{uri}{}{said}", if uri.contains('?') { '&' } else { '?' })
                    }));
                    let event = Event::success(audit::kind::USER_LOGOUT).by(row.user_id).on(row.user_id);
                    audit::record(tx, &Origin::from(&inner), event).await?;
                }
            }
            if staying.is_empty() {
                session::end_browser(tx, tenant, &browser, now).await?;
            }
            close_all(tx, tenant, &browser).await?;
            let leaving = if staying.is_empty() { Leaving::Nobody } else { Leaving::Others };
            Ok(Left { leaving, frames })
        })
        .await?;
    app.work.notify_one();
    Ok(left)
}

/// Ends one session with what hangs on it, and orders that its applications are told. Returns those that are told by the
/// browser, with their address; `None` when it had ended before.
///
/// # Errors
/// The database's.
pub async fn end(tx: &Tx, tenant: &Tenant, id: SessionId, now: Micros) -> Result<Option<Vec<(ClientKey, String)>>> {
    if !session::end(tx, tenant.id, id, now).await? {
        return Ok(None);
    }
    grant::end_session(tx, tenant.id, id, now).await?;
    let mut frames = vec![];
    for (key, metadata) in client::metadata_of(tx, tenant.id, &session::clients(tx, tenant.id, id).await?).await? {
        if metadata.backchannel_logout_uri.is_some() && tenant.features.has(Feature::BackchannelLogout) {
            let work = json!({ "client": key, "session": id });
            queue::push(tx, tenant.id, Work::new(JobKind::BackchannelLogout, work, now)).await?;
        }
        let frame = metadata.frontchannel_logout_uri.filter(|_| tenant.features.has(Feature::FrontchannelLogout));
        frames.extend(frame.map(|uri| (key, uri)));
    }
    Ok(Some(frames))
}

/// Ends every session of a person, in all browsers, as when somebody else may hold one.
///
/// # Errors
/// The database's.
pub async fn end_all_of(tx: &Tx, tenant: &Tenant, user: UserId, now: Micros) -> Result<()> {
    loop {
        let rows = session::of_user(tx, tenant.id, user, now).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            end(tx, tenant, row.id, now).await?;
        }
    }
}
