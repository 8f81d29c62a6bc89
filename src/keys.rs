//! Signing keys: a tenant's key for each algorithm, published before it signs and kept until what it signed has expired.
//!
//! Start at [`Keys::signer`]. Which key signs follows from instants in the rows: the newest whose `active_at` has come.
//! Signers are built once and reused (rebuilding one for each token costs 4 to 17 times as much).

pub mod decryption;

use crate::audit::{self, Event, Origin};
use crate::cache::bump;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::jose::{self, Signer, Verifier};
use crate::store::Store;
use crate::tenant::Tenant;
use entity::{CacheKind, Document, Micros, RowId, SigningAlg, TenantId, signing_key};
use moka::sync::Cache as Moka;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::sync::Arc;
use std::time::Duration;

/// Tenants whose signers are kept unsealed at once.
const TENANTS: u64 = 1_000;
/// How long others may keep our JWKS.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(3600);

pub struct Keys {
    sets: Moka<TenantId, Arc<KeySet>>,
    making: tokio::sync::Mutex<()>,
}

/// The keys of one tenant, ready for use.
pub struct KeySet {
    revision: i64,
    keys: Vec<Key>,
}

pub struct Key {
    pub kid: String,
    pub alg: SigningAlg,
    pub public: serde_json::Value,
    pub active_at: Micros,
    pub gone_at: Option<Micros>,
    pub revoked_at: Option<Micros>,
    signer: Option<Arc<Signer>>,
    verifier: Verifier,
}

/// The state of a key at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Published, does not sign yet.
    Next,
    Active,
    /// Signs no more, verifies still.
    Retiring,
    /// Out of the JWKS; its public half still recognises an `id_token_hint`.
    Gone,
    Revoked,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Next => "next",
            State::Active => "active",
            State::Retiring => "retiring",
            State::Gone => "gone",
            State::Revoked => "revoked",
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self { sets: Moka::new(TENANTS), making: tokio::sync::Mutex::default() }
    }
}

impl KeySet {
    fn signing(&self, alg: SigningAlg, now: Micros) -> Option<&Key> {
        let ready = |k: &&Key| {
            k.alg == alg && k.revoked_at.is_none() && k.active_at <= now && k.gone_at.is_none_or(|g| g > now)
        };
        self.keys.iter().filter(ready).max_by_key(|k| (k.active_at, k.kid.clone()))
    }

    pub fn state(&self, key: &Key, now: Micros) -> State {
        if key.revoked_at.is_some() {
            State::Revoked
        } else if key.gone_at.is_some_and(|g| g <= now) {
            State::Gone
        } else if key.active_at > now {
            State::Next
        } else if self.signing(key.alg, now).is_some_and(|k| k.kid == key.kid) {
            State::Active
        } else {
            State::Retiring
        }
    }

    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub fn has(&self, alg: SigningAlg, now: Micros) -> bool {
        self.signing(alg, now).is_some()
    }

    /// The public keys as they are published (RFC 7517 section 5).
    pub fn jwks(&self, now: Micros) -> serde_json::Value {
        let published = |k: &&Key| matches!(self.state(k, now), State::Next | State::Active | State::Retiring);
        let keys: Vec<_> = self.keys.iter().filter(published).map(|k| k.public.clone()).collect();
        serde_json::json!({ "keys": keys })
    }

    /// What verifies our own tokens: every key but revoked ones, and those gone only where expired tokens count.
    pub fn verifiers(&self, now: Micros, expired: Expired) -> Vec<Verifier> {
        let counts = |k: &&Key| match self.state(k, now) {
            State::Active | State::Retiring => true,
            State::Gone => expired == Expired::Count,
            State::Next | State::Revoked => false,
        };
        self.keys.iter().filter(counts).map(|k| k.verifier.clone()).collect()
    }
}

/// Whether expired tokens count, as an `id_token_hint` (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    Count,
    Refused,
}

