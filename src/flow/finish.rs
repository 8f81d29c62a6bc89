//! The end of an interaction: what the application asked for is written, made and sent back.

use super::ask::Ask;
use super::next::{Account, Decision, Evidence};
use super::row::{Row, close, finished};
use super::{End, Facts, Next, return_to};
use crate::access::{Act, Denied, Hold, may_act};
use crate::account::claims::told;
use crate::account::{self, consent, session, subject};
use crate::app::App;
use crate::audit::{self, Event, Origin};
use crate::client::{self, Client};
use crate::ctx::Ctx;
use crate::error::{Code, Error, Notice, Result};
use crate::feature::Feature;
use crate::grant::{self, Bound, Redemption, Terms};
use crate::issue::{Beside, Mint, Subject};
use crate::seal::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{GrantId, Micros, Scopes};
use serde_json::Map;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Everything is there: the code is written, or the person is let through to their account.
pub(super) async fn finish(
    app: &App,
    ctx: &Ctx,
    (row, ask, evidence): (Option<&Row>, &Ask, &Evidence),
    (facts, account): (&Facts, Account),
) -> Result<Next> {
    let Some(application) = &ask.application else {
        if let Some(row) = row {
            close(app, ctx, row, None).await?;
        }
        return Ok(Next::End(End::Account));
    };
    let to = return_to(ask, facts.client.as_deref(), ctx)?;
    let client = facts.client.clone().ok_or(Error::Person(Notice::UnknownClient))?;
    let allowed = match &evidence.consent {
        Some(Decision::Allowed { scopes, .. }) => Some(scopes.clone()),
        Some(Decision::Denied) | None => None,
    };
    let flow = row.map(|r| (r.id, r.version));
    let (inner, application) = (ctx.clone(), application.clone());
    let touch = facts
        .browser
        .sessions
        .iter()
        .find(|s| s.id == account.session)
        .filter(|s| session::worth_touching(ctx, s))
        .cloned();
    if app.codes.failed(account.session.0.as_bytes(), ctx.now) > app.codes.limit() {
        return Err(Notice::Throttled.into());
    }
    let kind = application.response_type;
    // Signers first, so that a key that is missing costs nobody anything.
    let mint = match kind.is_front() {
        true => Some(Mint::prepare(app, ctx, &client, &application.scopes).await?),
        false => None,
    };
    let (store, client2) = (app.store.clone(), client.clone());
    let written: Result<Result<Given, Denied>> = app
        .db()
        .write(async move |tx| {
            let (ctx, client, now) = (&inner, &client2, store.now());
            if let Some((id, version)) = flow
                && !finished(tx, ctx.tenant.id, (id, version), now).await?
            {
                return Err(Notice::FlowExpired.into());
            }
            let act = Act {
                tenant: &ctx.tenant,
                client: Some((client, now)),
                user: Some(account.user),
                session: Some(account.session),
                since: account.auth_time,
                now,
                hold: Hold::Row,
            };
            let (user, session) = match may_act(tx, act).await? {
                Ok(passed) => (passed.user, passed.session),
                Err(denied) => return Ok(Err(denied)),
            };
            let (Some(user), Some(session)) = (user, session) else { return Ok(Err(Denied::SessionEnded)) };
            if let Some(scopes) = &allowed {
                consent::give(tx, ctx.tenant.id, (account.user, client.key()), scopes, now).await?;
                let event =
                    Event::success(audit::kind::CONSENT_GIVE).by(account.user).on(account.user).client(client.key());
                audit::record(tx, &Origin::from(ctx), event.with(serde_json::json!({ "scope": scopes.to_string() })))
                    .await?;
            }
            if let Some(row) = &touch {
                session::touch(tx, ctx, row).await?;
            }
            if client.metadata.hears_of_logout() {
                session::note_client(tx, ctx.tenant.id, (session.id, client.key()), now).await?;
            }
            client::note_use(tx, client, now).await?;
            let bound = Bound {
                client: client.key(),
                user: account.user,
                session: account.session,
                issuer: application.issuer.clone(),
                scopes: application.scopes.clone(),
                claims: application.claims.clone(),
                nonce: application.nonce.clone(),
                auth_time: session.auth_time,
                amr: session.amr,
                acr: session.acr,
            };
            ctx.tenant.mark_issued(tx, now).await?;
            let mut given = Given { code: None, grant: None, sub: String::new(), bound, now };
            if kind.code {
                let redemption = Redemption {
                    redirect_uri: (!application.redirect_uri_left_out).then(|| application.redirect_uri.clone()),
                    code_challenge: application.code_challenge.clone(),
                };
                let until = now.plus(client.settings.code);
                let code = grant::put_code(tx, ctx.tenant.id, given.bound.clone(), redemption, (now, until)).await?;
                given.code = Some(code);
            }
            if kind.token {
                let id = GrantId::new();
                grant::put_grant(tx, &ctx.tenant, id, &given.bound, terms(client, now)).await?;
                given.grant = Some(id);
            }
            if kind.is_front() {
                given.sub = subject::of(tx, &user, client.sector().as_deref(), now).await?;
            }
            Ok(Ok(given))
        })
        .await;
    match written? {
        Ok(given) => {
            ctx.tenant.note_issued();
            let managed = ctx.tenant.features.has(Feature::SessionManagement);
            let browser_state = managed.then(|| session::state(&ctx.tenant, &facts.browser));
            let mut answer = match &mint {
                Some(mint) => front(app, ctx, &client, (mint, &given, ask)).await?,
                None => vec![],
            };
            if let Some(code) = &given.code {
                answer.insert(0, ("code", code.to_string()));
            }
            if let Some(state) = &browser_state {
                answer.push(("session_state", session_state(&client, to.redirect_uri(), state)?));
            }
            let answer: Vec<(&str, &str)> = answer.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let (client_id, reply) = (to.client_id().to_owned(), to.answer(&answer));
            Ok(Next::End(End::Answer { client_id, reply, browser_state }))
        }
        Err(denied) => {
            tracing::info!(reason = denied.as_str(), request_id = &*ctx.request_id, "no code was given");
            // The session died between look-up and commit; the application can ask again.
            Ok(Next::End(End::Refused {
                to,
                code: Code::LoginRequired,
                says: "the session has ended",
                acted: row.is_some(),
            }))
        }
    }
}

