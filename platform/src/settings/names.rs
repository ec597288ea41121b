//! Names that no setting has, and what was probably meant.

use super::body::shortened;
use super::error::SettingsError;
use super::table;

/// A key of a request body.
pub(super) fn unknown_key(name: &str) -> SettingsError {
    let name = shortened(name);
    // Someone who knows the command line writes a flag's name.
    let flag = name.replace('_', "-");
    let by_flag = table().iter().find(|setting| setting.flag == Some(&flag));
    let variables = || table().iter().map(|setting| setting.variable);
    let meant = by_flag.map(|setting| setting.variable).or_else(|| nearest(&name, variables()));
    SettingsError::Unknown {
        place: "key in the request body:",
        suggestion: meant.map_or_else(String::new, |meant| format!(", did you mean {meant:?}?")),
        known: variables().collect::<Vec<_>>().join(", "),
        name,
    }
}

/// A flag.
pub(super) fn unknown_flag(name: &str) -> SettingsError {
    let name = shortened(name);
    let variable = name.replace('-', "_");
    let by_variable = table().iter().find(|setting| setting.variable == variable);
    let flags = || table().iter().filter_map(|setting| setting.flag);
    let meant = by_variable.and_then(|setting| setting.flag).or_else(|| nearest(&name, flags()));
    SettingsError::Unknown {
        place: "flag",
        suggestion: meant.map_or_else(String::new, |meant| format!(", did you mean --{meant}?")),
        known: flags().map(|flag| format!("--{flag}")).collect::<Vec<_>>().join(", "),
        name: format!("--{name}"),
    }
}

/// The name that differs least, if by no more than two letters in five.
fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| distance * 5 <= candidate.len() * 2)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters to insert, remove or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
