//! Registered applications: finding, making and checking them.
//!
//! Start at [`Clients::find`] for those in use and [`register`] for new ones. What a client may send is decided by the
//! values parsed here; nothing is parsed again later.

mod redirect;

pub use redirect::{RedirectUri, Refused, is_loopback, matches};

use crate::cache::bump;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::jose::{Verifier, parse_client_jwks};
use crate::seal::{Token, random, same};
use crate::settings::{Overrides, Settings};
use crate::store::Store;
use crate::tenant::Tenant;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{
    CacheKind, ClientAuth, ClientKey, Document, GrantType, Hash, Micros, PkceRule, Profile, RowId, Scopes, SigningAlg,
    Status, TenantId, Texts, client, client_secret,
};
use moka::sync::Cache as Moka;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use zeroize::Zeroizing;

const CLIENTS: u64 = 50_000;
const LONGEST_ID: usize = 100;

/// An application as it is in use.
pub struct Client {
    pub row: client::Model,
    pub redirect_uris: Vec<RedirectUri>,
    pub settings: Settings,
    /// The tenant's, that these were tightened from.
    within: Settings,
    pub verifiers: Vec<Verifier>,
    secrets: Vec<(Hash, Option<Micros>)>,
}

/// The applications in use.
pub struct Clients {
    clients: Moka<(TenantId, String), (i64, Arc<Client>)>,
    origins: Moka<TenantId, (i64, Arc<HashSet<String>>)>,
}

impl Default for Clients {
    fn default() -> Self {
        Self { clients: Moka::new(CLIENTS), origins: Moka::new(1_000) }
    }
}

impl Client {
    pub fn key(&self) -> ClientKey {
        self.row.id
    }

    pub fn id(&self) -> &str {
        &self.row.client_id
    }

    pub fn active(&self) -> bool {
        self.row.status == Status::Active
    }

    pub fn public(&self) -> bool {
        self.row.token_endpoint_auth_method == ClientAuth::None
    }

    pub fn may(&self, grant: GrantType) -> bool {
        self.row.grant_types.has(grant.as_str())
    }

    /// PKCE: public clients always (RFC 9700 section 2.1.1).
    pub fn needs_challenge(&self) -> bool {
        self.public() || self.row.pkce == PkceRule::Required
    }

    pub fn access_token_alg(&self) -> SigningAlg {
        self.row.access_token_signed_response_alg.unwrap_or(SigningAlg::Es256)
    }

    /// Anyone on the person's machine can claim to be it: an answer to this very machine, or a public client with a scheme
    /// of its own, so that a person is asked every time (OAuth 2.1, client impersonation; RFC 8252 section 8.6).
    pub fn unassured(&self, redirect_uri: &str) -> bool {
        local(redirect_uri) || (self.public() && !redirect_uri.starts_with("https://"))
    }

    /// Whether this is one of its secrets, compared as hashes in constant time.
    pub fn knows(&self, secret: &Hash, now: Micros) -> bool {
        // Every secret is compared, so that the time does not tell which one was near.
        self.secrets
            .iter()
            .fold(false, |known, (hash, until)| known | (same(&hash.0, &secret.0) & until.is_none_or(|u| u > now)))
    }

    /// The host that it says it lives on, for people.
    pub fn host(&self) -> String {
        let uri = self.row.client_uri.as_deref().or_else(|| self.row.redirect_uris.0.first().map(String::as_str));
        uri.and_then(|u| url::Url::parse(u).ok()).and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default()
    }
}

impl Clients {
    /// # Errors
    /// The database's.
    pub async fn find(&self, store: &Store, tenant: &Tenant, client_id: &str) -> Result<Option<Arc<Client>>> {
        if client_id.is_empty() || client_id.len() > LONGEST_ID {
            return Ok(None);
        }
        let revision = store.cache.revision(tenant.id, CacheKind::Client);
        let key = (tenant.id, client_id.to_owned());
        if let Some((known, client)) = self.clients.get(&key)
            && known == revision
            && client.within == tenant.settings
        {
            return Ok(Some(client));
        }
        let row = of(tenant.id).filter(client::Column::ClientId.eq(client_id)).one(store.db.read()).await?;
        // MariaDB and others may be set up to compare loosely: what is found must be what was asked for.
        let Some(row) = row.filter(|r| r.client_id == client_id) else { return Ok(None) };
        let client = Arc::new(load(store, tenant, row).await?);
        self.clients.insert(key, (revision, client.clone()));
        Ok(Some(client))
    }

