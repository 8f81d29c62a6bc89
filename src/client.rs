//! Registered applications: finding, making and checking them.
//!
//! Start at [`Clients::find`] for those in use and [`register`] for new ones. What a client may send is decided by the
//! values parsed here; nothing is parsed again later.

pub mod documents;
pub mod initial;
pub mod logo;
pub mod metadata;
pub mod policy;
mod redirect;
pub mod registration;

pub use metadata::{Metadata, ResponseType};
pub use redirect::{RedirectUri, Refused, is_loopback, matches};
pub use registration::{Registered, Registration, register, replace, rotate_secret, standard_scopes};

use crate::cache::bump;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::jose::{Verifier, parse_client_jwks};
use crate::seal::same;
use crate::settings::{Overrides, Settings};
use crate::store::Store;
use crate::tenant::Tenant;
use entity::{
    CacheKind, ClientAuth, ClientKey, GrantType, Hash, Micros, PkceRule, SigningAlg, Status, TenantId, client,
    client_secret,
};
use moka::sync::Cache as Moka;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use std::collections::HashSet;
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
    pub metadata: Metadata,
    /// Of the registered key set; see [`documents::Documents::keys`] for those at a `jwks_uri`.
    pub verifiers: Arc<Vec<Verifier>>,
    /// Another with each logo that was fetched.
    pub logo: Option<i64>,
    secrets: Vec<Secret>,
}

/// One of a client's secrets.
struct Secret {
    hash: Hash,
    until: Option<Micros>,
    /// Where it is the key of an HMAC.
    text: Option<Zeroizing<String>>,
}

/// The applications in use.
pub struct Clients {
    clients: Moka<(TenantId, String), (i64, Arc<Client>)>,
    pub documents: documents::Documents,
    origins: Moka<TenantId, (i64, Arc<HashSet<String>>)>,
}

impl Default for Clients {
    fn default() -> Self {
        Self { clients: Moka::new(CLIENTS), documents: Default::default(), origins: Moka::new(1_000) }
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

    /// Anyone can claim to be it: it registered by itself, answers to the person's own machine, or is a public client with
    /// a scheme of its own, so that a person is asked every time (OAuth 2.1, client impersonation; RFC 8252 section 8.6).
    /// With TLS and a secret of its own nobody else can, wherever it lives.
    pub fn unassured(&self, redirect_uri: &str) -> bool {
        let tls = redirect_uri.starts_with("https://");
        !self.row.approved || (local(redirect_uri) && (self.public() || !tls)) || (self.public() && !tls)
    }

    /// The host whose clients share pairwise subjects; `None` where subjects are public.
    pub fn sector(&self) -> Option<String> {
        self.metadata.pairwise().then(|| self.metadata.sector(&self.redirect_uris)).flatten()
    }

    /// The texts of its secrets that are valid, the newest first: keys of HMACs.
    pub fn shared_secrets(&self, now: Micros) -> Vec<Zeroizing<String>> {
        let valid = self.secrets.iter().filter(|s| s.until.is_none_or(|u| u > now));
        valid.filter_map(|s| s.text.clone()).collect()
    }

    /// Whether this is one of its secrets, compared as hashes in constant time.
    pub fn knows(&self, secret: &Hash, now: Micros) -> bool {
        // Every secret is compared, so that the time does not tell which one was near.
        self.secrets
            .iter()
            .fold(false, |known, s| known | (same(&s.hash.0, &secret.0) & s.until.is_none_or(|u| u > now)))
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
        .order_by_desc(client_secret::Column::CreatedAt)
        .all(store.db.read())
        .await?;
    let secrets = secrets.into_iter().map(|s| registration::unsealed(store, s)).collect::<Result<_>>()?;
    let metadata = serde_json::from_value(row.metadata.0.clone()).map_err(Error::internal)?;
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
        logo: match row.logo_uri {
            Some(_) => logo::mark(store.db.read(), tenant.id, row.id).await?,
            None => None,
        },
        metadata,
        verifiers: Arc::new(verifiers),
        secrets,
        row,
    })
}

/// What these applications registered; those that are gone are left out.
///
/// # Errors
/// The database's.
pub async fn metadata_of(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    keys: &[ClientKey],
) -> Result<Vec<(ClientKey, Metadata)>> {
    if keys.is_empty() {
        return Ok(vec![]);
    }
    let rows = of(tenant).filter(client::Column::Id.is_in(keys.iter().copied())).all(conn).await?;
    let read = |row: client::Model| Ok((row.id, serde_json::from_value(row.metadata.0).map_err(Error::internal)?));
    rows.into_iter().map(read).collect()
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

/// Notes that an application that registered by itself is in use, once.
///
/// # Errors
/// The database's.
pub async fn note_use(tx: &Tx, client: &Client, now: Micros) -> Result<()> {
    if client.row.registration_token.is_none() || client.row.used_at.is_some() {
        return Ok(());
    }
    client::Entity::update_many()
        .col_expr(client::Column::UsedAt, Expr::value(now.0))
        .filter(client::Column::TenantId.eq(client.row.tenant_id))
        .filter(client::Column::Id.eq(client.row.id))
        .exec(tx)
        .await?;
    bump(tx, client.row.tenant_id, CacheKind::Client, now).await
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

fn local(redirect_uri: &str) -> bool {
    url::Url::parse(redirect_uri).is_ok_and(|u| crate::config::loopback(&u))
}
