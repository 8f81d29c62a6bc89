//! The languages of what people read: which one a request wants, and the text of a message in it.
//!
//! Texts are Fluent messages in `themes/default/locales/{tag}/*.ftl`, part of the binary. A message never holds markup
//! and Fluent adds no bidirectional isolates; who sets a foreign name into a page wraps it in `<bdi>` (see `theme.rs`).
//! By convention an argument called `count` is a number, which plural forms select on; every other one is plain text.

use entity::Micros;
use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{LanguageIdentifier, Loader, langid};
use std::borrow::Cow;
use std::collections::HashMap;
use time::OffsetDateTime;

fluent_templates::static_loader! {
    static TEXTS = {
        locales: "./themes/default/locales",
        fallback_language: "en",
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// How much of a header is read, in bytes and in items; what follows counts as not sent.
const HEADER_BYTES: usize = 1024;
const HEADER_ITEMS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Locale {
    En,
    De,
}

/// An instant as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// "2 hours ago"; a date when that is over a month ago.
    pub relative: String,
    /// "25 November 2026, 04:28 UTC".
    pub absolute: String,
    /// RFC 3339, for the `datetime` attribute.
    pub machine: String,
}

impl Locale {
    pub const ALL: [Locale; 2] = [Locale::En, Locale::De];

    /// The language tag (BCP 47), as `lang` and `ui_locales` carry it.
    pub fn tag(self) -> &'static str {
        match self {
            Locale::En => "en",
            Locale::De => "de",
        }
    }

    /// What the language calls itself.
    pub fn name(self) -> &'static str {
        match self {
            Locale::En => "English",
            Locale::De => "Deutsch",
        }
    }

    /// The writing direction, for the `dir` attribute.
    pub fn dir(self) -> &'static str {
        match self {
            Locale::En | Locale::De => "ltr",
        }
    }

    /// The language for a request: the first of `ui_locales` that there is (OpenID Connect Core section 3.1.2.1), else
    /// the best of `Accept-Language` (RFC 9110 section 12.5.4), else English. Work is bounded however long they are.
    pub fn negotiate(ui_locales: Option<&str>, accept_language: Option<&str>) -> Locale {
        let asked = ui_locales.and_then(|list| head(list).split(' ').take(HEADER_ITEMS).find_map(Locale::matching));
        asked.or_else(|| accept_language.and_then(accepted)).unwrap_or(Locale::En)
    }

    /// The locale of a tag's primary language: `de-AT` is German.
    fn matching(tag: &str) -> Option<Locale> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Locale::ALL.into_iter().find(|locale| locale.tag().eq_ignore_ascii_case(primary))
    }

    /// The text of a message; its id when there is none, which tests rule out for every page.
    pub fn text(self, id: &str) -> String {
        self.text_with(id, &[])
    }

    pub fn text_with(self, id: &str, args: &[(&str, String)]) -> String {
        self.find(id, args).unwrap_or_else(|| id.to_owned())
    }

    /// The text of a message; none when there is none of that id, or when an argument that it needs is missing.
    pub fn find(self, id: &str, args: &[(&str, String)]) -> Option<String> {
        let args: HashMap<Cow<'static, str>, FluentValue<'_>> =
            args.iter().map(|(name, value)| (Cow::Owned((*name).to_owned()), argument(name, value))).collect();
        TEXTS.try_lookup_complete(self.identifier(), id, Some(&args))
    }

    fn identifier(self) -> &'static LanguageIdentifier {
        static EN: LanguageIdentifier = langid!("en");
        static DE: LanguageIdentifier = langid!("de");
        match self {
            Locale::En => &EN,
            Locale::De => &DE,
        }
    }

    /// How long ago `at` was, seen from `now`. An instant that is yet to come counts as now.
    pub fn when(self, at: Micros, now: Micros) -> When {
        let ago = |id, count: u64| self.text_with(id, &[("count", count.to_string())]);
        let relative = match at.until(now).as_secs() {
            0..60 => self.text("time-now"),
            s @ 60..3600 => ago("time-minutes", s / 60),
            s @ 3600..86_400 => ago("time-hours", s / 3600),
            s @ 86_400..2_592_000 => ago("time-days", s / 86_400),
            _ => self.text_with("time-on", &self.parts(at)),
        };
        When { relative, absolute: self.date_and_time(at), machine: machine(at) }
    }

    /// "25 November 2026", in UTC.
    pub fn date(self, at: Micros) -> String {
        self.text_with("time-date", &self.parts(at))
    }

    /// "25 November 2026, 04:28 UTC".
    pub fn date_and_time(self, at: Micros) -> String {
        self.text_with("time-date-and-time", &self.parts(at))
    }

    fn parts(self, at: Micros) -> [(&'static str, String); 4] {
        let at = instant(at);
        let month = self.text(&format!("month-{}", u8::from(at.month())));
        let time = format!("{:02}:{:02}", at.hour(), at.minute());
        [("day", at.day().to_string()), ("month", month), ("year", at.year().to_string()), ("time", time)]
    }
}

fn argument<'a>(name: &str, value: &'a str) -> FluentValue<'a> {
    // A name that looks like a number ("007") must stay as it was written.
    if name == "count" { FluentValue::try_number(value) } else { FluentValue::from(value) }
}

fn instant(at: Micros) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn machine(at: Micros) -> String {
    let at = instant(at);
    let (date, month) = (at.date(), u8::from(at.month()));
    format!("{:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z", date.year(), at.day(), at.hour(), at.minute(), at.second())
}

