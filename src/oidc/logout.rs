//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0).
//!
//! A valid `id_token_hint` for somebody who is signed in here needs no question; everything else is asked first, with a
//! form, so that no link and no picture signs anybody out.

use super::hint;
use crate::account::session::{self, Visitor};
use crate::account::{self, Person};
use crate::app::App as Process;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Notice, Protocol, Result};
use crate::flow::{self, Leaver, Left};
use crate::http::{App, Form, Params, Query, application, check_form, cookie, form_token, page, page_with, see_other};
use crate::jose::unproven;
use crate::page::{LogoutConfirm, Person as Shown, SignedOut, script};
use crate::seal::{hmac256, same};
use crate::tenant::Purpose;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::Micros;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// What the confirmation page hands back.
#[derive(Serialize, Deserialize)]
struct Wish {
    client_id: Option<String>,
    next: Option<Next>,
    /// The page counts for an hour.
    until: Micros,
}

const ANSWERED_WITHIN: Duration = Duration::from_secs(3600);

/// Where the application wants people to go on.
#[derive(Serialize, Deserialize)]
struct Next {
    post_logout_redirect_uri: String,
    state: Option<String>,
}

impl Next {
    /// The address, as long as the application has it registered.
    fn of(&self, client: &Client) -> Option<String> {
        let uri = &self.post_logout_redirect_uri;
        if !client.row.post_logout_redirect_uris.has(uri) {
            return None;
        }
        let Some(state) = &self.state else { return Some(uri.clone()) };
        let joint = if uri.contains('?') { '&' } else { '?' };
        let state = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
        Some(format!("{uri}{joint}{state}"))
    }
}

struct Request {
    client: Option<Arc<Client>>,
    /// Whom the hint names.
    sub: Option<String>,
    next: Option<Next>,
}

/// `GET /oauth2/logout`
///
/// # Errors
/// Pages.
pub async fn get(app: App, ctx: Ctx, visitor: Visitor, query: Query) -> Result<HttpResponse> {
    let request = read(&app, &ctx, &query.0).await?;
    let conn = app.db().read();
    let browser = session::load(conn, ctx.tenant.id, &visitor, ctx.now).await?;
    if browser.sessions.is_empty() {
        return done(&app, &ctx, (request.client.as_deref(), request.next.as_ref()), None);
    }
    if let Some(sub) = &request.sub
        && let Some(user) = account::subject::find(conn, ctx.tenant.id, sub).await?
        && let Some(row) = browser.sessions.iter().find(|s| s.user_id == user)
    {
        let left = flow::sign_out(&app, &ctx, &visitor, Leaver::One(row.id)).await?;
        return done(&app, &ctx, (request.client.as_deref(), request.next.as_ref()), Some(left));
    }
    let mut people = vec![];
    for row in &browser.sessions {
        people.extend(account::by_id(conn, ctx.tenant.id, row.user_id).await?);
    }
    confirm(&app, &ctx, &visitor, (request, people))
}

/// `POST /oauth2/logout`: led to the same as a GET, as at the authorization endpoint.
///
/// # Errors
/// `TooLarge`.
pub async fn post(ctx: Ctx, form: Form) -> Result<HttpResponse> {
    let query = form.0.to_query();
    if query.len() > 7_500 {
        return Err(Error::protocol(Code::TooLarge, "the request is too long"));
    }
    see_other(&format!("{}?{query}", ctx.to("/oauth2/logout")))
}

/// `POST /signout/confirm`: the answer to the question.
///
/// # Errors
/// Pages; a form that is not this browser's.
pub async fn confirmed(app: App, ctx: Ctx, req: HttpRequest, (visitor, form): (Visitor, Form)) -> Result<HttpResponse> {
    let form = form.0;
    check_form(&ctx, (&req, &form), visitor.browser.as_ref(), "logout")?;
    let wish = opened(&ctx, form.get("token").unwrap_or("")).ok_or(Error::Person(Notice::BadRequest))?;
    if wish.until <= app.store.now() {
        return Err(Notice::FlowExpired.into());
    }
    let client = match &wish.client_id {
        // Disabled meanwhile: nobody is sent there.
        Some(id) => app.clients.find(&app.store, &ctx.tenant, id).await?.filter(|c| c.active()),
        None => None,
    };
    if form.get("decision") == Some("stay") {
        return see_other(&ctx.to("/account"));
    }
    let left = flow::sign_out(&app, &ctx, &visitor, Leaver::Everybody).await?;
    done(&app, &ctx, (client.as_deref(), wish.next.as_ref()), Some(left))
}

