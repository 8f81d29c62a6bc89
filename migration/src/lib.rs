//! The schema, one file per change. Expand first, contract a release later; never edit one that shipped.
//!
//! Never uses `entity`: a migration must mean the same for ever, whatever the entities become.

pub use sea_orm_migration::prelude::*;

mod m20261124_000001_house;
mod m20261125_000002_provider;
mod shape;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261124_000001_house::Migration), Box::new(m20261125_000002_provider::Migration)]
    }
}
