//! What happened: audit events, written in the transaction of what they tell of.
//!
//! Owns `audit_event`. Start at [`record`]; [`kind`] has the names. Personal data (address, user agent) stands in a
//! column of its own, so that it can be erased; what goes into `details` must not be personal.

use crate::ctx::Ctx;
use crate::db::Tx;
use crate::error::Result;
use entity::{ClientKey, Document, Micros, Outcome, RowId, Severity, TenantId, UserId, audit_event};
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// The length of `audit_event.request_id`, in characters.
const REQUEST_ID: usize = 64;
/// Of a user agent, so many characters are kept.
const USER_AGENT: usize = 400;

/// The names of events, with the severity of a success. A failure is at least `medium`.
macro_rules! kinds {
    ($($name:ident = $text:literal, $severity:ident;)*) => {
        pub mod kind {
            $(pub const $name: &str = $text;)*
            pub const ALL: &[&str] = &[$($name),*];
        }

        fn gravity(kind: &str) -> Severity {
            match kind { $($text => Severity::$severity,)* _ => Severity::Low }
        }
    };
}

kinds! {
    USER_SIGNUP = "user.signup", Low;
    USER_LOGIN = "user.login", Low;
    USER_LOGIN_FAILED = "user.login_failed", Medium;
    USER_LOGOUT = "user.logout", Low;
    USER_UPDATE = "user.update", Low;
    USER_DELETE = "user.delete", High;
    USER_BANNED = "user.banned", High;
    USER_IMPERSONATED = "user.impersonated", High;
    PASSWORD_RESET = "password.reset", Medium;
    PASSWORD_CHANGE = "password.change", Medium;
    EMAIL_VERIFY = "email.verify", Low;
    TWO_FACTOR_ENABLE = "two_factor.enable", Medium;
    TWO_FACTOR_DISABLE = "two_factor.disable", High;
    OAUTH_LINK = "oauth.link", Medium;
    OAUTH_UNLINK = "oauth.unlink", Medium;
    ORGANIZATION_CREATE = "organization.create", Medium;
    ORGANIZATION_UPDATE = "organization.update", Low;
    ORGANIZATION_DELETE = "organization.delete", High;
    MEMBER_INVITE = "member.invite", Low;
    MEMBER_JOIN = "member.join", Low;
    MEMBER_REMOVE = "member.remove", Medium;
    TEAM_CREATE = "team.create", Low;
    API_KEY_CREATE = "api_key.create", Medium;
    API_KEY_DELETE = "api_key.delete", Medium;
    FEATURE_TOGGLE = "feature.toggle", Medium;
    CLIENT_CREATE = "client.create", Medium;
    CLIENT_UPDATE = "client.update", Medium;
    CLIENT_DELETE = "client.delete", High;
    CLIENT_SECRET_ROTATE = "client.secret_rotate", Medium;
    KEY_REVOKE = "key.revoke", Critical;
    KEY_ROTATE = "key.rotate", Medium;
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded", Medium;
    ANOMALY_DETECTED = "anomaly_detected", High;
    CONSENT_GIVE = "consent.give", Low;
    CONSENT_DENY = "consent.deny", Low;
    CLIENT_LOGIN_FAILED = "client.login_failed", Medium;
    SESSION_END = "session.end", Low;
    TOKEN_REVOKE = "token.revoke", Low;
    TOKEN_REUSE = "token.reuse", High;
    CODE_REUSE = "code.reuse", High;
    TENANT_CREATE = "tenant.create", Medium;
    TENANT_UPDATE = "tenant.update", High;
    SETTINGS_UPDATE = "settings.update", Medium;
}

/// From where and when something was done: the part of a [`Ctx`] that a write takes along.
#[derive(Clone, Debug)]
pub struct Origin {
    pub tenant: TenantId,
    pub now: Micros,
    pub request_id: Arc<str>,
    pub ip: Option<IpAddr>,
    /// Empty when there is none.
    pub user_agent: Arc<str>,
}

impl Origin {
    /// The command line and jobs: no request, no address.
    pub fn of_process(tenant: TenantId, now: Micros) -> Self {
        Self { tenant, now, request_id: "process".into(), ip: None, user_agent: "".into() }
    }
}

