//! An isolated issuer. Owned by `tenant.rs`.

use crate::{Document, Micros, Sealed, Status, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tenant")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TenantId,
    /// Part of the issuer of tenants on a path; frozen once anything was issued.
    #[sea_orm(unique)]
    pub slug: String,
    pub name: String,
    pub status: Status,
    /// 32 random bytes from which the tenant's symmetric keys are derived, one per purpose.
    pub root: Sealed,
    /// What this tenant sets differently from the deployment.
    pub settings: Document,
    /// The first token, code or session: from then on issuer and slug do not change by themselves.
    pub issued_at: Option<Micros>,
    pub created_at: Micros,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
