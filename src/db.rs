//! The database: one door for writes, readers beside it, the same for SQLite, PostgreSQL and MariaDB.
//!
//! Start at [`Db::write`]. On SQLite it feeds one writer (`db/door.rs`) that commits the writes of all who wait at once;
//! on PostgreSQL and MariaDB it is an ordinary transaction, run again after a deadlock. A closure takes owned input and
//! `&Tx`; it makes no HTTP call, no hash, no wait. Nobody is answered before the commit.
//!
//! How a connection is set up is in `db/connect.rs`, the schema's age in `db/schema.rs`. Nothing here polls: an idle
//! process costs nothing.

mod connect;
mod door;
mod schema;

use crate::error::{Error, Result};
use door::{Door, Progress};
use entity::{Hash, Micros, TenantId, deployment};
use sea_orm::sea_query::{InsertStatement, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, EntityTrait, ExecResult, Iterable, PrimaryKeyToColumn, QueryFilter, QueryResult, QuerySelect, QueryTrait,
    RuntimeErr, SqlxError, Statement, TransactionTrait, TryGetable, Value,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// One statement, or the whole of a write, may take this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3);
/// Waiting for a connection or for one's turn may take this long; then 503.
pub(crate) const WAIT: Duration = Duration::from_secs(2);
/// Rows that one write of a sweep deletes, and such writes in one sweep; the next one goes on.
const SWEEP: u64 = 200;
const SWEEPS: usize = 5_000;
/// Pauses before a write that met others is tried again.
const PAUSES_MS: [u64; 6] = [0, 5, 20, 60, 150, 300];

pub struct Db {
    read: DatabaseConnection,
    door: Option<Door>,
    health: Arc<Health>,
    /// Held while `serve` runs on a SQLite file: a second server on it must not start.
    _lock: Option<std::fs::File>,
}

/// What the writer and its owner both must know.
struct Health {
    broken: watch::Sender<bool>,
    fail_next_commit: AtomicBool,
}

/// Where the database is.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Sqlite(PathBuf),
    Server(String),
}

/// Whether this process is the only server on the file, or a command beside it. Servers share PostgreSQL and MariaDB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    Alone,
    Beside,
}

/// A write under way. It can run statements and nothing else: no begin, no commit, no nested write.
///
/// The first statement that fails makes the whole write fail, on every database, as PostgreSQL has it: later ones are
/// refused, and a closure that swallows the error is not committed either.
pub struct Tx {
    inner: DatabaseTransaction,
    state: AtomicU8,
}

/// The states of a [`Tx`].
const CLEAN: u8 = 0;
const FAILED: u8 = 1;
/// It failed in a way that another try may cure.
const CONFLICT: u8 = 2;

impl Target {
    /// Reads a `DATABASE_URL`; an empty one means the embedded database in `data_dir`.
    ///
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
    /// Connects. A server takes the file for itself first and brings the schema up to date then, so that one which is
    /// turned away changes nothing; a command makes no file and leaves the schema as it is. `pool_size` counts
    /// connections to a server; SQLite has one writer and four readers.
    ///
    /// # Errors
    /// `Unavailable` when the database is not there, cannot be reached, was written by a newer version, or is in use by
    /// another server.
    pub async fn open(target: &Target, pool_size: u32, share: Share) -> Result<Self> {
        let health = Arc::new(Health { broken: watch::Sender::new(false), fail_next_commit: AtomicBool::new(false) });
        match target {
            Target::Sqlite(path) => {
                let lock = match share {
                    Share::Alone => {
                        let lock = connect::lock(path)?;
                        Self::migrate(target).await?;
                        Some(lock)
                    }
                    Share::Beside => {
                        connect::expect(path)?;
                        None
                    }
                };
                let door = Door::open(path, Arc::new(Progress::new()), health.clone()).await?;
                let read = connect::readers(path).await?;
                Ok(Self { read, door: Some(door), health, _lock: lock })
            }
            Target::Server(url) => {
                if share == Share::Alone {
                    Self::migrate(target).await?;
                }
                let read = connect::server(url, pool_size).await?;
                Ok(Self { read, door: None, health, _lock: None })
            }
        }
    }

