//! The authorization request: what is refused where, what is asked of whom, what an application hears.

use crate::support::browser::http;
use crate::support::rp::{self, authorize, authorize_raw, id_claims};
use crate::support::{Browser, CALLBACK, EMAIL, PASSWORD, Registered, Server, vectors};
use entity::{ClientAuth, PkceRule, Role, client};
use reqwest::Method;
use std::time::Duration;

const OTHER: &str = "bob@example.com";

async fn begin() -> (Server, Registered) {
    let server = Server::start().await;
    server.person().await;
    let client = server.client().await;
    (server, client)
}

/// The error that a request with these changes is answered with, by redirect.
async fn error(server: &Server, client: &Registered, changes: &[(&str, &str)]) -> String {
    let page = Browser::new(server).get(&authorize(server, client, changes)).await;
    assert!(page.location().is_some_and(|l| l.starts_with(CALLBACK)), "{changes:?}: {} {}", page.status, page.body);
    page.redirected_error(&server.issuer)
}

fn shows_sign_in(page: &crate::support::browser::Page) -> bool {
    page.status == 200 && page.has("password", None)
}

fn shows_consent(page: &crate::support::browser::Page) -> bool {
    page.status == 200 && page.has("decision", Some("allow"))
}

// Who asks, and where the answer goes

#[tokio::test]
async fn an_unknown_missing_or_disabled_client_gets_a_page__rfc6749_4_1_2_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let long = "a".repeat(5_000);
    for id in ["", "nobody", "app.", "' OR 1=1--", &client.id.to_uppercase(), &format!("{} ", client.id), &long] {
        browser.get(&authorize(&server, &client, &[("client_id", id)])).await.is_error_page(400);
    }
    server.client_status(&client, entity::Status::Disabled).await;
    browser.get(&authorize(&server, &client, &[])).await.is_error_page(400);
}

#[tokio::test]
async fn only_the_registered_redirect_uri_is_ever_redirected_to__rfc9700_4_1_3() {
    let (server, client) = begin().await;
    let mut browser = Browser::signed_in(&server).await;
    rp::code_in(&server, &client, &mut browser, &[]).await;
    for uri in vectors::redirects() {
        for more in [("prompt", "none"), ("response_type", "nonsense")] {
            let page = browser.get(&authorize(&server, &client, &[("redirect_uri", &uri), more])).await;
            assert_eq!((page.status.as_u16(), page.location()), (400, None), "{uri:?}");
            page.is_error_page(400);
            assert!(!page.body.contains("href=\"javascript") && !page.body.contains("href=\"https://evil"), "{uri:?}");
        }
    }
}

#[tokio::test]
async fn a_registered_query_is_part_of_the_uri_and_stays_as_it_is__rfc6749_3_1_2() {
    let server = Server::start().await;
    let uri = "https://app.example.com/cb?a=%2F&b=+";
    let client = server.client_with(|c| c.redirect_uris = vec![uri.into()]).await;
    let mut browser = Browser::new(&server);
    let page = browser.get(&authorize(&server, &client, &[("redirect_uri", uri), ("prompt", "none")])).await;
    assert!(page.location().unwrap().starts_with(&format!("{uri}&error=login_required&")), "{:?}", page.location());
    for other in ["https://app.example.com/cb?a=%2f&b=+", "https://app.example.com/cb?a=%2F&b=%20", CALLBACK] {
        browser
            .get(&authorize(&server, &client, &[("redirect_uri", other), ("prompt", "none")]))
            .await
            .is_error_page(400);
    }
}

#[tokio::test]
async fn a_loopback_address_may_have_any_port_and_nothing_else_may_differ__rfc8252_7_3() {
    let server = Server::start().await;
    let client = server
        .client_with(|c| {
            c.token_endpoint_auth_method = ClientAuth::None;
            c.redirect_uris = vec!["http://127.0.0.1/cb".into()];
        })
        .await;
    let mut browser = Browser::new(&server);
    for (uri, fits) in vectors::LOOPBACK {
        let page = browser.get(&authorize(&server, &client, &[("redirect_uri", uri), ("prompt", "none")])).await;
        if *fits {
            assert_eq!(page.redirected_error(&server.issuer), "login_required", "{uri}");
            assert!(page.location().unwrap().starts_with(&format!("{uri}?")), "{uri}");
        } else {
            assert_eq!((page.status.as_u16(), page.location()), (400, None), "{uri}");
        }
    }
    let client = server.client_with(|c| c.redirect_uris = vec!["http://[::1]/cb".into()]).await;
    for (uri, fits) in
        [("http://[::1]:9/cb", true), ("http://127.0.0.1:9/cb", false), ("http://[0:0:0:0:0:0:0:1]/cb", false)]
    {
        let page = browser.get(&authorize(&server, &client, &[("redirect_uri", uri), ("prompt", "none")])).await;
        assert_eq!(page.location().is_some(), fits, "{uri}");
    }
}

