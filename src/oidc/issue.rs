//! Making tokens: JWT access tokens (RFC 9068) and ID tokens (OpenID Connect Core section 2).
//!
//! Signers are fetched before anything is spent ([`Mint::prepare`]), so that a missing key costs nobody a code; tokens
//! are made after the commit.

use crate::app::App;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::Result;
use crate::grant::Bound;
use crate::http::answer::no_store;
use crate::jose::{Signer, half_hash};
use crate::seal::{hmac256, random};
use crate::tenant::{Purpose, Tenant};
use actix_web::HttpResponse;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{ClientKey, GrantId, Micros, Scopes, SessionId, SigningAlg};
use serde::Serialize;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What will sign, ready.
pub struct Mint {
    access: Arc<Signer>,
    id: Option<(SigningAlg, Arc<Signer>)>,
}

/// RFC 9068 section 2.2.
#[derive(Serialize)]
struct AccessToken<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<&'a [String]>,
}

/// OpenID Connect Core section 2.
#[derive(Serialize)]
struct IdToken<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: &'a str,
    amr: &'a [String],
    at_hash: String,
    sid: String,
}

/// RFC 6749 section 5.1.
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
    scope: &'a str,
}

/// Whose tokens: what of a grant they say.
pub struct Subject<'a> {
    pub sub: &'a str,
    pub grant: GrantId,
    pub bound: &'a Bound,
    /// Of this answer; a refresh may ask for less than was granted.
    pub scopes: &'a Scopes,
    pub refresh: Option<Zeroizing<String>>,
    pub now: Micros,
}

impl Mint {
    /// # Errors
    /// The database's, when a key has to be read or made.
    pub async fn prepare(app: &App, ctx: &Ctx, client: &Client, scopes: &Scopes) -> Result<Self> {
        let access = app.keys.signer(&app.store, &ctx.tenant, client.access_token_alg()).await?;
        let id = match scopes.has("openid") {
            true => {
                let alg = client.row.id_token_signed_response_alg;
                Some((alg, app.keys.signer(&app.store, &ctx.tenant, alg).await?))
            }
            false => None,
        };
        Ok(Self { access, id })
    }

    /// The answer for a person's grant.
    ///
    /// # Errors
    /// When signing fails.
    pub fn for_person(&self, ctx: &Ctx, client: &Client, subject: &Subject<'_>) -> Result<HttpResponse> {
        let (bound, now) = (subject.bound, subject.now);
        let scope = subject.scopes.to_string();
        let claims = AccessToken {
            iss: &bound.issuer,
            sub: subject.sub,
            aud: &bound.issuer,
            client_id: client.id(),
            iat: now.seconds(),
            exp: now.plus(client.settings.access_token).seconds(),
            jti: &token_id(Some(subject.grant))?,
            scope: &scope,
            auth_time: Some(bound.auth_time.seconds()),
            acr: Some(&bound.acr),
            amr: Some(&bound.amr.0),
        };
        let access = self.access.sign("at+jwt", &claims)?;
        let id = match &self.id {
            Some((alg, signer)) => {
                let claims = IdToken {
                    iss: &bound.issuer,
                    sub: subject.sub,
                    aud: client.id(),
                    iat: now.seconds(),
                    exp: now.plus(client.settings.id_token).seconds(),
                    auth_time: bound.auth_time.seconds(),
                    nonce: bound.nonce.as_deref(),
                    acr: &bound.acr,
                    amr: &bound.amr.0,
                    at_hash: half_hash(*alg, &access)?,
                    sid: session_alias(&ctx.tenant, bound.session, client.key()),
                };
                Some(signer.sign("JWT", &claims)?)
            }
            None => None,
        };
        Ok(respond(&TokenResponse {
            access_token: &access,
            token_type: "Bearer",
            expires_in: client.settings.access_token.as_secs(),
            refresh_token: subject.refresh.as_ref().map(|r| r.as_str()),
            id_token: id.as_deref(),
            scope: &scope,
        }))
    }

    /// The answer for a client that acts for itself: its `sub` is its `client_id`, which no person's subject can be
    /// (RFC 9068 section 5).
    ///
    /// # Errors
    /// When signing fails.
    pub fn for_client(&self, ctx: &Ctx, client: &Client, (scopes, now): (&Scopes, Micros)) -> Result<HttpResponse> {
        let scope = scopes.to_string();
        let claims = AccessToken {
            iss: &ctx.issuer,
            sub: client.id(),
            aud: &ctx.issuer,
            client_id: client.id(),
            iat: now.seconds(),
            exp: now.plus(client.settings.access_token).seconds(),
            jti: &token_id(None)?,
            scope: &scope,
            auth_time: None,
            acr: None,
            amr: None,
        };
        Ok(respond(&TokenResponse {
            access_token: &self.access.sign("at+jwt", &claims)?,
            token_type: "Bearer",
            expires_in: client.settings.access_token.as_secs(),
            refresh_token: None,
            id_token: None,
            scope: &scope,
        }))
    }
}

fn respond(tokens: &TokenResponse<'_>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    no_store(&mut response);
    response.json(tokens)
}

/// `g` and the grant with a random end, or `c` and a random one: a token leads to its grant without a table, and one of
/// a client to none.
fn token_id(grant: Option<GrantId>) -> Result<String> {
    let chance = random::<16>()?;
    Ok(match grant {
        Some(grant) => format!("g{}", URL_SAFE_NO_PAD.encode([grant.0.as_bytes(), &chance[..]].concat())),
        None => format!("c{}", URL_SAFE_NO_PAD.encode(chance)),
    })
}

/// The grant that a token came of; `None` for a client's own.
pub fn grant_of(jti: &str) -> Option<GrantId> {
    let bytes = URL_SAFE_NO_PAD.decode(jti.strip_prefix('g')?).ok()?;
    uuid::Uuid::from_slice(bytes.get(..16)?).ok().map(GrantId)
}

/// `sid`: unguessable, another for each client, never the cookie (OpenID Connect Back-Channel Logout section 2.1).
pub fn session_alias(tenant: &Tenant, session: SessionId, client: ClientKey) -> String {
    let alias = hmac256(&tenant.key(Purpose::Alias), &[b"sid", session.0.as_bytes(), client.0.as_bytes()]);
    URL_SAFE_NO_PAD.encode(&alias[..24])
}