    /// Keeps servers away from a SQLite file for as long as the guard lives, as while its schema is changed.
    ///
    /// # Errors
    /// `Unavailable` when one is running on it.
    pub fn without_servers(target: &Target) -> Result<Option<std::fs::File>> {
        match target {
            Target::Sqlite(path) => connect::lock(path).map(Some),
            Target::Server(_) => Ok(None),
        }
    }

    /// Whether a server is running on a SQLite file; of a database server it is not known.
    ///
    /// # Errors
    /// `Unavailable` when the lock beside the file cannot be opened.
    pub fn has_server(target: &Target) -> Result<bool> {
        match target {
            Target::Sqlite(path) => connect::is_locked(path),
            Target::Server(_) => Ok(false),
        }
    }

    /// Whether a master key was noted for this database ([`Db::check_master_key`]).
    ///
    /// # Errors
    /// The database's.
    pub async fn has_master_key(&self) -> Result<bool> {
        Ok(deployment::Entity::find_by_id(1).one(&self.read).await?.is_some())
    }

    /// For statements that change nothing.
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    pub fn is_sqlite(&self) -> bool {
        self.door.is_some()
    }

    /// A commit failed in a way after which the page cache cannot be trusted: the process must end. Until then no
    /// write is let in.
    pub fn is_broken(&self) -> bool {
        *self.health.broken.borrow()
    }

    /// Returns once [`Db::is_broken`]; does not poll.
    pub async fn until_broken(&self) {
        let mut broken = self.health.broken.subscribe();
        broken.wait_for(|broken| *broken).await.ok();
    }

    /// Writes that wait for their turn; none on PostgreSQL and MariaDB, where they wait for connections.
    pub fn waiting(&self) -> usize {
        self.door.as_ref().map_or(0, Door::waiting)
    }

    /// Makes the next commit fail as an I/O error would: nothing of it stays.
    #[doc(hidden)]
    pub fn fail_next_commit(&self) {
        self.health.fail_next_commit.store(true, Ordering::Relaxed);
    }

