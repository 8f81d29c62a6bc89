//! How often is too often: durable throttles shared by all nodes, and a small one in memory.
//!
//! Owns `throttle`. Start at [`count`]. Windows are fixed: they begin with the first attempt and are never made longer
//! by further ones, so that nobody can keep another locked out for good by trying on. A key is kept as a SHA-256 over
//! rule and material. The write that counts must return `Ok` even when the verdict refuses, or the count is lost.

use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use entity::{Hash, Micros, TenantId, throttle};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement, Value};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// At most `limit` attempts per key within `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Part of the key; distinct rules count apart.
    pub name: &'static str,
    pub limit: u32,
    pub window: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Exceeded {
        /// The rule that was broken; the one broken for the first time, when there are several.
        rule: Rule,
        /// Attempts within the window, this one among them.
        count: u32,
        /// Until the last of the broken windows ends.
        retry_after: Duration,
        /// The first time over in this window: one audit event per key and window.
        first: bool,
    },
}

/// Counts one attempt under these keys, one after the other, and stops at the first that is over its limit.
///
/// # Why it stops
/// What is refused was not tried: an address that is over its limit must not use up the account's attempts (it would
/// lock its owner out everywhere), nor leave a row for each name that it makes up. The caller puts what a stranger
/// cannot vary first. Keys are locked in the caller's order, which is the same for all, so that two attempts cannot lock
/// each other out.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &Tx, tenant: TenantId, keys: &[(Rule, Vec<u8>)], now: Micros) -> Result<Verdict> {
    for (rule, material) in keys {
        let hash = key(rule, material);
        tx.execute_raw(raise(tx.get_database_backend(), tenant, (&hash, rule), now)).await?;
        let row = throttle::Entity::find_by_id((tenant, Hash(hash))).one(tx).await?;
        let Some(row) = row else { return Err(Error::internal("a counter that was just raised is not there")) };
        let count = u32::try_from(row.count).unwrap_or(u32::MAX);
        if count > rule.limit {
            let first = count == rule.limit.saturating_add(1);
            return Ok(Verdict::Exceeded { rule: *rule, count, retry_after: now.until(row.expires_at), first });
        }
    }
    Ok(Verdict::Allowed)
}

/// Takes one attempt back from each of these keys, as after a success; never below zero.
///
/// # Errors
/// What the database says.
pub async fn give_back(tx: &Tx, tenant: TenantId, keys: &[(Rule, Vec<u8>)]) -> Result<()> {
    throttle::Entity::update_many()
        .col_expr(throttle::Column::Count, Expr::col(throttle::Column::Count).sub(1))
        .filter(throttle::Column::TenantId.eq(tenant))
        .filter(throttle::Column::Key.is_in(keys.iter().map(|(rule, material)| Hash(key(rule, material)))))
        .filter(throttle::Column::Count.gt(0))
        .exec(tx)
        .await?;
    Ok(())
}

fn key(rule: &Rule, material: &[u8]) -> Vec<u8> {
    Sha256::new().chain_update(rule.name).chain_update([0]).chain_update(material).finalize().to_vec()
}

/// The upsert. A window that is over starts again at one.
///
/// MariaDB assigns from left to right and sees what it has assigned, so `expires_at`, which decides, comes last.
fn raise(backend: DbBackend, tenant: TenantId, (hash, rule): (&[u8], &Rule), now: Micros) -> Statement {
    let mysql = backend == DbBackend::MySql;
    let quote = if mysql { '`' } else { '"' };
    let q = |name: &str| format!("{quote}{name}{quote}");
    let old = |name: &str| if mysql { q(name) } else { format!("{}.{}", q("throttle"), q(name)) };
    let new = |name: &str| if mysql { format!("VALUES({})", q(name)) } else { format!("excluded.{}", q(name)) };
    let values: [Value; 4] =
        [Value::from(tenant.0), Value::from(hash.to_vec()), Value::from(now.0), Value::from(now.plus(rule.window).0)];
    let place = |n: usize| if backend == DbBackend::Postgres { format!("${n}") } else { "?".to_owned() };
    let over = format!("{} <= {}", old("expires_at"), new("window_started_at"));
    let set = |name: &str, renewed: &str, kept: &str| {
        format!("{} = CASE WHEN {over} THEN {renewed} ELSE {kept} END", q(name))
    };
    let conflict = if mysql {
        "ON DUPLICATE KEY UPDATE".to_owned()
    } else {
        format!("ON CONFLICT ({}, {}) DO UPDATE SET", q("tenant_id"), q("key"))
    };
    let sql = format!(
        "INSERT INTO {} ({}, {}, {}, {}, {}) VALUES ({}, {}, 1, {}, {}) {conflict} {}, {}, {}",
        q("throttle"),
        q("tenant_id"),
        q("key"),
        q("count"),
        q("window_started_at"),
        q("expires_at"),
        place(1),
        place(2),
        place(3),
        place(4),
        set("count", "1", &format!("{} + 1", old("count"))),
        set("window_started_at", &new("window_started_at"), &old("window_started_at")),
        set("expires_at", &new("expires_at"), &old("expires_at")),
    );
    Statement::from_sql_and_values(backend, sql, values)
}

