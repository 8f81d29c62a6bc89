//! Every route, in one table per door. The table is also what tests compare the documents with.
//!
//! Each stands at the root and below `/t/{slug}`; which errors are JSON and which are pages is said in `http/door.rs`.

use crate::client;
use crate::ctx::Ctx;
use crate::error::{Error, Notice, Result};
use crate::http::answer::no_store;
use crate::http::door::Allowed;
use crate::http::{App, Query};
use crate::{login, me, oidc};
use actix_web::http::{Method, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, guard, web};

macro_rules! routes {
    ($($path:literal: $($method:ident => $handler:path),+;)*) => {
        /// Method and path of every route.
        pub const ROUTES: &[(&str, &str)] = &[$($((stringify!($method), $path)),+),*];

        fn doors(config: &mut web::ServiceConfig) {
            $({
                let resource = web::resource($path);
                $(let resource = resource.route(method!($method).to($handler));)+
                let allowed = [$(stringify!($method)),+].join(", ").replace("GET", "GET, HEAD");
                config.service(resource.default_service(web::to(move |req: HttpRequest| not_allowed(req, allowed.clone()))));
            })*
        }
    };
}

macro_rules! method {
    (GET) => {
        web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
    };
    (POST) => {
        web::post()
    };
    (PUT) => {
        web::put()
    };
    (DELETE) => {
        web::delete()
    };
}

routes! {
    "/.well-known/openid-configuration": GET => oidc::metadata::metadata;
    "/.well-known/oauth-authorization-server": GET => oidc::metadata::metadata;
    "/oauth2/jwks": GET => oidc::metadata::jwks;
    "/oauth2/authorize": GET => oidc::authorize::get, POST => oidc::authorize::post;
    "/oauth2/token": POST => oidc::token::token;
    "/oauth2/userinfo": GET => oidc::userinfo::get, POST => oidc::userinfo::post;
    "/oauth2/introspect": POST => oidc::introspect::introspect;
    "/oauth2/revoke": POST => oidc::revoke::revoke;
    "/oauth2/register": POST => oidc::register::register;
    "/oauth2/register/{client_id}": GET => oidc::register::get, PUT => oidc::register::put, DELETE => oidc::register::delete;
    "/oauth2/check_session": GET => oidc::check_session::frame;
    "/oauth2/logo": GET => logo;
    "/oauth2/logout": GET => oidc::logout::get, POST => oidc::logout::post;
    "/signout/confirm": POST => oidc::logout::confirmed;
    "/login": GET => login::get, POST => login::post;
    "/setup": GET => login::setup::get, POST => login::setup::post;
    "/": GET => me::front;
    "/account": GET => me::account;
    "/account/sessions/end": POST => me::end_session;
    "/signout": POST => me::sign_out;
}

/// All of them, with what has no tenant.
pub fn all(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", method!(GET).to(alive))
        .route("/readyz", method!(GET).to(ready))
        .route("/.well-known/oauth-authorization-server/t/{slug}", method!(GET).to(oidc::metadata::metadata))
        .route("/.well-known/openid-configuration/t/{slug}", method!(GET).to(oidc::metadata::metadata))
        .route("/assets/{file}", method!(GET).to(asset))
        .service(web::scope("/t/{slug}").configure(doors).route("", method!(GET).to(me::front)))
        .configure(doors)
        .default_service(web::to(not_found));
}

/// The logo of an application, which was fetched when it registered.
async fn logo(app: App, ctx: Ctx, req: HttpRequest, query: Query) -> Result<HttpResponse> {
    let found = match query.0.get("client_id") {
        Some(id) => app.clients.find(&app.store, &ctx.tenant, id).await?,
        None => None,
    };
    let client = found.ok_or(Error::Person(Notice::NotFound))?;
    let kept = client::logo::kept(app.db().read(), ctx.tenant.id, client.key()).await?;
    let (kind, bytes, tag) = kept.ok_or(Error::Person(Notice::NotFound))?;
    Ok(picture(&req, (&kind, bytes, &tag)))
}

async fn not_found() -> Result<HttpResponse> {
    Err(Notice::NotFound.into())
}

async fn not_allowed(req: HttpRequest, allowed: String) -> Result<HttpResponse> {
    req.extensions_mut().insert(Allowed(allowed));
    // A preflight that gets here is for what scripts of other sites may not call.
    if req.method() == Method::OPTIONS {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Notice::MethodNotAllowed.into())
    }
}

/// The process answers.
async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "ok" }))
}

/// It can do its work: the database answers and can be written.
async fn ready(app: App) -> HttpResponse {
    let now = app.store.now();
    let well = !app.db().is_broken() && app.store.cache.fresh(app.db(), now).await.is_ok();
    let mut response = if well { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    no_store(&mut response);
    response.json(serde_json::json!({ "status": if well { "ready" } else { "unavailable" } }))
}

/// A file of the theme, under a name that carries its hash; or one of the operator's, from `assets/` in the data directory.
async fn asset(app: App, req: HttpRequest, file: web::Path<String>) -> Result<HttpResponse> {
    let file = file.into_inner();
    if let Some(asset) = app.theme.asset(&format!("/assets/{file}")) {
        let mut response = HttpResponse::Ok();
        response
            .insert_header((header::CONTENT_TYPE, asset.content_type))
            .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .insert_header((header::VARY, "Accept-Encoding"));
        return Ok(match asset.gzip.filter(|_| takes_gzip(&req)) {
            Some(packed) => response.insert_header((header::CONTENT_ENCODING, "gzip")).body(packed),
            None => response.insert_header((header::ETAG, asset.etag)).body(asset.bytes),
        });
    }
    operators_file(&app, &req, &file).await
}

/// RFC 9110 section 12.5.3, as far as browsers write it.
fn takes_gzip(req: &HttpRequest) -> bool {
    let accepted = req.headers().get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    accepted.split(',').any(|c| c.trim() == "gzip")
}

/// Pictures and fonts, by a short list of types: nothing that runs or frames.
const KINDS: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("ico", "image/x-icon"),
    ("svg", "image/svg+xml"),
    ("woff2", "font/woff2"),
];
const LARGEST: u64 = 2 * 1024 * 1024;

async fn operators_file(app: &App, req: &HttpRequest, file: &str) -> Result<HttpResponse> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let kind =
        file.rsplit_once('.').and_then(|(_, end)| KINDS.iter().find(|(name, _)| *name == end.to_ascii_lowercase()));
    let Some((_, kind)) = kind.filter(|_| !file.starts_with('.') && file.chars().all(plain)) else {
        return Err(Notice::NotFound.into());
    };
    let path = app.config().data_dir().join("assets").join(file);
    let read = web::block(move || {
        let about = std::fs::symlink_metadata(&path)?;
        if !about.is_file() || about.len() > LARGEST {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        std::fs::read(&path)
    });
    let Ok(Ok(bytes)) = read.await else { return Err(Notice::NotFound.into()) };
    let tag: String = crate::seal::sha256(&bytes).0.iter().take(8).map(|b| format!("{b:02x}")).collect();
    Ok(picture(req, (kind, bytes, &tag)))
}

/// A picture that is opened by itself runs nothing.
fn picture(req: &HttpRequest, (kind, bytes, tag): (&str, Vec<u8>, &str)) -> HttpResponse {
    let etag = format!("\"{tag}\"");
    if req.headers().get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()) == Some(&etag) {
        return HttpResponse::NotModified().finish();
    }
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"))
        .insert_header((header::ETAG, etag))
        .body(bytes)
}
