//! What strangers, other sites and late clocks must not be able to do. Each test was an attack that worked.

use crate::support::browser::http;
use crate::support::rp::{self, answered, authorize, post_to};
use crate::support::{Browser, CALLBACK, EMAIL, PASSWORD, Registered, Server};
use entity::{CacheKind, ClientAuth, Role, SigningAlg, Status, client, revision, throttle};
use keyward::keys::{self, Start, State};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PROXY: (&str, &str) = ("KEYWARD__SERVER__TRUSTED_PROXIES", "127.0.0.1");

async fn attempt(server: &Server, from: &str, identifier: &str, password: &str) -> u16 {
    let mut browser = Browser::new(server);
    browser.from = Some(from.to_owned());
    let page = browser.follow("/login").await;
    let fields = [("identifier", identifier), ("password", password), ("decision", "continue")];
    browser.answer_once(&page, &fields).await.status.as_u16()
}

async fn counters(server: &Server) -> u64 {
    throttle::Entity::find().count(server.app.db().read()).await.unwrap()
}

#[tokio::test]
async fn one_address_does_not_use_up_the_attempts_of_an_account__en_06() {
    let server = Server::start_with(&[PROXY, ("KEYWARD__LIMITS__SIGN_IN_PER_ACCOUNT", "10")]).await;
    server.person().await;
    for _ in 0..20 {
        attempt(&server, "198.51.100.1", EMAIL, "wrong").await;
    }
    assert_eq!(attempt(&server, "198.51.100.1", EMAIL, PASSWORD).await, 429);
    assert_eq!(attempt(&server, "203.0.113.5", EMAIL, PASSWORD).await, 303, "elsewhere nothing was used up");
}

#[tokio::test]
async fn names_that_are_made_up_leave_no_rows_once_their_address_is_refused__en_11() {
    let server = Server::start_with(&[("KEYWARD__LIMITS__SIGN_IN_PER_ADDRESS", "5")]).await;
    for n in 0..5 {
        attempt(&server, "127.0.0.1", &format!("nobody{n}@example.com"), "wrong").await;
    }
    let before = counters(&server).await;
    for n in 5..15 {
        assert_eq!(attempt(&server, "127.0.0.1", &format!("nobody{n}@example.com"), "wrong").await, 429);
    }
    assert_eq!(counters(&server).await, before);
}

