//! The command line: what an operator does without a browser, beside a running server or without one.
//!
//! Each command opens the same database as `serve`; what it changes is seen by running servers within two seconds.
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 called wrongly.

mod check;
mod client;
mod server;
mod tenant;
mod user;

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Sources};
use crate::db::Share;
use crate::error::Error;
use crate::tenant::{DEFAULT, Tenant};
use clap::{Args, Parser, Subcommand};
use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Parser)]
#[command(
    name = "keyward",
    version,
    about = "A self-hosted OpenID Connect and OAuth 2.x identity provider",
    propagate_version = true
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Clone)]
struct Common {
    /// Where the embedded database, the key file and your pictures are [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A configuration file; conf/keyward.toml lists every key
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Which tenant a command is about.
#[derive(Args, Clone)]
struct Of {
    /// The tenant's slug
    #[arg(long, value_name = "SLUG", default_value = DEFAULT)]
    tenant: String,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server; the first start sets everything up
    #[command(after_help = "Example:\n  keyward serve --listen 127.0.0.1:8080 --public-url https://id.example.com")]
    Serve(server::Serve),
    /// Do the jobs of servers that were started with --no-jobs
    #[command(after_help = "Example:\n  keyward work --config /etc/keyward.toml")]
    Work,
    /// Change the database's schema
    #[command(subcommand, after_help = "Example:\n  keyward migrate status")]
    Migrate(server::Migrate),
    /// Check configuration, database, key file and templates without starting anything
    #[command(after_help = "Example:\n  keyward check --config /etc/keyward.toml")]
    Check,
    /// People
    #[command(
        subcommand,
        after_help = "Example:\n  printf %s 'a long pass phrase' | keyward user create --email ada@example.com --name 'Ada Lovelace' --password-stdin --email-verified"
    )]
    User(user::User),
    /// Applications
    #[command(
        subcommand,
        after_help = "Example:\n  keyward client create --name Wiki --redirect-uri https://wiki.example/cb"
    )]
    Client(client::Client),
    /// Isolated issuers
    #[command(subcommand, after_help = "Example:\n  keyward tenant create --slug acme --name Acme")]
    Tenant(tenant::Tenants),
    /// Signing keys
    #[command(subcommand, after_help = "Example:\n  keyward keys rotate")]
    Keys(tenant::SigningKeys),
    /// Print the version
    #[command(after_help = "Example:\n  keyward version")]
    Version,
}

/// Why a command did not do what it was told.
pub(crate) enum Failure {
    /// The call makes no sense: exit code 2.
    Call(String),
    /// It could not be done: exit code 1.
    Work(String),
    /// Whoever listened has heard enough, as `head` does: exit code 0.
    Unheard,
}

type Done = Result<(), Failure>;

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        match e {
            Error::Ours(cause) => Failure::Work(cause.text),
            other => Failure::Work(other.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        match e.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::Unheard,
            _ => Failure::Work(e.to_string()),
        }
    }
}

fn failed(says: impl Display) -> Failure {
    Failure::Work(says.to_string())
}

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    let outcome = match actix_web::rt::System::new().block_on(run(cli)) {
        Err(Failure::Call(says)) => (2, says),
        Err(Failure::Work(says)) => (1, says),
        Err(Failure::Unheard) | Ok(()) => return ExitCode::SUCCESS,
    };
    let _ = writeln!(std::io::stderr(), "keyward: {}", outcome.1);
    ExitCode::from(outcome.0)
}

async fn run(cli: Cli) -> Done {
    let common = cli.common;
    match cli.command {
        Command::Serve(serve) => server::serve(&common, serve).await,
        Command::Work => server::work(&common).await,
        Command::Migrate(migrate) => server::migrate(&common, migrate).await,
        Command::Check => check::check(&common).await,
        Command::User(user) => user::run(&common, user).await,
        Command::Client(client) => client::run(&common, client).await,
        Command::Tenant(tenants) => tenant::run(&common, tenants).await,
        Command::Keys(keys) => tenant::keys(&common, keys).await,
        Command::Version => say(format_args!("keyward {}", env!("CARGO_PKG_VERSION"))),
    }
}

/// One line of result.
fn say(line: impl Display) -> Done {
    writeln!(std::io::stdout(), "{line}").map_err(Failure::from)
}

fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn warn(line: impl Display) {
    note(format_args!("keyward: warning: {line}"));
}

fn say_json(value: &serde_json::Value) -> Done {
    say(serde_json::to_string_pretty(value).map_err(failed)?)
}

/// The configuration, with what the command line says about it.
fn configured(common: &Common, flags: Vec<(&'static str, String)>) -> Result<Config, Failure> {
    let mut sources = Sources { file: common.config.clone(), ..Sources::from_process() };
    sources.flags = flags;
    if let Some(dir) = &common.data_dir {
        sources.flags.push(("server.data_dir", dir.display().to_string()));
    }
    match sources.load() {
        Ok((config, warnings)) => {
            for warning in warnings {
                warn(warning);
            }
            let dir = config.data_dir();
            if dir.exists() && !dir.is_dir() {
                return Err(Failure::Call(format!(
                    "the data directory {} is a file; --data-dir names another",
                    dir.display()
                )));
            }
            Ok(config)
        }
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Err(Failure::Call(format!("the configuration has {} problem(s):\n  {}", lines.len(), lines.join("\n  "))))
        }
    }
}

/// What exists already, opened beside a server that may be running.
async fn opened(common: &Common) -> Result<Arc<App>, Failure> {
    let config = configured(common, vec![])?;
    let app = App::open(config, Clock::default(), Share::Beside).await?;
    Ok(Arc::new(app))
}

async fn tenant_of(app: &App, of: &Of) -> Result<Arc<Tenant>, Failure> {
    app.tenants
        .by_slug(&app.store, &of.tenant)
        .await?
        .ok_or_else(|| failed(format_args!("there is no tenant {:?}; `keyward tenant list` shows them", of.tenant)))
}

/// Columns under their heads, as wide as they need to be.
fn table(heads: &[&str], rows: &[Vec<String>]) -> Done {
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).chain([heads[i].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}", w = *w)).collect();
        say(padded.join("  ").trim_end())
    };
    line(heads.to_vec())?;
    for row in rows {
        line(row.iter().map(String::as_str).collect())?;
    }
    Ok(())
}
