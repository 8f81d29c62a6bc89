//! Keys that others encrypt to: made when the first application says that it will, published with the signing keys.

use crate::cache::bump;
use crate::error::{Error, Result};
use crate::jose::{self, Decrypter, key_shape};
use crate::store::Store;
use crate::tenant::Tenant;
use entity::{CacheKind, Document, KeyAlg, Micros, RowId, TenantId, decryption_key};
use moka::sync::Cache as Moka;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

const TENANTS: u64 = 1_000;

/// Keys that others encrypt to, by tenant.
pub struct Decryption(Moka<TenantId, (i64, Arc<KeySet>)>);

/// Those of one tenant.
pub struct KeySet {
    pub keys: Vec<Decrypter>,
    published: Vec<Value>,
}

impl Default for Decryption {
    fn default() -> Self {
        Self(Moka::new(TENANTS))
    }
}

impl KeySet {
    /// The public halves, as they are published.
    pub fn published(&self) -> &[Value] {
        &self.published
    }
}

fn context(tenant: TenantId, kid: &str) -> String {
    format!("decryption_key.private/{tenant}/{kid}")
}

impl Decryption {
    /// # Errors
    /// The database's; `Internal` when a key cannot be unsealed.
    pub async fn set(&self, store: &Store, tenant: &Tenant) -> Result<Arc<KeySet>> {
        let revision = store.cache.revision(tenant.id, CacheKind::Key);
        if let Some((known, set)) = self.0.get(&tenant.id)
            && known == revision
        {
            return Ok(set);
        }
        let rows = decryption_key::Entity::find()
            .filter(decryption_key::Column::TenantId.eq(tenant.id))
            .all(store.db.read())
            .await?;
        let (mut keys, mut published) = (vec![], vec![]);
        for row in rows {
            let private = store.master.open(&context(tenant.id, &row.kid), &row.private)?;
            let private = std::str::from_utf8(&private).map_err(|_| Error::internal("a private key is not text"))?;
            keys.push(Decrypter::new(row.alg, private)?);
            if row.replaced_at.is_none() {
                published.push(row.public.0);
            }
        }
        let set = Arc::new(KeySet { keys, published });
        self.0.insert(tenant.id, (revision, set.clone()));
        Ok(set)
    }
}

/// How long a key opens what was encrypted to it after another took its place: caches of the JWKS had their time.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Makes the tenant's keys for every algorithm that it has none for.
///
/// # Errors
/// The database's.
pub async fn ensure(store: &Arc<Store>, tenant: TenantId, now: Micros) -> Result<()> {
    let there: Vec<KeyAlg> = published(store, tenant).await?.into_iter().map(|r| r.alg).collect();
    for alg in KeyAlg::ALL.iter().copied().filter(|alg| !there.contains(alg)) {
        make(store, tenant, alg, now).await?;
    }
    Ok(())
}

/// Puts new keys in the place of those that are this old, and deletes what nobody can have encrypted to lately.
///
/// # Errors
/// The database's.
pub async fn rotate(store: &Arc<Store>, tenant: TenantId, older_than: Duration, now: Micros) -> Result<()> {
    for row in published(store, tenant).await?.into_iter().filter(|r| r.created_at <= now.minus(older_than)) {
        make(store, tenant, row.alg, now).await?;
    }
    store
        .db
        .write(async move |tx| {
            decryption_key::Entity::delete_many()
                .filter(decryption_key::Column::TenantId.eq(tenant))
                .filter(decryption_key::Column::ReplacedAt.lt(now.minus(KEPT)))
                .exec(tx)
                .await?;
            Ok(())
        })
        .await
}

async fn published(store: &Store, tenant: TenantId) -> Result<Vec<decryption_key::Model>> {
    let rows = decryption_key::Entity::find()
        .filter(decryption_key::Column::TenantId.eq(tenant))
        .filter(decryption_key::Column::ReplacedAt.is_null());
    Ok(rows.all(store.db.read()).await?)
}

/// Makes a key; the one before it is published no more.
async fn make(store: &Arc<Store>, tenant: TenantId, alg: KeyAlg, now: Micros) -> Result<()> {
    let bits = store.config.keys.rsa_bits;
    let made = tokio::task::spawn_blocking(move || jose::generate(key_shape(alg), bits)).await;
    let made = made.map_err(Error::internal)??;
    let mut public = made.public;
    (public["use"], public["alg"]) = ("enc".into(), alg.as_str().into());
    let row = decryption_key::ActiveModel {
        tenant_id: Set(tenant),
        id: Set(RowId::new()),
        kid: Set(made.kid.clone()),
        alg: Set(alg),
        public: Set(Document(public)),
        private: Set(store.master.seal(&context(tenant, &made.kid), made.private.as_bytes())?),
        created_at: Set(now),
        replaced_at: Set(None),
    };
    store
        .db
        .write(async move |tx| {
            decryption_key::Entity::update_many()
                .col_expr(decryption_key::Column::ReplacedAt, Expr::value(now.0))
                .filter(decryption_key::Column::TenantId.eq(tenant))
                .filter(decryption_key::Column::Alg.eq(alg))
                .filter(decryption_key::Column::ReplacedAt.is_null())
                .exec(tx)
                .await?;
            decryption_key::Entity::insert(row.clone()).exec_without_returning(tx).await?;
            bump(tx, tenant, CacheKind::Key, now).await
        })
        .await?;
    store.cache.changed_here();
    Ok(())
}
