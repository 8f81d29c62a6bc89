//! What is spent once: `jti`s, and the links that are handed to people.
//!
//! Owns `spent_jti` and `link`. The idiom, for the tables of others too: one conditional statement decides, and the
//! number of rows that it changed names the winner ([`won`]). Never read first.

use crate::db::{Db, Tx, insert_if_new};
use crate::error::Result;
use entity::{Hash, LinkPurpose, Micros, TenantId, link, spent_jti};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait,
};

/// Whether a conditional `UPDATE` was the one that changed the row.
///
/// MariaDB counts the rows that matched, so the condition must stand in the `WHERE`.
pub fn won(rows_affected: u64) -> bool {
    rows_affected == 1
}

/// Notes a `jti` as used; false when it was used before (RFC 7523 section 3). It is remembered until `expires_at`,
/// which must not be before the assertion's own `exp`.
///
/// # Errors
/// What the database says.
pub async fn spend_jti(tx: &Tx, tenant: TenantId, hash: Hash, expires_at: Micros) -> Result<bool> {
    let row = spent_jti::ActiveModel { tenant_id: Set(tenant), hash: Set(hash), expires_at: Set(expires_at) };
    Ok(insert_if_new(tx, spent_jti::Entity::insert(row).into_query()).await?)
}

/// Makes a link that works once.
///
/// # Errors
/// What the database says.
pub async fn put_link(tx: &Tx, link: link::Model) -> Result<()> {
    link::Entity::insert(link.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// Spends a link; true for exactly one caller, and only before it expires and for what it was made for.
///
/// # Errors
/// What the database says.
pub async fn spend_link(tx: &Tx, tenant: TenantId, (purpose, hash): (LinkPurpose, &Hash), now: Micros) -> Result<bool> {
    let spent = link::Entity::update_many()
        .col_expr(link::Column::SpentAt, Expr::value(now))
        .filter(link::Column::TenantId.eq(tenant))
        .filter(link::Column::Hash.eq(hash.clone()))
        .filter(link::Column::Purpose.eq(purpose))
        .filter(link::Column::ExpiresAt.gt(now))
        .filter(link::Column::SpentAt.is_null())
        .exec(tx)
        .await?;
    Ok(won(spent.rows_affected))
}

/// Whether a link can still be spent; the one who spends it is decided by [`spend_link`].
///
/// # Errors
/// What the database says.
pub async fn link_works(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    (purpose, hash): (LinkPurpose, &Hash),
    now: Micros,
) -> Result<bool> {
    let row = link::Entity::find_by_id((tenant, hash.clone())).one(conn).await?;
    Ok(row.is_some_and(|r| r.purpose == purpose && r.spent_at.is_none() && r.expires_at > now))
}

/// Takes back every link for a purpose, as before a new one is made.
///
/// # Errors
/// What the database says.
pub async fn withdraw_links(tx: &Tx, tenant: TenantId, purpose: LinkPurpose) -> Result<()> {
    link::Entity::delete_many()
        .filter(link::Column::TenantId.eq(tenant))
        .filter(link::Column::Purpose.eq(purpose))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes what could not be used any more anyway.
///
/// # Errors
/// What the database says.
pub async fn sweep(db: &Db, now: Micros) -> Result<u64> {
    let before = now.minus(std::time::Duration::from_secs(86_400));
    let jtis = Condition::all().add(spent_jti::Column::ExpiresAt.lt(before));
    let links = Condition::all().add(link::Column::ExpiresAt.lt(before));
    Ok(db.sweep::<spent_jti::Entity, Hash>(spent_jti::Column::Hash, jtis).await?
        + db.sweep::<link::Entity, Hash>(link::Column::Hash, links).await?)
}

#[cfg(test)]
#[allow(non_snake_case)]
mod tests {
    use super::*;
    use crate::db::tests::each_database;

    fn winners(results: &[bool]) -> usize {
        results.iter().filter(|won| **won).count()
    }

    #[tokio::test]
    async fn a_jti_is_accepted_once__rfc7523_3() {
        each_database(async |f| {
            let tenant = f.tenant;
            let spend = async |n: u8| {
                f.db.write(async move |tx| spend_jti(tx, tenant, Hash(vec![n; 32]), Micros(9)).await).await.unwrap()
            };
            assert_eq!(winners(&f.at_once(16, async |_| spend(1).await).await), 1);
            assert!(spend(2).await);
            assert!(!spend(1).await);
        })
        .await;
    }

    #[tokio::test]
    async fn a_link_works_once_in_time_and_for_its_purpose() {
        each_database(async |f| {
            let (tenant, hash) = (f.tenant, Hash(vec![7; 32]));
            let link = link::Model {
                tenant_id: tenant,
                hash: hash.clone(),
                purpose: LinkPurpose::Setup,
                created_at: Micros(0),
                expires_at: Micros(100),
                spent_at: None,
            };
            f.db.write(async move |tx| put_link(tx, link.clone()).await).await.unwrap();
            let spend = async |hash: Hash, now: Micros| {
                let what = async move |tx: &Tx| spend_link(tx, tenant, (LinkPurpose::Setup, &hash), now).await;
                f.db.write(what).await.unwrap()
            };
            assert!(!spend(hash.clone(), Micros(100)).await, "expired");
            assert!(!spend(Hash(vec![8; 32]), Micros(5)).await, "unknown");
            assert_eq!(winners(&f.at_once(16, async |_| spend(hash.clone(), Micros(5)).await).await), 1);
        })
        .await;
    }
}
