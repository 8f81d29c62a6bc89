//! Sessions: one browser at one tenant, with the accounts that are signed in there.
//!
//! The cookie's secret is kept as its SHA-256 and is another after each sign-in. Each account in the browser keeps how,
//! when and with what it signed in.

use crate::ctx::Ctx;
use crate::db::{Db, Tx, insert_if_new};
use crate::error::Result;
use crate::seal::{Token, hmac256};
use crate::tenant::{Purpose, Tenant};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{
    BrowserSessionId, ClientKey, Hash, Micros, SessionId, TenantId, Texts, UserId, browser_session, session,
    session_client,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};
use zeroize::Zeroizing;

/// What a browser brings: its id and, when somebody signed in, the secret of its session. Both as hashes.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    pub browser: Option<Hash>,
    pub secret: Option<Hash>,
}

/// A live browser session and the live accounts in it, the newest sign-in first.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    pub id: Option<BrowserSessionId>,
    pub sessions: Vec<session::Model>,
}

/// How somebody proved who they are.
#[derive(Clone, Debug)]
pub struct Proof {
    pub user: UserId,
    /// RFC 8176.
    pub amr: Texts,
    pub acr: &'static str,
    pub remember: bool,
}

/// A sign-in that was written: the new secret for the cookie, told once.
pub struct SignedIn {
    pub session: SessionId,
    pub secret: Zeroizing<String>,
}

/// # Errors
/// The database's.
pub async fn load(conn: &impl ConnectionTrait, tenant: TenantId, visitor: &Visitor, now: Micros) -> Result<Browser> {
    let Some(query) = of_browser(tenant, visitor) else { return Ok(Browser::default()) };
    with_sessions(conn, visitor, query.one(conn).await?, now).await
}

/// The same, locked until the transaction ends: signing in and out in one browser wait for each other.
async fn held_browser(tx: &Tx, tenant: TenantId, visitor: &Visitor, now: Micros) -> Result<Browser> {
    let Some(query) = of_browser(tenant, visitor) else { return Ok(Browser::default()) };
    with_sessions(tx, visitor, query.lock_exclusive().one(tx).await?, now).await
}

/// Every live session of a browser, locked, whichever secret it holds by now: whoever signs in there meanwhile is found too.
///
/// # Errors
/// The database's.
pub async fn all_of(tx: &Tx, tenant: TenantId, browser: &Hash, now: Micros) -> Result<Vec<session::Model>> {
    let rows = browser_session::Entity::find()
        .filter(browser_session::Column::TenantId.eq(tenant))
        .filter(browser_session::Column::Browser.eq(browser.clone()))
        .filter(browser_session::Column::EndedAt.is_null())
        .lock_exclusive()
        .all(tx)
        .await?;
    let ids = rows.iter().map(|row| row.id);
    Ok(live(tenant, now).filter(session::Column::BrowserSession.is_in(ids)).all(tx).await?)
}

fn of_browser(tenant: TenantId, visitor: &Visitor) -> Option<sea_orm::Select<browser_session::Entity>> {
    let secret = visitor.secret.clone()?;
    let query = browser_session::Entity::find()
        .filter(browser_session::Column::TenantId.eq(tenant))
        .filter(browser_session::Column::Secret.eq(secret))
        .filter(browser_session::Column::EndedAt.is_null());
    Some(query)
}

async fn with_sessions(
    conn: &impl ConnectionTrait,
    visitor: &Visitor,
    row: Option<browser_session::Model>,
    now: Micros,
) -> Result<Browser> {
    // The secret counts only beside the browser id that it was made for.
    let Some(row) = row.filter(|r| visitor.browser.as_ref() == Some(&r.browser)) else {
        return Ok(Browser::default());
    };
    let sessions = live(row.tenant_id, now)
        .filter(session::Column::BrowserSession.eq(row.id))
        .order_by_desc(session::Column::AuthTime)
        .all(conn)
        .await?;
    Ok(Browser { id: Some(row.id), sessions })
}

/// Another for each set of sign-ins in a browser; empty when nobody is signed in (OpenID Connect Session Management section
/// 3.2: the OP browser state).
pub fn state(tenant: &Tenant, browser: &Browser) -> String {
    let Some(id) = browser.id.filter(|_| !browser.sessions.is_empty()) else { return String::new() };
    let mut parts = vec![*id.0.as_bytes()];
    for row in &browser.sessions {
        let mut made = *row.id.0.as_bytes();
        for (at, byte) in row.auth_time.0.to_be_bytes().iter().enumerate() {
            made[at] ^= byte;
        }
        parts.push(made);
    }
    parts.sort_unstable();
    let parts: Vec<&[u8]> = parts.iter().map(|p| &p[..]).collect();
    let state = hmac256(&tenant.key(Purpose::Alias), &[&[&b"browser state"[..]], &parts[..]].concat());
    URL_SAFE_NO_PAD.encode(&state[..24])
}

