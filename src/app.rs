//! What a process owns, made once.

use crate::cache::Cache;
use crate::client::Clients;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Db, Share, Target};
use crate::error::{Error, Result};
use crate::fetch::Fetch;
use crate::hash::Passwords;
use crate::keys::Keys;
use crate::keys::decryption::Decryption;
use crate::limit::Memory;
use crate::seal::MasterKey;
use crate::store::Store;
use crate::tenant::Tenants;
use crate::theme::Theme;
use std::sync::Arc;

/// Failed client authentications from one source for one client in a minute, before it is told to slow down.
const FAILURES: u32 = 20;

/// Answers that one session gets in a minute.
const CODES: u32 = 300;

pub struct App {
    pub store: Arc<Store>,
    pub tenants: Tenants,
    pub clients: Clients,
    pub keys: Keys,
    pub decryption: Decryption,
    pub fetch: Fetch,
    pub passwords: Passwords,
    pub theme: Theme,
    /// Failed client authentication: its secrets are 256 bits, so counting in memory is enough.
    pub failures: Memory,
    /// Codes that one session gets: a browser that is led in circles must not fill the database.
    pub codes: Memory,
    /// Tenants whose RSA key was ordered by this process: asked for once, not at each look at their metadata.
    pub ordered: Ordered,
    /// Wakes the worker when a job was written by this process.
    pub work: tokio::sync::Notify,
}

/// A set that only grows, bounded by the number of tenants.
#[derive(Default)]
pub struct Ordered(std::sync::Mutex<std::collections::HashSet<entity::TenantId>>);

impl Ordered {
    /// Whether it was not in it before.
    pub fn insert(&self, tenant: entity::TenantId) -> bool {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(tenant)
    }
}

impl App {
    /// Opens database and master key. A server makes what is missing; a command beside it makes nothing.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub async fn open(config: Config, clock: Clock, share: Share) -> Result<Self> {
        let target = Target::parse(config.database.url.0.as_str(), config.data_dir()).map_err(Error::unavailable)?;
        // A key that is there and of no use ends the start before anything is made.
        let found = MasterKey::find(&config).map_err(Error::unavailable)?;
        let db = Db::open(&target, config.database.pool_size, share).await?;
        if share == Share::Beside {
            db.expect_current(&target).await?;
        }
        let now = clock.now();
        let master = match found {
            Some(key) => key,
            // A new key is for a new database: beside an old one it would open nothing and hide that its own is lost.
            None if share == Share::Alone && !db.has_master_key().await? => {
                MasterKey::load(&config).map_err(Error::unavailable)?
            }
            None => MasterKey::load_existing(&config).map_err(Error::unavailable)?,
        };
        db.check_master_key(master.check(), now).await?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let passwords = Passwords::new(&config.password, cores).map_err(Error::unavailable)?;
        let fetch = Fetch::new(&config)?;
        let config = Arc::new(config);
        let store = Arc::new(Store { db, cache: Cache::default(), master, clock, config });
        Ok(Self {
            store,
            tenants: Tenants::default(),
            clients: Clients::default(),
            keys: Keys::default(),
            decryption: Decryption::default(),
            fetch,
            passwords,
            theme: Theme::load()?,
            failures: Memory::new(FAILURES, std::time::Duration::from_secs(60)),
            codes: Memory::new(CODES, std::time::Duration::from_secs(60)),
            ordered: Ordered::default(),
            work: tokio::sync::Notify::new(),
        })
    }

    pub fn config(&self) -> &Config {
        &self.store.config
    }

    pub fn db(&self) -> &Db {
        &self.store.db
    }
}
