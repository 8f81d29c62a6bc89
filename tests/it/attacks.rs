//! What a second round of attackers found. Each test states what must hold, and failed on the code that was attacked.

use crate::support::browser::http;
use crate::support::rp::{self, answered, authorize};
use crate::support::{Browser, CALLBACK, EMAIL, Server};
use entity::{browser_session, flow};
use sea_orm::{EntityTrait, PaginatorTrait};
use std::time::Duration;

/// A third-party client that leaves `scope` out is never asked about: prompt=none gives it a code, and the tokens
/// name the person (sub, auth_time, amr) with a refresh token on top.
#[tokio::test]
async fn nobody_is_named_to_an_application_without_consent_though_it_asks_for_no_scope__oa_57() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client().await;
    let mut browser = Browser::signed_in(&server).await;
    let silent = browser.get(&authorize(&server, &client, &[("scope", ""), ("prompt", "none")])).await;
    let returned = silent.returned();
    if let Some(code) = returned.get("code") {
        let tokens = rp::redeem(&server, &client, code).await;
        let claims = rp::claims(&tokens.text_of("access_token"));
        panic!("no consent was asked, and the client has: {claims} {}", tokens.text);
    }
    assert_eq!(returned["error"], "consent_required");
}

/// `https://idp//evil.test/x` is a page of ours whose language links lead to evil.test.
#[tokio::test]
async fn no_link_on_a_page_leads_to_a_host_that_the_address_named__th_09() {
    let server = Server::start().await;
    for path in ["//evil.test/x", "/\\evil.test/x", "///evil.test", "//evil.test/t/acme/login"] {
        let answer = crate::hostile::raw(
            &server,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", server.port),
        );
        for bad in ["href=\"//evil", "href=\"/\\evil", "href=\"///evil"] {
            assert!(!answer.contains(bad), "{path}: {}", answer.split("<a ").find(|a| a.contains("evil")).unwrap());
        }
    }
}

/// Rows of browser sessions whose sessions expired (nobody signed out) are never swept.
#[tokio::test]
async fn a_browser_session_that_nothing_hangs_on_is_swept() {
    let server = Server::start().await;
    server.person().await;
    for _ in 0..4 {
        Browser::signed_in(&server).await;
    }
    server.clock.advance(Duration::from_secs(400 * 86_400));
    keyward::account::session::sweep(server.app.db(), server.now()).await.unwrap();
    let sessions = entity::session::Entity::find().count(server.app.db().read()).await.unwrap();
    let left = browser_session::Entity::find().count(server.app.db().read()).await.unwrap();
    assert_eq!((sessions, left), (0, 0));
}

/// Interactions that were cancelled count for no cap: a stranger's rows grow without bound for an hour.
#[tokio::test]
async fn interactions_that_ended_count_towards_the_cap_too__en_11() {
    let server = Server::start_with(&[("KEYWARD__LIMITS__FLOWS_PER_ADDRESS", "10")]).await;
    let client = server.client().await;
    let state = "x".repeat(3_000);
    for _ in 0..60 {
        let mut browser = Browser::new(&server);
        let page = browser.follow(&authorize(&server, &client, &[("state", &state)])).await;
        let page = browser.answer_once(&page, &[("decision", "cancel")]).await;
        assert_eq!(page.status, 303);
    }
    let rows = flow::Entity::find().count(server.app.db().read()).await.unwrap();
    assert!(rows <= 40, "{rows}");
}

/// Two names of one person share a counter, so that a stranger learns that they exist and belong together.
#[tokio::test]
async fn counters_do_not_tell_that_two_names_are_one_person__en_01() {
    let server = Server::start().await;
    let user = server.person().await;
    let person = keyward::account::by_id(server.app.db().read(), server.tenant, user).await.unwrap().unwrap();
    let username = person.of_kind(entity::IdentifierKind::Username).unwrap().key.clone();
    let attempt = async |name: &str| {
        let mut browser = Browser::new(&server);
        let page = browser.follow("/login").await;
        browser.answer_once(&page, &[("identifier", name), ("password", "wrong")]).await.status.as_u16()
    };
    for _ in 0..5 {
        attempt(EMAIL).await;
    }
    let (theirs, nobodys) = (attempt(&username).await, attempt("nobody.here").await);
    assert_eq!(theirs, nobodys);
}

/// A grant that is not offline ends with its session when somebody signs out, but not when the session's time is up.
#[tokio::test]
async fn a_refresh_token_without_offline_access_ends_with_its_session() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client().await;
    let code = rp::code(&server, &client, &[("scope", "api")]).await;
    let tokens = rp::redeem(&server, &client, &code).await;
    let refresh = tokens.text_of("refresh_token");
    server.clock.advance(Duration::from_secs(26 * 3_600));
    assert_eq!(server.live_sessions().await, 0, "the session's time is up");
    let answer = rp::refresh(&server, &client, &refresh).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
}