    /// # Errors
    /// The database's.
    pub async fn by_key(&self, store: &Store, tenant: &Tenant, key: ClientKey) -> Result<Option<Arc<Client>>> {
        match client::Entity::find_by_id((tenant.id, key)).one(store.db.read()).await? {
            Some(row) => self.find(store, tenant, &row.client_id).await,
            None => Ok(None),
        }
    }

    /// Whether any application of the tenant registered this origin: what a CORS preflight, which names no client, can ask.
    ///
    /// # Errors
    /// The database's.
    pub async fn knows_origin(&self, store: &Store, tenant: &Tenant, origin: &str) -> Result<bool> {
        let revision = store.cache.revision(tenant.id, CacheKind::Client);
        if let Some((known, origins)) = self.origins.get(&tenant.id)
            && known == revision
        {
            return Ok(origins.contains(origin));
        }
        let rows = of(tenant.id).filter(client::Column::Status.eq(Status::Active)).all(store.db.read()).await?;
        let origins: HashSet<String> = rows.into_iter().flat_map(|r| r.allowed_origins.0).collect();
        let knows = origins.contains(origin);
        self.origins.insert(tenant.id, (revision, Arc::new(origins)));
        Ok(knows)
    }
}

fn of(tenant: TenantId) -> sea_orm::Select<client::Entity> {
    client::Entity::find().filter(client::Column::TenantId.eq(tenant))
}

async fn load(store: &Store, tenant: &Tenant, row: client::Model) -> Result<Client> {
    let secrets = client_secret::Entity::find()
        .filter(client_secret::Column::TenantId.eq(tenant.id))
        .filter(client_secret::Column::Client.eq(row.id))
        .all(store.db.read())
        .await?;
    let overrides: Overrides = serde_json::from_value(row.settings.0.clone()).map_err(Error::internal)?;
    let verifiers = match &row.jwks {
        Some(jwks) => parse_client_jwks(&jwks.0.to_string()).map_err(Error::internal)?,
        None => vec![],
    };
    let redirect_uris =
        row.redirect_uris.0.iter().map(|u| RedirectUri::parse(u).map_err(Error::internal)).collect::<Result<_>>()?;
    Ok(Client {
        settings: tenant.settings.tightened(&overrides),
        within: tenant.settings.clone(),
        redirect_uris,
        verifiers,
        secrets: secrets.into_iter().map(|s| (s.hash, s.expires_at)).collect(),
        row,
    })
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
    pub id_token_signed_response_alg: SigningAlg,
    pub access_token_signed_response_alg: Option<SigningAlg>,
    pub first_party: bool,
    pub client_uri: Option<String>,
}

/// What a new application is told, once.
pub struct Registered {
    pub key: ClientKey,
    pub client_id: String,
    pub secret: Option<Zeroizing<String>>,
}

fn local(redirect_uri: &str) -> bool {
    url::Url::parse(redirect_uri).is_ok_and(|u| is_loopback(&u))
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
        match (&self.jwks, self.token_endpoint_auth_method) {
            (None, ClientAuth::PrivateKeyJwt) => {
                return Err("jwks: private_key_jwt needs the client's public keys".into());
            }
            (Some(jwks), _) if parse_client_jwks(&jwks.to_string()).map_err(|e| format!("jwks: {e}"))?.is_empty() => {
                return Err("jwks: no usable public key in it".into());
            }
            _ => {}
        }
        if let Some(uri) = &self.client_uri
            && url::Url::parse(uri).ok().is_none_or(|u| u.scheme() != "https")
        {
            return Err(format!("client_uri {uri:?}: an https URL"));
        }
        Ok(())
    }
}