#[tokio::test]
async fn a_known_browser_signs_in_though_its_address_is_over_the_limit__en_06() {
    let server = Server::start_with(&[("KEYWARD__LIMITS__SIGN_IN_PER_ADDRESS", "5")]).await;
    server.person().await;
    let mut known = Browser::signed_in(&server).await;
    for n in 0..8 {
        attempt(&server, "127.0.0.1", &format!("nobody{n}@example.com"), "wrong").await;
    }
    known.cookies.retain(|name, _| name == "bid");
    let page = known.follow("/login").await;
    let answer = known.answer_once(&page, &[("identifier", EMAIL), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn pages_that_pile_up_throw_out_nobody_who_types_and_give_way_soon__fl_05() {
    let server = Server::start_with(&[("KEYWARD__LIMITS__FLOWS_PER_ADDRESS", "30")]).await;
    server.person().await;
    let mut typing = Browser::new(&server);
    let page = typing.follow("/login").await;
    for _ in 0..25 {
        Browser::new(&server).get("/login").await;
    }
    for _ in 0..10 {
        Browser::new(&server).get("/login").await;
    }
    assert!(server.flows().await.len() <= 30);
    assert_eq!(Browser::new(&server).get("/login").await.status, 429, "so many at once");
    let page = typing.sign_in(&page).await;
    assert!(page.body.contains("Lovelace"), "whoever was typing goes on");
    server.clock.advance(Duration::from_secs(121));
    Browser::signed_in(&server).await;
}

#[tokio::test]
async fn what_expired_is_swept_in_small_writes_of_any_number() {
    let server = Server::start().await;
    let (tenant, now) = (server.tenant, server.now());
    for batch in 0..6_u32 {
        server
            .app
            .db()
            .write(async move |tx| {
                let row = |n: u32| throttle::ActiveModel {
                    tenant_id: sea_orm::ActiveValue::Set(tenant),
                    key: sea_orm::ActiveValue::Set(keyward::seal::sha256(&(batch * 300 + n).to_be_bytes())),
                    count: sea_orm::ActiveValue::Set(1),
                    window_started_at: sea_orm::ActiveValue::Set(now),
                    expires_at: sea_orm::ActiveValue::Set(now),
                };
                throttle::Entity::insert_many((0..300).map(row)).exec_without_returning(tx).await?;
                Ok(())
            })
            .await
            .unwrap();
    }
    let later = now.plus(Duration::from_secs(1));
    // The server's own jobs may have taken some of them.
    assert!(keyward::limit::sweep(server.app.db(), later).await.unwrap() <= 1_800);
    assert_eq!(counters(&server).await, 0);
}

#[tokio::test]
async fn an_application_of_the_tenants_own_that_anyone_can_claim_to_be_is_asked_about__oa_59() {
    let server = Server::start().await;
    server.person().await;
    let uris = ["http://127.0.0.1/cb", "http://localhost:9/cb", "com.example.app:/cb", "https://app.localhost/cb"];
    let public = server
        .client_with(|c| {
            c.token_endpoint_auth_method = ClientAuth::None;
            c.first_party = true;
            c.redirect_uris = uris.map(str::to_owned).to_vec();
        })
        .await;
    let local = server
        .client_with(|c| {
            c.first_party = true;
            c.redirect_uris = vec!["http://localhost/cb".into(), "https://localhost/cb".into()];
        })
        .await;
    let mut browser = Browser::signed_in(&server).await;
    for (client, uri) in [
        (&public, "http://127.0.0.1:4444/cb"),
        (&public, uris[1]),
        (&public, uris[2]),
        (&public, uris[3]),
        (&local, "http://localhost/cb"),
    ] {
        let silent = browser.get(&authorize(&server, client, &[("redirect_uri", uri), ("prompt", "none")])).await;
        assert_eq!(silent.returned()["error"], "consent_required", "{uri}");
        let page = browser.follow(&authorize(&server, client, &[("redirect_uri", uri)])).await;
        assert!(page.has("decision", Some("allow")), "{uri}");
    }
    // With TLS and a secret of its own nobody else can be it.
    let url = authorize(&server, &local, &[("redirect_uri", "https://localhost/cb"), ("prompt", "none")]);
    assert!(browser.get(&url).await.returned().contains_key("code"));
}

#[tokio::test]
async fn an_id_token_hint_names_nobody_in_a_browser_of_somebody_else__oc_07() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client().await;
    let code = rp::code(&server, &client, &[("scope", "openid")]).await;
    let hint = rp::redeem(&server, &client, &code).await.text_of("id_token");
    let mut stranger = Browser::new(&server);
    let page = stranger.follow(&authorize(&server, &client, &[("scope", "openid"), ("id_token_hint", &hint)])).await;
    assert!(page.has("password", None));
    let said = page.body.replace("<wbr>", "");
    assert!(!said.contains("Lovelace") && !said.contains(EMAIL), "{said}");

    // It binds all the same: only the one it names can go on.
    server.person_named("eve@example.com", "Eve", Role::User).await;
    let other = stranger.answer_once(&page, &[("identifier", "eve@example.com"), ("password", PASSWORD)]).await;
    assert_eq!(other.status, 422);
    let page = stranger.answer(&page, &[("identifier", EMAIL), ("password", PASSWORD)]).await;
    assert!(page.location().is_some_and(|l| l.starts_with(CALLBACK)), "{}", page.body);
}

#[tokio::test]
async fn whoever_revokes_a_key_has_another_that_signs_and_stays__km_05() {
    for published in [false, true] {
        let server = Server::start().await;
        server.person().await;
        let client = server.client().await;
        rp::tokens(&server, &client).await;
        if published {
            keys::rotate(&server.app.store, server.tenant, Start::Published, Duration::ZERO).await.unwrap();
        }
        let tenant = server.app.tenants.get(&server.app.store, server.tenant).await.unwrap();
        let state = async |wanted: State| {
            let now = server.now();
            server.app.store.cache.fresh(server.app.db(), now).await.unwrap();
            let set = server.app.keys.set(&server.app.store, &tenant).await.unwrap();
            let found = set.keys().iter().filter(|k| k.alg == SigningAlg::Rs256 && set.state(k, now) == wanted);
            found.map(|k| (k.kid.clone(), k.gone_at)).collect::<Vec<_>>()
        };
        let leaked = state(State::Active).await.remove(0).0;
        assert!(keys::revoke(&server.app.store, server.tenant, &leaked).await.unwrap());
        assert_eq!(state(State::Revoked).await.len(), 1);
        let heir = state(State::Active).await;
        assert_eq!((heir.len(), heir[0].1), (1, None), "published before: {published}");
        assert!(state(State::Next).await.is_empty());
        let before = rp::tokens(&server, &client).await.text_of("id_token");
        server.clock.advance(Duration::from_secs(30 * 3600));
        assert_eq!(state(State::Active).await, heir, "and it is still the one after a day");
        assert!(before.len() > 100);
    }
}

#[tokio::test]
async fn a_change_marked_with_a_late_clock_is_seen_all_the_same() {
    let server = Server::start().await;
    let client = server.client().await;
    let form = [("grant_type", "client_credentials"), ("scope", "api")];
    assert_eq!(rp::post(&server, "/oauth2/token", &client, &form).await.status, 200);
    let (tenant, id, late) = (server.tenant, client.id.clone(), server.now().minus(Duration::from_secs(3600)));
    server
        .app
        .db()
        .write(async move |tx| {
            client::Entity::update_many()
                .col_expr(client::Column::Status, Expr::value(Status::Disabled.as_str()))
                .filter(client::Column::ClientId.eq(id.clone()))
                .exec(tx)
                .await?;
            keyward::cache::bump(tx, tenant, CacheKind::Client, late).await
        })
        .await
        .unwrap();
    let marked = revision::Entity::find_by_id((tenant, CacheKind::Client)).one(server.app.db().read()).await.unwrap();
    assert_eq!(marked.unwrap().changed_at, late);
    server.app.store.cache.look_at_everything();
    assert_eq!(rp::post(&server, "/oauth2/token", &client, &form).await.error(), "invalid_client");
}

#[tokio::test]
async fn a_body_that_takes_its_time_does_not_outlive_a_refusal() {
    let server = Server::start().await;
    let client = server.client().await;
    let Registered { id, secret: Some(secret) } = client.clone() else { panic!("no secret") };
    let body = format!("grant_type=client_credentials&scope=api&client_id={id}&client_secret={secret}");
    server.alter(&client, client::Column::TokenEndpointAuthMethod, ClientAuth::Post.as_str()).await;
    let mut socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    write!(
        socket,
        "POST /oauth2/token HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        server.port,
        body.len(),
        &body[..5]
    )
    .unwrap();
    // The request is inside once the server has looked at its head; another one that is answered says so.
    answered(http().get(server.url("/oauth2/jwks"))).await;
    server.client_status(&client, Status::Disabled).await;
    socket.write_all(&body.as_bytes()[5..]).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("invalid_client"), "{answer}");
}

#[tokio::test]
async fn cookies_of_other_sites_do_not_hide_ours__cs_08() {
    let server = Server::start().await;
    server.person().await;
    let browser = Browser::signed_in(&server).await;
    let ours: Vec<String> = browser.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
    for foreign in ["x=\u{e9}", "x", "=y", "\u{1F36A}=1"] {
        let line = format!("{foreign}; {}", ours.join("; "));
        let value = reqwest::header::HeaderValue::from_bytes(line.as_bytes()).unwrap();
        assert_eq!(answered(http().get(server.url("/account")).header("cookie", value)).await.status, 200, "{foreign}");
    }
}

#[tokio::test]
async fn a_disabled_account_does_not_shut_out_the_other_one_in_the_browser() {
    let server = Server::start().await;
    server.person().await;
    let bob = server.person_named("bob@example.com", "Bob", Role::User).await;
    let client = server.client_with(|c| c.first_party = true).await;
    let mut browser = Browser::signed_in(&server).await;
    let page = browser.follow(&authorize(&server, &client, &[("prompt", "select_account")])).await;
    let page = browser.answer(&page, &[("account", "other")]).await;
    browser.answer_once(&page, &[("identifier", "bob@example.com"), ("password", PASSWORD)]).await;
    server.person_status(bob, Status::Disabled).await;
    let page = browser.follow("/account").await;
    assert!(page.status == 200 && page.body.contains("Ada Lovelace"), "{}", page.body);
}

#[tokio::test]
async fn a_long_state_at_sign_out_is_a_page_and_nobody_is_signed_out() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client().await;
    let mut browser = Browser::new(&server);
    let code = rp::code_in(&server, &client, &mut browser, &[]).await;
    let hint = rp::redeem(&server, &client, &code).await.text_of("id_token");
    let state = "!".repeat(5_000);
    let url = format!(
        "/oauth2/logout?id_token_hint={hint}&post_logout_redirect_uri=https://app.example.com/bye&state={state}"
    );
    browser.get(&url).await.is_error_page(400);
    assert_eq!(browser.get("/account").await.status, 200);
}

