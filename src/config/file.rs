//! What a file and the environment say, by dotted key; where a key stands in a file, and what a mistyped one may mean.

use super::Problem;
use std::collections::BTreeMap;

pub(super) fn flatten(
    merged: &config::Config,
    origin: &impl Fn(&str) -> String,
    (values, problems): (&mut BTreeMap<String, String>, &mut Vec<Problem>),
) {
    let Ok(root) = merged.clone().try_deserialize::<serde_json::Value>() else { return };
    for (section, table) in root.as_object().into_iter().flatten() {
        let Some(table) = table.as_object() else {
            problems.push(Problem {
                origin: origin(section),
                key: section.clone(),
                says: "stands outside a [section]".into(),
            });
            continue;
        };
        for (name, value) in table {
            values.insert(format!("{section}.{name}"), as_text(value));
        }
    }
}

fn as_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(as_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

pub(super) fn line_of(toml: &str, key: &str) -> usize {
    let (section, name) = key.split_once('.').unwrap_or(("", key));
    let mut here = String::new();
    for (number, line) in toml.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            here = header.trim_end_matches(']').trim().to_lowercase();
        }
        let found = line.split_once('=').map(|(k, _)| k.trim().trim_matches('"').to_lowercase());
        if found.as_deref() == Some(key) || (here == section && found.as_deref() == Some(name)) {
            return number + 1;
        }
    }
    1
}

/// Where a parser stumbled, as " line 1, column 8", and why: it draws both over several lines.
pub(super) fn on_one_line(drawn: &str) -> (String, String) {
    let mut lines = drawn.lines();
    let place = lines.next().and_then(|first| first.find(" line ").map(|at| first[at..].to_owned()));
    let reasons: Vec<&str> = lines.filter(|l| !l.contains('|') && !l.trim().is_empty()).map(str::trim).collect();
    match place {
        Some(place) if !reasons.is_empty() => (place.trim_end_matches(':').to_owned(), reasons.join(", ")),
        _ => (String::new(), drawn.lines().map(str::trim).collect::<Vec<_>>().join(" ")),
    }
}

/// The known key that a mistyped one is likely to mean.
pub(super) fn nearest(key: &str, known: &[String]) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    let near = known.iter().find(|k| {
        let other = k.rsplit('.').next().unwrap_or(k);
        other == name
            || (name.len() > 3
                && (other.starts_with(&name[..name.len().min(4)])
                    || name.chars().filter(|c| !other.contains(*c)).count() == 0))
    });
    near.map(|k| format!("; is {k} meant?")).unwrap_or_default()
}