/// Writes a new application. Its id is ours to choose, whatever was registered (RFC 9700 section 4.15).
///
/// # Errors
/// The database's.
pub async fn register(tx: &Tx, tenant: TenantId, new: &Registration, now: Micros) -> Result<Registered> {
    let key = ClientKey::new();
    // The dot keeps it apart from every subject identifier: tokens of a client for itself carry it as `sub`.
    let client_id = format!("app.{}", URL_SAFE_NO_PAD.encode(random::<18>()?));
    let texts = |v: &[String]| {
        let mut seen = BTreeSet::new();
        Texts(v.iter().filter(|t| seen.insert((*t).clone())).cloned().collect())
    };
    let row = client::ActiveModel {
        tenant_id: Set(tenant),
        id: Set(key),
        client_id: Set(client_id.clone()),
        name: Set(new.name.trim().to_owned()),
        status: Set(Status::Active),
        profile: Set(Profile::Oidc),
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
        approved: Set(true),
        client_uri: Set(new.client_uri.clone()),
        logo_uri: Set(None),
        policy_uri: Set(None),
        tos_uri: Set(None),
        settings: Set(Document(serde_json::json!({}))),
        not_before: Set(None),
        created_at: Set(now),
        version: Set(1),
    };
    client::Entity::insert(row).exec_without_returning(tx).await?;
    let secret = match new.token_endpoint_auth_method {
        ClientAuth::Basic | ClientAuth::Post => Some(add_secret(tx, tenant, key, now).await?),
        ClientAuth::None | ClientAuth::PrivateKeyJwt => None,
    };
    bump(tx, tenant, CacheKind::Client, now).await?;
    Ok(Registered { key, client_id, secret })
}

async fn add_secret(tx: &Tx, tenant: TenantId, client: ClientKey, now: Micros) -> Result<Zeroizing<String>> {
    let Token { text: secret, hash } = Token::new("kw_cs_")?;
    let row = client_secret::ActiveModel {
        tenant_id: Set(tenant),
        id: Set(RowId::new()),
        client: Set(client),
        hash: Set(hash),
        created_at: Set(now),
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
    row: &client::Model,
    overlap: std::time::Duration,
    now: Micros,
) -> Result<Zeroizing<String>> {
    let until = now.plus(overlap);
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
    let secret = add_secret(tx, row.tenant_id, row.id, now).await?;
    bump(tx, row.tenant_id, CacheKind::Client, now).await?;
    Ok(secret)
}

/// # Errors
/// The database's.
pub async fn list(conn: &impl ConnectionTrait, tenant: TenantId) -> Result<Vec<client::Model>> {
    Ok(of(tenant).order_by_asc(client::Column::CreatedAt).all(conn).await?)
}

/// # Errors
/// The database's.
pub async fn by_client_id(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    client_id: &str,
) -> Result<Option<client::Model>> {
    Ok(of(tenant).filter(client::Column::ClientId.eq(client_id)).one(conn).await?.filter(|r| r.client_id == client_id))
}

/// Removes an application with its secrets, grants, codes and consents.
///
/// # Errors
/// The database's.
pub async fn delete(tx: &Tx, row: &client::Model, now: Micros) -> Result<()> {
    client::Entity::delete_by_id((row.tenant_id, row.id)).exec(tx).await?;
    bump(tx, row.tenant_id, CacheKind::Client, now).await
}

/// # Errors
/// The database's.
pub async fn set_status(tx: &Tx, row: &client::Model, status: Status, now: Micros) -> Result<()> {
    client::Entity::update_many()
        .col_expr(client::Column::Status, Expr::value(status.as_str()))
        .filter(client::Column::TenantId.eq(row.tenant_id))
        .filter(client::Column::Id.eq(row.id))
        .exec(tx)
        .await?;
    bump(tx, row.tenant_id, CacheKind::Client, now).await
}

/// From now on, what this application got for itself before is dead.
///
/// # Errors
/// The database's.
pub async fn set_not_before(tx: &Tx, row: &client::Model, now: Micros) -> Result<()> {
    client::Entity::update_many()
        .col_expr(client::Column::NotBefore, Expr::value(now.0))
        .filter(client::Column::TenantId.eq(row.tenant_id))
        .filter(client::Column::Id.eq(row.id))
        .exec(tx)
        .await?;
    bump(tx, row.tenant_id, CacheKind::Client, now).await
}
