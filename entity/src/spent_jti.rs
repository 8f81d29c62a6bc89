//! The `jti` of client assertions that were used (RFC 7523 section 3). Owned by `once.rs`.

use crate::{Hash, Micros, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "spent_jti")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    /// SHA-256 over purpose, client and `jti`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: Hash,
    pub expires_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
