//! The hosted pages of signing in: they show what the flow says is next and hand back what was typed.

pub mod setup;

use crate::account::Person;
use crate::account::profile::claims;
use crate::account::session::Visitor;
use crate::app::App as Process;
use crate::ctx::Ctx;
use crate::error::{Error, Notice, Result};
use crate::flow::ask::Ask;
use crate::flow::next::Step;
use crate::flow::{self, Answer, Next, Shown};
use crate::http::{App, Form, Query, application, check_form, cookie, ended, form_token, host_of, page, see_other};
use crate::page::{self, AccountChoice, ChooseAccount, Consent, Learns, SignIn, SignInErrors, field, note};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use entity::{Scopes, UserId};
use std::time::Duration;
use zeroize::Zeroizing;

/// Characters of what is typed: more is no identifier and no password of ours.
const LONGEST: usize = 1_024;

/// What a page shows beside what the flow says.
#[derive(Default)]
struct Extra {
    identifier: Option<String>,
    remember: bool,
    notice: Option<&'static str>,
    wait: Duration,
    errors: SignInErrors,
}

/// `GET /login`: the page that an interaction is at; without one, a person's own sign-in begins.
///
/// # Errors
/// Pages.
pub async fn get(app: App, ctx: Ctx, visitor: Visitor, query: Query) -> Result<HttpResponse> {
    let chosen = query.0.get("ui_locales").map(|_| cookie::chosen_language(&ctx));
    let Some(handle) = query.0.get("flow") else {
        let mut response = begin(&app, &ctx, visitor).await?;
        cookie::add(&mut response, chosen);
        return Ok(response);
    };
    if query.0.get("other").is_some() {
        flow::submit(&app, &ctx, &visitor, (handle, Answer::OtherAccount)).await?;
        return see_other(&format!("{}?flow={handle}", ctx.to("/login")));
    }
    let next = flow::resume(&app, &ctx, &visitor, handle).await?;
    let mut response = show(&app, &ctx, &visitor, (next, Extra::default())).await?;
    cookie::add(&mut response, chosen);
    Ok(response)
}

async fn begin(app: &Process, ctx: &Ctx, visitor: Visitor) -> Result<HttpResponse> {
    let (visitor, new_browser) = cookie::with_browser(ctx, visitor)?;
    let mut response = match flow::begin(app, ctx, &visitor, Ask::account(ctx.now)).await? {
        Next::End(end) => ended(app, ctx, None, end)?,
        Next::Show(shown) => {
            let language = format!("&ui_locales={}", ctx.locale.tag());
            see_other(&format!("{}?flow={}{language}", ctx.to("/login"), shown.handle))?
        }
    };
    cookie::add(&mut response, new_browser);
    Ok(response)
}

