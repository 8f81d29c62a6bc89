//! Access tokens that were revoked one by one, until they expire (RFC 7009). Owned by `oidc/revoke.rs`.

use crate::{Hash, Micros, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "revoked_token")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    /// SHA-256 of the `jti`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub jti: Hash,
    pub expires_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
