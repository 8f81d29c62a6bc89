//! Refresh tokens: a line of which the newest lives.

use crate::support::rp::{self, Answer, post, refresh, userinfo};
use crate::support::{Browser, Registered, Server};
use entity::{ClientAuth, Scopes, Status, UserId, client};
use futures_util::future::join_all;
use std::time::Duration;

async fn begin() -> (Server, Registered, UserId) {
    let server = Server::start().await;
    let user = server.person().await;
    let client = server.client_with(|c| c.first_party = true).await;
    (server, client, user)
}

fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.text_of("refresh_token")
}

async fn dead(server: &Server, client: &Registered, token: &str) {
    let answer = refresh(server, client, token).await;
    assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_grant"));
}

#[tokio::test]
async fn each_use_gives_a_successor__rfc9700_4_14_2() {
    let (server, client, _) = begin().await;
    let mut current = token(&rp::tokens(&server, &client).await);
    let mut seen = vec![current.clone()];
    for _ in 0..3 {
        current = token(&refresh(&server, &client, &current).await);
        assert!(!seen.contains(&current));
        seen.push(current.clone());
    }
}

#[tokio::test]
async fn a_repeat_within_the_grace_gets_the_same_successor__rt_05() {
    let (server, client, _) = begin().await;
    let first = token(&rp::tokens(&server, &client).await);
    let second = token(&refresh(&server, &client, &first).await);
    server.clock.advance(Duration::from_secs(9));
    assert_eq!(token(&refresh(&server, &client, &first).await), second);
    let third = token(&refresh(&server, &client, &second).await);
    assert_ne!(third, second);
    assert_eq!(server.audited("token.reuse").await, 0);
}

#[tokio::test]
async fn a_late_repeat_revokes_the_whole_line__rfc9700_4_14_2() {
    let (server, client, _) = begin().await;
    let answer = rp::tokens(&server, &client).await;
    let first = token(&answer);
    let next = refresh(&server, &client, &first).await;
    server.clock.advance(Duration::from_secs(11));
    dead(&server, &client, &first).await;
    dead(&server, &client, &token(&next)).await;
    for access in [answer.text_of("access_token"), next.text_of("access_token")] {
        assert_eq!(userinfo(&server, &access).await.error(), "invalid_token");
    }
    assert_eq!(server.audited("token.reuse").await, 1);
}

#[tokio::test]
async fn a_grandparent_revokes_the_line_even_within_the_grace__rt_05() {
    let (server, client, _) = begin().await;
    let first = token(&rp::tokens(&server, &client).await);
    let second = token(&refresh(&server, &client, &first).await);
    let third = token(&refresh(&server, &client, &second).await);
    dead(&server, &client, &first).await;
    dead(&server, &client, &third).await;
    assert_eq!(server.audited("token.reuse").await, 1);
}

#[tokio::test]
async fn sixteen_at_once_make_one_line__rt_03() {
    let (server, client, _) = begin().await;
    let first = token(&rp::tokens(&server, &client).await);
    let answers = join_all((0..16).map(|_| refresh(&server, &client, &first))).await;
    let mut next: Vec<String> = answers.iter().map(token).collect();
    next.dedup();
    assert_eq!(next.len(), 1, "everybody has the same successor");
    token(&refresh(&server, &client, &next[0]).await);
    assert_eq!(server.grants().await[0].refresh_number, 3);
}

#[tokio::test]
async fn another_client_is_refused_and_takes_nothing_from_the_owner__rt_01() {
    let (server, client, _) = begin().await;
    let other = server.client().await;
    let public = server.client_with(|c| c.token_endpoint_auth_method = ClientAuth::None).await;
    let first = token(&rp::tokens(&server, &client).await);
    for thief in [&other, &public, &Registered { secret: None, ..client.clone() }] {
        assert_ne!(refresh(&server, thief, &first).await.status, 200);
    }
    token(&refresh(&server, &client, &first).await);
}

#[tokio::test]
async fn scope_may_narrow_for_an_access_token_and_never_widens__rfc6749_6() {
    let (server, client, _) = begin().await;
    let code = rp::code(&server, &client, &[("scope", "openid profile email offline_access")]).await;
    let first = token(&rp::redeem(&server, &client, &code).await);
    let with = async |token: &str, scope: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        post(&server, "/oauth2/token", &client, &form).await
    };
    for beyond in ["openid phone", "openid profile email offline_access api", "api", "a\"b"] {
        assert_eq!(with(&first, beyond).await.error(), "invalid_scope", "{beyond}");
    }
    let narrow = with(&first, "openid email").await;
    assert_eq!(narrow.text_of("scope"), "email openid");
    let info = userinfo(&server, &narrow.text_of("access_token")).await.json();
    assert!(info.get("email").is_some() && info.get("name").is_none());
    let wide = refresh(&server, &client, &token(&narrow)).await;
    assert_eq!(wide.text_of("scope"), "email offline_access openid profile", "the line keeps what was granted");
    let without = with(&token(&wide), "email").await;
    assert!(without.json().get("id_token").is_none());
}

#[tokio::test]
async fn it_dies_unused_after_the_idle_time_and_in_any_case_at_the_end__rt_08() {
    let (server, client, _) = begin().await;
    let day = Duration::from_secs(86_400);
    let idle = token(&rp::tokens(&server, &client).await);
    let mut busy = token(&rp::tokens(&server, &client).await);
    for _ in 0..6 {
        server.clock.advance(day * 29);
        busy = token(&refresh(&server, &client, &busy).await);
    }
    dead(&server, &client, &idle).await;
    server.clock.advance(day * 6 + Duration::from_secs(1));
    dead(&server, &client, &busy).await;
}

