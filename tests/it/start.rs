//! How a server comes to be: first start, first administrator, public URL, readiness, end.

use crate::support::database::Database;
use crate::support::process::{House, PASSWORD, Serving, finished, names};
use crate::support::{Browser, Server, rp};
use entity::Role;
use futures_util::future::join_all;
use keyward::clock::Clock;
use keyward::config::Sources;
use keyward::serve::prepare;
use sea_orm::{ConnectionTrait, Statement};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Fills in the form behind a set-up link.
async fn set_up(browser: &mut Browser, url: &str, email: &str) -> u16 {
    let page = browser.get(url).await;
    if page.status != 200 {
        return page.status.as_u16();
    }
    let fields = [("email", email), ("name", "Ada Lovelace"), ("password", PASSWORD)];
    browser.answer_once(&page, &fields).await.status.as_u16()
}

#[tokio::test]
async fn the_first_start_makes_files_that_only_their_owner_reads() {
    let house = House::empty();
    let serving = house.serve();
    assert_eq!(
        names(&house.data()),
        ["keyward.db", "keyward.db-lock", "keyward.db-shm", "keyward.db-wal", "master.key"]
    );
    assert_eq!(mode(&house.data()), 0o700);
    for name in names(&house.data()) {
        assert_eq!(mode(&house.data().join(&name)), 0o600, "{name}");
    }
    serving.kill();
    drop(house.serve());
}

#[tokio::test]
async fn sqlite_writes_ahead_syncs_every_commit_and_keeps_references() {
    let server = Server::start().await;
    if !server.app.db().is_sqlite() {
        return;
    }
    for (pragma, expected) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
        assert_eq!(asked(server.app.db().read(), pragma).await, expected, "{pragma} of a reader");
        let writer = server.app.db().write(async move |tx| Ok(asked(tx, pragma).await)).await.unwrap();
        assert_eq!(writer, expected, "{pragma} of the writer");
    }
}

async fn asked(conn: &impl ConnectionTrait, pragma: &str) -> String {
    let statement = Statement::from_string(conn.get_database_backend(), format!("PRAGMA {pragma}"));
    let row = conn.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index::<String>(0).or_else(|_| row.try_get_by_index::<i64>(0).map(|n| n.to_string())).unwrap()
}

#[tokio::test]
async fn of_two_who_open_the_set_up_link_at_once_one_becomes_the_administrator() {
    let server = Server::start().await;
    let url = server.setup_url.clone().unwrap();
    let (mut ada, mut eve) = (Browser::new(&server), Browser::new(&server));
    let (first, second) =
        tokio::join!(set_up(&mut ada, &url, "ada@example.com"), set_up(&mut eve, &url, "eve@example.com"));
    let mut both = [first, second];
    both.sort_unstable();
    assert_eq!(both, [303, 410], "one is in, the other hears that it is over");
    let people = keyward::account::list(server.app.db().read(), server.tenant, 10).await.unwrap();
    assert_eq!((people.len(), people[0].user.role), (1, Role::SuperAdmin));
    let (mut winner, mut loser) = if first == 303 { (ada, eve) } else { (eve, ada) };
    assert_eq!(winner.get(&server.url("/account")).await.status, 200, "signed in at once");
    assert_eq!(loser.get(&server.url("/account")).await.status, 303);
    assert_eq!(set_up(&mut loser, &url, "third@example.com").await, 410);
    assert_eq!(server.count("user.signup").await, 1);
}

#[tokio::test]
async fn a_set_up_link_dies_after_an_hour_and_a_restart_prints_another() {
    let server = Server::start().await;
    let first = server.setup_url.clone().unwrap();
    server.clock.advance(HOUR - Duration::from_secs(5));
    assert_eq!(Browser::new(&server).get(&first).await.status, 200);
    server.clock.advance(Duration::from_secs(6));
    assert_eq!(set_up(&mut Browser::new(&server), &first, "ada@example.com").await, 410);
    let server = server.restart().await;
    let second = server.setup_url.clone().unwrap();
    assert_ne!(first, second);
    assert_eq!(set_up(&mut Browser::new(&server), &first, "ada@example.com").await, 410);
    let server = server.restart().await;
    let third = server.setup_url.clone().unwrap();
    assert_eq!(Browser::new(&server).get(&second).await.status, 410, "the newest alone counts");
    assert_eq!(set_up(&mut Browser::new(&server), &third, "ada@example.com").await, 303);
    assert_eq!(server.restart().await.setup_url, None);
}

