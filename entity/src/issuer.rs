//! Where a tenant is reached; an issuer is stored, never computed from a request. Owned by `tenant.rs`.

use crate::{Micros, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "issuer")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    /// The issuer identifier without a trailing slash (OpenID Connect Discovery section 3).
    #[sea_orm(primary_key, auto_increment = false)]
    pub url: String,
    /// The one that new clients get; all stay served.
    pub is_primary: bool,
    pub created_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
