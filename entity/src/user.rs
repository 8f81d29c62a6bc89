//! A person. Owned by `account/`.

use crate::{Document, Micros, Role, Status, TenantId, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// The subject identifier: random, never reassigned (OpenID Connect Core section 2).
    pub sub: String,
    pub status: Status,
    pub role: Role,
    pub name: String,
    /// The other standard claims (OpenID Connect Core section 5.1), as typed by the account module.
    pub profile: Document,
    /// Sessions, grants and tokens from before this instant are dead.
    pub not_before: Option<Micros>,
    pub created_at: Micros,
    pub updated_at: Micros,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
