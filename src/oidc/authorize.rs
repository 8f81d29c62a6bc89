//! The authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core section 3.1.2).
//!
//! Until client and redirect URI are proven, errors are pages; from then on they go back to the application. What comes
//! after is the flow's business.

use super::token::no_other_resource;
use crate::account;
use crate::account::session::Visitor;
use crate::app::App as Process;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Notice, Protocol, Result};
use crate::flow::ask::{Application, Ask, Prompt, ReturnTo};
use crate::flow::{self, End, Next};
use crate::http::{App, Form, Params, Query, cookie, ended, see_other};
use crate::jose::{Audience, Expect, Expiry, Typ, verify};
use crate::keys::Expired;
use actix_web::HttpResponse;
use entity::{GrantType, Scopes, SigningAlg, UserId};
use std::sync::Arc;
use std::time::Duration;

const LONGEST_STATE: usize = 4 * 1024;
const LONGEST_NONCE: usize = 1_000;
const LONGEST_HINT: usize = 320;

/// `GET /oauth2/authorize`
///
/// # Errors
/// Pages, as long as nothing is proven.
pub async fn get(app: App, ctx: Ctx, visitor: Visitor, query: Query) -> Result<HttpResponse> {
    let params = query.0;
    let (client, to) = prove(&app, &ctx, &params).await?;
    let ask = match read(&app, &ctx, (&client, &to), &params).await {
        Ok(ask) => ask,
        Err(Error::Protocol(Protocol { code, says, because, .. })) => {
            tracing::debug!(
                client_id = client.id(),
                error = code.wire(),
                because,
                says,
                "an authorization request was refused"
            );
            return ended(&app, &ctx, Some(&client), End::Refused { to, code, says, acted: false });
        }
        Err(e) => return Err(e),
    };
    let (visitor, new_browser) = cookie::with_browser(&ctx, visitor)?;
    match flow::begin(&app, &ctx, &visitor, ask).await? {
        Next::End(end) => ended(&app, &ctx, Some(&client), end),
        Next::Show(shown) => {
            let language = format!("&ui_locales={}", ctx.locale.tag());
            let mut response = see_other(&format!("{}?flow={}{language}", ctx.to("/login"), shown.handle))?;
            cookie::add(&mut response, new_browser);
            Ok(response)
        }
    }
}

/// `POST /oauth2/authorize`: led to the same as a GET, since a form from another site comes without our cookies, which
/// are `SameSite=Lax`.
///
/// # Errors
/// `UriTooLong`.
pub async fn post(ctx: Ctx, form: Form) -> Result<HttpResponse> {
    let query = form.0.to_query();
    if query.len() > 7_500 {
        return Err(Error::protocol(Code::TooLarge, "the request is too long"));
    }
    see_other(&format!("{}?{query}", ctx.to("/oauth2/authorize")))
}

/// Client and redirect URI: what an answer by redirect rests on (RFC 6749 section 4.1.2.1).
async fn prove(app: &Process, ctx: &Ctx, params: &Params) -> Result<(Arc<Client>, ReturnTo)> {
    let id = params.get("client_id").ok_or(Error::Person(Notice::UnknownClient))?;
    let client = app.clients.find(&app.store, &ctx.tenant, id).await?.ok_or(Error::Person(Notice::UnknownClient))?;
    if !client.active() {
        return Err(Notice::ClientDisabled.into());
    }
    let openid = params.get("scope").is_some_and(|s| s.split(' ').any(|t| t == "openid"));
    let redirect_uri = match (params.get("redirect_uri"), &client.redirect_uris[..]) {
        (Some(sent), _) => sent.to_owned(),
        // Plain OAuth lets a single registered one be left out (RFC 6749 section 3.1.2.3); OpenID Connect does not.
        (None, [only]) if !openid => only.as_str().to_owned(),
        (None, _) => return Err(Notice::RedirectUriMismatch.into()),
    };
    let state = params.get("state").filter(|s| s.len() <= LONGEST_STATE).map(str::to_owned);
    let to = ReturnTo::prove(&client, &redirect_uri, state, &ctx.issuer)
        .ok_or(Error::Person(Notice::RedirectUriMismatch))?;
    Ok((client, to))
}