    /// Runs one write and answers after its commit.
    ///
    /// The closure may run more than once. When it returns an error, or any statement in it failed, nothing of it stays:
    /// what must be kept although the request fails (a raised counter, an audit event) is returned as `Ok`. It must not
    /// call `write` itself. The write goes on when the caller goes away after its turn has come.
    ///
    /// # Errors
    /// The closure's own; `Busy` when its turn did not come in two seconds or it met other writes again and again;
    /// `Unavailable` when it took longer than three seconds or the commit failed.
    pub async fn write<F, T>(&self, f: F) -> Result<T>
    where
        F: AsyncFn(&Tx) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        match &self.door {
            Some(door) => door.write(f).await,
            // The deadline covers the wait for a connection and the commit too.
            None => match tokio::time::timeout(WAIT + DEADLINE, self.transaction(f)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(late()),
            },
        }
    }

    async fn transaction<F, T>(&self, f: F) -> Result<T>
    where
        F: AsyncFn(&Tx) -> Result<T>,
    {
        let mut last = None;
        for pause_ms in PAUSES_MS {
            if pause_ms > 0 {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
            // READ COMMITTED is set for the session: asking here would cost a round trip each time.
            let tx = match self.read.begin().await {
                Ok(inner) => Tx::new(inner),
                // The server hung up on a pooled connection; nothing was sent yet, so another one will do.
                Err(e) if pause_ms == 0 && !matches!(e, DbErr::ConnectionAcquire(_)) => {
                    last = Some(e.into());
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            let outcome = match tokio::time::timeout(DEADLINE, f(&tx)).await {
                Ok(outcome) => tx.judged(outcome),
                Err(_) => Err(late()),
            };
            let error = match outcome {
                Ok(value) if self.health.fail_next_commit.swap(false, Ordering::Relaxed) => {
                    drop(value);
                    tx.inner.rollback().await.ok();
                    return Err(Error::unavailable("the commit failed: asked to, by a test"));
                }
                Ok(value) => match tx.inner.commit().await {
                    Ok(()) => return Ok(value),
                    Err(e) if is_conflict(&e) => Error::from(e),
                    Err(e) => return Err(Error::unavailable(format!("the commit failed: {e}"))),
                },
                Err(error) => {
                    let again = tx.state.load(Ordering::Relaxed) == CONFLICT;
                    tx.inner.rollback().await.ok();
                    if !again {
                        return Err(error);
                    }
                    error
                }
            };
            last = Some(error);
        }
        Err(Error::busy(last.map_or_else(String::new, |e| format!("a write met others again and again: {e}"))))
    }

    /// Deletes rows that nobody needs any more, two hundred at a time, so that no write is held up and none is too long.
    /// `by` is what the primary key has beside the tenant; `condition` is asked again when they are deleted.
    ///
    /// # Errors
    /// What the database says; what was deleted by then stays deleted.
    pub async fn sweep<E, T>(&self, by: E::Column, condition: Condition) -> Result<u64>
    where
        E: EntityTrait,
        T: TryGetable + Into<Value> + Clone + Send + Sync + 'static,
        E::Column: 'static,
    {
        let first = E::PrimaryKey::iter().next().map(PrimaryKeyToColumn::into_column);
        let tenant = first.ok_or_else(|| Error::internal("a table without a primary key"))?;
        let mut gone = 0;
        for _ in 0..SWEEPS {
            let due: Vec<(TenantId, T)> = E::find()
                .select_only()
                .columns([tenant, by])
                .filter(condition.clone())
                .limit(SWEEP)
                .into_tuple()
                .all(&self.read)
                .await?;
            if due.is_empty() {
                break;
            }
            let (batch, again) = (due.len() as u64, condition.clone());
            let mut of = HashMap::<TenantId, Vec<T>>::new();
            for (id, key) in due {
                of.entry(id).or_default().push(key);
            }
            gone += self
                .write(async move |tx| {
                    let mut gone = 0;
                    for (id, keys) in &of {
                        // The whole key: by less, the database would look at all that is due, for each batch anew.
                        let rows = E::delete_many().filter(tenant.eq(*id)).filter(by.is_in(keys.clone()));
                        gone += rows.filter(again.clone()).exec(tx).await?.rows_affected;
                    }
                    Ok(gone)
                })
                .await?;
            if batch < SWEEP {
                break;
            }
        }
        Ok(gone)
    }

    /// Checks that this master key is the one that the database was sealed with; the first one is noted.
    ///
    /// # Errors
    /// `Internal` when it is another.
    pub async fn check_master_key(&self, check: Hash, now: Micros) -> Result<()> {
        let matches = self
            .write(async move |tx| {
                let row =
                    deployment::ActiveModel { id: Set(1), master_key_check: Set(check.clone()), created_at: Set(now) };
                // Two servers may start at once: the first row stays.
                insert_if_new(tx, deployment::Entity::insert(row).into_query()).await?;
                let row = deployment::Entity::find_by_id(1).one(tx).await?;
                Ok(row.is_some_and(|row| row.master_key_check == check))
            })
            .await?;
        if matches {
            Ok(())
        } else {
            Err(Error::internal(
                "the master key is not the one that this database was sealed with; it came from ENCRYPTION_KEY where that \
                 is set, else from master.key in the data directory: restore the one that was there before",
            ))
        }
    }

    /// Ends the writer after what is queued, and closes the connections; what was acknowledged is on disk already.
    pub async fn close(&self) {
        if let Some(door) = &self.door {
            door.close().await;
        }
        self.read.close_by_ref().await.ok();
    }
}

/// Inserts unless a row with one of its unique keys is there, and says whether it did.
///
/// On MariaDB a broken reference counts as "there" (`INSERT IGNORE`), so that the answer errs towards refusing.
///
/// # Errors
/// What the database says.
pub(crate) async fn insert_if_new(tx: &impl ConnectionTrait, mut insert: InsertStatement) -> Result<bool, DbErr> {
    let backend = tx.get_database_backend();
    let statement = match backend {
        DbBackend::MySql => {
            let mut statement = backend.build(&insert);
            statement.sql = statement.sql.replacen("INSERT", "INSERT IGNORE", 1);
            statement
        }
        _ => backend.build(insert.on_conflict(OnConflict::new().do_nothing().to_owned())),
    };
    Ok(tx.execute_raw(statement).await?.rows_affected() > 0)
}

impl Health {
    fn is_broken(&self) -> bool {
        *self.broken.borrow()
    }
}

impl Tx {
    fn new(inner: DatabaseTransaction) -> Self {
        Self { inner, state: AtomicU8::new(CLEAN) }
    }

    /// A closure that swallowed the error of a statement has failed all the same.
    fn judged<T>(&self, outcome: Result<T>) -> Result<T> {
        match outcome {
            Ok(_) if self.state.load(Ordering::Relaxed) != CLEAN => {
                Err(Error::internal("a failed statement was ignored"))
            }
            outcome => outcome,
        }
    }

    fn usable(&self) -> Result<(), DbErr> {
        match self.state.load(Ordering::Relaxed) {
            CLEAN => Ok(()),
            _ => Err(DbErr::Custom("an earlier statement of this write failed".into())),
        }
    }

    fn note<T>(&self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        if let Err(e) = &result {
            self.state.store(if is_conflict(e) { CONFLICT } else { FAILED }, Ordering::Relaxed);
        }
        result
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.usable()?;
        self.note(self.inner.execute_raw(statement).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.usable()?;
        self.note(self.inner.execute_unprepared(sql).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.usable()?;
        self.note(self.inner.query_one_raw(statement).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.usable()?;
        self.note(self.inner.query_all_raw(statement).await)
    }
}

fn late() -> Error {
    Error::unavailable("a write took longer than its deadline")
}

/// What the driver says of a failure, when it is the driver that speaks.
fn cause(e: &DbErr) -> Option<&SqlxError> {
    match e {
        DbErr::Exec(RuntimeErr::SqlxError(e))
        | DbErr::Query(RuntimeErr::SqlxError(e))
        | DbErr::Conn(RuntimeErr::SqlxError(e)) => Some(e),
        _ => None,
    }
}

/// Two writes met, and this one was chosen to give way, or came second with a unique key: run again, it finds the row
/// that it had looked for before the other one was committed. On SQLite, where nobody writes meanwhile, neither happens.
fn is_conflict(e: &DbErr) -> bool {
    use sea_orm::sqlx::mysql::MySqlDatabaseError;
    let Some(SqlxError::Database(e)) = cause(e) else { return false };
    if let Some(e) = e.try_downcast_ref::<MySqlDatabaseError>() {
        // Deadlock, lock wait timeout, MariaDB's "record has changed since last read", duplicate entry.
        return matches!(e.number(), 1213 | 1205 | 1020 | 1062);
    }
    // PostgreSQL, appendix A: serialization_failure, deadlock_detected, lock_not_available, unique_violation.
    e.code().is_some_and(|code| matches!(code.as_ref(), "40001" | "40P01" | "55P03" | "23505"))
}

/// SQLite's primary result code (https://www.sqlite.org/rescode.html); sqlx gives the extended one.
fn sqlite_code(e: &DbErr) -> Option<u32> {
    use sea_orm::sqlx::sqlite::SqliteError;
    let SqlxError::Database(e) = cause(e)? else { return None };
    e.try_downcast_ref::<SqliteError>()?;
    Some(e.code()?.parse::<u32>().ok()? & 0xff)
}

#[cfg(test)]
pub(crate) mod tests;
