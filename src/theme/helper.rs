//! What templates can call. Each escapes what it is given; none reads anything but its arguments.
//!
//! | helper | gives |
//! |---|---|
//! | `{{t "id" name=value}}` | the message, as text |
//! | `{{rich "id" name=value}}` | the same, with each value set off: `<b><bdi>value</bdi></b>` |
//! | `{{soft value}}` | a host or an address, which may be broken before its dots and its @ |
//! | `{{when at now}}`, `{{when "id" at now}}` | how long ago, as `<time>`; inside the message's `$when` |
//! | `{{asset "app.css"}}`, `{{icon "lock"}}` | where a file of the theme is served; an icon's SVG |
//! | `{{href url}}`, `{{src url}}` | the URL, or `#` / nothing when it could run script or is no picture |
//! | `(initial person)`, `(scope name)`, `(calm note)`, `(device label)` | values for the above |

use super::Files;
use super::asset::Assets;
use crate::locale::Locale;
use crate::page::note;
use entity::Micros;
use handlebars::{Handlebars, Helper, HelperDef, HelperResult, Output, RenderError, RenderErrorReason, ScopedJson};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use url::Url;

/// Scopes that have words of their own: `scope-{name}` and `scope-{name}-text`.
const SCOPES: &[&str] = &["openid", "profile", "email", "address", "phone", "offline_access"];

/// Two characters of the private use area that mark where a value stands in a message; taken out of all values.
const BEGIN: char = '\u{e000}';
const END: char = '\u{e001}';

/// Escapes for text and for quoted attributes, and drops what has no place in either: control characters, and the
/// directional overrides with which a name could turn around the sentence that it stands in.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '`' => safe.push_str("&#96;"),
            '{' => safe.push_str("&#123;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c => safe.push(c),
        }
    }
    safe
}

type Render<'a> = dyn Fn(&Helper<'_>, &mut dyn Output) -> Result<(), RenderError> + Send + Sync + 'a;
type Compute = dyn Fn(&Helper<'_>) -> Result<Value, RenderError> + Send + Sync;

/// Writes HTML.
struct Html(Box<Render<'static>>);
/// Gives a value, which is escaped when it is written.
struct Plain(Box<Compute>);

impl HelperDef for Html {
    fn call<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc handlebars::Context,
        _: &mut handlebars::RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        (self.0)(h, out)
    }
}

impl HelperDef for Plain {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc handlebars::Context,
        _: &mut handlebars::RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        (self.0)(h).map(ScopedJson::Derived)
    }
}

pub(super) fn register(registry: &mut Handlebars<'static>, locale: Locale, assets: &Arc<Assets>) {
    let mut plain = |name: &str, compute: Box<Compute>| registry.register_helper(name, Box::new(Plain(compute)));
    plain("t", Box::new(move |h| Ok(message(h, locale, text(h, 0)?, |v| v.to_owned())?.into())));
    let files = Arc::clone(assets);
    plain("asset", Box::new(move |h| Ok(files.url(text(h, 0)?).ok_or_else(|| other("no such file"))?.into())));
    plain("href", Box::new(|h| Ok(link(text(h, 0)?).unwrap_or("#").into())));
    plain(
        "src",
        Box::new(|h| {
            Ok(h.param(0)
                .and_then(|p| p.value().as_str())
                .filter(|url| picture(url))
                .map(Value::from)
                .unwrap_or_default())
        }),
    );
    plain("initial", Box::new(|h| Ok(initial(text(h, 0)?, text(h, 1)?).into())));
    plain("scope", Box::new(|h| Ok(format!("scope-{}", known(text(h, 0)?)).into())));
    plain("scope-text", Box::new(|h| Ok(format!("scope-{}-text", known(text(h, 0)?)).into())));
    plain("calm", Box::new(|h| Ok(note::CALM.contains(&text(h, 0)?).into())));
    plain("device", Box::new(move |h| Ok(device(h, locale).into())));
    plain(
        "pick",
        Box::new(|h| Ok(if text(h, 0).is_ok_and(|t| !t.is_empty()) { text(h, 1)?.into() } else { Value::Null })),
    );
    plain("concat", Box::new(|h| Ok(h.params().iter().filter_map(|p| p.value().as_str()).collect::<String>().into())));

    let mut html = |name: &str, render: Box<Render<'static>>| registry.register_helper(name, Box::new(Html(render)));
    html("rich", Box::new(move |h, out| Ok(out.write(&rich(h, locale)?)?)));
    html("when", Box::new(move |h, out| Ok(out.write(&when(h, locale)?)?)));
    html("soft", Box::new(|h, out| Ok(out.write(&escape(text(h, 0)?).replace('.', "<wbr>.").replace('@', "<wbr>@"))?)));
    let icons = icons();
    html("icon", Box::new(move |h, out| Ok(out.write(icons.get(text(h, 0)?).ok_or_else(|| other("no such icon"))?)?)));
}

/// Icons by name, read once.
fn icons() -> HashMap<String, String> {
    let name = |path: &str| path.strip_prefix("icons/")?.strip_suffix(".svg").map(str::to_owned);
    let text =
        |path: &str| String::from_utf8(Files::get(path)?.data.into_owned()).ok().map(|svg| svg.trim().to_owned());
    Files::iter().filter_map(|path| Some((name(&path)?, text(&path)?))).collect()
}

