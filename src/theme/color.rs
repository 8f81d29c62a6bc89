//! From one brand colour to every shade that the pages need, each readable where it stands.
//!
//! Work is done in OKLCH, where equal steps of lightness look equal (Björn Ottosson, "A perceptual color space for image
//! processing"; CSS Color 4 section 9.4); contrast is that of WCAG 2.2 section 1.4.3. Where to start: [`Palette::new`].

use crate::config::Color;

/// What text and controls stand on, light and dark: card, page, sunk. The same values are in `app.css`; a test compares.
pub const GROUNDS: [[Color; 3]; 2] = [
    [Color(0xff, 0xff, 0xff), Color(0xf6, 0xf7, 0xf9), Color(0xf1, 0xf2, 0xf5)],
    [Color(0x16, 0x18, 0x1e), Color(0x0e, 0x10, 0x14), Color(0x1c, 0x1f, 0x26)],
];

/// Contrast of text (WCAG 2.2 section 1.4.3) and of what is no text (section 1.4.11).
const TEXT: f64 = 4.5;
const SHAPE: f64 = 3.0;
/// Below this a filled area cannot be told from the card.
const FAINT: f64 = 1.6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

/// The brand's shades in both schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    pub light: Shades,
    pub dark: Shades,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shades {
    /// The main button.
    pub fill: Color,
    /// Text on `fill` and on `hover`: black or white.
    pub on: Color,
    pub hover: Color,
    /// The edge of `fill`, where that is close to the card; else the same.
    pub edge: Color,
    /// Links and other text in the brand's colour, on card, page, sunk and `soft`.
    pub ink: Color,
    /// The focus ring and ticked boxes.
    pub ring: Color,
    /// A tint for small areas.
    pub soft: Color,
}

impl Palette {
    pub fn new(brand: Color) -> Self {
        Self { light: Shades::new(brand, Scheme::Light), dark: Shades::new(brand, Scheme::Dark) }
    }

    /// The custom properties that `app.css` builds on.
    pub fn css(&self) -> String {
        let (l, d) = (&self.light, &self.dark);
        let rows = [
            ("fill", l.fill, d.fill),
            ("on", l.on, d.on),
            ("hover", l.hover, d.hover),
            ("edge", l.edge, d.edge),
            ("ink", l.ink, d.ink),
            ("ring", l.ring, d.ring),
            ("soft", l.soft, d.soft),
        ];
        let rows: String = rows
            .iter()
            .map(|(name, light, dark)| format!("  --brand-{name}: light-dark({}, {});\n", hex(*light), hex(*dark)))
            .collect();
        format!(":root {{\n{rows}}}\n")
    }
}

impl Shades {
    fn new(brand: Color, scheme: Scheme) -> Self {
        let grounds = &GROUNDS[scheme as usize];
        let soft = soft(brand, scheme);
        let fill = fill(brand, scheme);
        let on = on(fill);
        Self {
            fill,
            on,
            hover: hover(fill, on),
            edge: if contrast(fill, grounds[0]) < FAINT { shifted(fill, scheme, SHAPE, &grounds[..2]) } else { fill },
            ink: shifted(fill, scheme, TEXT, &[grounds[0], grounds[1], grounds[2], soft]),
            ring: shifted(fill, scheme, SHAPE, &[grounds[0], grounds[1], grounds[2], soft]),
            soft,
        }
    }
}

/// The brand colour itself, unless it would be a hole in the card: black is white in the dark and white is black in the
/// light, as monochrome brands do it; dark colours are lifted in the dark. Bright ones keep their colour and get an edge.
fn fill(brand: Color, scheme: Scheme) -> Color {
    let card = GROUNDS[scheme as usize][0];
    if contrast(brand, card) >= FAINT {
        return brand;
    }
    let lch = Lch::of(brand);
    match scheme {
        Scheme::Light if lch.c < 0.03 => Lch { l: 0.21, ..lch }.color(),
        Scheme::Light => brand,
        Scheme::Dark if lch.c < 0.03 => Lch { l: 0.96, ..lch }.color(),
        Scheme::Dark => shifted(brand, scheme, 1.9, &[card]),
    }
}

fn soft(brand: Color, scheme: Scheme) -> Color {
    let lch = Lch::of(brand);
    match scheme {
        Scheme::Light => Lch { l: 0.962, c: (lch.c * 0.2).min(0.022), ..lch }.color(),
        Scheme::Dark => Lch { l: 0.27, c: (lch.c * 0.3).min(0.045), ..lch }.color(),
    }
}

