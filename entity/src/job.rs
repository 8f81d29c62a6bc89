//! The outbox: work that nobody waits for, written with what it follows from. Owned by `queue.rs`.

use crate::{Document, JobKind, Micros, RowId, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    pub kind: JobKind,
    pub payload: Document,
    pub run_at: Micros,
    /// Until then one worker has it; afterwards any may take it.
    pub claimed_until: Option<Micros>,
    pub attempts: i32,
    pub last_error: Option<String>,
    /// Given up on.
    pub dead_at: Option<Micros>,
    pub created_at: Micros,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
