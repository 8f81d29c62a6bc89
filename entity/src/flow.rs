//! One interaction that needs a person. Owned by `flow/`.

use crate::{Document, Hash, Micros, RowId, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "flow")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// SHA-256 of the handle that stands in the page's address.
    pub handle: Hash,
    /// The browser it was started in; another one cannot go on with it.
    pub browser: Hash,
    /// The address prefix it came from, for the cap per source.
    pub source: String,
    /// What was asked.
    pub ask: Document,
    /// What is known so far.
    pub evidence: Document,
    /// Raised at each step: two answers to one step cannot both count.
    pub version: i64,
    pub created_at: Micros,
    pub expires_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
