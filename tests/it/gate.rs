//! The one gate, walked as a table: every door that yields something about a subject, against every reason to refuse.

use crate::support::browser::http;
use crate::support::rp::{self, authorize};
use crate::support::{Browser, EMAIL, PASSWORD, Registered, Server};
use entity::{Status, UserId, client};
use keyward::routes::ROUTES;
use std::collections::BTreeSet;
use std::time::Duration;

/// What may be refused, and by which route it is asked for.
const DOORS: &[(&str, &str, &str)] = &[
    ("a code is redeemed", "POST", "/oauth2/token"),
    ("a refresh token is used", "POST", "/oauth2/token"),
    ("an application asks for itself", "POST", "/oauth2/token"),
    ("userinfo is read", "GET", "/oauth2/userinfo"),
    ("userinfo is read by a form", "POST", "/oauth2/userinfo"),
    ("a person's token is introspected", "POST", "/oauth2/introspect"),
    ("an application's token is introspected", "POST", "/oauth2/introspect"),
    ("a refresh token is introspected", "POST", "/oauth2/introspect"),
    ("a code is asked for", "GET", "/oauth2/authorize"),
    ("a password is proven", "POST", "/login"),
    ("the account is looked at", "GET", "/account"),
    ("another session is ended", "POST", "/account/sessions/end"),
    ("the front page greets", "GET", "/"),
];

/// Routes that yield nothing about a subject, or take away alone.
const OTHERS: &[(&str, &str)] = &[
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/oauth2/jwks"),
    ("POST", "/oauth2/authorize"), // leads to the same as GET
    ("POST", "/oauth2/revoke"),
    ("GET", "/oauth2/logout"),
    ("POST", "/oauth2/logout"),
    ("POST", "/signout/confirm"),
    ("POST", "/signout"),
    ("GET", "/login"),            // shows forms
    ("POST", "/oauth2/register"), // about applications, by tokens of their own
    ("GET", "/oauth2/register/{client_id}"),
    ("PUT", "/oauth2/register/{client_id}"),
    ("DELETE", "/oauth2/register/{client_id}"),
    ("GET", "/oauth2/check_session"), // the same for everybody
    ("GET", "/oauth2/logo"),
    ("GET", "/setup"),
    ("POST", "/setup"), // an account that did not exist; its link is its proof
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Refusal {
    None,
    TenantDisabled,
    ClientDisabled,
    ClientOutdated,
    PersonDisabled,
    PersonOutdated,
    SessionEnded,
}

impl Refusal {
    const ALL: [Self; 7] = [
        Self::None,
        Self::TenantDisabled,
        Self::ClientDisabled,
        Self::ClientOutdated,
        Self::PersonDisabled,
        Self::PersonOutdated,
        Self::SessionEnded,
    ];

    /// What goes on all the same: it has nothing to do with what was refused.
    fn leaves(self, door: &str) -> bool {
        let own_pages =
            ["a password is proven", "the account is looked at", "another session is ended", "the front page greets"];
        match self {
            Self::None => true,
            Self::TenantDisabled => false,
            Self::ClientDisabled => own_pages.contains(&door),
            // Whoever asks anew gets anew: only what was given before is dead.
            Self::ClientOutdated => {
                own_pages.contains(&door) || ["an application asks for itself", "a code is asked for"].contains(&door)
            }
            Self::PersonDisabled => {
                ["an application asks for itself", "an application's token is introspected"].contains(&door)
            }
            Self::PersonOutdated => {
                ["an application asks for itself", "an application's token is introspected", "a password is proven"]
                    .contains(&door)
            }
            // Offline access outlives the session (OpenID Connect Core section 11).
            Self::SessionEnded => [
                "a refresh token is used",
                "an application asks for itself",
                "userinfo is read",
                "userinfo is read by a form",
                "a person's token is introspected",
                "an application's token is introspected",
                "a refresh token is introspected",
                "a password is proven",
            ]
            .contains(&door),
        }
    }
}

/// Somebody who is signed in, with an application that holds everything it can get.
struct World {
    server: Server,
    client: Registered,
    asker: Registered,
    user: UserId,
    browser: Browser,
    code: String,
    refresh: String,
    access: String,
    own: String,
    other_session: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        let user = server.person().await;
        let client = server.client().await;
        // Introspects for the others: it is never the one that is refused.
        let asker = server.client().await;
        let mut browser = Browser::signed_in(&server).await;
        let code = rp::code_in(&server, &client, &mut browser, &[]).await;
        let tokens = rp::redeem(&server, &client, &code).await;
        let code = rp::code_in(&server, &client, &mut browser, &[]).await;
        let own =
            rp::post(&server, "/oauth2/token", &client, &[("grant_type", "client_credentials"), ("scope", "api")]);
        let own = own.await.text_of("access_token");
        Browser::signed_in(&server).await;
        let account = browser.get("/account").await;
        let other_session = account.body.split("name=\"session\" value=\"").nth(1).unwrap();
        let other_session = other_session.split('"').next().unwrap().to_owned();
        let (refresh, access) = (tokens.text_of("refresh_token"), tokens.text_of("access_token"));
        server.clock.advance(Duration::from_secs(2));
        Self { server, client, asker, user, browser, code, refresh, access, own, other_session }
    }

    async fn refuse(&mut self, refusal: Refusal) {
        let (server, now) = (&self.server, self.server.now());
        match refusal {
            Refusal::None => {}
            Refusal::TenantDisabled => server.tenant_status(server.tenant, Status::Disabled).await,
            Refusal::ClientDisabled => server.client_status(&self.client, Status::Disabled).await,
            Refusal::ClientOutdated => server.alter(&self.client, client::Column::NotBefore, now.0).await,
            Refusal::PersonDisabled => server.person_status(self.user, Status::Disabled).await,
            Refusal::PersonOutdated => {
                server.person_status(self.user, Status::Disabled).await;
                server.person_status(self.user, Status::Active).await;
            }
            Refusal::SessionEnded => {
                let mut leaving = self.browser.clone();
                let account = leaving.get("/account").await;
                assert_eq!(leaving.answer_once(&account, &[]).await.status, 200);
            }
        }
        self.server.clock.advance(Duration::from_secs(1));
    }

    async fn introspected(&self, token: &str) -> bool {
        let answer = rp::post(&self.server, "/oauth2/introspect", &self.asker, &[("token", token)]).await;
        answer.status == 200 && answer.json()["active"] == true
    }

    /// Whether this door yields.
    async fn yields(&mut self, door: &str) -> bool {
        let (server, client) = (&self.server, &self.client);
        match door {
            "a code is redeemed" => rp::redeem(server, client, &self.code).await.text.contains("id_token"),
            "a refresh token is used" => rp::refresh(server, client, &self.refresh).await.text.contains("access_token"),
            "an application asks for itself" => {
                let form = [("grant_type", "client_credentials"), ("scope", "api")];
                rp::post(server, "/oauth2/token", client, &form).await.text.contains("access_token")
            }
            "userinfo is read" => rp::userinfo(server, &self.access).await.text.contains("Lovelace"),
            "userinfo is read by a form" => {
                let form = [("access_token", self.access.as_str())];
                let answer = rp::answered(http().post(server.url("/oauth2/userinfo")).form(&form)).await;
                answer.text.contains("Lovelace")
            }
            "a person's token is introspected" => self.introspected(&self.access).await,
            "an application's token is introspected" => self.introspected(&self.own).await,
            "a refresh token is introspected" => {
                // Only its own client is told.
                let answer = rp::post(server, "/oauth2/introspect", client, &[("token", &self.refresh)]).await;
                answer.status == 200 && answer.json()["active"] == true
            }
            "a code is asked for" => {
                let page = self.browser.get(&authorize(server, client, &[("prompt", "none")])).await;
                page.location().is_some_and(|l| l.contains("code="))
            }
            "a password is proven" => {
                let mut fresh = Browser::new(server);
                let page = fresh.follow("/login").await;
                if !page.has("password", None) {
                    return false;
                }
                let fields = [("identifier", EMAIL), ("password", PASSWORD), ("decision", "continue")];
                fresh.answer_once(&page, &fields).await;
                fresh.session().is_some()
            }
            "the account is looked at" => {
                let page = self.browser.get("/account").await;
                page.status == 200 && page.body.contains("Lovelace")
            }
            "another session is ended" => {
                let before = server.live_sessions().await;
                let account = self.browser.get("/account").await;
                let csrf =
                    account.body.split("name=\"csrf\" value=\"").nth(1).map(|t| t.split('"').next().unwrap_or(""));
                let form = [("csrf", csrf.unwrap_or("")), ("session", self.other_session.as_str())];
                self.browser.post("/account/sessions/end", &form).await;
                server.live_sessions().await < before
            }
            "the front page greets" => self.browser.get("/").await.body.contains("Lovelace"),
            other => panic!("nobody knows how to: {other}"),
        }
    }
}

