//! The userinfo endpoint: where the token may stand, and what is told.

use crate::support::browser::http;
use crate::support::rp::{self, answered, userinfo};
use crate::support::{Registered, Server};
use serde_json::Value;
use std::time::Duration;

async fn begin() -> (Server, Registered) {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.first_party = true).await;
    (server, client)
}

async fn access(server: &Server, client: &Registered, scope: &str) -> String {
    let code = rp::code(server, client, &[("scope", scope)]).await;
    rp::redeem(server, client, &code).await.text_of("access_token")
}

#[tokio::test]
async fn the_token_stands_in_the_header_or_the_form__rfc6750_2() {
    let (server, client) = begin().await;
    let token = access(&server, &client, "openid").await;
    let url = server.url("/oauth2/userinfo");
    let sub = userinfo(&server, &token).await.json()["sub"].clone();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("{scheme} {token}");
        assert_eq!(answered(http().get(&url).header("authorization", &header)).await.json()["sub"], sub);
        assert_eq!(answered(http().post(&url).header("authorization", &header)).await.json()["sub"], sub);
    }
    let form = answered(http().post(&url).form(&[("access_token", &token)])).await;
    assert_eq!((form.status, &form.json()["sub"]), (200, &sub));
    assert_eq!(form.headers["content-type"], "application/json");
    assert_eq!(form.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn two_places_and_the_address_are_refused__rfc6750_2() {
    let (server, client) = begin().await;
    let token = access(&server, &client, "openid").await;
    let url = server.url("/oauth2/userinfo");
    let both = http().post(&url).bearer_auth(&token).form(&[("access_token", &token)]);
    let query = http().get(format!("{url}?access_token={token}"));
    let all = http().get(format!("{url}?access_token={token}")).bearer_auth(&token);
    let twice = http().get(&url).bearer_auth(&token).header("authorization", format!("Bearer {token}"));
    for request in [both, query, all, twice] {
        let answer = answered(request).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_request"));
        assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("error=\"invalid_request\""));
    }
}

#[tokio::test]
async fn without_a_token_the_challenge_names_no_error__rfc6750_3_1() {
    let server = Server::start().await;
    let url = server.url("/oauth2/userinfo");
    let requests = [http().get(&url), http().post(&url), http().get(&url).header("authorization", "Basic YTpi")];
    for request in requests {
        let answer = answered(request).await;
        let realm = format!("Bearer realm=\"{}\"", server.issuer);
        assert_eq!((answer.status, answer.headers["www-authenticate"].to_str().unwrap()), (401, realm.as_str()));
        assert!(answer.text.is_empty(), "no error information: {}", answer.text);
    }
    let answer = userinfo(&server, "x.y.z").await;
    assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_token"));
    assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""));
}

#[tokio::test]
async fn a_token_without_openid_has_too_little_scope__rfc6750_3_1() {
    let (server, client) = begin().await;
    let own = rp::post(&server, "/oauth2/token", &client, &[("grant_type", "client_credentials")]).await;
    for token in [access(&server, &client, "profile").await, own.text_of("access_token")] {
        let answer = userinfo(&server, &token).await;
        assert_eq!((answer.status, answer.error().as_str()), (403, "insufficient_scope"));
        assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("insufficient_scope"));
    }
}

#[tokio::test]
async fn every_standard_claim_is_told_in_its_type__oidc_core_5_1() {
    let (server, client) = begin().await;
    let token = access(&server, &client, "openid profile email address phone").await;
    let told = userinfo(&server, &token).await.json();
    let texts = [
        "sub",
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "email",
        "phone_number",
    ];
    for name in texts {
        assert!(told[name].as_str().is_some_and(|t| !t.trim().is_empty() && t != "null"), "{name}");
    }
    assert!(told["email_verified"] == Value::Bool(true) && told["phone_number_verified"] == Value::Bool(false));
    assert!(told["updated_at"].as_i64().is_some_and(|t| (1_600_000_000..10_000_000_000).contains(&t)), "seconds");
    let address = told["address"].as_object().unwrap();
    assert!(!address.is_empty() && address.values().all(|v| v.as_str().is_some_and(|t| !t.is_empty())));
    assert_eq!(told.as_object().unwrap().len(), texts.len() + 4, "nothing else: {told}");
}

#[tokio::test]
async fn each_scope_tells_its_own_claims__oidc_core_5_4() {
    let (server, client) = begin().await;
    for (scope, some, none) in [
        ("openid", "sub", "name"),
        ("openid profile", "birthdate", "email"),
        ("email openid", "email_verified", "name"),
        ("openid phone", "phone_number", "address"),
        ("openid address", "address", "phone_number"),
    ] {
        let token = access(&server, &client, scope).await;
        let told = userinfo(&server, &token).await.json();
        assert!(told.get(some).is_some() && told.get(none).is_none(), "{scope}: {told}");
        let id = rp::claims(
            &rp::redeem(&server, &client, &rp::code(&server, &client, &[("scope", scope)]).await)
                .await
                .text_of("id_token"),
        );
        assert_eq!(id["sub"], told["sub"]);
        assert!(
            ["name", "email", "phone_number", "address"].iter().all(|n| id.get(n).is_none()),
            "not in the ID token"
        );
    }
}

#[tokio::test]
async fn what_a_person_did_not_say_is_left_out__oidc_core_5_3_2() {
    let server = Server::start().await;
    let client = server.client_with(|c| c.first_party = true).await;
    let person = keyward::account::NewPerson {
        name: "Ada".into(),
        email: Some((
            keyward::account::Identifier::email(crate::support::EMAIL).unwrap(),
            crate::support::EMAIL.into(),
        )),
        email_verified: false,
        username: None,
        phone: None,
        phc: Some(server.app.passwords.hash(crate::support::PASSWORD).await.unwrap()),
        role: entity::Role::User,
        profile: Default::default(),
    };
    let (tenant, now) = (server.tenant, server.now());
    let made = server.app.db().write(async move |tx| keyward::account::create(tx, tenant, &person, now).await).await;
    assert!(made.unwrap().is_ok());
    let token = access(&server, &client, "openid profile email address phone").await;
    let told = userinfo(&server, &token).await.json();
    let names: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(["sub", "name", "updated_at", "email", "email_verified"].iter().all(|n| names.contains(n)));
    assert_eq!(told["email_verified"], false);
}

#[tokio::test]
async fn only_a_live_access_token_of_ours_is_taken__rfc9068_4() {
    let (server, client) = begin().await;
    let answer = rp::tokens(&server, &client).await;
    let access = answer.text_of("access_token");
    let flipped = format!("{}{}", &access[..access.len() - 4], if access.ends_with("AAAA") { "BBBB" } else { "AAAA" });
    for other in
        [answer.text_of("id_token"), answer.text_of("refresh_token"), flipped, format!("{access}."), "x".repeat(20_000)]
    {
        assert_eq!(userinfo(&server, &other).await.error(), "invalid_token");
    }
    server.clock.advance(Duration::from_secs(901));
    assert_eq!(userinfo(&server, &access).await.error(), "invalid_token", "expired");
}
