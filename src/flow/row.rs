//! The row of an interaction: made when a person is needed, bound to one browser, moved on by conditional updates.

use super::ask::Ask;
use super::next::Evidence;
use crate::account::session::Visitor;
use crate::app::App;
use crate::audit::{self, Event, Origin};
use crate::ctx::Ctx;
use crate::db::{Db, Tx};
use crate::error::{Error, Notice, Result};
use crate::limit;
use crate::seal::{Token, sha256};
use entity::{Document, Hash, Micros, RowId, TenantId, flow};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use std::time::Duration;

/// How many give way at once when an address has too many.
const SURPLUS: u64 = 20;
/// Whoever began so lately may be typing.
const SPARED: Duration = Duration::from_secs(120);
/// How long a person has for all pages of one interaction.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A flow's row with its documents read.
pub(super) struct Row {
    pub id: RowId,
    pub version: i64,
    pub handle: String,
    pub ask: Ask,
    pub evidence: Evidence,
}

pub(super) async fn put(app: &App, ctx: &Ctx, visitor: &Visitor, ask: Ask) -> Result<Row> {
    let source = limit::prefix(ctx.ip);
    let open = flow::Entity::find()
        .filter(flow::Column::TenantId.eq(ctx.tenant.id))
        .filter(flow::Column::Source.eq(source.clone()))
        .filter(flow::Column::CreatedAt.gt(ctx.now.minus(LIFETIME)))
        .count(app.db().read())
        .await?;
    let full = open >= u64::from(app.config().limits.flows_per_address);
    let browser = visitor.browser.clone().ok_or_else(|| Error::internal("a flow without a browser"))?;
    let Token { text: handle, hash } = Token::new("")?;
    let (id, tenant, place, begun) = (RowId::new(), ctx.tenant.id, source.clone(), ctx.now);
    let row = flow::ActiveModel {
        tenant_id: Set(ctx.tenant.id),
        id: Set(id),
        handle: Set(hash),
        browser: Set(browser),
        source: Set(source),
        ask: Set(document(&ask)?),
        evidence: Set(document(&Evidence::default())?),
        version: Set(1),
        created_at: Set(ctx.now),
        expires_at: Set(ctx.now.plus(LIFETIME)),
    };
    app.db()
        .write(async move |tx| {
            if full {
                // The oldest give way rather than the newest being refused: strangers at the same address can make pages
                // pile up, but not keep anybody from signing in for long, nor throw out whoever is typing.
                let oldest = flow::Entity::find()
                    .filter(flow::Column::TenantId.eq(tenant))
                    .filter(flow::Column::Source.eq(place.clone()))
                    .filter(flow::Column::CreatedAt.lt(begun.minus(SPARED)))
                    .order_by_asc(flow::Column::CreatedAt)
                    .limit(SURPLUS)
                    .all(tx)
                    .await?;
                if oldest.is_empty() {
                    return Err(Notice::Throttled.into());
                }
                flow::Entity::delete_many()
                    .filter(flow::Column::TenantId.eq(tenant))
                    .filter(flow::Column::Id.is_in(oldest.iter().map(|f| f.id)))
                    .exec(tx)
                    .await?;
            }
            flow::Entity::insert(row.clone()).exec_without_returning(tx).await?;
            Ok(())
        })
        .await?;
    Ok(Row { id, version: 1, handle: handle.to_string(), ask, evidence: Evidence::default() })
}

pub(super) fn document(value: &impl serde::Serialize) -> Result<Document> {
    serde_json::to_value(value).map(Document).map_err(Error::internal)
}

