//! The command line: the real program, alone and beside a running server.

use crate::support::process::{House, PASSWORD, Serving, finished, free_port, names, within};
use crate::support::{Browser, CALLBACK, Registered, rp};
use sea_orm::ConnectionTrait;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// Changes are seen by running servers within this (DESIGN.md, rule 10).
const SEEN: Duration = Duration::from_secs(2);
const ADA: &str = "ada@example.com";

fn registered(made: &Value) -> Registered {
    Registered {
        id: made["client_id"].as_str().unwrap().to_owned(),
        secret: made["client_secret"].as_str().map(str::to_owned),
    }
}

/// The status of a client_credentials request.
async fn credentials(issuer: &str, client: &Registered) -> u16 {
    let form = [("grant_type", "client_credentials"), ("scope", "api")];
    rp::post_to(&format!("{issuer}/oauth2/token"), Some(client), &form).await.status
}

fn machine(house: &House) -> Registered {
    let made =
        house.run(&["client", "create", "--name", "Job", "--grant", "client_credentials", "--scope", "api", "--json"]);
    registered(&made.json())
}

/// Signs in at `/login` and says what came of it: the path of the last page and its status.
async fn sign_in(issuer: &str, identifier: &str) -> (Browser, u16, String) {
    let mut browser = Browser::at(issuer);
    let page = browser.follow(&format!("{issuer}/login")).await;
    let page = browser.answer(&page, &[("identifier", identifier), ("password", PASSWORD)]).await;
    let path = url::Url::parse(&page.url).unwrap().path().to_owned();
    (browser, page.status.as_u16(), path)
}

#[tokio::test]
async fn the_first_start_prints_a_setup_url_and_the_program_ends_on_sigterm() {
    let house = House::new().await;
    let mut serving = house.serve();
    let url = serving.setup_url.clone().unwrap();
    assert!(url.starts_with(&format!("{}/setup?token=", house.issuer())), "{url}");
    let page = Browser::at(&house.issuer()).get(&url).await;
    assert_eq!(page.status, 200);
    serving.terminate();
    let said = serving.said();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.is_empty(), "stdout is for results: {said:?}");
}