#[tokio::test]
async fn redirect_uri_may_be_left_out_only_where_one_is_registered_and_openid_is_not_asked__rfc6749_3_1_2_3() {
    let server = Server::start().await;
    server.person().await;
    let mut browser = Browser::signed_in(&server).await;
    let one = server.client_with(|c| c.first_party = true).await;
    let without = [("redirect_uri", "")];
    browser.get(&authorize(&server, &one, &without)).await.is_error_page(400);
    let page = browser.get(&authorize(&server, &one, &[("redirect_uri", ""), ("scope", "api")])).await;
    let code = page.returned()["code"].clone();
    let two = server.client_with(|c| c.redirect_uris.push("https://app.example.com/other".into())).await;
    browser.get(&authorize(&server, &two, &[("redirect_uri", ""), ("scope", "api")])).await.is_error_page(400);
    // RFC 6749 section 4.1.3: what was not in the authorization request need not be in this one.
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", rp::VERIFIER)];
    let answer = rp::post(&server, "/oauth2/token", &one, &form).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn a_redirect_uri_that_was_left_out_is_compared_when_it_is_sent_at_the_token_endpoint__rfc6749_4_1_3() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.first_party = true).await;
    let mut browser = Browser::signed_in(&server).await;
    let page = browser.get(&authorize(&server, &client, &[("redirect_uri", ""), ("scope", "api")])).await;
    let code = page.returned()["code"].clone();
    let form = |uri| {
        [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("code_verifier", rp::VERIFIER),
            ("redirect_uri", uri),
        ]
    };
    let answer = rp::post(&server, "/oauth2/token", &client, &form("https://evil.test/cb")).await;
    assert_eq!(answer.error(), "invalid_grant");
    assert_eq!(rp::post(&server, "/oauth2/token", &client, &form(CALLBACK)).await.status, 200);
}

// The shape of a request

#[tokio::test]
async fn a_parameter_that_is_sent_twice_is_refused_with_a_page__oauth2_1_3_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let good = authorize(&server, &client, &[("prompt", "none")]);
    for twice in
        ["redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb", "state=x", "client_id=x", "unknown=1&unknown=2", "scope"]
    {
        browser.get(&format!("{good}&{twice}")).await.is_error_page(400);
    }
}

#[tokio::test]
async fn a_parameter_in_query_and_body_is_refused_with_a_page__oauth2_1_3_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let url = authorize(&server, &client, &[("prompt", "none")]);
    browser.post(&url, &[("redirect_uri", CALLBACK)]).await.is_error_page(400);
    browser.post(&url, &[("state", "another")]).await.is_error_page(400);
}

#[tokio::test]
async fn array_syntax_is_an_unknown_parameter__appendix_a() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let url = authorize(&server, &client, &[("redirect_uri", "")]);
    for name in
        ["redirect_uri[]", "redirect_uri%5B%5D", "redirect_uri[0]", "redirect_uri.x", "REDIRECT_URI", "redirect_uri%20"]
    {
        browser.get(&format!("{url}&{name}={}", "https%3A%2F%2Fapp.example.com%2Fcb")).await.is_error_page(400);
    }
}

#[tokio::test]
async fn an_empty_value_is_none__oauth2_1_3_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let url = authorize(&server, &client, &[("prompt", "none"), ("nonce", "")]);
    let empty = "nonce=&max_age=&request=&request_uri=&registration=&id_token_hint=&response_mode=&login_hint=&resource=&ui_locales=";
    let page = browser.get(&format!("{url}&{empty}")).await;
    assert_eq!(page.redirected_error(&server.issuer), "login_required");
    let page = browser.get(&format!("{}&redirect_uri=", authorize(&server, &client, &[("redirect_uri", "")]))).await;
    page.is_error_page(400);
}

#[tokio::test]
async fn what_is_not_utf8_or_not_form_encoding_is_refused_with_a_page() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let url = authorize(&server, &client, &[("prompt", "none"), ("state", "")]);
    for bad in ["state=%ff", "state=%c3%28", "state=%zz", "state=%", "state=a%00b", "%ff=1"] {
        browser.get(&format!("{url}&{bad}")).await.is_error_page(400);
    }
}

#[tokio::test]
async fn what_is_too_long_is_refused__rfc9110_15_5_15() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let long = format!("https://app.example.com/{}", "a".repeat(64 * 1024));
    browser.get(&authorize(&server, &client, &[("redirect_uri", &long[..9_000])])).await.is_error_page(414);
    let url = server.url("/oauth2/authorize");
    browser.post(&url, &[("client_id", &client.id), ("redirect_uri", &long)]).await.is_error_page(413);
    browser.get(&authorize(&server, &client, &[("redirect_uri", &long[..7_000])])).await.is_error_page(400);
    let many: String = (0..200).map(|n| format!("&x{n}=1")).collect();
    browser.get(&format!("{}{many}", authorize(&server, &client, &[]))).await.is_error_page(400);
}

#[tokio::test]
async fn unknown_parameters_are_ignored__rfc6749_3_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let extra = [
        ("display", "popup"),
        ("claims_locales", "se"),
        ("extra", "\"><script>alert(1)</script>"),
        ("claims", "{\"userinfo\":{\"name\":{\"essential\":true}}}"),
        ("acr_values", "1 2 1fa"),
        ("ui_locales", "se"),
        ("return_to", "https://evil.test"),
    ];
    let page = browser.follow(&authorize(&server, &client, &extra)).await;
    assert!(shows_sign_in(&page) && !page.body.contains("<script>alert") && !page.body.contains("href=\"https://evil"));
    let page = browser.sign_in(&page).await;
    let page = browser.answer(&page, &[("decision", "allow")]).await;
    assert!(page.returned().contains_key("code"));
}