/// Where the browser goes on: back to the application, by way of a page when others are told by the browser.
fn done(
    app: &Process,
    ctx: &Ctx,
    (client, next): (Option<&Client>, Option<&Next>),
    left: Option<Left>,
) -> Result<HttpResponse> {
    let next = client.and_then(|client| next?.of(client));
    let frames = left.as_ref().map(|l| l.frames.clone()).unwrap_or_default();
    let mut response = match next {
        Some(next) if frames.is_empty() => see_other(&next)?,
        next => {
            let script = next.as_ref().map(|_| script::GO_ON);
            let shown =
                SignedOut { application: client.map(|c| application(ctx, c)), next, frames: frames.clone(), script };
            page_with(app, ctx, &shown, (script, &frames))?
        }
    };
    if let Some(left) = left {
        cookie::left(ctx, &mut response, left.leaving);
    }
    Ok(response)
}

fn confirm(
    app: &Process,
    ctx: &Ctx,
    visitor: &Visitor,
    (request, people): (Request, Vec<Person>),
) -> Result<HttpResponse> {
    let browser = visitor.browser.as_ref().ok_or(Error::Person(Notice::FlowElsewhere))?;
    let wish = Wish {
        client_id: request.client.as_ref().map(|c| c.id().to_owned()),
        next: request.next,
        until: app.store.now().plus(ANSWERED_WITHIN),
    };
    let shown = |p: &Person| Shown { name: p.user.name.clone(), email: p.handle() };
    let shown = LogoutConfirm {
        action: ctx.to("/signout/confirm"),
        csrf: form_token(ctx, browser, "logout"),
        token: closed(ctx, &wish)?,
        people: people.iter().map(shown).collect(),
        application: request.client.as_deref().map(|c| application(ctx, c)),
    };
    page(app, ctx, 200, &shown)
}

async fn read(app: &Process, ctx: &Ctx, params: &Params) -> Result<Request> {
    let bad = |because: &str| {
        Error::from(Protocol::new(Code::InvalidRequest, "the sign-out request is not valid").because(because))
    };
    // As at the authorization endpoint, and before anything is done.
    if params.get("state").is_some_and(|s| s.len() > 4 * 1024) {
        return Err(bad("state is longer than 4096 bytes"));
    }
    let mut request = Request { client: None, sub: None, next: None };
    if let Some(hint) = params.get("id_token_hint") {
        let named = unproven(hint, "aud").map_err(|r| bad(r.as_str()))?;
        if params.get("client_id").is_some_and(|c| c != named) {
            return Err(bad("client_id is not the hint's audience"));
        }
        let client = known(app, ctx, &named).await?;
        let token = hint::verified(app, ctx, &client, hint).await?.map_err(|r| bad(r.as_str()))?;
        request.sub = token.text("sub").map(str::to_owned);
        request.client = Some(client);
    } else if let Some(id) = params.get("client_id") {
        request.client = Some(known(app, ctx, id).await?);
    }
    // Without a client nothing tells whose address it would be: the person is signed out and stays here.
    if let (Some(uri), Some(client)) = (params.get("post_logout_redirect_uri"), &request.client) {
        let next = Next { post_logout_redirect_uri: uri.to_owned(), state: params.owned("state") };
        if next.of(client).is_none() {
            return Err(Notice::RedirectUriMismatch.into());
        }
        request.next = Some(next);
    }
    Ok(request)
}

async fn known(app: &Process, ctx: &Ctx, id: &str) -> Result<Arc<Client>> {
    let client = app.clients.find(&app.store, &ctx.tenant, id).await?.filter(|c| c.active());
    client.ok_or(Error::Person(Notice::UnknownClient))
}

/// The wish as a text that only we can have made.
fn closed(ctx: &Ctx, wish: &Wish) -> Result<String> {
    let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(wish).map_err(Error::internal)?);
    let tag = URL_SAFE_NO_PAD.encode(hmac256(&ctx.tenant.key(Purpose::Form), &[b"logout", body.as_bytes()]));
    Ok(format!("{body}.{tag}"))
}

fn opened(ctx: &Ctx, token: &str) -> Option<Wish> {
    let (body, tag) = token.split_once('.')?;
    let made = URL_SAFE_NO_PAD.encode(hmac256(&ctx.tenant.key(Purpose::Form), &[b"logout", body.as_bytes()]));
    if !same(made.as_bytes(), tag.as_bytes()) {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
}
