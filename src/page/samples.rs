//! Samples of every page: each state that it has, with short, long and foreign values.

use super::*;
use std::time::Duration;

pub(super) trait Samples: Sized {
    fn all() -> Vec<Self>;
}

const NOW: Micros = Micros(1_795_580_880_000_000);
const LONG: &str = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbaugesellschaft";

fn ago(minutes: u64) -> Micros {
    NOW.minus(Duration::from_secs(60 * minutes))
}

fn wiki() -> Application {
    Application { name: "Team Wiki".into(), host: "wiki.example.com".into(), logo: None, policy: None, terms: None }
}

/// The longest names that are allowed.
fn long() -> Application {
    let host = "a-very-long-name-of-a-service.department.subsidiary.example.com".into();
    Application {
        name: format!("{} GmbH", &LONG[..56]),
        host,
        logo: None,
        policy: Some("https://wiki.example.com/privacy".into()),
        terms: Some("https://wiki.example.com/terms".into()),
    }
}

fn ada() -> Person {
    Person { name: "Ada Lovelace".into(), email: "ada@example.com".into() }
}

fn long_person() -> Person {
    let email = "maximiliane.alexandra.von-und-zu-hohenstein@verwaltung.landkreis.example.com".into();
    Person { name: "Maximiliane Alexandra Freifrau von und zu Hohenstein-Wartenburg".into(), email }
}

fn nameless() -> Person {
    Person { name: String::new(), email: "grace@example.com".into() }
}

impl Samples for SignIn {
    fn all() -> Vec<Self> {
        let plain = SignIn {
            action: "/login".into(),
            flow: "flow".into(),
            csrf: "csrf".into(),
            application: Some(wiki()),
            identifier: String::new(),
            fixed: None,
            other_account: None,
            remember: false,
            notice: None,
            wait_minutes: 0,
            field_errors: SignInErrors::default(),
            cancel: true,
        };
        let again = SignIn {
            identifier: "ada@example.com".into(),
            fixed: Some(ada()),
            other_account: Some("/login?flow=flow&other=1".into()),
            notice: Some(note::FRESH_NEEDED),
            ..plain.clone()
        };
        vec![
            plain.clone(),
            SignIn { application: None, cancel: false, ..plain.clone() },
            SignIn { identifier: "ada@example.com".into(), remember: true, notice: Some(note::WRONG), ..plain.clone() },
            SignIn {
                notice: Some(note::THROTTLED),
                wait_minutes: 15,
                field_errors: SignInErrors {
                    identifier: Some(field::IDENTIFIER_MISSING),
                    password: Some(field::PASSWORD_MISSING),
                },
                ..plain.clone()
            },
            SignIn {
                application: Some(long()),
                identifier: long_person().email,
                notice: Some(note::BUSY),
                ..plain.clone()
            },
            SignIn { fixed: Some(long_person()), notice: None, ..again.clone() },
            SignIn { notice: Some(note::WRONG_PASSWORD), cancel: false, ..again.clone() },
            again,
            SignIn { notice: Some(note::SESSION_ENDED), ..plain.clone() },
            SignIn {
                application: None,
                notice: Some(note::UNAVAILABLE),
                field_errors: SignInErrors { identifier: Some(field::TOO_LONG), password: Some(field::TOO_LONG) },
                fixed: Some(nameless()),
                ..plain
            },
        ]
    }
}

impl Samples for ChooseAccount {
    fn all() -> Vec<Self> {
        let choice = |id: &str, person: Person, minutes| AccountChoice {
            id: id.into(),
            name: person.name,
            email: person.email,
            since: ago(minutes),
        };
        let two = ChooseAccount {
            action: "/login".into(),
            flow: "flow".into(),
            csrf: "csrf".into(),
            application: Some(wiki()),
            accounts: vec![choice("1", ada(), 3), choice("2", nameless(), 60 * 26)],
            cancel: true,
            now: NOW,
        };
        vec![
            two.clone(),
            ChooseAccount {
                application: Some(long()),
                accounts: vec![
                    choice("1", long_person(), 0),
                    choice("2", ada(), 60 * 24 * 90),
                    choice("3", nameless(), 90),
                ],
                ..two.clone()
            },
            ChooseAccount { application: None, cancel: false, accounts: vec![choice("1", ada(), 1)], ..two },
        ]
    }
}

