//! Tenants: isolated issuers, found by where a request goes.
//!
//! Start at [`Tenants::place`]. An issuer is a stored row: host and path of a request choose among the rows and never
//! make one up (OpenID Connect Discovery section 3; no answer depends on a header's text).

use crate::cache::bump;
use crate::config::Config;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::feature::Features;
use crate::seal::{hmac256, random};
use crate::settings::{Overrides, Settings};
use crate::store::Store;
use crate::theme::Brand;
use entity::{CacheKind, Document, Micros, Status, TenantId, issuer, tenant};
use moka::sync::Cache as Moka;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroizing;

/// The tenant at the root; its slug leads nowhere else.
pub const DEFAULT: &str = "default";
const PLACES: u64 = 20_000;

/// A tenant as it is in use.
pub struct Tenant {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    pub status: Status,
    pub settings: Settings,
    pub features: Features,
    pub brand: Brand,
    /// Something was issued, so that issuer and slug stay.
    issued: AtomicBool,
    root: Zeroizing<[u8; 32]>,
}

/// What a symmetric key of a tenant is for; one purpose never uses another's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Form tokens against cross-site requests.
    Csrf,
    /// The line of refresh tokens.
    Refresh,
    /// The state of a page that is handed back by its form.
    Form,
    /// What must look random and be the same each time.
    Alias,
}

/// Where a request goes.
#[derive(Clone)]
pub struct Place {
    pub tenant: Arc<Tenant>,
    /// Without a trailing slash.
    pub issuer: Arc<str>,
    /// The path of the issuer: empty, or `/t/{slug}`.
    pub base: Arc<str>,
    pub secure: bool,
}

/// The tenants in use, by where they are reached.
pub struct Tenants {
    places: Moka<String, (i64, Option<Place>)>,
    tenants: Moka<TenantId, (i64, Arc<Tenant>)>,
}

impl Default for Tenants {
    fn default() -> Self {
        Self { places: Moka::new(PLACES), tenants: Moka::new(PLACES) }
    }
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant").field("id", &self.id).field("slug", &self.slug).finish_non_exhaustive()
    }
}

impl Tenant {
    /// A key for one purpose, derived from the tenant's root (HMAC-SHA-256 as a PRF, NIST SP 800-108).
    pub fn key(&self, purpose: Purpose) -> [u8; 32] {
        let label: &[u8] = match purpose {
            Purpose::Csrf => b"csrf",
            Purpose::Refresh => b"refresh",
            Purpose::Form => b"form",
            Purpose::Alias => b"alias",
        };
        hmac256(&self.root, &[b"tenant key", label])
    }

    /// Eight characters for the names of its cookies: the random end of its id.
    pub fn mark(&self) -> String {
        let id = self.id.0.simple().to_string();
        id[id.len() - 8..].to_owned()
    }

    pub fn is_default(&self) -> bool {
        self.slug == DEFAULT
    }

    /// Notes, with the first thing issued, that issuer and slug stay from now on.
    ///
    /// # Errors
    /// The database's.
    pub async fn mark_issued(&self, tx: &impl ConnectionTrait, now: Micros) -> Result<()> {
        if self.issued.load(Ordering::Relaxed) {
            return Ok(());
        }
        tenant::Entity::update_many()
            .col_expr(tenant::Column::IssuedAt, Expr::value(now.0))
            .filter(tenant::Column::Id.eq(self.id))
            .filter(tenant::Column::IssuedAt.is_null())
            .exec(tx)
            .await?;
        Ok(())
    }

    /// As [`Tenant::mark_issued`], once it is committed; spares later writes.
    pub fn was_issued(&self) -> bool {
        self.issued.load(Ordering::Relaxed)
    }

    pub fn note_issued(&self) {
        self.issued.store(true, Ordering::Relaxed);
    }
}

impl Tenants {
    /// The place of a host (with port, as in the Host header) and the slug in the path, if any.
    ///
    /// # Errors
    /// The database's.
    pub async fn place(&self, store: &Store, host: &str, slug: Option<&str>) -> Result<Option<Place>> {
        // What cannot be a slug is not looked for, nor remembered.
        if slug.is_some_and(|s| !valid_slug(s)) || host.len() > 255 {
            return Ok(None);
        }
        let path = slug.map(|s| format!("/t/{s}")).unwrap_or_default();
        let key = format!("{host}{path}");
        let revision = store.cache.tenants();
        if let Some((known, place)) = self.places.get(&key)
            && known == revision
        {
            return Ok(place);
        }
        let urls = [format!("https://{host}{path}"), format!("http://{host}{path}")];
        let row = issuer::Entity::find().filter(issuer::Column::Url.is_in(urls)).one(store.db.read()).await?;
        let place = match row {
            Some(row) => Some(Place {
                tenant: self.get(store, row.tenant_id).await?,
                secure: row.url.starts_with("https:"),
                issuer: row.url.into(),
                base: path.into(),
            }),
            None => None,
        };
        self.places.insert(key, (revision, place.clone()));
        Ok(place)
    }