#[tokio::test]
async fn other_response_types_are_refused__rfc6749_3_1_1() {
    let (server, client) = begin().await;
    assert_eq!(error(&server, &client, &[("response_type", "")]).await, "invalid_request");
    for unknown in ["token", "none", "CODE", "code ", "password"] {
        assert_eq!(
            error(&server, &client, &[("response_type", unknown)]).await,
            "unsupported_response_type",
            "{unknown}"
        );
    }
    // Nobody registered it for these; the answer stands where tokens would have stood.
    for other in ["id_token", "code token", "code id_token", "token id_token"] {
        let page = Browser::new(&server).get(&authorize(&server, &client, &[("response_type", other)])).await;
        assert!(page.location().unwrap().starts_with(&format!("{CALLBACK}#")), "{other}");
        assert_eq!(page.returned()["error"], "unauthorized_client", "{other}");
    }
}

#[tokio::test]
async fn other_response_modes_are_refused() {
    let (server, client) = begin().await;
    for mode in ["jwt", "query.jwt", "web_message", "QUERY"] {
        assert_eq!(error(&server, &client, &[("response_mode", mode)]).await, "invalid_request", "{mode}");
    }
    assert_eq!(error(&server, &client, &[("response_mode", "query"), ("prompt", "none")]).await, "login_required");
}

#[tokio::test]
async fn request_objects_that_prove_nothing_are_refused__oidc_core_6_1() {
    let (server, client) = begin().await;
    assert_eq!(error(&server, &client, &[("request", "e30.e30.")]).await, "invalid_request_object");
    assert_eq!(error(&server, &client, &[("request_uri", "https://evil.test/r")]).await, "invalid_request_uri");
    assert_eq!(error(&server, &client, &[("registration", "{}")]).await, "registration_not_supported");
}

#[tokio::test]
async fn a_resource_that_is_not_known_is_refused__rfc8707_2() {
    let (server, client) = begin().await;
    assert_eq!(error(&server, &client, &[("resource", "https://api.example.com")]).await, "invalid_target");
    let own = [("resource", server.issuer.as_str()), ("prompt", "none")];
    assert_eq!(error(&server, &client, &own).await, "login_required");
    let url = format!("{}&resource=https%3A%2F%2Fb.example", authorize(&server, &client, &own));
    assert_eq!(Browser::new(&server).get(&url).await.redirected_error(&server.issuer), "invalid_target");
}

#[tokio::test]
async fn a_client_without_the_grant_may_not_ask__rfc6749_4_1_2_1() {
    let (server, client) = begin().await;
    server.alter(&client, client::Column::GrantTypes, serde_json::json!(["client_credentials"])).await;
    assert_eq!(error(&server, &client, &[]).await, "unauthorized_client");
}

#[tokio::test]
async fn scopes_are_an_allow_list_of_the_client__rfc6749_3_3() {
    let server = Server::start().await;
    server.person().await;
    let client = server
        .client_with(|c| {
            c.scopes = entity::Scopes::of(["openid", "profile"]);
            c.first_party = true;
        })
        .await;
    for bad in ["a\"b", "öpenid", "a\\b", "a\tb"] {
        assert_eq!(error(&server, &client, &[("scope", bad)]).await, "invalid_scope", "{bad}");
    }
    assert_eq!(error(&server, &client, &[("scope", "email phone")]).await, "invalid_scope");
    let code = rp::code(&server, &client, &[("scope", "email profile openid unknown")]).await;
    let answer = rp::redeem(&server, &client, &code).await;
    assert_eq!(answer.text_of("scope"), "openid profile", "the answer says what remained");
}

#[tokio::test]
async fn state_comes_back_as_it_was_up_to_4_kib() {
    let (server, client) = begin().await;
    let odd = "ünï\u{1F600} \"'<>&=+%20%00\r\n\t/?#;,\\{}|^`~\u{202E}";
    let mut browser = Browser::new(&server);
    for state in [odd.to_owned(), "a".repeat(128), "x".repeat(4_096)] {
        let page = browser.get(&authorize(&server, &client, &[("state", &state), ("prompt", "none")])).await;
        assert_eq!(page.returned()["state"], state);
        assert!(page.location().unwrap().is_ascii());
    }
    let page = browser.get(&authorize(&server, &client, &[("state", &"x".repeat(4_097))])).await;
    assert_eq!(page.redirected_error(&server.issuer), "invalid_request");
    assert!(!page.returned().contains_key("state"));
    let page = browser.get(&authorize(&server, &client, &[("state", ""), ("prompt", "none")])).await;
    assert!(!page.returned().contains_key("state"));
    let page = browser.follow(&authorize(&server, &client, &[("state", odd)])).await;
    let page = browser.sign_in(&page).await;
    let page = browser.answer(&page, &[("decision", "allow")]).await;
    assert_eq!(page.returned()["state"], odd);
}

#[tokio::test]
async fn a_nonce_is_echoed_byte_for_byte_and_has_a_limit__oidc_core_3_1_3_6() {
    let (server, client) = begin().await;
    let nonce = "ä\"<&\u{1F600}".repeat(50);
    let code = rp::code(&server, &client, &[("nonce", &nonce)]).await;
    assert_eq!(id_claims(&server, &client, &code).await["nonce"], nonce);
    let code = rp::code(&server, &client, &[("nonce", "")]).await;
    assert!(id_claims(&server, &client, &code).await.get("nonce").is_none());
    assert_eq!(error(&server, &client, &[("nonce", &"n".repeat(1_001))]).await, "invalid_request");
}

