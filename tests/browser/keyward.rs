//! The real server, as an operator runs it: the binary, its command line, a data directory of its own.

use crate::process::{Running, free_port, say, tied};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_keyward");

/// A running server behind the address that browsers see.
pub struct Keyward {
    _running: Running,
    data: PathBuf,
    pub port: u16,
}

/// What `keyward client create` printed.
pub struct Registered {
    pub client_id: String,
    pub client_secret: String,
}

impl Keyward {
    /// Starts it on a free port and returns when it is ready: it listens before it has made everything.
    pub fn start(home: &Path, public_url: &str, environment: &[(&str, &str)]) -> Self {
        let data = home.join("data");
        let port = free_port();
        let mut command = tied(BINARY);
        clean(&mut command);
        command.envs(environment.iter().copied());
        command.env("KEYWARD__SERVER__TRUSTED_PROXIES", "127.0.0.1/32,::1/128");
        command.arg("serve").arg("--data-dir").arg(&data);
        command.args(["--listen", &format!("127.0.0.1:{port}"), "--public-url", public_url]);
        let mut running = Running::start(command, &home.join("keyward.log"));
        running.listens_on(port);
        running.says("Ready in");
        Self { _running: running, data, port }
    }

    /// A person with a proven address.
    pub fn user(&self, email: &str, name: &str, password: &str) {
        let mut command = self.command(&["user", "create"]);
        command.args(["--email", email, "--name", name, "--password-stdin", "--email-verified"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&done.stderr));
    }

    /// A confidential client.
    pub fn client(&self, name: &str, redirect_uri: &str, post_logout_redirect_uri: &str) -> Registered {
        let mut command = self.command(&["client", "create"]);
        command.args(["--name", name, "--redirect-uri", redirect_uri]);
        command.args(["--post-logout-redirect-uri", post_logout_redirect_uri, "--json"]);
        let json: Value = serde_json::from_str(&say(&mut command)).unwrap();
        let text = |key: &str| json[key].as_str().unwrap_or_else(|| panic!("no {key} in {json}")).to_owned();
        Registered { client_id: text("client_id"), client_secret: text("client_secret") }
    }

    fn command(&self, what: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        clean(&mut command);
        command.args(what).arg("--data-dir").arg(&self.data);
        command
    }
}

/// What a developer has set for their own server must not reach the tests.
fn clean(command: &mut Command) {
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
}