#[tokio::test]
async fn a_made_up_client_costs_no_memory_by_its_name__en_11() {
    let server = Server::start().await;
    for n in 0..30 {
        let made_up = Registered { id: format!("{n}{}", "a".repeat(50_000)), secret: None };
        let answer =
            post_to(&server.url("/oauth2/token"), Some(&made_up), &[("grant_type", "client_credentials")]).await;
        // All names that do not exist share one counter of their source.
        assert_eq!(answer.status, if n < 20 { 401 } else { 429 }, "{n}");
    }
    let client = server.client().await;
    let answer = rp::post(&server, "/oauth2/token", &client, &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.status, 200, "who exists is not held up");
}

#[tokio::test]
async fn the_question_to_sign_out_names_everybody_counts_for_an_hour_and_asks_the_registration_again__rp_initiated_3() {
    const BYE: &str = "https://app.example.com/bye";
    let server = Server::start().await;
    server.person().await;
    server.person_named("eve@example.com", "Eve", Role::User).await;
    let client = server.client_with(|c| c.first_party = true).await;
    let mut browser = Browser::signed_in(&server).await;
    let page = browser.follow(&authorize(&server, &client, &[("prompt", "select_account")])).await;
    let page = browser.answer(&page, &[("account", "other")]).await;
    browser.sign_in_as(&page, "eve@example.com").await;
    let url = format!("{}?client_id={}&post_logout_redirect_uri={BYE}", server.url("/oauth2/logout"), client.id);
    let question = browser.get(&url).await;
    let said = question.body.replace("<wbr>", "");
    assert!(said.contains(EMAIL) && said.contains("eve@example.com"), "{said}");
    assert_eq!(server.live_sessions().await, 2);

    // Taken from the registration meanwhile: the person is signed out and stays here.
    server.alter(&client, client::Column::PostLogoutRedirectUris, serde_json::json!([])).await;
    let page = browser.answer_once(&question, &[("decision", "sign-out")]).await;
    assert_eq!((page.status.as_u16(), page.location()), (200, None));
    assert_eq!(server.live_sessions().await, 0);

    server.clock.advance(Duration::from_secs(3_601));
    let mut again = Browser::signed_in(&server).await;
    again.cookies.insert("bid".into(), browser.cookies["bid"].clone());
    again.answer_once(&question, &[("decision", "sign-out")]).await.is_error_page(400);
    assert_eq!(server.live_sessions().await, 1);
}

