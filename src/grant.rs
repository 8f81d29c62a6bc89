//! What applications were given by people: authorization codes, and the grants with their lines of refresh tokens.
//!
//! A code is spent by one conditional update; so is each refresh token. A refresh token names its grant and its number
//! in the line and is authentic by a keyed hash, so that an old one is recognised though only the newest is stored, and
//! the successor can be told again when its answer was lost.

use crate::account::claims::ClaimsRequest;
use crate::db::{Db, Tx, insert_if_new};
use crate::error::{Error, Result};
use crate::seal::{Token, hmac256, same, sha256};
use crate::settings::Settings;
use crate::tenant::{Purpose, Tenant};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{
    ClientKey, Document, GrantId, Hash, Micros, Scopes, SessionId, TenantId, Texts, UserId, authorization_code as code,
    revoked_token, token_grant,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
};
use zeroize::Zeroizing;

/// Who, for whom, from which sign-in: what a code and everything that comes of it are bound to.
#[derive(Clone, Debug)]
pub struct Bound {
    pub client: ClientKey,
    pub user: UserId,
    pub session: SessionId,
    pub issuer: String,
    pub scopes: Scopes,
    pub claims: Option<ClaimsRequest>,
    pub nonce: Option<String>,
    pub auth_time: Micros,
    pub amr: Texts,
    pub acr: String,
}

/// How a code must be redeemed.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// None when the authorization request left it out.
    pub redirect_uri: Option<String>,
    pub code_challenge: Option<String>,
}

fn document(claims: Option<&ClaimsRequest>) -> Result<Option<Document>> {
    claims.map(|c| serde_json::to_value(c).map(Document).map_err(Error::internal)).transpose()
}

fn claims(document: Option<&Document>) -> Option<ClaimsRequest> {
    document.and_then(|d| serde_json::from_value(d.0.clone()).ok())
}

impl From<&code::Model> for Bound {
    fn from(row: &code::Model) -> Self {
        Self {
            client: row.client,
            user: row.user_id,
            session: row.session_id,
            issuer: row.issuer.clone(),
            scopes: row.scopes.clone(),
            claims: claims(row.claims.as_ref()),
            nonce: row.nonce.clone(),
            auth_time: row.auth_time,
            amr: row.amr.clone(),
            acr: row.acr.clone(),
        }
    }
}

impl From<&token_grant::Model> for Bound {
    fn from(row: &token_grant::Model) -> Self {
        Self {
            client: row.client,
            user: row.user_id,
            session: row.session_id,
            issuer: row.issuer.clone(),
            scopes: row.scopes.clone(),
            claims: claims(row.claims.as_ref()),
            // OpenID Connect Core section 12.2: a refreshed ID token should have no nonce.
            nonce: None,
            auth_time: row.auth_time,
            amr: row.amr.clone(),
            acr: row.acr.clone(),
        }
    }
}

const CODE: &str = "kw_ac_";
const REFRESH: &str = "kw_rt_";

/// Writes a code (RFC 6749 section 4.1.2) and returns it, once.
///
/// # Errors
/// The database's.
pub async fn put_code(
    tx: &Tx,
    tenant: TenantId,
    bound: Bound,
    redemption: Redemption,
    (now, expires_at): (Micros, Micros),
) -> Result<Zeroizing<String>> {
    let Token { text: secret, hash } = Token::new(CODE)?;
    let row = code::ActiveModel {
        tenant_id: Set(tenant),
        hash: Set(hash),
        client: Set(bound.client),
        user_id: Set(bound.user),
        session_id: Set(bound.session),
        issuer: Set(bound.issuer),
        redirect_uri: Set(redemption.redirect_uri.unwrap_or_default()),
        code_challenge: Set(redemption.code_challenge),
        nonce: Set(bound.nonce),
        scopes: Set(bound.scopes),
        claims: Set(document(bound.claims.as_ref())?),
        auth_time: Set(bound.auth_time),
        amr: Set(bound.amr),
        acr: Set(bound.acr),
        created_at: Set(now),
        expires_at: Set(expires_at),
        spent_at: Set(None),
        grant_id: Set(None),
    };
    code::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(secret)
}

/// # Errors
/// The database's.
pub async fn find_code(conn: &impl ConnectionTrait, tenant: TenantId, text: &str) -> Result<Option<code::Model>> {
    if !text.starts_with(CODE) || text.len() > 100 {
        return Ok(None);
    }
    Ok(code::Entity::find_by_id((tenant, sha256(text.as_bytes()))).one(conn).await?)
}

/// Spends a code for this grant; `false` when another was first or its time has passed.
///
/// # Errors
/// The database's.
pub async fn spend_code(tx: &Tx, row: &code::Model, grant: GrantId, now: Micros) -> Result<bool> {
    let done = code::Entity::update_many()
        .col_expr(code::Column::SpentAt, Expr::value(now.0))
        .col_expr(code::Column::GrantId, Expr::value(grant.0))
        .filter(code::Column::TenantId.eq(row.tenant_id))
        .filter(code::Column::Hash.eq(row.hash.clone()))
        .filter(code::Column::SpentAt.is_null())
        .filter(code::Column::ExpiresAt.gt(now))
        .exec(tx)
        .await?;
    Ok(done.rows_affected == 1)
}