/// The part of a header that is read.
fn head(text: &str) -> &str {
    let end = (0..=HEADER_BYTES.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    &text[..end]
}

fn accepted(header: &str) -> Option<Locale> {
    let mut best: Option<(f32, Locale)> = None;
    for item in head(header).split(',').take(HEADER_ITEMS) {
        let mut parts = item.split(';');
        let Some(locale) = parts.next().and_then(Locale::matching) else { continue };
        let weight = parts.find_map(|p| p.trim().strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if weight > 0.0 && best.is_none_or(|(heaviest, _)| weight > heaviest) {
            best = Some((weight, locale));
        }
    }
    best.map(|(_, locale)| locale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Messages that are the same word in both languages.
    const SAME: &[&str] = &["month-4", "month-8", "month-9", "month-11", "setup-name"];

    fn messages(locale: Locale) -> BTreeMap<String, String> {
        let dir = format!("{}/themes/default/locales/{}", env!("CARGO_MANIFEST_DIR"), locale.tag());
        let mut found = BTreeMap::new();
        for file in std::fs::read_dir(dir).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let mut id = String::new();
            for line in text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()) {
                if let Some((name, value)) = line.split_once(" =").filter(|_| !line.starts_with(' ')) {
                    id = name.to_owned();
                    assert!(found.insert(id.clone(), value.to_owned()).is_none(), "{id} stands twice");
                } else {
                    found.get_mut(&id).unwrap().push_str(line);
                }
            }
        }
        found
    }

    #[test]
    fn both_languages_have_the_same_messages_and_arguments() {
        let (en, de) = (messages(Locale::En), messages(Locale::De));
        assert_eq!(en.keys().collect::<Vec<_>>(), de.keys().collect::<Vec<_>>());
        let arguments = |text: &str| -> BTreeSet<String> {
            text.split('$')
                .skip(1)
                .map(|r| r.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
                .collect()
        };
        for (id, text) in &en {
            assert_eq!(arguments(text), arguments(&de[id]), "{id}");
        }
    }

    #[test]
    fn what_is_german_is_not_english() {
        let (en, de) = (messages(Locale::En), messages(Locale::De));
        let same: Vec<_> = en.keys().filter(|id| en[*id] == de[*id] && !SAME.contains(&id.as_str())).collect();
        assert!(same.is_empty(), "{same:?}");
        for id in SAME {
            assert_eq!(en[*id], de[*id], "{id} no longer needs its exception");
        }
    }

    #[test]
    fn each_message_can_be_found_and_no_word_of_ours_is_in_it() {
        for locale in Locale::ALL {
            for id in messages(locale).keys() {
                let args = [
                    "address",
                    "application",
                    "brand",
                    "browser",
                    "day",
                    "device",
                    "host",
                    "month",
                    "page",
                    "scope",
                    "system",
                    "time",
                    "when",
                    "year",
                ];
                let args: Vec<_> =
                    args.map(|name| (name, "x".to_owned())).into_iter().chain([("count", "2".into())]).collect();
                let text = locale.find(id, &args).unwrap_or_else(|| panic!("{id}"));
                assert!(!text.to_lowercase().contains("keyward"), "{id}");
                assert!(!text.contains(['\u{2068}', '\u{2069}', '<']), "{id}");
            }
        }
    }

    #[test]
    fn ui_locales_win_over_the_browser_and_the_browser_over_english() {
        let cases = [
            (Some("fr de-AT en"), Some("en"), Locale::De),
            (Some("fr"), Some("de;q=0.8, en;q=0.9"), Locale::En),
            (Some(""), Some("fr, DE-ch;q=0.7, en;q=0.3"), Locale::De),
            (None, Some("de;q=0, en;q=0.1"), Locale::En),
            (None, Some("de;q=NaN"), Locale::En),
            (None, Some("den, dx"), Locale::En),
            (None, None, Locale::En),
        ];
        for (ui, accept, expected) in cases {
            assert_eq!(Locale::negotiate(ui, accept), expected, "{ui:?} {accept:?}");
        }
    }

    #[test]
    fn a_header_of_a_megabyte_is_read_in_part_only() {
        assert_eq!(Locale::negotiate(None, Some(&format!("{},de", "xx,".repeat(400_000)))), Locale::En);
        assert_eq!(Locale::negotiate(Some(&"ä".repeat(2000)), Some("de")), Locale::De);
        assert_eq!(Locale::negotiate(Some(&format!("a{}", "ä".repeat(2000))), Some("de")), Locale::De);
    }

    #[test]
    fn instants_read_as_people_say_them() {
        let at = Micros::from_seconds(1_795_580_880);
        let later = |s: u64| at.plus(std::time::Duration::from_secs(s));
        for (seconds, en, de) in [
            (5, "just now", "gerade eben"),
            (61, "1 minute ago", "vor 1 Minute"),
            (7300, "2 hours ago", "vor 2 Stunden"),
            (90_000, "1 day ago", "vor 1 Tag"),
            (9_000_000, "on 25 November 2026", "am 25. November 2026"),
        ] {
            assert_eq!(Locale::En.when(at, later(seconds)).relative, en);
            assert_eq!(Locale::De.when(at, later(seconds)).relative, de);
        }
        let when = Locale::En.when(at, at.minus(std::time::Duration::from_secs(9)));
        assert_eq!(when.relative, "just now");
        assert_eq!(when.absolute, "25 November 2026, 04:28 UTC");
        assert_eq!(when.machine, "2026-11-25T04:28:00Z");
    }

    #[test]
    fn a_name_made_of_digits_stays_as_it_is() {
        assert!(Locale::En.text_with("sign-in-heading", &[("brand", "007".into())]).ends_with("007"));
    }
}
