//! The write door through HTTP: nobody is answered before the commit, and when it fails everybody hears it.

use crate::support::browser::http;
use crate::support::{Browser, EMAIL, PASSWORD, Server, rp};
use entity::throttle;
use keyward::db::Tx;
use reqwest::header::RETRY_AFTER;
use sea_orm::{ActiveValue::Set, EntityTrait, PaginatorTrait};
use std::time::{Duration, Instant};

/// A page with the sign-in form, and the browser that has it.
async fn at_the_form(server: &Server) -> (Browser, crate::support::browser::Page) {
    let mut browser = Browser::new(server);
    let page = browser.follow("/login").await;
    (browser, page)
}

#[tokio::test]
async fn a_sign_in_whose_commit_fails_is_503_and_lets_nobody_in() {
    let mut server = Server::start().await;
    server.person().await;
    let (mut browser, page) = at_the_form(&server).await;
    // The first write of a sign-in counts it; the second one lets in.
    let fields = [("identifier", EMAIL), ("password", PASSWORD)];
    server.fail_next_commit().await;
    let answered = browser.answer_once(&page, &fields).await;
    assert_eq!(answered.status, 503, "{}", answered.body);
    assert!(answered.headers.contains_key(RETRY_AFTER));
    assert!(!browser.cookies.keys().any(|name| name.starts_with("sid-")), "no session is told");
    if server.app.db().is_sqlite() {
        // `serve` ends after a failed commit; what is on the disk is looked at by a new one.
        assert!(server.end().await.is_err());
        server = server.restart().await;
    }
    assert_eq!(server.count("user.login").await, 0);
    let rows = sea_orm::PaginatorTrait::count(
        <entity::session::Entity as sea_orm::EntityTrait>::find(),
        server.app.db().read(),
    );
    assert_eq!(rows.await.unwrap(), 0);
}

#[tokio::test]
async fn when_a_commit_fails_every_caller_of_the_batch_hears_it_and_nobody_is_let_in() {
    let mut server = Server::start().await;
    if !server.app.db().is_sqlite() {
        return;
    }
    server.person().await;
    let client = server.client().await;
    let mut codes = vec![];
    for _ in 0..6 {
        codes.push(rp::code(&server, &client, &[]).await);
    }
    let before = server.count("user.login").await;
    // The writer is held back until all of them wait, so that they go into one commit.
    let (go, gate) = tokio::sync::oneshot::channel::<()>();
    let gate = std::sync::Mutex::new(Some(gate));
    let (held, holds) = tokio::sync::oneshot::channel();
    let held = std::sync::Mutex::new(Some(held));
    let app = server.app.clone();
    let first = tokio::spawn(async move {
        app.db()
            .write(async move |_| {
                let gate = gate.lock().unwrap().take();
                held.lock().unwrap().take().map(|h| h.send(()));
                if let Some(gate) = gate {
                    gate.await.ok();
                }
                Err::<(), _>(keyward::error::Error::internal("held back, by a test"))
            })
            .await
    });
    holds.await.unwrap();
    let waiting: Vec<_> = codes.iter().cloned().map(|code| redeem(&server, &client, code)).collect();
    let waiting: Vec<_> = waiting.into_iter().map(tokio::spawn).collect();
    let began = std::time::Instant::now();
    while server.app.db().waiting() < codes.len() {
        assert!(began.elapsed().as_secs() < 3, "the writer was held for longer than a write may take");
        tokio::task::yield_now().await;
    }
    server.app.db().fail_next_commit();
    go.send(()).unwrap();
    assert!(first.await.unwrap().is_err());
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), Some(503));
    }
    assert!(server.app.db().is_broken());
    assert!(server.end().await.is_err(), "`serve` ends, so that a new process reads what is on the disk");

    let server = server.restart().await;
    assert_eq!(server.count("user.login").await, before);
    for code in &codes {
        assert_eq!(rp::redeem(&server, &client, code).await.status, 200, "nothing was spent");
    }
}

fn redeem(
    server: &Server,
    client: &crate::support::Registered,
    code: String,
) -> impl Future<Output = Option<u16>> + use<> {
    let request = http().post(server.url("/oauth2/token")).basic_auth(&client.id, client.secret.as_ref()).form(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", rp::VERIFIER),
    ]);
    async move { request.send().await.ok().map(|r| r.status().as_u16()) }
}

#[tokio::test]
async fn a_broken_process_is_alive_but_not_ready_and_refuses_everything() {
    let mut server = Server::start().await;
    if !server.app.db().is_sqlite() {
        return;
    }
    let kept = server.app.clone();
    server.fail_next_commit().await;
    assert!(server.app.db().write(async |_| Ok(())).await.is_err());
    assert!(kept.db().is_broken());
    assert!(kept.db().write(async |_| Ok(())).await.is_err(), "no write is let in any more");
    assert!(server.end().await.is_err());
}

#[tokio::test]
async fn a_sweep_takes_what_is_due_of_every_tenant_and_holds_no_write_up() {
    let server = Server::start().await;
    let (here, there, now) = (server.tenant, server.tenant("acme").await.id, server.now());
    let (due, later) = (now, now.plus(Duration::from_secs(60)));
    let row = move |tenant, n: u32, expires_at| throttle::ActiveModel {
        tenant_id: Set(tenant),
        key: Set(keyward::seal::sha256(&n.to_be_bytes())),
        count: Set(1),
        window_started_at: Set(now),
        expires_at: Set(expires_at),
    };
    for batch in 0..10 {
        let rows = (batch * 1_000..(batch + 1) * 1_000).flat_map(|n| {
            // The same key in both, due in one of them at least.
            [row(here, n, due), row(there, n, if n % 2 == 0 { due } else { later })]
        });
        let rows: Vec<_> = rows.collect();
        let insert = async move |tx: &Tx| {
            throttle::Entity::insert_many(rows.clone()).exec_without_returning(tx).await?;
            Ok(())
        };
        server.app.db().write(insert).await.unwrap();
    }
    let app = server.app.clone();
    let sweep = tokio::spawn(async move { keyward::limit::sweep(app.db(), now.plus(Duration::from_secs(1))).await });
    let mut worst = Duration::ZERO;
    while !sweep.is_finished() {
        let began = Instant::now();
        server.app.db().write(async move |tx| keyward::limit::give_back(tx, here, &[]).await).await.unwrap();
        worst = worst.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(sweep.await.unwrap().unwrap(), 15_000);
    assert_eq!(throttle::Entity::find().count(server.app.db().read()).await.unwrap(), 5_000);
    // Generous: other tests run beside this one.
    assert!(worst < Duration::from_millis(500), "a write waited {worst:?}");
}
