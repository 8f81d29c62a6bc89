//! The load: plain HTTP/1.1 over kept-alive sockets, one thread a connection, so that it costs little itself.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BINARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/release/keyward");
const PASSWORD: &str = "seven quiet llamas by the sea";
const CALLBACK: &str = "https://app.example/cb";
const VERIFIER: &str = "a-verifier-of-more-than-forty-three-characters-0123456789";
pub const USERS: usize = 16;

#[derive(Clone, Copy)]
pub enum Alg {
    Rs256,
    Es256,
}

pub struct Server {
    dir: TempDir,
    child: Mutex<Child>,
    port: u16,
}

/// What one load found.
pub struct Load {
    /// CPU of the server per finished piece of work.
    pub cpu_ms: f64,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub errors: usize,
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn command(dir: &TempDir, port: u16, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).arg("--data-dir").arg(dir.path());
    command.env("KEYWARD__SERVER__LISTEN", format!("127.0.0.1:{port}"));
    command.env("KEYWARD__LIMITS__SIGN_IN_PER_ADDRESS", "1000000").env("KEYWARD__LIMITS__FLOWS_PER_ADDRESS", "1000000");
    command.env("KEYWARD__LIMITS__SIGN_IN_PER_ACCOUNT", "1000000").env("KEYWARD__LIMITS__SIGN_IN_ATTEMPTS", "1000000");
    command.env("LOG_LEVEL", "warn");
    command
}

fn spawn(dir: &TempDir, port: u16) -> (Child, Duration) {
    let began = Instant::now();
    let child =
        command(dir, port, &["serve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("make release first");
    while !answers(port) {
        assert!(began.elapsed() < Duration::from_secs(20), "the server does not start");
        std::thread::sleep(Duration::from_millis(1));
    }
    (child, began.elapsed())
}

fn answers(port: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let asked = write!(
        socket,
        "GET /.well-known/openid-configuration HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    );
    let mut text = String::new();
    asked.is_ok() && socket.read_to_string(&mut text).is_ok() && text.starts_with("HTTP/1.1 200")
}

fn cpu_ms(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime, in hundredths of a second.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10.0
}

impl Server {
    pub fn start() -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let (child, _) = spawn(&dir, port);
        Self { dir, child: Mutex::new(child), port }
    }

    fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    pub fn resident_mb(&self) -> u64 {
        resident_mb(self.pid())
    }

    pub fn stop(&self) {
        let mut child = self.child.lock().unwrap();
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        let _ = child.wait();
    }

    fn say(&self, args: &[&str], input: &str) -> Value {
        let mut child = command(&self.dir, self.port, args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{args:?}");
        serde_json::from_slice(&out.stdout).unwrap_or(Value::Null)
    }
}

fn resident_mb(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Start-up on an existing database, five times; resident memory five seconds after the last start and after 200 logins.
pub fn starts(server: &Server) -> String {
    let mut times = vec![];
    for _ in 0..5 {
        let (mut child, took) = spawn(&server.dir, server.port);
        times.push(took);
        let _ = child.kill();
        let _ = child.wait();
    }
    times.sort();
    let (child, _) = spawn(&server.dir, server.port);
    *server.child.lock().unwrap() = child;
    std::thread::sleep(Duration::from_secs(5));
    let idle = server.resident_mb();
    for n in 0..200 {
        let mut connection = Connection::open(server.port);
        assert!(login(&mut connection, &mut BTreeMap::new(), n), "a login failed");
    }
    let after = server.resident_mb();
    server.stop();
    let size = std::fs::metadata(BINARY).unwrap().len() / 1_000_000;
    format!(
        "start to first 200 on an existing database: {} ms (median of 5)\nresident five seconds after start: {idle} MB; after 200 logins: {after} MB\nbinary: {size} MB",
        times[2].as_millis()
    )
}

pub struct Connection {
    socket: TcpStream,
    port: u16,
    buffer: Vec<u8>,
}

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    fn header(&self, name: &str) -> impl Iterator<Item = &str> {
        self.head
            .lines()
            .filter_map(move |l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v))
    }

    fn text(&self, name: &str) -> String {
        let json: Value = serde_json::from_str(&self.body).unwrap_or(Value::Null);
        json[name].as_str().unwrap_or_else(|| panic!("no {name}: {} {}", self.status, self.body)).to_owned()
    }
}

impl Connection {
    pub fn open(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, port, buffer: vec![] }
    }

    pub fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let form = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", body.len())
        };
        let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\n{headers}{form}\r\n{body}", self.port);
        self.socket.write_all(text.as_bytes()).unwrap();
        self.buffer.clear();
        let mut chunk = [0; 16 * 1024];
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            let n = self.socket.read(&mut chunk).unwrap();
            assert!(n > 0, "the server closed the connection");
            self.buffer.extend_from_slice(&chunk[..n]);
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|l| {
                l.to_ascii_lowercase().strip_prefix("content-length: ").map(|n| n.trim().parse::<usize>().unwrap())
            })
            .unwrap_or(0);
        while self.buffer.len() < end + 4 + length {
            let n = self.socket.read(&mut chunk).unwrap();
            assert!(n > 0, "the server closed the connection");
            self.buffer.extend_from_slice(&chunk[..n]);
        }
        let status = head[9..12].parse().unwrap();
        Answer { status, body: String::from_utf8_lossy(&self.buffer[end + 4..end + 4 + length]).into_owned(), head }
    }
}