fn live(tenant: TenantId, now: Micros) -> sea_orm::Select<session::Entity> {
    session::Entity::find()
        .filter(session::Column::TenantId.eq(tenant))
        .filter(session::Column::EndedAt.is_null())
        .filter(session::Column::IdleExpiresAt.gt(now))
        .filter(session::Column::ExpiresAt.gt(now))
}

/// A session that is neither ended nor expired.
///
/// # Errors
/// The database's.
pub async fn find(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    id: SessionId,
    now: Micros,
) -> Result<Option<session::Model>> {
    Ok(live(tenant, now).filter(session::Column::Id.eq(id)).one(conn).await?)
}

/// The same, locked until the transaction ends: a sign-out waits for what is being made of the session, and ends that too.
///
/// # Errors
/// The database's.
pub async fn held(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    id: SessionId,
    now: Micros,
) -> Result<Option<session::Model>> {
    Ok(live(tenant, now).filter(session::Column::Id.eq(id)).lock_exclusive().one(conn).await?)
}

/// The live sessions of a person in every browser, the last used first.
///
/// # Errors
/// The database's.
pub async fn of_user(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    user: UserId,
    now: Micros,
) -> Result<Vec<session::Model>> {
    let mine = live(tenant, now).filter(session::Column::UserId.eq(user));
    Ok(mine.order_by_desc(session::Column::LastUsedAt).limit(100).all(conn).await?)
}

/// Whether this person signed in from this browser before: a stranger's failures do not count against it.
///
/// # Errors
/// The database's.
pub async fn knows(conn: &impl ConnectionTrait, tenant: TenantId, user: UserId, browser: &Hash) -> Result<bool> {
    let row = session::Entity::find()
        .filter(session::Column::TenantId.eq(tenant))
        .filter(session::Column::UserId.eq(user))
        .filter(session::Column::Browser.eq(browser.clone()))
        .one(conn)
        .await?;
    Ok(row.is_some())
}

/// Writes a sign-in: a new secret for the browser, and the account's session in it (the same one when they proved
/// themselves again, so that its applications stay signed in).
///
/// # Errors
/// The database's.
pub async fn start(tx: &Tx, ctx: &Ctx, visitor: &Visitor, proof: &Proof) -> Result<SignedIn> {
    let (tenant, now) = (ctx.tenant.id, ctx.now);
    let browser = visitor.browser.clone().unwrap_or(Hash(vec![]));
    let Token { text: secret, hash } = Token::new("")?;
    let before = held_browser(tx, tenant, visitor, now).await?;
    let browser_session = match before.id {
        Some(id) => {
            browser_session::Entity::update_many()
                .col_expr(browser_session::Column::Secret, Expr::value(hash.0))
                .filter(browser_session::Column::TenantId.eq(tenant))
                .filter(browser_session::Column::Id.eq(id))
                .exec(tx)
                .await?;
            id
        }
        None => {
            let id = BrowserSessionId::new();
            let row = browser_session::ActiveModel {
                tenant_id: Set(tenant),
                id: Set(id),
                secret: Set(hash),
                browser: Set(browser.clone()),
                created_at: Set(now),
                ended_at: Set(None),
            };
            browser_session::Entity::insert(row).exec_without_returning(tx).await?;
            id
        }
    };
    let settings = &ctx.tenant.settings;
    let (lifetime, idle) = match proof.remember {
        true => (settings.remembered, settings.remembered_idle),
        false => (settings.session, settings.session_idle),
    };
    let again = before.sessions.iter().find(|s| s.user_id == proof.user);
    let id = again.map_or_else(SessionId::new, |s| s.id);
    let row = session::ActiveModel {
        tenant_id: Set(tenant),
        id: Set(id),
        browser_session: Set(browser_session),
        user_id: Set(proof.user),
        browser: Set(browser),
        auth_time: Set(now),
        amr: Set(proof.amr.clone()),
        acr: Set(proof.acr.to_owned()),
        remember: Set(proof.remember),
        ip: Set(ctx.ip.to_string()),
        user_agent: Set(ctx.user_agent.chars().take(400).collect()),
        created_at: Set(again.map_or(now, |s| s.created_at)),
        last_used_at: Set(now),
        idle_expires_at: Set(now.plus(idle)),
        expires_at: Set(now.plus(lifetime)),
        ended_at: Set(None),
    };
    match again {
        Some(_) => {
            session::Entity::update(row).exec(tx).await?;
        }
        None => {
            session::Entity::insert(row).exec_without_returning(tx).await?;
        }
    }
    Ok(SignedIn { session: id, secret })
}

