//! The authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core section 3.1.2).
//!
//! Until client and redirect URI are proven, errors are pages; from then on they go back to the application. What comes
//! after is the flow's business.

use super::token::no_other_resource;
use super::{hint, request};
use crate::account::claims::ClaimsRequest;
use crate::account::session::Visitor;
use crate::account::subject;
use crate::app::App as Process;
use crate::client::{Client, ResponseType};
use crate::ctx::Ctx;
use crate::error::{Code, Error, Notice, Protocol, Result};
use crate::feature::Feature;
use crate::flow::ask::{Application, Ask, Prompt, ResponseMode, ReturnTo};
use crate::flow::{self, End, Next};
use crate::http::{App, Form, Params, Query, cookie, ended, see_other};
use actix_web::HttpResponse;
use entity::{GrantType, Scopes, UserId};
use std::sync::Arc;

const LONGEST_STATE: usize = 4 * 1024;
const LONGEST_NONCE: usize = 1_000;
const LONGEST_HINT: usize = 320;

/// `GET /oauth2/authorize`
///
/// # Errors
/// Pages, as long as nothing is proven.
pub async fn get(app: App, ctx: Ctx, visitor: Visitor, query: Query) -> Result<HttpResponse> {
    let client = known(&app, &ctx, &query.0).await?;
    // Until the redirect URI is proven errors are pages: that of a request object may be the one that counts.
    let params = match request::merged(&app, &ctx, &client, &query.0).await {
        Ok(params) => params,
        Err(e @ Error::Protocol(_)) => return refused_object(&app, &ctx, (&client, &query.0), e),
        Err(e) => return Err(e),
    };
    let to = prove(&ctx, &client, &params)?;
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

async fn known(app: &Process, ctx: &Ctx, params: &Params) -> Result<Arc<Client>> {
    let id = params.get("client_id").ok_or(Error::Person(Notice::UnknownClient))?;
    let client = app.clients.find(&app.store, &ctx.tenant, id).await?.ok_or(Error::Person(Notice::UnknownClient))?;
    match client.active() {
        true => Ok(client),
        false => Err(Notice::ClientDisabled.into()),
    }
}

/// An error of the request object goes back where the request outside of it says, if that is registered.
fn refused_object(
    app: &Process,
    ctx: &Ctx,
    (client, params): (&Arc<Client>, &Params),
    error: Error,
) -> Result<HttpResponse> {
    let Error::Protocol(protocol) = error else { return Err(error) };
    tracing::debug!(
        client_id = client.id(),
        because = protocol.because,
        says = protocol.says,
        "a request object was refused"
    );
    match prove(ctx, client, params) {
        Ok(to) => {
            let end = End::Refused { to, code: protocol.code, says: protocol.says, acted: false };
            ended(app, ctx, Some(client), end)
        }
        Err(e) => Err(e),
    }
}

/// Client and redirect URI: what an answer by redirect rests on (RFC 6749 section 4.1.2.1).
fn prove(ctx: &Ctx, client: &Client, params: &Params) -> Result<ReturnTo> {
    let openid = params.get("scope").is_some_and(|s| s.split(' ').any(|t| t == "openid"));
    let redirect_uri = match (params.get("redirect_uri"), &client.redirect_uris[..]) {
        (Some(sent), _) => sent.to_owned(),
        // Plain OAuth lets a single registered one be left out (RFC 6749 section 3.1.2.3); OpenID Connect does not.
        (None, [only]) if !openid => only.as_str().to_owned(),
        (None, _) => return Err(Notice::RedirectUriMismatch.into()),
    };
    let state = params.get("state").filter(|s| s.len() <= LONGEST_STATE).map(str::to_owned);
    // An error goes where the answer would have gone; a mode that cannot be is answered in the one that the type has.
    let kind = params.get("response_type").and_then(ResponseType::parse).unwrap_or(ResponseType::CODE);
    let mode = ResponseMode::of(params.get("response_mode"), kind).unwrap_or(if kind.is_front() {
        ResponseMode::Fragment
    } else {
        ResponseMode::Query
    });
    ReturnTo::prove(client, &redirect_uri, (state, mode), &ctx.issuer).ok_or(Error::Person(Notice::RedirectUriMismatch))
}

async fn read(app: &Process, ctx: &Ctx, (client, to): (&Arc<Client>, &ReturnTo), params: &Params) -> Result<Ask> {
    let bad = |says| Error::protocol(Code::InvalidRequest, says);
    if params.get("state").is_some_and(|s| s.len() > LONGEST_STATE) {
        return Err(bad("state is longer than 4096 bytes"));
    }
    if params.get("registration").is_some() {
        return Err(Error::protocol(Code::RegistrationNotSupported, "the registration parameter is not supported"));
    }
    let unsupported = || Error::protocol(Code::UnsupportedResponseType, "this response type is not supported");
    let kind =
        ResponseType::parse(params.need("response_type", "response_type is missing")?).ok_or_else(unsupported)?;
    let mode = ResponseMode::of(params.get("response_mode"), kind)
        .ok_or_else(|| bad("this response mode is not supported for the response type"))?;
    if kind.is_front() && !ctx.tenant.features.has(Feature::Implicit) {
        return Err(unsupported());
    }
    let grant = if kind.code { GrantType::AuthorizationCode } else { GrantType::Implicit };
    if !client.may(grant) || !client.metadata.response_types().contains(&kind) {
        return Err(Error::protocol(Code::UnauthorizedClient, "the client is not registered for this response type"));
    }
    no_other_resource(ctx, params)?;
    let mut scopes = scopes(client, params)?;
    if !kind.code {
        // OpenID Connect Core section 11: offline access comes by a code alone.
        scopes = scopes.without("offline_access");
    }
    if kind.id_token && !scopes.has("openid") {
        return Err(Error::protocol(Code::InvalidScope, "an ID token needs the scope openid"));
    }
    let nonce = params.owned("nonce");
    if kind.id_token && nonce.as_ref().is_none_or(String::is_empty) {
        // Sections 3.2.2.1 and 3.3.2.11
        return Err(bad("nonce is missing"));
    }
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
        // OpenID Connect Registration section 2
        None => client.metadata.default_max_age.map(u64::from),
    };
    let claims = match params.get("claims").filter(|_| ctx.tenant.features.has(Feature::ClaimsParameter)) {
        Some(text) => {
            Some(ClaimsRequest::parse(text).map_err(bad)?.within(&client.row.scopes)).filter(|c| !c.is_empty())
        }
        None => None,
    };
    let subject = match (params.get("id_token_hint"), claims.as_ref().and_then(ClaimsRequest::sub)) {
        (Some(hint), _) => Some(hinted(app, ctx, client, hint).await?),
        // Section 5.5.1: the one person with this subject, or nobody.
        (None, Some(sub)) => {
            let found = subject::find(app.db().read(), ctx.tenant.id, sub).await?;
            Some(found.unwrap_or(UserId(uuid::Uuid::nil())))
        }
        (None, None) => None,
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
            code_challenge: if kind.code { challenge(client, params)? } else { None },
            response_type: kind,
            response_mode: mode,
            claims: claims.clone(),
        }),
        prompt,
        max_age,
        login_hint: params.get("login_hint").map(|h| h.chars().take(LONGEST_HINT).collect()),
        subject,
        acr: claims.as_ref().map(ClaimsRequest::essential_acr).unwrap_or_default(),
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
    let token = hint::verified(app, ctx, client, hint).await?.map_err(|r| refused(r.as_str()))?;
    let sub = token.text("sub").ok_or_else(|| refused("no sub"))?;
    subject::find(app.db().read(), ctx.tenant.id, sub).await?.ok_or_else(|| refused("nobody has this sub"))
}
