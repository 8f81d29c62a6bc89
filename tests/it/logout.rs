//! RP-initiated logout: who is asked, who is signed out, where the browser goes.

use crate::support::browser::Page;
use crate::support::rp::{self, authorize};
use crate::support::{Browser, Registered, Server, vectors};
use entity::{ClientAuth, Role};
use reqwest::Method;
use std::time::Duration;

const BYE: &str = "https://app.example.com/bye";

struct There {
    server: Server,
    client: Registered,
    browser: Browser,
    hint: String,
}

async fn begin() -> There {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.first_party = true).await;
    let mut browser = Browser::signed_in(&server).await;
    let code = rp::code_in(&server, &client, &mut browser, &[]).await;
    let hint = rp::redeem(&server, &client, &code).await.text_of("id_token");
    There { server, client, browser, hint }
}

impl There {
    fn url(&self, pairs: &[(&str, &str)]) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("{}?{query}", self.server.url("/oauth2/logout"))
    }

    async fn logout(&mut self, pairs: &[(&str, &str)]) -> Page {
        let url = self.url(pairs);
        self.browser.get(&url).await
    }

    async fn signed_in(&mut self) -> bool {
        let page = self.browser.get(&authorize(&self.server, &self.client, &[("prompt", "none")])).await;
        page.returned().contains_key("code")
    }
}

fn asks(page: &Page) -> bool {
    page.status == 200 && page.has("decision", Some("sign-out")) && page.location().is_none()
}

#[tokio::test]
async fn with_a_hint_a_uri_and_a_state_the_browser_goes_back_with_the_state_alone__rp_initiated_2() {
    let mut there = begin().await;
    let hint = there.hint.clone();
    let state = "a-Z09 ~!@#$%^&*()_+{}|:\"<>?[];',./`=ä";
    let page = there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE), ("state", state)]).await;
    assert_eq!(page.status, 303);
    assert_eq!(page.returned().into_iter().collect::<Vec<_>>(), [("state".to_owned(), state.to_owned())]);
    assert!(page.location().unwrap().starts_with(&format!("{BYE}?")));
    assert!(!there.signed_in().await && there.browser.session().is_none());
    assert_eq!(there.server.audited("user.logout").await, 1);
}

#[tokio::test]
async fn without_a_state_the_uri_stands_alone__rp_initiated_3() {
    let mut there = begin().await;
    let hint = there.hint.clone();
    let page = there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)]).await;
    assert_eq!(page.location().as_deref(), Some(BYE));
}

#[tokio::test]
async fn a_hint_alone_ends_on_our_page__rp_initiated_2() {
    let mut there = begin().await;
    let hint = there.hint.clone();
    let page = there.logout(&[("id_token_hint", &hint)]).await;
    assert!(page.status == 200 && page.location().is_none() && !there.signed_in().await);
}

#[tokio::test]
async fn an_expired_hint_is_as_good__rp_initiated_2() {
    let mut there = begin().await;
    let hint = there.hint.clone();
    there.server.clock.advance(Duration::from_secs(5 * 3600));
    assert!(there.signed_in().await);
    let page = there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)]).await;
    assert_eq!(page.location().as_deref(), Some(BYE));
    assert!(!there.signed_in().await);
}

#[tokio::test]
async fn no_other_uri_is_ever_redirected_to__rp_initiated_3() {
    let mut there = begin().await;
    let hint = there.hint.clone();
    let vectors: Vec<String> =
        vectors::redirects().into_iter().map(|v| v.replace("/cb", "/bye")).filter(|v| v != BYE).collect();
    for uri in
        vectors.iter().map(String::as_str).chain(["https://app.example.com/bye?foo=bar", "https://app.example.com/cb"])
    {
        let page = there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", uri), ("state", "x")]).await;
        assert_eq!((page.status.as_u16(), page.location()), (400, None), "{uri:?}");
    }
    assert!(there.signed_in().await, "nobody was signed out by a wrong request");
}