impl Keys {
    /// # Errors
    /// The database's; `Internal` when a key cannot be unsealed.
    pub async fn set(&self, store: &Store, tenant: &Tenant) -> Result<Arc<KeySet>> {
        let revision = store.cache.revision(tenant.id, CacheKind::Key);
        if let Some(set) = self.sets.get(&tenant.id)
            && set.revision == revision
        {
            return Ok(set);
        }
        let rows = signing_key::Entity::find()
            .filter(signing_key::Column::TenantId.eq(tenant.id))
            .order_by_asc(signing_key::Column::ActiveAt)
            .all(store.db.read())
            .await?;
        let keys = rows.into_iter().map(|row| unsealed(store, row)).collect::<Result<_>>()?;
        let set = Arc::new(KeySet { revision, keys });
        self.sets.insert(tenant.id, set.clone());
        Ok(set)
    }

    /// The key that signs with this algorithm now; made when there is none yet.
    ///
    /// # Errors
    /// The database's.
    pub async fn signer(&self, store: &Arc<Store>, tenant: &Tenant, alg: SigningAlg) -> Result<Arc<Signer>> {
        let now = store.now();
        if let Some(signer) = self.set(store, tenant).await?.signing(alg, now).and_then(|k| k.signer.clone()) {
            return Ok(signer);
        }
        self.ensure(store, tenant, alg).await?;
        let set = self.set(store, tenant).await?;
        set.signing(alg, store.now())
            .and_then(|k| k.signer.clone())
            .ok_or_else(|| Error::internal("a key that was just made is not there"))
    }

    /// Makes the first key of an algorithm, once, whoever asks.
    ///
    /// # Errors
    /// The database's.
    pub async fn ensure(&self, store: &Arc<Store>, tenant: &Tenant, alg: SigningAlg) -> Result<()> {
        if self.set(store, tenant).await?.has(alg, store.now()) {
            return Ok(());
        }
        let _one = self.making.lock().await;
        store.cache.fresh(&store.db, store.now()).await?;
        if self.set(store, tenant).await?.has(alg, store.now()) {
            return Ok(());
        }
        make(store, tenant.id, alg, Start::Now).await?;
        store.cache.fresh(&store.db, store.now()).await
    }
}

/// When a new key begins to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Now,
    /// Once caches of the JWKS have had their time.
    Published,
}

/// Makes a key and, where its algorithm has one already, its successor of it.
///
/// # Errors
/// The database's.
pub async fn make(store: &Arc<Store>, tenant: TenantId, alg: SigningAlg, start: Start) -> Result<String> {
    let bits = store.config.keys.rsa_bits;
    // Generating RSA keys takes a tenth of a second and more: never on a thread that serves.
    let made = tokio::task::spawn_blocking(move || jose::generate(alg, bits)).await.map_err(Error::internal)??;
    let kid = made.kid.clone();
    let private = store.master.seal(&context(tenant, &kid), made.private.as_bytes())?;
    let now = store.now();
    let ahead = store.config.keys.publish_ahead.0.max(JWKS_MAX_AGE);
    let active_at = match start {
        Start::Now => now,
        Start::Published => now.plus(ahead),
    };
    let longest = store.config.tokens.access.0.max(store.config.tokens.id.0);
    let gone_at = active_at.plus(longest).plus(Duration::from_secs(86_400));
    let row = signing_key::ActiveModel {
        tenant_id: Set(tenant),
        id: Set(RowId::new()),
        kid: Set(kid.clone()),
        alg: Set(alg),
        public: Set(Document(made.public)),
        private: Set(private),
        created_at: Set(now),
        active_at: Set(active_at),
        gone_at: Set(None),
        revoked_at: Set(None),
    };
    let told = kid.clone();
    store
        .db
        .write(async move |tx| {
            if start == Start::Now {
                // One that was published to follow would otherwise sign after this one, and too late.
                signing_key::Entity::delete_many()
                    .filter(signing_key::Column::TenantId.eq(tenant))
                    .filter(signing_key::Column::Alg.eq(alg))
                    .filter(signing_key::Column::ActiveAt.gt(now))
                    .filter(signing_key::Column::RevokedAt.is_null())
                    .exec(tx)
                    .await?;
            }
            let before = signing_key::Entity::update_many()
                .col_expr(signing_key::Column::GoneAt, Expr::value(gone_at.0))
                .filter(signing_key::Column::TenantId.eq(tenant))
                .filter(signing_key::Column::Alg.eq(alg))
                .filter(signing_key::Column::GoneAt.is_null())
                .exec(tx)
                .await?;
            signing_key::Entity::insert(row.clone()).exec_without_returning(tx).await?;
            // The first key of an algorithm takes nobody's place.
            if before.rows_affected > 0 {
                rotated(tx, tenant, &[(alg, told.clone())], now).await?;
            }
            bump(tx, tenant, CacheKind::Key, now).await
        })
        .await?;
    store.cache.changed_here();
    tracing::info!(tenant = %tenant, alg = alg.as_str(), kid, "a signing key was made");
    Ok(kid)
}