async fn read(app: &Process, ctx: &Ctx, (client, to): (&Arc<Client>, &ReturnTo), params: &Params) -> Result<Ask> {
    let bad = |says| Error::protocol(Code::InvalidRequest, says);
    if params.get("state").is_some_and(|s| s.len() > LONGEST_STATE) {
        return Err(bad("state is longer than 4096 bytes"));
    }
    if params.get("request").is_some() {
        return Err(Error::protocol(Code::RequestNotSupported, "request objects are not supported"));
    }
    if params.get("request_uri").is_some() {
        return Err(Error::protocol(Code::RequestUriNotSupported, "request_uri is not supported"));
    }
    if params.get("registration").is_some() {
        return Err(Error::protocol(Code::RegistrationNotSupported, "the registration parameter is not supported"));
    }
    match params.need("response_type", "response_type is missing")? {
        "code" => {}
        _ => return Err(Error::protocol(Code::UnsupportedResponseType, "only the response type code is supported")),
    }
    if params.get("response_mode").is_some_and(|m| m != "query") {
        return Err(bad("only the response mode query is supported"));
    }
    if !client.may(GrantType::AuthorizationCode) {
        return Err(Error::protocol(Code::UnauthorizedClient, "the client is not registered for this"));
    }
    no_other_resource(ctx, params)?;
    let scopes = scopes(client, params)?;
    let nonce = params.owned("nonce");
    if nonce.as_ref().is_some_and(|n| n.len() > LONGEST_NONCE) {
        return Err(bad("nonce is longer than 1000 bytes"));
    }
    let prompt = prompts(params)?;
    let max_age = match params.get("max_age") {
        // Digits alone: the number's parser would take a sign too.
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            Some(text.parse::<u32>().map(u64::from).map_err(|_| bad("max_age must be a number of seconds"))?)
        }
        Some(_) => return Err(bad("max_age must be a number of seconds")),
        None => None,
    };
    let subject = match params.get("id_token_hint") {
        Some(hint) => Some(hinted(app, ctx, client, hint).await?),
        None => None,
    };
    Ok(Ask {
        application: Some(Application {
            client: client.key(),
            client_id: client.id().to_owned(),
            issuer: ctx.issuer.to_string(),
            redirect_uri: to.redirect_uri().to_owned(),
            redirect_uri_left_out: params.get("redirect_uri").is_none(),
            state: params.owned("state"),
            nonce,
            scopes,
            code_challenge: challenge(client, params)?,
        }),
        prompt,
        max_age,
        login_hint: params.get("login_hint").map(|h| h.chars().take(LONGEST_HINT).collect()),
        subject,
        ..Ask::account(ctx.now)
    })
}

/// Scopes that the client may not ask for are left out (RFC 6749 section 3.3); the token response says what remained.
fn scopes(client: &Client, params: &Params) -> Result<Scopes> {
    let bad = |says| Error::protocol(Code::InvalidScope, says);
    let asked = params
        .get("scope")
        .map_or(Some(Scopes::default()), Scopes::parse)
        .ok_or_else(|| bad("scope has characters that are not allowed"))?;
    let scopes = asked.and(&client.row.scopes);
    if !asked.is_empty() && scopes.is_empty() {
        return Err(bad("the client may ask for none of these scopes"));
    }
    Ok(scopes)
}

/// RFC 7636 section 4.3; `plain` is no protection (RFC 9700 section 2.1.1).
fn challenge(client: &Client, params: &Params) -> Result<Option<String>> {
    let bad = |says| Error::protocol(Code::InvalidRequest, says);
    let Some(challenge) = params.get("code_challenge") else {
        if client.needs_challenge() {
            return Err(bad("code_challenge is missing: this client must use PKCE"));
        }
        if params.get("code_challenge_method").is_some() {
            return Err(bad("code_challenge_method without code_challenge"));
        }
        return Ok(None);
    };
    if params.get("code_challenge_method") != Some("S256") {
        return Err(bad("code_challenge_method must be S256"));
    }
    let plain = challenge.len() == 43 && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain { Ok(Some(challenge.to_owned())) } else { Err(bad("code_challenge must be 43 characters of base64url")) }
}

fn prompts(params: &Params) -> Result<Vec<Prompt>> {
    let bad = |says| Error::protocol(Code::InvalidRequest, says);
    let Some(text) = params.get("prompt") else { return Ok(vec![]) };
    let prompts: Option<Vec<Prompt>> = text.split(' ').filter(|p| !p.is_empty()).map(Prompt::parse).collect();
    let prompts = prompts.ok_or_else(|| bad("prompt has a value that is not supported"))?;
    // OpenID Connect Core section 3.1.2.1
    if prompts.contains(&Prompt::None) && prompts.len() > 1 {
        return Err(bad("prompt=none goes with no other value"));
    }
    Ok(prompts)
}

/// Whom an `id_token_hint` names: a token of ours, for this client, expired or not. It selects and never proves.
async fn hinted(app: &Process, ctx: &Ctx, client: &Client, hint: &str) -> Result<UserId> {
    let refused =
        |because: &str| Error::from(Protocol::new(Code::InvalidRequest, "id_token_hint is not valid").because(because));
    let now = app.store.now();
    let keys = app.keys.set(&app.store, &ctx.tenant).await?.verifiers(now, Expired::Count);
    let (issuers, audience) = ([&*ctx.issuer], [client.id()]);
    let expect = Expect {
        typ: Typ::Plain,
        issuers: &issuers,
        audience: Audience::OneOf(&audience),
        algs: SigningAlg::ALL,
        keys: &keys,
        now,
        late: Duration::ZERO,
        early: Expect::NODES,
        expiry: Expiry::MayBePast,
        max_chars: Expect::MAX_CHARS,
    };
    let token = verify(hint, &expect).map_err(|r| refused(r.as_str()))?;
    let sub = token.text("sub").ok_or_else(|| refused("no sub"))?;
    account::by_sub(app.db().read(), ctx.tenant.id, sub).await?.ok_or_else(|| refused("nobody has this sub"))
}
