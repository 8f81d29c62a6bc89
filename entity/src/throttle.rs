//! Attempts counted, durable and shared by nodes. Owned by `limit.rs`.

use crate::{Hash, Micros, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "throttle")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    /// SHA-256 over the rule and what it counts by.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: Hash,
    pub count: i32,
    pub window_started_at: Micros,
    pub expires_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
