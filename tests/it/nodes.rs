//! Several processes on one database: what one commits holds at the others within two seconds, each thing that is cached.

use crate::support::browser::http;
use crate::support::process::{House, Serving, within};
use crate::support::rp::{self, Answer};
use crate::support::{Registered, Server};
use entity::{Micros, Status, client, tenant, throttle};
use keyward::keys::{self, Start};
use sea_orm::{ActiveValue::Set, EntityTrait, PaginatorTrait};
use std::time::Duration;

const SEEN: Duration = Duration::from_secs(2);

/// A second node, unless the database is a file that only one node can have.
async fn two() -> Option<(Server, Server)> {
    let first = Server::start().await;
    if first.on_a_file() {
        return None;
    }
    let second = first.second().await;
    Some((first, second))
}

/// Posts a form to one very node, under the name that both have.
async fn post(node: &Server, path: &str, client: &Registered, form: &[(&str, &str)]) -> Answer {
    let request = http()
        .post(format!("http://127.0.0.1:{}{path}", node.port))
        .header("host", node.issuer.trim_start_matches("http://"))
        .basic_auth(&client.id, client.secret.as_ref())
        .form(form);
    rp::answered(request).await
}

async fn get(node: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = http()
        .get(format!("http://127.0.0.1:{}{path}", node.port))
        .header("host", node.issuer.trim_start_matches("http://"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    rp::answered(request).await
}

const OWN: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "api")];

async fn own_token(node: &Server, client: &Registered) -> Answer {
    post(node, "/oauth2/token", client, &OWN).await
}

#[tokio::test]
async fn a_client_that_is_made_changed_and_disabled_here_is_so_there() {
    let Some((first, second)) = two().await else { return };
    let client = first.client().await;
    within(SEEN, "a new client", async || own_token(&second, &client).await.status == 200).await;

    let origin = "https://spa.example.com";
    let allowed = async || {
        let answer = get(&second, "/oauth2/jwks", &[("origin", origin)]).await;
        answer.headers.get("access-control-allow-origin").is_some()
    };
    assert!(!allowed().await);
    first.alter(&client, client::Column::AllowedOrigins, serde_json::json!([origin])).await;
    within(SEEN, "an origin", allowed).await;

    let store = first.app.store.clone();
    let row = keyward::client::by_client_id(first.app.db().read(), first.tenant, &client.id).await.unwrap().unwrap();
    let secret =
        first.app.db().write(async move |tx| keyward::client::rotate_secret(tx, &store, &row, Duration::ZERO).await);
    let fresh = Registered { secret: Some(secret.await.unwrap().to_string()), ..client.clone() };
    within(SEEN, "the new secret", async || own_token(&second, &fresh).await.status == 200).await;
    assert_eq!(own_token(&second, &client).await.error(), "invalid_client");

    first.client_status(&client, Status::Disabled).await;
    within(SEEN, "a disabled client", async || own_token(&second, &fresh).await.status == 401).await;
}

#[tokio::test]
async fn a_key_that_is_made_here_is_published_and_signs_there_and_a_revoked_one_counts_nowhere__km_03() {
    let Some((first, second)) = two().await else { return };
    let client = first.client().await;
    within(SEEN, "a new client", async || own_token(&second, &client).await.status == 200).await;
    let token = own_token(&second, &client).await.text_of("access_token");
    let kid = |token: &str| {
        use base64::Engine;
        let head = token.split('.').next().unwrap();
        let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).unwrap();
        serde_json::from_slice::<serde_json::Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let old = kid(&token);
    keys::rotate(&first.app.store, first.tenant, Start::Now, Duration::ZERO).await.unwrap();
    within(SEEN, "the new key", async || kid(&own_token(&second, &client).await.text_of("access_token")) != old).await;
    let new = kid(&own_token(&second, &client).await.text_of("access_token"));
    assert!(get(&second, "/oauth2/jwks", &[]).await.text.contains(&new));
    let active = async |node: &Server| {
        post(node, "/oauth2/introspect", &client, &[("token", &token)]).await.json()["active"] == true
    };
    assert!(active(&second).await, "what the old one signed still counts");
    assert!(keys::revoke(&first.app.store, first.tenant, &old).await.unwrap());
    within(SEEN, "a revoked key", async || !active(&second).await).await;
    assert!(!get(&second, "/oauth2/jwks", &[]).await.text.contains(&old));
}

#[tokio::test]
async fn a_tenant_that_is_made_and_suspended_here_is_so_there() {
    let Some((first, second)) = two().await else { return };
    let made = first.tenant("late").await;
    let path = "/t/late/.well-known/openid-configuration";
    within(SEEN, "a new tenant", async || get(&second, path, &[]).await.status == 200).await;
    first.tenant_status(made.id, Status::Disabled).await;
    within(SEEN, "a suspended tenant", async || get(&second, path, &[]).await.status != 200).await;
}

#[tokio::test]
async fn jobs_are_left_to_the_process_that_works() {
    let house = House::new().await;
    let serving = house.serve_with(&["--no-jobs"]);
    let db = house.connect().await;
    let tenant = tenant::Entity::find().one(&db).await.unwrap().unwrap().id;
    let row = throttle::ActiveModel {
        tenant_id: Set(tenant),
        key: Set(keyward::seal::sha256(b"an old counter")),
        count: Set(1),
        window_started_at: Set(Micros(0)),
        expires_at: Set(Micros(1)),
    };
    throttle::Entity::insert(row).exec_without_returning(&db).await.unwrap();
    let left = async || throttle::Entity::find().count(&db).await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(left().await, 1, "the server was told to leave jobs alone");
    let mut worker = Serving::spawn(house.command(&["work"]));
    worker.hear("doing jobs");
    within(Duration::from_secs(10), "the sweep", async || left().await == 0).await;
    worker.terminate();
    assert_eq!(worker.said().code, Some(0));
    drop((db, serving));
}
