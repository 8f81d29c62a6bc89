//! Two tenants on one server: each works for itself, and nothing of one counts at the other.

use crate::support::browser::http;
use crate::support::rp::{self, Answer, answered, post_to};
use crate::support::{Browser, CALLBACK, Registered, Server};
use entity::{Role, Status};

/// Signs in at an issuer with its own people, and returns the code.
async fn code_at(issuer: &str, client: &Registered) -> (Browser, String) {
    let mut browser = Browser::at(issuer);
    let page = browser.follow(&rp::authorize_at(issuer, client, &[])).await;
    let page = browser.sign_in(&page).await;
    let page = browser.answer(&page, &[("decision", "allow")]).await;
    let code = page.returned()["code"].clone();
    (browser, code)
}

async fn redeem_at(issuer: &str, client: &Registered, code: &str) -> Answer {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", rp::VERIFIER),
    ];
    post_to(&format!("{issuer}/oauth2/token"), Some(client), &form).await
}

#[tokio::test]
async fn a_second_tenant_signs_people_in_on_its_own_path() {
    let server = Server::start().await;
    let second = server.tenant("acme").await;
    server.person_of(second.id, ("ada@example.com", "Ada of Acme"), Role::User).await;
    let client = server.client_of(second.id, |_| {}).await;
    let (_, code) = code_at(&second.issuer, &client).await;
    let tokens = redeem_at(&second.issuer, &client, &code).await;
    let claims = rp::claims(&tokens.text_of("id_token"));
    assert_eq!(claims["iss"], *second.issuer);
    let info =
        answered(http().get(format!("{}/oauth2/userinfo", second.issuer)).bearer_auth(tokens.text_of("access_token")))
            .await;
    assert_eq!(info.json()["name"], "Ada of Acme");
}

#[tokio::test]
async fn nothing_of_one_tenant_counts_at_another__hp_06() {
    let server = Server::start().await;
    let second = server.tenant("acme").await;
    server.person().await;
    server.person_of(second.id, ("ada@example.com", "Ada of Acme"), Role::User).await;
    let (ours, theirs) = (server.client().await, server.client_of(second.id, |_| {}).await);
    let (mut browser, code) = code_at(&server.issuer, &ours).await;
    let there = |path: &str| format!("{}{path}", second.issuer);

    for client in [&ours, &theirs] {
        let refused = redeem_at(&second.issuer, client, &code).await;
        assert!(matches!(refused.status, 400 | 401), "a code, as {}", client.id);
    }
    let tokens = redeem_at(&server.issuer, &ours, &code).await;
    assert_eq!(tokens.status, 200, "and it stays good where it was made");
    let (access, refresh, id) =
        (tokens.text_of("access_token"), tokens.text_of("refresh_token"), tokens.text_of("id_token"));

    let info = answered(http().get(there("/oauth2/userinfo")).bearer_auth(&access)).await;
    assert_eq!((info.status, info.error().as_str()), (401, "invalid_token"));
    for (token, path) in [(&access, "/oauth2/introspect"), (&refresh, "/oauth2/introspect")] {
        let answer = post_to(&there(path), Some(&theirs), &[("token", token)]).await;
        assert_eq!(answer.json()["active"], false);
    }
    let answer = post_to(
        &there("/oauth2/token"),
        Some(&theirs),
        &[("grant_type", "refresh_token"), ("refresh_token", &refresh)],
    )
    .await;
    assert_eq!(answer.error(), "invalid_grant");
    let answer = post_to(&there("/oauth2/token"), Some(&ours), &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.error(), "invalid_client");
    for token in [&access, &refresh] {
        assert_eq!(post_to(&there("/oauth2/revoke"), Some(&theirs), &[("token", token)]).await.status, 200);
    }
    assert_eq!(rp::userinfo(&server, &access).await.status, 200, "a revocation elsewhere changes nothing");

    // The browser is signed in here, with all its cookies, and nobody there.
    let page = browser.follow(&rp::authorize_at(&second.issuer, &theirs, &[("prompt", "none")])).await;
    assert_eq!(page.returned()["error"], "login_required");
    let page = browser.get(&there("/account")).await;
    assert!(page.location().unwrap().ends_with("/t/acme/login"));
    let page = browser.get(&format!("{}?id_token_hint={id}", there("/oauth2/logout"))).await;
    page.is_error_page(400);
    let hinted =
        browser.get(&rp::authorize_at(&second.issuer, &theirs, &[("id_token_hint", &id), ("prompt", "none")])).await;
    assert_eq!(hinted.returned()["error"], "invalid_request");

    // A page of ours is of no use there, nor its form.
    let page = browser.follow(&rp::authorize(&server, &ours, &[("prompt", "login")])).await;
    let handle = page.url.split("flow=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    browser.get(&format!("{}?flow={handle}", there("/login"))).await.is_error_page(400);
    let mut form = page.hidden();
    form.extend([
        ("identifier".into(), "ada@example.com".into()),
        ("password".into(), crate::support::PASSWORD.into()),
    ]);
    let form: Vec<(&str, &str)> = form.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert!(browser.post(&there("/login"), &form).await.status.is_client_error());

    // A set-up link leads to the tenant that it was made for.
    let token = server.setup_url.as_ref().unwrap().split("token=").nth(1).unwrap();
    assert_eq!(browser.get(&format!("{}?token={token}", there("/setup"))).await.status, 410);
}

#[tokio::test]
async fn a_disabled_tenant_answers_nothing_about_anybody() {
    let server = Server::start().await;
    let second = server.tenant("acme").await;
    server.person_of(second.id, ("ada@example.com", "Ada of Acme"), Role::User).await;
    let client = server.client_of(second.id, |_| {}).await;
    let (mut browser, code) = code_at(&second.issuer, &client).await;
    let tokens = redeem_at(&second.issuer, &client, &code).await;
    server.tenant_status(second.id, Status::Disabled).await;
    let there = |path: &str| format!("{}{path}", second.issuer);
    let access = tokens.text_of("access_token");
    assert_eq!(answered(http().get(there("/oauth2/userinfo")).bearer_auth(&access)).await.status, 404);
    let forms: [&[(&str, &str)]; 2] = [
        &[("grant_type", "refresh_token"), ("refresh_token", &tokens.text_of("refresh_token"))],
        &[("grant_type", "client_credentials")],
    ];
    for form in forms {
        assert_eq!(post_to(&there("/oauth2/token"), Some(&client), form).await.status, 404);
    }
    assert_eq!(post_to(&there("/oauth2/introspect"), Some(&client), &[("token", &access)]).await.status, 404);
    browser.get(&there("/account")).await.is_error_page(404);
    browser.get(&rp::authorize_at(&second.issuer, &client, &[])).await.is_error_page(404);
}
