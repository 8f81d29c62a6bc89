//! The pages that people see, one struct each: plain data, from which a template of the same name makes HTML.
//!
//! A handler fills a page and gives it to `Theme::render`; it never writes HTML or a text. Texts are Fluent messages that
//! the template names, so that a page holds ids ([`note`], [`field`], [`leave`]) and values, never sentences. Forms are
//! posted; the button that was pressed arrives as `decision` (see each page) or, where things are chosen, as the thing's
//! own name. [`Page::samples`] are what the tests render: every state that a page has is one of them.

mod device;
mod samples;

pub use device::Device;

use crate::error::Notice;
use crate::locale::Locale;
use entity::Micros;
use serde::{Serialize, Serializer};

pub trait Page: Serialize {
    /// The template `pages/{TEMPLATE}.hbs`.
    const TEMPLATE: &'static str;

    /// What the browser's tab says; `brand` is empty when the operator has set no name.
    fn title(&self, locale: Locale, brand: &str) -> String;

    /// Each state of the page, for tests and for looking at.
    fn samples() -> Vec<Self>
    where
        Self: Sized;
}

/// What a notice on a form can say; `notice` of a page is one of these.
pub mod note {
    /// Never says which of the two is wrong, nor whether there is such an account.
    pub const WRONG: &str = "sign-in-wrong";
    /// The same when only the password was asked.
    pub const WRONG_PASSWORD: &str = "sign-in-wrong-password";
    pub const THROTTLED: &str = "sign-in-throttled";
    pub const BUSY: &str = "sign-in-busy";
    pub const UNAVAILABLE: &str = "sign-in-unavailable";
    pub const FRESH_NEEDED: &str = "sign-in-fresh-needed";
    pub const SESSION_ENDED: &str = "sign-in-session-ended";
    pub const SETUP_INVALID: &str = "setup-invalid";
    pub const OTHER_SESSION_ENDED: &str = "account-session-ended";
    pub const OTHER_SESSION_GONE: &str = "account-session-gone";

    pub const ALL: &[&str] = &[
        WRONG,
        WRONG_PASSWORD,
        THROTTLED,
        BUSY,
        UNAVAILABLE,
        FRESH_NEEDED,
        SESSION_ENDED,
        SETUP_INVALID,
        OTHER_SESSION_ENDED,
        OTHER_SESSION_GONE,
    ];
    /// Those that tell, rather than warn.
    pub const CALM: &[&str] = &[FRESH_NEEDED, SESSION_ENDED, OTHER_SESSION_ENDED, OTHER_SESSION_GONE];
}

/// What can be wrong with a field.
pub mod field {
    pub const IDENTIFIER_MISSING: &str = "sign-in-identifier-missing";
    pub const PASSWORD_MISSING: &str = "sign-in-password-missing";
    pub const TOO_LONG: &str = "sign-in-too-long";
    pub const EMAIL_TAKEN: &str = "setup-taken";
    pub const EMAIL_BAD: &str = "setup-email-bad";
    pub const NAME_MISSING: &str = "setup-name-missing";
    pub const NAME_LONG: &str = "setup-name-long";
    pub const NEW_PASSWORD_MISSING: &str = "setup-password-missing";
    pub const PASSWORD_SHORT: &str = "setup-password-short";
    pub const PASSWORD_LONG: &str = "setup-password-long";
    pub const PASSWORD_COMMON: &str = "setup-password-common";

    pub const ALL: &[&str] = &[
        IDENTIFIER_MISSING,
        PASSWORD_MISSING,
        TOO_LONG,
        EMAIL_TAKEN,
        EMAIL_BAD,
        NAME_MISSING,
        NAME_LONG,
        NEW_PASSWORD_MISSING,
        PASSWORD_SHORT,
        PASSWORD_LONG,
        PASSWORD_COMMON,
    ];
}

/// Why a person is asked to click on, for [`Leave`].
pub mod leave {
    pub const READY: &str = "leave-ready";
    pub const DENIED: &str = "leave-denied";
    pub const PROBLEM: &str = "leave-problem";

    pub const ALL: &[&str] = &[READY, DENIED, PROBLEM];
}

/// What the link of a [`Problem`] can say.
pub mod link {
    pub const HOME: &str = "problem-home";
    pub const SIGN_IN: &str = "problem-sign-in";
    pub const RETRY: &str = "problem-retry";
    /// Names the problem's application, if there is one.
    pub const BACK: &str = "problem-back";

