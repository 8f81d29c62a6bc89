//! Initial access tokens: what lets somebody register applications (RFC 7591 section 3).

use crate::db::{Db, Tx};
use crate::error::Result;
use crate::seal::Token;
use entity::{Hash, Micros, TenantId, initial_access_token};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter};
use zeroize::Zeroizing;

const PREFIX: &str = "kw_ia_";

/// Makes a token that is good for so many registrations until then.
///
/// # Errors
/// The database's.
pub async fn make(
    tx: &Tx,
    tenant: TenantId,
    (name, uses): (&str, u32),
    (now, until): (Micros, Micros),
) -> Result<Zeroizing<String>> {
    let Token { text, hash } = Token::new(PREFIX)?;
    let row = initial_access_token::ActiveModel {
        tenant_id: Set(tenant),
        hash: Set(hash),
        name: Set(name.to_owned()),
        remaining: Set(i32::try_from(uses).unwrap_or(i32::MAX)),
        created_at: Set(now),
        expires_at: Set(until),
    };
    initial_access_token::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(text)
}

/// # Errors
/// The database's.
pub async fn is_valid(conn: &impl ConnectionTrait, tenant: TenantId, hash: &Hash, now: Micros) -> Result<bool> {
    let row = initial_access_token::Entity::find_by_id((tenant, hash.clone())).one(conn).await?;
    Ok(row.is_some_and(|r| r.remaining > 0 && r.expires_at > now))
}

/// Takes one use; `false` when none is left.
///
/// # Errors
/// The database's.
pub async fn spend(tx: &Tx, tenant: TenantId, hash: &Hash, now: Micros) -> Result<bool> {
    let remaining = initial_access_token::Column::Remaining;
    let done = initial_access_token::Entity::update_many()
        .col_expr(remaining, Expr::col(remaining).sub(1))
        .filter(initial_access_token::Column::TenantId.eq(tenant))
        .filter(initial_access_token::Column::Hash.eq(hash.clone()))
        .filter(remaining.gt(0))
        .filter(initial_access_token::Column::ExpiresAt.gt(now))
        .exec(tx)
        .await?;
    Ok(done.rows_affected == 1)
}

/// Deletes those whose time is over.
///
/// # Errors
/// The database's.
pub async fn sweep(db: &Db, now: Micros) -> Result<u64> {
    let over = Condition::all().add(initial_access_token::Column::ExpiresAt.lt(now));
    db.sweep::<initial_access_token::Entity, Hash>(initial_access_token::Column::Hash, over).await
}