    /// # Errors
    /// `Internal` when there is none, or when its root cannot be unsealed.
    pub async fn get(&self, store: &Store, id: TenantId) -> Result<Arc<Tenant>> {
        let revision = store.cache.revision(id, CacheKind::Tenant);
        if let Some((known, tenant)) = self.tenants.get(&id)
            && known == revision
        {
            return Ok(tenant);
        }
        let row = tenant::Entity::find_by_id(id)
            .one(store.db.read())
            .await?
            .ok_or_else(|| Error::internal("no such tenant"))?;
        let tenant = Arc::new(load(store, row)?);
        self.tenants.insert(id, (revision, tenant.clone()));
        Ok(tenant)
    }

    /// # Errors
    /// The database's.
    pub async fn by_slug(&self, store: &Store, slug: &str) -> Result<Option<Arc<Tenant>>> {
        match tenant::Entity::find().filter(tenant::Column::Slug.eq(slug)).one(store.db.read()).await? {
            Some(row) => self.get(store, row.id).await.map(Some),
            None => Ok(None),
        }
    }
}

fn load(store: &Store, row: tenant::Model) -> Result<Tenant> {
    let root = store.master.open(&root_context(row.id), &row.root)?;
    let root: [u8; 32] =
        root.as_slice().try_into().map_err(|_| Error::internal("a tenant's root has a wrong length"))?;
    let overrides: Overrides = serde_json::from_value(row.settings.0).map_err(Error::internal)?;
    let brand = match row.slug == DEFAULT {
        true => Brand::from_config(&store.config.brand),
        false => {
            let color = overrides.primary_color.as_deref().and_then(crate::config::Color::parse);
            Brand::named(&row.name, color.unwrap_or(store.config.brand.primary_color))
        }
    };
    Ok(Tenant {
        id: row.id,
        slug: row.slug,
        name: row.name,
        status: row.status,
        settings: Settings::of(&store.config).tightened(&overrides),
        features: Features::without(&[&store.config.features.off.0[..], &overrides.features_off].concat()),
        brand,
        issued: AtomicBool::new(row.issued_at.is_some()),
        root: Zeroizing::new(root),
    })
}

fn root_context(id: TenantId) -> String {
    format!("tenant.root/{id}")
}

/// A slug stands in a path and in URLs that others keep: lower-case letters, digits and inner hyphens, 2 to 63.
pub fn valid_slug(slug: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (2..=63).contains(&slug.len())
        && slug.chars().all(plain)
        && !slug.starts_with('-')
        && !slug.ends_with('-')
        && !slug.starts_with("xn--")
        && ![DEFAULT, "api", "admin", "assets", "console", "account", "login", "oauth2", "well-known", "t"]
            .contains(&slug)
}

/// What a new tenant is made from.
#[derive(Clone, Debug)]
pub struct NewTenant {
    pub slug: String,
    pub name: String,
    pub issuer: String,
}

/// Makes a tenant. Its keys follow, by `keys::make`.
///
/// # Errors
/// The database's; a slug or issuer that is taken.
pub async fn create(tx: &Tx, store: &Store, new: &NewTenant) -> Result<TenantId> {
    let now = store.now();
    let id = TenantId::new();
    let root = Zeroizing::new(random::<32>()?);
    let row = tenant::ActiveModel {
        id: Set(id),
        slug: Set(new.slug.clone()),
        name: Set(new.name.clone()),
        status: Set(Status::Active),
        root: Set(store.master.seal(&root_context(id), &root[..])?),
        settings: Set(Document(serde_json::json!({}))),
        issued_at: Set(None),
        created_at: Set(now),
        version: Set(1),
    };
    tenant::Entity::insert(row).exec_without_returning(tx).await?;
    let row = issuer::ActiveModel {
        tenant_id: Set(id),
        url: Set(new.issuer.clone()),
        is_primary: Set(true),
        created_at: Set(now),
    };
    issuer::Entity::insert(row).exec_without_returning(tx).await?;
    bump(tx, id, CacheKind::Tenant, now).await?;
    Ok(id)
}

/// # Errors
/// The database's.
pub async fn list(conn: &impl ConnectionTrait) -> Result<Vec<(tenant::Model, Option<issuer::Model>)>> {
    let tenants = tenant::Entity::find().order_by_asc(tenant::Column::CreatedAt).all(conn).await?;
    let issuers = issuer::Entity::find().filter(issuer::Column::IsPrimary.eq(true)).all(conn).await?;
    let primary = |id| issuers.iter().find(|i| i.tenant_id == id).cloned();
    Ok(tenants
        .into_iter()
        .map(|t| {
            let i = primary(t.id);
            (t, i)
        })
        .collect())
}

