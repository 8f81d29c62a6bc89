use super::*;
use crate::config::Color;
use crate::error::Notice;
use crate::page::{self, *};

const INDIGO: Color = Color(0x4f, 0x46, 0xe5);

fn acme() -> Brand {
    Brand {
        tagline: Some("One account for everything at Acme".into()),
        company: Some("Acme Corporation".into()),
        support: Some("mailto:help@example.com".into()),
        privacy: Some("https://example.com/privacy".into()),
        terms: Some("https://example.com/terms".into()),
        ..Brand::named("Acme", INDIGO)
    }
}

fn frame(brand: &Brand, locale: Locale) -> Frame<'_> {
    Frame { brand, locale, base: "", languages: Language::switch(locale, "/login?flow=flow&ui_locales=fr") }
}

/// Every page, sample and locale, with a brand that has all and one that has nothing.
fn all(mut look: impl FnMut(&str, &str)) {
    let theme = Theme::load().unwrap();
    for brand in
        [acme(), Brand::named("", INDIGO), Brand { logo: Some("https://cdn.example/logo.svg".into()), ..acme() }]
    {
        for locale in Locale::ALL {
            page::each_sample(|template, number, render| {
                let name = format!("{template} {number} {locale:?} {:?}", brand.name);
                let html = render(&theme, &frame(&brand, locale)).unwrap_or_else(|e| panic!("{name}: {e}"));
                look(&name, &html);
            });
        }
    }
}

#[test]
fn every_page_says_its_language_its_direction_and_its_name() {
    all(|name, html| {
        let locale = if name.contains(" De ") { Locale::De } else { Locale::En };
        assert!(html.starts_with(&format!("<!doctype html>\n<html lang=\"{}\" dir=\"ltr\">", locale.tag())), "{name}");
        let title = html.split("<title>").nth(1).and_then(|t| t.split("</title>").next()).unwrap();
        assert!(!title.trim().is_empty() && !title.starts_with([' ', '·']), "{name}: {title}");
        assert_eq!(html.matches("<h1").count(), 1, "{name}");
        assert_eq!(html.matches("<main").count(), 1, "{name}");
    });
}

#[test]
fn no_page_needs_an_inline_style_or_script() {
    all(|name, html| {
        // Pages that go on by themselves have one script more, which their policy names by its hash.
        let own = [script::SUBMIT, script::GO_ON].iter().filter(|s| html.contains(&format!("<script>{s}</script>")));
        assert_eq!(html.matches("<script").count(), 1 + own.count(), "{name}");
        assert!(html.contains("<script src=\"/assets/app-"), "{name}");
        for bad in [" style=", "<style", " onclick", " onload", " onerror", "javascript:"] {
            assert!(!html.contains(bad), "{name}: {bad}");
        }
    });
}

#[test]
fn nothing_of_the_template_or_of_the_products_name_is_left() {
    all(|name, html| {
        for bad in ["{{", "}}", "[object]", "Unknown localization", "null"] {
            assert!(!html.contains(bad), "{name}: {bad}");
        }
        assert!(!html.to_lowercase().contains("keyward"), "{name}");
    });
}

#[test]
fn ids_are_unique_and_what_is_named_exists() {
    all(|name, html| {
        let values = |attribute: &str| -> Vec<String> {
            let sign = format!(" {attribute}=\"");
            html.split(&sign).skip(1).filter_map(|r| r.split('"').next()).map(str::to_owned).collect()
        };
        let ids = values("id");
        let mut once = ids.clone();
        once.sort();
        once.dedup();
        assert_eq!(ids.len(), once.len(), "{name}: {ids:?}");
        for attribute in
            ["for", "aria-describedby", "aria-controls", "aria-labelledby", "data-reveal", "data-caps", "data-strength"]
        {
            for id in values(attribute).iter().flat_map(|v| v.split_whitespace()) {
                assert!(ids.iter().any(|i| i == id), "{name}: {attribute} names {id}");
            }
        }
        assert!(html.matches(" autofocus").count() <= 1, "{name}");
        assert_eq!(html.matches("<form").count(), html.matches("method=\"post\"").count(), "{name}");
        // Forms that go to applications carry nothing of ours.
        let away = html.matches("<form class=\"form actions\"").count();
        assert_eq!(html.matches("<form").count() - away, html.matches("name=\"csrf\"").count(), "{name}");
    });
}