#[tokio::test]
async fn a_forged_or_foreign_hint_is_an_error_page_and_signs_nobody_out__rp_initiated_2() {
    let mut there = begin().await;
    let hint = there.hint.clone();
    let other = there.server.client().await;
    let (_, rest) = hint.split_once('.').unwrap();
    let (body, _) = rest.split_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{body}.");
    let flipped = format!("{}AAAA", &hint[..hint.len() - 4]);
    let key = crate::support::jwt::Key::new(entity::SigningAlg::Es256);
    let claims = rp::claims(&hint);
    let stranger = key.sign("JWT", &claims);
    for bad in [&unsigned, &flipped, &stranger, "x", "a.b.c"] {
        there.logout(&[("id_token_hint", bad), ("post_logout_redirect_uri", BYE)]).await.is_error_page(400);
    }
    let mixed = [("id_token_hint", hint.as_str()), ("client_id", other.id.as_str())];
    there.logout(&mixed).await.is_error_page(400);
    there.logout(&[("client_id", "app.unknown"), ("post_logout_redirect_uri", BYE)]).await.is_error_page(400);
    assert!(there.signed_in().await);
}

#[tokio::test]
async fn without_a_hint_a_person_is_asked_and_a_get_signs_nobody_out__rp_initiated_2() {
    let mut there = begin().await;
    let id = there.client.id.clone();
    let requests: [&[(&str, &str)]; 4] = [
        &[],
        &[("state", "x")],
        &[("post_logout_redirect_uri", BYE)],
        &[("client_id", &id), ("post_logout_redirect_uri", BYE)],
    ];
    for pairs in requests {
        let page = there.logout(pairs).await;
        assert!(asks(&page), "{pairs:?}");
        assert!(there.signed_in().await, "{pairs:?}");
    }
    let page = there.logout(&[("post_logout_redirect_uri", BYE), ("state", "x")]).await;
    let page = there.browser.answer(&page, &[("decision", "sign-out")]).await;
    assert!(page.status == 200 && page.location().is_none(), "no client, so nowhere to go");
    assert!(!there.signed_in().await);
}

#[tokio::test]
async fn after_the_question_the_browser_goes_back_to_the_client_that_asked__rp_initiated_2() {
    let mut there = begin().await;
    let id = there.client.id.clone();
    let page = there.logout(&[("client_id", &id), ("post_logout_redirect_uri", BYE), ("state", "s")]).await;
    let said = page.body.replace("<wbr>", "");
    assert!(asks(&page) && said.contains("ada@example.com"), "{said}");
    let stayed = there.browser.answer_once(&page, &[("decision", "stay")]).await;
    assert!(stayed.location().unwrap().ends_with("/account") && there.signed_in().await);
    let page = there.browser.answer_once(&page, &[("decision", "sign-out")]).await;
    assert_eq!(page.location().as_deref(), Some("https://app.example.com/bye?state=s"));
    assert_eq!(page.status, 303);
    assert!(!there.signed_in().await);
}

#[tokio::test]
async fn the_question_is_answered_from_our_own_page_alone__cs_01() {
    let mut there = begin().await;
    let page = there.logout(&[]).await;
    let hidden = page.hidden();
    let without: Vec<(&str, &str)> =
        hidden.iter().filter(|(n, _)| n != "csrf").map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let mut whole: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    whole.push(("decision", "sign-out"));
    let action = page.action();
    there.browser.post(&action, &without).await.is_error_page(400);
    let foreign = [("origin", "https://evil.test")];
    there.browser.send_with(Method::POST, &action, Some(&whole), &foreign).await.is_error_page(403);
    let forged: Vec<(&str, &str)> =
        whole.iter().map(|(n, v)| if *n == "token" { (*n, "e30.AAAA") } else { (*n, *v) }).collect();
    there.browser.post(&action, &forged).await.is_error_page(400);
    assert_eq!(there.browser.get(&action).await.status, 405);
    assert!(there.signed_in().await);
}

#[tokio::test]
async fn a_hint_for_somebody_else_asks__rp_initiated_2() {
    let mut there = begin().await;
    there.server.person_named("bob@example.com", "Bob", Role::User).await;
    let mut bob = Browser::new(&there.server);
    let page = bob.follow(&authorize(&there.server, &there.client, &[])).await;
    let page = bob.sign_in_as(&page, "bob@example.com").await;
    let hint = rp::redeem(&there.server, &there.client, &page.returned()["code"]).await.text_of("id_token");
    let page = there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)]).await;
    assert!(asks(&page) && there.signed_in().await);
    let page = there.browser.answer_once(&page, &[("decision", "sign-out")]).await;
    assert_eq!(page.location().as_deref(), Some(BYE));
}