/// A path with an escaped `t` gets past the tenant's door: what answers is another tenant than the route names.
#[tokio::test]
async fn a_route_below_a_tenant_is_answered_by_that_tenant_or_nobody__hp_06() {
    let server = Server::start().await;
    let second = server.tenant("acme").await;
    for path in ["/%74/acme/.well-known/openid-configuration", "/%74/nobody/.well-known/openid-configuration"] {
        let answer = answered(http().get(server.url(path))).await;
        assert!(answer.status == 404 || answer.json()["issuer"] == *second.issuer, "{path}: {}", answer.text);
    }
}

/// A client that was disabled while the question to sign out was open still gets the person.
#[tokio::test]
async fn a_disabled_application_gets_nobody_at_sign_out() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client().await;
    let mut browser = Browser::signed_in(&server).await;
    let url = format!(
        "{}?client_id={}&post_logout_redirect_uri=https://app.example.com/bye",
        server.url("/oauth2/logout"),
        client.id
    );
    let question = browser.get(&url).await;
    server.client_status(&client, entity::Status::Disabled).await;
    let page = browser.answer_once(&question, &[("decision", "sign-out")]).await;
    assert_eq!((page.status.as_u16(), page.location()), (200, None));
}

/// "From now on, what this application got for itself before is dead" also refuses people who are signed in, for as
/// long as their session lives: the answer is login_required, and signing in is never offered.
#[tokio::test]
async fn a_not_before_of_a_client_asks_people_to_sign_in_again_rather_than_refusing_them() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client().await;
    let mut browser = Browser::new(&server);
    rp::code_in(&server, &client, &mut browser, &[]).await;
    server.clock.advance(Duration::from_secs(5));
    let at = server.now().0;
    server.alter(&client, entity::client::Column::NotBefore, at).await;
    server.clock.advance(Duration::from_secs(5));
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    let said = page.location().filter(|l| l.starts_with(CALLBACK)).map(|_| page.returned());
    assert!(said.as_ref().is_none_or(|s| s.contains_key("code")), "{said:?}");
}

/// Names and addresses of this very machine that are not `localhost` or 127.0.0.1 count as far away.
#[tokio::test]
async fn every_spelling_of_this_machine_is_asked_about__oa_59() {
    let server = Server::start().await;
    server.person().await;
    let uris = ["https://app.localhost/cb", "https://127.0.0.2/cb", "https://[::ffff:127.0.0.1]/cb"];
    for uri in uris {
        let Ok(fit) = keyward::client::RedirectUri::parse(uri) else { continue };
        let client = server
            .client_with(|c| {
                c.token_endpoint_auth_method = entity::ClientAuth::None;
                c.first_party = true;
                c.redirect_uris = vec![fit.as_str().to_owned()];
            })
            .await;
        let mut browser = Browser::signed_in(&server).await;
        let silent =
            browser.get(&authorize(&server, &client, &[("redirect_uri", uri), ("prompt", "none")])).await.returned();
        assert_eq!(silent.get("error").map(String::as_str), Some("consent_required"), "{uri}");
    }
}

/// Rows that refer to others without an index: each row that is swept or deleted costs a scan of the whole table.
/// On PostgreSQL with 300,000 codes (a day of them is kept) one batch of 500 sessions took 53 s, against a statement
/// timeout of 3 s: sessions are never swept any more, and neither clients nor people can be deleted.
#[tokio::test]
async fn every_reference_between_rows_has_an_index() {
    use sea_orm::{ConnectionTrait, DbBackend, Statement};
    let server = Server::start().await;
    if !server.on_a_file() {
        return;
    }
    let rows = async |sql: String| {
        server.app.db().read().query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap()
    };
    let mut bare = vec![];
    for table in rows("SELECT name FROM sqlite_master WHERE type = 'table'".into()).await {
        let table: String = table.try_get_by_index(0).unwrap();
        let mut references = std::collections::BTreeMap::<i64, Vec<String>>::new();
        for row in rows(format!("SELECT id, \"from\" FROM pragma_foreign_key_list('{table}') ORDER BY id, seq")).await {
            references.entry(row.try_get_by_index(0).unwrap()).or_default().push(row.try_get_by_index(1).unwrap());
        }
        let mut indexes = vec![];
        for index in rows(format!("SELECT name FROM pragma_index_list('{table}')")).await {
            let index: String = index.try_get_by_index(0).unwrap();
            let columns = rows(format!("SELECT name FROM pragma_index_info('{index}') ORDER BY seqno")).await;
            indexes.push(columns.iter().map(|c| c.try_get_by_index::<String>(0).unwrap()).collect::<Vec<_>>());
        }
        for columns in references.into_values() {
            let led = |index: &Vec<String>| columns.iter().all(|c| index.iter().take(columns.len()).any(|i| i == c));
            if !indexes.iter().any(led) {
                bare.push(format!("{table}{columns:?}"));
            }
        }
    }
    assert_eq!(bare, Vec::<String>::new());
}

