//! People: who they are, what they are found by, how they prove it.
//!
//! Start at [`find`]. An identifier is normalised once, here ([`Identifier`]), for looking up, counting and writing.

pub mod claims;
pub mod consent;
pub mod profile;
pub mod session;
pub mod subject;

use crate::db::Tx;
use crate::error::Result;
use crate::seal::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{Document, IdentifierKind, Micros, Role, Status, TenantId, UserId, identifier, password, user};
use profile::Profile;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use unicode_normalization::UnicodeNormalization;

/// What a person is found by, in its normalised form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identifier {
    pub kind: IdentifierKind,
    pub key: String,
}

/// RFC 5321 section 4.5.3.1.3, less the angle brackets.
const LONGEST_EMAIL: usize = 254;

impl Identifier {
    /// What somebody typed to be found by: an e-mail address where there is an `@`, a user name otherwise.
    /// `None` when it can be neither.
    pub fn typed(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains('@') { Self::email(text) } else { Self::username(text) }
    }

    /// Lower case, the domain in its ASCII form; plus tags and dots are kept, since they tell people apart.
    pub fn email(text: &str) -> Option<Self> {
        let (local, domain) = text.trim().rsplit_once('@')?;
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@<>()[],;:\\\"".contains(c);
        if local.is_empty()
            || local.len() > 64
            || !local.chars().all(plain)
            || local.starts_with('.')
            || local.ends_with('.')
            || local.contains("..")
        {
            return None;
        }
        let written = |text: &str| text.nfc().collect::<String>().to_lowercase();
        let (local, typed) = (written(local), written(domain));
        let domain = match url::Host::parse(domain).ok()? {
            url::Host::Domain(name) if name.contains('.') && !name.ends_with('.') => name,
            _ => return None,
        };
        // Compatibility forms, percent signs and what Unicode ignores make an address read otherwise than it is written:
        // what is kept would be another one than people are found by. Refused rather than guessed.
        let plainly =
            local.nfkc().eq(local.chars()) && (typed == domain || typed == url::quirks::domain_to_unicode(&domain));
        let key = format!("{local}@{domain}");
        (plainly && key.len() <= LONGEST_EMAIL).then_some(Self { kind: IdentifierKind::Email, key })
    }

    /// 3 to 20 of letters, digits, `_`, `.` and `-`; compared without letter case.
    pub fn username(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let fits = (3..=20).contains(&text.len()) && text.chars().all(plain);
        fits.then(|| Self { kind: IdentifierKind::Username, key: text.to_ascii_lowercase() })
    }

    /// E.164: a plus and 7 to 15 digits.
    pub fn phone(text: &str) -> Option<Self> {
        let key: String = text.chars().filter(|c| !" -()./".contains(*c)).collect();
        let digits = key.strip_prefix('+')?;
        let fits =
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        fits.then_some(Self { kind: IdentifierKind::Phone, key })
    }
}

/// A person with what they are found by.
#[derive(Clone, Debug)]
pub struct Person {
    pub user: user::Model,
    pub identifiers: Vec<identifier::Model>,
}

impl Person {
    pub fn id(&self) -> UserId {
        self.user.id
    }

    pub fn active(&self) -> bool {
        self.user.status == Status::Active
    }

    pub fn of_kind(&self, kind: IdentifierKind) -> Option<&identifier::Model> {
        self.identifiers.iter().find(|i| i.kind == kind)
    }

    /// What they are shown as, beside their name.
    pub fn handle(&self) -> String {
        let kinds = [IdentifierKind::Email, IdentifierKind::Username, IdentifierKind::Phone];
        kinds.iter().find_map(|k| self.of_kind(*k)).map(|i| i.value.clone()).unwrap_or_default()
    }
}

/// The password of a person, as it is kept.
pub struct StoredPassword {
    pub user_id: UserId,
    pub phc: String,
}

