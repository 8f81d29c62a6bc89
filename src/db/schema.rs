//! The schema's age: bringing it up to date, taking a step back, saying where it stands.

use super::{Db, Target, connect};
use crate::error::{Error, Result};
use migration::{Migrator, MigratorTrait, SchemaManagerConnection};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};

/// "keyward" in ASCII; any number that nobody else locks.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(30229394876363364)";
/// Seconds; the name is per server, so it carries the database's.
const MYSQL_LOCK: &str = "SELECT GET_LOCK(CONCAT('keyward ', DATABASE()), 60)";
const MYSQL_UNLOCK: &str = "DO RELEASE_LOCK(CONCAT('keyward ', DATABASE()))";

enum Step {
    Up,
    Down,
}

impl Db {
    /// Brings the schema up to date; one process at a time. SQLite and PostgreSQL take all of it or nothing; MariaDB
    /// commits each change of the schema by itself.
    ///
    /// # Errors
    /// When the database was written by a newer version, or cannot be changed.
    pub async fn migrate(target: &Target) -> Result<()> {
        step(target, Step::Up).await
    }

    /// Takes back the last migration.
    ///
    /// # Errors
    /// As [`Db::migrate`]; `Unavailable` when there is no database.
    pub async fn migrate_down(target: &Target) -> Result<()> {
        Self::expect_file(target)?;
        step(target, Step::Down).await
    }

    /// Each migration and whether it was applied. Changes nothing.
    ///
    /// # Errors
    /// As [`Db::migrate`].
    pub async fn migrations(&self) -> Result<Vec<(String, bool)>> {
        let pending = Migrator::get_pending_migrations_read_only(self.read()).await.map_err(newer)?;
        let pending: Vec<&str> = pending.iter().map(|m| m.name()).collect();
        Ok(Migrator::migrations().iter().map(|m| (m.name().to_owned(), !pending.contains(&m.name()))).collect())
    }

    /// Refuses a SQLite file that is not there.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn expect_file(target: &Target) -> Result<()> {
        match target {
            Target::Sqlite(path) => connect::expect(path),
            Target::Server(_) => Ok(()),
        }
    }

    /// Refuses a schema that is older or newer than this program's, in words.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn expect_current(&self, target: &Target) -> Result<()> {
        match self.migrations().await?.iter().filter(|(_, applied)| !applied).count() {
            0 => Ok(()),
            n => Err(Error::unavailable(format!(
                "the schema of {} lacks {n} change(s); run: keyward migrate up",
                target.shown()
            ))),
        }
    }
}

async fn step(target: &Target, step: Step) -> Result<()> {
    let db = match target {
        Target::Sqlite(path) => {
            connect::create(path)?;
            connect::writer(path, None).await?
        }
        Target::Server(url) => connect::for_migration(url).await?,
    };
    let done = locked(&db, step).await;
    db.close().await.ok();
    done
}

async fn locked(db: &DatabaseConnection, step: Step) -> Result<()> {
    match db.get_database_backend() {
        DbBackend::MySql => {
            // The pool has one connection, so that the lock and the changes are of one session.
            let row = db.query_one_raw(Statement::from_string(DbBackend::MySql, MYSQL_LOCK)).await?;
            let held: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
            if held != Some(1) {
                return Err(Error::unavailable("another process has been migrating the database for a minute"));
            }
            let done = run(SchemaManagerConnection::Connection(db), step).await;
            db.execute_unprepared(MYSQL_UNLOCK).await.ok();
            done
        }
        backend => {
            let mode = (backend == DbBackend::Sqlite).then_some(SqliteTransactionMode::Immediate);
            let options = TransactionOptions { sqlite_transaction_mode: mode, ..Default::default() };
            let tx = db.begin_with_options(options).await?;
            if backend == DbBackend::Postgres {
                tx.execute_unprepared(POSTGRES_LOCK).await?;
            }
            run(SchemaManagerConnection::Transaction(&tx), step).await?;
            Ok(tx.commit().await?)
        }
    }
}

async fn run(db: SchemaManagerConnection<'_>, step: Step) -> Result<()> {
    let done = match step {
        Step::Up => Migrator::up(db, None).await,
        Step::Down => Migrator::down(db, Some(1)).await,
    };
    done.map_err(newer)
}

/// A migration that was applied and is unknown here comes from a later release.
fn newer(e: DbErr) -> Error {
    match e {
        DbErr::Custom(text) if text.contains("file is missing") => {
            let name = text.split('\'').nth(1).unwrap_or_default().to_owned();
            Error::unavailable(format!("the database was written by a newer version of Keyward (it has {name})"))
        }
        e => e.into(),
    }
}