/// Whose session was ended elsewhere in the middle of an interaction picks another account for ever: the dead session
/// that was proven there outweighs each choice.
#[tokio::test]
async fn an_account_that_is_chosen_after_the_proven_session_ended_counts() {
    let server = Server::start().await;
    server.person().await;
    let eve = server.person_named("eve@example.com", "Eve", entity::Role::User).await;
    let (first, client) = (server.client_with(|c| c.first_party = true).await, server.client().await);
    let mut browser = Browser::signed_in(&server).await;
    let page = browser.follow(&authorize(&server, &first, &[("prompt", "select_account")])).await;
    let page = browser.answer(&page, &[("account", "other")]).await;
    browser.sign_in_as(&page, "eve@example.com").await;
    // Both are here; Eve, the newest, stands first. She proves herself again and is then shut out.
    let choice = |page: &crate::support::browser::Page, at: usize| {
        page.body.split("name=\"account\" value=\"").nth(at).and_then(|t| t.split('"').next()).unwrap().to_owned()
    };
    let page = browser.follow(&authorize(&server, &client, &[("prompt", "login")])).await;
    let page = browser.answer(&page, &[("account", &choice(&page, 1))]).await;
    let page = browser.sign_in_as(&page, "eve@example.com").await;
    assert!(page.has("decision", Some("allow")), "{}", page.title());
    server.person_status(eve, entity::Status::Disabled).await;
    let mut page = browser.get(&page.url).await;
    for _ in 0..3 {
        assert!(page.has("account", None), "{}", page.title());
        let ada = choice(&page, 1);
        page = browser.answer(&page, &[("account", &ada)]).await;
        if page.has("password", None) {
            return;
        }
    }
    panic!("chosen three times, and still {}", page.title());
}

/// Codes cost nothing: one person's browser makes them as fast as it asks, and each row is kept for a day.
#[tokio::test]
async fn codes_that_one_session_makes_are_bounded__en_11() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.first_party = true).await;
    let mut browser = Browser::signed_in(&server).await;
    for _ in 0..300 {
        browser.get(&authorize(&server, &client, &[("prompt", "none")])).await;
    }
    server.clock.advance(Duration::from_secs(3_600));
    keyward::grant::sweep(server.app.db(), server.now()).await.unwrap();
    let left = entity::authorization_code::Entity::find().count(server.app.db().read()).await.unwrap();
    assert!(left < 100, "{left} codes that nobody can redeem are still there after an hour");
}

/// After a revocation has been answered nothing of the grant lives, whatever a refresh did meanwhile.
#[tokio::test]
async fn a_refresh_that_races_a_revocation_or_a_ban_leaves_nothing_alive() {
    let server = Server::start().await;
    let user = server.person().await;
    let client = server.client().await;
    for round in 0..25 {
        let tokens = rp::tokens(&server, &client).await;
        let first = tokens.text_of("refresh_token");
        let code = rp::code(&server, &client, &[]).await;
        let form = [("token", first.as_str())];
        let ban = async {
            if round % 2 == 0 {
                rp::post(&server, "/oauth2/revoke", &client, &form).await;
            } else {
                server.person_status(user, entity::Status::Disabled).await;
            }
        };
        let (refreshed, redeemed, again, ()) = tokio::join!(
            rp::refresh(&server, &client, &first),
            rp::redeem(&server, &client, &code),
            rp::refresh(&server, &client, &first),
            ban
        );
        if round % 2 == 1 {
            server.person_status(user, entity::Status::Active).await;
        }
        let mut dead = vec![&refreshed, &again];
        if round % 2 == 1 {
            dead.push(&redeemed);
        }
        for answer in dead.into_iter().filter(|a| a.status == 200) {
            assert_eq!(rp::refresh(&server, &client, &answer.text_of("refresh_token")).await.status, 400, "{round}");
            assert_eq!(rp::userinfo(&server, &answer.text_of("access_token")).await.status, 401, "{round}");
        }
        assert!([&refreshed, &redeemed, &again].iter().all(|a| a.status < 500));
    }
}