/// # Errors
/// The database's.
pub async fn by_id(conn: &impl ConnectionTrait, tenant: TenantId, id: UserId) -> Result<Option<Person>> {
    match user(conn, tenant, id).await? {
        Some(user) => with_identifiers(conn, user).await.map(Some),
        None => Ok(None),
    }
}

/// # Errors
/// The database's.
pub async fn user(conn: &impl ConnectionTrait, tenant: TenantId, id: UserId) -> Result<Option<user::Model>> {
    Ok(user::Entity::find_by_id((tenant, id)).one(conn).await?)
}

/// The same, locked until the transaction ends (where the database has row locks; SQLite has one writer).
///
/// # Errors
/// The database's.
pub async fn held(conn: &impl ConnectionTrait, tenant: TenantId, id: UserId) -> Result<Option<user::Model>> {
    Ok(user::Entity::find_by_id((tenant, id)).lock_exclusive().one(conn).await?)
}

/// # Errors
/// The database's.
pub async fn with_identifiers(conn: &impl ConnectionTrait, user: user::Model) -> Result<Person> {
    let identifiers = identifier::Entity::find()
        .filter(identifier::Column::TenantId.eq(user.tenant_id))
        .filter(identifier::Column::UserId.eq(user.id))
        .order_by_asc(identifier::Column::CreatedAt)
        .all(conn)
        .await?;
    Ok(Person { user, identifiers })
}

/// # Errors
/// The database's.
pub async fn by_sub(conn: &impl ConnectionTrait, tenant: TenantId, sub: &str) -> Result<Option<UserId>> {
    let row = user::Entity::find()
        .filter(user::Column::TenantId.eq(tenant))
        .filter(user::Column::Sub.eq(sub))
        .one(conn)
        .await?;
    Ok(row.filter(|u| u.sub == sub).map(|u| u.id))
}

/// # Errors
/// The database's.
pub async fn find(conn: &impl ConnectionTrait, tenant: TenantId, by: &Identifier) -> Result<Option<UserId>> {
    let row = identifier::Entity::find_by_id((tenant, by.kind, by.key.clone())).one(conn).await?;
    Ok(row.map(|r| r.user_id))
}

/// # Errors
/// The database's.
pub async fn password_of(conn: &impl ConnectionTrait, tenant: TenantId, id: UserId) -> Result<Option<StoredPassword>> {
    let row = password::Entity::find_by_id((tenant, id)).one(conn).await?;
    Ok(row.map(|r| StoredPassword { user_id: r.user_id, phc: r.phc }))
}

