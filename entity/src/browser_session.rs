//! One browser at one tenant; its secret rotates at each sign-in. Owned by `account/session.rs`.

use crate::{BrowserSessionId, Hash, Micros, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "browser_session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BrowserSessionId,
    pub secret: Hash,
    /// The browser id that it belongs to.
    pub browser: Hash,
    pub created_at: Micros,
    pub ended_at: Option<Micros>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
