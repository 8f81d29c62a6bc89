//! HTTP as nobody should speak it: at the socket, where a client library would not send it.

use crate::support::{Browser, Server, rp};
use keyward::routes::ROUTES;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Sends bytes as they are and reads what comes back until the server closes, or a second of silence.
pub fn raw(server: &Server, text: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.write_all(text.as_bytes()).unwrap();
    let mut answer = vec![];
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0)
}

fn get(server: &Server, path: &str, headers: &str) -> String {
    raw(
        server,
        &format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")
            .replace("{host}", &format!("localhost:{}", server.port)),
    )
}

#[tokio::test]
async fn only_the_stored_host_is_served__hp_01() {
    let server = Server::start().await;
    for headers in [
        "Host: evil.test\r\n",
        "Host: {host}\r\nHost: evil.test\r\n",
        "Host: {host}@evil.test\r\n",
        "Host: evil.test\r\nX-Forwarded-Host: {host}\r\n",
        "Host: evil.test\r\nForwarded: host={host}\r\n",
        "",
    ] {
        let answer = get(&server, "/.well-known/openid-configuration", headers);
        assert!(matches!(status(&answer), 400 | 421), "{headers:?}: {answer}");
        assert!(!answer.contains("evil.test"), "{answer}");
    }
    let answer = raw(
        &server,
        &format!("GET http://evil.test/ HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", server.port),
    );
    assert!(matches!(status(&answer), 400 | 421), "{answer}");
    let answer = get(
        &server,
        "/.well-known/openid-configuration",
        "Host: {host}\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: javascript\r\nX-Original-URL: /account\r\n",
    );
    assert!(status(&answer) == 200 && !answer.contains("evil.test") && answer.contains(&server.issuer));
}

#[tokio::test]
async fn what_is_too_long_or_malformed_is_refused_and_the_server_lives__ht_01() {
    let server = Server::start().await;
    let host = format!("Host: localhost:{}\r\n", server.port);
    let long = format!("/login?x={}", "a".repeat(9_000));
    assert_eq!(status(&get(&server, &long, &host)), 414);
    let header = format!("{host}X-Long: {}\r\n", "a".repeat(40_000));
    assert_eq!(status(&get(&server, "/login", &header)), 431);
    let post = |headers: &str, body: &str| {
        raw(&server, &format!("POST /oauth2/token HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n{body}"))
    };
    for (headers, body) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "zz\r\nabc\r\n"),
        ("Content-Length: -1\r\n", ""),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"),
        ("Content-Type: text/plain\r\nContent-Length: 2\r\n", "{}"),
        (
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n",
            "\x1f\x08ab",
        ),
    ] {
        let answer = post(headers, body);
        // A body that breaks off in its framing may only be answered by closing.
        assert!(answer.is_empty() || (400..500).contains(&status(&answer)), "{headers:?}: {answer}");
    }
    for line in ["GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", "\x00\x01\x02\r\n\r\n", "GET\r\n\r\n"] {
        assert!(!(500..600).contains(&status(&raw(&server, line))), "{line:?}");
    }
    assert_eq!(status(&get(&server, "/healthz", &host)), 200);
}

#[tokio::test]
async fn every_route_has_its_headers_and_its_dialect() {
    let server = Server::start().await;
    let http = crate::support::browser::http();
    for (_, path) in ROUTES {
        let url = server.url(&path.replace("{client_id}", "app.x"));
        let answer =
            rp::answered(http.request("PATCH".parse().unwrap(), &url).header("x-http-method-override", "POST")).await;
        assert_eq!(answer.status, 405, "{path}");
        let pages = matches!(*path, "/oauth2/authorize" | "/oauth2/logout")
            || !(path.starts_with("/oauth2") || path.starts_with("/.well-known"));
        let kind = answer.headers["content-type"].to_str().unwrap();
        assert!(kind.starts_with(if pages { "text/html" } else { "application/json" }), "{path}: {kind}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers[name], value, "{path}");
        }
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe") && !policy.contains("form-action"),
            "{path}: {policy}"
        );
        assert!(answer.headers.contains_key("x-request-id") && answer.headers["cache-control"] == "no-store", "{path}");
    }
    assert_eq!(rp::answered(http.get(server.url("/oauth2/nothing"))).await.error(), "not_found");
    Browser::new(&server).get("/nothing").await.is_error_page(404);
}

