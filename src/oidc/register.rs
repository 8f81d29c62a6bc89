//! Applications that register by themselves (RFC 7591, OpenID Connect Registration) and look after that (RFC 7592).

use super::bearer::{bearer, missing};
use crate::app::App as Process;
use crate::audit::{self, Event, Origin};
use crate::client::policy::{self, Refused};
use crate::client::{self, Client, Registration, documents};
use crate::config::Mode;
use crate::ctx::Ctx;
use crate::db::Tx;
use crate::error::{Code, Error, Protocol, Result};
use crate::http::answer::no_store;
use crate::http::{App, Json};
use crate::limit::{self, Rule, Verdict};
use crate::seal::Token;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use entity::{Hash, TenantId, client as row};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// What a registration is managed with (RFC 7592 section 3).
const MANAGES: &str = "kw_ra_";

/// `POST /oauth2/register`
///
/// # Errors
/// RFC 7591 section 3.2.2; `invalid_token` without an initial access token where one is needed; `slow_down`.
pub async fn register(app: App, ctx: Ctx, req: HttpRequest, body: Json) -> Result<HttpResponse> {
    let initial = initial(&app, &ctx, bearer(&req)?).await?;
    throttle(&app, &ctx).await?;
    let Token { text: manages, hash } = Token::new(MANAGES)?;
    let new = read(&app, &ctx, &body.0, (initial.is_some(), Some(hash))).await?;
    let (inner, store) = (ctx.clone(), app.store.clone());
    let made = app
        .db()
        .write(async move |tx| {
            let (tenant, now) = (inner.tenant.id, store.now());
            if let Some(token) = &initial
                && !client::initial::spend(tx, tenant, token, now).await?
            {
                return Err(Protocol::new(Code::InvalidToken, "the initial access token is not valid").into());
            }
            let made = client::register(tx, &store, tenant, &new).await?;
            let event = Event::success(audit::kind::CLIENT_CREATE).client(made.key);
            audit::record(tx, &Origin::from(&inner), event.with(json!({ "name": new.name, "by": "itself" }))).await?;
            Ok(made)
        })
        .await?;
    app.store.cache.changed_here();
    app.store.cache.fresh(app.db(), app.store.now()).await?;
    app.work.notify_one();
    let client = app.clients.find(&app.store, &ctx.tenant, &made.client_id).await?;
    let client = client.ok_or_else(|| Error::internal("an application that was just made is not there"))?;
    Ok(answer(HttpResponse::Created(), told(&ctx, &client), (&manages, made.secret.as_deref())))
}

/// `GET /oauth2/register/{client_id}` (RFC 7592 section 2.1)
///
/// # Errors
/// `invalid_token`.
pub async fn get(app: App, ctx: Ctx, req: HttpRequest, id: web::Path<String>) -> Result<HttpResponse> {
    let (client, token) = manager(&app, &ctx, (&req, &id)).await?;
    Ok(answer(HttpResponse::Ok(), told(&ctx, &client), (&token, None)))
}

/// `PUT /oauth2/register/{client_id}` (RFC 7592 section 2.2): the whole of it is replaced; secret and id stay.
///
/// # Errors
/// As [`register`].
pub async fn put(app: App, ctx: Ctx, req: HttpRequest, (id, body): (web::Path<String>, Json)) -> Result<HttpResponse> {
    let (client, token) = manager(&app, &ctx, (&req, &id)).await?;
    let bad = |says| Error::protocol(Code::InvalidClientMetadata, says);
    if body.0.get("client_id").and_then(Value::as_str) != Some(client.id()) {
        return Err(bad("client_id must be the registered one"));
    }
    if ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"]
        .iter()
        .any(|name| body.0.contains_key(*name))
    {
        return Err(bad("a field that only the server sets"));
    }
    if let Some(secret) = body.0.get("client_secret").and_then(Value::as_str)
        && !client.knows(&Token::hash_of(secret), app.store.now())
    {
        return Err(bad("client_secret must be the registered one"));
    }
    let new = read(&app, &ctx, &body.0, (client.row.approved, client.row.registration_token.clone())).await?;
    if new.token_endpoint_auth_method != client.row.token_endpoint_auth_method {
        return Err(bad("token_endpoint_auth_method cannot be changed: register anew"));
    }
    let (inner, store, key, client2) = (ctx.clone(), app.store.clone(), client.key(), client.clone());
    app.db()
        .write(async move |tx| {
            let (tenant, now) = (inner.tenant.id, store.now());
            managed(tx, tenant, &client2).await?;
            client::replace(tx, (tenant, key), &new, now).await?;
            let event = Event::success(audit::kind::CLIENT_UPDATE).client(key).with(json!({ "by": "itself" }));
            audit::record(tx, &Origin::from(&inner), event).await
        })
        .await?;
    app.store.cache.changed_here();
    app.store.cache.fresh(app.db(), app.store.now()).await?;
    app.work.notify_one();
    let client = app.clients.find(&app.store, &ctx.tenant, client.id()).await?;
    let client = client.ok_or_else(|| Error::internal("an application vanished"))?;
    Ok(answer(HttpResponse::Ok(), told(&ctx, &client), (&token, None)))
}

