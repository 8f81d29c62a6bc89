//! Programs that a test starts: as an ordinary user, logged to a file, ended with the test whatever happens.

use std::fs::{File, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What runs until it is dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it, with what it prints in `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let file = File::create(log).unwrap();
        // Apache opens it once more, as its own user.
        file.set_permissions(Permissions::from_mode(0o666)).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|e| panic!("{:?} does not start: {e}", command.get_program()));
        Self { child, log: log.to_owned() }
    }

    /// Returns when something listens on the port. Fails with the log when the program ended or half a minute passed.
    pub fn listens_on(&mut self, port: u16) {
        let ready = wait(Duration::from_secs(30), || {
            assert!(self.child.try_wait().unwrap().is_none(), "ended at once; it said:\n{}", self.log());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(ready, "nothing listens on port {port}; it said:\n{}", self.log());
    }

    /// Returns when it has said this.
    pub fn says(&mut self, what: &str) {
        let said = wait(Duration::from_secs(30), || self.log().contains(what));
        assert!(said, "it never said {what:?}, but:\n{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} (its end)\n{}", self.log.display(), end_of(&self.log()));
        }
        let pid = self.child.id().to_string();
        // Asked first: Apache and chromedriver have processes of their own to end.
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        if !wait(Duration::from_secs(5), || matches!(self.child.try_wait(), Ok(Some(_)))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The last lines of a log.
pub fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// Looks again and again; false when it never came true.
pub fn wait(longest: Duration, mut what: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + longest;
    loop {
        if what() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        sleep(Duration::from_millis(20));
    }
}

/// Ends with the thread that started it, even when that is killed.
pub fn tied(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--", program]);
    command
}

/// The same, never as root: root becomes the user that the distribution's Apache has.
pub fn tied_as_ordinary_user(program: &str) -> Command {
    if !root() {
        return tied(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "www-data",
        "--regid",
        "www-data",
        "--clear-groups",
        "--pdeathsig",
        "TERM",
        "--",
        program,
    ]);
    command
}

/// A folder that the ordinary user can write.
pub fn folder_of_ordinary_user(path: &Path) {
    std::fs::create_dir_all(path).unwrap();
    if root() {
        chown(path, Some(id("-u")), Some(id("-g"))).unwrap();
    }
}

fn root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn id(which: &str) -> u32 {
    say(Command::new("id").args([which, "www-data"])).trim().parse().unwrap()
}

/// Runs it to its end and returns what it printed; fails with its error text.
pub fn say(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|e| panic!("{:?} does not start: {e}", command.get_program()));
    assert!(done.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A port that nobody listens on and that no other test of this run is given. Below the range from which the kernel takes
/// ports for outgoing connections, so that none of these can come to hold it, or even meet itself there.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const MANY: u16 = 8_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs at once on one machine begin at different places.
    let start = (std::process::id() % u32::from(MANY)) as u16;
    loop {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % MANY;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
