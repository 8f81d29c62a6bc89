//! An authorization code and every binding it was made for (RFC 6749 section 4.1). Owned by `oidc/grant/code.rs`.

use crate::{ClientKey, Document, GrantId, Hash, Micros, Scopes, SessionId, TenantId, Texts, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "authorization_code")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: Hash,
    pub client: ClientKey,
    pub user_id: UserId,
    pub session_id: SessionId,
    pub issuer: String,
    /// Empty when the authorization request left it out.
    pub redirect_uri: String,
    pub code_challenge: Option<String>,
    pub nonce: Option<String>,
    pub scopes: Scopes,
    /// The `claims` parameter (OpenID Connect Core section 5.5).
    pub claims: Option<Document>,
    pub auth_time: Micros,
    pub amr: Texts,
    pub acr: String,
    pub created_at: Micros,
    pub expires_at: Micros,
    pub spent_at: Option<Micros>,
    /// The grant that came of it: what a fully valid replay revokes.
    pub grant_id: Option<GrantId>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
