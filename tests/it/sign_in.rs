//! Sessions, passwords and throttles, as people and their attackers meet them.

use crate::support::browser::Page;
use crate::support::{Browser, EMAIL, PASSWORD, Server, rp};
use entity::{Role, Status};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

async fn attempt(browser: &mut Browser, identifier: &str, password: &str) -> Page {
    let page = browser.follow("/login").await;
    browser.answer_once(&page, &[("identifier", identifier), ("password", password), ("decision", "continue")]).await
}

async fn signed_in(browser: &mut Browser) -> bool {
    browser.get("/account").await.status == 200
}

#[tokio::test]
async fn the_session_cookie_is_bound_and_its_secret_changes_at_each_sign_in__cs_07() {
    let server = Server::start().await;
    server.person().await;
    let mut browser = Browser::new(&server);
    let answer = attempt(&mut browser, EMAIL, PASSWORD).await;
    let line = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .find(|l| l.to_str().unwrap().starts_with("sid-"))
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!line.contains("Domain") && !line.contains("Max-Age"), "{line}");
    let before = browser.cookies.clone();
    let page = browser.follow("/login").await;
    assert_eq!(page.status, 200, "signed in already: the account");
    let client = server.client_with(|c| c.first_party = true).await;
    let page = browser.follow(&rp::authorize(&server, &client, &[("prompt", "login")])).await;
    browser.sign_in(&page).await;
    assert_ne!(browser.cookies, before);
    assert!(signed_in(&mut browser).await);
    browser.cookies = before;
    assert!(!signed_in(&mut browser).await, "the secret from before is dead");
}

#[tokio::test]
async fn a_session_ends_unused_and_in_any_case() {
    let server = Server::start_with(&[("KEYWARD__SESSIONS__IDLE", "2h"), ("KEYWARD__SESSIONS__LIFETIME", "5h")]).await;
    server.person().await;
    let mut idle = Browser::signed_in(&server).await;
    let mut busy = Browser::signed_in(&server).await;
    for _ in 0..4 {
        server.clock.advance(HOUR);
        assert!(signed_in(&mut busy).await);
    }
    assert!(!signed_in(&mut idle).await);
    server.clock.advance(HOUR + Duration::from_secs(1));
    assert!(!signed_in(&mut busy).await);
}

#[tokio::test]
async fn signing_out_ends_the_session_on_the_server() {
    let server = Server::start().await;
    server.person().await;
    let mut browser = Browser::signed_in(&server).await;
    let before = browser.cookies.clone();
    let page = browser.get("/account").await;
    let csrf = page.hidden().into_iter().find(|(n, _)| n == "csrf").unwrap().1;
    assert_eq!(browser.post("/signout", &[("csrf", "forged")]).await.status, 400);
    assert!(signed_in(&mut browser).await);
    assert_eq!(browser.post("/signout", &[("csrf", &csrf)]).await.status, 200);
    browser.cookies = before;
    assert!(!signed_in(&mut browser).await);
    assert_eq!(server.count("user.logout").await, 1);
}