// PKCE

#[tokio::test]
async fn pkce_is_demanded_of_public_clients_and_of_those_that_must__rfc9700_2_1_1() {
    let server = Server::start().await;
    let public = server.client_with(|c| c.token_endpoint_auth_method = ClientAuth::None).await;
    let required = server.client().await;
    let optional = server.client_with(|c| c.pkce = PkceRule::Optional).await;
    let without = [("code_challenge", ""), ("code_challenge_method", ""), ("prompt", "none")];
    for client in [&public, &required] {
        assert_eq!(error(&server, client, &without).await, "invalid_request");
    }
    assert_eq!(error(&server, &optional, &without).await, "login_required");
}

#[tokio::test]
async fn only_s256_is_a_challenge__rfc7636_4_3() {
    let server = Server::start().await;
    let client = server.client_with(|c| c.pkce = PkceRule::Optional).await;
    for method in ["plain", "", "s256", "S512"] {
        assert_eq!(
            error(&server, &client, &[("code_challenge_method", method)]).await,
            "invalid_request",
            "{method:?}"
        );
    }
    assert_eq!(error(&server, &client, &[("code_challenge", "")]).await, "invalid_request", "a method alone");
    for challenge in ["a".repeat(42), "a".repeat(44), "a".repeat(128), format!("{}=", "a".repeat(42)), "a+/".repeat(15)]
    {
        assert_eq!(error(&server, &client, &[("code_challenge", &challenge)]).await, "invalid_request", "{challenge}");
    }
}

// prompt, max_age, hints

#[tokio::test]
async fn prompt_has_known_values_and_none_stands_alone__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    for bad in ["none login", "login none", "none consent", "create", "NONE", "login,consent"] {
        assert_eq!(error(&server, &client, &[("prompt", bad)]).await, "invalid_request", "{bad}");
    }
}

#[tokio::test]
async fn prompt_none_shows_no_page_and_starts_nothing__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let none = authorize(&server, &client, &[("prompt", "none")]);
    assert_eq!(browser.get(&none).await.redirected_error(&server.issuer), "login_required");
    assert!(browser.session().is_none() && server.flows().await.is_empty());
    let mut browser = Browser::signed_in(&server).await;
    let before = server.flows().await.len();
    assert_eq!(browser.get(&none).await.redirected_error(&server.issuer), "consent_required");
    assert_eq!(server.flows().await.len(), before);
    let first = rp::code_in(&server, &client, &mut browser, &[]).await;
    let page = browser.get(&none).await;
    let second = page.returned()["code"].clone();
    let (first, second) = (id_claims(&server, &client, &first).await, id_claims(&server, &client, &second).await);
    assert_eq!((&first["sub"], &first["auth_time"]), (&second["sub"], &second["auth_time"]));
}

#[tokio::test]
async fn prompt_login_asks_for_proof_again_and_tells_the_new_time__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let first = rp::code_in(&server, &client, &mut browser, &[]).await;
    let first = id_claims(&server, &client, &first).await;
    server.clock.advance(Duration::from_secs(5));
    let page = browser.follow(&authorize(&server, &client, &[("prompt", "login")])).await;
    assert!(shows_sign_in(&page));
    // A wrong password is no proof, and the old session is none either.
    let wrong = browser.answer(&page, &[("identifier", "ada@example.com"), ("password", "wrong wrong wrong")]).await;
    assert_eq!(wrong.status, 422);
    let again = browser.get(&page.url).await;
    assert!(shows_sign_in(&again));
    let page = browser.sign_in(&again).await;
    let second = id_claims(&server, &client, &page.returned()["code"]).await;
    assert_eq!(first["sub"], second["sub"]);
    assert!(second["auth_time"].as_i64() >= first["auth_time"].as_i64().map(|t| t + 5));
}

#[tokio::test]
async fn max_age_asks_for_proof_when_it_is_older__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let first = rp::code_in(&server, &client, &mut browser, &[("max_age", "15000")]).await;
    let first = id_claims(&server, &client, &first).await;
    server.clock.advance(Duration::from_secs(3));
    let page = browser.get(&authorize(&server, &client, &[("max_age", "10000")])).await;
    let second = id_claims(&server, &client, &page.returned()["code"]).await;
    assert_eq!(first["auth_time"], second["auth_time"]);
    let none = [("max_age", "1"), ("prompt", "none")];
    assert_eq!(
        browser.get(&authorize(&server, &client, &none)).await.redirected_error(&server.issuer),
        "login_required"
    );
    for age in ["1", "0"] {
        let page = browser.follow(&authorize(&server, &client, &[("max_age", age)])).await;
        assert!(shows_sign_in(&page), "max_age={age}");
        let page = browser.sign_in(&page).await;
        let third = id_claims(&server, &client, &page.returned()["code"]).await;
        assert!(third["auth_time"].as_i64() > second["auth_time"].as_i64(), "max_age={age}");
    }
    for bad in ["-1", "1.5", "x", "1e3", "+5", "0x1", " 1", "99999999999999999999"] {
        assert_eq!(error(&server, &client, &[("max_age", bad)]).await, "invalid_request", "{bad:?}");
    }
}