/// What an address counts as: an IPv4 address by itself, an IPv6 address by its /64, which is what one household gets.
pub fn prefix(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Deletes counters whose windows have ended.
///
/// # Errors
/// What the database says.
pub async fn sweep(db: &Db, now: Micros) -> Result<u64> {
    let ended = Condition::all().add(throttle::Column::ExpiresAt.lt(now));
    db.sweep::<throttle::Entity, Hash>(throttle::Column::Key, ended).await
}

/// Counts in this process only: for what comes too often, or is too cheap, to be written down (failed client
/// authentication). Holds at most 100,000 keys; the longest unused go first.
#[derive(Clone)]
pub struct Memory {
    limit: u32,
    window: Duration,
    /// By a digest, so that no key is larger than another, whatever a stranger sends.
    counts: Cache<[u8; 32], (u32, Micros)>,
}

impl Memory {
    /// At most `limit` failures per key within `window`.
    pub fn new(limit: u32, window: Duration) -> Self {
        let counts =
            Cache::builder().max_capacity(100_000).time_to_live(window).eviction_policy(EvictionPolicy::lru()).build();
        Self { limit, window, counts }
    }

    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// How long this key has to wait; `None` when it may try.
    pub fn blocked(&self, key: &[u8], now: Micros) -> Option<Duration> {
        let (count, since) = self.counts.get(&digest(key))?;
        let end = since.plus(self.window);
        (count >= self.limit && end > now).then(|| now.until(end))
    }

    /// Counts one failure and says how many there were in this window.
    pub fn failed(&self, key: &[u8], now: Micros) -> u32 {
        let entry = self.counts.entry(digest(key)).and_upsert_with(|old| match old.map(|e| e.into_value()) {
            Some((count, since)) if since.plus(self.window) > now => (count.saturating_add(1), since),
            _ => (1, now),
        });
        entry.into_value().0
    }

    /// Forgets the failures of a key, as after a success.
    pub fn forget(&self, key: &[u8]) {
        self.counts.invalidate(&digest(key));
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::tests::{Fixture, each_database};

    const RULE: Rule = Rule { name: "login.address", limit: 3, window: Duration::from_secs(60) };
    const WIDE: Rule = Rule { name: "login.account", limit: 100, window: Duration::from_secs(600) };
    const T0: Micros = Micros(1_000_000_000);

    async fn attempt(f: &Fixture, now: Micros) -> Verdict {
        let tenant = f.tenant;
        f.db.write(async move |tx| {
            count(tx, tenant, &[(RULE, b"192.0.2.1".to_vec()), (WIDE, b"ada".to_vec())], now).await
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_fourth_attempt_in_a_window_of_three_is_refused_until_the_window_ends() {
        each_database(async |f| {
            for _ in 0..3 {
                assert_eq!(attempt(&f, T0).await, Verdict::Allowed);
            }
            let later = T0.plus(Duration::from_secs(50));
            let wait = Duration::from_secs(10);
            let over = |count, first| Verdict::Exceeded { rule: RULE, count, retry_after: wait, first };
            assert_eq!(attempt(&f, later).await, over(4, true));
            assert_eq!(attempt(&f, later).await, over(5, false), "one event per window, and no longer a wait");
            assert_eq!(attempt(&f, T0.plus(Duration::from_secs(60))).await, Verdict::Allowed);
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_given_back_is_not_counted_and_never_negative() {
        each_database(async |f| {
            let tenant = f.tenant;
            for _ in 0..3 {
                assert_eq!(attempt(&f, T0).await, Verdict::Allowed);
            }
            for _ in 0..5 {
                let keys = [(RULE, b"192.0.2.1".to_vec())];
                f.db.write(async move |tx| give_back(tx, tenant, &keys).await).await.unwrap();
            }
            for _ in 0..3 {
                assert_eq!(attempt(&f, T0).await, Verdict::Allowed);
            }
            assert!(matches!(attempt(&f, T0).await, Verdict::Exceeded { count: 4, first: true, .. }));
        })
        .await;
    }

    #[tokio::test]
    async fn sixteen_at_once_are_all_counted() {
        each_database(async |f| {
            let verdicts = f.at_once(16, async |_| attempt(&f, T0).await).await;
            assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Allowed).count(), 3);
            assert_eq!(verdicts.iter().filter(|v| matches!(v, Verdict::Exceeded { first: true, .. })).count(), 1);
        })
        .await;
    }

    #[test]
    fn an_address_counts_by_its_network() {
        let shown = |text: &str| prefix(text.parse().unwrap());
        assert_eq!(shown("192.0.2.7"), "192.0.2.7");
        assert_eq!(shown("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(shown("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }

    #[test]
    fn failures_in_memory_block_until_their_window_ends() {
        let memory = Memory::new(2, Duration::from_secs(60));
        assert_eq!(memory.blocked(b"c", T0), None);
        assert_eq!((memory.failed(b"c", T0), memory.failed(b"c", T0)), (1, 2));
        assert_eq!(memory.blocked(b"c", T0.plus(Duration::from_secs(20))), Some(Duration::from_secs(40)));
        assert_eq!(memory.blocked(b"c", T0.plus(Duration::from_secs(60))), None);
        assert_eq!(memory.failed(b"c", T0.plus(Duration::from_secs(60))), 1);
        memory.forget(b"c");
        assert_eq!(memory.failed(b"c", T0), 1);
    }
}
