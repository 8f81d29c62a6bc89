//! Discovery (OpenID Connect Discovery section 3, RFC 8414) and the JWKS.

use crate::app::App as Process;
use crate::client::ResponseType;
use crate::config::Mode;
use crate::ctx::Ctx;
use crate::db::Tx;
use crate::error::Result;
use crate::feature::Feature;
use crate::flow::ask::ResponseMode;
use crate::flow::password::ACR;
use crate::http::App;
use crate::keys::JWKS_MAX_AGE;
use crate::locale::Locale;
use crate::queue::{self, Work};
use actix_web::HttpResponse;
use actix_web::http::header;
use entity::{ClientAuth, ContentEnc, JobKind, JwsAlg, KeyAlg, SigningAlg, SubjectType};
use serde_json::{Value, json};

/// How long a look at the JWKS waits for the RSA key to be made.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`
///
/// # Errors
/// The database's.
pub async fn metadata(app: App, ctx: Ctx) -> Result<HttpResponse> {
    let complete = rsa_is_there(&app, &ctx).await?;
    Ok(cached(complete).json(document(&app, &ctx)))
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
    let mut jwks = app.keys.set(&app.store, &ctx.tenant).await?.jwks(app.store.now());
    let decryption = app.decryption.set(&app.store, &ctx.tenant).await?;
    if let Some(keys) = jwks["keys"].as_array_mut() {
        keys.extend(decryption.published().iter().cloned());
    }
    Ok(cached(complete).json(jwks))
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
fn document(app: &Process, ctx: &Ctx) -> Value {
    let features = &ctx.tenant.features;
    let has = |feature| features.has(feature);
    let auth: Vec<_> = ClientAuth::ALL.iter().map(|m| m.as_str()).collect();
    let secret: Vec<_> = ClientAuth::ALL.iter().filter(|m| **m != ClientAuth::None).map(|m| m.as_str()).collect();
    let algs: Vec<_> = SigningAlg::ALL.iter().map(|a| a.as_str()).collect();
    // HS256 beside our own: a client's secret is the key.
    let with_hmac: Vec<_> = JwsAlg::ALL.iter().map(|a| a.as_str()).collect();
    let grants: Vec<_> = features.grants().map(|g| g.as_str()).collect();
    let (key_algs, encs): (Vec<_>, Vec<_>) =
        (KeyAlg::ALL.iter().map(|a| a.as_str()).collect(), ContentEnc::ALL.iter().map(|e| e.as_str()).collect());
    let kinds: Vec<_> =
        ResponseType::ALL.iter().filter(|t| !t.is_front() || has(Feature::Implicit)).map(ToString::to_string).collect();
    let subjects: Vec<_> = SubjectType::ALL
        .iter()
        .filter(|s| **s == SubjectType::Public || has(Feature::PairwiseSubjects))
        .map(|s| s.as_str())
        .collect();
    let mut document = json!({
        "issuer": &*ctx.issuer,
        "authorization_endpoint": ctx.url("/oauth2/authorize"),
        "token_endpoint": ctx.url("/oauth2/token"),
        "userinfo_endpoint": ctx.url("/oauth2/userinfo"),
        "jwks_uri": ctx.url("/oauth2/jwks"),
        "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access"],
        "response_types_supported": kinds,
        "response_modes_supported": ResponseMode::ALL,
        "grant_types_supported": grants,
        "acr_values_supported": [ACR],
        "subject_types_supported": subjects,
        "id_token_signing_alg_values_supported": with_hmac,
        "id_token_encryption_alg_values_supported": key_algs,
        "id_token_encryption_enc_values_supported": encs,
        "userinfo_signing_alg_values_supported": algs,
        "userinfo_encryption_alg_values_supported": key_algs,
        "userinfo_encryption_enc_values_supported": encs,
        "token_endpoint_auth_methods_supported": auth,
        "token_endpoint_auth_signing_alg_values_supported": with_hmac,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page", "popup"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid", "name", "given_name",
            "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender",
            "birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified", "phone_number",
            "phone_number_verified", "address"
        ],
        "claims_parameter_supported": has(Feature::ClaimsParameter),
        "request_parameter_supported": has(Feature::RequestObjects),
        "request_uri_parameter_supported": has(Feature::RequestObjects),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "ui_locales_supported": Locale::ALL.map(Locale::tag),
    });
    let mut say = |feature: Feature, members: Value| {
        if let (true, Value::Object(all), Value::Object(members)) = (has(feature), &mut document, members) {
            all.extend(members);
        }
    };
    say(
        Feature::Introspection,
        json!({
            "introspection_endpoint": ctx.url("/oauth2/introspect"),
            "introspection_endpoint_auth_methods_supported": secret,
            "introspection_endpoint_auth_signing_alg_values_supported": with_hmac,
        }),
    );
    say(
        Feature::Revocation,
        json!({
            "revocation_endpoint": ctx.url("/oauth2/revoke"),
            "revocation_endpoint_auth_methods_supported": auth,
            "revocation_endpoint_auth_signing_alg_values_supported": with_hmac,
        }),
    );
    say(
        Feature::RequestObjects,
        json!({
            "request_object_signing_alg_values_supported": with_hmac,
            "request_object_encryption_alg_values_supported": key_algs,
            "request_object_encryption_enc_values_supported": encs,
            "require_request_uri_registration": true,
        }),
    );
    if app.config().registration.mode != Mode::Off {
        say(Feature::DynamicRegistration, json!({ "registration_endpoint": ctx.url("/oauth2/register") }));
    }
    say(Feature::RpInitiatedLogout, json!({ "end_session_endpoint": ctx.url("/oauth2/logout") }));
    say(
        Feature::FrontchannelLogout,
        json!({
            "frontchannel_logout_supported": true, "frontchannel_logout_session_supported": true,
        }),
    );
    say(
        Feature::BackchannelLogout,
        json!({
            "backchannel_logout_supported": true, "backchannel_logout_session_supported": true,
        }),
    );
    say(Feature::SessionManagement, json!({ "check_session_iframe": ctx.url("/oauth2/check_session") }));
    for (name, url) in [("op_policy_uri", &ctx.tenant.brand.privacy), ("op_tos_uri", &ctx.tenant.brand.terms)] {
        if let (Some(url), Some(members)) = (url, document.as_object_mut()) {
            members.insert(name.into(), url.clone().into());
        }
    }
    document
}