#[tokio::test]
async fn a_cookie_counts_once_and_whole__cs_08() {
    let server = Server::start().await;
    server.person().await;
    let browser = Browser::signed_in(&server).await;
    let (bid, (name, sid)) =
        (browser.cookies["bid"].clone(), browser.cookies.iter().find(|(k, _)| k.starts_with("sid-")).unwrap());
    let ask = async |line: String| {
        let answer =
            rp::answered(crate::support::browser::http().get(server.url("/account")).header("cookie", line)).await;
        answer.status == 200
    };
    assert!(ask(format!("bid={bid}; {name}={sid}")).await);
    let upper = name.to_uppercase();
    for line in [
        format!("bid={bid}; {name}={sid}; {name}={sid}"),
        format!("bid={bid}; {name}=\"{sid}\""),
        format!("bid={bid}; $Version=1; {name}={}", &sid[..42]),
        format!("bid={bid}; {name}={sid}x"),
        format!("bid={bid}; ={name}={sid}"),
        format!("bid={bid}; {upper}={sid}"),
        format!("{name}={sid}"),
        format!("bid={sid}; {name}={bid}"),
    ] {
        assert!(!ask(line.clone()).await, "{line}");
    }
}

#[tokio::test]
async fn an_address_is_taken_from_trusted_proxies_alone__hp_03() {
    for (trusted, counted) in [("", "127.0.0.1"), ("127.0.0.1", "203.0.113.9")] {
        let server = Server::start_with(&[("KEYWARD__SERVER__TRUSTED_PROXIES", trusted)]).await;
        server.person().await;
        let mut browser = Browser::new(&server);
        browser.from = Some("198.51.100.1, 203.0.113.9".into());
        let page = browser.follow("/login").await;
        browser.sign_in(&page).await;
        let event = server.events().await.into_iter().find(|e| e.kind == "user.login").unwrap();
        assert_eq!(event.personal.unwrap().0["ip"], counted);
    }
}

/// How long a server of these tests lets a connection stand still.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection on which one request was answered already.
fn used(server: &Server) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE * 10)).unwrap();
    assert!(answered(server, &mut socket));
    socket
}

fn answered(server: &Server, socket: &mut TcpStream) -> bool {
    let mut answer = [0; 4096];
    write!(socket, "GET /healthz HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", server.port).is_ok()
        && socket.read(&mut answer).is_ok_and(|n| answer[..n].starts_with(b"HTTP/1.1 200"))
}

#[tokio::test]
async fn a_connection_that_trickles_or_idles_is_closed__ht_02() {
    let server = Server::start_within(PATIENCE).await;
    let post = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 999\r\n\r\n",
        server.port
    );
    for begins in ["", "G", "\r\n\r\nGET / HTTP/1.1\r\nX: ", &post] {
        let mut socket = used(&server);
        let began = Instant::now();
        socket.write_all(begins.as_bytes()).unwrap();
        socket.set_read_timeout(Some(PATIENCE / 5)).unwrap();
        let mut answer = [0; 1];
        // Further bytes, one at a time, win no time; before the first one nothing is sent.
        while socket.read(&mut answer).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock) {
            assert!(began.elapsed() < PATIENCE * 4, "{begins:?}: still open");
            if !begins.is_empty() {
                socket.write_all(b"x").ok();
            }
        }
        assert!(began.elapsed() > PATIENCE / 2, "{begins:?}: closed at once");
    }
}

#[tokio::test]
async fn whoever_asks_and_never_reads_is_cut_off__ht_02() {
    let server = Server::start_within(PATIENCE).await;
    let page = Browser::new(&server).follow("/login").await;
    let style = page.body.split('"').find(|text| text.starts_with("/assets/app-") && text.ends_with(".css")).unwrap();
    let mut socket = used(&server);
    socket.set_write_timeout(Some(PATIENCE / 5)).unwrap();
    let requests = format!("GET {style} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", server.port).repeat(100);
    let began = Instant::now();
    loop {
        match socket.write(requests.as_bytes()) {
            Err(e) if e.kind() != std::io::ErrorKind::WouldBlock => break,
            _ => assert!(began.elapsed() < Duration::from_secs(40), "still open"),
        }
    }
    assert_eq!(rp::answered(crate::support::browser::http().get(server.url("/healthz"))).await.status, 200);
}

#[tokio::test]
async fn a_connection_in_use_outlives_the_patience_for_one_that_stands_still() {
    let server = Server::start_within(PATIENCE).await;
    let mut socket = used(&server);
    let began = Instant::now();
    while began.elapsed() < PATIENCE * 3 {
        std::thread::sleep(PATIENCE / 2);
        // In two parts, so that a request under way is waited for too.
        socket.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
        std::thread::sleep(PATIENCE / 4);
        let mut answer = [0; 4096];
        write!(socket, "Host: localhost:{}\r\n\r\n", server.port).unwrap();
        assert!(socket.read(&mut answer).is_ok_and(|n| answer[..n].starts_with(b"HTTP/1.1 200")));
    }
}
