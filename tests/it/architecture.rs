//! The house as its map in `src/lib.rs` says: arrows point down, doors know nothing of one another, rooms stay small.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// From the ground up; a module uses its own floor and those before it.
const FLOORS: &[&[&str]] = &[
    &["feature", "config", "error", "clock", "locale"],
    &[
        "seal", "hash", "jose", "db", "cache", "settings", "store", "page", "theme", "tenant", "ctx", "keys", "once",
        "limit", "audit", "queue", "fetch",
    ],
    &["account", "client", "access", "grant", "app", "issue", "flow", "http"],
    &["oidc", "login", "me", "jobs"],
    &["routes", "serve", "cli", "main", "lib"],
];
const DOORS: usize = 3;
const LONGEST: usize = 500;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![];
    sources(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            let module = name.split(['/', '.']).next().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let code = if name.contains("tests") || name.contains("samples") {
                String::new()
            } else {
                text.split("#[cfg(test)]").next().unwrap().to_owned()
            };
            (name, module, code)
        })
        .collect()
}

fn floor(module: &str) -> usize {
    FLOORS.iter().position(|f| f.contains(&module)).unwrap_or_else(|| panic!("{module} has no floor"))
}

/// The modules that a file names after `crate::`.
fn used(code: &str) -> Vec<String> {
    let mut names = vec![];
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(list) => {
                let list = &list[..list.find("};").unwrap_or(list.len())];
                names.extend(
                    list.split(',')
                        .map(|n| n.trim().split("::").next().unwrap().trim_matches(['{', '}', ' ']).to_owned()),
                );
            }
            None => names.push(after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()),
        }
    }
    names.retain(|n| FLOORS.iter().any(|f| f.contains(&n.as_str())));
    names
}

#[test]
fn arrows_point_down_and_no_door_uses_another() {
    let mut wrong = vec![];
    for (file, module, code) in all() {
        for other in used(&code) {
            let (from, to) = (floor(&module), floor(&other));
            if to > from || (from == DOORS && to == DOORS && other != module) {
                wrong.push(format!("{file} uses {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_room_is_too_large() {
    let long: Vec<String> = all()
        .into_iter()
        .map(|(file, _, code)| (file, code.lines().count()))
        .filter(|(_, n)| *n > LONGEST)
        .map(|(f, n)| format!("{f}: {n} lines"))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn every_table_is_asked_by_one_module_alone() {
    let tables = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("entity/src/lib.rs")).unwrap();
    let tables: Vec<&str> = tables
        .lines()
        .filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'))
        .filter(|t| *t != "words")
        .collect();
    let mut owners: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (_, module, code) in all() {
        for table in &tables {
            let asked = code
                .match_indices(&format!("{table}::Entity"))
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            let owners = owners.entry(table).or_default();
            if asked && !owners.contains(&module) {
                owners.push(module.clone());
            }
        }
    }
    let shared: Vec<_> = owners.iter().filter(|(_, o)| o.len() > 1).collect();
    assert!(shared.is_empty(), "{shared:?}");
}

#[test]
fn only_the_guarded_client_asks_others__st_06() {
    let asking: Vec<String> =
        all().into_iter().filter(|(_, _, code)| code.contains("reqwest")).map(|(file, ..)| file).collect();
    assert_eq!(asking, ["fetch.rs"]);
}