/// A browser with both people signed in, Bob last.
async fn both(server: &Server, client: &Registered) -> Browser {
    server.person_named(OTHER, "Bob", Role::User).await;
    let mut browser = Browser::signed_in(server).await;
    let page = browser.follow(&authorize(server, client, &[("prompt", "select_account")])).await;
    assert!(page.has("account", Some("other")), "{}", page.body);
    let page = browser.answer(&page, &[("account", "other")]).await;
    assert!(shows_sign_in(&page));
    let page = browser.sign_in_as(&page, OTHER).await;
    let page = browser.answer(&page, &[("decision", "allow")]).await;
    assert!(page.returned().contains_key("code"));
    browser
}

/// The values of the buttons that choose an account.
fn accounts(page: &crate::support::browser::Page) -> Vec<String> {
    let buttons = page.body.split("name=\"account\" value=\"").skip(1);
    buttons.map(|b| b.split('"').next().unwrap().to_owned()).filter(|v| v != "other").collect()
}

#[tokio::test]
async fn select_account_lets_a_person_pick_among_those_signed_in__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    let mut browser = both(&server, &client).await;
    let none = authorize(&server, &client, &[("prompt", "none")]);
    assert_eq!(browser.get(&none).await.redirected_error(&server.issuer), "account_selection_required");
    let mut subs = vec![];
    for at in [0, 1] {
        let page = browser.follow(&authorize(&server, &client, &[("prompt", "select_account")])).await;
        let choices = accounts(&page);
        assert_eq!(choices.len(), 2);
        let mut page = browser.answer(&page, &[("account", &choices[at])]).await;
        if shows_consent(&page) {
            page = browser.answer(&page, &[("decision", "allow")]).await;
        }
        subs.push(id_claims(&server, &client, &page.returned()["code"]).await["sub"].clone());
    }
    assert_ne!(subs[0], subs[1]);
    // An account that is not among them is no answer.
    let page = browser.follow(&authorize(&server, &client, &[("prompt", "select_account")])).await;
    let stranger = uuid::Uuid::new_v4().to_string();
    let page = browser.answer(&page, &[("account", &stranger)]).await;
    assert_eq!(accounts(&page).len(), 2);
}

#[tokio::test]
async fn an_id_token_hint_selects_and_never_proves__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let code = rp::code_in(&server, &client, &mut browser, &[]).await;
    let hint = rp::redeem(&server, &client, &code).await.text_of("id_token");
    let with = |hint: &str| authorize(&server, &client, &[("prompt", "none"), ("id_token_hint", hint)]);
    assert!(browser.get(&with(&hint)).await.returned().contains_key("code"));
    // Nobody is signed in by it.
    assert_eq!(Browser::new(&server).get(&with(&hint)).await.redirected_error(&server.issuer), "login_required");
    // Expired is as good.
    server.clock.advance(Duration::from_secs(2 * 3600));
    assert!(browser.get(&with(&hint)).await.returned().contains_key("code"));
    // With two people here, it tells which.
    let mut browser = both(&server, &client).await;
    let code = browser.get(&with(&hint)).await.returned()["code"].clone();
    assert_eq!(id_claims(&server, &client, &code).await["sub"], rp::claims(&hint)["sub"]);
}

#[tokio::test]
async fn an_id_token_hint_for_somebody_else_is_never_answered_with_who_is_here__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    server.person_named(OTHER, "Bob", Role::User).await;
    let code = rp::code(&server, &client, &[]).await;
    let ada = rp::redeem(&server, &client, &code).await.text_of("id_token");
    let mut bob = Browser::new(&server);
    let page = bob.follow(&authorize(&server, &client, &[])).await;
    let page = bob.sign_in_as(&page, OTHER).await;
    bob.answer(&page, &[("decision", "allow")]).await;
    let none = [("prompt", "none"), ("id_token_hint", ada.as_str())];
    assert_eq!(bob.get(&authorize(&server, &client, &none)).await.redirected_error(&server.issuer), "login_required");
    let page = bob.follow(&authorize(&server, &client, &[("id_token_hint", &ada)])).await;
    assert!(shows_sign_in(&page) && !page.body.contains("ada@example.com"));
    // Bob cannot go on as himself: the page is for Ada.
    let refused = bob.answer_once(&page, &[("identifier", OTHER), ("password", PASSWORD)]).await;
    assert_eq!(refused.status, 422);
    let page = bob.answer(&page, &[("identifier", EMAIL), ("password", PASSWORD)]).await;
    let code = page.returned()["code"].clone();
    assert_eq!(id_claims(&server, &client, &code).await["sub"], rp::claims(&ada)["sub"]);
}

#[tokio::test]
async fn a_foreign_or_forged_id_token_hint_is_refused__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    let other = server.client().await;
    let foreign = rp::tokens(&server, &other).await.text_of("id_token");
    let own = rp::tokens(&server, &client).await;
    let (hint, access) = (own.text_of("id_token"), own.text_of("access_token"));
    let (head, rest) = hint.split_once('.').unwrap();
    let (body, _) = rest.split_once('.').unwrap();
    let flipped = format!("{}{}", &hint[..hint.len() - 4], if hint.ends_with("AAAA") { "BBBB" } else { "AAAA" });
    let unsigned = format!("eyJhbGciOiJub25lIn0.{body}.");
    for bad in [
        &foreign,
        &access,
        &flipped,
        &unsigned,
        &format!("{head}.{body}."),
        &"x".repeat(20),
        &own.text_of("refresh_token"),
    ] {
        assert_eq!(
            error(&server, &client, &[("id_token_hint", bad), ("prompt", "none")]).await,
            "invalid_request",
            "{bad}"
        );
    }
}

