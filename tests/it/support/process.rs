//! The real program as a process of its own: commands, and a server that can be told to stop, or killed.

use super::database::Database;
use sea_orm::{EntityTrait, QueryOrder};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_keyward");
/// Whatever a process is waited for ends within this, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// One that the command line takes: the rules for new passwords hold there.
pub const PASSWORD: &str = "seven purple bicycles lean there";

/// A place to run the program in: a data directory, a database and a port of its own.
pub struct House {
    dir: TempDir,
    pub port: u16,
    /// What the program finds in its environment, beside `PATH`.
    pub environment: Vec<(String, String)>,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Of a command that did what it was told.
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    pub fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// The one clear line of a command that failed.
    pub fn refused(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.err.contains("panicked") && self.out.is_empty(), "{self:?}");
        let lines: Vec<&str> = self.err.lines().filter(|l| l.starts_with("keyward: ")).collect();
        assert_eq!(lines.len(), 1, "{self:?}");
        lines[0].to_owned()
    }
}

/// A port that nobody has. Below the range that the kernel gives to outgoing connections.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 10_000 + u16::try_from(uuid::Uuid::new_v4().as_u128() % 9_000).unwrap();
    NEXT.compare_exchange(0, start, Ordering::Relaxed, Ordering::Relaxed).ok();
    loop {
        let port = 10_000 + (NEXT.fetch_add(1, Ordering::Relaxed) % 9_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl House {
    /// On the database under test.
    pub async fn new() -> Self {
        let mut house = Self::empty();
        let database = Database::new(house.dir.path()).await;
        if !database.is_file() {
            house.environment.push(("DATABASE_URL".into(), database.url()));
        }
        house
    }

    /// On a SQLite file that is not there yet, whatever is under test.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let environment = [
            ("KEYWARD__PASSWORD__MEMORY_KIB", "7168"),
            ("KEYWARD__PASSWORD__ITERATIONS", "1"),
            ("KEYWARD__DATABASE__POOL_SIZE", "8"),
            ("KEYWARD__SERVER__WORKERS", "2"),
        ];
        let environment = environment.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        Self { dir, port: free_port(), environment }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(n, _)| n != name);
        self.environment.push((name.into(), value.into()));
    }

    /// Not there before the first start.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The database behind the program's back.
    pub async fn connect(&self) -> sea_orm::DatabaseConnection {
        let file = format!("sqlite://{}", self.data().join("keyward.db").display());
        let url = self.environment.iter().find(|(n, _)| n == "DATABASE_URL").map_or(file, |(_, v)| v.clone());
        let mut options = sea_orm::ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        sea_orm::Database::connect(options).await.unwrap()
    }

    /// Every audit event, oldest first.
    pub async fn events(&self) -> Vec<entity::audit_event::Model> {
        let db = self.connect().await;
        let events = entity::audit_event::Entity::find().order_by_asc(entity::audit_event::Column::At).all(&db).await;
        db.close().await.unwrap();
        events.unwrap()
    }

    /// Where else a test may put files.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn issuer(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_by(Command::new(PROGRAM), arguments)
    }

    /// As a user without any rights, when tests run as root, whom no file mode stops.
    pub fn powerless(&self, arguments: &[&str]) -> Command {
        let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        if !root {
            return self.command(arguments);
        }
        let mut runuser = Command::new("runuser");
        runuser.args(["-u", "nobody", "--", PROGRAM]);
        self.command_by(runuser, arguments)
    }

    /// A server that `ulimit` gives so few descriptors, such as `-S -n 64` (the soft limit alone).
    pub fn serve_limited(&self, limit: &str) -> Serving {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\""), PROGRAM]);
        let listen = format!("127.0.0.1:{}", self.port);
        let command = self.command_by(shell, &["serve", "--listen", &listen]);
        Serving::start(command).unwrap_or_else(|said| panic!("the server did not start: {said:?}"))
    }

    fn command_by(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).env_clear().current_dir(self.dir.path());
        command.env("KEYWARD__SERVER__DATA_DIR", self.data());
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(self.environment.iter().cloned());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        finished(self.command(arguments), "")
    }

    pub fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        finished(self.command(arguments), input)
    }

    /// Makes somebody with the password of all tests.
    pub fn person(&self, email: &str, more: &[&str]) {
        let arguments = ["user", "create", "--email", email, "--name", "Ada Lovelace", "--password-stdin"];
        self.run_with(&[&arguments[..], more].concat(), PASSWORD).done();
    }

    fn serve_command(&self, more: &[&str]) -> Command {
        let (listen, url) = (format!("127.0.0.1:{}", self.port), self.issuer());
        self.command(&[&["serve", "--listen", &listen, "--public-url", &url], more].concat())
    }

    pub fn serve(&self) -> Serving {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, more: &[&str]) -> Serving {
        Serving::start(self.serve_command(more)).unwrap_or_else(|said| panic!("the server did not start: {said:?}"))
    }

    /// A start that is to fail.
    pub fn does_not_serve(&self, more: &[&str]) -> Said {
        match Serving::start(self.serve_command(more)) {
            Ok(serving) => panic!("it started: {}", serving.log()),
            Err(said) => said,
        }
    }
}

