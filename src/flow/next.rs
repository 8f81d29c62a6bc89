//! What is still missing: a pure function of what was asked, what is known and what the rules are.

use super::ask::{Ask, Prompt};
use crate::error::Code;
use entity::{Micros, Scopes, SessionId, UserId};
use serde::{Deserialize, Serialize};

/// What this interaction has shown so far; kept in the flow's row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The session that was proven in this very interaction.
    pub proved: Option<SessionId>,
    /// The account that was picked.
    pub chosen: Option<SessionId>,
    /// A person wants another account than those that are signed in.
    pub other: bool,
    pub consent: Option<Decision>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Decision {
    /// These scopes, by this person: nothing that changes afterwards is covered.
    Allowed {
        user: UserId,
        scopes: Scopes,
    },
    Denied,
}

/// An account that is signed in in this browser.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub session: SessionId,
    pub user: UserId,
    pub auth_time: Micros,
    pub acr: String,
}

/// What was looked up beforehand, so that the decision needs no database.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Live, with people who may act; the newest sign-in first.
    pub accounts: Vec<Account>,
    /// The scopes that the account in question had allowed before; `None`: it was never asked.
    pub consented: Option<Scopes>,
    /// An application of the tenant's own: nobody is asked.
    pub first_party: bool,
    /// Anyone can claim to be this application, so that it is asked about each time.
    pub unassured: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Prove who you are; as this person, when it must be the same one.
    SignIn {
        as_user: Option<UserId>,
    },
    Choose,
    Consent(Account),
    Done(Account),
    Refuse(Code, &'static str),
}

/// The account that the question is about, as far as it is settled.
pub fn candidate<'a>(ask: &Ask, evidence: &Evidence, known: &'a Known) -> Option<&'a Account> {
    let of = |id: SessionId| known.accounts.iter().find(|a| a.session == id);
    let fits = |a: &&Account| ask.subject.is_none_or(|s| s == a.user);
    if let Some(picked) = evidence.proved.or(evidence.chosen) {
        return of(picked).filter(fits);
    }
    if evidence.other || ask.wants(Prompt::SelectAccount) {
        return None;
    }
    let mut fitting = known.accounts.iter().filter(fits);
    // Several accounts and nothing that tells them apart: a person picks.
    fitting.next().filter(|_| fitting.next().is_none())
}

/// The next step.
pub fn next(ask: &Ask, evidence: &Evidence, known: &Known, now: Micros) -> Step {
    if evidence.consent == Some(Decision::Denied) {
        return Step::Refuse(Code::AccessDenied, "the person refused");
    }
    let step = wanted(ask, evidence, known, now);
    if !ask.wants(Prompt::None) {
        return step;
    }
    // OpenID Connect Core section 3.1.2.6: no page is shown, whatever is missing.
    match step {
        Step::SignIn { .. } => Step::Refuse(Code::LoginRequired, "nobody is signed in, or not recently enough"),
        Step::Choose => Step::Refuse(Code::AccountSelectionRequired, "several accounts are signed in"),
        Step::Consent(_) => Step::Refuse(Code::ConsentRequired, "the person has not allowed this yet"),
        done => done,
    }
}

fn wanted(ask: &Ask, evidence: &Evidence, known: &Known, now: Micros) -> Step {
    let Some(account) = candidate(ask, evidence, known) else {
        let several = known.accounts.iter().any(|a| ask.subject.is_none_or(|s| s == a.user));
        return if several && !evidence.other { Step::Choose } else { Step::SignIn { as_user: ask.subject } };
    };
    let proved = evidence.proved == Some(account.session);
    let stale = ask.max_age.is_some_and(|age| account.auth_time.plus(std::time::Duration::from_secs(age)) < now);
    // `max_age=0` is `prompt=login` (OpenID Connect Core section 3.1.2.1).
    let again = ask.wants(Prompt::Login) || ask.max_age == Some(0);
    if !proved && (again || stale) {
        return Step::SignIn { as_user: Some(account.user) };
    }
    if !ask.acr.is_empty() && !ask.acr.contains(&account.acr) {
        // Section 5.5.1.1: demanded and not to be had is a failure.
        return Step::Refuse(
            Code::UnmetAuthenticationRequirements,
            "no way of signing in reaches the acr that is demanded",
        );
    }
    match &ask.application {
        Some(application) if must_ask(ask, evidence, known, (account, &application.asks())) => {
            Step::Consent(account.clone())
        }
        _ => Step::Done(account.clone()),
    }
}

fn must_ask(ask: &Ask, evidence: &Evidence, known: &Known, (account, scopes): (&Account, &Scopes)) -> bool {
    if let Some(Decision::Allowed { user, scopes: allowed }) = &evidence.consent {
        return !(*user == account.user && scopes.within(allowed));
    }
    // Whoever can be impersonated is asked about each time, the tenant's own applications too.
    ask.wants(Prompt::Consent)
        || known.unassured
        || (!known.first_party && known.consented.as_ref().is_none_or(|allowed| !scopes.within(allowed)))
}