struct Person {
    cookies: BTreeMap<String, String>,
    access_token: String,
    refresh_token: String,
}

pub struct Driver {
    rs256: String,
    es256: String,
    web: String,
    web_id: String,
    people: Vec<Mutex<Person>>,
}

fn basic(client: &Value) -> String {
    let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{id}:{secret}")))
}

fn cookies(jar: &BTreeMap<String, String>) -> String {
    let line: Vec<String> = jar.iter().map(|(k, v)| format!("{k}={v}")).collect();
    if line.is_empty() { String::new() } else { format!("Cookie: {}\r\n", line.join("; ")) }
}

fn keep(jar: &mut BTreeMap<String, String>, answer: &Answer) {
    for line in answer.header("set-cookie") {
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        jar.insert(name.to_owned(), value.to_owned());
    }
}

fn hidden(body: &str, name: &str) -> String {
    let at = body.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no {name} on {body}"));
    let value = &body[at + body[at..].find("value=\"").unwrap() + 7..];
    value[..value.find('"').unwrap()].to_owned()
}

/// A whole sign-in at the account, from the first page to the cookie.
fn login(connection: &mut Connection, jar: &mut BTreeMap<String, String>, n: usize) -> bool {
    let answer = connection.ask("GET", "/login", &cookies(jar), "");
    keep(jar, &answer);
    let location = answer.header("location").next().unwrap().to_owned();
    let page = connection.ask("GET", &location, &cookies(jar), "");
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("flow", &hidden(&page.body, "flow"))
        .append_pair("csrf", &hidden(&page.body, "csrf"))
        .append_pair("identifier", &format!("user{}@example.com", n % USERS))
        .append_pair("password", PASSWORD)
        .append_pair("decision", "continue")
        .finish();
    let answer = connection.ask("POST", "/login", &cookies(jar), &form);
    keep(jar, &answer);
    answer.status == 303 && answer.header("location").next() == Some("/account")
}

impl Driver {
    pub fn prepare(server: &Server) -> Self {
        let machine = |alg| {
            server.say(
                &[
                    "client",
                    "create",
                    "--name",
                    "m",
                    "--grant",
                    "client_credentials",
                    "--scope",
                    "api",
                    "--access-token-signed-response-alg",
                    alg,
                    "--json",
                ],
                "",
            )
        };
        let web =
            server.say(&["client", "create", "--name", "w", "--redirect-uri", CALLBACK, "--first-party", "--json"], "");
        for n in 0..USERS {
            let email = format!("user{n}@example.com");
            server.say(
                &[
                    "user",
                    "create",
                    "--email",
                    &email,
                    "--name",
                    "Bench",
                    "--password-stdin",
                    "--email-verified",
                    "--json",
                ],
                PASSWORD,
            );
        }
        let mut driver = Self {
            rs256: basic(&machine("RS256")),
            es256: basic(&machine("ES256")),
            web: basic(&web),
            web_id: web["client_id"].as_str().unwrap().to_owned(),
            people: vec![],
        };
        std::thread::sleep(Duration::from_secs(1));
        for n in 0..USERS {
            let mut connection = Connection::open(server.port);
            let mut jar = BTreeMap::new();
            assert!(login(&mut connection, &mut jar, n), "nobody can sign in");
            let tokens = driver.tokens(&mut connection, &jar);
            driver.people.push(Mutex::new(Person {
                cookies: jar,
                access_token: tokens.text("access_token"),
                refresh_token: tokens.text("refresh_token"),
            }));
        }
        driver
    }