/// Whether a slug or an issuer belongs to a tenant already.
///
/// # Errors
/// The database's.
pub async fn taken(conn: &impl ConnectionTrait, slug: &str, issuer: &str) -> Result<bool> {
    let by_slug = tenant::Entity::find().filter(tenant::Column::Slug.eq(slug)).one(conn).await?;
    let by_url = issuer::Entity::find().filter(issuer::Column::Url.eq(issuer)).one(conn).await?;
    Ok(by_slug.is_some() || by_url.is_some())
}

/// The issuer that new links of a tenant begin with.
///
/// # Errors
/// The database's; `Internal` when it has none.
pub async fn primary_issuer(conn: &impl ConnectionTrait, id: TenantId) -> Result<String> {
    let row = issuer::Entity::find()
        .filter(issuer::Column::TenantId.eq(id))
        .filter(issuer::Column::IsPrimary.eq(true))
        .one(conn)
        .await?;
    row.map(|r| r.url).ok_or_else(|| Error::internal("a tenant without an issuer"))
}

/// What the start finds of the default tenant.
#[derive(Debug, PartialEq)]
pub enum AtHome {
    /// It was made just now.
    Made(TenantId),
    Found(TenantId),
    /// `public_url` was changed and nobody had been issued anything, so that the issuer followed.
    Followed(TenantId),
    /// Tokens name the stored issuer, so that it does not follow by itself.
    Differs {
        stored: String,
        wanted: String,
    },
}

/// Makes the default tenant at the first start and compares its issuer with `public_url` later.
///
/// # Errors
/// The database's.
pub async fn settle(store: &Arc<Store>, config: &Config) -> Result<AtHome> {
    let (inner, wanted, name) = (store.clone(), config.public_url(), config.brand.name.clone());
    let home = store
        .db
        .write(async move |tx| {
            let Some(row) = tenant::Entity::find().filter(tenant::Column::Slug.eq(DEFAULT)).one(tx).await? else {
                let new = NewTenant { slug: DEFAULT.into(), name: name.clone(), issuer: wanted.clone() };
                return create(tx, &inner, &new).await.map(AtHome::Made);
            };
            let stored = primary_issuer(tx, row.id).await?;
            if stored == wanted {
                return Ok(AtHome::Found(row.id));
            }
            let issued = tenant::Entity::find().filter(tenant::Column::IssuedAt.is_not_null()).one(tx).await?;
            if issued.is_some() {
                return Ok(AtHome::Differs { stored, wanted: wanted.clone() });
            }
            move_issuers(tx, (&stored, &wanted), Keep::Nothing, inner.now()).await?;
            Ok(AtHome::Followed(row.id))
        })
        .await?;
    store.cache.changed_here();
    Ok(home)
}

/// What becomes of the issuers that were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// They go on being served: tokens name them.
    Served,
    Nothing,
}

/// Gives every tenant below `from` the same place below `to` as its primary issuer.
///
/// # Errors
/// The database's.
pub async fn move_issuers(
    tx: &impl ConnectionTrait,
    (from, to): (&str, &str),
    keep: Keep,
    now: Micros,
) -> Result<usize> {
    let mut moved = 0;
    for row in issuer::Entity::find().filter(issuer::Column::IsPrimary.eq(true)).all(tx).await? {
        let Some(path) = row.url.strip_prefix(from).filter(|p| p.is_empty() || p.starts_with('/')) else { continue };
        let url = format!("{to}{path}");
        match keep {
            Keep::Nothing => {
                issuer::Entity::delete_by_id((row.tenant_id, row.url.clone())).exec(tx).await?;
            }
            Keep::Served => {
                issuer::Entity::update_many()
                    .col_expr(issuer::Column::IsPrimary, Expr::value(false))
                    .filter(issuer::Column::TenantId.eq(row.tenant_id))
                    .filter(issuer::Column::Url.eq(row.url.clone()))
                    .exec(tx)
                    .await?;
                // Moving back to a place that is still served.
                issuer::Entity::delete_by_id((row.tenant_id, url.clone())).exec(tx).await?;
            }
        }
        let new = issuer::ActiveModel {
            tenant_id: Set(row.tenant_id),
            url: Set(url),
            is_primary: Set(true),
            created_at: Set(now),
        };
        issuer::Entity::insert(new).exec_without_returning(tx).await?;
        bump(tx, row.tenant_id, CacheKind::Tenant, now).await?;
        moved += 1;
    }
    Ok(moved)
}