    pub const ALL: &[&str] = &[HOME, SIGN_IN, RETRY, BACK];
}

/// The application that somebody signs in to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Application {
    pub name: String,
    /// The host it answers on, so that a person can tell a borrowed name.
    pub host: String,
    /// An https URL or a path below `/assets/`; anything else is not shown.
    pub logo: Option<String>,
    /// Its privacy policy.
    pub policy: Option<String>,
    /// Its terms of use.
    pub terms: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Person {
    /// Empty when they have told none.
    pub name: String,
    pub email: String,
}

/// `decision=continue` or `decision=cancel`; fields `identifier`, `password`, `remember` (`1` when ticked).
#[derive(Clone, Debug, Serialize)]
pub struct SignIn {
    pub action: String,
    pub flow: String,
    pub csrf: String,
    pub application: Option<Application>,
    /// Typed before, or hinted by the application.
    pub identifier: String,
    /// Signing in again: who, so that only the password is asked. `identifier` is posted with it all the same.
    pub fixed: Option<Person>,
    /// Where somebody else can sign in, when `fixed`.
    pub other_account: Option<String>,
    /// Whether "keep me signed in" is ticked.
    pub remember: bool,
    /// One of [`note`].
    pub notice: Option<&'static str>,
    /// How long to wait, when the notice says so.
    pub wait_minutes: u64,
    pub field_errors: SignInErrors,
    /// Whether there is somewhere to go back to.
    pub cancel: bool,
}

/// Each one of [`field`].
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct SignInErrors {
    pub identifier: Option<&'static str>,
    pub password: Option<&'static str>,
}

/// `account={id}`, `account=other` or `decision=cancel`.
#[derive(Clone, Debug, Serialize)]
pub struct ChooseAccount {
    pub action: String,
    pub flow: String,
    pub csrf: String,
    pub application: Option<Application>,
    pub accounts: Vec<AccountChoice>,
    pub cancel: bool,
    pub now: Micros,
}

#[derive(Clone, Debug, Serialize)]
pub struct AccountChoice {
    pub id: String,
    pub name: String,
    pub email: String,
    /// When they signed in.
    pub since: Micros,
}

