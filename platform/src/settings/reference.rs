//! The reference of the settings, as the README has it.

use std::fmt::Write as _;

use super::table;

/// A table in Markdown, one row a setting.
pub fn markdown() -> String {
    let mut text = String::from(
        "| variable, key in the request body | flag of `downpour train` | default | values | what |\n|---|---|---|---|---|\n",
    );
    for setting in table() {
        let flag = setting.flag.map_or_else(|| "–".to_owned(), |flag| format!("`--{flag}`"));
        let (variable, default, help) = (setting.variable, setting.default, setting.help);
        // Writing to a String can't fail.
        let _ = writeln!(text, "| `{variable}` | {flag} | `{default}` | {} | {help} |", setting.wanted());
    }
    text
}
