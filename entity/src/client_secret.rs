//! A client's secrets: two may be valid at once, for rotation. Owned by `client.rs`.

use crate::{ClientKey, Hash, Micros, RowId, Sealed, TenantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "client_secret")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    pub client: ClientKey,
    /// SHA-256 of 256 random bits: no slow hash is needed for what cannot be guessed.
    pub hash: Hash,
    /// The secret itself, where it is the key of an HMAC (`client_secret_jwt`, HS256).
    pub sealed: Option<Sealed>,
    pub created_at: Micros,
    pub expires_at: Option<Micros>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