#[tokio::test]
async fn a_refused_consent_is_on_record__au_01() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client().await;
    let mut browser = Browser::signed_in(&server).await;
    let page = browser.follow(&authorize(&server, &client, &[])).await;
    let page = browser.answer_once(&page, &[("decision", "deny")]).await;
    assert_eq!(page.returned()["error"], "access_denied");
    assert_eq!((server.audited("consent.deny").await, server.audited("consent.give").await), (1, 0));
}

#[tokio::test]
async fn many_failures_of_a_client_are_one_event__au_01() {
    let server = Server::start().await;
    let client = server.client().await;
    let wrong = Registered { secret: Some("kw_cs_wrong".into()), ..client };
    for _ in 0..40 {
        rp::post(&server, "/oauth2/introspect", &wrong, &[("token", "x")]).await;
    }
    assert_eq!(server.audited("client.login_failed").await, 1);
}

#[tokio::test]
async fn what_a_client_shortens_holds_for_its_codes_and_refresh_tokens() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client().await;
    let shorter = serde_json::json!({ "code_lifetime": 5, "refresh_token_idle": 100 });
    server.alter(&client, client::Column::Settings, shorter).await;
    let code = rp::code(&server, &client, &[]).await;
    server.clock.advance(Duration::from_secs(6));
    assert_eq!(rp::redeem(&server, &client, &code).await.status, 400);
    let first = rp::tokens(&server, &client).await.text_of("refresh_token");
    server.clock.advance(Duration::from_secs(99));
    let second = rp::refresh(&server, &client, &first).await.text_of("refresh_token");
    server.clock.advance(Duration::from_secs(101));
    assert_eq!(rp::refresh(&server, &client, &second).await.status, 400);
}

