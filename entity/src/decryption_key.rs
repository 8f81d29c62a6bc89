//! A tenant's keys that others encrypt to. Owned by `keys/decryption.rs`.

use crate::{Document, KeyAlg, Micros, RowId, Sealed, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "decryption_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The RFC 7638 thumbprint.
    pub kid: String,
    pub alg: KeyAlg,
    /// The public JWK as it is published.
    pub public: Document,
    /// The private JWK.
    pub private: Sealed,
    pub created_at: Micros,
    /// Not published from then on.
    pub replaced_at: Option<Micros>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
