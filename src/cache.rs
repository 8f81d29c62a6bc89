//! Revisions: how a process learns that configuration it has cached was changed elsewhere.
//!
//! Every change of configuration raises a row (tenant, kind) in its own transaction ([`bump`]). What is cached carries
//! the revision that was known before it was read ([`Cache::revision`]), and counts only as long as that is still the
//! one known. Nothing has to be thrown out, and a slow reader cannot put back what is stale.
//!
//! # Why asked for, not pushed
//! A request asks first whether the last look at the table is young enough ([`Cache::fresh`]); an idle server asks
//! nothing. A process that cannot look for two seconds serves nothing from its cache: it fails closed.

use crate::db::Db;
use crate::error::{Error, Result};
use entity::{CacheKind, Micros, TenantId, revision};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use std::collections::HashMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A look at the table is good for this long.
const GOOD_FOR: Duration = Duration::from_millis(500);
/// After this long without one, nothing cached is served.
const STALE_AFTER: Duration = Duration::from_secs(2);
/// How far the clocks of nodes may differ for a change to be seen at once; beyond that it is seen at the next full look.
const SKEW: Duration = Duration::from_secs(60);
/// Everything is read this often, whatever the clocks say: a change marked with a clock that is late is not lost.
const FULL: Duration = Duration::from_secs(20);

pub struct Cache {
    seen: RwLock<HashMap<(TenantId, CacheKind), i64>>,
    /// Raised with each change to any tenant: places are looked up before a tenant is known.
    tenants: AtomicI64,
    started: Instant,
    /// When the last look began, in milliseconds since `started`; 0 is never.
    looked_ms: AtomicU64,
    /// Raised by local changes, so that a look that began before one does not count.
    generation: AtomicU64,
    looking: tokio::sync::Mutex<Last>,
}

/// The last look: when by the clock that changes are marked with, and when everything was read.
#[derive(Clone, Copy, Default)]
struct Last {
    at: Option<Micros>,
    full: Option<Instant>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            seen: RwLock::default(),
            tenants: AtomicI64::new(0),
            started: Instant::now(),
            looked_ms: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            looking: tokio::sync::Mutex::default(),
        }
    }
}

impl Cache {
    /// The revision known of one kind of a tenant's configuration.
    pub fn revision(&self, tenant: TenantId, kind: CacheKind) -> i64 {
        let seen = self.seen.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.get(&(tenant, kind)).copied().unwrap_or(0)
    }

    /// Changes when any tenant does.
    pub fn tenants(&self) -> i64 {
        self.tenants.load(Ordering::Acquire)
    }

    /// Something was changed by this very process: the next request looks again.
    pub fn changed_here(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.looked_ms.store(0, Ordering::Release);
    }

    /// The next look reads everything, as it does by itself every twenty seconds. For tests.
    #[doc(hidden)]
    pub fn look_at_everything(&self) {
        if let Ok(mut last) = self.looking.try_lock() {
            last.full = None;
        }
        self.changed_here();
    }

    /// Makes sure that what is known is young enough to act upon.
    ///
    /// # Errors
    /// `Unavailable` when the table could not be read for two seconds.
    pub async fn fresh(&self, db: &Db, now: Micros) -> Result<()> {
        let age = self.age();
        if age.is_some_and(|a| a < GOOD_FOR) {
            return Ok(());
        }
        let young = age.is_some_and(|a| a < STALE_AFTER);
        let mut last = match self.looking.try_lock() {
            Ok(guard) => guard,
            // Somebody is looking already; what is known is good until they are back.
            Err(_) if young => return Ok(()),
            Err(_) => self.looking.lock().await,
        };
        if self.age().is_some_and(|a| a < GOOD_FOR) {
            return Ok(());
        }
        let generation = self.generation.load(Ordering::Acquire);
        let began = self.started.elapsed().as_millis() as u64 + 1;
        let full = last.full.is_none_or(|at| at.elapsed() > FULL);
        match self.look(db, last.at.filter(|_| !full)).await {
            Ok(()) => {
                last.at = Some(now);
                if full {
                    last.full = Some(Instant::now());
                }
                if self.generation.load(Ordering::Acquire) == generation {
                    self.looked_ms.store(began, Ordering::Release);
                }
                Ok(())
            }
            Err(e) if young => {
                tracing::warn!(error = %e, "revisions could not be read; what is cached is used for two seconds at most");
                Ok(())
            }
            Err(e) => Err(Error::unavailable(e)),
        }
    }

    fn age(&self) -> Option<Duration> {
        let looked = self.looked_ms.load(Ordering::Acquire);
        (looked > 0).then(|| self.started.elapsed().saturating_sub(Duration::from_millis(looked - 1)))
    }

    async fn look(&self, db: &Db, last: Option<Micros>) -> Result<()> {
        let mut query = revision::Entity::find();
        if let Some(last) = last {
            query = query.filter(revision::Column::ChangedAt.gt(last.minus(SKEW)));
        }
        let rows = query.all(db.read()).await?;
        let mut seen = self.seen.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for row in rows {
            let before = seen.insert((row.tenant_id, row.kind), row.value);
            if row.kind == CacheKind::Tenant && before != Some(row.value) {
                self.tenants.fetch_add(1, Ordering::AcqRel);
            }
        }
        Ok(())
    }
}

/// Says, in the transaction of the change itself, that this kind of a tenant's configuration is another now.
///
/// # Errors
/// The database's.
pub async fn bump(tx: &impl ConnectionTrait, tenant: TenantId, kind: CacheKind, now: Micros) -> Result<()> {
    let raised = revision::Entity::update_many()
        .col_expr(revision::Column::Value, Expr::col(revision::Column::Value).add(1))
        .col_expr(revision::Column::ChangedAt, Expr::value(now.0))
        .filter(revision::Column::TenantId.eq(tenant))
        .filter(revision::Column::Kind.eq(kind))
        .exec(tx)
        .await?;
    if raised.rows_affected == 0 {
        let row =
            revision::ActiveModel { tenant_id: Set(tenant), kind: Set(kind), value: Set(1), changed_at: Set(now) };
        revision::Entity::insert(row).exec_without_returning(tx).await?;
    }
    Ok(())
}