#[tokio::test]
async fn login_hint_is_shown_escaped_and_tells_nothing__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let page =
        browser.follow(&authorize(&server, &client, &[("login_hint", "\"><script>alert(1)</script>{{7*7}}")])).await;
    assert!(shows_sign_in(&page) && !page.body.contains("<script>alert") && page.body.contains("7*7"));
    let mut pages = vec![];
    for hint in ["ada@example.com", "eve@example.com"] {
        let page = browser.follow(&authorize(&server, &client, &[("login_hint", hint)])).await;
        assert!(page.body.contains(&format!("value=\"{hint}\"")));
        let hidden: Vec<_> = page.hidden().into_iter().map(|(_, v)| v).collect();
        pages.push(hidden.iter().fold(page.body.replace(hint, "HINT"), |body, value| body.replace(value, "HIDDEN")));
        pages.last_mut().unwrap().retain(|c| !c.is_ascii_digit());
    }
    let strip = |p: &str| p.split("flow=").next().unwrap().to_owned();
    assert_eq!(strip(&pages[0]), strip(&pages[1]), "known and unknown look alike");
    let long = "h".repeat(5_000);
    let page = browser.follow(&authorize(&server, &client, &[("login_hint", &long)])).await;
    assert!(shows_sign_in(&page) && !page.body.contains(&long[..400]));
}

#[tokio::test]
async fn ui_locales_choose_the_language__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    for (asked, shown) in [("de", "de"), ("fr de-AT en", "de"), ("se", "en"), ("\"><x", "en")] {
        let page = Browser::new(&server).follow(&authorize(&server, &client, &[("ui_locales", asked)])).await;
        assert!(shows_sign_in(&page) && page.body.contains(&format!("<html lang=\"{shown}\"")), "{asked}");
    }
}

#[tokio::test]
async fn acr_values_are_voluntary_and_the_token_tells_what_was__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    for asked in ["1fa", "urn:example:gold 1fa", "1 2"] {
        let code = rp::code(&server, &client, &[("acr_values", asked)]).await;
        let claims = id_claims(&server, &client, &code).await;
        assert_eq!((claims["acr"].as_str(), &claims["amr"]), (Some("1fa"), &serde_json::json!(["pwd"])));
    }
}

// How answers look

#[tokio::test]
async fn every_answer_names_the_issuer_and_is_a_303__rfc9207_2() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let first = browser.get(&authorize(&server, &client, &[])).await;
    assert_eq!(first.status, 303);
    let page = browser.get(&first.location().unwrap()).await;
    let posted = browser.answer_once(&page, &[("identifier", "ada@example.com"), ("password", PASSWORD)]).await;
    assert_eq!(posted.status, 303);
    let page = browser.get(&posted.location().unwrap()).await;
    let posted = browser.answer_once(&page, &[("decision", "allow")]).await;
    assert_eq!((posted.status.as_u16(), &posted.returned()["iss"]), (303, &server.issuer));
    assert_eq!(posted.headers["referrer-policy"], "no-referrer", "RFC 9700 section 4.2.4");
    assert_eq!(posted.headers["cache-control"], "no-store");
    let silent = browser.get(&authorize(&server, &client, &[])).await;
    assert_eq!((silent.status.as_u16(), &silent.returned()["iss"]), (303, &server.issuer));
    let posted = browser.post(&server.url("/oauth2/authorize"), &[("client_id", &client.id)]).await;
    assert_eq!(posted.status, 303);
}

