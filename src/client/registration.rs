//! Registering applications: what they say, whether that fits together, and their secrets.

use super::metadata::{self, Metadata};
use super::{RedirectUri, Secret, local};
use crate::cache::bump;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::jose::parse_client_jwks;
use crate::queue::{self, Work};
use crate::seal::{Token, random};
use crate::store::Store;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{
    CacheKind, ClientAuth, ClientKey, Document, GrantType, Hash, JobKind, JwsAlg, Micros, PkceRule, Profile, RowId,
    Scopes, SigningAlg, Status, TenantId, Texts, client, client_secret,
};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QuerySelect};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// Registrations that are swept in one write.
const BATCH: u64 = 100;

fn secret_context(tenant: TenantId, row: RowId) -> String {
    format!("client_secret/{tenant}/{row}")
}

pub(super) fn unsealed(store: &Store, row: client_secret::Model) -> Result<Secret> {
    let text = match &row.sealed {
        Some(sealed) => {
            let bytes = store.master.open(&secret_context(row.tenant_id, row.id), sealed)?;
            Some(Zeroizing::new(std::str::from_utf8(&bytes).map_err(Error::internal)?.to_owned()))
        }
        None => None,
    };
    Ok(Secret { hash: row.hash, until: row.expires_at, text })
}

/// What an application is registered with (the names are those of OpenID Connect Registration section 2).
#[derive(Clone, Debug)]
pub struct Registration {
    pub name: String,
    pub redirect_uris: Vec<String>,
    pub post_logout_redirect_uris: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub token_endpoint_auth_method: ClientAuth,
    pub grant_types: Vec<GrantType>,
    pub scopes: Scopes,
    pub pkce: PkceRule,
    pub jwks: Option<serde_json::Value>,
    pub id_token_signed_response_alg: JwsAlg,
    pub access_token_signed_response_alg: Option<SigningAlg>,
    pub first_party: bool,
    pub approved: bool,
    pub client_uri: Option<String>,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub tos_uri: Option<String>,
    pub metadata: Metadata,
    /// What the application manages its registration with, when it registered by itself.
    pub registration_token: Option<Hash>,
}

/// What a new application is told, once.
pub struct Registered {
    pub key: ClientKey,
    pub client_id: String,
    pub secret: Option<Zeroizing<String>>,
}

/// The scopes that an application may ask for unless it says otherwise.
pub fn standard_scopes() -> Scopes {
    Scopes::of(["openid", "profile", "email", "address", "phone", "offline_access"])
}

impl Registration {
    /// # Errors
    /// A sentence that names the field.
    pub fn check(&self) -> Result<(), String> {
        let name = self.name.trim();
        if name.is_empty() || self.name.chars().count() > 200 || self.name.chars().any(char::is_control) {
            return Err("name: 1 to 200 characters without control characters".into());
        }
        if self.redirect_uris.len() > 100
            || self.post_logout_redirect_uris.len() > 100
            || self.allowed_origins.len() > 100
        {
            return Err("redirect_uris, post_logout_redirect_uris and allowed_origins: at most 100 each".into());
        }
        for uri in &self.redirect_uris {
            RedirectUri::parse(uri).map_err(|why| format!("redirect_uri {uri:?}: {why}"))?;
        }
        for uri in &self.post_logout_redirect_uris {
            RedirectUri::parse(uri).map_err(|why| format!("post_logout_redirect_uri {uri:?}: {why}"))?;
        }
        for origin in &self.allowed_origins {
            let own = url::Url::parse(origin)
                .ok()
                .filter(|u| matches!(u.scheme(), "http" | "https"))
                .map(|u| u.origin().ascii_serialization());
            if own.as_deref() != Some(origin) {
                return Err(format!(
                    "allowed_origin {origin:?}: scheme, host and port alone, such as https://app.example"
                ));
            }
        }
        let code = self.grant_types.contains(&GrantType::AuthorizationCode);
        if code && self.redirect_uris.is_empty() {
            return Err("redirect_uris: the authorization_code grant needs at least one".into());
        }
        if self.grant_types.contains(&GrantType::RefreshToken) && !code {
            return Err("grant_types: refresh_token needs authorization_code".into());
        }
        if self.grant_types.is_empty() {
            return Err("grant_types: at least one".into());
        }
        let public = self.token_endpoint_auth_method == ClientAuth::None;
        if public && self.grant_types.contains(&GrantType::ClientCredentials) {
            // RFC 6749 section 4.4
            return Err("grant_types: client_credentials is for clients that can keep a secret".into());
        }
        if public && self.pkce == PkceRule::Optional {
            return Err("pkce: public clients always need it".into());
        }
        if self.jwks.is_some() && self.metadata.jwks_uri.is_some() {
            // OpenID Connect Registration section 2
            return Err("jwks: not beside jwks_uri".into());
        }
        match (&self.jwks, self.token_endpoint_auth_method) {
            (None, ClientAuth::PrivateKeyJwt) if self.metadata.jwks_uri.is_none() => {
                return Err("jwks: private_key_jwt needs the client's public keys".into());
            }
            (Some(jwks), method) => {
                let keys = parse_client_jwks(&jwks.to_string()).map_err(|e| format!("jwks: {e}"))?;
                // Keys to encrypt to may be all that there is.
                if keys.is_empty() && method == ClientAuth::PrivateKeyJwt {
                    return Err("jwks: no usable public key in it".into());
                }
            }
            _ => {}
        }
        for (name, uri) in [
            ("client_uri", &self.client_uri),
            ("logo_uri", &self.logo_uri),
            ("policy_uri", &self.policy_uri),
            ("tos_uri", &self.tos_uri),
        ] {
            if let Some(uri) = uri {
                metadata::https(uri).map_err(|why| format!("{name} {uri:?}: {why}"))?;
            }
        }
        self.check_response_types()?;
        self.check_keys()?;
        self.metadata.check(&self.redirect_uris)
    }