#[tokio::test]
async fn unknown_disabled_and_mistaken_people_get_the_same_bytes_and_work__en_01() {
    let server = Server::start().await;
    server.person().await;
    let gone = server.person_named("gone@example.com", "Gone", Role::User).await;
    server.person_status(gone, Status::Disabled).await;
    let mut seen = vec![];
    for (identifier, password) in [
        (EMAIL, "wrong"),
        ("nobody@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("gone@example.com", "wrong"),
    ] {
        let mut browser = Browser::new(&server);
        let before = server.app.passwords.done();
        let answer = attempt(&mut browser, identifier, password).await;
        let hashes = server.app.passwords.done() - before;
        // What differs by nature: the flow, its token, and what was typed.
        let mut body = answer.body.replace(identifier, "IDENTIFIER");
        for (_, value) in answer.hidden() {
            body = body.replace(&value, "X");
        }
        body = body.split("flow=").map(|p| p.split_once('&').map_or(p, |(_, rest)| rest)).collect();
        let headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(n, _)| !["x-request-id", "date", "content-length"].contains(&n.as_str()))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        seen.push((answer.status, hashes, headers.len(), body));
    }
    assert!(
        seen.windows(2).all(|w| w[0] == w[1]),
        "{:?}",
        seen.iter().map(|s| (s.0, s.1, s.2, s.3.len())).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_sixth_wrong_attempt_waits_however_the_address_is_spelt__en_05() {
    let server = Server::start().await;
    server.person().await;
    let mut browser = Browser::new(&server);
    for spelling in ["ada@example.com", "Ada@Example.com", " ada@example.com ", "ADA@EXAMPLE.COM", "ada@EXAMPLE.com"] {
        assert_eq!(attempt(&mut browser, spelling, "wrong").await.status, 422);
    }
    let hashes = server.app.passwords.done();
    let answer = attempt(&mut browser, EMAIL, PASSWORD).await;
    assert_eq!(answer.status, 429, "the right password tells nothing");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(answer.body.contains("wait 15 minutes"), "{}", answer.body);
    assert_eq!(server.app.passwords.done(), hashes, "nothing is compared");
    attempt(&mut browser, EMAIL, "wrong").await;
    assert_eq!(server.count("rate_limit_exceeded").await, 1, "one event per key and window");
    server.clock.advance(Duration::from_secs(901));
    assert_eq!(attempt(&mut browser, EMAIL, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn strangers_cannot_lock_out_a_browser_that_is_known__en_06() {
    let server = Server::start_with(&[
        ("KEYWARD__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
        ("KEYWARD__LIMITS__SIGN_IN_PER_ACCOUNT", "10"),
    ])
    .await;
    server.person().await;
    let mut known = Browser::signed_in(&server).await;
    for n in 0..15 {
        let mut stranger = Browser::new(&server);
        stranger.from = Some(format!("198.51.100.{n}"));
        attempt(&mut stranger, EMAIL, "wrong").await;
    }
    let mut stranger = Browser::new(&server);
    stranger.from = Some("198.51.100.99".into());
    assert_eq!(attempt(&mut stranger, EMAIL, PASSWORD).await.status, 429);
    known.cookies.retain(|name, _| name == "bid");
    assert_eq!(attempt(&mut known, EMAIL, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn a_burst_is_counted_before_it_is_compared__en_07() {
    let server = Server::start().await;
    server.person().await;
    let mut tries = vec![];
    for _ in 0..20 {
        let mut browser = Browser::new(&server);
        tries.push(tokio::spawn(async move { attempt(&mut browser, EMAIL, "wrong").await.status.as_u16() }));
    }
    let mut statuses = vec![];
    for one in tries {
        statuses.push(one.await.unwrap());
    }
    let compared = statuses.iter().filter(|s| **s == 422).count();
    assert!(compared <= 5, "{statuses:?}");
    assert!(statuses.iter().all(|s| [422, 429, 503].contains(s)), "{statuses:?}");
}

#[tokio::test]
async fn a_success_gives_the_counters_back_and_old_hashes_are_renewed() {
    let server = Server::start().await;
    let user = server.person().await;
    let stored = async |server: &Server| {
        keyward::account::password_of(server.app.db().read(), server.tenant, user).await.unwrap().unwrap().phc
    };
    let before = stored(&server).await;
    let server = server.restart_with(&[("KEYWARD__PASSWORD__ITERATIONS", "2")]).await.unwrap();
    for _ in 0..8 {
        let mut browser = Browser::new(&server);
        assert_eq!(attempt(&mut browser, EMAIL, PASSWORD).await.status, 303);
    }
    let after = stored(&server).await;
    assert!(before.contains("t=1") && after.contains("t=2"), "{after}");
}

/// Where the page's language link to German leads.
fn in_german(page: &Page) -> String {
    let link = page.body.split("href=\"").filter_map(|l| l.split('"').next()).find(|l| l.ends_with("ui_locales=de"));
    link.unwrap_or_else(|| panic!("no link to German: {}", page.body)).replace("&amp;", "&")
}

#[tokio::test]
async fn the_language_link_of_a_page_that_answers_a_form_keeps_the_flow() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client().await;
    let mut browser = Browser::new(&server);
    let page = browser.follow(&rp::authorize(&server, &client, &[])).await;
    let again = browser.answer_once(&page, &[("identifier", EMAIL), ("password", "wrong")]).await;
    assert_eq!(again.status, 422);
    let german = browser.get(&in_german(&again)).await;
    assert!(german.body.contains("<html lang=\"de\"") && german.body.contains("Wiki"), "{}", german.body);
    let page = browser.answer(&german, &[("identifier", EMAIL), ("password", PASSWORD)]).await;
    assert!(page.has("decision", Some("allow")) && page.body.contains("<html lang=\"de\""), "{}", page.body);
}

#[tokio::test]
async fn the_language_link_of_the_set_up_page_keeps_its_token() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    let page = browser.get(server.setup_url.as_ref().unwrap()).await;
    let fields = [("email", EMAIL), ("name", "Ada"), ("password", "short")];
    let again = browser.answer_once(&page, &fields).await;
    assert_eq!(again.status, 422);
    let german = browser.get(&in_german(&again)).await;
    assert_eq!(german.status, 200);
    let again = browser.answer_once(&german, &fields).await;
    assert!(again.body.contains("<html lang=\"de\""), "the language that was chosen stays: {}", again.body);
}

#[tokio::test]
async fn a_page_that_cannot_be_asked_for_again_has_no_language_link() {
    let server = Server::start().await;
    server.person().await;
    let mut browser = Browser::signed_in(&server).await;
    let csrf = browser.get("/account").await.hidden().into_iter().find(|(n, _)| n == "csrf").unwrap().1;
    let page = browser.post("/signout", &[("csrf", &csrf)]).await;
    assert!(page.status == 200 && !page.body.contains("ui_locales"), "{}", page.body);
}

#[tokio::test]
async fn a_sign_in_that_is_begun_in_a_language_goes_on_in_it() {
    let server = Server::start().await;
    server.person().await;
    let mut browser = Browser::new(&server);
    let page = browser.follow("/login?ui_locales=de").await;
    assert!(page.body.contains("<html lang=\"de\""), "{}", page.url);
    let page = browser.sign_in(&page).await;
    assert!(page.url.ends_with("/account") && page.body.contains("<html lang=\"de\""), "{}", page.url);
    let mut other = Browser::signed_in(&server).await;
    let page = other.follow("/login?ui_locales=de").await;
    assert!(page.url.ends_with("/account") && page.body.contains("<html lang=\"de\""), "{}", page.url);
}
