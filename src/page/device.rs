//! What a browser says it is, in two words that people recognise. Never used to decide anything.

use serde::Serialize;

/// How much of a `User-Agent` is read, in bytes.
const READ: usize = 512;

/// A browser and what it runs on; either may be unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Device {
    pub browser: Option<&'static str>,
    pub system: Option<&'static str>,
    /// A phone or a tablet.
    pub mobile: bool,
}

/// The first that occurs decides: many browsers name others too.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("Linux", "Linux"),
];

impl Device {
    /// From a `User-Agent` header (RFC 9110 section 10.1.5), of which only the beginning is read.
    pub fn read(user_agent: Option<&str>) -> Self {
        let agent = user_agent.unwrap_or_default().as_bytes();
        let agent = String::from_utf8_lossy(&agent[..agent.len().min(READ)]);
        let first =
            |table: &[(&str, &'static str)]| table.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name);
        let system = first(SYSTEMS);
        Self { browser: first(BROWSERS), system, mobile: matches!(system, Some("iPhone" | "iPad" | "Android")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_that_name_others_too_are_told_apart() {
        let mozilla = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36";
        let cases = [
            (mozilla.to_owned(), Some("Chrome"), Some("Windows"), false),
            (format!("{mozilla} Edg/130.0"), Some("Edge"), Some("Windows"), false),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into(),
                Some("Firefox"),
                Some("Linux"),
                false,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1".into(),
                Some("Safari"),
                Some("iPhone"),
                true,
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) Chrome/130.0 Mobile Safari/537.36".into(),
                Some("Chrome"),
                Some("Android"),
                true,
            ),
            (String::new(), None, None, false),
            ("ä".repeat(400_001), None, None, false),
        ];
        for (agent, browser, system, mobile) in cases {
            assert_eq!(Device::read(Some(&agent)), Device { browser, system, mobile }, "{agent:.80}");
        }
    }
}
