//! Introspection (RFC 7662): who may ask about what.

use crate::support::browser::http;
use crate::support::rp::{self, answered, introspect, post, post_to};
use crate::support::{Registered, Server};
use entity::{ClientAuth, Scopes};
use serde_json::json;
use std::time::Duration;

async fn begin() -> (Server, Registered) {
    let server = Server::start().await;
    server.person().await;
    let client = server
        .client_with(|c| {
            c.first_party = true;
            c.scopes = keyward::client::standard_scopes().or(&Scopes::of(["api"]));
        })
        .await;
    (server, client)
}

#[tokio::test]
async fn the_owner_hears_of_its_tokens__rfc7662_2_2() {
    let (server, client) = begin().await;
    let answer = rp::tokens(&server, &client).await;
    let access = introspect(&server, &client, &answer.text_of("access_token")).await;
    assert_eq!((access["active"].as_bool(), access["token_type"].as_str()), (Some(true), Some("Bearer")));
    assert_eq!((&access["client_id"], &access["iss"]), (&json!(client.id), &json!(server.issuer)));
    for name in ["sub", "exp", "iat", "jti", "aud", "scope"] {
        assert!(access.get(name).is_some(), "{name}");
    }
    let refresh = introspect(&server, &client, &answer.text_of("refresh_token")).await;
    assert_eq!((refresh["active"].as_bool(), &refresh["sub"]), (Some(true), &access["sub"]));
    assert_eq!(refresh["scope"], answer.text_of("scope"));
    let own = post(&server, "/oauth2/token", &client, &[("grant_type", "client_credentials")]).await;
    assert_eq!(introspect(&server, &client, &own.text_of("access_token")).await["sub"], json!(client.id));
}

#[tokio::test]
async fn others_hear_only_that_it_is_not_active_unless_they_may_inspect__rfc7662_4() {
    let (server, client) = begin().await;
    let other = server.client_with(|c| c.scopes = Scopes::of(["openid", "api"])).await;
    let inspector = server.client().await;
    let answer = rp::tokens(&server, &client).await;
    for token in ["access_token", "refresh_token"].map(|name| answer.text_of(name)) {
        assert_eq!(introspect(&server, &other, &token).await, json!({ "active": false }));
        assert_eq!(introspect(&server, &inspector, &token).await["active"], true);
    }
}

#[tokio::test]
async fn whoever_cannot_keep_a_secret_may_not_ask__rfc7662_2_1() {
    let (server, client) = begin().await;
    let public = server.client_with(|c| c.token_endpoint_auth_method = ClientAuth::None).await;
    let token = rp::tokens(&server, &client).await.text_of("access_token");
    let answer = post(&server, "/oauth2/introspect", &public, &[("token", &token)]).await;
    assert_eq!(answer.error(), "unauthorized_client");
    let answer = post_to(&server.url("/oauth2/introspect"), None, &[("token", &token)]).await;
    assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_client"));
    // A token is no client authentication here.
    let answer =
        answered(http().post(server.url("/oauth2/introspect")).bearer_auth(&token).form(&[("token", &token)])).await;
    assert_eq!(answer.error(), "invalid_client");
    let answer = post(&server, "/oauth2/introspect", &client, &[]).await;
    assert_eq!(answer.error(), "invalid_request");
    let url = format!("{}?token={token}", server.url("/oauth2/introspect"));
    assert_eq!(post_to(&url, Some(&client), &[]).await.error(), "invalid_request", "never in the address");
}

#[tokio::test]
async fn what_is_dead_or_nonsense_is_not_active_and_no_error__rfc7662_2_2() {
    let (server, client) = begin().await;
    let answer = rp::tokens(&server, &client).await;
    let code = rp::code(&server, &client, &[]).await;
    let (access, first) = (answer.text_of("access_token"), answer.text_of("refresh_token"));
    rp::refresh(&server, &client, &first).await;
    let flipped = format!("{}AAAA", &access[..access.len() - 4]);
    let (long, id) = ("a".repeat(5_000), answer.text_of("id_token"));
    for token in [&first, &code, &flipped, &long, &id, "x", "a.b.c", "kw_rt_", "ä", "null"] {
        let answer =
            post(&server, "/oauth2/introspect", &client, &[("token", token), ("token_type_hint", "nonsense")]).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "active": false })), "{token}");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    assert_eq!(introspect(&server, &client, &access).await["active"], true);
    server.clock.advance(Duration::from_secs(901));
    assert_eq!(introspect(&server, &client, &access).await, json!({ "active": false }));
}
