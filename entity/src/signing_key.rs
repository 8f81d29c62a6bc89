//! A tenant's signing keys. Owned by `keys.rs`.
//!
//! # Why no state column
//! Next, active, retiring and gone follow from the instants below: no job has to run, and no two nodes can disagree.

use crate::{Document, Micros, RowId, Sealed, SigningAlg, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The RFC 7638 thumbprint.
    pub kid: String,
    pub alg: SigningAlg,
    /// The public JWK as it is published.
    pub public: Document,
    /// The private JWK.
    pub private: Sealed,
    pub created_at: Micros,
    /// When it begins to sign. The newest of its algorithm whose instant has come is the one that signs.
    pub active_at: Micros,
    /// When it leaves the JWKS: its successor's beginning and the longest life of what it signed. None: no successor yet.
    pub gone_at: Option<Micros>,
    /// An emergency: from then on nothing is signed with it and nothing that it signed counts.
    pub revoked_at: Option<Micros>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
