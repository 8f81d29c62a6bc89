//! Revocation (RFC 7009).

use crate::support::rp::{self, post, post_to, refresh, userinfo};
use crate::support::{Registered, Server};
use entity::ClientAuth;
use serde_json::json;

async fn begin() -> (Server, Registered) {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.first_party = true).await;
    (server, client)
}

async fn revoke(server: &Server, client: &Registered, token: &str) -> u16 {
    post(server, "/oauth2/revoke", client, &[("token", token)]).await.status
}

#[tokio::test]
async fn a_refresh_token_takes_its_access_tokens_with_it__rfc7009_2_1() {
    let (server, client) = begin().await;
    let answer = rp::tokens(&server, &client).await;
    let next = refresh(&server, &client, &answer.text_of("refresh_token")).await;
    assert_eq!(revoke(&server, &client, &next.text_of("refresh_token")).await, 200);
    for access in [answer.text_of("access_token"), next.text_of("access_token")] {
        assert_eq!(userinfo(&server, &access).await.error(), "invalid_token");
        assert_eq!(rp::introspect(&server, &client, &access).await, json!({ "active": false }));
    }
    assert_eq!(refresh(&server, &client, &next.text_of("refresh_token")).await.error(), "invalid_grant");
    assert_eq!(revoke(&server, &client, &next.text_of("refresh_token")).await, 200, "again");
    assert_eq!(server.audited("token.revoke").await, 1);
}

#[tokio::test]
async fn an_old_refresh_token_revokes_its_line_too__rfc7009_2_1() {
    let (server, client) = begin().await;
    let first = rp::tokens(&server, &client).await.text_of("refresh_token");
    let second = refresh(&server, &client, &first).await.text_of("refresh_token");
    assert_eq!(revoke(&server, &client, &first).await, 200);
    assert_eq!(refresh(&server, &client, &second).await.error(), "invalid_grant");
}

#[tokio::test]
async fn an_access_token_goes_alone__rfc7009_2_1() {
    let (server, client) = begin().await;
    let answer = rp::tokens(&server, &client).await;
    let access = answer.text_of("access_token");
    assert_eq!(revoke(&server, &client, &access).await, 200);
    assert_eq!(userinfo(&server, &access).await.error(), "invalid_token");
    assert_eq!(revoke(&server, &client, &access).await, 200, "again");
    assert_eq!(refresh(&server, &client, &answer.text_of("refresh_token")).await.status, 200);
    let own = post(&server, "/oauth2/token", &client, &[("grant_type", "client_credentials")]).await;
    let own = own.text_of("access_token");
    assert_eq!(rp::introspect(&server, &client, &own).await["active"], true);
    assert_eq!(revoke(&server, &client, &own).await, 200);
    assert_eq!(rp::introspect(&server, &client, &own).await, json!({ "active": false }));
}

#[tokio::test]
async fn a_foreign_or_unknown_token_changes_nothing_and_is_answered_alike__rfc7009_2_2() {
    let (server, client) = begin().await;
    let other = server.client().await;
    let answer = rp::tokens(&server, &client).await;
    let (access, token) = (answer.text_of("access_token"), answer.text_of("refresh_token"));
    for strange in [&access, &token, "x", "kw_rt_x", "a.b.c", &answer.text_of("id_token")] {
        assert_eq!(revoke(&server, &other, strange).await, 200, "{strange}");
    }
    assert_eq!(userinfo(&server, &access).await.status, 200);
    assert_eq!(refresh(&server, &client, &token).await.status, 200);
}

#[tokio::test]
async fn the_client_says_who_it_is__rfc7009_2_1() {
    let (server, client) = begin().await;
    let token = rp::tokens(&server, &client).await.text_of("refresh_token");
    let url = server.url("/oauth2/revoke");
    assert_eq!(post_to(&url, None, &[("token", &token)]).await.error(), "invalid_client");
    let guess = Registered { secret: Some("kw_cs_guess".into()), ..client.clone() };
    assert_eq!(post_to(&url, Some(&guess), &[("token", &token)]).await.status, 401);
    assert_eq!(post_to(&url, Some(&client), &[]).await.error(), "invalid_request");
    assert_eq!(post_to(&format!("{url}?token={token}"), Some(&client), &[]).await.error(), "invalid_request");
    assert_eq!(refresh(&server, &client, &token).await.status, 200);
    let public = server.client_with(|c| c.token_endpoint_auth_method = ClientAuth::None).await;
    let token = rp::tokens(&server, &public).await.text_of("refresh_token");
    assert_eq!(revoke(&server, &public, &token).await, 200);
    assert_eq!(refresh(&server, &public, &token).await.error(), "invalid_grant");
}

#[tokio::test]
async fn what_could_not_be_written_is_never_answered_with_200__rfc7009_2_2_1() {
    for name in ["access_token", "refresh_token"] {
        let (server, client) = begin().await;
        let token = rp::tokens(&server, &client).await.text_of(name);
        server.fail_next_commit().await;
        let answer = post(&server, "/oauth2/revoke", &client, &[("token", &token)]).await;
        assert_eq!((answer.status, answer.error().as_str()), (503, "temporarily_unavailable"));
        assert!(answer.headers.contains_key("retry-after"));
    }
}