#[tokio::test]
async fn scripts_of_other_sites_get_nothing_of_the_authorization_endpoint__rfc9700_2_6() {
    let server = Server::start().await;
    let client = server.client_with(|c| c.allowed_origins = vec!["https://app.example.com".into()]).await;
    let mut browser = Browser::new(&server);
    let origin = [("origin", "https://app.example.com"), ("access-control-request-method", "GET")];
    let url = authorize(&server, &client, &[("prompt", "none")]);
    for method in [Method::GET, Method::OPTIONS] {
        let page = browser.send_with(method, &url, None, &origin).await;
        assert!(page.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{:?}", page.headers);
    }
}

#[tokio::test]
async fn a_request_may_be_posted__oidc_core_3_1_2_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let challenge = rp::challenge(rp::VERIFIER);
    let form = [
        ("response_type", "code"),
        ("client_id", client.id.as_str()),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("state", "ä &"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    // From the application's own page, on another site.
    let foreign = [("origin", "https://app.example.com"), ("sec-fetch-site", "cross-site")];
    let posted = browser.send_with(Method::POST, &server.url("/oauth2/authorize"), Some(&form), &foreign).await;
    assert_eq!(posted.status, 303);
    let page = browser.follow(&posted.location().unwrap()).await;
    let page = browser.sign_in(&page).await;
    let page = browser.answer(&page, &[("decision", "allow")]).await;
    assert_eq!(page.returned()["state"], "ä &");
}

#[tokio::test]
async fn errors_go_by_themselves_only_to_approved_applications__rfc9700_4_11_2() {
    let (server, client) = begin().await;
    server.alter(&client, client::Column::Approved, false).await;
    let mut browser = Browser::new(&server);
    for changes in [[("prompt", "none")], [("response_type", "nonsense")], [("code_challenge", "")]] {
        let page = browser.get(&authorize(&server, &client, &changes)).await;
        page.is_error_page(400);
        assert!(page.body.replace("<wbr>", "").contains("app.example.com") && page.body.contains("id=\"next\""));
    }
    // Once a person has acted, the answer goes back.
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    let page = browser.answer(&page, &[("decision", "cancel")]).await;
    assert_eq!(page.redirected_error(&server.issuer), "access_denied");
}

// What people decide

#[tokio::test]
async fn cancelling_tells_the_application_so__rfc6749_4_1_2_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    let left = browser.answer(&page, &[("decision", "cancel")]).await;
    assert_eq!(left.redirected_error(&server.issuer), "access_denied");
    assert_eq!(left.returned()["state"], "s t&a=te");
    browser.get(&page.url).await.is_error_page(400);
}

#[tokio::test]
async fn denying_tells_the_application_so_and_is_not_remembered__rfc6749_4_1_2_1() {
    let (server, client) = begin().await;
    let mut browser = Browser::signed_in(&server).await;
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    assert!(shows_consent(&page));
    let page = browser.answer(&page, &[("decision", "deny")]).await;
    assert_eq!(page.redirected_error(&server.issuer), "access_denied");
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    assert!(shows_consent(&page), "asked again");
}

#[tokio::test]
async fn consent_is_remembered_and_asked_for_more_scopes_or_on_demand__oidc_core_3_1_2_4() {
    let (server, client) = begin().await;
    let mut browser = Browser::signed_in(&server).await;
    rp::code_in(&server, &client, &mut browser, &[("scope", "openid profile")]).await;
    for fewer in ["openid profile", "openid", "profile openid"] {
        assert!(browser.get(&authorize(&server, &client, &[("scope", fewer)])).await.returned().contains_key("code"));
    }
    let page = browser.follow(&authorize(&server, &client, &[("scope", "openid profile email")])).await;
    assert!(shows_consent(&page));
    let page = browser.answer(&page, &[("decision", "allow")]).await;
    assert!(page.returned().contains_key("code"));
    let page = browser.follow(&authorize(&server, &client, &[("prompt", "consent"), ("scope", "openid")])).await;
    assert!(shows_consent(&page), "prompt=consent always asks");
    assert_eq!(server.audited("consent.give").await, 2);
}

#[tokio::test]
async fn an_application_that_anyone_can_claim_to_be_is_asked_about_each_time__oauth2_1() {
    let server = Server::start().await;
    server.person().await;
    for uri in ["http://127.0.0.1/cb", "com.example.app:/cb", "http://localhost/cb"] {
        let client = server
            .client_with(|c| {
                c.token_endpoint_auth_method = ClientAuth::None;
                c.redirect_uris = vec![uri.into()];
            })
            .await;
        let mut browser = Browser::signed_in(&server).await;
        for _ in 0..2 {
            let page = browser.follow(&authorize(&server, &client, &[("redirect_uri", uri)])).await;
            assert!(shows_consent(&page), "{uri}");
            browser.answer(&page, &[("decision", "allow")]).await;
        }
        let none = [("redirect_uri", uri), ("prompt", "none")];
        let page = browser.get(&authorize(&server, &client, &none)).await;
        assert_eq!(page.redirected_error(&server.issuer), "consent_required");
    }
}

#[tokio::test]
async fn an_application_of_the_tenants_own_never_asks() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.first_party = true).await;
    let mut browser = Browser::new(&server);
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    assert!(browser.sign_in(&page).await.returned().contains_key("code"));
}

#[tokio::test]
async fn a_body_cannot_change_what_is_granted__cs_03() {
    let (server, client) = begin().await;
    let mut browser = Browser::signed_in(&server).await;
    let page = browser.follow(&authorize(&server, &client, &[("scope", "openid")])).await;
    let more =
        [("decision", "allow"), ("scope", "openid email"), ("client_id", "x"), ("redirect_uri", "https://evil.test")];
    let page = browser.answer(&page, &more).await;
    assert!(page.location().unwrap().starts_with(CALLBACK));
    let answer = rp::redeem(&server, &client, &page.returned()["code"]).await;
    assert_eq!(answer.text_of("scope"), "openid");
}

// One interaction, one browser, once

#[tokio::test]
async fn an_interaction_goes_on_only_in_the_browser_it_was_made_for__st_04() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    let mut fresh = Browser::new(&server);
    fresh.get(&page.url).await.is_error_page(400);
    let mut known = Browser::signed_in(&server).await;
    known.get(&page.url).await.is_error_page(400);
    known.answer(&page, &[("identifier", "ada@example.com"), ("password", PASSWORD)]).await.is_error_page(400);
    known.answer(&page, &[("decision", "cancel")]).await.is_error_page(400);
    assert!(shows_sign_in(&browser.get(&page.url).await), "its own browser goes on");
}

