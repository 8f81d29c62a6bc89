//! A registered application. Owned by `client.rs`.

use crate::{
    ClientAuth, ClientKey, Document, Hash, JwsAlg, Micros, PkceRule, Profile, Scopes, SigningAlg, Status, TenantId,
    Texts,
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "client")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ClientKey,
    /// Random; what the outside knows it by (RFC 6749 section 2.2).
    pub client_id: String,
    pub name: String,
    pub status: Status,
    pub profile: Profile,
    pub token_endpoint_auth_method: ClientAuth,
    pub grant_types: Texts,
    pub redirect_uris: Texts,
    pub post_logout_redirect_uris: Texts,
    /// Origins whose scripts may call the token endpoint and its like.
    pub allowed_origins: Texts,
    /// The scopes it may ask for.
    pub scopes: Scopes,
    pub pkce: PkceRule,
    /// Its public keys (RFC 7517), for `private_key_jwt`.
    pub jwks: Option<Document>,
    pub id_token_signed_response_alg: JwsAlg,
    pub access_token_signed_response_alg: Option<SigningAlg>,
    /// An application of the tenant itself: no consent page.
    pub first_party: bool,
    /// An administrator made it, so errors may be redirected to it without a person's act (RFC 9700 section 4.11.2).
    pub approved: bool,
    pub client_uri: Option<String>,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub tos_uri: Option<String>,
    /// What this client sets differently from its tenant: lifetimes and the like.
    pub settings: Document,
    /// What else it registered (OpenID Connect Registration section 2); read by `client/metadata.rs`.
    pub metadata: Document,
    /// SHA-256 of what it manages its registration with (RFC 7592); none when an administrator made it.
    pub registration_token: Option<Hash>,
    /// When it first signed somebody in or got a token, as far as it registered by itself; those that never did are swept.
    pub used_at: Option<Micros>,
    /// Tokens that it got for itself before this instant are dead.
    pub not_before: Option<Micros>,
    pub created_at: Micros,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
