//! A database per test: a SQLite file, or one on the server that `KEYWARD_TEST_DATABASE_URL` names.
//!
//! Migrations run once per test process: PostgreSQL copies a template, MariaDB gets the statements of the migrated one.

use keyward::db::{Db, Target};
use sea_orm::{ConnectionTrait, Database as Connection, DatabaseConnection, DbBackend, Statement};
use std::path::{Path, PathBuf};
use tokio::sync::OnceCell;

pub struct Database {
    file: Option<PathBuf>,
    server: Option<(String, String)>,
}

static TEMPLATE: OnceCell<String> = OnceCell::const_new();

#[allow(clippy::disallowed_methods)]
pub fn server_url() -> Option<String> {
    std::env::var("KEYWARD_TEST_DATABASE_URL").ok().filter(|u| !u.is_empty())
}

impl Database {
    pub async fn new(dir: &Path) -> Self {
        let Some(base) = server_url() else { return Self { file: Some(dir.join("keyward.db")), server: None } };
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        let template = TEMPLATE.get_or_init(|| make_template(base.clone())).await;
        let admin = connect(&base).await;
        match admin.get_database_backend() {
            DbBackend::Postgres => run(&admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await,
            _ => copy(&admin, template, &name).await,
        }
        admin.close().await.unwrap();
        Self { file: None, server: Some((base, name)) }
    }

    pub fn url(&self) -> String {
        match (&self.file, &self.server) {
            (Some(file), _) => format!("sqlite://{}", file.display()),
            (None, Some((base, name))) => with_name(base, name),
            (None, None) => unreachable!(),
        }
    }

    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(url.to_owned());
    options.max_connections(1).sqlx_logging(false);
    Connection::connect(options).await.unwrap()
}

async fn run(conn: &DatabaseConnection, sql: &str) {
    conn.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}

fn with_name(base: &str, name: &str) -> String {
    let mut url = url::Url::parse(base).unwrap();
    url.set_path(name);
    url.to_string()
}

async fn make_template(base: String) -> String {
    let name = format!("template_{}", uuid::Uuid::new_v4().simple());
    let admin = connect(&base).await;
    run(&admin, &format!("CREATE DATABASE {name}")).await;
    admin.close().await.unwrap();
    Db::migrate(&Target::parse(&with_name(&base, &name), Path::new(".")).unwrap()).await.unwrap();
    name
}

async fn copy(admin: &DatabaseConnection, template: &str, name: &str) {
    let backend = admin.get_database_backend();
    run(admin, &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin")).await;
    run(admin, "SET FOREIGN_KEY_CHECKS=0").await;
    let tables =
        admin.query_all_raw(Statement::from_string(backend, format!("SHOW TABLES FROM {template}"))).await.unwrap();
    for row in tables {
        let table: String = row.try_get_by_index(0).unwrap();
        let made = admin
            .query_one_raw(Statement::from_string(backend, format!("SHOW CREATE TABLE {template}.`{table}`")))
            .await
            .unwrap()
            .unwrap();
        let sql: String = made.try_get_by_index(1).unwrap();
        let sql = sql.replacen(&format!("CREATE TABLE `{table}`"), &format!("CREATE TABLE {name}.`{table}`"), 1);
        let sql = sql.replace("REFERENCES `", &format!("REFERENCES {name}.`"));
        run(admin, &sql).await;
        run(admin, &format!("INSERT INTO {name}.`{table}` SELECT * FROM {template}.`{table}`")).await;
    }
    run(admin, "SET FOREIGN_KEY_CHECKS=1").await;
}
