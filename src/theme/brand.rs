//! Whose pages these are: a name, a picture, a colour, and where people get help. Values only.

use super::asset;
use crate::config::{self, Color};
use serde::{Serialize, Serializer};
use url::Url;

/// A brand as templates see it.
#[derive(Clone, Debug, Serialize)]
pub struct Brand {
    /// Empty when nobody has set one: headings then do without.
    pub name: String,
    pub tagline: Option<String>,
    pub description: Option<String>,
    /// An https URL or a path below `/assets/`.
    pub logo: Option<String>,
    /// The same, for the browser's tab; generated when not set.
    pub icon: String,
    pub company: Option<String>,
    /// Where people get help: a page, or `mailto:`.
    pub support: Option<String>,
    pub privacy: Option<String>,
    pub terms: Option<String>,
    /// What stands in the tile when there is no logo.
    #[serde(serialize_with = "as_text")]
    pub letter: Option<char>,
    #[serde(skip)]
    pub primary: Color,
    /// Where the style sheet with its colours is served.
    pub css: String,
}

impl Brand {
    /// A brand of nothing but a name and a colour.
    pub fn named(name: &str, primary: Color) -> Self {
        let letter = name.chars().find(|c| c.is_alphanumeric()).and_then(|c| c.to_uppercase().next());
        Self {
            name: name.to_owned(),
            tagline: None,
            description: None,
            logo: None,
            icon: asset::icon(primary, letter).0,
            company: None,
            support: None,
            privacy: None,
            terms: None,
            letter,
            primary,
            css: asset::colours(primary).0,
        }
    }

    /// The brand of the default tenant. Pictures keep the paths of the configuration.
    pub fn from_config(brand: &config::Brand) -> Self {
        // The default of the key is a stand-in for a name: "Sign in to Sign in" would be read.
        let unset = config::KEYS.iter().any(|k| k.section == "brand" && k.name == "name" && k.default == brand.name);
        let plain = Self::named(if unset { "" } else { &brand.name }, brand.primary_color);
        let url = |url: &Option<Url>| url.as_ref().map(Url::to_string);
        let picture = |picture: &Option<config::Picture>| picture.as_ref().map(|p| p.0.clone());
        Self {
            tagline: brand.tagline.clone(),
            description: brand.description.clone(),
            logo: picture(&brand.logo_url),
            icon: picture(&brand.favicon).unwrap_or(plain.icon),
            company: brand.company_name.clone(),
            support: url(&brand.support_url)
                .or_else(|| brand.support_email.as_ref().map(|mail| format!("mailto:{mail}"))),
            privacy: url(&brand.privacy_url),
            terms: url(&brand.terms_url),
            ..plain
        }
    }

    /// The custom properties served at `css`.
    pub fn brand_css(&self) -> String {
        super::color::Palette::new(self.primary).css()
    }
}

fn as_text<S: Serializer>(letter: &Option<char>, to: S) -> Result<S::Ok, S::Error> {
    letter.map(String::from).serialize(to)
}