fn on(fill: Color) -> Color {
    let (black, white) = (Color(0, 0, 0), Color(255, 255, 255));
    if contrast(fill, white) >= contrast(fill, black) { white } else { black }
}

/// 8 % darker; lighter where darker would not be seen or would take the text's contrast.
fn hover(fill: Color, on: Color) -> Color {
    let lch = Lch::of(fill);
    let darker = Lch { l: lch.l * 0.92, ..lch }.color();
    if lch.l > 0.3 && contrast(darker, on) >= TEXT {
        return darker;
    }
    let lighter = Lch { l: (lch.l * 1.08).max(lch.l + 0.06).min(1.0), ..lch }.color();
    if contrast(lighter, on) >= TEXT { lighter } else { fill }
}

/// The colour nearest to `color` in lightness that has the contrast on each of the grounds: darker in the light scheme,
/// lighter in the dark one.
fn shifted(color: Color, scheme: Scheme, least: f64, grounds: &[Color]) -> Color {
    let good = |c: Color| grounds.iter().all(|g| contrast(c, *g) >= least);
    if good(color) {
        return color;
    }
    let lch = Lch::of(color);
    // Black in the light and white in the dark have the contrast always, so the search has an end that is good.
    let (mut bad, mut end) = match scheme {
        Scheme::Light => (lch.l, 0.0),
        Scheme::Dark => (lch.l, 1.0),
    };
    for _ in 0..20 {
        let middle = (bad + end) / 2.0;
        if good(Lch { l: middle, ..lch }.color()) { end = middle } else { bad = middle }
    }
    Lch { l: end, ..lch }.color()
}

/// WCAG 2.2, "contrast ratio": 1 to 21.
pub fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

