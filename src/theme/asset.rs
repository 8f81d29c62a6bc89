//! The files below `/assets/`: named by what is in them, so that they may be kept forever.
//!
//! Those of the theme are read once. Those of a brand (its colours, its small icon) are a pure function of what their
//! name says, so that any server can answer for any tenant without asking the database, and a name of another version
//! does not exist.

use super::Files;
use super::color::{Palette, hex};
use crate::config::Color;
use actix_web::web::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Write;

/// A file and what a handler says about it.
#[derive(Clone, Debug)]
pub struct Asset {
    pub bytes: Bytes,
    /// The same, packed (RFC 1952), where that is worth it.
    pub gzip: Option<Bytes>,
    pub content_type: &'static str,
    /// The strong entity tag (RFC 9110 section 8.8.3), in its quotes.
    pub etag: String,
}

/// The theme's files, by the name that they are served under.
pub(super) struct Assets {
    served: HashMap<String, Asset>,
    /// From `app.css` to `/assets/app-1a2b3c4d.css`.
    names: HashMap<String, String>,
}

impl Assets {
    pub(super) fn load() -> Self {
        let mut assets = Self { served: HashMap::new(), names: HashMap::new() };
        for path in Files::iter() {
            let Some(name) = path.strip_prefix("assets/") else { continue };
            let (Some(file), Some((stem, kind))) = (Files::get(&path), name.rsplit_once('.')) else { continue };
            assets.add(stem, kind, file.data.into_owned());
        }
        assets.add("app", "css", style_sheet());
        assets
    }

    fn add(&mut self, stem: &str, kind: &str, bytes: Vec<u8>) {
        let asset = Asset::new(bytes, content_type(kind));
        let hashed = format!("/assets/{stem}-{}.{kind}", asset.hash());
        self.names.insert(format!("{stem}.{kind}"), hashed.clone());
        self.served.insert(hashed, asset.packed());
    }

    /// Where a file is served.
    pub(super) fn url(&self, name: &str) -> Option<&str> {
        self.names.get(name).map(String::as_str)
    }

    pub(super) fn get(&self, path: &str) -> Option<Asset> {
        self.served.get(path).cloned().or_else(|| generated(path))
    }
}

impl Asset {
    fn new(bytes: Vec<u8>, content_type: &'static str) -> Self {
        let etag = format!("\"{}\"", hash8(&bytes));
        Self { bytes: Bytes::from(bytes), gzip: None, content_type, etag }
    }

    fn packed(self) -> Self {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        let packed = packer.write_all(&self.bytes).and_then(|()| packer.finish());
        // Below a kilobyte it all fits into one packet anyway.
        let gzip = packed.ok().filter(|p| self.bytes.len() > 1024 && p.len() < self.bytes.len()).map(Bytes::from);
        Self { gzip, ..self }
    }

    /// Eight hexadecimal digits of the SHA-256 of the bytes.
    pub fn hash(&self) -> &str {
        self.etag.trim_matches('"')
    }
}

/// `app.css`: the files of `styles/` in the order of their names.
fn style_sheet() -> Vec<u8> {
    let mut paths: Vec<_> =
        Files::iter().filter(|path| path.starts_with("styles/") && path.ends_with(".css")).collect();
    paths.sort();
    paths.iter().filter_map(|path| Files::get(path)).flat_map(|file| file.data.into_owned()).collect()
}

/// The brand's colours as custom properties, and where they are served.
pub(super) fn colours(brand: Color) -> (String, Asset) {
    let asset = Asset::new(Palette::new(brand).css().into_bytes(), content_type("css"));
    (format!("/assets/brand-{}-{}.css", &hex(brand)[1..], asset.hash()), asset)
}

/// The icon of a brand that has none of its own: its first letter on its colour, or a person's outline without one.
pub(super) fn icon(brand: Color, letter: Option<char>) -> (String, Asset) {
    let shades = Palette::new(brand).light;
    let (fill, on) = (hex(shades.fill), hex(shades.on));
    let sign = match letter.filter(|c| c.is_alphanumeric()) {
        Some(letter) => format!(
            "<text x=\"32\" y=\"33\" fill=\"{on}\" font-family=\"system-ui, sans-serif\" font-size=\"36\" font-weight=\"600\" \
             text-anchor=\"middle\" dominant-baseline=\"central\">{letter}</text>"
        ),
        None => format!(
            "<g fill=\"none\" stroke=\"{on}\" stroke-width=\"4\" stroke-linecap=\"round\"><circle cx=\"32\" cy=\"25\" r=\"8\"/>\
             <path d=\"M17 48c2-8 8-11 15-11s13 3 15 11\"/></g>"
        ),
    };
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 64 64\"><rect width=\"64\" height=\"64\" rx=\"15\" fill=\"{fill}\"/>{sign}</svg>"
    );
    let asset = Asset::new(svg.into_bytes(), content_type("svg"));
    let code = letter.map_or(0, u32::from);
    (format!("/assets/icon-{}-{code:x}-{}.svg", &hex(brand)[1..], asset.hash()), asset)
}

fn generated(path: &str) -> Option<Asset> {
    let name = path.strip_prefix("/assets/")?;
    let mut parts = name.split('-');
    let (kind, colour) = (parts.next()?, colour(parts.next()?)?);
    let (real, asset) = match kind {
        "brand" => colours(colour),
        "icon" => icon(colour, char::from_u32(u32::from_str_radix(parts.next()?, 16).ok()?).filter(|c| *c != '\0')),
        _ => return None,
    };
    (real == path).then_some(asset)
}

fn colour(text: &str) -> Option<Color> {
    let number = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 6)?;
    Some(Color((number >> 16) as u8, (number >> 8) as u8, number as u8))
}

fn content_type(kind: &str) -> &'static str {
    match kind {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

fn hash8(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(4).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brands_files_are_answered_from_their_name_alone() {
        let assets = Assets::load();
        let brand = Color(0x4f, 0x46, 0xe5);
        for (path, asset) in [colours(brand), icon(brand, Some('Ä')), icon(brand, None)] {
            assert_eq!(assets.get(&path).unwrap().bytes, asset.bytes, "{path}");
        }
    }

    #[test]
    fn names_that_nobody_gave_do_not_exist() {
        let assets = Assets::load();
        let (path, _) = colours(Color(1, 2, 3));
        for wrong in [
            path.replace("010203", "010204"),
            path.replace("/assets/", "/"),
            path.replace("brand", "icon"),
            "/assets/".into(),
            "/assets/app.css".into(),
            "/assets/../assets/app.css".into(),
            "/assets/brand-+10203-00000000.css".into(),
            "/assets/brand-äöü-00000000.css".into(),
            "/assets/icon-010203-110000-00000000.svg".into(),
            "/assets/icon-010203-3c-00000000.svg".into(),
        ] {
            assert!(assets.get(&wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_name_changes_with_the_content() {
        let assets = Assets::load();
        for name in ["app.css", "app.js"] {
            let url = assets.url(name).unwrap();
            let asset = assets.get(url).unwrap();
            assert!(url.contains(asset.hash()));
            assert_eq!(asset.hash().len(), 8);
        }
    }
}
