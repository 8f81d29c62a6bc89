//! `docs/security.md` names, for each security requirement that blocks a release, the tests that show it or the later
//! subject that it belongs to. A line without either, or with a test that is gone, fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every requirement that blocks a release: structural rules, OAuth, OpenID Connect, redirects, hosts and proxies,
/// cookies and forms, enumeration and throttling, refresh tokens, JOSE, keys.
const REQUIRED: &[(&str, &[u8])] = &[
    ("ST", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    (
        "OA",
        &[
            1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 14, 15, 17, 18, 19, 22, 23, 24, 25, 26, 29, 30, 31, 32, 35, 38, 39, 40,
            42, 43, 44, 46, 48, 51, 52, 53, 54, 59,
        ],
    ),
    ("OC", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 19, 24, 25, 26, 27, 28, 29, 32]),
    ("RD", &[1, 2, 3, 4]),
    ("HP", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("CS", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]),
    ("EN", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ("RT", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15]),
    ("KJ", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
    ("KM", &[1, 2, 3, 4, 5, 7, 8]),
];

fn required() -> BTreeSet<String> {
    REQUIRED.iter().flat_map(|(family, numbers)| numbers.iter().map(move |n| format!("{family}-{n:02}"))).collect()
}

/// The names of all functions below a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let after = text.split("fn ").skip(1);
            names.extend(after.filter_map(|t| t.split(['(', '<']).next()).map(|n| n.trim().to_owned()));
        }
    }
}

#[test]
fn every_requirement_is_shown_by_a_test_that_exists_or_belongs_to_a_later_subject() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    functions(&root.join("tests"), &mut tests);
    functions(&root.join("src"), &mut tests);
    let text = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let mut listed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut wrong = vec![];
    for line in text.lines().filter(|l| l.starts_with("| ") && l.as_bytes().get(4) == Some(&b'-')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, demand, shown] = cells[..] else { panic!("not three cells: {line}") };
        let named: Vec<String> = shown.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let later = shown.strip_prefix("later: ").is_some_and(|subject| subject.len() > 3);
        if demand.is_empty() || (named.is_empty() && !later) {
            wrong.push(format!("{id}: neither a test nor a later subject"));
        }
        for test in named.iter().filter(|t| !tests.contains(*t)) {
            wrong.push(format!("{id}: there is no test {test}"));
        }
        if listed.insert(id.to_owned(), named).is_some() {
            wrong.push(format!("{id} is listed twice"));
        }
    }
    for id in required() {
        if !listed.contains_key(&id) {
            wrong.push(format!("{id} is not listed"));
        }
    }
    assert!(wrong.is_empty(), "docs/security.md:\n{}", wrong.join("\n"));
}
