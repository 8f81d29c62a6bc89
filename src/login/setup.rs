//! The first administrator: a page behind a link that is printed at the start and works once, within an hour.

use crate::account::profile::Profile;
use crate::account::session::{self, Proof, Visitor};
use crate::account::{self, Identifier, NewPerson};
use crate::app::App as Process;
use crate::audit::{self, Event, Origin};
use crate::ctx::Ctx;
use crate::error::{Error, Fault, Notice, Result};
use crate::flow::password::ACR;
use crate::hash::acceptable;
use crate::http::{App, Form, Params, Query, check_form, cookie, form_token, page, see_other};
use crate::once;
use crate::page::{Setup, SetupErrors, SetupGone, field, note};
use crate::seal::Token;
use actix_web::{HttpRequest, HttpResponse};
use entity::{Hash, LinkPurpose, Role, Texts};
use zeroize::Zeroizing;

/// `GET /setup?token=...`
///
/// # Errors
/// Pages.
pub async fn get(app: App, ctx: Ctx, visitor: Visitor, query: Query) -> Result<HttpResponse> {
    let token = query.0.get("token").unwrap_or("");
    if !open(&app, &ctx, &Token::hash_of(token)).await? {
        return page(&app, &ctx, 410, &SetupGone { sign_in: ctx.to("/login") });
    }
    let (visitor, new_browser) = cookie::with_browser(&ctx, visitor)?;
    let mut response = page(&app, &ctx, 200, &blank(&app, &ctx, &visitor, token)?)?;
    cookie::add(&mut response, new_browser);
    cookie::add(&mut response, query.0.get("ui_locales").map(|_| cookie::chosen_language(&ctx)));
    Ok(response)
}

/// Whether the link can still be used.
async fn open(app: &Process, ctx: &Ctx, hash: &Hash) -> Result<bool> {
    let conn = app.db().read();
    let works = once::link_works(conn, ctx.tenant.id, (LinkPurpose::Setup, hash), app.store.now()).await?;
    Ok(works && !account::has_administrator(conn, ctx.tenant.id).await?)
}

fn blank(app: &Process, ctx: &Ctx, visitor: &Visitor, token: &str) -> Result<Setup> {
    let browser = visitor.browser.as_ref().ok_or(Error::Person(Notice::FlowElsewhere))?;
    Ok(Setup {
        action: ctx.to("/setup"),
        csrf: form_token(ctx, browser, "setup"),
        token: token.to_owned(),
        email: String::new(),
        name: String::new(),
        field_errors: SetupErrors::default(),
        notice: None,
        min_length: app.config().password.min_length,
    })
}