pub(super) async fn find(app: &App, ctx: &Ctx, visitor: &Visitor, handle: &str) -> Result<Row> {
    if handle.is_empty() || handle.len() > 100 {
        return Err(Notice::FlowExpired.into());
    }
    let row = flow::Entity::find()
        .filter(flow::Column::TenantId.eq(ctx.tenant.id))
        .filter(flow::Column::Handle.eq(sha256(handle.as_bytes())))
        .one(app.db().read())
        .await?;
    let Some(row) = row.filter(|r| r.expires_at > ctx.now) else {
        return Err(Notice::FlowExpired.into());
    };
    // Another browser cannot go on with it, whoever sent the link.
    if visitor.browser.as_ref().map(|b: &Hash| &b.0) != Some(&row.browser.0) {
        return Err(Notice::FlowElsewhere.into());
    }
    let ask: Ask = serde_json::from_value(row.ask.0).map_err(|_| Notice::FlowExpired)?;
    let evidence: Evidence = serde_json::from_value(row.evidence.0).map_err(|_| Notice::FlowExpired)?;
    if ask.v != 1 {
        return Err(Notice::FlowExpired.into());
    }
    Ok(Row { id: row.id, version: row.version, handle: handle.to_owned(), ask, evidence })
}

/// Notes what was shown, unless another answer to the same page was first.
pub(super) async fn step_on(app: &App, ctx: &Ctx, row: &mut Row, evidence: Evidence) -> Result<()> {
    let (tenant, id, version) = (ctx.tenant.id, row.id, row.version);
    let written = document(&evidence)?;
    let first = app.db().write(async move |tx| stepped(tx, tenant, (id, version), &written).await).await?;
    if !first {
        return Err(Notice::FlowExpired.into());
    }
    row.version += 1;
    row.evidence = evidence;
    Ok(())
}

pub(super) async fn stepped(
    tx: &Tx,
    tenant: TenantId,
    (id, version): (RowId, i64),
    evidence: &Document,
) -> Result<bool> {
    let json = serde_json::to_value(evidence).map_err(Error::internal)?;
    let done = flow::Entity::update_many()
        .col_expr(flow::Column::Evidence, Expr::value(json))
        .col_expr(flow::Column::Version, Expr::value(version + 1))
        .filter(flow::Column::TenantId.eq(tenant))
        .filter(flow::Column::Id.eq(id))
        .filter(flow::Column::Version.eq(version))
        .exec(tx)
        .await?;
    Ok(done.rows_affected == 1)
}

/// Ends an interaction, once: nothing of it is needed any more.
pub(super) async fn finished(tx: &Tx, tenant: TenantId, (id, version): (RowId, i64), now: Micros) -> Result<bool> {
    let done = flow::Entity::delete_many()
        .filter(flow::Column::TenantId.eq(tenant))
        .filter(flow::Column::Id.eq(id))
        .filter(flow::Column::Version.eq(version))
        .filter(flow::Column::ExpiresAt.gt(now))
        .exec(tx)
        .await?;
    Ok(done.rows_affected == 1)
}

/// Ends an interaction; what is to be on record about that is written with it.
pub(super) async fn close(app: &App, ctx: &Ctx, row: &Row, event: Option<Event>) -> Result<()> {
    let (inner, flow, store) = (ctx.clone(), (row.id, row.version), app.store.clone());
    let first = app
        .db()
        .write(async move |tx| {
            let first = finished(tx, inner.tenant.id, flow, store.now()).await?;
            if let (Some(event), true) = (&event, first) {
                audit::record(tx, &Origin::from(&inner), event.clone()).await?;
            }
            Ok(first)
        })
        .await?;
    if first { Ok(()) } else { Err(Notice::FlowExpired.into()) }
}

/// Closes every open interaction of a browser.
pub(super) async fn close_all(tx: &Tx, tenant: TenantId, browser: &Hash) -> Result<()> {
    flow::Entity::delete_many()
        .filter(flow::Column::TenantId.eq(tenant))
        .filter(flow::Column::Browser.eq(browser.clone()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes interactions that nobody can go on with.
///
/// # Errors
/// The database's.
pub async fn sweep(db: &Db, now: Micros) -> Result<u64> {
    let over = Condition::all().add(flow::Column::ExpiresAt.lt(now));
    db.sweep::<flow::Entity, RowId>(flow::Column::Id, over).await
}
