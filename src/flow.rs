//! One interaction: what was asked, what is known, what is next.
//!
//! Start at [`begin`] (a request came), [`resume`] (its page is looked at) and [`submit`] (a page was answered). What is
//! missing is decided by one pure function, [`next::next`]; a row exists only when a person is needed. Steps never call
//! one another, and no door decides what comes after what.

pub mod ask;
mod finish;
mod leave;
pub mod next;
pub mod password;
mod row;

pub use leave::{Leaver, Leaving, Left, end, end_all_of, sign_out};
pub use row::sweep;

use finish::finish;
use row::{Row, close, find, put, step_on};

use crate::access::{Act, Hold, may_act};
use crate::account::session::{self, Browser, Visitor};
use crate::account::{self, Person, consent};
use crate::app::App;
use crate::audit::{self, Event};
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Notice, Result};
use crate::seal::sha256;
use ask::{Application, Ask, Reply, ReturnTo};
use entity::{SessionId, UserId};
use next::{Account, Decision, Evidence, Known, Step, next};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// What a page is to show.
pub struct Shown {
    /// Stands in the page's address; of use only in the browser that it was made for.
    pub handle: String,
    /// Of the row: an answer to an older page does not count.
    pub version: i64,
    pub step: Step,
    pub ask: Ask,
    pub client: Option<Arc<Client>>,
    /// The accounts that are signed in here, with their people.
    pub accounts: Vec<(Account, Person)>,
}

impl Shown {
    pub fn person(&self, user: UserId) -> Option<&Person> {
        self.accounts.iter().find(|(a, _)| a.user == user).map(|(_, p)| p)
    }
}