/// `POST /setup`
///
/// # Errors
/// Pages; a form that is not this browser's.
pub async fn post(app: App, ctx: Ctx, req: HttpRequest, (visitor, form): (Visitor, Form)) -> Result<HttpResponse> {
    let form = form.0;
    check_form(&ctx, (&req, &form), visitor.browser.as_ref(), "setup")?;
    let token = form.get("token").unwrap_or("").to_owned();
    let hash = Token::hash_of(&token);
    if !open(&app, &ctx, &hash).await? {
        return page(&app, &ctx, 410, &SetupGone { sign_in: ctx.to("/login") });
    }
    let ctx = ctx.at(&format!("/setup?token={token}"));
    let mut shown = Setup {
        email: form.owned("email").unwrap_or_default(),
        name: form.owned("name").unwrap_or_default(),
        ..blank(&app, &ctx, &visitor, &token)?
    };
    let (email, phc) = match checked(&app, &ctx, &form).await {
        Ok(fit) => fit,
        Err(Wrong::Fields(errors)) => {
            shown.field_errors = errors;
            shown.notice = Some(note::SETUP_INVALID);
            return page(&app, &ctx, 422, &shown);
        }
        Err(Wrong::Busy) => {
            shown.notice = Some(note::BUSY);
            return page(&app, &ctx, 503, &shown);
        }
        Err(Wrong::Other(e)) => return Err(e),
    };
    let address = email.clone();
    let person = NewPerson {
        name: shown.name.clone(),
        email: Some((email, shown.email.trim().to_owned())),
        // Whoever can read the server's console vouches for the address.
        email_verified: true,
        username: None,
        phone: None,
        phc: Some(phc),
        role: Role::SuperAdmin,
        profile: Profile::default(),
    };
    let (inner, store, here) = (ctx.clone(), app.store.clone(), visitor.clone());
    let made = app
        .db()
        .write(async move |tx| {
            let (tenant, now) = (inner.tenant.id, store.now());
            // Looked at first: an address that is taken must not cost the link.
            if account::find(tx, tenant, &address).await?.is_some() {
                return Ok(Made::Taken);
            }
            if !once::spend_link(tx, tenant, (LinkPurpose::Setup, &hash), now).await?
                || account::has_administrator(tx, tenant).await?
            {
                return Ok(Made::Gone);
            }
            let Ok(user) = account::create(tx, tenant, &person, now).await? else {
                return Err(Error::internal("an address was taken meanwhile"));
            };
            let proof = Proof { user, amr: Texts(vec!["pwd".into()]), acr: ACR, remember: false };
            let signed_in = session::start(tx, &inner, &here, &proof).await?;
            inner.tenant.mark_issued(tx, now).await?;
            let event = Event::success(audit::kind::USER_SIGNUP)
                .by(user)
                .on(user)
                .with(serde_json::json!({ "role": "super_admin" }));
            audit::record(tx, &Origin::from(&inner), event).await?;
            Ok(Made::SignedIn(signed_in.secret))
        })
        .await;
    match made {
        Ok(Made::SignedIn(secret)) => {
            ctx.tenant.note_issued();
            let mut response = see_other(&ctx.to("/account"))?;
            cookie::add(&mut response, Some(cookie::session(&ctx, &secret, false)));
            Ok(response)
        }
        Ok(Made::Gone) => page(&app, &ctx, 410, &SetupGone { sign_in: ctx.to("/login") }),
        Ok(Made::Taken) => {
            shown.field_errors.email = Some(field::EMAIL_TAKEN);
            shown.notice = Some(note::SETUP_INVALID);
            page(&app, &ctx, 422, &shown)
        }
        Err(e) => Err(e),
    }
}

enum Made {
    Taken,
    Gone,
    SignedIn(Zeroizing<String>),
}

enum Wrong {
    Fields(SetupErrors),
    Busy,
    Other(Error),
}

async fn checked(app: &Process, ctx: &Ctx, form: &Params) -> Result<(Identifier, String), Wrong> {
    let (email, name, password) =
        (form.get("email").unwrap_or(""), form.get("name").unwrap_or("").trim(), form.raw("password").unwrap_or(""));
    let identifier = Identifier::email(email);
    let errors = SetupErrors {
        email: identifier.is_none().then_some(field::EMAIL_BAD),
        name: match name {
            "" => Some(field::NAME_MISSING),
            name => (!account::is_name(name)).then_some(field::NAME_LONG),
        },
        password: match password {
            "" => Some(field::NEW_PASSWORD_MISSING),
            typed => {
                match acceptable(typed, &[email, name, &ctx.tenant.brand.name], app.config().password.min_length) {
                    Ok(()) => None,
                    Err("password-too-short") => Some(field::PASSWORD_SHORT),
                    Err("password-too-long") => Some(field::PASSWORD_LONG),
                    Err(_) => Some(field::PASSWORD_COMMON),
                }
            }
        },
    };
    let Some(identifier) = identifier else { return Err(Wrong::Fields(errors)) };
    if errors.name.is_some() || errors.password.is_some() {
        return Err(Wrong::Fields(errors));
    }
    match app.passwords.hash(password).await {
        Ok(phc) => Ok((identifier, phc)),
        Err(Error::Ours(cause)) if cause.kind == Fault::Busy => Err(Wrong::Busy),
        Err(e) => Err(Wrong::Other(e)),
    }
}
