//! How connections are made: SQLite's files and pragmas, the sessions of PostgreSQL and MariaDB.

use super::door::Progress;
use super::{WAIT, cause};
use crate::error::{Error, Result};
use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{Executor, MySql, Postgres, Row, Sqlite};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const READERS: u32 = 4;
/// A command beside the server (or a backup) may hold SQLite's write lock this long.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// The write-ahead log is cut back to this after a checkpoint that could reset it.
const LOG_LIMIT_BYTES: &str = "67108864";
/// SQLite's virtual machine instructions between two looks at the deadline: about a millisecond.
const INSTRUCTIONS: i32 = 20_000;
/// Before 3.51.3, concurrent checkpoints could corrupt a database in WAL mode (https://sqlite.org/wal.html#walresetbug).
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];
/// A connection to a server that lay idle this long is tried before it is used.
const DOUBT_AFTER: Duration = Duration::from_secs(10);

// 3 s a statement, 2 s for a lock. A transaction that its process forgot must not hold locks for ever either.
const POSTGRES_SESSION: &str = "SET statement_timeout = 3000; SET lock_timeout = 2000; SET TimeZone = 'UTC'; \
    SET idle_in_transaction_session_timeout = 10000; SET default_transaction_isolation = 'read committed'";
// REPEATABLE READ, the default, locks gaps. Without strict mode a value that is too long is cut off in silence.
const MYSQL_SESSION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SET SESSION innodb_lock_wait_timeout = 2, time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')";
const MARIADB_LIMIT: &str = "SET SESSION max_statement_time = 3";
/// MySQL limits what reads only.
const MYSQL_LIMIT: &str = "SET SESSION max_execution_time = 3000";

/// Whether a session's statements are timed. Migrations may take what they need.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Limits {
    On,
    Off,
}

/// Takes the lock of the only server on this file; the kernel gives it back when the process ends, however it ends.
pub(super) fn lock(path: &Path) -> Result<File> {
    let beside = with_suffix(path, "-lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&beside);
    let file = file.map_err(|e| unopened(&beside, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::unavailable(format!("another keyward server is running on {}", path.display())))
        }
        Err(TryLockError::Error(e)) => Err(Error::unavailable(format!("{} cannot be locked: {e}", beside.display()))),
    }
}