/// `POST /login`: an answer.
///
/// # Errors
/// Pages; a form that is not this browser's.
pub async fn post(app: App, ctx: Ctx, req: HttpRequest, (visitor, form): (Visitor, Form)) -> Result<HttpResponse> {
    let form = form.0;
    let (handle, seen) = form.get("flow").and_then(|f| f.split_once('.')).ok_or(Error::Person(Notice::FlowExpired))?;
    check_form(&ctx, (&req, &form), visitor.browser.as_ref(), handle)?;
    let mut extra =
        Extra { identifier: form.owned("identifier"), remember: form.get("remember").is_some(), ..Extra::default() };
    let answer = match (form.get("decision"), form.get("account")) {
        (Some("cancel"), _) => Answer::Cancel,
        (Some(decision @ ("allow" | "deny")), _) => decided(decision, seen)?,
        (_, Some("other")) => Answer::OtherAccount,
        (_, Some(id)) => Answer::Choose(id.parse().map_err(|_| Notice::BadRequest)?),
        _ => {
            let (identifier, password) = (form.get("identifier").unwrap_or(""), form.raw("password").unwrap_or(""));
            extra.errors = missing(identifier, password);
            if extra.errors.identifier.is_some() || extra.errors.password.is_some() {
                let next = flow::resume(&app, &ctx, &visitor, handle).await?;
                return show(&app, &ctx, &visitor, (next, extra)).await;
            }
            Answer::Password {
                identifier: identifier.to_owned(),
                password: Zeroizing::new(password.to_owned()),
                remember: extra.remember,
            }
        }
    };
    let answered = flow::submit(&app, &ctx, &visitor, (handle, answer)).await?;
    extra.notice = answered.notice;
    extra.wait = answered.retry_after.unwrap_or_default();
    let remember = extra.remember;
    let mut response = match answered.next {
        // After a step was taken, the next page is a page of its own, so that going back or loading again sends nothing.
        Next::Show(shown) if extra.notice.is_none() => {
            see_other(&format!("{}?flow={}", ctx.to("/login"), shown.handle))?
        }
        next => show(&app, &ctx, &visitor, (next, extra)).await?,
    };
    if let Some(wait) = answered.retry_after {
        let seconds = header::HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    cookie::add(&mut response, answered.secret.map(|secret| cookie::session(&ctx, &secret, remember)));
    Ok(response)
}

/// `{handle}.{version}.{session}`: a decision counts for the very page that it was made on.
fn decided(decision: &str, seen: &str) -> Result<Answer> {
    let read = || {
        let (version, session) = seen.split_once('.')?;
        Some((version.parse().ok()?, session.parse().ok()?))
    };
    let (version, session) = read().ok_or(Error::Person(Notice::BadRequest))?;
    Ok(Answer::Decide { allowed: decision == "allow", version, session })
}

fn missing(identifier: &str, password: &str) -> SignInErrors {
    let long = |text: &str| text.len() > LONGEST * 4;
    SignInErrors {
        identifier: match identifier.trim() {
            "" => Some(field::IDENTIFIER_MISSING),
            text if long(text) => Some(field::TOO_LONG),
            _ => None,
        },
        password: password.is_empty().then_some(field::PASSWORD_MISSING),
    }
}

async fn show(app: &Process, ctx: &Ctx, visitor: &Visitor, (next, extra): (Next, Extra)) -> Result<HttpResponse> {
    let shown = match next {
        Next::Show(shown) => shown,
        Next::End(end) => {
            let client = end.client().map(str::to_owned);
            let client = match client {
                Some(id) => app.clients.find(&app.store, &ctx.tenant, &id).await?,
                None => None,
            };
            return ended(app, ctx, client.as_deref(), end);
        }
    };
    let ctx = &ctx.at(&format!("/login?flow={}", shown.handle));
    match shown.step.clone() {
        Step::SignIn { as_user } => sign_in(app, ctx, visitor, (&shown, as_user, extra)).await,
        Step::Choose => choose(app, ctx, visitor, &shown),
        Step::Consent(account) => consent(app, ctx, visitor, (&shown, &account)),
        Step::Done(_) | Step::Refuse(..) => Err(Error::internal("an end that was to be shown")),
    }
}

fn token(ctx: &Ctx, visitor: &Visitor, shown: &Shown) -> Result<String> {
    let browser = visitor.browser.as_ref().ok_or(Error::Person(Notice::FlowElsewhere))?;
    Ok(form_token(ctx, browser, &shown.handle))
}

fn handle(shown: &Shown) -> String {
    format!("{}.{}", shown.handle, shown.version)
}

fn person_shown(person: &Person) -> page::Person {
    page::Person { name: person.user.name.clone(), email: person.handle() }
}

async fn sign_in(
    app: &Process,
    ctx: &Ctx,
    visitor: &Visitor,
    (shown, as_user, extra): (&Shown, Option<UserId>, Extra),
) -> Result<HttpResponse> {
    let fixed = match as_user {
        // Only who is signed in in this browser is named: whoever holds an old ID token learns nothing by showing it.
        Some(user) => shown.person(user).map(person_shown),
        None => None,
    };
    let fresh = extra.notice.is_none() && as_user.is_some_and(|u| shown.person(u).is_some());
    let status = match (extra.notice, extra.errors.identifier.or(extra.errors.password)) {
        (Some(note::THROTTLED), _) => 429,
        (Some(note::BUSY), _) => 503,
        (Some(_), _) | (None, Some(_)) => 422,
        (None, None) => 200,
    };
    let switch = fixed.is_some() && shown.ask.subject.is_none();
    let page_shown = SignIn {
        action: ctx.to("/login"),
        flow: handle(shown),
        csrf: token(ctx, visitor, shown)?,
        application: shown.client.as_deref().map(|c| application(ctx, c)),
        identifier: fixed
            .as_ref()
            .map(|p| p.email.clone())
            .or(extra.identifier)
            .or_else(|| shown.ask.login_hint.clone())
            .unwrap_or_default(),
        other_account: switch.then(|| format!("{}?flow={}&other=1", ctx.to("/login"), shown.handle)),
        fixed,
        remember: extra.remember,
        notice: extra.notice.or(fresh.then_some(note::FRESH_NEEDED)),
        wait_minutes: extra.wait.as_secs().div_ceil(60),
        field_errors: extra.errors,
        cancel: shown.client.is_some(),
    };
    page(app, ctx, status, &page_shown)
}

fn choose(app: &Process, ctx: &Ctx, visitor: &Visitor, shown: &Shown) -> Result<HttpResponse> {
    let fits = |user: UserId| shown.ask.subject.is_none_or(|s| s == user);
    let choice = |(account, person): &(flow::next::Account, Person)| AccountChoice {
        id: account.session.to_string(),
        name: person.user.name.clone(),
        email: person.handle(),
        since: account.auth_time,
    };
    let page_shown = ChooseAccount {
        action: ctx.to("/login"),
        flow: handle(shown),
        csrf: token(ctx, visitor, shown)?,
        application: shown.client.as_deref().map(|c| application(ctx, c)),
        accounts: shown.accounts.iter().filter(|(a, _)| fits(a.user)).map(choice).collect(),
        cancel: shown.client.is_some(),
        now: ctx.now,
    };
    page(app, ctx, 200, &page_shown)
}

fn consent(
    app: &Process,
    ctx: &Ctx,
    visitor: &Visitor,
    (shown, account): (&Shown, &flow::next::Account),
) -> Result<HttpResponse> {
    let (Some(client), Some(asked), Some(person)) = (&shown.client, &shown.ask.application, shown.person(account.user))
    else {
        return Err(Error::internal("a consent without somebody to ask or to be asked"));
    };
    let learns = |scope: &str| Learns { scope: scope.to_owned(), values: values(person, scope) };
    let host = host_of(&asked.redirect_uri);
    let page_shown = Consent {
        action: ctx.to("/login"),
        flow: format!("{}.{}", handle(shown), account.session),
        csrf: token(ctx, visitor, shown)?,
        // Where the answer goes, not where the application says it lives.
        application: page::Application { host: host.clone(), ..application(ctx, client) },
        person: person_shown(person),
        learns: in_order(&asked.scopes).map(learns).collect(),
        host,
    };
    page(app, ctx, 200, &page_shown)
}

/// From who somebody is to what goes on without them; an application's own scopes last.
fn in_order(scopes: &Scopes) -> impl Iterator<Item = &str> {
    const ORDER: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];
    let own = scopes.iter().filter(|s| !ORDER.contains(s));
    ORDER.into_iter().filter(|s| scopes.has(s)).chain(own)
}

/// The very values that a scope would tell.
fn values(person: &Person, scope: &str) -> Vec<String> {
    let told = claims(person, &Scopes::of([scope]));
    told.iter()
        .filter(|(name, _)| !matches!(name.as_str(), "updated_at" | "email_verified" | "phone_number_verified"))
        .map(|(_, value)| match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Object(parts) => {
                parts.values().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        })
        .collect()
}
