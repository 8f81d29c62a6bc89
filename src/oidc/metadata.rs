//! Discovery (OpenID Connect Discovery section 3, RFC 8414) and the JWKS.

use crate::app::App as Process;
use crate::ctx::Ctx;
use crate::db::Tx;
use crate::error::Result;
use crate::flow::password::ACR;
use crate::http::App;
use crate::keys::JWKS_MAX_AGE;
use crate::locale::Locale;
use crate::queue::{self, Work};
use actix_web::HttpResponse;
use actix_web::http::header;
use entity::{ClientAuth, GrantType, JobKind, SigningAlg};
use serde_json::{Value, json};

/// How long a look at the JWKS waits for the RSA key to be made.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`
///
/// # Errors
/// The database's.
pub async fn metadata(app: App, ctx: Ctx) -> Result<HttpResponse> {
    let complete = rsa_is_there(&app, &ctx).await?;
    Ok(cached(complete).json(document(&ctx)))
}

/// `GET /oauth2/jwks` (RFC 7517)
///
/// # Errors
/// The database's.
pub async fn jwks(app: App, ctx: Ctx) -> Result<HttpResponse> {
    // Some applications read the list once: the first to look waits the moment that an RSA key takes.
    if app.keys.set(&app.store, &ctx.tenant).await?.has(SigningAlg::Rs256, app.store.now()) {
        return published(&app, &ctx, true).await;
    }
    // In a task of its own: whoever stops waiting does not make the next one begin anew.
    let (process, tenant) = (app.clone().into_inner(), ctx.tenant.clone());
    let making = tokio::spawn(async move { process.keys.ensure(&process.store, &tenant, SigningAlg::Rs256).await });
    let complete = matches!(tokio::time::timeout(PATIENCE, making).await, Ok(Ok(Ok(()))));
    published(&app, &ctx, complete).await
}

async fn published(app: &Process, ctx: &Ctx, complete: bool) -> Result<HttpResponse> {
    let set = app.keys.set(&app.store, &ctx.tenant).await?;
    Ok(cached(complete).json(set.jwks(app.store.now())))
}

fn cached(complete: bool) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    // Until the RSA key has been made, nobody shall keep the list for long.
    let age = if complete { JWKS_MAX_AGE.as_secs() } else { 60 };
    response.insert_header((header::CACHE_CONTROL, format!("public, max-age={age}")));
    response
}

/// Whether the tenant has the key that ID tokens are signed with unless a client says otherwise; orders it if not.
async fn rsa_is_there(app: &Process, ctx: &Ctx) -> Result<bool> {
    let now = app.store.now();
    if app.keys.set(&app.store, &ctx.tenant).await?.has(SigningAlg::Rs256, now) {
        return Ok(true);
    }
    let tenant = ctx.tenant.id;
    if app.ordered.insert(tenant) {
        app.db().write(async move |tx| order_key(tx, tenant, SigningAlg::Rs256, now).await).await?;
        app.work.notify_one();
    }
    Ok(false)
}

/// Orders a key; the job makes it unless it is there by then.
///
/// # Errors
/// The database's.
pub async fn order_key(tx: &Tx, tenant: entity::TenantId, alg: SigningAlg, now: entity::Micros) -> Result<()> {
    queue::push(tx, tenant, Work::new(JobKind::MakeKey, json!({ "alg": alg }), now)).await.map(drop)
}

/// Only what is served.
fn document(ctx: &Ctx) -> Value {
    let auth: Vec<_> = ClientAuth::ALL.iter().map(|m| m.as_str()).collect();
    let secret: Vec<_> = ClientAuth::ALL.iter().filter(|m| **m != ClientAuth::None).map(|m| m.as_str()).collect();
    let algs: Vec<_> = SigningAlg::ALL.iter().map(|a| a.as_str()).collect();
    let grants: Vec<_> = GrantType::ALL.iter().map(|g| g.as_str()).collect();
    let mut document = json!({
        "issuer": &*ctx.issuer,
        "authorization_endpoint": ctx.url("/oauth2/authorize"),
        "token_endpoint": ctx.url("/oauth2/token"),
        "userinfo_endpoint": ctx.url("/oauth2/userinfo"),
        "jwks_uri": ctx.url("/oauth2/jwks"),
        "introspection_endpoint": ctx.url("/oauth2/introspect"),
        "revocation_endpoint": ctx.url("/oauth2/revoke"),
        "end_session_endpoint": ctx.url("/oauth2/logout"),
        "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grants,
        "acr_values_supported": [ACR],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algs,
        "token_endpoint_auth_methods_supported": auth,
        "token_endpoint_auth_signing_alg_values_supported": algs,
        "introspection_endpoint_auth_methods_supported": secret,
        "introspection_endpoint_auth_signing_alg_values_supported": algs,
        "revocation_endpoint_auth_methods_supported": auth,
        "revocation_endpoint_auth_signing_alg_values_supported": algs,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid", "name", "given_name",
            "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender",
            "birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified", "phone_number",
            "phone_number_verified", "address"
        ],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "ui_locales_supported": Locale::ALL.map(Locale::tag),
    });
    for (name, url) in [("op_policy_uri", &ctx.tenant.brand.privacy), ("op_tos_uri", &ctx.tenant.brand.terms)] {
        if let (Some(url), Some(members)) = (url, document.as_object_mut()) {
            members.insert(name.into(), url.clone().into());
        }
    }
    document
}