#[tokio::test]
async fn of_two_accounts_the_hint_signs_out_its_own__rp_initiated_2() {
    let mut there = begin().await;
    there.server.person_named("bob@example.com", "Bob", Role::User).await;
    let url = authorize(&there.server, &there.client, &[("prompt", "select_account")]);
    let page = there.browser.follow(&url).await;
    let page = there.browser.answer(&page, &[("account", "other")]).await;
    let page = there.browser.sign_in_as(&page, "bob@example.com").await;
    let bob = rp::redeem(&there.server, &there.client, &page.returned()["code"]).await.text_of("id_token");
    let hint = there.hint.clone();
    there.logout(&[("id_token_hint", &hint)]).await;
    let code =
        there.browser.get(&authorize(&there.server, &there.client, &[("prompt", "none")])).await.returned()["code"]
            .clone();
    assert_eq!(rp::id_claims(&there.server, &there.client, &code).await["sub"], rp::claims(&bob)["sub"]);
}

#[tokio::test]
async fn somebody_who_is_not_signed_in_just_goes_back() {
    let there = begin().await;
    let mut fresh = Browser::new(&there.server);
    let url = there.url(&[("id_token_hint", &there.hint), ("post_logout_redirect_uri", BYE), ("state", "x")]);
    assert_eq!(fresh.get(&url).await.location().as_deref(), Some("https://app.example.com/bye?state=x"));
    let page = fresh.get(&there.url(&[("post_logout_redirect_uri", BYE)])).await;
    assert_eq!((page.status.as_u16(), page.location()), (200, None));
}

#[tokio::test]
async fn a_request_may_be_posted_from_the_application__rp_initiated_2() {
    let mut there = begin().await;
    let hint = there.hint.clone();
    let form = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", "x")];
    let url = there.server.url("/oauth2/logout");
    let foreign = [("origin", "https://app.example.com"), ("sec-fetch-site", "cross-site")];
    let page = there.browser.send_with(Method::POST, &url, Some(&form), &foreign).await;
    assert_eq!(page.status, 303);
    let page = there.browser.get(&page.location().unwrap()).await;
    assert_eq!(page.location().as_deref(), Some("https://app.example.com/bye?state=x"));
    assert!(!there.signed_in().await);
}

#[tokio::test]
async fn open_interactions_of_the_browser_end_too__oc_27() {
    let mut there = begin().await;
    let hint = there.hint.clone();
    let url = authorize(&there.server, &there.client, &[("prompt", "consent")]);
    let page = there.browser.follow(&url).await;
    there.logout(&[("id_token_hint", &hint)]).await;
    there.browser.answer(&page, &[("decision", "allow")]).await.is_error_page(400);
}

#[tokio::test]
async fn the_browsers_old_cookie_is_worth_nothing__asvs_7_4_1() {
    let mut there = begin().await;
    let hint = there.hint.clone();
    let mut copy = there.browser.clone();
    there.logout(&[("id_token_hint", &hint)]).await;
    assert!(copy.get("/account").await.location().is_some_and(|l| l.ends_with("/login")));
}

#[tokio::test]
async fn nothing_near_a_loopback_uri_is_redirected_to__rp_initiated_3() {
    let server = Server::start().await;
    server.person().await;
    let client = server
        .client_with(|c| {
            c.token_endpoint_auth_method = ClientAuth::None;
            c.first_party = true;
            c.post_logout_redirect_uris = vec!["http://127.0.0.1/cb".into()];
        })
        .await;
    let mut fresh = Browser::new(&server);
    for (uri, _) in vectors::LOOPBACK.iter().filter(|(_, fits)| !fits) {
        let pairs = [("client_id", client.id.as_str()), ("post_logout_redirect_uri", *uri)];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let page = fresh.get(&format!("{}?{query}", server.url("/oauth2/logout"))).await;
        assert_eq!((page.status.as_u16(), page.location()), (400, None), "{uri}");
    }
}
