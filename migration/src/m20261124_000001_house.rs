//! The first schema: tenants, clients, people, sessions, flows, codes, grants, keys, audit, jobs, throttles.

use crate::shape::{Kind, index, of_tenant, table};
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

#[derive(DeriveMigrationName)]
pub struct Migration;

fn tables() -> Vec<TableCreateStatement> {
    vec![
        table("deployment").small("id").key("id").hash("master_key_check").time("created_at").done(),
        table("tenant")
            .uuid("id")
            .key("id")
            .text("slug", 63)
            .text("name", 200)
            .word("status")
            .bytes("root")
            .json("settings")
            .time_null("issued_at")
            .time("created_at")
            .number("version")
            .done(),
        of_tenant("issuer").text("url", 255).key("url").flag("is_primary").time("created_at").done(),
        of_tenant("client")
            .uuid("id")
            .key("id")
            .text("client_id", 100)
            .text("name", 200)
            .word("status")
            .word("profile")
            .word("token_endpoint_auth_method")
            .json("grant_types")
            .json("redirect_uris")
            .json("post_logout_redirect_uris")
            .json("allowed_origins")
            .json("scopes")
            .word("pkce")
            .json_null("jwks")
            .word("id_token_signed_response_alg")
            .col("access_token_signed_response_alg", |d| d.string_len(40), true)
            .flag("first_party")
            .flag("approved")
            .text_null("client_uri", 2000)
            .text_null("logo_uri", 2000)
            .text_null("policy_uri", 2000)
            .text_null("tos_uri", 2000)
            .json("settings")
            .time_null("not_before")
            .time("created_at")
            .number("version")
            .done(),
        of_tenant("client_secret")
            .uuid("id")
            .key("id")
            .uuid("client")
            .hash("hash")
            .time("created_at")
            .time_null("expires_at")
            .refers("client", "client")
            .done(),
        of_tenant("users")
            .uuid("id")
            .key("id")
            .text("sub", 100)
            .word("status")
            .word("role")
            .text("name", 400)
            .json("profile")
            .time_null("not_before")
            .time("created_at")
            .time("updated_at")
            .number("version")
            .done(),
        of_tenant("identifier")
            .word("kind")
            .key("kind")
            .text("key", 320)
            .key("key")
            .uuid("user_id")
            .text("value", 320)
            .time_null("verified_at")
            .time("created_at")
            .refers("user_id", "users")
            .done(),
        of_tenant("password")
            .uuid("user_id")
            .key("user_id")
            .text("phc", 500)
            .time("changed_at")
            .refers("user_id", "users")
            .done(),
        of_tenant("browser_session")
            .uuid("id")
            .key("id")
            .hash("secret")
            .hash("browser")
            .time("created_at")
            .time_null("ended_at")
            .done(),
        of_tenant("session")
            .uuid("id")
            .key("id")
            .uuid("browser_session")
            .uuid("user_id")
            .hash("browser")
            .time("auth_time")
            .json("amr")
            .text("acr", 100)
            .flag("remember")
            .text("ip", 45)
            .text("user_agent", 400)
            .time("created_at")
            .time("last_used_at")
            .time("idle_expires_at")
            .time("expires_at")
            .time_null("ended_at")
            .refers("browser_session", "browser_session")
            .refers("user_id", "users")
            .done(),
        of_tenant("flow")
            .uuid("id")
            .key("id")
            .hash("handle")
            .hash("browser")
            .text("source", 45)
            .json("ask")
            .json("evidence")
            .number("version")
            .time("created_at")
            .time("expires_at")
            .done(),
        of_tenant("consent")
            .uuid("user_id")
            .key("user_id")
            .uuid("client")
            .key("client")
            .json("scopes")
            .time("created_at")
            .time("updated_at")
            .refers("user_id", "users")
            .refers("client", "client")
            .done(),
        of_tenant("token_grant")
            .uuid("id")
            .key("id")
            .uuid("client")
            .uuid("user_id")
            .uuid("session_id")
            .text("issuer", 255)
            .json("scopes")
            .text_null("nonce", 1000)
            .time("auth_time")
            .json("amr")
            .text("acr", 100)
            .flag("offline")
            .hash_null("refresh_hash")
            .number("refresh_number")
            .time("refreshed_at")
            .time("idle_expires_at")
            .time("created_at")
            .time("expires_at")
            .time_null("revoked_at")
            .refers("client", "client")
            .refers("user_id", "users")
            .done(),
        of_tenant("authorization_code")
            .hash("hash")
            .key("hash")
            .uuid("client")
            .uuid("user_id")
            .uuid("session_id")
            .text("issuer", 255)
            .col("redirect_uri", |d| d.text(), false)
            .text_null("code_challenge", 128)
            .text_null("nonce", 1000)
            .json("scopes")
            .time("auth_time")
            .json("amr")
            .text("acr", 100)
            .time("created_at")
            .time("expires_at")
            .time_null("spent_at")
            .uuid_null("grant_id")
            .refers("client", "client")
            .refers("user_id", "users")
            .refers("session_id", "session")
            .done(),
        of_tenant("spent_jti").hash("hash").key("hash").time("expires_at").done(),
        of_tenant("revoked_token").hash("jti").key("jti").time("expires_at").done(),
        of_tenant("signing_key")
            .uuid("id")
            .key("id")
            .text("kid", 64)
            .word("alg")
            .json("public")
            .bytes("private")
            .time("created_at")
            .time("active_at")
            .time_null("gone_at")
            .time_null("revoked_at")
            .done(),
        of_tenant("audit_event")
            .uuid("id")
            .key("id")
            .time("at")
            .text("kind", 64)
            .word("severity")
            .word("outcome")
            .uuid_null("actor")
            .uuid_null("target")
            .uuid_null("client")
            .text("request_id", 64)
            .text_null("reason", 64)
            .json("details")
            .json_null("personal")
            .time_null("number")
            .done(),
        of_tenant("job")
            .uuid("id")
            .key("id")
            .word("kind")
            .json("payload")
            .time("run_at")
            .time_null("claimed_until")
            .small("attempts")
            .col("last_error", |d| d.text(), true)
            .time_null("dead_at")
            .time("created_at")
            .done(),
        of_tenant("throttle").hash("key").key("key").small("count").time("window_started_at").time("expires_at").done(),
        of_tenant("revision").word("kind").key("kind").number("value").time("changed_at").done(),
        of_tenant("link")
            .hash("hash")
            .key("hash")
            .word("purpose")
            .time("created_at")
            .time("expires_at")
            .time_null("spent_at")
            .done(),
    ]
}

