//! The way of every request: bounds, the tenant it is for, its [`Ctx`]; then its handler; then headers.
//!
//! No header's text reaches an answer: a host name only chooses among the stored issuers, and addresses that proxies
//! report count only from proxies that are configured.

use super::answer::{self, Dialect, allow_origin, answer, is_preflight, origin, preflight};
use super::cookie;
use crate::app::App;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Notice, Result};
use crate::locale::Locale;
use crate::page::{Problem, link};
use crate::tenant::Place;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use futures_util::FutureExt;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;

const LONGEST_URI: usize = 8 * 1024;
const LARGEST_HEADERS: usize = 32 * 1024;

/// Set by a handler that knows the client: whether this very client registered the script's origin.
pub struct OriginVerdict(pub bool);

/// Set where a path is known and its method is not: the methods that it takes (RFC 9110 section 15.5.6).
pub struct Allowed(pub String);

/// Where scripts of other sites may call (RFC 9700 section 2.6: the authorization endpoint is not among them).
fn shared(path: &str) -> Option<&'static str> {
    match path {
        "/oauth2/token" | "/oauth2/revoke" => Some("POST"),
        "/oauth2/userinfo" => Some("GET, POST"),
        "/oauth2/jwks" | "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => Some("GET"),
        _ => None,
    }
}

/// Which answers are JSON and which are pages.
pub fn dialect(path: &str) -> Dialect {
    match path {
        "/oauth2/authorize" | "/oauth2/logout" => Dialect::Page,
        p if ["/oauth2/", "/.well-known/", "/api/", "/healthz", "/readyz"].iter().any(|json| p.starts_with(json)) => {
            Dialect::Json
        }
        _ => Dialect::Page,
    }
}

/// `/t/{slug}/rest` is the slug and the rest.
fn split(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix("/t/") else {
        // RFC 8414 section 3.1: the well-known part comes before the issuer's path.
        for known in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
            if let Some(slug) = path.strip_prefix(known).and_then(|p| p.strip_prefix("/t/")) {
                return (Some(slug), &path[..known.len()]);
            }
        }
        return (None, path);
    };
    match rest.find('/') {
        Some(at) => (Some(&rest[..at]), &rest[at..]),
        None => (Some(rest), "/"),
    }
}

pub async fn door<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(app) = req.app_data::<web::Data<App>>().cloned() else {
        return Err(Error::internal("a server without its process").into());
    };
    let request_id = request_id();
    let path = req.path().to_owned();
    let (slug, inner) = split(&path);
    let dialect = dialect(inner);
    // Probes ask by address, not by a host of ours.
    if matches!(path.as_str(), "/healthz" | "/readyz") {
        let mut res = next.call(req).await?.map_into_boxed_body();
        answer::secure(res.headers_mut(), false, &request_id);
        return Ok(res);
    }
    let ctx = match bounds(req.request()) {
        Ok(()) => enter(&app, req.request(), slug, &request_id).await,
        Err(e) => Err(e),
    };
    let ctx = match ctx {
        Ok(ctx) => ctx,
        Err(e) => return Ok(turned_away(&app, req, (dialect, &request_id), e).await),
    };
    if !ctx.tenant.features.serves(inner) {
        return Ok(turned_away(&app, req, (dialect, &request_id), Notice::NotFound.into()).await);
    }
    let is_secure = ctx.secure;
    req.extensions_mut().insert(ctx.clone());
    if let Some(methods) = shared(inner)
        && is_preflight(req.request())
    {
        let http = req.request().clone();
        let mut res = ServiceResponse::new(http.clone(), preflight(methods));
        share(&app, &ctx, &http, res.headers_mut()).await;
        answer::secure(res.headers_mut(), is_secure, &request_id);
        return Ok(res);
    }
    // The framework needs the request for itself until the handler is done: no second handle on it is held meanwhile.
    let outcome = AssertUnwindSafe(next.call(req)).catch_unwind().await;
    let res = match outcome {
        Ok(Ok(res)) => res,
        Ok(Err(e)) => {
            let owned;
            let error = match e.as_error::<Error>() {
                Some(error) => error,
                None => {
                    owned = Error::protocol(Code::InvalidRequest, "the request cannot be read");
                    &owned
                }
            };
            return Err(alone(answer(&app, Some(&ctx), (dialect, &request_id), error), is_secure, &request_id));
        }
        Err(_) => {
            let error = Error::internal("a handler panicked");
            return Err(alone(answer(&app, Some(&ctx), (dialect, &request_id), &error), is_secure, &request_id));
        }
    };
    let http = res.request().clone();
    let mut res = match res.response().error().map(|e| e.as_error::<Error>()) {
        Some(Some(error)) => {
            ServiceResponse::new(http.clone(), answer(&app, Some(&ctx), (dialect, &request_id), error))
        }
        Some(None) => {
            ServiceResponse::new(http.clone(), answer(&app, Some(&ctx), (dialect, &request_id), &foreign(&res)))
        }
        None => res.map_into_boxed_body(),
    };
    let allowed = http.extensions().get::<Allowed>().and_then(|a| header::HeaderValue::from_str(&a.0).ok());
    if let Some(allowed) = allowed {
        res.headers_mut().insert(header::ALLOW, allowed);
    }
    if shared(inner).is_some() {
        share(&app, &ctx, &http, res.headers_mut()).await;
    }
    answer::secure(res.headers_mut(), is_secure, &request_id);
    Ok(res)
}

