//! The outbox: work that nobody waits for, written in the transaction of what it follows from.
//!
//! Owns `job`. [`push`] writes one; a worker takes it with [`claim`], does it, and ends it with [`done`] or [`retry`].
//! A claim is a lease: when its worker dies, another may take the job after a minute, so that work must bear being done
//! twice. The number of attempts is also the fence: whoever's lease ran out can no longer end a job that another has.

use crate::db::{Db, Tx};
use crate::error::Result;
use crate::once::won;
use entity::{Document, JobKind, Micros, RowId, TenantId, job};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::time::Duration;

/// How long one worker has a job for itself.
pub const LEASE: Duration = Duration::from_secs(60);
/// After so many attempts a job is dead: kept, shown, and not tried again.
pub const MAX_ATTEMPTS: i32 = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// So many due jobs are looked at for one that is free.
const LOOK_AT: u64 = 16;
/// Characters of an error that are kept.
const ERROR_LENGTH: usize = 2000;

/// Work to be done.
#[derive(Clone, Debug)]
pub struct Work {
    pub kind: JobKind,
    pub payload: serde_json::Value,
    pub created_at: Micros,
    /// Not before this instant.
    pub run_at: Micros,
}

impl Work {
    /// To be done at once.
    pub fn new(kind: JobKind, payload: serde_json::Value, now: Micros) -> Self {
        Self { kind, payload, created_at: now, run_at: now }
    }

    pub fn not_before(self, run_at: Micros) -> Self {
        Self { run_at, ..self }
    }
}

/// Writes a job; it exists when the write commits.
///
/// # Errors
/// What the database says.
pub async fn push(tx: &Tx, tenant: TenantId, work: Work) -> Result<RowId> {
    let id = RowId::new();
    let row = job::ActiveModel {
        tenant_id: Set(tenant),
        id: Set(id),
        kind: Set(work.kind),
        payload: Set(Document(work.payload)),
        run_at: Set(work.run_at),
        claimed_until: Set(None),
        attempts: Set(0),
        last_error: Set(None),
        dead_at: Set(None),
        created_at: Set(work.created_at),
    };
    job::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(id)
}

/// Takes a due job that nobody has. Writes nothing when there is none.
///
/// # Errors
/// What the database says.
pub async fn claim(db: &Db, now: Micros) -> Result<Option<job::Model>> {
    let due = job::Entity::find()
        .filter(job::Column::DeadAt.is_null())
        .filter(job::Column::RunAt.lte(now))
        .filter(free(now))
        .order_by_asc(job::Column::RunAt)
        .limit(LOOK_AT)
        .all(db.read())
        .await?;
    for job in due {
        if job.attempts >= MAX_ATTEMPTS {
            // Its last worker died with it.
            let job = job.clone();
            db.write(async move |tx| bury(tx, &job, "the worker ended without a word", now).await).await?;
            continue;
        }
        let mine = job::Model { attempts: job.attempts + 1, claimed_until: Some(now.plus(LEASE)), ..job.clone() };
        let taken = db
            .write(async move |tx| {
                let taken = job::Entity::update_many()
                    .col_expr(job::Column::ClaimedUntil, Expr::value(now.plus(LEASE)))
                    .col_expr(job::Column::Attempts, Expr::value(job.attempts + 1))
                    .filter(held(&job))
                    .filter(free(now))
                    .exec(tx)
                    .await?;
                Ok(won(taken.rows_affected))
            })
            .await?;
        if taken {
            return Ok(Some(mine));
        }
    }
    Ok(None)
}

/// Ends a job that was done; false when the lease ran out and another worker has it.
///
/// # Errors
/// What the database says.
pub async fn done(tx: &Tx, job: &job::Model) -> Result<bool> {
    let gone = job::Entity::delete_many().filter(held(job)).exec(tx).await?;
    Ok(won(gone.rows_affected))
}

/// Puts a job back that failed, 5 seconds later and three times longer each time, up to an hour; dead after ten
/// attempts. False when another worker has it.
///
/// # Errors
/// What the database says.
pub async fn retry(tx: &Tx, job: &job::Model, error: &str, now: Micros) -> Result<bool> {
    if job.attempts >= MAX_ATTEMPTS {
        return bury(tx, job, error, now).await;
    }
    let back = job::Entity::update_many()
        .col_expr(job::Column::ClaimedUntil, Expr::value(None::<i64>))
        .col_expr(job::Column::RunAt, Expr::value(now.plus(pause(job.attempts))))
        .col_expr(job::Column::LastError, Expr::value(cut(error)))
        .filter(held(job))
        .exec(tx)
        .await?;
    Ok(won(back.rows_affected))
}

/// When a worker must look again; `None` when there is nothing to wait for.
///
/// # Errors
/// What the database says.
pub async fn next_due(db: &Db) -> Result<Option<Micros>> {
    let first = job::Entity::find()
        .filter(job::Column::DeadAt.is_null())
        .order_by_asc(job::Column::RunAt)
        .limit(LOOK_AT)
        .all(db.read())
        .await?;
    // One that is being worked on is due again when its lease ends.
    Ok(first.iter().map(|job| job.claimed_until.map_or(job.run_at, |until| until.max(job.run_at))).min())
}