pub fn hex(Color(r, g, b): Color) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn luminance(Color(r, g, b): Color) -> f64 {
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

fn linear(channel: u8) -> f64 {
    let c = f64::from(channel) / 255.0;
    if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
}

fn encoded(linear: f64) -> u8 {
    let c = if linear <= 0.003_130_8 { linear * 12.92 } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
    (c.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Lightness 0 to 1, chroma, hue in radians.
#[derive(Clone, Copy)]
struct Lch {
    l: f64,
    c: f64,
    h: f64,
}

impl Lch {
    fn of(Color(r, g, b): Color) -> Self {
        let (r, g, b) = (linear(r), linear(g), linear(b));
        let l = (0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b).cbrt();
        let m = (0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b).cbrt();
        let s = (0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b).cbrt();
        let lightness = 0.210_454_255_3 * l + 0.793_617_785_0 * m - 0.004_072_046_8 * s;
        let a = 1.977_998_495_1 * l - 2.428_592_205_0 * m + 0.450_593_709_9 * s;
        let b = 0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766_0 * s;
        Self { l: lightness, c: a.hypot(b), h: b.atan2(a) }
    }

    /// The nearest colour that a screen can show: chroma is taken back until it fits (CSS Color 4 section 13.2).
    fn color(self) -> Color {
        if let Some(color) = self.fits() {
            return color;
        }
        let (mut fits, mut misfits) = (0.0, self.c);
        for _ in 0..16 {
            let middle = (fits + misfits) / 2.0;
            if (Self { c: middle, ..self }).fits().is_some() { fits = middle } else { misfits = middle }
        }
        let [r, g, b] = Self { c: fits, ..self }.linear();
        Color(encoded(r), encoded(g), encoded(b))
    }

    fn fits(self) -> Option<Color> {
        let [r, g, b] = self.linear();
        let inside = |c: f64| (-0.000_5..=1.000_5).contains(&c);
        (inside(r) && inside(g) && inside(b)).then(|| Color(encoded(r), encoded(g), encoded(b)))
    }

    fn linear(self) -> [f64; 3] {
        let (a, b) = (self.c * self.h.cos(), self.c * self.h.sin());
        let l = (self.l + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
        let m = (self.l - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
        let s = (self.l - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
        [
            4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
            -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
            -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A grid over all of sRGB, the greys, and colours that brands have.
    fn colours() -> Vec<Color> {
        let steps = [0u8, 32, 64, 96, 128, 160, 192, 224, 255];
        let mut all = vec![];
        for r in steps {
            for g in steps {
                all.extend(steps.map(|b| Color(r, g, b)));
            }
        }
        all.extend((0..=255).map(|g| Color(g, g, g)));
        all.extend([
            Color(0x4f, 0x46, 0xe5),
            Color(0xff, 0xff, 0),
            Color(0x0f, 0x76, 0x6e),
            Color(0x16, 0x18, 0x1e),
            Color(0xfe, 0xfe, 0xfd),
        ]);
        all
    }

    #[test]
    fn every_brand_colour_gives_readable_pages() {
        let all = colours();
        assert!(all.len() > 500);
        for brand in all {
            let palette = Palette::new(brand);
            for (shades, grounds) in [(palette.light, GROUNDS[0]), (palette.dark, GROUNDS[1])] {
                for area in [shades.fill, shades.hover] {
                    assert!(contrast(shades.on, area) >= 4.5, "text on the button: {brand:?} {shades:?}");
                }
                for ground in grounds.into_iter().chain([shades.soft]) {
                    assert!(contrast(shades.ink, ground) >= 4.5, "brand ink on {ground:?}: {brand:?} {shades:?}");
                    assert!(contrast(shades.ring, ground) >= 3.0, "focus ring on {ground:?}: {brand:?} {shades:?}");
                }
                assert!(contrast(shades.edge, grounds[0]) >= FAINT, "the button's edge: {brand:?} {shades:?}");
            }
        }
    }

    /// The tokens of `app.css`: name, light, dark.
    fn tokens() -> HashMap<String, [Color; 2]> {
        let css =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/themes/default/styles/1-base.css")).unwrap();
        let colour = |text: &str| {
            let n = u32::from_str_radix(text.trim().trim_start_matches('#'), 16).unwrap();
            Color((n >> 16) as u8, (n >> 8) as u8, n as u8)
        };
        let line = |line: &str| {
            let (name, value) = line.trim().strip_prefix("--")?.split_once(": light-dark(")?;
            let (light, dark) = value.trim_end_matches(");").split_once(',')?;
            light.starts_with('#').then(|| (name.to_owned(), [colour(light), colour(dark)]))
        };
        css.lines().filter_map(line).collect()
    }

    #[test]
    fn the_grounds_are_those_of_the_style_sheet() {
        let tokens = tokens();
        for (at, name) in ["card", "page", "sunk"].into_iter().enumerate() {
            assert_eq!(tokens[name], [GROUNDS[0][at], GROUNDS[1][at]], "{name}");
        }
    }

    #[test]
    fn every_text_of_the_style_sheet_can_be_read_where_it_stands() {
        let tokens = tokens();
        let pairs = [
            ("ink", &["card", "page", "sunk", "bad-soft", "good-soft"][..]),
            ("ink-2", &["card", "page", "sunk", "bad-soft"]),
            ("ink-3", &["card", "page", "sunk"]),
            ("bad", &["card", "page", "bad-soft"]),
            ("good", &["card", "page", "good-soft"]),
        ];
        for (scheme, name) in ["light", "dark"].into_iter().enumerate() {
            for (text, grounds) in pairs {
                for ground in grounds {
                    let ratio = contrast(tokens[text][scheme], tokens[*ground][scheme]);
                    assert!(ratio >= 4.5, "{text} on {ground}, {name}: {ratio:.2}");
                }
            }
            let ratio = contrast(tokens["line-field"][scheme], tokens["card"][scheme]);
            assert!(ratio >= 3.0, "fields, {name}: {ratio:.2}");
            for brand in colours() {
                let palette = Palette::new(brand);
                let soft = [palette.light.soft, palette.dark.soft][scheme];
                for text in ["ink", "ink-2"] {
                    let ratio = contrast(tokens[text][scheme], soft);
                    assert!(ratio >= 4.5, "{text} on the tint of {brand:?}, {name}: {ratio:.2}");
                }
            }
        }
    }

    #[test]
    fn a_colour_survives_the_way_there_and_back() {
        for color in colours() {
            assert_eq!(Lch::of(color).color(), color);
        }
    }

    #[test]
    fn a_readable_brand_stays_what_it_is() {
        let brand = Color(0x4f, 0x46, 0xe5);
        let palette = Palette::new(brand);
        assert_eq!((palette.light.fill, palette.light.edge, palette.light.ink), (brand, brand, brand));
        assert_eq!(palette.light.on, Color(255, 255, 255));
    }
}