/// Puts a hash with current parameters in the place of the one that was verified.
///
/// # Errors
/// The database's.
pub async fn rehashed(tx: &Tx, tenant: TenantId, old: &StoredPassword, phc: &str) -> Result<()> {
    password::Entity::update_many()
        .col_expr(password::Column::Phc, Expr::value(phc))
        .filter(password::Column::TenantId.eq(tenant))
        .filter(password::Column::UserId.eq(old.user_id))
        // A password that was changed meanwhile stays.
        .filter(password::Column::Phc.eq(old.phc.clone()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Gives a person another password, as a reset does: whoever knew the old one is out, with all sessions and tokens, which
/// are dead from now on; `flow::end_all_of` tells applications so.
///
/// # Errors
/// The database's.
pub async fn reset_password(tx: &Tx, tenant: TenantId, id: UserId, (phc, now): (&str, Micros)) -> Result<()> {
    // The person's row is held first, as by whoever signs in with the old one at this moment.
    user::Entity::update_many()
        .col_expr(user::Column::NotBefore, Expr::value(now.0))
        .col_expr(user::Column::UpdatedAt, Expr::value(now.0))
        .col_expr(user::Column::Version, Expr::col(user::Column::Version).add(1))
        .filter(user::Column::TenantId.eq(tenant))
        .filter(user::Column::Id.eq(id))
        .exec(tx)
        .await?;
    password::Entity::delete_by_id((tenant, id)).exec(tx).await?;
    let row = password::ActiveModel {
        tenant_id: Set(tenant),
        user_id: Set(id),
        phc: Set(phc.to_owned()),
        changed_at: Set(now),
    };
    password::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Whether this can be a person's name: 1 to 200 characters without control characters, which a terminal would obey.
pub fn is_name(text: &str) -> bool {
    (1..=200).contains(&text.chars().count()) && !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// A person to be made.
#[derive(Clone, Debug)]
pub struct NewPerson {
    pub name: String,
    pub email: Option<(Identifier, String)>,
    pub email_verified: bool,
    pub username: Option<(Identifier, String)>,
    pub phone: Option<(Identifier, String)>,
    pub phc: Option<String>,
    pub role: Role,
    pub profile: Profile,
}

/// Why a person was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Somebody is found by this already.
    Identifier,
}

/// # Errors
/// The database's.
pub async fn create(tx: &Tx, tenant: TenantId, new: &NewPerson, now: Micros) -> Result<Result<UserId, Taken>> {
    let id = UserId::new();
    let verified = new.email_verified.then_some(now);
    let found_by = [(&new.email, verified), (&new.username, Some(now)), (&new.phone, None)];
    for (by, _) in &found_by {
        if let Some((by, _)) = by
            && find(tx, tenant, by).await?.is_some()
        {
            return Ok(Err(Taken::Identifier));
        }
    }
    let row = user::ActiveModel {
        tenant_id: Set(tenant),
        id: Set(id),
        // Random, so that it tells nothing and is never given again (OpenID Connect Core section 2).
        sub: Set(URL_SAFE_NO_PAD.encode(random::<18>()?)),
        status: Set(Status::Active),
        role: Set(new.role),
        name: Set(new.name.trim().to_owned()),
        profile: Set(Document(serde_json::to_value(&new.profile).map_err(crate::error::Error::internal)?)),
        not_before: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
        version: Set(1),
    };
    user::Entity::insert(row).exec_without_returning(tx).await?;
    for (by, verified_at) in found_by {
        let Some((by, value)) = by else { continue };
        let row = identifier::ActiveModel {
            tenant_id: Set(tenant),
            kind: Set(by.kind),
            key: Set(by.key.clone()),
            user_id: Set(id),
            value: Set(value.clone()),
            verified_at: Set(verified_at),
            created_at: Set(now),
        };
        identifier::Entity::insert(row).exec_without_returning(tx).await?;
    }
    if let Some(phc) = &new.phc {
        let row = password::ActiveModel {
            tenant_id: Set(tenant),
            user_id: Set(id),
            phc: Set(phc.clone()),
            changed_at: Set(now),
        };
        password::Entity::insert(row).exec_without_returning(tx).await?;
    }
    Ok(Ok(id))
}

/// Whether anybody can administer this tenant.
///
/// # Errors
/// The database's.
pub async fn has_administrator(conn: &impl ConnectionTrait, tenant: TenantId) -> Result<bool> {
    let row = user::Entity::find()
        .filter(user::Column::TenantId.eq(tenant))
        .filter(user::Column::Role.is_in([Role::Admin, Role::SuperAdmin]))
        .one(conn)
        .await?;
    Ok(row.is_some())
}

/// Whether nobody else could administer this tenant if this person could not. All administrators are held, so that two
/// who disable each other meet.
///
/// # Errors
/// The database's.
pub async fn is_last_administrator(tx: &Tx, tenant: TenantId, id: UserId) -> Result<bool> {
    let active = user::Entity::find()
        .filter(user::Column::TenantId.eq(tenant))
        .filter(user::Column::Role.is_in([Role::Admin, Role::SuperAdmin]))
        .filter(user::Column::Status.eq(Status::Active))
        .order_by_asc(user::Column::Id)
        .lock_exclusive()
        .all(tx)
        .await?;
    Ok(matches!(&active[..], [only] if only.id == id))
}

/// The newest people, at most `limit`.
///
/// # Errors
/// The database's.
pub async fn list(conn: &impl ConnectionTrait, tenant: TenantId, limit: u64) -> Result<Vec<Person>> {
    let users = user::Entity::find()
        .filter(user::Column::TenantId.eq(tenant))
        .order_by_desc(user::Column::Id)
        .limit(limit)
        .all(conn)
        .await?;
    let ids: Vec<UserId> = users.iter().map(|u| u.id).collect();
    let found_by = identifier::Entity::find()
        .filter(identifier::Column::TenantId.eq(tenant))
        .filter(identifier::Column::UserId.is_in(ids))
        .all(conn)
        .await?;
    let of = |id: UserId| found_by.iter().filter(|i| i.user_id == id).cloned().collect();
    Ok(users.into_iter().map(|user| Person { identifiers: of(user.id), user }).collect())
}

/// Disables a person: what they hold dies with the same commit, since everything asks `access::may_act`.
///
/// # Errors
/// The database's.
pub async fn set_status(tx: &Tx, tenant: TenantId, id: UserId, status: Status, now: Micros) -> Result<bool> {
    let mut update = user::Entity::update_many()
        .col_expr(user::Column::Status, Expr::value(status.as_str()))
        .col_expr(user::Column::UpdatedAt, Expr::value(now.0))
        .col_expr(user::Column::Version, Expr::col(user::Column::Version).add(1));
    // Sessions and tokens from before stay dead when the person is let in again; at that moment too, since what was being
    // made while they were disabled may carry a later time.
    update = update.col_expr(user::Column::NotBefore, Expr::value(now.0));
    let done = update.filter(user::Column::TenantId.eq(tenant)).filter(user::Column::Id.eq(id)).exec(tx).await?;
    Ok(done.rows_affected > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Option<String> {
        Identifier::email(text).map(|i| i.key)
    }

    #[test]
    fn variants_of_an_address_are_one_and_others_are_refused() {
        assert_eq!(email("A@X.test").as_deref(), Some("a@x.test"));
        assert_eq!(email(" a@x.test ").as_deref(), Some("a@x.test"));
        assert_eq!(email("a+tag@x.test").as_deref(), Some("a+tag@x.test"));
        for same in ["a@bücher.example", "a@BÜCHER.example", "a@bu\u{308}cher.example", "a@XN--bcher-kva.example"] {
            assert_eq!(email(same).as_deref(), Some("a@xn--bcher-kva.example"), "{same:?}");
        }
        assert_ne!(email("а@x.test"), email("a@x.test"), "Cyrillic is another letter");
        for no in [
            "a@x.test\0",
            "a@x.test,b@y.test",
            "a@x.test;b@y.test",
            "a@x.test b@y.test",
            "\"a@x.test\"@y.test",
            "a@x.test@y.test",
            "a@x.test.",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "<a@x.test>",
            "A <a@x.test>",
            "a(c)@x.test",
            "a@x.test\r\nBcc: e@evil.test",
            "@x.test",
            "a@",
            "a",
            "a@localhost",
            ".a@x.test",
            "a..b@x.test",
            "ﬃ@x.test",
            "a@ex%61mple.com",
            "a@example%2ecom",
            "a@exam\u{ad}ple.com",
            "a@exam\u{200b}ple.com",
            "a@ｅxample.com",
            "a@example。com",
        ] {
            assert_eq!(email(no), None, "{no:?}");
        }
        assert_eq!(email(&format!("{}@x.test", "a".repeat(65))), None);
    }

    #[test]
    fn user_names_and_phones() {
        assert_eq!(Identifier::typed("Bob.B").map(|i| i.key).as_deref(), Some("bob.b"));
        for no in ["..", "ab", "admin ", "%00", "a b c", "ﬃx", "Kelvin\u{212A}", "x".repeat(21).as_str()] {
            assert_eq!(Identifier::username(no), None, "{no:?}");
        }
        assert_eq!(Identifier::phone("+49 (30) 123-456").map(|i| i.key).as_deref(), Some("+4930123456"));
        assert_eq!(Identifier::phone("030123456"), None);
    }
}
