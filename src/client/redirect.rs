//! Redirect URIs: which may be registered, and when a sent one is the registered one.

use url::{Host, Url};

/// A redirect URI that was fit to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    /// For `http` on a loopback address: the text before and after the port, which may differ (RFC 8252 section 7.3).
    loopback: Option<(String, String)>,
}

/// Why a URI cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(&'static str);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

const LONGEST: usize = 2_000;
/// Schemes that run, read or show something here instead of leading to an application.
const NEVER: &[&str] = &[
    "javascript",
    "data",
    "vbscript",
    "file",
    "blob",
    "about",
    "intent",
    "view-source",
    "filesystem",
    "ws",
    "wss",
    "ftp",
    "mailto",
    "tel",
];

impl RedirectUri {
    /// # Errors
    /// Why not, for the person who registers it.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(Refused("must be 1 to 2000 characters long"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Refused("must be ASCII without blanks or control characters"));
        }
        if text.contains(['\\', '#', '*', '<', '>', '"', '{', '}', '|', '^', '`']) {
            // RFC 6749 section 3.1.2: no fragment. OAuth 2.1 section 2.3.1: no pattern.
            return Err(Refused("must have no fragment, wildcard, backslash or other character that URIs do not have"));
        }
        let url = Url::parse(text).map_err(|_| Refused("is not an absolute URI"))?;
        if NEVER.contains(&url.scheme()) {
            return Err(Refused("has a scheme that does not lead to an application"));
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(Refused("must name no user"));
        }
        let lower = text.to_ascii_lowercase();
        if path_of(text).split('/').any(|s| matches!(s, "." | "..") || s.starts_with("..;"))
            || lower.contains("%2e")
            || lower.contains("%00")
            || lower.contains("%5c")
        {
            return Err(Refused("must have no dot segments or disguised ones in its path"));
        }
        match url.scheme() {
            "https" | "http" => Self::web(text, &url),
            scheme if !scheme.contains('.') => {
                Err(Refused("has a private scheme without a dot: use your domain reversed (RFC 8252 section 7.1)"))
            }
            _ => Ok(Self { text: text.to_owned(), loopback: None }),
        }
    }

    fn web(text: &str, url: &Url) -> Result<Self, Refused> {
        // What the parser made of it must be what was written: no other spelling of host, port or path.
        let written = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
        if !written {
            return Err(Refused(
                "must be written in its plain form: lower-case host, no default port, nothing to resolve",
            ));
        }
        if url.host_str().is_some_and(|h| h.ends_with('.')) {
            return Err(Refused("must have a host without a trailing dot"));
        }
        if url.port() == Some(0) {
            return Err(Refused("must not have port 0"));
        }
        if url.scheme() == "https" {
            return Ok(Self { text: text.to_owned(), loopback: None });
        }
        if !is_loopback(url) {
            return Err(Refused("must be https, unless it leads to this very machine (127.0.0.1, [::1] or localhost)"));
        }
        let loopback = match url.host() {
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => split(text),
            // A name can be given another meaning; it must match exactly.
            _ => None,
        };
        Ok(Self { text: text.to_owned(), loopback })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Byte equality (RFC 9700 section 2.1); on a loopback address any port (RFC 8252 section 7.3).
    fn admits(&self, sent: &str) -> bool {
        if self.text == sent {
            return true;
        }
        let (Some((host, rest)), Some((sent_host, sent_rest))) = (&self.loopback, split(sent)) else { return false };
        *host == sent_host && *rest == sent_rest && port_is_plain(sent)
    }
}

/// The registered URI that a sent one equals.
pub fn matches<'a>(registered: &'a [RedirectUri], sent: &str) -> Option<&'a RedirectUri> {
    registered.iter().find(|uri| uri.admits(sent))
}

pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.octets() == [127, 0, 0, 1],
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}

fn path_of(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let rest = rest.find('/').map_or("", |at| &rest[at..]);
    rest.split(['?', '#']).next().unwrap_or("")
}

/// `http://127.0.0.1` or `http://[::1]`, and what follows the port.
fn split(text: &str) -> Option<(String, String)> {
    for host in ["http://127.0.0.1", "http://[::1]"] {
        let Some(rest) = text.strip_prefix(host) else { continue };
        let after = rest.strip_prefix(':').map_or(rest, |r| r.trim_start_matches(|c: char| c.is_ascii_digit()));
        return (after.is_empty() || after.starts_with(['/', '?'])).then(|| (host.to_owned(), after.to_owned()));
    }
    None
}

/// No port, or 1 to 65535 in plain digits.
fn port_is_plain(text: &str) -> bool {
    let rest = text.trim_start_matches("http://127.0.0.1").trim_start_matches("http://[::1]");
    let Some(rest) = rest.strip_prefix(':') else { return true };
    let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
    !digits.starts_with('0') && digits.parse::<u16>().is_ok_and(|p| p > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(registered: &str, sent: &str) -> bool {
        matches(&[RedirectUri::parse(registered).unwrap()], sent).is_some()
    }

    #[test]
    fn only_the_registered_text_matches() {
        assert!(fits("https://app.example.com/cb", "https://app.example.com/cb"));
        for other in [
            "https://app.example.com/cb/",
            "https://app.example.com:443/cb",
            "https://APP.example.com/cb",
            "https://app.example.com/%63b",
        ] {
            assert!(!fits("https://app.example.com/cb", other), "{other}");
        }
    }

    #[test]
    fn a_loopback_address_may_have_any_port__rfc8252_7_3() {
        for yes in ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"] {
            assert!(fits("http://127.0.0.1/cb", yes), "{yes}");
        }
        for no in [
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:80@evil.test/cb",
            "http://127.0.0.1.evil.test/cb",
            "http://127.0.0.2/cb",
            "http://localhost/cb",
            "https://127.0.0.1/cb",
            "http://127.0.0.1/other",
            "http://127.0.0.1/cb?x",
            "http://127.0.0.1:01/cb",
            "http://127.0.0.1:/cb",
            "http://[::1]/cb",
        ] {
            assert!(!fits("http://127.0.0.1/cb", no), "{no}");
        }
        assert!(!fits("http://localhost/cb", "http://localhost:9/cb"));
    }

    #[test]
    fn what_cannot_be_registered() {
        for no in [
            "http://app.example.com/cb",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "java\tscript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///cb",
            "blob:https://x/1",
            "about:blank",
            "app:cb",
            "https://a@app.example.com/cb",
            "https://app.example.com/cb#x",
            "https://*.example.com/cb",
            "https://app.example.com\\@evil.test/cb",
            "https://APP.example.com/cb",
            "https://app.example.com:443/cb",
            "https://app.example.com/a/../cb",
            "https://app.example.com/%2e%2e/cb",
            "https://app。example。com/cb",
            " https://app.example.com/cb",
            "https://app.example.com/cb\n",
            "//app.example.com/cb",
            "/cb",
            "",
            "https:app.example.com/cb",
            "https:///cb",
            "https://127.1/cb",
            "https://app.example.com/cb/..;/x",
            "intent://x",
            "http://127.0.0.2/cb",
            "https://app.example.com./cb",
        ] {
            assert!(RedirectUri::parse(no).is_err(), "{no}");
        }
        for yes in [
            "https://app.example.com/cb",
            "https://app.example.com",
            "https://app.example.com/cb?x=1",
            "com.example.app:/cb",
            "com.example.app://cb",
            "http://localhost:3000/cb",
            "http://[::1]/cb",
        ] {
            assert!(RedirectUri::parse(yes).is_ok(), "{yes}");
        }
    }
}
