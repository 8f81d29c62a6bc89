//! What the dependencies may be: their licences, and the sentence that each of ours needs.
//!
//! Reads `cargo metadata --offline`: of all platforms and features when their crates are on the disk (`cargo fetch`, as
//! `make test` does), else of what this machine builds.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Licences that an MIT-licensed binary may carry. Of copyleft only MPL-2.0, which ends at the file.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_dependency_has_a_licence_that_may_be_passed_on() {
    let packages = packages();
    assert!(packages.len() > 100, "only {} packages: is that all?", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .filter(|(_, licence)| licence.as_deref().is_none_or(|l| allows(l) != Ok(true)))
        .map(|(name, licence)| format!("{name}: {}", licence.as_deref().unwrap_or("none given")))
        .collect();
    assert!(refused.is_empty(), "not allowed:\n{}", refused.join("\n"));
}

#[test]
fn a_licence_is_read_as_its_expression_says() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-or-later OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        "ISC AND (Apache-2.0 OR ISC) AND OpenSSL",
    ] {
        assert_eq!(allows(good), Ok(true), "{good}");
    }
    for bad in [
        "GPL-3.0-or-later",
        "AGPL-3.0",
        "MIT AND GPL-3.0",
        "LGPL-3.0",
        "GPL-2.0 WITH Classpath-exception-2.0",
        "(MIT OR GPL-2.0) AND (AGPL-3.0 OR SSPL-1.0)",
        "SSPL-1.0",
        "UNKNOWN",
    ] {
        assert_eq!(allows(bad), Ok(false), "{bad}");
    }
    for broken in ["", "MIT OR", "(MIT", "MIT MIT", "OR MIT", "MIT WITH"] {
        assert!(allows(broken).is_err(), "{broken}");
    }
}

#[test]
fn every_dependency_of_ours_has_a_sentence_that_says_why() {
    let mut without = Vec::new();
    for manifest in ["Cargo.toml", "entity/Cargo.toml", "migration/Cargo.toml"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest)).unwrap();
        without.extend(unexplained(&text).into_iter().map(|name| format!("{manifest}: {name}")));
    }
    assert!(without.is_empty(), "a dependency needs a sentence above it in Cargo.toml:\n{}", without.join("\n"));
}

#[test]
fn one_sentence_covers_a_dependency_and_at_most_its_sibling() {
    let text = "[dependencies]\nown = { path = \"own\" }\nshared.workspace = true\n# Why.\na = \"1\"\nb = \"1\"\nc = \"1\"\n\
        # no sentence\nd = \"1\"\n[features]\ne = []\n[dev-dependencies]\nf = \"1\"\n";
    assert_eq!(unexplained(text), ["c", "d", "f"]);
}

/// Name and version of each package that is not ours, and its licence expression.
fn packages() -> BTreeMap<String, Option<String>> {
    let json = metadata(&["--all-features"]).or_else(|_| metadata(&["--filter-platform", &host()]));
    let json: Value = serde_json::from_slice(&json.unwrap()).unwrap();
    // Without those of the resolution it would name crates that nobody builds.
    let used: Vec<&str> =
        json["resolve"]["nodes"].as_array().unwrap().iter().filter_map(|n| n["id"].as_str()).collect();
    let theirs = json["packages"].as_array().unwrap().iter().filter(|p| !p["source"].is_null());
    theirs
        .filter(|p| used.contains(&p["id"].as_str().unwrap()))
        .map(|p| {
            let text = |key: &str| p[key].as_str().map(str::to_owned);
            (format!("{} {}", text("name").unwrap(), text("version").unwrap()), text("license"))
        })
        .collect()
}

fn metadata(more: &[&str]) -> Result<Vec<u8>, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--offline", "--locked"]).args(more);
    let done = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    if done.status.success() { Ok(done.stdout) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

fn host() -> String {
    let done = Command::new(Path::new(env!("CARGO")).with_file_name("rustc")).arg("-vV").output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Whether an SPDX expression leaves a way to use the package under allowed licences only (SPDX 2.3, annex D).
fn allows(expression: &str) -> Result<bool, String> {
    // Older crates write "/" for OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let allowed = any_of(&mut words)?;
    match words.next() {
        None => Ok(allowed),
        Some(word) => Err(format!("{word} is one too many in {expression}")),
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words) -> Result<bool, String> {
    let mut allowed = all_of(words)?;
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all_of(words)?;
    }
    Ok(allowed)
}

fn all_of(words: &mut Words) -> Result<bool, String> {
    let mut allowed = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words)?;
    }
    Ok(allowed)
}

fn one(words: &mut Words) -> Result<bool, String> {
    let word = words.next().ok_or("ends too early")?;
    match word {
        "(" => {
            let allowed = any_of(words)?;
            if words.next() == Some(")") { Ok(allowed) } else { Err("a parenthesis is not closed".into()) }
        }
        ")" | "AND" | "OR" | "WITH" => Err(format!("{word} where a licence is expected")),
        licence if words.next_if_eq(&"WITH").is_some() => {
            let exception = words.next().ok_or("WITH without an exception")?;
            Ok(ALLOWED.contains(&format!("{licence} WITH {exception}").as_str()))
        }
        licence => Ok(ALLOWED.contains(&licence)),
    }
}

/// Dependencies of a manifest that no sentence explains. Our own crates and those that the workspace explains need none.
fn unexplained(manifest: &str) -> Vec<&str> {
    let mut without = Vec::new();
    let mut inside = false;
    let mut covers = 0;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            covers = 0;
        } else if let Some(comment) = line.strip_prefix('#') {
            covers = if comment.ends_with('.') { 2 } else { 0 };
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && !value.contains("path =")
            && !name.contains(".workspace")
            && !value.contains("workspace = true")
        {
            if covers == 0 {
                without.push(name.trim());
            }
            covers = usize::saturating_sub(covers, 1);
        }
    }
    without
}