#[test]
fn what_a_page_can_say_exists_in_every_language() {
    for locale in Locale::ALL {
        for id in [note::ALL, field::ALL, leave::ALL, link::ALL].concat() {
            let args = [("application", "Wiki".into()), ("count", "2".into())];
            assert!(locale.find(id, &args).is_some(), "{id}");
        }
        for notice in Notice::ALL {
            for part in ["heading", "text", "advice"] {
                let args = [("address", "https://id.example.com/".into())];
                assert!(locale.find(&format!("error-{}-{part}", notice.id()), &args).is_some(), "{notice:?} {part}");
            }
        }
    }
}

/// Appendix E of the attack corpus.
const HOSTILE: &[&str] = &[
    "\"><img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "</title><b>",
    "<!--",
    "${7*7}",
    "{{7*7}}",
    "{{{page.csrf}}}",
    "{% raw %}",
    "<#assign x=\"freemarker.template.utility.Execute\"?new()>",
    "#{7*7}",
    "javascript:alert(1)",
    "' onfocus=alert(1) x='",
    "\u{2028}",
    "\u{202e}txt.exe",
    "a\0b",
    "\x1b[2J",
    "\r\nSet-Cookie: a=b",
    "%0d%0a",
    "=HYPERLINK(\"https://evil.test\")",
    "[x](javascript:alert(1))",
    "</style><style>@import url(https://evil.test)",
    "\u{e000}\u{e001}",
];

#[test]
fn hostile_texts_stay_texts() {
    let theme = Theme::load().unwrap();
    let huge = "<".repeat(100 * 1024);
    for text in HOSTILE.iter().copied().chain([huge.as_str()]) {
        let t = || text.to_owned();
        let application = Application { name: t(), host: t(), logo: Some(t()), policy: Some(t()), terms: Some(t()) };
        let person = Person { name: t(), email: t() };
        let brand = Brand {
            logo: Some(t()),
            tagline: Some(t()),
            company: Some(t()),
            support: Some(t()),
            privacy: Some(t()),
            terms: Some(t()),
            ..Brand::named(text, INDIGO)
        };
        for locale in Locale::ALL {
            let languages = Language::switch(locale, text);
            let frame = Frame { brand: &brand, locale, base: "", languages };
            let sign_in = SignIn {
                action: t(),
                flow: t(),
                csrf: t(),
                application: Some(application.clone()),
                identifier: t(),
                fixed: Some(person.clone()),
                other_account: Some(t()),
                ..SignIn::samples().remove(0)
            };
            let learns = vec![Learns { scope: t(), values: vec![t()] }];
            let consent = Consent {
                application: application.clone(),
                person: person.clone(),
                learns,
                host: t(),
                ..Consent::samples().remove(0)
            };
            let leave =
                Leave { application: application.clone(), url: t(), fields: vec![(t(), t())], reason_id: leave::READY };
            let problem = Problem {
                reference: t(),
                link: Some(t()),
                link_text: link::BACK,
                application: Some(application.clone()),
                ..Problem::samples().remove(0)
            };
            let front = Front {
                signed_in: Some(person.clone()),
                tagline: Some(t()),
                description: Some(t()),
                sign_in: t(),
                account: t(),
            };
            let pages = [
                theme.render(&frame, &sign_in),
                theme.render(&frame, &SignIn { fixed: None, ..sign_in.clone() }),
                theme.render(&frame, &consent),
                theme.render(&frame, &leave),
                theme.render(&frame, &problem),
                theme.render(&frame, &front),
                theme.render(
                    &frame,
                    &SignedOut {
                        frames: vec![t()],
                        script: None,
                        application: Some(application.clone()),
                        next: Some(t()),
                    },
                ),
            ];
            for html in pages {
                let html = html.unwrap();
                assert_eq!(html.matches("<script").count(), 1, "{text}");
                assert_eq!(html.matches("</title>").count(), 1, "{text}");
                for bad in [
                    "<!--",
                    "<img",
                    "<style",
                    "{{",
                    "href=\"javascript",
                    "action=\"javascript",
                    "\u{202e}",
                    "\0",
                    "\x1b",
                    "\r",
                ] {
                    assert!(!html.contains(bad), "{bad:?} of {text:?}");
                }
                assert!(!html.contains("' onfocus"), "{text}");
            }
        }
    }
}