/// Whether somebody holds that lock; makes nothing.
pub(super) fn is_locked(path: &Path) -> Result<bool> {
    let beside = with_suffix(path, "-lock");
    match OpenOptions::new().write(true).open(&beside) {
        Ok(file) => Ok(matches!(file.try_lock(), Err(TryLockError::WouldBlock))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(unopened(&beside, &e)),
    }
}

fn unopened(path: &Path, e: &std::io::Error) -> Error {
    Error::unavailable(format!("{} cannot be opened: {e}", path.display()))
}

/// Makes the file, readable by its owner alone; SQLite gives its log and index the mode of the database.
pub(super) fn create(path: &Path) -> Result<()> {
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    made.map(drop).map_err(|e| unopened(path, &e))
}

/// For whoever must not make the file.
pub(super) fn expect(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(about) if about.is_file() => Ok(()),
        Ok(_) => Err(Error::unavailable(format!("{} is no file", path.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Error::unavailable(format!(
            "there is no database at {} yet; the first `keyward serve` makes it; if there is one elsewhere, name its \
             directory: --data-dir or KEYWARD__SERVER__DATA_DIR",
            path.display()
        ))),
        Err(e) => Err(unopened(path, &e)),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The one connection that writes.
pub(super) async fn writer(path: &Path, progress: Option<Arc<Progress>>) -> Result<DatabaseConnection> {
    let mut options = sqlite(path, 1);
    if let Some(progress) = progress {
        options.map_sqlx_sqlite_pool_opts(move |pool: PoolOptions<Sqlite>| {
            let progress = progress.clone();
            pool.after_connect(move |connection, _| {
                let progress = progress.clone();
                Box::pin(async move {
                    connection.lock_handle().await?.set_progress_handler(INSTRUCTIONS, move || progress.may_go_on());
                    Ok(())
                })
            })
        });
    }
    let writer = Database::connect(options).await?;
    assert_version(&writer).await?;
    Ok(writer)
}

pub(super) async fn readers(path: &Path) -> Result<DatabaseConnection> {
    let mut options = sqlite(path, READERS);
    let path = path.to_owned();
    options.map_sqlx_sqlite_opts(move |o| base(o, &path).pragma("query_only", "1"));
    Ok(Database::connect(options).await?)
}

fn base(o: sea_orm::sqlx::sqlite::SqliteConnectOptions, path: &Path) -> sea_orm::sqlx::sqlite::SqliteConnectOptions {
    o.filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(LOCK_WAIT)
        .statement_cache_capacity(256)
        .pragma("journal_size_limit", LOG_LIMIT_BYTES)
        .pragma("temp_store", "memory")
        .pragma("trusted_schema", "0")
}

fn sqlite(path: &Path, connections: u32) -> ConnectOptions {
    // The name in the URL is replaced: a path may hold any character.
    let mut options = ConnectOptions::new("sqlite:keyward.db");
    let path = path.to_owned();
    options
        .min_connections(connections)
        .max_connections(connections)
        .acquire_timeout(WAIT)
        // A file does not hang up: no maintenance task, no ping.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(move |o| base(o, &path));
    options
}

async fn assert_version(db: &DatabaseConnection) -> Result<()> {
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), "SELECT sqlite_version()")).await?;
    let version: String = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    if parts.as_slice() >= OLDEST_SQLITE.as_slice() {
        return Ok(());
    }
    Err(Error::unavailable(format!("SQLite {version} can corrupt its log; 3.51.3 or later is needed")))
}

pub(super) async fn server(url: &str, connections: u32) -> Result<DatabaseConnection> {
    connect(url, connections, Limits::On).await
}

/// One connection for changes of the schema.
pub(super) async fn for_migration(url: &str) -> Result<DatabaseConnection> {
    connect(url, 1, Limits::Off).await
}

async fn connect(url: &str, connections: u32, limits: Limits) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(WAIT)
        .test_before_acquire_if_idle_for(DOUBT_AFTER)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_postgres_pool_opts(move |pool: PoolOptions<Postgres>| {
            pool.after_connect(move |connection, _| {
                Box::pin(async move {
                    if limits == Limits::On {
                        connection.execute(POSTGRES_SESSION).await?;
                    }
                    Ok(())
                })
            })
        })
        .map_sqlx_mysql_pool_opts(move |pool: PoolOptions<MySql>| {
            pool.after_connect(move |connection, _| {
                Box::pin(async move {
                    connection.execute(MYSQL_SESSION).await?;
                    if limits == Limits::On {
                        let version: String = connection.fetch_one("SELECT VERSION()").await?.try_get(0)?;
                        let limit = if version.contains("MariaDB") { MARIADB_LIMIT } else { MYSQL_LIMIT };
                        connection.execute(limit).await?;
                    }
                    Ok(())
                })
            })
        });
    match Database::connect(options).await {
        Ok(connection) => Ok(connection),
        Err(e) => Err(Error::unavailable(said(url, &e).await)),
    }
}

/// Where the database should be, and the driver's own words. The pool tries on until its time is over and forgets why:
/// who refuses its connections is asked once more.
async fn said(url: &str, e: &DbErr) -> String {
    let words = cause(e).map_or_else(|| e.to_string(), ToString::to_string);
    let Some((host, port)) = url::Url::parse(url).ok().and_then(|u| Some((u.host_str()?.to_owned(), port(&u)))) else {
        return format!("the database cannot be reached: {words}");
    };
    let tried = tokio::time::timeout(WAIT, tokio::net::TcpStream::connect((host.as_str(), port))).await;
    let words = match tried {
        Ok(Ok(_)) => words,
        Ok(Err(refused)) => refused.to_string(),
        Err(_) => "it does not answer".to_owned(),
    };
    format!("the database at {host}:{port} cannot be reached: {words}")
}

fn port(url: &url::Url) -> u16 {
    url.port().unwrap_or(if url.scheme() == "mysql" { 3306 } else { 5432 })
}
