//! What the OpenID certification plans check, one test for each of their modules and under its name.
//!
//! Each module runs with every response type and mode that its plans use, over HTTP, with dynamically registered clients.

mod basic;
mod dynamic;
mod logout;
pub mod world;

use std::collections::BTreeSet;
use std::path::Path;

/// Modules of the plans: a name for each line.
const MODULES: &str = include_str!("conformance/modules.txt");

#[test]
fn every_module_has_its_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance");
    let mut tests = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let names = text.split("#[tokio::test]\nasync fn ").skip(1);
        tests.extend(names.map(|rest| rest.split('(').next().unwrap().to_owned()));
    }
    let modules: BTreeSet<String> = MODULES.lines().filter(|l| !l.is_empty()).map(|l| l.replace('-', "_")).collect();
    assert_eq!(tests, modules);
}