/// An answer without the request that it belongs to.
fn alone(mut response: HttpResponse, is_secure: bool, request_id: &str) -> actix_web::Error {
    answer::secure(response.headers_mut(), is_secure, request_id);
    actix_web::error::InternalError::from_response("answered", response).into()
}

/// An error that the framework made itself.
fn foreign<B>(res: &ServiceResponse<B>) -> Error {
    match res.status().as_u16() {
        404 => Notice::NotFound.into(),
        405 => Notice::MethodNotAllowed.into(),
        413 => Notice::TooLarge.into(),
        500.. => Error::internal("the framework failed"),
        _ => Notice::BadRequest.into(),
    }
}

async fn share(app: &App, ctx: &Ctx, req: &HttpRequest, headers: &mut header::HeaderMap) {
    headers.insert(header::VARY, header::HeaderValue::from_static("Origin"));
    let Some(origin) = origin(req) else { return };
    let own = req.extensions().get::<OriginVerdict>().map(|v| v.0);
    let known = match own {
        Some(verdict) => verdict,
        None => app.clients.knows_origin(&app.store, &ctx.tenant, origin).await.unwrap_or(false),
    };
    if known {
        allow_origin(headers, origin);
    }
}

fn request_id() -> String {
    crate::seal::random::<10>()
        .map(|b| b.iter().map(|b| format!("{b:02x}")).collect())
        .unwrap_or_else(|_| "unknown".into())
}

/// RFC 9110 section 15.5.15 and RFC 6585 section 5.
fn bounds(req: &HttpRequest) -> Result<()> {
    if req.uri().path_and_query().map_or(0, |p| p.as_str().len()) > LONGEST_URI {
        return Err(Error::protocol(Code::UriTooLong, "the address is longer than 8 KiB"));
    }
    // No address of ours needs an escape in its path; whoever reads one decodes it differently (RFC 3986 section 6.2.2.2).
    if req.uri().path().contains('%') {
        return Err(Notice::NotFound.into());
    }
    let size: usize = req.headers().iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
    if size > LARGEST_HEADERS {
        return Err(Error::protocol(Code::HeadersTooLarge, "the headers are larger than 32 KiB"));
    }
    Ok(())
}

/// The host that was asked for: one, plain, and the same in an absolute request target (RFC 9112 section 3.2.2).
fn host(req: &HttpRequest) -> Result<String> {
    let mut hosts = req.headers().get_all(header::HOST);
    let wrong = || Error::Person(Notice::WrongHost);
    let named = hosts.next().and_then(|h| h.to_str().ok()).ok_or_else(wrong)?;
    if hosts.next().is_some() || named.len() > 255 {
        return Err(wrong());
    }
    if req.uri().authority().is_some_and(|a| a.as_str() != named) {
        return Err(wrong());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    if !named.chars().all(plain) {
        return Err(wrong());
    }
    Ok(named.to_ascii_lowercase())
}

async fn enter(app: &App, req: &HttpRequest, slug: Option<&str>, request_id: &str) -> Result<Ctx> {
    let now = app.store.now();
    app.store.cache.fresh(&app.store.db, now).await?;
    if app.store.db.is_broken() {
        return Err(Error::unavailable("the database failed to commit; the process must be restarted"));
    }
    let host = host(req)?;
    let place = match app.tenants.place(&app.store, &host, slug).await? {
        Some(place) => place,
        None if slug.is_some() => {
            // The host may be ours and the tenant not there: a page in the brand of the host's owner.
            let home = app.tenants.place(&app.store, &host, None).await?;
            return match home {
                Some(_) => Err(Notice::NotFound.into()),
                None => Err(Notice::WrongHost.into()),
            };
        }
        None => return Err(Notice::WrongHost.into()),
    };
    if place.tenant.status != entity::Status::Active {
        return Err(Notice::NotFound.into());
    }
    Ok(make(app, req, (place, now), request_id))
}

fn make(app: &App, req: &HttpRequest, (place, now): (Place, entity::Micros), request_id: &str) -> Ctx {
    let text = |name: header::HeaderName| req.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
    let asked = asked_language(req.query_string()).or_else(|| cookie::language(req, place.secure));
    let again = matches!(*req.method(), Method::GET | Method::HEAD);
    Ctx {
        locale: Locale::negotiate(asked.as_deref(), Some(text(header::ACCEPT_LANGUAGE))),
        tenant: place.tenant,
        issuer: place.issuer,
        base: place.base,
        secure: place.secure,
        page: again.then(|| req.uri().path_and_query().map_or("/", |p| p.as_str()).into()),
        now,
        ip: address(app, req),
        user_agent: text(header::USER_AGENT).chars().take(400).collect::<String>().into(),
        request_id: request_id.into(),
    }
}

/// `ui_locales` (OpenID Connect Core section 3.1.2.1), as far as it is plain.
fn asked_language(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|p| p.strip_prefix("ui_locales="))?;
    super::params::decode(value).filter(|v| v.len() <= 200)
}

