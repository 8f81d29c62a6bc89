//! What a client was given by a person, with its family of refresh tokens. Owned by `oidc/grant/`.
//!
//! # Why one row for a family
//! Refresh tokens are a line: only the newest lives. The row holds the hash and the number of the newest one; a token
//! names its family and number and is authentic by a keyed hash, so that an old one is recognised without being stored.
//! A rotation is one conditional update.

use crate::{ClientKey, Document, GrantId, Hash, Micros, Scopes, SessionId, TenantId, Texts, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "token_grant")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: GrantId,
    pub client: ClientKey,
    pub user_id: UserId,
    pub session_id: SessionId,
    pub issuer: String,
    pub scopes: Scopes,
    /// The `claims` parameter (OpenID Connect Core section 5.5).
    pub claims: Option<Document>,
    pub nonce: Option<String>,
    pub auth_time: Micros,
    pub amr: Texts,
    pub acr: String,
    /// Outlives the session (OpenID Connect Core section 11).
    pub offline: bool,
    /// SHA-256 of the newest refresh token; none when the grant has no refresh token.
    pub refresh_hash: Option<Hash>,
    /// The number of the newest refresh token in its line, from 1.
    pub refresh_number: i64,
    pub refreshed_at: Micros,
    pub idle_expires_at: Micros,
    pub created_at: Micros,
    /// The end of everything that came of this grant, access tokens included.
    pub expires_at: Micros,
    pub revoked_at: Option<Micros>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