impl From<&Ctx> for Origin {
    fn from(ctx: &Ctx) -> Self {
        Self {
            tenant: ctx.tenant.id,
            now: ctx.now,
            request_id: ctx.request_id.clone(),
            ip: Some(ctx.ip),
            user_agent: ctx.user_agent.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Event {
    /// One of [`kind`].
    pub kind: &'static str,
    pub severity: Severity,
    pub outcome: Outcome,
    /// Who did it.
    pub actor: Option<UserId>,
    /// Whom it was done to.
    pub target: Option<UserId>,
    pub client: Option<ClientKey>,
    /// Why it failed: a code of at most 64 characters.
    pub reason: Option<&'static str>,
    /// Nothing personal.
    pub details: Value,
}

impl Event {
    pub fn success(kind: &'static str) -> Self {
        Self::new(kind, Outcome::Success, gravity(kind))
    }

    pub fn failure(kind: &'static str) -> Self {
        Self::new(kind, Outcome::Failure, gravity(kind).max(Severity::Medium))
    }

    fn new(kind: &'static str, outcome: Outcome, severity: Severity) -> Self {
        let details = Value::Object(Map::new());
        Self { kind, severity, outcome, actor: None, target: None, client: None, reason: None, details }
    }

    pub fn by(self, user: UserId) -> Self {
        Self { actor: Some(user), ..self }
    }

    pub fn on(self, user: UserId) -> Self {
        Self { target: Some(user), ..self }
    }

    pub fn client(self, client: ClientKey) -> Self {
        Self { client: Some(client), ..self }
    }

    pub fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    pub fn with(self, details: Value) -> Self {
        Self { details, ..self }
    }

    /// Graver, or less so, than its kind usually is.
    pub fn graded(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

/// Writes an event. It stays if, and only if, the write that it tells of does: a write that refuses somebody and wants
/// that on record returns `Ok`.
///
/// # Errors
/// What the database says.
pub async fn record(tx: &Tx, origin: &Origin, event: Event) -> Result<()> {
    let mut details = event.details;
    without_nul(&mut details);
    let row = audit_event::ActiveModel {
        tenant_id: Set(origin.tenant),
        id: Set(RowId::new()),
        at: Set(origin.now),
        kind: Set(event.kind.to_owned()),
        severity: Set(event.severity),
        outcome: Set(event.outcome),
        actor: Set(event.actor),
        target: Set(event.target),
        client: Set(event.client),
        request_id: Set(cut(&origin.request_id, REQUEST_ID)),
        reason: Set(event.reason.map(str::to_owned)),
        details: Set(Document(details)),
        personal: Set(personal(origin)),
        number: Set(None),
    };
    audit_event::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

fn personal(origin: &Origin) -> Option<Document> {
    let mut data = Map::new();
    if let Some(ip) = origin.ip {
        data.insert("ip".into(), json!(ip.to_canonical().to_string()));
    }
    if !origin.user_agent.is_empty() {
        data.insert("user_agent".into(), json!(cut(&origin.user_agent, USER_AGENT)));
    }
    (!data.is_empty()).then(|| Document(Value::Object(data)))
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(characters).collect()
}

/// PostgreSQL's `jsonb` takes no NUL: what somebody typed must not make the write fail that reports it.
fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) => text.retain(|c| c != '\0'),
        Value::Array(list) => list.iter_mut().for_each(without_nul),
        Value::Object(map) => map.values_mut().for_each(without_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::tests::each_database;
    use sea_orm::{ColumnTrait, QueryFilter};

    #[tokio::test]
    async fn an_event_keeps_personal_data_apart() {
        each_database(async |f| {
            let origin = Origin {
                tenant: f.tenant,
                now: Micros(7),
                request_id: "r".repeat(100).into(),
                ip: Some("::ffff:192.0.2.7".parse().unwrap()),
                user_agent: "Browser/1".into(),
            };
            let user = UserId::new();
            let event = Event::failure(kind::USER_LOGIN_FAILED)
                .by(user)
                .because("wrong_password")
                .with(json!({"typed": "a\u{0}b", "list": ["\u{0}"]}));
            f.db.write(async move |tx| record(tx, &origin, event.clone()).await).await.unwrap();
            let mine = audit_event::Column::TenantId.eq(f.tenant);
            let row = audit_event::Entity::find().filter(mine).one(f.db.read()).await.unwrap().unwrap();
            assert_eq!((row.actor, row.severity, row.outcome), (Some(user), Severity::Medium, Outcome::Failure));
            assert_eq!(row.request_id.len(), 64);
            assert_eq!(row.details.0, json!({"typed": "ab", "list": [""]}));
            assert_eq!(row.personal.unwrap().0, json!({"ip": "192.0.2.7", "user_agent": "Browser/1"}));
        })
        .await;
    }

    #[test]
    fn every_kind_fits_its_column() {
        assert!(kind::ALL.iter().all(|kind| kind.len() <= 64));
    }
}
