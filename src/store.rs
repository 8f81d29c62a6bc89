//! What every room below the doors needs to keep and find things: database, revisions, master key, clock, options.

use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;
use crate::seal::MasterKey;
use entity::Micros;
use std::sync::Arc;

pub struct Store {
    pub db: Db,
    pub cache: Cache,
    pub master: MasterKey,
    pub clock: Clock,
    pub config: Arc<Config>,
}

impl Store {
    pub fn now(&self) -> Micros {
        self.clock.now()
    }
}