    /// Response types and grant types belong together (OpenID Connect Registration section 2).
    fn check_response_types(&self) -> Result<(), String> {
        let types = self.metadata.response_types();
        let (code, implicit) =
            (self.grant_types.contains(&GrantType::AuthorizationCode), self.grant_types.contains(&GrantType::Implicit));
        if !self.metadata.response_types.is_empty() && types.iter().any(|t| t.code) && !code {
            return Err("grant_types: a response type with code needs authorization_code".into());
        }
        if types.iter().any(|t| t.is_front()) && !implicit {
            return Err("grant_types: a response type with id_token or token needs implicit".into());
        }
        if implicit && self.redirect_uris.is_empty() {
            return Err("redirect_uris: the implicit grant needs at least one".into());
        }
        // OpenID Connect Registration section 2, application_type: what is answered in the fragment goes to the web by TLS.
        let web = self.metadata.application_type != Some(entity::ApplicationType::Native);
        if implicit && web && self.redirect_uris.iter().any(|u| !u.starts_with("https://") && !local(u)) {
            return Err("redirect_uris: web applications with the implicit grant have https ones".into());
        }
        Ok(())
    }

    /// Where a secret or a key of the client's is used, it has one.
    fn check_keys(&self) -> Result<(), String> {
        let m = &self.metadata;
        let secret =
            matches!(self.token_endpoint_auth_method, ClientAuth::Basic | ClientAuth::Post | ClientAuth::SecretJwt);
        let hmac = |alg: Option<JwsAlg>| alg == Some(JwsAlg::Hs256);
        for (name, alg) in [
            ("id_token_signed_response_alg", Some(self.id_token_signed_response_alg)),
            ("request_object_signing_alg", m.request_object_signing_alg),
        ] {
            // OpenID Connect Core section 10.1: public clients have no secret.
            if hmac(alg) && !secret {
                return Err(format!("{name}: HS256 is for clients with a secret"));
            }
        }
        match (self.token_endpoint_auth_method, m.token_endpoint_auth_signing_alg) {
            (ClientAuth::SecretJwt, Some(alg)) if alg != JwsAlg::Hs256 => {
                return Err("token_endpoint_auth_signing_alg: HS256 for client_secret_jwt".into());
            }
            (ClientAuth::PrivateKeyJwt, Some(JwsAlg::Hs256)) => {
                return Err("token_endpoint_auth_signing_alg: not HS256 for private_key_jwt".into());
            }
            _ => {}
        }
        let encrypted = m.id_token_encrypted_response_alg.is_some() || m.userinfo_encrypted_response_alg.is_some();
        if encrypted && self.jwks.is_none() && m.jwks_uri.is_none() {
            return Err("jwks: encrypted answers need the client's public keys".into());
        }
        Ok(())
    }

