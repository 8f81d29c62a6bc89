//! What doors share of HTTP: parameters, cookies, form tokens, pages, redirects.
//!
//! The way of a request through the server is in `http/door.rs`: it finds the tenant, makes the [`Ctx`], and turns an
//! error into JSON or a page, as the route's dialect says.

pub mod answer;
pub mod cookie;
pub mod door;
pub mod params;

pub use params::{Form, Json, Params, Query};

use crate::app::App as Process;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Error, Notice, Result};
use crate::flow::End;
use crate::flow::ask::Reply;
use crate::page::{Application, FormPost, Leave, Page, leave, script};
use crate::seal::{hmac256, same};
use crate::tenant::Purpose;
use crate::theme::{Frame, Language};
use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entity::Hash;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::future::{Ready, ready};

/// The process, as handlers take it.
pub type App = web::Data<Process>;

impl FromRequest for Ctx {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let ctx = req.extensions().get::<Ctx>().cloned();
        ready(ctx.ok_or_else(|| Error::internal("a route outside the door")))
    }
}

/// A page with its headers.
///
/// # Errors
/// When a template is broken.
pub fn page<P: Page>(app: &Process, ctx: &Ctx, status: u16, page: &P) -> Result<HttpResponse> {
    let languages = ctx.page.as_deref().map(|page| Language::switch(ctx.locale, page)).unwrap_or_default();
    let frame = Frame { brand: &ctx.tenant.brand, locale: ctx.locale, base: &ctx.base, languages };
    let html = app.theme.render(&frame, page)?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CSP))
        .insert_header((header::CONTENT_LANGUAGE, ctx.locale.tag()))
        .body(html))
}

/// No script but ours, no style but ours, no frame. No `form-action`: browsers enforce it over the redirects that follow
/// a form, and those lead to applications.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' https: data:; font-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// An application as pages show it; its logo is one that we serve.
pub fn application(ctx: &Ctx, client: &Client) -> Application {
    let logo = client.logo.map(|mark| format!("{}?client_id={}&v={mark}", ctx.to("/oauth2/logo"), client.id()));
    Application {
        name: client.row.name.clone(),
        host: client.host(),
        logo,
        policy: client.row.policy_uri.clone(),
        terms: client.row.tos_uri.clone(),
    }
}

/// Where a URL leads, for people: the host, or the whole of it where there is none.
pub fn host_of(url: &str) -> String {
    url::Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_else(|| url.to_owned())
}

/// The answer to an interaction that has ended.
///
/// # Errors
/// When a page cannot be made.
pub fn ended(app: &Process, ctx: &Ctx, client: Option<&Client>, end: End) -> Result<HttpResponse> {
    let reply = match end {
        End::Account => return see_other(&ctx.to("/account")),
        End::Answer { reply, browser_state, .. } => {
            let mut response = replied(app, ctx, reply)?;
            cookie::add(&mut response, browser_state.map(|state| cookie::browser_state(ctx, &state)));
            return Ok(response);
        }
        End::Refused { to, code, says, acted } => {
            let client_id = client.map(Client::id);
            let cause = format_args!("{}: {says}", code.wire());
            tracing::info!(request_id = &*ctx.request_id, client_id, %cause, "an authorization request was refused");
            let reply = to.error(code, says);
            // RFC 9700 section 4.11.2: no automatic redirect to whoever registered by themselves, before a person acts.
            if let (false, false, Some(client)) = (to.approved, acted, client) {
                let (url, fields) = match reply {
                    Reply::Redirect(url) => (url, vec![]),
                    Reply::Post { action, fields } => (action, fields),
                };
                let application = Application { host: host_of(&url), ..application(ctx, client) };
                return page(app, ctx, 400, &Leave { application, url, fields, reason_id: leave::PROBLEM });
            }
            reply
        }
    };
    replied(app, ctx, reply)
}

