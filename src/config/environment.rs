//! Names in the environment: what each key is called there, values that stand in files, and names that lead nowhere.

use super::file::nearest;
use super::{KEYS, Problem};
use std::collections::HashMap;

/// `server.listen` is `KEYWARD__SERVER__LISTEN`.
pub fn env_name(key: &str) -> String {
    format!("KEYWARD__{}", key.replace('.', "__").to_uppercase())
}

/// Any name with `_FILE` appended reads the value from that file.
pub(super) fn with_files(
    mut environment: HashMap<String, String>,
    problems: &mut Vec<Problem>,
) -> HashMap<String, String> {
    let plain = |name: &str| name.starts_with("KEYWARD__") || KEYS.iter().any(|k| k.plain.contains(&name));
    let named: Vec<(String, String)> = environment
        .iter()
        .filter_map(|(k, v)| Some((k.strip_suffix("_FILE")?.to_owned(), v.clone())))
        .filter(|(k, _)| plain(k))
        .collect();
    for (name, path) in named {
        environment.remove(&format!("{name}_FILE"));
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                environment.insert(name, text.trim_end_matches(['\n', '\r']).to_owned());
            }
            Err(e) => problems.push(Problem {
                origin: format!("environment {name}_FILE"),
                key: path,
                says: format!("cannot be read: {e}"),
            }),
        }
    }
    environment
}

/// Names that look like ours and set nothing. Others share the environment, so that only what begins as ours is doubted;
/// with a single underscore, only what is one of ours but for that (a cluster sets `KEYWARD_PORT` for its own purposes).
pub(super) fn strangers(environment: &HashMap<String, String>, known: &[String]) -> Vec<Problem> {
    let single = |name: &str| name.replace("__", "_");
    let mut names: Vec<&String> = environment.keys().collect();
    names.sort();
    let doubted = |name: &str| {
        if let Some(rest) = name.strip_prefix("KEYWARD__") {
            let ours = known.iter().any(|key| env_name(key) == name);
            return (!ours).then(|| nearest(&rest.to_lowercase().replace("__", "."), known));
        }
        if name.starts_with("KEYWARD_") {
            let meant = known.iter().map(|key| env_name(key)).find(|ours| single(ours) == single(name))?;
            return Some(format!("; is {meant} meant?"));
        }
        let app = name.starts_with("APP_") && !KEYS.iter().any(|k| k.plain.contains(&name));
        app.then(String::new)
    };
    let warning = |name: &String| {
        let says = format!("is not a name that is known{}", doubted(name)?);
        Some(Problem { origin: format!("environment {name}"), key: String::new(), says })
    };
    names.into_iter().filter_map(warning).collect()
}
