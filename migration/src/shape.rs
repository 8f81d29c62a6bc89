//! What migrations write tables and indexes with. Nothing here may change what a migration that shipped means.

use sea_orm_migration::prelude::*;
use sea_query::ColumnDef;

/// A table under construction; every table but `deployment` belongs to a tenant.
pub struct T(TableCreateStatement, Vec<Alias>);

pub fn name(text: &str) -> Alias {
    Alias::new(text)
}

pub fn table(text: &str) -> T {
    T(Table::create().table(name(text)).take(), vec![])
}

pub fn of_tenant(text: &str) -> T {
    let mut t = table(text).uuid("tenant_id").key("tenant_id");
    t.0.foreign_key(ForeignKey::create().from_col(name("tenant_id")).to(name("tenant"), name("id")));
    t
}

impl T {
    pub fn col(mut self, column: &str, f: impl FnOnce(&mut ColumnDef) -> &mut ColumnDef, null: bool) -> Self {
        let mut def = ColumnDef::new(name(column));
        f(&mut def);
        if null {
            def.null();
        } else {
            def.not_null();
        }
        self.0.col(&mut def);
        self
    }
    pub fn uuid(self, c: &str) -> Self {
        self.col(c, |d| d.uuid(), false)
    }
    pub fn uuid_null(self, c: &str) -> Self {
        self.col(c, |d| d.uuid(), true)
    }
    pub fn word(self, c: &str) -> Self {
        self.col(c, |d| d.string_len(40), false)
    }
    pub fn text(self, c: &str, len: u32) -> Self {
        self.col(c, |d| d.string_len(len), false)
    }
    pub fn text_null(self, c: &str, len: u32) -> Self {
        self.col(c, |d| d.string_len(len), true)
    }
    pub fn hash(self, c: &str) -> Self {
        self.col(c, |d| d.var_binary(32), false)
    }
    pub fn hash_null(self, c: &str) -> Self {
        self.col(c, |d| d.var_binary(32), true)
    }
    pub fn bytes(self, c: &str) -> Self {
        self.col(c, |d| d.blob(), false)
    }
    pub fn json(self, c: &str) -> Self {
        self.col(c, |d| d.json_binary(), false)
    }
    pub fn json_null(self, c: &str) -> Self {
        self.col(c, |d| d.json_binary(), true)
    }
    pub fn flag(self, c: &str) -> Self {
        self.col(c, |d| d.boolean(), false)
    }
    pub fn time(self, c: &str) -> Self {
        self.col(c, |d| d.big_integer(), false)
    }
    pub fn time_null(self, c: &str) -> Self {
        self.col(c, |d| d.big_integer(), true)
    }
    pub fn number(self, c: &str) -> Self {
        self.col(c, |d| d.big_integer(), false)
    }
    pub fn small(self, c: &str) -> Self {
        self.col(c, |d| d.integer(), false)
    }
    pub fn key(mut self, column: &str) -> Self {
        self.1.push(name(column));
        self
    }
    /// `(tenant_id, column)` refers to `(tenant_id, id)`: a reference across tenants cannot be written.
    pub fn refers(mut self, column: &str, to: &str) -> Self {
        self.0.foreign_key(
            ForeignKey::create()
                .from_col(name("tenant_id"))
                .from_col(name(column))
                .to_tbl(name(to))
                .to_col(name("tenant_id"))
                .to_col(name("id"))
                .on_delete(ForeignKeyAction::Cascade),
        );
        self
    }
    pub fn done(mut self) -> TableCreateStatement {
        let mut primary = Index::create();
        for column in self.1 {
            primary.col(column);
        }
        self.0.primary_key(primary.primary());
        self.0
    }
}

pub enum Kind {
    Unique,
    Plain,
}

pub fn index(on: &str, columns: &[&str], kind: Kind) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("ix_{on}_{}", columns.join("_"))).table(name(on));
    for column in columns {
        index.col(name(column));
    }
    if let Kind::Unique = kind {
        index.unique();
    }
    index
}