impl Samples for Consent {
    fn all() -> Vec<Self> {
        let learns = |scope: &str, values: &[&str]| Learns {
            scope: scope.into(),
            values: values.iter().map(|v| (*v).into()).collect(),
        };
        let usual = Consent {
            action: "/login".into(),
            flow: "flow".into(),
            csrf: "csrf".into(),
            application: wiki(),
            person: ada(),
            learns: vec![
                learns("openid", &["oY3xk2Vd8mQ1"]),
                learns("profile", &["Ada Lovelace", "ada"]),
                learns("email", &["ada@example.com"]),
            ],
            host: "wiki.example.com".into(),
        };
        vec![
            usual.clone(),
            Consent {
                application: long(),
                person: long_person(),
                learns: vec![
                    learns("openid", &[]),
                    learns("profile", &[&long_person().name, LONG]),
                    learns("email", &[&long_person().email]),
                    learns("address", &["12 St James’s Square", "London SW1Y 4JH"]),
                    learns("phone", &["+44 20 7946 0000"]),
                    learns("offline_access", &[]),
                    learns("wiki:pages.read", &[]),
                    learns("https://api.example.com/a/very/long/scope/that/does/not/end/anywhere.readonly", &[]),
                ],
                host: long().host,
                ..usual.clone()
            },
            Consent { person: nameless(), learns: vec![learns("openid", &[])], ..usual },
        ]
    }
}

impl Samples for LogoutConfirm {
    fn all() -> Vec<Self> {
        let plain = LogoutConfirm {
            action: "/logout".into(),
            csrf: "csrf".into(),
            token: "token".into(),
            people: vec![ada()],
            application: None,
        };
        vec![
            plain.clone(),
            LogoutConfirm { application: Some(wiki()), ..plain.clone() },
            LogoutConfirm { application: Some(long()), people: vec![long_person(), ada()], ..plain },
        ]
    }
}

impl Samples for SignedOut {
    fn all() -> Vec<Self> {
        let next = || Some("https://wiki.example.com/bye".into());
        let plain = SignedOut { frames: vec![], script: None, application: None, next: None };
        vec![
            plain.clone(),
            SignedOut { application: Some(wiki()), next: next(), ..plain.clone() },
            SignedOut { application: Some(long()), ..plain.clone() },
            SignedOut { next: next(), ..plain.clone() },
            SignedOut {
                application: Some(wiki()),
                next: next(),
                frames: vec!["https://wiki.example.com/out?sid=x".into()],
                script: Some(script::GO_ON),
            },
        ]
    }
}

impl Samples for Problem {
    fn all() -> Vec<Self> {
        let plain = |notice: Notice| Problem {
            notice,
            reference: "01JDQ6Z8F5R2".into(),
            status: notice.status(),
            link: None,
            link_text: link::HOME,
            application: None,
        };
        let mut all: Vec<_> = Notice::ALL.iter().map(|n| plain(*n)).collect();
        let back = || Some("https://wiki.example.com/".into());
        all.push(Problem {
            link: back(),
            link_text: link::BACK,
            application: Some(wiki()),
            ..plain(Notice::FlowExpired)
        });
        all.push(Problem {
            link: back(),
            link_text: link::BACK,
            application: Some(long()),
            ..plain(Notice::InvalidRequest)
        });
        all.push(Problem { link: Some("/login".into()), link_text: link::SIGN_IN, ..plain(Notice::FlowElsewhere) });
        all.push(Problem { link: Some("/account".into()), link_text: link::RETRY, ..plain(Notice::Internal) });
        all.push(Problem { link: Some("/".into()), ..plain(Notice::NotFound) });
        all.push(Problem { link: back(), link_text: link::BACK, ..plain(Notice::BadRequest) });
        all
    }
}

impl Samples for Leave {
    fn all() -> Vec<Self> {
        let plain = Leave {
            application: wiki(),
            url: "https://wiki.example.com/cb?code=x".into(),
            fields: vec![],
            reason_id: leave::READY,
        };
        vec![
            plain.clone(),
            Leave { reason_id: leave::DENIED, url: "com.example.wiki:/cb?error=access_denied".into(), ..plain.clone() },
            Leave { fields: vec![("error".into(), "login_required".into())], ..plain.clone() },
            Leave { reason_id: leave::PROBLEM, application: long(), ..plain },
        ]
    }
}

