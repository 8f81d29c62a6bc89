//! Subjects: what an application knows a person as (OpenID Connect Core section 8).
//!
//! Public ones are the person's own. Pairwise ones are random, one for each sector, and stored, so that they never
//! change; applications of different sectors cannot tell that they speak of one person.

use crate::db::{Tx, insert_if_new};
use crate::error::{Error, Result};
use crate::seal::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{Micros, TenantId, UserId, pairwise_subject, user};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait};

/// The subject of a person for a sector; made when it is first needed. `None` as the sector is for public subjects.
///
/// # Errors
/// The database's.
pub async fn of(tx: &Tx, user: &user::Model, sector: Option<&str>, now: Micros) -> Result<String> {
    let Some(sector) = sector else { return Ok(user.sub.clone()) };
    if let Some(sub) = stored(tx, (user.tenant_id, user.id), sector).await? {
        return Ok(sub);
    }
    let row = pairwise_subject::ActiveModel {
        tenant_id: Set(user.tenant_id),
        user_id: Set(user.id),
        sector: Set(sector.to_owned()),
        sub: Set(URL_SAFE_NO_PAD.encode(random::<24>()?)),
        created_at: Set(now),
    };
    insert_if_new(tx, pairwise_subject::Entity::insert(row).into_query()).await?;
    stored(tx, (user.tenant_id, user.id), sector).await?.ok_or_else(|| Error::internal("a subject that is not there"))
}

async fn stored(
    conn: &impl ConnectionTrait,
    (tenant, user): (TenantId, UserId),
    sector: &str,
) -> Result<Option<String>> {
    let row = pairwise_subject::Entity::find_by_id((tenant, user, sector.to_owned())).one(conn).await?;
    Ok(row.map(|r| r.sub))
}

/// The same where it was told before; `None` when nobody of that sector knows the person yet.
///
/// # Errors
/// The database's.
pub async fn known(conn: &impl ConnectionTrait, user: &user::Model, sector: Option<&str>) -> Result<Option<String>> {
    match sector {
        None => Ok(Some(user.sub.clone())),
        Some(sector) => stored(conn, (user.tenant_id, user.id), sector).await,
    }
}

/// Whom a subject of either kind names.
///
/// # Errors
/// The database's.
pub async fn find(conn: &impl ConnectionTrait, tenant: TenantId, sub: &str) -> Result<Option<UserId>> {
    if let Some(user) = super::by_sub(conn, tenant, sub).await? {
        return Ok(Some(user));
    }
    let row = pairwise_subject::Entity::find()
        .filter(pairwise_subject::Column::TenantId.eq(tenant))
        .filter(pairwise_subject::Column::Sub.eq(sub))
        .one(conn)
        .await?;
    Ok(row.filter(|r| r.sub == sub).map(|r| r.user_id))
}