/// The tenants of which a key that signs began before this instant.
///
/// # Errors
/// The database's.
pub async fn tenants_with_old_keys(conn: &impl ConnectionTrait, before: Micros) -> Result<Vec<TenantId>> {
    let rows = signing_key::Entity::find()
        .select_only()
        .column(signing_key::Column::TenantId)
        .distinct()
        .filter(signing_key::Column::GoneAt.is_null())
        .filter(signing_key::Column::RevokedAt.is_null())
        .filter(signing_key::Column::ActiveAt.lt(before))
        .into_tuple::<TenantId>()
        .all(conn)
        .await?;
    Ok(rows)
}

/// Makes successors: of every algorithm in use whose key has none yet.
///
/// # Errors
/// The database's.
pub async fn rotate(
    store: &Arc<Store>,
    tenant: TenantId,
    start: Start,
    older_than: Duration,
) -> Result<Vec<(SigningAlg, String)>> {
    let now = store.now();
    let mut made = vec![];
    if start == Start::Now {
        made = promote(store, tenant, now).await?;
    }
    for alg in due(store.db.read(), tenant, now.minus(older_than)).await? {
        if made.iter().any(|(promoted, _)| *promoted == alg) {
            continue;
        }
        made.push((alg, make(store, tenant, alg, start).await?));
    }
    Ok(made)
}

/// Lets the keys that are published already sign at once.
async fn promote(store: &Arc<Store>, tenant: TenantId, now: Micros) -> Result<Vec<(SigningAlg, String)>> {
    let promoted = store
        .db
        .write(async move |tx| {
            let next = signing_key::Entity::find()
                .filter(signing_key::Column::TenantId.eq(tenant))
                .filter(signing_key::Column::ActiveAt.gt(now))
                .filter(signing_key::Column::GoneAt.is_null())
                .filter(signing_key::Column::RevokedAt.is_null())
                .all(tx)
                .await?;
            signing_key::Entity::update_many()
                .col_expr(signing_key::Column::ActiveAt, Expr::value(now.0))
                .filter(signing_key::Column::TenantId.eq(tenant))
                .filter(signing_key::Column::Id.is_in(next.iter().map(|k| k.id)))
                .exec(tx)
                .await?;
            let next: Vec<_> = next.into_iter().map(|k| (k.alg, k.kid)).collect();
            if !next.is_empty() {
                bump(tx, tenant, CacheKind::Key, now).await?;
                rotated(tx, tenant, &next, now).await?;
            }
            Ok(next)
        })
        .await?;
    store.cache.changed_here();
    Ok(promoted)
}

async fn rotated(tx: &Tx, tenant: TenantId, keys: &[(SigningAlg, String)], now: Micros) -> Result<()> {
    let told: Vec<_> = keys.iter().map(|(alg, kid)| serde_json::json!({ "alg": alg, "kid": kid })).collect();
    let event = Event::success(audit::kind::KEY_ROTATE).with(serde_json::json!({ "keys": told }));
    audit::record(tx, &Origin::of_process(tenant, now), event).await
}