#[tokio::test]
async fn people_that_the_command_line_makes_sign_in_at_once_and_disabled_ones_are_out_within_two_seconds() {
    let house = House::new().await;
    let serving = house.serve();
    house.person("root@example.com", &["--admin"]);
    let claims = house.file("claims.json", r#"{"given_name":"Ada","birthdate":"1815-12-10"}"#);
    let arguments = [
        "user",
        "create",
        "--email",
        ADA,
        "--name",
        "Ada Lovelace",
        "--username",
        "ada.l",
        "--phone",
        "+442079460000",
        "--password-stdin",
        "--admin",
        "--email-verified",
        "--claims",
        claims.to_str().unwrap(),
        "--json",
    ];
    let made = house.run_with(&arguments, &format!("{PASSWORD}\n")).json();
    assert_eq!((made["role"].as_str(), made["status"].as_str()), (Some("super_admin"), Some("active")), "{made}");
    assert_eq!(made["identifiers"].as_array().unwrap().len(), 3);

    for identifier in [ADA, "ADA.L"] {
        let (_, status, path) = sign_in(&house.issuer(), identifier).await;
        assert_eq!((status, path.as_str()), (200, "/account"), "{identifier}");
    }
    let page = Browser::at(&house.issuer()).get(serving.setup_url.as_ref().unwrap()).await;
    assert_eq!(page.status, 410, "there is an administrator now");

    let listed = house.run(&["user", "list", "--json"]).json();
    assert_eq!(listed[0]["sub"], made["sub"]);
    let table = house.run(&["user", "list", "--limit", "5"]).done();
    assert!(table.starts_with("FOUND BY") && table.contains(ADA), "{table}");

    let (mut browser, ..) = sign_in(&house.issuer(), ADA).await;
    assert!(house.run(&["user", "disable", "ada.l"]).done().contains("disabled"));
    within(SEEN, "the session is dead", async || {
        browser.get(&format!("{}/account", house.issuer())).await.status == 303
    })
    .await;
    assert_eq!(sign_in(&house.issuer(), ADA).await.1, 422);
    house.run(&["user", "enable", ADA]).done();
    within(SEEN, "they sign in again", async || sign_in(&house.issuer(), ADA).await.1 == 200).await;
    assert_eq!(browser.get(&format!("{}/account", house.issuer())).await.status, 303, "what ended stays ended");
}

#[tokio::test]
async fn a_call_that_makes_no_sense_is_exit_code_2_and_a_failure_is_1() {
    let house = House::empty();
    house.run(&["migrate", "up"]).done();
    drop(house.serve());
    house.person(ADA, &[]);
    for (call, input) in [
        (&["user", "create", "--email", "nobody", "--name", "N"][..], ""),
        (&["user", "create", "--email", "a@example.com", "--name", " "], ""),
        (&["user", "create", "--email", "a@example.com", "--name", "N", "--username", "a"], ""),
        (&["user", "create", "--email", "a@example.com", "--name", "N", "--phone", "12"], ""),
        (&["user", "create", "--email", "a@example.com", "--name", "N", "--password-stdin"], ""),
        (&["user", "create", "--email", "a@example.com", "--name", "N", "--password-stdin"], "short"),
        (&["user", "create", "--email", "a@example.com", "--name", "N", "--password-stdin"], "passwordpassword"),
        (&["client", "create", "--name", "Wiki"], ""),
        (&["client", "create", "--name", "Wiki", "--redirect-uri", "javascript:alert(1)"], ""),
        (&["client", "create", "--name", "Wiki", "--redirect-uri", CALLBACK, "--scope", "a\"b"], ""),
        (&["tenant", "create", "--slug", "Oauth2", "--name", "N"], ""),
        (&["tenant", "create", "--slug", "oauth2", "--name", "N"], ""),
        (&["tenant", "move", "--to", "http://id.example.com"], ""),
        (&["user", "disable", "~"], ""),
    ] {
        house.run_with(call, input).refused(2);
    }
    for wrong in ["39474", "localhost:39474"] {
        let said = house.run(&["serve", "--listen", wrong]);
        assert!(said.code == Some(2) && said.err.contains("such as 127.0.0.1:39474"), "{said:?}");
    }
    for (option, known) in [
        ("--grant", "client_credentials"),
        ("--token-endpoint-auth-method", "private_key_jwt"),
        ("--id-token-signed-response-alg", "EdDSA"),
    ] {
        let said = house.run(&["client", "create", "--name", "W", option, "nothing"]);
        assert!(said.code == Some(2) && said.err.contains(known), "{said:?}");
    }
    let wiki = ["client", "create", "--name", "W", "--redirect-uri", CALLBACK];
    let no_set = house.file("jwks.json", "{\"kty\":\"EC\"}");
    let line = house.run(&[&wiki[..], &["--jwks", no_set.to_str().unwrap()]].concat()).refused(2);
    assert!(line.contains("--jwks") && line.contains("a JWK Set is wanted"), "{line}");
    let line = house.run(&[&wiki[..], &["--token-endpoint-auth-method", "private_key_jwt"]].concat()).refused(2);
    assert!(line.contains("--jwks FILE"), "{line}");
    let line = house.run(&["user", "list", "--data-dir", no_set.to_str().unwrap()]).refused(2);
    assert!(line.contains("is a file"), "{line}");
    for call in [
        &["nonsense"][..],
        &["user"],
        &["client", "create"],
        &["client", "create", "--name", "W", "--grant", "password"],
    ] {
        let said = house.run(call);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains("Usage") || said.err.contains("--help"), "{said:?}");
    }
    for call in [
        &["user", "create", "--email", ADA, "--name", "Again"][..],
        &["user", "create", "--email", "b@example.com", "--name", "B", "--tenant", "nowhere"],
        &["user", "disable", "nobody@example.com"],
        &["client", "show", "nothing"],
        &["client", "delete", "nothing"],
        &["client", "rotate-secret", "nothing"],
        &["keys", "revoke", "nothing"],
        &["keys", "list", "--tenant", "nowhere"],
        &["client", "create", "--name", "W", "--jwks", "/nowhere/at/all"],
    ] {
        house.run(call).refused(1);
    }
    assert!(house.run(&["version"]).done().starts_with("keyward 0."));
    assert!(house.run(&["--version"]).done().starts_with("keyward 0."));
}

#[tokio::test]
async fn an_application_lives_its_whole_life_on_the_command_line() {
    let house = House::new().await;
    let _serving = house.serve();
    let issuer = house.issuer();
    let job = machine(&house);
    assert_eq!(credentials(&issuer, &job).await, 200, "a new application is known at once");

    let rotated = registered(&house.run(&["client", "rotate-secret", &job.id, "--json"]).json());
    within(SEEN, "the new secret works", async || credentials(&issuer, &rotated).await == 200).await;
    assert_eq!(credentials(&issuer, &job).await, 200, "the one before goes on for a day");
    let last = registered(&house.run(&["client", "rotate-secret", &job.id, "--overlap-hours", "0", "--json"]).json());
    within(SEEN, "the last secret works", async || credentials(&issuer, &last).await == 200).await;
    assert_eq!(credentials(&issuer, &job).await, 401);

    house.run(&["client", "disable", &job.id]).done();
    within(SEEN, "a disabled application is refused", async || credentials(&issuer, &last).await == 401).await;
    house.run(&["client", "enable", &job.id]).done();
    within(SEEN, "an enabled one goes on", async || credentials(&issuer, &last).await == 200).await;
    house.run(&["client", "delete", &job.id]).done();
    within(SEEN, "a deleted one is unknown", async || credentials(&issuer, &last).await == 401).await;
    house.run(&["client", "show", &job.id]).refused(1);
}