/// How an interaction ended.
pub enum End {
    /// Signed in, with no application waiting.
    Account,
    /// Back to the application with what it asked for.
    Answer { client_id: String, reply: Reply, browser_state: Option<String> },
    /// Back to the application with an error.
    Refused { to: ReturnTo, code: Code, says: &'static str, acted: bool },
}

impl End {
    /// The application that is waiting.
    pub fn client(&self) -> Option<&str> {
        match self {
            End::Account => None,
            End::Answer { client_id, .. } => Some(client_id),
            End::Refused { to, .. } => Some(to.client_id()),
        }
    }
}

pub enum Next {
    Show(Box<Shown>),
    End(End),
}

/// What came of an answer.
pub struct Answered {
    pub next: Next,
    /// Why the answer did not count, for the page.
    pub notice: Option<&'static str>,
    /// The new secret of the browser's session, for its cookie.
    pub secret: Option<Zeroizing<String>>,
    pub retry_after: Option<Duration>,
}

/// What a person answered.
pub enum Answer {
    Password {
        identifier: String,
        password: Zeroizing<String>,
        remember: bool,
    },
    Choose(SessionId),
    OtherAccount,
    /// For the page that was shown: of this version, about this session.
    Decide {
        allowed: bool,
        version: i64,
        session: SessionId,
    },
    Cancel,
}

/// What was looked up for one decision.
struct Facts {
    known: Known,
    browser: Browser,
    client: Option<Arc<Client>>,
}

/// Answers a request: at once when nothing is missing, else with the first page.
///
/// # Errors
/// `Throttled` when this address has too many interactions open; the database's.
pub async fn begin(app: &App, ctx: &Ctx, visitor: &Visitor, ask: Ask) -> Result<Next> {
    let evidence = Evidence::default();
    let facts = gather(app, ctx, visitor, (&ask, &evidence)).await?;
    match next(&ask, &evidence, &facts.known, ctx.now) {
        Step::Done(account) => finish(app, ctx, (None, &ask, &evidence), (&facts, account)).await,
        Step::Refuse(code, says) => refuse(&ask, &facts, ctx, (code, says, Acted::No)),
        step @ (Step::SignIn { .. } | Step::Choose | Step::Consent(_)) => {
            let row = put(app, ctx, visitor, ask).await?;
            show(app, ctx, row, (facts, step)).await
        }
    }
}

/// The page that an interaction is at.
///
/// # Errors
/// `FlowExpired`, `FlowElsewhere`; the database's.
pub async fn resume(app: &App, ctx: &Ctx, visitor: &Visitor, handle: &str) -> Result<Next> {
    let row = find(app, ctx, visitor, handle).await?;
    let facts = gather(app, ctx, visitor, (&row.ask, &row.evidence)).await?;
    advance(app, ctx, row, facts).await
}

/// Takes an answer to the step that the interaction is at; any other answer changes nothing.
///
/// # Errors
/// As [`resume`].
pub async fn submit(app: &App, ctx: &Ctx, visitor: &Visitor, (handle, answer): (&str, Answer)) -> Result<Answered> {
    let mut row = find(app, ctx, visitor, handle).await?;
    let facts = gather(app, ctx, visitor, (&row.ask, &row.evidence)).await?;
    let step = next(&row.ask, &row.evidence, &facts.known, ctx.now);
    let mut answered = Answered { next: Next::End(End::Account), notice: None, secret: None, retry_after: None };
    let mut now_here = visitor.clone();
    match (answer, &step) {
        (Answer::Cancel, _) if row.ask.application.is_some() => {
            close(app, ctx, &row, None).await?;
            answered.next = refuse(&row.ask, &facts, ctx, (Code::AccessDenied, "the person cancelled", Acted::Yes))?;
            return Ok(answered);
        }
        (Answer::Password { identifier, password, remember }, Step::SignIn { as_user }) => {
            let attempt = password::Attempt { identifier, password, remember, as_user: *as_user };
            match password::prove(app, ctx, visitor, (&mut row, attempt)).await? {
                password::Proved::Yes(signed_in) => {
                    now_here.secret = Some(sha256(signed_in.secret.as_bytes()));
                    answered.secret = Some(signed_in.secret);
                }
                password::Proved::No { notice, retry_after } => {
                    answered.notice = Some(notice);
                    answered.retry_after = retry_after;
                }
            }
        }
        (Answer::Choose(id), Step::Choose) if facts.known.accounts.iter().any(|a| a.session == id) => {
            // What was proven before gives way: that session may have ended meanwhile.
            let evidence = Evidence { chosen: Some(id), proved: None, ..row.evidence.clone() };
            step_on(app, ctx, &mut row, evidence).await?;
        }
        (Answer::OtherAccount, Step::Choose | Step::SignIn { .. } | Step::Consent(_)) if row.ask.subject.is_none() => {
            step_on(app, ctx, &mut row, Evidence { other: true, ..Evidence::default() }).await?;
        }
        (Answer::Decide { allowed, version, session }, Step::Consent(account))
            if version == row.version && session == account.session =>
        {
            let scopes = row.ask.application.as_ref().map(Application::asks).unwrap_or_default();
            let decision = if allowed { Decision::Allowed { user: account.user, scopes } } else { Decision::Denied };
            let evidence = Evidence { consent: Some(decision), ..row.evidence.clone() };
            step_on(app, ctx, &mut row, evidence).await?;
        }
        // Not an answer to what is asked now: the page is shown again, and nothing changes.
        _ => {}
    }
    let facts = gather(app, ctx, &now_here, (&row.ask, &row.evidence)).await?;
    answered.next = advance(app, ctx, row, facts).await?;
    Ok(answered)
}

async fn advance(app: &App, ctx: &Ctx, row: Row, facts: Facts) -> Result<Next> {
    match next(&row.ask, &row.evidence, &facts.known, ctx.now) {
        Step::Done(account) => {
            let (ask, evidence) = (row.ask.clone(), row.evidence.clone());
            finish(app, ctx, (Some(&row), &ask, &evidence), (&facts, account)).await
        }
        Step::Refuse(code, says) => {
            close(app, ctx, &row, denied(&row, &facts)).await?;
            refuse(&row.ask, &facts, ctx, (code, says, Acted::Yes))
        }
        step @ (Step::SignIn { .. } | Step::Choose | Step::Consent(_)) => show(app, ctx, row, (facts, step)).await,
    }
}

/// What goes on record when a person says no.
fn denied(row: &Row, facts: &Facts) -> Option<Event> {
    let account = next::candidate(&row.ask, &row.evidence, &facts.known)?;
    let client = facts.client.as_ref()?.key();
    (row.evidence.consent == Some(Decision::Denied))
        .then(|| Event::success(audit::kind::CONSENT_DENY).by(account.user).on(account.user).client(client))
}

/// Whether a person did something in this interaction, after which errors may go to any application that registered.
#[derive(Clone, Copy, PartialEq)]
enum Acted {
    Yes,
    No,
}

fn refuse(ask: &Ask, facts: &Facts, ctx: &Ctx, (code, says, acted): (Code, &'static str, Acted)) -> Result<Next> {
    let to = return_to(ask, facts.client.as_deref(), ctx)?;
    Ok(Next::End(End::Refused { to, code, says, acted: acted == Acted::Yes }))
}

fn return_to(ask: &Ask, client: Option<&Client>, ctx: &Ctx) -> Result<ReturnTo> {
    let (Some(application), Some(client)) = (&ask.application, client) else {
        return Err(Notice::UnknownClient.into());
    };
    // The request was made to one issuer, and its answer names that one (RFC 9207 section 2).
    if application.issuer != *ctx.issuer {
        return Err(Notice::FlowElsewhere.into());
    }
    let how = (application.state.clone(), application.response_mode);
    ReturnTo::prove(client, &application.redirect_uri, how, &application.issuer)
        .ok_or(Error::Person(Notice::RedirectUriMismatch))
}

/// Looks up what the decision needs.
async fn gather(app: &App, ctx: &Ctx, visitor: &Visitor, (ask, evidence): (&Ask, &Evidence)) -> Result<Facts> {
    let conn = app.db().read();
    let browser = session::load(conn, ctx.tenant.id, visitor, ctx.now).await?;
    let client = match &ask.application {
        Some(application) => {
            let client = app.clients.find(&app.store, &ctx.tenant, &application.client_id).await?;
            let client =
                client.filter(|c| c.key() == application.client).ok_or(Error::Person(Notice::UnknownClient))?;
            if !client.active() {
                return Err(Notice::ClientDisabled.into());
            }
            Some(client)
        }
        None => None,
    };
    let mut known = Known::default();
    for row in &browser.sessions {
        let act = Act {
            tenant: &ctx.tenant,
            client: None,
            user: Some(row.user_id),
            session: None,
            since: row.auth_time,
            now: ctx.now,
            hold: Hold::Nothing,
        };
        if may_act(conn, act).await?.is_ok() {
            let (session, user, auth_time) = (row.id, row.user_id, row.auth_time);
            known.accounts.push(Account { session, user, auth_time, acr: row.acr.clone() });
        }
    }
    if let (Some(client), Some(application)) = (&client, &ask.application) {
        known.first_party = client.row.first_party;
        known.unassured = client.unassured(&application.redirect_uri);
        if let Some(account) = next::candidate(ask, evidence, &known) {
            known.consented = consent::given(conn, ctx.tenant.id, account.user, client.key()).await?;
        }
    }
    Ok(Facts { known, browser, client })
}

async fn show(app: &App, ctx: &Ctx, row: Row, (facts, step): (Facts, Step)) -> Result<Next> {
    let mut accounts = vec![];
    for account in facts.known.accounts {
        if let Some(person) = account::by_id(app.db().read(), ctx.tenant.id, account.user).await? {
            accounts.push((account, person));
        }
    }
    let Row { handle, version, ask, .. } = row;
    Ok(Next::Show(Box::new(Shown { handle, version, step, ask, client: facts.client, accounts })))
}
