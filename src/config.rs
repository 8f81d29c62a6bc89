//! Configuration: one table of keys, from which the struct, `conf/keyward.toml` and the names in the environment come.
//!
//! Layers, the later one wins: defaults, the file, the plain names that deployments expect (`PORT`, `DATABASE_URL`),
//! `KEYWARD__SECTION__KEY`, the command line. Every problem is found before any is reported.

mod environment;
mod field;
mod file;

pub use environment::env_name;
pub use field::{Color, Format, Level, List, Mode, Picture, Secret, Span, address};

use config::{Environment, File, FileFormat};
use environment::{strangers, with_files};
use field::Field;
use file::{flatten, line_of, nearest, on_one_line};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

macro_rules! keys {
    ($(#[doc = $about:literal] $section:ident: $Struct:ident { $($(#[doc = $doc:literal])* $key:ident: $type:ty = $default:literal $(, $plain:literal)* ;)* })*) => {
        #[derive(Clone, Debug)]
        pub struct Config { $(pub $section: $Struct),* }

        $(#[doc = $about] #[derive(Clone, Debug)] pub struct $Struct { $($(#[doc = $doc])* pub $key: $type),* })*

        /// Every key: its dotted name, meaning, default and plain names in the environment.
        pub const KEYS: &[Key] = &[$($(Key {
            section: stringify!($section), about: $about, name: stringify!($key),
            doc: concat!($($doc, "\n"),*), default: $default, plain: &[$($plain),*],
        }),*),*];

        pub(super) fn build(texts: &Texts, problems: &mut Vec<Problem>) -> Option<Config> {
            $(let $section = ($(texts.read::<$type>(concat!(stringify!($section), ".", stringify!($key)), $default, problems),)*);)*
            Some(Config { $($section: { let ($($key,)*) = $section; $Struct { $($key: $key?),* } }),* })
        }
    };
}

mod keys;

pub use keys::*;

/// One line of the table of keys.
pub struct Key {
    pub section: &'static str,
    pub about: &'static str,
    pub name: &'static str,
    pub doc: &'static str,
    pub default: &'static str,
    pub plain: &'static [&'static str],
}

/// Something wrong with the configuration, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub origin: String,
    pub key: String,
    pub says: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.is_empty() {
            true => write!(f, "{}: {}", self.origin, self.says),
            false => write!(f, "{}: {} {}", self.origin, self.key, self.says),
        }
    }
}

/// Where configuration comes from.
#[derive(Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    pub environment: HashMap<String, String>,
    /// From the command line: dotted key and value.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// The process's own environment.
    #[allow(clippy::disallowed_methods)]
    pub fn from_process() -> Self {
        Self {
            environment: std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
            ..Self::default()
        }
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// Every problem there is, not only the first.
    pub fn load(self) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
        let mut problems = vec![];
        let mut warnings = vec![];
        let texts = self.texts(&mut problems, &mut warnings);
        let config = build(&texts, &mut problems);
        if let Some(config) = &config {
            check(config, &texts, &mut problems);
        }
        // What stands in a file, in its order.
        problems.sort_by_key(|p| p.origin.rsplit_once(" line ").and_then(|(_, line)| line.parse::<usize>().ok()));
        match config {
            Some(config) if problems.is_empty() => Ok((config, warnings)),
            _ => Err(problems),
        }
    }

    fn texts(self, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) -> Texts {
        let mut texts = Texts::default();
        let mut builder = config::Config::builder();
        let mut toml = None;
        if let Some(path) = &self.file {
            match std::fs::read_to_string(path) {
                Ok(text) => {
                    builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
                    toml = Some((path.clone(), text));
                }
                Err(e) => problems.push(Problem {
                    origin: path.display().to_string(),
                    key: String::new(),
                    says: format!("cannot be read: {e}"),
                }),
            }
        }
        let environment = with_files(self.environment, problems);
        let known: Vec<String> = KEYS.iter().map(|k| format!("{}.{}", k.section, k.name)).collect();
        // A file is ours alone, so a wrong name in it stops the start; the environment is shared with others.
        warnings.extend(strangers(&environment, &known));
        let ours: HashMap<String, String> = known
            .iter()
            .map(|key| env_name(key))
            .filter_map(|n| Some((n.clone(), environment.get(&n)?.clone())))
            .collect();
        builder = builder
            .add_source(Environment::with_prefix("KEYWARD").prefix_separator("__").separator("__").source(Some(ours)));
        let origin = |key: &str| match (environment.contains_key(&env_name(key)), &toml) {
            (true, _) => format!("environment {}", env_name(key)),
            (false, Some((path, text))) => format!("{} line {}", path.display(), line_of(text, key)),
            (false, None) => "configuration".into(),
        };
        match builder.build() {
            Ok(merged) => flatten(&merged, &origin, (&mut texts.values, problems)),
            Err(e) => {
                let (place, says) = on_one_line(&e.to_string());
                let file = toml.as_ref().map_or_else(|| "configuration".into(), |(p, _)| p.display().to_string());
                problems.push(Problem { origin: format!("{file}{place}"), key: String::new(), says });
            }
        }
        for key in texts.values.keys() {
            texts.origins.insert(key.clone(), origin(key));
        }
        for key in KEYS {
            let dotted = format!("{}.{}", key.section, key.name);
            for plain in key.plain {
                let Some(value) = environment.get(*plain).filter(|_| !environment.contains_key(&env_name(&dotted)))
                else {
                    continue;
                };
                texts.values.insert(dotted.clone(), value.clone());
                texts.origins.insert(dotted.clone(), format!("environment {plain}"));
            }
        }
        if let Some(port) = environment.get("PORT").filter(|_| !environment.contains_key(&env_name("server.listen"))) {
            let listen = texts.values.get("server.listen").map_or("127.0.0.1:8080", String::as_str);
            let host = listen.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
            match port.trim().parse::<u16>() {
                Ok(port) => {
                    texts.values.insert("server.listen".into(), format!("{host}:{port}"));
                    texts.origins.insert("server.listen".into(), "environment PORT".into());
                }
                Err(_) => problems.push(Problem {
                    origin: "environment PORT".into(),
                    key: String::new(),
                    says: "must be a number from 0 to 65535, such as 8080".into(),
                }),
            }
        }
        for (key, value) in self.flags {
            texts.values.insert(key.into(), value);
            texts.origins.insert(key.into(), "command line".into());
        }
        for (key, origin) in &texts.origins {
            if !known.contains(key) {
                problems.push(Problem {
                    origin: origin.clone(),
                    key: key.clone(),
                    says: format!("is not a key{}", nearest(key, &known)),
                });
            }
        }
        texts
    }
}