/// Dead jobs of a tenant, the latest first, for people to look at.
///
/// # Errors
/// What the database says.
pub async fn dead(db: &Db, tenant: TenantId, limit: u64) -> Result<Vec<job::Model>> {
    let dead = job::Entity::find()
        .filter(job::Column::TenantId.eq(tenant))
        .filter(job::Column::DeadAt.is_not_null())
        .order_by_desc(job::Column::DeadAt)
        .limit(limit);
    Ok(dead.all(db.read()).await?)
}

/// Jobs of one kind that failed at least once, the latest first: what a person wants to see of them.
///
/// # Errors
/// What the database says.
pub async fn failed(db: &Db, tenant: TenantId, kind: JobKind, limit: u64) -> Result<Vec<job::Model>> {
    let failed = job::Entity::find()
        .filter(job::Column::TenantId.eq(tenant))
        .filter(job::Column::Kind.eq(kind))
        .filter(job::Column::LastError.is_not_null())
        .order_by_desc(job::Column::CreatedAt)
        .limit(limit);
    Ok(failed.all(db.read()).await?)
}

async fn bury(tx: &Tx, job: &job::Model, error: &str, now: Micros) -> Result<bool> {
    let buried = job::Entity::update_many()
        .col_expr(job::Column::DeadAt, Expr::value(now))
        .col_expr(job::Column::ClaimedUntil, Expr::value(None::<i64>))
        .col_expr(job::Column::LastError, Expr::value(cut(error)))
        .filter(held(job))
        .exec(tx)
        .await?;
    Ok(won(buried.rows_affected))
}

/// This job, as this attempt has it.
fn held(job: &job::Model) -> Condition {
    Condition::all()
        .add(job::Column::TenantId.eq(job.tenant_id))
        .add(job::Column::Id.eq(job.id))
        .add(job::Column::Attempts.eq(job.attempts))
        .add(job::Column::DeadAt.is_null())
}

fn free(now: Micros) -> Condition {
    Condition::any().add(job::Column::ClaimedUntil.is_null()).add(job::Column::ClaimedUntil.lte(now))
}

fn pause(attempts: i32) -> Duration {
    let exponent = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0);
    FIRST_PAUSE.saturating_mul(3u32.saturating_pow(exponent)).min(LONGEST_PAUSE)
}

fn cut(error: &str) -> String {
    error.chars().filter(|c| *c != '\0').take(ERROR_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::tests::{Fixture, each_database};
    use serde_json::json;

    const NOW: Micros = Micros(1_000_000_000_000);

    async fn pushed(f: &Fixture) -> RowId {
        let tenant = f.tenant;
        let work = Work::new(JobKind::Sweep, json!({"n": 1}), NOW);
        f.db.write(async move |tx| push(tx, tenant, work.clone()).await).await.unwrap()
    }

    async fn fail(f: &Fixture, job: job::Model, now: Micros) -> bool {
        f.db.write(async move |tx| retry(tx, &job, "no", now).await).await.unwrap()
    }

    #[tokio::test]
    async fn a_job_is_claimed_by_one_of_many_workers() {
        each_database(async |f| {
            let mut ids = vec![];
            for _ in 0..5 {
                ids.push(pushed(&f).await);
            }
            let claimed = f.at_once(8, async |_| claim(&f.db, NOW).await.unwrap()).await;
            let mut claimed: Vec<RowId> = claimed.into_iter().flatten().map(|job| job.id).collect();
            let before = claimed.len();
            claimed.sort();
            claimed.dedup();
            assert_eq!((claimed.len(), before), (5, 5), "each once, and none twice");
            assert!(claim(&f.db, NOW).await.unwrap().is_none());
        })
        .await;
    }

    #[tokio::test]
    async fn a_lease_that_ran_out_is_taken_over_and_fenced() {
        each_database(async |f| {
            pushed(&f).await;
            let first = claim(&f.db, NOW).await.unwrap().unwrap();
            assert_eq!(next_due(&f.db).await.unwrap(), Some(NOW.plus(LEASE)));
            let later = NOW.plus(LEASE);
            let second = claim(&f.db, later).await.unwrap().unwrap();
            assert_eq!((first.id, second.attempts), (second.id, 2));
            assert!(!f.db.write(async move |tx| done(tx, &first).await).await.unwrap(), "no longer its own");
            assert!(f.db.write(async move |tx| done(tx, &second).await).await.unwrap());
            assert_eq!(next_due(&f.db).await.unwrap(), None);
        })
        .await;
    }

    #[tokio::test]
    async fn a_job_that_keeps_failing_waits_longer_each_time_and_dies() {
        each_database(async |f| {
            pushed(&f).await;
            let mut now = NOW;
            for attempt in 1..=MAX_ATTEMPTS {
                let job = claim(&f.db, now).await.unwrap().unwrap();
                assert_eq!(job.attempts, attempt);
                assert!(fail(&f, job, now).await);
                assert!(claim(&f.db, now).await.unwrap().is_none(), "not at once");
                now = now.plus(LONGEST_PAUSE);
            }
            assert!(claim(&f.db, now).await.unwrap().is_none());
            let dead = dead(&f.db, f.tenant, 10).await.unwrap();
            assert_eq!(dead.len(), 1);
            assert_eq!(dead[0].last_error.as_deref(), Some("no"));
        })
        .await;
    }

    #[test]
    fn pauses_grow_from_five_seconds_to_an_hour() {
        assert_eq!(pause(1), Duration::from_secs(5));
        assert_eq!(pause(2), Duration::from_secs(15));
        assert_eq!(pause(9), LONGEST_PAUSE);
    }
}