#[tokio::test]
async fn a_form_that_was_opened_before_the_link_died_makes_nobody() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    let page = browser.get(server.setup_url.as_ref().unwrap()).await;
    server.clock.advance(HOUR + Duration::from_secs(1));
    let fields = [("email", "ada@example.com"), ("name", "Ada"), ("password", PASSWORD)];
    assert_eq!(browser.answer_once(&page, &fields).await.status, 410);
    assert!(keyward::account::list(server.app.db().read(), server.tenant, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_set_up_link_is_dead_once_there_is_an_administrator() {
    let server = Server::start().await;
    let url = server.setup_url.clone().unwrap();
    server.person_named("root@example.com", "Root", Role::SuperAdmin).await;
    assert_eq!(set_up(&mut Browser::new(&server), &url, "eve@example.com").await, 410);
    for wrong in [format!("{}/setup", server.issuer), format!("{}/setup?token=x", server.issuer)] {
        assert_eq!(Browser::new(&server).get(&wrong).await.status, 410);
    }
}

#[tokio::test]
async fn a_weak_password_keeps_the_set_up_link_alive() {
    let server = Server::start().await;
    let url = server.setup_url.clone().unwrap();
    let mut browser = Browser::new(&server);
    let page = browser.get(&url).await;
    for password in ["", "short", "passwordpassword", "ada@example.com"] {
        let fields = [("email", "ada@example.com"), ("name", "Ada"), ("password", password)];
        let again = browser.answer_once(&page, &fields).await;
        assert_eq!(again.status, 422, "{password}");
        assert!(
            password.is_empty() || !again.body.contains(&format!("value=\"{password}\"")) || password.contains('@')
        );
    }
    assert_eq!(set_up(&mut browser, &url, "ada@example.com").await, 303);
}

#[tokio::test]
async fn an_unattended_start_makes_the_administrator_of_the_configuration_once() {
    let boot = [("KEYWARD__BOOTSTRAP__EMAIL", "root@example.com"), ("KEYWARD__BOOTSTRAP__PASSWORD", PASSWORD)];
    let server = Server::start_with(&boot).await;
    assert_eq!(server.setup_url, None);
    let sign_in = async |server: &Server, password: &str| {
        let mut browser = Browser::new(server);
        let page = browser.follow("/login").await;
        browser.answer(&page, &[("identifier", "root@example.com"), ("password", password)]).await.status.as_u16()
    };
    assert_eq!(sign_in(&server, PASSWORD).await, 200);
    let other = [("KEYWARD__BOOTSTRAP__PASSWORD", "another long pass phrase")];
    let server = server.restart_with(&other).await.unwrap();
    assert_eq!(sign_in(&server, "another long pass phrase").await, 422, "used only while there is none");
    assert_eq!(sign_in(&server, PASSWORD).await, 200);
    assert_eq!(server.count("user.signup").await, 1);
}

#[tokio::test]
async fn an_unattended_start_with_a_weak_password_is_refused() {
    for (password, says) in [
        ("tiny-one", "must have at least 15 characters"),
        ("passwordpassword", "everybody would try"),
        ("root@example.com.root@example.com", "must not be, or contain"),
    ] {
        let mut house = House::new().await;
        house.set("KEYWARD__BOOTSTRAP__EMAIL", "root@example.com");
        house.set("KEYWARD__BOOTSTRAP__PASSWORD", password);
        let line = house.does_not_serve(&[]).refused(1);
        assert!(line.contains("bootstrap: the password") && line.contains(says) && !line.contains(password), "{line}");
        house.set("KEYWARD__BOOTSTRAP__PASSWORD", PASSWORD);
        drop(house.serve());
    }
}

#[tokio::test]
async fn a_public_url_follows_until_something_was_issued() {
    let server = Server::start().await;
    let (old, new) = (server.issuer.clone(), format!("http://127.0.0.1:{}", server.port));
    let server = server.restart_with(&[("KEYWARD__SERVER__PUBLIC_URL", &new)]).await.unwrap();
    let mut browser = Browser::at(&new);
    assert!(browser.get("/.well-known/openid-configuration").await.body.contains(&format!("\"issuer\":\"{new}\"")));
    assert_eq!(Browser::at(&old).get(&format!("{old}/oauth2/jwks")).await.status, 421, "nobody knows the old one");

    // A client registered alone has been issued nothing.
    server.person().await;
    let client = server.client().await;
    let server = server.restart_with(&[("KEYWARD__SERVER__PUBLIC_URL", &old)]).await.unwrap();
    assert_eq!(rp::tokens(&server, &client).await.status, 200);
    let line = match server.restart_with(&[("KEYWARD__SERVER__PUBLIC_URL", &new)]).await {
        Ok(_) => panic!("it followed although tokens name the old issuer"),
        Err(line) => line,
    };
    assert!(line.contains(&format!("keyward tenant move --to {new}")), "{line}");
    assert!(line.contains(&format!("--public-url {old}")), "{line}");
}

#[tokio::test]
async fn after_a_move_both_issuers_are_served() {
    let mut house = House::new().await;
    let serving = house.serve();
    house.person("ada@example.com", &[]);
    let mut browser = Browser::at(&house.issuer());
    let page = browser.follow("/login").await;
    let page = browser.answer(&page, &[("identifier", "ada@example.com"), ("password", PASSWORD)]).await;
    assert!(page.url.ends_with("/account"), "{}", page.body);
    drop(serving);

    let new = format!("http://127.0.0.1:{}", house.port);
    house.set("PUBLIC_URL", &new);
    let listen = format!("127.0.0.1:{}", house.port);
    let line = finished(house.command(&["serve", "--listen", &listen]), "").refused(1);
    assert!(line.contains(&format!("run: keyward tenant move --to {new}")), "{line}");
    house.run(&["tenant", "move", "--to", &new]).done();
    let serving = Serving::spawn(house.command(&["serve", "--listen", &listen]));
    serving.hear("/setup?token=");
    for base in [house.issuer(), new.clone()] {
        let page = Browser::at(&base).get(&format!("{base}/.well-known/openid-configuration")).await;
        assert!(page.body.contains(&format!("\"issuer\":\"{base}\"")), "{}", page.body);
    }
    assert_eq!(browser.get(&format!("{}/account", house.issuer())).await.status, 200, "whoever was signed in still is");
}

#[tokio::test]
async fn whoever_comes_by_another_local_name_is_told_the_address() {
    let server = Server::start().await;
    let page = Browser::at(&format!("http://127.0.0.1:{}", server.port)).get("/login").await;
    page.is_error_page(421);
    assert!(page.body.contains(&format!("Its address is {}/.", server.issuer)), "{}", page.body);
}

#[tokio::test]
async fn a_server_says_that_it_is_alive_and_ready() {
    let server = Server::start().await;
    for (path, says) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let page = Browser::new(&server).get(&server.url(path)).await;
        assert_eq!((page.status.as_u16(), page.body), (200, format!("{{\"status\":\"{says}\"}}")), "{path}");
        assert_eq!(page.headers["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn a_request_that_is_under_way_is_finished_after_sigterm() {
    let house = House::new().await;
    let mut serving = house.serve();
    let body = "grant_type=client_credentials&client_id=nobody";
    let mut socket = TcpStream::connect(("127.0.0.1", house.port)).unwrap();
    let head = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        house.port,
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&body.as_bytes()[..10]).unwrap();
    // Another request through the same door, so that the first one is surely inside.
    assert_eq!(Browser::at(&house.issuer()).get(&format!("{}/readyz", house.issuer())).await.status, 200);
    serving.terminate();
    serving.hear_end_of_listening(house.port);
    socket.write_all(&body.as_bytes()[10..]).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = [0; 512];
    let read = socket.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    drop(socket);
    let said = serving.said();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.err.contains("panicked"));
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let house = House::new().await;
    let mut serving = house.serve();
    let mut browser = Browser::at(&house.issuer());
    assert_eq!(browser.get(&format!("{}/readyz", house.issuer())).await.status, 200);
    let began = std::time::Instant::now();
    serving.terminate();
    let said = serving.said();
    assert!(said.err.contains("told to stop"), "{said:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "the connection is kept for 30 s: {:?}", began.elapsed());
    drop(browser);
}

#[tokio::test]
async fn the_set_up_page_takes_no_name_or_address_that_reads_otherwise_than_it_is_written__au_05() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    let page = browser.follow(server.setup_url.as_ref().unwrap()).await;
    let ada = "ada@example.com";
    for (name, email) in [
        ("Ada\u{1b}[2J", ada),
        ("Ada\r\nroot", ada),
        ("Ada", "ada@ex%61mple.com"),
        ("Ada", "ada@exam\u{ad}ple.com"),
        ("Ada", "ada@exam\u{200b}ple.com"),
        ("Ada", "ada@example%2ecom"),
    ] {
        let fields = [("name", name), ("email", email), ("password", PASSWORD)];
        let answer = browser.answer_once(&page, &fields).await;
        assert_eq!(answer.status, 422, "{name:?} {email:?}");
    }
    let fields = [("name", "Ada"), ("email", ada), ("password", PASSWORD)];
    assert_eq!(browser.answer_once(&page, &fields).await.status, 303);
}

#[tokio::test]
async fn nodes_that_start_at_once_on_an_empty_database_make_one_tenant_and_one_administrator() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(dir.path()).await;
    if database.is_file() {
        return;
    }
    let environment = HashMap::from(
        [
            ("KEYWARD__SERVER__DATA_DIR", dir.path().to_str().unwrap()),
            ("KEYWARD__DATABASE__POOL_SIZE", "4"),
            ("KEYWARD__PASSWORD__MEMORY_KIB", "7168"),
            ("KEYWARD__BOOTSTRAP__EMAIL", "root@example.com"),
            ("KEYWARD__BOOTSTRAP__PASSWORD", PASSWORD),
            ("DATABASE_URL", &database.url()),
            ("ENCRYPTION_KEY", &(0..32).map(|n| format!("{:02x}", n * 7 + 1)).collect::<String>()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let start = || async {
        let (config, _) = Sources { environment: environment.clone(), ..Sources::default() }.load().unwrap();
        prepare(config, Clock::default()).await.map_err(|e| e.to_string())
    };
    let nodes: Vec<_> = join_all((0..6).map(|_| start())).await.into_iter().map(Result::unwrap).collect();
    let app = &nodes[0].app;
    assert!(nodes.iter().all(|n| n.tenant == nodes[0].tenant && n.setup_url.is_none()));
    assert_eq!(keyward::tenant::list(app.db().read()).await.unwrap().len(), 1);
    assert_eq!(keyward::account::list(app.db().read(), nodes[0].tenant, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_takes_the_descriptors_that_it_may_have_and_leaves_some_to_itself() {
    let house = House::new().await;
    let serving = house.serve_limited("-S -n 100");
    let ready = async || Browser::at(&house.issuer()).get(&format!("{}/readyz", house.issuer())).await.status == 200;
    assert!(ready().await);
    let limits = std::fs::read_to_string(serving.proc("limits")).unwrap();
    let files = limits.lines().find(|l| l.starts_with("Max open files")).unwrap();
    let numbers: Vec<_> = files.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{files}");
    drop(serving);

    let serving = house.serve_limited("-n 200");
    let sockets: Vec<_> = (0..200).map(|_| TcpStream::connect(("127.0.0.1", house.port)).unwrap()).collect();
    let mut first = &sockets[0];
    write!(first, "GET /readyz HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", house.port).unwrap();
    let mut answer = [0; 512];
    let read = first.read(&mut answer).unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    let open = names(&serving.proc("fd")).len();
    assert!(open < 180, "{open} descriptors are in use");
    drop(sockets);
    assert!(ready().await);
}

#[tokio::test]
async fn switches_for_tests_are_shouted_about() {
    let mut house = House::new().await;
    house.set("KEYWARD__FETCH__PRIVATE_ADDRESSES", "127.0.0.0/8");
    let serving = house.serve();
    assert!(serving.log().contains("fetch.private_addresses is set"), "{}", serving.log());
}
