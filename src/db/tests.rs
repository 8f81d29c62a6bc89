//! Tests of the door, and the databases that the tests of other rooms share.
//!
//! Each runs on a fresh SQLite file, and on PostgreSQL and MariaDB too when `KEYWARD_TEST_POSTGRES` and
//! `KEYWARD_TEST_MARIADB` hold a URL without a database name (`postgres://user:password@host:port`).

use super::*;
use entity::{TenantId, revoked_token, spent_jti, tenant};
use migration::{Migrator, MigratorTrait};
use sea_orm::{ColumnTrait, Database, EntityName, Iden, Iterable, PaginatorTrait, QueryFilter};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

/// A migrated database of its own, with one tenant in it.
pub(crate) struct Fixture {
    pub db: Db,
    pub tenant: TenantId,
    target: Target,
    _dir: tempfile::TempDir,
}

/// Futures run side by side in one task.
async fn join_all<'a, T>(futures: Vec<Pin<Box<dyn Future<Output = T> + 'a>>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|f| (Some(f), None)).collect();
    poll_fn(move |cx| {
        for (future, result) in &mut running {
            if let Some(f) = future
                && let Poll::Ready(value) = f.as_mut().poll(cx)
            {
                (*future, *result) = (None, Some(value));
            }
        }
        if running.iter().all(|(future, _)| future.is_none()) {
            return Poll::Ready(running.iter_mut().filter_map(|(_, result)| result.take()).collect());
        }
        Poll::Pending
    })
    .await
}

impl Fixture {
    async fn on(target: Target) -> Self {
        Db::migrate(&target).await.unwrap();
        let db = Db::open(&target, 8, Share::Alone).await.unwrap();
        let id = TenantId::new();
        db.write(async move |tx| {
            Ok(tenant::Entity::insert(a_tenant(id)).exec_without_returning(tx).await.map(drop)?)
        })
        .await
        .unwrap();
        Self { db, tenant: id, target, _dir: tempfile::tempdir().unwrap() }
    }

    async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let f = Self::on(Target::Sqlite(dir.path().join("test.db"))).await;
        Self { _dir: dir, ..f }
    }

    pub async fn at_once<T>(&self, n: usize, f: impl AsyncFn(usize) -> T) -> Vec<T> {
        join_all((0..n).map(|i| Box::pin(f(i)) as Pin<Box<dyn Future<Output = T>>>).collect()).await
    }

    fn path(&self) -> &Path {
        match &self.target {
            Target::Sqlite(path) => path,
            Target::Server(_) => panic!("a test of files"),
        }
    }

    async fn rows(&self) -> u64 {
        let mine = spent_jti::Column::TenantId.eq(self.tenant);
        spent_jti::Entity::find().filter(mine).count(self.db.read()).await.unwrap()
    }

    async fn put(&self, n: u8) -> Result<()> {
        let tenant = self.tenant;
        self.db.write(async move |tx| put(tx, tenant, n).await).await
    }

    /// Holds the writer until many others wait, so that they are committed as one.
    async fn held_up(&self, ms: u64) -> Result<()> {
        self.db
            .write(async move |_| {
                std::thread::sleep(Duration::from_millis(ms));
                Ok(())
            })
            .await
    }
}

fn a_tenant(id: TenantId) -> tenant::ActiveModel {
    tenant::ActiveModel {
        id: Set(id),
        slug: Set(format!("t{}", &id.0.simple().to_string()[16..])),
        name: Set("Test".into()),
        status: Set(entity::Status::Active),
        root: Set(entity::Sealed(vec![1, 2, 3])),
        settings: Set(entity::Document(serde_json::json!({}))),
        issued_at: Set(None),
        created_at: Set(Micros(1)),
        version: Set(1),
    }
}

