//! The types of configured values, each read from one text.

use crate::feature::Feature;
use entity::{GrantType, PkceRule};
use ipnet::IpNet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// A value that is written as one text.
pub(super) trait Field: Sized {
    fn read(text: &str) -> Result<Self, String>;
}

/// A list written with commas, or as a TOML array.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List<T>(pub Vec<T>);

/// A span of time: a number and s, m, h or d.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span(pub Duration);

/// A text that is never shown.
#[derive(Clone, Default, PartialEq)]
pub struct Secret(pub Zeroizing<String>);

/// `#rgb` or `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Color(pub u8, pub u8, pub u8);

/// A picture of the brand: a path of ours below `/assets/`, or an https URL.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture(pub String);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// Who may register applications by software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Off,
    Token,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    Text,
    Json,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(unset)" } else { "Secret(..)" })
    }
}

impl Color {
    /// `#rgb` or `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        read_color(text)
    }
}

impl Secret {
    pub fn is_set(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

macro_rules! field {
    ($($type:ty: $what:literal, $read:expr;)*) => {$(
        impl Field for $type {
            fn read(text: &str) -> Result<Self, String> {
                let read: fn(&str) -> Option<$type> = $read;
                read(text).ok_or_else(|| format!("must be {}", $what))
            }
        }
    )*};
}

field! {
    Url: "an absolute http or https URL", |t| Url::parse(t).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
    IpNet: "a network such as 10.0.0.0/8 or an address", |t| t.parse().ok().or_else(|| t.parse::<std::net::IpAddr>().ok().map(IpNet::from));
    u32: "a whole number", |t| t.parse().ok();
    usize: "a whole number", |t| t.parse().ok();
    String: "a text without control characters", |t| (!t.chars().any(char::is_control)).then(|| t.to_owned());
    PathBuf: "a path", |t| (!t.is_empty()).then(|| PathBuf::from(t));
    Secret: "a text", |t| Some(Secret(Zeroizing::new(t.to_owned())));
    Span: "a number and s, m, h or d, such as 15m", read_span;
    Color: "a colour such as #4f46e5", read_color;
    Picture: "a path below /assets/ or an https URL", read_picture;
    Level: "error, warn, info or debug", |t| match t { "error" => Some(Level::Error), "warn" => Some(Level::Warn), "info" => Some(Level::Info), "debug" => Some(Level::Debug), _ => None };
    Mode: "off, token or open", |t| match t { "off" => Some(Mode::Off), "token" => Some(Mode::Token), "open" => Some(Mode::Open), _ => None };
    Feature: "a feature such as introspection", Feature::parse;
    PkceRule: "required or optional", PkceRule::parse;
    GrantType: "a grant type such as authorization_code", GrantType::parse;
    Format: "text or json", |t| match t { "text" => Some(Format::Text), "json" => Some(Format::Json), _ => None };
}

impl Field for SocketAddr {
    fn read(text: &str) -> Result<Self, String> {
        address(text)
    }
}

/// An address to listen on.
///
/// # Errors
/// What it must be, with the port that was meant.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8080);
    text.parse().map_err(|_| format!("must be an address and a port, such as 127.0.0.1:{port}"))
}

impl<T: Field> Field for Option<T> {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::read(text).map(Some) }
    }
}

impl<T: Field> Field for List<T> {
    fn read(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(T::read).collect::<Result<_, _>>().map(List)
    }
}

fn read_span(text: &str) -> Option<Span> {
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86400,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].trim().parse().ok()?;
    // A century bounds all arithmetic on instants.
    let seconds = count.checked_mul(unit).filter(|s| *s <= 100 * 366 * 86400)?;
    Some(Span(Duration::from_secs(seconds)))
}

fn read_color(text: &str) -> Option<Color> {
    let hex = text.strip_prefix('#').filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let at = |i: usize, n: usize| u8::from_str_radix(&hex[i..i + n], 16).ok();
    match hex.len() {
        3 => Some(Color(at(0, 1)? * 17, at(1, 1)? * 17, at(2, 1)? * 17)),
        6 => Some(Color(at(0, 2)?, at(2, 2)?, at(4, 2)?)),
        _ => None,
    }
}

fn read_picture(text: &str) -> Option<Picture> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if let Some(file) = text.strip_prefix("/assets/") {
        return (!file.is_empty() && !file.starts_with('.') && file.chars().all(plain))
            .then(|| Picture(text.to_owned()));
    }
    let url = Url::parse(text).ok().filter(|u| u.scheme() == "https" && u.username().is_empty())?;
    Some(Picture(url.to_string()))
}