#[tokio::test]
async fn whoever_signs_in_while_the_browser_is_signed_out_leaves_too_or_stays_whole() {
    let server = Server::start().await;
    server.person().await;
    server.person_named("eve@example.com", "Eve", Role::User).await;
    let client = server.client_with(|c| c.first_party = true).await;
    for _ in 0..8 {
        let mut one = Browser::signed_in(&server).await;
        let account = one.follow("/account").await;
        let page = one.follow(&authorize(&server, &client, &[("prompt", "select_account")])).await;
        let page = one.answer(&page, &[("account", "other")]).await;
        let mut two = one.clone();
        let before = one.cookies.iter().find(|(name, _)| name.contains("sid-"));
        let (name, secret) = before.map(|(name, secret)| (name.clone(), secret.clone())).unwrap();
        let (signed_in, signed_out) =
            tokio::join!(one.sign_in_as(&page, "eve@example.com"), two.answer_once(&account, &[]));
        assert!(signed_in.status.as_u16() < 500 && signed_out.status == 200);
        // The cookie from before is worth nothing, and no session is left that no cookie leads to.
        let mut old = Browser::new(&server);
        old.cookies = one.cookies.clone();
        old.cookies.insert(name, secret);
        assert!(old.get("/account").await.location().is_some_and(|l| l.ends_with("/login")));
        let left = server.live_sessions().await;
        assert!(left <= 1, "{left}");
        if left == 1 {
            let mine = one.get("/account").await;
            assert!(mine.status == 200 && mine.body.contains("Eve"));
            one.answer_once(&mine, &[]).await;
        }
        assert_eq!(server.live_sessions().await, 0);
    }
}