#[tokio::test]
async fn every_door_refuses_whatever_may_not_act__st_01() {
    for refusal in Refusal::ALL {
        let mut world = World::new().await;
        world.refuse(refusal).await;
        let mut wrong = vec![];
        // What spends comes last, so that each door is asked with all in hand.
        for (door, ..) in DOORS.iter().rev() {
            if world.yields(door).await != refusal.leaves(door) {
                wrong.push(*door);
            }
        }
        assert!(wrong.is_empty(), "{refusal:?}: {wrong:?}");
    }
}

#[test]
fn every_route_is_in_the_walk_or_yields_nothing() {
    let walked: BTreeSet<(&str, &str)> =
        DOORS.iter().map(|(_, method, path)| (*method, *path)).chain(OTHERS.iter().copied()).collect();
    assert_eq!(walked, ROUTES.iter().copied().collect());
    assert_eq!(walked.len(), ROUTES.len());
}

#[tokio::test]
async fn every_grant_is_in_the_walk() {
    let server = Server::start().await;
    let metadata = rp::answered(http().get(server.url("/.well-known/openid-configuration"))).await.json();
    let grants: Vec<&str> =
        metadata["grant_types_supported"].as_array().unwrap().iter().map(|g| g.as_str().unwrap()).collect();
    // The implicit grant is the authorization endpoint's.
    assert_eq!(grants, ["authorization_code", "refresh_token", "client_credentials", "implicit"]);
    let asked = DOORS.iter().filter(|(_, _, path)| *path == "/oauth2/token").count();
    assert_eq!(asked, grants.len() - 1);
}
