//! What an administrator does to the data, and what tests look up in it.

use super::{Registered, Server};
use entity::{CacheKind, Micros, Status, TenantId, UserId, audit_event, client, flow, session, tenant, token_grant};
use keyward::account;
use keyward::cache::bump;
use keyward::serve;
use keyward::tenant::NewTenant;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, Value};

/// A second tenant of a server.
pub struct Second {
    pub id: TenantId,
    pub issuer: String,
}

impl Server {
    /// Writes one column of an application's row, as a migration or an administrator would.
    pub async fn alter(&self, client: &Registered, column: client::Column, value: impl Into<Value>) {
        let (tenant, id, now, value) = (self.tenant, client.id.clone(), self.now(), value.into());
        self.app
            .db()
            .write(async move |tx| {
                let done = client::Entity::update_many()
                    .col_expr(column, Expr::value(value.clone()))
                    .filter(client::Column::ClientId.eq(id.clone()))
                    .exec(tx)
                    .await?;
                assert_eq!(done.rows_affected, 1);
                bump(tx, tenant, CacheKind::Client, now).await
            })
            .await
            .unwrap();
        self.app.store.cache.changed_here();
    }

    pub async fn client_status(&self, client: &Registered, status: Status) {
        self.alter(client, client::Column::Status, status.as_str()).await;
    }

    pub async fn person_status(&self, user: UserId, status: Status) {
        let (tenant, now) = (self.tenant, self.now());
        let done = self.app.db().write(async move |tx| account::set_status(tx, tenant, user, status, now).await).await;
        assert!(done.unwrap());
    }

    pub async fn tenant_status(&self, id: TenantId, status: Status) {
        let now = self.now();
        self.app
            .db()
            .write(async move |tx| {
                tenant::Entity::update_many()
                    .col_expr(tenant::Column::Status, Expr::value(status.as_str()))
                    .filter(tenant::Column::Id.eq(id))
                    .exec(tx)
                    .await?;
                bump(tx, id, CacheKind::Tenant, now).await
            })
            .await
            .unwrap();
        self.app.store.cache.changed_here();
    }

    /// A tenant beside the first, at `/t/{slug}`.
    pub async fn tenant(&self, slug: &str) -> Second {
        let issuer = format!("{}/t/{slug}", self.issuer);
        let new = NewTenant { slug: slug.into(), name: "Second".into(), issuer: issuer.clone() };
        let store = self.app.store.clone();
        let id = self.app.db().write(async move |tx| keyward::tenant::create(tx, &store, &new).await).await.unwrap();
        self.app.store.cache.changed_here();
        serve::begin(&self.app, id).await.unwrap();
        Second { id, issuer }
    }

    pub async fn audited(&self, kind: &str) -> u64 {
        audit_event::Entity::find()
            .filter(audit_event::Column::Kind.eq(kind))
            .count(self.app.db().read())
            .await
            .unwrap()
    }

    pub async fn grants(&self) -> Vec<token_grant::Model> {
        token_grant::Entity::find().all(self.app.db().read()).await.unwrap()
    }

    pub async fn flows(&self) -> Vec<flow::Model> {
        flow::Entity::find().all(self.app.db().read()).await.unwrap()
    }

    pub async fn live_sessions(&self) -> u64 {
        session::Entity::find()
            .filter(session::Column::EndedAt.is_null())
            .filter(session::Column::ExpiresAt.gt(Micros(self.now().0)))
            .count(self.app.db().read())
            .await
            .unwrap()
    }
}
