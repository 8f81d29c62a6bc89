//! Making tokens: JWT access tokens (RFC 9068), ID tokens (OpenID Connect Core section 2) and whatever else is signed for
//! one application.
//!
//! Signers are fetched before anything is spent ([`Mint::prepare`]), so that a missing key costs nobody a code; tokens
//! are made after the commit.

use crate::app::App;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Protocol, Result};
use crate::grant::Bound;
use crate::jose::{Recipient, Signer, half_hash, sign_with_secret};
use crate::seal::{hmac256, random};
use crate::tenant::{Purpose, Tenant};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{ClientKey, ContentEnc, GrantId, JwsAlg, KeyAlg, Micros, Scopes, SessionId};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How something is signed for an application and, when it registered so, encrypted to it.
pub struct Envelope {
    alg: JwsAlg,
    signer: Key,
    to: Option<(Recipient, ContentEnc)>,
}

enum Key {
    Ours(Arc<Signer>),
    /// The client's secret (OpenID Connect Core section 10.1).
    Shared(Zeroizing<String>),
}

impl Envelope {
    /// For ID tokens and logout tokens.
    ///
    /// # Errors
    /// `invalid_request` when the application has no key that could be used; the database's.
    pub async fn for_id_token(app: &App, tenant: &Tenant, client: &Client) -> Result<Self> {
        let m = &client.metadata;
        let to = recipient(app, client, (m.id_token_encrypted_response_alg, m.id_token_encrypted_response_enc)).await?;
        Self::new(app, tenant, client, (client.row.id_token_signed_response_alg, to)).await
    }

    /// For userinfo; `None` where it is plain JSON. What is encrypted is signed too, so that it says who wrote it.
    ///
    /// # Errors
    /// As [`Envelope::for_id_token`].
    pub async fn for_userinfo(app: &App, tenant: &Tenant, client: &Client) -> Result<Option<Self>> {
        let m = &client.metadata;
        let to = recipient(app, client, (m.userinfo_encrypted_response_alg, m.userinfo_encrypted_response_enc)).await?;
        let alg = match (m.userinfo_signed_response_alg, &to) {
            (Some(alg), _) => alg.into(),
            (None, Some(_)) => client.row.id_token_signed_response_alg,
            (None, None) => return Ok(None),
        };
        Self::new(app, tenant, client, (alg, to)).await.map(Some)
    }

    async fn new(
        app: &App,
        tenant: &Tenant,
        client: &Client,
        (alg, to): (JwsAlg, Option<(Recipient, ContentEnc)>),
    ) -> Result<Self> {
        let signer = match alg.signing() {
            Some(alg) => Key::Ours(app.keys.signer(&app.store, tenant, alg).await?),
            None => {
                let secret = client.shared_secrets(app.store.now()).into_iter().next();
                Key::Shared(secret.ok_or_else(|| Error::internal("HS256 for a client without a secret"))?)
            }
        };
        Ok(Self { alg, signer, to })
    }

    /// # Errors
    /// When signing fails.
    pub fn seal(&self, typ: &str, claims: &impl Serialize) -> Result<String> {
        let signed = match &self.signer {
            Key::Ours(signer) => signer.sign(typ, claims)?,
            Key::Shared(secret) => sign_with_secret(secret, typ, claims)?,
        };
        match &self.to {
            Some((recipient, enc)) => recipient.encrypt(*enc, &signed),
            None => Ok(signed),
        }
    }
}

async fn recipient(
    app: &App,
    client: &Client,
    (alg, enc): (Option<KeyAlg>, Option<ContentEnc>),
) -> Result<Option<(Recipient, ContentEnc)>> {
    let Some(alg) = alg else { return Ok(None) };
    let refused =
        |because: &str| Protocol::new(Code::InvalidRequest, "the client has no key to encrypt to").because(because);
    let keys = app.clients.documents.keys(&app.fetch, client, None, app.store.now()).await.map_err(refused)?;
    let recipient = Recipient::find(&keys.jwks, alg).ok_or_else(|| refused("none that fits"))?;
    // OpenID Connect Registration section 2
    Ok(Some((recipient, enc.unwrap_or(ContentEnc::A128CbcHs256))))
}