    /// Whether its secret is the key of something, so that it is kept sealed beside its hash.
    fn needs_secret_text(&self) -> bool {
        needs_text(self.token_endpoint_auth_method, self.id_token_signed_response_alg, &self.metadata)
    }
}

fn needs_text(auth: ClientAuth, id_token: JwsAlg, metadata: &Metadata) -> bool {
    auth == ClientAuth::SecretJwt
        || id_token == JwsAlg::Hs256
        || metadata.request_object_signing_alg == Some(JwsAlg::Hs256)
}

/// Writes a new application. Its id is ours to choose, whatever was registered (RFC 9700 section 4.15).
///
/// # Errors
/// The database's.
pub async fn register(tx: &Tx, store: &Store, tenant: TenantId, new: &Registration) -> Result<Registered> {
    let now = store.now();
    let key = ClientKey::new();
    // The dot keeps it apart from every subject identifier: tokens of a client for itself carry it as `sub`.
    let client_id = format!("app.{}", URL_SAFE_NO_PAD.encode(random::<18>()?));
    let row = client::ActiveModel {
        tenant_id: Set(tenant),
        id: Set(key),
        client_id: Set(client_id.clone()),
        status: Set(Status::Active),
        profile: Set(Profile::Oidc),
        approved: Set(new.approved),
        registration_token: Set(new.registration_token.clone()),
        used_at: Set(None),
        settings: Set(Document(serde_json::json!({}))),
        not_before: Set(None),
        created_at: Set(now),
        version: Set(1),
        ..said(new)?
    };
    client::Entity::insert(row).exec_without_returning(tx).await?;
    let secret = match new.token_endpoint_auth_method {
        ClientAuth::Basic | ClientAuth::Post | ClientAuth::SecretJwt => {
            Some(add_secret(tx, store, (tenant, key), new.needs_secret_text()).await?)
        }
        ClientAuth::None | ClientAuth::PrivateKeyJwt => None,
    };
    order(tx, (tenant, key), new, now).await?;
    bump(tx, tenant, CacheKind::Client, now).await?;
    Ok(Registered { key, client_id, secret })
}

/// Orders what follows from a registration: its logo is fetched, and keys are made that it wants to encrypt to.
async fn order(tx: &Tx, (tenant, key): (TenantId, ClientKey), new: &Registration, now: Micros) -> Result<()> {
    if new.logo_uri.is_some() {
        let work = serde_json::json!({ "client": key });
        queue::push(tx, tenant, Work::new(JobKind::FetchLogo, work, now)).await?;
    }
    if new.metadata.request_object_encryption_alg.is_some() {
        let work = serde_json::json!({ "decryption": true });
        queue::push(tx, tenant, Work::new(JobKind::MakeKey, work, now)).await?;
    }
    Ok(())
}

/// What an application says of itself, as columns.
fn said(new: &Registration) -> Result<client::ActiveModel> {
    let texts = |v: &[String]| {
        let mut seen = BTreeSet::new();
        Texts(v.iter().filter(|t| seen.insert((*t).clone())).cloned().collect())
    };
    Ok(client::ActiveModel {
        name: Set(new.name.trim().to_owned()),
        token_endpoint_auth_method: Set(new.token_endpoint_auth_method),
        grant_types: Set(texts(&new.grant_types.iter().map(|g| g.as_str().to_owned()).collect::<Vec<_>>())),
        redirect_uris: Set(texts(&new.redirect_uris)),
        post_logout_redirect_uris: Set(texts(&new.post_logout_redirect_uris)),
        allowed_origins: Set(texts(&new.allowed_origins)),
        scopes: Set(new.scopes.clone()),
        pkce: Set(new.pkce),
        jwks: Set(new.jwks.clone().map(Document)),
        id_token_signed_response_alg: Set(new.id_token_signed_response_alg),
        access_token_signed_response_alg: Set(new.access_token_signed_response_alg),
        first_party: Set(new.first_party),
        client_uri: Set(new.client_uri.clone()),
        logo_uri: Set(new.logo_uri.clone()),
        policy_uri: Set(new.policy_uri.clone()),
        tos_uri: Set(new.tos_uri.clone()),
        metadata: Set(Document(serde_json::to_value(&new.metadata).map_err(Error::internal)?)),
        ..Default::default()
    })
}