#[derive(Default)]
struct Texts {
    values: BTreeMap<String, String>,
    origins: BTreeMap<String, String>,
}

impl Texts {
    fn read<T: Field>(&self, key: &str, default: &str, problems: &mut Vec<Problem>) -> Option<T> {
        let text = self.values.get(key).map_or(default, |v| v.trim());
        match T::read(text) {
            Ok(value) => Some(value),
            Err(says) => {
                problems.push(self.problem(key, says));
                // With its default in place, what depends on other keys is looked at all the same.
                T::read(default).ok()
            }
        }
    }

    fn problem(&self, key: &str, says: String) -> Problem {
        Problem { origin: self.origins.get(key).cloned().unwrap_or_else(|| "default".into()), key: key.into(), says }
    }
}

/// What one key alone cannot show.
fn check(config: &Config, texts: &Texts, problems: &mut Vec<Problem>) {
    let unread: Vec<String> = problems.iter().map(|p| p.key.clone()).collect();
    let mut no = |key: &str, says: &str| {
        if !unread.iter().any(|k| k == key) {
            problems.push(texts.problem(key, says.into()));
        }
    };
    if let Some(url) = &config.server.public_url {
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            no("server.public_url", "must have no query, fragment or user");
        }
        if url.path() != "/" {
            no("server.public_url", "must have no path: tenants are told apart by it");
        }
        if url.scheme() == "http" && !loopback(url) {
            no("server.public_url", "must be https unless it is localhost");
        }
    }
    if let Some(domain) = &config.brand.domain
        && Url::parse(&config.public_url()).ok().as_ref().and_then(Url::host_str) != Some(domain)
    {
        no("brand.domain", "differs from the host of server.public_url");
    }
    if !matches!(config.keys.rsa_bits, 2048 | 3072 | 4096) {
        no("keys.rsa_bits", "must be 2048, 3072 or 4096");
    }
    if config.tokens.code.0 > Duration::from_secs(600) || config.tokens.code.0.is_zero() {
        no("tokens.code", "must be between 1s and 10m");
    }
    if config.tokens.refresh_grace.0 > Duration::from_secs(60) {
        no("tokens.refresh_grace", "must be at most 60s");
    }
    if config.password.memory_kib < 7168
        || config.password.iterations == 0
        || config.password.parallelism == 0
        || config.password.parallelism > 64
    {
        no("password.memory_kib", "must be at least 7168, with 1 iteration and 1 to 64 lanes");
    }
    if !(8..=128).contains(&config.password.min_length) {
        no("password.min_length", "must be between 8 and 128");
    }
    if config.database.pool_size == 0 {
        no("database.pool_size", "must be at least 1");
    }
    if config.bootstrap.email.is_some() != config.bootstrap.password.is_set() {
        no("bootstrap.email", "and bootstrap.password must be set together");
    }
    for (key, span) in [
        ("tokens.access", config.tokens.access),
        ("tokens.id", config.tokens.id),
        ("sessions.lifetime", config.sessions.lifetime),
        ("sessions.idle", config.sessions.idle),
        ("limits.sign_in_window", config.limits.sign_in_window),
    ] {
        if span.0 < Duration::from_secs(10) {
            no(key, "must be at least 10s");
        }
    }
}

