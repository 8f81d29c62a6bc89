//! What doors share of HTTP: parameters, cookies, form tokens, pages, redirects.
//!
//! The way of a request through the server is in `http/door.rs`: it finds the tenant, makes the [`Ctx`], and turns an
//! error into JSON or a page, as the route's dialect says.

pub mod answer;
pub mod cookie;
pub mod door;
pub mod params;

pub use params::{Form, Params, Query};

use crate::app::App as Process;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Error, Notice, Result};
use crate::flow::End;
use crate::page::{Application, Leave, Page, leave};
use crate::seal::{hmac256, same};
use crate::tenant::Purpose;
use crate::theme::{Frame, Language};
use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::Hash;
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

/// An application as pages show it.
pub fn application(client: &Client) -> Application {
    Application { name: client.row.name.clone(), host: client.host(), logo: client.row.logo_uri.clone() }
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
    let url = match end {
        End::Account => return see_other(&ctx.to("/account")),
        End::Code { url, .. } => url,
        End::Refused { to, code, says, acted } => {
            let client_id = client.map(Client::id);
            let cause = format_args!("{}: {says}", code.wire());
            tracing::info!(request_id = &*ctx.request_id, client_id, %cause, "an authorization request was refused");
            let url = to.error(code, says);
            // RFC 9700 section 4.11.2: no automatic redirect to whoever registered by themselves, before a person acts.
            if let (false, false, Some(client)) = (to.approved, acted, client) {
                return page(
                    app,
                    ctx,
                    400,
                    &Leave {
                        application: Application { host: host_of(&url), ..application(client) },
                        url,
                        reason_id: leave::PROBLEM,
                    },
                );
            }
            url
        }
    };
    let mut response = see_other(&url)?;
    // The code stands in the address: nothing that follows shall learn it from a Referer (RFC 9700 section 4.2.4).
    response.headers_mut().insert(header::REFERRER_POLICY, header::HeaderValue::from_static("no-referrer"));
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