impl Samples for FormPost {
    fn all() -> Vec<Self> {
        vec![FormPost {
            action: "https://wiki.example.com/cb".into(),
            fields: vec![("code".into(), "kw_ac_x".into()), ("state".into(), "\"><script>".into())],
            host: "wiki.example.com".into(),
            script: script::SUBMIT,
        }]
    }
}

impl Samples for Setup {
    fn all() -> Vec<Self> {
        let plain = Setup {
            action: "/setup".into(),
            csrf: "csrf".into(),
            token: "token".into(),
            email: String::new(),
            name: String::new(),
            field_errors: SetupErrors::default(),
            notice: None,
            min_length: 15,
        };
        let wrong =
            |email, name, password| SetupErrors { email: Some(email), name: Some(name), password: Some(password) };
        let failed = Setup {
            email: "ada@example".into(),
            name: "Ada".into(),
            notice: Some(note::SETUP_INVALID),
            ..plain.clone()
        };
        vec![
            plain,
            Setup {
                field_errors: wrong(field::EMAIL_BAD, field::NAME_MISSING, field::PASSWORD_SHORT),
                ..failed.clone()
            },
            Setup {
                field_errors: wrong(field::EMAIL_TAKEN, field::NAME_LONG, field::PASSWORD_COMMON),
                ..failed.clone()
            },
            Setup { field_errors: wrong(field::EMAIL_BAD, field::NAME_LONG, field::PASSWORD_LONG), ..failed.clone() },
            Setup { field_errors: wrong(field::EMAIL_BAD, field::NAME_LONG, field::NEW_PASSWORD_MISSING), ..failed },
        ]
    }
}

impl Samples for SetupGone {
    fn all() -> Vec<Self> {
        vec![SetupGone { sign_in: "/login".into() }]
    }
}

impl Samples for Front {
    fn all() -> Vec<Self> {
        let plain = Front {
            signed_in: None,
            tagline: Some("One account for everything at Acme".into()),
            description: Some(
                "Sign in once and use the wiki, the calendar and the build servers. Ask the service desk for an account.".into(),
            ),
            sign_in: "/login".into(),
            account: "/account".into(),
        };
        vec![
            plain.clone(),
            Front { signed_in: Some(ada()), ..plain.clone() },
            Front { tagline: None, description: None, ..plain.clone() },
            Front { signed_in: Some(long_person()), tagline: Some(LONG.into()), ..plain },
        ]
    }
}

impl Samples for Account {
    fn all() -> Vec<Self> {
        let row = |id: &str, agent: &str, minutes, current| SessionRow {
            id: id.into(),
            label: Device::read(Some(agent)),
            ip: "203.0.113.7".into(),
            since: ago(minutes * 50 + 5),
            last_used: ago(minutes),
            current,
        };
        let one = Account {
            person: ada(),
            sub: "oY3xk2Vd8mQ1nT5wZ7cB4g".into(),
            email_verified: true,
            sessions: vec![row("1", "Firefox/140 Linux", 0, true)],
            csrf: "csrf".into(),
            sign_out: "/account/sign-out".into(),
            end_session: "/account/end-session".into(),
            notice: None,
            now: NOW,
        };
        let many = Account {
            sessions: vec![
                row("1", "Firefox/140 Linux", 0, true),
                row("2", "Safari/604 iPhone", 45, false),
                row("3", "Edg/130 Windows", 60 * 30, false),
                SessionRow { ip: "2001:db8:85a3:8d3:1319:8a2e:370:7348".into(), ..row("4", "", 60 * 24 * 2, false) },
                row("5", "curl/8", 60 * 24 * 8, false),
                row("6", "Linux", 60 * 24 * 9, false),
            ],
            notice: Some(note::OTHER_SESSION_ENDED),
            ..one.clone()
        };
        vec![
            one,
            Account {
                person: long_person(),
                email_verified: false,
                notice: Some(note::OTHER_SESSION_GONE),
                ..many.clone()
            },
            Account { person: nameless(), notice: None, ..many },
        ]
    }
}