#[tokio::test]
async fn every_option_of_client_create_is_kept() {
    let house = House::new().await;
    drop(house.serve());
    let jwks = house.file(
        "jwks.json",
        r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
    );
    let made = house.run(&[
        "client",
        "create",
        "--name",
        "Wiki",
        "--redirect-uri",
        CALLBACK,
        "--redirect-uri",
        "https://app.example.com/2",
        "--post-logout-redirect-uri",
        "https://app.example.com/bye",
        "--allowed-origin",
        "https://app.example.com",
        "--token-endpoint-auth-method",
        "private_key_jwt",
        "--jwks",
        jwks.to_str().unwrap(),
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
        "--scope",
        "openid",
        "--scope",
        "offline_access",
        "--pkce",
        "optional",
        "--id-token-signed-response-alg",
        "EdDSA",
        "--access-token-signed-response-alg",
        "RS256",
        "--first-party",
        "--client-uri",
        "https://app.example.com/",
        "--json",
    ]);
    let made = made.json();
    assert!(made.get("client_secret").is_none(), "a client with keys has no secret: {made}");
    let shown = house.run(&["client", "show", made["client_id"].as_str().unwrap(), "--json"]).json();
    for (name, expected) in [
        ("client_name", serde_json::json!("Wiki")),
        ("redirect_uris", serde_json::json!([CALLBACK, "https://app.example.com/2"])),
        ("post_logout_redirect_uris", serde_json::json!(["https://app.example.com/bye"])),
        ("allowed_origins", serde_json::json!(["https://app.example.com"])),
        ("token_endpoint_auth_method", serde_json::json!("private_key_jwt")),
        ("grant_types", serde_json::json!(["authorization_code", "refresh_token"])),
        ("scope", serde_json::json!("offline_access openid")),
        ("pkce", serde_json::json!("optional")),
        ("id_token_signed_response_alg", serde_json::json!("EdDSA")),
        ("access_token_signed_response_alg", serde_json::json!("RS256")),
        ("first_party", serde_json::json!(true)),
        ("client_uri", serde_json::json!("https://app.example.com/")),
    ] {
        assert_eq!(shown[name], expected, "{name} in {shown}");
    }
    let told = house.run(&["client", "show", made["client_id"].as_str().unwrap()]).done();
    for line in [
        "authentication: private_key_jwt",
        "post_logout_redirect_uri: https://app.example.com/bye",
        "allowed_origin: https://app.example.com",
    ] {
        assert!(told.lines().any(|l| l == line), "{line} in {told}");
    }
    let public = house.run(&["client", "create", "--name", "App", "--redirect-uri", "http://127.0.0.1/cb", "--public"]);
    assert!(!public.err.contains("Keep the secret"), "{public:?}");
    let public = public.done();
    assert!(public.contains("client_id:") && !public.contains("secret"), "{public}");
    let secret = house.run(&["client", "create", "--name", "Wiki", "--redirect-uri", CALLBACK]);
    assert!(secret.err.contains("Keep the secret now") && secret.out.contains("client_secret: "), "{secret:?}");
    assert!(secret.out.contains("authentication: client_secret_basic"), "{secret:?}");
    let words = secret.out.split_whitespace().find(|w| w.starts_with("kw_cs_")).unwrap_or_default().to_owned();
    let listed = house.run(&["client", "list"]).done();
    assert!(listed.lines().count() == 4 && (words.is_empty() || !listed.contains(&words)), "{listed}");
    assert_eq!(house.run(&["client", "list", "--json"]).json().as_array().unwrap().len(), 3);
    let job = house.run(&["client", "create", "--name", "Job", "--grant", "client_credentials", "--json"]).json();
    let shown = house.run(&["client", "show", job["client_id"].as_str().unwrap(), "--json"]).json();
    assert_eq!(shown["scope"], "", "the standard scopes are about people");
}