#[cfg(test)]
mod tests {
    use super::super::ask::Application;
    use super::*;
    use entity::ClientKey;

    fn ask(prompt: &[Prompt]) -> Ask {
        let application = Application {
            client: ClientKey::new(),
            client_id: "c".into(),
            issuer: "https://i".into(),
            redirect_uri: "https://a/cb".into(),
            redirect_uri_left_out: false,
            state: None,
            nonce: None,
            scopes: Scopes::of(["openid"]),
            claims: None,
            code_challenge: None,
            response_type: crate::client::ResponseType::CODE,
            response_mode: Default::default(),
        };
        Ask { application: Some(application), prompt: prompt.to_vec(), ..Ask::account(Micros(0)) }
    }

    fn account() -> Account {
        Account {
            session: SessionId::new(),
            user: UserId::new(),
            auth_time: Micros::from_seconds(100),
            acr: "1fa".into(),
        }
    }

    fn known(accounts: &[Account]) -> Known {
        Known { accounts: accounts.to_vec(), consented: Some(Scopes::of(["openid"])), ..Known::default() }
    }

    const NOW: Micros = Micros(200_000_000);

    #[test]
    fn a_single_account_that_consented_needs_nothing() {
        let a = account();
        assert_eq!(next(&ask(&[]), &Evidence::default(), &known(std::slice::from_ref(&a)), NOW), Step::Done(a));
        assert_eq!(next(&ask(&[]), &Evidence::default(), &known(&[]), NOW), Step::SignIn { as_user: None });
        assert_eq!(next(&ask(&[]), &Evidence::default(), &known(&[account(), account()]), NOW), Step::Choose);
    }

    #[test]
    fn prompt_none_never_shows_a_page__oidc_core_3_1_2_6() {
        let none = ask(&[Prompt::None]);
        for (known, code) in [
            (known(&[]), Code::LoginRequired),
            (known(&[account(), account()]), Code::AccountSelectionRequired),
            (Known { consented: None, ..known(&[account()]) }, Code::ConsentRequired),
        ] {
            assert!(matches!(next(&none, &Evidence::default(), &known, NOW), Step::Refuse(c, _) if c == code));
        }
    }

    #[test]
    fn proof_is_asked_again_when_it_is_too_old_or_wanted() {
        let a = account();
        let known = known(std::slice::from_ref(&a));
        let again = Step::SignIn { as_user: Some(a.user) };
        assert_eq!(next(&ask(&[Prompt::Login]), &Evidence::default(), &known, NOW), again);
        assert_eq!(next(&Ask { max_age: Some(0), ..ask(&[]) }, &Evidence::default(), &known, NOW), again);
        assert_eq!(next(&Ask { max_age: Some(99), ..ask(&[]) }, &Evidence::default(), &known, NOW), again);
        assert_eq!(
            next(&Ask { max_age: Some(100), ..ask(&[]) }, &Evidence::default(), &known, NOW),
            Step::Done(a.clone())
        );
        let proved = Evidence { proved: Some(a.session), ..Evidence::default() };
        assert_eq!(next(&ask(&[Prompt::Login]), &proved, &known, NOW), Step::Done(a));
    }

    #[test]
    fn consent_covers_the_person_and_scopes_it_was_given_for() {
        let a = account();
        let known = known(std::slice::from_ref(&a));
        let other = Evidence {
            consent: Some(Decision::Allowed { user: UserId::new(), scopes: Scopes::of(["openid"]) }),
            ..Evidence::default()
        };
        assert_eq!(next(&ask(&[]), &other, &known, NOW), Step::Consent(a.clone()));
        let less = Evidence {
            consent: Some(Decision::Allowed { user: a.user, scopes: Scopes::default() }),
            ..Evidence::default()
        };
        assert_eq!(next(&ask(&[]), &less, &known, NOW), Step::Consent(a.clone()));
        let own = Evidence {
            consent: Some(Decision::Allowed { user: a.user, scopes: Scopes::of(["openid"]) }),
            ..Evidence::default()
        };
        assert_eq!(next(&ask(&[Prompt::Consent]), &own, &known, NOW), Step::Done(a));
    }

    #[test]
    fn a_hint_for_somebody_else_never_ends_with_the_one_who_is_here() {
        let a = account();
        let asked = Ask { subject: Some(UserId::new()), ..ask(&[]) };
        assert_eq!(
            next(&asked, &Evidence::default(), &known(std::slice::from_ref(&a)), NOW),
            Step::SignIn { as_user: asked.subject }
        );
        let proved = Evidence { proved: Some(a.session), ..Evidence::default() };
        assert_eq!(next(&asked, &proved, &known(&[a]), NOW), Step::SignIn { as_user: asked.subject });
    }
}
