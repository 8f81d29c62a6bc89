//! What happened, written in the transaction of what it tells of. Owned by `audit.rs`.

use crate::{ClientKey, Document, Micros, Outcome, RowId, Severity, TenantId, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    pub at: Micros,
    /// A name such as `user.login`.
    pub kind: String,
    pub severity: Severity,
    pub outcome: Outcome,
    /// Who did it, when a person did.
    pub actor: Option<UserId>,
    /// Whom it was done to.
    pub target: Option<UserId>,
    pub client: Option<ClientKey>,
    pub request_id: String,
    /// Why it failed, a code.
    pub reason: Option<String>,
    pub details: Document,
    /// Address, user agent and what else is personal: erasable without breaking the chain.
    pub personal: Option<Document>,
    /// The place in the chain, given by the sealer.
    pub number: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