async fn put(tx: &Tx, tenant: TenantId, n: u8) -> Result<()> {
    let row =
        spent_jti::ActiveModel { tenant_id: Set(tenant), hash: Set(Hash(vec![n; 32])), expires_at: Set(Micros(1)) };
    spent_jti::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Runs a test on every database at hand.
pub(crate) async fn each_database(test: impl AsyncFn(Fixture)) {
    test(Fixture::sqlite().await).await;
    for variable in ["KEYWARD_TEST_POSTGRES", "KEYWARD_TEST_MARIADB"] {
        #[allow(clippy::disallowed_methods)]
        let Ok(base) = std::env::var(variable) else { continue };
        let base = base.trim_end_matches('/').replacen("mariadb://", "mysql://", 1);
        let admin = if base.starts_with("mysql") { format!("{base}/mysql") } else { format!("{base}/postgres") };
        let admin = Database::connect(admin).await.unwrap();
        let name = format!("kw_{}", uuid::Uuid::now_v7().simple());
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let f = Fixture::on(Target::Server(format!("{base}/{name}"))).await;
        let read = f.db.read.clone();
        test(f).await;
        read.close().await.unwrap();
        admin.execute_unprepared(&format!("DROP DATABASE {name}")).await.unwrap();
    }
}

fn text(result: Result<impl Sized>) -> String {
    result.err().unwrap().to_string()
}

#[tokio::test]
async fn a_write_is_there_when_it_is_answered() {
    each_database(async |f| {
        for result in f.at_once(40, async |i| f.put(i as u8).await).await {
            result.unwrap();
        }
        assert_eq!(f.rows().await, 40);
    })
    .await;
}

#[tokio::test]
async fn a_failed_commit_is_heard_by_every_caller_of_the_batch() {
    let f = Fixture::sqlite().await;
    let results = f
        .at_once(20, async |i| {
            if i == 0 {
                f.held_up(50).await
            } else {
                f.db.fail_next_commit();
                f.put(i as u8).await
            }
        })
        .await;
    assert!(results.into_iter().all(|result| text(result).contains("the commit failed")));
    assert_eq!(f.rows().await, 0);
    assert!(f.db.is_broken());
    f.db.until_broken().await;
    assert!(text(f.put(1).await).contains("started again"), "nobody is let in any more");
}

#[tokio::test]
async fn a_failed_commit_leaves_nothing() {
    each_database(async |f| {
        f.db.fail_next_commit();
        assert!(text(f.put(1).await).contains("the commit failed"));
        assert_eq!(f.rows().await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_failing_write_hurts_no_other() {
    each_database(async |f| {
        let tenant = f.tenant;
        f.put(0).await.unwrap();
        let results = f
            .at_once(24, async |i| match i {
                0 => f.held_up(50).await,
                // Its error, a statement's error, one that is swallowed, a panic.
                5 => {
                    f.db.write(async move |tx| {
                        put(tx, tenant, 100).await?;
                        Err::<(), _>(Error::busy("its own"))
                    })
                    .await
                }
                6 => {
                    f.db.write(async move |tx| {
                        put(tx, tenant, 101).await?;
                        put(tx, tenant, 0).await
                    })
                    .await
                }
                7 => {
                    f.db.write(async move |tx| {
                        put(tx, tenant, 102).await?;
                        put(tx, tenant, 0).await.ok();
                        put(tx, tenant, 103).await.ok();
                        Ok(())
                    })
                    .await
                }
                8 if f.db.is_sqlite() => {
                    f.db.write(async move |tx| {
                        put(tx, tenant, 104).await?;
                        panic!("on purpose")
                    })
                    .await
                }
                i => f.put(i as u8).await,
            })
            .await;
        let failed: Vec<usize> = results.iter().enumerate().filter(|(_, r)| r.is_err()).map(|(i, _)| i).collect();
        let expected: &[usize] = if f.db.is_sqlite() { &[5, 6, 7, 8] } else { &[5, 6, 7] };
        assert_eq!(failed, expected);
        assert_eq!(f.rows().await as usize, 24 - expected.len());
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_leaves_the_queue_leaves_no_trace() {
    let f = Fixture::sqlite().await;
    f.at_once(3, async |i| match i {
        0 => f.held_up(600).await.unwrap(),
        1 => assert!(tokio::time::timeout(Duration::from_millis(10), f.put(1)).await.is_err()),
        _ => f.put(2).await.unwrap(),
    })
    .await;
    f.put(3).await.unwrap();
    assert_eq!(f.rows().await, 2, "the second and the third, not the one that left");
}

#[tokio::test]
async fn a_caller_that_leaves_during_its_write_blocks_nobody() {
    each_database(async |f| {
        let tenant = f.tenant;
        let slow = f.db.write(async move |tx| {
            put(tx, tenant, 1).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), slow).await.is_err());
        let began = Instant::now();
        f.put(2).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(2));
    })
    .await;
}

const ENDLESS: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) ";

#[tokio::test]
async fn an_endless_statement_ends_at_the_deadline_and_the_innocent_are_kept() {
    let f = Fixture::sqlite().await;
    let results = f
        .at_once(6, async |i| match i {
            0 => f.held_up(50).await,
            // An interrupted INSERT makes SQLite roll back the whole transaction.
            3 => {
                f.db.write(async |tx| {
                    tx.execute_unprepared("CREATE TABLE scratch (x INTEGER)").await?;
                    tx.execute_unprepared(&format!("INSERT INTO scratch {ENDLESS} SELECT x FROM c")).await?;
                    Ok(())
                })
                .await
            }
            i => f.put(i as u8).await,
        })
        .await;
    let failed: Vec<usize> = results.iter().enumerate().filter(|(_, r)| r.is_err()).map(|(i, _)| i).collect();
    assert!(failed.contains(&3) && f.rows().await as usize == 4 - (failed.len() - 1), "{results:?}");
    assert!(results[1].is_ok() && results[2].is_ok(), "those before it ran again: {results:?}");
    f.put(9).await.unwrap();
}

#[tokio::test]
async fn a_write_that_waits_for_ever_ends_at_the_deadline() {
    each_database(async |f| {
        let began = Instant::now();
        let tenant = f.tenant;
        let forever = f.db.write(async move |tx| {
            put(tx, tenant, 1).await?;
            std::future::pending::<Result<()>>().await
        });
        assert!(text(forever.await).contains("deadline"));
        assert!(began.elapsed() < DEADLINE + Duration::from_secs(1));
        f.put(1).await.unwrap();
        assert_eq!(f.rows().await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_turn_that_does_not_come_is_answered_busy() {
    let f = Fixture::sqlite().await;
    let results = f
        .at_once(2, async |i| match i {
            0 => f.held_up(2_500).await,
            _ => f.put(1).await,
        })
        .await;
    assert!(results[0].is_ok());
    assert!(matches!(&results[1], Err(Error::Ours(cause)) if cause.kind == crate::error::Fault::Busy));
    assert_eq!(f.rows().await, 0);
}

#[tokio::test]
async fn a_write_inside_a_write_is_refused_at_once() {
    let f = Fixture::sqlite().await;
    let db = Arc::new(Db::open(&f.target, 1, Share::Beside).await.unwrap());
    let inner = db.clone();
    let nested = db.write(async move |_| inner.write(async |_| Ok(())).await);
    assert!(text(nested.await).contains("inside a write"));
    db.write(async |_| Ok(())).await.unwrap();
}

#[tokio::test]
async fn what_is_spent_has_one_winner() {
    each_database(async |f| {
        let tenant = f.tenant;
        for n in 0..50u8 {
            f.db.write(async move |tx| {
                let row = revoked_token::ActiveModel {
                    tenant_id: Set(tenant),
                    jti: Set(Hash(vec![n; 32])),
                    expires_at: Set(Micros(0)),
                };
                Ok(revoked_token::Entity::insert(row).exec_without_returning(tx).await.map(drop)?)
            })
            .await
            .unwrap();
        }
        let won = f
            .at_once(50 * 16, async |i| {
                let n = (i % 50) as u8;
                // A server's pool of eight cannot serve eight hundred within two seconds on a slow machine.
                if !f.db.is_sqlite() {
                    tokio::time::sleep(Duration::from_millis(i as u64 / 8 * 10)).await;
                }
                f.db.write(async move |tx| {
                    let spent = revoked_token::Entity::update_many()
                        .col_expr(revoked_token::Column::ExpiresAt, sea_orm::sea_query::Expr::value(1))
                        .filter(revoked_token::Column::TenantId.eq(tenant))
                        .filter(revoked_token::Column::Jti.eq(Hash(vec![n; 32])))
                        .filter(revoked_token::Column::ExpiresAt.eq(0))
                        .exec(tx)
                        .await?;
                    Ok(crate::once::won(spent.rows_affected))
                })
                .await
                .unwrap()
            })
            .await;
        assert_eq!(won.into_iter().filter(|won| *won).count(), 50);
    })
    .await;
}

#[tokio::test]
async fn a_second_server_on_the_file_is_refused_and_a_command_is_not() {
    let f = Fixture::sqlite().await;
    let second = Db::open(&f.target, 1, Share::Alone).await;
    assert!(text(second).contains("another keyward server is running"));
    let beside = Db::open(&f.target, 1, Share::Beside).await.unwrap();
    let tenant = f.tenant;
    let both = f
        .at_once(40, async |i| {
            let db = if i % 2 == 0 { &f.db } else { &beside };
            db.write(async move |tx| put(tx, tenant, i as u8).await).await
        })
        .await;
    assert!(both.iter().all(Result::is_ok));
    assert_eq!(f.rows().await, 40);
    beside.close().await;
    f.db.close().await;
    let Fixture { db, target, .. } = &f;
    assert!(text(db.write(async |_| Ok(())).await).contains("closed"));
    assert!(Db::open(target, 1, Share::Alone).await.is_err(), "the lock lasts as long as its owner");
}

#[tokio::test]
async fn closing_finishes_what_is_queued() {
    let f = Fixture::sqlite().await;
    let results = f
        .at_once(10, async |i| match i {
            0 => f.held_up(20).await,
            9 => {
                f.db.close().await;
                Ok(())
            }
            i => f.put(i as u8).await,
        })
        .await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(!f.path().with_extension("db-wal").exists(), "the log was folded into the file");
    let again = Db::open(&f.target, 1, Share::Beside).await.unwrap();
    assert_eq!(spent_jti::Entity::find().count(again.read()).await.unwrap(), 8);
}

#[tokio::test]
async fn readers_cannot_write_and_files_are_their_owners_alone() {
    let f = Fixture::sqlite().await;
    f.put(1).await.unwrap();
    assert!(f.db.read().execute_unprepared("DELETE FROM spent_jti").await.is_err());
    for suffix in ["", "-wal", "-shm", "-lock"] {
        let path = format!("{}{suffix}", f.path().display());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path}");
    }
}

#[tokio::test]
async fn the_schema_goes_up_down_and_up_and_a_newer_one_is_refused() {
    each_database(async |f| {
        assert!(f.db.migrations().await.unwrap().iter().all(|(_, applied)| *applied));
        for _ in Migrator::migrations() {
            Db::migrate_down(&f.target).await.unwrap();
        }
        assert!(f.db.migrations().await.unwrap().iter().all(|(_, applied)| !*applied));
        Db::migrate(&f.target).await.unwrap();
        Db::migrate(&f.target).await.unwrap();
        let tenant = f.tenant;
        f.db.write(async move |tx| {
            tenant::Entity::insert(a_tenant(tenant)).exec_without_returning(tx).await?;
            put(tx, tenant, 1).await
        })
        .await
        .unwrap();
        let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_far', 1)";
        f.db.write(async move |tx| Ok(tx.execute_unprepared(newer).await.map(drop)?)).await.unwrap();
        for refused in [Db::migrate(&f.target).await, f.db.migrations().await.map(drop)] {
            assert!(text(refused).contains("written by a newer version of Keyward (it has m29991231_000001_far)"));
        }
    })
    .await;
}

#[tokio::test]
async fn two_that_migrate_at_once_do_not_meet() {
    each_database(async |f| {
        Db::migrate_down(&f.target).await.unwrap();
        let both = f.at_once(2, async |_| Db::migrate(&f.target).await).await;
        assert!(both.iter().all(Result::is_ok), "{both:?}");
    })
    .await;
}

#[tokio::test]
async fn values_are_told_apart_by_every_byte() {
    each_database(async |f| {
        for slug in ["code", "Code", "code ", "c\u{f6}de"] {
            f.db.write(async move |tx| {
                let row = tenant::ActiveModel { slug: Set(slug.into()), ..a_tenant(TenantId::new()) };
                Ok(tenant::Entity::insert(row).exec_without_returning(tx).await.map(drop)?)
            })
            .await
            .unwrap();
        }
        let found = tenant::Entity::find().filter(tenant::Column::Slug.eq("Code")).all(f.db.read()).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].slug.as_str(), &found[0].root.0), ("Code", &vec![1, 2, 3]));
    })
    .await;
}

/// Each column of a table, and whether it may be empty.
async fn columns(f: &Fixture, table: &str) -> BTreeMap<String, bool> {
    let sql = match f.db.read().get_database_backend() {
        DbBackend::Sqlite => format!("SELECT name, \"notnull\" = 0 AS empty FROM pragma_table_info('{table}')"),
        DbBackend::Postgres => format!(
            "SELECT column_name::text AS name, is_nullable = 'YES' AS empty FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = '{table}'"
        ),
        _ => format!(
            "SELECT column_name AS name, is_nullable = 'YES' AS empty FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = '{table}'"
        ),
    };
    let rows =
        f.db.read().query_all_raw(Statement::from_string(f.db.read().get_database_backend(), sql)).await.unwrap();
    rows.iter()
        .map(|row| {
            (
                row.try_get("", "name").unwrap(),
                row.try_get::<bool>("", "empty").unwrap_or_else(|_| row.try_get::<i32>("", "empty").unwrap() == 1),
            )
        })
        .collect()
}

async fn tables(f: &Fixture) -> BTreeSet<String> {
    let sql = match f.db.read().get_database_backend() {
        DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        DbBackend::Postgres => {
            "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = current_schema()"
        }
        _ => "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()",
    };
    let rows =
        f.db.read().query_all_raw(Statement::from_string(f.db.read().get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", "name").unwrap()).filter(|t| t != "seaql_migrations").collect()
}

#[tokio::test]
async fn every_entity_is_its_table_and_every_table_has_an_entity() {
    each_database(async |f| {
        let mut known = BTreeSet::new();
        macro_rules! compare {
            ($($table:ident)*) => {$(
                let entity = entity::$table::Column::iter()
                    .map(|c| (c.to_string(), c.def().is_null()))
                    .collect::<BTreeMap<_, _>>();
                let table = entity::$table::Entity.table_name();
                assert_eq!(columns(&f, table).await, entity, "{table}");
                entity::$table::Entity::find().all(f.db.read()).await.unwrap_or_else(|e| panic!("{table}: {e}"));
                known.insert(table.to_owned());
            )*};
        }
        compare! {
            audit_event authorization_code browser_session client client_secret consent deployment flow identifier issuer
            job link password revision revoked_token session session_client pairwise_subject initial_access_token client_logo decryption_key signing_key spent_jti tenant throttle token_grant user
        }
        assert_eq!(tables(&f).await, known);
    })
    .await;
}

#[tokio::test]
async fn a_reference_across_tenants_cannot_be_written() {
    each_database(async |f| {
        let tenant = TenantId::new();
        assert!(f.db.write(async move |tx| put(tx, tenant, 1).await).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn another_master_key_is_noticed() {
    each_database(async |f| {
        f.db.check_master_key(Hash(vec![1; 32]), Micros(1)).await.unwrap();
        f.db.check_master_key(Hash(vec![1; 32]), Micros(2)).await.unwrap();
        assert!(text(f.db.check_master_key(Hash(vec![2; 32]), Micros(3)).await).contains("master key"));
    })
    .await;
}

async fn touch(tx: &Tx, tenant: TenantId, n: u8) -> Result<()> {
    spent_jti::Entity::update_many()
        .col_expr(spent_jti::Column::ExpiresAt, sea_orm::sea_query::Expr::value(9))
        .filter(spent_jti::Column::TenantId.eq(tenant))
        .filter(spent_jti::Column::Hash.eq(Hash(vec![n; 32])))
        .exec(tx)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_deadlock_is_run_again() {
    each_database(async |f| {
        let tenant = f.tenant;
        f.put(1).await.unwrap();
        f.put(2).await.unwrap();
        let both = f
            .at_once(2, async |i| {
                let (first, second) = if i == 0 { (1, 2) } else { (2, 1) };
                f.db.write(async move |tx| {
                    touch(tx, tenant, first).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    touch(tx, tenant, second).await
                })
                .await
            })
            .await;
        assert!(both.iter().all(Result::is_ok), "{both:?}");
    })
    .await;
}

#[test]
fn a_database_url_names_a_file_or_a_server() {
    let parse = |url: &str| Target::parse(url, Path::new("/data"));
    assert_eq!(parse(""), Ok(Target::Sqlite("/data/keyward.db".into())));
    assert_eq!(parse("sqlite:///a/b.db?mode=rwc"), Ok(Target::Sqlite("/a/b.db".into())));
    assert_eq!(parse("sqlite:b.db"), Ok(Target::Sqlite("b.db".into())));
    assert_eq!(parse("mariadb://h/d"), Ok(Target::Server("mysql://h/d".into())));
    assert!(parse("sqlite::memory:").is_err() && parse("oracle://h").is_err());
    assert_eq!(parse("postgres://u:secret@h/d").unwrap().shown(), "postgres://h/d");
}
