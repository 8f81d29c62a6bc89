//! What a person is found by: e-mail, username, phone. Owned by `account/`.

use crate::{IdentifierKind, Micros, TenantId, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "identifier")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: IdentifierKind,
    /// The normalised form; unique in its tenant and kind.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub user_id: UserId,
    /// As it was typed.
    pub value: String,
    pub verified_at: Option<Micros>,
    pub created_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