/// What an application says of itself takes the place of what it said before (RFC 7592 section 2.2).
///
/// # Errors
/// The database's.
pub async fn replace(tx: &Tx, (tenant, key): (TenantId, ClientKey), new: &Registration, now: Micros) -> Result<()> {
    let row = client::ActiveModel { tenant_id: Set(tenant), id: Set(key), ..said(new)? };
    client::Entity::update(row).exec(tx).await?;
    order(tx, (tenant, key), new, now).await?;
    client::Entity::update_many()
        .col_expr(client::Column::Version, Expr::col(client::Column::Version).add(1))
        .filter(client::Column::TenantId.eq(tenant))
        .filter(client::Column::Id.eq(key))
        .exec(tx)
        .await?;
    bump(tx, tenant, CacheKind::Client, now).await
}

/// Whether this registration still stands and is managed with the same token; the row is held until the transaction ends.
///
/// # Errors
/// The database's.
pub async fn held(tx: &Tx, tenant: TenantId, client: &super::Client) -> Result<bool> {
    let row = client::Entity::find_by_id((tenant, client.key()))
        .filter(client::Column::Status.eq(Status::Active))
        .filter(client::Column::RegistrationToken.eq(client.row.registration_token.clone()))
        .lock_exclusive()
        .one(tx)
        .await?;
    Ok(row.is_some())
}

/// Deletes registrations that nobody ever signed in through.
///
/// # Errors
/// The database's.
pub async fn sweep(db: &Db, unused: std::time::Duration, now: Micros) -> Result<u64> {
    let never = Condition::all()
        .add(client::Column::RegistrationToken.is_not_null())
        .add(client::Column::UsedAt.is_null())
        .add(client::Column::CreatedAt.lt(now.minus(unused)));
    let mut gone = 0;
    loop {
        let due = client::Entity::find().filter(never.clone()).limit(BATCH).all(db.read()).await?;
        if due.is_empty() {
            return Ok(gone);
        }
        gone += due.len() as u64;
        db.write(async move |tx| {
            for row in &due {
                super::delete(tx, row, now).await?;
            }
            Ok(())
        })
        .await?;
    }
}

async fn add_secret(
    tx: &Tx,
    store: &Store,
    (tenant, client): (TenantId, ClientKey),
    with_text: bool,
) -> Result<Zeroizing<String>> {
    let Token { text: secret, hash } = Token::new("kw_cs_")?;
    let id = RowId::new();
    let sealed = match with_text {
        true => Some(store.master.seal(&secret_context(tenant, id), secret.as_bytes())?),
        false => None,
    };
    let row = client_secret::ActiveModel {
        tenant_id: Set(tenant),
        id: Set(id),
        client: Set(client),
        hash: Set(hash),
        sealed: Set(sealed),
        created_at: Set(store.now()),
        expires_at: Set(None),
    };
    client_secret::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(secret)
}

/// A new secret; the one before it goes on for `overlap`, so that the application can be changed without a pause.
///
/// # Errors
/// The database's.
pub async fn rotate_secret(
    tx: &Tx,
    store: &Store,
    row: &client::Model,
    overlap: std::time::Duration,
) -> Result<Zeroizing<String>> {
    let now = store.now();
    let until = now.plus(overlap);
    let metadata: Metadata = serde_json::from_value(row.metadata.0.clone()).map_err(Error::internal)?;
    let with_text = needs_text(row.token_endpoint_auth_method, row.id_token_signed_response_alg, &metadata);
    client_secret::Entity::delete_many()
        .filter(client_secret::Column::TenantId.eq(row.tenant_id))
        .filter(client_secret::Column::Client.eq(row.id))
        .filter(client_secret::Column::ExpiresAt.is_not_null())
        .exec(tx)
        .await?;
    client_secret::Entity::update_many()
        .col_expr(client_secret::Column::ExpiresAt, Expr::value(until.0))
        .filter(client_secret::Column::TenantId.eq(row.tenant_id))
        .filter(client_secret::Column::Client.eq(row.id))
        .exec(tx)
        .await?;
    let secret = add_secret(tx, store, (row.tenant_id, row.id), with_text).await?;
    bump(tx, row.tenant_id, CacheKind::Client, now).await?;
    Ok(secret)
}
