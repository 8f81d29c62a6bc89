//! The main job in a real browser: an application behind the distribution's Apache and mod_auth_openidc sends people to
//! Keyward, behind the same Apache's TLS, and gets them back signed in.
//!
//! A target of its own (`test = false`): it needs Chromium, chromedriver, certutil, Apache and mod_auth_openidc, which
//! `make test` installs. Alone: `cargo test --test browser`. Every test starts everything anew and shares nothing.
//! With KEYWARD_SCREENSHOTS=1 in the environment, pictures of the pages are kept in target/screenshots.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "the lints let tests off, but not what they share"
)]
#![allow(non_snake_case, reason = "a test's name ends in the clause that it shows, after two underscores")]

mod apache;
mod chrome;
mod keyward;
mod process;

use apache::{Addresses, Apache, Authority};
use chrome::Browser;
use keyward::Keyward;
use process::free_port;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const EMAIL: &str = "ada@example.com";
const NAME: &str = "Ada Lovelace";
const PASSWORD: &str = "seven quiet llamas by the sea";
const LONG: &str = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh & Sons";

/// All that one test needs; dropped from the top.
struct World {
    browser: Browser,
    _apache: Apache,
    keyward: Keyward,
    at: Addresses,
    _home: TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with("Wiki", &[]).await
    }

    /// With an application of that name, and Keyward in that environment.
    async fn with(application: &str, environment: &[(&str, &str)]) -> Self {
        let home = tempfile::Builder::new().prefix("kw-").tempdir().unwrap();
        // Apache runs as another user.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let at = Addresses::new(free_port(), free_port());
        let authority = Authority::make(home.path());
        let keyward = Keyward::start(home.path(), &at.issuer, environment);
        let client = keyward.client(application, &at.redirect_uri(), &at.farewell());
        let apache = Apache::start(home.path(), &authority, &at, keyward.port, &client);
        let browser = Browser::open(home.path(), &authority.certificate).await;
        Self { browser, _apache: apache, keyward, at, _home: home }
    }

    async fn to_the_application(&self) {
        self.browser.go(&self.at.application).await;
    }

    async fn sign_in(&self, password: &str) {
        let b = &self.browser;
        b.fill("[name=identifier]", EMAIL).await;
        b.fill("[name=password]", password).await;
        b.submit("#sign-in").await;
    }

    async fn is_at_keyward(&self, path: &str) {
        let url = self.browser.url().await;
        assert!(url.as_str().starts_with(&format!("{}{path}", self.at.issuer)), "at {url}, not at {path} of Keyward");
    }
}

#[tokio::test]
async fn an_application_signs_a_person_in_and_out_again() {
    let w = World::new().await;
    let b = &w.browser;
    w.keyward.user(EMAIL, NAME, PASSWORD);

    w.to_the_application().await;
    w.is_at_keyward("/login").await;
    w.sign_in(PASSWORD).await;

    // Consent names who asks and where the answer goes.
    b.find("#allow").await;
    b.find("#deny").await;
    let words = b.words().await;
    assert!(words.contains("Wiki") && words.contains("wiki.localhost"), "consent says:\n{words}");
    b.submit("#allow").await;

    assert_eq!(b.text("#email").await, EMAIL);
    assert_eq!(b.text("#name").await, NAME);
    assert_eq!(b.text("#iss").await, w.at.issuer);
    let subject = b.text("#sub").await;
    assert!(!subject.is_empty() && !subject.contains('@'));

    cookies_are_bound_to_the_host(&w).await;

    // Who is signed in at Keyward and has consented is not asked again.
    b.forget("wiki.localhost").await;
    w.to_the_application().await;
    assert_eq!(b.text("#sub").await, subject);

    b.go(&w.at.sign_out()).await;
    // OpenID Connect RP-Initiated Logout 1.0 section 2: the provider may ask, and then leads back.
    if b.has("#sign-out").await {
        w.is_at_keyward("/").await;
        b.submit("#sign-out").await;
    }
    assert_eq!(b.text("#bye").await, "Signed out of the wiki");
    assert_eq!(b.url().await.as_str().split('?').next(), Some(w.at.farewell().as_str()));

    w.to_the_application().await;
    w.is_at_keyward("/login").await;
    b.find("[name=password]").await;
    assert_eq!(b.objections().await, Vec::<String>::new());
}

/// RFC 6265bis section 4.1.3.2: the browser enforces what the name promises; the rest is ours to ask for.
async fn cookies_are_bound_to_the_host(w: &World) {
    let ours: Vec<_> = w.browser.cookies().await.into_iter().filter(|c| is_localhost(&c["domain"])).collect();
    assert!(!ours.is_empty(), "no cookie of Keyward's");
    for cookie in ours {
        assert!(cookie["name"].as_str().unwrap().starts_with("__Host-"), "{cookie}");
        assert_eq!(cookie["domain"], "localhost", "a domain was set: {cookie}");
        assert_eq!(cookie["path"], "/", "{cookie}");
        assert_eq!(cookie["secure"], true, "{cookie}");
        // The frame of session management reads one from within pages of applications; it is worth nothing by itself.
        let state = cookie["name"].as_str().unwrap().starts_with("__Host-state-");
        assert_eq!(cookie["httpOnly"], !state, "{cookie}");
        let sites = if state { ["None", "None"] } else { ["Lax", "Strict"] };
        assert!(cookie["sameSite"].as_str().is_some_and(|s| sites.contains(&s)), "{cookie}");
    }
}