/// `decision=allow` or `decision=deny`.
#[derive(Clone, Debug, Serialize)]
pub struct Consent {
    pub action: String,
    pub flow: String,
    pub csrf: String,
    pub application: Application,
    pub person: Person,
    pub learns: Vec<Learns>,
    /// The host of the `redirect_uri`.
    pub host: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Learns {
    /// The scope as the application wrote it; those without words of ours are shown by name.
    pub scope: String,
    /// What would be shared today.
    pub values: Vec<String>,
}

/// `decision=sign-out` or `decision=stay`.
#[derive(Clone, Debug, Serialize)]
pub struct LogoutConfirm {
    pub action: String,
    pub csrf: String,
    /// The state of the form, opaque.
    pub token: String,
    /// Everybody who would be signed out.
    pub people: Vec<Person>,
    pub application: Option<Application>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SignedOut {
    /// Pages of applications that sign the person out there (OpenID Connect Front-Channel Logout section 2).
    pub frames: Vec<String>,
    /// Goes on to `next` by itself, once those are loaded.
    pub script: Option<&'static str>,
    pub application: Option<Application>,
    /// Where the application wants people to go on.
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    #[serde(serialize_with = "by_id")]
    pub notice: Notice,
    /// The request id, to be quoted to support.
    pub reference: String,
    pub status: u16,
    pub link: Option<String>,
    /// One of [`link`].
    pub link_text: &'static str,
    pub application: Option<Application>,
}

/// A page with a link that names the host, for answers that may not be redirected by themselves.
#[derive(Clone, Debug, Serialize)]
pub struct Leave {
    pub application: Application,
    /// A verified `redirect_uri` with its answer; schemes that run script are never linked.
    pub url: String,
    /// Where the answer is posted; none where it stands in the address.
    pub fields: Vec<(String, String)>,
    /// One of [`leave`].
    pub reason_id: &'static str,
}

/// An answer that posts itself to the application (OAuth 2.0 Form Post Response Mode section 2).
#[derive(Clone, Debug, Serialize)]
pub struct FormPost {
    /// A verified `redirect_uri`.
    pub action: String,
    pub fields: Vec<(String, String)>,
    pub host: String,
    pub script: &'static str,
}

/// Scripts that stand in a page; its policy names them by their hash. Old words alone, for any browser.
pub mod script {
    pub const SUBMIT: &str = "document.forms[0].submit()";
    /// Once every frame is loaded.
    pub const GO_ON: &str = "window.onload=function(){window.location.replace(document.getElementById('next').href)}";
}

/// The first administrator. `decision=continue`; fields `name`, `email`, `password`.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    pub action: String,
    pub csrf: String,
    pub token: String,
    pub email: String,
    pub name: String,
    pub field_errors: SetupErrors,
    /// One of [`note`].
    pub notice: Option<&'static str>,
    /// Fewest characters of a password.
    pub min_length: u32,
}

/// Each one of [`field`].
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct SetupErrors {
    pub email: Option<&'static str>,
    pub name: Option<&'static str>,
    pub password: Option<&'static str>,
}

/// The link to [`Setup`] was used or is too old.
#[derive(Clone, Debug, Serialize)]
pub struct SetupGone {
    pub sign_in: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Front {
    pub signed_in: Option<Person>,
    pub tagline: Option<String>,
    pub description: Option<String>,
    pub sign_in: String,
    pub account: String,
}

/// Posts `session={id}` to `end_session`, and nothing but `csrf` to `sign_out`.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    pub person: Person,
    pub sub: String,
    pub email_verified: bool,
    pub sessions: Vec<SessionRow>,
    pub csrf: String,
    pub sign_out: String,
    pub end_session: String,
    /// One of [`note`].
    pub notice: Option<&'static str>,
    pub now: Micros,
}

#[derive(Clone, Debug, Serialize)]
pub struct SessionRow {
    pub id: String,
    pub label: Device,
    pub ip: String,
    pub since: Micros,
    pub last_used: Micros,
    pub current: bool,
}

fn by_id<S: Serializer>(notice: &Notice, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(notice.id())
}

/// "Sign in · Acme", or only the page's own words when there is no brand.
fn titled(locale: Locale, page: String, brand: &str) -> String {
    if brand.is_empty() { page } else { locale.text_with("title", &[("page", page), ("brand", brand.to_owned())]) }
}

macro_rules! pages {
    ($($Page:ident $template:literal |$page:ident, $locale:ident| $title:expr;)*) => {
        $(impl Page for $Page {
            const TEMPLATE: &'static str = $template;
            fn title(&self, $locale: Locale, brand: &str) -> String {
                let $page = self;
                titled($locale, $title, brand)
            }
            fn samples() -> Vec<Self> {
                <Self as samples::Samples>::all()
            }
        })*

        /// The template of every page.
        pub const TEMPLATES: &[&str] = &[$($template),*];

        /// Does the same with each page's samples.
        #[cfg(test)]
        pub(crate) fn each_sample(mut look: impl FnMut(&'static str, usize, &dyn Fn(&crate::theme::Theme, &crate::theme::Frame<'_>) -> crate::error::Result<String>)) {
            $(for (number, sample) in <$Page as Page>::samples().iter().enumerate() {
                look($template, number, &|theme, frame| theme.render(frame, sample));
            })*
        }
    };
}

pages! {
    SignIn "sign-in" |page, locale| locale.text(if page.fixed.is_some() { "sign-in-again-title" } else { "sign-in-title" });
    ChooseAccount "choose-account" |_page, locale| locale.text("choose-title");
    Consent "consent" |page, locale| locale.text_with("consent-title", &[("application", page.application.name.clone())]);
    LogoutConfirm "logout-confirm" |_page, locale| locale.text("logout-title");
    SignedOut "signed-out" |_page, locale| locale.text("signed-out-title");
    Problem "problem" |page, locale| locale.text(&format!("error-{}-heading", page.notice.id()));
    FormPost "form-post" |_page, locale| locale.text("leave-title");
    Leave "leave" |_page, locale| locale.text("leave-title");
    Setup "setup" |_page, locale| locale.text("setup-title");
    SetupGone "setup-gone" |_page, locale| locale.text("setup-gone-title");
    Front "front" |_page, locale| locale.text("front-title");
    Account "account" |_page, locale| locale.text("account-title");
}