#[tokio::test]
async fn an_interaction_that_ended_or_expired_gives_nothing_more() {
    let (server, client) = begin().await;
    let mut browser = Browser::signed_in(&server).await;
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    assert!(browser.answer(&page, &[("decision", "allow")]).await.returned().contains_key("code"));
    for answer in ["allow", "deny", "cancel"] {
        browser.answer(&page, &[("decision", answer)]).await.is_error_page(400);
    }
    browser.get(&page.url).await.is_error_page(400);
    let page = browser.follow(&authorize(&server, &client, &[("prompt", "consent")])).await;
    server.clock.advance(Duration::from_secs(3601));
    browser.answer(&page, &[("decision", "allow")]).await.is_error_page(400);
}

#[tokio::test]
async fn consent_counts_only_for_the_page_that_it_was_given_on__cs_03() {
    let (server, client) = begin().await;
    server.person_named(OTHER, "Bob", Role::User).await;
    let mut browser = Browser::signed_in(&server).await;
    let stale = browser.follow(&authorize(&server, &client, &[])).await;
    assert!(shows_consent(&stale));
    // In another tab somebody else takes over.
    let page = browser.get(&format!("{}&other=1", stale.url)).await;
    let page = browser.follow(&page.location().unwrap()).await;
    let fresh = browser.sign_in_as(&page, OTHER).await;
    assert!(shows_consent(&fresh) && fresh.body.contains("Bob"));
    let page = browser.answer(&stale, &[("decision", "allow")]).await;
    assert!(shows_consent(&page) && page.body.contains("Bob"), "the old page's answer did not count");
    let page = browser.answer(&page, &[("decision", "allow")]).await;
    assert!(page.returned().contains_key("code"));
}

#[tokio::test]
async fn a_consent_that_is_sent_many_times_at_once_gives_one_code() {
    let (server, client) = begin().await;
    let mut browser = Browser::signed_in(&server).await;
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    let sent = (0..12).map(|_| {
        let (mut browser, page) = (browser.clone(), &page);
        async move { browser.answer_once(page, &[("decision", "allow")]).await }
    });
    let answers = futures_util::future::join_all(sent).await;
    let codes = answers.iter().filter(|a| a.location().is_some_and(|l| l.contains("code="))).count();
    assert_eq!(codes, 1);
    assert!(
        answers.iter().all(|a| a.status.as_u16() < 500),
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_form_counts_only_with_its_own_token_and_from_our_own_page__cs_01() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    let action = page.action();
    let hidden = page.hidden();
    let form = |csrf: Option<&str>| {
        let mut form: Vec<(String, String)> = hidden.iter().filter(|(n, _)| n != "csrf").cloned().collect();
        form.extend(csrf.map(|c| ("csrf".to_owned(), c.to_owned())));
        form.push(("identifier".into(), "ada@example.com".into()));
        form.push(("password".into(), PASSWORD.into()));
        form
    };
    let right = hidden.iter().find(|(n, _)| n == "csrf").unwrap().1.clone();
    let own = server.issuer.as_str();
    type Row<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)], u16);
    let rows: [Row<'_>; 8] = [
        (None, &[("origin", own)], 400),
        (Some("wrong"), &[("origin", own)], 400),
        (Some(&right), &[("origin", "https://evil.test")], 403),
        (Some(&right), &[("origin", "null")], 403),
        (Some(&right), &[("sec-fetch-site", "cross-site")], 403),
        (Some(&right), &[("origin", own), ("sec-fetch-site", "same-site")], 403),
        (Some(&right), &[("origin", &own.replace("http:", "https:"))], 403),
        (Some(&right), &[("origin", "http://localhost")], 403),
    ];
    for (csrf, headers, status) in rows {
        let form = form(csrf);
        let form: Vec<(&str, &str)> = form.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let answer = browser.send_with(Method::POST, &action, Some(&form), headers).await;
        answer.is_error_page(status);
        assert!(browser.session().is_none());
    }
    // The token of another browser's page is none of this one's: nobody is signed in to a stranger's account.
    let mut other = Browser::new(&server);
    let page = other.follow(&authorize(&server, &client, &[])).await;
    let foreign = page.hidden().into_iter().find(|(n, _)| n == "csrf").unwrap().1;
    let form = form(Some(&foreign));
    let form: Vec<(&str, &str)> = form.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    browser.post(&action, &form).await.is_error_page(400);
    assert_eq!(server.live_sessions().await, 0);
}

#[tokio::test]
async fn nobody_signs_in_without_the_cookie_of_the_page__cs_02() {
    let (server, client) = begin().await;
    let mut browser = Browser::new(&server);
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    browser.cookies.clear();
    browser.answer(&page, &[("identifier", "ada@example.com"), ("password", PASSWORD)]).await.is_error_page(400);
    assert_eq!(server.live_sessions().await, 0);
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_at_once_costs_no_row_until_a_person_is_needed() {
    let (server, client) = begin().await;
    for query in ["", "client_id=x", "client_id=x&client_id=x"] {
        Browser::new(&server).get(&authorize_raw(&server, query)).await.is_error_page(400);
    }
    error(&server, &client, &[("prompt", "none")]).await;
    assert!(server.flows().await.is_empty());
    let answer = http().head(authorize(&server, &client, &[("prompt", "none")])).send().await.unwrap();
    assert_eq!(answer.status(), 303);
}
