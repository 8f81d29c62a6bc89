//! What pages look like: templates, style sheet and icons of `themes/default`, and the brand that fills them.
//!
//! A page ([`crate::page`]) and a [`Frame`] become HTML in [`Theme::render`]. Templates are handlebars in strict mode: a
//! field that a page lacks is an error, found by the test that renders every sample. Everything is escaped; no template
//! holds a text, a style or a script, so that the strictest content security policy holds. Brands are values, never
//! templates: whatever their operator writes stays text.
//!
//! # Why
//! One registry per language rather than a language in each page's data: the helpers that need it hold it.

mod asset;
mod brand;
mod color;
mod helper;

pub use asset::Asset;
pub use brand::Brand;

use crate::error::{Error, Result};
use crate::locale::Locale;
use crate::page::Page;
use asset::Assets;
use handlebars::Handlebars;
use rust_embed::Embed;
use serde::Serialize;
use std::sync::Arc;

#[derive(Embed)]
#[folder = "themes/default/"]
struct Files;

/// The theme, read once per process.
pub struct Theme {
    /// In the order of [`Locale::ALL`].
    registries: Vec<Handlebars<'static>>,
    assets: Arc<Assets>,
}

/// What surrounds every page.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    pub brand: &'a Brand,
    pub locale: Locale,
    /// What the tenant's paths begin with: empty or `/t/{slug}`.
    pub base: &'a str,
    /// The language switch; empty where a page cannot be asked for again.
    pub languages: Vec<Language>,
}

/// One choice of the language switch.
#[derive(Clone, Debug, Serialize)]
pub struct Language {
    pub tag: &'static str,
    pub name: &'static str,
    /// This page with `ui_locales` set to the language.
    pub href: String,
    pub current: bool,
}

impl Language {
    /// Every language, with the page at `path` (and query) asked for in it.
    pub fn switch(current: Locale, path: &str) -> Vec<Language> {
        let kept = without_ui_locales(path);
        let join = if kept.contains('?') { '&' } else { '?' };
        let link = |locale: Locale| Language {
            tag: locale.tag(),
            name: locale.name(),
            href: format!("{kept}{join}ui_locales={}", locale.tag()),
            current: locale == current,
        };
        Locale::ALL.map(link).into()
    }
}

/// What a template sees.
#[derive(Serialize)]
struct View<'a, P> {
    lang: &'static str,
    dir: &'static str,
    title: String,
    base: &'a str,
    brand: &'a Brand,
    languages: &'a [Language],
    page: &'a P,
}

impl Theme {
    /// Reads and checks all templates.
    ///
    /// # Errors
    /// [`Error::Ours`] when a template cannot be parsed or a file of the theme is missing.
    pub fn load() -> Result<Theme> {
        let assets = Arc::new(Assets::load());
        let mut registries = vec![];
        for locale in Locale::ALL {
            registries.push(registry(locale, &assets)?);
        }
        Ok(Theme { registries, assets })
    }

    /// The HTML of a page.
    ///
    /// # Errors
    /// [`Error::Ours`] when the template names what the page does not have, or the page a message that does not exist.
    pub fn render<P: Page>(&self, frame: &Frame<'_>, page: &P) -> Result<String> {
        let view = View {
            lang: frame.locale.tag(),
            dir: frame.locale.dir(),
            title: page.title(frame.locale, &frame.brand.name),
            base: frame.base,
            brand: frame.brand,
            languages: &frame.languages,
            page,
        };
        let registry =
            self.registries.get(frame.locale as usize).ok_or_else(|| Error::internal("a locale without templates"))?;
        registry.render(P::TEMPLATE, &view).map_err(Error::internal)
    }

    /// The file at a path below `/assets/`, hash and all. Its content never changes: `immutable` is right for it.
    pub fn asset(&self, path: &str) -> Option<Asset> {
        self.assets.get(path)
    }
}

fn registry(locale: Locale, assets: &Arc<Assets>) -> Result<Handlebars<'static>> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.set_prevent_indent(true);
    registry.register_escape_fn(helper::escape);
    for path in Files::iter() {
        let Some((folder, file)) = path.split_once('/') else { continue };
        let (Some(name), "pages" | "parts") = (file.strip_suffix(".hbs"), folder) else { continue };
        let text = Files::get(&path).and_then(|f| String::from_utf8(f.data.into_owned()).ok());
        let text = text.ok_or_else(|| Error::internal(format!("{path} is no text")))?;
        registry.register_template_string(name, text).map_err(Error::internal)?;
    }
    helper::register(&mut registry, locale, assets);
    Ok(registry)
}

fn without_ui_locales(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let kept: Vec<&str> =
        query.split('&').filter(|p| !p.is_empty() && p.split('=').next() != Some("ui_locales")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests;
