//! `check`: everything that a start would stumble over, and nothing that a start would make.

use super::server::target;
use super::{Common, Done, configured, failed, say, warn};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Db, Share, Target};
use crate::theme::Theme;
use std::fs::{File, OpenOptions};
use std::path::Path;

pub async fn check(common: &Common) -> Done {
    let config = configured(common, vec![])?;
    say("configuration: good")?;
    pictures(&config);
    Theme::load()?;
    say("templates: good")?;
    let target = target(&config)?;
    writable(&config)?;
    if let Target::Sqlite(path) = &target {
        if !path.exists() {
            return say(format_args!("database: {} is not there yet; the first start makes it", path.display()));
        }
        usable(path)?;
    }
    let server = Db::has_server(&target)?;
    let db = Db::open(&target, 1, Share::Beside).await?;
    let pending = db.migrations().await?.iter().filter(|(_, applied)| !applied).count();
    db.close().await;
    match pending {
        0 => say(format_args!("database: {} is up to date", target.shown()))?,
        n => say(format_args!("database: {} needs {n} change(s); the next start makes them", target.shown()))?,
    }
    if pending == 0 {
        App::open(config, Clock::default(), Share::Beside).await?;
        say("master key: it is the one of this database")?;
    }
    if server { say("server: one is running on this database; a second one would be turned away") } else { Ok(()) }
}

/// The data directory, and SQLite beside its file, need a place to write.
fn writable(config: &Config) -> Done {
    let dir = config.data_dir();
    if !dir.exists() {
        return Ok(());
    }
    let probe = dir.join(format!(".check.{}", std::process::id()));
    let tried = File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe));
    tried.map_err(|e| failed(format_args!("the data directory {} cannot be written: {e}", dir.display())))
}

fn usable(path: &Path) -> Done {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.map(drop).map_err(|e| failed(format_args!("{} cannot be read and written: {e}", path.display())))
}

/// A brand's picture that is not there is a page without it, not a start that fails.
fn pictures(config: &Config) {
    let brand = &config.brand;
    for (key, picture) in [("brand.logo_url", &brand.logo_url), ("brand.favicon", &brand.favicon)] {
        let Some(file) = picture.as_ref().and_then(|p| p.0.strip_prefix("/assets/")) else { continue };
        let path = config.data_dir().join("assets").join(file);
        if !path.is_file() {
            warn(format_args!("{key} is /assets/{file}, but there is no {}", path.display()));
        }
    }
}