/// `DELETE /oauth2/register/{client_id}` (RFC 7592 section 2.3)
///
/// # Errors
/// `invalid_token`.
pub async fn delete(app: App, ctx: Ctx, req: HttpRequest, id: web::Path<String>) -> Result<HttpResponse> {
    let (client, _) = manager(&app, &ctx, (&req, &id)).await?;
    let (inner, store) = (ctx.clone(), app.store.clone());
    app.db()
        .write(async move |tx| {
            let now = store.now();
            managed(tx, inner.tenant.id, &client).await?;
            client::delete(tx, &client.row, now).await?;
            let event =
                Event::success(audit::kind::CLIENT_DELETE).with(json!({ "client_id": client.id(), "by": "itself" }));
            audit::record(tx, &Origin::from(&inner), event).await
        })
        .await?;
    app.store.cache.changed_here();
    let mut response = HttpResponse::NoContent();
    no_store(&mut response);
    Ok(response.finish())
}

/// Decided where it is written: what the cache said may have changed since.
async fn managed(tx: &Tx, tenant: TenantId, client: &Client) -> Result<()> {
    match client::registration::held(tx, tenant, client).await? {
        true => Ok(()),
        false => Err(refused()),
    }
}

fn refused() -> Error {
    Protocol::new(Code::InvalidToken, "the registration access token is not valid").into()
}

/// Whose registration it is, by its registration access token. A name that is not registered is answered as a wrong token
/// is (RFC 7592 section 2.1).
async fn manager(
    app: &Process,
    ctx: &Ctx,
    (req, id): (&HttpRequest, &str),
) -> Result<(Arc<Client>, Zeroizing<String>)> {
    let Some(token) = bearer(req)? else {
        return Err(missing("a registration access token is needed"));
    };
    let client = app.clients.find(&app.store, &ctx.tenant, id).await?.ok_or_else(refused)?;
    let fits = |own: &Hash| crate::seal::same(&own.0, &Token::hash_of(&token).0);
    match client.row.registration_token.as_ref().is_some_and(fits) && client.active() {
        true => Ok((client, token)),
        false => Err(refused()),
    }
}

/// The initial access token, where one came or is needed (RFC 7591 section 3).
async fn initial(app: &Process, ctx: &Ctx, token: Option<Zeroizing<String>>) -> Result<Option<Hash>> {
    match (app.config().registration.mode, token) {
        (Mode::Off, _) => Err(crate::error::Notice::NotFound.into()),
        (Mode::Token, None) => Err(missing("an initial access token is needed")),
        (Mode::Open, None) => Ok(None),
        (_, Some(token)) => {
            let hash = Token::hash_of(&token);
            match client::initial::is_valid(app.db().read(), ctx.tenant.id, &hash, app.store.now()).await? {
                true => Ok(Some(hash)),
                false => Err(Protocol::new(Code::InvalidToken, "the initial access token is not valid").into()),
            }
        }
    }
}