    fn tokens(&self, connection: &mut Connection, jar: &BTreeMap<String, String>) -> Answer {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", &self.web_id),
                ("redirect_uri", CALLBACK),
                ("scope", "openid profile email offline_access"),
            ])
            .extend_pairs([
                ("state", "s"),
                ("nonce", "n"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ])
            .finish();
        let answer = connection.ask("GET", &format!("/oauth2/authorize?{query}"), &cookies(jar), "");
        let location = url::Url::parse(answer.header("location").next().unwrap()).unwrap();
        let code =
            location.query_pairs().find(|(n, _)| n == "code").unwrap_or_else(|| panic!("{location}")).1.into_owned();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", CALLBACK),
                ("code_verifier", VERIFIER),
            ])
            .finish();
        connection.ask("POST", "/oauth2/token", &self.web, &form)
    }

    pub fn client_credentials(&self, connection: &mut Connection, alg: Alg) -> bool {
        let auth = match alg {
            Alg::Rs256 => &self.rs256,
            Alg::Es256 => &self.es256,
        };
        connection.ask("POST", "/oauth2/token", auth, "grant_type=client_credentials&scope=api").status == 200
    }

    pub fn code_flow(&self, connection: &mut Connection, n: usize) -> bool {
        let jar = self.people[n % USERS].lock().unwrap().cookies.clone();
        self.tokens(connection, &jar).status == 200
    }

    pub fn login(&self, connection: &mut Connection, n: usize) -> bool {
        login(connection, &mut BTreeMap::new(), n)
    }

    pub fn refresh(&self, connection: &mut Connection, n: usize) -> bool {
        let mut person = self.people[n % USERS].lock().unwrap();
        let answer = connection.ask(
            "POST",
            "/oauth2/token",
            &self.web,
            &format!("grant_type=refresh_token&refresh_token={}", person.refresh_token),
        );
        if answer.status == 200 {
            person.refresh_token = answer.text("refresh_token");
            person.access_token = answer.text("access_token");
        }
        answer.status == 200
    }

    pub fn introspect(&self, connection: &mut Connection, n: usize) -> bool {
        let token = self.people[n % USERS].lock().unwrap().access_token.clone();
        let answer = connection.ask("POST", "/oauth2/introspect", &self.web, &format!("token={token}"));
        answer.status == 200 && answer.body.contains("\"active\":true")
    }

    pub fn userinfo(&self, connection: &mut Connection, n: usize) -> bool {
        let token = self.people[n % USERS].lock().unwrap().access_token.clone();
        connection.ask("GET", "/oauth2/userinfo", &format!("Authorization: Bearer {token}\r\n"), "").status == 200
    }
}

/// One piece of work on a connection, as the person of this number; whether it went well.
pub type Work<'a> = dyn Fn(&mut Connection, usize) -> bool + Sync + 'a;

/// Each thread has a connection and does one piece of work after the other until the time is over.
pub fn drive(server: &Server, threads: usize, span: Duration, work: &Work<'_>) -> Load {
    let warm = Instant::now();
    let mut first = Connection::open(server.port);
    while warm.elapsed() < Duration::from_millis(500) {
        work(&mut first, 0);
    }
    let before = cpu_ms(server.pid());
    let began = Instant::now();
    let results: Vec<(Vec<f64>, usize)> = scoped(threads, |n| {
        let mut connection = Connection::open(server.port);
        let (mut times, mut errors) = (vec![], 0);
        while began.elapsed() < span {
            let start = Instant::now();
            if work(&mut connection, n) { times.push(start.elapsed().as_secs_f64() * 1000.0) } else { errors += 1 }
        }
        (times, errors)
    });
    let took = began.elapsed().as_secs_f64();
    let cpu = cpu_ms(server.pid()) - before;
    let mut times: Vec<f64> = results.iter().flat_map(|(t, _)| t.iter().copied()).collect();
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times.get(((times.len() as f64 - 1.0) * q) as usize).copied().unwrap_or(f64::NAN);
    Load {
        cpu_ms: cpu / times.len().max(1) as f64,
        per_second: times.len() as f64 / took,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        errors: results.iter().map(|(_, e)| e).sum(),
    }
}

fn scoped<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|n| {
                scope.spawn({
                    let work = &work;
                    move || work(n)
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    })
}