/// Whether a URL names this machine itself.
pub fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

impl Config {
    /// What the default tenant is reached as.
    pub fn public_url(&self) -> String {
        match &self.server.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://localhost:{}", self.server.listen.port()),
        }
    }

    pub fn data_dir(&self) -> &Path {
        &self.server.data_dir
    }
}

/// The text of `conf/keyward.toml`.
pub fn reference() -> String {
    let mut text = String::from(
        "# Every key of the configuration, with its default. Nothing reads this very file: copy it, take the # from what you\n\
         # change, and name the copy: keyward serve --config /etc/keyward.toml (and with every other command).\n\
         # Each key can be set in the environment too, under the names above it; any name with _FILE reads a file.\n\
         # Written by a test from src/config.rs: do not edit it here.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            text += &format!("\n#{}[{section}]\n", key.about.trim_end().replace('\n', "\n#").to_owned() + "\n");
        }
        let names: Vec<String> = std::iter::once(env_name(&format!("{section}.{}", key.name)))
            .chain(key.plain.iter().map(|p| (*p).to_owned()))
            .collect();
        text += &format!(
            "\n#{}# {}\n#{} = {:?}\n",
            key.doc.trim_end().replace('\n', "\n#") + "\n",
            names.join(", "),
            key.name,
            key.default
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, environment: &[(&str, &str)]) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        Sources {
            file: Some(file.path().into()),
            environment: environment.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            flags: vec![],
        }
        .load()
    }

    #[test]
    fn nothing_needs_to_be_set() {
        let (config, warnings) = Sources::default().load().unwrap();
        assert_eq!(config.public_url(), "http://localhost:8080");
        assert!(warnings.is_empty());
    }

    #[test]
    fn every_problem_is_named_at_once_with_key_and_line() {
        let problems = load(
            "[server]\nlisten = \"nowhere\"\nlistne = 1\n\n[tokens]\ncode = \"1d\"\naccess = \"soon\"\n",
            &[("DATABASE_POOL_SIZE", "many")],
        )
        .unwrap_err();
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let all = said.join("\n");
        for part in [
            "line 2: server.listen must be",
            "line 3: server.listne is not a key",
            "line 7: tokens.access must be",
            "environment DATABASE_POOL_SIZE: database.pool_size must be",
        ] {
            assert!(all.contains(part), "{part} missing in\n{all}");
        }
    }

    #[test]
    fn the_environment_wins_over_the_file_and_names_of_ours_over_plain_ones() {
        let (config, _) = load(
            "[server]\nlisten = \"127.0.0.1:1\"\n[brand]\nname = \"File\"\n",
            &[("PORT", "9000"), ("APP_NAME", "Plain"), ("KEYWARD__BRAND__NAME", "Ours")],
        )
        .unwrap();
        assert_eq!(config.server.listen.port(), 9000);
        assert_eq!(config.brand.name, "Ours");
    }

    #[test]
    fn a_secret_can_stand_in_a_file() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "postgres://x\n").unwrap();
        let (config, _) = load("", &[("DATABASE_URL_FILE", secret.path().to_str().unwrap())]).unwrap();
        assert_eq!(config.database.url.0.as_str(), "postgres://x");
    }

    #[test]
    fn clear_text_http_is_for_localhost_alone() {
        assert!(load("[server]\npublic_url = \"http://id.example\"\n", &[]).is_err());
        assert!(load("[server]\npublic_url = \"https://id.example\"\n", &[]).is_ok());
    }

    #[test]
    fn the_reference_in_conf_is_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/keyward.toml");
        let now = std::fs::read_to_string(path).unwrap_or_default();
        if now != reference() {
            std::fs::write(path, reference()).unwrap();
            panic!("conf/keyward.toml was behind src/config.rs and has been written anew; commit it");
        }
    }
}
