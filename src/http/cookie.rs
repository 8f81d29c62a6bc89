//! Cookies: `__Host-` names on https, never a Domain, opaque values, nothing twice.

use crate::account::session::Visitor;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::flow::Leaving;
use crate::seal::{Token, sha256};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse};
use std::future::{Ready, ready};
use std::time::Duration;

/// A browser id is kept for as long as browsers keep cookies at most.
const BROWSER: Duration = Duration::from_secs(400 * 86_400);

/// Names are neutral: they carry nobody's brand. Those of sessions carry their tenant's mark, since a `__Host-` cookie
/// has no path to keep the tenants of a host apart.
fn name(ctx: &Ctx, base: &str) -> String {
    if ctx.secure { format!("__Host-{base}") } else { base.to_owned() }
}

fn session_name(ctx: &Ctx) -> String {
    name(ctx, &format!("sid-{}", ctx.tenant.mark()))
}

impl FromRequest for Visitor {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = req.extensions();
        let Some(ctx) = extensions.get::<Ctx>() else { return ready(Err(Error::internal("a route outside the door"))) };
        let secret = |name: String| cookie(req, &name).filter(|v| v.len() == 43).map(|v| sha256(v.as_bytes()));
        ready(Ok(Visitor { browser: secret(name(ctx, "bid")), secret: secret(session_name(ctx)) }))
    }
}

/// The language that somebody chose earlier.
pub fn language(req: &HttpRequest, secure: bool) -> Option<String> {
    cookie(req, if secure { "__Host-lang" } else { "lang" }).filter(|v| v.len() <= 10)
}

/// The value of a cookie that stands there once. Whoever planted a second one makes it count for nothing.
fn cookie(req: &HttpRequest, name: &str) -> Option<String> {
    let mut found = None;
    for line in req.headers().get_all(header::COOKIE) {
        // Bytes: what other sites of the domain put beside ours may be anything.
        for pair in line.as_bytes().split(|b| *b == b';') {
            let pair = pair.trim_ascii();
            let Some(at) = pair.iter().position(|b| *b == b'=') else { continue };
            if &pair[..at] != name.as_bytes() {
                continue;
            }
            if found.is_some() {
                return None;
            }
            found = Some(std::str::from_utf8(&pair[at + 1..]).unwrap_or("?").to_owned());
        }
    }
    found.filter(|v| v.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))
}

fn set(name: &str, value: &str, secure: bool, max_age: Option<Duration>) -> String {
    let secure = if secure { "; Secure" } else { "" };
    let age = max_age.map(|a| format!("; Max-Age={}", a.as_secs())).unwrap_or_default();
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}")
}

/// This browser's visitor, with an id from now on if it had none; the second is the header that tells it.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn with_browser(ctx: &Ctx, visitor: Visitor) -> Result<(Visitor, Option<String>)> {
    if visitor.browser.is_some() {
        return Ok((visitor, None));
    }
    let Token { text: id, hash } = Token::new("")?;
    let header = set(&name(ctx, "bid"), &id, ctx.secure, Some(BROWSER));
    Ok((Visitor { browser: Some(hash), secret: None }, Some(header)))
}

pub fn session(ctx: &Ctx, secret: &str, remember: bool) -> String {
    let age = remember.then_some(ctx.tenant.settings.remembered);
    set(&session_name(ctx), secret, ctx.secure, age)
}

pub fn no_session(ctx: &Ctx) -> String {
    set(&session_name(ctx), "", ctx.secure, Some(Duration::ZERO))
}

pub fn state_name(ctx: &Ctx) -> String {
    name(ctx, &format!("state-{}", ctx.tenant.mark()))
}

/// What the frame of session management compares (OpenID Connect Session Management section 3.2): read by our own script,
/// from within pages of applications, and worth nothing to anybody.
pub fn browser_state(ctx: &Ctx, state: &str) -> String {
    let name = state_name(ctx);
    // Browsers take SameSite=None on https alone; elsewhere the frame sees no cookie and says "changed".
    let site = if ctx.secure { "; Secure; SameSite=None" } else { "; SameSite=Lax" };
    let age = if state.is_empty() { "; Max-Age=0" } else { "" };
    format!("{name}={state}; Path=/{site}{age}")
}

/// The cookies of a browser in which somebody signed out.
pub fn left(ctx: &Ctx, response: &mut HttpResponse, leaving: Leaving) {
    // Whoever stays gets a new state with the next answer to an application.
    add(response, Some(browser_state(ctx, "")));
    add(response, (leaving == Leaving::Nobody).then(|| no_session(ctx)));
}

pub fn chosen_language(ctx: &Ctx) -> String {
    set(&name(ctx, "lang"), ctx.locale.tag(), ctx.secure, Some(BROWSER))
}

/// Adds a cookie to an answer.
pub fn add(response: &mut HttpResponse, cookie: Option<String>) {
    if let Some(value) = cookie.and_then(|c| header::HeaderValue::from_str(&c).ok()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