/// The algorithms whose newest key began before this instant.
async fn due(conn: &impl ConnectionTrait, tenant: TenantId, before: Micros) -> Result<Vec<SigningAlg>> {
    let rows = signing_key::Entity::find()
        .filter(signing_key::Column::TenantId.eq(tenant))
        .filter(signing_key::Column::GoneAt.is_null())
        .filter(signing_key::Column::RevokedAt.is_null())
        .all(conn)
        .await?;
    let mut algs: Vec<_> = rows.iter().filter(|r| r.active_at <= before).map(|r| r.alg).collect();
    algs.sort_unstable();
    algs.dedup();
    Ok(algs)
}

/// An emergency: the key vanishes and nothing it signed counts. Its successor signs at once.
///
/// # Errors
/// The database's; `NotFound` is false.
pub async fn revoke(store: &Arc<Store>, tenant: TenantId, kid: &str) -> Result<bool> {
    let now = store.now();
    let row = signing_key::Entity::find()
        .filter(signing_key::Column::TenantId.eq(tenant))
        .filter(signing_key::Column::Kid.eq(kid))
        .filter(signing_key::Column::RevokedAt.is_null())
        .one(store.db.read())
        .await?;
    let Some(row) = row else { return Ok(false) };
    let set = keys_of(store, tenant, row.alg).await?;
    let next = set.iter().find(|k| k.active_at > now && k.kid != kid).map(|k| k.id);
    let signs =
        set.iter().filter(|k| k.active_at <= now && k.gone_at.is_none_or(|g| g > now)).max_by_key(|k| k.active_at);
    // Somebody must sign from this moment on: who was published to follow, or a new one.
    if next.is_none() && signs.is_some_and(|k| k.kid == kid) {
        make(store, tenant, row.alg, Start::Now).await?;
    }
    let kid = kid.to_owned();
    store
        .db
        .write(async move |tx| {
            if let Some(next) = next {
                signing_key::Entity::update_many()
                    .col_expr(signing_key::Column::ActiveAt, Expr::value(now.0))
                    .filter(signing_key::Column::TenantId.eq(tenant))
                    .filter(signing_key::Column::Id.eq(next))
                    .exec(tx)
                    .await?;
            }
            signing_key::Entity::update_many()
                .col_expr(signing_key::Column::RevokedAt, Expr::value(now.0))
                .filter(signing_key::Column::TenantId.eq(tenant))
                .filter(signing_key::Column::Kid.eq(kid.clone()))
                .exec(tx)
                .await?;
            let event = Event::success(audit::kind::KEY_REVOKE).with(serde_json::json!({ "kid": kid }));
            audit::record(tx, &Origin::of_process(tenant, now), event).await?;
            bump(tx, tenant, CacheKind::Key, now).await
        })
        .await?;
    store.cache.changed_here();
    Ok(true)
}

/// Those of one algorithm that were not revoked.
async fn keys_of(store: &Store, tenant: TenantId, alg: SigningAlg) -> Result<Vec<signing_key::Model>> {
    let rows = signing_key::Entity::find()
        .filter(signing_key::Column::TenantId.eq(tenant))
        .filter(signing_key::Column::Alg.eq(alg))
        .filter(signing_key::Column::RevokedAt.is_null());
    Ok(rows.all(store.db.read()).await?)
}

fn context(tenant: TenantId, kid: &str) -> String {
    format!("signing_key.private/{tenant}/{kid}")
}

fn unsealed(store: &Store, row: signing_key::Model) -> Result<Key> {
    let private = store.master.open(&context(row.tenant_id, &row.kid), &row.private)?;
    let private = std::str::from_utf8(&private).map_err(|_| Error::internal("a private key is not text"))?;
    let signer = match row.revoked_at {
        Some(_) => None,
        None => Some(Arc::new(Signer::new(row.alg, private)?)),
    };
    let verifier = Verifier::new(&row.public.0).map_err(Error::internal)?;
    Ok(Key {
        kid: row.kid,
        alg: row.alg,
        public: row.public.0,
        active_at: row.active_at,
        gone_at: row.gone_at,
        revoked_at: row.revoked_at,
        signer,
        verifier,
    })
}