/// Whether a grant begins with a refresh token, and how long it and its tokens live.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub now: Micros,
    pub refresh: bool,
    pub offline: bool,
    pub refresh_idle: std::time::Duration,
    pub refresh_max: std::time::Duration,
    pub access_token: std::time::Duration,
}

/// Writes the grant that came of a code; returns its first refresh token where there is to be one.
///
/// # Errors
/// The database's.
pub async fn put_grant(
    tx: &Tx,
    tenant: &Tenant,
    id: GrantId,
    bound: &Bound,
    terms: Terms,
) -> Result<Option<Zeroizing<String>>> {
    let now = terms.now;
    let token = terms.refresh.then(|| refresh_token(tenant, id, 1));
    let life = if terms.refresh { terms.refresh_max } else { terms.access_token };
    let row = token_grant::ActiveModel {
        tenant_id: Set(tenant.id),
        id: Set(id),
        client: Set(bound.client),
        user_id: Set(bound.user),
        session_id: Set(bound.session),
        issuer: Set(bound.issuer.clone()),
        scopes: Set(bound.scopes.clone()),
        claims: Set(document(bound.claims.as_ref())?),
        nonce: Set(bound.nonce.clone()),
        auth_time: Set(bound.auth_time),
        amr: Set(bound.amr.clone()),
        acr: Set(bound.acr.clone()),
        offline: Set(terms.offline),
        refresh_hash: Set(token.as_ref().map(|t| sha256(t.as_bytes()))),
        refresh_number: Set(i64::from(terms.refresh)),
        refreshed_at: Set(now),
        idle_expires_at: Set(now.plus(terms.refresh_idle)),
        created_at: Set(now),
        expires_at: Set(now.plus(life)),
        revoked_at: Set(None),
    };
    token_grant::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(token)
}

/// # Errors
/// The database's.
pub async fn find_grant(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    id: GrantId,
) -> Result<Option<token_grant::Model>> {
    Ok(token_grant::Entity::find_by_id((tenant, id)).one(conn).await?)
}

/// A refresh token that is one of ours: which grant it names, and its number in the line.
#[derive(Clone, Debug)]
pub struct Presented {
    pub grant: GrantId,
    pub number: i64,
    hash: Hash,
}

