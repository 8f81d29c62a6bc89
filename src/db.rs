//! The database: one door for writes, readers beside it, the same for SQLite, PostgreSQL and MariaDB.
//!
//! Start at [`Db::write`]. On SQLite it feeds one writer (`db/door.rs`) that commits the writes of all who wait at once;
//! on PostgreSQL and MariaDB it is an ordinary transaction, run again after a deadlock. A closure takes owned input and
//! `&Tx`; it makes no HTTP call, no hash, no wait. Nobody is answered before the commit.

mod door;

use crate::error::{Error, Result};
use door::Door;
use entity::{Hash, Micros, deployment};
use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    AccessMode, ActiveValue::Set, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction,
    DbBackend, DbErr, EntityTrait, ExecResult, IsolationLevel, QueryResult, RuntimeErr, Statement, TransactionTrait,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// One statement, or the whole of a write, may take this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3);
/// Waiting for a connection or for one's turn may take this long; then 503.
pub(crate) const WAIT: Duration = Duration::from_secs(2);
const READERS: u32 = 4;

pub struct Db {
    read: DatabaseConnection,
    door: Option<Door>,
    broken: Arc<AtomicBool>,
    /// Held while `serve` runs on a SQLite file: a second server on it must not start.
    _lock: Option<std::fs::File>,
}

/// Where the database is.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Sqlite(PathBuf),
    Server(String),
}

/// Whether this process is the only server on the file, or a command beside it.
#[derive(Clone, Copy, PartialEq)]
pub enum Share {
    Alone,
    Beside,
}

/// A write under way. It can run statements and nothing else: no begin, no commit, no nested write.
pub struct Tx {
    inner: DatabaseTransaction,
    failed: AtomicBool,
}

impl Target {
    /// # Errors
    /// One line that names what is wrong with the URL.
    pub fn parse(url: &str, data_dir: &Path) -> Result<Self, String> {
        if url.is_empty() {
            return Ok(Target::Sqlite(data_dir.join("keyward.db")));
        }
        if let Some(rest) = url.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest).split('?').next().unwrap_or_default();
            if path.is_empty() || path == ":memory:" {
                return Err("DATABASE_URL names no file: sqlite:///path/to/keyward.db".into());
            }
            return Ok(Target::Sqlite(PathBuf::from(path)));
        }
        if ["postgres://", "postgresql://", "mysql://", "mariadb://"].iter().any(|s| url.starts_with(s)) {
            return Ok(Target::Server(url.replacen("mariadb://", "mysql://", 1)));
        }
        Err("DATABASE_URL must begin with sqlite:, postgres: or mysql:".into())
    }

    /// For people: without the password.
    pub fn shown(&self) -> String {
        match self {
            Target::Sqlite(path) => path.display().to_string(),
            Target::Server(url) => url::Url::parse(url).map_or_else(
                |_| "the database".into(),
                |u| format!("{}://{}{}", u.scheme(), u.host_str().unwrap_or(""), u.path()),
            ),
        }
    }
}

impl Db {
    /// Connects, without touching the schema.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be reached or the file is in use by another server.
    pub async fn open(target: &Target, pool_size: u32, share: Share) -> Result<Self> {
        let broken = Arc::new(AtomicBool::new(false));
        match target {
            Target::Sqlite(path) => {
                let lock = match share {
                    Share::Alone => Some(lock(path)?),
                    Share::Beside => None,
                };
                let progress = Arc::new(AtomicI64::new(i64::MAX));
                let writer = Database::connect(sqlite(path, 1, Some(progress.clone()))).await?;
                assert_sqlite(&writer).await?;
                let read = Database::connect(sqlite(path, READERS, None)).await?;
                Ok(Self { read, door: Some(Door::open(writer, progress, broken.clone())?), broken, _lock: lock })
            }
            Target::Server(url) => {
                let read = Database::connect(server(url, pool_size)).await?;
                Ok(Self { read, door: None, broken, _lock: None })
            }
        }
    }

    /// Brings the schema up to date; one process at a time.
    ///
    /// # Errors
    /// When the database was written by a newer version, or cannot be changed.
    pub async fn migrate(target: &Target) -> Result<()> {
        let db = one_connection(target).await?;
        let held = match db.get_database_backend() {
            // The number is "keyward" in ASCII, cut to 63 bits.
            DbBackend::Postgres => db.execute_unprepared("SELECT pg_advisory_lock(7738140107311309412)").await.map(drop),
            DbBackend::MySql => db.execute_unprepared("SELECT GET_LOCK('migration', 60)").await.map(drop),
            _ => Ok(()),
        };
        held?;
        let done = Migrator::up(&db, None).await.map_err(newer);
        db.close().await.ok();
        done
    }

