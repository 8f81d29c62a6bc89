//! A real Chromium through chromedriver, with a profile of its own that trusts the test's authority and nothing odd else.

use crate::process::{Running, free_port, say, tied, wait};
use base64::Engine;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use url::{ParseError, Url};

/// How long a page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const WIDTHS: [u32; 3] = [360, 768, 1280];

/// One browser with one profile.
pub struct Browser {
    client: Client,
    _driver: Driver,
}

impl Browser {
    pub async fn open(home: &Path, authority: &Path) -> Self {
        trust(home, authority);
        let port = free_port();
        let mut command = tied("chromedriver");
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", home).env("LANG", "C.UTF-8");
        command.env("TMPDIR", home).arg(format!("--port={port}")).arg("--log-level=WARNING");
        let mut running = Running::start(command, &home.join("chromedriver.log"));
        running.listens_on(port);
        let driver = Driver { port, _running: running };
        let capabilities = json!({
            "acceptInsecureCerts": false,
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "binary": "/usr/bin/chromium",
                "prefs": { "intl.accept_languages": "en" },
                "args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
                    "--no-first-run", "--disable-background-networking", "--disable-component-update",
                    "--disable-sync", "--disable-extensions", "--password-store=basic", "--hide-scrollbars",
                    format!("--user-data-dir={}", home.join("profile").display()),
                ],
            },
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(serde_json::from_value(capabilities).unwrap())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|e| panic!("no browser: {e}"));
        Self { client, _driver: driver }
    }

    pub async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|e| panic!("{url}: {e}"));
    }

    pub async fn url(&self) -> Url {
        self.client.current_url().await.unwrap()
    }

    /// The element, as soon as it is there. Fails with what the page says instead.
    pub async fn find(&self, css: &str) -> Element {
        match self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(e) => panic!("no {css} on {}: {e}; the page says:\n{}", self.url().await, self.words().await),
        }
    }

    /// Whether the page that is shown has it now.
    pub async fn has(&self, css: &str) -> bool {
        self.client.find(Locator::Css(css)).await.is_ok()
    }

    /// The visible text of an element.
    pub async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap()
    }

    /// What a field holds.
    pub async fn value(&self, css: &str) -> String {
        self.find(css).await.prop("value").await.unwrap().unwrap_or_default()
    }

    /// All words of the page.
    pub async fn words(&self) -> String {
        let text = self.run("return document.documentElement.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap_or_else(|e| panic!("{css} cannot be clicked: {e}"));
    }

    /// Clicks and returns when another document has come.
    pub async fn submit(&self, css: &str) {
        self.run("window.keywardSame = true").await;
        self.click(css).await;
        self.another_page().await;
    }

    /// Presses keys as a keyboard does: text, or one of WebDriver's special keys.
    pub async fn press(&self, keys: &str) {
        let mut typed = KeyActions::new("keyboard".into());
        for value in keys.chars() {
            typed = typed.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.client.perform_actions(typed).await.unwrap();
    }

    /// Tabs until the focus is on it; fails when it cannot be reached.
    pub async fn tab_to(&self, css: &str) {
        let script = "return document.activeElement !== null && document.activeElement.matches(arguments[0])";
        for _ in 0..30 {
            if self.client.execute(script, vec![json!(css)]).await.unwrap() == json!(true) {
                return;
            }
            self.press("\u{e004}").await;
        }
        panic!("the keyboard cannot reach {css} on {}", self.url().await);
    }

    /// Presses Enter and returns when another document has come.
    pub async fn enter(&self) {
        self.run("window.keywardSame = true").await;
        self.press("\u{e007}").await;
        self.another_page().await;
    }

    async fn another_page(&self) {
        // Between two documents a script may find none to run in.
        let script = "return window.keywardSame !== true && document.readyState === 'complete'";
        for _ in 0..PATIENCE.as_millis() / 50 {
            if matches!(self.client.execute(script, vec![]).await, Ok(Value::Bool(true))) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("still on {}, which says:\n{}", self.url().await, self.words().await);
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap_or_else(|e| panic!("{script}: {e}"))
    }

    /// All cookies of the profile with their attributes, whichever origin they belong to.
    pub async fn cookies(&self) -> Vec<Value> {
        let all = self.devtools("Network.getAllCookies", json!({})).await;
        all["cookies"].as_array().cloned().unwrap_or_default()
    }

    /// Drops the cookies of one host, as if its sessions had run out.
    pub async fn forget(&self, host: &str) {
        for cookie in self.cookies().await.iter().filter(|c| c["domain"] == host) {
            let which = json!({ "name": cookie["name"], "domain": host, "path": cookie["path"] });
            self.devtools("Network.deleteCookies", which).await;
        }
    }

    /// What the browser itself objected to: broken content security policies, mixed content, bad cookies.
    pub async fn objections(&self) -> Vec<String> {
        let log = self.issue("se/log", json!({ "type": "browser" })).await;
        let messages = log.as_array().cloned().unwrap_or_default();
        let said = messages.iter().filter(|m| {
            // A page that is an error page on purpose is reported too.
            m["level"] == "SEVERE" && !m["message"].as_str().unwrap_or_default().contains("Failed to load resource")
        });
        said.map(ToString::to_string).collect()
    }

    /// Looks at the page as phones, tablets and desktops show it, light and dark: nothing may run out of the side. With
    /// KEYWARD_SCREENSHOTS set, pictures are kept in target/screenshots.
    pub async fn look(&self, name: &str) {
        for width in WIDTHS {
            let screen = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500 });
            self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
            for scheme in ["light", "dark"] {
                // Without motion, so that no picture is taken in the middle of a change of colours.
                let still = json!({ "name": "prefers-reduced-motion", "value": "reduce" });
                let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }, still] });
                self.devtools("Emulation.setEmulatedMedia", media).await;
                let broad = self.run("return document.documentElement.scrollWidth").await;
                assert!(broad.as_u64() <= Some(width.into()), "{name} is {broad} px broad at {width} px");
                if let Some(folder) = pictures() {
                    let whole = json!({ "format": "png", "captureBeyondViewport": true });
                    let shot = self.devtools("Page.captureScreenshot", whole).await;
                    let png = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
                    std::fs::write(folder.join(format!("{name}-{width}-{scheme}.png")), png).unwrap();
                }
            }
        }
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [] })).await;
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.issue("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    async fn issue(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Extension { path, body }).await.unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}

/// A command that chromedriver has beside the standard's.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(self.body.to_string()))
    }
}

/// chromedriver; told to end its browsers before it goes.
struct Driver {
    port: u16,
    _running: Running,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let _ = write!(stream, "GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port);
        let _ = stream.read_to_end(&mut Vec::new());
        wait(Duration::from_secs(5), || TcpStream::connect(("127.0.0.1", self.port)).is_err());
    }
}

/// Puts the authority where Chromium looks for those that its user added.
fn trust(home: &Path, authority: &Path) {
    let store = home.join(".pki/nssdb");
    std::fs::create_dir_all(&store).unwrap();
    let store = format!("sql:{}", store.display());
    say(Command::new("certutil").args(["-d", &store, "-N", "--empty-password"]));
    say(Command::new("certutil").args(["-d", &store, "-A", "-n", "test", "-t", "C,,", "-i"]).arg(authority));
}

#[allow(clippy::disallowed_methods, reason = "not configuration of the server")]
fn pictures() -> Option<PathBuf> {
    std::env::var_os("KEYWARD_SCREENSHOTS")?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    Some(folder)
}