#[tokio::test]
async fn it_dies_with_its_person_and_stays_dead__rt_09() {
    let (server, client, user) = begin().await;
    let answer = rp::tokens(&server, &client).await;
    server.person_status(user, Status::Disabled).await;
    dead(&server, &client, &token(&answer)).await;
    assert_eq!(userinfo(&server, &answer.text_of("access_token")).await.error(), "invalid_token");
    server.clock.advance(Duration::from_secs(2));
    server.person_status(user, Status::Active).await;
    dead(&server, &client, &token(&answer)).await;
    assert_eq!(userinfo(&server, &answer.text_of("access_token")).await.error(), "invalid_token");
    token(&rp::tokens(&server, &client).await);
}

#[tokio::test]
async fn it_dies_with_its_client__rt_09() {
    let (server, client, _) = begin().await;
    let answer = rp::tokens(&server, &client).await;
    server.client_status(&client, Status::Disabled).await;
    assert_eq!(refresh(&server, &client, &token(&answer)).await.error(), "invalid_client");
    assert_eq!(userinfo(&server, &answer.text_of("access_token")).await.error(), "invalid_token");
}

#[tokio::test]
async fn signing_out_ends_what_is_not_offline__oidc_core_11() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.first_party = true).await;
    let mut browser = Browser::signed_in(&server).await;
    let code = rp::code_in(&server, &client, &mut browser, &[("scope", "openid offline_access")]).await;
    let offline = rp::redeem(&server, &client, &code).await;
    let code = rp::code_in(&server, &client, &mut browser, &[("scope", "api")]).await;
    let bound = rp::redeem(&server, &client, &code).await;
    let code = rp::code_in(&server, &client, &mut browser, &[("scope", "openid")]).await;
    let access = rp::redeem(&server, &client, &code).await;
    assert!(access.json().get("refresh_token").is_none(), "without offline_access");
    let page = browser.get("/account").await;
    let csrf = page.hidden().into_iter().find(|(n, _)| n == "csrf").unwrap().1;
    browser.post("/signout", &[("csrf", &csrf)]).await;
    dead(&server, &client, &token(&bound)).await;
    assert_eq!(userinfo(&server, &access.text_of("access_token")).await.error(), "invalid_token");
    token(&refresh(&server, &client, &token(&offline)).await);
}

#[tokio::test]
async fn nothing_near_it_matches__rt_13() {
    let (server, client, _) = begin().await;
    let first = token(&rp::tokens(&server, &client).await);
    let swapped: String = first
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let last = if first.ends_with('A') { 'B' } else { 'A' };
    let near = [
        first[..first.len() - 1].to_owned(),
        format!("{first}A"),
        format!("{first} "),
        format!(" {first}"),
        swapped,
        first.to_lowercase(),
        format!("{}{last}", &first[..first.len() - 1]),
        first.replacen("kw_rt_", "kw_ac_", 1),
        format!("{first}="),
    ];
    for near in near {
        dead(&server, &client, &near).await;
    }
    token(&refresh(&server, &client, &first).await);
}

#[tokio::test]
async fn a_refreshed_id_token_is_about_the_same_sign_in__oidc_core_12_2() {
    let (server, client, _) = begin().await;
    let answer = rp::tokens(&server, &client).await;
    let before = rp::claims(&answer.text_of("id_token"));
    server.clock.advance(Duration::from_secs(100));
    let again = refresh(&server, &client, &token(&answer)).await;
    let after = rp::claims(&again.text_of("id_token"));
    for name in ["iss", "sub", "aud", "auth_time", "acr", "amr", "sid"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    assert!(after.get("nonce").is_none() && before.get("nonce").is_some());
    assert!(after["iat"].as_i64() > before["iat"].as_i64());
    assert_eq!(again.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn it_dies_when_the_client_may_no_longer_work_offline__rt_11() {
    let (server, client, _) = begin().await;
    let first = token(&rp::tokens(&server, &client).await);
    server.alter(&client, client::Column::Scopes, serde_json::json!(["openid", "profile"])).await;
    dead(&server, &client, &first).await;
}

#[tokio::test]
async fn a_scope_that_the_client_lost_does_not_come_back__rt_09() {
    let (server, client, _) = begin().await;
    let first = token(&rp::tokens(&server, &client).await);
    server.alter(&client, client::Column::Scopes, serde_json::json!(["openid", "offline_access"])).await;
    let answer = refresh(&server, &client, &first).await;
    assert_eq!(answer.text_of("scope"), "offline_access openid");
    assert_eq!(Scopes::parse(&answer.text_of("scope")).unwrap(), Scopes::of(["openid", "offline_access"]));
}

#[tokio::test]
async fn a_failed_commit_neither_spends_nor_gives__st_09() {
    let (server, client, _) = begin().await;
    let first = token(&rp::tokens(&server, &client).await);
    server.fail_next_commit().await;
    let answer = refresh(&server, &client, &first).await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "temporarily_unavailable"));
}

#[tokio::test]
async fn over_two_nodes_it_makes_one_line__rt_06() {
    let (server, client, _) = begin().await;
    if server.on_a_file() {
        return;
    }
    let second = server.second().await;
    let first = token(&rp::tokens(&server, &client).await);
    let form = [("grant_type", "refresh_token"), ("refresh_token", first.as_str())];
    let host = server.issuer.trim_start_matches("http://");
    let there = crate::support::browser::http()
        .post(format!("http://127.0.0.1:{}/oauth2/token", second.port))
        .header("host", host)
        .basic_auth(&client.id, client.secret.as_ref())
        .form(&form);
    let (here, there) = tokio::join!(refresh(&server, &client, &first), rp::answered(there));
    assert_eq!(token(&here), token(&there));
}
