//! What lets somebody register applications (RFC 7591 section 3). Owned by `client/registration.rs`.

use crate::{Hash, Micros, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "initial_access_token")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: Hash,
    /// What it is for, in the words of whoever made it.
    pub name: String,
    /// How many registrations it is good for yet.
    pub remaining: i32,
    pub created_at: Micros,
    pub expires_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