fn is_localhost(domain: &serde_json::Value) -> bool {
    matches!(domain.as_str(), Some("localhost" | ".localhost"))
}

#[tokio::test]
async fn a_refusal_reaches_the_application_and_nobody_is_signed_in_there__rfc6749_4_1_2_1() {
    let w = World::new().await;
    let b = &w.browser;
    w.keyward.user(EMAIL, NAME, PASSWORD);
    w.to_the_application().await;
    w.sign_in(PASSWORD).await;
    b.submit("#deny").await;

    // The application shows an error page of its own. Its words are not looked at: the distribution's mod_auth_openidc
    // (2.4.12) takes the `iss` that RFC 9207 section 2 demands for a step of issuer discovery, and complains of that.
    let url = b.url().await;
    assert!(url.as_str().starts_with(&format!("{}?", w.at.redirect_uri())), "at {url}");
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(parameter("error").as_deref(), Some("access_denied"), "{url}");
    assert_eq!(parameter("iss"), Some(w.at.issuer.clone()), "{url}");
    assert!(parameter("state").is_some() && parameter("code").is_none(), "{url}");
    assert!(!b.has("#signed-in").await);
    assert_eq!(b.objections().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_password_is_said_and_what_was_typed_stays() {
    let w = World::new().await;
    let b = &w.browser;
    w.keyward.user(EMAIL, NAME, PASSWORD);
    w.to_the_application().await;
    assert!(!b.has("[role=alert]").await);
    w.sign_in("wrong horse battery staple").await;

    w.is_at_keyward("/login").await;
    assert!(!b.text("[role=alert]").await.is_empty());
    assert_eq!(b.value("[name=identifier]").await, EMAIL);
    assert_eq!(b.value("[name=password]").await, "");
    b.look("sign-in-wrong-password").await;

    w.sign_in(PASSWORD).await;
    b.submit("#allow").await;
    assert_eq!(b.text("#email").await, EMAIL);
    assert_eq!(b.objections().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_keyboard_alone_is_enough__wcag_2_1_1() {
    let w = World::new().await;
    let b = &w.browser;
    w.keyward.user(EMAIL, NAME, PASSWORD);
    w.to_the_application().await;

    b.tab_to("[name=identifier]").await;
    b.press(EMAIL).await;
    b.tab_to("[name=password]").await;
    b.press(PASSWORD).await;
    b.enter().await;
    b.tab_to("#deny").await;
    b.tab_to("#allow").await;
    b.enter().await;
    assert_eq!(b.text("#email").await, EMAIL);
}

#[tokio::test]
async fn every_page_fits_from_phone_to_desktop_with_long_names() {
    pages_fit("default", &[]).await;
}

#[tokio::test]
async fn every_page_fits_in_the_brightest_colour() {
    pages_fit("yellow", &[("APP_NAME", LONG), ("APP_PRIMARY_COLOR", "#FFFF00")]).await;
}

#[tokio::test]
async fn every_page_fits_in_the_darkest_colour() {
    pages_fit("black", &[("APP_NAME", LONG), ("APP_PRIMARY_COLOR", "#000000")]).await;
}

/// Walks through the pages that a person sees on the way in and out.
async fn pages_fit(series: &str, environment: &[(&str, &str)]) {
    let w = World::with(LONG, environment).await;
    let b = &w.browser;
    w.keyward.user(EMAIL, LONG, PASSWORD);
    b.go(&w.at.issuer).await;
    b.look(&format!("{series}-front")).await;
    b.go(&format!("{}/oauth2/authorize?client_id=nobody&response_type=code", w.at.issuer)).await;
    w.is_at_keyward("/oauth2/authorize").await;
    b.look(&format!("{series}-error")).await;
    w.to_the_application().await;
    w.is_at_keyward("/login").await;
    b.look(&format!("{series}-sign-in")).await;
    w.sign_in(PASSWORD).await;
    b.find("#allow").await;
    b.look(&format!("{series}-consent")).await;
    b.submit("#allow").await;
    b.find("#signed-in").await;
    b.go(&format!("{}/account", w.at.issuer)).await;
    w.is_at_keyward("/account").await;
    b.look(&format!("{series}-account")).await;
    // Without a hint the person is asked (OpenID Connect RP-Initiated Logout 1.0 section 2).
    b.go(&format!("{}/oauth2/logout", w.at.issuer)).await;
    b.look(&format!("{series}-sign-out")).await;
    b.submit("#sign-out").await;
    w.is_at_keyward("/").await;
    b.look(&format!("{series}-signed-out")).await;
    assert_eq!(b.objections().await, Vec::<String>::new());
}
