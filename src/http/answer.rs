//! How an error becomes an answer: JSON for software, a page for people; and the headers that every answer has.

use super::{Params, page};
use crate::app::App;
use crate::ctx::Ctx;
use crate::error::{Cause, Challenge, Code, Error, Fault, Notice, Protocol};
use crate::page::{Problem, link};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};

/// What a route answers errors with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Json,
    Page,
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(status(self)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Never seen: the door makes the answer, since it knows the dialect. It fails closed all the same.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).finish()
    }
}

fn status(error: &Error) -> u16 {
    match error {
        Error::Protocol(p) => p.code.status(),
        Error::Person(notice) => notice.status(),
        Error::Ours(Cause { kind: Fault::Internal, .. }) => 500,
        Error::Ours(Cause { kind: Fault::Busy | Fault::Unavailable, .. }) => 503,
    }
}

/// Logs once and answers. Without a tenant (no [`Ctx`]) there is no brand, so that the page is a bare one.
pub fn answer(app: &App, ctx: Option<&Ctx>, (dialect, request_id): (Dialect, &str), error: &Error) -> HttpResponse {
    match error {
        Error::Ours(cause) => tracing::error!(request_id, cause = cause.text, fault = ?cause.kind, "a request failed"),
        refused => {
            let client_id = ctx.and_then(named);
            tracing::info!(request_id, client_id, cause = %refused, status = status(refused), "a request was refused");
        }
    }
    match (dialect, ctx) {
        (Dialect::Page, Some(ctx)) => problem(app, ctx, error),
        _ => json(ctx, error),
    }
}

/// The application that a request's address names, whether it is known or not.
fn named(ctx: &Ctx) -> Option<String> {
    let (_, query) = ctx.page.as_ref()?.split_once('?')?;
    Params::parse(query).ok()?.get("client_id").map(|id| id.chars().take(100).collect())
}

fn json(ctx: Option<&Ctx>, error: &Error) -> HttpResponse {
    let plain = |code, says| Protocol::new(code, says);
    let owned;
    let protocol = match error {
        Error::Protocol(protocol) => protocol,
        Error::Person(notice) => {
            owned = match notice.status() {
                404 => plain(Code::NotFound, "there is nothing here"),
                405 => plain(Code::MethodNotAllowed, "this address does not take that method"),
                421 => plain(Code::Misdirected, "this host name is not served here"),
                413 => plain(Code::TooLarge, "the request is too large"),
                429 => plain(Code::SlowDown, "too many requests"),
                _ => plain(Code::InvalidRequest, "the request cannot be served"),
            };
            &owned
        }
        Error::Ours(cause) => {
            owned = match cause.kind {
                Fault::Internal => plain(Code::ServerError, "something went wrong here"),
                Fault::Busy | Fault::Unavailable => Protocol {
                    retry_after: Some(std::time::Duration::from_secs(2)),
                    ..plain(Code::TemporarilyUnavailable, "try again in a moment")
                },
            };
            &owned
        }
    };
    let status = StatusCode::from_u16(protocol.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(after) = protocol.retry_after {
        response.insert_header((header::RETRY_AFTER, after.as_secs().max(1).to_string()));
    }
    challenge(&mut response, protocol, ctx.map_or("oauth2", |ctx| &ctx.issuer));
    no_store(&mut response);
    if protocol.challenge == Challenge::BearerBare {
        // RFC 6750 section 3.1: nor in the body.
        return response.finish();
    }
    let says = protocol.names.as_deref().unwrap_or(protocol.says);
    response.json(serde_json::json!({ "error": protocol.code.wire(), "error_description": says }))
}

fn challenge(response: &mut HttpResponseBuilder, protocol: &Protocol, realm: &str) {
    let value = match protocol.challenge {
        Challenge::None => return,
        // RFC 6749 section 5.2
        Challenge::Basic => "Basic realm=\"oauth2\", charset=\"UTF-8\"".to_owned(),
        // RFC 6750 section 3.1: no error code when no token came.
        Challenge::BearerBare => format!("Bearer realm=\"{realm}\""),
        Challenge::Bearer => {
            let (error, says) = (protocol.code.wire(), protocol.says);
            format!("Bearer realm=\"{realm}\", error=\"{error}\", error_description=\"{says}\"")
        }
    };
    response.insert_header((header::WWW_AUTHENTICATE, value));
}

/// RFC 6749 section 5.1.
pub fn no_store(response: &mut HttpResponseBuilder) {
    response.insert_header((header::CACHE_CONTROL, "no-store")).insert_header((header::PRAGMA, "no-cache"));
}

fn problem(app: &App, ctx: &Ctx, error: &Error) -> HttpResponse {
    let notice = match error {
        Error::Person(notice) => *notice,
        Error::Protocol(protocol) => match protocol.code.status() {
            404 => Notice::NotFound,
            405 => Notice::MethodNotAllowed,
            413 | 414 | 431 => Notice::TooLarge,
            421 => Notice::WrongHost,
            429 => Notice::Throttled,
            _ => Notice::InvalidRequest,
        },
        Error::Ours(cause) => match cause.kind {
            Fault::Internal => Notice::Internal,
            Fault::Busy => Notice::Busy,
            Fault::Unavailable => Notice::Unavailable,
        },
    };
    let (link, link_text) = match notice {
        Notice::FlowExpired | Notice::FlowElsewhere => (ctx.to("/login"), link::SIGN_IN),
        _ => (ctx.to("/"), link::HOME),
    };
    let shown = Problem {
        notice,
        reference: ctx.request_id.to_string(),
        status: status(error),
        link: Some(link),
        link_text,
        application: None,
    };
    match page(app, ctx, status(error), &shown) {
        Ok(mut response) => {
            if matches!(status(error), 503 | 429) {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            response
        }
        Err(e) => {
            tracing::error!(error = %e, "the page of an error could not be made");
            json(Some(ctx), error)
        }
    }
}

/// The headers of every answer (reference: frame denial, nosniff, referrer, permissions, HSTS).
pub fn secure(headers: &mut HeaderMap, secure: bool, request_id: &str) {
    let fixed = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        // `same-origin` rather than `no-referrer`, which makes browsers send `Origin: null` with our own forms.
        ("referrer-policy", "same-origin"),
        ("permissions-policy", "geolocation=(), microphone=(), camera=()"),
        ("cross-origin-opener-policy", "same-origin"),
    ];
    for (name, value) in fixed {
        if !headers.contains_key(name) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
        );
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
}

/// The origin of a script on another site, when the request names a plain one.
pub fn origin(req: &HttpRequest) -> Option<&str> {
    req.headers().get(header::ORIGIN)?.to_str().ok().filter(|o| *o != "null" && o.len() < 300)
}

/// Lets a script of this origin read the answer. Never with credentials, never for everybody.
pub fn allow_origin(headers: &mut HeaderMap, origin: &str) {
    if let Ok(value) = HeaderValue::from_str(origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("WWW-Authenticate, Retry-After, X-Request-Id"),
    );
}

/// The answer to a preflight.
pub fn preflight(methods: &str) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods.to_owned()))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type"))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

pub fn is_preflight(req: &HttpRequest) -> bool {
    req.method() == Method::OPTIONS && req.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