fn message(h: &Helper<'_>, locale: Locale, id: &str, value: impl Fn(&str) -> String) -> Result<String, RenderError> {
    let as_text = |v: &Value| match v {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let args: Vec<(&str, String)> = h
        .hash()
        .iter()
        .map(|(name, arg)| {
            let text = as_text(arg.value());
            (*name, if arg.value().is_number() { text } else { value(&text) })
        })
        .collect();
    locale.find(id, &args).ok_or_else(|| other(&format!("no message {id:?}")))
}

fn rich(h: &Helper<'_>, locale: Locale) -> Result<String, RenderError> {
    let marked = message(h, locale, text(h, 0)?, |v| format!("{BEGIN}{}{END}", v.replace([BEGIN, END], "")))?;
    Ok(escape(&marked).replace(BEGIN, "<b><bdi>").replace(END, "</bdi></b>"))
}

fn when(h: &Helper<'_>, locale: Locale) -> Result<String, RenderError> {
    let id = h.param(0).and_then(|p| p.value().as_str());
    let first = usize::from(id.is_some());
    let instant = |at| h.param(at).and_then(|p| p.value().as_i64()).map(Micros).ok_or_else(|| other("no instant"));
    let when = locale.when(instant(first)?, instant(first + 1)?);
    let time = format!(
        "<time datetime=\"{}\" title=\"{}\">{}</time>",
        escape(&when.machine),
        escape(&when.absolute),
        escape(&when.relative)
    );
    let Some(id) = id else { return Ok(time) };
    let around = locale.find(id, &[("when", BEGIN.to_string())]).ok_or_else(|| other("no such message"))?;
    Ok(escape(&around).replace(BEGIN, &time))
}

/// A place that may be linked or posted to: a path here, or a URL whose scheme does not run script in this page.
fn link(url: &str) -> Option<&str> {
    if url.starts_with('/') {
        return (!url.starts_with("//") && !url.starts_with("/\\")).then_some(url);
    }
    if let Some(query) = url.strip_prefix('?') {
        return (!query.contains(char::is_control)).then_some(url);
    }
    let parsed = Url::parse(url).ok()?;
    let bad = ["javascript", "data", "vbscript", "blob", "file", "about", "view-source", "filesystem"];
    (!bad.contains(&parsed.scheme()) && !url.contains(char::is_control)).then_some(url)
}

fn picture(url: &str) -> bool {
    let ours = url.strip_prefix("/assets/").is_some_and(|name| !name.is_empty() && !name.contains(['/', '\\']));
    // The logo of an application, which we fetched (`client/logo.rs`); its address is below the tenant's base.
    let logo = url.starts_with('/') && !url.starts_with("//") && url.contains("/oauth2/logo?client_id=");
    ours || logo || Url::parse(url).is_ok_and(|u| u.scheme() == "https")
}

/// The letter of somebody's or something's round picture.
fn initial(name: &str, otherwise: &str) -> String {
    let first = |text: &str| text.chars().find(|c| c.is_alphanumeric()).and_then(|c| c.to_uppercase().next());
    first(name).or_else(|| first(otherwise)).map_or_else(|| "·".to_owned(), String::from)
}

fn known(scope: &str) -> &str {
    SCOPES.iter().find(|s| **s == scope).copied().unwrap_or("other")
}

/// "Firefox on Linux", in words.
fn device(h: &Helper<'_>, locale: Locale) -> String {
    let part = |key: &str| h.param(0).and_then(|p| p.value().get(key)).and_then(Value::as_str).map(str::to_owned);
    match (part("browser"), part("system")) {
        (None, None) => locale.text("device-unknown"),
        (Some(browser), None) => browser,
        (browser, Some(system)) => {
            let browser = browser.unwrap_or_else(|| locale.text("device-browser-unknown"));
            locale.text_with("device", &[("browser", browser), ("system", system)])
        }
    }
}

fn text<'a>(h: &'a Helper<'_>, at: usize) -> Result<&'a str, RenderError> {
    h.param(at).and_then(|p| p.value().as_str()).ok_or_else(|| other("an argument is missing or no text"))
}

fn other(says: &str) -> RenderError {
    RenderErrorReason::Other(says.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_runs_script_is_linked() {
        for bad in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\tscript:alert(1)",
            " javascript:alert(1)",
            "\u{1}javascript:alert(1)",
            "data:text/html,x",
            "//evil.test",
            "/\\evil.test",
            "vbscript:x",
            "evil.test",
            "",
        ] {
            assert_eq!(link(bad), None, "{bad:?}");
        }
        for good in [
            "/",
            "/t/acme/login?flow=x",
            "?ui_locales=de",
            "https://wiki.example/cb",
            "com.example.app:/cb",
            "mailto:help@example.com",
        ] {
            assert_eq!(link(good), Some(good));
        }
    }

    #[test]
    fn only_pictures_are_shown_as_pictures() {
        assert!(picture("/assets/logo.png") && picture("https://cdn.example/logo.svg"));
        for bad in
            ["http://cdn.example/logo.svg", "data:image/svg+xml,x", "javascript:x", "/assets/../login", "/logout", ""]
        {
            assert!(!picture(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_is_escaped_cannot_leave_its_place_nor_turn_it_around() {
        assert_eq!(
            escape("<a b='c'>&\"`{{x\0\u{202e}\x1b[2J\r\n"),
            "&lt;a b=&#39;c&#39;&gt;&amp;&quot;&#96;&#123;&#123;x[2J\n"
        );
    }

    #[test]
    fn a_round_picture_has_a_letter_of_the_name() {
        assert_eq!(initial("  «ada»", "x"), "A");
        assert_eq!(initial("", "ß@example.com"), "S");
        assert_eq!(initial("🦀", "→"), "·");
    }
}
