//! What certification asks for beyond the first schema: metadata of registrations, the `claims` parameter, pairwise
//! subjects, applications of a session, logos, keys that others encrypt to.

use crate::shape::{Kind, index, name, of_tenant};
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;
use sea_query::ColumnDef;

#[derive(DeriveMigrationName)]
pub struct Migration;

fn tables() -> Vec<TableCreateStatement> {
    vec![
        of_tenant("session_client")
            .uuid("session_id")
            .key("session_id")
            .uuid("client")
            .key("client")
            .time("created_at")
            .refers("session_id", "session")
            .refers("client", "client")
            .done(),
        of_tenant("pairwise_subject")
            .uuid("user_id")
            .key("user_id")
            .text("sector", 255)
            .key("sector")
            .text("sub", 100)
            .time("created_at")
            .refers("user_id", "users")
            .done(),
        of_tenant("initial_access_token")
            .hash("hash")
            .key("hash")
            .text("name", 200)
            .small("remaining")
            .time("created_at")
            .time("expires_at")
            .done(),
        of_tenant("client_logo")
            .uuid("client")
            .key("client")
            .text("content_type", 40)
            .bytes("bytes")
            .time("fetched_at")
            .refers("client", "client")
            .done(),
        of_tenant("decryption_key")
            .uuid("id")
            .key("id")
            .text("kid", 64)
            .word("alg")
            .json("public")
            .bytes("private")
            .time("created_at")
            .time_null("replaced_at")
            .done(),
    ]
}

/// Columns that are added, each by itself: SQLite takes one at a time.
fn columns() -> Vec<(&'static str, ColumnDef)> {
    let column = |text: &str| ColumnDef::new(name(text));
    vec![
        ("client", column("metadata").json_binary().not_null().default("{}").to_owned()),
        ("client", column("registration_token").var_binary(32).null().to_owned()),
        ("client", column("used_at").big_integer().null().to_owned()),
        ("client_secret", column("sealed").blob().null().to_owned()),
        ("authorization_code", column("claims").json_binary().null().to_owned()),
        ("token_grant", column("claims").json_binary().null().to_owned()),
    ]
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, mut column) in columns() {
            manager.alter_table(Table::alter().table(name(table)).add_column(&mut column).to_owned()).await?;
        }
        for table in tables() {
            manager.create_table(table).await?;
        }
        if manager.get_database_backend() == DbBackend::MySql {
            // A plain blob ends at 64 KiB.
            let wider = "ALTER TABLE client_logo MODIFY bytes MEDIUMBLOB NOT NULL";
            manager.get_connection().execute_unprepared(wider).await?;
        }
        manager.create_index(index("pairwise_subject", &["tenant_id", "sub"], Kind::Unique)).await?;
        manager.create_index(index("session_client", &["tenant_id", "client"], Kind::Plain)).await?;
        manager.create_index(index("initial_access_token", &["expires_at"], Kind::Plain)).await?;
        manager.create_index(index("client", &["registration_token"], Kind::Plain)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("ix_client_registration_token").table(name("client")).to_owned()).await?;
        for table in tables().iter().rev() {
            if let Some(table) = table.get_table_name() {
                manager.drop_table(Table::drop().table(table.clone()).take()).await?;
            }
        }
        for (table, column) in columns() {
            let column = column.get_column_name().to_string();
            manager.alter_table(Table::alter().table(name(table)).drop_column(name(&column)).to_owned()).await?;
        }
        Ok(())
    }
}