/// Notes that a session was used; written at most every tenth of its idle limit.
///
/// # Errors
/// The database's.
pub async fn touch(tx: &Tx, ctx: &Ctx, row: &session::Model) -> Result<()> {
    let idle = if row.remember { ctx.tenant.settings.remembered_idle } else { ctx.tenant.settings.session_idle };
    session::Entity::update_many()
        .col_expr(session::Column::LastUsedAt, Expr::value(ctx.now.0))
        .col_expr(session::Column::IdleExpiresAt, Expr::value(ctx.now.plus(idle).0))
        .filter(session::Column::TenantId.eq(row.tenant_id))
        .filter(session::Column::Id.eq(row.id))
        .filter(session::Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// Whether the last use was noted so long ago that it should be noted anew.
pub fn worth_touching(ctx: &Ctx, row: &session::Model) -> bool {
    let idle = if row.remember { ctx.tenant.settings.remembered_idle } else { ctx.tenant.settings.session_idle };
    let step = (idle / 10).min(std::time::Duration::from_secs(86_400));
    row.last_used_at.until(ctx.now) >= step
}

/// Notes that an application was signed in to from a session, so that it hears of its end.
///
/// # Errors
/// The database's.
pub async fn note_client(
    tx: &Tx,
    tenant: TenantId,
    (session, client): (SessionId, ClientKey),
    now: Micros,
) -> Result<()> {
    let row = session_client::ActiveModel {
        tenant_id: Set(tenant),
        session_id: Set(session),
        client: Set(client),
        created_at: Set(now),
    };
    Ok(insert_if_new(tx, session_client::Entity::insert(row).into_query()).await.map(drop)?)
}

/// The applications that were signed in to from a session and want to hear of its end.
///
/// # Errors
/// The database's.
pub async fn clients(conn: &impl ConnectionTrait, tenant: TenantId, session: SessionId) -> Result<Vec<ClientKey>> {
    let rows = session_client::Entity::find()
        .filter(session_client::Column::TenantId.eq(tenant))
        .filter(session_client::Column::SessionId.eq(session))
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(|r| r.client).collect())
}

/// Ends one session; `false` when it had ended before.
///
/// # Errors
/// The database's.
pub async fn end(tx: &Tx, tenant: TenantId, id: SessionId, now: Micros) -> Result<bool> {
    let done = session::Entity::update_many()
        .col_expr(session::Column::EndedAt, Expr::value(now.0))
        .filter(session::Column::TenantId.eq(tenant))
        .filter(session::Column::Id.eq(id))
        .filter(session::Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    Ok(done.rows_affected > 0)
}

/// Ends what a browser holds as a whole; its cookie is of no more use.
///
/// # Errors
/// The database's.
pub async fn end_browser(tx: &Tx, tenant: TenantId, browser: &Hash, now: Micros) -> Result<()> {
    browser_session::Entity::update_many()
        .col_expr(browser_session::Column::EndedAt, Expr::value(now.0))
        .filter(browser_session::Column::TenantId.eq(tenant))
        .filter(browser_session::Column::Browser.eq(browser.clone()))
        .filter(browser_session::Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// A browser is known for so long after its session there has ended.
const KNOWN: std::time::Duration = std::time::Duration::from_secs(90 * 86_400);

/// Deletes sessions that ended so long ago that nothing asks for them any more.
///
/// # Errors
/// The database's.
pub async fn sweep(db: &Db, now: Micros) -> Result<u64> {
    let before = now.minus(KNOWN);
    let sessions = Condition::all().add(session::Column::ExpiresAt.lt(before));
    // Most end by running out, which nobody writes down: then none of their sessions is left.
    let none_left = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(
            Expr::col((session::Entity, session::Column::TenantId))
                .equals((browser_session::Entity, browser_session::Column::TenantId)),
        )
        .filter(
            Expr::col((session::Entity, session::Column::BrowserSession))
                .equals((browser_session::Entity, browser_session::Column::Id)),
        )
        .into_query();
    let browsers = Condition::any()
        .add(browser_session::Column::EndedAt.lt(before))
        .add(Condition::all().add(browser_session::Column::CreatedAt.lt(before)).add(Expr::not_exists(none_left)));
    Ok(db.sweep::<session::Entity, SessionId>(session::Column::Id, sessions).await?
        + db.sweep::<browser_session::Entity, BrowserSessionId>(browser_session::Column::Id, browsers).await?)
}

/// A session, ended or not.
///
/// # Errors
/// The database's.
pub async fn any(conn: &impl ConnectionTrait, tenant: TenantId, id: SessionId) -> Result<Option<session::Model>> {
    let row = session::Entity::find()
        .filter(session::Column::TenantId.eq(tenant))
        .filter(session::Column::Id.eq(id))
        .one(conn)
        .await?;
    Ok(row)
}
