//! `serve`, `work`, `migrate`.

use super::{Common, Done, Failure, configured, note, opened, say};
use crate::clock::Clock;
use crate::config::{Config, Format, address};
use crate::db::{Db, Share, Target};
use crate::serve::{self, Jobs};
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::time::Instant;

#[derive(Args)]
pub struct Serve {
    /// Address and port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    listen: Option<SocketAddr>,
    /// What browsers and applications reach this server as [default: http://localhost and the port]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Leave the jobs to `keyward work`
    #[arg(long)]
    no_jobs: bool,
}

#[derive(Subcommand)]
pub enum Migrate {
    /// Bring the schema up to date
    #[command(after_help = "Example:\n  keyward migrate up --data-dir /var/lib/keyward")]
    Up,
    /// Take back the last change
    #[command(after_help = "Example:\n  keyward migrate down --data-dir /var/lib/keyward")]
    Down,
    /// List the changes and whether they were made
    #[command(after_help = "Example:\n  keyward migrate status")]
    Status,
}

fn logs(config: &Config) {
    use tracing_subscriber::EnvFilter;
    let level = config.log.level.as_str();
    let filter = EnvFilter::new(format!("warn,keyward={level}"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match config.log.format {
        Format::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        Format::Json => builder.json().init(),
    }
}

pub async fn serve(common: &Common, call: Serve) -> Done {
    let began = Instant::now();
    let mut flags = vec![];
    flags.extend(call.listen.map(|l| ("server.listen", l.to_string())));
    flags.extend(call.public_url.map(|u| ("server.public_url", u)));
    let mut config = configured(common, flags)?;
    logs(&config);
    // The address first: a port in use is told before anything is made.
    let listener = serve::bind(&config)?;
    // Port 0 is any that is free: what is said, and the public URL, name the one that it became.
    config.server.listen = listener.local_addr()?;
    let (public_url, listen) = (config.public_url(), config.server.listen);
    let ready = serve::prepare(config, Clock::default()).await?;
    note(format_args!("\n  Ready in {} ms at {public_url} (listening on {listen})", began.elapsed().as_millis()));
    match &ready.setup_url {
        Some(url) => note(format_args!(
            "\n  There is no administrator yet. Open this link within an hour to become the first one; it works once:\n\n    {url}\n"
        )),
        None => note(format_args!(
            "\n  Sign in:   {public_url}/login\n  Discovery: {public_url}/.well-known/openid-configuration\n"
        )),
    }
    let jobs = if call.no_jobs { Jobs::Elsewhere } else { Jobs::Here };
    let (running, _) = serve::server(ready.app, listener)?;
    serve::run(running, jobs).await.map_err(Failure::from)
}

pub async fn work(common: &Common) -> Done {
    let app = opened(common).await?;
    logs(app.config());
    serve::work(app).await.map_err(Failure::from)
}

pub(super) fn target(config: &Config) -> Result<Target, Failure> {
    Target::parse(config.database.url.0.as_str(), config.data_dir()).map_err(Failure::Work)
}

pub async fn migrate(common: &Common, call: Migrate) -> Done {
    let config = configured(common, vec![])?;
    let target = target(&config)?;
    match call {
        Migrate::Up => {
            serve::make_directory(&config)?;
            let _alone = Db::without_servers(&target)?;
            Db::migrate(&target).await?;
            say("the schema is up to date")
        }
        Migrate::Down => {
            // The file first: a lock beside a database that is not there would be left behind.
            Db::expect_file(&target)?;
            let _alone = Db::without_servers(&target)?;
            Db::migrate_down(&target).await?;
            say("the last change was taken back")
        }
        Migrate::Status => {
            let db = Db::open(&target, 1, Share::Beside).await?;
            for (name, applied) in db.migrations().await? {
                say(format_args!("{} {name}", if applied { "applied" } else { "pending" }))?;
            }
            db.close().await;
            Ok(())
        }
    }
}