/// What was written.
struct Given {
    code: Option<Zeroizing<String>>,
    /// Of the access token that comes from the authorization endpoint.
    grant: Option<GrantId>,
    sub: String,
    bound: Bound,
    now: Micros,
}

/// An access token of the authorization endpoint lives as long as any and is never refreshed (RFC 6749 section 4.2.2).
fn terms(client: &Client, now: Micros) -> Terms {
    Terms {
        now,
        refresh: false,
        offline: false,
        refresh_idle: client.settings.access_token,
        refresh_max: client.settings.access_token,
        access_token: client.settings.access_token,
    }
}

/// The answer with tokens in it (OpenID Connect Core sections 3.2.2.5 and 3.3.2.5).
async fn front(
    app: &App,
    ctx: &Ctx,
    client: &Arc<Client>,
    (mint, given, ask): (&Mint, &Given, &Ask),
) -> Result<Vec<(&'static str, String)>> {
    let Some(application) = &ask.application else { return Err(Error::internal("an answer to nobody")) };
    let kind = application.response_type;
    let bound = &given.bound;
    let subject = Subject { sub: &given.sub, grant: given.grant, bound, scopes: &bound.scopes, now: given.now };
    let access = match kind.token {
        true => Some(mint.access_token(client, &subject)?),
        false => None,
    };
    let id = match kind.id_token {
        true => {
            let wishes = bound.claims.as_ref().map(|c| c.id_token.clone()).unwrap_or_default();
            // Section 5.4: what the scopes tell stands in the ID token only when nothing else could tell it.
            let scopes = if kind.code || kind.token { Scopes::default() } else { bound.scopes.clone() };
            let told = match account::by_id(app.db().read(), ctx.tenant.id, bound.user).await? {
                Some(person) => told(&person, &scopes, &wishes),
                None => Map::new(),
            };
            let beside = Beside {
                access_token: access.as_deref(),
                code: given.code.as_deref().map(String::as_str),
                state: application.state.as_deref(),
                told,
            };
            mint.id_token(ctx, client, &subject, beside)?
        }
        false => None,
    };
    let mut answer = vec![];
    if let Some(access) = access {
        answer.extend([("access_token", access), ("token_type", "Bearer".to_owned())]);
        answer.push(("expires_in", client.settings.access_token.as_secs().to_string()));
        answer.push(("scope", bound.scopes.to_string()));
    }
    answer.extend(id.map(|id| ("id_token", id)));
    Ok(answer)
}

/// OpenID Connect Session Management section 3.2: what an application's page hands to our frame to be compared.
fn session_state(client: &Client, redirect_uri: &str, browser_state: &str) -> Result<String> {
    let origin = url::Url::parse(redirect_uri).map_err(Error::internal)?.origin().ascii_serialization();
    let salt = URL_SAFE_NO_PAD.encode(random::<16>()?);
    let hash = Sha256::digest(format!("{} {origin} {browser_state} {salt}", client.id()));
    Ok(format!("{}.{salt}", URL_SAFE_NO_PAD.encode(hash)))
}
