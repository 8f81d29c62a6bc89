//! What people allowed applications to learn.

use crate::db::Tx;
use crate::error::Result;
use entity::{ClientKey, Micros, Scopes, TenantId, UserId, consent};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};

/// The scopes that this person allowed this application; `None` when it was never asked: having allowed nothing but one's
/// presence is something else.
///
/// # Errors
/// The database's.
pub async fn given(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    user: UserId,
    client: ClientKey,
) -> Result<Option<Scopes>> {
    let row = consent::Entity::find_by_id((tenant, user, client)).one(conn).await?;
    Ok(row.map(|r| r.scopes))
}

/// Remembers that these scopes were allowed, beside those that were before.
///
/// # Errors
/// The database's.
pub async fn give(tx: &Tx, tenant: TenantId, pair: (UserId, ClientKey), scopes: &Scopes, now: Micros) -> Result<()> {
    let (user, client) = pair;
    let all = given(tx, tenant, user, client).await?.unwrap_or_default().or(scopes);
    let row = consent::ActiveModel {
        tenant_id: Set(tenant),
        user_id: Set(user),
        client: Set(client),
        scopes: Set(all),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let key = [consent::Column::TenantId, consent::Column::UserId, consent::Column::Client];
    let again =
        OnConflict::columns(key).update_columns([consent::Column::Scopes, consent::Column::UpdatedAt]).to_owned();
    consent::Entity::insert(row).on_conflict(again).exec_without_returning(tx).await?;
    Ok(())
}