#[tokio::test]
async fn a_tenant_made_beside_a_running_server_is_served_and_moves_with_it() {
    let house = House::new().await;
    let _serving = house.serve();
    let made = house.run(&["tenant", "create", "--slug", "acme", "--name", "Acme", "--json"]).json();
    let issuer = format!("{}/t/acme", house.issuer());
    assert_eq!(made["issuer"], issuer);
    house.run(&["tenant", "create", "--slug", "acme", "--name", "Again"]).refused(1);
    let metadata = format!("{issuer}/.well-known/openid-configuration");
    let mut browser = Browser::at(&house.issuer());
    within(SEEN, "its metadata is served", async || browser.get(&metadata).await.status == 200).await;
    house.person("grace@example.com", &["--tenant", "acme", "--admin"]);
    assert_eq!(house.run(&["user", "list", "--json"]).json().as_array().unwrap().len(), 0, "nobody of another tenant");
    assert_eq!(house.run(&["user", "list", "--tenant", "acme", "--json"]).json()[0]["role"], "admin");

    let to = format!("http://127.0.0.1:{}", house.port);
    assert!(house.run(&["tenant", "move", "--to", &to]).done().contains("2 issuer(s) moved"));
    let listed = house.run(&["tenant", "list", "--json"]).json();
    let issuers: Vec<&str> = listed.as_array().unwrap().iter().map(|t| t["issuer"].as_str().unwrap()).collect();
    assert_eq!(issuers, [to.clone(), format!("{to}/t/acme")]);
    for base in [house.issuer(), issuer, to.clone(), format!("{to}/t/acme")] {
        let url = format!("{base}/.well-known/openid-configuration");
        within(SEEN, "both issuers are served", async || {
            let page = browser.get(&url).await;
            page.status == 200 && page.body.contains(&format!("\"issuer\":\"{base}\""))
        })
        .await;
    }
    assert!(house.run(&["tenant", "list"]).done().starts_with("SLUG"));
}

#[tokio::test]
async fn keys_rotate_and_are_revoked_beside_a_running_server() {
    let house = House::new().await;
    let _serving = house.serve();
    let issuer = house.issuer();
    let mut browser = Browser::at(&issuer);
    let states = || house.run(&["keys", "list", "--json"]).json();
    let of = |keys: &Value, alg: &str, state: &str| -> Vec<String> {
        let of = |k: &&Value| k["alg"] == alg && k["state"] == state;
        keys.as_array().unwrap().iter().filter(of).map(|k| k["kid"].as_str().unwrap().to_owned()).collect()
    };
    within(Duration::from_secs(20), "the job made the RSA key", async || of(&states(), "RS256", "active").len() == 1)
        .await;
    let first = of(&states(), "ES256", "active").remove(0);

    assert_eq!(house.run(&["keys", "rotate"]).done().lines().count(), 2);
    let next = of(&states(), "ES256", "next").remove(0);
    let jwks = format!("{issuer}/oauth2/jwks");
    within(SEEN, "the next key is published", async || browser.get(&jwks).await.body.contains(&next)).await;
    assert!(house.run(&["keys", "rotate"]).done().contains("successor already"));

    house.run(&["keys", "rotate", "--now"]).done();
    let keys = states();
    assert_eq!(
        (of(&keys, "ES256", "active"), of(&keys, "ES256", "retiring")),
        (vec![next.clone()], vec![first.clone()])
    );
    let job = machine(&house);
    let form = [("grant_type", "client_credentials"), ("scope", "api")];
    within(SEEN, "the next key signs", async || {
        let token = rp::post_to(&format!("{issuer}/oauth2/token"), Some(&job), &form).await.text_of("access_token");
        let header: Value = serde_json::from_slice(
            &base64::Engine::decode(
                &base64::engine::general_purpose::URL_SAFE_NO_PAD,
                token.split('.').next().unwrap(),
            )
            .unwrap(),
        )
        .unwrap();
        header["kid"] == next
    })
    .await;

    house.run(&["keys", "revoke", &next]).done();
    within(SEEN, "the revoked key is gone", async || !browser.get(&jwks).await.body.contains(&next)).await;
    assert_eq!(of(&states(), "ES256", "active").len(), 1, "its successor signs at once");
    assert!(browser.get(&jwks).await.body.contains(&first), "others stay");
    assert!(house.run(&["keys", "list"]).done().starts_with("ALG"));
    house.run(&["keys", "revoke", &next]).refused(1);
}

