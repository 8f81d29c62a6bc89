//! A person's own account, and the front page.

use crate::access::{Act, Hold, may_act};
use crate::account::session::{self, Visitor};
use crate::account::{self, Person};
use crate::app::App as Process;
use crate::audit::{self, Event, Origin};
use crate::ctx::Ctx;
use crate::error::{Error, Notice, Result};
use crate::flow::{self, Leaver, Leaving};
use crate::http::{App, Form, Query, check_form, cookie, form_token, page, page_with, see_other};
use crate::page::{self, Account, Device, Front, SessionRow, SignedOut, note};
use actix_web::{HttpRequest, HttpResponse};
use entity::{IdentifierKind, SessionId};

/// Who is looking, when somebody is signed in.
struct Me {
    person: Person,
    session: SessionId,
}

async fn me(app: &Process, ctx: &Ctx, visitor: &Visitor) -> Result<Option<Me>> {
    let conn = app.db().read();
    let browser = session::load(conn, ctx.tenant.id, visitor, ctx.now).await?;
    let mut first = None;
    // Those who may act no more are passed over, as signing in does: one disabled account must not shut out the others.
    for row in &browser.sessions {
        let act = Act {
            tenant: &ctx.tenant,
            client: None,
            user: Some(row.user_id),
            session: Some(row.id),
            since: row.auth_time,
            now: ctx.now,
            hold: Hold::Nothing,
        };
        if let Ok(allowed) = may_act(conn, act).await?
            && let Some(user) = allowed.user
        {
            first = Some((row.clone(), user));
            break;
        }
    }
    let Some((row, user)) = first else { return Ok(None) };
    let person = account::with_identifiers(conn, user).await?;
    if session::worth_touching(ctx, &row) {
        let (inner, touched) = (ctx.clone(), row.clone());
        app.db().write(async move |tx| session::touch(tx, &inner, &touched).await).await?;
    }
    Ok(Some(Me { person, session: row.id }))
}

/// `GET /`
///
/// # Errors
/// The database's.
pub async fn front(app: App, ctx: Ctx, visitor: Visitor) -> Result<HttpResponse> {
    let me = me(&app, &ctx, &visitor).await?;
    let shown = Front {
        signed_in: me.map(|m| page::Person { name: m.person.user.name.clone(), email: m.person.handle() }),
        tagline: ctx.tenant.brand.tagline.clone(),
        description: ctx.tenant.brand.description.clone(),
        sign_in: ctx.to("/login"),
        account: ctx.to("/account"),
    };
    page(&app, &ctx, 200, &shown)
}

/// `GET /account`
///
/// # Errors
/// The database's.
pub async fn account(app: App, ctx: Ctx, visitor: Visitor, query: Query) -> Result<HttpResponse> {
    let Some(me) = me(&app, &ctx, &visitor).await? else { return see_other(&ctx.to("/login")) };
    let notice = match query.0.get("done") {
        Some("ended") => Some(note::OTHER_SESSION_ENDED),
        Some("gone") => Some(note::OTHER_SESSION_GONE),
        _ => None,
    };
    let rows = session::of_user(app.db().read(), ctx.tenant.id, me.person.id(), ctx.now).await?;
    let browser = visitor.browser.as_ref().ok_or(Error::Person(Notice::FlowElsewhere))?;
    let shown = Account {
        person: page::Person { name: me.person.user.name.clone(), email: me.person.handle() },
        sub: me.person.user.sub.clone(),
        email_verified: me.person.of_kind(IdentifierKind::Email).is_some_and(|i| i.verified_at.is_some()),
        sessions: rows
            .iter()
            .map(|row| SessionRow {
                id: row.id.to_string(),
                label: Device::read(Some(&row.user_agent)),
                ip: row.ip.clone(),
                since: row.auth_time,
                last_used: row.last_used_at,
                current: row.id == me.session,
            })
            .collect(),
        csrf: form_token(&ctx, browser, "account"),
        sign_out: ctx.to("/signout"),
        end_session: ctx.to("/account/sessions/end"),
        notice,
        now: ctx.now,
    };
    page(&app, &ctx, 200, &shown)
}

/// `POST /account/sessions/end`: ends one session of the person who is looking, wherever it is.
///
/// # Errors
/// Pages; a form that is not this browser's.
pub async fn end_session(
    app: App,
    ctx: Ctx,
    req: HttpRequest,
    (visitor, form): (Visitor, Form),
) -> Result<HttpResponse> {
    let form = form.0;
    check_form(&ctx, (&req, &form), visitor.browser.as_ref(), "account")?;
    let Some(me) = me(&app, &ctx, &visitor).await? else { return see_other(&ctx.to("/login")) };
    let id: SessionId = form.get("session").and_then(|s| s.parse().ok()).ok_or(Error::Person(Notice::BadRequest))?;
    if id == me.session {
        return leave(&app, &ctx, &visitor, Leaver::One(id)).await;
    }
    let (inner, store, user) = (ctx.clone(), app.store.clone(), me.person.id());
    let ended = app
        .db()
        .write(async move |tx| {
            let (tenant, now) = (inner.tenant.id, store.now());
            let own = session::find(tx, tenant, id, now).await?.is_some_and(|s| s.user_id == user);
            if !own || flow::end(tx, &inner.tenant, id, now).await?.is_none() {
                return Ok(false);
            }
            let event = Event::success(audit::kind::SESSION_END).by(user).on(user);
            audit::record(tx, &Origin::from(&inner), event).await?;
            Ok(true)
        })
        .await?;
    app.work.notify_one();
    see_other(&format!("{}?done={}", ctx.to("/account"), if ended { "ended" } else { "gone" }))
}

/// `POST /signout`: everybody who is signed in in this browser.
///
/// # Errors
/// Pages; a form that is not this browser's.
pub async fn sign_out(app: App, ctx: Ctx, req: HttpRequest, (visitor, form): (Visitor, Form)) -> Result<HttpResponse> {
    check_form(&ctx, (&req, &form.0), visitor.browser.as_ref(), "account")?;
    leave(&app, &ctx, &visitor, Leaver::Everybody).await
}

async fn leave(app: &Process, ctx: &Ctx, visitor: &Visitor, who: Leaver) -> Result<HttpResponse> {
    let left = flow::sign_out(app, ctx, visitor, who).await?;
    if left.leaving == Leaving::Others && left.frames.is_empty() {
        return see_other(&ctx.to("/account"));
    }
    let shown =
        SignedOut { application: None, next: Some(ctx.to("/login")), frames: left.frames.clone(), script: None };
    let mut response = page_with(app, ctx, &shown, (None, &left.frames))?;
    cookie::left(ctx, &mut response, left.leaving);
    Ok(response)
}