/// Runs a command to its end.
pub fn finished(mut command: Command, input: &str) -> Said {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    let pid = child.id();
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let (told, hear) = mpsc::channel();
    std::thread::spawn(move || told.send(child.wait_with_output().unwrap()));
    let Ok(output) = hear.recv_timeout(PATIENCE) else {
        signal("KILL", pid);
        panic!("a command did not end: {command:?}");
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn signal(name: &str, pid: u32) {
    Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status().unwrap();
}

/// A running server, or worker. Killed when it is dropped.
pub struct Serving {
    child: Child,
    lines: mpsc::Receiver<String>,
    log: Arc<Mutex<String>>,
    /// While there is no administrator.
    pub setup_url: Option<String>,
}

impl Serving {
    fn start(command: Command) -> Result<Self, Said> {
        let mut serving = Self::spawn(command);
        while let Ok(line) = serving.lines.recv_timeout(PATIENCE) {
            let line = line.trim();
            if line.contains("/setup?token=") {
                serving.setup_url = Some(line.to_owned());
                return Ok(serving);
            }
            if line.starts_with("Discovery:") {
                return Ok(serving);
            }
        }
        Err(serving.said())
    }

    /// Starts something that says in its own way when it is ready.
    pub fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let (told, lines) = mpsc::channel();
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *kept.lock().unwrap() += &format!("{line}\n");
                told.send(line).ok();
            }
        });
        Self { child, lines, log, setup_url: None }
    }

    /// Everything that it has said so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line that holds this.
    pub fn hear(&self, part: &str) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.contains(part) {
                return;
            }
        }
        panic!("{part:?} was not said:\n{}", self.log());
    }

    /// Waits until nobody can come in any more.
    pub fn hear_end_of_listening(&self, port: u16) {
        let end = std::time::Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            assert!(std::time::Instant::now() < end, "it goes on listening:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What `/proc` has of the process.
    pub fn proc(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(name)
    }

    pub fn terminate(&self) {
        signal("TERM", self.child.id());
    }

    /// `kill -9`: nothing is finished, nothing is said.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.said().err
    }

    /// Waits for its end.
    pub fn said(&mut self) -> Said {
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        let code = self.child.wait().unwrap().code();
        let mut out = String::new();
        if let Some(stdout) = &mut self.child.stdout {
            stdout.read_to_string(&mut out).unwrap();
        }
        Said { code, out, err: self.log() }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Names below a directory, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).into_iter().flatten().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Asks again and again until it is so; fails when it is not in time.
pub async fn within(span: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = std::time::Instant::now() + span;
    while !holds().await {
        assert!(std::time::Instant::now() < end, "{what}: not within {span:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