#[tokio::test]
async fn the_schema_goes_up_and_down_and_says_where_it_stands() {
    let house = House::empty();
    for call in [&["migrate", "status"][..], &["migrate", "down"], &["user", "list"], &["keys", "rotate"], &["work"]] {
        let line = house.run(call).refused(1);
        assert!(line.contains("there is no database at") && line.contains("--data-dir"), "{call:?}: {line}");
        assert!(!house.data().exists(), "{call:?} made something");
    }
    assert!(house.run(&["check"]).done().contains("is not there yet"));
    assert!(!house.data().exists());
    house.run(&["migrate", "up"]).done();
    assert!(house.run(&["migrate", "status"]).done().starts_with("applied m2"));
    house.run(&["migrate", "up"]).done();
    let said = house.run(&["check"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("master.key is missing"), "{said:?}");
    house.run(&["migrate", "down"]).done();
    let status = house.run(&["migrate", "status"]).done();
    assert!(status.starts_with("applied m2") && status.contains("\npending m2"), "{status}");
    house.run(&["migrate", "down"]).done();
    assert!(house.run(&["migrate", "status"]).done().starts_with("pending m2"));
    let line = house.run(&["user", "list"]).refused(1);
    assert!(line.contains("keyward migrate up"), "{line}");
    let serving = house.serve();
    let checked = house.run(&["check"]).done();
    assert!(
        checked.contains("it is the one of this database") && checked.contains("server: one is running"),
        "{checked}"
    );
    for call in [&["migrate", "up"][..], &["migrate", "down"]] {
        let line = house.run(call).refused(1);
        assert!(line.contains("another keyward server is running"), "{line}");
    }
    drop(serving);
}

#[tokio::test]
async fn every_command_has_a_help_with_an_example() {
    let house = House::empty();
    let mut open: Vec<Vec<String>> = vec![vec![]];
    let mut seen = 0;
    while let Some(command) = open.pop() {
        let mut call: Vec<&str> = command.iter().map(String::as_str).collect();
        call.push("--help");
        let help = house.run(&call).done();
        let below = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap());
        for name in below.lines().filter_map(|l| l.strip_prefix("  ")?.split_whitespace().next()) {
            if name != "help" {
                open.push([&command[..], &[name.to_owned()]].concat());
            }
        }
        if !command.is_empty() {
            let example = help.split_once("Example").map(|(_, e)| e).unwrap_or_else(|| panic!("{command:?}:\n{help}"));
            assert!(example.contains("keyward "), "{command:?}:\n{help}");
            seen += 1;
        }
    }
    assert!(seen >= 25, "{seen} commands");
}