fn replied(app: &Process, ctx: &Ctx, reply: Reply) -> Result<HttpResponse> {
    let mut response = match reply {
        Reply::Redirect(url) => see_other(&url)?,
        Reply::Post { action, fields } => form_post(app, ctx, action, fields)?,
    };
    // The code stands in the address: nothing that follows shall learn it from a Referer (RFC 9700 section 4.2.4).
    response.headers_mut().insert(header::REFERRER_POLICY, header::HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// A page that posts itself (OAuth 2.0 Form Post Response Mode section 2); without scripts there is a button.
fn form_post(app: &Process, ctx: &Ctx, action: String, fields: Vec<(String, String)>) -> Result<HttpResponse> {
    let host = host_of(&action);
    let page = FormPost { action, fields, host, script: script::SUBMIT };
    page_with(app, ctx, &page, (Some(script::SUBMIT), &[]))
}

/// A page with one script of its own, named by its hash, and with frames of applications.
///
/// # Errors
/// When a template is broken.
pub fn page_with<P: Page>(
    app: &Process,
    ctx: &Ctx,
    shown: &P,
    (script, frames): (Option<&str>, &[String]),
) -> Result<HttpResponse> {
    let mut response = page(app, ctx, 200, shown)?;
    let script = script.map(|s| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(s)))).unwrap_or_default();
    let mut csp = CSP.replace("script-src 'self'", &format!("script-src 'self'{script}"));
    let origins: BTreeSet<String> =
        frames.iter().filter_map(|f| url::Url::parse(f).ok()).map(|u| u.origin().ascii_serialization()).collect();
    if !origins.is_empty() {
        csp += &format!("; frame-src {}", origins.into_iter().collect::<Vec<_>>().join(" "));
    }
    let csp = header::HeaderValue::from_str(&csp).map_err(Error::internal)?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, csp);
    Ok(response)
}

/// 303 See Other: a browser forgets the form that led here (RFC 9700 section 4.12).
///
/// # Errors
/// `Internal` when the location cannot stand in a header.
pub fn see_other(location: &str) -> Result<HttpResponse> {
    let fits = location.len() < 16 * 1024 && location.bytes().all(|b| b.is_ascii_graphic());
    if !fits {
        return Err(Error::internal("a redirect to what cannot stand in a header"));
    }
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish())
}

/// The token of a form, for one browser and one purpose.
pub fn form_token(ctx: &Ctx, browser: &Hash, purpose: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac256(&ctx.tenant.key(Purpose::Csrf), &[&browser.0, purpose.as_bytes()]))
}

/// Refuses a form that this browser was not given, or that another site sent.
///
/// # Errors
/// `ForbiddenOrigin` for a form of another site, `FlowElsewhere` for a token that is not this browser's.
pub fn check_form(
    ctx: &Ctx,
    (req, form): (&HttpRequest, &Params),
    browser: Option<&Hash>,
    purpose: &str,
) -> Result<()> {
    own_origin(ctx, req)?;
    let browser = browser.ok_or(Error::Person(Notice::FlowElsewhere))?;
    let sent = form.get("csrf").unwrap_or("");
    match same(form_token(ctx, browser, purpose).as_bytes(), sent.as_bytes()) {
        true => Ok(()),
        false => Err(Notice::FlowElsewhere.into()),
    }
}

/// Whether a request that changes something comes from a page of ours.
///
/// # Errors
/// `ForbiddenOrigin`.
pub fn own_origin(ctx: &Ctx, req: &HttpRequest) -> Result<()> {
    let text = |name: &str| req.headers().get(name).map(|v| v.to_str().unwrap_or("?"));
    let own = url::Url::parse(&ctx.issuer).map(|u| u.origin().ascii_serialization()).map_err(Error::internal)?;
    let site = text("sec-fetch-site");
    match text("origin") {
        Some(origin) if origin != own => Err(Notice::ForbiddenOrigin.into()),
        _ if site.is_some_and(|s| !matches!(s, "same-origin" | "none")) => Err(Notice::ForbiddenOrigin.into()),
        _ => Ok(()),
    }
}