async fn throttle(app: &Process, ctx: &Ctx) -> Result<()> {
    let rule =
        Rule { name: "register/address", limit: app.config().registration.per_hour, window: Duration::from_secs(3600) };
    let (tenant, now, key) = (ctx.tenant.id, app.store.now(), limit::prefix(ctx.ip).into_bytes());
    let count = async move |tx: &Tx| limit::count(tx, tenant, &[(rule, key.clone())], now).await;
    match app.db().write(count).await? {
        Verdict::Allowed => Ok(()),
        Verdict::Exceeded { retry_after, .. } => {
            let mut protocol = Protocol::new(Code::SlowDown, "too many registrations");
            protocol.retry_after = Some(retry_after);
            Err(protocol.into())
        }
    }
}

async fn read(app: &Process, ctx: &Ctx, given: &Map<String, Value>, who: (bool, Option<Hash>)) -> Result<Registration> {
    let refused = |refused: Refused| {
        let code = match &refused {
            Refused::RedirectUri(_) => Code::InvalidRedirectUri,
            Refused::Metadata(_) => Code::InvalidClientMetadata,
        };
        // The text repeats what was sent; it is JSON and names the field.
        Error::from(Protocol::new(code, "the registration is not accepted").naming(refused.says()))
    };
    if given.contains_key("software_statement") {
        // RFC 7591 section 2.3: none is trusted here, and its claims must not be taken unproven.
        return Err(Error::protocol(Code::UnapprovedSoftwareStatement, "software statements are not trusted here"));
    }
    let new = policy::read(given, (&app.config().registration, &ctx.tenant.features), who).map_err(refused)?;
    if let Some(uri) = new.metadata.sector_identifier_uri.as_ref() {
        // OpenID Connect Registration section 5
        let listed = documents::sector(&app.fetch, uri).await;
        let listed = listed.map_err(|why| refused(Refused::Metadata(format!("sector_identifier_uri: {why}"))))?;
        if !new.redirect_uris.iter().all(|uri| listed.contains(uri)) {
            return Err(refused(Refused::Metadata(
                "sector_identifier_uri: it does not list every redirect URI".into(),
            )));
        }
    }
    Ok(new)
}

/// Everything that is registered, under the standards' names (RFC 7591 section 3.2.1); nothing that is not honoured.
fn told(ctx: &Ctx, client: &Client) -> Map<String, Value> {
    let r: &row::Model = &client.row;
    let mut told = match serde_json::to_value(&client.metadata) {
        Ok(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    let mut say = |name: &str, value: Value| {
        if !value.is_null() && value != json!([]) {
            told.insert(name.into(), value);
        }
    };
    say("client_id", client.id().into());
    say("client_id_issued_at", r.created_at.seconds().into());
    say("registration_client_uri", format!("{}/{}", ctx.url("/oauth2/register"), client.id()).into());
    say("client_name", r.name.clone().into());
    say("redirect_uris", json!(r.redirect_uris.0));
    say("post_logout_redirect_uris", json!(r.post_logout_redirect_uris.0));
    say("grant_types", json!(r.grant_types.0));
    say("response_types", json!(client.metadata.response_types()));
    say("token_endpoint_auth_method", r.token_endpoint_auth_method.as_str().into());
    say("id_token_signed_response_alg", r.id_token_signed_response_alg.as_str().into());
    say("scope", r.scopes.to_string().into());
    say("client_uri", json!(r.client_uri));
    say("logo_uri", json!(r.logo_uri));
    say("policy_uri", json!(r.policy_uri));
    say("tos_uri", json!(r.tos_uri));
    say("jwks", r.jwks.as_ref().map_or(Value::Null, |j| j.0.clone()));
    told
}

/// A registration, with the token that manages it (RFC 7592 section 3) and, once, the secret.
fn answer(
    mut response: HttpResponseBuilder,
    mut told: Map<String, Value>,
    (manages, secret): (&str, Option<&String>),
) -> HttpResponse {
    if let Some(secret) = secret {
        told.insert("client_secret".into(), secret.as_str().into());
        // RFC 7591 section 3.2.1: required beside a secret; zero says never.
        told.insert("client_secret_expires_at".into(), 0.into());
    }
    told.insert("registration_access_token".into(), manages.into());
    no_store(&mut response);
    response.json(told)
}