/// The address that a request comes from: the right-most that no trusted proxy has.
fn address(app: &App, req: &HttpRequest) -> IpAddr {
    let peer = req.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |a| a.ip().to_canonical());
    let trusted = &app.config().server.trusted_proxies.0;
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    if !is_trusted(&peer) {
        return peer;
    }
    let mut client = peer;
    let lines: Vec<&str> = req.headers().get_all("x-forwarded-for").filter_map(|v| v.to_str().ok()).collect();
    for hop in lines.join(",").rsplit(',').map(str::trim).take(30) {
        // What cannot be read ends the walk: the last address that is known counts.
        let with_port = || hop.parse::<std::net::SocketAddr>().map(|a| a.ip());
        let Ok(ip) = hop.parse::<IpAddr>().or_else(|_| with_port()) else { break };
        client = ip.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// A request that no tenant is for, or that is out of bounds.
async fn turned_away(
    app: &App,
    req: ServiceRequest,
    (dialect, request_id): (Dialect, &str),
    error: Error,
) -> ServiceResponse<BoxBody> {
    let http = req.request().clone();
    let home = home(app, &http, request_id, &error).await;
    let mut response = match (&error, &home) {
        // Somebody typed an address of this machine: lead them to the right one.
        (Error::Person(Notice::WrongHost), Some(ctx)) if dialect == Dialect::Page && is_local(&http) => {
            tracing::info!(request_id, cause = %error, "a request was refused");
            wrong_host(app, ctx)
        }
        (Error::Person(Notice::WrongHost), _) => answer(app, None, (Dialect::Json, request_id), &error),
        (_, ctx) => answer(app, ctx.as_ref(), (dialect, request_id), &error),
    };
    answer::secure(response.headers_mut(), home.is_some_and(|c| c.secure), request_id);
    ServiceResponse::new(http, response)
}

fn wrong_host(app: &App, ctx: &Ctx) -> HttpResponse {
    let shown = Problem {
        notice: Notice::WrongHost,
        reference: ctx.request_id.to_string(),
        status: Notice::WrongHost.status(),
        link: Some(ctx.url("/")),
        link_text: link::HOME,
        application: None,
    };
    super::page(app, ctx, Notice::WrongHost.status(), &shown)
        .unwrap_or_else(|_| HttpResponse::MisdirectedRequest().finish())
}

fn is_local(req: &HttpRequest) -> bool {
    host(req)
        .ok()
        .and_then(|h| url::Url::parse(&format!("http://{h}")).ok())
        .is_some_and(|u| crate::config::loopback(&u))
}

/// The place whose brand an error page carries when the request itself leads to none.
async fn home(app: &App, req: &HttpRequest, request_id: &str, error: &Error) -> Option<Ctx> {
    if matches!(error, Error::Ours(_)) {
        return None;
    }
    let now = app.store.now();
    let own = match host(req) {
        Ok(host) => app.tenants.place(&app.store, &host, None).await.ok().flatten(),
        Err(_) => None,
    };
    let place = match own {
        Some(place) => place,
        None => {
            let url = url::Url::parse(&app.config().public_url()).ok()?;
            let host = url.port().map_or_else(
                || url.host_str().unwrap_or("").to_owned(),
                |p| format!("{}:{p}", url.host_str().unwrap_or("")),
            );
            app.tenants.place(&app.store, &host, None).await.ok().flatten()?
        }
    };
    (place.tenant.status == entity::Status::Active).then(|| make(app, req, (place, now), request_id))
}

/// Notes, for the answer's CORS headers, whether the client at hand registered the script's origin.
pub fn origin_of(req: &HttpRequest, allowed: &[String]) {
    if let Some(origin) = origin(req) {
        let verdict = allowed.iter().any(|a| a == origin);
        req.extensions_mut().insert(OriginVerdict(verdict));
    }
}