/// The token of this number in a grant's line: the same each time, since it is derived and not drawn.
fn refresh_token(tenant: &Tenant, grant: GrantId, number: i64) -> Zeroizing<String> {
    let mut bytes = Vec::with_capacity(56);
    bytes.extend_from_slice(grant.0.as_bytes());
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&hmac256(&tenant.key(Purpose::Refresh), &[grant.0.as_bytes(), &number.to_be_bytes()]));
    Zeroizing::new(format!("{REFRESH}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Recognises a refresh token; `None` when this tenant never made it.
pub fn present(tenant: &Tenant, text: &str) -> Option<Presented> {
    let body = text.strip_prefix(REFRESH).filter(|b| b.len() == 75)?;
    let bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
    let grant = GrantId(uuid::Uuid::from_slice(bytes.get(..16)?).ok()?);
    let number = i64::from_be_bytes(bytes.get(16..24)?.try_into().ok()?);
    let made = refresh_token(tenant, grant, number);
    same(made.as_bytes(), text.as_bytes()).then(|| Presented { grant, number, hash: sha256(text.as_bytes()) })
}

/// What became of a refresh token.
pub enum Rotated {
    /// The successor; the same one once more when its answer may have been lost.
    Next(Zeroizing<String>),
    /// Its time has passed, or the grant was revoked.
    Dead,
    /// Spent before, outside the grace: somebody else may have it.
    Reused,
}

/// Rotates: the newest token of the line gives way to its successor by one conditional update (RFC 9700 section 4.14.2).
/// The parent of the newest gets the same successor again for a short grace, as long as that is unused.
///
/// # Errors
/// The database's.
pub async fn rotate(tx: &Tx, tenant: &Tenant, settings: &Settings, token: &Presented, now: Micros) -> Result<Rotated> {
    let next = refresh_token(tenant, token.grant, token.number + 1);
    let done = token_grant::Entity::update_many()
        .col_expr(token_grant::Column::RefreshHash, Expr::value(sha256(next.as_bytes()).0))
        .col_expr(token_grant::Column::RefreshNumber, Expr::value(token.number + 1))
        .col_expr(token_grant::Column::RefreshedAt, Expr::value(now.0))
        .col_expr(token_grant::Column::IdleExpiresAt, Expr::value(now.plus(settings.refresh_idle).0))
        .filter(token_grant::Column::TenantId.eq(tenant.id))
        .filter(token_grant::Column::Id.eq(token.grant))
        .filter(token_grant::Column::RefreshNumber.eq(token.number))
        .filter(token_grant::Column::RefreshHash.eq(token.hash.clone()))
        .filter(token_grant::Column::RevokedAt.is_null())
        .filter(token_grant::Column::IdleExpiresAt.gt(now))
        .filter(token_grant::Column::ExpiresAt.gt(now))
        .exec(tx)
        .await?;
    if done.rows_affected == 1 {
        return Ok(Rotated::Next(next));
    }
    // Held, so that a revocation that commits meanwhile is seen.
    let row = token_grant::Entity::find_by_id((tenant.id, token.grant)).lock_exclusive().one(tx).await?;
    let Some(row) = row else { return Ok(Rotated::Dead) };
    if row.revoked_at.is_some()
        || row.expires_at <= now
        || row.refresh_hash.is_none()
        || token.number >= row.refresh_number
    {
        return Ok(Rotated::Dead);
    }
    let within = row.refreshed_at.until(now) <= settings.refresh_grace;
    if token.number + 1 == row.refresh_number && within {
        return Ok(Rotated::Next(next));
    }
    Ok(Rotated::Reused)
}

/// Revokes one grant with everything that came of it; `false` when it was dead before.
///
/// # Errors
/// The database's.
pub async fn revoke(tx: &Tx, tenant: TenantId, id: GrantId, now: Micros) -> Result<bool> {
    let done = dying(now)
        .filter(token_grant::Column::TenantId.eq(tenant))
        .filter(token_grant::Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(done.rows_affected > 0)
}

/// What becomes of a session's grants at its end: those with `offline_access` live on (OpenID Connect Core section 11).
///
/// # Errors
/// The database's.
pub async fn end_session(tx: &Tx, tenant: TenantId, session: SessionId, now: Micros) -> Result<()> {
    dying(now)
        .filter(token_grant::Column::TenantId.eq(tenant))
        .filter(token_grant::Column::SessionId.eq(session))
        .filter(token_grant::Column::Offline.eq(false))
        .exec(tx)
        .await?;
    // Codes that were not redeemed yet die with the session, by the gate; nothing else has to be written.
    Ok(())
}

fn dying(now: Micros) -> sea_orm::UpdateMany<token_grant::Entity> {
    token_grant::Entity::update_many()
        .col_expr(token_grant::Column::RevokedAt, Expr::value(now.0))
        .filter(token_grant::Column::RevokedAt.is_null())
}

/// Revokes one access token until it expires (RFC 7009); `false` when it was revoked before.
///
/// # Errors
/// The database's.
pub async fn revoke_token(tx: &Tx, tenant: TenantId, jti: &str, expires_at: Micros) -> Result<bool> {
    let row = revoked_token::ActiveModel {
        tenant_id: Set(tenant),
        jti: Set(sha256(jti.as_bytes())),
        expires_at: Set(expires_at),
    };
    Ok(insert_if_new(tx, revoked_token::Entity::insert(row).into_query()).await?)
}

/// The grant that an access token came of, unless that token or the grant was revoked: one statement, since every use of a
/// token asks.
///
/// # Errors
/// The database's: what cannot be looked up does not count as alive.
pub async fn of_token(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    (id, jti): (GrantId, &str),
) -> Result<Option<token_grant::Model>> {
    let revoked = revoked_token::Entity::find_by_id((tenant, sha256(jti.as_bytes())))
        .select_only()
        .column(revoked_token::Column::ExpiresAt)
        .into_query();
    let grant = token_grant::Entity::find_by_id((tenant, id))
        .filter(token_grant::Column::RevokedAt.is_null())
        .filter(Expr::not_exists(revoked));
    Ok(grant.one(conn).await?)
}

/// Whether an access token without a grant was revoked.
///
/// # Errors
/// As [`of_token`].
pub async fn is_revoked(conn: &impl ConnectionTrait, tenant: TenantId, jti: &str) -> Result<bool> {
    Ok(revoked_token::Entity::find_by_id((tenant, sha256(jti.as_bytes()))).one(conn).await?.is_some())
}

/// How long a code is known after its time: a replay revokes what came of it.
const REPLAYED: std::time::Duration = std::time::Duration::from_secs(900);

/// Deletes codes that nobody replays any more, and what else has been dead for a day.
///
/// # Errors
/// The database's.
pub async fn sweep(db: &Db, now: Micros) -> Result<u64> {
    let before = now.minus(std::time::Duration::from_secs(86_400));
    let codes = Condition::all().add(code::Column::ExpiresAt.lt(now.minus(REPLAYED)));
    let tokens = Condition::all().add(revoked_token::Column::ExpiresAt.lt(before));
    let grants = Condition::all().add(token_grant::Column::ExpiresAt.lt(before));
    Ok(db.sweep::<code::Entity, Hash>(code::Column::Hash, codes).await?
        + db.sweep::<revoked_token::Entity, Hash>(revoked_token::Column::Jti, tokens).await?
        + db.sweep::<token_grant::Entity, GrantId>(token_grant::Column::Id, grants).await?)
}