/// Every index that is not a primary key: table, columns, kind.
fn indexes() -> Vec<(&'static str, &'static [&'static str], Kind)> {
    use Kind::{Plain, Unique};
    vec![
        ("tenant", &["slug"], Unique),
        ("issuer", &["url"], Unique),
        ("client", &["tenant_id", "client_id"], Unique),
        ("client_secret", &["tenant_id", "client"], Plain),
        ("users", &["tenant_id", "sub"], Unique),
        ("users", &["tenant_id", "role"], Plain),
        ("identifier", &["tenant_id", "user_id"], Plain),
        ("browser_session", &["tenant_id", "secret"], Unique),
        ("browser_session", &["tenant_id", "browser"], Plain),
        ("session", &["tenant_id", "browser_session"], Plain),
        ("session", &["tenant_id", "user_id"], Plain),
        ("session", &["expires_at"], Plain),
        ("flow", &["tenant_id", "handle"], Unique),
        ("flow", &["tenant_id", "source", "created_at"], Plain),
        ("flow", &["expires_at"], Plain),
        ("token_grant", &["tenant_id", "user_id"], Plain),
        ("token_grant", &["tenant_id", "session_id"], Plain),
        ("token_grant", &["tenant_id", "client"], Plain),
        ("token_grant", &["expires_at"], Plain),
        ("authorization_code", &["expires_at"], Plain),
        ("authorization_code", &["tenant_id", "session_id"], Plain),
        ("authorization_code", &["tenant_id", "user_id"], Plain),
        ("authorization_code", &["tenant_id", "client"], Plain),
        ("consent", &["tenant_id", "client"], Plain),
        ("spent_jti", &["expires_at"], Plain),
        ("revoked_token", &["expires_at"], Plain),
        ("signing_key", &["tenant_id", "kid"], Unique),
        ("audit_event", &["tenant_id", "at"], Plain),
        ("audit_event", &["tenant_id", "target", "at"], Plain),
        ("audit_event", &["number"], Plain),
        ("job", &["dead_at", "run_at"], Plain),
        ("throttle", &["expires_at"], Plain),
        ("revision", &["changed_at"], Plain),
        ("link", &["expires_at"], Plain),
    ]
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::MySql {
            // Exact comparison: neither letter case nor trailing blanks may make two values one.
            let db = manager.get_connection();
            let version = db.query_one_raw(Statement::from_string(DbBackend::MySql, "SELECT VERSION()")).await?;
            let version: String = version.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
            let collation = if version.contains("MariaDB") { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" };
            db.execute_unprepared(&format!("ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {collation}")).await?;
        }
        for table in tables() {
            manager.create_table(table).await?;
        }
        for (table, columns, kind) in indexes() {
            manager.create_index(index(table, columns, kind)).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables().iter().rev() {
            if let Some(table) = table.get_table_name() {
                manager.drop_table(Table::drop().table(table.clone()).take()).await?;
            }
        }
        Ok(())
    }
}
