//! Redirect URIs that somebody might try instead of the registered `https://app.example.com/cb` (RFC 9700 section 4.1).

const WHOLE: &[&str] = &[
    // The authority.
    "https://app.example.com@evil.test/cb",
    "https://app.example.com:443@evil.test/cb",
    "https://evil.test@app.example.com/cb",
    "https://a@b@app.example.com/cb",
    "https://app.example.com%40evil.test/cb",
    "https://app.example.com%25@evil.test/cb",
    "https://app.example.com%2F@evil.test/cb",
    "https://app.example.com\\@evil.test/cb",
    "https://app.example.com\\evil.test/cb",
    "https:\\\\app.example.com\\cb",
    "https:/app.example.com/cb",
    "https:///app.example.com/cb",
    "https:app.example.com/cb",
    "//app.example.com/cb",
    "https://app.example.com.evil.test/cb",
    "https://evilapp.example.com/cb",
    "https://app-example.com/cb",
    "https://appXexample.com/cb",
    "https://app.example.com./cb",
    "https://app。example。com/cb",
    "https://ａpp.example.com/cb",
    "https://app.example.com%00.evil.test/cb",
    "https://app.example.com%09.evil.test/cb",
    "https://app.example.com;.evil.test/cb",
    "https://app.example.com:443/cb",
    "https://app.example.com:0443/cb",
    "https://app.example.com:/cb",
    "https://app.example.com:8443/cb",
    "https://app.example.com:99999/cb",
    "https://APP.example.com/cb",
    "HTTPS://app.example.com/cb",
    "http://app.example.com/cb",
    "https://xn--app-.example.com/cb",
    "https://[::ffff:127.0.0.1]/cb",
    "https://2130706433/cb",
    "https://0x7f000001/cb",
    "https://0177.0.0.1/cb",
    "https://127.1/cb",
    "https://[fe80::1%25eth0]/cb",
    "https:///cb",
    // The scheme.
    "javascript:alert(1)//https://app.example.com/cb",
    "JavaScript:alert(1)",
    "java\tscript:alert(1)",
    "\u{1}javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "blob:https://app.example.com/1",
    "file:///cb",
    "about:blank",
    "intent://app.example.com/cb#Intent;scheme=https;end",
    "view-source:https://app.example.com/cb",
    "app:cb",
    " https://app.example.com/cb",
    "https://app.example.com/cb\n",
    "https%3A//app.example.com/cb",
    // Loopback, where it was not registered.
    "http://127.0.0.1/cb",
    "http://localhost/cb",
];

const BEHIND: &[&str] = &[
    "/cb/",
    "/CB",
    "/cb/..",
    "/cb/../evil",
    "/cb/..;/evil",
    "/cb/%2e%2e/evil",
    "/cb/..%2fevil",
    "/cb/..%5cevil",
    "/cb%2f..%2fevil",
    "/%63b",
    "/cb%00",
    "/cb%0d%0aX:1",
    "/cb%20",
    "/cb ",
    "/cb\\",
    "/./cb",
    "//cb",
    "/cb;x",
    "/cb?",
    "/cb?x=1",
    "/cb?redirect_uri=https://evil.test",
    "/cb?code=x&state=y",
    "/cb#",
    "/cb#_",
    "/cb#@evil.test",
    "/cb?x=https://evil.test#",
    "/cb?%23",
    "/cb%EF%BC%8F",
    "",
    "/",
];

pub fn redirects() -> Vec<String> {
    let mut all: Vec<String> = WHOLE.iter().map(|v| (*v).to_owned()).collect();
    for path in BEHIND {
        all.push(format!("https://app.example.com{path}"));
        let again: String = path
            .chars()
            .map(|c| match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '/' => c.to_string(),
                '%' => "%25".to_owned(),
                other => format!("%{:02X}", other as u32),
            })
            .collect();
        all.push(format!("https://app.example.com{again}"));
        all.push(format!("https://app.example.com{}", again.replace('%', "%25")));
    }
    all.retain(|v| v != "https://app.example.com/cb");
    all.sort_unstable();
    all.dedup();
    assert!(all.len() >= 80, "RD-03");
    all
}

/// What may be sent for the registered `http://127.0.0.1/cb` (RFC 8252 section 7.3), and what may not.
pub const LOOPBACK: &[(&str, bool)] = &[
    ("http://127.0.0.1/cb", true),
    ("http://127.0.0.1:1/cb", true),
    ("http://127.0.0.1:65535/cb", true),
    ("http://127.0.0.1:0/cb", false),
    ("http://127.0.0.1:65536/cb", false),
    ("http://127.0.0.1:080/cb", false),
    ("http://127.0.0.1:/cb", false),
    ("http://127.0.0.1:80@evil.test/cb", false),
    ("http://127.0.0.1.evil.test/cb", false),
    ("http://127.0.0.2/cb", false),
    ("http://localhost/cb", false),
    ("http://localhost.evil.test/cb", false),
    ("https://127.0.0.1/cb", false),
    ("http://127.0.0.1/other", false),
    ("http://127.0.0.1/cb?x", false),
    ("http://[::1]/cb", false),
    ("http://[0:0:0:0:0:0:0:1]/cb", false),
    ("http://127.1/cb", false),
];
