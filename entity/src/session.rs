//! One account signed in to in one browser: how, when, with what. Owned by `account/session.rs`.

use crate::{BrowserSessionId, Hash, Micros, SessionId, TenantId, Texts, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub browser_session: BrowserSessionId,
    pub user_id: UserId,
    /// The browser it was made in: a person's known browsers are those of their sessions.
    pub browser: Hash,
    pub auth_time: Micros,
    /// Authentication methods (RFC 8176).
    pub amr: Texts,
    pub acr: String,
    pub remember: bool,
    pub ip: String,
    pub user_agent: String,
    pub created_at: Micros,
    pub last_used_at: Micros,
    pub idle_expires_at: Micros,
    pub expires_at: Micros,
    pub ended_at: Option<Micros>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