#[tokio::test]
async fn a_broken_file_is_told_with_every_key_and_line_at_once() {
    let house = House::empty();
    let file = house.file(
        "broken.toml",
        "[server]\nlisten = \"nowhere\"\nlistne = 1\npublic_url = \"http://id.example.com\"\n\n[tokens]\ncode = \"1d\"\naccess = \"soon\"\n\n[nonsense]\na = 1\n",
    );
    let mut command = house.command(&["serve", "--config", file.to_str().unwrap()]);
    command.env_remove("KEYWARD__SERVER__DATA_DIR");
    let said = finished(command, "");
    assert_eq!(said.code, Some(2), "{said:?}");
    for part in [
        "line 2: server.listen must be",
        "line 3: server.listne is not a key; is server.listen meant?",
        "line 4: server.public_url must be https unless it is localhost",
        "line 7: tokens.code must be",
        "line 8: tokens.access must be",
        "line 11: nonsense.a is not a key",
    ] {
        assert!(said.err.contains(part), "{part} missing in\n{}", said.err);
    }
    assert!(!house.data().exists(), "nothing was made");
    let lines: Vec<&str> = said.err.lines().filter_map(|l| l.split(" line ").nth(1)).collect();
    assert!(lines.is_sorted_by_key(|l| l.split(':').next().unwrap().parse::<u32>().unwrap()), "{lines:?}");
    for (text, part) in [
        ("[server\nlisten = 1\n", "broken.toml line 1, column 8: "),
        ("# first\na = 1\n", "broken.toml line 2: a stands outside a [section]"),
        ("[server]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n", "line 3"),
        ("[server]\npublic_url = \"https://id.example.com/path\"\n", "line 2: server.public_url must have no path"),
        ("[brand]\nname = \"a\\u0007b\"\n", "line 2: brand.name must be a text without control characters"),
        ("[bootstrap]\nemail = \"a@example.com\"\n", "bootstrap.password must be set together"),
    ] {
        let file = house.file("broken.toml", text);
        let said = house.run(&["check", "--config", file.to_str().unwrap()]);
        assert_eq!(said.code, Some(2), "{text}: {said:?}");
        assert!(said.err.contains(part), "{part} missing in\n{}", said.err);
    }
    let said = house.run(&["check", "--config", "/nowhere/keyward.toml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("/nowhere/keyward.toml") && said.err.contains("cannot be read"), "{said:?}");
}

#[tokio::test]
async fn names_in_the_environment_that_are_not_known_are_warned_about() {
    let mut house = House::empty();
    house.set("KEYWARD__SERVER__LISTNE", "127.0.0.1:1");
    house.set("APP_COLOUR", "#ffffff");
    house.set("KEYWARD__FOO", "1");
    house.set("KEYWARD_SERVER_LISTEN", "127.0.0.1:1");
    // What a cluster sets for a service of this name.
    house.set("KEYWARD_PORT", "tcp://10.0.0.1:8080");
    let said = house.run(&["check"]);
    assert_eq!(said.code, Some(0));
    for part in [
        "warning: environment KEYWARD__SERVER__LISTNE: is not a name that is known; is server.listen meant?",
        "warning: environment APP_COLOUR",
        "warning: environment KEYWARD__FOO",
        "warning: environment KEYWARD_SERVER_LISTEN: is not a name that is known; is KEYWARD__SERVER__LISTEN meant?",
    ] {
        assert_eq!(said.err.matches(part).count(), 1, "{part} in {said:?}");
    }
    assert_eq!(said.err.lines().count(), 4, "{said:?}");
    house.set("KEYWARD__PASSWORD__MEMORY_KIB", "much");
    let said = house.run(&["check"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("environment KEYWARD__PASSWORD__MEMORY_KIB: password.memory_kib must be"), "{said:?}");
    house.set("PORT", "abc");
    assert!(house.run(&["check"]).err.contains("environment PORT: must be a number"));
}

#[tokio::test]
async fn an_app_domain_that_is_not_the_host_of_public_url_ends_the_start() {
    let mut house = House::empty();
    house.set("APP_DOMAIN", "id.example.com");
    let said = house.does_not_serve(&[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("environment APP_DOMAIN: brand.domain differs from the host"), "{said:?}");
    assert!(!house.data().exists());
    let said = house.run(&["check"]);
    assert!(said.err.contains("environment APP_DOMAIN: brand.domain differs"), "without PUBLIC_URL too: {said:?}");
    house.set("APP_DOMAIN", "localhost");
    drop(house.serve());
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_one_line() {
    let house = House::empty();
    std::fs::create_dir(house.data()).unwrap();
    std::fs::set_permissions(house.data().parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(house.data(), PermissionsExt::from_mode(0o555)).unwrap();
    let listen = format!("127.0.0.1:{}", house.port);
    let line = finished(house.powerless(&["serve", "--listen", &listen]), "").refused(1);
    assert!(line.contains(house.data().to_str().unwrap()) && line.contains("Permission denied"), "{line}");
    assert!(names(&house.data()).is_empty());
    let inside = house.data().join("deeper");
    let mut command = house.powerless(&["serve", "--listen", &listen]);
    command.env("KEYWARD__SERVER__DATA_DIR", &inside);
    assert!(finished(command, "").refused(1).contains("Permission denied"));
    std::fs::set_permissions(house.data(), PermissionsExt::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_one_line_before_anything_is_made() {
    let house = House::empty();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", house.port)).unwrap();
    let line = house.does_not_serve(&[]).refused(1);
    assert!(line.contains(&format!("cannot listen on 127.0.0.1:{}", house.port)), "{line}");
    assert!(line.contains("--listen") && line.contains("PORT"), "{line}");
    assert!(!house.data().exists());
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_turned_away_and_changes_nothing() {
    let house = House::empty();
    let first = house.serve();
    let before = names(&house.data());
    let listen = format!("127.0.0.1:{}", free_port());
    let line = finished(house.command(&["serve", "--listen", &listen]), "").refused(1);
    assert!(line.contains("another keyward server is running on"), "{line}");
    assert_eq!(names(&house.data()), before);
    assert_eq!(Browser::at(&house.issuer()).get(&format!("{}/readyz", house.issuer())).await.status, 200);
    // The lock is the kernel's: what a kill leaves behind keeps nobody out.
    first.kill();
    drop(house.serve());
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let house = House::new().await;
    drop(house.serve());
    let db = house.connect().await;
    db.execute_unprepared("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 1)")
        .await
        .unwrap();
    db.close().await.unwrap();
    let says = "was written by a newer version of Keyward (it has m29990101_000001_later)";
    assert!(house.does_not_serve(&[]).refused(1).contains(says));
    for call in [&["migrate", "up"][..], &["migrate", "down"], &["migrate", "status"], &["user", "list"], &["work"]] {
        let line = house.run(call).refused(1);
        assert!(line.contains(says), "{call:?}: {line}");
    }
    let db = house.connect().await;
    db.execute_unprepared("DELETE FROM seaql_migrations WHERE version LIKE 'm2999%'").await.unwrap();
    db.close().await.unwrap();
    drop(house.serve());
}

#[tokio::test]
async fn another_master_key_opens_nothing_and_destroys_nothing() {
    let mut house = House::new().await;
    let serving = house.serve();
    let job = machine(&house);
    drop(serving);
    house.set("ENCRYPTION_KEY", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    let says = "the master key is not the one that this database was sealed with";
    assert!(house.does_not_serve(&[]).refused(1).contains(says));
    assert!(house.run(&["client", "list"]).refused(1).contains(says));
    house.set("ENCRYPTION_KEY", "hunter2");
    let line = house.does_not_serve(&[]).refused(1);
    assert!(line.contains("secrets.encryption_key must be exactly 32 bytes") && !line.contains("hunter2"), "{line}");
    house.environment.retain(|(n, _)| n != "ENCRYPTION_KEY");
    let _serving = house.serve();
    assert_eq!(credentials(&house.issuer(), &job).await, 200);
}

#[tokio::test]
async fn a_key_file_that_others_can_read_ends_the_start() {
    let house = House::new().await;
    std::fs::create_dir(house.data()).unwrap();
    let key = house.data().join("master.key");
    std::fs::write(&key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let line = house.does_not_serve(&[]).refused(1);
    assert!(line.contains("master.key can be read by others (mode 0644); run: chmod 600"), "{line}");
    assert_eq!(names(&house.data()), ["master.key"], "nothing was made beside it");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    drop(house.serve());
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(house.run(&["user", "list"]).refused(1).contains("can be read by others"));
}

#[tokio::test]
async fn a_lost_key_file_beside_a_database_is_told_and_not_replaced() {
    let house = House::new().await;
    let serving = house.serve();
    let job = machine(&house);
    drop(serving);
    let key = house.data().join("master.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    for line in [house.does_not_serve(&[]).refused(1), house.run(&["user", "list"]).refused(1)] {
        assert!(line.contains("master.key is missing; restore it from the backup"), "{line}");
        assert!(!key.exists(), "a new key would hide that the old one is lost");
    }
    std::fs::write(&key, kept).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let _serving = house.serve();
    assert_eq!(credentials(&house.issuer(), &job).await, 200);
}

#[tokio::test]
async fn every_change_of_the_command_line_leaves_one_audit_event() {
    let house = House::new().await;
    drop(house.serve());
    house.person(ADA, &[]);
    house.run(&["user", "disable", ADA]).done();
    house.run(&["user", "enable", ADA]).done();
    let client = house.run(&["client", "create", "--name", "Wiki", "--redirect-uri", CALLBACK, "--json"]).json();
    let id = client["client_id"].as_str().unwrap();
    for call in ["rotate-secret", "disable", "enable", "delete"] {
        house.run(&["client", call, id]).done();
    }
    house.run(&["keys", "rotate", "--now"]).done();
    let kid = house.run(&["keys", "list", "--json"]).json()[0]["kid"].as_str().unwrap().to_owned();
    house.run(&["keys", "revoke", &kid]).done();
    house.run(&["tenant", "create", "--slug", "acme", "--name", "Acme"]).done();
    house.run(&["tenant", "move", "--to", "https://id.example.com"]).done();
    let events = house.events().await;
    let count = |kind: &str| events.iter().filter(|e| e.kind == kind).count();
    for (kind, expected) in [
        ("user.signup", 1),
        ("user.banned", 1),
        ("user.update", 1),
        ("client.create", 1),
        ("client.secret_rotate", 1),
        ("client.update", 2),
        ("client.delete", 1),
        ("key.revoke", 1),
        ("tenant.create", 1),
        ("tenant.update", 1),
    ] {
        assert_eq!(count(kind), expected, "{kind}");
    }
    assert!(count("key.rotate") >= 1, "one for each key");
}

#[tokio::test]
async fn a_pipe_that_closes_early_is_no_error() {
    let house = House::new().await;
    drop(house.serve());
    let mut child = house
        .command(&["keys", "list"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[tokio::test]
async fn a_port_that_the_kernel_chooses_is_the_one_that_is_said() {
    let house = House::empty();
    let serving = Serving::spawn(house.command(&["serve", "--listen", "127.0.0.1:0"]));
    serving.hear("/setup?token=");
    let log = serving.log();
    let url = log.split_whitespace().find(|w| w.contains("/setup?token=")).unwrap();
    assert!(!log.contains(":0 ") && !log.contains(":0)"), "{log}");
    assert_eq!(Browser::at(url).get(url).await.status, 200);
}

#[tokio::test]
async fn another_password_is_set_and_ends_what_came_of_the_one_before() {
    let house = House::new().await;
    let _serving = house.serve();
    let made = house.run(&["user", "create", "--email", ADA, "--name", "Ada Lovelace"]);
    assert!(made.err.contains("keyward user set-password --email ada@example.com --password-stdin"), "{made:?}");
    let set = ["user", "set-password", "--email", ADA, "--password-stdin"];
    house.run_with(&set, "short").refused(2);
    house.run_with(&set, "ada lovelace and some more").refused(2);
    house.run_with(&set, PASSWORD).done();
    let (mut browser, status, _) = sign_in(&house.issuer(), ADA).await;
    assert_eq!(status, 200);
    house.run_with(&set, "eight slow herons by the lake").done();
    assert_eq!(browser.get(&format!("{}/account", house.issuer())).await.status, 303, "signed out");
    assert_eq!(sign_in(&house.issuer(), ADA).await.1, 422, "the old one is none");
    let events = house.events().await;
    let changed: Vec<_> = events.iter().filter(|e| e.kind == "password.change").collect();
    assert!(changed.len() == 2 && changed.iter().all(|e| e.target.is_some()));
}

#[tokio::test]
async fn the_last_active_administrator_is_not_disabled() {
    let house = House::new().await;
    drop(house.serve());
    house.person(ADA, &["--admin"]);
    let line = house.run(&["user", "disable", ADA]).refused(1);
    assert!(line.contains("the last active administrator") && line.contains("user create --admin"), "{line}");
    house.person("root@example.com", &["--admin"]);
    house.run(&["user", "disable", ADA]).done();
    house.run(&["user", "disable", "root@example.com"]).refused(1);
    house.run(&["user", "enable", ADA]).done();
}

#[tokio::test]
async fn check_finds_what_a_start_would_stumble_over() {
    let mut house = House::empty();
    drop(house.serve());
    house.set("APP_LOGO_URL", "/assets/logo.svg");
    let said = house.run(&["check"]);
    let warning = "warning: brand.logo_url is /assets/logo.svg, but there is no";
    assert!(said.code == Some(0) && said.err.contains(warning), "{said:?}");
    std::fs::create_dir(house.data().join("assets")).unwrap();
    std::fs::write(house.data().join("assets/logo.svg"), "<svg/>").unwrap();
    assert!(house.run(&["check"]).err.is_empty());
    std::fs::set_permissions(house.data().parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
    for (path, mode) in [("", 0o555), ("keyward.db", 0o444), ("keyward.db-lock", 0o444)] {
        for path in ["", "keyward.db", "keyward.db-shm", "keyward.db-wal", "keyward.db-lock"] {
            let path = house.data().join(path);
            if path.exists() {
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
            }
        }
        let path = house.data().join(path);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let said = finished(house.powerless(&["check"]), "");
        assert!(said.code == Some(1) && said.err.contains(path.to_str().unwrap().trim_end_matches('/')), "{said:?}");
        assert!(said.err.contains("Permission denied"), "{said:?}");
    }
}

#[tokio::test]
async fn a_database_server_that_refuses_connections_is_named_with_the_cause() {
    let mut house = House::empty();
    house.set("DATABASE_URL", &format!("postgres://keyward:hunter2@127.0.0.1:{}/keyward", free_port()));
    let line = house.run(&["user", "list"]).refused(1);
    assert!(line.contains("the database at 127.0.0.1:") && line.contains("Connection refused"), "{line}");
    assert!(!line.contains("hunter2"), "{line}");
}

#[tokio::test]
async fn the_reference_of_an_error_page_is_in_the_log_with_its_cause() {
    let house = House::empty();
    let serving = house.serve();
    let issuer = house.issuer();
    let page = Browser::at(&issuer).get(&format!("{issuer}/oauth2/authorize?client_id=app.nobody&state=s3cret")).await;
    let reference = page.headers["x-request-id"].to_str().unwrap().to_owned();
    assert!(page.body.contains(&reference));
    serving.hear(&reference);
    let log = serving.log();
    let line = log.lines().find(|l| l.contains(&reference)).unwrap();
    assert!(line.contains("unknown-client") && line.contains("app.nobody") && !line.contains("s3cret"), "{line}");

    let made = house.run(&["client", "create", "--name", "Wiki", "--redirect-uri", CALLBACK, "--json"]).json();
    let id = made["client_id"].as_str().unwrap();
    let asked = format!("{issuer}/oauth2/authorize?client_id={id}&redirect_uri={CALLBACK}&response_type=token");
    assert_eq!(Browser::at(&issuer).get(&asked).await.status, 303);
    serving.hear("unsupported_response_type");
    assert!(serving.log().lines().any(|l| l.contains("unsupported_response_type") && l.contains(id)));
    serving.terminate();
    serving.hear("told to stop");
}

#[tokio::test]
async fn a_metadata_file_is_taken_whole_or_not_at_all() {
    let house = House::new().await;
    drop(house.serve());
    let create = |text: &str| {
        let file = house.file("more.json", text);
        house.run(&[
            "client",
            "create",
            "--name",
            "Wiki",
            "--redirect-uri",
            CALLBACK,
            "--metadata",
            file.to_str().unwrap(),
        ])
    };
    create(r#"{"subject_type":"pairwise","logo_uri":"https://app.example.com/l.png"}"#).done();
    for (text, says) in [
        (r#"{"subject_tpye":"pairwise"}"#, "subject_tpye is none of"),
        (r#"{"subject_type":"private"}"#, "subject_type"),
        ("[]", "a JSON object is wanted"),
        ("{", "not JSON"),
    ] {
        assert!(create(text).refused(2).contains(says), "{text}");
    }
}
