//! One gate: may this subject do this, now? Every path that yields a token, code, session or answer about a subject asks it.
//!
//! It reads what may change at any time (the person, the session) in the caller's transaction, so that a revocation
//! that was committed holds for everything after it.

use crate::account::{self, session};
use crate::client::Client;
use crate::error::Result;
use crate::tenant::Tenant;
use entity::{Micros, SessionId, Status, UserId};
use sea_orm::ConnectionTrait;

/// Who wants to act.
pub struct Act<'a> {
    pub tenant: &'a Tenant,
    /// The application, unless a person uses Keyward's own pages; and when what it acts with was given to it (now, when it
    /// asks for something new).
    pub client: Option<(&'a Client, Micros)>,
    /// The person; none when an application acts for itself.
    pub user: Option<UserId>,
    /// The session that must still live.
    pub session: Option<SessionId>,
    /// When what the person is known by was made: older than a "not before" means dead.
    pub since: Micros,
    pub now: Micros,
    pub hold: Hold,
}

/// Whether the rows of person and session stay as they are until the caller's transaction ends: a refusal that commits while tokens are
/// being made waits for them or is seen by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Row,
    Nothing,
}

/// Why not; for the log and the audit, never for the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    TenantDisabled,
    ClientDisabled,
    Outdated,
    NoSuchPerson,
    PersonDisabled,
    SessionEnded,
}

impl Denied {
    pub fn as_str(self) -> &'static str {
        match self {
            Denied::TenantDisabled => "tenant_disabled",
            Denied::ClientDisabled => "client_disabled",
            Denied::Outdated => "outdated",
            Denied::NoSuchPerson => "no_such_person",
            Denied::PersonDisabled => "person_disabled",
            Denied::SessionEnded => "session_ended",
        }
    }
}

/// The subject that passed; only [`may_act`] makes one.
#[non_exhaustive]
pub struct Allowed {
    pub user: Option<entity::user::Model>,
    pub session: Option<entity::session::Model>,
}

/// # Errors
/// The database's: what cannot be looked up is not allowed (it fails closed).
pub async fn may_act(conn: &impl ConnectionTrait, act: Act<'_>) -> Result<Result<Allowed, Denied>> {
    if act.tenant.status != Status::Active {
        return Ok(Err(Denied::TenantDisabled));
    }
    if let Some((client, given)) = act.client {
        if !client.active() {
            return Ok(Err(Denied::ClientDisabled));
        }
        if client.row.not_before.is_some_and(|t| given < t) {
            return Ok(Err(Denied::Outdated));
        }
    }
    let mut allowed = Allowed { user: None, session: None };
    if let Some(id) = act.user {
        let user = match act.hold {
            Hold::Row => account::held(conn, act.tenant.id, id).await?,
            Hold::Nothing => account::user(conn, act.tenant.id, id).await?,
        };
        let Some(user) = user else { return Ok(Err(Denied::NoSuchPerson)) };
        if user.status != Status::Active {
            return Ok(Err(Denied::PersonDisabled));
        }
        if user.not_before.is_some_and(|t| act.since < t) {
            return Ok(Err(Denied::Outdated));
        }
        allowed.user = Some(user);
    }
    if let Some(id) = act.session {
        let row = match act.hold {
            Hold::Row => session::held(conn, act.tenant.id, id, act.now).await?,
            Hold::Nothing => session::find(conn, act.tenant.id, id, act.now).await?,
        };
        let Some(row) = row.filter(|r| act.user.is_none_or(|u| u == r.user_id)) else {
            return Ok(Err(Denied::SessionEnded));
        };
        allowed.session = Some(row);
    }
    Ok(Ok(allowed))
}