/// What will sign, ready.
pub struct Mint {
    access: Arc<Signer>,
    id: Option<Envelope>,
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

/// OpenID Connect Core sections 2, 3.1.3.6 and 3.3.2.11.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s_hash: Option<String>,
    sid: String,
}

/// Whose tokens: what of a grant they say.
pub struct Subject<'a> {
    pub sub: &'a str,
    /// None: no access token comes of it.
    pub grant: Option<GrantId>,
    pub bound: &'a Bound,
    /// Of this answer; a refresh may ask for less than was granted.
    pub scopes: &'a Scopes,
    pub now: Micros,
}

/// What an ID token vouches for beside itself.
#[derive(Default)]
pub struct Beside<'a> {
    pub access_token: Option<&'a str>,
    /// Of the authorization endpoint alone (section 3.3.2.11).
    pub code: Option<&'a str>,
    pub state: Option<&'a str>,
    /// Claims about the person.
    pub told: Map<String, Value>,
}

impl Mint {
    /// # Errors
    /// As [`Envelope::for_id_token`].
    pub async fn prepare(app: &App, ctx: &Ctx, client: &Client, scopes: &Scopes) -> Result<Self> {
        let access = app.keys.signer(&app.store, &ctx.tenant, client.access_token_alg()).await?;
        let id = match scopes.has("openid") {
            true => Some(Envelope::for_id_token(app, &ctx.tenant, client).await?),
            false => None,
        };
        Ok(Self { access, id })
    }

    /// # Errors
    /// When signing fails.
    pub fn access_token(&self, client: &Client, subject: &Subject<'_>) -> Result<String> {
        let (bound, now) = (subject.bound, subject.now);
        let grant = subject.grant.ok_or_else(|| Error::internal("an access token without a grant"))?;
        let claims = AccessToken {
            iss: &bound.issuer,
            sub: subject.sub,
            aud: &bound.issuer,
            client_id: client.id(),
            iat: now.seconds(),
            exp: now.plus(client.settings.access_token).seconds(),
            jti: &token_id(Some(grant))?,
            scope: &subject.scopes.to_string(),
            auth_time: Some(bound.auth_time.seconds()),
            acr: Some(&bound.acr),
            amr: Some(&bound.amr.0),
        };
        self.access.sign("at+jwt", &claims)
    }

    /// None without `openid`.
    ///
    /// # Errors
    /// When signing fails.
    pub fn id_token(
        &self,
        ctx: &Ctx,
        client: &Client,
        subject: &Subject<'_>,
        beside: Beside<'_>,
    ) -> Result<Option<String>> {
        let Some(envelope) = &self.id else { return Ok(None) };
        let (bound, now) = (subject.bound, subject.now);
        let hash = |value: Option<&str>| value.map(|v| half_hash(envelope.alg, v)).transpose();
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
            at_hash: hash(beside.access_token)?,
            c_hash: hash(beside.code)?,
            s_hash: hash(beside.state)?,
            sid: session_alias(&ctx.tenant, bound.session, client.key()),
        };
        if beside.told.is_empty() {
            return envelope.seal("JWT", &claims).map(Some);
        }
        let mut all = beside.told;
        // What the protocol says goes before whatever is told about a person.
        if let Value::Object(own) = serde_json::to_value(&claims).map_err(Error::internal)? {
            all.extend(own);
        }
        envelope.seal("JWT", &all).map(Some)
    }

    /// An access token of a client that acts for itself: its `sub` is its `client_id`, which no person's subject can be
    /// (RFC 9068 section 5).
    ///
    /// # Errors
    /// When signing fails.
    pub fn own_token(&self, ctx: &Ctx, client: &Client, (scopes, now): (&Scopes, Micros)) -> Result<String> {
        let claims = AccessToken {
            iss: &ctx.issuer,
            sub: client.id(),
            aud: &ctx.issuer,
            client_id: client.id(),
            iat: now.seconds(),
            exp: now.plus(client.settings.access_token).seconds(),
            jti: &token_id(None)?,
            scope: &scopes.to_string(),
            auth_time: None,
            acr: None,
            amr: None,
        };
        self.access.sign("at+jwt", &claims)
    }
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