    /// Takes back the last migration.
    ///
    /// # Errors
    /// As [`Db::migrate`].
    pub async fn migrate_down(target: &Target) -> Result<()> {
        let db = one_connection(target).await?;
        let done = Migrator::down(&db, Some(1)).await.map_err(newer);
        db.close().await.ok();
        done
    }

    /// Each migration and whether it was applied.
    ///
    /// # Errors
    /// As [`Db::migrate`].
    pub async fn migrations(&self) -> Result<Vec<(String, bool)>> {
        let all = Migrator::get_migration_with_status_read_only(&self.read).await.map_err(newer)?;
        Ok(all.iter().map(|m| (m.name().to_owned(), m.status() == sea_orm_migration_status::Applied)).collect())
    }

    /// For statements that change nothing.
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    pub fn is_sqlite(&self) -> bool {
        self.door.is_some()
    }

    /// A commit failed in a way after which the page cache cannot be trusted: the process must end.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Runs one write and answers after its commit.
    ///
    /// The closure may run more than once. When it returns an error, or any statement in it failed, nothing of it stays.
    ///
    /// # Errors
    /// The closure's own; `Busy` when its turn did not come in two seconds; `Unavailable` when the commit failed.
    pub async fn write<F, T>(&self, f: F) -> Result<T>
    where
        F: AsyncFn(&Tx) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        match &self.door {
            Some(door) => door.write(f).await,
            None => self.transaction(f).await,
        }
    }

    async fn transaction<F, T>(&self, f: F) -> Result<T>
    where
        F: AsyncFn(&Tx) -> Result<T>,
    {
        let started = Instant::now();
        for pause_ms in [5, 20, 60, 150, 300] {
            let inner = self
                .read
                .begin_with_config(Some(IsolationLevel::ReadCommitted), Some(AccessMode::ReadWrite))
                .await?;
            let tx = Tx::new(inner);
            let outcome = match tokio::time::timeout(DEADLINE, f(&tx)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    tx.rollback().await;
                    return Err(Error::unavailable("a write took longer than its deadline"));
                }
            };
            let conflict = tx.failed.load(Ordering::Relaxed);
            match (outcome, conflict) {
                (Ok(value), false) => {
                    tx.commit().await?;
                    return Ok(value);
                }
                (outcome, _) => {
                    let again = tx.conflicted();
                    tx.rollback().await;
                    if !again || started.elapsed() > DEADLINE {
                        return Err(outcome.err().unwrap_or_else(|| Error::internal("a failed statement was ignored")));
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        Err(Error::busy("a write met others again and again"))
    }

    /// Checks that this master key is the one that the database was sealed with; the first one is noted.
    ///
    /// # Errors
    /// `Internal` when it is another.
    pub async fn check_master_key(&self, check: Hash, now: Micros) -> Result<()> {
        let noted = self
            .write(async move |tx| {
                if let Some(row) = deployment::Entity::find_by_id(1).one(tx).await? {
                    return Ok(row.master_key_check == check);
                }
                let row = deployment::ActiveModel { id: Set(1), master_key_check: Set(check.clone()), created_at: Set(now) };
                deployment::Entity::insert(row).exec_without_returning(tx).await?;
                Ok(true)
            })
            .await?;
        if noted { Ok(()) } else { Err(Error::internal("the master key is not the one that this database was sealed with")) }
    }

    /// Ends the writer and closes the connections; what was acknowledged is on disk already.
    pub async fn close(self) {
        if let Some(door) = self.door {
            door.close().await;
        }
        self.read.close().await.ok();
    }
}

use migration::MigrationStatusWord as sea_orm_migration_status;

impl Tx {
    fn new(inner: DatabaseTransaction) -> Self {
        Self { inner, failed: AtomicBool::new(false) }
    }

    async fn commit(self) -> Result<(), DbErr> {
        self.inner.commit().await
    }

    async fn rollback(self) {
        self.inner.rollback().await.ok();
    }

    fn conflicted(&self) -> bool {
        // Whatever failed inside is noted as a conflict only by the codes that ask for another try.
        self.failed.load(Ordering::Relaxed) && CONFLICT.with(|c| c.take())
    }

    fn note<T>(&self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        if let Err(e) = &result {
            self.failed.store(true, Ordering::Relaxed);
            CONFLICT.with(|c| c.set(is_conflict(e)));
        }
        result
    }
}

thread_local! {
    static CONFLICT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}