#[test]
fn an_unset_name_is_left_out_of_headings_and_titles() {
    let config = crate::config::Sources::default().load().unwrap().0;
    let brand = Brand::from_config(&config.brand);
    let html = Theme::load().unwrap().render(&frame(&brand, Locale::De), &SignIn::samples()[0]).unwrap();
    assert!(html.contains("<title>Anmelden</title>") && html.contains("<h1>Anmelden</h1>"));
}

#[test]
fn every_file_that_a_page_names_is_served() {
    let theme = Theme::load().unwrap();
    all(|name, html| {
        for path in html.split('"').filter(|v| v.starts_with("/assets/")) {
            assert!(theme.asset(path).is_some(), "{name}: {path}");
        }
    });
    assert!(acme().brand_css().contains("--brand-fill: light-dark(#4f46e5"));
}

#[test]
fn the_language_switch_keeps_the_flow() {
    let links = Language::switch(Locale::De, "/login?ui_locales=en%20de&flow=a&x=1");
    assert_eq!(links[1].href, "/login?flow=a&x=1&ui_locales=de");
    assert!(links[1].current && !links[0].current);
    assert_eq!(Language::switch(Locale::En, "/?ui_locales=de")[0].href, "/?ui_locales=en");
}

#[test]
fn unknown_messages_are_errors_and_not_pages() {
    let page = SignIn { notice: Some("no-such-message"), ..SignIn::samples().remove(0) };
    assert!(Theme::load().unwrap().render(&frame(&acme(), Locale::En), &page).is_err());
}

/// Writes every page to `target/pages` for looking at it: `cargo test --lib looking` and then a browser.
#[test]
fn pages_for_looking_at() {
    let to = concat!(env!("CARGO_MANIFEST_DIR"), "/target/pages");
    std::fs::create_dir_all(to).unwrap();
    let theme = Theme::load().unwrap();
    let colours = [
        ("indigo", INDIGO),
        ("yellow", Color(255, 255, 0)),
        ("black", Color(0, 0, 0)),
        ("teal", Color(0x0f, 0x76, 0x6e)),
        ("white", Color(255, 255, 255)),
        ("navy", Color(0, 0x11, 0x44)),
    ];
    for (colour, primary) in colours {
        for locale in Locale::ALL {
            let brand = Brand {
                primary,
                css: Brand::named("", primary).css,
                icon: Brand::named("Acme", primary).icon,
                ..acme()
            };
            page::each_sample(|template, number, render| {
                let html = render(&theme, &frame(&brand, locale)).unwrap();
                for path in html.split('"').filter(|v| v.starts_with("/assets/")) {
                    std::fs::write(format!("{to}/{}", &path[8..]), theme.asset(path).unwrap().bytes).unwrap();
                }
                let html = html.replace("\"/assets/", "\"");
                std::fs::write(format!("{to}/{template}-{number}-{}-{colour}.html", locale.tag()), html).unwrap();
            });
        }
    }
}

#[test]
fn every_message_is_said_somewhere() {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut users = String::new();
    for folder in ["themes/default/pages", "themes/default/parts", "src", "src/page", "src/theme"] {
        for file in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
            users += &std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        }
    }
    for file in std::fs::read_dir(format!("{root}/themes/default/locales/en")).unwrap() {
        for line in std::fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            let Some((id, _)) = line.split_once(" =").filter(|(id, _)| !id.contains([' ', '#', '[', '*'])) else {
                continue;
            };
            let composed = ["error-", "month-", "scope-"].iter().any(|p| id.starts_with(p));
            let said = users.contains(&format!("\"{id}\"")) || id == "time-date";
            assert!(composed || said, "{id} is said nowhere");
        }
    }
}
